"""What the words of a question name in the plan, and what the plan has that is like a name which it lacks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from orchestrator.codes.notation import bare_name, lies_in
from workers.sources.tws_status.client import HwaSession, Page
from workers.sources.tws_status.errors import BadQuery
from workers.sources.tws_status.lookup import PAGE, Lookup
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.paging import WIDE_PAGE
from workers.sources.tws_status.parsing import text
from workers.sources.tws_status.problems import all_workstations, streams_of_query

MAX_NEAREST = 5
MAX_UNKNOWN = 3
"""Names whose like is looked for, and words that a server without ``IN`` is asked for."""
_PREFIX_CHARACTERS = 3
_LIKENESS = 0.6
"""Ratio of ``difflib`` from which two names are alike: FECHDIA and fechto_diario are, BATCH001 and PAGTO01 are not."""

Kind = Literal["job", "stream", "workstation"]
_Search = Callable[..., Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Named:
    """A word of the question that the plan knows, as the plan writes it."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class UnknownFolders:
    """Folders that the plan does not have, and those of the plan that are nearest to them."""

    names: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()


async def find_named(session: HwaSession, words: Sequence[str], kinds: Sequence[Kind] | None = None) -> Named | None:
    """The first of ``words`` that is a job, job stream or workstation of the plan, in any case. Raises HwaError.

    One search for each kind, at the same time.
    """
    searches = {kind: search for kind, search in _searches(session).items() if kinds is None or kind in kinds}
    pages = await asyncio.gather(*(_by_name(search, words) for search in searches.values()))
    known = {
        kind: {name.casefold(): name for item in page.results if (name := text(item.get("name")))}
        for kind, page in zip(searches, pages, strict=True)
    }
    for word in words:
        for kind, names in known.items():
            if bare_name(word).casefold() in names:
                # A qualified name says more than the job's own.
                return Named(kind, word if "." in word and kind == "job" else names[bare_name(word).casefold()])
    return None


async def nearest_names(session: HwaSession, unknown: Sequence[str], kinds: Iterable[Kind]) -> tuple[str, ...]:
    """Names of the plan that are most like the unknown ones, best first. Raises HwaError.

    By the first characters of a name; where nothing is alike, among the first jobs of the plan.
    """
    searches = [search for kind, search in _searches(session).items() if kind in kinds]
    names = [bare_name(name) for name in unknown[:MAX_UNKNOWN]]
    prefixes = dict.fromkeys(
        prefix
        for name in names
        for start in (name[:_PREFIX_CHARACTERS],)
        for prefix in (start.upper(), start, start.lower())
        if prefix.isalnum()
    )
    pages = await asyncio.gather(*(_by_prefix(search, prefix) for search in searches for prefix in prefixes))
    nearest = _alike(names, pages)
    return nearest or _alike(names, [await session.search_jobs(None, limit=WIDE_PAGE)])


async def unknown_folders(session: HwaSession, named: Sequence[str], lookup: Lookup) -> UnknownFolders:
    """The named folders in which no job stream and no workstation of the plan lies, and the folders nearest to them.

    Nearest are those of a like name, else those beside it. Nothing of a plan that was not read to its end. Raises
    HwaError.
    """
    pages = await asyncio.gather(streams_of_query(session, None, lookup), all_workstations(session, lookup))
    known = sorted({text(item.get("folder"), 800) or "/" for page in pages for item in page.results})
    unknown = tuple(name for name in named if not any(lies_in(folder, (name,)) for folder in known))
    if not unknown or any(page.left_out for page in pages):
        return UnknownFolders()
    nearest = dict.fromkeys(folder for name in unknown for folder in _near_folders(name, known))
    return UnknownFolders(unknown, tuple(nearest)[:MAX_NEAREST])


def _near_folders(name: str, known: Sequence[str]) -> Sequence[str]:
    parts = [part for part in name.split("/") if part]
    like = [
        folder
        for folder in known
        if parts and get_close_matches(parts[-1].casefold(), folder.casefold().split("/"), 1, _LIKENESS)
    ]
    # From its parent upwards, the first folder that has anything.
    parents = ("/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    beside = next(filter(None, ([item for item in known if lies_in(item, (parent,))] for parent in parents)), ())
    return like or beside or [folder for folder in known if folder != "/"]


def _searches(session: HwaSession) -> dict[Kind, _Search]:
    return {
        "job": session.search_jobs,
        "stream": session.search_job_streams,
        "workstation": session.search_workstations,
    }


async def _by_name(search: _Search, words: Sequence[str]) -> Page:
    bare = [bare_name(word) for word in words]
    try:
        spellings = dict.fromkeys(spelling for word in bare for spelling in (word, word.upper(), word.lower()))
        return await search(Oql.any_of("name", spellings), limit=PAGE)
    except BadQuery:
        pages = await asyncio.gather(
            *(search(Oql.equals("name", word.upper()), limit=PAGE) for word in bare[:MAX_UNKNOWN])
        )
        return Page(tuple(item for page in pages for item in page.results))


async def _by_prefix(search: _Search, prefix: str) -> Page:
    try:
        return await search(Oql.begins_with("name", prefix), limit=PAGE)
    except BadQuery:
        return Page()


def _alike(names: Sequence[str], pages: Iterable[Page]) -> tuple[str, ...]:
    known = {_folded(name): name for page in pages for item in page.results if (name := text(item.get("name")))}
    best = (get_close_matches(_folded(name), known, MAX_NEAREST, _LIKENESS) for name in names)
    return tuple(dict.fromkeys(known[match] for matches in best for match in matches))[:MAX_NEAREST]


def is_same_name(one: str, other: str) -> bool:
    """Whether two names differ by ``-``, ``_`` and capitals alone."""
    return _folded(one) == _folded(bare_name(other))


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
