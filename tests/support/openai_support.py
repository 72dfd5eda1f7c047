"""A scripted OpenAI-compatible server: real HTTP on 127.0.0.1."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's reaction to one request."""

    text: str = ""
    """The assistant's answer."""
    status: int = 200
    delay_seconds: float = 0.0
    """Before the status line; a client that leaves meanwhile is noticed."""
    chunk_chars: int = 24
    chunk_delay_seconds: float = 0.0
    cut_after_chars: int | None = None
    """Drop the connection after so many characters of ``text``."""
    hang_after_chars: int | None = None
    """Stop sending after so many characters, until the client leaves or the server is closed."""
    finish_reason: str | None = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (1_200, 300)
    """Prompt and completion tokens; None: the server does not tell."""
    garbage: bool = False
    """An event in the stream that is not JSON."""
    raw: bytes | None = None
    """The body as it is sent, in place of one made from ``text``, in pieces of ``chunk_chars`` bytes."""
    raw_type: str = "text/event-stream"
    """Content type of ``raw``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of an answer whose status is not 200, for example ``Retry-After``."""
    error_text: str = "scripted error"
    refuses: tuple[str, ...] = ()
    """Request parameters that are answered with status 400, as servers do with those they do not know."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it arrived."""

    path: str
    """As in the request line."""
    headers: dict[str, str]
    """Names in lower case."""
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """All messages of a chat request, joined."""
        return "\n".join(str(message.get("content", "")) for message in self.body.get("messages", []))


Script = Sequence[Reply] | Callable[[Recorded], Reply]


class FakeOpenAIServer:
    """Answers ``POST /v1/chat/completions`` by a script; a context manager.

    A sequence is used up reply by reply, its last one repeats; a callable chooses by the request.
    """

    def __init__(self, script: Script | Reply = (Reply(),)) -> None:
        self._script: Script = (script,) if isinstance(script, Reply) else script
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._disconnected = threading.Condition(self._lock)
        self.requests: list[Recorded] = []
        self.disconnects = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="fake-openai", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._thread is not None:
            self._thread.join(5)

    @property
    def url(self) -> str:
        """The base URL for ``LLM_ENDPOINT``."""
        if self._server is None:
            raise RuntimeError("the server is not running; use it as a context manager")
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def environ(self, **more: str) -> dict[str, str]:
        """An environment that points a worker to this server."""
        return {"LLM_ENDPOINT": self.url, "LLM_MODEL": "scripted-model", "LLM_API_KEY": "sk-scripted-key", **more}

    def wait_for_disconnect(self, timeout_seconds: float = 20.0, count: int = 1) -> bool:
        """Whether ``count`` clients left before their answer was complete, within the time."""
        with self._disconnected:
            return self._disconnected.wait_for(lambda: self.disconnects >= count, timeout_seconds)

    def wait_for_request(self, timeout_seconds: float = 20.0, count: int = 1) -> bool:
        """Whether ``count`` requests arrived within the time."""
        with self._disconnected:
            return self._disconnected.wait_for(lambda: len(self.requests) >= count, timeout_seconds)

    def take(self, recorded: Recorded) -> Reply:
        """Record a request and choose its reply."""
        with self._disconnected:
            self.requests.append(recorded)
            self._disconnected.notify_all()
            if callable(self._script):
                return self._script(recorded)
            return self._script[min(len(self.requests), len(self._script)) - 1]

    def client_left(self) -> None:
        """Note a client that closed its connection early."""
        with self._disconnected:
            self.disconnects += 1
            self._disconnected.notify_all()

    def pause(self, seconds: float, connection: socket.socket) -> bool:
        """Wait, watching the connection; False when the client left or the server is closing."""
        until = time.monotonic() + seconds
        while not self._closing.is_set():
            left = until - time.monotonic()
            readable, _, _ = select.select([connection], [], [], max(0.0, min(left, _POLL_SECONDS)))
            if readable and _is_closed(connection):
                self.client_left()
                return False
            if left <= 0:
                return True
        return False


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    fake: FakeOpenAIServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is part of the script, not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Say nothing; requests are recorded."""

    def do_GET(self) -> None:  # named by http.server
        """``GET /v1/models``."""
        self.server.fake.take(Recorded(self.path, self._lower_headers()))
        if self.path.endswith("/models"):
            self._json(200, {"object": "list", "data": [{"id": "scripted-model", "object": "model"}]})
        else:
            self._json(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:  # named by http.server
        """``POST /v1/chat/completions``."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        recorded = Recorded(self.path, self._lower_headers(), json.loads(raw or b"{}"))
        reply = self.server.fake.take(recorded)
        if not self.path.endswith("/chat/completions"):
            self._json(404, {"error": {"message": "not found"}})
            return
        if reply.delay_seconds and not self.server.fake.pause(reply.delay_seconds, self.connection):
            self.close_connection = True
            return
        unknown = [name for name in reply.refuses if name in recorded.body]
        if unknown:
            self._json(400, {"error": {"message": f"unknown parameter {unknown[0]}", "type": "invalid_request_error"}})
        elif reply.status != 200:
            error = {"message": reply.error_text, "type": "scripted", "code": reply.status}
            self._json(reply.status, {"error": error}, reply.headers)
        else:
            self._stream(reply, recorded)

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _json(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: Reply, recorded: Recorded) -> None:
        self.send_response(200)
        self.send_header("Content-Type", reply.raw_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            if reply.raw is not None:
                for start in range(0, len(reply.raw), reply.chunk_chars):
                    self._chunk(reply.raw[start : start + reply.chunk_chars])
                self._chunk(b"")
                return
            if self._events(reply, recorded):
                self._chunk(b"data: [DONE]\n\n")
                self._chunk(b"")
                return
        except (BrokenPipeError, ConnectionResetError):
            self.server.fake.client_left()
        self.close_connection = True

    def _events(self, reply: Reply, recorded: Recorded) -> bool:
        """Write the events; False when the connection is to be dropped."""
        model = str(recorded.body.get("model", ""))
        sent = 0
        for piece in _pieces(reply.text, reply.chunk_chars):
            if reply.hang_after_chars is not None and sent >= reply.hang_after_chars:
                self.server.fake.pause(3_600, self.connection)
                return False
            if reply.cut_after_chars is not None and sent >= reply.cut_after_chars:
                return False
            if not self.server.fake.pause(reply.chunk_delay_seconds, self.connection):
                return False
            self._event(_delta(model, {"content": piece}))
            sent += len(piece)
        if reply.hang_after_chars is not None:
            self.server.fake.pause(3_600, self.connection)
            return False
        if reply.cut_after_chars is not None:
            return False
        if reply.garbage:
            self._chunk(b"data: {not json\n\n")
        if reply.refusal is not None:
            self._event(_delta(model, {"refusal": reply.refusal}))
        if reply.finish_reason is not None:
            self._event(_delta(model, {}, reply.finish_reason))
        if reply.usage is not None and recorded.body.get("stream_options", {}).get("include_usage"):
            self._event(_delta(model, None, usage=reply.usage))
        return True

    def _event(self, event: dict[str, Any]) -> None:
        self._chunk(f"data: {json.dumps(event)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _pieces(text: str, size: int) -> Iterable[str]:
    return (text[start : start + size] for start in range(0, len(text), max(1, size)))


def _delta(
    model: str,
    delta: dict[str, Any] | None,
    finish_reason: str | None = None,
    usage: tuple[int, int] | None = None,
) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
        "usage": None
        if usage is None
        else {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def answer(**changes: Any) -> str:
    """An answer about a S0C7 that cites ``tws_status:1``, as a model would write it; ``changes`` replace keys."""
    whole: dict[str, Any] = {
        "summary": "O job BATCH001 terminou com ABEND S0C7 no STEP030. O registro lido tem dados não numéricos.",
        "root_cause": "Campo compactado com conteúdo não numérico.",
        "category": "data_exception",
        "confidence": 0.85,
        "claims": [{"text": "STEP030 terminou com S0C7", "evidence_ids": ["tws_status:1"]}],
        "alternatives": [],
        "actions": [
            {"text": "Abrir o job log no STEP030", "risk": "none", "command": None},
            {"text": "Reexecutar a partir do STEP030", "risk": "low", "command": "conman rerun BATCH001"},
        ],
        "prevention": ["Validar o arquivo de entrada"],
        "missing_evidence": [],
        "suspicious": [],
    }
    return json.dumps(whole | changes, ensure_ascii=False)
