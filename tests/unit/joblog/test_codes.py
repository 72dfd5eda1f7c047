"""One lookup for every code: the tables and the symptoms explain each once."""

import pytest

from orchestrator.codes.catalogue import Category, Kind, entries
from orchestrator.joblog.codes import find_code
from orchestrator.joblog.symptoms import symptoms


def test_no_code_is_explained_twice() -> None:
    """A code stands in one table or is one symptom, so that it has one text."""
    tables = [code for kind in Kind for code in entries(kind)]
    known = [code for symptom in symptoms() for code in (symptom.key, *symptom.aliases)]

    assert set(tables) & set(known) == set()
    assert len(known) == len(set(known))


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("S0C7", Category.DATA_EXCEPTION),
        ("S0C4", Category.PROGRAM_ERROR),
        ("S0CB", Category.ARITHMETIC_ERROR),
        ("S013", Category.DATASET_OPEN_ERROR),
        ("S806", Category.MODULE_NOT_FOUND),
        ("S122", Category.CANCELLED),
        ("S322", Category.CPU_TIME_LIMIT),
        ("S522", Category.WAIT_TIMEOUT),
        ("S722", Category.OUTPUT_LIMIT),
        ("S878", Category.STORAGE_SHORTAGE),
        ("S913", Category.SECURITY_VIOLATION),
        ("SB37", Category.DATASET_SPACE),
        ("SD37", Category.DATASET_SPACE),
        ("SE37", Category.DATASET_SPACE),
        ("U4038", Category.APPLICATION_ABEND),
        ("AWSBDW009E", Category.LOGON_USER_UNKNOWN),
        ("CEE3207S", Category.DATA_EXCEPTION),
        ("S04E", Category.DATABASE_ERROR),
        ("S047", Category.PROGRAM_ERROR),
        ("S213", Category.DATASET_OPEN_ERROR),
        ("S813", Category.DATASET_OPEN_ERROR),
        ("U0777", Category.DATABASE_LOCK),
        ("U4036", Category.PROGRAM_ERROR),
        ("ICH408I", Category.SECURITY_VIOLATION),
        ("IEF212I", Category.DATASET_NOT_FOUND),
        ("DSNT376I", Category.DATABASE_LOCK),
        ("IEC030I", Category.DATASET_SPACE),
        ("IEF452I", Category.JCL_ERROR),
        ("S306", Category.SECURITY_VIOLATION),
        ("U0456", Category.APPLICATION_ABEND),
        ("ORA-01653", Category.DATABASE_ERROR),
        ("SQLCODE -805", Category.CONFIGURATION_ERROR),
        ("SQLCODE -911", Category.DATABASE_LOCK),
        ("SQLCODE -922", Category.SECURITY_VIOLATION),
        ("SQLCODE -551", Category.SECURITY_VIOLATION),
        ("SQLCODE -30081", Category.NETWORK_ERROR),
        ("FILE STATUS 35", Category.DATASET_OPEN_ERROR),
        ("FILE STATUS 34", Category.DATASET_SPACE),
        ("FILE STATUS 97", Category.NO_PROBLEM),
    ],
)
def test_common_codes_are_explained(code: str, category: Category) -> None:
    """The codes that operators meet most lead to their category."""
    entry = find_code(code)

    assert entry is not None
    assert entry.category is category


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("AWSBHT001E", "AWSBHT001E"),
        ("AWSBHT999W", "AWSBHT"),
        ("AWSZZZ001E", "AWS"),
        ("EQQE999I", "EQQE"),
        ("AWSDEB999E", "AWSDEB"),
        ("ARC1001I", None),
        ("SQLCODE -100", None),
        ("XYZ1", None),
    ],
)
def test_a_message_without_an_entry_is_explained_by_its_family(message: str, key: str | None) -> None:
    """An id is explained by itself, else by its component, else by its product; by no sub-code of several meanings."""
    entry = find_code(message)

    assert (entry.key if entry else None) == key


@pytest.mark.parametrize(
    ("code", "explains"), [("SQLCODE -911", True), ("FILE STATUS 97", False), ("AWSZZZ001E", False)]
)
def test_what_reports_no_failure_explains_none(code: str, explains: bool) -> None:
    """A routine message and a mere family of messages are known, and are the cause of nothing."""
    entry = find_code(code)

    assert entry is not None
    assert entry.explains_failure is explains
