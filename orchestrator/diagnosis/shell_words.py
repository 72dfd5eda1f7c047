"""Splits a command line into the commands and words that a shell would run, or refuses to.

Refused is whatever can run or write something beyond the words themselves: substitution, redirection into a file,
groups, here-documents, and characters that look like others. A refusal is no error: nothing is known of the line then.
"""

import re
import unicodedata
from dataclasses import dataclass

_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"))
_VARIABLE = r"\$(?:[A-Za-z_]\w*+|\{[A-Za-z_]\w*\}|[?$](?![\w{(]))"
# An exclamation mark recalls an earlier command, except where these stand around it.
_NO_HISTORY = r"(?<=@)!|!(?=[\s=\"]|$)"
_WORD_PART = re.compile(
    rf"(?P<single>'[^']*')"
    rf"|(?P<double>\"(?:[^\"\\$`!]|\\[^\n]|{_VARIABLE}|\$(?=[\s\"/.,:;)%]|$)|{_NO_HISTORY})*\")"
    rf"|(?P<escape>\\[^\n])"
    rf"|(?P<variable>{_VARIABLE})"
    rf"|(?P<plain>(?:[\w.,:/@%+=*?~\[\]{{}}^-]|(?<=\S)#|{_NO_HISTORY})+)"
)
_WINDOWS_PART = re.compile(
    r"(?P<double>\"[^\"\n`]*\")|(?P<variable>%\w+%)|(?P<plain>(?:[\w.,:/@+=*?~\[\]{}\\!#'$-]|%(?!\w))+)"
)
_SEPARATOR = re.compile(r"\n|&&|\|\||\|&|;|&(?!>)|\|")
_NOWHERE = re.compile(r"(?:[12]>&[12]|[12&]?>{1,2}[ ]?(?:/dev/null|(?i:nul)))(?=[\s;&|]|$)|2>&1(?=\|)")
_INPUT = re.compile(r"<(?:<<)?(?![<>(&])[ \t]*(?=\S)")
_SOCKETS = ("/dev/tcp", "/dev/udp")
_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_ESCAPED = re.compile(r"\\([\\\"$`])")
_ALTERNATIVES = re.compile(r"\{[^}]*(?:,|\.\.)")


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command of a line."""

    words: tuple[str, ...]
    """The program and its arguments, without their quotes; a variable stays as it is written."""
    after: str = ""
    """What separates it from the command before it."""


def is_plain_text(text: str) -> bool:
    """Whether ``text`` has no character that is unseen or only looks like another; blanks, tabs and newlines are fine.

    A no-break space is part of a word to a shell, and a full-width letter another letter.
    """
    if text.isascii():
        return all(char >= " " and char != "\x7f" for char in text if char not in "\n\t")
    return all(
        char in "\n\t"
        or (" " <= char < "\x7f")
        or (unicodedata.category(char) not in _UNSEEN and unicodedata.normalize("NFKC", char) == char)
        for char in text
    )


def split_line(line: str, *, is_windows: bool = False) -> tuple[Command, ...] | None:
    """The commands of ``line`` in their order, or None when it is not certain that they are all that would run.

    ``is_windows`` reads it as cmd.exe does, where a single quote does not quote and a backslash does not escape.
    """
    part = _WINDOWS_PART if is_windows else _WORD_PART
    commands: list[Command] = []
    words: list[str] = []
    after, at = "", 0
    while at < len(line):
        if (blank := _BLANK.match(line, at)) or (blank := _NOWHERE.match(line, at)):
            at = blank.end()
        elif separator := _SEPARATOR.match(line, at):
            if words:
                commands.append(Command(tuple(words), after))
            elif separator[0] != "\n":
                return None
            words, after, at = [], separator[0], separator.end()
        elif source := _INPUT.match(line, at):
            # A file that is read is no argument.
            word, at = _word(line, source.end(), part)
            if word is None or word.startswith(_SOCKETS):
                return None
        else:
            word, at = _word(line, at, part)
            if word is None:
                return None
            words.append(word)
    if words:
        commands.append(Command(tuple(words), after))
    elif after not in ("", ";", "\n"):
        return None
    return tuple(commands)


def _word(line: str, at: int, part: re.Pattern[str]) -> tuple[str | None, int]:
    """The word that begins at ``at``, and where it ends; None for what is no word."""
    texts: list[str] = []
    unquoted: list[str] = []
    start = at
    while match := part.match(line, at):
        at, text = match.end(), match[0]
        match match.lastgroup:
            case "single":
                texts.append(text[1:-1])
            case "double":
                texts.append(_ESCAPED.sub(r"\1", text[1:-1]))
            case "escape":
                texts.append(text[1:])
            case "variable" if "IFS" in text:  # it stands for blanks
                return None, at
            case _:
                texts.append(text)
                unquoted.append(text)
    if at == start or _ALTERNATIVES.search("".join(unquoted)):
        return None, at
    return "".join(texts), at
