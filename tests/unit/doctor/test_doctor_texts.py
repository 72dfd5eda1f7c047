"""The sentences of doctor: one and a remedy for every reason, each with a translation."""

from __future__ import annotations

import inspect

from orchestrator.errors import SourceError
from orchestrator.i18n.languages import Language
from workers.doctor.check import Status
from workers.doctor.checks import knowledge, log_cache, metrics, tws
from workers.doctor.report import _STATUSES
from workers.sources.tws_status import errors as hwa_errors
from workers.sources.tws_status.errors import HwaError

TABLES = (tws._FAILURES, metrics._FAILURES, log_cache._FAILURES)


def test_every_reason_has_a_sentence_and_a_remedy() -> None:
    """The tables know no reason that does not exist, and none is left without words where there is no default."""
    kinds = [item for _, item in inspect.getmembers(hwa_errors, inspect.isclass) if issubclass(item, HwaError)]
    assert {kind.reason for kind in kinds} >= tws._FAILURES.keys()
    assert log_cache._FAILURES.keys() == {"unauthorized", "timeout", "unreachable", "refused"}
    assert set(_STATUSES) == set(Status)
    assert knowledge._POSTGRES[-1][1] == "", "the last row matches every error"
    assert SourceError.reason not in metrics._FAILURES


def test_every_sentence_of_the_tables_is_translated() -> None:
    """Each language has its own words."""
    messages = [text for table in TABLES for pair in table.values() for text in pair]
    for message in (*messages, *tws._UNAUTHORIZED.values()):
        if message.key == "{detail}":
            continue
        for language in (Language.PT_BR, Language.ES):
            assert message.in_language(language) != message.key
