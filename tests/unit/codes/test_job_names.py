"""Names of several jobs: lists, ranges and patterns."""

import random

import pytest

from orchestrator.codes.notation import JobRange, NamedJobs, check_job_name, is_job_pattern
from orchestrator.errors import InvalidValue

MOST = 200


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("BATCH001", ("BATCH001",)),
        (" BATCH001, BATCH002 e BATCH003 ", ("BATCH001", "BATCH002", "BATCH003")),
        ("FECH008..FECH011", ("FECH008", "FECH009", "FECH010", "FECH011")),
        ("FECH8..10", ("FECH8", "FECH9", "FECH10")),
        ("FECH001 a FECH003", ("FECH001", "FECH002", "FECH003")),
        ("FECH001 to 002", ("FECH001", "FECH002")),
        ("FECH001–FECH002", ("FECH001", "FECH002")),
        ("FECH001-FECH002", ("FECH001", "FECH002")),
        ("FECH001-002", ("FECH001-002",)),
        ("ETL-01-ETL-02", ("ETL-01-ETL-02",)),
        ("A1..A2 and B7", ("A1", "A2", "B7")),
        ("WS#JS.FECH01..FECH02", ("WS#JS.FECH01", "WS#JS.FECH02")),
        ("WS#JS.FECH01..WS#JS.FECH02", ("WS#JS.FECH01", "WS#JS.FECH02")),
        ("CALC1A..CALC2A", ("CALC1A", "CALC2A")),
        ("WS#JS(0800 11/24/26),(0AAAAAAAAAAAAAAB).JOB", ("WS#JS(0800 11/24/26),(0AAAAAAAAAAAAAAB).JOB",)),
    ],
)
def test_one_text_names_several_jobs(text: str, jobs: tuple[str, ...]) -> None:
    """A list and a range are the jobs in them, padded as the first; a name with a hyphen stays a name."""
    named = NamedJobs.of([text], most=MOST)

    assert named.jobs == jobs
    assert named.count == len(jobs)
    assert named.patterns == ()


@pytest.mark.parametrize(
    "text", ["FECH0*", "FECH@", "FECH0?", "F??", "*DIA", "MDM#FATDIA.@", "@#@.FECH*", "/PRD/FAT/FATDIA.@"]
)
def test_a_wildcard_makes_a_pattern(text: str) -> None:
    """A pattern is kept as written and is no job."""
    named = NamedJobs.of([text, "BATCH001"], most=MOST)

    assert (named.patterns, named.jobs, named.count) == ((text,), ("BATCH001",), 1)


@pytest.mark.parametrize("text", ["@", "*", "@#@.@", "FE@CH1", "PAY#D010", "A B*", "X' OR name LIKE '@", ".*"])
def test_what_matches_everything_or_nothing_is_no_pattern(text: str) -> None:
    """A pattern holds a letter or a digit; a national character of z/OS inside a name is none."""
    assert not is_job_pattern(text)


@pytest.mark.parametrize(
    "text", ["FECH020..FECH001", "FECH1..FECH020", "A01B01..A02B02", "FECH..020", "FECH001..CARGA009"]
)
def test_what_does_not_count_up_is_no_range(text: str) -> None:
    """Both ends differ by one number that rises; the error says so."""
    with pytest.raises(InvalidValue, match="no range of jobs"):
        NamedJobs.of([text], most=MOST)


def test_many_jobs_are_counted_and_not_made() -> None:
    """Of a range of any length only the first are made."""
    named = NamedJobs.of(["A1..A999999999999999999999", "B"], most=3)

    assert named.jobs == ("A1", "A2", "A3")
    assert named.count == 999999999999999999999 + 1


def test_any_range_of_names_is_counted_back() -> None:
    """For random heads, tails, paddings and lengths a range is its names in order, each a job's name."""
    chance = random.Random(10)
    for _ in range(150):
        head = chance.choice("ABCXYZ") + "".join(chance.choices("ABC_-", k=chance.randint(0, 5)))
        tail = "".join(chance.choices("ABX_", k=chance.randint(0, 3)))
        digits, first, count = chance.randint(1, 6), chance.randint(0, 900), chance.randint(1, 150)
        names = [f"{head}{number:0{digits}d}{tail}" for number in range(first, first + count)]
        between = JobRange.between(names[0], names[-1])

        assert between is not None
        assert list(between) == names
        assert between.count == count
        assert [check_job_name(name) for name in names] == names
        assert NamedJobs.of([f"{names[0]}..{names[-1]}"], most=MOST).jobs == tuple(names)
