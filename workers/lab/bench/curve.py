"""The curve of ``bench --scale`` as SVG: both axes by powers of two, so that what doubles is a straight line."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from orchestrator.i18n.message import Message, Text

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 60, 90
_STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .grid { stroke: #d0d7de }
  .ideal { stroke: #57606a; stroke-dasharray: 6 5; fill: none; stroke-width: 2 }
  .measured { stroke: #0969da; fill: none; stroke-width: 3 }
  .point { fill: #0969da }
"""
_Point = tuple[float, float]


def curve_svg(figures: Mapping[str, Any], write: Callable[[Text | str], str]) -> str:
    """The picture of the figures of ``run_scale``; ``write`` gives a text in the reader's language."""
    levels: Sequence[Mapping[str, Any]] = figures["scale"]
    source = figures["source"]
    rates = [float(level[name]) for level in levels for name in ("runs_per_s", "source_per_s")]
    low, high = math.floor(math.log2(min(rates))), math.ceil(math.log2(max(rates)))
    last = math.log2(levels[-1]["workers"])

    def place(workers: float, rate: float) -> _Point:
        across = math.log2(workers) / max(1.0, last)
        up = (math.log2(rate) - low) / max(1, high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(kind: str, name: str) -> str:
        points = (place(level["workers"], level[name]) for level in levels)
        return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'

    def text(x: float, y: float, words: Text | str, more: str = "") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(write(words))}</text>'

    title = Message(
        "Runs a second by workers of {source} ({seconds:g} s a task, {places} at once)",
        source=source["name"],
        seconds=source["seconds"],
        places=source["places_per_worker"],
    )
    parts = [text(LEFT, 30, title, 'class="title"')]
    for power in range(low, high + 1):
        x, y = place(1, 2.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(text(x - 10, y + 5, Message("{number:g}", number=2.0**power), 'text-anchor="end"'))
    for level in levels:
        x, _ = place(level["workers"], 2.0**low)
        parts.append(text(x, HEIGHT - BOTTOM + 22, str(level["workers"]), 'text-anchor="middle"'))
    parts += [line("ideal", "source_per_s"), line("measured", "runs_per_s")]
    for level in levels:
        x, y = place(level["workers"], level["runs_per_s"])
        parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(text(x, y + 24, Message("{number:.1f}", number=level["runs_per_s"]), 'text-anchor="middle"'))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 42, Message("workers"), 'text-anchor="middle"'))
    parts.append(f'<line class="measured" x1="{LEFT}" y1="{HEIGHT - 20}" x2="{LEFT + 30}" y2="{HEIGHT - 20}"/>')
    parts.append(text(LEFT + 38, HEIGHT - 15, Message("measured")))
    parts.append(f'<line class="ideal" x1="{LEFT + 150}" y1="{HEIGHT - 20}" x2="{LEFT + 180}" y2="{HEIGHT - 20}"/>')
    parts.append(text(LEFT + 188, HEIGHT - 15, Message("what {source} can do", source=source["name"])))
    parts.append(text(WIDTH - RIGHT, HEIGHT - BOTTOM - 12, limit_text(figures), 'text-anchor="end"'))
    body = "\n".join(f"  {part}" for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{escape(write(title))}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def limit_text(figures: Mapping[str, Any]) -> Message:
    """What kept the last doubling from being one."""
    limit = figures["limit"]
    if limit is None:
        return Message(
            "no other limit was reached with {count} worker",
            plural="no other limit was reached with {count} workers",
            count=figures["scale"][-1]["workers"],
        )
    facts = {name: value for name, value in limit.items() if name != "reason"}
    facts |= {f"{name}_percent": round(100 * limit[name]) for name in ("busy", "others") if name in limit}
    return _LIMITS[limit["reason"]].with_facts(**facts)


_LIMITS = {
    "processors": Message(
        "limit: the processors of this machine, {busy_percent}% busy ({others_percent}% by other processes)"
    ),
    "process": Message("limit: the process {name}, whose threads share one processor, {busy_percent}% busy"),
    "queue": Message("limit: the queue {name}, in which messages wait ({waiting:g} on average)"),
    "unknown": Message("limit: not found; neither a processor nor a queue is full"),
}
