"""Secrets out of text and JSON data, before the store, the stream, the log and a model see them.

Deterministic, idempotent and linear in the length of the text: it is searched once for the words that announce secrets,
what may follow each is bounded, and a value that was found is not searched again. Codes, job names, paths, data set
names and run ids stay as they are. When in doubt about a value that stands where secrets stand, it goes: a lost word
costs less than a leaked one.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND
from orchestrator.json_safe import utf8_safe
from orchestrator.redaction import commands, patterns, tokens
from orchestrator.redaction.commands import Span, Statement
from orchestrator.redaction.lines import quoted, through
from orchestrator.redaction.plain import Plain

MARK = "[REDACTED]"
"""Replacement for a secret."""

CUT_MARGIN = 2_048
"""Characters that are read beyond a cut: more than a secret and the words that betray it have, unless they are in lines
that betray themselves, such as those of a private key."""
_MAX_PASSES = 4
_WINDOW = 120
"""Characters before a word that tell what it means."""

# A job named after its purpose (RESET_PASSWORD: S0C7) must not cost the reader the code.
_CODE = re.compile(rf"(?:{SYSTEM_ABEND}|{USER_ABEND}|RC=?-?\d+|[A-Z]{{3,6}}\d{{3,4}}[IWESAD])", re.ASCII)


def redact(text: str, *, personal: bool = False) -> str:
    """Return ``text`` with every recognised secret replaced by ``MARK``.

    ``personal`` also takes out e-mail addresses and Brazilian CPF and CNPJ numbers.
    """
    # A secret's removal can uncover another's place (two glued together), so a changed text is read again.
    for _ in range(_MAX_PASSES):
        before, text = text, _pass(text)
        if text == before:
            break
    return _personal(text) if personal else text


def _pass(text: str) -> str:
    if "\x1b" in text:
        text = patterns.TERMINAL.sub("", text)
    # What is quoted goes first, as masks might break its quotes. A token may begin like the frame of a line.
    return through(_without(quoted(text, _pass), _tokens), _lines)


def _lines(text: str) -> str:
    """What is masked by the words around it; the result has as many lines."""
    return _without(_key_ends(text) if "-----END" in text else text, _secrets)


def _key_ends(text: str) -> str:
    """The last lines of private keys whose beginning was cut off: the very last may be too short to look random."""
    lines = text.split("\n")
    is_in_key = False
    for index in range(len(lines) - 1, -1, -1):
        if is_in_key and patterns.KEY_LINE.fullmatch(lines[index]) is not None:
            lines[index] = MARK
        else:
            is_in_key = patterns.KEY_END.match(lines[index]) is not None
    return "\n".join(lines)


def _without(text: str, find: Callable[[str], Iterator[Span]]) -> str:
    """``text`` with ``MARK`` where ``find`` finds secrets in it, read as plain characters."""
    plain = Plain(text)
    out: list[str] = []
    done = 0
    for start, end in _merged(sorted(plain.original(start, end) for start, end in find(plain.text) if start < end)):
        out += (text[done:start], _marked(text[start:end]))
        done = end
    return "".join((*out, text[done:])) if out else text


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans in order, those that overlap or touch as one."""
    start, end = -1, -1
    for next_start, next_end in spans:
        if next_start > end:
            if end > 0:
                yield start, end
            start, end = next_start, next_end
        else:
            end = max(end, next_end)
    if end > 0:
        yield start, end


def _marked(secret: str) -> str:
    """``MARK`` in place of ``secret``, on each of its lines: none of the lines moves."""
    if "\n" not in secret:
        return MARK
    return "\n".join(line[: len(line) - len(line.lstrip())] + MARK if line.strip() else line for line in secret.split("\n"))


def redact_start(text: str, characters: int, *, personal: bool = False) -> tuple[str, bool]:
    """At most ``characters`` of the start of ``text``, with its secrets replaced, and whether there was more.

    For texts of any length: what is cut off is not read. A secret that is cut in the middle may not be recognised, so
    the end of what was read is cut off as well. Surrogates are replaced, as by ``utf8_safe``.
    """
    end = characters + CUT_MARGIN
    masked = redact(utf8_safe(text[:end]), personal=personal)
    if len(text) > end:
        return masked[:-CUT_MARGIN][:characters], True
    return masked[:characters], len(masked) > characters


def redact_data(value: Any, *, personal: bool = False) -> Any:
    """Return JSON-like ``value`` with secrets replaced: strings by ``redact``, whole values under secret-looking keys.

    Tuples become lists, as they do in JSON. Also understood: ``{"name": "DB_PASSWORD", "value": ...}`` and argument
    lists in which a secret follows its flag.
    """
    if isinstance(value, str):
        return redact(value, personal=personal)
    if isinstance(value, Mapping):
        return _mapping(value, personal=personal)
    if isinstance(value, (list, tuple)):
        return _items(value, personal=personal)
    return value


_known_keys: dict[tuple[str, bool], bool] = {}
"""Keys that are shown as they are, and whether their value is a secret: a source has the same ones in every answer."""
_MAX_KNOWN_KEYS, _KNOWN_CHARACTERS = 1_024, 64


def is_secret_key(key: str) -> bool:
    """Whether a value under ``key`` is a secret by its name (``db_password``, ``Authorization``, ``senha``)."""
    return patterns.SECRET_KEY.search(key) is not None


def _mapping(value: Mapping[Any, Any], *, personal: bool) -> dict[Any, Any]:
    named = next((value[k] for k in ("name", "key", "Name", "Key") if isinstance(value.get(k), str)), "")
    named_secret = is_secret_key(named)
    out: dict[Any, Any] = {}
    for key, item in value.items():
        shown, secret = key, False
        if isinstance(key, str):
            shown, secret = _key(key, personal)
            secret = secret or (named_secret and key.lower() == "value")
        if secret and isinstance(item, (int, float)) and _is_count_key(key):
            secret = False  # {"pass": 12, "fail": 0} are counts
        out[shown] = _masked(item) if secret else redact_data(item, personal=personal)
    return out


def _is_count_key(key: str) -> bool:
    return key.lower() in patterns.COUNT_KEY


def _key(key: str, personal: bool) -> tuple[str, bool]:
    """A key as it is shown, and whether its value is a secret."""
    secret = _known_keys.get((key, personal))
    if secret is not None:
        return key, secret
    shown, secret = redact(key, personal=personal), is_secret_key(key)
    if shown == key and len(key) <= _KNOWN_CHARACTERS:
        if len(_known_keys) >= _MAX_KNOWN_KEYS:
            _known_keys.clear()
        _known_keys[key, personal] = secret
    return shown, secret


def _items(value: list[Any] | tuple[Any, ...], *, personal: bool) -> list[Any]:
    out: list[Any] = []
    after_flag = False
    for item in value:
        out.append(_masked(item) if after_flag and isinstance(item, str) else redact_data(item, personal=personal))
        after_flag = isinstance(item, str) and item.startswith("-") and "=" not in item and is_secret_key(item)
    return out


def _masked(value: Any) -> Any:
    """``value`` with every leaf masked, except null, flags, and empty or harmless words."""
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and _is_harmless(value):
        return value
    return MARK


# What a value looks like ----------------------------------------------------------------------------------------------


def _is_harmless(value: str) -> bool:
    if patterns.REFERENCE.fullmatch(value) is not None:
        return True
    core = value.strip(".,;:!?")
    return not core or core.lower() in patterns.HARMLESS or _CODE.fullmatch(core) is not None


def _looks_secret(value: str, *, is_near: bool = True) -> bool:
    """Whether a word has the signs or the mixture of a password; stricter where it may be the name of something."""
    if len(value) < 4 or _is_harmless(value) or MARK in value or patterns.NOT_PASSWORD.match(value) is not None:
        return False
    has_digit = any(map(str.isdigit, value))
    has_lower = any(map(str.islower, value))
    has_upper = any(map(str.isupper, value))
    if not (has_digit or has_lower or has_upper):
        return False
    if patterns.PASSWORD_SIGN.search(value.rstrip("?!*.,")) is not None or (has_digit and value[-1] in "!*"):
        return True
    if patterns.NATIONAL_SIGN.search(value) is not None and (is_near or (has_lower and has_upper) or (has_lower and has_digit)):
        return True
    if not has_digit or len(value) < 6 or not (has_lower or has_upper):
        return False
    if is_near and has_lower:
        return True
    between = any(a.isdigit() and b.isalpha() for a, b in pairwise(value))
    return between or (has_lower and has_upper)


def _is_key(value: str) -> bool:
    return patterns.SECRET_KEY.search(value) is not None and value.isalpha()


def _is_prose(value: str, rest: str) -> bool:
    """Whether a word goes on as a sentence does: not a digit or sign in it, and another word after it."""
    return patterns.PROSE_WORD.fullmatch(value) is not None and value.islower() and rest[:1] in (" ", ",") and rest[1:2].isalpha()


def _inner(text: str, start: int, end: int) -> Span:
    """A value without its quotes."""
    quote = patterns.OPENING_QUOTE.match(text, start, end)
    if quote is None:
        return start, end
    start = quote.end()
    return start, end - len(quote[0]) if text.endswith(quote[0], start, end) else end


def _without_unmatched_closers(text: str, start: int, end: int) -> int:
    while (
        end > start
        and text[end - 1] in ")]}"
        and text.count(text[end - 1], start, end) > text.count({")": "(", "]": "[", "}": "{"}[text[end - 1]], start, end)
    ):
        end -= 1
    return end


# Secrets of a text ----------------------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[Span]:
    """Secrets that betray themselves, wherever they stand."""
    for probe, pattern in _SELF_BETRAYING:
        if probe in text:
            yield from (match.span("value") for match in pattern.finditer(text))
    yield from tokens.tokens(text)


def _secrets(text: str) -> Iterator[Span]:
    """Where secrets stand in a text of plain characters, in any order."""
    for probe, pattern in _BLOCKS:
        if probe in text:
            yield from (match.span("value") for match in pattern.finditer(text))
    yield from _tokens(text)
    lowered = text.lower()
    yield from _announced(text, lowered)
    yield from _options(text)
    if " /" in text or "/p" in lowered:
        yield from _slash_options(text)
    if "@" in text:
        yield from _logins(text)
    if ":5432:" in text or ":*:" in text:
        yield from _pgpass(text)


_BLOCKS = (("-----BEGIN", patterns.PRIVATE_KEY), ("Private-Lines", patterns.PUTTY_KEY))
_SELF_BETRAYING = (
    ("://", patterns.URL_USERINFO),
    ("://", patterns.URL_PASSWORD),
    ("{", patterns.ENCODED_PASSWORD),
    ("$", patterns.CRYPT_HASH),
    ("/", patterns.WEBHOOK),
    ("pass:", commands.OPENSSL_PASS),
)


def _announced(text: str, lowered: str) -> Iterator[Span]:
    """Secrets behind the words that announce one: keys, schemes and statements."""
    done = 0
    search = _ANNOUNCER.search
    match = search(lowered)
    while match is not None:
        end = match.end()
        for found in _finder(match[0])(text, lowered, match.start(), end, match[0]):
            yield found
            done = max(done, found[1])
        match = search(lowered, max(done, end))


_Finder = Callable[[str, str, int, int, str], Iterable[Span]]


def _by_key(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    return _KeyAt(text, lowered, start, end, word, is_weak=False).spans()


def _by_weak_key(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    return _KeyAt(text, lowered, start, end, word, is_weak=True).spans()


def _by_short_key(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    if start and lowered[start - 1].isalpha():
        is_camel = text[start].isupper() and (text[start - 1].islower() or text[start - 1].isdigit())
        if not is_camel or word not in _CAMEL:
            return ()
    if word == "pass" and (span := _ftp_pass(text, start, end)) is not None:
        return (span,)
    return _KeyAt(text, lowered, start, end, word, is_weak=False).spans()


def _by_pair(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    if spans := list(_by_statement(text, lowered, start, end, word)):
        return spans
    if start and (lowered[start - 1].isalnum() or lowered[start - 1] in "_-"):
        return ()
    return _KeyAt(text, lowered, start, end, word, is_weak=True).pair()


def _by_statement(text: str, lowered: str, start: int, end: int, word: str) -> Iterator[Span]:
    for statement in _STATEMENTS.get(word, ()):
        match = statement.pattern.match(text, start)
        if match is None or (statement.head is not None and statement.head.search(text, max(0, start - _WINDOW), start) is None):
            continue
        for group in ("value", "value2", "value3"):
            if group in match.re.groupindex and match[group]:
                inner = _inner(text, *match.span(group))
                value = text[slice(*inner)]
                if _looks_secret(value) if statement.is_likely else patterns.REFERENCE.fullmatch(value) is None:
                    yield inner


def _by_scheme(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    match = patterns.AFTER_SCHEME[word].match(text, end)
    if match is None or (start and lowered[start - 1].isalnum()):
        return ()
    value = match["value"]
    if word == "basic" and not _is_basic(value):
        return ()
    if word == "bearer" and len(value) < 20 and not any(map(str.isdigit, value)):
        return ()
    if word == "authorization":
        inner = _inner(text, *match.span("value"))
        return () if _is_harmless(text[slice(*inner)]) else (inner,)
    return (match.span("value"),)


def _by_vendor(text: str, lowered: str, start: int, end: int, word: str) -> Iterable[Span]:
    if start and lowered[start - 1].isalpha():
        return ()
    match = tokens.AFTER_VENDOR.match(text, end)
    return (match.span("value"),) if match is not None and tokens.looks_random(match["value"]) else ()


class _KeyAt:
    """A key at its place in a text, and the secrets that belong to it."""

    def __init__(self, text: str, lowered: str, start: int, end: int, word: str, *, is_weak: bool) -> None:
        self.text, self.lowered, self.start, self.end, self.word = text, lowered, start, end, word
        self.is_weak = is_weak

    def spans(self) -> Iterator[Span]:
        """The secrets, by the first of the forms that there is one in."""
        next_sign = self.text[self.end : self.end + 1]
        if "(" in self.text[self.end : self.end + 12] and (span := self._in_parentheses()) is not None:
            yield span
            return
        for form in self._forms(next_sign):
            if (span := form()) is not None:
                yield span
                break
        else:
            if (span := self._named_after()) is not None:
                yield span
        yield from self._column()

    def _forms(self, next_sign: str) -> Iterable[Callable[[], Span | None]]:
        if self.word.startswith("cred"):
            yield self.first_of_pair
        if "phrase" in self.word or "frase" in self.word:
            yield self._phrase
        if next_sign in "\"'>&" or next_sign in " \t":
            yield self._marked_up
        yield self._flag
        if (line_end := self.text.find("\n", self.end, self.end + 60)) >= 0 and self.text[self.end : line_end].strip(" \t\r:=|>+-,\\") == "":
            yield self._continued
        yield self._assigned
        yield self._spoken
        yield self._word
        if self.word == "passwd":
            yield self._statement
        yield self._declared
        yield self._next_line

    def pair(self) -> Iterator[Span]:
        """The password of a user and a password."""
        if (span := self.first_of_pair()) is not None:
            yield span

    def first_of_pair(self) -> Span | None:
        match = patterns.AFTER_PAIR.match(self.text, self.end)
        if match is None or _is_harmless(match["user"]):
            return None
        return self._likely(match)

    def _statement(self) -> Span | None:
        return next(_by_statement(self.text, self.lowered, self.start, self.end, self.word), None)

    def _sure(self, start: int, end: int) -> Span | None:
        inner_start, inner_end = _inner(self.text, start, end)
        if inner_start == start:
            inner_end = _without_unmatched_closers(self.text, start, end)
        value = self.text[inner_start:inner_end]
        return None if not value or _is_harmless(value) else (inner_start, inner_end)

    def _likely(self, match: re.Match[str], *, is_near: bool = True) -> Span | None:
        start, end = match.span("value")
        inner_start, inner_end = _inner(self.text, start, end)
        value = self.text[inner_start:inner_end]
        if inner_start > start:
            is_named = is_near and not self.is_weak and not match.groupdict().get("listed")
            is_secret = _looks_secret(value) or (is_named and not _is_key(value) and MARK not in value and not _is_harmless(value))
            return (inner_start, inner_end) if is_secret else None
        rest = patterns.REST_OF_WORD.match(self.text, end)
        whole = value + (rest[0] if rest is not None else "")
        core = whole.rstrip(".,;:!?*_~") if whole[-1:] in ".,;:*_~" or value[-1:] == "?" else whole
        if self.word == "psw" and patterns.STATUS_WORD.fullmatch(core) is not None:
            return None
        is_secret = _looks_secret(value, is_near=is_near) or (
            whole[len(value) : len(value) + 1] not in ("=", ":") and _looks_secret(core, is_near=is_near)
        )
        if not is_secret and not (is_near and self._is_led() and _is_name_like(core)):
            return None
        return start, start + len(core)

    def _is_led(self) -> bool:
        return patterns.LEAD.search(self.lowered, max(0, self.start - 24), self.start) is not None

    def _in_parentheses(self) -> Span | None:
        match = patterns.IN_PARENTHESES.match(self.text, self.end)
        if match is None:
            return None
        span = self._sure(*match.span("value"))
        if span is None:
            return None
        value = self.text[slice(*span)]
        return None if self.is_weak and span == match.span("value") and not _looks_secret(value) else span

    def _assigned(self) -> Span | None:
        match = patterns.AFTER_KEY.match(self.text, self.end)
        if match is None:
            return None
        span = self._sure(*match.span("value"))
        if span is None:
            return None
        start, end = span
        opening = match["opening"]
        while opening and end - 1 > start and self.text[end - 1] in "*_~|`" and self.text[end - 1] in opening:
            end -= 1
        value = self.text[start:end]
        if self.word == "psw" and patterns.STATUS_WORD.fullmatch(value) is not None:
            return None
        if self.word in patterns.COUNT_KEY and patterns.COUNT.fullmatch(value) is not None:
            return None
        if value.startswith("/") and self._is_directory():
            return None
        if self.is_weak and match["colon"] and _is_prose(value, self.text[end : end + 2]):
            return None
        return start, end

    def _is_directory(self) -> bool:
        """``PWD=/opt/app`` is a shell's working directory, not a password."""
        before = self.lowered[max(0, self.start - 4) : self.start]
        return self.word == "pwd" and not (before[-1:].isalnum() or before[-1:] == "_") or before.endswith("old")

    def _phrase(self) -> Span | None:
        match = patterns.AFTER_PHRASE.match(self.text, self.end)
        return None if match is None else self._sure(*match.span("value"))

    def _flag(self) -> Span | None:
        before = self.text[max(0, self.start - 48) : self.start]
        if not before or before[-1].isspace() or before[-1] in "\"'":
            return None
        flag = before.rsplit(None, 1)[-1].lstrip("\"'([")
        if not flag.startswith("-"):
            return None
        match = patterns.FLAG_VALUE.match(self.text, self.end)
        if match is None or match["value"].startswith("["):
            return None
        inner = _inner(self.text, *match.span("value"))
        return None if self.text[slice(*inner)] == MARK else inner

    def _marked_up(self) -> Span | None:
        text, end = self.text, self.end
        for pattern in (patterns.NAMED_VALUE, patterns.IN_ESCAPED_ELEMENT):
            if (match := pattern.match(text, end)) is not None:
                return None if _is_harmless(match["value"]) else match.span("value")
        match = patterns.IN_ELEMENT.match(text, end)
        if match is None or patterns.XML_HEAD.search(text, max(0, self.start - 64), self.start) is None:
            return None
        return match.span("value")

    def _spoken(self) -> Span | None:
        match = patterns.SPOKEN.match(self.text, self.end)
        if match is None:
            return None
        span = self._sure(*match.span("value"))
        if span is None:
            return None
        value = self.text[slice(*span)]
        if span != match.span("value"):  # in quotes
            return None if self.is_weak and not _looks_secret(value) else span
        core = value.rstrip(".,;:!?*_~`")
        if _looks_secret(core):
            return span[0], span[0] + len(core)
        is_last = patterns.SENTENCE_END.match(self.text, span[0] + len(core)) is not None
        if self.is_weak or not is_last or core.lower().endswith(patterns.PROSE_ENDINGS) or patterns.NOT_PASSWORD.match(core):
            return None
        return span[0], span[0] + len(core)

    def _word(self) -> Span | None:
        match = patterns.BEFORE_WORD.match(self.text, self.end)
        if match is None:
            return None
        return self._likely(match, is_near=not match["of"].strip() or not _names_something(match["of"]))

    def _declared(self) -> Span | None:
        match = patterns.DECLARED.match(self.text, self.end)
        return None if match is None or _is_harmless(match["value"]) else match.span("value")

    def _continued(self) -> Span | None:
        for pattern in (patterns.YAML_BLOCK, patterns.CONTINUED):
            if (match := pattern.match(self.text, self.end)) is not None:
                return match.span("value")
        return None

    def _next_line(self) -> Span | None:
        if self.text.find("\n", self.end, self.end + 240) < 0:
            return None
        match = patterns.ON_NEXT_LINE.match(self.text, self.end)
        if match is None:
            return None
        if match["colon"] is None:
            line = self.lowered[max(self.lowered.rfind("\n", max(0, self.start - 40), self.start) + 1, self.start - 40) : self.start]
            if line.strip(" \t*_#>`~-|[(h123456.") != "":
                return None
        return self._likely(match)

    def _named_after(self) -> Span | None:
        """``x as password``, ``x é a senha``, ``x (senha)``."""
        if self.text.startswith(")", self.end) and self.text.endswith(" (", 0, self.start):
            before = patterns.WORD_BEFORE.search(self.text, max(0, self.start - 160), self.start - 2)
            return None if before is None else self._likely(before)
        match = patterns.AS.search(self.text, max(0, self.start - 160), self.start) if self._is_named() else None
        return None if match is None else self._likely(match)

    def _is_named(self) -> bool:
        words = self.lowered[max(0, self.start - 24) : self.start].split()
        return bool(words) and (words[-1] in _NAMING or " ".join(words[-2:]) in _NAMING)

    def _column(self) -> Iterator[Span]:
        """The cells below a key that heads a column: between signs, or where the heading begins."""
        text, start, end = self.text, self.start, self.end
        if text.find("\n", end, end + 400) < 0:
            return
        line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        if start - line_start > _MAX_LINE or line_end - end > _MAX_LINE:
            return
        heading = text[line_start:line_end]
        sign = next((sign for sign in "|;\t," if sign in heading), "")
        if sign:
            cells = heading.split(sign)
            column = heading.count(sign, 0, start - line_start)
            if not _is_heading(cells[column], self.word):
                return
        elif not _is_heading(heading[max(0, start - line_start - 2) : end - line_start + 2], self.word) or not heading.strip()[len(self.word) :]:
            return
        place = line_end + 1
        for _ in range(_MAX_ROWS):
            next_end = text.find("\n", place)
            next_end = len(text) if next_end < 0 else next_end
            row = text[place : min(next_end, place + 2 * _MAX_LINE)]
            if sign:
                parts = row.split(sign)
                if len(parts) != len(cells):
                    return
                cell, first = parts[column], sum(len(part) + 1 for part in parts[:column])
            else:
                first = start - line_start
                cell = row[first:].split("  ")[0] if row[:first].endswith((" ", "\t")) or not first else ""
                if not row.strip():
                    return
            value = cell.strip(" \t\r\"'*`|")
            if value and _looks_secret(value, is_near=bool(sign)):
                at = place + first + cell.index(value)
                yield at, at + len(value)
            place = next_end + 1
            if place > len(text):
                return


_MAX_LINE, _MAX_ROWS = 400, 40


def _is_heading(cell: str, word: str) -> bool:
    """Whether a cell has nothing but a key in it."""
    return cell.strip(" \t\r\"'*`_").lower() == word


def _names_something(of: str) -> bool:
    return any(word in _PREPOSITIONS for word in of.lower().split())


def _is_name_like(value: str) -> bool:
    return len(value) >= 6 and any(map(str.isdigit, value)) and not value.isdigit() and not _is_harmless(value)


def _ftp_pass(text: str, start: int, end: int) -> Span | None:
    """``PASS x`` after a prompt, or on the line after ``USER y``."""
    line = text.rfind("\n", max(0, start - 100), start) + 1
    before = text[max(line, start - 100) : start]
    if not before.rstrip().endswith(">") and not (
        not before.strip() and patterns.USER_LINE.search(text, max(0, line - 100), line) is not None
    ):
        return None
    match = patterns.LAST_WORD.match(text, end)
    return None if match is None or match["value"].startswith(("[", "*")) else match.span("value")


def _options(text: str) -> Iterator[Span]:
    done = -1
    for hint in commands.OPTION_HINT.finditer(text):
        if hint.start() < done:
            continue
        start = text.rfind("\n", 0, hint.start()) + 1
        done = text.find("\n", hint.end())
        done = len(text) if done < 0 else done
        yield from ((start + first, start + last) for first, last in commands.option_values(text[start:done]))


def _slash_options(text: str) -> Iterator[Span]:
    for match in commands.SLASH_OPTION.finditer(text):
        start = match.start()
        if start and (text[start - 1].isalnum() or text[start - 1] in "/_"):
            continue
        if match["value3"] and commands.SLASH_USER.search(text, max(0, start - _WINDOW), start) is None:
            continue
        group = next(name for name in ("value", "value2", "value3") if match[name])
        inner = _inner(text, *match.span(group))
        if group != "value2" or _looks_secret(text[slice(*inner)]):
            yield inner


def _logins(text: str) -> Iterator[Span]:
    for match in commands.AT_HOST.finditer(text):
        head = commands.LOGIN_HEAD.search(text, max(0, match.start() - 100), match.start())
        if head is None or (head["value"] and commands.SERVICE.match(text, match.start()) is None):
            continue
        span = head.span("value" if head["value"] else "value2")
        if _looks_secret(text[slice(*span)]):
            yield span


def _pgpass(text: str) -> Iterator[Span]:
    for match in commands.PGPASS.finditer(text):
        if commands.PGPASS_HEAD.search(text, max(text.rfind("\n", 0, match.start()) + 1, match.start() - 200), match.start()):
            yield match.span("value")


def _is_basic(token: str) -> bool:
    """``Basic`` is also an English word: only what decodes to ``user:password`` is one."""
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


# Words that announce secrets ------------------------------------------------------------------------------------------

_CAMEL = frozenset(patterns.WORDS["keys"]["camel"])
_NAMING = frozenset(patterns.WORDS["as"])
_PREPOSITIONS = frozenset(patterns.WORDS["of"])
_STATEMENTS: dict[str, tuple[Statement, ...]] = {
    word: tuple(statement for statement in commands.STATEMENTS if word in statement.words)
    for word in {word for statement in commands.STATEMENTS for word in statement.words}
}
_NO_LETTER = r"(?![a-z0-9_])"
_ANNOUNCER = re.compile(
    patterns.either(
        (
            *patterns.KEY_PARTS,
            *(f"{word}(?=[^a-z]|hash|value|text|enc|plain|$)" for word in patterns.WORDS["keys"]["short"]),
            *(word + _NO_LETTER for word in patterns.WORDS["keys"]["pair"]),
            *(word + (_NO_LETTER if word[-1].isalnum() else "") for word in _STATEMENTS),
            *(word + _NO_LETTER for word in patterns.AFTER_SCHEME),
            *tokens.VENDORS,
        )
    )
)
_FINDERS: tuple[tuple[re.Pattern[str], _Finder], ...] = (
    (re.compile(patterns.either(patterns.AFTER_SCHEME)), _by_scheme),
    (re.compile(patterns.PAIR_KEY), _by_pair),
    (re.compile(patterns.SHORT_KEY), _by_short_key),
    (re.compile(patterns.STRONG_KEY), _by_key),
    (re.compile(patterns.WEAK_KEY), _by_weak_key),
    (re.compile(patterns.either(_STATEMENTS)), _by_statement),
    (re.compile(patterns.either(tokens.VENDORS)), _by_vendor),
)
_finders: dict[str, _Finder] = {}
"""The words met so far: as many as the vocabulary has, and the forms that its patterns allow."""


def _finder(word: str) -> _Finder:
    if word not in _finders:
        _finders[word] = next(finder for pattern, finder in _FINDERS if pattern.fullmatch(word) is not None)
    return _finders[word]


# Personal data --------------------------------------------------------------------------------------------------------


def _personal(text: str) -> str:
    text = patterns.EMAIL.sub(MARK, text)
    text = patterns.CNPJ.sub(MARK, text)
    text = patterns.CPF.sub(MARK, text)
    return patterns.BARE_DIGITS.sub(lambda m: MARK if _is_cpf(m[0]) or _is_cnpj(m[0]) else m[0], text)


def _check_digits(number: str, weights: tuple[tuple[int, ...], ...]) -> bool:
    """Modulo 11 over ASCII minus 48, as the Receita Federal defines it for CPF and for the alphanumeric CNPJ."""
    if len(set(number)) == 1:
        return False
    values = [ord(char) - 48 for char in number]
    for row in weights:
        rest = sum(v * w for v, w in zip(values, row, strict=False)) % 11
        if values[len(row)] != (0 if rest < 2 else 11 - rest):
            return False
    return True


def _is_cpf(number: str) -> bool:
    return len(number) == 11 and _check_digits(number, (tuple(range(10, 1, -1)), tuple(range(11, 1, -1))))


def _is_cnpj(number: str) -> bool:
    first = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return len(number) == 14 and _check_digits(number, (first, (6, *first)))
