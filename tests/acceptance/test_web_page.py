"""The example app as a user sees it: real workers, a real server, a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_support import Page

from orchestrator.testing import stub_message
from workers.standalone.ports import free_port

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
RECORD = """
  window.seen = [];
  window.Real = window.EventSource;
  window.EventSource = class extends Real {
    constructor(url) {
      super(url);
      window.url = url;
      for (const name of %s) this.addEventListener(name, (event) => seen.push(event.lastEventId));
    }
  };
"""


def test_a_page_shows_the_sources_as_they_answer_through_a_restart_of_the_app(
    running_fleet: Fleet, browser: str, tmp_path: Path
) -> None:
    """The app is killed in mid-run and started again: the browser resumes where it was, has every event exactly once,
    and stops for good after the last."""
    port = free_port()
    app = running_fleet.web(port)
    kinds = ["accepted", "routed", "source_started", "source_finished", "synthesis_started", "aggregated", "draft"]
    message = stub_message({"metrics": {"sleep_seconds": 4}}, text="Job BATCH001 falhou com ABEND S0C7")
    try:
        with Page(browser, tmp_path / "profile") as page:
            page.open(f"http://127.0.0.1:{port}/")
            page.run(RECORD % json.dumps([*kinds, "token", "final", "cancelled"]))
            page.run(f"document.querySelector('input').value = {json.dumps(message)}")
            page.run("document.querySelector('button').click()")
            page.until("document.body.innerText.includes('tws_status answered')")
            assert "metrics answered" not in page.run("document.body.innerText")
            app.kill()
            page.until("document.body.innerText.includes('reconectando')")
            app = running_fleet.web(port)
            page.until("document.querySelector('#state').textContent === 'completa'")
            shown = page.run("document.body.innerText")
            assert "metrics answered" in shown
            assert "Diagnóstico" in shown
            url = page.run("url")
            with running_fleet.client() as client:
                events = list(client.stream(url.split("/")[-2]))
            assert page.run("seen") == [event.id for event in events]
            assert {event.type for event in events} >= {"source_finished", "draft", "final"}
            # A page that does not close the stream itself: the browser asks once more, and is told to stop.
            page.run("window.plain = new Real(url); void 0")
            page.until("plain.readyState === Real.CLOSED")
    finally:
        app.kill()
