"""Which checks there are for an environment, and which of them were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workers.doctor.check import Check, Surroundings
from workers.doctor.checks.embeddings import check_embeddings
from workers.doctor.checks.instances import check_instances
from workers.doctor.checks.keys import check_keys
from workers.doctor.checks.knowledge import check_knowledge
from workers.doctor.checks.llm import check_llm
from workers.doctor.checks.log_cache import check_log_cache
from workers.doctor.checks.metrics import check_metrics
from workers.doctor.checks.queues import check_queues
from workers.doctor.checks.redis import check_redis
from workers.doctor.checks.site_sources import check_site_sources
from workers.doctor.checks.tws import check_tws
from workers.doctor.checks.watchers import check_watchers
from workers.doctor.checks.workers import check_workers


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
