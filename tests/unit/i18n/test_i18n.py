"""Catalogues: they hold every sentence of the code in every language, and a new language is a new folder."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, reduce
from gettext import NullTranslations
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import Any

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from orchestrator.errors import InvalidRequest, OutOfConnections, RunNotFound
from orchestrator.i18n import languages
from orchestrator.i18n.languages import Language
from orchestrator.i18n.localized import Localized
from orchestrator.i18n.message import Message, Text, join
from orchestrator.routing import language as routing_language

ROOT = Path(__file__).resolve().parents[3]
COMPLETE = ("es", "pt-BR")
"""Languages that lack nothing; another may be partial."""
NAMES = re.compile(r"--[a-z][a-z-]+|\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b")
CAPITALS = re.compile(r"\b[A-Z]{2,}[A-Z_0-9]+\b|\b\d+(?:\.\d+)?\b")
METAVARS = {"[OPTIONS]", "COMMAND [ARGS]..."}
"""Placeholders that are words of the language."""


@cache
def catalogues() -> ModuleType:
    """``scripts/catalogues.py``."""
    spec = importlib.util.spec_from_file_location("catalogues", ROOT / "scripts/catalogues.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def entries(tag: str) -> dict[tuple[str, str, str], Any]:
    """The translations of one language by key."""
    found: dict[tuple[str, str, str], Any] = catalogues().translations()[tag]
    return found


def texts_of(translation: str | tuple[str, ...]) -> tuple[str, ...]:
    return translation if isinstance(translation, tuple) else (translation,)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


NEVER_ONE = """\
{count} characters
{count} digits
{count} jobs
{count} names and codes
{count} items
{count} processes
{count} results
{count} runs
{count} queued runs
{count} sources are named
{count} sources queried in parallel
{count} times
{count} vectors
{count} watchers alive
{count} workers
{total} lines of the job log
{asked} queries have data
{asked} known series
{lines} lines read
""".splitlines()
"""Counts that are limits, or stand only where there are several."""


def test_a_count_has_its_noun_in_the_singular_too() -> None:
    """What may be one has a plural of its own: "1 error", "2 errors"."""
    script = catalogues()
    errors = script.error_names()
    sentences = {
        key
        for package in script.PACKAGES
        for path in script.sources(package)
        for key in script.sentences_in(path, errors)
    }
    counted = re.compile(r"\{(?:count|total|planned|asked|lines|pages|days)(?::[^}]*)?\} (?:[a-z]+ )?[a-z]{2,}s\b")
    several = re.compile("|".join(map(re.escape, NEVER_ONE)))
    wrong = [
        text
        for _, text, plural in sorted(sentences)
        if not plural and counted.search(several.sub("", text)) and not text.endswith(" pass")
    ]
    assert wrong == []


def test_catalogues_hold_what_the_code_says() -> None:
    """Each sentence of the code is in every catalogue, none is left over, and each ``.mo`` is its ``.po`` compiled.

    ``make catalogues`` brings them up to date.
    """
    assert [str(path.relative_to(ROOT)) for path, _ in catalogues().behind()] == []


def test_no_sentence_is_filled_in_before_it_has_a_language() -> None:
    """No error and no message is made of an f-string: what was filled in could not be translated any more."""
    assert list(catalogues().unfinished()) == []


def test_every_sentence_is_given_its_facts() -> None:
    """A message or error made with facts has all that its template names: a missing one would show its braces."""
    script, wrong = catalogues(), []
    errors = script.error_names()
    for path in (path for package in script.PACKAGES for path in script.sources(package)):
        for node in ast.walk(script.parse(path)):
            if isinstance(node, ast.Call) and script._is_sentence(node, errors) and node.keywords:
                facts = {item.arg for item in node.keywords} | {"count"}  # which a plural may get at its end
                plural = next((item.value for item in node.keywords if item.arg == "plural"), None)
                named = {
                    name for part in (node.args[0], plural) for text in script._texts(part) for name in fields(text)
                }
                if None not in facts and facts - {"plural", "context", "reason", "count"} and named - facts:
                    wrong.append((str(path.relative_to(ROOT)), node.lineno, named - facts))
    assert wrong == []


@pytest.mark.parametrize("tag", COMPLETE)
def test_every_sentence_is_translated(tag: str) -> None:
    """No entry of a language that we ship is empty, in any of its plural forms."""
    assert [key for key, translation in entries(tag).items() if not all(texts_of(translation))] == []


@pytest.mark.parametrize("tag", COMPLETE)
def test_translations_keep_the_facts(tag: str) -> None:
    """A translation names facts of its English alone, and all of them; what a library said may be left out."""
    wrong = []
    for (context, singular, plural), translation in entries(tag).items():
        known, optional = fields(singular) | fields(plural), {"detail", "count"}
        for text in texts_of(translation):
            own = fields(singular) if not plural else known & fields(text)
            if fields(text) - known or (own - optional) - fields(text):
                wrong.append((context, singular, text))
    assert wrong == []


@pytest.mark.parametrize("tag", COMPLETE)
def test_translations_keep_names(tag: str) -> None:
    """Options and variables are the same in every language."""
    wrong = [
        (singular, text)
        for (_, singular, plural), translation in entries(tag).items()
        for text in texts_of(translation)
        if set(NAMES.findall(singular + plural)) != set(NAMES.findall(text))
    ]
    assert wrong == []


@pytest.mark.parametrize("tag", COMPLETE)
def test_help_keeps_placeholders_and_numbers(tag: str) -> None:
    """So are, in help, the names of arguments and every number."""
    pages = [catalogues().read(folder / tag / "help.po") for folder in catalogues().PACKAGES.values()]
    texts = [(item.id, item.string) for page in pages for item in page if item.id and item.id not in METAVARS]
    wrong = [text for text in texts if sorted(CAPITALS.findall(text[0])) != sorted(CAPITALS.findall(text[1]))]
    assert len(texts) > 60
    assert wrong == []


def test_errors_are_told_in_their_own_words_by_default() -> None:
    """An error without a message says the first line of its docstring, in any language."""
    error = OutOfConnections()
    assert str(error) == "No further connection to Redis can be opened here; Redis itself may be well."
    assert error.message.in_language(Language.PT_BR).startswith("Não é possível abrir aqui outra conexão")


def test_errors_keep_their_facts() -> None:
    """The text of an error is English, for logs and JSON; its facts are there for a reader of another language."""
    error = RunNotFound.of("run-1")
    assert str(error) == "run 'run-1' is not stored: it never existed, has expired, or Redis lost it"
    in_spanish = "la ejecución 'run-1' no está guardada: nunca existió, expiró o Redis la perdió"
    assert error.message.in_language(Language.ES) == in_spanish


def test_what_others_said_is_left_alone() -> None:
    """A text that holds braces or begins like one of ours is not taken for a template."""
    text = "the change calendar answered {'code': 1}: run 'x' is not stored"
    assert InvalidRequest(text).message.in_language(Language.PT_BR) == text
    told = Message("the broker does not answer ({detail})", detail="{0} {name!r}").in_language(Language.PT_BR)
    assert told == "o broker não responde ({0} {name!r})"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Message(""), ""),
        (Message("waited {seconds:g} s", seconds=None), "waited None s"),
        (Message("waited {seconds:.1f} s", seconds="5"), "waited 5 s"),
        (Message("{share:.1%}", share=0.125), "12,5%"),
        (Message("told {whom!r}", whom=Message("the app")), "told 'o aplicativo'"),
        (Message("{code} {", code=1), "{code} {"),
        (Message("{0} {other}", code=1), "{0} {other}"),
        (Message("{n} job", plural="{n} jobs", n=2), "2 job"),
        (Message("{plural} {context} {self}").with_facts(plural="a", context="b", self="c"), "a b c"),
    ],
)
def test_a_sentence_with_unfit_facts_is_written_all_the_same(message: Message, text: str) -> None:
    """A fact of another type, of any name, or a missing one costs the reader that fact at most."""
    assert message.in_language(Language.PT_BR) == text


@pytest.mark.parametrize(
    "template",
    [
        "{name:>999999999}",
        "{number:.999999999f}",
        "{name:>{width}}",
        "{name.__class__}",
        "{name[0]}",
        "{message.in_language.__globals__}",
        "{number:c}",
    ],
)
def test_an_absurd_template_is_written_as_it_is(template: str) -> None:
    """A template from the store costs no memory, and reads nothing but its facts."""
    facts = {"name": "x", "number": 10**30, "width": 10**9, "message": Message("a")}
    assert Message(template).with_facts(**facts).in_language(Language.PT_BR) == template


def nested(template: str, depth: int) -> Message:
    message = Message("x")
    for _ in range(depth):
        message = Message(template, x=message)
    return message


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (nested("{x}{x}", 60), "{x}{x}"),
        (nested("{x}", 3_000), "{x}"),
        (reduce(lambda text, _: join((text, text)), range(60), join(("x",))), "[...]"),
        (nested("{x}{x}", 6), "x" * 64),
    ],
    ids=["doubled", "deep", "joined", "in bounds"],
)
def test_texts_within_texts_are_bounded(text: Text, written: str) -> None:
    """A text that doubles with each level ends as its template, in a moment."""
    began = time.thread_time()
    assert text.in_language(Language.EN) == written
    assert time.thread_time() - began < 2


def test_a_translation_with_other_facts_gives_way_to_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue's misspelt or broken fact is not the end of the command; of two plurals the right one is taken."""

    class Misspelt(NullTranslations):
        def gettext(self, message: str) -> str:
            return "nao ha {nomero}" if "number" in message else "{"

        def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
            return "{numero}"

    monkeypatch.setattr("orchestrator.i18n.message.translations", lambda _: Misspelt())
    told = [
        Message("there is no {number}", number=1.5),
        Message("gone: {name}", name="x"),
        Message("{count} job", plural="{count} jobs", count=1),
        Message("{count} job", plural="{count} jobs", count=2),
        Localized({"en": "code {code}"}).with_facts({"code": 4}),
    ]
    written = [message.in_language(Language.PT_BR) for message in told]  # type: ignore[attr-defined]
    assert written == ["there is no 1,5", "gone: x", "1 job", "2 jobs", "code 4"]


@pytest.mark.parametrize("content", [b"", b"garbage, and more of it", b"\xde\x12\x04\x95\0\0"])
def test_a_damaged_catalogue_leaves_its_sentences_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A compiled catalogue that cannot be read is logged; the others of the language are read."""
    shutil.copytree(ROOT / "orchestrator/i18n/locale/es", tmp_path / "es")
    (tmp_path / "es/answers.mo").write_bytes(content)
    monkeypatch.setattr(languages, "_roots", lambda: iter([tmp_path]))
    catalogue = languages.translations.__wrapped__(Language.ES)
    assert catalogue.gettext("Category") == "Category"
    assert catalogue.gettext("Missing argument") == "falta el argumento"
    assert "catalogue_unreadable" in caplog.text


def test_a_folder_is_a_language_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a BCP 47 tag names a language: what tools leave behind, or a locale's name, does not."""
    for name in ("pt-BR", "en", "zh-Hant", "__pycache__", ".git", "pt_PT", "notes 1", "es (copy)"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(languages, "_LOCALE", tmp_path)
    assert languages._tags() == {"PT_BR": "pt-BR", "EN": "en", "ZH_HANT": "zh-Hant"}


def test_plurals_follow_the_language() -> None:
    """The form for a number is the catalogue's: Portuguese and Spanish count zero with many."""
    message = Message(
        "String should have at most {count} character", plural="String should have at most {count} characters"
    )
    said = {
        language: message.with_facts(count=0).in_language(language)
        for language in (Language.PT_BR, Language.EN, Language.ES)
    }
    assert said == {
        Language.PT_BR: "no máximo 0 caracteres",
        Language.EN: "String should have at most 0 characters",
        Language.ES: "como máximo 0 caracteres",
    }


LANGUAGE_TOML = """
name = "français"
english_name = "French"
decimal_mark = ","
stop_words = ["le", "ne", "pas", "dans", "cette", "été"]
letters = "œ"
listing_headings = ["Table des matières"]

[[cues]]
weight = 3
words = ["le", "la", "pourquoi", "est", "en panne"]

[names]
jobs = ["travail", "travaux", "tâches?"]
called = ["nommée?s?"]
conjunctions = ["et"]

[times]
days = ["hier"]

[changes]
cancel = ['annul\\w+']
"""
FRENCH = {
    "Usage:": "Utilisation :",
    "Options": "Options ",
    "Ask a question and wait for the answer.": "Pose une question et attend la réponse.",
    "Missing argument": "il manque l'argument",
    "error: {message}": "erreur : {message}",
    "Category": "Catégorie",
    "Data exception (invalid numeric field)": "Exception de données",
    "Answer of the rules, without a language model.": "Réponse des règles, sans modèle de langage.",
}
"""A partial catalogue: everything else is in English."""


@pytest.fixture(scope="module")
def french(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python on a copy of the two packages to which a folder ``fr`` has been added."""
    root = tmp_path_factory.mktemp("french")
    for package in ("orchestrator", "workers"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = root / "orchestrator/i18n/locale/fr"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(root / "workers/locale/fr", ignore_errors=True)
    folder.mkdir()
    (folder / "language.toml").write_text(LANGUAGE_TOML, encoding="utf-8")
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    sentences = (
        f"msgid {json.dumps(key, ensure_ascii=False)}\nmsgstr {json.dumps(text, ensure_ascii=False)}\n"
        for key, text in FRENCH.items()
    )
    (folder / "messages.po").write_text("\n".join((header, *sentences)), encoding="utf-8")
    with (folder / "messages.po").open("rb") as source, (folder / "messages.mo").open("wb") as target:
        write_mo(target, read_po(source, locale="fr"))

    def call(code: str, *args: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(root),
            "LANG": "fr_CA.UTF-8",
            "PYTHONIOENCODING": "utf-8",
        }
        command = [sys.executable, "-c", code, *args]
        return subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, timeout=100, check=False)

    return call


@pytest.fixture
def broken_spanish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A copy of every ``language.toml``, of which that of Spanish is no TOML."""
    for language in Language:
        (tmp_path / language.value).mkdir()
        shutil.copy(ROOT / f"orchestrator/i18n/locale/{language.value}/language.toml", tmp_path / language.value)
    path = tmp_path / "es/language.toml"
    path.write_text(f"{path.read_text('utf-8')}\ncues = [", "utf-8")
    monkeypatch.setattr(languages, "_LOCALE", tmp_path)
    caches = (languages.language_facts, routing_language.language_cues, routing_language._words_of_tws)
    for cached in caches:
        cached.cache_clear()
    yield path
    for cached in caches:
        cached.cache_clear()


def test_a_broken_language_file_costs_its_own_language_alone(
    broken_spanish: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Questions in the others are recognised as ever; the log names the file and the line."""
    assert routing_language.detect_language("Why did job PAY01 fail yesterday?") is Language.EN
    assert routing_language.detect_language("Por que o job PAY01 falhou ontem?") is Language.PT_BR
    lines = [text for text in caplog.messages if text.startswith(f"language_unreadable path={broken_spanish} error=")]
    assert len(lines) == 1
    assert "line" in lines[0] or "end of document" in lines[0]


PROGRAM = "import sys; from orchestrator.cli.main import main; sys.exit(main())"


def test_a_new_folder_is_a_language_of_the_command_line(
    french: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Help and errors are French where the folder has the sentence, English elsewhere; the locale is recognised."""
    page = french(PROGRAM, "--help").stdout
    assert page.startswith("Utilisation : ")
    assert "Pose une question et attend la réponse." in page
    assert "Follow a run to its end." in page
    refused = french(PROGRAM, "submit")
    assert (refused.returncode, refused.stderr) == (2, "erreur : il manque l'argument 'MESSAGE'.\n")
    refused = french(PROGRAM, "submit", "x", "--language", "tlh")
    assert refused.stderr.endswith("must be 'pt-BR', 'en', 'es' or 'fr'\n")


ASK = """
import asyncio, json, sys
from orchestrator.client.fallback import run_in_process
from orchestrator.config import ParallelConfig, Settings
from orchestrator.models import TroubleshootRequest
config = ParallelConfig(node_timeout_seconds=20, total_timeout_seconds=60)
request = TroubleshootRequest(message=sys.argv[1], language=sys.argv[2] or None, config=config)
report = asyncio.run(run_in_process(request, Settings(redis_url="redis://127.0.0.1:1/0")))
entities = report.routing.entities.model_dump(mode="json")
print(json.dumps({"language": report.routing.language, "entities": entities, "response": report.response}))
"""


@pytest.mark.parametrize(
    ("question", "language", "jobs", "times"),
    [
        ("job PAY01 abend S0C7", "fr", ["PAY01"], []),
        ("Pourquoi le job PAY01 est en panne, S0C7 ?", "", ["PAY01"], []),
        # Without a digit these are names by the words around them alone; those of the other languages count as well.
        ("Pourquoi la tâche nommée PAIE est en panne hier, S0C7 ?", "", ["PAIE"], ["hier"]),
        ("Pourquoi les travaux PAIE et STOCKS, job VENTES est en panne, S0C7 ?", "", ["PAIE", "STOCKS", "VENTES"], []),
    ],
)
def test_a_new_folder_is_a_language_of_answers(
    french: Callable[..., subprocess.CompletedProcess[str]],
    question: str,
    language: str,
    jobs: list[str],
    times: list[str],
) -> None:
    """A question in it is recognised, with what it names, and answered in it; what it lacks is in English."""
    done = french(ASK, question, language)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["language"] == "fr"
    assert (report["entities"]["jobs"], report["entities"]["times"]) == (jobs, times)
    assert "**Catégorie:** Exception de données (`data_exception`" in report["response"]
    assert "Réponse des règles, sans modèle de langage." in report["response"]
    assert "## Steps" in report["response"]
    assert "no TWS instance is configured" in report["response"]


CHANGE = """
import sys
from orchestrator.diagnosis.rules.requested_changes import requested_changes
from orchestrator.diagnosis.rules.scene import build_scenes
from orchestrator.models import Entities
scenes = build_scenes((), ("PAIE",), sys.argv[1], Entities())
print([action.command for action in requested_changes(sys.argv[1], scenes, Entities())])
"""


def test_a_new_folder_brings_its_words_for_changes(french: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """What an operator is asked for in it is proposed as conman's command."""
    done = french(CHANGE, "annule la tâche PAIE")
    assert (done.stdout, done.stderr) == ("['conman cj PAIE']\n", "")


READ = """
from workers.knowledge.ranking.analysis import index_tokens
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.readers import read_document
for path, text in (("a.md", "# Le travail\\n\\nNe démarre pas."), ("fr/a.md", "# x\\n\\n## Table des matières\\n\\nx")):
    document = read_document(path, text.encode())
    print(document.language, len(cut_sections(document.sections)), index_tokens("pas été ici", "fr"))
"""


def test_a_new_folder_is_a_language_of_the_knowledge_base(
    french: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Pages are recognised by its stop words or its folder; its stop words and tables of contents are left out."""
    done = french(READ)
    assert (done.stdout, done.stderr) == ("fr 1 ['ici']\nfr 0 ['ici']\n", "")
