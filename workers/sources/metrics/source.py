"""The ``metrics`` source: load and health figures, from the Prometheus HTTP API or an exposition text."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message, join
from orchestrator.models import Clue, SourceOutcome, SourceRequest
from orchestrator.outcomes import NOT_CONFIGURED
from orchestrator.payloads import MetricsPayload, SeriesFacts
from orchestrator.sources import JOB_LOG_SOURCE, FetchResult, SourceSpec, call_limit_seconds
from workers.config import MetricsSettings
from workers.sources.metrics.evidence import build_evidence, describe, facts_of
from workers.sources.metrics.exposition import MAX_BODY_BYTES, NotExposition, parse_exposition
from workers.sources.metrics.http import MetricsHttp
from workers.sources.metrics.prometheus import Answer, PrometheusClient, Sample
from workers.sources.metrics.queries import Query, load_queries
from workers.sources.metrics.series import DEFAULT_SERIES, Series

_API_SHARE = 0.6
"""Share of the time for the HTTP API, when there is a text endpoint to fall back to."""
_RECENT_SECONDS = 900.0
"""The newest values still show the time of a run that ended so long ago."""
_MIN_HISTORY_SECONDS, _RESERVED_HISTORIES = 0.3, 3.0
"""Time that is kept for the values of the run's end: at least this, and so many times what the newest ones took."""
_INSTANT_SHARE = 0.6
"""Share of the API's time for current values; ranges get the rest."""


class MetricsSource:
    """Reads the metrics once per run."""

    def __init__(self, settings: MetricsSettings) -> None:
        token = settings.token.get_secret_value() if settings.token else None
        self._queries = load_queries(settings.queries_file)

        def http(url: str | None) -> MetricsHttp | None:
            return MetricsHttp(url, token=token, ca_bundle=settings.ca_bundle) if url else None

        self._text = http(settings.text_url)
        self._api_http = http(settings.prometheus_url)
        self._api = PrometheusClient(self._api_http) if self._api_http else None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Build from the environment. Raises ConfigurationError naming the variable."""
        return cls(MetricsSettings.from_env(environ))

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Read all series within the request's limit; if the API fails, from the text endpoint instead.

        Raises SourceError: ``not_configured``, ``unreachable``, ``timeout``, ``tls``, ``unauthorized``,
        ``http_status``, ``bad_format``, ``bad_query`` or ``invalid_value``.
        """
        deadline = Deadline.after(call_limit_seconds(request.limit_seconds))
        cuts: tuple[Message, ...] = ()
        if self._api is not None and self._api_http is not None:
            share = _API_SHARE if self._text is not None else 1.0
            try:
                return await self._fetch_history(
                    self._api, self._api_http.shown_url, request, Deadline.after(deadline.remaining() * share)
                )
            except SourceError as error:
                if self._text is None:
                    raise
                cuts = (
                    Message("the HTTP API could not be queried ({reason})", reason=error.reason),
                    Message("the exposition text was read instead"),
                )
        if self._text is None:
            raise SourceError(
                "no metrics are configured: set RESYNC_PROMETHEUS_URL (HTTP API) or RESYNC_METRICS_URL (text)",
                reason=NOT_CONFIGURED,
            )
        try:
            return await self._fetch_text(self._text, request, deadline, cuts)
        except SourceError as error:
            raise error.of(self._text.shown_url, [f"GET {self._text.shown_url}", *map(str, cuts)]) from None

    async def close(self) -> None:
        """Close the connections."""
        for http in (self._text, self._api_http):
            if http is not None:
                await http.close()

    async def _fetch_history(
        self, api: PrometheusClient, where: str, request: SourceRequest, deadline: Deadline
    ) -> FetchResult:
        """The newest values, or those of the time at which the run in question ended, once that is known."""
        began = time.monotonic()
        result = await self._fetch_api(api, where, request, deadline)
        reserve = max(_MIN_HISTORY_SECONDS, _RESERVED_HISTORIES * (time.monotonic() - began))
        clues = await request.clues.wait((JOB_LOG_SOURCE,), seconds=max(0.0, deadline.remaining() - reserve))
        end = _end_of_run(clues)
        if end is None or (datetime.now(UTC) - end).total_seconds() < _RECENT_SECONDS:
            return result
        try:
            return await self._fetch_api(api, where, request, deadline, at=end)
        except SourceError:
            return result

    async def _fetch_api(
        self,
        api: PrometheusClient,
        where: str,
        request: SourceRequest,
        deadline: Deadline,
        at: datetime | None = None,
    ) -> FetchResult:
        workstations = request.routing.entities.workstations
        language = request.routing.language
        queries = self._queries.select(request.routing.intent, has_workstation=bool(workstations))
        texts = [query.expand(workstations, label=self._queries.workstation_label) for query in queries]
        try:
            answers = await api.instant(texts, timeout_seconds=deadline.remaining() * _INSTANT_SHARE, at=at)
        except SourceError as error:
            raise error.of(where, texts) from None
        problems = [
            Message("{name}: {problem}", name=query.series.name, problem=answer.problem)
            if answer.problem
            else Message("{name}: not answered in time", name=query.series.name)
            for query, answer in zip(queries, answers, strict=True)
            if answer.problem or answer.is_late
        ]
        worst = [_worst(query, answer) for query, answer in zip(queries, answers, strict=True)]
        available = [(query, text, sample) for query, text, sample in zip(queries, texts, worst, strict=True) if sample]
        if not available and problems:
            # No samples while queries failed is an error, not an empty answer.
            late = any(answer.is_late for answer in answers)
            reason = "timeout" if late else "bad_query"
            raise SourceError("{where}: {problem}", where=where, problem=problems[0], reason=reason).of(where, texts)
        summaries = await api.summaries(
            [(text, sample) for _, text, sample in available],
            range_seconds=self._queries.range_seconds,
            timeout_seconds=deadline.remaining(),
        )
        measured = [
            (query.series, facts_of(query.series, sample.value, sample.labels, language, summary))
            for (query, _, sample), summary in zip(available, summaries, strict=True)
        ]
        without_range = sum(summary is None for summary in summaries)
        if without_range:
            problems.append(
                Message(
                    "{count} range not read in time, or too large",
                    plural="{count} ranges not read in time, or too large",
                    count=without_range,
                )
            )
        payload = MetricsPayload(
            backend="prometheus",
            series=tuple(facts for _, facts in measured),
            missing=tuple(query.series.name for query, sample in zip(queries, worst, strict=True) if sample is None),
            at=at.isoformat(timespec="seconds") if at else None,
        )
        seconds = self._queries.range_seconds
        of_values = datetime.fromtimestamp(available[0][2].at, UTC) if available else None
        values, finding = "newest values", describe(payload)
        if payload.at is not None:
            values = f"values at {payload.at}"
            finding = Message("when the run ended, at {at}: {finding}", at=payload.at, finding=finding)
        return FetchResult(
            outcome=SourceOutcome.OK if measured else SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            evidence=build_evidence(measured, language, where=where, at=of_values, range_seconds=seconds),
            finding=finding,
            asked=(*texts, f"{values}, the last {seconds} s, and the same {seconds} s a day before"),
            where=where,
            truncated=join(problems, "; ") if problems else None,
        )

    async def _fetch_text(
        self, http: MetricsHttp, request: SourceRequest, deadline: Deadline, cuts: Iterable[Message]
    ) -> FetchResult:
        body = await http.get(timeout_seconds=max(0.05, deadline.remaining()), max_bytes=MAX_BODY_BYTES)
        # The last line of a cut body is incomplete.
        text = body.text.rpartition("\n")[0] if body.is_cut else body.text
        try:
            exposition = parse_exposition(text, DEFAULT_SERIES)
        except NotExposition:
            raise SourceError(
                "{url}: no line is a comment or a sample of Prometheus text", url=http.shown_url, reason="bad_format"
            ) from None
        workstations = request.routing.entities.workstations
        language = request.routing.language
        measured: list[tuple[Series, SeriesFacts]] = []
        missing: list[str] = []
        for series in DEFAULT_SERIES:
            reading = exposition.read(series, workstations)
            if reading is None:
                missing.append(series.name)
            else:
                measured.append((series, facts_of(series, reading.value, reading.labels, language)))
        payload = MetricsPayload(backend="text", series=tuple(facts for _, facts in measured), missing=tuple(missing))
        cuts = list(cuts)
        if body.is_cut:
            cuts.append(Message("the body was read up to {limit} bytes", limit=MAX_BODY_BYTES))
        if count := exposition.unreadable_lines:
            cuts.append(Message("{count} unreadable line", plural="{count} unreadable lines", count=count))
        if count := exposition.unread_samples:
            cuts.append(Message("{count} sample not read", plural="{count} samples not read", count=count))
        return FetchResult(
            outcome=SourceOutcome.OK if measured else SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            evidence=build_evidence(measured, language, where=http.shown_url, at=None),
            finding=describe(payload),
            asked=(f"GET {http.shown_url} (newest values)",),
            where=http.shown_url,
            truncated=join(cuts, "; ") if cuts else None,
        )


def _end_of_run(clues: Iterable[Clue]) -> datetime | None:
    """The time at which the newest of the runs in question ended; one without a zone is in UTC."""
    ends = []
    for clue in clues:
        with suppress(ValueError):
            if clue.ended_at:
                end = datetime.fromisoformat(clue.ended_at)
                ends.append(end if end.tzinfo else end.replace(tzinfo=UTC))
    return max(ends, default=None)


def _worst(query: Query, answer: Answer) -> Sample | None:
    pick = max if query.series.bad == "high" else min
    return pick(answer.samples, key=lambda sample: sample.value, default=None)


SPEC = SourceSpec(name="metrics", create=MetricsSource.from_env, per_job=False)
