"""The ``metrics`` source: the figures around a failure, from an exposition text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.errors import SourceError
from orchestrator.models import Evidence, Language, SourceOutcome, SourceRequest
from orchestrator.payloads import MetricsPayload, SeriesFacts
from orchestrator.sources import FetchResult, SourceSpec
from workers.clients.prometheus_catalog import DEFAULT_SERIES, Series
from workers.clients.prometheus_http import MetricsHttp
from workers.clients.prometheus_text import MAX_BODY_BYTES, NotExposition, Reading, parse_exposition
from workers.config import MetricsSettings
from workers.sources.limits import call_limit_seconds

_TEXTS = {
    Language.PT_BR: {
        "fine": "{count} métrica(s) sem alerta",
        "none": "nenhuma das {count} métricas procuradas está publicada",
        "missing": "sem dados: {names}",
    },
    Language.EN: {
        "fine": "{count} metric(s), none of concern",
        "none": "none of the {count} metrics looked for is published",
        "missing": "no data: {names}",
    },
    Language.ES: {
        "fine": "{count} métrica(s) sin alerta",
        "none": "ninguna de las {count} métricas buscadas está publicada",
        "missing": "sin datos: {names}",
    },
}


class MetricsSource:
    """Reads metrics once per run."""

    def __init__(self, settings: MetricsSettings) -> None:
        token = settings.token.get_secret_value() if settings.token else None
        self._text = MetricsHttp(settings.text_url, token=token) if settings.text_url else None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> MetricsSource:
        """Build from the environment; raises ConfigurationError naming the variable."""
        return cls(MetricsSettings.from_env(environ))

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Read the series of interest within the request's limit.

        Raises SourceError: ``not_configured``, ``unreachable``, ``timeout``, ``tls``, ``unauthorized``,
        ``http_status`` or ``bad_format``.
        """
        if self._text is None:
            raise SourceError(
                "no metrics are configured: set RESYNC_PROMETHEUS_URL (HTTP API) or RESYNC_METRICS_URL (text)",
                reason="not_configured",
            )
        return await self._fetch_text(self._text, request)

    async def close(self) -> None:
        """Close the connections."""
        if self._text is not None:
            await self._text.close()

    async def _fetch_text(self, http: MetricsHttp, request: SourceRequest) -> FetchResult:
        limit = call_limit_seconds(request.limit_seconds)
        body = await http.get(timeout_seconds=limit, max_bytes=MAX_BODY_BYTES)
        text = body.text
        if body.is_cut:  # the last line is broken off in the middle
            text = text.rpartition("\n")[0]
        try:
            exposition = parse_exposition(text, DEFAULT_SERIES)
        except NotExposition as error:
            raise SourceError(f"{http.shown_url}: {error}", reason="bad_format") from None
        workstations = request.routing.entities.workstations
        language = request.routing.language
        found: list[tuple[Series, SeriesFacts]] = []
        missing: list[str] = []
        for series in DEFAULT_SERIES:
            reading = exposition.read(series, workstations)
            if reading is None:
                missing.append(series.name)
            else:
                found.append((series, _facts(series, reading, language)))
        payload = MetricsPayload(backend="text", series=tuple(facts for _, facts in found), missing=tuple(missing))
        cuts = [
            f"the body was read up to {MAX_BODY_BYTES} bytes" if body.is_cut else "",
            f"{exposition.unreadable_lines} unreadable lines" if exposition.unreadable_lines else "",
        ]
        return FetchResult(
            outcome=SourceOutcome.OK if found else SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            evidence=build_evidence(found, language, where=http.shown_url, now=datetime.now(UTC)),
            finding=describe(payload, language),
            asked=(f"GET {http.shown_url} (newest values)",),
            where=http.shown_url,
            truncated="; ".join(filter(None, cuts)) or None,
        )


def _facts(series: Series, reading: Reading, language: Language) -> SeriesFacts:
    return SeriesFacts(
        name=series.name,
        value=reading.value,
        unit=series.unit,
        labels={name: value[:200] for name, value in list(reading.labels.items())[:10]},
        concern=series.concern(reading.value, language),
    )


def build_evidence(
    found: Sequence[tuple[Series, SeriesFacts]], language: Language, *, where: str, now: datetime
) -> tuple[Evidence, ...]:
    """One item per series, those of concern first."""
    ordered = sorted(found, key=lambda pair: not pair[1].concern)
    return tuple(
        Evidence(
            id=f"metrics:{number}",
            source="metrics",
            kind="metric",
            title=series.label[language],
            text=_sentence(series, facts),
            where=where,
            when=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for number, (series, facts) in enumerate(ordered, start=1)
    )


def _sentence(series: Series, facts: SeriesFacts) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(facts.labels.items()))
    name = f"{facts.name}{{{labels}}}" if labels else facts.name
    value = "" if facts.value is None else series.format(facts.value)
    return f"{name} = {value}" + (f" ({facts.concern})" if facts.concern else "")


def describe(payload: MetricsPayload, language: Language) -> str:
    """One line for the live view, in the user's language."""
    texts = _TEXTS[language]
    if not payload.series:
        return texts["none"].format(count=len(payload.missing))
    concerns = [facts.concern for facts in payload.series if facts.concern]
    parts = concerns[:3] or [texts["fine"].format(count=len(payload.series))]
    if payload.missing:
        parts.append(texts["missing"].format(names=", ".join(payload.missing)))
    return "; ".join(parts)


SPEC = SourceSpec(name="metrics", create=MetricsSource.from_env, per_job=False)
