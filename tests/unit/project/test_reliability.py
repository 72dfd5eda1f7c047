"""The page on reliability is the table of faults."""

from __future__ import annotations

import re

from tests.acceptance.faults.fault import OUTCOMES, promise, promise_kinds
from tests.acceptance.faults.report import PAGE, page, read_figures, rows_of_page


def test_the_page_is_the_table() -> None:
    """Each row and promise of the table is on the page, with the figures of its last trial and nothing else."""
    assert PAGE.read_text("utf-8") == page(read_figures()), "make faults ARGS=--page"


def test_promises_are_told_by_names_that_the_page_explains() -> None:
    """A row names a promise, or the outcomes that it allows, and adds what is not as usual."""
    texts = {fault.promise.text().partition(";")[0] for fault, _ in rows_of_page()}
    explained = {name for name, _, _ in promise_kinds()}
    assert explained <= texts
    assert all(set(text.split(", ")) <= set(OUTCOMES) for text in texts - explained)
    assert promise("complete", "partial", complete_share=0.2).text() == "answered; 20% complete"
    assert promise("complete", "partial", grace_seconds=1, recovery_seconds=9, ends=("web",)).text() == (
        "answered; late by 1 s; whole again in 9 s; web may end"
    )


def test_rows_have_names_of_their_own() -> None:
    """A row of the page is found by its name and kind of system."""
    rows = [(fault.name, kind) for fault, kind in rows_of_page()]
    assert len(rows) == len(set(rows))
    assert not [name for name, _ in rows if re.search(r"[|@*]", name)]
