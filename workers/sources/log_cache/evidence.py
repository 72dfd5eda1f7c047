"""The job's history as evidence items and as one line."""

from collections.abc import Iterable, Sequence

from orchestrator.i18n.message import Message, Text, join, write
from orchestrator.models import Evidence, SourceRequest
from orchestrator.payloads import HistoryFacts, LogPayload
from workers.sources.log_cache.entries import Entry
from workers.sources.log_cache.history import JobHistory

MAX_EVIDENCE = 24
MAX_EVIDENCE_CHARACTERS = 24_000
STALE_DAYS = 2.0
"""Age of the newest entry from which the summary states it."""
TREND_RATIO = 1.5
"""Elapsed time over the usual one from which the summary states it."""
NOTABLE_RATIO = 1.2
"""Elapsed time over the usual one, or its inverse, from which it is evidence."""
_MAX_OF_A_KIND = 10
_CASES_NAMED = 5

_TITLES = {"recent_error": Message("Recent error"), "history": Message("Earlier run")}


def build_evidence(request: SourceRequest, job_history: JobHistory, *, limit: int) -> tuple[tuple[Evidence, ...], int]:
    """Evidence items, and how many entries were left out for lack of room.

    Recent errors come first, then earlier runs, then conclusions from all of them. Kinds: ``recent_error``,
    ``history``, ``same_code``, ``last_success``, ``trend``.
    """
    language = request.routing.language
    shown = min(limit, _MAX_OF_A_KIND)
    conclusions = tuple(_conclusions(request, job_history))
    entries = [("recent_error", entry) for entry in job_history.errors[:shown]]
    entries += [("history", entry) for entry in job_history.history[:shown]]
    evidence: list[Evidence] = []
    budget = MAX_EVIDENCE_CHARACTERS - sum(len(item.text) for item in conclusions)
    for kind, entry in entries[: MAX_EVIDENCE - len(conclusions)]:
        facts = entry.facts
        if len(facts.text) > budget:
            continue
        budget -= len(facts.text)
        title = (_TITLES[kind].in_language(language), entry.job or request.job, _headline(facts))
        evidence.append(
            Evidence(
                id="",
                source="log_cache",
                kind=kind,
                title=" · ".join(filter(None, title)),
                text=facts.text,
                where=" ".join(filter(None, ("Redis", entry.run_id and f"run {entry.run_id}", facts.step))),
                when=facts.at,
                job=request.job or entry.job or None,
                codes=facts.codes,
            )
        )
    left_out = min(len(job_history.errors), limit) + min(len(job_history.history), limit) - len(evidence)
    numbered = (
        item.model_copy(update={"id": f"log_cache:{number}"})
        for number, item in enumerate((*evidence, *conclusions), start=1)
    )
    return tuple(numbered), left_out


def _conclusions(request: SourceRequest, job_history: JobHistory) -> Iterable[Evidence]:
    """Evidence that follows from several entries."""

    def evidence(
        kind: str, title: Message, text: Text | str, when: str | None, codes: tuple[str, ...] = ()
    ) -> Evidence:
        language = request.routing.language
        return Evidence(
            id="",
            source="log_cache",
            kind=kind,
            title=title.in_language(language),
            text=write(text, language),
            where="Redis",
            when=when,
            job=request.job,
            codes=codes,
        )

    for code, cases in list(job_history.cases.items())[:3]:
        if len(cases) < 2:  # a single case is the entry itself
            continue
        title = Message("{code} already on record {count}x", code=code, count=len(cases))
        text = f"{code}: " + "; ".join(_case(entry) for entry in cases[:_CASES_NAMED])
        yield evidence("same_code", title, text, cases[0].facts.at, (code,))
    if request.job is None:
        return
    if (success := job_history.last_success) is not None:
        yield evidence("last_success", Message("Last success"), f"{request.job}: {_case(success)}", success.facts.at)
    ratio = job_history.elapsed_trend_ratio
    if ratio is not None and not 1 / NOTABLE_RATIO < ratio < NOTABLE_RATIO:
        newest, *earlier = job_history.elapsed_entries
        trend = Message(
            "{job}: newest elapsed time {newest:g} s; earlier: {earlier}",
            job=request.job,
            newest=newest.facts.elapsed_seconds,
            earlier=_seconds(earlier[:_CASES_NAMED]),
        )
        yield evidence("trend", _trend(ratio), trend, newest.facts.at)


def _case(entry: Entry) -> str:
    facts = entry.facts
    code = "" if facts.return_code is None else f"RC={facts.return_code}"
    elapsed = "" if facts.elapsed_seconds is None else f"{facts.elapsed_seconds:g} s"
    return " ".join(filter(None, (facts.at or "?", entry.job, facts.status, code, facts.step, elapsed)))


def _trend(ratio: float) -> Message:
    return Message("Elapsed time {ratio:g}x the usual", ratio=ratio)


def _seconds(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.facts.elapsed_seconds:g} s ({(entry.facts.at or '?')[:10]})" for entry in entries)


def _headline(facts: HistoryFacts) -> str:
    code = "" if facts.return_code is None else f"RC {facts.return_code}"
    return " ".join(filter(None, (facts.status, *facts.codes[:2], code)))


def describe(request: SourceRequest, payload: LogPayload) -> Text:
    """The job's earlier runs in one line."""
    what = request.job or Message("all jobs")
    errors, runs = len(payload.recent_errors), len(payload.history)
    if not errors and not runs:
        return Message("nothing in the log cache about {what}", what=what)
    parts = [
        Message(
            "{errors} and {runs} of {what}",
            errors=Message("{count} recent error", plural="{count} recent errors", count=errors),
            runs=Message("{count} earlier run", plural="{count} earlier runs", count=runs),
            what=what,
        )
    ]
    parts += [_same_code(payload, code, count) for code, count in list(payload.same_code.items())[:2]]
    if payload.elapsed_trend_ratio is not None and payload.elapsed_trend_ratio >= TREND_RATIO:
        parts.append(_trend(payload.elapsed_trend_ratio))
    if (days := payload.newest_age_days) is not None and days >= STALE_DAYS:
        parts.append(
            Message(
                "the newest entry is {count} day old", plural="the newest entry is {count} days old", count=round(days)
            )
        )
    if keys := len(payload.corrupt_keys):
        parts.append(Message("{count} unreadable key", plural="{count} unreadable keys", count=keys))
    return join(parts, "; ")


def _same_code(payload: LogPayload, code: str, count: int) -> Message:
    """How often a code is on record, and the last day: the newest record may be the run asked about."""
    days = [item.at[:10] for item in (*payload.recent_errors, *payload.history) if item.at and code in item.codes]
    if not days:
        return Message("{code} on record {count}x", code=code, count=count)
    return Message("{code} on record {count}x, last on {day}", code=code, count=count, day=max(days))
