"""TLS to Redis: what the parameters of a ``rediss://`` URL say, the contexts made from them, and what went wrong.

redis-py, kombu, Celery's result backend and Flower read such URLs differently: without ``ssl_cert_reqs``, redis-py
verifies, kombu does not, and the backend refuses to start. So the parameters are read here once, and each of them is
given the result.
"""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from orchestrator.errors import InvalidValue
from orchestrator.i18n.message import Message

_VERIFICATION = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_FALSE = frozenset({"0", "f", "false", "n", "no"})
"""What redis-py reads as false."""
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
PARAMETERS = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_path", *_FILES, "ssl_password", "ssl_ciphers",
              "ssl_min_version")  # fmt: skip
"""Parameters of a ``rediss://`` URL, named and meant as redis-py's."""


def tls_options(url: str) -> dict[str, Any]:
    """The TLS parameters of a URL as redis-py, Celery and Flower take them; empty for a URL without TLS.

    The certificate and its name are verified unless the URL says otherwise.

    Raises InvalidValue for a parameter without TLS, and for values that cannot be used.
    """
    parts = urlsplit(url)
    given = {name: value for name, value in parse_qsl(parts.query) if name in PARAMETERS}
    if parts.scheme != "rediss":
        if given:
            raise InvalidValue("{parameter} needs {scheme}", parameter=min(given), scheme="rediss://")
        return {}
    # kombu's names for the values are redis-py's with a prefix.
    verification = given.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if verification not in _VERIFICATION:
        raise _wrong("ssl_cert_reqs", Message("must be {choices} or {last}", choices="required, optional", last="none"))
    checks_name = verification != "none" and given.get("ssl_check_hostname", "true").lower() not in _FALSE
    # A word: before version 6, redis-py's client for an event loop, which Flower uses, knows nothing else.
    options: dict[str, Any] = given | {"ssl_cert_reqs": verification, "ssl_check_hostname": checks_name}
    if "ssl_min_version" in given:
        try:
            options["ssl_min_version"] = int(ssl.TLSVersion(int(given["ssl_min_version"])))
        except ValueError:
            choices = Message("must be {choices} or {last}", choices="771 (TLS 1.2)", last="772 (TLS 1.3)")
            raise _wrong("ssl_min_version", choices) from None
    return options


def check_tls(url: str) -> None:
    """Raise InvalidValue naming the parameter of a URL whose files cannot be used."""
    options = tls_options(url)
    for name in (*_FILES, "ssl_ca_path"):
        path = options.get(name)
        if path is not None and not os.access(path, os.R_OK):
            raise _wrong(name, Message("{path} cannot be read", path=path))
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise _wrong("ssl_keyfile", Message("needs {parameter}", parameter="ssl_certfile"))
    for names in (("ssl_ca_certs", "ssl_ca_path"), ("ssl_certfile", "ssl_keyfile", "ssl_password"), ("ssl_ciphers",)):
        part: dict[str, Any] = {name: options[name] for name in names if name in options}
        if part:
            try:
                _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), part)
            except OSError as error:
                reason = getattr(error, "reason", None) or type(error).__name__
                raise _wrong(next(iter(part)), Message("cannot be used ({detail})", detail=reason)) from None


def without_tls_options(url: str) -> str:
    """The URL without its TLS parameters."""
    address, mark, query = url.partition("?")
    others = [part for part in query.split("&") if part.partition("=")[0] not in PARAMETERS]
    return address + (mark + "&".join(others) if any(others) else "")


def with_ca_bundle(url: str, path: str) -> str:
    """A ``rediss://`` URL that trusts the authorities of a file, unless it names others; any other URL as it is."""
    address, _, query = url.partition("?")
    names = {part.partition("=")[0] for part in query.split("&")}
    if not path or not url.startswith("rediss") or names & {"ssl_ca_certs", "ssl_ca_path"}:
        return url
    return f"{address}?{query}{'&' if query else ''}ssl_ca_certs={quote(path, safe='/')}"


def is_verified(options: Mapping[str, Any]) -> bool:
    """Whether the certificate that a server shows is verified, and its name."""
    return _verify_mode(options) != ssl.CERT_NONE and bool(options["ssl_check_hostname"])


def _verify_mode(options: Mapping[str, Any]) -> ssl.VerifyMode:
    given = options["ssl_cert_reqs"]  # a word, or what Celery's result backend makes of it
    return given if isinstance(given, ssl.VerifyMode) else _VERIFICATION[given]


def _wrong(parameter: str, problem: Message) -> InvalidValue:
    return InvalidValue("{parameter}: {problem}", parameter=parameter, problem=problem)


@dataclass(frozen=True, slots=True)
class _Made:
    """A context and the state of the files that it was made from."""

    context: ssl.SSLContext
    files: tuple[tuple[int, int, int], ...]


_made: dict[tuple[tuple[str, Any], ...], _Made] = {}


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """The context for connections with these options, made anew when one of its files has changed.

    To load the system's certificates for each connection, as redis-py does, takes longer than the handshake. Files that
    cannot be used, as in the middle of their rotation, leave the context that there is.

    Raises OSError, also as ssl.SSLError, when there is none.
    """
    key = tuple(sorted(options.items()))
    files = tuple(_file_state(options[name]) for name in _FILES if name in options)
    if "ssl_ca_certs" not in options:
        files = (*files, _file_state(ssl.get_default_verify_paths().cafile))
    made = _made.get(key)
    if made is None or made.files != files:
        try:
            # Without a lock, which a process that is forked could find taken: to make it twice does no harm.
            made = _made[key] = _Made(_new_context(options), files)
        except OSError:  # ssl.SSLError too
            if made is None:
                raise
    return made.context


def _file_state(path: str | None) -> tuple[int, int, int]:
    try:
        state = Path(path or "").stat()
    except OSError:
        return 0, 0, 0
    return state.st_ino, state.st_size, state.st_mtime_ns


def _new_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    if {"ssl_ca_certs", "ssl_ca_path"} & set(options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.create_default_context()
    context.check_hostname = is_verified(options)
    context.verify_mode = _verify_mode(options)
    _load(context, options)
    return context


def _load(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    ca_file, ca_path = options.get("ssl_ca_certs"), options.get("ssl_ca_path")
    if ca_file or ca_path:
        context.load_verify_locations(ca_file, ca_path)
    if "ssl_certfile" in options:
        # With no password at all, OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(
            options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password", "").encode
        )
    if "ssl_ciphers" in options:
        context.set_ciphers(options["ssl_ciphers"])
    if "ssl_min_version" in options:
        context.minimum_version = ssl.TLSVersion(options["ssl_min_version"])


def causes(error: BaseException, *, named: bool = False) -> Iterator[BaseException]:
    """The error and those behind it, newest first; with ``named``, those alone that it was raised ``from``."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if named else cause.__context__)


def _ssl_error(error: BaseException) -> ssl.SSLError | None:
    return next((cause for cause in causes(error) if isinstance(cause, ssl.SSLError)), None)


def tls_failure(error: BaseException) -> str:
    """Why the TLS handshake failed, or an empty string when the error has another cause."""
    failure = _ssl_error(error)
    return "" if failure is None else getattr(failure, "verify_message", "") or failure.reason or type(failure).__name__


class NoHandshake(ssl.SSLError):
    """A port accepted the connection and did not answer the handshake in time."""

    reason = "no answer to the handshake"


NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons for an answer to its handshake that is no TLS."""
_NOT_TRUSTED = Message(
    "Let RESYNC_REDIS_CA_BUNDLE, or ssl_ca_certs of REDIS_URL, name the file of the authority that issued the "
    "certificate."
)
_OUT_OF_DATE = Message("Renew the certificate of Redis, or correct this machine's clock.")
_ANOTHER_NAME = Message("Let REDIS_URL name Redis by a name that its certificate has.")
_ADVICE = {
    **dict.fromkeys((2, 18, 19, 20, 21), _NOT_TRUSTED),
    **dict.fromkeys((9, 10), _OUT_OF_DATE),
    **dict.fromkeys((62, 64), _ANOTHER_NAME),
}
"""By the number of OpenSSL's X509_V_ERR: no known issuer or a self-signed certificate, not yet or no longer valid, not
for this host name or address."""


def tls_advice(error: BaseException) -> Message | None:
    """What to do about a failed TLS connection to Redis, or None when the error has another cause."""
    failure = _ssl_error(error)
    if failure is None:
        return None
    reason = failure.reason or ""
    if reason in NO_TLS:
        return Message("This port speaks no TLS: let REDIS_URL name another one, or begin with redis://.")
    if isinstance(failure, NoHandshake):
        return Message("Is Redis running, and does REDIS_URL name its port for TLS?")
    if isinstance(failure, ssl.SSLEOFError):
        return Message(
            "The connection was closed: is it the port for TLS, is ssl_certfile accepted, does maxclients suffice?"
        )
    if "ALERT" in reason:
        return Message("Redis refused this client: check ssl_certfile and ssl_keyfile of REDIS_URL.")
    return _ADVICE.get(
        getattr(failure, "verify_code", 0), Message("Check the parameters of REDIS_URL that begin with ssl_.")
    )


def speaks_tls(host: str, port: int, seconds: float) -> bool:
    """Whether a TLS server listens there, found out by a handshake alone. Whom it is, is not checked."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        # Not asyncio, which leaves the connection of a failed handshake open.
        with socket.create_connection((host, port), seconds) as plain, context.wrap_socket(plain, server_hostname=host):
            return True
    except ssl.SSLError as error:
        # A TLS server that refuses this client is one all the same.
        return error.reason not in NO_TLS
    except OSError:
        return False
