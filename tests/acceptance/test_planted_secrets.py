"""Secrets planted in everything that comes in: none reaches the store, the events, the answer, a prompt or a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from openai_support import FakeOpenAIServer, Recorded, Reply, answer

from orchestrator.config import ParallelConfig
from orchestrator.models import AnswerMode, EventType, TroubleshootRequest
from orchestrator.sources import BUILTIN_SOURCES, SOURCES_GROUP
from orchestrator.store.packed import unpack

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
CONFIG = ParallelConfig(node_timeout_seconds=2, total_timeout_seconds=12, synthesis_reserve_seconds=8)
SECRET = "Zq9xW3kLm7"
MAIL = "ana.souza@example.com.br"
PLANTED = f"password={SECRET} {MAIL}"
SOURCES = f"""
from orchestrator.errors import SourceError
from orchestrator.models import Evidence
from orchestrator.sources import FetchResult, SourceSpec

TEXT = {PLANTED!r}


class Leaky:
    def __init__(self, name):
        self.name = name

    async def fetch(self, request):
        if self.name == "rag_search":
            raise ValueError("unexpected: " + TEXT)
        if self.name == "log_cache":
            raise SourceError("refused: " + TEXT, reason="refused", asked=(TEXT,), where=TEXT)
        item = Evidence(id="x:1", source=self.name, kind="job_log", title=TEXT, text="S0C7 " + TEXT, where=TEXT)
        return FetchResult(
            data={{"job": request.job, "note": TEXT, TEXT: {{"password": "{SECRET}"}}}}, evidence=(item,),
            finding=TEXT, asked=(TEXT,), where=TEXT, truncated=TEXT,
        )

    async def close(self):
        pass


def spec(name):
    return SourceSpec(name=name, create=lambda _environ: Leaky(name), per_job=True)
"""


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    """A model that first fails with the secret in the error's text, then answers with it everywhere."""

    def choose(recorded: Recorded) -> Reply:
        if recorded.body["model"] == "scripted-model":
            return Reply(status=503, error_text=PLANTED)
        claims = [{"text": f"O job log mostra S0C7 {PLANTED}", "evidence_ids": ["tws_status:1"]}]
        return Reply(
            answer(
                summary=f"O job falhou com S0C7. A conexão usou {PLANTED}.",
                root_cause=f"Dados inválidos; {PLANTED}",
                claims=claims,
                actions=[{"text": f"Conferir {PLANTED}", "risk": "none", "command": f"conman sj --password {SECRET}"}],
                prevention=[PLANTED],
                missing_evidence=[PLANTED],
                suspicious=[PLANTED],
            )
        )

    with FakeOpenAIServer(choose) as fake:
        yield fake


def install_leaky_sources(folder: Path) -> None:
    lines = [SOURCES, *(f"{name} = spec({name!r})" for name in BUILTIN_SOURCES)]
    (folder / "leaky_sources.py").write_text("\n".join(lines) + "\n", "utf-8")
    points = [f"[{SOURCES_GROUP}]", *(f"{name} = leaky_sources:{name}" for name in BUILTIN_SOURCES)]
    info = next(folder.glob("*.dist-info"))
    (info / "entry_points.txt").write_text("\n".join(points) + "\n", "utf-8")


def everything_in_redis(url: str) -> str:
    """All keys and values, whatever their type; what is packed unpacked."""
    out = []

    def string(key: str) -> object:
        value = raw.get(key)
        return unpack("run", value) if isinstance(value, bytes) and key.endswith(":packed") else value

    with redis.Redis.from_url(url, decode_responses=True) as client, redis.Redis.from_url(url) as raw:
        for key in client.scan_iter(count=1_000):
            read = {
                "string": string,
                "hash": client.hgetall,
                "list": lambda name: client.lrange(name, 0, -1),
                "set": client.smembers,
                "zset": lambda name: client.zrange(name, 0, -1),
                "stream": client.xrange,
                "none": client.get,  # gone since: what workers keep for a moment
            }
            out.append(f"{key} {read[client.type(key)](key)!r}")
    return "\n".join(out)


def test_no_planted_secret_is_kept_sent_or_logged(fleet: Fleet, server: FakeOpenAIServer) -> None:
    """Question, data, evidence, errors, exceptions and the model's own words lose their secrets on every way out."""
    install_leaky_sources(fleet.folder / "stubs")
    fleet.environ["RESYNC_REDACT_PERSONAL_DATA"] = "true"
    environ = server.environ(LLM_FALLBACK_MODEL="second-model")
    fleet.worker("orchestrator", "synthesis", *BUILTIN_SOURCES, **environ)
    message = f"Job BATCH001 falhou com ABEND S0C7, a senha é {SECRET}, falar com {MAIL}"
    request = TroubleshootRequest(message=message, job_name="BATCH001", config=CONFIG)
    with fleet.client() as client:
        run_id = client.submit(request)
        report = client.result(run_id)
        events = list(client.stream(run_id))
        listed = [summary.model_dump_json() for summary in client.list()]
    assert report.mode is AnswerMode.LLM, report.metadata
    assert any(event.type is EventType.TOKEN for event in events)
    assert "S0C7" in report.response
    prompts = json.dumps([recorded.body for recorded in server.requests], ensure_ascii=False)
    assert "S0C7" in prompts
    shown = {
        "redis": everything_in_redis(fleet.settings.redis_url),
        "report": report.model_dump_json(),
        "events": "\n".join(event.model_dump_json() for event in events),
        "list": "\n".join(listed),
        "prompts": prompts,
        "logs": fleet.logs(),
    }
    assert "source_failed" in shown["logs"]
    assert {name: SECRET in text for name, text in shown.items()} == dict.fromkeys(shown, False)
    assert {name: MAIL in text for name, text in shown.items()} == dict.fromkeys(shown, False)
