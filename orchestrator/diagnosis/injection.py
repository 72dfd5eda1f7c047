"""Prompt injection in logs and documents: detected, reported, and never carried into the steps of an answer.

A text is planted when it addresses a language model or whoever reads it, asks to leave the rules, says what to answer
or to hide, plays a role of a chat, calls the failure a drill, or asks for what only the model has. Recognition is no
defence by itself: what an answer may say is checked whether or not a line was recognised (``facts`` of the checks).
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources
from itertools import islice
from typing import NamedTuple

from orchestrator.codes.control import one_line, visible
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Evidence

MAX_REPORTED = 10
LEFT_OUT = "[left out: it addresses its reader]"
"""In the place of a line that was recognised."""
_QUOTE_CHARS = 160
_LINES_AFTER = 2
_MAX_LINES = 200
_MAX_LINE_CHARS = 2_000
_OVERLAP = 200
"""A longer line is read in pieces, which overlap by so much."""

# Letters that look like Latin ones and are no compatibility forms of them: Cyrillic, Greek, small capitals, strokes.
_LOOK_ALIKE = str.maketrans(
    {
        alike: letter
        for letter, several in {
            "a": "аαɑᴀ", "b": "вβʙ", "c": "сϲᴄ", "d": "ԁđᴅ", "e": "еεɛᴇ", "f": "ꜰ", "g": "ɡɢց", "h": "һнħհʜ",
            "i": "іıιɩɪ", "j": "јϳᴊ", "k": "кκᴋ", "l": "łӏʟ",
            "m": "мᴍ", "n": "пηոɴ", "o": "оοøօσᴏ", "p": "рρᴘ", "q": "ԛ", "r": "гʀ",
            "s": "ѕꜱՏ", "t": "тτᴛ", "u": "υսᴜ", "v": "ѵνᴠ", "w": "ԝωѡᴡ", "x": "хχ", "y": "уγʏ", "z": "ζᴢ",
        }.items()
        for alike in several
    }
)  # fmt: skip
_SQUARED = {
    start + letter: chr(97 + letter) for start in (0x1F150, 0x1F170, 0x1F1E6) for letter in range(26)
}  # 🅐, 🅰 and 🇦
_TAGS = {0xE0000 + code: chr(code) for code in range(32, 127)}
"""Characters of no width that stand for ASCII: a text may be hidden in them."""
_SPELT = re.compile(r"(?<![^\W_])(?:[^\W\d_][ ._*-]){4,60}[^\W\d_](?![^\W_])")
_NUMBER = re.compile(r"^ {0,7}\d{1,7}  ")
_SIGNALS = ("model", "assistant", "tell", "treat", "answer", "leave")
_YOU = (
    "you",
    "your",
    "voce",
    "sua",
    "seu",
    "eres",
    "tu",
    "aimodel",
    "hide",
    "omit",
    "omita",
    "omite",
    "esconda",
    "oculta",
)
_LEAST_SIGNALS = 1
_LEAST_SCORE = 0.2
_SENTENCES_CHARS = 300
_NAMED_MODEL = re.compile(r"\b(?:AI|IA|A\.I\.|I\.A\.|Ai|Ia)(?![\w-])")
_LINE_END = "\x1f"
"""White space to a pattern, and in no text: it has no control characters left."""
_WORD = re.compile(r"[a-z]+|<[|<](?=\s?\w)|<(?=start_of|end_of)|##(?=#* ?[a-z])")
_STEP = re.compile(
    r"\b(?:conman|composer|planman|optman|curl|rm|kill|sudo|systemctl|psql|sqlplus)\b[ \t]+[^\n\"'`|]{2,120}",
    re.IGNORECASE,
)


def folded(line: str) -> str:
    """The line as its reader takes it: without accents, case, look-alikes, spelling out and what nobody sees."""
    if not line.isascii():
        if "\u202e" in line:  # what is shown from right to left
            line = f"{line} {line[::-1]}"
        line = unicodedata.normalize("NFKD", visible(line.translate(_TAGS).translate(_SQUARED)))
        line = "".join(char for char in line if not unicodedata.combining(char))
    if not line.isupper():
        # "ia" and "ai" are words as well.
        line = _NAMED_MODEL.sub("aimodel", line)
    line = line.lower()
    if not line.isascii():
        line = line.casefold().translate(_LOOK_ALIKE)
    line = _SPELT.sub(lambda match: re.sub(r"[ ._*-]", "", match[0]), _NUMBER.sub("", line))
    return " ".join(line.split())


class _Concept(NamedTuple):
    pattern: re.Pattern[str]
    weight: float


class _Grammar(NamedTuple):
    """What ``data/planted.json`` holds, compiled."""

    kinds: tuple[tuple[frozenset[str], tuple[re.Pattern[str], ...]], ...]
    """For each kind the words of which a line has at least one, and its patterns."""
    bias: float
    concepts: dict[str, _Concept]
    pairs: tuple[tuple[str, str, float], ...]
    signals: frozenset[str]
    """Words of the concepts that lines of logs have few of."""


@cache
def _grammar() -> _Grammar:
    data = json.loads(resources.files(__package__).joinpath("data/planted.json").read_text(encoding="utf-8"))
    words = {name: "|".join(items) for name, items in data["words"].items()}
    words |= {"gap": r"[^.!?\n]{0,40}?", "short": r"[^.!?\n]{0,20}?", "clause": "|".join(data["clause_starts"])}

    def compiled(pattern: str) -> re.Pattern[str]:
        filled = re.sub(r"<([a-z_]+)>", lambda m: f"(?:{words[m[1]]})" if m[1] in words else m[0], pattern)
        # A line's end is a blank of its own: what is wrapped is read on.
        return re.compile(filled.replace(" ", r"\s"))

    return _Grammar(
        kinds=tuple((frozenset(kind["needs"]), tuple(map(compiled, kind["patterns"]))) for kind in data["kinds"]),
        bias=data["bias"],
        concepts={
            name: _Concept(compiled(concept["pattern"]), concept["weight"])
            for name, concept in data["concepts"].items()
        },
        pairs=tuple((one, two, weight) for one, two, weight in data["pairs"]),
        signals=frozenset(
            word
            for name in _SIGNALS
            for item in data["words"][name]
            for word in (item, item.replace("s?", ""), item.replace("s?", "s"))
            if word.isalpha()
        )
        | frozenset(_YOU),
    )


def find_planted(evidence: Sequence[Evidence]) -> tuple[Text, ...]:
    """One sentence for each instruction to the reader, with every item that holds it, at most ``MAX_REPORTED``."""
    ids: dict[str, list[str]] = {}
    for item in evidence:
        for line in dict.fromkeys(_planted_lines(item)):
            # Without its command: what stands in an answer gets copied to a prompt sooner or later.
            quote = _STEP.sub("[...]", one_line(line, None))[:_QUOTE_CHARS]
            ids.setdefault(quote, []).append(f"[{item.id}]")
    return tuple(
        Message(
            "An instruction addressed to its reader, treated as data and not followed: «{quote}» {ids}",
            quote=quote,
            ids=" ".join(cited[:3]),
        )
        for quote, cited in ids.items()
    )[:MAX_REPORTED]


def is_planted(text: str) -> bool:
    """Whether ``text`` addresses its reader with an instruction: such a line is never quoted as a cause."""
    return next(_planted_in(_lines_of(text)), None) is not None


@lru_cache(maxsize=128)
def _spans_of(text: str) -> tuple[tuple[int, int], ...]:
    """The same evidence is read by the rules, for the prompt and for the check of the answer."""
    return tuple(islice(_planted_in(_lines_of(text)), _MAX_LINES))


def without_planted(item: Evidence) -> Evidence:
    """The item for a model: without the lines that address it."""
    spans = _spans_of(f"{item.title}\n{item.text}")
    if not spans:
        return item
    lines = _lines_of(f"{item.title}\n{item.text}")
    for first, last in spans:
        lines[first : last + 1] = [LEFT_OUT, *[""] * (last - first)]
    text = "\n".join(line for line in lines[1:] if line)
    return item.model_copy(update={"title": lines[0] or LEFT_OUT, "text": text})


class PlantedSteps:
    """The commands that planted instructions ask for, so that a step which repeats one can be refused."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        lines = [line for item in evidence for line in _planted_lines(item, _LINES_AFTER)]
        steps = (match[0] for line in lines for match in _STEP.finditer(line))
        self._steps = tuple(dict.fromkeys(_plain(step) for step in steps))

    def obeyed_by(self, text: str) -> bool:
        """Whether ``text`` holds the beginning of a planted command (program and verb), in whatever spacing."""
        words = _plain(text)
        return any(" ".join(step.split()[:2]) in words for step in self._steps)


def _planted_lines(item: Evidence, more: int = 0) -> list[str]:
    """Every line of the item that addresses its reader, with ``more`` lines that follow: a log wraps its lines."""
    text = f"{item.title}\n{item.text}"
    spans = _spans_of(text)
    lines = _lines_of(text) if spans else []
    return ["\n".join(lines[first : last + 1 + more]).strip() for first, last in spans]


def _lines_of(text: str) -> list[str]:
    """The lines, of which a very long one is several."""
    lines: list[str] = []
    for line in text.splitlines():
        # Pieces overlap by as much as an instruction is long.
        starts = range(0, max(1, len(line) - _OVERLAP), _MAX_LINE_CHARS - _OVERLAP)
        lines += [line[start : start + _MAX_LINE_CHARS] for start in starts]
    return lines


def _planted_in(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last line of each instruction; one that is wrapped has up to three."""
    texts = [folded(line) for line in lines]
    words = [frozenset(_WORD.findall(line)) for line in texts]
    until = -1
    for index, line in enumerate(texts):
        if index <= until or not line:
            continue
        end = _match_in(
            _LINE_END.join(texts[index : index + 1 + _LINES_AFTER]),
            words[index].union(*words[index + 1 : index + 1 + _LINES_AFTER]),
            len(line),
        )
        if end is None and _sounds_planted(line, words[index], _LEAST_SCORE):
            end = 0
        if end is not None:
            until = index + end
            yield index, until


def _match_in(text: str, words: frozenset[str], before: int) -> int | None:
    """How many lines below its first an instruction ends that begins in the first ``before`` characters."""
    for needed, patterns in _grammar().kinds:
        if needed & words:
            for pattern in patterns:
                match = pattern.search(text)
                if match is not None and match.start() < before:
                    return text.count(_LINE_END, 0, match.end())
    return None


def _sounds_planted(line: str, words: frozenset[str], least: float) -> bool:
    """Whether a sentence of the line has so many of the signs that it is more likely planted than not."""
    grammar = _grammar()
    if len(words & grammar.signals) < _LEAST_SIGNALS:
        return False
    sentences = [line] if len(line) <= _SENTENCES_CHARS else list(_sentences(line))
    return any(_score(sentence) > least for sentence in sentences)


def _score(text: str) -> float:
    grammar = _grammar()
    present = {name for name, concept in grammar.concepts.items() if concept.pattern.search(text)}
    score = grammar.bias + sum(grammar.concepts[name].weight for name in present)
    return score + sum(weight for one, two, weight in grammar.pairs if one in present and two in present)


def _sentences(line: str) -> Iterator[str]:
    """Each sentence of a long line, with the next one."""
    parts = re.split(r"(?<=[.!?;]) ", line)
    for one, two in zip(parts, (*parts[1:], ""), strict=True):
        yield f"{one} {two}"[:_SENTENCES_CHARS]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[A-Za-z0-9_#.@;=/-]+", text.lower()))
