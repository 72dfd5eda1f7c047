"""Tokens that betray themselves: by their vendor's prefix, by the vendor named beside them, by their randomness.

Prefixes, alphabets and lengths are data with their origin (``data/tokens.json``).
"""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from typing import Any

from orchestrator.redaction.patterns import LONG_RUN, either
from orchestrator.redaction.values import Span

_DATA: dict[str, Any] = json.loads((files("orchestrator.redaction") / "data" / "tokens.json").read_bytes())

VENDORS: tuple[str, ...] = tuple(_DATA["vendors"])
"""Vendors whose tokens have no prefix, lower-case."""
AFTER_VENDOR = re.compile(
    r"[\w.-]{0,24}(?:[ \t]{1,4}[\w.-]{1,20}){0,2}[\"'`]?[ \t]{0,8}(?:=>|:{1,3}=|\?=|:{1,3}|[=>,]|\|\|)[ \t]{0,8}[\"'`]?"
    r"(?P<value>[A-Za-z0-9_=.+/:%-]{14,200})(?![\w-])"
)

JWT = re.compile(
    r"eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{6,8000}\.[A-Za-z0-9_-]{2,8000}(?:\.[A-Za-z0-9_-]{0,8000}){0,3}"
)
_ENCODED_JWT = re.compile(r"ZXlK(?<![A-Za-z0-9/_+-]ZXlK)[A-Za-z0-9/_+-]{40,8000}={0,2}")
_SLACK = re.compile(r"xox[abeoprs][.-][\w.-]{8,255}")

_RUN = re.compile(r"[A-Za-z0-9_-]{16,}+")
_ALL = [(prefix, body) for body, prefixes in _DATA["prefixes_by_body"].items() for prefix in prefixes]
_TOKEN = re.compile(either(f"{prefix}{body}" for prefix, body in _ALL))
# Those that a run of letters, digits, _ and - does not begin.
_APART = re.compile(r"[~:/|%]|\\\.")
_DOTTED = re.compile(
    rf"(?<![A-Za-z0-9_]){either(f'{prefix}{body}' for prefix, body in _ALL if _APART.search(prefix + body[:2]))}"
)
_BEFORE, _AFTER = 24, 400
_LONG_WORD = re.compile(r"[A-Za-z0-9]{30}")
_WORD = re.compile(r"[A-Za-z0-9]{14}")


def tokens(text: str) -> Iterator[Span]:
    """Where tokens stand in a text, in any order."""
    for probe, pattern in (("eyJ", JWT), ("ZXlK", _ENCODED_JWT), ("xox", _SLACK)):
        if probe in text:
            yield from (match.span() for match in pattern.finditer(text))
    done = 0
    for run in _RUN.finditer(text):
        start = run.start()
        if start < done:
            continue
        match = _TOKEN.match(text, start)
        if match is None and start and text[start - 1] in ".:/~|%":
            match = _DOTTED.search(text, max(done, start - _BEFORE), run.end() + _AFTER)
        if match is not None and _is_mixed(match[0]):
            done = match.end()
            yield match.span()
    yield from (run.span() for run in LONG_RUN.finditer(text) if _is_random_run(run[0]))


def looks_random(token: str) -> bool:
    """Whether letters and digits are mixed as no name has them."""
    digits = sum(map(str.isdigit, token))
    between = sum(a.isdigit() and b.isalpha() for a, b in pairwise(token))
    return _case_changes(token) >= 4 or (between >= 2 and digits >= 3) or (digits >= 14 and digits + 3 >= len(token))


def _case_changes(text: str) -> int:
    """How often a capital stands beside a small letter."""
    return sum(a.isupper() != b.isupper() for a, b in pairwise(text) if a.isalpha() and b.isalpha())


def _is_mixed(token: str) -> bool:
    """Whether what follows a vendor's prefix is more than words: the prefix tells the rest."""
    digits = sum(map(str.isdigit, token))
    is_mixed = digits >= 3 or (digits > 0 and any(map(str.isupper, token)))
    return is_mixed or looks_random(token) or _LONG_WORD.search(token) is not None


def is_of_vendor(value: str) -> bool:
    """Whether a value beside a vendor's name is a token: long without a sign in it, or as no name is."""
    return looks_random(value) or (_WORD.search(value) is not None and sum(map(str.isdigit, value)) >= 2)


def _is_random_run(run: str) -> bool:
    """A long base64 run, for example a key whose BEGIN line was cut off; words and hexadecimal digests stay."""
    digits = sum(map(str.isdigit, run))
    return digits * 25 >= len(run) and _case_changes(run) * 5 >= len(run) and run.count("/") * 12 <= len(run)
