"""A check of ``doctor``, its context and its result."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Self

from orchestrator.config import Settings
from orchestrator.errors import TroubleshootError
from orchestrator.i18n.message import Message, Text, join
from workers.doctor.scrub import Scrubber


class Status(StrEnum):
    """State of a counterpart. ``off``: not configured, or not checked because what it depends on is unreachable."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    OFF = "off"


_SEVERITY = (Status.OFF, Status.OK, Status.WARNING, Status.ERROR)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of a check, without secrets."""

    status: Status
    found: Text | str
    fix: Text | str = ""
    """The remedy, naming the variable or the command; empty when nothing is wrong."""
    reason: str = ""
    """Stable machine-readable name of the problem; empty when nothing is wrong."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Values for programs; written into JSON as they are."""
    name: str = ""
    """Name of the check; the runner adds it."""
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """A probe of one counterpart."""

    name: str
    """``family`` or ``family:member``."""
    examine: Callable[[], Awaitable[CheckResult]]
    """May raise TroubleshootError, which the runner turns into a result; any other exception counts as a bug."""
    needs_store: bool = False
    """Whether it uses the Redis of REDIS_URL: with that unreachable, its own failure is not reported."""

    @property
    def family(self) -> str:
        """The part of the name that ``--only`` accepts for all members."""
        return self.name.partition(":")[0]

    @classmethod
    def settled(cls, name: str, outcome: CheckResult | TroubleshootError) -> Self:
        """A check whose outcome follows from the settings alone."""

        async def examine() -> CheckResult:
            if isinstance(outcome, TroubleshootError):
                raise outcome
            return outcome

        return cls(name, examine)


@dataclass(frozen=True)
class CheckContext:
    """The environment under examination and the time limit of each check."""

    environ: Mapping[str, str]
    timeout_seconds: float

    @property
    def call_seconds(self) -> float:
        """Limit of a call to the counterpart: below the check's, so that the error names the counterpart."""
        return self.timeout_seconds - min(0.3, 0.1 * self.timeout_seconds)

    @cached_property
    def scrub(self) -> Scrubber:
        """Masks the environment's secrets in text from servers and libraries."""
        return Scrubber(self.environ)

    def settings(self) -> Settings:
        """Settings of broker and store. Raises ConfigurationError naming the variable."""
        return Settings.from_env(self.environ)


class Verdict:
    """Collects the observations of one check; the worst of them gives the status and the reason."""

    def __init__(self) -> None:
        self._status = Status.OK
        self._reason = ""
        self._observations: list[Text | str] = []
        self._fixes: list[Text] = []

    def note(self, observation: Text | str) -> None:
        """Add information."""
        self._observations.append(observation)

    def warn(self, observation: Text | str, fix: Message, *, reason: str) -> None:
        """Add a problem that has no effect yet."""
        self._add(Status.WARNING, observation, fix, reason)

    def fail(self, observation: Text | str, fix: Message, *, reason: str) -> None:
        """Add a failure."""
        self._add(Status.ERROR, observation, fix, reason)

    def result(self, **facts: object) -> CheckResult:
        """Everything collected, as one result."""
        fix = join(self._fixes) if self._fixes else ""
        return CheckResult(self._status, join(self._observations, "; "), fix, self._reason, facts)

    def _add(self, status: Status, observation: Text | str, fix: Text, reason: str) -> None:
        if _SEVERITY.index(status) > _SEVERITY.index(self._status):
            # The worst problem comes first.
            self._status, self._reason = status, reason
            self._observations.insert(0, observation)
            self._fixes.insert(0, fix)
        else:
            self._observations.append(observation)
            self._fixes.append(fix)
