"""Client of the HCL Workload Automation REST API v2, read-only by construction (``transport``).

``HwaClient`` holds the connections to one instance, one per process. ``HwaSession`` is one question: it sets the
deadline of every request and records what was requested.
"""

import asyncio
import codecs
import json
import logging
import random
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState

from orchestrator.deadline import Deadline
from orchestrator.logs import get_logger
from orchestrator.tls import speaks_tls
from workers.http import Exchange, logged_request, open_client, read_body
from workers.sources.tws_status.calls import Calls
from workers.sources.tws_status.errors import (
    AnswerTooLarge,
    BadAnswer,
    CircuitOpen,
    ConnectionCut,
    HwaError,
    LogsHang,
    TimedOut,
    TlsFailed,
    error_for_status,
    error_for_transport,
    plain_to_tls,
    timed_out,
    too_many_at_once,
    wants_tls,
)
from workers.sources.tws_status.instances import TwsInstance
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.transport import Endpoint, ReadOnlyTransport, endpoint_path

_LOGGER = get_logger(__name__)
MAX_JSON_BYTES = 8 * 1024 * 1024
MAX_LOG_PAGE_BYTES = 256 * 1024
MAX_NEIGHBOURS = 500
MAX_ATTEMPTS = 3
MAX_CONNECT_SECONDS = 3.0
MAX_CONNECTIONS = 32
FAILURES_TO_OPEN = 5
"""Questions in a row whose requests failed, after which the circuit of an instance opens."""
OPEN_SECONDS = 15.0
MAX_COUNTED_QUESTIONS = 256
MAX_HUNG_LOGS = 3
"""Job logs in a row that did not come within their limit, after which a question asks for no more of them."""
MAX_ERROR_BYTES = 2_048
MAX_HANDSHAKE_SECONDS = 0.5
HTTP_PORT = 80
_COUNTED = {"Include-Count": "true"}
_LIST_SCOPE = {"scope": "WHOLE_NO_JOB_DEFINITIONS", **_COUNTED}
_PLAN = {"plan_id": "current"}

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of search results. ``count`` is the number of all matches, when the server gives it."""

    results: tuple[JsonObject, ...] = ()
    count: int | None = None
    has_next: bool = False
    """Whether the server names a next page."""

    @property
    def left_out(self) -> int:
        """Matches beyond this page, as far as the server counts them."""
        return max(0, (self.count or 0) - len(self.results))


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a job log, from ``from_line`` on."""

    from_line: int
    lines: tuple[str, ...] = ()
    is_cut: bool = False
    """The page exceeded the byte limit, so lines are missing at its end; only a single line may be incomplete."""
    ignores_window: bool = False
    """The server sent more lines than requested: it does not page, and ``lines`` starts at line 1."""


class HwaClient:
    """Connections to one instance, for one event loop. ``within`` opens a session for a question."""

    def __init__(self, instance: TwsInstance, breakers: AsyncCircuitBreakerFactory | None = None) -> None:
        self.instance = instance
        self._breakers = breakers or AsyncCircuitBreakerFactory(
            default_threshold=FAILURES_TO_OPEN, default_ttl=OPEN_SECONDS
        )
        self._client: httpx2.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None
        self._server_is_ahead = timedelta()
        self._failed_questions: dict[str, None] = {}
        self._hung_logs: dict[str, int] = {}
        self._circuit: Context | None = None

    @property
    def circuit(self) -> str:
        """The state of the instance's circuit: closed, opened or half-opened, as by its next request."""
        if self._circuit is None or self._circuit.opened_at is None:
            return CLOSED if self._circuit is None else self._circuit.state
        return OPENED if time.time() <= self._circuit.opened_at + OPEN_SECONDS else HALF_OPENED

    def within(self, deadline: Deadline, *, question: str | None = None) -> "HwaSession":
        """A session whose requests all end by ``deadline``.

        ``question`` is what the circuit breaker counts: sessions of one question (of several jobs) count once.
        """
        return HwaSession(self, deadline, question or uuid.uuid4().hex)

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def prepare(self, what: str = "connecting") -> ssl.SSLContext:
        """Load the TLS certificates, which takes a tenth of a second; a thread may do it before the first request.

        Raises TlsFailed when the CA bundle has disappeared since the settings were read.
        """
        if self._context is None:
            try:
                self._context = self.instance.ssl_context()
            except (OSError, ssl.SSLError):
                raise TlsFailed("{what}: the CA bundle of TWS_VERIFY cannot be read any more", what=what) from None
        return self._context

    def _connected(self, what: str) -> httpx2.AsyncClient:
        """The HTTP client, made at the first request. Raises TlsFailed."""
        if self._client is None:
            instance = self.instance
            context = self.prepare(what)
            # The proxy belongs to the inner transport: as a setting of the client it would mount a second transport,
            # beside the read-only one.
            inner = httpx2.AsyncHTTPTransport(
                verify=context,
                # Keep all of them alive: a burst of questions would otherwise pay for new TLS handshakes.
                limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=30),
                trust_env=False,
                proxy=instance.proxy(),
            )
            auth = None
            if instance.user is not None and instance.password is not None:
                auth = httpx2.BasicAuth(instance.user, instance.password.get_secret_value())
            self._client = open_client(
                transport=ReadOnlyTransport(inner, instance.base_url),
                auth=auth,
                headers={"User-Agent": "resync-troubleshoot", **instance.headers()},
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    def server_now(self) -> datetime:
        """The present time by the server's clock, as far as its answers tell it, else by this machine's."""
        return datetime.now(UTC) + self._server_is_ahead

    def _note_time(self, date: str | None) -> None:
        try:
            moment = parsedate_to_datetime(date) if date else None
        except ValueError:
            return
        if moment is not None and moment.tzinfo is not None:
            self._server_is_ahead = moment - datetime.now(UTC)

    @asynccontextmanager
    async def _breaker(self, question: str) -> AsyncIterator[None]:
        """Count failures of the instance, one a question; while its circuit is open, refuse at once.

        One question sends a dozen requests at once: counted each, one slow moment would refuse the next question.

        Raises CircuitOpen.
        """
        breaker = await self._breakers.get_breaker(self.instance.name or self.instance.where)
        self._circuit = breaker.context
        try:
            await breaker.__aenter__()
        except OpenedState:
            raise CircuitOpen(
                "{where} failed for {times} questions in a row; it is left alone for {seconds:g} s",
                where=self.instance.where,
                times=FAILURES_TO_OPEN,
                seconds=OPEN_SECONDS,
            ) from None
        try:
            yield
        except HwaError as error:
            failure = error if error.counts_for_breaker else None
            # The question that tries out a half-open circuit decides, whatever it has failed before.
            if failure is None or breaker.context.state == HALF_OPENED or self._is_first_failure_of(question):
                await breaker.__aexit__(type(failure) if failure else None, failure, None)
            raise
        # Not in a finally: a cancelled request is no evidence about the instance and must not change the circuit.
        await breaker.__aexit__(None, None, None)

    def _is_first_failure_of(self, question: str) -> bool:
        if question in self._failed_questions:
            return False
        self._failed_questions[question] = None
        while len(self._failed_questions) > MAX_COUNTED_QUESTIONS:
            del self._failed_questions[next(iter(self._failed_questions))]
        return True

    @contextmanager
    def log_limit(self, question: str, most_seconds: float, left_seconds: float) -> Iterator[float]:
        """The seconds for a job log, which is read in the block: ``most_seconds``, or those left to the deadline.

        Raises LogsHang when the last ones of the question, of all its batches, did not come in ``most_seconds``.
        """
        if self._hung_logs.get(question, 0) >= MAX_HUNG_LOGS:
            raise LogsHang
        try:
            yield min(most_seconds, left_seconds)
        except TimedOut:
            if left_seconds >= most_seconds:  # else it may only have come too late
                self._hung_logs[question] = self._hung_logs.pop(question, 0) + 1
            while len(self._hung_logs) > MAX_COUNTED_QUESTIONS:
                del self._hung_logs[next(iter(self._hung_logs))]
            raise
        except HwaError:
            self._hung_logs.pop(question, None)
            raise
        self._hung_logs.pop(question, None)

    async def send(
        self,
        endpoint: Endpoint,
        deadline: Deadline,
        question: str,
        *,
        object_id: str | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int,
        may_cut: bool = False,
        calls: Calls | None = None,
        limit: Callable[[float], AbstractContextManager[float]] | None = None,
        log_level: int = logging.INFO,
    ) -> tuple[bytes, bool]:
        """The body of one GET, and whether it was cut at ``max_bytes``; retried while the deadline allows.

        ``limit`` gives the seconds for an attempt, of those left, and may raise HwaError, when its turn has come.

        Raises HwaError; AnswerTooLarge for a longer body unless ``may_cut``.
        """
        path = endpoint_path(endpoint, object_id)
        what = f"GET {endpoint.value}"
        # Before the clock starts: loading certificates may take as long as the connect timeout, and a cancelled TLS
        # handshake leaks its socket.
        client = self._connected(what)
        async with self._breaker(question):
            for attempt in range(1, MAX_ATTEMPTS + 1):
                if deadline.has_passed:
                    raise timed_out(what, deadline.remaining())
                try:
                    async with calls.one(deadline, partial(too_many_at_once, what)) if calls else nullcontext():
                        left_seconds = deadline.remaining()
                        with (
                            limit(left_seconds) if limit else nullcontext(left_seconds) as seconds,
                            logged_request(
                                *(_LOGGER, "tws_request", self.instance.where, path), attempt=attempt, level=log_level
                            ) as exchange,
                        ):
                            try:
                                async with asyncio.timeout(seconds):
                                    return await self._read(
                                        client,
                                        exchange,
                                        path,
                                        endpoint,
                                        deadline,
                                        params=params,
                                        headers=headers,
                                        seconds=seconds,
                                        max_bytes=max_bytes,
                                        may_cut=may_cut,
                                    )
                            except TimeoutError:
                                raise timed_out(what, seconds) from None
                except HwaError as error:
                    # Jitter, so that the workers of one run do not retry at the same moment.
                    pause = 0.1 * 2 ** (attempt - 1) * (0.5 + random.random())  # noqa: S311
                    if not error.may_retry or attempt == MAX_ATTEMPTS or deadline.remaining() < 2 * pause:
                        raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _read(
        self,
        client: httpx2.AsyncClient,
        exchange: Exchange,
        path: str,
        endpoint: Endpoint,
        deadline: Deadline,
        *,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        seconds: float,
        max_bytes: int,
        may_cut: bool,
    ) -> tuple[bytes, bool]:
        what, url = f"GET {endpoint.value}", self.instance.base_url + path
        # Connecting ends by httpx's own timeout, which closes the socket; a cancelled handshake leaks it.
        timeout = httpx2.Timeout(seconds, connect=min(0.9 * seconds, MAX_CONNECT_SECONDS), pool=0.9 * seconds)
        has_begun = False
        try:
            async with client.stream(
                "GET", url, params=dict(params or {}), headers=dict(headers or {}), timeout=timeout
            ) as response:
                has_begun, exchange.status = True, response.status_code
                self._note_time(response.headers.get("date"))
                if response.status_code != HTTPStatus.OK:
                    raise await self._refusal(response, endpoint, what)
                body, is_cut = await read_body(response, max_bytes)
        except httpx2.HTTPError as error:
            failure = error_for_transport(error, what, seconds, connect_seconds=timeout.connect)
            if isinstance(failure, ConnectionCut) and not has_begun and await self._wants_tls(deadline.remaining()):
                failure = plain_to_tls(what)
            raise failure from None
        if is_cut and not may_cut:
            raise AnswerTooLarge("{what}: more than {limit} bytes", what=what, limit=max_bytes)
        return body, is_cut

    async def _refusal(self, response: httpx2.Response, endpoint: Endpoint, what: str) -> HwaError:
        """The error for a status other than 200; the beginning of a 400 tells whether the port wants TLS."""
        if response.status_code == HTTPStatus.BAD_REQUEST and self._is_plain:
            body, _ = await read_body(response, MAX_ERROR_BYTES)
            if wants_tls(body):
                return plain_to_tls(what)
        return error_for_status(response.status_code, what, names_object="{id}" in endpoint.value)

    @property
    def _is_plain(self) -> bool:
        return self.instance.base_url.startswith("http://")

    async def _wants_tls(self, seconds: float) -> bool:
        """Whether the port of a URL without TLS speaks TLS: such servers cut a plain request without a word."""
        if not self._is_plain or self.instance.proxy() is not None:
            return False
        url = httpx2.URL(self.instance.base_url)
        port, limit = url.port or HTTP_PORT, min(seconds, MAX_HANDSHAKE_SECONDS)
        return await asyncio.to_thread(speaks_tls, url.host, port, limit)


T = TypeVar("T")
_Request = tuple[object, ...]


@dataclass(slots=True)
class SharedRequests:
    """The requests of several sessions of one question: what two of them ask in the same words is sent once."""

    jobs: dict[str, tuple[JsonObject, ...]] = field(default_factory=dict)
    """All jobs of a name, where one search has found those of many names."""
    without_issues: set[str] = field(default_factory=set)
    """Ids of jobs of which it is known that they have no issues."""
    _tasks: dict[_Request, asyncio.Task[Any]] = field(default_factory=dict)

    async def once(self, request: _Request, send: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer to ``request``, sent by the first that asks. Raises what ``send`` raises."""
        # Shielded: others may wait for it when this session is cancelled.
        answer: T = await asyncio.shield(self.begin(request, send))
        return answer

    def begin(self, request: _Request, send: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Send ``request`` unless it has been sent, without waiting for the answer."""
        task = self._tasks.get(request)
        if task is None:
            task = self._tasks[request] = asyncio.create_task(send())
        return task

    async def end(self) -> None:
        """Cancel the requests that are still in flight."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@dataclass(slots=True)
class HwaSession:
    """The requests of one question, all ending by ``deadline``. ``asked`` records them, without secrets."""

    client: HwaClient
    deadline: Deadline
    question: str
    asked: list[str] = field(default_factory=list)
    shared: SharedRequests | None = None
    """The requests that sessions of other jobs of the question have made, if it has a session for each job."""
    calls: Calls | None = None
    """How many requests may be made at once, where that is bounded."""
    log_seconds: float | None = None
    """Most seconds for one request for a job log, from when it is sent; None: to the deadline."""
    _sending: set[asyncio.Task[Any]] = field(default_factory=set)

    def sharing(self, shared: SharedRequests) -> "HwaSession":
        """A session for one job of the question; what was requested for all of its jobs is among the requests."""
        asked = list(self.asked)
        return HwaSession(self.client, self.deadline, self.question, asked, shared, self.calls, self.log_seconds)

    def end(self) -> None:
        """Cancel the requests still in flight; used when one of several concurrent requests has failed the question."""
        for task in self._sending:
            task.cancel()

    def server_now(self) -> datetime:
        """The present time by the server's clock."""
        return self.client.server_now()

    async def engine_info(self) -> JsonObject:
        """Version and time zone of the engine. Raises HwaError."""
        return await self._object(Endpoint.ENGINE_INFO)

    async def search_jobs(self, query: Oql | None, *, limit: int, offset: int = 0) -> Page:
        """Jobs of the current plan, without their definitions and dependencies. Raises HwaError."""
        return await self._page(Endpoint.JOBS, query, limit=limit, offset=offset, headers=_LIST_SCOPE)

    async def search_job_streams(self, query: Oql | None, *, limit: int, offset: int = 0) -> Page:
        """Job streams in the current plan. Raises HwaError."""
        return await self._page(Endpoint.JOB_STREAMS, query, limit=limit, offset=offset, headers=_LIST_SCOPE)

    async def search_workstations(self, query: Oql | None, *, limit: int, offset: int = 0) -> Page:
        """Workstations in the plan. Raises HwaError."""
        return await self._page(Endpoint.WORKSTATIONS, query, limit=limit, offset=offset, headers=_COUNTED)

    async def search_resources(self, query: Oql | None, *, limit: int) -> Page:
        """Resources in the plan. Raises HwaError."""
        return await self._page(Endpoint.RESOURCES, query, limit=limit)

    async def job(self, job_id: str) -> JsonObject:
        """One job with its definition, runs and dependencies. Raises HwaError."""
        return await self._object(Endpoint.JOB, job_id, _PLAN)

    async def predecessors(self, job_id: str, *, depth: int = 1) -> Page:
        """Jobs and job streams that the job waits for. Raises HwaError."""
        return _page(await self._object(Endpoint.PREDECESSORS, job_id, {**_PLAN, "depth": depth}), MAX_NEIGHBOURS)

    async def successors(self, job_id: str, *, depth: int = 1) -> Page:
        """Jobs and job streams that wait for the job. Raises HwaError."""
        return _page(await self._object(Endpoint.SUCCESSORS, job_id, {**_PLAN, "depth": depth}), MAX_NEIGHBOURS)

    async def issues(self, query: Oql) -> tuple[JsonObject, ...]:
        """Reasons why the jobs of the query do not start. Raises HwaError."""
        body = await self._object(Endpoint.JOB_ISSUES, None, {"oql": query.text})
        return _objects(body.get("issues"))

    async def job_log(self, run_id: str, *, from_line: int, to_line: int) -> LogPage:
        """Lines ``from_line..to_line`` (1-based, inclusive) of a run's job log.

        At most MAX_LOG_PAGE_BYTES are read, then the connection is closed. Raises HwaError; LogsHang when the last
        logs of the question did not come within ``log_seconds``.
        """
        if not 1 <= from_line <= to_line:
            raise ValueError("1 <= from_line <= to_line must hold")
        params: dict[str, str | int] = {"from_line": from_line, "to_line": to_line}
        self._note(Endpoint.JOB_LOG, run_id, params)
        seconds = self.log_seconds
        body, is_cut = await self._send(
            Endpoint.JOB_LOG,
            object_id=run_id,
            params=params,
            headers={"Accept": "text/plain"},
            max_bytes=MAX_LOG_PAGE_BYTES,
            may_cut=True,
            limit=None if seconds is None else partial(self.client.log_limit, self.question, seconds),
        )
        return log_page(body, from_line, to_line, is_cut=is_cut)

    async def _page(
        self,
        endpoint: Endpoint,
        query: Oql | None,
        *,
        limit: int,
        offset: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        # Always send a limit: the server's default is 10,000. Workstations take no plan_id.
        params: dict[str, str | int] = {**({} if endpoint is Endpoint.WORKSTATIONS else _PLAN), "limit": limit}
        if offset:
            params["offset"] = offset
        if query is not None:
            params["oql"] = query.text
        return _page(await self._object(endpoint, None, params, headers), limit)

    async def _object(
        self,
        endpoint: Endpoint,
        object_id: str | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JsonObject:
        self._note(endpoint, object_id, params)
        body, _ = await self._send(
            endpoint,
            object_id=object_id,
            params=params,
            headers={"Accept": "application/json", **(headers or {})},
            max_bytes=MAX_JSON_BYTES,
        )
        what = f"GET {endpoint.value}"
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise BadAnswer("{what}: the answer is not JSON", what=what) from None
        if not isinstance(answer, dict):
            raise BadAnswer("{what}: the answer is not a JSON object", what=what)
        return answer

    async def _send(self, endpoint: Endpoint, **options: Any) -> tuple[bytes, bool]:
        if self.shared is None:
            return await self._send_alone(endpoint, **options)
        request = (endpoint, options["object_id"], *sorted((options["params"] or {}).items()))
        return await self.shared.once(request, partial(self._send_alone, endpoint, **options))

    async def _send_alone(self, endpoint: Endpoint, **options: Any) -> tuple[bytes, bool]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a session is used from a task")
        self._sending.add(task)
        try:
            # The requests of a question about many jobs are hundreds.
            level = logging.INFO if self.shared is None else logging.DEBUG
            return await self.client.send(
                endpoint, self.deadline, self.question, calls=self.calls, log_level=level, **options
            )
        finally:
            self._sending.discard(task)

    def _note(self, endpoint: Endpoint, object_id: str | None, params: Mapping[str, str | int] | None) -> None:
        shown = endpoint.value.replace("{id}", object_id or "")
        shown_params = " ".join(f"{name}={value}" for name, value in (params or {}).items() if name != "plan_id")
        self.asked.append(f"GET {shown} {shown_params}".rstrip())


def _page(body: JsonObject, limit: int) -> Page:
    """The first ``limit`` results; a server that sends more must not block the event loop."""
    results, count = _objects(body.get("results")), body.get("count")
    total = count if isinstance(count, int) and count >= 0 else None
    has_next = bool(body.get("next"))
    return Page(results[:limit], max(total or 0, len(results)) if len(results) > limit else total, has_next)


def _objects(value: object) -> tuple[JsonObject, ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def log_page(body: bytes, from_line: int, to_line: int, *, is_cut: bool = False) -> LogPage:
    """Parse a response for lines ``from_line..to_line``. ``is_cut``: the body is only its beginning."""
    lines = _lines(body, is_cut=is_cut)
    ignores_window = len(lines) > to_line - from_line + 1
    return LogPage(1 if ignores_window else from_line, lines, is_cut, ignores_window)


def _lines(body: bytes, *, is_cut: bool) -> tuple[str, ...]:
    """Lines of a text, ended by line feeds only, as the server counts them.

    A last line that was cut is dropped, unless it is the only one.
    """
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    if is_cut and not body.endswith(b"\n"):
        if len(lines) == 1:
            return (_decoded(lines[0], is_whole=False),)
        lines.pop()
    return tuple(_decoded(line) for line in lines)


def _decoded(line: bytes, *, is_whole: bool = True) -> str:
    """A line as UTF-8, or else Latin-1; decided line by line, since programs of both kinds write into one log."""
    line = line.rstrip(b"\r")
    try:
        return codecs.utf_8_decode(line, "strict", is_whole)[0]
    except UnicodeDecodeError:
        return line.decode("latin-1")
