"""Looking after a database: what is wrong with it, how large it is, and how deleted text leaves its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from ..errors import StoreError
from .reader import Reader
from .rows import Range, ThreadRow
from .schema import Json, branch, columns, erasure, image, message, metadata, page, thread, turn, view

_PATIENCE = 1.0
"""Seconds that `empty_wal` waits for readers, and writers for it."""


def check(reader: Reader) -> Iterator[str]:
    """Sentences about what is wrong, none when all is well."""
    connection = reader._connection
    if connection.dialect.name == "sqlite":
        yield from _sqlite_structure(connection)
    broken = list(_values(connection))
    yield from broken
    yield from _paths(reader)
    yield from _messages(connection)
    yield from _images(connection)
    if not broken:
        yield from _records(connection)


def _sqlite_structure(connection: sa.Connection) -> Iterator[str]:
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if line != "ok":
            yield f"structure: {line}; restore a backup"
    for table, rowid, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"references: row {rowid} of {table} points to a missing {parent}"


def _values(connection: sa.Connection) -> Iterator[str]:
    """Values that cannot be read any more; of SQLite as bytes, since it also hands out what is no text."""
    kind = sa.LargeBinary if connection.dialect.name == "sqlite" else sa.Text
    for table, column in ((t, c) for t in metadata.sorted_tables for c in t.c if isinstance(c.type, Json)):
        query = sa.select(table.c.id, sa.cast(column, kind).label("given")).where(column.is_not(None))
        for row in connection.execute(query.execution_options(yield_per=500)):
            try:
                json.loads(row.given)
            except ValueError:
                yield f"values: {column.name} of row {row.id} of {table.name} cannot be read; restore a backup"


def _messages(connection: sa.Connection) -> Iterator[str]:
    """Turns of which messages are missing, or there are too many."""
    held = sa.func.count(message.c.id)
    query = sa.select(turn.c.number, turn.c.branch_id, turn.c.messages, thread.c.key, held.label("held"))
    query = query.join_from(turn, message, message.c.turn_id == turn.c.id, isouter=True)
    query = query.join(thread, thread.c.id == turn.c.thread_id)
    for row in connection.execute(query.group_by(turn.c.id, thread.c.key).having(held != turn.c.messages)):
        yield (
            f"messages: turn {row.number} of thread {row.key!r} has {row.held} where {row.messages} should be "
            f"(branch {row.branch_id})"
        )


def _paths(reader: Reader) -> Iterator[str]:
    asked = sa.select(*(sa.null() if c is thread.c.config else c for c in columns(thread, ThreadRow)))
    for row in [ThreadRow(*found) for found in reader._connection.execute(asked.order_by(thread.c.id))]:
        try:
            path = reader.path(row)
        except StoreError as error:
            yield f"numbering: {error}"
            continue
        if (path[-1].last if path else 0) != row.length:
            yield f"numbering: thread {row.key!r} has {row.length} turns, but its path ends elsewhere"
        for span in path:
            if (held := _held(reader, span)) != span.last - span.first + 1:
                yield (
                    f"numbering: thread {row.key!r} has {held} turns where {span.first}..{span.last} "
                    f"should be (branch {span.branch_id})"
                )


def _held(reader: Reader, span: Range) -> int:
    query = sa.select(sa.func.count()).where(
        turn.c.branch_id == span.branch_id, turn.c.number.between(span.first, span.last)
    )
    return int(reader._connection.scalar(query) or 0)


def _images(connection: sa.Connection) -> Iterator[str]:
    """Every image against its hash, a few at a time: integrity_check misses most damage inside a blob."""
    ids = list(connection.scalars(sa.select(view.c.id).where(view.c.sha256.is_not(None)).order_by(view.c.id)))
    query = (
        sa.select(view.c.id, view.c.sha256, view.c.look, page.c.number, thread.c.key, image.c.png)
        .join_from(view, page)
        .join(branch, branch.c.id == page.c.branch_id)
        .join(thread, thread.c.id == branch.c.thread_id)
        .outerjoin(image, image.c.view_id == view.c.id)
    )
    for start in range(0, len(ids), 50):
        for row in connection.execute(query.where(view.c.id.in_(ids[start : start + 50]))):
            if hashlib.sha256(row.png or b"").hexdigest() != row.sha256:
                yield f"image: page {row.number} of thread {row.key!r} ({row.look}, view {row.id}) is damaged"


def stats(reader: Reader) -> dict[str, Any]:
    """Rows of each table, and the state of the file."""
    connection = reader._connection
    count = sa.select(sa.func.count())
    told = {"rows": {t.name: int(connection.scalar(count.select_from(t)) or 0) for t in metadata.sorted_tables}}
    return told | file_state(reader)


def file_state(reader: Reader) -> dict[str, Any]:
    """Of SQLite the pages of the file, those that are free, and how it writes; found without counting rows."""
    connection = reader._connection
    if connection.dialect.name != "sqlite":
        return {}
    names = ("page_size", "page_count", "freelist_count", "journal_mode", "auto_vacuum", "secure_delete")
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def _records(connection: sa.Connection) -> Iterator[str]:
    """Pages whose text is gone, and whose picture is gone too."""
    query = sa.select(page.c.id, page.c.number, page.c.facts, thread.c.key).join_from(
        page, thread, thread.c.id == page.c.thread_id
    )
    for row in connection.execute(query.where(page.c.purged)).all():
        try:
            kept = {value[4] for value in row.facts["pictures"].values() if not value[5]}
        except (AttributeError, LookupError, TypeError):
            yield f"record: page {row.number} of thread {row.key!r} has no text any more, and does not say which pictures it has"
            continue
        held = connection.scalars(
            sa.select(view.c.look).where(view.c.page_id == row.id, view.c.look.in_(kept), view.c.sha256.is_not(None))
        )
        for look in sorted(kept - {*held}):
            yield f"record: page {row.number} of thread {row.key!r} has no text any more, and its picture {look} is missing"


def size(reader: Reader) -> int:
    """Bytes of a database that is no file of ours."""
    connection = reader._connection
    if connection.dialect.name == "sqlite":
        pages, each = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
        return int(pages or 0) * int(each or 0)
    return int(connection.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database()))) or 0)


def vacuum(connection: sa.Connection) -> None:
    """Rebuild the file without its free pages; of a server's database our own tables only."""
    ours = "" if connection.dialect.name == "sqlite" else ", ".join(metadata.tables)
    connection.exec_driver_sql(f"VACUUM {ours}")


def check_index(connection: sa.Connection) -> list[str]:
    """Whether the full-text index says what the turns say; it takes a write transaction to ask."""
    if connection.dialect.name == "sqlite":
        try:
            connection.exec_driver_sql("INSERT INTO turn_fts(turn_fts, rank) VALUES ('integrity-check', 1)")
        except sa.exc.DatabaseError:
            return ["search: the full-text index does not agree with the turns"]
    return []


def owe(connection: sa.Connection) -> None:
    """Note with the transaction that deletes, that what it deletes is still to be overwritten."""
    connection.execute(sa.insert(erasure))


def owed(connection: sa.Connection) -> list[int]:
    """The deletions that are still to be overwritten; none has the number of an earlier one."""
    return [*connection.scalars(sa.select(erasure.c.id))]


def settle(connection: sa.Connection, done: Sequence[int]) -> None:
    """These deletions are overwritten."""
    if done:
        connection.execute(sa.delete(erasure).where(erasure.c.id.in_(done)))


def merge_index(connection: sa.Connection) -> None:
    """The full-text index keeps words of deleted turns until its parts are merged."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("INSERT INTO turn_fts(turn_fts) VALUES ('optimize')")


def empty_wal(connection: sa.Connection, lock_timeout: float) -> bool:
    """Fold the WAL into the file and cut it to nothing; False when a reader stayed in the way.

    PostgreSQL vacuums instead; False when the lock of another stayed in the way for `lock_timeout` seconds.
    """
    if connection.dialect.name != "sqlite":
        return _vacuumed(connection, lock_timeout)
    usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(_PATIENCE * 1000)}")
    try:
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")
    return not busy


def _vacuumed(connection: sa.Connection, lock_timeout: float) -> bool:
    connection.exec_driver_sql(f"SET lock_timeout = {int(lock_timeout * 1000)}")
    try:
        vacuum(connection)
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":  # the lock was not granted
            raise
        return False
    finally:
        connection.exec_driver_sql("RESET lock_timeout")
    return True
