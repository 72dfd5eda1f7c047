"""``kb``: fill, search and count the knowledge base."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.config import MaskingSettings
from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message, Text, join
from orchestrator.redaction.redact import redact, redact_data, redacting
from workers.config import KnowledgeSettings
from workers.knowledge.base import Hit, KnowledgeBase
from workers.knowledge.embeddings import BATCH, EmbeddingClient, EmbeddingError, create_embedding_client
from workers.knowledge.open import open_knowledge_base
from workers.knowledge.ranking.query import build_query
from workers.knowledge.sqlite.folder import FolderReport, Progress, index_folder
from workers.knowledge.sqlite.index import KnowledgeIndex
from workers.knowledge.sqlite.shipped import index_runbooks
from workers.knowledge.sqlite.vectors import check_numpy, pack

Result = TypeVar("Result")

SEARCH_SECONDS = 10.0
_PROGRESS = {
    "indexed": Message("indexed {path} ({passages})"),
    "empty": Message("empty {path}"),
    "removed": Message("removed {path}"),
    "failed": Message("failed {path}: {error}"),
}

path_option = click.option(
    "--path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The index file; RESYNC_KNOWLEDGE_PATH when left out.",
)


@click.group()
def command() -> None:
    """Fill, search and count the knowledge base."""


def _settings(context: CliContext, path: Path | None) -> KnowledgeSettings:
    environ = dict(context.environ)
    if path is not None:
        environ.pop("RESYNC_KNOWLEDGE_DATABASE_URL", None)
        environ["RESYNC_KNOWLEDGE_PATH"] = str(path)
    return KnowledgeSettings.from_env(environ)


@command.command(short_help="Index a folder of documents.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@path_option
@click.option("--runbooks/--no-runbooks", default=True, help="Index the built-in runbooks as well (yes).")
@json_option
@pass_context
def index(context: CliContext, directory: Path, path: Path | None, runbooks: bool, as_json: bool) -> int:
    """Index the Markdown, text, HTML and PDF files below DIRECTORY; only what changed is read again.

    With RESYNC_EMBEDDING_ENDPOINT set, passages are embedded as well.
    """
    # A file's line of progress names its problem; pypdf would log every step of a repair as well.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    settings = _settings(context, path)
    if settings.path is None:
        raise ConfigurationError("RESYNC_KNOWLEDGE_PATH is not set; name the index file, or give it with --path")
    embeddings = create_embedding_client(settings)
    if embeddings is not None:
        check_numpy()
    personal = MaskingSettings.from_env(context.environ).redact_personal
    with KnowledgeIndex(settings.path) as store, redacting(personal=personal):
        if store.renewed:
            context.say(
                Message(
                    "{count} passage of an older version analysed again",
                    plural="{count} passages of an older version analysed again",
                    count=store.renewed,
                )
            )
        if runbooks:
            index_runbooks(store)
        report = index_folder(store, directory, on_progress=lambda progress: _say_progress(context, progress))
        embedded = 0 if embeddings is None else asyncio.run(_embed_all(context, store, embeddings))
    if as_json:
        context.print_json(
            json.dumps({**asdict(report), "embedded": embedded, "path": str(settings.path)}, ensure_ascii=False)
        )
    else:
        context.print_text(f"{settings.path}: {context.write(_totals(report, embedded))}")
    return 1 if report.failed else 0


def _passages(count: int) -> Message:
    return Message("{count} passage", plural="{count} passages", count=count)


def _say_progress(context: CliContext, progress: Progress) -> None:
    if progress.action == "unchanged":
        return
    line = _PROGRESS[progress.action].with_facts(
        path=progress.path, passages=_passages(progress.chunks), error=progress.error
    )
    context.say(f"[{progress.number}/{progress.total}] {context.write(line)}")


def _totals(report: FolderReport, embedded: int) -> Text:
    parts = [
        Message(
            "{count} indexed ({passages})",
            plural="{count} indexed ({passages})",
            count=report.indexed,
            passages=_passages(report.chunks),
        ),
        Message("{count} unchanged", plural="{count} unchanged", count=report.unchanged),
        Message("{count} removed", plural="{count} removed", count=report.removed),
    ]
    if report.empty:
        parts.append(Message("{count} without text", plural="{count} without text", count=report.empty))
    if report.failed:
        parts.append(Message("{count} failed", plural="{count} failed", count=report.failed))
    if embedded:
        parts.append(Message("{count} passage embedded", plural="{count} passages embedded", count=embedded))
    return join(parts, ", ")


async def _embed_all(context: CliContext, store: KnowledgeIndex, embeddings: EmbeddingClient) -> int:
    """Embed the passages without a vector, in batches; those done before an error stay. Returns their number."""
    done = 0
    try:
        waiting = store.chunks_without_vector(embeddings.model)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            try:
                vectors = await embeddings.embed_patiently([text for _, text in batch])
            except EmbeddingError as error:
                raise EmbeddingError(
                    "the documents are indexed; passages embedded: {done} of {count}; embedding endpoint: {detail}",
                    done=done,
                    count=len(waiting),
                    detail=error.message,
                ) from error
            pairs = zip(batch, vectors, strict=True)
            store.put_vectors(embeddings.model, [(chunk_id, pack(vector)) for (chunk_id, _), vector in pairs])
            done = start + len(batch)
            context.say(
                Message(
                    "embedded {done}/{count} passage",
                    plural="embedded {done}/{count} passages",
                    done=done,
                    count=len(waiting),
                )
            )
        return len(waiting)
    finally:
        await embeddings.close()


@command.command(short_help="Search the knowledge base.")
@click.argument("question", metavar="TEXT")
@click.option(
    "--limit", type=click.IntRange(1, 50), default=5, show_default=True, metavar="N", help="Passages to show."
)
@path_option
@json_option
@pass_context
def search(context: CliContext, question: str, limit: int, path: Path | None, as_json: bool) -> None:
    """Search the knowledge base as the source rag_search does."""
    query = build_query(question)
    personal = MaskingSettings.from_env(context.environ).redact_personal
    result = _ask(context, path, lambda base: base.search(query, limit=limit, timeout_seconds=SEARCH_SECONDS))
    if as_json:
        document = redact_data({**asdict(result), "notes": [*map(str, result.notes)]}, personal=personal)
        context.print_json(json.dumps(document, ensure_ascii=False))
        return
    for note in result.notes:
        context.say(note)
    if not result.hits:
        context.say(Message("nothing found"))
    for number, hit in enumerate(result.hits, start=1):
        context.print_text(redact(_hit_text(context, number, hit), personal=personal))


def _hit_text(context: CliContext, number: int, hit: Hit) -> str:
    indented = "\n".join(f"    {line}" if line else "" for line in hit.text.splitlines())
    score = context.write(Message("score {score:g}", score=hit.score))
    withdrawn = f" ({context.write(Message('revoked or replaced'))})" if hit.withdrawn else ""
    return f"{number}. {hit.title}{withdrawn}\n    {hit.where}  {score}\n\n{indented}\n"


@command.command(short_help="Print its location and size.")
@path_option
@json_option
@pass_context
def stats(context: CliContext, path: Path | None, as_json: bool) -> None:
    """Print the location and the size of the knowledge base."""
    totals = _ask(context, path, lambda base: base.stats(timeout_seconds=SEARCH_SECONDS))
    if as_json:
        context.print_json(json.dumps(asdict(totals), ensure_ascii=False))
        return
    languages = ", ".join(f"{name} {count}" for name, count in totals.languages.items()) or Message("none")
    rows: Sequence[tuple[Message, object]] = (
        (Message("backend"), totals.backend),
        (Message("where"), totals.where),
        (Message("documents"), f"{totals.documents} ({context.write(languages)})"),
        (Message("passages"), totals.passages),
        (Message("embedded"), totals.embedded),
        (Message("updated"), totals.updated_at or context.write(Message("never"))),
    )
    names = [context.write(name) for name, _ in rows]
    for name, (_, value) in zip(names, rows, strict=True):
        context.print_text(f"{name:<{max(map(len, names))}} {value}")


def _ask(context: CliContext, path: Path | None, question: Callable[[KnowledgeBase], Awaitable[Result]]) -> Result:
    """The result of ``question`` put to the configured knowledge base."""

    async def ask() -> Result:
        base = open_knowledge_base(_settings(context, path), context.environ)
        try:
            return await question(base)
        finally:
            await base.close()

    return asyncio.run(ask())
