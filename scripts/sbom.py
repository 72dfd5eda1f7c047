"""Write dist/sbom.cdx.json, a CycloneDX bill of materials: ``scripts/sbom.py [LOCK]``, of the image when left out.

The lock file gives the components with the hashes of their files, for every platform; what is installed in .venv gives
the licences of those, and what each of them needs.
"""

# ruff: noqa: T201  # results are printed
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "dist" / "sbom.cdx.json"
_OF_INSTALLED = ("bom-ref", "description", "licenses")


def main() -> int:
    """Write the bill of materials."""
    lock = sys.argv[1] if len(sys.argv) > 1 else "requirements-image.lock"
    bill = cyclonedx("requirements", lock)
    installed = cyclonedx("environment", ".venv")
    twins = {item["purl"]: item for item in installed["components"] if "purl" in item}
    for component in bill["components"]:
        component.pop("description", None)  # the line of the lock
        twin = twins.get(component["purl"], {})
        component |= {name: twin[name] for name in _OF_INSTALLED if name in twin}
    references = {bill["metadata"]["component"]["bom-ref"], *(item["bom-ref"] for item in bill["components"])}
    needs = {item["ref"]: item.get("dependsOn", ()) for item in installed["dependencies"]}
    bill["dependencies"] = [
        {"ref": reference, "dependsOn": sorted(references.intersection(needs.get(reference, ())))}
        for reference in sorted(references)
    ]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(bill['components'])} components of {lock}")
    return 0


def cyclonedx(kind: str, source: str) -> dict[str, Any]:
    """The bill of materials that cyclonedx-py makes; the same for the same source."""
    command = [Path(sys.executable).with_name("cyclonedx-py"), kind, "--pyproject", "pyproject.toml"]
    command += ["--output-reproducible", "--output-format", "JSON", source]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # about a graph that the other of both has
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


if __name__ == "__main__":
    sys.exit(main())
