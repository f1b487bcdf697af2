"""`remember`: where the messages that a host hands over belong in what is stored, and what is new among them.

A host may hand over the whole history or only the news, with stable ids, with new ids each time, or after an edit.
In this order: ids match; a list that begins with the thread's first message is the whole history; the longest overlap
(two messages or more) of the stored tail with the list's head; else everything is appended. Messages that are no longer
sent are not deletions. Where the list departs from what is stored, the thread forks and keeps what it shares.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from optical_memory.cost import image_size
from optical_memory.memory.books import Books
from optical_memory.messages import Message, ToolCall, chain, digest, from_stored, group, is_open, turn_text
from optical_memory.planning.strength import importance
from optical_memory.storage import (
    MessageRow,
    NewMessage,
    NewTurn,
    NewUsage,
    PlacedMessage,
    Reader,
    Store,
    ThreadRow,
    Writer,
    clip,
)

Counter = Callable[[str], int]

LONGEST_HOLE = 1_000  # messages of forgotten turns that are looked past


@dataclass(frozen=True, slots=True)
class Alignment:
    """`places[i]` is where message i is stored; from `fresh` on nothing is stored yet, and belongs after `after`."""

    places: tuple[PlacedMessage | None, ...]
    fresh: int
    after: PlacedMessage | None

    @property
    def nothing_new(self) -> bool:
        """Is every message stored already?"""
        return self.fresh >= len(self.places)

    @property
    def numbers(self) -> tuple[int | None, ...]:
        """The turn number of each message."""
        return tuple(place.turn_number if place else None for place in self.places)


@dataclass(frozen=True, slots=True)
class Ingested:
    """The thread afterwards (None: there is none), the turn number of each message, and what was written, if anything was."""

    thread: ThreadRow | None
    numbers: tuple[int | None, ...]
    written: Written | None = None


def remember(
    store: Store, thread: str, messages: Sequence[Message], count: Counter, books: Books, config: Any, at: datetime
) -> Ingested:
    """Store what is new among the messages, and with it the calls that were noted since; see the module's docstring.

    Whether there is news is asked without a writer's lock. `config` is kept with a thread that has none yet.
    """
    with store.read() as reader:
        row = reader.thread(thread)
        found = align(reader, row, messages) if row else _all_new(messages)
    if found.nothing_new:
        return Ingested(row, found.numbers)
    counted = cache(count)
    for message in messages[found.fresh :]:  # counting long texts takes its time: it is done before the lock
        counted(message.text)
    calls = books.take(thread)
    try:
        return _stored(store, thread, messages, counted, calls, config, at)
    except BaseException:
        books.back(thread, calls)
        raise


def _stored(
    store: Store, thread: str, messages: Sequence[Message], count: Counter, calls: Sequence[NewUsage], config: Any,
    at: datetime,
) -> Ingested:  # fmt: skip
    """What is new and the calls, in one transaction; aligned once more, since others may have written meanwhile."""
    with store.write() as writer:
        row = writer.thread(thread) or writer.new_thread(thread, at)
        writer.put_usage(row.id, calls)
        found = align(writer, row, messages)
        if found.nothing_new:
            return Ingested(row, found.numbers)
        written = write(writer, row, messages, found, count, at)
        if written.thread.config is None:
            writer.set_config(written.thread.id, config)
        return Ingested(written.thread, align(writer, written.thread, messages).numbers, written)


def align(reader: Reader, thread: ThreadRow, messages: Sequence[Message]) -> Alignment:
    """Find out which of these messages are stored, and after which place the others belong."""
    path = reader.path(thread)
    tail = reader.tail(path, len(messages) + 64)
    if not tail:
        return _all_new(messages)
    start = _by_id(messages, tail) or _elsewhere(reader, thread, messages)
    if start is not None:
        index, stored = start
        return _walk(reader, thread, messages, index, stored, _previous(reader, thread, stored[0]))
    first = reader.forward(path, 1, 0, 1)
    if messages and first and first[0].hash == messages[0].hash and len(messages) > 1:
        return _walk(reader, thread, messages, 0, _tail_from(reader, thread, first[0], tail, len(messages)), None)
    overlap = _overlap(messages, tail)
    places = tail[len(tail) - overlap :]
    return Alignment((*places, *(None,) * (len(messages) - overlap)), overlap, tail[-1])


def _all_new(messages: Sequence[Message]) -> Alignment:
    return Alignment((None,) * len(messages), 0, None)


Start = tuple[int, list[PlacedMessage]]


def _by_id(messages: Sequence[Message], tail: list[PlacedMessage]) -> Start | None:
    """The first message whose id is in the stored tail, and the tail from there."""
    known = {p.external_id: i for i, p in enumerate(tail) if p.external_id}
    for index, message in enumerate(messages):
        if message.id in known:
            return index, tail[known[message.id] :]
    return None


def _elsewhere(reader: Reader, thread: ThreadRow, messages: Sequence[Message]) -> Start | None:
    """The same for ids that are stored further back or on another branch."""
    ids = [m.id for m in messages if m.id][:200]
    found = reader.by_external(thread.id, ids) if ids else {}
    for index, message in enumerate(messages):
        for place in reversed(found.get(message.id or "", [])):
            path = reader.path(thread, branch_id=place.branch_id)
            return index, reader.forward(path, place.turn_number, place.position, len(messages) + 64)
    return None


def _tail_from(
    reader: Reader, thread: ThreadRow, first: PlacedMessage, tail: list[PlacedMessage], count: int
) -> list[PlacedMessage]:
    if (tail[0].turn_id, tail[0].position) == (first.turn_id, first.position):
        return tail
    return reader.forward(reader.path(thread), 1, 0, count + 64)


def _overlap(messages: Sequence[Message], tail: Sequence[PlacedMessage]) -> int:
    """The longest run (two or more) that ends what is stored and begins the list, by content."""
    for length in range(min(len(messages), len(tail)), 1, -1):
        if all(p.hash == m.hash for p, m in zip(tail[-length:], messages, strict=False)):
            return length
    return 0


def _previous(reader: Reader, thread: ThreadRow, place: PlacedMessage) -> PlacedMessage | None:
    """The message right before this place."""
    path = reader.path(thread, branch_id=place.branch_id)
    if place.position:
        return reader.forward(path, place.turn_number, 0, place.position)[-1]
    before = reader.tail(clip(path, 1, place.turn_number - 1), 1)
    return before[-1] if before else None


def _walk(
    reader: Reader, thread: ThreadRow, messages: Sequence[Message], start: int, stored: list[PlacedMessage],
    last: PlacedMessage | None,
) -> Alignment:  # fmt: skip
    """Go along list and store together until they part; `last` is what is stored right before."""
    places: list[PlacedMessage | None] = [None] * start
    at, by_id = 0, _by_external(stored)
    while len(places) < len(messages):
        message = messages[len(places)]
        at = _jump(message, by_id, at)
        gone = _forgotten(messages, len(places), last, stored[at] if at < len(stored) else None)
        if gone:
            places += gone
            continue
        if at >= len(stored) or stored[at].hash != message.hash:
            stored, at = _branched(reader, thread, last, message, len(messages)), 0
            if not stored:
                break
            by_id = _by_external(stored)
        last = stored[at]
        places.append(last)
        at += 1
    fresh = len(places)
    return Alignment((*places, *(None,) * (len(messages) - fresh)), fresh, last)


def _forgotten(
    messages: Sequence[Message], start: int, last: PlacedMessage | None, following: PlacedMessage | None
) -> list[PlacedMessage]:  # fmt: skip
    """The places of the messages from `start` on that belong to turns forgotten between `last` and `following`.

    Their numbers are missing in what is stored, and behind them the list goes on with what follows there. Nothing of a
    forgotten turn is kept by which it could be known otherwise, so the newest turn cannot be.
    """
    first = last.turn_number + 1 if last else 1
    if following is None or first >= following.turn_number or following.hash == messages[start].hash:
        return []
    near = messages[start : start + LONGEST_HOLE]
    ahead = next((i for i, m in enumerate(near) if m.hash == following.hash), 0)
    hole = replace(following, turn_number=first, position=0, external_id=None, hash="", chain="", turn_id=0, open=False)
    return [hole] * ahead


def _by_external(stored: Sequence[PlacedMessage]) -> dict[str, list[int]]:
    """Where in the list each of the host's ids is, ascending."""
    found: dict[str, list[int]] = {}
    for index, place in enumerate(stored):
        if place.external_id:
            found.setdefault(place.external_id, []).append(index)
    return found


def _jump(message: Message, by_id: Mapping[str, Sequence[int]], at: int) -> int:
    """The place of this message's id at or after `at` (the host has removed what lies between), else `at`."""
    places = by_id.get(message.id or "", ())
    following = bisect_left(places, at)
    return places[following] if following < len(places) else at


def _branched(
    reader: Reader, thread: ThreadRow, last: PlacedMessage | None, message: Message, count: int
) -> list[PlacedMessage]:
    """The same message after the same past on another branch, and what follows there; empty if there is none."""
    key = chain(last.chain if last else "", message.hash)
    place = reader.by_chain(thread.id, [key]).get(key)
    if place is None:
        return []
    path = reader.path(thread, branch_id=place.branch_id)
    return reader.forward(path, place.turn_number, place.position, count + 64)


# --------------------------------------------------------------------------------------------- writing


def write(
    writer: Writer, thread: ThreadRow, messages: Sequence[Message], found: Alignment, count: Counter, at: datetime
) -> Written:
    """Store what is new after its place; the thread forks if that is not the head."""
    news = list(messages[found.fresh :])
    thread, retold, forked = _attach(writer, thread, found.after, news, at)
    waiting = retold or (_newest_turn(writer, thread) if news[0].role == "tool" else [])
    given = {
        p.position: m for p, m in zip(found.places, messages, strict=False) if p and p.turn_id == _turn_of(waiting)
    }
    old = [given.get(m.position) or from_stored(m.form, m.data) for m in waiting]
    late, turns = group(news, {c.id for m in old for c in m.calls if c.id})
    tail = writer.tail(writer.path(thread), 1)
    parent = tail[-1].chain if tail else ""
    if retold:
        turns.insert(0, [*old, *late])
    elif late:
        parent = _extend(writer, waiting, [*old, *late], parent, count)
    fresh = []
    for turn in turns:
        row, parent = new_turn(turn, parent, count)
        fresh.append(row)
    return Written(writer.append(thread, fresh, at) if fresh else thread, len(fresh), len(news), forked)


def _turn_of(rows: Sequence[MessageRow]) -> int:
    """The id of the turn that is told again, by the caller's own words where it has them: of the stored a picture may be left."""
    return rows[0].turn_id if rows else 0


@dataclass(frozen=True, slots=True)
class Written:
    """The thread afterwards, how many turns and messages were added, and the turn after which it forked, if it did."""

    thread: ThreadRow
    turns: int
    messages: int
    forked_after: int | None


def _attach(
    writer: Writer, thread: ThreadRow, after: PlacedMessage | None, news: Sequence[Message], at: datetime
) -> tuple[ThreadRow, list[MessageRow], int | None]:
    """Bring the head to where the news belong: (thread, the messages of a turn that must be told again, fork point)."""
    head = writer.tail(writer.path(thread), 1)
    if not head or (after is not None and _same(head[-1], after)):
        return thread, [], None
    if after is None:
        return writer.fork(thread, 0, at), [], 0
    end = writer.tail(writer.path(thread, branch_id=after.branch_id), 1)
    if end and _same(end[-1], after):
        return writer.switch(thread, after.branch_id, after.turn_number), [], None
    rows = writer.messages([after.turn_id])[after.turn_id]
    whole = after.position == len(rows) - 1 and news[0].role != "tool"
    keep = after.turn_number if whole else after.turn_number - 1
    forked = writer.fork(thread, keep, at, branch_id=after.branch_id)
    return forked, [] if whole else rows[: after.position + 1], keep


def _same(one: PlacedMessage, other: PlacedMessage) -> bool:
    return (one.turn_id, one.position) == (other.turn_id, other.position)


def _newest_turn(writer: Writer, thread: ThreadRow) -> list[MessageRow]:
    tail = writer.tail(writer.path(thread), 1)
    return writer.messages([tail[-1].turn_id])[tail[-1].turn_id] if tail else []


def _extend(
    writer: Writer, rows: Sequence[MessageRow], messages: Sequence[Message], parent: str, count: Counter
) -> str:
    """Results arrive for a turn that is stored already."""
    turn, parent = new_turn(messages, parent, count, skip=len(rows))
    writer.extend(
        rows[0].turn_id, list(turn.messages)[len(rows) :], text=turn.text, chars=len(turn.text), tokens=turn.tokens,
        open=turn.open, importance=turn.importance, attachments=turn.attachments, digest=turn.digest,
    )  # fmt: skip
    return parent


def new_turn(messages: Sequence[Message], parent: str, count: Counter, skip: int = 0) -> tuple[NewTurn, str]:
    """A turn to store, and the chain hash at its end; the first `skip` messages are stored (and chained) already."""
    rows = []
    for index, message in enumerate(messages):
        if index >= skip:
            parent = chain(parent, message.hash)
        rows.append(NewMessage(message.role, message.hash, parent, dict(message.data), message.form, message.id))
    head, text = messages[0], turn_text(messages)
    turn = NewTurn(
        role=head.role, text=text, tokens=sum(_tokens(m, count) for m in messages), messages=rows, name=head.name,
        chars=len(text), calls=sum(len(m.calls) for m in messages), attachments=_attachments(messages),
        open=is_open(messages), importance=importance(head.role, text), created_at=_first_time(messages),
        digest=digest_of(messages),
    )  # fmt: skip
    return turn, parent


REPEATABLE = 200  # characters from which on saying the same again is worth noticing
_LASTED = re.compile(r"\b(in|took|after|elapsed:?) \d+(?:\.\d+)?\s?(?:ms|s|sec|seconds)\b")  # no two runs last alike


def digest_of(messages: Sequence[Message]) -> str | None:
    """A hash of what a turn says, the same where only empty lines, blanks at a line's end or the time that something took
    differ; None for a short turn.

    Of a turn with tool results it covers these alone: whatever the assistant said around them, it is the same output.
    """
    results = [m.text for m in messages if m.role == "tool"]
    said = "\n".join(results or [m.text for m in messages])
    if len(said) < REPEATABLE:
        return None
    folded = "\n".join(filter(None, map(str.rstrip, _LASTED.sub(r"\1", said).splitlines())))
    return f"{'tool' if results else messages[0].role}:{digest(folded)}"


def _tokens(message: Message, count: Counter) -> int:
    return count(message.text) + sum(max(count(c.name + a) for a in {c.arguments, spaced(c)}) for c in message.calls)


def spaced(call: ToolCall) -> str:
    """A call's arguments as clients write them on the wire, which may be longer than as they came."""
    try:
        return json.dumps(json.loads(call.arguments), ensure_ascii=False)
    except ValueError:
        return call.arguments


def _first_time(messages: Sequence[Message]) -> datetime | None:
    return next((m.created_at for m in messages if m.created_at), None)


def _head(payload: str) -> bytes:
    """The first bytes of what base64 says; none where it is no base64, which a file of anybody's may hold."""
    start = payload[:87_380]
    try:
        return base64.b64decode(start + "=" * (-len(start) % 4))
    except ValueError:
        return b""


def _attachments(messages: Sequence[Message]) -> list[dict[str, Any]] | None:
    """Kind and size in pixels of what is attached: all that counting needs. Bytes are never decoded, only headers read."""
    found = []
    for file in (a for m in messages for a in m.attachments):
        head = _head(file.payload or "")
        size = image_size(head) if file.kind == "image" and head else None
        found.append(
            {
                "kind": file.kind,
                "line": file.line,
                "size": list(size) if size else None,
                "bytes": len(file.payload or "") * 3 // 4,
            }
        )
    return found or None
