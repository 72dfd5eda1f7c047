"""What a source returns is made JSON-safe: JSON and UTF-8 hold it and it reads back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import SourceError
from orchestrator.json_safe import MAX_DEPTH, TOO_DEEP, json_safe, utf8_safe
from orchestrator.models import PlannedSource, SourceEnvelope
from orchestrator.run.envelopes import error_envelope, fit_to_store, result_envelope
from orchestrator.sources import FetchResult

PLANNED = PlannedSource(source="metrics", limit_seconds=1)


def nested(depth: int) -> dict[str, Any]:
    """Mappings within mappings."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("\ud800 log", "\ufffd log"),
        ("\ud83d\ude00", "\U0001f600"),
        (b"\xff\xfelog", "\ufffd\ufffdlog"),
        (float("nan"), None),
        (float("-inf"), None),
        (2**64, 2**64),
        pytest.param(10**5_000, f"{10**5_000:#x}"[:32] + "...", id="endless number"),
        ({1: (1, 2)}, {"1": [1, 2]}),
        ({"\udfff": True}, {"\ufffd": True}),
        (datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24T00:00:00Z"),
        (frozenset({"a"}), ["a"]),
        (None, None),
        ("é\x00", "é\x00"),
    ],
)
def test_what_json_cannot_hold_is_replaced(value: object, stored: object) -> None:
    """Surrogates, bytes, NaN, endless numbers and foreign types become what every JSON reader takes."""
    assert json_safe(value) == stored
    assert json.loads(json.dumps(json_safe(value), allow_nan=False)) == stored


def test_an_object_of_no_known_type_is_written_as_text() -> None:
    """A source that returns an object of its own still answers."""
    assert json_safe({"error": ValueError("no host")}) == {"error": "no host"}


def test_nesting_is_cut_where_readers_would_give_up() -> None:
    """A document nested three thousand deep is stored with its outer levels."""
    text = json.dumps(json_safe(nested(500)))
    assert TOO_DEEP in text
    assert text.count("{") == MAX_DEPTH


def test_text_without_surrogates_stays_as_it_is() -> None:
    """Accents and emoji are no reason to change a text."""
    assert utf8_safe("não é 😀") == "não é 😀"


@pytest.mark.parametrize(
    "value",
    ["\ud800", b"\xff", 10**5_000, float("nan"), nested(500), {1, 2}, object()],
    ids=["surrogate", "bytes", "endless number", "nan", "nested", "set", "object"],
)
def test_an_envelope_of_anything_reads_back(value: object) -> None:
    """Whatever a source returns, its envelope can be written and is read again by the next process."""
    result = FetchResult(data={"it": value}, finding="x \ud800", asked=("\ud800",), where="\ud800", truncated="\ud800")
    stored = fit_to_store(result_envelope(PLANNED, result, worker="w")).model_dump_json()
    assert SourceEnvelope.model_validate_json(stored).finding == "x \ufffd"


def test_an_error_says_what_was_asked_and_where() -> None:
    """The counterpart and the requests until the failure stand in the envelope, without secrets."""
    error = SourceError("no answer", reason="timeout").of("tws.example:31116", ["GET /plan/job password=planted"])
    envelope = error_envelope("run-1", PLANNED, error, worker="w")
    assert (envelope.reason, envelope.where, len(envelope.asked)) == ("timeout", "tws.example:31116", 1)
    assert "planted" not in envelope.model_dump_json()
