"""Metrics as facts, evidence and one line, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.i18n.languages import Language
from orchestrator.models import Evidence
from orchestrator.payloads import MetricsPayload, SeriesFacts
from workers.sources.metrics.prometheus import RangeSummary
from workers.sources.metrics.series import Series

ANOMALY_RATIO = 3.0
"""This many times the day before is a concern, for a value already half way to its limit."""
_MAX_LABELS = 10
_MAX_LABEL = 200

_TEXTS = {
    Language.PT_BR: {
        "fine": "{count} métrica(s) sem alerta",
        "none": "nenhuma das {count} métricas procuradas está publicada",
        "missing": "sem dados: {names}",
        "anomaly": "{label} em {value}, {ratio:g}x o dia anterior",
        "range": "mín {low}, média {mean}, máx {high} em {minutes} min",
        "day_before": "{ratio:g}x o dia anterior",
        "rising": "subindo",
        "falling": "caindo",
        "flat": "estável",
    },
    Language.EN: {
        "fine": "{count} metric(s), none of concern",
        "none": "none of the {count} metrics looked for is published",
        "missing": "no data: {names}",
        "anomaly": "{label} at {value}, {ratio:g}x the day before",
        "range": "min {low}, mean {mean}, max {high} over {minutes} min",
        "day_before": "{ratio:g}x the day before",
        "rising": "rising",
        "falling": "falling",
        "flat": "steady",
    },
    Language.ES: {
        "fine": "{count} métrica(s) sin alerta",
        "none": "ninguna de las {count} métricas buscadas está publicada",
        "missing": "sin datos: {names}",
        "anomaly": "{label} en {value}, {ratio:g}x el día anterior",
        "range": "mín {low}, media {mean}, máx {high} en {minutes} min",
        "day_before": "{ratio:g}x el día anterior",
        "rising": "subiendo",
        "falling": "bajando",
        "flat": "estable",
    },
}


def facts_of(
    series: Series,
    value: float,
    labels: Mapping[str, str],
    language: Language,
    summary: RangeSummary | None = None,
) -> SeriesFacts:
    """One series for the payload."""
    return SeriesFacts(
        name=series.name,
        value=value,
        unit=series.unit,
        labels={name: labels[name][:_MAX_LABEL] for name in sorted(labels)[:_MAX_LABELS] if name != "__name__"},
        minimum=summary.minimum if summary else None,
        mean=summary.mean if summary else None,
        maximum=summary.maximum if summary else None,
        trend=summary.trend if summary else "",
        anomaly_ratio=summary.anomaly_ratio if summary else None,
        concern=series.concern(value, language) or _anomaly(series, value, summary, language),
    )


def build_evidence(
    found: Sequence[tuple[Series, SeriesFacts]],
    language: Language,
    *,
    where: str,
    at: datetime | None,
    range_seconds: int = 0,
) -> tuple[Evidence, ...]:
    """One item per series, those of concern first."""
    when = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ordered = sorted(found, key=lambda pair: not pair[1].concern)
    return tuple(
        Evidence(
            id=f"metrics:{number}",
            source="metrics",
            kind="metric",
            title=series.label[language],
            text=_sentence(series, facts, language, range_seconds),
            where=where,
            when=when,
        )
        for number, (series, facts) in enumerate(ordered, start=1)
    )


def describe(payload: MetricsPayload, language: Language) -> str:
    """One line for the live view."""
    texts = _TEXTS[language]
    if not payload.series:
        return texts["none"].format(count=len(payload.missing))
    concerns = [facts.concern for facts in payload.series if facts.concern]
    parts = concerns[:3] or [texts["fine"].format(count=len(payload.series))]
    if payload.missing:
        parts.append(texts["missing"].format(names=", ".join(payload.missing)))
    return "; ".join(parts)


def _anomaly(series: Series, value: float, summary: RangeSummary | None, language: Language) -> str:
    """A jump against the day before, where high is bad; small values jump without meaning anything."""
    if summary is None or summary.anomaly_ratio is None or series.limit is None or series.bad != "high":
        return ""
    if summary.anomaly_ratio < ANOMALY_RATIO or value < series.limit / 2:
        return ""
    return _TEXTS[language]["anomaly"].format(
        label=series.label[language], value=series.format(value, language), ratio=summary.anomaly_ratio
    )


def _sentence(series: Series, facts: SeriesFacts, language: Language, range_seconds: int) -> str:
    texts = _TEXTS[language]
    labels = ",".join(f'{name}="{value}"' for name, value in facts.labels.items())
    name = f"{facts.name}{{{labels}}}" if labels else facts.name
    details = []
    if facts.minimum is not None and facts.mean is not None and facts.maximum is not None:
        low, mean, high = (series.format(value, language) for value in (facts.minimum, facts.mean, facts.maximum))
        details.append(texts["range"].format(low=low, mean=mean, high=high, minutes=range_seconds // 60))
    if facts.trend:
        details.append(texts[facts.trend])
    if facts.anomaly_ratio is not None:
        details.append(texts["day_before"].format(ratio=facts.anomaly_ratio))
    value = "" if facts.value is None else series.format(facts.value, language)
    return (
        f"{name} = {value}"
        + (f" ({'; '.join(details)})" if details else "")
        + (f": {facts.concern}" if facts.concern else "")
    )
