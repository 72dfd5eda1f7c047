"""The deterministic diagnosis: rules over the sources' facts, ranked, corroborated, capped and composed.

``diagnose`` never raises for odd data: a source of another shape counts by its evidence alone. Nothing is executed;
every step is a proposal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.aggregate import NOT_IN_TIME, failures, job_reports, outcome_of
from orchestrator.codes.catalogue import Category, find_state
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_program_codes
from orchestrator.codes.states import FAILED
from orchestrator.diagnosis.draft import ClaimDraft, DiagnosisDraft, JobDraft
from orchestrator.diagnosis.injection import find_planted
from orchestrator.diagnosis.reruns import ReadLogs
from orchestrator.diagnosis.rules.compose import (
    compose,
    compose_knowledge,
    compose_nothing,
    failed_with,
    more_problems,
)
from orchestrator.diagnosis.rules.corroborate import concern, concerns, corroborate, metric_ids
from orchestrator.diagnosis.rules.focus import focus_in, narrowed, of_one_fact
from orchestrator.diagnosis.rules.found import of_the_jobs, of_the_list, with_listed_states
from orchestrator.diagnosis.rules.gaps import missing_evidence
from orchestrator.diagnosis.rules.groups import Group, explained, usual_causes
from orchestrator.diagnosis.rules.history import STALE_DAYS, age_of
from orchestrator.diagnosis.rules.library import RULES
from orchestrator.diagnosis.rules.listing import compose_listing, listed
from orchestrator.diagnosis.rules.plan import why_idle
from orchestrator.diagnosis.rules.requested_changes import requested_changes
from orchestrator.diagnosis.rules.scene import (
    Scene,
    build_scenes,
    clean_line,
    envelopes_by_job,
    envelopes_of,
    focus_on,
    qualified,
    tws_facts,
)
from orchestrator.diagnosis.rules.state import states_of
from orchestrator.diagnosis.rules.subject import (
    is_elsewhere,
    lacks_a_limit,
    not_understood,
    what_is_meant,
    which_subject,
)
from orchestrator.diagnosis.rules.verdict import MOST_CONFIDENT, Verdict
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import (
    AggregatedData,
    Diagnosis,
    Entities,
    Intent,
    JobGroup,
    JobReport,
    Plan,
    PlannedSource,
    Routing,
    RunOutcome,
    SourceEnvelope,
    TroubleshootRequest,
)
from orchestrator.payloads import JobFacts
from orchestrator.routing.facts import Fact, fact_of
from orchestrator.routing.listing import listing_of
from orchestrator.routing.pipeline import Reduce
from orchestrator.routing.pipelines import reduce_of
from orchestrator.routing.router import entities_of, route_request
from orchestrator.routing.vocabulary import asks_when

REQUIRED_MISSING_CAP = 0.4
"""Most confidence that an answer may have without the answer of TWS."""

STALE_CAP = 0.3
"""The same when, on top of that, the newest cached log is days old."""

MISSING_STEP = 0.03
"""Taken off for every other queried source that is missing."""

MAX_PROBLEM_JOBS = 20
MAX_QUESTION_CHARACTERS = 200

_NOTHING_EXECUTED = Message("Nothing was executed: this assistant only reads; the actions below are proposals.")
_STATION_CAUSES = (Category.AGENT_UNLINKED, Category.JOB_LIMIT_ZERO)
_HELD = (Category.PREDECESSOR_FAILED, Category.WAITING_PREDECESSOR)
_NOTHING_WRONG = (Category.UNKNOWN, Category.COMPLETED, Category.RUNNING, Category.LAUNCHING, Category.NO_PROBLEM)


@dataclass(frozen=True, slots=True)
class Findings:
    """The answer of the rules: over all, by cause, and for each job."""

    diagnosis: Diagnosis
    groups: tuple[JobGroup, ...] = ()
    """The jobs by their causes, the worst first."""
    jobs: tuple[JobReport, ...] = ()
    """Every job of the question, in the order of the groups; without one, those of the plan that were examined."""


def diagnose(
    request: TroubleshootRequest,
    plan: Plan | None,
    envelopes: Sequence[SourceEnvelope],
    aggregated: AggregatedData,
) -> Diagnosis:
    """The answer over all: see ``examine``."""
    return examine(request, plan, envelopes, aggregated).diagnosis


def examine(
    request: TroubleshootRequest,
    plan: Plan | None,
    envelopes: Sequence[SourceEnvelope],
    aggregated: AggregatedData,
) -> Findings:
    """The structured answer in the language of the question, from the rules alone."""
    routing = plan.routing if plan else route_request(request)
    jobs = _jobs_of(request, plan, aggregated, routing.entities)
    reduce = reduce_of(plan) if plan is not None else Reduce.DIAGNOSIS
    about_jobs = of_the_jobs(envelopes)
    is_only_a_list = len(about_jobs) < len(envelopes) and all(envelope.job is None for envelope in about_jobs)
    scenes = build_scenes(
        about_jobs,
        () if is_only_a_list else jobs,
        request.message,
        routing.entities,
        asks_state=reduce is Reduce.STATUS,
        language=routing.language.value,
    )
    scenes = with_listed_states(scenes, envelopes)
    reports = job_reports(envelopes, jobs)
    draft = _only_listed(plan, envelopes, scenes) or _draft(request, plan, envelopes, scenes, routing, reports=reports)
    language, logs = routing.language, ReadLogs.of(envelopes)
    return Findings(
        logs.without_reruns(draft.written(language)),
        tuple(logs.without_reruns_of(group.written(language)) for group in draft.groups),
        _with_causes(reports, draft, envelopes, language),
    )


def _with_causes(
    reports: Sequence[JobReport], draft: DiagnosisDraft, envelopes: Sequence[SourceEnvelope], language: Language
) -> tuple[JobReport, ...]:
    """The jobs with what was found out about each, those of the worst group first."""
    known: dict[str, JobDraft] = {}
    for job in draft.jobs:
        for name in job.jobs:
            known.setdefault(name, job if draft.groups else replace(job, group=None))
    if not reports and known:
        # Without a job in the question these are of the plan: what came of the sources is true of each.
        outcome = outcome_of(envelopes, has_enough=True)
        reports = [JobReport(job=name, outcome=outcome, errors=failures(envelopes)) for name in known]
    order = {name: place for place, name in enumerate(known)}
    complete = [
        report.model_copy(update=known[report.job].written(language)) if report.job in known else report
        for report in reports
    ]
    return tuple(sorted(complete, key=lambda report: order.get(report.job, len(order))))


def _draft(
    request: TroubleshootRequest,
    plan: Plan | None,
    envelopes: Sequence[SourceEnvelope],
    scenes: list[Scene],
    routing: Routing,
    *,
    reports: Sequence[JobReport],
) -> DiagnosisDraft:
    reduce = reduce_of(plan) if plan is not None else Reduce.DIAGNOSIS
    cap = confidence_cap(plan, envelopes, scenes)
    missing = missing_evidence(plan, envelopes, scenes)
    suspicious = _planted_in(envelopes)
    requested = requested_changes(request.message, scenes, routing.entities) if routing.intent is Intent.ACTION else ()
    if reduce is not Reduce.KNOWLEDGE and (unclear := not_understood(scenes)) is not None:
        return replace(
            unclear,
            # A job stream that is not in the plan may be submitted.
            actions=requested if routing.entities.job_streams else (),
            confidence=min(unclear.confidence, cap),
            missing_evidence=missing,
            suspicious=suspicious,
        )
    if routing.is_off_topic and reduce is not Reduce.KNOWLEDGE and not any(map(_is_found, scenes)):
        return compose_nothing()
    groups = _groups_of(plan, envelopes, scenes, reports=reports, cap=cap)
    about = (*which_subject(routing), *what_is_meant(scenes, routing.entities))
    if (fact := _fact_asked(request.message, routing, scenes)) is not None:
        return of_one_fact(compose(groups, scenes, missing=missing, suspicious=suspicious), groups, fact, about)
    if _asks_about_a_code_alone(routing.entities, scenes) or (
        reduce is Reduce.KNOWLEDGE and _has_no_problem(scenes, groups)
    ):
        draft = _knowledge(scenes, groups, routing, missing, cap if reduce is not Reduce.KNOWLEDGE else None)
        if draft is not None:
            return replace(draft, suspicious=suspicious)
    shown = (*(scene.tws for scene in scenes), *map(tws_facts, of_the_list(envelopes)))
    lists = tuple(listed(tws.listing) for tws in shown if tws and tws.listing)
    lacks_all = all(group.top.category is Category.JOB_NOT_FOUND for group in groups)
    draft = compose(
        groups,
        scenes,
        missing=missing,
        suspicious=suspicious,
        # Someone who asks for an action must read first that none was taken; then, as for a status, the state.
        preface=(
            *about,
            *((_NOTHING_EXECUTED,) if routing.intent is Intent.ACTION and not lacks_all else ()),
            *lists,
            *(states_of(scenes) if (reduce is Reduce.STATUS or asks_when(request.message)) and not lists else ()),
        ),
        requested=requested,
        is_listed=bool(lists),
    )
    if routing.intent is Intent.ACTION and lacks_all:
        # That the plan does not have the job comes first.
        draft = replace(draft, summary=join((draft.summary, _NOTHING_EXECUTED)))
    draft = narrowed(draft, groups, scenes, focus_in(request.message, routing))
    if any(is_elsewhere(scene, routing.entities) or lacks_a_limit(scene) for scene in scenes):
        # The job that is meant may be another: what changes one is not proposed.
        return replace(draft, actions=tuple(action for action in draft.actions if not action.mutates))
    return draft


def _fact_asked(message: str, routing: Routing, scenes: Sequence[Scene]) -> Fact | None:
    """The one fact that is asked of jobs which the plan has."""
    if routing.intent is Intent.ACTION or not all(scene.job is not None for scene in scenes):
        return None
    return fact_of(message, entities_of(message))


def _knowledge(
    scenes: list[Scene], groups: Sequence[Group], routing: Routing, missing: tuple[Text, ...], cap: float | None
) -> DiagnosisDraft | None:
    """The answer to a question about how something works; with ``cap`` it is also about the plan."""
    draft = compose_knowledge(scenes, routing)
    if draft is None or ((routing.intent is Intent.GENERAL or routing.is_off_topic) and not draft.claims):
        return draft
    # What a code means is not answered by what else is wrong; that a job failed with it today is worth a word.
    today = failed_with(groups, routing.entities)
    more = more_problems(groups) if routing.entities.codes and cap is not None else ""
    return replace(
        draft,
        summary=join((draft.summary, today.summary if today else more)),
        claims=(*(today.claims if today else ()), *draft.claims),
        confidence=draft.confidence if cap is None else min(draft.confidence, cap),
        missing_evidence=missing,
    )


def _planted_in(envelopes: Sequence[SourceEnvelope]) -> tuple[Text, ...]:
    return find_planted([item for envelope in envelopes for item in envelope.evidence])


def _only_listed(plan: Plan | None, envelopes: Sequence[SourceEnvelope], scenes: list[Scene]) -> DiagnosisDraft | None:
    """The answer to a question for a list, when none of its jobs was looked into."""
    for scene in scenes:
        if scene.tws is not None and scene.tws.listing is not None and not scene.tws.problem_jobs:
            # A list says nothing that another source could add to, or that its silence could hide.
            asked = plan and plan.model_copy(update={"sources": tuple(filter(_is_of_tws, plan.sources))})
            missing = missing_evidence(asked, tuple(filter(_is_of_tws, envelopes)), scenes)
            draft = compose_listing(scene, scene.tws.listing, missing, confidence_cap(plan, envelopes, scenes))
            if scene.tws.unknown and (unclear := not_understood(scenes)) is not None:
                draft = replace(unclear, missing_evidence=missing)
            else:
                preface = what_is_meant(scenes, scene.entities)
                draft = replace(draft, summary=join((*preface, draft.summary, _why_is_left_out(scene))))
            return replace(draft, suspicious=_planted_in(envelopes))
    return None


def _why_is_left_out(scene: Scene) -> Text | str:
    """That a list is too long for the reasons that were asked for."""
    listing = listing_of(scene.question, scene.entities)
    is_long = scene.tws is not None and scene.tws.listing is not None and scene.tws.listing.count > 1
    if listing is None or not listing.asks_why or not is_long:
        return ""
    return Message("For the reasons, name one of the jobs: they are not looked up for a list of this length.")


def _is_of_tws(asked: PlannedSource | SourceEnvelope) -> bool:
    return asked.source == "tws_status"


def _is_found(scene: Scene) -> bool:
    """Whether the plan has what the question names, or what it may name."""
    tws = scene.tws
    return bool(scene.question_job or scene.job or (tws and (tws.named_stream or tws.named_workstation)))


def confidence_cap(plan: Plan | None, envelopes: Sequence[SourceEnvelope], scenes: Sequence[Scene]) -> float:
    """The most confidence that an answer may claim, given which sources are missing."""
    failed = [envelope for envelope in envelopes if not envelope.success]
    if not failed:
        return MOST_CONFIDENT
    cap = MOST_CONFIDENT
    required = plan.required_keys if plan else {"tws_status"}
    lost_required = any(envelope.key in required for envelope in failed)
    for envelope in failed:
        if envelope.key not in required:
            cap -= MISSING_STEP
    if lost_required:
        cap = min(cap, REQUIRED_MISSING_CAP)
        ages = [scene.log.newest_age_days for scene in scenes if scene.log and scene.log.newest_age_days is not None]
        if ages and min(ages) >= STALE_DAYS:
            cap = min(cap, STALE_CAP)
    return round(max(cap, 0.1), 2)


def _jobs_of(
    request: TroubleshootRequest, plan: Plan | None, aggregated: AggregatedData, entities: Entities
) -> tuple[str, ...]:
    return (plan.jobs if plan else ()) or request.named_jobs or aggregated.jobs or entities.jobs


def _has_no_problem(scenes: Sequence[Scene], groups: Sequence[Group]) -> bool:
    """Whether TWS shows nothing wrong with the jobs in question, so that the question is one of knowledge."""
    if any(scene.question_job or scene.job for scene in scenes):
        return all(group.top.category in _NOTHING_WRONG for group in groups)
    return True


def _asks_about_a_code_alone(entities: Entities, scenes: Sequence[Scene]) -> bool:
    """Whether a code is all that is named and the plan does not show it: its problems are then no answer."""
    if any(scene.pasted for scene in scenes):
        return True
    codes = (*entities.codes, *(code for scene in scenes for code in find_program_codes(scene.question)))
    if not codes or any(scene.question_job or scene.job for scene in scenes):
        return False
    if entities.job_streams or entities.workstations:
        return False
    return not any(scene.cite("tws_status", code) for scene in scenes for code in codes)


def _groups_of(
    plan: Plan | None,
    envelopes: Sequence[SourceEnvelope],
    scenes: Sequence[Scene],
    *,
    reports: Sequence[JobReport],
    cap: float,
) -> list[Group]:
    """The groups of all scenes; of several jobs each is as sure as its own sources let it be."""
    if len(scenes) == 1:
        return _groups(scenes[0], cap)
    nothing = {report.job for report in reports if report.outcome in (RunOutcome.FAILED, RunOutcome.TIMED_OUT)}
    of_job = envelopes_by_job(envelopes)
    groups: list[Group] = []
    for scene in scenes:
        mine = envelopes_of(of_job, scene.asked_as)
        own = _groups(scene, confidence_cap(plan, mine, (scene,)))
        lost = next((envelope for envelope in mine if _is_of_tws(envelope) and not envelope.success), None)
        # Of a job that the list tells of, the state is known.
        is_silent = scene.asked_as in nothing or own[0].top.category is Category.UNKNOWN
        if lost is not None and scene.job is None and is_silent:
            own = [replace(group, silent=lost.outcome in NOT_IN_TIME) for group in own]
        groups += own
    return groups


def _groups(scene: Scene, cap: float) -> list[Group]:
    """The scene's verdicts: one group for its job; without a named job, one per distinct problem of the plan."""
    if scene.question_job or scene.job is not None or not (scene.tws and scene.tws.problem_jobs):
        group = Group(scene, _ranked(scene, cap), _jobs_in(scene))
        return [_with_its_blocker(group, cap)]
    problems = scene.tws.problem_jobs[:MAX_PROBLEM_JOBS]
    groups: dict[tuple[Category, str], Group] = {}
    for job in problems:
        focused = focus_on(scene, job)
        ranked = _ranked(focused, cap)
        top = ranked[0]
        key = (top.category, top.facts.get("predecessor") or top.workstation or f"{job.job_stream}.{job.name}")
        if key in groups:
            groups[key].jobs.append(job.name)
            groups[key].top.supports += [item for item in top.supports if item not in groups[key].top.supports]
        else:
            groups[key] = Group(focused, ranked, [job.name])
    return sorted(_without_consequences(list(groups.values()), problems), key=_weight, reverse=True)


def _with_its_blocker(group: Group, cap: float) -> Group:
    """A job that waits for another one is explained by why that one failed, or has not ended."""
    scene, top = group.scene, group.top
    blocker = scene.holder
    if blocker is None or top.category not in _HELD:
        return group
    inner = Group(focus_on(scene, blocker), _ranked(focus_on(scene, blocker), cap), [blocker.name])
    top.claims += [claim for claim in inner.top.claims if claim.evidence_ids]
    return Group(scene, group.ranked, group.jobs, group.waiting, because=inner)


def _without_consequences(groups: list[Group], problems: Sequence[JobFacts]) -> list[Group]:
    """Jobs that only wait for a job which failed itself, or holds them, are its consequence, and join its group."""
    holding = {job.name for job in problems if job.status in FAILED}
    holding |= {holder.name for group in groups if (holder := group.scene.holder) is not None}
    causes = {job: group for group in groups for job in group.jobs if job in holding}
    causing: list[Group] = []
    for group in groups:
        cause = causes.get(bare_name(group.top.facts.get("predecessor", "")))
        if group.top.category in _HELD and cause is not None and cause is not group:
            cause.waiting += [job for job in group.jobs if job not in cause.waiting]
            cause.top.supports += [item for item in group.top.supports if item not in cause.top.supports]
        else:
            causing.append(group)
    return [_as_verdict_from_the_stream(group) for group in causing]


def _as_verdict_from_the_stream(group: Group) -> Group:
    """Asked why a stream does not advance, the answer is the job that holds it; why that one failed comes second."""
    cause, job = group.top, group.scene.job
    if job is None or job.status not in FAILED or not group.waiting or not group.scene.entities.job_streams:
        return group
    code = group.scene.return_code
    asked = [bare_name(name) for name in group.scene.entities.job_streams]
    stream = job.job_stream if job.job_stream in asked else asked[0]
    holds = Message(
        "{job} holds {count} job of the stream: {names}.",
        plural="{job} holds {count} jobs of the stream: {names}.",
        count=len(group.waiting),
        job=job.name,
        names=", ".join(group.waiting[:5]),
    )
    verdict = Verdict(
        Category.PREDECESSOR_FAILED,
        round(max(cause.confidence, min(0.9, cause.confidence + 0.3)), 2),
        supports=list(cause.supports),
        facts={
            "stream": stream,
            "predecessor": job.name,
            "predecessor_job": qualified(job, job.name),
            "predecessor_rc": "" if code is None else str(code),
        },
        claims=[*cause.claims, ClaimDraft(holds, tuple(cause.supports[:3]))],
        job=stream,
        workstation=job.workstation,
    )
    return Group(group.scene, [verdict], group.jobs, group.waiting, because=group)


def _weight(group: Group) -> tuple[float, int]:
    """Failures first, then what holds most jobs."""
    job = group.scene.job
    failed = job is not None and job.status in FAILED
    return (group.top.confidence + (0.5 if failed else 0.0), len(group.jobs) + len(group.waiting))


def _jobs_in(scene: Scene) -> list[str]:
    return [scene.name] if scene.name else []


def _ranked(scene: Scene, cap: float) -> list[Verdict]:
    """The rules' verdicts on one scene: one per category, best first; never empty."""
    best: dict[Category, Verdict] = {}
    for rule in RULES:
        for verdict in rule(scene):
            verdict.job = scene.name or None
            other = best.get(verdict.category)
            best[verdict.category] = verdict if other is None else _merged(other, verdict)
    verdicts = sorted(best.values(), key=lambda verdict: verdict.confidence, reverse=True)
    if not verdicts:
        return [_unknown(scene)]
    _weigh_against_each_other(verdicts)
    _note_what_blocks_a_rerun(scene, verdicts[0])
    for verdict in verdicts:
        corroborate(scene, verdict)
        verdict.confidence = round(min(verdict.confidence, cap), 2)
    return sorted(verdicts, key=lambda verdict: verdict.confidence, reverse=True)


def _note_what_blocks_a_rerun(scene: Scene, lead: Verdict) -> None:
    """A job failed, and its workstation starts nothing now: mended, it would wait there."""
    job = scene.job
    if job is None or job.status not in FAILED or lead.category in _STATION_CAUSES:
        return
    idle = why_idle(scene, job.workstation)
    if idle is not None:
        lead.note = join((lead.note, Message("A rerun would not start now: {text!l}", text=idle.sentence)))
        lead.claims.append(idle.claim)


def _unknown(scene: Scene) -> Verdict:
    """The verdict when no rule matches: category unknown, with whatever evidence there is."""
    verdict = Verdict(Category.UNKNOWN, 0.1, job=scene.name or None)
    if "tws_status" not in scene.answered:
        verdict.note = _from_the_question(scene)
    for item in (scene.log.recent_errors or scene.log.history)[:1] if scene.log else ():
        parts = [item.status, *item.codes[:2], "" if item.return_code is None else f"RC {item.return_code}"]
        ids = scene.cite("log_cache", limit=1)
        record = " ".join(filter(None, parts)) or "?"
        text = Message("The newest cached record is {what} ({age}).", what=record, age=age_of(scene, item))
        verdict.add_claim(text, ids)
    if scene.log and scene.log.newest_age_days and scene.log.newest_age_days >= STALE_DAYS:
        stale = Message(
            "The newest cached record is {count} day old: it describes the past, not the present state.",
            plural="The newest cached record is {count} days old: it describes the past, not the present state.",
            count=round(scene.log.newest_age_days),
        )
        verdict.add_claim(stale, scene.cite("log_cache", limit=1))
    for series in concerns(scene):
        verdict.add_claim(concern(series), metric_ids(scene, series))
    return verdict


def _from_the_question(scene: Scene) -> Text | str:
    """Without the answer of TWS: the question, quoted, and the meaning of the state that it names."""
    words = re.findall(r"\b[A-Z]{4,10}\b", scene.question)
    state = next((entry for word in words if (entry := find_state(word)) is not None), None)
    quotation = Message(
        "The present state in TWS could not be read: all that is known comes from the question, “{question}”.",
        question=clean_line(scene.question)[:MAX_QUESTION_CHARACTERS],
    )
    if state is None:
        # Who asks for the state has not said it, and a follow-up says nothing of the job.
        if bare_name(scene.question_job or "").casefold() not in scene.question.casefold():
            return Message("The present state in TWS could not be read.")
        return "" if scene.asks_state else quotation
    return join((quotation, explained(state.key, state), usual_causes(state)))


def _merged(one: Verdict, other: Verdict) -> Verdict:
    """Two rules that agree: the surer one leads, and each is a little surer for the other."""
    lead, second = (one, other) if one.confidence >= other.confidence else (other, one)
    lead.supports += [item for item in second.supports if item not in lead.supports]
    lead.claims += [claim for claim in second.claims if claim.text not in {known.text for known in lead.claims}]
    lead.facts = {**{key: value for key, value in second.facts.items() if value}, **_filled(lead.facts)}
    lead.entry = lead.entry or second.entry
    lead.finding = lead.finding or second.finding
    lead.workstation = lead.workstation or second.workstation
    lead.note = lead.note or second.note
    lead.aside = lead.aside or second.aside
    lead.confidence = min(MOST_CONFIDENT, lead.confidence + 0.02)
    return lead


def _filled(facts: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in facts.items() if value}


def _weigh_against_each_other(verdicts: list[Verdict]) -> None:
    """What proves the leading cause speaks against the others, unless they rest on it as well."""
    lead = verdicts[0]
    for other in verdicts[1:]:
        if lead.confidence - other.confidence >= 0.1:
            other.contradicts += [item for item in lead.supports if item not in other.supports]
            other.confidence = max(0.05, other.confidence - 0.15)
