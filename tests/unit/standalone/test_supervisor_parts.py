"""The parts of the supervisor that need no process."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError
from workers.standalone import guardian
from workers.standalone.guard import Guard, private_directory
from workers.standalone.ports import HOST, free_port, require_free_port
from workers.standalone.process import LogFile
from workers.standalone.supervisor import LONGEST_PAUSE_SECONDS, pause_seconds


def test_pause_doubles_up_to_a_bound() -> None:
    """A process that keeps exiting is started at growing distances, never further apart than the bound."""
    assert [pause_seconds(n) for n in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause_seconds(10_000) == LONGEST_PAUSE_SECONDS


def test_private_directory_is_private_and_goes_away() -> None:
    """Only the user may enter the directory, and nothing of it is left after the block, even after an error."""
    seen: list[Path] = []

    def use() -> None:
        with private_directory(Guard()) as path:
            seen.append(path)
            (path / "sub").mkdir()
            (path / "sub" / "file").write_text("x")
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()
    assert [path.exists() for path in seen] == [False]


def test_log_file_is_bounded(tmp_path: Path) -> None:
    """A log never grows beyond two files of the bound, and the newest line is at hand."""
    log = LogFile(tmp_path / "x.log", max_bytes=100)
    for number in range(100):
        log.write(f"line {number}\n".encode())
    log.write(b"  \n")
    log.close()
    log.write(b"after the end\n")
    assert log.last_line == "line 99"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())


def test_port_in_use_is_named_with_its_option() -> None:
    """A port that something listens on gives an error that names the option and the port."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"--port-flower: port {port} of 127\.0\.0\.1 is in use"):
            require_free_port(port, option="--port-flower")
    require_free_port(free_port(), option="--port-flower")


def test_guardian_leaves_a_reused_id_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process group whose id belongs to a younger process now is not signalled; directories go all the same."""
    sent: list[int] = []
    monkeypatch.setattr(guardian, "start_time", lambda pid: "200")
    monkeypatch.setattr(guardian, "signal_group", lambda group, number: sent.append(group))
    (tmp_path / "d").mkdir()
    guardian.clean_up({7: "100", 8: "200", 9: None}, [str(tmp_path / "d")])
    assert sent == [8, 9]
    assert not (tmp_path / "d").exists()
