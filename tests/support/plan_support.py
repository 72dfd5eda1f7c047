"""Dependencies and resources that no scenario of the simulator has."""

from collections.abc import Sequence

from workers.lab.simulator.plan import Plan, object_id


def depends_on_stream(plan: Plan, job_id: str, name: str, workstation: str) -> None:
    """Make a job depend on a job stream."""
    stream_id = object_id("js", workstation, name)
    stream = next(stream for stream in plan.streams if stream["id"] == stream_id)
    satisfied = stream["compositeStatus"]["status"] == "SUCC"
    plan.job(job_id)["dependencies"].append(
        {
            "dependencyType": "EXTERNAL_JOBSTREAM",
            "id": object_id("dep", job_id, stream_id),
            "dependencyStatus": "SATISFIED" if satisfied else "UNSATISFIED",
            "satisfied": satisfied,
            "jobStreamId": stream_id,
            "jobStreamName": name,
            "jobStreamWorkstation": workstation,
            "predecessorStatus": dict(stream["compositeStatus"]),
        }
    )


def depends_on_prompt(plan: Plan, job_id: str, name: str, text: str, *, status: str = "ASKED") -> None:
    """Make a job depend on a prompt."""
    satisfied = status == "ANSWERED_YES"
    plan.job(job_id)["dependencies"].append(
        {
            "dependencyType": "PROMPT",
            "id": object_id("prompt", job_id, name),
            "dependencyStatus": "SATISFIED" if satisfied else "UNSATISFIED",
            "satisfied": satisfied,
            "promptName": name,
            "text": text,
            "promptStatus": status,
            "promptType": "Predefined Prompt",
            "number": 1,
        }
    )


def depends_on_resource(plan: Plan, job_id: str, name: str, workstation: str, *, required: int, free: int) -> None:
    """Make a job depend on units of a resource."""
    plan.job(job_id)["dependencies"].append(
        {
            "dependencyType": "RESOURCE",
            "id": object_id("res", job_id, name),
            "dependencyStatus": "SATISFIED" if free >= required else "UNSATISFIED",
            "satisfied": free >= required,
            "name": name,
            "workstation": workstation,
            "quantity": required,
            "available": free,
        }
    )


def add_resource(
    plan: Plan, name: str, workstation: str, *, quantity: int, held_by: Sequence[tuple[str, str, int]]
) -> None:
    """Add a resource with its holders: job stream, job and units."""
    used = sum(units for _, _, units in held_by)
    plan.resources.append(
        {
            "id": object_id("resource", workstation, name),
            "folder": "/",
            "name": name,
            "workstation": workstation,
            "quantity": quantity,
            "quantityInUse": used,
            "quantityAvailable": quantity - used,
            "status": "AVAILABLE" if used < quantity else "NOT_AVAILABLE",
            "holders": [
                {"jobStream": stream, "job": job, "quantity": units, "shared": True} for stream, job, units in held_by
            ],
        }
    )
