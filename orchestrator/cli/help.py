"""``--help`` in the terminal's language: click's pages, translated as they are laid out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from orchestrator.cli.context import CliContext
from orchestrator.i18n.catalogue import Catalogue

_EXTRAS = re.compile(r"(?P<text>.*?)(?:  )?\[(?P<extras>(?:default: |required)[^\]]*)\]", re.DOTALL)
"""What click puts behind an option's text: its default, its range, whether it is required."""


class HelpFormatter(click.HelpFormatter):
    """Lays out a page of help whose texts it is given in English."""

    def __init__(self, catalogue: Catalogue, *, width: int | None, max_width: int | None) -> None:
        super().__init__(width=width, max_width=max_width)
        self._catalogue = catalogue

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The usage line; its placeholders for options and commands are words, the others names."""
        # One by one: the placeholder of the usage line's options stands beside names that stay.
        words = re.split(r"(\[OPTIONS\]|\bCOMMAND\b)", args)
        shown = "".join(self._catalogue(word) if word in ("[OPTIONS]", "COMMAND") else word for word in words)
        super().write_usage(prog, shown, prefix=prefix or self._catalogue("Usage:") + " ")

    def write_text(self, text: str) -> None:
        """A command's text."""
        super().write_text(self._catalogue.paragraphs(text))

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A part of the page under its heading."""
        with super().section(self._catalogue(name)):
            yield

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Options or commands, each beside its text."""
        super().write_dl([(name, self._row(text)) for name, text in rows], col_max, col_spacing)

    def _row(self, text: str) -> str:
        match = _EXTRAS.fullmatch(text)
        if match is None:
            return self._catalogue.paragraphs(text)
        extras = "; ".join(self._catalogue.translate(extra) for extra in match["extras"].split("; "))
        return f"{self._catalogue.paragraphs(match['text'])}  [{extras}]".strip()


class HelpContext(click.Context):
    """A context whose help follows the terminal's language."""

    def make_formatter(self) -> HelpFormatter:
        """The formatter of this page."""
        context = self.find_object(CliContext)
        catalogue = Catalogue() if context is None else context.catalogue
        return HelpFormatter(catalogue, width=self.terminal_width, max_width=self.max_content_width)


def speaking(command: click.Command) -> click.Command:
    """The command, its help and that of its subcommands in the terminal's language from now on."""
    command.context_class = HelpContext
    if isinstance(command, click.Group):
        for part in command.commands.values():
            speaking(part)
    return command
