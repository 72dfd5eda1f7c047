"""Fragments shown while the model writes: checked, redacted, paced."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.i18n.languages import Language
from orchestrator.models import Evidence
from workers.synthesis.fragments import MIN_INTERVAL_SECONDS, FragmentPacer, FragmentRenderer
from workers.synthesis.scanner import Part

EVIDENCE = (Evidence(id="tws_status:1", source="tws_status", kind="log", title="t", text="ABEND=S0C7 RC=12"),)


def _render(*parts: Part, language: Language = Language.PT_BR, **options: Any) -> str:
    renderer = FragmentRenderer(EVIDENCE, language, **options)
    return "".join(renderer.render(part) for part in parts)


@pytest.mark.parametrize(
    ("language", "cause", "steps", "mark"),
    [
        (Language.PT_BR, "Causa", "Passos", "proposta, não executada; risco médio"),
        (Language.EN, "Cause", "Steps", "proposal, not executed; medium risk"),
        (Language.ES, "Causa", "Pasos", "propuesta, no ejecutada; riesgo medio"),
    ],
)
def test_parts_become_markdown_in_the_users_language(language: Language, cause: str, steps: str, mark: str) -> None:
    """Headings and marks are in the user's language, each heading once; a mutating step is marked as a proposal."""
    text = _render(
        Part("summary", "Um."),
        Part("summary", "Dois."),
        Part("root_cause", "Porque."),
        Part("claims", {"text": "S0C7", "evidence_ids": ["tws_status:1"]}),
        Part("actions", {"text": "Ver", "command": "conman sj A"}),
        Part("actions", {"text": "R", "command": "conman rerun A"}),
        Part("prevention", "nada"),
        Part("confidence", "0.5"),
        language=language,
    )
    assert text.startswith("Um. Dois. ")
    assert text.count(f"**{cause}:** Porque.") == 1
    assert "- S0C7 [tws_status:1]\n" in text
    assert text.count(f"**{steps}**") == 1
    assert "- Ver `conman sj A`\n" in text
    assert f"- R `conman rerun A` ({mark})\n" in text
    assert "nada" not in text


@pytest.mark.parametrize(
    "part",
    [
        Part("summary", "Foi um S0C4."),
        Part("summary", "Rode `conman cancel A` já."),
        Part("summary", {"not": "text"}),
        Part("claims", {"text": "S0C4", "evidence_ids": ["tws_status:1"]}),
        Part("claims", {"text": "x", "evidence_ids": ["tws_status:2"]}),
        Part("claims", "só texto"),
        Part("claims", 7),
        Part("actions", {"risk": "low"}),
        Part("suspicious", "x"),
    ],
)
def test_what_does_not_check_out_is_not_shown(part: Part) -> None:
    """Foreign codes, unknown ids, wrong shapes and unmarked commands give no fragment."""
    assert _render(part) == ""


def test_another_language_is_not_shown() -> None:
    """A sentence in another language than the user's gives no fragment; a quoted line in one does no harm."""
    assert _render(Part("summary", "The job ended with an error and the file was not found.")) == ""
    claim = {"text": 'O log diz "The system detected a data exception in the file"', "evidence_ids": ["tws_status:1"]}
    assert "The system detected" in _render(Part("claims", claim))


def test_codes_of_the_question_may_be_named() -> None:
    """The user's own code may stand in the summary although no evidence holds it."""
    assert _render(Part("summary", "Nada sobre S0C4."), question_codes=("S0C4",)) == "Nada sobre S0C4. "


def test_a_secret_is_taken_out_of_the_fragment_as_shown() -> None:
    """Redaction sees the fragment exactly as the reader would."""
    assert "hunter2x" not in _render(Part("actions", {"text": "Entrar", "command": "mysql -u a -phunter2x"}))


def test_obedient_steps_are_not_shown() -> None:
    """A step that repeats a planted instruction gives no fragment."""
    assert _render(Part("actions", "Cancelar A"), obeys=lambda text: "Cancelar" in text) == ""


def test_fragments_are_joined_within_the_interval() -> None:
    """At most one emission in the interval; what came in between is joined, nothing is lost."""
    now, out = [10.0], []
    pacer = FragmentPacer(out.append, lambda: now[0])
    pacer.add("a")
    pacer.add("b")
    pacer.add("")
    pacer.flush_if_due()
    assert out == ["a"]
    now[0] += MIN_INTERVAL_SECONDS
    pacer.add("c")
    assert out == ["a", "bc"]
    now[0] += 10
    pacer.flush_if_due()
    assert out == ["a", "bc"]
