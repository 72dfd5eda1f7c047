"""Markdown from nodes, by one writer that escapes every text: what others wrote is shown, character by character.

A text is a plain ``str``, whoever wrote it, and becomes no element, whatever stands in it: it is escaped as CommonMark
defines it, with GitHub's extensions (tables, strikethrough, task lists, automatic links). All marks are nodes. An
address that a renderer would make a link by itself is shown as code, because some look for addresses in what is
escaped, too.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.codes.control import visible

_LINE_BREAK = " ⏎ "


@dataclass(frozen=True, slots=True)
class Code:
    """A span of code, whatever back-ticks it holds."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """A text in bold."""

    text: str


@dataclass(frozen=True, slots=True)
class Emphasis:
    """Inline nodes in italics; a line of its own."""

    line: "Line"


Inline: TypeAlias = str | Code | Strong | Emphasis
Line: TypeAlias = Sequence[Inline]
"""What stands in one line; texts are joined as they are, the white space in them as single blanks."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, of level 2 unless it says another."""

    line: Line
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that follow each other."""

    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: Sequence[Line]
    is_numbered: bool = False


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Lines of code in a language."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the page."""


Block: TypeAlias = Heading | Paragraph | Items | CodeBlock | Rule


def paragraph(*line: Inline) -> Paragraph:
    """A paragraph of one line."""
    return Paragraph((line,))


_MARKS = re.compile(r"(?<!`)`([^`\n]{1,2000})`(?!`)")


def prose(sentence: str) -> Line:
    """A sentence of a diagnosis as nodes: what it has between a pair of back-ticks is code.

    In the sentences of the rules back-ticks are marks of ours: a fact in them has none (``i18n.message.sentence``).
    """
    parts: list[Inline] = []
    done = 0
    for match in _MARKS.finditer(sentence):
        parts += (sentence[done : match.start()], Code(match[1]))
        done = match.end()
    return (*parts, sentence[done:])


def write_markdown(blocks: Iterable[Block]) -> str:
    """The Markdown of ``blocks``; those without content are left out."""
    return "\n\n".join(text for block in blocks if (text := _block(block))) + "\n"


def write_line(line: Line) -> str:
    """The Markdown of a line, for a paragraph or an item of a list that is put together elsewhere."""
    return _at_start(_inline(line))


def write_plain(line: Line, quote: str = '"') -> str:
    """The line as one of plain text, its code between ``quote``."""
    return " ".join("".join(map(visible, _plain(line, quote))).split())


def _plain(line: Line, quote: str) -> Iterator[str]:
    for node in line:
        match node:
            case str():
                yield node
            case Code(text):
                yield f"{quote}{text}{quote}"
            case Strong(text):
                yield text
            case Emphasis(inner):
                yield from _plain(inner, quote)


def _block(block: Block) -> str:
    match block:
        case Heading(line, level):
            text = _CLOSING.sub(r"\\\1", _inline(line))
            return f"{'#' * level} {text}" if text else ""
        case Paragraph(lines):
            return "  \n".join(filter(None, map(write_line, lines)))
        case Items(items, is_numbered):
            texts = filter(None, map(write_line, items))
            marks = (f"{number}." for number in range(1, len(items) + 1)) if is_numbered else ("-" for _ in items)
            return "\n".join(f"{mark} {text}" for mark, text in zip(marks, texts, strict=False))
        case CodeBlock(text, language):
            fence = "`" * max(3, _longest_run(text) + 1)
            return f"{fence}{language}\n{text}\n{fence}"
        case Rule():
            return "---"


def _inline(line: Line) -> str:
    """The line with every text escaped; neighbouring spans of code are one, because their marks would run together."""
    nodes: list[Inline] = []
    for node in _nodes(line):
        if isinstance(node, Code) and nodes and isinstance(nodes[-1], Code):
            nodes[-1] = Code(nodes[-1].text + node.text)
        else:
            nodes.append(node)
    return "".join(map(_written, nodes)).strip()


def _nodes(line: Line) -> Iterator[Inline]:
    """The nodes, neighbouring texts as one, because what they mean may lie across them; addresses in them as code."""
    text = ""
    for node in line:
        if isinstance(node, str):
            # Each by itself: the end of one and the start of the next are no terminal sequence.
            text += visible(node)
            continue
        yield from _parted(text)
        text = ""
        yield node
    yield from _parted(text)


def _parted(text: str) -> Iterator[Inline]:
    """``text`` with single blanks, its addresses as code."""
    text, done = " ".join(f"|{text}|".split())[1:-1], 0
    for match in _ADDRESS.finditer(text) if _MAY_HOLD_ADDRESS.search(text) else ():
        if match.start() > done:
            yield text[done : match.start()]
        yield Code(match[0])
        done = match.end()
    if done < len(text):
        yield text[done:]


def _written(node: Inline) -> str:
    match node:
        case str():
            return _SPECIAL.sub(_escaped, node)
        case Code(text):
            return code(text)
        case Strong(text):
            mark, inner = "**", _inline((text,))
        case Emphasis(line):
            mark, inner = "*", _inline(line)
    return f"{mark}{inner}{mark}" if inner else ""


def code(text: str) -> str:
    """``text`` as a span of code on one line, whatever back-ticks it holds; of nothing nothing."""
    line = _LINE_BREAK.join(part for part in (" ".join(part.split()) for part in visible(text).split("\n")) if part)
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0) if "`" in text else 0


# What renderers make links of by themselves: an address with its scheme, of a web server, of a mailbox.
_ADDRESS = re.compile(
    r"(?:[A-Za-z0-9+.-]{0,20}://(?=\w)|(?:www\.|(?:mailto|xmpp):)(?=[\w@]))[^\s<>`\"'“”«»)\]]{1,2000}(?<![.,;:!?])"
    r"|[\w.+=:;&$,-]{1,64}@[\w-]{0,255}(?:\.[\w-]{1,255}){1,20}",
    re.IGNORECASE,
)
_MAY_HOLD_ADDRESS = re.compile(r"://|www\.|@|mailto:|xmpp:", re.IGNORECASE)
_TOP_LEVEL = "[a-z]{2}|biz|com|edu|gov|net|org|pro|web|xxx|aero|asia|coop|info|museum|name|shop|рф|xn--[a-z0-9-]{1,59}"
# Each character first, and what makes it special behind it: so the search passes over all others at once.
_SPECIAL = re.compile(
    r"[\\`*~_\[\]<&:./](?:(?<=[`*~])|(?<=_)_*|(?<=\\)(?=[!-/:-@\[-`{-~\s]|$)"
    # Links, images, notes and their definitions; what stands in brackets alone is none.
    r"|(?<=\[)(?=[\[^])|(?<=[!^]\[)|(?<=\])(?=[(\[:])"
    # Names that some renderers link without a scheme.
    r"|(?<=//)(?=localhost|[^\s/]{1,253}\.)|(?<=:)(?=//)|(?<=www\.)"
    rf"|(?<=\.)(?=(?:{_TOP_LEVEL})(?![^\W_]))"
    r"|(?<=<)(?=[A-Za-z/!?]|[^\s<>]*@)|(?<=&)(?=\#?[A-Za-z0-9]{1,50};))",
    re.IGNORECASE,
)
# A file behind a directory is taken for no host.
_IN_A_PATH = re.compile(r"(?<!/)/[A-Za-z0-9-]*\Z")
# A definition of a link is one wherever its colon stands, within a span of code as well.
_START = re.compile(
    r"(\d{0,9})((?<=\d)[.)](?=\s|$)|(?<!\d)(?:#{1,6}(?=\s|$)|[>|=]|[-+](?=\s|$)|[-:](?=[-:|\s]*$)|\[(?=[ x]\]|.*\]:)))",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"(?:(?<=\s)|^)(#+)$")


def _escaped(match: re.Match[str]) -> str:
    sign, (start, end) = match[0], match.span()
    match sign[0]:
        case "<":
            return "&lt;"
        case "&":
            return "&amp;"
        case "`":
            # Some renderers pair an escaped one with that of a span of code behind it.
            return "&#96;"
        case "_":
            # Between letters or digits it is none of Markdown's.
            before, behind = match.string[max(0, start - 1) : start], match.string[end : end + 1]
            return sign if before.isalnum() and behind.isalnum() else "\\_" * len(sign)
        case "." if _IN_A_PATH.search(match.string, max(0, start - 64), start):
            return sign
    return f"\\{sign}"


def _at_start(text: str) -> str:
    """``text`` where a block begins: a paragraph, whatever its first characters are."""
    match = _START.match(text)
    return f"{match[1]}\\{text[match.end(1) :]}" if match else text
