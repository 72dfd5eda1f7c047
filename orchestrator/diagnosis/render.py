"""The answer as text: Markdown for the app, compact lines for a terminal, and the answers for when things fail."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from orchestrator.codes.catalogue import Category, category_texts
from orchestrator.codes.control import visible
from orchestrator.codes.local_time import shown_time
from orchestrator.diagnosis.commands import proposal
from orchestrator.diagnosis.markdown import code, inert, inert_block
from orchestrator.diagnosis.model_failure import why_not_the_model
from orchestrator.diagnosis.rules.gaps import why
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text
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
from orchestrator.outcomes import QUEUE_FULL

MAX_RAW_CHARACTERS = 4_000
"""Of one source's data in the raw answer; what was cut is stated."""

DIAGNOSIS = Message("Diagnosis")
EVIDENCE = Message("Evidence")
STEPS = Message("Steps")
PREVENTION = Message("Prevention")
MISSING = Message("What was missing")
ALTERNATIVES = Message("Other hypotheses")
SUSPICIOUS = Message("Suspicious content")
CAUSE = Message("Cause")
_NO_CAUSE = (Category.UNKNOWN.value, Category.PLAN_LIST.value)
"""Categories of answers that look for no cause: a list, how something works."""
_MODES = {
    AnswerMode.LLM: Message("Answer written by a language model and checked against the evidence."),
    AnswerMode.DETERMINISTIC: Message("Answer of the rules, without a language model."),
}


def render_markdown(
    diagnosis: Diagnosis,
    *,
    language: Language,
    aggregated: AggregatedData,
    evidence: Sequence[Evidence],
    mode: AnswerMode,
    llm: Mapping[str, Any] | None = None,
) -> str:
    """The answer in Markdown: diagnosis, evidence, steps, prevention, what was missing, and the performance note.

    ``llm`` is the report's metadata of that name; a failure of the model is told from none being configured.

    What sources, users and models wrote is shown as text: no HTML, link or image of theirs becomes active.
    """
    cited = evidence_lines(diagnosis, evidence, zone_of(aggregated))
    blocks = [f"## {DIAGNOSIS.in_language(language)}", inert_block(diagnosis.summary)]
    if not _is_talk(diagnosis):
        blocks += [
            _cause_line(diagnosis, language, bold=True),
            _category_line(diagnosis, language),
            _section(language, EVIDENCE, _inert(cited), bullet="- "),
            _section(language, ALTERNATIVES, _inert(_alternatives(diagnosis, language)), bullet="- ", level=3),
            _section(language, STEPS, _steps(diagnosis, language, markdown=True), number=True),
            _section(language, PREVENTION, _inert(diagnosis.prevention), bullet="- "),
            _section(language, MISSING, _inert(diagnosis.missing_evidence), bullet="- "),
        ]
    blocks += [
        _section(language, SUSPICIOUS, _inert(diagnosis.suspicious), bullet="- ", level=3),
        f"---\n*{_footer(language, aggregated, mode, llm)}*",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_text(
    diagnosis: Diagnosis,
    *,
    language: Language,
    aggregated: AggregatedData,
    evidence: Sequence[Evidence],
    mode: AnswerMode,
    llm: Mapping[str, Any] | None = None,
) -> str:
    """The same answer in compact plain lines for a terminal."""
    lines = [f"{DIAGNOSIS.in_language(language).upper()}: {diagnosis.summary}"]
    parts: list[tuple[Message, Sequence[str]]] = []
    if not _is_talk(diagnosis):
        if category := _category_line(diagnosis, language):
            lines.append(f"  {category.replace('*', '').replace('`', '')}")
        if cause := _cause_line(diagnosis, language, bold=False):
            lines.append(f"  {cause}")
        cited = evidence_lines(diagnosis, evidence, zone_of(aggregated))
        parts = [
            (EVIDENCE, [line.replace("`", '"') for line in cited]),
            (ALTERNATIVES, _alternatives(diagnosis, language)),
            (STEPS, _steps(diagnosis, language, markdown=False)),
            (PREVENTION, diagnosis.prevention),
            (MISSING, diagnosis.missing_evidence),
        ]
    for heading, items in (*parts, (SUSPICIOUS, diagnosis.suspicious)):
        if not items:
            continue
        lines.append(heading.in_language(language).upper())
        marks = [f"{number}." for number in range(1, len(items) + 1)] if heading is STEPS else ["-"] * len(items)
        lines += [f"  {mark} {item}" for mark, item in zip(marks, items, strict=True)]
    lines.append(f"({_footer(language, aggregated, mode, llm)})")
    return visible("\n".join(lines)) + "\n"


def render_failure(
    *,
    language: Language,
    failures: Sequence[SourceFailure],
    min_sources_required: int,
    timed_out: bool,
    is_dispatched: bool = True,
) -> str:
    """The answer when too few sources came back: which, why, and what to do.

    ``is_dispatched``: whether the sources were asked at all.
    """
    steps = []
    full = dict.fromkeys(failure.source for failure in failures if failure.reason == QUEUE_FULL)
    lost = dict.fromkeys(
        failure.source
        for failure in failures
        if failure.outcome is SourceOutcome.LOST and failure.reason != StoreUnreachable.reason
    )
    idle = dict.fromkeys(
        failure.source
        for failure in failures
        if failure.outcome is SourceOutcome.NOT_STARTED and failure.source not in full
    )
    if full:
        names = ", ".join(full)
        steps.append(Message("Queues are too long: add workers for these sources ({names}).", names=names))
    if not is_dispatched:
        steps.append(Message("No worker of queue `orchestrator` dispatched the run: start one, or more of them."))
    elif idle:
        names = ", ".join(idle)
        steps.append(
            Message(
                "No worker took the requests in time: start the workers of these sources ({names}), or more of them.",
                names=names,
            )
        )
    if lost:
        names = ", ".join(lost)
        steps.append(
            Message("Workers stopped: look at the logs of the workers of these sources ({names}).", names=names)
        )
    if any(failure.outcome is SourceOutcome.TIMEOUT for failure in failures):
        steps.append(Message("If the sources are slow, raise the node timeout and the total timeout."))
    if failures or timed_out:
        steps.append(Message("Ask again; if it persists, run `resync-troubleshoot doctor` to see what is down."))
    else:
        steps.append(Message("Every source that was queried has answered: ask again with a lower minimum."))
    steps.append(Message("Meanwhile check the state and the job log in TWS."))
    if min_sources_required <= 1:
        summary = Message("No source answered before the deadline.") if timed_out else Message("No source answered.")
    elif timed_out:
        summary = Message(
            "The sources that are needed did not answer before the deadline (minimum: {minimum}).",
            minimum=min_sources_required,
        )
    else:
        summary = Message("Fewer sources answered than the required minimum ({minimum}).", minimum=min_sources_required)
    lines = [
        f"## {Message('No answer could be given').in_language(language)}",
        "",
        summary.in_language(language),
        "",
        *(f"- **{_with_job(failure)}**: {inert(why(failure).in_language(language))}" for failure in failures),
        "",
        f"## {Message('What to do').in_language(language)}",
        "",
        *(f"- {step.in_language(language)}" for step in steps),
    ]
    return "\n".join(lines) + "\n"


def render_raw(*, language: Language, envelopes: Sequence[SourceEnvelope], cause: Message | None = None) -> str:
    """Each source's data as received, for when the aggregation failed, or ``cause``. Long data is cut, with a note."""
    intro = cause or Message("Aggregation failed; each source's data follows as it came.")
    blocks = [f"## {Message('Raw data of the sources').in_language(language)}", intro.in_language(language)]
    for envelope in envelopes:
        title = f"### {envelope.source}" + (f" · {envelope.job}" if envelope.job else "")
        if not envelope.success:
            blocks.append(f"{title}\n\n{inert_block(why(envelope).in_language(language))}")
            continue
        finding = f"{inert_block(envelope.finding)}\n\n" if envelope.finding else ""
        blocks.append(f"{title}\n\n{finding}```json\n{_json(envelope, language)}\n```")
    return "\n\n".join(blocks) + "\n"


def performance_note(language: Language, aggregated: AggregatedData) -> str:
    """The sources queried, and the parallel time against querying them one by one; empty when none was.

    Where requests waited longer than their queries took, there is nothing to compare.
    """
    failed = tuple(dict.fromkeys(failure.source for failure in aggregated.sources_failed))
    names = tuple(dict.fromkeys((*aggregated.sources_available, *failed)))
    if not names:
        return ""
    silent = Message("; no answer: {names}", names=", ".join(failed)) if failed else ""
    if not aggregated.sources_available:
        return Message("No source answered{silent}.", silent=silent).in_language(language)
    note = Message(
        "{count} source queried ({names}): {parallel} ms{silent}.",
        plural="{count} sources queried in parallel ({names}): {parallel} ms, against {sequential} ms one by one "
        "({speedup:.2f}x){silent}.",
        count=len(names),
    )
    if len(names) > 1 and aggregated.speedup_factor < 1:
        note = Message("{count} sources queried in parallel ({names}): {parallel} ms{silent}.")
    return note.with_facts(
        count=len(names),
        names=", ".join(names),
        parallel=round(aggregated.parallel_latency_ms),
        sequential=round(aggregated.sequential_equivalent_ms),
        speedup=aggregated.speedup_factor,
        silent=silent,
    ).in_language(language)


def category_title(category: str, language: Language) -> str:
    """A category's short title; a model's own category stands as it is."""
    try:
        return category_texts(Category(category)).title.in_language(language)
    except ValueError:
        return category


def evidence_lines(diagnosis: Diagnosis, evidence: Sequence[Evidence], zone: str = "") -> list[str]:
    """The claims with their ids; where and when the first item of each comes from follows its first mention.

    Times are told in ``zone``, that of the TWS instance, else with the offset that they bring.
    """
    known = {item.id: item for item in evidence}
    told: set[str] = set()
    lines = []
    for claim in diagnosis.claims:
        cited = next((known[item] for item in claim.evidence_ids if item in known), None)
        place = _place(cited, zone) if cited is not None and cited.id not in told else ""
        told |= {cited.id} if cited is not None else set()
        lines.append(f"{render_claim(claim)} ({place})" if place else render_claim(claim))
    return lines


def zone_of(aggregated: AggregatedData) -> str:
    """The time zone of the TWS instance; empty when TWS did not tell it."""
    data = aggregated.tws_status or {}
    payloads = (data, *(item for item in data.values() if isinstance(item, dict)))
    return next((zone for item in payloads if isinstance(zone := item.get("time_zone"), str) and zone), "")


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
        return f"{text} ({proposal(action.risk).in_language(language)})"
    return text


def _plain_action(action: Action) -> str:
    if not action.command or action.command in action.text:
        return action.text.replace(f"`{action.command}`", action.command or "")
    return f"{action.text} $ {action.command}"


def _is_talk(diagnosis: Diagnosis) -> bool:
    """Whether the answer is one sentence: a greeting needs no sections."""
    return not (diagnosis.claims or diagnosis.hypotheses or diagnosis.actions or diagnosis.missing_evidence)


def _category_line(diagnosis: Diagnosis, language: Language) -> str:
    if not diagnosis.hypotheses and diagnosis.category in _NO_CAUSE:
        return ""
    confidence = _confidence(diagnosis.confidence).in_language(language)
    title = category_title(diagnosis.category, language)
    return f"**{Message('Category').in_language(language)}:** {title} (`{diagnosis.category}`, {confidence})"


def _confidence(value: float) -> Message:
    return Message("confidence {percent:.0%}", percent=value)


def _inert(items: Sequence[str]) -> list[str]:
    return [inert(item) for item in items]


def _steps(diagnosis: Diagnosis, language: Language, *, markdown: bool) -> list[str]:
    return [render_action(action, language, markdown=markdown) for action in diagnosis.actions]


def _place(item: Evidence, zone: str) -> str:
    where = item.where
    if item.kind == "runbook":
        # A passage holds more than the section that was found: a claim names the one that it is from.
        where = where.partition("#")[0] or where
    return " ".join(filter(None, (where, shown_time(item.when, zone))))


def _cause_line(diagnosis: Diagnosis, language: Language, *, bold: bool) -> str:
    if not diagnosis.root_cause or diagnosis.root_cause in diagnosis.summary:
        return ""
    label = CAUSE.in_language(language)
    return f"**{label}:** {inert(diagnosis.root_cause)}" if bold else f"{label}: {diagnosis.root_cause}"


def _alternatives(diagnosis: Diagnosis, language: Language) -> list[str]:
    """Every hypothesis but the leading one of each job, with its supporting and contradicting evidence."""
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
    parts = [hypothesis.title, f"({_confidence(hypothesis.confidence).in_language(language)})"]
    if hypothesis.job:
        parts.insert(0, f"{hypothesis.job}:")
    parts += [f"[{item}]" for item in hypothesis.supports[:3]]
    if hypothesis.contradicts:
        against = Message("against: {ids}", ids=" ".join(f"[{item}]" for item in hypothesis.contradicts[:3]))
        parts.append(against.in_language(language))
    return " ".join(parts)


def _section(
    language: Language,
    heading: Message,
    items: Sequence[str],
    *,
    bullet: str = "",
    number: bool = False,
    level: int = 2,
) -> str:
    if not items:
        return ""
    lines = [f"{index}. {item}" if number else f"{bullet}{item}" for index, item in enumerate(items, start=1)]
    return f"{'#' * level} {heading.in_language(language)}\n\n" + "\n".join(lines)


def _footer(language: Language, aggregated: AggregatedData, mode: AnswerMode, llm: Mapping[str, Any] | None) -> str:
    """The sources queried, and the origin of the answer."""
    sentence: Text | None = _MODES.get(mode)
    if mode is AnswerMode.DETERMINISTIC:
        sentence = why_not_the_model(llm) or sentence
    parts = (performance_note(language, aggregated), sentence.in_language(language) if sentence else "")
    return " ".join(filter(None, parts))


def _with_job(failure: SourceFailure) -> str:
    return f"{failure.source} ({failure.job})" if failure.job else failure.source


def _json(envelope: SourceEnvelope, language: Language) -> str:
    # A fence inside a log would end the block that holds it; what no reader sees is not shown.
    data = to_json(envelope.data, indent=1, fallback=str, inf_nan_mode="constants").decode()
    text = visible(data).replace("```", "'''")
    if len(text) <= MAX_RAW_CHARACTERS:
        return text
    count = len(text) - MAX_RAW_CHARACTERS
    cut = Message("{count} character cut", plural="{count} characters cut", count=count)
    return f"{text[:MAX_RAW_CHARACTERS]}\n… ({cut.in_language(language)})"
