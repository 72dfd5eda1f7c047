"""Lines of job logs that rules quote: the decisive one, the first error, signs of a category, growth."""

import re
from collections.abc import Sequence

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


def decisive_line(lines: Sequence[str], code: str) -> str | None:
    """The line that shows why the job ended: with the code, best of all beside ``ABEND=`` or in an error message."""
    end = code[-2:]
    # However a program writes a code (0C7, U0999), its end is the same: to look for codes in each line takes long.
    near = (line for line in lines if code in line or (end in line.upper() and code in find_codes(line)))
    holding = [line for line in near if not is_planted(line)]
    ranked = (line for pattern in _STRONG for line in holding if pattern.search(line))
    return next(ranked, holding[0] if holding else None)


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
