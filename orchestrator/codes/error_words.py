"""Words by which a line of a log reports an error: English, Portuguese and Spanish."""

import re

# Capitals distinguish a report from talk: "ERROR", "ValueError", "Killed".
_FAILURE = re.compile(
    r"\bERRORS?\b|\bABEND|\b\w{0,60}(?:Error|Exception)\b|\bFATAL\b|\bTraceback\b|\bKilled\b|\b(?:[Ff]ailed|FAILED)\b"
    r"|\b[Ff]alh(?:a|ou)\b|\b[Ff]all(?:a|ó)\b|\bNo space left\b|\b[Oo]ut of memory\b"
)
_ERROR = re.compile(
    r"\b(?:abend\w{0,10}|\w{0,60}(?:error|exception)s?|erros?|errores|fatal|severe|traceback|fail(?:ed|ures?|s)?"
    r"|falh(?:as?|ou|aram)|fall(?:as?|os?|ó|aron)|cannot|can't|unable|denied|negad[oa]|denegad[oa]|killed|abort\w{0,10}"
    r"|oom-?kill\w{0,6}|no such file|not found|no space left|out of memory|ORA-\d{3,5}"
    r"|SQLCODE(?!\s{0,9}[:=]?\s{0,9}\+?0{1,9}\b))(?!\w)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:0|no|zero|sem|nenhum|nenhuma|without|sin|ning[uú]n) (?:errors?|erros?|errores|failures?|failed|falhas?"
    r"|fallos?|abends?|exceptions?)\b|\b(?:errors?|erros?|failures?|failed|abends?)\s{0,9}[:=]\s{0,9}0\b"
    r"|\berror ?level\b",
    re.IGNORECASE,
)

# A report that something is not as it must be, as programs of the house word it.
_REFUSAL = re.compile(
    r"(?i)\b(?:n[aã]o|no|not|sem|sin|without)\s{1,3}(?:\w{1,20}\s{1,3}){0,2}\w*(?:[ai]d[oa]s?|ed|confere|existe|bate|match"
    r"|found|valid|open|active|available|running|possible|enough|ativ[oa]|dispon[ií]vel|suficientes?|poss[ií]vel|chave|saldo"
    r"|registros?)\b"
    r"|\b(?:em aberto|ausentes?|falta(?:n|ndo)?|missing|pendentes?|pendientes?|diferen[cç]a|already|mismatch)\b"
    r"|\b(?:rejeit|rechaz|reject|diverg|descuadr|inv[aá]lid|bloquead|duplicad|exced|negad|denegad|vencid|expirad|inconsist"
    r"|recusad|esgotad)"
    r"|\bj[aá] (?:foi )?\w{1,20}d[oa]\b|\bya (?:fue|est[aá]) \w"
)


def reports_error(line: str) -> bool:
    """Whether ``line`` speaks of an error of any kind; "0 errors" does not."""
    return _ERROR.search(line) is not None and _DENIED.search(line) is None


def reports_failure(line: str) -> bool:
    """Whether ``line`` reports, as programs do before they end, that something failed: less than ``reports_error``."""
    return _FAILURE.search(line) is not None and _DENIED.search(line) is None


def reports_refusal(line: str) -> bool:
    """Whether ``line`` reports, as programs of the house word it, that something is not as it must be."""
    return _REFUSAL.search(line) is not None and _DENIED.search(line) is None
