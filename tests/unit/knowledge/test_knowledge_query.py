"""From a question to a query: codes, names, states, words and their translations."""

from __future__ import annotations

import time

import pytest

from orchestrator.codes.patterns import find_codes_to_look_up
from workers.knowledge.ranking.analysis import guess_language, index_tokens, stem_english, stem_portuguese
from workers.knowledge.ranking.codes import find_code_tokens, find_states
from workers.knowledge.ranking.glossary import load_glossary, parse_glossary
from workers.knowledge.ranking.query import MAX_CONCEPTS, MAX_TEXT, build_query


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("ABEND S0C7 no passo", ("S0C7",)),
        ("deu SOC7 de novo", ("S0C7",)),
        ("abend 0C4", ("S0C4",)),
        ("IEC030I B37-04,DDOUT", ("IEC030I", "SB37")),
        ("E37 no PDS", ("SE37",)),
        ("AWSBHT001E e AWSBDW009E", ("AWSBHT001E", "AWSBDW009E")),
        ("U4038 depois de CEE3207S", ("U4038", "CEE3207S")),
        ("a SEDE e a SACA", ()),
        ("abend ontem", ()),
        ("S322 S322 S322", ("S322",)),
    ],
)
def test_codes_are_found_in_one_spelling(text: str, codes: tuple[str, ...]) -> None:
    """Abends and message ids are found whatever way they are written, and words are not taken for codes."""
    assert find_codes_to_look_up(text) == codes


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("RC 137", "rc137"),
        ("RC=137", "rc137"),
        ("return code: 4", "rc4"),
        ("exit status 127", "rc127"),
        ("terminou com código de retorno 12", "rc12"),
        ("código de saída 255", "rc255"),
        ("saiu com código 143", "rc143"),
        ("MAXCC 8", "rc8"),
        ("RC -1073741819", "ntc0000005"),
        ("0xC000013A", "ntc000013a"),
        ("return code 3221225786", "ntc000013a"),
    ],
)
def test_return_codes_meet_in_one_token(text: str, token: str) -> None:
    """A return code is one token in every wording; Windows codes meet in hexadecimal."""
    assert token in find_code_tokens(text)


def test_plain_numbers_are_no_return_codes() -> None:
    """A number without a word for return code is no code."""
    assert find_code_tokens("processou 137 registros em 12 minutos") == ()


def test_states_count_only_in_capitals() -> None:
    """HOLD is a state, hold a word; ABEND tells nothing about which page is meant."""
    assert find_states("job em HOLD") == ("statehold",)
    assert find_states("please hold the line, ABEND") == ()


@pytest.mark.parametrize(
    ("forms", "stem"),
    [
        (("falhou", "falha", "falhas", "falhando", "falhar", "falharam"), stem_portuguese),
        (("conexao", "conexoes"), stem_portuguese),
        (("travado", "travou", "travada", "travando"), stem_portuguese),
        (("failed", "failing", "fails", "fail"), stem_english),
        (("stopped", "stopping", "stops"), stem_english),
        (("dependencies", "dependency"), stem_english),
    ],
)
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...], stem: object) -> None:
    """The forms of one word meet in one stem."""
    assert callable(stem)
    assert len({stem(form) for form in forms}) == 1


def test_tokens_with_digits_stay_whole() -> None:
    """Codes and identifiers are never stemmed, and stop words are left out."""
    assert index_tokens("O job BATCH001S com S0C7s", "pt") == ["job", "batch001s", "s0c7s"]


def test_languages_are_told_apart() -> None:
    """Portuguese, English and Spanish are recognised, and the default decides when nothing tells."""
    assert guess_language("por que o job não inicia na estação") == "pt"
    assert guess_language("why does the job not start on this workstation") == "en"
    assert guess_language("por qué el trabajo no arranca en la estación y falla") == "es"
    assert guess_language("S0C7", "pt") == "pt"


def test_the_glossary_adds_the_other_languages_words() -> None:
    """A Portuguese phrase is searched by its English words too, at the place of its own."""
    query = build_query("estação de trabalho sem link")
    phrases = {phrase for concept in query.concepts for phrase in concept.others}
    assert {("workstation",), ("unlink",), ("link", "down")} <= phrases
    assert all(concept.is_domain for concept in query.concepts)


def test_a_stop_word_is_no_form_of_a_word_of_the_glossary() -> None:
    """ "como" is not "comando", nor "para" "parado", though a light stem of each is the same."""
    query = build_query("como faço para liberar um job em hold?")
    assert {concept.own for concept in query.concepts} == {("fac", "faco"), ("liber", "liberar"), ("job",), ("hold",)}


@pytest.mark.parametrize("question", ["um job em hold", "the job is hold", "job em HOLD", "un job en hold"])
def test_a_state_may_stand_in_small_letters_where_a_question_has_one(question: str) -> None:
    """Behind "em", "is" or "en" it is the state; elsewhere it is a word."""
    assert build_query(question).states == ("statehold",)
    assert build_query("please hold the line").states == ()


def test_the_glossary_is_consistent() -> None:
    """Every concept of the shipped glossary is known in Portuguese and in English."""
    concepts = load_glossary().concepts
    assert len(concepts) >= 40
    assert all(len(concept.phrases) >= 2 and concept.searched for concept in concepts)


@pytest.mark.parametrize("text", ['[x]\nfr = ["a"]', "[x]", 'x = "a"', '[x]\npt = ["!!"]'])
def test_a_wrong_glossary_is_refused_by_concept(text: str) -> None:
    """A glossary with an unknown language, an empty concept or an empty phrase is refused by the concept's name."""
    with pytest.raises(ValueError, match="'x'"):
        parse_glossary(text)


def test_codes_and_names_are_not_searched_as_words() -> None:
    """What is searched as a code or a name does not count as a word of the question."""
    query = build_query("o job FOLHA_PAGTO01 deu S0C7 no STEP030", names=["SRV1#RH.FOLHA_PAGTO01"], codes=["S0C7"])
    own = {stem for concept in query.concepts for stem in concept.own}
    assert query.codes == ("s0c7",)
    assert set(query.name_tokens) == {"srv1", "folhapagto01", "step030"}
    assert not own & {"s0c7", "folhapagto01", "step030", "pagto01"}


def test_a_pasted_log_becomes_a_bounded_query() -> None:
    """However long the text, the number of concepts and the embedded text are bounded."""
    query = build_query(" ".join(f"palavra{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(676)))
    assert len(query.concepts) <= MAX_CONCEPTS
    assert len(query.text) <= MAX_TEXT


@pytest.mark.parametrize("text", ["", " ", "\x00", "???", "de a o", "\ud800"])
def test_a_text_without_words_is_an_empty_query(text: str) -> None:
    """Nothing to search for is said, not guessed."""
    assert build_query(text).is_empty


def test_no_question_takes_long_to_read() -> None:
    """A question of the greatest length, blanks after a word for return codes, is bounded work."""
    began = time.thread_time()
    for _ in range(5):
        assert find_code_tokens("return code" + " " * 8_000 + "137") == ("rc137",)
        assert not build_query("código de retorno" + " \n" * 4_000).codes
    assert time.thread_time() - began < 5
