"""ops/flower: where Flower listens and what it lets a visitor do."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from flower.options import default_options

CONFIG = Path(__file__).parents[3] / "ops" / "flower" / "flowerconfig.py"


def options(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """The options that the file sets in this environment."""
    monkeypatch.setattr("orchestrator.logs.configure_log", lambda *_, **__: None)  # that of this process stays
    for name in ("FLOWER_ADDRESS", "FLOWER_BASIC_AUTH", "FLOWER_READ_ONLY", "RESYNC_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {
        name: value for name, value in runpy.run_path(str(CONFIG)).items() if not name.startswith("_") and name != "os"
    }


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


def test_flower_knows_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower ignores an option that it does not know without a word, so a misspelt one would go unseen."""
    assert [name for name in options(monkeypatch) if name not in default_options] == []


def test_no_credentials_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file wins over the environment, so credentials in it would replace the site's own."""
    assert "basic_auth" not in options(monkeypatch, FLOWER_BASIC_AUTH="u:p")


def test_credentials_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Flower reads variables alone; a file that cannot be used ends it with one line."""
    (tmp_path / "FLOWER_BASIC_AUTH").write_text("operator:planted\n", encoding="utf-8")
    told = options(monkeypatch, RESYNC_SECRETS_DIR=str(tmp_path), FLOWER_ADDRESS="0.0.0.0", FLOWER_BASIC_AUTH="")
    assert (told["basic_auth"], told["address"]) == (["operator:planted"], "0.0.0.0")
    with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH is set, and so is the file"):
        options(monkeypatch, RESYNC_SECRETS_DIR=str(tmp_path), FLOWER_BASIC_AUTH="another:one")
