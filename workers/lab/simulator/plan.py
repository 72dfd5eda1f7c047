"""A small HWA plan, built as the JSON objects of the REST API v2 (JobInPlanV2, JobStreamInPlanV2, ...)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]

FIRST_JOB_NUMBER = 51_237
_JOB_NUMBER_STEP = 37
TIME_ZONE = "America/Sao_Paulo"
"""The engine's and every workstation's."""
_ZONE = timezone(timedelta(hours=-3), "-03")
LINKED_STATES = ("LINKED", "FULLY_LINKED", "JOBMAN_UP", "WRITER_UP", "RUNNING", "ONLINE")
_NAMESPACE = uuid.UUID("5f3a8c2e-1d47-4b6a-9e0c-7b2d4f6a8c10")

COMMON_STATUS = {
    "ABEND": "ERROR",
    "FAIL": "ERROR",
    "SUCC": "SUCCESSFUL",
    "EXEC": "RUNNING",
    "HOLD": "WAITING",
    "READY": "READY",
    "STUCK": "BLOCKED",
}


def object_id(*names: str) -> str:
    """Id derived from the names, so that the same plan always has the same ids."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(names)))


def instant(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(at: datetime) -> datetime:
    """The time as the programs of the simulated plan log it: in the engine's zone."""
    return at.astimezone(_ZONE)


def duration(value: timedelta) -> str:
    """ISO 8601 duration."""
    total = int(value.total_seconds())
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    text = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    return f"PT{text or '0S'}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job: start, duration, result and job log."""

    started: datetime
    elapsed: timedelta | None
    status: str
    return_code: int | None = None
    log: Sequence[str] | None = None
    conditions: Sequence[tuple[str, str]] = ()
    """Success conditions: name and mapping expression."""


@dataclass(slots=True)
class Plan:
    """The plan that the simulator serves."""

    now: datetime
    jobs: list[Json] = field(default_factory=list)
    streams: list[Json] = field(default_factory=list)
    workstations: list[Json] = field(default_factory=list)
    resources: list[Json] = field(default_factory=list)
    issues: dict[str, list[Json]] = field(default_factory=dict)
    """By job id."""
    logs: dict[str, Sequence[str]] = field(default_factory=dict)
    """By run id."""
    engine: Json = field(
        default_factory=lambda: {
            "displayVersion": "10.2.5",
            "fullVersion": "10.2.5.00",
            "licenseType": "perJob",
            "locale": "pt_BR",
            "timezone": TIME_ZONE,
        }
    )
    _last_job_number: int = FIRST_JOB_NUMBER - _JOB_NUMBER_STEP

    def add_workstation(
        self,
        name: str,
        *,
        folder: str = "/",
        kind: str = "FTA",
        os: str = "LINUX",
        linked: bool = True,
        limit: int = 20,
        fence: int = 0,
    ) -> None:
        """Add a workstation; an unlinked one lacks ``LINKED`` among its active states."""
        self.workstations.append(
            {
                "id": object_id("ws", _reference(folder, name)),
                "folder": folder,
                "name": name,
                "key": f"{folder.rstrip('/')}/{name}",
                "activeStates": list(LINKED_STATES) if linked else ["JOBMAN_UP"],
                "activeFlags": ["AUTO_LINK", "FULL_STATUS"],
                "type": kind,
                "os": os,
                "timeZone": TIME_ZONE,
                "nodeName": f"{name.lower()}.exemplo.local",
                "tcpPort": 31111,
                "domainName": "MASTERDM",
                "limit": limit,
                "fence": fence,
                "agentId": object_id("agent", name).replace("-", "").upper(),
                "version": "10.2.5",
                "host": "MDM",
                "timeStarted": instant(self.now - timedelta(days=3)),
            }
        )

    def add_stream(
        self,
        name: str,
        workstation: str,
        *,
        folder: str = "/",
        status: str = "EXEC",
        scheduled: datetime | None = None,
    ) -> None:
        """Add a job stream; its statistics are computed from the jobs when it is served."""
        at = scheduled or self.now - timedelta(hours=2)
        station = self._station(workstation)
        self.streams.append(
            {
                "flowNodeType": "JOBSTREAM",
                "id": object_id("js", station, _reference(folder, name)),
                "folder": folder,
                "name": name,
                "originalJobStreamName": name,
                "workstation": station,
                "workstationId": object_id("ws", station),
                "key": f"{workstation};{name}",
                "schedTime": instant(at),
                "timeZone": TIME_ZONE,
                "compositeStatus": {"status": status, "error": status in ("STUCK", "ABEND")},
                "commonStatus": COMMON_STATUS.get(status, "WAITING"),
                "priority": 10,
                "limit": -1,
            }
        )

    def add_job(
        self,
        name: str,
        stream: str,
        workstation: str,
        *,
        stream_workstation: str | None = None,
        folder: str = "/",
        status: str,
        substatus: str | None = None,
        runs: Sequence[Run] = (),
        task: str = "",
        user: str = "batch",
        priority: int = 10,
        recovery: str = "STOP",
        estimated: timedelta = timedelta(minutes=12),
        scheduled: datetime | None = None,
        description: str = "",
    ) -> str:
        """Add a job with its runs, newest last, to a job stream of ``folder``; returns its id.

        Workstations are named without their folders.
        """
        station, owner = self._station(workstation), self._station(stream_workstation or workstation)
        stream_id = object_id("js", owner, _reference(folder, stream))
        job_id = object_id("job", owner, _reference(folder, stream), name)
        composite: Json = {"status": status, "error": status in ("ABEND", "FAIL"), "canceled": False}
        if substatus:
            composite["substatus"] = substatus
        self.jobs.append(
            {
                "flowNodeType": "JOB",
                "id": job_id,
                "folder": folder,
                "name": name,
                "workstation": station,
                "workstationId": object_id("ws", station),
                "jobStreamId": stream_id,
                "jobStreamName": stream,
                "jobStreamWorkstation": owner,
                "jobStreamWorkstationId": object_id("ws", owner),
                "key": f"{owner};{stream};{name}",
                "lastRunCompositeStatus": composite,
                "lastRunCommonStatus": COMMON_STATUS.get(status, "WAITING"),
                "priority": priority,
                "jobruns": [self._run(job_id, name, workstation, run, composite) for run in runs],
                "schedTime": instant(scheduled or self.now - timedelta(hours=2)),
                "timeZone": TIME_ZONE,
                "jobStatusFlags": {"jobLate": status in ("HOLD", "READY")},
                "dependencies": [],
                "jobDefinition": {
                    "id": object_id("jd", workstation, name),
                    "folder": "/",
                    "name": name,
                    "workstation": workstation,
                    "description": description,
                    "task": {"jobDefinition": {"scriptName": task}} if task else {},
                    "isCommand": False,
                    "estimatedDuration": duration(estimated),
                    "userLogins": [user],
                    "recoveryOption": recovery,
                },
            }
        )
        return job_id

    def _run(self, job_id: str, name: str, workstation: str, run: Run, last: Json) -> Json:
        self._last_job_number += _JOB_NUMBER_STEP
        run_id = f"{workstation};{name};{self._last_job_number}"
        times: Json = {"actualStartTime": instant(run.started)}
        if run.elapsed is not None:
            times |= {"elapsedTime": duration(run.elapsed), "actualEndTime": instant(run.started + run.elapsed)}
        status = last if last["status"] == run.status else {"status": run.status, "error": run.status == "ABEND"}
        document: Json = {
            "id": run_id,
            "name": name,
            "jobId": job_id,
            "actualWorkstation": workstation,
            "jobNumber": self._last_job_number,
            "compositeStatus": status,
            "commonStatus": COMMON_STATUS.get(run.status, "WAITING"),
            "timeInfo": times,
            "outputConditions": [
                {
                    "conditionName": condition,
                    "mappingExpression": expression,
                    "isSuccCondition": True,
                    "isSatisfied": run.status == "SUCC",
                }
                for condition, expression in run.conditions
            ],
        }
        if run.return_code is not None:
            document["returnCode"] = run.return_code
        if run.log is not None:
            self.logs[run_id] = run.log
        return document

    def _station(self, name: str) -> str:
        """A reference to a workstation of the plan: its name, behind its folder when that is not the root."""
        folders = (item["folder"] for item in self.workstations if item["name"] == name)
        return _reference(next(folders, "/"), name)

    def add_issue(self, job_id: str, kind: str, message: str) -> None:
        """Add a reason why a job does not start."""
        issues = self.issues.setdefault(job_id, [])
        issues.append({"id": f"{job_id}-{len(issues) + 1}", "issueType": kind, "issueMessage": message})

    def depends_on_job(self, job_id: str, predecessor_id: str, *, conditions: Sequence[str] = ()) -> None:
        """Make a job depend on another: internal within a stream, external across streams."""
        job, other = self.job(job_id), self.job(predecessor_id)
        status = dict(other["lastRunCompositeStatus"])
        satisfied = status["status"] == "SUCC"
        internal = job["jobStreamId"] == other["jobStreamId"]
        job["dependencies"].append(
            {
                "dependencyType": "INTERNAL" if internal else "EXTERNAL_JOB",
                "id": object_id("dep", job_id, predecessor_id),
                "dependencyStatus": "SATISFIED" if satisfied else "UNSATISFIED",
                "satisfied": satisfied,
                "jobId": predecessor_id,
                "jobName": other["name"],
                "jobStreamName": other["jobStreamName"],
                "jobStreamFolder": other["folder"],
                "jobStreamWorkstation": other["jobStreamWorkstation"],
                "predecessorStatus": status,
                "statusConditions": list(conditions),
            }
        )

    def depends_on_file(self, job_id: str, path: str, workstation: str, *, qualifier: str, exists: bool) -> None:
        """Make a job depend on a file."""
        self.job(job_id)["dependencies"].append(
            {
                "dependencyType": "FILE",
                "id": object_id("file", job_id, path),
                "dependencyStatus": "SATISFIED" if exists else "UNSATISFIED",
                "satisfied": exists,
                "timeLastChecked": instant(self.now - timedelta(minutes=2)),
                "file": {
                    "name": path,
                    "workstation": workstation,
                    "qualifier": qualifier,
                    "status": "Exists" if exists else "Unavailable",
                },
            }
        )

    def job(self, job_id: str) -> Json:
        """The job of that id. Raises KeyError."""
        for job in self.jobs:
            if job["id"] == job_id:
                return job
        raise KeyError(job_id)

    def predecessors(self, job: Json) -> list[Json]:
        """The jobs and job streams that this job depends on."""
        jobs = {item.get("jobId") for item in job["dependencies"]}
        streams = {item.get("jobStreamId") for item in job["dependencies"]}
        return [item for item in self.jobs if item["id"] in jobs] + [
            item for item in self.streams if item["id"] in streams
        ]

    def successors(self, job: Json) -> list[Json]:
        """The jobs that depend on this one, or on its job stream."""
        keys = {("jobId", job["id"]), ("jobStreamId", job["jobStreamId"])}
        return [other for other in self.jobs if any(keys & set(_targets(item)) for item in other["dependencies"])]


def _reference(folder: str, name: str) -> str:
    return name if folder == "/" else f"{folder.rstrip('/')}/{name}"


def _targets(dependency: Json) -> list[tuple[str, str]]:
    return [(key, dependency[key]) for key in ("jobId", "jobStreamId") if key in dependency]
