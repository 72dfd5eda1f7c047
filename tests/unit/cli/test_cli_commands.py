"""The client's commands over a fake client: what is printed where, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from types import EllipsisType

import pytest
from cli_support import Cli, Result, run_command

from orchestrator.cli import main
from orchestrator.cli.context import CliContext
from orchestrator.cli.view import RunView
from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import InvalidRequest, Overloaded, RunNotFound, StoreUnreachable, UnknownInstance
from orchestrator.models import (
    AnswerMode,
    Event,
    EventType,
    Report,
    RunOutcome,
    RunPage,
    RunSnapshot,
    RunState,
    RunSummary,
    TroubleshootRequest,
)
from orchestrator.store.run_filter import RunFilter

RUN = "run-0000-0001"


def report(outcome: RunOutcome = RunOutcome.COMPLETE, **fields: object) -> Report:
    return Report.model_validate(
        {"run_id": RUN, "outcome": outcome, "mode": AnswerMode.DETERMINISTIC, "response": "# S0C7\nbad data"} | fields
    )


def events() -> list[Event]:
    return [
        Event(id="1-0", run_id=RUN, type=EventType.ACCEPTED, at_ms=1, data={"total_seconds": 10}),
        Event(
            id="2-0",
            run_id=RUN,
            type=EventType.FINAL,
            at_ms=900,
            data={"outcome": "complete", "mode": "deterministic", "response": "r", "committed_by": "s"},
        ),
    ]


@dataclass
class FakeClient:
    """Answers from what it was given; keeps what it was asked."""

    report: Report = field(default_factory=report)
    stream_error: BaseException | None = None
    submit_error: BaseException | None = None
    first_error: BaseException | None = None
    settings: Settings | None = None
    requests: list[TroubleshootRequest] = field(default_factory=list)
    calls: list[tuple[str, object]] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)
    snapshot: RunSnapshot | None = None
    next_page: str | None = None
    closed: bool = False

    def submit(
        self, request: TroubleshootRequest, *, run_id: str | None = None, idempotency_key: str | None = None
    ) -> str:
        if self.submit_error is not None:
            raise self.submit_error
        self.requests.append(request)
        self.calls.append(("submit", (run_id, idempotency_key)))
        return run_id or RUN

    def rerun(
        self,
        run_id: str,
        *,
        everything: bool = False,
        new_run_id: str | None = None,
        idempotency_key: str | None = None,  # RunClient
        user_id: str | EllipsisType | None = ...,  # RunClient
    ) -> str:
        self.calls.append(("rerun", (run_id, everything)))
        return new_run_id or RUN

    def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        self.calls.append(("result", run_id))
        return self.report

    def stream(
        self, run_id: str, *, after: str = "0", keeps_answers: bool = False, with_results: bool = False
    ) -> Iterator[Event]:
        self.calls.append(("stream", after))
        if self.first_error is not None:
            raise self.first_error
        yield from events()[:1]
        if self.stream_error is not None:
            raise self.stream_error
        yield from events()[1:]

    def get(self, run_id: str) -> RunSnapshot:
        if self.snapshot is None:
            raise RunNotFound(f"no run {run_id!r} is stored")
        return self.snapshot

    def cancel(self, run_id: str) -> RunSummary:
        return self.summaries[0]

    def page(self, *, limit: int = 20, after: str | None = None, where: RunFilter | None = None) -> RunPage:
        self.calls.append(("page", (limit, after, where)))
        return RunPage(runs=tuple(self.summaries[:limit]), next=self.next_page)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def cli(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*args: str, **environ: str) -> Result:
        def open_client(settings: Settings) -> FakeClient:
            client.settings = settings
            return client

        return run_command(capsys, args, CliContext(environ, open_client))

    return call


def summary(state: RunState, outcome: RunOutcome | None = None) -> RunSummary:
    return RunSummary(
        run_id=RUN, state=state, outcome=outcome, message="Job BATCH001\nfalhou", created_at_ms=0, deadline_ms=10
    )


def test_submit_prints_the_answer_on_stdout_and_progress_on_stderr(cli: Cli, client: FakeClient) -> None:
    """Standard output holds the answer and nothing else; the connection is closed."""
    result = cli("submit", "Job BATCH001 falhou")
    assert (result.code, result.out) == (0, "# S0C7\nbad data\n")
    assert result.err.splitlines()[0] == f"run {RUN}: accepted, an answer within 10 s"
    assert client.closed


def test_submit_passes_every_option(cli: Cli, client: FakeClient) -> None:
    """Each option reaches the request's field, the run id and the key the client."""
    options = (
        "--job A1 --job WS#STREAM.B2 --instance prod --node-timeout 2 --total-timeout 6 --reserve 1.5 "
        "--disable metrics --min-sources 2 --rag-limit 3 --user u --session s --language en "
        "--idempotency-key k --run-id my-run-001"
    )
    assert cli("submit", "why?", *options.split()).code == 0
    (request,) = client.requests
    config = request.config
    assert request.jobs == ("A1", "WS#STREAM.B2")
    assert (request.tws_instance_id, request.user_id, request.session_id, request.language) == ("prod", "u", "s", "en")
    assert (config.node_timeout_seconds, config.total_timeout_seconds, config.reserve_seconds) == (2, 6, 1.5)
    assert (config.disabled_sources, config.min_sources_required, config.rag_result_limit) == (("metrics",), 2, 3)
    assert client.calls[0] == ("submit", ("my-run-001", "k"))


def test_submit_takes_limits_from_the_environment(cli: Cli, client: FakeClient) -> None:
    """Without options the limits are those of the environment."""
    cli("submit", "why?", RESYNC_NODE_TIMEOUT_SECONDS="1", RESYNC_TOTAL_TIMEOUT_SECONDS="3")
    assert (client.requests[0].config.node_timeout_seconds, client.requests[0].config.total_timeout_seconds) == (1, 3)


def test_redis_url_option_wins_over_the_environment(cli: Cli, client: FakeClient) -> None:
    """--redis-url stands in for REDIS_URL."""
    cli("submit", "why?", "--redis-url", "redis://b:2/0", REDIS_URL="redis://a:1/0")
    assert client.settings is not None
    assert client.settings.redis_url == "redis://b:2/0"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (RunOutcome.COMPLETE, 0),
        (RunOutcome.FAILED, 1),
        (RunOutcome.PARTIAL, 3),
        (RunOutcome.TIMED_OUT, 4),
        (RunOutcome.CANCELLED, 6),
    ],
)
def test_exit_code_tells_the_outcome(cli: Cli, client: FakeClient, outcome: RunOutcome, code: int) -> None:
    """Every outcome has its own exit code, for submit and watch."""
    client.report = report(outcome)
    assert cli("submit", "why?").code == code
    assert cli("watch", RUN).code == code


def test_submit_json_prints_the_report(cli: Cli, client: FakeClient) -> None:
    """With --json standard output is the report and parses as one."""
    result = cli("submit", "why?", "--json")
    assert Report.model_validate_json(result.out) == client.report


def test_submit_no_wait_prints_the_run_id(cli: Cli, client: FakeClient) -> None:
    """--no-wait ends at once with the id alone on standard output and the way to follow it on standard error."""
    result = cli("submit", "why?", "--no-wait")
    assert (result.code, result.out) == (0, f"{RUN}\n")
    assert f"resync-troubleshoot watch {RUN}" in result.err
    assert [name for name, _ in client.calls] == ["submit"]
    assert json.loads(cli("submit", "why?", "--no-wait", "--json").out) == {"run_id": RUN}


def test_ctrl_c_detaches_and_says_how_to_resume(cli: Cli, client: FakeClient) -> None:
    """Ctrl-C leaves the run alone, prints the command that resumes it and exits 130."""
    client.stream_error = KeyboardInterrupt()
    result = cli("submit", "why?", LANG="pt_BR.UTF-8")
    assert result.code == 130
    assert result.err.splitlines()[-1] == (
        f"desconectado; a execução continua. Para retomar: resync-troubleshoot watch {RUN}"
    )
    assert ("result", RUN) not in client.calls
    assert cli("watch", RUN, "--json").code == 130


def test_broken_stream_still_gives_the_answer(cli: Cli, client: FakeClient) -> None:
    """When the stream breaks off the command still waits for the client's answer."""
    client.stream_error = StoreUnreachable()
    client.report = report(RunOutcome.PARTIAL, committed=False, reason="store_unreachable")
    result = cli("submit", "why?")
    assert result.code == 5
    assert result.out.startswith("# S0C7")
    assert "the store stopped answering" in result.err


def test_watch_without_a_store_is_one_line(cli: Cli, client: FakeClient) -> None:
    """When not even the first event can be read, the store is unreachable; there is nothing to wait for."""
    client.first_error = StoreUnreachable("Redis does not answer")
    result = cli("watch", RUN)
    assert (result.code, result.err) == (5, "error: Redis does not answer\n")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--job", "../x"), ("--job", "'../x'", "is not a TWS job name", "expected", "FECH0*")),
        (("--job", "J020..J001"), ("--job", "'J020..J001'", "no range of jobs", "FECH001..FECH020")),
        (("--job", "J001..J300"), ("--job", "300 jobs are named", "200 at most", "ask about the others")),
        (("--node-timeout", "-1"), ("--node-timeout", "-1.0", "greater than 0")),
        (("--node-timeout", "soon"), ("--node-timeout", "'soon'", "not a valid float")),
        (("--total-timeout", "nan"), ("--total-timeout", "nan", "finite")),
        (("--total-timeout", "4"), ("--node-timeout (5) must be less than --total-timeout (4)",)),
        (("--reserve", "10"), ("--reserve (10) must be less than --total-timeout (10)",)),
        (("--instance", "a b"), ("--instance", "'a b'")),
        (("--disable", "metric"), ("--disable", "'metric'", "installed: tws_status, rag_search, log_cache, metrics")),
        (("--rag-limit", "0"), ("--rag-limit", "greater than or equal to 1")),
        (("--language", "tlh"), ("--language", "'tlh'", "'pt-BR'")),
        (("--run-id", "short"), ("--run-id", "'short'", "8 to 64")),
        (("--nodes-timeout", "1"), ("No such option", "--nodes-timeout")),
        (("--redis-url", "http://x"), ("REDIS_URL", "must start with redis://")),
    ],
)
def test_wrong_option_gives_one_clear_line(
    cli: Cli, client: FakeClient, args: tuple[str, ...], words: tuple[str]
) -> None:
    """A wrong value is told of on one line that names the option and what it must be, with exit code 2."""
    result = cli("submit", "why?", *args)
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    for word in words:
        assert word in result.err
    assert client.requests == []


def test_empty_message_is_refused(cli: Cli) -> None:
    """An empty question is a usage error that shows what a question looks like."""
    result = cli("submit", "  ")
    assert result.code == 2
    assert "MESSAGE: the message is empty" in result.err


def test_refused_message_is_not_repeated(cli: Cli) -> None:
    """A question that is refused is not written back: it may hold a password."""
    result = cli("submit", "senha=abc " * 1000)
    assert result.code == 2
    assert "senha" not in result.err


@pytest.mark.parametrize(("error", "code"), [(StoreUnreachable("redis at h:1 does not answer"), 5), (Overloaded(), 5)])
def test_client_errors_are_one_line(cli: Cli, client: FakeClient, error: Exception, code: int) -> None:
    """An error of the client is one line and its exit code; with --json standard output has it for programs."""
    client.submit_error = error
    result = cli("submit", "why?", "--json")
    assert result.code == code
    assert result.err == f"error: {error}\n"
    assert json.loads(result.out)["error"] == {"reason": error.reason, "message": str(error)}  # type: ignore[attr-defined]


def test_a_minimum_that_no_run_can_reach_names_the_option(cli: Cli, client: FakeClient) -> None:
    """More sources than there are cannot be required; the option is named, not the field."""
    with pytest.raises(InvalidRequest) as caught, TroubleshootClient(Settings.from_env({})) as unconnected:
        unconnected.submit(TroubleshootRequest(message="x", config=ParallelConfig(min_sources_required=9)))
    client.submit_error = caught.value
    result = cli("submit", "why?", "--min-sources", "9")
    assert result.code == 2
    assert "--min-sources (9) must not be greater than" in result.err


def test_refusal_of_the_store_names_the_option(cli: Cli, client: FakeClient) -> None:
    """What the store or another program's user knows as a field is an option to who typed it."""
    client.submit_error = UnknownInstance(
        "{field}: {name!r} is not known; known: {known}", field="tws_instance_id", name="x", known="default"
    )
    assert cli("submit", "why?").err == "error: --instance: 'x' is not known; known: default\n"
    client.submit_error = InvalidRequest(
        "{field}: {run!r} is the run of another question; leave it out or choose another", field="run_id", run="y"
    )
    assert cli("submit", "why?").err.startswith("error: --run-id: 'y' is the run of another question")


def test_watch_json_prints_one_event_a_line(cli: Cli, client: FakeClient) -> None:
    """watch --json writes the events as JSON lines, resuming after the given id."""
    result = cli("watch", RUN, "--json", "--after", "1-0")
    assert [Event.model_validate_json(line).id for line in result.out.splitlines()] == ["1-0", "2-0"]
    assert client.calls[0] == ("stream", "1-0")


def test_watch_results_without_json_is_refused(cli: Cli, client: FakeClient) -> None:
    """Text has no place for a source's data: an option that would do nothing is a mistake of usage."""
    result = cli("watch", RUN, "--results")
    assert (result.code, result.err) == (2, "error: Invalid value for --results: needs --json as well\n")
    assert client.settings is None


@pytest.mark.parametrize("command", ["watch", "get", "cancel"])
@pytest.mark.parametrize("run_id", ["nope", "../../etc/passwd", "a:b:c:d:e"])
def test_what_is_no_run_id_is_an_unknown_run(cli: Cli, client: FakeClient, command: str, run_id: str) -> None:
    """An id that no run can have exits 7 without asking the store."""
    assert cli(command, run_id).code == 7
    assert client.settings is None


def test_get_of_an_unknown_run_exits_7(cli: Cli) -> None:
    """A run that is not stored has an exit code of its own."""
    assert cli("get", RUN).code == 7


def test_get_prints_what_there_is(cli: Cli, client: FakeClient) -> None:
    """An open run tells how far it is with exit code 0; an ended one prints its answer with its own code."""
    request = TroubleshootRequest(message="why?")
    client.snapshot = RunSnapshot(
        run_id=RUN,
        state=RunState.DISPATCHED,
        request=request,
        sources={
            "metrics": {"state": "finished", "outcome": "ok", "finding": "CPU"},
            "log_cache": {"state": "started"},
        },
        created_at_ms=0,
        deadline_ms=10,
    )
    result = cli("get", RUN)
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["metrics", "ok", "CPU"],
        ["log_cache", "querying", "-"],
    ]
    assert "1 of 2 sources have finished" in result.err
    many = {
        f"{name}|JOB{n}": {"state": "finished", "outcome": "ok"}
        for name in ("tws_status", "log_cache")
        for n in range(9)
    }
    many |= {"log_cache|JOB8": {"state": "started"}, "tws_status|JOB0": {"state": "finished", "outcome": "lost"}}
    open_snapshot, client.snapshot = (
        client.snapshot,
        client.snapshot.model_copy(update={"sources": many | {"metrics": {}}}),
    )
    result = cli("get", RUN)
    assert [" ".join(line.split()) for line in result.out.splitlines()[1:]] == [
        "tws_status 9 of 9 jobs, 1 without an answer",
        "log_cache 8 of 9 jobs",
        "metrics waiting",
    ]
    assert "is running; 8 of 9 jobs, 1 without an answer" in result.err
    client.snapshot = open_snapshot
    closed = {"state": RunState.CANCELLED, "outcome": RunOutcome.CANCELLED, "sources": {"metrics": {}}}
    snapshot, client.snapshot = client.snapshot, client.snapshot.model_copy(update=closed)
    assert cli("get", RUN).out.splitlines()[1].split() == ["metrics", "not", "started", "-"]
    client.snapshot = snapshot
    ended = report(RunOutcome.PARTIAL)
    client.snapshot = client.snapshot.model_copy(
        update={"state": RunState.DONE, "outcome": ended.outcome, "report": ended}
    )
    result = cli("get", RUN)
    assert (result.code, result.out) == (3, "# S0C7\nbad data\n")
    assert RunSnapshot.model_validate_json(cli("get", RUN, "--json").out) == client.snapshot


def test_rerun_follows_the_new_run(cli: Cli, client: FakeClient) -> None:
    """The answer is that of the new run; --no-wait prints its id, --all asks every source again."""
    assert cli("rerun", RUN).out == cli("submit", "why?").out
    assert cli("rerun", RUN, "--all", "--no-wait", "--run-id", "incident-4712").out == "incident-4712\n"
    assert [call for call in client.calls if call[0] == "rerun"] == [("rerun", (RUN, False)), ("rerun", (RUN, True))]
    assert cli("rerun", "?").code == RunNotFound.exit_code


def test_cancel_tells_whether_it_came_in_time(cli: Cli, client: FakeClient) -> None:
    """A cancelled run exits 0; one that had ended before exits 1 and says how it ended."""
    client.summaries = [summary(RunState.CANCELLED, RunOutcome.CANCELLED)]
    assert cli("cancel", RUN).code == 0
    client.summaries = [summary(RunState.DONE, RunOutcome.COMPLETE)]
    result = cli("cancel", RUN)
    assert result.code == 1
    assert "had already ended: complete" in result.err


def test_list_prints_a_line_a_run(cli: Cli, client: FakeClient) -> None:
    """Each run is one line whatever its message holds; --json is a list of summaries; none is said."""
    assert cli("list").out == ""
    client.summaries = [summary(RunState.DONE, RunOutcome.COMPLETE), summary(RunState.DISPATCHED)]
    lines = cli("list").out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:2] == [RUN, "complete"]
    assert lines[1].endswith("Job BATCH001 falhou")
    assert [item["run_id"] for item in json.loads(cli("list", "--json").out)] == [RUN, RUN]
    assert cli("list", "--limit", "0").code == 2
    many = tuple(f"J{number}" for number in range(200))
    client.summaries = [summary(RunState.DISPATCHED).model_copy(update={"jobs": many})]
    assert "  J0,J1,J2,+197  " in cli("list").out
    assert len(json.loads(cli("list", "--json").out)[0]["jobs"]) == 200


def test_answer_is_cleaned_for_the_terminal(cli: Cli, client: FakeClient) -> None:
    """An escape sequence quoted from a log does not reach the terminal."""
    client.report = report(response="log: \x1b[2Jwiped")
    assert cli("submit", "why?").out == "log: wiped\n"


@pytest.mark.parametrize(
    ("is_terminal", "term", "has_rich", "shown"),
    [
        (True, "xterm", True, "LiveDisplay"),
        (True, "xterm", False, "PlainDisplay"),
        (True, "dumb", True, "PlainDisplay"),
        (True, "", True, "PlainDisplay"),
        (False, "xterm", True, "PlainDisplay"),
    ],
)
def test_live_view_needs_a_terminal_and_rich(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, term: str, has_rich: bool, shown: str
) -> None:
    """The live view is for a terminal that can show it; otherwise, and without rich, there are plain lines."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    if not has_rich:
        monkeypatch.delattr("orchestrator.cli.live", raising=False)
        monkeypatch.setitem(sys.modules, "orchestrator.cli.live", None)
    context = CliContext({"TERM": term} if term else {})
    assert type(context.display(RunView())).__name__ == shown


def test_json_is_utf_8_on_any_terminal() -> None:
    """A terminal of another encoding gets similar signs instead of a traceback, and JSON that is still UTF-8."""
    code = (
        "import sys\n"
        "from orchestrator.cli import main, context\n"
        "WORDS = 'raz\u00f5es \u201ca\u201d'\n"
        "main.cli.add_command(main.click.Command('say', callback=lambda: main.click.echo(WORDS)))\n"
        "main.cli.get_command = lambda ctx, name: main.cli.commands[name]\n"
        "sys.argv[1:] = ['say']\n"
        "context.CliContext({}).print_json('\u201ca\u201d')\n"
        "main.main()\n"
    )
    environ = {"PYTHONIOENCODING": "latin-1", "PATH": "/bin"}
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "\u201ca\u201d\n".encode() + 'raz\u00f5es "a"\n'.encode("latin-1")


def test_help_stays_light() -> None:
    """--help lists every command without importing Celery, an HTTP client, a model's SDK or rich."""
    code = (
        "import sys\n"
        "from orchestrator.cli.context import CliContext\n"
        "from orchestrator.cli.main import run\n"
        "code = run(['--help'], CliContext({}))\n"
        "heavy = {'celery', 'redis', 'httpx2', 'openai', 'rich', 'numpy', 'prometheus_client'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
        "sys.exit(code)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    assert "heavy: []" in result.stdout
    for name in ("submit", "watch", "get", "cancel", "list", "queues", "demo", "up", "worker"):
        assert re.search(rf"^  {name} +[A-Z].*\.$", result.stdout, re.MULTILINE), name


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    """Install a command ``site`` whose module has the given text."""
    name = f"site_command_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("site", f"{name}:command", main.COMMANDS_GROUP)
    monkeypatch.setattr(main, "_installed", lambda: {"site": point})


SITE_COMMAND = '''"""``site``: a site's own command."""
import click
@click.command()
def command():
    import no_such_package.part
'''


def test_installed_command_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command of another package is listed with the first line of its module's docstring."""
    install(monkeypatch, tmp_path, SITE_COMMAND)
    assert "  site        A site's own command." in cli("--help").out


@pytest.mark.parametrize("source", [SITE_COMMAND, "import no_such_package\n"], ids=["while it runs", "at import"])
def test_command_without_its_packages_says_what_to_install(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """A command whose packages are missing names one and what to install, and --help works all the same."""
    install(monkeypatch, tmp_path, source)
    result = cli("site")
    assert result.code == 2
    assert result.err == "error: site needs no_such_package: pip install 'resync-troubleshoot[workers]'\n"
    assert cli("--help").code == 0


def test_a_package_of_our_name_is_named_and_nothing_to_install(tmp_path: Path) -> None:
    """Where another package ``workers`` comes first on the path, a command and a source name it and the remedy."""
    other = tmp_path / "workers"
    other.mkdir()
    (other / "__init__.py").touch()
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "LANG": "C.UTF-8"}
    code = "from orchestrator.sources import load_source; load_source('tws_status')"
    for name, command in (
        ("doctor", (str(Path(sys.executable).with_name("resync-troubleshoot")), "doctor")),
        ("source 'tws_status'", (sys.executable, "-c", code)),
    ):
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        told = done.stderr.splitlines()[-1]
        assert done.returncode != 0
        assert f"{name} cannot be loaded: {other} hides our package of that name. Rename it" in told
        assert "pip install" not in told


def test_unknown_command_is_a_usage_error(cli: Cli) -> None:
    """A misspelt command is one line and exit code 2; no command at all shows the help."""
    result = cli("submti")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "submti" in result.err
    assert cli().code == 2


def test_a_list_is_filtered_and_says_where_it_goes_on(cli: Cli, client: FakeClient) -> None:
    """Each option reaches the client; the place of the next list stands on standard error, with --json too."""
    line = "list --state open --outcome failed --outcome partial --job mdm#a --instance PRD --user ana --since 2h"
    client.next_page = "1000-run-0000001"
    where = RunFilter(
        state=("open",), outcome=("failed", "partial"), job="mdm#a", instance="PRD", user="ana", since="2h"
    )
    for options in (["--after", "9-run-0000009"], ["--after", "9-run-0000009", "--json"]):
        result = cli(*line.split(), "--limit", "3", *options)
        assert (result.code, "--after 1000-run-0000001" in result.err) == (0, True)
        assert client.calls[-1] == ("page", (3, "9-run-0000009", where))
    assert json.loads(result.out) == []
    client.next_page = None
    for options, told in ((["--job", "X1"], "no run is one of these"), ([], "no runs are stored")):
        assert told in cli("list", *options).err
