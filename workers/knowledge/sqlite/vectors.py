"""Vectors of an index file: float32 of unit length, searched exactly by one matrix product.

12,000 passages of 1,536 numbers take 74 MB and a few milliseconds; an approximate index would gain nothing.
"""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

NEAREST = 50
"""Most passages that a search by vector returns."""


def check_numpy() -> None:
    """Raise ConfigurationError, naming the extra, when numpy is not installed."""
    try:
        import numpy as np  # noqa: F401, PLC0415  # optional extra
    except ImportError:
        raise ConfigurationError(
            "{variable} needs {package}: pip install {what}",
            variable="RESYNC_EMBEDDING_ENDPOINT",
            package="numpy",
            what="'resync-troubleshoot[knowledge]'",
        ) from None


def pack(vector: Sequence[float]) -> bytes:
    """The stored form of a vector: unit length, little-endian float32."""
    import numpy as np  # noqa: PLC0415  # optional extra

    array = np.asarray(vector, dtype="f8")
    largest = float(np.abs(array).max(initial=0.0))
    if largest:
        array = array / largest  # the square of a very large number overflows
        array = array / float(np.linalg.norm(array))
    return bytes(array.astype("<f4").tobytes())


@dataclass(frozen=True, slots=True)
class _Loaded:
    signature: tuple[int, int, int]
    ids: tuple[int, ...]
    matrix: "Matrix"


class VectorCache:
    """The vectors of one model, read again when the file changes. Thread-safe."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def unusable(self, db: sqlite3.Connection, path: Path, vector: Sequence[float]) -> Message | None:
        """Why the index cannot be searched for neighbours of ``vector``; None when it can."""
        loaded = self._load(db, path)
        if not loaded.ids:
            return Message(
                "full text only: the index has no vector of model {model}, make an index with: {command}",
                model=self.model,
                command="resync-troubleshoot kb index DIR",
            )
        if loaded.matrix.shape[1] != len(vector):
            return Message(
                "full text only: the embedding model gives {model} numbers, the vectors of the index have {index}",
                model=len(vector),
                index=loaded.matrix.shape[1],
            )
        return None

    def nearest(
        self, db: sqlite3.Connection, path: Path, vector: Sequence[float], minimum: float
    ) -> list[tuple[int, float]]:
        """``(chunk id, cosine similarity)`` of the nearest chunks, best first, none below ``minimum``.

        The caller checks ``unusable`` first.
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
                # One model has one length; of several, the newest indexing run's counts, which wrote the last row.
                current = [row for row in rows if len(row[1]) == len(rows[-1][1])] if len(sizes) > 1 else rows
                matrix = np.frombuffer(b"".join(vector for _, vector in current), dtype="<f4")
                self._loaded = _Loaded(
                    signature,
                    tuple(chunk_id for chunk_id, _ in current),
                    matrix.reshape(len(current), -1) if current else matrix.reshape(0, 0),
                )
            return self._loaded
