"""What a message is about: jobs, streams, workstations, folders, codes and times, verbatim.

Each step takes what it recognises out of the text before the next one looks, from the most certain (qualified
notation, codes) to the least (a bare identifier). What only may be a name is a candidate: the plan decides. Names are
those of ``codes.notation``. The words that announce a name or tell a time are data: ``[names]`` and ``[times]`` of each
language's ``language.toml``, all languages together, because a question may mix them.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.resources import files

from orchestrator.codes.notation import (
    FOLDER,
    NAME,
    SCHEDULE,
    ZOS_NAME,
    JobRange,
    check_job_name,
    is_job_pattern,
    is_named_by,
    is_zos_name,
    range_words,
)
from orchestrator.codes.patterns import (
    SYSTEM_ABEND,
    USER_ABEND,
    find_abends,
    find_chat_return_codes,
    find_database_codes,
    find_message_ids,
    is_abend,
)
from orchestrator.codes.states import STATE_NAMES, is_state
from orchestrator.i18n.languages import Language, language_facts, words_of
from orchestrator.joblog.reader import EXPLAINED, Sighting, read_log
from orchestrator.models import MAX_JOBS, Entities
from orchestrator.redaction.redact import MARK
from orchestrator.routing.listing import STATES as LISTED_STATES
from orchestrator.routing.listing import listing_of, went_well
from orchestrator.routing.vocabulary import is_known, is_stop_word, plain, plain_text

MAX_CANDIDATES = 12
"""Words of one question that are looked up in the plan: the first ones."""

_NAME = rf"{NAME}(?![A-Za-z0-9_-])"
_NOT_AFTER = r"(?<![A-Za-z0-9_@/.#$-])"
_FREE = r"(?<![\w@/.#$\\=&%-])"
_END = r"(?![\w@#$\\/(=%-])(?!\.\w)"
"""Borders of a word that stands alone, and is no part of a path, an address or an assignment."""

# [folder/]WS#[folder/]JS[(hhmm date),(id)][.JOB]
_QUALIFIED = re.compile(
    rf"{_NOT_AFTER}(?P<folder1>{FOLDER})(?P<workstation>{_NAME})#(?P<folder2>{FOLDER})(?P<stream>{_NAME}){SCHEDULE}"
    rf"(?:\.(?P<job>{ZOS_NAME}(?![\w$#@-])|{_NAME}))?(?!\.?[\w$-]*[*@])"
)
# Of z/OS, with "$", "#" or "@" in it; no amount (R$500), no language (C#), no one spoken to (@maria).
_ZOS = re.compile(
    rf"{_FREE}(?![A-Z]{{0,2}}\$\d+(?![A-Za-z#@]))(?=[a-z0-9]*[A-Z$#@]|[a-z]*#\d)(?P<name>{ZOS_NAME}){_END}"
)
# Variables, messages of JES2, people and topics.
_NOT_ZOS = re.compile(r"\$(?:HOME|PATH|USER|PWD|SHELL|LANG|HOST\w*|TMP\w*|TEMP|HASP\d+)|[@#][A-Z]?[a-z]+|#\d+|.{1,2}")
_CODE_BEHIND = re.compile(rf"-(?:{SYSTEM_ABEND}|{USER_ABEND}|RC-?\d+)$")
# Of two parts, so that a data set is none.
_DOTTED = re.compile(rf"{_FREE}[A-Z][A-Z0-9_-]{{2,15}}\.[A-Z][A-Z0-9_-]{{3,39}}{_END}")
# [/folder/]STREAM.JOB in its folder; without a word for a job before it, what ends like a file may be one.
_IN_A_FOLDER = re.compile(
    rf"{_NOT_AFTER}/(?:[A-Z][A-Z0-9_-]*/)+[A-Z][A-Z0-9_-]*\.(?:[A-Z][A-Z0-9_-]*|{ZOS_NAME})(?![\w/.$#@-])"
)
_PATH = r"(?P<path>/(?:[A-Z][A-Z0-9_-]*/)+[A-Z][A-Z0-9_-]*)(?![\w/.$#@-])"
_FILE_ENDING = re.compile(r"\.[A-Z]{1,4}$")
_SLASHED = re.compile(rf"{_FREE}{NAME}(?:/{NAME})+{_END}")
_KEY = re.compile(r"\"[a-z][a-z0-9_]{0,39}\"(?=\s?:)")
"""A key of pasted JSON, which names a field and no job."""
_IDENTIFIER = re.compile(rf"{_FREE}[A-Za-z][A-Za-z0-9_-]{{2,39}}{_END}")

# A word that may be a pattern of jobs, with what a sentence puts around it.
_WILD = re.compile(r"(?<!\S)[(\[]*(?P<quote>[\"'`“«]?)(?P<name>[A-Za-z0-9_$#@*?./-]*[*?@][A-Za-z0-9_$#@*?./-]*)")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)[^*\n]*[^*\s](\1)(?![\w*])")
"""Words between asterisks, as chats and Markdown write bold."""
_LISTED_NAME = re.compile(rf"\s*+(?:(?:[-*•]|\d{{1,3}}[.)])\s*+)?(?=\S*[0-9_#])(?:{NAME}|\S+[#.]{NAME})\s*[,;.]?\s*")
"""A line of a list of names."""
_LITERALS = 3
"""Letters and digits that a pattern begins with, from which it needs no word for jobs before it."""

_SHORTEST_CAPITALS = 5
"""Letters of a word in capitals without a digit, from which it is a name rather than an abbreviation."""
_CUE_CHARACTERS = 40
"""How far before a name the word for its kind is looked for: a pasted list of the plan holds hundreds of names."""
_WORD = re.compile(rf"{ZOS_NAME}(?![\w$#@-])|[A-Za-z][A-Za-z0-9_-]*(?!\w)")
# IEC030I B37-04,module,job,step,ddname[-n],device,volume,dataset (z/OS MVS System Messages, IEC).
# Those of VSAM begin with the job: IEC070I rc(sfi)-code,job,step,ddname,...
_IEC_LIST = re.compile(
    r"\bIEC(?:(?P<vsam>070|161|251)|\d{3})I\s+[0-9A-F]{3}(?:\([^)\s]*\))?-[0-9A-F]{1,4}"
    r"(?P<list>(?(vsam)|,[A-Z0-9]{1,8}),(?P<job>[A-Z][A-Z0-9]{0,7}),[A-Z0-9]{0,8}"
    r"(?:,[A-Za-z0-9#@$.()+-]*)*)"
)
# The number that JES gives a job, beside a message.
_JES_NUMBER = re.compile(r"\b(?:JOB|STC|TSU)\d{5}(?=\s+[-+*]?\$?[A-Z]{3,4}\d)")
# The messages about a job that begin with its name (z/OS MVS System Messages, IEF; JES2 Messages, HASP).
_JOB_MESSAGE = re.compile(
    rf"(?:\bIEF(?:403|404|450|451|452|453)I|\$HASP(?:165|373|395))[ \t]+(?P<job>{ZOS_NAME})(?![\w$#@])"
)
_END_OF_OPENING = re.compile(r"[?!:]\s|\n|\s[-–—]\s")
_LOG_LINE_WORDS = 2
_PASTED_LINES = 6
"""Lines of a message from which those in its middle are taken for a pasted log."""
# Upper-case words with digits that name products, standards and tickets, not jobs.
_NOT_JOBS = (
    r"(?:INC|CHG|REQ|RITM|TASK|PRB|SR|CS|TT|CRQ|WO)-?\d+|ORA-\d+|SQL\w*\d+\w?"
    r"|SQLCODE.*|HTTPS?\d*"
    r"|UTF-?\d+|ISO-?\d.*|SHA-?\d+|MD5|TLS\w*|SSL\w*|IPV[46]|DB2\w?|PL1|COBOL\d*|JES[23]|RHEL\d*|AIX\d*"
    r"|WIN(?:DOWS)?-?(?:\d{1,2}|20\d\d)|SLES\d+"
    # A code with its reason code, and what JES calls a job.
    r"|(?:ABEND)?[SU]?[0-9A-F]{3,4}-[0-9A-F]{1,4}|ABEND\w*"
    r"|(?:JOB|STC|TSU)\d{5}|[A-Z]{3,5}\d{3,5}I|K8S|[YAMDHS]{4,}|[A-Z]?RC-?\d+|CC-?\d+|COVID-?\d+|LTO\d|G\d{4}V\d{2}|D\d{6}|T\d{6}|P[1-5]|S[1-5]|SEV-?\d|L[1-3]"
    r"|N[1-3]|Q[1-4]|V\d+(?:R\d+\w*)?"
    r"|TWS[DZ]?\d*|HWA\d*|IWS\d*|RFC\d+|CVE-.*|E\d{3,}|HTTP_\w+|ERR_\w+|SIG\w+|STATUS_\w+|SOC[0-9A-F]|[BDE]37"
    rf"|{SYSTEM_ABEND}|{USER_ABEND}"
    r"|WAITING_\w+|FULLY_\w+|JOBMAN_\w+|WRITER_\w+|[A-Z]+-ONLY"
    r"|(?:PYTHON|JAVA|JDK|JRE|ORACLE|POSTGRES|MYSQL|WINDOWS|REDIS|ORA|SAS|SAP|S3|EC2|BASE|AMD|ARM|INT|UTF|MP|"
    r"H|T|D|RC|EXIT|ERR|FP|MAXCC|DD|SYSUT|SYSIN|SORTWK|SORTIN|SORTOUT|SORTOF)\d+\w{0,2}|LOG4J\d?|\w+(?:EXCEPTION|ERROR)"
    r"|(?:EZ[A-Z]|ICE|WER|DFS|DFH[A-Z]{2}|DSN[A-Z]|CSQ[A-Z]|IEB|IEH|IKJ|IGZ|CEE|ADR|ARC|BPX[A-Z]|IST|IXC|EEW[A-Z]?)\d{3,5}[A-Z]"
    r"|TBL?_\w+|VW_\w+|\w+_(?:HOME|SID|PATH)|(?:EXIT|RETURN|ERROR|STATUS|COND|COMPLETION)_CODE"
    r"|RESYNC_\w+|LLM_\w+|REDIS_\w+|NT_\w+|MAX_\w+|MAX-CC|X-\w+|Z-OS|E-MAIL|T-\d+|D-\d+|D\+\d+"
)


@cache
def _cue(kind: str, name: str = "") -> re.Pattern[str]:
    """A word for ``kind`` up to where its name begins, then the pattern ``name``."""
    called = rf"(?:\s+{words_of('names', 'called')})?\s*[:=]?\s+[\"'`“«]?|\s*[:=]\s*[\"'`“«]?"
    return re.compile(rf"(?<![A-Za-z0-9_-]){words_of('names', kind)}(?:{called}){name}", re.IGNORECASE)


@cache
def _job_cue() -> re.Pattern[str]:
    return re.compile(rf"\b{words_of('names', 'jobs')}\s+$", re.IGNORECASE)


@cache
def _several_cue() -> re.Pattern[str]:
    """Words for more than one job: "jobs", "todos os", "los"."""
    words, articles, every = words_of("names", "jobs"), words_of("names", "articles"), words_of("lists", "all")
    return re.compile(rf"\b(?:{words}(?<=s)|{articles}(?<=s)|{every})\s+$", re.IGNORECASE)


@cache
def _stream_cue() -> re.Pattern[str]:
    return re.compile(rf"\b{words_of('names', 'streams')}\s+$", re.IGNORECASE)


@cache
def _station_cue() -> re.Pattern[str]:
    return re.compile(rf"\b{words_of('names', 'workstations')}\s+$", re.IGNORECASE)


@cache
def _range() -> re.Pattern[str]:
    """Two names, or a name and a number, with what makes a range of them."""
    return re.compile(
        rf"{_FREE}(?P<first>[A-Za-z$#@][\w$#@]{{0,39}}?(?:-[\w$#@]+?)*?\d[A-Za-z$#@_]{{0,7}})"
        rf"(?:(?P<tight>\.\.\.?|…|–|—|-)|(?P<spaced>\s+(?:-|–|—|\.\.)\s+)|{range_words()})"
        rf"(?P<last>[A-Za-z$#@][\w$#@-]{{0,39}}|\d{{1,9}}){_END}(?!\s*[-–—]\s*[A-Za-z])(?!:\d|%)",
        re.IGNORECASE,
    )


@cache
def _numbers_behind() -> re.Pattern[str]:
    """A name that ends in a number, and numbers listed behind it."""
    separator = _list_separator().pattern
    return re.compile(
        rf"{_FREE}(?P<head>[A-Za-z][A-Za-z0-9_-]*?[A-Za-z_-])(?P<digits>\d{{3,8}})"
        rf"(?P<more>(?:{separator}\d{{3,8}})+){_END}",
        re.IGNORECASE,
    )


_SET_END = re.compile(r"[\"'`”»\s,(;–—-]*")
"""What may stand between several jobs and "sem o FECH003"."""


@cache
def _excluded() -> re.Pattern[str]:
    """Words behind which jobs stand that are left out, and what may stand before the first of these."""
    sure, behind, article, jobs, of, stream = (
        words_of("names", key) for key in ("excluded", "excluded_behind", "articles", "jobs", "of_a_job", "streams")
    )
    of_a_stream = rf"(?P<stream>(?:{article}\s+)?(?:{jobs}\s+)?(?:{of}|{article})\s+(?:{article}\s+)?{stream}\s+)"
    return re.compile(
        rf"(?<![\w-])(?P<word>(?P<sure>{sure})|{behind})(?::\s*|\s+)"
        rf"(?:{of_a_stream}|(?:{article}\s+)?(?:{jobs}\s+)?)[\"'`“«]?",
        re.IGNORECASE,
    )


@cache
def _range_tail() -> re.Pattern[str]:
    """What follows a qualified job that begins a range."""
    return re.compile(rf"(?:\.\.\.?|…|–|{range_words()})(?P<last>[^\s.,;?!]+(?:\.[^\s.,;?!]+)?)", re.IGNORECASE)


@cache
def _no_range() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){words_of('names', 'not_ranges')}(?![\w-])[^.;?!\n]*$", re.IGNORECASE)


@cache
def _measured() -> re.Pattern[str]:
    """What follows a number of a time or a quantity."""
    return re.compile(rf"\s*(?:{words_of('times', 'units')}|h|min|s|%)(?!\w)", re.IGNORECASE)


@cache
def _prefixed() -> re.Pattern[str]:
    """Jobs by the beginning of their names: "os jobs que começam com FECH0"."""
    nouns = rf"(?:{words_of('names', 'jobs')}(?<=s)|{words_of('lists', 'things')})"
    return re.compile(
        rf"(?<![\w-]){nouns}\s[^.;?!\n]{{0,40}}?(?<!\w)(?P<words>{words_of('names', 'prefixed')})\s+"
        rf"[\"'`“«]?(?P<name>{NAME})(?P<wild>[*@]?)(?![\w#$@*?-])",
        re.IGNORECASE,
    )


@cache
def _named_before(kind: str) -> re.Pattern[str]:
    """A name before the word for ``kind``; a word in front of it for another kind, or a name behind, says otherwise."""
    return re.compile(
        rf"(?:\b{words_of('names', 'determiners')}\s+(?P<name>{_NAME})|(?<![A-Za-z0-9_@/.#$\\=&%-])(?<!job )(?<!jobs )"
        rf"(?P<bare>[A-Z][A-Z-]*[0-9_][A-Z0-9_-]*))\s+{words_of('names', f'{kind}_behind')}\b"
        r"(?!\s*[:=]?\s+[\"'`“«]?[A-Z][A-Z0-9_-]+)"
    )


@cache
def _station_place() -> re.Pattern[str]:
    words, place = words_of("names", "workstations"), words_of("names", "prepositions")
    return re.compile(rf"\b{words}\s+{place}\s+(?P<name>{_NAME})(?![A-Za-z0-9_/#.-])", re.IGNORECASE)


@cache
def _list_separator() -> re.Pattern[str]:
    conjunction, article = words_of("names", "conjunctions"), words_of("names", "articles")
    return re.compile(
        rf"[\"'`”»]?(?:\s*[,;]\s*(?:{conjunction}\s+)?|\s+(?:{conjunction}|&|/)\s+(?:{article}\s+)?|\s*/\s*)[\"'`“«]?",
        re.IGNORECASE,
    )


@cache
def _subject() -> re.Pattern[str]:
    """What did what only jobs do: a word in capitals need not hold a digit, and one with a digit or "_" no capitals."""
    return re.compile(
        rf"{_FREE}(?P<name>[A-Z][A-Z-]{{4,39}}|(?=[a-z-]*[0-9_])[a-z][a-z0-9_-]{{3,39}})"
        rf"(?=\s+{words_of('names', 'verbs')}\b)"
    )


@cache
def _does() -> re.Pattern[str]:
    return re.compile(rf"[\"'`”»]?\s+{words_of('names', 'verbs')}(?!\w)", re.IGNORECASE)


@cache
def _does_several() -> re.Pattern[str]:
    return re.compile(rf"[\"'`”»]?\s+{words_of('names', 'verbs_of_several')}(?!\w)", re.IGNORECASE)


@cache
def _in_a_place() -> re.Pattern[str]:
    jobs, place = words_of("names", "jobs"), words_of("names", "prepositions")
    of = words_of("names", "of_a_job")
    which, show, of_several, things, runs, running = (
        words_of("lists", key) for key in ("which", "show", "of", "things", "runs", "running")
    )
    several = (
        rf"(?<![\w-])(?P<jobs>{jobs}(?<=s)\b[^.;?!]*\s+{place}"
        rf"|(?:{which}|{show})\s+(?:\w+\s+)?{jobs}(?<=s)\s+{of_several}"
        rf"|{jobs}(?<=s)\s+{of_several}|{things}\s+(?:\w+\s+)?(?:{runs}|{running})\s+{place})"
    )
    did, there = words_of("names", "verbs"), words_of("names", "there")
    of_a_job = rf"\s+(?:(?:{did}|{there})\s+)?{place}\s+|\s+(?:{there}\s+)?{of}\s+|\s*(?P<inside>\()"
    return re.compile(
        rf"(?:{several}\s+|(?<![\w$#@-])(?P<name>[\w$#@-]+)[\"'`”»]?(?:{of_a_job}))[\"'`“«]?$", re.IGNORECASE
    )


@cache
def _conjunction() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){words_of('names', 'conjunctions')}(?!\w)|[&/]", re.IGNORECASE)


@cache
def _has_an_object() -> re.Pattern[str]:
    """What follows a verb that is no name: "cancela BATCH001 e segue o stream"."""
    kinds = "|".join(words_of("names", key) for key in ("jobs", "streams", "workstations", "folders", "others"))
    return re.compile(rf"\s+{words_of('names', 'articles')}\s+(?:{kinds})(?![\w-])", re.IGNORECASE)


@cache
def _before_a_word() -> re.Pattern[str]:
    """What stands before a name that is also a word: "rodou o fechamento?", "o job da folha"."""
    verbs, jobs, article = words_of("names", "verbs"), words_of("names", "jobs"), words_of("names", "articles")
    return re.compile(rf"(?<![\w-])(?:{verbs}|{jobs})\s+{article}\s+$", re.IGNORECASE)


@cache
def _not_jobs() -> re.Pattern[str]:
    return re.compile(rf"^(?:{words_of('names', 'steps')}\w*|{_NOT_JOBS})$")


@cache
def _plain_words() -> frozenset[str]:
    """Words in capitals that are no names: in a sentence that is shouted, and products and environments; and states."""
    products = files(__package__).joinpath("data/plain_words.txt").read_text(encoding="utf-8").split()
    words = (language_facts(language).get("names", {}).get("plain", ()) for language in Language)
    return STATE_NAMES.union(products, *words)


@cache
def _times() -> re.Pattern[str]:
    days, since, units, ago, this, of, parts_of_day = (
        words_of("times", kind) for kind in ("days", "since", "units", "ago", "this", "of", "parts_of_day")
    )
    return re.compile(
        r"(?<![A-Za-z0-9_.-])(?:"
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?"
        r"|\d{1,2}/\d{1,2}(?:/\d{2,4})?"
        r"|[0-2]?\d:[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\b\.?)?"
        # As z/OS writes it.
        r"|[0-2]\d\.[0-5]\d\.[0-5]\d"
        r"|[0-2]?\d\s?[ap]m\b"
        r"|[0-2]?\dh(?:[0-5]\d)?(?![A-Za-z0-9])"
        rf"|(?:[0-2]?\d {of} {parts_of_day}|{since}\s+\d+\s*{units}|\d+\s+{units}\s+{ago}"
        rf"|{days}|{this} {parts_of_day})(?!\w)"
        r")",
        re.IGNORECASE,
    )


@cache
def _limit() -> re.Pattern[str]:
    kinds = "|".join(words_of("names", kind) for kind in ("jobs", "streams", "workstations"))
    article = words_of("names", "articles")
    return re.compile(rf"(?<![\w-])(?:{kinds})\s+(?:{article}\s+)?(?P<name>{NAME})(?![\w-])", re.IGNORECASE)


def limits_of(message: str, candidates: Collection[str]) -> tuple[str, ...]:
    """Those of the candidates that limit a list: "quais jobs da folha falharam?", "jobs do stream final"."""
    names = (match["name"] for match in _limit().finditer(message) if match["name"] in candidates)
    return tuple(
        dict.fromkeys(name for name in names if not (_list_states().fullmatch(name) or asks_about_the_plan(name)))
    )


def own_words(message: str) -> str:
    """A message without what was pasted: its first line, questions, and lines that hold a name and no more."""
    first, *rest = [line for line in message.splitlines() if line.strip()] or [""]
    own = [line for line in rest if line.rstrip().endswith("?") or _LISTED_NAME.fullmatch(line)]
    return "\n".join(line for line in (first, *own) if not is_known_line(line))


def waited_for(message: str, jobs: Collection[str]) -> tuple[str, ...]:
    """Those of the jobs of a message that it names as what another one waits for: "espera o BATCH002"."""
    places = sorted((match.start(), job) for job in jobs for match in _whole_word(job).finditer(message))
    found: dict[str, None] = {}
    end_of_last = None
    for start, job in places:
        before = message[max(0, start - _CUE_CHARACTERS) : start]
        is_next = end_of_last is not None and _list_separator().fullmatch(message, end_of_last, start) is not None
        is_behind = _waited_for_behind().match(message, start + len(job)) is not None
        if is_next or is_behind or _waited_for().search(before) is not None:
            found[job] = None
            end_of_last = None if is_behind else start + len(job)
        else:
            end_of_last = None
    return tuple(found)


def _whole_word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w$#@.-]){re.escape(name)}(?![\w$#@-])", re.IGNORECASE)


@cache
def _waited_for() -> re.Pattern[str]:
    words = (words_of("names", key) for key in ("waited_for", "articles", "jobs"))
    waits, article, jobs = words
    return re.compile(rf"(?<![\w-]){waits}\s+(?:{article}\s+)?(?:{jobs}\s+)?(?:{article}\s+)?[\"'`“«]?$", re.IGNORECASE)


@cache
def _waited_for_behind() -> re.Pattern[str]:
    return re.compile(rf"[\"'`”»]?,?\s+\(?{words_of('names', 'waited_for_behind')}(?![\w-])", re.IGNORECASE)


@cache
def _list_states() -> re.Pattern[str]:
    """Words for a state that a list is limited to: "how many jobs succeeded?"."""
    return re.compile("|".join(words_of("lists", state) for state in LISTED_STATES), re.IGNORECASE)


@cache
def _about_the_plan() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){words_of('topics', 'plan')}(?![\w-])")


def asks_about_the_plan(message: str) -> bool:
    """Whether the question is about several objects or the plan as a whole: "which jobs failed", "anything late?"."""
    return _about_the_plan().search(plain_text(message)) is not None


def extract_entities(message: str, *, beside_several: bool = False) -> Entities:
    """Everything the message names, each kind in order of appearance and without repeats.

    A qualified job stays whole (``WS#STREAM.JOB``); its workstation, stream and folders are listed as well. Folders
    carry no trailing slash. ``beside_several``: the request names jobs that the message may leave some out of.
    """
    # A masked secret is no name.
    text = _Text(message.replace(MARK, " " * len(MARK)))
    matches = _Matches()
    for match in _KEY.finditer(text.rest):
        text.blank(match.start(), match.end())
    _take_log_forms(text, matches)
    _take_qualified(text, matches)
    _take_in_a_folder(text, matches)
    matches.message_ids = [*find_message_ids(text.rest), *find_database_codes(text.rest)]
    matches.abends = list(find_abends(text.rest))
    matches.return_codes = list(find_chat_return_codes(text.rest))
    _take_times(text, matches)
    _blank_pasted_lines(text)
    _take_other_words(text)
    _take_patterns(text, matches)
    _take_ranges(text, matches)
    _take_numbers_behind(text, matches)
    _take_zos(text, matches)
    _take_named_before(text, matches)
    text.rest = _cued(text, "streams", matches.streams)
    text.rest = _cued(text, "workstations", matches.workstations)
    for match in _station_place().finditer(text.rest):
        if _is_name(match["name"], quoted=False, shouted=text.is_shouted):
            matches.workstations.append((match.start("name"), match["name"]))
            text.blank(match.start("name"), match.end("name"))
    text.rest = _cued_folders(text, matches)
    text.rest = _cued(text, "jobs", matches.jobs, allow_dotted=True)
    _take_subjects(text, matches)
    named = len(matches.jobs)
    _take_bare(text, matches)
    _drop_pasted(text.message, matches, named)
    for cue in _excluded().finditer(text.rest):
        text.blank(cue.start(), cue.end("word"))
    _take_candidates(text, matches)
    _drop_pasted_words(text.message, matches)
    return _with_excluded(text.message, matches, beside_several=beside_several)


class _Text:
    """The message; what has been recognised is blanked, so that offsets and word borders stay."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.rest = message
        self.is_shouted = message.upper() == message

    def blank(self, start: int, end: int) -> None:
        self.rest = f"{self.rest[:start]}{' ' * (end - start)}{self.rest[end:]}"


class _Matches:
    def __init__(self) -> None:
        self.jobs: list[tuple[int, str]] = []
        self.patterns: list[tuple[int, str]] = []
        self.excluded: list[tuple[int, str]] = []
        self.ranges: dict[str, JobRange] = {}
        """Ranges among the names, by their text: one name until all are found."""
        self.streams: list[tuple[int, str]] = []
        self.workstations: list[tuple[int, str]] = []
        self.folders: list[tuple[int, str]] = []
        self.times: list[tuple[int, str]] = []
        self.candidates: list[tuple[int, str]] = []
        self.abends: list[str] = []
        self.message_ids: list[str] = []
        self.return_codes: list[int] = []

    def entities(self) -> Entities:
        jobs, more_jobs = self._expanded(self.jobs)
        excluded, _ = self._expanded(self.excluded)
        if excluded:
            jobs = tuple(job for job in jobs if not any(is_named_by(job, other) for other in excluded))
        return Entities(
            jobs=jobs,
            more_jobs=more_jobs,
            job_patterns=_in_order(self.patterns),
            excluded=excluded,
            job_streams=self._expanded(self.streams)[0],
            workstations=self._expanded(self.workstations)[0],
            folders=_in_order(self.folders),
            times=_in_order(self.times),
            candidates=_in_order(self.candidates)[:MAX_CANDIDATES],
            abend_codes=tuple(self.abends),
            return_codes=tuple(self.return_codes),
            message_ids=tuple(self.message_ids),
        )

    def _expanded(self, matches: Iterable[tuple[int, str]]) -> tuple[tuple[str, ...], int]:
        """The names in order, ``MAX_JOBS`` at most, and how many there are beyond these."""
        names: dict[str, None] = {}
        uncounted = 0
        for name in _in_order(matches):
            between = self.ranges.get(name)
            names |= dict.fromkeys((name,) if between is None else itertools.islice(between, MAX_JOBS + 1))
            uncounted += 0 if between is None else max(0, between.count - MAX_JOBS - 1)
        return tuple(names)[:MAX_JOBS], uncounted + max(0, len(names) - MAX_JOBS)


def _in_order(matches: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for _, value in sorted(matches, key=lambda item: item[0])))


def _take_log_forms(text: _Text, matches: _Matches) -> None:
    """What z/OS messages hold at fixed places: IEC messages list module and job behind the code, JES has numbers."""
    for match in _IEC_LIST.finditer(text.rest):
        matches.jobs.append((match.start("job"), match["job"]))
        text.blank(match.start("list"), match.end())
    for match in _JES_NUMBER.finditer(text.rest):
        text.blank(match.start(), match.end())
    for match in _JOB_MESSAGE.finditer(text.rest):
        matches.jobs.append((match.start("job"), match["job"]))
        text.blank(match.start("job"), match.end("job"))


def _blank_pasted_lines(text: _Text) -> None:
    """In a pasted log nearly every word could be a name: the question is what stands before or behind it."""
    lines = list(re.finditer(r"[^\n]*\S[^\n]*", text.rest))
    if len(lines) >= _PASTED_LINES:
        text.blank(lines[1].start(), lines[-2].end())


def _take_qualified(text: _Text, matches: _Matches) -> None:
    for match in _QUALIFIED.finditer(text.rest):
        start = match.start()
        cue = _job_cue().search(text.rest, max(0, start - _CUE_CHARACTERS), start)
        whole = match[0]
        if (
            not match["job"]
            and is_zos_name(whole)
            and not _stream_cue().search(text.rest, max(0, start - _CUE_CHARACTERS), start)
        ):
            # Eight characters at most: a job of z/OS, or a job stream; the plan knows.
            matches.jobs.append((start, whole))
            text.blank(start, match.end())
            continue
        matches.workstations.append((start, match["workstation"]))
        for folder in (match["folder1"], match["folder2"]):
            if folder.strip("/"):
                matches.folders.append((start, folder.rstrip("/")))
        end = match.end()
        if match["job"] and (tail := _range_tail().match(text.rest, end)) is not None:
            between = JobRange.between(whole, tail["last"])
            if between is not None and not tail["last"].isdecimal():
                whole, end = text.rest[start : tail.end()], tail.end()
                matches.ranges[whole] = between
        if match["job"] or cue:
            # conman also writes a job outside a stream as WS#JOB.
            matches.jobs.append((start, whole))
        if match["job"] or not cue:
            matches.streams.append((start, match["stream"]))
        text.blank(start, end)


def _take_in_a_folder(text: _Text, matches: _Matches) -> None:
    """A job or a job stream with its folder and without its workstation: "/PRD/FAT/FATDIA.BATCH001"."""
    for match in _cue("streams", rf"(?-i:{_PATH})").finditer(text.rest):
        matches.streams.append((match.start("path"), match["path"]))
        text.blank(match.start("path"), match.end("path"))
    for match in _IN_A_FOLDER.finditer(text.rest):
        if _job_cue().search(text.rest, max(0, match.start() - _CUE_CHARACTERS), match.start()):
            matches.jobs.append((match.start(), match[0]))
        elif not _FILE_ENDING.search(match[0]):
            matches.candidates.append((match.start(), match[0]))
        text.blank(match.start(), match.end())


def _take_times(text: _Text, matches: _Matches) -> None:
    for match in _times().finditer(text.rest):
        matches.times.append((match.start(), match[0].strip()))
        text.blank(match.start(), match.end())


def _take_named_before(text: _Text, matches: _Matches) -> None:
    """The name before the word: "the NIGHTLY_UK schedule", "our LNX01 agent"."""
    for kind, into in (("streams", matches.streams), ("workstations", matches.workstations)):
        for match in _named_before(kind).finditer(text.rest):
            group = "name" if match["name"] else "bare"
            if _is_name(match[group], quoted=False, shouted=text.is_shouted):
                into.append((match.start(group), match[group]))
                text.blank(match.start(group), match.end())


def _take_other_words(text: _Text) -> None:
    for match in _cue("others", r"(?P<name>[A-Za-z0-9_.$#@/\\-]+)").finditer(text.rest):
        if _looks_like_a_name(match["name"].rstrip(".")):
            text.blank(match.start("name"), match.end("name"))


def _looks_like_a_name(word: str) -> bool:
    """A word that no sentence holds: with a digit, an underscore, or all capitals."""
    return bool(re.search(r"[0-9_]", word)) or (word.isupper() and len(word) > 1)


def _cued(text: _Text, kind: str, into: list[tuple[int, str]], *, allow_dotted: bool = False) -> str:
    """Names that stand after a word for ``kind``, lists included; returns the text without them."""
    rest = text.rest
    for cue in _cue(kind).finditer(rest):
        position = cue.end()
        quoted = rest[position - 1] in "\"'`“«"
        names = _names_from(rest, position, quoted=quoted, shouted=text.is_shouted, dotted=allow_dotted)
        for start, name in itertools.islice(names, _of_one(rest, cue, kind)):
            into.append((start, name))
            text.blank(start, start + len(name))
    return text.rest


def _of_one(rest: str, cue: re.Match[str], kind: str) -> int | None:
    """1 where another object follows the name behind a word for one job stream: "do stream FATDIA e o FAT001"."""
    is_one = kind == "streams" and not re.search(r"s\W*$", cue[0])
    behind = re.compile(rf"\S+?[\"'`”»]?,?\s+{words_of('names', 'conjunctions')}\s+{words_of('names', 'subjects')}\s")
    return 1 if is_one and behind.match(rest, cue.end()) is not None else None


def _names_from(rest: str, position: int, *, quoted: bool, shouted: bool, dotted: bool) -> Iterator[tuple[int, str]]:
    while match := _WORD.match(rest, position):
        name = match[0].rstrip("-")
        end = position + len(name)
        if dotted and rest[end : end + 1] == "." and (tail := _WORD.match(rest, end + 1)):
            name = f"{name}.{tail[0]}"
            end = tail.end()
        # Behind a word for its kind a name needs a capital, or to do what only jobs do.
        unknown = _may_be_a_name(name) and (
            (dotted and _does().match(rest, end) is not None) or re.search("[a-z][A-Z]|^[A-Z][a-z]", name) is not None
        )
        if not (unknown or _is_name(name, quoted=quoted, shouted=shouted)) or _is_part_of_a_path(rest, end):
            return
        yield position, name
        separator = _list_separator().match(rest, end)
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
    plain = word.upper() in _plain_words()
    if plain or is_abend(word.upper()) or find_message_ids(word) or len(word.rsplit(".", 1)[-1]) > 40:
        return False
    if re.search(r"[0-9_]", word):
        return not _is_no_job(word.upper())
    return quoted or (word.isupper() and len(word) > 1 and not shouted)


def _may_be_a_name(word: str) -> bool:
    """Whether a word behind one for a job, and before what jobs do, is its name: "the job payroll failed"."""
    return len(word) > 2 and word.isascii() and not is_known(plain(word)) and not _is_no_job(word.upper())


def _is_no_job(word: str) -> bool:
    return is_state(word) or _not_jobs().match(word) is not None


def _cued_folders(text: _Text, matches: _Matches) -> str:
    for match in _cue("folders", rf"(?P<path>/?{_NAME}(?:/{_NAME})*/?)").finditer(text.rest):
        path = match["path"]
        if (
            path.startswith("/")
            or (path.isupper() and len(path) > 1 and not text.is_shouted)
            or _is_name(path, quoted=False, shouted=text.is_shouted)
        ):
            matches.folders.append((match.start("path"), path.rstrip("/")))
            text.blank(match.start("path"), match.end("path"))
    # Folders of the plan are written in capitals; a path in lower case is one of a file system.
    for match in re.finditer(
        r"(?<![A-Za-z0-9_@/.#$\\:-])/[A-Z][A-Z0-9_-]*(?:/[A-Z][A-Z0-9_-]*)*/?(?![A-Za-z0-9_*/-]|[.?][\w*])", text.rest
    ):
        matches.folders.append((match.start(), match[0].rstrip("/")))
        text.blank(match.start(), match.end())
    return text.rest


def _take_subjects(text: _Text, matches: _Matches) -> None:
    for match in _subject().finditer(text.rest) if not text.is_shouted else ():
        name = match["name"].upper()
        if name in _plain_words() or _is_no_job(name):
            continue
        is_place = _is_place(text.message, match.start(), match.end(), matches)
        (matches.workstations if is_place else matches.jobs).append((match.start(), match["name"].rstrip("-")))
        text.blank(match.start(), match.end())


def _take_patterns(text: _Text, matches: _Matches) -> None:
    """Patterns of jobs: "FECH0*", "os jobs FECH0?? falharam", "MDM#FATDIA.@", "jobs que começam com FECH"."""
    for match in _prefixed().finditer(text.rest):
        name = match["name"]
        if re.search(r"[\d_]", name) or name.isupper() or not is_known(plain(name)):
            matches.patterns.append((match.start("name"), f"{name}{match['wild'] or '*'}"))
            text.blank(match.start("words"), match.end())
    plain_text = _EMPHASIS.sub(lambda match: match[0].replace("*", " "), text.rest)
    for match in _WILD.finditer(plain_text):
        start = match.start("name")
        before = plain_text[max(0, start - _CUE_CHARACTERS) : start - len(match["quote"])]
        word = match["name"].rstrip("./-")
        is_several = _several_cue().search(before) is not None
        # A question mark ends a sentence, unless it goes on or the word stands in quotes.
        goes_on = re.match(r"\s+[a-zà-ÿ]", plain_text[start + len(word) :]) is not None
        if not (is_several and goes_on) and not (match["quote"] and plain_text[start + len(word) :][:1] in "\"'`”»"):
            word = word.rstrip("?.")
        is_called = is_several or _job_cue().search(before) is not None
        if _is_pattern(word, is_called=is_called) and not (
            _stream_cue().search(before) or _station_cue().search(before)
        ):
            matches.patterns.append((start, word))
            text.blank(start, start + len(word))


def _is_pattern(word: str, *, is_called: bool) -> bool:
    """Whether a word is a pattern of jobs; ``is_called``: a word for jobs stands before it."""
    letters = re.sub("[*?@]", "", word)
    if not is_job_pattern(word) or re.search(r"@[A-Za-z0-9]|\*\*", word) or not re.search("[A-Za-z]", letters):
        return False
    if is_called:
        return "/" not in word or "#" in word or "." in word
    first = re.match("[A-Z][A-Z0-9_-]*", word)
    if "#" in word:
        return word.isupper() and "." in word
    is_whole = first is not None and len(first[0]) >= _LITERALS and word.isupper() and "/" not in word
    is_dotted = "." in word and not word.endswith(".@")
    return is_whole and not (is_dotted or _is_no_job(letters) or letters in _plain_words() or _is_of_codes(letters))


def _is_of_codes(letters: str) -> bool:
    """Whether a pattern is of codes: "S0C*", "AWSBHT*", "ORA-0*"."""
    return re.fullmatch(r"[SU]?[0-9A-F]{2,4}|ORA-?\d*|SQL\w*|AW[SK][A-Z]{0,3}\d*|EQQ\w*|IE[CF]\d*", letters) is not None


def _take_ranges(text: _Text, matches: _Matches) -> None:
    """Ranges of jobs, workstations or job streams: "FECH001 a FECH020", "FECH001..020"; see ``_range_of``."""
    for match in _range().finditer(text.rest):
        start = match.start()
        before = text.rest[max(0, start - _CUE_CHARACTERS) : start]
        between = _range_of(match, before)
        if between is None:
            continue
        _several_of(text, start, match.end(), matches).append((start, match[0]))
        matches.ranges[match[0]] = between
        text.blank(start, match.end())


def _take_numbers_behind(text: _Text, matches: _Matches) -> None:
    """Jobs, workstations or job streams named by their number alone, behind one as long: "FECH001, 002 e 003"."""
    for match in _numbers_behind().finditer(text.rest):
        numbers = [match["digits"], *re.findall(r"\d+", match["more"])]
        count_up = all(two[0] == "0" or int(two) == int(one) + 1 for one, two in itertools.pairwise(numbers))
        is_as_long = {len(number) for number in numbers} == {len(match["digits"])}
        name = match["head"] + match["digits"]
        is_measure = _measured().match(text.rest, match.end()) is not None
        if count_up and is_as_long and not (is_measure or _is_no_job(name.upper()) or find_message_ids(name)):
            into = _several_of(text, match.start(), match.end(), matches)
            into += [(match.start() + i, match["head"] + number) for i, number in enumerate(numbers)]
            text.blank(match.start(), match.end())


def _several_of(text: _Text, start: int, end: int, matches: _Matches) -> list[tuple[int, str]]:
    """What several names at a place are of: the workstations, job streams or folders that they are called, or jobs."""
    before = text.rest[max(0, start - _CUE_CHARACTERS) : start]
    if _station_cue().search(before) or _is_place(text.message, start, end, matches):
        return matches.workstations
    if _cue("folders", "$").search(before):
        return matches.folders
    return matches.streams if _stream_cue().search(before) else matches.jobs


def _range_of(match: re.Match[str], before: str) -> JobRange | None:
    """The range that is written, where it is certain that it is one: a hyphen may stand in a name or in a list."""
    first, last = match["first"], match["last"]
    end = re.sub(r"\d+(?=\D*$)", last, first) if last.isdecimal() else last  # "FECH020 a 010"
    between = JobRange.between(first, last) or JobRange.between(end, first)
    does = _does_several().match(match.string, match.end()) is not None
    is_several = does or _several_cue().search(before) is not None
    is_called = is_several or _job_cue().search(before) is not None
    is_number = last.isdecimal()
    names = (first,) if is_number else (first, last)
    are_jobs = not any(_is_no_job(name.upper()) or find_message_ids(name) for name in names) and (
        is_called or all(map(_is_identifier, names))
    )
    if between is None or between.first == between.last or not are_jobs or not re.match("[A-Za-z]{2}", first):
        return None
    is_as_long = is_number and len(re.findall(r"\d+", first)[-1]) == len(last)
    if match["spaced"]:
        is_certain = is_several and not is_number
    elif match["tight"] == "-":
        is_certain = JobRange.of_hyphened(match[0]) is not None or (is_several and is_as_long)
    elif match["tight"]:
        is_certain = True
    else:
        is_counted = is_as_long and (is_several or re.fullmatch(r"0\d\d+", last) is not None)
        is_measure = is_number and _measured().match(match.string, match.end()) is not None
        is_certain = (is_counted or not is_number) and not is_measure and not _no_range().search(before)
    return between if is_certain else None


def no_ranges(message: str, jobs: Collection[str]) -> tuple[str, ...]:
    """What is written as a range of two of the jobs, and is none: "FECH001 a CARGA010"."""
    found = []
    for match in _range().finditer(message):
        first, last = match["first"], match["last"]
        before = message[max(0, match.start() - _CUE_CHARACTERS) : match.start()]
        is_several = _several_cue().search(before) or _does_several().match(message, match.end())
        is_written = match["tight"] in ("..", "...", "…") or (not match["tight"] and not match["spaced"] and is_several)
        are_jobs = {first, last} <= {*jobs} and re.search(r"\d$", last) is not None
        is_range = JobRange.between(first, last) or JobRange.between(last, first)
        if is_written and are_jobs and not is_range and not _no_range().search(before):
            found.append(match[0])
    return tuple(found)


def _with_excluded(message: str, matches: _Matches, *, beside_several: bool) -> Entities:
    """What was found, less what is left out of it; a job that is left out of nothing is meant: "rodou, menos o X1"."""
    all_of_it = matches.entities()
    of_all = _take_excluded(message, matches)
    if not matches.excluded:
        return all_of_it
    entities = matches.entities()
    is_set = of_all or beside_several or entities.jobs or entities.job_patterns
    return entities if is_set or listing_of(message, entities) is not None else all_of_it


def _take_excluded(message: str, matches: _Matches) -> bool:
    """Jobs and patterns that are left out of several: "FECH0* exceto FECH003", "todos os jobs em abend menos o X1".

    Of what went well the ones left out did not, and are meant: "todos terminaram menos o FECH003". Returns whether
    they are left out of all: "todos exceto FECH003".
    """
    of_all = False
    kinds = (matches.jobs, matches.patterns, matches.candidates, matches.streams)
    for cue in _excluded().finditer(message) if any(kinds) else ():
        before = message[: cue.start()]
        ends = [start + len(name) for kind in kinds for start, name in kind if start < cue.start()]
        is_right_behind = _SET_END.fullmatch(message, max(ends, default=0), cue.start()) is not None
        is_of_all = re.search(rf"(?<!\w){words_of('lists', 'all')}[\s,(]*$", before, re.IGNORECASE) is not None
        if not (cue["sure"] or (ends and is_right_behind) or is_of_all) or went_well(before):
            continue
        others = [name for start, name in (*matches.jobs, *matches.patterns) if start < cue.start()]
        is_several = any(name in matches.ranges or is_job_pattern(name) for name in others)
        if others and not (is_several or is_of_all or _several_cue().search(before)):
            continue
        of_all = of_all or is_of_all
        position: int | None = cue.end()
        while position is not None:
            position = _exclude_at(message, position, cue, matches)
    return of_all


def _exclude_at(message: str, position: int, cue: re.Match[str], matches: _Matches) -> int | None:
    """Move the name that stands at a place to those left out, and give the place of the next of its list, if any."""
    for kind in (matches.jobs, matches.patterns, matches.candidates, matches.streams):
        for item in kind:
            start, name = item
            is_stream = kind is matches.streams
            if start != position or is_stream != (cue["stream"] is not None):
                continue
            kind.remove(item)
            matches.excluded.append((start, f"{name}.@" if is_stream else name))
            return _after_separator(message, start + len(name))
    between = next((matches.ranges[name] for _, name in matches.jobs if name in matches.ranges), None)
    word = _WORD.match(message, position)
    if word is not None and _is_name(word[0], quoted=False, shouted=message.isupper()):  # "FECH010 e GRAVA"
        matches.excluded.append((position, word[0]))
        return _after_separator(message, word.end())
    number = re.compile(r"\d{2,9}(?!\w)").match(message, position)  # "FECH001 a FECH010 exceto 003"
    if between is not None and number is not None and len(number[0]) == between.digits:
        matches.excluded.append((position, f"{between.head}{number[0]}{between.tail}"))
        return _after_separator(message, number.end())
    return None


def _after_separator(message: str, position: int) -> int | None:
    separator = _list_separator().match(message, position)
    return separator.end() if separator is not None else None


def _take_zos(text: _Text, matches: _Matches) -> None:
    for match in _ZOS.finditer(text.rest):
        name = match["name"]
        if is_zos_name(name) and not _NOT_ZOS.fullmatch(name):
            matches.jobs.append((match.start(), name))
            text.blank(match.start(), match.end())


def _take_bare(text: _Text, matches: _Matches) -> None:
    """Identifiers that no sentence holds, wherever they stand; alone, or joined by ``/``."""
    for match in _SLASHED.finditer(text.rest):
        parts = match[0].split("/")
        names = [part for part in parts if not _is_no_job(part.upper())]
        if names and all(re.search("[0-9_]", part) for part in parts):
            matches.jobs += [(match.start() + number, name) for number, name in enumerate(names)]
            text.blank(match.start(), match.end())
    for match in _IDENTIFIER.finditer(text.rest):
        word = _CODE_BEHIND.sub("", match[0].rstrip("-"))
        if not _is_identifier(word) and (text.is_shouted or not _stands_out(match)):
            continue
        if word.upper() in _plain_words() or _is_no_job(word.upper()) or find_message_ids(word):
            continue
        try:
            check_job_name(word)
        except ValueError:
            continue
        is_place = _is_place(text.message, match.start(), match.start() + len(word), matches)
        (matches.workstations if is_place else matches.jobs).append((match.start(), word))
        text.blank(match.start(), match.start() + len(word))


def _drop_pasted(message: str, matches: _Matches, named: int) -> None:
    """Leave out bare names in what a known program wrote, behind a job that the question names.

    In "o CARGA1 caiu: ORA-01653: ... in tablespace FAT_DADOS" there is one job. ``named`` jobs were found by other
    words than the bare name, and stay.
    """
    first = min(matches.jobs, default=None)
    if first is None or len(matches.jobs) < 2 or (opening := _END_OF_OPENING.search(message, first[0])) is None:
        return
    pasted = [
        range(line.start(), line.end())
        for line in re.finditer(r"[^\n]+", message[opening.end() :])
        if read_log([line[0]]).causes
    ]
    spans = [range(opening.end() + span.start, opening.end() + span.stop) for span in pasted]
    kept = [
        (start, name)
        for start, name in matches.jobs[named:]
        if not any(start in span for span in spans) or _joins_names(message, start)
    ]
    matches.jobs[named:] = kept


def _drop_pasted_words(message: str, matches: _Matches) -> None:
    """Leave out what may be a name in what a known program wrote, behind words of who asks or the program's name."""
    pasted: list[range] = []
    for line in re.finditer(r"[^\n]+", message) if matches.candidates else ():
        opening = _END_OF_OPENING.search(line[0])
        if opening is not None and is_known_line(line[0][opening.end() :]):
            pasted.append(range(line.start() + opening.end(), line.end()))
    matches.candidates = [item for item in matches.candidates if not any(item[0] in span for span in pasted)]


def is_known_line(line: str) -> bool:
    """Whether the catalogue of symptoms knows what a program wrote; a single word is not looked up."""
    return len(line.split()) >= _LOG_LINE_WORDS and bool(known_causes(line))


def pasted_part(line: str) -> str:
    """A line without the words of who asks before what a program wrote."""
    opening = _END_OF_OPENING.search(line)
    is_asked = opening is not None and len(line[: opening.start()].split()) >= _LOG_LINE_WORDS
    return line[opening.end() :] if opening and is_asked and is_known_line(line[opening.end() :]) else line


def known_causes(text: str) -> tuple[Sighting, ...]:
    """What the catalogue of symptoms surely knows of a pasted text, the most telling first."""
    return tuple(item for item in read_log(text.splitlines()).causes if item.weight > EXPLAINED)


def _joins_names(message: str, start: int) -> bool:
    """Whether a word of who asks stands before a name: "e o", "no"."""
    before = message[max(0, start - _CUE_CHARACTERS) : start]
    words = [words_of("names", kind) for kind in ("articles", "conjunctions")]
    return re.search(rf"\b(?:{'|'.join(words)})\s+$", before, re.IGNORECASE) is not None


def _is_place(message: str, start: int, end: int, matches: _Matches) -> bool:
    """Whether a name says where a job is, or several are: "BATCH001 na LNX01", "o que roda na LNX01"."""
    match = _in_a_place().search(message, max(0, start - _CUE_CHARACTERS), start)
    if match is None or (match["inside"] and not message.startswith(")", end)):
        return False
    name = match["name"]
    return match["jobs"] is not None or name in {job for _, job in matches.jobs} or _may_be_a_job(name)


def _may_be_a_job(word: str) -> bool:
    plain = word.upper() in _plain_words() or _is_no_job(word.upper())
    return _is_identifier(word) and not plain and not find_message_ids(word)


def _stands_out(match: re.Match[str]) -> bool:
    """Whether the word is in capitals, and neither its neighbours nor a pasted line are."""
    word, text = match[0], match.string
    if not word.isupper() or len(word) < _SHORTEST_CAPITALS or is_known(plain(word)):
        return False
    return not re.search(
        r"[A-Z0-9]{2}[^\sa-z]*\s+$", text[max(0, match.start() - 20) : match.start()]
    ) and not re.match(r"\s*[=:]|\s+[^\sa-zà-ÿ]*[A-Z0-9]{2}", text[match.end() :])


def _is_identifier(word: str) -> bool:
    """With an underscore; with digits; in camel case; or of three words and more that hyphens join."""
    if "_" in word:
        return True
    if re.search("[0-9]", word):
        return word.isupper() or (len(word) >= 5 and not re.fullmatch(r"[a-z]{1,2}\d", word))
    if re.fullmatch(r"[a-z]{2,}(?:[A-Z][a-z]+)+[A-Z]*|(?:[A-Z][a-z]{2,}){2,}", word):
        return True
    parts = word.split("-")
    return len(parts) > 2 and not all(is_known(plain(part)) for part in parts)


def _is_called_a_job(rest: str, start: int, word: str) -> bool:
    """Whether a word for a job stands right before what is no code, state, step or ticket by its form alone."""
    return (
        re.fullmatch(r"[A-Z]{3,}[A-Z0-9_]*\d[A-Z0-9_]*", word) is not None
        and not is_abend(word)
        and not find_chat_return_codes(word)
        and _job_cue().search(rest, max(0, start - _CUE_CHARACTERS), start) is not None
    )


def _take_candidates(text: _Text, matches: _Matches) -> None:
    """Words that may be a name: unknown to every language, in quotes, or doing what only jobs do."""
    matches.candidates += [(match.start(), match[0]) for match in _DOTTED.finditer(text.rest)]
    for match in _IDENTIFIER.finditer(text.rest):
        word = match[0].rstrip("-")
        if word.upper() in _plain_words() or find_message_ids(word):
            continue
        if _is_no_job(word.upper()):
            # A job may be called like a product with a number ("o job ORA12899"): the plan knows.
            if _is_called_a_job(text.rest, match.start(), word):
                matches.candidates.append((match.start(), word))
            continue
        quoted = text.rest[match.start() - 1 : match.start()] in tuple("\"'`“«")
        is_subject = not is_stop_word(plain(word)) and (
            _does().match(text.rest, match.end())
            or _before_a_word().search(text.rest, max(0, match.start() - _CUE_CHARACTERS), match.start())
        )
        is_place = (
            word.isupper() and not text.is_shouted and _is_place(text.message, match.start(), match.end(), matches)
        )
        if quoted or is_subject or is_place or not all(is_known(plain(part)) for part in word.split("-")):
            matches.candidates.append((match.start(), word))
    _take_listed(text.message, matches)


def _take_listed(message: str, matches: _Matches) -> None:
    """What may be a name and stands in a list with a job is one too: "batch001, extracao e carga caíram"."""
    verbs = [name for name in matches.candidates if _has_an_object().match(message, name[0] + len(name[1]))]
    names = sorted({*matches.jobs, *matches.candidates}.difference(verbs))
    jobs = set(matches.jobs)
    lists: list[list[tuple[int, str]]] = [names[:1]]
    for name in names[1:]:
        start, before = lists[-1][-1]
        if _list_separator().fullmatch(message, start + len(before), name[0]):
            lists[-1].append(name)
        else:
            lists.append([name])
    for listed in lists:
        # With a comma alone a word may be an appeal: "BATCH001, socorro".
        if len(listed) > 1 and jobs.intersection(listed) and _is_conjoined(message, *listed[-2:]):
            matches.candidates = [name for name in matches.candidates if name not in listed]
            matches.jobs += [name for name in listed if name not in jobs]


def _is_conjoined(message: str, one: tuple[int, str], other: tuple[int, str]) -> bool:
    between = message[one[0] + len(one[1]) : other[0]]
    # Spanish "o" is an article in Portuguese: "galera, o BATCH001 caiu", "roda primeiro o BATCH001".
    return any(word.casefold() != "o" for word in _conjunction().findall(between))
