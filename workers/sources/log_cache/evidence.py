"""The log cache's findings as evidence and as one line, in the user's language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.i18n.languages import Language
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

_TEXTS = {
    Language.PT_BR: {
        "nothing": "nada no cache de logs sobre {what}",
        "found": "{errors} erro(s) recente(s) e {history} execução(ões) anterior(es) de {what}",
        "same": "{code} registrado {count}x",
        "same_last": ", por último em {day}",
        "same_title": "{code} já registrado {count}x",
        "last_success": "Último sucesso",
        "trend": "Duração {ratio:g}x a usual",
        "trend_text": "{job}: duração mais recente {newest:g} s; anteriores: {earlier}",
        "stale": "o registro mais novo tem {days:.0f} dias",
        "corrupt": "{count} chave(s) ilegível(is)",
        "global": "todos os jobs",
        "recent_error": "Erro recente",
        "history": "Execução anterior",
    },
    Language.EN: {
        "nothing": "nothing in the log cache about {what}",
        "found": "{errors} recent error(s) and {history} earlier run(s) of {what}",
        "same": "{code} on record {count}x",
        "same_last": ", last on {day}",
        "same_title": "{code} on record {count}x",
        "last_success": "Last success",
        "trend": "Elapsed time {ratio:g}x the usual",
        "trend_text": "{job}: newest elapsed time {newest:g} s; earlier: {earlier}",
        "stale": "the newest entry is {days:.0f} days old",
        "corrupt": "{count} unreadable key(s)",
        "global": "all jobs",
        "recent_error": "Recent error",
        "history": "Earlier run",
    },
    Language.ES: {
        "nothing": "nada en la caché de registros sobre {what}",
        "found": "{errors} error(es) reciente(s) y {history} ejecución(es) anterior(es) de {what}",
        "same": "{code} registrado {count}x",
        "same_last": ", por última vez el {day}",
        "same_title": "{code} ya registrado {count}x",
        "last_success": "Último éxito",
        "trend": "Duración {ratio:g}x la habitual",
        "trend_text": "{job}: duración más reciente {newest:g} s; anteriores: {earlier}",
        "stale": "el registro más nuevo tiene {days:.0f} días",
        "corrupt": "{count} clave(s) ilegible(s)",
        "global": "todos los jobs",
        "recent_error": "Error reciente",
        "history": "Ejecución anterior",
    },
}


def build_evidence(request: SourceRequest, known: JobHistory, *, limit: int) -> tuple[tuple[Evidence, ...], int]:
    """Recent errors, earlier runs, then what they amount to; and how many entries were left out for size.

    Kinds: ``recent_error``, ``history``, ``same_code``, ``last_success``, ``trend``.
    """
    texts = _TEXTS[request.routing.language]
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
                title=" · ".join(filter(None, (texts[kind], entry.job or request.job, _headline(facts)))),
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
    texts = _TEXTS[request.routing.language]
    job = request.job or texts["global"]
    for code, cases in list(known.cases.items())[:3]:
        if len(cases) < 2:  # the entry itself says it all
            continue
        yield {
            "kind": "same_code",
            "title": texts["same_title"].format(code=code, count=len(cases)),
            "text": f"{code}: " + "; ".join(_case(entry) for entry in cases[:_CASES_NAMED]),
            "when": cases[0].facts.at or "",
            "code": code,
        }
    if known.last_success is not None and request.job is not None:
        facts = known.last_success.facts
        yield {
            "kind": "last_success",
            "title": texts["last_success"],
            "text": f"{job}: {_case(known.last_success)}",
            "when": facts.at or "",
            "code": "",
        }
    ratio = known.elapsed_trend_ratio
    if ratio is not None and not 1 / NOTABLE_RATIO < ratio < NOTABLE_RATIO and request.job is not None:
        newest, *earlier = known.elapsed_entries
        yield {
            "kind": "trend",
            "title": texts["trend"].format(ratio=ratio),
            "text": texts["trend_text"].format(
                job=job, newest=newest.facts.elapsed_seconds, earlier=_seconds(earlier[:_CASES_NAMED])
            ),
            "when": newest.facts.at or "",
            "code": "",
        }


def _case(entry: Entry) -> str:
    facts = entry.facts
    code = "" if facts.return_code is None else f"RC={facts.return_code}"
    elapsed = "" if facts.elapsed_seconds is None else f"{facts.elapsed_seconds:g} s"
    return " ".join(filter(None, (facts.at or "?", entry.job, facts.status, code, facts.step, elapsed)))


def _last_day(payload: LogPayload, code: str, words: str) -> str:
    days = [item.at[:10] for item in (*payload.recent_errors, *payload.history) if item.at and code in item.codes]
    return words.format(day=max(days)) if days else ""


def _seconds(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.facts.elapsed_seconds:g} s ({(entry.facts.at or '?')[:10]})" for entry in entries)


def _headline(facts: HistoryFacts) -> str:
    code = "" if facts.return_code is None else f"RC {facts.return_code}"
    return " ".join(filter(None, (facts.status, *facts.codes[:2], code)))


def describe(request: SourceRequest, payload: LogPayload) -> str:
    """One line for the live view, in the user's language."""
    texts = _TEXTS[request.routing.language]
    what = request.job or texts["global"]
    if not payload.recent_errors and not payload.history:
        return texts["nothing"].format(what=what)
    parts = [texts["found"].format(errors=len(payload.recent_errors), history=len(payload.history), what=what)]
    # The newest may be the very run that the question is about, which this source cannot know: its day is said.
    parts += [
        texts["same"].format(code=code, count=count) + _last_day(payload, code, texts["same_last"])
        for code, count in list(payload.same_code.items())[:2]
    ]
    if payload.elapsed_trend_ratio is not None and payload.elapsed_trend_ratio >= TREND_RATIO:
        parts.append(texts["trend"].format(ratio=payload.elapsed_trend_ratio))
    if payload.newest_age_days is not None and payload.newest_age_days >= STALE_DAYS:
        parts.append(texts["stale"].format(days=payload.newest_age_days))
    if payload.corrupt_keys:
        parts.append(texts["corrupt"].format(count=len(payload.corrupt_keys)))
    return "; ".join(parts)
