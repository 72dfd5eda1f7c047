"""``metrics:prometheus`` and ``metrics:text``: whether metrics can be read."""

import asyncio

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.message import Message
from orchestrator.models import Intent
from workers.config import MetricsSettings
from workers.doctor.check import Check, CheckContext, CheckResult, Status, Verdict
from workers.sources.metrics.exposition import MAX_BODY_BYTES, ExpositionText, NotExposition, parse_exposition
from workers.sources.metrics.http import MetricsHttp
from workers.sources.metrics.prometheus import Answer, PrometheusClient
from workers.sources.metrics.queries import QuerySet, load_queries
from workers.sources.metrics.series import DEFAULT_SERIES

FAMILY = "metrics"
_FAILURES = {
    "unauthorized": (Message("{where} refused the token (HTTP 401 or 403)"), Message("Correct RESYNC_METRICS_TOKEN.")),
    "tls": (
        Message("TLS failed: {detail}"),
        Message("Let RESYNC_METRICS_CA_BUNDLE name the file of the CA's certificates."),
    ),
    "timeout": (
        Message("{where} does not answer in time"),
        Message("Check the way to the host of {variable} and its load."),
    ),
    "unreachable": (Message("{where} cannot be reached"), Message("Correct {variable}, or start what it names.")),
    "http_status": (Message("{detail}"), Message("Correct the path in {variable}.")),
    "bad_format": (
        Message("{where} answers, but not as Prometheus does"),
        Message("Correct {variable}: RESYNC_PROMETHEUS_URL is the API's base, RESYNC_METRICS_URL a text endpoint."),
    ),
}
"""Sentence and remedy for each reason of a SourceError."""
_OTHER = (Message("{detail}"), Message("Check {variable}."))


def check_metrics(context: CheckContext) -> list[Check]:
    """One check for each configured endpoint; a single one when a setting is wrong or nothing is configured."""
    try:
        settings = MetricsSettings.from_env(context.environ)
        queries = load_queries(settings.queries_file)
    except ConfigurationError as error:
        return [Check.settled(FAMILY, error)]
    checks = []
    if settings.prometheus_url is not None:
        checks.append(_check_prometheus(settings, settings.prometheus_url, queries, context))
    if settings.text_url is not None:
        checks.append(_check_text(settings, settings.text_url, context))
    if not checks:
        result = CheckResult(
            Status.OFF,
            Message("no metrics are configured"),
            Message("Set RESYNC_PROMETHEUS_URL (HTTP API) or RESYNC_METRICS_URL (the app's /metrics)."),
            "not_configured",
        )
        checks.append(Check.settled(FAMILY, result))
    return checks


def _check_prometheus(settings: MetricsSettings, url: str, queries: QuerySet, context: CheckContext) -> Check:
    async def examine() -> CheckResult:
        http = await _open(settings, url)
        client = PrometheusClient(http)
        selected = queries.select(Intent.TROUBLESHOOT, has_workstation=False)
        texts = [query.expand((), label=queries.workstation_label) for query in selected]
        try:
            answers = await client.instant(texts, timeout_seconds=context.call_seconds)
        except SourceError as error:
            return _unavailable(error, http, "RESYNC_PROMETHEUS_URL", context)
        finally:
            await client.close()
        answered = dict(zip([query.series.name for query in selected], answers, strict=True))
        return judge_answers(answered, http.shown_url)

    return Check(f"{FAMILY}:prometheus", examine)


def judge_answers(answers: dict[str, Answer], where: str) -> CheckResult:
    """The result for the answers to the queries."""
    verdict = Verdict()
    answered = [name for name, answer in answers.items() if answer.samples]
    refused = [name for name, answer in answers.items() if answer.problem]
    late = [name for name, answer in answers.items() if answer.is_late]
    verdict.note(
        Message(
            "Prometheus API at {where}: {there} of {asked} queries have data",
            where=where,
            there=len(answered),
            asked=len(answers),
        )
    )
    if refused:
        found = Message("queries refused: {names}", names=", ".join(refused))
        verdict.warn(found, Message("Correct these queries in RESYNC_METRICS_QUERIES_FILE."), reason="bad_query")
    if late:
        verdict.warn(
            Message("not answered in time: {names}", names=", ".join(late)),
            Message("Make these queries cheaper (recording rules) in RESYNC_METRICS_QUERIES_FILE."),
            reason="late",
        )
    if not answered and not refused and not late:
        verdict.warn(
            Message("none of the known figures is there"),
            Message("Check the targets of Prometheus, or name your own series in RESYNC_METRICS_QUERIES_FILE."),
            reason="no_data",
        )
    missing = [name for name in answers if name not in {*answered, *refused, *late}]
    return verdict.result(where=where, series=answered, missing=missing, refused=refused, late=late)


def _check_text(settings: MetricsSettings, url: str, context: CheckContext) -> Check:
    async def examine() -> CheckResult:
        http = await _open(settings, url)
        try:
            body = await http.get(timeout_seconds=context.call_seconds, max_bytes=MAX_BODY_BYTES)
            # The last line of a truncated body is incomplete.
            text = body.text.rpartition("\n")[0] if body.is_cut else body.text
            return judge_text(parse_exposition(text, DEFAULT_SERIES), http.shown_url)
        except NotExposition:
            error = SourceError(reason="bad_format")
            return _unavailable(error, http, "RESYNC_METRICS_URL", context)
        except SourceError as error:
            return _unavailable(error, http, "RESYNC_METRICS_URL", context)
        finally:
            await http.close()

    return Check(f"{FAMILY}:text", examine)


def judge_text(exposition: ExpositionText, where: str) -> CheckResult:
    """The result for an exposition."""
    verdict = Verdict()
    present = [series.name for series in DEFAULT_SERIES if exposition.read(series) is not None]
    verdict.note(
        Message(
            "text at {where}: {there} of {asked} known series",
            where=where,
            there=len(present),
            asked=len(DEFAULT_SERIES),
        )
    )
    if exposition.unreadable_lines:
        verdict.note(
            Message("{count} unreadable line", plural="{count} unreadable lines", count=exposition.unreadable_lines)
        )
    if not present:
        verdict.warn(
            Message("none of the known figures is there"),
            Message("Let RESYNC_METRICS_URL name the /metrics of the app; docs/metrics.md lists the known series."),
            reason="no_data",
        )
    missing = [series.name for series in DEFAULT_SERIES if series.name not in present]
    return verdict.result(where=where, series=present, missing=missing, unreadable_lines=exposition.unreadable_lines)


async def _open(settings: MetricsSettings, url: str) -> MetricsHttp:
    token = settings.token.get_secret_value() if settings.token else None
    # In a thread: loading the certificates takes a tenth of a second and would block the other checks.
    return await asyncio.to_thread(MetricsHttp, url, token=token, ca_bundle=settings.ca_bundle)


def _unavailable(error: SourceError, http: MetricsHttp, variable: str, context: CheckContext) -> CheckResult:
    found, fix = _FAILURES.get(error.reason, _OTHER)
    return CheckResult(
        Status.ERROR,
        found.with_facts(where=http.shown_url, detail=context.scrub.text(error.message)),
        fix.with_facts(variable=variable),
        error.reason,
        {"where": http.shown_url},
    )
