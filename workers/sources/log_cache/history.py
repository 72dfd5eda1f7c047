"""Conclusions from earlier runs: last success, earlier cases of a code, trend of the elapsed time, age."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from orchestrator.codes.patterns import is_abend, is_severe
from workers.sources.log_cache.entries import Entry, newest_first

MIN_EARLIER_RUNS = 2
"""Fewest earlier elapsed times for a comparison."""
MAX_EARLIER_RUNS = 10


@dataclass(slots=True)
class JobHistory:
    """A job's earlier errors and runs, newest first, with the conclusions from them."""

    errors: list[Entry] = field(default_factory=list)
    history: list[Entry] = field(default_factory=list)
    cases: dict[str, list[Entry]] = field(default_factory=dict)
    """Earlier cases of each code, one entry per run."""
    last_success: Entry | None = None
    elapsed_trend_ratio: float | None = None
    """Newest elapsed time over the median of the earlier ones."""
    elapsed_entries: list[Entry] = field(default_factory=list)
    newest_age_days: float | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing is known."""
        return not self.errors and not self.history


def build_history(
    errors: Iterable[Entry], history: Iterable[Entry], findings: Iterable[Entry], *, codes: Sequence[str]
) -> JobHistory:
    """Merge the entries of the app and of the own cache; ``codes`` are those of the question.

    Without a code in the question, the codes of the newest entry that has an abend or severe code are used.
    """
    from_logs = list(findings)
    runs = newest_first(_with_findings(history, from_logs))
    recent = newest_first([*errors, *from_logs])
    everything = newest_first([*recent, *runs])
    timed = [entry for entry in runs if entry.facts.elapsed_seconds is not None and entry.at is not None]
    # Failed runs are no baseline, as they end early or late; but the newest is compared even if it failed.
    timed = [*timed[:1], *(entry for entry in timed[1:] if not entry.failed)]
    return JobHistory(
        errors=recent,
        history=runs,
        cases=_cases(everything, codes or _telling_codes(everything)),
        last_success=next((entry for entry in runs if entry.succeeded), None),
        elapsed_trend_ratio=_trend(timed),
        elapsed_entries=timed,
        newest_age_days=min((e.facts.age_days for e in everything if e.facts.age_days is not None), default=None),
    )


def _with_findings(history: Iterable[Entry], findings: Sequence[Entry]) -> list[Entry]:
    """Outcomes completed by the codes and the step that the log of the same run shows."""
    by_run = {entry.run: entry for entry in findings if entry.run}
    merged: list[Entry] = []
    for entry in history:
        finding = by_run.get(entry.run) if entry.run else None
        if finding is None or entry.succeeded:
            merged.append(entry)
            continue
        codes = tuple(dict.fromkeys((*entry.facts.codes, *finding.facts.codes)))
        update = {"codes": codes, "step": entry.facts.step or finding.facts.step}
        merged.append(replace(entry, facts=entry.facts.model_copy(update=update)))
    return merged


def _telling_codes(entries: Iterable[Entry]) -> tuple[str, ...]:
    for entry in entries:
        abends = tuple(code for code in entry.facts.codes if is_abend(code))
        severe = tuple(filter(is_severe, entry.facts.codes))
        if abends or severe:
            return abends or severe
    return ()


def _cases(entries: Iterable[Entry], codes: Sequence[str]) -> dict[str, list[Entry]]:
    """Entries by code, one per run: the outcome of a run and the errors of its log count once."""
    cases: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        for code in codes:
            if code in entry.facts.codes:
                occasions = cases.setdefault(code, {})
                case = occasions.setdefault(entry.occasion, entry)
                if not case.facts.step and entry.facts.step:
                    occasions[entry.occasion] = entry
    return {code: list(cases[code].values()) for code in codes if code in cases}


def _trend(timed: Sequence[Entry]) -> float | None:
    seconds = [entry.facts.elapsed_seconds or 0.0 for entry in timed]
    earlier = seconds[1 : MAX_EARLIER_RUNS + 1]
    if len(earlier) < MIN_EARLIER_RUNS or (usual := median(earlier)) <= 0:
        return None
    return round(seconds[0] / usual, 2)
