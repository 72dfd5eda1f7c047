"""The three standard streams at the borders of a process: closed ones, full ones, ones of another encoding."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

PIPE_CLOSED = 128 + signal.SIGPIPE
"""The exit code that a shell reports of a program whose reader has gone (``| head -1``)."""


_SIMILAR = str.maketrans("“”„«»‘’–—•…→×", '"""""\'\'--*~>x')
"""Signs that no decomposition leads to ASCII; one column each, so that a table keeps its columns."""


class ReaderGone(Exception):  # no error to tell of: nobody reads any more
    """Whoever read standard output has closed it."""


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Inside the block a closed pipe raises ReaderGone: of a BrokenPipeError click makes exit code 1, a failed run."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


def prepare() -> None:
    """Make the streams fit to write to, whatever the process was started with."""
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
    """What a terminal of another encoding shows instead: the letter without its accent, a similar sign, or ``?``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = "".join(_similar(character) for character in error.object[error.start : error.end])
    return shown, error.end


def _similar(character: str) -> str:
    base = unicodedata.normalize("NFKD", character.translate(_SIMILAR))[0]
    return base if base.isascii() else "?"


def drop_unwritten() -> None:
    """What could not be written stays unwritten, instead of a second complaint when the interpreter ends.

    As Python's documentation has it for closed pipes (``signal``, "Note on SIGPIPE").
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
