"""Secrets at every distance around every cut, through every source: no piece of one is kept, shown, asked or logged."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from plan_support import depends_on_prompt

from orchestrator.cli.context import CliContext
from orchestrator.client.sync import masked_request
from orchestrator.config import Settings
from orchestrator.logs import MaskingFormatter
from orchestrator.models import Report, SourceOutcome, TroubleshootRequest
from orchestrator.redaction.redact import MARK
from orchestrator.routing.plan import plan_request
from orchestrator.run.conclusion import conclude
from orchestrator.run.finisher import Finisher
from orchestrator.sources import BUILTIN_SOURCES, load_source
from orchestrator.store.connection import session
from orchestrator.store.runs import RunStore, new_token
from orchestrator.synthesis import Case
from workers.cli import kb, logs
from workers.lab.simulator.hwa import HwaSimulator
from workers.lab.simulator.metrics import AppMetricsServer
from workers.lab.simulator.plan import Plan, Run
from workers.runtime.ask import SourceRunner
from workers.runtime.event_loop import Runtime
from workers.sources.log_cache.write_back import create_write_back
from workers.synthesis.prompt import build_prompt

S = "Zx9qVj4Kw7Yq"
CPF, MAIL = "529.982.247-25", "vqzkj.wxyq@qzexample.com.br"
PIECES = [secret[at : at + 4] for secret in (S, CPF, MAIL.partition("@")[0]) for at in range(len(secret) - 3)]
RUN = "run-00000001"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FRAMES = ("", "12.34.56 JOB01234  ", "2026-11-24 03:00:12,123 INFO  [main] com.acme.Load - ", "+ ", "     7  ")
FORMS = (
    f"password={S}",
    f"senha: {S}",
    f"mysql -u root -p{S}",
    f"tool --token {S} x",
    f"redis://app:{S}@db1:6379/0",
    f'{{"db_password": "{S}", "n": 1}}',
    f"Authorization: Bearer {S}",
    f"connect scott/{S}@ORCL",
    f"//J JOB (A),USER=PRD,PASSWORD={S},CLASS=A",
    f"cliente {CPF}",
    f"avisar {MAIL}",
)


def over_the_cut(limit: int, count: int) -> list[str]:
    """Lines in which a secret begins before, and ends behind, that many characters."""
    lines = []
    for number in range(count):
        frame, form = FRAMES[number % len(FRAMES)], FORMS[number % len(FORMS)]
        secret = next(item for item in (S, CPF, MAIL) if item in form)
        begins = limit - len(secret) - 3 + number * (len(secret) + 6) // count
        filler = ("registro lido ok " * (limit // 16 + 2))[: max(0, begins - len(frame) - form.index(secret) - 1)]
        lines.append(f"{frame}{filler} {form} e segue")
    return lines


def job_log() -> list[str]:
    """A log that is shown whole, with lines over the cut, secrets on more than one line, and a telling end."""
    return [
        *over_the_cut(300, 66),
        "Enter password:",
        S,
        "+ mysql -u root \\",
        f"+   --password {S[:6]}\\",
        f"{S[6:]} prod",
        "12.34.56 JOB01234  //INPUT DD *",
        "12.34.56 JOB01234  ftp.example.org",
        f"12.34.56 JOB01234  app {S}",
        json.dumps({"log": f"USER app\nPASS {S}", "stream": "stdout"}),
        f"ORA-01017: invalid username/password; logon denied senha={S}",
        "ERROR CEE3207S The system detected a data exception (System Completion Code=0C7).",
        "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000",
    ]


def plan() -> Plan:
    """BATCH001 has failed, behind everything that a plan can hold a secret in."""
    made = Plan(NOW)
    made.add_workstation("LNX01")
    made.add_stream("FATDIA", "LNX01")
    run = Run(NOW - timedelta(minutes=60), timedelta(minutes=11), "ABEND", 12, job_log())
    command = over_the_cut(400, 1)[0]
    job = made.add_job("BATCH001", "FATDIA", "LNX01", status="ABEND", runs=[run], task=command, user="fatur")
    for text in over_the_cut(400, 12):
        made.add_issue(job, "JOB", text)
    for number, text in enumerate(over_the_cut(400, 6)):
        depends_on_prompt(made, job, f"P{number}", text)
    return made


def metrics_text() -> str:
    """A metric with secrets over the cut of a label, and under a label that names one."""
    labels = ",".join(f'l{number}="{_escaped(text)}"' for number, text in enumerate(over_the_cut(200, 8)))
    return f'# TYPE resync_error_rate gauge\nresync_error_rate{{{labels},password="{S}"}} 0.9\n'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@pytest.fixture
def environ(redis_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a worker, with its counterparts: a TWS, metrics, a log cache, a knowledge base."""
    chunk = "\n\n".join(f"Causa {number}: {text}" for number, text in enumerate(over_the_cut(1_200, 12)))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "s0c7.md").write_text(f"# S0C7\n\n## ABEND S0C7 BATCH001\n\n{chunk}\n", "utf-8")
    entries = [{"at": "2026-11-23T03:00:00Z", "message": text, "code": "S0C7"} for text in over_the_cut(2_000, 11)]
    entries += [{"ts": "2026-11-22", "password": f"{S} and {S}", "error_code": "S0C7"}]
    with redis.Redis.from_url(redis_url) as client:
        client.set("resync:errors:recent:BATCH001", json.dumps(entries))
        client.set("resync:job:history:BATCH001", json.dumps([f"S0C7 {text}" for text in over_the_cut(2_000, 11)]))
    with HwaSimulator(plan()) as simulator, AppMetricsServer(metrics_text()) as metrics:
        yield {
            **os.environ,
            **simulator.environ(),
            "REDIS_URL": redis_url,
            "RESYNC_METRICS_URL": metrics.url,
            "RESYNC_KNOWLEDGE_PATH": str(tmp_path / "kb.sqlite"),
            "RESYNC_REDACT_PERSONAL_DATA": "true",
            "RESYNC_LOG_CACHE_RETENTION_DAYS": "3000",
        }


def run_command(environ: dict[str, str], command: object, *arguments: str, stdin: Iterable[str] = ()) -> str:
    """What a command writes."""
    text = "\n".join(stdin)
    result = CliRunner().invoke(command, list(arguments), input=text, obj=CliContext(environ))  # type: ignore[arg-type]
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def run_commands(environ: dict[str, str], folder: Path) -> dict[str, str]:
    """What the commands write that store texts and show them."""
    items = [{"at": "2026-11-21", "message": text, "status": f"ABEND {text}"} for text in over_the_cut(2_000, 11)]
    items += [{"at": "2026-11-20", "status": text, "step": text, "n": n} for n, text in enumerate(over_the_cut(40, 22))]
    fed = environ | {"RESYNC_LOG_CACHE_FEED_APP": "true"}
    read = ("ingest", "-", "--job")
    return {
        "ingest": run_command(environ, logs.command, *read, "BATCH001", stdin=job_log()),
        "ingest of items": run_command(environ, logs.command, *read, "BATCH001", stdin=map(json.dumps, items)),
        "ingest for the app": run_command(fed, logs.command, *read, "LOAD01", stdin=job_log()),
        "logs show": run_command(environ, logs.command, "show", "BATCH001"),
        "logs show --json": run_command(environ, logs.command, "show", "BATCH001", "--json"),
        "kb index": run_command(environ, kb.command, "index", str(folder), "--no-runbooks"),
        "kb search": run_command(environ, kb.command, "search", "ABEND S0C7"),
        "kb search --json": run_command(environ, kb.command, "search", "ABEND S0C7", "--json"),
        "the index": Path(environ["RESYNC_KNOWLEDGE_PATH"]).read_bytes().decode("utf-8", "replace"),
    }


def everything_in(url: str) -> dict[str, str]:
    """All keys and values of a store."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        read = {
            "string": client.get,
            "hash": client.hgetall,
            "list": lambda key: client.lrange(key, 0, -1),
            "zset": lambda key: client.zrange(key, 0, -1),
            "stream": client.xrange,
        }
        return {key: f"{key} {read[client.type(key)](key)}" for key in client.scan_iter(count=1_000)}


def leaks(shown: dict[str, str]) -> list[str]:
    """Where a piece of a secret stands, with what is around it."""
    piece = re.compile("|".join(map(re.escape, PIECES)))
    found = [(name, text, match) for name, text in shown.items() for match in piece.finditer(text)]
    return [f"{name}: {text[max(0, match.start() - 80) : match.end() + 20]}" for name, text, match in found]


def answered(environ: dict[str, str]) -> tuple[Report, Case]:
    """The report of a run over all sources, as workers make it, and what a model would get."""
    settings, runtime = Settings.from_env(environ), Runtime(environ)
    message = f"Job BATCH001 falhou com ABEND S0C7, a senha é {S}, falar com {MAIL}"
    request = masked_request(TroubleshootRequest(message=message, job_name="BATCH001"), personal=True)
    plan = plan_request(request, {name: int(load_source(name).per_job) for name in BUILTIN_SOURCES})
    with closing(runtime), session(settings) as client:
        store = RunStore(client, settings)
        store.open(RUN, request, nonce=new_token())
        store.claim_dispatch(RUN, "d")
        store.put_plan(RUN, "d", plan)
        store.mark_dispatched(RUN, "d")
        runner = SourceRunner(
            store=store, source=runtime.source, submit=runtime.submit, worker="test", redact_personal=True
        )
        for planned in plan.sources:
            runner.ask(RUN, planned.source, planned.job, claim="c", soft_limit_seconds=None)
        case = conclude(store.read(RUN)).case
        report = Finisher(store, by="test", after_commit=(create_write_back(environ),)).finish(RUN)
    assert report is not None
    assert case is not None
    return report, case


def test_no_piece_of_a_secret_gets_out(
    environ: dict[str, str], redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of no secret over a cut are four characters in an envelope, event, answer, prompt, record, command or log."""
    caplog.set_level(logging.DEBUG)
    planted = everything_in(redis_url)
    written = run_commands(environ, tmp_path / "docs")
    report, case = answered(environ)
    outcomes = {item.source: (item.outcome, bool(item.evidence)) for item in report.parallel_results}
    assert outcomes == dict.fromkeys(BUILTIN_SOURCES, (SourceOutcome.OK, True))
    assert "S0C7" in report.response
    prompt = build_prompt(case, max_tokens=100_000, nonce="n" * 16, personal=True)
    shown = {
        **{key: text for key, text in everything_in(redis_url).items() if text != planted.get(key)},
        **written,
        "report": report.model_dump_json(),
        "prompt": json.dumps(prompt.messages, ensure_ascii=False),
        "log": "\n".join(map(MaskingFormatter(personal=True).format, caplog.records)),
    }
    assert leaks(shown) == []
    assert all(MARK in shown[name] for name in ("report", "prompt", "logs show", "kb search"))
