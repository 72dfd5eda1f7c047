"""Names of jobs, job streams, workstations and folders in TWS notation.

``[folder/]WS#[folder/]STREAM[(hhmm date)][,(id)].JOB``. A name is a letter, then letters, digits, ``_`` and ``-``, at
most 40 characters in all (User's Guide 10.2.5). A job of z/OS has at most 8 characters, with ``$``, ``#`` and ``@``
among them (MVS JCL Reference, "JOB statement: name field"), so ``PAY#D010`` has two readings; ``readings`` has both.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from orchestrator.codes.local_time import in_zone, parse_moment
from orchestrator.errors import InvalidValue
from orchestrator.payloads import JobFacts

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
"""A name, as a regular expression."""
ZOS_NAME = r"[A-Za-z$#@](?:[A-Za-z0-9$@]|#(?!#)){0,6}[A-Za-z0-9]"
"""The name of a job of z/OS, as a regular expression. One that ends in "#", or holds two, is a notation cut short."""
FOLDER = rf"/?(?:{NAME}/)*"
"""A folder's path with its last slash, as a regular expression; it may be empty."""
SCHEDULE = r"(?:\((?P<time>[0-9A-Za-z /:-]{1,32})\))?(?:,\((?P<stream_id>[A-Za-z0-9_-]{1,32})\))?"
"""Scheduled time and id of a job stream's instance, as a regular expression; it may be empty."""

_MAX_CHARACTERS = 900
_STREAM = rf"(?:{FOLDER}(?P<workstation>{NAME})\#)?(?P<folder>{FOLDER})(?P<stream>{NAME}){SCHEDULE}"
_JOB_STREAM = re.compile(_STREAM)
_JOB = re.compile(rf"(?:{_STREAM}\.|{FOLDER}(?P<only_workstation>{NAME})\#(?!\#))?(?P<job>{NAME}|{ZOS_NAME})")
_WORKSTATION = re.compile(rf"{FOLDER}(?P<workstation>{NAME})")


@dataclass(frozen=True, slots=True)
class JobName:
    """A job or a job stream by the parts of its name; what the name leaves out is empty."""

    job: str = ""
    stream: str = ""
    workstation: str = ""
    folder: str = ""
    """The stream's, without slashes at its ends."""
    time: str = ""
    stream_id: str = ""

    @classmethod
    def of_job(cls, name: str) -> Self:
        """A job's name in any of the notations. Raises InvalidValue."""
        match = _JOB.fullmatch(name.strip())
        if match is None or len(name.strip()) > _MAX_CHARACTERS:
            raise InvalidValue(
                "{name!r} is not a TWS job name; expected JOB or [folder/]WS#[folder/]STREAM.JOB "
                "with letters, digits, '_' and '-', starting with a letter, at most 40 characters, "
                "or as z/OS names a job, with '$', '#' and '@', at most 8",
                name=name.strip()[:80],
            )
        return cls._of(match.groupdict(default=""))

    @classmethod
    def readings(cls, name: str) -> tuple[Self, ...]:
        """Each way to read a job's name: ``PAY#D010`` is of z/OS, or ``D010`` on ``PAY``. Raises InvalidValue."""
        first = cls.of_job(name)
        return (cls(job=name.strip()), first) if is_zos_name(name) and first.job != name.strip() else (first,)

    @classmethod
    def of_stream(cls, name: str) -> Self:
        """A job stream's name in any of the notations. Raises InvalidValue."""
        match = _JOB_STREAM.fullmatch(name.strip())
        if match is None:
            raise InvalidValue(
                "{name!r} is not a TWS job stream; expected STREAM or [folder/]WS#[folder/]STREAM", name=name[:80]
            )
        return cls._of(match.groupdict(default=""))

    @classmethod
    def _of(cls, parts: dict[str, str]) -> Self:
        return cls(
            job=parts.get("job", ""),
            stream=parts["stream"],
            workstation=parts["workstation"] or parts.get("only_workstation", ""),
            folder=parts["folder"].strip("/"),
            time=parts["time"],
            stream_id=parts["stream_id"],
        )


def check_job_name(name: str) -> str:
    """``name`` without white space around it, when it is a job in TWS notation. Raises InvalidValue, a ValueError."""
    JobName.of_job(name)
    return name.strip()


def is_job_name(name: str) -> bool:
    """Whether ``name`` is a job in TWS notation."""
    return len(name) <= _MAX_CHARACTERS and _JOB.fullmatch(name) is not None


def parse_workstation_name(name: str) -> str:
    """A workstation's name without its folder. Raises InvalidValue."""
    match = _WORKSTATION.fullmatch(name.strip())
    if match is None:
        raise InvalidValue("{name!r} is not a TWS workstation; expected [folder/]NAME", name=name[:80])
    return match["workstation"]


def is_zos_name(name: str) -> bool:
    """Whether ``name`` can be that of a job of z/OS and holds one of its national characters."""
    return re.fullmatch(ZOS_NAME, name.strip()) is not None and re.search("[$#@]", name) is not None


def bare_name(name: str) -> str:
    """The last part of any name: the job of ``WS#STREAM.JOB``, the workstation of ``/FOLDER/WS``."""
    tail = re.split(r"[./]", name)[-1]
    return tail if "." in name or is_zos_name(tail) else tail.rpartition("#")[2]


def in_folder(folder: str, name: str) -> str:
    """``/folder/NAME``; an object in the root folder has its name alone, as conman writes it."""
    path = folder.strip("/")
    return f"/{path}/{name}" if path and name else name


def lies_in(folder: str, folders: Iterable[str]) -> bool:
    """Whether ``folder`` is, or lies in, one of those, named whole or by one of its parts: ``PIX`` for ``/PRD/PIX``."""
    path = f"/{folder.strip('/')}/".casefold()
    return any(f"/{name.strip('/')}/".casefold() in path for name in folders)


def qualified_stream(workstation: str, stream: str, *, folder: str = "") -> str:
    """``WS#[/folder/]STREAM``, or what is known of it; a ``workstation`` may bring its own folder."""
    named = in_folder(folder, stream)
    return f"{workstation}#{named}" if workstation and stream else named


def whole_name(job: JobFacts) -> str:
    """``[/folder/]WS#[/folder/]STREAM[(hhmm date)].JOB``, as conman selects a job, as far as known."""
    qualifier = f"{stream_of(job)}{job.job_stream_instance}" if job.job_stream else ""
    return f"{qualifier}.{job.name}" if qualifier else job.name


def with_instances(jobs: Sequence[JobFacts], zone: str) -> tuple[JobFacts, ...]:
    """The jobs, each with the scheduled time of its job stream where another one has the same whole name.

    The time is in the zone of the job stream, else in ``zone``, written as job logs write it.
    """
    ids: dict[str, set[str]] = {}
    for job in jobs:
        ids.setdefault(whole_name(job), set()).add(job.id)
    return tuple(
        job.model_copy(update={"job_stream_instance": _instance(job, zone)}) if len(ids[whole_name(job)]) > 1 else job
        for job in jobs
    )


def _instance(job: JobFacts, zone: str) -> str:
    moment = parse_moment(in_zone(job.scheduled_at, job.time_zone or zone))
    return f"({moment:%H%M %m/%d/%y})" if moment else ""


def stream_of(job: JobFacts) -> str:
    """``[/folder/]WS#[/folder/]STREAM`` of a job, as far as known."""
    station = in_folder(job.job_stream_workstation_folder, job.job_stream_workstation) or station_of(job)
    return qualified_stream(station, job.job_stream, folder=job.folder)


def station_of(job: JobFacts) -> str:
    """``[/folder/]WS``, where a job runs."""
    return in_folder(job.workstation_folder, job.workstation)
