"""Envelopes are cut to what the store takes, say so, and can be read back whatever a source returned."""

from __future__ import annotations

import math
from datetime import datetime

import pytest

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import Evidence, MessageData, PlannedSource, SourceEnvelope
from orchestrator.run.envelopes import (
    MAX_ENVELOPE_BYTES,
    MAX_TEXT_CHARACTERS,
    error_envelope,
    fit_to_store,
    result_envelope,
)
from orchestrator.sources import FetchResult

PLANNED = PlannedSource(source="metrics", limit_seconds=5)
LARGE = 300_000


def stored(result: FetchResult) -> SourceEnvelope:
    text = fit_to_store(result_envelope(PLANNED, result, worker="w")).model_dump_json()
    assert len(text.encode()) <= MAX_ENVELOPE_BYTES
    return SourceEnvelope.model_validate_json(text)


def evidence(text: str, number: int = 1) -> Evidence:
    return Evidence(id=f"metrics:{number}", source="metrics", kind="log", title="t", text=text)


def test_a_small_answer_is_left_alone() -> None:
    """What fits is stored as it is, and nothing is said to be cut."""
    envelope = stored(FetchResult(data={"a": "€"}, evidence=(evidence("ação"),), finding="ok", asked=("q",)))
    assert (envelope.data, envelope.evidence[0].text, envelope.truncated) == ({"a": "€"}, "ação", None)


def test_evidence_that_its_masks_make_longer_can_be_read_again() -> None:
    """Masks may outgrow their secrets; the text is cut to what the contract reads back, and that is said."""
    envelope = stored(FetchResult(evidence=(evidence(("senha=Ab12 " * 2_000)[:16_000]), evidence("curto", 2))))
    assert [len(item.text) for item in envelope.evidence] == [16_000, 5]
    assert "Ab12" not in envelope.evidence[0].text
    assert envelope.truncated == "1 of 2 evidence texts cut to 16000 characters"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (FetchResult(finding="é" * LARGE), "finding cut to 2000 characters"),
        (FetchResult(where="\x01" * LARGE), "where cut to 2000 characters"),
        (FetchResult(truncated="x" * LARGE), "truncated cut to 2000 characters"),
        (FetchResult(asked=("q" * LARGE,)), "asked cut to 2000 characters"),
        (FetchResult(asked=("q" * 300,) * 1_000), "what was queried left out"),
        (FetchResult(data={"a": "€" * LARGE}), "data left out"),
        (FetchResult(evidence=tuple(evidence("€" * 16_000, n) for n in range(20))), "of 20 evidence items kept"),
    ],
    ids=["finding", "where", "truncated", "one question", "many questions", "data", "evidence"],
)
def test_whatever_is_too_large_is_cut_and_said(result: FetchResult, said: str) -> None:
    """No field of an answer makes its envelope larger than the store takes."""
    envelope = stored(result)
    assert envelope.truncated is not None
    assert said in envelope.truncated
    assert len(envelope.finding) <= MAX_TEXT_CHARACTERS


def test_what_is_small_is_kept_beside_what_is_too_large() -> None:
    """Evidence goes before data, and what was asked last."""
    items = tuple(evidence("x" * 16_000, number) for number in range(20))
    envelope = stored(FetchResult(data={"state": "ABEND"}, evidence=items, asked=("GET /plan/job",)))
    assert 10 <= len(envelope.evidence) < 20
    assert (envelope.data, envelope.asked) == ({"state": "ABEND"}, ("GET /plan/job",))


def test_an_error_that_asked_too_much_is_cut_as_well() -> None:
    """What a source that failed had asked is bounded like an answer."""
    envelope = error_envelope("run-00000001", PLANNED, SourceError("x").of("host", ("q" * 1_000,) * 1_000), worker="w")
    assert len(envelope.model_dump_json()) <= MAX_ENVELOPE_BYTES
    assert envelope.where == "host"


class OwnInit(SourceError):
    """A site's error that does not call our constructor."""

    def __init__(self, code: int) -> None:
        Exception.__init__(self, f"the calendar answered {code}")


class OwnMessage(SourceError):
    """A site's error with an attribute of our name."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.message = text  # type: ignore[assignment]  # what a site may do


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OwnInit(500), "the calendar answered 500"),
        (OwnMessage("lost {x}"), "lost {x}"),
        (SourceError(OSError("refused")), "refused"),  # type: ignore[arg-type]  # what a site may do
        (SourceError("{code", code=1), "{code"),
        (SourceError("{code} {0} {other}", code=1), "{code} {0} {other}"),
        (SourceError("in {context}: {plural}", context="prod", plural="x"), "in prod: x"),
        (SourceError("after {limit:g} s", limit=None), "after None s"),
        (SourceError("ratio {ratio:.1f}", ratio=math.inf), "ratio inf"),
        (SourceError("since {at:%H:%M}", at=datetime(2026, 1, 2, 3, 4)), "since 03:04"),  # noqa: DTZ001
        (SourceError("{code} records", code=10**400), f"{10**400} records"),
        (SourceError("{what}", what=Message("data left out")), "dados omitidos"),
    ],
)
def test_whatever_a_source_raises_is_stored(error: SourceError, text: str) -> None:
    """An error's text reaches the envelope with its facts, and braces that are no facts as they are."""
    envelope = error_envelope("run-00000001", PLANNED, error, worker="w", language=Language.PT_BR)
    assert (envelope.error, envelope.reason) == (text, "source_error")
    read = SourceEnvelope.model_validate_json(envelope.model_dump_json())
    assert read.error_text is not None


def test_an_exception_without_a_text_is_an_envelope() -> None:
    """The border holds for an exception whose own text cannot be made."""

    class Textless(Exception):
        def __str__(self) -> str:
            raise KeyError("text")

    envelope = error_envelope("run-00000001", PLANNED, Textless(), worker="w")
    assert (envelope.error, envelope.reason) == ("Textless: <exception str() failed>", "unexpected")
    assert error_envelope("run-00000001", PLANNED, KeyError("a"), worker="w").error == "KeyError: 'a'"


def test_a_stored_message_may_have_facts_of_any_name() -> None:
    """Facts come from other versions: a name that ours give a meaning does not stop the reader."""
    stored_message = MessageData(key="{plural} {context} {key}", facts={"plural": "a", "context": "b", "key": "c"})
    assert stored_message.in_language(Language.PT_BR) == "a b c"
    assert MessageData(key="").in_language(Language.ES) == ""
