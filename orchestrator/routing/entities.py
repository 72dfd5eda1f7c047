"""What a message is about: jobs, streams, workstations, folders, codes and times, verbatim.

Each step takes what it recognises out of the text before the next one looks, from the most certain (qualified
notation, codes) to the least (a bare identifier). Names are as the User's Guide 10.2.5 allows: a letter, then
letters, digits, ``_`` and ``-``.
"""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files

from orchestrator.codes.notation import FOLDER, NAME, SCHEDULE, check_job_name
from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND, find_abends, find_chat_return_codes, find_message_ids
from orchestrator.codes.states import STATE_NAMES, is_state
from orchestrator.models import Entities

_NAME = rf"{NAME}(?![A-Za-z0-9_-])"
_NOT_AFTER = r"(?<![A-Za-z0-9_@/.#$-])"

# [folder/]WS#[folder/]JS[(hhmm date),(id)][.JOB]
_QUALIFIED = re.compile(
    rf"{_NOT_AFTER}(?P<folder1>{FOLDER})(?P<workstation>{_NAME})#(?P<folder2>{FOLDER})(?P<stream>{_NAME}){SCHEDULE}"
    rf"(?:\.(?P<job>{_NAME}))?"
)

_TIMES = re.compile(
    r"(?<![A-Za-z0-9_.-])(?:"
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{1,2}/\d{1,2}(?:/\d{2,4})?"
    r"|[0-2]?\d:[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\b\.?)?"
    # As z/OS writes it.
    r"|[0-2]\d\.[0-5]\d\.[0-5]\d"
    r"|[0-2]?\d (?:da|de la|de) (?:madrugada|manh[aã]|ma[ñn]ana|tarde|noite|noche)"
    r"|[0-2]?\d\s?[ap]m\b"
    r"|[0-2]?\dh(?:[0-5]\d)?(?![A-Za-z0-9])"
    r"|(?:[uú]ltim[oa]s|past|last|h[aá]|faz|hace|desde h[aá]|for)\s+\d+\s*(?:horas?|hours?|hrs?|hs?|dias?|d[ií]as?"
    r"|days?|d|minutos?|minutes?|mins?|m|semanas?|weeks?)(?![A-Za-z0-9_])"
    r"|\d+\s+(?:hours?|minutes?|days?|weeks?)\s+ago"
    r"|(?:ontem|anteontem|hoje|hj|amanh[ãa]|yesterday|today|tonight|tomorrow|last night|ayer|anoche|anteayer|hoy"
    r"|(?<!de la )(?<!por la )(?<!esta )ma[ñn]ana"
    r"|(?:esta|nesta|de|na|la|this) (?:madrugada|noite|noche|manh[ãa]|ma[ñn]ana|morning|tarde|afternoon|evening)"
    r")(?![A-Za-z0-9_])"
    r")",
    re.IGNORECASE,
)

# On z/OS a job is an operation and a job stream an application.
_JOB_WORDS = r"jobs?(?:[ _-]?name)?|trabajos?|tarefas?|tareas?|opera(?:ção|cao|ções|coes|ción|cion|ciones|tions?)"
_STREAM_WORDS = (
    r"job[ -]?streams?|jobstreams?|streams?|schedules?|fluxos?(?: de jobs?)?|flujos?(?: de (?:jobs?|trabajos?))?"
    r"|cadeias?|cadenas?|malhas?|mallas?|aplica(?:ção|cao|ções|coes|ción|cion|ciones)|applications?"
)
_STATION_WORDS = (
    r"workstations?|esta[cç](?:ão|ao|ões|oes)(?: de trabalho)?|estaci(?:ón|on|ones)(?: de trabajo)?"
    r"|agentes?|agents?|cpus?|servidor(?:es)?|servers?|hosts?|m[aá]quinas?|nó|nodos?|nodes?|ftas?"
)
_JOB_CUE = re.compile(rf"\b(?:{_JOB_WORDS})\s+$", re.IGNORECASE)
_CUE_CHARACTERS = 40
"""How far before a name the word for its kind is looked for: a pasted list of the plan holds hundreds of names."""
_FOLDER_WORDS = r"folders?|pastas?|carpetas?"
# What stands after these words is a name of something else: never a job.
_OTHER_WORDS = (
    r"steps?(?:[ _-]?name)?|passos?|pasos?|datasets?|arquivos?|archivos?|files?|ficheros?|resources?|recursos?"
    r"|users?|usu[aá]rios?"
    r"|prompts?|programas?|programs?|tabelas?|tables?|tablas?|scripts?|vari[aá]ve(?:l|is)|variables?|volumes?|filas?"
    r"|queues?|incidentes?|incidents?|tickets?|(?<!job )(?<!jobs )(?<!stream )chamados?"
    r"|calend[aá]rios?|calendars?|calendarios?|logon|login|banco"
    r"|database|instances?|inst[aâ]ncias?|instancias?|queries|query|vers(?:ão|ao|ion|ión)|m[oó]dulos?|modules?|plano"
    r"|procs?|procedures?|membros?|members?|tws|hwa|iws|jcl|ddname|dd|var|env"
)
_LINK = (
    r"(?:\s+(?:chamad[oa]s?|named?|llamad[oa]s?|de nome|called|nomes?|names?|nombres?))?\s*[:=]?\s+[\"'`“«]?"
    r"|\s*[:=]\s*[\"'`“«]?"
)
_LIST_SEPARATOR = re.compile(
    r"[\"'`”»]?(?:\s*[,;]\s*(?:(?:e|y|and|ou|or|o)\s+)?|\s+(?:e|y|and|ou|or|o|&|/)\s+(?:(?:o|a|el|la|the)\s+)?|\s*/\s*)"
    r"[\"'`“«]?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


# English also puts the name first; a word in front of it for another kind, or a name behind, says otherwise.
def _named_before(words: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:\b(?:[Tt]he|[Oo]ur|[Tt]his)\s+(?P<name>{_NAME})|(?<![A-Za-z0-9_@/.#$\\=&%-])(?<!job )(?<!jobs )"
        rf"(?P<bare>[A-Z][A-Z-]*[0-9_][A-Z0-9_-]*))\s+(?:{words})\b(?!\s*[:=]?\s+[\"'`“«]?[A-Z][A-Z0-9_-]+)"
    )


_STATION_PLACE = re.compile(
    rf"\b(?:{_STATION_WORDS})\s+(?:on|at|n[oa]|em|en)\s+(?P<name>{_NAME})(?![A-Za-z0-9_/#.-])", re.IGNORECASE
)
_STREAM_AFTER = _named_before("(?:job ?stream|schedule|stream)s?")
_STATION_AFTER = _named_before("(?:workstation|agent|server)s?")
_BARE = re.compile(r"(?<![A-Za-z0-9_@/.#$\\=&%-])[A-Z][A-Z0-9_-]{2,39}(?![A-Za-z0-9_@#$\\/(=%-])(?!\.[A-Za-z0-9])")
# IEC030I B37-04,module,job,step,ddname[-n],device,volume,dataset (z/OS MVS System Messages, IEC).
_IEC_LIST = re.compile(
    r"\bIEC\d{3}I\s+[0-9A-F]{3}-[0-9A-F]{1,4}(?P<list>,[A-Z0-9]{1,8},(?P<job>[A-Z][A-Z0-9]{0,7}),[A-Z0-9]{0,8}"
    r"(?:,[A-Za-z0-9#@$.()+-]*)*)"
)
# The number that JES gives a job, beside a message.
_JES_NUMBER = re.compile(r"\b(?:JOB|STC|TSU)\d{5}(?=\s+[-+*]?\$?[A-Z]{3,4}\d)")
# Upper-case words with digits that name products, standards, tickets and steps, not jobs.
_NOT_JOBS = re.compile(
    r"^(?:STEP\w*|PASSO\w*|PASO\w*|(?:INC|CHG|REQ|RITM|TASK|PRB|SR|CS|TT|CRQ|WO)-?\d+|ORA-\d+|SQL\w*\d+\w?"
    r"|SQLCODE.*|HTTPS?\d*"
    r"|UTF-?\d+|ISO-?\d.*|SHA-?\d+|MD5|TLS\w*|SSL\w*|IPV[46]|DB2\w?|PL1|COBOL\d*|JES[23]|RHEL\d*|AIX\d*"
    r"|WIN(?:DOWS)?-?(?:\d{1,2}|20\d\d)|SLES\d+"
    # A code with its reason code, and what JES calls a job.
    r"|(?:ABEND)?[SU]?[0-9A-F]{3,4}-[0-9A-F]{1,4}|ABEND\w*"
    r"|K8S|[A-Z]?RC-?\d+|CC-?\d+|COVID-?\d+|LTO\d|G\d{4}V\d{2}|D\d{6}|T\d{6}|P[1-5]|S[1-5]|SEV-?\d|L[1-3]"
    r"|N[1-3]|Q[1-4]|V\d+R?\d*"
    r"|TWS\d*|HWA\d*|IWS\d*|TWSZ?\w*|RFC\d+|CVE-.*|E\d{3,}|HTTP_\w+|ERR_\w+|SIG\w+|STATUS_\w+|SOC[0-9A-F]|[BDE]37"
    rf"|{SYSTEM_ABEND}|{USER_ABEND}"
    r"|WAITING_\w+|FULLY_\w+|JOBMAN_\w+|WRITER_\w+|[A-Z]+-ONLY"
    r"|RESYNC_\w+|LLM_\w+|REDIS_\w+|NT_\w+|MAX_\w+|MAX-CC|X-\w+|Z-OS|E-MAIL|T-\d+|D-\d+|D\+\d+)$"
)
# What did what only jobs do: a word in capitals need not hold a digit, and one that holds a digit or "_" no capitals.
_SUBJECT = re.compile(
    r"(?<![A-Za-z0-9_@/.#$\\=&%-])(?P<name>[A-Z][A-Z-]{4,39}|(?=[a-z-]*[0-9_])[a-z][a-z0-9_-]{3,39})(?=\s+(?:"
    r"terminou|falhou|abendou|rodou|executou|n[aã]o (?:rodou|iniciou|terminou|executou)|abortou"
    r"|ended|failed|abended|finished|aborted|did(?: not|n't) (?:run|start|finish)|termin[óo]|fall[óo]|abort[óo])\b)"
)
# Words in capitals that are no names: in a sentence that is shouted, and products and environments; and states.
_PLAIN_WORDS = STATE_NAMES | {*files(__package__).joinpath("data/plain_words.txt").read_text(encoding="utf-8").split()}


def extract_entities(message: str) -> Entities:
    """Everything the message names, each kind in order of appearance and without repeats.

    A qualified job stays whole (``WS#STREAM.JOB``); its workstation, stream and folders are listed as well. Folders
    carry no trailing slash.
    """
    text = _Text(message)
    matches = _Matches()
    _take_log_forms(text, matches)
    _take_qualified(text, matches)
    matches.message_ids = list(find_message_ids(text.rest))
    matches.abends = list(find_abends(text.rest))
    matches.return_codes = list(find_chat_return_codes(text.rest))
    _take_times(text, matches)
    _take_other_words(text)
    _take_named_before(text, matches)
    text.rest = _cued(text, _STREAM_WORDS, matches.streams)
    text.rest = _cued(text, _STATION_WORDS, matches.workstations)
    for match in _STATION_PLACE.finditer(text.rest):
        if _is_name(match["name"], quoted=False, shouted=text.is_shouted):
            matches.workstations.append((match.start("name"), match["name"]))
            text.blank(match.start("name"), match.end("name"))
    text.rest = _cued_folders(text, matches)
    text.rest = _cued(text, _JOB_WORDS, matches.jobs, allow_dotted=True)
    _take_subjects(text, matches)
    _take_bare(text, matches)
    return matches.entities()


class _Text:
    """The message; what has been recognised is blanked, so that offsets and word borders stay."""

    def __init__(self, message: str) -> None:
        self.rest = message
        self.is_shouted = message.upper() == message

    def blank(self, start: int, end: int) -> None:
        self.rest = f"{self.rest[:start]}{' ' * (end - start)}{self.rest[end:]}"


class _Matches:
    def __init__(self) -> None:
        self.jobs: list[tuple[int, str]] = []
        self.streams: list[tuple[int, str]] = []
        self.workstations: list[tuple[int, str]] = []
        self.folders: list[tuple[int, str]] = []
        self.times: list[tuple[int, str]] = []
        self.abends: list[str] = []
        self.message_ids: list[str] = []
        self.return_codes: list[int] = []

    def entities(self) -> Entities:
        return Entities(
            jobs=_in_order(self.jobs),
            job_streams=_in_order(self.streams),
            workstations=_in_order(self.workstations),
            folders=_in_order(self.folders),
            times=_in_order(self.times),
            abend_codes=tuple(self.abends),
            return_codes=tuple(self.return_codes),
            message_ids=tuple(self.message_ids),
        )


def _in_order(matches: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for _, value in sorted(matches, key=lambda item: item[0])))


def _take_log_forms(text: _Text, matches: _Matches) -> None:
    """What z/OS messages hold at fixed places: IEC messages list module and job behind the code, JES has numbers."""
    for match in _IEC_LIST.finditer(text.rest):
        matches.jobs.append((match.start("job"), match["job"]))
        text.blank(match.start("list"), match.end())
    for match in _JES_NUMBER.finditer(text.rest):
        text.blank(match.start(), match.end())


def _take_qualified(text: _Text, matches: _Matches) -> None:
    for match in _QUALIFIED.finditer(text.rest):
        start = match.start()
        cue = _JOB_CUE.search(text.rest, max(0, start - _CUE_CHARACTERS), start)
        matches.workstations.append((start, match["workstation"]))
        for folder in (match["folder1"], match["folder2"]):
            if folder.strip("/"):
                matches.folders.append((start, folder.rstrip("/")))
        if match["job"] or cue:
            # conman also writes a job outside a stream as WS#JOB.
            matches.jobs.append((start, match[0]))
        if match["job"] or not cue:
            matches.streams.append((start, match["stream"]))
        text.blank(start, match.end())


def _take_times(text: _Text, matches: _Matches) -> None:
    for match in _TIMES.finditer(text.rest):
        matches.times.append((match.start(), match[0].strip()))
        text.blank(match.start(), match.end())


def _take_named_before(text: _Text, matches: _Matches) -> None:
    """The name before the word: "the NIGHTLY_UK schedule", "our LNX01 agent"."""
    for pattern, into in ((_STREAM_AFTER, matches.streams), (_STATION_AFTER, matches.workstations)):
        for match in pattern.finditer(text.rest):
            group = "name" if match["name"] else "bare"
            if _is_name(match[group], quoted=False, shouted=text.is_shouted):
                into.append((match.start(group), match[group]))
                text.blank(match.start(group), match.end())


def _take_other_words(text: _Text) -> None:
    pattern = re.compile(
        rf"(?<![A-Za-z0-9_-])(?:{_OTHER_WORDS})(?:{_LINK})(?P<name>[A-Za-z0-9_.$#@/\\-]+)", re.IGNORECASE
    )
    for match in pattern.finditer(text.rest):
        if _looks_like_a_name(match["name"].rstrip(".")):
            text.blank(match.start("name"), match.end("name"))


def _looks_like_a_name(word: str) -> bool:
    """A word that no sentence holds: with a digit, an underscore, or all capitals."""
    return bool(re.search(r"[0-9_]", word)) or (word.isupper() and len(word) > 1)


def _cued(text: _Text, words: str, into: list[tuple[int, str]], *, allow_dotted: bool = False) -> str:
    """Names that stand after one of ``words``, lists included; returns the text without them."""
    rest = text.rest
    for cue in re.finditer(rf"(?<![A-Za-z0-9_-])(?:{words})(?:{_LINK})", rest, re.IGNORECASE):
        position = cue.end()
        quoted = rest[position - 1] in "\"'`“«"
        for start, name in _names_from(rest, position, quoted=quoted, shouted=text.is_shouted, dotted=allow_dotted):
            into.append((start, name))
            text.blank(start, start + len(name))
    return text.rest


def _names_from(rest: str, position: int, *, quoted: bool, shouted: bool, dotted: bool) -> Iterator[tuple[int, str]]:
    while match := _WORD.match(rest, position):
        name = match[0].rstrip("-")
        end = position + len(name)
        if dotted and rest[end : end + 1] == "." and (tail := _WORD.match(rest, end + 1)):
            name = f"{name}.{tail[0]}"
            end = tail.end()
        if not _is_name(name, quoted=quoted, shouted=shouted) or _is_part_of_a_path(rest, end):
            return
        yield position, name
        separator = _LIST_SEPARATOR.match(rest, end)
        if separator is None:
            return
        position = separator.end()


def _is_part_of_a_path(rest: str, end: int) -> bool:
    """What stands before ``#``, ``@`` or ``/`` is no name of its own, except in a list: ``ANL01/ANL02``."""
    if rest[end : end + 1] in ("#", "@"):
        return True
    listed = re.match(rf"(?:/{_NAME})+(?![A-Za-z0-9_@/.#-])", rest[end:])
    return rest[end : end + 1] == "/" and not (
        listed and all(re.search("[0-9_]", part) for part in listed[0][1:].split("/"))
    )


def _is_name(word: str, *, quoted: bool, shouted: bool) -> bool:
    plain = word.upper() in _PLAIN_WORDS
    if plain or find_abends(word) or find_message_ids(word) or len(word.rsplit(".", 1)[-1]) > 40:
        return False
    if re.search(r"[0-9_]", word):
        return not _is_no_job(word.upper())
    return quoted or (word.isupper() and len(word) > 1 and not shouted)


def _is_no_job(word: str) -> bool:
    return is_state(word) or _NOT_JOBS.match(word) is not None


def _cued_folders(text: _Text, matches: _Matches) -> str:
    cued = re.compile(
        rf"(?<![A-Za-z0-9_-])(?:{_FOLDER_WORDS})(?:{_LINK})(?P<path>/?{_NAME}(?:/{_NAME})*/?)", re.IGNORECASE
    )
    for match in cued.finditer(text.rest):
        path = match["path"]
        if path.startswith("/") or _is_name(path, quoted=False, shouted=text.is_shouted):
            matches.folders.append((match.start("path"), path.rstrip("/")))
            text.blank(match.start("path"), match.end("path"))
    # Folders of the plan are written in capitals; a path in lower case is one of a file system.
    for match in re.finditer(
        r"(?<![A-Za-z0-9_@/.#$\\:-])/[A-Z][A-Z0-9_-]*(?:/[A-Z][A-Z0-9_-]*)*/?(?![A-Za-z0-9_.*?/-])", text.rest
    ):
        matches.folders.append((match.start(), match[0].rstrip("/")))
        text.blank(match.start(), match.end())
    return text.rest


def _take_subjects(text: _Text, matches: _Matches) -> None:
    for match in _SUBJECT.finditer(text.rest) if not text.is_shouted else ():
        name = match["name"].upper()
        if name not in _PLAIN_WORDS and not _is_no_job(name):
            matches.jobs.append((match.start(), match["name"].rstrip("-")))
            text.blank(match.start(), match.end())


def _take_bare(text: _Text, matches: _Matches) -> None:
    """Identifiers in capitals that hold a digit or an underscore, wherever they stand."""
    for match in _BARE.finditer(text.rest):
        word = match[0].rstrip("-")
        if not re.search(r"[0-9_]", word) or _is_no_job(word) or find_message_ids(word):
            continue
        try:
            check_job_name(word)
        except ValueError:
            continue
        matches.jobs.append((match.start(), word))
