"""The answer as text: Markdown for the app, compact lines for a terminal, and the answers for when things fail."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.codes.catalogue import Category, category_texts
from orchestrator.diagnosis.markdown import code, inert, inert_block, visible
from orchestrator.diagnosis.rules.gaps import why
from orchestrator.i18n.languages import Language
from orchestrator.i18n.sentences import say
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

MAX_RAW_CHARACTERS = 4_000
"""Of one source's data in the raw answer; what was cut is said."""


def render_markdown(
    diagnosis: Diagnosis,
    *,
    language: Language,
    aggregated: AggregatedData,
    evidence: Sequence[Evidence],
    mode: AnswerMode,
) -> str:
    """The answer in Markdown: diagnosis, evidence, steps, prevention, what was missing, and the performance note.

    What sources, users and models wrote is shown as text: no HTML, link or image of theirs becomes active.
    """
    blocks = [f"## {say(language, 'h_diagnosis')}", inert_block(diagnosis.summary)]
    if not _is_talk(diagnosis):
        blocks += [
            _cause_line(diagnosis, language, bold=True),
            _category_line(diagnosis, language),
            _section(language, "h_evidence", _inert(evidence_lines(diagnosis, evidence, language)), bullet="- "),
            _section(language, "h_alternatives", _inert(_alternatives(diagnosis, language)), bullet="- ", level=3),
            _section(language, "h_steps", _steps(diagnosis, language, markdown=True), number=True),
            _section(language, "h_prevention", _inert(diagnosis.prevention), bullet="- "),
            _section(language, "h_missing", _inert(_gaps(diagnosis, language)), bullet="- "),
        ]
    blocks += [
        _section(language, "h_suspicious", _inert(diagnosis.suspicious), bullet="- ", level=3),
        f"---\n*{performance_note(language, aggregated)}{_mode(language, mode)}*",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_text(
    diagnosis: Diagnosis,
    *,
    language: Language,
    aggregated: AggregatedData,
    evidence: Sequence[Evidence],
    mode: AnswerMode,
) -> str:
    """The same answer in compact plain lines for a terminal."""
    lines = [f"{say(language, 'h_diagnosis').upper()}: {diagnosis.summary}"]
    parts: list[tuple[str, Sequence[str]]] = []
    if not _is_talk(diagnosis):
        lines.append(f"  {_category_line(diagnosis, language).replace('*', '').replace('`', '')}")
        if cause := _cause_line(diagnosis, language, bold=False):
            lines.append(f"  {cause}")
        parts = [
            ("h_evidence", [line.replace("`", '"') for line in evidence_lines(diagnosis, evidence, language)]),
            ("h_alternatives", _alternatives(diagnosis, language)),
            ("h_steps", _steps(diagnosis, language, markdown=False)),
            ("h_prevention", diagnosis.prevention),
            ("h_missing", _gaps(diagnosis, language)),
        ]
    for key, items in (*parts, ("h_suspicious", diagnosis.suspicious)):
        if not items:
            continue
        lines.append(say(language, key).upper())
        marks = [f"{number}." for number in range(1, len(items) + 1)] if key == "h_steps" else ["-"] * len(items)
        lines += [f"  {mark} {item}" for mark, item in zip(marks, items, strict=True)]
    lines.append(f"({performance_note(language, aggregated)}{_mode(language, mode)})")
    return visible("\n".join(lines)) + "\n"


def render_failure(
    *,
    language: Language,
    failures: Sequence[SourceFailure],
    min_sources_required: int,
    timed_out: bool,
) -> str:
    """The answer when too few sources came back: which, why, and what to do."""
    key = "failure_timed_out" if timed_out else "failure"
    lines = [
        f"## {say(language, 'h_error')}",
        "",
        say(language, key, minimum=min_sources_required),
        "",
        *(f"- **{_with_job(failure)}**: {inert(why(language, failure))}" for failure in failures),
        "",
        f"## {say(language, 'what_to_do')}",
        "",
    ]
    outcomes = {failure.outcome for failure in failures}
    idle = dict.fromkeys(f.source for f in failures if f.outcome in (SourceOutcome.NOT_STARTED, SourceOutcome.LOST))
    if idle:
        lines.append(f"- {say(language, 'do_workers', names=', '.join(idle))}")
    if SourceOutcome.TIMEOUT in outcomes:
        lines.append(f"- {say(language, 'do_timeout')}")
    lines += [f"- {say(language, 'do_retry')}", f"- {say(language, 'do_check')}"]
    return "\n".join(lines) + "\n"


def render_raw(*, language: Language, envelopes: Sequence[SourceEnvelope]) -> str:
    """Each source's data as it came, for when the aggregation itself failed. Long data is cut, and that is said."""
    blocks = [f"## {say(language, 'h_raw')}", say(language, "raw_intro")]
    for envelope in envelopes:
        title = f"### {envelope.source}" + (f" · {envelope.job}" if envelope.job else "")
        if not envelope.success:
            blocks.append(f"{title}\n\n{inert_block(why(language, envelope))}")
            continue
        finding = f"{inert_block(envelope.finding)}\n\n" if envelope.finding else ""
        blocks.append(f"{title}\n\n{finding}```json\n{_json(envelope)}\n```")
    return "\n\n".join(blocks) + "\n"


def performance_note(language: Language, aggregated: AggregatedData) -> str:
    """Which sources were asked, and the parallel time against asking them one by one."""
    failed = tuple(dict.fromkeys(failure.source for failure in aggregated.sources_failed))
    names = tuple(dict.fromkeys((*aggregated.sources_available, *failed)))
    if not aggregated.sources_available:
        note = say(language, "performance_none")
    elif len(names) == 1:
        note = say(language, "performance_one", names=names[0], parallel=round(aggregated.parallel_latency_ms))
    else:
        note = say(
            language,
            "performance",
            count=len(names),
            names=", ".join(names),
            parallel=round(aggregated.parallel_latency_ms),
            sequential=round(aggregated.sequential_equivalent_ms),
            speedup=f"{aggregated.speedup_factor:.2f}",
        )
    return f"{note.removesuffix('.')}; {say(language, 'failed_sources', names=', '.join(failed))}." if failed else note


def category_title(category: str, language: Language) -> str:
    """A category's short title; a model's own category stands as it is."""
    try:
        return category_texts(Category(category)).title.in_language(language)
    except ValueError:
        return category


def evidence_lines(diagnosis: Diagnosis, evidence: Sequence[Evidence], language: Language) -> list[str]:
    """The claims with their ids, each followed by where and when the cited items come from."""
    known = {item.id: item for item in evidence}
    if not diagnosis.claims:
        return [say(language, "no_evidence")]
    return [_claim(claim, known) for claim in diagnosis.claims]


def render_claim(claim: Claim) -> str:
    """One claim with its citations, as it is streamed."""
    ids = " ".join(f"[{item}]" for item in claim.evidence_ids)
    return f"{claim.text} {ids}".strip()


def render_action(action: Action, language: Language, *, markdown: bool = True) -> str:
    """One step with its command, marked with its risk when it would change something; Markdown or plain."""
    if not markdown:
        text = _plain_action(action)
    elif not action.command:
        text = inert(action.text)
    elif action.command in action.text:
        # Said once is enough; in the sentence it is quoted as it would be after it.
        bare = action.text.replace(f"`{action.command}`", action.command)
        before, _, after = bare.partition(action.command)
        blanks = [" " * text.endswith(" ") for text in (before, after[::-1])]
        text = f"{inert(before)}{blanks[0]}{code(action.command)}{blanks[1]}{inert(after)}"
    else:
        text = f"{inert(action.text)} {code(action.command)}"
    if action.mutates or action.risk != "none":
        return f"{text} ({say(language, 'proposal', risk=say(language, f'risk_{action.risk}'))})"
    return text


def _plain_action(action: Action) -> str:
    if not action.command or action.command in action.text:
        return action.text.replace(f"`{action.command}`", action.command or "")
    return f"{action.text} $ {action.command}"


def _is_talk(diagnosis: Diagnosis) -> bool:
    """Whether there is nothing but a sentence to say: an answer to a greeting needs no sections."""
    return not (diagnosis.claims or diagnosis.hypotheses or diagnosis.actions or diagnosis.missing_evidence)


def _category_line(diagnosis: Diagnosis, language: Language) -> str:
    sure = say(language, "confidence", percent=f"{diagnosis.confidence:.0%}")
    title = category_title(diagnosis.category, language)
    return f"**{say(language, 'category')}:** {title} (`{diagnosis.category}`, {sure})"


def _inert(items: Sequence[str]) -> list[str]:
    return [inert(item) for item in items]


def _steps(diagnosis: Diagnosis, language: Language, *, markdown: bool) -> list[str]:
    if not diagnosis.actions:
        return [say(language, "no_steps")]
    return [render_action(action, language, markdown=markdown) for action in diagnosis.actions]


def _gaps(diagnosis: Diagnosis, language: Language) -> Sequence[str]:
    return diagnosis.missing_evidence or (say(language, "nothing_missing"),)


def _claim(claim: Claim, known: dict[str, Evidence]) -> str:
    cited = [known[item] for item in claim.evidence_ids if item in known]
    places = dict.fromkeys(" ".join(part for part in (item.where, item.when or "") if part) for item in cited[:1])
    place = "; ".join(part for part in places if part)
    return f"{render_claim(claim)} ({place})" if place else render_claim(claim)


def _cause_line(diagnosis: Diagnosis, language: Language, *, bold: bool) -> str:
    if not diagnosis.root_cause or diagnosis.root_cause in diagnosis.summary:
        return ""
    label = say(language, "cause")
    return f"**{label}:** {inert(diagnosis.root_cause)}" if bold else f"{label}: {diagnosis.root_cause}"


def _alternatives(diagnosis: Diagnosis, language: Language) -> list[str]:
    """Hypotheses beside the leading one of each job, with what speaks for and against them."""
    seen: set[str | None] = set()
    lines = []
    for hypothesis in diagnosis.hypotheses:
        is_first = hypothesis.job not in seen
        seen.add(hypothesis.job)
        # A model lists the alternatives alone: what names no job and is not the answer's category is one of them.
        if is_first and (hypothesis.job is not None or hypothesis.category == diagnosis.category):
            continue
        lines.append(_hypothesis(hypothesis, language))
    return lines[:5]


def _hypothesis(hypothesis: Hypothesis, language: Language) -> str:
    parts = [hypothesis.title, f"({say(language, 'confidence', percent=f'{hypothesis.confidence:.0%}')})"]
    if hypothesis.job:
        parts.insert(0, f"{hypothesis.job}:")
    parts += [f"[{item}]" for item in hypothesis.supports[:3]]
    if hypothesis.contradicts:
        parts.append(say(language, "against", ids=" ".join(f"[{item}]" for item in hypothesis.contradicts[:3])))
    return " ".join(parts)


def _section(
    language: Language, key: str, items: Sequence[str], *, bullet: str = "", number: bool = False, level: int = 2
) -> str:
    if not items:
        return ""
    lines = [f"{index}. {item}" if number else f"{bullet}{item}" for index, item in enumerate(items, start=1)]
    return f"{'#' * level} {say(language, key)}\n\n" + "\n".join(lines)


def _mode(language: Language, mode: AnswerMode) -> str:
    key = {AnswerMode.LLM: "mode_llm", AnswerMode.DETERMINISTIC: "mode_deterministic"}.get(mode)
    return f" {say(language, key)}" if key else ""


def _with_job(failure: SourceFailure) -> str:
    return f"{failure.source} ({failure.job})" if failure.job else failure.source


def _json(envelope: SourceEnvelope) -> str:
    # A fence inside a log would end the block that holds it; what no reader sees is not shown.
    text = visible(json.dumps(envelope.data, ensure_ascii=False, indent=1, default=str)).replace("```", "'''")
    if len(text) <= MAX_RAW_CHARACTERS:
        return text
    return f"{text[:MAX_RAW_CHARACTERS]}\n… ({len(text) - MAX_RAW_CHARACTERS} characters cut)"
