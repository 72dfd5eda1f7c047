"""A prompt's token budget: shared fairly between sources, spent on the lines of a log that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CHARS_PER_TOKEN = 3
"""Low on purpose: Portuguese and job logs cost more tokens a character than English prose (about four)."""
MAX_LINE_CHARS = 400
_AROUND_MATCH = 2
_GAP = "[...]"
_TROUBLE = re.compile(r"ERROR|ABEND|EXCEPTION|FATAL|FAIL|SEVERE|KILLED|AW[SK][A-Z]{2,3}\d{3,4}E", re.IGNORECASE)


def estimate_tokens(text: str) -> int:
    """Tokens that ``text`` costs at most, by its length; no tokenizer fits every model behind the endpoint."""
    return -(-len(text) // CHARS_PER_TOKEN)


def fair_shares(needs: Sequence[int], total: int) -> list[int]:
    """Max-min fair shares of ``total``: nobody gets more than it needs, what the small leave goes to the large."""
    shares = [0] * len(needs)
    left, open_ = max(0, total), [index for index, need in enumerate(needs) if need > 0]
    while open_ and left > 0:
        level = left // len(open_)
        modest = [index for index in open_ if needs[index] - shares[index] <= level]
        if not modest:
            for index in open_:
                shares[index] += level
            left -= level * len(open_)
            for index in open_[:left]:
                shares[index] += 1
            break
        for index in modest:
            left -= needs[index] - shares[index]
            shares[index] = needs[index]
        open_ = [index for index in open_ if index not in modest]
    return shares


def window_text(text: str, max_tokens: int, codes: Iterable[str] = ()) -> str:
    """``text`` within ``max_tokens``: lines around codes and errors first, then its tail and head.

    Gaps are marked and the last line says "N of M lines". Nothing of a fitting text is changed.
    """
    if estimate_tokens(text) <= max_tokens:
        return text
    lines = [_short(line) for line in text.splitlines()]
    note_tokens = estimate_tokens(f"[{len(lines)} of {len(lines)} lines]") + 2
    left = max_tokens - note_tokens
    kept: set[int] = set()
    for index in _by_weight(lines, [code for code in codes if code]):
        # Each kept line may cost one gap mark, so what is kept always fits.
        cost = estimate_tokens(f"{lines[index]}\n{_GAP}\n")
        if cost <= left:
            kept.add(index)
            left -= cost
    out: list[str] = []
    previous = -1
    for index in sorted(kept):
        if index != previous + 1:
            out.append(_GAP)
        out.append(lines[index])
        previous = index
    if kept and previous != len(lines) - 1:
        out.append(_GAP)
    out.append(f"[{len(kept)} of {len(lines)} lines]")
    return "\n".join(out)


def _short(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}[+{len(line) - MAX_LINE_CHARS} chars]"


def _by_weight(lines: Sequence[str], codes: Sequence[str]) -> Iterable[int]:
    """Line numbers, the most telling first, each once."""
    with_code = [index for index, line in enumerate(lines) if any(code in line for code in codes)]
    with_trouble = [index for index, line in enumerate(lines) if _TROUBLE.search(line)]
    around = [
        index + step
        for index in (*with_code, *with_trouble)
        for distance in range(1, _AROUND_MATCH + 1)
        for step in (-distance, distance)
    ]
    size = len(lines)
    ends = [index for pair in zip(range(size - 1, -1, -1), range(size), strict=True) for index in pair]
    order = dict.fromkeys((*with_code, *with_trouble, *around, *ends))
    return [index for index in order if 0 <= index < size]
