"""Evidence ids, and the one place where an answer's claims are checked against the evidence.

Nothing a model writes is taken on trust: a claim stands only on ids that exist and on codes that its cited text holds,
and neither a sentence nor a command may name an object of TWS that the run knows nothing of.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_abend_words, find_message_ids, find_return_codes
from orchestrator.diagnosis.commands import check_action, is_mutating_command, mark_commands, propose_commands
from orchestrator.i18n.languages import DEFAULT_LANGUAGE, Language
from orchestrator.models import Claim, Diagnosis, Evidence, Hypothesis
from orchestrator.routing.entities import extract_entities

NO_CLAIM_CONFIDENCE = 0.3
"""Most that an answer may claim for itself when none of its claims stood."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,31}:\d{1,6}")
_CONMAN_OBJECT = re.compile(
    r"\bconman\s+[\"']?(?:-\w{1,40}\s{1,9}\S{1,200}\s{1,9}){0,9}[a-z]+\s+(?P<object>[^\s;\"'`]+)", re.IGNORECASE
)
_OBJECT_NAME = re.compile(r"(?<![<{])[A-Za-z$][A-Za-z0-9_$-]*(?![>}])")
_NOT_A_NAME = re.compile(r"[A-Za-z]+-\d{1,2}")
"""A format such as COMP-3."""
_CITATION = re.compile(r"\s?\[\s*([a-z][a-z0-9_]{0,31}:\d{1,6}(?:\s*[,;]\s*[a-z][a-z0-9_]{0,31}:\d{1,6})*)\s*\]")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Counts of what the check removed, for the report's metadata."""

    claims_kept: int = 0
    dropped_no_evidence: int = 0
    dropped_unknown_id: int = 0
    dropped_unknown_code: int = 0
    dropped_unknown_name: int = 0
    hypotheses_dropped: int = 0
    ids_removed: int = 0
    actions_marked: int = 0
    actions_dropped: int = 0
    confidence_capped: bool = False
    unsupported_fields: tuple[str, ...] = ()
    """``summary`` or ``root_cause`` with a code or a name that no evidence holds; the caller chooses what to show."""

    @property
    def claims_dropped(self) -> int:
        """Claims taken out, for whatever reason."""
        return (
            self.dropped_no_evidence + self.dropped_unknown_id + self.dropped_unknown_code + self.dropped_unknown_name
        )

    def as_metadata(self) -> dict[str, Any]:
        """The counts that are worth a place in a report."""
        return {
            "claims_kept": self.claims_kept,
            "claims_dropped": self.claims_dropped,
            "dropped_no_evidence": self.dropped_no_evidence,
            "dropped_unknown_id": self.dropped_unknown_id,
            "dropped_unknown_code": self.dropped_unknown_code,
            "dropped_unknown_name": self.dropped_unknown_name,
            "hypotheses_dropped": self.hypotheses_dropped,
            "ids_removed": self.ids_removed,
            "actions_marked": self.actions_marked,
            "actions_dropped": self.actions_dropped,
            "confidence_capped": self.confidence_capped,
            "unsupported_fields": list(self.unsupported_fields),
        }


def check_diagnosis(
    diagnosis: Diagnosis,
    evidence: Sequence[Evidence],
    *,
    confidence_cap: float | None = None,
    question_codes: Iterable[str] = (),
    known: str | None = None,
    language: Language = DEFAULT_LANGUAGE,
) -> tuple[Diagnosis, CheckReport]:
    """Return ``diagnosis`` without the statements that its evidence does not support, and the counts of them.

    ``confidence_cap`` bounds every confidence when a required source is missing. ``question_codes`` may stand in the
    summary and the root cause although no evidence holds them: the user wrote them. The confidence falls with the
    claims that are dropped. With ``known``, the text that may name objects of TWS besides the evidence, what names any
    other is dropped as well. Commands in prose that would
    change something are marked as proposals there, in ``language``, and listed as actions.
    """

    checker = ClaimChecker(evidence, known)
    # A quoted line is shown with single spaces.
    quoted = " ".join(checker.all_text.split())

    def shown(text: str) -> str:
        return mark_commands(checker.clean(text), quoted, language)

    claims = [valid for claim in diagnosis.claims if (valid := checker.check(claim)) is not None]
    allowed = {code.upper() for code in question_codes}
    hypotheses = [
        some for item in diagnosis.hypotheses if (some := checker.check_hypothesis(item, allowed)) is not None
    ]
    cap = 1.0 if confidence_cap is None else confidence_cap
    if diagnosis.claims and not claims:
        cap = min(cap, NO_CLAIM_CONFIDENCE)
    texts = {"summary": diagnosis.summary, "root_cause": diagnosis.root_cause}
    unsupported = tuple(name for name, text in texts.items() if not checker.holds(text, allowed))
    proposed = [action for action in diagnosis.actions if checker.knows_objects(action.command or "")]
    actions = [check_action(action) for action in proposed]
    marked = sum(new != old for new, old in zip(actions, proposed, strict=True))
    prose = (
        *(text for name, text in texts.items() if name not in unsupported),
        *(claim.text for claim in claims),
        *diagnosis.prevention,
        *diagnosis.missing_evidence,
    )
    actions += [action for action in propose_commands(prose, actions, quoted) if checker.knows_objects(action.text)]
    checked = diagnosis.model_copy(
        update={
            "summary": shown(diagnosis.summary),
            "root_cause": shown(diagnosis.root_cause),
            "claims": tuple(claim.model_copy(update={"text": shown(claim.text)}) for claim in claims),
            "hypotheses": tuple(
                item.model_copy(update={"title": shown(item.title), "confidence": min(item.confidence, cap)})
                for item in hypotheses
            ),
            "actions": tuple(
                item.model_copy(update={"text": checker.clean(item.text)}) for item in actions
            ),
            "prevention": tuple(map(shown, diagnosis.prevention)),
            "missing_evidence": tuple(map(shown, diagnosis.missing_evidence)),
            "suspicious": tuple(map(shown, diagnosis.suspicious)),
            "confidence": min(diagnosis.confidence, cap),
        }
    )  # fmt: skip
    report = CheckReport(
        claims_kept=len(claims),
        dropped_no_evidence=checker.no_evidence,
        dropped_unknown_id=checker.unknown_id,
        dropped_unknown_code=checker.unknown_code,
        dropped_unknown_name=checker.unknown_name,
        hypotheses_dropped=len(diagnosis.hypotheses) - len(hypotheses),
        ids_removed=checker.ids_removed,
        actions_marked=marked,
        actions_dropped=len(diagnosis.actions) - len(proposed),
        confidence_capped=diagnosis.confidence > cap,
        unsupported_fields=unsupported,
    )
    return lower_confidence(checked, kept=len(claims), written=len(diagnosis.claims)), report


def lower_confidence(diagnosis: Diagnosis, *, kept: int, written: int) -> Diagnosis:
    """The diagnosis with the share of its confidence that its kept claims are of those written.

    A model that was wrong about what it read is no surer than that of what it concluded.
    """
    if kept >= written:
        return diagnosis
    return diagnosis.model_copy(update={"confidence": round(diagnosis.confidence * max(kept, 1) / written, 2)})


class ClaimChecker:
    """Checks claims one by one, as a streamed answer brings them, and counts what it refuses."""

    def __init__(self, evidence: Sequence[Evidence], known: str | None = None) -> None:
        """``known`` is the text besides the evidence that names objects of TWS; without it, names are not checked."""
        self._text = {item.id: _searchable(item) for item in evidence}
        self.all_text = "\n".join(self._text.values())
        self._names = None if known is None else f"{self.all_text}\n{known}".upper()
        self.no_evidence = self.unknown_id = self.unknown_code = self.unknown_name = self.ids_removed = 0

    def check(self, claim: Claim) -> Claim | None:
        """The claim with its ids in their plain form, or None when it does not check out."""
        text, written = claim.text.strip(), [_plain_id(item) for item in claim.evidence_ids]
        ids = tuple(dict.fromkeys(i for i in (*written, *_cited_in(text)) if i))
        if not text or not ids:
            self.no_evidence += 1
            return None
        if any(item not in self._text for item in ids):
            self.unknown_id += 1
            return None
        if not _holds("\n".join(self._text[item] for item in ids), text):
            self.unknown_code += 1
            return None
        if not self.knows_names(text):
            self.unknown_name += 1
            return None
        # The ids are shown by the renderer; in the sentence they would stand twice.
        return Claim(text=_CITATION.sub("", text).strip(), evidence_ids=ids)

    def check_hypothesis(self, hypothesis: Hypothesis, allowed: set[str]) -> Hypothesis | None:
        """The hypothesis with unknown ids taken out.

        None when nothing that it named as support exists, or when its title names a code that neither the evidence
        nor ``allowed`` holds, or an object that is not known.
        """
        supports, contradicts = self._known(hypothesis.supports), self._known(hypothesis.contradicts)
        if (hypothesis.supports and not supports) or not self.holds(hypothesis.title, allowed):
            return None
        return hypothesis.model_copy(update={"supports": supports, "contradicts": contradicts})

    def holds(self, text: str, allowed: set[str]) -> bool:
        """Whether every code in ``text`` is in evidence or in ``allowed`` (upper case), and every name is known."""
        return _holds(self.all_text, text, allowed) and self.knows_names(text) and self.knows_objects(text)

    def knows_names(self, text: str) -> bool:
        """Whether every job, job stream and workstation that ``text`` names is known."""
        if self._names is None:
            return True
        named = extract_entities(text)
        names = map(bare_name, (*named.jobs, *named.job_streams, *named.workstations))
        return all(self._knows(name) for name in names if not _NOT_A_NAME.fullmatch(name))

    def knows_objects(self, text: str) -> bool:
        """Whether the objects of conman's commands in ``text`` are known: one to be changed, under its whole name."""
        for match in _CONMAN_OBJECT.finditer(text) if self._names is not None else ():
            written = match["object"].partition("+")[0]
            if not all(map(self._knows, _OBJECT_NAME.findall(written))):
                return False
            is_one = "#" in written and not re.search("[@?<{(]", written)
            if is_one and is_mutating_command(match[0]) and not self._knows(written):
                return False
        return True

    def _knows(self, name: str) -> bool:
        word = re.escape(name.upper())
        return self._names is None or re.search(rf"(?<![A-Z0-9_$-]){word}(?![A-Z0-9_$-])", self._names) is not None

    def clean(self, text: str) -> str:
        """``text`` without citations of evidence that does not exist."""

        def keep(match: re.Match[str]) -> str:
            known = self._known(_ID.findall(match[1]))
            lead = " " if match[0][0].isspace() else ""
            return f"{lead}[{', '.join(known)}]" if known else ""

        return _CITATION.sub(keep, text)

    def _known(self, ids: Iterable[str]) -> tuple[str, ...]:
        plain = [_plain_id(item) for item in ids]
        known = tuple(dict.fromkeys(item for item in plain if item in self._text))
        self.ids_removed += sum(item not in self._text for item in plain)
        return known


def _plain_id(written: str) -> str:
    """A model writes ``[tws_status:1]`` as readily as ``tws_status:1``."""
    return written.strip().strip("[]() ").strip()


def _cited_in(text: str) -> list[str]:
    return [item for match in _CITATION.finditer(text) for item in _ID.findall(match[1])]


def _searchable(item: Evidence) -> str:
    return "\n".join((item.title, item.text, item.where, item.when or "", item.job or "", " ".join(item.codes)))


def _holds(cited: str, text: str, allowed: frozenset[str] | set[str] = frozenset()) -> bool:
    """Whether the codes quoted in ``text`` occur in ``cited``, in whatever notation a log has for them."""
    upper = cited.upper()
    in_cited = {*find_abend_words(cited), *allowed}
    if any(code not in in_cited and code not in upper for code in find_abend_words(text)):
        return False
    if any(code.upper() not in upper and code.upper() not in allowed for code in find_message_ids(text)):
        return False
    return all(
        re.search(rf"(?<![\d.]){re.escape(str(code))}(?![\d])", cited) is not None
        or code in find_return_codes(cited)
        or str(code) in allowed
        for code in find_return_codes(text)
    )
