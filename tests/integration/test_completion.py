"""Shells complete commands, options, values and run ids by the script that ``completion`` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.client.sync import TroubleshootClient
from orchestrator.config import Settings
from orchestrator.models import TroubleshootRequest

PROGRAM = Path(sys.executable).with_name("resync-troubleshoot")
ASK = {
    "bash": 'COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _resync_troubleshoot_completion "$0x"; '
    'printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'complete -C "{line}"',
}


def completed(shell: str, line: str, home: Path, **environ: str) -> list[str]:
    """What a shell offers at the end of a line, one word each."""
    variables = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"} | environ
    words = " ".join(f"'{word}'" for word in line.split(" "))
    ask = ASK[shell].format(words=words, line=line).replace('"$0x"', "resync-troubleshoot")
    load = {
        "bash": 'eval "$(resync-troubleshoot completion bash)"',
        "fish": "resync-troubleshoot completion fish | source",
    }
    done = subprocess.run(
        [str(shutil.which(shell)), "-c", f"{load[shell]}; {ask}"],
        check=False,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [word.partition("\t")[0] for word in done.stdout.splitlines() if word]


@pytest.mark.parametrize("shell", [shell for shell in ASK if shutil.which(shell)])
def test_a_shell_completes(shell: str, settings: Settings, tmp_path: Path) -> None:
    """Commands, options, choices, sources, and the ids of the newest runs."""
    with TroubleshootClient(settings) as client:
        for run_id in ("incident-4711", "incident-4712", "other-00001"):
            client.submit(TroubleshootRequest(message="Job BATCH001 falhou"), run_id=run_id)
    lines = {
        "resync-troubleshoot qu": {"queues"},
        "resync-troubleshoot list --ou": {"--outcome"},
        "resync-troubleshoot list --outcome ti": {"timed_out"},
        "resync-troubleshoot submit x --disable tws": {"tws_status"},
        "resync-troubleshoot completion fi": {"fish"},
        "resync-troubleshoot get incident": {"incident-4711", "incident-4712"},
    }
    assert {line: set(completed(shell, line, tmp_path, REDIS_URL=settings.redis_url)) for line in lines} == lines


def test_a_store_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    """Nothing is written into the line that somebody types, and nobody waits."""
    assert completed("bash", "resync-troubleshoot get inc", tmp_path, REDIS_URL="redis://127.0.0.1:1/0") == []
    assert completed("bash", "resync-troubleshoot get inc", tmp_path, REDIS_URL="nonsense") == []


def test_the_script_of_zsh_is_printed() -> None:
    """Where zsh is not to be had, its script is at least click's for this program."""
    done = subprocess.run([str(PROGRAM), "completion", "zsh"], capture_output=True, text=True, check=True, timeout=60)
    assert "#compdef resync-troubleshoot" in done.stdout
    assert "_RESYNC_TROUBLESHOOT_COMPLETE=zsh_complete" in done.stdout
