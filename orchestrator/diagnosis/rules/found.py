"""The answers to a question whose jobs were found: the list of the first stage, and what is about each of its jobs."""

from collections.abc import Sequence

from orchestrator.models import SourceEnvelope


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
