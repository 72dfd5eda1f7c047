"""A program of its own that outlives its parent just long enough to clean up after it.

Its standard input is a pipe from the supervisor: one line per process group or directory that exists. When the pipe
closes, whatever was not crossed off again is ended and removed: the supervisor was killed. It runs with ``-I -S`` and
the standard library alone, in a session of its own, so that it starts in milliseconds and no terminal signal meets it.

Lines: ``+ PGID``, ``- PGID``, ``d PATH`` (remove at the end), ``k PATH`` (keep after all).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

GRACE_SECONDS = 3.0


def start_time(pid: int) -> str | None:
    """When the process started, in the kernel's ticks (field 22 of ``/proc/PID/stat``); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may hold spaces and brackets; the fields after its last bracket do not.
    return stat.rpartition(")")[2].split()[19]


def is_reused(group: int, started: str | None) -> bool:
    """True when the id now belongs to a process that started later; its old group is then gone for good."""
    now = start_time(group)
    return started is not None and now is not None and now != started


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clean_up(groups: dict[int, str | None], directories: Iterable[str]) -> None:
    """End the groups, with SIGTERM first, and remove the directories."""
    left = [group for group, started in groups.items() if not is_reused(group, started)]
    left = [group for group in left if signal_group(group, signal.SIGTERM)]
    give_up = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < give_up:
        time.sleep(0.05)
        left = [group for group in left if signal_group(group, 0)]
    for group in left:
        signal_group(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    """Keep the list until the pipe closes, then clean up what is still on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str | None] = {}
    directories: dict[str, None] = {}
    for line in sys.stdin:
        verb, _, value = line.rstrip("\n").partition(" ")
        if verb == "+":
            groups[int(value)] = start_time(int(value))
        elif verb == "-":
            groups.pop(int(value), None)
        elif verb == "d":
            directories[value] = None
        elif verb == "k":
            directories.pop(value, None)
    clean_up(groups, directories)


if __name__ == "__main__":
    main()
