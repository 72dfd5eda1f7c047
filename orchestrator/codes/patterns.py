"""The one place for the patterns of codes: abends, message ids and return codes, in questions and in logs.

Sources of fact: system completion codes are three hex digits, user codes four decimal digits (z/OS MVS System
Codes); HWA message ids are ``AWS``/``AWK``, a component of two or three letters, a number and a severity (User's
Guide 10.2.5); z/OS message ids are a component prefix, a number and a type.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator

SYSTEM_ABEND = r"S(?=[0-9A-F]{0,2}[0-9])[0-9A-F]{3}"
USER_ABEND = r"U\d{4}"
"""Abend codes as words, as regular expressions: what stands around them is the caller's."""
_ABEND = re.compile(rf"{SYSTEM_ABEND}|{USER_ABEND}")

# Blanks are bounded throughout: two runs of any length side by side would be tried in every division.
_HEX_WITH_DIGIT = r"(?=[0-9A-F]*[0-9])[0-9A-F]{3}"
# A step or a job may be called S010 as well, and IEF450I writes it just before " - ABEND=".
# Behind the code's letter, which a search finds faster than a place.
_NAMED = r"(?<![A-Za-z0-9_#@$./\\-][SU])(?<!\b[Jj][Oo][Bb] [SU])(?<!\b[Ss][Tt][Ee][Pp] [SU])(?<!\b[Pp]asso [SU])"
_END = r"(?![A-Za-z0-9_#@$/\\])(?!\.[A-Za-z0-9])(?!-[A-Za-z0-9]{3})(?!\s{0,9}-?\s{0,9}ABEND=)"

_SYSTEM = re.compile(rf"S{_NAMED}({_HEX_WITH_DIGIT}){_END}")
# S101 and U2001 are also shops and branches: without a letter inside, a code counts behind a word that announces one.
_ANNOUNCED = re.compile(
    r"(?:abend|completion|\b(?:system|user)\s{0,9}(?:code|=)|\bc[oó]d(?:igo|\.)?\s{0,9}(?:de\s{0,9})?(?:abend|t[eé]rmino)"
    r"|\bsinal de abend|\bS000\s)[^\n]{0,60}$",
    re.IGNORECASE,
)
_UNMISTAKABLE = re.compile(r"0C[0-9A-F]|[0-9A-F]37")
_ANNOUNCEMENT_CHARACTERS = 80
_USER = re.compile(rf"U{_NAMED}(\d{{4}}){_END}")
# After the word itself, lower case counts, and so does a system code without its S when it mixes letters and digits.
_AFTER_ABEND = re.compile(
    r"\babend(?:ed|ou|ado|ada|ó)?(?:\s{1,9}(?:with|com|con|code|c[oó]digo|de|do|en|em|system|user)){0,4}"
    r"\s{0,9}[:=(\[-]?\s{0,9}"
    r"(?P<code>s(?=[0-9a-f]*\d)[0-9a-f]{3}|u\d{4}|(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{3})(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_COMPLETION = re.compile(
    rf"\b(?i:SYSTEM(?:\s{{1,9}}COMPLETION)?\s{{0,9}}(?:CODE)?)\s{{0,9}}=\s{{0,9}}({_HEX_WITH_DIGIT})\b"
    # Messages on VSAM (070, 161, 251) have return and function codes there.
    rf"|\bIEC(?!070|161|251)\d{{3}}I\s+({_HEX_WITH_DIGIT})-[0-9A-F]{{1,4}}\b"
)

_MESSAGE = re.compile(
    r"\b(?:AW[SK][A-Z]{2,3}\d{3,4}[IWE]"
    r"|EQQ[A-Z0-9]{4}[IWES]"
    r"|(?:IEFC|IE[ACEFW]|ADR|ARC|BPX|CEE|CSV|DFH[A-Z]{0,2}|DFS|DSN[A-Z]?|EDC|ERB|ICE|ICH|IDC|IGD|IGZ|IKJ|IOS|WER)\d{3,5}[AEDISUWC])\b"
)

_DATABASE = re.compile(r"\b(?:(?:ORA|PLS|TNS|RMAN|KUP|LRM)-\d{5}|SQL\d{4,5}[NCW])\b", re.IGNORECASE)

_SEVERE = re.compile(r"\w+[ECSU]|(?:ICE|WER)\d+A")

# In a document or a search a code stands in lists and headings (S106/S806), without its S (B37-04), or with the usual
# slip of the letter O for the digit 0 (SOC7): what is looked up may be read less strictly than what is asserted.
_LOOKED_UP = re.compile(
    rf"\b(?:S(?P<system>{_HEX_WITH_DIGIT})|(?P<user>U\d{{4}})|(?P<space>[BDE]37)(?:-[0-9A-F]{{2}})?|(?i:SOC)(?P<slip>[0-9A-F])"
    r"|(?<=[Aa][Bb][Ee][Nn][Dd] )(?P<digits>\d{3}))\b"
)
# s0c7, 0C7, SOC7, B37-04 and ABEND806: all are written in a chat.
_IN_CHAT = re.compile(
    r"(?<![A-Za-z0-9_#@./-])(?:[sS](?P<system>[0-9a-fA-F]{3})|(?P<user>[uU]\d{4})|[sS]?[0oO][cC](?P<slip>[0-9A-Fa-f])|(?P<space>[BDE]37)"
    r"|[Aa][Bb][Ee][Nn][Dd] ?(?P<digits>\d{3}))(?!-\w{3})(?![A-Za-z0-9_/.]\w)(?!\w)",
    re.ASCII,
)

_PLACE = re.compile(
    r"\b(?:lojas?|filia(?:l|is)|unidades?|ag[eê]ncias?|contas?|salas?|setor(?:es)?|linhas?|sucursal(?:es)?|tiendas?"
    r"|cuentas?|oficinas?|steps?|passos?|pasos?|jobs?|stores?|branch(?:es)?|units?|accounts?|s[eé]ries?)\s{1,3}$",
    re.IGNORECASE,
)
_PLACE_CHARACTERS = 20

# DSNT408I SQLCODE = -911; a COBOL DISPLAY writes 0000000911-; Db2 on other systems SQL0911N. +100 and 0 are no errors.
_SQLCODE = re.compile(
    r"\bSQLCODE\s{0,9}[:=]?\s{0,9}(?:-\s?0{0,8}(\d{3,5})\b|0{0,8}(\d{3,5})-(?!\d))|\bSQL0{0,2}(\d{3,5})N\b",
    re.IGNORECASE,
)
# The status of COBOL's FILE STATUS clause, as programs display it and as IGZ0035S reports it.
_FILE_STATUS = re.compile(
    r"\b(?:FILE[ _-]?STATUS|VSAM[ _-]STATUS|STATUS[ _-]?CODE)(?:[ _-](?:CODE|KEY))?\s{0,9}(?:IS|WAS|[:=])?\s{0,9}"
    r"[\"'(]?(\d\d)\b",
    re.IGNORECASE,
)

_NUMBER = r"(0[xX][0-9A-Fa-f]{8}|[-+]?\d{1,10})"
_IS = r"\s{0,9}(?:of|de|is|was|foi|fue|é|es|era|->|[:=(]|=\s{0,9}>)?\s{0,9}"
_ENDED = (
    r"(?:termin|acab|finaliz|encerr|abort|saiu|sali|sale|morr|muri|ca[ií]|cay|fall|falh|quebr"
    r"|ended|ends|finished|failed|died|dies)\w{0,6}"
)
# "returned 12 rows" counts things.
_THINGS = (
    r"\s{1,9}(?:rows?|records?|lines?|items?|results?|files?|bytes|registros?|linhas?|l[ií]neas?|filas|itens|[ií]tems?"
    r"|resultados?|arquivos?|archivos?)\b"
)
_RETURN_CODE = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"RC|MAX-?[CR]C|CC|COND(?:ITION)?[ _]CODE"
    r"|return(?:ed)?[ _-]?code|exit(?:ed)?[ _-]?(?:code|status|value)|exit(?:ed)?(?:\s{1,9}with)?"
    r"|c[oó]d(?:igo|\.)?\s{0,9}(?:de\s{1,9})?(?:retorno|sa[ií]da|salida|erro|error)|retcode|returncode|errorlevel"
    rf"|{_ENDED}\s{{1,9}}(?:com|con|with)\s{{1,9}}(?:(?:o|el|the|um|un|a)\s{{1,9}})?(?:c[oó]digo|code)"
    r"|(?:return(?:s|ed)|retorn(?:a|ou|ó)|devolv(?:eu|i[oó]|e)|devuelve|saiu com|sai com|sali[oó] con|sale con)"
    r"(?:\s{1,9}(?:the|o|el)?\s{0,9}(?:code|c[oó]digo|rc))?"
    rf"){_IS}{_NUMBER}(?![A-Za-z0-9_%]|[.,:]\d|-\d|{_THINGS})",
    re.IGNORECASE,
)

# In a question a code also stands beside a verb of ending ("morreu com 137") and beside "código" alone; a number of
# things ("terminou com 5 registros") is none.
_RETURN_CODE_IN_CHAT = re.compile(
    rf"(?<![A-Za-z0-9_])(?:c[oó]digo|(?:{_ENDED}|exits?|exiting|exited)\s{{1,9}}(?:com|con|with|w/))\s{{1,9}}{_NUMBER}"
    r"(?=\s{0,9}[.,;!?)]|\s{0,9}$|\s{1,9}(?:hj|hoje|ontem|de|d[ao]|n[ao]|em|e|[aà]s?|desde|on|in|at|after|again|and|y|en"
    r"|ayer|hoy|anoche|otra|today|yesterday|since|every)(?!\w))(?![.,]\d)",
    re.IGNORECASE,
)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def find_abends(text: str) -> tuple[str, ...]:
    """System (``S0C7``) and user (``U4038``) abend codes in order of appearance, upper case, without repeats.

    A code without a letter inside (``S806``, ``U4038``) counts only behind a word that announces it, such as ABEND.
    ``S000`` and ``U0000`` are left out: they are how a log writes "no such code" beside the real one.
    """
    return _abends(
        text,
        lambda match: _UNMISTAKABLE.fullmatch(match[1]) is not None or _is_announced(text, match.start()),
    )


def find_reported_abends(text: str) -> tuple[str, ...]:
    """The abends that a job log reports: every code behind a word that announces it, S0C7 as well."""
    return _abends(text, lambda match: _is_announced(text, match.start()))


def find_abend_words(text: str) -> tuple[str, ...]:
    """Every word that is spelt as an abend code is, whatever stands before it: for what must not be asserted."""
    return _abends(text, lambda _match: True)


def _abends(text: str, counts: Callable[[re.Match[str]], bool]) -> tuple[str, ...]:
    matches = [(match.start(), f"S{match[1]}") for match in _SYSTEM.finditer(text) if counts(match)]
    matches += [(match.start(), f"U{match[1]}") for match in _USER.finditer(text) if counts(match)]
    matches += _after_the_word(text)
    matches += [(match.start(), f"S{match[1] or match[2]}") for match in _COMPLETION.finditer(text)]
    return _unique(code for _, code in sorted(matches) if code not in ("S000", "U0000"))


def _after_the_word(text: str) -> Iterator[tuple[int, str]]:
    for match in _AFTER_ABEND.finditer(text):
        code = match["code"].upper()
        yield match.start("code"), code if len(code) > 3 else f"S{code}"


def _is_announced(text: str, position: int) -> bool:
    return _ANNOUNCED.search(text, max(0, position - _ANNOUNCEMENT_CHARACTERS), position) is not None


def is_abend(code: str) -> bool:
    """Whether ``code`` is an abend code in its one spelling."""
    return _ABEND.fullmatch(code) is not None


def find_message_ids(text: str) -> tuple[str, ...]:
    """Message ids (``AWSBHT001E``, ``EQQE037I``, ``IEC030I``) in order of appearance, without repeats."""
    return _unique(match[0] for match in _MESSAGE.finditer(text))


def find_database_codes(text: str) -> tuple[str, ...]:
    """Error codes of Oracle and Db2 LUW (``ORA-12541``, ``SQL0964C``), in capitals, in order of appearance."""
    return _unique(match[0].upper() for match in _DATABASE.finditer(text))


def is_severe(message_id: str) -> bool:
    """Whether a message reports an error, by the letter of its severity; A does so in those of sort programs alone."""
    return _SEVERE.fullmatch(message_id) is not None


def by_severity(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes without repeats: abends, then message ids that report an error, then the others."""
    return tuple(sorted(dict.fromkeys(codes), key=lambda code: 0 if is_abend(code) else 2 - is_severe(code)))


def find_return_codes(text: str) -> tuple[int, ...]:
    """Return codes as signed 32-bit numbers, in order of appearance, without repeats.

    A number counts only beside a word for a return code (``RC=137``, ``exit code 1``, ``código de retorno 8``);
    ``RC<=4`` is a success condition, not a code. Windows writes one code as ``0xC0000005`` and as
    ``-1073741819``: both give the latter, as the HWA API does.
    """
    return _signed(match[1] for match in _RETURN_CODE.finditer(text))


def find_chat_return_codes(text: str) -> tuple[int, ...]:
    """Return codes as users write them: also ``morreu com 137`` and ``código 143``."""
    matches = [
        (match.start(1), match[1])
        for pattern in (_RETURN_CODE, _RETURN_CODE_IN_CHAT)
        for match in pattern.finditer(text)
    ]
    return _signed(number for _, number in sorted(matches))


def _signed(numbers: Iterable[str]) -> tuple[int, ...]:
    codes: dict[int, None] = {}
    for number in numbers:
        value = int(number, 16) if number[:2] in ("0x", "0X") else int(number)
        if 2**31 <= value < 2**32:
            value -= 2**32
        if -(2**31) <= value < 2**31:
            codes[value] = None
    return tuple(codes)


def find_chat_abends(text: str, known: Container[str]) -> tuple[str, ...]:
    """Abends as users spell them (``s0c7``, ``0C7``, ``SOC7``, ``B37``, ``U4038``, ``abend 806``), if they are known.

    Behind the word for a place ("loja S101") stands none.
    """
    codes = (
        _spelt_out(match).upper()
        for match in _IN_CHAT.finditer(text)
        if not _PLACE.search(text, max(0, match.start() - _PLACE_CHARACTERS), match.start())
    )
    return _unique(code for code in codes if code in known)


def _spelt_out(match: re.Match[str]) -> str:
    """The abend of a match in which its S may be missing, or its digit 0 be a letter."""
    part = match["system"] or match["space"] or match["digits"] or f"0C{match['slip']}"
    return match["user"] or f"S{part}"


def find_program_codes(text: str) -> tuple[str, ...]:
    """SQLCODEs of Db2 and COBOL file statuses, in one spelling each: ``SQLCODE -911``, ``FILE STATUS 35``."""
    matches = [
        (match.start(), f"SQLCODE -{int(match[1] or match[2] or match[3])}") for match in _SQLCODE.finditer(text)
    ]
    matches += [(match.start(), f"FILE STATUS {match[1]}") for match in _FILE_STATUS.finditer(text)]
    return _unique(code for _, code in sorted(matches))


def find_codes_to_look_up(text: str) -> tuple[str, ...]:
    """Abends and message ids of a document or a search, in order: also ``S106/S806``, ``B37-04`` and ``SOC7``."""
    matches = [(match.start(), match[0]) for match in _MESSAGE.finditer(text)]
    matches += ((match.start(), _spelt_out(match)) for match in _LOOKED_UP.finditer(text))
    matches += _after_the_word(text)
    return _unique(code for _, code in sorted(matches))


def find_reported_codes(text: str) -> tuple[str, ...]:
    """Of a line of a job log: the abends that it reports, then its message ids."""
    return (*find_reported_abends(text), *find_message_ids(text))


def find_codes(text: str) -> tuple[str, ...]:
    """Abend codes, then message ids: the codes of ``Evidence.codes`` and ``JobLogFacts.codes``."""
    return (*find_abends(text), *find_message_ids(text))
