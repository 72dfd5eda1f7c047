"""The step after a commit that stores what TWS reported, for later questions about the job."""

from collections.abc import Mapping

from orchestrator.after_commit import AfterCommit
from orchestrator.config import Settings
from orchestrator.models import Report
from workers.config import LogCacheSettings, TwsSettings
from workers.sources.log_cache.connection import connect_writer
from workers.sources.log_cache.own_cache import write_back


def create_write_back(environ: Mapping[str, str]) -> AfterCommit:
    """Build the step from the environment; its failures are logged and ignored.

    Raises ConfigurationError naming the variable.
    """
    settings, tws = LogCacheSettings.from_env(environ), TwsSettings.from_env(environ)
    redact_personal = Settings.from_env(environ).redact_personal
    client = connect_writer(settings.redis_url)

    def step(report: Report) -> None:
        write_back(
            report,
            client,
            key_prefix=settings.key_prefix,
            default_instance=tws.default_instance,
            max_records=settings.max_records,
            retention_days=settings.retention_days,
            feed_app=settings.feed_app,
            redact_personal=redact_personal,
        )

    return step
