"""A sentence as key and facts, made into text only when a reader's language is known.

The key is the English template, as in gettext, so that an English reader needs no catalogue and a reader whose
catalogue lacks the sentence still has it. Facts keep their types: numbers are written as the language writes them, and
a fact may itself be a message.

    Message("{name} did not answer within {seconds:g} s", name="TWS", seconds=2.5)
    Message("{count} job waits", plural="{count} jobs wait", count=3)
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from string import Formatter
from typing import Any, Protocol, runtime_checkable

from orchestrator.i18n.languages import Language, decimal_mark, translations

MAX_CHARACTERS = 1_000_000
"""Characters of a text, with those of each text inside it; far more than any answer has."""
_CHARACTERS_OF_A_TEXT = 100
"""What an empty text counts for: the time that it takes."""
TOO_LONG = "[...]"
_LEFT: ContextVar[list[int] | None] = ContextVar("characters_left", default=None)
"""The characters that the text which is being written may still have."""
_MARKS_CODE: ContextVar[bool] = ContextVar("marks_code", default=False)
"""Whether the back-ticks of the text which is being written mark code."""


class _TooLong(Exception):
    """The text has more than ``MAX_CHARACTERS``."""


@runtime_checkable
class Text(Protocol):
    """Anything that can be written in a language."""

    def in_language(self, language: Language) -> str:
        """The text in ``language``."""
        ...


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """A sentence by its English template (``key``), with the facts of its ``{fields}``.

    With ``plural`` the fact ``count`` decides which template is used, by the rules of the language.
    ``context`` tells apart equal English texts that other languages word differently.
    """

    key: str
    plural: str
    context: str
    facts: Mapping[str, object]

    def __init__(self, key: str, /, *, plural: str = "", context: str = "", **facts: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "plural", plural)
        object.__setattr__(self, "context", context)
        object.__setattr__(self, "facts", facts)

    def in_language(self, language: Language) -> str:
        """The sentence in ``language``; in English where its catalogue lacks the key, or has it with other facts."""
        catalogue, english = translations(language), self.key
        if self.plural:
            count = self.facts.get("count")
            number = count if isinstance(count, int) else 1
            template = catalogue.ngettext(self.key, self.plural, number)
            english = self.key if number == 1 else self.plural
        elif self.context:
            template = catalogue.pgettext(self.context, self.key)
        else:
            # The empty key is a catalogue's header.
            template = catalogue.gettext(self.key) if self.key else ""
        # A text without facts is taken as it is: it may be somebody else's and hold braces.
        if not self.facts:
            return template
        return _limited(lambda: fill(template, self.facts, language, english), english)

    def with_facts(self, /, **facts: Any) -> "Message":
        """The same sentence with these facts, of any names, beside or in the place of its own."""
        message = Message(self.key, plural=self.plural, context=self.context)
        object.__setattr__(message, "facts", {**self.facts, **facts})
        return message

    def __str__(self) -> str:
        """The sentence in English."""
        return self.in_language(Language.EN)

    def __hash__(self) -> int:
        return hash((self.key, self.plural, self.context))


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts one after the other; empty ones are left out."""

    parts: tuple[Text | str, ...]
    separator: str = " "
    small: bool = False
    """Whether each part begins with a small letter, as in a list inside a sentence."""

    def in_language(self, language: Language) -> str:
        """The parts in ``language``."""

        def joined() -> str:
            texts = (
                text
                for part in self.parts
                if (text := unmarked(part) if isinstance(part, str) else write(part, language))
            )
            return self.separator.join(map(small_initial, texts) if self.small else texts)

        return _limited(joined, TOO_LONG)

    def __bool__(self) -> bool:
        return any(self.parts)

    def __str__(self) -> str:
        """The parts in English."""
        return self.in_language(Language.EN)


def join(parts: Iterable[Text | str], separator: str = " ", *, small: bool = False) -> Joined:
    """``parts`` as one text; with ``small`` each begins with a small letter."""
    return Joined(tuple(parts), separator, small)


def write(text: Text | str, language: Language) -> str:
    """``text`` in ``language``; a plain string is nobody's to translate."""
    return text if isinstance(text, str) else text.in_language(language)


def sentence(text: Text | str, language: Language) -> str:
    """``text`` in ``language``, in which back-ticks are marks of code: those of facts and strings are apostrophes."""
    token = _MARKS_CODE.set(True)
    try:
        return unmarked(text) if isinstance(text, str) else text.in_language(language)
    finally:
        _MARKS_CODE.reset(token)


def unmarked(value: Any) -> Any:
    """A fact or part that is no text of ours; as a string without back-ticks where these mark code."""
    return str(value).replace("`", "'") if _MARKS_CODE.get() else value


@dataclass(frozen=True, slots=True)
class Quoted:
    """A line of somebody else's between back-ticks, for a sentence."""

    line: str

    def in_language(self, _language: Language) -> str:
        """The same in every language."""
        return "`" + self.line.replace("`", "'") + "`"


def _limited(make: Callable[[], str], instead: str) -> str:
    """What ``make`` returns; ``instead`` where it and the texts inside it have too many characters, or are too deep.

    Texts within texts come from sites and from the store: one that has itself as two of its facts' facts doubles with
    each level.
    """
    outer = _LEFT.get()
    if outer is not None:
        text = make()
        outer[0] -= len(text) + _CHARACTERS_OF_A_TEXT
        if outer[0] < 0:
            raise _TooLong
        return text
    token = _LEFT.set([MAX_CHARACTERS])
    try:
        return make()
    except (_TooLong, RecursionError):
        return instead
    finally:
        _LEFT.reset(token)


def fill(template: str, facts: Mapping[str, object], language: Language, english: str) -> str:
    """``template`` with its ``{fields}`` replaced by ``facts``, written as ``language`` writes them.

    A template that does not fit the facts gives way to the ``english`` one, and that to its bare text: a mistake in a
    catalogue, or in a site's error, must not cost the reader the rest.
    """
    for tried in (template, english):
        try:
            return _Writer(language).vformat(tried, (), facts)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return english


_NAMES = re.compile(
    r"(?:Adabas|Ansible|Azure|Docker|Elasticsearch|Google|Hive|Impala|Informatica|Informix|Java|Kafka|Kerberos|Kubernetes|Natural|Node\.js"
    r"|Oracle|Pentaho|Perl|Python|Redis|Ruby|Snowflake|Spark|Spring|Sqoop|Sybase|Symphony|Talend|Teradata|Terraform|Windows|Workload)(?!\w)"
)
"""Names of products that look like words."""


def small_initial(text: str) -> str:
    """``text`` with a small first letter, unless its first word is a name (``TWS``, ``S0C7``, ``MySQL``, ``Java``)."""
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    is_name = _NAMES.match(text) is not None or any(letter.isupper() or letter.isdigit() for letter in word[1:])
    return text if is_name or not (text[1:2].islower() or text[1:2].isspace()) else text[:1].lower() + text[1:]


_LONG_NUMBER = re.compile(r"[0-9]{4}")


class _Writer(Formatter):
    """``str.format`` with two differences: a fact that is a text is written in the language, and so is a number.

    ``{fact!l}`` begins with a small letter, ``{fact!u}`` with a capital, for a sentence inside another. A fact that its
    format does not suit, such as None for ``{seconds:g}``, is written without it.

    A template may be somebody else's, read from the store: it has no access to the attributes and items of its facts,
    and no width or precision of four digits.
    """

    def __init__(self, language: Language) -> None:
        self._language = language

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:  # noqa: ARG002  # Formatter's
        return kwargs[field_name], field_name

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion in ("l", "u"):
            text = self._text(value)
            return small_initial(text) if conversion == "l" else text[:1].upper() + text[1:]
        if isinstance(value, Text):
            return super().convert_field(self._text(value), conversion)
        value = super().convert_field(value, conversion)
        return value if value is None or isinstance(value, int | float) else unmarked(value)

    def format_field(self, value: Any, format_spec: str) -> str:
        is_float = isinstance(value, float)
        if _LONG_NUMBER.search(format_spec):
            raise ValueError(format_spec)
        try:
            text = format(value, format_spec or ("g" if is_float else ""))
        except (TypeError, ValueError):
            if isinstance(value, int | float):
                raise
            return str(value)
        return text.replace(".", decimal_mark(self._language)) if is_float else text

    def _text(self, value: object) -> str:
        return value.in_language(self._language) if isinstance(value, Text) else unmarked(str(value))
