"""HTML to sections, with the standard library's parser; menus, scripts and footers are skipped."""

import re
from html.parser import HTMLParser

from workers.knowledge.reading.documents import Section
from workers.knowledge.reading.outline import Outline, is_note

_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_SKIPPED = frozenset(("script", "style", "nav", "header", "footer", "aside", "template", "noscript", "svg", "form"))
_BLOCKS = frozenset(
    ("p", "div", "section", "article", "main", "ul", "ol", "dl", "table", "blockquote", "figure", "hr", "dt", "dd")
)
_LINES = frozenset(("br", "li", "tr"))
_CELLS = frozenset(("td", "th"))
_UNCLOSED = re.compile(r"<(?=[^<>]*(?:<|\Z))")
_MAX_UNCLOSED = 200
"""Most unclosed tags of a page: the parser searches the whole rest for the end of each one, in quadratic time."""


class _Reader(HTMLParser):
    """Collects text below headings. Tolerates broken nesting: only the depth of skipped tags is counted."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self._outline = Outline()
        self._text: list[str] = []
        self._heading: list[str] | None = None
        self._level = 0
        self._skipped: list[str] = []
        self._in_title = False
        self._title = ""
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # base class
        if tag in _SKIPPED:
            self._skipped.append(tag)
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self._unclosed_heading()
            self._heading, self._level = [], _HEADINGS[tag]
        elif tag == "pre":
            self._pre += 1
            self._append("\n\n")
        elif tag in _BLOCKS:
            self._append("\n\n")
        elif tag in _LINES:
            self._append("\n- " if tag == "li" else "\n")
        elif tag in _CELLS:
            self._append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS and self._heading is not None:
            heading = " ".join("".join(self._heading).split())
            self._heading = None
            if is_note(heading):
                self._text.append(f"\n\n{heading}\n\n")
            elif heading:
                self._close_section()
                self._outline.enter(self._level, heading)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
            self._text.append("\n\n")
        elif tag in _BLOCKS:
            self._text.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title += data
        elif self._skipped:
            return
        elif self._heading is not None:
            self._heading.append(data)
        else:
            self._text.append(data if self._pre else re.sub(r"\s+", " ", data))

    def _append(self, text: str) -> None:
        (self._text if self._heading is None else self._heading).append(text)

    def _unclosed_heading(self) -> None:
        """Treat a heading that was never closed as text: it has swallowed some."""
        if self._heading is not None:
            self._close_section()
            self._text.append("".join(self._heading))
            self._heading = None

    def _close_section(self) -> None:
        lines = [
            line.strip() if not line.startswith("    ") else line.rstrip() for line in "".join(self._text).split("\n")
        ]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        self._text = []
        if text:
            title = " ".join(self._title.split())
            headings = self._outline.headings or ((title,) if title else ())
            self.sections.append(Section(headings, text))

    def finish(self) -> tuple[Section, ...]:
        """The sections; to be called after the last ``feed``."""
        self.close()
        self._unclosed_heading()
        self._close_section()
        return tuple(self.sections)


def read_html(text: str) -> tuple[Section, ...]:
    """Split a page at its headings."""
    reader = _Reader()
    reader.feed(_bounded(text))
    return reader.finish()


def _bounded(text: str) -> str:
    """The page without comments and marked sections, and with unclosed tags as text when there are too many."""
    text = _without(text, "<!--", "-->")
    text = _without(text, "<![", ">")
    if len(_UNCLOSED.findall(text)) > _MAX_UNCLOSED:
        text = _UNCLOSED.sub("&lt;", text)
    return text


def _without(text: str, start: str, end: str) -> str:
    first, *parts = text.split(start)
    pieces = [first]
    for part in parts:
        _, separator, rest = part.partition(end)
        pieces.append(rest if separator else f"&lt;{start[1:]}{part}")
    return "".join(pieces)
