"""The code patterns: what counts as an abend, a message id and a return code, and what does not."""

import time

import pytest

from orchestrator.codes.patterns import (
    by_severity,
    find_abends,
    find_chat_abends,
    find_codes,
    find_codes_to_look_up,
    find_message_ids,
    find_program_codes,
    find_return_codes,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Job BATCH001 falhou com ABEND S0C7", ("S0C7",)),
        ("deu SB37 no STEP020 e depois SE37", ("SB37", "SE37")),
        ("IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000", ("S0C7",)),
        ("IEF450I BATCH001 S010 - ABEND=S000 U4038 REASON=00000001", ("U4038",)),
        ("SYSTEM COMPLETION CODE=0C4  REASON CODE=00000011", ("S0C4",)),
        ("IEC030I B37-04,IFG0554A,BATCH090,STEP020", ("SB37",)),
        ("abend s322 de novo", ("S322",)),
        ("abend 0c7 no fechamento", ("S0C7",)),
        ("abendou com U0016", ("U0016",)),
        ("a SEDE fica longe, SACA dinheiro, SAFE", ()),
        ("job S100 parou no step S010", ()),
        ("arquivo S0C7.txt e pasta /S0C7/x, S0C7A, XS0C7", ()),
        ("s322 minúsculo sozinho não conta, U12 e U12345 também não", ()),
        ("abend 100 vezes", ()),
        ("(S0C7), S0C7.", ("S0C7",)),
    ],
)
def test_abends_are_found_and_lookalikes_are_not(text: str, expected: tuple[str, ...]) -> None:
    """A system or user abend is found with its S or U, and a word or name that looks like one is not."""
    assert find_abends(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AWSBHT001E The job could not be launched", ("AWSBHT001E",)),
        ("AWKRCA001E e AWSBDW009E", ("AWKRCA001E", "AWSBDW009E")),
        ("EQQE037I JOB ended; EQQW065I", ("EQQE037I", "EQQW065I")),
        ("IEF450I x IEC030I y CEE3204S z CSV003I", ("IEF450I", "IEC030I", "CEE3204S", "CSV003I")),
        ("AWS001E, AWSBHT001X, IEFBR14", ()),
    ],
)
def test_message_ids_are_found(text: str, expected: tuple[str, ...]) -> None:
    """Message ids of HWA and z/OS are found whole, other words with such prefixes are not."""
    assert find_message_ids(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("JOB_A terminou com RC 5", (5,)),
        ("RC=137", (137,)),
        ("rc: 12 e maxcc=0016", (12, 16)),
        ("código de retorno 8", (8,)),
        ("codigo de salida 127", (127,)),
        ("exit code 143, exited with 1", (143, 1)),
        ("returned -1073741819", (-1073741819,)),
        ("RC=0xC0000005", (-1073741819,)),
        ("RC 3221225477", (-1073741819,)),
        ("COND CODE 0004", (4,)),
        ("condição de sucesso RC<=4", ()),
        ("às 14:30 rodaram 137 jobs", ()),
        ("query returned 12 rows; retornou 5 registros; devolve 1 arquivo", ()),
        ("o script retorna 8 para o shell", (8,)),
        ("rc 10.5 e rc 50%", ()),
        ("RC 99999999999", ()),
        ("saiu com 137", (137,)),
        ("el job CARGA terminó con código 8", (8,)),
        ("BATCH001 ended with code 12, terminou com o código 4", (12, 4)),
    ],
)
def test_return_codes_need_a_word_beside_them(text: str, expected: tuple[int, ...]) -> None:
    """A number is a return code only beside a word that says so, and a success condition is none."""
    assert find_return_codes(text) == expected


def test_codes_are_abends_then_message_ids() -> None:
    """find_codes gives what evidence items carry: abends first, then message ids."""
    assert find_codes("IEF450I B S - ABEND=S0C7") == ("S0C7", "IEF450I")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S106/S806 – módulo não encontrado", ("S106", "S806")),
        ("SB37, SD37 ou B37-04", ("SB37", "SD37")),
        ("deu SOC7 e CEE3207S", ("S0C7", "CEE3207S")),
        ("abend 0c4 e abend 806", ("S0C4", "S806")),
        ("a SEDE, a SACA, U12 e ABEND ontem", ()),
    ],
)
def test_codes_to_look_up_are_read_less_strictly(text: str, expected: tuple[str, ...]) -> None:
    """Lists of headings and the spellings of a search give their codes; words still do not."""
    assert find_codes_to_look_up(text) == expected


def test_spellings_of_a_chat_count_only_for_known_abends() -> None:
    """s0c7, 0C7 and SOC7 are S0C7 because the catalogue knows it; what it does not know is a word."""
    assert find_chat_abends("deu s0c7, 0C4, SOC1 e B37", {"S0C7", "S0C4", "S0C1", "SB37"}) == (
        "S0C7",
        "S0C4",
        "S0C1",
        "SB37",
    )
    assert find_chat_abends("abend 806 no FATURA01, abend 100 vezes", {"S806"}) == ("S806",)
    assert find_chat_abends("s123 e s0c7", {"S0C4"}) == ()


@pytest.mark.parametrize(
    "text",
    [
        *(word + " " * 200_000 for word in ("return code", "abend", "SYSTEM", "S0C7", "SQLCODE")),
        ("return code" + " " * 50) * 4_000,
        "exit with\n" * 20_000,
    ],
)
def test_blanks_cost_no_more_than_their_length(text: str) -> None:
    """Text made of key words and blanks is searched in a time that grows with its length."""
    began = time.process_time()
    assert find_return_codes(text) == find_program_codes(text) == ()
    assert find_abends(text) in ((), ("S0C7",))
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("DSNT408I SQLCODE = -911, ERROR: THE CURRENT UNIT OF WORK", ("SQLCODE -911",)),
        ("SQLCODE: 0000000805- NA TABELA", ("SQLCODE -805",)),
        ("SQL0911N deadlock, then SQL30081N", ("SQLCODE -911", "SQLCODE -30081")),
        ("SQLCODE = 000 and SQLCODE = +100, SQLCODE 100", ()),
        ("OPEN CLIENTES FILE STATUS 35 e depois FILE-STATUS: '39'", ("FILE STATUS 35", "FILE STATUS 39")),
        ("IGZ0035S There was an unsuccessful OPEN. The status code was 93.", ("FILE STATUS 93",)),
        ("HTTP status code 404, FILE STATUS 351", ()),
    ],
)
def test_codes_that_programs_display_are_found(text: str, codes: tuple[str, ...]) -> None:
    """SQLCODEs and file statuses are found in each spelling; success and other numbers are not taken for one."""
    assert find_program_codes(text) == codes


def test_codes_are_ranked_by_what_they_report() -> None:
    """Abends, then ids of errors (in A those of sort programs alone), then the rest; each once and in its order."""
    codes = ("IEF450I", "AWSX1A", "ICE046A", "U4038", "AWSBHT001E", "S0C7", "IEF450I")
    assert by_severity(codes) == ("U4038", "S0C7", "ICE046A", "AWSBHT001E", "IEF450I", "AWSX1A")
