"""TWS notation: what a name says is compared, what it leaves out is not."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.codes.notation import JobName, bare_name, check_job_name
from workers.sources.tws_status.notation import JobRef, parse_job_name, parse_job_stream_name, parse_workstation_name
from workers.sources.tws_status.oql import UnsafeValue


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BATCH001", JobRef(job="BATCH001")),
        ("FATDIA.BATCH001", JobRef(job="BATCH001", stream="FATDIA")),
        ("ZOS1#BATCH001", JobRef(job="BATCH001", workstation="ZOS1")),
        ("ZOS1#FATDIA.BATCH001", JobRef(job="BATCH001", stream="FATDIA", workstation="ZOS1")),
        ("/A/B/WS#/FIN/DIA/JS.J-1", JobRef(job="J-1", stream="JS", workstation="WS", folder="FIN/DIA")),
        (
            "WS#JS(0600 11/24/26),(0AAAAB).JOB",
            JobRef(job="JOB", stream="JS", workstation="WS", time="0600 11/24/26", stream_id="0AAAAB"),
        ),
        ("  JOB_A  ", JobRef(job="JOB_A")),
        ("HIST#99", JobRef(job="HIST#99")),
        ("$BKP$01", JobRef(job="$BKP$01")),
        ("ZOS1#FATDIA.ACT@SALD", JobRef(job="ACT@SALD", stream="FATDIA", workstation="ZOS1")),
    ],
)
def test_a_job_is_taken_apart(name: str, expected: JobRef) -> None:
    """Folder, workstation, stream, time and id are found in every combination."""
    assert parse_job_name(name) == expected


def test_a_job_of_zos_and_one_on_a_workstation_are_both_read() -> None:
    """``PAY#D010`` may be either; a longer name, or one with a job stream, has one reading."""
    assert JobName.readings("PAY#D010") == (JobName(job="PAY#D010"), JobName(job="D010", workstation="PAY"))
    assert JobName.readings("ZOS1#BATCH001") == (JobName(job="BATCH001", workstation="ZOS1"),)
    assert [bare_name(name) for name in ("PAY#D010", "ZOS1#FATDIA.PAY#D010", "ZOS1#BATCH001", "/F/WS1")] == [
        "PAY#D010",
        "PAY#D010",
        "BATCH001",
        "WS1",
    ]


@pytest.mark.parametrize("name", ["X' OR name LIKE '@", "@", "", "../x", "1JOB", "A.B.C", "WS#", "A" * 41, "J OB"])
def test_what_is_no_job_is_refused(name: str) -> None:
    """Anything that is not in the notation is refused with its reason."""
    with pytest.raises(UnsafeValue) as caught:
        parse_job_name(name)
    assert caught.value.reason == "invalid_value"


def test_streams_and_workstations_have_their_notation() -> None:
    """A stream may be qualified by its workstation, a workstation by its folder."""
    assert parse_job_stream_name("WS#/F/JS") == JobRef(stream="JS", workstation="WS", folder="F")
    assert parse_workstation_name("/F/WS1") == "WS1"
    for parse in (parse_job_stream_name, parse_workstation_name):
        with pytest.raises(UnsafeValue):
            parse("a b'")


JOB: dict[str, Any] = {
    "name": "JOB",
    "folder": "/FIN/DIA",
    "workstation": "/F/AGT1",
    "jobStreamName": "JS",
    "jobStreamWorkstation": "MDM",
    "jobStreamId": "0AAAAB",
    "schedTime": "2026-11-24T06:00:00Z",
}


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("JOB", True),
        ("job", True),
        ("JS.JOB", True),
        ("MDM#JS.JOB", True),
        ("AGT1#JS.JOB", True),
        ("MDM#/FIN/DIA/JS.JOB", True),
        ("OUTRO#JS.JOB", False),
        ("X.JOB", False),
        ("MDM#/FIN/JS.JOB", False),
        ("OUTRO", False),
    ],
)
def test_a_name_fits_what_it_says(name: str, matches: bool) -> None:
    """Stream, workstation (the stream's or the job's) and folder must fit when they are named."""
    assert parse_job_name(name).matches(JOB) is matches


def test_the_root_folder_is_a_folder() -> None:
    """A job in the root folder does not fit a name with a folder, but one without a folder field may."""
    ref = parse_job_name("MDM#/FIN/JS.JOB")
    assert not ref.matches({**JOB, "folder": "/"})
    assert ref.matches({key: value for key, value in JOB.items() if key != "folder"})


def test_time_and_id_prefer_one_of_several() -> None:
    """The scheduled time and the stream's id choose between jobs of one name."""
    assert parse_job_name("MDM#JS(0600 11/24/26).JOB").prefers(JOB)
    assert not parse_job_name("MDM#JS(0700 11/24/26).JOB").prefers(JOB)
    assert parse_job_name("MDM#JS,(0AAAAB).JOB").prefers(JOB)
    assert not parse_job_name("JOB").prefers(JOB)


def test_what_a_request_accepts_as_a_job_tws_is_asked_for() -> None:
    """The contract's notation and the client's are one: no job is accepted that no query is then made for."""
    chance = random.Random(7)
    pieces = (
        "A",
        "b1",
        "/",
        "#",
        ".",
        "(0600)",
        "(0600 11/24/26)",
        ",(J1)",
        "-",
        "X" * 41,
        "Y" * 40,
        " ",
        "'",
        "@",
        "1",
    )
    for _ in range(20_000):
        name = "".join(chance.choices(pieces, k=chance.randrange(1, 8)))
        assert is_accepted(check_job_name, name) is is_accepted(parse_job_name, name), name


def is_accepted(check: Callable[[str], object], name: str) -> bool:
    """Whether a check lets the name pass."""
    try:
        check(name)
    except (ValueError, UnsafeValue):
        return False
    return True
