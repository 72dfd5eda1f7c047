"""Which checks there are for an environment, and which of them were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workers.doctor.broker import check_redis
from workers.doctor.check import Check, Surroundings
from workers.doctor.consumers import check_workers
from workers.doctor.embeddings import check_embeddings
from workers.doctor.instances import check_instances
from workers.doctor.keyspace import check_keys
from workers.doctor.knowledge import check_knowledge
from workers.doctor.llm import check_llm
from workers.doctor.log_cache import check_log_cache
from workers.doctor.metrics import check_metrics
from workers.doctor.queues import check_queues
from workers.doctor.site_sources import check_site_sources
from workers.doctor.tws import check_tws
from workers.doctor.watchers import check_watchers


def all_checks(around: Surroundings) -> list[Check]:
    """Every check, in the order in which a run needs what is checked. Nothing is connected yet."""
    return [
        check_redis(around),
        check_keys(around),
        check_workers(around),
        check_queues(around),
        check_watchers(around),
        check_instances(around),
        *check_tws(around),
        check_knowledge(around),
        check_embeddings(around),
        check_log_cache(around),
        *check_metrics(around),
        *check_site_sources(around),
        check_llm(around),
    ]


def choose(checks: Sequence[Check], names: Iterable[str]) -> list[Check]:
    """Those of these names or families; all without a name. Raises KeyError with a name that fits none."""
    wanted = list(names)
    for name in wanted:
        if not any(name in (check.name, check.family) for check in checks):
            raise KeyError(name)
    return [check for check in checks if not wanted or check.name in wanted or check.family in wanted]
