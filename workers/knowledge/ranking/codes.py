"""Codes of a page or a question as index tokens, normalised so that both match."""

import re

from orchestrator.codes.patterns import find_codes_to_look_up, find_return_codes
from orchestrator.codes.states import find_states as written_states

# A success condition is not the return code of a run, but may be the topic of a page; "terminou com 5" is colloquial.
_MORE_RETURN_CODES = re.compile(r"(?:\bRC\s*[<>≤≥]=?|\bterminou com(?: c[oó]digo)?)\s*(-?\d{1,10})\b", re.IGNORECASE)
# Names of jobs, workstations and substates, recognised by a digit or a separator: BATCH001, HOLD_PRIORITY_ZERO.
_IDENTIFIER = re.compile(r"\b(?:[A-Z][A-Z0-9]*(?:[_-][A-Z0-9]+)+|(?=[A-Z]*\d)[A-Z][A-Z0-9]{3,})\b")
_NO_TOPICS = frozenset({"ABEND", "ERROR", "END", "DONE", "ADD"})
"""States that are in every second question, and words of every text: they are no topic of their own."""
_BLANKS = re.compile(r"(\s)\s+")
_NT_STATUS_HEX = re.compile(r"\b0x([C8][0-9A-F]{7})\b", re.IGNORECASE)
_NT_STATUS_DECIMAL = re.compile(r"(?<![\w-])-(\d{9,10})\b")


def return_code_token(code: int) -> str:
    """``rc137``; a negative code is a Windows NTSTATUS and is written in hexadecimal: ``ntc0000005``.

    A return code is an int32 in the HWA REST API, NTSTATUS values have the top bit set.
    """
    if code < 0 or code > 0x7FFF_FFFF:
        return f"nt{code & 0xFFFF_FFFF:08x}"
    return f"rc{code}"


def find_code_tokens(text: str) -> tuple[str, ...]:
    """The codes of ``text`` as index tokens: lower case, return codes as ``rc137`` or ``ntc0000005``."""
    # The patterns below take quadratic time in a run of blanks, and the question comes from anyone.
    text = _BLANKS.sub(r"\1", text)
    tokens = [code.lower() for code in find_codes_to_look_up(text)]
    tokens += [return_code_token(code) for code in find_return_codes(text)]
    tokens += [return_code_token(int(number)) for number in _MORE_RETURN_CODES.findall(text)]
    tokens += [f"nt{match.group(1).lower()}" for match in _NT_STATUS_HEX.finditer(text)]
    tokens += [return_code_token(-int(match.group(1))) for match in _NT_STATUS_DECIMAL.finditer(text)]
    return tuple(dict.fromkeys(tokens))


def name_token(name: str) -> str:
    """An identifier as one index token: ``HOLD_PRIORITY_ZERO`` is ``holdpriorityzero``."""
    return "".join(character for character in name.lower() if character.isascii() and character.isalnum())


def find_states(text: str) -> tuple[str, ...]:
    """Job states in capitals, as the product writes them, as tokens without repeats."""
    return tuple(f"state{state.lower()}" for state in written_states(text) if state not in _NO_TOPICS)


def find_names(text: str) -> tuple[str, ...]:
    """The identifiers of ``text``, as written, in order, without repeats."""
    return tuple(dict.fromkeys(match.group() for match in _IDENTIFIER.finditer(text)))
