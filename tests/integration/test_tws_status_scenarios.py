"""The ten scenarios: tws_status gives the facts that each diagnosis needs."""

import asyncio

import pytest
from tests_support import fetch_once

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import write
from orchestrator.models import Entities, Intent, Routing, SourceOutcome, SourceRequest
from orchestrator.payloads import TwsPayload
from orchestrator.sources import FetchResult
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.scenarios import Scenario, get_scenario
from workers.sources.tws_status.source import SPEC

NAMED = {5: Entities(job_streams=("FECHAMENTO",)), 7: Entities(workstations=("AGT07",))}


NOTHING = Entities()


def request_for(
    scenario: Scenario, entities: Entities = NOTHING, *, job: str | None = None, limit_seconds: float = 10
) -> SourceRequest:
    """What the worker would be asked for a scenario."""
    return SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=job,
        message=scenario.question,
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=entities),
        limit_seconds=limit_seconds,
    )


def fetch(scenario: Scenario, request: SourceRequest, *, with_faults: bool = True) -> FetchResult:
    """Ask a fresh simulator of the scenario."""

    async def go(simulator: HwaSimulator) -> FetchResult:
        source = SPEC.create(simulator.environ())
        return await fetch_once(source, request)

    with HwaSimulator(scenario.plan, faults=tuple(scenario.faults) if with_faults else ()) as simulator:
        return asyncio.run(go(simulator))


def answer(number: int) -> tuple[TwsPayload, FetchResult]:
    """Payload and result for a scenario, asked as its question does."""
    scenario = get_scenario(number)
    result = fetch(scenario, request_for(scenario, NAMED.get(number, Entities()), job=scenario.job_name))
    assert result.outcome is SourceOutcome.OK
    payload = TwsPayload.model_validate(result.data)
    assert payload.notes == ()
    return payload, result


def test_scenario_1_names_abend_step_and_held_successors() -> None:
    """S0C7 in STEP030 comes from the job log, which is read in windows only."""
    payload, result = answer(1)
    job = payload.job
    assert job is not None
    assert job.job_log is not None
    assert (job.status, job.job_stream_status, job.job_log.step) == ("ABEND", "STUCK", "STEP030")
    assert job.job_log.codes[0] == "S0C7"
    shown = sum(len(window.lines) for window in job.job_log.windows)
    assert job.job_log.total_lines is not None
    assert shown < job.job_log.total_lines / 2
    assert f"linhas mostradas: {shown} de {job.job_log.total_lines};" in job.job_log.note
    assert {item.name for item in job.successors} == {"ZOS1#FATDIA.BATCH002", "ZOS1#FATDIA.RELFAT01"}
    quoted = [item for item in result.evidence if "ABEND=S0C7" in item.text]
    assert [item.kind for item in quoted] == ["job_log"]
    assert "S0C7" in quoted[0].codes
    assert write(result.finding, Language.PT_BR) == "BATCH001 ABEND RC=12; S0C7 em STEP030"
    assert payload.engine == "10.2.5"


def test_scenario_2_tells_the_unknown_logon_user() -> None:
    """FAIL comes with the agent's two message ids and the user."""
    payload, result = answer(2)
    job = payload.job
    assert job is not None
    assert job.job_log is not None
    assert (job.status, job.logon_user) == ("FAIL", "btchcli")
    assert set(job.job_log.codes) == {"AWSBHT001E", "AWSBDW009E"}
    assert [issue.type for issue in job.issues] == ["LAUNCH"]
    assert any({"AWSBHT001E", "AWSBDW009E"} <= set(item.codes) for item in result.evidence)


def test_scenario_3_shows_the_limit_of_the_workstation() -> None:
    """READY with limit 0 on a linked workstation, and the issue that says so."""
    payload, result = answer(3)
    assert payload.job is not None
    assert (payload.job.status, payload.job.substatus) == ("READY", "READY_WAITING_FOR_LIMIT")
    assert [(item.name, item.limit, item.linked) for item in payload.workstations] == [("SRVRH01", 0, True)]
    assert payload.job.job_log is None
    assert "SRVRH01 com limit 0" in write(result.finding, Language.PT_BR)


def test_scenario_4_names_the_missing_file_first() -> None:
    """The unsatisfied file dependency stands before the satisfied job."""
    payload, result = answer(4)
    assert payload.job is not None
    first, second = payload.job.predecessors
    assert (first.kind, first.satisfied, first.status) == ("file", False, "Unavailable")
    assert first.name.startswith("/dados/entrada/vendas_")
    assert (second.name, second.satisfied) == ("SRVETL01#VENDAS.PREPARA_VND", True)
    assert "NOT satisfied" in next(item.text for item in result.evidence if item.kind == "predecessor")
    assert "espera /dados/entrada/vendas_" in write(result.finding, Language.PT_BR)


def test_scenario_5_finds_what_holds_the_stream() -> None:
    """Asked for the stream, the job that failed comes first, with its log and the three it holds."""
    payload, result = answer(5)
    first, *held = payload.problem_jobs
    assert (first.name, first.status, first.return_code, first.job_stream_status) == ("JOB_A", "ABEND", 5, "STUCK")
    assert [item.name.rpartition(".")[2] for item in first.successors] == ["JOB_B", "JOB_C", "JOB_D"]
    assert first.job_log is not None
    assert any("conta 41207" in line for window in first.job_log.windows for line in window.lines)
    assert {job.substatus for job in held} == {"HOLD_WAITING_FOR_PREDECESSOR"}
    assert payload.problem_count == 4
    assert "stream FECHAMENTO em STUCK" in write(result.finding, Language.PT_BR)
    assert "segura 3 sucessores" in write(result.finding, Language.PT_BR)


def test_scenario_6_quotes_the_kill() -> None:
    """RC 137 with the kernel's line and the elapsed time of the run."""
    payload, result = answer(6)
    assert payload.job is not None
    run = payload.job.runs[0]
    assert (run.return_code, run.elapsed_seconds) == (137, 3521.0)
    assert payload.job.estimated_seconds == 1860.0
    text = "\n".join(item.text for item in result.evidence if item.kind == "job_log")
    assert "Out of memory: Killed process 20718" in text


def test_scenario_7_finds_the_unlinked_agent_and_its_jobs() -> None:
    """Asked for the workstation, twelve READY jobs and no link; jobs of other agents stay out."""
    payload, result = answer(7)
    assert [(item.name, item.linked, item.limit) for item in payload.workstations] == [("AGT07", False, 10)]
    assert payload.problem_count == 12
    assert {job.workstation for job in payload.problem_jobs} == {"AGT07"}
    assert {job.status for job in payload.problem_jobs} == {"READY"}
    assert write(result.finding, Language.PT_BR).startswith("AGT07 sem link; 12 jobs com problema: 12 READY")


def test_scenario_8_names_the_dataset_and_the_volume() -> None:
    """SB37 in STEP020 with the dataset's name and the larger input in the evidence."""
    payload, result = answer(8)
    assert payload.job is not None
    assert payload.job.job_log is not None
    assert (payload.job.job_log.codes[0], payload.job.job_log.step) == ("SB37", "STEP020")
    text = "\n".join(item.text for item in result.evidence if item.kind == "job_log")
    assert "PRD.COB.REMESSA.D1" in text
    assert "16 EXTENTS" in text


def test_scenario_9_shows_the_success_condition() -> None:
    """RC 4 stands beside SUCC and the condition that makes it one."""
    payload, _ = answer(9)
    assert payload.job is not None
    assert (payload.job.status, payload.job.return_code) == ("SUCC", 4)
    assert payload.job.success_condition == "RC<=4"


def test_scenario_10_times_out_below_the_limit() -> None:
    """A server that does not answer is a timeout of its own, before the source's limit."""
    scenario = get_scenario(10)
    with pytest.raises(SourceError) as caught:
        fetch(scenario, request_for(scenario, job=scenario.job_name, limit_seconds=0.6))
    assert caught.value.reason == "timeout"


def test_with_nothing_named_the_plan_is_searched() -> None:
    """The failed jobs, the jobs of stuck streams and the jobs that wait for a bad workstation are found."""
    expected = {1: "BATCH001", 2: "CARGA_CLI", 3: "FOLHA010", 5: "JOB_A", 7: "LOJA001", 8: "BATCH090"}
    for number, name in expected.items():
        scenario = get_scenario(number)
        result = fetch(scenario, request_for(scenario))
        payload = TwsPayload.model_validate(result.data)
        assert payload.problem_jobs[0].name == name, number
        assert payload.job is None


def test_a_healthy_plan_has_no_problem_jobs() -> None:
    """Without failed or stuck jobs there is nothing to report, and that is no error."""
    scenario = get_scenario(9)
    result = fetch(scenario, request_for(scenario))
    assert result.outcome is SourceOutcome.NO_DATA
    assert result.data["problem_count"] == 0
    assert write(result.finding, Language.PT_BR) == "nenhum job com falha ou parado no plano"


@pytest.mark.parametrize("name", ["BATCH001", "ZOS1#FATDIA.BATCH001", "ZOS1#BATCH001", "FATDIA.BATCH001", "batch001"])
def test_a_job_is_found_by_every_notation(name: str) -> None:
    """Bare, qualified by stream or workstation, and in lower case."""
    scenario = get_scenario(1)
    result = fetch(scenario, request_for(scenario, job=name))
    assert result.data["job"]["name"] == "BATCH001"


@pytest.mark.parametrize("name", ["NAOEXISTE", "OUTRA#FATDIA.BATCH001", "ZOS1#OUTRO.BATCH001", "/X/FATDIA.BATCH001"])
def test_a_job_that_is_not_in_the_plan_is_no_data(name: str) -> None:
    """A name, a workstation, a stream or a folder that does not fit finds nothing, and says so."""
    scenario = get_scenario(1)
    result = fetch(scenario, request_for(scenario, job=name))
    assert result.outcome is SourceOutcome.NO_DATA
    assert write(result.finding, Language.PT_BR) == f"{name} não está no plano corrente"
    assert result.evidence == ()


@pytest.mark.parametrize("number", [1, 5])
def test_a_waiting_job_is_followed_to_the_one_that_failed(number: int) -> None:
    """Asked why a job waits, the failed job that holds it comes with its own log."""
    waiting, failed = {1: ("RELFAT01", "BATCH001"), 5: ("JOB_C", "JOB_A")}[number]
    scenario = get_scenario(number)
    payload = TwsPayload.model_validate(fetch(scenario, request_for(scenario, job=waiting)).data)
    assert payload.job is not None
    assert payload.job.substatus == "HOLD_WAITING_FOR_PREDECESSOR"
    (cause,) = payload.problem_jobs
    assert (cause.name, cause.status) == (failed, "ABEND")
    assert cause.job_log is not None


@pytest.mark.parametrize(
    ("number", "name", "count", "said"),
    [
        (5, "FECHAMENTO", 4, "FECHAMENTO não é um job do plano corrente; stream FECHAMENTO em STUCK"),
        (5, "fechamento", 4, "fechamento não é um job do plano corrente; stream FECHAMENTO em STUCK"),
        (7, "AGT07", 12, "AGT07 não é um job do plano corrente; AGT07 sem link"),
    ],
)
def test_a_stream_or_workstation_called_a_job_is_found(number: int, name: str, count: int, said: str) -> None:
    """Users say job for streams and workstations too; the answer says what it is."""
    scenario = get_scenario(number)
    result = fetch(scenario, request_for(scenario, job=name))
    payload = TwsPayload.model_validate(result.data)
    assert payload.job is None
    assert payload.problem_count == count
    assert any("não um job" in note for note in payload.notes)
    assert write(result.finding, Language.PT_BR).startswith(said)


def test_a_name_that_is_no_name_is_refused_before_anything_is_sent() -> None:
    """A job name with a quote and an operator is a clear error, and no request leaves."""
    scenario = get_scenario(1)

    async def go(simulator: HwaSimulator) -> None:
        source = SPEC.create(simulator.environ())
        try:
            await source.fetch(request_for(scenario, job="X' OR name LIKE '@"))
        finally:
            await source.close()

    with HwaSimulator(scenario.plan) as simulator:
        with pytest.raises(SourceError, match="not a TWS job name") as caught:
            asyncio.run(go(simulator))
        assert caught.value.reason == "invalid_value"
        assert [received.path for received in simulator.requests if "oql" in received.query] == []


def test_an_object_that_is_not_there_is_said() -> None:
    """An unknown workstation and an unknown stream give no data and a note."""
    scenario = get_scenario(7)
    for entities, said in (
        (Entities(workstations=("NADA",)), "workstation NADA: não está no plano"),
        (Entities(job_streams=("NADA",)), "job stream NADA: não está no plano"),
    ):
        result = fetch(scenario, request_for(scenario, entities))
        assert result.outcome is SourceOutcome.NO_DATA
        assert said in result.data["notes"]
