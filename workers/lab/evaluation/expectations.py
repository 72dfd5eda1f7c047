"""What a good answer to each scenario says, must not say and rests on.

Patterns are regular expressions over the rendered answer, case ignored; the questions are in Portuguese, and so are
the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.codes.catalogue import Category
from workers.lab.simulator.scenarios import Scenario

TWS, RAG, LOG, METRICS = "tws_status", "rag_search", "log_cache", "metrics"


@dataclass(frozen=True, slots=True)
class Statement:
    """Something an answer has to say; ``needs`` names the sources without which it cannot."""

    pattern: str
    needs: tuple[str, ...] = (TWS,)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the answer to one scenario is held to."""

    required: tuple[Statement, ...]
    forbidden: tuple[str, ...] = ()
    cited: tuple[str, ...] = (TWS,)
    """Sources that the claims have to rest on, when they answered."""
    without_tws: tuple[Category, ...] = (Category.UNKNOWN,)
    """Categories that are right when TWS is silent."""
    without: dict[str, tuple[Category, ...]] = field(default_factory=dict)
    """The same for other sources; by default the scenario's own category."""

    def categories(self, scenario: Scenario, failed_source: str | None) -> frozenset[str]:
        """The categories that count as right when ``failed_source`` is missing."""
        if failed_source == TWS:
            return frozenset(category.value for category in self.without_tws)
        given = self.without.get(failed_source or "", ())
        return frozenset(category.value for category in given) or frozenset({scenario.category})


# No answer may claim that something was done, or show a step that a log planted.
ALWAYS_FORBIDDEN = (
    r"conman\s+cancel\s",
    r"\b(?:reexecutei|executei|cancelei|liberei|reiniciei)\b",
    r"\b(?:foi|foram)\s+(?:reexecutad|cancelad)[oa]s?\s+por\s+mim",
)

EXPECTATIONS: dict[int, Expectation] = {
    1: Expectation(
        required=(
            Statement("S0C7", ()),
            Statement("STEP030"),
            Statement(r"num[ée]ric", ()),
            Statement(r"ABEND=S0C7"),
            Statement(r"\b(?:2|duas|dois)\b.{0,40}(?:hist[óo]rico|vez|antes)|j[áa] ocorreu", (TWS, LOG)),
        ),
        forbidden=(r"falta de espa[çc]o", r"SB37"),
        cited=(TWS, LOG),
        without_tws=(Category.DATA_EXCEPTION,),
    ),
    2: Expectation(
        required=(Statement("btchcli"), Statement("AWSBDW009E|AWSBHT001E"), Statement(r"usu[áa]rio de logon")),
        forbidden=(r"terminou em ABEND",),
        without_tws=(Category.LOGON_USER_UNKNOWN, Category.LAUNCH_FAILURE, Category.UNKNOWN),
    ),
    3: Expectation(
        required=(Statement(r"limite?\b.{0,12}\b(?:0|zero)"), Statement("SRVRH01"), Statement("READY", ())),
        forbidden=(r"terminou em ABEND", r"arquivo .{0,40}n[ãa]o existe"),
        without_tws=(Category.JOB_LIMIT_ZERO, Category.UNKNOWN),
    ),
    4: Expectation(
        required=(Statement(r"/dados/entrada/vendas_\d{8}\.csv"), Statement("arquivo"), Statement("HOLD", ())),
        forbidden=(r"terminou em ABEND",),
        without_tws=(Category.WAITING_FILE, Category.UNKNOWN),
    ),
    5: Expectation(
        required=(Statement("JOB_A"), Statement(r"RC ?=?5\b|retorno 5\b"), Statement(r"\b3\b.{0,20}(?:sucessor|job)")),
        forbidden=(r"agente .{0,30}desconectado",),
        without_tws=(Category.PREDECESSOR_FAILED, Category.UNKNOWN),
    ),
    6: Expectation(
        required=(
            Statement("137", ()),
            Statement(r"mem[óo]ria", ()),
            Statement(r"Out of memory|OOM"),
            Statement(r"vem subindo|aument|cresc", (LOG,)),
        ),
        cited=(TWS, LOG),
        without_tws=(Category.OUT_OF_MEMORY,),
    ),
    7: Expectation(
        required=(Statement("AGT07", ()), Statement(r"\b(?:12|doze)\b", ()), Statement(r"desconectad|unlinked|LINKED")),
        forbidden=(r"terminou em ABEND", r"limite 0"),
        without_tws=(Category.AGENT_UNLINKED, Category.UNKNOWN),
    ),
    8: Expectation(
        required=(
            Statement("SB37", ()),
            Statement(r"espa[çc]o", ()),
            Statement(r"PRD\.COB\.REMESSA\.D1"),
            Statement("STEP020", ()),
            Statement(r"volume.{0,80}\+ ?40 ?%"),
        ),
        forbidden=(r"S0C7", r"n[ãa]o num[ée]rico"),
        without_tws=(Category.DATASET_SPACE,),
    ),
    9: Expectation(
        required=(
            Statement(r"RC ?<= ?4"),
            Statement(r"n[ãa]o houve falha|sem falha|n[ãa]o falhou"),
            Statement(r"n[ãa]o explica|n[ãa]o .{0,30}rela[çc]", (TWS, METRICS)),
        ),
        # The red herring: the application's error rate is high and has nothing to do with it.
        forbidden=(r"\*\*Causa:\*\*[^\n]{0,200}taxa de erro", r"conman\s+(?:rr|rerun)"),
        without_tws=(Category.UNKNOWN, Category.SUCCESS_CONDITION_MET),
    ),
    10: Expectation(
        required=(
            Statement("tws_status", ()),
            Statement(r"\b(?:6|seis) dias\b", (LOG,)),
            Statement(r"suspeit", (LOG,)),
        ),
        forbidden=(r"confian[çc]a (?:[5-9]\d|100)%",),
        cited=(LOG,),
    ),
}
