"""Messages that no worker can take: removed from their queue, kept for a person to look at, and counted."""

import json
import re

import redis

from orchestrator.redaction.redact import redact_start
from orchestrator.store.connection import store_errors, to_ms
from orchestrator.store.keys import Keys
from orchestrator.store.reading import read_number

_NAME = re.compile(r"[\w.@:-]{1,200}")
"""Of a queue; any other was written by somebody else."""
KEPT_MESSAGES = 100
KEPT_CHARACTERS = 2_000
KEPT_SECONDS = 7 * 86_400
"""After the last message."""


class SetAside:
    """The last messages that were set aside, and how many came from each queue."""

    def __init__(self, client: redis.Redis, keys: Keys, *, redact_personal: bool = False) -> None:
        self._client = client
        self._keys = keys
        self._redact_personal = redact_personal

    def put(self, queue: str, reason: str, content: str, *, worker: str) -> None:
        """Keep the beginning of a message, with its secrets masked.

        Raises StoreUnreachable.
        """
        # More than is kept is masked: a secret may be cut by the limit.
        text, _ = redact_start(content, KEPT_CHARACTERS, personal=self._redact_personal)
        with store_errors():
            entry = {"queue": queue, "reason": reason, "content": text, "worker": worker}
            entry["at_ms"] = str(to_ms(self._client.time()))
            with self._client.pipeline() as pipe:
                pipe.hincrby(self._keys.set_aside_counts, queue, 1)
                pipe.lpush(self._keys.set_aside, json.dumps(entry))
                pipe.ltrim(self._keys.set_aside, 0, KEPT_MESSAGES - 1)
                for key in (self._keys.set_aside_counts, self._keys.set_aside):
                    pipe.expire(key, KEPT_SECONDS)
                pipe.execute()

    def counts(self) -> dict[str, int]:
        """Messages set aside of each queue within the last seven days, or longer while more come.

        Raises StoreUnreachable, RunDamaged.
        """
        with store_errors():
            counts = self._client.hgetall(self._keys.set_aside_counts)
        read = {str(queue): read_number(str(count)) for queue, count in counts.items()}
        return {queue: count for queue, count in read.items() if count > 0 and _NAME.fullmatch(queue)}
