"""Bring the catalogues of every language up to date with the code, and compile them.

    scripts/catalogues.py            add the sentences that are new, drop those that are gone, compile *.mo
    scripts/catalogues.py --check    change nothing; status 1 when a catalogue is behind the code

The sentences are the English templates in the code: the first argument of ``Message`` and of our errors, the first
lines of our errors' docstrings, the help of commands and options, click's own texts, and the texts of data files that
lack the language. A new one is added to each language with an empty translation, which reads as English.
"""

# ruff: noqa: T201  # results are printed
from __future__ import annotations

import ast
import io
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"orchestrator": ROOT / "orchestrator/i18n/locale", "workers": ROOT / "workers/locale"}
ERROR_BASE = "TroubleshootError"
COMMANDS_GROUP = "resync_troubleshoot.commands"
CLICK_MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "types")
PROGRAMMING_ERRORS = ("RuntimeError", "TypeError", "ValueError")
"""Errors of click for whoever defines a command, not for its user."""
HOMES = {
    "orchestrator/cli": "terminal",
    "orchestrator/codes": "answers",
    "orchestrator/diagnosis": "answers",
    "orchestrator/run": "runs",
    "workers/cli": "reports",
    "workers/doctor": "doctor",
    "workers/sources": "sources",
}
"""Catalogue of a new sentence by the folder of its code; of every other, ``errors``."""

Key = tuple[str, str, str]
"""Context, English template, English plural; empty where there is none."""


def sources(package: str) -> list[Path]:
    """The Python files of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def error_names() -> set[str]:
    """Names of the classes that derive from our base error."""
    bases: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.ClassDef):
                    bases.setdefault(node.name, set()).update(_last_name(base) for base in node.bases)
    names = {ERROR_BASE}
    while more := {name for name, parents in bases.items() if parents & names} - names:
        names |= more
    return names


def sentences_in(path: Path, errors: set[str]) -> Iterator[Key]:
    """The sentences in one file."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and _is_sentence(node, errors):
            keywords = {item.arg: item.value for item in node.keywords}
            context, plural = (next(_texts(keywords.get(name)), "") for name in ("context", "plural"))
            yield from ((context, text, plural) for text in _texts(node.args[0]))
        elif isinstance(node, ast.ClassDef) and node.name in errors:
            yield "", (ast.get_docstring(node) or "").strip().partition("\n")[0], ""


def help_in(path: Path) -> Iterator[Key]:
    """The help of the commands in one file."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            helps = [item.value for item in node.keywords if item.arg in ("help", "short_help", "epilog")]
            yield from (("", " ".join(text.split()), "") for value in helps for text in _texts(value))
        elif isinstance(node, ast.FunctionDef) and any(_is_command(item) for item in node.decorator_list):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                yield "", " ".join(paragraph.split()), ""


def summaries(package: str) -> Iterator[Key]:
    """One-line help of the installed commands: the first lines of their modules' docstrings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, value in project["entry-points"][COMMANDS_GROUP].items():
        module = value.partition(":")[0]
        if module.partition(".")[0] == package:
            docstring = ast.get_docstring(parse(ROOT / f"{module.replace('.', '/')}.py")) or ""
            line = docstring.partition("\n")[0].removeprefix(f"``{name}``: ")
            yield "", line[:1].upper() + line[1:], ""


def click_sentences() -> Iterator[Key]:
    """click's own texts that a user may meet."""
    for name in CLICK_MODULES:
        tree = parse(Path(click.__file__).parent / f"{name}.py")
        raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
        ours = {
            id(part)
            for error in raised
            if isinstance(error, ast.Call) and _last_name(error.func) in PROGRAMMING_ERRORS
            for part in ast.walk(error)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and id(node) not in ours and _last_name(node.func) in ("_", "ngettext"):
                texts = [next(_texts(item), "") for item in node.args[:2]]
                yield "", texts[0], texts[1] if len(texts) > 1 else ""


def data_sentences(package: str, tag: str) -> Iterator[Key]:
    """The texts of data files, objects of language tag to text, that lack the language ``tag``."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / package).rglob("data/*.json"))]
    while parts:
        part = parts.pop()
        if isinstance(part, dict) and isinstance(part.get("en"), str) and tag not in part:
            yield "", part["en"], ""
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def unfinished() -> Iterator[str]:
    """Places where a sentence's facts are filled in before it has a language."""
    errors = error_names()
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(parse(path)):
                if (
                    isinstance(node, ast.Call)
                    and _is_sentence(node, errors)
                    and isinstance(node.args[0], ast.JoinedStr)
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"


def _is_sentence(node: ast.Call, errors: set[str]) -> bool:
    is_alternative = isinstance(node.func, ast.Name) and node.func.id == "cls"
    return bool(node.args) and (is_alternative or _last_name(node.func) in {"Message", *errors})


def _is_command(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last_name(node.func) in ("command", "group")


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _texts(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def code_keys() -> dict[str, dict[Key, str]]:
    """Every sentence of each package with the catalogue that a new one goes to; one that both have is the first's."""
    errors, seen = error_names(), set[Key]()
    keys: dict[str, dict[Key, str]] = {}
    for package in PACKAGES:
        homes = [(key, "help") for key in summaries(package)]
        if package == "orchestrator":
            homes += [(key, "click") for key in click_sentences()]
        for path in sources(package):
            folder = "/".join(path.relative_to(ROOT).parts[:2])
            homes += [(key, HOMES.get(folder, "errors")) for key in sentences_in(path, errors)]
            homes += [(key, "help") for key in (help_in(path) if "cli" in path.parts else ())]
        # A sentence needs a word of its own to be translated.
        worded = {key: home for key, home in reversed(homes) if re.search(r"[^\W\d_]", re.sub(r"{.*?}", "", key[1]))}
        keys[package] = {key: home for key, home in worded.items() if key not in seen}
        seen |= set(worded)
    return keys


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


def read(path: Path, content: bytes | None = None) -> Catalog:
    """The catalogue in ``path``, or the one that is to have this ``content``."""
    file = io.BytesIO(path.read_bytes() if content is None else content)
    catalog = read_po(file, locale=path.parent.name.replace("-", "_"))
    lean = empty(path, plurals_of=catalog)
    lean.header_comment = catalog.header_comment
    for message in catalog:
        if message.id:
            lean[message.id] = message
    return lean


def empty(path: Path, *, plurals_of: Catalog | None) -> Catalog:
    """A catalogue without sentences."""
    lean = LeanCatalog(
        locale=path.parent.name.replace("-", "_"), header_comment=f"# {path.stem}", charset="utf-8", fuzzy=False
    )
    if plurals_of is not None:
        lean._num_plurals, lean._plural_expr = plurals_of.num_plurals, plurals_of.plural_expr  # noqa: SLF001  # no setters
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


def update(folder: Path, homes: Mapping[Key, str], known: Mapping[Key, object]) -> Iterator[tuple[Path, bytes]]:
    """The files of a language as they should be; ``known`` are its translations, wherever they stand today."""
    catalogs = {path.stem: read(path) for path in sorted(folder.glob("*.po"))}
    remaining = dict(homes)
    for catalog in catalogs.values():
        for message in [item for item in catalog if item.id]:
            if remaining.pop(key_of(message), None) is None:
                catalog.delete(message.id, message.context)
    for (context, singular, plural), home in remaining.items():
        if home not in catalogs:
            catalogs[home] = empty(folder / f"{home}.po", plurals_of=next(iter(catalogs.values()), None))
        catalogs[home].add(
            (singular, plural) if plural else singular, known.get((context, singular, plural)), context=context or None
        )
    for name, catalog in catalogs.items():
        path, content = folder / f"{name}.po", text_of(catalog)
        yield path, content
        yield path.with_suffix(".mo"), compiled(read(path, content))


def folders(package: str) -> list[Path]:
    """The folders of a package's languages; English needs no catalogue."""
    return sorted(item for item in PACKAGES[package].iterdir() if item.is_dir() and item.name != "en")


def translations() -> dict[str, dict[Key, object]]:
    """The translations that each language has, by its tag."""
    by_tag: dict[str, dict[Key, object]] = {}
    for package in PACKAGES:
        for folder in folders(package):
            for path in folder.glob("*.po"):
                by_tag.setdefault(folder.name, {}).update({key_of(item): item.string for item in read(path) if item.id})
    return by_tag


def behind() -> Iterator[tuple[Path, bytes]]:
    """The files that differ from what the code needs, with the content that they should have."""
    known = translations()
    for package, homes in code_keys().items():
        for folder in folders(package):
            of_language = dict.fromkeys(data_sentences(package, folder.name), "data") | homes
            for path, content in update(folder, of_language, known.get(folder.name, {})):
                if not path.exists() or path.read_bytes() != content:
                    yield path, content


def main(arguments: list[str]) -> int:
    """Update or check every catalogue."""
    is_check, files = "--check" in arguments, list(behind())
    for path, content in files:
        print(f"{'behind' if is_check else 'written'}: {path.relative_to(ROOT)}")
        if not is_check:
            path.write_bytes(content)
    return 1 if is_check and files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
