"""Rules about the plan and its workstations, for when there is no job to look at."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.codes.catalogue import Category
from orchestrator.codes.notation import bare_name
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.scene import Scene
from orchestrator.diagnosis.rules.subject import NOT_IN_PLAN, instead
from orchestrator.diagnosis.rules.verdict import Verdict
from orchestrator.i18n.message import Message, Text, join

MAX_IDLE_STATIONS = 3


def not_in_plan(scene: Scene) -> Iterator[Verdict]:
    """TWS answered and does not know the job."""
    if scene.question_job and scene.job is None and scene.tws is not None and "tws_status" in scene.answered:
        yield Verdict(Category.JOB_NOT_FOUND, NOT_IN_PLAN, note=instead(scene.tws))


def idle_workstation(scene: Scene) -> Iterator[Verdict]:
    """A workstation in question that starts nothing, whether or not a job waits for it now."""
    if scene.job is not None or scene.question_job or scene.tws is None or scene.tws.problem_jobs:
        return
    for name in scene.entities.workstations:
        if (idle := why_idle(scene, name)) is not None:
            yield Verdict(
                idle.category,
                0.9,
                supports=list(idle.claim.evidence_ids),
                claims=[idle.claim],
                workstation=name,
                sentence=idle.sentence,
            )


@dataclass(frozen=True, slots=True)
class Idle:
    """Why a workstation starts nothing."""

    category: Category
    sentence: Text
    claim: ClaimDraft


def unlinked(station: str) -> Text:
    """The claim that a workstation is not linked."""
    return Message("Workstation {name} is not LINKED.", name=station)


def limit_zero(station: str) -> Text:
    """The claim that a workstation's job limit is 0."""
    return Message("Workstation {name} has limit 0.", name=station)


def starts_nothing(station: str) -> Text:
    """What a job limit of 0 means."""
    return Message("Workstation {name} has LIMIT 0: no job starts on it.", name=station)


def why_idle(scene: Scene, name: str) -> Idle | None:
    """Why nothing starts on a workstation, as far as its state is known; None when it is not known or fine."""
    stations = scene.tws.workstations if scene.tws else ()
    key = bare_name(name).casefold()
    station = next((item for item in stations if bare_name(item.name).casefold() == key), None)
    if station is None or (station.linked is not False and station.limit != 0):
        return None
    ids = tuple(scene.cite("tws_status", station.name, kinds=("workstation",), limit=1))
    if station.linked is False:
        sentence = Message("Workstation {name} is unlinked from the master: no job starts on it.", name=station.name)
        return Idle(Category.AGENT_UNLINKED, sentence, ClaimDraft(unlinked(station.name), ids))
    return Idle(Category.JOB_LIMIT_ZERO, starts_nothing(station.name), ClaimDraft(limit_zero(station.name), ids))


def clean_plan(scene: Scene) -> Iterator[Verdict]:
    """TWS answered, and nothing in question has failed or is stuck."""
    asks_code = scene.entities.codes or any(scene.entities.return_codes)
    if scene.tws is None or scene.job is not None or scene.question_job or scene.tws.problem_jobs or asks_code:
        return
    named = scene.entities.workstations
    # Without a name the plan's idle workstations are no failure, but worth a word.
    stations = named or [item.name for item in scene.tws.workstations]
    idle = [reason for name in stations if (reason := why_idle(scene, name))]
    if named and idle:
        return
    names = (*scene.entities.job_streams, *named)
    yield Verdict(
        Category.NO_PROBLEM,
        0.8,
        supports=scene.cite("tws_status", limit=1),
        aside=Message(" for {names}", names=", ".join(names)) if names else "",
        claims=[item.claim for item in idle[:MAX_IDLE_STATIONS]],
        note=join(item.sentence for item in idle[:MAX_IDLE_STATIONS]),
    )
