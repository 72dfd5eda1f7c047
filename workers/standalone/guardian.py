"""A separate program that cleans up after the supervisor has died.

Its standard input is a pipe from the supervisor with one line per process group or directory. When the pipe closes, it
ends and removes whatever is still registered. It runs with ``-I -S`` and the standard library alone, in its own
session, so that it starts in milliseconds and receives no signals of the terminal.

Lines: ``+ PGID``, ``- PGID``, ``d PATH`` (remove at the end), ``k PATH`` (keep after all).
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

GRACE_SECONDS = 3.0


def start_time(pid: int) -> str | None:
    """Start time of the process in clock ticks (field 22 of ``/proc/PID/stat``); None without such a process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may contain spaces and parentheses; the fields after its last parenthesis do not.
    return stat.rpartition(")")[2].split()[19]


def is_reused(group: int, started: str | None) -> bool:
    """Whether the id belongs to a later process by now; the old group has then ended."""
    now = start_time(group)
    return started is not None and now is not None and now != started


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when it is empty."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clean_up(groups: dict[int, str | None], directories: Iterable[str]) -> None:
    """End the groups by SIGTERM, then SIGKILL, and remove the directories."""
    alive = [group for group, started in groups.items() if not is_reused(group, started)]
    alive = [group for group in alive if signal_group(group, signal.SIGTERM)]
    give_up = time.monotonic() + GRACE_SECONDS
    while alive and time.monotonic() < give_up:
        time.sleep(0.05)
        alive = [group for group in alive if signal_group(group, 0)]
    for group in alive:
        signal_group(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    """Maintain the registrations until the pipe closes, then clean up."""
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
