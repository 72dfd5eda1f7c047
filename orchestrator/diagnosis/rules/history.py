"""What the log cache remembers of a job that TWS says nothing about: a pointer to the past, never the present state."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.codes.catalogue import Category, Entry, find_code, find_program_code, find_return_code
from orchestrator.codes.patterns import find_abends, find_message_ids, find_program_codes
from orchestrator.diagnosis.rules.log_lines import decisive_line
from orchestrator.diagnosis.rules.scene import DONE_STATES, Finding, Scene, clean_line
from orchestrator.i18n.sentences import say, say_count
from orchestrator.models import Claim
from orchestrator.payloads import HistoryFacts

STALE_DAYS = 2.0
"""A cached log older than this describes the past."""


def remembered(scene: Scene) -> Iterator[Finding]:
    """Without TWS, what the cache says about an earlier time: a pointer, no more."""
    if scene.job is not None or scene.log is None:
        return
    old = (scene.log.newest_age_days or 0.0) >= STALE_DAYS
    for item in (*scene.log.recent_errors, *scene.log.history):
        codes = [*item.codes, *find_abends(item.text), *find_message_ids(item.text)]
        entries = [*map(find_code, codes), *map(find_program_code, find_program_codes(item.text))]
        entry = next((found for found in entries if found and found.category is not Category.UNKNOWN), None)
        if entry is None and item.return_code and item.status not in DONE_STATES:
            entry = find_return_code(item.return_code)
        if entry is not None and entry.category is not Category.UNKNOWN:
            yield _from_cache(scene, item, entry, 0.25 if old else 0.35)
            return


def accepted_before(scene: Scene) -> Iterator[Finding]:
    """Without TWS: runs of the past with the return code that the user names, and which were successes."""
    if scene.job is not None or scene.log is None:
        return
    for code in scene.entities.return_codes:
        same = [item for item in scene.log.history if item.return_code == code]
        if code and same and all(item.status in DONE_STATES for item in same):
            ids = scene.cite("log_cache", f"RC {code}") or scene.cite("log_cache", kinds=("history",))
            claim = Claim(
                text=say_count(scene.language, "accepted_before", len(same), rc=code), evidence_ids=tuple(ids)
            )
            facts = {"rc": str(code), "condition": ""}
            yield Finding(Category.SUCCESS_CONDITION_MET, 0.35, supports=ids, facts=facts, claims=[claim])


def age_of(scene: Scene, item: HistoryFacts) -> str:
    """How old a cached record is, in words."""
    newest = item.age_days if item.age_days is not None else (scene.log.newest_age_days if scene.log else None)
    if newest is None:
        return say(scene.language, "age_unknown")
    return say(scene.language, "age_days", days=f"{newest:.0f}")


def _from_cache(scene: Scene, item: HistoryFacts, entry: Entry, sure: float) -> Finding:
    line = decisive_line(item.text.splitlines(), entry.key)
    ids = (scene.cite_line("log_cache", line) if line else []) or scene.cite("log_cache", entry.key, limit=1)
    facts = {"code": entry.key, "rc": str(item.return_code or "?"), "step": item.step}
    finding = Finding(entry.category, sure, supports=ids, facts=facts, entry=entry)
    if line and ids:
        text = say(scene.language, "cached_line", age=age_of(scene, item), line=clean_line(line))
        finding.claims.append(Claim(text=text, evidence_ids=tuple(ids)))
    return finding
