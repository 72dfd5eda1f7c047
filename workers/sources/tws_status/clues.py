"""What a job log or the plan shows, as a clue for the other sources of the run."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from orchestrator.codes.patterns import find_codes_to_look_up, find_reported_abends
from orchestrator.codes.states import FAILED, SUCCEEDED
from orchestrator.joblog.reader import read_log
from orchestrator.models import Clue, ClueBoard
from orchestrator.payloads import JobFacts

_DATABASE_CODE = re.compile(r"\b(?:[A-Z]{2,5}-\d{4,5}|SQL\d{4,5}[NCW])\b")
"""ORA-12541, PLS-00201, SQL0964C: error codes of databases, which are no message ids of TWS or z/OS."""
MAX_CAUSES = 20
"""Causes of a batch's clue."""
TELLING_LINES = 3
MAX_LINE = 300


def clue_of(name: str, asked: str | None, jobs: Iterable[JobFacts]) -> Clue | None:
    """The clue of the first job with something to tell: the telling lines of its log, its issues, its substate.

    ``name`` is that of the source, ``asked`` the job that it was asked for.
    """
    for job in jobs:
        lines = _telling_lines(job)
        run = job.runs[0] if job.runs else None
        if job.status in SUCCEEDED or not (lines or job.status in FAILED):
            continue
        return Clue(
            source=name,
            job=asked,
            codes=tuple(dict.fromkeys((*_codes("\n".join(lines)), *_abends(job)))),
            lines=lines,
            return_code=job.newest_return_code,
            platform=_platform(job),
            workstation=job.workstation,
            started_at=run.started_at if run else None,
            ended_at=run.ended_at if run else None,
        )
    return None


def _codes(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*find_codes_to_look_up(text), *_DATABASE_CODE.findall(text))))


def _abends(job: JobFacts) -> tuple[str, ...]:
    """The abends that the log reports, which a message beside them may tell more of: CEE3207S of S0C7."""
    return find_reported_abends("\n".join(_log_lines(job)))


def _log_lines(job: JobFacts) -> list[str]:
    return list(job.job_log.numbered.values()) if job.job_log else []


def _telling_lines(job: JobFacts) -> tuple[str, ...]:
    reading = read_log(_log_lines(job), return_code=job.return_code)
    # Lines that have neither a known cause nor the form of an error are the last ones of a log, whatever they say.
    causes = {item.first for item in reading.causes}
    telling = [reading.lines[index] for index in reading.telling if index in causes or reading.score(index) > 1]
    issues = [issue.message for issue in job.issues]
    return tuple(line[:MAX_LINE] for line in (*telling[:TELLING_LINES], *issues[:2], job.substatus) if line)


def _platform(job: JobFacts) -> str:
    platform = read_log(_log_lines(job), return_code=job.return_code).platform
    return platform.value if platform else ""


@dataclass(slots=True)
class BatchClues:
    """The clues of a batch of jobs as one: each cause once, those of most jobs first."""

    source: str
    board: ClueBoard
    pending: int
    """Jobs that may still give a clue."""
    _given: dict[str, Clue] = field(default_factory=dict)
    _posted: int = 0

    def board_of(self, job: str) -> "JobClues":
        """The board for the lookup of one of the jobs."""
        return JobClues(self, job)

    def take(self, job: str, clue: Clue) -> None:
        """Take the clue of a job, in place of an earlier one."""
        self._given[job] = clue

    async def end_job(self, *, is_late: bool) -> None:
        """A job has been looked up. The clue is given with the last one; ``is_late``: what there is, now."""
        self.pending -= 1
        is_new = len(self._given) > self._posted
        if is_new and (not self.pending or (is_late and not self._posted)):
            self._posted = len(self._given)
            await self.board.post(merged(self.source, self._given.values()))


@dataclass(slots=True)
class JobClues:
    """The board for the lookup of one job of a batch. See ClueBoard."""

    batch: BatchClues
    job: str

    @property
    def waited_seconds(self) -> float:
        """See ClueBoard."""
        return self.batch.board.waited_seconds

    async def post(self, clue: Clue) -> None:
        """See ClueBoard."""
        self.batch.take(self.job, clue)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        """See ClueBoard."""
        return await self.batch.board.wait(sources, seconds=seconds)


def merged(source: str, clues: Iterable[Clue]) -> Clue:
    """One clue for several jobs: the clue of one job for each cause, that of most jobs first."""
    causes: dict[tuple[object, ...], list[Clue]] = {}
    for clue in clues:
        causes.setdefault(_cause(clue), []).append(clue)
    ordered = sorted(causes.values(), key=len, reverse=True)[:MAX_CAUSES]
    first = tuple(alike[0] for alike in ordered)
    return Clue(
        source=source,
        codes=tuple(dict.fromkeys(code for clue in first for code in clue.codes)),
        lines=tuple(dict.fromkeys(line for clue in first for line in clue.lines[:1])),
        ended_at=max((clue.ended_at for alike in ordered for clue in alike if clue.ended_at), default=None),
        causes=first if len(first) > 1 else (),
        return_code=first[0].return_code if len(first) == 1 else None,
    )


def _cause(clue: Clue) -> tuple[object, ...]:
    """What two jobs with the same cause have in common: the codes, else the words of the most telling line."""
    if clue.codes:
        return clue.codes
    line = clue.lines[0] if clue.lines else ""
    return clue.return_code, tuple(word for word in re.findall(r"[^\W\d_]{2,}(?![\w./-])", line))
