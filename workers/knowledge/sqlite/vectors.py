"""Vectors of an index file: stored as float32 of unit length, searched exactly with one matrix product.

12,000 passages of 1,536 numbers are 74 MB and a product of some milliseconds; an approximate index would not pay.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

NEAREST = 50
"""Passages taken from the vectors."""


def check_numpy() -> None:
    """Raises ConfigurationError naming the extra when numpy is not installed."""
    try:
        import numpy as np  # noqa: F401, PLC0415  # optional extra
    except ImportError:
        raise ConfigurationError(
            "RESYNC_EMBEDDING_ENDPOINT needs numpy: pip install 'resync-troubleshoot[knowledge]'"
        ) from None


def pack(vector: Sequence[float]) -> bytes:
    """A vector as it is stored: scaled to unit length, little-endian float32."""
    import numpy as np  # noqa: PLC0415  # optional extra

    array = np.asarray(vector, dtype="f8")
    largest = float(np.abs(array).max(initial=0.0))
    if largest:
        array = array / largest  # squares of very large numbers have no place in a float
        array = array / float(np.linalg.norm(array))
    return bytes(array.astype("<f4").tobytes())


@dataclass(frozen=True, slots=True)
class _Loaded:
    signature: tuple[int, int, int]
    ids: tuple[int, ...]
    matrix: Matrix


class VectorCache:
    """The vectors of one model, read once and again when the file has changed. Used by several threads."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def unusable(self, db: sqlite3.Connection, path: Path, vector: Sequence[float]) -> str | None:
        """Why the index cannot be asked for neighbours of ``vector``, or None."""
        loaded = self._load(db, path)
        if not loaded.ids:
            return (
                f"full text only: the index has no vector of model {self.model}, "
                "make an index with: resync-troubleshoot kb index DIR"
            )
        if loaded.matrix.shape[1] != len(vector):
            return (
                f"full text only: the embedding model gives {len(vector)} numbers, "
                f"the vectors of the index have {loaded.matrix.shape[1]}"
            )
        return None

    def nearest(
        self, db: sqlite3.Connection, path: Path, vector: Sequence[float], minimum: float
    ) -> list[tuple[int, float]]:
        """``(chunk id, cosine similarity)`` of the nearest chunks, best first, none below ``minimum``.

        Only for a vector that is usable.
        """
        import numpy as np  # noqa: PLC0415  # optional extra

        loaded = self._load(db, path)
        query = np.frombuffer(pack(vector), dtype="<f4")
        similarities = loaded.matrix @ query
        count = min(NEAREST, len(loaded.ids))
        best = np.argpartition(-similarities, count - 1)[:count]
        ordered = sorted(((loaded.ids[i], float(similarities[i])) for i in best), key=lambda pair: (-pair[1], pair[0]))
        return [pair for pair in ordered if pair[1] >= minimum]

    def _load(self, db: sqlite3.Connection, path: Path) -> _Loaded:
        import numpy as np  # noqa: PLC0415  # optional extra

        status = path.stat()
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if self._loaded is None or self._loaded.signature != signature:
                rows = db.execute(
                    "SELECT chunk_id, vector FROM embedding WHERE model = ? ORDER BY chunk_id", (self.model,)
                ).fetchall()
                sizes = {len(vector) for _, vector in rows}
                # Vectors of two lengths cannot be of one model; the newer indexing run decides, it wrote the last row.
                kept = [row for row in rows if len(row[1]) == len(rows[-1][1])] if len(sizes) > 1 else rows
                matrix = np.frombuffer(b"".join(vector for _, vector in kept), dtype="<f4")
                self._loaded = _Loaded(
                    signature,
                    tuple(chunk_id for chunk_id, _ in kept),
                    matrix.reshape(len(kept), -1) if kept else matrix.reshape(0, 0),
                )
            return self._loaded
