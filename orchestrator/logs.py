"""What is logged: one format for our processes, and secrets masked, whoever wrote the text."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from orchestrator.redaction.redact import redact

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class MaskingFormatter(logging.Formatter):
    """Formats as ``FORMAT`` and masks the whole line, tracebacks included: a library's words are not ours."""

    def __init__(self, *, personal: bool = False) -> None:
        """``personal`` masks e-mail addresses and CPF/CNPJ numbers as well."""
        super().__init__(FORMAT)
        self._personal = personal

    def format(self, record: logging.LogRecord) -> str:
        """The line to write."""
        return redact(super().format(record), personal=self._personal)


def configure_log(level: str | int, *, personal: bool = False) -> None:
    """Log to stderr, masked; for processes of our own. An application's logging is its own affair."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter(personal=personal))
    logging.basicConfig(level=level, handlers=[handler])


def log_error(logger: logging.Logger, event: str, *values: object, error: BaseException) -> None:
    """Log ``event`` with the error's traceback, masked: what was raised may quote what it was working on.

    For code that runs in an application's process too, whose formatter masks nothing.
    """
    text = redact("".join(traceback.format_exception(error)).rstrip())
    # The event stays in the template: what collects logs groups them by it.
    logger.error(f"{event}\n%s", *values, text, stacklevel=2)


_LOGGER = logging.getLogger("orchestrator.performance")


def log_performance(event: dict[str, Any]) -> None:
    """Write one JSON line."""
    _LOGGER.info("%s", json.dumps(event, ensure_ascii=False))


def configure_performance_log() -> None:
    """Let the event lines go to stderr bare, so that a log collector can parse them; for worker processes."""
    if not _LOGGER.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
