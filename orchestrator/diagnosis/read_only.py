"""Allow-list of commands that only look: programs with their options, SQL, PowerShell, and consoles of the mainframe.

What is not on it is not proven to look, whatever it is. Options are listed one by one, since most programs have one
that writes a file, runs a program or reads its settings from somewhere (``sort -o``, ``rg --pre``, ``curl -K``).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from orchestrator.diagnosis.shell_words import Command, is_plain_text, split_line

_I = re.IGNORECASE
_MAX_CHARACTERS = 2_000
_MAX_DEPTH = 3
"""Commands within commands: ``ssh HOST "watch 'df -h'"``."""


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a table has them."""
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class _Rule:
    """The arguments with which a program only looks; an option that is not listed is refused."""

    flags: str = ""
    """Letters of options without a value; they may stand together, as in ``-la``."""
    values: str = ""
    """Letters of options with a value."""
    names: frozenset[str] = frozenset()
    """Long options, with or without ``=value``; with one dash where ``one_dash``."""
    valued: frozenset[str] = frozenset()
    """Long options whose value may be the next word."""
    operands: re.Pattern[str] | None = None
    """What each operand looks like; anything when None."""
    most: int | None = None
    least: int = 0
    one_dash: bool = False
    check: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    """What the value of an option must look like."""
    needs: frozenset[str] = frozenset()
    """Of these options one at least must be there."""

    def operands_of(self, arguments: Sequence[str]) -> list[str] | None:
        """The operands among ``arguments``, or None where an option or an operand is not allowed."""
        found: list[str] = []
        options: set[str] = set()
        words = iter(arguments)
        for word in words:
            if word == "--":
                found += words
            elif word == "-" or word[:1] != "-":
                found.append(word)
            elif not self._option(word, words, options):
                return None
        fits = self.least <= len(found) and (self.most is None or len(found) <= self.most)
        fits = fits and (not self.needs or bool(self.needs & options))
        return found if fits and all(map(self._is_operand, found)) else None

    def after_options(self, arguments: Sequence[str]) -> list[str] | None:
        """The words from the first operand on, or None where an option before it is not allowed."""
        words = iter(arguments)
        for word in words:
            if word == "-" or word[:1] != "-":
                return [word, *words]
            if not self._option(word, words, set()):
                return None
        return []

    def _is_operand(self, word: str) -> bool:
        return self.operands is None or self.operands.fullmatch(word) is not None

    def _option(self, word: str, rest: Iterator[str], options: set[str]) -> bool:
        """Whether the option ``word`` is allowed; its value may be the next of ``rest``."""
        if word[1:].isdecimal():  # -20
            return True
        if word.startswith("--") or self.one_dash:
            name, equals, value = word.lstrip("-").partition("=")
            options.add(name)
            if name in self.valued and not equals:
                value = next(rest, "")
            return name in self.names | self.valued and self._allows(name, value)
        for position, letter in enumerate(word[1:], start=2):
            options.add(letter)
            if letter in self.values:
                return self._allows(letter, word[position:] or next(rest, ""))
            if letter not in self.flags:
                return False
        return True

    def _allows(self, name: str, value: str) -> bool:
        pattern = self.check.get(name)
        return pattern is None or pattern.fullmatch(value) is not None


def _rule(
    flags: str = "",
    values: str = "",
    names: str = "",
    valued: str = "",
    *,
    operands: str | None = None,
    check: Mapping[str, str] | None = None,
    needs: str = "",
    most: int | None = None,
    least: int = 0,
    one_dash: bool = False,
) -> _Rule:
    return _Rule(
        flags,
        values,
        frozenset(names.split()),
        frozenset(valued.split()),
        re.compile(operands) if operands is not None else None,
        most,
        least,
        one_dash,
        {name: re.compile(pattern) for name, pattern in (check or {}).items()},
        frozenset(needs.split()),
    )


_Looks: TypeAlias = Callable[[Sequence[str], int], bool]
"""Whether a program only looks with these arguments, at this depth of commands within commands."""


def _any(programs: str) -> dict[str, _Looks]:
    return dict.fromkeys(programs.split(), lambda _arguments, _depth: True)


def _by(rule: _Rule) -> _Looks:
    return lambda arguments, _depth: rule.operands_of(arguments) is not None


def _by_words(pattern: str) -> _Looks:
    """By the arguments as one text: of programs with a language of their own."""
    compiled = re.compile(pattern, _I)
    return lambda arguments, _depth: compiled.fullmatch(" ".join(arguments)) is not None


def _verbs(before: _Rule, rules: Mapping[str, _Rule]) -> _Looks:
    """By the first operand, after the options ``before``; each key is some verbs, its value what may follow them."""
    by_verb = {verb: rule for verbs, rule in rules.items() for verb in verbs.split()}

    def looks(arguments: Sequence[str], _depth: int) -> bool:
        verb, *rest = before.after_options(arguments) or ("",)
        return verb in by_verb and by_verb[verb].operands_of(rest) is not None

    return looks


def _runs(options: _Rule, *, operands: int = 0, is_shell: bool = False) -> _Looks:
    """A program that runs the command after its options and ``operands`` words (a time, a host).

    ``is_shell``: a shell reads the words once more.
    """

    def looks(arguments: Sequence[str], depth: int) -> bool:
        words = (options.after_options(arguments) or [])[operands:]
        return _looks_at(" ".join(words), depth + 1) if is_shell else _program_looks(words, depth + 1)

    return looks


# A replacement or an address of sed whose end is certain: in brackets the delimiter does not end it.
_SED_TEXT = r"(?:\[\^?+\]?+[^\]/\n]*+\]|\\[^\n]|[^/\\\[\n])*"
_SED_ADDRESS = rf"(?:\d+|\$|/{_SED_TEXT}/I?)"
_SED_STEP = (
    rf"(?:{_SED_ADDRESS}(?:,\+?{_SED_ADDRESS})?\s?!?)?\s?(?:[pqd=]|s/{_SED_TEXT}/(?:\\[^\n]|[^/\\\n])*/[gpI\d]{{0,4}})"
)
_SED_SCRIPT = re.compile(rf"{_SED_STEP}(?:;\s?{_SED_STEP}){{0,9}};?")
_SED = _rule(
    "nErusz",
    "e",
    "quiet silent regexp-extended",
    "expression",
    check={"e": _SED_SCRIPT.pattern, "expression": _SED_SCRIPT.pattern},
)
_AWK = _rule("", "Fv", check={"v": r"\w+=.*"})


def _sed(arguments: Sequence[str], _depth: int) -> bool:
    operands = _SED.operands_of(arguments)
    if operands is None:
        return False
    has_script = any(re.match(r"-[nErusz]*e|--expression", word) for word in arguments)
    return has_script or (bool(operands) and _SED_SCRIPT.fullmatch(operands[0]) is not None)


def _awk(arguments: Sequence[str], _depth: int) -> bool:
    operands = _AWK.operands_of(arguments)
    if not operands or re.search(r"system|getline|close|@|(?<!\|)\|(?!\|)|\|\|\|", operands[0]):
        return False
    # After a print, ">" writes a file; before one, it compares.
    return re.search(r"print[\s\S]*>", operands[0]) is None


def _shell(arguments: Sequence[str], depth: int) -> bool:
    return len(arguments) == 2 and arguments[0] in ("-c", "-lc") and _looks_at(arguments[1], depth + 1)


def _cmd(arguments: Sequence[str], depth: int) -> bool:
    return arguments[:1] in (["/c"], ["/C"]) and _looks_at(" ".join(arguments[1:]), depth + 1)


def _powershell(arguments: Sequence[str], _depth: int) -> bool:
    words = [word for word in arguments if word.lower() not in ("-noprofile", "-nologo", "-noninteractive")]
    return len(words) > 1 and words[0].lower() in ("-command", "-c") and _powershell_looks(" ".join(words[1:]))


def _su(arguments: Sequence[str], depth: int) -> bool:
    words = [word for word in arguments if word != "-"]
    return len(words) == 3 and words[1] == "-c" and words[0][:1] != "-" and _looks_at(words[2], depth + 1)


_TAKES_ANYTHING = word_set("ls cat wc grep egrep fgrep zgrep stat head tail md5sum du cksum basename dirname")
"""What looks whatever its arguments are: those that ``xargs`` reads may be options."""


def _xargs(arguments: Sequence[str], depth: int) -> bool:
    words = _rule("0rt", "nIPLd").after_options(arguments) or [""]
    return words[0] in _TAKES_ANYTHING and _program_looks(words, depth + 1)


def _sql_client(rule: _Rule, texts: str) -> _Looks:
    """A client of a database whose options ``texts`` hold the SQL."""

    def looks(arguments: Sequence[str], _depth: int) -> bool:
        if rule.operands_of(arguments) is None:
            return False
        given = [text for word, text in pairwise(arguments) if re.fullmatch(texts, word)]
        return len(given) == 1 and sql_looks(given[0])

    return looks


def _db2(arguments: Sequence[str], _depth: int) -> bool:
    rest = list(arguments)
    while rest and re.fullmatch(r"[-+][xvtsmon]+", rest[0], _I):
        rest.pop(0)
    text = " ".join(rest)
    return (
        sql_looks(text)
        or re.fullmatch(
            r"(?:list (?:applications|active databases|tablespaces|tables|database directory|db directory|node"
            r" directory|packages|utilities)"
            r"|get (?:db|dbm|database|database manager|snapshot|monitor|instance|authorizations|connection)|describe"
            r" (?:table|indexes for table))"
            r"\b[\w .$#@-]*",
            text,
            _I,
        )
        is not None
    )


# TWS: conman, composer (User's Guide 10.2.5). "&" begins another command, ":" and "!" at the start one of the system.
_TWS_ARGUMENTS = r"(?:\s(?!.*;\s*(?:offline|lock)\b)[\w@#.+=,;:~/()!?%* -]*)?"
_TWS_OPTIONS = _rule(valued="user username password pwd host port protocol file timeout", one_dash=True)
_TWS_VERBS = {
    "conman": (
        r"(?:s[jscdfpr]|show[jscdfpr]\w*|disp?|display|d[fjs]|listsym|stat(?:us?)?|v|vers(?:ion)?|help|chs"
        r"|checkhealthstatus)"
    ),
    "composer": r"(?:di|disp?|display|l|li|list?|val|validate|v|vers(?:ion)?|help)",
    "planman": r"(?:showinfo|checksync)",
    "optman": r"(?:ls|show)",
}
_TWS_KEYWORDS = word_set("info joblog stdlist deps props crit keys short single retcod header nodeps")
"""What may follow a ``;`` of conman that no quotes protect: an option of the command before it."""


_PLACEHOLDER_IN_QUOTES = re.compile(r"<[^<>\n]{1,40}>")


def _tws(verbs: str) -> _Looks:
    command = re.compile(rf"{verbs}{_TWS_ARGUMENTS}", _I)

    def looks(arguments: Sequence[str], _depth: int) -> bool:
        words = _TWS_OPTIONS.after_options(arguments) or []
        return command.fullmatch(_PLACEHOLDER_IN_QUOTES.sub("X", " ".join(words).strip())) is not None

    return looks


_HTTP_URL = r"(?:https?://)?[\w.$%{}-]+(?::[\d${}\w]+)?(?:[/?][\w.%/?&=:@,;+~#*()\[\]${}-]*)?"
_CURL = _rule(
    "sSfkvILiNg46",
    "XHumwoxAeD",
    "silent show-error fail insecure verbose head include location compressed no-progress-meter http1.1 http2 ipv4 ipv6"
    " no-buffer globoff tlsv1.2 tlsv1.3 netrc",
    "request header user max-time connect-timeout write-out output proxy user-agent referer cacert cert key retry"
    " retry-delay noproxy resolve url dump-header",
    operands=_HTTP_URL,
    check={
        **dict.fromkeys(("X", "request"), "GET|HEAD"),
        **dict.fromkeys(("H", "header"), "[^@].*"),
        **dict.fromkeys(("w", "write-out"), "(?s:(?!@)(?!.*%output).*)"),
        **dict.fromkeys(("o", "output"), "/dev/null|NUL|-"),
        **dict.fromkeys(("D", "dump-header"), "-|/dev/stdout|/dev/null"),
        "url": _HTTP_URL,
    },
)
_WGET = _rule(
    "qSd46",
    "TtO",
    "spider server-response quiet no-check-certificate no-verbose no-proxy",
    "timeout tries header user password output-document",
    operands=_HTTP_URL,
    needs="spider O output-document",
    check=dict.fromkeys(("O", "output-document"), "-|/dev/null"),
)
_GIT_READS = _rule(
    "pnvsabrwiCMSGL1234567890",
    "nSGL",
    "oneline stat graph all decorate name-only name-status no-merges merges follow cached staged no-color patch reverse"
    " first-parent numstat shortstat summary short branch porcelain abbrev-commit word-diff ignore-all-space no-pager"
    " show-current list color date format pretty since until after before author grep max-count abbrev unified tags"
    " heads",
    "since until after before author grep max-count date format",
)
_FIND_TESTS = word_set(
    "name iname path ipath wholename type size mtime mmin atime amin ctime cmin newer newermt user group perm maxdepth"
    " mindepth empty print print0 ls links inum xdev mount follow L H P a o not and or prune regex iregex readable"
    " writable executable nouser nogroup printf quit daystart depth true false regextype samefile fstype"
)


def _find(arguments: Sequence[str], _depth: int) -> bool:
    return all(not re.match(r"-[A-Za-z]", word) or word[1:] in _FIND_TESTS for word in arguments)


_KUBECTL = _rule(
    "AwfpL",
    "nolcLv",
    "all-namespaces watch follow previous show-labels timestamps all-containers no-headers prefix ignore-not-found"
    " raw client short tail since",
    "namespace output selector container tail since since-time sort-by field-selector context cluster limit-bytes"
    " request-timeout label-columns",
)
_KUBECTL_VERBS: dict[str, _Rule] = {
    "get describe logs top explain version api-resources api-versions events": _KUBECTL,
    "cluster-info current-context status whoami projects": _rule(most=0),
    "rollout": _rule("", "n", "", "namespace", operands=r"status|history|[\w/.-]*/[\w.-]+", least=2, most=2),
    "config": _rule(operands="view|get-contexts|current-context", most=1, least=1),
    "auth": _rule("", "n", "list", "namespace as", operands=r"can-i|[\w*/.-]+", least=1),
}
_DOCKER = (
    r"(?:--context \S+ )?(?:(?:container|image|network|volume|system|compose) )?"
    r"(?:ps|ls|logs|inspect|images|stats|top|version|info|port|df)(?: .*)?"
)
_SYSTEMCTL = _verbs(
    _rule("laqt", "tn", "no-pager full all quiet user failed plain no-legend", "type state lines output"),
    {
        "status is-active is-enabled is-failed list-units list-unit-files list-timers list-dependencies list-sockets"
        " show cat"
        " get-default list-jobs": _rule(
            "laqp",
            "tnpo",
            "no-pager full all quiet user failed plain no-legend type state lines property value",
            "type state lines output property",
        )
    },
)
_PROGRAMS: dict[str, _Looks] = {
    **_any(
        "ls cat tac zcat head tail wc cut tr diff cmp comm stat readlink realpath strings od nl fold jq grep zgrep"
        " egrep"
        " fgrep df du lsblk ps pgrep pstree top htop uptime free vmstat iostat mpstat nproc lscpu getent id who"
        " whoami w last"
        " groups printenv locale quota getfacl getfattr lsattr md5sum sha1sum sha256sum sha512sum cksum basename"
        " dirname expr seq"
        " true echo pwd tnsping ipcs errpt lsps svmon oslevel showmount qstat lsmod atq traceroute nslookup host"
        " which whereis"
        " jobinfo datecalc cpuinfo listproc dspmq dspmqver pg_isready test"
    ),
    "cd": _by(_rule(most=1)),
    "printf": _by(_rule()),
    "file": _by(_rule("bikLsz", "", "brief mime mime-type mime-encoding dereference")),
    "column": _by(_rule("txnedc", "sc", "table", "separator")),
    "uniq": _by(_rule("cdiuDz", "fsw", "count repeated unique ignore-case", "skip-fields skip-chars", most=1)),
    "xxd": _by(_rule("abeEpu", "lsgc", "", "", most=1)),
    "rg": _by(
        _rule(
            "inlcvwFHhoLsSUae",
            "ABCgtTmer",
            "ignore-case files count no-heading hidden no-ignore line-number",
            "glob type context max-count",
        )
    ),
    "less": _by(_rule("NSRXFiInMmqwfegGJE", "p", operands=r"\+(?:[GF]|\d+G?)|[^+].*", check={"p": "[^\n]*"})),
    "more": _by(_rule("dflpcsu", "n", operands=r"\+\d+|[^+].*")),
    "sort": _by(
        _rule(
            "rnufhgMVscCbdimzR",
            "ktST",
            "reverse numeric-sort unique human-numeric-sort general-numeric-sort ignore-case month-sort version-sort"
            " stable"
            " check merge zero-terminated ignore-leading-blanks dictionary-order random-sort",
            "key field-separator parallel buffer-size",
        )
    ),
    "sar": _by(_rule("urqbBdnpPSwWAvyRHI", "fsein", operands=r"\d+|ALL|DEV")),
    "lsof": _by(_rule("nPlRtUabiV", "pucdisg")),
    "netstat": _by(_rule("antpuleriosvgmMcCNWbfq", "pI")),
    "ping": _by(_rule("nq46a", "cwWistIl")),
    "dig": _by(_rule("46x", "tpcx", operands=r"[@+]?[\w.:=-]+")),
    "uname": _by(_rule("asnrvmpio", most=0)),
    "hostname": _by(_rule("fsiIAdy", "", "fqdn short ip-address all-ip-addresses domain", most=0)),
    "ulimit": _by(_rule("aSHcdefilmnpqrstuvx", most=0)),
    "mount": _by(_rule("lv", "t", most=0)),
    "ifconfig": _by(_rule("as", most=1)),
    "arp": _by(_rule("an", most=0)),
    "route": _by(_rule("neFC", operands="print", most=1)),
    "nfsstat": _by(_rule("csrnm4")),
    "klist": _by(_rule("efsaltkK", operands=r"/.*|tickets|tgt|sessions", most=1)),
    "dmesg": _by(
        _rule(
            "THxLkutwWedrSJ",
            "lfs",
            "human ctime decode follow kernel userspace reltime notime json nopager color",
            "level facility since until time-format",
        )
    ),
    "journalctl": _by(
        _rule(
            "bfkearqxmN",
            "unpotgSUcFDM",
            "no-pager follow dmesg reverse list-boots disk-usage utc catalog pager-end all quiet header system user"
            " merge"
            " no-hostname no-full full boot since until",
            "unit since until boot lines output priority identifier grep directory file fields output-fields cursor"
            " after-cursor",
        )
    ),
    "ss": _by(
        _rule("tulnpaeismoxrHOw46bZ0", "f", "tcp udp listening processes numeric all summary info memory", "family")
    ),
    "date": _by(
        _rule("uIR", "dr", "utc universal iso-8601 rfc-3339 rfc-email", "date reference", operands=r"\+.*|/t", most=1)
    ),
    "timedatectl": _by_words(r"(?:status|show)?"),
    "java": _by_words(r"--?version"),
    **dict.fromkeys(("python", "python3", "node"), _by_words(r"--version")),
    "sqlplus": _by_words("-v"),
    "time": _runs(_rule("pv")),
    "nice": _runs(_rule("", "n")),
    "timeout": _runs(_rule("", "ks", "", "signal kill-after"), operands=1),
    "sudo": _runs(_rule("nHE", "u", "", "user")),
    "watch": _runs(_rule("dtpce", "n", "differences no-title", "interval"), is_shell=True),
    "ssh": _runs(_rule("qtTxn46", "pl"), operands=1, is_shell=True),
    "bash": _shell,
    "sh": _shell,
    "ksh": _shell,
    "su": _su,
    "xargs": _xargs,
    "env": _by(_rule(most=0)),
    "sed": _sed,
    "awk": _awk,
    "gawk": _awk,
    "nawk": _awk,
    "mawk": _awk,
    "find": _find,
    "nc": _by(_rule("zvnu46", "w", needs="z")),
    "ncat": _by(_rule("zvnu46", "w", needs="z")),
    "telnet": _by(_rule(operands=r"[\w.:-]+", least=2, most=2)),
    "ip": _by_words(
        r"(?:-(?:[46sdobr]|br|brief|color|json|details|stats|c|j|details) )*(?:a|addr|address|l|link|r|route|n|neigh"
        r"|rule|maddr)"
        r"(?: (?:s|sh|show|ls|list|get)(?: [\w./:]+){0,3})?"
    ),
    "systemctl": _SYSTEMCTL,
    "service": _by_words(r"[\w@.-]+ status|--status-all"),
    "chkconfig": _by_words(r"--list(?: [\w.-]+)?"),
    "crontab": _by(_rule("l", "u", most=0, needs="l")),
    "at": _by(_rule("l", "q", most=0, needs="l")),
    "openssl": _verbs(
        _rule(),
        {
            "x509 crl req": _rule(
                names=(
                    "noout text dates subject issuer enddate startdate serial fingerprint sha256 sha1 purpose email"
                    " alias"
                ),
                valued="in inform checkend nameopt ext",
                one_dash=True,
                most=0,
            ),
            "s_client": _rule(
                names=(
                    "showcerts brief tls1_2 tls1_3 tls1_1 state debug status quiet ign_eof prexit verify_return_error"
                ),
                valued="connect servername CAfile CApath verify starttls cert key",
                one_dash=True,
                most=0,
            ),
            "version": _rule("avobp", most=0),
            "verify": _rule(names="verbose show_chain", valued="CAfile CApath untrusted purpose", one_dash=True),
            "ciphers": _rule("vV", most=1),
        },
    ),
    "keytool": _by(
        _rule(names="list v rfc", valued="keystore storepass storetype alias", one_dash=True, needs="list", most=0)
    ),
    "git": _verbs(
        _rule("", "C", "no-pager", ""),
        {
            "log diff show blame status rev-parse ls-files ls-tree shortlog describe": _GIT_READS,
            "branch": _rule("arv", "", "all list remotes show-current", most=0),
            "remote": _rule("v", most=0),
            "tag": _rule("ln", "", "list", most=0),
            "stash": _rule(operands="list", least=1, most=1),
            "config": _rule(
                "l", "", "list get-regexp show-origin global local system", "get", most=0, needs="l list get"
            ),
        },
    ),
    "rpm": _by(
        _rule(
            "qailfcdRpVv",
            "",
            "query all info list changelog requires provides scripts last queryformat qf",
            "queryformat qf",
            needs="q query V",
        )
    ),
    "dpkg": _by(_rule("lLSs", "", "list status listfiles search", needs="l L S s list status listfiles search")),
    "apt": _verbs(_rule(), {"list show policy search": _rule("a", "", "installed upgradable all-versions")}),
    "apt-cache": _verbs(_rule(), {"show policy search depends rdepends": _rule()}),
    **dict.fromkeys(
        ("yum", "dnf"),
        _verbs(
            _rule("qC", "", "quiet"), {"list info repolist search provides": _rule("v", "", "installed available all")}
        ),
    ),
    **dict.fromkeys(("docker", "podman"), _by_words(_DOCKER)),
    **dict.fromkeys(("kubectl", "oc"), _verbs(_rule("", "n", "", "namespace context cluster"), _KUBECTL_VERBS)),
    "helm": _verbs(
        _rule("", "n", "", "namespace"),
        {"list ls status history": _rule("Aa", "no", "all all-namespaces", "namespace output")},
    ),
    "aws": _by_words(
        r"(?:s3 ls(?: s3://[\w./-]+)?|sts get-caller-identity|logs (?:tail|filter-log-events|describe-log-\w+)"
        r"|[a-z0-9-]+ (?:describe|list)-[a-z-]+)"
        r"(?> --[a-z-]+(?:[ =](?!file|http|-)[\w./:,=\[\]{}*@-]+){0,4}+)*+(?: /[\w/.-]+)?"
    ),
    "curl": _by(_CURL),
    "wget": _by(_WGET),
    "db2": _db2,
    "db2pd": _by(
        _rule(
            names=(
                "locks transactions applications logs tablespaces agents bufferpools dynamic edus osinfo hadr inst"
                " members"
                " reorgs recovery latches utilities memsets mempools active alldbs alldatabases dbcfg dbmcfg version"
            ),
            valued="db d database",
            one_dash=True,
            most=0,
        )
    ),
    "psql": _sql_client(
        _rule("tAxqXwW", "hUdpcF", "no-psqlrc tuples-only no-align csv", "command host port username dbname"),
        "-[tAxqX]*c|--command",
    ),
    "mysql": _sql_client(
        _rule("tNsBEp", "huPDe", "table batch", "execute host user port database"), "-[tNsBEp]*e|--execute"
    ),
    "redis-cli": _by_words(
        r"(?:-[hpna] [\w.:-]+ |--tls )*(?:ping|info(?: \w+)?|dbsize|(?:llen|get|ttl|type|exists|strlen|hgetall|hlen"
        r"|scard|zcard|xlen|pttl) \S+"
        r"|client list|slowlog get(?: \d+)?|memory usage \S+|config get \S+)"
    ),
    "lsnrctl": _by_words(r"(?:status|services|version)(?: \w+)?"),
    "srvctl": _by_words(r"(?:status|config) [\w -]+"),
    "crsctl": _by_words(r"(?:check \w+|(?:stat|status) res(?:ource)?(?: [\w. -]+)?|query css votedisk)"),
    **{name: _tws(verbs) for name, verbs in _TWS_VERBS.items()},
    **dict.fromkeys(
        ("rep1", "rep2", "rep3", "rep4a", "rep4b", "rep7", "rep8", "rep11"), _by(_rule("bcipsv", "fmtdjnh"))
    ),
    "resync-troubleshoot": _by_words(r"(?:doctor|list|queues|pipelines|(?:get|watch) [\w-]+)"),
    "evtsize": _by_words(r"-show(?: [\w./$-]+)?"),
    "maestro": _by(_rule(most=0)),
    "parms": _by(_rule(operands=r"\w+", most=1, least=1)),
    "showuptime": _by(_rule(most=0)),
    "jobstdl": _by(_rule("", "", "", "name num day first", one_dash=True, operands=r"[\w@#./]+")),
    # Windows
    **_any("dir type findstr tree tasklist systeminfo driverquery"),
    "where": _by_words(r"[^/].*"),
    "tracert": _by_words(r"(?:-[dhw46] ?\d* )*[\w.:-]+"),
    "ver": _by(_rule(most=0)),
    "quser": _by_words(r"[\w /:.-]*"),
    "query": _by_words(r"(?:user|session|process)\b[\w /:.-]*"),
    "ipconfig": _by_words(r"(?:/all|/displaydns)?"),
    "sc": _by_words(
        r"(?:\\\\[\w.-]+ )?(?:query|queryex|qc|qfailure|qdescription|sdshow|getdisplayname|getkeyname)(?: .*)?"
    ),
    "net": _by_words(
        r"(?:statistics(?: \w+)?|view(?: \\\\[\w.-]+)?|accounts|start|session|use|config(?: \w+)?|share(?: [\w$.-]+)?"
        r"|(?:user|localgroup|group)(?: [\w$.-]+)?(?: /domain)?)"
    ),
    "schtasks": _by_words(r"/query\b(?!.*/(?:run|end|delete|change|create)\b).*"),
    "wevtutil": _by_words(r"(?:qe|query-events|el|gl|gli|get-log|enum-logs) ?(?!.*/s?bm).*"),
    "reg": _by_words(r"query .*"),
    "wmic": _by_words(
        r"(?!.*\b(?:call|delete|create|set|assoc)\b)\w+(?: where [^/]+)? (?:get|list)(?: [\w, ]+)?(?: /value)?"
    ),
    "gpresult": _by_words(r"(?:/(?:r|v|z))(?: /scope:? ?\w+)?"),
    "netsh": _by_words(r"(?:\w+ ){1,3}show(?: [\w =.-]+)?"),
    "cmd": _cmd,
    **dict.fromkeys(("powershell", "pwsh"), _powershell),
}
_INIT_SCRIPT = re.compile(r"/etc/(?:rc\.d/)?init\.d/[\w.-]+")
_WINDOWS = word_set(
    "dir type findstr where tracert tree ver tasklist systeminfo driverquery quser query ipconfig sc net schtasks"
    " wevtutil reg"
    " wmic gpresult netsh cmd powershell pwsh"
)
_PROGRAM = re.compile(r"(?:^|[|&;\n])[^\S\n]*+(?:[\w:.-]{1,40}\\)*(\w+)(?:\.exe)?(?=\s|$)", _I)
_NOT_OF_WINDOWS = re.compile(r"\$\(|`|\\\"|%[^%\n]{0,40}:[^%\n]{0,40}%|\^")
"""What reads otherwise in another shell, or is put together from pieces."""
_CASELESS = frozenset({*_WINDOWS, *_TWS_VERBS, "ping", "hostname", "whoami", "netstat", "nslookup"})
_SYSTEM_FOLDER = re.compile(r"/(?:usr/)?(?:local/)?s?bin/|[A-Za-z]:\\Windows\\(?:System32\\)?", _I)
_PRODUCT_FOLDER = re.compile(r"(?:/|[A-Za-z]:\\)(?!(?:tmp|var|dev|proc)\b)(?:(?!\.\.)[\w. -]+[/\\])+", _I)
"""Where TWS and databases are installed: a folder that everybody may write to is none."""
_PRODUCTS = word_set("db2 db2pd lsnrctl tnsping psql jobinfo jobstdl parms maestro evtsize dspmq") | _TWS_VERBS.keys()
_SET_BEFORE = re.compile(r"(?:LANG|LC_[A-Z]+|TZ|COLUMNS|LINES|NLS_LANG|ORACLE_SID|DB2INSTANCE)=[\w.:/@-]*")
"""Variables that change what is shown and nothing else."""
_PROMPT = re.compile(r"(?:\s*(?:[$#%]|(?:PS )?[A-Za-z]:\\[\w\\]*>|\w*SQL>|db2 =>|mysql>|[\w-]+=[#>]|TSO)\s+)?")
_PLACEHOLDER = re.compile(r"<[^\W\d][\w .|/-]{0,39}>(?=\s*(?:$|[;\n])|\s+&&)|(?<![$\\])\{[^\W\d]\w{0,39}\}")
"""A name to be filled in, where a shell would refuse it: before a word, ">" writes a file."""
_TWS_PLACEHOLDER = re.compile(r"<[^\W\d][\w -]{0,39}>(?=[#.][<@A-Z{])")


def only_looks(command: str) -> bool:
    """Whether every part of ``command`` is proven to look only: whatever is not, is not."""
    text = command.replace("\r\n", "\n").strip()
    if not text or len(text) > _MAX_CHARACTERS or not is_plain_text(text):
        return False
    text = text[_PROMPT.match(text).end() :]  # type: ignore[union-attr]  # it may be empty, and so always matches
    if re.match(r"(?:\S*/)?(?:conman|composer)\b", text, _I):
        text = _TWS_PLACEHOLDER.sub("X", text)
    return _looks_at(_PLACEHOLDER.sub("X", text), 0)


def known_programs() -> frozenset[str]:
    """Every program of the list."""
    return frozenset(_PROGRAMS)


def _looks_at(text: str, depth: int) -> bool:
    text = text.strip()
    if depth > _MAX_DEPTH or not text:
        return False
    if _is_console(text) or sql_looks(text) or _powershell_looks(text):
        return True
    is_windows = any(match[1].lower() in _WINDOWS for match in _PROGRAM.finditer(text))
    if is_windows and _NOT_OF_WINDOWS.search(text):
        return False
    commands = split_line(text, is_windows=is_windows)
    return bool(commands) and _commands_look(commands or (), depth)


def _commands_look(commands: Sequence[Command], depth: int) -> bool:
    is_conman = False
    for command in commands:
        # conman sj JOB;info
        is_keyword = is_conman and command.after == ";" and len(command.words) == 1
        if is_keyword and command.words[0].lower() in _TWS_KEYWORDS:
            continue
        if not _program_looks(list(command.words), depth):
            return False
        is_conman = any(re.search(r"(?:^|/)conman$", word) for word in command.words)
    return True


def _program_looks(words: list[str], depth: int) -> bool:
    while words and _SET_BEFORE.fullmatch(words[0]):
        words = words[1:]
    if not words or depth > _MAX_DEPTH:
        return False
    program, arguments = words[0], words[1:]
    if _INIT_SCRIPT.fullmatch(program):
        return arguments == ["status"]
    at = max(program.rfind("/"), program.rfind("\\")) + 1
    folder, name = program[:at], program[at:]
    name = re.sub(r"\.exe$", "", name, flags=_I)
    name = name.lower() if name.lower() in _CASELESS else name
    folders = (_SYSTEM_FOLDER, _PRODUCT_FOLDER) if name in _PRODUCTS else (_SYSTEM_FOLDER,)
    if folder and not any(known.fullmatch(folder) for known in folders):
        return False
    looks = _PROGRAMS.get(name)
    return looks is not None and looks(arguments, depth)


# The consoles of z/OS and of what runs there, each command on a line of its own.
_CONSOLE_TEXT = r"[\w ,.=()*'@#/+:-]"
_CONSOLE = re.compile(
    r"(?:"
    # MVS DISPLAY, as it is typed or with a slash
    rf"/?D(?:ISPLAY)?\s+(?:A|T|J|U|M|R|ASM|D|IPLINFO|IOS|GRS|WLM|XCF|SMF|PROG|OMVS|NET|SMS|ETR|C|LLA|PARMLIB|SYMBOLS"
    rf"|VIRTSTOR|LOGGER|RRS|TCPIP|OPDATA|JES2|HS|CF|S|TS)(?:[ ,=]{_CONSOLE_TEXT}*)?"
    # JES2 $D, JES3 *INQUIRY
    rf"|\$D\s?(?:J|JOBQ?|JQ|S|T|A|Q|I|INIT|U|N|F|SPL|SPOOL|PRT|NODE|MASDEF|ACTIVATE|CKPTDEF"
    rf"|JOBDEF)[\d(',]{_CONSOLE_TEXT}*"
    r"|\$D\s?(?:J|JOBQ?|JQ|S|A|Q|I|INIT|U|N|F|SPL|SPOOL|PRT|NODE|MASDEF|ACTIVATE|CKPTDEF|JOBDEF)"
    rf"|\*I(?:NQUIRY)?[ ,]{_CONSOLE_TEXT}*"
    # Db2 and IMS
    rf"|-(?:\w{{1,4}} )?DIS(?:PLAY)?\s+(?:THREAD|THD|DATABASE|DB|UTILITY|UTIL|BUFFERPOOL|BPOOL|LOG|LOCATION|LOC"
    rf"|GROUP|TRACE|ARCHIVE|DDF|PROCEDURE|PROC)\b{_CONSOLE_TEXT}*"
    rf"|/DIS(?:PLAY)?\s+{_CONSOLE_TEXT}+"
    # TSO, RACF, IDCAMS; what writes its list to a data set is left out
    rf"|(?:TSO\s++)?(?!.*\b(?:O(?:UT)?FILE|CLIST|ODS|OUTDATASET)\b)(?:LISTCAT|LISTC|LISTDS|LISTD|LISTALC|LISTA"
    rf"|LISTUSER|LISTGRP|LISTDSD|RLIST|SEARCH|HLIST|(?-i:LU|LG|LD|RL|SR))(?:\s+{_CONSOLE_TEXT}*)?"
    r"|SDSF(?:\s+\w{1,4})?"
    # IBM i
    rf"|(?!.*\bOUTPUT\b)DSP(?:JOB(?:LOG)?|MSG|LOG|SYSSTS|OBJD|SBSD|LIB)(?: +{_CONSOLE_TEXT}*)?|WRKACTJOB|WRKSYSSTS"
    # MQ
    rf"|DIS(?:PLAY)?\s+(?:QLOCAL|QL|QUEUE|Q|QMGR|QMSTATUS|CHANNEL|CHL|CHSTATUS|CHS|LISTENER|LSSTATUS|CONN|QSTATUS|QS"
    rf"|PROCESS|TOPIC|SUB)\b{_CONSOLE_TEXT}*"
    # A request, as documents write it
    r"|GET\s+(?:https?://|/)[\w.%/?&=:@,+~#*()\[\]{}-]*"
    r")",
    _I,
)


def _is_console(text: str) -> bool:
    return all(_CONSOLE.fullmatch(line.strip()) for line in text.split("\n") if line.strip())


_SQL_TOKEN = re.compile(
    # A line that goes on with the query: another one may be a command of the client, or of the shell.
    r"(?P<blank>[ \t]+|(?:(?<=[,(])|(?<=select))[ \t]*\n(?=[ \t]*[\w\"'*(])"
    r"|\n(?=[ \t]*(?:[,()]|(?:from|where|and|or|on|group|order|having|(?:left|right|inner|outer|full|cross) join|join"
    r"|union|select|limit|fetch|with|case|when|then|else|end|as|between|not|exists|in|is|like)\b)))"
    r"|(?P<text>[EN]?'(?:[^'\\]|'')*')"
    r"|(?P<name>\"[^\"\\\n]*\")"
    r"|(?P<word>@{0,2}[^\W\d][\w$#]*)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<sign>\|\||!=|<>|[<>=]=?|::|:(?!=)|-(?!-)|/(?!\*)|[+*%.,()?\[\]~]|;(?=\s*$))",
    re.IGNORECASE,
)
_SQL_STARTS = frozenset(("select", "with", "values", "explain"))
_SQL_CHANGES = word_set(
    "into insert update delete merge drop alter create truncate grant revoke call exec execute lock copy outfile"
    " dumpfile nextval currval set procedure do begin declare commit rollback vacuum analyse refresh returning go host"
    " shutdown spool start kill use final openrowset openquery opendatasource share dbcc backup restore bulk deny"
    " reconfigure"
    " waitfor disable enable print raiserror checkpoint save receive send revert updatetext writetext load"
)
_SQL_FUNCTIONS = word_set(
    "count sum avg min max coalesce nvl nvl2 ifnull nullif upper lower trim ltrim rtrim length len substr substring"
    " round trunc"
    " floor ceil ceiling abs mod cast convert to_char to_date to_number to_timestamp extract date_trunc now sysdate"
    " decode"
    " greatest least row_number rank dense_rank lag lead first_value last_value listagg string_agg concat left right"
    " lpad rpad"
    " date timestamp year month day hour minute second datediff dateadd age varchar char decimal numeric integer int"
    " bigint"
    " pg_size_pretty pg_database_size pg_relation_size pg_total_relation_size pg_blocking_pids rownum stddev"
    " variance median"
    " instr position getdate current_timestamp isnull replace hex digits days sysdatetime monthname dayname"
)
_SQL_BEFORE_PARENTHESIS = word_set(
    "in exists and or not as from join on where select union all any some over by using limit top between then else"
    " when case"
    " having filter group distinct values intersect except minus lateral is like first next partition within explain"
)
_SQL_CONDITIONS = word_set("where on having when and or ( ) ,")
_SQL_COMPARISONS = word_set("= <> != < > <= >= is like")
_SQL_DESCRIBES = re.compile(r"(?:desc(?:ribe)?(?:\s+table)?\s+[\w.$#]+|show\s+[\w .%'$]+);?", _I)


def sql_looks(text: str) -> bool:
    """Whether ``text`` is one query that calls nothing but functions known to compute, and writes and locks nothing."""
    text = text.strip()
    if _SQL_DESCRIBES.fullmatch(text):
        return True
    tokens = _sql_tokens(text) if "$(" not in text and "`" not in text else []
    if not tokens or tokens[0] not in _SQL_STARTS or tokens.count("(") != tokens.count(")"):
        return False
    called = all(
        _may_be_called(previous, before)
        for before, previous, symbol in zip(("", "", *tokens), ("", *tokens), tokens, strict=False)
        if symbol == "("
    )
    words = [token for token in tokens if re.match(r"[^\W\d]", token)]
    return called and not _SQL_CHANGES & set(words) and _is_one_query(words) and _compares(tokens)


def _compares(symbols: Sequence[str]) -> bool:
    """Whether each ``<``, ``>`` and ``||`` computes: elsewhere a shell that gets the line writes a file or goes on."""
    is_condition = is_compared = is_from = False
    for symbol in symbols:
        is_from = is_from or symbol == "from"
        if symbol in _SQL_CONDITIONS:
            is_condition, is_compared = is_condition or symbol not in "(),", False
        elif symbol in _SQL_COMPARISONS:
            if is_compared or (symbol[0] in "<>" and not is_condition):
                return False
            is_compared = True
        elif symbol == "||" and is_from:
            return False
    return True


def _sql_tokens(text: str) -> list[str]:
    """The tokens in lower case; none where there is something else."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        token = _SQL_TOKEN.match(text, at)
        if token is None:
            return []
        at = token.end()
        if token.lastgroup != "blank":
            tokens.append("''" if token.lastgroup == "text" else token[0].lower())
    return tokens


def _may_be_called(previous: str, before: str) -> bool:
    if re.fullmatch(r"[^\W\d][\w$#]*", previous) is None:
        return previous[-1:] not in ('"', "]")
    return before != "." and (previous in _SQL_FUNCTIONS or previous in _SQL_BEFORE_PARENTHESIS)


def _is_one_query(words: Sequence[str]) -> bool:
    start = list(words)
    if start[:1] == ["explain"]:
        start = start[1:]
        while start[:1] and start[0] in ("analyze", "verbose", "query", "extended"):
            start = start[1:]
    follows = list(pairwise(words))
    return (
        start[:1] != []
        and start[0] in ("select", "with", "values")
        and not any(one == "for" and two not in ("read", "fetch") for one, two in follows)
        and not any(one in ("next", "previous", "prevval") and two == "value" for one, two in follows)
    )


_CMDLETS = word_set(
    "get-service get-process get-eventlog get-winevent get-content get-childitem get-item get-itemproperty get-acl"
    " get-date"
    " get-host get-hotfix get-scheduledtask get-scheduledtaskinfo get-ciminstance get-wmiobject get-counter get-psdrive"
    " get-volume get-disk get-nettcpconnection get-netipaddress get-netadapter get-aduser get-localuser"
    " get-localgroupmember"
    " get-command get-help get-filehash get-variable get-location get-history get-package get-executionpolicy get-alias"
    " get-module get-smbshare get-smbopenfile get-smbconnection get-timezone get-culture get-computerinfo get-job"
    " test-path test-netconnection test-connection test-wsman select-object where-object sort-object measure-object"
    " group-object format-table format-list format-wide format-custom format-hex select-string out-string out-host"
    " convertto-json convertto-csv resolve-dnsname compare-object findstr"
)
_PS_VALUE = r"(?:'[^'\n]*'|\"[^\"\n`$]*\"|\$(?:true|false|null|env:\w+)|[\w.*:/\\+-]+)"
_PS_TEST = rf"\$_(?:\.\w+)*(?:\s+-[ci]?(?:eq|ne|gt|ge|lt|le|like|notlike|match|notmatch|contains)\s+{_PS_VALUE})?"
_PS_BLOCK = rf"\{{\s*{_PS_TEST}(?:\s+-(?:and|or)\s+{_PS_TEST}){{0,9}}\s*\}}"
_PS_ARGUMENT = rf"(?>{_PS_VALUE}|\$_?\w+)(?:,\s?{_PS_VALUE})*+"
_PS_COMMAND = re.compile(rf"([A-Za-z]+(?:-[A-Za-z]+)?)((?>[ \t]+(?:{_PS_ARGUMENT}|{_PS_BLOCK}))*+)[ \t]*")
_PS_SEPARATOR = re.compile(r"[|;\n][ \t\n]*")


def _powershell_looks(text: str) -> bool:
    if not re.match(r"[A-Za-z]+-[A-Za-z]+\b", text) or not text.isascii():
        return False
    at = 0
    while match := _PS_COMMAND.match(text, at):
        name = match[1].lower()
        if name not in _CMDLETS or ("{" in match[2] and name != "where-object"):
            return False
        at = match.end()
        if at == len(text):
            return True
        separator = _PS_SEPARATOR.match(text, at)
        if separator is None:
            return False
        at = separator.end()
    return False
