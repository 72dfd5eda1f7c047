"""What click itself says, in Portuguese and Spanish.

The keys are click's own texts (its gettext message ids, a few of them put together as click does), with ``{field}``
for what it fills in. ``{message}`` is looked up in its turn.
"""

from __future__ import annotations

CLICK_WORDS: dict[str, tuple[str, str]] = {
    "Usage:": ("Uso:", "Uso:"),
    "Options": ("Opções", "Opciones"),
    "Commands": ("Comandos", "Comandos"),
    "[OPTIONS]": ("[OPÇÕES]", "[OPCIONES]"),
    "COMMAND": ("COMANDO", "COMANDO"),
    "Show this message and exit.": ("Mostra esta ajuda e termina.", "Muestra esta ayuda y termina."),
    "Show the version and exit.": ("Mostra a versão e termina.", "Muestra la versión y termina."),
    "default: {default}": ("padrão: {default}", "por omisión: {default}"),
    "required": ("obrigatória", "obligatoria"),
    "Invalid value for {param}: {message}": (
        "valor inválido para {param}: {message}",
        "valor no válido para {param}: {message}",
    ),
    "Invalid value: {message}": ("valor inválido: {message}", "valor no válido: {message}"),
    "Missing argument {param}.": ("falta o argumento {param}.", "falta el argumento {param}."),
    "Missing option {param}.": ("falta a opção {param}.", "falta la opción {param}."),
    "Missing command.": ("falta o comando.", "falta el comando."),
    "No such option {name}.": ("não existe a opção {name}.", "no existe la opción {name}."),
    "No such command {name}.": ("não existe o comando {name}.", "no existe el comando {name}."),
    "{message} Did you mean {guess}?": ("{message} Seria {guess}?", "{message} ¿Quizá {guess}?"),
    "{message} (Did you mean one of: {guesses}?)": (
        "{message} (Seria uma destas: {guesses}?)",
        "{message} (¿Quizá una de estas: {guesses}?)",
    ),
    "Option {name} requires an argument.": ("a opção {name} pede um valor.", "la opción {name} pide un valor."),
    "Option {name} does not take a value.": ("a opção {name} não leva valor.", "la opción {name} no lleva valor."),
    "Got unexpected extra argument ({args})": ("argumento a mais ({args})", "argumento de más ({args})"),
    "Got unexpected extra arguments ({args})": ("argumentos a mais ({args})", "argumentos de más ({args})"),
    "{value} is not a valid integer.": ("{value} não é um número inteiro.", "{value} no es un número entero."),
    "{value} is not a valid integer range.": ("{value} não é um número inteiro.", "{value} no es un número entero."),
    "{value} is not a valid float.": ("{value} não é um número.", "{value} no es un número."),
    "{value} is not a valid float range.": ("{value} não é um número.", "{value} no es un número."),
    "{value} is not in the range {range}.": (
        "{value} está fora do intervalo {range}.",
        "{value} está fuera del intervalo {range}.",
    ),
    "{value} is not one of {choices}.": ("{value} não é um de {choices}.", "{value} no es uno de {choices}."),
    "File {name} does not exist.": ("o arquivo {name} não existe.", "el archivo {name} no existe."),
    "File {name} is a directory.": (
        "{name} é um diretório, não um arquivo.",
        "{name} es un directorio, no un archivo.",
    ),
    "File {name} is not readable.": ("o arquivo {name} não pode ser lido.", "el archivo {name} no se puede leer."),
    "Directory {name} does not exist.": ("o diretório {name} não existe.", "el directorio {name} no existe."),
    "Directory {name} is a file.": (
        "{name} é um arquivo, não um diretório.",
        "{name} es un archivo, no un directorio.",
    ),
    "Directory {name} is not readable.": (
        "o diretório {name} não pode ser lido.",
        "el directorio {name} no se puede leer.",
    ),
}
"""English: (Portuguese, Spanish)."""
