"""The contract: every object that crosses a process border, as a frozen pydantic model.

JSON only, versioned by ``SCHEMA_VERSION``. Times on the wire are UTC epoch milliseconds, durations carry their unit
in the name.

Processes of different versions read each other's objects (``docs/upgrading.md``): a reader ignores fields that it
does not know and reads a value that it does not know as the one its field's type names here. Only what people and
apps write (``InputModel``) refuses unknown fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from orchestrator.codes.notation import check_job_name
from orchestrator.config import STORED, InputModel, ParallelConfig
from orchestrator.errors import InvalidValue
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.i18n.message import Joined, Message, Text, join

SCHEMA_VERSION = 1
"""Of the stored objects. Adding optional fields, event types and values leaves it as it is. Whatever an older reader
would misread raises it: a field that is taken away or means something else, a state or event that ends a run."""
OLDEST_SCHEMA_VERSION = 1
"""The oldest schema that is still read; an object that names none was written by 1."""
MAX_JOBS = 20
"""Jobs in one question; each is asked of every per-job source, so this bounds a run's chord."""
MAX_MESSAGE_CHARACTERS = 8_000
MAX_EVIDENCE_CHARACTERS = 16_000
UNREADABLE = "unreadable"
"""What could not be read of a run, in a report's metadata."""

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{7,63}$")]


_E = TypeVar("_E", bound=StrEnum)


def read_enum(value: str, unknown: _E) -> _E:
    """``value`` as a member of its enumeration; one of a newer version is read as ``unknown``."""
    try:
        return type(unknown)(value)
    except ValueError:
        return unknown


def _read_as(unknown: StrEnum) -> BeforeValidator:
    return BeforeValidator(lambda value: read_enum(value, unknown) if isinstance(value, str) else value)


class Contract(BaseModel):
    """Base of everything else on the wire: frozen, and unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class MessageData(Contract):
    """A ``Message`` in JSON, so that a reader writes it in a language of their own; a text like the ``Message`` itself.

    A text that is no ``Message``, such as the string of a site's source, is the only fact of an empty template.
    """

    key: str
    plural: str = ""
    context: str = ""
    facts: dict[str, str | int | float | MessageData] = {}

    @classmethod
    def of(cls, text: Text | str) -> Self:
        """The storable form of ``text``; facts that JSON does not hold become text."""
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
    def _fact(cls, value: object) -> str | int | float | MessageData:
        if isinstance(value, Text):
            return cls.of(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if is_number else str(value)  # type: ignore[return-value]  # what is_number says

    def mapped(self, change: Callable[[str], str]) -> Self:
        """The same message with its facts changed; without facts, its text."""
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
        """The sentence in ``language``, else in English; the bare key when its facts do not fit it."""
        message = Message(self.key, plural=self.plural, context=self.context, **self.facts)
        for tried in (language, Language.EN):
            try:
                return message.in_language(tried)
            except (LookupError, TypeError, ValueError, AttributeError):
                continue
        return self.key


class Intent(StrEnum):
    """What kind of question the user asked; decides which sources are asked."""

    STATUS = "status"
    TROUBLESHOOT = "troubleshoot"
    QUERY = "query"
    ACTION = "action"
    GENERAL = "general"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Intent | None:
        # The Resync app still writes the older name.
        return cls.TROUBLESHOOT if value == "troubleshooting" else None


class RunState(StrEnum):
    """Where a run stands in the store."""

    ACCEPTED = "accepted"
    DISPATCHING = "dispatching"
    DISPATCHED = "dispatched"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """True once exactly one terminal event has been written."""
        return self in (RunState.DONE, RunState.CANCELLED)


class RunOutcome(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class SourceOutcome(StrEnum):
    """How one source ended; ``ok`` and ``no_data`` are successes."""

    OK = "ok"
    NO_DATA = "no_data"
    TIMEOUT = "timeout"
    ERROR = "error"
    NOT_STARTED = "not_started"
    LOST = "lost"
    LATE = "late"

    @property
    def is_success(self) -> bool:
        """True when the source answered, even if it had nothing to say."""
        return self in (SourceOutcome.OK, SourceOutcome.NO_DATA)


class EventType(StrEnum):
    """Kinds of event in a run's stream; ``final`` and ``cancelled`` are terminal."""

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
        """True for the one event that ends a stream."""
        return self in (EventType.FINAL, EventType.CANCELLED)


class AnswerMode(StrEnum):
    """Who wrote the answer."""

    LLM = "llm"
    DETERMINISTIC = "deterministic"
    RAW = "raw"
    ERROR = "error"


Risk = Literal["none", "low", "medium", "high"]

ReadIntent = Annotated[Intent, _read_as(Intent.UNKNOWN)]
ReadLanguage = Annotated[Language, _read_as(DEFAULT_LANGUAGE)]
ReadRunState = Annotated[RunState, _read_as(RunState.DISPATCHED)]
"""A state of a newer version is an open one: one that is closed would raise the schema."""
ReadRunOutcome = Annotated[RunOutcome, _read_as(RunOutcome.FAILED)]
ReadSourceOutcome = Annotated[SourceOutcome, _read_as(SourceOutcome.ERROR)]
ReadAnswerMode = Annotated[AnswerMode, _read_as(AnswerMode.RAW)]
ReadRisk = Annotated[
    Risk, BeforeValidator(lambda value: "high" if isinstance(value, str) and value not in get_args(Risk) else value)
]


class TroubleshootRequest(InputModel):
    """What a user asks. ``jobs`` lists several jobs for one question; ``job_name`` is the seed's single one."""

    message: str = Field(min_length=1, max_length=MAX_MESSAGE_CHARACTERS)
    user_id: str | None = Field(default=None, max_length=200)
    session_id: str | None = Field(default=None, max_length=200)
    tws_instance_id: str | None = Field(default=None, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    job_name: str | None = None
    jobs: tuple[str, ...] = Field(default=(), max_length=MAX_JOBS)
    language: Language | None = None
    intent: Intent | None = None
    """Fixes the kind of question, and so the sources; None lets the router decide."""
    config: ParallelConfig = ParallelConfig()

    @field_validator("message")
    @classmethod
    def _message_has_text(cls, value: str) -> str:
        if not value.strip():
            raise InvalidValue("the message is empty; write what failed, for example 'Job BATCH001 falhou'")
        return value

    @field_validator("job_name")
    @classmethod
    def _job_name_is_a_job(cls, value: str | None) -> str | None:
        return None if value is None else check_job_name(value)

    @field_validator("jobs")
    @classmethod
    def _jobs_are_jobs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check_job_name(name) for name in value))

    @property
    def named_jobs(self) -> tuple[str, ...]:
        """The jobs the caller named, ``job_name`` first, without repeats."""
        first = () if self.job_name is None else (self.job_name,)
        return tuple(dict.fromkeys((*first, *self.jobs)))


class Entities(Contract):
    """What the router found in the message, verbatim and without repeats."""

    jobs: tuple[str, ...] = ()
    job_streams: tuple[str, ...] = ()
    workstations: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    abend_codes: tuple[str, ...] = ()
    return_codes: tuple[int, ...] = ()
    message_ids: tuple[str, ...] = ()
    times: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Abend codes and message ids: the words a knowledge base should weigh most."""
        return (*self.abend_codes, *self.message_ids)


class Routing(Contract):
    """What kind of question it is and what it is about."""

    intent: ReadIntent
    confidence: float = Field(ge=0, le=1)
    because: tuple[str, ...] = ()
    """The words of the question that spoke for the intent, strongest first."""
    language: ReadLanguage
    entities: Entities = Entities()


class PlannedSource(Contract):
    """One header task of the chord."""

    source: SourceName
    job: str | None = None
    limit_seconds: float = Field(gt=0)
    required: bool = False

    @property
    def key(self) -> str:
        """Key of the envelope inside the run."""
        return source_key(self.source, self.job)


class Plan(Contract):
    """What is going to be asked, and why; written once when the run is routed."""

    schema_version: int = SCHEMA_VERSION
    pipeline: str
    routing: Routing
    sources: tuple[PlannedSource, ...]
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def jobs(self) -> tuple[str, ...]:
        """Every job asked about, in order."""
        return tuple(dict.fromkeys(planned.job for planned in self.sources if planned.job is not None))


class SourceRequest(Contract):
    """What one source is asked: nothing in it is a secret."""

    run_id: str
    source: SourceName
    job: str | None = None
    message: str
    routing: Routing
    tws_instance_id: str | None = None
    limit_seconds: float
    result_limit: int = 5


class Evidence(Contract):
    """One thing a source found, citable by ``id``."""

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


class SourceEnvelope(Contract):
    """A source's answer, as stored in the run."""

    schema_version: int = SCHEMA_VERSION
    source: SourceName
    job: str | None = None
    outcome: ReadSourceOutcome
    success: bool
    data: dict[str, Any] = {}
    evidence: tuple[Evidence, ...] = ()
    finding: str = ""
    error: str | None = None
    reason: str | None = None
    latency_ms: float = 0.0
    asked: tuple[str, ...] = ()
    where: str = ""
    truncated: str | None = None
    worker: str = ""
    started_at_ms: int | None = None
    error_message: MessageData | None = None
    """``error`` with its facts, for a reader of another language than the question's."""
    cuts: tuple[MessageData, ...] = ()
    """``truncated`` part by part, likewise."""

    @field_validator("success")
    @classmethod
    def _success_is_an_outcome(cls, value: bool, info: ValidationInfo) -> bool:
        outcome = info.data.get("outcome")
        return value and outcome is not None and outcome.is_success

    @property
    def key(self) -> str:
        """Key of the envelope inside the run."""
        return source_key(self.source, self.job)

    @property
    def error_text(self) -> Text | str | None:
        """Why the source failed, to be written in the reader's language."""
        return self.error_message or self.error

    @property
    def cut_text(self) -> Text | str | None:
        """What was cut, to be written in the reader's language."""
        return join(self.cuts, "; ") if self.cuts else self.truncated


class SourceFailure(Contract):
    """An entry of ``sources_failed`` and of a report's ``errors``."""

    source: str
    error: str
    outcome: ReadSourceOutcome | None = None
    reason: str | None = None
    job: str | None = None


class AggregatedData(Contract):
    """The seed's ``aggregated_data``: one field per source, then who answered.

    For several jobs, each source field is a mapping of job to that job's data, and ``jobs`` lists them.
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
    sequential_equivalent_ms: float = 0.0
    speedup_factor: float = 1.0


class Claim(Contract):
    """A statement of the diagnosis with the evidence that carries it."""

    text: str
    evidence_ids: tuple[str, ...] = ()


class Action(Contract):
    """A step that is proposed, never executed; ``mutates`` marks one that would change TWS or data."""

    text: str
    risk: ReadRisk = "none"
    command: str | None = None
    mutates: bool = False


class Hypothesis(Contract):
    """A possible cause with what speaks for and against it."""

    category: str
    title: str
    confidence: float = Field(ge=0, le=1)
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    job: str | None = None


class Diagnosis(Contract):
    """The structured answer: from the rules, or refined by a model and checked against the evidence."""

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


class Report(Contract):
    """The end of a run, as the app reads it."""

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
    parallel_latency_ms: float = 0.0
    total_latency_ms: float = 0.0
    metadata: dict[str, Any] = {}
    committed: bool = True
    committed_by: str = ""
    attempt: int = 0
    reason: str | None = None


class Event(Contract):
    """One entry of a run's stream; ``id`` resumes a reader after it."""

    id: str
    run_id: str
    type: EventType
    at_ms: int
    attempt: int = 0
    data: dict[str, Any] = {}


class RunSummary(Contract):
    """A line of the list of runs."""

    run_id: str
    state: ReadRunState
    outcome: ReadRunOutcome | None = None
    message: str
    jobs: tuple[str, ...] = ()
    tws_instance_id: str | None = None
    created_at_ms: int
    deadline_ms: int
    total_latency_ms: float | None = None
    committed_by: str | None = None


def source_key(source: str, job: str | None) -> str:
    """Key of a (job, source) pair inside a run: ``source`` or ``source|job``."""
    return source if job is None else f"{source}|{job}"


def _read_request(value: object) -> object:
    return TroubleshootRequest.model_validate(value, context=STORED) if isinstance(value, dict) else value


class RunSnapshot(Contract):
    """A run as it stands, read without waiting."""

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
    report: Report | None = None
