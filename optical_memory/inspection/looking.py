"""What the commands show, as plain values with stable keys: one source for the tables, --json and the report."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from optical_memory.errors import ConfigError, ThreadNotFoundError
from optical_memory.inspection.opening import NotFoundError
from optical_memory.messages import SOURCE
from optical_memory.planning.context import ranges
from optical_memory.planning.tiers import DRAWN

if TYPE_CHECKING:
    from optical_memory.memory import Change, Context, Hit, OpticalMemory, Page, Step
    from optical_memory.messages import Turn
    from optical_memory.planning.context import Segment
    from optical_memory.planning.spans import Known, Settings
    from optical_memory.storage import PageRow, Reader, Store, ThreadRow, TurnRow


def moment(at: datetime | None) -> str | None:
    """A time as ISO text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


# --------------------------------------------------------------------------------------------- threads, turns


AROUND = 40  # characters that are shown before and behind a place that matches
PORTION = 500  # turns that are read at once
SUMMED = 50_000  # turns whose tokens a list sums up; the database reads a gigabyte for a million
ORDERS: Mapping[str, tuple[str, bool]] = {
    "used": ("", False), "made": ("created_at", True), "name": ("thread", False), "turns": ("turns", True),
    "tokens": ("tokens", True),
}  # fmt: skip
"""By what threads are listed, and whether the largest comes first; "used" is the store's own order."""


class Stored(Protocol):
    """A memory, or its store alone: a list of threads needs no more, and loads three times as fast without the rest."""

    @property
    def store(self) -> Store:
        """Where the threads are."""
        ...


def threads(
    memory: Stored, match: str | None, limit: int | None, branches: bool, sort: str = "used", most: int = SUMMED
) -> list[dict[str, Any]]:
    """The threads, the one used last first or as `sort` says; with `branches` the abandoned ways of each too.

    The tokens of at most `most` turns are summed up, unless threads are sorted by them; those of the others are None.
    Raises ConfigError for an order that does not exist.
    """
    if sort not in ORDERS:
        raise ConfigError(f"--sort {sort!r} is no order: use {', '.join(ORDERS)}")
    by, largest = ORDERS[sort]
    with memory.store.read() as reader:
        rows = reader.threads(limit=None if by else limit, match=match)
        found = list(_threads(reader, rows, sys.maxsize if sort == "tokens" else most))
    if by:
        found = sorted(found, key=lambda item: item[by], reverse=largest)[:limit]
    for item in found if branches else ():
        item["branches"] = _branches(memory, str(item["thread"]))
    return found


def _threads(reader: Reader, rows: Sequence[ThreadRow], most: int) -> Iterator[dict[str, Any]]:
    """Threads as they are listed; `tokens` is None where too many turns would have to be summed up for it."""
    summed = 0
    for row in rows:
        summed += row.length
        yield {
            "thread": row.key,
            "turns": row.length,
            "tokens": reader.turn_stats(reader.path(row)).tokens if summed <= most else None,
            "branch_count": len(reader.branches(row.id)),
            "created_at": moment(row.created_at),
            "touched_at": moment(row.touched_at),
        }


def _branches(memory: Stored, thread: str) -> list[dict[str, Any]]:
    with memory.store.read() as reader:
        row = reader.thread(thread)
        rows = reader.branches(row.id) if row else []
    return [
        {
            "branch": b.id,
            "parent": b.parent_id,
            "departs_after_turn": b.after,
            "last_turn": b.last,
            "head": row is not None and b.id == row.branch_id,
            "created_at": moment(b.created_at),
        }
        for b in rows
    ]


def length(memory: OpticalMemory, thread: str, branch: int | None = None) -> int:
    """How many turns the thread has, or one of its branches; 0 where there is no such thread."""
    with memory.store.read() as reader:
        row = reader.thread(thread)
        if row is None or branch is None:
            return row.length if row else 0
        return max((part.last for part in reader.path(row, branch_id=branch)), default=0)


def turns(memory: OpticalMemory, thread: str, first: int, last: int | None) -> list[dict[str, Any]]:
    """The turns `first`..`last`, oldest first, and how each is shown now."""
    return [_turn(t, t.tier, t.tokens) for t in memory.turns(thread, first=first, last=last)]


def each_turn(memory: OpticalMemory, thread: str, first: int, last: int) -> Iterator[dict[str, Any]]:
    """The same one by one, read in portions, so that a long thread need not be held in memory."""
    for start in range(first, last + 1, PORTION):
        yield from turns(memory, thread, start, min(last, start + PORTION - 1))


def branch(memory: OpticalMemory, thread: str, number: int, first: int, last: int | None) -> list[dict[str, Any]]:
    """The turns `first`..`last` on the way to the end of a branch; of one that was abandoned no tier, for it is not sent.

    Raises ThreadNotFoundError, and StoreError for a branch that is not of this thread.
    """
    with memory.store.read() as reader:
        row = reader.thread(thread)
        if row is None:
            raise ThreadNotFoundError(thread)
        if number == row.branch_id:
            return turns(memory, thread, first, last)
        rows = reader.turns(reader.path(row, branch_id=number), first, last)
    settings = memory.settings()
    return [_turn(t, None, settings.turn(t)) for t in rows]


def _turn(turn: Turn | TurnRow, tier: str | None, tokens: int) -> dict[str, Any]:
    return {
        "turn": turn.number,
        "role": turn.role,
        "name": turn.name,
        "tier": tier,
        "tokens": tokens,
        "pinned": turn.pinned,
        "purged": turn.purged,
        "created_at": moment(turn.created_at),
        "text": turn.text,
    }


def doomed(memory: OpticalMemory, thread: str, turns: Iterable[int] | None, before: datetime | None) -> list[int]:
    """Of these turns, or of all where none are named, those from before a time that are not forgotten yet: their numbers."""
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        wanted = set(turns if turns is not None else range(1, (row.length if row else 0) + 1))
        if before is not None:
            wanted &= set(reader.before(path, before))
        rows = [t for first, last in ranges(sorted(wanted)) for t in reader.turns(path, first, last)]
    return [t.number for t in rows if t.role != "forgotten"]


def matching(memory: OpticalMemory, thread: str, text: str) -> dict[int, str]:
    """The turns whose text holds `text`, in capitals or not: their numbers, and for each the place where it stands."""
    found: dict[int, str] = {}
    wanted = re.compile(re.escape(text), re.IGNORECASE)
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        for start in range(1, (row.length if row else 0) + 1, PORTION):
            for turn in reader.turns(path, start, start + PORTION - 1):
                if place := wanted.search(turn.text):
                    found[turn.number] = turn.text[max(0, place.start() - AROUND) : place.end() + AROUND]
    return found


def words_of(memory: OpticalMemory, thread: str, turns: Iterable[int]) -> int:
    """How many words these turns hold."""
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        return sum(len(t.text.split()) for first, last in ranges(turns) for t in reader.turns(path, first, last))


WIDER = 10  # times as many hits are looked through where only readable ones count


def hits(memory: OpticalMemory, query: str, thread: str, limit: int, readable: bool = False) -> list[dict[str, Any]]:
    """The turns of a thread that match best, and how each is shown now by the plan of the memory's own settings.

    With `readable` only what the memory's model can read of the next call: text, pages of a size that it reads, and cards
    that still hold a word that was asked for. Raises ThreadNotFoundError.
    """
    out: list[dict[str, Any]] = []
    for hit in memory.search(thread, query, limit=limit * WIDER if readable else limit):
        if len(out) == limit:
            break
        (turn,) = memory.turns(thread, first=hit.turn, last=hit.turn)
        if not readable or _readable(memory, thread, turn, query):
            out.append(_hit(thread, hit, turn.tier))
    return out


def found_in(memory: Stored, query: str, limit: int) -> list[str]:
    """The threads that hold the `limit` best hits, those with the best first."""
    with memory.store.read() as reader:
        rows = reader.threads()
        found = [(hit.score, row.key) for row in rows for hit in reader.search(reader.path(row), query, limit=limit)]
    found.sort(key=lambda hit: (-hit[0], hit[1]))
    return list(dict.fromkeys(name for _, name in found[:limit]))


def best(rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The best of hits from several threads."""
    return sorted(rows, key=lambda r: (-r["score"], r["thread"], r["turn"]))[:limit]


def _readable(memory: OpticalMemory, thread: str, turn: Turn, query: str) -> bool:
    """Can the model read what was asked for without a recall?"""
    if turn.tier in DRAWN:
        return memory.profile.readable(turn.tier)
    if turn.tier == "card":
        words = {w.strip('"*').lower() for w in query.split()}
        return any(w and w in _card(memory, thread, turn.number).lower() for w in words)
    return turn.tier != "handle"


def _card(memory: OpticalMemory, thread: str, number: int) -> str:
    """The words of the card that stands for a turn."""
    from optical_memory.memory.state import held

    with memory.store.read() as reader:
        row = reader.thread(thread)
        found = held(reader, reader.path(row), number, memory.settings()) if row else None
    return (found[0].card or "") if found else ""


def _hit(thread: str, hit: Hit, tier: str) -> dict[str, Any]:
    return {
        "thread": thread,
        "turn": hit.turn,
        "role": hit.role,
        "tier": tier,
        "score": round(hit.score, 3),
        "created_at": moment(hit.created_at),
        "text": hit.text,
    }


# --------------------------------------------------------------------------------------------- context


@dataclass(frozen=True, slots=True)
class Part:
    """One segment of a context, with what stands in it; images are PNG bytes."""

    segment: Segment
    images: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> str:
        """The segment's tier, or `preamble`, `facts`, `recalled`, `current`."""
        return self.segment.kind


def parts(context: Context, cost: Any) -> list[Part]:
    """The segments of a context and the images of each; `cost` gives the tokens of an image of (width, height)."""
    images = ours(context)
    return [Part(s, tuple(_taken(images, s, cost)) if s.look else ()) for s in context.segments]


def ours(context: Context) -> Iterator[bytes]:
    """The images that the memory put into a context, in order."""
    for message in context.messages:
        if message.additional_kwargs.get("lc_source") == SOURCE and isinstance(message.content, list):
            for block in message.content:
                if isinstance(block, Mapping) and block.get("type") == "image" and "base64" in block:
                    yield base64.b64decode(block["base64"])


def _taken(images: Iterator[bytes], segment: Segment, cost: Any) -> Iterator[bytes]:
    """The next images, until they account for the segment's tokens."""
    spent = 0
    while spent < segment.tokens:
        png = next(images, None)
        if png is None:
            return
        spent += cost(*pixels(png))
        yield png


def pixels(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def context_report(context: Context, plain: int) -> dict[str, Any]:
    """How a context is made up; `plain` are the tokens of the same conversation as text."""
    return {
        "thread": context.thread,
        "model": context.model,
        "budget": context.budget,
        "reserved": context.reserved,
        "tokens": context.tokens,
        "free": context.budget - context.reserved - context.tokens,
        "text_tokens": plain,
        "segments": [_segment(s) for s in context.segments],
        "left_out": [list(r) for r in context.left_out],
        "reason": context.reason or None,
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {"kind": segment.kind, "turns": list(segment.turns) if segment.turns else None, "tokens": segment.tokens}


EXACT_UP_TO = 10_000  # turns; above that the sums in the database stand for a count of every turn


def plain_tokens(memory: OpticalMemory, thread: str, model: str | None = None) -> int:
    """Tokens of the whole thread as plain text, by the rules of `model` or of the memory's own."""
    settings = memory.settings(model)
    profile = settings.profile
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        if row is not None and row.length <= EXACT_UP_TO:
            return sum(settings.turn(turn) for turn in reader.turns(path))
        sums = reader.turn_stats(path)
    around = sums.messages * profile.message_overhead + sums.calls * profile.call_overhead
    return math.ceil(sums.tokens * profile.text_factor) + around


# --------------------------------------------------------------------------------------------- pages, steps


def drawn(tier: str | None) -> None:
    """Raises ConfigError for a tier that is no picture; None stands for the one at which something is shown now."""
    if tier not in (None, *DRAWN):
        raise ConfigError(f"tier {tier!r} is not drawn: use {', '.join(DRAWN)}")


def page(memory: OpticalMemory, thread: str, number: int, tier: str | None) -> list[Page]:
    """The images of one page, at the tier at which it is shown now or at another; raises NotFoundError.

    Only this page is drawn, however many there are.
    """
    found = page_of(memory, thread, _first_turn(memory, thread, number), tier)
    if found:
        return found
    raise NotFoundError(_why_no_page(memory, thread, number, tier))


def page_of(memory: OpticalMemory, thread: str, turn: int, tier: str | None = None) -> list[Page]:
    """The images of the page that holds a turn, as `page`; none where the turn is not sealed or not drawn at that tier."""
    import optical_memory.memory.pictures as pictures
    from optical_memory.memory.state import held

    settings = memory.settings()
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        found = held(reader, path, turn, settings) if turn else None
        look = found[1].looks.get(tier or found[1].tier) if found else None  # type: ignore[call-overload]
        if found is None or look is None:
            return []
        sealed, span = found
        images = pictures.of_page(reader, path, sealed.id, span, look)
    shown = tier or span.tier
    return [_page(span, sealed.number, shown, part, png, settings) for part, png in enumerate(images)]


def _why_no_page(memory: OpticalMemory, thread: str, number: int, tier: str | None) -> str:
    first = _first_turn(memory, thread, number)
    drawn = [t for t in DRAWN if first and page_of(memory, thread, first, t)]
    if drawn and tier is None:
        return f"page {number} of thread {thread!r} is not shown as an image now: to draw it, {_tiers(drawn)}"
    if drawn:
        return f"page {number} of thread {thread!r} has no look {tier!r} with this model: {_tiers(drawn)}"
    if first:
        return f"page {number} of thread {thread!r} is not drawn for this model: its turns are text, or one recall away"
    numbers = _numbers(memory, thread)
    there = f"its pages are {numbers[0]} to {numbers[-1]}" if numbers else "it has no pages yet"
    return f"thread {thread!r} has no page {number}: {there}"


def _numbers(memory: OpticalMemory, thread: str) -> list[int]:
    """The numbers of a thread's pages."""
    return sorted(page.number for page in _sealed(memory, thread))


def _sealed(memory: OpticalMemory, thread: str) -> list[PageRow]:
    """The pages of a thread, but for those in whose place newer ones were drawn."""
    from optical_memory.memory.state import sealed

    with memory.store.read() as reader:
        row = reader.thread(thread)
        return [page for page, _ in sealed(reader, reader.path(row), memory.settings())] if row else []


def _tiers(drawn: Sequence[str]) -> str:
    return f"pass --tier {' or '.join(drawn)}"


def later(
    memory: OpticalMemory, thread: str, number: int, turns: int, now: datetime
) -> tuple[dict[str, Any], list[Page]]:
    """What a page will be when so many more turns have come, in words and as images. Raises NotFoundError.

    By its schedule and the model's reading: the budget may lower it sooner.
    """
    import optical_memory.inspection.ageing as ageing

    span = ageing.held(memory, thread, _first_turn(memory, thread, number), now)
    if span is None or span.page != number:
        raise NotFoundError(_why_no_page(memory, thread, number, None))
    settings = memory.settings()
    tier, why = ageing.tier_in(span, turns, settings)
    images = ageing.images(memory, thread, span, tier) if tier in DRAWN else ()
    return ageing.report(span, settings, tier, turns, why), [
        _page(span.known, number, tier, part, png, settings) for part, png in enumerate(images)
    ]


def _page(known: Known, number: int, tier: str, part: int, png: bytes, settings: Settings) -> Page:
    from optical_memory.memory import Page

    width, height = pixels(png)
    cost, digest = settings.profile.image(width, height), hashlib.sha256(png).hexdigest()
    return Page(number, (known.first, known.last), tier, width, height, cost, digest, png, part, known.purged)


def _first_turn(memory: OpticalMemory, thread: str, number: int) -> int:
    """The first turn of a page; 0 where there is no such page."""
    return next((p.first for p in _sealed(memory, thread) if p.number == number), 0)


def page_report(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """What is to be said about the images of a page."""
    return [
        {
            "page": p.number,
            "part": p.part,
            "turns": list(p.turns),
            "tier": p.tier,
            "width": p.width,
            "height": p.height,
            "tokens": p.tokens,
            "bytes": len(p.png),
            "sha256": p.sha256,
        }
        for p in pages
    ]


def steps(memory: OpticalMemory, thread: str) -> list[dict[str, Any]]:
    """The log of steps, oldest first, numbered from 1. Raises ThreadNotFoundError."""
    return [{"step": number} | step(done) for number, done in enumerate(memory.steps(thread), 1)]


def ledger(memory: OpticalMemory, thread: str) -> dict[str, Any]:
    """What the thread's calls cost and what other ways would have cost (USD, tokens), priced by the memory's own model.

    Raises ThreadNotFoundError.
    """
    found = memory.ledger(thread)
    return {"thread": thread} | found.to_json() | {"rows": found.rows()}


def called(memory: OpticalMemory) -> list[str]:
    """The threads of which calls are noted, the one used last first."""
    with memory.store.read() as reader:
        return [row.key for row in reader.threads() if reader.usage(row.id)]


def step(done: Step) -> dict[str, Any]:
    """A step, taken or to come."""
    return {
        "reason": done.reason,
        "explanation": done.explanation,
        "tokens_before": done.tokens_before,
        "tokens_after": done.tokens_after,
        "at_turn": done.at or None,
        "created_at": moment(done.created_at),
        "undone": done.undone,
        "purged": done.purged,
        "changes": [_change(c) for c in done.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "turns": list(change.turns),
        "before": change.before,
        "after": change.after,
        "tokens_before": change.tokens_before,
        "tokens_after": change.tokens_after,
        "readable_before": change.readable_before,
        "readable_after": change.readable_after,
    }
