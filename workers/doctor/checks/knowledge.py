"""``knowledge``: whether the knowledge base answers, how much it holds and how old it is."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

from orchestrator.errors import ConfigurationError
from workers.config import KnowledgeSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.knowledge.base import KnowledgeBase, KnowledgeError, KnowledgeStats
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.query import build_query

PROBE = "ABEND S0C7"
"""Asked to see that a search works from end to end."""
ENDPOINT_NOTE = "full text only, embedding endpoint:"
"""How a search says that the endpoint failed; the check ``embeddings`` tells of it."""
_POSTGRES = (
    ("password", re.compile(r"password authentication failed|no password supplied|fe_sendauth", re.IGNORECASE)),
    ("role", re.compile(r"role .* does not exist|permission denied|no pg_hba\.conf entry", re.IGNORECASE)),
    ("database", re.compile(r"database .* does not exist", re.IGNORECASE)),
    ("refused", re.compile(r"connection refused|no such file or directory|server closed", re.IGNORECASE)),
    ("host", re.compile(r"resolve host|name or service not known|translate host name", re.IGNORECASE)),
    ("url", re.compile(r"invalid|missing \"=\"", re.IGNORECASE)),
)
"""What PostgreSQL's own words are about. They are not repeated: of a malformed URL they quote the password."""


def check_knowledge(around: Surroundings) -> Check:
    """Counts the passages and searches once."""

    async def examine() -> Finding:
        settings = KnowledgeSettings.from_env(around.environ)
        try:
            base = open_knowledge_base(settings, around.environ)
        except ConfigurationError as error:
            # What is written there names the file or the package, and the command that makes it.
            found = around.scrub(str(error))
            return Finding(Status.ERROR, found, around.text("fix.knowledge_open"), error.reason)
        try:
            return await _ask(base, settings, around)
        except KnowledgeError as error:
            return _unavailable(error, settings, around)
        except TimeoutError:  # ours ends with, or before, the base's own
            return _unavailable(KnowledgeError(reason="knowledge_timeout"), settings, around)
        finally:
            await base.close()

    return Check("knowledge", examine)


async def _ask(base: KnowledgeBase, settings: KnowledgeSettings, around: Surroundings) -> Finding:
    async with asyncio.timeout(around.call_seconds):
        stats = await base.stats(timeout_seconds=around.call_seconds)
        result = await base.search(build_query(PROBE), limit=1, timeout_seconds=around.call_seconds / 2)
    notes = [note for note in result.notes if not note.startswith(ENDPOINT_NOTE)]
    return judge_knowledge(stats, notes, settings, around, now=datetime.now(UTC))


def judge_knowledge(
    stats: KnowledgeStats, notes: list[str], settings: KnowledgeSettings, around: Surroundings, *, now: datetime
) -> Finding:
    """What the base holds, judged. Pure."""
    text, verdict = around.text, Verdict()
    verdict.note(
        text(
            "knowledge.found",
            backend=stats.backend,
            where=stats.where,
            documents=stats.documents,
            passages=stats.passages,
        )
    )
    days = _age_days(stats.updated_at, now)
    if days is not None:
        verdict.note(text("knowledge.age", days=days) if days else text("knowledge.today"))
    if not stats.passages:
        verdict.warn(text("knowledge.empty"), text(_fix(settings, "empty")), reason="empty")
    elif settings.embedding_endpoint is not None and stats.embedded < stats.passages:
        found = text("knowledge.unembedded", embedded=stats.embedded, passages=stats.passages)
        verdict.warn(found, text(_fix(settings, "unembedded")), reason="not_embedded")
    for note in notes:
        verdict.warn(around.scrub(note), text("fix.knowledge_model"), reason="embedding_unusable")
    return verdict.finding(
        backend=stats.backend,
        where=stats.where,
        documents=stats.documents,
        passages=stats.passages,
        embedded=stats.embedded,
        updated_at=stats.updated_at,
    )


def _fix(settings: KnowledgeSettings, what: str) -> str:
    return f"fix.knowledge_{what}_{'sqlite' if settings.database_url is None else 'postgres'}"


def _age_days(updated_at: str | None, now: datetime) -> int | None:
    if updated_at is None:
        return None
    return max(0, (now - datetime.fromisoformat(updated_at)).days)


def _unavailable(error: KnowledgeError, settings: KnowledgeSettings, around: Surroundings) -> Finding:
    text = around.text
    if error.reason == "knowledge_timeout" and settings.path is None and settings.database_url is None:
        # Reading that index takes milliseconds: what was waited for is its making, which goes on.
        return Finding(Status.WARNING, text("knowledge.building"), text("fix.knowledge_building"), error.reason)
    if error.reason == "knowledge_timeout":
        found = text("knowledge.timeout", seconds=around.call_seconds)
        return Finding(Status.ERROR, found, text("fix.knowledge_timeout"), error.reason)
    if error.reason == "knowledge_schema":
        return Finding(Status.ERROR, text("knowledge.no_table"), text("fix.knowledge_no_table"), error.reason)
    if settings.database_url is None:
        return Finding(Status.ERROR, around.scrub(str(error)), text("fix.knowledge_file"), error.reason)
    kind = next((kind for kind, pattern in _POSTGRES if pattern.search(str(error))), "other")
    return Finding(
        Status.ERROR, text(f"postgres.{kind}"), text(f"fix.postgres_{kind}"), error.reason, {"postgres": kind}
    )
