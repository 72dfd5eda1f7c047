"""Which runs a list is to have."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.codes.notation import NamedJobs, is_named_by, is_same_job
from orchestrator.config import InputModel
from orchestrator.errors import InvalidValue
from orchestrator.models import MAX_JOBS, RunState, RunSummary, read_enum
from orchestrator.nearest import not_known

State = Literal["open", "accepted", "dispatching", "dispatched", "done", "cancelled"]
Outcome = Literal["complete", "partial", "failed", "timed_out", "cancelled"]
STATES, OUTCOMES = get_args(State), get_args(Outcome)
"""The words for states, among them ``open`` for all that are not closed, and for outcomes."""
_DURATION = re.compile(r"(?:[0-9]{1,6}\s*(?:min|[smhdw])\s*)+", re.IGNORECASE)
_PART = re.compile(r"([0-9]{1,6})\s*(min|[smhdw])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LITERAL = re.compile(r"[A-Za-z0-9_$-]+")


class RunFilter(InputModel):
    """Which runs a list is to have: those for which all holds that is set::

    RunFilter(outcome=("failed", "timed_out"), job="MDM#FATDIA.BATCH001", since="2h")
    """

    state: tuple[State, ...] = ()
    """States, one of which the run has; ``open`` stands for all in which it has not ended."""
    outcome: tuple[Outcome, ...] = ()
    job: str | None = Field(default=None, max_length=900)
    """A job that was given, or that was found by the message, a pattern or a list: a name as far as it is known
    (``BATCH001``, ``MDM#BATCH001``, ``MDM#FATDIA.BATCH001``), a pattern, or several of these; in any case."""
    instance: str | None = Field(default=None, max_length=100)
    """The TWS instance, in any case."""
    user: str | None = Field(default=None, max_length=200)
    """The user that the run belongs to."""
    since: str | datetime | timedelta | None = None
    """A time, of this machine's zone where it names none (``2026-11-29``, ``2026-11-29T08:00``), or how long ago:
    ``30m``, ``2h``, ``7d``, ``1h30m``."""

    @field_validator("state", "outcome", mode="before")
    @classmethod
    def _words_are_known(cls, value: object, info: ValidationInfo) -> object:
        words = [value] if isinstance(value, str) else value
        known = STATES if info.field_name == "state" else OUTCOMES
        if not isinstance(words, list | tuple):
            return words  # pydantic names what it must be
        for word in words:
            if isinstance(word, str) and word not in known:
                raise InvalidValue(not_known(word, known))
        return tuple(str(word) if isinstance(word, str) else word for word in words)

    @field_validator("job")
    @classmethod
    def _job_is_a_name(cls, value: str | None) -> str | None:
        if value is not None:
            _named(value)
        return value

    @field_validator("since")
    @classmethod
    def _since_is_a_time(cls, value: str | datetime | timedelta | None) -> str | datetime | timedelta | None:
        since_ms(value, 0)
        return value

    @property
    def is_narrow(self) -> bool:
        """Whether runs are left out for what they are, and not for whose they are or when."""
        return bool(self.state or self.outcome or self.job or self.instance)

    def may_have(self, state: str, outcome: str | None, text: str) -> bool:
        """Whether a run can be one of them by its state, its outcome and the text in which its jobs and its instance
        are stored: faster than to read it.
        """
        return (
            (
                not self.state
                or state in self.state
                or ("open" in self.state and not read_enum(state, RunState.DISPATCHED).is_closed)
            )
            and (not self.outcome or outcome in self.outcome)
            and (not self.instance or self.instance.casefold() in text.casefold())
            and (self.job is None or any(literal in text.casefold() for literal in _literals(self.job)))
        )

    def has(self, run: RunSummary) -> bool:
        """Whether a run that they may have is one of them by its job and its instance."""
        return (not self.instance or (run.tws_instance_id or "").casefold() == self.instance.casefold()) and (
            self.job is None or any(_is_one(job, self.job) for job in run.jobs)
        )


@lru_cache(maxsize=64)
def _literals(text: str) -> tuple[str, ...]:
    """The longest part of each name without its qualifier and wildcards, one of which the text of a match has."""
    names = (re.split("[#.]", name)[-1] for name in _named(text))
    return tuple(max(_LITERAL.findall(name), key=len, default="").casefold() for name in names)


@lru_cache(maxsize=64)
def _named(text: str) -> tuple[str, ...]:
    named = NamedJobs.of((text,), most=MAX_JOBS)
    return (*named.jobs, *named.patterns)


def _is_one(job: str, text: str) -> bool:
    short = job.casefold()
    return any(
        literal in short and (is_named_by(job, name) or is_same_job(job, name))
        for literal, name in zip(_literals(text), _named(text), strict=True)
    )


def since_ms(since: str | datetime | timedelta | None, now_ms: int) -> int:
    """The epoch milliseconds of ``since``; 0 for None. Raises InvalidValue."""
    if since is None:
        return 0
    try:
        if isinstance(since, str):
            text = since.strip()
            if _DURATION.fullmatch(text):
                seconds = (int(count) * _SECONDS[unit.lower()] for count, unit in _PART.findall(text))
                since = timedelta(seconds=sum(seconds))
            else:
                since = datetime.fromisoformat(text)
        if isinstance(since, timedelta):
            return max(0, now_ms - int(since.total_seconds() * 1000))
        return max(0, int(since.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise InvalidValue(
            "{text!r} is no time; write how long ago (30m, 2h, 7d) or when (2026-11-29, 2026-11-29T08:00Z)",
            text=str(since)[:80],
        ) from None
