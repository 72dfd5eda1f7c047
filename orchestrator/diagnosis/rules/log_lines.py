"""Lines of job logs that rules quote: the decisive one, the first error, signs of a category, growth."""

import re
from collections.abc import Iterator, Sequence

from orchestrator.codes.catalogue import Category
from orchestrator.codes.error_words import reports_error
from orchestrator.codes.patterns import find_codes
from orchestrator.codes.steps import step_end, step_of
from orchestrator.diagnosis.injection import is_planted

# What names the cause best stands first: the end of the step, the system's own message, then a dump's heading.
_STRONG = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r"\bABEND\s*=", r"\bAW[SK]\w+E\b|\bIEC\d{3}I\b|\bCEE\d{4}S\b", r"COMPLETION CODE|ABENDED")
)
_GROWTH = re.compile(r"\+\s?\d{1,4}(?:[.,]\d+)?\s?%")
# IEC030I B37-04,IFG0554A,job,step,ddname,device,volume,dataset (z/OS MVS System Messages, IEC030I).
_FULL = re.compile(r"\bIEC03\dI\s+[^,\s][^,]*,[^,]+(?:,[^,]*){5},([A-Z0-9@#$.]+)")

_SIGNS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    (
        Category.OUT_OF_MEMORY,
        re.compile(
            r"out of memory|OutOfMemoryError|oom-?kill|cannot allocate memory|\bMemoryError\b|std::bad_alloc"
            r"|\bKilled\b$",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
    (
        Category.DISK_FULL,
        re.compile(r"no space left on device|disk full|ENOSPC|disco cheio|not enough space on", re.IGNORECASE),
    ),
    (
        Category.PERMISSION_DENIED,
        re.compile(r"permission denied|access (?:is )?denied|acesso negado|EACCES", re.IGNORECASE),
    ),
    (
        Category.COMMAND_NOT_FOUND,
        re.compile(r"command not found|is not recognized as an internal|: not found$", re.IGNORECASE | re.MULTILINE),
    ),
    (
        Category.LOGON_USER_UNKNOWN,
        re.compile(
            r"(?:unknown|invalid|no such) (?:logon )?user|user \S+ (?:does not exist|not found|unknown)"
            r"|usu[aá]rio \S+ (?:n[aã]o existe|inexistente|desconhecido)|logon failure",
            re.IGNORECASE,
        ),
    ),
)


def decisive_line(lines: Sequence[str], code: str) -> str | None:
    """The line that shows why the job ended: with the code, best of all beside ``ABEND=`` or in an error message."""
    holding = [line for line in lines if (code in line or code in find_codes(line)) and not is_planted(line)]
    ranked = (line for pattern in _STRONG for line in holding if pattern.search(line))
    return next(ranked, holding[0] if holding else None)


def first_error_line(lines: Sequence[str]) -> str | None:
    """The first line that reports an error: what follows it is mostly its consequence."""
    for line in lines:
        if (reports_error(line) or find_codes(line)) and not is_planted(line):
            return line
    return None


def find_signs(lines: Sequence[str]) -> Iterator[tuple[Category, str]]:
    """Tell-tale lines by category, the first of each."""
    for category, pattern in _SIGNS:
        line = next((line for line in lines if pattern.search(line) and not is_planted(line)), None)
        if line is not None:
            yield category, line


def growth_line(lines: Sequence[str]) -> str | None:
    """The first line that reports a growth in per cent, as programs do of their volume."""
    return next((line for line in lines if _GROWTH.search(line) and not is_planted(line)), None)


def full_dataset(lines: Sequence[str]) -> str:
    """The dataset of an IEC03xI message (the field after the volume), or an empty string."""
    return next((match[1] for line in lines if (match := _FULL.search(line))), "")


def is_of_an_earlier_step(lines: Sequence[str], line: str, failed_step: str) -> bool:
    """Whether ``line`` belongs to a step that ended by itself before another one failed: the job went on after it.

    The step is the one that the line names, else the first that ends below it. What programs print may stand below
    every step's end; of that nothing is known.
    """
    ends = [(index, end) for index, text in enumerate(lines) if (end := step_end(text))]
    failed = failed_step or next((end.step for _, end in ends if end.abended), "")
    if not failed and ends:
        # The step with the worst condition code is the one that failed the job.
        failed = max((end for _, end in ends), key=lambda end: end.condition_code or 0).step
    named = step_of(line)
    if not named and line in lines:
        position = lines.index(line)
        named = next((end.step for index, end in ends if index > position), "")
    ended_well = any(end.step == named and end.condition_code is not None for _, end in ends)
    return bool(named and failed) and named != failed and ended_well
