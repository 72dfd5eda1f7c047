"""A model of KEDA and the Horizontal Pod Autoscaler over the workers of one queue, in simulated seconds.

As Kubernetes documents it (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/): every 15 s the
autoscaler takes KEDA's last figure and wants ceil(figure / target) replicas, unless the figure is within a tenth of the
target of those that there are; it goes down to the most that it wanted within the window of stabilisation, and up or
down by no more than the policies of the direction allow.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import ceil, floor
from typing import Any

SYNC_SECONDS = 15
TOLERANCE = 0.1
DEFAULT_BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}


class Autoscaler:
    """How many replicas a ScaledObject wants."""

    def __init__(self, spec: dict[str, Any]) -> None:
        (trigger,) = spec["triggers"]
        self.target = float(trigger["metadata"]["targetValue"])
        self.least, self.most = spec["minReplicaCount"], spec["maxReplicaCount"]
        self.polling_seconds = spec["pollingInterval"]
        behavior = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
        self._behavior = {way: default | behavior.get(way, {}) for way, default in DEFAULT_BEHAVIOR.items()}
        self._wanted: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def replicas(self, now: float, figure: float, current: int) -> int:
        """The number to have from now on."""
        wanted = ceil(figure / self.target)
        if abs(figure / (self.target * current) - 1) <= TOLERANCE:
            wanted = current
        self._wanted.append((now, wanted))
        up, down = self._behavior["scaleUp"], self._behavior["scaleDown"]
        wanted = max(
            min(self._within(self._wanted, now, up, wanted)),
            min(current, max(self._within(self._wanted, now, down, wanted))),
        )
        if wanted > current:
            wanted = min(wanted, max(self._bounds(now, current, up, +1)))
        elif wanted < current:
            wanted = max(wanted, min(self._bounds(now, current, down, -1)))
        wanted = max(self.least, min(self.most, wanted))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    @staticmethod
    def _within(history: list[tuple[float, int]], now: float, rules: dict[str, Any], wanted: int) -> list[int]:
        return [wanted, *(value for when, value in history if now - when < rules["stabilizationWindowSeconds"])]

    def _bounds(self, now: float, current: int, rules: dict[str, Any], sign: int) -> list[int]:
        assert rules["selectPolicy"] == "Max", "the model knows only the policy that changes most"
        bounds = []
        for policy in rules["policies"]:
            since = [value for when, value in self._changes if now - when < policy["periodSeconds"]]
            start = current - sum(value for value in since if value * sign > 0)
            if policy["type"] == "Pods":
                bounds.append(start + sign * policy["value"])
            else:
                share = start * (1 + sign * policy["value"] / 100)
                bounds.append(ceil(share) if sign > 0 else floor(share))
        return bounds


@dataclass(frozen=True, slots=True)
class Load:
    """Tasks that come by chance (Poisson), at a rate that changes, each for a time by chance (gamma)."""

    per_second: Callable[[float], float]
    seconds: float = 3600
    task_seconds: float = 2.0
    limit_seconds: float = 5.0
    """From the submit; a task that has not ended by then is lost to its run."""


@dataclass(slots=True)
class Course:
    """What a simulation saw."""

    tasks: int = 0
    lost: int = 0
    replicas: list[tuple[float, int]] = field(default_factory=list)
    """Each number of replicas, with the second from which it was wanted."""

    @property
    def lost_share(self) -> float:
        """Lost of all tasks."""
        return self.lost / self.tasks

    @property
    def reversals(self) -> int:
        """How often it took away replicas just to add some, or the other way round."""
        counts = [count for _, count in self.replicas]
        signs = [1 if after > before else -1 for before, after in pairwise(counts)]
        return sum(before != after for before, after in pairwise(signs))


@dataclass(slots=True)
class _Pod:
    free: int
    ends: bool = False


class _Queue:
    """A queue, its workers and their autoscaler."""

    def __init__(self, spec: dict[str, Any], load: Load, concurrency: int, start_seconds: float, seed: int) -> None:
        self._load, self._concurrency, self._start_seconds = load, concurrency, start_seconds
        self._chance = random.Random(seed)
        self._scaler = Autoscaler(spec)
        self._highest = max(map(load.per_second, range(int(load.seconds))))
        needed = ceil(load.per_second(0) * load.task_seconds / self._scaler.target)
        self._count = max(self._scaler.least, min(self._scaler.most, needed))
        self._pods = [_Pod(concurrency) for _ in range(self._count)]
        self._waiting: deque[float] = deque()
        self._running = self._figure = self._order = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self.with_running = True
        self.course = Course(replicas=[(0.0, self._count)])

    def run(self) -> Course:
        """Let the load last."""
        self._at(self._chance.expovariate(self._highest), self._come)
        self._at(0.0, self._poll)
        self._at(SYNC_SECONDS, self._sync)
        while (event := heapq.heappop(self._events))[0] <= self._load.seconds:
            now, _, act = event
            act(now)
        return self.course

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, act))

    def _come(self, now: float) -> None:
        self._at(now + self._chance.expovariate(self._highest), self._come)
        if self._chance.random() * self._highest < self._load.per_second(now):
            self.course.tasks += 1
            self._waiting.append(now)
            self._fill(now)

    def _fill(self, now: float) -> None:
        while self._waiting and (free := [pod for pod in self._pods if pod.free and not pod.ends]):
            limit = self._waiting.popleft() + self._load.limit_seconds
            end = now + self._chance.gammavariate(12, self._load.task_seconds / 12)
            self.course.lost += end > limit
            if now < limit:
                pod = max(free, key=lambda pod: pod.free)
                pod.free -= 1
                self._running += 1
                self._at(min(end, limit), partial(self._end, pod))

    def _end(self, pod: _Pod, now: float) -> None:
        pod.free += 1
        self._running -= 1
        self._fill(now)

    def _poll(self, now: float) -> None:
        self._figure = len(self._waiting) + self._running * self.with_running
        self._at(now + self._scaler.polling_seconds, self._poll)

    def _ready(self, now: float) -> None:
        if self._count > len(self._pods):
            self._pods.append(_Pod(self._concurrency))
            self._fill(now)

    def _sync(self, now: float) -> None:
        wanted = self._scaler.replicas(now, self._figure, self._count)
        for _ in range(wanted - self._count):
            self._at(now + self._start_seconds, self._ready)
        while len(self._pods) > wanted:
            self._pods.pop().ends = True
        if wanted != self._count:
            self.course.replicas.append((now, wanted))
        self._count = wanted
        self._at(now + SYNC_SECONDS, self._sync)


def simulate(
    spec: dict[str, Any],
    load: Load,
    *,
    concurrency: int,
    start_seconds: float = 20.0,
    with_running: bool = True,
    seed: int = 1,
) -> Course:
    """Scale the workers of a queue for as long as the load lasts.

    A new pod takes tasks after ``start_seconds``; one that is taken away finishes what it has and takes no more. Before
    the load begins, there are as many replicas as its first rate needs. ``with_running=False`` is the length of the
    queue alone.
    """
    queue = _Queue(spec, load, concurrency, start_seconds, seed)
    queue.with_running = with_running
    return queue.run()
