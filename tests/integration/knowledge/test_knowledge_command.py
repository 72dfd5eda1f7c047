"""`kb index | search | stats` as a user runs them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.context import CliContext
from orchestrator.cli.main import run
from workers.knowledge.sqlite.folder import list_documents
from workers.knowledge.sqlite.index import SCHEMA_VERSION
from workers.knowledge.sqlite.shipped import runbooks_folder

PAGE = "# Memory limits\n\nThe process was killed because memory was exhausted. Code AWSXYZ123E.\n"


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    folder = tmp_path / "manual"
    folder.mkdir()
    (folder / "memory.md").write_text(PAGE, encoding="utf-8")
    return folder


def kb(tmp_path: Path, capsys: pytest.CaptureFixture[str], *args: str, **environ: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "LANG": "en_US.UTF-8", **environ}
    code = run(["kb", *args], CliContext(environment))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_folder_is_indexed_with_progress_and_found(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress goes to standard error, the result to standard output, and the page is found afterwards."""
    path = str(tmp_path / "kb.sqlite3")
    code, out, err = kb(tmp_path, capsys, "index", str(manual), "--path", path)
    assert code == 0
    assert "1 indexed (1 passage)" in out
    assert "[1/1] indexed memory.md" in err
    code, out, _ = kb(tmp_path, capsys, "search", "AWSXYZ123E", RESYNC_KNOWLEDGE_PATH=path)
    assert code == 0
    assert "manual/memory.md#Memory limits" in out
    code, out, _ = kb(tmp_path, capsys, "stats", "--path", path)
    assert "passages" in out


def test_the_shipped_runbooks_come_along_unless_refused(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index of a site's own pages holds the shipped runbooks too, or not with --no-runbooks."""
    for name, option, documents in (
        ("a", "--runbooks", 1 + len(list_documents(runbooks_folder()))),
        ("b", "--no-runbooks", 1),
    ):
        path = str(tmp_path / f"{name}.sqlite3")
        kb(tmp_path, capsys, "index", str(manual), "--path", path, option)
        _, out, _ = kb(tmp_path, capsys, "stats", "--path", path, "--json")
        assert json.loads(out)["documents"] == documents


def test_an_index_of_an_older_version_is_renewed_by_indexing_again(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Searching it names the remedy; the remedy says what it did, and then the page is found."""
    path = tmp_path / "kb.sqlite3"
    kb(tmp_path, capsys, "index", str(manual), "--path", str(path), "--no-runbooks")
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (f"{SCHEMA_VERSION}.older.older",))
    db.close()
    code, _, err = kb(tmp_path, capsys, "search", "AWSXYZ123E", "--path", str(path))
    assert code == 2
    assert "kb index" in err
    code, out, err = kb(tmp_path, capsys, "index", str(manual), "--path", str(path), "--no-runbooks")
    assert code == 0
    assert "1 passage of an older version analysed again" in err
    assert "1 indexed" in out
    code, out, _ = kb(tmp_path, capsys, "search", "AWSXYZ123E", "--path", str(path))
    assert (code, "manual/memory.md" in out) == (0, True)


def test_json_is_one_object(tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json standard output is one JSON object for each command."""
    path = str(tmp_path / "kb.sqlite3")
    _, out, _ = kb(tmp_path, capsys, "index", str(manual), "--path", path, "--json")
    indexed: dict[str, Any] = json.loads(out)
    assert (indexed["indexed"], indexed["failed"], indexed["path"]) == (1, 0, path)
    _, out, _ = kb(tmp_path, capsys, "search", "memory exhausted", "--path", path, "--limit", "1", "--json")
    found = json.loads(out)
    assert [hit["document"] for hit in found["hits"]] == ["manual/memory.md"]


def test_passages_are_embedded_where_an_endpoint_is_set(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str], embeddings_server
) -> None:
    """With an endpoint the passages get vectors once, and a paraphrase finds its page."""
    environ = {
        "RESYNC_KNOWLEDGE_PATH": str(tmp_path / "kb.sqlite3"),
        "RESYNC_EMBEDDING_ENDPOINT": embeddings_server.url,
        "RESYNC_EMBEDDING_MODEL": "hashing",
    }
    _, out, err = kb(tmp_path, capsys, "index", str(manual), "--no-runbooks", **environ)
    assert "1 passage embedded" in out
    assert "embedded 1/1 passage\n" in err
    kb(tmp_path, capsys, "index", str(manual), "--no-runbooks", **environ)
    assert len(embeddings_server.requests) == 1
    _, out, _ = kb(tmp_path, capsys, "search", "starved and slain", **environ)
    assert "manual/memory.md" in out


def test_an_endpoint_that_fails_while_indexing_leaves_the_documents(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str], embeddings_server
) -> None:
    """The error says whose it is and how far it came, in the terminal's language; the next run goes on from there."""
    environ = {
        "RESYNC_KNOWLEDGE_PATH": str(tmp_path / "kb.sqlite3"),
        "RESYNC_EMBEDDING_ENDPOINT": embeddings_server.url,
        "RESYNC_EMBEDDING_MODEL": "hashing",
        "LANG": "pt_BR.UTF-8",
    }
    embeddings_server.statuses = [401]
    code, _, err = kb(tmp_path, capsys, "index", str(manual), "--no-runbooks", **environ)
    assert code == 1
    assert "os documentos estão indexados; trechos com vetor: 0 de 1; serviço de embeddings: código 401" in err
    code, out, _ = kb(tmp_path, capsys, "index", str(manual), "--no-runbooks", **environ)
    assert code == 0
    assert "1 vetor de trecho" in out


def test_without_settings_the_shipped_runbooks_are_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh machine has an answer about S0C7."""
    code, out, _ = kb(tmp_path, capsys, "search", "job falhou com S0C7")
    assert code == 0
    assert "runbooks/pt/abend-s0c7.md" in out


def test_nothing_found_is_said_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No hit leaves standard output empty."""
    code, out, err = kb(tmp_path, capsys, "search", "receita de bolo de cenoura")
    assert (code, out) == (0, "")
    assert "nothing found" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("index", "/nonexistent-folder", "--path", "x.sqlite3"), "does not exist"),
        (("index", "."), "RESYNC_KNOWLEDGE_PATH is not set"),
        (("search", "x", "--path", "/nonexistent/kb.sqlite3"), "kb index DIR"),
        (("search", "x", "--limit", "0"), "--limit"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    """Wrong input is explained on one line and ends with exit code 2."""
    code, out, err = kb(tmp_path, capsys, *args)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_damaged_file_is_reported_and_ends_with_one(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is indexed, the damaged file is named, and the exit code tells."""
    (manual / "bad.pdf").write_bytes(b"no pdf")
    code, out, err = kb(tmp_path, capsys, "index", str(manual), "--path", str(tmp_path / "kb.sqlite3"))
    assert code == 1
    assert "1 failed" in out
    assert "failed bad.pdf" in err


def test_neither_the_index_nor_what_is_shown_has_a_secret(
    tmp_path: Path, manual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Passages are masked as they are read, personal data as well on demand; no broker is needed."""
    page = f"# ABEND S0C7\n\n{'x ' * 590}\npassword: Zx9qVj4Kw7Yq\nana@example.com.br\n"
    (manual / "s0c7.md").write_text(page, "utf-8")
    path = tmp_path / "kb.sqlite3"
    environ = {"RESYNC_REDACT_PERSONAL_DATA": "true", "REDIS_URL": "redis://[none"}
    code, _, _ = kb(tmp_path, capsys, "index", str(manual), "--path", str(path), "--no-runbooks", **environ)
    assert code == 0
    _, shown, _ = kb(tmp_path, capsys, "search", "S0C7", "--path", str(path), **environ)
    stored = path.read_bytes().decode("utf-8", "replace")
    assert "[REDACTED]" in shown
    assert [piece for piece in ("Zx9q", "Vj4K", "w7Yq", "ana@") if piece in shown + stored] == []
    code, _, err = kb(tmp_path, capsys, "stats", "--path", str(path), RESYNC_REDACT_PERSONAL_DATA="maybe")
    assert (code, err) == (0, "")
    code, _, err = kb(tmp_path, capsys, "search", "x", "--path", str(path), RESYNC_REDACT_PERSONAL_DATA="maybe")
    assert (code, err) == (2, "error: RESYNC_REDACT_PERSONAL_DATA: must be true or false\n")
