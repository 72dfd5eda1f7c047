"""A closed run, packed: the fields of its hash that only readers of the whole run need, and its events, compressed.

A closed run is no more written and seldom read, and most of its memory is text that repeats itself. So a watcher puts
one compressed string in the place of all that, a few seconds after the run was closed.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json
from redis.client import NEVER_DECODE

from orchestrator.errors import RunDamaged
from orchestrator.models import SCHEMA_VERSION

PACKED = "packed"
"""Field of a packed run's hash with the number of bytes that were packed."""
PART = "compressed data"
"""How an error names what cannot be unpacked."""
STUB = f'{{"schema_version":{SCHEMA_VERSION + 1}}}'
"""In place of the report of a packed run: a version that knows of no packing says that this process is to be upgraded,
and does not take the run for a damaged one."""
KEPT = frozenset(
    (
        *("state", "outcome", "summary", "request", "nonce", "owner", "jobs"),
        *("created_ms", "deadline_ms", "closed_ms", "committed_by"),
    )
)
"""Fields that stay: those of a list of runs, and of a submit that is repeated."""
MAX_KEPT_BYTES = 1_000
"""A longer question is packed as well."""
MAX_BYTES, MAX_HEAD_BYTES = 64_000_000, 1_000_000
"""Most bytes that are packed, and that are unpacked: what whoever can write to Redis put there may not fill the memory
of a reader."""
LARGE_BYTES, LEVEL, LEVEL_OF_LARGE = 500_000, 6, 1
"""A run of many jobs would hold up its watcher: it is packed in a third of the time, by a sixth less."""
_MAGIC = b"z1\n"
_EVENT_ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")

Entry = tuple[str, dict[str, str]]
"""An entry of a stream: its id and its fields."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed of a run."""

    fields: Mapping[str, str]
    """The fields of its hash."""
    entries: Sequence[Entry]
    """The entries of its stream of events."""

    def after(self, event_id: str) -> list[Entry]:
        """The entries after that of an id, as XREAD has them."""
        last = _place(event_id)
        return [(name, fields) for name, fields in self.entries if _place(name) > last]


def raw_call(client: Any, *command: str) -> Any:
    """A command of a client, a pipeline or one for an event loop whose reply is bytes: what is packed is no text."""
    return client.execute_command(*command, **{NEVER_DECODE: True})


def to_pack(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Those fields of a closed run's hash that are packed."""
    return {
        name: value
        for name, value in fields.items()
        if name.decode("utf-8", "replace") not in KEPT or (name == b"request" and len(value) > MAX_KEPT_BYTES)
    }


def pack(fields: Mapping[bytes, bytes], entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> bytes | None:
    """The fields and entries as one string; None where they are more than ``MAX_BYTES``."""
    names = [name.decode("utf-8", "replace") for name in fields]
    ids = [name.decode("ascii", "replace") for name, _ in entries]
    keys = [[key.decode("utf-8", "replace") for key in item] for _, item in entries]
    values = [*fields.values(), *(value for _, item in entries for value in item.values())]
    head = to_json({"fields": names, "entries": list(zip(ids, keys, strict=True)), "sizes": list(map(len, values))})
    raw = b"\n".join((head, b"".join(values)))
    if len(raw) > MAX_BYTES or len(head) > MAX_HEAD_BYTES:
        return None
    return _MAGIC + zlib.compress(raw, LEVEL_OF_LARGE if len(raw) > LARGE_BYTES else LEVEL)


def unpack(run_id: str, stored: bytes | None) -> Packed:
    """What ``pack`` made a string of.

    Raises RunDamaged when there is none, when it cannot be read, or when it would become larger than what is packed.
    """
    try:
        return _unpack(stored or b"")
    except (ValueError, KeyError, TypeError, IndexError, zlib.error):
        raise RunDamaged.of(run_id, PART) from None


def _unpack(stored: bytes) -> Packed:
    if not stored.startswith(_MAGIC):
        raise ValueError
    inflater = zlib.decompressobj()
    raw = inflater.decompress(memoryview(stored)[len(_MAGIC) :], MAX_BYTES)
    end = raw.find(b"\n", 0, MAX_HEAD_BYTES + 1)
    if not inflater.eof or end < 0:
        raise ValueError
    index, at = from_json(raw[:end]), end + 1
    values: list[str] = []
    for size in index["sizes"]:
        if size < 0:  # the same bytes again and again would be a bomb
            raise ValueError
        values.append(raw[at : at + size].decode("utf-8", "replace"))
        at += size
    names, entries = index["fields"], []
    fields, at = dict(zip(map(str, names), values, strict=False)), len(names)
    for name, keys in index["entries"]:
        entries.append((str(name), dict(zip(map(str, keys), values[at : at + len(keys)], strict=False))))
        at += len(keys)
    if at != len(values) or sum(index["sizes"]) != len(raw) - end - 1:
        raise ValueError
    return Packed(fields, entries)


def _place(event_id: str) -> tuple[int, int]:
    """The two numbers of the id of an event; nothing comes before one that is none."""
    match = _EVENT_ID.fullmatch(event_id)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)
