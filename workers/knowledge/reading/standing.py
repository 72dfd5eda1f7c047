"""Whether a page still holds: what it says of itself, its edition, and the pages that it replaces."""

import re
from functools import cache
from pathlib import PurePosixPath

from orchestrator.codes.patterns import find_codes_to_look_up
from orchestrator.diagnosis.runbooks import HEAD_CHARACTERS, is_withdrawn
from orchestrator.i18n.languages import words_of
from workers.knowledge.ranking.analysis import fold, words
from workers.knowledge.reading.documents import Standing

_VERSION = r"(?:v|rev|vers(?:ao|ion)|revisao|revision)[. ]{0,2}(\d{1,3}(?:\.\d{1,3}){0,2})"
_DATE = r"(20\d\d)(?:[-/.](\d\d)(?:[-/.](\d\d))?)?"
_DAY_FIRST = r"(?P<day>\d{1,2})[/.](?P<month>\d{1,2})[/.](?P<year>20\d\d)"
_IN_NAME = re.compile(rf"(?:(?<=[^a-z0-9])|^)(?:{_VERSION}|{_DATE})(?![a-z0-9])")


def find_standing(path: str, title: str, head: str) -> Standing:
    """The standing of a page by its path, its title and its beginning, front matter included."""
    head = head[:HEAD_CHARACTERS]
    stem = PurePosixPath(path).stem
    in_title, in_stem = _IN_NAME.search(fold(title)), _IN_NAME.search(fold(stem))
    edition = _edition(in_title) or _edition(in_stem) or _stated_edition(head)
    topic = _name(_IN_NAME.sub(" ", fold(title)))
    # Pages of one title in several folders are about several systems, unless the title says what it is about.
    folder = "" if find_codes_to_look_up(title) else PurePosixPath(path).parent.as_posix()
    return Standing(
        withdrawn=is_withdrawn(title, head),
        topic=f"{folder}|{topic}",
        edition=edition,
        names=tuple(dict.fromkeys((_name(stem), _name(title)))),
        replaces=tuple(_name(name) for match in _replaced().finditer(head) for name in re.split(r"[,;]", match[1])),
    )


def _name(text: str) -> str:
    """A title or a file name, comparable: without its extension, accents and punctuation."""
    return " ".join(words(re.sub(r"\.(?:md|markdown|html?|pdf|txt)\b", "", text)))


def _edition(match: re.Match[str] | None) -> str:
    """A version or a date, sortable among its kind; empty without one."""
    if match is None:
        return ""
    if match[1]:
        return "v" + ".".join(part.zfill(4) for part in match[1].split("."))
    return "d" + "-".join(part for part in match.groups()[1:4] if part)


def _stated_edition(head: str) -> str:
    match = _stated().search(head)
    if match is None:
        return ""
    day, month, year = match.group("day", "month", "year")
    if year:
        return f"d{year}-{month.zfill(2)}-{day.zfill(2)}"
    value = match["value"]
    return _edition(_IN_NAME.search(value if value.startswith("20") else f"v{value}"))


@cache
def _stated() -> re.Pattern[str]:
    return re.compile(
        rf"^\W{{0,6}}{words_of('runbooks', 'version')}\W{{1,6}}(?:{_DAY_FIRST}|(?P<value>\d[\d.-]*))",
        re.IGNORECASE | re.MULTILINE,
    )


@cache
def _replaced() -> re.Pattern[str]:
    return re.compile(
        rf"^\W{{0,6}}{words_of('runbooks', 'replaces')}\W{{1,6}}(\S[^\n]{{0,300}})", re.IGNORECASE | re.MULTILINE
    )
