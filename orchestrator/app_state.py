"""The state of a graph, with the keys and shapes of the Resync app: to a request, and from a report.

A stored ``Report`` keeps its own shapes; they become the app's here.
"""

import operator
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import ValidationError

from orchestrator.aggregate import FIELD_OF_SOURCE
from orchestrator.codes.notation import check_job_name, is_job_pattern
from orchestrator.codes.patterns import is_abend
from orchestrator.config import MAX_ITEMS, ParallelConfig
from orchestrator.errors import InvalidRequest, InvalidValue
from orchestrator.models import (
    MAX_MESSAGE_CHARACTERS,
    AggregatedData,
    AnswerMode,
    Entities,
    Intent,
    Report,
    RunOutcome,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.routing.router import route
from orchestrator.routing.vocabulary import is_known, is_stop_word, plain, vocabulary
from orchestrator.validation import describe

TIMEOUT = "timeout"
"""The word for a source that did not answer in time, in every language."""
_KINDS = {
    "jobs": ("jobs", "job_names", "job_name", "job"),
    "job_streams": ("job_streams", "job_stream"),
    "workstations": ("workstations", "workstation"),
    "abend_codes": ("abend_codes", "abend_code"),
    "message_ids": ("message_ids", "message_id"),
    "return_codes": ("return_codes", "return_code"),
}
"""The keys of an app's entities by the field of ``Entities``."""
_CODE_KEYS = ("error_codes", "error_code", "codes", "code")
"""Keys of entities that may hold a return code, an abend code or a message id."""
_RETURN_CODE = re.compile(r"[+-]?[0-9]{1,15}")
_METRICS = {
    "cache_hit_rate": (("cache_hit_rate",), ("cache", "hit_rate")),
    "api_error_rate": (("error_rate",), ("slo", "api_error_rate")),
    "tws_connection_success_rate": (("slo", "tws_connection_success_rate"),),
    "api_response_time_p95": (("slo", "api_response_time_p95"),),
}
"""Where the app looks for the value of a series."""


class DataSourceResult(TypedDict):
    """The result of one source: an entry of ``parallel_results``.

    ``data`` is empty when the source failed. Those of a graph have every field of a report's result.
    """

    source: str
    data: dict[str, Any]
    latency_ms: float
    success: bool
    error: str | None
    job: NotRequired[str | None]
    outcome: NotRequired[str]
    reason: NotRequired[str | None]


class ParallelState(TypedDict, total=False):
    """The state of a graph: the keys that the Resync app writes and reads.

    ``intent``, ``confidence`` and ``entities`` are heeded when they come in. ``errors`` has a sentence for each source
    that did not answer, ``error_details`` the same as data. ``job_reports`` has every job, ``groups`` those of one
    cause.
    """

    message: str
    user_id: str | None
    session_id: str | None
    tws_instance_id: str | None
    job_name: str | None
    jobs: list[str]
    pipeline: str | None
    intent: str
    confidence: float
    entities: dict[str, Any]
    parallel_results: Annotated[list[DataSourceResult], operator.add]
    aggregated_data: dict[str, Any]
    total_latency_ms: float
    parallel_latency_ms: float
    response: str
    metadata: dict[str, Any]
    errors: Annotated[list[str], operator.add]
    error_details: list[dict[str, Any]]
    job_reports: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    run_id: str


def with_thread(state: Mapping[str, Any], config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The state with the ``thread_id`` of LangGraph's ``config`` as its session, where it has none."""
    config = config or {}
    thread = (config.get("configurable") or config).get("thread_id")
    return state if thread is None or state.get("session_id") else {**state, "session_id": str(thread)}


def make_request(state: Mapping[str, Any], config: ParallelConfig, intent: Intent | None) -> TroubleshootRequest:
    """The request in the keys of a state; ``intent`` is that of a state without one.

    What the app's router wrote is heeded as far as it is understood. In a state with a ``run_id``, which has been
    through a graph, it belongs to the question before, and so it is not.

    Raises InvalidRequest naming the field.
    """
    names = ("user_id", "session_id", "tws_instance_id", "job_name", "pipeline")
    fields: dict[str, Any] = {name: state[name] for name in names if not _is_blank(state.get(name))}
    if (message := state.get("message")) is not None:
        fields["message"] = message
    routed = {} if state.get("run_id") else state
    given = _intent(routed.get("intent"))
    if given is not None:
        fields["confidence"] = _confidence(routed.get("confidence"))
    fields |= {
        "jobs": tuple(job for job in _list_of(state.get("jobs")) if not _is_blank(job)),
        "intent": given or intent,
        "entities": _entities(routed.get("entities")),
        "config": config,
    }
    try:
        return TroubleshootRequest.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(describe(error)) from None


def fill_state(state: Mapping[str, Any], report: Report) -> ParallelState:
    """The state with the keys that the app reads from the report."""
    routing = report.routing or route(str(state.get("message", "")))
    entities = state.get("entities")
    return {
        **state,  # type: ignore[typeddict-item]  # the state may have other keys of the app
        "run_id": report.run_id,
        "intent": routing.intent.value,
        "confidence": routing.confidence,
        "entities": {
            **(entities if isinstance(entities, dict) else {}),
            **routing.entities.model_dump(mode="json"),
            "job_name": next(iter(routing.entities.jobs), None),
        },
        "parallel_results": [app_result(envelope) for envelope in report.parallel_results],
        "aggregated_data": app_aggregate(report.aggregated_data),
        "total_latency_ms": report.total_latency_ms,
        "parallel_latency_ms": report.parallel_latency_ms,
        "response": report.response,
        "metadata": {
            "speedup_factor": report.aggregated_data.speedup_factor,  # also of a report that could be read in part only
            **report.metadata,
            "outcome": report.outcome.value,
            "committed": report.committed,
            "committed_by": report.committed_by,
            "reason": report.reason,
        },
        "errors": _errors(report),
        "error_details": [failure.model_dump(mode="json") for failure in report.errors],
        "job_reports": [job.model_dump(mode="json") for job in report.jobs],
        "groups": [group.model_dump(mode="json") for group in report.groups],
    }


def _intent(value: object) -> Intent | None:
    """The intent, also as a member of the app's own enumeration; None for one that says nothing or is not known."""
    text = getattr(value, "value", value)
    with suppress(ValueError):
        intent = Intent(text.strip().lower() if isinstance(text, str) else "")
        return None if intent is Intent.UNKNOWN else intent
    return None


def _confidence(value: object) -> float | None:
    is_share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if is_share else None  # type: ignore[arg-type]  # narrowed by is_share


def _entities(value: object) -> Entities | None:
    """The names and codes in an app's entities; what is none is left out.

    The app's router takes "falhou" of "o job falhou" for a job: a word that the router of this package knows is none.
    """
    if not isinstance(value, Mapping):
        return None
    found = {field: _words(value, keys) for field, keys in _KINDS.items()}
    for code in _words(value, _CODE_KEYS):
        kind = "return_codes" if code.lstrip("+-").isdigit() else "abend_codes" if is_abend(code) else "message_ids"
        found[kind].append(code)
    patterns = [job for job in found["jobs"] if is_job_pattern(job)]
    jobs = [job for job in found["jobs"] if _is_job(job)]
    numbers = [int(code) for code in found["return_codes"] if _RETURN_CODE.fullmatch(code)]
    try:
        return TroubleshootRequest.model_validate(
            {"message": "?", "entities": {**found, "jobs": jobs, "job_patterns": patterns, "return_codes": numbers}}
        ).entities
    except ValidationError:
        return Entities(jobs=tuple(jobs)) if jobs else None


def _words(value: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The values of these keys as words, as many and as long as a request may have."""
    items = islice((item for key in keys for item in _list_of(value.get(key))), MAX_ITEMS)
    words = (_word(item) for item in items)
    return [*dict.fromkeys(word for word in words if 0 < len(word) <= MAX_MESSAGE_CHARACTERS)]


def _word(item: object) -> str:
    if isinstance(item, int):
        return str(item) if abs(item) < 10**15 else ""  # no return code; str() refuses one of thousands of digits
    return item.strip() if isinstance(item, str) else ""


def _list_of(value: object) -> list[object]:
    return [*value] if isinstance(value, list | tuple) else [] if value is None else [value]


def _is_blank(value: object) -> bool:
    """Whether a key of a state says nothing: a form gives an empty text for a field that was left out."""
    return value is None or (isinstance(value, str) and not value.strip())


def _is_job(name: str) -> bool:
    try:
        check_job_name(name)
    except InvalidValue:
        return False
    word = plain(name)
    # BACKUP and FOLHA are jobs, as they are written; FALHOU is none.
    is_word = is_stop_word(word) or bool(vocabulary().families(word)) if name.isupper() else is_known(word)
    return not is_word


def app_result(envelope: SourceEnvelope) -> DataSourceResult:
    """The result of a source as the app has it: its keys in the data, an empty value and a sentence on failure."""
    result = envelope.model_dump(mode="json")
    if envelope.success:
        data = _app_data(envelope.source, envelope.data)
        if envelope.source == "rag_search":
            data = {**envelope.data, "results": _passages(envelope.data)}
        return {**result, "data": data}  # type: ignore[typeddict-item]  # all fields of an envelope
    error = _error(envelope.error or envelope.reason or "", envelope.outcome, envelope.reason)
    return {**result, "data": {}, "error": error}  # type: ignore[typeddict-item]


def app_aggregate(aggregated: AggregatedData) -> dict[str, Any]:
    """The aggregate as the app has it, with an empty value of its type for each source that gave none."""
    fields = aggregated.model_dump(mode="json")
    for source, field in FIELD_OF_SOURCE.items():
        data = fields[field] or {}
        by_job = len(aggregated.jobs) > 1 and set(data) <= set(aggregated.jobs)
        if source == "rag_search":
            parts = [({"job": job}, part) for job, part in data.items()] if by_job else [({}, data)]
            fields[field] = [{**passage, **of_job} for of_job, part in parts for passage in _passages(part)]
        elif by_job:
            fields[field] = {job: _app_data(source, part) for job, part in data.items()}
        else:
            fields[field] = _app_data(source, data)
    for entry, failure in zip(fields["sources_failed"], aggregated.sources_failed, strict=True):
        entry["error"] = _error(failure.error, failure.outcome, failure.reason)
    return fields


def app_error(failure: SourceFailure) -> str:
    """The sentence of a source that did not answer, for ``errors``."""
    name = failure.source if failure.job is None else f"{failure.source} ({failure.job})"
    return f"{name}: {_error(failure.error, failure.outcome, failure.reason)}"


def _app_data(source: str, data: dict[str, Any]) -> dict[str, Any]:
    """The data of a source with the keys of the app beside its own."""
    if source == "log_cache" and "history" in data:
        return {**data, "job_history": data["history"]}
    if source == "metrics":
        return {**data, **_app_metrics(data)}
    return data


def _passages(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The passages as the app has them; those of an app's own source are so already."""
    if isinstance(results := data.get("results"), list):
        return results
    passages = [item for item in _list_of(data.get("passages")) if isinstance(item, dict)]
    return [{**item, "source": item.get("document", ""), "content": item.get("text", "")} for item in passages]


def _app_metrics(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the series that the app knows, under its names; what was not measured is left out."""
    named: dict[str, Any] = {}
    for series in _list_of(data.get("series")):
        if not isinstance(series, dict) or series.get("value") is None:
            continue
        for *group, name in _METRICS.get(str(series.get("name")), ()):
            home = named.setdefault(group[0], {}) if group else named
            home[name] = series["value"]
    return named


def _errors(report: Report) -> list[str]:
    """A sentence for each source that did not answer; one at least for a run that has failed, or a step of it."""
    errors = [app_error(failure) for failure in report.errors]
    if report.mode is AnswerMode.RAW and report.reason is not None:
        # Its second block says why the data is not explained; the first is a heading.
        errors.append(" ".join(report.response.split("\n\n")[1:2]))
    if not errors and report.outcome in (RunOutcome.FAILED, RunOutcome.TIMED_OUT):
        outcome = SourceOutcome.TIMEOUT if report.outcome is RunOutcome.TIMED_OUT else None
        errors.append(_error(report.response.strip().partition("\n")[0].lstrip("# "), outcome, report.reason))
    return errors


def _error(text: str, outcome: SourceOutcome | None, reason: str | None) -> str:
    is_timeout = outcome is SourceOutcome.TIMEOUT or TIMEOUT in (reason or "")
    return f"{TIMEOUT}: {text}" if is_timeout and TIMEOUT not in text.lower() else text
