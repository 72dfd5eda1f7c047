"""What Redis answers instead of serving, in this project's words."""

from __future__ import annotations

import errno

import pytest
from kombu.exceptions import OperationalError
from redis import exceptions

from orchestrator.errors import ConfigurationError, OutOfConnections, RunDamaged, StoreUnreachable
from orchestrator.store.connection import refusal, store_errors

# redis-py takes the code off the text of the errors that it has classes for.
REFUSALS = [
    (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "OOM"),
    (exceptions.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
    (exceptions.MasterDownError("Link with MASTER is down"), "MASTERDOWN"),
    (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "MISCONF"),
    (exceptions.ResponseError("Error running script: @user_script: 9: -OOM command not allowed"), "OOM"),
    (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "LOADING"),
    (exceptions.ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"), "UNBLOCKED"),
    (exceptions.ResponseError("BUSY Redis is busy running a script."), "BUSY"),
    (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "NOREPLICAS"),
    (exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"), "CLUSTERDOWN"),
    (exceptions.TryAgainError("Multiple keys request during rehashing of slot"), "TRYAGAIN"),
    (exceptions.MovedError("3999 127.0.0.1:6381"), "MOVED"),
    (exceptions.AskError("3999 127.0.0.1:6381"), "ASK"),
    (exceptions.ExecAbortError("Transaction discarded because of previous errors."), "EXECABORT"),
    (exceptions.ResponseError("DENIED Redis is running in protected mode"), "DENIED"),
    (exceptions.TimeoutError("redis://:geheim@h timed out"), "TimeoutError"),
]


@pytest.mark.parametrize(("error", "word"), REFUSALS)
def test_a_redis_that_does_not_serve_is_an_unreachable_store(error: Exception, word: str) -> None:
    """Full, read-only, loading or slow: callers that wait for a Redis wait for this one too; its text stays out."""
    with pytest.raises(StoreUnreachable, match=word) as caught, store_errors():
        raise error
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.MaxConnectionsError("Too many connections"),
        exceptions.ConnectionError("max number of clients reached"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_a_connection_that_cannot_be_opened_is_told_apart(error: Exception) -> None:
    """A limit of the process or of Redis is named as what it is, not as a Redis that does not answer."""
    with pytest.raises(OutOfConnections, match="no further connection"), store_errors():
        raise error


def test_a_limit_that_redis_py_hides_is_found() -> None:
    """The system's error behind redis-py's own says that the process may open no more files."""
    hidden = exceptions.ConnectionError("Error 24 connecting to h:1")
    hidden.__context__ = OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(OutOfConnections, match="ulimit"), store_errors():
        raise hidden


@pytest.mark.parametrize(
    "error",
    [
        exceptions.NoPermissionError("this user has no permissions to run the 'xadd' command"),
        exceptions.AuthenticationError("invalid username-password pair"),
        exceptions.ResponseError("NOAUTH Authentication required."),
    ],
)
def test_what_the_user_may_not_do_is_a_matter_of_configuration(error: Exception) -> None:
    """The error names the variable; for whoever goes on without Redis it is one that cannot be reached."""
    with pytest.raises(StoreUnreachable, match="REDIS_URL") as caught, store_errors():
        raise error
    assert isinstance(caught.value, ConfigurationError)
    assert (caught.value.reason, caught.value.exit_code) == (ConfigurationError.reason, ConfigurationError.exit_code)


def test_a_refusal_is_found_behind_the_error_of_the_broker() -> None:
    """kombu's own error tells nothing of the reason; what is behind it does."""
    error = OperationalError("x")
    error.__cause__ = exceptions.ReadOnlyError("You can't write against a read only replica.")
    assert refusal(error) == "READONLY"
    assert refusal(OperationalError("READONLY")) is None


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    """An error in a script or a call is not taken for an unreachable store."""
    with pytest.raises(exceptions.ResponseError, match="wrong number"), store_errors():
        raise exceptions.ResponseError("ERR wrong number of arguments for 'hget' command")


@pytest.mark.parametrize(
    "prefix", ["", "Command # 2 (HGETALL run:x) of pipeline caused error: ", "Error running script: "]
)
def test_a_key_of_another_kind_is_damage(prefix: str) -> None:
    """Somebody else wrote a string where a hash belongs: the caller gets an error to act on, wherever it shows."""
    with pytest.raises(RunDamaged), store_errors():
        raise exceptions.ResponseError(f"{prefix}WRONGTYPE Operation against a key holding the wrong kind of value")
