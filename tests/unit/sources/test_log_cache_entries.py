"""Whatever stands in a key, reading it ends in entries that can be stored, or in one known error."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from workers.sources.log_cache.entries import UnreadableEntries, entry_of, parse_entries
from workers.sources.log_cache.record import records_of_item

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("timestamp", "at", "message", "log", "status", "rc", "return_code", "codes", "code", "step", "elapsed_ms",
         "duration", "errors", "job", "run_id", "other")  # fmt: skip
LEAVES: tuple[Any, ...] = (
    None, True, -1, 0, 2**40, 1e300, float("inf"), float("nan"), "", " ", "S0C7", "ABEND S0C7", "2026-11-24T24:00:00",
    "\ud800", "x" * 3_000, "RC=99999999999999", "9" * 5_000, "2026-11-24T01:00:00-03:00",
)  # fmt: skip


def planted(source: random.Random, depth: int = 0) -> Any:
    """A random JSON value."""
    kind = source.random()
    if depth > 2 or kind < 0.4:
        return source.choice(LEAVES)
    if kind < 0.6:
        return [planted(source, depth + 1) for _ in range(source.randrange(4))]
    return {source.choice(NAMES): planted(source, depth + 1) for _ in range(source.randrange(6))}


@pytest.mark.parametrize(
    ("status", "code", "failed", "succeeded"),
    [
        ("ABENDED", None, True, False),
        ("Falhou", None, True, False),
        ("ended badly", 12, True, False),
        ("ended", 0, False, False),
        ("", 0, False, True),
        ("", 8, True, False),
        ("SUCC", 4, False, True),
        ("Concluído", None, False, True),
        ("CANCL", 8, False, False),
        ("EXEC", None, False, False),
    ],
)
def test_how_a_run_ended_is_told_by_what_is_known(status: str, code: int | None, failed: bool, succeeded: bool) -> None:
    """A known status decides; one that nobody knows hides neither a return code nor an abend."""
    entry = entry_of({"status": status, "rc": code, "message": "x"}, now=NOW)
    assert (entry.failed, entry.succeeded) == (failed, succeeded)


def test_an_unknown_status_does_not_hide_a_code() -> None:
    """An abend under a status of the writer's own is a failure."""
    assert entry_of({"status": "terminado", "codes": ["S0C7"]}, now=NOW).failed


@pytest.mark.parametrize(
    "value",
    [
        {"errors": [], "history": [{"status": "ABEND", "rc": 12, "timestamp": "2026-11-20T10:00:00Z"}]},
        {"errors": [{"status": "ABEND", "rc": 12, "at": "2026-11-20T10:00:00Z"}], "runs": []},
        [json.dumps({"status": "ABEND", "rc": 12, "at": "1795168800"})],
        json.dumps([{"status": "ABEND", "rc": 12, "at": "1795168800000"}]),
        json.dumps(json.dumps({"status": "ABEND", "rc": 12, "at": "2026-11-20t10:00:00z"}))[1:-1].replace("\\", ""),
    ],
)
def test_wrapped_and_encoded_entries_are_read(value: Any) -> None:
    """An empty list beside a full one, entries encoded as text, and times as text lose nothing."""
    (entry,) = parse_entries(json.dumps(value), now=NOW).entries
    assert (entry.facts.status, entry.facts.return_code, entry.facts.at) == ("ABEND", 12, "2026-11-20T10:00:00Z")


def test_all_lists_of_a_wrapper_are_read() -> None:
    """Errors and runs side by side in one object are both served."""
    raw = json.dumps({"errors": ["2026-11-20 10:00:00 S0C7"], "runs": [{"status": "SUCC", "at": "2026-11-21"}]})
    assert [entry.facts.at[:10] for entry in parse_entries(raw, now=NOW).entries] == ["2026-11-21", "2026-11-20"]


@pytest.mark.parametrize("seed", range(300))
def test_any_json_is_read_or_refused(seed: int) -> None:
    """No value crashes the reader, and what it gives is strict JSON in UTF-8."""
    raw = json.dumps(planted(random.Random(seed)))
    try:
        entries = parse_entries(raw, now=NOW).entries
    except UnreadableEntries:
        return
    for entry in entries:
        json.dumps(entry.facts.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()
        assert len(entry.facts.text) <= 2_000


@pytest.mark.parametrize("seed", range(300))
def test_any_json_line_is_a_record_or_a_value_error(seed: int) -> None:
    """What is ingested can be stored and read again, or is refused as a bad line."""
    item = json.loads(json.dumps(planted(random.Random(seed))))
    try:
        records = records_of_item(item, job=None, now=NOW)
    except ValueError:
        return
    for record in records:
        assert type(record).model_validate_json(record.redacted().model_dump_json()).id == record.id


def test_half_a_surrogate_does_not_reach_the_store() -> None:
    """An escaped half of a pair becomes a question mark, the rest stays."""
    assert entry_of(json.loads('"ABEND S0C7 \\ud800 caf\\u00e9"'), now=NOW).facts.text == "ABEND S0C7 ? café"


def test_escape_sequences_do_not_reach_the_store() -> None:
    """Control characters, which could drive a terminal, are blanks; lines and tabs stay."""
    facts = entry_of("ERROR \x1b[2J\x9b31m\a S0C7\tx\r\ny", now=NOW).facts
    assert facts.text == "ERROR  [2J 31m  S0C7\tx \ny"
    assert facts.codes == ("S0C7",)


def test_deep_nesting_is_refused() -> None:
    """A value nested beyond reason is unreadable, not a crash."""
    with pytest.raises(UnreadableEntries):
        parse_entries("[" * 100_000, now=NOW)
