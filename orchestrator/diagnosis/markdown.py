"""Text of logs, users and models as Markdown that shows it and does nothing: no HTML, link, image, heading or fence.

Codes, names and commands stay as they are: what is not active in Markdown (CommonMark, GitHub's tables and automatic
links included) is not touched.
"""

import re
from collections.abc import Callable

from orchestrator.codes.control import one_line, visible

# A span of code, as the text itself has it: what stands in it is shown verbatim already.
_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)([^`]{1,2000})(?<!`)\1(?!`)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
# Text and address of a link or an image: [text](address), ![text](address)
_LINK = re.compile(r"\](?=[(:])")
_URL = re.compile(r"\b(?:[A-Za-z][A-Za-z0-9+.-]{1,20}://|www\.(?=\w)|mailto:)[^\s<>`\"'“”«»)\]]{1,2000}(?<![.,;:!?])")
_BLOCK_START = re.compile(
    r"^(\d{0,9})((?<=\d)[.)](?=\s|$)|(?<!\d)(?:#{1,6}(?=\s|$)|>|[-+*](?=\s|$)|[=~|]|-{3}|\*{3}|_{3}))"
)
_LINE_BREAK = " ⏎ "


def inert(text: str) -> str:
    """``text`` on one line, safe within a sentence or an item of a list; spans of code stay spans of code."""
    return _outside_code(one_line(text, limit=None), _quiet)


def inert_block(text: str) -> str:
    """As ``inert``, for text that begins a block: what would make it a heading, a quotation or a list is escaped."""
    return _BLOCK_START.sub(r"\1\\\2", inert(text))


def code(text: str) -> str:
    """``text`` as a span of code on one line, whatever back-ticks it holds."""
    line = _LINE_BREAK.join(part for part in (visible(line).strip() for line in text.splitlines()) if part)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    out: list[str] = []
    done = 0
    for match in _CODE.finditer(text):
        out += (change(text[done : match.start()]), match[0])
        done = match.end()
    return "".join((*out, change(text[done:])))


def _quiet(text: str) -> str:
    """Text without spans of code: a back-tick left in it would pair with one that comes after."""
    text = text.replace("`", "'")
    out: list[str] = []
    done = 0
    for match in _URL.finditer(text):
        out += (_no_markup(text[done : match.start()]), f"`{match[0]}`")
        done = match.end()
    return "".join((*out, _no_markup(text[done:])))


def _no_markup(text: str) -> str:
    return _LINK.sub("]\\\\", _TAG.sub("&lt;", text))
