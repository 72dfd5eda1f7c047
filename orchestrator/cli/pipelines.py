"""``pipelines``: which pipelines there are, and one of them as a diagram."""

import json
from collections.abc import Iterator
from itertools import pairwise

import click

from orchestrator.cli.completion import pipelines, words
from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.i18n.message import Message, Text, join
from orchestrator.routing.pipeline import Pipeline
from orchestrator.routing.registry import all_pipelines, pipeline_named

_TITLES = {
    "troubleshoot": Message("why something failed"),
    "status": Message("how something stands"),
    "query": Message("how something works"),
    "action": Message("something is to be done"),
    "general": Message("small talk, and the tool itself"),
    "everything": Message("the kind of question is not clear"),
}
"""Titles of the built-in pipelines; that of a site's is in the language of the site."""


@click.command("pipelines")
@click.argument("name", required=False, shell_complete=words(pipelines))
@json_option
@pass_context
def command(context: CliContext, /, *, name: str | None, as_json: bool) -> int:
    """List the pipelines of the site and the built-in ones, or draw NAME as a Mermaid flowchart.

    Those of the site are read from RESYNC_PIPELINES_FILE and from installed packages. NAME may be several: "a|b".
    """
    if name is not None:
        pipeline = pipeline_named(name, context.environ)
        if as_json:
            context.print_json(json.dumps(_facts(pipeline), indent=2, ensure_ascii=False))
        else:
            context.print_text("\n".join(_mermaid(pipeline, context)))
        return 0
    pipelines = all_pipelines(context.environ)
    if as_json:
        context.print_json(json.dumps([_facts(pipeline) for pipeline in pipelines], indent=2, ensure_ascii=False))
        return 0
    head = (Message("name"), Message("title"), Message("sources"), Message("led to by"))
    context.print_text(context.table(head, *map(_row, pipelines)))
    return 0


def _facts(pipeline: Pipeline) -> dict[str, object]:
    title = str(_TITLES.get(pipeline.name, pipeline.title))
    return {**pipeline.model_dump(mode="json"), "title": title, "built_in": pipeline.name in _TITLES}


def _row(pipeline: Pipeline) -> tuple[Text | str, ...]:
    stages = " > ".join(", ".join(stage) for stage in pipeline.stages)
    kinds = ", ".join(intent.value for intent in pipeline.intents)
    words = ", ".join(f"“{word}”" for word in pipeline.words)
    return pipeline.name, _TITLES.get(pipeline.name, pipeline.title), stages, join(filter(None, (kinds, words)), "; ")


def _mermaid(pipeline: Pipeline, context: CliContext) -> Iterator[str]:
    """A Mermaid flowchart: each stage is a chord, a later one asks about the jobs that were found."""

    def label(text: Text | str) -> str:
        return context.write(text).replace('"', "'").replace("|", "+")

    count = len(pipeline.stages)
    stages = [Message("stage {number}: chord", number=number) for number in range(1, count + 1)]
    yield "flowchart LR"
    yield f'    question(["{label(Message("question"))}"]) --> plan["{label(pipeline.name)}"]'
    for number, sources in enumerate(pipeline.stages, start=1):
        yield f'    subgraph stage{number} ["{label(stages[number - 1])}"]'
        for source in sources:
            yield f'        s{number}_{source}["{label(join((source, *_limits(pipeline, source)), "<br>"))}"]'
        if pipeline.site_sources and number == count:
            yield f'        s{number}_site["{label(Message("sources of the site"))}"]'
        yield "    end"
    yield "    plan --> stage1"
    for before, after in pairwise(range(1, count + 1)):
        yield f'    stage{before} -- "{label(Message("jobs found"))}" --> stage{after}'
    reduce = Message("reduce: {name}", name=pipeline.reduce.value)
    yield f'    stage{count} --> reduce[["{label(reduce)}"]] --> answer(["{label(Message("answer"))}"])'


def _limits(pipeline: Pipeline, source: str) -> Iterator[Message]:
    limits = pipeline.limits_of(source)
    if limits.seconds is not None:
        yield Message("{seconds:g} s", seconds=limits.seconds)
    if limits.batch is not None:
        yield Message("{count} job a task", plural="{count} jobs a task", count=limits.batch)
    if limits.retries:
        yield Message("asked again up to {count} time", plural="asked again up to {count} times", count=limits.retries)
    if limits.cache_seconds:
        yield Message("shared for {seconds:g} s", seconds=limits.cache_seconds)
