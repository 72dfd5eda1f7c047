"""``create_router``: submit a run over HTTP, follow it, read its report, cancel it, list runs.

``AsyncTroubleshootClient`` does the work; this module translates requests and responses.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.params import Depends as Dependency
from pydantic import BaseModel, Field, TypeAdapter

from orchestrator.client.aio import AsyncTroubleshootClient
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError, InvalidRequest
from orchestrator.models import Report, RunId, RunPage, RunSnapshot, RunSummary, TroubleshootRequest
from orchestrator.nearest import not_known
from orchestrator.store.events import START, check_event_id
from orchestrator.store.run_filter import OUTCOMES, STATES
from orchestrator.store.run_list import MAX_LISTED
from orchestrator.web.accept_log import limit_accept_log
from orchestrator.web.body import read_object, receive_body
from orchestrator.web.callers import check_own, count_request, only_this_machine, own_runs
from orchestrator.web.event_stream import KEEP_ALIVE_SECONDS, MAX_READERS, EventStream, Readers
from orchestrator.web.problems import Docs, ProblemRoute, problem_docs
from orchestrator.web.submission import Identity, Patience, Rerun, body_docs, make_filter, make_request, make_rerun

LIST_PARAMETERS = ("limit", "after", "state", "outcome", "job", "instance", "user", "since")
_OF_BODIES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_RUN_LIST = TypeAdapter(tuple[RunSummary, ...])
_NEXT_PAGE: Docs = {
    200: {
        "headers": {
            "Link": {"description": 'The next page, with `rel="next"`; none at the end.', "schema": {"type": "string"}}
        }
    }
}
_MARKDOWN_HEADERS = {"X-Content-Type-Options": "nosniff"}
"""The answer quotes logs: a browser must not render it as HTML."""
_POLL_AGAIN = {"Retry-After": "1"}
_WAITED: Docs = {200: {"model": Report, "description": "The report, for a caller that waited for it."}}
_OPEN: Docs = {202: {"model": RunSnapshot, "description": "The run is open: its progress."}}
_OPEN_AS_JSON: Docs = {
    202: {
        "description": _OPEN[202]["description"],
        # Otherwise FastAPI documents it as Markdown, the media type of the answer.
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunSnapshot"}}},
    }
}
_NOTHING_LEFT: Docs = {204: {"description": "The run has ended and there are no more events: do not connect again."}}


def _words(words: Sequence[str], description: str) -> Any:
    """A query of some of these words, which the filter checks: it knows the nearest to a wrong one."""
    extra = {"items": {"type": "string", "enum": [*words]}}
    return Query(description=description, json_schema_extra=extra)


class Accepted(BaseModel):
    """An accepted run and its URLs."""

    run_id: RunId
    url: str = Field(description="The report, once there is one.")
    events_url: str = Field(description="Server-sent events.")
    answer_url: str = Field(description="The answer in Markdown.")


def create_router(
    client: AsyncTroubleshootClient | Settings | None = None,
    *,
    prefix: str = "/troubleshoot",
    dependencies: Sequence[Dependency] = (),
    identify: Callable[..., Any] | None = None,
    open_to_network: bool = False,
    max_readers: int = MAX_READERS,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
) -> APIRouter:
    """A router for ``app.include_router``.

    ``client`` is an open client of the app, which the router does not close; or ``Settings``, or None for those of the
    environment, with which the router opens one client per process when the app starts and closes it when it stops.

    ``dependencies`` are FastAPI dependencies of every route, such as authorisation. ``identify`` is a dependency of
    every route that returns the ``Identity`` of the caller, or None for an anonymous one; it replaces the user in the
    request's body, and a caller sees the runs of that user alone, unless ``all_runs`` is set in it. Without
    ``identify``, only requests from this machine are served, unless ``open_to_network`` says that the app itself
    decides who may call, and every run is shown. ``max_readers`` callers at most wait for runs or their events in this
    process. ``keep_alive_seconds`` is the longest silence in an event stream::

        app = FastAPI()
        app.include_router(create_router(dependencies=[Depends(signed_in)], identify=current_user))
    """
    holder = _ClientHolder(client)
    runs = _Runs(holder, keep_alive_seconds, max_readers)

    async def caller(identity: Annotated[Identity | None, Depends(identify or _nobody)]) -> Identity | None:
        """The caller, None only where the app identifies nobody."""
        return Identity(user_id=None) if identify is not None and identity is None else identity

    async def limit_caller(request: Request, identity: Annotated[Identity | None, Depends(caller)]) -> None:
        await count_request(holder.client, request, identity)

    async def own_run(
        run_id: RunId,
        _counted: Annotated[None, Depends(limit_caller)],
        identity: Annotated[Identity | None, Depends(caller)],
    ) -> None:
        await check_own(holder.client, run_id, identity)

    # Nothing of a run is looked at, nor a body received, for somebody else.
    of_caller = [] if identify is None else [Depends(own_run)]
    may_call = [] if identify is not None or open_to_network else [Depends(only_this_machine)]
    router = APIRouter(
        prefix=prefix,
        tags=["troubleshoot"],
        dependencies=[*may_call, *dependencies, Depends(limit_caller)],
        route_class=ProblemRoute,
        lifespan=holder.lifespan,
        responses=problem_docs(
            *((HTTPStatus.FORBIDDEN,) if may_call else ()),
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.NOT_IMPLEMENTED,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )

    @router.post(
        "/runs",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Accepted,
        responses=_WAITED | problem_docs(HTTPStatus.CONFLICT, *_OF_BODIES),
        openapi_extra=body_docs(TroubleshootRequest),
    )
    async def submit_run(
        *,
        request: Request,
        identity: Annotated[Identity | None, Depends(caller)],
        body: Annotated[bytes, Depends(receive_body)],
        run_id: Annotated[RunId | None, Query(description="Id of the new run; generated when left out.")] = None,
        idempotency_key: Annotated[str | None, Header(description="The same key gives the same run.")] = None,
        wait: Annotated[bool, Query(description="Respond with the report, by the run's deadline.")] = False,
        prefer: Annotated[
            str | None, Header(description="`wait=N`: respond with the report within N seconds, else with 202.")
        ] = None,
    ) -> Response:
        """Submit a question; the sources are queried in parallel. `Location` is the URL of the run."""
        client, patience = holder.client, Patience.of(wait=wait, prefer=prefer)
        question = await read_object(body, make_request, body, client.sync.settings, identity)
        if question.rerun_of is not None:
            # Its answers would be kept.
            await check_own(client, question.rerun_of, identity)
        if patience is not None:
            runs.readers.check()
        accepted = await client.submit(question, run_id=run_id, idempotency_key=idempotency_key)
        report = None if patience is None else await runs.wait(accepted, patience)
        if report is not None:
            return _json(report, headers={"Preference-Applied": "wait"} if prefer and not wait else None)
        return _accepted(accepted, _path_of(request).rstrip("/"))

    @router.post(
        "/runs/{run_id}/rerun",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Accepted,
        responses=problem_docs(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_OF_BODIES),
        openapi_extra=body_docs(Rerun),
        dependencies=of_caller,
    )
    async def rerun(
        *,
        request: Request,
        run_id: RunId,
        identity: Annotated[Identity | None, Depends(caller)],
        body: Annotated[bytes, Depends(receive_body)],
        idempotency_key: Annotated[str | None, Header(description="The same key gives the same run.")] = None,
    ) -> Response:
        """Ask the question of an ended run again; what its sources had answered is kept. `Location` is the new run."""
        asked = await read_object(body, make_rerun, body)
        accepted = await holder.client.rerun(
            run_id,
            everything=asked.all,
            idempotency_key=idempotency_key,
            user_id=... if identity is None else identity.user_id,
        )
        return _accepted(accepted, _path_of(request).rsplit("/", 2)[0])

    @router.get("/runs", response_model=list[RunSummary], responses=_NEXT_PAGE)
    async def list_runs(
        *,
        request: Request,
        identity: Annotated[Identity | None, Depends(caller)],
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
        after: Annotated[str | None, Query(description="Where the page begins: that of `Link`.")] = None,
        state: Annotated[list[str], _words(STATES, "In one of these states; `open`: not ended.")] = [],  # noqa: B006
        outcome: Annotated[list[str], _words(OUTCOMES, "With one of these outcomes.")] = [],  # noqa: B006
        job: Annotated[str | None, Query(description="About this job, named in any form, or by a pattern.")] = None,
        instance: Annotated[str | None, Query(description="Of this TWS instance.")] = None,
        user: Annotated[str | None, Query(description="Of this user.")] = None,
        since: Annotated[
            str | None, Query(description="Submitted since a time (ISO 8601) or for so long: `2h`, `7d`.")
        ] = None,
    ) -> Response:
        """The newest runs, newest first; `Link` has the next page, which there can be after an empty one too."""
        # A misspelt filter would list everything.
        for name in request.query_params.keys() - set(LIST_PARAMETERS):
            raise InvalidRequest("{field}: {problem}", field="query", problem=not_known(name, LIST_PARAMETERS))
        where = own_runs(
            make_filter(state=state, outcome=outcome, job=job, instance=instance, user=user, since=since), identity
        )
        page = RunPage(runs=()) if where is None else await holder.client.page(limit=limit, after=after, where=where)
        return _page(page, request)

    router.get(
        "/runs/{run_id}",
        response_model=Report,
        responses=_OPEN | problem_docs(HTTPStatus.NOT_FOUND),
        dependencies=of_caller,
    )(runs.read_run)
    router.delete(
        "/runs/{run_id}",
        response_model=RunSummary,
        responses=problem_docs(HTTPStatus.NOT_FOUND),
        dependencies=of_caller,
    )(runs.cancel_run)
    router.get(
        "/runs/{run_id}/answer.md",
        status_code=HTTPStatus.OK,
        response_class=_Markdown,
        responses=_OPEN_AS_JSON | problem_docs(HTTPStatus.NOT_FOUND),
        dependencies=of_caller,
    )(runs.read_answer)
    router.get(
        "/runs/{run_id}/events",
        status_code=HTTPStatus.OK,
        response_class=EventStream,
        responses=_NOTHING_LEFT | problem_docs(HTTPStatus.NOT_FOUND),
        dependencies=of_caller,
    )(runs.stream_events)
    return router


class _ClientHolder:
    """The client of a process: the app's own, or one that is open while the app runs."""

    def __init__(self, given: AsyncTroubleshootClient | Settings | None) -> None:
        self._settings = given if isinstance(given, Settings) else None
        self._client = None if given is None or isinstance(given, Settings) else given
        self._is_given = self._client is not None
        self._included = 0

    @property
    def client(self) -> AsyncTroubleshootClient:
        """The open client.

        Raises ConfigurationError when the app was not started.
        """
        if self._client is None:
            raise ConfigurationError(
                "the troubleshoot router has no open client: include it in the app that the server runs (a mounted "
                "app's lifespan is not run), or give create_router a client"
            )
        return self._client

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Open the client while the app runs; a router that is included twice shares one client.

        Raises ConfigurationError naming the variable.
        """
        limit_accept_log()
        if self._is_given:
            yield
            return
        if self._client is None:
            self._client = AsyncTroubleshootClient(self._settings)
        self._included += 1
        try:
            yield
        finally:
            self._included -= 1
            if self._included == 0:
                client, self._client = self._client, None
                await client.close()


class _Runs:
    """The route functions, whose docstrings OpenAPI shows, and what they share."""

    def __init__(self, holder: _ClientHolder, keep_alive_seconds: float, max_readers: int) -> None:
        self._holder = holder
        self._keep_alive_seconds = keep_alive_seconds
        self.readers = Readers(max_readers)

    async def wait(self, run_id: str, patience: Patience) -> Report | None:
        """The report, or None when the caller's timeout was over first."""
        with self.readers.one(), suppress(TimeoutError):
            return await self._holder.client.result(run_id, timeout_seconds=patience.seconds)
        return None

    async def read_run(self, run_id: RunId) -> Response:
        """The report of a closed run; the progress, with status 202, of an open one."""
        run = await self._find(run_id)
        return _json(run) if isinstance(run, Report) else _json(run, HTTPStatus.ACCEPTED, _POLL_AGAIN)

    async def read_answer(self, run_id: RunId) -> Response:
        """The answer in Markdown; the progress, with status 202, of an open run."""
        run = await self._find(run_id)
        if isinstance(run, Report):
            return _Markdown(run.response, headers=_MARKDOWN_HEADERS)
        return _json(run, HTTPStatus.ACCEPTED, _POLL_AGAIN)

    async def stream_events(
        self,
        run_id: RunId,
        after: Annotated[str, Query(description="Resume after this event id.")] = START,
        results: Annotated[
            bool, Query(description="Add a source's data and evidence to its `source_finished`.")
        ] = False,
        last_event_id: Annotated[
            str | None, Header(description="Sent by a browser that connects again; takes precedence over `after`.")
        ] = None,
    ) -> Response:
        """The run's events as they come, from the first to the terminal one: `final` or `cancelled`.

        Each has an `id` to resume after, its type as `event`, and an `Event` in JSON as `data`.
        """
        client = self._holder.client
        start = check_event_id(last_event_id or after)
        self.readers.check()
        # Before the status is sent: does the run exist, and is it closed?
        state, _ = await client.call(client.sync.store.state, run_id)
        events, first = client.stream(run_id, after=start, with_results=results), None
        if state.is_closed:
            first = await anext(events, None)
            if first is None:
                # A browser connects again after the last event too, until it gets this status.
                return Response(status_code=HTTPStatus.NO_CONTENT)
        return EventStream(events, first=first, keep_alive_seconds=self._keep_alive_seconds, readers=self.readers)

    async def cancel_run(self, run_id: RunId) -> Response:
        """Cancel an open run; a closed run stays as it is. Returns the present state of the run."""
        return _json(await self._holder.client.cancel(run_id, by="web"))

    async def _find(self, run_id: str) -> Report | RunSnapshot:
        snapshot = await self._holder.client.get(run_id)
        if not snapshot.state.is_closed:
            return snapshot
        # A cancelled run has no stored report; the client makes one.
        return snapshot.report or await self._holder.client.result(run_id)


class _Markdown(Response):
    media_type = "text/markdown"


def _path_of(request: Request) -> str:
    """The request's path as the sender wrote it: ``root_path`` is the prefix that a proxy removed."""
    prefix, path = request.scope.get("root_path", "").rstrip("/"), request.scope["path"]
    return quote(path if path.startswith(f"{prefix}/") else prefix + path)


def _json(model: BaseModel, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, "application/json")


def _page(page: RunPage, request: Request) -> Response:
    headers = {}
    if page.next is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        headers["Link"] = f'<{_path_of(request)}?{urlencode([*query, ("after", page.next)])}>; rel="next"'
    return Response(_RUN_LIST.dump_json(page.runs), headers=headers, media_type="application/json")


def _accepted(run_id: str, runs_url: str) -> Response:
    url = f"{runs_url}/{run_id}"
    links = Accepted(run_id=run_id, url=url, events_url=f"{url}/events", answer_url=f"{url}/answer.md")
    return _json(links, HTTPStatus.ACCEPTED, {"Location": url})


async def _nobody() -> None:
    """The default of ``identify``: the user in the body is used."""
