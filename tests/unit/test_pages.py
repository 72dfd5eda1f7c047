"""README and docs: links lead somewhere, and pages for users name nothing private."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
USER_PAGES = [page for page in PAGES if page.name not in {"CONTRIBUTING.md", "design.md"}]
PUBLIC_MODULES = {"orchestrator.watcher", "workers.app"}
"""Modules that operators start by name."""
MODULES = {path.name for package in ("orchestrator", "workers") for path in (ROOT / package).rglob("*.py")}


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_resolve(page: Path) -> None:
    """Each relative link and image names a file of the checkout, and each anchor a heading of its page."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: page.name)
def test_a_user_page_names_nothing_private(page: Path) -> None:
    """Module paths may move between versions, so no user page names one, as a file or with dots."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"\b(?:orchestrator|workers)/[\w/*.]+", text) == []
    dotted = set(re.findall(r"\b(?:orchestrator|workers)(?:\.[a-z_]\w*)+", text))
    assert dotted <= PUBLIC_MODULES
    for file in re.findall(r"[\w/*.-]+\.py\b", text):
        if file.startswith(("examples/", "../examples/", "ops/", "scripts/", "tests/")):
            assert (ROOT / file.removeprefix("../")).is_file(), file
        else:
            assert Path(file).name not in MODULES, file
