"""Secrets out of text and JSON data, before the store, the stream, the log and a model see them.

Deterministic, idempotent and linear in the length of the text: it is searched once for the words that announce secrets,
what may follow each is bounded, and a value that was found is not searched again. Codes, job names, paths, data set
names and run ids stay as they are. When in doubt about a value that stands where secrets stand, it goes: a lost word
costs less than a leaked one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from orchestrator.json_safe import utf8_safe
from orchestrator.redaction import patterns
from orchestrator.redaction.lines import quoted, through
from orchestrator.redaction.plain import Plain
from orchestrator.redaction.search import secrets, tokens
from orchestrator.redaction.values import MARK, Span, is_harmless
from orchestrator.tally import Tally

__all__ = [
    "CUT_MARGIN",
    "KINDS",
    "MARK",
    "REDACTED",
    "is_secret_item",
    "is_secret_key",
    "redact",
    "redact_data",
    "redact_start",
    "redacting",
]

CUT_MARGIN = 2_048
"""Characters that are read beyond a cut: more than a secret and the words that betray it have, unless they are in lines
that betray themselves, such as those of a private key."""
KINDS = ("token", "announced", "key", "private_key", "personal")
"""What betrays a secret: its own form, the words around it, the key or flag whose value it is; or what it is."""
REDACTED = Tally()
"""Pieces that this process has masked, each time it did, by their kind."""
_MAX_PASSES = 4
_personal_too: ContextVar[bool] = ContextVar("personal_too", default=False)
_WORD, _WORD_CHARACTERS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*"), 15
"""A word, and up to how many characters it cannot be a secret by itself: tokens with a prefix are longer."""


@contextmanager
def redacting(*, personal: bool) -> Iterator[None]:
    """In the block, ``personal`` is what it says wherever it is not given: for code that cuts texts far below."""
    before = _personal_too.get()
    _personal_too.set(personal)
    try:
        yield
    finally:
        # Not by a token, which another context refuses: a coroutine that is left behind is closed wherever it may be.
        _personal_too.set(before)


def redact(text: str, *, personal: bool = False) -> str:
    """Return ``text`` with every recognised secret replaced by ``MARK``.

    ``personal`` also takes out e-mail addresses and Brazilian CPF and CNPJ numbers; see also ``redacting``.
    """
    personal = personal or _personal_too.get()
    if len(text) <= _WORD_CHARACTERS and not personal and _WORD.fullmatch(text) is not None:
        return text
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
    return through(_without(quoted(text, _pass), tokens, "token"), _lines)


def _lines(text: str) -> str:
    """What is masked by the words around it; the result has as many lines."""
    return _without(_key_ends(text) if "-----END" in text else text, secrets, "announced")


def _key_ends(text: str) -> str:
    """The last lines of private keys whose beginning was cut off: the very last may be too short to look random."""
    lines = text.split("\n")
    is_in_key = False
    for index in range(len(lines) - 1, -1, -1):
        if is_in_key and patterns.KEY_LINE.fullmatch(lines[index]) is not None:
            lines[index] = MARK
            REDACTED.add("private_key")
        else:
            is_in_key = patterns.KEY_END.match(lines[index]) is not None
    return "\n".join(lines)


def _without(text: str, find: Callable[[str], Iterator[Span]], kind: str) -> str:
    """``text`` with ``MARK`` where ``find`` finds secrets of a ``kind`` in it, read as plain characters."""
    plain = Plain(text)
    out: list[str] = []
    done = 0
    for start, end in _merged(sorted(plain.original(start, end) for start, end in find(plain.text) if start < end)):
        out += (text[done:start], _marked(text[start:end]))
        done = end
        if MARK not in text[start:end]:  # what is masked already is found again
            REDACTED.add(kind)
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
    return "\n".join(
        line[: len(line) - len(line.lstrip())] + MARK if line.strip() else line for line in secret.split("\n")
    )


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
    personal = personal or _personal_too.get()
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


def is_secret_item(value: Mapping[Any, Any], key: str) -> bool:
    """Whether a mapping has a secret under ``key``, by its name or as ``{"name": "DB_PASSWORD", "value": ...}``."""
    return is_secret_key(key) or (key.lower() == "value" and _names_secret(value))


def _names_secret(value: Mapping[Any, Any]) -> bool:
    return is_secret_key(next((value[k] for k in ("name", "key", "Name", "Key") if isinstance(value.get(k), str)), ""))


def _mapping(value: Mapping[Any, Any], *, personal: bool) -> dict[Any, Any]:
    named_secret = _names_secret(value)
    out: dict[Any, Any] = {}
    for key, item in value.items():
        shown, secret = key, False
        if isinstance(key, str):
            shown, secret = _key(key, personal)
            secret = secret or (named_secret and key.lower() == "value")
        if secret and isinstance(item, (int, float)) and key.lower() in patterns.COUNT_KEY:
            secret = False  # {"pass": 12, "fail": 0} are counts
        out[shown] = _masked(item) if secret else redact_data(item, personal=personal)
    return out


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
    if isinstance(value, str) and is_harmless(value):
        return value
    if value != MARK:
        REDACTED.add("key")
    return MARK


# Personal data --------------------------------------------------------------------------------------------------------


def _personal(text: str) -> str:
    for pattern in (patterns.EMAIL, patterns.CNPJ, patterns.CPF):
        text, count = pattern.subn(MARK, text)
        REDACTED.add("personal", count)
    return patterns.BARE_DIGITS.sub(_personal_digits, text)


def _personal_digits(match: re.Match[str]) -> str:
    if not (_is_cpf(match[0]) or _is_cnpj(match[0])):
        return match[0]
    REDACTED.add("personal")
    return MARK


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
