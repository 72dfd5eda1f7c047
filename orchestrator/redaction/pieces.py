"""Texts of which only some lines are shown, or that come in fragments: masked as if they were whole."""

import re
from collections.abc import Iterable

from orchestrator.json_safe import utf8_safe
from orchestrator.redaction.redact import CUT_MARGIN, redact

MAX_READ = 100_000
"""Characters of the lines that are read to show some of them."""
CONTEXT = 400
"""Characters of a stream that are read again with what comes next."""
# The last word of a fragment; one of letters that a sentence ends with is whole.
_UNFINISHED = re.compile(r"(?<!\S)(?!\(?[^\W\d_]{2,}[.!?]\Z)\S+\Z")


def redact_lines(lines: Iterable[str], characters: int, *, personal: bool = False) -> list[str]:
    """Consecutive lines of a text, each masked and then cut to ``characters``; none of them moves.

    A secret may be betrayed by what stands lines above it, so give some more of them than are shown. What is cut off is
    not read, as by ``redact_start``; of lines that are longer than ``MAX_READ`` together the last long ones are empty.
    """
    starts: list[str] = []
    ends: list[int] = []
    left = MAX_READ
    for line in lines:
        read = utf8_safe(line[: characters + CUT_MARGIN]).replace("\n", " ")
        if len(read) > characters and left < len(read):
            read = ""
        left -= len(read)
        starts.append(read)
        ends.append(CUT_MARGIN if len(line) > characters + CUT_MARGIN else 0)
    masked = redact("\n".join(starts), personal=personal).split("\n")
    # Where lines are lost, none is shown twice, and what follows moves up.
    masked += [""] * (len(starts) - len(masked))
    return [line[: max(0, len(line) - end)][:characters] for line, end in zip(masked, ends, strict=False)]


class RedactedStream:
    """Masks a text that comes in fragments, over which a secret and the words that betray it may be spread."""

    def __init__(self, *, personal: bool = False) -> None:
        self._personal = personal
        self._raw = self._masked = self._word = ""
        """The last part of the text as it came and as it was given, and the beginning of a word that may go on."""

    def add(self, fragment: str) -> str:
        """What of the text can be given now, masked: up to its last whole word."""
        text = self._word + fragment
        word = _UNFINISHED.search(text, max(0, len(text) - CUT_MARGIN))
        end = len(text) if word is None else word.start()
        self._word = text[end:]
        return self._next(text[:end])

    def end(self) -> str:
        """The rest of the text."""
        return self._next(self._word)

    def _next(self, text: str) -> str:
        if not text:
            return ""
        raw = self._raw + text
        masked = redact(raw, personal=self._personal)
        # What was given and is known as a secret only now cannot be taken back.
        is_longer = masked.startswith(self._masked)
        new = masked[len(self._masked) :] if is_longer else redact(text, personal=self._personal)
        if len(raw) > 2 * CONTEXT:
            raw = raw[-CONTEXT:]
            masked = redact(raw, personal=self._personal)
        self._raw, self._masked = raw, masked
        return new
