"""The language of a question, from weighted cue words: Portuguese, English, Spanish (1 a hint, 3 certain)."""

from __future__ import annotations

import re

from orchestrator.i18n.languages import Language

Cue = tuple[re.Pattern[str], float]


def _cue(weight: float, *alternatives: str) -> Cue:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(alternatives)})(?![\w-])", re.IGNORECASE), weight


STATE_NAMES = re.compile(r"\b(?:STUCK|FAIL|READY|HOLD|LATE|ERROR|ABEND|FENCE|LIMIT|LINKED|UNLINKED)\b")
"""As TWS writes them, in every language: they tell none."""

# What follows a letter in mid-word is bounded: a pasted "word" of thousands of such letters would take a second.
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
        # As written in chats.
        _cue(
            2,
            r"pra|pro|t[áô]|vcs?|pq|dnv|hj|kd|pfv|a[íi]|tem|tudo|sem",
            r"num|numa|essa|esse|bom dia+|vlw|gente|favor (?!de )",
        ),
        _cue(1, r"do|da|dos|das|no|na|nos|nas|ao|à|às|um|uma|em|com|pelo|pela|ou|é|são|há|até|os|e|o"),
        _cue(
            1.5,
            r"\w+ção|\w+ções|\w+ão|\w+õe?s|\w*nh[oa]s?|\w*lh[oae]\w{0,20}|erros?|rod[ae]r?|rodando|altere|reexecute",
            r"andamento",
        ),
        _cue(1.5, r"est[aá]"),
        _cue(
            1, r"\w+ê\w{0,20}|\w*ç\w{0,20}|\w+â\w{0,20}|mem[oó]ria|quem|terminou|retorno|o que|me|jobs? em|cancele|como"
        ),
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
        _cue(
            1.8,
            r"now|off|about|take|tell|give|put|mark|pls|plz|whats|wats|anyone|your?|we|they|some|any|all|out|up|but|mate|since|after|u|see|tomorrow",
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
        _cue(
            2,
            r"de nuevo|otra vez|muy|pero|porfa|xq|despu[eé]s|mis?|hasta|listo|favor de|cu[aá]nto|oye|desde las",
            r"dice|deja|sigue|lleva|buen|equipo|nos",
        ),
        _cue(1.5, r"est[aá]"),
        _cue(1.3, r"\w+ción|\w+ciones|\w*ñ\w{0,20}|\w{3,}ó|desconectada|salió|servidor de"),
        (re.compile(r"[¿¡]"), 3),
    ),
}


MAX_HITS = 3
"""Times that one cue of a language counts: a pasted log must not outvote the question around it."""


_DEFAULT_LANGUAGE = Language.PT_BR


def detect_language(message: str) -> Language:
    """The language of the question; Portuguese, which most users write, when nothing tells."""
    words = STATE_NAMES.sub(" ", message)
    votes = {
        lang: sum(weight * min(MAX_HITS, len(cue.findall(words))) for cue, weight in cues)
        for lang, cues in LANGUAGE_CUES.items()
    }
    best = max(votes, key=lambda lang: votes[lang])
    return best if votes[best] > votes[_DEFAULT_LANGUAGE] else _DEFAULT_LANGUAGE
