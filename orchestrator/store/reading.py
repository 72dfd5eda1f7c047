"""Tolerant reading of stored JSON that another version wrote or that is damaged: field by field.

Fields that cannot be read are left out and named by a ``Damage``. ``schema_version`` is checked here alone.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from orchestrator.config import STORED
from orchestrator.errors import RunDamaged, SchemaMismatch
from orchestrator.models import OLDEST_SCHEMA_VERSION, SCHEMA_VERSION, SourceEnvelope, SourceOutcome, read_part

REQUEST, PLAN, REPORT = "request", "plan", "report"
"""Names of the stored parts of a run; the name of an envelope is the key of its source."""
MAX_PASSES = 8
"""Removing a field can make its parent incomplete, one level per pass; nothing stored is nested deeper."""
MAX_REPORT_CHARACTERS = 30_000_000
_MAX_CHARACTERS = {REQUEST: 500_000, PLAN: 2_000_000, REPORT: MAX_REPORT_CHARACTERS}
"""Longest stored parts, some times the longest that are written: reading more would delay other runs."""
_MAX_ENVELOPE_CHARACTERS, _MAX_BATCH_CHARACTERS = 1_000_000, 8_000_000
_MAX_ENTRIES = {REQUEST: 2_000, PLAN: 20_000}
"""Most entries of all lists and objects of a part; an entry that is wrong takes microseconds, each time it is read."""
_MAX_ENVELOPE_ENTRIES = 20_000
_FREE = "data"
"""Field of an envelope whose entries are not validated."""
_PARTS = "parts"
"""Field of a batch's envelope with those of its jobs, which are read one by one."""
MAX_ERRORS = 1_000
"""Wrong fields of a part that are left out one by one; a part with more is left out whole."""
MAX_NAMED = 10
"""Wrong fields of a part that are named; where there are more, the part is named as well."""
MAX_NAME_CHARACTERS = 100
FARTHEST_DEADLINE_MS = 86_400_000
"""A deadline more than a day away is damaged: the run would stay open. ``common.lua`` has the same limit."""

_M = TypeVar("_M", bound=BaseModel)
_Path = tuple[str | int, ...]
_NUMBER = re.compile(r"(?=.{1,16}$)-?[0-9]+")
_NEWER = ("enum", "literal_error")
"""Errors for values of optional fields that only a newer version knows: the field is read as not set, no damage."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a stored run that cannot be read."""

    part: str
    """``request``, ``plan``, ``report``, or the key of a source."""
    field: str = ""
    """Dotted path of the field; empty for the whole part."""

    def __post_init__(self) -> None:
        # Names of damaged fields may be anything, of any length.
        object.__setattr__(self, "part", self.part[:MAX_NAME_CHARACTERS])
        object.__setattr__(self, "field", self.field[:MAX_NAME_CHARACTERS])

    def __str__(self) -> str:
        return f"{self.part}: {self.field}" if self.field else self.part


def read_stored(model: type[_M], text: str, *, run_id: str, part: str) -> tuple[_M | None, tuple[Damage, ...]]:
    """The object in ``text`` without the fields that cannot be read, or None; and the damage.

    Raises SchemaMismatch.
    """
    data = parse_stored(text, run_id=run_id, part=part)
    return (None, (Damage(part),)) if data is None else read_fields(model, data, part=part)


def parse_stored(text: str, *, run_id: str, part: str) -> dict[str, Any] | None:
    """The JSON object in ``text``; None when there is none, or one that is too long.

    Raises SchemaMismatch when this version does not read its schema.
    """
    if len(text) > _MAX_CHARACTERS.get(part, _MAX_BATCH_CHARACTERS if _is_batch(part) else _MAX_ENVELOPE_CHARACTERS):
        return None
    try:
        data = from_json(text)
    except ValueError:
        return None
    if not isinstance(data, dict) or (part != REPORT and _has_too_many_entries(data, part)):
        return None
    version = data.get("schema_version")
    if isinstance(version, int) and not OLDEST_SCHEMA_VERSION <= version <= SCHEMA_VERSION:
        raise SchemaMismatch.of(run_id, part, version, oldest=OLDEST_SCHEMA_VERSION, newest=SCHEMA_VERSION)
    return data


def _has_too_many_entries(data: dict[str, Any], part: str) -> bool:
    left = _MAX_ENTRIES.get(part, _MAX_ENVELOPE_ENTRIES)
    containers: list[Any] = [{name: value for name, value in data.items() if name not in (_FREE, _PARTS)}]
    while containers and left >= 0:
        container = containers.pop()
        left -= len(container)
        if left >= 0:
            values = container.values() if isinstance(container, dict) else container
            containers += [value for value in values if isinstance(value, dict | list)]
    return left < 0


def read_fields(model: type[_M], data: dict[str, Any], *, part: str) -> tuple[_M | None, tuple[Damage, ...]]:
    """``data`` as a ``model``, without the fields and items that cannot be read, which are removed from ``data``.

    None when a required field is among them, or when they are too many.
    """
    lost: dict[_Path, None] = {}
    for _ in range(MAX_PASSES):
        try:
            return model.model_validate(data, context=STORED), _damage(part, lost)
        except ValidationError as error:
            if error.error_count() > MAX_ERRORS:
                break
            wrong = [(_stored_path(item["loc"], data), item["type"]) for item in error.errors(include_url=False)]
        # From the last item of a list to the first: removing an item moves those after it.
        for path in sorted({path for path, _ in wrong}, reverse=True):
            if not path:
                return None, (Damage(part),)
            _remove(path, data)
        lost |= dict.fromkeys(path for path, kind in wrong if kind not in _NEWER)
    return None, (Damage(part),)


def read_envelope(run_id: str, key: str, text: str) -> tuple[SourceEnvelope, tuple[Damage, ...]]:
    """A stored envelope; one that cannot be read, or has another schema, is read as an error of its source.

    So is each part of a batch.
    """
    try:
        data = parse_stored(text, run_id=run_id, part=key)
    except SchemaMismatch as error:
        return failed_envelope(key, str(error), error.reason), ()
    parts = {} if data is None else data.pop(_PARTS, ())
    envelope, damage = (None, ()) if data is None else read_fields(SourceEnvelope, data, part=key)
    if envelope is None or envelope.key != key:
        return failed_envelope(key), (Damage(key),)
    if envelope.batch is None:
        return envelope, damage
    read = [_read_part(part, key, number) for number, part in enumerate(parts if isinstance(parts, list) else [None])]
    good = tuple(part for part, _ in read if part is not None)
    lost = tuple(item for _, items in read for item in items)
    return envelope.model_copy(update={"parts": good}), (*damage, *lost)


def _read_part(data: object, key: str, number: int) -> tuple[SourceEnvelope | None, tuple[Damage, ...]]:
    """One part of a batch; None when it cannot be read, or is that of another source."""
    unread = None, (Damage(key, f"{_PARTS}.{number}"),)
    if not isinstance(data, dict) or _has_too_many_entries(data, key):
        return unread
    data.pop(_PARTS, None)
    part, damage = read_fields(SourceEnvelope, data, part=key)
    is_part = part is not None and part.source == key.partition("|")[0] and part.job is not None and part.batch is None
    return (part, damage) if is_part else unread


def read_number(value: str | None, default: int = 0) -> int:
    """A number of the run hash; ``default`` when it is missing or no number. Same as ``number`` in ``common.lua``."""
    return int(value) if value and _NUMBER.fullmatch(value) else default


def read_deadline(value: str | None, now_ms: int) -> int:
    """The deadline in a run hash; 0, which has passed, for one that is too far away. As in ``common.lua``."""
    deadline_ms = read_number(value)
    return deadline_ms if deadline_ms <= now_ms + FARTHEST_DEADLINE_MS else 0


def _damage(part: str, lost: Collection[_Path]) -> tuple[Damage, ...]:
    damage = [Damage(part, ".".join(map(str, path))) for path in lost if not _is_within(path, lost)]
    return (*damage[:MAX_NAMED], Damage(part)) if len(damage) > MAX_NAMED else tuple(damage)


def failed_envelope(
    key: str, error: str = "its stored answer cannot be read", reason: str = RunDamaged.reason
) -> SourceEnvelope:
    """The stand-in for an envelope that cannot be read."""
    source, _, part = key.partition("|")
    job, batch = read_part(part or None)
    # Not validated: the names are those of a hash field, which a script has written.
    return SourceEnvelope.model_construct(
        source=source, job=job, batch=batch, outcome=SourceOutcome.ERROR, success=False, error=error, reason=reason
    )


def _is_batch(part: str) -> bool:
    return read_part(part.partition("|")[2] or None)[1] is not None


def _stored_path(location: Iterable[str | int], data: Any) -> _Path:
    """The deepest part of ``location`` that exists in ``data``: for a missing field, its parent."""
    path: list[str | int] = []
    for step in location:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            break
        path.append(step)
    return tuple(path)


def _is_within(path: _Path, others: Collection[_Path]) -> bool:
    return any(path[:length] in others for length in range(1, len(path)))


def _remove(path: _Path, data: Any) -> None:
    for step in path[:-1]:
        data = data[step]
    del data[path[-1]]
