"""A thread as plain rows and back: everything of it, whatever the tables hold, with ids that count from 1.

Ids are those of the archive, not of a database, so that the same thread gives the same rows wherever it is stored. The
words that an index needs are left out: each engine makes its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa

import optical_memory.storage.search as search

from ..errors import OpticalMemoryError, StoreError
from .reader import Reader
from .rows import ThreadRow
from .schema import Json, Moment, branch, checked_key, erasure, image, metadata, plan, thread, turn
from .writer import Writer

Row = dict[str, Any]
Ids = dict[str, dict[int, int]]

TABLES = {t.name: t for t in metadata.sorted_tables if t not in (image, erasure)}
"""The tables of an archive, parents before children; images are files beside it."""
LEFT_OUT = ("grams", "version")  # made anew
BATCH = 500


def rows(reader: Reader, of: ThreadRow) -> Iterator[tuple[str, Row]]:
    """(table, row) of all that belongs to a thread; a reference to what is gone is None."""
    ids: Ids = {
        "branch": {b.id: number for number, b in enumerate(reader.branches(of.id), 1)}
    }  # the head is one of them
    for name, table in TABLES.items():
        known = ids.setdefault(name, {})
        query = sa.select(table).where(_mine(table, of.id)).order_by(*table.primary_key)
        for number, found in enumerate(reader._connection.execute(query).mappings(), 1):
            if "id" in found:
                known[found["id"]] = number
            yield name, _out(table, found, ids)


def images(reader: Reader, of: ThreadRow) -> Iterator[tuple[int, bytes]]:
    """(number of the view in the archive, PNG) of every stored image, each checked against its SHA-256."""
    views = TABLES["view"]
    query = sa.select(views.c.id, views.c.sha256).where(_mine(views, of.id)).order_by(views.c.id)
    drawn = [(n, row.id) for n, row in enumerate(reader._connection.execute(query), 1) if row.sha256]
    for number, view_id in drawn:
        png = reader.png([view_id]).get(view_id)
        if png is not None:
            yield number, png


def put(writer: Writer, key: str, given: Iterable[tuple[str, Row]], pngs: Mapping[int, bytes]) -> ThreadRow:
    """Store an archive as the thread `key`. Raises StoreError if it is there already or the rows do not fit together."""
    try:
        return _put(writer, key, given, pngs)
    except OpticalMemoryError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # a row that nobody exported
        raise StoreError(f"the archive holds a row that fits no table: {type(error).__name__}: {error}") from error


def _put(writer: Writer, key: str, given: Iterable[tuple[str, Row]], pngs: Mapping[int, bytes]) -> ThreadRow:
    if writer.thread(checked_key(key)) is not None:
        raise StoreError(f"a thread {key!r} is there already: forget it first, or give another name")
    ids: Ids = {name: {} for name in TABLES}
    head: Row = {}
    for name, group in groupby(given, key=lambda pair: pair[0]):
        if name not in TABLES:
            raise StoreError(f"the archive holds a table {name!r} that this version does not know")
        batch = (row for _, row in group)
        while made := list(islice(batch, 1 if name == "branch" else BATCH)):  # a branch may depart from the one before
            if name == thread.name:
                head = made[0]
                made = [{**head, "key": key, "branch_id": 0}]
            _insert(writer, TABLES[name], made, ids)
    _set_head(writer, head, ids)
    _put_images(writer, ids["view"], pngs)
    found = writer.thread(key)
    assert found is not None
    search.index(writer._connection, turn.c.thread_id == found.id)
    return found


# --------------------------------------------------------------------------------------------- out


def _mine(table: sa.Table, thread_id: int) -> sa.ColumnElement[bool]:
    """Which rows of a table belong to the thread, by the shortest way to it."""
    if table is thread:
        return thread.c.id == thread_id
    if "branch_id" in table.c:  # these are found by their branch
        return table.c.branch_id.in_(sa.select(branch.c.id).where(branch.c.thread_id == thread_id))
    if "thread_id" in table.c:
        return table.c.thread_id == thread_id
    key = next(iter(sorted(table.foreign_keys, key=lambda k: k.parent.name)))
    parent = key.column.table
    return key.parent.in_(sa.select(key.column).where(_mine(parent, thread_id)))


def _out(table: sa.Table, found: Mapping[Any, Any], ids: Ids) -> Row:
    out = {c.name: _told(found[c.name]) for c in table.c if c.name not in LEFT_OUT}
    for name, of in _references(table):
        out[name] = ids.get(of, {}).get(out[name]) if of != thread.name else 1
    if "id" in out:
        out["id"] = ids[table.name][out["id"]]
    if table is plan:
        out["body"] = _pages(out["body"], ids)
    return out


def _told(value: Any) -> Any:
    """A JSON-safe value."""
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _references(table: sa.Table) -> list[tuple[str, str]]:
    """Columns that hold the id of a row elsewhere, and of which table."""
    names = [(c.name, "branch" if c.name == "parent_id" else c.name.removesuffix("_id")) for c in table.c]
    return [(name, of) for name, of in names if name.endswith("_id") and of in TABLES]


def _pages(body: Any, ids: Ids) -> Any:
    """A plan with the numbers of its pages in the archive, or in the database."""
    given = json.loads(body) if isinstance(body, str) else body
    for segment in given.get("segments", ()):
        if segment.get("page") is not None:
            segment["page"] = ids["page"].get(segment["page"])
    return json.dumps(given) if isinstance(body, str) else given


# --------------------------------------------------------------------------------------------- in


def _insert(writer: Writer, table: sa.Table, made: list[Row], ids: Ids) -> None:
    values = [_in(writer, table, row, ids) for row in made]
    if "id" not in table.c:
        writer._connection.execute(sa.insert(table), values)
        return
    query = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
    new = writer._connection.execute(query, values).scalars()
    ids[table.name] |= dict(zip((row["id"] for row in made), new, strict=True))


def _in(writer: Writer, table: sa.Table, row: Row, ids: Ids) -> Row:
    values = {c.name: _read(c.type, row[c.name]) for c in table.c if c.name in row and c.name != "id"}
    for name, of in _references(table):
        if values.get(name) is not None and table is not thread:
            values[name] = _found(ids, of, values[name], table.name)
    if table is turn:
        values |= writer._words(values["text"], values["name"])
    if table is plan:
        values["body"] = _pages(values["body"], ids)
    return values


def _found(ids: Ids, of: str, number: int, where: str) -> int:
    if number not in ids[of]:
        raise StoreError(
            f"the archive is not whole: a row of {where} points to {of} {number}, which comes later or never"
        )
    return ids[of][number]


def _read(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Moment):
        return datetime.fromisoformat(value)
    if isinstance(kind, sa.LargeBinary):
        return base64.b64decode(value, validate=True)
    return json.loads(json.dumps(value)) if isinstance(kind, Json) else value


def _set_head(writer: Writer, head: Row, ids: Ids) -> None:
    """The thread's head, which could not be known before its branches."""
    if not head:
        raise StoreError("the archive is not whole: it holds no thread")
    values = {"branch_id": _found(ids, "branch", head["branch_id"], "thread")}
    writer._connection.execute(sa.update(thread).where(thread.c.id == ids["thread"][head["id"]]).values(values))


def _put_images(writer: Writer, views: Mapping[int, int], pngs: Mapping[int, bytes]) -> None:
    values = [{"view_id": views[number], "png": png} for number, png in pngs.items() if number in views]
    for start in range(0, len(values), BATCH):
        writer._connection.execute(sa.insert(image), values[start : start + BATCH])


__all__ = ["TABLES", "images", "put", "rows"]
