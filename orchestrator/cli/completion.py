"""``completion``: the script by which a shell completes the commands, options and values of this program."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, ShellComplete, get_completion_class

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.codes.control import one_line
from orchestrator.errors import WrongUsage

SHELLS = ("bash", "zsh", "fish")
_MOST_RUNS = 50
_STORE_SECONDS = 0.5
"""Time for a store that does not answer: the writer waits."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command("completion")
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@pass_context
def command(context: CliContext, /, *, shell: str | None) -> int:
    """Print the script by which SHELL completes commands, options and values; that of $SHELL when left out.

    Commands, options, their values, queues, sources, pipelines and the ids of the newest runs are completed.
    """
    shell = shell or PurePath(context.environ.get("SHELL", "")).name
    completer = get_completion_class(shell) if shell in SHELLS else None
    if completer is None:
        raise WrongUsage("name the shell: {shells}", shells=", ".join(SHELLS))
    root = click.get_current_context().find_root()
    name = root.info_name or ""
    script = completer(root.command, {}, name, f"_{name.replace('-', '_').upper()}_COMPLETE")
    # That of bash would start a bash to look at its version.
    context.print_text(ShellComplete.source(script) if isinstance(script, BashComplete) else script.source())
    return 0


def words(read: Callable[[], Any]) -> Completer:
    """Completes the words that ``read`` gives when they are needed, none when it fails."""

    def complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(Exception):  # border: nothing is written into a line that somebody is typing
            return [CompletionItem(word) for word in read() if word.startswith(incomplete)]
        return []

    return complete


def sources() -> tuple[str, ...]:
    """Names of the sources."""
    from orchestrator.sources import source_names  # noqa: PLC0415  # start-up time

    return tuple(source_names())


def pipelines() -> list[str]:
    """Names of the pipelines."""
    from orchestrator.routing.registry import all_pipelines  # noqa: PLC0415  # start-up time

    return [pipeline.name for pipeline in all_pipelines(os.environ)]


def run_ids(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs that begin so, with their questions; none when the store does not answer at once."""
    with suppress(Exception):  # border: as for words
        from orchestrator.store.connection import session  # noqa: PLC0415  # start-up time
        from orchestrator.store.keys import Keys  # noqa: PLC0415
        from orchestrator.store.run_list import RunList  # noqa: PLC0415

        context = ctx.find_object(CliContext) or CliContext(os.environ)
        settings = context.settings(ctx.params.get("redis_url"))
        hasty = settings.model_copy(update={"redis_timeout_seconds": _STORE_SECONDS})
        with session(hasty) as client:
            runs = RunList(client, Keys(settings.key_prefix)).page(limit=_MOST_RUNS).runs
        return [
            CompletionItem(run.run_id, help=context.write(one_line(run.message, 60)))
            for run in runs
            if run.run_id.startswith(incomplete)
        ]
    return []
