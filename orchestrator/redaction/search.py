"""Where the secrets of a text stand: one search for the words that announce them, some for what betrays itself."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator

from orchestrator.redaction import commands, patterns, vendors
from orchestrator.redaction.commands import Statement
from orchestrator.redaction.keys import Columns, Key, Word
from orchestrator.redaction.values import Span, inner, is_harmless, looks_secret

_WINDOW = 120
"""Characters before a word that tell what it means."""
_BLOCKS = (("-----BEGIN", patterns.PRIVATE_KEY), ("Private-Lines", patterns.PUTTY_KEY))
_SELF_BETRAYING = (
    ("://", patterns.URL_USERINFO),
    ("://", patterns.URL_PASSWORD),
    ("{", patterns.ENCODED_PASSWORD),
    ("$", patterns.CRYPT_HASH),
    ("/", patterns.WEBHOOK),
    ("pass:", commands.OPENSSL_PASS),
)


def tokens(text: str) -> Iterator[Span]:
    """Secrets that betray themselves, wherever they stand; in any order."""
    for probe, pattern in _SELF_BETRAYING:
        if probe in text:
            yield from (match.span("value") for match in pattern.finditer(text))
    yield from vendors.tokens(text)


def secrets(text: str) -> Iterator[Span]:
    """The secrets of a text of plain characters; in any order, and some of them twice."""
    for probe, pattern in _BLOCKS:
        if probe in text:
            yield from (match.span("value") for match in pattern.finditer(text))
    yield from tokens(text)
    lowered = text.lower()
    yield from _announced(text, lowered)
    yield from _options(text)
    if " /" in text or "/p" in lowered:
        yield from _slash_options(text)
    if "@" in text:
        yield from _logins(text)
    if ":5432:" in text or ":*:" in text:
        yield from _pgpass(text)


def _announced(text: str, lowered: str) -> Iterator[Span]:
    """Secrets behind the words that announce one: keys, schemes and statements."""
    done = 0
    columns = Columns(text)
    match = _ANNOUNCER.search(lowered)
    while match is not None:
        word = Word(text, lowered, *match.span(), match[0])
        find = _finder(match[0])
        done = match.end()
        for span in find(word):
            yield span
            done = max(done, span[1])
        if find in _KEY_FINDERS:
            yield from columns.below(word)
        match = _ANNOUNCER.search(lowered, done)


_Finder = Callable[[Word], Iterable[Span]]


def _key(word: Word, *, is_weak: bool = False) -> Iterable[Span]:
    span = Key(word.text, word.lowered, word.start, word.end, word.word, is_weak).secret()
    return () if span is None else (span,)


def _strong_key(word: Word) -> Iterable[Span]:
    return _key(word) or list(_statement(word))


def _weak_key(word: Word) -> Iterable[Span]:
    return _key(word, is_weak=True)


def _short_key(word: Word) -> Iterable[Span]:
    before = word.text[word.start - 1 : word.start]
    is_property = word.before(3)[-2:] == "-d" and word.text[word.start - 1] == "D"  # java -Dpw=x
    if not is_property and (before.isalpha() or (before.isdigit() and word.word not in _CAMEL)):
        is_camel = word.word in _CAMEL and word.text[word.start].isupper() and before.islower()
        if not is_camel:
            return ()
    if word.word == "pass" and (span := _ftp_pass(word)) is not None:
        return (span,)
    return _key(word)


def _pair(word: Word) -> Iterable[Span]:
    if spans := list(_statement(word)):
        return spans
    if (before := word.before(1)) and (before.isalnum() or before in "_-"):
        return ()
    span = Key(word.text, word.lowered, word.start, word.end, word.word, is_weak=True).password_of_pair()
    return () if span is None else (span,)


def _statement(word: Word) -> Iterator[Span]:
    for statement in _STATEMENTS.get(word.word, ()):
        match = statement.pattern.match(word.text, word.start)
        if match is None:
            continue
        head = statement.head
        if head is not None and head.search(word.text, max(0, word.start - _WINDOW), word.start) is None:
            continue
        for group in match.re.groupindex:
            if group.startswith("value") and match[group]:
                span = inner(word.text, *match.span(group))
                value = word.text[slice(*span)]
                if looks_secret(value) if statement.is_likely else patterns.REFERENCE.fullmatch(value) is None:
                    yield span


def _scheme(word: Word) -> Iterable[Span]:
    match = patterns.AFTER_SCHEME[word.word].match(word.text, word.end)
    if match is None or word.before(1).isalnum():
        return ()
    span = inner(word.text, *match.span("value"))
    value = word.text[slice(*span)]
    if word.word == "basic":
        return (span,) if _is_basic(value) else ()
    if word.word == "bearer":
        return (span,) if len(value) >= 20 or any(map(str.isdigit, value)) else ()
    return () if is_harmless(value) else (span,)


def _vendor(word: Word) -> Iterable[Span]:
    match = None if word.before(1).isalpha() else vendors.AFTER_VENDOR.match(word.text, word.end)
    return (match.span("value"),) if match is not None and vendors.is_of_vendor(match["value"]) else ()


def _ftp_pass(word: Word) -> Span | None:
    """``PASS x`` after a prompt, or on the line after ``USER y``."""
    line = max(word.text.rfind("\n", 0, word.start) + 1, word.start - 100)
    before = word.text[line : word.start].strip()
    is_command = before.endswith(">") or (
        not before and patterns.USER_LINE.search(word.text, max(0, line - 100), line) is not None
    )
    match = patterns.LAST_WORD.match(word.text, word.end) if is_command else None
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
        span = inner(text, *match.span(group))
        if group != "value2" or looks_secret(text[slice(*span)]):
            yield span


def _logins(text: str) -> Iterator[Span]:
    for match in commands.AT_HOST.finditer(text):
        head = commands.LOGIN_HEAD.search(text, max(0, match.start() - 100), match.start())
        if head is None or (head["value"] and commands.SERVICE.match(text, match.start()) is None):
            continue
        span = head.span("value" if head["value"] else "value2")
        if looks_secret(text[slice(*span)]):
            yield span


def _pgpass(text: str) -> Iterator[Span]:
    for match in commands.PGPASS.finditer(text):
        if commands.PGPASS_HEAD.search(
            text, max(text.rfind("\n", 0, match.start()) + 1, match.start() - 200), match.start()
        ):
            yield match.span("value")


def _is_basic(token: str) -> bool:
    """``Basic`` is also an English word: only what decodes to ``user:password`` is one."""
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


# Words that announce secrets ------------------------------------------------------------------------------------------

_CAMEL = frozenset(patterns.WORDS["keys"]["camel"])
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
            *vendors.VENDORS,
        )
    )
)
_FINDERS: tuple[tuple[re.Pattern[str], _Finder], ...] = (
    (re.compile(patterns.either(patterns.AFTER_SCHEME)), _scheme),
    (re.compile(patterns.PAIR_KEY), _pair),
    (re.compile(patterns.SHORT_KEY), _short_key),
    (re.compile(patterns.STRONG_KEY), _strong_key),
    (re.compile(patterns.WEAK_KEY), _weak_key),
    (re.compile(patterns.either(_STATEMENTS)), _statement),
    (re.compile(patterns.either(vendors.VENDORS)), _vendor),
)
_KEY_FINDERS = (_strong_key, _weak_key, _short_key)
_finders: dict[str, _Finder] = {}
"""The words met so far: as many as the vocabulary has, and the forms that its patterns allow."""


def _finder(word: str) -> _Finder:
    if word not in _finders:
        _finders[word] = next(finder for pattern, finder in _FINDERS if pattern.fullmatch(word) is not None)
    return _finders[word]
