"""Connections: where the database is, how a connection is set up, who may write, and what its errors mean.

The settings were measured: every writer begins IMMEDIATE, because SQLAlchemy's recipes are deferred and lose
half of their writes to "database is locked" at once; the switch to WAL is tried again, because it can itself
be locked out when processes start together; FULL sync loses nothing at a power cut.

Never `open()` the database file in a process that uses it: closing any descriptor drops SQLite's locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from ..errors import (
    ConfigError,
    DiskFullError,
    LockedError,
    MissingExtraError,
    OpticalMemoryError,
    ReadOnlyError,
    StoreError,
)

try:
    import fcntl
except ImportError:  # Windows: no guard; `doctor` says so
    fcntl = None  # type: ignore[assignment]

NO_TRANSACTION = {"transaction": "none"}
READING = {"transaction": "read"}


def parse_url(url: str) -> sa.URL:
    """A database URL, or a plain path, which is taken as SQLite; ":memory:" and "sqlite://" keep nothing."""
    if url == ":memory:":
        return sa.URL.create("sqlite")
    if "://" not in url:
        return sa.URL.create("sqlite", database=str(Path(url).expanduser()))
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError('that is not a database URL: use "sqlite:///memory.db" or a plain path') from error
    if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(f"databases are SQLite or PostgreSQL, not {parsed.drivername!r}: use sqlite:///memory.db")
    return parsed


def file_of(url: sa.URL) -> Path | None:
    """The absolute path of a SQLite file, to which links lead, as SQLite sees it; None for memory and servers."""
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(os.path.realpath(str(url.database)))


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite can corrupt a file when two connections reset the WAL at the same moment.

    Fixed in 3.51.3, 3.50.7 and 3.44.6 (sqlite.org/wal.html, November 2026); all from 3.7.0 on had it.
    """
    fixed = {(3, 50): 7, (3, 44): 6}
    if version[:2] in fixed:
        return version[2] < fixed[version[:2]]  # type: ignore[index]
    return version < (3, 51, 3)


class Guard:
    """A lock file held from BEGIN to COMMIT, so that no two of our processes write or checkpoint at once.

    It keeps them from the WAL-reset bug of `has_wal_reset_bug`, and makes waiting fairer than SQLite's own.
    Every hold opens the file anew, so threads exclude each other as processes do. It is free when we die.
    """

    def __init__(self, path: Path | None, timeout: float) -> None:
        self.path = path.with_name(path.name + ".lock") if path and fcntl else None
        self.timeout = timeout
        self._held: set[int] = set()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock; LockedError after `timeout` seconds."""
        if self.path is None:
            yield
            return
        descriptor = self._open(self.path)
        self._obtain(descriptor)
        try:
            yield
        finally:
            self._held.discard(descriptor)
            os.close(descriptor)

    def forked(self) -> None:
        """In a child process: let go of what the parent's threads hold, without unlocking it for them."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()

    def _open(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _os_error(error, path) from error
        self._held.add(descriptor)
        return descriptor

    def _obtain(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            self._held.discard(descriptor)
            os.close(descriptor)
            raise StoreError(
                f"{self.path} cannot be locked ({error.strerror}): put the database on a local disk"
            ) from error
        waiting = _Waiting(descriptor)
        try:
            waiting.done.wait(self.timeout)
        except BaseException:  # interrupted: nobody would let go of it
            self._held.discard(descriptor)
            if waiting.keep_or_leave():
                os.close(descriptor)
            raise
        if not waiting.keep_or_leave():
            self._held.discard(descriptor)
            raise LockedError(
                f"another process has held {self.path} for {self.timeout:g} s: wait for it to finish, "
                f"or pass a longer lock_timeout"
            )


class _Waiting:
    """The kernel's own queue for a lock, in a thread, so that waiting can be given up.

    Asking again and again instead let a writer wait 21 s while seven others took turns; the queue serves in order.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._left = descriptor, False
        self._mutex, self.done = threading.Lock(), threading.Event()
        threading.Thread(target=self._wait, daemon=True, name="optical-memory-lock").start()

    def keep_or_leave(self) -> bool:
        """Whether the lock is held; if not, it will be let go of as soon as it comes."""
        with self._mutex:
            self._left = not self.done.is_set()
            return not self._left

    def _wait(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._mutex:
            if self._left:
                os.close(self._descriptor)
            self.done.set()


def make_engine(url: sa.URL, *, lock_timeout: float, read_only: bool) -> sa.Engine:
    """An engine with our settings; nothing is opened yet. Raises ConfigError for a folder."""
    if url.get_backend_name() == "postgresql":
        return _postgres_engine(url, lock_timeout)
    path = file_of(url)
    if path and os.path.isdir(path):
        raise ConfigError(f"{path} is a folder: give a file in it, such as {path / 'memory.db'}")

    def connect() -> sqlite3.Connection:
        return _open_sqlite(path, lock_timeout, read_only)

    # a reader that waits for a pooled connection waits as long as one that waits for a lock
    size = {"pool_size": 8, "max_overflow": 56, "pool_timeout": lock_timeout} if path else {}
    pool = QueuePool if path else StaticPool
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=pool, hide_parameters=True, **size)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def present(path: Path) -> bool:
    """Whether the file is there, as far as we may look: Path.exists() raises below a closed folder."""
    return os.path.exists(path)


def bytes_of(path: Path) -> int:
    """The size of a file; 0 where there is none, or none any more: the last process to close takes the WAL away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def create_private(path: Path) -> None:
    """Create an empty database file that only its owner can read, unless one is there.

    It is made under another name and linked into place: the file that SQLite locks is never opened by us.
    """
    if present(path):
        return
    with contextlib.suppress(FileExistsError), made_whole(path):  # another process was first
        pass


@contextlib.contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """An empty file under another name, to be filled; it comes to `path` when all went well, and is gone when not.

    Raises FileExistsError if a file has come to `path` meanwhile.
    """
    if not os.path.isdir(path.parent):
        raise StoreError(f"the folder {path.parent} does not exist: create it, or give another path for the database")
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield made
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise _os_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)


@contextlib.contextmanager
def typed_errors(where: str) -> Iterator[None]:
    """Turn the drivers' errors into ours; the only place that does. `where` is the URL without password."""
    try:
        yield
    except OpticalMemoryError:
        raise
    except PoolTimeoutError as error:
        raise LockedError(
            f"all connections to {where} are busy: close readers sooner, or raise lock_timeout"
        ) from error
    except DBAPIError as error:
        raise _typed(error.orig, where) from error
    except StatementError as error:  # a value that could not be prepared for the database
        if isinstance(error.orig, OpticalMemoryError):
            raise error.orig from None
        raise StoreError(f"{where}: a value cannot be stored: {error.orig}") from error
    except sqlite3.Error as error:
        raise _typed(error, where) from error
    except (OverflowError, UnicodeEncodeError) as error:  # the drivers' own words: too large, or not in its encoding
        raise StoreError(f"{where}: a value cannot be stored or asked for: {error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:  # SQLite quotes a damaged schema in its own message
        raise StoreError(
            f"{where} holds bytes that are no text ({error.reason if isinstance(error, UnicodeDecodeError) else error.msg}): "
            f"run `optical-memory db check`, or restore it"
        ) from error


def _typed(error: BaseException | None, where: str) -> StoreError:
    if isinstance(error, sqlite3.Error):
        return _sqlite_error(error, where)
    return _postgres_error(error, where)


def _sqlite_error(error: sqlite3.Error, where: str) -> StoreError:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LockedError(f"{where} is locked by another process: wait for it to finish, or raise lock_timeout")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return ReadOnlyError(
            f"{where} or its folder cannot be opened for writing: check their permissions, or copy the file "
            f"to a folder of your own"
        )
    if name.startswith("SQLITE_FULL") or name in {"SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}:
        return DiskFullError(f"no space left for {where}: free some and try again; nothing was half-written")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreError(f"{where} is not a readable database ({error}): run `optical-memory db check`, or restore it")
    return StoreError(f"{where}: {error}")


_SQLSTATES: dict[str, tuple[type[StoreError], str]] = {
    "55P03": (LockedError, "a lock was not granted in time: wait, or raise lock_timeout"),
    "40P01": (LockedError, "two writers waited for each other: try again"),
    "40001": (LockedError, "another writer was faster: try again"),
    "25006": (ReadOnlyError, "the server takes no writes: connect to the primary"),
    "42501": (ReadOnlyError, "this user may not do that: grant it rights on the schema"),
    "53100": (DiskFullError, "the server has no space left: free some and try again"),
}


def _postgres_error(error: BaseException | None, where: str) -> StoreError:
    kind, advice = _SQLSTATES.get(getattr(error, "sqlstate", None) or "", (StoreError, ""))
    if advice:
        return kind(f"{where}: {advice}")
    first = (str(error).strip().splitlines() or ["the connection failed"])[0]
    return StoreError(f"{where}: {first}")


def _os_error(error: OSError, path: Path) -> StoreError:
    if error.errno in {28, 122}:  # ENOSPC, EDQUOT
        return DiskFullError(f"no space left for {path}: free some and try again")
    return ReadOnlyError(f"{path} cannot be written ({error.strerror}): check the permissions of its folder")


def _open_sqlite(path: Path | None, lock_timeout: float, read_only: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path.as_uri() + ("?mode=ro" if read_only else "") if path else ":memory:",
        timeout=lock_timeout,
        isolation_level=None,  # we send BEGIN ourselves
        check_same_thread=False,
        uri=path is not None,
    )
    try:
        if path and not read_only:
            _switch_to_wal(connection, lock_timeout)
        for pragma in (*_PRAGMAS, f"busy_timeout={int(lock_timeout * 1000)}"):
            connection.execute("PRAGMA " + pragma)
    except BaseException:
        connection.close()
        raise
    return connection


_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "journal_size_limit=67108864",
    "temp_store=MEMORY",  # no word of a conversation in a temporary file
)


def _switch_to_wal(connection: sqlite3.Connection, budget: float) -> None:
    deadline = time.monotonic() + budget
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_READONLY"):
                return  # a file that cannot be written is read as it is
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 (jitter, not a secret)


def _begin_sqlite(connection: sa.Connection) -> None:
    kind = connection.get_execution_options().get("transaction")
    if kind != "none":
        connection.exec_driver_sql("BEGIN" if kind == "read" else "BEGIN IMMEDIATE")


def _postgres_engine(url: sa.URL, lock_timeout: float) -> sa.Engine:
    try:
        # a server may restart between two calls: ask before use, rather than fail once for each connection
        pool = {"pool_size": 8, "max_overflow": 56, "pool_timeout": lock_timeout, "pool_pre_ping": True}
        engine = sa.create_engine(url, hide_parameters=True, **pool)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingExtraError(f"the PostgreSQL driver for {url.drivername!r}", "postgres") from error

    def begin(connection: sa.Connection) -> None:
        kind = connection.get_execution_options().get("transaction")
        if kind == "read":  # one snapshot for everything that is read together
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        elif kind != "none":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(lock_timeout * 1000)}")

    sa.event.listen(engine, "begin", begin)
    return engine
