"""Questions that go on from an earlier one, and questions about nothing of the scheduler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.diagnosis.rules.diagnose import diagnose
from orchestrator.i18n.languages import Language
from orchestrator.models import (
    AggregatedData,
    Entities,
    Intent,
    Plan,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.payloads import JobFacts, ListedGroup, ListingFacts, TwsPayload, listed_jobs
from orchestrator.routing.follow_up import Focus, Reference, Subject, distinct, focus_of, reference_of, subjects_of
from orchestrator.routing.plan import WHICH_ONE, plan_request
from orchestrator.routing.router import route

PER_JOB = {"tws_status": True, "rag_search": False, "log_cache": True, "metrics": False}
DATA = json.loads((Path(__file__).parents[2] / "data" / "follow_ups.json").read_text(encoding="utf-8"))
RUN = "run-00000001"
BACK = DATA["back"]
OF_THE_PLAN = [
    question
    for question in DATA["plan"]
    # The others may be asked of either.
    if reference_of(question, route(question).entities) is not Reference.OPEN
]


def about(*jobs: str, run_id: str = RUN, **entities: object) -> list[Subject]:
    return list(subjects_of(run_id, Entities.model_validate({"jobs": jobs, **entities}), jobs, ()))


@pytest.mark.parametrize(
    ("kind", "question"), [(kind, question) for kind in ("back", "plan", "nothing") for question in DATA[kind]]
)
def test_what_a_question_refers_to(kind: str, question: str) -> None:
    """By its words alone a question goes on from another, is about the plan, or about nothing of the scheduler."""
    found = reference_of(question, route(question).entities)
    # Without a word that names or asks of the plan, the plan is what an open question means; what may be a name is
    # looked up before a question is about nothing.
    also = {"plan": Reference.OPEN, "nothing": Reference.MAYBE}.get(kind)
    assert found.value == kind or found is also


def _goes_on(question: str) -> bool:
    """Whether a question is about the session's job."""
    request = TroubleshootRequest(message=question, session_id="s")
    return plan_request(request, PER_JOB, lambda: about("BATCH001")).routing.follows is not None


@pytest.mark.parametrize("question", DATA["others"])
def test_a_question_about_something_else_is_no_follow_up(question: str) -> None:
    """A name, the plan as a whole, how something works and small talk leave the session's job aside."""
    assert not _goes_on(question)


def test_follow_ups_that_nobody_looked_at_are_recognised() -> None:
    """At least 85 % of sixty phrasings go on from the session, and at most two of thirty other questions."""
    back = sum(map(_goes_on, DATA["held_out"]["back"]))
    others = sum(map(_goes_on, DATA["held_out"]["others"]))
    print(f"{back} of {len(DATA['held_out']['back'])}, {others} of {len(DATA['held_out']['others'])} others")  # noqa: T201
    assert back >= 0.85 * len(DATA["held_out"]["back"])
    assert others <= 2


@pytest.mark.parametrize(
    "question",
    [
        "SQLCODE -803",
        "por que o BATCH001 falhou?",
        "e o BATCH002?",
        "o que é S0C7?",
        "RC 12?",
        "e a stream DIARIO#FECH?",
    ],
)
def test_a_question_that_names_something_stands_for_itself(question: str) -> None:
    """A name or a code is what the question is about, whatever the session holds."""
    assert reference_of(question, route(question).entities) is Reference.NAMED


@pytest.mark.parametrize(
    "line",
    ["No space left on device", "java.lang.OutOfMemoryError: Java heap space", "ssh: connect: Connection refused"],
)
def test_a_pasted_line_is_about_the_scheduler(line: str) -> None:
    """A line of a log without a code is known by the catalogue of symptoms."""
    assert reference_of(line, route(line).entities) not in (Reference.NOTHING, Reference.MAYBE)


@pytest.mark.parametrize("question", BACK)
def test_a_follow_up_is_about_the_sessions_job(question: str) -> None:
    """In a session about one job the sources are asked for it, with the codes that the user named before."""
    request = TroubleshootRequest(message=question, session_id="s")
    plan = plan_request(request, PER_JOB, lambda: about("BATCH001", abend_codes=("S0C7",)))
    assert plan.jobs == ("BATCH001",)
    assert plan.routing.follows == RUN
    assert plan.routing.entities.abend_codes == ("S0C7",)
    assert plan.routing.intent in (Intent.TROUBLESHOOT, Intent.STATUS, Intent.ACTION)


@pytest.mark.parametrize("question", BACK)
def test_a_follow_up_of_nothing_asks_which_job(question: str) -> None:
    """Without a session, or in one about several jobs, nobody is asked and the answer asks which job is meant."""
    request = TroubleshootRequest(message=question, session_id="s", language=Language.EN)
    alone = plan_request(request, PER_JOB)
    assert (alone.pipeline, alone.sources) == (WHICH_ONE, ())
    assert "Which job" in alone.reason
    several = plan_request(request, PER_JOB, lambda: [*about("BATCH001"), *about("FECH001")])
    assert (several.pipeline, several.sources) == (WHICH_ONE, ())
    assert several.reason == "Which one do you mean: BATCH001, FECH001?"


@pytest.mark.parametrize("question", OF_THE_PLAN)
def test_a_question_about_the_plan_stays_one_in_a_session(question: str) -> None:
    """A session about a job does not narrow a question about the whole plan."""
    plan = plan_request(TroubleshootRequest(message=question, session_id="s"), PER_JOB, lambda: about("BATCH001"))
    assert plan.jobs == ()
    assert plan.routing.follows is None


@pytest.mark.parametrize("question", DATA["nothing"])
@pytest.mark.parametrize("intent", [None, Intent.TROUBLESHOOT])
def test_a_question_about_nothing_diagnoses_nothing(question: str, intent: Intent | None) -> None:
    """Whatever fails in the plan or was asked before, a sum or a joke gets no diagnosis and no command."""
    request = TroubleshootRequest(message=question, session_id="s", intent=intent)
    plan = plan_request(request, PER_JOB, lambda: about("BATCH001"))
    failed = JobFacts(name="FECH777", status="ABEND", return_code=12)
    data = TwsPayload(problem_jobs=(failed,), problem_count=1).model_dump(mode="json")
    envelope = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True, data=data)
    diagnosis = diagnose(request, plan, [envelope], AggregatedData())
    assert plan.jobs == ()
    assert diagnosis.category in ("unknown", "job_not_found")
    assert (diagnosis.claims, diagnosis.actions) == ((), ())


@pytest.mark.parametrize("question", ["o primeiro", "e o segundo?", "o último da lista", "the first one"])
def test_one_of_a_list_by_its_place_goes_on_from_it(question: str) -> None:
    """Which one that is must be asked: a list has no order that is told."""
    assert reference_of(question, route(question).entities) is Reference.BACK


@pytest.mark.parametrize(
    "question",
    ["o que aconteceu hoje?", "o que houve nesta madrugada?", "what happened today?", "¿qué pasó anoche?"],
)
def test_what_happened_in_a_day_is_about_the_plan(question: str) -> None:
    """A day is one of the whole plan; what happened to the session's job is asked without it."""
    assert not _goes_on(question)
    assert _goes_on("o que aconteceu?")


@pytest.mark.parametrize(
    "message", ["what can you do?", "ok, te aviso", "valeu", "o que você faz?", "depois te falo", "i'll let you know"]
)
def test_small_talk_goes_on_from_nothing(message: str) -> None:
    """Thanks, a promise and a question about who answers get no diagnosis of the session's job."""
    assert not _goes_on(message)
    assert reference_of(message, route(message).entities) is Reference.NOTHING
    assert _goes_on("aviso quem?")


def test_after_a_list_it_is_asked_which_of_its_jobs_is_meant() -> None:
    """The only one of a list is taken."""

    def reason(*names: str) -> Plan:
        data = TwsPayload(listing=ListingFacts(groups=(ListedGroup(stream="SRV1#NOITE", names=names),)))
        jobs = listed_jobs(data.model_dump(mode="json"))
        request = TroubleshootRequest(message="por que?", session_id="s")
        return plan_request(request, PER_JOB, lambda: list(subjects_of(RUN, Entities(), (), jobs)))

    assert reason("CARGA1", "CARGA2").reason == "De qual deles se trata: SRV1#NOITE.CARGA1, SRV1#NOITE.CARGA2?"
    assert reason("CARGA1").jobs == ("SRV1#NOITE.CARGA1",)
    assert listed_jobs({}) == listed_jobs({"listing": {"groups": 1}}) == ()


def test_the_answer_says_which_job_it_is_about() -> None:
    """After runs about one job and then another, the answer about the last says so and how to ask about the other."""
    subjects = [*about("FECH001", run_id="run-00000002"), *about("BATCH001")]
    plan = plan_request(TroubleshootRequest(message="por que?", session_id="s"), PER_JOB, lambda: subjects)
    assert plan.jobs == ("FECH001",)
    failed = JobFacts(name="FECH001", status="ABEND", return_code=12)
    data = TwsPayload(job=failed).model_dump(mode="json")
    envelope = SourceEnvelope(source="tws_status", job="FECH001", outcome=SourceOutcome.OK, success=True, data=data)
    request = TroubleshootRequest(message="por que?", session_id="s")
    diagnosis = diagnose(request, plan, [envelope], AggregatedData())
    assert diagnosis.summary.startswith("A resposta é sobre FECH001; sobre BATCH001, pergunte pelo nome.")


def test_a_subject_of_a_stream_or_workstation_is_followed_too() -> None:
    """After a question about a stream the follow-up is about that stream."""
    stream = subjects_of(RUN, Entities(job_streams=("DIARIO",)), (), ())
    plan = plan_request(TroubleshootRequest(message="por que?", session_id="s"), PER_JOB, lambda: stream)
    assert plan.routing.entities.job_streams == ("DIARIO",)


def test_the_job_that_answered_a_question_about_the_plan_is_followed() -> None:
    """ "What failed?" names no job, its answer does: one is the subject, of several it is asked which."""
    one = subjects_of(RUN, Entities(), (), ("FECH001",))
    assert [subject.name for subject in one] == ["FECH001"]
    assert len(subjects_of(RUN, Entities(), (), ("FECH001", "BATCH001"))) == 2


def test_one_job_in_two_notations_is_one_subject() -> None:
    """A job and its whole name are the same; the same name on two workstations is not."""
    whole = distinct([*about("BATCH001"), *about("ZOS1#DIARIO.BATCH001"), *about("batch001")])
    assert [subject.name for subject in whole] == ["ZOS1#DIARIO.BATCH001"]
    assert len(distinct([*about("ZOS1#DIARIO.BATCH001"), *about("ZOS2#DIARIO.BATCH001")])) == 2


@pytest.mark.parametrize(
    ("question", "focus"),
    [
        ("por que?", Focus.CAUSE),
        ("tem certeza?", Focus.CAUSE),
        ("me mostra o log", Focus.CAUSE),
        ("e agora?", Focus.STEPS),
        ("o que eu faço?", Focus.STEPS),
        ("já posso rodar?", Focus.STEPS),
        ("por que caiu e como resolvo?", Focus.ALL),
        ("ele já rodou?", Focus.ALL),
        ("e agora, já terminou?", Focus.ALL),
        ("why?", Focus.CAUSE),
        ("which step failed?", Focus.CAUSE),
        ("isso já aconteceu antes?", Focus.CAUSE),
        ("qual o próximo passo?", Focus.STEPS),
        ("what now?", Focus.STEPS),
        ("how can this be fixed?", Focus.STEPS),
        ("¿por qué falló?", Focus.CAUSE),
        ("¿y ahora?", Focus.STEPS),
        ("¿cómo lo arreglo?", Focus.STEPS),
    ],
)
def test_what_a_follow_up_asks_for(question: str, focus: Focus) -> None:
    """The cause, what to do, or, where its words do not say, everything."""
    assert focus_of(question) is focus


def test_and_now_is_no_question_for_the_state() -> None:
    """ "E agora?" asks what to do: the sources of a diagnosis are asked, the runbooks among them."""
    request = TroubleshootRequest(message="e agora?", session_id="s")
    plan = plan_request(request, PER_JOB, lambda: about("BATCH001"))
    assert plan.routing.intent is Intent.TROUBLESHOOT
    assert "rag_search" in {planned.source for planned in plan.sources}
