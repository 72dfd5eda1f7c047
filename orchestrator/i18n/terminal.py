"""What the demo and `up` say, by key, until they say it by messages."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.i18n.languages import Language

TEXTS: dict[str, tuple[str, str, str]] = {
    "demo_starting": (
        "starting {count} processes: {title}",
        "iniciando {count} processos: {title}",
        "iniciando {count} procesos: {title}",
    ),
    "demo_question": ("question: {question}", "pergunta: {question}", "pregunta: {question}"),
    "demo_kept": (
        "everything keeps running; logs in {logs}; Ctrl-C ends it",
        "tudo continua em execução; logs em {logs}; Ctrl-C encerra",
        "todo sigue en ejecución; registros en {logs}; Ctrl-C lo termina",
    ),
    "up_ready": (
        "{count} processes are ready; Ctrl-C stops them",
        "{count} processos prontos; Ctrl-C encerra",
        "{count} procesos listos; Ctrl-C los detiene",
    ),
    "up_stopped": ("stopped; nothing is left behind", "encerrado; nada ficou para trás", "detenido; no queda nada"),
    "no_flower": (
        "without Flower: pip install 'resync-troubleshoot[flower]'",
        "sem o Flower: pip install 'resync-troubleshoot[flower]'",
        "sin Flower: pip install 'resync-troubleshoot[flower]'",
    ),
}
"""Every text in English, Portuguese and Spanish, in that order."""

_COLUMN = {Language.EN: 0, Language.PT_BR: 1, Language.ES: 2}


@dataclass(frozen=True, slots=True)
class Messages:
    """The texts in one language."""

    language: Language = Language.EN

    def __call__(self, key: str, /, **fields: object) -> str:
        """The text of ``key`` with ``fields`` filled in. Raises KeyError for a key that does not exist."""
        return TEXTS[key][_COLUMN[self.language]].format(**fields)
