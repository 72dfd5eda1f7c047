"""The commands and statements that carry a password, for ``redact``: the meaning of an option depends on its program.

Programs and their options are data (``data/commands.json``). Nothing here backtracks over more than a bounded number of
characters; a test times every pattern on the text that is worst for it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND
from orchestrator.redaction.patterns import KEY
from orchestrator.redaction.values import Span

_I = re.IGNORECASE
_M = re.MULTILINE
_IM = _I | _M

_DATA: dict[str, Any] = json.loads((files("orchestrator.redaction") / "data" / "commands.json").read_bytes())

# Statements -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with a secret: its words (lower-case), the pattern that one of them begins, what stands before."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    head: re.Pattern[str] | None = None
    is_likely: bool = False
    """Taken only when the value looks like a password."""


def _statement(
    words: str, pattern: str, flags: int = _IM, *, head: str | None = None, likely: bool = False
) -> Statement:
    before = None if head is None else re.compile(rf"(?:{head})$", _IM)
    return Statement(tuple(words.split()), re.compile(pattern, flags), before, likely)


def _argument(name: str = "value") -> str:
    return rf"(?P<{name}>\"[^\"\r\n]{{1,400}}\"|'[^'\r\n]{{1,400}}'|[^\s\"']{{1,400}})"


_S = r"[ \t]{1,8}"
_FTP_COMMANDS = (
    r"(?:user|pass|open|get|put|cd|lcd|bin|binary|ascii|ebcdic|quit|close|mget|mput|locsite|site|type|mode|dir|ls|delete"
    r"|rename|append|sendsite|quote)\b"
)
# Up to the last @: there may be one in the password.
_LOGIN = (
    r"[A-Za-z]\w{0,30}/(?P<value>\\?\"[^\"\r\n]{1,128}\"|[^\s/\"']{1,128}(?=@)|[^\s/@\"']{1,128})(?=@|[\"']?\s|[\"']?$)"
)
STATEMENTS = (
    _statement("net", rf"\bnet{_S}user{_S}[\w.$-]{{1,64}}{_S}(?![/*]){_argument()}"),
    _statement(
        "net",
        rf"\bnet{_S}use{_S}(?:[A-Z*]:?{_S})?\\\\[^\s]{{1,200}}{_S}(?:/user:[^\s]{{1,80}}{_S}(?!/){_argument()}"
        rf"|(?!/){_argument('value2')}(?={_S}/user))",
    ),
    _statement("smbclient", rf"\bsmbclient{_S}//[^\s]{{1,200}}{_S}(?!-){_argument()}"),
    # Connect:Direct: SIGNON USERID=(user,password), SNODEID=(user,password,new password); VSE: SEC=(user,password)
    _statement(
        "userid snodeid pnodeid sec",
        r"\b(?:USERID|[SP]NODEID|SEC)[ \t]{0,4}=?[ \t]{0,4}\([ \t]{0,4}[\w@#$.\\-]{1,64}[ \t]{0,4},[ \t]{0,4}"
        r"(?P<value>[^)\r\n]{1,200})",
    ),
    _statement("userid", r"\buserid=[\"']?\w{1,31}/(?P<value>[^\s@\"',]{1,128})"),
    # RACF PHRASE('...'), with doubled quotes in it
    _statement("phrase", r"\bPHRASE\([ \t]{0,4}'(?P<value>(?>(?:[^'\r\n]|''){1,200}))"),
    # z/OS FTP: user and password in the line after the host's, or in two
    _statement(
        "//input //stdin //sysin",
        r"//(?:INPUT|STDIN|SYSIN)[ \t]{1,16}DD[ \t]{1,16}(?:\*|DATA\b)[^\r\n]{0,60}\r?\n"
        r"(?:(?!//)[\w.-]{1,80}(?:[ \t]{1,8}\d{1,5})?[ \t]{0,80}\r?\n)?[ \t]{0,8}"
        rf"(?!{_FTP_COMMANDS}|//)[\w.@#$\\-]{{1,64}}"
        r"(?:[ \t]{1,8}|[ \t]{0,80}\r?\n[ \t]{0,8})(?P<value>[^\s]{4,128})(?=[ \t]{0,80}\r?$)",
        likely=True,
    ),
    _statement(
        "user",
        rf"\buser{_S}[\w.@#$\\-]{{1,64}}{_S}(?P<value>[^\s]{{4,128}})(?=[ \t]{{0,80}}\r?$)",
        head=r"^[ \t]{0,16}|>[ \t]{0,8}|^quote[ \t]",
        likely=True,
    ),
    # ConvertTo-SecureString 'x' -AsPlainText; [System.Net.NetworkCredential]::new('user', 'x')
    _statement(
        "convertto-securestring", rf"\bConvertTo-SecureString{_S}(?:-\w{{1,12}}{_S}){{0,2}}(?![$-]){_argument()}"
    ),
    # and the auth=('user', 'x') of Python's requests
    _statement(
        "networkcredential pscredential httpbasicauth auth",
        r"\b(?:NetworkCredential|PSCredential|HTTPBasicAuth|auth=)(?:\]::new)?[ \t]{0,4}\([ \t]{0,4}"
        r"[\"'][^\"'\r\n]{1,80}[\"'][ \t]{0,4},[ \t]{0,4}[\"'](?P<value>[^\"'\r\n]{1,200})",
    ),
    # sftp> open user:x@host
    _statement(
        "open sftp ftp login connect lftp",
        rf"\b(?:open|l?s?ftp|login|connect){_S}[\w.-]{{1,64}}:(?P<value>[^\s/]{{1,128}})(?=@[\w.-]{{1,200}})",
    ),
    _statement(
        "lftp open ftp ftps",
        r"\b(?:lftp|open|ftps?)\b[^\r\n|;]{0,120}?[ \t](?:-u|--user)[ \t=]{0,4}[\"']?[\w.@-]{1,80},"
        r"(?P<value>[^\s\"',]{1,400})",
    ),
    # EXEC sp_addlogin 'user', 'x'; sp_password 'old', 'new'
    _statement(
        "sp_addlogin",
        rf"\bsp_addlogin{_S}N?'[^'\r\n]{{1,128}}'[ \t]{{0,4}},[ \t]{{0,4}}N?'(?P<value>[^'\r\n]{{1,128}})",
    ),
    _statement(
        "sp_password",
        rf"\bsp_password{_S}(?:N?'(?P<value>[^'\r\n]{{1,128}})'|null)"
        r"(?:[ \t]{0,4},[ \t]{0,4}N?'(?P<value2>[^'\r\n]{1,128})')?",
    ),
    _statement(
        "sp_addlinkedsrvlogin",
        rf"\bsp_addlinkedsrvlogin{_S}(?:(?:N?'[^'\r\n]{{1,128}}'|\w{{1,8}})[ \t]{{0,4}},[ \t]{{0,4}}){{4}}"
        r"N?'(?P<value>[^'\r\n]{1,128})",
    ),
    # Calls of login and connect with a user and a password, after a host or an address or not
    _statement(
        "connect login getconnection passwordauthentication ftp",
        r"\b(?:connect|login|getConnection|PasswordAuthentication|FTP)\((?:[\w.]{1,40},[ \t]{0,4}){0,2}"
        r"[\"'][^\"'\r\n]{1,200}[\"'],[ \t]{0,4}(?:[\w.]{1,40},[ \t]{0,4})?[\"'](?P<value>[^\"'\r\n]{1,128})[\"']"
        r"(?:,[ \t]{0,4}[\"'](?P<value2>[^\"'\r\n]{1,128})[\"'])?",
        likely=True,
    ),
    # conman altpass workstation#user;"x"
    _statement("altpass", r"\baltpass[ \t]{1,8}[^\s;\"']{1,120};[ \t]{0,4}[\"']?(?P<value>[^\s\"']{1,64})"),
    # ftp -s:script: a host, a user and a password, each in its line
    _statement(
        "open",
        rf"\bopen{_S}[\w.-]{{1,80}}[ \t]{{0,8}}\r?\n"
        rf"[ \t]{{0,8}}(?!{_FTP_COMMANDS})[\w.@#$\\-]{{1,64}}[ \t]{{0,8}}\r?\n"
        rf"[ \t]{{0,8}}(?!{_FTP_COMMANDS})(?P<value>[^\s]{{4,128}})(?=[ \t]{{0,80}}\r?$)",
        likely=True,
    ),
    # INSERT INTO users (login, password) VALUES ('u', 'x'): which of the values it is takes a parser, so all go
    _statement(
        "insert",
        rf"\binsert{_S}into{_S}[\w.\"\[\]]{{1,128}}\s{{0,8}}\((?=[^()]{{0,400}}{KEY}\b)[^()]{{1,800}}\)\s{{0,40}}"
        r"values\s{0,40}\((?P<value>[^\r\n]{1,2000})(?=\))",
    ),
    # CICS sign-on: CESN USERID=u,PS=x,NEWPS=y
    _statement("cesn cesl cssn", r"\bC[ES]S[NL]\b[^\r\n]{0,80}?\bPS=(?P<value>[^\s,]{1,64})"),
    _statement("/sign", rf"/SIGN(?:{_S}ON)?{_S}\w{{1,8}}{_S}(?P<value>[^\s]{{4,100}})", likely=True),
    # Oracle wallet: mkstore -createCredential db user password, -createEntry name password
    _statement(
        "createcredential modifycredential createusercredential modifyusercredential",
        rf"(?:create|modify)(?:User)?Credential{_S}[^\s]{{1,200}}{_S}[^\s]{{1,80}}{_S}{_argument()}",
    ),
    _statement("createentry modifyentry", rf"(?:create|modify)Entry{_S}[^\s]{{1,200}}{_S}{_argument()}"),
    # sqlplus scott/tiger@db, jdbc:oracle:thin:scott/tiger@
    _statement(
        "sqlplus sqlcl rman expdp impdp sqlldr dgmgrl",
        rf"\b\w{{4,8}}{_S}(?:(?:target|catalog|auxiliary)[ \t=]{{1,8}})?(?:-\w{{1,8}}{_S}){{0,4}}[\"']?{_LOGIN}",
    ),
    _statement("conn connect", rf"\bconn(?:ect)?{_S}[\"']?{_LOGIN}", head=r"^[ \t+$#%]{0,16}|[>;|&(\"'][ \t]{0,8}"),
    _statement("exp imp", rf"\b(?:exp|imp){_S}[A-Za-z]\w{{0,30}}/(?P<value>[^\s/@\"']{{1,128}})(?=@|{_S}\w{{1,20}}=)"),
    _statement("jdbc", r"\bjdbc:oracle:\w{1,8}:\w{1,31}/(?P<value>[^\s\"'/]{1,128})(?=@)"),
    _statement("parm", r"\bPARM(?:=\(?|\()'[\w@#$]{1,8}/(?P<value>[^'/\s]{4,64})'", likely=True),
    # IDENTIFIED BY x REPLACE y; CONNECT TO db USER x USING y; TSO LOGON user/old/new; FTP PASS x
    _statement(
        "identified",
        rf"\bidentified{_S}by{_S}(?:values{_S})?(?!\*){_argument()}(?:{_S}replace{_S}{_argument('value2')})?",
        head=r"\b(?:user|role|to|connect)[ \t]{1,8}[\w\".:#$@%'-]{1,60}\s{1,40}|^[ \t]{0,40}",
    ),
    _statement(
        "connect attach",
        rf"\b(?:connect|attach)(?:{_S}to)?(?:{_S}[\w\"]{{1,40}})?{_S}user{_S}[\w\"'.\\-]{{1,60}}{_S}using{_S}{_argument()}",
    ),
    _statement(
        "logon",
        rf"\bLOGON{_S}(?:APPLID(?:\([^)\r\n]{{1,20}}\)|=\w{{1,16}}){_S})?(?:DATA[=(])?[A-Z0-9@#$]{{1,8}}/"
        r"(?P<value>[^\s/,)]{1,40})(?:/(?P<value2>[^\s/,)]{1,40}))?",
        0,
    ),
    _statement("logon", rf"\bLOGON{_S}[\w./-]{{1,80}},(?P<value>[^\s;]{{1,80}})"),
    # chpasswd <<< user:x, passwd --stdin user <<< x, htpasswd -b file user x
    _statement(
        "<<<",
        r"<<<[ \t]{0,4}[\"']?(?:[\w.-]{1,64}:)?(?![$\"'])(?P<value>[^\s\"']{1,200})",
        head=r"\b(?:(?:ch)?passwd|kinit|su|sudo|read)\b[^\r\n<]{0,80}",
    ),
    _statement(
        "htpasswd",
        rf"\bhtpasswd{_S}-(?:\w{{0,4}}b\w{{0,4}}{_S}(?:(?<=nb )|(?<=nbB )|(?<=bn )|[^\s]{{1,200}}{_S}))"
        rf"[\w.-]{{1,64}}{_S}{_argument()}",
    ),
    _statement(
        "rabbitmqctl",
        rf"\brabbitmqctl{_S}(?:-[^\s]{{1,40}}{_S}){{0,3}}(?:add_user|change_password){_S}[^\s]{{1,80}}{_S}{_argument()}",
    ),
    _statement(
        "hdbuserstore",
        rf"\bhdbuserstore{_S}(?:-\w{{1,4}}{_S}){{0,3}}set{_S}[^\s]{{1,80}}{_S}[^\s]{{1,80}}{_S}[^\s]{{1,80}}{_S}{_argument()}",
    ),
    _statement(
        "isql iusql", rf"\bi?u?sql{_S}[\w.-]{{1,64}}{_S}[\w.-]{{1,64}}{_S}(?P<value>[^\s-][^\s]{{3,128}})", likely=True
    ),
    _statement("alias", rf"\balias{_S}set{_S}[^\s]{{1,80}}{_S}[^\s]{{1,200}}{_S}[^\s]{{1,80}}{_S}{_argument()}"),
    _statement("vault", rf"\bvault{_S}login{_S}(?P<value>[^\s=-][^\s=]{{4,200}})", likely=True),
    _statement("passwd", rf"\bpasswd{_S}[\w.-]{{1,64}}{_S}(?P<value>[^\s]{{4,128}})(?=[ \t]{{0,80}}\r?$)", likely=True),
    # MOVE 'x' TO WS-SENHA
    _statement(
        "move",
        rf"\bMOVE{_S}(?P<quote>['\"])(?P<value>[^'\"\r\n]{{1,128}})(?=(?P=quote)\s{{1,40}}TO\s{{1,40}}[\w-]{{0,30}}?{KEY})",
    ),
    # SMTP: "334 UGFzc3dvcmQ6" asks for the password, in base64
    _statement("ugfzc3dvcmq6", r"UGFzc3dvcmQ6[^\r\n]{0,20}\r?\n[ \t<>]{0,8}(?P<value>[A-Za-z0-9+/=]{4,400})", 0),
    _statement(
        "echo printf",
        rf"\b(?:echo|printf){_S}(?:-\w{_S}|[\"']?%s(?:\\n)?[\"']?{_S})?"
        rf"(?:[\"']?[\w.-]{{1,40}}:(?=[^\s|]{{1,200}}[ \t]{{0,8}}\|[ \t]{{0,8}}chpasswd))?{_argument()}"
        rf"(?=[ \t]{{0,8}}\|[ \t]{{0,8}}(?:sudo{_S}-S|(?:ch)?passwd|su\b|(?:docker|podman) login|kinit|openssl|gpg))",
        0,
    ),
    # expect: send "x\r"
    _statement("send", rf"\bsend(?:{_S}--)?{_S}[\"'](?P<value>[^\s\"'\\]{{4,200}})(?=\\[rn])", likely=True),
    # Redis AUTH, requirepass; SMTP AUTH PLAIN
    _statement(
        "auth",
        rf"\bAUTH{_S}(?:(?:PLAIN|LOGIN){_S}|[\w.-]{{1,40}}{_S}(?=[^\s]{{6}}))?(?P<value>[^\s\"']{{6,400}})",
        0,
        likely=True,
    ),
    _statement("requirepass masterauth", rf"\b(?:requirepass|masterauth){_S}(?P<value>[^\s]{{4,400}})", likely=True),
)
# /pass:x, /password:x; cmdkey /u:user /p:x; schtasks /ru user /rp x
SLASH_OPTION = re.compile(
    rf"/(?:(?i:pass|password|pwd|senha|pw)[:=](?!/){_argument()}"
    rf"|(?i:rp)[ \t:]{{1,8}}(?!/){_argument('value2')}"
    rf"|(?i:p)[: ][ \t]{{0,8}}(?!/){_argument('value3')})"
)
SLASH_USER = re.compile(r"(?<![\w/])/r?u(?:ser)?[: ][ \t]{0,8}[^\s/][^\s]{0,80}[ \t]{1,8}$", _I)
# .pgpass: host:port:database:user:password
PGPASS = re.compile(r":(?:5432|\*):[\w*-]{1,63}:[\w*-]{1,63}:(?P<value>[^\s]{1,200})(?=[ \t]{0,80}\r?$)", _M)
PGPASS_HEAD = re.compile(r"^[\w.*-]{1,200}$", _M)
OPENSSL_PASS = re.compile(r"pass:(?!\[)(?P<value>[^\s\"']{1,200})")
# A login in a message: user/password before the service, user:password before the host.
AT_HOST = re.compile(r"@(?=[A-Za-z])")
LOGIN_HEAD = re.compile(
    r"(?:(?<![\w/.@:-])[A-Za-z]\w{0,30}/(?P<value>[^\s/\"'.]{4,64})|(?<![^\s\"'=/(])[A-Za-z][\w.\\/-]{0,40}:(?P<value2>[^\s/\"':]{4,64}))$"
)
SERVICE = re.compile(r"@[A-Za-z]\w{1,30}(?![\w.@/-])")

# Options --------------------------------------------------------------------------------------------------------------

OPTION_HINT = re.compile(r" --?[A-Za-z]|[\"'],[ \t]{0,4}[\"']--?[A-Za-z]")
# ['mysql', '-u', 'op'], as programs write a command that failed.
_LISTED_OPTION = re.compile(r"[\"'],[ \t]{0,4}[\"']-|\[[^\[\]\r\n]{1,400}, -")
_QUOTED_COMMAND = re.compile(r"[^\s\"']{0,60}([\"'])(?P<command>[^\"']{1,60} -[^\"']{1,2000})\1[^\s\"']{0,8}")
_LIST_SIGNS = re.compile(r"[\"']?,[ \t]{0,4}[\"']|, |[\[(](?:[ \t]{0,4}[\"'])?|(?:[\"'][ \t]{0,4})?[\])]")
_TOKEN = re.compile(r"(?>\"[^\"\r\n]*\"?|'[^'\r\n]*'?|\\[^\r\n]|[^\s\"'`|;&\\])+|[`|;&]{1,2}")
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_PROGRAMS: dict[str, dict[str, Any]] = _DATA["programs"]
_USERS = frozenset(_DATA["users"])
_HARMLESS = frozenset(_DATA["harmless"])
_MAX_TOKENS = 400
# With no program known: -p and a word that is neither a number, a path, another option nor a job log's code.
_NO_PASSWORD = re.compile(
    rf"\d{{1,20}}(?![^\s,;]*[A-Za-z])|\d[\d.:-]{{0,30}}$|[/.~-]|\[|{SYSTEM_ABEND}\b|{USER_ABEND}\b|\d{{1,5}}:\d{{1,5}}\b"
)


def option_values(line: str) -> Iterator[Span]:
    """Where the options' passwords stand in a command line."""
    if _LISTED_OPTION.search(line) is not None:
        line = _LIST_SIGNS.sub(lambda match: " " * len(match[0]), line)
    command = _Command()
    for match in islice(_TOKEN.finditer(line), _MAX_TOKENS):
        if match[0][0] in "`|;&":
            command = _Command()
        elif (quoted := _QUOTED_COMMAND.fullmatch(match[0])) is not None:
            # Command 'mysql -uop -px' returned non-zero exit status 1
            start = match.start() + quoted.start("command")
            yield from ((start + first, start + last) for first, last in option_values(quoted["command"]))
        elif (span := command.read(line, *match.span())) is not None:
            yield span


@dataclass(slots=True)
class _Command:
    """A command as far as it was read."""

    program: str = ""
    options: dict[str, Any] | None = None
    """What is known of the program's options."""
    has_user: bool = False
    before: str = ""
    """The word before, in lower case."""
    awaited: str = ""
    """The kind of value that the option before takes."""

    def read(self, line: str, start: int, end: int) -> Span | None:
        """Read the next word; where the password in it stands."""
        token = line[start:end]
        kind, self.awaited = self.awaited, ""
        if kind and token[0] != "-" and (span := _value(line, start, end, kind, self.options or {})) is not None:
            return span
        if token[0] == "-":
            return self._option(line, start, end)
        word = token.strip("\"'$(").rsplit("/", 1)[-1].rsplit("\\", 1)[-1].lower()
        name = next((name for name in (f"{self.before} {word}", word) if name in _PROGRAMS), "")
        if name:
            self.program, self.options = name, _PROGRAMS[name]
        elif word in _HARMLESS and self.options is None:
            self.program = word
        self.before = word
        return None

    def _option(self, line: str, start: int, end: int) -> Span | None:
        token = line[start:end]
        option = _OPTION.match(token)
        if option is None:
            return None
        self.has_user = self.has_user or option[0] in _USERS or token[:2] in ("-U", "-u")
        kind = self._kind(option[0])
        if kind and option[0] == token:
            self.awaited = kind
            return None
        if kind and token[option.end()] in "=:":
            return _value(line, start + option.end() + 1, end, kind, self.options or {})
        return _glued(line, start, end, self.options or {})

    def _kind(self, option: str) -> str:
        if self.options is not None:
            pair = self.options.get("pair", ())
            if option in pair or (option[:2] != "--" and option[-1:] == "u" and "-u" in pair):
                return "pair"
            is_secret = option in self.options.get("secret", ()) or option in self.options.get("glued", ())
            return "secret" if is_secret else ""
        if self.program in _HARMLESS:
            return ""
        if option in ("-u", "-U", "--user", "--proxy-user", "-auth"):
            return "pair"
        return "bare" if option == "-p" or (self.has_user and option in ("-P", "-w", "-a")) else ""


def _value(line: str, start: int, end: int, kind: str, spec: dict[str, Any]) -> Span | None:
    quoted = end - start > 2 and line[start] in "\"'" and line[end - 1] == line[start]
    if quoted:
        start, end = start + 1, end - 1
    token = line[start:end]
    if not token or token.startswith(("[REDACTED", "$", "-")):
        return None
    if kind == "pair":
        return _after_separator(token, start, spec.get("separators", ":%"))
    if kind == "bare" and not quoted and (_NO_PASSWORD.match(token) is not None or len(token) < 2):
        return None
    if re.fullmatch(r"\d{1,5}:\d{1,5}", token):
        return None
    return start, end


def _after_separator(token: str, start: int, separators: str) -> Span | None:
    places = [place for separator in separators if (place := token.find(separator)) > 0]
    if not places or re.match(r"\d{1,6}:\d{1,6}\b|[\w+.-]+://", token):
        return None
    value = start + min(places) + 1
    return (value, start + len(token)) if value < start + len(token) else None


def _glued(line: str, start: int, end: int, spec: dict[str, Any]) -> Span | None:
    token = line[start:end]
    for option in spec.get("glued", ()):
        rest = token[len(option) :]
        if token.startswith(option) and len(rest) > 1 and not rest.startswith(("[", "rotocol", "ort", "lugin", "=")):
            if option in spec.get("pair", ()):
                return _after_separator(rest, start + len(option), ":%")
            quoted = rest[0] in "\"'" and rest[-1] == rest[0] and len(rest) > 2
            return (start + len(option) + 1, end - 1) if quoted else (start + len(option), end)
    for option in spec.get("pair", ()):
        rest = token[len(option) :]
        if len(option) == 2 and token.startswith(option) and rest:
            return _after_separator(rest.strip("\"'"), start + len(option), spec.get("separators", ":%"))
    return None
