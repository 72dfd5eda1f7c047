"""Looking things up in the plan: names, candidates, refused queries, and what costs only a note."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message
from orchestrator.payloads import JobFacts
from workers.sources.tws_status.client import Page
from workers.sources.tws_status.errors import BadQuery, Forbidden
from workers.sources.tws_status.lookup import (
    Lookup,
    find_jobs,
    gather_job,
    gather_workstations,
    pick_run,
    search_tolerantly,
)
from workers.sources.tws_status.notation import job_readings
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.problems import plan_problems
from workers.sources.tws_status.transport import UnsafeId

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def job(name: str, status: str, *, stream: str = "JS", at: str = "06:00", runs: int = 0, **more: Any) -> Json:
    """A job of the plan, as a search gives it."""
    return {
        "id": f"{stream}-{name}-{at}",
        "flowNodeType": "JOB",
        "name": name,
        "jobStreamName": stream,
        "workstation": "WS",
        "schedTime": f"2026-11-24T{at}:00Z",
        "lastRunCompositeStatus": {"status": status},
        "jobruns": [{"id": f"r{index}", "compositeStatus": {"status": status}} for index in range(runs)],
        **more,
    }


class FakePlan:
    """A session over a list of jobs; ``fields`` are the query fields that the server knows."""

    def __init__(self, jobs: list[Json], *, fields: tuple[str, ...] = ("name", "id"), **answers: Any) -> None:
        self.jobs = jobs
        self.deadline = Deadline.after(60)
        self.shared = None
        self.queries: list[str] = []
        self._fields = fields
        self._answers = answers

    def server_now(self) -> datetime:
        """The present time of the plan."""
        return NOW

    async def search_jobs(self, query: Oql | None, *, limit: int, offset: int = 0) -> Page:
        found = self.jobs
        if query is not None:
            self.queries.append(query.text)
            field, _, value = query.text.partition(" = ")
            if field not in self._fields:
                raise BadQuery
            found = [item for item in self.jobs if item[field.removeprefix("key.")] == value.strip("'")]
        return Page(tuple(found[offset : offset + limit]), len(found))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def answer(*_: Any, **__: Any) -> Any:
            found = self._answers.get(name, {} if name == "job" else Page())
            if isinstance(found, Exception):
                raise found
            return found

        return answer


def texts(messages: Iterable[Message]) -> list[str]:
    return [str(message) for message in messages]


def find(plan: FakePlan, name: str) -> list[Json]:
    """Find the jobs of a name."""
    return asyncio.run(find_jobs(plan, job_readings(name), Lookup()))  # type: ignore[arg-type]


def gather(plan: FakePlan, found: Json) -> tuple[JobFacts, Lookup]:
    """Gather all about one job."""
    lookup = Lookup()
    return asyncio.run(gather_job(plan, found, lookup)), lookup  # type: ignore[arg-type]


def test_the_failed_one_of_several_comes_first() -> None:
    """Among jobs of one name: failed, then unfinished, then the latest of those that ended well."""
    plan = FakePlan(
        [
            job("A", "SUCC", at="05:00"),
            job("A", "SUCC", at="07:00"),
            job("A", "HOLD", at="08:00"),
            job("A", "ABEND", at="06:00"),
        ]
    )
    assert [item["schedTime"][11:16] for item in find(plan, "A")] == ["06:00", "08:00", "07:00", "05:00"]


def test_the_scheduled_time_chooses_when_it_is_named() -> None:
    """A name with its time finds that one, even when another failed."""
    plan = FakePlan([job("A", "ABEND", at="06:00"), job("A", "SUCC", at="07:00")])
    assert find(plan, "WS#JS(0700 11/24/26).A")[0]["schedTime"][11:16] == "07:00"


def test_a_server_that_knows_only_the_documented_field_is_asked_with_it() -> None:
    """``name`` first, which works in the field; ``key.name`` when the server refuses it."""
    plan = FakePlan([job("A", "ABEND")], fields=("key.name",))
    assert len(find(plan, "A")) == 1
    assert plan.queries == ["name = 'A'", "key.name = 'A'"]


def test_a_server_that_knows_neither_field_is_a_bad_request() -> None:
    """When both are refused the caller is told."""
    with pytest.raises(SourceError) as caught:
        find(FakePlan([], fields=()), "A")
    assert caught.value.reason == "bad_request"


def test_a_name_is_looked_for_in_capitals_when_it_is_not_there() -> None:
    """Names are capitals in most plans, users write as they like."""
    plan = FakePlan([job("BATCH001", "ABEND")])
    assert find(plan, "batch001")[0]["name"] == "BATCH001"
    assert plan.queries == ["name = 'batch001'", "name = 'BATCH001'"]


def test_more_jobs_than_a_page_are_all_seen() -> None:
    """The 150th job of the name is found by its stream."""
    plan = FakePlan([job("A", "SUCC", stream=f"JS{number}") for number in range(150)])
    assert [item["jobStreamName"] for item in find(plan, "JS149.A")] == ["JS149"]


def test_a_refused_query_falls_back_to_a_bounded_look() -> None:
    """When the server refuses the query, the first jobs are compared here, and that is noted."""
    plan = FakePlan([job("A", "ABEND"), job("B", "SUCC")], fields=())
    lookup = Lookup()
    query = Oql.equals("workstation", "WS")
    found = asyncio.run(search_tolerantly(plan, query, lambda item: item.status == "ABEND", lookup))  # type: ignore[arg-type]
    assert [item["name"] for item in found] == ["A"]
    assert texts(lookup.notes) == ["the server refused a query; only the first 2 jobs were looked at"]


def test_jobs_beyond_the_look_are_counted() -> None:
    """What was not looked at is stated with its number."""
    plan = FakePlan([job("A", "ABEND")] * 510)
    lookup = Lookup()
    asyncio.run(search_tolerantly(plan, Oql.equals("name", "A"), lambda _: True, lookup))  # type: ignore[arg-type]
    assert texts(lookup.cuts) == ["10 more jobs match and were not looked at"]


def test_every_part_that_fails_is_noted_and_the_rest_is_there() -> None:
    """All but the summary may be forbidden."""
    names = ("job", "predecessors", "successors", "issues", "search_job_streams", "search_workstations", "job_log")
    plan = FakePlan([], **dict.fromkeys(names, Forbidden()))
    facts, lookup = gather(plan, job("A", "ABEND", runs=1))
    assert facts.status == "ABEND"
    assert len(lookup.notes) == len(names)
    assert all(note.endswith(": forbidden") for note in texts(lookup.notes))


@pytest.mark.parametrize("job_id", ["", "X' OR '1", "a(b)"])
def test_an_id_that_cannot_be_used_costs_only_itself(job_id: str) -> None:
    """A server's odd id is never pasted into a query, and the summary is still answered."""
    facts, lookup = gather(FakePlan([]), {**job("A", "HOLD"), "id": job_id})
    assert facts.status == "HOLD"
    assert len(lookup.notes) == 1


@pytest.mark.parametrize("run_id", ["..", "."])
def test_a_run_id_that_cannot_be_used_costs_only_the_log(run_id: str) -> None:
    """An id that would change the path of the job log is not asked for, and the rest is answered."""
    found = job("A", "ABEND", jobruns=[{"id": run_id, "compositeStatus": {"status": "ABEND"}}])
    facts, lookup = gather(FakePlan([], issues=(), job_log=UnsafeId()), found)
    assert (facts.status, facts.job_log) == ("ABEND", None)
    assert texts(lookup.notes) == ["job log: invalid_value"]


@pytest.mark.parametrize("workstation", ["X' OR name LIKE '@", "WS@", "/FOLDER/X?"])
def test_a_workstation_that_cannot_be_asked_for_costs_only_its_state(workstation: str) -> None:
    """A name that the server gave and no query can hold is noted, and the rest is answered."""
    facts, lookup = gather(FakePlan([], issues=()), job("A", "ABEND", workstation=workstation))
    assert facts.status == "ABEND"
    assert [note.rpartition(": ")[2] for note in texts(lookup.notes)] == ["invalid_value"]


@pytest.mark.parametrize("name", [None, "", "X' OR name LIKE '@", "WS?"])
def test_the_plan_is_answered_beside_a_workstation_that_cannot_be_asked_for(name: str | None) -> None:
    """A workstation at limit 0 without a usable name, and a stuck stream without one, hide no failed job."""
    plan = FakePlan(
        [job("A", "ABEND")],
        search_job_streams=Page(({"name": name, "compositeStatus": {"status": "STUCK"}},)),
        search_workstations=Page(({"name": name, "limit": 0},)),
        issues=(),
    )
    lookup = Lookup()
    asyncio.run(plan_problems(plan, lookup))  # type: ignore[arg-type]
    assert [found.name for found in lookup.problems] == ["A"]
    assert "" not in lookup.workstations


def test_dependencies_and_predecessors_are_one_item() -> None:
    """What is unsatisfied comes from the job, how it ended from the predecessor; unsatisfied ones come first."""
    detail = {
        "dependencies": [
            {"dependencyType": "INTERNAL", "jobId": "JS-P-06:00", "jobName": "P", "satisfied": True},
            {"dependencyType": "EXTERNAL_JOB", "jobId": "X-Q-06:00", "satisfied": False},
            {"dependencyType": "FILE", "file": {"name": "/a"}, "satisfied": False},
        ]
    }
    before = Page((job("P", "SUCC"), job("Q", "ABEND", stream="X"), job("R", "EXEC")))
    facts, lookup = gather(FakePlan([], job=detail, predecessors=before, issues=()), job("A", "HOLD"))
    assert lookup.notes == []
    assert [(item.name, item.status, item.satisfied) for item in facts.predecessors] == [
        ("WS#X.Q", "ABEND", False),
        ("/a", "", False),
        ("WS#JS.P", "SUCC", True),
        ("WS#JS.R", "EXEC", None),
    ]


def test_a_missing_resource_names_its_holders() -> None:
    """Who holds what a job waits for is asked and told, however many jobs it waits for as well."""
    jobs = [{"dependencyType": "JOB", "jobName": f"J{number}", "satisfied": False} for number in range(6)]
    resource = {"dependencyType": "RESOURCE", "name": "FITA", "quantity": 1, "available": 0}
    detail = {"dependencies": [*jobs, resource]}
    held = Page(({"name": "FITA", "holders": [{"jobStream": "JS9", "job": "LONGO"}]},))
    facts, _ = gather(FakePlan([], job=detail, search_resources=held, issues=()), job("A", "READY"))
    assert facts.predecessors[-1].detail == "needs 1, available 0; held by JS9.LONGO"


def test_what_a_job_waits_for_is_told_in_the_language_of_the_question() -> None:
    """The facts of a resource, a file and a job stream go into the answer as they are."""
    detail = {
        "dependencies": [
            {"dependencyType": "RESOURCE", "name": "FITA", "quantity": 1, "available": 0},
            {"dependencyType": "FILE", "file": {"name": "/a", "qualifier": "-s %p", "workstation": "/WS1"}},
        ]
    }
    stream = {"id": "s", "flowNodeType": "JOBSTREAM", "name": "JS", "jobStreamStats": {"numberOfJob": 2}}
    resources = Page(({"name": "FITA", "holders": [{"jobStream": "JS9", "job": "LONGO"}]},))
    plan = FakePlan([], job=detail, search_resources=resources, predecessors=Page((stream,)), issues=())
    lookup = Lookup(Language.PT_BR)
    facts = asyncio.run(gather_job(plan, job("A", "READY"), lookup))  # type: ignore[arg-type]
    assert [related.detail for related in facts.predecessors] == [
        "precisa de 1, disponível 0; em uso por JS9.LONGO",
        "qualificador -s %p em WS1",
        "2 jobs",
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("SUCC", "ABEND", "SUCC"), "r1"),
        (("ABEND", "ABEND"), "r1"),
        (("SUCC", "SUCC"), "r1"),
        (("HOLD",), None),
        (("READY",), None),
        ((), None),
    ],
)
def test_the_log_is_that_of_the_failed_run(statuses: tuple[str, ...], expected: str | None) -> None:
    """The newest failed run, else the newest that was launched; one that waits has none."""
    runs = [
        {"id": f"r{index}", "compositeStatus": {"status": status}, "jobNumber": index}
        for index, status in enumerate(statuses)
    ]
    assert pick_run({**job("A", "X"), "jobruns": runs}) == expected


def test_what_is_left_out_of_a_job_is_counted() -> None:
    """Runs, successors and issues beyond what is kept are counted, with those that were never read."""
    plan = FakePlan(
        [],
        job=job("A", "ABEND", runs=14, priority=None),
        successors=Page(tuple(job(f"S{number}", "HOLD") for number in range(30)), 900),
        issues=tuple({"issueMessage": "x"} for _ in range(12)),
    )
    facts, lookup = gather(plan, job("A", "ABEND", priority=7))
    assert (len(facts.runs), len(facts.successors), len(facts.issues), facts.priority) == (10, 25, 10, 7)
    assert texts(lookup.cuts) == ["4 more runs of A", "875 more successors of A", "2 more issues of A"]


def test_workstations_beyond_those_that_are_read_are_counted() -> None:
    """The jobs of a stream may be on more workstations than are asked for; the rest is said."""
    lookup, names = Lookup(), [f"WS{number}" for number in range(12)]
    plan = FakePlan([], search_workstations=Page(tuple({"name": name} for name in names)))
    asyncio.run(gather_workstations(plan, names, lookup))  # type: ignore[arg-type]
    assert (len(lookup.workstations), texts(lookup.cuts)) == (10, ["2 more workstations"])


def test_more_jobs_of_a_name_than_are_looked_at_are_counted() -> None:
    """Past the last page that is read, the rest of that name is said."""
    lookup = Lookup()
    plan = FakePlan([job("A", "SUCC", stream=f"JS{number}") for number in range(620)])
    assert len(asyncio.run(find_jobs(plan, job_readings("A"), lookup))) == 500  # type: ignore[arg-type]
    assert texts(lookup.cuts) == ["120 more jobs named A were not looked at"]


def test_what_is_left_out_of_the_plan_is_counted() -> None:
    """Workstations without link and streams in trouble beyond those that are looked into are counted."""
    plan = FakePlan(
        [],
        search_job_streams=Page(
            tuple({"name": f"JS{number}", "compositeStatus": {"status": "STUCK"}} for number in range(7)), 107
        ),
        search_workstations=Page(tuple({"name": f"WS{number}", "limit": 0} for number in range(12)), 612),
    )
    lookup = Lookup()
    asyncio.run(plan_problems(plan, lookup))  # type: ignore[arg-type]
    assert len(lookup.workstations) == 10
    assert texts(lookup.cuts) == [
        "100 more job streams were not looked at",
        "600 more workstations were not looked at",
        "2 more workstations without link or at limit 0",
        "2 more job streams in trouble",
        "5 more workstations whose jobs were not looked at",
    ]
