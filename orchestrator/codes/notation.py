"""Names of jobs, job streams, workstations and folders in TWS notation.

``[folder/]WS#[folder/]STREAM[(hhmm date)][,(id)].JOB``. A name is a letter, then letters, digits, ``_`` and ``-``, at
most 40 characters in all (User's Guide 10.2.5). A job of z/OS has at most 8 characters, with ``$``, ``#`` and ``@``
among them (MVS JCL Reference, "JOB statement: name field"), so ``PAY#D010`` has two readings; ``readings`` has both.

Several jobs are named by a range, ``FECH001..FECH020``, or by a pattern, in which ``*`` and ``@`` stand for any
characters and ``?`` for one, as in conman: ``FECH0*``, ``MDM#FATDIA.@``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cache, lru_cache
from itertools import chain, islice
from typing import Self

from orchestrator.codes.local_time import in_zone, parse_moment
from orchestrator.errors import InvalidValue
from orchestrator.i18n.languages import words_of
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
# Each name may hold wildcards, or be one.
_ANY = r"[A-Za-z@*?][A-Za-z0-9_@*?-]{0,39}"
_PATTERN = re.compile(rf"(?:(?:{_ANY}\#)?{FOLDER}{_ANY}\.|{_ANY}\#)?{_ANY}|[A-Za-z$@*?][A-Za-z0-9_$@*?-]{{0,39}}")
_PATTERN_PARTS = re.compile(
    r"(?:(?:.*/)?(?P<workstation>[^#/]+)#)?/?(?:(?P<folder>[^#.]+)/)?(?:(?P<stream>[^/#.]+)\.)?(?P<job>[^/#.]+)"
)
_DIGITS = re.compile(r"(\d+)")
_SHORTEST_HEAD = 3
"""Characters that both ends of ``FECH001-FECH020`` begin with, from which it is a range: "-" may stand in a name."""


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
                "or as z/OS names a job, with '$', '#' and '@', at most 8; "
                "several are A,B,C or a range FECH001..FECH020 or a pattern FECH0*",
                name=name.strip()[:80],
            )
        return cls._of(match.groupdict(default=""))

    @classmethod
    def readings(cls, name: str) -> tuple[Self, ...]:
        """Each way to read a job's name: ``PAY#D010`` is of z/OS, or ``D010`` on ``PAY``. Raises InvalidValue."""
        first = cls.of_job(name)
        return (cls(job=name.strip()), first) if is_zos_name(name) and first.job != name.strip() else (first,)

    def is_said_by(self, other: "JobName") -> bool:
        """Whether ``other`` says all that this name says, and perhaps more; capitals make no difference."""
        parts = zip(astuple(self), astuple(other), strict=True)
        return all(not one or one.casefold() == two.casefold() for one, two in parts)

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


@dataclass(frozen=True, slots=True)
class JobRange:
    """Names that differ by one number: ``head``, a number of so many ``digits`` at least, ``tail``."""

    head: str
    first: int
    last: int
    digits: int
    tail: str

    @classmethod
    def between(cls, first: str, last: str) -> Self | None:
        """The range between two names, ``last`` with or without the qualifier of ``first``, or its number alone.

        None when they differ by more than one number that rises, or when counting from one does not reach the other
        as it is written: ``FECH1`` to ``FECH020``.
        """
        qualifier, dot, start = first.rpartition(".")
        other, other_dot, end = last.rpartition(".")
        if other_dot and other.casefold() != qualifier.casefold():
            return None
        starts = _DIGITS.split(start)
        ends = [*starts[:-2], end, *starts[-1:]] if end.isdecimal() else _DIGITS.split(end)
        if len(starts) < 3 or len(starts) != len(ends):
            return None
        differing = [
            i for i, (one, two) in enumerate(zip(starts, ends, strict=True)) if one.casefold() != two.casefold()
        ]
        place = differing[0] if differing else len(starts) - 2
        if len(differing) > 1 or place % 2 == 0:
            return None
        digits, low, high = len(starts[place]), int(starts[place]), int(ends[place])
        if low > high or f"{high:0{digits}d}" != ends[place]:
            return None
        head = f"{qualifier}{dot}{''.join(starts[:place])}"
        return cls(head=head, first=low, last=high, digits=digits, tail="".join(starts[place + 1 :]))

    @classmethod
    def of_hyphened(cls, word: str) -> Self | None:
        """``FECH001-FECH020``, or falling; None for a name that holds a hyphen."""
        first, _, last = word.partition("-")
        head = _DIGITS.split(first)[0]
        is_repeated = len(head) >= _SHORTEST_HEAD and last[: len(head)].casefold() == head.casefold()
        found = (cls.between(first, last) or cls.between(last, first)) if is_repeated and "-" not in last else None
        return found if found is not None and found.first < found.last else None

    @property
    def count(self) -> int:
        """How many names there are."""
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[str]:
        """The names, with leading zeros as in the first."""
        return (f"{self.head}{number:0{self.digits}d}{self.tail}" for number in range(self.first, self.last + 1))


@dataclass(frozen=True, slots=True)
class NamedJobs:
    """The jobs that one text names, and the patterns."""

    jobs: tuple[str, ...] = ()
    """The first of them, when there are more than were to be read."""
    patterns: tuple[str, ...] = ()
    count: int = 0
    """How many jobs are named."""

    @classmethod
    def of(cls, texts: Iterable[str], *, most: int) -> Self:
        """What a person gives as names: each a job, a range, a pattern, or a list of these. Raises InvalidValue.

        Names are stripped and stand once; ``most`` jobs are read of all.
        """
        items = dict.fromkeys(item for text in texts for item in _items(text))
        patterns = dict.fromkeys(item for item in items if isinstance(item, str) and is_job_pattern(item))
        ranges = [item if isinstance(item, JobRange) else (item,) for item in items if item not in patterns]
        counts = [item.count if isinstance(item, JobRange) else 1 for item in ranges]
        if len(ranges) > most:
            # Too many, even if some of the ranges overlap; thousands of them take long to write out.
            jobs = dict.fromkeys(islice(chain.from_iterable(ranges), most))
            return cls(jobs=tuple(jobs), patterns=tuple(patterns), count=sum(counts))
        jobs = dict.fromkeys(name for item in ranges for name in islice(item, most + 1))
        uncounted = sum(max(0, count - most - 1) for count in counts)
        return cls(jobs=tuple(jobs)[:most], patterns=tuple(patterns), count=len(jobs) + uncounted)


def _items(text: str) -> Iterator[str | JobRange]:
    # Runs of blanks, at each of which the separator would be looked for, say no more than one.
    name = " ".join(text.split())
    if len(name) <= _MAX_CHARACTERS:
        if (between := JobRange.of_hyphened(name)) is not None:
            yield between
            return
        if _JOB.fullmatch(name) or is_job_pattern(name):
            yield name
            return
        if (match := _written_range().fullmatch(name)) is not None:
            yield _range_of(match["first"], match["last"], name)
            return
    items = [item for item in _list_separator().split(name) if item.strip()]
    if re.fullmatch("[*@?.#/]*[*@?][*@?.#/]*", name):
        raise InvalidValue(
            "{name!r} stands for every job; name at least a letter or a digit, as in FECH*", name=name[:80]
        )
    if len(items) < 2:
        check_job_name(name)
    for item in items:
        yield from _items(item)


def _range_of(first: str, last: str, text: str) -> JobRange:
    between = JobRange.between(check_job_name(first), last)
    if between is None:
        raise InvalidValue(
            "{text!r} is no range of jobs: both ends differ by one number that rises, as in FECH001..FECH020",
            text=text[:80],
        )
    check_job_name(f"{between.head}{between.last}{between.tail}")
    return between


@cache
def _list_separator() -> re.Pattern[str]:
    conjunctions = words_of("names", "conjunctions")
    # A comma stands in a qualified name as well: WS#STREAM(0800),(0AAAAAAAAAAAAAAB).JOB.
    return re.compile(rf"\s*,(?!\()\s*(?:{conjunctions}\s+)?|\s+{conjunctions}\s+", re.IGNORECASE)


@cache
def _written_range() -> re.Pattern[str]:
    return re.compile(rf"(?P<first>\S+?)(?:{RANGE_MARK}|{range_words()})(?P<last>[^\s.]+|\S+\.[^\s.]+)", re.IGNORECASE)


RANGE_MARK = r"\s*(?:\.{2,3}|…|–|—)\s*|\s+-\s+"
"""What stands between the ends of a range, as a regular expression."""


def range_words() -> str:
    """The words that stand between the ends of a range, as a regular expression: "FECH001 a FECH020"."""
    return rf"\s+{words_of('names', 'ranges')}\s+"


def is_job_pattern(name: str) -> bool:
    """Whether ``name`` is a pattern of jobs: it holds a wildcard beside a letter or a digit, and is no job's name."""
    text = name.strip()
    return (
        re.search("[*?@]", text) is not None
        and re.search("[A-Za-z0-9]", text) is not None
        and _PATTERN.fullmatch(text) is not None
        and _JOB.fullmatch(text) is None
    )


def is_named_by(name: str, pattern: str) -> bool:
    """Whether a job's name is ``pattern``, a job or a pattern of jobs, as far as that says; in any case."""
    readings = JobName.readings(name) if is_job_name(name) else (JobName(job=name),)
    match = _PATTERN_PARTS.fullmatch(pattern.strip())
    parts = [] if match is None else [JobName(**match.groupdict(default=""))]
    parts += [JobName(job=pattern.strip())] if "#" in pattern and not re.search("[./]", pattern) else []
    return any(
        all(
            not one or wildcard_expression(one).fullmatch(two)
            for one, two in zip(astuple(part), astuple(reading), strict=True)
        )
        for part in parts
        for reading in readings
    )


@lru_cache(maxsize=256)
def wildcard_expression(pattern: str) -> re.Pattern[str]:
    """A name with wildcards as a regular expression for the whole of a name, in any case.

    What stands between two wildcards is matched at its first place alone: in every division of a name, a pattern with
    twenty wildcards would take years.
    """
    parts = ("".join("." if sign == "?" else re.escape(sign) for sign in part) for part in re.split("[@*]+", pattern))
    first, *others = parts
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(first + middle + "".join(f".*{part}" for part in others[-1:]), re.IGNORECASE)


def check_job_name(name: str) -> str:
    """``name`` without white space around it, when it is a job in TWS notation. Raises InvalidValue, a ValueError."""
    JobName.of_job(name)
    return name.strip()


def is_job_name(name: str) -> bool:
    """Whether ``name`` is a job in TWS notation."""
    return len(name) <= _MAX_CHARACTERS and _JOB.fullmatch(name) is not None


def distinct_jobs(names: Iterable[str]) -> tuple[str, ...]:
    """The names of jobs, each job once, at the place of its first name and by the one that says most.

    ``FECH001``, ``fech001`` and ``MDM#FECHADIA.FECH001`` are one job; two that lie in different job streams are not.
    """
    jobs: dict[str, list[tuple[int, str, JobName]]] = {}
    for place, name in enumerate(names):
        parts = _read(name)
        same_name = jobs.setdefault(parts.job.casefold(), [])
        said = next((i for i, (_, _, other) in enumerate(same_name) if parts.is_said_by(other)), None)
        less = [i for i, (_, _, other) in enumerate(same_name) if other.is_said_by(parts)]
        if said is None and less:
            same_name[less[0]] = (same_name[less[0]][0], name, parts)
            for i in reversed(less[1:]):
                del same_name[i]
        elif said is None:
            same_name.append((place, name, parts))
    ordered = sorted((place, name) for of_a_name in jobs.values() for place, name, _ in of_a_name)
    return tuple(name for _, name in ordered)


def _read(name: str) -> JobName:
    return JobName.readings(name)[0] if is_job_name(name) else JobName(job=name)


def is_same_job(one: str, other: str) -> bool:
    """Whether two names are of one job, at least as far as the shorter says."""
    return len(distinct_jobs((one, other))) == 1


def jobs_among(names: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Of ``names`` those that are also among ``others``, in whatever spelling."""
    by_name: dict[str, list[str]] = {}
    for other in others:
        by_name.setdefault(_read(other).job.casefold(), []).append(other)
    return tuple(
        name for name in names if any(is_same_job(name, other) for other in by_name.get(_read(name).job.casefold(), ()))
    )


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
