"""How to repair the ways to knowledge, logs, metrics and the model, in English, Portuguese and Spanish."""

from __future__ import annotations

FIXES_OUTSIDE: dict[str, tuple[str, str, str]] = {
    # knowledge
    "fix.knowledge_open": (
        "Correct the variable that is named, or run the command that is named.",
        "Corrija a variável citada ou execute o comando citado.",
        "Corrija la variable citada o ejecute el comando citado.",
    ),
    "fix.knowledge_empty_sqlite": (
        "Fill it: resync-troubleshoot kb index DIR",
        "Preencha: resync-troubleshoot kb index DIR",
        "Llénela: resync-troubleshoot kb index DIR",
    ),
    "fix.knowledge_empty_postgres": (
        "Check RESYNC_KNOWLEDGE_COLLECTION, or let the app index its documents.",
        "Verifique RESYNC_KNOWLEDGE_COLLECTION, ou faça o app indexar seus documentos.",
        "Compruebe RESYNC_KNOWLEDGE_COLLECTION, o haga que la app indexe sus documentos.",
    ),
    "fix.knowledge_unembedded_sqlite": (
        "Embed the rest: resync-troubleshoot kb index DIR, with RESYNC_EMBEDDING_ENDPOINT set.",
        "Gere os que faltam: resync-troubleshoot kb index DIR, com RESYNC_EMBEDDING_ENDPOINT definido.",
        "Genere los que faltan: resync-troubleshoot kb index DIR, con RESYNC_EMBEDDING_ENDPOINT definido.",
    ),
    "fix.knowledge_unembedded_postgres": (
        "Let the app embed the rest of its documents.",
        "Faça o app gerar os vetores dos documentos que faltam.",
        "Haga que la app genere los vectores de los documentos que faltan.",
    ),
    "fix.knowledge_model": (
        "Set RESYNC_EMBEDDING_MODEL to the model that the passages were embedded with.",
        "Defina RESYNC_EMBEDDING_MODEL com o modelo que gerou os vetores dos trechos.",
        "Defina RESYNC_EMBEDDING_MODEL con el modelo que generó los vectores de los pasajes.",
    ),
    "fix.knowledge_timeout": (
        "Check the load of the database; docs/retrieval.md names the index that full text needs.",
        "Verifique a carga do banco; docs/retrieval.md cita o índice de que o texto completo precisa.",
        "Compruebe la carga de la base; docs/retrieval.md cita el índice que necesita el texto completo.",
    ),
    "fix.knowledge_building": (
        "Run it again in a moment, or with --timeout 20.",
        "Execute de novo daqui a pouco, ou com --timeout 20.",
        "Ejecute de nuevo dentro de un momento, o con --timeout 20.",
    ),
    "fix.knowledge_no_table": (
        "Let RESYNC_KNOWLEDGE_DATABASE_URL name the app's database.",
        "Aponte RESYNC_KNOWLEDGE_DATABASE_URL para o banco do app.",
        "Apunte RESYNC_KNOWLEDGE_DATABASE_URL a la base de la app.",
    ),
    "fix.knowledge_file": (
        "Build the index again: resync-troubleshoot kb index DIR (RESYNC_KNOWLEDGE_PATH names the file).",
        "Refaça o índice: resync-troubleshoot kb index DIR (RESYNC_KNOWLEDGE_PATH indica o arquivo).",
        "Rehaga el índice: resync-troubleshoot kb index DIR (RESYNC_KNOWLEDGE_PATH indica el archivo).",
    ),
    "fix.postgres_password": (
        "Correct the password in RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Corrija a senha em RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Corrija la contraseña en RESYNC_KNOWLEDGE_DATABASE_URL.",
    ),
    "fix.postgres_role": (
        "Correct the user in RESYNC_KNOWLEDGE_DATABASE_URL, or GRANT SELECT ON document_embeddings to it.",
        "Corrija o usuário em RESYNC_KNOWLEDGE_DATABASE_URL, ou dê-lhe GRANT SELECT ON document_embeddings.",
        "Corrija el usuario en RESYNC_KNOWLEDGE_DATABASE_URL, o dele GRANT SELECT ON document_embeddings.",
    ),
    "fix.postgres_database": (
        "Correct the database's name in RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Corrija o nome do banco em RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Corrija el nombre de la base en RESYNC_KNOWLEDGE_DATABASE_URL.",
    ),
    "fix.postgres_refused": (
        "Start PostgreSQL, or correct host and port in RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Inicie o PostgreSQL ou corrija servidor e porta em RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Inicie PostgreSQL o corrija servidor y puerto en RESYNC_KNOWLEDGE_DATABASE_URL.",
    ),
    "fix.postgres_host": (
        "Correct the host in RESYNC_KNOWLEDGE_DATABASE_URL, or percent-encode the password's special characters.",
        "Corrija o servidor em RESYNC_KNOWLEDGE_DATABASE_URL, ou codifique com % os caracteres especiais da senha.",
        "Corrija el servidor en RESYNC_KNOWLEDGE_DATABASE_URL, o codifique con % los caracteres de la contraseña.",
    ),
    "fix.postgres_url": (
        "Percent-encode the special characters of the password in RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Codifique com % os caracteres especiais da senha em RESYNC_KNOWLEDGE_DATABASE_URL.",
        "Codifique con % los caracteres especiales de la contraseña en RESYNC_KNOWLEDGE_DATABASE_URL.",
    ),
    "fix.postgres_other": (
        "Check RESYNC_KNOWLEDGE_DATABASE_URL with psql, and the log of PostgreSQL.",
        "Verifique RESYNC_KNOWLEDGE_DATABASE_URL com o psql, e o log do PostgreSQL.",
        "Compruebe RESYNC_KNOWLEDGE_DATABASE_URL con psql, y el registro de PostgreSQL.",
    ),
    # embeddings
    "fix.embeddings_off": (
        "To search by meaning as well, set RESYNC_EMBEDDING_ENDPOINT.",
        "Para buscar também pelo sentido, defina RESYNC_EMBEDDING_ENDPOINT.",
        "Para buscar también por el sentido, defina RESYNC_EMBEDDING_ENDPOINT.",
    ),
    "fix.embeddings": (
        "Check RESYNC_EMBEDDING_ENDPOINT, RESYNC_EMBEDDING_MODEL and RESYNC_EMBEDDING_API_KEY.",
        "Verifique RESYNC_EMBEDDING_ENDPOINT, RESYNC_EMBEDDING_MODEL e RESYNC_EMBEDDING_API_KEY.",
        "Compruebe RESYNC_EMBEDDING_ENDPOINT, RESYNC_EMBEDDING_MODEL y RESYNC_EMBEDDING_API_KEY.",
    ),
    "fix.embeddings_slow": (
        "Let RESYNC_EMBEDDING_ENDPOINT name a faster server or RESYNC_EMBEDDING_MODEL a smaller model.",
        "Aponte RESYNC_EMBEDDING_ENDPOINT para um servidor mais rápido ou RESYNC_EMBEDDING_MODEL para um modelo menor.",
        "Apunte RESYNC_EMBEDDING_ENDPOINT a un servidor más rápido o RESYNC_EMBEDDING_MODEL a un modelo menor.",
    ),
    # log cache
    "fix.log_cache_unauthorized": (
        "Correct user and password in RESYNC_LOG_CACHE_URL (or REDIS_URL).",
        "Corrija usuário e senha em RESYNC_LOG_CACHE_URL (ou REDIS_URL).",
        "Corrija usuario y contraseña en RESYNC_LOG_CACHE_URL (o REDIS_URL).",
    ),
    "fix.log_cache_timeout": (
        "Check the load of the Redis of RESYNC_LOG_CACHE_URL (or REDIS_URL).",
        "Verifique a carga do Redis de RESYNC_LOG_CACHE_URL (ou REDIS_URL).",
        "Compruebe la carga del Redis de RESYNC_LOG_CACHE_URL (o REDIS_URL).",
    ),
    "fix.log_cache_unreachable": (
        "Start that Redis, or correct RESYNC_LOG_CACHE_URL (or REDIS_URL).",
        "Inicie esse Redis ou corrija RESYNC_LOG_CACHE_URL (ou REDIS_URL).",
        "Inicie ese Redis o corrija RESYNC_LOG_CACHE_URL (o REDIS_URL).",
    ),
    "fix.log_cache_refused": (
        "Allow the user of RESYNC_LOG_CACHE_URL (or REDIS_URL) to read (ACL: +@read +scan).",
        "Permita ao usuário de RESYNC_LOG_CACHE_URL (ou REDIS_URL) ler (ACL: +@read +scan).",
        "Permita al usuario de RESYNC_LOG_CACHE_URL (o REDIS_URL) leer (ACL: +@read +scan).",
    ),
    # metrics
    "fix.metrics_off": (
        "Set RESYNC_PROMETHEUS_URL (HTTP API) or RESYNC_METRICS_URL (the app's /metrics).",
        "Defina RESYNC_PROMETHEUS_URL (API HTTP) ou RESYNC_METRICS_URL (/metrics do app).",
        "Defina RESYNC_PROMETHEUS_URL (API HTTP) o RESYNC_METRICS_URL (/metrics de la app).",
    ),
    "fix.metrics_refused": (
        "Correct these queries in RESYNC_METRICS_QUERIES_FILE.",
        "Corrija essas consultas em RESYNC_METRICS_QUERIES_FILE.",
        "Corrija esas consultas en RESYNC_METRICS_QUERIES_FILE.",
    ),
    "fix.metrics_late": (
        "Make these queries cheaper (recording rules) in RESYNC_METRICS_QUERIES_FILE.",
        "Torne essas consultas mais leves (recording rules) em RESYNC_METRICS_QUERIES_FILE.",
        "Haga esas consultas más ligeras (recording rules) en RESYNC_METRICS_QUERIES_FILE.",
    ),
    "fix.metrics_nothing_api": (
        "Check the targets of Prometheus, or name your own series in RESYNC_METRICS_QUERIES_FILE.",
        "Verifique os alvos do Prometheus, ou cite suas próprias séries em RESYNC_METRICS_QUERIES_FILE.",
        "Compruebe los objetivos de Prometheus, o cite sus propias series en RESYNC_METRICS_QUERIES_FILE.",
    ),
    "fix.metrics_nothing_text": (
        "Let RESYNC_METRICS_URL name the /metrics of the app; docs/metrics.md lists the known series.",
        "Aponte RESYNC_METRICS_URL para o /metrics do app; docs/metrics.md lista as séries conhecidas.",
        "Apunte RESYNC_METRICS_URL al /metrics de la app; docs/metrics.md lista las series conocidas.",
    ),
    "fix.metrics_unauthorized": (
        "Correct RESYNC_METRICS_TOKEN.",
        "Corrija RESYNC_METRICS_TOKEN.",
        "Corrija RESYNC_METRICS_TOKEN.",
    ),
    "fix.metrics_tls": (
        "Let RESYNC_METRICS_CA_BUNDLE name the file of the CA's certificates.",
        "Aponte RESYNC_METRICS_CA_BUNDLE para o arquivo com os certificados da CA.",
        "Apunte RESYNC_METRICS_CA_BUNDLE al archivo con los certificados de la CA.",
    ),
    "fix.metrics_timeout": (
        "Check the way to the host of {variable} and its load.",
        "Verifique o caminho até o servidor de {variable} e sua carga.",
        "Compruebe el camino hasta el servidor de {variable} y su carga.",
    ),
    "fix.metrics_unreachable": (
        "Correct {variable}, or start what it names.",
        "Corrija {variable} ou inicie o que ela indica.",
        "Corrija {variable} o inicie lo que indica.",
    ),
    "fix.metrics_http_status": (
        "Correct the path in {variable}.",
        "Corrija o caminho em {variable}.",
        "Corrija la ruta en {variable}.",
    ),
    "fix.metrics_bad_format": (
        "Correct {variable}: RESYNC_PROMETHEUS_URL is the API's base, RESYNC_METRICS_URL a text endpoint.",
        "Corrija {variable}: RESYNC_PROMETHEUS_URL é a base da API, RESYNC_METRICS_URL um endpoint de texto.",
        "Corrija {variable}: RESYNC_PROMETHEUS_URL es la base de la API, RESYNC_METRICS_URL un endpoint de texto.",
    ),
    "fix.metrics_other": ("Check {variable}.", "Verifique {variable}.", "Compruebe {variable}."),
    # site sources
    "fix.source": (
        "Install what the source {name} needs, or remove its package.",
        "Instale o que a fonte {name} precisa, ou remova seu pacote.",
        "Instale lo que la fuente {name} necesita, o quite su paquete.",
    ),
    # llm
    "fix.llm_off": (
        "To have a model refine the answers, set LLM_ENDPOINT, LLM_MODEL and LLM_API_KEY.",
        "Para que um modelo refine as respostas, defina LLM_ENDPOINT, LLM_MODEL e LLM_API_KEY.",
        "Para que un modelo refine las respuestas, defina LLM_ENDPOINT, LLM_MODEL y LLM_API_KEY.",
    ),
    "fix.llm_no_model": (
        "Set LLM_MODEL, or remove LLM_ENDPOINT and LLM_API_KEY.",
        "Defina LLM_MODEL, ou remova LLM_ENDPOINT e LLM_API_KEY.",
        "Defina LLM_MODEL, o quite LLM_ENDPOINT y LLM_API_KEY.",
    ),
    "fix.llm_key": (
        "Put a valid key into LLM_API_KEY.",
        "Ponha uma chave válida em LLM_API_KEY.",
        "Ponga una clave válida en LLM_API_KEY.",
    ),
    "fix.llm_no_list": (
        "If answers say mode deterministic, check that LLM_ENDPOINT ends where /chat/completions begins.",
        "Se as respostas disserem modo deterministic, verifique se LLM_ENDPOINT termina onde começa /chat/completions.",
        "Si las respuestas dicen modo deterministic, compruebe que LLM_ENDPOINT acaba donde empieza /chat/completions.",
    ),
    "fix.llm_status": (
        "Check LLM_ENDPOINT: it must be the base of an OpenAI-compatible API, such as https://host/v1.",
        "Verifique LLM_ENDPOINT: deve ser a base de uma API compatível com OpenAI, como https://host/v1.",
        "Compruebe LLM_ENDPOINT: debe ser la base de una API compatible con OpenAI, como https://host/v1.",
    ),
    "fix.llm_unlisted": (
        "Set {variable} to a model that the server lists.",
        "Defina {variable} com um modelo que o servidor lista.",
        "Defina {variable} con un modelo que el servidor lista.",
    ),
    "fix.llm_timeout": (
        "Check the way to the host of LLM_ENDPOINT (proxy, firewall) and its load.",
        "Verifique o caminho até o servidor de LLM_ENDPOINT (proxy, firewall) e sua carga.",
        "Compruebe el camino hasta el servidor de LLM_ENDPOINT (proxy, cortafuegos) y su carga.",
    ),
    "fix.llm_unreachable": (
        "Correct LLM_ENDPOINT, or start the model's server.",
        "Corrija LLM_ENDPOINT ou inicie o servidor do modelo.",
        "Corrija LLM_ENDPOINT o inicie el servidor del modelo.",
    ),
}
