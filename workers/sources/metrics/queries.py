"""The PromQL of each series and the intents it is for: the documented defaults, or a site's JSON file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from orchestrator.errors import ConfigurationError, InvalidValue, SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.models import Intent
from orchestrator.validation import describe
from workers.sources.metrics.series import DEFAULT_SERIES, Series

VARIABLE = "RESYNC_METRICS_QUERIES_FILE"
PLACEHOLDER = "$workstation"
"""Replaced by a label matcher for the workstations of the question, else one that matches any value."""
LABEL = "$label"
"""Replaced by the name of the label that identifies hosts."""
MAX_FILE_BYTES = 1_000_000

# As TWS and DNS allow; no character that could end a quoted string or is special in a regular expression.
_WORKSTATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PSEUDO_FILE_SYSTEMS = "tmpfs|ramfs|squashfs|overlay|devtmpfs|iso9660"
_FILE_SYSTEMS = f'fstype!~"{_PSEUDO_FILE_SYSTEMS}",{PLACEHOLDER}'
_DEEP = frozenset({Intent.TROUBLESHOOT, Intent.QUERY, Intent.UNKNOWN})
_ALL = frozenset(Intent)
_SERIES = {series.name: series for series in DEFAULT_SERIES}


@dataclass(frozen=True, slots=True)
class Query:
    """A query and when it applies."""

    series: Series
    promql: str
    intents: frozenset[Intent] = _ALL
    needs_workstation: bool = False
    """Used only when the question names a workstation."""

    def expand(self, workstations: Iterable[str], *, label: str) -> str:
        """The PromQL for these workstations, matched without regard to case, domain and port.

        Raises SourceError for a name that could end the quoted string.
        """
        names = sorted(set(workstations))
        for name in names:
            if not _WORKSTATION.fullmatch(name):
                raise SourceError("{name!r} is not the name of a workstation", name=name, reason="invalid_value")
        matcher = f'{label}=~"(?i:{"|".join(names)})([.:].*)?"' if names else f'{label}=~".*"'
        return self.promql.replace(PLACEHOLDER, matcher).replace(LABEL, label)


@dataclass(frozen=True, slots=True)
class QuerySet:
    """The queries of a site."""

    queries: tuple[Query, ...]
    workstation_label: str = "instance"
    range_seconds: int = 3_600

    def select(self, intent: Intent, *, has_workstation: bool) -> tuple[Query, ...]:
        """The queries for a question of this intent."""
        return tuple(
            query
            for query in self.queries
            if intent in query.intents and (has_workstation or not query.needs_workstation)
        )


DEFAULT_QUERIES: tuple[Query, ...] = (
    Query(_SERIES["api_error_rate"], "max(resync_slo_api_error_rate)", _ALL - {Intent.STATUS}),
    Query(_SERIES["tws_connection_success_rate"], "min(resync_slo_tws_connection_success_rate)"),
    Query(_SERIES["api_response_time_p95"], "max(resync_slo_api_response_time_p95_seconds)", _DEEP),
    Query(_SERIES["cache_hit_rate"], "min(resync_cache_hit_rate)", _DEEP),
    Query(
        _SERIES["queue_depth"],
        'max by (queue) ({__name__=~"resync_queue_depth|resync_troubleshoot_queue_depth"})',
    ),
    Query(
        _SERIES["host_cpu"],
        f'1 - avg by ({LABEL}) (rate(node_cpu_seconds_total{{mode="idle",{PLACEHOLDER}}}[5m]))',
        _DEEP | {Intent.STATUS},
    ),
    Query(
        _SERIES["host_memory"],
        f"1 - node_memory_MemAvailable_bytes{{{PLACEHOLDER}}} / node_memory_MemTotal_bytes{{{PLACEHOLDER}}}",
        _DEEP | {Intent.STATUS},
    ),
    Query(
        _SERIES["host_disk"],
        f"max by ({LABEL}, mountpoint) (1 - node_filesystem_avail_bytes{{{_FILE_SYSTEMS}}}"
        f" / node_filesystem_size_bytes{{{_FILE_SYSTEMS}}})",
        _DEEP | {Intent.STATUS},
    ),
    Query(
        Series("host_oom_kills", "count", "high", 0, Message("processes killed for lack of memory in the last hour")),
        f"increase(node_vmstat_oom_kill{{{PLACEHOLDER}}}[1h])",
        _DEEP,
    ),
    Query(
        Series("host_up", "count", "low", 1, Message("monitoring of the host")),
        f"min by ({LABEL}) (up{{{PLACEHOLDER}}})",
        _ALL,
        needs_workstation=True,
    ),
)


@dataclass(frozen=True, slots=True)
class SiteLabel:
    """A site's label of a series by language, else the series' name."""

    labels: Mapping[Language, str]
    name: str

    def in_language(self, language: Language) -> str:
        """The label in ``language``."""
        return self.labels.get(language, self.name)


class _FileQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    query: str = Field(min_length=1, max_length=4_000)
    unit: Literal["ratio", "count", "seconds"] = "count"
    bad: Literal["high", "low"] = "high"
    limit: float | None = None
    label: dict[Language, str] = {}
    intents: tuple[Intent, ...] = tuple(Intent)
    needs_workstation: bool = False

    @field_validator("query")
    @classmethod
    def _only_our_placeholder(cls, value: str) -> str:
        others = value.replace(PLACEHOLDER, "").replace(LABEL, "")
        # A "$" without a name may end a regular expression: `=~"a$"` is valid PromQL.
        if match := re.search(r"\$\{?[A-Za-z_]+", others):
            raise InvalidValue(
                "unknown placeholder {found}; there are {first} and {second}",
                found=match[0],
                first=PLACEHOLDER,
                second=LABEL,
            )
        return value

    def as_query(self) -> Query:
        label = SiteLabel(self.label, self.name)
        series = Series(name=self.name, unit=self.unit, bad=self.bad, limit=self.limit, label=label)
        return Query(series, self.query, frozenset(self.intents), self.needs_workstation)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: tuple[_FileQuery, ...] = Field(max_length=50)
    keep_defaults: bool = True
    workstation_label: str = Field(default="instance", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    range_seconds: int = Field(default=3_600, ge=300, le=86_400)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [query.name for query in self.queries]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InvalidValue("two queries are named {name!r}", name=twice)
        return self


def load_queries(path: Path | None) -> QuerySet:
    """The defaults merged with a JSON file's queries, which replace defaults of the same name.

    Raises ConfigurationError naming the variable, the field and the problem.
    """
    if path is None:
        return QuerySet(DEFAULT_QUERIES)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            "{variable}: {path}: {detail}", variable=VARIABLE, path=str(path), detail=str(error.strerror or error)
        ) from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigurationError(
            "{variable}: {path}: larger than {limit} bytes", variable=VARIABLE, path=str(path), limit=MAX_FILE_BYTES
        )
    try:
        file_set = _File.model_validate_json(raw)
    except ValidationError as error:
        raise ConfigurationError(
            "{variable}: {path}: {detail}", variable=VARIABLE, path=str(path), detail=describe(error)
        ) from None
    own: Mapping[str, Query] = {query.name: query.as_query() for query in file_set.queries}
    defaults = DEFAULT_QUERIES if file_set.keep_defaults else ()
    replaced = [own.get(query.series.name, query) for query in defaults]
    added = [query for name, query in own.items() if name not in {item.series.name for item in defaults}]
    return QuerySet((*replaced, *added), file_set.workstation_label, file_set.range_seconds)
