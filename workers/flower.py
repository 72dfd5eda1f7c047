"""Flower's configuration, as ``ops/flower/flowerconfig.py`` and ``resync-troubleshoot up`` use it.

Flower takes every public name for an option. It reads ``FLOWER_*`` variables before, so what stands here wins; the
variables that may differ by site are therefore asked for here.
"""

import ast as _ast
import logging as _logging
import os as _os
import re as _re
import secrets as _random
from pathlib import Path as _Path
from typing import Any as _Any

from flower.app import Flower as _Flower
from tornado.log import LogFormatter as _LogFormatter

from orchestrator.config import Settings as _Settings
from orchestrator.errors import ConfigurationError as _ConfigurationError
from orchestrator.errors import end_process as _end_process
from orchestrator.i18n.message import Message as _Message
from orchestrator.logs import configure_log as _configure_log
from orchestrator.secret_files import read_variables as _read_variables
from orchestrator.sentinel import is_sentinel as _is_sentinel

_COOKIE_SECRET = "FLOWER_COOKIE_SECRET"  # noqa: S105  # the name of a variable

try:
    _secrets = _read_variables(("FLOWER_BASIC_AUTH", _COOKIE_SECRET), _os.environ)
    _settings = _Settings.from_env()
except _ConfigurationError as error:
    _end_process(error, _os.environ)

# The format of the other processes, in place of Tornado's, which has set up its own to read the command line.
_root = _logging.getLogger()
for _handler in [handler for handler in _root.handlers if isinstance(handler.formatter, _LogFormatter)]:
    _root.removeHandler(_handler)
_configure_log(_settings.log_level, form=_settings.log_format, personal=_settings.redact_personal)
logging = "none"

# Flower can revoke tasks and stop workers: it leaves this machine only behind credentials (user:password, from
# FLOWER_BASIC_AUTH, which Flower reads itself unless it is a file), and without a word to the contrary it only shows.
_user = _secrets.get("FLOWER_BASIC_AUTH")
address = _os.environ.get("FLOWER_ADDRESS", "127.0.0.1") if _user else "127.0.0.1"
if _user and not _os.environ.get("FLOWER_BASIC_AUTH"):
    basic_auth = [_user]
read_only = _os.environ.get("FLOWER_READ_ONLY", "true").lower() not in {"0", "false", "no"}

# A run of one job is six tasks: the last thousand runs and more stay in sight.
max_tasks = 10_000
max_workers = 200
# A worker that has been gone for an hour is not coming back under its name.
purge_offline_workers = 3_600
# The run and what its tasks came to at a glance: the task of a source that failed has succeeded for Celery, because a
# chord whose header fails would lose its body.
tasks_columns = "name,args,result,state,runtime,received,worker,uuid"

# With a folder of its own (a volume, systemd's StateDirectory) tasks and logins survive a restart. The tasks are kept
# as a pickle: only Flower's user may write there.
_folder = _os.environ.get("FLOWER_STATE_DIRECTORY") or _os.environ.get("STATE_DIRECTORY")
if _folder:
    _os.umask(0o077)
    persistent = True
    db = str(_Path(_folder) / "flower")
    state_save_interval = 30_000  # milliseconds
    if _COOKIE_SECRET not in _secrets:
        _kept = _Path(_folder) / "flower-cookie-secret"
        try:
            # What a crash left of it, such as a file of zeros, would be a secret that anybody can guess.
            if not _kept.exists() or not _re.fullmatch(rb"[\w-]{80,}", _kept.read_bytes()):
                _kept.touch(mode=0o600)
                _kept.write_text(_random.token_urlsafe(64), "ascii")
            _secrets[_COOKIE_SECRET] = _kept.read_text("ascii")
        except OSError as error:
            _end_process(
                _ConfigurationError(
                    "{variable}: {problem}",
                    variable="FLOWER_STATE_DIRECTORY",
                    problem=_Message("cannot be used ({detail})", detail=str(error)),
                ),
                _os.environ,
            )
if _COOKIE_SECRET in _secrets:
    cookie_secret = _secrets[_COOKIE_SECRET]

if _is_sentinel(_settings.redis_url):
    # Flower keeps the address of the broker, of which it reads the queues; a failover moves it.
    _Flower.broker_uri_with_password = property(_Flower.broker_uri_with_password.func)


def format_task(task: _Any) -> _Any:
    """The task with its run, and what it asks about, as arguments, and its outcome in words as result."""
    args = _value(task.args)
    task.args = " ".join(arg for arg in args if isinstance(arg, str)) if isinstance(args, tuple) else args
    result = _value(task.result)
    if isinstance(result, dict):
        words = (result.get("outcome"), result.get("reason") or result.get("answer"))
        result = ": ".join(str(word) for word in words if word)
    task.result = result
    return task


def _value(text: str | None) -> _Any:
    """The value that Celery's events write as Python does; the text itself where it is cut, or nothing."""
    try:
        return _ast.literal_eval(text) if text else text
    except (SyntaxError, ValueError):
        return text
