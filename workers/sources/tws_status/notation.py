"""The names of a question, compared with the jobs of the plan."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.codes import notation
from orchestrator.codes.local_time import in_zone, parse_moment
from orchestrator.codes.notation import JobName
from orchestrator.errors import InvalidValue
from orchestrator.models import Entities
from workers.sources.tws_status.oql import Oql, UnsafeValue
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

    def prefers(self, job: Mapping[str, Any]) -> int:
        """How well the job's stream has the named id, or scheduled time in its zone; 0: it has neither."""
        if self.stream_id and text(job.get("jobStreamId")) == self.stream_id:
            return 3
        at = text(job.get("schedTime"))
        times = [moment for zone in ("", text(job.get("timeZone"))) if (moment := parse_moment(in_zone(at, zone)))]
        named = re.match(r"(\d{2}):?(\d{2})(?: (\d{2}/\d{2}/\d{2}))?$", self.time)
        if named is None:
            return 0
        hours = [moment for moment in times if f"{moment:%H%M}" == named[1] + named[2]]
        return bool(hours) + any(f"{moment:%m/%d/%y}" == named[3] for moment in hours)

    def is_at_root(self, job: Mapping[str, Any]) -> bool:
        """Whether a stream that is named whole, but for a folder, lies in the root folder, as conman means it."""
        return bool(self.workstation and self.stream and not self.folder) and text(job.get("folder"), 800) == "/"


_PART = r"[A-Za-z0-9_@?*-]{1,40}"
_PATTERN = re.compile(
    rf"(?:(?:(?P<workstation>{_PART})\#)?(?P<folder>/?(?:{_PART}/)*)(?P<stream>{_PART})\."
    rf"|(?P<only_workstation>{_PART})\#)?(?P<job>{_PART})"
)
_ZOS_PATTERN = re.compile(r"[A-Za-z0-9_$#@?*-]{1,40}")
_ANYTHING = re.compile("[@*]+")


@dataclass(frozen=True, slots=True)
class JobPattern:
    """The parts of a pattern of job names, each with wildcards; parts not given are empty."""

    job: str
    stream: str = ""
    workstation: str = ""
    folder: str = ""

    @property
    def query(self) -> Oql | None:
        """The jobs that the most telling part matches; None for all of the plan."""
        # The plan names a workstation with its folder, if any.
        station = self.workstation and f"@{self.workstation}"
        for field, part in (("name", self.job), ("jobStreamName", self.stream), ("workstation", station)):
            if part and not _ANYTHING.fullmatch(part):
                return Oql.like(field, part) if _wild(part) else Oql.equals(field, part)
        return None

    @property
    def spellings(self) -> tuple["JobPattern", ...]:
        """The pattern as given, in capitals and in small letters: a query tells them apart."""
        forms = (self, self._spelled(str.upper), self._spelled(str.lower))
        return tuple(dict.fromkeys(forms))

    def _spelled(self, change: Callable[[str], str]) -> "JobPattern":
        return JobPattern(change(self.job), change(self.stream), change(self.workstation), change(self.folder))

    def matches(self, job: Mapping[str, Any]) -> bool:
        """Whether a JobInPlanV2 is one of those meant, in any case."""
        stations = (_tail(job.get("workstation")), _tail(job.get("jobStreamWorkstation")))
        return all(
            not part or any(notation.wildcard_expression(part).fullmatch(value) for value in values)
            for part, values in (
                (self.job, (text(job.get("name")),)),
                (self.stream, (text(job.get("jobStreamName")),)),
                (self.workstation, stations),
                (self.folder, (text(job.get("folder"), 800).strip("/"),)),
            )
        )


def _wild(part: str) -> bool:
    return any(character in part for character in "@*?")


def pattern_readings(pattern: str) -> tuple[JobPattern, ...]:
    """Every way to read ``[WS#][[folder/]STREAM.]JOB`` with wildcards: ``PAY#D0*`` may be of z/OS, or on ``PAY``.

    Raises UnsafeValue.
    """
    match = _PATTERN.fullmatch(pattern.strip())
    readings = [JobPattern(pattern.strip())] if _ZOS_PATTERN.fullmatch(pattern.strip()) else []
    if match is not None:
        parts = match.groupdict(default="")
        station = parts["workstation"] or parts["only_workstation"]
        readings.append(JobPattern(parts["job"], parts["stream"], station, parts["folder"].strip("/")))
    if not readings:
        raise UnsafeValue("{name!r} is not a pattern of job names", name=pattern[:80])
    return tuple(dict.fromkeys(readings))


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
