"""Markdown to sections: ATX and setext headings; fenced code is text, front matter is skipped."""

import re

from workers.knowledge.reading.documents import Section
from workers.knowledge.reading.outline import Outline, is_note

_ATX = re.compile(r" {0,3}(#{1,6})\s+(.*)")
_SETEXT = re.compile(r" {0,3}(=+|-+)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_MAX_HEADING = 1_000
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(\*\*|__)(.+?)\1"), r"\2"),
    (re.compile(r"`([^`]*)`"), r"\1"),
)


def plain(heading: str) -> str:
    """A heading without inline markup."""
    if len(heading) > _MAX_HEADING:  # not a heading, and too long for patterns with look-ahead
        return heading[:_MAX_HEADING].strip()
    for pattern, replacement in _INLINE:
        heading = pattern.sub(replacement, heading)
    return heading.strip()


def read_markdown(text: str) -> tuple[Section, ...]:
    """Split ``text`` at its headings; the text of each section stays unchanged."""
    text = FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    sections: list[Section] = []
    outline = Outline()
    body: list[str] = []
    fence = ""

    def close() -> None:
        content = "\n".join(body).strip()
        if content:
            sections.append(Section(outline.headings, content))
        body.clear()

    for line in text.split("\n"):
        marker = _FENCE.match(line)
        if fence:
            if marker and marker.group(1).startswith(fence):
                fence = ""
            body.append(line)
            continue
        if marker:
            fence = marker.group(1)
            body.append(line)
            continue
        level, heading = _heading(line, body)
        if level:
            if _SETEXT.fullmatch(line.rstrip()):
                body.pop()
            if is_note(name := plain(heading)):
                body += ["", name]
                continue
            close()
            outline.enter(level, name)
        else:
            body.append(line)
    close()
    return tuple(sections)


def _heading(line: str, body: list[str]) -> tuple[int, str]:
    """``(level, heading)`` when ``line`` is or underlines a heading, else ``(0, "")``."""
    stripped = line.rstrip()  # so that no pattern has to match trailing blanks
    atx = _ATX.fullmatch(stripped)
    if atx:
        text = atx[2].rstrip("#")
        return len(atx[1]), text.rstrip() if not text or text[-1].isspace() else atx[2]
    underline = _SETEXT.fullmatch(stripped)
    if underline and body and body[-1].strip() and (len(body) == 1 or not body[-2].strip()):
        return (1 if underline.group(1)[0] == "=" else 2), body[-1]
    return 0, ""
