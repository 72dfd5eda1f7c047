"""The diagnosis before it has a language: the objects of the wire, with texts that still hold key and facts.

``DiagnosisDraft.written`` is the one place where the rules' answer becomes sentences.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.diagnosis.commands import check_command
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Text, sentence
from orchestrator.models import Action, Claim, Diagnosis, Hypothesis, JobGroup


@dataclass(frozen=True, slots=True)
class ClaimDraft:
    """A statement with the ids of the evidence that carries it."""

    text: Text | str
    evidence_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionDraft:
    """A proposed step; ``mutates`` marks one that would change TWS or data."""

    text: Text
    risk: Literal["none", "low", "medium", "high"] = "none"
    command: str | None = None
    mutates: bool = False


@dataclass(frozen=True, slots=True)
class HypothesisDraft:
    """A possible cause with what speaks for and against it."""

    category: str
    title: Text
    confidence: float
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    job: str | None = None


@dataclass(frozen=True, slots=True)
class JobDraft:
    """What was found out about one job, or about jobs of the plan that are one problem."""

    jobs: tuple[str, ...]
    status: str
    category: str
    cause: Text
    confidence: float
    group: int | None
    evidence_ids: tuple[str, ...] = ()

    def written(self, language: Language) -> dict[str, Any]:
        """The fields of a ``JobReport`` in ``language``."""
        return {
            "status": self.status,
            "category": self.category,
            "cause": sentence(self.cause, language),
            "confidence": self.confidence,
            "group": self.group,
            "evidence_ids": self.evidence_ids,
        }


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """Jobs with the same cause."""

    number: int
    category: str
    title: Text
    cause: Text | str
    meaning: Text | str
    confidence: float
    jobs: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    claims: tuple[ClaimDraft, ...] = ()
    actions: tuple[ActionDraft, ...] = ()
    members: tuple[JobDraft, ...] = ()

    def written(self, language: Language) -> JobGroup:
        """The group in ``language``, as it goes on the wire."""
        return JobGroup(
            number=self.number,
            category=self.category,
            title=sentence(self.title, language),
            cause=sentence(self.cause, language),
            meaning=sentence(self.meaning, language),
            confidence=self.confidence,
            jobs=self.jobs,
            waiting=self.waiting,
            evidence_ids=self.evidence_ids,
            claims=_claims(self.claims, language),
            actions=_actions(self.actions, language),
        )


@dataclass(frozen=True, slots=True)
class DiagnosisDraft:
    """The structured answer of the rules."""

    summary: Text
    root_cause: Text | str = ""
    category: str = "unknown"
    confidence: float = 0.0
    claims: tuple[ClaimDraft, ...] = ()
    hypotheses: tuple[HypothesisDraft, ...] = ()
    actions: tuple[ActionDraft, ...] = ()
    prevention: tuple[Text, ...] = ()
    missing_evidence: tuple[Text, ...] = ()
    suspicious: tuple[Text, ...] = ()
    asks_back: bool = False
    groups: tuple[GroupDraft, ...] = ()
    """The jobs by their causes, where the answer is told so."""
    jobs: tuple[JobDraft, ...] = ()

    def written(self, language: Language) -> Diagnosis:
        """The diagnosis in ``language``, as it goes on the wire."""
        return Diagnosis(
            summary=sentence(self.summary, language),
            root_cause=sentence(self.root_cause, language),
            category=self.category,
            confidence=self.confidence,
            claims=_claims(self.claims, language),
            hypotheses=tuple(
                Hypothesis(
                    category=item.category,
                    title=sentence(item.title, language),
                    confidence=item.confidence,
                    supports=item.supports,
                    contradicts=item.contradicts,
                    job=item.job,
                )
                for item in self.hypotheses
            ),
            actions=_actions(self.actions, language),
            prevention=tuple(sentence(text, language) for text in self.prevention),
            missing_evidence=tuple(sentence(text, language) for text in self.missing_evidence),
            suspicious=tuple(sentence(text, language) for text in self.suspicious),
            asks_back=self.asks_back,
        )


def _claims(drafts: Iterable[ClaimDraft], language: Language) -> tuple[Claim, ...]:
    return tuple(Claim(text=sentence(claim.text, language), evidence_ids=claim.evidence_ids) for claim in drafts)


def _actions(drafts: Iterable[ActionDraft], language: Language) -> tuple[Action, ...]:
    return tuple(
        check_command(
            Action(text=sentence(item.text, language), risk=item.risk, command=item.command, mutates=item.mutates)
        )
        for item in drafts
    )
