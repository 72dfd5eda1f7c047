"""Pages of a knowledge base: what a passage is about, whether its page still holds, and the steps that it lists."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from orchestrator.codes.catalogue import Category, Platform
from orchestrator.codes.patterns import find_codes_to_look_up
from orchestrator.diagnosis.injection import is_planted
from orchestrator.i18n.languages import words_of
from orchestrator.joblog.reader import platform_of

HEAD_CHARACTERS = 1_500
"""Where a page says that it no longer holds."""
MAX_STEPS = 4
"""Most steps of a runbook in an answer."""
MAX_STEP_CHARACTERS = 400
_NOT_IN_A_NAME = r"(?<![\w#@$-])", r"(?![\w#@$-])"
_ITEM = re.compile(r"^\s{0,8}(?:\d{1,2}[.)]|[-*•])\s+(?=\S)")
_NUMBERED = re.compile(r"^\s{0,8}\d{1,2}[.)]\s+(?=\S)")
_MARKS = " \t#*_>:.|"
_SIGNALS = range(126, 166)
"""Return codes that mean the same in every shell."""
_of_a_page = lru_cache(maxsize=1_024)
"""Of a question about many jobs the same passages are read for each of them."""


@_of_a_page
def is_withdrawn(title: str, text: str) -> bool:
    """Whether the page says of itself that it is revoked, obsolete or replaced by another."""
    in_title, at_start = _notices()
    return bool(in_title.search(title) or at_start.search(text[:HEAD_CHARACTERS]))


@cache
def _notices() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words, page = words_of("runbooks", "withdrawn"), words_of("runbooks", "this_page")
    return (
        re.compile(rf"[\[(]\s*{words}\b|^\W*{words}\s*[]):–—-]|[–—:-]\s+{words}[\W\d]*$", re.IGNORECASE),
        re.compile(
            # A heading, a line or a field of its own; "obsolete files are removed" is no notice.
            rf"(?:^|\n)[^\w\n]{{0,8}}(?:(?:status|state|situa[cç][aã]o|estado)\W{{1,5}})?{words}"
            r"(?=\W*(?:\n|$)|[\s*_]*[:;,.!()–—]|[\s*_]+(?:since|by|on|in|desde|em|por|pel[oa]|el|a partir)\b)"
            rf"|\b{page}\s+(?:\w+\s+)?{words}\b",
            re.IGNORECASE,
        ),
    )


@_of_a_page
def names_code(code: str, title: str, text: str) -> bool:
    """Whether a passage is about ``code``: its title names it, or an entry of a text without a code in its title."""
    before, after = _NOT_IN_A_NAME
    word = f"{before}{re.escape(code)}{after}"
    if code in find_codes_to_look_up(title) or re.search(word, title, re.IGNORECASE):
        return True
    if find_codes_to_look_up(title):
        return False
    # "- ORA-12541: start the listener", not "S0C7 is answered within 15 minutes".
    entry = (
        rf"^[ \t>]{{0,8}}(?:[*|#•\d.)–-]{{1,4}}[\s`\"“*]{{0,6}}{word}"
        rf"|[`\"“*]{{0,3}}{word}[`\"”*]{{0,3}}\s*(?:[:|–—-]|$))"
    )
    return re.search(entry, text, re.IGNORECASE | re.MULTILINE) is not None


def names_return_code(code: int, title: str, text: str, platform: Platform | None) -> bool:
    """Whether the title names this return code, on the same platform; a signal means the same everywhere."""
    announced = re.compile(
        rf"\b{words_of('runbooks', 'return_codes')}\b[^–—:(]*?(?<![\w.-]){code}(?![\w.])", re.IGNORECASE
    )
    if not announced.search(title):
        return False
    own = _platform_of(title, text)
    return own is platform if own is not None else platform is not Platform.ZOS and code in _SIGNALS


@_of_a_page
def names_cause(category: Category, title: str) -> bool:
    """Whether the title names a cause that has no code."""
    return _names(category, title, ("causes",))


@_of_a_page
def is_for_another_cause(category: Category, label: str) -> bool:
    """Whether a step that begins with ``label`` is for a cause without a code that is not this one: "Fence: ..."."""
    tables = ("causes", "step_labels")
    return not _names(category, label, tables) and any(_names(other, label, tables) for other in Category)


def _names(category: Category, text: str, tables: Iterable[str]) -> bool:
    words = "|".join(words_of(table, category.value) for table in tables)
    return re.search(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) is not None


def is_of_another_platform(title: str, text: str, platform: Platform | None) -> bool:
    """Whether a passage is about z/OS and the job is not, or the reverse."""
    own = _platform_of(title, text)
    return own is not None and platform is not None and (own is Platform.ZOS) != (platform is Platform.ZOS)


@_of_a_page
def is_planted_in(text: str) -> bool:
    """Whether a passage addresses its reader with an instruction."""
    return is_planted(text)


@_of_a_page
def _platform_of(title: str, text: str) -> Platform | None:
    return platform_of(f"{title}\n{text}")


@_of_a_page
def steps_of(text: str) -> tuple[str, ...]:
    """The steps of the remedy in a passage: the items below its heading, else its first lines; else a numbered list."""
    lines = text.split("\n")
    start = next((index for index, line in enumerate(lines) if _is_remedy(line)), None)
    if start is None:
        numbered = list(_items(lines, _NUMBERED))
        return _clean(numbered if len(numbered) > 1 else ())
    section: list[str] = []
    for line in lines[start + 1 :]:
        if section and _is_heading(line):
            break
        section.append(line)
    same_line = lines[start].partition(":")[2].strip(_MARKS)
    items = list(_items(section, _ITEM))
    return _clean(items or ([same_line] if same_line else " ".join(section).split(". ")[:MAX_STEPS]))


@_of_a_page
def section_of_steps(text: str) -> str:
    """The heading of the remedy in a passage; empty when it has none of its own."""
    line = next(filter(_is_remedy, text.split("\n")), "")
    return line.partition(":")[0].strip(_MARKS)


def _is_remedy(line: str) -> bool:
    return re.fullmatch(words_of("runbooks", "remedy"), line.partition(":")[0].strip(_MARKS), re.IGNORECASE) is not None


def _is_heading(line: str) -> bool:
    """A heading as passages show it: a short line that ends in a colon and is no item."""
    stripped = line.strip()
    return stripped.startswith("#") or (len(stripped) <= 80 and stripped.endswith(":") and not _ITEM.match(line))


def _items(lines: Iterable[str], item: re.Pattern[str]) -> Iterable[str]:
    """The items of a list, each with the lines that continue it."""
    current = ""
    for line in lines:
        if item.match(line):
            if current:
                yield current
            current = item.sub("", line)
        elif current and line.strip():
            current += f" {line.strip()}"
        elif current:
            yield current
            current = ""
    if current:
        yield current


def _clean(steps: Iterable[str]) -> tuple[str, ...]:
    cleaned = (" ".join(step.split()) for step in steps)
    return tuple(step[:MAX_STEP_CHARACTERS] for step in cleaned if step and not is_planted(step))
