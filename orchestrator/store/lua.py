"""The Lua scripts, read from the package at first use; each is one atomic transition of a run."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import redis

from orchestrator.store.connection import store_errors


@cache
def script_source(name: str) -> str:
    """Source of a script, with ``common.lua`` before it."""
    folder = resources.files(__package__) / "scripts"
    return (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")


class Scripts:
    """Runs scripts by their SHA; redis-py loads those that the server does not have."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._scripts: dict[str, Any] = {}

    def run(self, name: str, keys: list[str], args: Sequence[str | int]) -> list[Any]:
        """Run the script ``name`` and return its reply.

        Raises StoreUnreachable.
        """
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._client.register_script(script_source(name))
        with store_errors():
            reply: list[Any] = script(keys=keys, args=args)
        return reply
