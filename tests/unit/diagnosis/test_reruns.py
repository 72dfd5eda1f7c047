"""No rerun is proposed of a failed job whose log could not be read, by the rules or by a model."""

from __future__ import annotations

import pytest

from orchestrator.diagnosis.commands import is_rerun
from orchestrator.diagnosis.reruns import ReadLogs
from orchestrator.models import Action, Diagnosis, JobGroup, SourceEnvelope, SourceOutcome
from orchestrator.payloads import JobFacts, JobLogFacts, RelatedFacts, TwsPayload


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Rerun the job", "conman rr WS#S.JOB"),
        ("Correr de nuevo", "conman 'rerun WS#S.JOB'"),
        ("Submit it", "conman sbj WS#JOB"),
        ("Reexecutar o job a partir do STEP030", None),
        ("Reiniciar el job desde el paso", None),
        ("Restart the job from the step that failed", None),
        ("Rode o job BATCH001 de novo", None),
        ("Run the job BATCH001 again", None),
        ("Volver a ejecutar el job", None),
    ],
)
def test_a_rerun_is_known_by_command_or_words(text: str, command: str | None) -> None:
    """In any language, with a command or without."""
    assert is_rerun(Action(text=text, command=command))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Read the job log", "conman sj WS#S.JOB;stdlist"),
        ("Look at the messages of the step", None),
        ("Link the workstation", "conman link WS"),
        ("Verificar quantas vezes o job foi reexecutado", None),
    ],
)
def test_other_steps_are_none(text: str, command: str | None) -> None:
    """Looking, and changes of another kind, stay."""
    assert not is_rerun(Action(text=text, command=command))


def envelope(*jobs: JobFacts, job: str | None = None, success: bool = True) -> SourceEnvelope:
    data = TwsPayload(job=jobs[0] if jobs else None, problem_jobs=jobs[1:]).model_dump(mode="json")
    outcome = SourceOutcome.OK if success else SourceOutcome.TIMEOUT
    return SourceEnvelope(source="tws_status", job=job, outcome=outcome, success=success, data=data if success else {})


def group_of(*jobs: str, actions: tuple[Action, ...]) -> JobGroup:
    return JobGroup(number=1, title="x", cause="x", category="unknown", confidence=0.5, jobs=jobs, actions=actions)


def commands(diagnosis: Diagnosis) -> list[str | None]:
    return [action.command for action in diagnosis.actions]


def test_only_the_job_whose_log_was_read_may_be_rerun() -> None:
    """Of two failed jobs the one that was read keeps its rerun; one that names neither job is left out."""
    unread = JobFacts(name="BATCH001", status="ABEND", job_log_error="timeout")
    read = JobFacts(name="FECH001", status="ABEND", job_log=JobLogFacts())
    logs = ReadLogs.of([envelope(unread, read)])
    steps = ("conman rr WS#S.BATCH001", "conman rr WS#S.FECH001", "conman rr <job>", "conman sj WS#S.BATCH001;stdlist")
    diagnosis = Diagnosis(summary="x", actions=tuple(Action(text="do", command=step) for step in steps))
    assert commands(logs.without_reruns(diagnosis)) == [steps[1], steps[3]]


def test_a_group_whose_logs_were_read_keeps_a_step_that_names_no_job() -> None:
    """That another job's log could not be read takes no step from a cause that it has no part in."""
    unread = JobFacts(name="BATCH001", status="ABEND", job_log_error="timeout")
    read = JobFacts(name="FECH001", status="ABEND", job_log=JobLogFacts())
    logs = ReadLogs.of([envelope(unread, read)])
    steps = (Action(text="Undo what is there before you rerun it"), Action(text="Rerun BATCH001"))
    texts = {
        jobs: [action.text for action in logs.without_reruns_of(group_of(*jobs, actions=steps)).actions]
        for jobs in (("FECH001",), ("BATCH001",), ("FECH001", "BATCH001"))
    }
    assert texts == {("FECH001",): [steps[0].text], ("BATCH001",): [], ("FECH001", "BATCH001"): []}


@pytest.mark.parametrize(
    "found",
    [
        envelope(JobFacts(name="BATCH001", status="ABEND", job_log=JobLogFacts())),
        envelope(JobFacts(name="BATCH001", status="ABEND")),  # it has no log
        envelope(JobFacts(name="BATCH001", status="SUCC", job_log_error="timeout")),
        SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True, data={"job": "of another shape"}),
    ],
)
def test_nothing_is_withheld_where_no_log_is_missing(found: SourceEnvelope) -> None:
    """A log that was read, that does not exist, or that nobody needs withholds nothing."""
    diagnosis = Diagnosis(summary="x", actions=(Action(text="do", command="conman rr BATCH001"),))
    assert ReadLogs.of([found]).without_reruns(diagnosis) == diagnosis


def test_without_tws_the_job_asked_about_is_unread() -> None:
    """When TWS did not answer at all, the log of the job in question was not read either."""
    diagnosis = Diagnosis(summary="x", actions=(Action(text="do", command="conman rr BATCH001"),))
    assert commands(ReadLogs.of([envelope(job="BATCH001", success=False)]).without_reruns(diagnosis)) == []


@pytest.mark.parametrize(("unread", "withheld"), [(("predecessors of CONSOLIDA (server_error)",), True), ((), False)])
def test_a_failed_predecessor_that_was_not_reached_is_not_rerun(unread: tuple[str, ...], withheld: bool) -> None:
    """The list of dependencies shows that it failed; its log was never asked for, because a request failed."""
    waiting = JobFacts(
        name="CONSOLIDA", status="HOLD", predecessors=(RelatedFacts(name="WS#S.EXTRACAO", status="ABEND"),)
    )
    data = TwsPayload(job=waiting, unread=unread).model_dump(mode="json")
    found = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True, data=data)
    diagnosis = Diagnosis(summary="x", actions=(Action(text="do", command="conman rr WS#S.EXTRACAO"),))
    assert bool(ReadLogs.of([found]).without_reruns(diagnosis).actions) is not withheld
