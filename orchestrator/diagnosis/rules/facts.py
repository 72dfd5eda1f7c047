"""The answer to a question for one fact of a job: the fact as TWS gave it, or that it gave none."""

from collections.abc import Sequence

from orchestrator.codes.local_time import shown_time
from orchestrator.codes.states import EXECUTING, RUNNING
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.scene import Scene, clean_line
from orchestrator.i18n.message import Message, Text, join
from orchestrator.payloads import JobFacts, RelatedFacts
from orchestrator.routing.facts import Fact

MAX_RELATED = 8
"""Successors or predecessors that are named."""

_NAMES: dict[Fact, Message] = {
    Fact.DURATION: Message("the duration"),
    Fact.ENDED: Message("the time of the end"),
    Fact.STARTED: Message("the time of the start"),
    Fact.SCRIPT: Message("the script"),
    Fact.USER: Message("the user"),
    Fact.WORKSTATION: Message("the workstation"),
    Fact.RETURN_CODE: Message("a return code"),
}


def answered(scene: Scene, job: JobFacts, fact: Fact) -> Text:
    """The fact of ``job`` as a sentence."""
    if fact in (Fact.SUCCESSORS, Fact.PREDECESSORS):
        return _related(scene, job, fact)
    sentence = _of_a_run(scene, job, fact) if fact in (Fact.DURATION, Fact.ENDED, Fact.STARTED) else _given(job, fact)
    return sentence or Message("TWS did not give {what} of {job}.", what=_NAMES[fact], job=job.name)


def claims_of_related(scene: Scene, job: JobFacts, fact: Fact) -> tuple[ClaimDraft, ...]:
    """Each successor or predecessor with its state."""
    kind = "successor" if fact is Fact.SUCCESSORS else "predecessor"
    items = _items(job, fact)[:MAX_RELATED]
    cited = ((item, tuple(scene.cite("tws_status", item.name, kinds=(kind,), limit=1))) for item in items)
    return tuple(
        ClaimDraft(Message("{name} is in {state}.", name=item.name, state=_state(item)), ids)
        for item, ids in cited
        if ids and item.status
    )


def _items(job: JobFacts, fact: Fact) -> Sequence[RelatedFacts]:
    items = {Fact.SUCCESSORS: job.successors, Fact.PREDECESSORS: job.predecessors}
    return items.get(fact, ())


def _related(scene: Scene, job: JobFacts, fact: Fact) -> Text:
    items = _items(job, fact)
    unread = scene.tws.unread if scene.tws else ()
    if not items and unread:
        return Message(
            "What depends on {job}, and on what it depends, is not known: not read from TWS: {parts}.",
            job=job.name,
            parts=", ".join(unread),
        )
    if not items:
        none = Message("Nothing in the plan depends on {job}.")
        return (none if fact is Fact.SUCCESSORS else Message("{job} depends on nothing.")).with_facts(job=job.name)
    shown = [
        Message("{name} ({state})", name=item.name, state=state) if (state := _state(item)) else item.name
        for item in items[:MAX_RELATED]
    ]
    rest = [f"+{len(items) - MAX_RELATED}"] if len(items) > MAX_RELATED else []
    sentence = (
        Message("{count} successor of {job}: {names}.", plural="{count} successors of {job}: {names}.")
        if fact is Fact.SUCCESSORS
        else Message("{count} dependency of {job}: {names}.", plural="{count} dependencies of {job}: {names}.")
    )
    return sentence.with_facts(count=len(items), job=job.name, names=join((*shown, *rest), ", "))


def _state(item: RelatedFacts) -> Text | str:
    if item.status:
        return f"{item.status}, RC {item.return_code}" if item.return_code else item.status
    return "" if item.satisfied is None else Message("satisfied") if item.satisfied else Message("not satisfied")


def _given(job: JobFacts, fact: Fact) -> Text | None:
    run = job.runs[0] if job.runs else None
    code = job.newest_return_code
    if fact is Fact.SCRIPT and job.task:
        return Message("{job} runs `{task}`.", job=job.name, task=clean_line(job.task))
    if fact is Fact.USER and job.logon_user:
        return Message("{job} runs as user {user}.", job=job.name, user=job.logon_user)
    if fact is Fact.WORKSTATION and (station := (run.workstation if run else "") or job.workstation):
        return Message("{job} runs on workstation {name}.", job=job.name, name=station)
    if fact is Fact.RETURN_CODE and code is not None:
        return Message("{job} ended with return code {code}.", job=job.name, code=code)
    return None


def _of_a_run(scene: Scene, job: JobFacts, fact: Fact) -> Text | None:
    zone = scene.tws.time_zone if scene.tws else ""
    is_running = job.status in EXECUTING
    if not job.runs:
        at = shown_time(job.scheduled_at, zone)
        is_waiting = bool(at) and job.status not in RUNNING
        unstarted = Message("{job} has not run yet; it is scheduled for {at}.", job=job.name, at=at)
        return unstarted if is_waiting else None
    run = job.runs[0]
    started, ended = shown_time(run.started_at, zone), shown_time(run.ended_at, zone)
    sentence: Message | None = None
    if fact is Fact.DURATION and run.elapsed_seconds is not None:
        lasts = Message("{job} has been running for {time}.")
        sentence = lasts if is_running else Message("The newest run of {job} took {time}{estimate}.")
    elif fact is Fact.STARTED and started:
        sentence = Message("{job} started at {at}.", job=job.name, at=started)
    elif fact is Fact.ENDED and is_running and started:
        sentence = Message("{job} has not ended; it started at {at}.", job=job.name, at=started)
    elif fact is Fact.ENDED and ended and not is_running:
        sentence = Message(
            "{job} ended in {status} at {at}.", job=job.name, status=run.status or job.status or "?", at=ended
        )
    expected = job.estimated_seconds
    estimate = Message(", against an estimate of {time}", time=_span(expected)) if expected else ""
    return sentence and sentence.with_facts(job=job.name, time=_span(run.elapsed_seconds or 0), estimate=estimate)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
