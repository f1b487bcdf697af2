"""Reading: every question that the memory asks of the database, over one connection and one snapshot.

Statements that run at each model call are built once, with named parameters: building one takes longer
than SQLite takes to answer it. A path is walked range by range; windows are clipped by arithmetic first, so
a window of the newest turns touches the newest ranges only, whatever the length of the thread.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

import optical_memory.storage.bulk as bulk
import optical_memory.storage.rows as rows
import optical_memory.storage.search as search

from ..errors import HashMismatchError, StoreError
from .rows import Path, PlacedMessage, Range, ThreadRow
from .schema import (
    MARKED,
    Moment,
    branch,
    change,
    columns,
    embedding,
    image,
    may_be_key,
    message,
    page,
    plan,
    recalled,
    safe_id,
    safe_text,
    step,
    thread,
    turn,
    usage,
    view,
)

T = TypeVar("T")
_b = sa.bindparam
_THREAD = columns(thread, rows.ThreadRow)
_ON_SPAN = (turn.c.branch_id == _b("b"), turn.c.number.between(_b("f"), _b("l")))

THREAD_BY_KEY = sa.select(*_THREAD).where(thread.c.key == _b("key"))
THREAD_BY_ID = sa.select(*_THREAD).where(thread.c.id == _b("id"))
_BRANCHES = sa.select(branch.c.id, branch.c.parent_id, branch.c.after).where(branch.c.thread_id == _b("t"))
_ANY = sa.select(*columns(turn, rows.TurnRow)).order_by(turn.c.number)
_TURNS = _ANY.where(*_ON_SPAN)
_MARKED = _TURNS.where(sa.text(f"({MARKED})"))
_SUMS = sa.select(
    sa.func.count(),
    *(sa.func.coalesce(sa.func.sum(turn.c[name]), 0) for name in ("chars", "tokens", "messages", "calls")),
).where(*_ON_SPAN)
_PLACED = sa.select(
    turn.c.number,
    *(message.c[name] for name in ("position", "external_id", "role", "hash", "chain", "turn_id")),
    turn.c.open,
    turn.c.branch_id,
).join_from(turn, message, message.c.turn_id == turn.c.id)
_TAIL = _PLACED.where(*_ON_SPAN).order_by(turn.c.number.desc(), message.c.position.desc()).limit(_b("n"))
_FORWARD = _PLACED.where(*_ON_SPAN).order_by(turn.c.number, message.c.position).limit(_b("n"))
_PAGES = (
    sa.select(*columns(page, rows.PageRow))
    .where(page.c.branch_id == _b("b"), page.c.last.between(_b("f"), _b("l")))
    .order_by(page.c.last, page.c.id)
)
_PLAN = (
    sa.select(*columns(plan, rows.PlanRow))
    .where(plan.c.branch_id == _b("b"), plan.c.key == _b("key"), plan.c.anchor <= _b("a"), plan.c.head <= _b("l"))
    .order_by(plan.c.anchor.desc(), plan.c.id.desc())
    .limit(1)
)
_PLAN_BEFORE = (
    sa.select(*columns(plan, rows.PlanRow))
    .where(plan.c.branch_id == _b("b"), plan.c.key == _b("key"), plan.c.head <= _b("l"), plan.c.id < _b("id"))
    .order_by(plan.c.id.desc())
    .limit(1)
)
_RECALLED = (
    sa.select(*columns(recalled, rows.RecalledRow))
    .where(
        recalled.c.branch_id == _b("b"),
        recalled.c.key == _b("key"),
        recalled.c.anchor.between(_b("f"), _b("l")),
    )
    .order_by(recalled.c.anchor, recalled.c.id)
)
_STEPS = (
    sa.select(*columns(step, rows.StepRow)).where(step.c.branch_id == _b("b"), step.c.at <= _b("l")).order_by(step.c.id)
)


class Reader:
    """Questions within one read transaction; made by `Store.read()`, and not to be kept beyond it."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # --- threads and paths

    def thread(self, key: str) -> ThreadRow | None:
        """The thread of this name. Raises ConfigError for what is no text."""
        return self._one(THREAD_BY_KEY, ThreadRow, key=key) if may_be_key(key) else None

    def threads(self, *, limit: int | None = None, match: str | None = None) -> list[ThreadRow]:
        """Threads whose name contains `match`, the one that was used last first."""
        if match and not may_be_key(match):
            return []
        newest = sa.func.coalesce(thread.c.touched_at, thread.c.created_at)
        query = sa.select(*_THREAD).order_by(newest.desc(), thread.c.id.desc()).limit(limit)
        if match:
            query = query.where(thread.c.key.icontains(safe_text(match), autoescape=True))
        return self._all(query, ThreadRow)

    def branches(self, thread_id: int) -> list[rows.BranchRow]:
        """All branches of the thread, abandoned ones too, oldest first."""
        last = sa.select(sa.func.max(turn.c.number)).where(turn.c.branch_id == branch.c.id).scalar_subquery()
        query = sa.select(*columns(branch, rows.BranchRow), sa.func.coalesce(last, branch.c.after))
        return self._all(query.where(branch.c.thread_id == thread_id).order_by(branch.c.id), rows.BranchRow)

    def path(self, thread: ThreadRow, *, branch_id: int | None = None, upto: int | None = None) -> Path:
        """The way to the thread's head, or to the end (or turn `upto`) of another branch."""
        tree = {row.id: row for row in self._connection.execute(_BRANCHES, {"t": thread.id})}
        at = thread.branch_id if branch_id is None else branch_id
        if at not in tree:
            raise StoreError(f"thread {thread.key!r} has no branch {at}: see `optical-memory threads --branches`")
        stop = thread.length if branch_id is None else self._last(at, tree[at].after)
        return _walk(tree, at, stop if upto is None else min(stop, upto))

    def branch_paths(self, thread: ThreadRow) -> dict[int, Path]:
        """The whole path to the end of every branch of the thread, by branch id."""
        tree = {row.id: row for row in self.branches(thread.id)}
        return {row.id: _walk(tree, row.id, row.last) for row in tree.values()}

    def _last(self, branch_id: int, after: int) -> int:
        found = self._connection.scalar(sa.select(sa.func.max(turn.c.number)).where(turn.c.branch_id == branch_id))
        return after if found is None else int(found)

    # --- what a forget would take

    def before(self, path: Path, moment: datetime) -> list[int]:
        """Numbers of the turns on the path from before a time: when they were said, or else stored."""
        said = sa.func.coalesce(turn.c.created_at, turn.c.stored_at)
        query = sa.select(turn.c.number).where(*_ON_SPAN, said < sa.bindparam("moment", moment, Moment))
        return [n for r in path for n in self._connection.scalars(query, _span(r))]

    def forgettable(self, thread: ThreadRow, path: Path, numbers: Iterable[int] | None = None) -> rows.ForgottenRows:
        """What forgetting these turns of the path would take away, or the whole thread; nothing is changed."""
        if numbers is None:
            return bulk.count_thread(self._connection, thread.id)
        return bulk.count_turns(self._connection, self.branch_paths(thread), path, sorted(set(numbers)))

    # --- turns and messages

    def turns(
        self,
        path: Path,
        first: int = 1,
        last: int | None = None,
        *,
        limit: int | None = None,
        newest: bool = False,
    ) -> list[rows.TurnRow]:
        """Turns `first..last` of the path, oldest first; of those the first `limit`, or the newest."""
        return self._spans(_TURNS, rows.TurnRow, _window(path, first, last, limit, newest))

    def turns_at(self, path: Path, numbers: Iterable[int]) -> list[rows.TurnRow]:
        """The turns of the path with these numbers, oldest first, however many gaps there are between them."""
        asked, found = sorted(set(numbers)), list[rows.TurnRow]()
        if asked and asked[-1] - asked[0] + 1 == len(asked):  # one stretch: naming each number takes half as long again
            return self.turns(path, asked[0], asked[-1])
        for span in path:
            mine = asked[bisect_left(asked, span.first) : bisect_right(asked, span.last)]
            found += self._in(_ANY.where(turn.c.branch_id == span.branch_id), turn.c.number, mine, rows.TurnRow)
        return found

    def marked(self, path: Path, first: int = 1, last: int | None = None) -> list[rows.TurnRow]:
        """The turns among these that were pinned or recalled, oldest first."""
        return self._spans(_MARKED, rows.TurnRow, rows.clip(path, first, last))

    def turn_stats(self, path: Path, first: int = 1, last: int | None = None) -> rows.TurnSums:
        """Sums over turns `first..last` of the path."""
        parts = [self._connection.execute(_SUMS, _span(r)).one() for r in rows.clip(path, first, last)]
        return rows.TurnSums(*(int(sum(part[i] for part in parts)) for i in range(5)))

    def without_text(self, path: Path) -> int:
        """How many turns on the path have lost their text to a picture."""
        query = sa.select(sa.func.count()).select_from(turn).where(*_ON_SPAN, turn.c.purged)
        return sum(int(self._connection.scalar(query, _span(r)) or 0) for r in path)

    def messages(self, turn_ids: Iterable[int]) -> dict[int, list[rows.MessageRow]]:
        """The messages of each of these turns, in their order; an empty list for a turn without any."""
        found: dict[int, list[rows.MessageRow]] = {turn_id: [] for turn_id in turn_ids}
        query = sa.select(*columns(message, rows.MessageRow)).order_by(message.c.turn_id, message.c.position)
        for row in self._in(query, message.c.turn_id, found, rows.MessageRow):
            found[row.turn_id].append(row)
        return found

    def originals(self, path: Path, digests: Iterable[str], *, since: int) -> dict[str, int]:
        """The newest turn from `since` on that says what each digest stands for and repeats none itself, by digest."""
        if not path:
            return {}
        near = rows.clip(path, since)
        query = sa.select(turn.c.digest, turn.c.branch_id, turn.c.number).where(
            turn.c.thread_id == sa.select(branch.c.thread_id).where(branch.c.id == path[0].branch_id).scalar_subquery(),
            turn.c.duplicate_of.is_(None),
        )
        found = self._in(query, turn.c.digest, digests, _Said)
        return {
            said.digest: said.number
            for said in sorted(found, key=lambda said: said.number)
            if any(r.branch_id == said.branch_id and r.first <= said.number <= r.last for r in near)
        }

    def tail(self, path: Path, count: int) -> list[PlacedMessage]:
        """The newest `count` messages on the path, oldest first."""
        found: list[PlacedMessage] = []
        for span in reversed(path):
            if len(found) >= count:
                break
            found += self._placed(_TAIL, span, count - len(found))
        return found[::-1]

    def forward(self, path: Path, turn_number: int, position: int, count: int) -> list[PlacedMessage]:
        """Up to `count` messages at and after that place of the path, in their order."""
        found: list[PlacedMessage] = []
        wanted = count + position  # those before the place in its own turn come along
        for span in rows.clip(path, turn_number):
            if len(found) >= wanted:
                break
            found += self._placed(_FORWARD, span, wanted - len(found))
        return [m for m in found if (m.turn_number, m.position) >= (turn_number, position)][:count]

    def by_external(self, thread_id: int, ids: Iterable[str]) -> dict[str, list[PlacedMessage]]:
        """Every place in the thread, on any branch, of these ids of the host; unknown ids are left out."""
        asked = {safe_id(given): given for given in ids}
        query = _PLACED.where(message.c.thread_id == thread_id).order_by(message.c.id)
        found: dict[str, list[PlacedMessage]] = {}
        for row in self._in(query, message.c.external_id, asked, PlacedMessage):
            found.setdefault(asked[row.external_id or ""], []).append(row)
        return found

    def by_chain(self, thread_id: int, chains: Iterable[str]) -> dict[str, PlacedMessage]:
        """Where these chain hashes are in the thread; of equal ones the newest."""
        query = _PLACED.where(message.c.thread_id == thread_id).order_by(message.c.id)
        return {row.chain: row for row in self._in(query, message.c.chain, chains, PlacedMessage)}

    # --- pages and images

    def pages(self, path: Path, *, from_number: int | None = None) -> list[rows.PageRow]:
        """Pages that lie wholly on the path, oldest first; from the one that holds turn `from_number` on.

        Among them are pages in whose place newer ones have been drawn: which are in force, a plan says.
        """
        return self._spans(_PAGES, rows.PageRow, rows.clip(path, from_number or 1))

    def pages_by_id(self, ids: Iterable[int]) -> list[rows.PageRow]:
        """These pages, in the order of their turns."""
        query = sa.select(*columns(page, rows.PageRow)).order_by(page.c.first)
        return self._in(query, page.c.id, ids, rows.PageRow)

    def pages_at(self, path: Path, number: int) -> list[rows.PageRow]:
        """The pages that hold turn `number`, the newest first."""
        found = self._spans(_PAGES.where(page.c.first <= number), rows.PageRow, rows.clip(path, number))
        return sorted(found, key=lambda row: -row.number)

    def views(self, page_ids: Iterable[int], look: str) -> dict[int, list[rows.ViewRow]]:
        """The parts of each page at this look, in order; pages without any are left out."""
        query = sa.select(*columns(view, rows.ViewRow)).where(view.c.look == look).order_by(view.c.page_id, view.c.part)
        found = self._in(query, view.c.page_id, page_ids, rows.ViewRow)
        return {page_id: list(group) for page_id, group in groupby(found, key=lambda row: row.page_id)}

    def png(self, view_ids: Iterable[int]) -> dict[int, bytes]:
        """The images of these views, each checked against its SHA-256; views not drawn yet are left out."""
        query = sa.select(image.c.view_id, image.c.png, view.c.sha256).join_from(image, view)
        found = self._in(query, image.c.view_id, view_ids, _Drawn)
        for drawn in found:
            if not drawn.sound:
                raise self._damaged(drawn.view_id)
        return {drawn.view_id: drawn.png for drawn in found}

    def _damaged(self, view_id: int) -> HashMismatchError:
        query = (
            sa.select(thread.c.key, page.c.number, view.c.look, view.c.part)
            .join_from(view, page)
            .join(thread, thread.c.id == page.c.thread_id)
            .where(view.c.id == view_id)
        )
        key, number, look, part = self._connection.execute(query).one()
        return HashMismatchError(
            f"page {number} of thread {key!r} ({look}, part {part}, view {view_id}) is not what "
            f"was stored; its text is unharmed: run `optical-memory db check` to list every damaged image"
        )

    # --- plans and the log

    def plan(self, path: Path, key: str, *, anchor: int | None = None) -> rows.PlanRow | None:
        """The plan on this path for the latest anchor up to `anchor`, and of those the newest."""
        asked = {"key": key, "a": rows.end(path) if anchor is None else anchor}
        found = (self._one(_PLAN, rows.PlanRow, b=r.branch_id, l=r.last, **asked) for r in reversed(path))
        return max((row for row in found if row), key=lambda row: (row.anchor, row.id), default=None)

    def plan_before(self, path: Path, key: str, plan_id: int) -> rows.PlanRow | None:
        """The newest plan on this path that is older than plan `plan_id`."""
        found = (self._one(_PLAN_BEFORE, rows.PlanRow, b=r.branch_id, l=r.last, key=key, id=plan_id) for r in path)
        return max((row for row in found if row), key=lambda row: row.id, default=None)

    def recalled(self, path: Path, key: str, *, since: int) -> list[rows.RecalledRow]:
        """What was recalled by itself for anchors from `since` on, in their order."""
        found = [
            row
            for r in path
            for row in self._all(_RECALLED, rows.RecalledRow, b=r.branch_id, key=key, f=since, l=r.last)
        ]
        return sorted(found, key=lambda row: (row.anchor, row.id))

    def steps(self, path: Path) -> list[rows.StepRow]:
        """The log of tier changes on this path, oldest first."""
        found = [row for r in path for row in self._connection.execute(_STEPS, {"b": r.branch_id, "l": r.last})]
        query = sa.select(*columns(change, rows.ChangeRow)).order_by(change.c.step_id, change.c.id)
        changes = self._in(query, change.c.step_id, [row.id for row in found], rows.ChangeRow)
        of = {step_id: tuple(group) for step_id, group in groupby(changes, key=lambda row: row.step_id)}
        return [rows.StepRow(*[*row, of.get(row.id, ())]) for row in sorted(found, key=lambda row: row.id)]

    def usage(self, thread_id: int) -> list[rows.NewUsage]:
        """What was predicted and billed for the thread's calls, oldest first."""
        query = sa.select(*columns(usage, rows.NewUsage)).where(usage.c.thread_id == thread_id)
        return self._all(query.order_by(usage.c.id), rows.NewUsage)

    def learned(self, model: str, limit: int) -> list[tuple[int, int]]:
        """The newest (predicted, billed) tokens of a model's calls in any thread, oldest first."""
        query = sa.select(usage.c.predicted, usage.c.billed).where(usage.c.model == model, usage.c.billed > 0)
        found = self._connection.execute(query.order_by(usage.c.id.desc()).limit(limit))
        return [(int(predicted), int(billed)) for predicted, billed in found][::-1]

    # --- search and sums

    def search(self, path: Path, query: str, *, limit: int, exclude: Container[int] = ()) -> list[rows.Found]:
        """The best turns for a query on this path, without the turn numbers in `exclude`.

        Words are OR-ed; "quoted phrases" and prefix* are understood; no text is a syntax error.
        """
        if not path:
            return []
        return search.search(self._connection, self.thread_of(path), path, query, limit=limit, exclude=exclude)

    def without_vectors(self, path: Path, model: str, *, limit: int) -> list[rows.TurnRow]:
        """The newest turns on the path that this model has made no vectors of; without those that wait for results."""
        made = sa.exists().where(embedding.c.turn_id == turn.c.id, embedding.c.model == model)
        query = sa.select(*columns(turn, rows.TurnRow)).where(*_ON_SPAN, turn.c.text != "", ~turn.c.open, ~made)
        found: list[rows.TurnRow] = []
        for span in reversed(path):
            newest = query.order_by(turn.c.number.desc()).limit(limit - len(found))
            found += [rows.TurnRow(*row) for row in self._connection.execute(newest, _span(span))]
            if len(found) >= limit:
                break
        return found

    def vector_mark(self, thread_id: int, model: str) -> tuple[int, int]:
        """How many vectors of this model a thread has, and the highest id: what a cache of them goes by."""
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(embedding.c.id), 0))
        count, newest = self._connection.execute(query.where(*_vectors_of(thread_id, model))).one()
        return int(count), int(newest)

    def vectors(self, thread_id: int, model: str, *, after: int = 0) -> list[tuple[int, int, int, bytes]]:
        """(turn id, branch id, turn number, vector) of this model's in a thread with an id above `after`, in their ids' order."""
        query = sa.select(turn.c.id, turn.c.branch_id, turn.c.number, embedding.c.vector)
        query = query.join_from(embedding, turn, embedding.c.turn_id == turn.c.id).where(*_vectors_of(thread_id, model))
        found = self._connection.execute(query.where(embedding.c.id > after).order_by(embedding.c.id))
        return [(row.id, row.branch_id, row.number, bytes(row.vector)) for row in found]

    def thread_of(self, path: Path) -> int:
        """The id of the thread that a path lies in."""
        return int(self._connection.scalar(sa.select(branch.c.thread_id).where(branch.c.id == path[0].branch_id)) or 0)

    def counts(self, thread_id: int | None = None) -> rows.Counts:
        """What the database holds, or one thread of it."""
        mine = sa.true() if thread_id is None else page.c.thread_id == thread_id
        images = sa.select(sa.func.count(view.c.sha256), sa.func.coalesce(sa.func.sum(view.c.bytes), 0))
        drawn = self._connection.execute(images.join_from(view, page).where(mine)).one()
        return rows.Counts(
            self._count(thread, thread.c.id, thread_id),
            self._turns(thread_id),
            self._count(page, page.c.thread_id, thread_id),
            int(drawn[0]),
            int(drawn[1]),
            self._purged(thread_id),
        )

    def _turns(self, thread_id: int | None) -> int:
        """Turns are indexed by their branch."""
        query = sa.select(sa.func.count()).select_from(turn)
        if thread_id is not None:
            query = query.where(turn.c.branch_id.in_(sa.select(branch.c.id).where(branch.c.thread_id == thread_id)))
        return int(self._connection.scalar(query) or 0)

    def _purged(self, thread_id: int | None) -> int:
        """Turns without text; only threads that have a page without text are looked through."""
        faded = sa.select(page.c.thread_id).where(page.c.purged)
        if thread_id is not None:
            faded = faded.where(page.c.thread_id == thread_id)
        branches = sa.select(branch.c.id).where(branch.c.thread_id.in_(faded))
        query = sa.select(sa.func.count()).select_from(turn).where(turn.c.branch_id.in_(branches), turn.c.purged)
        return int(self._connection.scalar(query) or 0)

    def _count(self, table: sa.Table, column: sa.ColumnElement[Any], value: int | None) -> int:
        query = sa.select(sa.func.count()).select_from(table)
        return int(self._connection.scalar(query if value is None else query.where(column == value)) or 0)

    # --- rows into values

    def _one(self, query: sa.Select[Any], kind: type[T], **values: Any) -> T | None:
        row = self._connection.execute(query, values).first()
        return None if row is None else kind(*row)

    def _all(self, query: sa.Select[Any], kind: type[T], **values: Any) -> list[T]:
        return [kind(*row) for row in self._connection.execute(query, values)]

    def _spans(self, query: sa.Select[Any], kind: type[T], path: Path) -> list[T]:
        return [kind(*row) for r in path for row in self._connection.execute(query, _span(r))]

    def _placed(self, query: sa.Select[Any], span: Range, count: int) -> list[PlacedMessage]:
        return [PlacedMessage(*row) for row in self._connection.execute(query, {**_span(span), "n": count})]

    def _in(
        self, query: sa.Select[Any], column: sa.ColumnElement[Any], values: Iterable[Any], kind: type[T]
    ) -> list[T]:
        chunks = rows.chunks(dict.fromkeys(values))
        return [kind(*row) for chunk in chunks for row in self._connection.execute(query.where(column.in_(chunk)))]


class _Said(NamedTuple):
    digest: str
    branch_id: int
    number: int


class _Drawn:
    __slots__ = ("png", "sound", "view_id")

    def __init__(self, view_id: int, png: bytes, sha256: str) -> None:
        self.view_id, self.png = view_id, png
        self.sound = hashlib.sha256(png).hexdigest() == sha256


def _vectors_of(thread_id: int, model: str) -> tuple[sa.ColumnElement[bool], ...]:
    return embedding.c.thread_id == thread_id, embedding.c.model == model


def _span(r: Range) -> dict[str, int]:
    return {"b": r.branch_id, "f": r.first, "l": r.last}


def _window(path: Path, first: int, last: int | None, limit: int | None, newest: bool) -> Path:
    cut = rows.clip(path, first, last)
    if limit is None or not cut:
        return cut
    if newest:
        return rows.clip(cut, rows.end(cut) - limit + 1)
    return rows.clip(cut, last=cut[0].first + limit - 1)


def _walk(tree: dict[int, Any], at: int | None, stop: int) -> Path:
    """From a branch back to the root, then the right way round; empty stretches are left out."""
    spans: list[Range] = []
    while at is not None:
        node = tree[at]
        if node.parent_id is not None and (node.parent_id >= at or node.parent_id not in tree):
            raise StoreError(f"branch {at} departs from {node.parent_id}, which is no older branch of its thread")
        if stop > node.after:
            spans.append(Range(at, node.after + 1, stop))
        stop, at = min(stop, node.after), node.parent_id
    return tuple(reversed(spans))
