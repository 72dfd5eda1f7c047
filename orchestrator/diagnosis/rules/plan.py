"""Rules about the plan and its workstations, for when there is no job to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.codes.catalogue import Category
from orchestrator.diagnosis.rules.scene import Finding, Scene, short_name
from orchestrator.i18n.sentences import say
from orchestrator.models import Claim

MAX_IDLE_TOLD = 3
_LIMIT_ZERO = ("limit_zero", Category.JOB_LIMIT_ZERO)


def not_in_plan(scene: Scene) -> Iterator[Finding]:
    """TWS answered and does not know the job."""
    if scene.asked and scene.job is None and scene.tws is not None and "tws_status" in scene.answered:
        yield Finding(Category.JOB_NOT_FOUND, 0.8)


def idle_workstation(scene: Scene) -> Iterator[Finding]:
    """A workstation that was asked about and starts nothing, whether or not a job waits for it now."""
    if scene.job is not None or scene.asked or scene.tws is None or scene.tws.problem_jobs:
        return
    for name in scene.entities.workstations:
        if (idle := why_idle(scene, name)) is not None:
            yield Finding(
                idle.category,
                0.9,
                supports=list(idle.claim.evidence_ids),
                claims=[idle.claim],
                workstation=name,
                told=idle.sentence,
            )


@dataclass(frozen=True, slots=True)
class Idle:
    """Why a workstation starts nothing."""

    category: Category
    sentence: str
    claim: Claim


def why_idle(scene: Scene, name: str) -> Idle | None:
    """Why nothing starts on a workstation, as far as its state is known; None when it is not known or fine."""
    stations = scene.tws.workstations if scene.tws else ()
    wanted = short_name(name).casefold()
    station = next((item for item in stations if short_name(item.name).casefold() == wanted), None)
    if station is None or (station.linked is not False and station.limit != 0):
        return None
    key, category = ("unlinked", Category.AGENT_UNLINKED) if station.linked is False else _LIMIT_ZERO
    ids = scene.cite("tws_status", station.name, kinds=("workstation",), limit=1)
    claim = Claim(text=say(scene.language, key, name=station.name), evidence_ids=tuple(ids))
    return Idle(category, say(scene.language, f"station_{key}", name=station.name), claim)


def clean_plan(scene: Scene) -> Iterator[Finding]:
    """TWS answered, and nothing of what was asked about has failed or is stuck."""
    asks_code = scene.entities.codes or any(scene.entities.return_codes)
    if scene.tws is None or scene.job is not None or scene.asked or scene.tws.problem_jobs or asks_code:
        return
    named = scene.entities.workstations
    # Without a name the plan's idle workstations are no failure, but worth a word.
    idle = [
        found for name in named or [item.name for item in scene.tws.workstations] if (found := why_idle(scene, name))
    ]
    if named and idle:
        return
    names = (*scene.entities.job_streams, *named)
    yield Finding(
        Category.NO_PROBLEM,
        0.8,
        supports=scene.cite("tws_status", limit=1),
        facts={"among": say(scene.language, "among", names=", ".join(names)) if names else ""},
        claims=[found.claim for found in idle[:MAX_IDLE_TOLD]],
        note=" ".join(found.sentence for found in idle[:MAX_IDLE_TOLD]),
    )
