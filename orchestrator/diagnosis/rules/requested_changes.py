"""The change that a user asks for, as a proposal with its risk: it is written down for an operator, never executed.

Commands are those of conman (User's Guide 10.2.5, "conman command line": ``cj``, ``rr``, ``rj``, ``kj``, ``ap``,
``confirm``, ``lc``, ``link``, ``unlink``, ``sbs``).
"""

import re
from dataclasses import dataclass
from typing import Literal

from orchestrator.diagnosis.draft import ActionDraft
from orchestrator.diagnosis.rules.scene import Scene, qualified
from orchestrator.i18n.message import Message
from orchestrator.models import Entities


@dataclass(frozen=True, slots=True)
class _Change:
    words: re.Pattern[str]
    command: str
    """With ``{job}``, ``{workstation}`` or ``{stream}``; what only the operator knows stands in angle brackets."""
    risk: Literal["low", "medium", "high"]


def _change(words: str, command: str, risk: Literal["low", "medium", "high"]) -> _Change:
    return _Change(re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE), command, risk)


_CHANGES = (
    _change(r"cancel\w*", "conman cj {job}", "high"),
    _change(r"mat[ae]r?|kill|derrub[ae]r?", "conman kj {job}", "high"),
    _change(
        r"re-?rod\w+|re-?execut\w+|re-?ejecut\w+|re-?run|restart|reinici\w+|relan[zcç]\w+|resubmit",
        "conman rr {job}",
        "medium",
    ),
    _change(r"liber[ae]r?|release", "conman rj {job}", "high"),
    _change(r"confirm[ae]?r?", "conman confirm {job};<succ|abend>", "high"),
    _change(r"prioridade?|priority|prioridad", "conman ap {job};<prioridade|priority>", "medium"),
    _change(r"limites?|l[ií]mite|limit", "conman lc {workstation};<limit>", "medium"),
    _change(r"deslinkar?|unlink|desconectar?", "conman unlink {workstation}", "high"),
    _change(r"linkar?|link|conectar?", "conman link {workstation}", "medium"),
    _change(
        r"submet[ae]r?|submit|somet[ae]r?|dispar[ae]r?|lan[zcç][ae]r?|launch|trigger", "conman sbs {stream}", "medium"
    ),
)

_REQUESTED = Message(
    "The action asked for, for an authorised operator to judge and run after checking the evidence above."
)


def requested_changes(message: str, scenes: list[Scene], entities: Entities) -> tuple[ActionDraft, ...]:
    """One proposal per job (or workstation, or stream) for the first change that the message asks for."""
    for change in _CHANGES:
        if not change.words.search(message):
            continue
        if "{job}" in change.command:
            names = [qualified(scene.job, scene.name) for scene in scenes if scene.name]
            commands = [change.command.format(job=name) for name in names]
        elif "{workstation}" in change.command:
            commands = [change.command.format(workstation=name) for name in entities.workstations]
        else:
            commands = [change.command.format(stream=name) for name in entities.job_streams]
        if commands:
            return tuple(ActionDraft(_REQUESTED, change.risk, command, mutates=True) for command in commands)
    return ()
