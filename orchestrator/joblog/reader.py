"""What a job log says: its platform, known symptoms in order of weight, and the lines worth quoting.

Used wherever a log is read: by the source that chooses its windows, the log cache, the rules and the model's prompt.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby, islice, pairwise

from orchestrator.codes.catalogue import Category, Platform
from orchestrator.codes.control import caseless
from orchestrator.codes.error_words import reports_error, reports_failure, reports_refusal
from orchestrator.codes.patterns import find_return_codes
from orchestrator.joblog.lines import bare
from orchestrator.joblog.places import Places
from orchestrator.joblog.symptoms import Certainty, Role, Symptom, facts_of

CLUSTER_LINES = 20
"""Errors no further apart than this are one failure, whose first line is its cause."""
LEAST_WEIGHT = 0.25
"""Sightings of less are consequences, or were tolerated."""
AN_ENDING = 1
"""Score of a line that says no more than that the program ends, or that was tolerated."""
EXPLAINED = 0.5
"""Weight above which a cause tells more than the last lines of a log without an error."""
UNCAUGHT = 0.04
"""Added to an exception that ended the program: decides between messages of one weight."""
SURVIVED = 0.7
"""Taken off a message of a step or a call that is not the one that failed."""
WORST_OF_A_GOOD_STEP = 4
"""Highest condition code of a step that is taken to have gone well beside one with a higher code."""
CARRIES, CARRIES_THE_UNKNOWN = 0.4, 0.55
"""Taken off an exception that only carries its root, a known or an unknown one."""
SHOWN_LINES = 2
"""Most lines quoted of one message, beside the first of a longer one."""
LAST_LINES = 3
"""Lines quoted of a log that reports no error."""

# With words of which every match holds one: in lower case where the pattern ignores case.
_PLATFORM_SIGNS = (
    (
        Platform.ZOS,
        (
            *(
                "J E S",
                "$HASP",
                "//",
                "JVMJZBL",
                "IE",
                "IDC",
                "IGD",
                "IGZ",
                "CEE",
                "DSN",
                "ICE",
                "WER",
                "EZ",
                "ICH",
                "IRR",
            ),
            *(
                "DFS",
                "DFH",
                "IKJ",
                "ARC",
                "ADR",
                "BPX",
                "FSUM",
                "FOTS",
                "CSV",
                "IRX",
                "IBM",
                "EQQ",
                "SVTM",
                "SCPA",
                "CSQ",
            ),
            "HASP",
        ),
        re.compile(
            r"\bJ E S ?[23] |\$HASP\d{3}|^ ?//'|^ ?//[A-Z@#$][A-Z0-9@#$]{0,7} +(?:JOB|EXEC|DD)\b|\bJVMJZBL\d{4}"
            r"|\b(?:IE[ABCEFW]|IEFC|IDC|IGD|IGZ|CEE|DSN[A-Z]|ICE|WER|EZ[ABYZ]|ICH|IRR|DFS|DFH[A-Z]{2}|IKJ|ARC|ADR|BPX[A-Z]?"
            r"|FSUM|FOTS|CSV|IRX|IBM|EQQ[A-Z]|SVTM|SCPA|CSQ[A-Z]|HASP)\d{3,5}[A-Z]?\b",
            re.MULTILINE,
        ),
    ),
    (
        Platform.WINDOWS,
        (
            *(
                ":\\",
                "\\\\",
                "robocopy",
                "powershell",
                "cscript",
                ".exe",
                ".bat",
                ".cmd",
                ".ps1",
                ".vbs",
                "categoryinfo",
            ),
            *("is not recognized as", "reconhecido como um", "reconoce como un", "msg "),
        ),
        re.compile(
            r"(?i)\b[A-Z]:\\|\\\\[\w.-]{2,}\\\w|robocopy|powershell|cscript|\.(?:exe|bat|cmd|ps1|vbs)\b|CategoryInfo"
            r"|is not recognized as an internal|reconhecido como um comando|reconoce como un comando|\bMsg \d+, Level"
        ),
    ),
    (
        Platform.UNIX,
        ("/", "sh: ", ".sh", ".py", ".ksh", ".pl", "curl: (", "core dumped", "at "),
        re.compile(
            r"(?m)(?:^|[\s:'\"(])/(?:opt|usr|bin|home|etc|var|tmp|dados|data|u\d\d|app|apps|mnt|srv|root|backup|export)/"
            r"|\b(?:ba|k|z|c)?sh: |\.(?:sh|py|ksh|pl)\b|\bcurl: \(\d+\)|core dumped|^[ \t]*+at [\w.$]+\([\w.]+:\d+\)"
        ),
    ),
)
_LEVEL = re.compile(
    r"\b(FATAL|SEVERE|CRITICAL|ERROR|ERRO|FALHA|WARN(?:ING)?|AVISO|ADVERT[EÊ]NCIA|INFO|DEBUG|TRACE|NOTE)\b[:\]|]?"
)
_WARNINGS = frozenset({"WARN", "WARNING", "AVISO", "ADVERTENCIA", "ADVERTÊNCIA"})
_WARNING = re.compile(r"\s*([Ww]arning|[Aa]viso|[Aa]dvertencia):")
_QUIET_LEVELS = frozenset({"WARN", "WARNING", "AVISO", "ADVERTENCIA", "ADVERTÊNCIA", "INFO", "DEBUG", "TRACE", "NOTE"})
_LOUD_LEVELS = frozenset({"FATAL", "SEVERE", "CRITICAL", "ERROR", "ERRO", "FALHA"})
_CAUSED_BY = re.compile(r"^\s*(?:Caused by|Causado por|Nested exception is):?\s", re.IGNORECASE)
_EXCEPTION = re.compile(r"^(?:[a-z_][\w$]*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning|Failure)(?::|$)")
_FRAME = re.compile(r"^\s+(?:at |File \"|\.\.\. \d+ more|in <module>)|^Traceback ")
# Of a traceback of Python: its frame, and below it a line of the program and a mark of where in it.
_PYTHON_FRAME = re.compile(r"^\s+File \"")
_FRAME_LINES = 3
# The steps that a job of z/OS ended in, the procedure's step before the one that calls it (IEF450I).
_ABENDED = re.compile(r"\bIEF450I\s+\S+\s+(?P<steps>\S+(?:\s+[^\s-]\S*)?)\s+-\s+ABEND")
# How a step ended: the system's message, or the table that many installations print (IEFACTRT).
_STEP_RESULT = re.compile(
    r"\bIEF142I\s+\S+\s+(?P<steps>\S+(?:\s+[^\s-]\S*)?)\s+-\s+STEP WAS EXECUTED - COND CODE (?P<code>\d{4})"
    r"|^-?(?P<step>[A-Z$#@][A-Z0-9$#@]{0,7})\s+(?:[A-Z$#@][A-Z0-9$#@]{0,7}\s+)?(?P<result>\d{2,4})(?:\s+[\d.,]+){3,}\s*$"
)
# Messages with the exit code of the program that writes them.
_OWN_CODE = re.compile(r"\bcurl: \((?P<curl>\d{1,3})\)|^rsync error: .{0,200}\(code (?P<rsync>\d{1,3})\)")
_RETRY = re.compile(
    r"(?i)\bretry|\bretrying|tentativa \d|reintent|intento \d|attempt \d|will be retried"
    r"|(?:2nd|second|segund[ao]) (?:attempt|tentativa|intento)"
    r"|tentando (?:novamente|outr[oa]|host|servidor|secund)|probando otr[oa]|intentando (?:de nuevo|otr[oa]|con)"
    r"|trying (?:again|next|another|alternate|secondary|host)"
)
_WENT_WELL = re.compile(
    r"(?i)\b(?:ok|sucesso|success(?:ful(?:ly)?)?|conclu[ií]d[oa]|completed|[eé]xito|conectado|connected|recuperad[oa]|estabelecid[oa]|established|obtid[oa]|acquired|100%"
    r"|recovered|HTTP/\S{1,9} 2\d\d)(?!\w)"
)
# What the writer of the line itself went on after.
_TOLERATED = re.compile(
    r"(?i)\b(?:seguindo sem|prosseguindo|continuando|ignorad[oa]s?|ignorando|opcional|optional|skipp(?:ed|ing)|ignored"
    r"|ignoring|falling back|fallback|continuing|non-?fatal|n[aã]o fatal|omitiendo|se omite|se contin[uú]a)\b"
)
# What goes wrong while a program that has already given up lets go of its resources.
_LETTING_GO = re.compile(
    r"(?i)\b(?:shutdown hook|clean-?up|health ?check"
    r"|(?:could not|cannot|unable to|failed to|error|while|erro ao|error al) (?:clos(?:e|ing)|fechar|cerrar))\b"
)
# Words of another place than this run: a comment, a command as the shell shows it, SQL, what another run met.
_TALK = re.compile(
    r"(?i)^(?:##\s|#\s?echo\s|[A-Z]:\\[^<>|\n]{0,200}>|\+{1,3} (?!CategoryInfo|FullyQ)[\w./]"
    r"|\s*(?:--\s|rem\s|select\s.{0,200}\s(?:from|where)\s"
    r"|insert into\s|delete from\s|update\s.{1,80}\sset\s))"
    r"|\((?:ok|expected|esperad[oa]|normal)\)"
    r"|\b(?:job|execu[cç][aã]o|ejecuci[oó]n|rodada) anterior\b|\b(?:previous|last) (?:run|execution|job)\b"
)
# The prompt of cmd and the command behind it: the error is what the command writes below.
_PROMPT = re.compile(r"^[A-Za-z]:\\[^<>|\n]{0,200}>")
_COUNT = re.compile(
    r"(?i)(?:[:=]|\b(?:registros|records|linhas|l[ií]neas|lines|filas)\b[^:\d]{0,40})\s{0,9}\d{1,9}\s*$"
)
_ENDING = re.compile(
    r"(?i)\b(?:fim|fin|end|ended|t[eé]rmino|terminou|termin[oó]|terminad[oa]|terminating|sa[ií]da|salida|exit|exited|exiting"
    r"|encerr\w{1,6}|finaliz\w{1,6}|interromp\w{1,4}|interrump\w{1,4}|abort\w{0,5}|return|retorno|c[oó]digo|finished)\b"
)
_PATH = re.compile(r"(?<!\S)[^\s/\\]*+[/\\]\S*+")
_ENDING_WORDS = 4
"""Most words, apart from names and numbers, of a line that only says that the program ends."""
_SEVERE_ID = re.compile(
    r"\b[A-Z]{2,6}[A-Z0-9]{0,3}-?\d{3,5}[ESUTCA]\b|\bORA-\d{5}\b|\bSQL\d{4,5}[NC]\b|\b[A-Z]{2,4}-\d{3,5}\b"
)
_NUMBER = re.compile(r"\d")
_SEPARATOR = re.compile(r"^[\W\d_]*$")
_ROUTINE = re.compile(
    r"\b(?:IEF(?:236|237|142|272|285|373|374|375|376|403|404|677|695|699|201|202)I|ICH70001I|IRR010I|IEF453I)\b|\$HASP\d{3}"
    r"|J E S ?[23]|JES2 JOB STATISTICS|^-{2,}|^={2,}|^\+{2,}|^READY\b|^ ?//|^\s*(?:exit|set|echo|cd)\b|^\s*\d+ //"
    r"|^Traceback |^\s+at |^\s+File \"|^\s*\.\.\. \d+ more|COMPLETION CODE +- +SYSTEM=|STMT NO\. MESSAGE|^= [A-Z]"
    # A word for an error alone: what it is stands elsewhere, or nowhere.
    r"|^\W*(?i:errors?|erros?|fatal(?: error)?|falhas?|fail(?:ed|ure)|exception|abend(?:ed)?|warnings?|avisos?)\W*$"
    # A level and a time, of which the message stands below.
    r"|^\W*(?i:error|warning|erro|aviso|advertencia)\W+\d{2,4}[-/]\d\d[-/]\d{2,4}[\d\W]*$"
    # Dumps and statistics: PSW and registers, the module that was active, what a step used.
    r"|\bIEF03[23]I\b|IEA995I SYMPTOM DUMP|END OF SYMPTOM DUMP|\bPSW AT (?:TIME OF ERROR|ENTRY TO ABEND)\b"
    r"|\bMINUTES EXECUTION TIME$"
    r"|\bDATA AT PSW\b|\bACTIVE (?:LOAD )?MODULE\b|^\s*(?:\d{3,5}\s+)?TIME=\d\d[.:]\d\d[.:]\d\d\b|--TIMINGS|^-JOBNAME\b"
    r"|^\s*(?:CPU|SRB|VIRT|EXT): +\d|\b(?:AR/GR|GPR?|GR|AR|FPR|REGS?) ?\d{1,2}(?:-\d{1,2})?\s*[:=]"
    r"|(?:\b[0-9A-F]{8}\b[ :/_-]+){2}[0-9A-F]{8}\b|^\s*(?:\d{3,5}\s+)?\d{1,2}: [0-9A-F]{8}\b"
)
_ADVICE = re.compile(
    r"(?i)^[^\w\n]*(?:[\w./-]{1,40}: )?(?:please|por favor,?|favor|you (?:can|should|may|must)|try|tente|intente)?\s?"
    r"(?:(?:(?:re-?)?run|rode|rodar|execute|executar|ejecute|ejecutar)\s+['\"`./-]?\w"
    r"|(?:use|check|see|consult|contact|refer to|verify)\s+"
    r"(?:the|that|your|if|whether|also|its|all|man|log|https?:|['\"`./-])"
    r"|(?:utilize|verifique|verificar|consulte|contate|contacte|veja|revise|vea|pruebe)\s+\S)"
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A symptom in a log."""

    symptom: Symptom
    first: int
    """Index of its line."""
    last: int
    """Index of the last line that it takes."""
    facts: Mapping[str, str]
    count: int = 1
    weight: float = 0.0
    """From 0 (a consequence, or reported as harmless) to 1."""


@dataclass(frozen=True)
class Reading:
    """A log that has been read."""

    lines: tuple[str, ...]
    """Without prefixes."""
    raw: tuple[str, ...]
    platform: Platform | None
    sightings: tuple[Sighting, ...]
    """Causes by weight, then consequences."""
    routine: frozenset[int]
    """Indexes of lines that are no errors whatever their words."""
    return_code: int | None
    examined: tuple[int, ...]
    """Indexes of the lines that were looked at: of a long log not all that differ in numbers only."""

    @cached_property
    def causes(self) -> tuple[Sighting, ...]:
        """Sightings that may explain the failure, best first."""
        return tuple(item for item in self.sightings if item.weight >= LEAST_WEIGHT)

    @cached_property
    def _dismissed(self) -> frozenset[int]:
        """Indexes of known errors that the program went on after."""
        items = (item for item in self.sightings if item.symptom.role is Role.CAUSE and item.weight < LEAST_WEIGHT)
        return frozenset(item.first for item in items) - {item.first for item in self.causes}

    @cached_property
    def errors(self) -> tuple[int, ...]:
        """Indexes of the lines that report an error, best first: causes, then by their form, the last first."""
        best = dict.fromkeys(item.first for item in self.causes)
        scored = sorted(((self.score(index), index) for index in self.examined), reverse=True)
        return tuple(best | dict.fromkeys(index for score, index in scored if score))

    @cached_property
    def telling(self) -> tuple[int, ...]:
        """Indexes of the lines to quote, best first: ``errors``, else the last lines that mean anything."""
        last = list(islice(filter(self.is_meaningful, reversed(range(len(self.lines)))), LAST_LINES + 1))
        is_explained = any(item.weight > EXPLAINED for item in self.causes)
        if not last or is_explained or any(self.score(index) > AN_ENDING for index in self.errors):
            return self.errors
        # A stable sort: what only says that the program ends comes after what stands before it.
        return tuple(sorted(last, key=lambda i: is_ending(self.lines[i]) or only_advises(self.lines[i])))[:LAST_LINES]

    def shown_of(self, item: Sighting) -> tuple[int, ...]:
        """Indexes of the lines to quote of a sighting: both of two; of more the first and those that tell most."""
        inside = range(item.first, item.last + 1)
        if len(inside) <= SHOWN_LINES:
            return tuple(index for index in inside if index == item.first or self.is_meaningful(index))
        words = (*item.facts.values(), *filter(_NUMBER.search, item.symptom.key.split()))
        shown = [index for index in inside[1:] if self.is_meaningful(index)]
        tells = {index: self.score(index) + sum(word in self.lines[index] for word in words) for index in shown}
        best = sorted(filter(tells.get, shown), key=lambda index: -tells[index])
        return tuple(sorted((item.first, *best[:SHOWN_LINES])))

    def is_meaningful(self, index: int) -> bool:
        """Whether the line is neither routine nor decoration."""
        line = self.lines[index]
        return index not in self.routine and not _SEPARATOR.match(line) and not _ROUTINE.search(line)

    def score(self, index: int) -> int:
        """How much the line looks like the error, from its form alone: 0 for none, to 5."""
        line = self.lines[index]
        level = level_of(line)
        if level in _QUIET_LEVELS and not reports_failure(line):
            # Most lines of a program that logs levels: nothing more is to be known of them.
            return 0
        if not self.is_meaningful(index) or index in self._dismissed or _FRAME.match(line) or _PROMPT.match(line):
            return 0
        if (
            level in _QUIET_LEVELS
            or _RETRY.search(line)
            or _TOLERATED.search(line)
            or _TALK.search(line)
            or _COUNT.search(line)
        ):
            return AN_ENDING if reports_failure(line) else 0
        if only_advises(line):
            return AN_ENDING
        ending = is_ending(line)
        forms = (
            (5, _CAUSED_BY.match(line) is not None),
            (4, not ending and bool(self.return_code and self.return_code in find_return_codes(line))),
            (4, (_EXCEPTION.match(line) or _SEVERE_ID.search(line)) is not None),
            (3, level in _LOUD_LEVELS),
            (AN_ENDING, ending),
            (2, reports_error(line) or reports_refusal(line)),
        )
        return next((score for score, holds in forms if holds), 0)


def read_log(lines: Sequence[str], *, return_code: int | None = None, platform: Platform | None = None) -> Reading:
    """Read a job log, or the parts of it that are at hand, in order.

    ``return_code`` is that of the run. ``platform`` is what is known of it otherwise; the log itself decides.
    """
    return _read(tuple(lines), return_code, platform)


def platform_of(text: str) -> Platform | None:
    """The platform by the forms of a text; None when it shows none."""
    low = caseless(text)
    votes: dict[Platform, int] = {}
    for platform, words, pattern in _PLATFORM_SIGNS:
        searched = low if pattern.flags & re.IGNORECASE else text
        if not any(map(searched.__contains__, words)):
            continue
        if platform is Platform.ZOS:
            if pattern.search(text):
                return platform
        else:
            votes[platform] = len(pattern.findall(text))
    best = max(votes, key=lambda platform: votes[platform], default=None)
    return best if best and votes[best] else None


def is_ending(line: str) -> bool:
    """Whether the line says only that the program ends: the reason stands before it."""
    words = [word for word in line.split() if word[0].isalpha() and not any(map(str.isdigit, word)) and word[-1] != ":"]
    # "fin" is a word, and a directory.
    return len(words) <= _ENDING_WORDS and _ENDING.search(_PATH.sub(" ", line)) is not None


def only_advises(line: str) -> bool:
    """Whether the line says only what to do: "Run fsck manually". The error stands elsewhere."""
    return _ADVICE.match(line) is not None and not reports_failure(line)


def level_of(line: str) -> str:
    """The level that a logging library wrote near the beginning of the line; empty for none."""
    match = _LEVEL.search(line, 0, 70) or _WARNING.match(line)
    return match[1].upper() if match else ""


@lru_cache(maxsize=64)
def _read(raw: tuple[str, ...], return_code: int | None, platform: Platform | None) -> Reading:
    lines = tuple(map(bare, raw))
    places = Places(lines)
    shown = platform_of(places.text) or platform
    sightings = list(_sightings(places, shown, return_code))
    routine = frozenset(
        index for item in sightings if item.symptom.role is Role.ROUTINE for index in range(item.first, item.last + 1)
    )
    errors = [item for item in sightings if item.symptom.role is not Role.ROUTINE and item.first not in routine]
    return Reading(
        lines, raw, shown, tuple(_ranked(_weighed(lines, errors, return_code))), routine, return_code, places.examined
    )


def _sightings(places: Places, platform: Platform | None, return_code: int | None) -> Iterator[Sighting]:
    for symptom in places.candidates():
        if symptom.platforms and platform is not None and platform not in symptom.platforms:
            continue
        if symptom.return_codes and return_code not in symptom.return_codes:
            continue
        matches = list(places.matches(symptom.pattern, symptom.hints, symptom.in_match, symptom.gate_pattern))
        # Of many errors the first and the last count.
        few = len(matches) < 3 or symptom.role is Role.ROUTINE
        for match in matches if few else (matches[0], matches[-1]):
            first = places.line_at(match.start())
            last = places.line_at(max(match.start(), match.end() - 1))
            yield Sighting(symptom, first, last, facts_of(match), len(matches))


_CERTAINTIES = {Certainty.CERTAIN: 0.9, Certainty.LIKELY: 0.75, Certainty.HINT: 0.45}


def _weighed(lines: Sequence[str], sightings: Sequence[Sighting], return_code: int | None) -> list[Sighting]:
    """Each symptom once, where it weighs most: what only follows, is retried or logged as harmless counts less."""
    roots = _roots(lines)
    known = {item.first for item in sightings}
    abended = {step for line in lines if (match := _ABENDED.search(line)) for step in match["steps"].split()}
    ended_well = frozenset() if abended else _steps_that_ended_well(lines)
    codes = {item.first: code for item in sightings if (code := _own_code(lines[item.first])) is not None}
    other_calls = {first for first, code in codes.items() if return_code in codes.values() and code != return_code}
    best: dict[str, Sighting] = {}
    for item in sightings:
        weight = _weight_of(lines, item)
        if weight and (
            _is_of_another_step(lines[item.first], item.facts, abended, ended_well) or item.first in other_calls
        ):
            # The job went on to other steps or calls after it.
            weight -= SURVIVED
        root = roots.get(item.first)
        if weight and root is not None and not _repeats(lines[item.first], lines[root]):
            # A root that nobody knows is told as it stands, rather than what only carries it.
            is_unknown = root not in known and item.symptom.certainty is not Certainty.CERTAIN
            weight -= CARRIES_THE_UNKNOWN if is_unknown else CARRIES
        weighed = replace(item, weight=round(max(weight, 0.0), 2))
        other = best.get(item.symptom.key)
        if other is None or _telling_of(weighed) > _telling_of(other):
            best[item.symptom.key] = weighed
    return list(best.values())


def _is_of_another_step(line: str, facts: Mapping[str, str], abended: Set[str], ended_well: Set[str]) -> bool:
    """Whether a message names a step that did not fail."""
    step = facts.get("step", "")
    if not step or not abended:
        return step in ended_well
    # Fields of a message may be missing, so that another one is taken for the step.
    return abended.isdisjoint({step, *re.split(r"[\s,()]+", line)})


def _steps_that_ended_well(lines: Sequence[str]) -> frozenset[str]:
    """The steps with a low condition code where another one has a higher code."""
    results: dict[str, int] = {}
    for match in filter(None, map(_STEP_RESULT.search, lines)):
        code = int(match["code"] or match["result"])
        results |= dict.fromkeys((match["steps"] or match["step"]).split(), code)
    if max(results.values(), default=0) <= WORST_OF_A_GOOD_STEP:
        return frozenset()
    return frozenset(step for step, code in results.items() if code <= WORST_OF_A_GOOD_STEP)


def _own_code(line: str) -> int | None:
    match = _OWN_CODE.search(line)
    return int(match["curl"] or match["rsync"]) if match else None


def _telling_of(item: Sighting) -> tuple[float, int, int]:
    """Of two of one weight that which names more (the dataset that is waited for) leads, then the last."""
    return item.weight, len(item.facts), item.first


def _ranked(sightings: Sequence[Sighting]) -> list[Sighting]:
    """By weight; of the heaviest ones the first of the last failure leads."""
    most = max((item.weight for item in sightings), default=0.0)
    lead = _first_of_last_cluster([item.first for item in sightings if item.weight == most])
    return sorted(sightings, key=lambda item: (-item.weight, item.first != lead, item.first))


def _weight_of(lines: Sequence[str], item: Sighting) -> float:
    """The weight by what stands on and around its lines."""
    if item.symptom.role is not Role.CAUSE:
        return 0.0
    weight = _CERTAINTIES[item.symptom.certainty] - _doubt(lines, item)
    if any(map(_PYTHON_FRAME.match, lines[max(0, item.first - _FRAME_LINES) : item.first])):
        # What a program did not catch ended it; what it printed before may be something that it went on after.
        return min(weight + UNCAUGHT, _CERTAINTIES[Certainty.CERTAIN])
    return weight


def _doubt(lines: Sequence[str], item: Sighting) -> float:
    """What is taken off a sighting that its own line, or a later try, shows as harmless."""
    line = lines[item.first]
    if item.symptom.category is Category.WARNINGS_ONLY:
        return 0.0
    around = lines[max(0, item.first - 2) : item.last + 3]
    doubt = 0.7 if _TALK.search(line) else 0.44 if _LETTING_GO.search(line) else 0.0
    if any(map(_RETRY.search, around)):
        later = lines[item.last + 1 : item.last + 1 + CLUSTER_LINES]
        went_well = any(_WENT_WELL.search(text) and not reports_failure(text) for text in later)
        return doubt + (0.9 if went_well else 0.1)
    if _is_logged_as_a_warning(lines, item.first):
        return doubt + (0.7 if any(level_of(text) in _LOUD_LEVELS for text in lines[item.last + 1 :]) else 0.3)
    if level_of(line) in _QUIET_LEVELS:
        # A program that logs levels writes what ends it at a loud one.
        doubt += 0.5 if any(level_of(text) in _LOUD_LEVELS for text in lines[item.last + 1 :]) else 0.3
    if _TOLERATED.search(line):
        # Messages of programs have such words as well ("rest of the line ignored").
        return doubt + (0.44 if item.symptom.certainty is Certainty.CERTAIN else 0.7)
    if is_ending(line) and item.symptom.certainty is Certainty.HINT:
        return 0.4
    return doubt


def _is_in_a_trace(line: str) -> bool:
    return not level_of(line) and bool(
        line[:1].isspace() or _FRAME.match(line) or _CAUSED_BY.match(line) or _EXCEPTION.match(line)
    )


def _is_logged_as_a_warning(lines: Sequence[str], index: int) -> bool:
    """Whether an exception belongs to the trace below a warning, and the program logs on: it was caught."""
    if not _is_in_a_trace(lines[index]):
        return False
    first = last = index
    while first and _is_in_a_trace(lines[first - 1]):
        first -= 1
    while last + 1 < len(lines) and _is_in_a_trace(lines[last + 1]):
        last += 1
    return (
        first > 0
        and level_of(lines[first - 1]) in _WARNINGS
        and any(map(_FRAME.match, lines[first : last + 1]))
        and any(map(level_of, lines[last + 1 :]))
    )


def _roots(lines: Sequence[str]) -> dict[int, int]:
    """For each line of a stack trace that names causes, with the line above it, that of the last ``Caused by``."""
    roots: dict[int, int] = {}
    inside = [index for index, line in enumerate(lines) if _FRAME.match(line) or _CAUSED_BY.match(line)]
    for _, numbered in groupby(enumerate(inside), key=lambda pair: pair[1] - pair[0]):
        block = [index for _, index in numbered]
        causes = [index for index in block if _CAUSED_BY.match(lines[index])]
        if causes:
            roots |= dict.fromkeys((max(block[0] - 1, 0), *block), causes[-1])
    return roots


def _repeats(line: str, root: str) -> bool:
    """Whether an exception's message is that of its root, as Java makes it from the cause."""
    return _CAUSED_BY.sub("", root).strip() in line


def _first_of_last_cluster(indexes: Sequence[int]) -> int:
    ordered = sorted(indexes)
    starts = (index for before, index in pairwise(ordered) if index - before > CLUSTER_LINES)
    return max(starts, default=min(ordered, default=0))
