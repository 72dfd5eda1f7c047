"""The language check: clear mismatches only."""

from __future__ import annotations

import pytest

from orchestrator.i18n.languages import Language
from workers.synthesis.language import is_written_in

TEXTS = {
    Language.PT_BR: "O job BATCH001 terminou com ABEND S0C7 no STEP030. O registro lido tem dados não numéricos.",
    Language.EN: "The job BATCH001 ended with ABEND S0C7 in STEP030. The record that was read has non-numeric data.",
    Language.ES: "El trabajo BATCH001 terminó con ABEND S0C7 en STEP030. El registro leído tiene datos no numéricos.",
}


@pytest.mark.parametrize("asked", TEXTS)
@pytest.mark.parametrize("written", TEXTS)
def test_a_clear_mismatch_is_seen(asked: Language, written: Language) -> None:
    """An answer in the language asked for passes, one in another does not."""
    assert is_written_in(TEXTS[written], asked) is (asked is written)


@pytest.mark.parametrize("asked", list(Language))
@pytest.mark.parametrize("text", ["S0C7", "STEP030: ABEND=S0C7 RC=12", "", "conman sj PRD#FATURA.BATCH001"])
def test_codes_alone_are_in_any_language(text: str, asked: Language) -> None:
    """Text that tells nothing about its language counts as right."""
    assert is_written_in(text, asked)


def test_quotations_do_not_count() -> None:
    """An English log line quoted in a Portuguese sentence does not make it English."""
    text = "O job log registra: “The system detected a data exception and the job was ended with an error”."
    assert is_written_in(text, Language.PT_BR)
