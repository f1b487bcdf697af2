"""The store: a database by URL, made or upgraded at its first use, with short read and write transactions.

    store = Store("sqlite:///memory.db")
    with store.write() as writer:                   # BEGIN IMMEDIATE ... COMMIT, or ROLLBACK on any exception
        thread = writer.new_thread("trip", at=now)
    with store.read() as reader:                    # one snapshot
        path = reader.path(thread)

Nothing slow belongs inside a transaction: render between two of them. Everything is synchronous and may be
called from any thread; after a fork the child opens connections of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

import optical_memory.storage.care as care
import optical_memory.storage.engine as engine
import optical_memory.storage.migrate as migrate

from ..errors import LockedError, ReadOnlyError, SchemaError, StoreError
from .reader import Reader
from .schema import HEAD
from .writer import Writer

log = logging.getLogger("optical_memory")

_live: weakref.WeakSet[Store] = weakref.WeakSet()
_of_the_parent: list[object] = []  # a child must neither use nor close its parent's connections


class Store:
    """A database of threads. `lock_timeout` is in seconds; a read-only store neither creates nor upgrades."""

    def __init__(self, url: str, *, lock_timeout: float = 30.0, read_only: bool = False) -> None:
        parsed = engine.parse_url(url)
        self.path: Path | None = engine.file_of(parsed)
        """The SQLite file; None for memory and for PostgreSQL."""
        self.url = parsed.render_as_string(hide_password=True)
        """Where the database is, without its password."""
        self.read_only, self.lock_timeout = read_only, lock_timeout
        self._engine = engine.make_engine(parsed, lock_timeout=lock_timeout, read_only=read_only)
        self._in_memory = self._engine.dialect.name == "sqlite" and self.path is None
        guarded = engine.has_wal_reset_bug() and not read_only
        self._guard = engine.Guard(self.path if guarded else None, lock_timeout)
        self._local = threading.local()
        self._ready = False
        self._reset_locks()
        _live.add(self)

    @contextlib.contextmanager
    def read(self) -> Iterator[Reader]:
        """A short read transaction: all of it sees one state. SchemaError, LockedError, ReadOnlyError."""
        with engine.typed_errors(self.url):
            self._prepare()
            with self._transaction(engine.READING) as connection:
                yield Reader(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[Writer]:
        """A write transaction: committed as a whole, or not at all. DiskFullError besides those of `read`."""
        if self.read_only:
            raise ReadOnlyError(f"{self.url} was opened read-only: open it with read_only=False to write")
        with engine.typed_errors(self.url):
            self._prepare()
            with self._writing() as connection:
                yield Writer(connection)

    def upgrade(self) -> None:
        """Create the database or bring its schema up to date; SchemaError when it is from a newer version."""
        with engine.typed_errors(self.url):
            self._prepare()

    def downgrade(self, revision: str) -> None:
        """Go back to an older schema revision; "base" takes away every table. Not to be used afterwards by this version."""
        with engine.typed_errors(self.url):
            self._prepare()
            with self._transaction(engine.READING) as connection:
                owed = care.owed(connection)
            if owed and not self._erased():  # an older schema does not note it
                raise LockedError(
                    f"what was deleted from {self.url} is still held by a reader: close it, and try again"
                )
            with self._writing() as connection:
                migrate.downgrade(connection, revision)
            self._ready = False

    def revision(self) -> tuple[str | None, str]:
        """The schema revision of the database, and the one that this version works with; changes nothing."""
        if self.path is not None and not engine.present(self.path):
            return None, HEAD
        with engine.typed_errors(self.url), self._transaction(engine.READING) as connection:
            return migrate.current(connection), HEAD

    def close(self) -> None:
        """Let go of all connections; the store may be used again and then opens new ones."""
        used, self._ready = self._ready, self._ready and not self._in_memory
        with contextlib.ExitStack() as held:
            if used:  # the last to close folds the WAL into the file; while another holds the guard, we are not last
                with contextlib.suppress(StoreError):
                    held.enter_context(self._guard.hold())
            self._engine.dispose()

    def vacuum(self) -> None:
        """Give free space back to the disk; needs as much again while it runs."""
        with engine.typed_errors(self.url):
            self._prepare()
            with self._guard.hold(), self._plain() as connection:
                care.vacuum(connection)

    def erase(self) -> bool:
        """Overwrite what was deleted: the index is merged, the WAL emptied, free pages are zeros already.

        False when a reader still holds an older state: call again later, or let the next process that opens the
        database finish the work, which notes that it is owed. Backups, replicas and whatever the disk itself keeps are
        out of our reach. PostgreSQL vacuums dead rows, which does not overwrite them.
        """
        with engine.typed_errors(self.url):
            self._prepare()
            return self._erased()

    def _erased(self) -> bool:
        with self._writing() as connection:
            owed = care.owed(connection)
            care.merge_index(connection)
        with self._guard.hold(), self._plain() as connection:
            emptied = care.empty_wal(connection, self.lock_timeout)
        if emptied and owed:
            with self._writing() as connection:
                care.settle(connection, owed)
        return emptied

    def backup(self, file: str | Path) -> None:
        """A consistent copy in a new file while others write; without free pages, so without deleted text."""
        target = Path(file).absolute()
        if self._engine.dialect.name != "sqlite":
            raise StoreError("PostgreSQL is backed up with its own tools: pg_dump --format=custom")
        taken = StoreError(f"{target} exists: a backup never overwrites, give another name")
        if engine.present(target):
            raise taken
        with engine.typed_errors(self.url):
            self._prepare()
        try:
            with engine.typed_errors(str(target)), engine.made_whole(target) as made, self._plain() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(made),))
        except FileExistsError:
            raise taken from None

    def check(self) -> list[str]:
        """What is wrong, in sentences: structure, references, values, numbering, messages, index, and every image's hash."""
        with self.read() as reader:
            found = list(care.check(reader))
        if not self.read_only and not found:
            with self.write() as writer:
                found = care.check_index(writer._connection)
        return found

    def size(self) -> int:
        """Bytes on disk, WAL included."""
        if self.path is not None:
            files = (self.path.with_name(self.path.name + end) for end in ("", "-wal", "-shm"))
            return sum(map(engine.bytes_of, files))
        with self.read() as reader:
            return care.size(reader)

    # --- connections

    def _prepare(self) -> None:
        if self._ready:
            return
        with self._first:
            if not self._ready:
                self._open_first()
                self._ready = True

    def _open_first(self) -> None:
        if self.path is not None and self.read_only and not engine.present(self.path):
            raise StoreError(f"there is no database at {self.path}: check the path, or open it without read_only")
        if self.path is not None and not self.read_only:
            engine.create_private(self.path)
        with self._transaction(engine.READING) as connection:
            outdated, found = migrate.needs_upgrade(connection), migrate.current(connection)
            owed = [] if outdated else care.owed(connection)
        if outdated and self.read_only:
            raise SchemaError(found, HEAD, f"optical-memory db upgrade --db {self.url}")
        if outdated:
            with self._writing() as connection:
                migrate.upgrade(connection)
                owed = care.owed(connection)
        if owed and not self.read_only:
            self._finish_erasing()

    def _finish_erasing(self) -> None:
        """Overwrite what a process deleted that ended too early; where that cannot be done now, the next one does it."""
        try:
            with engine.typed_errors(self.url):
                self._erased()
        except StoreError as error:
            log.warning("what was deleted is not overwritten yet: %s", error)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        if getattr(self._local, "writing", False):
            raise StoreError("this thread of execution is inside store.write() already: use that writer")
        self._local.writing = True
        try:
            with self._guard.hold(), self._transaction({}) as connection:
                yield connection
        finally:
            self._local.writing = False

    @contextlib.contextmanager
    def _transaction(self, options: dict[str, str]) -> Iterator[sa.Connection]:
        if self._in_memory:
            with self._memory_transaction() as connection:
                yield connection
            return
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _memory_transaction(self) -> Iterator[sa.Connection]:
        """One connection for all threads, one at a time; a block within a block joins it."""
        with self._one_at_a_time:
            outer: sa.Connection | None = getattr(self._local, "connection", None)
            if outer is not None:
                yield outer
                return
            with self._engine.connect() as connection, connection.begin():
                self._local.connection = connection
                try:
                    yield connection
                finally:
                    self._local.connection = None

    @contextlib.contextmanager
    def _plain(self) -> Iterator[sa.Connection]:
        """A connection outside any transaction, for what cannot run in one."""
        if getattr(self._local, "connection", None) is not None:
            raise StoreError("this thread of execution is inside store.read() or store.write(): leave that block first")
        # in memory there is one for all, and giving it back would roll back what another thread has begun
        with self._one_at_a_time if self._in_memory else contextlib.nullcontext(), self._engine.connect() as connection:
            level = {} if connection.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
            yield connection.execution_options(**engine.NO_TRANSACTION, **level)

    def _reset_locks(self) -> None:
        self._first = threading.Lock()
        self._one_at_a_time = threading.RLock()

    def _forked(self) -> None:
        self._guard.forked()
        self._reset_locks()
        self._local = threading.local()
        if not self._in_memory:
            _of_the_parent.append(self._engine.pool)
            self._engine.dispose(close=False)


def _after_fork() -> None:
    for store in list(_live):
        store._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
