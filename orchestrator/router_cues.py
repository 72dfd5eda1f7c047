"""The words that tell an intent and a language, with their weights. Portuguese, English and Spanish.

Weights are of one scale: 1 hints, 3 says it, 5 and more outweighs a plain word for something else ("what does ABEND
mean" asks for knowledge although it names a failure).
"""

from __future__ import annotations

import re

from orchestrator.models import Intent, Language

Cue = tuple[re.Pattern[str], float]


def _cue(weight: float, *alternatives: str) -> Cue:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(alternatives)})(?![\w-])", re.IGNORECASE), weight


_VERBS = (
    # Portuguese: imperative and infinitive.
    r"cancel[ae][rs]?|re-?rod[ae]r?|re-?execut[ae]r?|reinici[ae]r?|relan[cç][aeo]r?|submet[ae]r?",
    r"liber[ae]r?|mat[ae]r?",
    r"for[cç][ae]r?|segur[ae]r?|promov[ae]r?|confirm[ae]r?|suspend[ae]r?|dispar[ae]r?|alter[ae]r?|mud[ae]r?",
    r"aument[ae]r?|diminu[ai]r?|remov[ae]r?|tir[ae]r?|retir[ae]r?|coloque|colocar|bote|botar|pare(?= o| a)",
    r"execut[ae](?= o| a)|rod[ae](?= o| a)",
    r"link[ae]r?|deslink[ae]r?|sub[ae]r?(?= o| a)|inici[ae]r?(?= o| a)|troqu?[ea]r?|zer[ae]r?|adicion[ae]r?",
    # English.
    r"cancel|re-?run|restart|resubmit|submit|release|kill|stop|hold|confirm|start|launch|force|trigger|raise|lower",
    r"change|set|remove|link|unlink|promote|increase|add",
    # Spanish, where it differs.
    r"re-?ejecut[ae]r?|relanz[ae]r?|relance|lanz[ae]r?|lance|fuerz[ae]|forzar|det[eé]n|detener",
    r"ejecut[ae](?= el| la)|cambi[ae]r?|elimin[ae]r?|sub[ae](?= el)|pon|poner|quit[ae]r?|sum[ae]r?",
)
_VERB = "|".join(_VERBS)
_POLITE = (
    r"(?:por favor|pfv|please|favor|(?:eu )?(?:preciso|quero|gostaria)(?: que(?: voc[eê]| tu)?)?|necesito(?: que)?"
    r"|quiero(?: que)?|can you|could you|pode(?:ria)?|podes?|puedes?|podr[ií]as?|i (?:want|need)(?: you)? to|let'?s"
    r"|vamos)"
)

INTENT_CUES: dict[Intent, tuple[Cue, ...]] = {
    Intent.TROUBLESHOOT: (
        _cue(
            3,
            r"falh(?:ou|a|as|am|aram|ando|ado)|abend(?:ou|ed|ado|ada|aram|ando)|quebr(?:ou|ado|ada|aram)",
            r"ca(?:iu|[ií]ram|indo)|trav(?:ad[oa]s?|ou|aram|ando)|pres[oa]s?|par(?:ou|aram|ad[oa]s?)",
            r"deu (?:erro|ruim|problema|pau|abend)|erros?",
            r"com (?:erro|problema)s?|problemas?|estour(?:ou|ado|ando)|derrub(?:ou|ado|ando)|morreu|morrendo|sumiu",
        ),
        _cue(
            3,
            r"failed|fails|failing|failures?|errors?|errored|abended|crash(?:ed|es|ing)?|broke|broken|stuck",
            r"hung|hanging|hangs|died|dies|dying|problems?|wrong|blew up|deadlock|missed|aborted|aborting",
        ),
        _cue(
            3,
            r"fall(?:[óo]|an|aron|ando|as|os|ado)|fall[ao]|se cay(?:ó|o|eron)|atascad[oa]s?|bloquead[oa]s?",
            r"colgad[oa]s?|rompi(?:ó|o)|detenid[oa]s?|errores|abort(?:ó|ado)",
        ),
        _cue(
            3,
            r"por ?qu[eêé]s?|porqu[eê]|why|causa(?: ra[ií]z)?|root cause|cause of|motivo|raz(?:ão|ao|ón)",
            r"diagn[oó]stic\w*|diagnos\w+|investig\w+|troubleshoot\w*",
            r"o que (?:houve|aconteceu|ocorreu|est[aá] (?:segurando|travando))",
            r"what (?:happened|is (?:holding|blocking)|went)",
            r"qu[eé] (?:les? )?(?:pas[oó]|ocurri[oó]|sucedi[oó]|lo (?:retiene|bloquea))",
            r"o que fazer|what (?:should|can) (?:i|we) do|qu[eé] hago|resolv\w+|resuelv\w+|solucion\w+|fix",
            r"corrig\w+|analis\w+|analy[sz]\w+|analiz\w+|ajud[ae]\w* com|help with|ayuda con",
        ),
        _cue(
            3,
            r"n[aã]o (?:est[aá] )?(?:rod|inici|come[cç]|execut|sa[ií]|sob|sub|entr|termin|and|liber|dispar"
            r"|part|vai|foi|ger|cheg"
            r"|acab|respond|conect|funcion|pass|consegu)\w*",
            r"(?:does|did|do|has|have|is|are|will|was|were|can)(?:n['’]?t| not)|won['’]?t|can['’]?t",
            r"never (?:starts?|started)",
            r"never (?:ends?|ended|ran|runs?)|not (?:starting|running|launching|finishing|responding)",
            r"no job (?:starts?|runs?)",
            r"no (?:se )?(?:arranc|inici|ejecut|corr|termin|sal|comienz|empiez|part|avanz|lleg|respond|conect"
            r"|funcion)\w*",
            r"nada (?:inicia|roda|anda|arranca|corre)|nenhum (?:inicia|roda)|ningun[oa] (?:inicia|arranca)",
            r"nothing (?:starts|runs)",
        ),
        _cue(
            2.5,
            r"atras(?:ad[oa]s?|ou|aram|ando|o)|demor\w+|lent[oa]s?|slow(?:ly|er)?|late|delayed|overdue",
            r"retrasad[oa]s?|tak(?:es|ing) (?:too |so |very |much )?(?:long|longer|forever)",
            r"tard(?:a|ando|ó) (?:mucho|demasiado)|mais tempo|(?:much|far) longer|m[aá]s tiempo",
        ),
        _cue(
            3.5, r"unlinked|deslinkad[oa]s?|desconectad[oa]s?|fora do ar|offline|down|sem comunica\w+|fuera de servicio"
        ),
        _cue(1, r"suppr|fence|hold|ready|fail|abend|pend|susp|extrn|stuck|h[aá] mais de|for (?:over|more than)"),
        _cue(2, r"(?:status|estado|state) (?:de |of )?(?:abend|fail|stuck|susp|fence)"),
        _cue(
            2.5,
            r"errad[oa]s?|killed|perdeu|perdid[oa]|suspens[oa]s?|vazi[oa]s?|chei[oa]s?|inconsist\w+",
            r"estranh[oa]|recusad[oa]",
            r"passou d[ao]|inv[aá]lid[oa]s?",
            r"lost|full|empty|missing|timed? ?out|timeout|exceeded|rejected|denied|refused|unexpected",
            r"corrupt\w*|exception",
            r"perdi[oó]|llen[oa]s?|vac[ií][oa]s?|rechazad[oa]|suspendid[oa]s?|inesperad[oa]",
        ),
        _cue(1.5, r"esperando|aguardando|waiting|espera"),
        _cue(
            3,
            r"out of memory|(?:falta|fim) de (?:espa[cç]o|mem[oó]ria)|sem (?:espa[cç]o|mem[oó]ria)|no space",
            r"falta de espacio",
            r"sin (?:espacio|memoria)|disk full|disco (?:cheio|lleno)|permission denied|acesso negado",
            r"acceso denegado",
        ),
    ),
    Intent.STATUS: (
        _cue(
            4,
            r"tudo (?:certo|ok|bem) (?:com|n[ao]s?)|todo bien (?:con|en)",
            r"any news|alguma (?:novidade|not[ií]cia)|alguna novedad",
        ),
        _cue(4, r"(?:h[aá]|tem|hay|is there|are there) (?:alg[uú][mn]a?|any) \w+"),
        _cue(
            4,
            r"status|estado|situa[cç][aã]o|situaci[oó]n|como (?:est[aáã]o?|anda|andam|ficou|vai|v[aã]o)",
            r"how (?:is|are) .{0,80} doing|c[oó]mo (?:est[aá]n?|va|van|anda|andan|sigue)",
            r"how(?:'s| is| are) (?:the )?(?:job|stream|schedule|workstation|agent)s?",
        ),
        # "What is the status" is no question about a meaning.
        _cue(
            3,
            r"(?:what(?:'s| is| are)|qual (?:é |e )?|cu[aá]l es)\s*(?:the |o |a |el |la )?(?:current "
            r"|atual )?(?:status|state|estado|situa\w+)",
        ),
        _cue(
            3.5,
            r"(?:j[aá]|ya|todav[ií]a|ainda|aún) (?:se )?(?:termin|rod|acab|come[cç]|inici|finaliz|execut|corr"
            r"|empez|ejecut|est[aá]|sa[ií])\w*",
            r"est(?:[aá]|[aã]o|[aá]n) (?:rodando|executando|em execu[cç][aã]o|corriendo|en ejecuci[oó]n"
            r"|ejecut[aá]ndose|ativ\w+|link\w+|no ar)",
            r"(?:terminou|rodou|acabou|termin[oó]|corri[oó])(?= (?:bem|ontem|hoje|ok|hoy|ayer)|\?)",
            r"(?:is|are) .{0,80}(?:running|done|finished|completed?|linked|up|active)",
            r"(?:has|have|did) (?!.{0,80}\bnot\b).{0,80}(?:finish(?:ed)?|completed?|run|ran|start(?:ed)?|end(?:ed)?)",
        ),
        _cue(
            5,
            r"(?:quais|list[ae]r?|mostr[ae]r?|which|list|show(?: me)?|cu[aá]les|muestr[ae](?:me)?|mu[eé]strame"
            r"|lista|listame|d[eê]-me|give me)"
            r"(?: \S+){0,4}? (?:jobs|streams|workstations|esta[cç][oõ]es|agentes|agents|estaciones|trabajos|schedules)",
        ),
        _cue(
            1.5,
            r"andamento|progress[o]?|em execu[cç][aã]o|en ejecuci[oó]n|rodando|running|corriendo",
            r"link(?:ed|ad[oa])s?|conectad[oa]s?",
        ),
        _cue(
            3,
            r"[uú]ltim[oa]s? (?:execu[cç](?:ão|ões)|ejecuci(?:ón|ones)|corridas?|runs?)|(?:last|latest) runs?",
            r"andamento",
        ),
    ),
    Intent.QUERY: (
        _cue(
            7,
            r"o que (?:é|s[aã]o|significam?|quer(?:em)? dizer|faz(?:em)? (?:o|a|os|as))",
            r"qual (?:é |e )?(?:a diferen[cç]a|o significado)",
            r"meaning of|significa[mn]?",
            r"what (?:is|are) (?:an? |the (?:meaning|difference|purpose|syntax)|meant by)",
            r"what (?:do|does) .{0,80}?mean|difference between",
            r"qu[eé] (?:es|son|significan?|quiere decir)|cu[aá]l es la diferencia|diferen[cç](?:a|ia) entre",
            r"quer dizer|para qu[eé] s[ie]rve|stands? for",
            r"em (?:que|qual) (?:workstation|servidor|agente|m[aá]quina)|en qu[eé] (?:workstation|servidor)",
            r"on which (?:workstation|server|agent)|what (?:is|are) [\w ]{3,20}\?*\s*$",
        ),
        _cue(
            5,
            r"como (?:se |eu |posso )?\w+[aei]r",
            r"como (?:se |eu )?(?:configur|fa[cç]o|fazer|defin|cri[ao]|funciona|consult|adicion|agend|us[ao]"
            r"|program|cadastr|le[ir]|interpret|posso)\w*",
            r"how (?:do|can|to|does|should) (?:i|we|you|one|the|a|an)?|how to",
            r"c[oó]mo (?:se )?(?:configur|hago|hacer|defin|cre[ao]|funciona)\w*",
            r"c[oó]mo (?:se )?(?:consult|agreg|us[ao]|program|puedo|interpret|planific)\w*",
        ),
        _cue(
            5,
            r"expli(?:que|ca|car|came|came|ame)|me explic\w+|expl[ií]came|explain|documenta[cç][aã]o",
            r"documentation|documentaci[oó]n|manual",
            r"procedimentos?|procedures?|procedimientos?|runbooks?|exemplo|example|ejemplo|sintaxe|syntax",
            r"sintaxis|describe|descreva",
            r"onde (?:fica|encontro|acho|est[aá])|where (?:is|can|do)|d[oó]nde (?:est[aá]|encuentro|queda)",
        ),
        _cue(
            4,
            r"quando (?:roda|executa|vai|[eé] executado)|a que horas|que horas|when (?:does|will|is)|what time",
            r"cu[aá]ndo (?:corre|se ejecuta|va)|a qu[eé] hora|quant[oa]s|how many|how much|cu[aá]nt[oa]s",
            r"quem (?:[eé]|s[aã]o) (?:o |a )?(?:dono|respons\w+)|who owns|qui[eé]n es (?:el )?(?:due|resp)\w+",
            r"(?:quais|which|what|cu[aá]les) .{0,80}(?:predecess?or(?:es|s)?|sucess?or(?:es|s)?|successors?"
            r"|depend[eêa]n\w+|predecesores)",
            r"de qu[eéê] depende|depende[mn]? (?:de|do|da|del)|depends? on",
            r"qual (?:é )?(?:o |a )?(?:hor[aá]rio|dono|agenda|usu[aá]rio|servidor|calend[aá]rio)",
            r"which (?:user|server|calendar)",
        ),
    ),
    Intent.ACTION: (
        _cue(5, r"(?:d[aáe]r?|faz(?:er)?|fa[cç]a|hacer|haz) (?:um |un )?(?:re-?run|restart|cancel|kill)"),
        _cue(6, rf"(?<=^)\W*(?:{_POLITE}\W+)*(?:{_VERB})"),
        _cue(6, rf"{_POLITE}\W+(?:{_VERB})"),
        _cue(
            5, r"conman (?:cj|cs|sbj|sbs|rr|rj|rs|kj|dj|lc|rerun|cancel|submit|release|kill|altpri|limit|link|unlink)"
        ),
    ),
    Intent.GENERAL: (
        _cue(1.2, r"ol[aá]|oi|bom dia|boa tarde|boa noite|hello|hi|hey|good (?:morning|afternoon|evening)|hola"),
        _cue(1.2, r"buen[oa]s? (?:d[ií]as|tardes|noches)"),
        _cue(
            3,
            r"obrigad[oa]|valeu|thanks?|thank you|gracias|tchau|bye|adi[oó]s|at[eé] (?:logo|mais)",
            r"hasta (?:luego|pronto)",
        ),
        _cue(
            9,
            r"quem (?:[eé]|e) voc[eê]|o que (?:voc[eê]|tu) (?:faz|sabe|consegue|pode)|who are you",
            r"what can you (?:do|help)",
            r"qui[eé]n eres|qu[eé] (?:puedes|sabes) hacer|tudo bem(?! (?:com|n[ao]s?)\b)|how are you|c[oó]mo est[aá]s",
            r"voc[eê] [eé] (?:um|uma)|are you an?|eres un",
        ),
        _cue(5, r"piada|joke|chiste|clima|weather|futebol|f[uú]tbol|football|almo[cç]o|lunch"),
    ),
}

STATE_NAMES = re.compile(r"\b(?:STUCK|FAIL|READY|HOLD|LATE|ERROR|ABEND|FENCE|LIMIT|LINKED|UNLINKED)\b")
"""As TWS writes them, in every language: they tell none."""

LANGUAGE_CUES: dict[Language, tuple[Cue, ...]] = {
    Language.PT_BR: (
        _cue(
            2,
            r"n[aã]o|est[aã]o|foi|voc[eê]|quais|qual|quando|isso|ess[ea]|meu|minha|ontem|hoje|obrigad[oa]",
            r"ol[aá]|oi|bom|boa",
        ),
        _cue(
            2,
            r"por que|j[aá]|ainda|preciso|quero|pode|fa[cç]o|mas|mais|tamb[eé]m|agora|onde|arquivos?|pasta",
            r"passo|malha|fluxo|cadeia",
        ),
        _cue(
            2,
            r"(?!you\b)\w{2,}ou|deu|ficou|morreu|caiu|saiu|houve|abendou|pres[oa]|parad[oa]s|valeu|servidor",
            r"esta[cç][aã]o",
        ),
        _cue(1, r"do|da|dos|das|no|na|nos|nas|ao|à|às|um|uma|em|com|pelo|pela|ou|é|são|há|até|os|e|o"),
        _cue(
            1.5,
            r"\w+ção|\w+ções|\w+ão|\w+õe?s|\w*nh[oa]s?|\w*lh[oae]\w*|erros?|rod[ae]r?|rodando|altere|reexecute",
            r"andamento",
        ),
        _cue(1.5, r"est[aá]"),
        _cue(1, r"\w+ê\w*|\w*ç\w*|\w+â\w*|mem[oó]ria|quem|terminou|retorno|o que|me|jobs? em|cancele|como"),
    ),
    Language.EN: (
        _cue(
            1.5,
            r"the|is|are|was|were|has|have|does|did|it|its|this|that|these|on|to|with|and|for|from|my|our|at",
            r"in|by|of|an",
        ),
        _cue(
            1.8,
            r"why|what|how|when|where|which|who|failed|fails?|failing|failure|running|finished|please|thanks?",
            r"hello|hi|hey",
        ),
        _cue(
            1.8,
            r"until|right now|yesterday|today|last|night|stuck|started|ended|waiting|show|list|rerun|restart",
            r"release|explain",
            r"can you",
        ),
        _cue(0.9, r"\w+ing|\w+ed|\w+n't|not|never|error|late|made|again|cancel|keeps|good|you"),
    ),
    Language.ES: (
        _cue(1.4, r"el|los|las|del|al|una|unos|con|y|en|la|lo|su|se"),
        _cue(
            2,
            r"qu[eé] pas[oó]|qu[eé] significa|c[oó]mo|cu[aá]l(?:es)?|cu[aá]ndo|d[oó]nde|qui[eé]n|cu[aá]nt[oa]s",
            r"por qué|fall[oó]|fallaron",
        ),
        _cue(
            2,
            r"est[aá]n|ayer|hoy|hola|gracias|ya|todav[ií]a|anoche|trabajos?|hay|fue|cadena|ejecuta|qued[oó]",
            r"hace|puedes",
        ),
        _cue(
            2,
            r"necesito|quiero|archivos?|salida|reejecuta|relanza|esperando|mu[eé]str\w+|carpeta|paso|flujo",
            r"detenid[oa]s?|mensaje|muchas|buen[oa]s|tardes|noches",
        ),
        _cue(1.5, r"est[aá]"),
        _cue(1.3, r"\w+ción|\w+ciones|\w*ñ\w*|\w{3,}ó|desconectada|salió|servidor de"),
        (re.compile(r"[¿¡]"), 3),
    ),
}
