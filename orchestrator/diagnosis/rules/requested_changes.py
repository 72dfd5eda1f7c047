"""The change that a user asks for, as a proposal with its risk: it is written down for an operator, never executed.

Commands are those of conman (User's Guide 10.2.5, "conman command line": ``cj``, ``rr``, ``rj``, ``kj``, ``ap``,
``confirm``, ``lc``, ``link``, ``unlink``, ``sbs``).
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from orchestrator.codes.catalogue import quoted
from orchestrator.diagnosis.draft import ActionDraft
from orchestrator.diagnosis.rules.scene import Scene, qualified, qualified_station, qualified_stream
from orchestrator.i18n.languages import words_of
from orchestrator.i18n.message import Message
from orchestrator.models import Entities


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    """List of its words in ``[changes]`` of ``language.toml``."""
    command: str
    """With ``{job}``, ``{workstation}`` or ``{stream}``; what only the operator knows stands in angle brackets."""
    risk: Literal["low", "medium", "high"]


_CHANGES = (
    _Change("cancel", "conman cj {job}", "high"),
    _Change("kill", "conman kj {job}", "high"),
    _Change("rerun", "conman rr {job}", "medium"),
    _Change("release", "conman rj {job}", "high"),
    _Change("confirm", "conman confirm {job};<succ|abend>", "high"),
    _Change("priority", "conman ap {job};<prioridade|priority>", "medium"),
    _Change("limit", "conman lc {workstation};<limit>", "medium"),
    _Change("unlink", "conman unlink {workstation}", "high"),
    _Change("link", "conman link {workstation}", "medium"),
    _Change("submit", "conman sbs {stream}", "medium"),
)

_REQUESTED = Message(
    "The action asked for, for an authorised operator to judge and run after checking the evidence above."
)


def requested_changes(message: str, scenes: list[Scene], entities: Entities) -> tuple[ActionDraft, ...]:
    """One proposal per job (or workstation, or stream) for the first change that the message asks for."""
    for change in _CHANGES:
        if not _words_for(change.kind).search(message):
            continue
        if "{job}" in change.command:
            # What the plan does not have gets no command; without the answer of TWS, nobody knows.
            names = [
                qualified(scene.job, scene.name) for scene in scenes if scene.name and (scene.job or not scene.tws)
            ]
            commands = [change.command.format(job=name) for name in names]
        elif "{workstation}" in change.command:
            names = [qualified_station(scenes[0], name) for name in entities.workstations]
            commands = [change.command.format(workstation=name) for name in names]
        else:
            names = [qualified_stream(scenes[0], name) for name in entities.job_streams]
            commands = [change.command.format(stream=name) for name in names]
        if commands:
            return tuple(ActionDraft(_REQUESTED, change.risk, quoted(command), mutates=True) for command in commands)
    return ()


@cache
def _words_for(kind: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){words_of('changes', kind)}(?![\w-])", re.IGNORECASE)
