"""What a model does to a run on real workers: it refines the answer, or fails and the rules' answer stands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openai_support import FakeOpenAIServer, Recorded, Reply, answer
from tests_support import stretched

from orchestrator.config import ParallelConfig
from orchestrator.models import AnswerMode, Event, EventType, Report, RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=5, total_timeout_seconds=20, synthesis_reserve_seconds=15)
SHORT = ParallelConfig(node_timeout_seconds=1, total_timeout_seconds=4, synthesis_reserve_seconds=2.5)
GOOD = answer(
    summary="As quatro fontes responderam. Não há falha visível.",
    claims=[{"text": "O TWS respondeu", "evidence_ids": ["tws_status:1"]}],
)


class Model:
    """The scripted server, and what it says next."""

    def __init__(self) -> None:
        self.reply = Reply(GOOD)
        self.server = FakeOpenAIServer(self.choose)

    def choose(self, _recorded: Recorded) -> Reply:
        return self.reply


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    """One server for all tests of this file; each sets its reply."""
    told = Model()
    with told.server:
        yield told


@pytest.fixture(scope="module")
def llm_fleet(
    make_fleet: Callable[[Path], Fleet], tmp_path_factory: pytest.TempPathFactory, model: Model
) -> Iterator[Fleet]:
    """Workers that know the scripted model, and a watcher."""
    fleet = make_fleet(tmp_path_factory.mktemp("llm"))
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, ready=False, **model.server.environ())
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    yield fleet
    fleet.stop()


def run(fleet: Fleet, config: ParallelConfig = CONFIG) -> tuple[Report, list[Event]]:
    """One run, waited for, with its events."""
    request = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001", config=config)
    with fleet.client() as client:
        run_id = client.submit(request)
        report = client.result(run_id)
        snapshot = client.get(run_id)
        events = list(client.stream(run_id))
    assert [event.type for event in events if event.type.is_terminal] == [EventType.FINAL]
    assert events[-1].at_ms <= snapshot.deadline_ms + stretched(250)
    return report, events


def test_a_model_refines_the_answer_while_it_writes(llm_fleet: Fleet, model: Model) -> None:
    """The checked answer of the model is committed, its statements having been streamed before, its tokens counted."""
    model.reply = Reply(GOOD, chunk_chars=16, chunk_delay_seconds=0.02)
    report, events = run(llm_fleet)
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.LLM)
    assert "As quatro fontes responderam" in report.response
    assert report.metadata["llm"]["prompt_tokens"] == 1_200
    kinds = [event.type for event in events]
    assert kinds.index(EventType.DRAFT) < kinds.index(EventType.TOKEN) < kinds.index(EventType.FINAL)
    tokens = [event for event in events if event.type is EventType.TOKEN]
    assert len(tokens) >= 2
    assert events[-1].at_ms - tokens[0].at_ms > 200
    text = "".join(event.data["text"] for event in tokens)
    assert text.startswith("As quatro fontes responderam.")
    assert "{" not in text
    assert all(later.at_ms - earlier.at_ms >= 40 for earlier, later in pairwise(tokens))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=401), "unauthorized"),
        (Reply(status=429), "rate_limited"),
        (Reply(status=400), "bad_request"),
        (Reply("", refusal="no"), "refused"),
        (Reply(status=500), "no_answer"),
        (Reply(GOOD, cut_after_chars=80), "connection"),
        (Reply("isto não é JSON"), "bad_json"),
        (Reply(""), "empty"),
        (Reply(answer(claims=[{"text": "inventado", "evidence_ids": ["metrics:99"]}])), "invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_model_that_fails_leaves_the_rules_answer(llm_fleet: Fleet, model: Model, reply: Reply, reason: str) -> None:
    """Whatever the model's failure, the run is complete, its answer the rules', and the reason in its metadata."""
    model.reply = reply
    report, events = run(llm_fleet)
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.DETERMINISTIC)
    assert report.metadata["llm"]["failed"] == reason
    draft = next(event for event in events if event.type is EventType.DRAFT)
    assert report.response.splitlines()[:-1] == draft.data["text"].splitlines()[:-1]
    assert "há um modelo de linguagem configurado, mas" in report.response
    assert "sem modelo de linguagem" not in report.response
    assert "sk-scripted-key" not in llm_fleet.logs()


@pytest.mark.parametrize("reply", [Reply(GOOD, delay_seconds=60), Reply(GOOD, hang_after_chars=64)])
def test_a_slow_model_costs_no_more_than_its_time(llm_fleet: Fleet, model: Model, reply: Reply) -> None:
    """A model that is slow or falls silent is left before the deadline, its connection closed."""
    before = model.server.disconnects
    model.reply = reply
    report, _ = run(llm_fleet, SHORT)
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.DETERMINISTIC)
    assert report.metadata["llm"]["failed"] == "timeout"
    assert report.committed_by.startswith("synthesis:")
    assert model.server.wait_for_disconnect(count=before + 1)


def test_a_cancelled_run_leaves_the_model(llm_fleet: Fleet, model: Model) -> None:
    """Cancelling a run in the middle of its answer closes the model's connection."""
    before, asked = model.server.disconnects, len(model.server.requests)
    model.reply = Reply(GOOD, hang_after_chars=64)
    request = TroubleshootRequest(message="Job BATCH001 falhou", job_name="BATCH001", config=CONFIG)
    with llm_fleet.client() as client:
        run_id = client.submit(request)
        assert model.server.wait_for_request(20, count=asked + 1)
        started = time.monotonic()
        client.cancel(run_id)
        assert model.server.wait_for_disconnect(count=before + 1)
        assert time.monotonic() - started < stretched(4)
        kinds = [event.type for event in client.stream(run_id)]
    assert kinds[-1] is EventType.CANCELLED
    assert EventType.FINAL not in kinds


def test_a_model_that_is_not_there_is_a_connection_failure(fleet: Fleet) -> None:
    """With nothing listening at LLM_ENDPOINT the rules' answer comes at once."""
    with FakeOpenAIServer() as gone:
        environ = gone.environ()
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, **environ)
    report, _ = run(fleet)
    assert (report.outcome, report.mode) == (RunOutcome.COMPLETE, AnswerMode.DETERMINISTIC)
    assert report.metadata["llm"]["failed"] == "connection"


def test_an_aggregator_that_fails_returns_the_raw_data(fleet: Fleet, tmp_path: Path) -> None:
    """When the reduce step itself raises, the user gets each source's data as it came."""
    patch = tmp_path / "broken"
    patch.mkdir()
    # sitecustomize of the worker's own interpreter: the failure is real, in the process that commits.
    (patch / "sitecustomize.py").write_text(
        "import orchestrator.run.conclusion as conclude\n"
        "def broken(*_args, **_options):\n"
        "    raise RuntimeError('planted')\n"
        "conclude.aggregate = broken\n",
        "utf-8",
    )
    path = f"{patch}:{fleet.environ['PYTHONPATH']}"
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, PYTHONPATH=path)
    report, _ = run(fleet)
    assert (report.mode, report.reason) == (AnswerMode.RAW, "aggregator: RuntimeError")
    for source in BUILTIN_SOURCES:
        assert json.dumps({"stub": source})[1:-1] in report.response
