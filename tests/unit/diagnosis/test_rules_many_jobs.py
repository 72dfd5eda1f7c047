"""Many jobs: one answer by cause, the worst first, in which every job is named and nothing is cut without a word."""

from __future__ import annotations

import time
from dataclasses import replace

from rules_support import S0C7, failed, job_facts, job_log, plan_for, tws

from orchestrator.diagnosis.render import render_text
from orchestrator.models import (
    AnswerMode,
    Diagnosis,
    Evidence,
    JobGroup,
    PlannedSource,
    RunOutcome,
    SourceEnvelope,
    SourceOutcome,
    TroubleshootRequest,
)
from orchestrator.payloads import JobFacts, ListedGroup, ListingFacts, RelatedFacts, TwsPayload, WorkstationFacts
from orchestrator.run.conclusion import Conclusion, conclude
from orchestrator.store.records import RunRecord
from workers.synthesis.prompt import build_prompt

UNLINKED = WorkstationFacts(name="AGT07", linked=False, limit=10)


def asked(
    *envelopes: SourceEnvelope, jobs: tuple[str, ...], message: str = "Por que falharam?", lists: bool = False
) -> Conclusion:
    """The conclusion of ``a_run``."""
    return conclude(a_run(*envelopes, jobs=jobs, message=message, lists=lists))


def a_run(
    *envelopes: SourceEnvelope, jobs: tuple[str, ...], message: str = "Por que falharam?", lists: bool = False
) -> RunRecord:
    """A run about ``jobs``; the sources that are not given have answered without data.

    With ``lists``, TWS was asked for a list of the jobs first.
    """
    request = TroubleshootRequest(message=message, jobs=jobs)
    plan = plan_for(request)
    if lists:
        of_list = PlannedSource(source="tws_status", limit_seconds=5)
        plan = plan.model_copy(update={"sources": (of_list, *plan.sources)})
    answers = {envelope.key: envelope for envelope in envelopes}
    for planned in plan.asked:
        empty = SourceEnvelope(source=planned.source, job=planned.job, outcome=SourceOutcome.NO_DATA, success=True)
        answers.setdefault(planned.key, empty)
    return replace(RunRecord.unstored("run-00000001", request), plan=plan, envelopes=answers)


def ready(name: str) -> SourceEnvelope:
    """A job that waits for an agent without a link."""
    return tws(
        JobFacts(name=name, status="READY", workstation="AGT07", job_stream="LOTE"), stations=(UNLINKED,), asked=name
    )


def abend(name: str, *lines: str, **more: object) -> SourceEnvelope:
    """A job that failed with a log of these lines."""
    return tws(job_facts("ABEND", name=name, job_log=job_log(*lines), **more), asked=name)


def fine(name: str) -> SourceEnvelope:
    """A job that ended well."""
    return tws(job_facts("SUCC", name=name, return_code=0), asked=name)


def group_with(conclusion: Conclusion, job: str) -> JobGroup:
    """The group of a job."""
    return next(group for group in conclusion.groups if job in group.jobs)


def test_jobs_are_told_by_cause_with_evidence_steps_and_command() -> None:
    """Twelve jobs on an agent without a link are one group, with its evidence and the command that links it."""
    waiting = tuple(f"FECH{number:03}" for number in range(12))
    answer = asked(*map(ready, waiting), abend("CARGA1", S0C7), fine("OK1"), jobs=(*waiting, "CARGA1", "OK1"))

    assert [group.category for group in answer.groups] == ["data_exception", "agent_unlinked", "completed"]
    assert [group.number for group in answer.groups] == [1, 2, 3]
    stuck = answer.groups[1]
    assert stuck.jobs == waiting
    assert "AGT07" in stuck.title
    assert "conman link AGT07" in [action.command for action in stuck.actions]
    assert stuck.claims
    assert set(stuck.evidence_ids) >= {item for claim in stuck.claims for item in claim.evidence_ids}
    for job in (*waiting, "CARGA1", "OK1"):
        assert job in answer.response


def test_one_abend_among_many_jobs_has_its_steps() -> None:
    """However many other causes a run has, the only S0C7 of it has evidence and steps of its own."""
    logs = [
        "cp: error writing '/dados/saida.dat': No space left on device",
        "ORA-12541: TNS:no listener",
        "bash: /opt/x.sh: Permission denied",
        "Killed",
        "SQL0911N deadlock",
    ]
    others = [abend(f"JOB{n:02}", logs[n % 5], return_code=n + 1) for n in range(30)]
    answer = asked(*others, abend("RARO", S0C7), jobs=(*(f"JOB{n:02}" for n in range(30)), "RARO"))
    rare = group_with(answer, "RARO")

    assert rare.category == "data_exception"
    assert rare.actions
    assert any("S0C7" in claim.text for claim in rare.claims)
    assert answer.draft is not None
    assert {action.text for action in rare.actions} <= {action.text for action in answer.draft.actions}


def test_a_cause_is_one_whatever_the_jobs_call_their_files() -> None:
    """A full file system is one cause for all files of a folder, and another folder's is another."""
    full = "cp: error writing '{path}': No space left on device"
    paths = {f"CARG{number:04}": f"/dados/dw/carg{number:04}.dat" for number in range(3)}
    paths |= {"PARTE": "/dados/dw/part-00017.parquet", "OUTRO": "/var/spool/x.dat"}
    answer = asked(*(abend(name, full.format(path=path)) for name, path in paths.items()), jobs=tuple(paths))
    assert {frozenset(group.jobs) for group in answer.groups} == {
        frozenset({"CARG0000", "CARG0001", "CARG0002", "PARTE"}),
        frozenset({"OUTRO"}),
    }


def test_a_full_file_system_is_of_its_machine() -> None:
    """The same folder is full on two machines: two causes, each with its machine in the title."""
    log = job_log("cp: error writing '/dados/x.dat': No space left on device")
    stations = {"A1": "SRV1", "A2": "SRV1", "B1": "SRV2"}
    facts = (
        JobFacts(name=name, status="ABEND", workstation=station, job_log=log) for name, station in stations.items()
    )
    answer = asked(*(tws(job, asked=job.name) for job in facts), jobs=tuple(stations))
    assert [(group.jobs, group.title) for group in answer.groups] == [
        (("A1", "A2"), "Filesystem cheio (SRV1)"),
        (("B1",), "Filesystem cheio (SRV2)"),
    ]


def test_causes_of_one_kind_are_told_apart_by_what_they_name() -> None:
    """Two programs with a data exception are two groups, whose titles name the programs."""
    ended = "CEE3207S The system detected a data exception (System Completion Code=0C7)."
    where = "From compile unit {0} at entry point {0} at statement 12 at compile unit offset +000012AB"
    programs = {"A1": "PGMFAT01", "A2": "PGMFAT01", "B1": "PGMCTB09"}
    answer = asked(
        *(abend(name, ended, where.format(program)) for name, program in programs.items()), jobs=tuple(programs)
    )
    titles = {group.jobs: group.title for group in answer.groups}
    assert "PGMFAT01" in titles["A1", "A2"]
    assert "PGMCTB09" in titles["B1",]


def test_the_summary_names_the_cause_of_most_jobs() -> None:
    """Twelve causes of one job each that failed do not push the one that holds thirty jobs out of the summary."""
    held = tuple(f"HELD{number:02}" for number in range(30))
    failed_ones = tuple(f"F{number:02}" for number in range(12))
    logs = (abend(name, f"ERRO: arquivo /dados/in/REM{n}.txt não encontrado") for n, name in enumerate(failed_ones))
    answer = asked(*map(ready, held), *logs, jobs=(*held, *failed_ones))
    assert answer.draft is not None
    assert "30 jobs: agente desconectado (AGT07)" in answer.draft.summary
    assert "mais 3 causas, de 3 jobs" in answer.draft.summary


def test_a_bare_word_for_an_error_is_no_evidence() -> None:
    """A line that says "ERROR:" and nothing else is not quoted."""
    answer = asked(abend("A1", "iniciando", "ERROR:", "fim", return_code=1), jobs=("A1",))
    assert "ERROR:" not in answer.response


def test_every_job_has_an_entry_with_outcome_state_and_cause() -> None:
    """Programs find each job with what became of its sources and what was found, and its group."""
    answer = asked(
        abend("CARGA1", S0C7),
        fine("OK1"),
        failed("tws_status", job="MUDO"),
        failed("log_cache", job="MUDO"),
        failed("log_cache", SourceOutcome.ERROR, job="OK1"),
        jobs=("OK1", "MUDO", "CARGA1"),
    )
    by_name = {job.job: job for job in answer.jobs}

    assert [job.job for job in answer.jobs] == ["CARGA1", "MUDO", "OK1"]
    assert by_name["CARGA1"].outcome is RunOutcome.COMPLETE
    assert by_name["CARGA1"].status == "ABEND"
    assert by_name["CARGA1"].category == "data_exception"
    assert "CARGA1" in by_name["CARGA1"].cause
    assert by_name["CARGA1"].evidence_ids
    assert by_name["OK1"].outcome is RunOutcome.PARTIAL
    assert [failure.source for failure in by_name["OK1"].errors] == ["log_cache"]
    assert by_name["MUDO"].outcome is RunOutcome.TIMED_OUT
    assert [by_name[name].group for name in ("CARGA1", "MUDO", "OK1")] == [1, 2, 3]
    assert answer.outcome is RunOutcome.PARTIAL


def test_jobs_without_answer_or_outside_the_plan_are_groups_of_their_own() -> None:
    """What timed out, what failed and what the plan does not have stand apart, with names."""
    missing = tws(None, asked="NAOTEM").model_copy(update={"data": TwsPayload().model_dump(mode="json")})
    answer = asked(
        abend("CARGA1", S0C7),
        missing,
        *(failed(source, job="LENTO") for source in ("tws_status", "log_cache")),
        *(failed(source, SourceOutcome.ERROR, job="QUEBRADO") for source in ("tws_status", "log_cache")),
        jobs=("CARGA1", "NAOTEM", "LENTO", "QUEBRADO"),
    )

    assert [group.jobs for group in answer.groups if "CARGA1" not in group.jobs] == [
        ("LENTO",),
        ("QUEBRADO",),
        ("NAOTEM",),
    ]
    assert group_with(answer, "NAOTEM").category == "job_not_found"
    assert {job.job: job.outcome for job in answer.jobs if job.job in ("LENTO", "QUEBRADO")} == {
        "LENTO": RunOutcome.TIMED_OUT,
        "QUEBRADO": RunOutcome.FAILED,
    }


def test_a_job_is_as_sure_as_its_own_sources_let_it_be() -> None:
    """That other jobs' sources failed takes nothing off the confidence in a job whose own have answered."""
    alone = asked(abend("CARGA1", S0C7), jobs=("CARGA1",)).jobs[0].confidence
    lost = [f"J{number:03}" for number in range(40)]
    among = asked(
        abend("CARGA1", S0C7),
        *(failed(s, job=job) for job in lost for s in ("tws_status", "log_cache")),
        jobs=("CARGA1", *lost),
    )

    assert among.jobs[0].job == "CARGA1"
    assert among.jobs[0].confidence == alone


def test_what_waits_for_a_failed_job_of_the_question_is_sent_to_it() -> None:
    """Jobs that wait for one failed job are a group, told as its consequence, and the steps are those of the cause."""
    cause = job_facts("ABEND", name="CAUSA", job_log=job_log(S0C7))
    needs = RelatedFacts(name="SRV01#DIARIO.CAUSA", status="ABEND", satisfied=False)
    waiting = [
        tws(job_facts("HOLD", name=name, predecessors=(needs,)), problems=(cause,), asked=name)
        for name in ("ESPERA1", "ESPERA2")
    ]
    answer = asked(tws(cause, asked="CAUSA"), *waiting, jobs=("ESPERA1", "ESPERA2", "CAUSA"))

    assert [group.jobs for group in answer.groups] == [("CAUSA",), ("ESPERA1", "ESPERA2")]
    assert answer.groups[0].actions
    assert not answer.groups[1].actions
    assert "CAUSA" in answer.groups[1].cause


def test_alike_jobs_with_details_of_their_own_are_told_by_one_of_them() -> None:
    """The same abend in other steps is one cause; the sentence says of which job its details are."""
    answer = asked(
        abend("A1", S0C7.replace("BATCH001", "A1")),
        abend("B2", S0C7.replace("BATCH001 STEP030", "B2 STEP010")),
        jobs=("A1", "B2"),
    )

    assert [group.jobs for group in answer.groups] == [("A1", "B2")]
    assert "STEP030" in answer.jobs[0].cause
    assert "STEP010" in answer.jobs[1].cause


def test_of_hundreds_of_causes_what_is_left_out_is_counted_and_every_job_named() -> None:
    """Beyond the worst causes the answer has one line each, says how many they are and where the rest stands."""
    names = tuple(f"J{number:03}" for number in range(60))
    lines = [f"erro interno {chr(65 + n % 26)}{chr(65 + n // 26)}: falha" for n in range(len(names))]
    answer = asked(*map(abend, names, lines), jobs=names)

    assert len(answer.groups) > 12
    assert all(name in answer.response for name in names)
    assert "`groups`" in answer.response
    assert answer.draft is not None
    assert len(answer.draft.summary) < 2_000


def test_a_question_of_one_job_has_one_entry_and_its_answer_as_ever() -> None:
    """One job is one entry and one group; its answer has no headings by cause."""
    answer = asked(abend("CARGA1", S0C7), jobs=("CARGA1",))

    assert [job.job for job in answer.jobs] == ["CARGA1"]
    assert [group.jobs for group in answer.groups] == [("CARGA1",)]
    assert "### 1." not in answer.response


def test_a_job_of_which_tws_did_not_tell_is_no_cause_unknown() -> None:
    """TWS timed out about a job, and another source answered: the answer says who did not answer."""
    answer = asked(abend("CARGA1", S0C7), failed("tws_status", job="LENTO"), jobs=("CARGA1", "LENTO"))

    assert group_with(answer, "LENTO").title == "o TWS não respondeu a tempo"
    assert {job.job: job.outcome for job in answer.jobs}["LENTO"] is RunOutcome.PARTIAL


def test_the_state_of_a_job_whose_batch_was_lost_is_that_of_the_list() -> None:
    """What the list says of a job is used where the worker that looked into it is gone: state, code and evidence."""
    stream = "SRV01#FECHADIA"
    names = tuple(f"{stream}.FECH{number:03}" for number in range(5))
    read, lost, waits = names[0], names[1:4], names[4]
    listing = ListingFacts(
        states=("failed",),
        count=5,
        groups=(
            ListedGroup(stream=stream, status="ABEND", return_code=12, count=4, names=tuple(n[15:] for n in names[:4])),
            ListedGroup(status="READY", count=1, names=(waits,)),
        ),
    )
    text = " ".join(names)
    shown = Evidence(id="tws_status:1", source="tws_status", kind="listing", title="ABEND, RC 12", text=text)
    data = TwsPayload(listing=listing, found=names, found_count=5).model_dump(mode="json")
    the_list = SourceEnvelope(source="tws_status", outcome=SourceOutcome.OK, success=True, data=data, evidence=(shown,))
    gone = [failed("tws_status", SourceOutcome.LOST, job=job) for job in (*lost, waits)]
    answer = asked(
        the_list,
        tws(job_facts("ABEND", name=read[15:], job_log=job_log(S0C7)), asked=read),
        *gone,
        jobs=names,
        message="por que falharam os jobs do stream FECHADIA?",
        lists=True,
    )

    assert {job.job: job.status for job in answer.jobs} == dict.fromkeys((read, *lost), "ABEND") | {waits: "READY"}
    group = group_with(answer, lost[0])
    assert (group.jobs, group.evidence_ids) == (lost, ("tws_status:1",))
    assert group_with(answer, waits).number == len(answer.groups), "the worst first"
    assert not any(" rr " in str(action.command) for action in group.actions), "no rerun without the log"
    assert answer.draft is not None
    missing = answer.draft.missing_evidence
    assert sum("4 jobs" in text and "tws_status" in text for text in missing) == 1
    assert not any(name[15:] in text for name in lost for text in missing), "not one line for each of them"


def test_what_is_missing_of_many_jobs_is_told_once_with_their_number() -> None:
    """Twelve logs that could not be read are one sentence, and two stand each by its name; so of what TWS left out."""
    slow, refused = [f"FECH{number:03}" for number in range(12)], ["FAT01", "FAT02"]
    unread = {**dict.fromkeys(slow, "timeout"), **dict.fromkeys(refused, "forbidden")}
    answers = []
    for name, reason in unread.items():
        answer = tws(job_facts("ABEND", name=name, job_log_error=reason), asked=name)
        data = {**answer.data, "unread": [f"predecessors of {name}"]}
        answers.append(answer.model_copy(update={"data": data}))
    draft = asked(*answers, jobs=tuple(unread), message="Why did these jobs fail?").draft
    assert draft is not None
    told = [str(gap) for gap in draft.missing_evidence if "job log" in str(gap) or "everything" in str(gap)]
    assert told[0] == "The job log of 12 jobs could not be read (timeout): before it is, no rerun is proposed."
    assert [name in gap for name, gap in zip(refused, told[1:3], strict=True)] == [True, True]
    assert told[3].startswith("TWS did not give everything: predecessors of F")
    assert told[3].endswith("and 6 more, in `parallel_results` of the report (`get RUN_ID --json`).")


def test_the_last_resort_for_hundreds_of_jobs_is_cheap_and_names_each() -> None:
    """What the watcher answers with when the rules have no time takes a small part of theirs, and leaves no job out."""
    jobs = tuple(f"FECH{number:03}" for number in range(200))
    run = a_run(*(abend(name, S0C7) for name in jobs), jobs=jobs)
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):  # the least of three: the others may have shared their processor's caches
        for briefly, times in spent.items():
            began = time.thread_time()
            conclude(run, briefly=briefly)
            times.append(time.thread_time() - began)
    assert min(spent[True]) < min(spent[False]) / 3
    whole, brief = conclude(run), conclude(run, briefly=True)
    assert (whole.mode, brief.mode) == (AnswerMode.DETERMINISTIC, AnswerMode.RAW)
    assert all(name in brief.response for name in jobs)
    assert tuple(job.job for job in brief.jobs) == jobs
    assert {job.outcome for job in brief.jobs} == {RunOutcome.COMPLETE}


def two_causes_of_many_jobs() -> tuple[Conclusion, tuple[str, ...]]:
    """The conclusion about forty jobs of two causes."""
    stuck = tuple(f"FECH{number:03}" for number in range(30))
    ended = tuple(f"CARGA{number}" for number in range(10))
    logs = (abend(name, S0C7) for name in ended)
    return asked(*map(ready, stuck), *logs, jobs=(*stuck, *ended)), (*stuck, *ended)


def test_what_a_model_writes_hides_no_job() -> None:
    """A model writes the summary; the groups of the rules with every job stay in the answer."""
    answer, jobs = two_causes_of_many_jobs()
    text = answer.render(Diagnosis(summary="Está tudo bem."), AnswerMode.LLM)

    assert "Está tudo bem." in text
    assert all(job in text for job in jobs)
    assert "conman link AGT07" in text


def test_the_prompt_about_many_jobs_has_their_causes() -> None:
    """A model reads the groups and the evidence of their claims, and not a line for each job."""
    answer, _ = two_causes_of_many_jobs()
    assert answer.case is not None
    prompt = build_prompt(answer.case, max_tokens=4_000, nonce="0123456789abcdef")
    text = "".join(message["content"] for message in prompt.messages)

    assert prompt.tokens <= 4_000
    assert "AGT07" in text
    assert "S0C7" in text
    assert "30" in text
    assert "FECH029" not in text


def test_plain_lines_name_every_job() -> None:
    """The answer of a terminal without Markdown has the same groups."""
    answer, jobs = two_causes_of_many_jobs()
    assert answer.draft is not None
    text = render_text(
        answer.draft,
        language=answer.language,
        aggregated=answer.aggregated,
        evidence=answer.evidence,
        mode=answer.mode,
        groups=answer.shown_groups,
    )

    assert all(job in text for job in jobs)
    assert "$ conman link AGT07" in text
    assert "**" not in text
