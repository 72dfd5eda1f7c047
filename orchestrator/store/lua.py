"""The Lua scripts, read from the package at first use; each is one atomic transition of a run."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import redis

from orchestrator.store.connection import SCRIPTS, store_errors


@cache
def script_source(name: str) -> str:
    """Source of a script, with ``common.lua`` before it."""
    folder = resources.files(__package__) / "scripts"
    return (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")


Call = tuple[list[str], list[str | int]]
"""Keys and arguments of a call."""


class Scripts:
    """Runs scripts by their SHA; redis-py loads those that the server does not have."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._scripts: dict[str, Any] = {}

    def run(self, name: str, keys: list[str], args: Sequence[str | int]) -> list[Any]:
        """Run the script ``name`` and return its reply.

        Raises StoreUnreachable.
        """
        with store_errors():
            reply: list[Any] = self._script(name)(keys=keys, args=args)
        return reply

    def run_all(self, name: str, calls: Sequence[Call]) -> list[list[Any] | Exception]:
        """Run the script ``name`` for each of ``calls``, in one pipeline; a reply may be the error of its call.

        Raises StoreUnreachable.
        """
        script = self._script(name)
        with store_errors(), self._client.pipeline(transaction=False) as pipe:
            for keys, args in calls:
                script(keys=keys, args=args, client=pipe)
            replies = pipe.execute(raise_on_error=False)
        return [our_error(reply) if isinstance(reply, Exception) else list(reply) for reply in replies]

    def _script(self, name: str) -> Any:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._client.register_script(source := script_source(name))
            SCRIPTS[script.sha] = source
        return script


def our_error(error: Exception) -> Exception:
    """The error of a call in a pipeline as ours."""
    try:
        with store_errors():
            raise error  # noqa: TRY301  # as ours
    except Exception as ours:  # noqa: BLE001  # the caller's, with the call that it is of
        return ours
