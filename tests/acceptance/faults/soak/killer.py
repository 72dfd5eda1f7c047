"""Kills, stops and freezes processes at random, and starts them again as a supervisor does; notes when."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests_support import RedisServer

from tests.acceptance.faults.soak.members import ELDERS, VICTIMS, Client, Members

LOST_SECONDS = 1.0
"""What an append-only file that is written out every second may lose when the machine goes down."""


@dataclass
class Disturbance:
    """What was done to a process, from the first moment to the last; ``ended`` is infinite while it goes on."""

    name: str
    what: str
    began: float
    ended: float = float("inf")

    def touches(self, began: float, ended: float) -> bool:
        return self.began <= ended and began <= self.ended


class Killer:
    """Disturbs one victim every few seconds, and Redis now and then, until ``stop`` is set.

    ``mean_seconds`` lie between two disturbances of processes, ``redis_seconds`` between two of Redis.
    """

    def __init__(
        self,
        members: Members,
        redis: RedisServer,
        new_client: Callable[[], Client],
        *,
        seed: int,
        mean_seconds: float,
        redis_seconds: float,
    ) -> None:
        self.disturbances: list[Disturbance] = []
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.stop = threading.Event()
        self.victim_client = new_client()
        self._members, self._redis, self._new_client = members, redis, new_client
        self._random = random.Random(seed)
        self._mean, self._redis_seconds = mean_seconds, redis_seconds
        self._file = AppendOnlyFile(redis.folder)
        self._busy: set[str] = set()
        self._threads = [
            threading.Thread(target=loop, daemon=True) for loop in (self._processes, self._store, self._supervise)
        ]

    def start(self) -> None:
        self._file.start()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until what is going on is over: every process runs."""
        self.stop.set()
        for thread in self._threads:
            thread.join(120)
        while self._busy:
            time.sleep(0.05)
        self._file.stop.set()

    def touching(self, names: tuple[str, ...], began: float, ended: float) -> list[Disturbance]:
        """The disturbances of ``names`` in a span of time."""
        return [one for one in list(self.disturbances) if one.name in names and one.touches(began, ended)]

    def _processes(self) -> None:
        while not self.stop.wait(self._random.expovariate(1 / self._mean)):
            name = self._random.choice([*VICTIMS, "client"])
            if name in self._busy:
                continue
            what = self._random.choices(("kill", "term", "freeze"), (5, 2, 3))[0]
            if name == "client" and what == "term":
                what = "kill"
            seconds = self._random.uniform(0.5, 4.0) if what == "freeze" else self._random.uniform(0.0, 2.0)
            self._busy.add(name)
            threading.Thread(target=self._disturb, args=(name, what, seconds), daemon=True).start()

    def _supervise(self) -> None:
        """Start processes again that have ended by themselves, and tell of them."""
        while not self.stop.wait(0.5):
            for name in (*ELDERS, *VICTIMS):
                if name not in self._busy and (code := self._members.exit_code(name)) is not None:
                    self.failures.append(f"{name} ended by itself with {code}")
                    self._busy.add(name)
                    threading.Thread(target=self._disturb, args=(name, "end", 0.5), daemon=True).start()

    def _disturb(self, name: str, what: str, seconds: float) -> None:
        one = Disturbance(name, what, time.monotonic())
        self.disturbances.append(one)
        self.counts[f"{name}: {what}"] += 1
        try:
            if name == "client":
                self._disturb_client(what, seconds)
            else:
                self._disturb_member(name, what, seconds)
        except BaseException as error:  # noqa: BLE001  # a process that does not start again is told at the end
            self.failures.append(f"{name} after {what}: {error}")
        finally:
            one.ended = time.monotonic()
            self._busy.discard(name)

    def _disturb_member(self, name: str, what: str, seconds: float) -> None:
        members = self._members
        if what == "freeze":
            members.send(name, signal.SIGSTOP)
            time.sleep(seconds)
            members.send(name, signal.SIGCONT)
            return
        if what == "kill":
            members.send(name, signal.SIGKILL)
        elif what == "term":
            members.send(name, signal.SIGTERM)
        members.await_end(name)
        time.sleep(seconds)
        members.start(name)
        members.wait_for(name)

    def _disturb_client(self, what: str, seconds: float) -> None:
        if what == "freeze":
            self.victim_client.signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.victim_client.signal(signal.SIGCONT)
            return
        self.victim_client.signal(signal.SIGKILL)
        self.victim_client.popen.wait(20)
        time.sleep(seconds)
        self.victim_client = self._new_client()
        self.victim_client.is_ready.wait(60)

    def _store(self) -> None:
        while not self.stop.wait(self._random.uniform(0.5, 1.5) * self._redis_seconds):
            what = self._random.choices(("kill", "power cut", "term", "freeze"), (3, 3, 1, 3))[0]
            one = Disturbance("redis", what, time.monotonic())
            self.disturbances.append(one)
            self.counts[f"redis: {what}"] += 1
            if what == "freeze":
                self._redis.freeze()
                time.sleep(self._random.uniform(0.2, 2.0))
                self._redis.thaw()
            else:
                self._redis.stop() if what == "term" else self._redis.kill()
                if what == "power cut":
                    self._file.cut()
                time.sleep(self._random.uniform(0.0, 2.0))
                self._redis.start()
            one.ended = time.monotonic()


class AppendOnlyFile(threading.Thread):
    """Knows how long Redis's file was a second ago, and cuts it there: a killed process alone loses nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self._folder = folder
        self._sizes: list[tuple[float, Path, int, int]] = []

    def run(self) -> None:
        while not self.stop.wait(0.05):
            if (path := self._path()) is not None:
                found = path.stat()
                self._sizes = [*self._sizes[-100:], (time.monotonic(), path, found.st_ino, found.st_size)]

    def cut(self) -> None:
        """Cut the file of a Redis that has just been killed to its length of a second ago."""
        path, now = self._path(), time.monotonic()
        if path is None:
            return
        inode = path.stat().st_ino
        sizes = [size for at, _, of, size in self._sizes if of == inode and at < now - LOST_SECONDS]
        if sizes and sizes[-1] < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(sizes[-1])

    def _path(self) -> Path | None:
        """The file that is written now: one up to Redis 6, the last of a folder later."""
        files = [*self._folder.glob("appendonly.aof"), *self._folder.glob("appendonlydir/*.incr.aof")]
        return max(files, key=lambda file: file.stat().st_mtime, default=None)
