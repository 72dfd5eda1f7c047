"""The command ``resync-troubleshoot``: its own commands, those of installed packages, and the border for errors.

Commands are imported when they are invoked, so that ``--help`` and a misspelt command do not wait for Celery or a
model's SDK.
"""

import ast
import gc
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from orchestrator.cli import process
from orchestrator.cli.click_words import ClickError, ClickText, speaking
from orchestrator.cli.context import CliContext
from orchestrator.cli.follow import INTERRUPTED
from orchestrator.cli.help import in_language
from orchestrator.cli.options import in_options
from orchestrator.cli.process import Terminated, endings_raise
from orchestrator.errors import ConfigurationError, InvalidRequest, TroubleshootError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, write
from orchestrator.nearest import nearest
from orchestrator.plugins import not_loaded

PROGRAM = "resync-troubleshoot"
COMMANDS_GROUP = "resync_troubleshoot.commands"

_OWN_COMMANDS = {
    "submit": ("orchestrator.cli.submit:command", Message("Ask a question and wait for the answer.")),
    "rerun": ("orchestrator.cli.submit:rerun", Message("Ask again what failed in a run, and keep the rest.")),
    "watch": ("orchestrator.cli.runs:watch", Message("Follow a run to its end.")),
    "get": ("orchestrator.cli.runs:get", Message("Print a run as it stands, without waiting.")),
    "cancel": ("orchestrator.cli.runs:cancel", Message("Cancel a run.")),
    "list": ("orchestrator.cli.runs:list_runs", Message("List the newest runs.")),
    "pipelines": ("orchestrator.cli.pipelines:command", Message("List the pipelines, or draw one of them.")),
    "completion": ("orchestrator.cli.completion:command", Message("Print the script that completes in a shell.")),
    "queues": ("orchestrator.cli.queues:command", Message("Show each queue, its workers, and the watchers.")),
}


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=COMMANDS_GROUP)}


def _one_line_help(point: EntryPoint) -> Message:
    """The first line of the docstring of a command's module, read without importing it and all that it needs."""
    try:
        spec = find_spec(point.module)
        source = None if spec is None else Path(str(spec.origin)).read_text(encoding="utf-8")
        docstring = ast.get_docstring(ast.parse(source or "")) or ""
    except (ImportError, OSError, SyntaxError, ValueError):
        docstring = ""
    line = docstring.partition("\n")[0].removeprefix(f"``{point.name}``: ")
    return Message(line[:1].upper() + line[1:])


def _language_of(ctx: click.Context) -> Language:
    """The language of the terminal; English for a caller that is none."""
    context = ctx.find_object(CliContext)
    return Language.EN if context is None else context.language


class CommandGroup(click.Group):
    """The project's commands by name, loaded on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The client's commands first, then the installed ones by name."""
        return [*_OWN_COMMANDS, *sorted(set(_installed()) - set(_OWN_COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, its help in the terminal's language. Raises WorkersNotInstalled naming what it lacks."""
        if cmd_name in _OWN_COMMANDS:
            module, _, attribute = _OWN_COMMANDS[cmd_name][0].partition(":")
            own: click.Command = getattr(import_module(module), attribute)
            return in_language(own, _language_of(ctx))
        point = _installed().get(cmd_name)
        if point is None:
            return None
        try:
            command = point.load()
        except ImportError as error:
            raise not_loaded(cmd_name, error) from error
        if not isinstance(command, click.Command):
            raise ConfigurationError("entry point {point!r} is not a click command", point=point.value)
        return in_language(command, _language_of(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; one that is misspelt is an error with the nearest names."""
        names = self.list_commands(ctx)
        likely = () if args[0] in names or ctx.resilient_parsing else nearest(args[0], names)
        if likely and not args[0].startswith("-"):
            problem = Message(
                "No such command {name!r}. Did you mean {likely}?", name=args[0], likely=", ".join(likely)
            )
            raise click.UsageError(ClickText(problem), ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands with their one-line help, without importing them, and the options."""
        language, lines = _language_of(ctx), self._lines()
        names = [name for name in lines if name.startswith(incomplete)]
        items = [CompletionItem(name, help=write(lines[name], language)) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def _lines(self) -> dict[str, Message]:
        lines = {name: text for name, (_, text) in _OWN_COMMANDS.items()}
        return lines | {
            name: _one_line_help(point) for name, point in sorted(_installed().items()) if name not in lines
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their one-line help, without importing them."""
        lines, language = self._lines(), _language_of(ctx)
        with formatter.section(write(Message("Commands"), language)):
            formatter.write_dl([(name, write(text, language)) for name, text in lines.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; ``--help`` among them writes the page."""
        with process.reader_may_go():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a package that turns out to be missing while it runs is reported as at its import."""
        try:
            with process.reader_may_go():
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise not_loaded(ctx.invoked_subcommand or PROGRAM, error) from error


@click.group(
    name=PROGRAM,
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name=PROGRAM)
def cli() -> None:
    """Ask why a TWS / HCL Workload Automation job failed; four sources are queried at once.

    Data goes to standard output, progress to standard error; every command that prints data takes --json.
    """


def run(args: Sequence[str], context: CliContext) -> int:
    """Run the command line and return its exit code; every error is one line on standard error."""
    try:
        with process.reader_may_go():
            return _run(args, context)
    except process.ReaderGone:
        return process.PIPE_CLOSED
    except OSError as error:
        return _refused(context, error)


def _run(args: Sequence[str], context: CliContext) -> int:
    program = in_language(cli, context.language)
    try:
        with speaking(context.language):
            result = program.main(args=list(args), prog_name=PROGRAM, standalone_mode=False, obj=context)
    except click.exceptions.NoArgsIsHelpError as error:
        context.say(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        return _fail(context, args, ClickError(error), "usage", error.exit_code)
    except TroubleshootError as error:
        message = in_options(error.message) if isinstance(error, InvalidRequest) else error.message
        return _fail(context, args, message, error.reason, error.exit_code)
    except click.Abort:
        context.say(Message("interrupted"))
        return INTERRUPTED
    except Terminated as ended:
        return ended.exit_code
    return result if isinstance(result, int) else 0


def _fail(context: CliContext, args: Sequence[str], message: Text, reason: str, exit_code: int) -> int:
    english, shown = (" ".join(write(message, language).split()) for language in (Language.EN, context.language))
    context.say(Message("error: {message}", message=shown))
    if "--json" in args:
        context.print_json(json.dumps({"error": {"reason": reason, "message": english}}, ensure_ascii=False))
    return exit_code


def _refused(context: CliContext, error: OSError) -> int:
    """A file, or standard output, that cannot be read or written; only a file has a name."""
    reason = error.strerror or str(error)
    written = Message("cannot write: {detail}", detail=reason)
    message = written if error.filename is None else f"{error.filename}: {reason}"
    context.say(Message("error: {message}", message=message))
    return 1


def main() -> None:
    """The console script."""
    process.prepare()
    with endings_raise():
        code = run(sys.argv[1:], CliContext(os.environ))
    process.drop_unwritten()
    gc.freeze()  # the process ends: there is no garbage to look for
    sys.exit(code)
