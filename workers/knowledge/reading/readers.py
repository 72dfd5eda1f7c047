"""Files to documents, by their ending."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import PurePosixPath

from workers.knowledge.ranking.analysis import guess_language
from workers.knowledge.reading.documents import Document, Section
from workers.knowledge.reading.html import read_html
from workers.knowledge.reading.markdown import read_markdown
from workers.knowledge.reading.pdf import read_pdf

_LANGUAGE_FOLDERS = {"pt": "pt", "pt-br": "pt", "pt_br": "pt", "en": "en", "en-us": "en", "es": "es"}


def read_text(text: str) -> tuple[Section, ...]:
    """Plain text: one section, cut by size later."""
    return (Section((), text.replace("\r\n", "\n").strip()),) if text.strip() else ()


def _decoded(reader: Callable[[str], tuple[Section, ...]]) -> Callable[[bytes], tuple[Section, ...]]:
    def read(content: bytes) -> tuple[Section, ...]:
        return reader(_text(content))

    return read


def _text(content: bytes) -> str:
    """UTF-8, UTF-16 where its mark says so (as PowerShell writes), else what older files in Portuguese are in."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")  # every byte is a character in it, so this never fails


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


def folder_language(path: str) -> str | None:
    """The language that a folder of ``path`` names (``pt``, ``pt-br``, ``en``, ``es``), if one does."""
    folders = (part.lower() for part in PurePosixPath(path).parts[:-1])
    return next((_LANGUAGE_FOLDERS[part] for part in folders if part in _LANGUAGE_FOLDERS), None)


def twin_key(path: str) -> str:
    """``path`` without its language folder: the same for all translations of a page; empty without such a folder."""
    parts = PurePosixPath(path).parts
    kept = [part for part in parts[:-1] if part.lower() not in _LANGUAGE_FOLDERS]
    return "/".join((*kept, parts[-1])) if len(kept) < len(parts) - 1 else ""


def read_document(path: str, content: bytes) -> Document:
    """Read one file. Raises ValueError when the file cannot be read as what its ending says."""
    name = PurePosixPath(path)
    sections = READERS[name.suffix.lower()](content)
    title = next((section.headings[0] for section in sections if section.headings), name.stem)
    language = folder_language(path) or guess_language("\n".join(section.text for section in sections)[:8_000])
    return Document(title=title, language=language, sections=sections)
