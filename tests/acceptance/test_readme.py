"""The README's examples, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fleet_support import Fleet

pytestmark = pytest.mark.acceptance
README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_the_readme_has_its_examples() -> None:
    """There is an example of the one call, one of submit, stream and result, and one of the endpoints."""
    assert len(EXAMPLES) == 3
    assert "parallel_troubleshoot(" in EXAMPLES[0]
    assert "client.stream(" in EXAMPLES[1]
    assert "create_router(" in EXAMPLES[2]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_example_of_the_readme_runs(running_fleet: Fleet, number: int) -> None:
    """Each Python block runs against real workers, in an event loop as the app has one, without a warning."""
    # Examples name an instance that no worker of this fleet announces, which is accepted then.
    body = textwrap.indent(EXAMPLES[number], "    ")
    script = f"import asyncio\n\nasync def main():\n{body}\n\nasyncio.run(main())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=running_fleet.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
