"""A run belongs to the user that submitted it: over HTTP nobody else is told that it exists."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Annotated, Any

import httpx2
from fastapi import FastAPI, Header

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.config import Settings
from orchestrator.models import RunState, TroubleshootRequest
from orchestrator.store.runs import RunStore
from orchestrator.web import Identity, create_router

RUNS = "/troubleshoot/runs"
RUN, NOBODYS = "run-of-ana", "run-of-nobody"
ASKED = {"message": "Job BATCH001 falhou"}
EACH_WAY = (
    ("GET", "", {}),
    ("GET", "/answer.md", {}),
    ("GET", "/events", {}),
    ("DELETE", "", {}),
    ("POST", "/rerun", {"json": {}}),
)


def identify(x_user: Annotated[str | None, Header()] = None) -> Identity | None:
    return None if x_user is None else Identity(x_user, all_runs=x_user == "root")


class Site:
    """An app that identifies its users, over a real store."""

    def __init__(self, client: AsyncTroubleshootClient, http: httpx2.AsyncClient) -> None:
        self.client, self.http = client, http

    @property
    def store(self) -> RunStore:
        return self.client.sync.store

    async def ask(self, user: str | None, method: str, path: str = "", **options: Any) -> httpx2.Response:
        headers = options.pop("headers", {}) | ({} if user is None else {"X-User": user})
        return await self.http.request(method, f"{RUNS}{path}", headers=headers, **options)

    async def submit(self, user: str | None, **body: Any) -> httpx2.Response:
        options = {name: body.pop(name) for name in ("headers", "params") if name in body}
        return await self.ask(user, "POST", json=ASKED | body, **options)

    async def listed(self, user: str | None, query: str = "") -> list[str]:
        response = await self.ask(user, "GET", query)
        assert response.status_code == 200
        return [run["run_id"] for run in response.json()]


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with AsyncTroubleshootClient(settings) as client:
        app = FastAPI()
        app.include_router(create_router(client, identify=identify))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app", trust_env=False) as http:
            yield Site(client, http)


def on_site(settings: Settings, scene: Callable[[Site], Awaitable[None]]) -> None:
    async def play() -> None:
        async with site(settings) as there:
            await scene(there)

    asyncio.run(play())


def test_a_user_reads_own_runs_alone(settings: Settings) -> None:
    """Another's run is answered in every way like one that does not exist; its owner and who sees all are served."""

    async def scene(there: Site) -> None:
        assert (await there.submit("ana", params={"run_id": RUN})).status_code == 202
        for method, path, options in EACH_WAY:
            theirs = await there.ask("bia", method, f"/{RUN}{path}", **options)
            missing = await there.ask("bia", method, f"/run-that-is-not{path}", **options)
            assert theirs.status_code == 404
            assert theirs.text == missing.text.replace("run-that-is-not", RUN)
            assert theirs.headers == missing.headers | {"content-length": theirs.headers["content-length"]}
        assert there.store.read(RUN).state is RunState.ACCEPTED
        for user in ("ana", "root"):
            assert (await there.ask(user, "GET", f"/{RUN}")).status_code == 202
            assert (await there.ask(user, "POST", f"/{RUN}/rerun", json={})).json()["reason"] == "conflict"
        assert (await there.ask("ana", "DELETE", f"/{RUN}")).json()["state"] == "cancelled"
        for user in ("ana", "root"):
            assert "event: cancelled" in (await there.ask(user, "GET", f"/{RUN}/events")).text

    on_site(settings, scene)


def test_a_list_has_own_runs_alone(settings: Settings) -> None:
    """So it has whatever the filters; who sees all may ask for those of one user."""

    async def scene(there: Site) -> None:
        for user, run_id in (
            ("ana", "run-of-ana-1"),
            ("bia", "run-of-bia-1"),
            ("ana", "run-of-ana-2"),
            (None, NOBODYS),
        ):
            await there.submit(user, params={"run_id": run_id}, jobs=["BATCH001"])
        assert await there.listed("ana") == ["run-of-ana-2", "run-of-ana-1"]
        assert await there.listed("ana", "?user=ana&job=BATCH001&limit=1") == ["run-of-ana-2"]
        assert await there.listed("ana", "?user=bia") == await there.listed("eva") == await there.listed(None) == []
        assert await there.listed("root") == [NOBODYS, "run-of-ana-2", "run-of-bia-1", "run-of-ana-1"]
        assert await there.listed("root", "?user=bia") == ["run-of-bia-1"]

    on_site(settings, scene)


def test_nothing_crosses_from_one_user_to_another(settings: Settings) -> None:
    """Neither an idempotency key, nor a session, nor a rerun in the body."""

    async def scene(there: Site) -> None:
        key = {"Idempotency-Key": "4711"}
        first = {user: (await there.submit(user, headers=key)).json()["run_id"] for user in ("ana", "bia", "eva")}
        assert len(set(first.values())) == 3
        for user, run_id in first.items():
            assert (await there.submit(user, headers=key)).json()["run_id"] == run_id
            other = await there.submit(user, headers=key, message="another question")
            assert other.json()["reason"] == "conflict"
        stolen = await there.submit("bia", rerun_of=first["ana"])
        assert (stolen.status_code, stolen.json()["reason"]) == (404, "run_not_found")
        assert (await there.submit("ana", rerun_of=first["ana"])).status_code == 202
        await there.client.submit(TroubleshootRequest(message="Job FECH001 falhou", session_id="turno"))
        for user in ("ana", "bia", None):
            run_id = (await there.submit(user, message="e o log?", session_id="turno")).json()["run_id"]
            assert there.store.session_runs(run_id, there.store.read(run_id).request) == []

    on_site(settings, scene)


def test_who_submits_by_the_python_client_owns_the_run(settings: Settings) -> None:
    """With a ``user_id`` it is that user's; without one, and of an older version, nobody's but theirs who see all."""

    async def scene(there: Site) -> None:
        await there.client.submit(TroubleshootRequest(**ASKED, user_id="ana"), run_id=RUN)
        await there.client.submit(TroubleshootRequest(**ASKED), run_id=NOBODYS)
        for run_id, expected in ((RUN, {"ana": 202, "bia": 404}), (NOBODYS, {"ana": 404, None: 404})):
            codes = {user: (await there.ask(user, "GET", f"/{run_id}")).status_code for user in expected}
            assert codes == expected
            assert (await there.ask("root", "GET", f"/{run_id}")).status_code == 202
        # Older versions write the user into the request alone.
        hash_of = there.store.keys.run
        for run_id, expected in ((RUN, {"ana": 202, "bia": 404}), (NOBODYS, {"ana": 404, None: 404, "root": 202})):
            there.client.sync._client.hdel(hash_of(run_id), "owner")
            codes = {user: (await there.ask(user, "GET", f"/{run_id}")).status_code for user in expected}
            assert codes == expected

    on_site(settings, scene)


def test_a_run_that_redis_lost_is_told_to_its_owner_alone(settings: Settings) -> None:
    """The app remembers that it submitted the run; another user is told what is told of any id."""

    async def scene(there: Site) -> None:
        await there.submit("ana", params={"run_id": RUN})
        there.client.sync._client.flushall()
        for user, told in (("ana", "was accepted and is no longer stored"), ("bia", "is not stored: it never existed")):
            response = await there.ask(user, "GET", f"/{RUN}")
            assert response.status_code == 404
            assert told in response.json()["detail"]

    on_site(settings, scene)


def test_a_foreign_run_takes_no_longer_than_a_missing_one(settings: Settings) -> None:
    """A large run of another user is refused by what a missing one is refused by: one look at its owner."""

    async def scene(there: Site) -> None:
        await there.submit("ana", params={"run_id": RUN}, message="x" * 8_000)
        times: dict[str, list[float]] = {RUN: [], "run-that-is-not": []}
        for _ in range(60):
            for run_id, taken in times.items():
                began = time.perf_counter()
                assert (await there.ask("bia", "GET", f"/{run_id}")).status_code == 404
                taken.append(time.perf_counter() - began)
        theirs, missing = (median(taken) for taken in times.values())
        assert 0.5 < theirs / missing < 2

    on_site(settings, scene)


def test_the_owner_is_in_no_event(settings: Settings) -> None:
    """What a page shows live has the question, and not whose it is."""

    async def scene(there: Site) -> None:
        await there.submit("ana", params={"run_id": RUN})
        await there.ask("ana", "DELETE", f"/{RUN}")
        text = (await there.ask("ana", "GET", f"/{RUN}/events")).text
        data = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        assert [event["type"] for event in data] == ["accepted", "cancelled"]
        assert all("ana" not in json.dumps(event["data"]) for event in data)

    on_site(settings, scene)
