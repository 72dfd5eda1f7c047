"""Errors of requests to HCL Workload Automation: one class and ``reason`` for each thing an operator can act on.

The vendor documents no error body, so errors are told apart by status code and transport failure. The first line of a
docstring is the default message, in the catalogues by that text.
"""

import re
from http import HTTPStatus

import httpx2

from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message
from orchestrator.tls import NO_TLS, causes, tls_failure


class HwaError(SourceError):
    """HCL Workload Automation could not be queried."""

    reason = "tws_error"
    counts_for_breaker = False
    """Whether the failure counts against the instance's circuit breaker."""
    may_retry = False
    """Whether a retry can help; it is always safe, since every request is a GET."""


class BadQuery(HwaError):
    """The server refused the query (400)."""

    reason = "bad_request"


class Unauthorized(HwaError):
    """The server refused the credentials (401): check TWS_USER, TWS_PASSWORD or TWS_TOKEN."""

    reason = "unauthorized"


class Forbidden(HwaError):
    """The user may not see this (403): it needs DISPLAY and LIST access in the security file."""

    reason = "forbidden"


class NotFound(HwaError):
    """The server does not know this object (404)."""

    reason = "not_found"


class UnknownPath(NotFound):
    """The server does not know this path (404): TWS_BASE_URL must end where /twsd/api/v2 begins."""


class TooManyRequests(HwaError):
    """The server asks to slow down (429)."""

    reason = "rate_limited"
    may_retry = True


class UnexpectedStatus(HwaError):
    """The server answered with a status the API does not describe."""

    reason = "unexpected_status"


class ServerFailed(HwaError):
    """The server failed (5xx)."""

    reason = "server_error"
    counts_for_breaker = True


class ServerBusy(ServerFailed):
    """The server or its gateway is not available for the moment (502, 503, 504)."""

    may_retry = True


class TimedOut(HwaError):
    """The server did not answer in the time there was."""

    reason = "timeout"
    counts_for_breaker = True


class NoTimeLeft(TimedOut):
    """Too little time was left to tell a slow server from a late question."""

    counts_for_breaker = False


class LogsHang(NoTimeLeft):
    """A job log was not asked for: those before it did not come in time."""


class Unreachable(HwaError):
    """No connection to the server."""

    reason = "unreachable"
    counts_for_breaker = True
    may_retry = True


class ConnectionCut(HwaError):
    """The server closed the connection in the middle of its answer."""

    reason = "connection_cut"
    counts_for_breaker = True
    may_retry = True


class TlsFailed(HwaError):
    """The TLS handshake failed: check TWS_VERIFY, which may name a CA bundle."""

    reason = "tls"


class TlsToPlain(TlsFailed):
    """The port does not speak TLS: TWS_BASE_URL must begin with http://, or name the port of HTTPS."""


class PlainToTls(TlsFailed):
    """The port speaks TLS only: TWS_BASE_URL must begin with https://."""


class BadAnswer(HwaError):
    """The answer is not what the API describes, for example a login page instead of JSON."""

    reason = "bad_answer"


class AnswerTooLarge(HwaError):
    """The answer is larger than a troubleshooting client should read."""

    reason = "answer_too_large"


class CircuitOpen(HwaError):
    """The instance failed several times in a row and is left alone for a moment."""

    reason = "circuit_open"


_BY_STATUS: dict[int, type[HwaError]] = {
    HTTPStatus.BAD_REQUEST: BadQuery,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
    HTTPStatus.BAD_GATEWAY: ServerBusy,
    HTTPStatus.SERVICE_UNAVAILABLE: ServerBusy,
    HTTPStatus.GATEWAY_TIMEOUT: ServerBusy,
}


_WANTS_TLS = re.compile(rb"https|tls|ssl", re.IGNORECASE)


def error_for_status(status: int, what: str, *, names_object: bool = True) -> HwaError:
    """The error for a status other than 200. ``what`` names the request, without its values.

    A search or a list, which names no object, is unknown only where the base URL is wrong.
    """
    kind = _BY_STATUS.get(status) or (ServerFailed if status >= HTTPStatus.INTERNAL_SERVER_ERROR else UnexpectedStatus)
    if kind is NotFound and not names_object:
        kind = UnknownPath
    return kind(Message("{what}: HTTP {status}. {meaning}", what=what, status=status, meaning=kind().message))


MIN_FAIR_SECONDS = 0.25
"""Seconds; a timeout shorter than this does not count against the server."""


def timed_out(what: str, seconds: float, *, connect_seconds: float | None = None) -> TimedOut:
    """The error for a request without an answer in ``seconds``, or without a connection in ``connect_seconds``."""
    kind = TimedOut if seconds >= MIN_FAIR_SECONDS else NoTimeLeft
    if connect_seconds is not None:
        text = Message("{what}: no connection within {seconds:.1f} s. Check host, port and firewall")
        return kind(text.with_facts(what=what, seconds=connect_seconds))
    text = Message("{what}: no answer within {seconds:.1f} s") if seconds > 0 else Message("{what}: no time left")
    return kind(text.with_facts(what=what, seconds=seconds))


def too_many_at_once(what: str, seconds: float) -> NoTimeLeft:
    """The error for a request that was not sent within ``seconds``, because of others."""
    return NoTimeLeft(
        "{what}: no free connection within {seconds:.1f} s, too many questions at once", what=what, seconds=seconds
    )


def wants_tls(body: bytes) -> bool:
    """Whether the body of a 400 says that the port speaks TLS: servers word it differently, and all name it."""
    return _WANTS_TLS.search(body) is not None


def plain_to_tls(what: str) -> PlainToTls:
    """The error for a plain request to a port that speaks TLS."""
    return PlainToTls("{what}: {meaning}", what=what, meaning=PlainToTls().message)


def error_for_transport(
    error: httpx2.HTTPError, what: str, seconds: float, *, connect_seconds: float | None = None
) -> HwaError:
    """The error for a request that failed in transport.

    ``seconds`` is the time the request had, ``connect_seconds`` the part of it for connecting.
    """
    if isinstance(error, httpx2.PoolTimeout):
        return too_many_at_once(what, seconds)
    if isinstance(error, httpx2.TimeoutException):
        return timed_out(
            what, seconds, connect_seconds=connect_seconds if isinstance(error, httpx2.ConnectTimeout) else None
        )
    if detail := tls_failure(error):
        return _tls_error(what, detail)
    if isinstance(error, httpx2.DecodingError):
        return BadAnswer("{what}: the answer cannot be decoded", what=what)
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
        # The operating system's text carries no URL, and so no credentials.
        texts = (cause.strerror for cause in causes(error) if isinstance(cause, OSError) and cause.strerror)
        return Unreachable("{what}: no connection ({detail})", what=what, detail=next(texts, type(error).__name__))
    return ConnectionCut("{what}: the connection was cut ({detail})", what=what, detail=type(error).__name__)


def _tls_error(what: str, detail: str) -> TlsFailed:
    if detail in NO_TLS:
        return TlsToPlain("{what}: {meaning}", what=what, meaning=TlsToPlain().message)
    return TlsFailed(
        "{what}: TLS failed ({detail}). Check TWS_VERIFY, which may name a CA bundle", what=what, detail=detail
    )
