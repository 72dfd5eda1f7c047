"""The states of jobs and job streams in TWS, by phase.

Names, spellings and phases are data (``data/job_states.json``); they are those of ``JobInPlanStatus`` and
``JobStreamInPlanStatus`` of the HWA REST API v2, and those that conman shows besides. Tuples keep the file's order.
"""

import re

from orchestrator.codes.catalogue import Kind, Phase, entries

_STATES = entries(Kind.JOB_STATE)
_SUBSTATE_PREFIXES = sorted({key.partition("_")[0] for key in entries(Kind.JOB_SUBSTATE)})


def _in(*phases: Phase) -> tuple[str, ...]:
    return tuple(name for name, entry in _STATES.items() if entry.phase in phases)


def _keys_in(*phases: Phase) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_STATES[name].key for name in _in(*phases)))


FAILED = _in(Phase.FAILED)
STALLED = _in(Phase.STALLED)
"""It cannot go on by itself, without having failed."""
SUCCEEDED = _in(Phase.SUCCEEDED)
CANCELLED = _in(Phase.CANCELLED)
EXECUTING = _in(Phase.RUNNING)
"""The program runs: there is a job log that grows."""
RUNNING = _in(Phase.LAUNCHING, Phase.RUNNING)
"""Running, or handed to the agent to be launched."""
NOT_LAUNCHED = _in(Phase.WAITING, Phase.LAUNCHING)
"""There can be no job log of the run."""
ENDED = (*FAILED, *SUCCEEDED, *CANCELLED)
PROBLEMS = (*FAILED, *STALLED)
"""It needs somebody."""
NO_PROBLEMS = (*SUCCEEDED, *CANCELLED)
"""It has ended, and nobody needs to look."""

ABENDED = ("ABEND", "ABENP")
"""It ran and failed: there is a job log."""
JOB_PROBLEMS = _keys_in(Phase.FAILED, Phase.STALLED)
"""``PROBLEMS`` of a job, in the spelling of ``JobInPlanStatus``: a server may refuse a query for another."""
STREAM_PROBLEMS = ("STUCK", "ABEND", "FAIL", "ERROR", "SUSP")
"""``PROBLEMS`` of a job stream that ``JobStreamInPlanStatus`` spells as a job's."""

REPORTED_SUCCESS = frozenset({"SUCCESS", "SUCCESSFUL", "OK", "COMPLETED", "SUCESSO", "CONCLUIDO", "EXITO"})
"""How other programs than TWS report that a run ended well, in capitals and without accents."""
REPORTED_FAILURE = frozenset({"ABENDED", "FAILED", "FAILURE", "FALHA", "FALHOU", "ERRO", "FALLO", "FALLIDO"})
"""The same of a run that failed."""

STATE_NAMES = frozenset(_STATES)
"""Every state in every spelling."""

_ANY = "|".join(sorted(STATE_NAMES, key=len, reverse=True))
_WRITTEN = re.compile(rf"\b(?:{_ANY})\b")
_STATE_OR_SUBSTATE = re.compile(rf"(?:{'|'.join(_SUBSTATE_PREFIXES)})_[A-Z_]+|{_ANY}")


def is_state(word: str) -> bool:
    """Whether ``word`` is a state or a substate as TWS writes it, in capitals."""
    return _STATE_OR_SUBSTATE.fullmatch(word) is not None


def find_states(text: str) -> tuple[str, ...]:
    """The states that ``text`` names in capitals, each by its own key, in order and without repeats."""
    return tuple(dict.fromkeys(_STATES[match[0]].key for match in _WRITTEN.finditer(text)))
