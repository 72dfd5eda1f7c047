"""Support for a verdict from history, knowledge base and metrics."""

from collections.abc import Sequence

from orchestrator.codes.catalogue import Category, find_return_code
from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_codes_to_look_up, find_database_codes, find_return_codes
from orchestrator.diagnosis.commands import is_mutating_command, proposal, risk_of
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.library import RISING_RATIO, elapsed_ratio
from orchestrator.diagnosis.rules.scene import Scene, plain_words
from orchestrator.diagnosis.rules.verdict import Verdict, at_step
from orchestrator.diagnosis.runbooks import (
    MAX_STEPS,
    is_for_another_cause,
    is_of_another_platform,
    is_withdrawn,
    names_cause,
    names_code,
    names_return_code,
    section_of_steps,
    steps_of,
)
from orchestrator.i18n.message import Message, Text, join
from orchestrator.models import Evidence
from orchestrator.payloads import SeriesFacts

_LANGUAGES = {
    "en": Message(" (in English)"),
    "pt": Message(" (in Portuguese)"),
    "es": Message(" (in Spanish)"),
}


SHIPPED = "runbooks/"
"""Where the shipped runbooks stand in a knowledge base."""


def corroborate(scene: Scene, verdict: Verdict) -> None:
    """Add the claims of the other sources that support a verdict or contradict it."""
    code = verdict.facts.get("code") or (verdict.entry.key if verdict.entry else "")
    _from_history(scene, verdict, code)
    _from_knowledge(scene, verdict)
    ratio = elapsed_ratio(scene)
    if verdict.category in (Category.OUT_OF_MEMORY, Category.CPU_TIME_LIMIT) and ratio and ratio >= RISING_RATIO:
        ids = scene.cite("log_cache", kinds=("history",)) or scene.cite("tws_status", kinds=("run",))
        rising = Message(
            "Elapsed time is rising: the last run took {ratio:.1f} times the median of the earlier ones.", ratio=ratio
        )
        verdict.add_claim(rising, ids, 0.04)
    for series in concerns(scene):
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


def _from_knowledge(scene: Scene, verdict: Verdict) -> None:
    """A runbook about the same code or cause on the same platform, and its steps."""
    # A page of the site says more than a shipped one of the same case.
    passages = sorted(scene.passages, key=lambda item: item.where.startswith(SHIPPED))
    about = [item for item in passages if _is_about(scene, verdict, item)]
    if not about:
        return
    covers = Message(
        "The knowledge base covers this case in “{title}”{language}.",
        title=page_title(about[0]),
        language=in_another_language(scene, about[0]),
    )
    verdict.add_claim(covers, [about[0].id], 0.02)
    pages = {_page(item) for item in about}
    for item in (*about, *(item for item in passages if _page(item) in pages)):
        if steps := [step for step in steps_of(item.text) if not _is_of_another_code(scene, verdict, step)][:MAX_STEPS]:
            verdict.claims += _quoted(item, steps)
            verdict.supports += [item.id] if item.id not in verdict.supports else []
            return


def steps_in(item: Evidence) -> tuple[ClaimDraft, ...]:
    """The steps that a passage lists, as claims."""
    return _quoted(item, steps_of(item.text)[:MAX_STEPS])


def _quoted(item: Evidence, steps: Sequence[str]) -> tuple[ClaimDraft, ...]:
    section = plain_words(section_of_steps(item.text) or item.where.partition("#")[2])
    if section in ("", page_title(item)):
        sentence = Message("Step {number} of the runbook: “{text}”")
    else:
        sentence = Message("Step {number} of the runbook, section “{section}”: “{text}”")
    return tuple(
        ClaimDraft(
            join((sentence.with_facts(number=number, section=section, text=plain_words(step)), _mark_of(step))),
            (item.id,),
        )
        for number, step in enumerate(steps, start=1)
    )


def _mark_of(step: str) -> Text | str:
    """The mark of a page's step that holds a command which is not proven to look only."""
    return Message("({mark})", mark=proposal(risk_of(step))) if is_mutating_command(step) else ""


def _is_of_another_code(scene: Scene, verdict: Verdict, step: str) -> bool:
    """Whether a step begins with the code or the cause of another case: "RC 127: ...", "Fence: ..."."""
    label = step.partition(":")[0]
    if label != step and is_for_another_cause(verdict.category, label):
        return True
    codes, numbers = find_codes_to_look_up(label), find_return_codes(label)
    if not codes and not numbers:
        return False
    return scene.return_code not in numbers and not set(_codes(scene, verdict)) & set(codes)


def page_title(item: Evidence) -> str:
    """The title of a passage's page, without the section that was found: a passage holds more than that one.

    The section of a manual that is named by a message stays: the manual is about many.
    """
    section = item.where.partition("#")[2]
    is_part = section and not (find_codes_to_look_up(section) or find_database_codes(section))
    return plain_words(item.title.removesuffix(f" – {section}") if is_part else item.title)


def in_another_language(scene: Scene, item: Evidence) -> Text | str:
    """The language of a page that is not the question's; empty for the same, and where it is not known."""
    name = _LANGUAGES.get(item.language)
    return "" if name is None or not scene.language or item.language == scene.language else name


def _page(item: Evidence) -> str:
    return item.where.partition("#")[0]


def _is_about(scene: Scene, verdict: Verdict, item: Evidence) -> bool:
    if is_withdrawn(item.title, item.text) or is_of_another_platform(item.title, item.text, scene.platform):
        return False
    if any(names_code(code, item.title, item.text) for code in _codes(scene, verdict)):
        return True
    substatus = scene.job.substatus if scene.job else ""
    if substatus and names_code(substatus, f"{item.title}\n{item.text}", ""):
        return True
    if names_cause(verdict.category, item.title):
        return True
    code = scene.return_code
    known = find_return_code(code, scene.platform) if code is not None else None
    # A message may say otherwise than the return code usually does: 126 is not always a missing permission.
    if code is None or known is None or known.category is not verdict.category:
        return False
    return names_return_code(code, item.title, item.text, scene.platform)


def _codes(scene: Scene, verdict: Verdict) -> tuple[str, ...]:
    """The codes of a verdict: its own, and those of the lines that it was read from. A bare number is none."""
    own = [verdict.facts.get("code", ""), verdict.entry.key if verdict.entry else ""]
    lines = [
        line
        for sighting in scene.reading.causes
        if sighting.symptom is verdict.entry
        for line in scene.reading.raw[sighting.first : sighting.last + 1]
    ]
    codes = (*own, *find_codes_to_look_up("\n".join(lines)))
    return tuple(dict.fromkeys(code for code in codes if any(map(str.isdigit, code)) and not code.isdigit()))


def metric_ids(scene: Scene, series: SeriesFacts) -> list[str]:
    """The evidence of one metric."""
    return scene.cite("metrics", series.concern, limit=1) or scene.cite("metrics", series.name, limit=1)


def concern(series: SeriesFacts) -> Text:
    """A metric that stands out, with why."""
    return Message("A metric stands out: {text}.", text=_with_concern(series))


def concerns(scene: Scene) -> tuple[SeriesFacts, ...]:
    """The metrics that stand out, without those of a host on which the job does not run."""
    job = scene.job
    names = (job.workstation, *(run.workstation for run in job.runs)) if job else ()
    stations = {bare_name(name).casefold() for name in names if name}
    return tuple(
        series
        for series in (scene.metrics.series if scene.metrics else ())
        if series.concern and not (series.host and stations and series.host.casefold() not in stations)
    )


def _with_concern(series: SeriesFacts) -> str:
    return f"{' '.join(filter(None, (series.name, series.host)))} ({series.concern})"


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
