"""All results of a search, from servers that page in their own ways."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.deadline import Deadline
from orchestrator.i18n.message import Message
from workers.sources.tws_status.client import Page
from workers.sources.tws_status.errors import ServerFailed
from workers.sources.tws_status.paging import all_pages


class Server:
    """So many results, of which it gives ``cap`` at once."""

    def __init__(
        self, total: int, cap: int, *, counts: bool = True, links: bool = True, fails_from: int | None = None
    ) -> None:
        self.items: list[dict[str, Any]] = [{"id": str(number)} for number in range(total)]
        self.cap, self.counts, self.links, self.fails_from = cap, counts, links, fails_from
        self.asked: list[tuple[int, int]] = []

    async def search(self, limit: int, offset: int) -> Page:
        """A page."""
        self.asked.append((limit, offset))
        if self.fails_from is not None and offset >= self.fails_from:
            raise ServerFailed
        end = offset + min(limit, self.cap)
        return Page(
            tuple(self.items[offset:end]),
            len(self.items) if self.counts else None,
            self.links and end < len(self.items),
        )

    def read(self, *, seconds: float = 30, most: int = 5000) -> tuple[Page, list[Message]]:
        """All pages, and the notes."""
        notes: list[Message] = []
        session: Any = SimpleNamespace(deadline=Deadline.after(seconds))
        return asyncio.run(all_pages(session, self.search, notes, most=most)), notes


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("total", [0, 1, 24, 25, 26, 50, 137])
def test_every_result_is_read_once(total: int, *, counts: bool, links: bool) -> None:
    """Whether the server counts, names the next page, both or neither."""
    server = Server(total, 25, counts=counts, links=links)
    page, notes = server.read()
    assert [item["id"] for item in page.results] == [str(number) for number in range(total)]
    assert (page.left_out, notes) == (0, [])
    assert len(server.asked) <= total // 25 + 2


def test_an_error_on_a_later_page_keeps_what_was_read() -> None:
    """It is noted, and the rest counts as not read."""
    page, notes = Server(100, 25, fails_from=25).read()
    assert (len(page.results), page.left_out) == (25, 75)
    assert [str(note) for note in notes] == ["pages after 25 results: server_error"]


def test_an_error_on_the_first_page_is_the_callers() -> None:
    """There is nothing to answer with."""
    with pytest.raises(ServerFailed):
        Server(100, 25, fails_from=0).read()


def test_no_more_than_asked_for_are_kept() -> None:
    """A plan of a hundred thousand jobs is not read whole."""
    page, _ = Server(1000, 25).read(most=60)
    assert (len(page.results), page.left_out) == (60, 940)


def test_without_time_one_page_is_read() -> None:
    """What follows needs the rest of it."""
    page, _ = Server(100, 25).read(seconds=0.1)
    assert (len(page.results), page.left_out) == (25, 75)
    page, _ = Server(100, 25, counts=False).read(seconds=0.1)
    assert page.left_out >= 1
