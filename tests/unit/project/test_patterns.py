"""No text makes a pattern of ours slow: every regular expression takes a time in proportion to what it reads."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import orchestrator
import workers
from orchestrator.joblog.symptoms import symptoms

OWN = ("orchestrator", "workers")
LONG = 400
"""Repetitions of which a pattern may take at least this many are tried with as many as there is text."""
SIZES = (500, 4_000)
NESTED_SIZES = (12, 15, 19, 24, 30, 37, 46, 58, 72, 90, 112, 140, 175, 220)
"""Characters that are tried before where repetitions are nested: what takes for ever on more takes long on these."""
SECONDS = 0.004
"""What takes longer is slow for a short text; for a longer one it is tried how it grows."""
LIMITS = {
    "orchestrator.diagnosis.injection._WORD": 2_000,  # a piece of a line
    "orchestrator.diagnosis.read_only.": 2_000,  # a command
    "orchestrator.diagnosis.shell_words.": 2_000,
    "orchestrator.joblog.places._NOT_A_LINE_END": 1_000,  # a pattern of ours
    "orchestrator.joblog.symptoms._CLAUSE": 1_000,  # a sentence of ours
    "symptom ": 4_000,  # each looks ahead so many characters at most; ``test_symptoms`` times them on longer logs
    "gate of ": 4_000,
    "workers.knowledge.reading.chunking._LISTING_LINE": 300,
    "workers.knowledge.reading.markdown._INLINE": 1_000,  # a heading
}
"""Patterns whose time may grow faster, and the characters that the code lets in: within these they are not slow."""
SECONDS_WITHIN = 0.25
REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
SIGNS = "a1A \n-.:=\"'(/\\,;#$é"


# The patterns of the packages -----------------------------------------------------------------------------------------


def modules() -> Iterator[Any]:
    for package in (orchestrator, workers):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with suppress(ModuleNotFoundError):  # of a package that an extra installs
                yield importlib.import_module(info.name)


def patterns() -> dict[re.Pattern[str], str]:
    """Every compiled pattern in a module, a class, an object or a container of ours, and where it stands."""
    found: dict[re.Pattern[str], str] = {}
    met: dict[int, object] = {}

    def collect(value: Any, place: str) -> None:
        if isinstance(value, re.Pattern):
            if isinstance(value.pattern, str):
                found.setdefault(value, place)
            return
        if id(value) in met or isinstance(value, (str, bytes, int, float)):
            return
        met[id(value)] = value
        for name, item in parts(value):
            collect(item, f"{place}.{name}")

    for module in modules():
        collect(vars(module), module.__name__)
    for symptom in symptoms():
        collect(symptom.pattern, f"symptom {symptom.key}")
        collect(symptom.gate_pattern, f"gate of {symptom.key}")
    return found


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((str(key)[:40], item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif isinstance(value, _lru_cache_wrapper):
        yield from vars(value).items()
    elif (value if isinstance(value, type) else type(value)).__module__.split(".")[0] in OWN:
        yield from vars(value).items() if hasattr(value, "__dict__") else ()
        slots = (slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ()))
        yield from ((slot, getattr(value, slot)) for slot in slots if hasattr(value, slot))


@cache
def methods() -> dict[tuple[str, str], set[str]]:
    """By which methods each module uses the patterns of each name, and all of them together."""
    found: dict[tuple[str, str], set[str]] = {}
    for package in (orchestrator, workers):
        folder = Path(package.__path__[0])
        for path in folder.rglob("*.py"):
            module = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
            text = path.read_text(encoding="utf-8")
            for name, method in re.findall(r"\b(\w+)\.(match|fullmatch|search|finditer|findall|subn?|split)\(", text):
                found.setdefault((module, name), set()).add(method)
                found.setdefault(("", name), set()).add(method)
    return found


def used(place: str) -> str:
    """The method by which the packages use the pattern at a place: that which reads most."""
    module, _, name = place.rpartition(".")
    by = methods().get((module, name)) or methods().get(("", name), set())
    return (
        "match"
        if by <= {"match", "fullmatch"} and "match" in by
        else "fullmatch"
        if by == {"fullmatch"}
        else "finditer"
    )


# Hostile texts --------------------------------------------------------------------------------------------------------


def allows(item: tuple[Any, Any], sign: str) -> bool:
    """Whether a character is one that a part of a pattern takes."""
    kind, value = item
    if kind is op.LITERAL:
        return bool(chr(value) == sign)
    if kind is op.NOT_LITERAL:
        return bool(chr(value) != sign)
    if kind is op.RANGE:
        return bool(value[0] <= ord(sign) <= value[1])
    if kind is op.CATEGORY:
        pattern = {
            op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
            op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
        }[value]  # fmt: skip
        return re.fullmatch(pattern, sign) is not None
    if kind is op.IN:
        is_negated = value[0][0] is op.NEGATE
        return any(allows(part, sign) for part in value[is_negated:]) != is_negated
    return kind is op.ANY and sign != "\n"


def signs_of(item: tuple[Any, Any]) -> Iterator[str]:
    kind, value = item
    if kind is op.LITERAL:
        yield chr(value)
        return
    yield from (sign for sign in SIGNS if allows(item, sign))
    if kind is op.IN:
        for part in value:
            if part[0] in (op.LITERAL, op.RANGE):
                yield chr(part[1] if part[0] is op.LITERAL else part[1][0])


def shortest(items: Any) -> str:
    """A short text that a sequence of parts takes, as far as that can be told from each of them."""
    return "".join(map(shortest_of, items))


def shortest_of(item: tuple[Any, Any]) -> str:
    kind, value = item
    if kind in (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY):
        return next(signs_of(item), "")
    inside = next(nested(item), ())
    if kind in REPEATS:
        return str(shortest(inside) * min(value[0], 40))
    is_ahead = kind is op.ASSERT_NOT or (kind is op.ASSERT and value[0] > 0)
    return "" if is_ahead else str(shortest(inside))


def nested(item: tuple[Any, Any]) -> Iterator[Any]:
    kind, value = item
    if kind in REPEATS:
        yield value[2]
    elif kind is op.SUBPATTERN:
        yield value[3]
    elif kind is op.ATOMIC_GROUP:
        yield value
    elif kind is op.BRANCH:
        yield from value[1]
    elif kind in (op.ASSERT, op.ASSERT_NOT):
        yield value[1]


def long_repeats(items: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """What may stand before each long repetition, and what it repeats."""
    for item in items:
        kind, value = item
        if kind in REPEATS and value[1] >= LONG:
            if len(value[2]) == 1 and (signs := list(dict.fromkeys(signs_of(value[2][0])))):
                yield from ((before, sign) for sign in signs[:3])
            else:
                yield before, shortest(value[2]) or "a"
        for inside in nested(item):
            yield from long_repeats(inside, before)
        before = (before + shortest_of(item))[-200:]


def hostile_texts(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """A beginning and what is repeated after it: near-misses of each long repetition."""
    for before, unit in dict.fromkeys(long_repeats(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))):
        yield before, unit
        if before:
            yield "", before + unit


# Time -----------------------------------------------------------------------------------------------------------------


def seconds(pattern: re.Pattern[str], before: str, unit: str, characters: int, method: str = "finditer") -> float:
    text = before + unit * (characters // len(unit))
    started = time.thread_time()
    if method == "finditer":
        deque(pattern.finditer(text), maxlen=0)
    else:
        getattr(pattern, method)(text)
    return time.thread_time() - started


def is_slow(pattern: re.Pattern[str], before: str, unit: str, method: str = "finditer") -> bool:
    """Whether a text takes long, and four times the text takes eight times as long or more, each of two times."""
    sizes = (*NESTED_SIZES, *SIZES) if len(unit) > 1 else SIZES
    characters = next((size for size in sizes if seconds(pattern, before, unit, size, method) > SECONDS), 0)
    if characters < SIZES[-1]:
        return characters > 0
    quarter, whole = (
        min(seconds(pattern, before, unit, size, method) for _ in range(3)) for size in (characters // 4, characters)
    )
    if whole <= SECONDS or whole <= 8 * quarter:
        return False
    # A repetition of up to thousands grows like that only until it is full.
    return whole > 100 * SECONDS or all(
        seconds(pattern, before, unit, 4 * characters, method) > 8 * whole for _ in range(3)
    )


def test_every_pattern_is_linear() -> None:
    """No pattern takes more than in proportion to its text on the texts that its own repetitions make hostile."""
    slow = {}
    for pattern, place in patterns().items():
        method = used(place)
        limit = next((limit for start, limit in LIMITS.items() if place.startswith(start)), None)
        for before, unit in hostile_texts(pattern):
            if limit is None and is_slow(pattern, before, unit, method):
                slow[place] = f"{before!r}, then {unit!r}"
            elif limit is not None and seconds(pattern, before, unit, limit, method) > SECONDS_WITHIN:
                slow[place] = f"{before!r}, then {unit!r}, within {limit} characters"
    assert slow == {}


def test_what_is_not_linear_is_found() -> None:
    """The texts made for a pattern find the usual kinds of backtracking, and leave the ways to avoid it alone."""
    for pattern in (r"\s*\n\s*x", r"(?:ab+)+c", r"<[^>]*?>"):
        assert any(is_slow(re.compile(pattern), *text) for text in hostile_texts(re.compile(pattern))), pattern
    for pattern in (r"\bx\s{0,9}y", r"(?<!\w)\w++@x", r"a[^ab\n]*+b"):
        assert not any(is_slow(re.compile(pattern), *text) for text in hostile_texts(re.compile(pattern))), pattern
