"""The questions of a soak, asked at a steady rate, and what came of each."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.testing import stub_message
from tests.acceptance.faults.soak.killer import Killer
from tests.acceptance.faults.soak.members import Client

WAYS = {
    "sync_result": 4,
    "sync_stream": 3,
    "aio_result": 4,
    "aio_stream": 3,
    "graph": 2,
    "graph_stream": 2,
    "http_wait": 2,
    "http_sse": 4,
}
SECOND_WAYS = ("sync_result", "sync_stream", "aio_stream", "http_sse")
SECOND_SHARE = 0.2
VICTIM_SHARE = 0.25
OVERLOAD_PAUSE_SECONDS = 1.0


@dataclass
class Question:
    """One question, and what its caller told of it."""

    n: int
    how: str
    run: str
    client: str
    asked: float
    told: dict[str, Any] = field(default_factory=dict)
    is_accepted: bool = False
    died: float | None = None
    """When its caller died without an answer."""


class Load:
    """Asks ``runs`` questions that are accepted, at ``rate`` a second with at most ``most`` of them open."""

    def __init__(self, *, seed: int, rate: float, most: int) -> None:
        self.rate, self.most = rate, most
        self.questions: dict[int, Question] = {}
        self.seconds: list[dict[str, Any]] = []
        self.refused: Counter[str] = Counter()
        self.answered: dict[int, dict[str, Any]] = {}
        self._specs: dict[int, dict[str, Any]] = {}
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._pause_until = 0.0
        self.elder: Client | None = None
        self.seconds_open = 0
        self.is_calm = False
        """Whether no source misbehaves."""

    @property
    def accepted(self) -> int:
        """Questions that were accepted or answered by the caller itself; those that are open count as accepted."""
        with self._lock:
            return len(self.questions) - sum(self.refused.values())

    @property
    def open(self) -> int:
        with self._lock:
            return len(self._open)

    def run(self, runs: int, killer: Killer, end: float) -> None:
        """Ask until ``runs`` are accepted, or the monotonic time ``end`` comes."""
        due = time.monotonic()
        while self.accepted < runs and time.monotonic() < end:
            due = max(due + self._random.expovariate(self.rate), time.monotonic() - 1.0)
            while (now := time.monotonic()) < due or now < self._pause_until or self.open >= self.most:
                time.sleep(0.005)
                self._bury(killer)
            self._ask(killer)
        self.settle(killer)

    def settle(self, killer: Killer, seconds: float = 60.0) -> None:
        """Wait for the answers to what was asked."""
        end = time.monotonic() + seconds
        while (self.open or self.seconds_open) and time.monotonic() < end:
            time.sleep(0.05)
            self._bury(killer)

    def _ask(self, killer: Killer) -> None:
        n = len(self.questions)
        how = self._random.choices(list(WAYS), list(WAYS.values()))[0]
        victim = killer.victim_client
        is_victim = self._random.random() < VICTIM_SHARE and victim.is_ready.is_set() and victim.popen.poll() is None
        client = victim if is_victim else self.elder
        assert client is not None
        spec = {"n": n, "how": how, "run": f"soak-{n:06d}", **self._question()}
        with self._lock:
            self.questions[n] = Question(n, how, spec["run"], client.name, time.monotonic())
            self._open.add(n)
            self._specs[n] = spec
        if not client.send(spec):
            self._bury(killer)

    def _question(self) -> dict[str, Any]:
        stubs: dict[str, dict[str, object]] = {}
        for source in BUILTIN_SOURCES:
            behaviour: dict[str, object] = {"sleep_seconds": round(self._random.uniform(0.0, 0.3), 3)}
            match 1.0 if self.is_calm else self._random.random():
                case chance if chance < 0.02:
                    behaviour = {"sleep_seconds": 30}
                case chance if chance < 0.04:
                    behaviour |= {"error": "the stub's own"}
                case chance if chance < 0.06:
                    behaviour |= {"no_data": True}
                case chance if chance < 0.07:
                    behaviour |= {"raises": self._random.choice(["SystemExit", "Panic", "CancelledError"])}
                case chance if chance < 0.12:
                    behaviour |= {"payload_bytes": 20_000}
                case _:
                    pass
            stubs[source] = behaviour
        jobs = [f"BATCH{i:03d}" for i in range(1, self._random.choice((2, 3, 4)) + 1)]
        return {
            "message": stub_message(stubs),
            "jobs": jobs if self._random.random() < 0.1 else [],
            "limit": self._random.choices((4.0, 6.0, 10.0), (3, 2, 1))[0],
            "node": 2.0,
        }

    def take(self, client: str, record: dict[str, Any]) -> None:
        """What a client tells."""
        n = record["n"]
        with self._lock:
            question = self.questions[n]
            match record["kind"]:
                case "accepted":
                    question.is_accepted, question.run = True, record["run"]
                    spec = self._specs[n] | {"second": True, "run": record["run"]}
                    if self._random.random() >= SECOND_SHARE:
                        return
                    spec["how"] = self._random.choice(SECOND_WAYS)
                    self.seconds_open += 1
                case "second":
                    self.seconds.append(record)
                    self.seconds_open -= 1
                    return
                case _:
                    question.told, question.run = record, record["run"]
                    self._open.discard(n)
                    self._specs.pop(n, None)
                    if record["class"] == "refused" and not question.is_accepted:
                        self.refused[record["error"]] += 1
                        if record["error"] == "Overloaded":
                            self._pause_until = time.monotonic() + OVERLOAD_PAUSE_SECONDS
                    return
        assert self.elder is not None
        self.elder.send(spec)

    def _bury(self, killer: Killer) -> None:
        """Close the questions whose caller has died: the store has their end."""
        victim = killer.victim_client
        with self._lock:
            for n in list(self._open):
                question = self.questions[n]
                is_other = question.client.startswith("victim") and question.client != victim.name
                if is_other or (question.client == victim.name and victim.popen.poll() is not None):
                    question.died = time.monotonic()
                    self._open.discard(n)
                    self._specs.pop(n, None)
