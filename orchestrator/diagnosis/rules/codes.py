"""The rules on what the log of a job says: known messages, and abend codes."""

from collections.abc import Iterator

from orchestrator.codes.catalogue import Category, Entry, find_abend
from orchestrator.codes.patterns import find_codes, find_program_codes, find_reported_abends, is_abend
from orchestrator.codes.states import FAILED, RUNNING, STATE_NAMES, SUCCEEDED
from orchestrator.codes.steps import step_of
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.rules.log_lines import decisive_line, full_dataset, growth_line, is_of_an_earlier_step
from orchestrator.diagnosis.rules.scene import Scene, clean_line
from orchestrator.diagnosis.rules.verdict import Verdict, at_step, reported
from orchestrator.i18n.message import Message, Text
from orchestrator.joblog.codes import find_code
from orchestrator.joblog.reader import CLUSTER_LINES, Reading, Sighting, read_log
from orchestrator.joblog.symptoms import Symptom

REPEATED = 20
"""Times from which on a line is said to repeat."""

BESIDE_ITS_OWN_WORDS = 0.3
"""Confidence of a mere hint beside a line in which the program names the return code of the run."""
EXPLAINED = 0.7
"""Confidence of an abend code beside a message that says what led to it."""

EARLIER_STEP = 0.45
"""A code of a step that the job went on after: it was tolerated, and is at most a hint."""


_WAITS = frozenset({Category.DATASET_IN_USE, Category.DATABASE_LOCK, Category.WAITING_RESOURCE})
"""What a job that still runs may wait for."""
MAX_SYMPTOMS = 4
RIVALS = 0.15
"""Taken off a cause beside which the log shows another one of the same weight."""


def known_symptoms(scene: Scene) -> Iterator[Verdict]:
    """What the messages of the job log mean, or those in the plan's issues of a job without a log."""
    job = scene.job
    if job is None or job.status in SUCCEEDED:
        return
    # The log of a job that waits, or was cancelled, is of an earlier run: why it does not run stands elsewhere.
    is_of_this_run = job.status in (*FAILED, *RUNNING) or job.status not in STATE_NAMES
    readings = [scene.reading] if is_of_this_run else []
    if scene.issue_lines:
        readings.append(read_log(scene.issue_lines, return_code=scene.return_code, platform=scene.reading.platform))
    for reading in readings:
        causes = [
            item
            for item in reading.causes
            if not is_planted(reading.raw[item.first])
            and (job.status not in RUNNING or item.symptom.category in _WAITS)
        ][:MAX_SYMPTOMS]
        rivals = {item.symptom.category for item in causes if item.weight == causes[0].weight}
        for item in causes:
            verdict = _from_symptom(scene, reading, item)
            if len(rivals) > 1:
                verdict.confidence -= RIVALS
            if _is_tolerated(scene, reading.raw[item.first]):
                verdict.confidence = min(verdict.confidence, EARLIER_STEP)
            if item.weight < EARLIER_STEP + 0.01 and scene.own_message not in ("", reading.raw[item.first]):
                verdict.confidence = min(verdict.confidence, BESIDE_ITS_OWN_WORDS)
            yield verdict


def _from_symptom(scene: Scene, reading: Reading, item: Sighting) -> Verdict:
    symptom = item.symptom
    step = next((name for line in reading.lines[item.first : item.last + 1] if (name := step_of(line))), "")
    verdict = Verdict(
        symptom.category,
        item.weight,
        supports=state_ids(scene),
        facts={
            "code": _code_of(scene, symptom),
            "rc": "" if scene.return_code is None else str(scene.return_code),
            "step": step or scene.step,
        },
        entry=symptom,
        finding=Message("{name!l}. {meaning}", name=symptom.name, meaning=symptom.told(item.facts)),
    )
    for index in reading.shown_of(item):
        add_line(scene, verdict, reading.raw[index])
    if reading.raw[item.first] not in scene.log_lines:
        return verdict
    seen = item.count if scene.has_whole_log else 1
    if (count := max(seen, scene.repeats_of(reading.raw[item.first]))) > REPEATED:
        verdict.note = Message("The log repeats this line ({count} x).", count=count)
    if item.weight > 0:
        # What the error's form shows beside the known message: often the program's own words on it.
        for line in scene.telling_lines[:3]:
            if line not in reading.raw[item.first : item.last + 1]:
                add_line(scene, verdict, line)
    return verdict


def _is_explained(scene: Scene, code: str) -> bool:
    """Whether a message just before an abend, or one that names it, says more than the code does."""
    lines = scene.reading.lines
    digits = code[1:]
    ends = [i for i, line in enumerate(lines) if digits in line.upper() and code in find_reported_abends(line)]
    return any(
        item.weight >= EXPLAINED
        and any(0 <= end - item.first <= CLUSTER_LINES for end in ends)
        and not _is_tolerated(scene, scene.reading.raw[item.first])
        for item in scene.reading.causes
    )


def _code_of(scene: Scene, symptom: Symptom) -> str:
    """The code by which history and knowledge know the cause: the abend of the same kind, else the message's own id."""
    for code in filter(is_abend, scene.log_codes):
        entry = find_abend(code)
        if entry is not None and entry.key == code and entry.category is symptom.category:
            return code
    return symptom.key if find_codes(symptom.key) or find_program_codes(symptom.key) else ""


def abend_code(scene: Scene) -> Iterator[Verdict]:
    """An abend code in the job log of a job that failed."""
    if scene.job is None or scene.job.status not in FAILED:
        return
    # A sort goes on after B37 of one of its work datasets: a code that stands in routine lines alone is none.
    abends = tuple(
        code
        for code in filter(is_abend, scene.log_codes)
        if not _is_routine(scene, decisive_line(scene.log_lines, code))
    )
    told = {
        code
        for item in scene.reading.causes
        if item.weight >= EXPLAINED
        for code in (item.symptom.key, *item.symptom.aliases)
    }
    for code in abends:
        if code in told:
            continue
        listed = find_abend(code)
        entry = listed or find_code(code)
        if entry is None:
            yield _unlisted(scene, code)
            continue
        # U4038 only means that Language Environment gave up; the code beside it is the cause.
        alone = (code.startswith("S") and listed is not None) or (
            len(abends) == 1 and not scene.reading.causes and entry.key == code
        )
        sure = 0.92 if alone else 0.6
        if _is_explained(scene, code):
            sure = EXPLAINED
        line = decisive_line(scene.log_lines, code)
        if line and len(abends) > 1 and _is_tolerated(scene, line):
            sure = EARLIER_STEP
        verdict = _from_log(scene, entry, sure, code=code)
        verdict.note = _other_abends(scene, code, abends)
        yield verdict


def add_line(scene: Scene, verdict: Verdict, line: str) -> None:
    """Base a verdict on a line of the job log, or on what the plan reports, and claim it."""
    ids = scene.cite_line("tws_status", line)
    verdict.supports = [*ids, *(item for item in verdict.supports if item not in ids)]
    is_logged = line in scene.log_lines
    quotation = Message("The job log says: `{line}`", line=clean_line(line)) if is_logged else reported(line)
    verdict.claims.append(ClaimDraft(quotation, tuple(ids)))


def state_ids(scene: Scene) -> list[str]:
    """The evidence of the job's own state, else the first that TWS gave."""
    name = scene.job.name if scene.job else ""
    return scene.cite("tws_status", name, kinds=("job", "problem_job"), limit=1) or scene.cite("tws_status", limit=1)


def _from_log(scene: Scene, entry: Entry, sure: float, *, code: str) -> Verdict:
    line = decisive_line(scene.log_lines, code)
    verdict = Verdict(
        entry.category,
        sure,
        facts={
            "code": code,
            "rc": str(scene.return_code or code),
            "step": (step_of(line) if line else "") or scene.step,
            "user": scene.job.logon_user if scene.job else "",
        },
        entry=entry,
    )
    if line:
        add_line(scene, verdict, line)
    for telling in scene.telling_lines[:2]:
        if telling != line:
            add_line(scene, verdict, telling)
    verdict.supports += [item for item in state_ids(scene) if item not in verdict.supports]
    if entry.category is Category.DATASET_SPACE:
        verdict.facts["dataset"] = full_dataset(scene.log_lines)
        if grown := growth_line(scene.log_lines):
            add_line(scene, verdict, grown)
    return verdict


def _unlisted(scene: Scene, code: str) -> Verdict:
    """A system abend that the catalogue lacks is named as it is; what it means is not made up."""
    line = decisive_line(scene.log_lines, code)
    step = (step_of(line) if line else "") or scene.step
    verdict = Verdict(
        Category.UNKNOWN,
        0.3,
        supports=state_ids(scene),
        sentence=Message(
            "Job {job} ended in ABEND {code}{at_step}. The catalogue does not have this code: z/OS MVS System Codes "
            "holds its meaning.",
            job=scene.name or "?",
            code=code,
            at_step=at_step(step),
        ),
    )
    if line:
        add_line(scene, verdict, line)
    return verdict


def _other_abends(scene: Scene, code: str, abends: tuple[str, ...]) -> Text | str:
    """Further system abends of the same run, each with its step: two causes may have met."""
    others = []
    for other in abends:
        line = decisive_line(scene.log_lines, other)
        if other != code and other.startswith("S") and code.startswith("S") and line:
            step = step_of(line)
            others.append(f"{other} ({step})" if step else other)
    return Message("The job log also holds: {codes}.", codes=", ".join(others)) if others else ""


def _is_routine(scene: Scene, line: str | None) -> bool:
    """Whether a line is one of a message that reports no failure."""
    raw = scene.reading.raw
    return line in raw and raw.index(line) in scene.reading.routine


def _is_tolerated(scene: Scene, line: str) -> bool:
    return is_of_an_earlier_step(scene.log_lines, line, scene.step)
