"""The one notation of job names that is accepted anywhere."""

from __future__ import annotations

import re

from orchestrator.errors import InvalidValue

# [folder/]WS#[folder/]JS[(hhmm date),(id)].JOB or a bare job name. Letters, digits, _ and - as the User's Guide
# allows for names; wildcards and quotes never pass, so a name can be used in a query.
_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
_FOLDER = rf"/?(?:{_NAME}/)*"
_JOB = re.compile(
    rf"(?:{_FOLDER}{_NAME}#)?(?:{_FOLDER}{_NAME}(?:\([0-9A-Za-z /:-]{{1,32}}\))?(?:,\([A-Za-z0-9_-]{{1,32}}\))?\.)?"
    rf"{_NAME}"
)


def check_job_name(value: str) -> str:
    """Return ``value`` when it is a job in TWS notation.

    Raises InvalidValue, a ValueError: names are a letter then letters, digits, ``_`` or ``-``, each at most 40
    characters (User's Guide 10.2.5), optionally qualified as ``WS#STREAM.JOB``.
    """
    name = value.strip()
    if len(name) > 900 or not _JOB.fullmatch(name):
        raise InvalidValue(
            "{name!r} is not a TWS job name; expected JOB or [folder/]WS#[folder/]STREAM.JOB "
            "with letters, digits, '_' and '-', starting with a letter, at most 40 characters",
            name=value[:80],
        )
    return name
