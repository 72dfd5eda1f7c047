"""How rankings are fused: by place, with the question's codes above all."""

from __future__ import annotations

from workers.knowledge.ranking.ranking import fuse_rankings


def test_what_has_the_code_stands_above_what_both_other_rankings_have_first() -> None:
    """A passage that names the code comes first, however much nearer another one is by words and by meaning."""
    scores = fuse_rankings({"near": 9.0, "coded": 2.0}, {"near": 0.9}, {"coded": 1.0})
    assert scores["coded"] > scores["near"]


def test_what_both_words_and_vectors_find_stands_above_what_one_has_first() -> None:
    """Two second places outweigh one first place, and the best of all has score 1."""
    scores = fuse_rankings({"words": 9.0, "both": 8.0}, {"meaning": 0.9, "both": 0.8}, {})
    assert scores["both"] > scores["words"] > scores["meaning"]
    assert fuse_rankings({"best": 1.0}, {"best": 0.5}, {"best": 2.0}) == {"best": 1.0}
