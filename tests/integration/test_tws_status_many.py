"""A batch of jobs: each gets what a question for it alone would, with fewer requests; one clue for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from tests_support import fetch_once, stretched

from orchestrator.errors import SourceError
from orchestrator.models import Clue, SourceOutcome, SourceRequest
from orchestrator.payloads import JobFacts, TwsPayload
from orchestrator.routing.router import route
from orchestrator.sources import BatchSource, FetchResult
from workers.config import TwsSettings
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.plan import Plan
from workers.lab.simulator.scenarios import MANY_JOBS, SCENARIO_NUMBERS, get_scenario
from workers.sources.tws_status.client import MAX_HUNG_LOGS, HwaClient, HwaSession, Page
from workers.sources.tws_status.clues import merged
from workers.sources.tws_status.errors import AnswerTooLarge, LogsHang, NotFound, TimedOut
from workers.sources.tws_status.instances import load_instances
from workers.sources.tws_status.oql import Oql
from workers.sources.tws_status.source import SPEC, TwsStatusSource

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Given = dict[str, FetchResult | SourceError]


@dataclass
class Board:
    """Keeps the clues."""

    posted: list[Clue] = field(default_factory=list)
    waited_seconds: float = 0.0

    async def post(self, clue: Clue) -> None:
        """Keep it."""
        self.posted.append(clue)

    async def wait(self, sources: Collection[str], *, seconds: float) -> tuple[Clue, ...]:
        """There are none."""
        return ()


def request_of(*jobs: str, seconds: float = 20, board: Board | None = None) -> SourceRequest:
    """A request for a batch."""
    return SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        jobs=jobs,
        message="por que falharam?",
        routing=route("por que falharam?", jobs=jobs),
        limit_seconds=seconds,
        clues=board or Board(),
    )


def ask_many(simulator: HwaSimulator, request: SourceRequest, *, until: int | None = None) -> Given:
    """What the source gives for a batch; with ``until``, it is closed after so many results."""

    async def ask() -> Given:
        source = SPEC.create(simulator.environ())
        assert isinstance(source, BatchSource)
        given: Given = {}
        try:
            async with aclosing(source.fetch_many(request)) as results:  # type: ignore[type-var]  # a generator
                async for job, result in results:
                    assert job not in given
                    given[job] = result
                    if len(given) == until:
                        break
        finally:
            await source.close()
        return given

    return asyncio.run(ask())


def seen(result: FetchResult | SourceError) -> Any:
    """What a result says, without the requests and the time."""
    if isinstance(result, SourceError):
        return result.reason
    data = {name: value for name, value in result.data.items() if name != "asked_at"}
    return data, result.evidence, str(result.finding), result.outcome, str(result.truncated), result.where


def names_of(plan: Plan) -> list[str]:
    """Each job by its bare name, one that is not there and one whose name is none."""
    return [*(job["name"] for job in plan.jobs), "NAOEXISTE", "ZOS1#FATDIA.BATCH001", "job errado"]


@pytest.mark.parametrize("number", SCENARIO_NUMBERS)
def test_each_job_of_a_batch_gets_what_a_question_for_it_alone_gets(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data, evidence, finding and cuts are the same over all jobs of the scenario, and no request is sent twice."""
    monkeypatch.setattr(HwaClient, "server_now", lambda _: NOW)
    plan = get_scenario(number, NOW).plan
    names = names_of(plan)
    with HwaSimulator(plan) as simulator:
        given = ask_many(simulator, request_of(*names))
        requests = [(received.path, tuple(received.query.items())) for received in simulator.requests]
        for name in names:
            alone = request_of(*names).model_copy(update={"job": name, "jobs": ()})
            try:
                expected: FetchResult | SourceError = asyncio.run(fetch_once(SPEC.create(simulator.environ()), alone))
            except SourceError as error:
                expected = error
            assert seen(given[name]) == seen(expected), name
    assert len(given) == len(names)
    assert len(set(requests)) == len(requests)


def test_a_batch_of_many_jobs_takes_half_the_requests_of_as_many_questions() -> None:
    """Twenty jobs of scenario 11: one search, and the workstation and the job stream once."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs[:20]]
    with HwaSimulator(plan) as simulator:
        given = ask_many(simulator, request_of(*names))
        many = len(simulator.requests)
        searches = [item for item in simulator.requests if item.path.endswith("/plan/job")]
        asyncio.run(
            fetch_once(SPEC.create(simulator.environ()), request_of().model_copy(update={"job": names[0], "jobs": ()}))
        )
        alone = len(simulator.requests) - many
    assert all(isinstance(result, FetchResult) for result in given.values())
    assert len(searches) == 1
    assert many <= 20 * 4 + 6 < 20 * alone / 2 + 6


def test_what_is_known_when_the_time_is_over_is_given() -> None:
    """A server too slow for the details of all: the search tells the state of each job, and each log is read first."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs[:20]]
    factor = min(stretched(1), 8)
    with HwaSimulator(plan, faults=[Fault(path="/plan/job/", latency_seconds=0.15 * factor)]) as simulator:
        given = ask_many(simulator, request_of(*names, seconds=1.2 * factor))
    payloads = [TwsPayload.model_validate(result.data) for result in given.values() if isinstance(result, FetchResult)]
    assert len(payloads) == 20
    assert all(payload.job is not None and payload.job.status == "ABEND" for payload in payloads)
    assert all(payload.job is not None and payload.job.job_log is not None for payload in payloads)
    assert any(payload.unread for payload in payloads)


def test_job_logs_that_hang_take_no_answer_from_any_job() -> None:
    """Each has a share of the time, after a few no more are asked for, and all else is told of each job."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs[:20]]
    with HwaSimulator(plan, faults=[Fault(path="joblog", latency_seconds=60)]) as simulator:
        given = ask_many(simulator, request_of(*names, seconds=min(stretched(1.4), 12)))
        logs = [received for received in simulator.requests if "joblog" in received.path]
    results = [result for result in given.values() if isinstance(result, FetchResult)]
    payloads = [TwsPayload.model_validate(result.data) for result in results]
    assert len(payloads) == 20
    assert {payload.job.job_log_error for payload in payloads if payload.job} == {"timeout"}
    assert all(payload.job is not None and payload.job.status == "ABEND" for payload in payloads)
    assert [payload.unread for payload in payloads] == [()] * 20
    cuts = [str(result.truncated) for result in results if result.truncated]
    assert len(logs) + len(cuts) == 20
    assert len(logs) <= 16 + MAX_HUNG_LOGS - 1, "those that were sent at once, and those before the last that hung"
    assert all("no more job logs were asked for" in cut for cut in cuts)


def test_a_job_log_in_time_begins_the_count_of_hung_ones_again() -> None:
    """Only logs that hang in a row end the reading of logs, of all batches of a question and of no other."""
    with HwaSimulator(get_scenario(MANY_JOBS).plan) as simulator:
        client = HwaClient(load_instances(TwsSettings.from_env(simulator.environ())).get(None))

    for error in (*[TimedOut()] * (MAX_HUNG_LOGS - 1), None, TimedOut(), NotFound(), *[TimedOut()] * MAX_HUNG_LOGS):
        with suppress(TimedOut, NotFound), client.log_limit("a", 1, 9):
            if error is not None:
                raise error
    with pytest.raises(LogsHang), client.log_limit("a", 1, 9):
        pass
    with client.log_limit("b", 1.5, 9) as seconds:
        assert seconds == 1.5


def test_job_logs_that_begin_too_late_do_not_hang() -> None:
    """At the end of one batch's time there is less than their share: the next batch asks for its own all the same."""
    with HwaSimulator(get_scenario(MANY_JOBS).plan) as simulator:
        client = HwaClient(load_instances(TwsSettings.from_env(simulator.environ())).get(None))

    for _ in range(MAX_HUNG_LOGS):
        with suppress(TimedOut), client.log_limit("a", 2, 0.5) as seconds:
            assert seconds == 0.5
            raise TimedOut
    with client.log_limit("a", 2, 8) as seconds:
        assert seconds == 2


def test_one_job_that_cannot_be_looked_up_takes_no_answer_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of its own for one, even one that nobody expects; results for the rest, and their clue."""
    plan = get_scenario(7).plan
    plain = TwsStatusSource._fetch

    async def fetch(self: TwsStatusSource, session: Any, request: SourceRequest) -> FetchResult:
        if request.job == "LOJA002":
            raise ZeroDivisionError
        return await plain(self, session, request)

    monkeypatch.setattr(TwsStatusSource, "_fetch", fetch)
    given: Given = {}
    board = Board()

    async def ask(simulator: HwaSimulator) -> None:
        source, jobs = TwsStatusSource.from_env(simulator.environ()), ("LOJA001", "LOJA002", "LOJA003", "a job")
        try:
            async for job, result in source.fetch_many(request_of(*jobs, board=board)):
                given[job] = result
        finally:
            await source.close()

    with HwaSimulator(plan) as simulator, pytest.raises(ZeroDivisionError):
        asyncio.run(ask(simulator))
    assert given.keys() == {"LOJA001", "LOJA003", "a job"}
    assert isinstance(given["a job"], SourceError)
    assert len(board.posted) == 1


def test_a_job_that_must_be_searched_alone_takes_no_answer_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a job of z/OS with a wildcard in it: when its own search fails, its own answer is missing."""
    search = HwaSession.search_jobs

    async def search_jobs(self: HwaSession, query: Oql | None, *, limit: int, offset: int = 0) -> Page:
        if query is not None and "LIKE" in query.text:
            raise AnswerTooLarge("too many")
        return await search(self, query, limit=limit, offset=offset)

    monkeypatch.setattr(HwaSession, "search_jobs", search_jobs)
    with HwaSimulator(get_scenario(7).plan) as simulator:
        given = ask_many(simulator, request_of("LOJA001", "PAY@01", "LOJA002"))
    assert isinstance(given.pop("PAY@01"), SourceError)
    assert [isinstance(result, FetchResult) for result in given.values()] == [True, True]


def test_a_server_that_cannot_be_reached_is_one_error() -> None:
    """It names the server, and nothing is tried job by job."""
    plan = get_scenario(7).plan
    with HwaSimulator(plan, faults=[Fault(status=401)]) as simulator:
        with pytest.raises(SourceError) as raised:
            ask_many(simulator, request_of("LOJA001", "LOJA002"))
        assert raised.value.reason == "unauthorized"
        assert len(simulator.requests) == 1


def test_closing_in_between_ends_what_is_under_way() -> None:
    """A consumer that has enough leaves no request and no task behind."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs[:20]]
    with HwaSimulator(plan) as simulator:
        assert len(ask_many(simulator, request_of(*names), until=2)) == 2
        assert len(simulator.requests) < 20 * 4


def test_a_batch_gives_one_clue_with_each_cause_once() -> None:
    """Five causes among all jobs that failed: the codes of each, and the lines of one job for each."""
    plan = get_scenario(MANY_JOBS).plan
    names = [job["name"] for job in plan.jobs if job["name"][-4:] in ("0010", "0020") or job["name"] == "LOJA001"]
    board = Board()
    with HwaSimulator(plan) as simulator:
        ask_many(simulator, request_of(*names, board=board))
    (clue,) = board.posted
    assert len(names) == 11
    assert clue.job is None
    assert len(clue.causes) == 6
    assert {"ORA-12541", "S0C7", "AWSBDW009E"} <= set(clue.codes)
    assert 127 in {cause.return_code for cause in clue.causes}


@pytest.mark.parametrize(
    ("lines", "causes"),
    [
        (
            (
                "cp: error writing '/dw/carg0010.dat': No space left",
                "cp: error writing '/dw/carg0020.dat': No space left",
            ),
            1,
        ),
        (("cp: No space left", "cp: Permission denied"), 2),
    ],
)
def test_lines_that_differ_by_names_and_numbers_are_one_cause(lines: Sequence[str], causes: int) -> None:
    """The words of a line decide where there is no code."""
    clue = merged("tws_status", [Clue(source="tws_status", lines=(line,), return_code=1) for line in lines])
    assert (len(clue.causes) or 1) == causes
    assert (clue.return_code == 1) == (causes == 1)


def test_the_outcome_of_a_job_that_is_not_there_is_its_own() -> None:
    """no_data, with what the plan has that is like it."""
    plan = get_scenario(7).plan
    with HwaSimulator(plan) as simulator:
        given = ask_many(simulator, request_of("LOJA001", "LOJA099"))
    missing = given["LOJA099"]
    assert isinstance(missing, FetchResult)
    assert missing.outcome is SourceOutcome.NO_DATA
    assert TwsPayload.model_validate(missing.data).nearest
    found = given["LOJA001"]
    assert isinstance(found, FetchResult)
    assert JobFacts.model_validate(found.data["job"]).issues
