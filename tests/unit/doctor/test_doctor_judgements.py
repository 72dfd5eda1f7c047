"""What each check makes of what it reads: status, reason, words and remedy."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.config import Settings
from orchestrator.i18n.message import Message
from orchestrator.store.keys import Keys
from workers.config import KnowledgeSettings, LlmSettings
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.doctor.checks.keys import Keyspace, judge_keyspace, kind_of
from workers.doctor.checks.knowledge import judge_knowledge
from workers.doctor.checks.llm import ModelsAnswer, judge_models
from workers.doctor.checks.metrics import judge_answers, judge_text
from workers.doctor.checks.queues import judge_queues
from workers.doctor.checks.redis import judge_server
from workers.doctor.checks.watchers import judge_watchers
from workers.doctor.checks.workers import judge_workers
from workers.knowledge.base import KnowledgeStats
from workers.sources.metrics.exposition import parse_exposition
from workers.sources.metrics.prometheus import Answer, Sample
from workers.sources.metrics.series import DEFAULT_SERIES

CONTEXT = CheckContext({}, 2.0)
SETTINGS = Settings.from_env({})
SERVER = {
    "redis_version": "7.2.11",
    "maxmemory_policy": "noeviction",
    "maxmemory": 0,
    "used_memory": 1,
    "aof_enabled": 1,
}
QUEUES = ("orchestrator", "tws_status", "synthesis")
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def server(*, has_lua_fixes: bool = False, **info: Any) -> CheckResult:
    verdict = Verdict()
    judge_server(verdict, SERVER | info, "redis://127.0.0.1:6379/0", ping_ms=0.3, has_lua_fixes=has_lua_fixes)
    return verdict.result()


def server_of(version: str, *, has_lua_fixes: bool = False) -> CheckResult:
    """What is made of a server of this version, Redis if nothing else is said."""
    info = {"redis_version": version}
    if version.startswith("Valkey "):
        info = {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": version.removeprefix("Valkey ")}
    return server(has_lua_fixes=has_lua_fixes, **info)


def test_a_good_redis_is_ok() -> None:
    """Version, address, policy and AOF are said, and nothing is to be done."""
    found = server()
    assert (found.status, str(found.fix)) == (Status.OK, "")
    assert all(
        word in str(found.found) for word in ("Redis 7.2.11", "127.0.0.1:6379", "noeviction", "AOF on", "0.3 ms")
    )


@pytest.mark.parametrize(
    ("info", "status", "reason", "fix"),
    [
        (
            {"maxmemory_policy": "allkeys-lru", "maxmemory": 1_000},
            Status.ERROR,
            "evicts",
            "maxmemory-policy noeviction",
        ),
        ({"maxmemory_policy": "volatile-ttl"}, Status.WARNING, "would_evict", "maxmemory-policy noeviction"),
        ({"role": "slave"}, Status.ERROR, "replica", "REDIS_URL"),
        ({"cluster_enabled": 1}, Status.ERROR, "cluster", "REDIS_URL"),
        ({"rdb_last_bgsave_status": "err"}, Status.ERROR, "cannot_save", "BGSAVE"),
        ({"maxmemory": 100, "used_memory": 95}, Status.WARNING, "nearly_full", "maxmemory"),
        ({"connected_clients": 99, "maxclients": 100}, Status.WARNING, "many_clients", "maxclients"),
        ({"redis_version": "5.0.14"}, Status.WARNING, "old_version", "6.2"),
    ],
)
def test_a_redis_that_will_hurt(info: dict[str, Any], status: Status, reason: str, fix: str) -> None:
    """Each setting or state that loses runs or refuses writes has its reason and its remedy."""
    found = server(**info)
    assert (found.status, found.reason) == (status, reason)
    assert fix in str(found.fix)


def test_no_aof_is_information() -> None:
    """Without AOF the consequence is said, and it is no fault."""
    found = server(aof_enabled=0)
    assert found.status is Status.OK
    assert "AOF off" in str(found.found)


def test_valkey_is_called_by_its_name_and_version() -> None:
    """Valkey answers INFO with a Redis version for compatibility; its own name and version are shown."""
    assert "Valkey 7.2.4" in str(server(redis_version="7.2.4", server_name="valkey").found)
    assert "Valkey 9.1.2" in str(server(redis_version="7.2.4", server_name="valkey", valkey_version="9.1.2").found)


# Of managed servers: ElastiCache 7.1.0, Tencent's 6.2.13 and 7.0.25 (mended, by numbers of its own), Azure's 6.0.14.
@pytest.mark.parametrize(
    "version",
    ["2.8.24", "6.0.14", "6.2.13", "6.2.14", "6.2.19", "7.0.15", "7.0.25", "7.1.0", "7.2.4", "7.2.10", "7.4.5", "7.4",
     "8.0.3", "8.1.9", "8.2.1", "7.4.0-v6", "v7.2.4", "Valkey 7.2.10", "Valkey 8.0.5", "Valkey 8.1.3", "unstable"],
)  # fmt: skip
def test_a_server_that_is_open_to_the_flaw_of_lua_is_named(version: str) -> None:
    """With the releases that mend it; not where the server shows the fixes, as a distribution's older number may."""
    found = server_of(version)
    assert (found.status, found.reason.startswith(("cve_2025_49844", "old_version"))) == (Status.WARNING, True)
    assert f"{version.removeprefix('Valkey ')} has no fix of CVE-2025-49844" in str(found.found)
    assert all(word in str(found.fix) for word in ("6.2.20", "8.2.2", "8.1.4", "9.0.0", "provider"))
    assert "the fix of CVE-2025-49844 is in" in str(server_of(version, has_lua_fixes=True).found)


@pytest.mark.parametrize(
    "version",
    ["6.2.20", "6.2.21", "7.2.11", "7.2.12", "7.4.6", "8.0.4", "8.2.2", "8.3.0", "8.4.0", "10.0.1", "255.255.255",
     "Valkey 7.2.11", "Valkey 8.0.6", "Valkey 8.0.11", "Valkey 8.1.4", "Valkey 9.0.0", "Valkey 9.1.2"],
)  # fmt: skip
def test_a_server_with_the_flaw_mended_is_not_named(version: str) -> None:
    """The fixed release of each series, and what came later."""
    found = server_of(version)
    assert found.status is Status.OK
    assert "CVE" not in str(found.found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run:abc", "runs"),
        ("run:abc:events", "runs"),
        ("mq:metrics", "broker"),
        ("logs:default:JOB:values", "logs"),
        ("idempotency:k", "index"),
        ("wakeups", "index"),
        *((name, "index") for name in Keys("").kinds),
        *((name, "index") for name in (Keys("").owned("u"), Keys("").session("u", "s"), Keys("").shared("0"))),
        ("somebody", "other"),
    ],
)
def test_keys_have_kinds(name: str, kind: str) -> None:
    """Every key of the project is counted under what it belongs to."""
    assert kind_of(name) == kind


def test_keys_are_counted() -> None:
    """The sum and each kind are said; a scan that did not end says so."""
    space = Keyspace(Counter(runs=4, broker=2, index=1), bound=QUEUES)
    found = judge_keyspace(space, "resync:troubleshoot:")
    assert found.status is Status.OK
    assert "7 keys" in str(found.found)
    assert found.facts["runs"] == 4
    assert found.facts["bound_queues"] == QUEUES
    space.is_whole = False
    assert "no time to see all" in str(judge_keyspace(space, "resync:troubleshoot:").found)


@pytest.mark.parametrize("prefix", ["", "resync:"])
def test_a_prefix_that_covers_the_apps_keys_is_warned_of(prefix: str) -> None:
    """Runs must not live among the app's keys."""
    found = judge_keyspace(Keyspace(), prefix)
    assert (found.status, found.reason) == (Status.WARNING, "shared_prefix")
    assert "RESYNC_KEY_PREFIX" in str(found.fix)


def test_a_broker_without_the_prefix_is_warned_of() -> None:
    """A process that declares the queues without the prefix is found by the key it leaves."""
    found = judge_keyspace(Keyspace(is_bare=True), "resync:troubleshoot:")
    assert (found.status, found.reason) == (Status.WARNING, "broker_without_prefix")
    assert "_kombu.binding.resync.troubleshoot" in str(found.found)


def test_every_queue_with_a_worker_is_ok() -> None:
    """Each queue is listed with the number of its workers, each worker in the facts."""
    consumers = {queue: (f"{queue}@a", f"{queue}@b") for queue in QUEUES}
    found = judge_workers(consumers, QUEUES, seconds=1)
    assert found.status is Status.OK
    assert "tws_status 2" in str(found.found)
    assert found.facts["queues"] == {queue: [f"{queue}@a", f"{queue}@b"] for queue in QUEUES}


def test_a_queue_without_a_worker_is_an_error() -> None:
    """The queue is named, and the remedy is the command that serves just that queue."""
    found = judge_workers({"orchestrator": ("a@h",)}, QUEUES, seconds=1)
    assert (found.status, found.reason) == (Status.ERROR, "no_worker")
    assert "no worker for tws_status, synthesis" in str(found.found)
    assert str(found.fix).endswith("resync-troubleshoot worker tws_status synthesis")


def test_no_worker_at_all_is_one_sentence() -> None:
    """When nobody answers, the remedy is one worker for all queues."""
    found = judge_workers({}, QUEUES, seconds=1)
    assert found.status is Status.ERROR
    assert "worker --all" in str(found.fix)


def test_a_queue_that_gets_shorter_is_ok() -> None:
    """Messages that are being worked off are no trouble."""
    found = judge_queues({"metrics": 10, "synthesis": 0}, {"metrics": 4, "synthesis": 1}, 3, SETTINGS, {})
    assert found.status is Status.OK
    assert found.facts["waiting"] == {"metrics": 4, "synthesis": 1}


def test_a_queue_that_stands_still_is_warned_of() -> None:
    """A backlog that does not get shorter names its queue and how to serve it."""
    found = judge_queues({"metrics": 4}, {"metrics": 4}, 3, SETTINGS, {})
    assert (found.status, found.reason) == (Status.WARNING, "backlog")
    assert "metrics 4" in str(found.found)
    assert "worker metrics" in str(found.fix)


def test_nearly_too_many_open_runs_are_warned_of() -> None:
    """Shortly before submits are refused, the variable that bounds them is named."""
    found = judge_queues({}, {}, 950, SETTINGS, {})
    assert (found.status, found.reason) == (Status.WARNING, "many_runs")
    assert "RESYNC_MAX_OPEN_RUNS" in str(found.fix)


def test_messages_that_were_set_aside_are_warned_of() -> None:
    """Each queue has its number, and the fix names the key that keeps them."""
    found = judge_queues({}, {}, 0, SETTINGS, {"metrics": 2, "unacked": 1})
    assert (found.status, found.reason) == (Status.WARNING, "set_aside")
    assert "metrics 2, unacked 1" in str(found.found)
    assert SETTINGS.key_prefix + "set_aside" in str(found.fix)


@pytest.mark.parametrize(
    ("names", "late", "status", "reason"),
    [
        ([], 0, Status.ERROR, "no_watcher"),
        (["a:1"], 0, Status.WARNING, "one_watcher"),
        (["a:1", "b:2"], 0, Status.OK, ""),
        (["a:1", "b:2"], 7, Status.WARNING, "overdue"),
    ],
)
def test_watchers(names: list[str], late: int, status: Status, reason: str) -> None:
    """None is an error, one a warning, two are right; wake-ups nobody takes are a warning."""
    found = judge_watchers(names, late)
    assert (found.status, found.reason) == (status, reason)
    assert bool(str(found.fix)) == (status is not Status.OK)


def knowledge(stats: KnowledgeStats, notes: list[Message] | None = None, **environ: str) -> CheckResult:
    return judge_knowledge(stats, notes or [], KnowledgeSettings.from_env(environ), CONTEXT, now=NOW)


def test_a_knowledge_base_says_what_it_holds_and_its_age() -> None:
    """Backend, place, documents, passages and days since indexing are said."""
    stats = KnowledgeStats("sqlite-fts5", "/kb.sqlite3", 3, 40, updated_at="2026-11-14T00:00:00+00:00")
    found = knowledge(stats)
    assert found.status is Status.OK
    assert all(
        word in str(found.found) for word in ("sqlite-fts5", "/kb.sqlite3", "3 documents", "40 passages", "10 days")
    )


def test_an_empty_knowledge_base_is_warned_of() -> None:
    """Each backend has its own remedy."""
    empty = KnowledgeStats("x", "y", 0, 0)
    assert "kb index" in str(knowledge(empty).fix)
    assert "RESYNC_KNOWLEDGE_COLLECTION" in str(knowledge(empty, RESYNC_KNOWLEDGE_DATABASE_URL="postgresql://h/d").fix)


def test_passages_without_a_vector_are_warned_of_only_with_an_endpoint() -> None:
    """Without an endpoint nobody asks for vectors."""
    stats = KnowledgeStats("x", "y", 1, 40, embedded=10)
    assert knowledge(stats).status is Status.OK
    found = knowledge(stats, RESYNC_EMBEDDING_ENDPOINT="http://127.0.0.1:1/v1")
    assert (found.status, found.reason) == (Status.WARNING, "not_embedded")
    assert "10 of 40" in str(found.found)


def test_vectors_of_another_model_are_warned_of() -> None:
    """What a search could not use is said, with the variable of the model."""
    stats = KnowledgeStats("x", "y", 1, 40, embedded=40)
    found = knowledge(
        stats, [Message("full text only: the embedding model gives 3 numbers, column embedding has 1536")]
    )
    assert (found.status, found.reason) == (Status.WARNING, "embedding_unusable")
    assert "RESYNC_EMBEDDING_MODEL" in str(found.fix)


def test_prometheus_says_how_many_queries_have_data() -> None:
    """A series that is not there is no fault; a query that is refused, late or none at all is."""
    sample = Answer(samples=[Sample(1.0, 1.0)])
    found = judge_answers({"a": sample, "b": Answer()}, "http://p")
    assert (found.status, found.facts["missing"]) == (Status.OK, ["b"])
    assert "1 of 2" in str(found.found)
    refused = judge_answers({"a": sample, "b": Answer(problem="parse error")}, "http://p")
    assert (refused.reason, "RESYNC_METRICS_QUERIES_FILE" in str(refused.fix)) == ("bad_query", True)
    assert judge_answers({"a": sample, "b": Answer(is_late=True)}, "http://p").reason == "late"
    assert judge_answers({"a": Answer()}, "http://p").reason == "no_data"


def test_a_text_without_a_known_series_is_warned_of() -> None:
    """Somebody else's metrics are readable and useless."""
    found = judge_text(parse_exposition("go_goroutines 7\n", DEFAULT_SERIES), "http://a/metrics")
    assert (found.status, found.reason) == (Status.WARNING, "no_data")
    good = judge_text(parse_exposition("resync_slo_api_error_rate 0.1\n", DEFAULT_SERIES), "http://a/metrics")
    assert (good.status, good.facts["series"]) == (Status.OK, ["api_error_rate"])


def models(answer: ModelsAnswer, **environ: str) -> CheckResult:
    settings = LlmSettings.from_env({"LLM_MODEL": "m-1", "LLM_API_KEY": "sk-planted"} | environ)
    found = judge_models(answer, settings, "http://llm/v1", CONTEXT)
    assert "sk-planted" not in json.dumps([str(found.found), str(found.fix), dict(found.facts)])
    return found


LIST = json.dumps({"data": [{"id": "m-1"}, {"id": "m-2"}]}).encode()


def test_a_model_that_is_listed_for_the_key_alone_is_ok() -> None:
    """A server that refuses callers without the key and lists the model to us proves both."""
    found = models(ModelsAnswer(200, LIST, bare_status=401))
    assert (found.status, found.facts["key_proven"]) == (Status.OK, True)
    assert "key is accepted" in str(found.found)


def test_a_list_for_everybody_proves_no_key() -> None:
    """The doubt is said and is no fault."""
    found = models(ModelsAnswer(200, LIST, bare_status=200))
    assert (found.status, found.facts["key_proven"]) == (Status.OK, False)
    assert "not proven" in str(found.found)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (ModelsAnswer(401, b"bad key sk-planted", 401), Status.ERROR, "unauthorized"),
        (ModelsAnswer(404, b"", 404), Status.WARNING, "no_list"),
        (ModelsAnswer(200, b"<html>", 200), Status.ERROR, "bad_answer"),
        (ModelsAnswer(503, b"", 503), Status.ERROR, "bad_answer"),
        (ModelsAnswer(200, b'{"data": [{"id": "other"}]}', 401), Status.WARNING, "unknown_model"),
    ],
)
def test_a_model_server_that_will_not_serve(answer: ModelsAnswer, status: Status, reason: str) -> None:
    """Each failure has its reason, and the server's own words, which may hold the key, are not repeated."""
    found = models(answer)
    assert (found.status, found.reason) == (status, reason)
    assert "LLM_" in str(found.fix)


def test_a_missing_key_is_told_apart_from_a_wrong_one() -> None:
    """A server that wants a key where none is set says so."""
    found = models(ModelsAnswer(401), LLM_API_KEY="")
    assert "none is set" in str(found.found)


def test_the_fallback_model_is_looked_for_too() -> None:
    """A fallback that the server does not list is named with its own variable."""
    found = models(ModelsAnswer(200, LIST, 401), LLM_FALLBACK_MODEL="m-3")
    assert found.reason == "unknown_model"
    assert "LLM_FALLBACK_MODEL" in str(found.fix)
