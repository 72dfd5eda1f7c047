"""What of a diagnosis answers a question that goes on from an earlier one: the rest was said then."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.codes.catalogue import Entry, category_texts, find_abend
from orchestrator.diagnosis.draft import DiagnosisDraft
from orchestrator.diagnosis.rules.compose import is_of_a_page
from orchestrator.diagnosis.rules.facts import answered, claims_of_related
from orchestrator.diagnosis.rules.groups import Group, cause_sentence, usual_causes
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.diagnosis.rules.state import state_sentence, states_of
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import Intent, Routing
from orchestrator.routing.facts import Fact
from orchestrator.routing.follow_up import Focus, focus_of
from orchestrator.routing.vocabulary import asks_when


def focus_in(message: str, routing: Routing) -> Focus:
    """What ``message`` asks for; everything unless it goes on from an earlier question, or wants something changed."""
    if routing.follows is None or routing.intent is Intent.ACTION:
        return Focus.ALL
    focus = focus_of(message)
    asks_state = routing.intent is Intent.STATUS or asks_when(message)
    return Focus.STATE if focus is Focus.ALL and asks_state else focus


def narrowed(draft: DiagnosisDraft, groups: Sequence[Group], scenes: Sequence[Scene], focus: Focus) -> DiagnosisDraft:
    """The part of ``draft`` that ``focus`` asks for."""
    shown = groups if len(scenes) > 1 else groups[:1]
    from_pages = tuple(claim for claim in draft.claims if is_of_a_page(claim))
    if focus is Focus.CAUSE:
        # Of the others the root cause has them.
        found = (_entry(group) for group in shown if group.top.finding)
        entries = {entry.key: entry for entry in found if entry is not None}
        return replace(
            draft,
            summary=join((draft.summary, usual_causes(*entries.values()) if entries else "")),
            claims=tuple(claim for claim in draft.claims if claim not in from_pages),
            actions=(),
            prevention=(),
            groups=tuple(replace(group, actions=()) for group in draft.groups),
        )
    if focus is Focus.STEPS:
        summary = join(_in_short(group) for group in shown)
        none = "" if draft.actions or from_pages else Message("No step is proposed.")
        return replace(draft, summary=join((summary, none)), root_cause="", claims=from_pages, prevention=())
    if focus is Focus.STATE:
        states = states_of(scenes)
        return replace(
            draft,
            summary=join(states) if states else draft.summary,
            root_cause="",
            claims=tuple(claim for claim in draft.claims if claim not in from_pages)[:1],
            actions=(),
            prevention=(),
            groups=(),
        )
    return draft


def of_one_fact(draft: DiagnosisDraft, groups: Sequence[Group], fact: Fact, before: Sequence[Text]) -> DiagnosisDraft:
    """The answer to a question for one fact of each job, behind ``before``; what happened to it in one sentence."""
    known = [(group.scene, group.scene.job) for group in groups if group.scene.job is not None]
    sentences = dict.fromkeys(answered(scene, job, fact) for scene, job in known)
    return replace(
        draft,
        summary=join((*before, *sentences, *map(cause_sentence, groups))),
        root_cause="",
        claims=(*draft.claims[: len(known)], *(claim for pair in known for claim in claims_of_related(*pair, fact))),
        actions=(),
        prevention=(),
        groups=(),
    )


def _entry(group: Group) -> Entry | None:
    """The code of which the catalogue lists the usual causes."""
    return group.top.entry or find_abend(group.top.facts.get("code", "") or "?")


def _in_short(group: Group) -> Text:
    """The job's state and the title of its cause: what the steps are for."""
    job, title = group.scene.job, category_texts(group.top.category).title
    state = state_sentence(job.name, job.status, group.scene.return_code) if job is not None and job.status else ""
    return join((state, Message("{title}.", title=title)))
