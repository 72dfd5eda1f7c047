"""Jobs with one and the same cause, as a group: which are alike, which is worst, and what is said of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.codes.catalogue import Category, Entry, category_texts
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import is_abend
from orchestrator.codes.states import CANCELLED, EXECUTING, FAILED, RUNNING, SUCCEEDED
from orchestrator.diagnosis.rules.scene import Scene, qualified, qualified_station
from orchestrator.diagnosis.rules.state import running_for
from orchestrator.diagnosis.rules.verdict import Verdict, at_step
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text, join, write
from orchestrator.joblog.symptoms import SymptomText

LIKELY_BELOW = 0.5
"""Below this confidence the summary is marked as resting on little evidence."""
NAMES_SHOWN = 5
"""Names in a sentence; of more, their number follows."""
FINE = frozenset({Category.COMPLETED, Category.SUCCESS_CONDITION_MET, Category.NO_PROBLEM})
UNDER_WAY = frozenset({Category.RUNNING, Category.LAUNCHING})
BENIGN = FINE | UNDER_WAY | {Category.UNKNOWN}
"""Verdicts that are no failure: they do not lead when another job has one."""
OF_NO_OBJECT = FINE | UNDER_WAY | {Category.JOB_NOT_FOUND}
"""Verdicts that are the same of every job."""
_DIGITS = re.compile(r"\d+")
_FILE = re.compile(r"(?<=[/\\])(?=[^/\\\s'\".]*+\.[^/\\\s'\"])[^/\\\s'\"]++(?![/\\])")
"""A file in a path: what is full is the file system of its folder."""
_NO_ANSWER = {
    False: Message("{subject} is not diagnosed: TWS did not answer about it."),
    True: Message("{subject} is not diagnosed: TWS did not answer about it in time."),
}
_NO_ANSWER_TITLE = {False: Message("no answer of TWS"), True: Message("no answer of TWS in time")}


@dataclass(slots=True)
class Group:
    """Jobs with one and the same verdict; ``waiting`` are those that only wait for them."""

    scene: Scene
    ranked: list[Verdict]
    jobs: list[str]
    waiting: list[str] = field(default_factory=list)
    because: "Group | None" = None
    """Why the job failed that holds these: the cause behind the cause."""
    merged: "list[Group]" = field(default_factory=list)
    """The groups of single jobs that were merged to this one, of which it has scene and verdicts of the first."""
    mark: str = ""
    """What its title holds to tell it from other groups of the same title: the program, the file."""
    silent: bool | None = None
    """Of jobs that are not known because TWS did not answer about them: whether it ran out of time; None of others."""

    @property
    def top(self) -> Verdict:
        """The leading verdict."""
        return self.ranked[0]

    @property
    def parts(self) -> "Sequence[Group]":
        """The groups that were merged to this one; itself when it is none of these."""
        return self.merged or (self,)

    @property
    def has_failed(self) -> bool:
        """Whether TWS shows the first of its jobs as failed."""
        return self.scene.job is not None and self.scene.job.status in FAILED

    @property
    def severity(self) -> int:
        """How bad it is, from 0 (nothing is wrong) to 5 (failed)."""
        category = self.top.category
        if self.silent is not None:
            return 3
        if category in FINE:
            return 0
        if category in UNDER_WAY:
            return 1
        if category is Category.JOB_NOT_FOUND:
            return 2
        if self.has_failed:
            return 5
        return 3 if category is Category.UNKNOWN else 4


def worst_first(groups: Iterable[Group]) -> list[Group]:
    """The groups by what is wrong with their jobs, then by how many these are, then by how sure it is."""

    def weight(group: Group) -> tuple[int, int, float]:
        return (group.severity, len(group.jobs) + len(group.waiting), group.top.confidence)

    return sorted(groups, key=weight, reverse=True)


def merge_alike(groups: Sequence[Group]) -> list[Group]:
    """Named jobs with one and the same cause, as one group, the worst first."""
    alike: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        alike.setdefault(_cause_key(group), []).append(group)
    return worst_first(_merged(parts) for parts in alike.values())


def _merged(parts: list[Group]) -> Group:
    if len(parts) == 1:
        return parts[0]
    # What to do is shown for the first: one whose log was read, and of which the most is known.
    first = min(parts, key=lambda part: (_lacks_log(part), -part.top.confidence))
    parts = [first, *(part for part in parts if part is not first)]
    # A job may come twice: by its name, and in a stream that was asked about.
    jobs = dict.fromkeys(job for part in parts for job in part.jobs)
    waiting = dict.fromkeys(job for part in parts for job in part.waiting)
    return replace(first, jobs=list(jobs), waiting=list(waiting), merged=parts)


def _lacks_log(group: Group) -> bool:
    return group.scene.job is not None and bool(group.scene.job.job_log_error)


def _cause_key(group: Group) -> tuple[object, ...]:
    """What two jobs have in common when they have the same cause: what is said of them, but for their own names."""
    top, facts = group.top, group.top.facts
    if group.silent is not None:
        return (top.category, group.silent, facts.get("code", ""))
    if top.category in OF_NO_OBJECT:
        return (top.category,)
    if top.finding:
        said: Text | str = top.finding
    elif isinstance(top.sentence, Message):
        said = top.sentence.with_facts(subject="")
    else:
        of_this_job: dict[str, Text | str] = {
            "subject": "",
            "for_subject": "",
            "at_step": "",
            "aside": "",
            "priority": "",
        }
        said = top.sentence or category_texts(top.category).cause.with_facts(_facts(group) | of_this_job)
    # A message of the catalogue is the same whatever code the program then ends with.
    code = facts.get("code", "") or ("" if top.finding and top.entry else facts.get("rc", ""))
    text = _without_own_names(write(said, Language.EN), group)
    if top.category is Category.DISK_FULL:
        # A file system is of one machine.
        text = f"{_station(group)} {_FILE.sub('*', text)}"
    if top.category is Category.APPLICATION_ERROR or facts.get("detail"):
        # Lines that nobody knows have times and numbers of their own.
        text = _DIGITS.sub("0", text)
    return (top.category, top.entry.key if top.entry else "", code, facts.get("predecessor", ""), text)


def told_apart(groups: Sequence[Group]) -> list[Group]:
    """The groups, those of one title with the fact of their logs that is another one in each."""
    by_title: dict[str, list[Group]] = {}
    for group in groups:
        by_title.setdefault(write(group_title(group), Language.EN), []).append(group)
    for alike in by_title.values():
        facts = [_facts_in_common(group) for group in alike] if len(alike) > 1 else []
        for name in dict.fromkeys(name for known in facts for name in known):
            values = [known[name] for known in facts if name in known]
            if len(set(values)) == len(values):
                for group, known in zip(alike, facts, strict=True):
                    group.mark = known.get(name, "")
                break
    return list(groups)


def _facts_in_common(group: Group) -> dict[str, str]:
    """What the messages of the group's logs name, where all of them name the same."""
    first, *others = (_facts_of_symptom(part) for part in group.parts)
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _facts_of_symptom(group: Group) -> Mapping[str, str]:
    finding = group.top.finding
    meaning = finding.facts.get("meaning") if isinstance(finding, Message) else None
    return meaning.facts if isinstance(meaning, SymptomText) else {}


def _without_own_names(text: str, group: Group) -> str:
    job = group.scene.job
    names = (*group.jobs, *((job.name,) if job else ()), *map(bare_name, group.jobs))
    # Files are named for their job in small letters.
    for name in sorted({name for name in names if name}, key=len, reverse=True):
        for spelling in (name, name.lower(), name.upper()):
            text = text.replace(spelling, "*")
    return text


def group_title(group: Group) -> Text:
    """The cause in a few words, with the code and the object that it is about."""
    top, facts = group.top, _facts(group)
    if group.silent is not None:
        return _NO_ANSWER_TITLE[group.silent]
    texts = category_texts(top.category)
    title: Text = top.entry.name if top.entry is not None and top.finding else texts.title
    code = str(facts["code"]) if group.has_failed else "?"
    if code == "?" or code in title.in_language(Language.EN) or (top.finding and not top.facts.get("code")):
        code = ""
    known = [code]
    if "{workstation_name}" in texts.cause.english or top.category is Category.DISK_FULL:
        known.append(_station(group))
    known += [top.facts.get("predecessor", "") or top.facts.get("file", ""), group.mark]
    objects = ", ".join(filter(None, known))
    return Message("{title} ({objects})", title=title, objects=objects) if objects else title


def told(group: Group) -> Text | str:
    """The cause as a sentence about all jobs of the group; of jobs whose details differ, those of one."""
    if len(group.parts) == 1:
        return group_summary(group)
    if len({_said_of(part) for part in group.parts}) == 1:
        return group_summary(group)
    return Message(
        "{subject}: {title!l}. Of one of them: {text}",
        subject=_subject(group),
        title=group_title(group),
        text=group_summary(group.parts[0]),
    )


def _said_of(group: Group) -> str:
    """All that is said of a job, but for its names."""
    text = join((cause_sentence(replace(group, jobs=[])), group.top.note))
    return _without_own_names(write(text, Language.EN), group)


def cause_sentence(group: Group) -> Text | str:
    """What happened to the group's jobs, in one sentence."""
    if group.silent is not None and group.top.category is Category.UNKNOWN:
        return _NO_ANSWER[group.silent].with_facts(subject=_subject(group))
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
        "for_subject": Message(" of {name}", name=listed(group.jobs)) if group.jobs else "",
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


def names_of(group: Group) -> dict[str, str]:
    """Every name that a command of the advice may hold; one that is not known is empty."""
    # Of alike jobs that were merged, those of the first; jobs of the plan that are one problem have no one name.
    job, alone = group.scene.job, group.jobs[0] if len(group.jobs) == 1 or group.merged else ""
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
    if group.merged and len(group.jobs) > NAMES_SHOWN:
        # The answer names them all beside it.
        return Message("The group of {count} job", plural="The group of {count} jobs", count=len(group.jobs))
    return Message(
        "The group of {count} job ({jobs})",
        plural="The group of {count} jobs ({jobs})",
        count=len(group.jobs),
        jobs=listed(group.jobs),
    )


def listed(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown}, +{len(names) - NAMES_SHOWN}" if len(names) > NAMES_SHOWN else shown


def _successors(group: Group) -> list[str]:
    jobs = [part.scene.job for part in group.parts] if group.merged or len(group.jobs) < 2 else []
    held = (item for job in jobs if job is not None for item in job.successors)
    names = {bare_name(name) for name in group.jobs}
    ended = (*SUCCEEDED, *RUNNING, *CANCELLED)
    return [item.name for item in held if item.status not in ended and bare_name(item.name) not in names]


def group_summary(group: Group) -> Text:
    """The group's cause as a sentence, hedged when it rests on little, and whom it holds."""
    top, cause = group.top, cause_sentence(group)
    if group.silent is not None and top.category is Category.UNKNOWN:
        return join((cause,))
    # A sentence of its own states what was read.
    is_inferred = not top.sentence and top.category not in (Category.UNKNOWN, Category.APPLICATION_ERROR)
    if top.confidence < LIKELY_BELOW and is_inferred:
        cause = Message("On little evidence, most likely: {text!l}", text=cause)
    names = list({bare_name(name): name for name in (*_successors(group), *group.waiting)}.values())
    waits: Text | str = ""
    if names and top.category not in BENIGN - {Category.UNKNOWN}:
        waits = Message(
            "It holds {count} successor: {names}.",
            plural="It holds {count} successors: {names}.",
            count=len(names),
            names=listed(names),
        )
    because = cause_sentence(group.because) if is_kept_waiting(group) and group.because else ""
    if group.silent is not None:
        # What remains is what the question itself says.
        cause = join((_NO_ANSWER[group.silent].with_facts(subject=_subject(group)), cause))
    return join((cause, because, top.note, waits))


def is_kept_waiting(group: Group) -> bool:
    """Whether the job upstream that this one waits for has not failed: what to do is what helps that one."""
    return group.because is not None and group.top.category is Category.WAITING_PREDECESSOR


def consequences(groups: Iterable[Group], shown: Iterable[Group]) -> list[Group]:
    """Those of ``groups`` that wait for a failed job which is shown as well: the cause and the steps are that one's."""
    known = {_key_of(group) for group in shown}
    return [
        group
        for group in groups
        if group.because is not None and (key := _key_of(group.because)) in known and key not in (None, _key_of(group))
    ]


def _key_of(group: Group) -> tuple[str, str] | None:
    job = group.scene.job
    return None if job is None else (job.id, job.name)


def root_cause(group: Group) -> Text | str:
    """What the cause means, with the usual causes of that; empty when no more is known than what was said."""
    if group.because is not None:
        return join(dict.fromkeys((cause_sentence(group.because), root_cause(group.because))))
    entry = group.top.entry
    if group.top.finding:
        return cause_sentence(group)
    if entry is None or group.top.category in BENIGN:
        return ""
    key = group.top.facts.get("code", entry.key) if entry.key == "U????" else entry.key
    key = f"RC {key}" if key.lstrip("-").isdigit() else key
    return join((explained(key, entry), usual_causes(entry)))


def cause_of(group: Group) -> Text | str:
    """The cause as a sentence; empty without one."""
    return "" if group.top.category in (Category.UNKNOWN, Category.NO_PROBLEM) else cause_sentence(group)


def usual_causes(*entries: Entry) -> Text | str:
    """The causes that the catalogue lists for these entries; empty for none."""
    causes = join((cause for entry in entries for cause in entry.causes), "; ", small=True)
    return Message("Usual causes: {causes}.", causes=causes) if causes else ""


def explained(code: str, entry: Entry) -> Text:
    """A code or state with its name and meaning."""
    return Message("{code}: {name}. {meaning}", code=code, name=entry.name, meaning=entry.in_general)
