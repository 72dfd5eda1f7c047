"""What the project's own sources say of their failures and cuts, in Portuguese and Spanish; it stands in answers.

The English stands where it is said. What is not here, such as a server's own words, stays as it is.
"""

from __future__ import annotations

from orchestrator.i18n.languages import Language
from orchestrator.i18n.translation import translate

SOURCE_WORDS: dict[str, tuple[str, str]] = {
    # tws_status
    "no TWS instance is configured: set TWS_BASE_URL, or TWS_INSTANCES_FILE for several": (
        "nenhuma instância do TWS está configurada: defina TWS_BASE_URL, ou TWS_INSTANCES_FILE para várias",
        "no hay ninguna instancia de TWS configurada: defina TWS_BASE_URL, o TWS_INSTANCES_FILE para varias",
    ),
    "unknown TWS instance {name}; known: {known}": (
        "instância do TWS desconhecida: {name}; conhecidas: {known}",
        "instancia de TWS desconocida: {name}; conocidas: {known}",
    ),
    "{what}: HTTP {status}. {message}": ("{what}: HTTP {status}. {message}", "{what}: HTTP {status}. {message}"),
    "The server refused the query (400).": ("O servidor recusou a consulta.", "El servidor rechazó la consulta."),
    "The server refused the credentials (401): check TWS_USER, TWS_PASSWORD or TWS_TOKEN.": (
        "O servidor recusou as credenciais: verifique TWS_USER, TWS_PASSWORD ou TWS_TOKEN.",
        "El servidor rechazó las credenciales: verifique TWS_USER, TWS_PASSWORD o TWS_TOKEN.",
    ),
    "The user may not see this (403): it needs DISPLAY and LIST access in the security file.": (
        "O usuário não tem acesso: ele precisa de DISPLAY e LIST no arquivo de segurança.",
        "El usuario no tiene acceso: necesita DISPLAY y LIST en el archivo de seguridad.",
    ),
    "The server does not know this object (404).": (
        "O servidor não conhece este objeto.",
        "El servidor no conoce este objeto.",
    ),
    "The server asks to slow down (429).": (
        "O servidor pede menos consultas por vez.",
        "El servidor pide menos consultas a la vez.",
    ),
    "The server answered with a status the API does not describe.": (
        "A API não descreve este status.",
        "La API no describe este estado.",
    ),
    "The server failed (5xx).": ("O servidor falhou.", "El servidor falló."),
    "The server or its gateway is not available for the moment (502, 503, 504).": (
        "O servidor ou o gateway dele não está disponível no momento.",
        "El servidor o su pasarela no está disponible por el momento.",
    ),
    "{what}: no answer within {seconds} s": (
        "{what}: sem resposta em {seconds} s",
        "{what}: sin respuesta en {seconds} s",
    ),
    "{what}: no connection within {seconds} s. Check host, port and firewall": (
        "{what}: sem conexão em {seconds} s. Verifique host, porta e firewall",
        "{what}: sin conexión en {seconds} s. Verifique host, puerto y firewall",
    ),
    "{what}: no time left": ("{what}: não restou tempo", "{what}: no quedó tiempo"),
    "{what}: no free connection within {seconds} s, too many questions at once": (
        "{what}: sem conexão livre em {seconds} s, perguntas demais ao mesmo tempo",
        "{what}: sin conexión libre en {seconds} s, demasiadas preguntas a la vez",
    ),
    "{what}: TLS failed ({detail}). Check TWS_VERIFY, which may name a CA bundle": (
        "{what}: o TLS falhou ({detail}). Verifique TWS_VERIFY, que pode indicar um arquivo de CAs",
        "{what}: TLS falló ({detail}). Verifique TWS_VERIFY, que puede indicar un archivo de CA",
    ),
    "{what}: the CA bundle of TWS_VERIFY cannot be read any more": (
        "{what}: o arquivo de CAs de TWS_VERIFY não pode mais ser lido",
        "{what}: el archivo de CA de TWS_VERIFY ya no se puede leer",
    ),
    "{what}: no connection ({detail})": ("{what}: sem conexão ({detail})", "{what}: sin conexión ({detail})"),
    "{what}: the connection was cut ({detail})": (
        "{what}: a conexão foi cortada ({detail})",
        "{what}: la conexión se cortó ({detail})",
    ),
    "{what}: the answer cannot be decoded": (
        "{what}: a resposta não pode ser decodificada",
        "{what}: la respuesta no se puede decodificar",
    ),
    "{what}: the answer is not JSON": ("{what}: a resposta não é JSON", "{what}: la respuesta no es JSON"),
    "{what}: the answer is not a JSON object": (
        "{what}: a resposta não é um objeto JSON",
        "{what}: la respuesta no es un objeto JSON",
    ),
    "{what}: more than {limit} bytes": ("{what}: mais de {limit} bytes", "{what}: más de {limit} bytes"),
    "{where} failed {times} times in a row; it is left alone for {seconds} s": (
        "{where} falhou {times} vezes seguidas; não será consultado por {seconds} s",
        "{where} falló {times} veces seguidas; no se consultará durante {seconds} s",
    ),
    "{value} cannot be used in a TWS query: letters, digits, '_', '-', '.', ';', ':', '/' and spaces only": (
        "{value} não pode ser usado em uma consulta ao TWS: só letras, dígitos, '_', '-', '.', ';', ':', '/' e espaços",
        "{value} no se puede usar en una consulta a TWS: solo letras, dígitos, '_', '-', '.', ';', ':', '/' y espacios",
    ),
    # log_cache
    "Redis did not answer in time": ("o Redis não respondeu a tempo", "Redis no respondió a tiempo"),
    "Redis cannot be reached ({detail})": (
        "sem conexão com o Redis ({detail})",
        "sin conexión con Redis ({detail})",
    ),
    "Redis refuses the log cache's credentials ({detail})": (
        "o Redis recusa as credenciais do cache de logs ({detail})",
        "Redis rechaza las credenciales de la caché de registros ({detail})",
    ),
    "Redis asks for a password that is not configured": (
        "o Redis pede uma senha que não está configurada",
        "Redis pide una contraseña que no está configurada",
    ),
    "Redis refused the request ({detail})": (
        "o Redis recusou o pedido ({detail})",
        "Redis rechazó la petición ({detail})",
    ),
    "unreadable in the log cache: {keys}": (
        "ilegível no cache de logs: {keys}",
        "ilegible en la caché de registros: {keys}",
    ),
    # rag_search
    "no time left to search": ("não restou tempo para a busca", "no quedó tiempo para la búsqueda"),
    "no answer within {seconds} s": ("sem resposta em {seconds} s", "sin respuesta en {seconds} s"),
    "the index cannot be read: {detail}": (
        "o índice não pode ser lido: {detail}",
        "el índice no se puede leer: {detail}",
    ),
    "{name} is not a knowledge base: {detail}": (
        "{name} não é uma base de conhecimento: {detail}",
        "{name} no es una base de conocimiento: {detail}",
    ),
    "{name} was left half-written by an indexing run; run again: {command}": (
        "{name} ficou pela metade numa indexação; rode de novo: {command}",
        "{name} quedó a medias en una indexación; ejecute de nuevo: {command}",
    ),
    "{name} is an index of another version; renew it with: {command}": (
        "{name} é um índice de outra versão; renove-o com: {command}",
        "{name} es un índice de otra versión; renuévelo con: {command}",
    ),
    "the database has no table {table}": ("o banco não tem a tabela {table}", "la base no tiene la tabla {table}"),
    # metrics
    "no metrics are configured: set RESYNC_PROMETHEUS_URL (HTTP API) or RESYNC_METRICS_URL (text)": (
        "nenhuma métrica está configurada: defina RESYNC_PROMETHEUS_URL (API HTTP) ou RESYNC_METRICS_URL (texto)",
        "no hay métricas configuradas: defina RESYNC_PROMETHEUS_URL (API HTTP) o RESYNC_METRICS_URL (texto)",
    ),
    "{url} did not answer in {seconds} s": ("{url} não respondeu em {seconds} s", "{url} no respondió en {seconds} s"),
    "{url} cannot be reached ({detail})": ("sem conexão com {url} ({detail})", "sin conexión con {url} ({detail})"),
    "{url} answered {status}: check RESYNC_METRICS_TOKEN": (
        "{url} respondeu {status}: verifique RESYNC_METRICS_TOKEN",
        "{url} respondió {status}: verifique RESYNC_METRICS_TOKEN",
    ),
    "{url} answered {status}": ("{url} respondeu {status}", "{url} respondió {status}"),
    "TLS to {url} failed ({detail}). Check RESYNC_METRICS_CA_BUNDLE": (
        "o TLS com {url} falhou ({detail}). Verifique RESYNC_METRICS_CA_BUNDLE",
        "TLS con {url} falló ({detail}). Verifique RESYNC_METRICS_CA_BUNDLE",
    ),
    "{url} did not answer in JSON": ("{url} não respondeu em JSON", "{url} no respondió en JSON"),
    "{url} is not a Prometheus HTTP API": (
        "{url} não é uma API HTTP do Prometheus",
        "{url} no es una API HTTP de Prometheus",
    ),
    # what was cut, part by part; forms without a plural, as the number may be one
    "{count} evidence items left out": ("itens de evidência omitidos: {count}", "evidencias omitidas: {count}"),
    "{count} evidence items shortened": ("itens de evidência encurtados: {count}", "evidencias acortadas: {count}"),
    "{count} more {message}": ("{message}: mais {count}", "{message}: {count} más"),
    "problem jobs": ("jobs com problema", "jobs con problemas"),
    "jobs of that name": ("jobs com esse nome", "jobs con ese nombre"),
    "predecessors of {name}": ("predecessores de {name}", "predecesores de {name}"),
    "successors of {name}": ("sucessores de {name}", "sucesores de {name}"),
    "runs of {name}": ("execuções de {name}", "ejecuciones de {name}"),
    "issues of {name}": ("avisos de {name}", "avisos de {name}"),
    "workstations": ("workstations", "workstations"),
    "job streams": ("job streams", "job streams"),
    "workstations without link or at limit 0": (
        "workstations sem link ou com limite 0",
        "workstations sin enlace o con límite 0",
    ),
    "job streams in trouble": ("job streams com problema", "job streams con problemas"),
    "workstations whose jobs were not looked at": (
        "workstations cujos jobs não foram vistos",
        "workstations cuyos jobs no se miraron",
    ),
    "workstations were not looked at": ("workstations não vistas", "workstations no miradas"),
    "job streams were not looked at": ("job streams não vistos", "job streams no mirados"),
    "jobs of {name} were not looked at": ("jobs de {name} não vistos", "jobs de {name} no mirados"),
    "jobs named {name} were not looked at": ("jobs de nome {name} não vistos", "jobs de nombre {name} no mirados"),
    "jobs match and were not looked at": ("jobs da consulta não vistos", "jobs de la consulta no mirados"),
    "{count} older entries": ("registros mais antigos: {count}", "registros más antiguos: {count}"),
    "{count} entries of long lists not read": (
        "registros não lidos de listas longas: {count}",
        "registros no leídos de listas largas: {count}",
    ),
    "{count} entries not given as evidence": (
        "registros não usados como evidência: {count}",
        "registros no usados como evidencia: {count}",
    ),
    "{count} characters of long entries": (
        "caracteres de registros longos: {count}",
        "caracteres de registros largos: {count}",
    ),
    "keys over the size limit: {keys}": ("chaves acima do limite: {keys}", "claves sobre el límite: {keys}"),
    "the HTTP API could not be asked ({detail})": (
        "a API HTTP não pôde ser consultada ({detail})",
        "la API HTTP no se pudo consultar ({detail})",
    ),
    "the exposition text was read instead": ("foi lido o texto de métricas", "se leyó el texto de métricas"),
    "the body was read up to {limit} bytes": (
        "o corpo foi lido até {limit} bytes",
        "el cuerpo se leyó hasta {limit} bytes",
    ),
    "{count} unreadable lines": ("linhas ilegíveis: {count}", "líneas ilegibles: {count}"),
    "{count} samples not read": ("amostras não lidas: {count}", "muestras no leídas: {count}"),
    "{name}: not answered in time": ("{name}: sem resposta a tempo", "{name}: sin respuesta a tiempo"),
    "{count} ranges not read in time, or too large": (
        "intervalos não lidos a tempo, ou grandes demais: {count}",
        "intervalos no leídos a tiempo, o demasiado grandes: {count}",
    ),
}
"""English: (Portuguese, Spanish)."""


def error_in_language(text: str, language: Language) -> str:
    """What a source said of its failure, in ``language``."""
    return translate(text, SOURCE_WORDS, language)


def cuts_in_language(text: str, language: Language) -> str:
    """What a source said of its cuts, in ``language``: semicolons divide them, and each is looked up by itself."""
    return "; ".join(translate(part, SOURCE_WORDS, language) for part in text.split("; "))
