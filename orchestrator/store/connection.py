"""Redis clients with explicit timeouts and retries, and redis-py's errors as ours."""

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    DataError,
    ExecAbortError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from orchestrator.config import Settings
from orchestrator.errors import OutOfConnections, RunDamaged, StoreRefusesUser, StoreUnreachable, TroubleshootError
from orchestrator.i18n.message import Message
from orchestrator.sentinel import Sentinels, is_sentinel, parse_sentinel
from orchestrator.store.pools import AsyncConnectionPool, ConnectionPool
from orchestrator.tally import Tally
from orchestrator.tls import (
    PARAMETERS,
    NoHandshake,
    causes,
    tls_advice,
    tls_context,
    tls_failure,
    tls_options,
    without_tls_options,
)

BLOCK_MS = 1_000
"""Longest blocking read in milliseconds; a reader checks its deadline at least this often."""
MAX_CONNECTIONS = 10_000
"""Connections of one pool: the default of Redis's own limit (``maxclients``). A reader holds a connection while it
waits, a thread while it calls; redis-py's default of 100 would refuse the next one."""
FIRST_HANDSHAKE_SECONDS = 2.0
"""Seconds for each step of the first TLS handshake of a process with a Redis, where its time-out is shorter."""
DECODING: dict[str, Any] = {"decode_responses": True, "encoding_errors": "replace"}
"""Bytes that are not UTF-8 are damage: only the text that contains them is affected, not the reply around it."""

_REFUSALS = re.compile(
    r"\b(OOM|READONLY|MISCONF|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|BUSY|UNBLOCKED|LOADING|TRYAGAIN|EXECABORT|DENIED)\b"
)
"""Error codes of a Redis that answers and does not serve: full, a replica, unable to save, busy with a script, loading,
in a failover, in protected mode."""
_REFUSAL_OF: dict[type[RedisError], str] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    MasterDownError: "MASTERDOWN",
    BusyLoadingError: "LOADING",
    ExecAbortError: "EXECABORT",
    MovedError: "MOVED",
    AskError: "ASK",  # after its subclass
    TryAgainError: "TRYAGAIN",
    ClusterDownError: "CLUSTERDOWN",  # after its subclass
}
"""Errors whose code redis-py removes from the text; the error of a script still has it."""


STORE_ERRORS = Tally()
"""Calls of this process that Redis did not serve, by the reason."""
SCRIPTS: dict[str, str] = {}
"""Sources of the scripts by their SHA."""
_COMMAND = re.compile(r"'([^']+)' command")
_SCRIPT_LINE = re.compile(r"user_script:\s*([0-9]+)")
_CALLED = re.compile(r"redis\.p?call\('([A-Z]+)'")


class NotPermitted(NoPermissionError):
    """Redis does not let the user run a command or use a key or channel; Redis itself names the command at most."""

    def __init__(self, user: str, sent: list[str], text: str) -> None:
        rule, what = _forbidden(sent, text)
        self.message = Message(
            "REDIS_URL: the user {user} may not {what} (NOPERM); allow it with: ACL SETUSER {user} {rule}",
            user=user,
            what=what,
            rule=rule,
        )
        super().__init__(str(self.message))

    def __str__(self) -> str:
        return str(self.message)  # redis-py adds the command of a pipeline, with its values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"  # that of redis-py has no words


def _names(command: Sequence[Any]) -> list[str]:
    """A command, and the keys or channels that it names; of a script its SHA comes between them."""
    first = str(command[0]).upper()
    last = 2
    if first in ("EVALSHA", "EVAL"):
        return [first, *map(str, (command[1][:40], *command[3 : 3 + int(command[2])]))]
    if first in ("SUBSCRIBE", "PSUBSCRIBE"):
        last = len(command)
    elif first == "BRPOP":
        last = -1
    return [
        first,
        *(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in command[1:last]),
    ]


def _forbidden(sent: list[str], text: str) -> tuple[str, Message]:
    """What is not permitted, and the rule that permits it."""
    is_script = sent[:1] in (["EVALSHA"], ["EVAL"])
    if "executing the script" in text:
        source = SCRIPTS.get(sent[1], "").splitlines() if is_script else []
        line = next((int(number) for number in _SCRIPT_LINE.findall(text)), 0)
        called = _CALLED.search(source[line - 1]) if 0 < line <= len(source) else None
        if "access" not in text:
            if called is None:
                return "+...", Message("run a command of a script")
            return f"+{called[1].lower()}", Message("run {command}", command=called[1])
    elif (named := _COMMAND.search(text)) is not None:
        return f"+{named[1]}", Message("run {command}", command=named[1].upper().replace("|", " "))
    names = sent[2:] if is_script else sent[1:]
    common = os.path.commonprefix(names) + ("*" if len(names) > 1 else "")  # noqa: RUF071  # keys are no paths
    if not names:
        return "~...", Message("use a key")
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if "channel" in text:
        return f"&{common}", Message("use the channels {names}", names=shown)
    return f"~{common}", Message("use the keys {names}", names=shown)


class OurConnection:
    """A connection that says what its user may not do, and that is left where its Redis has become a replica.

    A failover moves the name of the primary and may leave connections to the former one open, which refuses for good.
    """

    username: str | None
    _is_to_replica = False
    _sent: list[str]
    """The command whose reply is read, without its values."""
    _batch: list[list[str]]
    """Those of a pipeline whose replies are still to be read, the first one last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._sent, self._batch = [], []
        self._sentinels = SENTINELS.get(options.get("host", ""))
        super().__init__(*arguments, **options)

    def _connect(self) -> Any:
        if self._sentinels is not None:
            self.host, self.port = primary_of(self._sentinels, self.socket_connect_timeout)  # type: ignore[attr-defined]
        return super()._connect()  # type: ignore[misc]  # of the class it is mixed into

    def send_command(self, *arguments: Any, **options: Any) -> None:
        """Send a command, which a refusal is then told with."""
        super().send_command(*arguments, **options)  # type: ignore[misc]  # of the class it is mixed into
        self._sent, self._batch = _names(arguments), []

    def pack_commands(self, commands: Any) -> Any:
        """The bytes of many commands."""
        self._sent, self._batch = [], [_names(command) for command in reversed(commands)]
        return super().pack_commands(commands)  # type: ignore[misc]  # of the class it is mixed into

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """The reply to a command."""
        if self._batch:
            self._sent = self._batch.pop()
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]  # of the class it is mixed into
        except ResponseError as error:
            self._is_to_replica = self._is_to_replica or refusal(error) == "READONLY"
            if isinstance(error, NoPermissionError) or _of_script(error):
                raise NotPermitted(self.username or "default", self._sent, str(error)) from error
            raise

    def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        """Send a command, over a new connection if need be."""
        if self._is_to_replica:
            self._is_to_replica = False
            self.disconnect()  # type: ignore[attr-defined]  # of the class it is mixed into
        super().send_packed_command(*arguments, **options)  # type: ignore[misc]


class ClosedAtOnce(RedisConnectionError):
    """A connection without TLS that was closed before anything was answered: perhaps the port speaks TLS."""


class PlainConnection(OurConnection, redis.Connection):
    """A connection without TLS."""

    def on_connect(self) -> None:
        """Say who connects."""
        with _closed_at_once():
            super().on_connect()  # type: ignore[no-untyped-call]

    def on_connect_check_health(self, *arguments: Any, **options: Any) -> None:
        """``on_connect``, where redis-py 6 and later come past it."""
        with _closed_at_once():
            super().on_connect_check_health(*arguments, **options)


@contextmanager
def _closed_at_once() -> Iterator[None]:
    try:
        yield
    except RedisConnectionError as error:
        # redis-py's own words where the other side closed it in order.
        was_reset = any(isinstance(cause, ConnectionResetError) for cause in causes(error))
        if was_reset or str(error) == "Connection closed by server.":
            raise ClosedAtOnce(str(error)) from error
        raise


class TlsConnection(OurConnection, redis.SSLConnection):
    """A connection over TLS with the shared context of its options."""

    _met: ClassVar[set[tuple[str, int]]] = set()
    """The addresses that a handshake has succeeded with."""

    def __init__(self, **options: Any) -> None:
        # redis-py, which knows fewer parameters before version 6, has no use for them.
        self._tls = {name: options.pop(name) for name in PARAMETERS if name in options}
        super().__init__(**options)

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        address, seconds = (self.host, self.port), sock.gettimeout()
        if address not in self._met and seconds is not None:
            # Where many processes start, a handshake takes longer than any call after it: no first run is lost to that.
            sock.settimeout(max(seconds, FIRST_HANDSHAKE_SECONDS))
        try:
            secure = tls_context(self._tls).wrap_socket(sock, server_hostname=self.host)
        except TimeoutError as error:
            raise NoHandshake from error
        secure.settimeout(seconds)
        self._met.add(address)
        return secure


class AtPrimary:
    """A connection of an event loop that asks Sentinels where its primary is."""

    def __init__(self, **options: Any) -> None:
        self._sentinels = SENTINELS.get(options.get("host", ""))
        super().__init__(**options)

    async def _connect(self) -> None:
        if self._sentinels is not None:
            seconds = self.socket_connect_timeout  # type: ignore[attr-defined]  # of the class it is mixed into
            self.host, self.port = await asyncio.to_thread(primary_of, self._sentinels, seconds)
        await super()._connect()  # type: ignore[misc]


class AsyncPlainConnection(AtPrimary, redis.asyncio.Connection):
    """A connection without TLS, for an event loop."""


class AsyncTlsConnection(AtPrimary, redis.asyncio.SSLConnection):
    """``TlsConnection`` for an event loop."""

    def __init__(self, **options: Any) -> None:
        # redis-py, which knows fewer parameters before version 6, has no use for them.
        self._tls = {name: options.pop(name) for name in PARAMETERS if name in options}
        super().__init__(**options)

    def _connection_arguments(self) -> dict[str, Any]:
        # Not redis-py's context, which each connection makes once: it would not see a certificate that was renewed.
        return {"host": self.host, "port": self.port, "ssl": tls_context(self._tls)}


Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)


def client_of(kind: type[Client], url: str, **options: Any) -> Client:
    """redis-py's client for a URL, whose TLS parameters mean what ``orchestrator.tls`` says."""
    url = single_url(url)
    tls, is_async = tls_options(url), issubclass(kind, redis.asyncio.Redis)
    pools: Any = AsyncConnectionPool if is_async else ConnectionPool
    pool = pools.from_url(without_tls_options(url), **tls, **options)
    if tls:
        pool.connection_class = AsyncTlsConnection if is_async else TlsConnection
    elif pool.connection_class in (redis.Connection, redis.asyncio.Connection):
        pool.connection_class = AsyncPlainConnection if is_async else PlainConnection
    client: Client = kind.from_pool(pool)
    return client


SENTINELS: dict[str, Sentinels] = {}
"""Who knows where a primary is, by the host name that stands for it in the URLs of this process."""


class NoPrimary(RedisConnectionError):
    """No Sentinel told where the primary is."""


def single_url(url: str) -> str:
    """The URL of one Redis for libraries that know no Sentinels; our connections ask these for its address."""
    if not is_sentinel(url):
        return url
    host, single, sentinels = parse_sentinel(url)
    SENTINELS[host] = sentinels
    return single


def primary_of(sentinels: Sentinels, seconds: float | None) -> tuple[str, int]:
    """Host and port of the primary, by the first Sentinel that knows it; ``seconds`` for each of them.

    Raises redis-py's AuthenticationError, and NoPrimary from the last error.
    """
    failure: Exception | None = None
    for url in sentinels.urls:
        retry = Retry(NoBackoff(), 0)
        options = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "retry": retry}
        try:
            with client_of(redis.Redis, url, **options) as client:
                found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", sentinels.name)
        except AuthenticationError:
            raise
        except (RedisError, OSError) as error:
            failure = error
        else:
            if found is not None:
                host, port = found
                return host.decode() if isinstance(host, bytes) else str(host), int(port)
    raise NoPrimary(sentinels.name) from failure


def repeating(retry: Retry | AsyncRetry) -> dict[str, Any]:
    """Options of a connection that repeats a command as ``retry`` says.

    Before version 6, redis-py repeats it only after the errors that are named beside it.
    """
    return {"retry": retry, "retry_on_error": list(retry._supported_errors)}  # noqa: SLF001  # there is no getter


def connect(settings: Settings, *, retries: int = 0) -> redis.Redis:
    """A pooled client that gives up a try after ``redis_timeout_seconds``; a few ``retries`` outlast a Redis restart.

    A retry may send a script twice: claims, leases and commits carry a token that makes the repetition harmless.
    """
    seconds = settings.redis_timeout_seconds
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries) if retries else Retry(NoBackoff(), 0)
    return client_of(
        redis.Redis,
        settings.redis_url,
        **DECODING,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        **repeating(retry),
        client_name="resync-troubleshoot",
        max_connections=MAX_CONNECTIONS,
    )


def connect_reader(settings: Settings) -> redis.Redis:
    """A client for blocking reads of up to ``BLOCK_MS``, which the socket timeout of ``connect`` would interrupt."""
    return client_of(redis.Redis, settings.redis_url, **_reader_options(settings), retry=Retry(NoBackoff(), 0))


def connect_async_reader(settings: Settings) -> redis.asyncio.Redis:
    """``connect_reader`` for an event loop."""
    retry = AsyncRetry(NoBackoff(), 0)
    return client_of(redis.asyncio.Redis, settings.redis_url, **_reader_options(settings), retry=retry)


def _reader_options(settings: Settings) -> dict[str, Any]:
    return {
        **DECODING,
        "socket_timeout": settings.redis_timeout_seconds + BLOCK_MS / 1000,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "client_name": "resync-troubleshoot-reader",
        "max_connections": MAX_CONNECTIONS,
    }


def to_ms(time: Any) -> int:
    """Milliseconds of a reply to TIME: seconds and microseconds."""
    seconds, micros = time
    return int(seconds) * 1000 + int(micros) // 1000


_heeding: ContextVar[Callable[[bool], None] | None] = ContextVar("heeding", default=None)


@contextmanager
def heeding_calls(heed: Callable[[bool], None]) -> Iterator[None]:
    """Call ``heed`` at each call of the store in the block: with True when it is sent, with False when it is answered.

    What the block does between an answer and the next call is not the time of the store.
    """
    token = _heeding.set(heed)
    try:
        yield
    finally:
        _heeding.reset(token)


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise redis-py's errors as ours. The URL is left out of the messages: it holds the password.

    Raises StoreUnreachable, or its subclasses OutOfConnections (a limit of this process or of Redis) and
    StoreRefusesUser (credentials, rights).
    """
    heed = _heeding.get()
    if heed is not None:
        heed(True)
    try:
        with _errors_as_ours():
            yield
    except StoreUnreachable as error:
        STORE_ERRORS.add(error.reason)
        raise
    if heed is not None:
        heed(False)


@contextmanager
def _errors_as_ours() -> Iterator[None]:
    try:
        yield
    except AuthenticationError as error:
        raise StoreRefusesUser("REDIS_URL: Redis refused the password or user name") from error
    except ResponseError as error:
        refused = _refused(error)
        if refused is None:
            raise
        raise refused from error
    except DataError:  # a value that cannot be sent
        raise
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        if (limit := _limit_reached(error)) is not None:
            raise OutOfConnections("no further connection to Redis can be opened: {limit}", limit=limit) from error
        if isinstance(error, OSError):  # redis-py opens a file before it opens the socket
            raise
        if (refused := _not_working(error)) is not None:
            raise refused from error
        raise _unreachable(error) from error
    except RedisError as error:
        raise StoreUnreachable("Redis failed: {detail}", detail=type(error).__name__) from error


def _unreachable(error: Exception) -> StoreUnreachable:
    if (advice := tls_advice(error)) is not None:
        return StoreUnreachable("TLS to Redis failed ({detail}). {advice}", detail=tls_failure(error), advice=advice)
    if (lost := next((cause for cause in causes(error) if isinstance(cause, NoPrimary)), None)) is not None:
        if lost.__cause__ is None:
            return StoreUnreachable("no Sentinel of REDIS_URL knows a primary named {name}", name=str(lost))
        return StoreUnreachable(
            "no Sentinel of REDIS_URL answers; do they run, and is REDIS_URL right? ({detail})",
            detail=type(lost.__cause__).__name__,
        )
    if isinstance(error, ClosedAtOnce):
        return StoreUnreachable(
            "Redis closed the connection before it answered; does its port speak TLS (REDIS_URL=rediss://...), "
            "or is it just starting?"
        )
    return StoreUnreachable(
        "Redis does not answer; is it running, and is REDIS_URL right? ({detail} while talking to the store)",
        detail=type(error).__name__,
    )


@contextmanager
def session(settings: Settings) -> Iterator[redis.Redis]:
    """A client for the block, closed at its end; redis-py's errors are raised as by ``store_errors``."""
    client = connect(settings)
    try:
        with store_errors():
            yield client
    finally:
        client.close()


def _limit_reached(error: Exception) -> Message | None:
    if str(error) == "Too many connections":  # of redis-py's pool, an error of its own kind since version 6
        return Message("this process has {count}", count=f"{MAX_CONNECTIONS:,}")
    if "max number of clients" in str(error):
        return Message("Redis has as many clients as its maxclients allows")
    # redis-py may have wrapped the system's error.
    if any(isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE) for cause in causes(error)):
        return Message("this process may open no more files (ulimit -n)")
    return None


def _refused(error: ResponseError) -> TroubleshootError | None:
    text = str(error)
    if "NOAUTH" in text or "WRONGPASS" in text:
        return StoreRefusesUser("REDIS_URL: Redis asks for a password")
    if (refused := refused_user(error)) is not None:
        return refused
    if isinstance(error, NoPermissionError) or "NOPERM" in text or _of_script(error):
        return StoreRefusesUser("REDIS_URL: Redis does not let this user do what is needed ({detail})", detail=text)
    if "DB index" in text or "SELECT is not allowed" in text:
        return StoreRefusesUser("REDIS_URL: Redis has no database of that number ({detail})", detail=text)
    if "WRONGTYPE" in text:
        return RunDamaged(
            "a key in Redis is of another type than ours; its name is told by: resync-troubleshoot doctor --only keys"
        )
    return _not_working(error)


def _of_script(error: ResponseError) -> bool:
    """Whether a script was refused for what its user may not do."""
    # Valkey's words, and Redis's.
    return any(words in str(error) for words in ("ACL failure in script", "user executing the script can"))


def refused_user(error: BaseException) -> StoreRefusesUser | None:
    """What the user may not do, also behind an error of kombu; None for any other error."""
    found = next((cause for cause in causes(error) if isinstance(cause, NotPermitted)), None)
    return None if found is None else StoreRefusesUser(found.message)


def _not_working(error: BaseException) -> StoreUnreachable | None:
    code = refusal(error)
    return None if code is None else StoreUnreachable("Redis answers but refuses to work ({detail})", detail=code)


def refusal(error: BaseException) -> str | None:
    """The code with which Redis refused to work, also behind an error of kombu; None for any other error."""
    # A refusal is told by the error that it caused, not by one that came up while it was handled.
    for cause in causes(error, named=True):
        for kind, code in _REFUSAL_OF.items():
            if isinstance(cause, kind):
                return code
        match = _REFUSALS.search(str(cause)) if isinstance(cause, RedisError) else None
        if match is not None:
            return match.group()
    return None


def broker_failure(message: Message, error: BaseException) -> StoreUnreachable:
    """What kombu raised as ours: ``message`` with its ``{detail}``, unless the user may not do what is needed."""
    return refused_user(error) or StoreUnreachable(message.with_facts(detail=failure_detail(error)))


def failure_detail(error: BaseException) -> str:
    """Why the broker failed, in a word or two: Redis's error code, what is wrong with TLS, else the error's type."""
    return refusal(error) or tls_failure(error) or type(error).__name__
