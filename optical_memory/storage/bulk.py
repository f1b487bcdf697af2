"""Many rows at once: forgetting a thread or some of its turns for good, and copying a thread.

A copy is made inside the database: no row passes through Python but the branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

import optical_memory.storage.search as search

from .rows import ForgottenRows, Path, ThreadRow, clip
from .schema import branch, change, image, message, page, plan, recalled, step, thread, turn, usage, view

CHUNK = 500
_EMPTY = {
    "role": "forgotten",
    "name": None,
    "text": "",
    "grams": None,
    "chars": 0,
    "tokens": 0,
    "messages": 0,
    "calls": 0,
    "attachments": None,
    "open": False,
    "importance": 0.0,
    "weight": None,
    "pinned": False,
    "chain": "",  # a hash of the text: a short secret could be guessed from it
}


def forget_thread(connection: sa.Connection, thread_id: int) -> ForgottenRows:
    """Delete the thread with everything of it, children first, since nothing cascades."""
    pages, images = _drop_pages(connection, sa.select(page.c.id).where(page.c.thread_id == thread_id))
    plans = _drop_plans(connection, thread_id)
    steps = sa.select(step.c.id).where(step.c.thread_id == thread_id)
    _delete(connection, change, change.c.step_id.in_(steps))
    _delete(connection, step, step.c.thread_id == thread_id)
    branches = sa.select(branch.c.id).where(branch.c.thread_id == thread_id)
    mine = sa.select(turn.c.id).where(turn.c.branch_id.in_(branches))
    messages = _delete(connection, message, message.c.turn_id.in_(mine))
    search.unindex(connection, turn.c.branch_id.in_(branches))
    turns = _delete(connection, turn, turn.c.branch_id.in_(branches))
    _delete(connection, usage, usage.c.thread_id == thread_id)
    _delete(connection, branch, branch.c.thread_id == thread_id)
    _delete(connection, thread, thread.c.id == thread_id)
    return ForgottenRows(turns, messages, pages, images, plans)


def forget_turns(
    connection: sa.Connection, branch_paths: Mapping[int, Path], path: Path, numbers: Sequence[int]
) -> ForgottenRows:
    """Empty these turns, and delete every page that shows one and every plan of the thread."""
    ids = _turn_ids(connection, path, numbers)
    if not ids:
        return ForgottenRows()
    thread_id = connection.scalar(sa.select(turn.c.thread_id).where(turn.c.id == ids[0]))
    pages, images = _drop_pages(connection, _touching(branch_paths, path, numbers))
    plans = _drop_plans(connection, thread_id)
    messages = 0
    for chunk in _chunked(ids):
        messages += _delete(connection, message, message.c.turn_id.in_(chunk))
        search.unindex(connection, turn.c.id.in_(chunk))
        connection.execute(sa.update(turn).where(turn.c.id.in_(chunk)).values(_EMPTY))
        search.index(connection, turn.c.id.in_(chunk))
    return ForgottenRows(len(ids), messages, pages, images, plans)


def _turn_ids(connection: sa.Connection, path: Path, numbers: Sequence[int]) -> list[int]:
    found: list[int] = []
    for r in path:
        for chunk in _chunked([n for n in numbers if r.first <= n <= r.last]):
            query = sa.select(turn.c.id).where(turn.c.branch_id == r.branch_id, turn.c.number.in_(chunk))
            found += [row.id for row in connection.execute(query.where(turn.c.role != "forgotten"))]
    return found


def _touching(branch_paths: Mapping[int, Path], path: Path, numbers: Sequence[int]) -> sa.Select[Any]:
    """Ids of the pages that show one of these turns, on any branch whose own path shares it."""
    shown = [
        sa.and_(page.c.branch_id == branch_id, page.c.first <= number, page.c.last >= number)
        for branch_id, whole in branch_paths.items()
        for number in numbers
        if clip(whole, number, number) and _same(whole, path, number)
    ]
    return sa.select(page.c.id).where(sa.or_(sa.false(), *shown))


def _same(one: Path, other: Path, number: int) -> bool:
    ours, theirs = clip(one, number, number), clip(other, number, number)
    return bool(ours) and ours == theirs


def _drop_plans(connection: sa.Connection, thread_id: int | None) -> int:
    branches = sa.select(branch.c.id).where(branch.c.thread_id == thread_id)
    _delete(connection, recalled, recalled.c.branch_id.in_(branches))
    return _delete(connection, plan, plan.c.branch_id.in_(branches))


def _drop_pages(connection: sa.Connection, wanted: sa.Select[Any]) -> tuple[int, int]:
    ids = [row.id for row in connection.execute(wanted)]
    images = 0
    for chunk in _chunked(ids):
        views = sa.select(view.c.id).where(view.c.page_id.in_(chunk))
        images += _delete(connection, image, image.c.view_id.in_(views))
        _delete(connection, view, view.c.page_id.in_(chunk))
        _delete(connection, page, page.c.id.in_(chunk))
    return len(ids), images


def _delete(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(which)).rowcount


def _chunked(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK)]


def copy_thread(connection: sa.Connection, source_id: int, head: int, target: ThreadRow) -> int:
    """Copy branches, turns, messages, pages and images into a new thread; the copied head's branch id."""
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
    for row in connection.execute(sa.select(branch).where(branch.c.thread_id == source_id).order_by(branch.c.id)):
        values = {"thread_id": target.id, "parent_id": made.get(row.parent_id), "after": row.after}
        query = sa.insert(branch).values(**values, created_at=row.created_at).returning(branch.c.id)
        made[row.id] = int(connection.execute(query).scalar_one()) if made else _reuse(connection, target, row)
    return made


def _reuse(connection: sa.Connection, target: ThreadRow, root: sa.Row[Any]) -> int:
    """The new thread's own root branch stands for the first of the source."""
    connection.execute(sa.update(branch).where(branch.c.id == target.branch_id).values(created_at=root.created_at))
    return target.branch_id


def _copy(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], put: dict[str, Any]) -> None:
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
    query = query.join_from(view, was, view.c.page_id == was.c.id).join(now, same).where(was.c.branch_id == old)
    connection.execute(sa.insert(view).from_select(names, query))
    _copy_images(connection, old, same, was, now)


def _copy_images(
    connection: sa.Connection, old: int, same: sa.ColumnElement[bool], was: sa.FromClause, now: sa.FromClause
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
