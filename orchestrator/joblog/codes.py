"""What a code means: one lookup over the tables of codes and the symptoms, which share none."""

import re
from collections.abc import Mapping
from functools import cache

from orchestrator.codes.catalogue import Entry, Kind, entries, find_abend
from orchestrator.codes.patterns import is_abend
from orchestrator.joblog.symptoms import Symptom, symptoms

_LETTERS = re.compile(r"[A-Z]+")


def find_code(code: str) -> Entry | None:
    """What is known of an abend code, a message id, an SQLCODE or a file status; None for nothing.

    A message id is explained by itself, else by its sub-codes where they agree, else by the longest family (``AWSBHT``,
    ``EQQ``) that it begins with.
    """
    if symptom := _by_code().get(code):
        return symptom
    return find_abend(code) if is_abend(code) else _of_sub_codes(code) or _family(code)


@cache
def _by_code() -> Mapping[str, Symptom]:
    return {code: symptom for symptom in symptoms() for code in (symptom.key, *symptom.aliases)}


def _of_sub_codes(code: str) -> Symptom | None:
    """The first symptom of a sub-code (``IEC030I B37-04``), when all of them are of one category."""
    found = [symptom for symptom in symptoms() if symptom.key.startswith(f"{code} ")]
    return found[0] if len({symptom.category for symptom in found}) == 1 else None


def _family(code: str) -> Entry | None:
    letters = _LETTERS.match(code)
    prefixes = (code[:size] for size in range(letters.end() if letters else 0, 2, -1))
    tables = (entries(Kind.MESSAGE_FAMILY), _by_code())
    return next((table[prefix] for prefix in prefixes for table in tables if prefix in table), None)
