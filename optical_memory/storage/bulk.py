"""Many rows at once: forgetting a thread or some of its turns for good, purging text, and copying a thread.

A copy is made inside the database: no row passes through Python but the branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

import optical_memory.storage.search as search

from .rows import ForgottenRows, MessageRow, Path, PurgedPage, ThreadRow, chunks, common, parts
from .schema import (
    branch,
    change,
    columns,
    embedding,
    image,
    message,
    page,
    plan,
    recalled,
    step,
    thread,
    turn,
    usage,
    view,
)

AT_ONCE = 200
"""Stretches that are asked for together: many conditions joined by OR are a deep tree, and SQLite allows 1,000 levels."""
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
    "digest": None,
    "duplicate_of": None,
    "purged": False,
}
_BARE = {  # what a turn keeps that only its picture shows: numbers, and the hashes by which it is known again
    "name": None,
    "text": "",
    "grams": None,
    "attachments": None,
    "open": False,
    "digest": None,
    "purged": True,
}


def forget_thread(connection: sa.Connection, thread_id: int) -> ForgottenRows:
    """Delete the thread with everything of it, children first, since nothing cascades."""
    mine = sa.select(page.c.id).where(page.c.thread_id == thread_id)
    pages, images = _drop_pages(connection, connection.scalars(mine).all())
    plans = _drop_plans(connection, thread_id)
    branches = _branches(thread_id)
    steps = sa.select(step.c.id).where(step.c.branch_id.in_(branches))
    _delete(connection, change, change.c.step_id.in_(steps))
    _delete(connection, step, step.c.branch_id.in_(branches))
    mine = sa.select(turn.c.id).where(turn.c.branch_id.in_(branches))
    messages = _delete(connection, message, message.c.turn_id.in_(mine))
    _delete(connection, embedding, embedding.c.turn_id.in_(mine))
    search.unindex(connection, turn.c.branch_id.in_(branches))
    turns = _delete(connection, turn, turn.c.branch_id.in_(branches))
    _delete(connection, usage, usage.c.thread_id == thread_id)
    _delete(connection, branch, branch.c.thread_id == thread_id)
    _delete(connection, thread, thread.c.id == thread_id)
    return ForgottenRows(turns, messages, pages, images, plans)


def forget_turns(
    connection: sa.Connection, branch_paths: Mapping[int, Path], path: Path, numbers: Iterable[int]
) -> ForgottenRows:
    """Empty these turns, and delete every page that shows one and every plan of the thread.

    Where a page goes whose picture was all that was left of other turns, these are gone with it and counted.
    """
    ids = [*_turn_ids(connection, parts(path, numbers))]
    if not ids:
        return ForgottenRows()
    thread_id = connection.scalar(sa.select(turn.c.thread_id).where(turn.c.id == ids[0]))
    touched = _touching(connection, branch_paths, parts(path, numbers))
    lost = sorted(_only_on(connection, branch_paths, touched) - set(ids))
    again = _repeating(connection, thread_id, numbers)
    pages, images = _drop_pages(connection, sorted({*touched, *_pointing(connection, branch_paths, again)}))
    for chunk in chunks([row.id for row in again]):
        connection.execute(sa.update(turn).where(turn.c.id.in_(chunk)).values(duplicate_of=None))
    plans = _drop_plans(connection, thread_id)
    messages = sum(_emptied(connection, chunk) for chunk in chunks([*ids, *lost]))
    return ForgottenRows(len(ids) + len(lost), messages, pages, images, plans, len(lost))


def count_turns(
    connection: sa.Connection, branch_paths: Mapping[int, Path], path: Path, numbers: Iterable[int]
) -> ForgottenRows:
    """What `forget_turns` would take away, without doing it."""
    wanted = parts(path, numbers)
    ids = {*_turn_ids(connection, wanted)}
    if not ids:
        return ForgottenRows()
    thread_id = connection.scalar(sa.select(turn.c.thread_id).where(turn.c.id == min(ids)))
    touched = _touching(connection, branch_paths, wanted)
    lost = _only_on(connection, branch_paths, touched) - ids
    again = _pointing(connection, branch_paths, _repeating(connection, thread_id, numbers))
    pages = sorted({*touched, *again})
    messages = (_count(connection, message, message.c.turn_id.in_(c)) for c in chunks(sorted(ids | lost)))
    views = (_count(connection, view, view.c.page_id.in_(c), view.c.sha256.is_not(None)) for c in chunks(pages))
    plans = _count(connection, plan, plan.c.branch_id.in_(_branches(thread_id)))
    return ForgottenRows(len(ids) + len(lost), sum(messages), len(pages), sum(views), plans, len(lost))


def count_thread(connection: sa.Connection, thread_id: int) -> ForgottenRows:
    """What `forget_thread` would take away, without doing it."""
    drawn = sa.select(sa.func.count(view.c.sha256)).join_from(view, page).where(page.c.thread_id == thread_id)
    turns, plans = (_count(connection, table, table.c.branch_id.in_(_branches(thread_id))) for table in (turn, plan))
    messages, pages = (_count(connection, table, table.c.thread_id == thread_id) for table in (message, page))
    return ForgottenRows(turns, messages, pages, int(connection.scalar(drawn) or 0), plans)


def _emptied(connection: sa.Connection, ids: Sequence[int]) -> int:
    """Leave holes where these turns were; how many messages went."""
    messages = _delete(connection, message, message.c.turn_id.in_(ids))
    _delete(connection, embedding, embedding.c.turn_id.in_(ids))
    _rewritten(connection, ids, _EMPTY)
    return messages


def _rewritten(connection: sa.Connection, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    search.unindex(connection, turn.c.id.in_(ids))
    connection.execute(sa.update(turn).where(turn.c.id.in_(ids)).values(values))
    search.index(connection, turn.c.id.in_(ids))


def _turn_ids(connection: sa.Connection, wanted: Path, *which: sa.ColumnElement[bool]) -> Iterator[int]:
    """The turns on these pieces of a path that are not forgotten yet."""
    for chunk in chunks(wanted, AT_ONCE):
        on = sa.or_(*(sa.and_(turn.c.branch_id == r.branch_id, turn.c.number.between(r.first, r.last)) for r in chunk))
        yield from connection.scalars(sa.select(turn.c.id).where(on, turn.c.role != "forgotten", *which))


def _touching(connection: sa.Connection, branch_paths: Mapping[int, Path], wanted: Path) -> list[int]:
    """Ids of the pages that show one of these turns, on any branch whose own path shares it."""
    shown = [
        sa.and_(page.c.branch_id == branch_id, page.c.first <= r.last, page.c.last >= r.first)
        for branch_id, whole in branch_paths.items()
        for r in common(whole, wanted)
    ]
    query = sa.select(page.c.id)
    return sorted({i for chunk in chunks(shown, AT_ONCE) for i in connection.scalars(query.where(sa.or_(*chunk)))})


def _only_on(connection: sa.Connection, branch_paths: Mapping[int, Path], pages: Sequence[int]) -> set[int]:
    """Ids of the turns of which the pictures of these pages are all that is left."""
    query = sa.select(page.c.branch_id, page.c.first, page.c.last).where(page.c.purged)
    rows = [row for chunk in chunks(pages) for row in connection.execute(query.where(page.c.id.in_(chunk)))]
    return {
        turn_id
        for row in rows
        for turn_id in _turn_ids(
            connection, parts(branch_paths[row.branch_id], range(row.first, row.last + 1)), turn.c.purged
        )
    }


def _repeating(connection: sa.Connection, thread_id: int | None, numbers: Iterable[int]) -> list[Any]:
    """The turns that point to one of these because they say the same: (id, branch, number)."""
    mine = (turn.c.thread_id == thread_id, turn.c.digest.is_not(None))
    query = sa.select(turn.c.id, turn.c.branch_id, turn.c.number).where(*mine)
    pointing = (query.where(turn.c.duplicate_of.in_(chunk)) for chunk in chunks(sorted(set(numbers))))
    return [*chain.from_iterable(map(connection.execute, pointing))]


def _pointing(connection: sa.Connection, branch_paths: Mapping[int, Path], rows: Sequence[Any]) -> Sequence[int]:
    """The pages that may show a pointer of these turns in place of their text, and can be drawn anew."""
    wanted = tuple(piece for row in rows for piece in parts(branch_paths[row.branch_id], [row.number]))
    return _drawn_of(connection, branch_paths, wanted)


def _drawn_of(connection: sa.Connection, branch_paths: Mapping[int, Path], wanted: Path) -> list[int]:
    """The pages that show one of these turns and are drawn from text: of the others the picture is the record."""
    shown = _touching(connection, branch_paths, wanted)
    query = sa.select(page.c.id).where(~page.c.purged)
    return [i for chunk in chunks(shown) for i in connection.scalars(query.where(page.c.id.in_(chunk)))]


def purge(
    connection: sa.Connection,
    branch_paths: Mapping[int, Path],
    pages: Sequence[PurgedPage],
    bare: Callable[[MessageRow], Any],
) -> int:
    """Take the text of these pages' turns away; their pictures stay as the record. How many turns that were.

    `bare` gives what is kept of a message as it was given. Images of other looks go too, and pages of other branches that
    show one of these turns: they could not be drawn again. One whose picture is the record already stays.
    """
    count = 0
    for one in pages:
        path = branch_paths[one.branch_id]
        mine = parts(path, range(one.first, one.last + 1))
        ids = [*_turn_ids(connection, parts(path, set(range(one.first, one.last + 1)) - {*one.keep}))]
        _drop_pages(connection, [i for i in _drawn_of(connection, branch_paths, mine) if i != one.page_id])
        for chunk in chunks(ids):
            _bared(connection, chunk, bare)
        other = sa.select(view.c.id).where(view.c.page_id == one.page_id, view.c.look.not_in(one.looks))
        _delete(connection, image, image.c.view_id.in_(other))
        _delete(connection, view, view.c.page_id == one.page_id, view.c.look.not_in(one.looks))
        values = {"card": None, "facts": one.facts, "purged": True}
        connection.execute(sa.update(page).where(page.c.id == one.page_id).values(values))
        count += len(ids)
    return count


def _bared(connection: sa.Connection, ids: Sequence[int], bare: Callable[[MessageRow], Any]) -> None:
    query = sa.select(*columns(message, MessageRow)).where(message.c.turn_id.in_(ids))
    kept = [{"message": row.id, "kept": bare(row)} for row in (MessageRow(*r) for r in connection.execute(query))]
    if kept:
        put = {"data": sa.bindparam("kept", type_=message.c.data.type), "form": "openai"}
        connection.execute(sa.update(message).where(message.c.id == sa.bindparam("message")).values(put), kept)
    _delete(connection, embedding, embedding.c.turn_id.in_(ids))
    _rewritten(connection, ids, _BARE)


def drop_plans(connection: sa.Connection, thread_id: int, keep: int) -> None:
    """Delete the thread's plans but this one, and what was recalled by itself: they may quote what was purged."""
    branches = _branches(thread_id)
    _delete(connection, plan, plan.c.branch_id.in_(branches), plan.c.id != keep)
    _delete(connection, recalled, recalled.c.branch_id.in_(branches))


def _branches(thread_id: int | None) -> sa.Select[tuple[int]]:
    """The thread's branches, by which its turns, plans and steps are indexed."""
    return sa.select(branch.c.id).where(branch.c.thread_id == thread_id)


def _drop_plans(connection: sa.Connection, thread_id: int | None) -> int:
    branches = _branches(thread_id)
    _delete(connection, recalled, recalled.c.branch_id.in_(branches))
    return _delete(connection, plan, plan.c.branch_id.in_(branches))


def _drop_pages(connection: sa.Connection, ids: Sequence[int]) -> tuple[int, int]:
    images = 0
    for chunk in chunks(ids):
        views = sa.select(view.c.id).where(view.c.page_id.in_(chunk))
        images += _delete(connection, image, image.c.view_id.in_(views))
        _delete(connection, view, view.c.page_id.in_(chunk))
        _delete(connection, page, page.c.id.in_(chunk))
    return len(ids), images


def _delete(connection: sa.Connection, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(*which)).rowcount


def _count(connection: sa.Connection, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0)


def copy_thread(connection: sa.Connection, source_id: int, head: int, target: ThreadRow) -> int:
    """Copy branches, turns, messages, pages and images into a new thread; the copied head's branch id."""
    branches = _copy_branches(connection, source_id, target)
    for old, new in branches.items():
        to = {"thread_id": target.id, "branch_id": new}
        _copy(connection, turn, turn.c.branch_id == old, to)
        search.index(connection, turn.c.branch_id == new)
        _copy(connection, page, page.c.branch_id == old, to)
        for table in (message, embedding):
            _copy_of_turns(connection, table, old, new, target.id)
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


def _copy_of_turns(connection: sa.Connection, table: sa.Table, old: int, new: int, thread_id: int) -> None:
    """What belongs to turns, for the turns that were copied."""
    was, now = turn.alias(), turn.alias()
    put = {"turn_id": now.c.id, "thread_id": sa.literal(thread_id)}
    names = [c.name for c in table.c if c.name != "id"]
    query = (
        sa.select(*(put.get(n, table.c[n]) for n in names))
        .join_from(table, was, table.c.turn_id == was.c.id)
        .join(now, sa.and_(now.c.branch_id == new, now.c.number == was.c.number))
        .where(was.c.branch_id == old)
    )
    connection.execute(sa.insert(table).from_select(names, query))


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
