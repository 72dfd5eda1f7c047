"""What a job log or the plan shows, as a clue for the other sources of the run."""

import re
from collections.abc import Iterable

from orchestrator.codes.patterns import find_codes_to_look_up, find_reported_abends
from orchestrator.codes.states import FAILED, SUCCEEDED
from orchestrator.joblog.reader import read_log
from orchestrator.models import Clue
from orchestrator.payloads import JobFacts

_DATABASE_CODE = re.compile(r"\b(?:[A-Z]{2,5}-\d{4,5}|SQL\d{4,5}[NCW])\b")
"""ORA-12541, PLS-00201, SQL0964C: error codes of databases, which are no message ids of TWS or z/OS."""
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
