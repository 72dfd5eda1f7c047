"""The message of an error that is raised without one."""

from __future__ import annotations

import subprocess
import sys

from orchestrator.errors import RunDamaged, SourceError


def test_a_class_without_a_docstring_has_its_bases_message() -> None:
    """A site's class need not be documented to be raised."""
    bare = type("Bare", (SourceError,), {})
    assert str(bare()) == "A source could not answer."
    assert str(bare("{code} from the calendar", code=7)) == "7 from the calendar"
    assert str(RunDamaged()) == "A part of the stored run cannot be read."


def test_an_error_can_be_raised_without_docstrings() -> None:
    """``python -OO`` takes docstrings away, and no error with them."""
    code = "from orchestrator.errors import RunDamaged; print(RunDamaged().reason)"
    done = subprocess.run(
        [sys.executable, "-OO", "-B", "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == "run_damaged"
