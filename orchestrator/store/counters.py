"""Counters that all processes share: what a run came to is counted once, in the step that ends it, whoever takes it.

The fields of one hash; each is the name of a counter and the values of its labels. Every label has few values: none
is a run's or a user's, and what is not known is ``other``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import redis

from orchestrator.models import Report
from orchestrator.sources import source_names
from orchestrator.store.connection import store_errors
from orchestrator.store.keys import Keys
from orchestrator.store.reading import read_number

SINCE = "since"
"""Field: when the hash was begun, which tells counters that begin anew from those that have lost their last second."""
OTHER = "other"
RUN_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)
CALL_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)
"""Upper bounds in seconds; what is longer is in the bucket ``inf``."""
FAILURES = (
    *("bad_json", "bad_request", "cancelled", "connection", "content_filter", "context_window", "contradicts"),
    *("empty", "invalid", "no_answer", "no_diagnosis", "not_found", "not_loaded", "quota", "rate_limited", "refused"),
    *("rejected", "timeout", "unauthorized"),
)
"""Why a model gave no usable answer; a site's synthesizer may have reasons of its own."""
SKIPS = ("no_time_left", "no_watcher", "no_worker")
COMMITTERS = {"synthesis": "worker", "watcher": "watcher", "client": "client"}
_FIELD = re.compile(r"[a-z_]{1,40}(?:\|[\w.-]{0,60}){0,3}")
_MAX_FIELDS = 1_000
_MAX_TOKENS, _MAX_CALLS, _MAX_MS = 10_000_000, 100, 86_400_000


def counts_of(report: Report) -> dict[str, int]:
    """What the commit of a report adds to the counters, by field."""
    counts: Counter[str] = Counter()
    by = COMMITTERS.get(report.committed_by.partition(":")[0], OTHER)
    counts[f"runs_ended|{report.outcome}|{by}"] += 1
    _observe(counts, "run_seconds", report.total_latency_ms, RUN_BUCKETS)
    known = source_names()
    for envelope in report.parallel_results:
        counts[f"run_sources|{envelope.source if envelope.source in known else OTHER}|{envelope.outcome}"] += 1
    llm = report.metadata.get("llm")
    if isinstance(llm, Mapping):
        _count_model(counts, llm)
    return dict(counts)


def _count_model(counts: Counter[str], llm: Mapping[str, Any]) -> None:
    """Count what the metadata of a synthesizer tell, which may be a site's."""
    if "skipped" in llm:
        counts[f"llm_answers|skipped|{_one_of(SKIPS, llm['skipped'])}"] += 1
    elif "failed" in llm:
        counts[f"llm_answers|failed|{_one_of(FAILURES, llm['failed'])}"] += 1
    else:
        counts["llm_answers|used|"] += 1
    attempts = llm.get("attempts")
    for attempt in attempts[:_MAX_CALLS] if isinstance(attempts, list) else ():
        if isinstance(attempt, Mapping):
            reason = attempt.get("reason")
            counts[f"llm_calls|{'ok' if reason == 'ok' else _one_of(FAILURES, reason)}"] += 1
            _observe(counts, "llm_call_seconds", attempt.get("latency_ms"), CALL_BUCKETS)
    for kind in ("prompt", "completion"):
        tokens = _whole(llm.get(f"{kind}_tokens"), _MAX_TOKENS)
        if tokens:
            counts[f"llm_tokens|{kind}"] += tokens


def _observe(counts: Counter[str], name: str, ms: object, buckets: Iterable[float]) -> None:
    """Add a duration to a histogram: to its bucket alone, and to its sum in milliseconds."""
    duration = _whole(ms, _MAX_MS)
    bucket = next((bound for bound in buckets if duration <= bound * 1000), "inf")
    counts[f"{name}|{bucket}"] += 1
    counts[f"{name}_ms"] += duration


def _one_of(known: Iterable[str], value: object) -> str:
    return value if isinstance(value, str) and value in known else OTHER


def _whole(value: object, most: int) -> int:
    """A number of a report, which may be a site's, as a whole one that is not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        return 0
    return round(value)


@dataclass
class Counters:
    """Reads the counters, which never go back while the hash is the same.

    A Redis that has lost its last second, in a crash or a failover, would look to Prometheus like counters that began
    anew, and all that was ever counted like new.
    """

    client: redis.Redis
    keys: Keys
    _seen: tuple[str | None, Mapping[str, int]] = (None, MappingProxyType({}))
    """Since when the counters are the same, and the most that was seen of each."""

    def read(self) -> dict[tuple[str, ...], int]:
        """Each counter, by its name and the values of its labels.

        Raises StoreUnreachable.
        """
        with store_errors():
            reply = self.client.hgetall(self.keys.counters)
        stored = {str(name): str(value) for name, value in reply.items()}
        since = stored.pop(SINCE, None)
        # Two scrapes at once read it in two threads: what is shared is replaced, never changed.
        began, before = self._seen
        seen = {} if since is None or since != began else dict(before)
        for name in [name for name in stored if _FIELD.fullmatch(name)][:_MAX_FIELDS]:
            seen[name] = max(read_number(stored[name]), seen.get(name, 0))
        self._seen = since, seen
        return {tuple(name.split("|")): count for name, count in seen.items()}
