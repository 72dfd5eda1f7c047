"""The Prometheus HTTP API: current values, and a short range compared with the same hours of the day before.

Instant queries come first and carry the server's clock; ranges are queried relative to it, and only for series that
exist. Formats (Prometheus documentation, "HTTP API"): a vector is ``[time, "value"]`` per label set, a matrix a list of
them.
"""

import asyncio
import json
import math
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Text
from orchestrator.redaction.redact import redact_start
from workers.sources.metrics.http import MetricsHttp

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes of one response: some 10,000 label sets, all of which are read, since the worst one may be the last."""
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last time that Python can hold."""
DAY_SECONDS = 86_400
_POINTS = 60
_TREND_CHANGE = 0.1
_MIN_TREND_POINTS = 6
# Errors of one query; any other reason concerns the server.
_QUERY_REASONS = frozenset({"bad_query", "too_large"})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sample:
    """A value with its labels at the server's time (epoch seconds)."""

    at: float
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RangeSummary:
    """Key figures of a range."""

    minimum: float
    mean: float
    maximum: float
    trend: Literal["rising", "falling", "flat", ""] = ""
    """Last third compared with the first; a change is at least a tenth of the larger one."""
    anomaly_ratio: float | None = None
    """Mean of the range over the mean of the same hours a day earlier."""


@dataclass(slots=True)
class Answer:
    """The result of one query."""

    samples: list[Sample] = field(default_factory=list)
    problem: Text | str = ""
    """Why there is no answer; empty if there is one, even without samples."""
    is_late: bool = False


class PrometheusClient:
    """Runs queries concurrently over one connection pool."""

    def __init__(self, http: MetricsHttp) -> None:
        self._http = http

    async def instant(
        self, queries: Sequence[str], *, timeout_seconds: float, at: datetime | None = None
    ) -> list[Answer]:
        """The values of each query ``at`` that time, else now, in order; one without an answer in time is ``is_late``.

        Raises SourceError when the server cannot be queried, or answers nothing in time.
        """

        time = {"time": f"{at.timestamp():.3f}"} if at is not None else {}

        async def ask(query: str) -> Answer:
            try:
                result = await self._ask("/api/v1/query", {"query": query, **time}, timeout_seconds)
            except SourceError as error:
                if error.reason == "timeout":
                    return Answer(is_late=True)
                if error.reason in _QUERY_REASONS:
                    return Answer(problem=error.message)
                raise
            return Answer(samples=[sample for item in result if (sample := _instant_sample(item)) is not None])

        answers = await _all([ask(query) for query in queries], timeout_seconds, head_start_seconds=timeout_seconds / 4)
        if queries and all(answer is None or answer.is_late for answer in answers):
            raise self._http.late(timeout_seconds)
        return [answer or Answer(is_late=True) for answer in answers]

    async def summaries(
        self, samples: Sequence[tuple[str, Sample]], *, range_seconds: int, timeout_seconds: float
    ) -> list[RangeSummary | None]:
        """Summaries of the range before each sample; None where there is none, or none in time.

        Best effort, so nothing is raised: the values themselves are known already.
        """
        deadline = Deadline.after(timeout_seconds)

        async def ask(query: str, sample: Sample) -> RangeSummary | None:
            try:
                now, before = await asyncio.gather(
                    self._points(query, sample, 0, range_seconds, deadline),
                    self._points(query, sample, DAY_SECONDS, range_seconds, deadline),
                )
            except SourceError:
                return None
            return summarise(now, before)

        return await _all([ask(query, sample) for query, sample in samples], timeout_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _points(
        self, query: str, sample: Sample, shift: int, range_seconds: int, deadline: Deadline
    ) -> list[float]:
        end = sample.at - shift
        parameters = {
            "query": query,
            "start": f"{end - range_seconds:.3f}",
            "end": f"{end:.3f}",
            "step": str(max(15, range_seconds // _POINTS)),
        }
        for item in await self._ask("/api/v1/query_range", parameters, deadline.remaining()):
            if _labels(item) == sample.labels:
                values = item.get("values")
                pairs = values if isinstance(values, list) else []
                return [value for pair in pairs if (value := _value(pair)) is not None]
        return []

    async def _ask(self, path: str, parameters: Mapping[str, str], timeout_seconds: float) -> list[dict[str, Any]]:
        body = await self._http.get(
            path, parameters, timeout_seconds=max(0.01, timeout_seconds), max_bytes=MAX_BODY_BYTES
        )
        if body.is_cut:
            raise SourceError("an answer is larger than {limit} bytes", limit=MAX_BODY_BYTES, reason="too_large")
        try:
            answer = json.loads(body.text)
        except (ValueError, RecursionError):
            raise SourceError("{url} did not answer in JSON", url=self._http.shown_url, reason="bad_format") from None
        if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
            raise self._not_the_api()
        if answer["status"] == "error":
            raise SourceError(redact_start(str(answer.get("error", "")), 300)[0], reason="bad_query")
        data = answer.get("data")
        result = data.get("result") if isinstance(data, dict) else None
        if not isinstance(result, list):
            raise self._not_the_api()
        if isinstance(data, dict) and data.get("resultType") == "scalar":
            return [{"metric": {}, "value": result}]
        return [item for item in result if isinstance(item, dict)]

    def _not_the_api(self) -> SourceError:
        return SourceError("{url} is not a Prometheus HTTP API", url=self._http.shown_url, reason="bad_format")


def summarise(points: Sequence[float], day_before: Sequence[float]) -> RangeSummary | None:
    """Key figures of a range; None without points."""
    if not points:
        return None
    mean = sum(points) / len(points)
    usual = sum(day_before) / len(day_before) if day_before else 0.0
    return RangeSummary(
        minimum=min(points),
        mean=mean,
        maximum=max(points),
        trend=_trend(points),
        anomaly_ratio=round(mean / usual, 2) if usual > 0 else None,
    )


def _trend(points: Sequence[float]) -> Literal["rising", "falling", "flat", ""]:
    if len(points) < _MIN_TREND_POINTS:
        return ""
    third = len(points) // 3
    first, last = sum(points[:third]) / third, sum(points[-third:]) / third
    change = last - first
    if abs(change) <= _TREND_CHANGE * max(abs(first), abs(last)):
        return "flat"
    return "rising" if change > 0 else "falling"


def _instant_sample(item: Mapping[str, Any]) -> Sample | None:
    value = _value(item.get("value"))
    if value is None:
        return None
    return Sample(at=float(item["value"][0]), value=value, labels=_labels(item))


def _labels(item: Mapping[str, Any]) -> dict[str, str]:
    metric = item.get("metric")
    return {str(name): str(value) for name, value in metric.items()} if isinstance(metric, dict) else {}


def _value(pair: object) -> float | None:
    """The value of ``[time, "value"]``; None for NaN, infinities and impossible times."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], int | float):
        return None
    if not 0 <= pair[0] <= _LAST_SECOND:  # false for NaN too
        return None
    try:
        value = float(pair[1])
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


async def _all(
    work: Sequence[Coroutine[Any, Any, _T]], timeout_seconds: float, *, head_start_seconds: float = 0.0
) -> list[_T | None]:
    """Run concurrently; None for what is not done in time. The first exception, and cancellation, ends the rest.

    With a head start the first coroutine runs alone for so long: an unreachable server then fails once, instead of with
    every connection half open.
    """
    deadline = Deadline.after(timeout_seconds)
    tasks: list[asyncio.Task[_T]] = []
    waiting = list(reversed(work))
    try:
        if waiting and head_start_seconds:
            tasks.append(asyncio.ensure_future(waiting.pop()))
            await asyncio.wait(tasks, timeout=head_start_seconds)
            if tasks[0].done():
                tasks[0].result()
        while waiting:
            tasks.append(asyncio.ensure_future(waiting.pop()))
        if not tasks:
            return []
        done, _ = await asyncio.wait(tasks, timeout=deadline.remaining(), return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() if task in done else None for task in tasks]
    finally:
        for coroutine in waiting:
            coroutine.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
