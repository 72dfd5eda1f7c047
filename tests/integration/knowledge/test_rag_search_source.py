"""The source rag_search as a worker makes it, from the environment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests_support import fetch_once

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import RagPayload
from orchestrator.sources import FetchResult
from workers.sources.rag_search.source import SPEC


def fetch(environ: dict[str, str], message: str, limit_seconds: float = 30, **entities: object) -> FetchResult:
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=Entities.model_validate(entities)
    )
    request = SourceRequest(
        run_id="r" * 12, source="rag_search", message=message, routing=routing, limit_seconds=limit_seconds
    )

    async def run() -> FetchResult:
        source = SPEC.create(environ)
        return await fetch_once(source, request)

    return asyncio.run(run())


def test_the_apps_collection_answers(postgres_url: str) -> None:
    """With the app's database configured its passages become evidence, and the answer says where from."""
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS document_embeddings (id bigserial PRIMARY KEY, collection_name text,"
            " document_id text, chunk_id int, content text, embedding vector(512), metadata jsonb, sha256 text)"
        )
        connection.execute("DELETE FROM document_embeddings WHERE collection_name = 'source_test'")
        connection.execute(
            "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata)"
            " VALUES ('source_test', 'd', 0, 'AWSBHT001E: o usuário de logon não existe.', %s)",
            (json.dumps({"source": "manual.pdf", "section": "AWSBHT001E"}),),
        )
    environ = {"RESYNC_KNOWLEDGE_DATABASE_URL": postgres_url, "RESYNC_KNOWLEDGE_COLLECTION": "source_test"}
    result = fetch(environ, "job em FAIL", message_ids=("AWSBHT001E",))
    assert result.outcome is SourceOutcome.OK
    assert result.evidence[0].where == "manual.pdf#AWSBHT001E"
    assert result.evidence[0].codes == ("AWSBHT001E",)
    assert result.where == "document_embeddings, collection source_test"
    assert RagPayload.model_validate(result.data).backend == "postgres"


def test_an_unreachable_database_is_an_error_with_a_reason() -> None:
    """A database that cannot be reached is an error, never an empty answer, and shows no password."""
    with pytest.raises(SourceError) as caught:
        fetch({"RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://u:planted-pw@127.0.0.1:1/x"}, "S0C7")
    assert caught.value.reason == "knowledge_unavailable"
    assert "planted-pw" not in f"{caught.value} {caught.value.asked} {caught.value.where}"
    assert "S0C7" in caught.value.asked[0]


def test_a_failing_embedding_endpoint_is_told_in_what_was_asked(tmp_path: Path, embeddings_server) -> None:
    """Full text answers alone, and the envelope says why the vectors were not used."""
    embeddings_server.statuses = [503]
    environ = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "RESYNC_EMBEDDING_ENDPOINT": embeddings_server.url,
        "RESYNC_EMBEDDING_API_KEY": "planted-key",
    }
    result = fetch(environ, "Job BATCH001 falhou com ABEND S0C7", abend_codes=("S0C7",), jobs=("BATCH001",))
    assert result.evidence[0].title.startswith("S0C7")
    assert any("status 503" in line for line in result.asked)
    assert "planted-key" not in repr(result)


def test_the_question_with_codes_and_job_is_what_was_asked(tmp_path: Path) -> None:
    """The envelope repeats the query: codes and names first, then the words."""
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    result = fetch(environ, "falhou de novo", abend_codes=("S0C7",), jobs=("WS1#FOLHA.FOLHA01",))
    assert result.asked[0].startswith("sqlite-fts5: S0C7 WS1 FOLHA FOLHA01 falhou de novo")
    assert result.where.startswith("runbooks-")
