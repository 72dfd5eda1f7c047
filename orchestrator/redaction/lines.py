"""Text as it was before a program framed, continued or quoted it, so that patterns of whole lines can match.

A log collector, a shell or an editor writes times, levels, numbers and prompts before each line; a shell and JCL let a
command go on in the next line; JSON writes line ends and quotes as escapes. ``through`` takes all that off, lets a
function change what is left, and puts it back.

Deterministic and linear in the length of the text: every repetition is bounded or followed by something that its own
characters cannot match.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from orchestrator.redaction.patterns import LOWER_KEY

Change = Callable[[str], str]

# Frames ---------------------------------------------------------------------------------------------------------------

_TIME = r"\d{1,2}[:.]\d{2}[:.]\d{2}(?:[.,:]\d{1,9})?"
_DATE = (
    r"(?:\d{2,4}\.\d{3}(?= )|\d{4}[-/.]\d{2}[-/.]\d{2}|\d{2}[-/.]\d{2}[-/.]\d{2,4}|\d{1,2}[ /-][A-Za-z]{3}[ /-]\d{2,4}"
    r"|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2} {1,2}\d{1,2}(?:,? \d{4})?)"
)
_ZONE = r"(?: ?(?:Z|UTC|GMT|BRT|[AP]M|[+-]\d{2}:?\d{2}))?"
_AFTER = r"(?:[ \t]*[-:|,;])?[ \t]"
_LEVEL = r"(?i:trace|debug|info|notice|warning|warn|error|erro|err|severe|fatal|critical|finest|finer|fine|aviso)"
_FILES = r"log|txt|out|err|trc|lst|sh|ksh|bash|sql|jcl|cbl|py|pl|cmd|bat|ps1|cfg|conf|ini|xml|json|ya?ml|properties"
_LOGGER = (
    r"(?:[\w$/-]{1,60}(?:\.[\w$/-]{1,60}){1,12}|[\w./-]{1,64}\[\d{1,7}\]|\w{1,64}(?=[ \t]{1,40}:|[ \t]{1,4}-)|root)"
)
# What a frame can begin with.
_START = (
    # 2026-11-24T03:00:12.123Z, 24/11/2026 03:00:12,123 -, [03:00:12], Nov 24 03:00:12
    rf"[\[(<]?(?:{_DATE}(?:[T _,:-]{{1,2}}{_TIME})?|{_TIME}){_ZONE}[\])>]?{_AFTER}",
    # seconds: 1732417212.123, or [   12.345678]
    r"\[?[ ]{0,8}\d{1,10}\.\d{1,9}\][ \t]|\d{10}\.\d{1,9}[ \t]",
    # glog: E1124 03:00:12.123456    1234 server.go:12]
    rf"[IWEFD]\d{{4}} {_TIME}[ ]+\d{{1,10}} [\w.-]{{1,80}}:\d{{1,6}}\][ \t]",
    # JES: carriage control, time, job number; the number alone in a listing
    rf"[ 01+-]?(?:[ ]?{_TIME}[ ]+)?(?:(?:JOB|STC|TSU)\d{{5}}|[JST]\d{{7}})[ ]{{1,2}}(?:[*+@](?=[\w /-]))?",
    # the system log of z/OS: N 4000000 SYSA     24329 03:00:12.12 JOB01234 00000090
    rf"[A-Z][A-Z ]? ?[0-9A-F]{{7}} [\w$#@]{{1,8}} +\d{{5,7}} {_TIME} (?:\w{{1,8}})? +[0-9A-F]{{8}} {{1,2}}",
    # carriage control; statement numbers of JCL
    r"[01+-](?=//|XX|[A-Z]{3,4}\d{3,5}|\*\*|\$HASP)|[ \t]{0,16}\d{0,6}[ \t]{1,16}(?=//|XX[A-Z ])",
    # line numbers: "     12  ", cat -n, grep -n, an editor
    r"[ \t]{0,8}\d{1,9}(?: {2}|\t|[ ]?[|:][ \t]|:(?=[^\d\s:/@]|//[A-Z]|\d{1,6}(?:[A-Za-z]|\.\d)))",
    # grep -Hn: app.log:12:
    rf"[\w./\\-]{{1,200}}\.(?:{_FILES}):\d{{1,7}}[:-][ \t]?",
    # kubectl logs --prefix, docker compose
    r"\[pod/[^\]\s]{1,200}\][ \t]|[\w.]{1,60}[_-][\w-]{0,60}\d[ \t]{1,20}\|[ \t]",
    rf"[\[(<]?{_LEVEL}[\])>]?(?:{_AFTER}|:(?=\w))",
    r"\[[^\[\]\r\n]{0,100}\](?:[ \t]*[-:|])?[ \t]",
    # xtrace: "+ ", "++ ", "+(job.sh:12): ", "+ job.sh:12: "
    r"\+{1,8}(?:\([^()\r\n]{1,100}\)|[\w./-]{1,80}:\d{1,6})?:?[ \t](?:\w{1,40}\(\):?[ \t])?",
    # a shell's prompt; those of other programs tell whose commands follow
    r"\[?[\w.-]{1,40}@[\w.-]{1,64}[: ][^\r\n$#%>\]]{0,80}\]?[$#%][ \t]|[$#%]{1,3}[ \t]",
)
# What only follows such a beginning.
_FOLLOW = (
    r"(?:stdout|stderr)[ \t]+[FP][ \t]",
    r"\d{1,10}[ \t]+(?:---[ \t])?|---[ \t]",
    r"(?:\([^()\r\n]{0,100}\)|\{[^{}\r\n]{0,100}\}|<[^<>\r\n]{0,100}>)(?:[ \t]*[-:|])?[ \t]",
    # a host before a program, a logger or a program with its process
    r"[\w.-]{1,64}[ \t]+(?=[\w./-]{1,64}\[\d{1,7}\]:[ \t])",
    rf"{_LOGGER}(?::\d{{1,6}})?(?:[ \t]{{0,40}}:|[ \t]{{1,4}}-{{1,3}})[ \t]",
)
_FIRST = re.compile("|".join(_START))
_NEXT = re.compile(rf"[ \t]{{0,40}}(?:{'|'.join((*_FOLLOW, *_START))})")
_MAX_PARTS = 8
_PARTIAL = re.compile(r"(?:stdout|stderr)[ \t]+P[ \t]$")


def _known_frame(line: str, start: int = 0) -> int:
    """Where a frame ends that is written as programs do it, from ``start`` on."""
    match = (_NEXT if start else _FIRST).match(line, start)
    ends = [start]
    while match is not None and match.end() > ends[-1] and len(ends) <= _MAX_PARTS:
        ends.append(match.end())
        match = _NEXT.match(line, match.end())
    return _before_key(line, ends)


def _before_key(line: str, ends: Sequence[int]) -> int:
    """The last of the ends of a frame before what names a secret, which is no part of it."""
    if ends[-1] and (key := LOWER_KEY.search(line[: ends[-1]].lower())) is not None:
        return max((end for end in ends if end <= key.start()), default=0)
    return ends[-1]


_MAX_FRAME, _NEIGHBOURS = 120, 3
_NUMBERS = str.maketrans(dict.fromkeys("0123456789", "0"))


def _shared_frames(lines: Sequence[str]) -> list[int]:
    """Where the frame of each line ends by what it has in common with lines beside it, whatever program wrote it.

    Digits may differ. Two lines must begin like it, where there are two.
    """
    shapes = [line[:_MAX_FRAME].translate(_NUMBERS) for line in lines]
    shared: list[list[int]] = [[] for _ in lines]
    for index, mine in enumerate(shapes):
        for other in range(index + 1, min(index + 1 + _NEIGHBOURS, len(lines))):
            length = _common_length(mine, shapes[other])
            shared[index].append(length)
            shared[other].append(length)
    return [_frame_within(line, sorted(of)[-2:][0] if of else 0) for line, of in zip(lines, shared, strict=True)]


def _common_length(mine: str, other: str) -> int:
    """The characters that two texts begin with."""
    least, most = 0, min(len(mine), len(other))
    if mine[:2] != other[:2]:
        return 0
    while least < most:
        half = (least + most + 1) // 2
        least, most = (half, most) if mine.startswith(other[:half]) else (least, half - 1)
    return least


def _frame_within(line: str, end: int) -> int:
    """Where the frame of a line ends within that many characters; an indentation is none."""
    if end and (key := LOWER_KEY.search(line[:end].lower())) is not None:
        end = key.start()
    while end and line[end - 1] not in " \t:>|])}=":
        end -= 1
    return end if line[:end].strip() else 0


# Continuations --------------------------------------------------------------------------------------------------------

_MAX_JOINED = 20
_MAX_JOINED_CHARACTERS = 8_000
_BLANK = "  "
"""What stands in a joined line where a line ended after a blank, and nowhere else."""
_BLANKS = re.compile(r"[ \t]{2,}")
_JCL = re.compile(r"(?://|XX)(?!\*)")
_JCL_NEXT = re.compile(r"(?://|XX)[ \t]+(?=\S)")
_JCL_COLUMNS, _JCL_QUOTE_COLUMN = 71, 15
_JCL_MARK = re.compile(r"\S?[ \d]{0,8}\s*")
_COBOL_NEXT = re.compile(r".{6}-[ \t]{1,60}[\"']")
_COBOL_COLUMNS = 72
_SEQUENCE = re.compile(r"[ \d]{0,8}\s*")


def _link(line: str, after: str, *, is_partial: bool) -> tuple[int, int, str] | None:
    """Where a line ends that goes on in the next one, where that begins, and what stands between; None: it does not."""
    if is_partial:
        return len(line), 0, ""
    if _JCL.match(line):
        return _jcl_link(line, after)
    if (end := _end_before_mark(line)) is not None:
        start, written = len(after) - len(after.lstrip(" \t")), len(line[:end].rstrip(" \t"))
        is_glued = written == end and not start and line[end] in "\\^"
        return (end, 0, "") if is_glued else (written, start, _BLANK)
    if (match := _COBOL_NEXT.match(after)) is not None and _SEQUENCE.fullmatch(line, _COBOL_COLUMNS):
        is_open = line[:_COBOL_COLUMNS].count(after[match.end() - 1]) % 2 == 1
        return (min(_COBOL_COLUMNS, len(line.rstrip())), match.end(), "") if is_open else None
    return None


def _end_before_mark(line: str) -> int | None:
    """Where the last character of a line stands that a shell, IDCAMS or SQL*Plus takes for "goes on"."""
    written = line.rstrip(" \t")
    mark, end = written[-1:], len(written) - 1
    if mark == "\\":
        return end if (len(written) - len(written.rstrip(mark))) % 2 else None
    if mark == "^":  # ^NAME^ is a variable of TWS
        return end if written[written.rfind(" ") + 1 :].count(mark) % 2 else None
    return end if (mark in ("`", "+", "-") and written[end - 1 : end] in (" ", "\t")) else None


def _jcl_link(line: str, after: str) -> tuple[int, int, str] | None:
    match, written = _JCL_NEXT.match(after), line.rstrip()
    if match is None:
        return None
    in_quotes = line[:_JCL_COLUMNS].count("'") % 2 == 1
    if len(written) >= _JCL_COLUMNS and (in_quotes or len(written) > _JCL_COLUMNS):
        # A quoted text goes on in column 16, with the blanks that stand there.
        start = _JCL_QUOTE_COLUMN if in_quotes and match.end() >= _JCL_QUOTE_COLUMN else match.end()
        return (_JCL_COLUMNS, start, "") if _JCL_MARK.fullmatch(line, _JCL_COLUMNS) else None
    return (len(written), match.end(), "") if written.endswith(",") else None


@dataclass(slots=True)
class _Logical:
    """One line, or several of which each goes on in the next: what frames each, its text, and what follows that."""

    frames: list[str]
    texts: list[str]
    ends: list[str]
    between: list[str]

    def joined(self, texts: Sequence[str]) -> str:
        """These texts of its lines as one."""
        if len(texts) == 1:
            return texts[0]
        return "".join(_BLANKS.sub(" ", text) + by for text, by in zip(texts, (*self.between, ""), strict=True))

    def framed(self, texts: Sequence[str]) -> str:
        """The lines with these texts."""
        return "\n".join(map("".join, zip(self.frames, texts, self.ends, strict=True)))

    def parted(self, text: str) -> str:
        """A joined line as the lines that it is of; on the first where one's end is not to be told any more."""
        parts = text.split(_BLANK)
        if len(parts) == len(self.texts) and all(self.between):
            return self.framed(parts)
        return "\n".join((f"{self.frames[0]}{_BLANKS.sub(' ', text)}", *self.frames[1:]))


def _logical_lines(lines: Sequence[str], frames: Sequence[int]) -> list[_Logical]:
    out: list[_Logical] = []
    before, start, size = "", 0, 0
    for line, end in zip(lines, frames, strict=True):
        frame, rest, link = line[:end], line[end:], None
        rest, eol = (rest[:-1], "\r") if rest.endswith("\r") else (rest, "")
        if out and len(out[-1].texts) < _MAX_JOINED and size < _MAX_JOINED_CHARACTERS:
            last = out[-1]
            link = _link(before, rest, is_partial=_PARTIAL.search(last.frames[-1]) is not None)
        if link is None:
            out.append(_Logical([frame], [rest], [eol], []))
            before, start, size = rest, 0, len(rest)
            continue
        until, begins, by = link
        last.texts[-1], last.ends[-1] = before[start : max(until, start)], before[max(until, start) :] + last.ends[-1]
        last.frames.append(frame + rest[:begins])
        last.texts.append(rest[begins:])
        last.ends.append(eol)
        last.between.append(by)
        before, start, size = rest, begins, size + len(rest)
    return out


def through(text: str, change: Change) -> str:
    """``text`` with what ``change`` makes of it without frames, and of lines that go on in the next one as one line.

    ``change`` should return as many lines as it is given: the frames of a text with fewer are lost.
    """
    lines = text.split("\n")
    known = list(map(_known_frame, lines))
    # First by the frames that lines share, as they are also those of lines that only seem to have one.
    changed = _through_shared(lines, known, change) if len(lines) > 1 else lines
    if changed != lines:
        lines, known = changed, list(map(_known_frame, changed))
    return _through(lines, known, change)


def _through_shared(lines: list[str], known: Sequence[int], change: Change) -> list[str]:
    """The lines after those were changed that share a longer frame than is known."""
    shared = [
        own if end <= own else _known_frame(line, end)
        for line, end, own in zip(lines, _shared_frames(lines), known, strict=True)
    ]
    is_longer = [end > own for end, own in zip(shared, known, strict=True)]
    is_near = [any(is_longer[max(0, place - 1) : place + 2]) for place in range(len(lines))]
    # A line without text, None, parts those that do not stand together.
    places: list[int | None] = []
    for near, run in groupby(range(len(lines)), key=is_near.__getitem__):
        places += (*run, None) if near else ()
    if not places:
        return lines
    taken = [("", 0) if place is None else (lines[place], shared[place]) for place in places]
    changed = _through([line for line, _ in taken], [end for _, end in taken], change).split("\n")
    if len(changed) != len(places):
        return lines
    out = list(lines)
    for place, line in zip(places, changed, strict=True):
        if place is not None:
            out[place] = line
    return out


def _through(lines: Sequence[str], frames: Sequence[int], change: Change) -> str:
    logical = _logical_lines(lines, frames)
    if not any(item.between or item.frames[0] or item.ends[0] for item in logical):
        return change("\n".join(lines))
    joined = [item.joined(item.texts) for item in logical]
    changed = change("\n".join(joined)).split("\n")
    if len(changed) != len(joined):
        return "\n".join(changed)
    if len(joined) == len(lines):
        return "\n".join(item.framed([line]) for item, line in zip(logical, changed, strict=True))
    # Each line by itself as well: where that finds the same, every line keeps its text.
    alone = change("\n".join(part for item in logical for part in item.texts)).split("\n")
    if len(alone) != len(lines):
        alone = [part for item in logical for part in item.texts]
    each = iter(alone)
    out = []
    for item, was, now in zip(logical, joined, changed, strict=True):
        parts = list(islice(each, len(item.texts)))
        out.append(item.framed(parts) if now in (was, item.joined(parts)) else item.parted(now))
    return "\n".join(out)


# Escapes --------------------------------------------------------------------------------------------------------------

_QUOTED_LINE = re.compile(r"^[^\r\n\"\\]*+[\"\\][^\r\n]*+", re.MULTILINE)
# What stands between two quotes, and whether they are those of a string of JSON.
_PIECE = re.compile(r'(?P<opened>(?<=[{\[,: ]"))?(?>(?:[^"\\\r\n]|\\[^\r\n])+)(?P<closed>(?="[ \t]?[\]},:])|$)?')
_ESCAPE = re.compile(r"\\(?:u00(?P<code>1[Bb]|[2-7][0-9A-Fa-f])|(?P<char>[nrt\"'/\\]))")
_CHARACTERS = {"n": "\n", "r": "\r", "t": "\t"}
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\x1b": "\\u001b"}
_MIN_QUOTED = 8
"""Shorter strings hold no secret with the words that betray it."""
_APART = "\n\n"


def quoted(text: str, change: Change) -> str:
    """``text`` with what ``change`` makes of its strings, read as JSON reads them: each as lines of their own."""
    if "\\" not in text and '":' not in text:
        return text
    pieces = [
        piece
        for line in _QUOTED_LINE.finditer(text)
        for piece in _PIECE.finditer(text, line.start(), line.end())
        if piece.end() - piece.start() >= _MIN_QUOTED
        and ((piece["opened"] is not None and piece["closed"] is not None) or _ESCAPE.search(piece[0]))
    ]
    if not pieces:
        return text
    read = [_ESCAPE.sub(_unescaped, piece[0]) for piece in pieces]
    together = _APART.join(read)
    changed = change(together)
    if changed == together:
        return text
    if changed.count("\n") == together.count("\n"):
        # With the blank line that follows each.
        lines = iter((*changed.split("\n"), ""))
        new = ["\n".join(islice(lines, was.count("\n") + 2))[:-1] for was in read]
    else:
        new = [change(was) for was in read]
    out: list[str] = []
    done = 0
    for piece, was, now in zip(pieces, read, new, strict=True):
        out += (text[done : piece.start()], piece[0] if was == now else _requoted(now, piece[0]))
        done = piece.end()
    return "".join((*out, text[done:]))


def _requoted(text: str, piece: str) -> str:
    """What JSON writes for the text, with the characters escaped that are in ``piece``."""
    written = _WRITTEN | {char: f"\\{char}" for char in "\\\"'" if f"\\{char}" in piece}
    if "\\t" in piece:
        written["\t"] = "\\t"
    return "".join(written.get(char, char) for char in text)


def _unescaped(match: re.Match[str]) -> str:
    if code := match["code"]:
        return chr(int(code, 16))
    char = match["char"]
    return _CHARACTERS.get(char, char)
