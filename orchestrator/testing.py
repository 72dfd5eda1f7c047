"""Test doubles: sources that sleep, hang, block or fail as the message of the question specifies.

``StubSource`` reads its behaviour from the message of each run (``stub={"metrics": {"sleep_seconds": 2}}``), so that
the same workers serve every scenario of a test suite or a benchmark. ``write_stub_sources`` makes a folder that, first
on ``PYTHONPATH``, replaces the installed sources by stubs.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import SourceError
from orchestrator.models import Diagnosis, Evidence, SourceOutcome, SourceRequest
from orchestrator.sources import SOURCES_GROUP, FetchResult, SourceSpec
from orchestrator.synthesis import SYNTHESIZERS_GROUP, Case, Synthesis, SynthesisFailed

MARK = "stub="


class StubBehaviour(BaseModel):
    """The actions of a stub, in this order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sleep_seconds: float = 0.0
    """Seconds of sleep on the event loop, which can be cancelled."""
    block_seconds: float = 0.0
    """Seconds for which the event loop is blocked."""
    connect: str | None = None
    """``host:port`` of a TCP connection that is opened and waited on for ever; a cancelled fetch closes it."""
    error: str | None = None
    """Text of a SourceError to raise."""
    own_timeout: bool = False
    """Whether to raise TimeoutError."""
    raises: Literal["SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "Panic"] | None = None
    """What to raise that is no ``Exception``."""
    raises_in_task: bool = False
    """Whether it is raised by a task that the stub has started and awaits."""
    jobs: dict[str, dict[str, Any]] = {}
    """Of a batch: the behaviour for a job, by its name, where it is not the one for all."""
    finds: int = 0
    """Number of jobs that it finds when it is asked about none: ``found1``, ``found2``, ..."""
    no_data: bool = False
    payload_bytes: int = 0
    """Size of the filler in the data."""
    wrong: Literal["evidence", "data", "finding", "breadth", "nothing", "confidence", "claims"] | None = None
    """What of the result is not valid, as it was made without validation; the last two are the synthesizer's."""


def stub_message(behaviours: Mapping[str, Mapping[str, object]], text: str = "Job BATCH001 falhou") -> str:
    """A message that specifies the behaviour of each source."""
    return f"{text} {MARK}{json.dumps(behaviours)}"


class StubSource:
    """A source without a counterpart, which behaves as the message specifies."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def fetch_many(self, request: SourceRequest) -> AsyncIterator[tuple[str, FetchResult | SourceError]]:
        """The results for the jobs, as ``fetch`` gives them for each; those that sleep do so side by side."""

        async def of_job(job: str) -> tuple[str, FetchResult | SourceError]:
            try:
                return job, await self.fetch(request.model_copy(update={"job": job, "jobs": ()}))
            except SourceError as error:
                return job, error

        tasks = [asyncio.ensure_future(of_job(job)) for job in request.jobs]
        try:
            for next_done in asyncio.as_completed(tasks):
                yield await next_done
        finally:
            for task in tasks:
                task.cancel()

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Return a result, or raise SourceError or TimeoutError, as the message specifies."""
        behaviour = _behaviour(self.name, request.message)
        if request.job in behaviour.jobs:
            behaviour = StubBehaviour.model_validate(behaviour.jobs[request.job])
        if behaviour.sleep_seconds:
            await asyncio.sleep(behaviour.sleep_seconds)
        if behaviour.block_seconds:
            time.sleep(behaviour.block_seconds)  # noqa: ASYNC251  # the behaviour under test
        if behaviour.connect:
            await _hang(behaviour.connect)
        if behaviour.raises:
            await _raise(behaviour)
        if behaviour.own_timeout:
            raise TimeoutError("the stub's own")
        if behaviour.error:
            raise SourceError(behaviour.error, reason="stub_error")
        if behaviour.no_data:
            return FetchResult(outcome=SourceOutcome.NO_DATA, finding="no data", where="stub")
        if behaviour.wrong:
            return _wrong_result(behaviour.wrong)
        item = Evidence(
            id=f"{self.name}:1",
            source=self.name,
            kind="stub",
            title="stub",
            text=f"{self.name} answered",
            job=request.job,
        )
        data: dict[str, Any] = {"stub": self.name, "job": request.job, "filler": "x" * behaviour.payload_bytes}
        if behaviour.finds and request.job is None:
            found = [f"found{number}" for number in range(1, behaviour.finds + 1)]
            data |= {"found": found, "found_count": len(found)}
        return FetchResult(
            data=data,
            evidence=(item,),
            finding=f"{self.name} answered",
            asked=("stub",),
            where="stub",
        )

    async def close(self) -> None:
        """Do nothing: there is no client."""


def _wrong_result(what: str) -> FetchResult:
    fields: dict[str, Any] = {"id": None, "source": 5, "kind": [], "title": None, "text": b"x"}
    number: Any = 7
    results: dict[str, Any] = {
        "evidence": FetchResult(evidence=(Evidence.model_construct(**fields),)),
        "data": FetchResult(data=number),
        "finding": FetchResult(finding=number),
        "breadth": FetchResult(data={"numbers": range(10**9)}),
    }
    result: FetchResult = results.get(what)  # type: ignore[assignment]  # the behaviour under test
    return result


def _behaviour(name: str, message: str) -> StubBehaviour:
    _, mark, text = message.partition(MARK)
    try:
        behaviours, _ = json.JSONDecoder().raw_decode(text) if mark else ({}, 0)
        return StubBehaviour.model_validate(behaviours.get(name, {}))
    except (ValueError, ValidationError) as error:
        raise SourceError(
            "the message's stub= part is not understood: {detail}", reason="stub_message", detail=str(error)
        ) from error


class Panic(BaseException):
    """What a library in Rust raises when it panics, by its kind."""


async def _raise(behaviour: StubBehaviour) -> None:
    kinds = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Panic)
    kind = next(kind for kind in kinds if kind.__name__ == behaviour.raises)

    async def fail() -> None:
        raise kind("the stub's own")

    await (asyncio.ensure_future(fail()) if behaviour.raises_in_task else fail())


_hanging: set[asyncio.StreamReader] = set()
"""References, without which the garbage collector may end a waiting coroutine and close its connection."""


async def _hang(address: str) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    _hanging.add(reader)
    try:
        await reader.read()
    finally:
        _hanging.discard(reader)
        writer.close()


class StubSynthesizer:
    """A synthesizer that behaves as the entry ``synthesis`` of the message specifies."""

    async def synthesize(
        self,
        case: Case,
        *,
        timeout_seconds: float,  # noqa: ARG002  # the protocol's
        emit: Callable[[str], None],
    ) -> Synthesis:
        """Emit one fragment and return the draft with a changed summary.

        Raises SynthesisFailed when the message specifies ``error``.
        """
        behaviour = _behaviour("synthesis", case.request.message)
        emit("fragmento do modelo. ")
        if behaviour.sleep_seconds:
            await asyncio.sleep(behaviour.sleep_seconds)
        if behaviour.connect:
            await _hang(behaviour.connect)
        if behaviour.raises:
            await _raise(behaviour)
        if behaviour.error:
            raise SynthesisFailed("stub_error", behaviour.error)
        if behaviour.wrong == "confidence":
            return Synthesis(Diagnosis.model_construct(summary="x", confidence=7.0))
        if behaviour.wrong == "claims":
            return Synthesis(case.draft.model_copy(update={"claims": None}))
        summary = f"refinado: {case.draft.summary}"
        return Synthesis(case.draft.model_copy(update={"summary": summary}), {"model": "stub"})

    async def close(self) -> None:
        """Do nothing: there is no client."""


def create_stub_synthesizer(environ: Mapping[str, str]) -> StubSynthesizer | None:
    """The factory of the stub: None unless ``RESYNC_STUB_SYNTHESIZER`` is set."""
    return StubSynthesizer() if environ.get("RESYNC_STUB_SYNTHESIZER") else None


def stub_spec(name: str, *, per_job: bool = True, batch_size: int = 1) -> SourceSpec:
    """The registration of a stub source."""
    return SourceSpec(name=name, create=lambda _environ: StubSource(name), per_job=per_job, batch_size=batch_size)


def write_stub_sources(
    folder: Path, names: Iterable[str], *, batch_sizes: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Write a distribution of stub sources into ``folder``, which is to be the first on ``PYTHONPATH``.

    Those in ``batch_sizes`` are asked about so many jobs by one task.
    """
    names = tuple(names)
    options = {name: f", batch_size={batch_sizes[name]}" for name in names if name in batch_sizes}
    module = ["from orchestrator.testing import stub_spec"]
    module += [f"{name} = stub_spec({name!r}{options.get(name, '')})" for name in names]
    (folder / "resync_stub_sources.py").write_text("\n".join(module) + "\n", "utf-8")
    info = folder / "resync_stub_sources-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: resync-stub-sources\nVersion: 1\n", "utf-8")
    points = [f"[{SOURCES_GROUP}]", *(f"{name} = resync_stub_sources:{name}" for name in names)]
    points += [f"[{SYNTHESIZERS_GROUP}]", "stub = orchestrator.testing:create_stub_synthesizer"]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n", "utf-8")
