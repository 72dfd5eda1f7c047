"""The page on reliability is the table of faults."""

from __future__ import annotations

import re

from tests.acceptance.faults.report import PAGE, page, read_figures, rows_of_page


def test_the_page_is_the_table() -> None:
    """Each row and promise of the table is on the page, with the figures of its last trial and nothing else."""
    assert PAGE.read_text("utf-8") == page(read_figures()), "make faults ARGS=--page"


def test_rows_have_names_of_their_own() -> None:
    """A row of the page is found by its name and kind of system."""
    rows = [(fault.name, kind) for fault, kind in rows_of_page()]
    assert len(rows) == len(set(rows))
    assert not [name for name, _ in rows if re.search(r"[|@*]", name)]
