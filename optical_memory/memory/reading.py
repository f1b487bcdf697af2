"""What is stored, as the values that the memory hands back: turns, pages, threads, sums. Nothing here is written."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

import optical_memory.memory.pictures as pictures
import optical_memory.memory.retain as retain
from optical_memory.errors import ThreadNotFoundError
from optical_memory.memory.pictures import PNGs
from optical_memory.memory.state import plan_key, sealed
from optical_memory.memory.values import Page, ThreadInfo
from optical_memory.messages import Turn, as_given, from_stored
from optical_memory.planning.context import Plan
from optical_memory.planning.spans import Settings
from optical_memory.planning.tiers import Tier
from optical_memory.storage import PageRow, Path, Reader, Store, ThreadRow, TurnRow

ShownAt = Callable[[int], str]  # from a turn's number to its tier


def place(reader: Reader, thread: str, upto: int | None = None) -> tuple[ThreadRow, Path]:
    """A thread by its name, and the path to its head, or to turn `upto` of it. Raises ThreadNotFoundError."""
    row = reader.thread(thread)
    if row is None:
        raise ThreadNotFoundError(thread, tuple(t.key for t in reader.threads(limit=3, match=thread[:3])))
    return row, reader.path(row, upto=upto or None)


def sealed_turns(store: Store, path: Path) -> Callable[[int, int], Sequence[TurnRow]]:
    """From the first and last number to the turns themselves, read when they are asked for."""

    def read(first: int, last: int) -> Sequence[TurnRow]:
        with store.read() as reader:
            return reader.turns(path, first, last)

    return read


def info(reader: Reader, row: ThreadRow) -> ThreadInfo:
    """A thread as it stands in a list."""
    tokens, branches = reader.turn_stats(reader.path(row)).tokens, len(reader.branches(row.id))
    return ThreadInfo(row.key, row.length, tokens, row.created_at, row.touched_at, branches)


def shown_at(reader: Reader, path: Path, settings: Settings) -> ShownAt:
    """From a turn's number to the tier at which the plan in force shows it."""
    row = reader.plan(path, plan_key(settings))
    plan = Plan.from_json(row.body) if row else Plan()
    spans = sorted((turns, s.kind) for s in plan.segments for turns in s.shown)
    starts = [first for (first, _), _ in spans]

    def tier(number: int) -> str:
        at = bisect_right(starts, number) - 1
        if number > plan.through:
            return "text"
        return spans[at][1] if at >= 0 and spans[at][0][1] >= number else "handle"

    return tier


def tiers(reader: Reader, path: Path, settings: Settings, length: int) -> dict[str, int]:
    """How many of a thread's turns are shown at each tier."""
    return dict(Counter(map(shown_at(reader, path, settings), range(1, length + 1))))


def turns(reader: Reader, path: Path, settings: Settings, first: int, last: int | None) -> list[Turn]:
    """Turns as they were given, and how each is shown now."""
    rows = reader.turns(path, first, last)
    messages = reader.messages([t.id for t in rows])
    shown, said = shown_at(reader, path, settings), texts(reader, path, settings, rows)
    return [
        Turn(
            t.number, t.role, tuple(as_given(from_stored(m.form, m.data)) for m in messages[t.id]), said[t.number],
            shown(t.number), settings.turn(t), t.created_at, t.pinned, t.name, t.purged,
        )
        for t in rows
    ]  # fmt: skip


def texts(reader: Reader, path: Path, settings: Settings, rows: Sequence[TurnRow]) -> dict[int, str]:
    """The text of each turn by its number; where only a picture is left, a sentence that says where it is."""
    found = {t.number: t.text for t in rows}
    bare = [t for t in rows if t.purged]
    if bare:
        shown = shown_at(reader, path, settings)
        for t in bare:
            kept = next((page for page in reader.pages_at(path, t.number) if page.purged), None)
            found[t.number] = retain.told(t, kept, shown(t.number))
    return found


def pages(reader: Reader, path: Path, settings: Settings, tier: Tier | None) -> list[Page]:
    """The images of the sealed pages, at the tier at which each is shown now or at `tier`; those without one are left out."""
    looks = [(page, span, tier or span.tier) for page, span in sealed(reader, path, settings)]
    return [
        one
        for page, span, at in looks
        if (look := span.looks.get(at)) is not None
        for one in _parts(page, at, look.sizes, pictures.of_page(reader, path, page.id, span, look), settings)
    ]


def _parts(
    page: PageRow, tier: str, sizes: Sequence[tuple[int, int]], images: PNGs, settings: Settings
) -> list[Page]:  # fmt: skip
    turns = (page.first, page.last)
    return [
        Page(
            page.number, turns, tier, w, h, settings.profile.image(w, h), hashlib.sha256(png).hexdigest(), png, part,
            page.purged,
        )
        for part, ((w, h), png) in enumerate(zip(sizes, images, strict=True))
    ]  # fmt: skip
