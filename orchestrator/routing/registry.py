"""The installed pipelines: the built-in ones, a site's file, and those that packages register.

The file is TOML, named by ``RESYNC_PIPELINES_FILE``, with a table for each pipeline; a package registers an object
``Pipeline`` by an entry point of its name in the group ``resync_troubleshoot.pipelines``. Where a name stands in both,
that of the file holds. Both are read once per process.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache, reduce
from importlib.metadata import entry_points
from operator import or_
from pathlib import Path

from pydantic import ValidationError

from orchestrator.errors import ConfigurationError, InvalidRequest, InvalidValue
from orchestrator.i18n.message import Message
from orchestrator.models import Intent, Routing, TroubleshootRequest
from orchestrator.nearest import with_nearest
from orchestrator.plugins import Escaped, contained
from orchestrator.routing.pipeline import BUILT_IN, GENERAL, KNOWLEDGE, STATUS, Pipeline, parts_of
from orchestrator.routing.vocabulary import plain_text
from orchestrator.sources import source_names
from orchestrator.validation import describe

PIPELINES_GROUP = "resync_troubleshoot.pipelines"
PIPELINES_FILE = "RESYNC_PIPELINES_FILE"
CERTAIN_ENOUGH = 0.6
"""Below this confidence in the intent every source is queried: narrowing on a guess could miss the cause.

In the router's cross-validation nine of ten questions are above it, and one in 20 of those is narrowed wrongly (0.5:
one in 16).
"""


def site_pipelines(environ: Mapping[str, str] | None = None) -> tuple[Pipeline, ...]:
    """The pipelines of the site, those of its file first. Raises ConfigurationError naming file, key and fault."""
    path = (os.environ if environ is None else environ).get(PIPELINES_FILE, "")
    of_file = _of_file(path) if path else ()
    names = {pipeline.name for pipeline in of_file}
    return (*of_file, *(pipeline for pipeline in _registered() if pipeline.name not in names))


def all_pipelines(environ: Mapping[str, str] | None = None) -> tuple[Pipeline, ...]:
    """The site's pipelines and the built-in ones. Raises ConfigurationError."""
    return (*site_pipelines(environ), *BUILT_IN)


def pipeline_named(name: str, environ: Mapping[str, str] | None = None) -> Pipeline:
    """A pipeline, or a composition of several, by name.

    Raises InvalidRequest naming the known ones, ConfigurationError.
    """
    by_name = {pipeline.name: pipeline for pipeline in all_pipelines(environ)}
    for part in parts_of(name):
        if part not in by_name:
            problem = Message(
                "{field}: no pipeline is named {name!r}; known: {known}",
                field="pipeline",
                name=part,
                known=", ".join(by_name),
            )
            raise InvalidRequest(with_nearest(problem, part, by_name))
    return reduce(or_, (by_name[part] for part in dict.fromkeys(parts_of(name))))


def check_pipeline(request: TroubleshootRequest) -> None:
    """Raise InvalidRequest for a pipeline that is known not to exist: this process knows the site's."""
    if request.pipeline is not None and site_pipelines():
        pipeline_named(request.pipeline)


def check_pipelines(environ: Mapping[str, str] | None = None) -> tuple[Pipeline, ...]:
    """The site's pipelines, each of whose sources is installed here. Raises ConfigurationError naming the fault."""
    pipelines = site_pipelines(environ)
    known = source_names()
    for pipeline in pipelines:
        for source in pipeline.sources:
            nearest = get_close_matches(source, known, n=1)
            if source not in known and nearest:
                raise ConfigurationError(
                    "pipeline {name}: source {source!r} is not installed; did you mean {nearest}? Installed: {known}",
                    name=pipeline.name,
                    source=source,
                    nearest=nearest[0],
                    known=", ".join(known),
                )
            if source not in known:
                raise ConfigurationError(
                    "pipeline {name}: source {source!r} is not installed; installed: {known}",
                    name=pipeline.name,
                    source=source,
                    known=", ".join(known),
                )
    return pipelines


def chosen_pipeline(request: TroubleshootRequest, routing: Routing) -> Pipeline | None:
    """The pipeline that the request names, or the words of its message lead to.

    Raises InvalidRequest for one that does not exist, ConfigurationError.
    """
    if request.pipeline is not None:
        return pipeline_named(request.pipeline)
    text, kind = plain_text(request.message), _kind_of(routing)
    pipelines = [pipeline for pipeline in site_pipelines() if not pipeline.intents or kind in pipeline.intents]
    best = max(pipelines, key=lambda pipeline: pipeline.words_in(text), default=None)
    return best if best is not None and best.words_in(text) else None


def _kind_of(routing: Routing) -> Intent:
    """The kind of a question, where it is certain enough to narrow the sources."""
    is_sure = routing.confidence >= CERTAIN_ENOUGH or routing.intent is Intent.TROUBLESHOOT
    return routing.intent if is_sure else Intent.UNKNOWN


def pipeline_for(request: TroubleshootRequest, routing: Routing) -> Pipeline:
    """The pipeline of a question: by its name, by words, by the kind of question; a site's before the built-in ones.

    An unknown or uncertain kind asks everything. A knowledge question about a named job also needs the job's state and
    history. Raises InvalidRequest, ConfigurationError.
    """
    if (chosen := chosen_pipeline(request, routing)) is not None:
        return chosen
    if routing.is_off_topic and not routing.entities.candidates:
        return GENERAL
    kind = _kind_of(routing)
    found = next(pipeline for pipeline in all_pipelines() if kind in pipeline.intents and not pipeline.words)
    return KNOWLEDGE | STATUS if found is KNOWLEDGE and routing.entities.jobs else found


@cache
def _of_file(path: str) -> tuple[Pipeline, ...]:
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of TOML: names line and column
        detail = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            "{variable}: {path} cannot be read: {detail}", variable=PIPELINES_FILE, path=path, detail=detail
        ) from error
    return tuple(_of_table(path, name, table) for name, table in tables.items())


def _of_table(path: str, name: str, table: object) -> Pipeline:
    try:
        return _own(_read(name, table))
    except (InvalidValue, ValidationError) as error:
        raise ConfigurationError(
            "{variable}: {path}: [{name}] {problem}",
            variable=PIPELINES_FILE,
            path=path,
            name=name,
            problem=describe(error) if isinstance(error, ValidationError) else error.message,
        ) from None


def _read(name: str, table: object) -> Pipeline:
    if not isinstance(table, dict):
        raise InvalidValue("must be a table: [{name}]", name=name)
    if "name" in table:
        raise InvalidValue("{field}: the name of the table is that of the pipeline; leave it out", field="name")
    return Pipeline.model_validate({"name": name, **table})


@cache
def _registered() -> tuple[Pipeline, ...]:
    return tuple(_loaded())


def _loaded() -> Iterator[Pipeline]:
    for point in entry_points(group=PIPELINES_GROUP):
        try:
            with contained():
                yield _own(_of_entry_point(point.name, point.load()))
        except Exception as error:  # border: a site's module may raise anything
            cause = error.error if isinstance(error, Escaped) else error
            problem = cause.message if isinstance(cause, InvalidValue) else f"{type(cause).__name__}: {cause}"
            raise ConfigurationError(
                "entry point {point!r} of {group}: {problem}", point=point.value, group=PIPELINES_GROUP, problem=problem
            ) from error


def _of_entry_point(name: str, value: object) -> Pipeline:
    if not isinstance(value, Pipeline) or value.name != name:
        raise InvalidValue("must be a Pipeline named {name!r}", name=name)
    return value


def _own(pipeline: Pipeline) -> Pipeline:
    """A site's pipeline, unless its name is taken."""
    if any(pipeline.name == other.name for other in BUILT_IN):
        raise InvalidValue("{name!r} is built in; choose another name", name=pipeline.name)
    if len(parts_of(pipeline.name)) > 1:
        raise InvalidValue("{name!r} is the name of a composition; choose one without '+'", name=pipeline.name)
    return pipeline
