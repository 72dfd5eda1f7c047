"""README and docs: links lead somewhere, and pages for users name nothing private."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from unittest.mock import patch

import fakeredis
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.health import Beat
from orchestrator.monitoring import watcher_page
from orchestrator.store.connection import DECODING
from orchestrator.store.keys import Keys
from workers.runtime.health import WorkerMetrics, WorkerState

ROOT = Path(__file__).parents[3]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
USER_PAGES = [page for page in PAGES if page.name not in {"CONTRIBUTING.md", "design.md"}]
PUBLIC_MODULES = {"orchestrator.langgraph", "orchestrator.watcher", "workers.app"}
"""Modules that operators start by name, and the one that the Resync app imports from."""
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


def tree() -> tuple[set[str], set[str]]:
    """Folders and root modules that the tree of the design page names, as paths."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    block = text[text.index("```\norchestrator/\n") + 4 :].partition("```")[0]
    folders: set[str] = set()
    modules: set[str] = set()
    path: list[str] = []
    for line in block.splitlines():
        if line.startswith(" " * 10):  # continues the line before
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r"\s{2,}", line.strip())[0].split():
            if name.endswith("/"):
                path = [*path[:depth], name.removesuffix("/")]
                folders.add("/".join(path))
            else:
                modules.add("/".join([*path[:depth], f"{name}.py"]))
    return folders, modules


def test_the_tree_of_the_design_page_is_the_tree() -> None:
    """Each folder and root module that the page names exists, and each one that exists is named."""
    folders, modules = tree()
    assert {name for name in folders if not (ROOT / name).is_dir()} == set()
    assert {name for name in modules if not (ROOT / name).is_file()} == set()
    for package in ("orchestrator", "workers"):
        files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.*") if path.parent.name != "__pycache__"]
        parents = {str(parent) for path in files for parent in path.parents} - {"."}
        # One level deeper, a folder is known from its parent, and so is a language.
        assert {name for name in parents if name.count("/") <= 2 and "/locale/" not in name} - folders == set()
        assert {str(path.relative_to(ROOT)) for path in (ROOT / package).glob("*.py")} - modules <= {
            f"{package}/__init__.py"
        }


def test_the_layers_of_the_design_page_are_those_of_the_import_contracts() -> None:
    """The page lists the layers as import-linter checks them."""
    prose = re.sub(r"[\s`]", "", (ROOT / "docs" / "design.md").read_text(encoding="utf-8"))
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    for contract in contracts:
        if contract["type"] == "layers":
            layers = ">".join(contract["layers"]).replace(" ", "")
            assert layers in prose, layers


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/design.md"])
def test_pages_for_contributors_name_files_that_exist(name: str) -> None:
    """Each path in code style exists, from the checkout's root or from a package's."""
    paths = re.findall(r"`((?:[\w-]+/)+[\w.-]*\w(?:\.\w+)?/?)`", (ROOT / name).read_text(encoding="utf-8"))
    assert len(paths) > 5
    roots = (ROOT, ROOT / "orchestrator", ROOT / "workers")
    missing = {path for path in paths if not any((root / path).exists() for root in roots)}
    assert missing <= {"orchestrator/i18n/locale/TAG/", "workers/locale/TAG/", "workers/sources/NAME/"}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/design.md"])
def test_pages_for_contributors_find_a_name_in_its_file(name: str) -> None:
    """Where a page says "`NAME` in `FILE`", the file has that name."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for symbol, path in re.findall(r"`([\w.]+)`\s+(?:in|of|to)\s+`((?:[\w-]+/)+\w+\.py)`", text):
        assert re.search(rf"\b{symbol.rpartition('.')[2]}\b", (ROOT / path).read_text(encoding="utf-8")), symbol


def test_every_metric_is_on_its_page() -> None:
    """Metrics that we add to the process's own stand in the page's tables with their labels, and no others do."""
    state = WorkerState(lambda: ["metrics"], lambda: 1, lambda: {("tws_status", "DEV"): "closed"})
    worker = WorkerMetrics(Beat(), loop_lag_seconds=lambda: 0.0, state=state)
    worker.began(task := "troubleshoot.source.metrics")
    worker.ended(task, {"source": "metrics", "outcome": "ok", "latency_ms": 1.0})
    worker.set_aside("metrics")
    client = fakeredis.FakeRedis(**DECODING)
    with patch.object(client, "info", lambda _section: {}):
        pages = (worker.page(), watcher_page(client, Keys("x:"))())
    ours: dict[str, set[str]] = {}
    for family in (item for page in pages for item in text_string_to_metric_families(page.body.decode())):
        if family.name.startswith("resync_") and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels}
            ours.setdefault(name, set()).update(labels - {"le"})
    rows = re.findall(
        r"^\| `(resync_troubleshoot_\w+)`(?: \(histogram\))? \|([^|]*)\|",
        (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == len({name for name, _ in rows}) > 25
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == ours


def test_each_test_that_the_security_page_names_exists() -> None:
    """The page names the tests of its promises by their files."""
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
