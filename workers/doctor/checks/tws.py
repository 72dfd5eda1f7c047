"""``tws:<instance>``: whether each TWS instance lets us in and answers about its plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from orchestrator.deadline import Deadline
from orchestrator.errors import ConfigurationError
from workers.config import TwsSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.sources.tws_status.client import HwaClient, HwaSession
from workers.sources.tws_status.errors import HwaError, NotFound
from workers.sources.tws_status.instances import TwsInstance, load_instances
from workers.sources.tws_status.parsing import text as text_of

FAMILY = "tws"
_FIXED = frozenset(
    {
        "unauthorized",
        "forbidden",
        "tls",
        "timeout",
        "unreachable",
        "not_found",
        "bad_answer",
        "server_error",
        "connection_cut",
        "rate_limited",
    }
)
"""Reasons with a remedy of their own."""


def check_tws(around: Surroundings) -> list[Check]:
    """One check an instance; a wrong setting, or none, is one check that says so."""
    text = around.text
    try:
        settings = TwsSettings.from_env(around.environ)
        instances = load_instances(settings)
    except ConfigurationError as error:
        return [Check.settled(FAMILY, error)]
    if not instances.names:
        finding = Finding(Status.WARNING, text("tws.none"), text("fix.tws_none"), "not_configured")
        return [Check.settled(FAMILY, finding)]
    return [_check_instance(instances.get(name), settings, around) for name in instances.names]


def _check_instance(instance: TwsInstance, settings: TwsSettings, around: Surroundings) -> Check:
    def variable(name: str) -> str:
        """How the setting is called where this instance comes from."""
        from_variables = settings.base_url is not None or settings.host is not None
        if from_variables and instance.name == settings.default_instance:
            return f"TWS_{name}"
        return f"{name.lower()} ({instance.name}, TWS_INSTANCES_FILE)"

    async def examine() -> Finding:
        client = HwaClient(instance)
        session = client.within(Deadline.after(around.call_seconds))
        try:
            # In a thread: many instances would take the time of all checks with loading the same certificates.
            await asyncio.to_thread(client.prepare)
            return await _ask(session, instance, variable("VERIFY"), around)
        except HwaError as error:
            return _refused(error, instance, variable, around)
        finally:
            await client.close()

    return Check(f"{FAMILY}:{instance.name}", examine)


async def _ask(session: HwaSession, instance: TwsInstance, verify: str, around: Surroundings) -> Finding:
    """Version, then one job of the plan: a user may sign in and yet see no job. Raises HwaError."""
    text, verdict = around.text, Verdict()
    try:
        info = await session.engine_info()
    except NotFound:
        info = {}  # a gateway that passes the plan on and nothing else
    version = text_of(info.get("displayVersion")) or text_of(info.get("fullVersion"))
    started = time.monotonic()
    page = await session.search_jobs(None, limit=1)
    answer_ms = round((time.monotonic() - started) * 1_000, 1)
    jobs = page.count if page.count is not None else len(page.results)
    how = _authentication(instance)
    found = text(f"tws.as_{how}", user=instance.user or "")
    verdict.note(
        text("tws.found", where=instance.where, version=version or "?", how=found, jobs=jobs, answer_ms=answer_ms)
    )
    if not jobs:
        verdict.warn(text("tws.empty"), text("fix.tws_empty"), reason="empty_plan")
    if urlsplit(instance.base_url).scheme == "https" and instance.verify is False:
        verdict.warn(text("tws.unverified"), text("fix.tws_unverified", verify=verify), reason="unverified")
    return verdict.finding(where=instance.where, version=version, authentication=how, jobs=jobs, answer_ms=answer_ms)


def _refused(error: HwaError, instance: TwsInstance, variable: Callable[[str], str], around: Surroundings) -> Finding:
    text = around.text
    known = error.reason if error.reason in _FIXED else "other"
    how = _authentication(instance)
    fields = {name.lower(): variable(name) for name in ("USER", "PASSWORD", "TOKEN", "VERIFY", "BASE_URL")}
    # Its second sentence is advice, which is given here in the terminal's language.
    detail = around.scrub(str(error).partition(". ")[0])
    shown_how = text(f"tws.as_{how}", user=instance.user or "")
    found = text(f"tws.{known}", where=instance.where, detail=detail, how=shown_how)
    fix = text(f"fix.tws_unauthorized_{how}" if known == "unauthorized" else f"fix.tws_{known}", **fields)
    return Finding(Status.ERROR, found, fix, error.reason, {"where": instance.where, "authentication": how})


def _authentication(instance: TwsInstance) -> str:
    if instance.token is not None:
        return "token"
    if instance.user is not None:
        return "user"
    return "header" if instance.auth_header is not None else "nobody"
