"""The log_cache source over a fake Redis: shapes, limits, languages and outcomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import fakeredis
import pytest
from tests_support import fetch_once

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import LogPayload
from orchestrator.sources import FetchResult
from workers.config import LogCacheSettings
from workers.sources.log_cache import source as log_cache
from workers.sources.log_cache.app_keys import AppEntries
from workers.sources.log_cache.source import LogCacheSource


def request_for(job: str | None = "BATCH001", *, codes: tuple[str, ...] = (), language: Language = Language.PT_BR,
                limit_seconds: float = 5.0) -> SourceRequest:  # fmt: skip
    """A request as the orchestrator would send it."""
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1.0, language=language, entities=Entities(abend_codes=codes)
    )
    return SourceRequest(
        run_id="run-00000001", source="log_cache", job=job, message="?", routing=routing, limit_seconds=limit_seconds
    )


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Fetch from a fake Redis that holds the given keys (a str is written as it is, all else as JSON).

    For a batch, the list of what is given for its jobs.
    """

    def run(request: SourceRequest, keys: dict[str, Any], **settings: Any) -> Any:
        server = fakeredis.FakeServer()

        def connect(url: str, *, timeout_seconds: float) -> fakeredis.FakeAsyncRedis:
            return fakeredis.FakeAsyncRedis(server=server)

        monkeypatch.setattr(log_cache, "connect", connect)

        async def go() -> Any:
            seed = connect("", timeout_seconds=1)
            for key, value in keys.items():
                if isinstance(value, set):
                    await seed.sadd(key, *value)
                else:
                    await seed.set(key, value if isinstance(value, str) else json.dumps(value))
            await seed.aclose()
            source = LogCacheSource(LogCacheSettings(**settings))
            if request.jobs:
                many = [given async for given in source.fetch_many(request)]
                await source.close()
                return many
            return await fetch_once(source, request)

        return asyncio.run(go())

    return run


def test_a_word_that_may_name_a_job_gets_that_jobs_history(fetch: Callable[..., FetchResult]) -> None:
    """Of a question without a certain name the first word that has records is the job, in capitals too."""
    keys = {
        "resync:job:history:EXTRACAO": [{"timestamp": 1_763_000_000, "status": "SUCC", "rc": 0, "duration": 61.5}],
        "resync:errors:recent:global": ["a tabela sumiu", {"job": "OTHER", "message": "no"}],
    }
    request = request_for(None)
    entities = Entities(candidates=("tabela", "extracao"))
    request = request.model_copy(update={"routing": request.routing.model_copy(update={"entities": entities})})
    result = fetch(request, keys)
    payload = LogPayload.model_validate(result.data)
    assert [facts.job for facts in payload.history] == ["extracao"]
    assert payload.recent_errors == ()
    assert "GET resync:job:history:extracao" in result.asked
    # Without records of any of the words, the newest of all jobs are read as before.
    del keys["resync:job:history:EXTRACAO"]
    payload = LogPayload.model_validate(fetch(request, keys).data)
    assert len(payload.recent_errors) == 2


def test_every_shape_of_the_apps_keys_is_read(fetch: Callable[..., FetchResult]) -> None:
    """A list of strings, a list of objects and one object are all served, newest first."""
    result = fetch(
        request_for(),
        {
            "resync:errors:recent:BATCH001": [
                "2026-11-20T02:00:00Z IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000",
                "2026-11-21T02:00:00Z IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000",
            ],
            "resync:job:history:BATCH001": {"timestamp": 1_763_000_000, "status": "SUCC", "rc": 0, "duration": 61.5},
            "resync:errors:recent:global": [
                {"job": "OTHER", "message": "no"},
                {"job": "BATCH001", "msg": "AWSBHT001E"},
            ],
        },
    )
    payload = LogPayload.model_validate(result.data)
    assert result.outcome is SourceOutcome.OK
    assert [facts.at for facts in payload.recent_errors] == ["2026-11-21T02:00:00Z", "2026-11-20T02:00:00Z", None]
    assert payload.recent_errors[0].codes == ("S0C7", "IEF450I")
    assert payload.recent_errors[0].step == "STEP030"
    assert payload.recent_errors[2].codes == ("AWSBHT001E",)
    assert (payload.history[0].return_code, payload.history[0].elapsed_seconds) == (0, 61.5)
    assert payload.last_success_at == "2025-11-13T02:13:20Z"
    assert [item.id for item in result.evidence] == [f"log_cache:{n}" for n in range(1, 7)]
    kinds = [item.kind for item in result.evidence]
    assert kinds == ["recent_error"] * 3 + ["history", "same_code", "last_success"]
    assert result.evidence[0].when == "2026-11-21T02:00:00Z"
    assert result.evidence[0].codes == ("S0C7", "IEF450I")


def test_a_corrupt_key_is_named_and_the_rest_is_served(fetch: Callable[..., FetchResult]) -> None:
    """Broken JSON or a key of another type is reported in corrupt_keys; the other keys still answer."""
    result = fetch(
        request_for(),
        {
            "resync:errors:recent:BATCH001": '["cut off',
            "resync:errors:recent:global": {"a set"},
            "resync:job:history:BATCH001": ["ABEND S0C7"],
        },
    )
    payload = LogPayload.model_validate(result.data)
    assert payload.corrupt_keys == ("resync:errors:recent:BATCH001", "resync:errors:recent:global")
    assert payload.history[0].codes == ("S0C7",)
    assert "2 chaves ilegíveis" in write(result.finding, Language.PT_BR)


def test_only_unreadable_keys_are_an_error_not_an_empty_answer(fetch: Callable[..., FetchResult]) -> None:
    """When nothing that is there can be read, the outcome is bad_format and names the key."""
    with pytest.raises(SourceError, match="resync:job:history:BATCH001") as caught:
        fetch(request_for(), {"resync:job:history:BATCH001": "42"})
    assert caught.value.reason == "bad_format"
    assert "GET resync:job:history:BATCH001" in caught.value.asked
    assert caught.value.where.startswith("redis://")


@pytest.mark.parametrize(
    ("language", "words"),
    [(Language.PT_BR, "nada no cache"), (Language.EN, "nothing in the log cache"), (Language.ES, "nada en la caché")],
)
def test_an_empty_cache_is_no_data_in_the_users_language(
    fetch: Callable[..., FetchResult], language: Language, words: str
) -> None:
    """No keys at all is an answer: no_data, said in the language of the question, with what was asked."""
    result = fetch(request_for(language=language), {})
    assert result.outcome is SourceOutcome.NO_DATA
    assert write(result.finding, language).startswith(words)
    assert "GET resync:job:history:BATCH001" in result.asked
    assert result.evidence == ()


def test_without_a_job_the_global_errors_are_read(fetch: Callable[..., FetchResult]) -> None:
    """A question that names no job is answered from the key of all jobs."""
    result = fetch(request_for(None), {"resync:errors:recent:global": ["JOB_A RC=5", "JOB_B ABEND SB37"]})
    assert [item.kind for item in result.evidence] == ["recent_error", "recent_error"]
    assert result.asked[0] == "GET resync:errors:recent:global"


def test_a_qualified_job_finds_the_keys_of_its_bare_name(fetch: Callable[..., FetchResult]) -> None:
    """WS#STREAM.JOB reads what was written under JOB."""
    result = fetch(request_for("MDM#NIGHT.BATCH001"), {"resync:job:history:BATCH001": ["ABEND S0C7"]})
    assert result.outcome is SourceOutcome.OK


def test_codes_of_the_question_are_counted(fetch: Callable[..., FetchResult]) -> None:
    """same_code counts the entries with a code of the question, and only those."""
    result = fetch(
        request_for(codes=("S0C7", "S806")),
        {"resync:job:history:BATCH001": ["ABEND S0C7", {"codes": ["S0C7"]}, {"abend_code": "SB37"}]},
    )
    assert LogPayload.model_validate(result.data).same_code == {"S0C7": 2}
    assert write(result.finding, Language.PT_BR).endswith("S0C7 registrado 2x")


def test_the_line_says_when_a_code_was_last_recorded(fetch: Callable[..., FetchResult]) -> None:
    """The newest record may be the failure that is asked about: its day tells it from an earlier one."""
    history = [{"codes": ["S0C7"], "at": "2026-11-10T07:00:00Z"}, {"codes": ["S0C7"], "at": "2026-11-17T07:00:00Z"}]
    result = fetch(request_for(codes=("S0C7",)), {"resync:job:history:BATCH001": history})
    assert "S0C7 registrado 2x, por último em 2026-11-17" in write(result.finding, Language.PT_BR)


def test_what_is_cut_is_stated(fetch: Callable[..., FetchResult]) -> None:
    """Entries beyond the limit and characters beyond a text's limit are counted in truncated."""
    result = fetch(request_for(), {"resync:job:history:BATCH001": ["x" * 2_500, "b", "c"]}, entry_limit=2)
    assert str(result.truncated) == "1 older entry; 500 characters of long entries"
    assert len(result.evidence[0].text) == 2_000


def test_of_very_many_entries_both_ends_are_read(fetch: Callable[..., FetchResult]) -> None:
    """A list of thousands of entries is read at its ends, wherever its newest entry stands, and it is said."""
    runs = [
        {"status": "SUCC", "at": f"20{10 + number % 10}-01-01T00:00:00Z", "run_id": str(number)}
        for number in range(5_000)
    ]
    runs[-1]["at"] = "2026-11-20T00:00:00Z"
    result = fetch(request_for(), {"resync:job:history:BATCH001": runs})
    assert LogPayload.model_validate(result.data).last_success_at == "2026-11-20T00:00:00Z"
    assert "4000 entries of long lists not read" in str(result.truncated)


@pytest.mark.parametrize("text", ["return code" + " " * 100_000, "STEP1 " * 100_000, "S0C7 RC=5 " * 100_000])
def test_no_text_takes_long_to_read(fetch: Callable[..., FetchResult], text: str) -> None:
    """Runs of blanks, steps or codes of any length are bounded work, far below the limit of a source."""
    result = fetch(request_for(limit_seconds=2), {"resync:errors:recent:BATCH001": [text]})
    assert result.outcome is SourceOutcome.OK


def test_an_oversized_value_is_not_parsed(fetch: Callable[..., FetchResult], monkeypatch: pytest.MonkeyPatch) -> None:
    """A value above the size limit is reported, not loaded."""
    monkeypatch.setattr("workers.sources.log_cache.app_keys.MAX_VALUE_BYTES", 20)
    result = fetch(
        request_for(),
        {"resync:job:history:BATCH001": ["ã" * 30], "resync:errors:recent:BATCH001": ["short"]},
    )
    assert str(result.truncated) == "keys over the size limit: resync:job:history:BATCH001"
    assert len(result.evidence) == 1


def test_a_url_that_is_not_redis_fails_at_start_with_its_name() -> None:
    """A wrong URL is a configuration error that names the variable and not the value."""
    with pytest.raises(ConfigurationError, match="RESYNC_LOG_CACHE_URL") as caught:
        LogCacheSource.from_env({"REDIS_URL": "http://user:hunter2@x"})
    assert "hunter2" not in str(caught.value)


def test_an_entry_of_fields_alone_is_quotable(fetch: Callable[..., FetchResult]) -> None:
    """An entry without a message is shown by its fields, as an operator reads them."""
    result = fetch(request_for(), {"resync:job:history:BATCH001": [{"status": "SUCC", "rc": 0, "steps": ["A", "B"]}]})
    assert result.evidence[0].text == 'status=SUCC rc=0 steps=["A", "B"]'


def test_a_failed_run_is_compared_but_not_compared_with(fetch: Callable[..., FetchResult]) -> None:
    """The usual elapsed time is that of good runs: one that broke off early does not shorten it."""
    runs = [
        {"at": f"2026-11-{20 - n:02d}T00:00:00Z", "status": "SUCC" if n != 1 else "ABEND", "elapsed_seconds": seconds}
        for n, seconds in enumerate((300, 1, 100, 100))
    ]
    payload = LogPayload.model_validate(fetch(request_for(), {"resync:job:history:BATCH001": runs}).data)
    assert payload.elapsed_trend_ratio == 3


def test_the_limit_holds_where_a_read_loses_its_cancellation(
    fetch: Callable[..., FetchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation that redis-py loses, as on Python 3.11, does not give the next read the time of another limit."""

    async def lose(*_: object, **__: object) -> AppEntries:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return AppEntries()

    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(10)

    monkeypatch.setattr(log_cache, "read_app_entries", lose)
    monkeypatch.setattr(log_cache, "read_own_entries", hang)
    with pytest.raises(SourceError) as caught:
        fetch(request_for(limit_seconds=0.2), {})
    assert caught.value.reason == "timeout"


def test_each_job_of_a_batch_gets_what_a_question_for_it_alone_gets(fetch: Callable[..., Any]) -> None:
    """Its own entries, those of the global key that mention it, and an error of its own for unreadable keys."""
    keys = {
        "resync:errors:recent:BATCH001": ["2026-11-20 BATCH001 S0C7"],
        "resync:job:history:BATCH001": [{"timestamp": 1_763_000_000, "status": "SUCC", "rc": 0, "duration": 61.5}],
        "resync:errors:recent:BATCH002": "not JSON",
        "resync:errors:recent:global": ["BATCH001 parou", "BATCH003 parou", {"job": "OTHER", "message": "no"}],
    }
    jobs = ("BATCH001", "BATCH002", "ZOS1#FATDIA.BATCH003", "BATCH004")
    given = dict(fetch(request_for(None).model_copy(update={"jobs": jobs}), keys))
    assert tuple(given) == jobs
    for job in ("BATCH001", "ZOS1#FATDIA.BATCH003", "BATCH004"):
        alone = fetch(request_for(job), keys)
        assert (given[job].data, given[job].evidence, given[job].asked) == (alone.data, alone.evidence, alone.asked)
    with pytest.raises(SourceError) as caught:
        fetch(request_for("BATCH002"), keys)
    assert (given["BATCH002"].reason, given["BATCH002"].asked) == (caught.value.reason, caught.value.asked)
    assert isinstance(given["BATCH002"], SourceError)
    assert given["BATCH004"].outcome is SourceOutcome.NO_DATA
