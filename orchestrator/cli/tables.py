"""Tables for standard output: aligned columns that a shell's tools can cut."""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[str, ...]


def format_table(head: Row, rows: Sequence[Row]) -> str:
    """Columns aligned to their widest cell, two spaces apart; an empty cell is ``-``."""
    lines = [head, *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
