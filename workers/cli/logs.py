"""``logs``: store job logs in the log cache, and show its records."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import click

from orchestrator.cli.context import CliContext, pass_context
from orchestrator.cli.options import json_option
from orchestrator.codes.notation import bare_name, check_job_name
from orchestrator.config import MaskingSettings
from orchestrator.errors import InvalidRequest, InvalidValue, WrongUsage
from orchestrator.i18n.message import Message, join
from orchestrator.redaction.redact import redact_data, redacting
from orchestrator.store.connection import store_errors
from workers.config import LogCacheSettings, TwsSettings
from workers.sources.log_cache.connection import connect, connect_writer
from workers.sources.log_cache.entries import Entry, newest_first
from workers.sources.log_cache.ingest import MAX_JSON_LINE, Ingest, open_ingest
from workers.sources.log_cache.own_cache import LogCacheWriter, OwnEntries, Written, cache_key, read_own_entries
from workers.sources.log_cache.record import LogRecord

_BATCH = 500
_PROGRESS_LINES = 100_000

_instance_option = click.option("--instance", metavar="NAME", help="TWS instance; the default one when left out.")


@click.group(name="logs")
def command() -> None:
    """Store job logs in the log cache, or show the records of a job."""


@command.command(short_help="Store a job log, or JSON lines.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--job", metavar="JOB", help="The job; needed when the log does not name it.")
@_instance_option
@json_option
@pass_context
def ingest(context: CliContext, file: str, job: str | None, instance: str | None, as_json: bool) -> None:
    """Store a plain job log, or JSON lines of runs and errors, from FILE or - (standard input).

    Secrets are masked first. Storing the same log again changes nothing.
    """
    settings = LogCacheSettings.from_env(context.environ)
    name = _instance(context, instance)
    bare = _job(job)
    shown = "-" if file == "-" else Path(file).name
    now = datetime.now(UTC)
    personal = MaskingSettings.from_env(context.environ).redact_personal
    with _open(file) as (lines, written_at), redacting(personal=personal):
        reading = open_ingest(_with_progress(lines, context, shown), job=bare, written_at=written_at, now=now)
        written = _write(settings, name, reading.records, now)
    for number, problem in reading.bad_lines:
        context.say(Message("{name}, line {number}: {problem}", name=shown, number=number, problem=problem))
    if reading.bad and not (written.new or written.known or written.dropped or reading.ignored):
        raise InvalidRequest("{name}: no line could be read", name=shown)
    if as_json:
        context.print_json(json.dumps(_summary(reading, written, name), ensure_ascii=False))
        return
    context.print_text(_totals(reading, written, shown))


@command.command(short_help="Show the records of a job.")
@click.argument("job")
@_instance_option
@json_option
@pass_context
def show(context: CliContext, job: str, instance: str | None, as_json: bool) -> None:
    """Show the records of JOB, newest first."""
    settings = LogCacheSettings.from_env(context.environ)
    name = _instance(context, instance)
    _job(job, "JOB")
    with store_errors():
        own = asyncio.run(_read(settings, name, job))
    # Masked when they were stored, but perhaps by an older version, or without the option for personal data.
    personal = MaskingSettings.from_env(context.environ).redact_personal
    entries = redact_data([_entry(entry) for entry in newest_first([*own.history, *own.findings])], personal=personal)
    if as_json:
        context.print_json(json.dumps(entries, ensure_ascii=False))
        return
    if not entries:
        context.say(Message("nothing about {job} in the log cache", job=job))
    for entry in entries:
        context.print_text(f"{entry['at'] or '?':20}  {entry['text']}")


def _instance(context: CliContext, instance: str | None) -> str:
    name = instance or TwsSettings.from_env(context.environ).default_instance
    try:
        cache_key("", name, None)
    except InvalidRequest as error:
        raise WrongUsage("--instance: {detail}", detail=error.message) from None
    return name


def _job(job: str | None, option: str = "--job") -> str | None:
    if job is None:
        return None
    try:
        return bare_name(check_job_name(job))
    except InvalidValue as error:
        raise WrongUsage("{option}: {detail}", option=option, detail=error.message) from None


@contextmanager
def _open(file: str) -> Iterator[tuple[Iterable[str], datetime | None]]:
    """The lines, and the file's modification time (None for standard input). Job logs come in any encoding."""
    try:
        # For "-" a KeepOpenFile, which leaves standard input open.
        opened = click.open_file(file, encoding="utf-8", errors="replace")
    except OSError as error:
        raise WrongUsage("{file}: {detail}", file=file, detail=str(error.strerror or error)) from None
    with opened as stream:
        written_at = None if file == "-" else datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
        # Long lines come in pieces: a file without line ends must not be read into memory whole.
        yield iter(partial(stream.readline, MAX_JSON_LINE + 1), ""), written_at


def _with_progress(lines: Iterable[str], context: CliContext, name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if number % _PROGRESS_LINES == 0:
            context.say(Message("{name}: {lines} lines read", name=name, lines=number))
        yield line


def _write(settings: LogCacheSettings, instance: str, records: Iterator[LogRecord], now: datetime) -> Written:
    client = connect_writer(settings.redis_url)
    new = known = dropped = 0
    try:
        writer = LogCacheWriter(
            client,
            key_prefix=settings.key_prefix,
            instance=instance,
            max_records=settings.max_records,
            retention_days=settings.retention_days,
            feed_app=settings.feed_app,
        )
        while batch := list(islice(records, _BATCH)):
            with store_errors():
                written = writer.write(batch, now=now)
            new, known, dropped = new + written.new, known + written.known, dropped + written.dropped
    finally:
        client.close()
    return Written(new=new, known=known, dropped=dropped)


async def _read(settings: LogCacheSettings, instance: str, job: str) -> OwnEntries:
    client = connect(settings.redis_url, timeout_seconds=1.0)
    try:
        (entries,) = await read_own_entries(
            client, key_prefix=settings.key_prefix, instance=instance, jobs=(job,), now=datetime.now(UTC)
        )
        return entries
    finally:
        await client.aclose()


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "job": entry.job,
        "job_stream": entry.job_stream,
        "workstation": entry.workstation,
        "run_id": entry.run_id,
        **entry.facts.model_dump(mode="json"),
    }


def _totals(reading: Ingest, written: Written, name: str) -> Message:
    counts = (
        Message("{count} new record", plural="{count} new records", count=written.new),
        Message("{count} known already", plural="{count} known already", count=written.known),
        Message("{count} too old", plural="{count} too old", count=written.dropped),
        Message("{count} of no interest", plural="{count} of no interest", count=reading.ignored),
        Message("{count} unreadable", plural="{count} unreadable", count=reading.bad),
    )
    lines = Message("{count} line", plural="{count} lines", count=reading.lines)
    return Message("{name}: {lines}; {counts}", name=name, lines=lines, counts=join(counts, ", "))


def _summary(reading: Ingest, written: Written, instance: str) -> dict[str, object]:
    return {
        "format": reading.format,
        "instance": instance,
        "lines": reading.lines,
        "new": written.new,
        "known": written.known,
        "dropped": written.dropped,
        "ignored": reading.ignored,
        "bad": reading.bad,
        "bad_lines": [{"line": number, "problem": str(problem)} for number, problem in reading.bad_lines],
    }
