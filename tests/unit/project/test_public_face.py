"""The public face: ``from orchestrator import ...`` serves what README and docs show, and costs nothing to import."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def imports_of(text: str) -> set[tuple[str, str]]:
    """Module and name of each import from this project in the Python blocks of a page."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return {
        (node.module, alias.name)
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("orchestrator", "workers")
        for alias in node.names
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_from_the_public_face_alone(page: Path) -> None:
    """README and docs import from ``orchestrator``, never from a module below it, and only what it exports."""
    imports = imports_of(page.read_text(encoding="utf-8"))
    assert {module for module, _ in imports} <= {"orchestrator"}
    assert {name for _, name in imports} <= set(orchestrator.__all__)


def test_the_example_of_adoption_imports_from_the_apps_module_alone() -> None:
    """What the Resync app changes is one import."""
    text = (ROOT / "examples" / "adoption.py").read_text(encoding="utf-8")
    names = {name for _, name in imports_of(f"```python\n{text}```")}
    assert {module for module, _ in imports_of(f"```python\n{text}```")} == {"orchestrator.langgraph"}
    assert names <= set(importlib.import_module("orchestrator.langgraph").__all__)


def test_the_example_app_imports_from_the_public_face_alone() -> None:
    """The example of an app does as README does."""
    text = (ROOT / "examples" / "app.py").read_text(encoding="utf-8")
    assert imports_of(f"```python\n{text}```") == {("orchestrator", "Identity"), ("orchestrator", "create_router")}


@pytest.mark.parametrize("name", orchestrator.__all__)
def test_each_exported_name_is_the_object_of_its_module(name: str) -> None:
    """A lazy name is the very object that its module defines, and is found once only."""
    value = getattr(orchestrator, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", value)
    else:
        module = importlib.import_module(f"orchestrator.{orchestrator._HOME[name]}")
        assert value is getattr(module, name)
    assert vars(orchestrator)[name] is value


def test_the_three_lists_of_names_agree() -> None:
    """What checkers see, what ``__all__`` says and what is loaded lazily are the same names."""
    tree = ast.parse((ROOT / "orchestrator" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name: module.removeprefix("orchestrator.") for name, module in typed.items()} == orchestrator._HOME
    assert {*typed, "__version__"} == set(orchestrator.__all__)
    assert sorted(orchestrator.__all__) == orchestrator.__all__ == dir(orchestrator)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """``import orchestrator`` loads neither Celery, kombu, redis, pydantic nor any module of its own."""
    code = "import sys, orchestrator; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=100, check=True)
    loaded = set(result.stdout.split())
    assert loaded.isdisjoint({"celery", "kombu", "redis", "pydantic", "gettext", "importlib.metadata"})
    assert {name for name in loaded if name.startswith(("orchestrator", "workers"))} == {"orchestrator"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'paralel_troubleshoot'"):
        orchestrator.paralel_troubleshoot  # noqa: B018
