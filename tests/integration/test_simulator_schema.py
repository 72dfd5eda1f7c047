"""The simulator's answers, and the client's requests, against the vendor's OpenAPI document."""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from plan_support import add_resource, depends_on_prompt, depends_on_resource, depends_on_stream
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from orchestrator.i18n.languages import Language
from orchestrator.models import Entities, Intent, Routing, SourceRequest
from workers.lab.simulator.hwa import HwaSimulator, Received
from workers.lab.simulator.plan import Plan, Run
from workers.lab.simulator.scenarios import Scenario, all_scenarios
from workers.sources.tws_status.source import SPEC
from workers.sources.tws_status.transport import API_PREFIX, Endpoint

DOCUMENT = "hwa-openapi-readonly.json"
_CHECKOUT = Path(__file__).resolve().parents[2]
_DURATION = re.compile(r"P(?!$)(\d+D)?(T(?!$)(\d+H)?(\d+M)?(\d+S)?)?")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The vendor's document; it is not part of this project."""
    named = os.environ.get("RESYNC_HWA_OPENAPI")
    path = Path(named) if named else _CHECKOUT.parent / "shared" / "reference" / DOCUMENT
    if not path.is_file():
        pytest.skip(f"the vendor's OpenAPI document is not here ({path}); set RESYNC_HWA_OPENAPI to its path")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # The document has no discriminators, and without required fields every branch of these two fits everything, so
    # that "exactly one" never holds. The property that names the type chooses the branch, as it does for the client.
    schemas = found["components"]["schemas"]
    _switch_on(schemas["FlowNodeInPlanV2"], "flowNodeType", {"JOB": "JobInPlanV2", "JOBSTREAM": "JobStreamInPlanV2"})
    kinds = {
        "INTERNAL": "Internal",
        "EXTERNAL_JOB": "ExternalJob",
        "EXTERNAL_JOBSTREAM": "ExternalJobStream",
        "JOIN": "Join",
        "FILE": "File",
        "RESOURCE": "Resource",
        "INTERNETWORK": "Internetwork",
        "PROMPT": "Prompt",
    }
    branches = {kind: f"{name}DependencyInPlanV2" for kind, name in kinds.items()}
    _switch_on(schemas["DependencyInPlanV2"], "dependencyType", branches)
    return found


def _switch_on(schema: dict[str, Any], name: str, branches: dict[str, str]) -> None:
    listed = {branch["$ref"].rpartition("/")[2] for branch in schema.pop("oneOf")}
    assert listed == set(branches.values())
    schema["required"] = [name]
    schema["allOf"] = [
        {
            "if": {"properties": {name: {"const": value}}},
            "then": {"$ref": f"#/components/schemas/{branch}"},
        }
        for value, branch in branches.items()
    ]


@pytest.fixture(scope="module")
def validator_for(document: dict[str, Any]) -> Callable[[str], Draft202012Validator]:
    """Makes a validator for a schema of the document, formats included."""
    checker = FormatChecker(formats=())

    @checker.checks("date-time", raises=ValueError)
    def _date_time(value: object) -> bool:
        return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None

    @checker.checks("duration")
    def _duration(value: object) -> bool:
        return not isinstance(value, str) or _DURATION.fullmatch(value) is not None

    @checker.checks("int32")
    def _int32(value: object) -> bool:
        return not isinstance(value, int) or -(2**31) <= value < 2**31

    registry = Registry().with_resource("urn:hwa", Resource(contents=document, specification=DRAFT202012))

    @cache
    def make(reference: str) -> Draft202012Validator:
        schema = {"$ref": f"urn:hwa{reference}"}
        Draft202012Validator.check_schema(schema)
        return Draft202012Validator(schema, registry=registry, format_checker=checker)

    return make


def _template(path: str) -> Endpoint:
    inside = path.removeprefix(API_PREFIX)
    for endpoint in Endpoint:  # in the order of the list: `/plan/job/count` before `/plan/job/{id}`
        if re.fullmatch(re.escape(endpoint.value).replace(re.escape("{id}"), "[^/]+"), inside):
            return endpoint
    raise AssertionError(f"{path} is no endpoint of the allow-list")


def _operation(document: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    wanted = re.sub(r"\{[^}]+\}", "{id}", API_PREFIX + endpoint.value)
    for path, methods in document["paths"].items():
        if re.sub(r"\{[^}]+\}", "{id}", path) == wanted:
            operation: dict[str, Any] = methods["get"]
            return operation
    raise AssertionError(f"{wanted} is not in the vendor's document")


def _every_path(plan: Plan) -> Iterator[str]:
    """Every endpoint for every object of the plan."""
    yield "/engine/info"
    yield "/plan/job/count"
    yield "/plan/job/count?grouping_filters=status,workstation"
    for path in ("/plan/job", "/plan/jobstream", "/plan/resource", "/plan/workstation"):
        yield f"{path}?limit=100"
    for job in plan.jobs:
        yield from (f"/plan/job/{job['id']}{tail}" for tail in ("", "/predecessors", "/successors"))
        yield "/plan/job/issues?oql=" + quote("id = '{}'".format(job["id"]))
        yield f"/model/jobdefinition/{job['jobDefinition']['id']}"
    yield from (f"/plan/jobstream/{stream['id']}" for stream in plan.streams)
    yield from (f"/plan/workstation/{station['id']}" for station in plan.workstations)
    yield from (f"/plan/job/run/{quote(run_id, safe='')}/joblog?from_line=1&to_line=40" for run_id in plan.logs)


def _plan_of_every_kind() -> Plan:
    """What the scenarios do not hold: every kind of dependency, a job stream as neighbour, a resource in use."""
    plan = Plan(datetime.now(UTC))
    plan.add_workstation("WS1", kind="AGENT")
    plan.add_stream("FIRST", "WS1", status="SUCC")
    plan.add_stream("SECOND", "WS1", status="HOLD")
    done = plan.add_job("DONE", "FIRST", "WS1", status="SUCC", runs=[Run(plan.now, timedelta(seconds=5), "SUCC", 0)])
    waits = plan.add_job("WAITS", "SECOND", "WS1", status="HOLD", substatus="HOLD_WAITING_FOR_PREDECESSOR")
    plan.depends_on_job(waits, done)
    depends_on_stream(plan, waits, "FIRST", "WS1")
    plan.depends_on_file(waits, "/a/b", "WS1", qualifier="-f %p", exists=True)
    depends_on_prompt(plan, waits, "CONFIRMA", "Liberar o fechamento?")
    add_resource(plan, "FITA", "WS1", quantity=2, held_by=[("FIRST", "OUTRO", 2)])
    depends_on_resource(plan, waits, "FITA", "WS1", required=1, free=0)
    return plan


def test_every_answer_of_the_simulator_fits_the_vendors_schemas(
    document: dict[str, Any],
    validator_for: Callable[[str], Draft202012Validator],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For all ten scenarios, every endpoint answers for every object with what the vendor's document describes."""
    validated: Counter[Endpoint] = Counter()
    problems: list[str] = []
    for number, plan in [*((found.number, found.plan) for found in all_scenarios()), (0, _plan_of_every_kind())]:
        with (
            HwaSimulator(plan) as simulator,
            httpx2.Client(auth=(simulator.user, simulator.password), trust_env=False) as client,
        ):
            for path in _every_path(plan):
                response = client.get(f"{simulator.base_url}{API_PREFIX}{path}")
                endpoint = _template(response.url.raw_path.decode().partition("?")[0])
                described = _operation(document, endpoint)["responses"][str(response.status_code)]["content"]
                assert response.status_code == 200, path
                assert response.headers["content-type"] in described
                schema = described[response.headers["content-type"]]["schema"]
                if "$ref" in schema:
                    validator = validator_for(schema["$ref"])
                    problems += [
                        f"{number} {path} {error.json_path}: {error.message[:200]}"
                        for error in validator.iter_errors(response.json())
                    ]
                else:
                    assert schema["type"] == "string"
                    assert response.text
                validated[endpoint] += 1
    assert problems == []
    for endpoint in Endpoint:
        with capsys.disabled():
            sys.stdout.write(f"\n{validated[endpoint]:>4} answers validated of GET {endpoint.value}")
        record_property(f"validated GET {endpoint.value}", validated[endpoint])
        assert validated[endpoint] > 0, endpoint
    assert validated.total() > 200


def _ask(scenario: Scenario, entities: Entities) -> tuple[Received, ...]:
    """The requests that the source sends for a scenario."""

    async def go(simulator: HwaSimulator) -> None:
        source = SPEC.create(simulator.environ())
        routing = Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=entities)
        try:
            await source.fetch(
                SourceRequest(
                    run_id="run-00000001",
                    source="tws_status",
                    job=scenario.job_name if entities == Entities() else None,
                    message=scenario.question,
                    routing=routing,
                    limit_seconds=10,
                )
            )
        finally:
            await source.close()

    with HwaSimulator(scenario.plan) as simulator:
        asyncio.run(go(simulator))
        return simulator.requests


def test_every_request_of_the_client_is_one_the_vendor_describes(document: dict[str, Any]) -> None:
    """Parameters and headers are declared for their endpoint, integers are integers, and a search sends its limit."""
    seen: Counter[Endpoint] = Counter()
    for scenario in all_scenarios():
        named = {
            5: Entities(job_streams=("FECHAMENTO",)),
            7: Entities(workstations=("AGT07",)),
        }.get(scenario.number, Entities())
        for received in _ask(scenario, named):
            endpoint = _template(received.path)
            seen[endpoint] += 1
            declared = {
                (item["in"], item["name"]): item["schema"]
                for item in _operation(document, endpoint).get("parameters", ())
            }
            for name, values in received.query.items():
                assert ("query", name) in declared, f"{endpoint} {name}"
                if declared["query", name]["type"] == "integer":
                    assert values[0].isdecimal()
            if "scope" in received.headers:
                assert ("header", "scope") in declared
                assert received.headers["scope"] in document["components"]["schemas"]["ScopeType"]["enum"]
            if ("query", "limit") in declared:
                assert "limit" in received.query
    asked = {
        Endpoint.ENGINE_INFO,
        Endpoint.JOBS,
        Endpoint.JOB,
        Endpoint.PREDECESSORS,
        Endpoint.SUCCESSORS,
        Endpoint.JOB_ISSUES,
        Endpoint.JOB_LOG,
        Endpoint.JOB_STREAMS,
        Endpoint.WORKSTATIONS,
    }
    assert asked <= set(seen)
