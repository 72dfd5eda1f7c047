"""Names of the keys, all below one prefix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names below ``prefix``. A run has two keys with a time to live from the submit script on,
    and one that is written with its end."""

    prefix: str

    def run(self, run_id: str) -> str:
        """Hash: state, request, plan, ``s:<source>`` claims, ``e:<source>`` envelopes, ``l:<source>`` late ones."""
        return f"{self.prefix}run:{run_id}"

    def events(self, run_id: str) -> str:
        """Stream of the run's events."""
        return f"{self.prefix}run:{run_id}:events"

    def ending(self, run_id: str) -> str:
        """Stream of one entry, written with the terminal event: who only waits for the end is woken once."""
        return f"{self.prefix}run:{run_id}:end"

    def idempotency(self, key: str) -> str:
        """String: the run an idempotency key stands for."""
        return f"{self.prefix}idempotency:{key}"

    @property
    def wakeups(self) -> str:
        """Sorted set of ``run_id|kind`` by due time: the deadline watcher's only work list."""
        return f"{self.prefix}wakeups"

    @property
    def index(self) -> str:
        """Sorted set of run ids by creation time."""
        return f"{self.prefix}runs"

    @property
    def open(self) -> str:
        """Sorted set of open run ids by deadline."""
        return f"{self.prefix}open"

    @property
    def busy(self) -> str:
        """String: since when more runs are open than are always accepted."""
        return f"{self.prefix}busy"

    @property
    def completed(self) -> str:
        """Sorted set of runs answered lately, by time: the completion rate."""
        return f"{self.prefix}completed"

    @property
    def expired(self) -> str:
        """Sorted set of runs that lately timed out, by time."""
        return f"{self.prefix}expired"

    @property
    def instances(self) -> str:
        """Sorted set of TWS instances that workers announced, by time of the announcement."""
        return f"{self.prefix}instances"

    @property
    def watchers(self) -> str:
        """Sorted set of live watchers by their last sign of life."""
        return f"{self.prefix}watchers"

    @property
    def broker_prefix(self) -> str:
        """Prefix of everything Celery and kombu write, so that queues never meet the app's keys."""
        return f"{self.prefix}mq:"
