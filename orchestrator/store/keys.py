"""Names of the Redis keys, all below one prefix."""

import hashlib
import json
from dataclasses import dataclass

ORCHESTRATOR_QUEUE = "orchestrator"
SYNTHESIS_QUEUE = "synthesis"
"""The queues beside those of the sources, which have the names of the sources."""
BATCH_PRIORITY = 3
"""Of the messages of batches: kombu keeps them in a list of their own, which workers of any version take from, but from
that of the other messages first."""


def lane(queue: str, batch: int | None) -> str:
    """The list of a queue in which a message about a batch, or about none, waits, by kombu's name of it."""
    return queue if batch is None else f"{queue}\x06\x16{BATCH_PRIORITY}"


def unlaned(name: str) -> str:
    """The queue of a lane."""
    return name.partition("\x06")[0]


def lanes(queue: str) -> tuple[str, str]:
    """Both lists of a queue."""
    return queue, lane(queue, 1)


def _digest(names: list[str | None]) -> str:
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names below ``prefix``. One of another type than it should be is renamed: ``:set_aside`` is added to it.

    A run has two keys with a time to live from the submit on, and a third that is written at its end. Some seconds
    later a fourth replaces the second and the third.
    """

    prefix: str

    def run(self, run_id: str) -> str:
        """Hash: state, owner, request, plan (``plan:2`` of the second stage, and so on); of each source its claim
        ``s:<source>``, clue ``c:``, envelope ``e:``, or late envelope ``l:``.
        """
        return f"{self.prefix}run:{run_id}"

    def events(self, run_id: str) -> str:
        """Stream of the run's events."""
        return f"{self.prefix}run:{run_id}:events"

    def ending(self, run_id: str) -> str:
        """Stream of one entry, written with the terminal event; it wakes readers that wait for the end alone."""
        return f"{self.prefix}run:{run_id}:end"

    def packed(self, run_id: str) -> str:
        """String: what is compressed of a closed run, see ``orchestrator.store.packed``."""
        return f"{self.prefix}run:{run_id}:packed"

    def idempotency(self, key: str) -> str:
        """String: id of the run that was submitted with an idempotency key."""
        return f"{self.prefix}idempotency:{key}"

    def own_idempotency(self, owner: str, key: str) -> str:
        """The same for one owner, where the key stood for a run of another already; by a digest."""
        return self.idempotency(_digest([owner, key]))

    def caller(self, kind: str, name: str) -> str:
        """String that expires: the requests of a user or an address, where they are limited; by a digest."""
        return f"{self.prefix}caller:{_digest([kind, name])}"

    def shared(self, digest: str) -> str:
        """String: a source's answer that runs share, by the digest of what was asked; a token while it is asked."""
        return f"{self.prefix}shared:{digest}"

    def session(self, user_id: str | None, session_id: str) -> str:
        """List: the last runs of a user's session, oldest first. A digest, so that no two pairs share a key."""
        return f"{self.prefix}session:{_digest([user_id, session_id])}"

    @property
    def wakeups(self) -> str:
        """Sorted set of ``run_id|kind`` by due time: the wake-ups of the deadline watcher."""
        return f"{self.prefix}wakeups"

    @property
    def index(self) -> str:
        """Sorted set of run ids by creation time."""
        return f"{self.prefix}runs"

    def owned(self, owner: str) -> str:
        """Sorted set of the ids of a user's runs by creation time, without those of older versions; by a digest."""
        return f"{self.prefix}runs:user:{_digest([owner])}"

    @property
    def open(self) -> str:
        """Sorted set of open run ids by deadline."""
        return f"{self.prefix}open"

    @property
    def leaving(self) -> str:
        """Sorted set of closed run ids by the time at which they expire, and their entries of the index with them."""
        return f"{self.prefix}leaving"

    @property
    def unpacked(self) -> str:
        """Sorted set of closed run ids that are to be packed, by the time of their end."""
        return f"{self.prefix}unpacked"

    @property
    def old_reader(self) -> str:
        """String that expires: a client of a version that cannot read packed runs submits here."""
        return f"{self.prefix}old_reader"

    @property
    def rates(self) -> str:
        """Hash: of each queue what was measured: mean milliseconds of a task, messages taken and since when, and of the
        slots of the last minute what came and ended.
        """
        return f"{self.prefix}rates"

    def queue(self, name: str) -> tuple[str, str]:
        """Of a queue, or one of its lanes: sorted set of its messages, by the time until which they are of use; list of
        the broker.
        """
        return f"{self.prefix}waiting:{name}", f"{self.broker_prefix}{name}"

    def running(self, queue: str) -> str:
        """Sorted set of the tasks of a queue that workers hold, ``run_id|key``, by the time at which they have ended at
        the latest. Both lanes have the same.
        """
        return f"{self.prefix}running:{unlaned(queue)}"

    @property
    def completed(self) -> str:
        """Sorted set of recently completed runs by time: the completion rate."""
        return f"{self.prefix}completed"

    @property
    def expired(self) -> str:
        """Sorted set of runs that timed out recently, by time."""
        return f"{self.prefix}expired"

    @property
    def instances(self) -> str:
        """Sorted set of the TWS instances that workers know, by time of their announcement."""
        return f"{self.prefix}instances"

    @property
    def watchers(self) -> str:
        """Sorted set of watchers by their last heartbeat."""
        return f"{self.prefix}watchers"

    @property
    def synthesis(self) -> str:
        """String that expires: a worker of the synthesis queue took or renewed a lease within the last second."""
        return f"{self.prefix}synthesis"

    @property
    def clock(self) -> str:
        """String: time of the last claim of wake-ups, by which a step of the Redis clock is seen."""
        return f"{self.prefix}clock"

    @property
    def set_aside(self) -> str:
        """List: the last messages that no worker could take, newest first."""
        return f"{self.prefix}set_aside"

    @property
    def set_aside_counts(self) -> str:
        """Hash: of each queue the number of messages that no worker could take."""
        return f"{self.prefix}set_aside_counts"

    @property
    def counters(self) -> str:
        """Hash: what all processes have counted, by name and labels; see ``store/counters.py``."""
        return f"{self.prefix}counters"

    @property
    def kinds(self) -> dict[str, str]:
        """The keys that all runs share, with their types in Redis."""
        sets = (
            *(self.wakeups, self.index, self.open, self.completed, self.expired),
            *(self.leaving, self.unpacked, self.instances, self.watchers),
        )
        hashes, strings = (
            (self.rates, self.set_aside_counts, self.counters),
            (self.clock, self.synthesis, self.old_reader),
        )
        return {
            **dict.fromkeys(sets, "zset"),
            **dict.fromkeys(hashes, "hash"),
            **dict.fromkeys(strings, "string"),
            self.set_aside: "list",
        }

    @property
    def broker_prefix(self) -> str:
        """Prefix of all keys of Celery and kombu, so that no queue has the name of an app's key."""
        return f"{self.prefix}mq:"
