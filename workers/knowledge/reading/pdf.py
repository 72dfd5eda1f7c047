"""PDF to sections, by its outline (bookmarks), else by page. Needs the extra ``knowledge``."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.deadline import Deadline
from workers.knowledge.reading.documents import Section, UnreadableDocument
from workers.knowledge.reading.outline import Outline, is_note

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_TEXT = 20_000_000
"""Most characters of one file; a manual of a thousand pages has three million."""
MAX_SECONDS = 300.0
"""Limit for reading one file; a manual of a thousand pages takes about a minute."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A bookmark: its depth from 1, its title, and its page from 0."""

    level: int
    title: str
    page: int


def read_pdf(content: bytes) -> tuple[Section, ...]:
    """Read a PDF.

    Raises UnreadableDocument for a damaged, encrypted or oversized file, and when pypdf is not installed.
    """
    try:
        from pypdf import PdfReader  # noqa: PLC0415  # optional extra
        from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError  # noqa: PLC0415
    except ImportError:
        raise UnreadableDocument(
            "PDF files need {package}: pip install {what}",
            package="pypdf",
            what="'resync-troubleshoot[knowledge]'",
        ) from None
    try:
        reader = PdfReader(io.BytesIO(content))
        pages = _texts(reader)
        entries = list(_entries(reader, reader.outline, 1))
        title = " ".join(str(reader.metadata.title).split()) if reader.metadata and reader.metadata.title else ""
    except UnreadableDocument:
        raise
    except FileNotDecryptedError:
        raise UnreadableDocument("PDF that is encrypted with a password") from None
    except DependencyError:
        # Write-protected manuals are encrypted without a password, many of them by AES.
        raise UnreadableDocument("PDF that is encrypted by AES: pip install {what}", what="'pypdf[crypto]'") from None
    except PyPdfError as error:
        raise UnreadableDocument("not a readable PDF: {detail}", detail=str(error)) from error
    except Exception as error:  # border: a damaged file violates the parser's assumptions, in any way
        raise UnreadableDocument("damaged PDF: {detail}", detail=type(error).__name__) from error
    return tuple(_sections(_without_running_lines(pages, {entry.title for entry in entries}), entries, title))


def _texts(reader: "PdfReader") -> list[str]:
    """Text of each page. Raises UnreadableDocument above the limits: a small file can unpack to any size."""
    texts: list[str] = []
    deadline = Deadline.after(MAX_SECONDS)
    size = 0
    for page in reader.pages:
        text = page.extract_text() or ""
        size += len(text)
        if size > MAX_TEXT:
            raise UnreadableDocument("PDF with more than {count} characters of text", count=MAX_TEXT)
        if deadline.remaining() <= 0:
            raise UnreadableDocument("PDF whose pages take more than {seconds:g} s to read", seconds=MAX_SECONDS)
        texts.append(text)
    return texts


def _entries(reader: "PdfReader", outline: list[Any], level: int) -> Iterator[_Entry]:
    for item in outline:
        if isinstance(item, list):
            yield from _entries(reader, item, level + 1)
        else:
            page = reader.get_destination_page_number(item)
            title = " ".join(str(item.title).split())
            if page is not None and page >= 0 and title:
                yield _Entry(level, title, page)


def _without_running_lines(pages: list[str], titles: set[str]) -> list[str]:
    """Pages without the header and footer lines that repeat on most of them, apart from the page number."""
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
    cuts = [
        (entry.page, _find(pages[entry.page], entry.title), entry)
        for entry in entries
        if entry.page < len(pages) and not is_note(entry.title)
    ]
    cuts.sort(key=lambda cut: (cut[0], cut[1]))
    yield from _pages(pages[: cuts[0][0]] if cuts else pages, root)
    outline = Outline()
    for index, (page, start, entry) in enumerate(cuts):
        outline.enter(entry.level, entry.title)
        end_page, end, _ = cuts[index + 1] if index + 1 < len(cuts) else (len(pages) - 1, len(pages[-1]), entry)
        if end_page == page:
            text = pages[page][start:end]
        else:
            text = "\n".join((pages[page][start:], *pages[page + 1 : end_page], pages[end_page][:end]))
        text = _without_title(text, entry.title).strip()
        if text:
            yield Section((*root, *outline.headings), text)


def _pages(pages: list[str], root: tuple[str, ...]) -> Iterator[Section]:
    for number, text in enumerate(pages, start=1):
        if text.strip():
            yield Section((*root, f"p. {number}"), text.strip())


def _title_pattern(title: str) -> re.Pattern[str]:
    # Extracted text may break lines anywhere.
    return re.compile(r"\s+".join(re.escape(word) for word in title.split()))


def _find(page: str, title: str) -> int:
    """Offset of the section on its page: its title, else the top."""
    match = _title_pattern(title).search(page)
    return match.start() if match else 0


def _without_title(text: str, title: str) -> str:
    match = _title_pattern(title).match(text.lstrip())
    return text.lstrip()[match.end() :] if match else text
