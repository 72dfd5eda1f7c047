"""Commands that only look, by an allow-list: what is not known to look is taken to change something.

A list of what changes things is never whole, least of all for what a model may write.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE

# Programs whose every option only reads, or writes to the terminal alone.
_READERS = (
    r"ls|dir|cat|zcat|type|head|tail|less|more|wc|uniq|cut|tr|diff|cmp|comm|file|stat|readlink|realpath|strings|od|xxd"
    r"|nl|fold|column|jq|z?grep|egrep|fgrep|findstr|select-string|rg|df|du|lsblk|ps|pgrep|pstree|top|htop|uptime"
    r"|free|vmstat"
    r"|iostat|mpstat|sar|nproc|lscpu|lsof|netstat|ping|tracert|traceroute|nslookup|dig|host|getent|id|who|whoami"
    r"|w|last"
    r"|groups|uname|printenv|locale|ulimit|quota|getfacl|getfattr|lsattr|md5sum|sha1sum|sha256sum"
    r"|cksum"
    r"|basename|dirname|expr|seq|true|tasklist|systeminfo|where|which|whereis|ipconfig|tnsping|lsnrctl\s+(?:status"
    r"|services)"
    r"|qstat|ipcs|errpt|lsps|svmon|oslevel|showmount|nfsstat|klist|hostname(?!\s+\S)|echo|printf"
    # With the options that clear, set, kill or write left out
    r"|dmesg(?!.*\s-(?:(?-i:[A-Za-z]*[cCDEn])|-(?:clear|read-clear|console)))|journalctl(?!.*\s--(?:vacuum|rotate|flush|sync|setup))"
    r"|ss(?!.*\s-(?:-kill|(?-i:[a-zA-Z]*K)))|date(?!.*\s(?:--?s|\d))|sort(?!.*\s-(?:-output|[a-z]*o))"
)
_VERBS = (
    # conman, composer, planman and optman (User's Guide 10.2.5)
    r"conman(?:\s+-\w+\s+\S+){0,4}\s+"
    r"[\"']?(?:s[ajcsdpruw]|ss|show\w*|disp(?:lay)?|df|dj|ds|list\w*|version|v|status|stat|help|info"
    r"|checkhealth\w*)(?![\w])"
    r"|composer(?:\s+-\w+\s+\S+){0,4}\s+[\"']?(?:disp(?:lay)?|di|list|l|print|pr|extract|ext|validate|val|version"
    r"|help)(?!\w)"
    r"|planman(?:\s+-\w+\s+\S+){0,4}\s+(?:showinfo|checksync)\b|optman\s+(?:ls|show)\b|rep(?:1|2|3|4a|4b|7|8|11"
    r"|tr)\b|evtsize\s+-show"
    r"|jobinfo|listproc|datecalc|cpuinfo|maestro\b|parms\s+\w+$|showuptime|ResourceCLI\s+-list|exportserverdata"
    r"|systemctl\s+(?:-\S+\s+)?(?:status|is-\w+|list-\w+|show|cat)\b|service\s+\S+\s+status\b"
    r"|/etc/init\.d/\S+\s+status\b"
    r"|chkconfig\s+--list|crontab\s+-l|at\s+-l|atq|schtasks\s+/query\b|sc\s+(?:query|qc)\w*\b|net\s+(?:statistics"
    r"|view)\b|net\s+accounts$"
    r"|wevtutil\s+qe|get-\w+|test-\w+|measure-object|where-object|select-object|sort-object"
    r"|format-(?:table|list|wide|custom|hex)"
    r"|docker\s+(?:ps|logs|inspect|images|stats|top|version|info)\b|podman\s+(?:ps|logs|inspect|images|stats)\b"
    r"|kubectl(?:\s+-\S+\s+\S+){0,2}\s+(?:get|describe|logs|top|explain|version|cluster-info)\b|oc\s+(?:get|describe"
    r"|logs|status)\b"
    r"|git\s+(?:log|status|diff|show|blame|branch$)|rpm\s+-q\w*|dpkg\s+-l|yum\s+(?:list|info)|lsmod|mount$|ip\s+(?:a"
    r"|addr|r|route|link)(?:\s+show)?$"
    r"|find(?!.*\s-(?:delete|exec|execdir|ok|fprint\w*|fls)\b)\s|awk(?!.*\b(?:system|print\s*>))\s|sed(?!.*(?:\s-\w*i"
    r"|\s--in-place|/w\s))\s"
    r"|nc\s+-\w*z|telnet\s+\S+\s+\d+$|openssl\s+(?:x509|s_client|version|verify)\b|keytool\s+-list\b"
    r"|curl(?!.*(?:\s-X(?!\s?GET\b)|\s--request(?![ =]GET\b)|\s-\w*[dFToO]\b|\s--(?:data|form|upload|output"
    r"|remote)\S*))\s|wget(?=.*\s--spider)\s"
    # Of databases and of the consoles of the mainframe
    r"|select\s(?!.*\binto\b)|with\s+\w+\s+as\s*\(\s*select|describe\s|desc\s|show\s|explain\s|db2\s+[\"']?(?:list"
    r"|get|describe|select)\b"
    r"|db2pd|tnsping|(?:tso\s+)?(?:listcat?|listc|listds|listd|lista?lc|listuser|lu|listgrp|lg|listdsd|rlist|search)\b"
    r"|d(?:isplay)?\s+(?:a|t|j|u|m|r|asm|d|iplinfo|ios|grs|wlm|xcf|smf|prog|omvs|net)(?:[,\s]|$)|/d\s+\w|\$d\s?\w"
    r"|sdsf\b|-dis\s"
    r"|get\s+(?:https?://|/)"
)
_LOOKS = re.compile(rf"(?:(?:{_READERS})(?=\s|$)|{_VERBS})", _I)
_PREFIX = re.compile(
    r"^(?:\s*(?:sudo(?:\s+-\w+(?:\s+\w+)?)?|time|nohup|nice|watch|env|\$|#|>|%|SQL>|TSO\s*>|cmd(?:\.exe)?\s+/c"
    r"|\w+=\S*)\s+)*",
    _I,
)
_PATH = re.compile(r"^(?:[A-Za-z]:)?(?:[\w.-]*[/\\])+(?=[\w-]+(?:\.exe)?(?:\s|$))|^\./")
_SQL = re.compile(r"\s*(?:SQL>\s*)?(?:select|with)\s(?!.*[$`])", _I)
_QUOTED = re.compile(r"\"[^\"\n]{0,1000}\"|'[^'\n]{0,1000}'")
_SPLIT = re.compile(r"&&?(?!\d)|\|\||[;|\n]")
_WRITES = re.compile(r"(?<![-=<])>(?!\s?(?:/dev/null|&\d|NUL\b))|\$\(|`|<\(")
_PLACEHOLDER = re.compile(r"<[\w -]{1,40}>|\{\w{1,40}\}")
_HARMLESS_REDIRECTION = re.compile(r"\d?>\s?(?:/dev/null|&\d|NUL\b)", _I)


def only_looks(command: str) -> bool:
    """Whether every part of ``command`` (of a pipeline, a list) is known to change nothing."""
    bare = _HARMLESS_REDIRECTION.sub("", _PLACEHOLDER.sub("x", command))
    if _WRITES.search(_QUOTED.sub("x", bare)) is not None and _SQL.match(bare) is None:
        return False
    # What is quoted is an argument, except where the whole of a command is.
    spans: list[str] = []

    def hide(match: re.Match[str]) -> str:
        spans.append(match[0])
        return f"\x00{len(spans) - 1}\x00"

    hidden = _QUOTED.sub(hide, bare)
    parts = [part for part in _SPLIT.split(hidden) if part.strip()]
    return bool(parts) and all(_looks(re.sub(r"\x00(\d+)\x00", lambda m: spans[int(m[1])], part)) for part in parts)


def _looks(part: str) -> bool:
    plain = _PATH.sub("", _PREFIX.sub("", part.strip(), count=1)).strip()
    plain = re.sub(r"^(\w+)\.exe\b", r"\1", plain, count=1, flags=_I)
    return _LOOKS.match(plain) is not None
