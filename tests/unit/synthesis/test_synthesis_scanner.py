"""The scanner hands out complete parts of a JSON object while it is being written."""

from __future__ import annotations

import json
import random
import time

import pytest

from workers.synthesis.scanner import AnswerScanner, Part

ANSWER = {
    "summary": 'Falhou com S0C7. Ver PRD.FATURA "hoje" às 10.30h. Três: ação, {chaves} e [colchetes].',
    "nested": {"claims": [{"text": "não é do topo"}], "x": [1, [2]]},
    "confidence": 0.8,
    "claims": [{"text": 'a \\ " } ]', "evidence_ids": ["tws_status:1"]}, {"text": "b", "evidence_ids": []}],
    "prevention": ["um. dois.", "três 😀"],
    "empty": [],
    "none": None,
}
EXPECTED = [
    Part("summary", "Falhou com S0C7."),
    Part("summary", 'Ver PRD.FATURA "hoje" às 10.30h.'),
    Part("summary", "Três: ação, {chaves} e [colchetes]."),
    Part("claims", ANSWER["claims"][0]),
    Part("claims", ANSWER["claims"][1]),
    Part("prevention", "um. dois."),
    Part("prevention", "três 😀"),
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 100_000])
def test_parts_do_not_depend_on_where_deltas_are_cut(size: int, indent: int | None, *, ascii_only: bool) -> None:
    """However the text is cut, the same complete parts come out, in order."""
    text = json.dumps(ANSWER, ensure_ascii=ascii_only, indent=indent)
    scanner, parts = AnswerScanner(), []
    for start in range(0, len(text), size):
        parts += scanner.feed(text[start : start + size])
    assert parts == EXPECTED
    assert scanner.is_complete
    assert scanner.text == text


def test_parts_come_as_soon_as_they_are_complete() -> None:
    """A sentence is handed out at the space after it, an element at its closing brace."""
    scanner = AnswerScanner()
    assert scanner.feed('{"summary": "Um.') == []
    assert scanner.feed(" D") == [Part("summary", "Um.")]
    assert scanner.feed('ois", "claims": [{"text": "x"') == [Part("summary", "Dois")]
    assert scanner.feed("}") == [Part("claims", {"text": "x"})]
    assert not scanner.is_complete


@pytest.mark.parametrize(
    "before",
    [
        "```json\n",
        "Claro, segue {o objeto}, {\n}: ",
        '<think>talvez {"summary": "não."} ou</think>\n',
        "  <thinking>{</thinking>",
    ],
)
def test_what_stands_before_the_object_is_skipped(before: str) -> None:
    """Prose, a code fence and a reasoning block give no part."""
    scanner, parts = AnswerScanner(), []
    for char in before + '{"summary": "Sim."}':
        parts += scanner.feed(char)
    assert parts == [Part("summary", "Sim.")]


@pytest.mark.parametrize("end", ["\\n", "\\t", '\\" ', "» ", " "])
@pytest.mark.parametrize("size", [1, 100])
def test_a_sentence_ends_at_written_white_space_too(end: str, size: int) -> None:
    """An escaped line break or quote ends a sentence as the character itself does."""
    text, scanner, parts = f'{{"summary": "Um.{end}Dois C:\\\\dir.\\\\nome"}}', AnswerScanner(), []
    for start in range(0, len(text), size):
        parts += scanner.feed(text[start : start + size])
    assert [part.value for part in parts] == [json.loads(f'"Um.{end}"').strip(), "Dois C:\\dir.\\nome"]
    assert scanner.holds_answer


def test_what_follows_the_object_is_ignored() -> None:
    """After the object's end nothing more is handed out."""
    scanner = AnswerScanner()
    assert scanner.feed('{"summary": "Sim."} {"summary": "Outra."}') == [Part("summary", "Sim.")]
    assert scanner.feed('{"summary": "Mais."}') == []


def test_broken_text_never_raises() -> None:
    """Random pieces of JSON give parts or none, never an error."""
    rng = random.Random(7)
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"',
        "\\",
        ":",
        ",",
        '"claims"',
        '"a"',
        "x",
        "\\u12",
        "\\ud83d",
        "\\ude00",
        " ",
        "1",
        ". ",
    ]
    for _ in range(3_000):
        scanner = AnswerScanner()
        for _ in range(rng.randint(1, 25)):
            scanner.feed(rng.choice(pieces))


def test_a_long_string_costs_no_more_than_its_length() -> None:
    """A huge unfinished string, delta by delta, is read in bounded time."""
    scanner = AnswerScanner()
    scanner.feed('{"summary": "')
    started = time.thread_time()
    for _ in range(10_000):
        for char in "a b. ":
            scanner.feed(char)
    assert time.thread_time() - started < 1.0
