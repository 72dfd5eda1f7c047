"""Sentinels, over TLS too: every client asks them where Redis is, and says in one line what is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from kombu import pools
from sentinel_support import NAME, SENTINEL_PASSWORD, end, start_sentinel
from tests_support import is_built_with_tls, new_redis, redis_binary, wait_until
from tls_support import Authority

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import Settings
from orchestrator.errors import StoreRefusesUser, StoreUnreachable, TroubleshootError
from orchestrator.store.connection import connect_async_reader, connect_reader, session
from workers.sources.log_cache.connection import connect as connect_cache
from workers.sources.log_cache.connection import connect_writer
from workers.standalone.ports import free_port


@dataclass(frozen=True)
class Place:
    """A Redis, and a Sentinel that knows it."""

    password: str
    port: int
    ca: Path | None

    def url(self, *, first: str = "", name: str = NAME, password: str = SENTINEL_PASSWORD) -> str:
        """With further Sentinels before the one that is there."""
        scheme, query = ("redis", "") if self.ca is None else ("rediss", f"&ssl_ca_certs={self.ca}")
        sentinels = f"{first}127.0.0.1:{self.port}"
        return f"{scheme}+sentinel://:{self.password}@{sentinels}/{name}?sentinel_password={password}{query}"

    def settings(self, **parts: str) -> Settings:
        """Settings with such a URL."""
        return Settings.from_env({"REDIS_URL": self.url(**parts), "RESYNC_REDIS_TIMEOUT_SECONDS": "2"})


@pytest.fixture(scope="module", params=["plain", "tls"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A Redis with a Sentinel, both over TLS or without."""
    over_tls, folder, port = request.param == "tls", tmp_path_factory.mktemp("sentinel"), free_port()
    if over_tls and not is_built_with_tls(redis_binary() or ""):
        pytest.skip("this Redis was built without TLS")
    with new_redis(tls=over_tls) as server:
        if not over_tls:
            process = start_sentinel(folder, port, server.port, server.password, quorum=1)
            ca = None
        else:
            authority = Authority(folder)
            certificate, key = authority.files()
            # It trusts both authorities, and so do its clients.
            ca = folder / "both.pem"
            of_redis = Path(redis.connection.parse_url(server.url)["ssl_ca_certs"])
            ca.write_bytes(authority.ca_file.read_bytes() + of_redis.read_bytes())
            tls = (
                f"tls-port {port}\ntls-auth-clients no\ntls-replication yes\ntls-ca-cert-file {ca}\n"
                f"tls-cert-file {certificate}\ntls-key-file {key}\n"
            )
            address = redis.connection.parse_url(server.url)["port"]
            process = start_sentinel(folder, port, address, server.password, quorum=1, tls=tls)
        found = Place(server.password, port, ca)

        def answers() -> bool:
            try:
                with session(found.settings()) as client:
                    return bool(client.ping())
            except TroubleshootError:
                return False

        try:
            wait_until(answers, what="the Sentinel")
            yield found
        finally:
            end(process)


def publish(settings: Settings) -> None:
    publisher = Publisher(make_celery(settings, with_results=False))
    publisher.publish_run("run-00000001")
    publisher.close()


def count_chord(settings: Settings) -> None:
    app = make_celery(settings, with_results=True)
    app.backend.client.ping()
    app.close()


def ping(client: redis.Redis) -> None:
    with client:
        assert client.ping()


async def ping_async(client: redis.asyncio.Redis) -> None:
    async with client:
        assert await client.ping()


CLIENTS: dict[str, Callable[[Settings], object]] = {
    "reader": lambda settings: ping(connect_reader(settings)),
    "aio": lambda settings: asyncio.run(ping_async(connect_async_reader(settings))),
    "broker": publish,
    "results": count_chord,
    "log cache": lambda settings: asyncio.run(ping_async(connect_cache(settings.redis_url, timeout_seconds=2))),
    "log writer": lambda settings: ping(connect_writer(settings.redis_url)),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_asks_the_next_sentinel_where_one_is_gone(place: Place, client: str) -> None:
    """The first of the URL does not run."""
    pools.reset()
    CLIENTS[client](place.settings(first="127.0.0.1:1,"))


def test_what_is_wrong_is_one_line(place: Place) -> None:
    """A name that no Sentinel knows, Sentinels that are away, their password."""

    def told(settings: Settings) -> str:
        with pytest.raises(StoreUnreachable) as error, session(settings) as client:
            client.ping()
        assert SENTINEL_PASSWORD not in str(error.value)
        return str(error.value)

    assert told(place.settings(name="another")) == "no Sentinel of REDIS_URL knows a primary named another"
    away = Place(place.password, 1, place.ca)
    assert told(away.settings()).startswith("no Sentinel of REDIS_URL answers; do they run")
    with pytest.raises(StoreRefusesUser, match="REDIS_URL"), session(place.settings(password="wrong")) as client:
        client.ping()


def test_doctor_tells_sentinels_and_no_password(capsys: pytest.CaptureFixture[str], place: Place) -> None:
    """And whether the certificate of the primary is verified."""
    run(["doctor", "--json", "--only", "redis"], CliContext({"REDIS_URL": place.url()}))
    written = capsys.readouterr().out
    (check,) = json.loads(written)["checks"]
    assert check["status"] in ("ok", "warning")
    assert check["facts"]["where"].endswith(f"+sentinel://127.0.0.1:{place.port}/{NAME}")
    assert check["facts"]["tls"] == ("off" if place.ca is None else "verified")
    assert SENTINEL_PASSWORD not in written
    assert place.password not in written
