"""Workers of a newer version beside watchers and clients of this one, as real processes."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import TYPE_CHECKING

import pytest
from tests_support import stretched, wait_until

from orchestrator.broker.app import RUN_TASK
from orchestrator.broker.queues import read_queues
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import ParallelConfig
from orchestrator.models import EventType, Report, RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.runs import new_token
from orchestrator.store.set_aside import SetAside
from orchestrator.testing import stub_message

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
GRACE_MS = 250
CONFIG = ParallelConfig(node_timeout_seconds=1.0, total_timeout_seconds=4.0, synthesis_reserve_seconds=2.0)
NEWER_WORKER = """
from orchestrator.models import SourceEnvelope
from orchestrator.store.runs import RunStore

_dump, _put = SourceEnvelope.model_dump_json, RunStore.put_envelope


def _newer_dump(self, **options):
    return _dump(self, **options)[:-1] + ',"grade": {"by": ["tomorrow"]}}'


def _newer_put(self, run_id, claim, envelope):
    event = {"type": "source_graded", "at": "1", "attempt": "0", "data": '{"grade": 1}'}
    self._client.xadd(self.keys.events(run_id), event)
    return _put(self, run_id, claim, envelope)


SourceEnvelope.model_dump_json, RunStore.put_envelope = _newer_dump, _newer_put
"""
"""Makes whoever loads the sources write a field more into each envelope, and an event that nobody here knows."""


@pytest.fixture
def newer_fleet(fleet: Fleet) -> Fleet:
    """Workers for all sources that write what this version does not know, and a watcher; nobody writes answers."""
    module = fleet.folder / "stubs" / "resync_stub_sources.py"
    module.write_text(module.read_text("utf-8") + NEWER_WORKER, "utf-8")
    fleet.worker("orchestrator", *BUILTIN_SOURCES, ready=False)
    fleet.watcher()
    fleet.processes[0].wait_for(" ready.")
    return fleet


def ask(fleet: Fleet) -> tuple[Report, list[EventType]]:
    """The answer to a question and the events of its run, read while they came."""
    request = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG, intent="troubleshoot")
    with fleet.client() as client:
        began = time.monotonic()
        run_id = client.submit(request)
        events = list(client.stream(run_id))
        report = client.result(run_id)
        assert time.monotonic() - began < CONFIG.total_timeout_seconds + stretched(1)
        snapshot = client.get(run_id)
        assert events[-1].at_ms <= snapshot.deadline_ms + stretched(GRACE_MS)
        assert snapshot.report == report
        unknown = client.store._client.xrange(client.store.keys.events(run_id))
        assert [fields["type"] for _, fields in unknown].count("source_graded") == len(BUILTIN_SOURCES)
    return report, [event.type for event in events]


def test_answers_of_newer_workers_are_answered_in_time(newer_fleet: Fleet) -> None:
    """First the watcher finishes, as no worker writes answers, and then one that does; both answers are complete."""
    report, kinds = ask(newer_fleet)
    assert (report.outcome, report.committed_by.partition(":")[0]) == (RunOutcome.COMPLETE, "watcher")
    assert (kinds.count(EventType.SOURCE_FINISHED), kinds[-1]) == (len(BUILTIN_SOURCES), EventType.FINAL)
    newer_fleet.worker("synthesis")
    report, kinds = ask(newer_fleet)
    assert (report.outcome, report.committed_by.partition(":")[0]) == (RunOutcome.COMPLETE, "synthesis")
    assert kinds[-1] is EventType.FINAL
    assert "unreadable" not in report.metadata


def test_a_damaged_run_does_not_hold_the_others_up(newer_fleet: Fleet) -> None:
    """A run whose plan and one answer are damaged in flight is answered by its deadline; the watcher raises nothing."""
    request = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG, intent="troubleshoot")
    with newer_fleet.client() as client:
        run_id = client.submit(request)
        wait_until(lambda: len(client.store.read(run_id).envelopes) == len(BUILTIN_SOURCES), what="all answers")
        damaged = {"plan": "{", "e:metrics": "not json"}
        client.store._client.hset(client.store.keys.run(run_id), mapping=damaged)
        report = client.result(run_id)
        assert report.metadata["unreadable"] == ["plan", "metrics"]
        assert (report.outcome, report.committed_by.partition(":")[0]) == (RunOutcome.PARTIAL, "watcher")
        assert "falta nesta resposta" in report.response
        assert [item.run_id for item in client.list()] == [run_id]
    assert "Traceback" not in newer_fleet.logs()


def test_ended_runs_are_packed_unless_an_older_app_asks(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """A watcher packs a run, and whoever asks sees all of it; it leaves alone what an older app has submitted."""
    fleet.environ["RESYNC_PACK_AFTER_SECONDS"] = "0.2"
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES)
    fleet.watcher()
    request = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG, intent="troubleshoot")
    with fleet.client() as client:
        raw, keys = client.store._client, client.store.keys
        run_id = client.submit(request)
        events, report = list(client.stream(run_id)), client.result(run_id)
        wait_until(lambda: raw.exists(keys.packed(run_id)), what="the run is packed")
        assert not raw.exists(keys.events(run_id))
        assert (client.get(run_id).report, client.result(run_id)) == (report, report)
        assert list(client.stream(run_id)) == events
        assert list(client.stream(run_id, after=events[2].id)) == events[3:]
        assert run(["get", run_id, "--json"], CliContext(fleet.environ)) == 0
        shown = json.loads(capsys.readouterr().out)["report"]
        assert len(shown["parallel_results"]) == len(BUILTIN_SOURCES)
        older = client.submit(request)
        raw.hdel(keys.run(older), "reads_packed")
        client.result(older)
        assert raw.exists(keys.old_reader)
        time.sleep(1)
        assert not raw.exists(keys.packed(older))


EMBED = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
"""What Celery writes behind the arguments of a task."""


def message(body: object, **headers: object) -> str:
    """An entry of a queue as Celery writes it."""
    content = base64.b64encode(json.dumps(body).encode()).decode()
    properties = {
        "delivery_tag": new_token(),
        "delivery_info": {"exchange": "", "routing_key": "x", "consumer_tag": []},
        "body_encoding": "base64",
    }
    named = {"lang": "py", "task": RUN_TASK, "id": new_token(), "timelimit": [None, None]} | headers
    envelope = {"body": content, "content-encoding": "utf-8", "content-type": "application/json"}
    return json.dumps(envelope | {"headers": named, "properties": properties})


def message_with(headers: object = None, properties: object = None, **fields: object) -> str:
    """A message for ``RUN_TASK`` in which a part is another one."""
    whole = json.loads(message([["run-00000001"], {}, EMBED]))
    whole["headers"] = whole["headers"] if headers is None else headers
    whole["properties"] |= properties or {}
    return json.dumps(whole | fields)


HEADERS = json.loads(message([]))["headers"]
COMPRESSED = base64.b64encode(zlib.compress(json.dumps([["run-00000001"], {}, EMBED]).encode())).decode()
MESSAGES: dict[str, str | bytes] = {
    "no JSON": "junk",
    "no UTF-8": b"\xff\xfe",
    "too deep": "[" * 100_000,
    "no object": "[]",
    "no properties": "{}",
    "properties of another type": '{"properties": "x"}',
    "no body": '{"headers": {"task": "troubleshoot.run", "id": "1"}, "properties": {"delivery_tag": "1"}}',
    "a body of another type": message({"a": 1}),
    "no arguments": message([]),
    "a limit of another type": message([["run-00000001"], {}, EMBED], timelimit="x"),
    "stamps of another type": message([["run-00000001"], {}, EMBED], stamped_headers=["x"], stamps="x"),
    "stamped headers of another type": message([["run-00000001"], {}, EMBED], stamped_headers=1),
    "an unknown task": message([["run-00000001"], {}, EMBED], task="troubleshoot.grade"),
    "an argument more": message([["run-00000001", 1], {}, EMBED]),
    "a run id of another type": message([[{}], {}, EMBED]),
    "an empty body": message({}),
    "headers of another type": message_with(headers=["task"]),
    "a task of another type": message([["run-00000001"], {}, EMBED], task={"a": 1}),
    "an id of another type": message([["run-00000001"], {}, EMBED], id={"a": 1}),
    "delivery info of another type": message_with(properties={"delivery_info": "x"}),
    "a delivery tag of another type": message_with(properties={"delivery_tag": {"a": 1}}),
    "an unknown encoding": message_with(properties={"body_encoding": "rot13"}),
    "no base64": message_with(body="$$$"),
    "a body that is no text": message_with(body=7),
    "pickle": message_with(**{"content-type": "application/x-python-serialize"}),
    "an unknown compression": message([["run-00000001"], {}, EMBED], compression="none-such"),
    "no zlib": message([["run-00000001"], {}, EMBED], compression="zlib"),
    "a body that is compressed": message_with(body=COMPRESSED, headers=HEADERS | {"compression": "zlib"}),
    "a task of Celery's": message([["run-00000001"], {}, EMBED], task="celery.backend_cleanup"),
    "a run id of two lines": message([["run-00000001\nERROR injected"], {}, EMBED]),
    "8 MB of arguments": message([["r" * 8_000_000], {}, EMBED]),
    "an unknown character set": message_with(**{"content-encoding": "klingon"}),
    "a date that is none": message([["run-00000001"], {}, EMBED], eta="tomorrow"),
    "an expiry of another type": message([["run-00000001"], {}, EMBED], expires={"a": 1}),
    "a chord of another type": message([["run-00000001"], {}, EMBED | {"chord": "x", "callbacks": 1}]),
    "errors to call of another type": message([["run-00000001"], {}, EMBED | {"callbacks": [1], "errbacks": 1}]),
    "keyword arguments of another type": message([["run-00000001"], 1, EMBED]),
    "the first protocol": message_with(headers={}, body=base64.b64encode(b'{"task": "troubleshoot.run"}').decode()),
}


def test_what_is_no_message_is_set_aside(fleet: Fleet) -> None:
    """Junk in the queues ends no worker, is counted and kept, and the next question is answered completely.

    With one place each, a message that kept its place would be the last that its worker takes.
    """
    workers = [
        fleet.worker("orchestrator", "synthesis", concurrency=1, ready=False),
        fleet.worker(*BUILTIN_SOURCES, concurrency=1, pool="prefork", ready=False),
    ]
    for worker in workers:
        worker.wait_for(" ready.")
    request = TroubleshootRequest(message=stub_message({}), job_name="BATCH001", config=CONFIG, intent="troubleshoot")
    with fleet.client() as client:
        keys, raw = client.store.keys, client.store._client
        queues = [f"{keys.broker_prefix}{name}" for name in ("orchestrator", "metrics")]
        expected = 0

        def await_count(number: int, what: str) -> None:
            wait_until(lambda: sum(SetAside(raw, keys).counts().values()) == number, what=what)

        for name, content in MESSAGES.items():
            for queue in queues:
                raw.lpush(queue, content)
            wait_until(lambda: not any(map(raw.llen, queues)), what=f"{name} is taken")
            expected += len(queues)
            await_count(expected, f"{name} is set aside")
        report = client.result(client.submit(request))
        kept = [json.loads(entry) for entry in raw.lrange(keys.set_aside, 0, -1)]
        raw.set(queues[1], "no list")
        await_count(expected + 1, "the key is renamed")
        assert client.result(client.submit(request)).outcome is RunOutcome.COMPLETE
    assert report.outcome is RunOutcome.COMPLETE
    assert "\nERROR injected" not in fleet.logs()
    assert [worker.popen.poll() for worker in workers] == [None, None]
    assert len(kept) == expected
    assert {entry["queue"] for entry in kept} == {"orchestrator", "metrics"}
    states, _, _ = read_queues(fleet.settings)
    assert sum(state.set_aside for state in states) == expected + 1
    assert fleet.logs().count("message_set_aside queue=") == expected + 1
