"""What an answer has to admit: sources that are missing, data that is old or cut."""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.codes.states import ABENDED, FAILED
from orchestrator.diagnosis.reruns import not_looked_at
from orchestrator.diagnosis.rules.history import STALE_DAYS
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import MAX_JOBS, Plan, SourceEnvelope, SourceFailure, SourceOutcome
from orchestrator.outcomes import BY_REASON, REASONS

MAX_UNREAD = 8
LEFT_OUT = Message(
    "{count} more job was not examined: one question is about {limit} at most. Ask about the others in another one.",
    plural="{count} more jobs were not examined: one question is about {limit} at most. Ask about the others in "
    "another one.",
    count=0,
)
MAX_JOBS_NAMED = 3
"""Jobs about which a source gave no answer that are named; of more, the number is told."""
_LOSSES = {
    "tws_status": Message("the job's current state, its dependencies and its job log are missing"),
    "rag_search": Message("the runbooks are missing"),
    "log_cache": Message("the job's history is missing"),
    "metrics": Message("the metrics are missing"),
}


def missing_evidence(
    plan: Plan | None, envelopes: Sequence[SourceEnvelope], scenes: Sequence[Scene]
) -> tuple[Text, ...]:
    """Each source that is missing and why, then what is missing from those that answered."""
    gaps = dict.fromkeys(_missing_sources([envelope for envelope in envelopes if _is_missing(envelope)]))
    reported = {envelope.key for envelope in envelopes}
    for planned in plan.asked if plan else ():
        if planned.key not in reported:
            gaps[_missing(planned.source, REASONS[SourceOutcome.NOT_STARTED])] = None
    if plan is not None and plan.left_out:
        gaps[LEFT_OUT.with_facts(count=plan.left_out, limit=MAX_JOBS)] = None
    gaps |= dict.fromkeys(_by_kind(gap for scene in scenes for gap in _gaps(scene)))
    gaps |= dict.fromkeys(_not_given(scenes))
    for envelope in envelopes:
        # A knowledge base always has more passages; a log or a plan that was cut may hide the cause.
        if (cut := envelope.cut_text) and envelope.source != "rag_search":
            gaps[Message("{source} cut data: {what}.", source=envelope.source, what=cut)] = None
    return tuple(gaps)


def why(failure: SourceFailure | SourceEnvelope) -> Text:
    """Why a source is missing, in a few words."""
    reason = BY_REASON.get(failure.reason or "") or REASONS.get(failure.outcome or SourceOutcome.ERROR)
    error = failure.error_text if isinstance(failure, SourceEnvelope) else failure.error
    return reason or Message("error: {error}", error=error or failure.reason or "?")


def _is_missing(envelope: SourceEnvelope) -> bool:
    # TWS without data has answered: nothing of what was asked about is in the plan, which the answer itself says.
    return not envelope.success or (envelope.outcome is SourceOutcome.NO_DATA and envelope.source != "tws_status")


def _missing_sources(envelopes: Sequence[SourceEnvelope]) -> Iterator[Text]:
    """One sentence for each source and reason, with the jobs that it is about."""
    alike: dict[tuple[str, Text], list[str]] = {}
    for envelope in envelopes:
        alike.setdefault((envelope.source, why(envelope)), []).extend(filter(None, (envelope.job,)))
    for (source, reason), jobs in alike.items():
        about: Text | str = ", ".join(jobs)
        if len(jobs) > MAX_JOBS_NAMED:
            about = Message("{count} job", plural="{count} jobs", count=len(jobs))
        yield _missing(source, join((reason, about), "; "))


def _missing(source: str, reason: Text) -> Text:
    loss = _LOSSES.get(source, Message("no data"))
    return Message("{source} ({why}): {loss}.", source=source, why=reason, loss=loss)


def _by_kind(gaps: Iterable[Message]) -> Iterator[Text]:
    """Each gap once; of more than a few jobs with the same, their number."""
    alike: dict[tuple[object, ...], list[Message]] = {}
    for gap in dict.fromkeys(gaps):
        alike.setdefault((gap.key, *(item for item in gap.facts.items() if item[0] != "job")), []).append(gap)
    for same in alike.values():
        if len(same) > MAX_JOBS_NAMED:
            yield same[0].with_facts(job=Message("{count} job", plural="{count} jobs", count=len(same)))
        else:
            yield from same


def _not_given(scenes: Iterable[Scene]) -> Iterator[Text]:
    """What TWS did not give, of all jobs, and where the rest of it stands."""
    parts: list[Text | str] = list(dict.fromkeys(part for scene in scenes if scene.tws for part in scene.tws.unread))
    if (more := len(parts) - MAX_UNREAD) > 0:
        where = "parallel_results"
        parts[MAX_UNREAD:] = [
            Message("and {count} more, in `{where}` of the report (`get RUN_ID --json`)", count=more, where=where)
        ]
    if parts:
        yield Message("TWS did not give everything: {parts}.", parts=join(parts, ", "))


def _gaps(scene: Scene) -> Iterator[Message]:
    job, log = scene.job, scene.log
    problems = scene.tws.problem_jobs if scene.tws else ()
    # Of a job that only the list tells of, the source that did not answer is named.
    looked_at = (job if scene.tws else None, *problems)
    for failed in (item for item in looked_at if item and item.status in FAILED and item.job_log_error):
        yield Message(
            "The job log of {job} could not be read ({reason}): before it is, no rerun is proposed.",
            job=failed.name,
            reason=failed.job_log_error,
        )
    for name in not_looked_at(scene.tws) if scene.tws else ():
        yield Message("The job log of {job} was not read: before it is, no rerun is proposed.", job=name)
    read = job.job_log if job is not None and job.status in FAILED and not scene.has_abend else None
    if job is not None and read and read.total_lines and (read.read_lines or read.total_lines) < read.total_lines:
        yield Message(
            "Of the {total} lines of the job log of {job}, {count} were read: the cause may stand among the others.",
            total=read.total_lines,
            job=job.name,
            count=read.read_lines,
        )
    if job is not None and job.status in ABENDED and not scene.log_lines and not job.job_log_error:
        yield Message("The failed run's job log could not be obtained.")
    if "tws_status" not in scene.answered and log and log.newest_age_days and log.newest_age_days >= STALE_DAYS:
        yield Message(
            "There is no recent job log: the cached one is {count} day old.",
            plural="There is no recent job log: the cached one is {count} days old.",
            count=round(log.newest_age_days),
        )
    if log and log.corrupt_keys:
        yield Message("The log cache has unreadable keys: {keys}.", keys=", ".join(log.corrupt_keys))
    if scene.tws and scene.tws.candidates:
        yield Message(
            "There are other jobs of this name ({names}); say which one is meant.",
            names=", ".join(scene.tws.candidates[:5]),
        )
    if scene.metrics and scene.metrics.missing:
        yield Message("Metrics without data: {names}.", names=", ".join(scene.metrics.missing[:5]))
