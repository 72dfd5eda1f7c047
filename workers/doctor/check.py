"""What a check is, and what all of them are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from redis.connection import parse_url

from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, TroubleshootError
from workers.doctor.finding import Finding
from workers.doctor.scrub import Scrubber
from workers.doctor.texts import Texts


@dataclass(frozen=True, slots=True)
class Check:
    """One look at one counterpart."""

    name: str
    """``family`` or ``family:which``."""
    examine: Callable[[], Awaitable[Finding]]
    """Raises TroubleshootError for what its kind says well enough; anything else is a mistake of this program."""
    needs_store: bool = False
    """Whether it asks the Redis of REDIS_URL: when that is away, this says nothing of its own."""

    @property
    def family(self) -> str:
        """The part of the name that ``--only`` takes for all of a kind."""
        return self.name.partition(":")[0]

    @classmethod
    def settled(cls, name: str, outcome: Finding | TroubleshootError) -> Check:
        """A check whose outcome is known from the settings alone."""

        async def examine() -> Finding:
            if isinstance(outcome, TroubleshootError):
                raise outcome
            return outcome

        return cls(name, examine)


@dataclass(frozen=True)
class Surroundings:
    """The environment that is examined, the language of the answers, and the time each check has."""

    environ: Mapping[str, str]
    text: Texts
    timeout_seconds: float

    @property
    def call_seconds(self) -> float:
        """For a counterpart's own limit: below the check's, so that the answer names the counterpart."""
        return self.timeout_seconds - min(0.3, 0.1 * self.timeout_seconds)

    @cached_property
    def scrub(self) -> Scrubber:
        """Takes the environment's secrets out of texts written elsewhere."""
        return Scrubber(self.environ)

    def settings(self) -> Settings:
        """The settings of broker and store. Raises ConfigurationError naming the variable."""
        settings = Settings.from_env(self.environ)
        if not settings.redis_url.startswith(("redis://", "rediss://")):
            # The broker's library knows no unix://, the store's no redis+socket://: one URL has to serve both.
            raise ConfigurationError("REDIS_URL: must start with redis:// or rediss://; broker and store share it")
        try:
            parse_url(settings.redis_url)  # type: ignore[no-untyped-call]  # redis-py's
        except ValueError:
            # The parser's own words quote what it stumbled over, which may be a piece of the password.
            raise ConfigurationError(
                "REDIS_URL: is not a Redis URL; it must look like redis://[user:password@]host:port/db, "
                "with special characters of the password percent-encoded"
            ) from None
        return settings
