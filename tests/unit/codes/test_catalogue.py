"""The catalogue: its data files hold to their schema, explain what they must, and say it in every language."""

from __future__ import annotations

import json
import re
import string
from importlib.resources import files

import pytest
from pydantic import ValidationError

from orchestrator.codes.catalogue import (
    Advice,
    CatalogueFile,
    CategoriesFile,
    Category,
    Entry,
    Kind,
    advice_of,
    category_texts,
    entries,
    find_abend,
    find_return_code,
    find_state,
    find_substate,
    known_abends,
)
from orchestrator.i18n.languages import Language
from orchestrator.i18n.localized import Localized

ALL_ENTRIES = [(kind, entry) for kind in Kind for entry in entries(kind).values()]
# JobInPlanStatus and JobInPlanSubStatus of the HWA REST API v2.
STATES = [
    "HOLD",
    "READY",
    "FENCE",
    "INTRO",
    "FAIL",
    "EXEC",
    "WAIT",
    "SUPPR",
    "END",
    "SUCC",
    "SUCCP",
    "ABEND",
    "CANCL",
    "CANCLP",
    "ABENP",
    "PEND",
    "SUSP",
    "STUCK",
    "EXTRN",
    "INTRPT",
    "COMPLT",
    "ERROR",
    "PENDPRED",
    "STARTED",
    "UNDCDED",
    "ARRVING",
    "NONREPPRED",
]
SUBSTATES = [
    "HOLD_WAITING_FOR_PREDECESSOR",
    "HOLD_UNEXPECTED_PREDECESSOR_CONDITION",
    "HOLD_WAITING_FOR_TIME",
    "HOLD_WAITING_FOR_PROMPT",
    "HOLD_WAITING_FOR_FILE",
    "HOLD_WAITING_FOR_INPUT",
    "HOLD_PRIORITY_ZERO",
    "READY_WAITING_FOR_RESOURCES",
    "READY_SUPPRESSED",
    "SUPPR_UNSATISFIED_DEPENDENCY",
    "SUPPR_WORKSTATION_IGNORED",
    "READY_SUBMITTED",
    "READY_WAITING_FOR_LIMIT",
    "READY_WAITING_FOR_AGENT",
    "READY_WAITING_FOR_USER_INTERVENTION",
    "SUCC_DO_NOT_RUN",
    "SUCC_COMPLETED",
]


def fields(template: str) -> set[str]:
    """Names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("kind", Kind)
def test_each_data_file_is_its_own_kind(kind: Kind) -> None:
    """A data file holds to the schema and says of itself what it is."""
    text = (files("orchestrator.codes") / "data" / f"{kind.value}.json").read_text(encoding="utf-8")

    assert CatalogueFile.model_validate_json(text).kind is kind


@pytest.mark.parametrize(("name", "model"), [("catalogue", CatalogueFile), ("categories", CategoriesFile)])
def test_the_published_schema_is_the_one_that_is_checked(
    name: str, model: type[CatalogueFile] | type[CategoriesFile]
) -> None:
    """The JSON schema beside the data files is that of the models which read them."""
    text = (files("orchestrator.codes") / "data" / f"{name}.schema.json").read_text(encoding="utf-8")

    assert json.loads(text) == model.model_json_schema()


@pytest.mark.parametrize(
    ("kind", "entry"), ALL_ENTRIES, ids=[f"{kind.value}-{entry.key}" for kind, entry in ALL_ENTRIES]
)
def test_every_entry_can_be_acted_on(kind: Kind, entry: Entry) -> None:
    """Meaning, causes, checks and fixes are there for every code, in three languages and not the same text."""
    advice = advice_of(entry.category, entry)

    assert entry.causes
    assert advice.checks
    assert advice.fixes or entry.category is Category.UNKNOWN
    for text in (entry.meaning, *entry.causes, *advice.checks, *advice.fixes, *advice.prevention):
        shown = text.text if isinstance(text, Advice) else text
        assert shown.in_language(Language.PT_BR) != shown.in_language(Language.EN)
        assert shown.in_language(Language.ES) != shown.in_language(Language.EN)


@pytest.mark.parametrize("category", Category)
def test_every_category_is_told_in_three_languages(category: Category) -> None:
    """Title and cause of each category stand in Portuguese, English and Spanish, with the same facts."""
    texts = category_texts(category)

    advice = (item.text for item in (*texts.checks, *texts.fixes))
    for text in (texts.title, texts.cause, *advice, *texts.prevention):
        assert text.root.keys() >= {"pt-BR", "en", "es"}
        assert {frozenset(fields(template)) for template in text.root.values()} == {frozenset(fields(text.english))}


def test_a_text_that_a_language_lacks_is_looked_up_by_its_english() -> None:
    """The file's own text wins, then the language's catalogue, then English."""
    assert Localized({"en": "Answer {code}", "es": "Ver {code}"}).in_language(Language.ES) == "Ver {code}"
    assert Localized({"en": "Diagnosis"}).in_language(Language.PT_BR) == "Diagnóstico"
    assert Localized({"en": "In no catalogue"}).in_language(Language.PT_BR) == "In no catalogue"
    with pytest.raises(ValidationError, match="English"):
        Localized({"es": "Ver"})


def test_a_template_is_filled_as_the_language_writes_its_facts() -> None:
    """Numbers and texts among the facts are written in the language of the sentence; other facts are ignored."""
    ratio = Localized({"en": "{ratio:.1f} of {whole}", "pt-BR": "{ratio:.1f} de {whole}"})
    filled = ratio.with_facts({"ratio": 2.5, "whole": Localized({"en": "the day", "pt-BR": "o dia"}), "more": 1})

    assert filled.in_language(Language.PT_BR) == "2,5 de o dia"
    assert filled.in_language(Language.EN) == "2.5 of the day"


def test_states_and_substates_of_the_api_are_all_explained() -> None:
    """Every state and substate of the API has an entry, and case does not matter."""
    assert [state for state in STATES if find_state(state) is None] == []
    assert [substate for substate in SUBSTATES if find_substate(substate) is None] == []
    assert find_state("abend") is find_state("ABEND")
    assert find_state("SOMETHING_NEW") is None


def test_an_unlisted_user_abend_is_the_applications_own() -> None:
    """A user abend that nobody listed is explained as one; an unlisted system abend is not made up."""
    entry = find_abend("U1234")

    assert entry is not None
    assert entry.key == "U????"
    assert find_abend("S123") is None


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (1, Category.APPLICATION_ERROR),
        (126, Category.PERMISSION_DENIED),
        (127, Category.COMMAND_NOT_FOUND),
        (137, Category.OUT_OF_MEMORY),
        (139, Category.PROGRAM_ERROR),
        (143, Category.TERMINATED),
        (-1073741819, Category.PROGRAM_ERROR),
        (1326, Category.LOGON_USER_UNKNOWN),
        (124, Category.TERMINATED),
        # Of a convention that few programs follow.
        (77, Category.APPLICATION_ERROR),
        (8, Category.UNKNOWN),
        (16, Category.UNKNOWN),
        (-1073741676, Category.ARITHMETIC_ERROR),
        (-196608, Category.COMMAND_NOT_FOUND),
    ],
)
def test_common_return_codes_are_explained(code: int, category: Category) -> None:
    """Signals on Unix and NTSTATUS values on Windows lead to their category."""
    entry = find_return_code(code)

    assert entry is not None
    assert entry.category is category


def test_no_return_code_stands_in_two_lists() -> None:
    """Which system's list is asked first does not matter: a code is in one of them."""
    kinds = (Kind.UNIX_RETURN_CODE, Kind.WINDOWS_RETURN_CODE, Kind.ZOS_RETURN_CODE)
    keys = [key for kind in kinds for key in entries(kind)]

    assert len(keys) == len(set(keys))


def test_windows_codes_are_the_signed_form_of_what_they_are_named_for() -> None:
    """A Windows entry that names a hexadecimal code is keyed by that code as a signed 32-bit number."""
    for key, entry in entries(Kind.WINDOWS_RETURN_CODE).items():
        for text in re.findall(r"0x[0-9A-F]{8}", f"{entry.name.english} {entry.meaning.english}"):
            assert int(text, 16) - 2**32 == int(key)


def test_keys_are_spelt_as_codes_are() -> None:
    """Every system abend of the catalogue is one by the definition: S, three hex digits, one of them decimal."""
    assert all(re.fullmatch(r"S(?=.*\d)[0-9A-F]{3}", code) for code in known_abends() if code[0] == "S")


def test_a_change_must_state_its_risk() -> None:
    """Advice that changes something is refused without a risk."""
    with pytest.raises(ValidationError, match="risk"):
        Advice(text=Localized({"en": "cancel the job"}), mutates=True)


def test_a_command_with_an_unknown_name_is_left_out() -> None:
    """A command is proposed only when everything in it is known."""
    advice = Advice(text=Localized({"en": "see"}), command="conman sc {workstation}")

    assert advice.command_with({"workstation": "AGT07"}) == "conman sc AGT07"
    assert advice.command_with({"workstation": ""}) is None
