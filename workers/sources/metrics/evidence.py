"""Metrics as payload, evidence items and one line."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join, write
from orchestrator.models import Evidence
from orchestrator.payloads import MetricsPayload, SeriesFacts
from orchestrator.redaction.redact import MARK, is_secret_item, redact_start
from workers.sources.metrics.prometheus import RangeSummary
from workers.sources.metrics.series import Series

ANOMALY_RATIO = 3.0
"""Ratio to the day before that is a concern, for a value of at least half its limit."""
_MAX_LABELS = 10
_MAX_LABEL = 200

_TRENDS = {"rising": Message("rising"), "falling": Message("falling"), "flat": Message("steady")}


def facts_of(
    series: Series,
    value: float,
    labels: Mapping[str, str],
    language: Language,
    summary: RangeSummary | None = None,
) -> SeriesFacts:
    """One series of the payload; ``concern`` is written in ``language``."""
    concern = series.concern(value) or _anomaly(series, value, summary)
    return SeriesFacts(
        name=series.name,
        value=value,
        unit=series.unit,
        labels=_shown(labels),
        minimum=summary.minimum if summary else None,
        mean=summary.mean if summary else None,
        maximum=summary.maximum if summary else None,
        trend=summary.trend if summary else "",
        anomaly_ratio=summary.anomaly_ratio if summary else None,
        concern=write(concern, language) if concern else "",
    )


def _shown(labels: Mapping[str, str]) -> dict[str, str]:
    """The first labels, masked by their names and values, then cut."""
    shown = {name: labels[name] for name in sorted(labels)[:_MAX_LABELS] if name != "__name__"}
    return {
        name: MARK if is_secret_item(shown, name) else redact_start(value, _MAX_LABEL)[0]
        for name, value in shown.items()
    }


def build_evidence(
    measured: Sequence[tuple[Series, SeriesFacts]],
    language: Language,
    *,
    where: str,
    at: datetime | None,
    range_seconds: int = 0,
) -> tuple[Evidence, ...]:
    """One evidence item per series, those of concern first.

    ``where`` is the URL that was queried, ``at`` the time of the values (None: now), ``range_seconds`` the span of the
    summaries.
    """
    when = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ordered = sorted(measured, key=lambda pair: not pair[1].concern)
    return tuple(
        Evidence(
            id=f"metrics:{number}",
            source="metrics",
            kind="metric",
            title=series.label.in_language(language),
            text=_sentence(series, facts, range_seconds).in_language(language),
            where=where,
            when=when,
        )
        for number, (series, facts) in enumerate(ordered, start=1)
    )


def describe(payload: MetricsPayload) -> Text:
    """The concerns, or that there are none, in one line; ``concern`` is in the language of the question already."""
    missing = Message("no data: {names}", names=", ".join(payload.missing)) if payload.missing else ""
    count = len(payload.series)
    if not count:
        return Message(
            "the {count} metric looked for is not published",
            plural="none of the {count} metrics looked for is published",
            count=len(payload.missing),
        )
    concerns = [facts.concern for facts in payload.series if facts.concern][:3]
    fine = Message("{count} metric, of no concern", plural="{count} metrics, none of concern", count=count)
    parts: list[Text | str] = [*concerns] or [fine]
    return join((*parts, missing), "; ")


def _anomaly(series: Series, value: float, summary: RangeSummary | None) -> Message | None:
    """A jump against the day before, for series where high is bad; small values are ignored."""
    if summary is None or summary.anomaly_ratio is None or series.limit is None or series.bad != "high":
        return None
    if summary.anomaly_ratio < ANOMALY_RATIO or value < series.limit / 2:
        return None
    return Message(
        "{label} at {value}, {ratio:g}x the day before",
        label=series.label,
        value=series.shown(value),
        ratio=summary.anomaly_ratio,
    )


def _sentence(series: Series, facts: SeriesFacts, range_seconds: int) -> Text:
    labels = ",".join(f'{name}="{value}"' for name, value in facts.labels.items())
    name = f"{facts.name}{{{labels}}}" if labels else facts.name
    details = []
    if facts.minimum is not None and facts.mean is not None and facts.maximum is not None:
        details.append(
            Message(
                "min {low}, mean {mean}, max {high} over {minutes} min",
                low=series.shown(facts.minimum),
                mean=series.shown(facts.mean),
                high=series.shown(facts.maximum),
                minutes=range_seconds // 60,
            )
        )
    if facts.trend:
        details.append(_TRENDS[facts.trend])
    if facts.anomaly_ratio is not None:
        details.append(Message("{ratio:g}x the day before", ratio=facts.anomaly_ratio))
    value = "" if facts.value is None else series.shown(facts.value)
    return join(
        (
            join((name, " = ", value), ""),
            join((" (", join(details, "; "), ")"), "") if details else "",
            f": {facts.concern}" if facts.concern else "",
        ),
        "",
    )
