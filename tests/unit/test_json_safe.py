"""What a source returns is made JSON-safe: JSON and UTF-8 hold it and it reads back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from pydantic import BaseModel, Field

from orchestrator.errors import SourceError
from orchestrator.json_safe import MAX_DEPTH, TOO_DEEP, TooLarge, json_safe, utf8_safe
from orchestrator.models import PlannedSource, SourceEnvelope
from orchestrator.run.envelopes import error_envelope, result_envelope
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


class Endless(Mapping[str, int]):
    """A mapping whose keys never end."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, count())

    def __len__(self) -> int:
        return 1


def doubled(depth: int) -> list[Any]:
    """A list that holds itself twice, at each level."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(Endless(), (number for number in count()), map(str, count()), doubled(38), range(10**9)),
        *("x" * 10_001, {"a": b"x" * 10_001}),
    ],
    ids=["endless mapping", "endless generator", "endless iterator", "doubled", "range", "text", "bytes"],
)
def test_breadth_is_bounded(value: object) -> None:
    """What has more characters than it may have is refused, after no more work than those take."""
    began = time.thread_time()
    with pytest.raises(TooLarge):
        json_safe(value, max_characters=10_000)
    assert time.thread_time() - began < 1


def test_objects_with_fields_are_mappings() -> None:
    """Models and dataclasses are written field by field, without the fields that a model excludes."""

    class Model(BaseModel):
        name: str
        hidden: str = Field(default="x", exclude=True)

    @dataclass
    class Pair:
        left: Model
        right: Any

    assert json_safe(Pair(Model(name="a"), (1,))) == {"left": {"name": "a"}, "right": [1]}


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
    stored = result_envelope(PLANNED, result, worker="w").model_dump_json()
    assert SourceEnvelope.model_validate_json(stored).finding == "x \ufffd"


def test_an_error_says_what_was_asked_and_where() -> None:
    """The counterpart and the requests until the failure stand in the envelope, without secrets."""
    error = SourceError("no answer", reason="timeout").of("tws.example:31116", ["GET /plan/job password=planted"])
    envelope = error_envelope("run-1", PLANNED, error, worker="w")
    assert (envelope.reason, envelope.where, len(envelope.asked)) == ("timeout", "tws.example:31116", 1)
    assert "planted" not in envelope.model_dump_json()
