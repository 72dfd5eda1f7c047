"""Characters that no reader sees and some terminals obey.

Logs, questions and models may hold control characters, escape sequences, bidirectional overrides and characters of no
width: they drive a terminal, reorder what is read, or hide text from its reader.
"""

import re

_UNSEEN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_CONTROLS = (*range(32), *range(127, 160))
_AS_BLANKS = str.maketrans({code: " " for code in _CONTROLS if chr(code) not in "\t\n"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def visible(text: str) -> str:
    """``text`` without the characters that no reader sees; newlines and tabs stay."""
    return _UNSEEN.sub("", text)


def one_line(text: str, limit: int | None = 200) -> str:
    """``text`` without what no reader sees, its white space as single blanks, at most ``limit`` characters long."""
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def blank_controls(text: str) -> str:
    """``text`` with a blank in place of each control character but newlines and tabs: of the same length."""
    return text.translate(_AS_BLANKS)


def has_control(text: str) -> bool:
    """Whether ``text`` holds a control character, a newline or a tab among them."""
    return _CONTROL.search(text) is not None


def caseless(text: str) -> str:
    """The text in lower case, as regular expressions that ignore case see it: of an i its dot is no part."""
    return text.lower() if text.isascii() else text.casefold().replace("\u0307", "").replace("ı", "i")
