"""JSON of the HWA REST API v2 (JobInPlanV2, JobStreamInPlanV2, WorkstationInPlanV2, ...) to payload models.

Nothing here raises: missing fields and values of the wrong type are ignored, unknown enum values kept as text.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.codes.control import blank_controls, without_controls
from orchestrator.codes.local_time import seconds_between
from orchestrator.codes.notation import in_folder, qualified_stream, whole_name
from orchestrator.codes.states import RUNNING
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Joined, Message, Text, join, write
from orchestrator.payloads import IssueFacts, JobFacts, RelatedFacts, RunFacts, WorkstationFacts
from orchestrator.redaction.redact import CUT_MARGIN, is_secret_item, redact_start

Json = Mapping[str, Any]

_DURATION = TypeAdapter(timedelta)
_LINKED = {"LINKED", "FULLY_LINKED", "DIRECTLY_LINKED", "HOST_LINKED", "EXTENDED_LINKED", "TCP_IP_LINKED"}
_RUNNING = {"RUNNING", "JOBMAN_UP", "INSTALLED_AND_RUNNING", "START"}
_COUNTS = {
    "numberOfJob": Message("{count} job", plural="{count} jobs"),
    "numberOfSuccessfullJob": Message("{count} successful", plural="{count} successful"),
    "numberOfExecutingJob": Message("{count} executing", plural="{count} executing"),
    "numberOfAbendedJob": Message("{count} abended", plural="{count} abended"),
    "numberOfFailedJob": Message("{count} failed", plural="{count} failed"),
    "numberOfNotRunningJob": Message("{count} not running", plural="{count} not running"),
}
MAX_RUNS = 10
_NAME, _NAME_CHARACTERS = re.compile(r"[\w.#$@/+:;-]*", re.ASCII), 100
"""Names, ids and times, which are not cut: of them the envelope masks what is a secret."""
_ENDS_NAME = re.compile(r"[\s;|&<>(){}'\"`\\!]")


def clean(value: str, limit: int) -> str:
    """The text on one line without control characters, which swell in JSON, at most ``limit`` bytes of UTF-8."""
    line = blank_controls(value[:limit]).replace("\n", " ")
    return line.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def text(value: object, limit: int = 400) -> str:
    """A string or number as clean text of at most ``limit`` bytes; any other value as an empty string.

    What is no name is masked before it is cut.
    """
    if isinstance(value, str):
        if len(value) > _NAME_CHARACTERS or _NAME.fullmatch(value) is None:
            value, _ = redact_start(without_controls(value[: limit + CUT_MARGIN + 1]), limit)
        return clean(value, limit)
    return clean(str(value), limit) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def object_name(value: object, limit: int = 400) -> str:
    """The name of an object of TWS, or a folder with names in it.

    It goes into commands that an operator may copy. TWS refuses names with signs that end one; whoever writes into
    what it answers does not, so these signs are underscores here.
    """
    return _ENDS_NAME.sub("_", text(value, limit))


def number(value: object) -> int | None:
    """An integer of at most 18 digits, also when given as text; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,18}", value.strip()):
        return int(value)
    return None


def seconds(value: object) -> float | None:
    """Seconds of an ISO 8601 duration such as ``PT1H30M``."""
    if not isinstance(value, str) or not value.startswith("P"):
        return None
    try:
        return _DURATION.validate_python(value).total_seconds()
    except ValidationError:
        return None


def mapping(value: object) -> Json:
    """The object, or an empty one for a value of another type."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> tuple[Json, ...]:
    """The objects of a list; an empty tuple for a value of another type."""
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list | tuple) else ()


def parse_run(run: Json) -> RunFacts:
    """An item of ``jobruns[]``."""
    status, times = mapping(run.get("compositeStatus")), mapping(run.get("timeInfo"))
    code = number(run.get("returnCode"))
    started_at, ended_at = text(times.get("actualStartTime")) or None, text(times.get("actualEndTime")) or None
    return RunFacts(
        run_id=text(run.get("id")),
        job_number=number(run.get("jobNumber")),
        status=text(status.get("status")),
        substatus=text(status.get("substatus")),
        return_code=code,
        error="error" if status.get("error") is True else "",
        started_at=started_at,
        ended_at=ended_at,
        elapsed_seconds=seconds(times.get("elapsedTime")) or seconds_between(started_at, ended_at),
        workstation=text(run.get("actualWorkstation")),
    )


def parse_job(job: Json) -> JobFacts:
    """A JobInPlanV2, with or without its definition; runs newest first, at most MAX_RUNS."""
    runs = tuple(sorted((parse_run(run) for run in items(job.get("jobruns"))), key=_newest_first, reverse=True))
    last = runs[0] if runs else None
    status = mapping(job.get("lastRunCompositeStatus"))
    definition, restrictions = mapping(job.get("jobDefinition")), mapping(job.get("timeRestrictions"))
    logins = definition.get("userLogins")
    return JobFacts(
        id=text(job.get("id")),
        name=object_name(job.get("name")),
        folder=object_name(job.get("folder"), 800),
        workstation=_key_name(job.get("workstation")),
        workstation_folder=_key_folder(job.get("workstation")),
        job_stream=object_name(job.get("jobStreamName")),
        job_stream_workstation=_key_name(job.get("jobStreamWorkstation")),
        job_stream_workstation_folder=_key_folder(job.get("jobStreamWorkstation")),
        status=text(status.get("status")) or (last.status if last else "") or text(job.get("lastRunCommonStatus")),
        substatus=text(status.get("substatus")) or (last.substatus if last else ""),
        return_code=last.return_code if last else None,
        success_condition=_success_condition(items(job.get("jobruns"))),
        priority=number(job.get("priority")),
        scheduled_at=text(job.get("schedTime")) or None,
        time_zone=text(job.get("timeZone")),
        start_at=text(restrictions.get("startTime")) or None,
        is_late=mapping(job.get("jobStatusFlags")).get("jobLate") is True,
        logon_user=", ".join(text(login) for login in logins if text(login)) if isinstance(logins, list) else "",
        task=_task(mapping(definition.get("task"))),
        recovery_option=text(definition.get("recoveryOption")),
        estimated_seconds=seconds(definition.get("estimatedDuration")) or _estimate(items(job.get("jobruns"))),
        runs=runs[:MAX_RUNS],
        predecessors=tuple(parse_dependency(item) for item in items(job.get("dependencies"))),
    )


def parse_job_stream(stream: Json, language: Language = Language.EN) -> RelatedFacts:
    """A JobStreamInPlanV2 as a related object, its detail in ``language``."""
    status = mapping(stream.get("compositeStatus"))
    return RelatedFacts(
        name=qualified_stream(
            _key(stream.get("workstation")),
            object_name(stream.get("name")),
            folder=object_name(stream.get("folder"), 800),
        ),
        kind="job_stream",
        status=text(status.get("status")) or text(stream.get("commonStatus")),
        substatus=text(status.get("substatus")),
        detail=_stream_counts(mapping(stream.get("jobStreamStats"))).in_language(language),
    )


def parse_flow_node(node: Json, language: Language = Language.EN) -> RelatedFacts:
    """An item of ``predecessors`` or ``successors``: a job stream if ``flowNodeType`` is JOBSTREAM, else a job."""
    if is_job_stream(node):
        return parse_job_stream(node, language)
    job = parse_job(node)
    return RelatedFacts(name=whole_name(job), status=job.status, substatus=job.substatus, return_code=job.return_code)


def is_job_stream(node: Json) -> bool:
    """Whether an item of ``predecessors`` or ``successors`` is a job stream."""
    return text(node.get("flowNodeType")) == "JOBSTREAM"


def parse_dependency(item: Json, language: Language = Language.EN) -> RelatedFacts:
    """An item of ``dependencies[]`` of a job, its detail in ``language``."""
    kind = text(item.get("dependencyType"))
    state = text(item.get("dependencyStatus"))
    status = mapping(item.get("predecessorStatus")) or mapping(item.get("jobInPlanCompositeStatus"))
    subject = _subject(kind, item)
    conditions = ", ".join(text(value) for value in _values(item.get("statusConditions"), item.get("outputConditions")))
    satisfied = item.get("satisfied")
    return RelatedFacts(
        name=subject.name or text(item.get("id")) or kind,
        kind=subject.kind,
        status=text(status.get("status")) or subject.status,
        substatus=text(status.get("substatus")),
        dependency_type=kind,
        satisfied=satisfied if isinstance(satisfied, bool) else {"SATISFIED": True, "UNSATISFIED": False}.get(state),
        detail=write(subject.detail, language) or conditions,
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a dependency points at."""

    name: str
    kind: str = "job"
    status: str = ""
    detail: Text | str = ""


def _subject(kind: str, item: Json) -> _Subject:
    reader = _SUBJECTS.get(kind)
    return reader(item) if reader else _job_subject(item)


def _job_subject(item: Json) -> _Subject:
    stream = _stream_of(item)
    job = text(item.get("jobName"))
    return _Subject(f"{stream}.{job}" if stream and job else job or text(item.get("jobId")))


def _stream_subject(item: Json) -> _Subject:
    return _Subject(_stream_of(item), "job_stream")


def _stream_of(item: Json) -> str:
    return qualified_stream(
        _key(item.get("jobStreamWorkstation")),
        object_name(item.get("jobStreamName")),
        folder=object_name(item.get("jobStreamFolder"), 800),
    )


def _file_subject(item: Json) -> _Subject:
    file = mapping(item.get("file"))
    qualifier, where = text(file.get("qualifier")), _key(file.get("workstation"))
    detail = join(
        (qualifier and Message("qualifier {name}", name=qualifier), where and Message("on {name}", name=where))
    )
    return _Subject(text(file.get("name"), 800), "file", text(file.get("status")), detail)


def _resource_subject(item: Json) -> _Subject:
    needed, free = number(item.get("quantity")), number(item.get("available"))
    is_known = needed is not None and free is not None
    detail = Message("needs {needed}, available {free}", needed=needed, free=free) if is_known else ""
    return _Subject(text(item.get("name")) or text(item.get("originalName")), "resource", "", detail)


def _prompt_subject(item: Json) -> _Subject:
    name = text(item.get("promptName")) or text(item.get("promptOriginalName"))
    return _Subject(name, "prompt", text(item.get("promptStatus")), text(item.get("text")))


def _network_subject(item: Json) -> _Subject:
    return _Subject(text(item.get("dependency")), "internetwork", "", text(item.get("networkAgent")))


def _join_subject(item: Json) -> _Subject:
    # Nested joins are named, not expanded: their depth is up to the server.
    members = ", ".join(
        text(member.get("joinName")) or parse_dependency({**member, "members": None}).name
        for member in items(item.get("members"))[:10]
    )
    detail = Message("{criteria} of {members}", criteria=text(item.get("criteria")), members=members)
    return _Subject(text(item.get("joinName")), "join", "", detail)


_SUBJECTS: Mapping[str, Callable[[Json], _Subject]] = {
    "FILE": _file_subject,
    "RESOURCE": _resource_subject,
    "PROMPT": _prompt_subject,
    "INTERNETWORK": _network_subject,
    "JOIN": _join_subject,
    "EXTERNAL_JOBSTREAM": _stream_subject,
}


def parse_workstation(item: Json) -> WorkstationFacts:
    """A WorkstationInPlanV2. Without ``activeStates`` its link state is unknown (None), not unlinked."""
    raw = item.get("activeStates")
    states = tuple(text(state) for state in raw if text(state)) if isinstance(raw, list) else None
    active = set(states or ())
    return WorkstationFacts(
        name=object_name(item.get("name")),
        folder=object_name(item.get("folder"), 800),
        type=text(item.get("type")),
        linked=None if states is None else bool(active & _LINKED),
        online=None if states is None else "ONLINE" in active,
        running=None if states is None else bool(active & _RUNNING),
        limit=number(item.get("limit")),
        fence=number(item.get("fence")),
        agent_id=text(item.get("agentId")),
        active_states=states or (),
    )


def parse_issue(item: Json) -> IssueFacts:
    """An item of ``issues[]``."""
    return IssueFacts(id=text(item.get("id")), message=text(item.get("issueMessage")), type=text(item.get("issueType")))


def _newest_first(run: RunFacts) -> tuple[str, int]:
    return (run.started_at or "", run.job_number or 0)


def _key(value: object) -> str:
    """A key such as ``/FOLDER/NAME``; one in the root folder as its name."""
    return in_folder(_key_folder(value), _key_name(value))


def _key_name(value: object) -> str:
    """The name of a key such as ``/FOLDER/NAME``."""
    return object_name(value, 900).rpartition("/")[2]


def _key_folder(value: object) -> str:
    """The folder of a key such as ``/FOLDER/NAME``; empty for the root folder."""
    folder = object_name(value, 900).rpartition("/")[0].strip("/")
    return f"/{folder}" if folder else ""


def _values(*lists: object) -> Iterable[object]:
    for values in lists:
        if isinstance(values, list):
            yield from values


def _success_condition(runs: tuple[Json, ...]) -> str:
    for run in reversed(runs):
        for condition in items(run.get("outputConditions")):
            if condition.get("isSuccCondition") is True or condition.get("succCondition") is True:
                return text(condition.get("mappingExpression"))
    return ""


def _estimate(runs: tuple[Json, ...]) -> float | None:
    """The estimate that the newest run brings, for a search gives no definitions."""
    estimates = (seconds(mapping(run.get("timeInfo")).get("estimatedDuration")) for run in reversed(runs))
    return next(filter(None, estimates), None)


def running_until(job: JobFacts, now: datetime) -> JobFacts:
    """The job with the time that its running run has taken until ``now``, where the server does not say it."""
    run = job.runs[0] if job.runs else None
    if run is None or run.ended_at or run.elapsed_seconds or job.status not in RUNNING:
        return job
    lasting = run.model_copy(update={"elapsed_seconds": seconds_between(run.started_at, now)})
    return job.model_copy(update={"runs": (lasting, *job.runs[1:])})


def _task(task: Json) -> str:
    """The script or command of the job; its place differs by job type."""
    for value in _texts(task):
        return value
    return ""


def _texts(value: object, depth: int = 0) -> Iterable[str]:
    if depth > 4:
        return
    if isinstance(value, str):
        yield text(value)
    elif isinstance(value, dict):
        for name in ("scriptName", "command", "script", "jcl", "memberName", *value):
            if name in value and not is_secret_item(value, name):
                yield from _texts(value[name], depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)


def _stream_counts(stats: Json) -> Joined:
    counts = ((message, number(stats.get(key))) for key, message in _COUNTS.items())
    return join((message.with_facts(count=count) for message, count in counts if count is not None), ", ")
