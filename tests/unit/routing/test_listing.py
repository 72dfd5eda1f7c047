"""Which questions ask for a list of the plan, and what the list is limited to."""

import json
from pathlib import Path

import pytest

from orchestrator.models import Entities
from orchestrator.routing.listing import Listed, Listing, listing_beside, listing_of, maps_jobs
from orchestrator.routing.router import route

UTTERANCES = json.loads((Path(__file__).parents[2] / "data/utterances.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("question", "listed", "states", "is_count"),
    [
        ("quais jobs estão em abend?", "jobs", ("abended",), False),
        ("qual job esta em abend?", "jobs", ("abended",), False),
        ("quantos falharam?", "jobs", ("failed",), True),
        ("quantos jobs falharam hoje na pasta BATCH", "jobs", ("failed",), True),
        ("jobs bloqueados na folder PIX", "jobs", ("blocked",), False),
        ("quais jobs estão rodando", "jobs", ("running",), False),
        ("quais os jobs que ainda nao acabaram?", "jobs", ("unfinished",), False),
        ("Qual o status dos jobs?", "jobs", (), True),
        ("status geral da pasta /PROD/RH", "jobs", (), True),
        ("tem algum job parado?", "jobs", ("blocked",), False),
        ("quantos jobs ainda estão em hold?", "jobs", ("HOLD",), True),
        ("workstations offline", "workstations", ("unlinked",), False),
        ("quais agentes estão sem link?", "workstations", ("unlinked",), False),
        ("quais streams estão atrasados agora", "streams", ("late",), False),
        ("list everything that abended overnight", "jobs", ("abended",), False),
        ("how many are still pending?", "jobs", ("waiting",), True),
        ("any jobs running late right now?", "jobs", ("late",), False),
        ("show jobs in FENCE", "jobs", ("FENCE",), False),
        ("¿cuántos trabajos fallaron?", "jobs", ("failed",), True),
        ("¿hay algún job caído?", "jobs", ("failed",), False),
        ("tem alguma estação fora do ar?", "workstations", ("unlinked",), False),
        ("o que está em abend?", "jobs", ("abended",), False),
        ("what failed last night?", "jobs", ("failed",), False),
        ("qtos jobs em hold na pasta /PRD/CRM", "jobs", ("HOLD",), True),
        ("lista os jobs da ZOS1", "jobs", (), False),
        ("quais jobs da ZOS1 estão parados?", "jobs", ("blocked",), False),
        ("how many jobs are ready?", "jobs", ("READY",), True),
        ("quantos jobs estão ready?", "jobs", ("READY",), True),
        ("any jobs that are stuck?", "jobs", ("blocked",), False),
        ("show the jobs of LNX01", "jobs", (), False),
        ("muestra el estado de los nodos", "workstations", (), False),
    ],
)
def test_a_list_is_recognised_with_its_limits(
    question: str, listed: str, states: tuple[str, ...], is_count: bool
) -> None:
    """In three languages, with and without a verb."""
    listing = listing_of(question, route(question).entities)
    assert listing is not None
    assert (listing.listed, listing.states, listing.is_count) == (Listed(listed), states, is_count)


@pytest.mark.parametrize(
    "question",
    [
        "lista todos os jobs",
        "me mostra todos os jobs",
        "mostra os jobs",
        "listar jobs",
        "lista de jobs",
        "todos os jobs",
        "quais jobs existem no plano?",
        "quais são os jobs de hoje?",
        "list all jobs",
        "show me all the jobs in the plan",
        "muéstrame todos los trabajos",
    ],
)
def test_a_list_limited_to_nothing_is_one_of_all_the_jobs(question: str) -> None:
    """Asked for by a verb, or by the word for all of them."""
    assert listing_of(question, route(question).entities) == Listing(Listed.JOBS)


@pytest.mark.parametrize(
    "question",
    [
        "quais jobs estão em HOLD e por quê?",
        "quais jobs estão em hold, por que?",
        "which jobs are in HOLD and why?",
        "¿qué trabajos están en HOLD y por qué?",
    ],
)
def test_a_list_may_be_asked_for_with_the_reasons(question: str) -> None:
    """The reasons at the end of a question for a list make it no other question."""
    assert listing_of(question, route(question).entities) == Listing(Listed.JOBS, ("HOLD",), asks_why=True)


@pytest.mark.parametrize(
    "question",
    [
        "lista os jobs da FATDIA",
        "quais jobs tem na ZOS1?",
        "que jobs tem na fatdia",
        "o que roda na ZOS1?",
        "what runs on LNX01?",
        "what jobs run on LNX01?",
        "which jobs are in stream FATDIA?",
        "¿qué jobs hay en ZOS1?",
        "trabajos de la cadena FATDIA",
        "jobs da ZOS1",
        "jobs na LNX01",
        "quais os jobs da malha FATDIA?",
        "quais jobs temos na ZOS1 hoje?",
        "quais jobs estão na pasta /PRD/FAT?",
    ],
)
def test_what_a_place_has_is_a_list_of_all_its_jobs(question: str) -> None:
    """Without a state; of a job stream, workstation or folder, or of a word that may be the name of one."""
    entities = route(question).entities
    assert listing_of(question, entities) == Listing(Listed.JOBS)
    assert entities.jobs == ()
    assert entities.job_streams or entities.workstations or entities.folders or entities.candidates


@pytest.mark.parametrize(
    "question",
    [
        "Por que os jobs falharam?",
        "quais jobs da FATDIA usam DB2?",
        "o que aconteceu na FATDIA?",
        "o job BATCH001 roda na ZOS1?",
        "quando rodam os jobs da FATDIA?",
        "o job está esperando o recurso FITAS, o que faço?",
        "por que os jobs esperam o recurso FITAS?",
        "Como recuperar um job em ABEND com dependência que bloqueia o plano?",
        "o que fazer quando jobs ficam em HOLD?",
        "qual a diferença entre HOLD e READY?",
        "há um limite de jobs por workstation?",
        "can a job run on two workstations at once?",
        "max number of jobs a workstation can run",
        "which state means waiting for a file",
        "por que o job ta em ready e nao sobe",
        "status do job BATCH001",
        "quais jobs deram S0C7?",
        "a estação FTA_RJ2 perdeu o link e 15 jobs estão esperando",
        "o schedule CARGA_DW ficou stuck, qual job travou?",
        "como faço para listar jobs em hold?",
        "o que é ABEND?",
        "what is STUCK?",
        "todo parado desde las 5:00",
        "cancela todos os jobs em hold",
        "o agente SRV01 está offline",
        "quem é o responsável pelos jobs da pasta PIX?",
        "Bom dia",
        "",
    ],
)
def test_another_question_is_no_list(question: str) -> None:
    """Why, how, what is the limit; a job or a code that is named; a report of what happened."""
    assert listing_of(question, route(question).entities) is None


def test_no_request_for_an_action_is_taken_for_a_list() -> None:
    """Over all the labelled questions, those of the router's training and those held out from it."""
    listed = {row["intent"] for row in UTTERANCES if listing_of(row["text"], route(row["text"]).entities) is not None}
    assert listed <= {"status", "troubleshoot", "query"}


@pytest.mark.parametrize(
    "question",
    ["o que tá rodando na SRVUNX1?", "what is running on SRVUNX1?", "qué está corriendo en SRVUNX1?"],
)
def test_what_runs_on_a_workstation_is_a_list(question: str) -> None:
    """The name is where, not the job that is asked about."""
    entities = route(question).entities
    assert entities.workstations == ("SRVUNX1",)
    assert listing_of(question, entities) == Listing(Listed.JOBS, ("running",))


@pytest.mark.parametrize(
    "form",
    [
        "quais jobs em {} hoje?",
        "quais jobs estão em {}?",
        "jobs em {}",
        "jobs {}",
        "{} jobs",
        "which jobs are in {}?",
        "¿qué trabajos están en {}?",
        "o que está em {}?",
        "tem algum job em {}?",
    ],
)
@pytest.mark.parametrize(
    ("state", "states"),
    [
        ("ABEND", ("abended",)),
        ("FAIL", ("FAIL",)),
        ("HOLD", ("HOLD",)),
        ("STUCK", ("blocked", "STUCK")),
        ("READY", ("READY",)),
        ("EXEC", ("EXEC",)),
        ("SUCC", ("SUCC",)),
        ("CANCL", ("CANCL",)),
        ("PEND", ("PEND",)),
        ("SUSP", ("SUSP",)),
        ("FENCE", ("FENCE",)),
        ("WAIT", ("WAIT",)),
        ("ADD", ("ADD",)),
    ],
)
def test_a_state_of_tws_limits_a_list_to_itself(form: str, state: str, states: tuple[str, ...]) -> None:
    """FAIL is a state of its own, and not whatever has failed."""
    question = form.format(state)
    listing = listing_of(question, route(question).entities)
    assert listing is not None
    assert (listing.listed, listing.states) == (Listed.JOBS, states)


@pytest.mark.parametrize(
    ("question", "states"),
    [
        ("quais jobs estão em fail?", ("FAIL",)),
        ("QUAIS JOBS EM FAIL HOJE?", ("FAIL",)),
        ("quais jobs em ERROR?", ("ERROR",)),
        ("which jobs are in error?", ("failed",)),
        ("quais jobs deram erro?", ("failed",)),
        ("quais streams em STUCK?", ("STUCK",)),
        ("quais jobs estão suspensos?", ("SUSP",)),
        ("¿qué trabajos están suspendidos?", ("SUSP",)),
        ("quais jobs estão prontos?", ("READY",)),
        ("what is on hold?", ("HOLD",)),
        ("quais jobs em CANCEL?", ("CANCL",)),
        ("quais jobs foram cancelados?", ("cancelled",)),
        ("quais jobs em sucesso?", ("SUCC",)),
        ("failed jobs", ("failed",)),
        ("quais jobs com status de hold?", ("HOLD",)),
    ],
)
def test_words_for_a_state_limit_a_list_too(question: str, states: tuple[str, ...]) -> None:
    """In small letters, shouted, and in the words of each language."""
    listing = listing_of(question, route(question).entities)
    assert listing is not None
    assert listing.states == states


@pytest.mark.parametrize(
    "question",
    [
        "o BATCH001 e todos os jobs em abend do stream FECHADIA",
        "todos os jobs em abend do stream FECHADIA e o BATCH001",
        "todos os jobs em abend do stream FECHADIA, mais o job BATCH001",
        "por que o BATCH001 falhou? e todos os jobs em abend do stream FECHADIA?",
        "por que o BATCH001 falhou, e quais jobs estao em abend no stream FECHADIA",
        "why did BATCH001 fail, and all jobs in abend of stream FECHADIA?",
        "por qué falló BATCH001 y todos los jobs en abend de la cadena FECHADIA",
        "por que o BATCH001 falhou? e todos os jobs em abend da malha FECHADIA da pasta IT?",
    ],
)
def test_a_list_stands_beside_a_named_job(question: str) -> None:
    """The words of the list name no job; it is limited by what they name."""
    entities = route(question).entities
    assert entities.jobs == ("BATCH001",)
    found = listing_beside(question, entities)
    assert found is not None
    assert (found[0].states, found[1].job_streams, found[1].jobs) == (("abended",), ("FECHADIA",), ())


@pytest.mark.parametrize(
    "question",
    [
        "quais jobs em abend dependem do BATCH001?",
        "o BATCH001 caiu",
        "BATCH001 e BATCH002 falharam",
        "o job BATCH001 falhou e o que falhou antes dele?",
        "o BATCH001 caiu. Quais jobs falharam por causa disso?",
        "Job BATCH001 falhou, todos os jobs dependentes estão parados",
        "why did BATCH001 fail? Which jobs failed before it?",
        "BATCH001 failed, which downstream jobs are stuck?",
        "¿por qué falló BATCH001 y qué trabajos fallaron antes de él?",
    ],
)
def test_a_list_about_a_named_job_is_none_beside_it(question: str) -> None:
    """Nor is any other question about it."""
    assert listing_beside(question, route(question).entities) is None


def test_a_list_stands_beside_the_job_of_the_request() -> None:
    """Where its words are of jobs; "what failed?" asks about this one."""
    entities = Entities(jobs=("BATCH001",), job_streams=("FECHADIA",))
    found = listing_beside("todos os jobs em abend do stream FECHADIA", entities)
    assert found == (Listing(Listed.JOBS, ("abended",)), Entities(job_streams=("FECHADIA",)))
    assert listing_beside("o que falhou?", Entities(jobs=("BATCH001",))) is None


@pytest.mark.parametrize(
    ("question", "states"),
    [
        ("Por que falharam todos os jobs em abend hoje?", ("abended",)),
        ("por que tantos jobs falharam hoje?", ("failed",)),
        ("POR QUE OS JOBS EM ABEND FALHARAM?", ("abended",)),
        ("o que aconteceu com os jobs que falharam hoje?", ("failed",)),
        ("analise os jobs em abend", ("abended",)),
        ("investigue todos os jobs parados", ("blocked",)),
        ("why did so many jobs fail?", ("failed",)),
        ("why did all abended jobs fail?", ("abended",)),
        ("¿por qué fallaron todos los jobs en abend?", ("abended",)),
    ],
)
def test_the_reasons_of_a_whole_list_are_asked_for_without_asking_for_the_list(
    question: str, states: tuple[str, ...]
) -> None:
    """Each of its jobs is asked about."""
    entities = route(question).entities
    assert listing_of(question, entities) == Listing(Listed.JOBS, states, asks_why=True)
    assert maps_jobs(question, entities)


@pytest.mark.parametrize(
    "question",
    [
        "Por que falharam os jobs?",
        "por que jobs ficam em HOLD?",
        "why do jobs go to HOLD?",
        "por que o servidor dos jobs caiu?",
        "por que o job dos outros falhou?",
        "analise o job BATCH001",
    ],
)
def test_a_question_about_jobs_in_general_or_one_thing_of_theirs_maps_nothing(question: str) -> None:
    """It is diagnosed, or explained."""
    assert not maps_jobs(question, route(question).entities)


def test_the_reasons_of_jobs_that_the_request_names_are_theirs() -> None:
    """No list of the plan is asked for beside them."""
    entities = route("x").entities.model_copy(update={"jobs": ("BATCH001", "BATCH002")})
    assert not maps_jobs("Por que todos os jobs falharam?", entities)
