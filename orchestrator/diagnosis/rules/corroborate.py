"""What history, knowledge base and metrics say for a cause that the rules found."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.codes.catalogue import Category
from orchestrator.diagnosis.rules.library import RISING_RATIO, elapsed_ratio
from orchestrator.diagnosis.rules.scene import Finding, Scene, plain_words
from orchestrator.i18n.sentences import decimal, say, say_count
from orchestrator.models import Claim
from orchestrator.payloads import SeriesFacts

MOST_CONFIDENT = 0.97
"""No conclusion of rules is certain."""

_PASSAGE_WORDS = {
    Category.JOB_LIMIT_ZERO: ("limit 0", "limite 0", "limit"),
    Category.JOB_LIMIT_REACHED: ("limit",),
    Category.AGENT_UNLINKED: ("unlinked", "link"),
    Category.FENCE_PRIORITY: ("fence",),
    Category.WAITING_FILE: ("openfile", "arquivo", "file"),
    Category.PREDECESSOR_FAILED: ("stuck", "predecess"),
    Category.SUCCESS_CONDITION_MET: ("success condition", "condição de sucesso", "condición de éxito"),
    Category.OUT_OF_MEMORY: ("137", "oom"),
    Category.LOGON_USER_UNKNOWN: ("logon",),
}
"""What a passage of the knowledge base must hold to be about a cause that has no code."""


def corroborate(scene: Scene, finding: Finding) -> None:
    """Add what the other sources say for a cause, or against it."""
    language = scene.language
    code = finding.facts.get("code") or (finding.entry.key if finding.entry else "")
    _from_history(scene, finding, code)
    _from_knowledge(scene, finding, code)
    ratio = elapsed_ratio(scene)
    if finding.category in (Category.OUT_OF_MEMORY, Category.CPU_TIME_LIMIT) and ratio and ratio >= RISING_RATIO:
        ids = scene.cite("log_cache", kinds=("history",)) or scene.cite("tws_status", kinds=("run",))
        add_claim(finding, say(language, "elapsed_rising", ratio=decimal(language, ratio)), ids, 0.04)
    for series in scene.metrics.series if scene.metrics else ():
        if not series.concern:
            continue
        ids, text = metric_ids(scene, series), spoken(series)
        if finding.category in (Category.SUCCESS_CONDITION_MET, Category.COMPLETED):
            finding.claims.append(Claim(text=say(language, "red_herring", text=text), evidence_ids=tuple(ids)))
        elif _concerns(finding.category, f"{series.name} {series.concern}"):
            add_claim(finding, say(language, "concern", text=text), ids, 0.03)


def _from_history(scene: Scene, finding: Finding, code: str) -> None:
    """How often the same code was seen before; the run in question, which the cache may know as well, is not before."""
    if scene.log is None or not code:
        return
    present = [item for item in scene.remembered if scene.is_present(item)]
    occasions = {item.run_id or (item.at or "")[:16] for item in present if code in item.codes}
    same = [item for item in scene.log.history if code in item.codes and item not in present]
    count = max(scene.log.same_code.get(code, 0) - len(occasions), len(same))
    if count < 1:
        return
    steps = {item.step for item in same if item.step}
    step = say(scene.language, "at_step", step=steps.pop()) if len(steps) == 1 else ""
    moments = {item.at for item in present if item.at}
    places = [f"run {item.run_id}" for item in present if item.run_id and not item.at]
    of_present = {
        item.id
        for item in scene.evidence
        if item.source == "log_cache" and (item.when in moments or any(place in item.where for place in places))
    }
    if occasions:
        # The cache's own sum counts the present run: citing it would contradict the sentence.
        of_present.update(scene.cite("log_cache", code, kinds=("same_code",)))
    ids = [found for found in scene.cite("log_cache", code, limit=len(scene.evidence)) if found not in of_present]
    add_claim(finding, say_count(scene.language, "same_code", count, code=code, step=step), ids[:3], 0.03)


def _from_knowledge(scene: Scene, finding: Finding, code: str) -> None:
    substatus = scene.job.substatus if scene.job else ""
    wanted = filter(None, (code, substatus, *_PASSAGE_WORDS.get(finding.category, ())))
    ids = next((found for word in wanted if (found := scene.cite("rag_search", word, limit=1))), [])
    title = next((item.title for item in scene.evidence if item.id in ids), "")
    if ids:
        add_claim(finding, say(scene.language, "runbook", title=plain_words(title)), ids, 0.02)


def metric_ids(scene: Scene, series: SeriesFacts) -> list[str]:
    """The evidence of one metric."""
    return scene.cite("metrics", series.concern, limit=1) or scene.cite("metrics", series.name, limit=1)


def spoken(series: SeriesFacts) -> str:
    """A metric with why it is a concern."""
    return f"{series.name} ({series.concern})"


def _concerns(category: Category, text: str) -> bool:
    words = {
        Category.OUT_OF_MEMORY: ("memory", "memória", "memoria", "mem_"),
        Category.CPU_TIME_LIMIT: ("cpu",),
        Category.DISK_FULL: ("disk", "disco", "filesystem"),
        Category.DATASET_SPACE: ("disk", "disco", "volume", "space"),
        Category.AGENT_UNLINKED: ("agent", "tws_connection", "host_up"),
        Category.JOB_LIMIT_ZERO: ("queue", "fila"),
        Category.JOB_LIMIT_REACHED: ("queue", "fila", "cpu"),
    }
    return any(word in text.casefold() for word in words.get(category, ()))


def add_claim(finding: Finding, text: str, ids: Iterable[str], more: float) -> None:
    """Add a claim that cites ``ids`` and makes the finding surer by ``more``; without ids nothing is added."""
    cited = tuple(ids)
    if not cited:
        return
    finding.claims.append(Claim(text=text, evidence_ids=cited))
    finding.supports += [item for item in cited if item not in finding.supports]
    finding.confidence = min(MOST_CONFIDENT, finding.confidence + more)
