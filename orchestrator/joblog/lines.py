"""Lines of job logs without what frames them: JES time and job number, carriage control, repeats."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# "1", "0", "-" or a blank of the carriage control, then JES' time and job number (z/OS JES2 Messages: job log).
_JES = re.compile(r"^[ 01+-]?\s?\d\d\.\d\d\.\d\d\s+(?:JOB|STC|TSU)\d{5}\s{1,2}|^[ 01+-]?(?:JOB|STC|TSU)\d{5}\s{1,2}")
# Carriage control directly before a message or a title of a listing.
_CARRIAGE = re.compile(r"^[01+-](?=\s{2,}|[A-Z]{2,4}\d{2,5}|\*{2}|[A-Z]{3,} )")
_MOVING = re.compile(r"\d+")
# A result of naught: "COND CODE 0000" says something else than "COND CODE 0012", "try 0" nothing else than "try 12".
_NAUGHT = re.compile(
    r"(?i)(?<![\d:.,])(?:(?<==)|(?<== )|(?<=code )|(?<=rc )|(?<=status )|(?<=retorno ))0+(?![\d:.,/-]\d|\d)"
    r"|\b0+(?= (?:err|fail|reject|rejeit|rechaz|falh|fall))"
)


def bare(line: str) -> str:
    """The line without JES' prefix and carriage control; its own indentation stays."""
    text = _JES.sub("", line.rstrip())
    return _CARRIAGE.sub("", text)


def shape_of(line: str) -> str:
    """The line without its numbers, except results of naught."""
    return _MOVING.sub("#", _NAUGHT.sub("~", line))


@dataclass(frozen=True, slots=True)
class Folded:
    """Consecutive lines of one shape."""

    first: int
    """Index of the first of them."""
    count: int


def folded(lines: Iterable[str]) -> Iterator[Folded]:
    """Runs of lines of one shape; times, counters and addresses in them may differ."""
    first, count, shape = 0, 0, None
    for index, line in enumerate(lines):
        now = shape_of(line)
        if count and now == shape:
            count += 1
            continue
        if count:
            yield Folded(first, count)
        first, count, shape = index, 1, now
    if count:
        yield Folded(first, count)
