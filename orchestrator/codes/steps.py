"""Names of job steps, as logs and questions write them.

z/OS names a step in its messages as ``jobname [procstep] stepname - text``: last stands the step of the job, and before
it, when the job step calls a procedure, the step of the procedure (z/OS MVS System Messages, Vol 8: IEF142I, IEF202I,
IEF206I, IEF272I, IEF450I, IEF472I).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.codes.patterns import find_abends

ZOS_NAME = r"[A-Z@#$][A-Z0-9@#$]{0,7}"
"""A name of z/OS (of a job, a step, a procedure), as a regular expression."""
_MESSAGE = re.compile(
    rf"\b(?P<message>IEF(?:142|202|206|272|450|472)I)\s{{1,20}}(?P<job>{ZOS_NAME})\s{{1,20}}"
    rf"(?:(?P<procstep>{ZOS_NAME})\s{{1,20}})?(?P<step>{ZOS_NAME})\s{{1,20}}-\s"
    r"(?:.{0,60}COND CODE (?P<condition>\d{4}))?"
)
_ABENDED = frozenset({"IEF450I", "IEF472I"})
# A job's own messages: "step EXTRACT", "passo: EXTRATO", "STEP030". "STEP WAS EXECUTED" names none, nor does STEPLIB.
_NO_NAMES = (
    r"(?!(?:WAS|IS|HAS|NAME|NOT|OF|ENDED|FAILED|ABENDED|STARTED|COMPLETED|EXECUTED|TERMINATED|COND|CODE|FOI|TERMINOU"
    r"|FALHOU)\b)"
)
_WORD = re.compile(
    rf"\b(?:(?i:step|passo|etapa|paso)(?:\s{{1,9}}|\s{{0,9}}[:=]\s{{0,9}}){_NO_NAMES}(?P<named>[A-Z@#$][A-Z0-9@#$_]{{1,31}})"
    r"|(?P<numbered>(?:STEP|PASSO|PASO)_?[A-Z0-9]{0,7}\d[A-Z0-9]{0,7}))(?![A-Za-z0-9_])"
)
_FAILED = re.compile(r"\b(?:ABEND|FAILED|FALHOU|FALLÓ)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended, by z/OS' own message."""

    step: str
    procstep: str = ""
    """The step of the called procedure; empty when the step calls none."""
    abended: bool = False
    condition_code: int | None = None
    """Of a step that was executed."""


def step_end(line: str) -> StepEnd | None:
    """The end of a step that ``line`` reports, or None."""
    match = _MESSAGE.search(line)
    if match is None:
        return None
    condition = match["condition"]
    return StepEnd(
        step=match["step"],
        procstep=match["procstep"] or "",
        abended=match["message"] in _ABENDED,
        condition_code=None if condition is None else int(condition),
    )


def step_of(line: str) -> str:
    """The step that ``line`` names: where z/OS writes it, else beside the word; an empty string for none."""
    end = step_end(line)
    return end.step if end is not None else next(_named(line), "")


def failed_step(text: str) -> str:
    """The step that a log names as the failed one, or an empty string.

    z/OS' message on an abend decides; without one it is the step named on the first line that reports an abend or a
    failure.
    """
    on_failure = ""
    for line in text.splitlines():
        end = step_end(line)
        if end is not None and end.abended:
            return end.step
        if not on_failure and (step := step_of(line)) and (_FAILED.search(line) or find_abends(line)):
            on_failure = step
    return on_failure


def last_step(text: str) -> str:
    """The step that ``text`` names last, or an empty string."""
    steps = [step for line in text.splitlines() if (step := step_of(line))]
    return steps[-1] if steps else ""


def _named(line: str) -> Iterator[str]:
    for match in _WORD.finditer(line):
        yield match["named"] or match["numbered"]
