"""What ``doctor`` finds of the sources' counterparts, in English, Portuguese and Spanish, in that order."""

from __future__ import annotations

FOUND_OUTSIDE: dict[str, tuple[str, str, str]] = {
    # tws
    "tws.none": (
        "no TWS instance is configured here: answers keep a low confidence without it",
        "nenhuma instância do TWS configurada aqui: sem ela as respostas ficam com baixa confiança",
        "ninguna instancia de TWS configurada aquí: sin ella las respuestas tienen poca confianza",
    ),
    "tws.found": (
        "{where} version {version}; signed in {how}; jobs in the plan: {jobs}; answers in {answer_ms:.0f} ms",
        "{where} versão {version}; autenticado {how}; jobs no plano: {jobs}; responde em {answer_ms:.0f} ms",
        "{where} versión {version}; autenticado {how}; jobs en el plan: {jobs}; responde en {answer_ms:.0f} ms",
    ),
    "tws.as_user": ("as {user}", "como {user}", "como {user}"),
    "tws.as_token": ("with a token", "com um token", "con un token"),
    "tws.as_header": ("with the site's header", "com o cabeçalho do site", "con la cabecera del sitio"),
    "tws.as_nobody": ("without credentials", "sem credenciais", "sin credenciales"),
    "tws.empty": (
        "the user sees no job in the plan",
        "o usuário não vê nenhum job no plano",
        "el usuario no ve ningún job en el plan",
    ),
    "tws.unverified": (
        "the server's certificate is not verified",
        "o certificado do servidor não é verificado",
        "el certificado del servidor no se verifica",
    ),
    "tws.unauthorized": (
        "{where} refused the sign-in (HTTP 401), tried {how}",
        "{where} recusou a autenticação (HTTP 401), tentada {how}",
        "{where} rechazó la autenticación (HTTP 401), intentada {how}",
    ),
    "tws.forbidden": (
        "{where} let us in {how}, but refused to show the plan (HTTP 403)",
        "{where} aceitou a autenticação {how}, mas recusou mostrar o plano (HTTP 403)",
        "{where} aceptó la autenticación {how}, pero rechazó mostrar el plan (HTTP 403)",
    ),
    "tws.tls": (
        "TLS to {where} failed: {detail}",
        "falha de TLS com {where}: {detail}",
        "falló TLS con {where}: {detail}",
    ),
    "tws.timeout": (
        "{where} accepts the connection too late or answers too late: {detail}",
        "{where} demora a aceitar a conexão ou a responder: {detail}",
        "{where} tarda en aceptar la conexión o en responder: {detail}",
    ),
    "tws.unreachable": (
        "{where} cannot be reached: {detail}",
        "{where} não pode ser alcançado: {detail}",
        "no se puede llegar a {where}: {detail}",
    ),
    "tws.not_found": (
        "{where} answers, but has no REST API v2 there (HTTP 404)",
        "{where} responde, mas não há API REST v2 nesse endereço (HTTP 404)",
        "{where} responde, pero no hay API REST v2 en esa dirección (HTTP 404)",
    ),
    "tws.bad_answer": (
        "{where} answers, but not in JSON: a login page or a proxy is in front of it",
        "{where} responde, mas não em JSON: há uma página de login ou um proxy na frente",
        "{where} responde, pero no en JSON: hay una página de acceso o un proxy delante",
    ),
    "tws.server_error": ("{where} failed: {detail}", "{where} falhou: {detail}", "{where} falló: {detail}"),
    "tws.connection_cut": (
        "{where} cut the connection: {detail}",
        "{where} cortou a conexão: {detail}",
        "{where} cortó la conexión: {detail}",
    ),
    "tws.rate_limited": (
        "{where} asks to slow down (HTTP 429)",
        "{where} pede menos chamadas (HTTP 429)",
        "{where} pide menos llamadas (HTTP 429)",
    ),
    "tws.other": ("{where}: {detail}", "{where}: {detail}", "{where}: {detail}"),
    # knowledge
    "knowledge.found": (
        "{backend}, {where}: {documents} documents, {passages} passages",
        "{backend}, {where}: {documents} documentos, {passages} trechos",
        "{backend}, {where}: {documents} documentos, {passages} pasajes",
    ),
    "knowledge.today": ("indexed today", "indexado hoje", "indexado hoy"),
    "knowledge.age": ("indexed {days} days ago", "indexado há {days} dias", "indexado hace {days} días"),
    "knowledge.empty": ("it is empty", "está vazia", "está vacía"),
    "knowledge.unembedded": (
        "only {embedded} of {passages} passages have a vector of the configured model",
        "só {embedded} de {passages} trechos têm vetor do modelo configurado",
        "solo {embedded} de {passages} pasajes tienen vector del modelo configurado",
    ),
    "knowledge.timeout": (
        "the knowledge base did not answer within {seconds:.1f} s",
        "a base de conhecimento não respondeu em {seconds:.1f} s",
        "la base de conocimiento no respondió en {seconds:.1f} s",
    ),
    "knowledge.building": (
        "the index of the shipped runbooks is still being built (the first time only)",
        "o índice dos runbooks incluídos ainda está sendo construído (só na primeira vez)",
        "el índice de los runbooks incluidos todavía se está construyendo (solo la primera vez)",
    ),
    "knowledge.no_table": (
        "PostgreSQL answers, but the table document_embeddings is not there",
        "o PostgreSQL responde, mas a tabela document_embeddings não existe",
        "PostgreSQL responde, pero la tabla document_embeddings no existe",
    ),
    "postgres.password": (
        "PostgreSQL refused the password",
        "o PostgreSQL recusou a senha",
        "PostgreSQL rechazó la contraseña",
    ),
    "postgres.role": (
        "PostgreSQL does not let this user in, or not to the table",
        "o PostgreSQL não permite este usuário, ou não lhe permite a tabela",
        "PostgreSQL no permite este usuario, o no le permite la tabla",
    ),
    "postgres.database": (
        "PostgreSQL has no database of that name",
        "o PostgreSQL não tem um banco com esse nome",
        "PostgreSQL no tiene una base con ese nombre",
    ),
    "postgres.refused": (
        "nothing listens at PostgreSQL's address",
        "nada escuta no endereço do PostgreSQL",
        "nada escucha en la dirección de PostgreSQL",
    ),
    "postgres.host": (
        "PostgreSQL's host name cannot be resolved",
        "o nome do servidor PostgreSQL não pode ser resolvido",
        "no se puede resolver el nombre del servidor PostgreSQL",
    ),
    "postgres.url": (
        "the URL of PostgreSQL is malformed",
        "a URL do PostgreSQL está malformada",
        "la URL de PostgreSQL está mal formada",
    ),
    "postgres.other": (
        "PostgreSQL could not be asked",
        "o PostgreSQL não pôde ser consultado",
        "no se pudo consultar PostgreSQL",
    ),
    # embeddings
    "embeddings.off": (
        "no embedding endpoint: full text alone",
        "sem endpoint de embeddings: só texto completo",
        "sin endpoint de embeddings: solo texto completo",
    ),
    "embeddings.found": (
        "{model} at {where}: vectors of {numbers} numbers",
        "{model} em {where}: vetores de {numbers} números",
        "{model} en {where}: vectores de {numbers} números",
    ),
    "embeddings.slow": (
        "{seconds:.1f} s for one question, which waits {limit:g} s at most: full text alone will answer",
        "{seconds:.1f} s para uma pergunta, que espera no máximo {limit:g} s: só o texto completo responderá",
        "{seconds:.1f} s para una pregunta, que espera {limit:g} s como máximo: responderá solo el texto completo",
    ),
    "embeddings.failed": ("{where}: {detail}", "{where}: {detail}", "{where}: {detail}"),
    # log cache
    "log_cache.found": (
        "{where}: of the app {app_errors} (errors) and {app_history} (histories), jobs in our own cache {own_jobs}",
        "{where}: do app {app_errors} (erros) e {app_history} (históricos), jobs no cache próprio {own_jobs}",
        "{where}: de la app {app_errors} (errores) y {app_history} (historiales), jobs en la caché propia {own_jobs}",
    ),
    "log_cache.empty": (
        "empty yet; finished runs fill it, and so does: resync-troubleshoot logs ingest FILE",
        "ainda vazio; as execuções terminadas o enchem, e também: resync-troubleshoot logs ingest FILE",
        "todavía vacía; las ejecuciones terminadas la llenan, y también: resync-troubleshoot logs ingest FILE",
    ),
    "log_cache.unauthorized": (
        "{where} refuses the credentials",
        "{where} recusa as credenciais",
        "{where} rechaza las credenciales",
    ),
    "log_cache.timeout": (
        "{where} does not answer in time",
        "{where} não responde a tempo",
        "{where} no responde a tiempo",
    ),
    "log_cache.unreachable": (
        "{where} cannot be reached",
        "{where} não pode ser alcançado",
        "no se puede llegar a {where}",
    ),
    "log_cache.refused": (
        "{where} refused the request",
        "{where} recusou o pedido",
        "{where} rechazó la petición",
    ),
    # metrics
    "metrics.off": ("no metrics are configured", "nenhuma métrica configurada", "ninguna métrica configurada"),
    "metrics.found_api": (
        "Prometheus API at {where}: {there} of {asked} queries have data",
        "API do Prometheus em {where}: {there} de {asked} consultas têm dados",
        "API de Prometheus en {where}: {there} de {asked} consultas tienen datos",
    ),
    "metrics.found_text": (
        "text at {where}: {there} of {asked} known series",
        "texto em {where}: {there} de {asked} séries conhecidas",
        "texto en {where}: {there} de {asked} series conocidas",
    ),
    "metrics.refused": (
        "queries refused: {names}",
        "consultas recusadas: {names}",
        "consultas rechazadas: {names}",
    ),
    "metrics.late": (
        "not answered in time: {names}",
        "sem resposta a tempo: {names}",
        "sin respuesta a tiempo: {names}",
    ),
    "metrics.nothing": (
        "none of the known figures is there",
        "nenhum dos números conhecidos está lá",
        "no está ninguna de las cifras conocidas",
    ),
    "metrics.unreadable": ("{lines} unreadable lines", "{lines} linhas ilegíveis", "{lines} líneas ilegibles"),
    "metrics.unauthorized": (
        "{where} refused the token (HTTP 401 or 403)",
        "{where} recusou o token (HTTP 401 ou 403)",
        "{where} rechazó el token (HTTP 401 o 403)",
    ),
    "metrics.tls": ("TLS failed: {detail}", "falha de TLS: {detail}", "falló TLS: {detail}"),
    "metrics.timeout": (
        "{where} does not answer in time",
        "{where} não responde a tempo",
        "{where} no responde a tiempo",
    ),
    "metrics.unreachable": (
        "{where} cannot be reached",
        "{where} não pode ser alcançado",
        "no se puede llegar a {where}",
    ),
    "metrics.http_status": ("{detail}", "{detail}", "{detail}"),
    "metrics.bad_format": (
        "{where} answers, but not as Prometheus does",
        "{where} responde, mas não como o Prometheus",
        "{where} responde, pero no como Prometheus",
    ),
    "metrics.other": ("{detail}", "{detail}", "{detail}"),
    # site sources
    "source.found": (
        "the source {name} is installed and its settings are right",
        "a fonte {name} está instalada e sua configuração está certa",
        "la fuente {name} está instalada y su configuración es correcta",
    ),
    # llm
    "llm.off": (
        "no model is configured: deterministic answers",
        "nenhum modelo configurado: respostas determinísticas",
        "ningún modelo configurado: respuestas deterministas",
    ),
    "llm.no_model": (
        "an endpoint or a key is set, but no model: deterministic answers",
        "há endpoint ou chave, mas nenhum modelo: respostas determinísticas",
        "hay endpoint o clave, pero ningún modelo: respuestas deterministas",
    ),
    "llm.found": (
        "{model} at {where}; the server lists {count} models",
        "{model} em {where}; o servidor lista {count} modelos",
        "{model} en {where}; el servidor lista {count} modelos",
    ),
    "llm.key_accepted": ("the key is accepted", "a chave é aceita", "la clave se acepta"),
    "llm.key_unproven": (
        "the list is given without a key too, so the key is not proven",
        "a lista também é dada sem chave, portanto a chave não está comprovada",
        "la lista también se da sin clave, así que la clave no está comprobada",
    ),
    "llm.unauthorized": (
        "{where} refused the key (HTTP {status})",
        "{where} recusou a chave (HTTP {status})",
        "{where} rechazó la clave (HTTP {status})",
    ),
    "llm.no_key": (
        "{where} asks for a key (HTTP {status}) and none is set",
        "{where} pede uma chave (HTTP {status}) e nenhuma está definida",
        "{where} pide una clave (HTTP {status}) y no hay ninguna definida",
    ),
    "llm.no_list": (
        "{where} answers, but offers no list of models (HTTP {status}): key and model are not proven",
        "{where} responde, mas não oferece lista de modelos (HTTP {status}): chave e modelo não comprovados",
        "{where} responde, pero no ofrece lista de modelos (HTTP {status}): clave y modelo sin comprobar",
    ),
    "llm.status": (
        "{where} gave no list of models (HTTP {status})",
        "{where} não deu a lista de modelos (HTTP {status})",
        "{where} no dio la lista de modelos (HTTP {status})",
    ),
    "llm.unlisted": (
        "the server does not list {model}; it lists {listed}",
        "o servidor não lista {model}; lista {listed}",
        "el servidor no lista {model}; lista {listed}",
    ),
    "llm.timeout": (
        "{where} did not answer within {seconds:.1f} s",
        "{where} não respondeu em {seconds:.1f} s",
        "{where} no respondió en {seconds:.1f} s",
    ),
    "llm.unreachable": (
        "{where} cannot be reached ({kind})",
        "{where} não pode ser alcançado ({kind})",
        "no se puede llegar a {where} ({kind})",
    ),
}
