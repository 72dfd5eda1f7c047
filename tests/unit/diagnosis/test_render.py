"""The answer as text: its sections in three languages, its citations, and what is said when things fail."""

from __future__ import annotations

import json

import pytest

from orchestrator.diagnosis.render import (
    category_title,
    performance_note,
    render_action,
    render_failure,
    render_markdown,
    render_raw,
    render_text,
)
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    Action,
    AggregatedData,
    AnswerMode,
    Claim,
    Diagnosis,
    Evidence,
    Hypothesis,
    SourceEnvelope,
    SourceFailure,
    SourceOutcome,
)

DIAGNOSIS = Diagnosis(
    summary="BATCH001 terminou em ABEND S0C7.",
    root_cause="Campo com brancos.",
    category="data_exception",
    confidence=0.92,
    claims=(Claim(text="O job log registra: “ABEND=S0C7”", evidence_ids=("tws_status:3", "log_cache:1")),),
    hypotheses=(
        Hypothesis(category="data_exception", title="Exceção", confidence=0.92, job="BATCH001"),
        Hypothesis(
            category="application_error",
            title="Erro da aplicação",
            confidence=0.3,
            supports=("tws_status:1",),
            contradicts=("tws_status:3",),
            job="BATCH001",
        ),
    ),
    actions=(
        Action(text="Ler o log."),
        Action(text="Reexecutar.", risk="medium", mutates=True, command="conman rr BATCH001"),
    ),
    prevention=("Validar a entrada.",),
    missing_evidence=("metrics (não respondeu a tempo).",),
    suspicious=("[log_cache:1] contém uma instrução.",),
)
EVIDENCE = (
    Evidence(
        id="tws_status:3",
        source="tws_status",
        kind="job_log",
        title="Job log",
        text="ABEND=S0C7",
        where="hwa:31116 run 7",
        when="2026-11-24T05:00:00Z",
    ),
)
AGGREGATED = AggregatedData(
    sources_available=("tws_status", "rag_search", "log_cache"),
    sources_failed=(SourceFailure(source="metrics", error="timeout", outcome=SourceOutcome.TIMEOUT),),
    parallel_latency_ms=500.4,
    sequential_equivalent_ms=1200,
    speedup_factor=2.4,
)
SECTIONS = {
    Language.PT_BR: ("Diagnóstico", "Evidências", "Passos", "Prevenção", "O que faltou"),
    Language.EN: ("Diagnosis", "Evidence", "Steps", "Prevention", "What was missing"),
    Language.ES: ("Diagnóstico", "Evidencias", "Pasos", "Prevención", "Lo que faltó"),
}


def markdown(
    diagnosis: Diagnosis = DIAGNOSIS,
    language: Language = Language.PT_BR,
    mode: AnswerMode = AnswerMode.DETERMINISTIC,
) -> str:
    """Render as Markdown."""
    return render_markdown(diagnosis, language=language, aggregated=AGGREGATED, evidence=EVIDENCE, mode=mode)


@pytest.mark.parametrize("language", SECTIONS)
def test_the_sections_stand_in_order_in_the_users_language(language: Language) -> None:
    """The five sections follow each other as second-level headings in each language."""
    text = markdown(language=language)
    places = [text.index(f"## {title}\n") for title in SECTIONS[language]]

    assert places == sorted(places)


def test_a_claim_cites_its_evidence_and_where_it_stands() -> None:
    """Ids follow the claim in brackets, then place and time of the first item."""
    assert (
        "- O job log registra: “ABEND=S0C7” [tws_status:3] [log_cache:1] (hwa:31116 run 7 2026-11-24 05:00 (UTC))"
        in markdown()
    )


def test_only_what_changes_something_is_marked_as_a_proposal() -> None:
    """A step that changes something carries its risk and that it was not executed; a check does not."""
    text = markdown()

    assert "1. Ler o log.\n" in text
    assert "2. Reexecutar. `conman rr BATCH001` (proposta, não executada; risco médio)" in text


def test_other_hypotheses_show_what_speaks_for_and_against_them() -> None:
    """The leading hypothesis is the diagnosis; the others stand below with their evidence."""
    text = markdown()

    assert "Erro da aplicação (confiança 30%) [tws_status:1] contra: [tws_status:3]" in text
    assert "Exceção (confiança" not in text


@pytest.mark.parametrize(
    ("language", "note"),
    [
        (
            Language.PT_BR,
            (
                "4 fontes consultadas em paralelo (tws_status, rag_search, log_cache, metrics): 500 ms, "
                "contra 1200 ms em sequência (2,40x); sem resposta: metrics."
            ),
        ),
        (
            Language.EN,
            (
                "4 sources queried in parallel (tws_status, rag_search, log_cache, metrics): 500 ms, "
                "against 1200 ms one by one (2.40x); no answer: metrics."
            ),
        ),
    ],
)
def test_the_performance_note_compares_parallel_with_sequential(language: Language, note: str) -> None:
    """The note names the sources that were asked, both times, the factor and who did not answer."""
    assert performance_note(language, AGGREGATED) == note
    assert note in markdown(language=language)


def test_who_wrote_the_answer_is_said() -> None:
    """An answer of the rules and one of a model say which they are."""
    assert "Resposta das regras" in markdown()
    assert "modelo de linguagem e verificada" in markdown(mode=AnswerMode.LLM)


def test_no_heading_stands_above_nothing() -> None:
    """A section without items is left out, in Markdown and in plain lines."""
    bare = Diagnosis(summary="Nada.", missing_evidence=("metrics",))
    plain = render_text(
        bare, language=Language.PT_BR, aggregated=AGGREGATED, evidence=(), mode=AnswerMode.DETERMINISTIC
    )

    for text in (markdown(bare), plain):
        assert [title for title in SECTIONS[Language.PT_BR] if title.casefold() in text.casefold()] == [
            "Diagnóstico",
            "O que faltou",
        ]
        assert "{" not in text


def test_times_are_told_in_the_zone_of_the_instance() -> None:
    """The time beside a claim is the event's, in the zone of the TWS that was asked, with its name."""
    here = AGGREGATED.model_copy(update={"tws_status": {"time_zone": "America/Sao_Paulo"}})
    several = AGGREGATED.model_copy(update={"tws_status": {"A": {"time_zone": "America/Sao_Paulo"}, "B": {}}})
    for aggregated in (here, several):
        text = render_markdown(
            DIAGNOSIS,
            language=Language.PT_BR,
            aggregated=aggregated,
            evidence=EVIDENCE,
            mode=AnswerMode.DETERMINISTIC,
        )
        assert "(hwa:31116 run 7 2026-11-24 02:00 (America/Sao_Paulo))" in text


def test_the_place_of_evidence_is_told_once() -> None:
    """Claims from one item of evidence repeat its id, and not where it comes from."""
    again = Claim(text="Outra linha", evidence_ids=("tws_status:3",))
    text = markdown(DIAGNOSIS.model_copy(update={"claims": (*DIAGNOSIS.claims, again)}))

    assert text.count("hwa:31116 run 7") == 1
    assert "- Outra linha [tws_status:3]\n" in text


def test_a_passage_is_cited_by_its_document() -> None:
    """The section by which a passage was found is not the one that a step is from: the claim names that."""
    page = Evidence(
        id="rag_search:1", source="rag_search", kind="runbook", title="S0C7 – Sintomas", text="", where="a.md#Sintomas"
    )
    claim = Claim(text="Passo 1 do runbook, seção “Solução”: “x”", evidence_ids=("rag_search:1",))
    text = render_markdown(
        Diagnosis(summary="Nada.", claims=(claim,)),
        language=Language.PT_BR,
        aggregated=AGGREGATED,
        evidence=(page,),
        mode=AnswerMode.DETERMINISTIC,
    )

    assert "[rag_search:1] (a\\.md)\n" in text


def test_an_answer_to_a_greeting_is_a_sentence() -> None:
    """Where there is nothing but a sentence to say, no section is put around it."""
    text = markdown(Diagnosis(summary="Posso investigar jobs."))

    assert "Posso investigar jobs." in text
    assert "Passos" not in text
    assert "Categoria" not in text


def test_time_that_requests_waited_is_not_compared() -> None:
    """A parallel time that is longer than the queries took together, as after a wait for a worker, stands alone."""
    waited = AggregatedData(
        sources_available=("rag_search", "metrics"),
        parallel_latency_ms=364,
        sequential_equivalent_ms=239,
        speedup_factor=0.65,
    )

    note = performance_note(Language.PT_BR, waited)

    assert note == "2 fontes consultadas em paralelo (rag_search, metrics): 364 ms."


def test_a_rerun_that_asked_no_source_claims_no_times() -> None:
    """Where every answer was kept, no time was measured."""
    kept = AggregatedData(sources_available=("tws_status", "metrics"))

    note = performance_note(Language.PT_BR, kept)

    assert note == "Nenhuma fonte foi consultada de novo; foram mantidas as respostas de: tws_status, metrics."


def test_one_source_is_not_compared_with_itself() -> None:
    """The note about a single source gives its time without a comparison."""
    one = AggregatedData(sources_available=("rag_search",), parallel_latency_ms=80, sequential_equivalent_ms=80)

    assert performance_note(Language.PT_BR, one) == "1 fonte consultada (rag_search): 80 ms."


def test_a_models_own_category_stands_as_it_is() -> None:
    """A category outside the vocabulary is shown, not refused."""
    assert category_title("cosmic_rays", Language.EN) == "cosmic_rays"
    assert category_title("dataset_space", Language.EN) == "Dataset out of space"


@pytest.mark.parametrize("language", SECTIONS)
def test_the_terminal_gets_the_same_in_plain_lines(language: Language) -> None:
    """Claims, steps, gaps and the note stand in the compact text as well, without Markdown."""
    text = render_text(
        DIAGNOSIS, language=language, aggregated=AGGREGATED, evidence=EVIDENCE, mode=AnswerMode.DETERMINISTIC
    )

    assert all(title.upper() in text for title in SECTIONS[language])
    assert "[tws_status:3]" in text
    assert "$ conman rr BATCH001" in text
    assert performance_note(language, AGGREGATED) in text
    assert "**" not in text
    assert "##" not in text


@pytest.mark.parametrize("timed_out", [True, False])
def test_a_failure_says_which_why_and_what_to_do(timed_out: bool) -> None:
    """Each missing source stands with its reason, the minimum is named, and the next step fits the failure."""
    text = render_failure(
        language=Language.PT_BR,
        failures=[
            SourceFailure(source="tws_status", error="401", outcome=SourceOutcome.ERROR, job="A1"),
            SourceFailure(source="metrics", error="t", outcome=SourceOutcome.TIMEOUT),
            SourceFailure(source="log_cache", error="n", outcome=SourceOutcome.NOT_STARTED),
            SourceFailure(source="rag_search", error="n", outcome=SourceOutcome.NOT_STARTED, reason="queue_full"),
            SourceFailure(source="tickets", error="l", outcome=SourceOutcome.LOST),
        ],
        min_sources_required=2,
        timed_out=timed_out,
    )

    assert "**tws_status (A1)**: erro: 401" in text
    assert "**metrics**: não respondeu a tempo" in text
    assert "**log_cache**: nenhum worker iniciou a consulta" in text
    assert "mínimo" in text
    assert "(node timeout)" in text
    assert "inicie os workers dessas fontes (log_cache)" in text
    assert "veja os logs dos workers dessas fontes (tickets)" in text
    assert "**rag_search**: havia pedidos demais à espera dela" in text
    assert "acrescente workers para essas fontes (rag_search)" in text
    assert ("antes do prazo" in text) is timed_out


@pytest.mark.parametrize("timed_out", [True, False])
def test_a_minimum_above_the_sources_that_were_queried_is_told(timed_out: bool) -> None:
    """Asking again is no advice where every source has answered and the minimum asks for more."""
    text = render_failure(language=Language.PT_BR, failures=[], min_sources_required=9, timed_out=timed_out)

    assert ("com um mínimo menor" in text) is not timed_out
    assert ("Repita a pergunta" in text) is timed_out


def test_a_failure_without_a_known_outcome_is_told_all_the_same() -> None:
    """A failure that carries neither outcome nor text does not break the answer."""
    text = render_failure(
        language=Language.EN,
        failures=[SourceFailure(source="metrics", error="")],
        min_sources_required=1,
        timed_out=False,
    )

    assert "**metrics**: error: ?" in text


def test_raw_data_is_shown_per_source_and_cannot_leave_its_block() -> None:
    """When aggregation fails each source's data is shown; a fence inside it does not end the block."""
    text = render_raw(
        language=Language.EN,
        envelopes=[
            SourceEnvelope(
                source="tws_status",
                job="A1",
                outcome=SourceOutcome.OK,
                success=True,
                data={"log": "```\n# not a heading"},
                finding="A1 ABEND",
            ),
            SourceEnvelope(source="metrics", outcome=SourceOutcome.LOST, success=False),
        ],
    )
    block = text.split("````json\n")[1].split("\n````")[0]

    assert "### tws_status · A1" in text
    assert "A1 ABEND" in text
    assert json.loads(block)["log"] == "```\n# not a heading"
    assert "its worker was lost" in text


def test_long_raw_data_is_cut_and_said() -> None:
    """Raw data is bounded, and how much was cut is told."""
    envelope = SourceEnvelope(source="metrics", outcome=SourceOutcome.OK, success=True, data={"x": "y" * 9_000})
    text, in_portuguese = (
        render_raw(language=language, envelopes=[envelope]) for language in (Language.EN, Language.PT_BR)
    )

    assert len(text) < 5_000
    assert "characters cut" in text
    assert "caracteres cortados" in in_portuguese


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        (Action(text="Ver o log", command="conman sj A"), "Ver o log `conman sj A`"),
        (Action(text="Rode conman sj A antes", command="conman sj A"), "Rode `conman sj A` antes"),
        (Action(text="Rode `conman sj A` antes", command="conman sj A"), "Rode `conman sj A` antes"),
        (
            Action(text="conman rr A", command="conman rr A", mutates=True, risk="medium"),
            "`conman rr A` (proposta, não executada; risco médio)",
        ),
    ],
)
def test_a_command_is_shown_once(action: Action, shown: str) -> None:
    """A command that its step's sentence holds already is not repeated after it."""
    assert render_action(action, Language.PT_BR) == shown


def test_a_models_first_alternative_is_shown() -> None:
    """A model lists alternatives without the leading cause: the first of them is not taken for it."""
    alternative = Hypothesis(category="disk_full", title="Disco cheio", confidence=0.2, supports=("tws_status:3",))
    diagnosis = DIAGNOSIS.model_copy(update={"hypotheses": (alternative,)})
    text = render_markdown(
        diagnosis, language=Language.PT_BR, aggregated=AggregatedData(), evidence=(), mode=AnswerMode.LLM
    )
    assert "Disco cheio (confiança 20%)" in text


@pytest.mark.parametrize(
    ("llm", "said"),
    [
        (None, "without a language model"),
        ({"failed": "timeout"}, "a language model is configured, but it did not answer in time."),
        ({"failed": "not_found", "status": 404}, "does not know the address or the model (HTTP 404)."),
        ({"failed": "RuntimeError"}, "it failed (RuntimeError)."),
        ({"skipped": "no_time_left"}, "no time was left to ask it."),
    ],
)
def test_a_model_that_failed_is_told_from_none(llm: dict[str, object] | None, said: str) -> None:
    """The last sentence says whether no model is configured or why the configured one did not write the answer."""
    for render in (render_markdown, render_text):
        text = render(
            Diagnosis(summary="x"),
            language=Language.EN,
            aggregated=AGGREGATED,
            evidence=EVIDENCE,
            mode=AnswerMode.DETERMINISTIC,
            llm=llm,
        )
        assert said in text
