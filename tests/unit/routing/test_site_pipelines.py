"""Pipelines of a site: read from its file and its packages, chosen by name, words and kind, and planned in stages."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.config import ParallelConfig
from orchestrator.errors import ConfigurationError, InvalidRequest
from orchestrator.i18n.languages import Language
from orchestrator.models import Plan, TroubleshootRequest
from orchestrator.routing import registry
from orchestrator.routing.pipeline import STATUS, Pipeline, Reduce
from orchestrator.routing.pipelines import reduce_of
from orchestrator.routing.plan import plan_request
from orchestrator.routing.registry import (
    PIPELINES_FILE,
    all_pipelines,
    check_pipeline,
    check_pipelines,
    pipeline_named,
    site_pipelines,
)

PAGE = Path(__file__).parents[3] / "docs" / "pipelines.md"
EXAMPLE = next(
    block
    for block in re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if "[fechamento]" in block
)
PER_TASK = {"tws_status": 100, "rag_search": 0, "log_cache": 100, "metrics": 0}


def write(folder: Path, text: str) -> dict[str, str]:
    """A site's file, and the environment that names it."""
    path = folder / "pipelines.toml"
    path.write_text(text, "utf-8")
    return {PIPELINES_FILE: str(path)}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the page is the site's file."""
    for name, value in write(tmp_path, EXAMPLE).items():
        monkeypatch.setenv(name, value)


def plan(message: str, **fields: object) -> Plan:
    """Plan a question."""
    return plan_request(TroubleshootRequest.model_validate({"message": message, **fields}), PER_TASK)


def keys(made: Plan) -> list[str]:
    """What the first stage asks."""
    return [planned.key for planned in made.sources]


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    """Every key of the example is known, and a site's pipelines stand before the built-in ones."""
    environ = write(tmp_path, EXAMPLE)
    first, second = check_pipelines(environ)
    assert (first.name, first.stages) == ("fechamento", (("tws_status",), ("log_cache", "rag_search")))
    assert (first.limits_of("tws_status").seconds, first.limits_of("log_cache").seconds) == (8, None)
    assert (second.name, second.sources, second.reduce) == ("so-tws", ("tws_status",), Reduce.STATUS)
    assert [pipeline.name for pipeline in all_pipelines(environ)][:3] == ["fechamento", "so-tws", "troubleshoot"]
    assert set(tomllib.loads(EXAMPLE)) == {"fechamento", "so-tws"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a", "cannot be read"),
        ("a = 1", r"\[a\] must be a table"),
        ("[a]", r"\[a\] stages: Field required"),
        ('[a]\nsources = ["tws_status"]\nstages = []', "sources and stages: give one of them"),
        ("[a]\nstages = [[]]", "stages.0: must have at least 1 item"),
        ('[a]\nsources = ["TWS"]', "stages.0.0: a name is small letters"),
        ('[a]\nsources = ["tws_status"]\nreduce = "x"', "reduce: must be 'diagnosis', 'status' or 'knowledge'"),
        ('[a]\nsources = ["tws_status"]\ncolour = 1', "colour: is not a known field"),
        ('[a]\nsources = ["tws_status"]\nname = "b"', "name: the name of the table"),
        ('[a]\nsources = ["tws_status"]\nwords = ["!"]', "words: '!' holds no word"),
        ('[a]\nsources = ["tws_status"]\njobs = ["a b"]', "jobs: 'a b' is not a TWS job name"),
        (
            '[a]\nsources = ["tws_status"]\nlimits.metrics.seconds = 1',
            "does not ask 'metrics'; its sources: tws_status",
        ),
        ('[a]\nsources = ["tws_status"]\nlimits.tws_status.seconds = 0', "limits.tws_status.seconds: must be greater"),
        ('[a]\nsources = ["tws_status"]\nlimits.tws_status.retry = 1', "limits.tws_status.retry: is not a known field"),
        ('[A]\nsources = ["tws_status"]', "name: a name is small letters"),
        (
            '[a]\nsources = ["tws_status"]\nlimits.tws_status.seconds = true',
            "seconds: must be a number, not true or false",
        ),
        ('[a]\nsources = ["tws_status"]\nlimits.tws_status.retries = false', "retries: must be a number, not true"),
        ('[a]\nsources = ["tws_status"]\njobs = ["*"]', "jobs: '[*]' stands for every job; name at least a letter"),
        ('[a]\nsources = ["tws_statu"]', "'tws_statu' is not installed; did you mean tws_status[?] Installed: tws_"),
        ('[status]\nsources = ["tws_status"]', "'status' is built in; choose another name"),
        ('["a+b"]\nsources = ["tws_status"]', "'a[+]b' is the name of a composition"),
        ('[a]\nsources = ["tickets"]', "pipeline a: source 'tickets' is not installed; installed: tws_status"),
    ],
)
def test_a_fault_names_file_table_and_key(tmp_path: Path, text: str, fault: str) -> None:
    """Whatever is wrong is one line, with what to do."""
    environ = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=fault) as caught:
        check_pipelines(environ)
    assert "is not installed" in str(caught.value) or environ[PIPELINES_FILE] in str(caught.value)


def test_no_file_makes_anything_but_a_pipeline_or_one_line(tmp_path: Path) -> None:
    """For random values in the places of a file: it is read, or refused with the file's name."""
    chance = random.Random(3)
    values = [
        "1",
        "true",
        "-0.5",
        "nan",
        "[]",
        "[[]]",
        "{}",
        '""',
        '"x"',
        '["*"]',
        "[1]",
        "[[1]]",
        "1979-05-27",
        '"tws_status"',
    ]
    places = [
        "stages",
        "sources",
        "words",
        "jobs",
        "limits",
        "intents",
        "reduce",
        "title",
        "why",
        "site_sources",
        "colour",
        "limits.tws_status",
    ]
    places += [f"limits.tws_status.{key}" for key in ("seconds", "batch", "retries", "cache_seconds")]
    faults: list[tuple[list[str], str, str]] = []
    for number in range(150):
        lines = [f"{place} = {chance.choice(values)}" for place in chance.sample(places, chance.randint(1, 3))]
        folder = tmp_path / str(number)
        folder.mkdir()
        environ = write(folder, "\n".join(("[a]", *lines)))
        try:
            check_pipelines(environ)
        except ConfigurationError as error:
            faults.append((lines, str(error), environ[PIPELINES_FILE]))
    assert faults
    assert not [fault for fault in faults if fault[2] not in fault[1] and "is not installed" not in fault[1]]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The variable and the path are in the error."""
    with pytest.raises(ConfigurationError, match=f"{PIPELINES_FILE}: .*nothing.toml cannot be read: No such file"):
        site_pipelines({PIPELINES_FILE: str(tmp_path / "nothing.toml")})


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("P = 1", "must be a Pipeline named 'plantao'"),
        ("raise SystemExit(3)", "SystemExit"),
        ('from orchestrator import Pipeline\nP = Pipeline(name="x", sources=("metrics",))', "must be a Pipeline named"),
        ('from orchestrator import Pipeline\nP = Pipeline(name="plantao", sources=("metrics",))', ""),
    ],
)
def test_a_package_registers_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, fault: str) -> None:
    """An entry point's object is a pipeline of its name; what it raises is a fault of the installation."""
    module = f"site_pipelines_{abs(hash(code))}"
    (tmp_path / f"{module}.py").write_text(code)
    info = tmp_path / "site-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: site\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{registry.PIPELINES_GROUP}]\nplantao = {module}:P\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._registered.cache_clear()
    try:
        if fault:
            with pytest.raises(ConfigurationError, match=f"entry point '{module}:P' of .*{fault}"):
                site_pipelines({})
        else:
            assert [pipeline.name for pipeline in site_pipelines({})] == ["plantao"]
    finally:
        registry._registered.cache_clear()


@pytest.mark.usefixtures("site")
def test_a_named_pipeline_runs_in_its_stages() -> None:
    """The first stage asks about the pipeline's own jobs, the second about those that are found."""
    made = plan("como está?", pipeline="fechamento", language="pt-BR")
    assert (made.pipeline, reduce_of(made), keys(made)) == ("fechamento", Reduce.DIAGNOSIS, ["tws_status"])
    assert made.routing.entities.job_patterns == ("MDM#FECHADIA.@",)
    assert not made.routing.is_off_topic
    (stage,) = made.then
    assert [planned.source for planned in stage.sources] == ["tws_status", "log_cache", "rag_search"]
    assert (stage.jobs_per_task, stage.after) == ({"tws_status": 50, "log_cache": 100}, ("tws_status",))
    assert "fechamento was asked for" in made.reason


@pytest.mark.usefixtures("site")
def test_limits_of_a_pipeline_hold_and_those_of_the_request_outweigh() -> None:
    """Seconds, batches, retries and the lifetime of shared answers stand in the plan."""
    jobs = [f"J{number}" for number in range(60)]
    tws = plan("?", pipeline="fechamento", jobs=jobs, config=ParallelConfig(total_timeout_seconds=30)).sources
    assert [(len(planned.jobs), planned.limit_seconds) for planned in tws] == [(30, 8), (30, 8)]
    assert {(planned.retries, planned.cache_seconds) for planned in tws} == {(1, 30)}
    config = ParallelConfig(source_timeout_seconds={"tws_status": 2})
    assert plan("?", pipeline="fechamento", config=config).sources[0].limit_seconds == 2
    clipped = plan("?", pipeline="fechamento", language="en")
    assert clipped.sources[0].limit_seconds == 6
    assert any("fechamento: limits.tws_status.seconds of 8 s was clipped to 6 s" in note for note in clipped.notes)


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("como está o fechamento?", "fechamento"),
        ("deu problema na VIRADA do mes", "fechamento"),
        ("o fechamento do BATCH001 caiu", "fechamento"),
        ("status do BATCH001", "so-tws"),
        ("por que o BATCH001 falhou?", "troubleshoot"),
        ("o FECHAMENTO01 caiu", "troubleshoot"),
        ("o que é S0C7?", "query"),
        ("bom dia", "general"),
    ],
)
def test_words_and_kinds_lead_to_a_pipeline(message: str, name: str) -> None:
    """Words outweigh the kind, and a site's pipeline the built-in one of the kind."""
    assert plan(message).pipeline == name


@pytest.mark.usefixtures("site")
def test_a_question_that_names_jobs_is_about_them() -> None:
    """The pipeline's own jobs are those of a question that names nothing."""
    made = plan("o fechamento do BATCH001 caiu")
    assert (made.jobs, made.routing.entities.job_patterns) == (("BATCH001",), ())


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("name", ["fechamento|status", "fechamento+status"])
def test_names_compose(name: str) -> None:
    """Stage by stage the sources of both, with the first one's reduce; the plan's name can be asked for again."""
    made = plan("BATCH001", pipeline=name)
    assert (made.pipeline, reduce_of(made)) == ("fechamento+status", Reduce.DIAGNOSIS)
    assert keys(made) == ["tws_status|BATCH001", "log_cache|BATCH001"]
    assert len(made.then) == 1
    assert (pipeline_named("status|fechamento").reduce, pipeline_named("status|status")) == (Reduce.STATUS, STATUS)


@pytest.mark.usefixtures("site")
def test_a_stage_without_sources_is_left_out() -> None:
    """What is switched off leaves no empty chord behind."""
    made = plan("BATCH001", pipeline="fechamento", config=ParallelConfig(enable_tws_status=False))
    assert (keys(made), made.then) == (["log_cache|BATCH001", "rag_search"], ())


@pytest.mark.usefixtures("site")
def test_an_unknown_name_is_refused_where_the_sites_are_known() -> None:
    """At the submit, and by the plan in the language of the question."""
    request = TroubleshootRequest(message="por que o BATCH001 caiu?", pipeline="fechamento|nada")
    for refuse in (check_pipeline, lambda it: plan_request(it, PER_TASK)):
        with pytest.raises(
            InvalidRequest, match="pipeline: no pipeline is named 'nada'; known: fechamento, so-tws, "
        ) as e:
            refuse(request)
        assert "nada" in e.value.message.in_language(Language.PT_BR)


def test_a_process_that_knows_no_site_leaves_a_name_to_the_workers() -> None:
    """Without a file nothing is known of other names, so the submit passes."""
    check_pipeline(TroubleshootRequest(message="x", pipeline="fechamento"))


@pytest.mark.parametrize("name", ["", "Fechamento", "a||b", "a b", "../x", "|".join("abcdefghi")])
def test_a_name_that_can_be_none_is_refused(name: str) -> None:
    """A name is lower-case letters, digits, "-" and "_"; at most eight compose."""
    with pytest.raises(ValidationError):
        TroubleshootRequest(message="x", pipeline=name)


def test_the_pipeline_of_the_pages_package_is_one() -> None:
    """The page's Python is what it says."""
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Pipeline] = {}
    exec(code, names)
    made = names["FECHAMENTO"]
    assert (made.name, len(made.stages), made.limits_of("tws_status").batch) == ("fechamento", 2, 50)


def test_a_pipeline_of_code_is_checked_as_that_of_a_file() -> None:
    """The same model reads both."""
    with pytest.raises(ValidationError, match="does not ask"):
        Pipeline.model_validate({"name": "a", "sources": ["metrics"], "limits": {"tws_status": {"seconds": 1}}})


def test_a_list_is_asked_for_before_a_later_stage_that_asks_about_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only a later stage has the source that finds jobs, its first stage finds them all the same."""
    text = '[tarde]\nstages = [["metrics"], ["tws_status"], ["log_cache"]]\njobs = ["FECH0*"]\n'
    for name, value in write(tmp_path, text).items():
        monkeypatch.setenv(name, value)
    made = plan("como está?", pipeline="tarde")
    assert keys(made) == ["metrics", "tws_status"]
    assert [[planned.source for planned in stage.sources] for stage in made.then] == [["tws_status"], ["log_cache"]]
    assert (made.then[0].after, made.then[0].jobs_per_task) == (("metrics", "tws_status"), {"tws_status": 100})
    assert keys(plan("por que o BATCH001 caiu?", pipeline="tarde")) == ["metrics"]
