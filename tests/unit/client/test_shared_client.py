"""The client that runs on one event loop share."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.client.aio import AsyncTroubleshootClient, shared_client
from orchestrator.config import Settings

SETTINGS = Settings.from_env({})
OTHER = Settings.from_env({"RESYNC_KEY_PREFIX": "other:"})


def test_runs_at_the_same_time_share_a_client_and_the_last_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for each of a hundred graphs cost their process more time than it had to read the answers."""
    closed: list[AsyncTroubleshootClient] = []
    close = AsyncTroubleshootClient.close

    async def note_close(client: AsyncTroubleshootClient) -> None:
        closed.append(client)
        await close(client)

    monkeypatch.setattr(AsyncTroubleshootClient, "close", note_close)

    async def use() -> None:
        async with shared_client(SETTINGS) as first:
            async with shared_client(SETTINGS) as second, shared_client(OTHER) as other:
                assert second is first
                assert other is not first
            assert closed == [other]
            with pytest.raises(ValueError, match="fails"):
                async with shared_client(SETTINGS):
                    raise ValueError("fails")
            assert closed == [other]
        assert closed == [other, first]
        async with shared_client(SETTINGS) as later:
            assert later is not first

    asyncio.run(use())
