"""Findings told as a ``Diagnosis``: summary, cause, claims, steps and prevention in the user's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from orchestrator.codes.catalogue import (
    Advice,
    Category,
    Entry,
    advice_of,
    category_texts,
    find_code,
    find_program_code,
    find_return_code,
    find_state,
    find_substate,
)
from orchestrator.codes.patterns import find_abends, find_program_codes
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.rules.scene import Finding, Scene, clean_line, plain_words, qualified, short_name
from orchestrator.i18n.sentences import say, say_count
from orchestrator.models import Action, Claim, Diagnosis, Hypothesis, Intent, Routing

LIKELY_BELOW = 0.5
"""Below this confidence the summary says that it rests on little."""

MAX_CLAIMS = 12
MAX_ACTIONS = 8
MAX_PREVENTION = 4
MAX_ALTERNATIVES = 3
_NAMES_SHOWN = 5
_BENIGN = frozenset(
    {
        Category.COMPLETED,
        Category.RUNNING,
        Category.SUCCESS_CONDITION_MET,
        Category.NO_PROBLEM,
        Category.UNKNOWN,
    }
)
"""Conclusions that are no failure: they do not lead when another job has one."""
_LESS_EXACT: dict[Category, frozenset[Category]] = {
    Category.LOGON_USER_UNKNOWN: frozenset({Category.LAUNCH_FAILURE}),
    Category.JOB_LIMIT_ZERO: frozenset({Category.JOB_LIMIT_REACHED}),
    Category.PREDECESSOR_FAILED: frozenset({Category.WAITING_PREDECESSOR}),
}
"""The same cause in words that say less is no alternative to it."""


@dataclass(slots=True)
class Group:
    """Jobs with one and the same conclusion; ``held`` are those that only wait for them."""

    scene: Scene
    ranked: list[Finding]
    jobs: list[str]
    held: list[str] = field(default_factory=list)
    because: Group | None = None
    """Why the job failed that holds these: the cause behind the cause."""

    @property
    def top(self) -> Finding:
        """The leading conclusion."""
        return self.ranked[0]


def tell(
    groups: Sequence[Group],
    scenes: Sequence[Scene],
    *,
    missing: tuple[str, ...],
    suspicious: tuple[str, ...],
    preface: tuple[str, ...] = (),
    requested: tuple[Action, ...] = (),
) -> Diagnosis:
    """One diagnosis of all groups; the first leads unless the question named several jobs."""
    language = scenes[0].language
    several = len(scenes) > 1
    told = groups if several else groups[:1]
    lead = max(told, key=lambda group: (group.top.category not in _BENIGN, group.top.confidence))
    alike = _alike(told) if several else list(told)
    causes = [group for group in alike if not _is_consequence(group, told)]
    sentences = [_told(group) for group in alike]
    if several:
        sentences.insert(0, say(language, "several", count=len(scenes)))
    elif len(groups) > 1:
        sentences.append(more_problems(groups[1:]))
    return Diagnosis(
        summary=" ".join((*preface, *sentences)),
        root_cause=" ".join(dict.fromkeys(filter(None, map(_root_cause, causes))))
        or ("" if several else _cause_of(lead)),
        category=lead.top.category.value,
        # A summary of several jobs is as good as its weakest part.
        confidence=min(group.top.confidence for group in told),
        claims=_claims(told),
        hypotheses=tuple(_hypotheses(groups)),
        actions=(*requested, *_actions(causes))[:MAX_ACTIONS],
        prevention=tuple(
            dict.fromkeys(
                text.in_language(language)
                for group in causes
                for text in advice_of(group.top.category, group.top.entry).prevention
            )
        )[:MAX_PREVENTION],
        missing_evidence=missing,
        suspicious=suspicious,
    )


def more_problems(groups: Sequence[Group]) -> str:
    """The jobs of these groups, as what else is wrong in the plan; without any, nothing."""
    names = [job for group in groups for job in group.jobs]
    return say(groups[0].scene.language, "more_problems", names=_listed(names)) if names else ""


def _alike(groups: Sequence[Group]) -> list[Group]:
    """Named jobs that ended for one and the same reason, told together."""
    told: dict[tuple[str, ...], Group] = {}
    for group in groups:
        facts = group.top.facts
        key = (
            group.top.category.value,
            *(facts.get(name, "") for name in ("code", "rc", "step", "predecessor", "file")),
        )
        if key in told:
            first = told[key]
            # One job may be found twice: by its name, and in a stream that was asked about.
            jobs, held = dict.fromkeys((*first.jobs, *group.jobs)), dict.fromkeys((*first.held, *group.held))
            told[key] = Group(first.scene, first.ranked, list(jobs), list(held), first.because)
        else:
            told[key] = group
    return list(told.values())


def _is_consequence(group: Group, told: Sequence[Group]) -> bool:
    """Whether the failed job that this one waits for is told as well: the cause and the steps are that one's."""
    blocker = group.because.scene.job if group.because else None
    others = [(job.id, job.name) for other in told if other is not group and (job := other.scene.job)]
    return blocker is not None and (blocker.id, blocker.name) in others


def tell_knowledge(scenes: Sequence[Scene], routing: Routing) -> Diagnosis | None:
    """The answer to a question about how something works: the catalogue, then the knowledge base's passages."""
    language, scene = routing.language, scenes[0]
    found = [(code, entry) for code in routing.entities.codes if (entry := find_code(code)) is not None]
    found += [
        (code, entry) for code in find_program_codes(scene.question) if (entry := find_program_code(code)) is not None
    ]
    found += [(entry.key, entry) for entry in _states_in(scene.question)]
    found += [
        (f"RC {code}", entry) for code in routing.entities.return_codes if (entry := find_return_code(code)) is not None
    ]
    passages = [item for item in scene.evidence if item.source == "rag_search" and not is_planted(item.text)]
    claims = tuple(
        Claim(
            text=say(language, "passage", title=plain_words(item.title), text=_excerpt(item.text)),
            evidence_ids=(item.id,),
        )
        for item in passages[:3]
    )
    if found:
        summary = " ".join(
            say(
                language,
                "explains",
                code=code,
                name=entry.name.in_language(language),
                meaning=entry.meaning.in_language(language),
            )
            for code, entry in found
        )
        advice = advice_of(found[0][1].category, found[0][1])
        return Diagnosis(
            summary=summary,
            root_cause=say(
                language,
                "usual_causes",
                causes=_joined(cause.in_language(language) for _, entry in found for cause in entry.causes),
            ),
            category=found[0][1].category.value,
            confidence=0.7,
            claims=claims,
            actions=tuple(item.as_action(language, {}) for item in (*advice.checks, *advice.fixes))[:MAX_ACTIONS],
            prevention=tuple(text.in_language(language) for text in advice.prevention),
        )
    if routing.intent is Intent.GENERAL:
        return Diagnosis(summary=say(language, "help"), confidence=0.5)
    if claims:
        summary = say(language, "knowledge", title=plain_words(passages[0].title))
        return Diagnosis(summary=summary, confidence=0.5, claims=claims)
    if any(scene.job is not None for scene in scenes):
        return None
    return Diagnosis(summary=f"{say(language, 'no_knowledge')} {say(language, 'help')}", confidence=0.1)


def _states_in(question: str) -> list[Entry]:
    """States and substates that the question names as TWS writes them; ABEND stands in too many questions to be one."""
    words = dict.fromkeys(re.findall(r"\b[A-Z][A-Z_]{3,}\b", question))
    found = [find_substate(word) if "_" in word else find_state(word) for word in words if word != "ABEND"]
    return [entry for entry in found if entry is not None]


def _told(group: Group) -> str:
    """The group's cause as a sentence, hedged when it rests on little, and whom it holds."""
    language, top = group.scene.language, group.top
    cause = _cause(group)
    if top.confidence < LIKELY_BELOW and top.category is not Category.UNKNOWN:
        cause = say(language, "likely", text=cause[:1].lower() + cause[1:])
    if top.note:
        cause = f"{cause} {top.note}"
    held = list({short_name(name): name for name in (*_successors(group), *group.held)}.values())
    if held and top.category not in (Category.COMPLETED, Category.SUCCESS_CONDITION_MET, Category.RUNNING):
        cause = f"{cause} {say_count(language, 'holds_successors', len(held), names=_listed(held))}"
    return cause


def _cause(group: Group) -> str:
    return group.top.told or category_texts(group.top.category).cause.in_language(group.scene.language).format_map(
        _facts(group)
    )


def _cause_of(group: Group) -> str:
    return "" if group.top.category in (Category.UNKNOWN, Category.NO_PROBLEM) else _cause(group)


def _root_cause(group: Group) -> str:
    if group.because is not None:
        return " ".join(filter(None, (_cause(group.because), _root_cause(group.because))))
    entry = group.top.entry
    if entry is None or group.top.category in _BENIGN:
        return ""
    causes = _joined(cause.in_language(group.scene.language) for cause in entry.causes)
    key = group.top.facts.get("code", entry.key) if entry.key == "U????" else entry.key
    key = f"RC {key}" if key.lstrip("-").isdigit() else key
    meaning = say(
        group.scene.language,
        "explains",
        code=key,
        name=entry.name.in_language(group.scene.language),
        meaning=entry.meaning.in_language(group.scene.language),
    )
    return f"{meaning} {say(group.scene.language, 'usual_causes', causes=causes)}"


def _facts(group: Group) -> dict[str, str]:
    """Every value that a category's sentence may name, each with its own leading space or empty."""
    scene, facts, language = group.scene, group.top.facts, group.scene.language
    station = group.top.workstation or (scene.job.workstation if scene.job else "")

    def with_name(key: str, value: str) -> str:
        return say(language, key, name=value) if value else ""

    step = facts.get("step", "") or scene.step
    rc, code = facts.get("rc", ""), facts.get("code", "")
    condition, priority, detail = facts.get("condition", ""), facts.get("priority", ""), facts.get("detail", "")
    predecessor_rc = facts.get("predecessor_rc", "")
    return {
        "subject": _subject(group),
        "for_subject": say(language, "for_subject", job=_listed(group.jobs)) if group.jobs else "",
        "job": qualified(scene.job, group.jobs[0]) if len(group.jobs) == 1 else "",
        "job_name": short_name(group.jobs[0]) if len(group.jobs) == 1 else "",
        "at_step": say(language, "at_step", step=step) if step else "",
        "code": code or (f"RC {rc}" if rc else "?"),
        # A message id may say the same as an abend, and is none.
        "abend": f"ABEND {code}" if find_abends(f" {code} ") else code or "?",
        "code_note": say(language, "with_code", code=code) if find_abends(f" {code} ") else "",
        "rc": rc or code or "?",
        "dataset": with_name("named", facts.get("dataset", "")),
        "user_name": scene.job.logon_user if scene.job else "",
        "user": with_name("quoted", facts.get("user", "")),
        "file": with_name("quoted", facts.get("file", "")),
        "workstation": station,
        "workstation_name": with_name("named", station),
        "predecessor": with_name("named", facts.get("predecessor", "")),
        "predecessor_job": facts.get("predecessor_job", ""),
        "predecessor_rc": say(language, "with_rc", rc=predecessor_rc) if predecessor_rc else "",
        "condition": say(language, "condition", condition=condition) if condition else "",
        "priority": say(language, "priority", priority=priority) if priority else "",
        "detail": say(language, "detail", text=detail) if detail else "",
        "aside": facts.get("aside", ""),
        "among": facts.get("among", ""),
    }  # fmt: skip


def _subject(group: Group) -> str:
    language = group.scene.language
    if stream := group.top.facts.get("stream"):
        return say(language, "subject_stream", stream=stream)
    if len(group.jobs) > 1:
        return say(language, "subject_jobs", count=len(group.jobs), jobs=_listed(group.jobs))
    return say(language, "subject_job", job=group.jobs[0]) if group.jobs else say(language, "subject_none")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, +{len(names) - _NAMES_SHOWN}" if len(names) > _NAMES_SHOWN else shown


def _successors(group: Group) -> list[str]:
    job = group.scene.job
    if job is None or len(group.jobs) > 1:
        return []
    return [item.name for item in job.successors if item.status not in ("SUCC", "EXEC", "CANCL")]


def _claims(groups: Sequence[Group]) -> tuple[Claim, ...]:
    """Every claim that cites something, the deciding ones first; none is told twice."""
    claims: dict[str, Claim] = {}
    # In turn, so that with many jobs each has its first claim before one has its last.
    for turn in zip_longest(*((*_state_claim(group), *group.top.claims) for group in groups)):
        for claim in turn:
            if claim is not None and claim.evidence_ids:
                claims.setdefault(claim.text, claim)
    return tuple(claims.values())[:MAX_CLAIMS]


def _state_claim(group: Group) -> Iterable[Claim]:
    job, scene = group.scene.job, group.scene
    if job is None or not job.status:
        return
    ids = scene.cite("tws_status", job.name, kinds=("job", "problem_job"), limit=1) or scene.cite("tws_status", limit=1)
    code = scene.return_code
    if code is not None and job.return_code is None:
        ids += scene.cite("tws_status", str(code), kinds=("run",), limit=1)
    text = say(
        scene.language,
        "state",
        job=job.name or scene.name,
        status=job.status,
        rc=say(scene.language, "with_rc", rc=code) if code is not None else "",
        substatus=f", {job.substatus}" if job.substatus else "",
    )
    yield Claim(text=text, evidence_ids=tuple(ids))
    for issue in job.issues[:2]:
        cited = scene.cite_line("tws_status", issue.message)
        if cited and not is_planted(issue.message):
            yield Claim(text=say(scene.language, "issue", text=clean_line(issue.message)), evidence_ids=tuple(cited))


def _hypotheses(groups: Sequence[Group]) -> Iterable[Hypothesis]:
    for group in groups:
        others = [one for one in group.ranked[1:] if one.category not in _LESS_EXACT.get(group.top.category, ())]
        for finding in (group.top, *others[:MAX_ALTERNATIVES]):
            yield Hypothesis(
                category=finding.category.value,
                title=category_texts(finding.category).title.in_language(group.scene.language),
                confidence=finding.confidence,
                supports=tuple(dict.fromkeys(finding.supports)),
                contradicts=tuple(dict.fromkeys(finding.contradicts)),
                job=finding.job,
            )


def _actions(groups: Sequence[Group]) -> tuple[Action, ...]:
    """Checks before changes, over all groups, none twice; on little evidence nothing that changes anything."""
    checks: dict[str, Action] = {}
    fixes: dict[str, Action] = {}
    for group in groups:
        if len(groups) > 1 and group.top.category in _BENIGN:
            continue
        advice = advice_of(group.top.category, group.top.entry)
        facts = _facts(group)
        for item in advice.checks[:3]:
            checks.setdefault(*_named(item, group, facts))
        if group.top.confidence >= LIKELY_BELOW:
            for item in advice.fixes[:3]:
                fixes.setdefault(*_named(item, group, facts))
    kept_checks = list(checks.values())[: max(3, MAX_ACTIONS - len(fixes))]
    return (*kept_checks, *list(fixes.values())[: MAX_ACTIONS - min(3, len(kept_checks))])


def _named(item: Advice, group: Group, facts: dict[str, str]) -> tuple[str, Action]:
    action = item.as_action(group.scene.language, facts)
    # Two jobs may lead to one and the same command: it is proposed once.
    return action.command or action.text, action


def _joined(texts: Iterable[str]) -> str:
    """Sentences as a list inside one sentence; a first word in capitals keeps them."""
    return "; ".join(text[:1].lower() + text[1:] if text[1:2].islower() or text[:2] == "A " else text for text in texts)


def _excerpt(text: str) -> str:
    line = plain_words(text)
    return line if len(line) <= 200 else f"{line[:199]}…"
