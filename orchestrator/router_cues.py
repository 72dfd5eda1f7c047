"""The words that tell an intent and a language, with their weights. Portuguese, English and Spanish."""

from __future__ import annotations

import re

from orchestrator.models import Intent, Language

Cue = tuple[re.Pattern[str], float]


def _cue(pattern: str, weight: float) -> Cue:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), weight


_ACTION_PT = (
    r"cancel[ae]r?|re-?rod[ae]r?|reexecut[ae]r?|re-execut[ae]r?|reinici[ae]r?|relanc[ae]r?|relanç[ao]r?"
    r"|submet[ae]r?|submeter|liber[ae]r?|mat[ae]r?"
    r"|for[cç][ae]r?|par[ae](?= o job)|segur[ae]r?|promov[ae]r?|confirm[ae]r?|suspend[ae]r?|dispar[ae]r?"
    r"|dispare|execut[ae](?= o)|rod[ae](?= o job)"
    r"|alter[ae]r?|mud[ae]r?|aument[ae]r?|remov[ae]r?|coloqu?[ea]r?|bot[ae]r?"
)
_ACTION_EN = (
    r"cancel|re-?run|restart|resubmit|submit|release|kill|stop|hold|confirm|start|launch|force|trigger|raise"
    r"|change|set|remove|link|unlink|promote"
)
_ACTION_ES = (
    r"cancela(?:r)?|cancele|re-?ejecut[ae]r?|reejecut[ae]r?|relanz[ae]r?|relance|reinici[ae]r?|liber[ae]r?"
    r"|mat[ae]r?|lanz[ae]r?|fuerz[ae]|forzar"
    r"|det[eé]n(?:er)?|confirm[ae]r?|suspend[ae]r?|ejecut[ae](?= el)|cambi[ae]r?|sub[ae](?= el)"
)
_POLITE = (
    r"(?:por favor,?|pfv,?|please,?|preciso que (?:voc[eê] )?|necesito que |quero que |quiero que |can you "
    r"|could you |pode(?:ria)? |puedes? |podes |favor )"
)

INTENT_CUES: dict[Intent, tuple[Cue, ...]] = {
    Intent.TROUBLESHOOT: (
        _cue(
            r"falh(?:ou|a|as|am|aram|ando|ado)|abend(?:ou|ed|ado|ada|s)?|quebr(?:ou|ado|ada)|caiu|caíram"
            r"|cairam|travad[oa]s?|travou|travaram"
            r"|pres[oa]s?|par(?:ou|aram|ad[oa]s)|deu (?:erro|ruim|problema|pau)|com (?:erro|problema)s?"
            r"|erros?|estour(?:ou|ado)|derrub(?:ou|ado)",
            3,
        ),
        _cue(
            r"fail(?:ed|s|ing|ure|ures)?|error(?:s|ed)?|abended|crash(?:ed|es|ing)?|broke|broken|stuck"
            r"|hung|hanging|hangs|died|dies|dying|problem|wrong|blew up",
            3,
        ),
        _cue(
            r"fall(?:ó|o|a|an|aron|ando|as|os|ado)|se cay(?:ó|o)|atascad[oa]s?|bloquead[oa]s?|colgad[oa]s?"
            r"|rompi(?:ó|o)|detenid[oa]s?|errores|dio error",
            3,
        ),
        _cue(
            r"por ?qu[eêé]s?|porqu[eê]|why|causa(?: ra[ií]z)?|root cause|cause of|motivo|raz(?:ão|ao|ón"
            r"|on)|diagn[oó]stic\w*|diagnose|investig\w+|troubleshoot\w*"
            r"|o que (?:houve|aconteceu|ocorreu)|what happened|qu[eé] (?:pas[oó]|ocurri[oó]|sucedi[oó])"
            r"|resolv\w+|resuelv\w+|solucion\w+|fix|corrig\w+|ajuda com|analis\w+|analyz\w+|analiz\w+",
            3,
        ),
        _cue(
            r"não (?:roda|rodou|rodam|rodaram|inicia|iniciou|iniciam|come[cç]a|come[cç]ou|executa|executou"
            r"|sai|saiu|sobe|subiu|entra|termina|terminou|anda|libera|dispara|disparou|parte|vai)"
            r"|nao (?:roda|rodou|rodam|rodaram|inicia|iniciou|iniciam|comeca|comecou|executa|executou|sai"
            r"|saiu|sobe|subiu|entra|termina|terminou|anda|libera|dispara|disparou|parte|vai)"
            r"|(?:does|did|do|has|have|is|are|will|was|were)(?:n'?t| not)(?: (?:yet|even|ever))?(?: \w+)?"
            r"|won'?t|never (?:starts?|started|ends?|ran|runs?)|not (?:starting|running|launching"
            r"|finishing)"
            r"|no (?:arranca|arrancó|arranco|inicia|inició|inicio|ejecuta|ejecutó|corre|corrió|termina"
            r"|terminó|sale|comienza|se ejecuta|parte|avanza)(?:n|ron)?",
            3,
        ),
        _cue(
            r"atras(?:ad[oa]s?|ou|o|aram)|demor\w+|lent[oa]s?|slow(?:ly|er)?|late|delayed|overdue|tak(?:es"
            r"|ing) (?:too |so )?(?:long|forever)|retrasad[oa]s?|tard(?:a|ando|ó)|much longer|mais tempo",
            2.5,
        ),
        _cue(r"unlinked|deslinkad[oa]s?|desconectad[oa]s?|fora do ar|offline|down|ca[ií]d[oa]s?|sem comunica\w+", 2.5),
        _cue(r"stuck|suppr|fence|hold|ready|fail|abend|pend|susp|extrn", 1),
        _cue(
            r"out of memory|falta de (?:espaço|espaco|mem[oó]ria)|sem (?:espaço|espaco|mem[oó]ria)"
            r"|no space|sin (?:espacio|memoria)|disk full|disco cheio|disco lleno",
            3,
        ),
    ),
    Intent.STATUS: (
        _cue(
            r"status|estado|situa[cç][aã]o|situaci[oó]n|como (?:est[aá]|est[aã]o|anda|ficou|vai|v[aã]o)"
            r"|c[oó]mo (?:est[aá]n?|va|van|anda|sigue)|how (?:is|are) (?!do)",
            4,
        ),
        _cue(
            r"(?:j[aá]|ya|todavía|ainda) (?:terminou|rodou|acabou|come[cç]ou|iniciou|finalizou|executou"
            r"|termin[oó]|acab[oó]|corri[oó]|empez[oó]|inici[oó]|finaliz[oó]|se ejecut[oó])"
            r"|est(?:[aá]|[aã]o) (?:rodando|executando|em execu[cç][aã]o|corriendo|en ejecuci[oó]n"
            r"|ejecut[aá]ndose)|terminou\?|rodou\?|termin[oó]\?"
            r"|(?:is|are) (?:\S+ )*(?:running|done|finished|complete|completed|still running)|(?:has|have"
            r"|did) (?:\S+ )*(?:finish(?:ed)?|complete[d]?|run|started?|ended?)(?: yet)?\??",
            3.5,
        ),
        _cue(
            r"(?:quais|que|list[ae]r?|mostr[ae]r?|which|list|show(?: me)?|cu[aá]les|qu[eé]|muestr[ae]"
            r"|lista)(?: \S+){0,4}? (?:jobs|streams|workstations|esta[cç][oõ]es|agentes|agents|estaciones"
            r"|trabajos|job streams)",
            3.5,
        ),
        _cue(
            r"andamento|progress[o]?|em execu[cç][aã]o|rodando|running|corriendo|linked|conectad[oa]s?"
            r"|ativ[oa]s?",
            1.5,
        ),
        _cue(r"[uú]ltima (?:execu[cç][aã]o|ejecuci[oó]n|corrida)|last run|latest run", 2),
    ),
    Intent.QUERY: (
        _cue(
            r"o que (?:é|e|s[aã]o|significa[m]?|quer dizer|faz)|qual (?:é |e )?(?:a diferen[cç]a"
            r"|o significado)|what (?:is|are|does|do) (?:\S+ )*?(?:mean|the difference|an?|the meaning)"
            r"|what does|what is|what are|meaning of|significado|qu[eé] (?:es|son|significan?|quiere decir"
            r"|hace)|cu[aá]l es la diferencia|diferen[cç]a entre|difference between|significa|quer dizer",
            5,
        ),
        _cue(
            r"como (?:se )?(?:configur\w+|fa[cç]o|fazer|defin\w+|cri[ao]r?|funciona|consult\w+|adicion\w+"
            r"|agend\w+|us[ao]r?|program\w+|cadastr\w+|le[ir]\w*|interpret\w+|posso)"
            r"|how (?:do|can|to|does|should)(?: (?:i|we|you|one))?|c[oó]mo (?:se )?(?:configur\w+|hago"
            r"|hacer|defin\w+|cre[ao]r?|funciona|consult\w+|agreg\w+|us[ao]r?|program\w+|puedo"
            r"|interpret\w+)",
            4.5,
        ),
        _cue(
            r"explique|explica(?:r|me)?|explain|documenta[cç][aã]o|documentation|documentaci[oó]n|manual"
            r"|procedimento|procedure|procedimiento|runbook|exemplo|example|ejemplo|sintaxe|syntax"
            r"|sintaxis|onde (?:fica|encontro|est[aá])|where (?:is|can|do)|d[oó]nde (?:est[aá]|encuentro)",
            4,
        ),
        _cue(
            r"quando (?:roda|executa|vai rodar|[eé] executado)|a que horas|que horas|when (?:does|will|is)"
            r"|what time|cu[aá]ndo (?:corre|se ejecuta|va)|a qu[eé] hora"
            r"|quant[oa]s|how many|how much|cu[aá]nt[oa]s|quem (?:[eé]|s[aã]o)|who (?:is|owns)"
            r"|qui[eé]n (?:es)?|quais (?:s[aã]o )?(?:os |as )?(?:predecessores|sucessores|depend[eê]ncias)"
            r"|(?:predecessors|successors|dependencies) of|depend[eê]?n?d?[ea]?m? d[eo]|dependen? de"
            r"|depends? on|predecesores|sucesores|qual (?:o|a|[eé])|which user|cu[aá]l es",
            4,
        ),
    ),
    Intent.ACTION: (
        _cue(rf"^\W*(?:{_POLITE})*(?:{_ACTION_PT}|{_ACTION_EN}|{_ACTION_ES})", 6),
        _cue(rf"{_POLITE}(?:{_ACTION_PT}|{_ACTION_EN}|{_ACTION_ES})", 6),
        _cue(
            r"(?:quero|preciso|vamos|quiero|necesito|i want to|i need to|need to|let'?s|want you to"
            r"|please) (?:\w+ )?(?:" + f"{_ACTION_PT}|{_ACTION_EN}|{_ACTION_ES}" + ")",
            5,
        ),
        _cue(r"conman (?:cj|sbj|sbs|rr|kj|rerun|cancel|submit|release|altpri|alt)", 5),
    ),
    Intent.GENERAL: (
        _cue(
            r"ol[aá]|oi|bom dia|boa tarde|boa noite|hello|hi|hey|good (?:morning|afternoon|evening)|hola"
            r"|buen[oa]s? (?:d[ií]as|tardes|noches)",
            1.2,
        ),
        _cue(r"obrigad[oa]|valeu|thanks?|thank you|gracias|tchau|bye|adi[oó]s|at[eé] (?:logo|mais)|hasta luego", 3),
        _cue(
            r"quem (?:[eé]|e) voc[eê]|o que voc[eê] (?:faz|sabe|consegue)|who are you|what can you (?:do"
            r"|help)|qui[eé]n eres|qu[eé] (?:puedes|sabes) hacer"
            r"|tudo bem|how are you|c[oó]mo est[aá]s|voc[eê] [eé] (?:um|uma)|are you an?|eres un",
            8,
        ),
        _cue(r"piada|joke|chiste|clima|weather|futebol|f[uú]tbol|football|almo[cç]o|lunch", 4),
    ),
}

LANGUAGE_CUES: dict[Language, tuple[Cue, ...]] = {
    Language.PT_BR: (
        _cue(
            r"não|nao|está|estão|estao|foi|falhou|falharam|falha|rodou|rodando|terminou|caiu|travou|deu"
            r"|ficou|abendou|preso|houve|aconteceu",
            2,
        ),
        _cue(r"o|os|do|da|dos|das|ao|à|na|nos|nas|um|uma|em|com|pelo|pela|ou|e", 0.6),
        _cue(
            r"você|voce|qual|quais|quando|porque|por que|porquê|isso|esse|essa|meu|minha|ontem|hoje"
            r"|obrigad[oa]|olá|oi|bom|boa|já|ainda|preciso|quero|pode|faço|mas|mais|também",
            2,
        ),
        _cue(
            r"\w+ção|\w+ções|\w+ão|\w*nh[oa]|\w*lh[oae]\w*|erro|arquivo|arquivos|agora|jobs? parados?"
            r"|situação|execução|estação|máquina|saiu|retorno|código de retorno",
            1.5,
        ),
    ),
    Language.EN: (
        _cue(
            r"the|is|are|was|were|has|have|does|did|do|it|its|this|that|these|an|of|on|to|with|and|for"
            r"|from|my|our|at|in|by",
            0.9,
        ),
        _cue(
            r"why|what|how|when|where|which|who|failed|fails|failing|failure|running|finished|please"
            r"|thanks|hello|hi|yesterday|today|last|night|stuck|job failed|started|ended|waiting|show|list"
            r"|cancel|rerun|restart|release|explain|can you",
            1.6,
        ),
        _cue(r"\w+ing|\w+ed|n't|\w+n't|not|never|error", 0.7),
    ),
    Language.ES: (
        _cue(r"el|los|las|del|al|una|unos|con|y|en|la|lo|su", 0.9),
        _cue(
            r"qué|cómo|cuál|cuáles|cuándo|dónde|quién|cuánt[oa]s|por qué|falló|fallo|falla|fallaron|están"
            r"|ayer|hoy|hola|gracias|ya|todavía|anoche|trabajo|trabajos|hay|fue|ejecución|cadena|estación"
            r"|ejecuta|ejecutó|terminó|quedó|hace|puedes|necesito|quiero|archivo|salida|reejecuta|relanza"
            r"|esperando|muestra|estado",
            2,
        ),
        _cue(r"\w+ción|\w+ciones|\w*ñ\w*|\w+ó|¿.*|¡.*|es|no", 1),
    ),
}
