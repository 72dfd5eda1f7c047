"""Composes verdicts into a draft diagnosis: summary, cause, claims, steps and prevention."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from orchestrator.codes.catalogue import (
    Advice,
    AdviceSet,
    Category,
    Entry,
    Platform,
    advice_of,
    category_texts,
    find_return_code,
    find_state,
    find_substate,
)
from orchestrator.codes.control import one_line
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_program_codes, is_abend
from orchestrator.codes.states import ABENDED, CANCELLED, EXECUTING, FAILED, RUNNING, SUCCEEDED, is_state
from orchestrator.diagnosis.draft import ActionDraft, ClaimDraft, DiagnosisDraft, HypothesisDraft
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.rules.codes import state_ids
from orchestrator.diagnosis.rules.corroborate import page_title, steps_in
from orchestrator.diagnosis.rules.scene import Scene, clean_line, plain_words, qualified, qualified_station
from orchestrator.diagnosis.rules.state import running_for, state_sentence
from orchestrator.diagnosis.rules.verdict import Verdict, at_step, reported, with_code
from orchestrator.diagnosis.runbooks import names_code, names_return_code
from orchestrator.i18n.message import Message, Text, join
from orchestrator.joblog.codes import find_code
from orchestrator.joblog.reader import Sighting
from orchestrator.models import Entities, Evidence, Intent, Routing
from orchestrator.routing.entities import pasted_part

LIKELY_BELOW = 0.5
"""Below this confidence the summary is marked as resting on little evidence."""

WORTH_A_WORD = 0.25
"""Least confidence of an alternative that has no cause."""

MAX_CLAIMS = 12
RELATED = 0.5
"""Share of the best passage's score from which on another one is told as well."""
MAX_PASSAGES = 3
"""Passages told of a question about how something works, one of each page."""
MAX_ACTIONS = 8
MAX_PREVENTION = 4
MAX_ALTERNATIVES = 3
_NAMES_SHOWN = 5
_BENIGN = frozenset(
    {
        Category.COMPLETED,
        Category.RUNNING,
        Category.LAUNCHING,
        Category.SUCCESS_CONDITION_MET,
        Category.NO_PROBLEM,
        Category.UNKNOWN,
    }
)
"""Verdicts that are no failure: they do not lead when another job has one."""
_LESS_EXACT: dict[Category, frozenset[Category]] = {
    Category.LOGON_USER_UNKNOWN: frozenset({Category.LAUNCH_FAILURE}),
    Category.JOB_LIMIT_ZERO: frozenset({Category.JOB_LIMIT_REACHED}),
    Category.PREDECESSOR_FAILED: frozenset({Category.WAITING_PREDECESSOR}),
}
"""Categories of the same cause that are less exact: no alternatives to it."""
_HELP = Message(
    "I can investigate TWS jobs: name the job and what happened, for example “Job BATCH001 failed with ABEND S0C7”."
)


@dataclass(slots=True)
class Group:
    """Jobs with one and the same verdict; ``waiting`` are those that only wait for them."""

    scene: Scene
    ranked: list[Verdict]
    jobs: list[str]
    waiting: list[str] = field(default_factory=list)
    because: "Group | None" = None
    """Why the job failed that holds these: the cause behind the cause."""

    @property
    def top(self) -> Verdict:
        """The leading verdict."""
        return self.ranked[0]


def compose(
    groups: Sequence[Group],
    scenes: Sequence[Scene],
    *,
    missing: tuple[Text, ...],
    suspicious: tuple[Text, ...],
    preface: tuple[Text, ...] = (),
    requested: tuple[ActionDraft, ...] = (),
    is_listed: bool = False,
) -> DiagnosisDraft:
    """One diagnosis of all groups; the first leads unless the question named several jobs, or asked for a list."""
    several = len(scenes) > 1 or is_listed
    shown = groups if several else groups[:1]
    merged = _merge_alike(shown) if several else list(shown)
    causes = [group for group in merged if not _is_consequence(group, shown)]
    lead = max(causes or shown, key=lambda group: (group.top.category not in _BENIGN, group.top.confidence))
    sentences: list[Text | str] = [_summary(group) for group in merged]
    if len(scenes) > 1:
        count = len(scenes)
        sentences.insert(0, Message("{count} job examined.", plural="{count} jobs examined.", count=count))
    elif len(groups) > len(shown):
        sentences.append(more_problems(groups[1:]))
    root_causes = tuple(dict.fromkeys(text for group in causes if (text := _root_cause(group))))
    helped = [group.because if group.because and _is_kept_waiting(group) else group for group in causes]
    advice = (_advice(group.top) for group in helped)
    return DiagnosisDraft(
        summary=join((*preface, *sentences)),
        root_cause=join(root_causes) if root_causes or several else _cause_of(lead),
        category=lead.top.category.value,
        # A summary of several jobs is as good as its weakest part.
        confidence=min(group.top.confidence for group in shown),
        claims=_claims(shown),
        hypotheses=tuple(_hypotheses(groups)),
        actions=_each_once((*requested, *_actions(helped)))[:MAX_ACTIONS],
        prevention=tuple(dict.fromkeys(text for item in advice for text in item.prevention))[:MAX_PREVENTION],
        missing_evidence=missing,
        suspicious=suspicious,
    )


def more_problems(groups: Sequence[Group]) -> Text | str:
    """The jobs of these groups, as what else is wrong in the plan; without any, nothing."""
    names = [job for group in groups for job in group.jobs]
    return Message("The plan has other problems: {names}.", names=_listed(names)) if names else ""


def _merge_alike(groups: Sequence[Group]) -> list[Group]:
    """Named jobs that ended for one and the same reason, as one group."""
    merged: dict[tuple[str, ...], Group] = {}
    for group in groups:
        facts = group.top.facts
        key = (
            group.top.category.value,
            *(facts.get(name, "") for name in ("code", "rc", "step", "predecessor", "file")),
        )
        first = merged.get(key)
        if first is None:
            merged[key] = group
            continue
        # A job may come twice: by its name, and in a stream that was asked about.
        jobs = dict.fromkeys((*first.jobs, *group.jobs))
        waiting = dict.fromkeys((*first.waiting, *group.waiting))
        merged[key] = Group(first.scene, first.ranked, list(jobs), list(waiting), first.because)
    return list(merged.values())


def _is_consequence(group: Group, shown: Sequence[Group]) -> bool:
    """Whether the failed job that this one waits for is shown as well: the cause and the steps are that one's."""
    blocker = group.because.scene.job if group.because else None
    others = [(job.id, job.name) for other in shown if other is not group and (job := other.scene.job)]
    return blocker is not None and (blocker.id, blocker.name) in others


def compose_knowledge(scenes: Sequence[Scene], routing: Routing) -> DiagnosisDraft | None:
    """The answer to a question about how something works: the catalogue, then the knowledge base's passages."""
    scene = scenes[0]
    codes = (*routing.entities.codes, *find_program_codes(scene.question))
    matches = [(code, entry) for code in codes if (entry := find_code(code)) is not None]
    matches += [(entry.key, entry) for entry in _states_in(scene.question)]
    matches += [
        (f"RC {code}", entry) for code in routing.entities.return_codes if (entry := find_return_code(code)) is not None
    ]
    texts = [explained(code, entry) for code, entry in matches]
    if not matches and (pasted := scene.pasted) is not None:
        matches = [(pasted.symptom.key, pasted.symptom)]
        texts = [_explained_line(scene.question, pasted)]
    passages = scene.passages
    if known := [code for code, _ in matches]:
        passages = [item for item in passages if _is_about(item, known, routing.entities.return_codes)]
    pages: dict[str, Evidence] = {}
    for item in passages:
        pages.setdefault(item.where.partition("#")[0], item)
    best = max((item.score or 0.0 for item in pages.values()), default=0.0)
    told = [item for item in pages.values() if (item.score or 0.0) >= RELATED * best][:MAX_PASSAGES]
    claims = tuple(
        claim
        for item in told
        for claim in (
            ClaimDraft(f"“{page_title(item)}”: {one_line(plain_words(item.text))}", evidence_ids=(item.id,)),
            *(steps_in(item) if not matches and item is told[0] else ()),
        )
    )
    if matches:
        first, causes = matches[0][1], usual_causes(*(entry for _, entry in matches))
        # What a state means is told of no job in it.
        advice = AdviceSet() if is_state(first.key) else advice_of(first.category, first)
        return DiagnosisDraft(
            summary=join((*texts, causes)),
            category=first.category.value,
            confidence=0.7,
            claims=claims,
            actions=tuple(_action(item, {}) for item in (*advice.checks, *advice.fixes))[:MAX_ACTIONS],
            prevention=advice.prevention,
        )
    if routing.intent is Intent.GENERAL or (routing.is_off_topic and not routing.entities.candidates):
        return DiagnosisDraft(_HELP, confidence=0.5)
    if claims:
        title = page_title(told[0])
        closest = Message("From the knowledge base, the closest passage is “{title}”.", title=title)
        return DiagnosisDraft(closest, confidence=0.5, claims=claims)
    if any(scene.job is not None for scene in scenes):
        return None
    no_answer = Message("The knowledge base has no answer to this question.")
    return DiagnosisDraft(join((no_answer, _HELP)), confidence=0.1)


def failed_with(groups: Sequence[Group], entities: Entities) -> DiagnosisDraft | None:
    """Of a question about a code: the jobs of the plan that failed with it, and the lines that show it; else None."""
    mine = [group for group in groups if _shows_one_of(group, entities)]
    names = [job for group in mine for job in group.jobs]
    if not names:
        return None
    sentence: Text = Message(
        "In the plan {count} job failed with this code: {names}.",
        plural="In the plan {count} jobs failed with this code: {names}.",
        count=len(names),
        names=_listed(names),
    )
    # A code stands in a log, and of a long list only the first logs are read.
    jobs = {
        (job.id, job.name): job for group in groups for job in (group.scene.tws.problem_jobs if group.scene.tws else ())
    }
    unread = sum(job.status in FAILED and job.job_log is None for job in jobs.values())
    if unread and entities.codes:
        rest = Message(
            "The job log of {count} other failed job was not read.",
            plural="The job logs of {count} other failed jobs were not read.",
            count=unread,
        )
        sentence = join((sentence, rest))
    # The state, and of an abend or a message the line that shows it.
    shown = 2 if entities.codes else 1
    return DiagnosisDraft(sentence, claims=tuple(claim for group in mine for claim in _claims([group])[:shown]))


def _shows_one_of(group: Group, entities: Entities) -> bool:
    scene = group.scene
    if scene.job is None or scene.job.status not in FAILED:
        return False
    codes = set(scene.log_codes)
    # The verdict's own code may come from the question.
    if (code := group.top.facts.get("code", "")) and any(code in line for line in scene.issue_lines):
        codes.add(code)
    if scene.return_code:
        codes.add(str(scene.return_code))
    return not codes.isdisjoint((*entities.codes, *map(str, entities.return_codes)))


def _is_about(item: Evidence, codes: Iterable[str], return_codes: Iterable[int]) -> bool:
    return any(names_code(code, item.title, item.text) for code in codes) or any(
        names_return_code(code, item.title, item.text, None) for code in return_codes
    )


def compose_nothing() -> DiagnosisDraft:
    """The answer to a question about nothing of the scheduler: what can be asked."""
    return DiagnosisDraft(_HELP, confidence=0.5)


def explained(code: str, entry: Entry) -> Text:
    """A code or state with its name and meaning."""
    return Message("{code}: {name}. {meaning}", code=code, name=entry.name, meaning=entry.in_general)


def _explained_line(question: str, pasted: Sighting) -> Text:
    """A pasted line with what it means."""
    symptom, line = pasted.symptom, clean_line(pasted_part(question.splitlines()[pasted.first]))
    return Message("`{line}`: {name!l}. {meaning}", line=line, name=symptom.name, meaning=symptom.told(pasted.facts))


def usual_causes(*entries: Entry) -> Text | str:
    """The causes that the catalogue lists for these entries; empty for none."""
    causes = join((cause for entry in entries for cause in entry.causes), "; ", small=True)
    return Message("Usual causes: {causes}.", causes=causes) if causes else ""


def _states_in(question: str) -> list[Entry]:
    """States and substates that the question names as TWS writes them; ABEND stands in too many questions to be one."""
    words = dict.fromkeys(re.findall(r"\b[A-Z][A-Z_]{3,}\b", question))
    entries = [find_substate(word) if "_" in word else find_state(word) for word in words if word != "ABEND"]
    return [entry for entry in entries if entry is not None]


def _summary(group: Group) -> Text:
    """The group's cause as a sentence, hedged when it rests on little, and whom it holds."""
    top, cause = group.top, cause_sentence(group)
    # A sentence of its own states what was read.
    is_inferred = not top.sentence and top.category not in (Category.UNKNOWN, Category.APPLICATION_ERROR)
    if top.confidence < LIKELY_BELOW and is_inferred:
        cause = Message("On little evidence, most likely: {text!l}", text=cause)
    names = list({bare_name(name): name for name in (*_successors(group), *group.waiting)}.values())
    waits: Text | str = ""
    if names and top.category not in _BENIGN - {Category.UNKNOWN}:
        waits = Message(
            "It holds {count} successor: {names}.",
            plural="It holds {count} successors: {names}.",
            count=len(names),
            names=_listed(names),
        )
    because = cause_sentence(group.because) if _is_kept_waiting(group) and group.because else ""
    return join((cause, because, top.note, waits))


def _is_kept_waiting(group: Group) -> bool:
    """Whether the job upstream that this one waits for has not failed: what to do is what helps that one."""
    return group.because is not None and group.top.category is Category.WAITING_PREDECESSOR


def cause_sentence(group: Group) -> Text | str:
    """What happened to the group's jobs, in one sentence."""
    if group.top.finding:
        return _failed_because(group)
    if isinstance(group.top.sentence, Message):
        return group.top.sentence.with_facts(subject=_subject(group))
    return group.top.sentence or category_texts(group.top.category).cause.with_facts(_facts(group))


def _failed_because(group: Group) -> Text:
    job, facts, code = group.scene.job, _facts(group), group.scene.return_code
    if job is not None and job.status in EXECUTING:
        sentence = Message("{subject} still runs{lasting}{at_step}: {finding}")
    elif group.top.category is Category.WARNINGS_ONLY:
        sentence = Message("{subject} ended{at_step}{rc}: {finding}")
    elif job is not None and job.status and job.status not in FAILED:
        sentence = Message("{subject} is in {status}: {finding}")
    else:
        sentence = Message("{subject} failed{at_step}{rc}: {finding}")
    return sentence.with_facts(
        subject=facts["subject"],
        status=job.status if job else "",
        rc=f" (RC {code})" if code and not group.scene.has_abend else "",
        at_step=facts["at_step"],
        lasting=running_for(job) if job else "",
        finding=group.top.finding,
    )


def _cause_of(group: Group) -> Text | str:
    return "" if group.top.category in (Category.UNKNOWN, Category.NO_PROBLEM) else cause_sentence(group)


def _root_cause(group: Group) -> Text | str:
    if group.because is not None:
        return join(dict.fromkeys((cause_sentence(group.because), _root_cause(group.because))))
    entry = group.top.entry
    if group.top.finding:
        return cause_sentence(group)
    if entry is None or group.top.category in _BENIGN:
        return ""
    key = group.top.facts.get("code", entry.key) if entry.key == "U????" else entry.key
    key = f"RC {key}" if key.lstrip("-").isdigit() else key
    return join((explained(key, entry), usual_causes(entry)))


def _facts(group: Group) -> dict[str, Text | str]:
    """Every value that a category's sentence may name; an optional clause has its own leading space or is empty."""
    scene, facts = group.scene, group.top.facts
    rc, code, station = facts.get("rc", ""), facts.get("code", ""), _station(group)
    has_abend = is_abend(code)

    def with_fact(name: str, template: str) -> str:
        value = facts.get(name, "")
        return template.format(value) if value else ""

    return {
        "subject": _subject(group),
        "for_subject": Message(" of {name}", name=_listed(group.jobs)) if group.jobs else "",
        "at_step": at_step(facts.get("step", "") or scene.step),
        "code": code or (f"RC {rc}" if rc else "?"),
        # A message id may mean the same as an abend, and is none.
        "abend": f"ABEND {code}" if has_abend else code or "?",
        "code_note": f" (ABEND {code})" if has_abend else "",
        "rc": rc or code or "?",
        "dataset": with_fact("dataset", " {}"),
        "user": with_fact("user", " “{}”"),
        "file": with_fact("file", " “{}”"),
        "workstation_name": f" {station}" if station else "",
        "predecessor": with_fact("predecessor", " {}"),
        "predecessor_rc": with_fact("predecessor_rc", " (RC {})"),
        "condition": with_fact("condition", " ({})"),
        "priority": with_fact("priority", " ({})"),
        "detail": with_fact("detail", ": {}"),
        "aside": group.top.aside,
    }


def _names(group: Group) -> dict[str, str]:
    """Every name that a command of the advice may hold; one that is not known is empty."""
    job, alone = group.scene.job, group.jobs[0] if len(group.jobs) == 1 else ""
    return {
        "job": qualified(job, alone) if alone else "",
        "job_name": bare_name(alone),
        "user_name": job.logon_user if job else "",
        "workstation": qualified_station(group.scene, _station(group)),
        "predecessor_job": group.top.facts.get("predecessor_job", ""),
    }


def _station(group: Group) -> str:
    return group.top.workstation or (group.scene.job.workstation if group.scene.job else "")


def _subject(group: Group) -> Text:
    if stream := group.top.facts.get("stream"):
        return Message("Job stream {stream}", stream=stream)
    if not group.jobs:
        return Message("The job")
    if len(group.jobs) == 1:
        return Message("Job {job}", job=group.jobs[0])
    return Message(
        "The group of {count} job ({jobs})",
        plural="The group of {count} jobs ({jobs})",
        count=len(group.jobs),
        jobs=_listed(group.jobs),
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, +{len(names) - _NAMES_SHOWN}" if len(names) > _NAMES_SHOWN else shown


def _successors(group: Group) -> list[str]:
    job = group.scene.job
    if job is None or len(group.jobs) > 1:
        return []
    return [item.name for item in job.successors if item.status not in (*SUCCEEDED, *RUNNING, *CANCELLED)]


def _claims(groups: Sequence[Group]) -> tuple[ClaimDraft, ...]:
    """Every claim that cites something, the deciding ones first, none twice."""
    claims: dict[Text | str, ClaimDraft] = {}
    # In turn, so that with many jobs each has its first claim before one has its last.
    for turn in zip_longest(*((*_state_claims(group), *group.top.claims) for group in groups)):
        for claim in turn:
            if claim is not None and claim.evidence_ids:
                claims.setdefault(claim.text, claim)
    # What is known of the job stands before what a page says of such cases.
    return tuple(sorted(claims.values(), key=is_of_a_page))[:MAX_CLAIMS]


def is_of_a_page(claim: ClaimDraft) -> bool:
    """Whether a claim is from the knowledge base."""
    return any(item.startswith("rag_search:") for item in claim.evidence_ids)


def _state_claims(group: Group) -> Iterable[ClaimDraft]:
    job, scene = group.scene.job, group.scene
    if job is None or not job.status:
        return
    ids = state_ids(scene)
    code = scene.return_code
    if code is not None and job.return_code is None:
        ids += scene.cite("tws_status", str(code), kinds=("run",), limit=1)
    substatus = f", {job.substatus}" if job.substatus else ""
    sentence = state_sentence(job.name or scene.name, job.status, code, substatus)
    if job.status in ABENDED and scene.platform is Platform.ZOS and not scene.has_abend:
        # There an abend is something else than the state of this name.
        sentence = Message("TWS shows {job} as ended in error{rc}.", job=job.name, rc=with_code(code))
    yield ClaimDraft(sentence, tuple(ids))
    for issue in job.issues[:2]:
        cited = scene.cite_line("tws_status", issue.message)
        if cited and not is_planted(issue.message):
            yield ClaimDraft(reported(issue.message), tuple(cited))


def _hypotheses(groups: Sequence[Group]) -> Iterable[HypothesisDraft]:
    for group in groups:
        less_exact = _LESS_EXACT.get(group.top.category, ())
        others = [one for one in group.ranked[1:] if one.category not in less_exact and not _says_nothing(one)]
        for verdict in (group.top, *others[:MAX_ALTERNATIVES]):
            yield HypothesisDraft(
                category=verdict.category.value,
                title=category_texts(verdict.category).title,
                confidence=verdict.confidence,
                supports=tuple(dict.fromkeys(verdict.supports)),
                contradicts=tuple(dict.fromkeys(verdict.contradicts)),
                job=verdict.job,
            )


def _says_nothing(verdict: Verdict) -> bool:
    """Whether a verdict only repeats that the job failed, beside one that says why."""
    return verdict.category is Category.APPLICATION_ERROR and verdict.confidence < WORTH_A_WORD


def _actions(groups: Sequence[Group]) -> tuple[ActionDraft, ...]:
    """Checks before changes, over all groups, none twice; on little evidence nothing that changes anything."""
    checks: dict[Text | str, ActionDraft] = {}
    fixes: dict[Text | str, ActionDraft] = {}
    for group in groups:
        for scene in (group.scene, *((group.because.scene,) if group.because else ())):
            if (reading := _read_the_log(scene)) is not None:
                checks[reading.command or ""] = reading
        if len(groups) > 1 and group.top.category in _BENIGN:
            continue
        advice, names = _advice(group.top), _names(group)
        looking, looked_at = advice.checks, names
        if group.because is not None and group.top.category is Category.PREDECESSOR_FAILED:
            # That the predecessor must be diagnosed is done: what is left to check is its cause.
            looking, looked_at = _advice(group.because.top).checks, _names(group.because)
        # What runs, or ended well, is neither rerun nor changed on the strength of its log.
        job = group.scene.job
        likely = group.top.confidence >= LIKELY_BELOW and (job is None or job.status not in (*RUNNING, *SUCCEEDED))
        fixing = advice.fixes if likely else ()
        for items, known, actions in ((looking, looked_at, checks), (fixing, names, fixes)):
            for item in items[:3]:
                action = _action(item, known)
                # Two jobs may lead to one and the same command: it is proposed once.
                actions.setdefault(action.command or action.text, action)
    first = list(checks.values())[: max(3, MAX_ACTIONS - len(fixes))]
    return (*first, *list(fixes.values())[: MAX_ACTIONS - min(3, len(first))])


def _each_once(actions: Iterable[ActionDraft]) -> tuple[ActionDraft, ...]:
    """A command that was asked for is not proposed again."""
    once: dict[Text | str, ActionDraft] = {}
    for action in actions:
        once.setdefault(action.command or action.text, action)
    return tuple(once.values())


def _read_the_log(scene: Scene) -> ActionDraft | None:
    """Of a failed job whose log could not be read, the command that shows it."""
    job = scene.job
    if job is None or job.status not in FAILED or not job.job_log_error:
        return None
    text = Message("Read the job log of {job}, which could not be read for this answer.", job=job.name)
    return ActionDraft(text, command=f"conman sj {qualified(job, job.name)};stdlist")


def _advice(verdict: Verdict) -> AdviceSet:
    return advice_of(verdict.category, verdict.entry)


def _action(item: Advice, names: dict[str, str]) -> ActionDraft:
    return ActionDraft(item.text, item.risk, item.command_with(names), item.mutates)
