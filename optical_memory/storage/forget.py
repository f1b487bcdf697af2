"""Real forgetting: the rows of text, every image and card of it, and whatever was derived and may quote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from .rows import ForgottenRows, Path, clip
from . import search
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


def whole_thread(connection: sa.Connection, thread_id: int) -> ForgottenRows:
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


def turns(
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
