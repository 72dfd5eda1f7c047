"""The process of the command line: ending signals as exceptions, and its standard streams."""

import codecs
import io
import os
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """SIGTERM or SIGHUP; a BaseException, so that no ``except Exception`` catches it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """The exit code by which a shell reports the signal that ended a process."""
        return 128 + self.signum


def _raise(signum: int, _frame: FrameType | None) -> None:
    raise Terminated(signum)


def endings_raise() -> AbstractContextManager[None]:
    """Inside the block SIGTERM and SIGHUP raise Terminated in the main thread; elsewhere nothing changes."""
    return _handled(_ENDING, _raise)


def undisturbed() -> AbstractContextManager[None]:
    """Inside the block the ending signals and Ctrl-C are ignored: for a clean-up that is bounded in time anyway."""
    return _handled((*_ENDING, signal.SIGINT), signal.SIG_IGN)


@contextmanager
def _handled(numbers: Sequence[int], handler: Callable[[int, FrameType | None], None] | int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, former in before.items():
        # An ignored signal (nohup) stays ignored.
        if former is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


PIPE_CLOSED = 128 + signal.SIGPIPE
"""The exit code that a shell reports of a program whose reader has gone (``| head -1``)."""


_SIMILAR = str.maketrans("“”„«»‘’–—•…→×", '"""""\'\'--*~>x')
"""Signs that no decomposition leads to ASCII; one column each, so that a table keeps its columns."""


class ReaderGone(Exception):  # no error to tell of: nobody reads any more
    """The reader of standard output has closed it."""


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Raise ReaderGone for a closed pipe in the block: click would end with exit code 1, a failed run."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


def prepare() -> None:
    """Make the standard streams usable, however the process was started."""
    codecs.register_error("similar", similar)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file or socket is given this number, and whatever a library prints goes into it.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="similar")


def similar(error: UnicodeError) -> tuple[str, int]:
    """Encoding error handler: the letter without its accent, a similar sign, or ``?``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = "".join(_similar(character) for character in error.object[error.start : error.end])
    return shown, error.end


def _similar(character: str) -> str:
    base = unicodedata.normalize("NFKD", character.translate(_SIMILAR))[0]
    return base if base.isascii() else "?"


def drop_unwritten() -> None:
    """Drop unwritten output, so that the interpreter does not report the closed pipe again when it ends.

    As Python's documentation has it for closed pipes (``signal``, "Note on SIGPIPE").
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
