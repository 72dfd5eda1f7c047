"""kombu's Redis transport with one publishing client per channel instead of one per command.

kombu 5.7.0 creates a redis-py client for every message, acknowledgement and event, and redis-py 8 fills a table of all
commands for each: a third of the Python time of a worker under load.
"""

import json
import math
import select
import time
from bisect import bisect
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from functools import cached_property, partial
from typing import Any

from celery.app.amqp import AMQP
from celery.utils.dispatch import Signal
from kombu import pools
from kombu.connection import Connection
from kombu.transport import redis
from kombu.utils.collections import HashedSeq, eqhash
from kombu.utils.encoding import bytes_to_str
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, DataError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from orchestrator.broker.app import EXCHANGE
from orchestrator.broker.messages import MAX_CHARACTERS, bind, problem_of
from orchestrator.logs import get_logger
from orchestrator.store.connection import (
    SENTINELS,
    ClosedAtOnce,
    PlainConnection,
    TlsConnection,
    primary_of,
    repeating,
)
from orchestrator.store.lua import our_error
from orchestrator.tls import tls_failure

_LOGGER = get_logger(__name__)
TRANSPORT = "orchestrator.broker.transport:Transport"
RECONNECT: dict[str, Any] = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 1.0}
"""Seconds between attempts to connect. kombu's own grow from 2 to 30, so that a worker would stay away for as long
after Redis is back."""
PUBLISHERS = "publisher"
"""Name of whoever publishes a message, in Celery's events."""
NARROW_SECONDS = 0.1
"""Seconds for which a read waits that leaves out the messages of batches: one of the places they have may get free."""
READ_SECONDS, MISSED_PONGS = 1.0, 2
"""Seconds for which a read of messages waits before kombu 5.7, and PINGs without an answer: the connection is gone."""
SHOWN_CHARACTERS = 20_000
"""What is told of a message that is set aside; less is kept of it."""
message_set_aside = Signal(name="message_set_aside")
"""Sent with ``queue``, ``reason`` and ``content`` for each message that no worker can take."""


def set_aside(queue: str, reason: str, content: str | bytes) -> None:
    """Report a message that was removed from its queue because no worker can take it, with its beginning."""
    start = content[:SHOWN_CHARACTERS]
    text = start.decode("utf-8", "replace") if isinstance(start, bytes) else start
    _LOGGER.error("message_set_aside queue=%s reason=%s characters=%s", queue, reason, len(content))
    message_set_aside.send(sender=None, queue=queue, reason=reason, content=text)


class Share(Enum):
    """What share of a worker's places the batches have that run."""

    SMALL = auto()
    """Their messages are taken first."""
    FAIR = auto()
    LARGE = auto()
    """None of their messages is taken."""


class QoS(redis.QoS):  # type: ignore[misc]  # kombu is untyped
    """kombu's unacknowledged messages, of which a malformed one is set aside.

    Whoever reads the broker restores those that are overdue, so that one would fail every caller and worker.
    """

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._remove_from_indices(tag).execute()
            set_aside("unacked", f"malformed: {type(error).__name__}", str(tag))


class Client(redis.PrefixedStrictRedis):  # type: ignore[misc]  # kombu is untyped
    """kombu's client, which cuts a message that is too long: it is no JSON then, and read no further."""

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        """The reply to a command."""
        reply = super().parse_response(connection, command_name, **options)
        if command_name == "BRPOP" and reply:
            queue, content = reply
            return queue, content[: MAX_CHARACTERS + 1]
        return reply


class TriedOnce:
    """A connection whose attempt to connect is not repeated within the repetition of a command."""

    retry: Retry

    def connect(self) -> None:
        """Connect, in one attempt. What Celery, kombu and Flower log of a failure is what to do about it."""
        retry, self.retry = self.retry, Retry(NoBackoff(), 0)
        try:
            super().connect()  # type: ignore[misc]  # of the class it is mixed into
        except RedisConnectionError as error:
            if tls_failure(error) or isinstance(error, (AuthenticationError, ClosedAtOnce)):
                raise type(error)(str(our_error(error))) from error
            raise
        finally:
            self.retry = retry


class BrokerConnection(TriedOnce, PlainConnection):
    """The broker's connection without TLS."""


class BrokerTlsConnection(TriedOnce, TlsConnection):
    """The broker's connection over TLS."""


class Channel(redis.Channel):  # type: ignore[misc]  # kombu is untyped
    """A channel that reuses its publishing client as long as its connection pool exists.

    A client of a pool has no connection of its own, so threads may share it.
    """

    QoS = QoS
    connection_class = BrokerConnection
    connection_class_ssl = BrokerTlsConnection
    priority_steps: list[int]
    # Keys of kombu 5.7, which may be beside an older one.
    keyprefix_binding_deadlines = "_kombu.binding_deadlines"
    keyprefix_binding_permanent = "_kombu.binding_permanent.%s"
    _publishing_client: Any = None
    _asked_at = 0.0
    """When messages were last waited for, by ``time.monotonic()``."""
    batch_share: Callable[[], Share] | None = None
    """What share of a worker's places batches have now."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # A key of another type fails whoever uses it, who then connects again, and so comes here.
        exchanges = (EXCHANGE.name, "celery.pidbox", "celeryev")
        bindings = (self.keyprefix_queue, self.keyprefix_binding_permanent)
        self._set_keys_aside(
            {
                self.unacked_key: "hash",
                self.unacked_index_key: "zset",
                self.unacked_mutex_key: "string",
                self.keyprefix_binding_deadlines: "zset",
                **{prefix % exchange: "set" for prefix in bindings for exchange in exchanges},
            }
        )

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        # A command is repeated once, over a new connection: a cut leaves several dead ones, each of which would cost a
        # time-out and a restart of the consumer. Messages and acknowledgements may come twice. Not on the connections
        # whose sockets the event loop watches: it would go on watching the old one, and the worker would be deaf.
        options: dict[str, Any] = super()._connparams(asynchronous)
        return options | {
            **repeating(Retry(NoBackoff(), 0 if asynchronous else 1)),
            "health_check_interval": self.health_check_interval,  # kombu 5.5 leaves it out for a class like ours
        }

    def _get_client(self) -> Any:
        super()._get_client()
        return partial(Client, global_keyprefix=self.global_keyprefix)

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        client = self._publishing_client
        if client is None or client.connection_pool is not self.pool:
            client = self._publishing_client = super()._create_client()
        return client

    def _brpop_start(self, *timeout: float) -> None:  # kombu's own default changes from version to version
        self._asked_at = time.monotonic()
        share = self.batch_share() if self.batch_share is not None else Share.FAIR
        steps = self.priority_steps
        if share is Share.SMALL:
            self.priority_steps = steps[::-1]
        elif share is Share.LARGE:
            self.priority_steps, timeout = steps[:1], (NARROW_SECONDS,)
        try:
            super()._brpop_start(*timeout)
        finally:
            self.priority_steps = steps

    def leads_nowhere(self) -> bool:
        """Whether Redis has not answered for long on a connection that messages or broadcasts are waited for on."""
        pinged = getattr(self.__dict__.get("subclient"), "health_check_response_counter", 0)
        sock: Any = getattr(self._in_poll or None, "_sock", None)
        is_overdue = sock is not None and time.monotonic() - self._asked_at > READ_SECONDS + self.health_check_interval
        return pinged >= MISSED_PONGS or (is_overdue and not select.select([sock], [], [], 0)[0])

    def priority(self, n: int) -> int:
        """The priority of the list for messages of priority ``n``."""
        steps = sorted(self.priority_steps)
        return steps[bisect(steps, n) - 1]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError) as error:
            # The queue that was read is now the last one in turn.
            set_aside(self._queue_cycle.items[-1], *_no_json(error))
            return None
        except ResponseError as error:
            if "WRONGTYPE" in str(error):
                # One of them would keep the worker from every other queue too.
                queues = (self._q_for_pri(name, step) for name in self.active_queues for step in self.priority_steps)
                self._set_keys_aside(dict.fromkeys(queues, "list"))
            raise

    def _handle_message(self, client: Any, r: Any) -> Any:
        # What is published for all: kombu 5.7.0 logs what is no JSON, but is ended by what is too deep.
        payload: dict[str, Any] = super()._handle_message(client, r)
        if bytes_to_str(payload["type"]).endswith("message") and payload["data"]:
            try:
                json.loads(payload["data"][: MAX_CHARACTERS + 1])
            except (ValueError, RecursionError) as error:
                # "/0.celery.pidbox", "/0.celeryev/worker.heartbeat"
                exchange = bytes_to_str(payload["channel"]).partition(".")[2].partition("/")[0]
                set_aside(exchange, *_no_json(error))
                payload["data"] = None
        return payload

    def _do_restore_message(self, payload: Any, exchange: Any, routing_key: Any, *arguments: Any) -> None:
        queue = routing_key if exchange == EXCHANGE.name and isinstance(routing_key, str) else None
        problem = "malformed: queue" if queue is None else problem_of(payload, queue)
        if problem is not None:
            set_aside("unacked", problem, repr(payload))
        else:
            super()._do_restore_message(payload, exchange, routing_key, *arguments)

    def _set_keys_aside(self, kinds: Mapping[str, str]) -> None:
        """Rename the keys that are of another type than theirs."""
        keys = [self.global_keyprefix + name for name in kinds]
        with self.conn_or_acquire() as client:
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.type(key)
            for name, key, kind in zip(kinds, keys, map(bytes.decode, pipe.execute()), strict=True):
                if kind not in (kinds[name], "none"):
                    with suppress(ResponseError):  # another worker was faster
                        client.rename(key, f"{key}:set_aside")
                        set_aside(name.partition(self.sep)[0], f"its key was a {kind}", key)


class Poller(redis.MultiChannelPoller):  # type: ignore[misc]  # kombu is untyped
    """kombu's poller, which notices a half-open connection also before kombu 5.7, the first that does."""

    _channels: set[Any]

    def maybe_check_subclient_health(self) -> None:
        """Send a PING for broadcasts. Raises ConnectionError, by which the worker connects again."""
        super().maybe_check_subclient_health()
        if any(channel.leads_nowhere() for channel in self._channels):
            self._channels = set()  # the timer goes on calling this when there is another poller
            raise RedisConnectionError("Redis does not answer")


class Transport(redis.Transport):  # type: ignore[misc]  # kombu is untyped
    """kombu's Redis transport with ``Channel``, which connects again after any error of Redis.

    With kombu 5.7.0 alone, an error reply, as of a Redis that became a replica or may not write, ends the worker, and
    so does an entry of a queue that is no message; the latter is set aside.
    """

    Channel = Channel
    cycle: Any
    connection_errors = (*redis.Transport.connection_errors, RedisError)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not hasattr(self.cycle, "maybe_check_brpop_health"):
            self.cycle = Poller()

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            if (problem := problem_of(message, queue)) is not None:
                set_aside(queue, problem, repr(message))
                return
            bind(message, queue)
            super()._deliver(message, queue)
        except DataError as error:
            set_aside(queue, f"malformed: {type(error).__name__}", repr(message))
        except self.connection_errors:
            raise
        except Exception as error:  # border: whatever a malformed message raises
            _LOGGER.warning("message_malformed", exc_info=error)
            set_aside(queue, f"malformed: {type(error).__name__}", repr(message))


def _no_json(error: ValueError | RecursionError) -> tuple[str, str]:
    """Reason and content of what is no JSON, or too long to be read."""
    content = str(getattr(error, "doc", getattr(error, "object", "")))
    return "too long" if len(content) > MAX_CHARACTERS else f"no JSON: {type(error).__name__}", content


class RedisConnection(Connection):  # type: ignore[misc]  # kombu is untyped
    """A connection over ``Transport``, with TLS for ``rediss://``, that soon connects again.

    The transport is set by name once kombu has read the URL, for which a named transport hides TLS; copies of the
    connection, such as those of a pool, are of kombu's class and have the name alone.
    """

    drain_until = math.inf
    """Until when messages are waited for, by ``time.monotonic()``, however many there are."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.transport_cls = TRANSPORT
        # The import path must not begin the URL in logs and in Flower, which finds the queues by the scheme.
        self.resolve_aliases = {**Connection.resolve_aliases, TRANSPORT: "rediss" if self.ssl else "redis"}

    def drain_events(self, **options: Any) -> Any:
        """Wait for a message. Raises TimeoutError, also once ``drain_until`` has passed."""
        if time.monotonic() >= self.drain_until:
            raise TimeoutError
        return super().drain_events(**options)

    def __eqhash__(self) -> Any:
        # By which kombu shares pools: not with a connection that verifies less.
        return HashedSeq(super().__eqhash__(), repr(self.ssl))

    def create_transport(self) -> Any:
        """A transport, which needs a descriptor. Celery ends a worker that has none left; this error is retried."""
        try:
            return super().create_transport()
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def as_uri(self, *arguments: Any, **options: Any) -> str:
        """The URL for logs, also of a connection that has no transport yet: why it has none is what is logged."""
        with suppress(ConnectionError, RedisError):
            uri: str = super().as_uri(*arguments, **options)
            # Only Flower asks for the password: it connects by itself, to what it takes for an address.
            sentinels = SENTINELS.get(self.hostname or "") if options.get("include_password") else None
            if sentinels is not None:
                host, port = primary_of(sentinels, self.connect_timeout)
                uri = uri.replace(f"{self.hostname}:{self.port}", f"{host}:{port}")
            return uri
        return "rediss://" if self.ssl else "redis://"

    def info(self) -> dict[str, Any]:
        """What ``inspect stats`` and Flower show of the connection."""
        info: dict[str, Any] = super().info()
        if info["ssl"]:
            info["ssl"] = {name: value for name, value in info["ssl"].items() if name != "ssl_password"}
        return info

    def _ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        # The first two arguments are no intervals; publishing passes intervals of its own.
        return super()._ensure_connection(*arguments, **(options if arguments[2:] else RECONNECT | options))


class Amqp(AMQP):  # type: ignore[misc]  # Celery is untyped
    """Celery's factory of connections, with ``RedisConnection``."""

    Connection = RedisConnection
    _producer_pool: Any

    @property
    def producer_pool(self) -> Any:
        """The pool of producers; a new one where it was closed.

        kombu's pools belong to the whole process: an app with a Celery of its own that calls ``pools.reset()``, or
        forks, closes ours as well.
        """
        if _is_closed(self._producer_pool):
            self._forget_pools()
        if _is_closed(super().producer_pool):
            connection = self.app.connection_for_write()
            for group in (pools.producers, pools.connections):
                group.pop(eqhash(connection), None)
            self._forget_pools()
        return super().producer_pool

    @cached_property
    def _event_dispatcher(self) -> Any:
        """Celery's dispatcher of ``task-sent`` events, which has the name of each process that publishes.

        Flower counts by names, so that its metrics would have series of each of them, for ever.
        """
        return self.app.events.Dispatcher(enabled=False, hostname=PUBLISHERS)

    def _forget_pools(self) -> None:
        self._producer_pool = None
        self.app._pool = None  # noqa: SLF001  # Celery has no other way


def _is_closed(pool: Any) -> bool:
    return pool is not None and (pool._closed or pool.connections._closed)  # noqa: SLF001  # nor kombu
