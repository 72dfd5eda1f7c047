"""No rerun of a failed job whose log could not be read: nobody knows yet what a second run would do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from orchestrator.codes.notation import bare_name
from orchestrator.codes.states import FAILED
from orchestrator.diagnosis.commands import is_rerun
from orchestrator.models import Action, Diagnosis, JobGroup, SourceEnvelope
from orchestrator.payloads import TwsPayload


def not_looked_at(payload: TwsPayload) -> tuple[str, ...]:
    """The failed predecessors whose log nobody read, because a request failed on the way to them."""
    jobs = [job for job in (payload.job, *payload.problem_jobs) if job is not None]
    known = {bare_name(job.name).upper() for job in jobs}
    failed = (item.name for job in jobs for item in job.predecessors if item.status in FAILED and item.kind == "job")
    return tuple(dict.fromkeys(name for name in failed if payload.unread and bare_name(name).upper() not in known))


@dataclass(frozen=True, slots=True)
class ReadLogs:
    """Which failed jobs of a run have a log that was read, and which have one that could not be."""

    read: frozenset[str] = field(default_factory=frozenset)
    unread: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, envelopes: Sequence[SourceEnvelope]) -> "ReadLogs":
        """By the data of ``tws_status``; of a source of another shape nothing is known."""
        read: set[str] = set()
        unread: set[str] = set()
        for envelope in envelopes:
            if envelope.source != "tws_status":
                continue
            if not envelope.success and envelope.job is not None:
                unread.add(bare_name(envelope.job).upper())
            try:
                payload = TwsPayload.model_validate(envelope.data)
            except ValidationError:
                continue
            for job in (payload.job, *payload.problem_jobs):
                if job is not None and job.status in FAILED:
                    (unread if job.job_log_error else read if job.job_log else set()).add(bare_name(job.name).upper())
            unread.update(bare_name(name).upper() for name in not_looked_at(payload))
        return cls(frozenset(read), frozenset(unread))

    def forbid(self, action: Action, *, is_read: bool = False) -> bool:
        """Whether a step is a rerun that may not be proposed: one that names no job whose log was read.

        ``is_read``: the step is about jobs whose logs were read, also when it names none.
        """
        if not self.unread or not is_rerun(action):
            return False
        text = f"{action.text}\n{action.command or ''}".upper()
        if any(_names(text, name) for name in self.unread):
            return True
        return not is_read and not any(_names(text, name) for name in self.read)

    def without_reruns(self, diagnosis: Diagnosis, draft: Diagnosis | None = None) -> Diagnosis:
        """The diagnosis without the steps that may not be proposed, also in sentences: of a model, where ``draft`` is
        the rules' answer, whose summary and cause then stand.
        """
        if not self.unread:
            return diagnosis
        actions = tuple(action for action in diagnosis.actions if not self.forbid(action))
        # Claims too: a runbook's steps are quoted there.
        claims = tuple(claim for claim in diagnosis.claims if not self._proposes(claim.text))
        changes: dict[str, Any] = {"actions": actions, "claims": claims}
        if draft is not None:
            changes["prevention"] = tuple(text for text in diagnosis.prevention if not self._proposes(text))
            for name in ("summary", "root_cause"):
                if self._proposes(getattr(diagnosis, name)):
                    changes[name] = getattr(draft, name)
        return diagnosis.model_copy(update=changes)

    def without_reruns_of(self, group: JobGroup) -> JobGroup:
        """The same of a group: where the log of each of its jobs was read, a step need not name one of them."""
        if not self.unread:
            return group
        names = {bare_name(job).upper() for job in group.jobs}
        is_read = bool(names) and names <= self.read - self.unread
        actions = tuple(action for action in group.actions if not self.forbid(action, is_read=is_read))
        claims = tuple(claim for claim in group.claims if not self.forbid(Action(text=claim.text), is_read=is_read))
        return group.model_copy(update={"actions": actions, "claims": claims})

    def _proposes(self, text: str) -> bool:
        return self.forbid(Action(text=text))


def _names(text: str, name: str) -> bool:
    """Whether a text names a job, and not another whose name begins or ends as it does."""
    return name in text and re.search(rf"(?<![\w$@-]){re.escape(name)}(?![\w$@-])", text) is not None
