"""Composes verdicts into a draft diagnosis: summary, cause, claims, steps and prevention."""

import re
from collections.abc import Callable, Iterable, Sequence
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
from orchestrator.codes.patterns import find_program_codes
from orchestrator.codes.states import ABENDED, FAILED, RUNNING, SUCCEEDED, is_state
from orchestrator.diagnosis.commands import is_mutating_command, mark_commands, proposal
from orchestrator.diagnosis.draft import ActionDraft, ClaimDraft, DiagnosisDraft, GroupDraft, HypothesisDraft, JobDraft
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.rules.codes import state_ids
from orchestrator.diagnosis.rules.corroborate import page_title, steps_in
from orchestrator.diagnosis.rules.groups import (
    BENIGN,
    FINE,
    LIKELY_BELOW,
    UNDER_WAY,
    Group,
    cause_of,
    consequences,
    explained,
    group_summary,
    group_title,
    is_kept_waiting,
    listed,
    merge_alike,
    names_of,
    root_cause,
    told,
    told_apart,
    usual_causes,
)
from orchestrator.diagnosis.rules.scene import Scene, clean_line, plain_words, qualified
from orchestrator.diagnosis.rules.state import state_sentence
from orchestrator.diagnosis.rules.subject import meant_of
from orchestrator.diagnosis.rules.verdict import Verdict, reported, with_code
from orchestrator.diagnosis.runbooks import names_code, names_return_code
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join
from orchestrator.joblog.codes import find_code
from orchestrator.joblog.reader import Sighting
from orchestrator.models import Entities, Evidence, Intent, Routing
from orchestrator.routing.entities import pasted_part

WORTH_A_WORD = 0.25
"""Least confidence of an alternative that has no cause."""

MAX_CLAIMS = 12
RELATED = 0.5
"""Share of the best passage's score from which on another one is told as well."""
MAX_PASSAGES = 3
"""Passages told of a question about how something works, one of each page."""
MAX_ACTIONS = 8
"""Steps of one cause."""
MAX_TOLD = 3
"""Most causes of several jobs of which each is told in the summary; of more it has their numbers."""
MAX_IN_SHORT = 10
"""Causes that such a summary names."""
MAX_PREVENTION = 4
MAX_ALTERNATIVES = 3
_LESS_EXACT: dict[Category, frozenset[Category]] = {
    Category.LOGON_USER_UNKNOWN: frozenset({Category.LAUNCH_FAILURE}),
    Category.JOB_LIMIT_ZERO: frozenset({Category.JOB_LIMIT_REACHED}),
    Category.PREDECESSOR_FAILED: frozenset({Category.WAITING_PREDECESSOR}),
}
"""Categories of the same cause that are less exact: no alternatives to it."""
_OF_ONE_JOB = re.compile(r"\{(?:job|job_name|user_name)\}")
"""In a command: a name that each job of a group has for itself."""
_COUNTS: tuple[tuple[Callable[[Group], bool], Message], ...] = (
    (
        lambda group: group.severity == 5,
        Message("{count} job has failed.", plural="{count} jobs have failed.", count=0),
    ),
    (
        lambda group: group.severity == 4,
        Message("{count} job does not advance.", plural="{count} jobs do not advance.", count=0),
    ),
    (
        lambda group: group.severity == 3 and group.silent is None,
        Message("Of {count} job the cause is not known.", plural="Of {count} jobs the cause is not known.", count=0),
    ),
    (
        lambda group: group.silent is not None,
        Message("About {count} job TWS did not answer.", plural="About {count} jobs TWS did not answer.", count=0),
    ),
    (
        lambda group: group.severity == 2,
        Message("{count} job is not in the plan.", plural="{count} jobs are not in the plan.", count=0),
    ),
    (
        lambda group: group.severity == 1,
        Message("{count} job is under way.", plural="{count} jobs are under way.", count=0),
    ),
    (
        lambda group: group.severity == 0,
        Message("{count} job has no problem.", plural="{count} jobs have no problem.", count=0),
    ),
)
"""What is said of the jobs of many groups, by how bad these are."""
_ASK_AGAIN = Message("Ask again; if it persists, run `resync-troubleshoot doctor` to see what is down.")
_HELP = Message(
    "I can investigate TWS jobs: name the job and what happened, for example “Job BATCH001 failed with ABEND S0C7”."
)


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
    merged = told_apart(merge_alike(shown)) if several else list(shown)
    held = consequences(merged, shown)
    causes = [group for group in merged if group not in held]
    lead = max(causes or shown, key=lambda group: (group.top.category not in BENIGN, group.top.confidence))
    if len(scenes) > 1:
        sentences = [_examined(len(scenes)), *_told(merged)]
    else:
        sentences = [*map(group_summary, merged), more_problems(groups[len(shown) :])]
    root_causes = tuple(dict.fromkeys(text for group in causes if (text := root_cause(group))))
    helped = [_helped(group) for group in causes]
    advice = (_advice(group.top) for group in helped)
    numbered = enumerate(merged if several else groups, start=1)
    by_cause = tuple(_drafted(number, group, held) for number, group in numbered)
    actions = (action for item in by_cause for action in item.actions) if several else _actions(helped)
    return DiagnosisDraft(
        summary=join((*preface, *sentences)),
        root_cause=join(root_causes[:MAX_TOLD]) if root_causes or several else cause_of(lead),
        category=lead.top.category.value,
        # A summary of several jobs is as good as its weakest part.
        confidence=min(group.top.confidence for group in shown),
        claims=_claims(shown, limit=MAX_CLAIMS * len(shown)),
        hypotheses=tuple(_hypotheses(groups)),
        actions=_each_once((*requested, *actions))[: MAX_ACTIONS * len(merged)],
        prevention=tuple(dict.fromkeys(text for item in advice for text in item.prevention))[
            : MAX_PREVENTION * len(merged)
        ],
        missing_evidence=missing,
        suspicious=suspicious,
        groups=by_cause,
        jobs=tuple(job for item in by_cause for job in item.members),
    )


def _examined(count: int) -> Text:
    return Message("{count} job examined.", plural="{count} jobs examined.", count=count)


def _told(merged: Sequence[Group]) -> Iterable[Text | str]:
    """What is said of the jobs over all: the causes of a few groups in full, of more their numbers, the worst first."""
    if len(merged) <= MAX_TOLD:
        yield from map(told, merged)
        return
    for is_counted, sentence in _COUNTS:
        count = sum(len(group.jobs) for group in merged if is_counted(group))
        if count:
            yield sentence.with_facts(count=count)
    # Those of most jobs, and of what is wrong before what is not; in the order in which they are told below.
    numbered = sorted(enumerate(merged), key=lambda item: (item[1].severity <= 1, -len(item[1].jobs)))
    most = [group for _, group in sorted(numbered[:MAX_IN_SHORT], key=lambda item: item[0])]
    yield Message("By cause: {causes}.", causes=join(map(in_short, most), "; "))
    if more := [group for _, group in numbered[MAX_IN_SHORT:]]:
        yield Message(
            "Beside these {count} cause more, of {jobs} jobs.",
            plural="Beside these {count} causes more, of {jobs} jobs.",
            count=len(more),
            jobs=sum(len(group.jobs) for group in more),
        )


def in_short(group: Group) -> Text:
    """The number of a group's jobs and its cause in a few words; of one job its name."""
    title = group_title(group)
    if len(group.jobs) == 1:
        return Message("{job}: {title!l}", job=group.jobs[0], title=title)
    return Message("{count} job: {title!l}", plural="{count} jobs: {title!l}", count=len(group.jobs), title=title)


def _helped(group: Group) -> Group:
    """The group whose advice helps this one: of the job upstream that keeps it waiting."""
    return group.because if group.because and is_kept_waiting(group) else group


def _drafted(number: int, group: Group, held: Sequence[Group]) -> GroupDraft:
    """The group with its evidence and steps; one that waits for a job which is shown as well has no steps."""
    cause: Text | str = told(group)
    meaning: Text | str = ""
    actions: tuple[ActionDraft, ...] = ()
    if group.silent is not None and group.top.category is Category.UNKNOWN:
        actions = (ActionDraft(_ASK_AGAIN),)
    elif len(group.jobs) > 1 and group.top.category in FINE | UNDER_WAY:
        pass
    elif group in held:
        job = group.because.jobs[0] if group.because else ""
        cause = join((cause, Message("The steps are those for {job}.", job=job)))
    else:
        meaning = "" if group.top.finding or group.because is not None else root_cause(group)
        actions = _each_once(_actions([_helped(group)]))
    claims = _claims_of(group)
    supports = (item for part in group.parts for item in part.top.supports)
    cited = (item for claim in claims for item in claim.evidence_ids)
    return GroupDraft(
        number=number,
        category=group.top.category.value,
        title=group_title(group),
        cause=cause,
        meaning=meaning,
        confidence=group.top.confidence,
        jobs=tuple(group.jobs),
        waiting=tuple(group.waiting),
        evidence_ids=tuple(dict.fromkeys((*supports, *cited))),
        claims=claims,
        actions=actions,
        members=tuple(_member(number, part) for part in group.parts),
    )


def _member(number: int, part: Group) -> JobDraft:
    job = part.scene.job
    return JobDraft(
        # Asked about as a job, the plan may have it as a job stream of which other jobs are the problem.
        jobs=tuple(dict.fromkeys((*part.jobs, *filter(None, (part.scene.asked_as,))))),
        status=job.status if job else "",
        category=part.top.category.value,
        cause=join((*meant_of(part.scene), group_summary(part))),
        confidence=part.top.confidence,
        group=number,
        evidence_ids=tuple(dict.fromkeys(part.top.supports)),
    )


def _claims_of(group: Group) -> tuple[ClaimDraft, ...]:
    """The claims of the group's first job, then of each other the one that decided; none twice."""
    first, *others = group.parts
    claims: dict[Text | str, ClaimDraft] = {claim.text: claim for claim in _claims([first])}
    for part in others:
        own = next(
            (c for c in (*part.top.claims, *_state_claims(part)) if c.evidence_ids and not is_of_a_page(c)), None
        )
        if own is not None:
            claims.setdefault(own.text, own)
    return tuple(sorted(claims.values(), key=is_of_a_page))


def more_problems(groups: Sequence[Group]) -> Text | str:
    """The jobs of these groups, as what else is wrong in the plan; without any, nothing."""
    names = [job for group in groups for job in group.jobs]
    return Message("The plan has other problems: {names}.", names=listed(names)) if names else ""


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
            ClaimDraft(f"“{page_title(item)}”: {_passage(item, routing.language)}", evidence_ids=(item.id,)),
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
            actions=tuple(_without_names(item) for item in (*advice.checks, *advice.fixes))[:MAX_ACTIONS],
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


def _passage(item: Evidence, language: Language) -> str:
    """The text of a page on one line, with its commands marked that are not proven to look only."""
    text = one_line(plain_words(item.text))
    marked = mark_commands(text, "", language)
    # Plain words have no back-ticks, by which the page tells commands.
    is_lost = marked == text and is_mutating_command(one_line(item.text))
    return f"{text} ({proposal('medium').in_language(language)})" if is_lost else marked


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
        names=listed(names),
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


def _explained_line(question: str, pasted: Sighting) -> Text:
    """A pasted line with what it means."""
    symptom, line = pasted.symptom, clean_line(pasted_part(question.splitlines()[pasted.first]))
    return Message("`{line}`: {name!l}. {meaning}", line=line, name=symptom.name, meaning=symptom.told(pasted.facts))


def _states_in(question: str) -> list[Entry]:
    """States and substates that the question names as TWS writes them; ABEND stands in too many questions to be one."""
    words = dict.fromkeys(re.findall(r"\b[A-Z][A-Z_]{3,}\b", question))
    entries = [find_substate(word) if "_" in word else find_state(word) for word in words if word != "ABEND"]
    return [entry for entry in entries if entry is not None]


def _claims(groups: Sequence[Group], *, limit: int = MAX_CLAIMS) -> tuple[ClaimDraft, ...]:
    """Every claim that cites something, the deciding ones first, none twice."""
    claims: dict[Text | str, ClaimDraft] = {}
    # In turn, so that with many jobs each has its first claim before one has its last.
    for turn in zip_longest(*((*_state_claims(group), *group.top.claims) for group in groups)):
        for claim in turn:
            if claim is not None and claim.evidence_ids:
                claims.setdefault(claim.text, claim)
    # What is known of the job stands before what a page says of such cases.
    return tuple(sorted(claims.values(), key=is_of_a_page))[:limit]


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
        if (reading := _read_the_logs(group)) is not None:
            checks[reading.command or ""] = reading
        if len(groups) > 1 and group.top.category in BENIGN:
            continue
        advice = _advice(group.top)
        looking, looked_at = advice.checks, group
        if group.because is not None and group.top.category is Category.PREDECESSOR_FAILED:
            # That the predecessor must be diagnosed is done: what is left to check is its cause.
            looking, looked_at = _advice(group.because.top).checks, group.because
        # What runs, or ended well, is neither rerun nor changed on the strength of its log.
        job = group.scene.job
        likely = group.top.confidence >= LIKELY_BELOW and (job is None or job.status not in (*RUNNING, *SUCCEEDED))
        fixing = advice.fixes if likely else ()
        for items, of_group, actions in ((looking, looked_at, checks), (fixing, group, fixes)):
            for item in items[:3]:
                action = _action(item, of_group)
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


def _read_the_logs(group: Group) -> ActionDraft | None:
    """Of failed jobs whose logs could not be read, the command that shows the first one's."""
    scenes = [part.scene for part in (*group.parts, *((group.because,) if group.because else ()))]
    jobs = [scene.job for scene in scenes if scene.job is not None]
    unread = [job for job in jobs if job.status in FAILED and job.job_log_error]
    if not unread:
        return None
    first = unread[0]
    text: Text = Message("Read the job log of {job}, which could not be read for this answer.", job=first.name)
    if len(unread) > 1:
        text = join((text, _for_the_others(first.name, len(unread) - 1)))
    return ActionDraft(text, command=f"conman sj {qualified(first, first.name)};stdlist")


def _for_the_others(job: str, count: int) -> Text:
    return Message(
        "The command is for {job}; {count} other job of the group needs its own.",
        plural="The command is for {job}; {count} other jobs of the group need their own.",
        job=job,
        count=count,
    )


def _advice(verdict: Verdict) -> AdviceSet:
    return advice_of(verdict.category, verdict.entry)


def _action(item: Advice, group: Group) -> ActionDraft:
    """A step; its command is that of the group's first job where each has one of its own."""
    text: Text = item.text
    command = item.command_with(names_of(group))
    if command is not None and len(group.jobs) > 1 and _OF_ONE_JOB.search(item.command or ""):
        return ActionDraft(
            join((text, _for_the_others(group.jobs[0], len(group.jobs) - 1))), item.risk, command, item.mutates
        )
    return ActionDraft(text, item.risk, command, item.mutates)


def _without_names(item: Advice) -> ActionDraft:
    return ActionDraft(item.text, item.risk, item.command_with({}), item.mutates)
