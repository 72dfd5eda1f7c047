"""Envelopes are cut to what the store takes, say so, and can be read back whatever a source returned."""

from __future__ import annotations

import math
import time
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.deadline import Deadline
from orchestrator.diagnosis.rules.gaps import why
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, write
from orchestrator.models import (
    MAX_BATCH_JOBS,
    Evidence,
    MessageData,
    PlannedSource,
    SourceEnvelope,
    SourceOutcome,
)
from orchestrator.outcomes import BY_REASON, NO_TIME_LEFT
from orchestrator.run.envelopes import (
    MAX_BATCH_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_TEXT_CHARACTERS,
    batch_envelope,
    error_envelope,
    missing_envelope,
    result_envelope,
    timeout_envelope,
    unserved_envelope,
)
from orchestrator.sources import FetchResult
from orchestrator.store.reading import read_envelope
from orchestrator.store.records import Backlog

PLANNED = PlannedSource(source="metrics", limit_seconds=5)
LARGE = 300_000


def stored(result: FetchResult) -> SourceEnvelope:
    text = result_envelope(PLANNED, result, worker="w").model_dump_json()
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


LINE = "password=hunter2secret uma linha do log com detalhes\n"
HUGE = LINE * (20_000_000 // len(LINE))
"""A log of 20 MB; to mask it whole takes two minutes."""


def lines_of(text: str) -> Evidence:
    """Evidence that was not validated when it was made."""
    return Evidence.model_construct(id="metrics:1", source="metrics", kind="log", title="t", text=text)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (FetchResult(data={"log": HUGE}), "data left out"),
        (FetchResult(data={"log": [LINE] * 300_000}), "data left out"),
        (FetchResult(evidence=(lines_of(HUGE),)), "1 of 1 evidence text cut to 16000 characters"),
        (FetchResult(evidence=(evidence("x"),) * 200_000), "of 200000 evidence items kept"),
        (FetchResult(finding=HUGE), "finding cut to 2000 characters"),
        (FetchResult(truncated=HUGE), "truncated cut to 2000 characters"),
        (FetchResult(where=HUGE), "where cut to 2000 characters"),
        (FetchResult(asked=(HUGE,)), "asked cut to 2000 characters"),
        (FetchResult(asked=("q",) * 1_000_000), "what was queried left out"),
    ],
    ids=["data", "data of lines", "evidence", "items", "finding", "truncated", "where", "query", "queries"],
)
def test_megabytes_are_cut_before_they_are_masked(result: FetchResult, said: str) -> None:
    """A source that returns 20 MB has answered, with a cut, in a moment, and no secret of it is stored."""
    began = time.thread_time()
    envelope = stored(result)
    assert time.thread_time() - began < 2
    assert (envelope.outcome, envelope.success) == (SourceOutcome.OK, True)
    assert said in (envelope.truncated or "")
    assert "hunter2" not in envelope.model_dump_json()


@pytest.mark.parametrize("error", [ValueError(HUGE), SourceError("{log}", log=HUGE), SourceError("x").of("w", [HUGE])])
def test_an_error_of_megabytes_is_cut_before_it_is_masked(error: Exception) -> None:
    """The envelope of a source that failed comes as soon, and so does its line in the log."""
    began = time.thread_time()
    envelope = error_envelope("run-00000001", PLANNED, error, worker="w")
    assert time.thread_time() - began < 2
    assert len(envelope.error or "") <= MAX_TEXT_CHARACTERS
    assert "hunter2" not in envelope.model_dump_json()


@pytest.mark.parametrize("place", [1_990, 1_998, 2_010])
def test_no_half_of_a_secret_is_left_by_a_cut(place: int) -> None:
    """Masking reads on behind a cut: a secret is recognised by what follows it, too."""
    text = "x" * place + " https://ana:Senha2026@tws.example/ " + "y" * 9_000
    assert "Senha" not in stored(FetchResult(finding=text)).finding
    for length in (4_030, 4_047, 4_048, 4_060):  # the cut of what is read
        cut = "x " * 10 + "password=" + "s" * (length - 3_000) + " " * 2_000
        assert "sss" not in stored(FetchResult(finding=cut + text)).finding


def nested_cut(depth: int) -> Message:
    message = Message("x")
    for _ in range(depth):
        message = Message("{x}{x}", x=message)
    return message


@pytest.mark.parametrize("cut", [nested_cut(3), nested_cut(150), nested_cut(3_000), Message("{a:>999999999}", a="x")])
def test_a_cut_of_absurd_words_costs_no_answer(cut: Message) -> None:
    """Words that no reader could translate are stored as text."""
    envelope = stored(FetchResult(truncated=cut, finding=cut))
    assert (envelope.outcome, bool(envelope.truncated)) == (SourceOutcome.OK, True)
    assert len(write(envelope.cut_text or "", Language.PT_BR)) < MAX_TEXT_CHARACTERS


def test_evidence_that_is_not_masked_in_time_is_left_out() -> None:
    """What there was time for is kept, and the count says so."""
    items = tuple(evidence(LINE * 300, number) for number in range(5))
    envelope = result_envelope(PLANNED, FetchResult(evidence=items), worker="w", until=Deadline.after(-1))
    assert (len(envelope.evidence), envelope.success) == (1, True)
    assert "1 of 5 evidence items kept" in (envelope.truncated or "")


def test_evidence_without_an_end_is_left_out() -> None:
    """Validation would read the iterator for ever, and take the place of the source's task with it."""
    endless = Evidence.model_construct(**dict(evidence("x")) | {"codes": map(str, count())})
    envelope = result_envelope(PLANNED, FetchResult(evidence=(evidence("x"), endless)), worker="w")
    assert (len(envelope.evidence), envelope.outcome) == (1, SourceOutcome.OK)
    assert "1 of 2 evidence items kept" in (envelope.truncated or "")


WRONG: dict[str, Any] = {
    "no fields": {"evidence": (Evidence.model_construct(id="x"),)},
    "wrong types": {"evidence": (Evidence.model_construct(id=1, source=None, kind=[], title=b"", text={}),)},
    "wrong codes": {"evidence": (evidence("x").model_copy(update={"codes": 5, "score": "high"}),)},
    "foreign items": {"evidence": ({"id": "x"},)},
    "no evidence": {"evidence": None},
    "data": {"data": [1]},
    "finding": {"finding": 5},
    "asked": {"asked": (1,)},
    "outcome": {"outcome": "superb"},
    "an outcome that is not its own": {"outcome": SourceOutcome.LOST},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_result_with_wrong_values_is_refused_whole(name: str) -> None:
    """What a field does not allow, however deep, is an error before anything is stored."""
    with pytest.raises((TypeError, ValueError, AttributeError)):
        result_envelope(PLANNED, FetchResult(**WRONG[name]), worker="w")


def test_an_invalid_result_is_told_by_its_fields() -> None:
    """The error names what is wrong in one line, without the values."""
    with pytest.raises(ValidationError) as raised:
        result_envelope(PLANNED, FetchResult(**WRONG["wrong codes"]), worker="w")
    envelope = error_envelope("run-00000001", PLANNED, raised.value, worker="w")
    assert envelope.error == ("ValidationError: codes: must be a list; score: must be a valid number")


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


@pytest.mark.parametrize(("limit", "words"), [(0.0, "no time was left"), (-1.0, "no time was left"), (0.3, "0.3 s")])
def test_a_source_without_a_chance_is_told_as_such(limit: float, words: str) -> None:
    """Nobody reads of a limit of 0 s."""
    envelope = timeout_envelope(PLANNED, limit_seconds=limit, language=Language.EN, worker="w")
    assert words in (envelope.error or "")
    assert (why(envelope) == BY_REASON[NO_TIME_LEFT]) == (limit <= 0)


@pytest.mark.parametrize(
    ("running", "outcome", "words"),
    [
        (None, SourceOutcome.NOT_STARTED, "no worker took the queue"),
        (0.0, SourceOutcome.TIMEOUT, "no time was left"),
        (0.3, SourceOutcome.TIMEOUT, "did not answer within its limit of 0.3 s"),
        (5.2, SourceOutcome.TIMEOUT, "did not answer within its limit of 5 s"),
        (5.6, SourceOutcome.LOST, "was started and never reported"),
    ],
)
def test_a_missing_source_is_told_by_the_time_that_it_had(
    running: float | None, outcome: SourceOutcome, words: str
) -> None:
    """The limit of a source that started late is what was left of the time."""
    envelope = missing_envelope(PLANNED, language=Language.EN, running_seconds=running)
    assert (envelope.outcome, words in (envelope.error or "")) == (outcome, True)


@pytest.mark.parametrize(("language", "rate"), [(Language.EN, "7.1 in a second"), (Language.PT_BR, "7,1 por segundo")])
def test_a_source_that_is_not_asked_tells_the_rate_of_its_queue_as_its_reader_writes_it(
    language: Language, rate: str
) -> None:
    """Numbers have the decimal sign of the language."""
    envelope = unserved_envelope(PLANNED, Backlog(waiting=40, per_second=7.1), language=language, worker="w")
    assert rate in (envelope.error or "")


JOBS = [f"JOB{number}" for number in range(MAX_BATCH_JOBS)]
BATCH = PLANNED.model_copy(update={"batch": 1, "jobs": tuple(JOBS)})


def a_part(job: str, **fields: Any) -> SourceEnvelope:
    """An envelope that is not masked, which would take its time."""
    return SourceEnvelope(source="metrics", job=job, outcome=SourceOutcome.OK, success=True, **fields)


def read_batch(batch: SourceEnvelope) -> SourceEnvelope:
    envelope, damage = read_envelope("run-00000001", "metrics|+1", batch.model_dump_json())
    assert not damage
    return envelope


def test_a_batch_that_is_too_large_is_cut_where_it_is_largest() -> None:
    """Small answers stay whole, the others share the rest, and each says what it has lost."""
    items = tuple(map(evidence, ["x" * 9_000] * 20, count(1)))
    made = [a_part(job, data={"a": 1}, evidence=() if i % 2 else items) for i, job in enumerate(JOBS)]
    batch = batch_envelope(BATCH, made)
    assert len(batch.model_dump_json().encode()) <= MAX_BATCH_BYTES
    parts = read_batch(batch).parts
    assert parts[1::2] == tuple(made[1::2])
    kept = {len(part.evidence) for part in parts[::2]}
    assert 5 < min(kept) == max(kept) < 20
    assert {part.data["a"] for part in parts} == {1}
    assert all("evidence items kept" in (part.truncated or "") for part in parts[::2])


def test_the_worst_batch_can_be_read() -> None:
    """Texts as long as they may be, of characters that JSON writes with six, for as many jobs as there may be."""
    worst = "\u0001" * MAX_TEXT_CHARACTERS
    texts = {"finding": worst, "where": worst, "truncated": worst, "error": worst}
    made = [a_part(job, **texts, asked=(worst,) * 20, data={"a": "x" * 90_000}) for job in JOBS]
    parts = read_batch(batch_envelope(BATCH, made)).parts
    assert [(part.job, part.data, part.asked, part.finding) for part in parts] == [(job, {}, (), worst) for job in JOBS]


HIDDEN = "\u200bp\u200bass\u202eword=Zq9xW3kLm7\u2069 \U000e0049\U000e0047\x07 fim\ufeff"


def test_what_no_reader_sees_is_taken_out_before_it_is_stored() -> None:
    """Characters of no width, of direction and of tags reach neither evidence nor data, and hide no secret in them."""
    item = Evidence(id="x:1", source="metrics", kind="log", title=HIDDEN, text=f"a\r\n{HIDDEN}", where=HIDDEN)
    given = FetchResult(
        data={"line\u200b": HIDDEN, "more": [HIDDEN]}, evidence=(item,), finding=HIDDEN, where=HIDDEN, asked=(HIDDEN,)
    )
    text = stored(given).model_dump_json()
    assert not set(text) & set(HIDDEN.replace("\x07", "")) - set(" abcdefghijklmnopqrstuvwxyz=ZqW9xkLm37")
    assert "Zq9xW3kLm7" not in text
    assert "fim" in text
    assert '"line"' in text


def test_a_failure_shows_no_hidden_characters() -> None:
    """What a source raises is shown without them as well."""
    failed = error_envelope("r", PLANNED, SourceError("refused\u202e: {x}", x="a\u200bb"), worker="w")
    assert "\u202e" not in failed.model_dump_json()
    assert "\u200b" not in failed.model_dump_json()
