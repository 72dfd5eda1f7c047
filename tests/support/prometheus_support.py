"""The real programs of the Debian package prometheus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from workers.standalone.ports import free_port


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``; without it the test is skipped, in CI it fails."""
    path = shutil.which(name)
    if path is None:
        missing = f"no {name} on PATH: install the Debian package prometheus"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


@contextmanager
def running_prometheus(folder: Path, config: str = "global: {}\n") -> Iterator[str]:
    """URL of a server on a free port with its data in ``folder/data``."""
    (folder / "prometheus.yml").write_text(config)
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = subprocess.Popen(
        [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "prometheus ended at once"
                time.sleep(0.05)
        else:
            pytest.fail("prometheus did not become ready")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def ask_api(url: str, path: str, **parameters: str) -> Any:
    """The data of an answer of the HTTP API; fails on an error."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
        document = json.load(answer)
    assert document["status"] == "success"
    return document["data"]
