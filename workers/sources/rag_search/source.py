"""The ``rag_search`` source: passages of the knowledge base about the question, its codes and its job."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.message import Joined, Message, join
from orchestrator.logs import get_logger
from orchestrator.models import MAX_EVIDENCE_CHARACTERS, Clue, Evidence, SourceOutcome, SourceRequest
from orchestrator.payloads import Passage, RagPayload
from orchestrator.redaction.redact import redact_start
from orchestrator.sources import JOB_LOG_SOURCE, FetchResult, SourceSpec, call_limit_seconds
from orchestrator.tracing import span
from workers.config import KnowledgeSettings
from workers.knowledge.base import Hit, KnowledgeBase, SearchResult
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.codes import find_code_tokens, find_names, name_token
from workers.knowledge.ranking.query import KnowledgeQuery, build_query
from workers.knowledge.sqlite.shipped import shipped_index

_LOGGER = get_logger(__name__)
NAME = "rag_search"
_MIN_SEARCH_SECONDS, _RESERVED_SEARCHES = 0.3, 3.0
"""Time that is kept for the second search: at least this, and so many times what the first one took."""
_TELLING_RETURN_CODES = frozenset((126, 127, *range(129, 166)))
"""Return codes with one meaning in every shell; the others depend on the program."""
MAX_CAUSES = 24
"""Distinct causes of a run that are searched for."""
SEARCHES_AT_ONCE = 4
MORE_FOR_A_CAUSE, MAX_RESULTS = 2, 30
"""Passages more for each cause beyond the first, and most of a run of many jobs."""
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


def queries_of_clues(clues: Iterable[Clue], language: str) -> tuple[KnowledgeQuery, ...]:
    """A query for each distinct cause that the job logs show: its codes and telling lines."""
    causes = [cause for clue in clues for cause in (clue.causes or (clue,))]
    queries: list[KnowledgeQuery] = []
    known: set[str] = set()
    for cause in causes:
        query = query_of_clue(cause, language)
        # Without codes, the words decide.
        terms = query.codes or (" ".join(str(concept.own) for concept in query.concepts),)
        if not query.is_empty and not known.issuperset(terms):
            known.update(terms)
            queries.append(query)
    return tuple(queries[:MAX_CAUSES])


def query_of_clue(clue: Clue, language: str) -> KnowledgeQuery:
    """The query for what a job log shows: its codes and telling lines."""
    code = clue.return_code
    return build_query(
        "\n".join(clue.lines),
        codes=clue.codes,
        return_codes=[code] if code is not None and code in _TELLING_RETURN_CODES else [],
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
        queries = queries_of_clues(clues, request.routing.language.value)
        if not queries:
            return _fetch_result(request, (query,), result)
        at_once = asyncio.Semaphore(SEARCHES_AT_ONCE)

        async def search(of_log: KnowledgeQuery) -> SearchResult:
            async with at_once:
                try:
                    return await self._search(request, of_log, deadline)
                except SourceError as error:
                    note = Message("not searched for what the job log shows: {reason}", reason=error.reason)
                    return SearchResult(notes=(note,))

        found = await asyncio.gather(*map(search, queries))
        limit = min(request.result_limit + MORE_FOR_A_CAUSE * (len(queries) - 1), MAX_RESULTS)
        merged = _merged(result, list(zip(queries, found, strict=True)), max(limit, request.result_limit))
        return _fetch_result(request, (query, *queries), merged)

    async def close(self) -> None:
        """Close the knowledge base."""
        await self._knowledge.close()

    async def _search(self, request: SourceRequest, query: KnowledgeQuery, deadline: Deadline) -> SearchResult:
        began = time.monotonic()
        try:
            with span("knowledge_search", kind="client"):
                found = await self._knowledge.search(
                    query, limit=request.result_limit, timeout_seconds=deadline.remaining()
                )
        except SourceError as error:
            raise error.of(error.where, [f"{_describe(query)} (limit {request.result_limit})"]) from None
        _LOGGER.debug(
            "knowledge_searched backend=%s hits=%s latency_ms=%.1f",
            found.backend,
            len(found.hits),
            (time.monotonic() - began) * 1000,
        )
        return found


def _merged(asked: SearchResult, of_logs: Sequence[tuple[KnowledgeQuery, SearchResult]], limit: int) -> SearchResult:
    """First the passages about a code of each cause in turn, then those about the question and the logs' words."""
    exact, others = [], []
    for query, found in of_logs:
        about = [hit for hit in found.hits if not frozenset(query.codes).isdisjoint(_code_tokens(hit))]
        exact.append(about)
        others.append([hit for hit in found.hits if hit not in about])
    hits: dict[tuple[str, str], Hit] = {}
    for hit in (*_in_turn(exact), *_in_turn([asked.hits, *others])):
        hits.setdefault((hit.document, hit.section), hit)
    results = (asked, *(found for _, found in of_logs))
    repeats = sum(len(found.hits) for found in results) - len(
        {(hit.document, hit.section) for found in results for hit in found.hits}
    )
    return SearchResult(
        hits=tuple(hits.values())[:limit],
        total_found=sum(found.total_found for found in results) - repeats,
        backend=next((found.backend for found in results if found.backend), ""),
        where=next((found.where for found in results if found.where), ""),
        notes=tuple(dict.fromkeys(note for found in results for note in found.notes)),
    )


def _in_turn(lists: Iterable[Iterable[Hit]]) -> list[Hit]:
    return [hit for several in zip_longest(*lists) for hit in several if hit is not None]


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
        text=redact_start(hit.text, MAX_EVIDENCE_CHARACTERS)[0],
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
