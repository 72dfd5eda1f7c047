"""``--help`` and errors in the terminal's language: every command and option has its text in all three."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from cli_support import Cli, Result, run_command

from orchestrator.cli import main
from orchestrator.cli.context import CliContext
from orchestrator.cli.main import cli as program
from orchestrator.i18n import languages
from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message

FIRST, LAST = ", ".join(repr(language.value) for language in list(Language)[:-1]), repr(list(Language)[-1].value)
"""The languages, as an error lists them."""
LOCALES = {Language.EN: "en_US.UTF-8", Language.PT_BR: "pt_BR.UTF-8", Language.ES: "es_ES.UTF-8"}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*args: str, **environ: str) -> Result:
        return run_command(capsys, args, CliContext(environ))

    return call


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command of the program by its words, groups and the program itself included."""
    found: dict[tuple[str, ...], click.Command] = {}

    def visit(words: tuple[str, ...], command: click.Command) -> None:
        found[words] = command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=words[-1] if words else None)
            for name in command.list_commands(context):
                part = command.get_command(context, name)
                assert part is not None
                visit((*words, name), part)

    visit((), program)
    return found


COMMANDS = commands()


def texts() -> Iterator[tuple[str, str]]:
    """Every text of every page of help, and where it stands."""
    for words, command in COMMANDS.items():
        where = " ".join(words) or "(program)"
        assert command.help, where
        for part in command.help.split("\n\n"):
            yield where, " ".join(part.split())
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{where} {parameter.opts[0]} has no help"
                yield f"{where} {parameter.opts[0]}", parameter.help
        if len(words) == 1:
            yield f"{where}, in the list", summary(words[0])
        elif words:
            assert command.short_help, f"{where} has no short_help: click would cut its help"
            yield f"{where}, in the list", command.short_help


def summary(name: str) -> str:
    own = main._OWN_COMMANDS.get(name)
    return str(main._one_line_help(main._installed()[name]) if own is None else own[1])


TEXTS = list(texts())


def test_every_command_and_option_has_a_help() -> None:
    """Every page has its text; that each is translated, the catalogues' test says."""
    assert len(COMMANDS) > 18
    assert all(text for _, text in TEXTS)


def test_a_command_that_was_parsed_before_still_has_its_help_in_every_language(cli: Cli) -> None:
    """click keeps the ``--help`` option of a command, with its text, from the first time that it parses."""
    program.make_context("program", ["--help"], resilient_parsing=True)
    assert "Mostra esta ajuda e termina." in " ".join(cli("--help", LANG=LOCALES[Language.PT_BR]).out.split())


@pytest.mark.parametrize("language", list(LOCALES))
@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
def test_help_is_in_the_language_of_the_locale(cli: Cli, words: tuple[str, ...], language: Language) -> None:
    """Every page, its headings and what click adds included, is in one language; the names of options are the same."""
    result = cli(*words, "--help", LANG=LOCALES[language])
    assert result.code == 0
    page = " ".join(result.out.split())
    usage, options, help_text = {
        Language.EN: ("Usage: ", "Options:", "Show this message and exit."),
        Language.PT_BR: ("Uso: ", "Opções:", "Mostra esta ajuda e termina."),
        Language.ES: ("Uso: ", "Opciones:", "Muestra esta ayuda y termina."),
    }[language]
    assert page.startswith(usage)
    assert options in page
    assert help_text in page
    where = " ".join(words) or "(program)"
    for place, english in TEXTS:
        if place == where or place.startswith(f"{where} --"):
            assert Message(english).in_language(language) in page, english
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option):
            assert all(name in page for name in parameter.opts)
    assert "RANGE" not in page, "a placeholder of click's own, which is English"


def test_defaults_are_told_in_the_language(cli: Cli) -> None:
    """What click appends to an option, its default and its range, is translated as well."""
    assert "[padrão: 3.0; 0.2<=x<=60]" in " ".join(cli("doctor", "--help", LANG="pt_BR").out.split())
    assert "[por omisión: 20; 1<=x<=1000]" in " ".join(cli("list", "--help", LANG="es").out.split())


@pytest.mark.parametrize(
    ("args", "english", "portuguese", "spanish"),
    [
        ("submit", "Missing argument 'MESSAGE'.", "falta o argumento 'MESSAGE'.", "falta el argumento 'MESSAGE'."),
        ("submti", "No such command 'submti'", "não existe o comando 'submti'", "no existe el comando 'submti'"),
        ("list --limits 3", "No such option '--limits'. Did you mean", "não existe a opção '--limits'.", "¿Quizá"),
        ("submit x --jop y", "Did you mean one of: '--job'", "(Seria uma destas: '--job'", "(¿Quizá una de estas: "),
        ("submit --job", "requires an argument", "a opção '--job' pede um valor", "'--job' pide un valor"),
        ("list --json=1", "does not take a value", "a opção '--json' não leva valor", "'--json' no lleva valor"),
        ("list more", "Got unexpected extra argument (more)", "argumento a mais (more)", "argumento de más (more)"),
        ("list more 2", "Got unexpected extra arguments", "argumentos a mais (more 2)", "argumentos de más (more 2)"),
        ("list --limit x", "'x' is not a valid integer range", "'--limit': 'x' não é", "'--limit': 'x' no es"),
        ("submit x --reserve x", "'x' is not a valid float", "'--reserve': 'x' não é um número", "no es un número"),
        ("doctor --timeout x", "is not a valid float range", "'x' não é um número", "'x' no es un número"),
        ("demo --scenario x", "'x' is not a valid integer.", "'x' não é um número inteiro", "un número entero"),
        ("list --limit 0", "0 is not in the range", "valor inválido para '--limit': 0 está fora", "valor no válido"),
        ("worker a --pool x", "'x' is not one of", "valor inválido para '--pool': 'x' não é um de", "no es uno de"),
        ("kb index /nowhere", "Directory '/nowhere' does not exist", "o diretório '/nowhere' não existe", "no existe"),
        ("kb index /etc/passwd", "Directory '/etc/passwd' is a file", "é um arquivo, não um", "es un archivo, no un"),
        ("logs ingest /nowhere", "File '/nowhere' does not exist", "o arquivo '/nowhere' não existe", "no existe"),
        ("logs ingest /", "File '/' is a directory", "'/' é um diretório, não um arquivo", "'/' es un directorio"),
        (
            "submit x --job ../x",
            "is not a TWS job name",
            "'../x' não é um nome de job do TWS",
            "no es un nombre de job",
        ),
        ("submit x --node-timeout -1", "must be greater than 0", "-1.0 não é aceito: deve ser maior", "no se acepta"),
        ("submit x --rag-limit 0", "greater than or equal to 1", "0 não é aceito: deve ser pelo menos 1", "al menos 1"),
        ("submit x --total-timeout nan", "a finite number", "deve ser um número finito", "debe ser un número finito"),
        ("submit x --total-timeout 4", "must be less than", "(5) deve ser menor que", "(5) debe ser menor que"),
        ("submit x --reserve 10", "must be less than", "(10) deve ser menor que", "(10) debe ser menor que"),
        (
            "submit x --language tlh",
            f"{FIRST} or {LAST}",
            f"'tlh' não é aceito: deve ser {FIRST} ou {LAST}",
            f"{FIRST} o {LAST}",
        ),
        ("submit x --disable y", "no source is named", "nenhuma fonte se chama 'y'", "ninguna fuente se llama 'y'"),
        ("submit x --run-id a", "must be 8 to 64 letters", "'a' deve ter de 8 a 64 letras", "'a' debe tener de 8 a 64"),
        (
            "submit x --redis-url http://x",
            "must start with",
            "deve começar com redis://, rediss://",
            "debe empezar por redis://",
        ),
        ("get nope", "is no run id", "'nope' não é o id de uma execução", "'nope' no es el id de una ejecución"),
        ("worker", "name at least one queue", "diga ao menos uma fila", "diga al menos una cola"),
        ("worker metric", "no queue is named 'metric'", "nenhuma fila se chama 'metric'", "ninguna cola se llama"),
        ("worker a --all", "not both", "não os dois", "no ambos"),
        ("worker metrics --name a@b", "may hold neither", "'a@b' não pode conter", "'a@b' no puede contener"),
        ("up --worker metrics=x", "expected QUEUE=N", "esperado QUEUE=N com N de 0 a 64", "se espera QUEUE=N con N"),
        ("up --demo-data --redis-url redis://h", "made-up history", "precisa do Redis embutido", "Redis integrado"),
        ("demo --scenario 99", "there is no scenario 99", "não há cenário 99", "no hay escenario 99"),
        ("doctor --only x", "no check is named 'x'", "nenhuma verificação se chama 'x'", "ninguna comprobación"),
        (
            "kb index /",
            "RESYNC_KNOWLEDGE_PATH is not set",
            "RESYNC_KNOWLEDGE_PATH não está definida",
            "no está definida",
        ),
        ("kb search x --path /no", "is not a file", "/no não é um arquivo; crie-o com:", "/no no es un archivo"),
    ],
)
def test_errors_are_in_the_language_of_the_locale(
    cli: Cli, args: str, english: str, portuguese: str, spanish: str
) -> None:
    """A wrong command line is told of on one line in the terminal's language, click's words included."""
    for locale, words in (("C", english), ("pt_BR.UTF-8", portuguese), ("es_MX.UTF-8", spanish)):
        result = cli(*args.split(), LC_ALL=locale)
        assert words in result.err
        assert len(result.err.splitlines()) == 1
        assert result.code in (2, 7)


@pytest.mark.parametrize(
    ("variable", "value", "portuguese"),
    [
        ("RESYNC_NODE_TIMEOUT_SECONDS", "-1", "deve ser maior que 0"),
        ("RESYNC_NODE_TIMEOUT_SECONDS", "soon", "deve ser um número"),
        ("RESYNC_MAX_OPEN_RUNS", "1.5", "deve ser um número inteiro"),
        ("RESYNC_REDIS_TIMEOUT_SECONDS", "60", "deve ser no máximo 30"),
        ("RESYNC_REDACT_PERSONAL_DATA", "perhaps", "deve ser true ou false"),
    ],
)
def test_wrong_variable_is_told_in_the_language(cli: Cli, variable: str, value: str, portuguese: str) -> None:
    """A wrong setting names its variable and what it must be, in the terminal's language."""
    result = cli("list", LANG="pt_BR.UTF-8", **{variable: value})
    assert (result.code, result.err) == (2, f"erro: {variable}: {portuguese}\n")


def test_reports_are_in_the_language_and_aligned(cli: Cli, tmp_path: Path) -> None:
    """What a command reports follows the locale too, in columns that are as wide as its longest word."""
    (tmp_path / "page.md").write_text("# S0C7\n\nNon-numeric data in a packed field.\n")
    path = ("--path", str(tmp_path / "index"))
    first = cli("kb", "index", str(tmp_path), *path, "--no-runbooks", LANG="pt_BR")
    assert first.err == "[1/1] indexado page.md (1 trecho)\n"
    assert first.out == f"{tmp_path / 'index'}: 1 indexado (1 trecho), 0 sem mudança, 0 removidos\n"
    lines = cli("kb", "stats", *path, LANG="es_ES").out.splitlines()
    assert lines[0].startswith("tipo        sqlite")
    assert {re.match(r"\S+ +", line).end() for line in lines} == {len("actualizada ")}  # type: ignore[union-attr]


def test_colons_of_the_user_are_not_ours(cli: Cli) -> None:
    """A value with a thousand colons is told of on one line like any other."""
    result = cli("list", "--limit", "a: " * 1_000, LANG="pt_BR")
    assert result.code == 2
    assert result.err.startswith("erro: valor inválido para '--limit': 'a: a: ")


@pytest.mark.parametrize("args", ["get nope", "list --limit 0", "submit", "demo --scenario 99", "submit x --job ../x"])
def test_json_does_not_follow_the_locale(cli: Cli, args: str) -> None:
    """An error as JSON is the same in every locale, for programs."""
    shown = {cli(*args.split(), "--json", LANG=locale).out for locale in ("C", "pt_BR", "es")}
    (only,) = shown
    assert json.loads(only)["error"]["message"]


@pytest.mark.parametrize(("locale", "word"), [("C", "version"), ("pt_BR", "versão"), ("es", "versión")])
def test_version_is_in_the_language_of_the_locale(cli: Cli, locale: str, word: str) -> None:
    """click fills this text in by ``%``, and has it at import, before there is a language."""
    assert cli("--version", LANG=locale).out.startswith(f"resync-troubleshoot, {word} ")


def test_page_for_no_command_is_in_the_language(cli: Cli) -> None:
    """The help that stands in for a missing command follows the locale too."""
    assert cli(LANG="pt_BR").err.startswith("Uso: resync-troubleshoot [OPÇÕES] COMANDO")
    assert cli("logs", LANG="es_AR").err.startswith("Uso: resync-troubleshoot logs [OPCIONES] COMANDO")


def test_installed_command_brings_its_own_words(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A site's command is in the words of the package that its entry point names; without one it is in English."""
    site = click.Command("site", help="A site's own.", params=[click.Option(["--here"], help="Where it is.")])
    monkeypatch.setitem(main._OWN_COMMANDS, "site", ("site_words:command", Message("A site's own.")))
    package = tmp_path / "site_words"
    (package / "locale/pt-BR").mkdir(parents=True)
    (package / "__init__.py").touch()
    catalog = Catalog(locale="pt_BR")
    catalog.add("A site's own.", "Do site.")
    with (package / "locale/pt-BR/help.mo").open("wb") as file:
        write_mo(file, catalog)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("site_words").command = site  # type: ignore[attr-defined]
    for value, text in (("site_words", "Do site."), ("site_words_half_installed", "A site's own.")):
        points = [EntryPoint("site", value, languages.WORDS_GROUP)]
        monkeypatch.setattr(languages, "entry_points", lambda group, points=points: points)
        languages.translations.cache_clear()
        page = cli("site", "--help", LANG="pt").out
        assert page.startswith("Uso:")
        assert text in page
        assert "--here TEXT  Where it is." in page
    languages.translations.cache_clear()


def test_a_question_without_quotes_shows_no_secret(cli: Cli) -> None:
    """Each word of it is an argument too many, which click repeats."""
    result = cli("submit", "job", "falhou,", "senha:", "girassol2024", "--json", LC_ALL="pt_BR.UTF-8")
    assert "argumentos a mais" in result.err
    assert "girassol2024" not in result.err + result.out
