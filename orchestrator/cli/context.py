"""What every command gets: the environment, the way to a client, the texts, and where words go.

Data goes to standard output, everything else to standard error.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Protocol, Self

import click

from orchestrator.cli import click_words
from orchestrator.cli.plain import PlainDisplay
from orchestrator.cli.view import RunView
from orchestrator.codes.control import one_line, visible
from orchestrator.config import Settings
from orchestrator.i18n.languages import Language, language_of
from orchestrator.i18n.message import Text, write
from orchestrator.models import Event, Report, RunPage, RunSnapshot, RunSummary, TroubleshootRequest

if TYPE_CHECKING:  # start-up time
    from orchestrator.store.run_filter import RunFilter


class RunClient(Protocol):
    """What the commands ask of a client; ``orchestrator.client.sync.TroubleshootClient`` is the real one."""

    def submit(
        self, request: TroubleshootRequest, *, run_id: str | None = None, idempotency_key: str | None = None
    ) -> str:
        """Accept the run and return its id."""
        ...

    def rerun(
        self,
        run_id: str,
        *,
        everything: bool = False,
        new_run_id: str | None = None,
        idempotency_key: str | None = None,
        user_id: str | EllipsisType | None = ...,
    ) -> str:
        """Accept the question of an ended run again and return the id of the new run."""
        ...

    def result(self, run_id: str, *, timeout_seconds: float | None = None) -> Report:
        """Wait for the end of the run."""
        ...

    def stream(
        self, run_id: str, *, after: str = "0", keeps_answers: bool = False, with_results: bool = False
    ) -> Iterator[Event]:
        """The run's events after ``after``, until the terminal one."""
        ...

    def get(self, run_id: str) -> RunSnapshot:
        """The run as it stands."""
        ...

    def cancel(self, run_id: str) -> RunSummary:
        """Cancel the run."""
        ...

    def page(self, *, limit: int = 20, after: str | None = None, where: "RunFilter | None" = None) -> RunPage:
        """The newest runs of those in ``where``, page by page."""
        ...

    def close(self) -> None:
        """Release the connections."""
        ...


class Display(Protocol):
    """Shows a run's progress while the block is open."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def take(self, event: Event, received: float) -> None:
        """Fold in ``event``, received at that monotonic time, and show it."""
        ...

    def say(self, line: Text | str) -> None:
        """Show a line of words."""
        ...


def open_client(settings: Settings) -> RunClient:
    """The real client. Imported here: it brings Celery and redis, which ``--help`` and usage errors do without."""
    from orchestrator.client.sync import TroubleshootClient  # noqa: PLC0415  # start-up time, see above

    return TroubleshootClient(settings)


@dataclass(frozen=True, slots=True)
class CliContext:
    """The process as the commands see it; tests put their own client and environment here."""

    environ: Mapping[str, str]
    open_client: Callable[[Settings], RunClient] = open_client

    @property
    def language(self) -> Language:
        """The terminal's language."""
        return language_of(self.environ)

    def write(self, text: Text | str) -> str:
        """``text`` in the terminal's language, without what drives a terminal: it may hold text of others."""
        return visible(write(text, self.language))

    def table(self, *rows: Sequence[Text | str]) -> str:
        """Columns aligned to their widest cell, two spaces apart, the head first; an empty cell is ``-``."""
        # A name may be whatever somebody has written into Redis.
        lines = [[one_line(self.write(cell), None) or "-" for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def settings(self, redis_url: str | None = None) -> Settings:
        """The settings from the environment; ``redis_url`` stands in for ``REDIS_URL``.

        Raises ConfigurationError naming the variable.
        """
        environ = dict(self.environ)
        if redis_url is not None:
            environ["REDIS_URL"] = redis_url
        return Settings.from_env(environ)

    @contextmanager
    def client(self, settings: Settings) -> Iterator[RunClient]:
        """A client that is closed at the end of the block."""
        client = self.open_client(settings)
        try:
            yield client
        finally:
            client.close()

    def say(self, line: Text | str) -> None:
        """Write a line of words to standard error; where that cannot be written, the data goes on without them."""
        with suppress(OSError):
            click.echo(self.write(line), err=True)

    def print_text(self, text: Text | str) -> None:
        """Write lines to standard output: the one way there for what is neither JSON nor an answer."""
        click.echo(self.write(text))

    def display(self, view: RunView) -> Display:
        """The live view on a terminal that can show it, else plain lines."""
        if not sys.stderr.isatty() or self.environ.get("TERM", "dumb") == "dumb":
            return PlainDisplay(view, self.say)
        try:
            from orchestrator.cli import live  # noqa: PLC0415  # rich is an optional extra
        except ImportError:
            return PlainDisplay(view, self.say)
        return live.LiveDisplay(view, self.language, live.stderr_console())

    def print_json(self, text: str) -> None:
        """Write JSON to standard output, in UTF-8 whatever the terminal's encoding is (RFC 8259)."""
        click.echo(text.encode())

    def print_answer(self, answer: str, compact: str = "") -> None:
        """Write an answer to standard output: laid out on a terminal, as it is into a pipe.

        ``compact`` is the answer for a terminal that cannot lay out Markdown.
        """
        answer, compact = visible(answer), visible(compact)
        if sys.stdout.isatty() and self.environ.get("TERM", "dumb") == "dumb":
            click.echo(compact or answer)
            return
        if sys.stdout.isatty():
            try:
                from orchestrator.cli import live  # noqa: PLC0415  # rich is an optional extra
            except ImportError:
                click.echo(compact or answer)
            else:
                live.print_markdown(answer)
            return
        click.echo(answer)


# click looks the texts of types and options up when a command is defined, and every command imports this module first.
click_words.install()
pass_context = click.make_pass_decorator(CliContext)
