"""A process that only sleeps, and tells by how much the machine woke it late: the scheduling delay of this moment."""

from __future__ import annotations

import os
import time

STEP_SECONDS = 0.01
TOLD_SECONDS = 0.005


def main() -> None:
    while True:
        due = time.monotonic() + STEP_SECONDS
        time.sleep(STEP_SECONDS)
        now = time.monotonic()
        if now - due > TOLD_SECONDS:
            os.write(1, f"{now:.4f} {now - due:.4f}\n".encode())


if __name__ == "__main__":
    main()
