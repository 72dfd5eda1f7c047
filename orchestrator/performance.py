"""The JSON performance event: one line per run, written by whoever commits it."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

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
