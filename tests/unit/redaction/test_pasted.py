"""Secrets as people paste them: in chat, markup, sentences, commands and z/OS input; and what only looks like them."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path

import pytest

from orchestrator.redaction.redact import MARK, redact

PASTED = json.loads((Path(__file__).parents[2] / "data" / "pasted_secrets.json").read_text(encoding="utf-8"))
GIVEN, OWN, TESTER = PASTED["shapes"].values()


@pytest.mark.parametrize(
    ("shapes", "least"), [(GIVEN, 1.0), (OWN, 0.96), (TESTER, 0.94)], ids=["given", "own", "tester"]
)
def test_pasted_secrets_go(shapes: dict[str, list[str]], least: float) -> None:
    """Of the shapes, each with one of the values in turn, at least this share loses its secret for good."""
    values = cycle(PASTED["values"])
    cases = [
        (shape, value, redact(shape.replace("{}", value)))
        for kind in shapes.values()
        for shape in kind
        for value in [next(values)]
    ]
    missed = [shape for shape, value, masked in cases if value in masked]
    assert len(missed) <= len(cases) * (1 - least), missed
    assert [shape for shape, value, masked in cases[::7] if redact(masked) != masked] == []


def test_the_rest_stays_readable() -> None:
    """Only the secret goes: what stands around it is as it was, signs of markup and of other scripts included."""
    for shape in (
        "| usuário | op |\n| senha | {} |",
        "**Senha:** `{}`",
        "sen\u200bha\u00a0: “{}” ok",
        "ｓｅｎｈａ：{}",
        "a senha do usuário op é {}, o job é BATCH001",
        "credenciais: op/{}",
        "log in with {} as password",
        "<li>password: <code>{}</code></li>",
        "user;password;host\nop;{};srv1",
        "curl -u 'op:{}' https://host/x",
        "smbclient -U op%{} //srv/x",
        "ALU OP PASSWORD({}) RESUME",
        '05 WS-SENHA PIC X(10) VALUE "{}".',
    ):
        assert redact(shape.replace("{}", "K4T8ZW2P")) == shape.replace("{}", MARK)


def test_harmless_texts_stay() -> None:
    """Of messages, job logs and options that speak of passwords and hold none, one in a hundred may change."""
    changed = [text for text in PASTED["harmless"] if redact(text) != text]
    assert len(changed) <= len(PASTED["harmless"]) / 100, changed


@pytest.mark.parametrize(
    "token",
    [
        "glagent-abcdEFGH1234ijklMNOP5678qrstUVWX9012yzABCD3456efGHIJ",
        "pplx-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6kL9nO2qR",
        "dt0c01.AB2CD3EF4GH5IJ6KL7MN8OPQ.AB2CD3EF4GH5IJ6KL7MN8OP9AB2CD3EF4GH5IJ6KL7MN8OP9AB2CD3EF4GH5IJ6KL7MN8OP9",
        "sha256~PlvNZ41UAUiARLqfJj5l46bcuUUK1SZyDwTcfX6bKN9", "A3-AB12CD-EF34GH56IJ7-KL8MN-OP9QR-ST0UV",
        "pat.BCYAJFbNTSdqT21dqcLHbq.o9cHZXxIljt0ZmBzP0fS0VaL.QHtQzSOLeBcsveXP6OwJ", "LTAI5tAbCdEfGh1jKlMnOpQr",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh", "datadog_key = 0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d",
    ],
)  # fmt: skip
def test_tokens_of_vendors_go(token: str) -> None:
    """A vendor's token is known by its prefix alone, or by the vendor's name beside it."""
    for text in (token, f"erro ao enviar {token} para o host", f'"x": "{token}"', f"https://h/a?t={token}&b=1"):
        assert token[-16:] not in redact(text)


def test_names_with_a_prefix_of_a_vendor_stay() -> None:
    """Names of jobs, branches and models that begin like a token are none."""
    text = "hf_model_download_job ops_daily_batch_report sk-learn-pipeline-prod npm_config_registry glpat-rotation-job"
    assert redact(text) == text
