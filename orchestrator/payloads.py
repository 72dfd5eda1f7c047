"""Models of the ``data`` of the four built-in sources: written by the sources, read by rules and renderers.

Every field has a default and unknown fields are ignored, so that other versions can be read. Terms are those of the HWA
REST API v2 (JobInPlanV2, jobruns[], WorkstationInPlan).
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Facts(BaseModel):
    """Base of the payload models: frozen, ignoring unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class RunFacts(Facts):
    """A run of a job (``jobruns[]``). Times are ISO 8601 as the server sent them.

    ``elapsed_seconds`` of a run that has not ended is the time since its start, by the server's clock.
    """

    run_id: str = ""
    job_number: int | None = None
    status: str = ""
    substatus: str = ""
    return_code: int | None = None
    error: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    elapsed_seconds: float | None = None
    workstation: str = ""


class LogWindow(Facts):
    """Lines ``from_line..to_line`` (1-based, inclusive) of a job log."""

    from_line: int
    to_line: int
    kind: str = "tail"
    """``head``, ``tail`` or ``match``."""
    lines: tuple[str, ...] = ()


class JobLogFacts(Facts):
    """The parts of a job log that were read."""

    run_id: str = ""
    total_lines: int | None = None
    read_lines: int | None = None
    windows: tuple[LogWindow, ...] = ()
    codes: tuple[str, ...] = ()
    """Abend codes and message ids found in the windows."""
    step: str = ""
    """The failed step, if the log names it."""
    repeats: dict[int, int] = {}
    """Lines that repeat in sequence: the number of the first, and how many there are."""
    note: str = ""
    stopped: str = ""
    """Reason of the error that ended the reading early; else empty."""

    @property
    def numbered(self) -> dict[int, str]:
        """The lines that were read by their numbers, each once, in order."""
        lines = {window.from_line + i: line for window in self.windows for i, line in enumerate(window.lines)}
        return dict(sorted(lines.items()))


class RelatedFacts(Facts):
    """A predecessor or successor; ``kind`` is ``job``, ``job_stream``, ``file``, ``resource``, ``prompt``, ..."""

    name: str
    kind: str = "job"
    status: str = ""
    substatus: str = ""
    return_code: int | None = None
    dependency_type: str = ""
    satisfied: bool | None = None
    detail: str = ""


class IssueFacts(Facts):
    """An item of ``/plan/job/issues``: a reason why a job does not start."""

    id: str = ""
    message: str = ""
    type: str = ""


class WorkstationFacts(Facts):
    """State of a workstation. Unlinked: no linked state among its ``active_states``."""

    name: str
    folder: str = ""
    type: str = ""
    linked: bool | None = None
    online: bool | None = None
    running: bool | None = None
    limit: int | None = None
    fence: int | None = None
    agent_id: str = ""
    active_states: tuple[str, ...] = ()


class JobFacts(Facts):
    """A job in the plan."""

    id: str = ""
    name: str = ""
    folder: str = ""
    """Folder of the job stream."""
    workstation: str = ""
    workstation_folder: str = ""
    job_stream: str = ""
    job_stream_instance: str = ""
    """``(hhmm mm/dd/yy)``, where the plan has the job stream more than once."""
    job_stream_workstation: str = ""
    job_stream_workstation_folder: str = ""
    job_stream_status: str = ""
    status: str = ""
    substatus: str = ""
    return_code: int | None = None
    success_condition: str = ""
    priority: int | None = None
    scheduled_at: str | None = None
    start_at: str | None = None
    """The time before which it does not start (``timeRestrictions.startTime``)."""
    is_late: bool = False
    time_zone: str = ""
    """Time zone of the job stream."""
    logon_user: str = ""
    task: str = ""
    recovery_option: str = ""
    estimated_seconds: float | None = None
    runs: tuple[RunFacts, ...] = ()
    issues: tuple[IssueFacts, ...] = ()
    predecessors: tuple[RelatedFacts, ...] = ()
    successors: tuple[RelatedFacts, ...] = ()
    job_log: JobLogFacts | None = None
    job_log_error: str = ""
    """Reason why the job log could not be read to its end; empty when it was, or when there is none."""

    @property
    def newest_return_code(self) -> int | None:
        """The job's return code, or that of its newest run."""
        if self.return_code is not None or not self.runs:
            return self.return_code
        return self.runs[0].return_code


class ListedGroup(Facts):
    """Objects of a list that are alike: of one job stream, in one state, with one return code."""

    stream: str = ""
    """Job stream, for a list of jobs in some state."""
    status: str = ""
    return_code: int | None = None
    count: int = 0
    names: tuple[str, ...] = ()
    """The first of them."""


class ListingFacts(Facts):
    """The answer to a question for a list of the plan, or for a number."""

    listed: str = "jobs"
    """``jobs``, ``streams`` or ``workstations``."""
    states: tuple[str, ...] = ()
    """What it is limited to: states in words (``failed``, ``running``, ``unlinked``, ...) or as TWS writes them."""
    where: tuple[str, ...] = ()
    """The folders, job streams and workstations that it is limited to."""
    is_count: bool = False
    """Whether the number is asked for."""
    resource: str = ""
    """The resource that the jobs wait for."""
    count: int = 0
    unread: int = 0
    """Results that were not read: of these, more may belong to the list."""
    groups: tuple[ListedGroup, ...] = ()
    by_stream: dict[str, int] = {}
    by_code: dict[str, int] = {}
    is_complete: bool = True
    """Everything was read and is named."""


def is_cut_list(data: Mapping[str, Any]) -> bool:
    """Whether something of a list in a source's ``data`` was not read or not named, or of the jobs that it found."""
    listing, found, count = data.get("listing"), data.get("found"), data.get("found_count")
    if isinstance(found, list) and isinstance(count, int) and count > len(found):
        return True
    return isinstance(listing, dict) and listing.get("is_complete") is False


def listed_jobs(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The jobs that a list in a source's ``data`` names, by their whole names."""
    try:
        listing = ListingFacts.model_validate(data.get("listing") or {"listed": ""})
    except ValidationError:  # of another version
        return ()
    groups = listing.groups if listing.listed == "jobs" else ()
    return tuple(f"{group.stream}.{name}" if group.stream else name for group in groups for name in group.names)


class TwsPayload(Facts):
    """``data`` of ``tws_status``: the ``job`` asked about, or without one the ``problem_jobs`` of the plan."""

    instance: str = ""
    engine: str = ""
    time_zone: str = ""
    """Time zone of the engine."""
    asked_at: str = ""
    """When the plan was read, by the server's clock."""
    job: JobFacts | None = None
    candidates: tuple[str, ...] = ()
    """Other jobs of the same name, fully qualified."""
    unknown: tuple[str, ...] = ()
    """What the question names, or may name, and the plan does not have."""
    nearest: tuple[str, ...] = ()
    """Names of the plan that are most like those."""
    named_stream: str = ""
    named_workstation: str = ""
    """The job stream or workstation that a word of the question turned out to name."""
    workstations: tuple[WorkstationFacts, ...] = ()
    problem_jobs: tuple[JobFacts, ...] = ()
    """Beside a waiting ``job``: the one upstream that holds it."""
    between: tuple[str, ...] = ()
    """Names of the jobs between ``job`` and the one that holds it, from ``job`` on.

    For a job stream: of its waiting job, and of those between it and the first of ``problem_jobs``.
    """
    listing: ListingFacts | None = None
    found: tuple[str, ...] = ()
    """Of a list of jobs, or of the jobs in trouble: whole names to ask for, worst first, at most MAX_JOBS."""
    found_count: int = 0
    """How many jobs these are, named in ``found`` or not."""
    problem_count: int | None = None
    problems_asked: str = ""
    notes: tuple[str, ...] = ()
    """What could not be read and why, one line each, in the language of the question."""
    unread: tuple[str, ...] = ()
    """The same of requests that failed beside the search, with the object; without job logs (``job_log_error``)."""


class Passage(Facts):
    """A passage of the knowledge base."""

    document: str
    section: str = ""
    text: str
    score: float = 0.0
    codes: tuple[str, ...] = ()


class RagPayload(Facts):
    """``data`` of ``rag_search``."""

    query: str = ""
    backend: str = ""
    passages: tuple[Passage, ...] = ()
    total_found: int | None = None


class HistoryFacts(Facts):
    """An earlier outcome or error of a job."""

    at: str | None = None
    status: str = ""
    codes: tuple[str, ...] = ()
    return_code: int | None = None
    step: str = ""
    elapsed_seconds: float | None = None
    text: str = ""
    age_days: float | None = None
    run_id: str = ""
    """Id of the run in TWS, if known: distinguishes the current run from earlier ones."""
    job: str = ""
    job_stream: str = ""
    """The job and its stream, where the record names them: what is on record of one job is not said of another."""


class LogPayload(Facts):
    """``data`` of ``log_cache``, newest first."""

    recent_errors: tuple[HistoryFacts, ...] = ()
    history: tuple[HistoryFacts, ...] = ()
    last_success_at: str | None = None
    same_code: dict[str, int] = {}
    """Earlier occurrences of each code of the question or the log."""
    elapsed_trend_ratio: float | None = None
    """Newest elapsed time over the median of the earlier ones."""
    newest_age_days: float | None = None
    corrupt_keys: tuple[str, ...] = ()


HOST_LABELS = ("workstation", "instance", "host", "hostname", "node")
"""Labels that name a host, the surest first."""


def host_of(labels: Mapping[str, str]) -> str:
    """The host that the labels of a metric name, without domain and port."""
    value = next((labels[name] for name in HOST_LABELS if name in labels), "")
    return re.split(r"[.:]", value, maxsplit=1)[0]


class SeriesFacts(Facts):
    """A metric: its current value, and a summary of a short range if there is one."""

    name: str
    value: float | None = None
    unit: str = ""
    labels: dict[str, str] = {}
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    trend: str = ""
    """``rising``, ``falling``, ``flat`` or empty."""
    anomaly_ratio: float | None = None
    """Mean over that of the day before."""
    concern: str = ""
    """Why the value is a concern, in the language of the question; else empty."""

    @property
    def host(self) -> str:
        """The host that the value is of, as its labels name it; empty for a value of no host."""
        of_a_host = self.name.startswith("host_") or HOST_LABELS[0] in self.labels
        return host_of(self.labels) if of_a_host else ""


class MetricsPayload(Facts):
    """``data`` of ``metrics``."""

    backend: str = ""
    series: tuple[SeriesFacts, ...] = ()
    missing: tuple[str, ...] = ()
    """Requested series without data."""
    at: str | None = None
    """Time of the values, ISO 8601, when they are those of the end of the failed run; None for the newest values."""
