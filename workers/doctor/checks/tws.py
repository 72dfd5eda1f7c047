"""``tws:<instance>``: whether each TWS instance answers about its plan; ``instances``: whether the workers know it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from orchestrator.store.connection import session
from orchestrator.store.keys import Keys
from workers.config import TwsSettings
from workers.doctor.check import Check, CheckContext, CheckResult, Status, Verdict
from workers.sources.tws_status.client import HwaClient, HwaSession
from workers.sources.tws_status.errors import HwaError, NotFound, PlainToTls, TlsToPlain
from workers.sources.tws_status.instances import TwsInstance, load_instances
from workers.sources.tws_status.parsing import text as text_of

FAMILY = "tws"
_UNAUTHORIZED = {
    "user": Message("Check {user} and {password}; the account may also be locked or expired."),
    "token": Message("Put a valid token into {token}; it may have expired."),
    "header": Message("Set {user} and {password}: the header alone was not enough."),
    "nobody": Message("Set {user} and {password}, or {token}."),
}
"""Remedy for a refused sign-in, by the kind of authentication."""
_FAILURES = {
    "forbidden": (
        Message("{where} let us in {how}, but refused to show the plan (HTTP 403)"),
        Message("Give the user of {user} DISPLAY and LIST access in the security file of TWS."),
    ),
    "tls": (
        Message("TLS to {where} failed: {detail}"),
        Message("Let {verify} name the file of the CA's certificates, or correct the host name in {base_url}."),
    ),
    "timeout": (
        Message("{where} accepts the connection too late or answers too late: {detail}"),
        Message("Check the way to the host of {base_url} (firewall) and the load of the TWS server."),
    ),
    "unreachable": (
        Message("{where} cannot be reached: {detail}"),
        Message("Correct {base_url} (or TWS_HOST and TWS_PORT), or start the TWS server."),
    ),
    "not_found": (
        Message("{where} answers, but has no REST API v2 there (HTTP 404)"),
        Message("Correct the path in {base_url}: it stands before /twsd/api/v2."),
    ),
    "bad_answer": (
        Message("{where} answers, but not in JSON: a login page or a proxy is in front of it"),
        Message("Let {base_url} name the TWS server itself, or give the gateway's header with TWS_AUTH_HEADER."),
    ),
    "server_error": (Message("{where} failed: {detail}"), Message("Look at the log of the TWS server.")),
    "connection_cut": (
        Message("{where} cut the connection: {detail}"),
        Message("Check the proxy or firewall before {base_url}, and whether it wants https."),
    ),
    "rate_limited": (
        Message("{where} asks to slow down (HTTP 429)"),
        Message("Raise the limit of the gateway before {base_url} for this user."),
    ),
}
"""Sentence and remedy for each reason of an HwaError, besides a refused sign-in."""
_OTHER = (Message("{where}: {detail}"), Message("Check {base_url} and the log of the TWS server."))


def check_tws(context: CheckContext) -> list[Check]:
    """One check for each instance; a single one when a setting is wrong or no instance is configured."""
    try:
        settings = TwsSettings.from_env(context.environ)
        instances = load_instances(settings)
    except ConfigurationError as error:
        return [Check.settled(FAMILY, error)]
    if not instances.names:
        result = CheckResult(
            Status.WARNING,
            Message("no TWS instance is configured here: answers keep a low confidence without it"),
            Message("Set TWS_BASE_URL, TWS_USER and TWS_PASSWORD, or TWS_INSTANCES_FILE for several."),
            "not_configured",
        )
        return [Check.settled(FAMILY, result)]
    return [_check_instance(instances.get(name), settings, context) for name in instances.names]


def _check_instance(instance: TwsInstance, settings: TwsSettings, context: CheckContext) -> Check:
    def variable(name: str) -> str:
        """Name of the setting where this instance is configured."""
        from_variables = settings.base_url is not None or settings.host is not None
        if from_variables and instance.name == settings.default_instance:
            return f"TWS_{name}"
        return f"{name.lower()} ({instance.name}, TWS_INSTANCES_FILE)"

    async def examine() -> CheckResult:
        client = HwaClient(instance)
        session = client.within(Deadline.after(context.call_seconds))
        try:
            # In a thread: loading the same certificates for many instances would block all checks.
            await asyncio.to_thread(client.prepare)
            return await _ask(session, instance, variable("VERIFY"))
        except HwaError as error:
            return _refused(error, instance, variable, context)
        finally:
            await client.close()

    return Check(f"{FAMILY}:{instance.name}", examine)


async def _ask(session: HwaSession, instance: TwsInstance, verify: str) -> CheckResult:
    """Request the version, then one job: a user may sign in and yet see no job. Raises HwaError."""
    verdict = Verdict()
    try:
        info = await session.engine_info()
    except NotFound:
        info = {}  # a gateway may pass on the plan alone
    version = text_of(info.get("displayVersion")) or text_of(info.get("fullVersion"))
    started = time.monotonic()
    page = await session.search_jobs(None, limit=1)
    answer_ms = round((time.monotonic() - started) * 1_000, 1)
    jobs = page.count if page.count is not None else len(page.results)
    kind, how = _authentication(instance)
    verdict.note(
        Message(
            "{where} version {version}; signed in {how}; jobs in the plan: {jobs}; answers in {answer_ms:.0f} ms",
            where=instance.where,
            version=version or "?",
            how=how,
            jobs=jobs,
            answer_ms=answer_ms,
        )
    )
    if not jobs:
        verdict.warn(
            Message("the user sees no job in the plan"),
            Message(
                "Give the user DISPLAY and LIST access to jobs in the security file, "
                "or check that the plan was extended."
            ),
            reason="empty_plan",
        )
    if urlsplit(instance.base_url).scheme == "https" and instance.verify is False:
        verdict.warn(
            Message("the server's certificate is not verified"),
            Message("Let {verify} name the file of the CA's certificates.", verify=verify),
            reason="unverified",
        )
    return verdict.result(where=instance.where, version=version, authentication=kind, jobs=jobs, answer_ms=answer_ms)


def _refused(
    error: HwaError, instance: TwsInstance, variable: Callable[[str], str], context: CheckContext
) -> CheckResult:
    kind, how = _authentication(instance)
    if error.reason == "unauthorized":
        found, fix = Message("{where} refused the sign-in (HTTP 401), tried {how}"), _UNAUTHORIZED[kind]
    else:
        found, fix = _FAILURES.get(error.reason, _OTHER)
        if isinstance(error, PlainToTls | TlsToPlain):
            fix = Message("Correct the scheme (http, https) or the port in {base_url}.")
    # The second sentence of such an error is advice, which the remedy gives with this instance's variables.
    detail = context.scrub.text(error.message, first_sentence=True)
    variables = {name.lower(): variable(name) for name in ("USER", "PASSWORD", "TOKEN", "VERIFY", "BASE_URL")}
    return CheckResult(
        Status.ERROR,
        found.with_facts(where=instance.where, detail=detail, how=how),
        fix.with_facts(**variables),
        error.reason,
        {"where": instance.where, "authentication": kind},
    )


def _authentication(instance: TwsInstance) -> tuple[str, Message]:
    """Kind of authentication, and how to write it."""
    if instance.token is not None:
        return "token", Message("with a token")
    if instance.user is not None:
        return "user", Message("as {user}", user=instance.user)
    if instance.auth_header is not None:
        return "header", Message("with the site's header")
    return "nobody", Message("without credentials")


FRESH_SECONDS = 120
"""Age up to which an announcement counts, as at a submit (store/scripts/open.lua)."""


async def check_instances(context: CheckContext) -> CheckResult:
    """Compares the announced instances with the settings; a submit for an unknown instance is refused."""
    announced = await asyncio.to_thread(read_announced, context.settings())
    try:
        configured = load_instances(TwsSettings.from_env(context.environ)).names
    except ConfigurationError:
        configured = ()  # reported by the check of TWS itself
    return judge_instances(announced, configured)


def read_announced(settings: Settings) -> list[str]:
    """Names that workers announced within ``FRESH_SECONDS``. Raises StoreUnreachable."""
    with session(settings) as client:
        seconds, _ = client.time()
        since = (seconds - FRESH_SECONDS) * 1_000
        return sorted(map(str, client.zrangebyscore(Keys(settings.key_prefix).instances, since, "+inf")))


def judge_instances(announced: Sequence[str], configured: Sequence[str]) -> CheckResult:
    """The result for both lists of names."""
    verdict = Verdict()
    facts = {"announced": list(announced), "configured": list(configured)}
    if not announced:
        return CheckResult(
            Status.OFF,
            Message("no worker has announced a TWS instance"),
            Message("Start a worker of tws_status with TWS_BASE_URL or TWS_INSTANCES_FILE set."),
            "none_announced",
            facts,
        )
    verdict.note(Message("known to the workers: {names}", names=", ".join(announced)))
    unknown = [name for name in configured if name not in announced]
    if unknown:
        found = Message("configured here and unknown to them: {names}", names=", ".join(unknown))
        verdict.warn(
            found,
            Message("Give the tws_status workers the same TWS_INSTANCES_FILE or TWS_* variables and restart them."),
            reason="instance_unknown",
        )
    return verdict.result(**facts)
