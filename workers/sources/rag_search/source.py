"""The ``rag_search`` source: passages of the knowledge base about the question, its codes and its job."""

from collections.abc import Mapping

from orchestrator.errors import SourceError
from orchestrator.i18n.message import Joined, Message, join
from orchestrator.models import Evidence, SourceOutcome, SourceRequest
from orchestrator.payloads import Passage, RagPayload
from orchestrator.sources import FetchResult, SourceSpec, call_limit_seconds
from workers.config import KnowledgeSettings
from workers.knowledge.base import Hit, KnowledgeBase, SearchResult
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.query import KnowledgeQuery, build_query
from workers.knowledge.sqlite.shipped import shipped_index

NAME = "rag_search"
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


class RagSearch:
    """Searches one knowledge base."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._knowledge = knowledge

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """See ``Source.fetch``. Raises KnowledgeError."""
        query = query_of(request)
        timeout = call_limit_seconds(request.limit_seconds)
        try:
            result = await self._knowledge.search(query, limit=request.result_limit, timeout_seconds=timeout)
        except SourceError as error:
            raise error.of(error.where, [f"{_describe(query)} (limit {request.result_limit})"]) from None
        return _fetch_result(request, query, result)

    async def close(self) -> None:
        """Close the knowledge base."""
        await self._knowledge.close()


def _describe(query: KnowledgeQuery) -> str:
    """The query for the report: codes and names, then the question's text."""
    return " ".join((*(token.upper() for token in (*query.codes, *query.names)), query.text))[:500]


def _fetch_result(request: SourceRequest, query: KnowledgeQuery, result: SearchResult) -> FetchResult:
    hits, dropped = _within_budget(result.hits)
    passages = tuple(
        Passage(document=hit.document, section=hit.section, text=hit.text, score=hit.score, codes=hit.codes)
        for hit in hits
    )
    payload = RagPayload(
        query=_describe(query), backend=result.backend, passages=passages, total_found=result.total_found
    )
    asked = (f"{result.backend}: {payload.query} (limit {request.result_limit})", *map(str, result.notes))
    if not hits:
        return FetchResult(
            outcome=SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            finding=Message("nothing in the knowledge base about this"),
            asked=asked,
            where=result.where or result.backend,
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
        truncated=_truncated(hits, dropped, result.total_found),
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
    )


def _truncated(hits: tuple[Hit, ...], dropped: int, total: int) -> Joined | None:
    """What was cut, or None."""
    cuts = []
    if total > len(hits):
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
