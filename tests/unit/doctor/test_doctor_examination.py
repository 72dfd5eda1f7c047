"""Running the checks: side by side, bounded, every error a finding, one cause told once."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests_support import stretched

from orchestrator.errors import ConfigurationError, SourceError, StoreUnreachable
from orchestrator.i18n.message import Message
from workers.doctor.check import Check, CheckContext, CheckResult, Status, Verdict
from workers.doctor.checklist import all_checks, choose
from workers.doctor.checks import log_cache
from workers.doctor.runner import DaemonExecutor, exit_code, run_checks
from workers.doctor.scrub import Scrubber

PASSWORD = "hunter2-and-more"


def around(timeout_seconds: float = 2.0, **environ: str) -> CheckContext:
    return CheckContext(environ, timeout_seconds)


def check(
    outcome: CheckResult | Exception | Callable[[], Awaitable[CheckResult]],
    name: str = "llm",
    *,
    needs_store: bool = False,
) -> Check:
    async def run() -> CheckResult:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, CheckResult) else await outcome()

    return Check(name, run, needs_store=needs_store)


def result(status: Status, reason: str = "", name: str = "x") -> CheckResult:
    return CheckResult(status, "", reason=reason, name=name)


FINE = CheckResult(Status.OK, "fine")


def test_checks_run_side_by_side_in_their_order() -> None:
    """Two checks that wait for each other both end, and the results keep the order of the checks."""
    first, second = asyncio.Event(), asyncio.Event()

    async def one() -> CheckResult:
        first.set()
        await second.wait()
        return FINE

    async def two() -> CheckResult:
        await first.wait()
        second.set()
        return FINE

    results = run_checks([check(one, "tws:a"), check(two, "tws:b")], around())
    assert [item.name for item in results] == ["tws:a", "tws:b"]
    assert [item.found for item in results] == ["fine", "fine"]


def test_a_check_that_never_ends_is_cut() -> None:
    """A check beyond its time is an error with reason timeout; the others' findings stand."""

    async def forever() -> CheckResult:
        await asyncio.Event().wait()
        raise AssertionError

    results = run_checks([check(forever), check(FINE, "knowledge")], around(0.2))
    assert [item.status for item in results] == [Status.ERROR, Status.OK]
    assert results[0].reason == "timeout"
    assert "0.2 s" in str(results[0].found)
    assert results[0].took_ms >= 200


def test_a_scan_ends_at_its_limit_where_redis_loses_a_cancellation() -> None:
    """The log cache's keys are counted for a part of the time, whatever becomes of the cancellation of one read."""

    class Keys:
        async def scan_iter(self, **_: object) -> AsyncIterator[bytes]:
            yield b"resync:job:history:BATCH001"
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
            await asyncio.sleep(10)

    counts, is_whole = asyncio.run(log_cache._count(Keys(), "resync:", 0.1))  # type: ignore[arg-type]
    assert (counts["app_errors"], is_whole) == (1, False)


def test_a_thread_that_hangs_does_not_hold_the_command() -> None:
    """A blocking call in a thread is left behind: the examination ends although the call does not."""
    release = threading.Event()

    async def blocked() -> CheckResult:
        await asyncio.to_thread(release.wait, 60)
        return FINE

    try:
        results = run_checks([check(blocked)], around(0.2))
        assert not release.is_set()
        assert results[0].reason == "timeout"
    finally:
        release.set()


def test_the_executor_returns_results_and_errors() -> None:
    """What a call returns or raises comes out of its future."""
    with DaemonExecutor() as executor:
        assert executor.submit(lambda number: number + 1, 1).result(5) == 2
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0).result(5)


class Silent(SourceError):
    """A site's error that does not call our constructor."""

    def __init__(self) -> None:
        Exception.__init__(self)


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (Silent(), "unexpected", "the check itself failed"),
        (ConfigurationError("TWS_PORT: must be a number"), "configuration", "TWS_PORT"),
        (StoreUnreachable(), "store_unreachable", "127.0.0.1:6379"),
        (SourceError("it said no", reason="refused"), "refused", "it said no"),
        (RuntimeError(f"boom {PASSWORD}"), "unexpected", "RuntimeError"),
    ],
)
def test_each_error_is_a_finding(error: Exception, reason: str, words: str) -> None:
    """Whatever a check raises becomes an error with a reason, words and a remedy, never a traceback."""
    (found,) = run_checks([check(error)], around(REDIS_URL="redis://127.0.0.1:6379/0"))
    assert found.status is Status.ERROR
    assert found.reason == reason
    assert words in str(found.found)
    assert str(found.fix)
    assert PASSWORD not in str(found.found)


def test_a_mistake_of_a_check_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    """The log and the facts say which check broke, how and where; a message that may hold a secret stays out."""
    (found,) = run_checks([check(RuntimeError(PASSWORD))], around())
    assert "doctor_check_failed check=llm error=RuntimeError" in caplog.text
    assert PASSWORD not in caplog.text
    assert str(found.facts["at"]).startswith("test_doctor_examination.py:")


def test_secrets_in_foreign_words_are_taken_out() -> None:
    """A secret of the environment that an error repeats does not reach the output."""
    environ = {"TWS_PASSWORD": PASSWORD, "REDIS_URL": "redis://:s3cr3t%2Fpart@127.0.0.1:6379/0"}
    error = SourceError(f"{PASSWORD} and s3cr3t/part and s3cr3t%2Fpart", reason="x")
    (found,) = run_checks([check(error)], around(**environ))
    assert str(found.found) == "*** and *** and ***"


def test_the_scrubber_keeps_what_is_no_secret() -> None:
    """A key prefix, a host and a short word stay; header values and passwords of malformed URLs go."""
    scrub = Scrubber(
        {
            "RESYNC_KEY_PREFIX": "resync:troubleshoot:",
            "TWS_AUTH_HEADER": "X-Api-Key: header-value",
            "RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://user:pa/ss@word@db.example/app",
            "LLM_API_KEY": "abc",
        }
    )
    assert scrub("resync:troubleshoot: on db.example, abc") == "resync:troubleshoot: on db.example, abc"
    assert scrub("header-value pa/ss@word") == "*** ***"


def test_one_cause_is_told_once() -> None:
    """With Redis away the checks that stand on it are off; one of another counterpart is told as it is."""
    away = StoreUnreachable()
    checks = [
        check(away, "redis", needs_store=True),
        check(away, "workers", needs_store=True),
        check(SourceError("its own trouble", reason="tls"), "tws:default"),
    ]
    results = run_checks(checks, around())
    assert [item.status for item in results] == [Status.ERROR, Status.OFF, Status.ERROR]
    assert "redis" in str(results[1].found)
    assert exit_code(results) == 5


def test_a_redis_that_answers_hides_nothing() -> None:
    """When only the eviction policy is wrong, a missing worker is still an error of its own."""
    policy = CheckResult(Status.ERROR, "evicts", reason="evicts")
    none = CheckResult(Status.ERROR, "none", reason="no_worker")
    results = run_checks([check(policy, "redis", needs_store=True), check(none, "workers", needs_store=True)], around())
    assert [(item.found, item.reason) for item in results] == [("evicts", "evicts"), ("none", "no_worker")]


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([result(Status.OK), result(Status.WARNING, "one_watcher"), result(Status.OFF, "store_unreachable")], 0),
        ([result(Status.ERROR, "no_worker"), result(Status.OK)], 1),
        ([result(Status.ERROR, "no_worker"), result(Status.ERROR, "configuration")], 2),
        ([result(Status.ERROR, "configuration"), result(Status.ERROR, "store_unreachable")], 5),
    ],
)
def test_the_exit_code_is_of_what_must_be_repaired_first(results: list[CheckResult], code: int) -> None:
    """0 without errors, 5 for Redis before 2 for a setting before 1 for the rest."""
    assert exit_code(results) == code


def test_a_verdict_is_as_bad_as_its_worst() -> None:
    """The worst thing seen gives status and reason and is said first, with its remedy."""
    verdict = Verdict()
    verdict.note("seen")
    verdict.warn("bad", Message("Mend it."), reason="bad")
    verdict.fail("worse", Message("Mend that first."), reason="worse")
    verdict.warn("bad too", Message("And this."), reason="other")
    found = verdict.result(number=1)
    assert found.status is Status.ERROR
    assert found.reason == "worse"
    assert str(found.found) == "worse; bad; seen; bad too"
    assert str(found.fix) == "Mend that first. Mend it. And this."
    assert found.facts == {"number": 1}


def test_names_choose_checks_and_families() -> None:
    """A name chooses its check, a family all of its kind; a name that fits none is refused."""
    checks = [check(FINE, name) for name in ("redis", "tws:prod", "tws:test")]
    assert [item.name for item in choose(checks, [])] == ["redis", "tws:prod", "tws:test"]
    assert [item.name for item in choose(checks, ["tws"])] == ["tws:prod", "tws:test"]
    assert [item.name for item in choose(checks, ["tws:test", "redis"])] == ["redis", "tws:test"]
    with pytest.raises(KeyError, match="tw"):
        choose(checks, ["redis", "tw"])


def test_an_empty_environment_has_every_check() -> None:
    """Nothing configured: each counterpart has its line all the same, and nothing is connected to list them."""
    names = [item.name for item in all_checks(around())]
    assert names == [
        *("redis", "keys", "workers", "queues", "watchers", "instances", "tws", "knowledge", "embeddings", "log_cache"),
        *("metrics", "llm"),
    ]


@pytest.mark.parametrize(
    "url", ["redis://:pass/wordy@127.0.0.1:6379/0", "redis://127.0.0.1:99999/0", "unix:///run/redis.sock", "http://x"]
)
def test_a_wrong_redis_url_is_told_without_its_password(url: str) -> None:
    """A URL that broker and store cannot share is a wrong setting, named, and no piece of it is shown."""
    results = run_checks(choose(all_checks(around(REDIS_URL=url)), ["redis", "workers"]), around(REDIS_URL=url))
    assert [item.status for item in results] == [Status.ERROR, Status.OFF]
    assert "REDIS_URL" in str(results[0].found)
    assert "pass" not in str(results[0].found).replace("password", "")
    assert exit_code(results) == 2


def test_a_redis_that_loads_is_told_as_such() -> None:
    """A server that answers every command with an error of its own is not called unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        while connection.recv(65_536):
                            connection.sendall(b"-LOADING Redis is loading the dataset in memory\r\n" * 4)

        threading.Thread(target=refuse, daemon=True).start()
        here = around(REDIS_URL=f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        (found,) = run_checks(choose(all_checks(here), ["redis"]), here)
    assert found.reason == "store_unreachable"
    assert "answers but refuses to work (LOADING)" in str(found.found)


def test_nothing_listens() -> None:
    """A refused connection is told with the address and without the password, within the time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = around(REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    started = time.monotonic()
    (found,) = run_checks(choose(all_checks(here), ["redis"]), here)
    assert time.monotonic() - started < stretched(2)
    assert found.reason == "store_unreachable"
    assert f"127.0.0.1:{port}" in str(found.found)
    assert PASSWORD not in str(found.found)


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        ('[a]\nsources = ["metrics"]\n[b]\nsources = ["tws_status"]', Status.OK, "2 pipelines of the site: a, b"),
        ('[a]\nsources = ["tickets"]', Status.ERROR, "pipeline a: source 'tickets' is not installed"),
        ("[a]\nstages = 1", Status.ERROR, "[a] stages: must be a list"),
    ],
)
def test_the_pipelines_of_a_site_are_checked(tmp_path: Path, text: str, status: Status, found: str) -> None:
    """A site that has some has a line for them, which names table and key of what is wrong."""
    path = tmp_path / "pipelines.toml"
    path.write_text(text)
    context = around(RESYNC_PIPELINES_FILE=str(path))
    (result,) = run_checks(choose(all_checks(context), ["pipelines"]), context)
    assert result.status is status
    assert found in str(result.found)
    assert ("docs/pipelines.md" in str(result.fix)) is (status is Status.ERROR)
