"""The catalogue of symptoms: every entry can be read, matched and acted on."""

import json
import re
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from string import Formatter

import pytest

from orchestrator.diagnosis.commands import risk_of
from orchestrator.i18n.languages import Language
from orchestrator.i18n.localized import Localized
from orchestrator.joblog.reader import read_log
from orchestrator.joblog.symptoms import (
    PART,
    Certainty,
    Role,
    Symptom,
    SymptomsFile,
    SymptomText,
    facts_of,
    families,
    symptoms,
)

DATA = files("orchestrator.joblog") / "data"
FAMILIES = families()
ALL = pytest.mark.parametrize("family", FAMILIES)
SPEED_CHARACTERS = 20_000


def texts(symptom: Symptom) -> Iterator[Localized]:
    yield from (symptom.name, symptom.meaning, *symptom.prevention)
    yield from (item.text for item in (*symptom.checks, *symptom.fixes))


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    """The JSON schema beside the data files is that of the model which reads them."""
    assert json.loads((DATA / "symptoms.schema.json").read_text("utf-8")) == SymptomsFile.model_json_schema()


def test_no_key_stands_in_two_families() -> None:
    """A key names one symptom."""
    keys = [symptom.key for symptom in symptoms()]
    assert sorted(key for key in set(keys) if keys.count(key) > 1) == []


def problems_of_example(symptom: Symptom) -> Iterator[str]:
    match = symptom.pattern.search(symptom.example)
    if match is None:
        yield "the example does not match"
        return
    low = symptom.example.lower()
    if not any(hint in low for hint in symptom.hints) or not all(hint == hint.lower() for hint in symptom.hints):
        yield "no hint is in the example, or one has capitals"
    if min(map(len, symptom.hints)) < PART or (symptom.needs and not any(word in low for word in symptom.needs)):
        yield "a hint is too short, or what is needed is not in the example"
    matched = match[0].lower()
    if symptom.in_match and not any(word in matched for word in symptom.in_match):
        yield "what is to be in the match is not"
    gate = symptom.gate_pattern
    if gate is not None and not any(code[1].lower() in symptom.in_match for code in gate.finditer(matched)):
        yield "the gate gives no code of the match"
    facts = facts_of(match)
    for words in (*symptom.name.root.values(), *symptom.meaning.root.values()):
        if not fields(words) <= set(symptom.pattern.groupindex):
            yield f"not captured: {fields(words)}"
        if not fields(re.sub(r"\[\[.*?\]\]", "", words)) <= set(facts):
            yield f"missing in the example, and in no clause of its own: {words}"


def problems_of_texts(symptom: Symptom) -> Iterator[str]:
    for text in texts(symptom):
        if not {language.value for language in Language} <= text.root.keys():
            yield f"a language is missing: {text.english}"
    if any(check.mutates or risk_of("", check.command) != "none" for check in symptom.checks):
        yield "a check changes something"
    for fix in symptom.fixes:
        if not fix.mutates and any(risk_of(words, fix.command) != "none" for words in fix.text.root.values()):
            yield f"a change that is not marked: {fix.text.english}"
    if symptom.role is Role.CAUSE and not (symptom.checks and symptom.fixes):
        yield "a cause without checks or fixes"


def seconds_of(pattern: re.Pattern[str], text: str) -> float:
    """The time of the processor for the first matches."""
    began = time.thread_time()
    for _ in zip(range(200), pattern.finditer(text), strict=False):
        """Only the time counts."""
    return time.thread_time() - began


def problems_of_speed(symptom: Symptom) -> Iterator[str]:
    pattern = symptom.pattern
    head = symptom.example[: max(8, len(symptom.example) // 2)]
    for text in (head * (SPEED_CHARACTERS // len(head)), " " * SPEED_CHARACTERS, "A1 " * (SPEED_CHARACTERS // 3)):
        if all(seconds_of(pattern, text) > 0.5 for _ in range(3)):
            yield f"slow on {text[:20]!r}"


def problems_in(family: str, problems_of: Callable[[Symptom], Iterator[str]]) -> dict[str, list[str]]:
    """What is wrong with each symptom of a family that something is wrong with."""
    problems = {symptom.key: list(problems_of(symptom)) for symptom in FAMILIES[family].symptoms}
    return {key: found for key, found in problems.items() if found}


@ALL
def test_every_example_is_recognised(family: str) -> None:
    """An example holds a hint and matches, and every fact of the sentences is in it or in a clause of its own."""
    assert problems_in(family, problems_of_example) == {}


@ALL
def test_every_text_stands_in_three_languages(family: str) -> None:
    """Names, meanings and advice are in three languages; a cause has checks and fixes, changes are marked."""
    assert problems_in(family, problems_of_texts) == {}


@ALL
def test_no_pattern_takes_longer_than_the_log_is_long(family: str) -> None:
    """No pattern backtracks over a long line, nor over many lines like the beginning of its example."""
    assert problems_in(family, problems_of_speed) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"dataset": "PRD.X"}, "The dataset PRD.X exists."),
        ({"dataset": "PRD.X", "step": "S1"}, "The dataset PRD.X exists (step S1)."),
        ({}, "The dataset … exists."),
    ],
)
def test_a_clause_whose_fact_is_missing_is_left_out(facts: dict[str, str], expected: str) -> None:
    """``[[ ... ]]`` is shown only with all of its facts."""
    template = Localized({"en": "The dataset {dataset} exists[[ (step {step})]]."})
    assert SymptomText(template, facts).in_language(Language.EN) == expected


def test_braces_in_a_log_are_no_fields() -> None:
    """A fact that holds braces is shown as it is."""
    template = Localized({"en": "The key {key} is wrong."})
    assert SymptomText(template, {"key": "{x}"}).in_language(Language.EN) == "The key {x} is wrong."


def test_the_example_of_a_cause_is_read_as_that_cause() -> None:
    """Read as a log, an example leads to its own symptom, or to one that says the same of it."""
    lost = []
    for symptom in symptoms():
        if symptom.role is not Role.CAUSE:
            continue
        code = symptom.return_codes[0] if symptom.return_codes else None
        platform = symptom.platforms[0] if symptom.platforms else None
        reading = read_log(symptom.example.splitlines(), return_code=code, platform=platform)
        weights = {item.symptom.key: item.weight for item in reading.sightings}
        if not weights.get(symptom.key):
            lost.append((symptom.key, weights))
    assert lost == []


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("MySQL 1062", "System error 1062 has occurred."),
        ("MySQL 1114", "LoadLibrary failed with error 1114: a DLL could not be initialised"),
        ("MySQL 1406", "Error 1406: Could not write value to key"),
        ("7zip wrong password", "Wrong password attempts: 0"),
        ("7zip cannot open archive", "Data Error rate: 0.00%"),
        ("openssl failure", "ImportError: bad magic number in 'lote': b'x'"),
        ("TLS handshake", 'Get "htp://api/x": unsupported protocol scheme "htp"'),
        ("flock busy", 'ERROR:  could not obtain lock on row in relation "movto"'),
        ("net service could not be started", "El servicio de facturacion finalizo correctamente"),
        ("Connection timed out", "connect timeout=10 retries=3"),
        ("script: file missing", "O arquivo /tmp/ctl.txt não existe, criando"),
        ("script: empty file", "Nenhum arquivo vazio encontrado"),
        ("SAP no authorization", "You are not authorized to perform this operation"),
        ("Informix -908/-951/-329", "Attempt to connect to database server (PRD1) failed over to PRD2"),
        ("no tty", "gpg: decryption failed: Inappropriate ioctl for device"),
    ],
)
def test_lines_of_another_program_or_of_no_failure_are_not_taken(key: str, line: str) -> None:
    """A number that several programs use, or a word of a setting or a count, is not one program's failure."""
    assert key not in {item.symptom.key for item in read_log([line], return_code=1).sightings}


def test_what_scripts_go_on_after_yields_to_what_ends_them() -> None:
    """The removal of a file that is gone stands in logs of jobs that end well: another error is the cause."""
    lines = (
        "cp: cannot stat '/dados/in/mov.txt': No such file or directory",
        "rm: cannot remove 'x.lck': No such file or directory",
    )
    assert next(item.first for item in read_log(lines, return_code=1).causes) == 0


@pytest.mark.parametrize(
    "line",
    [
        "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://api.example/v1",
        "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://api.example/v1",
        "java.net.BindException: Address already in use",
        "FAILED: SemanticException [Error 10001]: Line 1:14 Table not found 'stg_movto'",
    ],
)
def test_one_line_has_one_category(line: str) -> None:
    """Families that know the same message say the same of it; what knows no more than its words counts less."""
    known = [item for item in read_log([line], return_code=1).causes if item.symptom.certainty is not Certainty.HINT]
    assert len({item.symptom.category for item in known}) == 1


@pytest.mark.parametrize("module", ["", "IGG019AQ,"])
def test_an_io_error_names_its_step_and_dd_with_or_without_the_module(module: str) -> None:
    """IEC020I has job, step and DD behind its code; some systems write the module before them."""
    line = f"IEC020I 001-4,{module}CTBD010,PASSO1,ENTRADA,8123,PRD077,PRD.CTB.RETORNO"
    (item,) = read_log([line]).causes
    assert (item.facts["step"], item.facts["dd"], item.facts["dataset"]) == ("PASSO1", "ENTRADA", "PRD.CTB.RETORNO")
