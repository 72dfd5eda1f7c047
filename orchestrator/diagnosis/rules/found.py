"""The answers to a question whose jobs were found: the list of the first stage, and what is about each of its jobs."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.codes.notation import JobName, is_job_name, whole_name
from orchestrator.diagnosis.rules.scene import Scene, tws_facts
from orchestrator.models import SourceEnvelope
from orchestrator.payloads import JobFacts


def of_the_list(envelopes: Sequence[SourceEnvelope]) -> list[SourceEnvelope]:
    """The answers without a job of sources that were asked about jobs as well; none for any other question."""
    asked = {envelope.source for envelope in envelopes if envelope.job is not None}
    return [envelope for envelope in envelopes if envelope.job is None and envelope.source in asked]


def of_the_jobs(envelopes: Sequence[SourceEnvelope]) -> list[SourceEnvelope]:
    """What is to be said of each job: all but ``of_the_list``; of no job, when none of them was looked into."""
    lists = of_the_list(envelopes)
    if lists and not any(envelope.success for envelope in envelopes if envelope.job is not None):
        return [envelope for envelope in envelopes if envelope.job is None]
    return [envelope for envelope in envelopes if envelope not in lists]


def with_listed_states(scenes: Sequence[Scene], envelopes: Sequence[SourceEnvelope]) -> list[Scene]:
    """The scenes; of a job about which TWS did not answer when it was asked, with the state that the list has of it."""
    unread = {item.job: item.reason for item in envelopes if item.source == "tws_status" and not item.success}
    lists = of_the_list(envelopes) if unread else []
    listed = {name: job for item in lists if item.success for name, job in _listed(item).items()}
    evidence = tuple(found for item in lists if item.source == "tws_status" for found in item.evidence)
    known = []
    for scene in scenes:
        job = listed.get((scene.asked_as or "").casefold()) if scene.job is None else None
        if job is not None and scene.asked_as in unread:
            if job.job_log is None:
                job = job.model_copy(update={"job_log_error": unread[scene.asked_as] or "unread"})
            scene = replace(scene, job=job, evidence=(*evidence, *scene.evidence))  # noqa: PLW2901
        known.append(scene)
    return known


def _listed(envelope: SourceEnvelope) -> dict[str, JobFacts]:
    """The jobs of a list by their whole names in small letters, as far as it tells them."""
    tws = tws_facts(envelope)
    if tws is None:
        return {}
    jobs = {whole_name(job).casefold(): job for job in tws.problem_jobs}
    for group in tws.listing.groups if tws.listing and tws.listing.listed == "jobs" else ():
        for name in (f"{group.stream}.{name}" if group.stream else name for name in group.names):
            if is_job_name(name):
                parts = JobName.of_job(name)
                jobs[name.casefold()] = JobFacts(
                    name=parts.job,
                    folder=f"/{parts.folder}" if parts.folder else "",
                    job_stream=parts.stream,
                    job_stream_workstation=parts.workstation,
                    job_stream_instance=f"({parts.time})" if parts.time else "",
                    status=group.status,
                    return_code=group.return_code,
                )
    return jobs
