"""A copy of a thread, made inside the database: no row passes through Python but the branches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from . import search
from .rows import ThreadRow
from .schema import branch, image, message, page, turn, view


def copy_rows(connection: sa.Connection, source_id: int, head: int, target: ThreadRow) -> int:
    """Copy branches, turns, messages, pages and images into a new, empty thread; the copied head's branch id."""
    branches = _copy_branches(connection, source_id, target)
    for old, new in branches.items():
        to = {"thread_id": target.id, "branch_id": new}
        _copy(connection, turn, turn.c.branch_id == old, to)
        search.index(connection, turn.c.branch_id == new)
        _copy(connection, page, page.c.branch_id == old, to)
        _copy_messages(connection, old, new, target.id)
        _copy_views(connection, old, new)
    return branches[head]


def _copy_branches(connection: sa.Connection, source_id: int, target: ThreadRow) -> dict[int, int]:
    """New branch ids by old ones; a parent is always older than its children, so it is there before them."""
    made: dict[int, int] = {}
    for row in connection.execute(
        sa.select(branch).where(branch.c.thread_id == source_id).order_by(branch.c.id)
    ):
        values = {"thread_id": target.id, "parent_id": made.get(row.parent_id), "after": row.after}
        query = sa.insert(branch).values(**values, created_at=row.created_at).returning(branch.c.id)
        made[row.id] = (
            int(connection.execute(query).scalar_one()) if made else _reuse(connection, target, row)
        )
    return made


def _reuse(connection: sa.Connection, target: ThreadRow, root: sa.Row[Any]) -> int:
    """The new thread's own root branch stands for the first of the source."""
    connection.execute(
        sa.update(branch).where(branch.c.id == target.branch_id).values(created_at=root.created_at)
    )
    return target.branch_id


def _copy(
    connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], put: dict[str, Any]
) -> None:
    names = [c.name for c in table.c if c.name != "id"]
    values = [sa.literal(put[n]).label(n) if n in put else table.c[n] for n in names]
    connection.execute(sa.insert(table).from_select(names, sa.select(*values).where(which)))


def _copy_messages(connection: sa.Connection, old: int, new: int, thread_id: int) -> None:
    was, now = turn.alias(), turn.alias()
    put = {"turn_id": now.c.id, "thread_id": sa.literal(thread_id)}
    names = [c.name for c in message.c if c.name != "id"]
    query = (
        sa.select(*(put.get(n, message.c[n]) for n in names))
        .join_from(message, was, message.c.turn_id == was.c.id)
        .join(now, sa.and_(now.c.branch_id == new, now.c.number == was.c.number))
        .where(was.c.branch_id == old)
    )
    connection.execute(sa.insert(message).from_select(names, query))


def _copy_views(connection: sa.Connection, old: int, new: int) -> None:
    was, now = page.alias(), page.alias()
    same = sa.and_(now.c.branch_id == new, now.c.number == was.c.number)
    names = [c.name for c in view.c if c.name != "id"]
    query = sa.select(*(now.c.id if n == "page_id" else view.c[n] for n in names))
    query = (
        query.join_from(view, was, view.c.page_id == was.c.id).join(now, same).where(was.c.branch_id == old)
    )
    connection.execute(sa.insert(view).from_select(names, query))
    _copy_images(connection, old, same, was, now)


def _copy_images(
    connection: sa.Connection, old: int, same: sa.ColumnElement[bool], was: sa.Alias, now: sa.Alias
) -> None:
    drawn, made = view.alias(), view.alias()
    place = sa.and_(made.c.page_id == now.c.id, made.c.look == drawn.c.look, made.c.part == drawn.c.part)
    query = (
        sa.select(made.c.id, image.c.png)
        .join_from(image, drawn, image.c.view_id == drawn.c.id)
        .join(was, was.c.id == drawn.c.page_id)
        .join(now, same)
        .join(made, place)
        .where(was.c.branch_id == old)
    )
    connection.execute(sa.insert(image).from_select(["view_id", "png"], query))
