"""Pictures of the example's page for docs/web.md: ``make pictures`` draws them anew, from the demo's data."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from browser_support import Page

from workers.standalone.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
QUESTIONS = (
    "Por que o BATCH002 não iniciou?",
    "O job ZOS1#FATDIA.RELFAT01 está parado, o que falta?",
    "Job BATCH001 falhou com ABEND S0C7",
)


def draw(browser: str, folder: Path) -> None:
    """Write ``page-list.png`` and ``page-run.png`` into the folder, 1,280 px wide."""
    with tempfile.TemporaryDirectory() as place:
        system = subprocess.Popen(
            [BIN / "resync-troubleshoot", "up", "--no-flower", "--demo-data"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        app = None
        try:
            assert system.stdout is not None
            said = ""
            while "processes are ready" not in said:
                line = system.stdout.readline()
                assert line, f"up did not start: {said}"
                said += line
            found = re.search(r"^environment\s+\. (\S+)", said, re.MULTILINE)
            assert found is not None, said
            port = free_port()
            app = subprocess.Popen(
                [
                    *("/bin/sh", "-c", '. "$0"; exec "$@"', found[1]),
                    *(BIN / "uvicorn", "--app-dir", ROOT / "examples", "app:app", "--port", str(port)),
                ],
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            here = f"http://127.0.0.1:{port}/"
            for question in QUESTIONS:
                _ask(f"{here}troubleshoot/runs?wait=true", question)
            with Page(browser, Path(place) / "profile") as page:
                page.open(here)
                page.resize(1280, 620)
                page.until(f"document.querySelectorAll('#runs tr').length === {len(QUESTIONS)}")
                (folder / "page-list.png").write_bytes(page.screenshot())
                page.run("document.querySelector('#runs a').click()")
                page.until("document.querySelectorAll('#evidence details').length > 3")
                page.run("document.activeElement.blur()")
                page.resize(1280, 1000)
                (folder / "page-run.png").write_bytes(page.screenshot())
        finally:
            for process in (app, system):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(60)


def _ask(url: str, question: str) -> None:
    body = json.dumps({"message": question}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            assert time.monotonic() < end, f"{url} did not answer"
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    chromium = shutil.which("chromium") or sys.exit("no Chromium on PATH")
    draw(chromium, ROOT / "docs" / "images")
