"""``metrics:prometheus`` and ``metrics:text``: whether the figures around a failure can be read."""

from __future__ import annotations

import asyncio

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.models import Intent
from workers.config import MetricsSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.sources.metrics.exposition import MAX_BODY_BYTES, ExpositionText, NotExposition, parse_exposition
from workers.sources.metrics.http import MetricsHttp
from workers.sources.metrics.prometheus import Answer, PrometheusClient
from workers.sources.metrics.queries import QuerySet, load_queries
from workers.sources.metrics.series import DEFAULT_SERIES

FAMILY = "metrics"
_FIXED = frozenset({"unauthorized", "tls", "timeout", "unreachable", "http_status", "bad_format"})


def check_metrics(around: Surroundings) -> list[Check]:
    """One check for each configured way; a wrong setting, or none, is one check that says so."""
    text = around.text
    try:
        settings = MetricsSettings.from_env(around.environ)
        queries = load_queries(settings.queries_file)
    except ConfigurationError as error:
        return [Check.settled(FAMILY, error)]
    checks = []
    if settings.prometheus_url is not None:
        checks.append(_check_prometheus(settings, settings.prometheus_url, queries, around))
    if settings.text_url is not None:
        checks.append(_check_text(settings, settings.text_url, around))
    if not checks:
        finding = Finding(Status.OFF, text("metrics.off"), text("fix.metrics_off"), "not_configured")
        checks.append(Check.settled(FAMILY, finding))
    return checks


def _check_prometheus(settings: MetricsSettings, url: str, queries: QuerySet, around: Surroundings) -> Check:
    async def examine() -> Finding:
        http = await _open(settings, url)
        client = PrometheusClient(http)
        asked = queries.select(Intent.TROUBLESHOOT, has_workstation=False)
        texts = [query.expand((), label=queries.workstation_label) for query in asked]
        try:
            answers = await client.instant(texts, timeout_seconds=around.call_seconds)
        except SourceError as error:
            return _unavailable(error, http, "RESYNC_PROMETHEUS_URL", around)
        finally:
            await client.close()
        answered = dict(zip([query.series.name for query in asked], answers, strict=True))
        return judge_answers(answered, http.shown_url, around)

    return Check(f"{FAMILY}:prometheus", examine)


def judge_answers(answers: dict[str, Answer], where: str, around: Surroundings) -> Finding:
    """The queries' answers, judged. Pure."""
    text, verdict = around.text, Verdict()
    there = [name for name, answer in answers.items() if answer.samples]
    refused = [name for name, answer in answers.items() if answer.problem]
    late = [name for name, answer in answers.items() if answer.is_late]
    verdict.note(text("metrics.found_api", where=where, there=len(there), asked=len(answers)))
    if refused:
        found = text("metrics.refused", names=", ".join(refused))
        verdict.warn(found, text("fix.metrics_refused"), reason="bad_query")
    if late:
        verdict.warn(text("metrics.late", names=", ".join(late)), text("fix.metrics_late"), reason="late")
    if not there and not refused and not late:
        verdict.warn(text("metrics.nothing"), text("fix.metrics_nothing_api"), reason="no_data")
    missing = [name for name in answers if name not in {*there, *refused, *late}]
    return verdict.finding(where=where, series=there, missing=missing, refused=refused, late=late)


def _check_text(settings: MetricsSettings, url: str, around: Surroundings) -> Check:
    async def examine() -> Finding:
        http = await _open(settings, url)
        try:
            body = await http.get(timeout_seconds=around.call_seconds, max_bytes=MAX_BODY_BYTES)
            # A cut body's last line is broken off in the middle.
            text = body.text.rpartition("\n")[0] if body.is_cut else body.text
            return judge_text(parse_exposition(text, DEFAULT_SERIES), http.shown_url, around)
        except NotExposition:
            error = SourceError(reason="bad_format")
            return _unavailable(error, http, "RESYNC_METRICS_URL", around)
        except SourceError as error:
            return _unavailable(error, http, "RESYNC_METRICS_URL", around)
        finally:
            await http.close()

    return Check(f"{FAMILY}:text", examine)


def judge_text(exposition: ExpositionText, where: str, around: Surroundings) -> Finding:
    """An exposition, judged. Pure."""
    text, verdict = around.text, Verdict()
    there = [series.name for series in DEFAULT_SERIES if exposition.read(series) is not None]
    verdict.note(text("metrics.found_text", where=where, there=len(there), asked=len(DEFAULT_SERIES)))
    if exposition.unreadable_lines:
        verdict.note(text("metrics.unreadable", lines=exposition.unreadable_lines))
    if not there:
        verdict.warn(text("metrics.nothing"), text("fix.metrics_nothing_text"), reason="no_data")
    missing = [series.name for series in DEFAULT_SERIES if series.name not in there]
    return verdict.finding(where=where, series=there, missing=missing, unreadable_lines=exposition.unreadable_lines)


async def _open(settings: MetricsSettings, url: str) -> MetricsHttp:
    token = settings.token.get_secret_value() if settings.token else None
    # In a thread: loading the certificates takes a tenth of a second, in which the other checks would stand still.
    return await asyncio.to_thread(MetricsHttp, url, token=token, ca_bundle=settings.ca_bundle)


def _unavailable(error: SourceError, http: MetricsHttp, variable: str, around: Surroundings) -> Finding:
    kind = error.reason if error.reason in _FIXED else "other"
    where = http.shown_url
    found = around.text(f"metrics.{kind}", where=where, detail=around.scrub(str(error)))
    return Finding(
        Status.ERROR, found, around.text(f"fix.metrics_{kind}", variable=variable), error.reason, {"where": where}
    )
