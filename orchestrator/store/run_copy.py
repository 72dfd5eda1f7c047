"""A client's copy of a run, read step by step and kept for when the store goes away."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import RunNotFound, SchemaMismatch
from orchestrator.models import MAX_STAGES, Clue, Plan, RunState
from orchestrator.store.reading import read_number
from orchestrator.store.records import RunRecord, plan_field, read_clue, read_plans, stored_plans, to_record

_WRITTEN_ONCE = frozenset(("request", "summary", *(plan_field(stage) for stage in range(1, MAX_STAGES + 1))))


@dataclass(slots=True)
class RunCopy:
    """The fields of a run's hash as far as they were read; the report is not among them."""

    run_id: str
    _now_ms: int = 0
    _fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> list[str]:
        """Names of the fields that need not be read again."""
        return [name for name in self._fields if name in _WRITTEN_ONCE or name.startswith("e:")]

    def keys_of(self, *kinds: str) -> set[str]:
        """Keys of the sources with a claim (kind ``s``) or an envelope (``e``)."""
        return {name[2:] for name in self._fields if name[:1] in kinds and name[1:2] == ":"}

    @property
    def has_every_answer(self) -> bool:
        """Whether every planned source has answered, by what was read."""
        is_whole = read_number(self._fields.get("to_come")) == 0
        return is_whole and 0 < read_number(self._fields.get("expected")) <= len(self.keys_of("e"))

    @property
    def waits_for_dispatch(self) -> bool:
        """Whether no dispatcher has planned the run's next stage, by what was read."""
        return self._fields.get("state") in (RunState.ACCEPTED, RunState.DISPATCHING)

    def plan(self) -> Plan | None:
        """The run's plan, of all stages that are planned; None before it was read, or when it cannot be read."""
        with suppress(SchemaMismatch):
            return read_plans(self.run_id, stored_plans(self._fields))[0]
        return None

    def take(self, reply: Any) -> bool:
        """Take the reply of ``copy.lua``; whether the run was closed.

        Raises RunNotFound.
        """
        if reply[0] == "not_found":
            raise RunNotFound.of(self.run_id)
        _, self._now_ms, flat = reply
        # Replaced, not changed: the reader may be another thread than the one that waits for it.
        self._fields = {**self._fields, **dict(zip(flat[::2], flat[1::2], strict=True))}
        return self._fields.get("state") in (RunState.DONE, RunState.CANCELLED)

    def clues(self) -> Mapping[str, Clue]:
        """The clues that the sources have given, by the key of their source."""
        texts = {name[2:]: text for name, text in self._fields.items() if name.startswith("c:")}
        clues = {key: read_clue(self.run_id, text) for key, text in texts.items()}
        return {key: clue for key, clue in clues.items() if clue is not None}

    def record(self) -> RunRecord | None:
        """The run as it was when it was last read; None when it never was, or by another schema."""
        with suppress(RunNotFound, SchemaMismatch):
            return to_record(self.run_id, self._now_ms, self._fields)
        return None
