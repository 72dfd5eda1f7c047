"""Flower's configuration: where it listens, what it lets a visitor do, what it shows of a task and keeps."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flower.options import default_options

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "workers" / "flower.py"


def options(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """The options that the file sets in this environment."""
    monkeypatch.setattr("orchestrator.logs.configure_log", lambda *_, **__: None)  # that of this process stays
    names = ("ADDRESS", "BASIC_AUTH", "COOKIE_SECRET", "READ_ONLY", "STATE_DIRECTORY")
    for name in (*(f"FLOWER_{name}" for name in names), "RESYNC_SECRETS_DIR", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {name: value for name, value in runpy.run_path(str(CONFIG)).items() if not name.startswith("_")}


def test_the_file_of_a_site_has_what_the_package_says() -> None:
    """Below the options of the package a site sets its own."""
    names = {name for name in runpy.run_path(str(ROOT / "ops/flower/flowerconfig.py")) if not name.startswith("_")}
    assert {"address", "read_only", "tasks_columns", "format_task"} <= names


def test_without_credentials_flower_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address alone opens nothing: Flower can stop workers, so it listens on loopback until it asks who comes."""
    assert options(monkeypatch, FLOWER_ADDRESS="0.0.0.0")["address"] == "127.0.0.1"


def test_with_credentials_flower_listens_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With credentials the address is the site's choice, loopback unless it is made."""
    assert options(monkeypatch, FLOWER_ADDRESS="0.0.0.0", FLOWER_BASIC_AUTH="u:p")["address"] == "0.0.0.0"
    assert options(monkeypatch, FLOWER_BASIC_AUTH="u:p")["address"] == "127.0.0.1"


def test_flower_only_shows_until_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revoking tasks and stopping workers is off by default."""
    assert options(monkeypatch)["read_only"] is True
    assert options(monkeypatch, FLOWER_READ_ONLY="false")["read_only"] is False


def test_flower_knows_every_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Flower ignores an option that it does not know without a word, so a misspelt one would go unseen."""
    assert [
        name for name in options(monkeypatch, FLOWER_STATE_DIRECTORY=str(tmp_path)) if name not in default_options
    ] == []


def test_no_credentials_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file wins over the environment, so credentials in it would replace the site's own."""
    assert "basic_auth" not in options(monkeypatch, FLOWER_BASIC_AUTH="u:p")


def test_credentials_may_be_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flower reads variables alone; a file that cannot be used ends it with one line."""
    (tmp_path / "FLOWER_BASIC_AUTH").write_text("operator:planted\n", encoding="utf-8")
    told = options(monkeypatch, RESYNC_SECRETS_DIR=str(tmp_path), FLOWER_ADDRESS="0.0.0.0", FLOWER_BASIC_AUTH="")
    assert (told["basic_auth"], told["address"]) == (["operator:planted"], "0.0.0.0")
    with pytest.raises(SystemExit):
        options(monkeypatch, RESYNC_SECRETS_DIR=str(tmp_path), FLOWER_BASIC_AUTH="another:one")
    assert "FLOWER_BASIC_AUTH is set, and so is the file" in capsys.readouterr().err


def test_tasks_and_logins_are_kept_in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The secret of cookies is made once, for Flower's user alone; a site's own goes before it."""
    assert "persistent" not in options(monkeypatch)
    first, second = (options(monkeypatch, STATE_DIRECTORY=str(tmp_path)) for _ in range(2))
    assert (first["persistent"], first["db"]) == (True, str(tmp_path / "flower"))
    assert first["cookie_secret"] == second["cookie_secret"]
    assert len(first["cookie_secret"]) > 60
    assert (tmp_path / "flower-cookie-secret").stat().st_mode & 0o077 == 0
    own = options(monkeypatch, STATE_DIRECTORY=str(tmp_path), FLOWER_COOKIE_SECRET="the site's")
    assert own["cookie_secret"] == "the site's"


@pytest.mark.parametrize("left", [b"", bytes(86), bytes(range(170, 256)), b"short"])
def test_a_damaged_secret_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: bytes) -> None:
    """With zeros for a secret, as a crash may leave them, anybody could sign a login."""
    (tmp_path / "flower-cookie-secret").write_bytes(left)
    made = options(monkeypatch, STATE_DIRECTORY=str(tmp_path))["cookie_secret"]
    assert len(set(made)) > 20
    assert options(monkeypatch, STATE_DIRECTORY=str(tmp_path))["cookie_secret"] == made


def test_a_folder_that_cannot_be_used_ends_flower_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not there, or is a file."""
    for folder in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(SystemExit) as ended:
            options(monkeypatch, FLOWER_STATE_DIRECTORY=str(folder), LC_ALL="C")
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("error: FLOWER_STATE_DIRECTORY: cannot be used (")
        assert str(folder) in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("{'source': 'metrics', 'outcome': 'ok', 'latency_ms': 12.5}", "ok"),
        ("{'source': 'metrics', 'outcome': 'timeout', 'latency_ms': 5000.1}", "timeout"),
        ("{'source': 'metrics', 'outcome': 'late', 'latency_ms': 5000.1, 'answer': 'ok'}", "late: ok"),
        ("{'source': 'metrics', 'outcome': 'not_asked', 'reason': 'done'}", "not_asked: done"),
        ("'dispatched'", "dispatched"),
        ("{'source': 'met", "{'source': 'met"),
        (None, None),
    ],
)
def test_the_list_shows_what_a_task_came_to(monkeypatch: pytest.MonkeyPatch, told: str | None, shown: str) -> None:
    """A source that failed is told from one that answered without opening its task."""
    show = options(monkeypatch)["format_task"]
    formatted = show(SimpleNamespace(args="('0198c0de-run', 'BATCH001')", result=told))
    assert (formatted.args, formatted.result) == ("0198c0de-run BATCH001", shown)
    for args, words in (("('0198c0de-run', None)", "0198c0de-run"), ("('0198c0d", "('0198c0d"), (None, None)):
        assert show(SimpleNamespace(args=args, result=told)).args == words
