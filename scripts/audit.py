"""Ask PyPI for known vulnerabilities of every locked version: ``scripts/audit.py [LOCK...]``.

Status 0: every version was asked about, and none is vulnerable; 1: some are; 3: it could not ask about some, and found
none among the others. No answer is not a good one: without a network, pip-audit itself may end well.
"""

# ruff: noqa: T201  # results are printed
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-dev.lock", "requirements-build.lock", "requirements-tools.lock")
"""Between them they have every version that is locked."""
FOUND, NOT_ASKED = 1, 3


def main() -> int:
    """Audit the lock files and return the status."""
    vulnerable, unknown = dict[str, str](), dict[str, str]()
    for lock in sys.argv[1:] or LOCKS:
        dependencies, error = audit(lock)
        if error:
            unknown[lock] = error
        for item in dependencies:
            pin = f"{item['name']}=={item.get('version', '?')}"
            if "skip_reason" in item:
                unknown[item["name"]] = item["skip_reason"]
            for flaw in item.get("vulns", ()):
                fixed = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
                vulnerable[f"{pin} {flaw['id']}"] = f"fixed in {fixed}"
    for name, text in vulnerable.items():
        print(f"audit: {name}: {text}")
    if unknown:
        name, reason = next(iter(unknown.items()))
        print(
            f"audit: could not ask about {len(unknown)} of the packages or locks, such as {name}: {reason}",
            file=sys.stderr,
        )
    if not vulnerable and not unknown:
        print("audit: no known vulnerability in any locked version")
    return FOUND if vulnerable else NOT_ASKED if unknown else 0


def audit(lock: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each version in a lock file, and why it said nothing."""
    command = [Path(sys.executable).with_name("pip-audit"), "--requirement", lock, "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or [f"pip-audit ended with status {done.returncode}"])[-1]


if __name__ == "__main__":
    sys.exit(main())
