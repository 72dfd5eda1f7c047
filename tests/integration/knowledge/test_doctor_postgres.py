"""doctor against a real PostgreSQL: let in or not, table there or not, embedded or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run

Doctor = Callable[..., dict[str, Any]]
DATABASE = "doctor_kb"


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Calls the command for the knowledge base: its one check."""

    def call(url: str, **environ: str) -> dict[str, Any]:
        run(
            ["doctor", "--json", "--only", "knowledge", "--timeout", "5"],
            CliContext({"RESYNC_KNOWLEDGE_DATABASE_URL": url, **environ}),
        )
        check: dict[str, Any] = json.loads(capsys.readouterr().out)["checks"][0]
        return check

    return call


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database of the test's own on the shared server."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    parts = urlsplit(postgres_url)
    yield parts._replace(path=f"/{DATABASE}").geturl()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def create_table(url: str, rows: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE document_embeddings (id serial PRIMARY KEY, collection_name text, document_id text,"
            " chunk_id int, content text, metadata jsonb, sha256 text)"
        )
        for number in range(rows):
            connection.execute(
                "INSERT INTO document_embeddings (collection_name, document_id, chunk_id, content, metadata)"
                " VALUES ('knowledge_v1', 'doc', %s, 'ABEND S0C7 data exception', '{}')",
                (number,),
            )


def test_a_table_that_is_there_is_counted(doctor: Doctor, database_url: str) -> None:
    """Backend and passages come from the collection; an empty collection names its variable."""
    create_table(database_url, rows=3)
    found = doctor(database_url)
    assert (found["status"], found["facts"]["passages"]) == ("ok", 3)
    other = doctor(database_url, RESYNC_KNOWLEDGE_COLLECTION="other")
    assert (other["reason"], "RESYNC_KNOWLEDGE_COLLECTION" in other["fix"]) == ("empty", True)


def test_a_missing_table_is_told_apart_from_a_missing_server(doctor: Doctor, database_url: str) -> None:
    """A database that answers and lacks the table is another database than the app's."""
    found = doctor(database_url)
    assert (found["status"], found["reason"]) == ("error", "knowledge_schema")
    assert "RESYNC_KNOWLEDGE_DATABASE_URL" in found["fix"]


def test_a_missing_database_and_role(doctor: Doctor, postgres_url: str, database_url: str) -> None:
    """What PostgreSQL refuses is told in our words, each with its part of the URL to correct."""
    parts = urlsplit(postgres_url)
    assert doctor(parts._replace(path="/nosuch").geturl())["facts"] == {"postgres": "database"}
    nobody = parts._replace(netloc=parts.netloc.replace("postgres:", "nobody:planted", 1)).geturl()
    found = doctor(nobody)
    assert found["facts"] == {"postgres": "role"}
    assert "planted" not in json.dumps(found)


def test_a_role_that_may_not_read_the_table(doctor: Doctor, database_url: str, postgres_url: str) -> None:
    """A user without SELECT is told so, with the GRANT that helps."""
    create_table(database_url, rows=1)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS doctor_reader")
        connection.execute("CREATE ROLE doctor_reader LOGIN")
    parts = urlsplit(database_url)
    reader = parts._replace(netloc=parts.netloc.replace("postgres:", "doctor_reader:", 1)).geturl()
    try:
        found = doctor(reader)
        assert found["facts"] == {"postgres": "role"}
        assert "GRANT SELECT" in found["fix"]
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP ROLE doctor_reader")
