"""Files to documents, by file name extension."""

import codecs
from collections.abc import Callable
from functools import cache
from pathlib import PurePosixPath

from orchestrator.redaction.redact import redact
from workers.knowledge.ranking.analysis import by_language, guess_language
from workers.knowledge.reading.documents import Document, Section
from workers.knowledge.reading.html import read_html
from workers.knowledge.reading.markdown import FRONT_MATTER, read_markdown
from workers.knowledge.reading.messages import split_messages
from workers.knowledge.reading.pdf import read_pdf
from workers.knowledge.reading.standing import find_standing


def read_text(text: str) -> tuple[Section, ...]:
    """Plain text as one section, which is cut by size later."""
    return (Section((), text.replace("\r\n", "\n").strip()),) if text.strip() else ()


def _decoded(reader: Callable[[str], tuple[Section, ...]]) -> Callable[[bytes], tuple[Section, ...]]:
    def read(content: bytes) -> tuple[Section, ...]:
        return reader(_text(content))

    return read


def _text(content: bytes) -> str:
    """Decode UTF-16 with a byte order mark (as PowerShell writes), UTF-8, else the code page of older files."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")  # never fails: every byte is a character


READERS: dict[str, Callable[[bytes], tuple[Section, ...]]] = {
    ".md": _decoded(read_markdown),
    ".markdown": _decoded(read_markdown),
    ".txt": _decoded(read_text),
    ".log": _decoded(read_text),
    ".html": _decoded(read_html),
    ".htm": _decoded(read_html),
    ".xhtml": _decoded(read_html),
    ".pdf": read_pdf,
}


@cache
def _language_folders() -> dict[str, str]:
    """Language by the name of a folder whose pages are in it: its code, or one that its ``language.toml`` lists."""
    return {name: language for language, names in by_language("folders").items() for name in (language, *names)}


def folder_language(path: str) -> str | None:
    """The language named by a folder of ``path`` (``pt``, ``pt-br``, ``en``, ``es``); None without one."""
    languages = (_language_folders().get(part.lower()) for part in PurePosixPath(path).parts[:-1])
    return next(filter(None, languages), None)


def twin_key(path: str) -> str:
    """``path`` without its language folder, equal for all translations of a page; empty without such a folder."""
    parts = PurePosixPath(path).parts
    rest = [part for part in parts[:-1] if part.lower() not in _language_folders()]
    return "/".join((*rest, parts[-1])) if len(rest) < len(parts) - 1 else ""


def read_document(path: str, content: bytes) -> Document:
    """Read one file. Raises UnreadableDocument when its content does not fit its extension."""
    name = PurePosixPath(path)
    sections = tuple(split_messages(READERS[name.suffix.lower()](content)))
    title = redact(next((section.headings[0] for section in sections if section.headings), name.stem))
    language = folder_language(path) or guess_language("\n".join(section.text for section in sections)[:8_000])
    front_matter = FRONT_MATTER.match(_text(content)) if name.suffix.lower() in (".md", ".markdown") else None
    head = "\n".join((front_matter[0] if front_matter else "", *(section.text for section in sections[:2])))
    return Document(title, language, sections, find_standing(path, title, head))
