"""Redis over TLS: every client of Redis verifies alike, says what is wrong, and follows certificates that change."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from flower.utils.broker import Broker
from kombu import pools
from proxy_support import Proxy
from redis.exceptions import RedisError
from tests_support import new_redis, stretched
from tls_support import Authority

from orchestrator.broker.app import make_celery
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from orchestrator.config import Settings
from orchestrator.errors import StoreUnreachable
from orchestrator.store.connection import connect, connect_async_reader, connect_reader, session, store_errors
from orchestrator.store.keys import ORCHESTRATOR_QUEUE
from orchestrator.tls import tls_failure
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import get_scenario
from workers.sources.log_cache.connection import connect as connect_cache
from workers.sources.log_cache.connection import connect_writer, source_error


@pytest.fixture(scope="module")
def plain_url() -> Iterator[str]:
    """URL of the Redis behind the proxies, which speaks no TLS."""
    with new_redis() as server:
        yield server.plain_url


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the clients trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that they do not."""
    return Authority(tmp_path_factory.mktemp("another"))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


@pytest.fixture
def proxied(plain_url: str) -> Iterator[Callable[[ssl.SSLContext | None], Proxy]]:
    """Puts a proxy before the Redis, with TLS or without."""
    proxies: list[Proxy] = []

    def open_proxy(tls: ssl.SSLContext | None) -> Proxy:
        proxies.append(Proxy(port_of(plain_url), tls=tls))
        return proxies[-1]

    yield open_proxy
    for proxy in proxies:
        proxy.__exit__()


async def ping(client: Any) -> None:
    async with client:
        await client.ping()


def publish(settings: Settings) -> None:
    app = make_celery(settings, with_results=False)
    with app.connection_for_write() as connection:
        transport = connection.transport  # a channel of the connection would be tried for two seconds
        transport.create_channel(transport).close()
    app.close()


def count_chord(settings: Settings) -> None:
    app = make_celery(settings, with_results=True)
    app.backend.client.ping()
    app.close()


def show_flower(settings: Settings) -> None:
    conf = make_celery(settings, with_results=False).conf
    broker = Broker(conf.broker_url, broker_use_ssl=conf.broker_use_ssl, broker_options=conf.broker_transport_options)
    assert [queue["messages"] for queue in asyncio.run(broker.queues([ORCHESTRATOR_QUEUE]))] == [0]


def ping_and_close(client: redis.Redis) -> None:
    with client:
        client.ping()


CLIENTS: dict[str, Callable[[Settings], object]] = {
    "store": lambda settings: ping_and_close(connect(settings)),
    "reader": lambda settings: ping_and_close(connect_reader(settings)),
    "aio": lambda settings: asyncio.run(ping(connect_async_reader(settings))),
    "broker": publish,
    "results": count_chord,
    "flower": show_flower,
    "log cache": lambda settings: asyncio.run(ping(connect_cache(settings.redis_url, timeout_seconds=1))),
    "log writer": lambda settings: ping_and_close(connect_writer(settings.redis_url)),
}
"""Whoever opens connections to Redis, each over a library of its own."""


def works(client: str, url: str) -> bool:
    """Whether a client gets an answer; without one, TLS is what failed."""
    pools.reset()
    try:
        CLIENTS[client](Settings.from_env({"REDIS_URL": url, "RESYNC_REDIS_TIMEOUT_SECONDS": "2"}))
    except RedisError as error:
        return not tls_failure(error) and pytest.fail(repr(error))
    return True


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_verifies_unless_the_url_says_otherwise(
    client: str,
    proxied: Callable[[ssl.SSLContext], Proxy],
    plain_url: str,
    authority: Authority,
    another: Authority,
) -> None:
    """A certificate of another authority, for another name or past its end is refused by all, in their first call."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    good, ended = proxied(authority.server_context()), proxied(authority.server_context(not_after=yesterday))
    elsewhere = proxied(authority.server_context("redis.example"))
    assert works(client, authority.url(plain_url, good.port))
    assert works(client, authority.url(plain_url, good.port, ssl_cert_reqs="none", ssl_ca_certs=None))
    assert works(client, authority.url(plain_url, elsewhere.port, ssl_check_hostname="false"))
    assert not works(client, authority.url(plain_url, good.port, ssl_ca_certs=None))
    assert not works(client, another.url(plain_url, good.port))
    assert not works(client, authority.url(plain_url, ended.port))
    assert not works(client, authority.url(plain_url, elsewhere.port))


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_shows_its_certificate_and_follows_a_new_authority(
    client: str, tmp_path: Path, proxied: Callable[[ssl.SSLContext], Proxy], plain_url: str, another: Authority
) -> None:
    """Where Redis asks for client certificates; after a change of authority, the URL stays and its files change."""
    authority = Authority(tmp_path)
    context = authority.server_context(client_authority=authority)
    proxy = proxied(context)
    certificate, key = authority.files("worker", label="worker")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.ca_file.read_bytes())
    url = authority.url(plain_url, proxy.port, ssl_certfile=certificate, ssl_keyfile=key, ssl_ca_certs=trusted)
    assert works(client, url)
    another.load(context)
    assert not works(client, url)
    trusted.write_bytes(another.ca_file.read_bytes())
    assert works(client, url)


def test_what_is_wrong_with_tls_is_told_with_what_to_do(
    proxied: Callable[[ssl.SSLContext], Proxy], plain_url: str, authority: Authority, another: Authority
) -> None:
    """The store's error has OpenSSL's reason and the parameter; the source of the log cache has the reason ``tls``."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    good, ended = proxied(authority.server_context()), proxied(authority.server_context(not_after=yesterday))
    elsewhere, closed = proxied(authority.server_context("redis.example")), proxied(authority.server_context())
    closed.target = 1  # nothing listens there

    def told(url: str) -> str:
        settings = Settings.from_env({"REDIS_URL": url, "RESYNC_REDIS_TIMEOUT_SECONDS": "2"})
        with pytest.raises(StoreUnreachable) as error, session(settings) as client:
            client.ping()
        return str(error.value)

    assert "ssl_ca_certs of REDIS_URL" in told(another.url(plain_url, good.port))
    assert "certificate has expired" in told(authority.url(plain_url, ended.port))
    assert "by a name that its certificate has" in told(authority.url(plain_url, elsewhere.port))
    # A server that tells the client by an alert that it wants a certificate.
    asking = authority.server_context(client_authority=authority)
    asking.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones may tell it after the client's first words
    with HwaSimulator(get_scenario(1).plan, tls=asking) as asks:
        assert "ssl_certfile and ssl_keyfile" in told(authority.url(plain_url, port_of(asks.base_url + "/")))
    assert "TLS" not in told(authority.url(plain_url, closed.port))
    assert "REDIS_URL=rediss://" in told(plain_url.replace(str(port_of(plain_url)), str(good.port)))
    assert "port for TLS" in told(authority.url(plain_url, port_of(plain_url)))

    # What Celery and Flower log of the broker.
    with pytest.raises(RedisError, match="ssl_ca_certs of REDIS_URL"):
        publish(Settings.from_env({"REDIS_URL": another.url(plain_url, good.port)}))

    with pytest.raises(RedisError) as error, connect_writer(another.url(plain_url, good.port)) as cache:
        cache.ping()
    assert source_error(error.value).reason == "tls"


def test_open_clients_follow_a_renewed_certificate(
    proxied: Callable[[ssl.SSLContext], Proxy], plain_url: str, authority: Authority, another: Authority, tmp_path: Path
) -> None:
    """A client that lives on connects anew when certificate and trusted file have changed under it."""
    context = authority.server_context()
    proxy, trusted = proxied(context), tmp_path / "trusted.pem"
    trusted.write_bytes(authority.ca_file.read_bytes())
    settings = Settings.from_env(
        {
            "REDIS_URL": authority.url(plain_url, proxy.port, ssl_ca_certs=trusted),
            "RESYNC_REDIS_TIMEOUT_SECONDS": "2",
        }
    )

    def renew() -> None:
        another.load(context)
        trusted.write_bytes(another.ca_file.read_bytes())
        proxy.cut()

    async def live_on() -> None:
        async with connect_async_reader(settings) as reader:
            assert await reader.ping()
            with connect(settings, retries=1) as client:
                assert client.ping()
                renew()
                assert client.ping()
            # The pool has the old connection, which has ended.
            try:
                await reader.ping()
            except RedisError:
                assert await reader.ping()

    asyncio.run(live_on())


def doctored(capsys: pytest.CaptureFixture[str], url: str) -> dict[str, Any]:
    environ = {"REDIS_URL": url, "RESYNC_REDIS_TIMEOUT_SECONDS": "2"}
    run(["doctor", "--json", "--only", "redis"], CliContext(environ))
    check: dict[str, Any] = json.loads(capsys.readouterr().out)["checks"][0]
    return check


def test_doctor_says_how_tls_stands(
    capsys: pytest.CaptureFixture[str],
    proxied: Callable[[ssl.SSLContext], Proxy],
    plain_url: str,
    authority: Authority,
    another: Authority,
) -> None:
    """Verified with its last day, unverified, soon to end, refused, and each protocol at the other's port."""
    context = authority.server_context()
    proxy = proxied(context)
    url = authority.url(plain_url, proxy.port)

    def said(url: str) -> tuple[str, str | None, str]:
        check = doctored(capsys, url)
        return check["status"], check["reason"], f"{check['found']} {check['fix']}"

    status, reason, words = said(url)
    assert (status, reason) == ("ok", None)
    assert "TLS verified, certificate valid for" in words
    status, reason, words = said(authority.url(plain_url, proxy.port, ssl_cert_reqs="none"))
    assert (status, reason) == ("warning", "tls_not_verified")
    assert "ssl_cert_reqs" in words
    assert doctored(capsys, plain_url)["facts"]["tls"] == "off"

    status, reason, words = said(another.url(plain_url, proxy.port))
    assert (status, reason) == ("error", "store_unreachable")
    assert "TLS failed" in words
    assert "ssl_ca_certs" in words
    status, reason, words = said(plain_url.replace(str(port_of(plain_url)), str(proxy.port)))
    assert (status, reason) == ("error", "store_unreachable")
    assert "Let REDIS_URL begin with rediss://." in words
    status, reason, words = said(authority.url(plain_url, port_of(plain_url)))
    assert (status, reason) == ("error", "store_unreachable")
    assert "speaks no TLS" in words

    authority.load(context, not_after=datetime.now(UTC) + timedelta(days=3, hours=1))
    status, reason, words = said(url)
    assert (status, reason) == ("warning", "certificate_ends")
    assert "ends in 3 days" in words


def test_a_handshake_that_hangs_costs_no_more_than_a_call(
    proxied: Callable[[ssl.SSLContext], Proxy], plain_url: str, authority: Authority
) -> None:
    """A peer that accepts and never answers the handshake is given up after the timeout, as without TLS."""
    proxy = proxied(authority.server_context())
    proxy.swallow()
    settings = Settings.from_env(
        {"REDIS_URL": authority.url(plain_url, proxy.port), "RESYNC_REDIS_TIMEOUT_SECONDS": "0.2"}
    )

    async def read() -> None:
        async with connect_async_reader(settings) as reader:
            with store_errors():
                await reader.ping()

    for call in (lambda: CLIENTS["store"](settings), lambda: asyncio.run(read())):
        with pytest.raises((StoreUnreachable, RedisError)):
            call()
    proxy.serve()
    CLIENTS["store"](settings.model_copy(update={"redis_timeout_seconds": 2.0}))


def test_the_first_handshake_has_more_time_than_a_call(
    proxied: Callable[[ssl.SSLContext], Proxy], plain_url: str, authority: Authority
) -> None:
    """Where many processes start at once, no first run is lost to it; a later one is given up like any call."""
    with Proxy(proxied(authority.server_context()).port) as slow:
        url = authority.url(plain_url, slow.port)
        settings = Settings.from_env({"REDIS_URL": url, "RESYNC_REDIS_TIMEOUT_SECONDS": "0.2"})

        def ping_slowly() -> None:
            slow.hold()
            healing = threading.Timer(0.5, slow.heal)
            healing.start()
            try:
                CLIENTS["store"](settings)
            finally:
                healing.join()

        ping_slowly()
        with pytest.raises(RedisError):
            ping_slowly()


@pytest.mark.parametrize("tls", [True, False])
def test_a_network_cut_holds_no_broker_connection_for_long(
    proxied: Callable[[ssl.SSLContext | None], Proxy], plain_url: str, authority: Authority, tls: bool
) -> None:
    """A command and its one repetition take a time-out each; over connections that lead nowhere it is answered."""
    proxy = proxied(authority.server_context() if tls else None)
    url = authority.url(plain_url, proxy.port) if tls else plain_url.replace(str(port_of(plain_url)), str(proxy.port))
    app = make_celery(Settings.from_env({"REDIS_URL": url, "RESYNC_REDIS_TIMEOUT_SECONDS": "0.5"}), with_results=False)
    with app.connection_for_write() as connection:
        channel = connection.transport.create_channel(connection.transport)
        with channel.conn_or_acquire() as client:
            client.llen("x")
            proxy.make_half_open()
            client.llen("x")
            proxy.swallow()
            began = time.monotonic()
            with pytest.raises(RedisError):
                client.llen("x")
            assert time.monotonic() - began < stretched(1.9)
            proxy.serve()
            client.llen("x")
        channel.close()
    app.close()
