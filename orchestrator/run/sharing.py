"""Answers of sources that runs share: a query that another run has just made, or is making, is not made again.

Off unless the pipeline gives the source a time for which its answers are kept (``PlannedSource.cache_seconds``).
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.deadline import Deadline
from orchestrator.errors import SchemaMismatch, StoreUnreachable
from orchestrator.logs import get_logger
from orchestrator.models import SourceEnvelope
from orchestrator.run.source_call import SourceCall
from orchestrator.store.reading import read_stored
from orchestrator.store.runs import ANY_TOKEN, RunStore, new_token

_LOGGER = get_logger(__name__)
POLL_SECONDS = 0.05
LEASE_MARGIN_SECONDS = 0.5
"""Seconds after a query's limit at which another caller may ask: the one that asked has died."""
_NOT_ASKED = {"confidence", "because", "follows", "other_subjects"}
"""What of the routing no source is asked."""


@dataclass(frozen=True, slots=True)
class SharedAnswers:
    """Answers kept in the store, by what was asked."""

    store: RunStore

    def answer(self, call: SourceCall, ask: Callable[[], SourceEnvelope]) -> SourceEnvelope:
        """The envelope of a call: what another run has got, waited for while it asks, else what ``ask`` gives.

        Only answers are shared, no failures. Where the store does not answer, ``ask`` does; it always does for a run
        that asks everything again, whose answer replaces what was kept.
        """
        if call.planned.cache_seconds <= 0:
            return ask()
        digest, token = _digest(call), new_token()
        if call.start.request.rerun_all:
            envelope = ask()
            if _may_be_kept(envelope):
                self._keep(call, digest, ANY_TOKEN, envelope)
            return envelope
        shared = self._wait(call, digest, token)
        if shared is not None:
            return shared
        asked: SourceEnvelope | None = None
        try:
            asked = ask()
        finally:
            self._keep(call, digest, token, asked)
        return asked

    def _wait(self, call: SourceCall, digest: str, token: str) -> SourceEnvelope | None:
        """The answer of another run; None for a caller that is to ask."""
        end = Deadline.after(call.limit_seconds)
        lease_ms = int((end.remaining() + LEASE_MARGIN_SECONDS) * 1000)
        try:
            while (reply := self.store.share(digest, token, lease_ms=lease_ms))[0] == "wait" and not end.has_passed:
                time.sleep(min(POLL_SECONDS, end.remaining()))
            if reply[0] != "ok":
                return None
            envelope, damage = read_stored(SourceEnvelope, reply[1], run_id=call.run_id, part=call.planned.key)
        except (SchemaMismatch, StoreUnreachable) as error:
            _LOGGER.warning("answer_not_shared source=%s reason=%s", call.planned.source, error.reason)
            return None
        if envelope is None or damage:
            return None
        return _received(envelope, call)

    def _keep(self, call: SourceCall, digest: str, token: str, envelope: SourceEnvelope | None) -> None:
        """Keep a good answer for other runs; where there is none, let another ask."""
        value = ""
        if envelope is not None and _may_be_kept(envelope):
            shared = {"shared_from": call.run_id}
            parts = tuple(part.model_copy(update=shared) for part in envelope.parts)
            value = envelope.model_copy(update=shared | {"parts": parts}).model_dump_json()
        try:
            self.store.put_shared(digest, token, value, keep_ms=max(1, int(call.planned.cache_seconds * 1000)))
        except StoreUnreachable as error:
            _LOGGER.warning("answer_not_kept source=%s reason=%s", call.planned.source, error.reason)


def _may_be_kept(envelope: SourceEnvelope) -> bool:
    return envelope.success and all(part.success for part in envelope.parts)


def _received(envelope: SourceEnvelope, call: SourceCall) -> SourceEnvelope:
    """Another run's answer as that of this call, with its age; of a batch in the order of its jobs."""
    by_job = {part.job: _aged(part, call) for part in envelope.parts}
    parts = tuple(by_job[job] for job in call.planned.jobs if job in by_job)
    update = {"job": call.planned.job, "batch": call.planned.batch, "parts": parts}
    return call.timed(_aged(envelope, call).model_copy(update=update))


def _aged(envelope: SourceEnvelope, call: SourceCall) -> SourceEnvelope:
    if envelope.started_at_ms is None:
        return envelope
    made_ms = envelope.started_at_ms + round(envelope.latency_ms)
    waited_ms = round((call.limit_seconds - call.left_seconds) * 1000)
    return envelope.model_copy(update={"shared_age_ms": max(0, call.start.now_ms + waited_ms - made_ms)})


def _digest(call: SourceCall) -> str:
    """Of what is asked: near-identical messages are the same, and the same jobs in another order."""
    planned, request, plan = call.planned, call.start.request, call.start.plan
    routing = plan.routing.model_dump(mode="json", exclude=_NOT_ASKED)
    routing["entities"]["jobs"].sort()
    asked = [
        planned.source,
        planned.job,
        sorted(planned.jobs),
        request.tws_instance_id,
        " ".join(request.message.casefold().split()).strip(" .!?"),
        routing,
        request.config.rag_result_limit,
        call.redact_personal,
    ]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
