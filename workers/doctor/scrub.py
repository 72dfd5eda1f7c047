"""Masks known secrets in text from servers and libraries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Text

_SECRET_NAME = re.compile(r"(?:PASSWORD|TOKEN|SECRET|API_KEY|AUTH_HEADER|BASIC_AUTH)$")
_MIN_LENGTH = 4
"""Shorter secrets are not masked: they would match parts of ordinary words."""
MASK = "***"


class Scrubber:
    """Replaces the secret values of an environment. A second line of defence: no check writes one itself."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        secrets: set[str] = set()
        for name, value in environ.items():
            if _SECRET_NAME.search(name):
                secrets |= {value, value.partition(":")[2].strip()}
            elif "://" in value:
                secrets |= _passwords_in(value)
        # Longest first: one secret may begin with another.
        self._secrets = sorted((value for value in secrets if len(value) >= _MIN_LENGTH), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """``text`` without secrets, on one line."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return " ".join(text.split())

    def text(self, text: Text, *, first_sentence: bool = False) -> Text:
        """``text`` without secrets, in whatever language it is written; ``first_sentence`` leaves out what follows."""
        return _Scrubbed(text, self, first_sentence)


@dataclass(frozen=True, slots=True)
class _Scrubbed:
    text: Text
    scrub: Scrubber
    first_sentence: bool

    def in_language(self, language: Language) -> str:
        text = self.text.in_language(language)
        return self.scrub(text.partition(". ")[0] if self.first_sentence else text)

    def __str__(self) -> str:
        return self.in_language(Language.EN)


def _passwords_in(url: str) -> set[str]:
    """User information of a URL, whole and in parts; also of a malformed URL."""
    try:
        authority = urlsplit(url).netloc
    except ValueError:
        authority = ""
    secrets = set()
    for part in (authority, url.partition("://")[2]):
        information = part.rpartition("@")[0]
        password = information.partition(":")[2]
        secrets |= {information, password, unquote(password)}
    return secrets
