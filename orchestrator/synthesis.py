"""What a synthesizer is: the step that turns the draft into the answer, when there is one and there is time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from orchestrator.errors import TroubleshootError
from orchestrator.json_safe import json_safe
from orchestrator.logs import log_error
from orchestrator.models import AggregatedData, Diagnosis, Plan, SourceEnvelope, TroubleshootRequest
from orchestrator.plugins import installed, made_or

_LOGGER = logging.getLogger(__name__)
SYNTHESIZERS_GROUP = "resync_troubleshoot.synthesizers"
CLOSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Case:
    """Everything known about a run when its answer is written."""

    run_id: str
    request: TroubleshootRequest
    plan: Plan | None
    envelopes: tuple[SourceEnvelope, ...]
    """One per planned source; those that never reported stand in with ``not_started``, ``lost`` or ``timeout``."""
    aggregated: AggregatedData
    draft: Diagnosis


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A refined diagnosis and what it cost. ``metadata`` goes into the report's metadata under ``llm``."""

    diagnosis: Diagnosis
    metadata: dict[str, Any] = field(default_factory=dict)


class SynthesisFailed(Exception):
    """The model gave no usable answer; the draft is the answer.

    ``metadata`` (model, reason, attempts, tokens) goes into the report all the same.
    """

    def __init__(self, reason: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = metadata or {}


class Synthesizer(Protocol):
    """Refines a draft. Async and cancellable: a cancelled call closes its connection."""

    async def synthesize(self, case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Synthesis:
        """Return the checked diagnosis; ``emit`` takes rendered, validated, redacted fragments for the reader.

        Raises SynthesisFailed for everything that is the model's or the connection's fault.
        """
        ...

    async def close(self) -> None:
        """Release the client."""
        ...


def synthesis_of(
    run_id: str, future: Future[Synthesis] | asyncio.Future[Synthesis]
) -> tuple[Synthesis, dict[str, Any]]:
    """What a synthesizer returned by now, and its metadata as a report can hold it.

    Raises SynthesisFailed when it has not ended or returned no synthesis, ValidationError for a diagnosis that holds
    what its fields do not allow, and whatever it raised itself.
    """
    if not future.done():
        raise SynthesisFailed("timeout", "the synthesizer was stopped at its limit")
    if future.cancelled():
        raise SynthesisFailed("cancelled", "the synthesizer was cancelled")
    found: object = future.result()
    if not isinstance(found, Synthesis) or not isinstance(found.diagnosis, Diagnosis):
        raise SynthesisFailed("no_diagnosis", f"the synthesizer of run {run_id} returned no diagnosis")
    checked = Diagnosis.model_validate(found.diagnosis.model_dump(warnings=False))
    return replace(found, diagnosis=checked), json_safe(dict(found.metadata))


def refinement_failure(run_id: str, error: Exception) -> dict[str, Any]:
    """Log why a draft could not be refined; what the report's metadata says of it under ``llm``."""
    if isinstance(error, (SynthesisFailed, TroubleshootError)):
        _LOGGER.warning("synthesis_failed run_id=%s reason=%s", run_id, error.reason)
        metadata = json_safe(dict(error.metadata)) if isinstance(error, SynthesisFailed) else {}
        return {**metadata, "failed": error.reason}
    log_error(_LOGGER, "synthesis_failed run_id=%s reason=unexpected", run_id, error=error)
    return {"failed": type(error).__name__}


async def close_synthesizer(synthesizer: Synthesizer) -> None:
    """Release the client; what fails there must not cost the answer, which is there."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await synthesizer.close()
    except Exception as error:  # noqa: BLE001  # border: a site's synthesizer may raise anything
        log_error(_LOGGER, "synthesizer_close_failed", error=error)


def load_synthesizer(environ: Mapping[str, str]) -> Synthesizer | None:
    """The installed synthesizer, or None when none is installed or none is configured.

    A factory returns None when its settings name no model: an answer is then ``mode: deterministic``.
    """
    synthesizers: Iterator[Synthesizer | None] = (create(environ) for create in installed(SYNTHESIZERS_GROUP))
    return next((synthesizer for synthesizer in synthesizers if synthesizer is not None), None)


def try_synthesizer(environ: Mapping[str, str]) -> Synthesizer | None:
    """``load_synthesizer``, or None when it cannot be made: the rules answer then."""
    return made_or(None, load_synthesizer, environ, event="synthesizer_not_loaded")
