"""What logs, users and models wrote is shown in Markdown and does nothing there."""

from __future__ import annotations

import re
import time

import pytest
from markdown_it import MarkdownIt

from orchestrator.diagnosis.markdown import code, inert, inert_block
from orchestrator.diagnosis.render import render_action, render_failure, render_markdown, render_raw, render_text
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Action,
    AggregatedData,
    AnswerMode,
    Claim,
    Diagnosis,
    Evidence,
    Hypothesis,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)

PLANTED = (
    "<img src=x onerror=alert(1)> [clique](https://evil.example/a) ![x](https://evil.example/p.png?q=1)\n"
    "\n# Título\n```\n[a]: https://evil.example\n\x1b[2Jfim\u202e www.evil.example"
)


def active_parts(text: str) -> list[str]:
    """What a Markdown renderer would make of ``text`` beyond words: tags, links, images, addresses to be linked."""
    found = []
    for block in MarkdownIt("commonmark").parse(text):
        for token in (block, *(block.children or ())):
            if token.type in ("html_block", "html_inline", "link_open", "image"):
                found.append(token.type)
            elif token.type == "text":
                found += re.findall(r"https?://|www\.|mailto:|[\x00-\x08\x1b\u202e]", token.content)
    return found


def test_the_planted_text_is_active_by_itself() -> None:
    """Shown as it is, it would load an image, link and run."""
    assert {"html_inline", "link_open", "image", "www."} <= {*active_parts(f"veja {PLANTED}"), *active_parts("www.x")}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a <script>x</script> b", "a &lt;script>x&lt;/script> b"),
        ("[clique](javascript:alert(1))", "[clique]\\(javascript:alert(1))"),
        ("![x](https://e.example/?q=1)", "![x]\\(`https://e.example/?q=1`)"),
        ("[a]: https://e.example", "[a]\\: `https://e.example`"),
        ("veja https://h.example/p. Fim", "veja `https://h.example/p`. Fim"),
        ("www.e.example e mailto:a@e.example", "`www.e.example` e `mailto:a@e.example`"),
        ("um ` só", "um ' só"),
        ("`conman sj X` e um ` só", "`conman sj X` e um ' só"),
        ("uma\n\n```\nfence", "uma ''' fence"),
        ("\x1b[2J\x00limpo\u202e", "limpo"),
    ],
)
def test_nothing_becomes_active(text: str, shown: str) -> None:
    """HTML, links, images, definitions, automatic links, fences and control characters are only text."""
    assert inert(text) == shown
    assert inert(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "RC<=4, a < b, x > y [tws_status:1] (hwa:31116 run 7)",
        "PRD#FATURA[(0600 01/05/24),(0AAA)].JOB_A em /folder/sub",
        "PROD.VENDAS.D261123(+1) SB37-04 AWSBHT001E U4038 **x** PRD_*",
        "`curl https://h/api` e `<a>`",
    ],
)
def test_codes_names_and_commands_stay(text: str) -> None:
    """What is not active is left exactly as it was."""
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Título", "\\# Título"),
        ("1. passo", "1\\. passo"),
        ("- item", "\\- item"),
        ("> citado", "\\> citado"),
        ("---", "\\---"),
        ("-5 graus", "-5 graus"),
        ("2026-11-24 caiu", "2026-11-24 caiu"),
    ],
)
def test_a_block_is_a_paragraph(text: str, shown: str) -> None:
    """A summary is no heading, list, quotation or rule."""
    assert inert_block(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("conman sj X", "`conman sj X`"), ("a `b`", "`` a `b` ``"), ("a\nb\n", "`a ⏎ b`")]
)
def test_a_command_cannot_leave_its_span(text: str, shown: str) -> None:
    """Back-ticks and line breaks in a command do not end its span of code."""
    assert code(text) == shown


def test_the_whole_answer_is_inert_and_the_terminal_gets_plain_text() -> None:
    """Wherever the planted text stands in a diagnosis, the Markdown has none of it active."""
    diagnosis = Diagnosis(
        summary=PLANTED, root_cause=f"x {PLANTED}", category="data_exception", confidence=0.9,
        claims=(Claim(text=PLANTED, evidence_ids=("tws_status:1",)),),
        hypotheses=(
            Hypothesis(category="a", title="a", confidence=0.9),
            Hypothesis(category="b", title=PLANTED, confidence=0.1),
        ),
        actions=(Action(text=PLANTED), Action(text=f"Rode {PLANTED}", command=f"conman sj `x` {PLANTED}")),
        prevention=(PLANTED,), missing_evidence=(PLANTED,), suspicious=(PLANTED,),
    )  # fmt: skip
    item = Evidence(id="tws_status:1", source="tws_status", kind="x", title="x", text="x", where=PLANTED, when=PLANTED)
    failed = SourceFailure(source="metrics", error=PLANTED, outcome=SourceOutcome.ERROR)
    options = {"language": Language.PT_BR, "aggregated": AggregatedData(), "evidence": (item,), "mode": AnswerMode.LLM}
    envelope = SourceEnvelope(source="a", outcome=SourceOutcome.OK, success=True, finding=PLANTED, data={"x": PLANTED})
    wrong = SourceEnvelope(source="b", outcome=SourceOutcome.ERROR, success=False, error=PLANTED)
    texts = [
        render_markdown(diagnosis, **options),
        render_failure(language=Language.PT_BR, failures=[failed], min_sources_required=1, timed_out=False),
        render_raw(language=Language.PT_BR, envelopes=[wrong]),
        render_raw(language=Language.PT_BR, envelopes=[envelope]).partition("```json")[0],
        *(render_action(action, Language.PT_BR) for action in diagnosis.actions),
    ]
    for text in texts:
        assert "evil.example" in text
        assert active_parts(text) == []
        assert "Título" not in "".join(re.findall(r"^#+ .*$", text, re.MULTILINE))
    assert "\x1b" not in render_text(diagnosis, **options)


@pytest.mark.parametrize("unit", ["`", "<", "](", "www.", "a://", "http://a ", "`a`", "\x1b[", "[a]: ", "mailto:", "a"])
def test_time_is_linear(unit: str) -> None:
    """No text makes it slow."""
    text = unit * (200_000 // len(unit))
    started = time.thread_time()
    inert_block(text)
    code(text)
    assert time.thread_time() - started < 5.0
