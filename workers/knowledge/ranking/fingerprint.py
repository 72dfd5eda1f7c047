"""Fingerprints of the analysis of text and of the reading of files, which an index depends on.

They are hashes of the results for sample texts, so that no version number has to be raised by hand.
"""

import hashlib
from functools import cache

from workers.knowledge.ranking.analysis import guess_language, index_tokens, stop_words
from workers.knowledge.ranking.codes import find_code_tokens, find_names, find_states, name_token
from workers.knowledge.reading.chunking import cut_sections
from workers.knowledge.reading.readers import read_document

PDF_VERSION = 2
"""Raise it when the reading of PDF files changes: there is no sample of one."""

_CODES = """
Job BATCH001 falhou com ABEND S0C7 em STEP030; abend 0C4, SOC7, S0CB, SB37-04, S106-0C, U4038, U0016, SEDE e SACA não.
AWSBHT001E AWSBDW009E AWKTSA050I EQQE107I IEF450I IEC030I B37-04 CEE3204S IGD17101I ORA-28001 SQLCODE -911 ICH408I
RC=137, rc 4, RC<=4, return code 255, código de retorno 127, exit code 126, terminou com 5, terminou com código 12,
-1073741819, 0xC000013A, 3221225477, MAXCC 8, COND CODE 0012, status 143, 2026-11-24 10:20:30, 12:01, 4711
WS01#PAYROLL.PAYROLL_CLOSE01 HOLD_PRIORITY_ZERO READY_WAITING_FOR_RESOURCES srvapp02 CPU-1 X1 A_B FTA1
HOLD READY FENCE INTRO FAIL EXEC WAIT SUPPR SUCC SUCCP CANCL CANCLP ABENP PEND SUSP STUCK EXTRN UNDECIDED ABEND hold
"""
_WORDS = """
As estações de trabalho não iniciaram: conexões perdidas, papéis, os agentes falharam, falhando, falhou, falhas, caiu,
reiniciado, reiniciada, esperando, esperou, aguardavam, lençóis, disponíveis, possível, nuvens, homens, paßwort
The workstations stopped running; retries, classes, caches, status, analysis, missed, mapped, planning, failed, killing,
indices, libraries, tried, process, processes, bus, used, using, late, ended, ﬁle, naïve, Ⅳ, İstanbul, e-mail, don't
Los trabajos no arrancan; la contraseña venció, están atascados, señal, ¿cuál?, ejecución, ejecuciones, informes
"""
_LONG = " ".join(f"sentence {number} about calendars and run cycles." for number in range(120))
_DOCUMENTS = {
    "pt/a.md": "---\ntitle: x\nstatus: obsoleto\nversion: 1.2\nreplaces: b.md\n---\n"
    "# Título **forte** – `S0C7` [elo](x.md)\n\nTexto.\n\nSub\n---\n\n- um\n- dois\n\n"
    f"```\n# no heading\n```\n\n### Fundo ###\n\n{_LONG}\n\n{_LONG}\n\n## Conteúdo\n\n- [a](a)\n- [b](b)\n",
    "b.html": "<html><head><title>T</title><style>x</style></head><body><nav>menu</nav><h1>One &amp; two</h1><p>Some "
    "<b>bold</b> text.</p><ul><li>a<li>b</ul><h2>Table</h2><table><tr><th>Code<td>S322</tr></table><pre> a\n  b"
    f"</pre><footer>f</footer><p>{_LONG}</p></body></html>",
    "c.txt": f"Chapter 1 ........ 3\nChapter 2 ........ 5\nA  12\nB  14\nC  15\n\n{_LONG}\n\n{'x' * 3_000}\n",
    "manual.md": "# M\n\n## AWSJPL017E\n\n## Cause and solution:\n\nText\n\n## Note\n\nMore.\n\n## A\n\na 1\nb 2\nc 3",
    "messages.txt": "AWSJPL001E x\nExplanation\nText.\nAWSJPL002E y\nSystem action: none.\n",
    "secret.txt": "ABEND S0C7\n\n" + "".join(f"{word} = hunter2x{word}\n" for word in ("password", "senha", "token")),
    "d.log": "Index\n\nabend, 12, 14-16\nagent, 3\nbatch, 5\ncode, 7\nday, 9\n",
}


def _hash(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@cache
def analysis_fingerprint() -> str:
    """Fingerprint of the tokens made of a text."""
    texts = (_CODES, _WORDS, " ".join(sorted(stop_words())))
    lines = [line for text in (_CODES, _WORDS) for line in text.splitlines()]
    return _hash(
        (
            sorted(stop_words()),
            [index_tokens(text, language) for text in texts for language in ("pt", "es", "en")],
            [(find_code_tokens(line), [name_token(name) for name in find_names(line)]) for line in lines],
            [find_states(line) for line in lines],
        )
    )


@cache
def reading_fingerprint() -> str:
    """Fingerprint of the chunks, and their language, made of a file."""
    documents = [read_document(path, text.encode()) for path, text in _DOCUMENTS.items()]
    return _hash(
        (
            PDF_VERSION,
            [
                (document.title, document.language, cut_sections(document.sections), document.standing)
                for document in documents
            ],
            [guess_language(line) for line in _WORDS.splitlines()],
        )
    )
