"""Marks on turns: pins, and which turns a `forget` means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from optical_memory.errors import StoreError
from optical_memory.planning.context import ranges
from optical_memory.storage import Path, Reader, ThreadRow, Writer, end


def pin(writer: Writer, row: ThreadRow, path: Path, turns: int | Iterable[int], pinned: bool) -> int:
    """Pin these turns, or let them go; how many there are. Raises StoreError for a turn that is not there or has no text."""
    numbers = sorted({turns} if isinstance(turns, int) else set(turns))
    rows = [t for first, last in ranges(numbers) for t in writer.turns(path, first, last)]
    missing = set(numbers) - {t.number for t in rows}
    if missing:
        raise StoreError(f"thread {row.key!r} has no turn {min(missing)}: it ends at turn {end(path)}")
    bare = [t.number for t in rows if t.purged]
    if bare and pinned:
        raise StoreError(f"turn {bare[0]} of thread {row.key!r} cannot be kept as text: only its picture is left")
    writer.pin([t.id for t in rows], pinned)
    return len(rows)


def chosen(reader: Reader, path: Path, turns: Iterable[int] | None, before: datetime | None) -> set[int] | None:
    """The numbers of the turns that are to be forgotten; None for the whole thread."""
    if turns is None and before is None:
        return None
    return set(turns or ()) | set(reader.before(path, before) if before is not None else ())
