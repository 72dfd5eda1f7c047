"""What the rules look at: one job's facts from every source, and how to cite them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.codes.catalogue import Platform
from orchestrator.codes.local_time import parse_moment
from orchestrator.codes.notation import bare_name, in_folder, station_of, stream_of, whole_name
from orchestrator.codes.patterns import find_message_ids, find_reported_abends, find_return_codes, is_abend
from orchestrator.codes.steps import step_of
from orchestrator.diagnosis.injection import is_planted
from orchestrator.diagnosis.runbooks import is_planted_in
from orchestrator.i18n.languages import distance
from orchestrator.joblog.reader import Reading, Sighting, platform_of, read_log
from orchestrator.models import Entities, Evidence, SourceEnvelope
from orchestrator.payloads import (
    Facts,
    HistoryFacts,
    JobFacts,
    LogPayload,
    MetricsPayload,
    TwsPayload,
    WorkstationFacts,
)
from orchestrator.routing.entities import asks_about_the_plan, known_causes
from orchestrator.store.reading import read_fields

MAX_LINE_CHARACTERS = 240
MAX_LOG_CHARACTERS = 60_000
"""Characters of a job log that the rules read, more than the built-in source gives: another's may be a log of one line
without an end, which takes seconds."""

MOSTLY = 0.75
"""Share of a message that a known line takes, from which on the message is that line."""

OWN_SCORE = 4
"""Least score by form of a line in which the program names the return code."""

PRESENT_RUN_SECONDS = 60.0
"""How far a record's time may lie outside a run and still be that run's: writers round, and write a little later."""

_RECORDS = ("recent_error", "history")
"""Kinds of evidence of the log cache that are one record each."""
_Payload = TypeVar("_Payload", bound=Facts)
_LINK = re.compile(r"!?\[([^\]]{0,300})\]\([^)]{0,300}\)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])([^<>]{0,200})>")
_HEADING = re.compile(r"(?:^|(?<=\s))#{1,6}\s")
_NO_MARKUP = str.maketrans({"*": None, "|": " "})
_LINE_NUMBER = re.compile(r"^\s*\d+\s{2}")


@dataclass(frozen=True)
class Scene:
    """Everything known about one job, or about the question when no job is named."""

    question_job: str | None
    """The job as the question names it; None when the plan has it as something else."""
    question: str
    entities: Entities
    tws: TwsPayload | None = None
    log: LogPayload | None = None
    metrics: MetricsPayload | None = None
    evidence: tuple[Evidence, ...] = ()
    job: JobFacts | None = None
    """The job in focus: the one asked about, or one of the plan's problem jobs."""
    answered: frozenset[str] = frozenset()
    """Sources that answered, with data or without."""
    asks_state: bool = False
    """Whether the question is first of all for the state."""
    language: str = ""
    """The question's language by its code: ``pt``."""
    asked_as: str | None = None
    """The job by the name under which the sources were asked about it."""

    @property
    def name(self) -> str:
        """The job's name for a sentence, or an empty string."""
        return self.question_job or (self.job.name if self.job else "")

    @cached_property
    def pasted(self) -> Sighting | None:
        """What the catalogue of symptoms knows of a line of a log in a question that names nothing of the plan."""
        named = self.question_job or self.job or self.entities.job_streams or self.entities.workstations
        if named or self.entities.codes or asks_about_the_plan(self.question):
            return None
        pasted = next(iter(known_causes(self.question)), None)
        if pasted is None or not self.entities.candidates:
            return pasted
        # Words that may be names are none where the message is hardly more than the line.
        match = pasted.symptom.pattern.search(self.question)
        return pasted if match is not None and len(match[0]) >= MOSTLY * len(self.question) else None

    @cached_property
    def passages(self) -> list[Evidence]:
        """The passages of the knowledge base, those in the question's language first, then the nearest to it."""
        passages = [item for item in self.evidence if item.source == "rag_search" and not is_planted_in(item.text)]
        return sorted(passages, key=lambda item: distance(item.language, self.language) if item.language else 0)

    @property
    def workstation(self) -> WorkstationFacts | None:
        """The workstation that the job runs on, when its state is known."""
        stations = self.tws.workstations if self.tws else ()
        if self.job is None:
            return stations[0] if len(stations) == 1 else None
        key = bare_name(self.job.workstation).casefold()
        return next((station for station in stations if bare_name(station.name).casefold() == key), None)

    @cached_property
    def holder(self) -> JobFacts | None:
        """The job upstream that keeps this one from starting, when the source found one."""
        if self.tws is None or self.job is None:
            return None
        is_asked = self.tws.job is self.job
        is_held = self.tws.job is None and self.job.name in self.tws.between
        first = next(iter(self.tws.problem_jobs), None)
        return first if (is_asked or is_held) and first is not self.job else None

    @property
    def return_code(self) -> int | None:
        """The job's return code, or that of its newest run."""
        return self.job.newest_return_code if self.job else None

    @cached_property
    def log_lines(self) -> list[str]:
        """The lines of the job log that were read, each once, in order, up to ``MAX_LOG_CHARACTERS``."""
        log = self.job.job_log if self.job else None
        lines, left = [], MAX_LOG_CHARACTERS
        for line in log.numbered.values() if log else ():
            lines.append(line[:left])
            left -= len(line)
            if left <= 0:
                break
        return lines

    @cached_property
    def reading(self) -> Reading:
        """The job log, read."""
        return read_log(self.log_lines, return_code=self.return_code)

    @cached_property
    def platform(self) -> Platform | None:
        """What the job runs on, by its log, else by what it executes."""
        return self.reading.platform or (platform_of(self.job.task) if self.job else None)

    def repeats_of(self, line: str) -> int:
        """How many times in sequence a line of the job log stands there, as far as the source counted."""
        log = self.job.job_log if self.job else None
        if log is None or not log.repeats:
            return 1
        numbered = log.numbered
        return max((count for number, count in log.repeats.items() if numbered.get(number) == line), default=1)

    @property
    def has_whole_log(self) -> bool:
        """Whether the lines at hand are the whole job log, so that they can be counted."""
        log = self.job.job_log if self.job else None
        return log is not None and log.total_lines == len(self.log_lines)

    @cached_property
    def telling_lines(self) -> list[str]:
        """The lines of the job log that look most like the error, best first."""
        raw = self.reading.raw
        return [raw[index] for index in self.reading.telling if not is_planted(raw[index])]

    @cached_property
    def own_message(self) -> str:
        """The line in which the program itself names the return code of the run; empty for none."""
        reading = self.reading
        best = max(range(len(reading.lines)), key=reading.score, default=None)
        names_it = best is not None and reading.return_code in find_return_codes(reading.lines[best])
        return reading.raw[best] if best is not None and names_it and reading.score(best) >= OWN_SCORE else ""

    @cached_property
    def has_abend(self) -> bool:
        """Whether the job log reports an abend."""
        return any(map(is_abend, self.log_codes))

    @cached_property
    def issue_lines(self) -> list[str]:
        """What the plan says of the job: its issues, and the error of its newest run."""
        if self.job is None:
            return []
        return [issue.message for issue in self.job.issues] + [run.error for run in self.job.runs[:1] if run.error]

    @cached_property
    def log_codes(self) -> tuple[str, ...]:
        """Abends and message ids of the job log."""
        log = self.job.job_log if self.job else None
        text = "\n".join(self.log_lines)
        codes = (*find_reported_abends(text), *find_message_ids(text), *(log.codes if log else ()))
        return tuple(dict.fromkeys(codes))

    @property
    def step(self) -> str:
        """The step that failed, when the log names it."""
        return self.job.job_log.step if self.job and self.job.job_log else ""

    @property
    def question_step(self) -> str:
        """The step that the question names."""
        return step_of(self.question)

    @property
    def remembered(self) -> tuple[HistoryFacts, ...]:
        """What the log cache holds: errors first, then outcomes."""
        return (*self.log.recent_errors, *self.log.history) if self.log else ()

    def is_present(self, item: HistoryFacts) -> bool:
        """Whether a cached record belongs to the run in question, and not to an earlier one.

        Run ids begin anew with each plan, and an app's records have none: where both times are known, they decide.
        """
        job = self.job
        if job is None:
            return False
        at = parse_moment(item.at)
        if not job.runs:
            return at is not None and at == parse_moment(job.scheduled_at)
        present = {job.runs[0].run_id, job.job_log.run_id if job.job_log else ""} - {""}
        for run in job.runs:
            if (run.run_id not in present and run is not job.runs[0]) or (item.run_id and item.run_id != run.run_id):
                continue
            end = parse_moment(run.ended_at) or parse_moment(run.started_at)
            start = parse_moment(run.started_at) or end
            if at is None or start is None or end is None:
                if item.run_id:
                    return True
                continue
            if start.timestamp() - PRESENT_RUN_SECONDS <= at.timestamp() <= end.timestamp() + PRESENT_RUN_SECONDS:
                return True
        return False

    def cite(self, source: str, *needles: str, kinds: Iterable[str] = (), limit: int = 2) -> list[str]:
        """Ids of a source's evidence that is of one of ``kinds`` and holds every needle."""
        allowed = frozenset(kinds)
        ids = [
            item.id
            for item in self.evidence
            if item.source == source
            and (not allowed or item.kind in allowed)
            and all(needle and needle.casefold() in _searchable(item) for needle in needles)
        ]
        return ids[:limit]

    def cite_line(self, source: str, line: str) -> list[str]:
        """Ids of the evidence that holds a line word for word."""
        text = " ".join(line.split()).casefold()
        return [
            item.id
            for item in self.evidence
            if item.source == source and text and text in " ".join(item.text.split()).casefold()
        ][:1]


def build_scenes(
    envelopes: Sequence[SourceEnvelope],
    jobs: Sequence[str],
    question: str,
    entities: Entities,
    *,
    asks_state: bool = False,
    language: str = "",
) -> list[Scene]:
    """One scene per named job, or one for the whole question."""
    if jobs:
        of_job = envelopes_by_job(envelopes)
        scenes = [_scene(envelopes_of(of_job, job), job, question, entities) for job in jobs]
    else:
        scenes = [_scene(envelopes, None, question, entities)]
    return [
        replace(_with_the_kind_in_the_plan(scene), asks_state=asks_state, language=language.partition("-")[0])
        for scene in scenes
    ]


def envelopes_by_job(envelopes: Sequence[SourceEnvelope]) -> dict[str | None, list[SourceEnvelope]]:
    """The envelopes of each job, and of the sources that were asked once, which are of ``None``."""
    of_job: dict[str | None, list[SourceEnvelope]] = {None: []}
    for envelope in envelopes:
        of_job.setdefault(envelope.job, []).append(envelope)
    return of_job


def envelopes_of(of_job: Mapping[str | None, list[SourceEnvelope]], job: str | None) -> list[SourceEnvelope]:
    """What was answered about a job: by sources that were asked about it, else by those that were asked once."""
    own = of_job.get(job, [])
    sources = {envelope.source for envelope in own}
    return [*(envelope for envelope in of_job[None] if envelope.source not in sources), *own]


def focus_on(scene: Scene, job: JobFacts) -> Scene:
    """The scene of one of the plan's problem jobs: its own evidence, and what belongs to no other job."""
    others = {problem.name for problem in (scene.tws.problem_jobs if scene.tws else ())} - {job.name}
    evidence = tuple(item for item in scene.evidence if item.job not in others or item.source != "tws_status")
    return _with_own_history(replace(scene, evidence=evidence, job=job))


def _with_own_history(scene: Scene) -> Scene:
    """The scene with what the log cache has of its job alone: a record of another job, or stream, is not its past."""
    job, log = scene.job, scene.log
    if job is None or log is None:
        return scene

    def is_own(item: HistoryFacts) -> bool:
        if item.job_stream and job.job_stream and not _same(item.job_stream, job.job_stream):
            return False
        if scene.question_job and _same(scene.question_job, job.name) and not item.job:
            return True
        return _same(item.job, job.name) if item.job else _mentions(item.text, job.name)

    foreign = [item for item in scene.remembered if not is_own(item)]
    if not foreign:
        return scene
    own = [item for item in scene.remembered if is_own(item)]
    texts = {(item.at, item.text) for item in foreign}
    return replace(
        scene,
        log=LogPayload(
            recent_errors=tuple(filter(is_own, log.recent_errors)),
            history=tuple(filter(is_own, log.history)),
            newest_age_days=min((item.age_days for item in own if item.age_days is not None), default=None),
            corrupt_keys=log.corrupt_keys,
        ),
        # What was concluded from all records together falls away with them.
        evidence=tuple(
            item
            for item in scene.evidence
            if item.source != "log_cache" or (item.kind in _RECORDS and (item.when, item.text) not in texts)
        ),
    )


def _same(one: str, other: str) -> bool:
    return bare_name(one).casefold() == bare_name(other).casefold()


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None


def clean_line(line: str) -> str:
    """A log line fit to be quoted: one line, no line number, no quote or back-tick, of bounded length."""
    text = " ".join(_LINE_NUMBER.sub("", line).split()).replace("`", "'").replace("“", "'").replace("”", "'")
    return text if len(text) <= MAX_LINE_CHARACTERS else f"{text[: MAX_LINE_CHARACTERS - 1]}…"


def _scene(envelopes: Sequence[SourceEnvelope], job: str | None, question: str, entities: Entities) -> Scene:
    good = {envelope.source: envelope for envelope in envelopes if envelope.success}
    tws = _payload(good, "tws_status", TwsPayload)
    scene = Scene(
        question_job=job,
        asked_as=job,
        question=question,
        entities=entities,
        tws=tws,
        log=_payload(good, "log_cache", LogPayload),
        metrics=_payload(good, "metrics", MetricsPayload),
        evidence=tuple(item for envelope in good.values() for item in envelope.evidence),
        job=tws.job if tws else None,
        answered=frozenset(good),
    )
    return _with_own_history(scene)


def tws_facts(envelope: SourceEnvelope) -> TwsPayload | None:
    """What TWS has answered; None for any other source, and for data of another shape."""
    return _payload({envelope.source: envelope}, "tws_status", TwsPayload)


def _with_the_kind_in_the_plan(scene: Scene) -> Scene:
    """A name that the plan has as a job stream or a workstation, and not as a job, becomes one of these."""
    tws, name = scene.tws, (scene.question_job or "").casefold()
    if tws is not None and (tws.named_stream or tws.named_workstation):
        found = {"job_streams": tws.named_stream, "workstations": tws.named_workstation}
        named = {kind: (word,) for kind, word in found.items() if word}
        return replace(scene, entities=scene.entities.model_copy(update=named))
    if not name or tws is None or tws.job is not None or not tws.problems_asked:
        return scene
    station = next((item.name for item in tws.workstations if bare_name(item.name).casefold() == name), None)
    stream = next((job.job_stream for job in tws.problem_jobs if bare_name(job.job_stream).casefold() == name), None)
    if station is not None and stream is None:
        entities = scene.entities.model_copy(update={"jobs": (), "workstations": (station,)})
    else:
        entities = scene.entities.model_copy(update={"jobs": (), "job_streams": (stream or scene.question_job,)})
    return replace(scene, question_job=None, entities=entities)


def _payload(good: dict[str, SourceEnvelope], source: str, shape: type[_Payload]) -> _Payload | None:
    data: dict[str, Any] | None = good[source].data if source in good else None
    if data is None:
        return None
    try:
        return shape.model_validate(data)
    except ValidationError:
        facts, damage = read_fields(shape, deepcopy(data), part=source)
        # A site may replace a source by one of its own with another shape; its evidence still counts.
        is_of_another_shape = any("." not in item.field for item in damage)
        return None if is_of_another_shape else facts


def _searchable(item: Evidence) -> str:
    return "\n".join((item.title, item.text, item.where, " ".join(item.codes))).casefold()


def plain_words(text: str) -> str:
    """Text of a document as plain words: its links, images and tags must not work inside an answer; RC<=4 stays."""
    bare = _HEADING.sub("", _LINK.sub(r"\1", clean_line(text)))
    return _TAG.sub(r"‹\1›", bare).translate(_NO_MARKUP)


def qualified(job: JobFacts | None, name: str) -> str:
    """The job as conman selects it: ``WS#STREAM.JOB`` when the plan says so, else as it was named."""
    return whole_name(job) if job is not None and job.job_stream and job.name else name


def qualified_station(scene: Scene, name: str) -> str:
    """A workstation as conman selects it: with its folder when the plan knows one."""
    key = bare_name(name).casefold()
    for station in scene.tws.workstations if scene.tws else ():
        if bare_name(station.name).casefold() == key:
            return in_folder(station.folder, station.name)
    jobs = (item for item in _jobs_of(scene) if item.workstation and item.workstation.casefold() == key)
    return next(map(station_of, jobs), name)


def qualified_stream(scene: Scene, name: str) -> str:
    """A job stream as conman selects it: ``WS#STREAM`` with folders when one of its jobs is known, else as named."""
    key = bare_name(name).casefold()
    jobs = (item for item in _jobs_of(scene) if item.job_stream.casefold() == key)
    return next(map(stream_of, jobs), name)


def _jobs_of(scene: Scene) -> tuple[JobFacts, ...]:
    return (*((scene.job,) if scene.job else ()), *(scene.tws.problem_jobs if scene.tws else ()))
