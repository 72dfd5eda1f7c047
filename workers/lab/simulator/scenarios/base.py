"""What a scenario is: a plan, what is in the log cache and in the app's metrics, and the question a user asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from workers.lab.simulator.faults import Fault
from workers.lab.simulator.plan import Plan, instant


@dataclass(frozen=True, slots=True)
class Scenario:
    """A case for the demo, the tests and the evaluation of answers; every time is relative to ``plan.now``."""

    number: int
    name: str
    title: str
    question: str
    """In Brazilian Portuguese, as a user writes it."""
    job_name: str | None
    """The job to name beside the question, when there is one."""
    category: str
    """The category the diagnosis should come to."""
    plan: Plan
    log_cache: Mapping[str, str] = field(default_factory=dict)
    """Redis key to JSON text, as the Resync app writes it."""
    metrics_text: str = ""
    """The app's ``/metrics``."""
    faults: Sequence[Fault] = ()
    """What is wrong with the TWS server itself."""


def history_entry(
    at: datetime,
    *,
    status: str,
    return_code: int | None,
    elapsed: timedelta,
    codes: Sequence[str] = (),
    step: str = "",
    message: str = "",
) -> dict[str, Any]:
    """An item of ``resync:job:history:{job}``."""
    entry: dict[str, Any] = {
        "timestamp": instant(at),
        "status": status,
        "return_code": return_code,
        "elapsed_seconds": int(elapsed.total_seconds()),
    }
    if codes:
        entry["codes"] = list(codes)
    if step:
        entry["step"] = step
    if message:
        entry["message"] = message
    return entry


def log_cache(
    job: str, *, errors: Sequence[object] = (), history: Sequence[object] = (), others: Sequence[object] = ()
) -> dict[str, str]:
    """The app's keys for one job, and the errors of all jobs under ``global``."""
    keys: dict[str, Sequence[object]] = {
        f"resync:errors:recent:{job}": errors,
        f"resync:job:history:{job}": history,
        "resync:errors:recent:global": [*errors, *others],
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in keys.items() if value}


def app_metrics(
    *,
    api_error_rate: float = 0.004,
    tws_success: float = 0.998,
    p95_seconds: float = 0.42,
    cache_hit_rate: float = 0.91,
    queue_depth: int = 3,
    hosts: Mapping[str, tuple[float, float, float]] | None = None,
) -> str:
    """The Resync app's exposition text; ``hosts`` gives CPU, memory and disk in use per workstation, 0 to 1."""
    gauges: list[tuple[str, str, list[tuple[str, float]]]] = [
        ("resync_slo_api_error_rate", "Share of failed API requests.", [("", api_error_rate)]),
        ("resync_slo_tws_connection_success_rate", "Share of TWS calls that succeeded.", [("", tws_success)]),
        ("resync_slo_api_response_time_p95_seconds", "95th percentile of response times.", [("", p95_seconds)]),
        ("resync_cache_hit_rate", "Share of cache hits.", [("", cache_hit_rate)]),
        ("resync_queue_depth", "Messages waiting.", [('queue="agent"', queue_depth)]),
    ]
    for index, (name, words) in enumerate((("cpu", "CPU"), ("memory", "memory"), ("disk", "disk"))):
        values = [(f'workstation="{host}"', figures[index]) for host, figures in (hosts or {}).items()]
        if values:
            gauges.append((f"resync_host_{name}_ratio", f"Share of {words} in use.", values))
    lines: list[str] = []
    for name, words, series in gauges:
        lines += [f"# HELP {name} {words}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{labels}}} {value:g}" if labels else f"{name} {value:g}" for labels, value in series]
    return "\n".join(lines) + "\n"


def unix_log(
    job: str,
    stream: str,
    workstation: str,
    *,
    script: str,
    user: str,
    number: int,
    started: datetime,
    elapsed: timedelta,
    exit_status: int,
    body: Sequence[str],
) -> list[str]:
    """A job log as a fault-tolerant agent frames it: header, what the script wrote, footer."""
    rule = "=" * 63
    ended = started + elapsed
    clock = "%a %m/%d/%y %H:%M:%S UTC"
    return [
        rule,
        f"= JOB       : {workstation}#{stream}[({started:%H%M %m/%d/%y}),({stream[:8]}AB)].{job}",
        f"= TASK      : {script}",
        f"= USER      : {user}",
        f"= Job Number: {number}",
        f"= {started.strftime(clock)}",
        rule,
        *body,
        rule,
        f"= Exit Status           : {exit_status}",
        f"= Elapsed Time (hh:mm:ss) : {str(elapsed).split('.', maxsplit=1)[0]:0>8}",
        f"= {ended.strftime(clock)}",
        rule,
    ]
