"""The rules: each looks at one scene and yields what it concludes. Small on purpose, and in no order.

Confidence is the rule's own trust in its signal: about 0.9 for a state or a code that says it outright, 0.5 to 0.7 for
a general one, 0.3 for something remembered. Corroboration and caps are added in ``diagnose``.
"""

from collections.abc import Callable, Iterator
from statistics import median

from orchestrator.codes.catalogue import (
    Category,
    Entry,
    find_return_code,
    find_state,
    find_substate,
)
from orchestrator.codes.local_time import parse_moment, shown_time
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_codes_to_look_up, find_program_codes
from orchestrator.codes.states import FAILED, RUNNING, SUCCEEDED
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.rules.codes import (
    EXPLAINED,
    abend_code,
    add_line,
    known_symptoms,
    state_ids,
)
from orchestrator.diagnosis.rules.history import accepted_before, remembered
from orchestrator.diagnosis.rules.plan import (
    clean_plan,
    idle_workstation,
    limit_zero,
    not_in_plan,
    starts_nothing,
    unlinked,
    why_idle,
)
from orchestrator.diagnosis.rules.scene import Scene, clean_line, qualified
from orchestrator.diagnosis.rules.state import running_for, state_sentence
from orchestrator.diagnosis.rules.verdict import Verdict, reported
from orchestrator.i18n.message import Message, Quoted, Text, join
from orchestrator.joblog.codes import find_code
from orchestrator.joblog.symptoms import Symptom
from orchestrator.payloads import JobFacts, RelatedFacts

Rule = Callable[[Scene], Iterator[Verdict]]


_SETTLED = frozenset((*FAILED, *SUCCEEDED, *RUNNING))
"""States of a job that waits for nothing."""
_SAID_BY_THE_STATE = frozenset({Category.CANCELLED, Category.USER_INTERVENTION, Category.CONDITION_NOT_MET})
"""Causes that a state names outright (CANCL, PEND, SUPPR); HOLD and READY only mean that something is awaited."""

_NAMED_BY_THEIR_CATEGORY = frozenset(
    {"ABEND", "FAIL", "EXEC", "STARTED", "SUCC", "COMPLT", "FENCE", "CANCL", "SUPPR", "STUCK"}
)
"""States that the sentence of their category is about; it would say too much of the others, or name another one."""
_SAID_BY_OTHER_RULES = frozenset({Category.APPLICATION_ERROR, Category.LAUNCH_FAILURE, Category.COMPLETED})

SIGNAL = 0.75
"""Confidence of a return code that names a signal or a system's own error."""
UNEXPLAINED = 0.4
"""Confidence that a job failed by an error of its own, of which no more is known."""

HINT = 0.5
"""Weight below which a message only hints at a cause."""
BESIDE_A_MESSAGE = 0.2
"""The same beside a message of the log that may explain it."""

RISING_RATIO = 1.3
"""Newest elapsed time over the median of the earlier ones from which it counts as rising."""


def failed_launch(scene: Scene) -> Iterator[Verdict]:
    """A job in FAIL never ran."""
    if scene.job is not None and scene.job.status == "FAIL":
        user = scene.job.logon_user
        verdict = Verdict(
            Category.LAUNCH_FAILURE, 0.6, supports=state_ids(scene), facts={"user": user}, entry=find_state("FAIL")
        )
        # Where there is a log all the same (a JCL error), it says why.
        if not any(item.weight >= HINT for item in scene.reading.causes):
            verdict.finding = _shown_lines(scene)
        for line in scene.telling_lines[:1]:
            add_line(scene, verdict, line)
        yield verdict


def return_code(scene: Scene) -> Iterator[Verdict]:
    """A return code outside the success condition; a signal or NTSTATUS is more exact than 1 or 8."""
    job, code = scene.job, scene.return_code
    if job is None or code in (None, 0) or job.status not in FAILED or scene.has_abend:
        # On z/OS the abend is the cause, and the return code a consequence.
        return
    entry = find_return_code(code, scene.platform)
    explained = entry is not None and entry.category not in (Category.UNKNOWN, Category.APPLICATION_ERROR)
    if entry is not None and explained:
        finding: Text | str = Message("{name!l}. {meaning}", name=entry.name, meaning=entry.meaning)
        # A message that says what led to the signal is more exact than its number.
        sure = EXPLAINED if any(item.weight > EXPLAINED for item in scene.reading.causes) else SIGNAL
        yield _from_log(scene, Verdict(entry.category, sure, entry=entry, finding=finding))
        return
    # What a program or a convention calls an error gives no cause: the program's own words come before it.
    verdict = Verdict(Category.APPLICATION_ERROR, UNEXPLAINED, entry=entry, finding=unknown_message(scene))
    if scene.reading.causes and not verdict.finding:
        verdict.entry, verdict.confidence = None, BESIDE_A_MESSAGE
    elif entry is not None and not verdict.finding:
        verdict.finding = Message("{name!l}. {meaning}", name=entry.name, meaning=entry.meaning)
    yield _from_log(scene, verdict)


def failed_without_code(scene: Scene) -> Iterator[Verdict]:
    """A failed job without a return code whose log shows an error that the catalogue does not know."""
    job = scene.job
    if job is None or job.status not in FAILED or scene.return_code not in (None, 0) or scene.has_abend:
        return
    if finding := unknown_message(scene):
        yield _from_log(scene, Verdict(Category.APPLICATION_ERROR, UNEXPLAINED, finding=finding))


def unknown_message(scene: Scene) -> Text | str:
    """The line of the log that looks most like the error, when no known message explains it; empty without one."""
    explained = any(item.weight >= HINT for item in scene.reading.causes) or (
        scene.reading.causes and not scene.own_message
    )
    return "" if explained else _shown_lines(scene)


def _shown_lines(scene: Scene) -> Text | str:
    if not scene.telling_lines:
        return ""
    shown = [line for line in scene.log_lines if line in scene.telling_lines[:2]]
    lines = join((Quoted(clean_line(line)) for line in dict.fromkeys(shown)), "; ")
    if any(map(_is_in_the_catalogue, find_codes_to_look_up("\n".join(shown)))):
        # Of a known message in a form that no symptom has: only its meaning in this case is not known.
        return Message("the job log shows {lines}.", lines=lines)
    return Message("the job log shows {lines}, which the catalogue does not know.", lines=lines)


def _is_in_the_catalogue(code: str) -> bool:
    entry = find_code(code)
    return isinstance(entry, Symptom) or (entry is not None and entry.key == code)


def _from_log(scene: Scene, verdict: Verdict) -> Verdict:
    """Base a verdict on the job's state and on the lines of its log that look most like the error."""
    verdict.supports = state_ids(scene)
    verdict.facts["rc"] = "" if scene.return_code is None else str(scene.return_code)
    for line in scene.telling_lines[:3]:
        add_line(scene, verdict, line)
    return verdict


def success_condition(scene: Scene) -> Iterator[Verdict]:
    """RC other than 0 in SUCC is no failure: the job's success condition accepts it."""
    job, code = scene.job, scene.return_code
    entry = find_state(job.status) if job is not None and job.status in SUCCEEDED else None
    # SUCCP waits for an operator's confirmation: the rule on states covers it.
    if job is None or entry is None or entry.category is not Category.COMPLETED:
        return
    ids = state_ids(scene)
    if code in (None, 0):
        before = job.runs[1].status if len(job.runs) > 1 else ""
        aside: Text | str = ""
        if before in FAILED:
            aside = Message(", after its previous run ended in {status}", status=before)
        sentence = _by_the_state_alone(job)
        sure = 0.5 if sentence else 0.85
        yield Verdict(Category.COMPLETED, sure, supports=ids, entry=entry, aside=aside, sentence=sentence)
        return
    condition = job.success_condition
    verdict = Verdict(
        Category.SUCCESS_CONDITION_MET,
        0.95 if condition else 0.88,
        supports=ids,
        facts={"rc": str(code), "condition": condition},
    )
    if condition:
        text = Message("The job's success condition is {condition}; code {rc} meets it.", condition=condition, rc=code)
        verdict.claims.append(ClaimDraft(text, tuple(scene.cite("tws_status", condition) or ids)))
    yield verdict


def not_starting(scene: Scene) -> Iterator[Verdict]:
    """READY, FENCE: nothing but the workstation keeps the job from starting."""
    job, station = scene.job, scene.workstation
    if job is None or job.status not in ("READY", "FENCE", "ADD", "WAIT", "INTRO"):
        return
    name = station.name if station else job.workstation
    base = [*state_ids(scene), *scene.cite("tws_status", name, kinds=("workstation",))]
    if station is not None and station.linked is False:
        claim = ClaimDraft(unlinked(name), tuple(base[-1:]))
        # Linked again, it would still start nothing.
        note = starts_nothing(name) if station.limit == 0 else ""
        yield Verdict(Category.AGENT_UNLINKED, 0.95, supports=base, claims=[claim], workstation=name, note=note)
    if station is not None and station.limit == 0:
        claim = ClaimDraft(limit_zero(name), tuple(base[-1:]))
        # On an unlinked agent the limit is the second obstacle.
        sure = 0.95 if station.linked is not False else 0.7
        yield Verdict(Category.JOB_LIMIT_ZERO, sure, supports=base, claims=[claim], workstation=name)
    if job.priority == 0 or job.status == "FENCE" or (station and _below_fence(job, station.fence)):
        fence = station.fence if station and station.fence is not None else 0
        text = Message(
            "Priority {priority}; fence of workstation {name}: {fence}.",
            priority="?" if job.priority is None else job.priority,
            name=name,
            fence=fence if station else "?",
        )
        facts = {"priority": "" if job.priority is None else str(job.priority)}
        claim = ClaimDraft(text, tuple(base[-1:]))
        yield Verdict(Category.FENCE_PRIORITY, 0.9, supports=base, claims=[claim], workstation=name, facts=facts)


def substate(scene: Scene) -> Iterator[Verdict]:
    """The substate, which is nearly a diagnosis; else the state."""
    job = scene.job
    if job is None:
        return
    entry = find_substate(job.substatus) if job.substatus else None
    sure = 0.8
    if entry is None:
        entry = find_state(job.status)
        sure = 0.75 if entry is not None and entry.category in _SAID_BY_THE_STATE else 0.4
    detail = next((issue.message for issue in job.issues if not is_planted(issue.message)), "")
    sentence = _by_the_state_alone(job, detail) if entry is find_state(job.status) else ""
    says_nothing = entry is not None and entry.category is Category.UNKNOWN and not sentence
    if entry is None or says_nothing or entry.category in _SAID_BY_OTHER_RULES:
        return
    if job.status in RUNNING:
        sure = 0.75
    if entry.category is Category.JOB_LIMIT_REACHED:
        # READY alone does not say what is awaited.
        sure = 0.6 if job.substatus else 0.45
    yield Verdict(
        entry.category,
        sure,
        supports=state_ids(scene),
        facts={
            "detail": clean_line(detail) or (_start_of(scene) if entry.category is Category.WAITING_TIME else ""),
            "priority": "" if job.priority is None else str(job.priority),
        },
        aside=running_for(job),
        entry=entry,
        workstation=job.workstation,
        sentence=sentence,
    )


def _by_the_state_alone(job: JobFacts, issue: str = "") -> Text | str:
    """What the state itself says, where the sentence of its category would say more, or name another state."""
    entry = find_state(job.status)
    if entry is None or entry.key in _NAMED_BY_THEIR_CATEGORY:
        return ""
    meaning = join((entry.meaning, reported(issue) if issue else ""))
    return Message("{subject} is in {status}: {meaning!l}", subject="", status=job.status, meaning=meaning)


def unsatisfied_dependencies(scene: Scene) -> Iterator[Verdict]:
    """What a job in HOLD waits for, by name."""
    job = scene.job
    if job is None or job.status in _SETTLED:
        return
    kinds = {"file": Category.WAITING_FILE, "resource": Category.WAITING_RESOURCE, "prompt": Category.WAITING_PROMPT}
    for item in (related for related in job.predecessors if related.satisfied is False):
        ids = scene.cite("tws_status", item.name, kinds=("predecessor",)) or scene.cite("tws_status", item.name)
        text = Message("Unsatisfied dependency: {name}{status}.", name=item.name, status=_status_of(item))
        claim = ClaimDraft(text, tuple(ids))
        failed = item.status in FAILED or (item.status == "STUCK" and scene.holder is None)
        category = kinds.get(item.kind) or (Category.PREDECESSOR_FAILED if failed else Category.WAITING_PREDECESSOR)
        # A predecessor that is READY waits in its turn for a workstation that may start nothing.
        is_ready = item.status == "READY" and "#" in item.name and scene.holder is None
        idle = why_idle(scene, item.name.partition("#")[0]) if is_ready else None
        yield Verdict(
            category,
            {Category.WAITING_PREDECESSOR: 0.78, Category.PREDECESSOR_FAILED: 0.93}.get(category, 0.94),
            supports=[*state_ids(scene), *ids],
            facts={"file": item.name, "detail": item.name, **_predecessor_facts(item)},
            claims=[claim, idle.claim] if idle else [claim],
            note=idle.sentence if idle else "",
        )


def before_its_time(scene: Scene) -> Iterator[Verdict]:
    """A job in HOLD whose start time has not come, by the server's clock."""
    job, tws = scene.job, scene.tws
    if job is None or tws is None or job.status != "HOLD":
        return
    start, now = parse_moment(job.start_at), parse_moment(tws.asked_at)
    if start is not None and now is not None and start > now:
        yield Verdict(Category.WAITING_TIME, 0.75, supports=state_ids(scene), facts={"detail": _start_of(scene)})


def _start_of(scene: Scene) -> str:
    job = scene.job
    start = job.start_at or job.scheduled_at if job else None
    return shown_time(start, scene.tws.time_zone if scene.tws else "")


def held_upstream(scene: Scene) -> Iterator[Verdict]:
    """A waiting job, and the one upstream that holds it; why that one does not end is its own verdict."""
    job, holder = scene.job, scene.holder
    if job is None or holder is None or scene.tws is None or job.status in _SETTLED:
        return
    ids = scene.cite("tws_status", holder.name, kinds=("problem_job",), limit=1)
    has_failed = holder.status in FAILED
    name = qualified(holder, holder.name)
    between = ", ".join(name for name in scene.tws.between if name != job.name)
    yield Verdict(
        Category.PREDECESSOR_FAILED if has_failed else Category.WAITING_PREDECESSOR,
        0.9,
        supports=[*state_ids(scene), *ids],
        facts={
            "predecessor": holder.name,
            "predecessor_job": name,
            "predecessor_rc": "" if holder.return_code is None else str(holder.return_code),
        },
        claims=[ClaimDraft(state_sentence(holder.name, holder.status, holder.return_code), tuple(ids))],
        sentence=""
        if has_failed
        else Message("Job {job} waits for {holder}, which has not ended.", job=job.name, holder=name),
        note=Message("Between them wait: {names}.", names=between) if between else "",
    )


def held_by_a_failed_job(scene: Scene) -> Iterator[Verdict]:
    """A waiting job of the plan's problems that another problem job, which failed, names as its successor."""
    job = scene.job
    if job is None or scene.tws is None or job.status in _SETTLED:
        return
    for problem in scene.tws.problem_jobs:
        holds = any(bare_name(item.name) == job.name for item in problem.successors)
        names_it = any(problem.name in issue.message for issue in job.issues)
        if problem.status in FAILED and problem.name != job.name and (holds or names_it):
            code = "" if problem.return_code is None else str(problem.return_code)
            facts = {
                "predecessor": problem.name,
                "predecessor_job": qualified(problem, problem.name),
                "predecessor_rc": code,
            }
            ids = scene.cite("tws_status", problem.name, kinds=("problem_job",), limit=1)
            yield Verdict(
                Category.PREDECESSOR_FAILED,
                0.9,
                supports=[*state_ids(scene), *ids],
                facts=facts,
            )


def code_of_the_question(scene: Scene) -> Iterator[Verdict]:
    """The user names a code and nothing else confirms it."""
    codes = (*scene.entities.codes, *find_program_codes(scene.question))
    known = [(code, find_code(code)) for code in codes if code not in scene.log_codes]
    numbers = (number for number in scene.entities.return_codes if number and number != scene.return_code)
    known += [(str(number), find_return_code(number)) for number in numbers]
    for code, entry in known:
        if entry is not None and entry.explains_failure:
            yield _from_question(scene, entry, code)


RULES: tuple[Rule, ...] = (
    known_symptoms,
    abend_code,
    failed_launch,
    return_code,
    failed_without_code,
    success_condition,
    not_starting,
    substate,
    before_its_time,
    unsatisfied_dependencies,
    held_upstream,
    held_by_a_failed_job,
    not_in_plan,
    idle_workstation,
    clean_plan,
    remembered,
    accepted_before,
    code_of_the_question,
)


def elapsed_ratio(scene: Scene) -> float | None:
    """Newest elapsed time over the median of the earlier ones: the cache's figure, else from the runs in the plan."""
    if scene.log is not None and scene.log.elapsed_trend_ratio is not None:
        return scene.log.elapsed_trend_ratio
    times = [run.elapsed_seconds for run in (scene.job.runs if scene.job else ()) if run.elapsed_seconds]
    if len(times) < 2 and scene.log is not None:
        times += [item.elapsed_seconds for item in scene.log.history if item.elapsed_seconds]
    return times[0] / median(times[1:]) if len(times) >= 3 else None


def _from_question(scene: Scene, entry: Entry, code: str) -> Verdict:
    # TWS answered and shows something else: the user's code is then the weaker word.
    sure = 0.45 if scene.job is None else 0.3
    return Verdict(entry.category, sure, facts={"code": code, "rc": code, "step": scene.question_step}, entry=entry)


def _below_fence(job: JobFacts, fence: int | None) -> bool:
    return bool(fence) and job.priority is not None and job.priority <= (fence or 0)


def _status_of(item: RelatedFacts) -> str:
    parts = [item.status, f"RC {item.return_code}" if item.return_code else "", item.detail]
    text = ", ".join(part for part in parts if part)
    return f" ({text})" if text else ""


def _predecessor_facts(item: RelatedFacts) -> dict[str, str]:
    rc = "" if item.return_code is None else str(item.return_code)
    job = item.name if item.kind == "job" else ""
    return {"predecessor": item.name, "predecessor_job": job, "predecessor_rc": rc}
