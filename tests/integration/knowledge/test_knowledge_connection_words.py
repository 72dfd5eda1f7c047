"""What is told of a PostgreSQL URL that cannot be read."""

from __future__ import annotations

import asyncio

import pytest

from workers.config import KnowledgeSettings
from workers.knowledge.base import KnowledgeError
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.query import build_query


def test_a_url_that_cannot_be_read_is_told_without_its_password() -> None:
    """libpq quotes the part it stumbles over; the error names the variable and keeps the password out."""
    pytest.importorskip("psycopg")
    environ = {"RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://u:S3gredo%zz@127.0.0.1:1/x"}

    async def search() -> None:
        knowledge = open_knowledge_base(KnowledgeSettings.from_env(environ), environ)
        try:
            await knowledge.search(build_query("S0C7"), limit=5, timeout_seconds=2)
        finally:
            await knowledge.close()

    with pytest.raises(KnowledgeError, match="RESYNC_KNOWLEDGE_DATABASE_URL") as raised:
        asyncio.run(search())
    assert "S3gredo" not in str(raised.value)
