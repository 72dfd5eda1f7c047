"""docs/cli.md tells of the program as it is: every command, every option, every exit code, examples that parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli.context import CliContext
from orchestrator.cli.follow import _EXIT_CODES, INTERRUPTED
from orchestrator.cli.main import PROGRAM
from orchestrator.cli.main import cli as program
from orchestrator.cli.process import PIPE_CLOSED
from orchestrator.config import ParallelConfig
from orchestrator.errors import TroubleshootError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")
_HEADING = r"^## ([a-z ]+|Common to all)\n"
"""Not one inside an example's answer."""
SECTIONS = dict(re.findall(rf"{_HEADING}(.*?)(?={_HEADING.replace('(', '(?:')}|\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMON = SECTIONS["Common to all"]
EXAMPLES = re.findall(rf"^\$ (.*{PROGRAM} .*)$", PAGE, re.MULTILINE)


def commands(group: click.Group = program, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")
        else:
            yield before + name, command


COMMANDS = dict(commands())


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def test_every_command_has_its_section() -> None:
    """A command that is added or taken away shows in the page, its table of contents included."""
    assert set(SECTIONS) == {"Common to all", *COMMANDS}
    table = PAGE.partition("## ")[0]
    assert re.findall(r"\(#([a-z-]+)\)", table) == [
        name.replace(" ", "-") for name in SECTIONS if name != "Common to all"
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_in_its_section(name: str) -> None:
    """Each option of a command is told of with it or among the common ones, and no other one is."""
    prose = re.sub(r"^\$.*$", "", SECTIONS[name], flags=re.MULTILINE)  # an option of an example alone is not told of
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", prose))
    common = set(re.findall(r"`(--?[a-z-]+)", COMMON.partition("**Exit codes**")[0]))
    assert options(COMMANDS[name]) - told - common == set()
    assert told - options(COMMANDS[name]) - common == set()


def test_common_options_are_common() -> None:
    """What the page says of --json and --redis-url holds."""
    assert {name for name, command in COMMANDS.items() if "--json" not in options(command)} == {"worker", "completion"}
    (row,) = re.findall(r"^\| `--redis-url URL` .*$", COMMON, re.MULTILINE)
    assert set(re.findall(r"`([a-z]+)`", row)) == {
        name for name, command in COMMANDS.items() if "--redis-url" in options(command)
    }
    needs = dict(re.findall(r"^\| (.*?) \| .*? \| (.*?) \|$", PAGE.partition("## ")[0], re.MULTILINE))
    for name, command in COMMANDS.items():
        if "--redis-url" in options(command):
            (need,) = (words for links, words in needs.items() if f"[`{name}`]" in links)
            assert "Redis" in need or name == "doctor"


@pytest.mark.parametrize("name", COMMANDS)
def test_placeholders_are_the_same_in_every_language(name: str) -> None:
    """Each option with a value names its placeholder: click would translate the name of its type."""
    values = [item for item in COMMANDS[name].params if isinstance(item, click.Option) and not item.is_flag]
    assert [item.name for item in values if item.metavar is None and not isinstance(item.type, click.Choice)] == []


def test_every_exit_code_is_told() -> None:
    """The table has each code that an outcome, an error, a signal or a closed pipe gives, and no other one."""

    def below(kind: type[TroubleshootError]) -> Iterator[int]:
        yield kind.exit_code
        for part in kind.__subclasses__():
            yield from below(part)

    table = COMMON.partition("**Exit codes**")[2].partition("**Language.**")[0]
    told = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")}
    assert told == {*_EXIT_CODES.values(), *below(TroubleshootError), 129, 143, INTERRUPTED, PIPE_CLOSED}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_what_the_program_takes(example: str) -> None:
    """Each example names a command and gives it options and arguments that it accepts."""
    words = [word for word in shlex.split(example) if "=" not in word or word.startswith("--")]
    assert words[0] == PROGRAM
    command, arguments = _resolve(words[1:])
    # Files of an example do not exist here: only what is given is parsed, not checked.
    parsed = command.make_parser(click.Context(command, obj=CliContext({}))).parse_args(arguments)
    given = parsed[0]
    needed = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    assert all(given.get(str(argument.name)) for argument in needed)
    assert parsed[1] == []


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    for count in (2, 1):
        found = COMMANDS.get(" ".join(words[:count]))
        if found is not None:
            return found, words[count:]
    raise AssertionError(f"no such command: {words}")


def test_every_command_has_an_example() -> None:
    """A reader finds each command used at least once."""
    assert {name for name, body in SECTIONS.items() if f"\n$ {PROGRAM} {name}" not in body} == {"Common to all"}


def test_page_is_linked_from_the_readme() -> None:
    """The README leads there."""
    assert "(docs/cli.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_page_has_the_defaults_of_a_run() -> None:
    """The figures in parentheses are the defaults of ParallelConfig."""
    config = ParallelConfig()
    assert f"limit of each source ({config.node_timeout_seconds:g})" in SECTIONS["submit"]
    assert f"deadline of the answer ({config.total_timeout_seconds:g})" in SECTIONS["submit"]
    assert f"sources that must answer ({config.min_sources_required})" in SECTIONS["submit"]
    assert f"passages from the knowledge base ({config.rag_result_limit})" in SECTIONS["submit"]
