"""The checks of an environment, and the selection of ``--only``."""

from collections.abc import Iterable, Sequence
from functools import partial

from workers.doctor.check import Check, CheckContext
from workers.doctor.checks.embeddings import check_embeddings
from workers.doctor.checks.keys import check_keys
from workers.doctor.checks.knowledge import check_knowledge
from workers.doctor.checks.llm import check_llm
from workers.doctor.checks.log_cache import check_log_cache, is_the_store
from workers.doctor.checks.metrics import check_metrics
from workers.doctor.checks.pipelines import check_site_pipelines
from workers.doctor.checks.queues import check_queues
from workers.doctor.checks.redis import check_redis
from workers.doctor.checks.site_sources import check_site_sources
from workers.doctor.checks.tws import check_instances, check_tws
from workers.doctor.checks.watchers import check_watchers
from workers.doctor.checks.workers import check_workers


def all_checks(context: CheckContext) -> list[Check]:
    """Every check, in the order in which a run needs the counterparts. Connects to nothing."""
    return [
        Check("redis", partial(check_redis, context), needs_store=True),
        Check("keys", partial(check_keys, context), needs_store=True),
        Check("workers", partial(check_workers, context), needs_store=True),
        Check("queues", partial(check_queues, context), needs_store=True),
        Check("watchers", partial(check_watchers, context), needs_store=True),
        Check("instances", partial(check_instances, context), needs_store=True),
        *check_tws(context),
        Check("knowledge", partial(check_knowledge, context)),
        Check("embeddings", partial(check_embeddings, context)),
        Check("log_cache", partial(check_log_cache, context), needs_store=is_the_store(context)),
        *check_metrics(context),
        *check_site_sources(context),
        *check_site_pipelines(context),
        Check("llm", partial(check_llm, context)),
    ]


def choose(checks: Sequence[Check], names: Iterable[str]) -> list[Check]:
    """The checks of these names or families; all of them without a name. Raises KeyError with an unknown name."""
    selection = list(names)
    for name in selection:
        if not any(name in (check.name, check.family) for check in checks):
            raise KeyError(name)
    return [check for check in checks if not selection or check.name in selection or check.family in selection]
