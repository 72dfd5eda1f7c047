"""Recognises commands that would change TWS or data and marks them as proposals with a risk; nothing is executed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from orchestrator.diagnosis.read_only import known_programs, only_looks, word_set
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
    r"(?:re-?execut(?:ar|e|em|a|en)|re-?rodar|rode\s{1,9}(?:o\s{1,9}job\s{1,9})?(?:de novo|novamente)"
    r"|re-?run(?!\s{1,9}(?:option|policy|was|is))"
    r"|re-?start|re-?iniciar|reinicie|reinicia|re-?submeter|resubmeta|re-?submit|submeter|submeta|submit|someter|someta"
    r"|reprocessar|reprocesse|reprocesar|reprocese|relan[cç]ar|relance|relanzar"
    r"|(?:liber(?:ar|e)|release|soltar|solte)\s{1,9}(?:o|a|os|as|the|el|la)\s{1,9}"
    r"(?:job|stream|depend\w+|prompt|trabajo|recurso|resource)"
    r"|(?:alter(?:ar|e)|aument(?:ar|e|a)|elev(?:ar|e)|ajust(?:ar|e)|mudar|mude|cambiar|cambie|subir|suba|definir"
    r"|defina|redefin\w+"
    r"|set|raise|increase|change|adjust|restore|restaur(?:ar|e))\s{1,9}(?:o\s{1,9}|a\s{1,9}|the\s{1,9}|el\s{1,9}|la\s{1,9})?"
    r"(?:job\s{1,9})?(?:limites?|limit|fence|prioridade|priority|prioridad)"
    r"|(?:confirm(?:ar|e)?)\s{1,9}(?:o|the|el)\s{1,9}job|(?:respond(?:er|a)|reply(?:\s{1,9}to)?|answer)\s{1,9}(?:o|ao|the|el"
    r"|al)?\s{0,9}prompt"
    r"|(?:re)?link(?:ar|e)?\s{1,9}(?:a|the|la|o|el)\s{1,9}(?:workstation|esta\w+|agente?)|(?:re)?vincular\s{1,9}(?:a|la|o|el)\s{1,9}\w+"
    r"|force[- ]?(?:complete)?\s{1,9}(?:the\s{1,9})?(?:job|(?-i:[A-Z][A-Z0-9_]{3,}))"
    r"|mar(?:car|que)\s{1,9}(?:o\s{1,9})?job\s{1,9}como"
    r"|mark\s{1,9}the\s{1,9}job\s{1,9}as"
    r"|(?:parar|pare|pausar|pause|suspender|suspenda|deslig(?:ar|ue)|stop|detener|detenga|disparar|dispare|iniciar"
    r"|inicie|start)\s{1,9}"
    r"(?:(?:o|a|os|as|el|la|the|este|esse|this)\s{1,9})(?:jobs?|streams?|processo|process|proceso|servi[çc]o|service"
    r"|servicio|servidor"
    r"|server|agente?|trabajo|workstation|esta[çc][ãa]o)"
    r"|(?:execut(?:ar|e)|rod(?:ar|e)|volver\s{1,9}a\s{1,9}ejecutar|run)\s{1,9}(?:(?:o|the|el)\s{1,9})?(?:job|trabajo|step"
    r"|(?-i:[A-Z][A-Z0-9_]{3,}))"
    r"\s{0,9}(?:de\s{1,9}novo|novamente|manualmente|otra\s{1,9}vez|again|manually)?|forzar\s{1,9}la\s{1,9}ejecuci[óo]n"
    r"|(?:rollback|roll\s{1,9}back|desfazer|desfaça|restaur(?:ar|e)|restore|recri(?:ar|e)|recreate|recrear|recree)\s{1,9}"
    r"(?:(?:o|a|the|el|la)\s{1,9})?(?:backup|dataset|release|vers[ãa]o|version|transa[çc][ãa]o|transaction|arquivo|file"
    r"|archivo|tabela|table)"
    r"|(?:conced(?:er|a)|grant|revogar|revogue|revoke|otorgar|otorgue)\s{1,9}(?:(?:o|the|el)\s{1,9})?(?:acess?o|access"
    r"|permiss\w+|permiso)"
    r"|(?:redefin(?:ir|a)|resetar|resete|reset|trocar|troque|cambiar|cambie)\s{1,9}(?:(?:a|the|la)\s{1,9})?(?:senha|password"
    r"|contraseña)"
    r"|(?:un|des)(?:link|vincul)(?:ar|e)?\s{1,9}(?:a|the|la|o|el)\s{1,9}\w+)\b",
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
# Where a sentence goes on after a command in it.
_GOES_ON = r"(?:e|y|and|para|to|then|depois|antes|despu[eé]s|after|before|agora|now|ahora|no|na|en|em|on|in)\b"
_REST = rf"(?:[^\s`),;.]|[;,.](?=\S)|[^\S\n](?!{_GOES_ON})){{0,200}}"
_CHANGERS = word_set(
    "rm rmdir mv cp dd tee truncate ln touch mkdir chmod chown chgrp kill pkill killall reboot shutdown halt"
    " poweroff init mkfs fdisk umount useradd usermod userdel passwd scp rsync sftp ftp zsh python python3 perl"
    " ruby php node java vi vim nano sqlplus sqlldr impdp expdp rman mongo svn terraform ansible ansible-playbook"
    " az gcloud make npm pip apt-get tar gzip gunzip zip unzip nohup eval exec source stageman logman wastop del"
    " erase rd copy xcopy robocopy move ren format diskpart taskkill msiexec iptables sysctl insmod modprobe"
    " swapoff base64 tcpdump strace gdb jstack jmap jcmd sendmail mail mysqladmin nmap loginctl lvremove vgremove"
    " pvremove multipath runmqsc strmqm endmqm rmstdlist killproc movehistorydata twstrace nginx apachectl icacls"
    " fsutil chkdsk sfc atrm umask unset alias rabbitmqctl insert update delete merge drop alter truncate"
    " grant revoke call select with"
)
"""Programs and verbs besides those of the allow-list, by which a command is recognised as one."""
_ALSO_WORDS = word_set(
    "at net time watch nice timeout env date find cut test more less top last host file format copy move source"
    " exec mount kill touch make node type where which query tree service init call select with update delete"
    " insert drop alter grant merge erase seq true expr comm join mail head tail sort uniq stat route groups quota"
    " locale strings fold column ping print free who id ip su sc w"
)
"""Names that are words of a sentence as well: a command only with an option, a quote or a path after them."""
# A command in a sentence: between back-ticks, or from a program's name to where the sentence goes on without it.
_COMMAND_IN_PROSE = re.compile(
    r"(?<!`)(`{1,3})(?!`)(?P<code>[^\n]{3,300}?)(?<!`)\1(?!`)"
    r"|(?<![\w`/-])(?P<known>(?i:(?:conman|composer|planman|optman|systemctl|curl|wget|chmod|chown"
    r"|kubectl|docker|podman|taskkill|schtasks|crontab|Invoke-\w+|(?:Stop|Restart|Remove|Start"
    r"|Set)-[A-Z]\w+)(?:\.exe)?\s+[\"'/-]?\w|rm\s+-\w|kill\s+-\w+\s+[\d$%<]"
    r"|(?:DELETE\s+FROM|INSERT\s+INTO|DROP\s+TABLE|TRUNCATE\s+TABLE|ALTER\s+TABLE)\s+\w|UPDATE\s+\w[\w.]*\s+SET\s+\w"
    rf"|(?:POST|PUT|PATCH|DELETE)\s+(?:https?://|/)\w){_REST})"
    r"|\b(?i:rod[ae]r?|execut[ae]r?|ejecut[ae]r?|corr[ae]|run|us[ae]r?|try|issue|type|enter|digit[ae]r?|emit[ae]|lanc[ae]"
    r"|teclee|utili[cz]e|comando|command)(?:\s*+:)?\s++(?:(?i:o comando|the command|el comando)(?:\s*+:)?\s++)?"
    rf"(?P<asked>[a-z][\w.-]{{1,24}}\s+\S{_REST})"
    rf"|(?<![\w`/-])(?P<shaped>[a-z][\w.-]{{1,24}}\s+[-+\"'$]\S{_REST})"
    r"|\b(?P<query>SELECT\s+\w[^`\n]{0,200}?(?:\)|\bFROM\s+[\w.$\"]+)(?:\s+(?:WHERE|FOR|INTO)\b[^`\n.]{0,200})?)"
)
_NAMED = re.compile(r"(?P<name>[a-z][\w.-]*?)(?:\.exe)?\s+(?P<shape>[-+/\"'$]?)")
_STARTS_A_COMMAND = re.compile(
    r"(?:\s*(?:sudo|[$#%]|SQL>)\s+)?(?:(?:/[\w.-]+)*/)?(?P<name>[\w.-]+?)(?:\.exe)?\s+\S|\./|[^\n]*(?:\$\(|`)",
    re.DOTALL,
)
_CMDLET = re.compile(r"[A-Z][a-z]+-[A-Z]\w+")
_CONSOLE_CHANGE = re.compile(
    r"(?:[FVCPS]|MODIFY|VARY|CANCEL|FORCE|SETPROG|STOP|START)\s+[A-Z$#@*][A-Z0-9$#@.*]{0,7}(?:,.*)?"
    r"|V(?:ARY)?\s+[0-9A-F(][\w(),-]{2,60}"
    r"|(?:AL[UDG]|ALTUSER|ALTDSD|ALTGROUP|ADDUSER|ADDSD|ADDGROUP|DEL(?:USER|DSD|GROUP)|PERMIT|RALT(?:ER)?|RDEF(?:INE)?"
    r"|RDEL(?:ETE)?|SETR(?:OPTS)?)\s+(?!LIST$)\S.*|\$[A-CE-Z]\s?[A-Z]+\d+.*"
    r"|-(?:STO|STA|ALT|TER|REC|CAN|SET|ACC|ARC|RES)[A-Z]*\s+.*"
)
_ASKED_CODE = re.compile(
    r"\b(?:rod(?:e|ar|em)|execut(?:e|ar|em)|emit(?:a|ir)|digit(?:e|ar)|run|issue|type|enter|execute|ejecut(?:e|a|ar)|teclee)"
    r"(?:\s+(?:o comando|the command|el comando))?\s*:?\s*$",
    _I,
)
"""What is between back-ticks right behind it is a command, whatever program it names."""
_RUNS_ANYTHING = re.compile(
    r"\$\(|`|<\(|\|&?\s*(?:sudo\s+)?(?:ba|z|k|c|da)?sh\b|\|\s*(?:python3?|perl|ruby|iex|xargs|cmd|powershell|tee)\b|\beval\b|[\"']\+?!"
)
"""What is not known before it runs, as the output of another command."""

_ASKED_FOR = re.compile(
    r"\b(?:rod(?:e|ar|em)|execut(?:e|ar|em)|us(?:e|ar|em)|emit(?:a|ir)|digit(?:e|ar)|fa(?:ça|zer)|lan(?:ce|çar)|run|issue|type"
    r"|enter|try|ejecut(?:e|a|ar)|teclee|utilice|utiliz(?:e|ar)|deve(?:-se)?|must|should|debe)\b[^.!?\n]{0,40}$",
    _I,
)
"""Words before a command that tell the reader to run it."""


def risk_of(text: str, command: str | None = None) -> Risk:
    """Risk of a step: ``none`` when each of its commands is proven to look only, else how much harm it can do.

    Any command outside the allow-list counts as mutating: no list of mutating commands is ever complete.
    """
    commands = [command.strip()] if command and command.strip() else []
    commands += [written for _, written in _commands_in(text) if written not in commands]
    # What a command that only looks holds is what it looks for: grep 'DROP TABLE' changes nothing.
    words = text
    looking = [item for item in commands if only_looks(item)]
    for item in looking:
        words = words.replace(item, " ")
    risks = [_risk_of_command(item) for item in commands if item not in looking]
    if _HIGH_COMMANDS.search(words) or _HIGH_WORDS.search(words):
        risks.append("high")
    elif _MEDIUM_COMMANDS.search(words) or _MEDIUM_WORDS.search(words):
        risks.append("medium")
    return max(risks, key=_ORDER.index, default="none")


def _risk_of_command(command: str) -> Risk:
    if _HIGH_COMMANDS.search(command) or _HIGH_WORDS.search(command) or _RUNS_ANYTHING.search(command):
        return "high"
    return "medium"


def is_mutating_command(text: str) -> bool:
    """Whether ``text`` is or holds a command (not only a phrase) that is not proven to look only."""
    if any(_changes(match, command) for match, command in _commands_in(text)):
        return True
    if only_looks(text):
        return False
    return _HIGH_COMMANDS.search(text) is not None or _MEDIUM_COMMANDS.search(text) is not None


def _commands_in(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The commands in a sentence, with their places."""
    at = 0
    while match := _COMMAND_IN_PROSE.search(text, at):
        kind = match.lastgroup or "code"
        command = match[kind].strip()
        if kind in ("known", "query") or (_is_code(match, command) if kind == "code" else _is_named(command, kind)):
            at = match.end()
            yield match, command
        else:
            at = match.end() if kind == "code" else match.start(kind) + 1


def _is_named(text: str, kind: str) -> bool:
    """Whether the first word of ``text`` is a program, and what follows is for it."""
    named = _NAMED.match(text)
    if named is None or named["name"] not in known_programs() | _CHANGERS:
        return False
    if kind == "shaped":
        return named["name"] not in ("kill", "rm")
    return bool(named["shape"]) or named["name"] not in _ALSO_WORDS


def _is_code(match: re.Match[str], code: str) -> bool:
    """Whether what stands between back-ticks is a command: by itself, or because nothing else is asked for."""
    before = match.string[max(0, match.start() - 60) : match.start()]
    is_asked = _ASKED_CODE.search(before) is not None or not (before + match.string[match.end() :]).strip(
        " .:;-*0123456789"
    )
    is_name = code.isupper() and not re.search(r"\s", code)
    return _is_command(code) or (is_asked and not is_name and (" " in code or code.islower()))


def _is_command(code: str) -> bool:
    """Whether what stands between back-ticks is a command, and no code, name or message."""
    if _HIGH_COMMANDS.search(code) or _MEDIUM_COMMANDS.search(code) or _CONSOLE_CHANGE.fullmatch(code):
        return True
    start = _STARTS_A_COMMAND.match(code)
    name = (start["name"] or "") if start else ""
    is_known = name in known_programs() | _CHANGERS or (name.lower() in _CHANGERS and "=" not in code)
    return start is not None and (not name or is_known or _CMDLET.fullmatch(name) is not None)


def _changes(match: re.Match[str], command: str) -> bool:
    if match["known"] is not None and not only_looks(command):
        # The sentence may go on behind it: what its verb is known to do decides.
        return _HIGH_COMMANDS.search(command) is not None or _MEDIUM_COMMANDS.search(command) is not None
    return not only_looks(command)


def check_action(action: Action) -> Action:
    """``action`` marked as mutating, with at least the risk of its text and command; marks are never removed."""
    return _marked(action, risk_of(action.text, action.command))


def check_command(action: Action) -> Action:
    """The same by the command alone, of a step whose text is the catalogue's: names in it are of TWS and of logs."""
    return _marked(action, risk_of("", action.command))


def _marked(action: Action, own: Risk) -> Action:
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
    """``text`` with each command that is not proven to look marked, where it stands, as a proposal with its risk.

    Commands that ``quoted`` (the evidence) holds are quotations of what was done, and stay as they are, unless the
    sentence asks for them.
    """
    out: list[str] = []
    done = 0
    for match, command in _commands_in(text):
        if not _changes(match, command) or _is_quotation(match, command, quoted):
            continue
        mark = proposal(_risk_of_command(command)).in_language(language)
        written = text[done : match.end()]
        out.append(f"{written.rstrip()} ({mark}){' ' if written[-1].isspace() else ''}")
        done = match.end()
    return "".join((*out, text[done:]))


def propose_commands(prose: Iterable[str], actions: Sequence[Action], quoted: str) -> list[Action]:
    """Commands found in prose that are not proven to look, as marked actions of their own, so that none goes unmarked.

    Quotations are as in ``mark_commands``, and those already among ``actions`` are left out.
    """
    known = "\n".join(f"{action.text}\n{action.command or ''}" for action in actions)
    proposals: dict[str, Action] = {}
    for text in prose:
        for match, command in _commands_in(text):
            is_new = command not in known and not _is_quotation(match, command, quoted)
            if is_new and _changes(match, command):
                risk = _risk_of_command(command)
                proposals[command] = Action(text=command, command=command, mutates=True, risk=risk)
    return list(proposals.values())


def _is_quotation(match: re.Match[str], command: str, quoted: str) -> bool:
    """Whether the command quotes the evidence; one that the sentence asks for does not, wherever it comes from."""
    if match["asked"] is not None:
        return False
    before = match.string[max(0, match.start() - 60) : match.start()]
    return command in quoted and _ASKED_FOR.search(before) is None
