"""OQL: values are checked, never pasted."""

import pytest

from workers.sources.tws_status.oql import Oql, UnsafeValue, check_value


@pytest.mark.parametrize(
    "value",
    [
        "X' OR name LIKE '@",
        "@",
        "BATCH?01",
        "a'b",
        'a"b',
        "a)b",
        "a\nb",
        "a\\b",
        "",
        " X",
        "A" * 900,
        "[x]",
        "x=y",
    ],
)
def test_a_value_that_could_change_the_query_is_refused(value: str) -> None:
    """Quotes, wildcards, brackets and control characters never reach a query."""
    with pytest.raises(UnsafeValue) as caught:
        Oql.equals("name", value)
    assert caught.value.reason == "invalid_value"
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", ["BATCH001", "JOB_A", "A-B", "/FIN/DIARIO", "/", "MDM;JOBS;X", "0AAAA.x:1"])
def test_names_folders_and_ids_pass_unchanged(value: str) -> None:
    """What HWA uses as names, folders and ids may stand in a query as it is."""
    assert check_value(value) == value


def test_conditions_are_built_from_their_parts() -> None:
    """Equality and lists read as the vendor's examples do."""
    assert Oql.equals("name", "JOB_A").text == "name = 'JOB_A'"
    query = Oql.any_of("jobruns.compositeStatus.status", ["ABEND", "FAIL"])
    assert query.text == "jobruns.compositeStatus.status IN ['ABEND','FAIL']"


def test_fields_and_empty_lists_are_checked_too() -> None:
    """A field that is none, and a list without values, are mistakes in the program."""
    with pytest.raises(ValueError, match="not the name of a field"):
        Oql.equals("name = 'x' OR name", "y")
    with pytest.raises(ValueError, match="list of values"):
        Oql.any_of("name", [])
