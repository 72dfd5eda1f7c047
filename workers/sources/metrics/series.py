"""The series of interest: what each is called where, in which unit, and when its value is a concern.

One table for both backends. ``docs/metrics.md`` is its documentation; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.i18n.languages import Language


@dataclass(frozen=True, slots=True)
class Series:
    """One figure. ``limit`` is in ``unit``; a value beyond it (``bad``: above or below) is a concern, None never."""

    name: str
    unit: Literal["ratio", "count", "seconds"]
    bad: Literal["high", "low"]
    limit: float | None
    label: dict[Language, str]
    text_names: tuple[str, ...] = ()
    """Names in an exposition text, first match wins; a name ending in ``_percent`` is divided by 100."""
    available_of_total: tuple[str, str] | None = None
    """Two gauges, free and total: the ratio in use is computed when no single name is there."""

    def is_beyond(self, value: float) -> bool:
        """Whether the value is a concern."""
        if self.limit is None:
            return False
        return value > self.limit if self.bad == "high" else value < self.limit

    def concern(self, value: float, language: Language) -> str:
        """Why the value is a concern, in the user's language, or an empty string."""
        if self.limit is None or not self.is_beyond(value):
            return ""
        words = _ABOVE if self.bad == "high" else _BELOW
        return words[language].format(
            label=self.label[language], value=self.format(value, language), limit=self.format(self.limit, language)
        )

    def format(self, value: float, language: Language) -> str:
        """The value with its unit and the language's decimal mark, as an operator reads it."""
        if self.unit == "ratio":
            text = f"{value * 100:.3g}%"
        else:
            text = f"{value:.3g} s" if self.unit == "seconds" else f"{value:.6g}"
        return text if language is Language.EN else text.replace(".", ",")


_ABOVE = {
    Language.PT_BR: "{label} em {value}, acima de {limit}",
    Language.EN: "{label} at {value}, above {limit}",
    Language.ES: "{label} en {value}, por encima de {limit}",
}
_BELOW = {
    Language.PT_BR: "{label} em {value}, abaixo de {limit}",
    Language.EN: "{label} at {value}, below {limit}",
    Language.ES: "{label} en {value}, por debajo de {limit}",
}


def _label(pt: str, en: str, es: str) -> dict[Language, str]:
    return {Language.PT_BR: pt, Language.EN: en, Language.ES: es}


def _names(*tails: str) -> tuple[str, ...]:
    return tuple(prefix + tail for tail in tails for prefix in ("resync_", "", "app_"))


DEFAULT_SERIES: tuple[Series, ...] = (
    Series(
        name="api_error_rate",
        unit="ratio",
        bad="high",
        limit=0.05,
        label=_label("taxa de erro da aplicação", "application error rate", "tasa de error de la aplicación"),
        text_names=_names("slo_api_error_rate", "api_error_rate", "error_rate"),
    ),
    Series(
        name="tws_connection_success_rate",
        unit="ratio",
        bad="low",
        limit=0.95,
        label=_label("sucesso das conexões ao TWS", "TWS connection success", "éxito de las conexiones al TWS"),
        text_names=_names("slo_tws_connection_success_rate", "tws_connection_success_rate"),
    ),
    Series(
        name="api_response_time_p95",
        unit="seconds",
        bad="high",
        limit=2.0,
        label=_label("tempo de resposta p95 da aplicação", "application response time p95", "tiempo de respuesta p95"),
        text_names=_names("slo_api_response_time_p95_seconds", "slo_api_response_time_p95", "api_response_time_p95"),
    ),
    Series(
        name="cache_hit_rate",
        unit="ratio",
        bad="low",
        limit=0.5,
        label=_label("acertos do cache", "cache hit rate", "aciertos de la caché"),
        text_names=_names("cache_hit_rate", "cache_hit_ratio"),
    ),
    Series(
        name="queue_depth",
        unit="count",
        bad="high",
        limit=100,
        label=_label("fila mais longa", "longest queue", "cola más larga"),
        text_names=(*_names("queue_depth", "queue_length"), "resync_troubleshoot_queue_depth", "celery_queue_length"),
    ),
    Series(
        name="host_cpu",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=_label("CPU do servidor", "host CPU", "CPU del servidor"),
        text_names=_names("host_cpu_ratio", "host_cpu_percent", "system_cpu_percent", "cpu_usage_percent"),
    ),
    Series(
        name="host_memory",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=_label("memória do servidor", "host memory", "memoria del servidor"),
        text_names=_names("host_memory_ratio", "host_memory_percent", "system_memory_percent", "memory_usage_percent"),
        available_of_total=("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"),
    ),
    Series(
        name="host_disk",
        unit="ratio",
        bad="high",
        limit=0.9,
        label=_label("disco do servidor", "host disk", "disco del servidor"),
        text_names=_names("host_disk_ratio", "host_disk_percent", "system_disk_percent", "disk_usage_percent"),
        available_of_total=("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    ),
)
