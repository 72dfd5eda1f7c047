"""``knowledge``: whether the knowledge base answers, its size and its age."""

import asyncio
import re
from datetime import UTC, datetime

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message
from workers.config import KnowledgeSettings
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.knowledge.base import KnowledgeBase, KnowledgeError, KnowledgeStats
from workers.knowledge.embeddings import ENDPOINT_FAILED
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.query import build_query

PROBE = "ABEND S0C7"
"""Query of the trial search."""
_POSTGRES = (
    (
        "password",
        r"password authentication failed|no password supplied|fe_sendauth",
        Message("PostgreSQL refused the password"),
        Message("Correct the password in RESYNC_KNOWLEDGE_DATABASE_URL."),
    ),
    (
        "role",
        r"role .* does not exist|permission denied|no pg_hba\.conf entry",
        Message("PostgreSQL does not let this user in, or not to the table"),
        Message("Correct the user in RESYNC_KNOWLEDGE_DATABASE_URL, or GRANT SELECT ON document_embeddings to it."),
    ),
    (
        "database",
        r"database .* does not exist",
        Message("PostgreSQL has no database of that name"),
        Message("Correct the database's name in RESYNC_KNOWLEDGE_DATABASE_URL."),
    ),
    (
        "refused",
        r"connection refused|no such file or directory|server closed",
        Message("nothing listens at PostgreSQL's address"),
        Message("Start PostgreSQL, or correct host and port in RESYNC_KNOWLEDGE_DATABASE_URL."),
    ),
    (
        "host",
        r"resolve host|name or service not known|translate host name",
        Message("PostgreSQL's host name cannot be resolved"),
        Message(
            "Correct the host in RESYNC_KNOWLEDGE_DATABASE_URL, or percent-encode the password's special characters."
        ),
    ),
    (
        "url",
        r"invalid|missing \"=\"",
        Message("the URL of PostgreSQL is malformed"),
        Message("Percent-encode the special characters of the password in RESYNC_KNOWLEDGE_DATABASE_URL."),
    ),
    (
        "other",
        "",
        Message("PostgreSQL could not be queried"),
        Message("Check RESYNC_KNOWLEDGE_DATABASE_URL with psql, and the log of PostgreSQL."),
    ),
)
"""Failures by PostgreSQL's own error text: stable name, pattern, sentence, remedy.

The text itself is not shown: for a malformed URL it quotes the password.
"""


async def check_knowledge(context: CheckContext) -> CheckResult:
    """Counts the passages and searches once."""
    settings = KnowledgeSettings.from_env(context.environ)
    # Counts from here: importing a driver takes time too, and the runner's own limit would name no cause.
    limit = asyncio.timeout(context.call_seconds)
    try:
        base = open_knowledge_base(settings, context.environ)
    except ConfigurationError as error:
        # The error names the file or the package, and the command that creates it.
        fix = Message("Correct the variable that is named, or run the command that is named.")
        return CheckResult(Status.ERROR, context.scrub.text(error.message), fix, error.reason)
    try:
        return await _ask(base, settings, context, limit)
    except KnowledgeError as error:
        return _unavailable(error, settings, context)
    except TimeoutError:  # this limit ends no later than the base's own
        return _unavailable(KnowledgeError(reason="knowledge_timeout"), settings, context)
    finally:
        await base.close()


async def _ask(
    base: KnowledgeBase, settings: KnowledgeSettings, context: CheckContext, limit: asyncio.Timeout
) -> CheckResult:
    async with limit:
        stats = await base.stats(timeout_seconds=context.call_seconds)
        result = await base.search(build_query(PROBE), limit=1, timeout_seconds=context.call_seconds / 2)
    notes = [note for note in result.notes if note.key != ENDPOINT_FAILED.key]  # the check ``embeddings`` reports that
    return judge_knowledge(stats, notes, settings, context, now=datetime.now(UTC))


def judge_knowledge(
    stats: KnowledgeStats, notes: list[Message], settings: KnowledgeSettings, context: CheckContext, *, now: datetime
) -> CheckResult:
    """The result for the base's size and age, and the notes of a search."""
    verdict = Verdict()
    verdict.note(
        Message(
            "{backend}, {where}: {documents}, {passages}",
            backend=stats.backend,
            where=stats.where,
            documents=Message("{count} document", plural="{count} documents", count=stats.documents),
            passages=Message("{count} passage", plural="{count} passages", count=stats.passages),
        )
    )
    if stats.updated_at is not None:
        days = max(0, (now - datetime.fromisoformat(stats.updated_at)).days)
        age = Message("indexed {count} day ago", plural="indexed {count} days ago", count=days)
        verdict.note(age if days else Message("indexed today"))
    if not stats.passages:
        fix = (
            Message("Fill it: resync-troubleshoot kb index DIR")
            if settings.database_url is None
            else Message("Check RESYNC_KNOWLEDGE_COLLECTION, or let the app index its documents.")
        )
        verdict.warn(Message("it is empty"), fix, reason="empty")
    elif settings.embedding_endpoint is not None and stats.embedded < stats.passages:
        found = Message(
            "only {embedded} of {passages} passages have a vector of the configured model",
            embedded=stats.embedded,
            passages=stats.passages,
        )
        fix = (
            Message("Embed the rest: resync-troubleshoot kb index DIR, with RESYNC_EMBEDDING_ENDPOINT set.")
            if settings.database_url is None
            else Message("Let the app embed the rest of its documents.")
        )
        verdict.warn(found, fix, reason="not_embedded")
    for note in notes:
        verdict.warn(
            context.scrub.text(note),
            Message("Set RESYNC_EMBEDDING_MODEL to the model that the passages were embedded with."),
            reason="embedding_unusable",
        )
    return verdict.result(
        backend=stats.backend,
        where=stats.where,
        documents=stats.documents,
        passages=stats.passages,
        embedded=stats.embedded,
        updated_at=stats.updated_at,
    )


def _unavailable(error: KnowledgeError, settings: KnowledgeSettings, context: CheckContext) -> CheckResult:
    status, facts = Status.ERROR, {}
    if error.reason == "knowledge_timeout" and settings.path is None and settings.database_url is None:
        # Reading that index takes milliseconds, so the time went into building it, which goes on.
        status = Status.WARNING
        found = Message("the index of the shipped runbooks is still being built (the first time only)")
        fix = Message("Run it again in a moment, or with --timeout 20.")
    elif error.reason == "knowledge_timeout":
        found = Message("the knowledge base did not answer within {seconds:.1f} s", seconds=context.call_seconds)
        fix = Message("Check the load of the database; docs/retrieval.md names the index that full text needs.")
    elif error.reason == "knowledge_schema":
        found = Message("PostgreSQL answers, but the table document_embeddings is not there")
        fix = Message("Let RESYNC_KNOWLEDGE_DATABASE_URL name the app's database.")
    elif settings.database_url is None:
        text = context.scrub.text(error.message)
        fix = Message("Build the index again: resync-troubleshoot kb index DIR (RESYNC_KNOWLEDGE_PATH names the file).")
        return CheckResult(status, text, fix, error.reason)
    else:
        kind, _, found, fix = next(row for row in _POSTGRES if re.search(row[1], str(error), re.IGNORECASE))
        facts = {"postgres": kind}
    return CheckResult(status, found, fix, error.reason, facts)
