"""Counts of what happened in this process, for its metrics."""

import threading


class Tally:
    """Counts by a word; thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, word: str, count: int = 1) -> None:
        """Add to the count of ``word``."""
        if count:
            with self._lock:
                self._counts[word] = self._counts.get(word, 0) + count

    def counts(self) -> dict[str, int]:
        """The counts so far."""
        with self._lock:
            return dict(self._counts)
