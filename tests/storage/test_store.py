"""A database that is locked, full, read-only, foreign or shared says so, and stays whole."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from optical_memory.errors import (
    ConfigError,
    DiskFullError,
    LockedError,
    MissingExtraError,
    ReadOnlyError,
    SchemaError,
    StoreError,
)
from optical_memory.storage import NewPage, Store, Writer
from optical_memory.storage.engine import file_of, has_wal_reset_bug, parse_url
from optical_memory.storage.schema import HEAD

from .makers import NOW, begun, texts, turn

FORK = multiprocessing.get_context("fork")


def test_a_plain_path_is_a_database_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute from the start: a later change of folder does not move the memory."""
    monkeypatch.chdir(tmp_path)
    assert file_of(parse_url("memory.db")) == tmp_path / "memory.db"
    assert file_of(parse_url("sqlite:///memory.db")) == tmp_path / "memory.db"
    assert file_of(parse_url("sqlite://")) is None
    assert file_of(parse_url(":memory:")) is None


def test_a_password_is_never_shown() -> None:
    """Neither in url nor in an error."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver: pip install optical-memory[postgres]")
    store = Store("postgresql+psycopg://user:hunter2@localhost:1/none", lock_timeout=1)
    assert "hunter2" not in store.url
    with pytest.raises(StoreError) as caught, store.read():
        pass
    assert "hunter2" not in str(caught.value)
    assert "user:***@localhost" in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x/y", "http://x", "://", "nonsense://"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    """With the form that works."""
    with pytest.raises(ConfigError, match=r"sqlite:///memory\.db"):
        Store(url)


def test_a_missing_driver_names_the_extra() -> None:
    """The command to install it, instead of an ImportError from below."""
    with pytest.raises(MissingExtraError, match=r"optical-memory\[postgres\]"):
        Store("postgresql+pg8000://x/y")


def test_the_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    """Mode 0600 for the database, its WAL and its lock, whatever the umask."""
    old = os.umask(0)
    try:
        store = Store(str(tmp_path / "memory.db"))
        begun(store, "a")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}
    assert {"memory.db", "memory.db-wal"} <= set(modes)
    store.close()


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    """Also one that leads to no file yet: it is private, its size counts the WAL, and both ways to it share one guard."""
    (tmp_path / "disk").mkdir()
    file, link = tmp_path / "disk" / "memory.db", tmp_path / "link.db"
    link.symlink_to(file)
    store, same = Store(str(link)), Store(str(file))
    begun(store, "a" * 100_000)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store._guard.path == same._guard.path
    assert store.size() == same.size() > 100_000
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "disk"] == ["link.db"]
    store.close()
    same.close()


def test_connections_have_the_settings_that_were_measured(store: Store) -> None:
    """WAL, FULL sync, foreign keys, overwritten deletes, no trust in the schema."""
    with store.read() as reader:
        values = {
            name: reader._connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "secure_delete",
                "trusted_schema",
                "busy_timeout",
            )
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
        "busy_timeout": 5000,
    }


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 40, 1), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
    ],
)
def test_engines_with_the_wal_reset_bug_are_known(version: tuple[int, ...], has_it: bool) -> None:
    """Those that the SQLite project names."""
    assert has_wal_reset_bug(version) is has_it


def _append(store: Store, text: str, then: Callable[[Writer], object] = lambda _: None) -> None:
    with store.write() as writer:
        thread = writer.thread("trip")
        assert thread is not None
        writer.append(thread, [turn(text)], NOW)
        then(writer)


def test_an_exception_takes_everything_back(store: Store) -> None:
    """Half a transaction is never stored."""
    begun(store, "a")
    with pytest.raises(ZeroDivisionError):
        _append(store, "b", then=lambda writer: 1 / 0)
    assert texts(store) == ["a"]


def test_a_reader_sees_one_state(store: Store) -> None:
    """What is written meanwhile appears in the next transaction, not within one."""
    thread = begun(store, "a")
    with store.read() as reader:
        assert reader.counts().turns == 1
        with store.write() as writer:
            writer.append(thread, [turn("b")], NOW)
        assert reader.counts().turns == 1
    assert texts(store) == ["a", "b"]


def test_a_writer_within_a_writer_is_refused_at_once(store: Store) -> None:
    """Instead of waiting for itself until the timeout."""
    with store.write(), pytest.raises(StoreError, match=r"inside store\.write"), store.write():
        pass


def test_a_locked_database_says_so_and_is_whole_afterwards(store: Store) -> None:
    """Another program that holds the write lock: LockedError after the timeout, then everything works."""
    begun(store, "a")
    assert store.path is not None
    short = Store(str(store.path), lock_timeout=0.2)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match="locked by another process"), short.write():
        pass
    assert texts(short) == ["a"]
    holder.communicate("\n")
    begun(short, "b", key="other")
    short.close()


_HOLDER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not has_wal_reset_bug(), reason="this SQLite needs no guard")
def test_the_guard_excludes_threads_and_names_its_file(store: Store) -> None:
    """A second store of the same process waits for the first, and says for which file."""
    begun(store, "a")
    assert store.path is not None
    short = Store(str(store.path), lock_timeout=0.1)
    with store.write(), pytest.raises(LockedError, match=r"memory\.db\.lock"):
        _in_thread(lambda: begun(short, "b", key="other"))
    short.close()


def _in_thread(work: object) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def test_a_full_disk_says_so_and_keeps_what_was_there(store: Store) -> None:
    """SQLite's own page limit stands for the disk: DiskFullError, the earlier turns readable, and it goes on after."""
    begun(store, "a")
    with store.read() as reader:
        pages = reader._connection.exec_driver_sql("PRAGMA page_count").scalar()
        reader._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # holds for the pooled connection
    with pytest.raises(DiskFullError, match="no space left"):
        _append(store, "x" * 100_000)
    store.close()
    assert texts(store) == ["a"]
    assert store.check() == []
    begun(store, "b", key="other")


def test_a_write_that_the_disk_refuses_is_taken_back(store: Store) -> None:
    """A process that may write no more bytes: DiskFullError, and the file is as it was for everyone."""
    begun(store, "a")
    assert store.path is not None
    assert _alone(_write_without_space, str(store.path)) == "DiskFullError"
    assert texts(store) == ["a"]
    assert store.check() == []
    begun(store, "b", key="other")


def _write_without_space(path: str) -> str:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
    return _write_to(path, "x" * 500_000)


def test_a_read_only_store_reads_and_refuses_to_write(store: Store) -> None:
    """Nothing is created, upgraded or written."""
    begun(store, "a")
    assert store.path is not None
    reading = Store(str(store.path), read_only=True)
    assert texts(reading) == ["a"]
    assert reading.check() == []
    with pytest.raises(ReadOnlyError, match="opened read-only"), reading.write():
        pass
    reading.close()
    missing = Store(str(store.path.with_name("none.db")), read_only=True)
    with pytest.raises(StoreError, match="there is no database at"), missing.read():
        pass
    assert not store.path.with_name("none.db").exists()


@pytest.mark.parametrize("mode", [0o555, 0o400])
def test_a_folder_that_cannot_be_written_says_so(mode: int) -> None:
    """A database there, or to be made there, as a user without the right to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(str(folder / "memory.db"))
        begun(store, "a")
        store.close()
        folder.chmod(mode)
        try:
            assert _as_nobody(_write_to, str(folder / "memory.db")) == "ReadOnlyError"
            assert _as_nobody(_write_to, str(folder / "new.db")) == "ReadOnlyError"
        finally:
            folder.chmod(0o755)
        assert texts(store) == ["a"]
        store.close()


def _write_to(path: str, text: str = "b") -> str:
    store = Store(path, lock_timeout=1)
    try:
        begun(store, text, key="other")
    except StoreError as error:
        return type(error).__name__
    return "stored"


def _as_nobody(work: Callable[..., str], *given: str) -> str:
    """What the function says in a process without root's rights."""
    return _alone(_without_rights, work, *given)


def _without_rights(work: Callable[..., str], *given: str) -> str:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    return work(*given)


def _alone(work: Callable[..., str], *given: object) -> str:
    """What the function says in a process of its own."""
    ours, theirs = FORK.Pipe()

    def run() -> None:
        theirs.send(work(*given))

    process = FORK.Process(target=run)
    process.start()
    theirs.close()
    assert ours.poll(30)
    said: str = ours.recv()
    process.join()
    return said


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Not created by guess: a typo would hide the memory."""
    with pytest.raises(StoreError, match="does not exist: create it"), Store(str(tmp_path / "no" / "m.db")).read():
        pass


def come_and_go(file: Path) -> None:
    """Make a file and take it away, until somebody ends the process."""
    while True:
        file.touch()
        file.unlink()


def test_the_size_can_be_asked_while_the_wal_comes_and_goes(tmp_path: Path) -> None:
    """Another process may be the last to close at that very moment."""
    store = Store(str(tmp_path / "memory.db"))
    other = FORK.Process(target=come_and_go, args=(tmp_path / "memory.db-wal",))
    other.start()
    try:
        assert {store.size() for _ in range(20_000)} == {0}
    finally:
        other.kill()
        other.join()


def test_closing_what_was_never_used_leaves_nothing(tmp_path: Path) -> None:
    """No file, no lock."""
    Store(str(tmp_path / "memory.db")).close()
    assert list(tmp_path.iterdir()) == []


def test_any_file_name_is_a_file_name(tmp_path: Path) -> None:
    """Percent signs, question marks, hashes, spaces and letters of any script."""
    for name in ("a b.db", "50%.db", "what?.db", "no#1.db", "größe 東京.db"):
        store = Store(str(tmp_path / name))
        begun(store, "a")
        store.close()
        assert (tmp_path / name).is_file()
        assert texts(Store(str(tmp_path / name), read_only=True)) == ["a"]


def test_a_newer_database_is_refused_untouched(store: Store) -> None:
    """Not a byte changes; the message says what is there, what is needed and what to type."""
    begun(store, "a")
    assert store.path is not None
    with store.write() as writer:
        writer._connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    before = store.path.read_bytes()
    for newer in (Store(str(store.path)), Store(str(store.path), read_only=True)):
        with pytest.raises(SchemaError, match="pip install --upgrade") as caught, newer.read():
            pass
        assert (caught.value.current, caught.value.head) == ("9999", HEAD)
        newer.close()
    assert store.path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    """A text file given by mistake."""
    file = tmp_path / "notes.txt"
    file.write_text("my notes " * 1000)
    with pytest.raises(StoreError, match="is not a readable database"), Store(str(file)).read():
        pass
    assert file.read_text() == "my notes " * 1000


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Do the same in several threads at once, and wait for all."""
    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_memory_is_shared_by_threads_and_gone_on_close() -> None:
    """One connection, one at a time; a read inside a write joins it."""
    store = Store("sqlite://")
    begun(store, "a")

    def add() -> None:
        for _ in range(20):
            with store.write() as writer:
                thread = writer.thread("trip")
                assert thread is not None
                writer.append(thread, [turn("x")], NOW)
                assert len(texts(store)) == thread.length + 1

    in_threads(4, add)
    assert len(texts(store)) == 81
    assert store.size() > 0
    assert store.erase()
    store.close()
    with store.read() as reader:
        assert reader.threads() == []
    store.close()


def test_memory_loses_nothing_while_another_thread_looks_after_it(tmp_path: Path) -> None:
    """Erasing, rebuilding and backing up wait for a write that has begun."""
    store = Store("sqlite://")
    begun(store, "a")
    files, ended = count(), threading.Event()

    def care() -> None:
        while not ended.is_set():
            assert store.erase()
            store.vacuum()
            store.backup(tmp_path / f"{next(files)}.db")

    with ThreadPoolExecutor(1) as other:
        cared = other.submit(care)
        for _ in range(100):
            with store.write() as writer:
                thread = writer.thread("trip")
                assert thread is not None
                writer.append(thread, [turn("x")], NOW)
        ended.set()
        cared.result()
    assert len(texts(store)) == 101
    with store.read(), pytest.raises(StoreError, match="leave that block"):
        store.vacuum()
    store.close()


def test_a_forked_child_uses_connections_of_its_own(store: Store) -> None:
    """Parent and child both write after the fork, and both see both."""
    begun(store, "a")
    child = FORK.Process(target=begun, args=(store, "from the child"), kwargs={"key": "child"})
    child.start()
    child.join()
    assert child.exitcode == 0
    begun(store, "b", key="parent")
    with store.read() as reader:
        assert {thread.key for thread in reader.threads()} == {"trip", "child", "parent"}
    assert store.check() == []


def test_sixteen_threads_write_without_an_error(store: Store) -> None:
    """More threads than pooled connections; numbers without gaps."""
    begun(store)

    def add() -> None:
        for _ in range(5):
            _append(store, "x")

    in_threads(16, add)
    assert len(texts(store)) == 80
    assert store.check() == []


def test_a_backup_is_whole_private_and_never_overwrites(store: Store, tmp_path: Path) -> None:
    """A new file that opens as a store with the same content."""
    begun(store, "a", "b")
    store.backup(tmp_path / "copy.db")
    copy = Store(str(tmp_path / "copy.db"))
    assert texts(copy) == ["a", "b"]
    assert copy.check() == []
    copy.close()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="a backup never overwrites"):
        store.backup(tmp_path / "copy.db")


def test_a_backup_that_finds_no_room_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """A process that may write no more bytes: DiskFullError that names the copy, and its name is free for the next try."""
    begun(store, "x" * 500_000)
    assert store.path is not None
    target = tmp_path / "elsewhere" / "copy.db"
    target.parent.mkdir()
    assert _alone(_back_up_without_space, str(store.path), str(target)) == f"DiskFullError {target}"
    assert [*target.parent.iterdir()] == []
    store.backup(target)
    assert [*target.parent.iterdir()] == [target]


def _back_up_without_space(path: str, target: str) -> str:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
    try:
        Store(path).backup(target)
    except StoreError as error:
        return f"{type(error).__name__} {str(error).split()[4].rstrip(':')}"
    return "done"


def test_vacuum_gives_space_back(store: Store) -> None:
    """The file shrinks after a large thread was forgotten."""
    thread = begun(store, *("x" * 10_000 for _ in range(50)))
    with store.write() as writer:
        writer.forget_thread(thread.id)
    store.erase()
    before = store.size()
    store.vacuum()
    store.erase()
    assert store.size() < before / 2


def test_check_names_gaps_and_a_stale_index(store: Store) -> None:
    """Damage that the engine cannot know of."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        writer._connection.exec_driver_sql("UPDATE turn SET text = 'changed' WHERE number = 2")
    assert store.check() == ["search: the full-text index does not agree with the turns"]
    with store.write() as writer:
        writer._connection.exec_driver_sql("DELETE FROM message WHERE turn_id = 2")
        writer._connection.exec_driver_sql("DELETE FROM turn WHERE number = 2")
    assert store.check() == [f"numbering: thread 'trip' has 2 turns where 1..3 should be (branch {thread.branch_id})"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE thread SET branch_id = 77", "numbering: thread 'trip' has no branch 77"),
        ("UPDATE branch SET parent_id = id", "numbering: branch 1 departs from 1"),
        ("DELETE FROM message WHERE id = 2", "messages: turn 2 of thread 'trip' has 0 where 1 should be"),
        ("UPDATE message SET data = '{' WHERE id = 1", "values: data of row 1 of message cannot be read"),
        ("UPDATE thread SET config = CAST(X'22FF22' AS TEXT)", "values: config of row 1 of thread cannot be read"),
        ("UPDATE page SET purged = 1", "record: page 1 of thread 'trip' has no text any more"),
    ],
)
def test_check_names_what_is_damaged_and_ends_in_no_error(store: Store, damage: str, found: str) -> None:
    """Of rows too, which look whole to the engine."""
    thread = begun(store, "a", "b")
    with store.write() as writer:
        writer.add_pages(thread, [NewPage(thread.branch_id, 1, 2, "clear", 2, 2)], NOW)
        writer._connection.exec_driver_sql(damage)
    (told,) = store.check()
    assert told.startswith(found)


def test_a_copied_file_opens_elsewhere(store: Store, tmp_path: Path) -> None:
    """After close, the one file is all there is."""
    begun(store, "a")
    store.close()
    assert store.path is not None
    shutil.copy(store.path, tmp_path / "moved.db")
    moved = Store(str(tmp_path / "moved.db"))
    assert texts(moved) == ["a"]
    moved.close()


def test_sqlite_is_what_it_says() -> None:
    """The engine that the guard was decided by is the one in use."""
    with sqlite3.connect(":memory:") as connection:
        (said,) = connection.execute("SELECT sqlite_version()").fetchone()
    connection.close()
    assert said == sqlite3.sqlite_version
