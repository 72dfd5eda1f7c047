"""RunView: a run's events folded into what a reader sees."""

from __future__ import annotations

from enum import StrEnum
from io import StringIO
from itertools import count
from typing import Any

import pytest
from rich.console import Console

from orchestrator.cli.live import render
from orchestrator.cli.plain import PlainDisplay
from orchestrator.cli.view import RunView
from orchestrator.codes.control import one_line, visible
from orchestrator.i18n.languages import Language, language_of
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Event, EventType, RunOutcome, RunState, SourceOutcome
from orchestrator.outcomes import run_word, source_word

RUN = "run-0000-0001"


class Script:
    """Writes events of one run with growing ids, one every 100 ms of the store's clock."""

    def __init__(self) -> None:
        self._ids = count(1)

    def __call__(self, kind: EventType, *, attempt: int = 0, **data: Any) -> Event:
        number = next(self._ids)
        return Event(id=f"{number}-0", run_id=RUN, type=kind, at_ms=1_000 + 100 * number, attempt=attempt, data=data)


def planned(*names: str, job: str | None = "BATCH001") -> list[dict[str, Any]]:
    return [{"key": f"{n}|{job}", "source": n, "job": job, "limit_seconds": 5.0} for n in names]


def fold(*events: Event) -> RunView:
    view = RunView()
    for event in events:
        view.apply(event, 50.0)
    return view


def opening(write: Script) -> list[Event]:
    return [
        write(EventType.ACCEPTED, total_seconds=10.0, deadline_ms=11_000, jobs=["BATCH001"], message="?"),
        write(EventType.ROUTED, intent="troubleshoot", confidence=0.9, sources=planned("tws_status", "metrics")),
    ]


def test_view_has_a_row_per_planned_source() -> None:
    """A routed run shows every planned source in the plan's order before any has started."""
    view = fold(*opening(Script()))
    assert [(row.source, row.state) for row in view.rows.values()] == [
        ("tws_status", "planned"),
        ("metrics", "planned"),
    ]
    assert view.total_seconds == 10.0


def test_view_follows_a_source() -> None:
    """A source goes from planned to running to its outcome, with its time and finding."""
    write = Script()
    view = fold(*opening(write), write(EventType.SOURCE_STARTED, source="metrics", job="BATCH001", worker="w"))
    row = view.rows["metrics|BATCH001"]
    assert row.state == "running"
    assert view.row_seconds(row, 50.5) == pytest.approx(0.5)
    view.apply(
        write(
            EventType.SOURCE_FINISHED,
            source="metrics",
            job="BATCH001",
            outcome="ok",
            latency_ms=310.0,
            finding="CPU 97 %",
        ),
        51.0,
    )
    assert (row.state, row.remark, view.row_seconds(row, 99.0)) == ("ok", "CPU 97 %", pytest.approx(0.31))


def test_view_ignores_a_start_after_the_end() -> None:
    """A start that is delivered after the source's end does not reopen its row."""
    write = Script()
    start = write(EventType.SOURCE_STARTED, source="metrics", job="BATCH001")
    end = write(EventType.SOURCE_FINISHED, source="metrics", job="BATCH001", outcome="timeout", latency_ms=5000)
    assert fold(*opening(write), end, start).rows["metrics|BATCH001"].state == "timeout"


def test_view_clock_is_the_stores() -> None:
    """Elapsed time comes from the events' clock and this process's monotonic time, whatever the local date is."""
    view = fold(*opening(Script()))
    assert view.elapsed_seconds(52.0) == pytest.approx(2.1)


def test_view_drops_texts_of_older_attempts() -> None:
    """A newer attempt drops the draft and the tokens; what the older holder still writes is ignored."""
    write = Script()
    view = fold(
        *opening(write),
        write(EventType.SYNTHESIS_STARTED, attempt=1, by="first"),
        write(EventType.DRAFT, attempt=1, text="old draft"),
        write(EventType.TOKEN, attempt=1, text="old token"),
    )
    assert view.body == "old token"
    view.apply(write(EventType.SYNTHESIS_STARTED, attempt=2, by="second"), 50.0)
    assert (view.body, view.synthesis_by) == ("", "second")
    assert not view.apply(write(EventType.TOKEN, attempt=1, text="late"), 50.0)
    view.apply(write(EventType.TOKEN, attempt=2, text="new"), 50.0)
    assert view.body == "new"


def test_view_shows_tokens_over_the_draft_and_the_answer_over_both() -> None:
    """The draft gives way to the model's words, and these to the committed answer."""
    write = Script()
    view = fold(*opening(write), write(EventType.DRAFT, text="draft"))
    shown = [view.body]
    for event in (
        write(EventType.TOKEN, text="a "),
        write(EventType.TOKEN, text="b"),
        write(EventType.FINAL, outcome="complete", mode="llm", committed_by="s", response="answer"),
    ):
        view.apply(event, 50.0)
        shown.append(view.body)
    assert shown == ["draft", "a ", "a b", "answer"]


def test_view_takes_the_silent_sources_from_the_final_event() -> None:
    """A source that never reported gets its state and reason from the final event; one that reported keeps its own."""
    write = Script()
    view = fold(
        *opening(write),
        write(EventType.SOURCE_FINISHED, source="metrics", job="BATCH001", outcome="error", error="refused"),
        write(
            EventType.FINAL,
            outcome="failed",
            mode="error",
            committed_by="watcher",
            response="",
            errors=[
                {"source": "metrics", "job": "BATCH001", "outcome": "error", "error": "other words"},
                {"source": "tws_status", "job": "BATCH001", "outcome": "not_started", "error": "no worker"},
            ],
        ),
    )
    assert [(row.state, row.remark) for row in view.rows.values()] == [
        ("not_started", "no worker"),
        ("error", "refused"),
    ]


def test_view_is_closed_by_the_terminal_event() -> None:
    """After the terminal event nothing changes any more."""
    write = Script()
    view = fold(*opening(write), write(EventType.CANCELLED, by="cli"))
    assert view.is_closed
    assert view.outcome == "cancelled"
    assert not view.apply(write(EventType.DRAFT, text="too late"), 50.0)
    assert view.body == ""


def test_view_names_jobs_only_when_there_are_several() -> None:
    """With one job a row is the source's name; with more each row says which job."""
    write = Script()
    one = fold(*opening(write))
    two = fold(
        write(
            EventType.ROUTED,
            intent="status",
            confidence=1,
            sources=planned("metrics") + planned("metrics", job="BATCH002"),
        )
    )
    assert [one.name_of(row) for row in one.rows.values()] == ["tws_status", "metrics"]
    assert [two.name_of(row) for row in two.rows.values()] == ["metrics [BATCH001]", "metrics [BATCH002]"]


@pytest.mark.parametrize("kind", list(EventType))
def test_view_takes_every_event_type_without_data(kind: EventType) -> None:
    """Every kind of event is understood, even one that a newer server left fields out of."""
    view = fold(Script()(kind))
    assert view.last_event_id == "1-0"


def test_clean_removes_what_a_terminal_would_obey() -> None:
    """Escape sequences, control characters and direction overrides of a quoted log never reach the terminal."""
    assert visible("\x1b[2J\x1b[31mS0C7\x1b[0m\x07 a\u202eb\tc\nd\r\n\x9b31m") == "S0C7 ab\tc\nd\n"


def test_one_line_is_one_line() -> None:
    """A finding of several lines is shown on one and cut with a mark."""
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("x" * 300, limit=10) == "x" * 9 + "…"


def test_plain_lines_tell_the_whole_run() -> None:
    """Without a terminal each step is one line, tokens none."""
    write = Script()
    lines: list[Text | str] = []
    with PlainDisplay(RunView(), lines.append) as display:
        for event in (
            *opening(write),
            write(EventType.SOURCE_STARTED, source="metrics", job="BATCH001"),
            write(
                EventType.SOURCE_FINISHED,
                source="metrics",
                job="BATCH001",
                outcome="timeout",
                latency_ms=5000,
                error="no answer\nin time",
            ),
            write(EventType.SYNTHESIS_STARTED, attempt=1, by="synthesis@h"),
            write(
                EventType.AGGREGATED,
                attempt=1,
                sources_available=["tws_status", "metrics"],
                sources_failed=[{"source": "metrics", "job": "A"}, {"source": "log_cache", "job": "A"}],
                parallel_latency_ms=500,
                sequential_equivalent_ms=1200,
                speedup_factor=2.4,
            ),
            write(EventType.DRAFT, attempt=1, text="Summary\nmore"),
            write(EventType.TOKEN, attempt=1, text="x"),
            write(
                EventType.FINAL,
                outcome="partial",
                mode="deterministic",
                committed_by="w",
                response="r",
                total_latency_ms=2340,
                errors=[{"source": "tws_status", "job": "BATCH001", "outcome": "not_started", "error": "no worker"}],
            ),
        ):
            display.take(event, 1.0)
    assert [str(line) for line in lines] == [
        f"run {RUN}: accepted, an answer within 10 s",
        "troubleshoot (90%); querying 2: tws_status, metrics",
        "metrics: started",
        "metrics: timed out, 5.00 s - no answer in time",
        "writing the answer (attempt 1, synthesis@h)",
        "2 of 3 sources answered; 0.50 s in parallel, 1.20 s in sequence (2.40x)",
        "draft: Summary more",
        "tws_status: not started - no worker",
        "partial in 2.34 s (mode deterministic, committed by w)",
    ]


def test_times_that_do_not_compare_are_not_compared() -> None:
    """A run in which sources waited longer than they took says how long it took, and nothing else."""
    write, lines = Script(), list[Text | str]()
    event = write(
        EventType.AGGREGATED,
        attempt=1,
        sources_available=["rag_search", "metrics"],
        sources_failed=[],
        parallel_latency_ms=364,
        sequential_equivalent_ms=239,
        speedup_factor=0.65,
    )
    PlainDisplay(RunView(), lines.append).take(event, 1.0)
    assert [str(line) for line in lines] == ["2 of 2 sources answered in 0.36 s"]


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, Language.EN),
        ({"LANG": "pt_BR.UTF-8"}, Language.PT_BR),
        ({"LANG": "pt_PT.UTF-8", "LC_MESSAGES": "es_ES.UTF-8"}, Language.ES),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": "C.UTF-8"}, Language.EN),
        ({"LC_ALL": "", "LANG": "pt_BR"}, Language.PT_BR),
        ({"LANG": "pt-br"}, Language.PT_BR),
        ({"LANG": "es@euro"}, Language.ES),
        ({"LANG": "tlh_XX.UTF-8"}, Language.EN),
        ({"LANG": "et_EE.UTF-8"}, Language.EN),
        ({"LANG": "ptx_XX.UTF-8"}, Language.EN),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "pt_BR:en"}, Language.PT_BR),
        ({"LC_ALL": "pt_BR.UTF-8", "LANGUAGE": "tlh:es:pt"}, Language.ES),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE": "tlh"}, Language.EN),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE": ""}, Language.PT_BR),
        ({"LANG": "C", "LANGUAGE": "pt_BR"}, Language.EN),
        ({"LC_ALL": "POSIX", "LANG": "pt_BR", "LANGUAGE": "pt_BR"}, Language.EN),
        ({"LANGUAGE": "pt_BR"}, Language.EN),
    ],
)
def test_language_follows_the_locale(environ: dict[str, str], language: Language) -> None:
    """As gettext has it: LC_ALL before LC_MESSAGES before LANG, the list LANGUAGE before all but C; else English."""
    assert language_of(environ) is language


@pytest.mark.parametrize("outcome", list(SourceOutcome))
def test_every_outcome_of_a_source_has_a_word(outcome: SourceOutcome) -> None:
    """The live view has a word for every outcome; that of a newer server stands as it is."""
    assert isinstance(source_word(outcome.value), Message)
    assert source_word("of_tomorrow") == "of_tomorrow"


@pytest.mark.parametrize("state", [*RunState, *RunOutcome])
def test_every_state_of_a_run_has_a_word(state: str) -> None:
    """So have a run's states and outcomes."""
    assert isinstance(run_word(state), Message)
    assert run_word("of_tomorrow") == "of_tomorrow"


def test_an_event_type_that_is_not_shown_is_passed_over() -> None:
    """A type of event that the view has no place for changes nothing but where to resume."""
    write = Script()
    view = fold(*opening(write))
    event = write(EventType.DRAFT).model_copy(update={"type": StrEnum("Other", {"OTHER": "other"}).OTHER})
    assert not view.apply(event, 50.0)
    assert view.last_event_id == event.id


ODD: tuple[object, ...] = (None, 7, "x", [], [1], {"a": 1}, [{"source": 1, "job": 2, "key": 3}])
FIELDS = (
    *("total_seconds", "intent", "confidence", "notes", "sources", "source", "job", "outcome", "latency_ms", "finding"),
    *("sources_available", "sources_failed", "speedup_factor", "parallel_latency_ms", "text", "errors", "response"),
    "total_latency_ms",
)


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_events_with_data_of_another_shape_are_shown_as_far_as_they_can_be_read(odd: object) -> None:
    """Neither the lines nor the live view fail over what a newer version wrote into an event; the end is seen."""
    write, view = Script(), RunView()
    lines: list[Text | str] = []
    display = PlainDisplay(view, lines.append)
    for kind in EventType:
        if not kind.is_terminal:
            display.take(write(kind, **dict.fromkeys(FIELDS, odd)), 50.0)
            render(view, Language.EN, monotonic=51.0)
    display.take(write(EventType.FINAL, **dict.fromkeys(FIELDS, odd)), 50.0)
    render(view, Language.EN, monotonic=51.0)
    assert view.is_closed
    assert lines


def batches(source: str, count_of_jobs: int, size: int) -> list[dict[str, Any]]:
    """The plan of a source that is asked about many jobs in batches."""
    jobs = [f"JOB{number:03}" for number in range(count_of_jobs)]
    chunks = [jobs[start : start + size] for start in range(0, count_of_jobs, size)]
    return [
        {"source": source, "job": None, "batch": number, "jobs": chunk, "limit_seconds": 5.0}
        for number, chunk in enumerate(chunks, start=1)
    ]


def finished_batch(write: Script, plan: dict[str, Any], failed: int = 0) -> Event:
    """The end of a batch, in which the first jobs have failed."""
    ends = ["timeout"] * failed + ["ok"] * (len(plan["jobs"]) - failed)
    parts = [
        {"job": job, "outcome": end, "latency_ms": 5.0, "finding": f"{job}: {end}"}
        for job, end in zip(plan["jobs"], ends, strict=True)
    ]
    return write(
        EventType.SOURCE_FINISHED, source=plan["source"], job=None, batch=plan["batch"], jobs=parts, outcome="ok"
    )


def test_a_batch_of_few_jobs_has_a_row_for_each() -> None:
    """The start and the end of a batch are those of its jobs, each with its own outcome and finding."""
    write = Script()
    (plan,) = batches("tws_status", 2, 2)
    lines: list[Text | str] = []
    view = RunView()
    display = PlainDisplay(view, lines.append)
    display.take(
        write(EventType.ROUTED, intent="status", confidence=1.0, sources=[plan, *planned("metrics", job=None)]), 1
    )
    display.take(write(EventType.SOURCE_STARTED, source="tws_status", job=None, batch=1, worker="w"), 1)
    assert [row.state for row in view.rows.values()] == ["running", "running", "planned"]
    display.take(finished_batch(write, plan, failed=1), 1)
    assert [str(line) for line in lines][1:] == [
        "tws_status [JOB000]: started",
        "tws_status [JOB001]: started",
        "tws_status [JOB000]: timed out, 0.01 s - JOB000: timeout",
        "tws_status [JOB001]: ok, 0.01 s - JOB001: ok",
    ]
    assert list(view.rows) == ["tws_status|JOB000", "tws_status|JOB001", "metrics"]


def test_a_run_of_many_jobs_shows_how_far_each_source_is() -> None:
    """Two hundred jobs take a line for each source and one for each batch, not one for each job."""
    write = Script()
    tws = batches("tws_status", 200, 50)
    log = [{"source": "log_cache", "job": job} for plan in tws for job in plan["jobs"]]
    lines: list[Text | str] = []
    view = RunView()
    display = PlainDisplay(view, lines.append)
    routed = write(EventType.ROUTED, intent="status", confidence=1.0, sources=[*tws, *log, {"source": "metrics"}])
    ends = [write(EventType.SOURCE_FINISHED, source="log_cache", job=plan["job"], outcome="ok") for plan in log[:137]]
    starts = [write(EventType.SOURCE_STARTED, source="tws_status", job=None, batch=number) for number in (1, 2)]
    metrics = write(EventType.SOURCE_FINISHED, source="metrics", job=None, outcome="ok", finding="CPU 9 %")
    for event in (routed, *starts, finished_batch(write, tws[0]), finished_batch(write, tws[2], 3), *ends, metrics):
        display.take(event, 1)
    assert [str(line) for line in lines] == [
        "status (100%); querying about 200 jobs: tws_status, log_cache, metrics",
        "tws_status: started",
        "tws_status: 50 of 200 jobs",
        "tws_status: 100 of 200 jobs, 3 without an answer",
        *(f"log_cache: {done} of 200 jobs" for done in range(20, 137, 20)),
        "metrics: ok - CPU 9 %",
    ]
    console = Console(width=100, file=StringIO(), force_terminal=False)
    console.print(render(view, Language.EN, monotonic=1.0))
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert "87 of 200 jobs" in shown.splitlines()[0]
    assert len(shown.splitlines()) < 10
    assert "137 of 200 jobs" in shown
    failures = [{"source": "tws_status", "job": job, "outcome": "lost"} for job in tws[3]["jobs"]]
    display.take(write(EventType.FINAL, outcome="partial", response="x", errors=failures), 1)
    assert [str(line) for line in lines][-2] == "tws_status: 150 of 200 jobs, 53 without an answer"


def test_a_batch_whose_plan_was_not_seen_is_shown_by_its_end() -> None:
    """A reader that begins in the middle of a stream knows the jobs of a batch from its end."""
    write = Script()
    (plan,) = batches("tws_status", 2, 2)
    view = fold(write(EventType.SOURCE_STARTED, source="tws_status", job=None, batch=1), finished_batch(write, plan))
    assert {key: row.state for key, row in view.rows.items()} == {"tws_status|JOB000": "ok", "tws_status|JOB001": "ok"}
