"""The worker side's commands up to the point where they would start a process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cli_support import Cli, Result, run_command
from redis.exceptions import OutOfMemoryError

from orchestrator.broker.app import queue_names
from orchestrator.broker.queues import QueueState, ask_workers, consumers_by_queue
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, StoreUnreachable
from orchestrator.store.load import QueueLoad
from orchestrator.store.room import Room
from workers.cli import worker
from workers.lab.simulator.counterparts import scenario_environ
from workers.standalone import redis_server
from workers.standalone.layout import (
    FLOWER_CONFIGURATION,
    Layout,
    flower_specs,
    parse_counts,
    watcher_specs,
    worker_command,
    worker_specs,
)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*args: str, **environ: str) -> Result:
        return run_command(capsys, args, CliContext(environ))

    return call


def test_every_queue_has_a_worker_and_there_are_two_watchers() -> None:
    """The default layout serves every queue by a process of its own and survives a watcher's death."""
    specs = worker_specs(Layout(), {})
    assert [spec.name for spec in specs] == list(queue_names())
    assert [spec.command[spec.command.index("-Q") + 1] for spec in specs] == list(queue_names())
    assert len(watcher_specs(Layout(), {})) == 2
    assert flower_specs(Layout(), {}) == []


def test_layout_counts_name_each_process() -> None:
    """Several workers of a queue have names of their own on the host, and 0 leaves the queue alone."""
    layout = Layout(workers={"metrics": 0, "rag_search": 3}, concurrency=7)
    names = [spec.name for spec in worker_specs(layout, {}) if spec.name.startswith(("metrics", "rag_search"))]
    assert names == ["rag_search", "rag_search-2", "rag_search-3"]
    nodes = [spec.command[spec.command.index("-n") + 1] for spec in worker_specs(layout, {})]
    assert len(set(nodes)) == len(nodes)
    assert "rag_search-2@%h" in nodes
    assert all(spec.command[spec.command.index("-c") + 1] == "7" for spec in worker_specs(layout, {}))


def test_flower_listens_on_the_loopback_interface_alone() -> None:
    """Flower without credentials is never reachable from another machine."""
    (spec,) = flower_specs(Layout(flower_port=1234), {})
    assert {"--address=127.0.0.1", "--port=1234"} <= set(spec.command)


def test_flower_shows_the_run_of_every_task_and_offers_no_command() -> None:
    """The list of tasks has their arguments, which begin with the run's id; buttons that would be refused are away."""
    (spec,) = flower_specs(Layout(flower_port=1234), {})
    assert "--read_only=true" in spec.command
    assert f"--conf={FLOWER_CONFIGURATION}" in spec.command
    assert FLOWER_CONFIGURATION.is_file()


def test_environment_of_a_process_is_not_in_its_repr() -> None:
    """A spec may hold passwords in its environment; its repr does not."""
    (spec, *_) = worker_specs(Layout(), {"REDIS_URL": "redis://:a-secret@h/0"})
    assert "a-secret" not in repr(spec)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("metric=2", "no queue is named 'metric'; queues: orchestrator, tws_status"),
        ("metrics", r"'metrics': expected QUEUE=N"),
        ("metrics=", r"expected QUEUE=N"),
        ("metrics=-1", r"expected QUEUE=N with N from 0 to 64"),
        ("metrics=65", r"expected QUEUE=N with N from 0 to 64"),
    ],
)
def test_wrong_worker_count_is_explained(value: str, words: str) -> None:
    """A wrong --worker names what it must be."""
    with pytest.raises(ConfigurationError, match=words):
        parse_counts(("synthesis=1", value))
    assert parse_counts(("metrics=2", "metrics=3")) == {"metrics": 3}


def test_scenario_is_kept_apart_from_real_counterparts() -> None:
    """A demo never asks the TWS, Redis or metrics that this machine is set up for; its model stays."""
    environ = {
        "PATH": "/bin",
        "REDIS_URL": "r",
        "APP_REDIS_URL": "r",
        "TWS_PASSWORD": "p",
        "APP_TWS_HOST": "h",
        "RESYNC_PROMETHEUS_URL": "u",
        "RESYNC_LOG_LEVEL": "DEBUG",
        "LLM_MODEL": "m",
        "RESYNC_LLM_MAX_ANSWER_TOKENS": "900",
        "RESYNC_PIPELINES_FILE": "f",
    }
    assert scenario_environ(environ) == {
        "PATH": "/bin",
        "RESYNC_LOG_LEVEL": "DEBUG",
        "LLM_MODEL": "m",
        "RESYNC_LLM_MAX_ANSWER_TOKENS": "900",
        "RESYNC_PIPELINES_FILE": "f",
    }


def test_json_of_a_workers_command_is_utf_8_on_any_terminal(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of another encoding ``kb`` still writes UTF-8, and no letter is replaced by a similar one."""
    (tmp_path / "página.md").write_text("# S0C7\n\nO job “A” não iniciou.\n", encoding="utf-8")
    environ = {"RESYNC_KNOWLEDGE_PATH": str(tmp_path / "índice.sqlite3")}
    monkeypatch.setattr(sys, "stdout", open(1, "w", encoding="latin-1", errors="replace", closefd=False))  # noqa: SIM115
    for args in (("index", str(tmp_path), "--no-runbooks"), ("search", "S0C7"), ("stats",)):
        assert run(("kb", *args, "--json"), CliContext(environ)) == 0
    indexed, found, stats = map(json.loads, capfdbinary.readouterr().out.decode("utf-8").splitlines())
    assert indexed["path"] == stats["where"] == environ["RESYNC_KNOWLEDGE_PATH"]
    assert "“A” não" in found["hits"][0]["text"]


def test_worker_becomes_celery(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``worker`` replaces its process by Celery's, with the password in the environment and not in the arguments."""
    called: list[tuple[str, tuple[str, ...], dict[str, str]]] = []
    monkeypatch.setattr(worker.os, "execve", lambda *args: called.append(args))
    url = "redis://:a-secret@h:1/0"
    args = ("worker", "metrics", "log_cache", "metrics", "--pool", "prefork", "-c", "3", "--redis-url", url)
    assert cli(*args, RESYNC_LOG_LEVEL="debug").code == 0
    ((program, argv, environ),) = called
    assert program == sys.executable
    assert argv == worker_command(
        ("metrics", "log_cache"), node="metrics-log_cache", pool="prefork", concurrency=3, log_level="DEBUG"
    )
    assert environ["REDIS_URL"] == url
    assert not any("a-secret" in word for word in argv)


def test_worker_all_serves_every_queue(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``worker --all`` serves every queue in one process named all."""
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(worker.os, "execve", lambda program, argv, environ: called.append(argv))
    assert cli("worker", "--all").code == 0
    assert called == [worker_command(queue_names(), node="all")]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("worker",), "name at least one queue"),
        (("worker", "metric"), "no queue is named 'metric'; queues: orchestrator"),
        (("worker", "metrics", "--all"), "not both"),
        (("worker", "metrics", "--pool", "gevent"), "'gevent' is not one of"),
        (("worker", "metrics", "--concurrency", "0"), "0 is not in the range"),
        (("worker", "metrics", "--name", "a@b"), "--name: 'a@b' may hold neither"),
        (("worker", "metrics", "--redis-url", "http://x"), "redis+sentinel:// or rediss+sentinel://"),
        (("up", "--worker", "nope=1"), "--worker: no queue is named 'nope'"),
        (("up", "--port-flower", "0"), "--port-flower"),
        (("up", "--demo-data", "--redis-url", "redis://h:1/0"), "embedded Redis"),
        (("demo", "--scenario", "12"), "--scenario: there is no scenario 12"),
        (("eval", "--scenario", "11"), "--scenario: the answer to scenario 11 is not scored; those from 1 to 10 are"),
        (("eval", "--scenario", "12"), "did you mean 10?"),
        (("demo", "--total-timeout", "4"), "--node-timeout (5) must be less than --total-timeout (4)"),
    ],
)
def test_wrong_use_is_one_line(cli: Cli, args: tuple[str, ...], words: str) -> None:
    """Wrong input is one line that names the option and what it must be, before anything is started."""
    result = cli(*args)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_demo_lists_its_scenarios(cli: Cli) -> None:
    """Each scenario is one line with its number."""
    lines = cli("demo", "--list").out.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, 12))
    assert [item["number"] for item in json.loads(cli("demo", "--list", "--json").out)] == list(range(1, 12))


def test_consumers_are_listed_by_queue() -> None:
    """What each worker consumes is turned round into who consumes each queue, by the workers' names."""
    answers: dict[str, list[dict[str, object]]] = {
        "metrics-2@h": [{"name": "metrics"}],
        "all@h": [{"name": "metrics"}, {"name": "synthesis"}],
        "metrics@h": [{"name": "metrics"}],
    }
    assert consumers_by_queue(answers) == {
        "metrics": ("all@h", "metrics@h", "metrics-2@h"),
        "synthesis": ("all@h",),
    }


def test_queues_of_a_full_redis_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that takes no more messages cannot ask its workers: an unreachable store, not a traceback."""

    def broadcast(*_args: object, **_options: object) -> NoReturn:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    monkeypatch.setattr("celery.app.control.Control.broadcast", broadcast)
    with pytest.raises(StoreUnreachable, match="OOM"):
        ask_workers(Settings.from_env({}))


def test_workers_that_share_a_name_are_both_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue of theirs looks unserved; a reply that is an error is left out."""
    replies = [
        {"w@h": [{"name": "metrics"}]},
        {"w@h": [{"name": "metrics"}, {"name": "synthesis"}]},
        {"x@h": {"error": "x"}},
    ]
    monkeypatch.setattr("celery.app.control.Control.broadcast", lambda *_args, **_options: replies)
    assert consumers_by_queue(ask_workers(Settings.from_env({}))) == {
        "metrics": ("w@h", "w@h"),
        "synthesis": ("w@h",),
    }


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked about the memory of a Redis that there is not."""
    monkeypatch.setattr("orchestrator.cli.queues.room_of", lambda _: Room())


def test_queues_count_what_was_set_aside(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that no worker could take have a row, if there are any; programs read them of each queue."""
    states = [QueueState("orchestrator", 0, ("w",)), QueueState("metrics", 0, ("w",), set_aside=3)]
    monkeypatch.setattr("orchestrator.cli.queues.read_queues", lambda _: (states, ["host:1"], {}))
    assert re.search(r"\(set aside\) +3 +(- +)+metrics 3\n", cli("queues").out)
    assert [queue["set_aside"] for queue in json.loads(cli("queues", "--json").out)["queues"]] == [0, 3]
    states.pop()
    assert "set aside" not in cli("queues").out


def test_queues_name_the_one_that_does_not_keep_up(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue whose workers do not keep up has its rate and its waiting time; a program reads them of each queue."""
    states = [
        QueueState("orchestrator", 0, ("w",)),
        QueueState("metrics", 30, ("w",), wait_seconds=7.5, per_second=4.0),
    ]
    monkeypatch.setattr("orchestrator.cli.queues.read_queues", lambda _: (states, ["host:1"], {}))
    assert "metrics: 4 are served in a second; a new request waits for 7.5 s\n" in cli("queues").out
    assert [queue["wait_seconds"] for queue in json.loads(cli("queues", "--json").out)["queues"]] == [0, 7.5]


def test_only_up_offers_a_redis_that_runs_already(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redis-server, REDIS_URL is a way for ``up``; ``demo`` never uses it."""
    monkeypatch.setattr(redis_server.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    up, demo = cli("up", "--no-flower", PATH="/nowhere"), cli("demo", PATH="/nowhere")
    assert (up.code, demo.code) == (2, 2)
    assert up.err.endswith("'resync-troubleshoot[embedded]', or set REDIS_URL to a Redis that runs already\n")
    assert demo.err.endswith("'resync-troubleshoot[embedded]'\n")


@pytest.mark.parametrize(("locale", "prefix"), [("C", "error: "), ("pt_BR.UTF-8", "erro: ")])
def test_worker_refuses_a_setting_as_a_command_does(locale: str, prefix: str) -> None:
    """A setting that stops Celery's process at its start is told with the prefix of every other error."""
    environ = {"LANG": locale, "RESYNC_NODE_TIMEOUT_SECONDS": "soon"}
    started = subprocess.run(
        (sys.executable, "-c", "import workers.app"), env=environ, capture_output=True, encoding="utf-8", check=False
    )
    assert started.returncode == 2
    assert started.stderr.startswith(f"{prefix}RESYNC_NODE_TIMEOUT_SECONDS: ")


def test_the_message_of_a_killed_process_is_no_malformed_one(tmp_path: Path) -> None:
    """A child of the pool that was killed, by the kernel or by its hard limit, says nothing of its message."""
    code = (
        "from billiard.exceptions import TimeLimitExceeded, WorkerLostError\n"
        "from celery.signals import task_failure\n"
        "from workers.app import app\n"
        "for error in (WorkerLostError('signal 9'), TimeLimitExceeded(2), TypeError('missing argument')):\n"
        "    task_failure.send(app.tasks['troubleshoot.run'], exception=error, args=('run-0001',), kwargs={})\n"
    )
    environ = {"HOME": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run((sys.executable, "-c", code), env=environ, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.count("message_set_aside") == 1
    assert "task failed: TypeError" in done.stderr


def _queue(name: str, workers: tuple[str, ...], places: float | None = None, **load: Any) -> QueueState:
    figures = {
        "waiting": 0,
        "running": 0,
        "oldest_wait_seconds": 0.0,
        "arrivals_per_second": 0.0,
        "turned_away_per_second": 0.0,
        "completions_per_second": 0.0,
        "task_seconds": None,
    }
    state = QueueLoad(queue=name, **{**figures, **load})
    return QueueState(name, state.waiting, workers, load=state, places_per_worker=places)


QUEUES = [
    _queue("orchestrator", ("o@h",), 4, running=1, capacity=4, task_seconds=0.01, arrivals_per_second=2.0),
    _queue("tws_status", (), waiting=1, oldest_wait_seconds=4.25, arrivals_per_second=0.5, capacity=0),
    _queue(
        "rag_search",
        ("r@h",),
        4,
        waiting=30,
        running=4,
        oldest_wait_seconds=5.5,
        arrivals_per_second=10.0,
        turned_away_per_second=2.5,
        completions_per_second=7.5,
        task_seconds=0.5,
        capacity=4,
    ),
    _queue("log_cache", ("l@h", "l2@h"), arrivals_per_second=30.0, task_seconds=0.1),
    _queue("metrics", ("m@h",), 8, capacity=8),
    _queue("synthesis", (), waiting=2, arrivals_per_second=0.5, task_seconds=3.0, capacity=0),
]
ADVICE = (
    "rag_search: start 1 more worker (10.333 tasks/s x 0.5 s/task = 5.17 places in use; with 6 places a task waits "
    "0.389 s on average)"
)
ROWS = {
    "orchestrator": "0 - 1/4 2 0 0.01 1 o@h",
    "tws_status": "1 4.25 0/0 0.5 0 - - none",
    "rag_search": "30 5.5 4/4 10 7.5 0.5 2 r@h",
    "log_cache": "0 - 0/? 30 0 0.1 4 places l@h, l2@h",
    "metrics": "0 - 0/8 0 0 - 1 m@h",
    "synthesis": "2 - 0/0 0.5 0 3 3 places none",
}


def test_queues_show_what_each_has_to_do_and_needs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each queue; below them what is to be done, with the numbers that it follows from."""
    monkeypatch.setattr("orchestrator.cli.queues.read_queues", lambda _: (QUEUES, ["host:1"], {}))
    out = cli("queues").out
    rows = {line.partition(" ")[0]: " ".join(line.split()[1:]) for line in out.splitlines() if ":" not in line}
    assert {name: rows[name] for name in ROWS} == ROWS
    remarks = [line for line in out.splitlines() if line.partition(":")[0] in ROWS]
    assert remarks == [
        "tws_status: no worker serves it, and 1 message waits",
        "rag_search: 2.5 of 10 tasks a second are turned away for its length",
        ADVICE,
        "synthesis: no worker serves it, and 2 messages wait",
    ]
    # A shorter wait needs more.
    short = json.loads(cli("queues", "--target-wait", "0.01", "--json").out)
    advised = {queue["queue"]: queue["advised"] for queue in short["queues"]}
    assert advised["rag_search"]["places"] > 6
    assert advised["tws_status"] is None
    assert short["target_wait_seconds"] == 0.01
    assert (
        short["queues"][2].items() >= {"queue": "rag_search", "waiting": 30, "workers": ["r@h"], "running": 4}.items()
    )
    for wrong in ("0", "-1", "x", "nan"):
        assert cli("queues", "--target-wait", wrong).code == 2


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("pt_BR.UTF-8", ("1 mensagem espera", "2 mensagens esperam", "inicie mais 1 worker (10,333 tarefas/s")),
        ("es_ES.UTF-8", ("1 mensaje espera", "2 mensajes esperan", "inicie 1 worker más (10,333 tareas/s")),
    ],
)
def test_queues_are_told_in_words_of_the_language(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, lang: str, words: tuple[str, ...]
) -> None:
    """Singular and plural, and the decimal comma."""
    monkeypatch.setattr("orchestrator.cli.queues.read_queues", lambda _: (QUEUES, [], {}))
    out = cli("queues", LANG=lang).out
    assert all(word in out for word in words), out
    assert "0,389 s" in out


def test_queues_are_watched_until_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--watch`` shows them again and again, also after Redis was away; as JSON one object after the other."""
    pauses: list[float] = []

    def read(_: object) -> object:
        if len(pauses) == 1:
            raise StoreUnreachable
        return QUEUES, [], {}

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.cli.queues.read_queues", read)
    monkeypatch.setattr("orchestrator.cli.queues.time.sleep", sleep)
    result = cli("queues", "--watch", "5", "--json")
    assert (result.code, pauses) == (130, [5.0] * 3)
    assert result.out.count('"target_wait_seconds"') == 2
    assert result.err.startswith("error: ")
