"""Hooks that are called with a report once it is committed, in the process that committed it.

A hook is registered as an entry point of group ``resync_troubleshoot.after_commit``: a factory that takes the
environment and returns a ``Callable[[Report], None]``.
"""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.logs import get_logger, log_error
from orchestrator.models import Report
from orchestrator.plugins import contained, installed, made_or

AFTER_COMMIT_GROUP = "resync_troubleshoot.after_commit"
AfterCommit = Callable[[Report], None]
_LOGGER = get_logger(__name__)


def load_after_commit(environ: Mapping[str, str]) -> tuple[AfterCommit, ...]:
    """The installed hooks; one whose code is not installed here is left out.

    Raises ConfigurationError naming the variable.
    """
    return tuple(create(environ) for create in installed(AFTER_COMMIT_GROUP))


def try_after_commit(environ: Mapping[str, str]) -> tuple[AfterCommit, ...]:
    """``load_after_commit``, or no hooks when they cannot be made: the answer is given all the same."""
    return made_or((), load_after_commit, environ, event="after_commit_not_loaded")


def run_after_commit(hooks: Sequence[AfterCommit], report: Report) -> None:
    """Call every hook; an error is logged and stops neither the others nor the answer, which is committed."""
    for hook in hooks:
        try:
            with contained():
                hook(report)
        except Exception as error:  # noqa: BLE001  # border: a site's hook may raise anything
            log_error(_LOGGER, "after_commit_failed run_id=%s", report.run_id, error=error)
