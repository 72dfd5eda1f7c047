"""Texts of which a part is shown: a secret over a cut, a page or two fragments is masked as in the whole text."""

from __future__ import annotations

import pytest

from orchestrator.redaction.pieces import MAX_READ, RedactedStream, redact_lines
from orchestrator.redaction.redact import CUT_MARGIN, MARK, redact, redact_data, redact_start, redacting

S = "Zx9qVj4Kw7Yq"
MAIL = "vqzkj.wxyq@qzexample.com.br"
FORMS = [
    f"password={S}",
    f"senha: {S}",
    f"mysql -u root -p{S}",
    f"redis://app:{S}@db1:6379/0",
    f"Bearer {S}abcdefgh",
    MAIL,
]
LIMIT = 60


def pieces(text: str) -> list[str]:
    """The pieces of the secrets that stand in a text."""
    secrets = (S, MAIL.partition("@")[0])
    return [piece for secret in secrets for at in range(len(secret) - 3) if (piece := secret[at : at + 4]) in text]


@pytest.mark.parametrize("form", FORMS)
def test_no_cut_shows_a_piece_of_a_secret(form: str) -> None:
    """Wherever the cut is, of a text or of one of several lines, and however long what follows it is."""
    for after in ("", " e segue", " lido" * (CUT_MARGIN // 4)):
        texts = [
            f"{'lido ok ' * 20}"[: LIMIT - begins] + f" {form}{after}"
            for begins in range(0, len(form) + 4, 1 + min(len(after) // 100, 6))
        ]
        assert [text for text in texts if pieces(redact_start(text, LIMIT, personal=True)[0])] == []
        lines = redact_lines(texts, LIMIT, personal=True)
        assert pieces("\n".join(lines)) == []
        assert [len(line) <= LIMIT for line in lines] == [True] * len(texts)
        assert [line[:20] for line in lines] == [text[:20] for text in texts]


def test_no_line_moves() -> None:
    """As many lines as were given, each in its place, whatever stands in them."""
    lines = ["a", "-----BEGIN PRIVATE KEY-----", "A1b2" * 16, "A1b2" * 4, "-----END PRIVATE KEY-----", "b", "", "c\nd"]
    assert redact_lines(lines, 300)[0] == "a"
    assert redact_lines(lines, 300)[4:] == ["-----END PRIVATE KEY-----", "b", "", "c d"]
    assert redact_lines([], 300) == []


def test_what_stands_around_a_line_tells_that_it_is_a_secret() -> None:
    """The lines that are not shown are read as well."""
    assert redact_lines(["Password:", S, "ok"], 300)[1:] == [MARK, "ok"]


def test_long_lines_are_read_within_bounds() -> None:
    """Of many long lines the last are empty: what is not read is not shown."""
    lines = redact_lines(["x y " * CUT_MARGIN] * 100, 300)
    assert lines[0] == ("x y " * 75)
    assert len(lines) == 100
    assert sum(map(bool, lines)) == MAX_READ // (300 + CUT_MARGIN)
    assert lines[-1] == ""
    assert redact_lines([*["x y " * CUT_MARGIN] * 100, "short"], 300)[-1] == "short"


@pytest.mark.parametrize(
    "text",
    [
        f"A senha é {S} e o job falhou.\n",
        f"Veja `mysql -u root -p{S} prod` e reinicie. ",
        "token ghp_16C7e42F292c6912E7710c838347Ae178B4a visto\n",
        "Nada a mascarar aqui.\nSenha: inválida.\n\nFim",
    ],
)
def test_fragments_are_masked_as_their_text(text: str) -> None:
    """Cut into two at every place, into characters and into words."""
    ways = [[text[:at], text[at:]] for at in range(len(text))] + [list(text), text.replace(" ", " \0").split("\0")]
    for fragments in ways:
        stream = RedactedStream()
        assert "".join([*map(stream.add, fragments), stream.end()]) == redact(text)


def test_a_whole_sentence_is_not_held_back() -> None:
    """A reader gets what is written so far, but for the beginning of a word."""
    stream = RedactedStream()
    assert stream.add("Primeiro. Segundo.") == "Primeiro. Segundo."
    assert stream.add(" Ter") == " "
    assert stream.add("ceiro") == ""
    assert stream.end() == "Terceiro"


def test_a_long_stream_is_masked_to_its_end() -> None:
    """What was given long ago is not read again, and hides nothing."""
    stream = RedactedStream()
    written = "".join(stream.add(f"linha {number} senha={S}{number} fim\n") for number in range(100)) + stream.end()
    assert written == "".join(f"linha {number} senha={MARK} fim\n" for number in range(100))


def test_personal_data_is_masked_wherever_the_block_calls() -> None:
    """Code that cuts a text far below need not be told; after the block, and for others, it is as before."""
    with redacting(personal=True):
        assert redact(MAIL) == MARK
        assert redact_data({"to": MAIL}) == {"to": MARK}
        with redacting(personal=False):
            assert redact(MAIL) == MAIL
        assert redact_start(MAIL, 100) == (MARK, False)
    assert redact(MAIL) == MAIL
