"""``tws_status`` against answers with fields missing, null, of the wrong type or hostile: it answers or says why."""

import asyncio
import json
import random
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from tests_support import fetch_once

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from orchestrator.models import Entities, Intent, Routing, SourceRequest
from orchestrator.sources import FetchResult
from workers.lab.simulator.hwa import answer
from workers.lab.simulator.plan import Json, Plan
from workers.lab.simulator.scenarios import all_scenarios
from workers.sources.tws_status.source import SPEC

ODD = (
    None, True, False, 0, -1, 10**30, 10**4_000, 1e308, float("nan"), float("inf"), [], {}, [None], [[[]]], {"a": {}},
    "", "..", ".", "a/b", "%2F", "MDM;JOBS;X", "X' OR name LIKE '@", "\ud800", "\x00\x1b[31m", "१२", "²", "é" * 500,
    "PT" + "9" * 400 + "S", "2026-13-45T99:99:99Z", "JOBSTREAM", "STUCK", "NEWSTATE", [{"id": "x"}] * 50,
)  # fmt: skip


def damaged(value: Any, chance: random.Random, share: float) -> Any:
    """The value with about ``share`` of its parts left out or replaced."""
    if chance.random() < share:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: damaged(item, chance, share) for key, item in value.items() if chance.random() >= share}
    return [damaged(item, chance, share) for item in value] if isinstance(value, list) else value


def transport(plan: Plan, chance: random.Random, share: float) -> type[httpx2.AsyncBaseTransport]:
    """A transport that answers like the simulator, and damages what it says."""

    class Damaging(httpx2.AsyncBaseTransport):
        def __init__(self, **_: object) -> None:
            """Connect to nothing."""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            query = parse_qs(request.url.query.decode())
            path = request.url.raw_path.decode().partition("?")[0]
            reply = answer(plan, path, {name: tuple(values) for name, values in query.items()})
            if reply.kind != "application/json" or reply.status != httpx2.codes.OK:
                return httpx2.Response(reply.status, content=chance.randbytes(chance.randrange(40)) + reply.body)
            body = {key: damaged(value, chance, share) for key, value in json.loads(reply.body).items()}
            return httpx2.Response(reply.status, content=json.dumps(body).encode())

    return Damaging


def questions(job: Json) -> tuple[tuple[str | None, Entities], ...]:
    """The four ways to ask: for a job, its stream, its workstation, the plan."""
    workstation = job["workstation"].rpartition("/")[2]
    return (
        (job["name"], Entities()),
        (None, Entities(job_streams=(job["jobStreamName"],))),
        (None, Entities(workstations=(workstation,))),
        (None, Entities()),
    )


def fetch(job: str | None, entities: Entities) -> FetchResult:
    """Ask once."""
    request = SourceRequest(
        run_id="run-00000001",
        source="tws_status",
        job=job,
        message="falhou",
        routing=Routing(intent=Intent.TROUBLESHOOT, confidence=1, language=Language.PT_BR, entities=entities),
        limit_seconds=60,
    )

    async def go() -> FetchResult:
        source = SPEC.create({"TWS_BASE_URL": "http://tws.example", "TWS_USER": "u", "TWS_PASSWORD": "p"})
        return await fetch_once(source, request)

    return asyncio.run(go())


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_damaged_answers_break_nothing(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Whatever stands in the answers, the question is answered with what is left, and the answer can be written."""
    plans = [scenario.plan for scenario in all_scenarios()]
    for seed in range(60):
        chance = random.Random(seed)  # the same damage every time
        plan = chance.choice(plans)
        job, entities = questions(chance.choice(plan.jobs))[seed % 4]
        monkeypatch.setattr(httpx2, "AsyncHTTPTransport", transport(plan, chance, share))
        try:
            result = fetch(job, entities)
        except SourceError as error:
            pytest.fail(f"seed {seed}: {error.reason} {error}")
        assert len(json.dumps(result.data).encode()) < 256 * 1024, seed
        assert all(item.model_dump_json() for item in result.evidence), seed


def test_more_than_was_asked_for_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ignores the limit keeps the loop no longer than one that obeys, and the rest is counted."""

    class Boundless(httpx2.AsyncBaseTransport):
        def __init__(self, **_: object) -> None:
            """Connect to nothing."""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            jobs = [{"id": str(number), "name": "A", "status": "HOLD"} for number in range(3_000)]
            return httpx2.Response(200, json={"results": jobs})

    monkeypatch.setattr(httpx2, "AsyncHTTPTransport", Boundless)
    result = fetch("A", Entities())
    assert result.truncated is not None
    assert "2900 more jobs named A" in str(result.truncated)
    assert "79 more jobs of that name" in str(result.truncated)
    assert len(result.data["candidates"]) == 20
