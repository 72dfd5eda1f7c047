"""Refines a draft with a model: prompt, stream, check, one repair, a fallback model."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from orchestrator.config import Settings
from orchestrator.deadline import Deadline
from orchestrator.diagnosis.agreement import CONTRADICTS, SureFacts, sure_confidence, sure_facts
from orchestrator.diagnosis.evidence import CheckReport, check_diagnosis, lower_confidence
from orchestrator.diagnosis.injection import PlantedSteps, find_planted
from orchestrator.diagnosis.reruns import ReadLogs
from orchestrator.diagnosis.rules.diagnose import REQUIRED_MISSING_CAP, STALE_CAP
from orchestrator.logs import get_logger
from orchestrator.models import Diagnosis
from orchestrator.synthesis import Case, Synthesis, SynthesisFailed
from orchestrator.tracing import span
from workers.config import LlmSettings
from workers.synthesis.answer import AnswerUnusable, ModelAnswer, answer_text, parse_answer, to_diagnosis
from workers.synthesis.budget import estimate_tokens
from workers.synthesis.client import LLMClient, LlmFailed, OpenAIClient, Usage
from workers.synthesis.fragments import FragmentPacer, FragmentRenderer
from workers.synthesis.language import is_written_in
from workers.synthesis.prompt import Prompt, build_prompt, case_evidence, case_language, language_name, repair_messages
from workers.synthesis.scanner import AnswerScanner

_LOGGER = get_logger(__name__)
SETTLE_SECONDS = 0.05
"""Reserve at the end of the time limit, so that a failure's metadata reaches the waiting caller."""
MIN_RETRY_SECONDS = 1.0
"""Least remaining time for a repair or a fallback model."""
QUIET_SECONDS = 0.5
"""Longest silence of the server after the complete object, when only the usage figures are missing."""
PRIMARY_SHARE = 0.5
"""Share of the time within which the primary model must start its answer if there is a fallback."""

_SAME_FOR_EVERY_MODEL = frozenset({"unauthorized", "connection"})
"""Reasons that the fallback model, of the same server and key, would fail for as well."""
_REFUSALS = frozenset({"refused", "content_filter"})


def create_synthesizer(environ: Mapping[str, str]) -> "LlmSynthesizer | None":
    """The configured synthesizer; None without a model name.

    Raises ConfigurationError naming the variable.
    """
    settings = LlmSettings.from_env(environ)
    if settings.model is None:
        return None
    personal = Settings.from_env(environ).redact_personal
    return LlmSynthesizer(settings, OpenAIClient(settings), redact_personal=personal)


@dataclass(slots=True)
class _Attempt:
    """One call to a model, for the report."""

    model: str
    repair: bool = False
    reason: str = "ok"
    status: int | None = None
    """HTTP status of a refusal."""
    latency_ms: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = True
    text: str = ""

    def log(self, number: int) -> None:
        """Log the call, the ``number``-th of its run."""
        _LOGGER.info(
            "llm_call model=%s reason=%s status=%s latency_ms=%.1f tokens_in=%s tokens_out=%s call=%s",
            self.model,
            self.reason,
            self.status,
            self.latency_ms,
            self.prompt_tokens,
            self.completion_tokens,
            number,
        )


@dataclass(slots=True)
class _Job:
    """State of one synthesis."""

    case: Case
    prompt: Prompt
    deadline: Deadline
    emit: Callable[[str], None]
    facts: SureFacts
    """What the answer must agree with, and say before any of it is shown."""
    started: float = field(default_factory=time.monotonic)
    attempts: list[_Attempt] = field(default_factory=list)
    first_fragment_ms: float | None = None
    fragments: int = 0

    def show(self, fragment: str) -> None:
        """Emit a fragment; records the time of the first one."""
        if self.first_fragment_ms is None:
            self.first_fragment_ms = round((time.monotonic() - self.started) * 1_000, 1)
        self.fragments += 1
        self.emit(fragment)


class LlmSynthesizer:
    """``Synthesizer`` with a chat model; used from one event loop, with one client."""

    def __init__(self, settings: LlmSettings, client: LLMClient, *, redact_personal: bool = False) -> None:
        """``settings.model`` must be set. ``redact_personal`` masks e-mail addresses, CPF and CNPJ in the prompt."""
        self._settings = settings
        self._redact_personal = redact_personal
        self._client = client

    async def synthesize(self, case: Case, *, timeout_seconds: float, emit: Callable[[str], None]) -> Synthesis:
        """The checked diagnosis; emits its statements while the model writes them.

        ``timeout_seconds`` bounds everything. Raises SynthesisFailed with a reason of ``LlmFailed`` or of
        ``AnswerUnusable``, and whatever ``emit`` raises.
        """
        configured = self._settings.timeout_seconds
        limit = max(timeout_seconds - SETTLE_SECONDS, timeout_seconds / 2)
        deadline = Deadline.after(limit if configured is None else min(configured, limit))
        prompt = build_prompt(
            case,
            max_tokens=self._settings.max_prompt_tokens,
            nonce=secrets.token_hex(8),
            personal=self._redact_personal,
        )
        job = _Job(case, prompt, deadline, emit, facts=sure_facts(case))
        if not prompt.evidence:
            raise SynthesisFailed("no_answer", "there is no evidence to write from", self._metadata(job))
        failure = LlmFailed("timeout", "no time was left to ask the model")
        models = [name for name in (self._settings.model, self._settings.fallback_model) if name]
        for position, model in enumerate(models):
            if deadline.remaining() < (MIN_RETRY_SECONDS if position else 0.0) or deadline.has_passed:
                break
            has_fallback = position + 1 < len(models)
            try:
                diagnosis, report = await self._ask(
                    job, model, first_within=deadline.remaining() * PRIMARY_SHARE if has_fallback else None
                )
            except LlmFailed as error:
                failure = error
                # A server that broke off may have lost one model's backend; an unreachable one has no other model
                # either.
                broke_off = error.reason == "connection" and job.attempts[-1].text
                if error.reason in _SAME_FOR_EVERY_MODEL and not broke_off:
                    break
            else:
                return Synthesis(diagnosis, self._metadata(job) | {"check": report.as_metadata()})
        metadata = self._metadata(job) | {"reason": failure.reason}
        if failure.status is not None:
            metadata["status"] = failure.status
        raise SynthesisFailed(failure.reason, str(failure), metadata)

    async def close(self) -> None:
        """Release the client."""
        await self._client.close()

    async def _ask(self, job: _Job, model: str, *, first_within: float | None) -> tuple[Diagnosis, CheckReport]:
        """One model's answer, with at most one repair. Raises LlmFailed."""
        messages: Sequence[dict[str, str]] = job.prompt.messages
        for repair in (False, True):
            attempt = _Attempt(model=model, repair=repair)
            job.attempts.append(attempt)
            started = time.monotonic()
            try:
                with span("llm_call", kind="client", model=model, call=len(job.attempts)) as traced:
                    await self._read(job, attempt, messages, first_within)
                    traced.set(tokens_in=attempt.prompt_tokens, tokens_out=attempt.completion_tokens)
                return self._checked(job, parse_answer(attempt.text, personal=self._redact_personal))
            except LlmFailed as error:
                attempt.reason, attempt.status = error.reason, error.status
                raise
            except AnswerUnusable as error:
                attempt.reason = error.reason
                if repair or error.reason == "empty" or job.deadline.remaining() < MIN_RETRY_SECONDS:
                    raise LlmFailed(error.reason, str(error)) from None
                messages = repair_messages(
                    job.prompt, answer_text(attempt.text), str(error), personal=self._redact_personal
                )
            finally:
                attempt.latency_ms = (time.monotonic() - started) * 1_000
                attempt.log(len(job.attempts))
        raise AssertionError("the loop returns or raises")

    async def _read(
        self, job: _Job, attempt: _Attempt, messages: Sequence[dict[str, str]], first_within: float | None
    ) -> None:
        """Read one call's answer into ``attempt`` and emit its complete parts."""
        attempt.prompt_tokens = estimate_tokens("".join(item["content"] for item in messages))
        scanner, renderer, conclusion = AnswerScanner(), self._renderer(job), ""
        # A later attempt emits nothing if an earlier one did: the reader would see parts twice.
        pacer = FragmentPacer(_discard if job.fragments else job.show)
        pacer.is_open = not job.facts.phase
        clock = asyncio.get_running_loop().time
        try:
            async with (
                asyncio.timeout(None) as quiet,
                aclosing(self._client.stream(attempt.model, messages, job.deadline, first_within)) as deltas,
            ):
                async for delta in deltas:
                    if isinstance(delta, Usage):
                        attempt.prompt_tokens, attempt.completion_tokens = delta.prompt_tokens, delta.completion_tokens
                        attempt.estimated = False
                        continue
                    attempt.text += delta
                    if attempt.estimated:
                        attempt.completion_tokens = estimate_tokens(attempt.text)
                    for part in scanner.feed(delta):
                        if part.key in ("summary", "root_cause"):
                            conclusion = f"{conclusion}\n{part.value}"
                        pacer.is_open = pacer.is_open or (bool(conclusion) and job.facts.is_told_in(conclusion))
                        pacer.add(renderer.render(part))
                    pacer.flush_if_due()
                    if scanner.holds_answer and delta.strip():
                        quiet.reschedule(clock() + QUIET_SECONDS)
        except TimeoutError:
            if not quiet.expired():
                raise
        except LlmFailed as error:
            # A complete answer counts, whatever the server does afterwards.
            if error.reason in _REFUSALS or not scanner.holds_answer:
                raise

    def _renderer(self, job: _Job) -> FragmentRenderer:
        return FragmentRenderer(
            job.prompt.evidence,
            case_language(job.case),
            question_codes=_question_codes(job.case),
            known=_known(job.case),
            obeys=PlantedSteps(case_evidence(job.case)).obeyed_by,
            forbids=ReadLogs.of(job.case.envelopes).forbid,
            contradicts=lambda text: job.facts.contradiction_in(text, is_said=False) is not None,
            personal=self._redact_personal,
        )

    def _checked(self, job: _Job, answer: ModelAnswer) -> tuple[Diagnosis, CheckReport]:
        """The diagnosis after all checks. Raises AnswerUnusable when no claim passes."""
        case, prompt, draft = job.case, job.prompt, job.case.draft
        language = case_language(case)
        # Claims repeat the evidence: the conclusion is judged by itself as well.
        conclusion = f"{answer.summary}\n{answer.root_cause}"
        if not (is_written_in(answer.prose, language) and is_written_in(conclusion, language)):
            raise AnswerUnusable("invalid", f"it is not written in {language_name(language)}")
        written = to_diagnosis(answer, draft)
        problems = (job.facts.unlike(item.job, item.state, item.return_code, item.code) for item in answer.jobs)
        if (problem := next(filter(None, problems), None)) is not None:
            raise AnswerUnusable(CONTRADICTS, problem)
        written = written.model_copy(update={"confidence": sure_confidence(written, job.facts)})
        diagnosis = _without_obedience(written, job)
        # The rules limit the confidence when evidence is missing or stale; that applies to the model too.
        cap = min(REQUIRED_MISSING_CAP, max(draft.confidence, STALE_CAP)) if _required_is_missing(case) else None
        checked, report = check_diagnosis(
            diagnosis,
            prompt.evidence,
            confidence_cap=cap,
            question_codes=_question_codes(case),
            known=_known(case),
            language=language,
        )
        checked = lower_confidence(checked, kept=len(diagnosis.claims), written=len(written.claims))
        if not checked.claims:
            raise AnswerUnusable("invalid", "no claim cites existing evidence that holds the codes it quotes")
        for name in report.unsupported_fields:
            checked = checked.model_copy(update={name: getattr(draft, name)})
        if (problem := job.facts.contradiction(checked)) is not None:
            raise AnswerUnusable(CONTRADICTS, problem)
        return ReadLogs.of(case.envelopes).without_reruns(checked, draft), report

    def _metadata(self, job: _Job) -> dict[str, Any]:
        prompt_tokens = sum(attempt.prompt_tokens for attempt in job.attempts)
        completion_tokens = sum(attempt.completion_tokens for attempt in job.attempts)
        last = job.attempts[-1].model if job.attempts else self._settings.model
        return {
            "model": last,
            "fallback_used": last != self._settings.model,
            "attempts": [
                {
                    "model": attempt.model,
                    "repair": attempt.repair,
                    "reason": attempt.reason,
                    "status": attempt.status,
                    "latency_ms": round(attempt.latency_ms, 1),
                }
                for attempt in job.attempts
            ],
            "latency_ms": round((time.monotonic() - job.started) * 1_000, 1),
            "first_fragment_ms": job.first_fragment_ms,
            "fragments": job.fragments,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "tokens_estimated": any(attempt.estimated for attempt in job.attempts),
            "cost": self._cost(prompt_tokens, completion_tokens),
            "evidence_items_cut": job.prompt.items_cut,
            "evidence_items_left_out": job.prompt.items_left_out,
        }

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The cost; None without configured prices, since an unknown cost is not zero."""
        input_price, output_price = self._settings.input_price_per_million, self._settings.output_price_per_million
        if input_price is None or output_price is None:
            return None
        return round((prompt_tokens * input_price + completion_tokens * output_price) / 1_000_000, 6)


def _discard(_fragment: str) -> None:
    return None


def _question_codes(case: Case) -> tuple[str, ...]:
    if case.plan is None:
        return ()
    entities = case.plan.routing.entities
    return (*entities.codes, *(str(code) for code in entities.return_codes))


def _known(case: Case) -> str:
    """Where an object of TWS may be named besides the evidence: question, draft and plan of the run."""
    texts = (f"{item.title}\n{item.text}\n{item.where}" for item in case_evidence(case))
    jobs = case.plan.jobs if case.plan is not None else ()
    causes = (f"{group.title}\n{group.cause}" for group in case.groups)
    return "\n".join((case.request.message, case.draft.model_dump_json(), *jobs, *causes, *texts))


def _required_is_missing(case: Case) -> bool:
    required = case.plan.required_keys if case.plan is not None else set()
    answered = {envelope.key for envelope in case.envelopes if envelope.success}
    return bool(required - answered)


def _without_obedience(diagnosis: Diagnosis, job: _Job) -> Diagnosis:
    """Remove everything that repeats a command planted in the evidence, and report the planting."""
    evidence = case_evidence(job.case)
    planted = PlantedSteps(evidence)
    draft = job.case.draft
    plantings = tuple(text.in_language(case_language(job.case)) for text in find_planted(evidence))
    # A model tells of what it was told; what it believes of it is not shown.
    written = (
        text
        for text in diagnosis.suspicious
        if not planted.obeyed_by(text) and (text in draft.suspicious or not job.facts.contradiction_in(text))
    )
    return diagnosis.model_copy(
        update={
            "summary": draft.summary if planted.obeyed_by(diagnosis.summary) else diagnosis.summary,
            "root_cause": draft.root_cause if planted.obeyed_by(diagnosis.root_cause) else diagnosis.root_cause,
            "claims": tuple(claim for claim in diagnosis.claims if not planted.obeyed_by(claim.text)),
            "actions": tuple(
                action
                for action in diagnosis.actions
                if not planted.obeyed_by(f"{action.text}\n{action.command or ''}")
            ),
            "prevention": tuple(text for text in diagnosis.prevention if not planted.obeyed_by(text)),
            "hypotheses": tuple(item for item in diagnosis.hypotheses if not planted.obeyed_by(item.title)),
            "missing_evidence": tuple(text for text in diagnosis.missing_evidence if not planted.obeyed_by(text)),
            "suspicious": tuple(dict.fromkeys((*plantings, *written))),
        }
    )
