"""What a process loads before its first answer."""

from __future__ import annotations

import pytest

from orchestrator.i18n.languages import Language, translations
from orchestrator.joblog.symptoms import symptoms
from orchestrator.run.conclusion import warm_up


def test_a_first_answer_finds_its_words_and_the_catalogue_loaded(caplog: pytest.LogCaptureFixture) -> None:
    """In each language; the question that is answered for it is told nowhere."""
    symptoms.cache_clear()
    translations.cache_clear()
    warm_up()
    assert symptoms.cache_info().currsize == 1
    assert translations.cache_info().currsize == len(Language)
    assert caplog.text == ""
