"""Evidence of tws_status: citable, most telling first, within its budget and with what was cut stated."""

from orchestrator.i18n.message import join
from orchestrator.models import Evidence
from orchestrator.payloads import (
    IssueFacts,
    JobFacts,
    JobLogFacts,
    LogWindow,
    RelatedFacts,
    RunFacts,
    TwsPayload,
    WorkstationFacts,
)
from workers.sources.tws_status.evidence import MAX_BYTES, MAX_ITEM_CHARS, MAX_ITEMS, EvidenceBudget, build_evidence

WINDOWS = (
    LogWindow(from_line=1, to_line=1, kind="head", lines=("início",)),
    LogWindow(from_line=40, to_line=41, kind="match", lines=("x", "IEF450I B STEP030 - ABEND=S0C7 U0000")),
)
JOB = JobFacts(
    name="BATCH001",
    workstation="ZOS1",
    job_stream="FATDIA",
    status="ABEND",
    return_code=12,
    runs=(RunFacts(run_id="r1", job_number=7, status="ABEND", return_code=12, elapsed_seconds=3725.0),),
    issues=(IssueFacts(type="T", message="AWSBHT001E não iniciou"),),
    predecessors=(RelatedFacts(name="A", status="SUCC", satisfied=True, dependency_type="INTERNAL"),),
    successors=(RelatedFacts(name="B", status="HOLD"),),
    job_log=JobLogFacts(run_id="r1", total_lines=41, windows=WINDOWS, codes=("S0C7",), step="STEP030"),
)
STATION = WorkstationFacts(name="ZOS1", linked=False, limit=0)


def _build(payload: TwsPayload, budget: EvidenceBudget | None = None) -> tuple[Evidence, ...]:
    return build_evidence(payload, budget or EvidenceBudget(), job="BATCH001", where="tws:31116")


def test_every_kind_of_fact_is_citable() -> None:
    """Job, log windows, issue, run, neighbours and workstation have ids in order, a place and the job asked about."""
    found = _build(TwsPayload(job=JOB, workstations=(STATION,)))
    assert [item.kind for item in found] == [
        "job",
        "job_log",
        "job_log",
        "issue",
        "run",
        "predecessor",
        "successor",
        "workstation",
    ]
    assert [item.id for item in found] == [f"tws_status:{number}" for number in range(1, len(found) + 1)]
    assert {item.job for item in found} == {"BATCH001"}
    assert all(item.where.startswith("tws:31116") for item in found)


def test_codes_stand_in_the_item_that_quotes_them() -> None:
    """The window around the abend comes first, numbered by line, with its codes."""
    found = {item.id: item for item in _build(TwsPayload(job=JOB))}
    window = found["tws_status:2"]
    assert window.codes == ("S0C7", "IEF450I")
    assert window.text.splitlines()[1] == "     41  IEF450I B STEP030 - ABEND=S0C7 U0000"
    assert "RC = 12" in found["tws_status:1"].text
    assert found["tws_status:4"].codes == ("AWSBHT001E",)


def test_what_is_wrong_is_written_large() -> None:
    """An unlinked workstation and an unsatisfied dependency are not to be overlooked."""
    job = JOB.model_copy(update={"predecessors": (RelatedFacts(name="A", kind="file", satisfied=False),)})
    texts = [item.text for item in _build(TwsPayload(job=job, workstations=(STATION,)))]
    assert any("linked NO" in text and "limit 0" in text for text in texts)
    assert any("NOT satisfied" in text for text in texts)


def test_items_are_limited_and_said() -> None:
    """More facts than there is room for are counted as left out."""
    budget = EvidenceBudget()
    found = _build(TwsPayload(problem_jobs=(JOB,) * 20), budget)
    assert len(found) == MAX_ITEMS
    assert str(join(budget.cuts)) == f"{20 * 7 - MAX_ITEMS} evidence items left out"


def test_bytes_are_limited_and_said() -> None:
    """Long texts are shortened, the whole stays within its bytes, and both are stated."""
    windows = tuple(
        LogWindow(from_line=index * 100 + 1, to_line=index * 100 + 50, kind="match", lines=("é" * 300,) * 50)
        for index in range(10)
    )
    assert JOB.job_log is not None
    job = JOB.model_copy(update={"job_log": JOB.job_log.model_copy(update={"windows": windows})})
    budget = EvidenceBudget()
    found = _build(TwsPayload(job=job), budget)
    assert max(len(item.text) for item in found) <= MAX_ITEM_CHARS
    assert sum(len(item.text.encode()) for item in found) <= MAX_BYTES
    assert "evidence items shortened" in str(join(budget.cuts))
    assert "evidence items left out" in str(join(budget.cuts))


def test_nothing_cut_is_nothing_said() -> None:
    """The statement is empty when all fits."""
    budget = EvidenceBudget()
    _build(TwsPayload(job=JOB), budget)
    assert budget.cuts == ()


def test_a_long_window_is_as_many_items_as_hold_it_whole() -> None:
    """No line of a log that was read is lost because it stands at the end of a long window."""
    lines = tuple(f"linha {number} {'x' * 120}" for number in range(100))
    log = JobLogFacts(run_id="r1", total_lines=100, windows=(LogWindow(from_line=1, to_line=100, lines=lines),))
    items = [item for item in _build(TwsPayload(job=JobFacts(name="B", job_log=log))) if item.kind == "job_log"]
    assert len(items) > 1
    text = "\n".join(item.text for item in items)
    assert all(line in text for line in lines)
    assert f"{100:>7}  {lines[99]}" in text


def test_a_line_that_repeats_says_how_often() -> None:
    """Of folded lines the first has their number beside it."""
    window = LogWindow(from_line=7, to_line=8, lines=("Waiting for lock", "end"))
    log = JobLogFacts(run_id="r1", total_lines=26_008, windows=(window,), repeats={7: 26_000})
    items = _build(TwsPayload(job=JobFacts(name="B", job_log=log)))
    assert any("Waiting for lock  [26000 x]" in item.text for item in items)
