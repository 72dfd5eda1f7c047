"""Why an answer is not the model's although one is configured, in words for its reader."""

from collections.abc import Mapping
from typing import Any

from orchestrator.i18n.message import Message, Text

_REASONS = {
    "timeout": Message("it did not answer in time"),
    "no_time_left": Message("no time was left to ask it"),
    "connection": Message("its server could not be reached, or cut the connection"),
    "unauthorized": Message("its server refused the key"),
    "rate_limited": Message("its server asks to slow down"),
    "quota": Message("its quota is used up"),
    "bad_request": Message("its server found the request invalid"),
    "not_found": Message("its server does not know the address or the model"),
    "rejected": Message("its server refused the request"),
    "context_window": Message("what there is to read exceeds its context window"),
    "content_filter": Message("a content filter stopped it"),
    "refused": Message("it refused to answer"),
    "no_answer": Message("its server failed or sent no text"),
    "empty": Message("its answer was empty"),
    "bad_json": Message("its answer could not be read"),
    "invalid": Message("its answer did not stand the check against the evidence"),
    "contradicts": Message("its answer contradicted what TWS shows and the rules are sure of"),
    "not_loaded": Message("its settings cannot be used"),
}
"""By ``failed`` or ``skipped`` of the metadata ``llm``."""
_NOBODY = {
    "no_worker": Message(
        "Answer of the rules: no worker of the queue `synthesis` took the run on in time, so no language model was "
        "asked."
    ),
    "no_watcher": Message(
        "Answer of the rules: not every source answered, and no deadline watcher called the queue `synthesis` then, so "
        "no language model was asked."
    ),
}
"""By ``skipped``; whether a model is configured is known to the workers of that queue alone."""


def why_not_the_model(llm: Mapping[str, Any] | None) -> Text | None:
    """The sentence for a model that was to refine the answer and did not; None when none is configured."""
    reason = (llm or {}).get("failed") or (llm or {}).get("skipped")
    if not isinstance(reason, str):
        return None
    if reason in _NOBODY:
        return _NOBODY[reason]
    status = (llm or {}).get("status")
    return Message(
        "Answer of the rules: a language model is configured, but {why}{status}.",
        why=_REASONS.get(reason, Message("it failed ({reason})", reason=reason)),
        status=f" (HTTP {status})" if isinstance(status, int) else "",
    )
