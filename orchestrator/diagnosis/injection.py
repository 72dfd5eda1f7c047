"""Prompt injection in logs and documents: detected, reported, and never carried into the steps of an answer."""

import re
from collections.abc import Sequence

from orchestrator.codes.control import caseless
from orchestrator.i18n.message import Message, Text
from orchestrator.models import Evidence

MAX_REPORTED = 10
_QUOTE_CHARS = 160
_LINES_AFTER = 2
_MAX_LINES = 200

_PLANTED = re.compile(
    r"\b(?:ignor(?:e|ar|em|a|en)|desconsider(?:e|ar|em)|esque[cç]a|disregard|forget|olvid(?:a|e)|override|bypass)"
    r"\b[^\n.]{0,40}"
    r"\b(?:instru[cç][õo]es|instrucciones|instructions?|regras|rules|reglas|prompts?"
    r"|orienta[cç][õo]es|acima|above|previous|anteriores?)\b"
    r"|<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]|<</?SYS>>|^\s*#{2,}\s*(?:system|instru\w+)\s*:?\s*$"
    r"|\b(?:you are now|act as|from now on,? you|voc[eê] agora [eé]|aja como"
    r"|a partir de agora,? voc[eê]|ahora eres|act[uú]a como)\b"
    r"|\b(?:reveal|show|print|revele|mostre|muestra|revela)\b[^\n.]{0,30}\b(?:system prompt"
    r"|your instructions|suas instru[cç][õo]es"
    r"|tus instrucciones|prompt d[eo] sistema|api key|chave d[ae] api)\b"
    r"|\b(?:assistant|assistente|asistente|LLM|chatbot)\b\s*[,:][^\n]{0,80}?"
    r"\b(?:execut[ea]|run|rode|responda|answer|say|diga|ejecut[ea]|ignor[ea]|cancel[ea]?)\b"
    r"|\b(?:assistant|assistente|asistente|LLM|chatbot)\b[^\n.]{0,20}\b(?:must|should|has to|deve|debe)\b"
    r"|\b(?:analista|analyst|operador|operator)\s?[:,][^\n.]{0,40}?\b(?:say|diga|conclua|conclude|concluya)\b"
    r"|\b(?:AI|IA|modelo)\b\s*[,:]\s*"
    r"(?:execute|run|rode|responda|answer|say|diga|ejecuta|ignore)\b",
    re.IGNORECASE | re.MULTILINE,
)
_AGENTS = ("assistant", "assistente", "asistente", "llm", "chatbot", "analista", "analyst", "operador", "operator")
_SIGNS = (
    (("ignor", "desconsider", "esque", "disregard", "forget", "olvid", "override", "bypass"),),
    (("<|", "inst]", "<<", "##"),),
    (("you are now", "act as", "from now on", "agora", "aja como", "ahora eres", "a como"),),
    (("reveal", "show", "print", "revel", "mostr", "muestr"), ("prompt", "instru", "api key", "chave d")),
    (_AGENTS, ("execut", "run", "rode", "respond", "answer", "say", "diga", "ejecut", "ignor", "cancel", "conclu")),
    (_AGENTS, ("must", "should", "has to", "deve", "debe")),
    (("ai", "ia", "modelo"), ("execut", "run", "rode", "respond", "answer", "say", "diga", "ejecut", "ignor")),
)
"""For the alternatives of ``_PLANTED`` what each match holds, folded: a word of each set. Few lines of logs do."""
_STEP = re.compile(
    r"\b(?:conman|composer|planman|optman|curl|rm|kill|sudo|systemctl|psql|sqlplus)\b[ \t]+[^\n\"'`|]{2,120}",
    re.IGNORECASE,
)


def find_planted(evidence: Sequence[Evidence]) -> tuple[Text, ...]:
    """One sentence for each instruction to the reader, with every item that holds it, at most ``MAX_REPORTED``."""
    ids: dict[str, list[str]] = {}
    for item in evidence:
        for line in dict.fromkeys(_planted_lines(item)):
            # Without its command: what stands in an answer gets copied to a prompt sooner or later.
            quote = _STEP.sub("[...]", line)[:_QUOTE_CHARS]
            ids.setdefault(quote, []).append(f"[{item.id}]")
    return tuple(
        Message(
            "An instruction addressed to its reader, treated as data and not followed: «{quote}» {ids}",
            quote=quote,
            ids=" ".join(cited[:3]),
        )
        for quote, cited in ids.items()
    )[:MAX_REPORTED]


def is_planted(text: str) -> bool:
    """Whether ``text`` addresses its reader with an instruction: such a line is never quoted as a cause."""
    return _may_be_planted(text) and _PLANTED.search(text) is not None


class PlantedSteps:
    """The commands that planted instructions ask for, so that a step which repeats one can be refused."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        lines = [line for item in evidence for line in _planted_lines(item, _LINES_AFTER)]
        steps = (match[0] for line in lines for match in _STEP.finditer(line))
        self._steps = tuple(dict.fromkeys(_words(step) for step in steps))

    def obeyed_by(self, text: str) -> bool:
        """Whether ``text`` holds the beginning of a planted command (program and verb), in whatever spacing."""
        words = _words(text)
        return any(" ".join(step.split()[:2]) in words for step in self._steps)


def _planted_lines(item: Evidence, more: int = 0) -> list[str]:
    """Every line of the item that addresses its reader, with ``more`` lines that follow: a log wraps its lines."""
    lines = []
    for match in _PLANTED.finditer(item.text) if _may_be_planted(item.text) else ():
        start, end = item.text.rfind("\n", 0, match.start()) + 1, match.end()
        for line in range(more + 1):
            after = item.text.find("\n", end + (line > 0))
            end = after if after >= 0 else len(item.text)
        lines.append(item.text[start:end].strip())
    return lines[:_MAX_LINES]


def _may_be_planted(text: str) -> bool:
    """Whether the words are there without which ``_PLANTED`` has no match: a small part of its time."""
    low = caseless(text)
    return any(all(any(map(low.__contains__, words)) for words in sets) for sets in _SIGNS)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[A-Za-z0-9_#.@;=/-]+", text.lower()))
