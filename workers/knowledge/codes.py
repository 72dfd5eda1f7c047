"""Codes in text: abends, message ids, return codes; each in one spelling, so that question and page meet."""

from __future__ import annotations

import re

_SYSTEM_ABEND = re.compile(r"\bS(?=[0-9A-F]*[0-9])[0-9A-F]{3}\b")
# The letter O for the digit 0 is the usual slip: SOC7.
_LETTER_O_ABEND = re.compile(r"\bSOC([0-9A-F])\b", re.IGNORECASE)
# "abend 0C7", "B37-04": the code without its S.
_BARE_ABEND = re.compile(r"\babend(?:\s+code|\s+de\s+sistema)?\s+([0-9A-F]{3})\b", re.IGNORECASE)
_SPACE_ABEND = re.compile(r"\b([BDE]37)(?:-[0-9A-F]{2})?\b")
_USER_ABEND = re.compile(r"\bU(\d{4})\b")
_MESSAGE_ID = re.compile(
    r"\b(?:AW[SK][A-Z]{2,3}\d{3,4}[IWE]"
    r"|EQQ[A-Z0-9]{1,2}\d{2,3}[IWES]"
    r"|(?:ADR|ARC|BPX|CEE|CSV|DFS|DSN|ICE|ICH|IDC|IEA|IEC|IEF|IGD|IGZ|IKJ|IOE|WER)[A-Z]?\d{3,5}[A-Z]?)\b"
)
_RETURN_CODE = re.compile(
    r"(?:\bRC|\breturn[ _-]?codes?|\bexit[ _-]?(?:codes?|status)|\bc[oó]digos? de (?:retorno|sa[ií]da)"
    r"|\bmaxcc|\bcond[ _]?code|\bexited with(?: code)?|\bterminou com(?: c[oó]digo)?|\bsaiu com(?: c[oó]digo)?)"
    r"\s*(?:de|of|is|was|foi|[=:<>≤≥]{0,2})\s*(-?\d{1,10}|0x[0-9A-F]{8})\b",
    re.IGNORECASE,
)
# Names with a digit or a separator, as jobs, workstations and substates are written: BATCH001, HOLD_PRIORITY_ZERO.
_IDENTIFIER = re.compile(r"\b(?:[A-Z][A-Z0-9]*(?:[_-][A-Z0-9]+)+|(?=[A-Z]*\d)[A-Z][A-Z0-9]{3,})\b")
# States of the HWA REST API that are a topic of their own; ABEND is in every second question and tells nothing.
_STATE = re.compile(
    r"\b(?:HOLD|READY|FENCE|INTRO|FAIL|EXEC|WAIT|SUPPR|SUCC|SUCCP|CANCL|CANCLP|ABENP|PEND|SUSP|STUCK|EXTRN|UNDECIDED)\b"
)
_NT_STATUS_HEX = re.compile(r"\b0x([C8][0-9A-F]{7})\b", re.IGNORECASE)
_NT_STATUS_DECIMAL = re.compile(r"(?<![\w-])-(\d{9,10})\b")


def return_code_token(code: int) -> str:
    """``rc137``; a negative code is a Windows NTSTATUS and is written in hexadecimal: ``ntc0000005``.

    A return code is an int32 in the HWA REST API, NTSTATUS values have the top bit set.
    """
    if code < 0 or code > 0x7FFF_FFFF:
        return f"nt{code & 0xFFFF_FFFF:08x}"
    return f"rc{code}"


def find_codes(text: str) -> tuple[str, ...]:
    """Every abend code and message id of ``text``, upper case, in order, without repeats."""
    found: list[tuple[int, str]] = []
    for pattern in (_SYSTEM_ABEND, _MESSAGE_ID):
        found += [(match.start(), match.group()) for match in pattern.finditer(text)]
    found += [(match.start(), f"S0C{match.group(1).upper()}") for match in _LETTER_O_ABEND.finditer(text)]
    found += [(match.start(), f"S{match.group(1)}") for match in _SPACE_ABEND.finditer(text)]
    found += [(match.start(), f"U{match.group(1)}") for match in _USER_ABEND.finditer(text)]
    for match in _BARE_ABEND.finditer(text):
        if any(character.isdigit() for character in match.group(1)):
            found.append((match.start(), f"S{match.group(1).upper()}"))
    return tuple(dict.fromkeys(code for _, code in sorted(found)))


def find_code_tokens(text: str) -> tuple[str, ...]:
    """The codes of ``text`` as index tokens: lower case, return codes as ``rc137`` or ``ntc0000005``."""
    tokens = [code.lower() for code in find_codes(text)]
    for number in _RETURN_CODE.findall(text):
        value = int(number, 16 if number[:2].lower() == "0x" else 10)
        tokens.append(return_code_token(value))
    tokens += [f"nt{match.group(1).lower()}" for match in _NT_STATUS_HEX.finditer(text)]
    tokens += [return_code_token(-int(match.group(1))) for match in _NT_STATUS_DECIMAL.finditer(text)]
    return tuple(dict.fromkeys(tokens))


def name_token(name: str) -> str:
    """An identifier as one index token: ``HOLD_PRIORITY_ZERO`` is ``holdpriorityzero``."""
    return "".join(character for character in name.lower() if character.isascii() and character.isalnum())


def find_states(text: str) -> tuple[str, ...]:
    """States written as the product writes them, in capitals; as tokens, without repeats."""
    return tuple(dict.fromkeys(f"state{match.group().lower()}" for match in _STATE.finditer(text)))


def find_names(text: str) -> tuple[str, ...]:
    """The identifiers of ``text``, as written, in order, without repeats."""
    return tuple(dict.fromkeys(match.group() for match in _IDENTIFIER.finditer(text)))
