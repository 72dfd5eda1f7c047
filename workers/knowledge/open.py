"""Opens the configured knowledge base."""

from collections.abc import Mapping
from functools import partial

from workers.config import KnowledgeSettings
from workers.knowledge.base import KnowledgeBase
from workers.knowledge.embeddings import create_embedding_client
from workers.knowledge.postgres.base import PostgresKnowledgeBase
from workers.knowledge.sqlite.base import SqliteKnowledgeBase, check_index
from workers.knowledge.sqlite.shipped import shipped_index


def open_knowledge_base(settings: KnowledgeSettings, environ: Mapping[str, str]) -> KnowledgeBase:
    """The knowledge base of ``settings``; connects to nothing yet. Raises ConfigurationError naming the variable."""
    embeddings = create_embedding_client(settings)
    if settings.database_url is not None:
        return PostgresKnowledgeBase(
            settings.database_url, settings.collection, embeddings, min_similarity=settings.min_similarity
        )
    if settings.path is None:
        return SqliteKnowledgeBase(partial(shipped_index, environ), embeddings, min_similarity=settings.min_similarity)
    check_index(settings.path)
    return SqliteKnowledgeBase(settings.path, embeddings, min_similarity=settings.min_similarity)
