"""Secrets from files: a folder as Docker, Kubernetes and systemd mount it, and one line about what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config import EnvironmentModel, Settings
from orchestrator.errors import ConfigurationError
from orchestrator.secret_files import MAX_BYTES, SECRETS_DIR
from workers.config import KnowledgeSettings, LlmSettings, MetricsSettings, TwsSettings

SECRET = "planted-4711"
SECRETS: dict[str, tuple[type[EnvironmentModel], str, str]] = {
    "REDIS_URL": (Settings, "redis_url", f"redis://:{SECRET}@h:1/0"),
    "REDIS_PASSWORD": (Settings, "redis_password", SECRET),
    "TWS_PASSWORD": (TwsSettings, "password", SECRET),
    "APP_TWS_PASSWORD": (TwsSettings, "password", SECRET),
    "TWS_TOKEN": (TwsSettings, "token", SECRET),
    "TWS_AUTH_HEADER": (TwsSettings, "auth_header", f"X-Key: {SECRET}"),
    "LLM_API_KEY": (LlmSettings, "api_key", SECRET),
    "RESYNC_EMBEDDING_API_KEY": (KnowledgeSettings, "embedding_api_key", SECRET),
    "RESYNC_KNOWLEDGE_DATABASE_URL": (KnowledgeSettings, "database_url", f"postgresql://u:{SECRET}@h/db"),
    "RESYNC_METRICS_TOKEN": (MetricsSettings, "token", SECRET),
}


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_can_be_a_file_of_its_name(name: str, tmp_path: Path) -> None:
    """In capital or small letters, with a line end as an editor leaves it, linked as Kubernetes does."""
    model, field, value = SECRETS[name]
    (tmp_path / "..data").mkdir()
    for file_name, written in ((name, value), (name.lower(), f"{value}\r\n")):
        target = tmp_path / "..data" / file_name
        target.write_text(written, encoding="utf-8")
        link = tmp_path / file_name
        link.symlink_to(target)
        read = getattr(model.from_env({SECRETS_DIR: str(tmp_path), name: ""}), field)
        assert (read if isinstance(read, str) else read.get_secret_value()) == value
        link.unlink()


def test_a_byte_order_mark_is_not_the_secret(tmp_path: Path) -> None:
    """As an editor on Windows writes it."""
    (tmp_path / "REDIS_PASSWORD").write_text(f"{SECRET}\r\n", encoding="utf-8-sig")
    password = Settings.from_env({SECRETS_DIR: str(tmp_path)}).redis_password
    assert password is not None
    assert password.get_secret_value() == SECRET


def test_two_files_of_one_variable_have_one_value(tmp_path: Path) -> None:
    """In capital and in small letters: which one counts would be a guess."""
    capitals, small = tmp_path / "TWS_PASSWORD", tmp_path / "tws_password"
    capitals.write_text(SECRET, encoding="utf-8")
    small.write_text(f"{SECRET}\n", encoding="utf-8")
    password = TwsSettings.from_env({SECRETS_DIR: str(tmp_path)}).password
    assert password is not None
    assert password.get_secret_value() == SECRET
    small.write_text("another-planted-4711", encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        TwsSettings.from_env({SECRETS_DIR: str(tmp_path)})
    assert str(error.value) == f"TWS_PASSWORD: {small} has another value than {capitals}"


def test_a_process_reads_only_the_files_of_its_settings(tmp_path: Path) -> None:
    """What else is there, such as another process's secret or a folder of the cluster, is none of its business."""
    (tmp_path / "kubernetes.io").mkdir()
    (tmp_path / "LLM_API_KEY").write_bytes(b"")
    assert TwsSettings.from_env({SECRETS_DIR: str(tmp_path)}).password is None


def _folder(path: Path) -> None:
    path.mkdir()


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.symlink_to("nowhere"), "cannot be read (No such file or directory)"),
    "empty": (lambda path: path.write_bytes(b"\n"), "is empty"),
    "large": (lambda path: path.write_bytes(SECRET.encode() * MAX_BYTES), f"has more than {MAX_BYTES} bytes"),
    "a folder": (_folder, "is no file"),
    "a pipe": (os.mkfifo, "is no file"),
    "not UTF-8": (lambda path: path.write_bytes(SECRET.encode() + b"\xff"), "is not UTF-8"),
    "NUL": (lambda path: path.write_bytes(SECRET.encode() + b"\0"), "is not text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_is_one_line(case: str, tmp_path: Path) -> None:
    """It names variable and file, and never the content."""
    make, words = WRONG[case]
    path = tmp_path / "TWS_PASSWORD"
    make(path)
    with pytest.raises(ConfigurationError) as error:
        TwsSettings.from_env({SECRETS_DIR: str(tmp_path)})
    assert str(error.value) == f"TWS_PASSWORD: {path} {words}"
    assert SECRET not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_another_user_is_named(tmp_path: Path) -> None:
    """As a mount with the wrong mode leaves it."""
    path = tmp_path / "TWS_PASSWORD"
    path.write_text(SECRET, encoding="utf-8")
    path.chmod(0)
    with pytest.raises(ConfigurationError, match=r"cannot be read \(Permission denied\)"):
        TwsSettings.from_env({SECRETS_DIR: str(tmp_path)})


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    """One of them may be out of date; what a process was given by its parent, who had read the file, is the same."""
    path = tmp_path / "TWS_PASSWORD"
    path.write_text(SECRET, encoding="utf-8")
    assert TwsSettings.from_env({SECRETS_DIR: str(tmp_path), "TWS_PASSWORD": SECRET}).password is not None
    with pytest.raises(ConfigurationError) as error:
        TwsSettings.from_env({SECRETS_DIR: str(tmp_path), "TWS_PASSWORD": "old"})
    assert str(error.value) == f"TWS_PASSWORD is set, and so is the file {path}: leave out one of them"


def test_a_folder_that_is_not_there_is_named() -> None:
    """A mount that failed must not start a process without its password."""
    for path in ("/nowhere", "/etc/passwd", "a\0b"):
        with pytest.raises(ConfigurationError, match=r"^RESYNC_SECRETS_DIR: the folder .* cannot be read \("):
            Settings.from_env({SECRETS_DIR: path})
