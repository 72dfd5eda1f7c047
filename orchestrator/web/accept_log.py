"""The log of asyncio while the app has no descriptor left for a further connection."""

import logging
import time

_MESSAGE = "socket.accept() out of system resource"
PAUSE_SECONDS = 1.0


class AcceptFilter(logging.Filter):
    """Passes one record a second about connections that cannot be accepted, with the number of those left out.

    asyncio of Python 3.11 logs one for each place of the listener's backlog, 2,048 under uvicorn, each second, and each
    with its traceback.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed_at = float("-inf")
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if not str(record.msg).startswith(_MESSAGE):
            return True
        now = time.monotonic()
        if now - self._passed_at < PAUSE_SECONDS:
            self._left_out += 1
            return False
        if self._left_out > 0:
            record.msg = f"{record.msg}\nleft out since the last one: {self._left_out}"
        self._passed_at, self._left_out = now, 0
        return True


_FILTER = AcceptFilter()


def limit_accept_log() -> None:
    """Log of asyncio at most one record a second about connections that cannot be accepted; once per process."""
    logging.getLogger("asyncio").addFilter(_FILTER)
