"""For how many runs there is room in a Redis, measured in a real one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import pytest
import redis
from stored_support import DONE, Planter
from tests_support import RedisServer

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import Settings
from orchestrator.i18n.languages import Language
from orchestrator.models import TroubleshootRequest
from orchestrator.store.connection import connect
from orchestrator.store.room import HOUR_SECONDS, Room, read_room, room_of
from orchestrator.store.runs import RunStore
from workers.doctor.check import CheckContext, CheckResult
from workers.doctor.checks.redis import check_redis

DAY = 86_400


@pytest.fixture
def store(own_redis: RedisServer) -> Iterator[RunStore]:
    settings = Settings.from_env({"REDIS_URL": own_redis.url})
    with connect(settings) as client:
        yield RunStore(client, settings)


def measured(store: RunStore) -> Room:
    return read_room(store._client, store.keys, kept_seconds=DAY)


def examined(url: str) -> CheckResult:
    return asyncio.run(check_redis(CheckContext({"REDIS_URL": url}, 10)))


def said(room: Room, language: Language = Language.EN) -> str:
    return room.text.in_language(language)


def test_room_is_measured(store: RunStore, own_redis: RedisServer) -> None:
    """By the runs that have ended, compressed or not, the limit and what came; what is open or gone does not count."""
    client, keys = store._client, store.keys
    assert measured(store).more_runs is None
    assert "unknown until one has ended" in said(measured(store))
    now_ms = int(client.time()[0]) * 1000
    Planter(client, keys).plant(DONE)
    client.zadd(keys.index, {DONE: now_ms - 2 * HOUR_SECONDS * 1000})
    client.hset(keys.run(DONE), "closed_ms", now_ms - 2 * HOUR_SECONDS * 1000)
    client.zadd(keys.leaving, {DONE: now_ms + HOUR_SECONDS * 1000})
    loose = measured(store)
    store.pack(DONE)
    packed = measured(store)
    assert loose.run_bytes is not None
    assert packed.run_bytes is not None
    assert packed.run_bytes * 3 < loose.run_bytes
    assert (packed.runs, packed.runs_per_day, packed.kept_seconds) == (1, 12, pytest.approx(3 * HOUR_SECONDS, abs=2))
    store.open("run-00000001", TroubleshootRequest(message="x"), nonce="1")
    store.open("run-00000002", TroubleshootRequest(message="x"), nonce="1")
    store.cancel("run-00000002", by="test")
    assert measured(store).run_bytes == pytest.approx(packed.run_bytes, rel=0.05)
    assert measured(store).runs == 3
    client.zadd(keys.leaving, {"run-00000002": 1})
    assert measured(store).runs == 2
    assert not measured(store).is_limited
    assert "of the machine: no maxmemory is set" in said(measured(store))
    client.config_set("maxmemory", "512mb")
    room = measured(store)
    assert room.more_runs == (512 * 1024**2 - (room.used_bytes or 0)) // (room.run_bytes or 1)
    assert not room.is_tight
    assert re.search(r"room for [0-9]+ more runs of [0-9]+ kB; 36 a day come", str(examined(own_redis.url).found))


def test_too_little_room_is_a_warning_with_a_remedy(store: RunStore, own_redis: RedisServer) -> None:
    """Where runs come faster than they expire; the memory that the remedy names is enough."""
    client, keys = store._client, store.keys
    Planter(client, keys).plant(DONE)
    now_ms = int(client.time()[0]) * 1000
    client.hset(keys.run(DONE), "closed_ms", now_ms - 100_000)
    client.zadd(keys.index, {f"run-{number:08}": now_ms - number * 500 for number in range(20_000)} | {DONE: now_ms})
    client.zadd(keys.leaving, {f"run-{number:08}": 1 for number in range(20_000)})
    client.config_set("maxmemory", "40mb")
    room, result = measured(store), examined(own_redis.url)
    assert room.is_tight
    assert (result.status.value, result.reason) == ("warning", "little_room")
    assert "memory is full before runs expire" in str(result.found)
    megabytes = int(str(result.fix).partition("maxmemory to ")[2].partition(" MB")[0])
    client.config_set("maxmemory", f"{megabytes}mb")
    assert not measured(store).is_tight


def test_a_user_who_may_not_ask_is_told_so(store: RunStore, own_redis: RedisServer) -> None:
    """Not that no run has ended: one has."""
    client = store._client
    Planter(client, store.keys).plant(DONE)
    client.acl_setuser("x", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all", "-memory|usage"])
    try:
        settings = Settings.from_env({"REDIS_URL": f"redis://x:x@{own_redis.url.rpartition('@')[2]}"})
        assert "unknown, Redis does not tell its memory" in said(room_of(settings))
    finally:
        client.acl_deluser("x")


def test_queues_shows_the_room(store: RunStore, own_redis: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    """In words and for programs."""
    Planter(store._client, store.keys).plant(DONE)
    store._client.config_set("maxmemory", "512mb")
    context = CliContext({"REDIS_URL": own_redis.url})
    assert run(["queues"], context) == 0
    assert re.search(r"room for [0-9]+ more runs of [0-9]+ kB", capsys.readouterr().out)
    assert run(["queues", "--json"], context) == 0
    room = json.loads(capsys.readouterr().out)["room"]
    assert room["limit_bytes"] == 512 * 1024**2
    assert room["more_runs"] > 1_000
    assert room["is_tight"] is False


@pytest.mark.parametrize("refused", ["info", "memory"])
def test_a_redis_that_does_not_tell_is_no_error(store: RunStore, own_redis: RedisServer, refused: str) -> None:
    """As managed servers and users with few rights have it."""
    Planter(store._client, store.keys).plant(DONE)
    store._client.acl_setuser(
        "few", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", f"-{refused}"], channels=["*"]
    )
    url = f"redis://few:secret@{own_redis.url.partition('@')[2]}"
    with redis.Redis.from_url(url, decode_responses=True) as client:
        room = read_room(client, store.keys, kept_seconds=DAY)
    assert (room.run_bytes, room.more_runs, room.is_tight) == (None, None, False)
    assert "unknown" in said(room)
    assert examined(url).status.value == ("warning" if refused == "info" else "ok")


def test_damaged_keys_of_all_runs_are_no_error(store: RunStore) -> None:
    """Other checks name them."""
    store._client.set(store.keys.index, "damage")
    store._client.set(store.keys.leaving, "damage")
    assert measured(store).runs == 0


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        (Language.EN, "room for 1 more run of 17 kB; 1 a day comes, kept for 1 hour", "for 9 more runs of 17 kB; 0 a"),
        (
            Language.PT_BR,
            "cabe mais 1 execução de 17 kB; 1 chega por dia, guardadas por 1 hora",
            "cabem mais 9 execuções",
        ),
        (Language.ES, "cabe 1 ejecución más de 17 kB; llega 1 al día y se guardan 1 hora", "caben 9 ejecuciones más"),
    ],
)
def test_the_words_have_their_plurals(language: Language, one: str, many: str) -> None:
    """In each language."""
    single = Room(100, 17_100, True, 17_000, 1, 1, HOUR_SECONDS)
    assert said(single, language) == one
    assert many in said(Room(0, 9 * 17_000, True, 17_000, 5, 0, 2 * HOUR_SECONDS), language)
