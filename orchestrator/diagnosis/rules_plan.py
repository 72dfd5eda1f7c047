"""Rules about the plan and its workstations, for when there is no job to look at."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.diagnosis.catalogue import Category
from orchestrator.diagnosis.messages import say
from orchestrator.diagnosis.rules_scene import Finding, Scene, short_name
from orchestrator.models import Claim


def not_in_plan(scene: Scene) -> Iterator[Finding]:
    """TWS answered and does not know the job."""
    if scene.asked and scene.job is None and scene.tws is not None and "tws_status" in scene.answered:
        yield Finding(Category.JOB_NOT_FOUND, 0.8)


def idle_workstation(scene: Scene) -> Iterator[Finding]:
    """A workstation that was asked about and starts nothing, whether or not a job waits for it now."""
    if scene.job is not None or scene.asked or scene.tws is None or scene.tws.problem_jobs:
        return
    wanted = {short_name(name).casefold() for name in scene.entities.workstations}
    for station in scene.tws.workstations:
        if short_name(station.name).casefold() not in wanted:
            continue
        ids = scene.cite("tws_status", station.name, kinds=("workstation",), limit=1)
        if station.linked is False:
            key, category = "unlinked", Category.AGENT_UNLINKED
        elif station.limit == 0:
            key, category = "limit_zero", Category.JOB_LIMIT_ZERO
        else:
            continue
        yield Finding(
            category,
            0.9,
            supports=ids,
            claims=[Claim(text=say(scene.language, key, name=station.name), evidence_ids=tuple(ids))],
            workstation=station.name,
            told=say(scene.language, f"station_{key}", name=station.name),
        )


def clean_plan(scene: Scene) -> Iterator[Finding]:
    """TWS answered, and nothing of what was asked about has failed or is stuck."""
    asks_code = scene.entities.codes or any(scene.entities.return_codes)
    if scene.tws is None or scene.job is not None or scene.asked or scene.tws.problem_jobs or asks_code:
        return
    names = (*scene.entities.job_streams, *scene.entities.workstations)
    among = say(scene.language, "among", names=", ".join(names)) if names else ""
    yield Finding(Category.NO_PROBLEM, 0.8, supports=scene.cite("tws_status", limit=1), facts={"among": among})
