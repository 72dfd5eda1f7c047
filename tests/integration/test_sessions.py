"""Follow-up questions of a session: what Redis remembers of it, and whom it tells."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import redis

from orchestrator.client.sync import masked_request
from orchestrator.config import Settings
from orchestrator.models import AnswerMode, Plan, RunOutcome, TroubleshootRequest
from orchestrator.redaction.redact import MARK
from orchestrator.routing.plan import WHICH_ONE
from orchestrator.run.conclusion import conclude
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.run.finisher import Finisher
from orchestrator.store.records import snapshot
from orchestrator.store.runs import MAX_SESSION_RUNS, RunStore, new_token


class Chat:
    """Submits and plans the questions of users, one run each."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self.client = client
        self.store = RunStore(client, settings)
        self._numbers = itertools.count(1)

    def submit(self, message: str, *, user: str | None = "ana", session: str | None = "chat-1", **fields: Any) -> str:
        request = TroubleshootRequest.model_validate(
            {"message": message, "user_id": user, "session_id": session, **fields}
        )
        run_id = f"run-{next(self._numbers):08d}"
        self.store.open(run_id, request, nonce=run_id)
        return run_id

    def plan(self, run_id: str) -> Plan:
        dispatch = self.store.claim_dispatch(run_id, new_token())
        assert dispatch is not None
        return plan_dispatch(self.store, run_id, dispatch)

    def ask(self, message: str, **fields: Any) -> Plan:
        return self.plan(self.submit(message, **fields))


@pytest.fixture
def chat(either_redis: tuple[redis.Redis, Settings]) -> Chat:
    return Chat(*either_redis)


@pytest.mark.parametrize("question", ["e o que eu faço agora?", "por que?", "y ahora qué hago?", "what now?"])
def test_a_follow_up_is_about_the_sessions_run(chat: Chat, question: str) -> None:
    """After a question about a job, one that names nothing asks the sources for that job."""
    first = chat.submit("Job BATCH001 falhou com ABEND S0C7")
    chat.plan(first)
    plan = chat.ask(question)
    assert plan.jobs == ("BATCH001",)
    assert plan.routing.follows == first
    assert plan.routing.entities.abend_codes == ("S0C7",)
    assert chat.ask("e agora?").jobs == ("BATCH001",)


@pytest.mark.parametrize(
    "other",
    [{"user": "bia"}, {"user": None}, {"session": "chat-2"}, {"session": None}, {"tws_instance_id": "other"}],
    ids=str,
)
def test_no_session_hears_of_another(chat: Chat, other: dict[str, Any]) -> None:
    """Another user with the same session id, another session or another TWS hears nothing of a session's job."""
    chat.ask("Job BATCH001 falhou com ABEND S0C7")
    plan = chat.ask("por que?", **other)
    assert (plan.pipeline, plan.sources) == (WHICH_ONE, ())
    assert "BATCH001 falhou" in plan.reason  # the example, not the job: no name of the session is in it
    assert plan.routing.follows is None


def test_ids_that_look_alike_when_joined_are_not_one_session(chat: Chat) -> None:
    """User and session are two names, whatever signs they hold."""
    chat.ask("Job BATCH001 falhou", user="a:b", session="c")
    assert chat.ask("por que?", user="a", session="b:c").pipeline == WHICH_ONE


def test_a_follow_up_is_about_the_job_of_the_last_run(chat: Chat) -> None:
    """Of two jobs, one after the other, the last is meant, for the next follow-up too."""
    chat.ask("Job BATCH001 falhou")
    second = chat.submit("Job FECH001 falhou")
    chat.plan(second)
    plan = chat.ask("por que?")
    assert (plan.jobs, plan.routing.follows, plan.routing.other_subjects) == (("FECH001",), second, ("BATCH001",))
    assert chat.ask("e agora?").jobs == ("FECH001",)
    assert chat.ask("e o BATCH001?").routing.other_subjects == ()
    assert chat.ask("por que?").jobs == ("BATCH001",)


def test_of_several_jobs_of_the_last_run_it_is_asked_which(chat: Chat) -> None:
    """After a question about two jobs at once it is asked which is meant, and the answer to it is then that one's."""
    chat.ask("Job BATCH001 falhou e FECH001 também")
    plan = chat.ask("por que?")
    assert plan.pipeline == WHICH_ONE
    assert plan.reason == "De qual deles se trata: BATCH001, FECH001?"
    assert chat.ask("FECH001").jobs == ("FECH001",)


def test_a_run_that_is_not_yet_planned_counts(chat: Chat) -> None:
    """A question right after another is not answered about an older job."""
    chat.ask("Job BATCH001 falhou")
    chat.submit("Job FECH001 falhou")
    assert chat.ask("por que?").jobs == ("FECH001",)


def test_the_question_back_is_a_complete_answer(chat: Chat) -> None:
    """The run that asks which job is meant ends complete, without a source, a command or a model."""
    run_id = chat.submit("y ahora qué hago?")
    chat.plan(run_id)
    conclusion = conclude(chat.store.read(run_id))
    assert conclusion.case is None
    report = Finisher(chat.store, by="test").finish(run_id)
    assert report is not None
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.DETERMINISTIC)
    assert "¿De qué job se trata?" in report.response
    assert report.diagnosis is not None
    assert report.diagnosis.actions == ()


def test_what_is_remembered_of_a_session_is_bounded(chat: Chat) -> None:
    """The key holds the last runs, each once, and expires when the newest of them has, whatever it comes to."""
    runs = [chat.submit(f"Job BATCH{number:03d} falhou") for number in range(MAX_SESSION_RUNS + 5)]
    request = TroubleshootRequest(message="por que?", user_id="ana", session_id="chat-1")
    chat.store.open(runs[-1], chat.store.read(runs[-1]).request, nonce=runs[-1])  # a submit that is repeated
    assert chat.store.session_runs("run-x0000000", request) == runs[::-1][:MAX_SESSION_RUNS]
    assert chat.store.session_runs(runs[-3], request) == runs[:-3][::-1][: MAX_SESSION_RUNS - 3]
    key = chat.store.keys.session("ana", "chat-1")
    longest = max(Settings.from_env({}).ttl_by_outcome.values())
    assert chat.client.ttl(chat.store.keys.run(runs[-1])) <= chat.client.ttl(key) <= longest


def test_an_expired_run_is_forgotten(chat: Chat) -> None:
    """The id may outlive the run; the follow-up then asks which job is meant."""
    first = chat.submit("Job BATCH001 falhou")
    chat.plan(first)
    chat.client.delete(chat.store.keys.run(first))
    assert chat.ask("por que?").pipeline == WHICH_ONE


def test_a_damaged_key_costs_no_submit(chat: Chat) -> None:
    """A session key of another type is replaced."""
    chat.client.set(chat.store.keys.session("ana", "chat-1"), "x")
    chat.ask("Job BATCH001 falhou")
    assert chat.ask("por que?").jobs == ("BATCH001",)


def test_a_secret_as_a_session_is_masked_and_stays_one_of_its_own(chat: Chat) -> None:
    """Two of them are two sessions, and each goes on; Redis and who reads a run do not have them."""
    sessions = ["Bearer abcDEF123456ghiJKL", "Bearer zzzDEF123456ghiJKL", "ana@example.com.br"]
    asked = [
        masked_request(TroubleshootRequest(message=f"Job BATCH00{number} falhou", session_id=session), personal=True)
        for number, session in enumerate(sessions)
    ]
    assert len({request.session_id for request in asked}) == 3
    assert [request for request in asked if masked_request(request, personal=True) != request] == []
    for number, request in enumerate(asked):
        chat.store.open(f"run-masked{number}", request, nonce="n")
    later = masked_request(TroubleshootRequest(message="por que?", session_id=sessions[1]), personal=True)
    assert chat.store.session_runs("run-x0000000", later) == ["run-masked1"]
    shown = snapshot(chat.store.read("run-masked1")).model_dump_json()
    assert '"session_id":null' in shown
    assert chat.store.read("run-masked1").request.session_id == asked[1].session_id
    assert [request.session_id for request in asked if not str(request.session_id).startswith(MARK)] == []
    assert masked_request(TroubleshootRequest(message="x", session_id="chat-1"), personal=True).session_id == "chat-1"
