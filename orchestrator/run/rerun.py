"""A run that repeats an earlier one: it asks the sources that had failed, and keeps what the others had answered."""

from collections.abc import Collection, Mapping, Sequence

from orchestrator.errors import RunDamaged, RunNotFound, SchemaMismatch
from orchestrator.i18n.message import Message
from orchestrator.models import MAX_JOBS, Plan, PlannedSource, SourceEnvelope, TroubleshootRequest
from orchestrator.run.envelopes import batch_envelope
from orchestrator.store.records import RunRecord
from orchestrator.store.runs import RunStore


def earlier_run(store: RunStore, request: TroubleshootRequest) -> RunRecord | None:
    """The run that the request repeats; None for any other request, and when that run is gone or of another question.

    Raises StoreUnreachable.
    """
    if request.rerun_of is None:
        return None
    try:
        earlier = store.read(request.rerun_of)
    except (RunDamaged, RunNotFound, SchemaMismatch):
        return None
    is_same = (earlier.request.message, earlier.request.tws_instance_id) == (request.message, request.tws_instance_id)
    return earlier if is_same else None


def keep_answers(
    plan: Plan, earlier: RunRecord | None, request: TroubleshootRequest, before: Sequence[PlannedSource] = ()
) -> Plan:
    """The plan of a rerun, in which the sources that had answered are marked as kept, and which says so.

    ``before`` are the sources of the stages before this one. The last stage says how much is asked again.
    """
    if request.rerun_of is None:
        return plan
    good = () if earlier is None or request.rerun_all else _answered(earlier)
    sources = tuple(part for planned in plan.sources for part in _split(planned, good))
    notes = list(plan.notes)
    if plan.stage == 1:
        repeats = Message("repeats run {run}", run=request.rerun_of)
        lost = Message("run {run} is not stored any more: everything is asked", run=request.rerun_of)
        notes.append((lost if earlier is None else repeats).in_language(plan.routing.language))
    if earlier is not None and not plan.then:
        together = (*before, *sources)
        kept = sum(len(planned.each) for planned in together if planned.kept)
        asked = sum(len(planned.each) for planned in together) - kept
        figures = Message("queries made again: {asked}; answers kept: {kept}", asked=asked, kept=kept)
        notes.append(figures.in_language(plan.routing.language))
    return plan.model_copy(update={"sources": sources, "notes": tuple(notes)})


def without_kept(store: RunStore, plan: Plan, request: TroubleshootRequest) -> tuple[Plan, tuple[SourceEnvelope, ...]]:
    """The plan of the sources to ask, those among them whose kept answer is lost; and the answers that are kept.

    Raises StoreUnreachable.
    """
    if not any(planned.kept for planned in plan.sources):
        return plan, ()
    earlier = earlier_run(store, request)
    to_ask, kept = [], []
    for planned in plan.sources:
        envelope = _kept_envelope(planned, earlier.envelopes if earlier else {}, request) if planned.kept else None
        if envelope is None:
            to_ask.append(planned)
        else:
            kept.append(envelope)
    return plan.model_copy(update={"sources": tuple(to_ask)}), tuple(kept)


def _answered(earlier: RunRecord) -> Collection[str]:
    return {key for key, envelope in earlier.envelopes.items() if envelope.success}


def _split(planned: PlannedSource, good: Collection[str]) -> tuple[PlannedSource, ...]:
    """The jobs of a planned source that are asked, and those whose answers are kept."""
    kept = [alone.job for alone in planned.each if alone.key in good]
    if not kept:
        return (planned,)
    if len(kept) == len(planned.each):
        return (planned.model_copy(update={"kept": True}),)
    number = (planned.batch or 0) + MAX_JOBS  # more than there are batches
    return (
        planned.model_copy(update={"jobs": tuple(job for job in planned.jobs if job not in kept)}),
        planned.model_copy(update={"jobs": tuple(kept), "batch": number, "kept": True}),
    )


def _kept_envelope(
    planned: PlannedSource, envelopes: Mapping[str, SourceEnvelope], request: TroubleshootRequest
) -> SourceEnvelope | None:
    """The envelope of a kept answer; None when a part of it is gone."""
    found = [envelopes.get(alone.key) for alone in planned.each]
    parts = [
        envelope.model_copy(update={"kept_from": envelope.kept_from or request.rerun_of})
        for envelope in found
        if envelope is not None
    ]
    if len(parts) < len(found):
        return None
    if planned.batch is None:
        return parts[0]
    return batch_envelope(planned, parts).model_copy(update={"kept_from": parts[0].kept_from})
