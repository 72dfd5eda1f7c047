"""Bring the catalogues of every language up to date with the code, and compile them.

    scripts/catalogues.py            add the sentences that are new, drop those that are gone, compile *.mo
    scripts/catalogues.py --check    change nothing; status 1 when a catalogue is behind the code

The sentences are the English templates in the code: the first argument of ``Message``, ``N_`` and of our errors, and
the help of commands and options. A new one is added to each language with an empty translation, which reads as English.
"""

# ruff: noqa: T201  # results are printed
from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"orchestrator": ROOT / "orchestrator/i18n/locale", "workers": ROOT / "workers/locale"}
MARKERS = {"Message", "N_"}
ERROR_BASE = "TroubleshootError"

Key = tuple[str, str, str]
"""Context, English template, English plural; empty where there is none."""


def sources(package: str) -> list[Path]:
    """The Python files of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def error_names() -> set[str]:
    """Names of the classes that derive from our base error."""
    bases: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases.setdefault(node.name, set()).update(_last_name(base) for base in node.bases)
    names = {ERROR_BASE}
    while more := {name for name, parents in bases.items() if parents & names} - names:
        names |= more
    return names


def keys_in(path: Path, errors: set[str]) -> Iterator[Key]:
    """The sentences in one file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _keys_of_call(node, errors)
        elif isinstance(node, ast.ClassDef) and node.name in errors:
            yield "", (ast.get_docstring(node) or "").strip().partition("\n")[0], ""
        elif isinstance(node, ast.FunctionDef) and any(_is_command(item) for item in node.decorator_list):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                yield "", " ".join(paragraph.split()), ""


def _keys_of_call(node: ast.Call, errors: set[str]) -> Iterator[Key]:
    keywords = {item.arg: item.value for item in node.keywords}
    name = _last_name(node.func)
    is_alternative = isinstance(node.func, ast.Name) and name == "cls"
    if (name in MARKERS | errors or is_alternative) and node.args and (text := _text(node.args[0])) is not None:
        yield _text(keywords.get("context")) or "", text, _text(keywords.get("plural")) or ""
    for option in ("help", "short_help", "epilog"):
        if (text := _text(keywords.get(option))) is not None:
            yield "", " ".join(text.split()), ""


def _is_command(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last_name(node.func) in ("command", "group")


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def code_keys() -> dict[str, dict[Key, None]]:
    """Every sentence of each package, in the order of its files; one that both have is the first's."""
    errors, seen = error_names(), set[Key]()
    found: dict[str, dict[Key, None]] = {}
    for package in PACKAGES:
        keys = found.setdefault(package, {})
        for path in sources(package):
            for key in keys_in(path, errors):
                if key[1] and key not in seen:
                    keys[key] = None
                    seen.add(key)
    return found


def key_of(message: object) -> Key:
    """The key of an entry of a catalogue."""
    identity, context = message.id, message.context  # type: ignore[attr-defined]  # Babel's message
    singular, plural = identity if isinstance(identity, tuple) else (identity, "")
    return context or "", singular, plural


class LeanCatalog(Catalog):
    """A catalogue whose header holds only what ``gettext`` reads: no dates and no versions of tools."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:  # type: ignore[override]  # no setter: nothing sets it
        """The fields of the header."""
        return [
            ("Language", str(self.locale_identifier)),
            ("Plural-Forms", self.plural_forms),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]


def read(path: Path) -> Catalog:
    """The catalogue in ``path``."""
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.parent.name.replace("-", "_"))
    lean = LeanCatalog(locale=catalog.locale_identifier, header_comment=catalog.header_comment, fuzzy=False)
    lean._num_plurals, lean._plural_expr = catalog.num_plurals, catalog.plural_expr  # noqa: SLF001  # no setters
    for message in catalog:
        if message.id:
            lean[message.id] = message
    return lean


def compiled(catalog: Catalog) -> bytes:
    """The bytes of the ``.mo`` file."""
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def text_of(catalog: Catalog) -> bytes:
    """The bytes of the ``.po`` file."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, omit_header=False, sort_output=True, no_location=True, include_lineno=False)
    return out.getvalue()


def update(folder: Path, wanted: Iterable[Key]) -> Iterator[tuple[Path, bytes]]:
    """The files of a language as they should be: a new sentence goes into ``messages.po``."""
    remaining = dict.fromkeys(wanted)
    catalogs = {path: read(path) for path in sorted(folder.glob("*.po"))}
    for catalog in catalogs.values():
        for message in [item for item in catalog if item.id]:
            if key_of(message) in remaining:
                remaining.pop(key_of(message))
            else:
                catalog.delete(message.id, message.context)
    if catalogs and remaining:
        first = next((path for path in catalogs if path.stem == "messages"), next(iter(catalogs)))
        for context, singular, plural in remaining:
            catalogs[first].add((singular, plural) if plural else singular, context=context or None)
    for path, catalog in catalogs.items():
        yield path, text_of(catalog)
        yield path.with_suffix(".mo"), compiled(catalog)


def main(arguments: list[str]) -> int:
    """Update or check every catalogue."""
    check, behind = "--check" in arguments, 0
    for package, keys in code_keys().items():
        for folder in sorted(item for item in PACKAGES[package].iterdir() if item.is_dir()):
            for path, wanted in update(folder, keys):
                if not path.exists() or path.read_bytes() != wanted:
                    behind += 1
                    print(f"{'behind' if check else 'written'}: {path.relative_to(ROOT)}")
                    if not check:
                        path.write_bytes(wanted)
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
