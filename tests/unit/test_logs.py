"""Nothing that is logged carries a secret, whoever wrote the text, and each line says what it is about."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import logs
from orchestrator.logs import JsonFormatter, MaskingFormatter, bound, get_logger, log_error, mask_log, shown
from orchestrator.redaction.redact import MARK
from orchestrator.run.loop_thread import LoopThread

SECRET = "Zq9xW3kLm7"
MAIL = "ana@example.com.br"
HOSTILE = "\n2026-01-01T00:00:00.000Z INFO x run_committed run_id=r1\r\x1b[2J\x9b31m\u2028\u202e\x00"
ROOT = Path(logs.__file__).parents[1]


def logged(formatter: logging.Formatter) -> tuple[logging.Logger, io.StringIO]:
    logger, out = logging.getLogger("planted"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger.handlers, logger.propagate = [handler], False
    return logger, out


def test_our_processes_mask_whole_lines() -> None:
    """Message, arguments and traceback are masked; codes and ids stay."""
    logger, out = logged(MaskingFormatter(personal=True))
    error = ValueError(f"refused: token={SECRET} {MAIL}")
    logger.error("broker_lost url=%s run_id=r1 S0C7", f"redis://u:{SECRET}@h/0", exc_info=error)
    assert SECRET not in out.getvalue()
    assert MAIL not in out.getvalue()
    assert f"ERROR planted broker_lost url=redis://{MARK}@h/0 run_id=r1 S0C7\n  ValueError: refused" in out.getvalue()


def test_a_json_line_is_masked_and_stays_json() -> None:
    """Fields, a library's message and the traceback are masked, each by itself."""
    logger, out = logged(JsonFormatter(personal=True))
    error = ValueError(f'refused: "token": "{SECRET}" {MAIL}')
    logger.error("broker_lost url=%s run_id=%s", f"redis://u:{SECRET}@h/0", "r1", exc_info=error)
    logger.warning("a library says password=%s", SECRET)
    ours, library = map(json.loads, out.getvalue().splitlines())
    assert (ours["event"], ours["url"], ours["run_id"]) == ("broker_lost", f"redis://{MARK}@h/0", "r1")
    assert ours["traceback"].startswith("ValueError: refused")
    assert (library["event"], library["message"]) == ("log", f"a library says password={MARK}")
    assert SECRET not in out.getvalue()
    assert MAIL not in out.getvalue()


def test_a_json_line_has_the_facts_as_fields() -> None:
    """Time in UTC, level, logger, event, what is bound and the event's own fields, numbers as numbers."""
    logger, out = logged(JsonFormatter())
    with bound(run_id="r1", source="metrics", attempt=None):
        logger.warning("source_finished source=%s latency_ms=%.1f reason=timeout status=%s", "metrics", 12.26, None)
    line = json.loads(out.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "WARNING",
        "logger": "planted",
        "event": "source_finished",
        "source": "metrics",
        "latency_ms": 12.3,
        "reason": "timeout",
        "status": None,
        "run_id": "r1",
    }


def test_a_json_line_has_no_number_that_json_does_not_have() -> None:
    """Infinite limits are words; fractions are as long as the text has them."""
    logger, out = logged(JsonFormatter())
    logger.warning("x limit_seconds=%.1f left=%s wait=%s", float("inf"), float("nan"), 4.797000000000001)
    line = json.loads(out.getvalue(), parse_constant=pytest.fail)
    assert (line["limit_seconds"], line["left"], line["wait"]) == ("inf", "nan", 4.797)


def test_json_lines_are_utf_8_in_any_character_set() -> None:
    """What Latin 1 or ASCII lack would be written as escapes that JSON does not have."""
    script = (
        "import logging; from orchestrator.logs import configure_log; configure_log('INFO', form='json');"
        "logging.getLogger('x').info('y reason=%s', 'açúcar \U0001f600')"
    )
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], env=environ, cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stderr)["reason"] == "açúcar \U0001f600"


def test_a_text_line_ends_with_what_is_bound() -> None:
    """Each field once."""
    logger, out = logged(MaskingFormatter())
    with bound(run_id="r1", task_id="t1"), bound(source="metrics"):
        logger.info("x")
        logger.warning("source_finished source=%s", "metrics")
    assert out.getvalue().endswith("Z WARNING planted source_finished source=metrics run_id=r1 task_id=t1\n")


@pytest.mark.parametrize("formatter", [MaskingFormatter(), JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize("way", ["field", "library", "traceback", "error", "bound"])
def test_no_value_begins_a_line_or_moves_the_cursor(formatter: logging.Formatter, way: str) -> None:
    """Line feeds, control characters, ANSI sequences and marks of direction are written as escapes."""
    logger, out = logged(formatter)
    if way == "field":
        logger.error("x reason=%s", HOSTILE)
    elif way == "library":
        logger.error("Task %(name)s failed", {"name": HOSTILE})
    elif way == "traceback":
        logger.error("x", exc_info=ValueError(HOSTILE))
    elif way == "error":
        log_error(logger, "x run_id=%s", "r1", error=ValueError(HOSTILE))
    else:
        with bound(run_id=HOSTILE):
            logger.error("x")
    lines = out.getvalue().splitlines()
    assert len([line for line in lines if not line.startswith("  ")]) == 1
    assert not set("\r\x1b\x9b\u2028\u202e\x00") & set(out.getvalue())
    if isinstance(formatter, JsonFormatter):
        assert "run_committed" in str(json.loads(out.getvalue()))


def test_what_is_bound_passes_to_loops_tasks_and_threads() -> None:
    """A source's line has its run, on whatever loop or thread it is logged, and no other run's."""
    seen: list[dict[str, object]] = []
    loop = LoopThread("bound")

    async def work(number: int) -> None:
        with bound(attempt=number):
            await asyncio.sleep(0.01)
            await asyncio.gather(asyncio.create_task(asyncio.sleep(0)), asyncio.to_thread(note))

    def note() -> None:
        seen.append(dict(logs._around()))

    def task(number: int) -> None:
        with bound(run_id=f"r{number}"):
            loop.submit(work(number)).result(30)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(task, range(20)))
    loop.stop()
    assert sorted(seen, key=str) == sorted(({"run_id": f"r{n}", "attempt": n} for n in range(20)), key=str)
    assert logs._around() == {}


def test_an_apps_formatter_sees_the_fields(caplog: pytest.LogCaptureFixture) -> None:
    """As attributes of the record, as structlog's ``ExtraAdder`` and JSON formatters read what is given as extra."""
    logger = get_logger("orchestrator.planted")
    with bound(run_id="r1", task_id="t1"):
        logger.warning("source_finished source=%s latency_ms=%.1f", "metrics", 1.5)
    (record,) = caplog.records
    seen = {name: getattr(record, name) for name in ("event", "run_id", "task_id", "source", "latency_ms")}
    assert seen == {"event": "source_finished", "run_id": "r1", "task_id": "t1", "source": "metrics", "latency_ms": 1.5}
    assert record.getMessage() == "source_finished source=metrics latency_ms=1.5"


def _templates() -> list[tuple[str, str]]:
    """The templates of our own log lines, with their places; ``{}`` is filled in as a name."""
    found = []
    for path in [*ROOT.glob("orchestrator/**/*.py"), *ROOT.glob("workers/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            is_log = name == "log_error" or name.startswith(("_LOGGER.", "logger."))
            if not is_log or name.endswith((".isEnabledFor", ".filter", ".addFilter", ".addHandler", ".setLevel")):
                continue
            template = node.args[1 if name in ("log_error", "logger.log") else 0]
            if isinstance(template, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "x" for part in template.values]
                found.append(("".join(map(str, parts)), f"{path}:{node.lineno}"))
            elif isinstance(template, ast.Constant):
                found.append((str(template.value), f"{path}:{node.lineno}"))
    return found


def test_every_line_of_ours_is_an_event_with_fields() -> None:
    """So that it can be read by fields; none has the name of an attribute that each record has."""
    taken = {*vars(logging.makeLogRecord({})), "message", "asctime", "event", "time", "level", "logger"}
    templates = [item for item in _templates() if not item[1].startswith(str(ROOT / "orchestrator/logs.py"))]
    assert len(templates) > 80
    wrong = []
    for template, place in templates:
        parsed = logs._parsed(template)
        if parsed is None or taken & {name for name, _ in parsed[1]}:
            wrong.append((place, template))
    assert wrong == []


def test_an_error_is_masked_whatever_the_formatter() -> None:
    """What an application's own formatter writes of a failure is masked already."""
    logger, out = logged(logging.Formatter("%(message)s"))
    log_error(logger, "source_failed run_id=%s", "r1", error=ValueError(f"senha: {SECRET}"))
    assert out.getvalue() == f"source_failed run_id=r1\nValueError: senha: {MARK}\n"


def test_errors_of_one_event_have_one_template(caplog: pytest.LogCaptureFixture) -> None:
    """What collects logs can group failures by their event, and finds where each was logged."""
    for run_id in ("r1", "r2"):
        log_error(logging.getLogger("grouped"), "source_failed run_id=%s", run_id, error=ValueError("x"))
    (template,) = {record.msg for record in caplog.records}
    assert template.startswith("source_failed run_id=%s")
    assert {record.filename for record in caplog.records} == {"test_logs.py"}


def test_the_log_of_a_library_is_masked_whatever_the_formatter(caplog: pytest.LogCaptureFixture) -> None:
    """A request's URL in an app's own log has no password and no token; other records stay as they are."""
    for _ in range(2):
        mask_log("a.library")
    logger = logging.getLogger("a.library")
    with caplog.at_level(logging.INFO, "a.library"):
        logger.info("HTTP Request: %s %s", "GET", f"http://u:{SECRET}@h/x?token={SECRET}&job=A")
        logger.info("HTTP Request: %s %s", "GET", "http://h/x?job=A")
    masked, other = caplog.records
    assert masked.getMessage() == f"HTTP Request: GET http://{MARK}@h/x?token={MARK}&job=A"
    assert (other.msg, other.args) == ("HTTP Request: %s %s", ("GET", "http://h/x?job=A"))
    assert len(logger.filters) == 1


def test_a_wrong_record_of_a_library_does_not_fail_who_logs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logging that reports it, as without the mask."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    mask_log("another.library")
    wrong = {"name": "another.library", "levelno": logging.WARNING, "msg": "%d of %d", "args": ("one",)}
    logging.getLogger("another.library").handle(logging.makeLogRecord(wrong))


def test_an_error_in_a_line_of_a_log_is_masked() -> None:
    """Such as the address in a driver's message."""
    assert shown(ValueError(f"no connection to postgresql://u:{SECRET}@h/x")) == (
        f"no connection to postgresql://{MARK}@h/x"
    )
