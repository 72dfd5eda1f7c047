"""HWA JSON to facts: unknown values and missing fields never break it."""

import json
from typing import Any

import pytest

from orchestrator.codes.notation import whole_name
from orchestrator.payloads import TwsPayload
from workers.sources.tws_status.parsing import (
    parse_dependency,
    parse_flow_node,
    parse_issue,
    parse_job,
    parse_job_stream,
    parse_run,
    parse_workstation,
    seconds,
)

JOB: dict[str, Any] = {
    "id": "j1",
    "name": "JOB_A",
    "folder": "/FIN/",
    "workstation": "/FIN/WS1",
    "jobStreamName": "JS1",
    "jobStreamWorkstation": "/MASTER",
    "priority": 10,
    "schedTime": "2026-11-24T06:00:00Z",
    "lastRunCompositeStatus": {"status": "ABEND", "error": True},
    "jobDefinition": {
        "task": {"jobDefinition": {"scriptName": "/opt/a.sh"}},
        "userLogins": ["batch", "outro"],
        "recoveryOption": "STOP",
        "estimatedDuration": "PT1H2M3S",
    },
    "jobruns": [
        {
            "id": "r1",
            "jobNumber": 1,
            "compositeStatus": {"status": "SUCC"},
            "returnCode": 0,
            "timeInfo": {"actualStartTime": "2026-11-24T01:00:00Z"},
        },
        {
            "id": "r2",
            "jobNumber": 2,
            "compositeStatus": {"status": "ABEND", "error": True},
            "returnCode": 5,
            "timeInfo": {
                "actualStartTime": "2026-11-24T06:00:10Z",
                "actualEndTime": "2026-11-24T06:01:00Z",
                "elapsedTime": "PT50S",
            },
            "outputConditions": [{"conditionName": "OK", "mappingExpression": "RC<=4", "isSuccCondition": True}],
        },
    ],
}


def test_a_whole_job_gives_its_facts() -> None:
    """Status, return code of the newest run, definition and names come out of their fields."""
    job = parse_job(JOB)
    assert (job.status, job.return_code, job.success_condition) == ("ABEND", 5, "RC<=4")
    assert (job.workstation, job.job_stream_workstation, whole_name(job)) == (
        "WS1",
        "MASTER",
        "MASTER#/FIN/JS1.JOB_A",
    )
    assert (job.logon_user, job.task, job.estimated_seconds) == ("batch, outro", "/opt/a.sh", 3723.0)
    assert [run.run_id for run in job.runs] == ["r2", "r1"]
    assert job.runs[0].elapsed_seconds == 50.0


@pytest.mark.parametrize("status", ["ADD", "DONE", "SCHED", "BOUND", "WAITD", "TOTALMENTE_NOVO"])
def test_an_unknown_status_is_kept_as_it_is(status: str) -> None:
    """States beyond the document's list are shown, not refused."""
    assert parse_job({"name": "X", "lastRunCompositeStatus": {"status": status, "substatus": "Y"}}).status == status


@pytest.mark.parametrize("value", [None, [], {}, 7, True, "x", [[None]], {"status": {}}])
@pytest.mark.parametrize("field", sorted(JOB))
def test_a_field_of_the_wrong_type_breaks_nothing(field: str, value: object) -> None:
    """Whatever stands in one field, the rest of the job is read."""
    job = parse_job({**JOB, field: value})
    assert TwsPayload(job=job).model_dump_json()
    assert job.task == "/opt/a.sh" or field == "jobDefinition"
    assert job.name == "JOB_A" or field == "name"


PARSERS = (
    parse_job,
    parse_job_stream,
    parse_flow_node,
    parse_dependency,
    parse_run,
    parse_workstation,
    parse_issue,
)


@pytest.mark.parametrize("parse", PARSERS)
def test_an_empty_object_breaks_nothing(parse: Any) -> None:
    """Every field may be missing."""
    assert parse({})


def test_jobs_and_job_streams_are_told_apart_by_their_type() -> None:
    """Neighbours carry no discriminator but flowNodeType."""
    stream = {
        "flowNodeType": "JOBSTREAM",
        "name": "JS1",
        "workstation": "WS1",
        "compositeStatus": {"status": "STUCK"},
        "jobStreamStats": {"numberOfJob": 4, "numberOfAbendedJob": 1},
    }
    found = parse_flow_node(stream)
    assert (found.kind, found.name, found.status, found.detail) == (
        "job_stream",
        "WS1#JS1",
        "STUCK",
        "4 jobs, 1 abended",
    )
    assert parse_flow_node({**JOB, "flowNodeType": "JOB"}).kind == "job"
    assert parse_flow_node(JOB).return_code == 5


@pytest.mark.parametrize(
    ("item", "kind", "name", "satisfied"),
    [
        ({"dependencyType": "INTERNAL", "jobName": "A", "dependencyStatus": "UNSATISFIED"}, "job", "A", False),
        (
            {
                "dependencyType": "EXTERNAL_JOB",
                "jobName": "A",
                "jobStreamName": "S",
                "jobStreamWorkstation": "W",
                "satisfied": True,
            },
            "job",
            "W#S.A",
            True,
        ),
        ({"dependencyType": "EXTERNAL_JOBSTREAM", "jobStreamName": "S"}, "job_stream", "S", None),
        ({"dependencyType": "FILE", "file": {"name": "/a/b"}, "dependencyStatus": "UNDECIDED"}, "file", "/a/b", None),
        ({"dependencyType": "RESOURCE", "name": "R", "quantity": 2, "available": 0}, "resource", "R", None),
        ({"dependencyType": "PROMPT", "promptName": "P", "dependencyStatus": "SATISFIED"}, "prompt", "P", True),
        ({"dependencyType": "INTERNETWORK", "dependency": "N::J"}, "internetwork", "N::J", None),
        ({"dependencyType": "JOIN", "joinName": "ALL", "members": [{"jobName": "A"}]}, "join", "ALL", None),
        ({"dependencyType": "COISA_NOVA", "id": "d1"}, "job", "d1", None),
    ],
)
def test_every_kind_of_dependency_has_name_and_state(
    item: dict[str, Any], kind: str, name: str, satisfied: bool | None
) -> None:
    """Jobs, streams, files, resources, prompts, networks and joins; an unknown kind keeps its id."""
    found = parse_dependency(item)
    assert (found.kind, found.name, found.satisfied) == (kind, name, satisfied)


def test_the_flag_wins_over_the_status_of_a_dependency() -> None:
    """``satisfied`` is what the engine goes by."""
    assert parse_dependency({"satisfied": False, "dependencyStatus": "SATISFIED"}).satisfied is False


@pytest.mark.parametrize(
    ("states", "linked"),
    [(["LINKED"], True), (["FULLY_LINKED", "JOBMAN_UP"], True), (["JOBMAN_UP"], False), ([], False), (None, None)],
)
def test_unlinked_means_that_linked_is_absent(states: list[str] | None, linked: bool | None) -> None:
    """Without active states nothing is known; with them, a missing LINKED is unlinked."""
    item: dict[str, Any] = {"name": "W"} if states is None else {"name": "W", "activeStates": states}
    assert parse_workstation(item).linked is linked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("PT50S", 50.0),
        ("PT1H", 3600.0),
        ("P1DT2M", 86_520.0),
        ("PT1.5S", 1.5),
        ("P", None),
        ("PT", None),
        ("1h", None),
        (7, None),
        ("PT" + "9" * 400 + "S", None),
        ("P" + "9" * 400 + "D", None),
    ],
)
def test_durations_are_iso_8601(value: object, expected: float | None) -> None:
    """Durations are read in seconds, anything else is left out."""
    assert seconds(value) == expected


def test_huge_texts_are_cut() -> None:
    """A field of great length does not fill the envelope."""
    job = parse_job({"name": "X" * 100_000, "jobDefinition": {"task": "y" * 100_000}, "jobruns": [{"id": "r"}] * 500})
    assert len(json.dumps(job.model_dump(mode="json"))) < 10_000


@pytest.mark.parametrize("limit", range(360, 402))
def test_a_secret_over_the_cut_of_a_text_is_masked(limit: int) -> None:
    """Wherever it begins: of an issue, a prompt, a command."""
    text = f"{'x y ' * 100}"[:limit] + " password=Zx9qVj4Kw7Yq and more"
    prompt = {"dependencyType": "PROMPT", "text": text}
    task = parse_job({"jobDefinition": {"task": {"command": text}}}).task
    shown = (parse_issue({"issueMessage": text}).message, parse_dependency(prompt).detail, task)
    assert [piece for piece in ("Zx9q", "Vj4K", "w7Yq") if piece in "".join(shown)] == []
    assert {item[:300] for item in shown} == {text[:300]}


def test_a_jobs_command_is_no_secret_of_its_definition() -> None:
    """Of a task that has no command, a password is not shown in its place."""
    task = {"ftp": {"password": "Zx9qVj4Kw7Yq", "variables": [{"name": "DB_PWD", "value": "Zx9qVj4Kw7Yq"}]}}
    assert "Zx9q" not in parse_job({"jobDefinition": {"task": task}}).task


@pytest.mark.parametrize("task", [{"command": "\ud800.sh"}, {"jcl": {"memberName": "\ud800.sh"}}])
def test_half_a_character_can_still_be_written(task: object) -> None:
    """JSON can hold half of a surrogate pair, which no UTF-8 text can."""
    job = parse_job({"name": "\ud800", "jobDefinition": {"task": task}})
    assert job.task == "\ufffd.sh"
    assert TwsPayload(job=job).model_dump_json()


@pytest.mark.parametrize("value", [10**18, -(10**18), 10**4_000, "9" * 19, True, 1.5])
def test_what_is_no_usable_number_is_left_out(value: object) -> None:
    """A figure that no reader of the envelope could take is none; as text it is cut like any other."""
    job = parse_job({"name": value, "priority": value, "jobruns": [{"returnCode": value, "jobNumber": value}]})
    assert (job.priority, job.return_code, job.runs[0].job_number) == (None, None, None)
    assert len(job.name) <= 400


def test_joins_in_joins_are_not_opened() -> None:
    """However deep they stand in each other, the outer one is read with the names of the inner ones."""
    item: dict[str, Any] = {"dependencyType": "JOIN", "joinName": "J0"}
    for depth in range(1, 900):
        item = {"dependencyType": "JOIN", "joinName": f"J{depth}", "criteria": "ALL", "members": [item]}
    assert parse_dependency(item).detail == "ALL of J898"


def test_a_name_ends_no_command() -> None:
    """A name goes into commands that operators copy: of what answers for TWS, none brings a command of its own."""
    hostile = "B1;cj @$(id)|x `y` 'z'\n"
    job = parse_job(
        {"name": hostile, "jobStreamName": hostile, "workstation": f"/F;x/{hostile}", "folder": f"/{hostile}"}
    )
    names = (job.name, job.job_stream, job.workstation, job.workstation_folder, job.folder)
    names += (parse_workstation({"name": hostile}).name, parse_job_stream({"name": hostile}).name)
    assert not any(set(name) & set(";|`'()@ \n") - {"@"} for name in names), names
    assert parse_job({"name": "PAY$#1_A-B"}).name == "PAY$#1_A-B"
