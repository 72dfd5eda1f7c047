"""How a source divides its time: its client gives up first, so that the outcome names the counterpart."""

from __future__ import annotations


def call_limit_seconds(limit_seconds: float) -> float:
    """Seconds for the calls of a fetch that may take ``limit_seconds``: a tenth less, at least 50 ms, at most 0.5 s."""
    return max(0.05, limit_seconds - max(0.05, min(0.5, 0.1 * limit_seconds)))
