"""A prompt's budget is shared fairly and spent on the lines that matter."""

from __future__ import annotations

import random

from workers.synthesis.budget import estimate_tokens, fair_shares, window_text


def test_small_needs_are_met_and_large_ones_share_the_rest() -> None:
    """Nobody gets more than it needs, and what the small leave goes to the large, evenly."""
    assert fair_shares([10, 100, 100], 110) == [10, 50, 50]
    assert fair_shares([10, 20], 100) == [10, 20]
    assert fair_shares([5, 5, 5], 7) == [3, 2, 2]
    assert fair_shares([], 10) == []
    assert fair_shares([0, 7], 0) == [0, 0]
    assert fair_shares([4, 4], -3) == [0, 0]


def test_shares_are_max_min_fair() -> None:
    """Shares never exceed need or total, use all that is wanted, and no smaller share could have grown."""
    rng = random.Random(3)
    for _ in range(500):
        needs = [rng.randint(0, 60) for _ in range(rng.randint(1, 9))]
        total = rng.randint(0, 250)
        shares = fair_shares(needs, total)
        assert sum(shares) == min(total, sum(needs))
        assert all(share <= need for share, need in zip(shares, needs, strict=True))
        top = max(shares)
        assert all(share == need or share >= top - 1 for share, need in zip(shares, needs, strict=True))


def _log() -> list[str]:
    lines = [f"{number:04d} linha comum do processamento em lote" for number in range(1, 501)]
    lines[249] = "0250 IEF450I BATCH001 STEP030 - ABEND=S0C7"
    lines[99] = "0100 ERROR arquivo vazio"
    return lines


def test_a_text_that_fits_is_untouched() -> None:
    """No note and no gap when nothing had to go."""
    assert window_text("a\nb", 100) == "a\nb"


def test_a_long_log_keeps_code_head_and_tail_within_the_budget() -> None:
    """Lines around codes and errors, the tail and the head stay; the cut is stated; the budget holds."""
    text = "\n".join(_log())
    for tokens in (60, 120, 300, 1_000, 3_000):
        out = window_text(text, tokens, ["S0C7"])
        assert estimate_tokens(out) <= tokens
        assert "ABEND=S0C7" in out
        kept = [line for line in out.splitlines() if not line.startswith("[")]
        assert out.splitlines()[-1] == f"[{len(kept)} of 500 lines]"
        assert kept == [line for line in _log() if line in set(kept)]
    out = window_text(text, 600, ["S0C7"])
    assert "0100 ERROR" in out
    assert "0249" in out
    assert "0251" in out
    assert "0500" in out
    assert "0001" in out


def test_one_endless_line_is_cut_and_said() -> None:
    """A line of 100,000 characters keeps its beginning and says how much went."""
    out = window_text("x" * 100_000, 300)
    assert estimate_tokens(out) <= 300
    assert "[+99600 chars]" in out
