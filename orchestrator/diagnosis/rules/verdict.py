"""The verdict of a rule: a category, how sure, and from what."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.codes.catalogue import Category, Entry
from orchestrator.diagnosis.draft import ClaimDraft
from orchestrator.diagnosis.rules.scene import clean_line
from orchestrator.i18n.message import Message, Text

MOST_CONFIDENT = 0.97
"""No conclusion of rules is certain."""


@dataclass(slots=True)
class Verdict:
    """What one rule concludes about a job, a stream or a workstation."""

    category: Category
    confidence: float
    supports: list[str] = field(default_factory=list)
    contradicts: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    """Values of the category's sentence, and of its advice's commands."""
    aside: Text | str = ""
    """A clause of the category's sentence, where its template has ``{aside}``."""
    entry: Entry | None = None
    """What is known of its code or message; brings the advice."""
    claims: list[ClaimDraft] = field(default_factory=list)
    job: str | None = None
    workstation: str = ""
    note: Text | str = ""
    """A sentence after the category's."""
    sentence: Text | str = ""
    """Replaces the category's sentence, which speaks of a job; it may name its ``{subject}``, as that one does."""
    finding: Text | str = ""
    """What happened, as a clause: replaces the category's sentence after the job and its state."""

    def add_claim(self, text: Text, evidence_ids: Iterable[str], gain: float = 0.0) -> None:
        """Add a claim that cites ``evidence_ids`` and raise the confidence by ``gain``; without ids add nothing."""
        cited = tuple(evidence_ids)
        if not cited:
            return
        self.claims.append(ClaimDraft(text, cited))
        self.supports += [item for item in cited if item not in self.supports]
        self.confidence = min(MOST_CONFIDENT, self.confidence + gain)


def at_step(step: str) -> Text | str:
    """The clause that names a step; empty without one."""
    return Message(" in step {step}", step=step) if step else ""


def with_code(return_code: int | None) -> str:
    """The return code in parentheses after a state; empty without one."""
    return "" if return_code is None else f" (RC {return_code})"


def reported(issue: str) -> Text:
    """An issue of the plan, quoted."""
    return Message("TWS reports: `{text}`", text=clean_line(issue))
