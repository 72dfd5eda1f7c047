"""Factories that the workers' packages, or a site's, register as entry points."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from orchestrator.errors import TroubleshootError, WorkersNotInstalled
from orchestrator.i18n.message import Text
from orchestrator.logs import get_logger, log_error, shown

_LOGGER = get_logger(__name__)
T = TypeVar("T")
_HOME = Path(__file__).resolve().parent.parent
_OWN_PACKAGES = ("orchestrator", "workers")
CLOSE_SECONDS = 0.2
"""Seconds for closing what factories made: the answer does not wait longer for it."""


class Escaped(Exception):
    """Other code raised what is no error but ends a thread, an event loop or a process; ``error`` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class contained:  # noqa: N801  # used like ``suppress``
    """Around a call of other code: whatever it raises that is no ``Exception`` is raised as ``Escaped``.

    A ``SystemExit``, or a panic of a library in Rust, would end the pool's thread with its place, or the process, past
    every border that catches errors. For code that does not wait: a signal's own ``SystemExit`` must pass.
    """

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            raise Escaped(error) from error


async def awaited(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call of other code, as a task: what would end the event loop is raised as ``Escaped``.

    ``contained`` takes the rest where the task's result is read: a cancellation of the task must stay one.
    """
    try:
        return await call()
    except (SystemExit, KeyboardInterrupt) as error:  # those that asyncio raises again, out of the loop
        raise Escaped(error) from error


def installed(group: str) -> Iterator[Callable[[Mapping[str, str]], Any]]:
    """The factories of an entry point group; one whose code cannot be imported here is left out."""
    for point in entry_points(group=group):
        try:
            yield point.load()
        except ImportError:
            continue


def not_loaded(name: Text | str, error: ImportError) -> WorkersNotInstalled:
    """Why the command or source ``name`` cannot be imported, and what to do.

    ``workers`` is a name that an app may have as well: which of two packages is found depends on the path of imports.
    """
    missing = (error.name or "").partition(".")[0]
    if missing in _OWN_PACKAGES:
        found = getattr(sys.modules.get(missing), "__file__", None)
        if found is not None and not Path(found).resolve().is_relative_to(_HOME / missing):
            return WorkersNotInstalled(
                "{name} cannot be loaded: {path} hides our package of that name. Rename it, or take its folder from "
                "PYTHONPATH and from the path of imports (python -P)",
                name=name,
                path=Path(found).parent if Path(found).name == "__init__.py" else found,
            )
    elif missing and isinstance(error, ModuleNotFoundError):
        return WorkersNotInstalled(
            "{name} needs {package}: pip install 'resync-troubleshoot[workers]'", name=name, package=missing
        )
    return WorkersNotInstalled("{name} cannot be loaded: {detail}", name=name, detail=str(error) or missing)


def made_or(default: T, make: Callable[[Mapping[str, str]], T], environ: Mapping[str, str], *, event: str) -> T:
    """``make(environ)``, or ``default`` when it raises, which is logged as ``event``."""
    try:
        with contained():
            return make(environ)
    except TroubleshootError as error:
        _LOGGER.warning(f"{event} reason=%s error=%s", error.reason, shown(error))
    except Exception as error:  # noqa: BLE001  # border: a site's factory may raise anything
        log_error(_LOGGER, f"{event} reason=unexpected", error=error)
    return default


async def close_all(closes: Iterable[Callable[[], Awaitable[object]]], *, event: str) -> None:
    """Await every ``close()`` within ``CLOSE_SECONDS``; what fails or takes longer is only logged, as ``event``."""

    async def run(close: Callable[[], Awaitable[object]]) -> None:
        try:
            await awaited(close)
        except Exception as error:  # noqa: BLE001  # border: a site's class may raise anything
            log_error(_LOGGER, event, error=error)

    closing = [asyncio.ensure_future(run(close)) for close in closes]
    # Not asyncio.timeout, which waits for one that ignores its cancellation.
    _, pending = await asyncio.wait(closing, timeout=CLOSE_SECONDS) if closing else ((), ())
    for task in closing:
        if task in pending:
            task.cancel()
            _LOGGER.warning(f"{event} reason=timeout")
        elif not task.cancelled() and (error := task.exception()) is not None:
            log_error(_LOGGER, event, error=error)
