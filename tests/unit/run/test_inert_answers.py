"""What sources and models say reaches the answer of the rules, and that of a model, as text alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from markdown_support import FRAGMENTS, hostile_text, renderers

from orchestrator.codes.control import visible
from orchestrator.diagnosis.render import render_text
from orchestrator.i18n.languages import Language
from orchestrator.models import Diagnosis, Evidence, SourceEnvelope, SourceOutcome, TroubleshootRequest
from orchestrator.routing.plan import plan_request
from orchestrator.run.conclusion import Conclusion, conclude
from orchestrator.run.report import make_report
from orchestrator.sources import source_names
from orchestrator.store.records import RunRecord

OURS = {"h2", "h3", "p", "ul", "ol", "li", "strong", "em", "code", "hr", "br", "pre"}
QUESTIONS = (
    "Job BATCH001 falhou com ABEND S0C7 {text}",
    "Qual o status do BATCH001? {text}",
    "o que significa S0C7? {text}",
    "O que falhou hoje? {text}",
    "quais jobs esperam {text}",
    "{text}",
)


def tags_of(page: str) -> set[str]:
    """The names of a page's elements."""
    return {part.split(">")[0].split()[0].strip("/") for part in page.split("<")[1:]}


def concluded(say: random.Random, message: str, language: Language, *, briefly: bool = False) -> Conclusion:
    """The answer of the rules to what the sources found, each text hostile, around a failure that the rules know."""
    request = TroubleshootRequest(message=message)
    plan = plan_request(request, dict.fromkeys(source_names(), 0))
    plan = plan.model_copy(update={"routing": plan.routing.model_copy(update={"language": language})})
    found = {planned.key: envelope_of(planned.source, planned.job, say) for planned in plan.asked}
    record = replace(RunRecord.unstored("run-0000-0001", request), plan=plan, envelopes=found, received=len(found))
    return conclude(record, briefly=briefly)


def envelope_of(source: str, job: str | None, say: random.Random) -> SourceEnvelope:
    """What a source found."""

    def text() -> str:
        return hostile_text(say)

    kind = {"tws_status": "job_log", "rag_search": "runbook", "log_cache": "history"}.get(source, "metric")
    evidence = tuple(
        Evidence(
            id=f"{source}:{number}", source=source, kind=kind, title=f"S0C7 {text()}", text=f"Solução:\n- {text()}",
            where=f"{text()}.md#{text()}", when=text(), score=0.9, codes=("S0C7",),
        )
        for number in range(1, 4)
    )  # fmt: skip
    if source == "metrics":
        return SourceEnvelope(
            source=source, job=job, outcome=SourceOutcome.ERROR, success=False, error=text(), reason=text()
        )
    data: dict[str, object] = {}
    if source == "tws_status":
        lines = [f"IEF450I BATCH001 STEP1 - ABEND=S0C7 U0000 {text()}", f"ERROR {text()}", text()]
        log = {"windows": [{"from_line": 1, "to_line": 3, "lines": lines}]}
        own = {"name": "BATCH001", "status": "ABEND", "task": text(), "job_stream": text(), "workstation": text()}
        own |= {"job_log_error": text()} if say.random() < 0.3 else {"job_log": log}
        others = [{"name": f"B{number}{text()}", "status": "ABEND", "job_log": log} for number in range(3)]
        data = {"job": own, "problem_jobs": others, "unread": [text()], "candidates": [text()]}
    return SourceEnvelope(
        source=source, job=job, outcome=SourceOutcome.OK, success=True, data=data, evidence=evidence,
        finding=text(), truncated=text(),
    )  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_rules_show_what_sources_say_as_text(question: str) -> None:
    """However they quote it, there is no element but ours, and a terminal gets nothing that drives it."""
    drafts = 0
    for number in range(15):
        say = random.Random(f"{question} {number}")
        message = f"{question.format(text=hostile_text(say))}?"[:500]
        conclusion = concluded(say, message, list(Language)[number % len(Language)], briefly=number % 5 == 0)
        for name, render in renderers().items():
            assert tags_of(render(conclusion.response)) <= OURS, (name, conclusion.response)
        assert conclusion.response == visible(conclusion.response)
        if conclusion.draft is not None:
            drafts += 1
            shown = render_text(
                conclusion.draft, language=conclusion.language, aggregated=conclusion.aggregated,
                evidence=conclusion.evidence, mode=conclusion.mode, groups=conclusion.shown_groups,
            )  # fmt: skip
            assert shown == visible(shown)
    assert drafts >= 9


def test_a_models_answer_is_text() -> None:
    """Whatever a model writes into a field of its answer, beside what the rules keep of theirs."""
    conclusion = concluded(random.Random(1), "Job BATCH001 falhou com ABEND S0C7", Language.PT_BR)
    assert conclusion.draft is not None
    for start in range(0, len(FRAGMENTS), 20):
        some = FRAGMENTS[start : start + 20]
        texts = [*some, *(f"a {fragment} b" for fragment in some)]
        written = Diagnosis.model_validate(
            conclusion.draft.model_dump()
            | {"summary": "".join(texts), "root_cause": "".join(some), "prevention": some, "suspicious": texts}
            | {"claims": [{"text": text, "evidence_ids": ["tws_status:1"]} for text in texts]}
            | {"actions": [{"text": text, "command": text[::-1]} for text in texts]}
        )
        report = make_report(conclusion, by="x", total_latency_ms=1, refined=written, llm={"model": some[0]})
        for render in renderers().values():
            assert tags_of(render(report.response)) <= OURS, report.response
