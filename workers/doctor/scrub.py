"""Takes known secrets out of words that were written elsewhere, such as a server's or a library's error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

_SECRET_NAME = re.compile(r"(?:PASSWORD|TOKEN|SECRET|API_KEY|AUTH_HEADER|BASIC_AUTH)$")
_MIN_LENGTH = 4
"""A shorter one would hit half of the words."""
MASK = "***"


class Scrubber:
    """Replaces the secret values of an environment. A second line: no check puts one into its words."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        found: set[str] = set()
        for name, value in environ.items():
            if _SECRET_NAME.search(name):
                found |= {value, value.partition(":")[2].strip()}
            elif "://" in value:
                found |= _passwords_in(value)
        # Longest first: one secret may begin with another.
        self._secrets = sorted((value for value in found if len(value) >= _MIN_LENGTH), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without them, on one line."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return " ".join(text.split())


def _passwords_in(url: str) -> set[str]:
    """User information of a URL, whole and in parts; also where the URL is malformed."""
    try:
        authority = urlsplit(url).netloc
    except ValueError:
        authority = ""
    found = set()
    for part in (authority, url.partition("://")[2]):
        information = part.rpartition("@")[0]
        password = information.partition(":")[2]
        found |= {information, password, unquote(password)}
    return found
