"""Whatever a request holds, it is refused at its submit, or every process can read it and its plan."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import fakeredis
import pytest
from pydantic import ValidationError

from orchestrator.config import Settings
from orchestrator.models import MAX_ENTITIES, MAX_JOBS, MAX_MESSAGE_CHARACTERS, TroubleshootRequest
from orchestrator.run.dispatch import plan_dispatch
from orchestrator.store.records import Summary, read_summary
from orchestrator.store.runs import RunStore, new_token
from orchestrator.validation import describe

COUNTS = (0, 1, 7, MAX_JOBS - 1, MAX_JOBS, MAX_JOBS + 1, MAX_ENTITIES, MAX_ENTITIES + 1)
Chance = random.Random


def name(chance: Chance, *, characters: str = string.ascii_uppercase + string.digits + "_-") -> str:
    tail = "".join(chance.choices(characters, k=chance.choice((3, 7, 39))))
    return f"{chance.choice(string.ascii_uppercase)}{tail}"


def whole_name(chance: Chance) -> str:
    folder = "/".join(name(chance) for _ in range(chance.choice((0, 1, 18))))
    return f"WS01#/{folder}/{name(chance)}.{name(chance)}"


def pattern(chance: Chance) -> str:
    return f"{name(chance)[:30]}*"


def job_range(chance: Chance) -> str:
    head, size = name(chance)[:30].rstrip(string.digits + "-"), chance.choice((1, 150, 20_000, 10**9))
    return f"{head}0..{head}{size}"


def two_names(chance: Chance) -> str:
    return f"{name(chance)}, {whole_name(chance)}"


def anything(chance: Chance) -> str:
    return "".join(chance.choices('aÇ\u2028\x00"\\\t\n %*\U0001f4a5', k=chance.choice((1, 40, 400))))


def some(chance: Chance, what: Callable[[Chance], Any], counts: tuple[int, ...] = COUNTS) -> list[Any]:
    return [what(chance) for _ in range(chance.choice(counts))]


def number(chance: Chance) -> int:
    return chance.choice((0, -8, 12, 2**32 - 1, 10**15, 10**900))


def a_request(chance: Chance) -> dict[str, Any]:
    """The fields of a request: most of them plain, some at a limit or beyond, some nonsense."""
    names = (name, name, whole_name, pattern, job_range, two_names)
    kinds: dict[str, Callable[[], object]] = {
        "job_name": lambda: ",".join(some(chance, chance.choice(names), (1, 1, 40, 500))),
        "jobs": lambda: some(chance, chance.choice((*names, anything))),
        "user_id": lambda: anything(chance),
        "session_id": lambda: anything(chance),
        "tws_instance_id": lambda: name(chance),
        "language": lambda: "es",
        "intent": lambda: chance.choice(("status", "troubleshoot", "general")),
        "entities": lambda: {
            "jobs": some(chance, chance.choice((name, whole_name)), COUNTS[:4]),
            chance.choice(("job_streams", "job_patterns", "candidates", "message_ids")): some(
                chance, chance.choice((name, name, pattern, anything))
            ),
            "return_codes": some(chance, number, (0, 1, 3, MAX_ENTITIES + 1)),
            "more_jobs": chance.choice((0, 0, number(chance))),
        },
    }
    chosen = chance.sample(sorted(kinds), k=chance.choice((1, 1, 2, 8)))
    text = partial(anything, chance)
    message = chance.choice(("Job BATCH001 falhou", "quais jobs estão em abend?", text() * 50, pattern(chance) * 300))
    return {"message": message[:MAX_MESSAGE_CHARACTERS], **{field: kinds[field]() for field in chosen}}


@pytest.fixture
def store() -> Iterator[RunStore]:
    with fakeredis.FakeRedis(decode_responses=True) as client:
        yield RunStore(client, Settings.from_env({}))


def accepted(fields: dict[str, Any]) -> TroubleshootRequest | None:
    """The request; None for one that is refused, with the field that is wrong."""
    try:
        return TroubleshootRequest.model_validate(fields)
    except ValidationError as error:
        for item in error.errors():
            assert item["loc"] or "jobs" in item["msg"], item
        return None


def read_again(store: RunStore, request: TroubleshootRequest) -> None:
    """Open a run, plan it, and read all of it."""
    run_id, token = new_token(), new_token()
    store.open(run_id, request, nonce=new_token())
    dispatch = store.claim_dispatch(run_id, token)
    assert dispatch is not None
    assert dispatch.request.model_dump(exclude={"jobs"}) == request.model_dump(exclude={"jobs"})
    assert (dispatch.request.named_jobs, dispatch.request.job_patterns) == (request.named_jobs, request.job_patterns)
    plan = plan_dispatch(store, run_id, dispatch)
    record = store.read(run_id)
    assert (record.damage, record.plan) == ((), plan)
    named = (*request.named_jobs, *request.job_patterns)
    assert read_summary(run_id, store._client.hget(store.keys.run(run_id), "summary")) == Summary(
        message=request.message[:200], jobs=named, tws_instance_id=request.tws_instance_id
    )


@pytest.mark.parametrize("seed", range(10))
def test_what_is_accepted_can_be_read(store: RunStore, seed: int) -> None:
    """The request, its summary and its plan are read as they were written, by whoever reads the run."""
    chance = Chance(seed)
    requests = [accepted(a_request(chance)) for _ in range(9)]
    taken = [request for request in requests if request is not None]
    assert 1 < len(taken) < len(requests), "both are tried"
    for request in taken:
        read_again(store, request)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"job_name": "AJOB," * 2_000}, "job_name: 10000 characters, and 8000 at most .* names in jobs"),
        ({"jobs": [f"J{i}*" for i in range(201)]}, "jobs: 201 jobs are named, and one question is about 200"),
        ({"jobs": [f"J{i}" for i in range(150)], "job_name": ",".join(f"K{i}*" for i in range(51))}, "201 jobs"),
        ({"entities": {"candidates": [f"C{i}" for i in range(501)]}}, "entities: 501 names and codes .* 500 at most"),
        ({"entities": {"return_codes": [1] * 501}}, "entities: 501 names and codes"),
        ({"entities": {"return_codes": [10**15]}}, "entities: a number with more than 15 digits"),
    ],
)
def test_too_much_is_refused_with_what_to_do(fields: dict[str, Any], problem: str) -> None:
    """The error names the field and its limit."""
    with pytest.raises(ValidationError) as caught:
        TroubleshootRequest.model_validate({"message": "x", **fields})
    assert re.search(problem, str(describe(caught.value)))
