"""All results of a search, page by page: a server may give fewer at once than asked for, 25 whatever the limit says."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from orchestrator.errors import SourceError
from orchestrator.i18n.message import Message
from workers.sources.tws_status.client import HwaSession, JsonObject, Page

WIDE_PAGE = 500
MOST = 5_000
AT_ONCE = 6
"""Pages that are asked for at the same time, once their size is known."""
REST = 4.0
"""So many times as long as the slowest page is left for what follows."""
LEAST_SECONDS = 0.3


async def all_pages(
    session: HwaSession,
    search: Callable[[int, int], Awaitable[Page]],
    notes: list[Message],
    *,
    most: int = MOST,
    limit: int = WIDE_PAGE,
) -> Page:
    """The results of ``search(limit, offset)``, ``limit`` at once, at most ``most`` and as many as the time allows.

    ``left_out`` of the result are those that were not read, as far as the server counts them. An error on a later page
    ends the reading with a note. Raises HwaError for the first page.
    """
    began = time.monotonic()
    page = await search(limit, 0)
    slowest = time.monotonic() - began
    results = list(page.results)
    seen = {_id(item) for item in results}
    size, total, more = len(results), page.count, _has_more(page, len(results))
    while more and size and len(results) < most:
        if session.deadline.remaining() < max(LEAST_SECONDS, REST * slowest):
            break
        until = min(most, total) if total is not None and total > len(results) else len(results) + 1
        offsets = range(len(results), until, size)[:AT_ONCE]
        began = time.monotonic()
        try:
            pages = await asyncio.gather(*(search(limit, offset) for offset in offsets))
        except SourceError as error:
            notes.append(Message("pages after {count} results: {reason}", count=len(results), reason=error.reason))
            break
        slowest = max(slowest, time.monotonic() - began)
        new = {_id(item): item for page in pages for item in page.results if _id(item) not in seen}
        seen.update(new)
        results += new.values()
        total = pages[-1].count if pages[-1].count is not None else total
        # Nothing new comes from a server that ignores the offset.
        more = bool(new) and _has_more(pages[-1], len(results))
    left = max(total or 0, len(results)) if not more else max(total or 0, len(results) + 1)
    return Page(tuple(results[:most]), left, more)


def _has_more(page: Page, read: int) -> bool:
    # A server that neither counts nor names a next page may have cut: only an empty page tells that it is the last.
    return page.has_next or (page.count or 0) > read or (page.count is None and bool(page.results))


def _id(item: JsonObject) -> str:
    return repr(item.get("id") or item)
