"""What a row of the table of faults is: what is done to the system, and what its callers are promised meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.acceptance.faults.trial import Trial

Behaviours = Mapping[str, Mapping[str, object]]
"""Of each stub, by its name; see ``orchestrator.testing.StubBehaviour``."""

GRACE_SECONDS = 0.25
NO_STORE_GRACE_SECONDS = 1.0
"""A caller gives up on a store that hangs within a second after the deadline."""
RECOVERY_SECONDS = 5.0
OUTCOMES = {
    "complete": "an answer from all sources",
    "partial": "an answer that names the sources that are missing",
    "failed": "no source answered in time; the answer says why and what to do",
    "cancelled": "cancelled by somebody",
    "uncommitted": "Redis does not answer; an answer from what the caller has read, which is not stored",
    "refused": "at once, as overloaded",
    "unreachable": "at once or after the deadline, by the error `StoreUnreachable`",
    "forgotten": "the error `RunNotFound`, which says that Redis lost the run",
}
"""What may become of a question, and how the page says it. Anything else breaks every promise."""
_KINDS: Mapping[str, tuple[str, ...]] = {
    "answered": ("complete", "partial"),
    "explained": ("complete", "partial", "failed"),
    "explained or refused": ("complete", "partial", "failed", "refused"),
    "Redis away": ("complete", "partial", "failed", "uncommitted", "refused", "unreachable"),
    "Redis emptied": ("complete", "partial", "failed", "uncommitted", "refused", "unreachable", "forgotten"),
}
"""The usual promises by their names on the page."""


def promise_kinds() -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Name, outcomes and grace of each usual promise."""
    return ((name, outcomes, _usual_grace(outcomes)) for name, outcomes in _KINDS.items())


def _usual_grace(outcomes: Iterable[str]) -> float:
    return NO_STORE_GRACE_SECONDS if "unreachable" in outcomes else GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds for each run of a trial.

    Always: one terminal event where the store has the run, no answer of a source lost that came before the end, an
    answer by the deadline plus ``grace_seconds`` and the delay of the machine, no process that ends by itself, no
    secret in a log or in the run.
    """

    outcomes: frozenset[str]
    complete_share: float = 0.0
    """Share of the runs that are complete at least."""
    grace_seconds: float = GRACE_SECONDS
    recovery_seconds: float = RECOVERY_SECONDS
    """A question asked so long after the end of the fault, or sooner, is answered in full by the workers."""
    tracebacks: int = 0
    """Logged at most."""
    loses_answers: bool = False
    """Whether the fault itself damages what sources have answered."""
    ends: tuple[str, ...] = ()
    """Roles whose processes may end by themselves, to be started again."""

    def text(self) -> str:
        """For the page: the name of the promise, and what is not as usual."""
        names = (name for name, outcomes in _KINDS.items() if self.outcomes == set(outcomes))
        text = next(names, "") or ", ".join(name for name in OUTCOMES if name in self.outcomes)
        if self.complete_share > 0:
            text += f"; {self.complete_share:.0%} complete"
        if self.grace_seconds != _usual_grace(self.outcomes):
            text += f"; late by {self.grace_seconds:g} s"
        if self.recovery_seconds != RECOVERY_SECONDS:
            text += f"; whole again in {self.recovery_seconds:g} s"
        if self.ends:
            text += f"; {', '.join(self.ends)} may end"
        return text


def promise(*outcomes: str, **fields: Any) -> Promise:
    """A promise by the names of its outcomes."""
    assert set(outcomes) <= set(OUTCOMES), outcomes
    return Promise(frozenset(outcomes), **fields)


def nothing(trial: Trial) -> None:
    """Let the runs go on: the fault is in them."""


WAITING = ("result", "stream", "sse", "await", "astream", "graph")
"""Readers that wait for the answer, and end the run themselves when nobody else does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    name: str
    what: str
    """What is done, for the page."""
    promise: Promise
    strike: Callable[[Trial], None] = nothing
    """Does it, and undoes it, while runs go on."""
    odd: Callable[[int], Behaviours | None] = field(default=lambda number: None)
    """Behaviours of run ``number`` in place of the usual ones. The other runs must be complete."""
    on: tuple[str, ...] = ("redis",)
    """Kinds of stacks, see ``STACKS``."""
    runs: int = 50
    seconds: float = 3.0
    """For which runs are submitted."""
    total_seconds: float = 4.0
    in_ci: bool = False
    readers: tuple[str, ...] = ()
    """Ways to ask, see ``Readers``. By default all; ``later`` only where Redis and a watcher are there."""

    def __post_init__(self) -> None:
        if not self.readers:
            has_store = "unreachable" not in self.promise.outcomes
            object.__setattr__(self, "readers", (*WAITING, "later") if has_store else WAITING)


@dataclass(frozen=True, slots=True)
class Kind:
    """How the system of a trial is set up."""

    text: str
    options: Mapping[str, Any]
    share_of_runs: float = 1.0


STACKS: Mapping[str, Kind] = {
    "redis": Kind("`redis://`, AOF", {}),
    "memory": Kind("`redis://`, without AOF", {"append_only": False}),
    "network": Kind("`redis://`, a proxy before each process", {"proxied": True}),
    "rediss": Kind("`rediss://` with client certificates, a proxy before each process", {"tls": True}, 0.5),
    "prefork": Kind("`--pool prefork`", {"pool": "prefork", "concurrency": 4}, 0.4),
    "clock": Kind("Redis with a clock of its own", {"clock": True}),
}


def every(count: int, behaviours: Iterable[Behaviours]) -> Callable[[int], Behaviours | None]:
    """Each ``count``-th run behaves oddly, in turn."""
    turns = tuple(behaviours)
    return lambda number: None if number % count else turns[number // count % len(turns)]
