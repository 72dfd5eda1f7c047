"""Runs one scenario in process: real sources against simulated counterparts, rules, and optionally a model."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.aggregate import aggregate, number_evidence
from orchestrator.config import ParallelConfig, Settings
from orchestrator.deadline import Deadline
from orchestrator.diagnosis.render import render_markdown
from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.errors import SourceError
from orchestrator.models import (
    AnswerMode,
    Diagnosis,
    Evidence,
    Plan,
    SourceEnvelope,
    SourceRequest,
    TroubleshootRequest,
)
from orchestrator.routing.plan import jobs_per_task, plan_request
from orchestrator.routing.stages import all_stages
from orchestrator.run.in_process import LocalSources, ask_all, begin_without_store
from orchestrator.sources import FetchResult, Source
from orchestrator.store.connection import session
from orchestrator.store.records import of_each_job
from orchestrator.synthesis import Case, SynthesisFailed, Synthesizer
from workers.lab.simulator.counterparts import scenario_parts
from workers.lab.simulator.scenarios import Scenario

NODE_SECONDS = 2.0
TOTAL_SECONDS = 8.0
PATIENT = ParallelConfig(node_timeout_seconds=20, total_timeout_seconds=60)
"""Limits of a run whose words alone are scored: a busy machine must not change them."""
LLM_SECONDS = 60.0
"""Limit for the model, whose latency is reported but not scored."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of one run, with everything that the scoring needs."""

    scenario: Scenario
    failed_source: str | None
    """The source that was made to fail; None for the unchanged scenario."""
    plan: Plan
    envelopes: tuple[SourceEnvelope, ...]
    diagnosis: Diagnosis
    text: str
    mode: AnswerMode
    latency_ms: float
    llm: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All evidence that the answer may cite."""
        return tuple(item for envelope in self.envelopes for item in envelope.evidence)

    @property
    def variant(self) -> str:
        """``3`` or ``3-metrics``."""
        number = str(self.scenario.number)
        return number if self.failed_source is None else f"{number}-{self.failed_source}"


class BrokenSource:
    """A source whose counterpart does not answer."""

    async def fetch(self, request: SourceRequest) -> FetchResult:
        """Raise SourceError, as after a time-out."""
        raise SourceError("{source} did not answer within its limit", source=request.source, reason="timeout")

    async def close(self) -> None:
        """Nothing to release."""


class _Sources(LocalSources):
    """The installed sources, one of them broken."""

    def __init__(self, environ: Mapping[str, str], broken: str | None) -> None:
        super().__init__(environ)
        self._broken = broken

    def get(self, name: str) -> Source:
        """The source of that name, or the broken one."""
        return BrokenSource() if name == self._broken else super().get(name)


@contextmanager
def counterparts(scenario: Scenario, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Variables for the scenario's servers and log cache; flushes the Redis of ``environ`` first."""
    settings = Settings.from_env(environ)
    with session(settings) as client:
        client.flushdb()
    with scenario_parts(scenario, settings) as variables:
        yield {**environ, **variables}


def scenario_request(scenario: Scenario, config: ParallelConfig | None = None) -> TroubleshootRequest:
    """The scenario's question, with the limits of the evaluation unless ``config`` has others."""
    config = config or ParallelConfig(node_timeout_seconds=NODE_SECONDS, total_timeout_seconds=TOTAL_SECONDS)
    return TroubleshootRequest(message=scenario.question, job_name=scenario.job_name, config=config)


async def ask(
    scenario: Scenario,
    environ: Mapping[str, str],
    *,
    failed_source: str | None = None,
    synthesizer: Synthesizer | None = None,
    config: ParallelConfig | None = None,
) -> Answer:
    """Route, plan, ask the sources, aggregate, diagnose, refine and render: a run without queues."""
    began = time.monotonic()
    request = scenario_request(scenario, config)
    plan = plan_request(request, jobs_per_task())
    run_id = f"eval-{scenario.number:02d}-{failed_source or 'complete'}"
    async with _Sources(environ, failed_source) as sources:
        fan_in = Deadline.after(request.config.fan_in_seconds)
        begin = begin_without_store(request, plan, fan_in)
        answers = await ask_all(run_id, plan, sources=sources, begin=begin)
    envelopes = number_evidence(tuple(of_each_job(answers, None).values()))
    plan = all_stages(plan, {envelope.key: envelope for envelope in envelopes})
    aggregated = aggregate(envelopes, plan.jobs)
    diagnosis = diagnose(request, plan, envelopes, aggregated)
    mode, llm = AnswerMode.DETERMINISTIC, {}
    if synthesizer is not None:
        case = Case(run_id, request, plan, envelopes, aggregated, diagnosis)
        try:
            synthesis = await synthesizer.synthesize(case, timeout_seconds=LLM_SECONDS, emit=lambda _fragment: None)
            diagnosis, mode, llm = synthesis.diagnosis, AnswerMode.LLM, synthesis.metadata
        except SynthesisFailed as error:
            llm = {**error.metadata, "reason": error.reason, "failed": error.reason}
    text = render_markdown(
        diagnosis,
        language=plan.routing.language,
        aggregated=aggregated,
        evidence=[item for envelope in envelopes for item in envelope.evidence],
        mode=mode,
        llm=llm,
    )
    latency_ms = round((time.monotonic() - began) * 1_000, 1)
    return Answer(scenario, failed_source, plan, envelopes, diagnosis, text, mode, latency_ms, llm)
