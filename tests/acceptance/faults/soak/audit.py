"""What the store says of each run in the end: exactly one terminal event, and when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from stored_support import everything_of

from orchestrator.config import Settings
from orchestrator.store.keys import Keys
from tests.acceptance.faults.soak.client import digest

SETTLE_SECONDS = 5.0
"""Seconds after a run's deadline before its stream is read: who was to answer has."""
OVERDUE_SECONDS = 20.0
"""Seconds after the deadline, with a Redis that serves, after which a run without a terminal event counts as lost."""


@dataclass
class Ending:
    """The end of a run in the store; times are of the monotonic clock."""

    run: str
    terminals: int
    at: float
    """Time of the terminal event."""
    deadline: float
    digest: str
    by: str
    outcome: str


class Auditor(threading.Thread):
    """Reads every run of the store once it is over, also those whose caller has died."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.endings: dict[str, Ending] = {}
        self.lost: dict[str, str] = {}
        self.stop = threading.Event()
        self.client = redis.Redis.from_url(
            settings.redis_url, decode_responses=True, socket_timeout=1.0, client_name="soak-auditor"
        )
        self._keys = Keys(settings.key_prefix)
        self._overdue: dict[str, float] = {}
        self.passes = 0

    def run(self) -> None:
        while not self.stop.wait(1.0):
            self.read()

    def read(self) -> None:
        """One pass over the runs of the store; a Redis that is away is left for the next pass."""
        try:
            self._read()
            self.passes += 1
        except redis.RedisError:
            self._overdue.clear()

    def _read(self) -> None:
        seconds, micros = self.client.time()
        offset = time.monotonic() - (int(seconds) + int(micros) / 1e6)
        for run in self.client.zrange(self._keys.index, 0, -1):
            if run not in self.endings and run not in self.lost:
                self._look(run, offset)

    def _look(self, run: str, offset: float) -> None:
        deadline_ms, state = self.client.hmget(self._keys.run(run), "deadline_ms", "state")
        if deadline_ms is None:
            return  # it has expired: it was read before
        deadline, now = int(deadline_ms) / 1000 + offset, time.monotonic()
        if now < deadline + SETTLE_SECONDS:
            return
        terminals = list(self._terminals(run))
        if terminals:
            at_ms, data = terminals[0]
            self.endings[run] = Ending(
                run=run,
                terminals=len(terminals),
                at=at_ms / 1000 + offset,
                deadline=deadline,
                digest=digest(data.get("response", "")),
                by=str(data.get("committed_by", "")).partition(":")[0],
                outcome=str(data.get("outcome")),
            )
        elif now - self._overdue.setdefault(run, now) > OVERDUE_SECONDS:
            self.lost[run] = f"{state}, {now - deadline:.0f} s after its deadline"

    def _terminals(self, run: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for _, fields in everything_of(self.client, self._keys, run)[1]:
            if fields["type"] in ("final", "cancelled"):
                yield int(fields["at"]), json.loads(fields["data"])
