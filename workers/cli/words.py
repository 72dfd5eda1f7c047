"""The help and the words of the worker side's commands, in Portuguese and Spanish; the English stands in the commands.

Names and placeholders (``--path``, ``QUEUE``, ``SECONDS``) are the same in every language.
"""

from __future__ import annotations

from workers.cli.error_words import ERROR_WORDS

_HELP: dict[str, tuple[str, str]] = {
    # one line each, in the list of commands
    "Compare overhead and throughput with asyncio.gather and a plain chord.": (
        "Compara sobrecarga e vazão com asyncio.gather e com um chord simples.",
        "Compara sobrecarga y rendimiento con asyncio.gather y con un chord simple.",
    ),
    "Watch one troubleshoot run on real workers and embedded parts.": (
        "Mostra uma execução em workers reais e partes embutidas.",
        "Muestra una ejecución en workers reales y partes integradas.",
    ),
    "Check every configured counterpart and say how to repair it.": (
        "Verifica cada contraparte configurada e diz como corrigi-la.",
        "Comprueba cada contraparte configurada y dice cómo repararla.",
    ),
    "Score the answers to the ten scenarios and to each of them with one source missing.": (
        "Avalia as respostas aos dez cenários e a cada um deles sem uma das fontes.",
        "Evalúa las respuestas a los diez escenarios y a cada uno de ellos sin una de las fuentes.",
    ),
    "Fill, search and count the knowledge base.": (
        "Preenche a base de conhecimento, pesquisa nela e diz quanto guarda.",
        "Llena la base de conocimiento, busca en ella y dice cuánto guarda.",
    ),
    "Feed the log cache by hand, and look at what it holds.": (
        "Alimenta o cache de logs à mão e mostra o que ele guarda.",
        "Alimenta a mano la caché de registros y muestra lo que guarda.",
    ),
    "Run the whole system on this machine until Ctrl-C.": (
        "Executa o sistema inteiro nesta máquina até Ctrl-C.",
        "Ejecuta el sistema entero en esta máquina hasta Ctrl-C.",
    ),
    "Run a worker for one or more queues.": (
        "Executa um worker para uma ou mais filas.",
        "Ejecuta un worker para una o más colas.",
    ),
    # bench
    "Measure this project beside asyncio.gather and beside a plain Celery chord on embedded parts.": (
        "Mede este projeto ao lado de asyncio.gather e de um chord simples do Celery, em partes embutidas.",
        "Mide este proyecto junto a asyncio.gather y a un chord simple de Celery, en partes integradas.",
    ),
    "Sources sleep 300, 500, 100 and 50 ms. Takes about two minutes. Absolute times depend on the machine: compare "
    "the ratios.": (
        (
            "As fontes dormem 300, 500, 100 e 50 ms. Leva cerca de dois minutos. Os tempos absolutos "
            "dependem da máquina: "
            "compare as razões."
        ),
        (
            "Las fuentes duermen 300, 500, 100 y 50 ms. Tarda unos dos minutos. Los tiempos absolutos dependen de la "
            "máquina: compare las razones."
        ),
    ),
    "Idle runs of each way.": (
        "Execuções de cada tipo com o sistema ocioso.",
        "Ejecuciones de cada tipo con el sistema ocioso.",
    ),
    "Runs queued at once.": ("Execuções enfileiradas de uma vez.", "Ejecuciones encoladas a la vez."),
    # demo
    "Start a Redis, a simulated TWS and a worker for every queue, ask the scenario's question and show the answer.": (
        "Inicia um Redis, um TWS simulado e um worker para cada fila, faz a pergunta do cenário e mostra a resposta.",
        "Inicia un Redis, un TWS simulado y un worker por cola, hace la pregunta del escenario y muestra la respuesta.",
    ),
    "Nothing is installed or left behind. Exit codes are those of submit.": (
        "Nada é instalado nem fica para trás. Os códigos de saída são os de submit.",
        "No se instala nada ni queda nada. Los códigos de salida son los de submit.",
    ),
    "Which case, 1 to 10.": ("Qual caso, de 1 a 10.", "Qué caso, de 1 a 10."),
    "List the scenarios.": ("Lista os cenários.", "Lista los escenarios."),
    "Run Flower as well, on a free port.": (
        "Executa também o Flower, em uma porta livre.",
        "Ejecuta también Flower, en un puerto libre.",
    ),
    "Keep everything running after the answer, until Ctrl-C.": (
        "Mantém tudo em execução depois da resposta, até Ctrl-C.",
        "Mantiene todo en ejecución después de la respuesta, hasta Ctrl-C.",
    ),
    # doctor
    "Check Redis, workers, queues, watchers, TWS, knowledge, log cache, metrics and the model.": (
        "Verifica Redis, workers, filas, vigias, TWS, conhecimento, cache de logs, métricas e o modelo.",
        "Comprueba Redis, workers, colas, vigilantes, TWS, conocimiento, caché de registros, métricas y el modelo.",
    ),
    "Run it where the workers run, with their environment: it looks at what that environment configures and changes "
    "nothing. Exit codes: 0 all ok or warnings, 1 something is broken, 2 a setting is wrong, 5 Redis unreachable.": (
        (
            "Execute-o onde os workers são executados, com o ambiente deles: ele olha o que esse "
            "ambiente configura e não "
            "muda nada. Códigos de saída: 0 tudo certo ou avisos, 1 algo quebrado, 2 configuração errada, 5 Redis "
            "inacessível."
        ),
        (
            "Ejecútelo donde se ejecutan los workers, con su entorno: mira lo que ese entorno configura "
            "y no cambia nada. "
            "Códigos de salida: 0 todo bien o avisos, 1 algo está roto, 2 configuración errónea, 5 Redis inaccesible."
        ),
    ),
    "This check alone, or all of a kind (tws); repeatable.": (
        "Só esta verificação, ou todas de um tipo (tws); pode ser repetida.",
        "Solo esta comprobación, o todas las de un tipo (tws); se puede repetir.",
    ),
    "For each check; all run at once.": (
        "Para cada verificação; todas ao mesmo tempo.",
        "Para cada comprobación; todas a la vez.",
    ),
    # eval
    "Ask the ten scenarios, and each with one source missing, and score the answers.": (
        "Pergunta os dez cenários, e cada um sem uma das fontes, e avalia as respostas.",
        "Pregunta los diez escenarios, y cada uno sin una de las fuentes, y evalúa las respuestas.",
    ),
    "Everything runs in this process against simulated counterparts. The exit code is 0 when the rules pass every "
    "scenario and 90 % of the variants, else 1; a model's figures are reported and do not decide.": (
        (
            "Tudo é executado neste processo, com contrapartes simuladas. O código de saída é 0 quando as regras "
            "passam em "
            "todos os cenários e em 90 % das variantes, senão 1; os números de um modelo são mostrados e não decidem."
        ),
        (
            "Todo se ejecuta en este proceso, con contrapartes simuladas. El código de salida es 0 cuando las "
            "reglas pasan "
            "todos los escenarios y el 90 % de las variantes, si no 1; las cifras de un modelo se "
            "muestran y no deciden."
        ),
    ),
    "Ask the configured model as well (LLM_MODEL, LLM_ENDPOINT, LLM_API_KEY).": (
        "Pergunta também ao modelo configurado (LLM_MODEL, LLM_ENDPOINT, LLM_API_KEY).",
        "Pregunta también al modelo configurado (LLM_MODEL, LLM_ENDPOINT, LLM_API_KEY).",
    ),
    "Only this one; may be repeated.": ("Só este; pode ser repetida.", "Solo este; se puede repetir."),
    # kb
    "Index the Markdown, text, HTML and PDF files below DIRECTORY; only what changed is read again.": (
        "Indexa os arquivos Markdown, texto, HTML e PDF abaixo de DIRECTORY; só o que mudou é lido de novo.",
        "Indexa los archivos Markdown, texto, HTML y PDF bajo DIRECTORY; solo se vuelve a leer lo que cambió.",
    ),
    "With RESYNC_EMBEDDING_ENDPOINT set, passages are embedded as well.": (
        "Com RESYNC_EMBEDDING_ENDPOINT definida, os trechos também ganham vetores.",
        "Con RESYNC_EMBEDDING_ENDPOINT definida, los pasajes también reciben vectores.",
    ),
    "The index file; RESYNC_KNOWLEDGE_PATH when left out.": (
        "O arquivo do índice; sem ela, RESYNC_KNOWLEDGE_PATH.",
        "El archivo del índice; sin ella, RESYNC_KNOWLEDGE_PATH.",
    ),
    "Put the shipped runbooks into the index as well (yes).": (
        "Põe também no índice os runbooks que acompanham o projeto (sim).",
        "Pone también en el índice los runbooks que acompañan al proyecto (sí).",
    ),
    "Search the knowledge base as the source rag_search does.": (
        "Pesquisa a base de conhecimento como faz a fonte rag_search.",
        "Busca en la base de conocimiento como lo hace la fuente rag_search.",
    ),
    "Passages to show.": ("Quantos trechos mostrar.", "Cuántos pasajes mostrar."),
    "Say where the knowledge base is and how much it holds.": (
        "Diz onde está a base de conhecimento e quanto ela guarda.",
        "Dice dónde está la base de conocimiento y cuánto guarda.",
    ),
    "Search the knowledge base.": ("Pesquisa a base de conhecimento.", "Busca en la base de conocimiento."),
    "Say how much it holds.": ("Diz quanto ela guarda.", "Dice cuánto guarda."),
    "Index a folder of documents.": ("Indexa uma pasta de documentos.", "Indexa una carpeta de documentos."),
    # logs
    "What is remembered of earlier runs: feed it from logs, or show it.": (
        "O que está guardado de execuções anteriores: inclui a partir de logs, ou mostra.",
        "Lo guardado de ejecuciones anteriores: se añade a partir de registros, o se muestra.",
    ),
    "Remember a plain job log, or JSON lines of runs and errors, from FILE or - (standard input).": (
        "Guarda um log de job em texto, ou linhas JSON de execuções e erros, de FILE ou - (entrada padrão).",
        "Guarda un registro de job en texto, o líneas JSON de ejecuciones y errores, de FILE o - (entrada estándar).",
    ),
    "Secrets are taken out first. Reading the same log again changes nothing.": (
        "Os segredos são retirados antes. Ler o mesmo log de novo não muda nada.",
        "Los secretos se quitan antes. Leer el mismo registro de nuevo no cambia nada.",
    ),
    "The job; needed when the log does not name it.": (
        "O job; necessária quando o log não diz qual é.",
        "El job; necesaria cuando el registro no lo nombra.",
    ),
    "TWS instance; the default one when left out.": (
        "Instância do TWS; sem ela, a padrão.",
        "Instancia de TWS; sin ella, la predeterminada.",
    ),
    "Show what is remembered of JOB, newest first.": (
        "Mostra o que está guardado de JOB, o mais novo primeiro.",
        "Muestra lo guardado de JOB, lo más nuevo primero.",
    ),
    "Remember a job log, or JSON lines.": (
        "Guarda um log de job, ou linhas JSON.",
        "Guarda un registro de job, o líneas JSON.",
    ),
    "Show what is remembered of a job.": ("Mostra o que está guardado de um job.", "Muestra lo guardado de un job."),
    # up
    "Run a worker for every queue, two watchers and Flower, and restart what exits.": (
        "Executa um worker para cada fila, dois vigias e o Flower, e reinicia o que terminar.",
        "Ejecuta un worker por cola, dos vigilantes y Flower, y reinicia lo que termine.",
    ),
    "Redis is the one of --redis-url or REDIS_URL, else an embedded one. Ctrl-C or SIGTERM stops everything; "
    "nothing is "
    "left behind. Exit codes: 0 stopped, 2 usage or configuration, 5 Redis unreachable.": (
        (
            "O Redis é o de --redis-url ou REDIS_URL, senão um embutido. Ctrl-C ou SIGTERM encerra tudo; "
            "nada fica para "
            "trás. Códigos de saída: 0 encerrado, 2 uso ou configuração, 5 Redis inacessível."
        ),
        (
            "El Redis es el de --redis-url o REDIS_URL, si no uno integrado. Ctrl-C o SIGTERM lo detiene "
            "todo; no queda "
            "nada. Códigos de salida: 0 detenido, 2 uso o configuración, 5 Redis inaccesible."
        ),
    ),
    "Flower's port on 127.0.0.1.": ("Porta do Flower em 127.0.0.1.", "Puerto de Flower en 127.0.0.1."),
    "Run without Flower.": ("Executa sem o Flower.", "Ejecuta sin Flower."),
    "N workers for a queue; repeatable.": (
        "N workers para uma fila; pode ser repetida.",
        "N workers para una cola; se puede repetir.",
    ),
    "Tasks that a worker runs at once.": (
        "Tarefas que um worker executa ao mesmo tempo.",
        "Tareas que un worker ejecuta a la vez.",
    ),
    "Add a simulated TWS, an application's metrics and a log cache.": (
        "Acrescenta um TWS simulado, as métricas de uma aplicação e um cache de logs.",
        "Añade un TWS simulado, las métricas de una aplicación y una caché de registros.",
    ),
    "What --demo-data shows.": ("O que --demo-data mostra.", "Lo que --demo-data muestra."),
    # worker
    "Serve each QUEUE in this process until it is told to stop.": (
        "Atende cada QUEUE neste processo até receber ordem de parar.",
        "Atiende cada QUEUE en este proceso hasta que se le pida parar.",
    ),
    "The process becomes Celery's: SIGTERM lets running tasks end, SIGQUIT does not. Two workers of one queue on one "
    "host need a --name each.": (
        (
            "O processo passa a ser do Celery: SIGTERM deixa as tarefas terminarem, SIGQUIT não. Dois "
            "workers de uma fila "
            "na mesma máquina precisam de um --name cada."
        ),
        (
            "El proceso pasa a ser de Celery: SIGTERM deja terminar las tareas, SIGQUIT no. Dos workers "
            "de una cola en la "
            "misma máquina necesitan un --name cada uno."
        ),
    ),
    "Serve every queue.": ("Atende todas as filas.", "Atiende todas las colas."),
    "Threads cost one process, prefork one a task.": (
        "threads custa um processo, prefork um por tarefa.",
        "threads cuesta un proceso, prefork uno por tarea.",
    ),
    "Name of this worker on its host; the queues' names when left out.": (
        "Nome deste worker na máquina; sem ela, os nomes das filas.",
        "Nombre de este worker en la máquina; sin ella, los nombres de las colas.",
    ),
}

WORDS = _HELP | ERROR_WORDS
"""English: (Portuguese, Spanish)."""
