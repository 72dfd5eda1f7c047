"""The measured series: name, unit, limit, and names in an exposition text. One table for both backends.

A test keeps ``docs/metrics.md`` in step with it.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.i18n.message import Message, Text


@dataclass(frozen=True, slots=True)
class Series:
    """One series.

    ``limit`` is in ``unit``; a value beyond it (above or below, by ``bad``) is a concern. None: no limit.
    """

    name: str
    unit: Literal["ratio", "count", "seconds"]
    bad: Literal["high", "low"]
    limit: float | None
    label: Text
    text_names: tuple[str, ...] = ()
    """Names in an exposition text, first match wins; a name ending in ``_percent`` is divided by 100."""
    available_of_total: tuple[str, str] | None = None
    """Gauges for free and total, from which the ratio in use is computed when none of ``text_names`` is there."""

    def is_beyond(self, value: float) -> bool:
        """Whether the value is beyond the limit."""
        if self.limit is None:
            return False
        return value > self.limit if self.bad == "high" else value < self.limit

    def concern(self, value: float) -> Message | None:
        """Why the value is a concern; None if it is not."""
        if self.limit is None or not self.is_beyond(value):
            return None
        return Message(
            "{label} at {value}, above {limit}" if self.bad == "high" else "{label} at {value}, below {limit}",
            label=self.label,
            value=self.shown(value),
            limit=self.shown(self.limit),
        )

    def shown(self, value: float) -> Message:
        """The value with its unit, for people."""
        template = {"ratio": "{value:.3g}%", "seconds": "{value:.3g} s"}.get(self.unit, "{value:.6g}")
        return Message(template, value=value * 100.0 if self.unit == "ratio" else float(value))


def _names(*tails: str) -> tuple[str, ...]:
    return tuple(prefix + tail for tail in tails for prefix in ("resync_", "", "app_"))


DEFAULT_SERIES: tuple[Series, ...] = (
    Series(
        name="api_error_rate",
        unit="ratio",
        bad="high",
        limit=0.05,
        label=Message("application error rate"),
        text_names=_names("slo_api_error_rate", "api_error_rate", "error_rate"),
    ),
    Series(
        name="tws_connection_success_rate",
        unit="ratio",
        bad="low",
        limit=0.95,
        label=Message("TWS connection success"),
        text_names=_names("slo_tws_connection_success_rate", "tws_connection_success_rate"),
    ),
    Series(
        name="api_response_time_p95",
        unit="seconds",
        bad="high",
        limit=2.0,
        label=Message("application response time p95"),
        text_names=_names("slo_api_response_time_p95_seconds", "slo_api_response_time_p95", "api_response_time_p95"),
    ),
    Series(
        name="cache_hit_rate",
        unit="ratio",
        bad="low",
        limit=0.5,
        label=Message("cache hit rate"),
        text_names=_names("cache_hit_rate", "cache_hit_ratio"),
    ),
    Series(
        name="queue_depth",
        unit="count",
        bad="high",
        limit=100,
        label=Message("longest queue"),
        text_names=(*_names("queue_depth", "queue_length"), "resync_troubleshoot_queue_depth", "celery_queue_length"),
    ),
    Series(
        name="host_cpu",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=Message("host CPU"),
        text_names=_names("host_cpu_ratio", "host_cpu_percent", "system_cpu_percent", "cpu_usage_percent"),
    ),
    Series(
        name="host_memory",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=Message("host memory"),
        text_names=_names("host_memory_ratio", "host_memory_percent", "system_memory_percent", "memory_usage_percent"),
        available_of_total=("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"),
    ),
    Series(
        name="host_disk",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=Message("host disk"),
        text_names=_names("host_disk_ratio", "host_disk_percent", "system_disk_percent", "disk_usage_percent"),
        available_of_total=("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    ),
)
