"""Expectations for the answer to each scenario: required and forbidden statements, and cited sources.

Patterns are regular expressions over the rendered answer, case ignored; questions and answers are in Portuguese.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.codes.catalogue import Category
from workers.lab.simulator.scenarios import Scenario

TWS, RAG, LOG, METRICS = "tws_status", "rag_search", "log_cache", "metrics"


@dataclass(frozen=True, slots=True)
class Statement:
    """A required statement; it is not required when one of the sources in ``needs`` failed."""

    pattern: str
    needs: tuple[str, ...] = (TWS,)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expectation for the answer to one scenario."""

    required: tuple[Statement, ...]
    forbidden: tuple[str, ...] = ()
    cited: tuple[str, ...] = (TWS,)
    """Sources that the claims must cite if they answered."""
    without_tws: tuple[Category, ...] = (Category.UNKNOWN,)
    """Right categories without TWS."""
    without: dict[str, tuple[Category, ...]] = field(default_factory=dict)
    """Right categories without another source; by default the scenario's own."""

    def categories(self, scenario: Scenario, failed_source: str | None) -> frozenset[str]:
        """The right categories when ``failed_source`` failed."""
        if failed_source == TWS:
            return frozenset(category.value for category in self.without_tws)
        categories = self.without.get(failed_source or "", ())
        return frozenset(category.value for category in categories) or frozenset({scenario.category})


# No answer may claim to have acted, or show a command injected by a log.
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
        # The red herring: the application's error rate is high for another reason.
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
