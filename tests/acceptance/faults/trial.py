"""One trial of a fault: runs are asked, the fault is done, and what became of each run is judged."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from fleet_support import Process
from stack_support import Stack
from stored_support import everything_of
from tests_support import wait_until

from orchestrator.config import ParallelConfig
from orchestrator.errors import TroubleshootError
from orchestrator.models import EventType, RunOutcome, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES
from orchestrator.store.runs import new_token
from orchestrator.testing import stub_message
from tests.acceptance.faults.delay import MachineDelay, worst
from tests.acceptance.faults.fault import Behaviours, Fault, nothing
from tests.acceptance.faults.readers import Question, Readers

STRIKE_AFTER_SECONDS = 0.8
"""By then runs are in each of their phases."""
APP_BACK_SECONDS = 0.5
"""For readers over HTTP to connect again."""
MAX_LOG_BYTES = 3_000_000
CHAINED = (b"During handling of the above exception", b"The above exception was the direct cause")
"""Before a further traceback of the same error."""
TERMINAL = (EventType.FINAL.value, EventType.CANCELLED.value)


@dataclass
class Figures:
    """What was measured in a trial; kept as JSON."""

    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    twice: int = 0
    lost: int = 0
    late: int = 0
    worst_ms: int = 0
    """Of an answer after the deadline; negative: before it."""
    delay_ms: int = 0
    recovery_seconds: float = 0.0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)
    """What was promised and did not hold."""


class Trial:
    """A fault and a running stack. ``strike`` of the fault gets it."""

    def __init__(self, fault: Fault, stack: Stack, delay: MachineDelay, runs: int) -> None:
        self.fault, self.stack = fault, stack
        self.random = random.Random(fault.name)
        self.questions: list[Question] = []
        """Those that have been asked so far."""
        self._delay, self._runs = delay, runs
        self._secret = f"Segredo{new_token()[:12]}"
        self._recovered = float("inf")

    @property
    def redis(self) -> redis.Redis:
        """A connection to Redis past all proxies."""
        return redis.Redis.from_url(self.stack.redis.url, socket_timeout=5)

    @property
    def keys(self) -> Any:
        return self.readers.client.store.keys

    def open_run_ids(self) -> list[str]:
        """Runs that were asked and not answered."""
        return [item.run_id for item in self.questions if item.answered_at is None]

    def run(self) -> Figures:
        """Ask, strike, wait, heal and judge."""
        began = time.monotonic()
        log_sizes = {process: process.log.stat().st_size for process in self.stack.fleet.processes}
        died = self.stack.died()
        with self._readers() as self.readers:
            asking = threading.Thread(target=self._ask_all)
            asking.start()
            time.sleep(STRIKE_AFTER_SECONDS)
            self.fault.strike(self)
            recovery = threading.Thread(target=self._recover, args=(time.monotonic(),))
            recovery.start()
            asking.join()
            self.readers.join(self.fault.total_seconds + 10)
            recovery.join()
            figures = self._judge(began)
        figures.broken += self._processes_and_logs(log_sizes, died)
        figures.seconds = round(time.monotonic() - began, 1)
        return figures

    @contextmanager
    def _readers(self) -> Iterator[Readers]:
        readers = Readers(self.stack.fleet.settings, self.stack.web_url)
        try:
            yield readers
        finally:
            readers.close()

    def _ask_all(self) -> None:
        pause, first = self.fault.seconds / self._runs, time.monotonic()
        for number in range(self._runs):
            time.sleep(max(0.0, first + number * pause - time.monotonic()))
            odd = self.fault.odd(number)
            reader = self.fault.readers[number % len(self.fault.readers)]
            question = Question(number, reader, self._request(number, odd), is_odd=odd is not None)
            self.questions.append(question)
            self.readers.ask(question)

    def _request(self, number: int, odd: Behaviours | None) -> TroubleshootRequest:
        usual = {source: {"sleep_seconds": round(self.random.uniform(0, 0.4), 3)} for source in BUILTIN_SOURCES}
        usual["synthesis"] = {"sleep_seconds": round(self.random.uniform(0.05, 0.25), 3)}
        if "finds" in (odd or {}).get("tws_status", {}):
            # A question about jobs that are found: a short one, as a long message asks for no list.
            return TroubleshootRequest(
                message=stub_message(odd or {}, text=f"O que falhou hoje? password={self._secret}"),
                intent="troubleshoot",
                config=limits(self.fault.total_seconds),
            )
        # Every tenth question is about three jobs.
        jobs = ("BATCH001", "BATCH002", "BATCH003") if number % 10 == 5 else ("BATCH001",)
        return TroubleshootRequest(
            message=stub_message({**usual, **(odd or {})}, text=f"Jobs falharam, password={self._secret}"),
            jobs=jobs,
            intent="troubleshoot",
            config=limits(self.fault.total_seconds),
        )

    def _recover(self, healed_at: float) -> None:
        """Ask four times a second until a question is answered in full by the workers; keep when that one was asked."""
        threads = []
        bound = self.fault.promise.recovery_seconds + 5
        while self._recovered == float("inf") and time.monotonic() - healed_at < bound:
            threads.append(threading.Thread(target=self._probe, args=(time.monotonic() - healed_at,), daemon=True))
            threads[-1].start()
            time.sleep(0.25)
        for thread in threads:
            thread.join(10)

    def _probe(self, age_seconds: float) -> None:
        with suppress(TroubleshootError, TimeoutError):
            if is_whole(self.readers):
                self._recovered = min(self._recovered, age_seconds)

    def _judge(self, began: float) -> Figures:
        promised, figures = self.fault.promise, Figures(runs=len(self.questions))
        samples = self._delay.samples(began)
        figures.outcomes = dict(Counter(item.outcome for item in self.questions))
        figures.delay_ms = round(worst(samples, began) * 1000)
        figures.recovery_seconds = round(self._recovered, 2)
        late_by = [self._late_by(item) for item in self.questions]
        figures.worst_ms = round(max(late_by) * 1000)
        for item, late in zip(self.questions, late_by, strict=True):
            deadline = item.asked_at + item.total_seconds
            allowed = promised.grace_seconds + worst(samples, deadline - 1.0, item.answered_at)
            if late > allowed:
                figures.late += 1
                figures.broken.append(f"{item.reader} {item.run_id}: {late:.2f} s late, {item.outcome} {item.error}")
            if item.outcome not in promised.outcomes:
                figures.broken.append(f"{item.reader} {item.run_id}: {item.outcome} {item.error}")
            if item.repeated_events:
                figures.broken.append(f"{item.reader} {item.run_id}: {item.repeated_events} events came twice")
        with self.redis as raw:
            for item in self.questions:
                self._judge_stored(raw, item, figures)
        if figures.outcomes.get("complete", 0) < promised.complete_share * figures.runs:
            figures.broken.append(f"complete: fewer than {promised.complete_share:.0%}")
        if any(item.outcome != "complete" for item in self.questions if not item.is_odd) and self._is_in_runs():
            figures.broken.append("a healthy run is not complete")
        if self._recovered > promised.recovery_seconds + worst(samples, began):
            figures.broken.append(f"not whole again within {promised.recovery_seconds:g} s")
        return figures

    def _is_in_runs(self) -> bool:
        """Whether nothing is done to the system: the fault is in some of the runs."""
        return self.fault.strike is nothing

    @staticmethod
    def _late_by(item: Question) -> float:
        due = item.asked_at + item.total_seconds
        if item.app_away_until:
            due = max(due, item.app_away_until + APP_BACK_SECONDS)
        return (time.monotonic() if item.answered_at is None else item.answered_at) - due

    def _judge_stored(self, raw: redis.Redis, item: Question, figures: Figures) -> None:
        """One terminal event; what the sources had answered by then is in the answer; no secret."""
        values, stored = everything_of(raw, self.keys, item.run_id)
        kinds = [fields["type"] for _, fields in stored]
        ends = [place for place, kind in enumerate(kinds) if kind in TERMINAL]
        if len(ends) > 1:
            figures.twice += 1
            figures.broken.append(f"{item.run_id}: {len(ends)} terminal events")
        if ends and item.outcome in ("complete", "partial", "failed"):
            told = [fields["data"] for _, fields in stored[: ends[0]] if fields["type"] == "source_finished"]
            each = (
                part | {"source": data["source"]} for data in map(json.loads, told) for part in data.get("jobs", [data])
            )
            answered = {
                f"{part['source']}|{part['job'] or ''}" for part in each if part["outcome"] in ("ok", "no_data")
            }
            if not self.fault.promise.loses_answers and (lost := answered - set(item.available)):
                figures.lost += len(lost)
                figures.broken.append(f"{item.reader} {item.run_id}: answers of {sorted(lost)} are lost")
        texts = [*values.values(), *(text for _, fields in stored for text in fields.values())]
        if any(self._secret in text for text in texts):
            figures.broken.append(f"{item.run_id}: a secret is stored")

    def _processes_and_logs(self, log_sizes: dict[Process, int], died: list[Process]) -> Iterator[str]:
        for process in self.stack.died():
            if process not in died and process.name.partition("-")[0] not in self.fault.promise.ends:
                yield f"{process.name} ended with status {process.popen.returncode}"
        tracebacks = 0
        for process in self.stack.fleet.processes:
            with process.log.open("rb") as log:
                log.seek(log_sizes.get(process, 0))
                text = log.read()
            tracebacks += text.count(b"Traceback (most recent call last)") - sum(map(text.count, CHAINED))
            if self._secret.encode() in text:
                yield f"a secret is in the log of {process.name}"
            if len(text) > MAX_LOG_BYTES:
                yield f"{process.name} logged {len(text):,} bytes"
        if tracebacks > self.fault.promise.tracebacks:
            yield f"{tracebacks} tracebacks in the logs"


def limits(total_seconds: float) -> ParallelConfig:
    """Limits of a run that takes so long at most."""
    return ParallelConfig(
        node_timeout_seconds=0.35 * total_seconds,
        total_timeout_seconds=total_seconds,
        synthesis_reserve_seconds=0.4 * total_seconds,
    )


def is_whole(readers: Readers) -> bool:
    """Whether a question is answered in full, by the workers and with the model."""
    request = TroubleshootRequest(message=stub_message({}), jobs=("BATCH001",), intent="troubleshoot", config=limits(4))
    report = readers.client.result(readers.client.submit(request))
    by = report.committed_by.partition(":")[0]
    return (report.outcome, by, report.metadata.get("llm")) == (RunOutcome.COMPLETE, "synthesis", {"model": "stub"})


def warm_up(stack: Stack) -> None:
    """Ask until eight whole answers come side by side: the first run of a process also builds its clients."""
    readers = Readers(stack.fleet.settings, stack.web_url)

    def is_one_whole(_: int) -> bool:
        with suppress(TroubleshootError):
            return is_whole(readers)
        return False

    try:
        with ThreadPoolExecutor(8) as threads:
            wait_until(lambda: all(threads.map(is_one_whole, range(8))), what="whole answers")
    finally:
        readers.close()
