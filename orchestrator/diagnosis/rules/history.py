"""Rules on the cached records of a job that TWS has no answer about: hints from the past, never the present state."""

from collections.abc import Iterator

from orchestrator.codes.catalogue import Category, Entry, find_return_code
from orchestrator.codes.patterns import find_abends, find_message_ids, find_program_codes
from orchestrator.codes.states import SUCCEEDED
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.log_lines import decisive_line
from orchestrator.diagnosis.rules.scene import Scene, clean_line
from orchestrator.diagnosis.rules.verdict import Verdict
from orchestrator.i18n.message import Message, Text
from orchestrator.joblog.codes import find_code
from orchestrator.payloads import HistoryFacts

STALE_DAYS = 2.0
"""A cached log older than this describes the past."""


def remembered(scene: Scene) -> Iterator[Verdict]:
    """Without TWS, the newest cached record with a known code: a hint, no more."""
    if scene.job is not None or scene.log is None or not scene.question_job:
        # Records of all jobs explain no one's failure.
        return
    old = (scene.log.newest_age_days or 0.0) >= STALE_DAYS
    for item in (*scene.log.recent_errors, *scene.log.history):
        if known := next(_known_codes(item), None):
            yield _from_cache(scene, item, *known, 0.25 if old else 0.35)
            return


def _known_codes(item: HistoryFacts) -> Iterator[tuple[str, Entry]]:
    codes = (*item.codes, *find_abends(item.text), *find_message_ids(item.text), *find_program_codes(item.text))
    failed_with = item.return_code if item.status not in SUCCEEDED else None
    known = [(code, find_code(code)) for code in codes]
    known.append((str(failed_with), find_return_code(failed_with) if failed_with else None))
    yield from ((code, entry) for code, entry in known if entry is not None and entry.explains_failure)


def accepted_before(scene: Scene) -> Iterator[Verdict]:
    """Without TWS: runs of the past with the return code that the user names, and which were successes."""
    if scene.job is not None or scene.log is None or not scene.question_job:
        return
    for code in scene.entities.return_codes:
        same = [item for item in scene.log.history if item.return_code == code]
        if code and same and all(item.status in SUCCEEDED for item in same):
            ids = scene.cite("log_cache", f"RC {code}") or scene.cite("log_cache", kinds=("history",))
            text = Message(
                "The history shows {count} run with RC {rc} that ended in SUCC.",
                plural="The history shows {count} runs with RC {rc} that ended in SUCC.",
                count=len(same),
                rc=code,
            )
            claims = [ClaimDraft(text, tuple(ids))]
            facts = {"rc": str(code), "condition": ""}
            yield Verdict(Category.SUCCESS_CONDITION_MET, 0.35, supports=ids, facts=facts, claims=claims)


def age_of(scene: Scene, item: HistoryFacts) -> Text:
    """How old a cached record is."""
    newest = item.age_days if item.age_days is not None else (scene.log.newest_age_days if scene.log else None)
    if newest is None:
        return Message("undated")
    return Message("{count} day old", plural="{count} days old", count=round(newest))


def _from_cache(scene: Scene, item: HistoryFacts, code: str, entry: Entry, sure: float) -> Verdict:
    line = decisive_line(item.text.splitlines(), code)
    ids = (scene.cite_line("log_cache", line) if line else []) or scene.cite("log_cache", code, limit=1)
    facts = {"code": code, "rc": str(item.return_code or "?"), "step": item.step}
    verdict = Verdict(entry.category, sure, supports=ids, facts=facts, entry=entry)
    if line and ids:
        text = Message("The cached log ({age}) says: `{line}`", age=age_of(scene, item), line=clean_line(line))
        verdict.claims.append(ClaimDraft(text, tuple(ids)))
    return verdict
