"""The Celery tasks; each calls an object that is tested without Celery."""

import time
from typing import Any

from celery import Celery, Task

from orchestrator.broker.app import RUN_TASK, SYNTHESIZE_TASK, queue_of, source_task
from orchestrator.broker.chord import publish_stage, publish_synthesis
from orchestrator.errors import (
    RunDamaged,
    RunNotFound,
    RunRefused,
    SchemaMismatch,
    StoreUnreachable,
    TroubleshootError,
)
from orchestrator.logs import bound, get_logger
from orchestrator.run.dispatch import DispatchLease, plan_for_workers
from orchestrator.sources import source_names
from orchestrator.store.runs import new_token
from orchestrator.tracing import HEADER, parent_of, span
from workers.runtime.ask import SourceRunner
from workers.runtime.event_loop import BLOCKED_SECONDS
from workers.runtime.process import current_process

_LOGGER = get_logger(__name__)
STARTED_REQUEST = "workers.runtime.consumer:StartedRequest"
"""Request class of every task, for its attribute ``Request``."""
FAILED = ("error", "timeout", "unexpected", "failed", "timed_out")
"""Outcomes of a source or run that a trace shows as failures."""
ENDED = ("cancelled", "done", "frozen")
"""Why a source is not asked whose run needs no answers any more, nor the body of its chord: its part is not counted."""


class _Task(Task):  # type: ignore[misc]  # Celery is untyped
    """A task about a run, whose id is the first argument."""

    abstract = True
    Request = STARTED_REQUEST
    ignore_result = True

    def __call__(self, run_id: str, *args: Any) -> Any:
        """Run the task, each line that is logged meanwhile bound to it."""
        queue, request = queue_of(self.app, self.name), self.request
        parent = parent_of(run_id, request.get(HEADER), lambda: current_process(self.app).store.traceparent(run_id))
        with (
            bound(run_id=run_id, task_id=request.id, queue=queue, worker=request.hostname),
            span(self.name, kind="consumer", parent=parent, run_id=run_id, task_id=request.id, queue=queue) as traced,
        ):
            told = self.run(run_id, *args)
            outcome = told["outcome"] if isinstance(told, dict) else told
            traced.set(**(told if isinstance(told, dict) else {"outcome": told}))
            if outcome in FAILED:
                traced.fail(outcome)
            return told


class RunTask(_Task):
    """Routes and plans a run and publishes its chord."""

    name = RUN_TASK

    def run(self, run_id: str) -> str:
        """Dispatch a stage of the run; returns a word for the result."""
        try:
            while (told := self._dispatch(run_id)) is None:
                pass
        except (RunDamaged, RunNotFound, RunRefused, SchemaMismatch, StoreUnreachable) as error:
            # The dispatch lease has a wake-up, by which the watcher publishes the run again.
            _LOGGER.warning("dispatch_dropped run_id=%s reason=%s error=%s", run_id, error.reason, error)
            return error.reason
        except TroubleshootError as error:
            _LOGGER.exception("dispatch_failed run_id=%s reason=%s", run_id, error.reason)
            return error.reason
        return told

    def _dispatch(self, run_id: str) -> str | None:
        """Dispatch the stage that is due; None when the next one waits for none of its sources."""
        began = time.monotonic()
        process, worker, token = current_process(self.app), self.request.hostname, new_token()
        store = process.store
        dispatch = store.claim_dispatch(run_id, token)
        if dispatch is None:
            return "dispatched already, or too late"
        lease = DispatchLease(store, run_id, token, dispatch.stage)
        stage = plan_for_workers(store, run_id, dispatch, worker=worker)
        if not stage.is_over:
            stage.put_not_asked(store, run_id)
        publish_stage(self.app, run_id, stage.plan, keep_lease=lease.keep)
        if stage.is_over:
            # Refused from now on are the lease of this stage and its mark as dispatched.
            stage.put_not_asked(store, run_id)
        store.mark_dispatched(run_id, token)
        _LOGGER.info(
            "run_dispatched run_id=%s stage=%s sources=%s not_asked=%s jobs=%s latency_ms=%.1f",
            run_id,
            dispatch.stage,
            ",".join(sorted({planned.source for planned in stage.plan.sources})),
            ",".join(sorted({envelope.source for envelope in stage.not_asked})),
            len(stage.plan.jobs),
            (time.monotonic() - began) * 1000,
        )
        if stage.is_over:
            return None
        if stage.plan.sources:
            return "dispatched"
        if dispatch.stage > 1:
            publish_synthesis(self.app, run_id)
            return "nothing more to ask"
        process.finisher(worker, serves_queue=False).finish(run_id)
        return "refused"


class SynthesizeTask(_Task):
    """The chord's body: finishes the run."""

    name = SYNTHESIZE_TASK

    def run(self, run_id: str) -> str:
        """Finish the run; returns its outcome, or ``skipped`` when another process finished it."""
        finisher = current_process(self.app).finisher(self.request.hostname)
        try:
            report = finisher.finish(run_id)
        except (RunDamaged, RunNotFound, SchemaMismatch, StoreUnreachable) as error:
            _LOGGER.warning("finish_dropped run_id=%s reason=%s error=%s", run_id, error.reason, error)
            return error.reason
        return "skipped" if report is None else report.outcome.value


class SourceTask(_Task):
    """Asks one source. Never raises: a chord whose header raises would lose its body."""

    abstract = True
    acks_late = False
    max_retries = None
    source_name = ""

    def run(self, run_id: str, part: str | None = None) -> dict[str, Any]:
        """Ask the source about a job, a batch or all, and store the envelope, within the message's soft time limit."""
        process = current_process(self.app)
        with process.runtime.loop_of(self.source_name) as loop:
            if not loop.answers(BLOCKED_SECONDS):
                # Taken just before the loop was found to be blocked. Nothing is claimed yet: the message goes back.
                _LOGGER.warning("source_put_back run_id=%s source=%s reason=loop_blocked", run_id, self.source_name)
                raise self.retry(countdown=0)
            told = self._ask(process.source_runner(self.request.hostname, loop), run_id, part)
        if told.get("reason") in ENDED:
            self.request.chord = None
        return told

    def _ask(self, runner: SourceRunner, run_id: str, part: str | None) -> dict[str, Any]:
        limits = self.request.timelimit or (None, None)
        try:
            # The claim is not the id of the message: one that is delivered twice would ask the source twice.
            return runner.ask(run_id, self.source_name, part, claim=new_token(), soft_limit_seconds=limits[1])
        except (RunDamaged, RunNotFound, StoreUnreachable) as error:
            _LOGGER.warning(
                "source_dropped run_id=%s source=%s reason=%s error=%s", run_id, self.source_name, error.reason, error
            )
            return self._dropped(error.reason)
        except Exception:  # border: the chord must go on; the fan-in reports what is missing
            _LOGGER.exception("source_dropped run_id=%s source=%s reason=unexpected", run_id, self.source_name)
            return self._dropped("unexpected")

    def _dropped(self, reason: str) -> dict[str, Any]:
        return {"source": self.source_name, "outcome": reason}


def register_tasks(app: Celery) -> None:
    """Register the run, the synthesis and one task per installed source."""
    app.register_task(RunTask())
    app.register_task(SynthesizeTask())
    for name in source_names():
        attributes: dict[str, Any] = {
            "__doc__": f"Query the source {name}.",
            "__module__": __name__,
            "name": source_task(name),
            "source_name": name,
        }
        app.register_task(type(f"SourceTask_{name}", (SourceTask,), attributes)())
