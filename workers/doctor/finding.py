"""What a check found: a status, words for people, facts for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a counterpart is. ``off``: not configured, or not looked at because what it stands on is away."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    OFF = "off"


_SEVERITY = (Status.OFF, Status.OK, Status.WARNING, Status.ERROR)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, without secrets."""

    status: Status
    found: str
    fix: str = ""
    """What to do, naming the variable or the command; empty when nothing is to be done."""
    reason: str = ""
    """Stable name of what is wrong; empty when nothing is."""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A finding with the name of its check and how long it took."""

    name: str
    finding: Finding
    took_ms: float


class Verdict:
    """Collects what one check sees; the worst of it is the status and gives the reason."""

    def __init__(self, status: Status = Status.OK) -> None:
        self._status = status
        self._reason = ""
        self._seen: list[str] = []
        self._fixes: list[str] = []

    def note(self, seen: str) -> None:
        """Something to know."""
        self._seen.append(seen)

    def warn(self, seen: str, fix: str, *, reason: str) -> None:
        """Something that will hurt later."""
        self._add(Status.WARNING, seen, fix, reason)

    def fail(self, seen: str, fix: str, *, reason: str) -> None:
        """Something that does not work."""
        self._add(Status.ERROR, seen, fix, reason)

    def finding(self, **facts: object) -> Finding:
        """All of it."""
        return Finding(self._status, "; ".join(self._seen), " ".join(self._fixes), self._reason, facts)

    def _add(self, status: Status, seen: str, fix: str, reason: str) -> None:
        if _SEVERITY.index(status) > _SEVERITY.index(self._status):
            # What is worse is said first.
            self._status, self._reason = status, reason
            self._seen.insert(0, seen)
            self._fixes.insert(0, fix)
        else:
            self._seen.append(seen)
            self._fixes.append(fix)
