"""Closing what a site's factories made."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest
from tests_support import stretched

from orchestrator.after_commit import run_after_commit
from orchestrator.models import Report
from orchestrator.plugins import CLOSE_SECONDS, close_all, made_or
from orchestrator.testing import Panic


def test_nothing_that_closes_badly_delays_or_fails_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """One that raises, one that cannot be awaited and one that ignores its cancellation are logged and left."""
    closed: list[str] = []

    async def well() -> None:
        closed.append("well")

    async def fail() -> None:
        raise RuntimeError("senha: Zq9xW3kLm7")

    async def hang() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        await asyncio.sleep(30)

    async def close() -> float:
        began = time.monotonic()
        await close_all((hang, fail, lambda: None, well), event="close_failed")  # type: ignore[arg-type, return-value]
        return time.monotonic() - began

    assert asyncio.run(close()) < CLOSE_SECONDS + stretched(0.5)
    assert closed == ["well"]
    assert [text.split("\n")[0] for text in sorted(caplog.messages)] == [
        *["close_failed"] * 2,
        "close_failed reason=timeout",
    ]
    assert "Zq9xW3kLm7" not in caplog.text


ESCAPED = (SystemExit(0), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), Panic("rust"))


@pytest.mark.parametrize("error", ESCAPED, ids=lambda error: type(error).__name__)
def test_what_would_end_the_process_is_logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """What a factory, a hook or a ``close()`` raises past ``Exception`` stops neither the others nor the caller."""
    called: list[str] = []

    def fail(*_: object) -> None:
        raise error

    async def fail_later() -> None:
        fail()

    async def close() -> None:
        called.append("closed")

    assert made_or("default", fail, {}, event="not_made") == "default"  # type: ignore[arg-type]
    report = Report.model_construct(run_id="run-00000001")
    run_after_commit((fail, lambda report: called.append(report.run_id)), report)
    asyncio.run(close_all((fail_later, fail, close), event="close_failed"))  # type: ignore[arg-type]
    assert called == ["run-00000001", "closed"]
    assert all(name in caplog.text for name in ("not_made", "after_commit_failed", type(error).__name__))


def test_nothing_to_close_is_no_wait() -> None:
    """A run that made no source has none to close."""
    asyncio.run(close_all((), event="close_failed"))
