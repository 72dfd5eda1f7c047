"""The payload of ``tws_status`` as evidence items, within a budget of items and bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.codes.local_time import in_zone
from orchestrator.codes.notation import whole_name
from orchestrator.codes.patterns import find_codes
from orchestrator.i18n.message import Message
from orchestrator.models import Evidence
from orchestrator.payloads import (
    JobFacts,
    ListingFacts,
    LogWindow,
    RelatedFacts,
    RunFacts,
    TwsPayload,
    WorkstationFacts,
)
from orchestrator.redaction.redact import redact, redact_start

MAX_ITEMS = 40
MAX_BYTES = 48 * 1024
MAX_ITEM_CHARS = 6_000
LINE_FRAME = 24
"""Characters around a line: its number, its end, how often it stands there."""
MAX_RUNS = 5
MAX_RELATED = 12


@dataclass(slots=True)
class EvidenceBudget:
    """The room for evidence, the items so far, and what did not fit."""

    items: int = MAX_ITEMS
    bytes_left: int = MAX_BYTES
    left_out: int = 0
    shortened: int = 0
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def cuts(self) -> tuple[Message, ...]:
        """What did not fit, by number."""
        left_out = Message(
            "{count} evidence item left out", plural="{count} evidence items left out", count=self.left_out
        )
        shortened = Message(
            "{count} evidence item shortened", plural="{count} evidence items shortened", count=self.shortened
        )
        return tuple(cut for cut in (left_out, shortened) if cut.facts["count"])

    def add(
        self,
        kind: str,
        title: str,
        text: str,
        *,
        where: str,
        when: str | None = None,
        job: str | None = None,
    ) -> None:
        """Add an item; it is shortened, or counted as left out, when there is no room."""
        if len(self.evidence) >= self.items or self.bytes_left <= 0:
            self.left_out += 1
            return
        # Most of it is masked already, but for what is told by the words that stand around it here.
        shown = text if len(text) <= MAX_ITEM_CHARS else redact_start(text, MAX_ITEM_CHARS)[0]
        if len(shown.encode()) > self.bytes_left:
            shown = redact(shown)
        while len(shown.encode()) > self.bytes_left:
            shown = shown[: len(shown) // 2]
        self.shortened += shown != text
        self.bytes_left -= len(shown.encode())
        self.evidence.append(
            Evidence(
                id=f"tws_status:{len(self.evidence) + 1}",
                source="tws_status",
                kind=kind,
                title=title,
                text=shown,
                where=where,
                when=when,
                job=job,
                codes=find_codes(shown),
            )
        )


def build_evidence(payload: TwsPayload, budget: EvidenceBudget, *, job: str | None, where: str) -> tuple[Evidence, ...]:
    """Evidence items of a payload, in order of importance.

    ``job`` is the job of the question; ``where`` is the host that was queried.
    """
    if payload.job is not None:
        _add_job(payload.job, budget, question_job=job or payload.job.name, where=where, zone=payload.time_zone)
    if payload.listing is not None:
        _add_listing(payload.listing, budget, where=where)
    for problem in payload.problem_jobs:
        owner = job or problem.name
        _add_job(problem, budget, question_job=owner, where=where, zone=payload.time_zone, kind="problem_job")
    for station in payload.workstations:
        budget.add("workstation", f"Workstation {station.name}", _workstation(station), where=where, job=job)
    return tuple(budget.evidence)


def _add_job(
    job: JobFacts, budget: EvidenceBudget, *, question_job: str, where: str, zone: str, kind: str = "job"
) -> None:
    name = whole_name(job)
    budget.add(
        kind,
        f"{job.name}: {job.status}",
        _job(job, zone),
        where=f"{where} {name}",
        when=_time(_event_of(job), zone),
        job=question_job,
    )
    log = job.job_log
    if log is not None:
        # Windows around errors first: head and tail matter less when there is no room.
        pieces = [piece for window in log.windows for piece in _pieces(window)]
        for window in sorted(pieces, key=lambda window: window.kind != "match"):
            budget.add(
                "job_log",
                f"Job log of {job.name}, lines {window.from_line}-{window.to_line}",
                _window(window, log.repeats),
                where=f"{where} run {log.run_id}",
                job=question_job,
            )
    for issue in job.issues:
        budget.add(
            "issue", f"Issue of {job.name}", f"{issue.type}: {issue.message}", where=f"{where} {name}", job=question_job
        )
    budget.left_out += max(0, len(job.runs) - MAX_RUNS)
    for run in job.runs[:MAX_RUNS]:
        budget.add(
            "run",
            f"Run {run.job_number or run.run_id} of {job.name}",
            _run(run, zone),
            where=f"{where} {name}",
            when=_time(run.ended_at or run.started_at, zone),
            job=question_job,
        )
    for label, related in (("predecessor", job.predecessors), ("successor", job.successors)):
        budget.left_out += max(0, len(related) - MAX_RELATED)
        for item in related[:MAX_RELATED]:
            budget.add(
                label,
                f"{item.name}: {item.status or item.dependency_type}",
                _related(item),
                where=where,
                job=question_job,
            )


def _add_listing(listing: ListingFacts, budget: EvidenceBudget, *, where: str) -> None:
    limits = " ".join((*listing.states, *listing.where))
    text = _facts(
        (listing.listed, limits or "all"),
        ("count", listing.count),
        ("not read", listing.unread or ""),
        ("by state", "; ".join(f"{name}: {count}" for name, count in listing.by_code.items())),
        ("by job stream", "; ".join(f"{name}: {count}" for name, count in listing.by_stream.items())),
    )
    budget.add("list", f"{listing.count} {listing.listed}", text, where=where)
    for group in listing.groups:
        text = _facts(
            ("job stream", group.stream),
            ("status", group.status),
            ("RC =", group.return_code),
            ("count", group.count),
            ("names", ", ".join(group.names)),
        )
        budget.add("list", f"{group.count} {group.status}", text, where=where)


def _facts(*pairs: tuple[str, object]) -> str:
    return "; ".join(f"{name} {value}" for name, value in pairs if value not in (None, "", ()))


def _time(value: str | None, zone: str) -> str | None:
    return in_zone(value, zone) or None


def _event_of(job: JobFacts) -> str | None:
    """When the job came into the state that it shows, as far as known."""
    run = job.runs[0] if job.runs else None
    return (run and (run.ended_at or run.started_at)) or job.start_at or job.scheduled_at


def _job(job: JobFacts, zone: str) -> str:
    return _facts(
        ("job", whole_name(job)),
        ("status", job.status),
        ("substatus", job.substatus),
        ("RC =", job.return_code),
        ("success condition", job.success_condition),
        ("failed step", job.job_log.step if job.job_log else ""),
        ("on workstation", job.workstation),
        ("job stream status", job.job_stream_status),
        ("priority", job.priority),
        ("scheduled", _time(job.scheduled_at, zone)),
        ("not before", _time(job.start_at, zone)),
        ("late", "yes" if job.is_late else ""),
        ("logon user", job.logon_user),
        ("task", job.task),
        ("recovery option", job.recovery_option),
        ("estimated duration", _duration(job.estimated_seconds)),
    )


def _run(run: RunFacts, zone: str) -> str:
    return _facts(
        ("status", run.status),
        ("substatus", run.substatus),
        ("RC =", run.return_code),
        ("on", run.workstation),
        ("started", _time(run.started_at, zone)),
        ("ended", _time(run.ended_at, zone)),
        ("elapsed", _duration(run.elapsed_seconds)),
    )


def _related(item: RelatedFacts) -> str:
    satisfied = {True: "satisfied", False: "NOT satisfied", None: ""}[item.satisfied]
    return _facts(
        (item.kind, item.name),
        ("status", item.status),
        ("substatus", item.substatus),
        ("RC =", item.return_code),
        ("dependency", " ".join(filter(None, (item.dependency_type, satisfied)))),
        ("detail", item.detail),
    )


def _workstation(station: WorkstationFacts) -> str:
    words = {True: "yes", False: "NO", None: None}
    return _facts(
        ("workstation", station.name),
        ("type", station.type),
        ("linked", words[station.linked]),
        ("online", words[station.online]),
        ("running", words[station.running]),
        ("limit", station.limit),
        ("fence", station.fence),
        ("active states", ", ".join(station.active_states) or ("none" if station.linked is False else "")),
    )


def _pieces(window: LogWindow) -> Iterator[LogWindow]:
    """The window, in as many parts as items of evidence need to hold it whole."""
    first, size = 0, 0
    for index, line in enumerate(window.lines):
        length = len(line) + LINE_FRAME
        if index > first and size + length > MAX_ITEM_CHARS:
            yield _part(window, first, index)
            first, size = index, 0
        size += length
    yield _part(window, first, len(window.lines))


def _part(window: LogWindow, start: int, end: int) -> LogWindow:
    from_line = window.from_line + start
    changes = {"from_line": from_line, "to_line": from_line + end - start - 1, "lines": window.lines[start:end]}
    return window.model_copy(update=changes)


def _window(window: LogWindow, repeats: Mapping[int, int]) -> str:
    numbered = enumerate(window.lines, start=window.from_line)
    return "\n".join(f"{number:>7}  {line}{_times(repeats.get(number))}" for number, line in numbered)


def _times(count: int | None) -> str:
    return "" if count is None else f"  [{count} x]"


def _duration(value: float | None) -> str:
    if value is None:
        return ""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s"
