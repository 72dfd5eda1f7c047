"""What a process loads before its first answer."""

from __future__ import annotations

import subprocess
import sys

WARM_UP = """
from orchestrator.i18n.languages import Language, translations
from orchestrator.joblog.symptoms import symptoms
from orchestrator.run.conclusion import warm_up

warm_up()
assert symptoms.cache_info().currsize == 1
assert translations.cache_info().currsize == len(Language)
"""


def test_a_first_answer_finds_its_words_and_the_catalogue_loaded() -> None:
    """In each language; the question that is answered for it is told nowhere."""
    # A process of its own: in this one, other tests have filled the caches in front of these.
    told = subprocess.run([sys.executable, "-c", WARM_UP], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
