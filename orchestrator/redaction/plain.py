"""Text with plain characters in place of those that only look like them, and where each of them stood.

Chat, word processors and web pages write no-break blanks, curly quotes, full-width letters, letters of other scripts
that look alike, and characters without a width, within keys and around values. Patterns are written for plain ones.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

_SEEN_AS = {
    char: plain
    for plain, chars in {
        '"': "“”„‟«»″〝〞「」『』＂", "'": "‘’‚‛‹›′´ʹʼ＇", "-": "‐‑‒–—―−﹘－", ":": "∶꞉﹕：ː", "=": "＝꞊﹦",
        " ": "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
        "\u2028\u2029\u202f\u205f\u3000",
    }.items()
    for char in chars
}  # fmt: skip
# Cyrillic and Greek letters, in the order of the Latin ones that they look like (Unicode's confusables, UTS 39).
_LETTERS = {
    "аеорсухіјѕԁԛԝһӏпкгт": "aeopcyxijsdqwhlnkrt",
    "АВЕКМНОРСТХІЈЅ": "ABEKMHOPCTXIJS",
    "αβενορτυχικγ": "abevoptuxiky",
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ": "ABEZHIKMNOPTYX",
}
_SEEN_AS |= {char: plain for chars, plains in _LETTERS.items() for char, plain in zip(chars, plains, strict=True)}
# Full-width forms, mathematical letters, letters in circles and small forms, as far as they stand for one ASCII sign.
for _first, _last in ((0xFF01, 0xFF5E), (0x1D400, 0x1D7FF), (0x24B6, 0x24E9), (0xFE50, 0xFE6B)):
    for _code in range(_first, _last + 1):
        _form = unicodedata.normalize("NFKC", chr(_code))
        if len(_form) == 1 and _form.isascii():
            _SEEN_AS.setdefault(chr(_code), _form)
_SEEN_AS["\u0130"] = "I"  # the one letter whose lower case is longer
# Of no width, or lines through the letter before.
_UNSEEN = "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u0335-\u0338\ufe00-\ufe0f\ufeff"
# In two classes each: one with characters beyond the first 65,536 in it is read slowly.
_LOOKALIKES = (
    re.compile(f"[{re.escape(''.join(sorted(char for char in _SEEN_AS if ord(char) <= 0xFFFF)))}]"),
    re.compile("[\U0001d400-\U0001d7ff]"),
)
_NO_WIDTH = re.compile(f"[{_UNSEEN}]|[\U000e0000-\U000e0fff]")


class Plain:
    """A text with plain characters, and the places of its characters in the original."""

    def __init__(self, text: str) -> None:
        """Read ``text``, of any length."""
        self.text = text
        self._starts: Sequence[int] = ()
        if text.isascii():
            return
        for pattern in _LOOKALIKES:
            self.text = pattern.sub(lambda match: _SEEN_AS.get(match[0], match[0]), self.text)
        pieces, starts, shifts, done, shift = [], [], [], 0, 0
        for match in _NO_WIDTH.finditer(self.text):
            pieces.append(self.text[done : match.start()])
            shift += match.end() - match.start()
            starts.append(match.end() - shift)
            shifts.append(shift)
            done = match.end()
        if starts:
            self.text = "".join((*pieces, self.text[done:]))
            self._starts, self._shifts = starts, shifts

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The places in the original of ``text[start:end]``."""
        return (start + self._shift(start), end - 1 + self._shift(end - 1) + 1) if self._starts else (start, end)

    def _shift(self, place: int) -> int:
        index = bisect_right(self._starts, place)
        return self._shifts[index - 1] if index else 0
