"""The ``log_cache`` source: what happened to a job before, from Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.errors import SourceError
from orchestrator.models import Evidence, Language, SourceOutcome, SourceRequest
from orchestrator.payloads import HistoryFacts, LogPayload
from orchestrator.sources import FetchResult, SourceSpec
from workers.clients.log_cache_app import AppEntries, read_app_entries
from workers.clients.log_cache_redis import connect, describe_url, source_error
from workers.clients.log_entries import Entry
from workers.config import LogCacheSettings

MAX_EVIDENCE = 20
MAX_EVIDENCE_CHARACTERS = 24_000
STALE_DAYS = 2.0
"""Older than this, what the cache knows is said to be old."""

_TEXTS = {
    Language.PT_BR: {
        "nothing": "nada no cache de logs sobre {what}",
        "found": "{errors} erro(s) recente(s) e {history} execução(ões) anterior(es) de {what}",
        "codes": "códigos: {codes}",
        "same": "{code} já visto {count}x",
        "stale": "o registro mais novo tem {days:.0f} dias",
        "corrupt": "{count} chave(s) ilegível(is)",
        "global": "todos os jobs",
        "recent_error": "Erro recente",
        "history": "Execução anterior",
    },
    Language.EN: {
        "nothing": "nothing in the log cache about {what}",
        "found": "{errors} recent error(s) and {history} earlier run(s) of {what}",
        "codes": "codes: {codes}",
        "same": "{code} seen {count}x before",
        "stale": "the newest entry is {days:.0f} days old",
        "corrupt": "{count} unreadable key(s)",
        "global": "all jobs",
        "recent_error": "Recent error",
        "history": "Earlier run",
    },
    Language.ES: {
        "nothing": "nada en la caché de registros sobre {what}",
        "found": "{errors} error(es) reciente(s) y {history} ejecución(es) anterior(es) de {what}",
        "codes": "códigos: {codes}",
        "same": "{code} ya visto {count}x",
        "stale": "el registro más nuevo tiene {days:.0f} días",
        "corrupt": "{count} clave(s) ilegible(s)",
        "global": "todos los jobs",
        "recent_error": "Error reciente",
        "history": "Ejecución anterior",
    },
}


class LogCacheSource:
    """Reads the log cache; one Redis client per event loop."""

    def __init__(self, settings: LogCacheSettings) -> None:
        self._settings = settings
        self._client: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        connect(settings.redis_url, timeout_seconds=1.0)  # a wrong URL fails here, at start; nothing is opened

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> LogCacheSource:
        """Build from the environment; raises ConfigurationError naming the variable."""
        return cls(LogCacheSettings.from_env(environ))

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Read the job's recent errors and history within the request's limit.

        Raises SourceError: ``unreachable``, ``unauthorized``, ``timeout``, ``refused``, or ``bad_format`` when keys are
        there and none is readable.
        """
        now = datetime.now(UTC)
        redis = self._redis()
        try:
            async with asyncio.timeout(call_limit_seconds(request.limit_seconds)):
                app = await read_app_entries(redis, request.job, now=now)
        except TimeoutError:
            raise SourceError("Redis did not answer in time", reason="timeout") from None
        except RedisError as error:
            raise source_error(error) from None
        return self._result(request, app)

    async def close(self) -> None:
        """Close the client's connections."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    def _redis(self) -> Redis:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # A connection belongs to the loop it was opened on.
            self._client = connect(self._settings.redis_url, timeout_seconds=1.0)
            self._loop = loop
        return self._client

    def _result(self, request: SourceRequest, app: AppEntries) -> FetchResult:
        unreadable = (*app.corrupt_keys, *app.oversized_keys)
        limit = self._settings.entry_limit
        where = describe_url(self._settings.redis_url)
        if not app.errors and not app.history and unreadable:
            raise SourceError(f"unreadable in the log cache: {', '.join(unreadable)}", reason="bad_format")
        errors, history = app.errors[:limit], app.history[:limit]
        payload = LogPayload(
            recent_errors=tuple(entry.facts for entry in errors),
            history=tuple(entry.facts for entry in history),
            last_success_at=next((entry.facts.at for entry in history if entry.succeeded), None),
            same_code=count_codes(request, [*errors, *history]),
            newest_age_days=min(
                (entry.facts.age_days for entry in (*errors, *history) if entry.facts.age_days is not None),
                default=None,
            ),
            corrupt_keys=unreadable,
        )
        evidence, left_out = build_evidence(request, errors, history)
        older = len(app.errors) - len(errors) + len(app.history) - len(history)
        cut = sum(entry.cut_characters for entry in (*errors, *history))
        cuts = [
            f"{older} older entries" if older else "",
            f"{left_out} entries not given as evidence" if left_out else "",
            f"{cut} characters of long entries" if cut else "",
            f"keys over the size limit: {', '.join(app.oversized_keys)}" if app.oversized_keys else "",
        ]
        found = bool(errors or history)
        return FetchResult(
            outcome=SourceOutcome.OK if found else SourceOutcome.NO_DATA,
            data=payload.model_dump(mode="json"),
            evidence=evidence,
            finding=describe(request, payload),
            asked=tuple(f"GET {key}" for key in app.asked),
            where=where,
            truncated="; ".join(filter(None, cuts)) or None,
        )


def call_limit_seconds(limit_seconds: float) -> float:
    """The client's own limit: below the source's, so that the outcome names the counterpart, not the limit."""
    return max(0.05, limit_seconds - max(0.05, min(0.5, 0.1 * limit_seconds)))


def count_codes(request: SourceRequest, entries: Sequence[Entry]) -> dict[str, int]:
    """How often each code of the question has been seen; without one, those of the newest entry that has any."""
    asked = request.routing.entities.codes
    codes = asked or next((entry.facts.codes for entry in entries if entry.facts.codes), ())
    counts = {code: sum(code in entry.facts.codes for entry in entries) for code in codes}
    return {code: count for code, count in counts.items() if count}


def build_evidence(
    request: SourceRequest, errors: Sequence[Entry], history: Sequence[Entry]
) -> tuple[tuple[Evidence, ...], int]:
    """The entries as evidence, recent errors first, and how many were left out for size."""
    texts = _TEXTS[request.routing.language]
    kinds = [("recent_error", entry) for entry in errors] + [("history", entry) for entry in history]
    evidence: list[Evidence] = []
    budget = MAX_EVIDENCE_CHARACTERS
    for kind, entry in kinds:
        facts = entry.facts
        if len(evidence) >= MAX_EVIDENCE or len(facts.text) > budget:
            break
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
    return tuple(evidence), len(kinds) - len(evidence)


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
    parts += [texts["same"].format(code=code, count=count) for code, count in list(payload.same_code.items())[:2]]
    if payload.newest_age_days is not None and payload.newest_age_days >= STALE_DAYS:
        parts.append(texts["stale"].format(days=payload.newest_age_days))
    if payload.corrupt_keys:
        parts.append(texts["corrupt"].format(count=len(payload.corrupt_keys)))
    return "; ".join(parts)


SPEC = SourceSpec(name="log_cache", create=LogCacheSource.from_env, per_job=True)
