"""Flower's configuration: ``celery -A workers.app flower --conf=PATH``.

Flower reads ``FLOWER_*`` variables before this file, so what stands here wins; the variables that may differ by site
are therefore asked for here.
"""

import os

from flower.app import Flower as _Flower

from orchestrator.config import Settings as _Settings
from orchestrator.errors import ConfigurationError as _ConfigurationError
from orchestrator.logs import configure_log as _configure_log
from orchestrator.secret_files import read_variables as _read_variables
from orchestrator.sentinel import is_sentinel as _is_sentinel

try:
    _secrets = _read_variables(("FLOWER_BASIC_AUTH",), os.environ)
    _settings = _Settings.from_env()
except _ConfigurationError as error:
    raise SystemExit(f"error: {error}") from None

# The format of the other processes, in place of Tornado's.
_configure_log(_settings.log_level, form=_settings.log_format, personal=_settings.redact_personal)
logging = "none"

# Flower can revoke tasks and stop workers: it leaves this machine only behind credentials (user:password, from
# FLOWER_BASIC_AUTH, which Flower reads itself unless it is a file), and without a word to the contrary it only shows.
address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1") if _secrets else "127.0.0.1"
if _secrets and not os.environ.get("FLOWER_BASIC_AUTH"):
    basic_auth = [_secrets["FLOWER_BASIC_AUTH"]]
read_only = os.environ.get("FLOWER_READ_ONLY", "true").lower() not in {"0", "false", "no"}

# A run of one job is six tasks: the last thousand runs and more stay in sight.
max_tasks = 10_000
max_workers = 200
# A worker that has been gone for an hour is not coming back under its name.
purge_offline_workers = 3_600
# What is too wide for a screen is scrolled to: the arguments, of which the first is the run, can also be searched for.
tasks_columns = "name,uuid,state,received,started,runtime,worker,args"

if _is_sentinel(_settings.redis_url):
    # Flower keeps the address of the broker, of which it reads the queues; a failover moves it.
    _Flower.broker_uri_with_password = property(_Flower.broker_uri_with_password.func)
