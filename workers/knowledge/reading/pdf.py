"""PDF to sections, by its outline (bookmarks) where it has one, else by page. Needs the extra ``knowledge``."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.deadline import Deadline
from workers.knowledge.reading.documents import Section

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_TEXT = 20_000_000
"""Characters of one file; a manual of a thousand pages has three million."""
MAX_SECONDS = 300.0
"""For the pages of one file; a thousand pages of a manual take about a minute."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A bookmark: its depth from 1, its title, and its page from 0."""

    level: int
    title: str
    page: int


def read_pdf(content: bytes) -> tuple[Section, ...]:
    """Read a PDF.

    Raises ValueError for a damaged or encrypted file, for one that unpacks to more than a document holds, and when
    pypdf is not installed.
    """
    try:
        from pypdf import PdfReader  # noqa: PLC0415  # optional extra
        from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError  # noqa: PLC0415
    except ImportError:
        raise ValueError("PDF files need pypdf: pip install 'resync-troubleshoot[knowledge]'") from None
    try:
        reader = PdfReader(io.BytesIO(content))
        pages = _texts(reader)
        entries = list(_entries(reader, reader.outline, 1))
        title = " ".join(str(reader.metadata.title).split()) if reader.metadata and reader.metadata.title else ""
    except FileNotDecryptedError:
        raise ValueError("PDF that is encrypted with a password") from None
    except DependencyError:
        # Manuals that may not be changed are encrypted without a password, many of them by AES.
        raise ValueError("PDF that is encrypted by AES: pip install 'pypdf[crypto]'") from None
    except PyPdfError as error:
        raise ValueError(f"not a readable PDF: {error}") from error
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError) as error:
        # What a damaged file makes of the parser's assumptions.
        raise ValueError(f"damaged PDF: {type(error).__name__}") from error
    return tuple(_sections(_without_running_lines(pages, {entry.title for entry in entries}), entries, title))


def _texts(reader: PdfReader) -> list[str]:
    """Text of each page. A small file can unpack to a page without end, on any number of pages."""
    texts: list[str] = []
    deadline = Deadline.after(MAX_SECONDS)
    size = 0
    for page in reader.pages:
        text = page.extract_text() or ""
        size += len(text)
        if size > MAX_TEXT:
            raise ValueError(f"PDF with more than {MAX_TEXT} characters of text")
        if deadline.remaining() <= 0:
            raise ValueError(f"PDF whose pages take more than {MAX_SECONDS:g} s to read")
        texts.append(text)
    return texts


def _entries(reader: PdfReader, outline: list[Any], level: int) -> Iterator[_Entry]:
    for item in outline:
        if isinstance(item, list):
            yield from _entries(reader, item, level + 1)
        else:
            page = reader.get_destination_page_number(item)
            title = " ".join(str(item.title).split())
            if page is not None and page >= 0 and title:
                yield _Entry(level, title, page)


def _without_running_lines(pages: list[str], titles: set[str]) -> list[str]:
    """Pages without the header and footer line that repeats on most of them, whatever page number it carries."""
    if len(pages) < 4:
        return pages

    def shape(line: str) -> str:
        return re.sub(r"\d+", "#", line.strip())

    counts: Counter[str] = Counter()
    for page in pages:
        lines = [line for line in page.splitlines() if line.strip()]
        counts.update({shape(line) for line in (*lines[:1], *lines[-1:]) if line.strip() not in titles})
    running = {line for line, count in counts.items() if count >= 0.6 * len(pages)}
    return ["\n".join(line for line in page.splitlines() if shape(line) not in running) for page in pages]


def _sections(pages: list[str], entries: list[_Entry], title: str) -> Iterator[Section]:
    root = (title,) if title else ()
    if not entries:
        yield from _pages(pages, root)
        return
    cuts = [(entry.page, _find(pages[entry.page], entry.title), entry) for entry in entries if entry.page < len(pages)]
    cuts.sort(key=lambda cut: (cut[0], cut[1]))
    yield from _pages(pages[: cuts[0][0]] if cuts else pages, root)
    path: list[_Entry] = []
    for index, (page, start, entry) in enumerate(cuts):
        path = [parent for parent in path if parent.level < entry.level] + [entry]
        end_page, end, _ = cuts[index + 1] if index + 1 < len(cuts) else (len(pages) - 1, len(pages[-1]), entry)
        if end_page == page:
            text = pages[page][start:end]
        else:
            text = "\n".join((pages[page][start:], *pages[page + 1 : end_page], pages[end_page][:end]))
        text = _without_title(text, entry.title).strip()
        if text:
            yield Section((*root, *(parent.title for parent in path)), text)


def _pages(pages: list[str], root: tuple[str, ...]) -> Iterator[Section]:
    for number, text in enumerate(pages, start=1):
        if text.strip():
            yield Section((*root, f"p. {number}"), text.strip())


def _title_pattern(title: str) -> re.Pattern[str]:
    # Extracted text breaks lines where it likes.
    return re.compile(r"\s+".join(re.escape(word) for word in title.split()))


def _find(page: str, title: str) -> int:
    """Where the section begins on its page: at its title when that is found, else at the top."""
    match = _title_pattern(title).search(page)
    return match.start() if match else 0


def _without_title(text: str, title: str) -> str:
    match = _title_pattern(title).match(text.lstrip())
    return text.lstrip()[match.end() :] if match else text
