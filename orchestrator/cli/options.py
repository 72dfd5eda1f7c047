"""Options that several commands share, and a request built from options.

A refused value is reported on one line, by the name of the option that carried it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import click
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.cli.click_words import ClickText
from orchestrator.cli.completion import sources, words
from orchestrator.config import ParallelConfig, Settings
from orchestrator.errors import WrongUsage
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import TroubleshootRequest
from orchestrator.nearest import with_nearest
from orchestrator.validation import about, all_of, problem_of, with_names

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = {
    "message": "MESSAGE",
    "pipeline": "--pipeline",
    "jobs": "--job",
    "job_name": "--job",
    "tws_instance_id": "--instance",
    "user_id": "--user",
    "session_id": "--session",
    "run_id": "--run-id",
    "idempotency_key": "--idempotency-key",
    "after": "--after",
    "language": "--language",
    "node_timeout_seconds": "--node-timeout",
    "total_timeout_seconds": "--total-timeout",
    "synthesis_reserve_seconds": "--reserve",
    "disabled_sources": "--disable",
    "min_sources_required": "--min-sources",
    "rag_result_limit": "--rag-limit",
}


class Seconds(click.FloatRange):
    """Seconds within a range; ``nan`` would be neither below nor above it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(ClickText(Message("is not a number")), param, ctx)
        return number


json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")

redis_url_option = click.option(
    "--redis-url",
    metavar="URL",
    help="Broker and store. A URL with a password belongs in REDIS_URL, where other users cannot read it.",
)


def run_options(command: _Command) -> _Command:
    """Add the options that shape a run: limits, sources, language."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


def _default(field: str) -> str:
    """The default of a field of ParallelConfig, for help; the environment may replace it."""
    return f"{ParallelConfig.model_fields[field].default:g}"


_RUN_OPTIONS = (
    click.option(
        "--node-timeout",
        type=float,
        metavar="SECONDS",
        show_default=_default("node_timeout_seconds"),
        help="Soft time limit of each source.",
    ),
    click.option(
        "--total-timeout",
        type=float,
        metavar="SECONDS",
        show_default=_default("total_timeout_seconds"),
        help="The answer is there by then.",
    ),
    click.option("--reserve", type=float, metavar="SECONDS", help="Time kept for the answer: min(4, 0.4 x total)."),
    click.option(
        "--disable",
        multiple=True,
        metavar="SOURCE",
        shell_complete=words(sources),
        help="Leave a source out; repeatable.",
    ),
    click.option(
        "--min-sources",
        type=int,
        metavar="N",
        show_default=_default("min_sources_required"),
        help="Sources that must answer.",
    ),
    click.option(
        "--rag-limit",
        type=int,
        metavar="N",
        show_default=_default("rag_result_limit"),
        help="Passages queried from the knowledge base.",
    ),
    click.option(
        "--language",
        metavar="|".join(Language),
        shell_complete=words(lambda: Language),
        help="Language of the answer; from the question when left out.",
    ),
)


_FIELDS = {option.removeprefix("--").replace("-", "_"): field for field, option in _OPTIONS.items()}
"""Fields by the parameters in which click gives the values of their options."""


def build_request(settings: Settings, message: str, values: Mapping[str, Any]) -> TroubleshootRequest:
    """The request of the options in ``values`` (by parameter or contract field name; None: not given).

    Raises WrongUsage naming the option and what it must be.
    """
    given = {_FIELDS.get(name, name): value for name, value in values.items() if value is not None and value != ()}
    config_fields = {name: given.pop(name) for name in list(given) if name in ParallelConfig.model_fields}
    defaults = {
        "node_timeout_seconds": settings.node_timeout_seconds,
        "total_timeout_seconds": settings.total_timeout_seconds,
    }
    _check_sources(config_fields.get("disabled_sources", ()))
    try:
        config = ParallelConfig.model_validate(defaults | config_fields)
        return TroubleshootRequest.model_validate({"message": message, "config": config} | given)
    except ValidationError as error:
        raise WrongUsage(explain(error)) from None


def _check_sources(names: tuple[str, ...]) -> None:
    # A misspelt name would silently ask the source that was to be left out. Imported here: it reads entry points.
    from orchestrator.sources import source_names  # noqa: PLC0415

    known = source_names()
    for name in names:
        if name not in known:
            problem = Message(
                "--disable: no source is named {name!r}; installed: {known}", name=name[:80], known=", ".join(known)
            )
            raise WrongUsage(with_nearest(problem, name, known))


def explain(error: ValidationError, options: Mapping[str, str] = _OPTIONS) -> Message:
    """The wrong fields as options: which, what was given, what it must be."""
    return all_of([_explain_item(item, options) for item in error.errors(include_url=False)])


def in_options(text: object) -> Any:
    """A message whose facts ``field`` and ``other_field`` are options, where the fields were given by options."""
    return with_names(text, _OPTIONS)


def _explain_item(item: ErrorDetails, options: Mapping[str, str]) -> Message:
    problem = in_options(problem_of(item))
    if not item["loc"]:
        return cast("Message", problem)
    field = str(item["loc"][0])
    given = item["input"]
    # The message of a question may hold anything; a number or a short name may be repeated to its writer.
    shown = isinstance(given, int | float) or (isinstance(given, str) and field != "message" and len(given) <= 60)
    if shown and repr(given) not in str(problem):
        problem = Message("{given} is not accepted: {problem}", given=repr(given), problem=problem)
    return about(options.get(field, field), problem)
