"""What the command line says, in the languages its users speak; the terminal's locale decides which.

Everything that tells of a run is here, by key; help and errors, whose English stands where they are raised, are in
the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.i18n.languages import Language

_LOCALE_NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")

TEXTS: dict[str, tuple[str, str, str]] = {
    "error": ("error: {message}", "erro: {message}", "error: {message}"),
    "accepted": (
        "run {run_id}: accepted, an answer within {seconds:g} s",
        "execução {run_id}: aceita, resposta em até {seconds:g} s",
        "ejecución {run_id}: aceptada, respuesta en {seconds:g} s como máximo",
    ),
    "routed": (
        "{intent} ({confidence:.0%}); asking {count}: {sources}",
        "{intent} ({confidence:.0%}); consultando {count}: {sources}",
        "{intent} ({confidence:.0%}); consultando {count}: {sources}",
    ),
    "note": ("note: {note}", "nota: {note}", "nota: {note}"),
    "started": ("{name}: started", "{name}: iniciada", "{name}: iniciada"),
    "synthesis": (
        "writing the answer (attempt {attempt}, {by})",
        "escrevendo a resposta (tentativa {attempt}, {by})",
        "escribiendo la respuesta (intento {attempt}, {by})",
    ),
    "aggregated": (
        "{available} of {asked} sources answered; {parallel} in parallel, {sequential} in sequence ({ratio})",
        "{available} de {asked} fontes responderam; {parallel} em paralelo, {sequential} em série ({ratio})",
        "{available} de {asked} fuentes respondieron; {parallel} en paralelo, {sequential} en serie ({ratio})",
    ),
    "draft": ("draft: {line}", "rascunho: {line}", "borrador: {line}"),
    "draft_title": ("draft", "rascunho", "borrador"),
    "answer_title": ("answer", "resposta", "respuesta"),
    "final": (
        "{outcome} in {seconds:.2f} s (mode {mode}, committed by {by})",
        "{outcome} em {seconds:.2f} s (modo {mode}, confirmada por {by})",
        "{outcome} en {seconds:.2f} s (modo {mode}, confirmada por {by})",
    ),
    "cancelled_by": ("cancelled by {by}", "cancelada por {by}", "cancelada por {by}"),
    "not_committed": (
        "the store stopped answering: this is what had been received ({reason})",
        "o armazenamento parou de responder: isto é o que havia chegado ({reason})",
        "el almacén dejó de responder: esto es lo que había llegado ({reason})",
    ),
    "stream_lost": (
        "the event stream broke off ({reason}); waiting for the answer",
        "o fluxo de eventos foi interrompido ({reason}); aguardando a resposta",
        "el flujo de eventos se interrumpió ({reason}); esperando la respuesta",
    ),
    "detached": (
        "detached; the run goes on. Resume with: resync-troubleshoot watch {run_id}",
        "desconectado; a execução continua. Para retomar: resync-troubleshoot watch {run_id}",
        "desconectado; la ejecución continúa. Para retomar: resync-troubleshoot watch {run_id}",
    ),
    "interrupted": ("interrupted", "interrompido", "interrumpido"),
    "submitted": (
        "submitted; follow it with: resync-troubleshoot watch {run_id}",
        "enviada; para acompanhar: resync-troubleshoot watch {run_id}",
        "enviada; para seguirla: resync-troubleshoot watch {run_id}",
    ),
    "still_open": (
        "run {run_id} is {state}; {finished} of {planned} sources have finished",
        "execução {run_id}: {state}; {finished} de {planned} fontes terminaram",
        "ejecución {run_id}: {state}; {finished} de {planned} fuentes terminaron",
    ),
    "cancel_done": (
        "run {run_id} is cancelled",
        "execução {run_id} cancelada",
        "ejecución {run_id} cancelada",
    ),
    "cancel_late": (
        "run {run_id} had already ended: {outcome}",
        "execução {run_id} já havia terminado: {outcome}",
        "ejecución {run_id} ya había terminado: {outcome}",
    ),
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
    "up_stopped": (
        "stopped; nothing is left behind",
        "encerrado; nada ficou para trás",
        "detenido; no queda nada",
    ),
    "no_flower": (
        "without Flower: pip install 'resync-troubleshoot[flower]'",
        "sem o Flower: pip install 'resync-troubleshoot[flower]'",
        "sin Flower: pip install 'resync-troubleshoot[flower]'",
    ),
    "no_runs": ("no runs are stored", "nenhuma execução guardada", "no hay ejecuciones guardadas"),
    "column_source": ("source", "fonte", "fuente"),
    "column_state": ("state", "estado", "estado"),
    "column_time": ("time", "tempo", "tiempo"),
    "column_finding": ("finding", "achado", "hallazgo"),
    "column_run": ("run", "execução", "ejecución"),
    "column_age": ("age", "idade", "edad"),
    "column_jobs": ("jobs", "jobs", "jobs"),
    "column_message": ("message", "mensagem", "mensaje"),
    "column_queue": ("queue", "fila", "cola"),
    "column_length": ("waiting", "esperando", "en espera"),
    "column_workers": ("workers", "workers", "workers"),
    "watchers": ("(watchers)", "(vigias)", "(vigilantes)"),
    "no_workers": ("none", "nenhum", "ninguno"),
    "state_planned": ("waiting", "na fila", "en cola"),
    "state_running": ("asking", "consultando", "consultando"),
    "state_ok": ("ok", "ok", "ok"),
    "state_no_data": ("no data", "sem dados", "sin datos"),
    "state_timeout": ("timed out", "tempo esgotado", "tiempo agotado"),
    "state_error": ("error", "erro", "error"),
    "state_not_started": ("not started", "não iniciada", "no iniciada"),
    "state_lost": ("lost", "perdida", "perdida"),
    "state_late": ("late", "atrasada", "tardía"),
    "run_accepted": ("accepted", "aceita", "aceptada"),
    "run_dispatching": ("being dispatched", "em despacho", "en despacho"),
    "run_dispatched": ("running", "em andamento", "en curso"),
    "run_done": ("done", "terminada", "terminada"),
    "run_complete": ("complete", "completa", "completa"),
    "run_partial": ("partial", "parcial", "parcial"),
    "run_failed": ("failed", "falhou", "falló"),
    "run_timed_out": ("timed out", "tempo esgotado", "tiempo agotado"),
    "run_cancelled": ("cancelled", "cancelada", "cancelada"),
    "elapsed": ("{elapsed:.1f} s of {total:g} s", "{elapsed:.1f} s de {total:g} s", "{elapsed:.1f} s de {total:g} s"),
}
"""Every text in English, Portuguese and Spanish, in that order."""

_LANGUAGES = {"pt": Language.PT_BR, "es": Language.ES, "en": Language.EN}
_COLUMN = {Language.EN: 0, Language.PT_BR: 1, Language.ES: 2}


def language_of(environ: Mapping[str, str]) -> Language:
    """The terminal's language: Portuguese or Spanish when the locale says so, else English.

    As GNU gettext chooses (its manual, "Locale Environment Variables" and "The LANGUAGE variable"): the first of
    LC_ALL, LC_MESSAGES and LANG that is set is the locale; unless that is C or POSIX, the list LANGUAGE goes before it.
    """
    locale = next((environ[name] for name in _LOCALE_NAMES if environ.get(name)), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return Language.EN
    for name in (environ.get("LANGUAGE") or locale).split(":"):
        language = _LANGUAGES.get(re.split(r"[_.@-]", name)[0].lower())
        if language is not None:
            return language
    return Language.EN


@dataclass(frozen=True, slots=True)
class Messages:
    """The texts in one language."""

    language: Language = Language.EN

    def __call__(self, key: str, /, **fields: object) -> str:
        """The text of ``key`` with ``fields`` filled in. Raises KeyError for a key that does not exist."""
        return TEXTS[key][_COLUMN[self.language]].format(**fields)

    def word(self, kind: str, value: str) -> str:
        """A state or outcome as a word; one that has no translation (a newer server's) stands as it is."""
        key = f"{kind}_{value}"
        return self(key) if key in TEXTS else value
