"""What a secret looks like, and what stands where one could and is none."""

import re
from itertools import pairwise

from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND
from orchestrator.redaction import patterns

MARK = "[REDACTED]"
"""Replacement for a secret."""

Span = tuple[int, int]
"""Where a secret stands in a text."""

# A job named after its purpose (RESET_PASSWORD: S0C7) must not cost the reader the code.
_CODE = re.compile(rf"(?:{SYSTEM_ABEND}|{USER_ABEND}|RC=?-?\d+|[A-Z]{{3,6}}\d{{3,4}}[IWESAD])", re.ASCII)
_CLOSERS = {")": "(", "]": "[", "}": "{"}


def is_harmless(value: str) -> bool:
    """Whether a value is a word of a message, a reference to a secret elsewhere, or a job log's code."""
    if patterns.REFERENCE.fullmatch(value) is not None:
        return True
    core = value.strip(".,;:!?")
    return not core or core.lower() in patterns.HARMLESS or _CODE.fullmatch(core) is not None


def looks_secret(value: str, *, is_near: bool = True) -> bool:
    """Whether a word has the signs or the mixture of a password; stricter where it may be the name of something."""
    if len(value) < 4 or is_harmless(value) or MARK in value or patterns.NOT_PASSWORD.match(value) is not None:
        return False
    has_digit, has_lower, has_upper = (any(map(test, value)) for test in (str.isdigit, str.islower, str.isupper))
    if not (has_digit or has_lower or has_upper):
        return False
    if patterns.PASSWORD_SIGN.search(value.rstrip("?!*.,")) is not None or (has_digit and value[-1] in "!*"):
        return True
    if patterns.NATIONAL_SIGN.search(value) is not None and (is_near or (has_lower and (has_upper or has_digit))):
        return True
    if not has_digit or len(value) < 6 or not (has_lower or has_upper):
        return False
    return (has_lower and (is_near or has_upper)) or any(a.isdigit() and b.isalpha() for a, b in pairwise(value))


def is_name_like(value: str) -> bool:
    """Whether a value is letters and digits as both names and passwords have them: the words around it must tell."""
    return len(value) >= 6 and any(map(str.isdigit, value)) and not value.isdigit() and not is_harmless(value)


def is_key(value: str) -> bool:
    """Whether a value is itself the name of a secret."""
    return value.isalpha() and patterns.SECRET_KEY.search(value) is not None


def is_prose(value: str, rest: str) -> bool:
    """Whether a word goes on as a sentence does: no digit, sign or capital in it, and another word after it."""
    is_word = value.islower() and patterns.PROSE_WORD.fullmatch(value) is not None
    return is_word and rest[:1] in (" ", ",") and rest[1:2].isalpha()


def inner(text: str, start: int, end: int) -> Span:
    """Where a value stands without its quotes."""
    quote = patterns.OPENING_QUOTE.match(text, start, end)
    if quote is None:
        return start, end
    start = quote.end()
    return start, end - len(quote[0]) if text.endswith(quote[0], start, end) else end


def without_unmatched_closers(text: str, start: int, end: int) -> int:
    """The end of a value before the brackets that close what was opened before it."""
    while end > start and (opener := _CLOSERS.get(text[end - 1])) is not None:
        if text.count(text[end - 1], start, end) <= text.count(opener, start, end):
            break
        end -= 1
    return end
