"""The help of the client's commands, in Portuguese and Spanish; the English stands in the commands.

Names and placeholders (``--job``, ``RUN_ID``, ``SECONDS``) are the same in every language.
"""

from __future__ import annotations

HELP_WORDS: dict[str, tuple[str, str]] = {
    # the program
    "Ask why a TWS / HCL Workload Automation job failed; four sources are asked at once.": (
        (
            "Pergunta por que um job do TWS / HCL Workload Automation falhou; quatro fontes são consultadas ao "
            "mesmo tempo."
        ),
        "Pregunta por qué falló un job de TWS / HCL Workload Automation; se consultan cuatro fuentes a la vez.",
    ),
    "Data goes to standard output, progress to standard error; every command that prints data takes --json.": (
        (
            "Os dados vão para a saída padrão, o progresso para a saída de erros; todo comando que mostra dados "
            "aceita --json."
        ),
        (
            "Los datos van a la salida estándar y el progreso a la de errores; todo comando que muestra datos "
            "acepta --json."
        ),
    ),
    # one line each, in the list of commands
    "Ask a question and wait for the answer.": (
        "Faz uma pergunta e espera a resposta.",
        "Hace una pregunta y espera la respuesta.",
    ),
    "Follow a run to its end.": ("Acompanha uma execução até o fim.", "Sigue una ejecución hasta el final."),
    "Print a run as it stands, without waiting.": (
        "Mostra uma execução como está, sem esperar.",
        "Muestra una ejecución tal como está, sin esperar.",
    ),
    "Cancel a run.": ("Cancela uma execução.", "Cancela una ejecución."),
    "List the newest runs.": ("Lista as execuções mais recentes.", "Lista las ejecuciones más recientes."),
    "Show each queue, its workers, and the watchers.": (
        "Mostra cada fila, seus workers e os vigias.",
        "Muestra cada cola, sus workers y los vigilantes.",
    ),
    # shared options
    "Write JSON to standard output.": ("Escreve JSON na saída padrão.", "Escribe JSON en la salida estándar."),
    "Broker and store. A URL with a password belongs in REDIS_URL, where other users cannot read it.": (
        "Broker e armazenamento. Uma URL com senha deve ficar em REDIS_URL, onde outros usuários não a leem.",
        "Broker y almacén. Una URL con contraseña debe ir en REDIS_URL, donde otros usuarios no la leen.",
    ),
    "Soft time limit of each source (5).": ("Tempo limite de cada fonte (5).", "Tiempo límite de cada fuente (5)."),
    "The answer is there by then (10).": (
        "A resposta chega até esse tempo (10).",
        "La respuesta llega en ese tiempo como máximo (10).",
    ),
    "Time kept for the answer: min(4, 0.4 x total).": (
        "Tempo reservado para a resposta: min(4, 0.4 x total).",
        "Tiempo reservado para la respuesta: min(4, 0.4 x total).",
    ),
    "Leave a source out; repeatable.": (
        "Deixa uma fonte de fora; pode ser repetida.",
        "Deja fuera una fuente; se puede repetir.",
    ),
    "Sources that must answer (1).": (
        "Quantas fontes precisam responder (1).",
        "Cuántas fuentes tienen que responder (1).",
    ),
    "Passages asked of the knowledge base (5).": (
        "Trechos pedidos à base de conhecimento (5).",
        "Pasajes que se piden a la base de conocimiento (5).",
    ),
    "pt-BR, en or es; from the question when left out.": (
        "pt-BR, en ou es; sem ela, o idioma da pergunta.",
        "pt-BR, en o es; sin ella, el idioma de la pregunta.",
    ),
    # submit
    "Ask MESSAGE of every source and print the answer.": (
        "Pergunta MESSAGE a todas as fontes e mostra a resposta.",
        "Pregunta MESSAGE a todas las fuentes y muestra la respuesta.",
    ),
    "Progress goes to standard error, the answer to standard output. Ctrl-C detaches; the run goes on.": (
        (
            "O progresso vai para a saída de erros, a resposta para a saída padrão. Ctrl-C desconecta; a execução "
            "continua."
        ),
        "El progreso va a la salida de errores, la respuesta a la estándar. Ctrl-C desconecta; la ejecución continúa.",
    ),
    "Exit codes: 0 complete, 1 failed, 2 usage, 3 partial, 4 timed out, 5 broker or store unreachable, 6 cancelled, "
    "130 interrupted.": (
        (
            "Códigos de saída: 0 completa, 1 falhou, 2 uso, 3 parcial, 4 tempo esgotado, 5 broker ou armazenamento "
            "inacessível, 6 cancelada, 130 interrompido."
        ),
        (
            "Códigos de salida: 0 completa, 1 falló, 2 uso, 3 parcial, 4 tiempo agotado, 5 broker o "
            "almacén inaccesible, "
            "6 cancelada, 130 interrumpido."
        ),
    ),
    "JOB or WS#STREAM.JOB; repeatable.": (
        "JOB ou WS#STREAM.JOB; pode ser repetida.",
        "JOB o WS#STREAM.JOB; se puede repetir.",
    ),
    "TWS instance to ask.": ("Instância do TWS a consultar.", "Instancia de TWS que se consulta."),
    "Who asks.": ("Quem pergunta.", "Quién pregunta."),
    "The conversation this belongs to.": (
        "A conversa a que a pergunta pertence.",
        "La conversación a la que pertenece la pregunta.",
    ),
    "The same key gives the same run.": ("A mesma chave dá a mesma execução.", "La misma clave da la misma ejecución."),
    "Id of the new run; made up when left out.": (
        "Id da nova execução; sem ela, é gerado.",
        "Id de la nueva ejecución; sin ella, se genera.",
    ),
    "Follow the run, or only print its id.": (
        "Acompanha a execução, ou só mostra o id.",
        "Sigue la ejecución, o solo muestra su id.",
    ),
    # watch, get, cancel, list, queues
    "Follow RUN_ID to its end and print the answer; with --json, one event a line on standard output.": (
        "Acompanha RUN_ID até o fim e mostra a resposta; com --json, um evento por linha na saída padrão.",
        "Sigue RUN_ID hasta el final y muestra la respuesta; con --json, un evento por línea en la salida estándar.",
    ),
    "Ctrl-C detaches; the run goes on. Exit codes are those of submit; 7: no such run is stored.": (
        "Ctrl-C desconecta; a execução continua. Os códigos de saída são os de submit; 7: execução não guardada.",
        "Ctrl-C desconecta; la ejecución continúa. Los códigos de salida son los de submit; 7: ejecución no guardada.",
    ),
    "Resume after this event id.": ("Retoma depois deste evento.", "Retoma después de este evento."),
    "Print RUN_ID as it stands: the answer when there is one, else how far it is.": (
        "Mostra RUN_ID como está: a resposta, se já houver, ou até onde chegou.",
        "Muestra RUN_ID tal como está: la respuesta, si ya la hay, o hasta dónde llegó.",
    ),
    "Exit codes are those of submit for a run that has ended, 0 for an open one, 7: no such run is stored.": (
        (
            "Os códigos de saída são os de submit para uma execução terminada, 0 para uma aberta, 7: execução não "
            "guardada."
        ),
        "Los códigos de salida son los de submit si ya terminó, 0 si sigue abierta, 7: ejecución no guardada.",
    ),
    "Cancel RUN_ID: its sources stop at their next step and nothing more is written.": (
        "Cancela RUN_ID: as fontes param no próximo passo e nada mais é escrito.",
        "Cancela RUN_ID: las fuentes paran en su próximo paso y no se escribe nada más.",
    ),
    "Exit code 0 when it is cancelled, 1 when it had ended before, 7 when no such run is stored.": (
        "Código de saída 0 se foi cancelada, 1 se já havia terminado, 7 se a execução não está guardada.",
        "Código de salida 0 si se canceló, 1 si ya había terminado, 7 si la ejecución no está guardada.",
    ),
    "List the newest runs, newest first.": (
        "Lista as execuções mais recentes, a mais nova primeiro.",
        "Lista las ejecuciones más recientes, la más nueva primero.",
    ),
    "How many runs to show.": ("Quantas execuções mostrar.", "Cuántas ejecuciones mostrar."),
    "Show what waits in each queue, which workers consume it, and which watchers are alive.": (
        "Mostra o que espera em cada fila, quais workers a atendem e quais vigias estão vivos.",
        "Muestra lo que espera en cada cola, qué workers la atienden y qué vigilantes están vivos.",
    ),
}
"""English: (Portuguese, Spanish)."""
