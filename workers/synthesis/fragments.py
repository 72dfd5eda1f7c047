"""Fragments of the answer for the reader while the model writes: complete, checked and redacted statements.

A fragment cannot be withdrawn, so a part is shown only if it passes the final check.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError

from orchestrator.diagnosis.commands import check_action, is_mutating_command
from orchestrator.diagnosis.evidence import ClaimChecker
from orchestrator.diagnosis.markdown import Line, prose, write_line, write_plain
from orchestrator.diagnosis.render import CAUSE, EVIDENCE, STEPS, action_line
from orchestrator.i18n.languages import Language
from orchestrator.models import Action, Evidence
from orchestrator.redaction.redact import redact
from workers.synthesis.answer import AnswerAction, AnswerClaim, readable
from workers.synthesis.language import is_written_in
from workers.synthesis.scanner import Part

MIN_INTERVAL_SECONDS = 0.05
"""Least time between two fragments, to limit the load on the store."""

_HEADINGS = {"root_cause": CAUSE, "claims": EVIDENCE, "actions": STEPS}
"""Headings of the parts, the same as in the whole answer."""


class FragmentRenderer:
    """Renders complete parts of the answer as Markdown; a part that fails the check yields nothing."""

    def __init__(
        self,
        evidence: Sequence[Evidence],
        language: Language,
        *,
        question_codes: Iterable[str] = (),
        known: str | None = None,
        obeys: Callable[[str], bool] = lambda _text: False,
        forbids: Callable[[Action], bool] = lambda _action: False,
        contradicts: Callable[[str], bool] = lambda _text: False,
        personal: bool = False,
    ) -> None:
        """``known`` is the text that names objects besides the evidence, ``obeys`` recognises text that repeats an
        instruction planted in the evidence, ``forbids`` a step that may not be proposed, ``contradicts`` text against
        what is known for sure.
        """
        self._checker = ClaimChecker(evidence, known)
        self._language = language
        self._allowed = {code.upper() for code in question_codes}
        self._obeys = obeys
        self._forbids = forbids
        self._contradicts = contradicts
        self._personal = personal
        self._under = ""

    def render(self, part: Part) -> str:
        """The fragment for ``part``, or an empty string."""
        value = readable(part.value)
        match part.key:
            case "summary" | "root_cause":
                body = self._sentence(value)
            case "claims":
                body = self._claim(value)
            case "actions":
                body = self._action(value)
            case _:
                body = ""
        if not body or not is_written_in(body, self._language):
            return ""
        return f"{self._heading(part.key)}{body}"

    def _written(self, line: Line) -> str:
        """The line as Markdown, redacted as it is read: what is masked in Markdown may be a mark of it."""
        text = write_plain(line, quote="`")
        masked = redact(text, personal=self._personal)
        return write_line(line if masked == text else prose(masked))

    def _heading(self, key: str) -> str:
        if key == self._under:
            return ""
        first, self._under = not self._under, key
        if key not in _HEADINGS:
            return ""
        title = _HEADINGS[key].in_language(self._language)
        lead = "" if first else "\n\n"
        return f"{lead}**{title}:** " if key == "root_cause" else f"{lead}**{title}**\n"

    def _sentence(self, value: object) -> str:
        if not isinstance(value, str) or not self._checker.holds(value, self._allowed):
            return ""
        if is_mutating_command(value) or self._obeys(value) or self._contradicts(value):
            return ""
        return f"{self._written(prose(self._checker.clean(value)))} "

    def _claim(self, value: object) -> str:
        try:
            written = AnswerClaim.model_validate(value)
        except ValidationError:
            return ""
        claim = self._checker.check(written.to_claim())
        if claim is None or is_mutating_command(claim.text) or self._obeys(claim.text) or self._contradicts(claim.text):
            return ""
        ids = f" [{', '.join(claim.evidence_ids)}]"
        return f"- {self._written((*prose(claim.text), ids))}\n"

    def _action(self, value: object) -> str:
        try:
            written = AnswerAction.model_validate({"text": value} if isinstance(value, str) else value)
        except ValidationError:
            return ""
        action = check_action(written.to_action())
        if not action.text or self._forbids(action) or not self._checker.knows_objects(action.command or ""):
            return ""
        if self._obeys(f"{action.text}\n{action.command or ''}") or self._contradicts(action.text):
            return ""
        shown = action.model_copy(update={"text": self._checker.clean(action.text)})
        return f"- {self._written(action_line(shown, self._language))}\n"


class FragmentPacer:
    """Emits fragments, at most one per ``MIN_INTERVAL_SECONDS``; those in between are joined."""

    def __init__(self, emit: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._clock = clock
        self._last = float("-inf")
        self._pending = ""
        self.is_open = True
        """While False, fragments are collected but not emitted."""

    def add(self, fragment: str) -> None:
        """Add ``fragment``, and emit if the interval has passed."""
        self._pending += fragment
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Emit the pending fragments once the interval has passed. Raises what ``emit`` raises."""
        now = self._clock()
        if self.is_open and self._pending and now - self._last >= MIN_INTERVAL_SECONDS:
            pending, self._pending, self._last = self._pending, "", now
            self._emit(pending)
