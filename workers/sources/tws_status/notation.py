"""Names of jobs and job streams in TWS notation: ``[folder/]WS#[folder/]STREAM[(hhmm date)][,(id)].JOB``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.sources.tws_status.oql import UnsafeValue
from workers.sources.tws_status.parsing import text

_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
_FOLDER = rf"(?:/?(?:{_NAME}/)*)"
_STREAM = (
    rf"(?:(?P<ws_folder>{_FOLDER})(?P<workstation>{_NAME})\#)?(?P<folder>{_FOLDER})(?P<stream>{_NAME})"
    r"(?:\((?P<time>[0-9A-Za-z /:-]{1,32})\))?(?:,\((?P<stream_id>[A-Za-z0-9_-]{1,32})\))?"
)
_JOB = re.compile(rf"(?:(?:{_STREAM}\.)|(?:{_FOLDER}(?P<only_workstation>{_NAME})\#))?(?P<job>{_NAME})")
_JOB_STREAM = re.compile(_STREAM)


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job or a job stream as the user named it; what was not named is empty."""

    job: str = ""
    stream: str = ""
    workstation: str = ""
    folder: str = ""
    time: str = ""
    stream_id: str = ""

    def matches(self, job: Mapping[str, Any]) -> bool:
        """Whether a JobInPlanV2 can be the one that was named. A field the server left out rules nothing out."""
        workstations = {_tail(job.get("workstation")), _tail(job.get("jobStreamWorkstation"))} - {""}
        folder = text(job.get("folder"), 800)
        checks = (
            (self.job, {text(job.get("name"))} - {""}),
            (self.stream, {text(job.get("jobStreamName"))} - {""}),
            (self.workstation, workstations),
            (self.folder, {folder.strip("/") or "/"} if folder else set()),
        )
        return all(not wanted or not found or _has(wanted, found) for wanted, found in checks)

    def prefers(self, job: Mapping[str, Any]) -> bool:
        """Whether the stream's id or its scheduled time, when named, is this job's."""
        if self.stream_id and text(job.get("jobStreamId")) == self.stream_id:
            return True
        hhmm = re.match(r"(\d{2}):?(\d{2})", self.time)
        return bool(hhmm) and f"T{hhmm[1]}:{hhmm[2]}" in text(job.get("schedTime"))  # type: ignore[index]


def parse_job_name(name: str) -> JobRef:
    """A job's name in any of the notations. Raises UnsafeValue."""
    match = _JOB.fullmatch(name.strip())
    if match is None:
        raise UnsafeValue(
            "{name!r} is not a TWS job name; expected JOB or [folder/]WS#[folder/]STREAM.JOB", name=name[:80]
        )
    parts = match.groupdict(default="")
    return JobRef(
        job=parts["job"],
        stream=parts["stream"],
        workstation=parts["workstation"] or parts["only_workstation"],
        folder=parts["folder"].strip("/"),
        time=parts["time"],
        stream_id=parts["stream_id"],
    )


def parse_job_stream_name(name: str) -> JobRef:
    """A job stream's name in any of the notations. Raises UnsafeValue."""
    match = _JOB_STREAM.fullmatch(name.strip())
    if match is None:
        raise UnsafeValue(
            "{name!r} is not a TWS job stream; expected STREAM or [folder/]WS#[folder/]STREAM", name=name[:80]
        )
    parts = match.groupdict(default="")
    return JobRef(
        stream=parts["stream"],
        workstation=parts["workstation"],
        folder=parts["folder"].strip("/"),
        time=parts["time"],
        stream_id=parts["stream_id"],
    )


def parse_workstation_name(name: str) -> str:
    """A workstation's name without its folder. Raises UnsafeValue."""
    match = re.fullmatch(rf"{_FOLDER}({_NAME})", name.strip())
    if match is None:
        raise UnsafeValue("{name!r} is not a TWS workstation; expected [folder/]NAME", name=name[:80])
    return match[1]


def _tail(value: object) -> str:
    return text(value, 900).rpartition("/")[2]


def _has(wanted: str, found: set[str]) -> bool:
    return wanted.upper() in {value.upper() for value in found}
