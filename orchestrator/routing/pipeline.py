"""A pipeline: which sources a kind of question is worth, in which stages, and how their answers are reduced.

``BUILT_IN`` is the table of the built-in ones. A site's own are the same data (``routing.registry``), and two of them
compose with ``|``.
"""

from enum import StrEnum
from itertools import zip_longest
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from orchestrator.codes.notation import NamedJobs
from orchestrator.config import InputModel
from orchestrator.errors import InvalidValue
from orchestrator.models import MAX_JOBS, MAX_STAGES, PIPELINE_NAMES, Intent, SourceName
from orchestrator.routing.vocabulary import plain_text
from orchestrator.sources import BUILTIN_SOURCES

_SIGNS: Final = "|+"
"""Between the names of pipelines that are composed; the second stands in the name of a composition."""


class Reduce(StrEnum):
    """What is made of the sources' answers."""

    DIAGNOSIS = "diagnosis"
    """Ranked causes, steps and prevention."""
    STATUS = "status"
    """The state first; causes when there is a problem."""
    KNOWLEDGE = "knowledge"
    """From the catalogue and the knowledge base."""


class SourceLimits(InputModel):
    """How a pipeline asks one source, where that differs from the request and the source's own."""

    seconds: float | None = Field(default=None, gt=0, le=600)
    """Soft time limit, unless the request sets one for the source; at most to the fan-in."""
    batch: int | None = Field(default=None, ge=1, le=MAX_JOBS)
    """Most jobs that one task asks about; at most what the source takes."""
    retries: int = Field(default=0, ge=0, le=5)
    """How often it is asked again, within its limit, after an error that may pass."""
    cache_seconds: float = Field(default=0.0, ge=0, le=3600)
    """For how long its answers are shared with other runs that ask the same; 0: never."""

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_switches(cls, value: object) -> object:
        if isinstance(value, bool):
            raise InvalidValue("must be a number, not true or false")
        return value


class Pipeline(InputModel):
    """Sources to ask, stage by stage, and the reduce that merges their answers.

    A later stage is asked about the jobs of the question and those that the stages before have found. ``sources`` may
    be given in place of ``stages`` for a pipeline of one stage::

        Pipeline(name="fechamento", title="Month end", stages=[["tws_status"], ["log_cache", "rag_search"]])
    """

    name: Annotated[str, StringConstraints(pattern=PIPELINE_NAMES)]
    title: str = Field(default="", max_length=200)
    stages: tuple[Annotated[tuple[SourceName, ...], Field(min_length=1)], ...] = Field(
        min_length=1, max_length=MAX_STAGES
    )
    why: str = Field(default="", max_length=500)
    """Why these sources, for the reason of a plan."""
    reduce: Reduce = Reduce.DIAGNOSIS
    site_sources: bool = False
    """Whether the sources of a site that no stage names are asked as well, in the last stage."""
    intents: tuple[Intent, ...] = ()
    words: tuple[Annotated[str, StringConstraints(max_length=100)], ...] = ()
    """The kinds of question, and the words in one, that lead to it; with both, a question needs both."""
    jobs: tuple[str, ...] = ()
    """Jobs, ranges or patterns that it is about where the question names nothing."""
    limits: dict[SourceName, SourceLimits] = Field(default_factory=dict)
    """By source."""

    @model_validator(mode="before")
    @classmethod
    def _sources_are_one_stage(cls, data: Any) -> Any:
        if isinstance(data, dict) and "sources" in data:
            if "stages" in data:
                raise InvalidValue("{field} and {other_field}: give one of them", field="sources", other_field="stages")
            return {"stages": [data["sources"]], **{key: value for key, value in data.items() if key != "sources"}}
        return data

    @field_validator("stages")
    @classmethod
    def _sources_stand_once(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(dict.fromkeys(stage)) for stage in value)

    @field_validator("words")
    @classmethod
    def _words_are_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not plain_text(word):
                raise InvalidValue("{word!r} holds no word; write one as it stands in questions", word=word)
        return value

    @field_validator("jobs")
    @classmethod
    def _jobs_are_jobs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        named = NamedJobs.of(value, most=MAX_JOBS)
        if named.count > MAX_JOBS:
            raise InvalidValue("{count} jobs are named; {limit} at most", count=named.count, limit=MAX_JOBS)
        return value

    @model_validator(mode="after")
    def _limits_are_of_its_sources(self) -> Self:
        for source in self.limits:
            if source not in self.sources and not self.site_sources:
                raise InvalidValue(
                    "{field}: the pipeline does not ask {source!r}; its sources: {known}",
                    field="limits",
                    source=source,
                    known=", ".join(self.sources),
                )
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of all stages, each once."""
        return tuple(dict.fromkeys(source for stage in self.stages for source in stage))

    def limits_of(self, source: str) -> SourceLimits:
        """How it asks a source."""
        return self.limits.get(source, _NO_LIMITS)

    def words_in(self, text: str) -> int:
        """Length of the longest of its words in a question in plain words; 0: none."""
        padded = f" {text} "
        found = (word for word in map(plain_text, self.words) if f" {word} " in padded)
        return max(map(len, found), default=0)

    def __or__(self, other: "Pipeline") -> "Pipeline":
        """Both pipelines, stage by stage; the left one's name leads, and its reduce and its limits hold."""
        stages = zip_longest(self.stages, other.stages, fillvalue=())
        return Pipeline(
            name=f"{self.name}+{other.name}",
            title=" + ".join(filter(None, (self.title, other.title))),
            stages=tuple((*left, *right) for left, right in stages),
            why="; ".join(filter(None, (self.why, other.why))),
            reduce=self.reduce,
            site_sources=self.site_sources or other.site_sources,
            jobs=tuple(dict.fromkeys((*self.jobs, *other.jobs))),
            limits={**other.limits, **self.limits},
        )


_NO_LIMITS = SourceLimits()


def parts_of(name: str) -> tuple[str, ...]:
    """The names in that of a composition: ``fechamento|status``, ``fechamento+status``."""
    for sign in _SIGNS:
        name = name.replace(sign, " ")
    return tuple(name.split())


TROUBLESHOOT = Pipeline(
    name="troubleshoot",
    stages=(BUILTIN_SOURCES,),
    why="a failure is explained by its state, its log, what happened before, the load and the runbooks",
    intents=(Intent.TROUBLESHOOT,),
    site_sources=True,
)
STATUS = Pipeline(
    name="status",
    stages=(("tws_status", "log_cache"),),
    why="the state is in TWS, and the last runs say whether it is usual",
    intents=(Intent.STATUS,),
    reduce=Reduce.STATUS,
)
KNOWLEDGE = Pipeline(
    name="query",
    stages=(("rag_search", "tws_status"),),
    why="a question about how something works is answered by the runbooks and by the plan",
    intents=(Intent.QUERY,),
    reduce=Reduce.KNOWLEDGE,
)
ACTION = Pipeline(
    name="action",
    stages=(("tws_status", "rag_search", "log_cache"),),
    why="before an action is proposed, the state, the procedure and the last runs must be known; nothing is executed",
    intents=(Intent.ACTION,),
    reduce=Reduce.STATUS,
)
GENERAL = Pipeline(
    name="general",
    stages=(("rag_search",),),
    why="small talk and questions about the tool need the knowledge base at most",
    intents=(Intent.GENERAL,),
    reduce=Reduce.KNOWLEDGE,
)
EVERYTHING = Pipeline(
    name="everything",
    stages=(BUILTIN_SOURCES,),
    why="the kind of question is not clear, so every source is queried",
    intents=(Intent.UNKNOWN,),
    site_sources=True,
)
BUILT_IN = (TROUBLESHOOT, STATUS, KNOWLEDGE, ACTION, GENERAL, EVERYTHING)
