"""The commands and statements that carry a password, for ``redact``: the meaning of an option depends on its program.

Nothing here backtracks over more than a bounded number of characters; a test feeds each pattern its worst text.
"""

import re

from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND
from orchestrator.redaction.patterns import KEY, LONG_KEY

_I = re.IGNORECASE
_M = re.MULTILINE
_IM = _I | _M

_ARGUMENT = r"(?:\"[^\"\r\n]{1,400}\"|'[^'\r\n]{1,400}'|[^\s\"']{1,400})"
COMMAND_SECRETS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    # --password x, -password x, -pw x, --api-key x, -storepass x
    (
        ("-",),
        re.compile(
            rf"(?P<head>(?<![\w-])--?(?:[\w.]{{1,20}}-){{0,3}}(?:{LONG_KEY}|pass|pwd|pw|storepass|keypass|authpass|userpass|passin|"
            rf"passout|bindpw|newpass)(?:[ \t]{{1,8}}|=))(?!-){_ARGUMENT}",
            _IM,
        ),
    ),
    # cmdkey /pass:x, /password:x, /p:x; schtasks /ru user /rp x; net user name x
    (
        ("pass:", "password:", "pwd:", " /p", " /rp"),
        re.compile(
            r"(?P<head>(?<![\w/])(?:/(?:pass|password|pwd):"
            r"|/r?u(?:ser)?[: ][ \t]{0,8}[^\s/][^\s]{0,80}[ \t]{1,8}/r?p[: ][ \t]{0,8}))"
            rf"(?!/){_ARGUMENT}",
            _IM,
        ),
    ),
    (
        ("net user",),
        re.compile(rf"(?P<head>\bnet[ \t]{{1,4}}user[ \t]{{1,4}}[\w.$-]{{1,64}}[ \t]{{1,4}})(?![/*]){_ARGUMENT}", _IM),
    ),
    # curl -u user:password, --user, --proxy-user; smbclient -U domain/user%password; docker run -u 1000:1000 is none
    (
        ("-u", "--user", "--proxy-user"),
        re.compile(
            r"(?P<head>(?<![\w-])(?:-u|--user|--proxy-user|-U)[ =]{0,4}(?!\d{1,6}:\d{1,6}\b)"
            r"(?:(?P<quote>[\"'])[\w.@\\/-]{1,80}[:%](?=[^\"'\r\n]{1,400}(?P=quote))|[\"']?[\w.@\\/-]{1,80}[:%]))"
            r"(?(quote)[^\"'\r\n]{1,400}|[^\s\"']{1,400})"
        ),
    ),
    (
        ("curl",),
        re.compile(
            r"(?P<head>\bcurl\b[^\r\n|;]{0,300}?[ \t]-[A-Za-z]{1,8}u[ \t]{1,4}[\"']?[\w.@\\-]{1,80}:)"
            r"[^\s\"']{1,400}"
        ),
    ),
    # lftp -u user,password; open -u user,password host
    (
        ("lftp", "open", "ftp"),
        re.compile(
            r"(?P<head>\b(?:lftp|open|ftps?)\b[^\r\n|;]{0,120}?[ \t](?:-u|--user)[ \t=]{0,4}[\"']?[\w.@-]{1,80},)"
            r"[^\s\"',]{1,400}"
        ),
    ),
    # Connect:Direct: SIGNON USERID=(user,password), SNODEID=(user,password,new password)
    (
        ("userid", "nodeid"),
        re.compile(
            r"(?P<head>\b(?:USERID|[SP]NODEID)[ \t]{0,4}=?[ \t]{0,4}\([ \t]{0,4}[\w@#$.\\-]{1,64}"
            r"[ \t]{0,4},[ \t]{0,4})[^)\r\n]{1,200}",
            _I,
        ),
    ),
    # RACF PHRASE('...'), with doubled quotes in it
    (
        ("phrase(",),
        re.compile(r"(?P<head>\bPHRASE\([ \t]{0,4}')(?>(?:[^'\r\n]|''){1,200})", _I),
    ),
    # z/OS FTP: the line after the host's is user and password
    (
        ("//input",),
        re.compile(
            r"(?P<head>^//INPUT[ \t]{1,16}DD[ \t]{1,16}(?:\*|DATA\b)[^\r\n]{0,60}\r?\n[^\r\n]{1,120}\r?\n"
            r"[ \t]{0,8}(?!USER\b)[\w.@#$\\-]{1,64}[ \t]{1,8})[^\s]{1,128}(?=[ \t]{0,80}\r?$)",
            _M,
        ),
    ),
    # ConvertTo-SecureString 'x' -AsPlainText; [System.Net.NetworkCredential]::new('user', 'x')
    (
        ("securestring",),
        re.compile(r"(?P<head>\bConvertTo-SecureString[ \t]{1,4}(?:-\w{1,12}[ \t]{1,4}){0,2})(?![$-])" + _ARGUMENT, _I),
    ),
    # and the auth=('user', 'x') of Python's requests
    (
        ("networkcredential", "pscredential", "httpbasicauth", "auth="),
        re.compile(
            r"(?P<head>\b(?:NetworkCredential|PSCredential|HTTPBasicAuth|auth=)(?:\]::new)?[ \t]{0,4}\("
            r"[ \t]{0,4}[\"'][^\"'\r\n]{1,80}[\"'][ \t]{0,4},[ \t]{0,4}[\"'])[^\"'\r\n]{1,200}",
            _I,
        ),
    ),
    # sftp> open user:x@host
    (
        ("open", "ftp", "login", "connect"),
        re.compile(
            r"(?P<head>\b(?:open|sftp|ftp|login|connect)[ \t]{1,4}[\w.-]{1,64}:)"
            r"[^\s@/]{1,128}(?=@[\w.-]{1,200})",
            _I,
        ),
    ),
    # EXEC sp_addlogin 'user', 'x'; sp_password 'old', 'new'
    (
        ("sp_addlogin",),
        re.compile(r"(?P<head>\bsp_addlogin[ \t]{1,4}N?'[^'\r\n]{1,128}'[ \t]{0,4},[ \t]{0,4}N?')[^'\r\n]{1,128}", _I),
    ),
    (
        ("sp_password",),
        re.compile(
            r"(?P<head>\bsp_password[ \t]{1,4})(?:N?'[^'\r\n]{1,128}'|null)"
            r"(?:[ \t]{0,4},[ \t]{0,4}N?'[^'\r\n]{1,128}')?",
            _I,
        ),
    ),
    # INSERT INTO users (login, password) VALUES ('u', 'x'): which of the values it is takes a parser, so all go
    (
        ("insert",),
        re.compile(
            rf"(?P<head>\binsert[ \t]{{1,4}}into[ \t]{{1,4}}[\w.\"\[\]]{{1,128}}\s{{0,8}}\("
            rf"(?=[^()]{{0,400}}{KEY})[^()]{{1,800}}\)\s{{0,40}}"
            r"values\s{0,40}\()[^\r\n]{1,2000}(?=\))",
            _I,
        ),
    ),
    # CICS sign-on: CESN USERID=u,PS=x
    (
        ("cesn", "cesl"),
        re.compile(r"(?P<head>\bCES[NL]\b[^\r\n]{0,80}\bPS=)[^\s,]{1,64}"),
    ),
    # Oracle wallet: mkstore -createCredential db user password, -createEntry name password
    (
        ("credential ",),
        re.compile(
            r"(?P<head>-(?:create|modify)(?:User)?Credential[ \t]{1,4}[^\s]{1,200}[ \t]{1,4}[^\s]{1,80}[ \t]{1,4})"
            rf"{_ARGUMENT}",
            _I,
        ),
    ),
    (
        ("entry ",),
        re.compile(rf"(?P<head>-(?:create|modify)Entry[ \t]{{1,4}}[^\s]{{1,200}}[ \t]{{1,4}}){_ARGUMENT}", _I),
    ),
    # sqlplus scott/tiger@db, jdbc:oracle:thin:scott/tiger@, userid=scott/tiger
    (
        ("sqlplus", "rman", "expdp", "impdp", "sqlldr", "conn"),
        re.compile(
            r"(?P<head>(?:\b(?:sqlplus|rman|expdp|impdp|sqlldr)|(?:^|[>;])[ \t]{0,8}conn(?:ect)?)[ \t]{1,8}"
            r"(?:(?:target|catalog|auxiliary)[ \t]{1,8})?"
            r"(?:-\w{1,8}[ \t]{1,8}){0,4}[\"']?"
            r"[A-Za-z]\w{0,30}/)(?:\\?\"[^\"\r\n]{1,128}\"|[^\s/@\"']{1,128})(?=@|[\"']?\s|[\"']?$)",
            _IM,
        ),
    ),
    (
        ("exp", "imp"),
        re.compile(
            r"(?P<head>\b(?:exp|imp)[ \t]{1,8}[A-Za-z]\w{0,30}/)[^\s/@\"']{1,128}(?=@|[ \t]{1,8}\w{1,20}=)", _IM
        ),
    ),
    (
        ("jdbc:oracle",),
        re.compile(r"(?P<head>\bjdbc:oracle:\w{1,8}:\w{1,31}/)[^\s@\"']{1,128}(?=@)", _IM),
    ),
    (
        ("userid",),
        re.compile(r"(?P<head>\buserid=[\"']?\w{1,31}/)[^\s@\"',]{1,128}", _IM),
    ),
    # IDENTIFIED BY x; CONNECT TO db USER x USING y; TSO LOGON user/password; FTP PASS x
    (
        ("identified",),
        re.compile(
            rf"(?P<head>(?:\b(?:user|role|to)[ \t]{{1,8}}[\w\".#$@%'-]{{1,60}}\s{{1,40}}|^[ \t]{{0,40}})"
            rf"identified[ \t]{{1,8}}by[ \t]{{1,8}}(?:values[ \t]{{1,8}})?){_ARGUMENT}",
            _IM,
        ),
    ),
    (
        ("replace",),
        re.compile(
            r"(?P<head>\bidentified[ \t]{1,8}by[ \t]{1,8}\[REDACTED\][ \t]{1,8}replace[ \t]{1,8})"
            rf"{_ARGUMENT}",
            _I,
        ),
    ),
    (
        ("using",),
        re.compile(
            rf"(?P<head>\b(?:connect|attach)[ \t]{{1,8}}to[ \t]{{1,8}}[\w\"]{{1,40}}[ \t]{{1,8}}user[ \t]{{1,8}}"
            rf"[\w\"'.\\-]{{1,60}}[ \t]{{1,8}}using[ \t]{{1,8}}){_ARGUMENT}",
            _IM,
        ),
    ),
    (
        ("logon",),
        re.compile(
            r"(?P<head>\bLOGON[ \t]{1,8}(?:APPLID(?:\([^)\r\n]{1,20}\)|=\w{1,16})[ \t]{1,8})?"
            r"(?:DATA[=(])?[A-Z0-9@#$]{1,8}/)[^\s/,]{1,40}"
        ),
    ),
    (
        (".logon",),
        re.compile(r"(?P<head>\.LOGON[ \t]{1,8}[\w./-]{1,80},)[^\s;]{1,80}", _IM),
    ),
    (
        ("pass",),
        re.compile(
            r"(?P<head>(?:^[^\r\n>]{0,80}>[ \t]{0,8}|^[ \t]{0,8}USER[ \t]{1,4}[^\s]{1,60}\r?\n[ \t]{0,8})"
            r"PASS[ \t]{1,4})(?!\[)[^\s]{1,200}(?=[ \t]*\r?$)",
            _M,
        ),
    ),
    # chpasswd <<< user:x, passwd --stdin user <<< x, htpasswd -b file user x
    (
        ("<<<",),
        re.compile(
            r"(?P<head>\b(?:ch)?passwd\b[^\r\n<]{0,80}<<<[ \t]{0,4}[\"']?(?:[\w.-]{1,64}:)?)(?![$\"'])[^\s\"']{1,200}"
        ),
    ),
    (
        ("htpasswd",),
        re.compile(
            r"(?P<head>\bhtpasswd[ \t]{1,4}-\w{0,4}b\w{0,4}[ \t]{1,4}[^\s]{1,200}[ \t]{1,4}[\w.-]{1,64}[ \t]{1,4})"
            rf"{_ARGUMENT}"
        ),
    ),
    # openssl enc -k x; snmpget -c community, -A x -X x
    (
        ("openssl",),
        re.compile(rf"(?P<head>\bopenssl\b[^\r\n|;]{{0,200}}?[ \t]-k[ \t]{{1,4}})(?!-){_ARGUMENT}"),
    ),
    (
        ("snmp",),
        re.compile(rf"(?P<head>\bsnmp\w{{1,10}}[ \t][^\r\n|;]{{0,200}}?[ \t]-[cAX][ \t]{{1,4}})(?![-\[]){_ARGUMENT}"),
    ),
    # MOVE 'x' TO WS-SENHA
    (
        ("move",),
        re.compile(
            rf"(?P<head>\bMOVE[ \t]{{1,8}}['\"])[^'\"\r\n]{{1,128}}(?=['\"]\s{{1,40}}TO\s{{1,40}}[\w-]{{0,30}}{KEY})",
            _I,
        ),
    ),
    # SMTP: "334 UGFzc3dvcmQ6" asks for the password, in base64
    (
        ("ugfzc3dvcmq6",),
        re.compile(r"(?P<head>UGFzc3dvcmQ6[^\r\n]{0,20}\r?\n[ \t<>]{0,8})[A-Za-z0-9+/=]{4,400}"),
    ),
    # .pgpass: host:port:database:user:password
    (
        (":5432:", ":*:"),
        re.compile(r"(?P<head>^[\w.*-]{1,200}:(?:5432|\*):[\w*-]{1,63}:[\w*-]{1,63}:)[^\s]{1,200}(?=[ \t]*\r?$)", _M),
    ),
    (
        ("echo", "printf"),
        re.compile(
            rf"(?P<head>\b(?:echo|printf)[ \t]{{1,8}})(?:-\w[ \t]{{1,4}})?{_ARGUMENT}"
            r"(?=[ \t]{0,8}\|[ \t]{0,8}(?:sudo[ \t]{1,4}-S|passwd|chpasswd|su\b|docker login|kinit))"
        ),
    ),
    (
        ("net use",),
        re.compile(
            rf"(?P<head>\bnet[ \t]{{1,4}}use[ \t]{{1,4}}(?:[A-Z]:[ \t]{{1,4}})?\\\\[^\s]{{1,200}}[ \t]{{1,4}})"
            rf"(?!/){_ARGUMENT}"
            r"(?=[ \t]{1,4}/user)",
            _IM,
        ),
    ),
    (
        ("pass:",),
        re.compile(r"(?P<head>\bpass:)(?!\[)[^\s\"']{1,200}"),
    ),
)
"""Cheap words (lower-case) one of which is in every text that the pattern beside them can match, and the pattern."""

LIKELY_SECRETS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    # expect: send "x\r"
    (("send",), re.compile(r"(?P<head>\bsend(?:[ \t]{1,4}--)?[ \t]{1,4}[\"'])(?P<value>[^\s\"'\\]{4,200})(?=\\[rn])")),
    # a login of Oracle in a message: its user and password before the service's name
    (
        ("@",),
        re.compile(
            r"(?P<head>(?<![\w/.@:-])[A-Za-z]\w{0,30}/)(?P<value>[^\s/@\"'.]{4,64})(?=@[A-Za-z]\w{1,30}(?![\w.@/-]))"
        ),
    ),
    # Redis AUTH, requirepass; SMTP AUTH PLAIN
    (("auth",), re.compile(r"(?P<head>\bAUTH[ \t]{1,4}(?:(?:PLAIN|LOGIN)[ \t]{1,4})?)(?P<value>[^\s\"']{6,400})")),
    (("requirepass",), re.compile(r"(?P<head>\brequirepass[ \t]{1,4})(?P<value>[^\s]{4,400})", _I)),
)
"""As above; taken only when the ``value`` looks like a password."""

PASSWORD_PROGRAM = re.compile(
    r"(?:\b(?:mysql\w*|mariadb\w*|sshpass|mongo\w*|docker[ \t]+login|podman[ \t]+login|helm[ \t]+\w+[ \t]+login"
    r"|sqlcmd|bcp|isql|ldap\w+|redis-cli|zip|unzip|7za?|plink|pscp|htpasswd|ipmitool|rabbitmqadmin|xfreerdp|winexe|lftp"
    r"|az[ \t]+login|oc[ \t]+login|conman|composer|planman|optman|twsinst\w*|wsadmin\w*|startappserver|dataexport)\b"
    r"|[ \t](?:-u|-U|--user(?:name)?|-username|-user)[ =]?[\w.@\\\"'-])"
)
SHORT_PASSWORD_FLAG = re.compile(
    r"(?P<head>(?<![\w-])-[pPwa](?:[ \t]{1,8}|=)[\"']?)(?![-\s\[]|\d{1,5}:\d{1,5}\b)[^\s\"']{2,200}(?:[\"'](?=\s|$))?"
)
# Glued to its flag: -phunter2. Other programs have options that begin with these letters.
GLUED_PASSWORD = re.compile(
    r"(?P<head>\b(?:mysql\w*|mariadb\w*|sshpass|7za?|isql|sqlcmd|bcp)\b[^\r\n|;]{0,300}?[ \t]-[pP])"
    r"(?![\s\[]|rotocol|ort\b|lugin)(?:\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|[^\s\"']{2,200})"
)
HARMLESS_PROGRAM = re.compile(
    r"\b(?:mkdir|cp|ssh|scp|sftp|ps|tar|install|rsync|nc|ncat|docker|podman|compose|touch|netstat|ss|iptables|pgrep|kill|java|"
    r"javac|make|cmake|pip3?|pytest|tee|read|perl|python3?|git|lsof|nmap|grep|sort|sed|patch|gpg|tail|systemctl|pv|rm|ln|cd|"
    r"test|umount|mount|df|du|lp|lpr|pax|cpio|uname|export|declare|set|celery|redis-server|mv|chmod|chown|find|xargs|node)\b"
)
# With no program known: -p and a word that is neither a number, a path, another option nor a job log's code.
BARE_P_FLAG = re.compile(
    r"(?P<head>(?<![\w-])-p(?:[ \t]{1,8}|=))(?!\d+(?:\s|$)|\d{1,5}:\d{1,5}\b|[/.~-]|\["
    rf"|{SYSTEM_ABEND}\b|{USER_ABEND}\b)"
    r"[^\s]{2,200}"
)
