"""The answer as text: Markdown for the app, compact lines for a terminal, and the answers for when things fail."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from orchestrator.codes.catalogue import Category, category_texts
from orchestrator.codes.control import visible
from orchestrator.codes.local_time import shown_time
from orchestrator.diagnosis.commands import proposal
from orchestrator.diagnosis.markdown import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Items,
    Line,
    Paragraph,
    Rule,
    Strong,
    paragraph,
    prose,
    write_line,
    write_markdown,
    write_plain,
)
from orchestrator.diagnosis.model_failure import why_not_the_model
from orchestrator.diagnosis.rules.gaps import why
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, sentence
from orchestrator.models import (
    Action,
    AggregatedData,
    AnswerMode,
    Claim,
    Diagnosis,
    Evidence,
    Hypothesis,
    JobGroup,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)
from orchestrator.outcomes import QUEUE_FULL

MAX_RAW_ANSWER = 60_000
"""Characters of a raw answer, from which on a source's data is a line."""
MAX_GROUPS = 12
"""Causes of many jobs that are told with their evidence and steps; of the others the jobs are named."""
MAX_GROUP_CLAIMS = 6
MAX_ALTERNATIVES = 5
MAX_ITEMS = 12
"""Entries of any other list of the answer."""
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
OTHER_CAUSES = Message("Other causes")
JOBS = Message("Jobs")
WAITING = Message("Waiting for them")
NAMES_SHOWN = 5
"""Jobs of one cause that the summary names: the names of more stand below it."""
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
    groups: Sequence[JobGroup] = (),
) -> str:
    """The answer in Markdown: diagnosis, evidence, steps, prevention, what was missing, and the performance note.

    ``llm`` is the report's metadata of that name; a failure of the model is told from none being configured. With the
    ``groups`` of several jobs, each cause has its own evidence and steps, and every job is named; those of the
    diagnosis are shown when a model wrote them.

    What sources, users and models wrote is shown as text: no HTML, link or image of theirs becomes active.
    """
    cited = _Cited(evidence, zone_of(aggregated))
    by_cause = groups if len(groups) > 1 else ()
    blocks: list[Block] = [_heading(DIAGNOSIS, language), paragraph(*prose(diagnosis.summary))]
    if groups or not _is_talk(diagnosis):
        steps: Sequence[Block] = ()
        if not by_cause or mode is AnswerMode.LLM:
            claims = _flat_claims(diagnosis, groups, mode, cited, language)
            blocks += [
                paragraph(*_cause_line(diagnosis, language)),
                paragraph(*_category_line(diagnosis, language)),
                *(paragraph(*line) for line in _all_names(groups, by_cause, language)),
                *_section(language, EVIDENCE, claims),
            ]
            steps = _section(language, STEPS, _steps(diagnosis.actions, language), is_numbered=True)
        alternatives = _section(language, ALTERNATIVES, _alternatives(diagnosis, language, groups), level=3)
        if by_cause:
            blocks += [*steps, *_group_blocks(by_cause, diagnosis, language, cited), *alternatives]
        else:
            blocks += [*alternatives, *steps]
        for heading, items, name in _closing(diagnosis):
            blocks += _section(language, heading, _shown(items, name, language))
    blocks += [
        *_section(language, SUSPICIOUS, [*map(prose, diagnosis.suspicious)], level=3),
        Rule(),
        paragraph(Emphasis(_footer(language, aggregated, mode, llm))),
    ]
    return write_markdown(blocks)


def render_text(
    diagnosis: Diagnosis,
    *,
    language: Language,
    aggregated: AggregatedData,
    evidence: Sequence[Evidence],
    mode: AnswerMode,
    llm: Mapping[str, Any] | None = None,
    groups: Sequence[JobGroup] = (),
) -> str:
    """The same answer in compact plain lines for a terminal."""
    lines = [f"{DIAGNOSIS.in_language(language).upper()}: {write_plain(prose(diagnosis.summary))}"]
    if groups or not _is_talk(diagnosis):
        cited = _Cited(evidence, zone_of(aggregated))
        by_cause = groups if len(groups) > 1 else ()
        is_flat = not by_cause or mode is AnswerMode.LLM
        if is_flat:
            facts = (
                write_plain(_category_line(diagnosis, language), quote=""),
                write_plain(_cause_line(diagnosis, language)),
                *map(write_plain, _all_names(groups, by_cause, language)),
            )
            lines += [f"  {fact}" for fact in facts if fact]
            lines += _plain_section(language, EVIDENCE, _flat_claims(diagnosis, groups, mode, cited, language))
        alternatives = _plain_section(language, ALTERNATIVES, _alternatives(diagnosis, language, groups))
        if not by_cause:
            lines += alternatives
        if is_flat:
            lines += _plain_steps(diagnosis.actions, language)
        if by_cause:
            lines += [*_group_lines(by_cause, diagnosis, language, cited), *alternatives]
        for heading, items, name in _closing(diagnosis):
            lines += _plain_section(language, heading, _shown(items, name, language))
    lines += _plain_section(language, SUSPICIOUS, [*map(prose, diagnosis.suspicious)])
    lines.append(f"({write_plain(_footer(language, aggregated, mode, llm))})")
    return "\n".join(lines) + "\n"


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
    return write_markdown(
        (
            _heading(Message("No answer could be given"), language),
            _said(summary, language),
            Items([(Strong(_with_job(failure)), ": ", why(failure).in_language(language)) for failure in failures]),
            _heading(Message("What to do"), language),
            Items([prose(sentence(step, language)) for step in steps]),
        )
    )


def render_raw(*, language: Language, envelopes: Sequence[SourceEnvelope], cause: Message | None = None) -> str:
    """Each source's data as received, for when the aggregation failed, or ``cause``. Long data is cut, with a note."""
    intro = cause or Message("Aggregation failed; each source's data follows as it came.")
    blocks: list[Block] = [_heading(Message("Raw data of the sources"), language), _said(intro, language)]
    left = MAX_RAW_ANSWER
    for number, envelope in enumerate(envelopes):
        if left < 0:
            blocks += _raw_in_short(envelopes[number:], language)
            break
        blocks.append(Heading((_name_of(envelope),), 3))
        if not envelope.success:
            blocks.append(paragraph(why(envelope).in_language(language)))
            continue
        data = _json(envelope, language)
        left -= len(data) + len(envelope.finding or "")
        blocks += [paragraph(envelope.finding or ""), CodeBlock(data, "json")]
    return write_markdown(blocks)


def _raw_in_short(envelopes: Sequence[SourceEnvelope], language: Language) -> Iterator[Block]:
    """What is left of the sources' data for a line each, and where it stands."""
    rest = Message(
        "The data of {count} more result is in `parallel_results` of the report:",
        plural="The data of {count} more results is in `parallel_results` of the report:",
        count=len(envelopes),
    )
    yield _said(rest, language)
    lines = []
    for envelope in envelopes:
        said = envelope.finding if envelope.success else why(envelope).in_language(language)
        lines.append((_name_of(envelope), ": ", said or envelope.outcome.value))
    yield Items(lines)


def _name_of(envelope: SourceEnvelope) -> str:
    return f"{envelope.source} · {envelope.job}" if envelope.job else envelope.source


def render_note(text: Text, language: Language) -> str:
    """A paragraph of its own, as an answer or at the end of one."""
    return write_markdown((_said(text, language),)).rstrip()


def render_quoted(text: str) -> str:
    """A text without marks as an answer: one that quotes the question."""
    return write_markdown((paragraph(text),)).rstrip()


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
    if not aggregated.sequential_equivalent_ms and not failed:
        kept = Message("No source was queried again; kept are the answers of: {names}.", names=", ".join(names))
        return kept.in_language(language)
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


class _Cited:
    """The evidence of an answer, told with its place at the first mention.

    Times are told in ``zone``, that of the TWS instance, else with the offset that they bring.
    """

    def __init__(self, evidence: Sequence[Evidence], zone: str) -> None:
        self._known = {item.id: item for item in evidence}
        self._zone = zone
        self._told: set[str] = set()

    def lines(self, claims: Sequence[Claim]) -> list[Line]:
        """The claims with their ids; where and when the first item of each comes from follows its first mention."""
        return [self._line(claim) for claim in claims]

    def _line(self, claim: Claim) -> Line:
        ids = "".join(f" [{item}]" for item in claim.evidence_ids)
        cited = next((self._known[item] for item in claim.evidence_ids if item in self._known), None)
        if cited is None or cited.id in self._told:
            return (*prose(claim.text), ids)
        self._told.add(cited.id)
        place = _place(cited, self._zone)
        return (*prose(claim.text), ids, f" ({place})" if place else "")


def _group_blocks(
    groups: Sequence[JobGroup], diagnosis: Diagnosis, language: Language, cited: _Cited
) -> Iterator[Block]:
    """The groups in Markdown: each of the worst with its jobs, evidence and steps, of the others the jobs."""
    for group in groups[:MAX_GROUPS]:
        yield Heading((f"{group.number}. {_group_heading(group, language)}",), 3)
        cause = _group_cause(group, diagnosis)
        yield paragraph(*_sentences(cause))
        yield Paragraph(_group_facts(group, cause, language))
        yield from _labelled(EVIDENCE, language, _first(cited.lines(group.claims), group, language))
        yield from _labelled(STEPS, language, _steps(group.actions, language), is_numbered=True)
    yield from _section(language, OTHER_CAUSES, _short_groups(groups, language), level=3)


def _group_lines(groups: Sequence[JobGroup], diagnosis: Diagnosis, language: Language, cited: _Cited) -> Iterator[str]:
    """The same as plain lines."""
    for group in groups[:MAX_GROUPS]:
        yield write_plain((f"{group.number}. {_group_heading(group, language)}",))
        cause = _group_cause(group, diagnosis)
        parts = (_sentences(cause), *_group_facts(group, cause, language))
        yield from (f"  {line}" for part in parts if (line := write_plain(part, quote="")))
        evidence = _first(cited.lines(group.claims), group, language)
        yield from (f"  {line}" for line in _plain_section(language, EVIDENCE, evidence))
        yield from (f"  {line}" for line in _plain_steps(group.actions, language))
    yield from _plain_section(language, OTHER_CAUSES, _short_groups(groups, language))


def _group_heading(group: JobGroup, language: Language) -> str:
    """The number of jobs with the cause in a few words; of one job its name."""
    if len(group.jobs) == 1:
        return Message("{job}: {title!l}", job=visible(group.jobs[0]), title=visible(group.title)).in_language(language)
    heading = Message("{count} job: {title!l}", plural="{count} jobs: {title!l}", count=len(group.jobs))
    return heading.with_facts(title=visible(group.title)).in_language(language)


def _group_cause(group: JobGroup, diagnosis: Diagnosis) -> list[str]:
    """The cause, unless the summary has said it, and what it means."""
    return [*filter(None, ("" if group.cause in diagnosis.summary else group.cause, group.meaning))]


def _sentences(texts: Sequence[str]) -> Line:
    return [node for text in texts for node in (*prose(text), " ")]


def _flat_claims(
    diagnosis: Diagnosis, groups: Sequence[JobGroup], mode: AnswerMode, cited: _Cited, language: Language
) -> list[Line]:
    """The evidence of an answer that is not told by cause; of many jobs with the same cause not that of each."""
    if len(groups) == 1 and len(groups[0].jobs) > NAMES_SHOWN and mode is not AnswerMode.LLM:
        return _first(cited.lines(groups[0].claims), groups[0], language)
    return cited.lines(diagnosis.claims)


def _group_facts(group: JobGroup, said: Sequence[str], language: Language) -> list[Line]:
    """The names of all jobs unless they are ``said``, of those that wait for them, and how sure the cause is."""
    facts = []
    if len(group.jobs) > 1 and not any(", ".join(group.jobs) in text for text in said):
        facts.append(_names_line(group.jobs, JOBS, language))
    if group.waiting:
        facts.append(_names_line(group.waiting, WAITING, language))
    if group.category != Category.UNKNOWN.value:
        facts.append(_category(group.category, group.confidence, language))
    return facts


def _all_names(groups: Sequence[JobGroup], by_cause: Sequence[JobGroup], language: Language) -> list[Line]:
    """The names of many jobs with the same cause, of which the summary has not all."""
    alike = [group for group in groups if not by_cause and len(group.jobs) > NAMES_SHOWN]
    return [_names_line(group.jobs, JOBS, language) for group in alike]


def _names_line(names: Sequence[str], label: Message, language: Language) -> Line:
    return (_label(label, language), " ", _listed(names))


def _listed(names: Sequence[str]) -> str:
    # Each by itself: the end of one and what follows are no terminal sequence.
    return ", ".join(map(visible, names))


def _short_groups(groups: Sequence[JobGroup], language: Language) -> list[Line]:
    """The groups beyond those that are told in full: cause and jobs, and where the rest stands."""
    more = groups[MAX_GROUPS:]
    if not more:
        return []
    rest = Message(
        "Evidence and steps of this cause are in `groups` of the report (`get RUN_ID --json`).",
        plural="Evidence and steps of these {count} causes are in `groups` of the report (`get RUN_ID --json`).",
        count=len(more),
    )
    named: list[Line] = [
        (
            f"{group.number}. {_group_heading(group, language)}",
            f" ({_listed(group.jobs)})" if len(group.jobs) > 1 else "",
        )
        for group in more
    ]
    return [*named, prose(sentence(rest, language))]


def _first(lines: list[Line], group: JobGroup, language: Language) -> list[Line]:
    """The first claims of a group, with the number of the others and where they stand."""
    more = len(lines) - MAX_GROUP_CLAIMS
    if more < 2:
        return lines
    return [*lines[:MAX_GROUP_CLAIMS], _and_more(more, f"groups[{group.number - 1}].claims", language)]


def _closing(diagnosis: Diagnosis) -> tuple[tuple[Message, Sequence[str], str], ...]:
    """The lists at the end of an answer, with their headings and names."""
    return (
        (PREVENTION, diagnosis.prevention, "prevention"),
        (MISSING, diagnosis.missing_evidence, "missing_evidence"),
    )


def _shown(items: Sequence[str], name: str, language: Language) -> list[Line]:
    """The same of a list of the diagnosis."""
    lines, more = [*map(prose, items)], len(items) - MAX_ITEMS
    return lines if more < 2 else [*lines[:MAX_ITEMS], _and_more(more, f"diagnosis.{name}", language)]


def _and_more(count: int, where: str, language: Language) -> Line:
    """How many items are not shown, and where they stand."""
    text = Message("and {count} more, in `{where}` of the report (`get RUN_ID --json`)", count=count, where=where)
    return prose(sentence(text, language))


def _labelled(
    heading: Message, language: Language, items: Sequence[Line], *, is_numbered: bool = False
) -> Iterator[Block]:
    """A list under a label in bold."""
    if items:
        yield paragraph(_label(heading, language))
        yield Items(items, is_numbered)


def _plain_section(language: Language, heading: Message, items: Sequence[Line]) -> list[str]:
    lines = [f"  - {write_plain(item)}" for item in items]
    return [heading.in_language(language).upper(), *lines] if lines else []


def _plain_steps(actions: Sequence[Action], language: Language) -> list[str]:
    steps = (render_action(action, language, markdown=False) for action in actions)
    lines = [f"  {number}. {step}" for number, step in enumerate(steps, start=1)]
    return [STEPS.in_language(language).upper(), *lines] if lines else []


def zone_of(aggregated: AggregatedData) -> str:
    """The time zone of the TWS instance; empty when TWS did not tell it."""
    data = aggregated.tws_status or {}
    payloads = (data, *(item for item in data.values() if isinstance(item, dict)))
    return next((zone for item in payloads if isinstance(zone := item.get("time_zone"), str) and zone), "")


def render_action(action: Action, language: Language, *, markdown: bool = True) -> str:
    """One step with its command, marked with its risk when it would change something; Markdown or plain."""
    if markdown:
        return write_line(action_line(action, language))
    text, command = action.text, action.command or ""
    shown = text.replace(f"`{command}`", command) if command in text else f"{text} $ {command}"
    return write_plain((shown, _mark(action, language)))


def action_line(action: Action, language: Language) -> Line:
    """The same step as nodes."""
    text, command = action.text, action.command
    shown: Line = prose(text)
    if command and command in text:
        # Said once is enough; in the sentence it is quoted as it would be after it.
        before, _, after = text.replace(f"`{command}`", command).partition(command)
        shown = (*prose(before), Code(command), *prose(after))
    elif command:
        shown = (*shown, " ", Code(command))
    return (*shown, _mark(action, language))


def _mark(action: Action, language: Language) -> str:
    is_proposal = action.mutates or action.risk != "none"
    return f" ({proposal(action.risk).in_language(language)})" if is_proposal else ""


def _is_talk(diagnosis: Diagnosis) -> bool:
    """Whether the answer is one sentence: a greeting needs no sections."""
    return not (diagnosis.claims or diagnosis.hypotheses or diagnosis.actions or diagnosis.missing_evidence)


def _category_line(diagnosis: Diagnosis, language: Language) -> Line:
    if not diagnosis.hypotheses and diagnosis.category in _NO_CAUSE:
        return ()
    return _category(diagnosis.category, diagnosis.confidence, language)


def _category(category: str, confidence: float, language: Language) -> Line:
    sure = _confidence(confidence).in_language(language)
    label, title = _label(Message("Category"), language), category_title(category, language)
    return (label, f" {title} (", Code(category), f", {sure})")


def _confidence(value: float) -> Message:
    return Message("confidence {percent:.0%}", percent=value)


def _steps(actions: Sequence[Action], language: Language) -> list[Line]:
    return [action_line(action, language) for action in actions]


def _place(item: Evidence, zone: str) -> str:
    where = item.where
    if item.kind == "runbook":
        # A passage holds more than the section that was found: a claim names the one that it is from.
        where = where.partition("#")[0] or where
    return " ".join(filter(None, (visible(where), visible(shown_time(item.when, zone)))))


def _cause_line(diagnosis: Diagnosis, language: Language) -> Line:
    if not diagnosis.root_cause or diagnosis.root_cause in diagnosis.summary:
        return ()
    return (_label(CAUSE, language), " ", *prose(diagnosis.root_cause))


def _alternatives(diagnosis: Diagnosis, language: Language, groups: Sequence[JobGroup] = ()) -> list[Line]:
    """Every hypothesis but the leading one of each job, with its supporting and contradicting evidence.

    Of jobs with the same cause the first stands for all.
    """
    others = {job for group in groups for job in group.jobs[1:]}
    seen: set[str | None] = set()
    lines = []
    for hypothesis in diagnosis.hypotheses:
        if hypothesis.job in others:
            continue
        is_first = hypothesis.job not in seen
        seen.add(hypothesis.job)
        # A model lists the alternatives alone: what names no job and is not the answer's category is one of them.
        if is_first and (hypothesis.job is not None or hypothesis.category == diagnosis.category):
            continue
        lines.append(_hypothesis(hypothesis, language))
    if len(lines) <= MAX_ALTERNATIVES:
        return lines
    more = _and_more(len(lines) - MAX_ALTERNATIVES, "diagnosis.hypotheses", language)
    return [*lines[:MAX_ALTERNATIVES], more]


def _hypothesis(hypothesis: Hypothesis, language: Language) -> Line:
    parts = [f" ({_confidence(hypothesis.confidence).in_language(language)})"]
    parts += [f" [{item}]" for item in hypothesis.supports[:3]]
    if hypothesis.contradicts:
        against = Message("against: {ids}", ids=" ".join(f"[{item}]" for item in hypothesis.contradicts[:3]))
        parts.append(f" {against.in_language(language)}")
    job = f"{hypothesis.job}: " if hypothesis.job else ""
    return (job, *prose(hypothesis.title), *parts)


def _heading(text: Message, language: Language, level: int = 2) -> Heading:
    return Heading((text.in_language(language),), level)


def _said(text: Text, language: Language) -> Paragraph:
    return paragraph(*prose(sentence(text, language)))


def _label(text: Message, language: Language) -> Strong:
    return Strong(f"{text.in_language(language)}:")


def _section(
    language: Language, heading: Message, items: Sequence[Line], *, is_numbered: bool = False, level: int = 2
) -> tuple[Block, ...]:
    return (_heading(heading, language, level), Items(items, is_numbered)) if items else ()


def _footer(language: Language, aggregated: AggregatedData, mode: AnswerMode, llm: Mapping[str, Any] | None) -> Line:
    """The sources queried, and the origin of the answer."""
    origin: Text | None = _MODES.get(mode)
    if mode is AnswerMode.DETERMINISTIC:
        origin = why_not_the_model(llm) or origin
    return (performance_note(language, aggregated), " ", *(prose(sentence(origin, language)) if origin else ()))


def _with_job(failure: SourceFailure) -> str:
    return f"{failure.source} ({visible(failure.job)})" if failure.job else failure.source


def _json(envelope: SourceEnvelope, language: Language) -> str:
    text = visible(to_json(envelope.data, indent=1, fallback=str, inf_nan_mode="constants").decode())
    if len(text) <= MAX_RAW_CHARACTERS:
        return text
    count = len(text) - MAX_RAW_CHARACTERS
    cut = Message("{count} character cut", plural="{count} characters cut", count=count)
    return f"{text[:MAX_RAW_CHARACTERS]}\n… ({cut.in_language(language)})"
