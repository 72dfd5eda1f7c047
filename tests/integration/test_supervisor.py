"""The supervisor over real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_support import stretched, wait_until

from orchestrator.i18n.message import Message
from workers.standalone.guard import Guard
from workers.standalone.process import ProcessSpec
from workers.standalone.supervisor import ProcessFailed, Supervisor

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")


def runs(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def spec(name: str, code: str, **fields: object) -> ProcessSpec:
    return ProcessSpec(name=name, command=(*PYTHON, code), environ=os.environ, **fields)  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[Message]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[Message]) -> Iterator[Supervisor]:
    with Guard() as guard, Supervisor(tmp_path / "logs", guard, said.append) as running:
        yield running


SLEEP = "import time; print('can work', flush=True); time.sleep(60)"


def test_process_is_ready_when_it_says_so(supervisor: Supervisor) -> None:
    """Readiness is the text of the spec in the process's output."""
    supervisor.start(spec("a", SLEEP, ready_text="can work"))
    supervisor.wait_ready(["a"], timeout_seconds=30)
    (state,) = supervisor.states()
    assert state.is_ready
    assert state.log.read_text() == "can work\n"


def test_process_that_exits_before_it_is_ready_is_told_with_its_last_words(supervisor: Supervisor) -> None:
    """Who waits for a process that exits gets its status and its last line at once, not the timeout."""
    supervisor.start(spec("a", "import sys; print('no such thing'); sys.exit(3)", ready_text="never"))
    with pytest.raises(ProcessFailed, match="a exited with status 3: no such thing"):
        supervisor.wait_ready(["a"], timeout_seconds=30)


def test_process_that_never_gets_ready_is_told_at_the_bound(supervisor: Supervisor) -> None:
    """The wait for readiness ends at its bound."""
    supervisor.start(spec("a", SLEEP, ready_text="something else"))
    wait_until(supervisor.states()[0].log.read_text, seconds=30)
    with pytest.raises(ProcessFailed, match=r"not ready within 0\.1 s; its log ends: 'can work'"):
        supervisor.wait_ready(["a"], timeout_seconds=0.1)


def test_program_that_does_not_exist_is_told(supervisor: Supervisor) -> None:
    """A program that cannot be started is an error that names it."""
    with pytest.raises(ProcessFailed, match="a: /nowhere/x: No such file"):
        supervisor.start(ProcessSpec(name="a", command=("/nowhere/x",), environ={}))


def test_killed_process_is_started_again(supervisor: Supervisor, said: list[Message]) -> None:
    """A process that is killed runs again soon, becomes ready again, and it is said."""
    supervisor.start(spec("a", SLEEP, ready_text="can work"))
    supervisor.wait_ready(["a"], timeout_seconds=30)
    first = supervisor.states()[0].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.states()[0].restarts == 1 and supervisor.states()[0].is_ready, seconds=30)
    assert supervisor.states()[0].pid != first
    assert [str(line) for line in said] == ["a exited with status -9; again in 0.5 s (can work)"]


def test_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    """After stop neither a process that ignores SIGTERM nor what it started is left."""
    stubborn = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "os.write(1, f'pid {os.getpid()}\\n'.encode())\n"
        "time.sleep(60)\n"
    )
    with Guard() as guard, Supervisor(tmp_path / "logs", guard, print) as supervisor:
        supervisor.start(spec("a", stubborn, stop_seconds=0.3))
        supervisor.start(spec("b", SLEEP))
        log = tmp_path / "logs" / "a.log"
        wait_until(lambda: log.read_text().count("pid") == 2, seconds=30)
        pids = [int(line.split()[1]) for line in log.read_text().splitlines()]
        pids += [state.pid for state in supervisor.states() if state.pid is not None]
        started = time.monotonic()
    assert time.monotonic() - started < stretched(5)
    wait_until(lambda: not any(runs(pid) for pid in pids), seconds=30)


def test_later_stages_stop_first(tmp_path: Path) -> None:
    """What others depend on outlives them: it is stopped only after they are gone."""
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep({pause}); open({path!r}, 'a').write({name!r}); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('can work', flush=True)\n"
        "time.sleep(60)\n"
    )
    order = str(tmp_path / "order")
    with Guard() as guard, Supervisor(tmp_path / "logs", guard, print) as supervisor:
        early = code.format(pause=0, path=order, name="0")
        late = code.format(pause=0.3, path=order, name="1")
        supervisor.start(spec("base", early, ready_text="can work", stage=0))
        supervisor.start(spec("user", late, ready_text="can work"))
        supervisor.wait_ready(["base", "user"], timeout_seconds=30)
    assert Path(order).read_text() == "10"


def test_process_reads_its_standard_input(supervisor: Supervisor) -> None:
    """What must stand neither in a file nor on a command line reaches the process on standard input."""
    supervisor.start(spec("a", "import sys; print('got', sys.stdin.read())\n" + SLEEP, stdin=b"x", ready_text="got x"))
    supervisor.wait_ready(["a"], timeout_seconds=30)


OWNER = """
import os, sys, time
from pathlib import Path
from workers.standalone.guard import private_directory
from workers.standalone.guard import Guard
from workers.standalone.process import ProcessSpec
from workers.standalone.supervisor import Supervisor

with Guard() as guard, private_directory(guard) as path:
    with Supervisor(path / "logs", guard, print) as supervisor:
        code = "import os, time; os.fork(); print('up', flush=True); time.sleep(60)"
        spec = ProcessSpec(name="a", command=(sys.executable, "-c", code), environ=os.environ, ready_text="up")
        supervisor.start(spec)
        supervisor.wait_ready(["a"], timeout_seconds=30)
        print(path, supervisor.states()[0].pid, flush=True)
        time.sleep(60)
"""


def test_killed_owner_leaves_nothing_behind() -> None:
    """When the supervising process itself is killed, its processes and its private directory go too."""
    with subprocess.Popen((sys.executable, "-c", OWNER), stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory, pid = owner.stdout.readline().split()
        assert runs(int(pid))
        assert Path(directory).is_dir()
        owner.kill()
    wait_until(lambda: not runs(int(pid)) and not Path(directory).exists(), seconds=30)
    with pytest.raises(ProcessLookupError):
        os.killpg(int(pid), 0)


KILLED_AT_BIRTH = """
import os, signal, sys
from pathlib import Path
from workers.standalone.guard import Guard
from workers.standalone.process import ProcessSpec
from workers.standalone.supervisor import Supervisor

class Late(Guard):
    def watch(self, group):
        print(group, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
with Late() as guard, Supervisor(folder / "logs", guard, print) as supervisor:
    code = f"open({str(folder / 'began')!r}, 'w').close(); import time; time.sleep(60)"
    supervisor.start(ProcessSpec(name="a", command=(sys.executable, "-c", code), environ=os.environ))
"""


def test_owner_killed_before_it_has_noted_a_process_leaves_none(tmp_path: Path) -> None:
    """A process does nothing before the guardian knows of it, and ends when its owner is killed until then."""
    with subprocess.Popen(
        (sys.executable, "-c", KILLED_AT_BIRTH, tmp_path), stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.wait(30)
    wait_until(lambda: not runs(pid), seconds=30)
    assert not (tmp_path / "began").exists()


def test_guardian_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """When somebody ends the guardian, another one is there soon and knows what must not be left behind."""
    kept = tmp_path / "kept"
    kept.mkdir()
    with Guard() as guard:
        guard.own(kept)
        process = guard._process
        assert process is not None
        process.kill()
        # At once, and not when there is something to tell it: this process may be killed before that.
        wait_until(lambda: guard._process not in (None, process), seconds=30)
    assert not kept.exists()
