"""One base exception and one subclass for each thing a caller can act on.

``reason`` is the stable, machine-readable name of an error, the same in envelopes, reports and JSON output;
``exit_code`` is that of a command that ends by it. ``message`` is the English template with its facts:

    raise UnknownInstance("{field}: {name!r} is not known", field="tws_instance_id", name="PRD9")

The facts ``field`` and ``other_field`` name what is wrong; the command line writes the option in their place.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NoReturn, Self

from orchestrator.i18n.languages import language_of
from orchestrator.i18n.message import Message


class TroubleshootError(Exception):
    """The troubleshoot run could not be carried out.

    The message is given as an English template with the facts of its fields, or as a ``Message``; by default it is the
    first line of the class's docstring, or of its base's.
    """

    reason: ClassVar[str] = "troubleshoot_error"
    exit_code: ClassVar[int] = 1

    message: Message
    """For a reader of any language; ``str()`` of the error is its English."""

    def __init__(self, message: str | Message | None = None, /, **facts: Any) -> None:
        if not isinstance(message, Message):
            # A class without a docstring has that of its base; under ``python -OO`` no class of ours has one.
            doc = next((kind.__doc__ for kind in type(self).__mro__ if kind.__doc__), "")
            message = Message(str(message or doc.strip().partition("\n")[0])).with_facts(**facts)
        self.message = message
        super().__init__(str(message))


class ConfigurationError(TroubleshootError):
    """A setting is missing or wrong."""

    reason = "configuration"
    exit_code = 2


class InvalidRequest(TroubleshootError):
    """The request cannot be accepted as it is."""

    reason = "invalid_request"
    exit_code = 2


class InvalidValue(TroubleshootError, ValueError):
    """The value is not accepted."""

    reason = "invalid_value"
    exit_code = 2


class WrongUsage(TroubleshootError):
    """The command line cannot be carried out as it is written."""

    reason = "usage"
    exit_code = 2


class UnknownInstance(InvalidRequest):
    """No worker knows a TWS instance of that name."""

    reason = "unknown_instance"


class Conflict(InvalidRequest):
    """The run id or the idempotency key belongs to another question, or the run to repeat has not ended."""

    reason = "conflict"


class BodyTooLarge(InvalidRequest):
    """The body of the request is too long."""

    reason = "body_too_large"


class BodyTooSlow(InvalidRequest):
    """The body of the request did not come in time."""

    reason = "body_too_slow"


class NotOpen(TroubleshootError):
    """This machine alone is served."""

    reason = "not_open"


class WorkersNotInstalled(TroubleshootError):
    """The worker code is not installed here: pip install 'resync-troubleshoot[workers]'."""

    reason = "workers_not_installed"
    exit_code = 2


class StoreUnreachable(TroubleshootError):
    """The Redis store does not answer."""

    reason = "store_unreachable"
    exit_code = 5


class OutOfConnections(StoreUnreachable):
    """No further connection to Redis can be opened here; Redis itself may be well."""

    reason = "out_of_connections"


class StoreRefusesUser(StoreUnreachable, ConfigurationError):
    """Redis refuses the password, the user name, the database or the command of this user: see REDIS_URL.

    A setting to be corrected, and, when the password changes while processes run, a store that cannot be reached.
    """

    reason = ConfigurationError.reason
    exit_code = ConfigurationError.exit_code


class RunNotFound(TroubleshootError):
    """No run of that id is stored: it never existed, its time to live has passed, or Redis lost it."""

    reason = "run_not_found"
    exit_code = 7

    @classmethod
    def of(cls, run_id: str) -> Self:
        """The error that names the run."""
        return cls("run {run_id!r} is not stored: it never existed, has expired, or Redis lost it", run_id=run_id[:80])

    @classmethod
    def forgotten(cls, run_id: str) -> Self:
        """The error for a run that this process submitted and whose time to live has not passed."""
        return cls(
            "run {run_id!r} was accepted and is no longer stored: Redis lost its data, or was emptied; ask again",
            run_id=run_id,
        )


class SchemaMismatch(TroubleshootError):
    """A part of the run was written by a version whose schema this process cannot read."""

    reason = "schema_mismatch"
    exit_code = 8

    @classmethod
    def of(cls, run_id: str, part: str, written: int, *, oldest: int, newest: int) -> Self:
        """The error that names the part of the run, and the side that is to be upgraded."""
        writers = {"request": Message("the app"), "report": Message("workers and watchers")}
        return cls(
            "run {run_id!r}: its {part} was written by schema {written}, this process reads {readable}; upgrade {side}",
            run_id=run_id,
            part=part,
            written=written,
            readable=f"{newest}" if oldest == newest else f"{oldest}-{newest}",
            side=Message("this process") if written > newest else writers.get(part, Message("the workers")),
        )


class RunDamaged(TroubleshootError):
    """A part of the stored run cannot be read."""

    reason = "run_damaged"

    @classmethod
    def of(cls, run_id: str, part: str) -> Self:
        """The error that names the part of the run."""
        return cls("run {run_id!r}: the stored {part} cannot be read", run_id=run_id, part=part)


class Overloaded(TroubleshootError):
    """More runs are waiting than the workers can finish before their deadline; try again later."""

    reason = "overloaded"
    exit_code = 5
    queue: str = ""
    """The queue that cannot serve another run in time, where it is one."""
    retry_after_seconds: int | None = None
    """Seconds after which there is room in that queue."""


class TooManyRequests(Overloaded):
    """The caller makes more requests than are allowed; try again later."""

    reason = "too_many_requests"


class RunRefused(TroubleshootError):
    """The store refused a step of a run: it is closed, or another holder has the lease."""

    reason = "refused"


class SourceError(TroubleshootError):
    """A source could not answer."""

    reason = "source_error"
    asked: tuple[str, ...] = ()
    """The requests sent before the error, without secrets."""
    where: str = ""
    """The counterpart's address, without credentials."""

    def __init__(self, message: str | Message | None = None, /, *, reason: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        if reason is not None:
            self.reason = reason  # type: ignore[misc]  # an instance may say it more precisely than its class

    def of(self, where: str, asked: Iterable[str] = ()) -> Self:
        """The same error with the counterpart and what it was asked, for the envelope."""
        self.where, self.asked = where, tuple(asked)
        return self


def end_process(error: TroubleshootError, environ: Mapping[str, str]) -> NoReturn:
    """End a process that cannot start: one line on standard error, in the locale's language, and the exit code."""
    line = Message("error: {message}", message=error.message)
    sys.stderr.write(f"{line.in_language(language_of(environ))}\n")
    raise SystemExit(error.exit_code) from None
