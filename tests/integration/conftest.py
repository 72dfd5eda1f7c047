"""Fixtures of the integration tier."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


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
