"""The objects that cross a process border, as frozen pydantic models.

They are JSON, versioned by ``SCHEMA_VERSION``. Times are UTC epoch milliseconds; names of durations end in their unit.

Processes of different versions read each other's objects (``docs/upgrading.md``): unknown fields are ignored, and an
unknown value is read as the one that the type of its field names here. Only models that people and apps write
(``InputModel``) refuse unknown fields.
"""

import math
import re
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    SkipValidation,
    StringConstraints,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from orchestrator.codes.control import visible
from orchestrator.codes.notation import NamedJobs, check_job_name
from orchestrator.config import SOURCE_NAME, STORED, InputModel, ParallelConfig
from orchestrator.errors import InvalidValue
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.i18n.message import Joined, Message, Text, join, unmarked

SCHEMA_VERSION = 1
"""Version of the stored objects. New optional fields, event types and values do not change it. It is raised by changes
that an older reader would misread: a field that is removed or changes its meaning, a new state or event that ends a
run."""
OLDEST_SCHEMA_VERSION = 1
"""Oldest schema that is still read; an object without a version has schema 1."""
MAX_JOBS = 200
"""Most jobs in one question."""
MAX_BATCH_JOBS = 50
"""Most jobs that one task asks about, whatever its source allows: it bounds the size of a batch's envelope."""
MAX_STAGES = 9
"""Most stages of a run; ``common.lua`` has the same."""
MAX_MESSAGE_CHARACTERS = 8_000
MAX_JOBS_CHARACTERS = MAX_JOBS * 900
"""Most characters of all names of jobs in one question together; one name has at most 900."""
MAX_ENTITIES = 500
"""Most names and codes in the ``entities`` of a request."""
MAX_EVIDENCE_CHARACTERS = 16_000
UNREADABLE = "unreadable"
"""Key of a report's metadata: the parts of the stored run that could not be read."""

SourceName = Annotated[str, StringConstraints(pattern=SOURCE_NAME)]
Word = Annotated[str, StringConstraints(max_length=MAX_MESSAGE_CHARACTERS)]
"""A part of a message."""
_ENTITY = re.compile(r"[\w$#@./(),:*?-]{1,200}")
"""A name, a pattern of names or a code, in any notation: no blanks, no quotes."""
_MAX_DIGITS = 15
PIPELINE_NAMES = r"^[a-z][a-z0-9_-]{0,31}([|+][a-z][a-z0-9_-]{0,31}){0,7}$"
"""Pattern of the name of a pipeline, and of the names of several that are composed."""
_RUN_ID = r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}"
RunId = Annotated[str, StringConstraints(pattern=f"^{_RUN_ID}$")]


_E = TypeVar("_E", bound=StrEnum)


def read_enum(value: str, unknown: _E) -> _E:
    """``value`` as a member of the enumeration of ``unknown``; the value of a newer version is read as ``unknown``."""
    try:
        return type(unknown)(value)
    except ValueError:
        return unknown


def _read_as(unknown: StrEnum) -> BeforeValidator:
    return BeforeValidator(lambda value: read_enum(value, unknown) if isinstance(value, str) else value)


class Contract(BaseModel):
    """Base of all other models: frozen, unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class MessageData(Contract):
    """A ``Message`` as JSON, so that every reader can write it in another language; itself a ``Text``.

    A plain string, such as one of a site's source, becomes the only fact of an empty template.
    """

    key: str
    plural: str = ""
    context: str = ""
    facts: dict[str, "str | int | float | MessageData"] = {}

    @classmethod
    def of(cls, text: Text | str) -> Self:
        """``text`` as JSON; facts of other types than JSON's become text."""
        match text:
            case cls():
                return text
            case Message():
                facts = {name: cls._fact(value) for name, value in text.facts.items()}
                return cls(key=text.key, plural=text.plural, context=text.context, facts=facts)
            case Joined():
                names = [f"part_{number}" for number in range(len(text.parts))]
                separator = text.separator.replace("{", "{{").replace("}", "}}")
                parts = {name: cls._fact(part) for name, part in zip(names, text.parts, strict=True)}
                return cls(key=separator.join(f"{{{name}}}" for name in names), facts=parts)
        return cls(key="{text}", facts={"text": str(text)})

    @classmethod
    def _fact(cls, value: object) -> "str | int | float | MessageData":
        if isinstance(value, Text):
            return cls.of(value)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        is_number = is_integer or (isinstance(value, float) and math.isfinite(value))
        return value if is_number else str(value)  # type: ignore[return-value]  # narrowed by is_number

    def mapped(self, change: Callable[[str], str]) -> Self:
        """The message with ``change`` applied to each text fact, or to its text when it has no facts."""
        facts = {
            name: change(fact)
            if isinstance(fact, str)
            else fact.mapped(change)
            if isinstance(fact, MessageData)
            else fact
            for name, fact in self.facts.items()
        }
        return self.model_copy(update={"key": self.key if facts else change(self.key), "facts": facts})

    def __hash__(self) -> int:
        return hash((self.key, self.plural, self.context))

    def in_language(self, language: Language) -> str:
        """The sentence in ``language``, else in English; the template itself when its facts do not fit it."""
        message = Message(self.key, plural=self.plural, context=self.context).with_facts(**self.facts)
        # Somebody else's text may be the template itself.
        text: str = unmarked(message.in_language(language))
        return text


class Intent(StrEnum):
    """The kind of a question, which decides the sources to ask."""

    STATUS = "status"
    TROUBLESHOOT = "troubleshoot"
    QUERY = "query"
    ACTION = "action"
    GENERAL = "general"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        # The Resync app still writes the older name.
        return cls.TROUBLESHOOT if value == "troubleshooting" else None


class RunState(StrEnum):
    """The state of a run in the store."""

    ACCEPTED = "accepted"
    DISPATCHING = "dispatching"
    DISPATCHED = "dispatched"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended: its terminal event is written."""
        return self in (RunState.DONE, RunState.CANCELLED)


class RunOutcome(StrEnum):
    """The outcome of a run."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class SourceOutcome(StrEnum):
    """The outcome of one source; ``ok`` and ``no_data`` are successes."""

    OK = "ok"
    NO_DATA = "no_data"
    TIMEOUT = "timeout"
    ERROR = "error"
    NOT_STARTED = "not_started"
    LOST = "lost"
    LATE = "late"

    @property
    def is_success(self) -> bool:
        """Whether the source answered, with or without data."""
        return self in (SourceOutcome.OK, SourceOutcome.NO_DATA)


class EventType(StrEnum):
    """The types of event in a run's stream; ``final`` and ``cancelled`` are terminal."""

    ACCEPTED = "accepted"
    ROUTED = "routed"
    SOURCE_STARTED = "source_started"
    SOURCE_FINISHED = "source_finished"
    SYNTHESIS_STARTED = "synthesis_started"
    AGGREGATED = "aggregated"
    DRAFT = "draft"
    TOKEN = "token"  # noqa: S105  # the name of an event
    FINAL = "final"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the event ends the stream."""
        return self in (EventType.FINAL, EventType.CANCELLED)


class AnswerMode(StrEnum):
    """The origin of an answer: a model, the rules, the raw data, or an error."""

    LLM = "llm"
    DETERMINISTIC = "deterministic"
    RAW = "raw"
    ERROR = "error"


Risk = Literal["none", "low", "medium", "high"]

ReadIntent = Annotated[Intent, _read_as(Intent.UNKNOWN)]
ReadLanguage = Annotated[Language, _read_as(DEFAULT_LANGUAGE)]
ReadRunState = Annotated[RunState, _read_as(RunState.DISPATCHED)]
"""An unknown state is read as an open one: a new closed state would raise the schema version."""
ReadRunOutcome = Annotated[RunOutcome, _read_as(RunOutcome.FAILED)]
ReadSourceOutcome = Annotated[SourceOutcome, _read_as(SourceOutcome.ERROR)]
ReadAnswerMode = Annotated[AnswerMode, _read_as(AnswerMode.RAW)]
ReadRisk = Annotated[
    Risk, BeforeValidator(lambda value: "high" if isinstance(value, str) and value not in get_args(Risk) else value)
]


class Entities(Contract):
    """Entities that the router found in the message, verbatim and without duplicates."""

    jobs: tuple[Word, ...] = ()
    job_patterns: tuple[Word, ...] = ()
    """Patterns of jobs, as written: ``FECH0*``, ``WS#STREAM.@``; "*" and "@" are any characters, "?" is one."""
    excluded: tuple[Word, ...] = ()
    """Jobs, and patterns of jobs, that the question leaves out: "FECH0* exceto FECH003"."""
    more_jobs: int = 0
    """Jobs that were named beyond those of ``jobs``, which holds ``MAX_JOBS`` at most."""
    job_streams: tuple[Word, ...] = ()
    workstations: tuple[Word, ...] = ()
    folders: tuple[Word, ...] = ()
    abend_codes: tuple[Word, ...] = ()
    return_codes: tuple[int, ...] = ()
    message_ids: tuple[Word, ...] = ()
    times: tuple[Word, ...] = ()
    candidates: tuple[Word, ...] = ()
    """Words that may name a job, job stream or workstation; the plan decides."""

    @property
    def codes(self) -> tuple[str, ...]:
        """Abend codes and message ids: the terms with the most weight in a search."""
        return (*self.abend_codes, *self.message_ids)

    @property
    def words(self) -> tuple[str, ...]:
        """All of them but the return codes."""
        values = (value for _, value in self if isinstance(value, tuple))
        return tuple(word for value in values for word in value if isinstance(word, str))

    def and_those(self, others: "Entities") -> "Entities":
        """These, and after them those of ``others`` that are not among them."""
        known = {word.upper() for word in self.words}
        fields = {
            name: (*value, *(item for item in getattr(others, name) if str(item).upper() not in known))
            for name, value in self
            if isinstance(value, tuple)
        }
        numbers = tuple(dict.fromkeys((*self.return_codes, *others.return_codes)))
        return others.model_copy(update=fields | {"return_codes": numbers})


class TroubleshootRequest(InputModel):
    """The question of a user, with the limits of its run.

    ``jobs`` lists the jobs of the question, ``job_name`` is the first of them; the router adds those that the message
    names. Each may be a job, a range (``FECH001..FECH020``), a pattern (``FECH0*``) or a list of these with commas; at
    most ``MAX_JOBS`` in all. Fields that are left out have the defaults of the settings::

        TroubleshootRequest(message="Why did BATCH001 fail?", job_name="BATCH001")
    """

    message: str = Field(min_length=1, max_length=MAX_MESSAGE_CHARACTERS)
    user_id: str | None = Field(default=None, max_length=200)
    session_id: str | None = Field(default=None, max_length=200)
    tws_instance_id: str | None = Field(default=None, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    job_name: str | None = None
    jobs: tuple[str, ...] = ()
    language: Language | None = None
    intent: Intent | None = None
    """Kind of the question, which decides the sources; None lets the router decide."""
    pipeline: str | None = Field(default=None, pattern=PIPELINE_NAMES)
    """Name of the pipeline, or of several (``fechamento|status``), which outweighs the kind."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """How sure ``intent`` is: a doubtful one does not narrow the sources. None is sure."""
    entities: Entities | None = None
    """What the caller knows the question to be about, beside what the router finds in the message."""
    rerun_of: RunId | None = None
    """The run of the same question that this one repeats; what its sources answered is kept."""
    rerun_all: bool = False
    """Whether a repeated run asks every source again."""
    config: ParallelConfig = ParallelConfig()

    @field_validator("message")
    @classmethod
    def _message_has_text(cls, value: str) -> str:
        if not visible(value).strip():
            raise InvalidValue("the message is empty; write what failed, for example 'Job BATCH001 falhou'")
        return value

    @field_validator("job_name")
    @classmethod
    def _job_name_is_a_job(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value) > MAX_MESSAGE_CHARACTERS:
            raise InvalidValue(
                "{count} characters, and {limit} at most are read here; give so many names in {other_field}",
                count=len(value),
                limit=MAX_MESSAGE_CHARACTERS,
                other_field="jobs",
            )
        _read_jobs(value)
        return value.strip()

    @field_validator("jobs")
    @classmethod
    def _jobs_are_jobs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if (count := sum(map(len, value))) > MAX_JOBS_CHARACTERS:
            raise InvalidValue(
                "{count} characters of names, and {limit} at most are read; ask about the others in another question",
                count=count,
                limit=MAX_JOBS_CHARACTERS,
            )
        named = _read_jobs(*value)
        return (*named.jobs, *named.patterns)

    @model_validator(mode="after")
    def _jobs_fit(self) -> Self:
        try:
            _ = self._named
        except InvalidValue as error:
            raise InvalidValue(
                "{field} and {other_field}: {problem}", field="job_name", other_field="jobs", problem=error.message
            ) from None
        return self

    @property
    def _named(self) -> NamedJobs:
        return _read_jobs(*(() if self.job_name is None else (self.job_name,)), *self.jobs)

    @field_validator("entities")
    @classmethod
    def _entities_are_names(cls, value: Entities | None) -> Entities | None:
        if value is None:
            return None
        if (count := len(value.words) + len(value.return_codes)) > MAX_ENTITIES:
            raise InvalidValue(
                "{count} names and codes are given, and {limit} at most are read; "
                "leave out what the question is not about",
                count=count,
                limit=MAX_ENTITIES,
            )
        for name in value.words:
            if not _ENTITY.fullmatch(name):
                raise InvalidValue("{name!r} is not a name or a code", name=name[:80])
        for name in value.jobs:
            check_job_name(name)
        for code in (*value.return_codes, value.more_jobs):
            if abs(code) >= 10**_MAX_DIGITS:
                raise InvalidValue("a number with more than {count} digits is no return code", count=_MAX_DIGITS)
        return value

    @property
    def named_jobs(self) -> tuple[str, ...]:
        """The jobs of ``job_name`` and ``jobs``, ranges as the jobs in them, without duplicates."""
        return self._named.jobs

    @property
    def job_patterns(self) -> tuple[str, ...]:
        """The patterns of ``job_name`` and ``jobs``, as written."""
        return self._named.patterns


def _read_jobs(*texts: str) -> NamedJobs:
    """What ``texts`` name. Raises InvalidValue when one is no job, or more than ``MAX_JOBS`` are named."""
    named = NamedJobs.of(texts, most=MAX_JOBS)
    if (count := named.count + len(named.patterns)) > MAX_JOBS:
        raise InvalidValue(
            "{count} jobs are named, and one question is about {limit} at most; ask about the others in another one",
            count=count,
            limit=MAX_JOBS,
        )
    return named


class Routing(Contract):
    """The kind of a question, its language and its entities."""

    intent: ReadIntent
    confidence: float = Field(ge=0, le=1)
    because: tuple[str, ...] = ()
    """Words of the question that decided the intent, strongest first."""
    language: ReadLanguage
    entities: Entities = Entities()
    follows: RunId | None = None
    """Run of the same session that the question goes on from; the entities are then that run's."""
    other_subjects: tuple[str, ...] = ()
    """What earlier runs of the session were about, beside the one that the question goes on from."""
    is_off_topic: bool = False
    """Whether the question is about nothing of the scheduler, unless one of ``entities.candidates`` is in the plan."""


_SELDOM = frozenset(("batch", "jobs", "kept", "retries", "cache_seconds"))
"""Fields of a planned source that are not written unless they are set."""


class PlannedSource(Contract):
    """A source to ask for one job, for a batch of jobs, or for the run: a header task of the chord."""

    source: SourceName
    job: str | None = None
    limit_seconds: FiniteFloat = Field(gt=0)
    required: bool = False
    batch: int | None = None
    """Number of the batch, from 1; ``jobs`` are its jobs, asked about by one task, and ``job`` is None."""
    jobs: tuple[str, ...] = ()
    kept: bool = False
    """Whether it is not asked, as the answer of an earlier run is kept."""
    retries: int = Field(default=0, ge=0)
    """How often it is asked again within its limit after an error that may pass."""
    cache_seconds: FiniteFloat = Field(default=0.0, ge=0)
    """For how long its answers are shared with other runs that ask the same; 0: never."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A plan of many jobs has many of these, and is read often.
        fields: dict[str, Any] = write(self)
        return {name: value for name, value in fields.items() if value or name not in _SELDOM}

    @property
    def part(self) -> str | None:
        """What of the question the task is asked about: its job, its batch as ``+1``, or None for all of it."""
        return part_of(self.job, self.batch)

    @property
    def key(self) -> str:
        """Key of the envelope inside the run."""
        return source_key(self.source, self.part)

    @property
    def clue_keys(self) -> tuple[str, ...]:
        """Keys of the clues that it may give: one for each job of a batch, where it gives none for all by ``key``."""
        return tuple(source_key(self.source, job) for job in self.jobs) or (self.key,)

    @property
    def each(self) -> tuple["PlannedSource", ...]:
        """The same for each job of a batch alone; itself when it is none, or its jobs are not known."""
        if not self.jobs:
            return (self,)
        return tuple(self.model_copy(update={"job": job, "batch": None, "jobs": ()}) for job in self.jobs)


class Stage(Contract):
    """What a run asks after the stage before, about its jobs and those that were found there."""

    sources: tuple[PlannedSource, ...]
    """Each once, without its jobs."""
    jobs_per_task: dict[SourceName, int] = {}
    """Most jobs that one task of a source asks about; 0 or none: it is asked once, for the run."""
    after: tuple[SourceName, ...] = ()
    """Sources of the stage before whose answers it waits for; empty: all of them."""


class Plan(Contract):
    """The sources that a run asks, and why.

    It is written once for each stage, when the stage is dispatched; who reads a run sees them as one plan.
    """

    schema_version: int = SCHEMA_VERSION
    pipeline: str
    reduce: str = ""
    """What is made of the answers; empty: as the name of the pipeline says."""
    routing: Routing
    sources: tuple[PlannedSource, ...]
    reason: str
    notes: tuple[str, ...] = ()
    stage: int = Field(default=1, ge=1, le=MAX_STAGES)
    """Number of the last stage that is planned."""
    then: tuple[Stage, ...] = Field(default=(), max_length=MAX_STAGES - 1)
    """The stages to come."""
    left_out: int = 0
    """Jobs that were named or found beyond ``MAX_JOBS``: a note says it, and the run's outcome is at most partial."""

    @property
    def awaited(self) -> tuple[PlannedSource, ...]:
        """The planned sources whose answers begin the next stage; none without one."""
        if not self.then:
            return ()
        after = self.then[0].after
        return tuple(planned for planned in self.sources if not after or planned.source in after)

    def with_stage(self, later: "Plan") -> "Plan":
        """This plan and that of the next stage as one."""
        notes = tuple(dict.fromkeys((*self.notes, *later.notes)))
        left_out = max(self.left_out, later.left_out)
        both = {"sources": (*self.sources, *later.sources), "notes": notes, "left_out": left_out}
        return self.model_copy(update={**both, "stage": later.stage, "then": later.then})

    @property
    def asked(self) -> tuple[PlannedSource, ...]:
        """The planned sources with each job of a batch alone: of which envelopes are expected."""
        return tuple(alone for planned in self.sources for alone in planned.each)

    @property
    def required_keys(self) -> frozenset[str]:
        """Keys of the envelopes without which an answer is weak, those of a batch by job."""
        return frozenset(key for planned in self.sources if planned.required for key in planned.clue_keys)

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs of the planned sources, in order."""
        named = (job for planned in self.sources for job in planned.jobs or (planned.job,))
        return tuple(dict.fromkeys(job for job in named if job is not None))


class Clue(Contract):
    """What one source has learnt about a failure, for the other sources of the same run; contains no secret."""

    source: SourceName
    job: str | None = None
    codes: tuple[str, ...] = ()
    """Message ids and abend codes of the error, not all that occur in a log."""
    lines: tuple[str, ...] = ()
    """The lines that tell most, best first."""
    return_code: int | None = None
    platform: str = ""
    workstation: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    """Times of the run in question, ISO 8601."""
    causes: tuple["Clue", ...] = ()
    """Of several jobs: what one of those with each cause has shown. The codes and lines are then of all of them."""


class ClueBoard(Protocol):
    """Clues of a run's sources, for one of them: post what you know, wait for what others know."""

    @property
    def waited_seconds(self) -> float:
        """Time spent in ``wait``, which is no time of the source itself."""
        ...

    async def post(self, clue: Clue) -> None:
        """Give a clue to the other sources; a later one replaces it. Never raises: a clue is a help, no result."""
        ...

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        """The clues of ``sources``, once each has given one or has ended; those that are there after ``seconds``.

        A source that is not planned, or that no worker has taken yet, is not waited for. Never raises.
        """
        ...


class NoClues:
    """The board of a source that is asked by itself."""

    waited_seconds = 0.0

    async def post(self, clue: Clue) -> None:
        """See ClueBoard."""

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:  # noqa: ARG002  # ClueBoard
        """See ClueBoard."""
        return ()


NO_CLUES: ClueBoard = NoClues()


class SourceRequest(Contract):
    """The request to one source; contains no secret."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    run_id: str
    source: SourceName
    job: str | None = None
    jobs: tuple[str, ...] = ()
    """The jobs of a batch, for ``fetch_many``."""
    jobs_follow: bool = False
    """Whether the jobs that are found are asked about next, each by itself."""
    message: str
    routing: Routing
    tws_instance_id: str | None = None
    limit_seconds: float
    result_limit: int = 5
    clues: SkipValidation[ClueBoard] = Field(default=NO_CLUES, exclude=True, repr=False)
    """What the other sources of the run have found by now."""


class Evidence(Contract):
    """A piece of evidence of a source, cited by ``id``."""

    id: str
    source: SourceName
    kind: str
    title: str
    text: str = Field(max_length=MAX_EVIDENCE_CHARACTERS)
    where: str = ""
    when: str | None = None
    job: str | None = None
    codes: tuple[str, ...] = ()
    score: float | None = None
    language: str = ""
    """Of a page, by its code: ``pt``; empty when unknown."""


class SourceEnvelope(Contract):
    """The result of one source, as it is stored in the run.

    That of a batch has the results of its jobs in ``parts``; who reads a run sees these in its place.
    """

    schema_version: int = SCHEMA_VERSION
    source: SourceName
    job: str | None = None
    batch: int | None = None
    parts: tuple["SourceEnvelope", ...] = ()
    outcome: ReadSourceOutcome
    success: bool
    data: dict[str, Any] = {}
    evidence: tuple[Evidence, ...] = ()
    finding: str = ""
    error: str | None = None
    reason: str | None = None
    latency_ms: FiniteFloat = 0.0
    waited_ms: FiniteFloat = 0.0
    """Part of ``latency_ms`` spent waiting for the clues of other sources."""
    asked: tuple[str, ...] = ()
    where: str = ""
    truncated: str | None = None
    worker: str = ""
    started_at_ms: int | None = None
    kept_from: str | None = None
    """Id of the earlier run whose answer it is."""
    shared_from: str | None = None
    """Id of the run that made the same query, whose answer it is."""
    shared_age_ms: int | None = None
    """Of such an answer: for how long it had been made when this run got it."""
    error_message: MessageData | None = None
    """``error`` as a message, for readers of another language than that of the question."""
    cuts: tuple[MessageData, ...] = ()
    """The parts of ``truncated`` as messages."""

    @field_validator("success")
    @classmethod
    def _success_is_an_outcome(cls, value: bool, info: ValidationInfo) -> bool:
        outcome = info.data.get("outcome")
        return value and outcome is not None and outcome.is_success

    @property
    def key(self) -> str:
        """Key of the envelope inside the run."""
        return source_key(self.source, part_of(self.job, self.batch))

    @property
    def error_text(self) -> Text | str | None:
        """The error, to be written in the reader's language."""
        return self.error_message or self.error

    @property
    def cut_text(self) -> Text | str | None:
        """The cuts, to be written in the reader's language."""
        return join(self.cuts, "; ") if self.cuts else self.truncated


class SourceFailure(Contract):
    """A source that did not answer: an entry of ``sources_failed`` and of a report's ``errors``."""

    source: str
    error: str
    outcome: ReadSourceOutcome | None = None
    reason: str | None = None
    job: str | None = None


class AggregatedData(Contract):
    """The data of all sources: one field per built-in source, ``extra`` for the others, and the figures of the run.

    For several ``jobs``, the field of a source is a mapping of job to data.
    """

    tws_status: dict[str, Any] | None = None
    rag_results: dict[str, Any] | None = None
    log_data: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    extra: dict[str, dict[str, Any]] = {}
    jobs: tuple[str, ...] = ()
    sources_available: tuple[str, ...] = ()
    sources_failed: tuple[SourceFailure, ...] = ()
    parallel_latency_ms: float = 0.0
    """From the first start of a source to the last end."""
    sequential_equivalent_ms: float = 0.0
    """The sum of the sources' latencies, without what they waited for each other's clues."""
    speedup_factor: float = 1.0


class Claim(Contract):
    """A statement of the diagnosis with the evidence that supports it."""

    text: str
    evidence_ids: tuple[str, ...] = ()


class Action(Contract):
    """A proposed step, never executed; ``mutates`` marks a step that changes TWS or data."""

    text: str
    risk: ReadRisk = "none"
    command: str | None = None
    mutates: bool = False


class Hypothesis(Contract):
    """A possible cause with the ids of the evidence for and against it."""

    category: str
    title: str
    confidence: float = Field(ge=0, le=1)
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    job: str | None = None


class Diagnosis(Contract):
    """The structured answer of the rules, or of a model and checked against the evidence."""

    summary: str
    root_cause: str = ""
    category: str = "unknown"
    confidence: float = Field(default=0.0, ge=0, le=1)
    claims: tuple[Claim, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    actions: tuple[Action, ...] = ()
    prevention: tuple[str, ...] = ()
    missing_evidence: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()
    asks_back: bool = False
    """Whether it is not known what the question is about: the answer asks, and a model writes no other."""


class JobReport(Contract):
    """What a run found out about one job.

    ``job`` is the name as it was asked about. ``outcome`` is that of its own sources: ``complete``, ``partial`` (one
    did not answer, or a list was cut), ``failed`` or ``timed_out``. ``errors`` are those that did not answer.
    """

    job: str
    outcome: ReadRunOutcome
    status: str = ""
    """State in TWS; empty when it is not known."""
    category: str = "unknown"
    cause: str = ""
    """What happened to it, in the language of the answer."""
    confidence: float = Field(default=0.0, ge=0, le=1)
    group: int | None = None
    """Number of its group in the report's ``groups``."""
    evidence_ids: tuple[str, ...] = ()
    errors: tuple[SourceFailure, ...] = ()


class JobGroup(Contract):
    """Jobs with the same cause, with what shows it and what to do; of a report's groups the worst is the first."""

    number: int
    category: str = "unknown"
    title: str = ""
    """The cause in a few words."""
    cause: str = ""
    """The cause in a sentence."""
    meaning: str = ""
    """What the cause means in general, and its usual causes; empty when that is not known."""
    confidence: float = Field(default=0.0, ge=0, le=1)
    jobs: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    """Jobs that only wait for these."""
    evidence_ids: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    actions: tuple[Action, ...] = ()


class Report(Contract):
    """The result of a run.

    ``response`` is the answer in Markdown and ``diagnosis`` the same as data. ``committed`` is False for an answer that
    is not stored, with the ``reason``. ``errors`` are the sources that did not answer. ``jobs`` has every job of the
    question, also of one, and ``groups`` the jobs by their causes.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    outcome: ReadRunOutcome
    mode: ReadAnswerMode
    response: str
    diagnosis: Diagnosis | None = None
    routing: Routing | None = None
    aggregated_data: AggregatedData = AggregatedData()
    parallel_results: tuple[SourceEnvelope, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    errors: tuple[SourceFailure, ...] = ()
    jobs: tuple[JobReport, ...] = ()
    groups: tuple[JobGroup, ...] = ()
    parallel_latency_ms: float = 0.0
    total_latency_ms: float = 0.0
    metadata: dict[str, Any] = {}
    committed: bool = True
    committed_by: str = ""
    attempt: int = 0
    reason: str | None = None


class Event(Contract):
    """One entry of a run's event stream; a reader resumes after its ``id``."""

    id: str
    run_id: str
    type: EventType
    at_ms: int
    attempt: int = 0
    data: dict[str, Any] = {}


class RunSummary(Contract):
    """An entry of the list of runs."""

    run_id: str
    state: ReadRunState
    outcome: ReadRunOutcome | None = None
    message: str
    jobs: tuple[str, ...] = ()
    """The jobs that it is about, as far as they are found by now; before that, those that were given."""
    tws_instance_id: str | None = None
    user_id: str | None = None
    """Whose run it is."""
    created_at_ms: int
    deadline_ms: int
    total_latency_ms: float | None = None
    committed_by: str | None = None


class RunPage(Contract):
    """A page of the list of runs."""

    runs: tuple[RunSummary, ...]
    next: str | None = None
    """Where the next page begins, None at the end; a page that found few among many runs has it as well."""


def is_run_id(value: str) -> bool:
    """Whether ``value`` may be the id of a run."""
    return re.fullmatch(_RUN_ID, value) is not None


def source_key(source: str, part: str | None) -> str:
    """Key of a source inside a run: ``source``, ``source|job``, or ``source|+1`` of a batch (no job begins with +)."""
    return source if part is None else f"{source}|{part}"


def read_part(part: str | None) -> tuple[str | None, int | None]:
    """The job and the number of the batch of which ``part`` names one, or neither."""
    if part is None:
        return None, None
    number = part[1:] if part.startswith("+") else ""
    return (None, int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else (part, None)


def part_of(job: str | None, batch: int | None) -> str | None:
    """A job or a batch as the part of a question in keys and messages: ``JOB1``, ``+1``; None for all of it."""
    return job if batch is None else f"+{batch}"


def _read_request(value: object) -> object:
    return TroubleshootRequest.model_validate(value, context=STORED) if isinstance(value, dict) else value


class RunSnapshot(Contract):
    """The present state of a run."""

    run_id: str
    state: ReadRunState
    outcome: ReadRunOutcome | None = None
    request: Annotated[TroubleshootRequest, BeforeValidator(_read_request)]
    plan: Plan | None = None
    sources: dict[str, dict[str, Any]] = {}
    """Per source key: ``state`` (``planned``, ``started``, ``finished``, ``late``), ``started_at_ms``, ``outcome``."""
    created_at_ms: int
    deadline_ms: int
    attempt: int = 0
    results: tuple[SourceEnvelope, ...] = ()
    """What the sources have answered by now, with data and evidence; empty when there is a ``report``, which has it."""
    report: Report | None = None

    @field_serializer("request", mode="wrap")
    def _without_session(self, request: TroubleshootRequest, write: SerializerFunctionWrapHandler) -> Any:
        """Who may read a run is not the one whose session it belongs to, and could go on in it."""
        return write(request.model_copy(update={"session_id": None}))
