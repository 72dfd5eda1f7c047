"""Learn the weights of the router's intent model from the labelled questions, and print how well it does.

    scripts/train_router.py            print the cross-validation and write orchestrator/routing/data/intent_model.json
    scripts/train_router.py --check    print the cross-validation only

Questions marked ``held_out`` are never learnt from: they measure what the shipped model makes of new ones. The
cross-validation leaves a sixth of the others out at a time. Run it after every change of
``tests/data/utterances.json`` or ``orchestrator/routing/data/intent_words.json``; a test compares the fingerprints.
Needs numpy (a development dependency).
"""

# ruff: noqa: T201  # figures are printed
from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.routing.intent import INTENTS, Features, IntentModel, features_of, fingerprint
from orchestrator.routing.registry import CERTAIN_ENOUGH
from orchestrator.routing.router import entities_of

ROOT = Path(__file__).parent.parent
UTTERANCES = ROOT / "tests" / "data" / "utterances.json"
MODEL = ROOT / "orchestrator" / "routing" / "data" / "intent_model.json"

SEEN_BEFORE_LEARNT = 2
"""Triples, pairs and pieces of words that occur in a single question are noise and bulk."""
STRENGTH, STEPS, RATE, FOLDS = 1.0, 200, 0.05, 6


def main() -> None:
    """Cross-validate, train on everything that is not held out, write the model."""
    rows: list[dict[str, Any]] = json.loads(UTTERANCES.read_text(encoding="utf-8"))
    learnt = [row for row in rows if not row.get("held_out")]
    examples = [(features_of(row["text"], entities_of(row["text"])), row["intent"]) for row in learnt]
    order = list(range(len(examples)))
    random.Random(3).shuffle(order)
    wrong = certain = narrowed = 0
    for fold in range(FOLDS):
        left_out = order[fold::FOLDS]
        rest = set(order) - set(left_out)
        model = IntentModel(weights=learn([examples[index] for index in sorted(rest)]), trained_on="")
        for index in left_out:
            features, intent = examples[index]
            guess = model.guess(features)
            is_certain = guess is not None and guess.probability >= CERTAIN_ENOUGH
            certain += is_certain
            if guess is None or guess.intent.value != intent:
                wrong += 1
                narrowed += is_certain
                got = guess and f"{guess.intent.value} {guess.probability:.2f}"
                print(f"  {intent} -> {got}: {learnt[index]['text']!r}")
    total = len(examples)
    print(f"cross-validation: {1 - wrong / total:.3f} right of {total}")
    print(f"{CERTAIN_ENOUGH} and more: {certain / total:.3f} of them; {narrowed / certain:.3f} of those are wrong")
    if "--check" in sys.argv[1:]:
        return
    weights = learn(examples)
    lines = ",\n".join(
        f"    {json.dumps(name, ensure_ascii=False)}: {list(row)}" for name, row in sorted(weights.items())
    )
    head = json.dumps(fingerprint((row["text"], row["intent"]) for row in learnt))
    MODEL.write_text(f'{{\n  "trained_on": {head},\n  "weights": {{\n{lines}\n  }}\n}}\n', encoding="utf-8")
    print(f"{MODEL.relative_to(ROOT)}: {len(weights)} features, {MODEL.stat().st_size // 1024} KiB")


def learn(examples: list[tuple[Features, str]]) -> dict[str, tuple[float, ...]]:
    """Weights by feature that minimise the cross entropy with a quadratic penalty (Adam, whole set per step)."""
    counts = Counter(name for features, _ in examples for name in features.values)
    names = [name for name in counts if name[:2] not in ("b:", "t:", "c:", "g:") or counts[name] >= SEEN_BEFORE_LEARNT]
    index = {name: number for number, name in enumerate(names)}
    inputs = np.zeros((len(examples), len(names)))
    targets = np.zeros((len(examples), len(INTENTS)))
    for row, (features, intent) in enumerate(examples):
        targets[row, [one.value for one in INTENTS].index(intent)] = 1.0
        for name, value in features.values.items():
            if name in index:
                inputs[row, index[name]] = value
    # The square root: a rare intent counts more than its share, not as much as a frequent one.
    share = (targets / np.sqrt(np.maximum(1.0, targets.sum(axis=0)))).sum(axis=1)
    share /= share.mean()
    weights = np.zeros((len(names), len(INTENTS)))
    drift, spread = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        scores = inputs @ weights
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        slope = inputs.T @ ((likely - targets) * share[:, None]) + STRENGTH * weights
        drift = 0.9 * drift + 0.1 * slope
        spread = 0.99 * spread + 0.01 * slope * slope
        weights -= RATE * (drift / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-8)
    rounded = {name: tuple(round(float(value), 2) for value in weights[index[name]]) for name in names}
    return {name: row for name, row in rounded.items() if any(abs(value) >= 0.02 for value in row) or name == "bias"}


if __name__ == "__main__":
    main()
