"""The log cache's findings as evidence and as one line, in the user's language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import Evidence, SourceRequest
from orchestrator.payloads import HistoryFacts, LogPayload
from workers.sources.log_cache.entries import Entry
from workers.sources.log_cache.history import JobHistory

MAX_EVIDENCE = 24
MAX_EVIDENCE_CHARACTERS = 24_000
STALE_DAYS = 2.0
"""Older than this, what the cache knows is said to be old."""
TREND_RATIO = 1.5
"""An elapsed time this many times the usual one is said in the one line."""
NOTABLE_RATIO = 1.2
"""One this much longer or shorter than the usual one is evidence."""
_MAX_OF_A_KIND = 10
_CASES_NAMED = 5

_TITLES = {"recent_error": Message("Recent error"), "history": Message("Earlier run")}


def build_evidence(request: SourceRequest, known: JobHistory, *, limit: int) -> tuple[tuple[Evidence, ...], int]:
    """Recent errors, earlier runs, then what they amount to; and how many entries were left out for size.

    Kinds: ``recent_error``, ``history``, ``same_code``, ``last_success``, ``trend``.
    """
    language = request.routing.language
    shown = min(limit, _MAX_OF_A_KIND)
    drawn = list(_drawn(request, known))
    entries = [("recent_error", entry) for entry in known.errors[:shown]]
    entries += [("history", entry) for entry in known.history[:shown]]
    entries = entries[: MAX_EVIDENCE - len(drawn)]
    evidence: list[Evidence] = []
    budget = MAX_EVIDENCE_CHARACTERS - sum(len(item["text"]) for item in drawn)
    for kind, entry in entries:
        facts = entry.facts
        if len(facts.text) > budget:
            continue
        budget -= len(facts.text)
        evidence.append(
            Evidence(
                id=f"log_cache:{len(evidence) + 1}",
                source="log_cache",
                kind=kind,
                title=" · ".join(
                    filter(None, (_TITLES[kind].in_language(language), entry.job or request.job, _headline(facts)))
                ),
                text=facts.text,
                where=" ".join(filter(None, ("Redis", entry.run_id and f"run {entry.run_id}", facts.step))),
                when=facts.at,
                job=request.job or entry.job or None,
                codes=facts.codes,
            )
        )
    left_out = min(len(known.errors), limit) + min(len(known.history), limit) - len(evidence)
    for item in drawn:
        evidence.append(
            Evidence(
                id=f"log_cache:{len(evidence) + 1}",
                source="log_cache",
                kind=item["kind"],
                title=item["title"],
                text=item["text"],
                where="Redis",
                when=item["when"] or None,
                job=request.job,
                codes=(item["code"],) if item["code"] else (),
            )
        )
    return tuple(evidence), left_out


def _drawn(request: SourceRequest, known: JobHistory) -> Iterable[dict[str, str]]:
    """What follows from all entries together."""
    language = request.routing.language
    job = request.job or ""
    for code, cases in list(known.cases.items())[:3]:
        if len(cases) < 2:  # the entry itself says it all
            continue
        yield {
            "kind": "same_code",
            "title": Message("{code} already on record {count}x", code=code, count=len(cases)).in_language(language),
            "text": f"{code}: " + "; ".join(_case(entry) for entry in cases[:_CASES_NAMED]),
            "when": cases[0].facts.at or "",
            "code": code,
        }
    if known.last_success is not None and request.job is not None:
        facts = known.last_success.facts
        yield {
            "kind": "last_success",
            "title": Message("Last success").in_language(language),
            "text": f"{job}: {_case(known.last_success)}",
            "when": facts.at or "",
            "code": "",
        }
    ratio = known.elapsed_trend_ratio
    if ratio is not None and not 1 / NOTABLE_RATIO < ratio < NOTABLE_RATIO and request.job is not None:
        newest, *earlier = known.elapsed_entries
        yield {
            "kind": "trend",
            "title": _trend(ratio).in_language(language),
            "text": Message(
                "{job}: newest elapsed time {newest:g} s; earlier: {earlier}",
                job=job,
                newest=newest.facts.elapsed_seconds,
                earlier=_seconds(earlier[:_CASES_NAMED]),
            ).in_language(language),
            "when": newest.facts.at or "",
            "code": "",
        }


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
    """What is known of the job's earlier runs, in one line."""
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
        parts.append(Message("the newest entry is {days:.0f} days old", days=days))
    if keys := len(payload.corrupt_keys):
        parts.append(Message("{count} unreadable key", plural="{count} unreadable keys", count=keys))
    return join(parts, "; ")


def _same_code(payload: LogPayload, code: str, count: int) -> Message:
    """How often a code is on record. The newest may be the very run of the question: its day is given."""
    days = [item.at[:10] for item in (*payload.recent_errors, *payload.history) if item.at and code in item.codes]
    if not days:
        return Message("{code} on record {count}x", code=code, count=count)
    return Message("{code} on record {count}x, last on {day}", code=code, count=count, day=max(days))
