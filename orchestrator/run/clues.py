"""Clues between the sources of one run: in the run's hash when they are workers, in memory when they are in process.

A source waits by reading a few fields of the hash again and again, with growing pauses: a blocking read would take a
connection for each run.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from orchestrator.errors import TroubleshootError
from orchestrator.logs import get_logger
from orchestrator.models import Clue, Plan, PlannedSource, source_key
from orchestrator.redaction.redact import redact_start
from orchestrator.store.records import Clues
from orchestrator.store.runs import RunStore

_LOGGER = get_logger(__name__)
START_SECONDS = 0.25
"""How long a source is waited for that no worker has taken: it may be queued behind the one that waits."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.04, 0.2
LOCAL_PAUSE_SECONDS = 0.02
PAUSE_SHARE = 0.125
"""Pause between two reads, as a share of the time waited."""
MAX_CODES, MAX_LINES, MAX_CHARACTERS = 12, 5, 300
MAX_CAUSES = 20
_INVALID = (TypeError, ValueError, AttributeError)


def masked_clue(clue: Clue, *, personal: bool) -> Clue:
    """The clue without secrets, in bounded size and validated as a whole.

    Raises TypeError, ValueError, AttributeError for values that its fields do not allow.
    """

    def masked(texts: Iterable[str], limit: int) -> tuple[str, ...]:
        return tuple(redact_start(text, MAX_CHARACTERS, personal=personal)[0] for text in islice(texts, limit))

    short = {
        name: masked((getattr(clue, name),), 1)[0]
        for name in ("platform", "workstation", "started_at", "ended_at")
        if getattr(clue, name) is not None
    }
    lists = {"codes": masked(clue.codes, MAX_CODES), "lines": masked(clue.lines, MAX_LINES)}
    causes = [
        masked_clue(cause.model_copy(update={"causes": ()}), personal=personal)
        for cause in islice(clue.causes, MAX_CAUSES)
    ]
    return Clue.model_validate({**vars(clue), **short, **lists, "causes": causes})


@dataclass(slots=True)
class StoredClues:
    """The clues of a run in the store, for one of its sources. See ClueBoard."""

    store: RunStore
    run_id: str
    plan: Plan
    own_key: str
    claim: str
    redact_personal: bool = False
    waited_seconds: float = 0.0

    async def post(self, clue: Clue) -> None:
        """See ClueBoard."""
        try:
            safe = masked_clue(clue, personal=self.redact_personal)
            key = _clue_key(self.plan, self.own_key, safe)
            await asyncio.to_thread(self.store.put_clue, self.run_id, self.own_key, self.claim, safe, clue_key=key)
        except TroubleshootError as error:
            _LOGGER.warning("clue_dropped run_id=%s source=%s reason=%s", self.run_id, self.own_key, error.reason)
        except _INVALID as error:
            _log_invalid(self.own_key, error)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        """See ClueBoard."""
        others = _others(self.plan, sources, self.own_key)
        if not others:
            return ()
        began = time.monotonic()
        try:
            while True:
                clues = await asyncio.to_thread(self.store.read_clues, self.run_id, others)
                waited = time.monotonic() - began
                expected = clues.pending if waited < START_SECONDS else clues.pending & clues.started
                if not expected or waited >= seconds:
                    return clues.given
                pause = min(max(waited * PAUSE_SHARE, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(min(pause, seconds - waited))
        except TroubleshootError as error:
            _LOGGER.warning("clues_unread run_id=%s source=%s reason=%s", self.run_id, self.own_key, error.reason)
            return ()
        finally:
            self.waited_seconds += time.monotonic() - began


@dataclass(slots=True)
class ClaimedClues:
    """The clues of a run whose other sources are asked by workers: those of the store."""

    store: RunStore
    run_id: str
    plan: Plan
    claims: Mapping[str, str]
    redact_personal: bool = False

    def board_of(self, planned: PlannedSource) -> StoredClues:
        """The board for one source that is claimed here."""
        key = planned.key
        return StoredClues(self.store, self.run_id, self.plan, key, self.claims[key], self.redact_personal)

    async def end(self, planned: PlannedSource) -> None:
        """Do nothing: the store knows the sources that have answered."""


@dataclass(slots=True)
class LocalClues:
    """The clues of the sources that one process asks for a run, each in a thread of its own."""

    plan: Plan
    redact_personal: bool = False
    _given: dict[str, Clue] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    def board_of(self, planned: PlannedSource) -> "LocalBoard":
        """The board for one source."""
        return LocalBoard(self, planned.key)

    async def put(self, key: str, clue: Clue) -> None:
        """Take a clue of the source with that key, or about that job. Raises as ``masked_clue`` does."""
        self._given[_clue_key(self.plan, key, clue)] = masked_clue(clue, personal=self.redact_personal)

    async def end(self, planned: PlannedSource) -> None:
        """A source has answered, or is asked elsewhere: no further clue comes from it."""
        self._ended.add(planned.key)

    async def wait(self, sources: Collection[PlannedSource]) -> None:
        """Wait until each of the sources has given a clue, about each of its jobs, or has ended."""
        while self.read(sources).pending:  # noqa: ASYNC110  # they are in other threads
            await asyncio.sleep(LOCAL_PAUSE_SECONDS)

    def read(self, sources: Collection[PlannedSource]) -> Clues:
        """The state of these sources."""
        keys = dict.fromkeys(key for planned in sources for key in (planned.key, *planned.clue_keys))
        pending = (
            item.key
            for item in sources
            if item.key not in self._given and not self._given.keys() >= set(item.clue_keys)
        )
        return Clues(
            given=tuple(self._given[key] for key in keys if key in self._given),
            pending=frozenset(key for key in pending if key not in self._ended),
            started=frozenset(planned.key for planned in sources),
        )


@dataclass(slots=True)
class LocalBoard:
    """The clues of a run in this process, for one of its sources. See ClueBoard."""

    clues: LocalClues
    own_key: str
    waited_seconds: float = 0.0

    async def post(self, clue: Clue) -> None:
        """See ClueBoard."""
        try:
            await self.clues.put(self.own_key, clue)
        except _INVALID as error:
            _log_invalid(self.own_key, error)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        """See ClueBoard."""
        others = _others(self.clues.plan, sources, self.own_key)
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self.clues.wait(others)
        except TimeoutError:
            pass
        finally:
            self.waited_seconds += time.monotonic() - began
        return self.clues.read(others).given


def _log_invalid(key: str, error: Exception) -> None:
    _LOGGER.warning("clue_dropped source=%s reason=invalid error=%s", key, type(error).__name__)


def _others(plan: Plan, sources: Collection[str], own_key: str) -> list[PlannedSource]:
    return [planned for planned in plan.sources if planned.source in sources and planned.key != own_key]


def _clue_key(plan: Plan, key: str, clue: Clue) -> str:
    """Key of a clue of the source with that key: of a batch, that of the job that it is about."""
    planned = next((item for item in plan.sources if item.key == key), None)
    return source_key(planned.source, clue.job) if planned is not None and clue.job in planned.jobs else key
