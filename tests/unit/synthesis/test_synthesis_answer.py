"""What a model wrote becomes a diagnosis, or a reason why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai_support import answer

from orchestrator.models import Action, Diagnosis, Hypothesis
from workers.synthesis.answer import AnswerUnusable, parse_answer, to_diagnosis

DRAFT = Diagnosis(
    summary="d",
    category="disk_full",
    hypotheses=(Hypothesis(category="disk_full", title="t", confidence=0.5),),
    actions=(Action(text="do rascunho"),),
    prevention=("p",),
    missing_evidence=("m",),
    suspicious=("s",),
)


@pytest.mark.parametrize(
    "text",
    [
        answer(),
        f"```json\n{answer()}\n```",
        f"Claro:\n{answer()}\nEspero ter ajudado.",
        f"<think>{{hm}}</think>{answer()}",
        f"penso {{em}} algo</think>\n{answer()}",
        f"Segue {{o objeto}}, como em {{}}:\n{answer()} e {{mais}}",
        f'{{"answer": {answer()}}}',
        f"[{answer()}]",
        answer(prevention=["o log diz </think> {"]),
    ],
)
def test_the_object_is_found_in_what_surrounds_it(text: str) -> None:
    """Fences, prose and a reasoning block around the object do no harm."""
    assert parse_answer(text).category == "data_exception"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("<think>só pensei</think>", "empty"),
        ("não sei", "bad_json"),
        ('{"summary": ', "bad_json"),
        ("{" * 5_000, "bad_json"),
        ('{"summary": ""}', "invalid"),
        ('{"claims": []}', "invalid"),
        ('{"summary": {"a": 1}}', "invalid"),
        ("<think>nunca acabou {", "empty"),
        (answer(confidence=0).replace("0,", "9" * 5_000 + ",", 1), "bad_json"),
        ('{"summary": "cortado", "claims": [{"text": "x"}, {', "bad_json"),
    ],
)
def test_unusable_text_has_a_reason(text: str, reason: str) -> None:
    """Empty, no JSON and JSON of another shape are told apart."""
    with pytest.raises(AnswerUnusable) as caught:
        parse_answer(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("written", "read"), [(0.8, 0.8), ("0.8", 0.8), ("80%", 0.8), (80, 0.8), (-1, 0.0), ("alta", 0.0), (None, 0.0)]
)
def test_confidence_is_read_in_every_notation(written: Any, read: float) -> None:
    """A fraction, a percentage or words: always a number from 0 to 1."""
    assert parse_answer(answer(confidence=written)).confidence == read


def test_models_shapes_are_taken_as_meant() -> None:
    """One string for a list, null for nothing, strings for objects, unknown risks and keys: all read."""
    parsed = parse_answer(
        answer(
            claims=[{"text": "x", "evidence_ids": "tws_status:1"}],
            actions=["só texto", {"text": "y", "risk": "HIGH", "command": "null"}, {"text": "z", "risk": "?"}],
            prevention="uma",
            missing_evidence=None,
            alternatives=None,
            root_cause=None,
            unknown_key=1,
        )
    )
    assert parsed.claims[0].evidence_ids == ("tws_status:1",)
    assert [(a.text, a.risk, a.command) for a in parsed.actions] == [
        ("só texto", "none", None),
        ("y", "high", None),
        ("z", "none", None),
    ]
    assert parsed.prevention == ("uma",)
    assert parsed.root_cause == ""


def test_the_draft_fills_what_the_model_left_out() -> None:
    """Steps, alternatives and an unknown category come from the draft; what it found missing or suspicious stays."""
    diagnosis = to_diagnosis(
        parse_answer(answer(category="marcianos", actions=[], prevention=[], missing_evidence=["n"], suspicious=[])),
        DRAFT,
    )
    assert diagnosis.category == "disk_full"
    assert diagnosis.actions == DRAFT.actions
    assert diagnosis.hypotheses == DRAFT.hypotheses
    assert diagnosis.prevention == ("p",)
    assert diagnosis.missing_evidence == ("m", "n")
    assert diagnosis.suspicious == ("s",)


@pytest.mark.parametrize(
    ("written", "draft", "category"),
    [
        ("disk_full", "out_of_memory", "disk_full"),
        ("out_of_memory", "out_of_memory", "out_of_memory"),
        ("data_exception", "success_condition_met", "success_condition_met"),
        ("data_exception", "unknown", "data_exception"),
    ],
)
def test_a_category_is_chosen_among_the_drafts(written: str, draft: str, category: str) -> None:
    """A model may choose another of the rules' hypotheses, and any category where the rules have none."""
    case = DRAFT.model_copy(update={"category": draft})
    assert to_diagnosis(parse_answer(answer(category=written)), case).category == category


def test_alternatives_become_hypotheses() -> None:
    """An alternative keeps its category when it is a known one, its confidence and its evidence."""
    alternatives = [
        {
            "title": "Disco cheio",
            "category": "Disk Full",
            "confidence": "30%",
            "evidence_ids": ["a:1"],
            "against": ["b:1"],
        },
        {"title": ""},
        {"title": "Palpite", "confidence": 0.9},
    ]
    assert to_diagnosis(parse_answer(answer(alternatives=alternatives)), DRAFT).hypotheses == (
        Hypothesis(category="disk_full", title="Disco cheio", confidence=0.3, supports=("a:1",), contradicts=("b:1",)),
    )


def test_the_answer_is_redacted() -> None:
    """A secret that a model repeats is in no field of its answer."""
    parsed = parse_answer(
        answer(summary="password=hunter2x", actions=[{"text": "x", "command": "mysql -u a -phunter2x"}])
    )
    assert "hunter2x" not in json.dumps(parsed.model_dump())


def test_one_item_that_says_nothing_does_not_cost_the_others() -> None:
    """Claims and steps without a text, of another shape or too long lose themselves or their end, not the answer."""
    long = "x" * 5_000
    parsed = parse_answer(
        answer(
            summary=["Uma frase.", "Outra."],
            claims=[{"text": "a", "evidence_ids": [{"id": "tws_status:1"}]}, {"text": 7}, {"no": 1}, [1], 5, None],
            actions=[{"text": None, "command": "conman sj A"}, {"risk": "low"}, {"text": long}],
        )
    )
    assert parsed.summary == "Uma frase. Outra."
    assert [(claim.text, claim.evidence_ids) for claim in parsed.claims] == [("a", ("tws_status:1",))]
    assert [action.text[:11] for action in parsed.actions] == ["conman sj A", "x" * 11]


def test_half_a_surrogate_pair_is_replaced() -> None:
    """What no UTF-8 can hold would fail only when the report is stored."""
    parsed = parse_answer(answer(summary="XX").replace("XX", "caiu \\ud83d hoje"))
    assert parsed.summary == "caiu \ufffd hoje"
