"""``TroubleshootClient``: submit a run, follow it, read its report, cancel it, list runs.

No call waits longer than a run's deadline plus grace, whether Redis, workers and watchers are up or not.
"""

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from types import EllipsisType
from typing import Self

from celery import Celery

from orchestrator.broker.app import make_celery
from orchestrator.broker.publisher import Publisher
from orchestrator.broker.queues import ServedQueues
from orchestrator.client.follower import AsyncFollower, Follower
from orchestrator.client.single_flight import SingleFlight
from orchestrator.client.waiting import Pulse, Waiting
from orchestrator.codes.control import visible
from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import Conflict, InvalidRequest, RunNotFound, StoreUnreachable
from orchestrator.logs import get_logger, shown
from orchestrator.models import (
    MAX_MESSAGE_CHARACTERS,
    Event,
    EventType,
    Report,
    RunPage,
    RunSnapshot,
    RunState,
    RunSummary,
    TroubleshootRequest,
    is_run_id,
)
from orchestrator.redaction.redact import MARK, redact
from orchestrator.routing.plan import check_minimum
from orchestrator.routing.registry import check_pipeline
from orchestrator.run.conclusion import warm_up_aside
from orchestrator.run.finisher import Finisher
from orchestrator.run.report import stored_report, unreachable_report
from orchestrator.store.connection import connect, connect_reader
from orchestrator.store.events import START, EventReader, check_event_id, key_of, with_results
from orchestrator.store.records import RunRecord, snapshot
from orchestrator.store.run_copy import RunCopy
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.run_list import RunList
from orchestrator.store.runs import RunStore, new_token
from orchestrator.tracing import span

_LOGGER = get_logger(__name__)
MAX_KNOWN_RUNS = 1_000
MAX_GIVEN_UP = 100
MAX_IDEMPOTENCY_KEY_CHARACTERS = 200


class TroubleshootClient:
    """Synchronous client; safe to share between threads.

    ``settings`` are read from the environment when left out. Use it as a context manager or call ``close``::

        with TroubleshootClient() as client:
            run_id = client.submit(TroubleshootRequest(message="Job BATCH001 failed with ABEND S0C7"))
            report = client.result(run_id)
            print(report.outcome, report.response)
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.from_env()
        self._client = connect(self._settings)
        self._reader = connect_reader(self._settings)
        self._store = RunStore(self._client, self._settings)
        self._runs = RunList(self._client, self._store.keys)
        self._publisher = Publisher(_broker_app(self._settings))
        self._pulse = Pulse()
        self._single_flight = SingleFlight(self._store, Finisher(self._store, by="client"), self._pulse)
        self.given_up: dict[str, RunCopy] = {}
        self._submitted: dict[str, tuple[Deadline, TroubleshootRequest]] = {}
        self._submitted_lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._settings

    @property
    def store(self) -> RunStore:
        """The run store, for callers that finish or dispatch runs themselves."""
        return self._store

    @property
    def publisher(self) -> Publisher:
        """The publisher, for callers that dispatch runs themselves."""
        return self._publisher

    @property
    def pulse(self) -> Pulse:
        """When the store last answered a reader of this client."""
        return self._pulse

    def served_queues(self) -> frozenset[str]:
        """Names of the queues that live workers consume; takes half a second, or less where others have just asked.

        Raises StoreUnreachable.
        """
        return _served_queues(self._settings).names()

    def submit(
        self, request: TroubleshootRequest, *, run_id: str | None = None, idempotency_key: str | None = None
    ) -> str:
        """Submit a run and return its id, without waiting for a worker.

        ``run_id`` (8 to 64 letters, digits, ``-`` or ``_``) is generated when left out. The same ``idempotency_key``
        returns the same run for the same question. Secrets in the message are masked before it is stored. A run whose
        message cannot be published any more is accepted all the same: a watcher publishes it again.

        Raises StoreUnreachable (within one second), Overloaded, UnknownInstance, InvalidRequest, Conflict when the run
        id or the idempotency key is that of another question.
        """
        run_id = _checked_run_id(run_id)
        _check_idempotency_key(idempotency_key)
        check_minimum(request.config)
        check_pipeline(request)
        safe = self.masked(request)
        deadline = Deadline.after(request.config.total_timeout_seconds)
        with span("troubleshoot.submit", kind="producer", run_id=run_id):
            return self._open(run_id, safe, deadline, idempotency_key)

    def _open(self, run_id: str, safe: TroubleshootRequest, deadline: Deadline, idempotency_key: str | None) -> str:
        opened = self._store.open(run_id, safe, nonce=new_token(), idempotency_key=idempotency_key)
        if opened.is_new:
            _LOGGER.info("run_submitted run_id=%s total_seconds=%s", run_id, safe.config.total_timeout_seconds)
            self._remember(run_id, deadline, safe)
            try:
                self._publisher.publish_run(opened.run_id)
            except StoreUnreachable as error:
                _LOGGER.warning("publish_failed run_id=%s error=%s", opened.run_id, shown(error))
        return opened.run_id

    def rerun(
        self,
        run_id: str,
        *,
        everything: bool = False,
        new_run_id: str | None = None,
        idempotency_key: str | None = None,
        user_id: str | EllipsisType | None = ...,
    ) -> str:
        """Submit the question of an ended run again, and return the id of the new run.

        The sources that had answered are not asked again, unless ``everything`` is; their answers are kept. ``user_id``
        is who asks now, that of the earlier run when left out. See ``submit`` for the other parameters.

        Raises RunNotFound, Conflict for an open run, and what ``submit`` raises.
        """
        with self.own_run(run_id):
            record = self._store.read(run_id)
        if not record.state.is_closed:
            raise Conflict("run {run_id} has not ended; wait for its end or cancel it", run_id=run_id)
        update = {
            "rerun_of": run_id,
            "rerun_all": everything,
            "user_id": record.request.user_id if user_id is ... else user_id,
        }
        request = record.request.model_copy(update=update)
        return self.submit(request, run_id=new_run_id, idempotency_key=idempotency_key)

    def masked(self, request: TroubleshootRequest) -> TroubleshootRequest:
        """The request as it is stored, with the secrets in its message masked."""
        return masked_request(request, personal=self._settings.redact_personal)

    def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        """Wait for the end of the run and return its report; a run that nobody finished by its deadline is finished
        here.

        When Redis is gone, returns by the deadline plus 250 ms (within a second after the deadline) the answer of the
        rules to what was read so far, with ``committed`` False and ``reason`` ``store_unreachable``; a second or two
        after it went when every source's answer was read.
        ``timeout_seconds`` limits the wait of this caller.

        Raises RunNotFound, OutOfConnections, TimeoutError after ``timeout_seconds`` (the run goes on), StoreUnreachable
        for a run that was not submitted here, whose deadline only the store knows, SchemaMismatch.
        """
        waiting = self.waiting_for(run_id, timeout_seconds=timeout_seconds)
        if (copy := self.given_up.pop(run_id, None)) is not None:
            return self.report_without_end(copy, waiting)
        follower = self._follower(run_id, waiting, only_the_end=True)
        with self.own_run(run_id):
            for _ in follower.events(START):
                pass  # no events with only_the_end
        return follower.report or self.report_without_end(follower.copy, waiting, timeout_seconds)

    def stream(
        self, run_id: str, *, after: str = START, keeps_answers: bool = False, with_results: bool = False
    ) -> Iterator[Event]:
        """Events of the run after the event id ``after``, as they come, up to the terminal one.

        Pass the ``id`` of the last event to resume. When Redis is gone, the stream ends at the run's deadline without
        a terminal event. With ``keeps_answers`` the sources' answers are read as well, and the next ``result`` then
        returns at once the answer of the rules to them; the stream ends sooner when all of them were read.
        ``with_results`` adds a source's data and evidence to its event ``source_finished``: a list ``results`` of
        envelopes, one for each job.

        Raises RunNotFound, OutOfConnections, InvalidRequest for an ``after`` that is no event id, StoreUnreachable as
        ``result`` does.
        """
        start = check_event_id(after)
        follower = self._follower(run_id, self.waiting_for(run_id), keeps_copy=keeps_answers)
        events = self._events(run_id, follower, start)
        return map(self.with_results, events) if with_results else events

    def with_results(self, event: Event) -> Event:
        """An event that is about the end of a source with its data and evidence, where the store gives them."""
        if event.type is not EventType.SOURCE_FINISHED:
            return event
        with suppress(StoreUnreachable):
            return with_results(event, self._store.results(event.run_id, key_of(event.data)))
        return event

    def get(self, run_id: str) -> RunSnapshot:
        """The present state of the run; an open run past its deadline is finished first.

        Raises RunNotFound, StoreUnreachable, SchemaMismatch.
        """
        with self.own_run(run_id):
            record = self._store.read(run_id)
            deadline = self.known_deadline(run_id)
            is_over = record.remaining_seconds <= 0 if deadline is None else deadline.has_passed
            if is_over and not record.state.is_closed:
                self.end(run_id, is_closed=False, deadline=deadline)
                record = self._store.read(run_id)
        return snapshot(record, stored_report(record) if record.state is RunState.DONE else None)

    def cancel(self, run_id: str, *, by: str = "client") -> RunSummary:
        """Cancel a run in the name of ``by`` and return its summary; a closed run stays as it is.

        Raises RunNotFound, StoreUnreachable.
        """
        with self.own_run(run_id):
            if self._store.cancel(run_id, by=by):
                _LOGGER.info("run_cancelled run_id=%s by=%s", run_id, by)
            return self._runs.summary(run_id)

    def close(self) -> None:
        """Close every connection."""
        self._publisher.close()
        self._reader.close()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remember(self, run_id: str, deadline: Deadline, request: TroubleshootRequest) -> None:
        """Keep what a report needs when Redis is gone before the first read: the deadline by this process's clock."""
        with self._submitted_lock:
            while len(self._submitted) >= MAX_KNOWN_RUNS:
                del self._submitted[next(iter(self._submitted))]
            self._submitted[run_id] = deadline, request

    def remember(self, follower: Follower | AsyncFollower) -> None:
        """Keep what a reader has read of its run that gave up on the store, for the next ``result``."""
        if follower.has_given_up and follower.keeps_copy and follower.waiting.is_silent:
            while len(self.given_up) >= MAX_GIVEN_UP:
                self.given_up.pop(next(iter(self.given_up), ""), None)
            self.given_up[follower.run_id] = follower.copy

    def _follower(
        self, run_id: str, waiting: Waiting, *, only_the_end: bool = False, keeps_copy: bool = False
    ) -> Follower:
        return Follower(
            run_id=run_id,
            reader=EventReader(self._reader, self._store.keys),
            end=lambda is_closed: self.end(run_id, is_closed=is_closed, deadline=waiting.deadline),
            waiting=waiting,
            only_the_end=only_the_end,
            keeps_copy=keeps_copy,
        )

    def _events(self, run_id: str, follower: Follower, start: str) -> Iterator[Event]:
        with self.own_run(run_id):
            yield from follower.events(start)
        self.remember(follower)

    @contextmanager
    def own_run(self, run_id: str) -> Iterator[None]:
        """Raise RunNotFound as what it is for a run that was submitted here: its store has lost it."""
        try:
            yield
        except RunNotFound:
            submitted = self._submitted.get(run_id)
            if submitted is None:
                raise
            deadline, request = submitted
            age_ms = deadline.elapsed_ms(request.config.total_timeout_seconds)
            if age_ms >= self._settings.run_ttl_seconds * 1000:
                raise
            raise RunNotFound.forgotten(run_id) from None

    def known_deadline(self, run_id: str) -> Deadline | None:
        """The deadline of a run that this client submitted, on this process's clock; None for any other run."""
        submitted = self._submitted.get(run_id)
        return None if submitted is None else submitted[0]

    def deadline_of(self, run_id: str) -> Deadline:
        """The run's deadline on this process's clock; read from the store for a run that was not submitted here.

        Raises RunNotFound, StoreUnreachable.
        """
        return self.known_deadline(run_id) or Deadline.after(self._store.state(run_id)[1] / 1000)

    def waiting_for(
        self, run_id: str, *, timeout_seconds: float | None = None, deadline: Deadline | None = None
    ) -> Waiting:
        """The wait of one reader of the run; ``deadline`` is read from the store when left out.

        Raises RunNotFound, StoreUnreachable.
        """
        # Now, as a run that nobody finishes must be answered here within milliseconds.
        warm_up_aside()
        patience = None if timeout_seconds is None else Deadline.after(timeout_seconds)
        return Waiting(deadline=deadline or self.deadline_of(run_id), pulse=self._pulse, patience=patience)

    def end(self, run_id: str, *, is_closed: bool, deadline: Deadline | None) -> Report | None:
        """See ``SingleFlight.end``."""
        return self._single_flight.end(run_id, is_closed=is_closed, deadline=deadline)

    def report_without_end(self, copy: RunCopy, waiting: Waiting, timeout_seconds: float | None = None) -> Report:
        """The report, made of what was read, of a run whose store went away before its end.

        Raises TimeoutError when the caller's ``timeout_seconds`` were over first.
        """
        if timeout_seconds is not None and waiting.is_out_of_patience:
            raise TimeoutError(f"run {copy.run_id} was not finished within {timeout_seconds:g} s; it goes on")
        record, submitted = copy.record(), self._submitted.get(copy.run_id)
        if record is None:
            request = TroubleshootRequest(message="?") if submitted is None else submitted[1]
            record = RunRecord.unstored(copy.run_id, request)
        deadline = waiting.deadline if submitted is None else submitted[0]
        return unreachable_report(record, elapsed_ms=deadline.elapsed_ms(record.total_seconds))

    def check_owner(self, run_id: str, user_id: str | None) -> None:
        """Raise RunNotFound unless the run was submitted with that ``user_id``; without one, always.

        The error is that of a run that is not stored, in words and time. Raises StoreUnreachable.
        """
        submitted = self._submitted.get(run_id)
        is_theirs = submitted is not None and submitted[1].user_id == user_id
        with self.own_run(run_id) if is_theirs else nullcontext():
            self._store.check_owner(run_id, user_id)

    def page(self, *, limit: int = 20, after: str | None = None, where: RunFilter | None = None) -> RunPage:
        """The newest ``limit`` runs of those in ``where``, newest first, and where the next page begins::

            failed = RunFilter(outcome=("failed", "timed_out"), job="BATCH001", since="7d")
            page = client.page(limit=50, where=failed)
            rest = client.page(limit=50, where=failed, after=page.next) if page.next else None

        At most 10,000 runs are looked at for a page: it may have fewer runs, or none, and ``next`` all the same.

        Raises InvalidRequest for a ``limit`` below 1 or above 1,000 and an ``after`` that is no ``next``,
        StoreUnreachable.
        """
        return self._runs.page(limit=limit, after=after, where=where)

    def list(self, *, limit: int = 20, where: RunFilter | None = None) -> list[RunSummary]:
        """The runs of the first ``page``."""
        return [*self.page(limit=limit, where=where).runs]


@lru_cache(maxsize=8)
def _broker_app(settings: Settings) -> Celery:
    """The Celery application of all clients of one broker in this process.

    kombu 5.7.0 keeps one pool of producers for all of them and enlarges it with each application: a process that makes
    a client for each question would grow by some 4 KB every time.
    """
    return make_celery(settings, with_results=False)


@lru_cache(maxsize=8)
def _served_queues(settings: Settings) -> ServedQueues:
    return ServedQueues(_broker_app(settings))


def masked_request(request: TroubleshootRequest, *, personal: bool) -> TroubleshootRequest:
    """The request with the secrets in its message and session id masked, and without what no reader sees.

    The message is cut to the longest one: a mask may be longer than its secret, and a request that is too long could
    not be read again. A masked session id stays one of its own.
    """
    message = redact(visible(request.message), personal=personal)[:MAX_MESSAGE_CHARACTERS]
    update: dict[str, str] = {"message": message}
    if request.session_id and redact(request.session_id, personal=personal) != request.session_id:
        update["session_id"] = f"{MARK}-{hashlib.sha256(request.session_id.encode()).hexdigest()[:32]}"
    return request.model_copy(update=update)


def _checked_run_id(run_id: str | None) -> str:
    if run_id is None:
        return uuid.uuid4().hex
    if not is_run_id(run_id):
        raise InvalidRequest(
            "{field}: {run_id!r} must be 8 to 64 letters, digits, '-' or '_', not starting with a sign",
            field="run_id",
            run_id=run_id[:80],
        )
    return run_id


def _check_idempotency_key(key: str | None) -> None:
    if key is not None and not (1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARACTERS and key.isprintable()):
        raise InvalidRequest(
            "{field}: must be 1 to {most} characters that can be printed",
            field="idempotency_key",
            most=MAX_IDEMPOTENCY_KEY_CHARACTERS,
        )
