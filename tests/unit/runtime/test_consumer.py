"""What a worker takes next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.worker import state

from orchestrator.broker.transport import Share
from orchestrator.store.keys import BATCH_PRIORITY
from workers.runtime.consumer import batch_share


@pytest.mark.parametrize(
    ("places", "batches", "share"),
    [
        (1, 0, Share.FAIR),
        (1, 1, Share.LARGE),
        (2, 1, Share.LARGE),
        (4, 0, Share.SMALL),
        (4, 1, Share.FAIR),
        (4, 3, Share.LARGE),
        (16, 3, Share.SMALL),
        (16, 11, Share.FAIR),
        (16, 12, Share.LARGE),
    ],
)
def test_batches_have_a_quarter_to_three_quarters_of_the_places(
    monkeypatch: pytest.MonkeyPatch, places: int, batches: int, share: Share
) -> None:
    """Whatever else runs; a single place is anybody's."""
    priorities = [BATCH_PRIORITY] * batches + [0, None]
    running = {number: SimpleNamespace(delivery_info={"priority": it}) for number, it in enumerate(priorities)}
    monkeypatch.setattr(state, "requests", running)
    assert batch_share(places) is share
