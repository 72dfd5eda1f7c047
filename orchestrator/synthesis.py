"""What a synthesizer is: the step that turns the draft into the answer, when there is one and there is time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

from orchestrator.models import AggregatedData, Diagnosis, Plan, SourceEnvelope, TroubleshootRequest

SYNTHESIZERS_GROUP = "resync_troubleshoot.synthesizers"


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


def load_synthesizer(environ: Mapping[str, str]) -> Synthesizer | None:
    """The installed synthesizer, or None when none is installed or none is configured.

    A factory returns None when its settings name no model: an answer is then ``mode: deterministic``.
    """
    for point in entry_points(group=SYNTHESIZERS_GROUP):
        try:
            create = point.load()
        except ImportError:
            continue
        synthesizer: Synthesizer | None = create(environ)
        if synthesizer is not None:
            return synthesizer
    return None
