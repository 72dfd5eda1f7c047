"""Places of a log where a symptom may stand, so that its pattern is tried there and not on every line.

Without this a log of 8,000 lines costs up to 20 s of CPU time, more than a source has.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache

from orchestrator.joblog.lines import shape_of
from orchestrator.joblog.symptoms import Symptom, candidates, parts_of

SHORT_LOG = 600
"""Lines up to which each is looked at; of a longer log, lines that differ in numbers only are not all."""
OF_ONE_SHAPE = 4
"""First and last lines of one shape that are looked at in a long log, each."""
MOST_CHARACTERS = 800_000
"""Of what is looked at in a long log: a quarter from its beginning, the rest from its end."""
MOST_LINES = 400
"""Lines with a hint that a pattern is tried on: the first and the last half of them."""
AROUND = 12
"""Lines before and after a hint that a pattern over several lines may take."""

_FAR = re.compile(r"\[\\s\\S\]\{\d*,(\d{4,})\}")
_MANY_LINES = re.compile(r"\\n\)\{\d*,(\d{2,})\}")
_LINE_CHARACTERS = 140
# What may take a line's end: a pattern without it stays on its line.
_NOT_A_LINE_END = re.compile(r"\[\^[^\]]*\\n[^\]]*\]")
_LINE_END = re.compile(r"\\n|\\s|\\W|\\D|\[\^|\(\?[a-z]*s")


def stays_on_its_line(pattern: re.Pattern[str]) -> bool:
    """Whether no match of ``pattern`` spans lines; False where that is not plain."""
    return _LINE_END.search(_NOT_A_LINE_END.sub("", pattern.pattern)) is None


@cache
def _parts_of_word(word: str) -> Set[str]:
    return parts_of(word)


@cache
def reach_of(pattern: re.Pattern[str]) -> int:
    """Characters beyond the lines around a hint that a pattern looks at, such as for a step's end far below."""
    characters = [int(bound) for bound in _FAR.findall(pattern.pattern)]
    lines = [int(bound) * _LINE_CHARACTERS for bound in _MANY_LINES.findall(pattern.pattern)]
    return max((*characters, *lines), default=0)


class Places:
    """A log and where in it words stand."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.text = "\n".join(lines)
        self._count = len(lines)
        self._starts = _starts(lines)
        self.examined = tuple(_within(MOST_CHARACTERS, lines, _examined(lines)))
        """Numbers of the lines that are looked at."""
        low = [lines[number].lower() for number in self.examined]
        self._low = "\n".join(low)
        self._low_starts = _starts(low)
        self._parts = parts_of(self._low)
        self._lines_of: dict[str, list[int]] = {}
        self._codes_of: dict[re.Pattern[str], defaultdict[str, set[int]]] = {}

    def line_at(self, position: int) -> int:
        """The number of the line that holds a position of ``text``."""
        return bisect_right(self._starts, position) - 1

    def candidates(self) -> Iterator[Symptom]:
        """The symptoms of which the log holds a hint, and one of the words that they need."""
        for symptom in candidates(self._parts, self._holds):
            if all(not words or any(map(self._holds, words)) for words in (symptom.needs, symptom.in_match)):
                yield symptom

    def _holds(self, word: str) -> bool:
        return _parts_of_word(word) <= self._parts and word in self._low

    def matches(
        self,
        pattern: re.Pattern[str],
        hints: Sequence[str],
        in_match: Sequence[str] = (),
        gate: re.Pattern[str] | None = None,
    ) -> Iterator[re.Match[str]]:
        """Matches of ``pattern`` on or around the lines that hold one of ``hints``, where one of ``in_match`` is."""
        is_of_lines = stays_on_its_line(pattern)
        lines = self._lines_with_one_of(hints)
        if gate is not None:
            coded = {number for code in in_match for number in self._coded(gate).get(code, ())}
            lines = {number for number in lines if number in coded or number + 1 in coded}
        elif in_match and is_of_lines:
            lines &= self._lines_with_one_of(in_match)
        numbers = sorted(lines)
        if len(numbers) > MOST_LINES:
            numbers = [*numbers[: MOST_LINES // 2], *numbers[-MOST_LINES // 2 :]]
        reach, last_start = reach_of(pattern), -1
        for first, last in self._regions(numbers, 0 if is_of_lines else AROUND):
            start, end = self._starts[first], self._starts[last + 1] - 1
            begin, limit = self._line_start(start - reach), end + reach
            if in_match and not _holds_one_of(self.text[begin:limit].lower(), in_match):
                continue
            for match in pattern.finditer(self.text, begin, limit):
                if match.start() > end:
                    break
                if match.end() >= start and match.start() > last_start:
                    last_start = match.start()
                    yield match

    def _line_start(self, position: int) -> int:
        return self._starts[self.line_at(max(0, position))]

    def _regions(self, numbers: Sequence[int], around: int) -> Iterator[tuple[int, int]]:
        first = last = -1
        for number in numbers:
            if first >= 0 and number - around > last + 1:
                yield first, last
                first = -1
            first = max(0, number - around) if first < 0 else first
            last = min(self._count - 1, number + around)
        if first >= 0:
            yield first, last

    def _lines_with_one_of(self, words: Sequence[str]) -> set[int]:
        return {number for word in words for number in self._lines_with(word)}

    def _coded(self, gate: re.Pattern[str]) -> Mapping[str, Set[int]]:
        """The lines where a gate's code stands, by the code."""
        known = self._codes_of.get(gate)
        if known is None:
            known = self._codes_of[gate] = defaultdict(set)
            for match in gate.finditer(self.text):
                known[match[1].lower()].add(self.line_at(match.start(1)))
        return known

    def _lines_with(self, word: str) -> list[int]:
        known = self._lines_of.get(word)
        if known is None:
            known = self._lines_of[word] = list(self._find(word)) if self._holds(word) else []
        return known

    def _find(self, word: str) -> Iterator[int]:
        at = self._low.find(word)
        while at >= 0:
            index = bisect_right(self._low_starts, at) - 1
            yield self.examined[index]
            at = self._low.find(word, self._low_starts[index + 1])


def _holds_one_of(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)


def _starts(lines: Sequence[str]) -> list[int]:
    """Where each line begins in the text of all, and where a next one would."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _examined(lines: Sequence[str]) -> list[int]:
    """The lines to look at: all of a short log, else the first and the last ones of each shape."""
    if len(lines) <= SHORT_LOG:
        return list(range(len(lines)))
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        alike[shape_of(line)].append(number)
    shown = (
        numbers if len(numbers) <= 2 * OF_ONE_SHAPE else [*numbers[:OF_ONE_SHAPE], *numbers[-OF_ONE_SHAPE:]]
        for numbers in alike.values()
    )
    return sorted(number for numbers in shown for number in numbers)


def _within(characters: int, lines: Sequence[str], numbers: Sequence[int]) -> Iterator[int]:
    """Those of ``numbers`` whose lines are within the limit, most of them from the end."""
    total = sum(len(lines[number]) for number in numbers)
    left, cut = 0, total - characters
    for number in numbers:
        left += len(lines[number])
        if cut <= 0 or not characters / 4 < left <= characters / 4 + cut:
            yield number
