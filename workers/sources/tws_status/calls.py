"""The bound of concurrent calls to a TWS instance, over all workers and processes, shared by the runs.

Redis holds who may make how many calls at once (``calls.lua``). A task asks once for its calls, again while others
wait, and gives them back at its end; what a process that died had is free when its lease is over. Where Redis does not
answer, the bound holds within each process.
"""

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orchestrator.config import Settings
from orchestrator.deadline import Deadline, time_limit
from orchestrator.logs import get_logger
from orchestrator.store.connection import client_of, repeating

_LOGGER = get_logger(__name__)
LEASE_MS = 2_000
TURN_MS = 250
"""How long a holder keeps its calls while there are more holders than calls."""
REDIS_SECONDS = 0.25
"""Longest wait for Redis, after which the bound of the process holds."""
AWAY_SECONDS = 2.0
"""How long Redis is not asked again after it did not answer."""
RENEWAL_SECONDS = 0.1
POLL_SECONDS = 0.02
"""Pause before calls that were not granted are asked for again."""


@cache
def _script() -> str:
    return (resources.files(__package__) / "calls.lua").read_text("utf-8")


@dataclass(slots=True)
class _Holder:
    run: str
    granted: int = 0
    wanted: int = 0


class CallLimit:
    """The bound of one instance. ``most`` is the number of calls at once; 0 is no bound."""

    def __init__(self, instance: str, most: int, settings: Settings) -> None:
        self.most = most
        self._instance = instance
        self._settings = settings
        self._holders: dict[str, _Holder] = {}
        self._redis: redis.asyncio.Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ask: Any = None
        self._away_until = 0.0

    @asynccontextmanager
    async def calls(self, run_id: str, *, wanted: int) -> AsyncIterator["Calls"]:
        """The calls of one task, of which it will make ``wanted`` at once."""
        calls = Calls(self, run_id)
        try:
            await calls.begin(wanted)
            yield calls
        finally:
            await calls.end()

    async def close(self) -> None:
        """Close the connection."""
        client, self._redis = self._redis, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def ask(self, holder: str, run: str, *, using: int, wanted: int) -> tuple[int, bool]:
        """How many calls the holder may make at once, and whether others wait. ``wanted`` 0 ends it."""
        if time.monotonic() >= self._away_until:
            deadline = Deadline.after(2 * REDIS_SECONDS)
            try:
                async with time_limit(lambda _: deadline.remaining()):
                    granted, is_crowded = await self._script()(
                        keys=[f"{self._settings.key_prefix}:tws:calls:{self._instance}"],
                        args=[holder, run, self.most, using, wanted, LEASE_MS, TURN_MS],
                    )
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = time.monotonic() + AWAY_SECONDS
                _LOGGER.warning("tws_call_limit_in_process error=%s", type(error).__name__)
            else:
                self._note(holder, run, int(granted), wanted)
                return int(granted), bool(is_crowded)
        return self._ask_here(holder, run, using=using, wanted=wanted)

    def _script(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._redis is None or self._loop is not loop:
            # Connections are bound to the event loop that opened them.
            self._loop = loop
            self._redis = client_of(
                redis.asyncio.Redis,
                self._settings.redis_url,
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
                **repeating(Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,))),
                client_name="resync-troubleshoot-calls",
            )
            self._ask = self._redis.register_script(_script())
        return self._ask

    def _note(self, holder: str, run: str, granted: int, wanted: int) -> None:
        if wanted:
            self._holders[holder] = _Holder(run, granted, wanted)
        else:
            self._holders.pop(holder, None)

    def _ask_here(self, holder: str, run: str, *, using: int, wanted: int) -> tuple[int, bool]:
        """The same within this process: each run has an equal share of what is free."""
        others = [item for name, item in self._holders.items() if name != holder]
        of_run = self.most // len({run, *(item.run for item in others if item.wanted)})
        free = self.most - sum(item.granted for item in others)
        of_run = max(1, of_run) - sum(item.granted for item in others if item.run == run)
        granted = max(min(wanted, of_run, free), using, 0)
        self._note(holder, run, granted, wanted)
        return granted, any(item.granted < item.wanted for item in others)


@dataclass(slots=True)
class Calls:
    """The calls that one task may make at once, as far as the bound allows at the moment."""

    limit: CallLimit
    run: str
    waited_seconds: float = 0.0
    """Time in which some call waited for others to end."""
    _holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    _granted: int = 0
    _using: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    _waits_since: float | None = None
    _keeper: asyncio.Task[None] | None = None
    _has_ended: bool = False
    _is_asking: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self, wanted: int) -> None:
        """Ask for the first calls."""
        if self.limit.most:
            await self._renew(min(wanted, self.limit.most))
            self._keeper = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Give all calls back."""
        if self._keeper is not None:
            # Not cancelled: Redis might hear of the end before it hears what the keeper has sent.
            self._has_ended = True
            self._changed.set()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._using = 0
            await self.limit.ask(self._holder, self.run, using=0, wanted=0)

    @asynccontextmanager
    async def one(self, deadline: Deadline, late: Callable[[float], Exception]) -> AsyncIterator[None]:
        """Make one call, when there is room for it. Raises what ``late`` makes when there is none by ``deadline``."""
        if not self.limit.most:
            yield
            return
        await self._take(deadline, late)
        try:
            yield
        finally:
            self._using -= 1
            self._wake()
            if self._using >= self._granted:
                self._changed.set()

    async def _take(self, deadline: Deadline, late: Callable[[float], Exception]) -> None:
        if self._using < self._granted and not self._waiting:
            self._using += 1
            return
        seconds = deadline.remaining()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._waits_since = self._waits_since or time.monotonic()
        if not self._is_asking:
            self._changed.set()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._using -= 1
            elif turn in self._waiting:
                self._waiting.remove(turn)
            self._wake()
            if isinstance(error, TimeoutError):
                raise late(seconds) from None
            raise

    def _wake(self) -> None:
        while self._waiting and self._using < self._granted:
            turn = self._waiting.popleft()
            if not turn.done():
                self._using += 1
                turn.set_result(None)
        if not self._waiting and self._waits_since is not None:
            self.waited_seconds += time.monotonic() - self._waits_since
            self._waits_since = None

    async def _renew(self, wanted: int) -> bool:
        # No call begins until the answer is there: those beyond what Redis is told of may be another's by then.
        using = self._granted = self._using
        self._is_asking = True
        try:
            self._granted, is_crowded = await self.limit.ask(self._holder, self.run, using=using, wanted=wanted)
        finally:
            self._is_asking = False
        self._wake()
        return is_crowded

    async def _keep(self) -> None:
        """Hold the lease, and adapt the number of calls to what is needed and to what others want."""
        while not self._has_ended:
            # What waits is asked for again soon; a change, such as the first that waits, at once.
            is_waiting = bool(self._waiting)
            pause = (POLL_SECONDS if is_waiting else RENEWAL_SECONDS) * (0.75 + random.random() / 2)  # noqa: S311
            if is_waiting:
                await asyncio.sleep(pause)
            else:
                await asyncio.wait([changed := asyncio.create_task(self._changed.wait())], timeout=pause)
                changed.cancel()
            self._changed.clear()
            if not self._has_ended:
                await self._renew(max(1, min(self._using + len(self._waiting), self.limit.most)))
