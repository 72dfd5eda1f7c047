"""The seed's API: on workers, without workers, without Redis."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from fleet_support import ALL_QUEUES, Fleet
from forked_support import start_forked
from tests_support import RedisServer, stretched, wait_until

from orchestrator.broker.app import make_celery
from orchestrator.broker.queues import ServedQueues
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.runs import new_token
from orchestrator.testing import stub_message

pytestmark = pytest.mark.acceptance
EXAMPLES = Path(__file__).parents[2] / "examples"

SCRIPT = """
import asyncio, json, os, sys, time
from orchestrator.broker import queues
from orchestrator.config import ParallelConfig
from orchestrator.graph import (FallbackParallelGraph, create_parallel_troubleshoot_graph, create_tws_agent_graph,
                                parallel_troubleshoot)
from orchestrator.errors import TroubleshootError
asked = json.loads(sys.argv[1])
queues.SERVED_SECONDS = asked["served_seconds"]
config = ParallelConfig(**asked.get("config", {}))
state = {"message": asked["message"], "user_id": "ana", "own_key": 1, "jobs": asked.get("jobs", []),
         **asked.get("state", {})}
began = time.monotonic()
try:
    if asked["api"] == "function":
        answer = asyncio.run(parallel_troubleshoot(asked["message"], job_name="BATCH001", config=config))
    elif asked["api"] == "graph":
        answer = create_parallel_troubleshoot_graph(config).invoke(state)
    elif asked["api"] == "agent":
        answer = create_tws_agent_graph(config).invoke(state)
    elif asked["api"] == "awaited":
        async def wait():
            graph = await create_tws_agent_graph(config)
            return await graph.invoke(state)
        answer = asyncio.run(wait())
    elif asked["api"] == "nodes":
        import orchestrator.langgraph as steps
        async def step_by_step():
            names = ("tws_status", "rag_search", "log_cache", "metrics")
            for found in await asyncio.gather(*(getattr(steps, f"{name}_node")(state) for name in names)):
                for key, items in found.items():
                    state.setdefault(key, []).extend(items)
            state.update(await steps.aggregator_node(state))
            return state | await steps.response_generator_node(state)
        answer = asyncio.run(step_by_step())
    elif "stream" in asked["api"]:
        graph = (FallbackParallelGraph if "fallback" in asked["api"] else create_parallel_troubleshoot_graph)(config)
        async def follow():
            return [event async for event in graph.astream(state)]
        events = asyncio.run(follow())
        answer = {"events": [event.type.value for event in events], "final": events[-1].data,
                  "finished": [event.data["source"] for event in events if event.type.value == "source_finished"]}
    else:
        answer = FallbackParallelGraph(config).invoke(state)
except TroubleshootError as error:
    answer = {"error": error.reason, "text": str(error)}
print(json.dumps({**answer, "took": time.monotonic() - began}))
"""


def call(
    fleet: Fleet, api: str, message: str, *, environ: dict[str, str] | None = None, **asked: Any
) -> dict[str, Any]:
    """Call the API in a process of its own, as the app would, with the fleet's environment."""
    (fleet.folder / "own_app.py").write_text(SCRIPT, "utf-8")
    # A worker that is late to reply, as on a busy machine, would count as dead.
    argument = json.dumps({"api": api, "message": message, "served_seconds": min(stretched(0.5), 2), **asked})
    output = fleet.folder / f"own_app-{new_token()}.log"
    with output.open("wb") as out:
        app = start_forked(("own_app", argument), fleet.environ | (environ or {}), fleet.folder, out)
    code, written = app.wait(100), output.read_text("utf-8")
    assert code == 0, written
    answer: dict[str, Any] = json.loads(written.splitlines()[-1])
    return answer


CONFIG = {"node_timeout_seconds": 10, "total_timeout_seconds": 20}
SHORT = {"node_timeout_seconds": 1, "total_timeout_seconds": 4}
"""For a test that waits until time is up."""
APP_READS = {"response", "metadata", "parallel_latency_ms", "total_latency_ms", "errors"}


def test_parallel_troubleshoot_on_workers(running_fleet: Fleet) -> None:
    """The function returns the keys that the app reads, from a run committed by the workers."""
    answer = call(running_fleet, "function", stub_message({"metrics": {"sleep_seconds": 0.3}}), config=CONFIG)
    assert set(answer) >= APP_READS
    assert answer["metadata"]["committed_by"].startswith("synthesis:")
    assert answer["metadata"]["parallel_execution"] is True
    assert answer["metadata"]["sources_successful"] == 4
    assert answer["errors"] == []
    assert 300 <= answer["parallel_latency_ms"] < stretched(1_000)
    assert answer["response"].strip()


def test_the_graph_keeps_the_state_and_fills_in_the_answer(running_fleet: Fleet) -> None:
    """A graph's state comes back with the app's own keys and the answer's."""
    answer = call(running_fleet, "graph", stub_message({}), config=CONFIG)
    assert (answer["user_id"], answer["own_key"]) == ("ana", 1)
    assert set(answer) >= {
        *("message", "intent", "confidence", "entities", "parallel_results", "aggregated_data"),
        *APP_READS,
    }
    assert {result["source"] for result in answer["parallel_results"]} == set(BUILTIN_SOURCES)
    assert set(answer["parallel_results"][0]) >= {"source", "data", "latency_ms", "success", "error"}
    assert isinstance(answer["aggregated_data"]["rag_results"], list)
    assert set(answer["aggregated_data"]) >= {
        *("tws_status", "rag_results", "log_data", "metrics", "sources_available", "sources_failed"),
    }


def test_the_agent_graph_asks_what_the_question_needs(running_fleet: Fleet) -> None:
    """Routed by the kind of question, a status question does not ask the knowledge base or the metrics."""
    answer = call(running_fleet, "agent", "Qual o status do job BATCH001?", config=CONFIG)
    asked = {result["source"] for result in answer["parallel_results"]}
    assert answer["intent"] == "status"
    assert "tws_status" in asked
    assert asked < set(BUILTIN_SOURCES)


def test_a_graph_and_its_invoke_are_awaited_as_coroutines(running_fleet: Fleet) -> None:
    """On an event loop, factory and ``invoke`` are awaited, and the answer is that of the workers."""
    answer = call(running_fleet, "awaited", stub_message({}), config=CONFIG)
    assert answer["metadata"]["committed_by"].startswith("synthesis:")
    assert {result["source"] for result in answer["parallel_results"]} == set(BUILTIN_SOURCES)


@pytest.mark.parametrize("api", ["agent", "fallback"])
def test_intent_and_entities_of_the_state_are_heeded(running_fleet: Fleet, api: str) -> None:
    """What the app's router wrote decides the sources and the jobs, on workers and in process."""
    status = {"intent": "status", "confidence": 0.9, "entities": {"job_name": "FATDIA", "action_type": "x"}}
    answer = call(running_fleet, api, "Por que falhou?", config=CONFIG, state=status)
    assert {result["source"] for result in answer["parallel_results"]} == {"tws_status", "log_cache"}
    assert {result["job"] for result in answer["parallel_results"]} == {"FATDIA"}
    assert (answer["intent"], answer["confidence"]) == ("status", 0.9)
    assert (answer["entities"]["job_name"], answer["entities"]["action_type"]) == ("FATDIA", "x")
    everything = {"intent": "troubleshoot"}
    answer = call(running_fleet, api, "Qual o status do job BATCH001?", config=CONFIG, state=everything)
    assert {result["source"] for result in answer["parallel_results"]} == set(BUILTIN_SOURCES)


def test_a_graph_streams_partial_results(running_fleet: Fleet) -> None:
    """Each source's answer is an event before the final one."""
    answer = call(running_fleet, "stream", stub_message({"metrics": {"sleep_seconds": 0.3}}), config=CONFIG)
    events = answer["events"]
    assert events.count("source_finished") == 4
    assert events[-2:] == ["draft", "final"]


def test_without_workers_the_sources_are_asked_in_process(fleet: Fleet) -> None:
    """With Redis and no worker, the caller takes the run over after a second and commits it to the same run."""
    answer = call(fleet, "function", stub_message({"log_cache": {"error": "sem log"}}), config=CONFIG)
    assert answer["metadata"]["committed"] is True
    assert answer["metadata"]["committed_by"] == "in-process"
    assert answer["metadata"]["outcome"] == "partial"
    assert [error["source"] for error in answer["error_details"]] == ["log_cache"]
    with fleet.client() as client:
        report = client.get(answer["run_id"]).report
        kinds = [event.type.value for event in client.stream(answer["run_id"])]
    assert report is not None
    assert report.response == answer["response"]
    assert kinds.count("source_finished") == 4
    assert kinds.count("final") == 1


def test_without_workers_a_stream_has_the_events_of_the_store(fleet: Fleet) -> None:
    """With Redis and no worker, the caller takes the run over and streams what it stores of it."""
    answer = call(fleet, "stream", stub_message({}), config=CONFIG)
    assert answer["events"][:2] == ["accepted", "routed"]
    assert sorted(answer["finished"]) == sorted(BUILTIN_SOURCES)
    assert (answer["events"][-1], answer["final"]["outcome"]) == ("final", "complete")


def test_without_workers_a_slow_source_still_ends_in_time(fleet: Fleet) -> None:
    """In process too, a source that never returns is stopped and the answer comes by the deadline."""
    # The limit leaves the other sources time to load on a busy machine.
    config = {"node_timeout_seconds": 3, "total_timeout_seconds": 12}
    answer = call(fleet, "function", stub_message({"metrics": {"sleep_seconds": 60}}), config=config)
    assert answer["took"] <= 12 + stretched(0.25)
    assert answer["metadata"]["outcome"] == "partial"
    assert [error["reason"] for error in answer["error_details"]] == ["soft_time_limit"]
    assert answer["errors"] == ["metrics (BATCH001): timeout: não respondeu dentro do limite de 3 s"]
    assert answer["aggregated_data"]["metrics"] == {}


def test_without_redis_the_answer_is_given_and_not_stored(fleet: Fleet) -> None:
    """With no store at all the sources are asked in process, and the metadata says that nothing was committed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        fleet.environ["REDIS_URL"] = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
        answer = call(fleet, "function", stub_message({"metrics": {"sleep_seconds": 0.3}}), config=CONFIG)
    assert answer["metadata"]["committed"] is False
    assert answer["metadata"]["reason"] == "store_unreachable"
    assert answer["metadata"]["outcome"] == "complete"
    assert answer["response"].endswith("Esta resposta não foi gravada: o Redis não responde ou perdeu a execução.")
    assert answer["parallel_latency_ms"] >= 300


@pytest.mark.parametrize("lost", ["redis", "run"])
def test_redis_gone_while_the_sources_are_asked_in_process_costs_no_second_total(
    fleet: Fleet, own_redis: RedisServer, lost: str
) -> None:
    """What is asked again without the store has the time that is left, and the answer tells the whole of it."""
    fleet.environ["REDIS_URL"] = own_redis.url
    message = stub_message({"metrics": {"sleep_seconds": 60}})
    with fleet.client() as client, ThreadPoolExecutor(1) as other:
        asked = other.submit(call, fleet, "function", message, config=SHORT)
        wait_until(lambda: any(client.get(run.run_id).sources for run in client.list()), what="a plan of the run")
        if lost == "redis":
            own_redis.kill()
        else:
            # As after a restart of one that keeps nothing.
            with redis.Redis.from_url(own_redis.url) as raw:
                raw.flushall()
        answer = asked.result(30)
    assert answer["took"] <= 4 + stretched(0.25)
    assert answer["metadata"]["reason"] == "store_unreachable"
    assert 2_000 <= answer["total_latency_ms"] <= answer["took"] * 1_000


def worked(answer: dict[str, Any]) -> dict[str, str]:
    """Who answered for each source: ``in-process``, or ``worker``."""
    return {
        item["source"]: item["worker"] if item["worker"] == "in-process" else "worker"
        for item in answer["parallel_results"]
        if item["success"]
    }


@pytest.mark.parametrize("api", ["function", "stream"])
def test_sources_that_no_worker_takes_are_asked_in_process(fleet: Fleet, api: str) -> None:
    """While the orchestrator lives, each source whose queue is dead is asked by the caller, and the others are not."""
    frozen = fleet.worker("metrics", ready=False)
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    frozen.popen.send_signal(signal.SIGSTOP)
    answer = call(fleet, api, stub_message({}), config=CONFIG)
    assert answer["took"] < stretched(4)
    if api == "stream":
        assert sorted(answer["finished"]) == sorted(BUILTIN_SOURCES)
        assert answer["final"]["outcome"] == "complete"
        return
    assert (answer["metadata"]["outcome"], answer["metadata"]["committed"]) == ("complete", True)
    assert answer["metadata"]["committed_by"].startswith("synthesis:")
    dead = dict.fromkeys(("log_cache", "metrics"), "in-process")
    assert worked(answer) == dict.fromkeys(BUILTIN_SOURCES, "worker") | dead


def test_the_queues_of_live_workers_are_known_each_time(running_fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers reply to every call, not only to the first of a process."""
    monkeypatch.setattr("orchestrator.broker.queues.KNOWN_SECONDS", 0.0)
    monkeypatch.setattr("orchestrator.broker.queues.SERVED_SECONDS", stretched(0.5))
    app = make_celery(running_fleet.settings, with_results=False)
    served = ServedQueues(app)
    assert [served.names() for _ in range(3)] == [frozenset(ALL_QUEUES)] * 3
    app.close()


def test_a_source_whose_workers_are_busy_is_left_to_them(fleet: Fleet) -> None:
    """A queue that is served, only slowly, keeps its limit of questions at once: the caller waits for its turn."""
    fleet.worker("metrics", concurrency=1, ready=False)
    fleet.worker("orchestrator", "synthesis", "tws_status", "rag_search", "log_cache", ready=False)
    fleet.watcher(ready=False)
    fleet.wait_until_ready()
    with ThreadPoolExecutor(2) as others:
        message = stub_message({"metrics": {"sleep_seconds": 2.5}})
        answers = list(others.map(lambda _: call(fleet, "function", message, config=CONFIG), range(2)))
    assert [worked(answer) for answer in answers] == [dict.fromkeys(BUILTIN_SOURCES, "worker")] * 2


@pytest.mark.parametrize("api", ["function", "stream"])
@pytest.mark.parametrize("how", ["killed", "stopped", "emptied"])
def test_redis_gone_in_mid_run_costs_neither_what_was_read_nor_what_is_missing(
    fleet: Fleet, own_redis: RedisServer, how: str, api: str
) -> None:
    """What the workers had answered is kept, what they had not is asked in process, and the answer is complete."""
    fleet.environ["REDIS_URL"] = own_redis.url
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES)
    factor = min(stretched(1), 3)
    message = stub_message({"metrics": {"sleep_seconds": 2 * factor}})
    with fleet.client() as client, ThreadPoolExecutor(1) as other:
        asked = other.submit(call, fleet, api, message, config=CONFIG)
        wait_until(client.list, what="the run")
        run_id = client.list()[0].run_id
        wait_until(lambda: client.store.read(run_id).received == 3, what="three answers")
        # The caller reads what is there four times a second.
        time.sleep(0.6 * factor)
        if how == "emptied":
            with redis.Redis.from_url(own_redis.url) as raw:
                raw.flushall()
        else:
            own_redis.kill() if how == "killed" else own_redis.freeze()
        answer = asked.result(40)
        own_redis.thaw()
    assert answer["took"] < stretched(4 + 4 * factor)
    if api == "stream":
        assert sorted(answer["finished"]) == sorted(BUILTIN_SOURCES)
        assert answer["events"][-1] == "final"
        final = answer["final"]
        assert (final["outcome"], final["committed"], final["reason"]) == ("complete", False, "store_unreachable")
        return
    assert (answer["metadata"]["outcome"], answer["metadata"]["committed"]) == ("complete", False)
    assert answer["metadata"]["reason"] == "store_unreachable"
    assert worked(answer) == dict.fromkeys(BUILTIN_SOURCES, "worker") | {"metrics": "in-process"}
    assert all(item["data"] for item in answer["parallel_results"])


def test_a_take_over_goes_on_without_redis(fleet: Fleet, own_redis: RedisServer) -> None:
    """Sources that are being asked in process when Redis dies are not asked again: their answers are used."""
    fleet.environ["REDIS_URL"] = own_redis.url
    message = stub_message({"metrics": {"sleep_seconds": 4}})
    with fleet.client() as client, ThreadPoolExecutor(1) as other:
        asked = other.submit(call, fleet, "function", message, config=CONFIG)
        wait_until(client.list, what="the run")
        run_id = client.list()[0].run_id
        wait_until(lambda: client.store.read(run_id).received == 3, what="three answers")
        began = time.monotonic()
        time.sleep(2)
        own_redis.kill()
        answer = asked.result(40)
        # Asked again, the slow one would end six seconds after it was asked first.
        assert time.monotonic() - began < stretched(5.5)
    assert (answer["metadata"]["outcome"], answer["metadata"]["committed"]) == ("complete", False)
    assert worked(answer) == dict.fromkeys(BUILTIN_SOURCES, "in-process")


def test_redis_gone_in_mid_run_where_no_source_can_be_asked(
    fleet: Fleet, own_redis: RedisServer, tmp_path: Path
) -> None:
    """Without the sources' code the caller answers by its deadline from what it has read, and says what to install."""
    fleet.environ["REDIS_URL"] = own_redis.url
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES)
    bare = tmp_path / "bare"
    shutil.copytree(tmp_path / "stubs", bare)
    (bare / "resync_stub_sources.py").write_text("import not_installed_here\n", "utf-8")
    message = stub_message({"metrics": {"sleep_seconds": 30}})
    config = {"node_timeout_seconds": 3, "total_timeout_seconds": 6}
    factor = min(stretched(1), 3)
    with fleet.client() as client, ThreadPoolExecutor(1) as other:
        asked = other.submit(call, fleet, "function", message, environ={"PYTHONPATH": str(bare)}, config=config)
        wait_until(client.list, what="the run")
        run_id = client.list()[0].run_id
        wait_until(lambda: client.store.read(run_id).received == 3, what="three answers")
        time.sleep(0.6 * factor)
        own_redis.kill()
        answer = asked.result(40)
    assert answer["took"] <= 6 + stretched(0.5)
    assert (answer["metadata"]["outcome"], answer["metadata"]["committed"]) == ("partial", False)
    assert worked(answer) == dict.fromkeys(("tws_status", "rag_search", "log_cache"), "worker")
    assert [error["reason"] for error in answer["error_details"]] == ["store_unreachable"]
    assert "resync-troubleshoot[workers]" in answer["errors"][0]
    assert "resync-troubleshoot[workers]" in answer["response"]


@pytest.mark.parametrize("api", ["stream", "stream of fallback"])
def test_without_redis_a_stream_has_the_events_of_this_process(fleet: Fleet, api: str) -> None:
    """A stream without any store tells the plan, each source and the answer, which was not stored."""
    fleet.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    answer = call(fleet, api, stub_message({"metrics": {"error": "sem conexão"}}), config=CONFIG)
    assert answer["events"] == ["routed", *["source_finished"] * 4, "final"]
    assert (answer["final"]["outcome"], answer["final"]["committed"]) == ("partial", False)


@pytest.mark.parametrize("api", ["agent", "fallback", "graph"])
def test_with_every_source_switched_off_the_answer_says_what_to_switch_on(fleet: Fleet, api: str) -> None:
    """No source to ask is an answer in the language of the question, with an error, on workers or without."""
    if api == "agent":
        fleet.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    off = {"disabled_sources": list(BUILTIN_SOURCES)}
    answer = call(fleet, api, "O job BATCH001 falhou?", config={**CONFIG, **off})
    assert answer["metadata"]["outcome"] == "failed"
    assert answer["metadata"]["committed"] is (api == "graph")
    assert answer["response"].startswith("nenhuma fonte está ativa; ponha ao menos uma de enable_tws_status")
    assert [error["reason"] for error in answer["error_details"]] == ["refused"]
    assert answer["errors"][0].startswith("run: nenhuma fonte está ativa")
    assert f"{answer['metadata']['speedup_factor']:.2f}" == "1.00"


@pytest.mark.parametrize("api", ["fallback", "graph"])
def test_a_minimum_that_cannot_be_reached_is_refused_at_once(fleet: Fleet, api: str) -> None:
    """More sources than there are cannot be required; the error names the field and what there is."""
    answer = call(fleet, api, "O job BATCH001 falhou?", config={**CONFIG, "min_sources_required": 5})
    assert answer["error"] == "invalid_request"
    assert answer["text"].startswith("min_sources_required (5) must not be greater than")
    assert answer["took"] < stretched(2)


def test_the_fallback_graph_needs_nothing(fleet: Fleet) -> None:
    """FallbackParallelGraph answers with asyncio.gather alone, in about the time of the slowest source."""
    fleet.environ.pop("REDIS_URL")
    behaviours: dict[str, dict[str, object]] = {source: {"sleep_seconds": 0.5} for source in BUILTIN_SOURCES}
    answer = call(fleet, "fallback", stub_message(behaviours), config=CONFIG)
    assert answer["metadata"]["outcome"] == "complete"
    assert "gravada" not in answer["response"]
    assert (answer["metadata"]["committed"], answer["metadata"]["reason"]) == (False, "no_store")
    assert answer["parallel_latency_ms"] < stretched(1_000)
    assert answer["metadata"]["sequential_equivalent_ms"] >= 2_000


def test_nodes_of_an_apps_own_graph_need_nothing(fleet: Fleet) -> None:
    """Each source is asked at the same time as the others, and what they found is merged and answered."""
    fleet.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    message = stub_message({"tws_status": {"sleep_seconds": 0.3}, "metrics": {"error": "sem conexão"}})
    answer = call(fleet, "nodes", message)
    assert answer["errors"] == ["metrics (BATCH001): sem conexão"]
    assert answer["aggregated_data"]["sources_available"] == ["tws_status", "rag_search", "log_cache"]
    assert (answer["metadata"]["sources_queried"], answer["metadata"]["sources_successful"]) == (4, 3)
    assert answer["parallel_latency_ms"] >= 300
    assert answer["response"].startswith("## Diagnóstico")


def test_the_example_of_adoption_runs_on_workers(running_fleet: Fleet) -> None:
    """What the page tells to run: a handler and an agent that patch nothing."""
    output = running_fleet.folder / "adoption.log"
    with output.open("wb") as out:
        app = start_forked(("adoption", stub_message({})), running_fleet.environ, EXAMPLES, out)
    code, written = app.wait(60), output.read_text("utf-8")
    assert code == 0, written
    assert re.match(r"handler: 0 errors, speed-up \d+\.\d\dx\n\n", written), written
    assert written.count(" ms  ok\n") == 4
    assert "## Diagnóstico" in written


def test_without_worker_code_the_error_names_the_extra(fleet: Fleet, tmp_path: Path) -> None:
    """Where the sources' code cannot be imported, the error says what to install, well before the deadline."""
    (tmp_path / "stubs" / "resync_stub_sources.py").write_text("import not_installed_here\n", "utf-8")
    answer = call(fleet, "function", "Job BATCH001 falhou", config=CONFIG)
    assert answer["error"] == "workers_not_installed"
    assert "resync-troubleshoot[workers]" in answer["text"]
    assert answer["took"] < stretched(3)


def test_one_source_without_its_code_is_told_as_well(fleet: Fleet, tmp_path: Path) -> None:
    """A client that can ask only some of the four says what to install rather than answer from a part."""
    (tmp_path / "stubs" / "resync_stub_sources.py").write_text(
        "from orchestrator.testing import stub_spec\nlog_cache = stub_spec('log_cache')\n"
        "def __getattr__(name):\n    raise ModuleNotFoundError(name='httpx2')\n",
        "utf-8",
    )
    answer = call(fleet, "function", "Job BATCH001 falhou", config=CONFIG)
    assert answer["error"] == "workers_not_installed"
    assert "httpx2" in answer["text"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"config": {**CONFIG}, "jobs": ["../x"]}, "jobs"), ({"config": {**CONFIG}, "jobs": ["A' OR 1"]}, "jobs")],
)
def test_wrong_input_names_the_field(fleet: Fleet, asked: dict[str, Any], field: str) -> None:
    """A job that is none is refused before anything is asked."""
    answer = call(fleet, "graph", "Job falhou", **asked)
    assert answer["error"] == "invalid_request"
    assert answer["text"].startswith(field)


def test_the_loop_of_the_caller_is_never_blocked(running_fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run goes on, the caller's event loop keeps its beat."""
    from orchestrator.config import ParallelConfig
    from orchestrator.graph import parallel_troubleshoot

    message = stub_message({"metrics": {"sleep_seconds": 0.5}})

    async def scenario() -> float:
        gaps, done = [0.0], asyncio.Event()

        async def beat() -> None:
            last = time.monotonic()
            while not done.is_set():
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()

        heart = asyncio.create_task(beat())
        await parallel_troubleshoot(message, config=ParallelConfig(**CONFIG), settings=running_fleet.settings)
        done.set()
        await heart
        return max(gaps)

    assert asyncio.run(scenario()) < stretched(0.3)
