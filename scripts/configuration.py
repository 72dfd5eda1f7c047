"""Write docs/configuration.md: every environment variable, from the settings models and their docstrings.

scripts/configuration.py            write the page
scripts/configuration.py --check    status 1 when the page is not what would be written
"""

# ruff: noqa: T201  # results are printed
from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from orchestrator.config import ParallelConfig, RedisSettings, Settings
from orchestrator.health import HealthSettings
from workers.config import KnowledgeSettings, LlmSettings, LogCacheSettings, MetricsSettings, TwsSettings
from workers.runtime.process import ProcessSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
GROUPS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Broker and store", "every process", RedisSettings),
    ("Runs", "every process", Settings),
    ("Health pages", "workers and watchers", HealthSettings),
    ("Worker process", "workers", ProcessSettings),
    ("TWS", "workers of `tws_status`; `TWS_DEFAULT_INSTANCE` also of `log_cache`", TwsSettings),
    ("Knowledge base", "workers of `rag_search`", KnowledgeSettings),
    ("Log cache", "workers of `log_cache` and `synthesis`", LogCacheSettings),
    ("Metrics", "workers of `metrics`", MetricsSettings),
    ("Language model", "workers of `synthesis`", LlmSettings),
)
INTRODUCTION = """\
# Configuration

<!-- Written by scripts/configuration.py from the settings models: edit those. -->

Everything is read from the environment, once, when a process starts. An empty variable counts as not set. A wrong value
stops the process with one line that names the variable, exit code 2. `REDIS_URL` and every name that begins with `TWS_`
or `LLM_` are also read with the prefix `APP_`, as the Resync app writes them.

With `RESYNC_SECRETS_DIR=/run/secrets`, a variable may also be a file of that folder: it has the variable's name, in
capital or small letters, and the value alone as its content ([secrets](security.md#secrets-from-files)).
"""


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a model."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for node, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value) if isinstance(after.value, ast.Constant) else ""
            texts[node.target.id] = " ".join(str(text).replace("``", "`").split())
    return texts


def names(field: FieldInfo) -> list[str]:
    """The variables of a field, the documented one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias] if isinstance(alias, str) else []


def default(field: FieldInfo) -> str:
    """The default as it would be written in the environment."""
    value: Any = field.default
    if value is None or value in ((), {}):
        return ""
    return (
        f"`{str(value).lower()}`"
        if isinstance(value, bool)
        else f"`{value:g}`"
        if isinstance(value, float)
        else f"`{value}`"
    )


def bounds(field: FieldInfo) -> str:
    """The limits of a number."""
    signs = {"gt": "> ", "ge": ">= ", "lt": "< ", "le": "<= "}
    limits = [
        f"{sign}{getattr(item, name):.12g}"
        for item in field.metadata
        for name, sign in signs.items()
        if hasattr(item, name)
    ]
    return ", ".join(limits)


def rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """Variable, default, bounds and meaning of each field of the model itself."""
    texts = docstrings(model)
    table = []
    for name, field in model.model_fields.items():
        if name not in texts:  # inherited, and told in its own group
            continue
        first, *others = names(field) or [name]
        also = [other for other in others if not other.startswith("APP_")]
        meaning = texts[name] + (f" Also read: {', '.join(f'`{other}`' for other in also)}." if also else "")
        table.append((f"`{first}`", default(field), bounds(field), meaning))
    return table


def section(title: str, read_by: str, model: type[BaseModel]) -> str:
    """One group of variables as Markdown."""
    lines = [
        f"## {title}",
        "",
        f"Read by {read_by}.",
        "",
        "| Variable | Default | Bounds | Meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows(model)]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    sections = [section(*group) for group in GROUPS]
    config = ["## Per run: `ParallelConfig`", "", "| Field | Default | Bounds | Meaning |", "|---|---|---|---|"]
    config += [f"| {' | '.join(row)} |" for row in rows(ParallelConfig)]
    return "\n\n".join([INTRODUCTION.rstrip(), *sections, "\n".join(config)]) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    if "--check" in arguments:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
