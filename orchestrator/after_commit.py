"""What is done with a report once it is committed, by whoever committed it; found through entry points."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points

from orchestrator.errors import TroubleshootError
from orchestrator.logs import log_error
from orchestrator.models import Report

AFTER_COMMIT_GROUP = "resync_troubleshoot.after_commit"
AfterCommit = Callable[[Report], None]
_LOGGER = logging.getLogger(__name__)


def load_after_commit(environ: Mapping[str, str]) -> tuple[AfterCommit, ...]:
    """The installed steps; one whose code is not installed here is left out.

    Raises ConfigurationError naming the variable.
    """
    steps = []
    for point in entry_points(group=AFTER_COMMIT_GROUP):
        try:
            create = point.load()
        except ImportError:
            continue
        steps.append(create(environ))
    return tuple(steps)


def try_after_commit(environ: Mapping[str, str]) -> tuple[AfterCommit, ...]:
    """``load_after_commit``, or no steps when they cannot be made: an answer is worth more than remembering it."""
    try:
        return load_after_commit(environ)
    except TroubleshootError as error:
        _LOGGER.warning("after_commit_not_loaded reason=%s error=%s", error.reason, error)
    except Exception as error:  # noqa: BLE001  # border: a site's step may raise anything
        log_error(_LOGGER, "after_commit_not_loaded reason=unexpected", error=error)
    return ()


def run_after_commit(steps: Sequence[AfterCommit], report: Report) -> None:
    """Carry out every step; none can cost the run its answer, which is committed."""
    for step in steps:
        try:
            step(report)
        except Exception as error:  # noqa: BLE001  # border: a site's step may raise anything
            log_error(_LOGGER, "after_commit_failed run_id=%s", report.run_id, error=error)
