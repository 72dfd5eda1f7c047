"""Nothing that is logged carries a secret, whoever wrote the text."""

from __future__ import annotations

import io
import logging

import pytest

from orchestrator.logs import MaskingFormatter, log_error, mask_log, shown
from orchestrator.redaction.redact import MARK

SECRET = "Zq9xW3kLm7"
MAIL = "ana@example.com.br"


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
    assert f"ERROR planted broker_lost url=redis://{MARK}@h/0 run_id=r1 S0C7\nValueError: refused" in out.getvalue()


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
