"""click's own texts in the terminal's language.

click looks each text up with ``gettext`` and fills it in at once. Here the lookup returns a ``ClickText``, which keeps
the template and its facts: one error can be written in the terminal's language and, for JSON, in English.
"""

import gettext
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

import click

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.nearest import nearest

_language: ContextVar[Language] = ContextVar("click_language", default=Language.EN)
_NAMES = (Message("integer"), Message("integer range"), Message("float"), Message("float range"), Message("required"))
"""What click names without a lookup, or looks up by a variable."""
_BY_NAME = {str(name): name for name in _NAMES}


class ClickText(str):
    """A message as the ``str`` that click expects.

    Its characters are those of the language at its creation; ``str()``, ``format()`` and f-strings write it in the
    language at that moment (``speaking``).
    """

    __slots__ = ("message",)
    message: Message

    def __new__(cls, message: Message) -> Self:
        """The text of ``message``."""
        text = super().__new__(cls, message.in_language(_language.get()))
        text.message = message
        return text

    def in_language(self, language: Language) -> str:
        """The text in ``language``."""
        return self.message.in_language(language)

    def __str__(self) -> str:
        return self.message.in_language(_language.get())

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __mod__(self, values: object) -> str:
        return str(self) % values

    def format(self, *_args: object, **facts: object) -> "ClickText":
        """The text with its fields filled in."""
        return ClickText(self.message.with_facts(**{name: _fact(value) for name, value in facts.items()}))

    def title(self) -> "ClickText":
        """The text with a capital: click begins sentences with the name of a type."""
        return ClickText(Message("{text!u}", text=self))


def _fact(value: object) -> object:
    if isinstance(value, float):
        return str(value)  # as it was typed
    return _BY_NAME.get(value, value) if isinstance(value, str) else value


class _PluralText:
    """A plural text, which needs its count before it can be written."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def format(self, **facts: object) -> "ClickText":
        return ClickText(self._message.with_facts(**facts))


class ClickError:
    """The text of a click error, on one line."""

    def __init__(self, error: click.ClickException) -> None:
        self._error = error

    def in_language(self, language: Language) -> str:
        """The text in ``language``; what was typed may be a question without its quotes, with a secret in it."""
        from orchestrator.redaction.redact import redact  # noqa: PLC0415  # start-up time

        with speaking(language):
            text = str(self._error.format_message())
            if meant := self._meant():
                text = f"{text} {_look_up('Did you mean {possibility}?').format(possibility=', '.join(meant))}"
            return redact(" ".join(text.split()))

    def _meant(self) -> tuple[str, ...]:
        """The choices that are nearest to a wrong one; click names those of commands and options itself."""
        error = self._error
        kind = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
        text = error.message
        if not isinstance(kind, click.Choice) or not isinstance(text, ClickText):
            return ()
        return nearest(str(text.message.facts.get("value", "")), [str(choice) for choice in kind.choices])


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Inside the block click's texts are written in ``language``."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def install() -> None:
    """Put our lookup in the place of ``gettext``'s in click's modules; until ``speaking`` it returns English."""
    for name, module in sys.modules.items():
        if name.startswith("click."):
            names = vars(module)
            if names.get("_") is gettext.gettext:
                names["_"] = _look_up
            if names.get("ngettext") is gettext.ngettext:
                names["ngettext"] = _look_up_plural


def _look_up(text: str) -> "ClickText":
    return ClickText(Message(text))


def _look_up_plural(singular: str, plural: str, count: int) -> _PluralText:
    return _PluralText(Message(singular, plural=plural, count=count))
