"""``--help`` in the terminal's language."""

import re
from copy import copy

import click

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, write

_METAVARS = {str(item): item for item in (Message("[OPTIONS]"), Message("COMMAND [ARGS]..."))}


def in_language(command: click.Command, language: Language) -> click.Command:
    """A copy of ``command`` whose help, and that of its subcommands, is in ``language``.

    Each paragraph is looked up by its English text; names of options and their placeholders stay.
    """
    shown = copy(command)
    shown._help_option = None  # noqa: SLF001  # click would keep the option with the text of the first language
    shown.help, shown.short_help, shown.epilog = (
        paragraphs(text, language) for text in (command.help, command.short_help, command.epilog)
    )
    shown.options_metavar = _metavar(command.options_metavar or "", language)
    shown.params = [_parameter(parameter, language) for parameter in command.params]
    if isinstance(shown, click.Group):
        shown.subcommand_metavar = _metavar(shown.subcommand_metavar, language)
        shown.commands = {name: in_language(part, language) for name, part in shown.commands.items()}
    return shown


def paragraphs(text: str | None, language: Language) -> str | None:
    """A text of several paragraphs, each looked up by itself."""
    if text is None:
        return None
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
    return "\n\n".join(Message(part).in_language(language) for part in parts)


def _parameter(parameter: click.Parameter, language: Language) -> click.Parameter:
    if not isinstance(parameter, click.Option):
        return parameter
    shown = copy(parameter)
    shown.help = paragraphs(parameter.help, language)
    return shown


def _metavar(text: str, language: Language) -> str:
    return write(_METAVARS.get(text, text), language)
