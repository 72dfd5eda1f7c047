"""From a waiting job to the one that really holds it: the predecessors upstream, level by level.

A level is read at once, and a level further only while enough of the source's time is left to read the holder's
details. Job streams on the way are followed into their jobs.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.codes.states import FAILED, NO_PROBLEMS, NOT_LAUNCHED, PROBLEMS
from orchestrator.i18n.message import Message
from orchestrator.payloads import JobFacts
from workers.sources.tws_status.client import HwaSession, JsonObject, Page
from workers.sources.tws_status.lookup import Lookup
from workers.sources.tws_status.notation import JobRef
from workers.sources.tws_status.parsing import is_job_stream, parse_flow_node, parse_job, parse_job_stream, text
from workers.sources.tws_status.problems import jobs_of_stream

MAX_WIDTH = 8
"""Jobs of one level whose predecessors are read."""
MAX_HOPS = 40
DETAILS = 4.0
"""The details of the holder take so many times as long as the slowest level, at most."""
LEAST_SECONDS = 0.3
_WAITS_ITSELF = ("READY", "FENCE")
"""States of a job whose predecessors have ended: what keeps it is its own."""
NO_JOBS: list[JsonObject] = []


@dataclass(frozen=True, slots=True)
class Holder:
    """The job that holds a waiting one, and the jobs between them, from the waiting one on."""

    job: JsonObject
    between: tuple[str, ...] = ()

    @property
    def facts(self) -> JobFacts:
        """The job as a search gives it."""
        return parse_job(self.job)


async def find_holder(session: HwaSession, job: JobFacts, lookup: Lookup) -> Holder | None:
    """The job upstream that keeps ``job`` from starting; None for a job that waits for no other.

    The nearest that failed or is stuck; else one that cannot start by itself; else one that runs; else one that waits
    for its time. When the time does not allow to follow the whole chain, that is noted as a cut.
    """
    if job.status not in NOT_LAUNCHED:
        return None
    if not any(item.kind in ("job", "job_stream") and item.satisfied is not True for item in job.predecessors):
        return None
    satisfied = {item.name for item in job.predecessors if item.satisfied is True}
    visited, frontier = {job.id}, [Holder({"id": job.id, "name": job.name})]
    others: list[Holder] = []
    slowest = 0.0
    for depth in range(MAX_HOPS):
        began = time.monotonic()
        level = await _level(session, frontier, lookup)
        slowest = max(slowest, time.monotonic() - began)
        failed: list[Holder] = []
        waiting: list[Holder] = []
        for link, nodes in level:
            if not nodes and depth:
                others.append(link)
            for node in nodes:
                if text(node.get("id")) in visited or (not depth and parse_flow_node(node).name in satisfied):
                    continue
                visited.add(text(node.get("id")))
                between = (*link.between, parse_job(link.job).name) if depth else ()
                _sort(Holder(node, between), failed, waiting, others)
        if failed:
            return min(failed, key=lambda holder: holder.facts.status not in FAILED)
        if not waiting:
            break
        frontier = waiting
        if session.deadline.remaining() < max(LEAST_SECONDS, DETAILS * slowest):
            lookup.cuts.append(
                Message(
                    "the predecessors were followed over {count} level, and not to their end",
                    plural="the predecessors were followed over {count} levels, and not to their end",
                    count=depth + 1,
                )
            )
            others += waiting
            break
    return min(others, key=_rank, default=None)


def _sort(holder: Holder, failed: list[Holder], waiting: list[Holder], others: list[Holder]) -> None:
    status = holder.facts.status
    if status in PROBLEMS:
        failed.append(holder)
    elif status in NOT_LAUNCHED and status not in _WAITS_ITSELF:
        waiting.append(holder)
    elif status not in NO_PROBLEMS:
        others.append(holder)


def _rank(holder: Holder) -> tuple[int, int]:
    facts = holder.facts
    if facts.status not in NOT_LAUNCHED:
        kind = 1
    elif facts.substatus == "HOLD_WAITING_FOR_TIME":
        kind = 2
    else:
        kind = 0
    return kind, len(holder.between)


async def _level(
    session: HwaSession, frontier: Sequence[Holder], lookup: Lookup
) -> list[tuple[Holder, list[JsonObject]]]:
    """Each job of a level with what it waits for: its predecessors that have not ended well."""
    cut = Message(
        "{count} more waiting predecessor was not followed",
        plural="{count} more waiting predecessors were not followed",
    )
    shown = lookup.first(frontier, MAX_WIDTH, cut)
    return [
        (link, nodes)
        for link, nodes in zip(
            shown, await asyncio.gather(*(_open(session, link, lookup) for link in shown)), strict=True
        )
    ]


async def _open(session: HwaSession, link: Holder, lookup: Lookup) -> list[JsonObject]:
    job_id = text(link.job.get("id"))
    page = lookup.predecessors.get(job_id)
    if page is None:
        ask = partial(session.predecessors, job_id)
        page = await lookup.part(Message("predecessors"), ask, Page(), of=parse_job(link.job).name)
    nodes: list[JsonObject] = []
    for node in page.results:
        if is_job_stream(node):
            if parse_job_stream(node).status not in NO_PROBLEMS:
                nodes += await _jobs_of(session, node, lookup)
        elif parse_job(node).status not in NO_PROBLEMS:
            nodes.append(node)
    return nodes


async def _jobs_of(session: HwaSession, stream: JsonObject, lookup: Lookup) -> list[JsonObject]:
    """The jobs of a job stream that have not ended well."""
    name, stream_id = text(stream.get("name")), text(stream.get("id"))
    ref = JobRef(
        stream=name,
        workstation=text(stream.get("workstation"), 900).rpartition("/")[2],
        folder=text(stream.get("folder"), 800).strip("/"),
    )
    ask = partial(jobs_of_stream, session, name, lookup, ref)
    jobs = await lookup.part(Message("jobs of {name}", name=name), ask, NO_JOBS)
    return [job for job in jobs if text(job.get("jobStreamId")) in ("", stream_id)]
