"""Whether an answer agrees with what TWS and the rules are sure of, whatever the evidence tells a model to say.

A job's state and return code are TWS's, its code is the rules'. An answer may explain them and weigh them; one that
says another state, another code or another return code, that nothing happened, that it was a drill, or that it was
resolved, is refused as a whole: somebody else wrote it. Sentences are read clause by clause; what is said of other
runs, of steps and of things, what is denied and what is yet to be reached is no contradiction.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import pairwise

from pydantic import ValidationError

from orchestrator.codes.notation import bare_name
from orchestrator.codes.patterns import find_abend_words, find_return_codes
from orchestrator.codes.states import FAILED, NO_PROBLEMS, NOT_LAUNCHED, RUNNING, STALLED, STATE_NAMES, SUCCEEDED
from orchestrator.diagnosis.injection import folded
from orchestrator.models import Claim, Diagnosis, SourceEnvelope
from orchestrator.payloads import JobFacts, RelatedFacts, RunFacts, TwsPayload
from orchestrator.synthesis import Case

CONTRADICTS = "contradicts"
"""The reason of an answer that is refused for it."""
SURENESS = 0.15
"""How much surer than the rules an answer may be of the same cause."""
MOST_CONFIDENCE = 0.97
_CLAUSE = re.compile(
    r"[.!?;:\n](?=\s|$)|\s[–—-]\s|[,()]\s?"
    r"|\s(?=(?:mas|por[eé]m|contudo|but|pero|embora|although|aunque|though|however|entretanto|e n[aã]o|y no|and no)\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w#@$]+")
_FIGURE = re.compile(r"(?<=[A-Za-z]):\s+(?=-?\d)")
_STEP_CODE = re.compile(r"^\s*COND CODE \d{4}")
_NAME = re.compile(r"(?<![\w-])[A-Z][A-Z0-9_#@$]{2,}(?![\w-])")
_NO_NAMES = frozenset(("abend", "abended", "abendou", "job", "sla", "tws", "the", "cond", "code"))
_CODE_NAMED = re.compile(r"\brc\b(?: \w+){0,3}? (?:foi|fue|was|is|e|es|era) (-?\d{1,10})\b")
_STATE = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(STATE_NAMES, key=len, reverse=True))})(?![\w-])")


@cache
def _words() -> dict[str, re.Pattern[str]]:
    """The words of each kind; by their first sight, a part of the time of looking for each."""
    data = json.loads(resources.files(__package__).joinpath("data/outcomes.json").read_text(encoding="utf-8"))
    words = {
        kind: re.compile(rf"(?<![\w-])(?:{'|'.join(items)})(?![\w-])")
        for kind, items in data.items()
        if isinstance(items, list)
    }
    # "No problem on workstation X" is said of the workstation.
    words["of_a_thing"] = re.compile(
        rf"\s(?:{'|'.join(data['of_a_thing'])})\s(?:(?!jobs?\s)\w+\s){{0,2}}(?:{'|'.join(data['elsewhere'])})(?![\w-])"
    )
    return words


@dataclass(frozen=True, slots=True)
class SureFacts:
    """What is known of the jobs of a run without anybody's interpretation."""

    states: Mapping[str, str] = field(default_factory=dict)
    """By job (its bare name, in capitals) its state in TWS."""
    return_codes: Mapping[str, int] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    """Abend codes of the rules' conclusion; empty when they found none."""
    more_codes: frozenset[str] = frozenset()
    """Others that may be named: of the rules' claims and of the question."""
    other_states: frozenset[str] = frozenset()
    """States of what stands beside the jobs: runs, neighbours, streams."""
    other_codes: frozenset[int] = frozenset()
    """Return codes of other runs and neighbours."""
    said: str = ""
    """The rules' answer, folded: what it says is no contradiction."""
    confidence: float = 0.0
    category: str = ""

    @classmethod
    def of(
        cls, envelopes: Sequence[SourceEnvelope], draft: Diagnosis, causes: Iterable[str] = (), question: str = ""
    ) -> "SureFacts":
        """From the data of ``tws_status`` and the answer of the rules, with the ``causes`` of its groups."""
        jobs: dict[str, JobFacts] = {}
        payloads = []
        for envelope in envelopes:
            if envelope.source != "tws_status" or not envelope.success:
                continue
            try:
                payload = TwsPayload.model_validate(envelope.data)
            except ValidationError:
                continue
            payloads.append(payload)
            asked = (payload.job,) if payload.job is not None else payload.problem_jobs
            jobs |= {bare_name(job.name).upper(): job for job in asked if job is not None and job.status}
        near = [job for payload in payloads for job in (payload.job, *payload.problem_jobs) if job is not None]
        related: list[RunFacts | RelatedFacts] = []
        for job in near:
            related += (*job.runs, *job.predecessors, *job.successors)
        said = "\n".join((draft.summary, draft.root_cause, *(claim.text for claim in draft.claims), *causes))
        return cls(
            states={name: job.status for name, job in jobs.items()},
            return_codes={name: code for name, job in jobs.items() if (code := job.newest_return_code) is not None},
            codes=frozenset(find_abend_words(f"{draft.summary}\n{draft.root_cause}") or find_abend_words(said)),
            more_codes=frozenset(find_abend_words(f"{said}\n{question}")),
            other_states=frozenset(state for item in near for state in (item.substatus, item.job_stream_status))
            | frozenset(state for item in related for state in (item.status, item.substatus)),
            other_codes=frozenset(code for item in (*near, *related) if (code := item.return_code) is not None)
            | frozenset(find_return_codes(said)),
            said=folded(said.replace("\n", ". ")),
            confidence=draft.confidence,
            category=draft.category,
        )

    @property
    def phase(self) -> str:
        """What the jobs did: ``fails``, ``waits``, ``runs`` or ``well``; empty when it is not known."""
        phases = {_phase(state) for state in self.states.values()}
        if "fails" in phases or (not phases and self.codes):
            return "fails"
        return next(iter(phases)) if len(phases) == 1 else ""

    def contradiction(self, diagnosis: Diagnosis) -> str | None:
        """What of the answer contradicts them, in a few words for the model; None when nothing does."""
        if not self.is_told_in(f"{diagnosis.summary}\n{diagnosis.root_cause}"):
            return f"it does not say what TWS shows: {self._told()}"
        said = (
            diagnosis.summary,
            diagnosis.root_cause,
            *(claim.text for claim in diagnosis.claims if _is_of_tws(claim)),
        )
        others = (
            *(claim.text for claim in diagnosis.claims if not _is_of_tws(claim)),
            *(item.title for item in diagnosis.hypotheses),
            *(item.text for item in diagnosis.actions),
            *diagnosis.prevention,
            *diagnosis.missing_evidence,
        )
        problems = (*map(self.contradiction_in, said), *(self.contradiction_in(text, is_said=False) for text in others))
        return next((problem for problem in problems if problem is not None), None)

    def contradiction_in(self, text: str, *, is_said: bool = True) -> str | None:
        """What of one text contradicts them; ``is_said`` of what happened, where states and codes are the run's."""
        phase = self.phase
        if not phase:
            return None
        for problem in (self._other_state(text), self._other_code(text)) if is_said else ():
            if problem is not None:
                return problem
        if phase == "well":
            return self._failure_of_none(text) if is_said else None
        for written, clause in _clauses(text):
            if (kind := self._unlike(clause, phase, self._names_of_others(written))) is not None:
                return f"it says “{clause[:80]}” ({kind}), but TWS shows {self._told()}"
        return None

    def is_told_in(self, text: str) -> bool:
        """Whether a conclusion says what the jobs did: by a code, by the state, or in words."""
        phase = self.phase
        if not phase:
            return True
        upper = text.upper()
        if any(code in upper for code in (*self.codes, *self.states.values())):
            return True
        return any(
            not _is_denied(clause[: match.start()], match[0])
            for _, clause in _clauses(text)
            for match in _words()[phase].finditer(clause)
        )

    def unlike(self, job: str, state: str | None, return_code: int | None, code: str | None) -> str | None:
        """What of a job as a model understood it is not as TWS has it."""
        known = self.states.get(bare_name(job).upper())
        if known is None:
            return None
        if state and (_phase(state.upper()) or state.upper()) != (_phase(known) or known):
            return f"it takes {job} to be in {state}, but TWS shows {self._told()}"
        is_known = bare_name(job).upper() in self.return_codes
        if return_code is not None and is_known and return_code != self.return_codes[bare_name(job).upper()]:
            return f"it takes the return code of {job} to be {return_code}, but TWS shows {self._told()}"
        named = find_abend_words(code or "")
        if self.codes and named and not self.codes & set(named):
            return f"it takes the code of {job} to be {code}, but the evidence shows {self._told()}"
        return None

    def _told(self) -> str:
        jobs = ", ".join(
            f"{name} {state}" + (f" RC={self.return_codes[name]}" if name in self.return_codes else "")
            for name, state in list(self.states.items())[:5]
        )
        return " ".join(filter(None, (jobs, " ".join(sorted(self.codes)[:5]))))

    def _other_state(self, text: str) -> str | None:
        if not self.states:
            return None
        known = {*self.states.values(), *self.other_states}
        named = {
            match[0]
            for written, clause in _clauses(text)
            for match in _STATE.finditer(written)
            if not self._is_of_others(clause, self._names_of_others(written))
        }
        unknown = [state for state in named if state not in known and state.lower() not in self.said]
        problem = {state for state in unknown if _phase(state) not in {_phase(item) for item in known}}
        return f"it names the state {min(problem)}, but TWS shows {self._told()}" if problem else None

    def _other_code(self, text: str) -> str | None:
        known = {*self.return_codes.values(), *self.other_codes}
        for written, clause in _clauses(text):
            if self._is_of_others(clause, self._names_of_others(written)):
                continue
            others = [code for code in find_abend_words(written) if code not in self.codes | self.more_codes]
            if self.codes and others and _words()["not"].search(clause) is None:
                return f"it names {others[0]}, but the code is {' '.join(sorted(self.codes))}"
            # "STEP010 - STEP WAS EXECUTED - COND CODE 0000" is of a step.
            named = (
                *find_return_codes(_STEP_CODE.sub("", written)),
                *(int(match[1]) for match in _CODE_NAMED.finditer(clause)),
            )
            wrong = [code for code in named if code not in known]
            if self.return_codes and wrong and _words()["not"].search(clause) is None:
                return f"it names return code {wrong[0]}, but TWS shows {self._told()}"
        return None

    def _names_of_others(self, text: str) -> frozenset[str]:
        """Names in capitals that are none of the jobs, folded: of programs, other jobs and products."""
        names = frozenset(folded(match[0]) for match in _NAME.finditer(text))
        states = frozenset(map(str.lower, STATE_NAMES))
        codes = frozenset(map(str.lower, find_abend_words(text)))
        return names - states - codes - _NO_NAMES - frozenset(map(str.lower, self.states))

    def _is_of_others(self, clause: str, names: frozenset[str]) -> bool:
        """Whether a clause is of another run or thing, or of what is to be done or reached."""
        words = _words()
        if words["conditional"].search(clause) or words["modal"].search(clause) or words["elsewhere"].search(clause):
            return True
        named = _WORD.findall(clause)
        return not names.isdisjoint(named) and not any(name.lower() in named for name in self.states)

    def _names_the_run(self, text: str, names: frozenset[str]) -> bool:
        """Whether the jobs, or the failure, are named; "job" before one of ``names`` is another's."""
        named = _WORD.findall(text)
        own = " ".join(word for word, after in pairwise((*named, "")) if word not in names and after not in names)
        return any(name.lower() in named for name in self.states) or _words()["run"].search(own) is not None

    def _unlike(self, clause: str, phase: str, names: frozenset[str]) -> str | None:
        """The kind of what a clause says against a job that fails, waits or runs."""
        words = _words()
        if clause in self.said or words["conditional"].search(clause):
            return None
        kinds = ("dismissed", "done", "well", "ended") if phase == "fails" else ("dismissed", "ended_of_waiting")
        for kind in kinds:
            for match in words[kind].finditer(clause):
                before, rest = clause[: match.start()], clause[match.end() :]
                if _is_denied(before, match[0]):
                    continue
                if kind == "dismissed":
                    # The failure itself is dismissed wherever it stands, but not a record of a file.
                    if words["object"].match(rest) is None:
                        return kind
                elif not (
                    words["modal"].search(clause)
                    or words["then"].search(clause)
                    or self._is_excused(kind, clause, match)
                    or self._is_said_of_others(kind, before, match[0], names)
                ):
                    return kind
        return None

    def _is_excused(self, kind: str, clause: str, match: re.Match[str]) -> bool:
        """Whether the failure is told beside what was done or went well: "foi reexecutado e falhou"."""
        words, rest = _words(), clause[match.end() :]
        if kind != "done" and words["of_a_thing"].match(rest):
            return True
        if kind == "done":
            is_later = words["done_later"].search(clause[: match.start()]) or words["done"].search(self.said)
            if is_later or words["not"].search(match[0]):
                return True
        if kind == "ended":
            return words["fails"].search(clause) is not None
        if kind == "well" and words["beside"].search(f"{match[0]}{rest}"):
            return True
        failed = words["failed"].search(rest) if kind in ("well", "done") else None
        return failed is not None and not _is_denied(rest[: failed.start()], failed[0])

    def _is_said_of_others(self, kind: str, before: str, what: str, names: frozenset[str]) -> bool:
        """Whether it is said of a thing, a program or another run."""
        elsewhere = _words()["elsewhere"]
        if kind != "done" and elsewhere.search(before + what if kind == "well" else before):
            return True
        is_of_thing = elsewhere.search(before) or not names.isdisjoint(_WORD.findall(before))
        return bool(is_of_thing) and not self._names_the_run(before, names)

    def _failure_of_none(self, text: str) -> str | None:
        """That a job failed which TWS has as ended well; of an earlier run it may be said."""
        words = _words()
        if words["fails"].search(self.said):
            return None
        for _, clause in _clauses(text):
            match = words["fails"].search(clause)
            if match is None or _is_denied(clause[: match.start()], match[0]) or words["conditional"].search(clause):
                continue
            # "Ended with return code 4 and is SUCC" tells of both.
            if not words["elsewhere"].search(clause) and not words["well"].search(clause):
                return f"it says “{clause[:80]}”, but TWS shows {self._told()}"
        return None


def sure_facts(case: Case) -> SureFacts:
    """What is sure of the jobs of ``case``; of a question about none nothing is."""
    jobs = case.plan.jobs if case.plan is not None else case.aggregated.jobs
    causes = [text for group in case.groups for text in (group.title, group.cause)]
    facts = SureFacts.of(case.envelopes, case.draft, causes, case.request.message)
    return facts if jobs or facts.states else SureFacts()


def sure_confidence(diagnosis: Diagnosis, facts: SureFacts) -> float:
    """The confidence that an answer may claim: of the rules' cause hardly more than they do, of another one no more."""
    more = SURENESS if diagnosis.category == facts.category else 0.0
    return min(diagnosis.confidence, MOST_CONFIDENCE, facts.confidence + more if facts.confidence else 1.0)


def _is_of_tws(claim: Claim) -> bool:
    """Whether a claim is on what TWS shows: a page or an earlier run may tell of other states and codes."""
    return any(item.startswith("tws_status:") for item in claim.evidence_ids)


def _phase(state: str) -> str:
    if state in FAILED or state in STALLED:
        return "fails"
    if state in NO_PROBLEMS or state in SUCCEEDED:
        return "well"
    if state in RUNNING:
        return "runs"
    return "waits" if state in NOT_LAUNCHED else ""


def _clauses(text: str) -> list[tuple[str, str]]:
    """Each clause as it is written, and folded."""
    parts = _CLAUSE.split(_FIGURE.sub("=", unicodedata.normalize("NFKC", text)).replace("\n", ". "))
    clauses: list[tuple[str, str]] = []
    for part in filter(None, parts):
        clause = folded(part)
        last = clauses[-1][0].rsplit(None, 2)[-2:] if clauses else []
        # "aguarda o predecessor PREP001, que falhou" is said of the last words before it, "não terminou: abendou" not.
        if last and _words()["goes_on"].match(clause) and _words()["not"].search(folded(" ".join(last))) is None:
            part_of = " ".join((*last, part))
            clauses.append((part_of, folded(part_of)))
        elif clause:
            clauses.append((part, clause))
    return clauses


def _is_denied(before: str, what: str) -> bool:
    """Whether what is said is denied right before it: "nao terminou bem"; what denies by itself is not."""
    words = _words()
    return words["not"].match(what) is None and words["not"].search(" ".join(before.split()[-4:])) is not None
