"""Incremental parser of the answer's JSON object, which returns each part as soon as it is complete.

Parts are the sentences of strings at the top level and the elements of arrays at the top level. Linear in the length
of the text; text before the object is skipped.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

# Over the raw text with its escapes. A full stop inside a name (PRD.FATURA) or a number is not followed by a space.
_SENTENCE_END = re.compile(r"[.!?…](?:\\?[\"'”»)\]`*]){0,3}(?:\s|\\[nrt])")
_LONGEST_END = 9
# The brace of an object, as opposed to one in prose.
_START = re.compile(r"\{\s{0,64}\"")
_LONGEST_START = 66
_THINK_OPEN, _THINK_CLOSE = "<think", "</think"


@dataclass(frozen=True, slots=True)
class Part:
    """A complete part of the answer: a sentence of the string ``key``, or an element of the array ``key``."""

    key: str
    value: Any


class AnswerScanner:
    """Parses deltas; ``feed`` returns the parts that each one completes."""

    def __init__(self) -> None:
        self.text = ""
        self.is_complete = False
        self._at = 0
        self._stack: list[str] = []
        self._in_string = self._escaped = self._after_colon = False
        self._string_start = self._element_start = 0
        self._key = ""
        self._keys: set[str] = set()
        self._returned = self._scanned = 0

    def feed(self, delta: str) -> list[Part]:
        """The parts that ``delta`` completes, in order."""
        self.text += delta
        parts: list[Part] = []
        if self._at == 0 and not self._find_start():
            return parts
        while self._at < len(self.text) and not self.is_complete:
            char = self.text[self._at]
            if self._in_string:
                self._string_char(char, parts)
            else:
                self._structure_char(char, parts)
            self._at += 1
        if self._in_string and self._is_top_value:
            self._sentences(parts, len(self.text), closed=False)
        return parts

    @property
    def holds_answer(self) -> bool:
        """Whether the object is complete and has a summary."""
        return self.is_complete and "summary" in self._keys

    @property
    def _is_top_value(self) -> bool:
        return self._stack == ["{"] and self._after_colon

    @property
    def _is_element(self) -> bool:
        return self._stack == ["{", "["]

    def _find_start(self) -> bool:
        """Move to the object's brace; skips a reasoning block, which may contain braces."""
        begin = 0
        stripped = self.text.lstrip()
        if stripped.startswith("<") and _THINK_OPEN.startswith(stripped[: len(_THINK_OPEN)]):
            close = self.text.find(_THINK_CLOSE)
            if close < 0:
                return False
            begin = close
        brace = self.text.find("{", max(begin, self._scanned))
        while brace >= 0:
            if _START.match(self.text, brace) is not None:
                self._at = brace + 1
                self._stack = ["{"]
                return True
            if len(self.text) - brace < _LONGEST_START and not self.text[brace + 1 :].strip():
                break  # undecided until the next characters
            brace = self.text.find("{", brace + 1)
        self._scanned = brace if brace >= 0 else len(self.text)
        return False

    def _string_char(self, char: str, parts: list[Part]) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            self._string_ended(parts)

    def _string_ended(self, parts: list[Part]) -> None:
        if self._is_top_value:
            self._sentences(parts, self._at, closed=True)
            return
        raw = self.text[self._string_start + 1 : self._at]
        if self._stack == ["{"]:
            self._key = _decoded(raw) or ""
            self._keys.add(self._key)
        elif self._is_element:
            value = _decoded(raw)
            if value:
                parts.append(Part(self._key, value))

    def _structure_char(self, char: str, parts: list[Part]) -> None:
        if char == '"':
            self._in_string, self._string_start = True, self._at
            self._returned = self._scanned = self._at + 1
        elif char in "{[":
            if self._is_element:
                self._element_start = self._at
            self._stack.append(char)
        elif char in "}]":
            self._stack.pop()
            if not self._stack:
                self.is_complete = True
            elif self._is_element and char == "}":
                self._element_ended(parts)
        elif self._stack == ["{"] and char in ":,":
            self._after_colon = char == ":"

    def _element_ended(self, parts: list[Part]) -> None:
        try:
            value = json.loads(self.text[self._element_start : self._at + 1], strict=False)
        except (ValueError, RecursionError):  # a number with thousands of digits raises ValueError
            return
        parts.append(Part(self._key, value))

    def _sentences(self, parts: list[Part], end: int, *, closed: bool) -> None:
        """Add the sentences that end before ``end``; scans each character a bounded number of times."""
        for match in _SENTENCE_END.finditer(self.text, self._scanned, end):
            self._add(parts, match.end())
        # A delta may end within the end of a sentence.
        self._scanned = max(self._returned, end - _LONGEST_END)
        if closed:
            self._add(parts, end)

    def _add(self, parts: list[Part], end: int) -> None:
        sentence = (_decoded(self.text[self._returned : end]) or "").strip()
        self._returned = end
        if sentence:
            parts.append(Part(self._key, sentence))


def _decoded(raw: str) -> str | None:
    try:
        value = json.loads(f'"{raw}"', strict=False)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, str) else None
