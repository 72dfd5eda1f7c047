"""A scenario: plan, log cache, metrics and question; and the parts that scenarios share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from workers.lab.simulator.faults import Fault
from workers.lab.simulator.plan import FIRST_JOB_NUMBER, Plan, Run, instant, local

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A case for the demo, the tests and the evaluation of answers; every time is relative to ``plan.now``."""

    number: int
    name: str
    title: str
    question: str
    """The user's question, in Brazilian Portuguese."""
    job_name: str | None
    """The job named beside the question; None without one."""
    category: str
    """The expected category of the diagnosis."""
    plan: Plan
    log_cache: Mapping[str, str] = field(default_factory=dict)
    """JSON texts by Redis key, in the Resync app's format."""
    metrics_text: str = ""
    """The app's ``/metrics``."""
    faults: Sequence[Fault] = ()
    """Faults of the TWS server itself."""


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
    """The app's keys of one job, and the errors of all jobs under ``global``."""
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
    """The Resync app's exposition text; ``hosts``: used CPU, memory and disk per workstation, from 0 to 1."""
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


def new_plan(now: datetime, stream: str, workstation: str, *, status: str = "STUCK", **station: Any) -> Plan:
    """A plan with the master, one workstation and one job stream on it; ``station`` as in ``add_workstation``."""
    plan = Plan(now)
    plan.add_workstation("MDM", kind="MANAGER")
    plan.add_workstation(workstation, **station)
    plan.add_stream(stream, workstation, status=status)
    return plan


def add_successor(plan: Plan, name: str, predecessor_id: str, *, task: str, user: str = "batch") -> str:
    """Add a job of the same stream that waits for its predecessor; returns its id."""
    predecessor = plan.job(predecessor_id)
    successor = plan.add_job(
        name,
        predecessor["jobStreamName"],
        predecessor["workstation"],
        status="HOLD",
        substatus="HOLD_WAITING_FOR_PREDECESSOR",
        task=task,
        user=user,
    )
    plan.depends_on_job(successor, predecessor_id)
    return successor


def add_unix_job(
    plan: Plan,
    name: str,
    *,
    script: str,
    user: str,
    started: datetime,
    elapsed: timedelta,
    exit_status: int,
    body: Sequence[str],
    status: str = "ABEND",
    conditions: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> str:
    """Add the first job of the plan's stream, with one run and its job log; returns its id."""
    stream = plan.streams[0]
    log = unix_log(
        name,
        stream["name"],
        stream["workstation"],
        script=script,
        user=user,
        started=started,
        elapsed=elapsed,
        exit_status=exit_status,
        body=body,
    )
    run = Run(started, elapsed, status, exit_status, log, conditions)
    return plan.add_job(
        name, stream["name"], stream["workstation"], status=status, runs=[run], task=script, user=user, **more
    )


def successes(now: datetime, days: Iterable[int], elapsed: timedelta) -> list[dict[str, Any]]:
    """History of successful runs, so many days ago."""
    return [history_entry(now - day * DAY, status="SUCC", return_code=0, elapsed=elapsed) for day in days]


def unix_log(
    job: str,
    stream: str,
    workstation: str,
    *,
    script: str,
    user: str,
    started: datetime,
    elapsed: timedelta,
    exit_status: int,
    body: Sequence[str],
) -> list[str]:
    """A job log of a fault-tolerant agent: header, the script's output, footer."""
    rule = "=" * 63
    started = local(started)
    ended = started + elapsed
    clock = "%a %m/%d/%y %H:%M:%S %Z"
    return [
        rule,
        f"= JOB       : {workstation}#{stream}[({started:%H%M %m/%d/%y}),({stream[:8]}AB)].{job}",
        f"= TASK      : {script}",
        f"= USER      : {user}",
        f"= Job Number: {FIRST_JOB_NUMBER}",
        f"= {started.strftime(clock)}",
        rule,
        *body,
        rule,
        f"= Exit Status           : {exit_status}",
        f"= Elapsed Time (hh:mm:ss) : {str(elapsed).split('.', maxsplit=1)[0]:0>8}",
        f"= {ended.strftime(clock)}",
        rule,
    ]
