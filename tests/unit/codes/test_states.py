"""The states of TWS: one list, from a data file, that the router, the rules and the knowledge base share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestrator.codes.catalogue import Kind, Phase, entries, find_state
from orchestrator.codes.states import (
    CANCELLED,
    ENDED,
    FAILED,
    JOB_PROBLEMS,
    NOT_LAUNCHED,
    RUNNING,
    STALLED,
    STATE_NAMES,
    STREAM_PROBLEMS,
    SUCCEEDED,
    find_states,
    is_state,
)
from orchestrator.models import Entities
from orchestrator.routing.router import entities_of
from orchestrator.routing.vocabulary import STATE, words_of
from workers.knowledge.ranking.query import build_query
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.shipped import index_runbooks

# JobInPlanStatus and JobStreamInPlanStatus of the HWA REST API v2 (DELETED and UNKNOWN are no states), then what
# conman shows besides.
JOB_STATES = """
HOLD READY FENCE INTRO FAIL EXEC WAIT SUPPR END SUCC SUCCP ABEND CANCL CANCLP ABENP PEND SUSP STUCK EXTRN INTRPT COMPLT
ERROR PENDPRED STARTED UNDCDED ARRVING NONREPPRED
""".split()  # noqa: SIM905
STREAM_STATES = """
READY HOLD EXEC ABEND CANCL CANCLP SUCC ADD FAIL WAIT INTRO ABENP SUCCP SUSP STUCK PEND BOUND SUPPR EXTRN COMPLETE ERROR
PENDINGPRED STARTED UNDECIDED INTERRUPTED NONREPORTINGPRED SUPPRBYCOND
""".split()  # noqa: SIM905
OTHER_STATES = ["ADD", "DONE", "SCHED", "BOUND", "WAITD"]


@pytest.mark.parametrize("state", dict.fromkeys((*JOB_STATES, *STREAM_STATES, *OTHER_STATES)))
def test_every_state_is_known_everywhere(state: str) -> None:
    """The catalogue explains it, the router sees a state and no name in it, and a text that has it names it."""
    assert find_state(state) is not None
    assert is_state(state)
    assert words_of(f"o job está em {state}", Entities())[-1] == STATE
    assert entities_of(f"o job está em {state}").jobs == ()
    assert len(find_states(f"o job está em {state}.")) == 1


def test_each_state_has_one_phase() -> None:
    """Failed, stalled, succeeded and cancelled states are apart; what runs or waits has not ended."""
    ended = [*FAILED, *STALLED, *SUCCEEDED, *CANCELLED]
    assert len(ended) == len(set(ended))
    assert not {*ENDED} & {*RUNNING, *NOT_LAUNCHED}
    assert {*FAILED, *STALLED} == {*JOB_PROBLEMS, "INTERRUPTED"}
    assert {*STREAM_PROBLEMS} <= {*STREAM_STATES}
    assert {*FAILED, *STALLED, *SUCCEEDED, *CANCELLED, *RUNNING, *NOT_LAUNCHED, "PEND"} == STATE_NAMES
    assert all(isinstance(entry.phase, Phase) for entry in entries(Kind.JOB_STATE).values())


def test_two_spellings_are_one_state() -> None:
    """What a job stream is in when it is UNDECIDED is a job's UNDCDED; a word in small letters is no state."""
    assert find_states("UNDECIDED, UNDCDED, hold, HOLDING") == ("UNDCDED",)
    assert is_state("HOLD_WAITING_FOR_TIME")
    assert not is_state("HOLD_01")


def test_the_page_of_an_undecided_state_is_found(tmp_path: Path) -> None:
    """The vendor's own spelling of a state leads to its runbook, in both spellings."""
    path = tmp_path / "runbooks.sqlite3"
    with KnowledgeIndex(path) as index:
        index_runbooks(index)

    async def first(question: str) -> str:
        base = SqliteKnowledgeBase(path)
        try:
            result = await base.search(build_query(question, language="pt"), limit=1, timeout_seconds=10)
        finally:
            await base.close()
        return result.hits[0].document

    for state in ("UNDCDED", "UNDECIDED", "NONREPPRED", "PENDINGPRED"):
        assert asyncio.run(first(f"job PAY01 em {state}")) == "runbooks/pt/state-undecided.md"
