"""Fixtures of the integration tier."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import fakeredis
import pytest
import redis

from orchestrator.config import Settings
from orchestrator.store.connection import DECODING, connect

Store = tuple[redis.Redis, Settings]


@pytest.fixture(params=["fakeredis", "redis-server"])
def either_redis(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A client of a store of its own, and the settings that go with it."""
    if request.param == "fakeredis":
        settings = Settings.from_env({})
        client: redis.Redis = fakeredis.FakeRedis(**DECODING)
    else:
        settings = Settings.from_env({"REDIS_URL": request.getfixturevalue("redis_url")})
        client = connect(settings)
    yield client, settings
    client.close()


@pytest.fixture(autouse=True)
def collected_handshakes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what an aborted TLS handshake leaves behind within its own test.

    asyncio may close its loop before the transport of a handshake that failed or was cancelled is closed. Seldom, and
    only on a busy machine; its ResourceWarning would then fail whichever test is running when it is collected.
    """
    yield
    if "tls" in request.node.name:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
