"""The SQL for the app's table, as text: what no PostgreSQL at hand can run is checked here."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr

from orchestrator.errors import ConfigurationError
from workers.config import KnowledgeSettings
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.postgres import sql
from workers.knowledge.ranking.query import build_query


def test_half_precision_is_searched_where_it_is() -> None:
    """With pgvector >= 0.7 the halfvec column is asked, cast to its own type and dimensions."""
    column = sql.vector_column(
        [("content", "text"), ("embedding", "vector(1536)"), ("embedding_half", "halfvec(1536)")]
    )
    assert column == sql.VectorColumn("embedding_half", "halfvec", 1536)
    text = " ".join(sql.nearest_sql(column).split())
    assert "ORDER BY embedding_half <=> %(vector)s::halfvec(1536) LIMIT 50" in text
    assert "1 - (embedding_half <=> %(vector)s::halfvec(1536)) AS similarity" in text
    assert "embedding_half IS NOT NULL" in text


def test_full_precision_is_searched_otherwise() -> None:
    """Without it the vector column is asked, also when the type stands in a schema of its own."""
    column = sql.vector_column([("embedding", "extensions.vector(1536)")])
    assert column == sql.VectorColumn("embedding", "vector", 1536)
    assert "::vector(1536)" in sql.nearest_sql(column)
    assert sql.vector_column([("embedding", "text"), ("other", "vector(3)")]) is None


@pytest.mark.parametrize(
    "text", [sql.COLUMNS, sql.FULL_TEXT, sql.NEIGHBOURHOOD, sql.COUNT,
             sql.nearest_sql(sql.VectorColumn("embedding_half", "halfvec", 3))]
)  # fmt: skip
def test_every_statement_only_reads(text: str) -> None:
    """No statement writes, locks or calls a function with effects."""
    assert text.strip().startswith(("SELECT", "WITH matched AS MATERIALIZED (\n    SELECT"))
    assert not re.search(r"\b(INSERT|UPDATE|DELETE|DROP|ALTER|CREATE|LOCK|COPY|CALL|FOR UPDATE|nextval)\b", text)


def test_a_tsquery_holds_quoted_words_only() -> None:
    """Whatever the question, the tsquery consists of quoted letters and digits, and long stems match prefixes."""
    query = build_query("conexão' | !x:* & (estação) -- S0C7 RC 137 FOLHA_PAGTO 0xC0000005")
    words, codes = sql.words_query(query), sql.codes_query(query)
    assert words is not None
    assert codes is not None
    assert re.fullmatch(r"[(]'[a-z0-9]+'(:\*)?[)]?( [|&] [(]?'[a-z0-9]+'(:\*)?[)]?)*", words)
    assert "'conex" in words
    assert set(codes.split(" | ")) >= {"('s0c7')", "('137')", "('0xc0000005')", "('folha' <-> 'pagto')"}
    assert sql.words_query(build_query("S0C7")) is None
    assert sql.codes_query(build_query("agente")) is None


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"RESYNC_KNOWLEDGE_DATABASE_URL": "mysql://x"}, "RESYNC_KNOWLEDGE_DATABASE_URL"),
        ({"RESYNC_EMBEDDING_ENDPOINT": "host:80"}, "RESYNC_EMBEDDING_ENDPOINT"),
        ({"RESYNC_KNOWLEDGE_PATH": "/x", "RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://x"}, "RESYNC_KNOWLEDGE_PATH"),
        ({"RESYNC_EMBEDDING_MIN_SIMILARITY": "7"}, "RESYNC_EMBEDDING_MIN_SIMILARITY"),
    ],
)
def test_wrong_settings_are_refused_by_their_variable(environ: dict[str, str], variable: str) -> None:
    """A setting that cannot work is refused at start, naming the variable."""
    with pytest.raises(ConfigurationError, match=variable):
        open_knowledge_base(KnowledgeSettings.from_env(environ), environ)


def test_secrets_do_not_show() -> None:
    """Neither the settings nor the client show a password or key in their repr."""
    settings = KnowledgeSettings.from_env(
        {"RESYNC_KNOWLEDGE_DATABASE_URL": "postgresql://u:planted-pw@h/d", "RESYNC_EMBEDDING_API_KEY": "planted-key"}
    )
    assert "planted" not in repr(settings)
    assert isinstance(settings.embedding_api_key, SecretStr)
