"""What passes for a message of the broker, by the queue that it was read from."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from orchestrator.broker.app import EXCHANGE, RUN_TASK, source_task
from orchestrator.broker.messages import bind, problem_of

CONTROL, REPLIES, EVENTS = "w@host.celery.pidbox", "1-2.reply.celery.pidbox", "celeryev.1-2"
EMBED = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
BODY = [["run-00000001"], {}, EMBED]


def encoded(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def message(body: object = BODY, headers: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    named = {"task": RUN_TASK, "id": "run-00000001", "timelimit": [None, None], "retries": 0, "stamps": {}}
    properties = {
        "delivery_tag": "1-2",
        "delivery_info": {"exchange": EXCHANGE.name, "routing_key": "orchestrator"},
        "body_encoding": "base64",
        "correlation_id": "run-00000001",
        "reply_to": "",
    }
    properties |= fields.pop("properties", {})
    whole = {"body": encoded(body), "content-type": "application/json", "content-encoding": "utf-8"}
    return whole | {"headers": named | (headers or {}), "properties": properties} | fields


GOOD = {
    "a run": message(),
    "a source": message([["run-00000001", "DEV/WS#STREAM.JOB1"], {}, EMBED], {"task": source_task("metrics")}),
    "a batch with limits": message(
        [["run-00000001", "+1"], {}, EMBED | {"chord": {"task": "x"}}],
        {"timelimit": [7.0, 5], "group": "1-2", "group_index": 3, "ignore_result": True},
        properties={"priority": 3},
    ),
    "a header of a newer Celery": message(headers={"traceparent": "00-1"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_our_processes_send_is_taken(name: str) -> None:
    """Also with what another version of Celery adds."""
    assert problem_of(GOOD[name], "metrics") is None


WRONG: dict[str, tuple[object, str]] = {
    "no object": (5, "malformed: body"),
    "another type": (message(**{"content-type": "application/x-python-serialize"}), "malformed: content-type"),
    "a character set": (message(**{"content-encoding": "utf-16"}), "malformed: content-encoding"),
    "compression": (message(headers={"compression": "application/x-gzip"}), "malformed: headers.compression"),
    "no headers": (message() | {"headers": None}, "malformed: headers"),
    "no tag": (message(properties={"delivery_tag": None}), "malformed: properties.delivery_tag"),
    "no origin": (message(properties={"delivery_info": "x"}), "malformed: properties.delivery_info"),
    "another encoding": (message(properties={"body_encoding": None}), "malformed: properties.body_encoding"),
    "a priority": (message(properties={"priority": 10**30}), "malformed: properties.priority"),
    "no base64": (message(body=[]) | {"body": "$$$"}, "malformed: body"),
    "no JSON within": (message() | {"body": "e30"}, "malformed: body"),
    "too deep": (message() | {"body": base64.b64encode(b"[" * 100_000).decode()}, "malformed: body"),
    "a task of Celery": (message(headers={"task": "celery.chord"}), "unknown task"),
    "an id of two lines": (message(headers={"id": "x\nERROR injected"}), "malformed: headers.id"),
    "a name to show": (message(headers={"shadow": "x\nERROR injected"}), "malformed: headers.shadow"),
    "arguments to show": (message(headers={"argsrepr": "x" * 5_000}), "malformed: headers.argsrepr"),
    "a limit without end": (message(headers={"timelimit": [None, float("inf")]}), "malformed: headers.timelimit"),
    "a limit of one": (message(headers={"timelimit": [5]}), "malformed: headers.timelimit"),
    "a time in the far future": (message(headers={"eta": "2999-01-01T00:00:00Z"}), "malformed: headers.eta"),
    "an expiry": (message(headers={"expires": "2001-01-01T00:00:00Z"}), "malformed: headers.expires"),
    "stamps": (message(headers={"stamps": "x"}), "malformed: headers.stamps"),
    "a run id of two lines": (message([["run-00000001\nERROR"], {}, EMBED]), "malformed: body"),
    "a long run id": (message([["r" * 800_000], {}, EMBED]), "malformed: body"),
    "a job of two lines": (message([["run-00000001", "A\nERROR"], {}, EMBED]), "malformed: body"),
    "no argument": (message([[], {}, EMBED]), "malformed: body"),
    "an argument more": (message([["run-00000001", None, 1], {}, EMBED]), "malformed: body"),
    "keyword arguments": (message([["run-00000001"], {"x": 1}, EMBED]), "malformed: body"),
    "callbacks": (message([["run-00000001"], {}, EMBED | {"errbacks": 7}]), "malformed: errbacks"),
    "a field of the request": (message([["run-00000001"], {}, EMBED | {"hostname": {}}]), "malformed: body"),
    "the first protocol": (message(headers={"task": None, "id": None}), "malformed: headers.task"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_message_of_a_task_is_told_by_its_field(name: str) -> None:
    """Never by its value, which may hold anything."""
    wrong, problem = WRONG[name]
    assert problem_of(wrong, "metrics") == problem


def test_a_small_body_that_would_be_gigabytes_is_not_decompressed() -> None:
    """Whatever the header names: ours are not compressed."""
    bomb = base64.b64encode(zlib.compress(b" " * 10_000_000)).decode()
    for name in ("application/x-gzip", "gzip", "zlib", "application/x-bz2", "none-such", 5, []):
        assert problem_of(message(headers={"compression": name}) | {"body": bomb}, "metrics") is not None


COMMAND = {"method": "active_queues", "arguments": {}, "destination": None, "pattern": None, "matcher": None}
EVENT = {"hostname": "w@host", "utcoffset": -3.0, "pid": 7, "clock": 12, "timestamp": 1795950582.0901592}
"""What is in each of Celery's events."""
REPLY_TO = {"exchange": "reply.celery.pidbox", "routing_key": "1-2"}


@pytest.mark.parametrize(
    ("queue", "body", "is_good"),
    [
        (CONTROL, COMMAND | {"ticket": "1-2", "reply_to": REPLY_TO}, True),
        (CONTROL, COMMAND | {"destination": ["w@host"]}, True),
        (CONTROL, COMMAND | {"pattern": "(.+)+x", "matcher": "pcre"}, False),
        (CONTROL, COMMAND | {"method": "revoke", "arguments": {"task_id": ["a", "b"], "terminate": False}}, True),
        (CONTROL, COMMAND | {"method": "pool_grow", "arguments": {"n": 2}}, True),
        (CONTROL, COMMAND | {"method": "hello", "arguments": {"from_node": "w@host", "revoked": {}}}, True),
        (CONTROL, COMMAND | {"method": "hello", "arguments": {"revoked": {"1-2": [1.5, 0, "1-2"]}}}, True),
        (CONTROL, COMMAND | {"method": "hello", "arguments": {"revoked": {"a\nERROR injected": 1.5}}}, False),
        (CONTROL, COMMAND | {"method": "revoke", "arguments": {"task_id": "a\nERROR injected"}}, False),
        (CONTROL, COMMAND | {"arguments": {"": 5}}, False),
        (CONTROL, COMMAND | {"arguments": 5}, False),
        (CONTROL, COMMAND | {"reply_to": {"exchange": 5}}, False),
        (CONTROL, [], False),
        (REPLIES, {"w@host": [{"name": "metrics"}]}, True),
        (REPLIES, [["w@host", []]], False),
        (EVENTS, EVENT | {"type": "worker-heartbeat", "freq": 2.0, "loadavg": [0.1, 0.2, 0.3], "active": 0}, True),
        (EVENTS, EVENT | {"type": "task-sent", "uuid": "1-2", "name": RUN_TASK, "args": "x\ny", "eta": None}, True),
        (EVENTS, [EVENT | {"type": "task-succeeded", "uuid": "1-2", "runtime": 0.25, "result": "'done'"}], True),
        (EVENTS, [EVENT | {"type": "task-started", "uuid": []}], False),
        (EVENTS, EVENT | {"type": "task-started"}, False),
        (EVENTS, EVENT | {"type": "worker-online", "clock": "x"}, False),
        (EVENTS, EVENT | {"type": "worker-online", "timestamp": None}, False),
        (EVENTS, {"type": "worker-online"}, False),
        (EVENTS, None, False),
    ],
)
def test_remote_control_and_events_are_checked_too(queue: str, body: object, is_good: bool) -> None:
    """A worker, a client that waits for replies and Flower read whatever is published."""
    headers = {"clock": 1, "expires": 0, "ticket": "1-2"}
    assert (problem_of(message(body) | {"headers": headers}, queue) is None) is is_good


def test_a_message_is_put_back_into_the_queue_that_it_was_read_from() -> None:
    """Whatever it says itself."""
    wrong = message(properties={"delivery_info": {"exchange": [], "routing_key": 5, "consumer_tag": {}}})
    bind(wrong, "metrics")
    assert wrong["properties"]["delivery_info"] == {
        "exchange": EXCHANGE.name,
        "routing_key": "metrics",
        "queue": "metrics",
        "redelivered": False,
    }
