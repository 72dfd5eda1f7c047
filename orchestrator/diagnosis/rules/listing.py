"""The answer to a question for a list of the plan, or for a number."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from orchestrator.codes.catalogue import Category
from orchestrator.codes.states import ABENDED, EXECUTING, FAILED, RUNNING
from orchestrator.diagnosis.draft import ActionDraft, ClaimDraft, DiagnosisDraft
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.diagnosis.rules.verdict import MOST_CONFIDENT, with_code
from orchestrator.i18n.languages import words_of
from orchestrator.i18n.message import Message, Text, join
from orchestrator.payloads import ListedGroup, ListingFacts

CUT_CAP = 0.7
"""Most confidence in a list of which something was not read."""
MAX_SHOWN = 8
"""Job streams, and states, whose numbers are told."""

_IN_WORDS: dict[str, Message] = {
    "abended": Message("in ABEND", context="list"),
    "failed": Message("failed", context="list"),
    "running": Message("running", context="list"),
    "blocked": Message("not advancing", context="list"),
    "waiting": Message("waiting", context="list"),
    "unfinished": Message("not ended yet", context="list"),
    "late": Message("late", context="list"),
    "succeeded": Message("ended well", context="list"),
    "cancelled": Message("cancelled", context="list"),
    "linked": Message("linked", context="list"),
    "unlinked": Message("not linked", context="list"),
}
_COUNTED: dict[str, Message] = {
    "jobs": Message("{count} job{limits} in the current plan.", plural="{count} jobs{limits} in the current plan."),
    "streams": Message(
        "{count} job stream{limits} in the current plan.", plural="{count} job streams{limits} in the current plan."
    ),
    "workstations": Message(
        "{count} workstation{limits} in the current plan.",
        plural="{count} workstations{limits} in the current plan.",
    ),
}
_CONMAN_STATES = {"abended": ABENDED, "failed": FAILED, "running": RUNNING}


def compose_listing(scene: Scene, listing: ListingFacts, missing: tuple[Text, ...], cap: float) -> DiagnosisDraft:
    """The number first, then where and in which states they are, then their names."""
    times = tuple(time for time in scene.entities.times if not _present().fullmatch(time))
    return DiagnosisDraft(
        summary=join((listed(listing), _not_limited_to(times), _without_a_match(scene, listing))),
        category=Category.PLAN_LIST.value,
        confidence=min(cap, CUT_CAP if listing.unread or times else MOST_CONFIDENT),
        claims=claims_of(scene, listing),
        actions=() if listing.is_complete else (_whole_list(listing),),
        missing_evidence=missing,
    )


def _without_a_match(scene: Scene, listing: ListingFacts) -> Text | str:
    """What to check where no job has a name of the pattern, whatever its state."""
    patterns = scene.entities.job_patterns
    if listing.count or listing.unread or listing.states or not patterns or listing.listed != "jobs":
        return ""
    return Message(
        "No name matches {patterns}, in any letter case{where}: check the spelling, the date of the plan, the "
        "instance, and the folder or job stream if the pattern names one.",
        patterns=", ".join(patterns),
        where=Message(" (instance {name})", name=scene.tws.instance) if scene.tws and scene.tws.instance else "",
    )


@cache
def _present() -> re.Pattern[str]:
    return re.compile(words_of("times", "present"), re.IGNORECASE)


def _not_limited_to(times: Sequence[str]) -> Text | str:
    """That a time in the question limits nothing: the plan has states, and no history of them."""
    if not times:
        return ""
    return Message(
        "This is the state of the whole current plan: the list is not limited by “{times}”.", times=", ".join(times)
    )


def listed(listing: ListingFacts) -> Text:
    """The number, and how it divides."""
    if listing.count == 1:
        # Its name, state and job stream stand below.
        return counted(listing)
    said = set(listing.states) if len(listing.by_code) == 1 else set()
    return join(
        (
            counted(listing),
            Message("By state: {numbers}.", numbers=_numbers(listing.by_code)) if set(listing.by_code) - said else "",
            Message("By job stream: {numbers}.", numbers=_numbers(listing.by_stream))
            if len(listing.by_stream) > 1
            else "",
        )
    )


def counted(listing: ListingFacts) -> Text:
    """How many there are; of a list that was not read to its end, how many at least."""
    limits = join(
        (
            *(_limit(state, listing) for state in listing.states),
            Message("for resource {name}", name=listing.resource) if listing.resource else "",
            Message("of {names}", names=", ".join(listing.where)) if listing.where else "",
        )
    )
    # What was not read belongs to a list that is limited to nothing.
    is_whole = not listing.states and not listing.where
    number = _COUNTED.get(listing.listed, _COUNTED["jobs"]).with_facts(
        count=listing.count + (listing.unread if is_whole else 0),
        limits=Message(" {limits}", limits=limits) if limits else "",
    )
    if not listing.unread:
        return number
    if is_whole:
        read = Message("{count} of them was read.", plural="{count} of them were read.", count=listing.count)
        return join((number, read))
    at_least = Message(
        "At least that many: {count} more was not read.",
        plural="At least that many: {count} more were not read.",
        count=listing.unread,
    )
    return join((number, at_least))


def _limit(state: str, listing: ListingFacts) -> Text:
    if state == "running" and any(name.split(" ")[0] not in EXECUTING for name in listing.by_code):
        return Message("running or being launched", context="list")
    return _IN_WORDS.get(state) or Message("in {state}", state=state)


def claims_of(scene: Scene, listing: ListingFacts) -> tuple[ClaimDraft, ...]:
    """One claim for each group, with its names."""
    claims = []
    ids = [item.id for item in scene.evidence if item.source == "tws_status" and item.kind == "list"][1:]
    for group, evidence_id in zip(listing.groups, ids, strict=False):
        claims.append(ClaimDraft(_group(group), (evidence_id,)))
    return tuple(claims)


def _group(group: ListedGroup) -> Text:
    more = group.count - len(group.names)
    names = ", ".join(group.names) + (f", +{more}" if more else "")
    state = _IN_WORDS.get(group.status) or f"{group.status}{with_code(group.return_code)}"
    if group.stream:
        return Message(
            "{stream}: {count} {state}: {names}", stream=group.stream, count=group.count, state=state, names=names
        )
    return Message("{count} {state}: {names}", count=group.count, state=state, names=names)


def _numbers(counts: Mapping[str, int]) -> Text:
    shown = [_number(name, count) for name, count in list(counts.items())[:MAX_SHOWN]]
    if len(counts) > MAX_SHOWN:
        shown.append("…")
    return join(shown, ", ")


def _number(name: str, count: int) -> Text | str:
    word = _IN_WORDS.get(name)
    return f"{name}: {count}" if word is None else Message("{name}: {count}", name=word, count=count)


def _whole_list(listing: ListingFacts) -> ActionDraft:
    text = Message("See the whole list, or ask again for one folder, job stream or workstation.")
    return ActionDraft(text, "none", _command(listing))


def _command(listing: ListingFacts) -> str | None:
    if listing.listed == "workstations":
        return "conman sc @"
    if listing.listed == "streams":
        return "conman ss @#@"
    states = _conman_states(listing.states)
    return f"conman sj @#@.@{f'+state={states}' if states else ''}"


def _conman_states(states: Sequence[str]) -> str:
    """The states as conman selects by them; empty where the list is not limited, or not by states."""
    names = [
        name.lower() for state in states for name in _CONMAN_STATES.get(state, (state,) if state.isupper() else ())
    ]
    return ",".join(dict.fromkeys(names))
