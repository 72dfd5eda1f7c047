"""Support for a verdict from history, knowledge base and metrics."""

from orchestrator.codes.catalogue import Category
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.library import RISING_RATIO, elapsed_ratio
from orchestrator.diagnosis.rules.scene import Scene, plain_words
from orchestrator.diagnosis.rules.verdict import Verdict, at_step
from orchestrator.i18n.message import Message, Text
from orchestrator.payloads import SeriesFacts

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


def corroborate(scene: Scene, verdict: Verdict) -> None:
    """Add the claims of the other sources that support a verdict or contradict it."""
    code = verdict.facts.get("code") or (verdict.entry.key if verdict.entry else "")
    _from_history(scene, verdict, code)
    _from_knowledge(scene, verdict, code)
    ratio = elapsed_ratio(scene)
    if verdict.category in (Category.OUT_OF_MEMORY, Category.CPU_TIME_LIMIT) and ratio and ratio >= RISING_RATIO:
        ids = scene.cite("log_cache", kinds=("history",)) or scene.cite("tws_status", kinds=("run",))
        rising = Message(
            "Elapsed time is rising: the last run took {ratio:.1f} times the median of the earlier ones.", ratio=ratio
        )
        verdict.add_claim(rising, ids, 0.04)
    for series in scene.metrics.series if scene.metrics else ():
        if not series.concern:
            continue
        ids = metric_ids(scene, series)
        if verdict.category in (Category.SUCCESS_CONDITION_MET, Category.COMPLETED):
            red_herring = Message(
                "Metric {text} is high, but does not explain this case: to TWS the job did not fail.",
                text=_with_concern(series),
            )
            verdict.claims.append(ClaimDraft(red_herring, tuple(ids)))
        elif _concerns(verdict.category, f"{series.name} {series.concern}"):
            verdict.add_claim(concern(series), ids, 0.03)


def _from_history(scene: Scene, verdict: Verdict, code: str) -> None:
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
    step = at_step(steps.pop()) if len(steps) == 1 else ""
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
    ids = [item for item in scene.cite("log_cache", code, limit=len(scene.evidence)) if item not in of_present]
    before = Message(
        "{code} has occurred once before in this job{step}.",
        plural="{code} has occurred {count} times before in this job{step}.",
        count=count,
        code=code,
        step=step,
    )
    verdict.add_claim(before, ids[:3], 0.03)


def _from_knowledge(scene: Scene, verdict: Verdict, code: str) -> None:
    substatus = scene.job.substatus if scene.job else ""
    words = filter(None, (code, substatus, *_PASSAGE_WORDS.get(verdict.category, ())))
    ids = next((passages for word in words if (passages := scene.cite("rag_search", word, limit=1))), [])
    title = next((item.title for item in scene.evidence if item.id in ids), "")
    if ids:
        covered = Message("The knowledge base covers this case in “{title}”.", title=plain_words(title))
        verdict.add_claim(covered, ids, 0.02)


def metric_ids(scene: Scene, series: SeriesFacts) -> list[str]:
    """The evidence of one metric."""
    return scene.cite("metrics", series.concern, limit=1) or scene.cite("metrics", series.name, limit=1)


def concern(series: SeriesFacts) -> Text:
    """A metric that stands out, with why."""
    return Message("A metric stands out: {text}.", text=_with_concern(series))


def _with_concern(series: SeriesFacts) -> str:
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
