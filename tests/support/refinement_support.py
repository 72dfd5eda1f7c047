"""Every way in which a draft is not refined, for the tests of the two places that refine one."""

from __future__ import annotations

from itertools import count
from typing import Any

from orchestrator.errors import ConfigurationError
from orchestrator.models import Action, Claim, Diagnosis
from orchestrator.synthesis import Synthesis, SynthesisFailed
from orchestrator.testing import Panic

FAILURES: dict[str, tuple[object, dict[str, Any], str]] = {
    "the model's own": (
        SynthesisFailed("rate_limited", "429", {"model": "m", "tokens": {1, 2}}),
        {"model": "m", "tokens": [1, 2], "failed": "rate_limited"},
        "reason=rate_limited",
    ),
    "metadata that is none": (
        SynthesisFailed("rate_limited", "429", 7),  # type: ignore[arg-type]  # what a site may do
        {"failed": "rate_limited"},
        "reason=rate_limited",
    ),
    "a reason that is none": (SynthesisFailed(429, "x"), {"failed": "SynthesisFailed"}, "reason=unexpected"),  # type: ignore[arg-type]
    "one of ours": (ConfigurationError("LLM_MODEL"), {"failed": "configuration"}, "reason=configuration"),
    "one that nobody foresaw": (RuntimeError("boom"), {"failed": "RuntimeError"}, "reason=unexpected"),
    "an exit": (SystemExit(3), {"failed": "SystemExit"}, "reason=unexpected"),
    "an interrupt": (KeyboardInterrupt(), {"failed": "KeyboardInterrupt"}, "reason=unexpected"),
    "a panic": (Panic("rust"), {"failed": "Panic"}, "reason=unexpected"),
    "a timeout of its own": (TimeoutError("mine"), {"failed": "TimeoutError"}, "reason=unexpected"),
    "no synthesis": (None, {"failed": "no_diagnosis"}, "reason=no_diagnosis"),
    "a confidence of seven": (
        Synthesis(Diagnosis.model_construct(summary="x", confidence=7.0)),
        {"failed": "ValidationError"},
        "reason=unexpected",
    ),
    "claims that are none": (
        Synthesis(Diagnosis(summary="x").model_copy(update={"claims": None})),
        {"failed": "ValidationError"},
        "reason=unexpected",
    ),
    "wrong values deep inside": (
        Synthesis(Diagnosis.model_construct(summary="x", actions=(Action.model_construct(text="x", mutates=[]),))),
        {"failed": "ValidationError"},
        "reason=unexpected",
    ),
    "a diagnosis without an end": (
        Synthesis(Diagnosis.model_construct(summary="x", claims=(Claim(text="x") for _ in count()))),
        {"failed": "TooLarge"},
        "reason=unexpected",
    ),
    "megabytes": (Synthesis(Diagnosis(summary="x" * 20_000_000)), {"failed": "TooLarge"}, "reason=unexpected"),
    "no diagnosis": (Synthesis(None), {"failed": "no_diagnosis"}, "reason=no_diagnosis"),  # type: ignore[arg-type]
}
"""By name: what the synthesizer raises or returns, `metadata.llm` of the report, and a part of the log line."""
