"""Promises of the source rag_search over the embedded knowledge base."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Clue, Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import RagPayload
from orchestrator.sources import FetchResult, call_limit_seconds
from workers.knowledge.base import Hit, KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.ranking.query import KnowledgeQuery
from workers.knowledge.sqlite.base import SqliteKnowledgeBase
from workers.knowledge.sqlite.folder import index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.sources.rag_search.source import SPEC, RagSearch, query_of, query_of_clue


class FakeKnowledge:
    """Answers with the hits it was given and remembers what it was asked."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits
        self.asked: list[tuple[KnowledgeQuery, int, float]] = []
        self.closed = False

    async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
        self.asked.append((query, limit, timeout_seconds))
        return SearchResult(self.hits[:limit], len(self.hits), "fake")

    async def stats(self, *, timeout_seconds: float) -> KnowledgeStats:
        return KnowledgeStats("fake", "", 1, len(self.hits))

    async def close(self) -> None:
        self.closed = True


def make_request(
    message: str, language: Language = Language.PT_BR, limit: int = 5, **entities: object
) -> SourceRequest:
    routing = Routing(
        intent=Intent.TROUBLESHOOT, confidence=1, language=language, entities=Entities.model_validate(entities)
    )
    return SourceRequest(
        run_id="r" * 12, source="rag_search", message=message, routing=routing, limit_seconds=30, result_limit=limit
    )


def make_hit(number: int, text: str = "texto") -> Hit:
    return Hit(f"manual/{number}.md", f"Página {number}", "Solução", text, 1.0 / number, ("S0C7",))


def fetch_shipped(tmp_path: Path, *requests: SourceRequest) -> list[FetchResult]:
    async def run() -> list[FetchResult]:
        source = SPEC.create({"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)})
        try:
            return [await source.fetch(request) for request in requests]
        finally:
            await source.close()

    return asyncio.run(run())


def test_a_question_about_s0c7_finds_its_runbook_in_the_users_language(tmp_path: Path) -> None:
    """Without any setting the shipped runbooks answer, in the language of the question, the code's page first."""
    portuguese, english = fetch_shipped(
        tmp_path,
        make_request("Job BATCH001 falhou com ABEND S0C7", jobs=("BATCH001",), abend_codes=("S0C7",)),
        make_request("Job BATCH001 failed with ABEND S0C7", Language.EN, abend_codes=("S0C7",)),
    )
    assert portuguese.evidence[0].where.startswith("runbooks/pt/abend-s0c7.md#")
    assert english.evidence[0].where.startswith("runbooks/en/abend-s0c7.md#")
    assert "S0C7" in portuguese.evidence[0].codes
    assert "Solução" in portuguese.evidence[0].text


def test_a_page_is_shown_in_the_users_language_whatever_words_found_it(tmp_path: Path) -> None:
    """English words in a Portuguese question find the page, and its Portuguese translation is shown, once."""
    (result,) = fetch_shipped(tmp_path, make_request("workstation unlinked, disconnected, link down"))
    pages = [item.where.partition("#")[0] for item in result.evidence]
    assert "runbooks/pt/agent-unlinked.md" in pages
    assert all(page.startswith("runbooks/pt/") for page in pages)
    assert len(pages) == len(set(pages))


def test_a_question_about_nothing_known_is_no_data(tmp_path: Path) -> None:
    """A question outside of the domain is answered with no_data, not with the least bad page."""
    (result,) = fetch_shipped(tmp_path, make_request("qual a receita do bolo de cenoura da minha avó"))
    assert result.outcome is SourceOutcome.NO_DATA
    assert result.evidence == ()
    assert write(result.finding, Language.PT_BR) == "nada na base de conhecimento sobre isto"


def test_the_query_holds_message_codes_and_job() -> None:
    """The query is built from the question, the router's codes, the return codes and the names of jobs."""
    request = make_request(
        "o fechamento quebrou", jobs=("WS1#FECHA.FECHA_MENSAL",), abend_codes=("S322",), return_codes=(137,)
    )
    query = query_of(request)
    assert query.codes == ("s322", "rc137")
    assert "fechamensal" in query.name_tokens
    assert query.text == "o fechamento quebrou"
    assert query.language == "pt"


def test_result_limit_holds_and_the_rest_is_stated() -> None:
    """At most result_limit passages come back, and the answer says how many there were."""

    async def run() -> FetchResult:
        return await RagSearch(FakeKnowledge(*(make_hit(number) for number in range(1, 9)))).fetch(
            make_request("S0C7", limit=3)
        )

    result = asyncio.run(run())
    assert len(result.evidence) == len(RagPayload.model_validate(result.data).passages) == 3
    assert [item.id for item in result.evidence] == ["rag_search:1", "rag_search:2", "rag_search:3"]
    assert str(result.truncated) == "3 of 8 passages"


def test_an_answer_stays_within_the_size_of_an_envelope() -> None:
    """Passages beyond the character budget are left out and counted."""

    async def run() -> FetchResult:
        return await RagSearch(FakeKnowledge(*(make_hit(number, "x" * 15_000) for number in range(1, 9)))).fetch(
            make_request("S0C7", limit=8)
        )

    result = asyncio.run(run())
    assert len(result.evidence) == 4
    assert "4 passages over 60000 characters left out" in str(result.truncated)


def test_the_store_gets_less_time_than_the_source() -> None:
    """The store's own timeout is shorter than the source's limit, so that its precise error arrives."""
    fake = FakeKnowledge()
    asyncio.run(RagSearch(fake).fetch(make_request("S0C7")))
    assert call_limit_seconds(30) - 1 < fake.asked[0][2] <= call_limit_seconds(30)


def test_a_missing_index_is_refused_by_its_variable() -> None:
    """RESYNC_KNOWLEDGE_PATH with no file behind it fails at start, naming the variable and the remedy."""
    with pytest.raises(ConfigurationError, match=r"RESYNC_KNOWLEDGE_PATH.*kb index"):
        SPEC.create({"RESYNC_KNOWLEDGE_PATH": "/nonexistent/kb.sqlite3"})


def test_rag_search_is_asked_once_per_run() -> None:
    """One search serves all jobs of a question."""
    assert SPEC.per_job is False


@dataclass
class Board:
    """Gives these clues at once, and notes for how long it was asked to wait."""

    clues: tuple[Clue, ...]
    waited_seconds: float = 0.0
    asked_seconds: list[float] = field(default_factory=list)

    async def post(self, clue: Clue) -> None:
        raise AssertionError(clue)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        assert sources == ("tws_status",)
        self.asked_seconds.append(seconds)
        return self.clues


LISTENER = Clue(
    source="tws_status", codes=("ORA-12541",), lines=("ORA-12541: TNS:no listener",), return_code=1, platform="unix"
)


def with_clues(request: SourceRequest, *clues: Clue) -> SourceRequest:
    return request.model_copy(update={"clues": Board(clues)})


def test_what_the_job_log_shows_is_searched_for(tmp_path: Path) -> None:
    """The page about the log's code comes first, although the question does not name it."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "ora-12541.md").write_text("# ORA-12541\n\nListener parado: lsnrctl start.\n", encoding="utf-8")
    for number in range(6):
        (pages / f"carga{number}.md").write_text(f"# Carga {number} falhou\n\nO job de carga {number} falhou.\n")
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, pages)
    request = make_request("o job de carga falhou")

    async def run(*requests: SourceRequest) -> list[FetchResult]:
        source = RagSearch(SqliteKnowledgeBase(path))
        try:
            return [await source.fetch(request) for request in requests]
        finally:
            await source.close()

    without, with_log = asyncio.run(run(request, with_clues(request, LISTENER)))
    assert all("ora-12541" not in item.where for item in without.evidence)
    assert with_log.evidence[0].where.startswith("pages/ora-12541.md")
    assert len(with_log.evidence) == 5
    assert any("carga" in item.where for item in with_log.evidence)
    assert len(with_log.asked) == 2
    assert "ORA-12541" in with_log.asked[1]


def test_a_page_that_both_searches_find_keeps_its_place() -> None:
    """The best page about the log's code stays first when the question finds it as well."""

    class InTurn(FakeKnowledge):
        async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
            hits = (make_hit(9), make_hit(1)) if not self.asked else (make_hit(1, "S0C7"), make_hit(2, "S0C7"))
            self.asked.append((query, limit, timeout_seconds))
            return SearchResult(hits, len(hits), "fake")

    clue = Clue(source="tws_status", codes=("S0C7",), lines=("ABEND=S0C7",))
    result = asyncio.run(RagSearch(InTurn()).fetch(with_clues(make_request("S0C7"), clue)))
    assert [item.where.partition("#")[0] for item in result.evidence] == [f"manual/{n}.md" for n in (1, 2, 9)]


def test_a_second_search_that_fails_costs_no_answer() -> None:
    """The passages about the question are kept, and the report says what was not searched for."""

    class Once(FakeKnowledge):
        async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
            if self.asked:
                raise KnowledgeError("gone", reason="knowledge_timeout")
            return await super().search(query, limit=limit, timeout_seconds=timeout_seconds)

    result = asyncio.run(RagSearch(Once(make_hit(1))).fetch(with_clues(make_request("S0C7"), LISTENER)))
    assert len(result.evidence) == 1
    assert any("knowledge_timeout" in text for text in result.asked)


def test_time_is_kept_for_the_second_search() -> None:
    """The wait for a job log ends early enough to search once more."""
    request = with_clues(make_request("S0C7"), LISTENER)
    fake = FakeKnowledge(make_hit(1))
    asyncio.run(RagSearch(fake).fetch(request))
    assert isinstance(request.clues, Board)
    assert len(fake.asked) == 2
    assert fake.asked[1][2] - request.clues.asked_seconds[0] >= 0.25


@pytest.mark.parametrize(
    ("clue", "tokens"),
    [
        (Clue(source="tws_status", lines=("fim",), return_code=137), ("rc137",)),
        (Clue(source="tws_status", lines=("fim",), return_code=8), ()),
        (LISTENER, ("ora12541",)),
    ],
)
def test_only_a_telling_return_code_is_searched_for(clue: Clue, tokens: tuple[str, ...]) -> None:
    """8 means something else in every program; 137 is a signal in each shell."""
    assert query_of_clue(clue, "pt-BR").codes == tokens


def test_a_page_that_no_longer_holds_is_no_evidence() -> None:
    """It is left out, and the answer says so."""
    hits = (make_hit(1), replace(make_hit(2), withdrawn=True))
    result = asyncio.run(RagSearch(FakeKnowledge(*hits)).fetch(make_request("S0C7")))
    assert [item.where for item in result.evidence] == ["manual/1.md#Solução"]
    assert write(result.truncated, Language.EN).startswith("1 passage of a page that is revoked or replaced")
    alone = asyncio.run(RagSearch(FakeKnowledge(hits[1])).fetch(make_request("S0C7")))
    assert alone.outcome is SourceOutcome.NO_DATA
    assert alone.truncated is not None


def test_each_code_of_many_jobs_is_searched_for_once() -> None:
    """Two batches with causes in common: a search for each distinct one, a few at once, and room for all passages."""

    class ByCode(FakeKnowledge):
        now = most = 0

        async def search(self, query: KnowledgeQuery, *, limit: int, timeout_seconds: float) -> SearchResult:
            self.asked.append((query, limit, timeout_seconds))
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            self.now -= 1
            number = int(query.codes[0][3:]) if query.codes else 1
            if number == 12505:
                raise KnowledgeError("gone", reason="knowledge_timeout")
            hits = (replace(make_hit(number), text=f"ORA-{number}"), make_hit(90_000), make_hit(90_001))
            return SearchResult(hits, len(hits), "fake")

    causes = [Clue(source="tws_status", codes=(f"ORA-125{n:02}",), lines=(f"ORA-125{n:02}: x",)) for n in range(8)]
    batches = (
        Clue(source="tws_status", causes=tuple(causes[:6]), codes=("ORA-12500",)),
        Clue(source="tws_status", causes=tuple(causes[3:])),
        causes[0],
    )
    knowledge = ByCode()
    result = asyncio.run(RagSearch(knowledge).fetch(with_clues(make_request("por que falharam?"), *batches)))
    searched = [query.codes for query, _, _ in knowledge.asked[1:]]
    assert sorted(searched) == [(f"ora125{n:02}",) for n in range(8)]
    assert knowledge.most <= 4
    about = {item.where.partition("#")[0] for item in result.evidence}
    assert {f"manual/{12_500 + n}.md" for n in range(8) if n != 5} <= about
    assert "knowledge_timeout" in result.asked[-1]
    assert len(result.evidence) <= make_request("x").result_limit + 2 * 7
