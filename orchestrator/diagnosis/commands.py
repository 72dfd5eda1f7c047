"""Recognises commands that would change TWS or data and marks them as proposals with a risk; nothing is executed."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from orchestrator.i18n.languages import Language
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Action

Risk = Literal["none", "low", "medium", "high"]
_ORDER: tuple[Risk, ...] = ("none", "low", "medium", "high")
_RISK_WORDS: dict[Risk, Message] = {
    "none": Message("none", context="risk"),
    "low": Message("low", context="risk"),
    "medium": Message("medium", context="risk"),
    "high": Message("high", context="risk"),
}
_I = re.IGNORECASE

# conman, composer and planman commands and their short forms (User's Guide 10.2.5, "Managing objects in the plan").
_CONMAN = (
    r"adddep|altjob|altpass|altpri|ap|aj|bulk_?discovery|cancel|cj|cs|confirm|deldep|deploy(?:conf)?|fence|kill|kj"
    r"|limit"
    r"|lc|link|lk|release|rj|rs|reply|rerun|rr|resetfta|resource|shutdown|start\w*|stop\w*|submit|sbd|sbj|sbs"
    r"|switch(?:evtp|mgr)|unlink|undeploy"
)
_HIGH_COMMANDS = re.compile(
    r"(?:\bconman(?:\.exe)?(?:\s+-\w+\s+\S+){0,4}\s+[\"']?(?:cancel|cj|cs|kill|kj|shutdown|stop|switch(?:mgr|evtp)"
    r"|resetfta)\b"
    r"|\b(?:ResetPlan|JnextPlan|planman(?:\s+-\w+\s+\S+){0,4}\s+(?:deploy|unlink|crt|resync|reset))\b"
    r"|\bcomposer(?:\.exe)?(?:\s+-\w+\s+\S+){0,4}\s+[\"']?(?:del(?:ete)?|rep(?:lace)?|ren(?:ame)?)\b"
    r"|\b(?:DELETE|PUT|PATCH)\s+(?:https?://|/)"
    r"|\bcurl\b[^\n]{0,300}?(?:-X|--request)[ =]?[\"']?(?:DELETE|PUT|PATCH)\b"
    r"|\b(?:DROP|TRUNCATE)\s+(?:TABLE|DATABASE|INDEX)\b|\bDELETE\s+FROM\s+\w|\bUPDATE\s+\w[\w.]{0,60}\s+SET\b"
    r"|(?:^|[;&|`$(]\s*|\bsudo\s+)(?:rm|kill|killall|pkill|shutdown|reboot|mkfs|dd)\s+[-\w/]"
    r"|\b(?:rm\s+-\w|kill\s+-\d|kill\s+-(?:KILL|TERM))"
    r"|\bsystemctl\s+(?:stop|restart|disable|kill)\b|\b(?:service|/etc/init\.d/)\s?\S+\s+(?:stop|restart)\b"
    r"|\b(?:Stop|Restart|Remove|Clear)-[A-Z][a-z]\w+\s|\b(?:net|sc)(?:\.exe)?\s+(?:stop|delete)\s\S|\btaskkill\b"
    r"|\bdel\s+/\w"
    r"|\b(?:Invoke-(?:RestMethod|WebRequest)|irm|iwr|wget)\b[^\n]{0,300}?\s--?method[ =]?[\"']?(?:Delete|Put|Patch)\b"
    r"|\b(?:kubectl|oc)\s+(?:delete|scale|drain|replace|rollout\s+(?:restart|undo))\b"
    r"|\b(?:docker|podman)\s+(?:rm|stop|kill|restart)\b|\bdb2\s+[\"']?force\b|\bschtasks\s+/(?:delete|end)\b"
    r"|\bcrontab\s+-r\b|\btruncate\s+-s|\b(?-i:VARY)\s+\S+,\s?OFFLINE\b"
    r"|\bSCRATCH\b|\bIDCAMS\b[^\n]{0,80}\bDELETE\b|(?:^|\s)\$[CP]\s?J\d+)",
    _I | re.MULTILINE,
)
_MEDIUM_COMMANDS = re.compile(
    rf"(?:\bconman(?:\.exe)?(?:\s+-\w+\s+\S+){{0,4}}\s+[\"']?(?:{_CONMAN})\b"
    r"|\b(?:Start|Set|New|Enable|Disable)-[A-Z][a-z]\w+\s|\b(?:net|sc)(?:\.exe)?\s+(?:start|config)\s\S"
    r"|\b(?:Invoke-(?:RestMethod|WebRequest)|irm|iwr|wget)\b[^\n]{0,300}?\s--?(?:method[ =]?[\"']?Post|post-\w+)\b"
    r"|\b(?:kubectl|oc)\s+(?:apply|create|edit|patch|set)\b|\bschtasks\s+/(?:run|create|change)\b|\bsed\s+-\w*i\b"
    r"|\bcrontab\s+-e\b"
    r"|\bMERGE\s+INTO\s+\w|\b(?-i:RALTER|RDEFINE|CONNECT|REMOVE)\s+\w+\s+\S|\bgit\s+push\b"
    r"|\bcomposer(?:\.exe)?(?:\s+-\w+\s+\S+){0,4}\s+[\"']?(?:add|create|new|modify|mod|lock|unlock)\b|\boptman\s+chg\b"
    r"|\bPOST\s+(?:https?://|/)|\bcurl\b[^\n]{0,300}?(?:(?:-X|--request)[ =]?[\"']?POST\b|--data\b|\s-d\s)"
    r"|\bINSERT\s+INTO\s+\w|\bALTER\s+(?:TABLE|USER|ROLE|DATABASE)\b|\b(?:GRANT|REVOKE)\s+\w+\s+(?:ON|TO|FROM)\b"
    r"|\b(?:chmod|chown|chgrp|useradd|usermod|userdel|passwd)\s+[-\w/+]|\bsystemctl\s+(?:start|enable|reload)\b"
    r"|\b(?-i:ALTUSER|ADDUSER|PERMIT|PASSWORD)\s+[\w'(]|\b(?:StartUp|ShutDownLwa|StartUpLwa)\b"
    r"|\bmv\s+\S+\s+\S+)",
    _I,
)
# The same steps in words: imperative or infinitive, so that "foi cancelado" or "was rerun" is no proposal.
_HIGH_WORDS = re.compile(
    r"\b(?:cancel(?:ar|e|em|a|en)?|matar|mate|kill|elimin(?:ar|e|a)|apagar|apague|excluir|exclua|deletar|delete"
    r"|borrar|borre"
    r"|remover|remova|remove|drop|truncate|encerrar|encerre"
    r"|descartar|descarte)\s+"
    r"(?:(?:o|a|os|as|el|la|los|las|the|this|that|todo|toda"
    r"|todos|all|any|um|uma|esse|este|dessa?)\s+)?"
    r"(?:jobs?|streams?|job stream|trabajos?|processos?|process(?:es)?|procesos?"
    r"|datasets?|arquivos?|files?|archivos?|tabelas?|tables?|registros?|records?|rows"
    r"|depend[eê]n\w+|(?-i:[A-Z][A-Z0-9_#.-]{3,}))",
    _I,
)
_MEDIUM_WORDS = re.compile(
    r"\b(?<!was )(?<!were )(?<!been )(?<!is )(?<!are )(?<!last )(?<!no )"
    r"(?:re-?execut(?:ar|e|em|a|en)|re-?rodar|rode\s+(?:o\s+job\s+)?(?:de novo|novamente)"
    r"|re-?run(?!\s+(?:option|policy|was|is))"
    r"|re-?start|re-?iniciar|reinicie|reinicia|re-?submeter|resubmeta|re-?submit|submeter|submeta|submit|someter|someta"
    r"|reprocessar|reprocesse|reprocesar|reprocese|relan[cç]ar|relance|relanzar"
    r"|(?:liber(?:ar|e)|release|soltar|solte)\s+(?:o|a|os|as|the|el|la)\s+"
    r"(?:job|stream|depend\w+|prompt|trabajo|recurso|resource)"
    r"|(?:alter(?:ar|e)|aument(?:ar|e|a)|elev(?:ar|e)|ajust(?:ar|e)|mudar|mude|cambiar|cambie|subir|suba|definir"
    r"|defina|redefin\w+"
    r"|set|raise|increase|change|adjust|restore|restaur(?:ar|e))\s+(?:o\s+|a\s+|the\s+|el\s+|la\s+)?"
    r"(?:job\s+)?(?:limites?|limit|fence|prioridade|priority|prioridad)"
    r"|(?:confirm(?:ar|e)?)\s+(?:o|the|el)\s+job|(?:respond(?:er|a)|reply(?:\s+to)?|answer)\s+(?:o|ao|the|el"
    r"|al)?\s*prompt"
    r"|(?:re)?link(?:ar|e)?\s+(?:a|the|la|o|el)\s+(?:workstation|esta\w+|agente?)|(?:re)?vincular\s+(?:a|la|o|el)\s+\w+"
    r"|force[- ]?(?:complete)?\s+(?:the\s+)?(?:job|(?-i:[A-Z][A-Z0-9_]{3,}))|mar(?:car|que)\s+(?:o\s+)?job\s+como"
    r"|mark\s+the\s+job\s+as"
    r"|(?:parar|pare|pausar|pause|suspender|suspenda|deslig(?:ar|ue)|stop|detener|detenga|disparar|dispare|iniciar"
    r"|inicie|start)\s+"
    r"(?:(?:o|a|os|as|el|la|the|este|esse|this)\s+)(?:jobs?|streams?|processo|process|proceso|servi[çc]o|service"
    r"|servicio|servidor"
    r"|server|agente?|trabajo|workstation|esta[çc][ãa]o)"
    r"|(?:execut(?:ar|e)|rod(?:ar|e)|volver\s+a\s+ejecutar|run)\s+(?:(?:o|the|el)\s+)?(?:job|trabajo|step"
    r"|(?-i:[A-Z][A-Z0-9_]{3,}))"
    r"\s*(?:de\s+novo|novamente|manualmente|otra\s+vez|again|manually)?|forzar\s+la\s+ejecuci[óo]n"
    r"|(?:rollback|roll\s+back|desfazer|desfaça|restaur(?:ar|e)|restore|recri(?:ar|e)|recreate|recrear|recree)\s+"
    r"(?:(?:o|a|the|el|la)\s+)?(?:backup|dataset|release|vers[ãa]o|version|transa[çc][ãa]o|transaction|arquivo|file"
    r"|archivo|tabela|table)"
    r"|(?:conced(?:er|a)|grant|revogar|revogue|revoke|otorgar|otorgue)\s+(?:(?:o|the|el)\s+)?(?:acess?o|access"
    r"|permiss\w+|permiso)"
    r"|(?:redefin(?:ir|a)|resetar|resete|reset|trocar|troque|cambiar|cambie)\s+(?:(?:a|the|la)\s+)?(?:senha|password"
    r"|contraseña)"
    r"|(?:un|des)(?:link|vincul)(?:ar|e)?\s+(?:a|the|la|o|el)\s+\w+)\b",
    _I,
)
_RERUN_COMMAND = re.compile(r"\bconman(?:\.exe)?(?:\s+-\w+\s+\S+){0,4}\s+[\"']?(?:rr|rerun|sbd|sbj|sbs|submit)\b", _I)
_RERUN_WORDS = re.compile(
    r"\b(?:re-?(?:run|start|submit|launch)|re-?execu[tç]|re-?rod(?:ar|e)|re-?inici|re-?submet|re-?somet|re-?proces"
    r"|re-?lan[czç]"
    r"|(?:rod(?:ar|e)|execut(?:ar|e)|ejecut(?:ar|e)|run)\b[^.;]{0,40}\b(?:de novo|novamente|outra vez|otra vez|de nuevo"
    r"|again)|volver\s+a\s+ejecutar)",
    _I,
)
# A command in a sentence: between back-ticks, or from a program's name to where the sentence goes on without it.
_GOES_ON = r"(?:e|y|and|para|to|then|depois|antes|despu[eé]s|after|before|agora|now|ahora|no|na|en|em|on|in)\b"
_COMMAND_IN_PROSE = re.compile(
    r"`([^`\n]{3,300})`"
    r"|(?<![\w`/-])((?:(?:conman|composer|planman|optman|systemctl|curl|wget|chmod|chown"
    r"|kubectl|docker|podman|taskkill|schtasks|crontab|Invoke-\w+|(?:Stop|Restart|Remove|Start"
    r"|Set)-[A-Z]\w+)(?:\.exe)?\s+[\"'/-]?\w|rm\s+-\w|kill\s+-\w+\s+[\d$%<]"
    r"|(?:DELETE\s+FROM|INSERT\s+INTO|DROP\s+TABLE|TRUNCATE\s+TABLE|ALTER\s+TABLE)\s+\w|UPDATE\s+\w[\w.]*\s+SET\s+\w"
    r"|(?:POST|PUT|PATCH|DELETE)\s+(?:https?://|/)\w)"
    rf"(?:[^\s`),;.]|[;,.](?=\S)|[^\S\n](?!{_GOES_ON})){{0,200}})",
    _I,
)


_ASKED_FOR = re.compile(
    r"\b(?:rod(?:e|ar|em)|execut(?:e|ar|em)|us(?:e|ar|em)|emit(?:a|ir)|digit(?:e|ar)|fa(?:ça|zer)|lan(?:ce|çar)|run|issue|type"
    r"|enter|try|ejecut(?:e|a|ar)|teclee|utilice|utiliz(?:e|ar)|deve(?:-se)?|must|should|debe)\b[^.!?\n]{0,40}$",
    _I,
)
"""Words before a command that tell the reader to run it."""


def risk_of(text: str, command: str | None = None) -> Risk:
    """Risk of a step: ``none`` for an allow-listed read-only command, else how much harm it can do.

    Any command outside the allow-list counts as mutating: no list of mutating commands is ever complete.
    """
    everything = f"{text}\n{command or ''}"
    if _HIGH_COMMANDS.search(everything) or _HIGH_WORDS.search(everything):
        return "high"
    if _MEDIUM_COMMANDS.search(everything) or _MEDIUM_WORDS.search(everything):
        return "medium"
    return "medium" if command and command.strip() and not only_looks(command) else "none"


def is_mutating_command(text: str) -> bool:
    """Whether ``text`` holds a command (not only a phrase) that changes something."""
    return _HIGH_COMMANDS.search(text) is not None or _MEDIUM_COMMANDS.search(text) is not None


def check_action(action: Action) -> Action:
    """``action`` marked as mutating, with at least the risk of its text and command; marks are never removed."""
    own: Risk = risk_of(action.text, action.command)
    mutates = action.mutates or own != "none"
    least: Risk = "low" if mutates and own == "none" else own
    risk = max(action.risk, least, key=_ORDER.index)
    if (mutates, risk) == (action.mutates, action.risk):
        return action
    return action.model_copy(update={"mutates": mutates, "risk": risk})


def is_rerun(action: Action) -> bool:
    """Whether a step runs a job once more, by its command or in words."""
    text = f"{action.text}\n{action.command or ''}"
    if _RERUN_COMMAND.search(text):
        return True
    return (action.mutates or check_action(action).mutates) and _RERUN_WORDS.search(text) is not None


def proposal(risk: Risk) -> Text:
    """The mark of a step that was not executed, with its risk."""
    return Message("proposal, not executed; {risk} risk", risk=_RISK_WORDS[risk])


def mark_commands(text: str, quoted: str, language: Language) -> str:
    """``text`` with each command that changes something marked, where it stands, as a proposal with its risk.

    Commands that ``quoted`` (the evidence) holds are quotations of what was done, and stay as they are, unless the
    sentence asks for them.
    """

    def marked(match: re.Match[str]) -> str:
        command = (match[1] or match[2]).strip()
        if not is_mutating_command(command) or _is_quotation(match, command, quoted):
            return match[0]
        mark = proposal(risk_of(command)).in_language(language)
        return f"{match[0].rstrip()} ({mark}){' ' if match[0][-1].isspace() else ''}"

    return _COMMAND_IN_PROSE.sub(marked, text)


def propose_commands(prose: Iterable[str], actions: Sequence[Action], quoted: str) -> list[Action]:
    """Mutating commands found in prose, as marked actions of their own, so that none goes unmarked.

    Quotations are as in ``mark_commands``, and those already among ``actions`` are left out.
    """
    known = "\n".join(f"{action.text}\n{action.command or ''}" for action in actions)
    proposals: dict[str, Action] = {}
    for text in prose:
        for match in _COMMAND_IN_PROSE.finditer(text):
            command = (match[1] or match[2]).strip()
            is_new = command not in known and not _is_quotation(match, command, quoted)
            if is_new and is_mutating_command(command):
                proposals[command] = Action(text=command, command=command, mutates=True, risk=risk_of(command))
    return list(proposals.values())


def _is_quotation(match: re.Match[str], command: str, quoted: str) -> bool:
    """Whether the command quotes the evidence; one that the sentence asks for does not, wherever it comes from."""
    before = match.string[max(0, match.start() - 60) : match.start()]
    return command in quoted and _ASKED_FOR.search(before) is None


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
    r"|checkhealth\w*)(?![\w-])"
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
    """Whether every part of ``command`` (pipeline, list) is on the allow-list of read-only commands."""
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
