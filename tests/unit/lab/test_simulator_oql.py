"""The simulator's query language: what it understands, and what is a bad request."""

from typing import Any

import pytest

from workers.lab.simulator.oql_match import BadOql, compile_oql

FIELDS = frozenset({"name", "folder", "jobruns.compositeStatus.status"})
JOB: dict[str, Any] = {
    "name": "JOB_A",
    "folder": "/FIN",
    "jobruns": [{"compositeStatus": {"status": "SUCC"}}, {"compositeStatus": {"status": "ABEND"}}],
}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("name = 'JOB_A'", True),
        ("name='JOB_A'", True),
        ("name = 'JOB'", False),
        ("name LIKE 'JOB@'", True),
        ("name LIKE 'JOB_?'", True),
        ("name LIKE '*'", False),
        ("folder IN ['/X', '/FIN']", True),
        ("folder IN ['/X']", False),
        ("jobruns.compositeStatus.status = 'ABEND'", True),
        ("jobruns.compositeStatus.status IN ['FAIL','STUCK']", False),
        ("name = 'JOB_A' AND folder = '/FIN'", True),
        ("name = 'JOB_A' and folder = '/X'", False),
    ],
)
def test_conditions_match_as_they_read(query: str, matches: bool) -> None:
    """Equality, lists, wildcards and conjunction, through lists of runs."""
    assert compile_oql(query, FIELDS)(JOB) is matches


@pytest.mark.parametrize(
    "query",
    [
        "",
        "name",
        "name = JOB_A",
        "name = 'A' OR name = 'B'",
        "key.name = 'A'",
        "name = 'A' AND",
        "name = 'A'; x",
        "IN []",
    ],
)
def test_anything_else_is_a_bad_request(query: str) -> None:
    """Unknown fields and syntax are refused, as a real server does with ``key.name``."""
    with pytest.raises(BadOql):
        compile_oql(query, FIELDS)
