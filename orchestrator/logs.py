"""Logging: one format for the project's processes, with what a line is about bound to it and secrets masked.

A record is a static event and its facts, ``_LOGGER.info("source_finished source=%s latency_ms=%s", source, ms)``. The
facts are read from the template again: as fields of a JSON line, as attributes of the record for an app's formatter.
"""

import io
import json
import logging
import math
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from orchestrator.redaction.redact import redact_start

MAX_CHARACTERS = 50_000
"""Longest record of a log: an error may quote megabytes, and to mask a character takes its time."""
LIBRARY_EVENT = "log"
"""The event of a line that a library has logged; its text is the field ``message``."""
_NOISY = ("celery.worker.strategy", "celery.app.trace", "httpx2", "httpcore2", "httpx", "httpcore")
"""Loggers whose INFO lines say less than ours about the same: tasks without a run, requests without a reason."""
_TEMPLATE = re.compile(r"([a-z][a-z0-9_]*)((?: [a-z][a-z0-9_]*=(?:%(?:\.\d)?[sdf]|[A-Za-z_]+))*)(?:\n%s)?")
_ID_FIELDS = frozenset(
    {"run_id", "task_id", "source", "sources", "not_asked", "queue", "worker", "by", "method", "path", "where"}
)
_ID, _WORD = re.compile(r"[\w.:,@/#|%-]{0,200}", re.ASCII), re.compile(r"[a-z_]{0,40}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that would begin a line, or move or colour what a terminal shows."""
_BOUND: ContextVar[Mapping[str, Any]] = ContextVar("bound", default={})  # noqa: B039  # never changed in place
_of_process: dict[str, Any] = {}


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Bind fields to each line that is logged in the block, also by the tasks and threads that copy its context.

    None is no value. Those of an enclosing block stay, unless they have the same name.
    """
    token = _BOUND.set({**_BOUND.get(), **{name: value for name, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _BOUND.reset(token)


def bind_process(**fields: object) -> None:
    """Bind fields to each line of this process, such as the name of its worker."""
    _of_process.update(fields)


def get_logger(name: str) -> logging.Logger:
    """The logger of one of our modules: its records have the bound fields, and their own, as attributes.

    So an app's formatter sees ``event``, ``run_id``, ``source`` and so on as it sees what is given as ``extra``.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_FIELDS)
    return logger


class _Fields(logging.Filter):
    """Sets the fields of a record as its attributes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if (event := _event_of(record)) is not None:
            for name, value in {"event": event[0], **_BOUND.get(), **event[1]}.items():
                record.__dict__.setdefault(name, value)
        return True


_FIELDS = _Fields()


@lru_cache(maxsize=1_024)
def _parsed(template: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """The event of a template, and its fields as name and value, ``%s``; None for a text that is no event of ours."""
    match = _TEMPLATE.fullmatch(template)
    if match is None:
        return None
    return match[1], tuple((name, value) for name, _, value in (pair.partition("=") for pair in match[2].split()))


def _event_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]] | None:
    """The event of one of our records and its fields; None for a library's."""
    parsed = _parsed(record.msg) if isinstance(record.msg, str) else None
    if parsed is None or isinstance(record.args, Mapping):
        return None
    event, pairs = parsed
    values = iter(record.args or ())
    return event, {name: _plain(next(values, None), value) if value[0] == "%" else value for name, value in pairs}


def _plain(value: object, form: str) -> Any:
    """A value as JSON has it; a fraction with as many digits as its ``form`` in the template, ``%.1f``, or three."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return round(value, int(form[2]) if form[1] == "." else 3)
    return value if isinstance(value, (int, str)) or value is None else str(value)


class MaskingFormatter(logging.Formatter):
    """One record as text, its bound fields at the end; the whole line is masked, tracebacks and libraries' included.

    Only the first line of a record begins with a character that is no blank, whatever is quoted in it.
    """

    def __init__(self, *, personal: bool = False) -> None:
        """``personal`` masks e-mail addresses and CPF/CNPJ numbers as well."""
        super().__init__()
        self._personal = personal

    def format(self, record: logging.LogRecord) -> str:
        """The masked lines of ``record``."""
        message, more = _texts(self, record)
        event = _event_of(record)
        named = () if event is None else event[1]
        bound_here = {name: value for name, value in _around().items() if name not in named}
        fields = " ".join(f"{name}={value}" for name, value in bound_here.items())
        line = f"{_time(record)} {record.levelname} {record.name} {_escaped(message)} {_escaped(fields)}".rstrip()
        text = f"{line}\n{more}" if more else line
        if event is None or more or not all(map(_is_harmless, (*event[1].items(), *bound_here.items()))):
            # Before the indentation: a key may be written over lines.
            text, _ = redact_start(text, MAX_CHARACTERS, personal=self._personal)
        first, *rest = text.split("\n")
        return "\n".join([_escaped(first), *(f"  {_escaped(line)}" for line in rest)])


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON: ``time``, ``level``, ``logger``, ``event``, the bound fields and its own."""

    def __init__(self, *, personal: bool = False) -> None:
        """``personal`` masks e-mail addresses and CPF/CNPJ numbers as well."""
        super().__init__()
        self._personal = personal

    def format(self, record: logging.LogRecord) -> str:
        """The masked line of ``record``."""
        message, more = _texts(self, record)
        event = _event_of(record)
        own = {"event": LIBRARY_EVENT, "message": message} if event is None else {"event": event[0], **event[1]}
        fields = {**own, **{name: value for name, value in _around().items() if name not in own}}
        if more:
            fields["traceback"] = more
        for name, value in fields.items():
            if not _is_harmless((name, value)):
                fields[name], _ = redact_start(value, MAX_CHARACTERS, personal=self._personal)
        head = {"time": _time(record), "level": record.levelname, "logger": record.name}
        return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(head | fields, ensure_ascii=False))


def _around() -> dict[str, Any]:
    return {**_of_process, **_BOUND.get()}


def _is_harmless(field: tuple[str, Any]) -> bool:
    """Whether the value of a field needs no mask, which takes longer than all else: a number, a word of ours, an id."""
    name, value = field
    if not isinstance(value, str):
        return True
    return (_ID if name in _ID_FIELDS else _WORD).fullmatch(value) is not None


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(text: str) -> str:
    r"""The text with control characters as in a literal of Python: a line feed as ``\n``."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _texts(formatter: logging.Formatter, record: logging.LogRecord) -> tuple[str, str]:
    """The message of a record, and what follows it: the traceback, or the further lines of a library's message."""
    message, more = record.getMessage(), []
    if _event_of(record) is None:
        message, _, rest = message.partition("\n")
        more = [rest] if rest else []
    elif isinstance(record.msg, str) and record.msg.endswith("\n%s") and isinstance(record.args, tuple):
        # Of ``log_error``.
        more = [str(record.args[-1])]
        message = message.removesuffix(f"\n{more[0]}")
    if record.exc_info:
        more.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        more.append(formatter.formatStack(record.stack_info))
    return message, "\n".join(more)


class _Masking(logging.Filter):
    """Masks the messages of a logger that hold a secret, and leaves the others as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  # border: as logging, which reports a wrong record and goes on
            return True
        masked, _ = redact_start(text, MAX_CHARACTERS)
        if masked != text:
            record.msg, record.args = masked, None
        return True


def mask_log(name: str) -> None:
    """Mask the log of a library: in an app's process no formatter does, and a request's URL may have a token."""
    logger = logging.getLogger(name)
    if not any(isinstance(item, _Masking) for item in logger.filters):
        logger.addFilter(_Masking())


def shown(error: BaseException) -> str:
    """The text of an error, masked, for a line of a log that may be an app's."""
    return redact_start(str(error), MAX_CHARACTERS)[0]


def configure_log(level: str | int, *, form: str = "text", personal: bool = False) -> None:
    """Log to stderr, masked, as ``text`` or ``json``; for workers, watchers and commands. An app configures its own."""
    if form == "json" and isinstance(sys.stderr, io.TextIOWrapper):
        # In another character set, what it lacks would be written as escapes that JSON does not have.
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(personal=personal) if form == "json" else MaskingFormatter(personal=personal))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(form == "json")
    if logging.getLogger().level > logging.DEBUG:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)


def log_error(logger: logging.Logger, event: str, *values: object, error: BaseException) -> None:
    """Log ``event`` with the traceback of ``error``, masked: an error may quote data of a run.

    For code that may run in an app's process, whose formatter does not mask. ``values`` fill the ``%s`` of ``event``.
    """
    text, _ = redact_start("".join(traceback.format_exception(error)).rstrip(), MAX_CHARACTERS)
    # The event stays in the template, by which log collectors group.
    logger.error(f"{event}\n%s", *values, text, stacklevel=2)


_LOGGER = get_logger("orchestrator.performance")


def log_performance(event: dict[str, Any]) -> None:
    """Log the fields of a performance event as one line of JSON."""
    _LOGGER.info("%s", json.dumps(event, ensure_ascii=False), extra=event)


class _PerformanceFormatter(logging.Formatter):
    """A performance event as one line of JSON in either format."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``, whose message is the event."""
        head = {"time": _time(record), "level": record.levelname, "logger": record.name}
        return json.dumps(head | json.loads(record.getMessage()) | _around(), ensure_ascii=False)


def configure_performance_log() -> None:
    """Write performance events to stderr as JSON lines, for a log collector; for workers and watchers."""
    if not _LOGGER.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_PerformanceFormatter())
        _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
