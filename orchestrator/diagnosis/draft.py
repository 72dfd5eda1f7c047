"""The diagnosis before it has a language: the objects of the wire, with texts that still hold key and facts.

``DiagnosisDraft.written`` is the one place where the rules' answer becomes sentences.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Text, write
from orchestrator.models import Action, Claim, Diagnosis, Hypothesis


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

    def written(self, language: Language) -> Diagnosis:
        """The diagnosis in ``language``, as it goes on the wire."""
        return Diagnosis(
            summary=write(self.summary, language),
            root_cause=write(self.root_cause, language),
            category=self.category,
            confidence=self.confidence,
            claims=tuple(
                Claim(text=write(claim.text, language), evidence_ids=claim.evidence_ids) for claim in self.claims
            ),
            hypotheses=tuple(
                Hypothesis(
                    category=item.category,
                    title=write(item.title, language),
                    confidence=item.confidence,
                    supports=item.supports,
                    contradicts=item.contradicts,
                    job=item.job,
                )
                for item in self.hypotheses
            ),
            actions=tuple(
                Action(text=write(item.text, language), risk=item.risk, command=item.command, mutates=item.mutates)
                for item in self.actions
            ),
            prevention=tuple(write(text, language) for text in self.prevention),
            missing_evidence=tuple(write(text, language) for text in self.missing_evidence),
            suspicious=tuple(write(text, language) for text in self.suspicious),
            asks_back=self.asks_back,
        )
