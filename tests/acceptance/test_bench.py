"""The benchmark runs whole, at its smallest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.lab.bench.scenarios import SCENARIOS

pytestmark = pytest.mark.acceptance
PROGRAM = str(Path(sys.executable).with_name("resync-troubleshoot"))
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("RESYNC_", "REDIS_"))}


def test_a_small_benchmark_gives_every_figure() -> None:
    """``bench --json`` ends with every key of its contract, figures that fit each other, and no other word."""
    command = [PROGRAM, "bench", "--runs", "5", "--queued", "10", "--json"]
    done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert "Traceback" not in done.stderr
    assert set(figures["idle"]["overhead_ms"]) == {"p50", "p95", "p99"}
    assert figures["load"]["runs_per_s"] > 0
    assert figures["gather"]["overhead_ms"]["p50"] < figures["idle"]["overhead_ms"]["p50"]
    assert figures["plain_chord"]["overhead_ms"]["p50"] > 0
    assert figures["plain_chord"]["runs_per_s"] > 0
    scenarios = {row["name"]: row for row in figures["scenarios"]}
    assert set(scenarios) == {"best", "typical", "one_slow", "with_failures"}
    assert scenarios["with_failures"]["sources_failed"] == 1
    assert all(row["speedup"] > 1 for row in scenarios.values())
    for scenario in SCENARIOS:
        row, latencies = scenarios[scenario.name], [seconds * 1000 for seconds in scenario.sleeps.values()]
        assert row["report"]["sequential_equivalent_ms"] >= sum(latencies)
        # The sources' time is a part of the whole run's, which is measured by another clock.
        assert max(latencies) <= row["report"]["parallel_latency_ms"] < row["parallel_ms"] + 5
        assert 1 < row["report"]["speedup_factor"] <= 4
    assert figures["rss_mb"]["synthesis"] > 5
    assert figures["machine"]["cores"] >= 1


def test_a_small_scale_gives_the_curve_and_its_picture(tmp_path: Path) -> None:
    """``bench --scale`` with one worker and two: figures that fit each other, and a picture of them."""
    picture = tmp_path / "scale.svg"
    command = [PROGRAM, "bench", "--scale", "--max-workers", "2", "--rounds", "1", "--svg", str(picture), "--json"]
    done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    one, two = figures["scale"]
    assert (one["workers"], one["source_per_s"], one["gain"]) == (1, 4.0, None)
    assert (two["workers"], two["source_per_s"]) == (2, 8.0)
    assert 0 < one["runs_per_s"] < 4.2
    # With one worker all runs would take twice the time.
    assert 4.2 < two["runs_per_s"] < 8.4
    assert two["gain"] == pytest.approx(two["runs_per_s"] / one["runs_per_s"], rel=0.01)
    assert picture.read_text("utf-8").startswith("<svg ")
    wrong = subprocess.run([*command[:-2], str(tmp_path / "no" / "x")], env=ENVIRON, capture_output=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"--svg" in wrong.stderr
