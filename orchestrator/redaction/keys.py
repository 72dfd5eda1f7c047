"""A key within a text, and the secret that belongs to it: what may stand between the two, form by form."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from orchestrator.redaction import patterns
from orchestrator.redaction.values import (
    MARK,
    Span,
    inner,
    is_harmless,
    is_key,
    is_name_like,
    is_prose,
    looks_secret,
    without_unmatched_closers,
)

_NAMING = frozenset(patterns.WORDS["as"])
_PREPOSITIONS = frozenset(patterns.WORDS["of"])
_BEFORE = 160
_DECORATION = "*_~|`"
_HEADING_SIGNS = " \t*_#>`~-|[(h123456."
_ASSIGNING = " \t\r:=|>+-,\\"
_CELL_SIGNS = " \t\r\"'*`_"
_COLUMN_SIGNS = "|;\t,"
_MAX_LINE, _MAX_ROWS, _MAX_COLUMNS = 400, 40, 4


@dataclass(frozen=True, slots=True)
class Word:
    """A word that announces a secret, at its place in a text."""

    text: str
    lowered: str
    """The text in lower case; it is as long."""
    start: int
    end: int
    word: str
    """The word in lower case."""

    def before(self, characters: int) -> str:
        """What stands before it, in lower case."""
        return self.lowered[max(0, self.start - characters) : self.start]


@dataclass(frozen=True, slots=True)
class Key(Word):
    """A key, and the secrets that belong to it."""

    is_weak: bool = False
    """It names other things as well: the value has to look like a secret where nothing else tells."""

    def secret(self) -> Span | None:
        """The secret, by the first of the forms in which there is one."""
        return next((span for form in self._forms() if (span := form()) is not None), None)

    def _forms(self) -> Iterable[Callable[[], Span | None]]:
        next_sign = self.text[self.end : self.end + 1]
        if "(" in self.text[self.end : self.end + 12]:
            yield self._in_parentheses
        if self.word.startswith("cred"):
            yield self.password_of_pair
        if "phrase" in self.word or "frase" in self.word:
            yield self._phrase
        if next_sign and next_sign in "\"'>& \t":
            yield self._marked_up
        yield self._flag
        yield self._value_of_name
        line_end = self.text.find("\n", self.end, self.end + 60)
        if line_end >= 0 and not self.text[self.end : line_end].strip(_ASSIGNING):
            yield self._continued
        yield self._listed
        yield self._assigned
        yield self._spoken
        yield self._refused
        yield self._word
        yield self._declared
        if self.text.find("\n", self.end, self.end + 240) >= 0:
            yield self._next_line
        yield self._named_after

    def password_of_pair(self) -> Span | None:
        """The password of a user and a password: ``creds: op/x``."""
        match = patterns.AFTER_PAIR.match(self.text, self.end)
        return None if match is None or is_harmless(match["user"]) else self._likely(match)

    def _sure(self, start: int, end: int) -> Span | None:
        inner_start, inner_end = inner(self.text, start, end)
        if inner_start == start:
            inner_end = without_unmatched_closers(self.text, start, end)
        value = self.text[inner_start:inner_end]
        if not value or is_harmless(value) or self._is_status(value):
            return None
        return inner_start, inner_end

    def _likely(self, match: re.Match[str], *, is_near: bool = True) -> Span | None:
        start, end = match.span("value")
        inner_start, inner_end = inner(self.text, start, end)
        value = self.text[inner_start:inner_end]
        if self.is_weak and self.text[inner_start - 1] in "\"'" and patterns.LABEL.fullmatch(value) is not None:
            return None
        if inner_start > start:
            if looks_secret(value):
                return inner_start, inner_end
            is_other = self.is_weak or not is_near or match.groupdict().get("listed") is not None
            return (
                None if is_other or is_key(value) or is_harmless(value) or MARK in value else (inner_start, inner_end)
            )
        rest = patterns.REST_OF_WORD.match(self.text, end)
        core = self.text[start : end if rest is None else rest.end()]
        core = core.rstrip(".,;:!?*_~") if core[-1:] in ".,;:*_~" or value[-1:] == "?" else core
        goes_on = core[len(value) : len(value) + 1] in ("=", ":")  # a key of its own
        is_secret = looks_secret(value, is_near=is_near) or (not goes_on and looks_secret(core, is_near=is_near))
        is_secret = is_secret or (is_near and is_name_like(core) and self._is_led())
        return (start, start + len(core)) if is_secret and not self._is_status(core) else None

    def _is_status(self, value: str) -> bool:
        return self.word == "psw" and patterns.STATUS_WORD.fullmatch(value) is not None

    def _is_led(self) -> bool:
        return patterns.LEAD.search(self.before(24)) is not None

    def _in_parentheses(self) -> Span | None:
        match = patterns.IN_PARENTHESES.match(self.text, self.end)
        span = None if match is None else self._sure(*match.span("value"))
        if match is None or span is None:
            return None
        is_quoted = span != match.span("value")
        return span if is_quoted or not self.is_weak or looks_secret(self.text[slice(*span)]) else None

    def _assigned(self) -> Span | None:
        match = patterns.AFTER_KEY.match(self.text, self.end)
        span = None if match is None else self._sure(*match.span("value"))
        if match is None or span is None:
            return None
        start, end = span
        opening = match["opening"]
        while opening and end - 1 > start and self.text[end - 1] in _DECORATION and self.text[end - 1] in opening:
            end -= 1
        value = self.text[start:end]
        is_count = self.word in patterns.COUNT_KEY and patterns.COUNT.fullmatch(value) is not None
        is_directory = value.startswith("/") and self._is_working_directory()
        is_sentence = self.is_weak and match["colon"] is not None and is_prose(value, self.text[end : end + 2])
        is_masked_pair = self.word.startswith("cred") and patterns.MASKED_PAIR.fullmatch(value) is not None
        is_name = self._is_name(value, end)
        return None if is_count or is_directory or is_sentence or is_masked_pair or is_name else (start, end)

    def _is_name(self, value: str, end: int) -> bool:
        """Whether a value names something else: a test that passed, a constant, a key or a command."""
        if self.word == "pass" and patterns.TEST_NAME.fullmatch(value) is not None:
            return self.text.startswith("PASS", self.start)
        if self.text.startswith((' "', " '"), end) and (is_key(value) or patterns.CMDLET.fullmatch(value) is not None):
            return True
        return self.is_weak and patterns.CONSTANT.fullmatch(value) is not None

    def _is_working_directory(self) -> bool:
        """``PWD=/opt/app`` is a shell's working directory, not a password."""
        before = self.before(4)
        return self.word == "pwd" and (before.endswith("old") or not (before[-1:].isalnum() or before[-1:] == "_"))

    def _value_of_name(self) -> Span | None:
        """``name: DB_PASSWORD`` and a ``value`` of its own."""
        match = patterns.VALUE_OF_NAME.match(self.text, self.end)
        if match is None or (self.is_weak and patterns.NAME_BEFORE.search(self.before(100)) is None):
            return None
        return self._sure(*match.span("value"))

    def _listed(self) -> Span | None:
        """The items of a list, as one."""
        match = patterns.LISTED.match(self.text, self.end) or patterns.YAML_LIST.match(self.text, self.end)
        if match is None:
            return None
        items = [item.strip("\\\"' \t") for item in re.split(r"[,\r\n]", match["value"])]
        is_secret = not self.is_weak or all(
            looks_secret(item.removeprefix("- ").strip("\"'")) for item in items if item
        )
        is_other = all(is_harmless(item.removeprefix("- ")) or is_key(item) or item == MARK for item in items)
        return match.span("value") if is_secret and not is_other else None

    def _phrase(self) -> Span | None:
        match = patterns.AFTER_PHRASE.match(self.text, self.end)
        return None if match is None else self._sure(*match.span("value"))

    def _flag(self) -> Span | None:
        before = self.before(48)
        if not before or before[-1].isspace() or not before.rsplit(None, 1)[-1].lstrip("\"'([").startswith("-"):
            return None
        match = patterns.FLAG_VALUE.match(self.text, self.end)
        if match is None and patterns.LIST_BEFORE_FLAG.search(self.before(400)) is not None:
            match = patterns.LISTED_FLAG_VALUE.match(self.text, self.end)
        if match is None or match["value"].startswith("["):
            return None
        span = inner(self.text, *match.span("value"))
        return None if self.text[slice(*span)] == MARK else span

    def _marked_up(self) -> Span | None:
        for pattern in (patterns.NAMED_VALUE, patterns.IN_ESCAPED_ELEMENT):
            if (match := pattern.match(self.text, self.end)) is not None:
                return None if is_harmless(match["value"]) else match.span("value")
        match = patterns.IN_ELEMENT.match(self.text, self.end)
        is_element = match is not None and patterns.XML_HEAD.search(self.before(64)) is not None
        return match.span("value") if match is not None and is_element else None

    def _spoken(self) -> Span | None:
        match = patterns.SPOKEN.match(self.text, self.end)
        span = None if match is None else self._sure(*match.span("value"))
        if match is None or span is None:
            return None
        value = self.text[slice(*span)]
        if span != match.span("value"):  # in quotes
            return None if self.is_weak and not looks_secret(value) else span
        core = value.rstrip(".,;:!?*_~`")
        end = span[0] + len(core)
        if not looks_secret(core):
            is_last = patterns.SENTENCE_END.match(self.text, end) is not None
            is_sentence = core.lower().endswith(patterns.PROSE_ENDINGS) or patterns.NOT_PASSWORD.match(core) is not None
            if self.is_weak or not is_last or is_sentence:
                return None
        return span[0], end

    def _refused(self) -> Span | None:
        match = patterns.REFUSED.match(self.text, self.end)
        return None if match is None else self._likely(match)

    def _word(self) -> Span | None:
        match = patterns.BEFORE_WORD.match(self.text, self.end)
        if match is None:
            return None
        return self._likely(match, is_near=not any(word in _PREPOSITIONS for word in match["of"].lower().split()))

    def _declared(self) -> Span | None:
        match = patterns.DECLARED.match(self.text, self.end)
        return None if match is None or is_harmless(match["value"]) else match.span("value")

    def _continued(self) -> Span | None:
        matches = (pattern.match(self.text, self.end) for pattern in (patterns.YAML_BLOCK, patterns.CONTINUED))
        return next((match.span("value") for match in matches if match is not None), None)

    def _next_line(self) -> Span | None:
        match = patterns.ON_NEXT_LINE.match(self.text, self.end)
        if match is None:
            return None
        is_heading = not self.before(40).rsplit("\n", 1)[-1].strip(_HEADING_SIGNS)
        return self._likely(match) if match["colon"] is not None or is_heading else None

    def _named_after(self) -> Span | None:
        """``x as password``, ``x é a senha``, ``x (senha)``."""
        opening = None
        if self.text.startswith(")", self.end):
            opening = patterns.IN_BRACKETS_AFTER.search(self.text, max(0, self.start - 24), self.start)
        if opening is not None:
            match = patterns.WORD_BEFORE.search(self.text, max(0, self.start - _BEFORE), opening.start())
            return None if match is None else self._likely(match)
        words = self.before(24).split()
        if not words or (words[-1] not in _NAMING and " ".join(words[-2:]) not in _NAMING):
            return None
        match = patterns.AS.search(self.text, max(0, self.start - _BEFORE), self.start)
        return None if match is None else self._likely(match)


class Columns:
    """The cells of tables below a key that heads a column: between signs, or where the heading begins."""

    def __init__(self, text: str) -> None:
        """Read ``text``, from its start on."""
        self._text = text
        self._line, self._count, self._until = -1, 0, 0
        """The last heading, how many of its columns were read, and where the rows below it end."""

    def below(self, key: Word) -> Iterator[Span]:
        """The secrets in the rows after the line of ``key``."""
        text = self._text
        line_start, line_end = text.rfind("\n", 0, key.start) + 1, text.find("\n", key.end)
        if not 0 <= line_end - line_start <= _MAX_LINE or line_end + 1 >= len(text):
            return
        if line_start != self._line:
            if line_start < self._until:
                return
            self._line, self._count = line_start, 0
        self._count += 1
        if self._count > _MAX_COLUMNS:
            return
        heading, first = text[line_start:line_end], key.start - line_start
        sign = next((sign for sign in _COLUMN_SIGNS if sign in heading), "")
        cells = heading.split(sign) if sign else []
        column = heading.count(sign, 0, first) if sign else 0
        cell = cells[column] if sign else heading[max(0, first - 2) : first + len(key.word) + 2]
        if (
            cell.strip(_CELL_SIGNS if sign else " \t").lower() != key.word
            or heading.strip(_CELL_SIGNS).lower() == key.word
        ):
            return
        place = line_end + 1
        for row in text[place : place + _MAX_ROWS * _MAX_LINE].split("\n", _MAX_ROWS)[:_MAX_ROWS]:
            # Without signs, a cell is one word: what stands there in a line of text is not.
            parts = row.split(sign) if sign else [row[:first], row[first:].split("  ")[0]]
            if not row.strip() or (sign and len(parts) != len(cells)):
                break
            cell = parts[column] if sign else parts[1] if parts[0][-1:] in ("", " ", "\t") else ""
            value = cell.strip(f"{_CELL_SIGNS}|")
            if (sign or " " not in value) and looks_secret(value, is_near=bool(sign)):
                start = place + (sum(len(part) + 1 for part in parts[:column]) if sign else first) + cell.index(value)
                yield start, start + len(value)
            place += len(row) + 1
        self._until = max(self._until, place)
