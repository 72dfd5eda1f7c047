"""The token budget of a prompt: fair shares, and excerpts of long texts."""

import re
from collections.abc import Iterable, Sequence

from orchestrator.joblog.reader import read_log

CHARS_PER_TOKEN = 3
"""Lower than for English prose (about four): Portuguese and job logs need more tokens per character."""
MAX_LINE_CHARS = 400
_AROUND_MATCH = 2
_GAP = "[...]"
_NUMBER = re.compile(r"^ {0,7}\d{1,7}  ")


def estimate_tokens(text: str) -> int:
    """Upper estimate of the tokens of ``text``, by its length: the model's tokenizer is unknown."""
    return -(-len(text) // CHARS_PER_TOKEN)


def fair_shares(needs: Sequence[int], total: int) -> list[int]:
    """Max-min fair shares of ``total``; no share exceeds its need."""
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
    """An excerpt of ``text`` within ``max_tokens``: lines around codes and errors first, then tail and head.

    Gaps are marked, and the last line is "[N of M lines]". A text that fits stays unchanged.
    """
    if estimate_tokens(text) <= max_tokens:
        return text
    lines = [_short(line) for line in text.splitlines()]
    note_tokens = estimate_tokens(f"[{len(lines)} of {len(lines)} lines]") + 2
    left = max_tokens - note_tokens
    selected: set[int] = set()
    for index in _by_weight(lines, [code for code in codes if code]):
        # Each selected line may need one gap mark, so the excerpt always fits.
        cost = estimate_tokens(f"{lines[index]}\n{_GAP}\n")
        if cost <= left:
            selected.add(index)
            left -= cost
    out: list[str] = []
    previous = -1
    for index in sorted(selected):
        if index != previous + 1:
            out.append(_GAP)
        out.append(lines[index])
        previous = index
    if selected and previous != len(lines) - 1:
        out.append(_GAP)
    out.append(f"[{len(selected)} of {len(lines)} lines]")
    return "\n".join(out)


def _short(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}[+{len(line) - MAX_LINE_CHARS} chars]"


def _by_weight(lines: Sequence[str], codes: Sequence[str]) -> Iterable[int]:
    """Line numbers, the most important first, each once."""
    with_code = [index for index, line in enumerate(lines) if any(code in line for code in codes)]
    # The excerpt of a job log has line numbers in front.
    with_trouble = read_log([_NUMBER.sub("", line) for line in lines]).errors
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
