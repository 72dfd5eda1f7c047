"""Characters that no reader sees and some terminals obey.

Logs, questions and models may hold control characters, escape sequences, bidirectional overrides and characters of no
width: they drive a terminal, reorder what is read, or hide text from its reader.
"""

import re
from typing import Any

# Terminal sequences (ECMA-48): control sequences, those with a string up to its end, those that name a character set.
_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]++[0-~]"
)
# Unicode's Default_Ignorable_Code_Point, the marks of annotations, and halves of characters, which cannot be encoded.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
_TERMINAL = re.compile(_SEQUENCE)
_UNSEEN = re.compile(rf"{_SEQUENCE}|[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f{_IGNORABLE}]")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = (*range(32), *range(127, 160))
_AS_BLANKS = str.maketrans({code: " " for code in _CONTROLS if chr(code) not in "\t\n"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def visible(text: str) -> str:
    """``text`` without the characters that no reader sees and without terminal sequences.

    Newlines and tabs stay; every other end of a line is a newline. For all text of others that reaches a terminal, an
    answer or a model.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("", _LINE_END.sub("\n", text))


def visible_in(value: Any) -> Any:
    """JSON-like ``value`` with ``visible`` texts, those of its keys included."""
    match value:
        case str():
            return visible(value)
        case list():
            return [visible_in(item) for item in value]
        case dict():
            return {visible(key): visible_in(item) for key, item in value.items()}
    return value


def one_line(text: str, limit: int | None = 200) -> str:
    """``text`` without what no reader sees, its white space as single blanks, at most ``limit`` characters long."""
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def blank_controls(text: str) -> str:
    """``text`` with a blank in place of each control character but newlines and tabs: of the same length."""
    return text.translate(_AS_BLANKS)


def without_controls(text: str) -> str:
    """``text`` without terminal sequences, and a blank in place of each other control but newlines and tabs."""
    return text if text.isprintable() else blank_controls(_TERMINAL.sub("", text))


def has_control(text: str) -> bool:
    """Whether ``text`` holds a control character, a newline or a tab among them."""
    return _CONTROL.search(text) is not None


def caseless(text: str) -> str:
    """The text in lower case, as regular expressions that ignore case see it: of an i its dot is no part."""
    return text.lower() if text.isascii() else text.casefold().replace("\u0307", "").replace("ı", "i")
