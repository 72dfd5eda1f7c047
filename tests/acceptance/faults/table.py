"""The table of faults: what is done to a running system, and what its callers are promised meanwhile.

``docs/reliability.md`` is this table with figures, written by ``make faults``.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace

from orchestrator.sources import BUILTIN_SOURCES
from tests.acceptance.faults import strikes as do
from tests.acceptance.faults.fault import NO_STORE_GRACE_SECONDS, WAITING, Behaviours, Fault, every, promise
from tests.acceptance.faults.strikes import TERM, WORKERS

WHOLE = promise("complete", "partial", complete_share=0.95)
ANSWERED = promise("complete", "partial", complete_share=0.2)
NOT_DISPATCHED = promise("complete", "partial", "failed", "refused", complete_share=0.1)
"""Without workers, or with slow ones, nobody asks the sources, but for callers of the graph."""
PERHAPS_EMPTY = promise("complete", "partial", "failed", complete_share=0.1)
"""An outage of the orchestrator's worker is no load: no run is refused."""
OTHERS = promise("complete", "partial", complete_share=0.3, tracebacks=100)
"""What code of others raises is logged with its stack."""
NO_ACK = 50
"""Tracebacks of Celery about messages that it cannot acknowledge."""
NO_STORE = {"grace_seconds": NO_STORE_GRACE_SECONDS, "tracebacks": NO_ACK}
STORE_AWAY = promise("complete", "partial", "failed", "uncommitted", "unreachable", "refused", **NO_STORE)
STORE_EMPTIED = promise(
    "complete", "partial", "failed", "uncommitted", "unreachable", "refused", "forgotten", **NO_STORE
)
STAGED = ({"tws_status": {"finds": 3, "sleep_seconds": 0.3}},)
"""Runs of two stages: a list of three jobs, and then each of them."""
ALL_KINDS = ("redis", "rediss", "prefork")
TLS_TOO = ("redis", "rediss")
NETWORKS = ("network", "rediss")


def processes() -> tuple[Fault, ...]:
    """Processes that are killed, ended, frozen and replaced."""
    one = {
        "the orchestrator's worker": ("orchestrator",),
        "a source's worker": ("metrics",),
        "all four sources' workers": BUILTIN_SOURCES,
        "the synthesis worker": ("synthesis",),
        "one watcher": ("watcher",),
        "both watchers": ("watcher", "watcher-2"),
        "the app's web server": ("web",),
        "every worker and watcher": (*WORKERS, "watcher", "watcher-2"),
    }
    rows = []
    for who, names in one.items():
        promised = ANSWERED
        if names == ("orchestrator",):
            promised = PERHAPS_EMPTY
        elif names == BUILTIN_SOURCES:
            # What waits for them afterwards is a load.
            promised = NOT_DISPATCHED
        elif "orchestrator" in names:
            # Eight processes that start take the processors from those that answer.
            promised = replace(NOT_DISPATCHED, grace_seconds=1.0)
        quick = who in ("a source's worker", "the synthesis worker", "both watchers")
        readers = WAITING if "watcher-2" in names else ()
        rows += [
            Fault(f"kill -9: {who}", "SIGKILL, started again 0.7 s later", promised, do.kill(*names),
                  on=ALL_KINDS, in_ci=quick, readers=readers),
            Fault(f"SIGTERM: {who}", "warm shutdown, started again", promised, do.kill(*names, number=TERM),
                  readers=readers),
            Fault(f"frozen: {who}", "SIGSTOP for 2 s, then SIGCONT", promised, do.freeze(*names),
                  on=TLS_TOO if names == ("synthesis",) else ("redis",), in_ci=names == ("orchestrator",),
                  readers=readers),
        ]  # fmt: skip
    return (
        *rows,
        Fault("no worker for 5 s, and nobody waits", "SIGKILL for every worker; the watchers end the runs",
              promise("complete", "partial", "failed", "refused"), do.kill(*WORKERS, away_seconds=5),
              readers=("later", "later", "later", "result"), in_ci=True),
        Fault("kill -9: between two stages", "the orchestrator's worker, in runs about jobs that are found",
              PERHAPS_EMPTY, do.kill("orchestrator"), odd=every(1, STAGED)),
        Fault("killed in turn", "SIGKILL for every process, one after the other", ANSWERED, do.apps_processes_in_turn,
              seconds=14, runs=100),
    )  # fmt: skip


def stores() -> tuple[Fault, ...]:
    """Redis itself."""
    refusals = {
        "OOM": "`maxmemory` is reached",
        "READONLY": "it has become a replica",
        "MASTERDOWN": "a replica without its master",
        "MISCONF": "it cannot save",
        "NOREPLICAS": "too few replicas",
        "BUSY": "a script runs on",
        "maxclients": "every connection closed, no new one accepted",
        "WRONGPASS": "the password is rotated, every connection closed",
    }
    return (
        Fault("Redis killed, at once back", "SIGKILL, append-only file", STORE_AWAY, do.redis_away(), on=TLS_TOO,
              in_ci=True),
        Fault("Redis killed for 2 s", "SIGKILL, append-only file", STORE_AWAY, do.redis_away(seconds=2), on=ALL_KINDS,
              in_ci=True),
        Fault("Redis killed between two stages", "SIGKILL, back after 1 s, in runs about jobs that are found",
              STORE_AWAY, do.redis_away(seconds=1), odd=every(1, STAGED)),
        Fault("Redis killed past the deadline", "SIGKILL, back after 7 s", STORE_AWAY, do.redis_away(seconds=7)),
        Fault("Redis restarted in order", "SIGTERM, append-only file", STORE_AWAY, do.redis_away(orderly=True)),
        Fault("Redis killed without a file", "all data is lost", STORE_EMPTIED, do.redis_away(seconds=0.5),
              on=("memory",), in_ci=True),
        Fault("Redis frozen for 2 s", "SIGSTOP", STORE_AWAY, do.redis_frozen(2), on=TLS_TOO, in_ci=True),
        Fault("Redis frozen past the deadline", "SIGSTOP for 7 s", STORE_AWAY, do.redis_frozen(7)),
        Fault("Redis slow", "it stands still for 150 ms, twelve times", NOT_DISPATCHED, do.redis_slow),
        Fault("Redis loading", "it reads 4,000 keys again for some two seconds", STORE_AWAY, do.redis_loading),
        Fault("Redis's disk full", "the append-only file cannot grow for 2.5 s", STORE_AWAY, do.redis_disk_full),
        *(Fault(f"Redis answers {kind}", f"{what}, for 2 s", STORE_AWAY, do.redis_refuses(kind),
                in_ci=kind in ("READONLY", "maxclients"), on=TLS_TOO if kind == "WRONGPASS" else ("redis",))
          for kind, what in refusals.items()),
        Fault("Redis closes its connections", "CLIENT KILL of all, three times", STORE_AWAY, do.connections_killed,
              on=TLS_TOO),
        Fault("Redis's clock an hour back", "and forth after 2 s", STORE_AWAY, do.redis_clock(-3600), on=("clock",)),
        Fault("Redis's clock an hour ahead", "and back after 2 s", STORE_AWAY, do.redis_clock(3600), on=("clock",)),
        Fault("Redis's clock five seconds back", "and forth after 2 s", STORE_AWAY, do.redis_clock(-5), on=("clock",)),
    )  # fmt: skip


def networks() -> tuple[Fault, ...]:
    """What is between a process and Redis."""
    one = {
        "the orchestrator's worker": ("orchestrator",),
        "a source's worker": ("metrics",),
        "the synthesis worker": ("synthesis",),
        "both watchers": ("watcher", "watcher-2"),
        "the web server": ("web",),
        "the app": ("client",),
        "every process": (),
    }
    rows = []
    for who, names in one.items():
        promised = STORE_AWAY if not names or names[0] in ("client", "web") else replace(ANSWERED, tracebacks=NO_ACK)
        if names == ("orchestrator",):
            promised = replace(PERHAPS_EMPTY, tracebacks=NO_ACK)
        rows.append(
            Fault(f"network cut: {who}", "nothing passes for 2 s, then all that was sent", promised,
                  do.network("hold", *names), on=NETWORKS,
                  readers=WAITING if "watcher" in names else (), in_ci=names in (("metrics",), ()))
        )  # fmt: skip
    return (
        *rows,
        Fault("packets dropped", "nothing passes for 2 s, old connections lead nowhere for ever", STORE_AWAY,
              do.network("swallow"), on=NETWORKS),
        Fault("half-open connections", "old connections lead nowhere for ever, new ones work", STORE_AWAY,
              do.network("make_half_open", seconds=0), on=NETWORKS),
        Fault("connections reset", "of every process, once", STORE_AWAY, do.network("cut", seconds=0), on=NETWORKS),
        Fault("connections refused", "for 2 s", STORE_AWAY, do.network("refuse"), on=NETWORKS),
        Fault("one way: nothing reaches Redis", "for 2 s", STORE_AWAY, do.network("hold", direction="to"),
              on=("network",)),
        Fault("one way: nothing comes back", "for 2 s", STORE_AWAY, do.network("hold", direction="from"),
              on=("network",)),
        Fault("slow network", "40 ms in each direction, for 3 s", NOT_DISPATCHED,
              do.network("delay", seconds=3, delay_seconds=0.04), on=("network",), runs=25),
    )  # fmt: skip


def _all(behaviour: Mapping[str, object]) -> Behaviours:
    return dict.fromkeys(BUILTIN_SOURCES, behaviour)


RAISES = tuple(
    {"metrics": {"raises": kind, "raises_in_task": in_task}}
    for kind in ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "Panic")
    for in_task in (False, True)
)
WRONG = tuple({"metrics": {"wrong": what}} for what in ("evidence", "data", "finding", "breadth", "nothing"))
WRONG_TEXT = (
    *({"synthesis": {"wrong": what}} for what in ("confidence", "claims")),
    *({"synthesis": {"raises": kind}} for kind in ("SystemExit", "CancelledError", "Panic")),
    {"synthesis": {"error": "no quota"}},
)


def parts() -> tuple[Fault, ...]:
    """Code and data of others, and messages."""
    return (
        Fault("a source raises what is no error", "SystemExit, KeyboardInterrupt, a panic, ..., every other run",
              OTHERS, odd=every(2, RAISES), on=("redis", "prefork"), in_ci=True),
        Fault("a source fails", "its own error or time-out, every other run", OTHERS,
              odd=every(2, ({"metrics": {"error": "down"}}, {"metrics": {"own_timeout": True}}))),
        Fault("every source fails", "every other run", PERHAPS_EMPTY, odd=every(2, (_all({"error": "down"}),))),
        Fault("a source hangs", "past its limit, every other run", ANSWERED,
              odd=every(2, ({"metrics": {"sleep_seconds": 60}},)), on=("redis", "prefork")),
        Fault("every source hangs", "every third run", PERHAPS_EMPTY, odd=every(3, (_all({"sleep_seconds": 60}),))),
        Fault("a source blocks its event loop", "for 1 s, one run of fifteen",
              promise("complete", "partial", complete_share=0.9),
              odd=every(15, ({"metrics": {"block_seconds": 1.0}},)), total_seconds=5),
        Fault("a source's result is not valid", "every other run", OTHERS, odd=every(2, WRONG), in_ci=True),
        Fault("a source's result has 20 MB", "one run of ten", ANSWERED,
              odd=every(10, ({"metrics": {"payload_bytes": 20_000_000}},)), total_seconds=6),
        Fault("the synthesizer fails", "wrong results, errors and what is no error, every other run",
              promise("complete", tracebacks=100),
              odd=every(2, WRONG_TEXT), on=("redis", "prefork"), in_ci=True),
        Fault("the model hangs", "every third run", WHOLE, odd=every(3, ({"synthesis": {"sleep_seconds": 60}},)),
              in_ci=True),
        Fault("poison messages", "21 in every queue that no worker can read", WHOLE, do.poison, in_ci=True),
        Fault("keys of another type", "every key that all runs share but one, and the queues, become strings",
              replace(NOT_DISPATCHED, tracebacks=NO_ACK), do.foreign_keys),
        Fault("messages delivered again", "three exact copies of each, after 0.8 s without a worker", PERHAPS_EMPTY,
              do.redeliver),
        Fault("a stored plan is damaged", "of every third open run", PERHAPS_EMPTY, do.damage("plan", "{")),
        Fault("a stored deadline is damaged", "of every third open run", PERHAPS_EMPTY,
              do.damage("deadline_ms", "soon")),
        Fault("a stored answer is damaged", "a source's, of every third open run",
              promise("complete", "partial", complete_share=0.3, loses_answers=True),
              do.damage("e:metrics|BATCH001", '{"source": "metrics", "evidence": [{}]}')),
        Fault("cancelled at any moment", "every other run, by another client",
              promise("complete", "partial", "cancelled"), do.cancel_some, in_ci=True),
    )  # fmt: skip


def operations() -> tuple[Fault, ...]:
    """What the operations team of a bank would try next."""
    return (
        Fault("rolling deploy", "of each role a new process starts, then the old one gets SIGTERM", WHOLE, do.roll(),
              seconds=20, runs=150, on=("redis", "prefork"), in_ci=True),
        Fault("node drained without notice", "the same, but with SIGKILL", ANSWERED, do.roll(signal.SIGKILL),
              seconds=20, runs=150),
        Fault("two fleets on one Redis", "the whole system is started a second time, then ended", WHOLE, do.two_fleets,
              seconds=8, runs=80),
        Fault("processor taken away", "every process stands still for 0.12 s out of 0.24 s, for 3 s", ANSWERED,
              do.stutter()),
        Fault("FLUSHALL", "in flight", STORE_EMPTIED, do.flush, in_ci=True),
        Fault("a run's hash deleted", "of every third open run", STORE_EMPTIED, do.delete_keys("run")),
        Fault("a run's events deleted", "of every third open run", STORE_EMPTIED, do.delete_keys("events")),
        Fault("the wake-ups deleted", "the sorted set of all runs", ANSWERED, do.delete_keys("wakeups")),
        Fault("celery purge", "of every queue, while no worker takes a message", NOT_DISPATCHED, do.purge),
        Fault("failover to a replica", "the master is killed, the replica takes over", STORE_AWAY, do.fail_over,
              on=NETWORKS),
        Fault("Redis's name gone", "no name is resolved for 2 s, connections cut", STORE_AWAY, do.no_names,
              on=("network",)),
        Fault("certificate expired", "Redis's, for 2 s, every connection closed; then a new one", STORE_AWAY,
              do.certificate_expired, on=("rediss",)),
        Fault("messages of a later version", "an unknown task and unknown arguments, in every queue",
              promise("complete", tracebacks=20),
              do.later_messages),
        Fault("log disk full", "no process can write to its log for 2 s",
              promise("complete", "partial", complete_share=0.95, tracebacks=200), do.log_disk_full, in_ci=True),
        Fault("descriptors exhausted: a worker", "the metrics worker can open nothing for 2 s, connections closed",
              STORE_AWAY, do.out_of_descriptors("metrics")),
        Fault("descriptors exhausted: the orchestrator", "the same", STORE_AWAY, do.out_of_descriptors("orchestrator")),
        Fault("descriptors exhausted: the watchers", "the same", STORE_AWAY,
              do.out_of_descriptors("watcher", "watcher-2")),
        Fault("descriptors exhausted: the web server", "the same",
              promise("complete", "partial", "unreachable", **NO_STORE),
              do.out_of_descriptors("web")),
        Fault("memory exhausted: a worker", "the metrics worker gets no more for 2 s, then is started again",
              promise("complete", "partial", complete_share=0.2, tracebacks=50, ends=("metrics",)),
              do.out_of_memory("metrics")),
        Fault("wall clocks an hour ahead", "of all workers and watchers, for 2 s", WHOLE, do.other_clock(3600),
              on=("clock",), readers=WAITING),
        Fault("wall clocks an hour behind", "of all workers and watchers, for 2 s", WHOLE, do.other_clock(-3600),
              on=("clock",), readers=WAITING),
        Fault("a burst on one slow source", "1,000 runs in 4 s on a source that takes 1 s",
              promise("complete", "partial", "failed", "refused", recovery_seconds=13), runs=1_000, seconds=4,
              total_seconds=5, odd=lambda number: {"metrics": {"sleep_seconds": 1.0}}, readers=("result",)),
        Fault("a burst of graphs", "300 runs in 3 s of graphs on one event loop",
              promise("complete", "partial", "failed", "refused", recovery_seconds=10), runs=300, seconds=3,
              total_seconds=5, odd=lambda number: {}, readers=("graph", "astream")),
    )  # fmt: skip


AREAS: Mapping[str, tuple[Fault, ...]] = {
    "Processes": processes(),
    "Redis": stores(),
    "Network": networks(),
    "Messages, and code and data of others": parts(),
    "Operations": operations(),
}
FAULTS = tuple(fault for faults in AREAS.values() for fault in faults)
