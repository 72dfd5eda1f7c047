"""What a worker does before it takes messages."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.sources import SourceSpec, load_source
from orchestrator.testing import StubSource
from workers import readiness
from workers.readiness import check_sources


def test_a_worker_builds_the_shipped_index_before_its_first_question(tmp_path: Path) -> None:
    """Serving rag_search leaves the index of the runbooks in the cache folder; another queue leaves nothing."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    check_sources(["metrics", "synthesis"], environ)
    assert list(tmp_path.rglob("*.sqlite3")) == []
    check_sources(["rag_search"], environ)
    assert len(list(tmp_path.rglob("*.sqlite3"))) == 1


def test_a_wrong_setting_stops_a_worker_by_the_variables_name() -> None:
    """A worker for TWS with an address that is none does not start."""
    with pytest.raises(ConfigurationError, match="TWS_BASE_URL"):
        check_sources(["tws_status"], {"TWS_BASE_URL": "host:31116"})


def test_what_cannot_be_prepared_is_left_to_the_first_question(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A source that cannot be prepared is a warning with its reason, and the worker starts."""

    def prepare(_environ: object) -> None:
        raise SourceError("no space", reason="full")

    spec = SourceSpec(name="metrics", create=lambda _environ: StubSource("metrics"), prepare=prepare)
    monkeypatch.setattr(readiness, "load_source", lambda _name: spec)
    caplog.set_level(logging.WARNING)
    check_sources(["metrics"], {})
    assert "source_not_prepared source=metrics reason=full" in caplog.text


def test_the_sources_know_their_instances() -> None:
    """Only TWS has instances; they come from its settings."""
    known = load_source("tws_status").known_instances
    assert known is not None
    assert known({"TWS_BASE_URL": "http://127.0.0.1:1", "TWS_DEFAULT_INSTANCE": "PROD"}) == ("PROD",)
    assert load_source("metrics").known_instances is None
