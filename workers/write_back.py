"""After a commit: remember what TWS said, so that the next run knows the last outcomes of a job."""

from __future__ import annotations

from collections.abc import Mapping

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from orchestrator.after_commit import AfterCommit
from orchestrator.models import Report
from workers.clients.log_cache import write_back
from workers.config import LogCacheSettings

TIMEOUT_SECONDS = 1.0


def create_write_back(environ: Mapping[str, str]) -> AfterCommit:
    """A step that writes to the log cache's Redis; what fails there is logged and forgotten.

    Raises ConfigurationError naming the variable.
    """
    settings = LogCacheSettings.from_env(environ)
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name="resync-troubleshoot-write-back",
    )

    def step(report: Report) -> None:
        write_back(report, client, key_prefix=settings.key_prefix)

    return step
