"""The names of a question, compared with the jobs of the plan."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.codes import notation
from orchestrator.codes.notation import JobName
from orchestrator.errors import InvalidValue
from orchestrator.models import Entities
from workers.sources.tws_status.oql import UnsafeValue
from workers.sources.tws_status.parsing import text


@dataclass(frozen=True, slots=True)
class JobRef(JobName):
    """A job or job stream as the user named it; parts not named are empty."""

    def matches(self, job: Mapping[str, Any]) -> bool:
        """Whether a JobInPlanV2 can be the named one. A field that the server left out excludes nothing."""
        workstations = {_tail(job.get("workstation")), _tail(job.get("jobStreamWorkstation"))} - {""}
        folder = text(job.get("folder"), 800)
        checks = (
            (self.job, {text(job.get("name"))} - {""}),
            (self.stream, {text(job.get("jobStreamName"))} - {""}),
            (self.workstation, workstations),
            (self.folder, {folder.strip("/") or "/"} if folder else set()),
        )
        return all(not name or not values or _has(name, values) for name, values in checks)

    def is_named(self, job: Mapping[str, Any]) -> bool:
        """Whether a job has the name; a query by a wildcard finds others too."""
        return not self.job or _has(self.job, {text(job.get("name")) or self.job})

    def agrees(self, job: Mapping[str, Any], question: Entities) -> int:
        """How many of the job streams, workstations and folders that the question names are the job's.

        "BATCH001 na FATDIA" may name either a workstation or a job stream.
        """
        own = (
            (question.job_streams, text(job.get("jobStreamName"))),
            (question.workstations, text(job.get("jobStreamName"))),
            (question.workstations, _tail(job.get("workstation"))),
            (question.workstations, _tail(job.get("jobStreamWorkstation"))),
            (question.folders, text(job.get("folder"), 800)),
        )
        return sum(bool(value) and _has(value.strip("/"), {name.strip("/") for name in names}) for names, value in own)

    def prefers(self, job: Mapping[str, Any]) -> bool:
        """Whether the job's stream has the named id or scheduled time."""
        if self.stream_id and text(job.get("jobStreamId")) == self.stream_id:
            return True
        hhmm = re.match(r"(\d{2}):?(\d{2})", self.time)
        return bool(hhmm) and f"T{hhmm[1]}:{hhmm[2]}" in text(job.get("schedTime"))  # type: ignore[index]


def parse_job_name(name: str) -> JobRef:
    """Parse a job name in TWS notation. Raises UnsafeValue."""
    with _unsafe():
        return JobRef.of_job(name)


def job_readings(name: str) -> tuple[JobRef, ...]:
    """Every way to read a job's name, see ``JobName.readings``. Raises UnsafeValue."""
    with _unsafe():
        return JobRef.readings(name)


def parse_job_stream_name(name: str) -> JobRef:
    """Parse a job stream name in TWS notation. Raises UnsafeValue."""
    with _unsafe():
        return JobRef.of_stream(name)


def parse_workstation_name(name: str) -> str:
    """A workstation name without its folder. Raises UnsafeValue."""
    with _unsafe():
        return notation.parse_workstation_name(name)


@contextmanager
def _unsafe() -> Iterator[None]:
    """Raise UnsafeValue, a SourceError, for a name that is not in TWS notation."""
    try:
        yield
    except InvalidValue as error:
        raise UnsafeValue(error.message) from None


def _tail(value: object) -> str:
    return text(value, 900).rpartition("/")[2]


def _has(name: str, values: set[str]) -> bool:
    return name.upper() in {value.upper() for value in values}
