"""The answer as text: Markdown for the app, compact lines for a terminal, and the answers for when things fail."""

from collections.abc import Iterator, Mapping, Sequence
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
    blocks = [f"## {DIAGNOSIS.in_language(language)}", inert_block(diagnosis.summary)]
    if groups or not _is_talk(diagnosis):
        steps = ""
        if not by_cause or mode is AnswerMode.LLM:
            claims = _flat_claims(diagnosis, groups, mode, cited, language)
            blocks += [
                _cause_line(diagnosis, language, bold=True),
                _category_line(diagnosis, language),
                *_all_names(groups, by_cause, language),
                _section(language, EVIDENCE, _inert(claims), bullet="- "),
            ]
            steps = _section(language, STEPS, _steps(diagnosis.actions, language, markdown=True), number=True)
        others = _inert(_alternatives(diagnosis, language, groups))
        alternatives = _section(language, ALTERNATIVES, others, bullet="- ", level=3)
        if by_cause:
            blocks += [steps, *_group_blocks(by_cause, diagnosis, language, cited), alternatives]
        else:
            blocks += [alternatives, steps]
        blocks += [
            _section(language, heading, _inert(_shown(items, name, language)), bullet="- ")
            for heading, items, name in _closing(diagnosis)
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
    groups: Sequence[JobGroup] = (),
) -> str:
    """The same answer in compact plain lines for a terminal."""
    lines = [f"{DIAGNOSIS.in_language(language).upper()}: {diagnosis.summary}"]
    if groups or not _is_talk(diagnosis):
        cited = _Cited(evidence, zone_of(aggregated))
        by_cause = groups if len(groups) > 1 else ()
        is_flat = not by_cause or mode is AnswerMode.LLM
        if is_flat:
            facts = (
                _unmarked(_category_line(diagnosis, language)),
                _cause_line(diagnosis, language, bold=False),
                *map(_unmarked, _all_names(groups, by_cause, language)),
            )
            lines += [f"  {fact}" for fact in facts if fact]
            claims = _flat_claims(diagnosis, groups, mode, cited, language)
            lines += _plain_section(language, EVIDENCE, _quoted(claims))
        alternatives = _plain_section(language, ALTERNATIVES, _alternatives(diagnosis, language, groups))
        if not by_cause:
            lines += alternatives
        if is_flat:
            lines += _plain_section(language, STEPS, _steps(diagnosis.actions, language, markdown=False), number=True)
        if by_cause:
            lines += [*_group_lines(by_cause, diagnosis, language, cited), *alternatives]
        for heading, items, name in _closing(diagnosis):
            lines += _plain_section(language, heading, _shown(items, name, language))
    lines += _plain_section(language, SUSPICIOUS, diagnosis.suspicious)
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
    left = MAX_RAW_ANSWER
    for number, envelope in enumerate(envelopes):
        left -= len(blocks[-1])
        if left < 0:
            blocks.append(_raw_in_short(envelopes[number:], language))
            break
        title = f"### {envelope.source}" + (f" · {envelope.job}" if envelope.job else "")
        if not envelope.success:
            blocks.append(f"{title}\n\n{inert_block(why(envelope).in_language(language))}")
            continue
        finding = f"{inert_block(envelope.finding)}\n\n" if envelope.finding else ""
        blocks.append(f"{title}\n\n{finding}```json\n{_json(envelope, language)}\n```")
    return "\n\n".join(blocks) + "\n"


def _raw_in_short(envelopes: Sequence[SourceEnvelope], language: Language) -> str:
    """What is left of the sources' data for a line each, and where it stands."""
    rest = Message(
        "The data of {count} more result is in `parallel_results` of the report:",
        plural="The data of {count} more results is in `parallel_results` of the report:",
        count=len(envelopes),
    )
    lines = []
    for envelope in envelopes:
        name = f"{envelope.source} · {envelope.job}" if envelope.job else envelope.source
        said = inert(envelope.finding if envelope.success else why(envelope).in_language(language))
        lines.append(f"- {inert(name)}: {said or envelope.outcome.value}")
    return "\n".join((rest.in_language(language), "", *lines))


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

    def lines(self, claims: Sequence[Claim]) -> list[str]:
        """The claims with their ids; where and when the first item of each comes from follows its first mention."""
        return [self._line(claim) for claim in claims]

    def _line(self, claim: Claim) -> str:
        cited = next((self._known[item] for item in claim.evidence_ids if item in self._known), None)
        if cited is None or cited.id in self._told:
            return render_claim(claim)
        self._told.add(cited.id)
        place = _place(cited, self._zone)
        return f"{render_claim(claim)} ({place})" if place else render_claim(claim)


def _group_blocks(groups: Sequence[JobGroup], diagnosis: Diagnosis, language: Language, cited: _Cited) -> Iterator[str]:
    """The groups in Markdown: each of the worst with its jobs, evidence and steps, of the others the jobs."""
    for group in groups[:MAX_GROUPS]:
        yield f"### {group.number}. {inert(_group_heading(group, language))}"
        cause = _group_cause(group, diagnosis)
        yield inert_block(cause)
        yield _group_facts(group, cause, language)
        yield _labelled(EVIDENCE, language, _inert(_first(cited.lines(group.claims), group, language)))
        yield _labelled(STEPS, language, _steps(group.actions, language, markdown=True), number=True)
    yield _section(language, OTHER_CAUSES, _inert(_short_groups(groups, language)), bullet="- ", level=3)


def _group_lines(groups: Sequence[JobGroup], diagnosis: Diagnosis, language: Language, cited: _Cited) -> Iterator[str]:
    """The same as plain lines."""
    for group in groups[:MAX_GROUPS]:
        yield f"{group.number}. {_group_heading(group, language)}"
        cause = _group_cause(group, diagnosis)
        facts = _unmarked(_group_facts(group, cause, language))
        yield from (f"  {part}" for part in (cause, facts) if part)
        evidence = _quoted(_first(cited.lines(group.claims), group, language))
        steps = _steps(group.actions, language, markdown=False)
        yield from (f"  {line}" for line in _plain_section(language, EVIDENCE, evidence))
        yield from (f"  {line}" for line in _plain_section(language, STEPS, steps, number=True))
    yield from _plain_section(language, OTHER_CAUSES, _short_groups(groups, language))


def _group_heading(group: JobGroup, language: Language) -> str:
    """The number of jobs with the cause in a few words; of one job its name."""
    if len(group.jobs) == 1:
        return Message("{job}: {title!l}", job=group.jobs[0], title=group.title).in_language(language)
    heading = Message("{count} job: {title!l}", plural="{count} jobs: {title!l}", count=len(group.jobs))
    return heading.with_facts(title=group.title).in_language(language)


def _group_cause(group: JobGroup, diagnosis: Diagnosis) -> str:
    """The cause, unless the summary has said it, and what it means."""
    return " ".join(filter(None, ("" if group.cause in diagnosis.summary else group.cause, group.meaning)))


def _flat_claims(
    diagnosis: Diagnosis, groups: Sequence[JobGroup], mode: AnswerMode, cited: _Cited, language: Language
) -> list[str]:
    """The evidence of an answer that is not told by cause; of many jobs with the same cause not that of each."""
    if len(groups) == 1 and len(groups[0].jobs) > NAMES_SHOWN and mode is not AnswerMode.LLM:
        return _first(cited.lines(groups[0].claims), groups[0], language)
    return cited.lines(diagnosis.claims)


def _group_facts(group: JobGroup, said: str, language: Language) -> str:
    """The names of all jobs unless they are ``said``, of those that wait for them, and how sure the cause is."""
    facts = [
        "" if len(group.jobs) == 1 or ", ".join(group.jobs) in said else _names_line(group.jobs, JOBS, language),
        _names_line(group.waiting, WAITING, language) if group.waiting else "",
        "" if group.category == Category.UNKNOWN.value else _category(group.category, group.confidence, language),
    ]
    return "  \n".join(filter(None, facts))


def _all_names(groups: Sequence[JobGroup], by_cause: Sequence[JobGroup], language: Language) -> list[str]:
    """The names of many jobs with the same cause, of which the summary has not all."""
    alike = [group for group in groups if not by_cause and len(group.jobs) > NAMES_SHOWN]
    return [_names_line(group.jobs, JOBS, language) for group in alike]


def _names_line(names: Sequence[str], label: Message, language: Language) -> str:
    return f"**{label.in_language(language)}:** {inert(', '.join(names))}"


def _short_groups(groups: Sequence[JobGroup], language: Language) -> list[str]:
    """The groups beyond those that are told in full: cause and jobs, and where the rest stands."""
    more = groups[MAX_GROUPS:]
    if not more:
        return []
    rest = Message(
        "Evidence and steps of this cause are in `groups` of the report (`get RUN_ID --json`).",
        plural="Evidence and steps of these {count} causes are in `groups` of the report (`get RUN_ID --json`).",
        count=len(more),
    )
    named = [
        f"{group.number}. {_group_heading(group, language)}"
        + (f" ({', '.join(group.jobs)})" if len(group.jobs) > 1 else "")
        for group in more
    ]
    return [*named, rest.in_language(language)]


def _first(lines: list[str], group: JobGroup, language: Language) -> list[str]:
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


def _shown(items: Sequence[str], name: str, language: Language) -> Sequence[str]:
    """The same of a list of the diagnosis."""
    more = len(items) - MAX_ITEMS
    return items if more < 2 else [*items[:MAX_ITEMS], _and_more(more, f"diagnosis.{name}", language)]


def _and_more(count: int, where: str, language: Language) -> str:
    """How many items are not shown, and where they stand."""
    text = Message("and {count} more, in `{where}` of the report (`get RUN_ID --json`)", count=count, where=where)
    return text.in_language(language)


def _labelled(heading: Message, language: Language, items: Sequence[str], *, number: bool = False) -> str:
    """A list under a label in bold."""
    if not items:
        return ""
    marks = [f"{index}." for index in range(1, len(items) + 1)] if number else ["-"] * len(items)
    lines = (f"{mark} {item}" for mark, item in zip(marks, items, strict=True))
    return f"**{heading.in_language(language)}:**\n\n" + "\n".join(lines)


def _plain_section(language: Language, heading: Message, items: Sequence[str], *, number: bool = False) -> list[str]:
    if not items:
        return []
    marks = [f"{index}." for index in range(1, len(items) + 1)] if number else ["-"] * len(items)
    return [
        heading.in_language(language).upper(),
        *(f"  {mark} {item}" for mark, item in zip(marks, items, strict=True)),
    ]


def _unmarked(text: str) -> str:
    """A line of Markdown without its marks."""
    return text.replace("*", "").replace("`", "").replace("  \n", "\n  ")


def _quoted(lines: Sequence[str]) -> list[str]:
    return [line.replace("`", '"') for line in lines]


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
    return _category(diagnosis.category, diagnosis.confidence, language)


def _category(category: str, confidence: float, language: Language) -> str:
    sure = _confidence(confidence).in_language(language)
    title = category_title(category, language)
    return f"**{Message('Category').in_language(language)}:** {title} (`{category}`, {sure})"


def _confidence(value: float) -> Message:
    return Message("confidence {percent:.0%}", percent=value)


def _inert(items: Sequence[str]) -> list[str]:
    return [inert(item) for item in items]


def _steps(actions: Sequence[Action], language: Language, *, markdown: bool) -> list[str]:
    return [render_action(action, language, markdown=markdown) for action in actions]


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


def _alternatives(diagnosis: Diagnosis, language: Language, groups: Sequence[JobGroup] = ()) -> list[str]:
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
