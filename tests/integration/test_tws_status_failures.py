"""Failures of the TWS server: each gives a precise outcome within the time, and partial answers are kept."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx2
import pytest
from purgatory import AsyncCircuitBreakerFactory
from tests_support import stretched

from orchestrator.deadline import Deadline
from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import TwsPayload
from orchestrator.sources import FetchResult
from workers.lab.simulator.faults import Fault
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.plan import Plan, Run
from workers.lab.simulator.scenarios import get_scenario
from workers.sources.tws_status.client import MAX_ATTEMPTS, HwaClient
from workers.sources.tws_status.instances import TwsInstance
from workers.sources.tws_status.joblog import MAX_PAGES, PAGE_LINES
from workers.sources.tws_status.source import SPEC, TwsStatusSource

T = TypeVar("T")


@pytest.fixture
def simulator() -> Iterator[HwaSimulator]:
    """A server with the plan of scenario 1."""
    with HwaSimulator(get_scenario(1).plan) as server:
        yield server


def _request(job: str | None = "BATCH001", *, limit_seconds: float = 5.0, instance: str | None = None) -> SourceRequest:
    return SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=job,
        message="Job BATCH001 falhou",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.EN),
        tws_instance_id=instance,
        limit_seconds=limit_seconds,
    )


def _with_source(environ: dict[str, str], use: Callable[[TwsStatusSource], Awaitable[T]]) -> T:
    async def go() -> T:
        source = SPEC.create(environ)
        assert isinstance(source, TwsStatusSource)
        try:
            return await use(source)
        finally:
            await source.close()

    return asyncio.run(go())


def _fetch(simulator: HwaSimulator, request: SourceRequest | None = None) -> FetchResult:
    return _with_source(simulator.environ(), lambda source: source.fetch(request or _request()))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=400), "bad_request"),
        (Fault(status=401), "unauthorized"),
        (Fault(status=403), "forbidden"),
        (Fault(status=404), "not_found"),
        (Fault(status=302), "unexpected_status"),
        (Fault(status=429), "rate_limited"),
        (Fault(status=500), "server_error"),
        (Fault(status=503), "server_error"),
        (Fault(broken="garbage"), "bad_answer"),
        (Fault(broken="html"), "bad_answer"),
        (Fault(broken="cut"), "connection_cut"),
        (Fault(broken="reset"), "connection_cut"),
    ],
)
def test_every_failure_of_the_search_has_its_reason(simulator: HwaSimulator, fault: Fault, reason: str) -> None:
    """Status codes, cut connections and bodies that are no JSON are told apart, without a credential in the text."""
    simulator.fail(fault)
    with pytest.raises(SourceError) as caught:
        _fetch(simulator)
    assert caught.value.reason == reason
    assert simulator.password not in f"{caught.value} {caught.value!r} {caught.value.asked} {caught.value.where}"
    assert caught.value.where == simulator.base_url.removeprefix("http://")
    assert caught.value.asked[0] == "GET /plan/job limit=100 oql=name = 'BATCH001'"
    if fault.status is not None:
        assert f"HTTP {fault.status}" in str(caught.value)


def test_a_silent_server_is_a_timeout_below_the_limit(simulator: HwaSimulator) -> None:
    """The client's own timeout ends before the source's limit and is not retried."""
    simulator.fail(Fault(path="/plan/job", latency_seconds=60))
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        _fetch(simulator, _request(limit_seconds=0.8))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < stretched(0.8)
    assert sum(received.path.endswith("/plan/job") for received in simulator.requests) == 1


def test_nobody_listening_is_unreachable() -> None:
    """A refused connection says so and names no credential."""
    with HwaSimulator(get_scenario(1).plan) as server:
        environ = server.environ()
    with pytest.raises(SourceError, match="no connection") as caught:
        _with_source(environ, lambda source: source.fetch(_request()))
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/plan/job", status=503, times=2),
        Fault("/plan/job", broken="reset", times=2),
        Fault("/plan/job", status=429, times=1),
    ],
)
def test_a_passing_failure_is_retried(simulator: HwaSimulator, fault: Fault) -> None:
    """Every call is a GET: what passes by itself is asked again while there is time."""
    simulator.fail(fault)
    result = _fetch(simulator)
    assert result.outcome is SourceOutcome.OK
    assert result.data["job"]["status"] == "ABEND"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_what_asking_again_cannot_change_is_not_retried(simulator: HwaSimulator, status: int) -> None:
    """A refusal or a failure of the server itself is asked once."""
    simulator.fail(Fault(path="/plan/job", status=status))
    with pytest.raises(SourceError):
        _fetch(simulator)
    searches = [received for received in simulator.requests if received.path.endswith("/plan/job")]
    # 400 is tried with the other field name that the vendor's document gives.
    assert len(searches) == (2 if status == 400 else 1)


def test_there_is_no_retry_without_time(simulator: HwaSimulator) -> None:
    """A retry that could not finish is not begun."""
    simulator.fail(Fault(status=503))

    async def use() -> None:
        client = HwaClient(_instance(simulator))
        try:
            await client.within(Deadline.after(0.09)).engine_info()
        finally:
            await client.close()

    with pytest.raises(SourceError):
        asyncio.run(use())
    assert len(simulator.requests) < MAX_ATTEMPTS


def _instance(simulator: HwaSimulator) -> TwsInstance:
    environ = simulator.environ()
    return TwsInstance.model_validate(
        {"base_url": environ["TWS_BASE_URL"], "user": environ["TWS_USER"], "password": environ["TWS_PASSWORD"]}
    )


@pytest.mark.parametrize(
    ("part", "note"),
    [
        ("/predecessors", "predecessors"),
        ("/successors", "successors"),
        ("/issues", "issues"),
        ("/plan/jobstream", "job stream"),
        ("/plan/workstation", "workstation ZOS1"),
        ("/joblog", "job log"),
        ("/engine/info", "engine"),
    ],
)
@pytest.mark.parametrize(
    # The silent one is waited for to the limit, which leaves the others time enough on a busy machine.
    ("fault", "reason", "limit"),
    [({"status": 403}, "forbidden", 5.0), ({"latency_seconds": 60}, "timeout", 1.5)],
)
def test_a_part_that_fails_costs_only_itself(
    simulator: HwaSimulator, *, part: str, note: str, fault: dict[str, float], reason: str, limit: float
) -> None:
    """A forbidden or silent endpoint beside the search becomes a note, and the rest is there."""
    simulator.fail(Fault(path=part, **fault))  # type: ignore[arg-type]
    result = _fetch(simulator, _request(limit_seconds=limit))
    payload = TwsPayload.model_validate(result.data)
    assert payload.notes == (f"{note}: {reason}",)
    assert payload.job is not None
    assert payload.job.status == "ABEND"
    assert payload.job.logon_user == "BATCHPRD"


def test_a_job_without_details_keeps_its_summary(simulator: HwaSimulator) -> None:
    """When the job itself cannot be read, what the search said is answered."""
    job_id = next(job["id"] for job in get_scenario(1).plan.jobs if job["name"] == "BATCH001")
    simulator.fail(Fault(path=job_id, status=500))
    payload = TwsPayload.model_validate(_fetch(simulator).data)
    assert payload.job is not None
    assert (payload.job.status, payload.job.return_code) == ("ABEND", 12)
    parts = ("job details", "predecessors", "successors")  # asked side by side: any may fail first
    assert sorted(payload.notes) == [f"{part}: server_error" for part in parts]


def test_a_run_without_a_log_is_said(simulator: HwaSimulator) -> None:
    """FAIL often leaves no job log: 404 for the log is a fact, not an error."""
    simulator.fail(Fault(path="/joblog", status=404))
    payload = TwsPayload.model_validate(_fetch(simulator).data)
    assert payload.notes == ("job log: there is none for this run",)


def test_cancelling_closes_the_connection(simulator: HwaSimulator) -> None:
    """A cancelled fetch leaves no request running and the source can be used again."""
    simulator.fail(Fault(path="/plan/job", latency_seconds=60))

    async def use(source: TwsStatusSource) -> FetchResult:
        task = asyncio.ensure_future(source.fetch(_request()))
        for _ in range(500):
            if any(received.path.endswith("/plan/job") for received in simulator.requests):
                break
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        simulator.heal()
        return await source.fetch(_request())

    assert _with_source(simulator.environ(), use).outcome is SourceOutcome.OK


def test_nothing_goes_on_after_an_error(simulator: HwaSimulator) -> None:
    """When one of the requests side by side ends the question, the others are given up at once."""
    simulator.fail(Fault(path="/plan/jobstream", latency_seconds=60))
    simulator.fail(Fault(path="/plan/workstation", latency_seconds=60))
    simulator.fail(Fault(path="/plan/job", latency_seconds=0.3, status=403))

    async def use(source: TwsStatusSource) -> set[asyncio.Task[object]]:
        with pytest.raises(SourceError) as caught:
            await source.fetch(_request(None, limit_seconds=30))
        assert caught.value.reason == "forbidden"
        for _ in range(100):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0.02)
        return left  # type: ignore[return-value]

    assert _with_source(simulator.environ(), use) == set()
    assert {received.path.rpartition("/")[2] for received in simulator.requests} == {
        "job",
        "jobstream",
        "workstation",
    }


async def _reason(client: HwaClient) -> str | None:
    """Why the instance could not be asked, or None when it could."""
    try:
        await client.within(Deadline.after(5)).engine_info()
    except SourceError as error:
        return error.reason
    return None


def test_the_circuit_opens_after_failures_and_closes_again(simulator: HwaSimulator) -> None:
    """An instance that keeps failing is left alone without a request, and asked again after a while."""

    async def use() -> None:
        client = HwaClient(_instance(simulator), AsyncCircuitBreakerFactory(default_threshold=2, default_ttl=0.2))
        simulator.fail(Fault(status=500))
        assert client.circuit == "closed"
        try:
            for reason in ("server_error", "server_error", "circuit_open"):
                with pytest.raises(SourceError) as caught:
                    await client.within(Deadline.after(5)).engine_info()
                assert caught.value.reason == reason
            assert len(simulator.requests) == 2
            assert client.circuit == "opened"
            simulator.heal()
            reasons = [await _reason(client)]
            for _ in range(250):
                if reasons[-1] is None:
                    break
                await asyncio.sleep(0.02)
                reasons.append(await _reason(client))
            assert set(reasons[:-1]) <= {"circuit_open"}
            assert reasons[-1] is None
            assert client.circuit == "closed"
        finally:
            await client.close()

    asyncio.run(use())


def test_the_requests_of_one_question_open_no_circuit(simulator: HwaSimulator) -> None:
    """However many requests of one question fail, for one job or twenty, they are one failure of the instance."""

    async def use() -> None:
        client = HwaClient(_instance(simulator), AsyncCircuitBreakerFactory(default_threshold=2, default_ttl=60))
        simulator.fail(Fault(status=500))
        try:
            for _ in range(3):
                session = client.within(Deadline.after(5), question="run-00000001")
                results = await asyncio.gather(*(session.engine_info() for _ in range(4)), return_exceptions=True)
                assert {getattr(result, "reason", None) for result in results} == {"server_error"}
            assert await _reason(client) == "server_error"  # the second question
            assert await _reason(client) == "circuit_open"
        finally:
            await client.close()

    asyncio.run(use())


def test_slow_details_of_one_question_leave_the_next_one_its_answer(simulator: HwaSimulator) -> None:
    """A question whose log, neighbours and issues all fail does not have the next question refused."""

    async def use(source: TwsStatusSource) -> list[FetchResult]:
        for path in ("/joblog", "/predecessors", "/successors", "/issues", "/plan/jobstream", "/plan/workstation"):
            simulator.fail(Fault(status=500, path=path))
        first = await source.fetch(_request())
        simulator.heal()
        return [first, await source.fetch(_request().model_copy(update={"run_id": "run-00000002"}))]

    first, second = _with_source(simulator.environ(), use)
    assert (first.outcome, second.outcome) == (SourceOutcome.OK, SourceOutcome.OK)
    assert TwsPayload.model_validate(first.data).notes
    assert not TwsPayload.model_validate(second.data).notes


def test_refusals_do_not_open_the_circuit(simulator: HwaSimulator) -> None:
    """401, 403, 404 and 400 come from a server that is well."""

    async def use() -> None:
        client = HwaClient(_instance(simulator), AsyncCircuitBreakerFactory(default_threshold=1, default_ttl=60))
        try:
            for status in (401, 403, 404, 400):
                simulator.fail(Fault(status=status, times=1))
                with pytest.raises(SourceError, match=str(status)):
                    await client.within(Deadline.after(5)).engine_info()
            assert await client.within(Deadline.after(5)).engine_info()
        finally:
            await client.close()

    asyncio.run(use())


def test_one_instance_failing_leaves_the_other_alone(simulator: HwaSimulator) -> None:
    """Circuits are per instance."""

    async def use(other: HwaSimulator) -> None:
        breakers = AsyncCircuitBreakerFactory(default_threshold=1, default_ttl=60)
        bad = HwaClient(_instance(simulator).model_copy(update={"name": "bad"}), breakers)
        good = HwaClient(_instance(other).model_copy(update={"name": "good"}), breakers)
        simulator.fail(Fault(status=500))
        try:
            for _ in range(2):
                with pytest.raises(SourceError):
                    await bad.within(Deadline.after(5)).engine_info()
            assert await good.within(Deadline.after(5)).engine_info()
        finally:
            await bad.close()
            await good.close()

    with HwaSimulator(get_scenario(2).plan) as other:
        asyncio.run(use(other))


def test_an_unknown_path_suspects_the_url(simulator: HwaSimulator) -> None:
    """404 to a search, which names no object, says that the path of TWS_BASE_URL may be wrong; to an object, not."""
    environ = simulator.environ()
    with pytest.raises(SourceError) as caught:
        _with_source(environ | {"TWS_BASE_URL": f"{environ['TWS_BASE_URL']}/elsewhere"}, lambda s: s.fetch(_request()))
    assert (caught.value.reason, "TWS_BASE_URL" in str(caught.value)) == ("not_found", True)
    assert "/twsd/api/v2" in str(caught.value)
    simulator.fail(Fault(status=404, path="/predecessors"))
    notes = TwsPayload.model_validate(_fetch(simulator).data).notes
    assert notes
    assert "TWS_BASE_URL" not in " ".join(notes)


class _HugeLog:
    """A job log of 1.2 million lines, over 100 MB, that is never held in memory."""

    total = 1_200_000

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, wanted: slice) -> list[str]:
        return [self._line(number) for number in range(*wanted.indices(self.total))]

    def _line(self, number: int) -> str:
        if number == self.total - 10:
            return "IEF450I HUGE STEP099 - ABEND=S322 U0000 REASON=00000000"
        return f"PGHUGE - RECORD {number:09d} " + "X" * 64


def _huge_plan() -> Plan:
    now = datetime.now(UTC)
    plan = Plan(now)
    plan.add_workstation("WS1")
    plan.add_stream("BIG", "WS1", status="STUCK")
    plan.add_job(
        "HUGE", "BIG", "WS1", status="ABEND",
        runs=[Run(now - timedelta(hours=1), timedelta(minutes=30), "ABEND", 12, _HugeLog())],  # type: ignore[arg-type]
    )  # fmt: skip
    return plan


def test_a_log_over_100_mb_is_read_in_windows() -> None:
    """Head and tail of 1.2 million lines are found in a bounded number of small pages, and the abend with them."""
    with HwaSimulator(_huge_plan()) as server:
        payload = TwsPayload.model_validate(_fetch(server, _request("HUGE", limit_seconds=20)).data)
        pages = [received for received in server.requests if received.path.endswith("/joblog")]
    assert payload.job is not None
    log = payload.job.job_log
    assert log is not None
    assert log.total_lines == _HugeLog.total
    assert (log.codes[0], log.step) == ("S322", "STEP099")
    assert len(pages) <= MAX_PAGES
    for received in pages:
        assert int(received.query["to_line"][0]) - int(received.query["from_line"][0]) < PAGE_LINES
        assert "follow" not in received.query


def test_a_server_that_ignores_windows_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole log that was not asked for is dropped after a bounded number of bytes."""
    monkeypatch.setattr(_HugeLog, "__getitem__", lambda self, _: [self._line(n) for n in range(200_000)])
    with HwaSimulator(_huge_plan()) as server:
        payload = TwsPayload.model_validate(_fetch(server, _request("HUGE", limit_seconds=20)).data)
        pages = [received for received in server.requests if received.path.endswith("/joblog")]
    assert payload.job is not None
    assert payload.job.job_log is not None
    assert payload.job.job_log.total_lines is None
    assert "ignores line windows" in payload.job.job_log.note
    assert len(pages) == 1


def test_a_json_answer_of_great_size_is_refused(simulator: HwaSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search answer beyond the limit is an error of its own, not a full memory."""
    monkeypatch.setattr("workers.sources.tws_status.client.MAX_JSON_BYTES", 500)
    with pytest.raises(SourceError) as caught:
        _fetch(simulator)
    assert caught.value.reason == "answer_too_large"


def test_the_simulator_refuses_what_is_not_get(simulator: HwaSimulator) -> None:
    """The simulated server is read-only as well, so a mistake would show in a test."""
    with httpx2.Client(trust_env=False) as client:
        assert client.post(simulator.base_url + "/twsd/api/v2/plan/job").status_code == 405
