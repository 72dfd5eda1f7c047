"""The languages there are: one folder each in ``locale/``, with its catalogues and its ``language.toml``.

A folder's name is the language's BCP 47 tag. ``*.po`` are the catalogues that people edit; ``*.mo`` are compiled from
them (``make catalogues``) and read by the standard library's ``gettext``. ``language.toml`` holds what is no sentence:
the language's name, its decimal mark, stop and function words, the words by which a question is recognised, and those
by which it names jobs and times. A language whose folder lacks a sentence, or a whole catalogue, is answered with the
English one.

Other packages bring catalogues of their own by the entry point group ``resync_troubleshoot.words``, whose value is a
package with a folder ``locale`` of the same form.
"""

import logging
import re
import struct
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

_LOGGER = logging.getLogger(__name__)
WORDS_GROUP = "resync_troubleshoot.words"
TAG = r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"
"""Pattern of a BCP 47 tag."""
_LOCALE = files(__package__).joinpath("locale")


def _tags() -> dict[str, str]:
    """Name and tag of each language folder, the default language first; a folder of another name is none."""
    names = (item.name for item in _LOCALE.iterdir() if item.is_dir() and re.fullmatch(TAG, item.name))
    tags = sorted(names, key=lambda tag: (tag != "pt-BR", tag))
    return {tag.upper().replace("-", "_"): tag for tag in tags}


if TYPE_CHECKING:

    class Language(StrEnum):
        """Language of a question and so of its answer: the tag of an installed language folder."""

        PT_BR = "pt-BR"
        EN = "en"
        ES = "es"

else:
    # Not a class body: a new folder is a new language, without a line of Python.
    Language = StrEnum("Language", _tags(), module=__name__)
    Language.__doc__ = "Language of a question and so of its answer: the tag of an installed language folder."

_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
DEFAULT_LANGUAGE = Language.PT_BR
"""The language of most users, and of a question without any cue."""


def language_of(environ: Mapping[str, str]) -> Language:
    """The terminal's language: that of its locale where it is installed, else English.

    As GNU gettext chooses (its manual, "Locale Environment Variables" and "The LANGUAGE variable"): the first of
    LC_ALL, LC_MESSAGES and LANG that is set is the locale; unless that is C or POSIX, the list LANGUAGE goes before it.
    pt_PT is served by pt-BR where there is no pt-PT.
    """
    locale = next((environ[name] for name in _LOCALE_VARIABLES if environ.get(name)), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return Language.EN
    tags = {language.value.lower(): language for language in Language}
    tongues = {tag.partition("-")[0]: language for tag, language in reversed(tags.items())}
    for name in (environ.get("LANGUAGE") or locale).split(":"):
        tag = re.split(r"[.@]", name)[0].replace("_", "-").lower()
        language = tags.get(tag) or tongues.get(tag.partition("-")[0])
        if language is not None:
            return language
    return Language.EN


@cache
def translations(language: Language) -> NullTranslations:
    """Every catalogue of ``language``, ours before those of other packages; English needs none.

    One that cannot be read is logged, and its sentences are in English.
    """
    first = NullTranslations()
    for root in _roots() if language is not Language.EN else ():
        folder = root.joinpath(language.value)
        for catalogue in sorted(folder.iterdir(), key=lambda item: item.name) if folder.is_dir() else ():
            if catalogue.name.endswith(".mo"):
                try:
                    with catalogue.open("rb") as file:
                        first.add_fallback(GNUTranslations(file))
                except (OSError, ValueError, LookupError, struct.error) as error:
                    _LOGGER.warning("catalogue_unreadable path=%s error=%s", catalogue, type(error).__name__)
    return first


@cache
def language_facts(language: Language) -> dict[str, Any]:
    """The language's ``language.toml``; one that is no TOML is logged, and only its language does without."""
    path = _LOCALE.joinpath(language.value, "language.toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:  # names line and column
        _LOGGER.error("language_unreadable path=%s error=%s", path, error)  # noqa: TRY400
        return {}


def words_of(table: str, key: str) -> str:
    """A list of every language's ``language.toml`` as a group of a regular expression; an empty one matches nothing."""
    words = (word for language in Language for word in language_facts(language).get(table, {}).get(key, ()))
    return f"(?:{'|'.join(dict.fromkeys(words)) or '(?!)'})"


@cache
def distance(code: str, reader: str) -> int:
    """How far a text is from its reader, by codes such as ``pt``: 0 in the same language, 1 in a near one, 2 else."""
    if code == reader:
        return 0
    facts = (language_facts(language) for language in Language if language.value.partition("-")[0] == reader)
    return 1 if any(code in item.get("near", ()) for item in facts) else 2


@cache
def decimal_mark(language: Language) -> str:
    """The decimal separator of numbers, ``.`` or ``,``."""
    return str(language_facts(language).get("decimal_mark", "."))


def _roots() -> Iterator[Traversable]:
    yield _LOCALE
    for point in entry_points(group=WORDS_GROUP):
        try:
            yield files(point.value).joinpath("locale")
        except ImportError:  # a package that is half installed: its sentences stay English
            continue
