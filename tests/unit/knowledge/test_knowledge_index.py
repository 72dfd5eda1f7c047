"""The index file: incremental folders, the shipped runbooks' cache, and what a reader refuses."""

from __future__ import annotations

import asyncio
import errno
import importlib
import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ConfigurationError, InvalidRequest
from workers.knowledge.base import KnowledgeError, KnowledgeStats, SearchResult
from workers.knowledge.ranking.analysis import stem_portuguese
from workers.knowledge.ranking.fingerprint import analysis_fingerprint, reading_fingerprint
from workers.knowledge.ranking.query import build_query
from workers.knowledge.sqlite.base import SqliteKnowledgeBase, check_index
from workers.knowledge.sqlite.folder import Progress, index_folder
from workers.knowledge.sqlite.index import SCHEMA_VERSION, KnowledgeIndex, index_format
from workers.knowledge.sqlite.shipped import EXPIRY_SECONDS, cache_folder, shipped_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pages and files that are none."""
    root = tmp_path / "manual"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.md").write_text("# Alpha\n\nAWSBHT001E first.\n", encoding="utf-8")
    (root / "sub" / "b.txt").write_text("bravo S0C7", encoding="utf-8")
    (root / "c.png").write_bytes(b"\x89PNG")
    (root / ".hidden.md").write_text("# Hidden", encoding="utf-8")
    (root / ".git" / "d.md").write_text("# Git", encoding="utf-8")
    return root


def search(path: Path, text: str) -> SearchResult:
    async def run() -> SearchResult:
        base = SqliteKnowledgeBase(path)
        try:
            return await base.search(build_query(text), limit=5, timeout_seconds=10)
        finally:
            await base.close()

    return asyncio.run(run())


def test_only_what_changed_is_read_again(folder: Path, tmp_path: Path) -> None:
    """The second run reads nothing, a changed file is replaced, a vanished one is removed."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        first = index_folder(index, folder)
        second = index_folder(index, folder)
        (folder / "a.md").write_text("# Alpha\n\nAWSBHT002E second.\n", encoding="utf-8")
        (folder / "sub" / "b.txt").unlink()
        third = index_folder(index, folder)
    assert (first.indexed, first.unchanged) == (2, 0)
    assert (second.indexed, second.unchanged) == (0, 2)
    assert (third.indexed, third.removed) == (1, 1)
    assert search(path, "AWSBHT001E").hits == ()
    assert search(path, "S0C7").hits == ()
    assert search(path, "AWSBHT002E").hits[0].document == "manual/a.md"


def test_a_vector_never_lands_on_another_text(folder: Path, tmp_path: Path) -> None:
    """A passage that is replaced while its vector is made has none afterwards, and neither has its successor."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
        waiting = index.chunks_without_vector("model")
        with KnowledgeIndex(path) as other:
            for page in ("a.md", "sub/b.txt"):
                (folder / page).unlink()
            index_folder(other, folder)
            (folder / "new.md").write_text("# New\n\nother text", encoding="utf-8")
            index_folder(other, folder)
        index.put_vectors("model", [(chunk_id, b"\0\0\0\0") for chunk_id, _ in waiting])
        assert [text for _, text in index.chunks_without_vector("model")] == ["New\nother text"]


def test_folders_of_one_index_do_not_touch_each_other(folder: Path, tmp_path: Path) -> None:
    """Indexing another folder keeps the first one's pages."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.md").write_text("# Xray\n\nS322", encoding="utf-8")
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index:
        index_folder(index, folder)
        assert index_folder(index, other).removed == 0
    assert search(tmp_path / "kb.sqlite3", "S0C7").total_found == 1


def test_a_file_that_cannot_be_read_is_reported_and_keeps_its_older_version(folder: Path, tmp_path: Path) -> None:
    """A damaged file fails alone; what was known of it stays."""
    pytest.importorskip("pypdf")
    seen: list[Progress] = []
    (folder / "bad.pdf").write_bytes(b"no pdf")
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index:
        report = index_folder(index, folder, on_progress=seen.append)
    assert (report.indexed, report.failed) == (2, 1)
    assert report.errors[0].startswith("bad.pdf: ")
    assert [(item.number, item.total) for item in seen] == [(1, 3), (2, 3), (3, 3)]


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """A link to a file elsewhere is not indexed, one within the folder is."""
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n\nS0C4", encoding="utf-8")
    (folder / "link.md").symlink_to(secret)
    (folder / "inner.md").symlink_to(folder / "a.md")
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index:
        assert index_folder(index, folder).indexed == 3
    assert search(tmp_path / "kb.sqlite3", "S0C4").hits == ()


def test_a_folder_that_cannot_be_read_keeps_its_pages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without permission, or gone from the network, fails alone: what is known of its files stays."""
    seen: list[Progress] = []
    path = tmp_path / "kb.sqlite3"
    scandir = os.scandir

    def refuse(where: str) -> Any:
        if str(where).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(where))
        return scandir(where)

    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
        monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
        report = index_folder(index, folder, on_progress=seen.append)
    assert (report.failed, report.unchanged, report.removed) == (1, 1, 0)
    assert [(item.number, item.total, item.path, item.error) for item in seen if item.error] == [
        (1, 2, "sub", "Permission denied")
    ]
    assert search(path, "S0C7").total_found == 1


def test_a_file_that_may_not_be_looked_at_fails_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that can be listed and not entered each file fails; the others are indexed."""
    is_file = Path.is_file

    def refuse(self: Path) -> bool:
        if self.parent.name == "sub":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return is_file(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index:
        report = index_folder(index, folder)
    assert (report.indexed, report.errors) == (1, ("sub/b.txt: Permission denied",))


def test_a_name_that_is_no_text_is_indexed_and_shown(folder: Path, tmp_path: Path) -> None:
    """A file name in an old encoding has its odd bytes spelt out; two of them stay two."""
    for name in (b"aten\xe7\xe3o.md", b"aten\xe7\xe4o.md"):
        (folder / os.fsdecode(name)).write_bytes(b"# Page\n\nAWSBHT077E")
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        assert index_folder(index, folder).indexed == 4
        assert index_folder(index, folder).unchanged == 4
    found = {hit.document for hit in search(path, "AWSBHT077E").hits}
    assert found == {"manual/aten\\xe7\\xe3o.md", "manual/aten\\xe7\\xe4o.md"}


def index_with(path: Path, folder: Path, pragma: str) -> None:
    with KnowledgeIndex(path) as index:
        index._db.execute(pragma)
        index_folder(index, folder)


def test_a_second_writer_is_told_to_wait(folder: Path, tmp_path: Path) -> None:
    """While another process writes, indexing ends with a sentence, not with SQLite's words; what was there stays."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    (folder / "new.md").write_text("# New\n\ntext", encoding="utf-8")
    try:
        with pytest.raises(ConfigurationError, match="written by another process"):
            index_with(path, folder, "PRAGMA busy_timeout = 10")
        assert search(path, "S0C7").total_found == 1
    finally:
        other.close()


def test_a_full_disk_is_told_and_keeps_what_was_indexed(folder: Path, tmp_path: Path) -> None:
    """When the file cannot grow, the document in hand is undone, the earlier ones answer, and the error says so."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    (folder / "z.md").write_text("# Large\n\n" + "AWSBHT088E text\n\n" * 50_000, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="full"):
        index_with(path, folder, "PRAGMA max_page_count = 200")
    assert search(path, "S0C7").total_found == 1
    assert search(path, "AWSBHT088E").total_found == 0


def leave_half_written(path: Path) -> None:
    """What a process that is killed while it commits leaves: changed pages, and the journal to undo them."""
    whole = path.with_name("whole")
    shutil.copy(path, whole)
    db = sqlite3.connect(whole, isolation_level=None)
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    for _ in range(200):
        db.execute("INSERT INTO chunk (document_id, ordinal, headings, text) VALUES (1, 9, '[]', ?)", ("x" * 4000,))
    db.execute("DELETE FROM passage")
    shutil.copy(whole, path)
    shutil.copy(f"{whole}-journal", f"{path}-journal")
    db.execute("ROLLBACK")
    db.close()


def test_an_index_whose_writer_was_killed_is_undone_by_the_next_reader(folder: Path, tmp_path: Path) -> None:
    """A writer that died while it committed costs its last document: readers go on without an indexing run."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    leave_half_written(path)
    assert search(path, "S0C7").total_found == 1
    check_index(path)


def test_an_index_that_only_its_owner_can_undo_is_told_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that may not write names the command that mends the file."""

    def refuse(_: Path) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    leave_half_written(path)
    monkeypatch.setattr("workers.knowledge.sqlite.base._roll_back", refuse)  # root may write everything
    with pytest.raises(ConfigurationError, match=r"half-written.*kb index"):
        check_index(path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is an error, not an empty index."""
    with KnowledgeIndex(tmp_path / "kb.sqlite3") as index, pytest.raises(InvalidRequest):
        index_folder(index, tmp_path / "nowhere")


def test_a_crash_in_the_middle_leaves_the_older_version(folder: Path, tmp_path: Path) -> None:
    """A document is replaced in one transaction: when that breaks off, its older version still answers."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
        (folder / "a.md").write_text("# Alpha\n\nAWSBHT002E\n\n## Next\n\nmore", encoding="utf-8")
        index._put_chunk = None  # type: ignore[assignment,method-assign]  # breaks after the older version is deleted
        with pytest.raises(TypeError):
            index_folder(index, folder)
    assert search(path, "AWSBHT001E").total_found == 1


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_file_that_is_no_index_is_refused_by_its_variable(tmp_path: Path, content: bytes) -> None:
    """An empty or foreign file under RESYNC_KNOWLEDGE_PATH is refused at start."""
    path = tmp_path / "kb.sqlite3"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="RESYNC_KNOWLEDGE_PATH"):
        check_index(path)


def test_an_index_of_another_format_is_refused_by_reader_and_writer(tmp_path: Path) -> None:
    """An index whose tokens would not meet the question's is not used, and the remedy is named."""
    path = tmp_path / "kb.sqlite3"
    KnowledgeIndex(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '0.0.0'")
    db.close()
    with pytest.raises(ConfigurationError, match="kb index"):
        check_index(path)
    with pytest.raises(ConfigurationError, match="kb index"):
        KnowledgeIndex(path)


def write_format(path: Path, value: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (value,))
    db.close()


def test_an_index_of_an_older_analysis_is_noticed_and_analysed_again(folder: Path, tmp_path: Path) -> None:
    """Tokens that an older version wrote are not searched; the next indexing renews them from the stored texts."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
        index.put_vectors("model", [(chunk_id, b"\0\0\0\0") for chunk_id, _ in index.chunks_without_vector("model")])
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE passage SET codes = '', topic = '', body = 'older'")
    db.close()
    write_format(path, f"{SCHEMA_VERSION}.older.{reading_fingerprint()}")
    with pytest.raises(ConfigurationError, match="kb index"):
        check_index(path)
    (folder / "a.md").unlink()  # what cannot be read any more is renewed all the same
    with KnowledgeIndex(path) as index:
        assert index.renewed == 2
        assert index.chunks_without_vector("model") == []
    assert search(path, "AWSBHT001E").hits[0].document == "manual/a.md"
    with KnowledgeIndex(path) as index:
        assert index.renewed == 0
        assert index_folder(index, folder).unchanged == 1


def test_files_that_are_read_otherwise_now_are_read_again(folder: Path, tmp_path: Path) -> None:
    """When chunks are cut in another way, each folder's files are read again with its next indexing, once."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    write_format(path, f"{SCHEMA_VERSION}.{analysis_fingerprint()}.older")
    with KnowledgeIndex(path) as index:
        assert index.renewed == 0
        assert index_folder(index, folder).indexed == 2
        assert index_folder(index, folder).indexed == 0


@pytest.mark.parametrize(
    ("module", "name", "value", "derived"),
    [
        ("ranking.analysis", "_PT_SUFFIXES", ("a",), analysis_fingerprint),
        ("ranking.fingerprint", "stop_words", lambda: frozenset({"o"}), analysis_fingerprint),
        ("ranking.codes", "_NO_TOPICS", frozenset({"HOLD"}), analysis_fingerprint),
        ("ranking.codes", "find_return_codes", lambda _: (), analysis_fingerprint),
        ("reading.chunking", "_LISTING_SHARE", 2.0, reading_fingerprint),
        ("reading.readers", "_language_folders", dict, reading_fingerprint),
        ("reading.html", "_SKIPPED", frozenset(), reading_fingerprint),
    ],
)
def test_a_change_of_the_analysis_changes_the_format(
    module: str, name: str, value: object, derived: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The format is derived from what the code makes of a text, not from a number that somebody must raise."""
    before = derived()
    stem_portuguese.cache_clear()
    monkeypatch.setattr(importlib.import_module(f"workers.knowledge.{module}"), name, value)
    try:
        assert derived.__wrapped__() != before
    finally:
        stem_portuguese.cache_clear()


def test_a_format_is_the_same_in_every_process() -> None:
    """Another process, with another seed of hashes, derives the same format: it reads what this one writes."""
    code = "from workers.knowledge.sqlite.index import index_format; print(index_format(), end='')"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {index_format()}


def test_an_index_that_vanishes_while_workers_run_is_an_error(folder: Path, tmp_path: Path) -> None:
    """A file removed under a running base is reported as unavailable."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    base = SqliteKnowledgeBase(path)
    path.unlink()

    async def run() -> None:
        try:
            await base.search(build_query("S0C7"), limit=5, timeout_seconds=5)
        finally:
            await base.close()

    with pytest.raises(KnowledgeError) as caught:
        asyncio.run(run())
    assert caught.value.reason == "knowledge_unavailable"


def test_a_cancelled_search_stops_in_its_thread(folder: Path, tmp_path: Path) -> None:
    """Cancelling interrupts SQLite itself: the thread is free again, whatever the query costs."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)
    started = threading.Event()
    ended = threading.Event()

    def endless(db: sqlite3.Connection, _: Path) -> None:
        started.set()
        try:
            db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
        finally:
            ended.set()

    async def run() -> None:
        base = SqliteKnowledgeBase(path)
        task = asyncio.create_task(base._run(endless, time.monotonic() + 60))
        assert await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 10)
        await base.close()

    asyncio.run(run())


def test_a_search_that_costs_too_much_is_stopped_at_its_time(folder: Path, tmp_path: Path) -> None:
    """The time limit reaches into SQLite, and the error says that it was time."""
    path = tmp_path / "kb.sqlite3"
    with KnowledgeIndex(path) as index:
        index_folder(index, folder)

    def endless(db: sqlite3.Connection, _: Path) -> None:
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")

    async def run() -> None:
        base = SqliteKnowledgeBase(path)
        try:
            await base._run(endless, time.monotonic() + 0.1)
        finally:
            await base.close()

    with pytest.raises(KnowledgeError) as caught:
        asyncio.run(run())
    assert caught.value.reason == "knowledge_timeout"


def environment(root: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(root), "HOME": str(root)}


def _build(root: str, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    results.put(str(shipped_index(environment(Path(root)))))  # type: ignore[attr-defined]


def test_processes_that_start_at_once_share_one_index(tmp_path: Path) -> None:
    """Several processes that build the shipped index together end with one file and no remains."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_build, args=(str(tmp_path), barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    paths = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=30)
    results.close()
    results.join_thread()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(paths) == 1
    assert [path.name for path in cache_folder(environment(tmp_path)).iterdir()] == [Path(paths.pop()).name]


def test_the_shipped_index_is_built_once_and_is_private(tmp_path: Path) -> None:
    """The second start uses the first one's file; nobody else can write into its folder."""
    path = shipped_index(environment(tmp_path))
    before = path.stat().st_mtime_ns
    assert shipped_index(environment(tmp_path)) == path
    assert path.stat().st_mtime_ns == before
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("como faço para liberar um job em hold?", "state-hold"),
        ("como liberar um job em hold?", "state-hold"),
        ("how do I release a job on hold?", "state-hold"),
        ("¿cómo libero un job en hold?", "state-hold"),
        ("como destravo um job em ready?", "state-ready-limit"),
        ("o que fazer quando o fluxo fica em stuck?", "state-stuck"),
    ],
)
def test_a_how_to_question_finds_the_page_of_its_state(tmp_path: Path, question: str, page: str) -> None:
    """The words of asking count for nothing: no page about commands or about what stands still comes first."""
    found = search(shipped_index(environment(tmp_path)), question)
    assert Path(found.hits[0].document).stem == page


def test_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    """A broken file in the cache is replaced."""
    path = shipped_index(environment(tmp_path))
    path.write_bytes(b"broken")
    assert search(shipped_index(environment(tmp_path)), "S0C7").hits[0].document.endswith("abend-s0c7.md")


def test_an_index_of_another_version_goes_when_it_is_old(tmp_path: Path) -> None:
    """Building an index removes what versions of long ago left beside it, half-built files too, and nothing else."""
    folder = cache_folder(environment(tmp_path))
    folder.mkdir(mode=0o700)
    old, half_built, young, other = (
        folder / name for name in ("runbooks-1.sqlite3", ".runbooks-1-x.tmp", "runbooks-2.sqlite3", "other.sqlite3")
    )
    for path in (old, half_built, young, other):
        path.touch()
        age = EXPIRY_SECONDS + (-3_600 if path is young else 60)
        os.utime(path, (time.time() - age,) * 2)
    new = shipped_index(environment(tmp_path))
    assert set(folder.iterdir()) == {new, young, other}


def test_an_index_that_may_not_be_looked_at_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not enter is told of with the variable's name, as a file that is not there is."""

    def refuse(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ConfigurationError, match=r"RESYNC_KNOWLEDGE_PATH: /closed/kb cannot be read: Permission"):
        check_index(Path("/closed/kb"))


def test_a_cache_folder_that_others_may_write_is_not_trusted(tmp_path: Path) -> None:
    """An index in a folder that other users can write is neither read nor written."""
    folder = cache_folder(environment(tmp_path))
    folder.mkdir()
    folder.chmod(0o777)
    path = shipped_index(environment(tmp_path))
    assert path.parent != folder
    assert list(folder.iterdir()) == []


def test_the_first_search_builds_the_index_in_a_thread(tmp_path: Path) -> None:
    """The event loop goes on while the first search builds the index, and searches that come together build it once."""
    calls = []

    def build() -> Path:
        calls.append(threading.current_thread().name)
        return shipped_index(environment(tmp_path))

    async def run() -> list[SearchResult]:
        base = SqliteKnowledgeBase(build)
        try:
            query = build_query("S0C7")
            return await asyncio.gather(*(base.search(query, limit=1, timeout_seconds=30) for _ in range(5)))
        finally:
            await base.close()

    results = asyncio.run(run())
    assert {result.hits[0].title.split()[0] for result in results} == {"S0C7"}
    assert len(calls) == 1
    assert calls[0] != threading.main_thread().name


def test_a_cleaned_cache_is_built_again_under_a_running_base(tmp_path: Path) -> None:
    """When the cache is removed while a worker runs, the next search builds it again."""

    async def run() -> SearchResult:
        base = SqliteKnowledgeBase(lambda: shipped_index(environment(tmp_path)))
        try:
            await base.search(build_query("S0C7"), limit=1, timeout_seconds=30)
            for path in cache_folder(environment(tmp_path)).iterdir():
                path.unlink()
            return await base.search(build_query("S0C7"), limit=1, timeout_seconds=30)
        finally:
            await base.close()

    assert asyncio.run(run()).hits[0].title.startswith("S0C7")


def test_stats_name_the_file_and_the_languages(tmp_path: Path) -> None:
    """Documents are counted by language, with the time of the last change."""

    async def run() -> KnowledgeStats:
        base = SqliteKnowledgeBase(shipped_index(environment(tmp_path)))
        try:
            return await base.stats(timeout_seconds=5)
        finally:
            await base.close()

    stats = asyncio.run(run())
    assert stats.languages["pt"] == stats.languages["en"] >= 30
    assert stats.updated_at is not None
    assert stats.where.endswith(".sqlite3")
