"""Optional tracing with OpenTelemetry: a run is one trace over the app, the workers and the watcher.

Off unless the app, or a worker whose endpoint is configured, has set a tracer provider; OpenTelemetry is never imported
for it. Spans carry ids, names, counts and times, never the text of a question, of an answer or of an error.
"""

import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from orchestrator.logs import get_logger, shown

_LOGGER = get_logger(__name__)
API = "opentelemetry.trace"
NAME = "resync-troubleshoot"
"""Name of the tracer, and of the service unless ``OTEL_SERVICE_NAME`` is another."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_SECONDS = 2.0
"""Longest wait of a process that ends for a collector that does not answer."""
HEADER = "traceparent"
"""The header of a message, as of W3C's Trace Context."""
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_ATTRIBUTES = {
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "where": "server.address",
    "model": "gen_ai.request.model",
    "tokens_in": "gen_ai.usage.input_tokens",
    "tokens_out": "gen_ai.usage.output_tokens",
    "queue": "messaging.destination.name",
    "task_id": "messaging.message.id",
    "reason": "error.type",
}
"""Attributes by the names of fields, where there is a convention; the others are ``resync.<name>``."""


class Span:
    """A span of a run, or nothing where there is no tracing."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, **fields: object) -> None:
        """Set attributes; None is no value."""
        if self._span is not None:
            self._span.set_attributes(_attributes(fields))

    def fail(self, reason: str) -> None:
        """Mark the span as failed, for a word of ours."""
        if self._span is not None:
            status = sys.modules[API].StatusCode.ERROR
            self._span.set_status(status, reason)
            self.set(reason=reason)


_NO_SPAN = Span()


def _api() -> Any:
    api = sys.modules.get(API)
    # Another thread may be importing it.
    return api if hasattr(api, "set_span_in_context") else None


def _tracers() -> Any:
    """The tracer provider of this process or of its app; None without one, though libraries may have loaded the API."""
    api = _api()
    if api is None:
        return None
    provider = _provider.get() or api.get_tracer_provider()
    return None if isinstance(provider, api.ProxyTracerProvider) else provider


@contextmanager
def span(name: str, *, kind: str = "internal", parent: str | None = None, **fields: object) -> Iterator[Span]:
    """Trace the block: a child of ``parent``, a traceparent, or else of the span around it.

    ``kind`` is one of OpenTelemetry's, in small letters. An error that leaves the block marks the span by its reason.
    """
    api, tracers = _api(), _tracers()
    if tracers is None:
        yield _NO_SPAN
        return
    started = tracers.get_tracer(NAME).start_as_current_span(
        name,
        context=_remote(api, parent),
        kind=api.SpanKind[kind.upper()],
        attributes=_attributes(fields),
        record_exception=False,
        set_status_on_exception=False,
    )
    with started as current:
        traced = Span(current)
        try:
            yield traced
        except BaseException as error:
            # Not its text, which may quote data of a run.
            reason = getattr(error, "reason", None)
            traced.fail(reason if isinstance(reason, str) else type(error).__name__)
            raise


def annotate(**fields: object) -> None:
    """Set attributes of the span around the call."""
    api = _api()
    if api is not None:
        Span(api.get_current_span()).set(**fields)


def traceparent() -> str | None:
    """The span around the call as W3C's header; None without one."""
    api = _api()
    context = None if api is None else api.get_current_span().get_span_context()
    if context is None or not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def headers() -> dict[str, str]:
    """The headers of a message that belongs to the span around the call."""
    parent = traceparent()
    return {} if parent is None else {HEADER: parent}


def parent_of(run_id: str, given: object, stored: Callable[[], str | None]) -> str | None:
    """The parent of a span about a run: as ``given`` in a message, else as stored with the run.

    A run that was submitted without tracing has a trace all the same, whose id every process makes from the run's.
    None without tracing.
    """
    if _tracers() is None:
        return None
    if isinstance(given, str) and _TRACEPARENT.fullmatch(given):
        return given
    kept = stored()
    if kept is not None and _TRACEPARENT.fullmatch(kept):
        return kept
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def _remote(api: Any, parent: str | None) -> Any:
    match = None if parent is None else _TRACEPARENT.fullmatch(parent)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=api.TraceFlags(flags))
    return api.set_span_in_context(api.NonRecordingSpan(context))


def _attributes(fields: Mapping[str, object]) -> dict[str, Any]:
    return {
        _ATTRIBUTES.get(name, f"resync.{name}"): value if isinstance(value, (str, int, float)) else str(value)
        for name, value in fields.items()
        if value is not None
    }


class _Provider:
    """The tracer provider of this process, made at its first span, so that each prefork child has its own."""

    def __init__(self) -> None:
        self._service: str | None = None
        self._made: tuple[int, Any] | None = None
        self._lock = threading.Lock()

    def start(self, service: str) -> None:
        self._service = service

    def get(self) -> Any:
        if self._service is None:
            return None
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                try:
                    self._made = os.getpid(), _make_provider(self._service)
                except Exception as error:  # noqa: BLE001  # border: OpenTelemetry's variables; runs need no traces
                    _LOGGER.warning("tracing_not_started error=%s", shown(error))
                    self._service = None
                    return None
            return self._made[1]

    def stop(self) -> None:
        made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            # With a collector that does not answer, it takes as long as that may.
            thread = threading.Thread(target=made[1].shutdown, name="trace-flush", daemon=True)
            thread.start()
            thread.join(FLUSH_SECONDS)


_provider = _Provider()


def start_tracing(environ: Mapping[str, str], *, service: str) -> None:
    """Trace this process, a worker or a watcher, where an OTLP endpoint is configured and the extra is installed.

    Where the site has set a tracer provider of its own, that is used.
    """
    if not any(environ.get(name) for name in ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        # All that is loaded is loaded at the start, not by the first task.
        for name in (API, "opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
            import_module(name)
    except ImportError as error:
        _LOGGER.warning("tracing_not_installed package=%s extra=otel", error.name)
        return
    except ValueError as error:
        _LOGGER.warning("tracing_not_started error=%s", shown(error))
        return
    api = sys.modules[API]
    if isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        _provider.start(service)


def stop_tracing() -> None:
    """Send what is left, within ``FLUSH_SECONDS``."""
    _provider.stop()


def _make_provider(service: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    name = os.environ.get("OTEL_SERVICE_NAME") or NAME
    resource = Resource.create({"service.name": name, "service.instance.id": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
