"""Prometheus text (exposition format) from one endpoint, such as the Resync app's ``/metrics``.

It holds current values only, so there are no trends and no comparisons.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.payloads import host_of
from workers.sources.metrics.series import Series

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_LINE = 8_192
"""Characters of a line; the parser takes quadratic time in the number of labels."""
MAX_SAMPLES = 5_000
"""Samples read of the requested names."""
_NAME = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?=[{\s])")
# Read-only images and memory file systems are full or empty by design.
_PSEUDO_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "squashfs", "overlay", "devtmpfs", "iso9660", "proc", "sysfs"})


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a series and its labels."""

    value: float
    labels: dict[str, str] = field(default_factory=dict)
    metric: str = ""


class NotExposition(ValueError):
    """The body is not Prometheus text."""


@dataclass(slots=True)
class ExpositionText:
    """The samples of the requested names, by name."""

    samples: dict[str, list[Reading]]
    unreadable_lines: int = 0
    unread_samples: int = 0
    """Samples of requested names beyond MAX_SAMPLES."""

    def read(self, series: Series, workstations: Iterable[str] = ()) -> Reading | None:
        """The worst value of the series, of the named workstations if labels name them; None if there is none."""
        readings = self._readings(series)
        hosts = {name.lower() for name in workstations}
        named = [reading for reading in readings if host_of(reading.labels).lower() in hosts]
        worst = max if series.bad == "high" else min
        return worst(named or readings, key=lambda reading: reading.value, default=None)

    def _readings(self, series: Series) -> list[Reading]:
        for name in series.text_names:
            readings = self.samples.get(name)
            if readings:
                return [_scaled(series, reading) for reading in readings]
        if series.available_of_total is None:
            return []
        available, total = series.available_of_total
        sizes = {_key(reading.labels): reading.value for reading in self.samples.get(total, ())}
        return [
            Reading(1 - reading.value / size, reading.labels, total)
            for reading in self.samples.get(available, ())
            if (size := sizes.get(_key(reading.labels), 0)) > 0
            and reading.labels.get("fstype", "") not in _PSEUDO_FILE_SYSTEMS
        ]


def parse_exposition(body: str, series: Iterable[Series]) -> ExpositionText:
    """Parse the samples of the requested series; NaN and infinite values are skipped.

    Only lines of requested names are parsed: an endpoint may expose tens of thousands, and the event loop is shared.
    Raises NotExposition when no line looks like a comment or a sample.
    """
    names = {name for item in series for name in (*item.text_names, *(item.available_of_total or ()))}
    text = ExpositionText(samples={})
    read = 0
    looks_right = not body.strip()
    for line in body.splitlines():
        if line.startswith("#"):
            looks_right = looks_right or line.startswith(("# HELP", "# TYPE"))
            continue
        match = _NAME.match(line)
        if match is None:
            continue
        if match[1] not in names:
            looks_right = looks_right or _is_number(line.rsplit(maxsplit=1)[-1])
            continue
        if read >= MAX_SAMPLES:
            text.unread_samples += 1
            continue
        read += 1
        if len(line) > MAX_LINE:
            text.unreadable_lines += 1
            continue
        try:
            samples = [item for family in text_string_to_metric_families(line + "\n") for item in family.samples]
        except (ValueError, IndexError):
            text.unreadable_lines += 1
            continue
        looks_right = True
        for sample in samples:
            if math.isfinite(sample.value):
                reading = Reading(float(sample.value), dict(sample.labels), match[1])
                text.samples.setdefault(match[1], []).append(reading)
    if not looks_right:
        raise NotExposition
    return text


def _scaled(series: Series, reading: Reading) -> Reading:
    # A ratio above 1 must be in per cent, whatever its name.
    is_percent = series.unit == "ratio" and (reading.metric.endswith("_percent") or reading.value > 1)
    return Reading(reading.value / 100, reading.labels, reading.metric) if is_percent else reading


def _key(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
