"""The errors a user of the client meets most, in Portuguese and Spanish; the English stands where they are raised.

``{message}`` is looked up in its turn. An error that is not here is told in English.
"""

from __future__ import annotations

ERROR_WORDS: dict[str, tuple[str, str]] = {
    # whose value it is; what follows is looked up
    "{name}: {message}": ("{name}: {message}", "{name}: {message}"),
    "{given} is not accepted: {message}": ("{given} não é aceito: {message}", "{given} no se acepta: {message}"),
    # what a value must be
    "must be greater than {least}": ("deve ser maior que {least}", "debe ser mayor que {least}"),
    "must be greater than or equal to {least}": ("deve ser pelo menos {least}", "debe ser al menos {least}"),
    "must be less than or equal to {most}": ("deve ser no máximo {most}", "debe ser como máximo {most}"),
    "must be less than {most}": ("deve ser menor que {most}", "debe ser menor que {most}"),
    "must be a valid number, {detail}": ("deve ser um número", "debe ser un número"),
    "must be a valid integer, {detail}": ("deve ser um número inteiro", "debe ser un número entero"),
    "must be a valid boolean, {detail}": ("deve ser true ou false", "debe ser true o false"),
    "must be a finite number": ("deve ser um número finito", "debe ser un número finito"),
    "must be {choices} or {last}": ("deve ser {choices} ou {last}", "debe ser {choices} o {last}"),
    "must start with {choices} or {last}": (
        "deve começar com {choices} ou {last}",
        "debe empezar por {choices} o {last}",
    ),
    "{smaller} must be less than {larger}: {order}": (
        "{smaller} deve ser menor que {larger}: {order}",
        "{smaller} debe ser menor que {larger}: {order}",
    ),
    "{smaller} must be less than {larger}": (
        "{smaller} deve ser menor que {larger}",
        "{smaller} debe ser menor que {larger}",
    ),
    "String should have at most {most} characters": ("no máximo {most} caracteres", "como máximo {most} caracteres"),
    "{name} is not a TWS job name; expected JOB or {form} with letters, digits, '_' and '-', starting "
    "with a letter, at most "
    "40 characters": (
        (
            "{name} não é um nome de job do TWS; esperado JOB ou {form} com letras, dígitos, '_' e '-', "
            "começando por uma letra, "
            "no máximo 40 caracteres"
        ),
        (
            "{name} no es un nombre de job de TWS; se espera JOB o {form} con letras, dígitos, '_' y "
            "'-', empezando por una "
            "letra, como máximo 40 caracteres"
        ),
    ),
    "the message is empty; write what failed, for example {example}": (
        "a mensagem está vazia; escreva o que falhou, por exemplo {example}",
        "el mensaje está vacío; escriba qué falló, por ejemplo {example}",
    ),
    "no source is named {name}; installed: {known}": (
        "nenhuma fonte se chama {name}; instaladas: {known}",
        "ninguna fuente se llama {name}; instaladas: {known}",
    ),
    "{name} must be 8 to 64 letters, digits, '-' or '_', not starting with a sign": (
        "{name} deve ter de 8 a 64 letras, dígitos, '-' ou '_', sem começar por um sinal",
        "{name} debe tener de 8 a 64 letras, dígitos, '-' o '_', sin empezar por un signo",
    ),
    "{name} is not known; known: {known}": (
        "{name} não é conhecida; conhecidas: {known}",
        "{name} no se conoce; conocidas: {known}",
    ),
    "{run} is the run of another question; leave it out or choose another": (
        "{run} é a execução de outra pergunta; deixe-a de fora ou escolha outra",
        "{run} es la ejecución de otra pregunta; omítala o elija otra",
    ),
    "{event} is not an event id; take the id of the last event you read": (
        "{event} não é o id de um evento; use o id do último evento lido",
        "{event} no es el id de un evento; use el id del último evento leído",
    ),
    # runs
    "run {run} is not stored: it never existed or has expired": (
        "a execução {run} não está guardada: nunca existiu ou expirou",
        "la ejecución {run} no está guardada: nunca existió o expiró",
    ),
    "{run} is no run id; resync-troubleshoot list shows the stored runs": (
        "{run} não é o id de uma execução; resync-troubleshoot list mostra as guardadas",
        "{run} no es el id de una ejecución; resync-troubleshoot list muestra las guardadas",
    ),
    "refused, the system is overloaded: {detail}; try again later or add workers": (
        "recusada, o sistema está sobrecarregado: {detail}; tente mais tarde ou acrescente workers",
        "rechazada, el sistema está sobrecargado: {detail}; inténtelo más tarde o añada workers",
    ),
    # Redis
    "Redis does not answer; is it running, and is REDIS_URL right? ({detail} while talking to the store)": (
        "o Redis não responde; ele está no ar, e REDIS_URL está certa? ({detail} ao falar com o armazenamento)",
        "Redis no responde; ¿está en marcha y es correcta REDIS_URL? ({detail} al hablar con el almacén)",
    ),
    "the broker does not answer; is Redis running, and is REDIS_URL right?": (
        "o broker não responde; o Redis está no ar, e REDIS_URL está certa?",
        "el broker no responde; ¿está Redis en marcha y es correcta REDIS_URL?",
    ),
    "the broker does not answer ({detail})": ("o broker não responde ({detail})", "el broker no responde ({detail})"),
    "the broker refused the message ({detail})": (
        "o broker recusou a mensagem ({detail})",
        "el broker rechazó el mensaje ({detail})",
    ),
    "Redis answers but refuses to work ({detail})": (
        "o Redis responde mas recusa o trabalho ({detail})",
        "Redis responde pero se niega a trabajar ({detail})",
    ),
    "cannot be read as redis://[[user]:password@]host[:port][/database]; write '/', '@', ':' and '#' of a password as "
    "%2F, %40, %3A and %23": (
        (
            "não pode ser lida como redis://[[usuário]:senha@]máquina[:porta][/banco]; escreva '/', '@', "
            "':' e '#' de uma "
            "senha como %2F, %40, %3A e %23"
        ),
        (
            "no se puede leer como redis://[[usuario]:contraseña@]máquina[:puerto][/base]; escriba '/', "
            "'@', ':' y '#' de "
            "una contraseña como %2F, %40, %3A y %23"
        ),
    ),
    # what is installed
    "{command} needs {package}: pip install {what}": (
        "{command} precisa de {package}: pip install {what}",
        "{command} necesita {package}: pip install {what}",
    ),
    "{command} cannot be loaded: {detail}": (
        "{command} não pode ser carregado: {detail}",
        "{command} no se puede cargar: {detail}",
    ),
    # files and standard output
    "cannot write: {detail}": ("não foi possível escrever: {detail}", "no se pudo escribir: {detail}"),
}
"""English: (Portuguese, Spanish)."""
