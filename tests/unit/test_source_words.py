"""What the sources say of their failures and cuts, in the question's language."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from redis import exceptions as redis_errors

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.source_errors import SOURCE_WORDS
from orchestrator.models import PlannedSource
from orchestrator.run.envelopes import answered, raised
from orchestrator.sources import FetchResult
from workers.config import TwsSettings
from workers.sources.log_cache.connection import source_error
from workers.sources.metrics.http import MetricsHttp
from workers.sources.tws_status.errors import error_for_status, error_for_transport, timed_out
from workers.sources.tws_status.evidence import EvidenceBudget
from workers.sources.tws_status.instances import TwsInstances, load_instances
from workers.sources.tws_status.lookup import Findings
from workers.sources.tws_status.oql import check_value

PLANNED = PlannedSource(source="tws_status", limit_seconds=5)
WHAT = "GET /plan/job"


def refused_by(ask: object, *given: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        ask(*given)  # type: ignore[operator]
    return caught.value


def no_instances() -> TwsInstances:
    return load_instances(TwsSettings.from_env({}))


def one_instance() -> TwsInstances:
    return load_instances(TwsSettings.from_env({"TWS_BASE_URL": "http://127.0.0.1:9"}))


def nobody_listens() -> SourceError:
    async def ask() -> None:
        http = MetricsHttp("http://127.0.0.1:1/metrics")
        try:
            await http.get(timeout_seconds=5, max_bytes=10)
        finally:
            await http.close()

    with pytest.raises(SourceError) as caught:
        asyncio.run(ask())
    return caught.value


ERRORS = {
    "not configured": lambda: refused_by(no_instances().get, None),
    "unknown instance": lambda: refused_by(one_instance().get, "X"),
    "unsafe value": lambda: refused_by(check_value, "X' OR name"),
    **{
        f"status {status}": lambda status=status: error_for_status(status, WHAT) for status in (400, 401, 403, 404, 418)
    },
    **{f"status {status}": lambda status=status: error_for_status(status, WHAT) for status in (429, 500, 503)},
    "timeout": lambda: timed_out(WHAT, 2.0),
    "no time": lambda: timed_out(WHAT, 0.0),
    "no connection in time": lambda: timed_out(WHAT, 2.0, connect_seconds=1.8),
    "pool": lambda: error_for_transport(httpx2.PoolTimeout("x"), WHAT, 1.0),
    "refused": lambda: error_for_transport(httpx2.ConnectError("x"), WHAT, 1.0),
    "cut": lambda: error_for_transport(httpx2.ReadError("x"), WHAT, 1.0),
    "decoding": lambda: error_for_transport(httpx2.DecodingError("x"), WHAT, 1.0),
    "redis timeout": lambda: source_error(redis_errors.TimeoutError()),
    "redis refused": lambda: source_error(redis_errors.ConnectionError("x")),
    "redis password": lambda: source_error(redis_errors.AuthenticationError("x")),
    "metrics refused": nobody_listens,
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("language", [Language.PT_BR, Language.ES])
def test_a_sources_error_is_told_in_the_questions_language(name: str, language: Language) -> None:
    """What an operator meets most stands in an answer without a word of English; what programs read stays."""
    error = ERRORS[name]()
    envelope = raised("run-1", PLANNED, error, worker="w", language=language)
    words = set((envelope.error or "").replace(",", " ").replace(":", " ").replace(".", " ").split())

    assert envelope.reason == error.reason
    assert envelope.error != str(error)
    assert not words & {"the", "The", "is", "not", "answer", "set", "in", "cannot", "was", "did", "server", "within"}


def test_an_english_question_and_a_strangers_words_are_left_alone() -> None:
    """English needs no words, and what a server or another source says is not guessed at."""
    for language, text in (
        (Language.EN, f"{WHAT}: no answer within 2.0 s"),
        (Language.PT_BR, "ORA-12541: no listener"),
    ):
        assert raised("run-1", PLANNED, SourceError(text), worker="w", language=language).error == text


def test_what_was_cut_is_told_part_by_part() -> None:
    """Each part of what a source left out is told, whatever stands beside it."""
    findings = Findings()
    findings.first(range(5), 2, "successors of CARGA01")
    budget = EvidenceBudget(left_out=1, shortened=2)
    said = "; ".join((budget.cut, *findings.cuts, "a site's own words"))
    result = FetchResult(truncated=said)

    assert answered(PLANNED, result, worker="w", language=Language.PT_BR).truncated == (
        "itens de evidência omitidos: 1; itens de evidência encurtados: 2; sucessores de CARGA01: mais 3; "
        "a site's own words"
    )
    assert answered(PLANNED, result, worker="w").truncated == said


@pytest.mark.parametrize("text", SOURCE_WORDS)
def test_every_text_keeps_what_is_filled_in(text: str) -> None:
    """A translation names every field of its English, and no other."""
    for translated in SOURCE_WORDS[text]:
        fields = sorted(part.split("}")[0] for part in text.split("{")[1:])
        assert sorted(part.split("}")[0] for part in translated.split("{")[1:]) == fields
