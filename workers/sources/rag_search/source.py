"""The ``rag_search`` source: passages of the knowledge base about the question, its codes and its job."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Joined, Message, join
from orchestrator.models import Clue, Evidence, SourceOutcome, SourceRequest
from orchestrator.payloads import Passage, RagPayload
from orchestrator.sources import JOB_LOG_SOURCE, FetchResult, SourceSpec, call_limit_seconds
from workers.config import KnowledgeSettings
from workers.knowledge.base import Hit, KnowledgeBase, SearchResult
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.codes import find_code_tokens, find_names, name_token
from workers.knowledge.ranking.query import KnowledgeQuery, build_query
from workers.knowledge.sqlite.shipped import shipped_index

NAME = "rag_search"
_MIN_SEARCH_SECONDS, _RESERVED_SEARCHES = 0.3, 3.0
"""Time that is kept for the second search: at least this, and so many times what the first one took."""
_TELLING_RETURN_CODES = frozenset((126, 127, *range(129, 166)))
"""Return codes with one meaning in every shell; the others depend on the program."""
MAX_RESULT_CHARACTERS = 60_000
"""Characters of all passages of one answer; an envelope holds 256 KiB and each passage twice."""


def query_of(request: SourceRequest) -> KnowledgeQuery:
    """The query of a request: its message, and the codes and names that the router extracted."""
    entities = request.routing.entities
    jobs = (request.job,) if request.job else ()
    return build_query(
        request.message,
        codes=entities.codes,
        return_codes=entities.return_codes,
        names=(*jobs, *entities.jobs, *entities.job_streams, *entities.workstations),
        language=request.routing.language.value,
    )


def query_of_clues(clues: Iterable[Clue], language: str) -> KnowledgeQuery:
    """The query for what the job logs show: their codes and telling lines."""
    given = tuple(clues)
    return build_query(
        "\n".join(dict.fromkeys(line for clue in given for line in clue.lines)),
        codes=dict.fromkeys(code for clue in given for code in clue.codes),
        return_codes=[code for clue in given if (code := clue.return_code) in _TELLING_RETURN_CODES and code],
        language=language,
    )


class RagSearch:
    """Searches one knowledge base."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._knowledge = knowledge

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """See ``Source.fetch``. Raises KnowledgeError.

        Searches for the question, then, when tws_status has read a job log in time, for what it shows.
        """
        query = query_of(request)
        deadline = Deadline.after(call_limit_seconds(request.limit_seconds))
        began = time.monotonic()
        result = await self._search(request, query, deadline)
        reserve = max(_MIN_SEARCH_SECONDS, _RESERVED_SEARCHES * (time.monotonic() - began))
        clues = await request.clues.wait((JOB_LOG_SOURCE,), seconds=max(0.0, deadline.remaining() - reserve))
        of_log = query_of_clues(clues, request.routing.language.value)
        if of_log.is_empty:
            return _fetch_result(request, (query,), result)
        try:
            found = await self._search(request, of_log, deadline)
        except SourceError as error:
            found = SearchResult(
                notes=(Message("not searched for what the job log shows: {reason}", reason=error.reason),)
            )
        return _fetch_result(request, (query, of_log), _merged(result, found, of_log, request.result_limit))

    async def close(self) -> None:
        """Close the knowledge base."""
        await self._knowledge.close()

    async def _search(self, request: SourceRequest, query: KnowledgeQuery, deadline: Deadline) -> SearchResult:
        try:
            return await self._knowledge.search(query, limit=request.result_limit, timeout_seconds=deadline.remaining())
        except SourceError as error:
            raise error.of(error.where, [f"{_describe(query)} (limit {request.result_limit})"]) from None


def _merged(asked: SearchResult, of_log: SearchResult, query: KnowledgeQuery, limit: int) -> SearchResult:
    """First the passages about a code of the log, then in turn those about the question and about the log's words."""
    exact = [hit for hit in of_log.hits if not frozenset(query.codes).isdisjoint(_code_tokens(hit))]
    others = [hit for hit in of_log.hits if hit not in exact]
    in_turn = [hit for pair in zip_longest(asked.hits, others) for hit in pair if hit is not None]
    hits: dict[tuple[str, str], Hit] = {}
    for hit in (*exact, *in_turn):
        hits.setdefault((hit.document, hit.section), hit)
    common = {(hit.document, hit.section) for hit in asked.hits} & {(hit.document, hit.section) for hit in of_log.hits}
    return replace(
        asked,
        hits=tuple(hits.values())[:limit],
        total_found=asked.total_found + of_log.total_found - len(common),
        backend=asked.backend or of_log.backend,
        where=asked.where or of_log.where,
        notes=tuple(dict.fromkeys((*asked.notes, *of_log.notes))),
    )


def _describe(query: KnowledgeQuery) -> str:
    """The query for the report: codes and names, then the question's text."""
    return " ".join((*(token.upper() for token in (*query.codes, *query.names)), query.text))[:500]


def _code_tokens(hit: Hit) -> tuple[str, ...]:
    text = f"{hit.title}\n{hit.section}\n{hit.text}"
    return (*find_code_tokens(text), *map(name_token, find_names(text)))


def _fetch_result(request: SourceRequest, queries: Sequence[KnowledgeQuery], result: SearchResult) -> FetchResult:
    holding = tuple(hit for hit in result.hits if not hit.withdrawn)
    withdrawn = len(result.hits) - len(holding)
    hits, dropped = _within_budget(holding)
    passages = tuple(
        Passage(document=hit.document, section=hit.section, text=hit.text, score=hit.score, codes=hit.codes)
        for hit in hits
    )
    payload = RagPayload(
        query=_describe(queries[0]), backend=result.backend, passages=passages, total_found=result.total_found
    )
    texts = (f"{result.backend}: {_describe(query)} (limit {request.result_limit})" for query in queries)
    asked = (*texts, *map(str, result.notes))
    if not hits:
        return FetchResult(
            outcome=SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            finding=Message("nothing in the knowledge base about this"),
            asked=asked,
            where=result.where or result.backend,
            truncated=_truncated(hits, 0, withdrawn, withdrawn),
        )
    finding = Message(
        "{shown} of {count} passage; best: {best}",
        plural="{shown} of {count} passages; best: {best}",
        shown=len(hits),
        count=result.total_found,
        best=f"{hits[0].title} [{hits[0].document}]",
    )
    return FetchResult(
        data=payload.model_dump(mode="json"),
        evidence=tuple(_evidence(number, hit) for number, hit in enumerate(hits, start=1)),
        finding=finding,
        asked=asked,
        where=result.where or result.backend,
        truncated=_truncated(hits, dropped, withdrawn, result.total_found),
    )


def _within_budget(hits: tuple[Hit, ...]) -> tuple[tuple[Hit, ...], int]:
    fitting: list[Hit] = []
    size = 0
    for hit in hits:
        size += len(hit.text)
        if fitting and size > MAX_RESULT_CHARACTERS:
            break
        fitting.append(hit)
    return tuple(fitting), len(hits) - len(fitting)


def _evidence(number: int, hit: Hit) -> Evidence:
    return Evidence(
        id=f"{NAME}:{number}",
        source=NAME,
        kind="runbook",
        title=" – ".join(dict.fromkeys(part for part in (hit.title, hit.section) if part)) or hit.document,
        text=hit.text[:16_000],
        where=hit.where,
        codes=hit.codes[:50],
        score=hit.score,
        language=hit.language,
    )


def _truncated(hits: tuple[Hit, ...], dropped: int, withdrawn: int, total: int) -> Joined | None:
    """What was cut, or None."""
    cuts = []
    if withdrawn:
        cuts.append(
            Message(
                "{count} passage of a page that is revoked or replaced left out",
                plural="{count} passages of pages that are revoked or replaced left out",
                count=withdrawn,
            )
        )
    if total - withdrawn > len(hits):
        cuts.append(
            Message("{shown} of {count} passage", plural="{shown} of {count} passages", shown=len(hits), count=total)
        )
    if dropped:
        cuts.append(
            Message(
                "{count} passage over {limit} characters left out",
                plural="{count} passages over {limit} characters left out",
                count=dropped,
                limit=MAX_RESULT_CHARACTERS,
            )
        )
    if characters := sum(hit.cut_characters for hit in hits):
        cuts.append(
            Message(
                "{count} character of long sections left out",
                plural="{count} characters of long sections left out",
                count=characters,
            )
        )
    return join(cuts, "; ") if cuts else None


def _create(environ: Mapping[str, str]) -> RagSearch:
    return RagSearch(open_knowledge_base(KnowledgeSettings.from_env(environ), environ))


def _prepare(environ: Mapping[str, str]) -> None:
    """Build the index of the shipped runbooks, if that is the knowledge base. Raises KnowledgeError."""
    settings = KnowledgeSettings.from_env(environ)
    if settings.database_url is None and settings.path is None:
        shipped_index(environ)


SPEC = SourceSpec(name=NAME, create=_create, per_job=False, prepare=_prepare)
