"""The words of doctor: whole in three languages, and there for every key that the code asks for."""

from __future__ import annotations

import inspect
import re
import string
from pathlib import Path

import pytest

from orchestrator.i18n.languages import Language
from workers import doctor
from workers.doctor.checks import knowledge, metrics, tws
from workers.doctor.finding import Status
from workers.doctor.texts import TEXTS, Texts
from workers.sources.tws_status import errors as hwa_errors
from workers.sources.tws_status.errors import HwaError

SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [*Path(doctor.__path__[0]).rglob("*.py"), Path(doctor.__path__[0]).parent / "cli" / "doctor.py"]
    if not path.name.startswith("texts")
)
FAMILIES = sorted({key.partition(".")[0] for key in TEXTS})
KEY = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z_]+)"')


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_each_text_says_the_same_fields_in_each_language(key: str) -> None:
    """A text has three languages, none of them empty, all with the same fields."""
    assert len(TEXTS[key]) == 3
    assert all(text.strip() for text in TEXTS[key])
    assert len({frozenset(fields(text)) for text in TEXTS[key]}) == 1


def test_every_key_in_the_code_has_a_text() -> None:
    """No check can ask for a text that does not exist."""
    asked = set(KEY.findall(SOURCE))
    assert len(asked) > 60
    assert asked <= set(TEXTS)


def test_every_reason_has_words_and_a_remedy() -> None:
    """Keys that the code builds at run time exist for each value they are built from."""
    kinds = [item for _, item in inspect.getmembers(hwa_errors, inspect.isclass) if issubclass(item, HwaError)]
    reasons = {kind.reason for kind in kinds}
    built = {f"tws.{reason if reason in tws._FIXED else 'other'}" for reason in reasons}
    built |= {f"fix.tws_{reason if reason in tws._FIXED else 'other'}" for reason in reasons - {"unauthorized"}}
    for how in ("user", "token", "header", "nobody"):
        built |= {f"tws.as_{how}", f"fix.tws_unauthorized_{how}"}
    for kind in (*metrics._FIXED, "other"):
        built |= {f"metrics.{kind}", f"fix.metrics_{kind}"}
    for kind in ("unauthorized", "timeout", "unreachable", "refused"):
        built |= {f"log_cache.{kind}", f"fix.log_cache_{kind}"}
    for kind in (*dict(knowledge._POSTGRES), "other"):
        built |= {f"postgres.{kind}", f"fix.postgres_{kind}"}
    for what in ("empty", "unembedded"):
        built |= {f"fix.knowledge_{what}_sqlite", f"fix.knowledge_{what}_postgres"}
    built |= {f"status.{status}" for status in Status}
    assert built <= set(TEXTS)
    assert reasons >= tws._FIXED


def test_no_text_is_left_over() -> None:
    """Each text is used: by its name in the code, or by a name that the code builds."""
    built = re.compile(r"status\.|postgres\.|tws\.|metrics\.|log_cache\."
                       r"|fix\.(?:tws|metrics|log_cache|postgres|knowledge_(?:empty|unembedded))_")  # fmt: skip
    left = {key for key in TEXTS if f'"{key}"' not in SOURCE and not built.match(key)}
    assert left == set()


def test_languages_differ() -> None:
    """Each language has its own words."""
    said = {Texts(language)("fix.watchers") for language in (Language.EN, Language.PT_BR, Language.ES)}
    assert len(said) == 3
