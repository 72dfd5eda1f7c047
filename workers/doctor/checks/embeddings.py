"""``embeddings``: whether the embedding endpoint gives vectors."""

from __future__ import annotations

import time

from workers.config import KnowledgeSettings
from workers.doctor.check import Check, Surroundings
from workers.doctor.finding import Finding, Status, Verdict
from workers.knowledge.embeddings import EMBED_SECONDS, EmbeddingError, create_embedding_client
from workers.sources.metrics.http import without_credentials

PROBE = "resync-troubleshoot doctor"


def check_embeddings(around: Surroundings) -> Check:
    """Embeds three words."""

    async def examine() -> Finding:
        text = around.text
        settings = KnowledgeSettings.from_env(around.environ)
        client = create_embedding_client(settings)
        if client is None or settings.embedding_endpoint is None:
            return Finding(Status.OFF, text("embeddings.off"), text("fix.embeddings_off"), "not_configured")
        where = without_credentials(settings.embedding_endpoint)
        started = time.monotonic()
        try:
            (vector,) = await client.embed([PROBE], timeout_seconds=around.call_seconds)
        except EmbeddingError as error:
            found = text("embeddings.failed", where=where, detail=around.scrub(str(error)))
            return Finding(Status.ERROR, found, text("fix.embeddings"), error.reason, {"where": where})
        finally:
            await client.close()
        seconds = time.monotonic() - started
        verdict = Verdict()
        verdict.note(text("embeddings.found", model=settings.embedding_model, where=where, numbers=len(vector)))
        if seconds > EMBED_SECONDS:
            found = text("embeddings.slow", seconds=seconds, limit=EMBED_SECONDS)
            verdict.warn(found, text("fix.embeddings_slow"), reason="slow")
        return verdict.finding(where=where, model=settings.embedding_model, dimensions=len(vector))

    return Check("embeddings", examine)
