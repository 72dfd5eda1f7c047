"""Lines of logs: the decisive one, the first error, tell-tale words, and instructions that do not belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.diagnosis.catalogue import Category
from orchestrator.diagnosis.codes import find_codes

_STRONG = re.compile(r"ABEND\s*=|COMPLETION CODE|ABENDED|\bIEC\d{3}I|\bCEE\d{4}S|\bAW[SK]\w+E\b", re.IGNORECASE)
_ERROR = re.compile(
    r"\b(?:error|erro|fatal|exception|traceback|failed|failure|falha|falhou|cannot|can't|unable|denied|killed|abort\w*"
    r"|no such file|not found|ORA-\d+|SQLCODE)\b",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\b(?:0|no|zero|sem|nenhum|without) (?:errors?|erros?|failures?|falhas?)\b|errors?\s*[:=]\s*0\b", re.IGNORECASE
)

_SIGNS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    (
        Category.OUT_OF_MEMORY,
        re.compile(
            r"out of memory|OutOfMemoryError|oom-?kill|cannot allocate memory|\bMemoryError\b|std::bad_alloc"
            r"|\bKilled\b$",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
    (
        Category.DISK_FULL,
        re.compile(r"no space left on device|disk full|ENOSPC|disco cheio|not enough space on", re.IGNORECASE),
    ),
    (
        Category.PERMISSION_DENIED,
        re.compile(r"permission denied|access (?:is )?denied|acesso negado|EACCES", re.IGNORECASE),
    ),
    (
        Category.COMMAND_NOT_FOUND,
        re.compile(r"command not found|is not recognized as an internal|: not found$", re.IGNORECASE | re.MULTILINE),
    ),
    (
        Category.LOGON_USER_UNKNOWN,
        re.compile(
            r"(?:unknown|invalid|no such) (?:logon )?user|user \S+ (?:does not exist|not found|unknown)"
            r"|usu[aá]rio \S+ (?:n[aã]o existe|inexistente|desconhecido)|logon failure",
            re.IGNORECASE,
        ),
    ),
)

# Phrases that speak to whoever reads the log, man or machine: no program writes them about itself.
_INSTRUCTION = re.compile(
    r"(?:ignor[ea]r?|desconsider[ea]r?|esque[cç]a|olvid[ae]|disregard|forget|override)\s+(?:\w+\s+){0,3}?"
    r"(?:instru[cç](?:tions?|[oõ]es|[aã]o|ciones)|prompts?|rules?|regras?|reglas?|contexto?)"
    r"|(?:you (?:are now|must now|should now)|voc[eê] (?:agora [eé]|deve agora|deve executar)|act as (?:an?|the) )"
    r"|(?:system|developer) prompt|<\|?(?:im_start|system|assistant)\|?>|\[/?INST\]"
    r"|(?:as an? (?:ai|language model|assistant)|assistente(?:,| de ia)|ai assistant|modelo de linguagem)"
    r"|(?:execut[ea]|rode|run|ejecut[ea])\s+(?:o comando\s+|the command\s+|el comando\s+)?[`'\"]?"
    r"conman\s+(?:cancel|cj|kill|kj|stop|limit|lc)",
    re.IGNORECASE,
)


def is_instruction(text: str) -> bool:
    """Whether the text addresses its reader with an instruction, as no log of a program does."""
    return _INSTRUCTION.search(text) is not None


def quote_instruction(text: str) -> str | None:
    """The first few words of such an instruction, never a command that it asks for."""
    match = _INSTRUCTION.search(text)
    if match is None:
        return None
    words = re.split(r"\bconman\b", match[0], maxsplit=1, flags=re.IGNORECASE)[0]
    return " ".join(words.split())[:60].strip("`'\" ") or "…"


def decisive_line(lines: Sequence[str], code: str) -> str | None:
    """The line that says why the job ended: it holds the code, better beside ``ABEND=`` or an error message id."""
    short = code[1:] if len(code) == 4 and code.startswith("S") else code
    holding = [line for line in lines if (code in find_codes(line) or code in line) and not is_instruction(line)]
    strong = [line for line in holding if _STRONG.search(line)]
    spelled = [line for line in lines if short in line and _STRONG.search(line) and not is_instruction(line)]
    return next(iter(strong or holding or spelled), None)


def first_error_line(lines: Sequence[str]) -> str | None:
    """The first line that reports an error: what follows it is mostly its consequence."""
    for line in lines:
        if (_ERROR.search(line) or find_codes(line)) and not _HARMLESS.search(line) and not is_instruction(line):
            return line
    return None


def find_signs(lines: Sequence[str]) -> Iterator[tuple[Category, str]]:
    """Tell-tale lines by category, the first of each."""
    for category, pattern in _SIGNS:
        line = next((line for line in lines if pattern.search(line) and not is_instruction(line)), None)
        if line is not None:
            yield category, line
