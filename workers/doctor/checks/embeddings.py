"""``embeddings``: whether the embedding endpoint returns vectors, fast enough for a search."""

import time

from orchestrator.i18n.message import Message
from workers.config import KnowledgeSettings
from workers.doctor.check import CheckContext, CheckResult, Status, Verdict
from workers.http import without_credentials
from workers.knowledge.embeddings import EMBED_SECONDS, EmbeddingError, create_embedding_client

PROBE = "resync-troubleshoot doctor"


async def check_embeddings(context: CheckContext) -> CheckResult:
    """Embeds three words."""
    settings = KnowledgeSettings.from_env(context.environ)
    client = create_embedding_client(settings)
    if client is None or settings.embedding_endpoint is None:
        return CheckResult(
            Status.OFF,
            Message("no embedding endpoint: full text alone"),
            Message("To search by meaning as well, set RESYNC_EMBEDDING_ENDPOINT."),
            "not_configured",
        )
    where = without_credentials(settings.embedding_endpoint)
    started = time.monotonic()
    try:
        (vector,) = await client.embed([PROBE], timeout_seconds=context.call_seconds)
    except EmbeddingError as error:
        found = Message("{where}: {detail}", where=where, detail=context.scrub.text(error.message))
        return CheckResult(
            Status.ERROR,
            found,
            Message("Check RESYNC_EMBEDDING_ENDPOINT, RESYNC_EMBEDDING_MODEL and RESYNC_EMBEDDING_API_KEY."),
            error.reason,
            {"where": where},
        )
    finally:
        await client.close()
    seconds = time.monotonic() - started
    verdict = Verdict()
    verdict.note(
        Message(
            "{model} at {where}: vectors of {numbers} numbers",
            model=settings.embedding_model,
            where=where,
            numbers=len(vector),
        )
    )
    if seconds > EMBED_SECONDS:
        found = Message(
            "{seconds:.1f} s for one question, which waits {limit:g} s at most: full text alone will answer",
            seconds=seconds,
            limit=EMBED_SECONDS,
        )
        verdict.warn(
            found,
            Message("Let RESYNC_EMBEDDING_ENDPOINT name a faster server or RESYNC_EMBEDDING_MODEL a smaller model."),
            reason="slow",
        )
    return verdict.result(where=where, model=settings.embedding_model, dimensions=len(vector))
