"""Writing: everything that changes the database, within one transaction that has begun before the first read.

Numbers come from the thread's own counters by UPDATE ... RETURNING, which is one statement on both engines
and cannot hand out a number twice. Every change that another process must notice raises its `version`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

import optical_memory.storage.bulk as bulk
import optical_memory.storage.care as care
import optical_memory.storage.rows as rows
import optical_memory.storage.search as search
import optical_memory.storage.terms as terms

from ..errors import StoreError, ThreadNotFoundError
from .reader import THREAD_BY_ID, THREAD_BY_KEY, Reader, T
from .rows import Path, ThreadRow, end
from .schema import (
    branch,
    change,
    checked_key,
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

REACH = 200
"""Turns within which saying something again is noticed: what is further back has faded too far to be pointed to."""

_b = sa.bindparam
_GROW = (
    sa.update(thread)
    .where(thread.c.id == _b("t"))
    .values(length=thread.c.length + _b("n"), version=thread.c.version + 1)
    .returning(*columns(thread, ThreadRow))
)
_TOP = sa.select(sa.func.max(turn.c.number)).where(turn.c.branch_id == _b("b"))
_ADD_TURNS = sa.insert(turn).returning(turn.c.id, turn.c.number)
_ADD_MESSAGES = sa.insert(message)


class Writer(Reader):
    """A write transaction; made by `Store.write()`, committed when its block ends without an exception."""

    # --- threads and branches

    def thread(self, key: str) -> ThreadRow | None:
        """The thread of this name; on PostgreSQL locked, so that what is decided from it stays true."""
        return self._one(THREAD_BY_KEY.with_for_update(), ThreadRow, key=key) if may_be_key(key) else None

    def new_thread(self, key: str, at: datetime) -> ThreadRow:
        """A new thread of this name, or the one that is there: two processes may both ask."""
        while True:
            found = self._made(key, at) or self.thread(key)
            if found is not None:
                return found  # else it was there, and another process has forgotten it since

    def set_config(self, thread_id: int, config: Any) -> None:
        """Keep the thread's effective configuration (a JSON value), for whoever opens the database later."""
        self._bump(thread.c.id == thread_id, config=config)

    def touch(self, thread_id: int, at: datetime) -> None:
        """Note a call at this time, unless a later one is noted; no context depends on it, so the version stays.

        A time that is more than a day ahead is of a clock that was wrong, and gives way.
        """
        known = thread.c.touched_at
        older = sa.or_(known.is_(None), known < at, known > at + timedelta(days=1))
        self._connection.execute(sa.update(thread).where(thread.c.id == thread_id, older).values(touched_at=at))

    def fork(self, thread: ThreadRow, after: int, at: datetime, *, branch_id: int | None = None) -> ThreadRow:
        """A new head branch that departs after turn `after` of the head's path, or of another branch's."""
        now = self._current(thread)
        path = self.path(now, branch_id=branch_id, upto=after)
        if end(path) != after or after < 0:
            raise StoreError(f"thread {now.key!r} has no turn {after} to depart from: that path ends at {end(path)}")
        made = self._new_branch(now.id, path[-1].branch_id if path else None, after, at)
        return self._bump_one(now.id, branch_id=made, length=after)

    def switch(self, thread: ThreadRow, branch_id: int, length: int) -> ThreadRow:
        """Move the head to turn `length` of another branch's path; nothing is lost on the one it leaves."""
        now = self._current(thread)
        path = self.path(now, branch_id=branch_id, upto=length)
        if end(path) != length:
            raise StoreError(f"branch {branch_id} of thread {now.key!r} has no turn {length}: it ends at {end(path)}")
        at = path[-1].branch_id if path else self.branches(now.id)[0].id  # before turn 1 only a root may go on
        return self._bump_one(now.id, branch_id=at, length=length)

    def copy_thread(self, thread: ThreadRow, key: str, at: datetime) -> ThreadRow:
        """The same turns, branches, pages and images under a new name; plans, log and usage stay behind."""
        target = self._made(key, at)
        if target is None:
            raise StoreError(f"a thread {key!r} is there already: forget it first, or copy to another name")
        head = bulk.copy_thread(self._connection, thread.id, thread.branch_id, target)
        return self._bump_one(target.id, branch_id=head, length=thread.length, pages=thread.pages, config=thread.config)

    # --- turns

    def append(self, thread: ThreadRow, turns: Sequence[rows.NewTurn], at: datetime) -> ThreadRow:
        """Add turns at the head, numbered on from its length as it is now; returns the thread after it.

        When the head was set back (`switch`) to where others already follow, a new branch departs there.
        """
        now = self._current(thread)
        top = self._connection.scalar(_TOP, {"b": now.branch_id})
        if turns and top is not None and top > now.length:
            now = self.fork(now, now.length, at)
        after = self._grow(now.id, len(turns))
        first = after.length - len(turns) + 1
        values = [self._turn(after, number, new, at) for number, new in enumerate(turns, first)]
        self._find_duplicates(after, values)
        ids = self._add_turns(values)
        search.index(self._connection, sa.and_(turn.c.branch_id == after.branch_id, turn.c.number >= first))
        self._add_messages(after.id, ((ids[number], 0, new.messages) for number, new in enumerate(turns, first)))
        return after

    def extend(
        self,
        turn_id: int,
        messages: Sequence[rows.NewMessage],
        *,
        text: str,
        chars: int,
        tokens: int,
        open: bool,
        importance: float,
        attachments: Any = None,
        digest: str | None = None,
    ) -> None:
        """Messages that arrive for a turn that waits for results, and what the whole turn is with them."""
        query = sa.select(turn.c.thread_id, turn.c.number, turn.c.messages, turn.c.name)
        held = self._connection.execute(query.where(turn.c.id == turn_id)).one()
        values: dict[str, Any] = {
            **self._words(text, held.name),
            "chars": chars,
            "tokens": tokens,
            "open": open,
            "importance": importance,
            "attachments": attachments,
            "messages": held.messages + len(messages),
            "digest": digest,
            "duplicate_of": None,  # what it was before may have repeated another turn
            "number": held.number,
        }
        self._find_duplicates(self._by_id(held.thread_id), [values])
        if messages:
            values["chain"] = messages[-1].chain
        search.unindex(self._connection, turn.c.id == turn_id)
        self._connection.execute(sa.delete(embedding).where(embedding.c.turn_id == turn_id))
        self._connection.execute(sa.update(turn).where(turn.c.id == turn_id).values(values))
        search.index(self._connection, turn.c.id == turn_id)
        self._add_messages(held.thread_id, [(turn_id, held.messages, messages)])
        self._bump(thread.c.id == held.thread_id)

    def strengthen(self, turn_ids: Collection[int], at_length: int) -> None:
        """Count a recall of these turns, made when the thread was `at_length` turns long."""
        self._update_turns(turn_ids, recalls=turn.c.recalls + 1, recalled_at=at_length)

    def pin(self, turn_ids: Collection[int], pinned: bool) -> None:
        """Keep these turns from decaying, or let them."""
        self._update_turns(turn_ids, pinned=pinned)

    def weigh(self, turn_ids: Collection[int], weight: float | None) -> None:
        """Set the host's own weight of these turns; None for the rule's."""
        self._update_turns(turn_ids, weight=weight)

    def put_vectors(self, thread_id: int, model: str, vectors: Mapping[int, tuple[str, Sequence[bytes]]]) -> None:
        """Keep vectors by turn id, each with the chain hash of the turn that was read: one that has changed since is left out."""
        self._one(
            THREAD_BY_ID.with_for_update(), ThreadRow, id=thread_id
        )  # others may bring the same, or change a turn
        query = sa.select(turn.c.id, turn.c.chain).where(turn.c.thread_id == thread_id, ~turn.c.purged)
        chunks = [self._connection.execute(query.where(turn.c.id.in_(chunk))).all() for chunk in rows.chunks(vectors)]
        same = [row.id for rows_ in chunks for row in rows_ if row.chain == vectors[row.id][0]]
        self._connection.execute(sa.delete(embedding).where(embedding.c.turn_id.in_(same), embedding.c.model == model))
        made = [
            {"thread_id": thread_id, "turn_id": i, "part": part, "model": model, "vector": vector}
            for i in same
            for part, vector in enumerate(vectors[i][1])
        ]
        if made:
            self._connection.execute(sa.insert(embedding), made)

    # --- pages and images

    def add_pages(self, thread: ThreadRow, pages: Sequence[rows.NewPage], at: datetime) -> list[rows.PageRow]:
        """Seal pages; their numbers go on from the thread's page counter."""
        if not pages:
            return []
        after = self._bump_one(thread.id, pages=sa.text("pages + :n").bindparams(n=len(pages)))
        made = [
            {**_fields(new), "thread_id": after.id, "number": number, "created_at": at}
            for number, new in enumerate(pages, after.pages - len(pages) + 1)
        ]
        found = self._connection.execute(sa.insert(page).returning(*columns(page, rows.PageRow)), made)
        return sorted((rows.PageRow(*row) for row in found), key=lambda row: row.number)

    def set_tiers(self, tiers: Mapping[int, str]) -> None:
        """Show these pages (by id) at these tiers from now on."""
        if not tiers:
            return
        query = sa.update(page).where(page.c.id == _b("page")).values(tier=_b("to"))
        self._connection.execute(query, [{"page": page_id, "to": tier} for page_id, tier in tiers.items()])
        self._bump_owners(page, tiers)

    def put_views(self, page_id: int, look: str, parts: Sequence[tuple[int, int, bytes | None]]) -> list[rows.ViewRow]:
        """The page's images at a look, as (width, height, PNG); None where it was only measured."""
        made = [self._put_view((page_id, look, part), *given) for part, given in enumerate(parts)]
        surplus = sa.select(view.c.id).where(view.c.page_id == page_id, view.c.look == look, view.c.part >= len(parts))
        self._drop_views([row.id for row in self._connection.execute(surplus)])
        return made

    def drop_views(self, view_ids: Iterable[int]) -> None:
        """Take images away, so that they are drawn again from the text."""
        self._drop_views(list(view_ids))

    # --- plans, the log and the bill

    def put_plan(
        self,
        thread: ThreadRow,
        path: Path,
        *,
        anchor: int,
        key: str,
        body: Any,
        reason: str,
        tokens: int,
        at: datetime,
    ) -> rows.PlanRow:
        """Keep the plan that was made for this anchor when the path ended where it does."""
        values = self._place(thread, path, at) | {"anchor": anchor, "head": end(path), "key": key}
        values |= {"body": body, "reason": reason, "tokens": tokens}
        return self._put(plan, rows.PlanRow, values)

    def put_recalled(
        self, thread: ThreadRow, path: Path, *, anchor: int, key: str, turns: Any, tokens: int, at: datetime
    ) -> rows.RecalledRow:
        """Keep what was recalled by itself before this anchor (a JSON value, as `turns`)."""
        values = self._place(thread, path, at) | {
            "anchor": anchor,
            "key": key,
            "turns": turns,
            "tokens": tokens,
        }
        return self._put(recalled, rows.RecalledRow, values)

    def log_step(
        self,
        thread: ThreadRow,
        path: Path,
        *,
        reason: str,
        changes: Sequence[rows.NewChange],
        at: datetime,
        plan_id: int | None = None,
        purged: int = 0,
    ) -> rows.StepRow:
        """Write down a batch of tier changes, taken when the path ended where it does; `purged` turns lost their text."""
        values = self._place(thread, path, at) | {"at": end(path), "reason": reason, "plan_id": plan_id}
        values["purged"] = purged
        made = self._put(step, rows.StepRow, values)
        logged = tuple(self._put_change(made.id, new) for new in changes)
        return rows.StepRow(**{**_fields(made), "changes": logged})

    def mark_undone(self, step_id: int) -> None:
        """Note that a step was taken back."""
        self._connection.execute(sa.update(step).where(step.c.id == step_id).values(undone=True))
        self._bump_owners(step, [step_id])

    def put_usage(self, thread_id: int, calls: Sequence[rows.NewUsage]) -> None:
        """Write model calls down, and when the last one was; no context depends on them, so the version stays."""
        if calls:
            made = [_fields(new) | {"thread_id": thread_id, "model": safe_text(new.model)} for new in calls]
            self._connection.execute(sa.insert(usage), made)
            self.touch(thread_id, max(new.created_at for new in calls))

    def bill_usage(self, thread_id: int, call: rows.NewUsage) -> None:
        """Add the bill to a call that was written down without one; a call that is not there is written now."""
        mine = (usage.c.thread_id == thread_id, usage.c.created_at == call.created_at)
        same = (usage.c.predicted == call.predicted, usage.c.billed.is_(None))
        found = self._connection.scalar(sa.select(sa.func.max(usage.c.id)).where(*mine, *same))
        if found is None:
            self.put_usage(thread_id, [call])
            return
        told = {name: getattr(call, name) for name in ("billed", "cache_read", "cache_write", "output")}
        self._connection.execute(sa.update(usage).where(usage.c.id == found).values(told))

    # --- forgetting

    def forget_thread(self, thread_id: int) -> rows.ForgottenRows:
        """Take the thread and everything of it away. Call `Store.erase()` after the commit: see there."""
        care.owe(self._connection)
        return bulk.forget_thread(self._connection, thread_id)

    def forget_turns(self, thread: ThreadRow, path: Path, numbers: Iterable[int]) -> rows.ForgottenRows:
        """Empty these turns of the path; a hole of role "forgotten" keeps the number.

        Pages that show one go, on every branch that shares it, and with them the thread's plans and recalled
        rows, which may quote it. Call `Store.erase()` after the commit.
        """
        care.owe(self._connection)
        gone = bulk.forget_turns(self._connection, self.branch_paths(thread), path, sorted(set(numbers)))
        self._bump(_is(thread.id))
        return gone

    def purge(
        self, thread: ThreadRow, pages: Sequence[rows.PurgedPage], bare: Callable[[rows.MessageRow], Any], plan_id: int
    ) -> int:
        """Take the text of these pages' turns away, so that their stored pictures are the record; how many turns.

        `bare` gives what is kept of a message as it was given. All plans but `plan_id` go too: they may quote the text.
        Call `Store.erase()` after the commit.
        """
        care.owe(self._connection)
        count = bulk.purge(self._connection, self.branch_paths(thread), pages, bare)
        bulk.drop_plans(self._connection, thread.id, plan_id)
        self._bump(_is(thread.id))
        return count

    # --- the small parts

    def _made(self, key: str, at: datetime) -> ThreadRow | None:
        """A new thread with its first branch; None if the name is taken."""
        values = {"key": checked_key(key), "branch_id": 0, "created_at": at}
        made = self._connection.execute(self._insert_new(thread, values, "key").returning(thread.c.id)).scalar()
        if made is None:
            return None
        root = self._new_branch(int(made), None, 0, at)
        self._connection.execute(sa.update(thread).where(thread.c.id == made).values(branch_id=root))
        return self._by_id(int(made))

    def _by_id(self, thread_id: int) -> ThreadRow:
        return ThreadRow(*self._connection.execute(THREAD_BY_ID, {"id": thread_id}).one())

    def _find_duplicates(self, owner: ThreadRow, values: Sequence[dict[str, Any]]) -> None:
        """Point each of these rows, which point nowhere and stand on the head's path or will, to the turn that it repeats."""
        digests = {row["digest"] for row in values} - {None}
        if not digests:
            return
        known = self.originals(self.path(owner), digests, since=values[0]["number"] - REACH)
        for row in values:
            said, number = row["digest"], row["number"]
            earlier = known.get(said) if said else None
            if earlier is not None and earlier < number <= earlier + REACH:
                row["duplicate_of"] = earlier
            elif said:
                known[said] = number

    def _current(self, stale: ThreadRow) -> ThreadRow:
        found = self._one(THREAD_BY_ID.with_for_update(), ThreadRow, id=stale.id)
        if found is None:
            raise ThreadNotFoundError(stale.key)
        return found

    def _grow(self, thread_id: int, count: int) -> ThreadRow:
        return ThreadRow(*self._connection.execute(_GROW, {"t": thread_id, "n": count}).one())

    def _bump(self, which: sa.ColumnElement[bool], **values: Any) -> None:
        self._connection.execute(sa.update(thread).where(which).values(version=thread.c.version + 1, **values))

    def _bump_one(self, thread_id: int, **values: Any) -> ThreadRow:
        query = sa.update(thread).where(thread.c.id == thread_id).values(version=thread.c.version + 1, **values)
        return ThreadRow(*self._connection.execute(query.returning(*columns(thread, ThreadRow))).one())

    def _bump_owners(self, table: sa.Table, ids: Iterable[int]) -> None:
        for chunk in rows.chunks(ids):
            owners = sa.select(table.c.thread_id).where(table.c.id.in_(chunk))
            self._bump(thread.c.id.in_(owners))

    def _update_turns(self, turn_ids: Collection[int], **values: Any) -> None:
        for chunk in rows.chunks(turn_ids):
            self._connection.execute(sa.update(turn).where(turn.c.id.in_(chunk)).values(values))
        self._bump_owners(turn, turn_ids)

    def _new_branch(self, thread_id: int, parent_id: int | None, after: int, at: datetime) -> int:
        values = {"thread_id": thread_id, "parent_id": parent_id, "after": after, "created_at": at}
        return int(self._connection.execute(sa.insert(branch).values(values).returning(branch.c.id)).scalar_one())

    def _turn(self, owner: ThreadRow, number: int, new: rows.NewTurn, at: datetime) -> dict[str, Any]:
        return {
            **_fields(new),
            **self._words(new.text, new.name),
            "thread_id": owner.id,
            "branch_id": owner.branch_id,
            "number": number,
            "name": None if new.name is None else safe_text(new.name),
            "chars": len(new.text) if new.chars is None else new.chars,
            "messages": len(new.messages),
            "duplicate_of": None,
            "chain": new.messages[-1].chain if new.messages else "",
            "stored_at": at,
        }

    def _words(self, text: str, name: str | None) -> dict[str, Any]:
        """The text, and what its index holds beside it: who spoke, and words that the tokenizer does not split."""
        clean, fold = safe_text(text), self._connection.dialect.name != "sqlite"
        who = safe_text(name or "")
        extra = (who, terms.extra_words(f"{who} {clean}", fold=fold))
        return {"text": clean, "grams": " ".join(filter(None, extra)) or None}

    def _add_turns(self, values: list[dict[str, Any]]) -> dict[int, int]:
        """The new ids by turn number."""
        if not values:
            return {}
        return {row.number: row.id for row in self._connection.execute(_ADD_TURNS, values)}

    def _add_messages(self, thread_id: int, groups: Iterable[tuple[int, int, Sequence[rows.NewMessage]]]) -> None:
        values = [
            {
                **_fields(new),
                "thread_id": thread_id,
                "turn_id": turn_id,
                "position": position,
                "external_id": None if new.external_id is None else safe_id(new.external_id),
            }
            for turn_id, first, messages in groups
            for position, new in enumerate(messages, first)
        ]
        if values:
            self._connection.execute(_ADD_MESSAGES, values)

    def _put_view(self, place: tuple[int, str, int], width: int, height: int, png: bytes | None) -> rows.ViewRow:
        drawn = {
            "width": width,
            "height": height,
            "sha256": None if png is None else hashlib.sha256(png).hexdigest(),
            "bytes": len(png or b""),
        }
        insert = self._upsert(view, {**dict(zip(_UNIQUE[view], place, strict=True)), **drawn})
        made = rows.ViewRow(*self._connection.execute(insert.returning(*columns(view, rows.ViewRow))).one())
        if png is None:
            self._connection.execute(sa.delete(image).where(image.c.view_id == made.id))
        else:
            self._connection.execute(self._upsert(image, {"view_id": made.id, "png": png}))
        return made

    def _drop_views(self, view_ids: list[int]) -> None:
        for chunk in rows.chunks(view_ids):
            self._connection.execute(sa.delete(image).where(image.c.view_id.in_(chunk)))
            self._connection.execute(sa.delete(view).where(view.c.id.in_(chunk)))

    def _insert_new(self, table: sa.Table, values: dict[str, Any], *unique: str) -> sqlite.Insert | postgresql.Insert:
        make = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        return make(table).values(values).on_conflict_do_nothing(index_elements=unique)

    def _upsert(self, table: sa.Table, values: dict[str, Any]) -> sqlite.Insert | postgresql.Insert:
        make = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        unique = _UNIQUE[table]
        rest = {name: value for name, value in values.items() if name not in unique}
        return make(table).values(values).on_conflict_do_update(index_elements=unique, set_=rest)

    def _place(self, owner: ThreadRow, path: Path, at: datetime) -> dict[str, Any]:
        """Where a plan or step belongs: the branch of the path's last turn, so all that share it find it."""
        branch_id = path[-1].branch_id if path else owner.branch_id
        return {"thread_id": owner.id, "branch_id": branch_id, "created_at": at}

    def _put(self, table: sa.Table, kind: Callable[..., T], values: dict[str, Any]) -> T:
        query = sa.insert(table).values(values).returning(*columns(table, kind))
        made = kind(*self._connection.execute(query).one())
        self._bump(_is(values["thread_id"]))
        return made

    def _put_change(self, step_id: int, new: rows.NewChange) -> rows.ChangeRow:
        query = sa.insert(change).values(step_id=step_id, **_fields(new)).returning(*columns(change, rows.ChangeRow))
        return rows.ChangeRow(*self._connection.execute(query).one())


_UNIQUE = {view: ("page_id", "look", "part"), image: ("view_id",)}


def _is(thread_id: int) -> sa.ColumnElement[bool]:
    return thread.c.id == thread_id


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
