"""What the sources say of their failures and cuts, in the question's language."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from redis import exceptions as redis_errors

from orchestrator.diagnosis.rules.gaps import why
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, join, write
from orchestrator.models import MessageData, PlannedSource, SourceEnvelope
from orchestrator.run.envelopes import error_envelope, result_envelope
from orchestrator.sources import FetchResult
from workers.config import TwsSettings
from workers.sources.log_cache.connection import source_error
from workers.sources.metrics.http import MetricsHttp
from workers.sources.tws_status.errors import error_for_status, error_for_transport, timed_out
from workers.sources.tws_status.evidence import EvidenceBudget
from workers.sources.tws_status.instances import TwsInstances, load_instances
from workers.sources.tws_status.lookup import Lookup
from workers.sources.tws_status.oql import check_value

PLANNED = PlannedSource(source="tws_status", limit_seconds=5)
WHAT = "GET /plan/job"
SUCCESSORS = "{count} more successors of {name}"


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
    envelope = error_envelope("run-1", PLANNED, error, worker="w", language=language)
    words = set((envelope.error or "").replace(",", " ").replace(":", " ").replace(".", " ").split())

    assert envelope.reason == error.reason
    assert envelope.error != str(error)
    assert not words & {"the", "The", "is", "not", "answer", "set", "in", "cannot", "was", "did", "server", "within"}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("language", [Language.PT_BR, Language.ES])
def test_a_reader_of_another_language_has_the_error_in_theirs(name: str, language: Language) -> None:
    """The envelope keeps key and facts through JSON: an error told in English can still be read in Portuguese."""
    error = ERRORS[name]()
    stored = error_envelope("run-1", PLANNED, error, worker="w").model_dump_json()
    envelope = SourceEnvelope.model_validate_json(stored)

    assert envelope.error == str(error)
    assert write(envelope.error_text or "", language) == write(error.message, language)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    "text",
    [
        "the change calendar: no answer within 2.0 s",
        "change calendar answered 503",
        "ORA-12541: no listener",
        "the disk /var is {full}",
    ],
)
def test_a_sites_own_words_are_left_alone(text: str, language: Language) -> None:
    """What another source says is not guessed at, however much it resembles a sentence of ours."""
    failed = error_envelope("run-1", PLANNED, SourceError(text), worker="w", language=language)
    cut = result_envelope(PLANNED, FetchResult(finding=text, truncated=text), worker="w", language=language)

    assert (failed.error, cut.finding, cut.truncated) == (text, text, text)
    assert [write(said or "", language) for said in (failed.error_text, cut.cut_text)] == [text, text]
    assert why(failed).in_language(language).endswith(text)


def test_what_was_cut_is_told_part_by_part() -> None:
    """Each part of what a source left out is told, whatever stands beside it."""
    lookup = Lookup()
    lookup.first(range(5), 2, Message("{count} more successor of {name}", plural=SUCCESSORS, name="CARGA01"))
    budget = EvidenceBudget(left_out=1, shortened=2)
    result = FetchResult(truncated=join((*budget.cuts, *lookup.cuts, "a site's own words"), "; "))
    envelope = result_envelope(PLANNED, result, worker="w", language=Language.PT_BR)

    assert envelope.truncated == (
        "1 item de evidência omitido; 2 itens de evidência encurtados; mais 3 sucessores de CARGA01; a site's own words"
    )
    assert [cut.in_language(Language.EN) for cut in envelope.cuts] == [
        "1 evidence item left out",
        "2 evidence items shortened",
        "3 more successors of CARGA01",
        "a site's own words",
    ]


def test_what_an_envelope_itself_leaves_out_is_told_in_the_questions_language() -> None:
    """The envelope's own cuts stand beside those of the source."""
    result = FetchResult(finding="x" * 3_000, truncated="a site's own words")
    envelope = result_envelope(PLANNED, result, worker="w", language=Language.PT_BR)

    assert envelope.truncated == "a site's own words; finding cortado em 2000 caracteres"


@pytest.mark.parametrize(
    ("template", "facts"),
    [
        ("cannot connect with {url}", {"url": "redis://:hunter22@cache:6379/0"}),
        ("the password={word} is refused", {"word": "hunter22"}),
    ],
    ids=["in a fact", "by its sentence"],
)
def test_a_secret_is_masked_in_what_a_reader_translates(template: str, facts: dict[str, str]) -> None:
    """Facts are masked like the text, also where only the words around a fact tell that it is a secret."""
    envelope = error_envelope("run-1", PLANNED, SourceError(template, **facts), worker="w")

    assert "hunter22" not in envelope.model_dump_json()


@pytest.mark.parametrize(
    "message",
    [
        {"key": "{a}"},
        {"key": "{a:q}", "facts": {"a": 1}},
        {"key": "{a", "facts": {"a": 1}},
        {"key": "x", "plural": "y"},
    ],
    ids=["no fact", "no such format", "no template", "no count"],
)
def test_a_message_that_does_not_fit_its_facts_is_still_readable(message: dict[str, Any]) -> None:
    """What another version wrote, or somebody else, costs no reader the answer."""
    assert MessageData.model_validate(message).in_language(Language.PT_BR) == message["key"]
