"""Synthesizers: models that refine the draft of the rules, when one is configured and there is time."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from orchestrator.codes.control import visible_in
from orchestrator.errors import TroubleshootError
from orchestrator.json_safe import json_safe
from orchestrator.logs import get_logger, log_error
from orchestrator.models import AggregatedData, Diagnosis, JobGroup, Plan, SourceEnvelope, TroubleshootRequest
from orchestrator.plugins import Escaped, contained, installed, made_or
from orchestrator.redaction.redact import redact_data, redact_start

_LOGGER = get_logger(__name__)
SYNTHESIZERS_GROUP = "resync_troubleshoot.synthesizers"
MAX_SYNTHESIS_CHARACTERS = 100_000
"""Longest diagnosis of a synthesizer, and the longest text that it may stream; answers have some thousands."""
MAX_METADATA_CHARACTERS = 20_000
MAX_REASON_CHARACTERS = 100
SYNTHESIZER_CLOSE_FAILED = "synthesizer_close_failed"


@dataclass(frozen=True, slots=True)
class Case:
    """Everything known about a run: the input of a synthesizer."""

    run_id: str
    request: TroubleshootRequest
    plan: Plan | None
    envelopes: tuple[SourceEnvelope, ...]
    """One per planned source, with a stand-in (``not_started``, ``lost``, ``timeout``) for each that has none."""
    aggregated: AggregatedData
    draft: Diagnosis
    groups: tuple[JobGroup, ...] = ()
    """Of several jobs their causes, the worst first: they stand in the answer, whatever the synthesizer writes."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A refined diagnosis; ``metadata`` (model, tokens, ...) becomes ``llm`` in the metadata of the report."""

    diagnosis: Diagnosis
    metadata: dict[str, Any] = field(default_factory=dict)


class SynthesisFailed(Exception):
    """The model gave no usable answer, so that the draft is the answer.

    ``metadata`` (model, attempts, tokens) is reported as well.
    """

    def __init__(self, reason: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = metadata or {}


class Synthesizer(Protocol):
    """Refines a draft; a call that is cancelled closes its connection."""

    async def synthesize(self, case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Synthesis:
        """Return the checked diagnosis within ``timeout_seconds``.

        ``emit`` is called with fragments of the answer for readers: rendered, checked and redacted.

        Raises SynthesisFailed for any failure of the model or its connection.
        """
        ...

    async def close(self) -> None:
        """Close the client."""
        ...


def synthesis_of(
    run_id: str, future: Future[Synthesis] | asyncio.Future[Synthesis], *, personal: bool = False
) -> tuple[Synthesis, dict[str, Any]]:
    """The result of a synthesizer's call, and its metadata as JSON types; both masked, ``personal`` data as well.

    Raises SynthesisFailed when the call has not ended or returned no synthesis, ValidationError for a diagnosis with
    values that its fields do not allow, TooLarge for one that is too long, and whatever the call raised.
    """
    if not future.done():
        raise SynthesisFailed("timeout", "the synthesizer was stopped at its limit")
    if future.cancelled():
        raise SynthesisFailed("cancelled", "the synthesizer was cancelled")
    with contained():
        result: object = future.result()
        if not isinstance(result, Synthesis) or not isinstance(result.diagnosis, Diagnosis):
            raise SynthesisFailed("no_diagnosis", f"the synthesizer of run {run_id} returned no diagnosis")
        # Not model_dump: a diagnosis that was not validated when it was made may hold anything, without an end.
        fields = json_safe(result.diagnosis, max_characters=MAX_SYNTHESIS_CHARACTERS)
        diagnosis = Diagnosis.model_validate(redact_data(visible_in(fields), personal=personal))
        return replace(result, diagnosis=diagnosis), _metadata(result.metadata, personal=personal)


def refinement_failure(run_id: str, error: BaseException, *, personal: bool = False) -> dict[str, Any]:
    """Log why a draft was not refined, and return the report's metadata about it, masked as by ``synthesis_of``."""
    error = error.error if isinstance(error, Escaped) else error
    if isinstance(error, (SynthesisFailed, TroubleshootError)):
        # Border: a site's class may raise in each of its attributes; logged below.
        with suppress(Exception), contained():
            metadata = _metadata(error.metadata, personal=personal) if isinstance(error, SynthesisFailed) else {}
            reason, _ = redact_start(error.reason, MAX_REASON_CHARACTERS, personal=personal)
            failure = {**metadata, "failed": reason}
            status = failure.get("status")
            if isinstance(status, int):
                _LOGGER.warning("synthesis_failed run_id=%s reason=%s status=%s", run_id, reason, status)
            else:
                _LOGGER.warning("synthesis_failed run_id=%s reason=%s", run_id, reason)
            return failure
    log_error(_LOGGER, "synthesis_failed run_id=%s reason=unexpected", run_id, error=error)
    return {"failed": type(error).__name__}


def _metadata(metadata: object, *, personal: bool) -> dict[str, Any]:
    """Metadata of a synthesizer as JSON types, masked.

    None that cannot be written or is too large: the answer is not its.
    """
    try:
        with contained():
            return dict(redact_data(json_safe(metadata, max_characters=MAX_METADATA_CHARACTERS), personal=personal))
    except Exception as error:  # noqa: BLE001  # border: a site's synthesizer may return anything
        _LOGGER.warning("synthesis_metadata_left_out error=%s", type(error).__name__)
        return {}


def load_synthesizer(environ: Mapping[str, str]) -> Synthesizer | None:
    """The first installed synthesizer whose settings name a model, or None.

    Raises ConfigurationError naming the variable.
    """
    synthesizers: Iterator[Synthesizer | None] = (create(environ) for create in installed(SYNTHESIZERS_GROUP))
    return next((synthesizer for synthesizer in synthesizers if synthesizer is not None), None)


class _NotLoaded:
    """In place of a synthesizer that is configured and cannot be made, so that answers tell it from none at all."""

    async def synthesize(self, _case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Synthesis:  # noqa: ARG002  # the protocol's
        raise SynthesisFailed("not_loaded", "the synthesizer could not be made from its settings")

    async def close(self) -> None:
        """Nothing was opened."""


def try_synthesizer(environ: Mapping[str, str]) -> Synthesizer | None:
    """``load_synthesizer``; when it cannot be made, one that always fails: the rules answer, and say so."""
    not_loaded: Synthesizer | None = _NotLoaded()
    return made_or(not_loaded, load_synthesizer, environ, event="synthesizer_not_loaded")
