"""Logging: one format for the project's processes, with secrets masked."""

import json
import logging
import sys
import traceback
from typing import Any

from orchestrator.redaction.redact import redact_start

MAX_CHARACTERS = 50_000
"""Longest record of a log: an error may quote megabytes, and to mask a character takes its time."""
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class MaskingFormatter(logging.Formatter):
    """Formats as ``FORMAT`` and masks the whole line, tracebacks and messages of libraries included."""

    def __init__(self, *, personal: bool = False) -> None:
        """``personal`` masks e-mail addresses and CPF/CNPJ numbers as well."""
        super().__init__(FORMAT)
        self._personal = personal

    def format(self, record: logging.LogRecord) -> str:
        """The masked line of ``record``."""
        return redact_start(super().format(record), MAX_CHARACTERS, personal=self._personal)[0]


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


def configure_log(level: str | int, *, personal: bool = False) -> None:
    """Log to stderr, masked; for workers, watchers and commands. An app configures its logging itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter(personal=personal))
    logging.basicConfig(level=level, handlers=[handler])


def log_error(logger: logging.Logger, event: str, *values: object, error: BaseException) -> None:
    """Log ``event`` with the traceback of ``error``, masked: an error may quote data of a run.

    For code that may run in an app's process, whose formatter does not mask. ``values`` fill the ``%s`` of ``event``.
    """
    text, _ = redact_start("".join(traceback.format_exception(error)).rstrip(), MAX_CHARACTERS)
    # The event stays in the template, by which log collectors group.
    logger.error(f"{event}\n%s", *values, text, stacklevel=2)


_LOGGER = logging.getLogger("orchestrator.performance")


def log_performance(event: dict[str, Any]) -> None:
    """Log the fields of a performance event as one line of JSON."""
    _LOGGER.info("%s", json.dumps(event, ensure_ascii=False))


def configure_performance_log() -> None:
    """Write performance events to stderr as bare JSON lines, for a log collector; for workers and watchers."""
    if not _LOGGER.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
