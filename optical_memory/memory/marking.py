"""Marks on turns: pins and weights, and which turns a `forget` means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import optical_memory.memory.arguments as arguments
from optical_memory.errors import StoreError
from optical_memory.memory.arguments import numbers
from optical_memory.planning.context import ranges
from optical_memory.storage import Path, Reader, ThreadRow, TurnRow, Writer, end


def pin(writer: Writer, row: ThreadRow, path: Path, turns: int | Iterable[int], pinned: bool) -> int:
    """Pin these turns, or let them go; how many there are. Raises StoreError for a turn that is not there or has no text."""
    rows = _turns(writer, row, path, turns)
    bare = [t.number for t in rows if t.purged]
    if bare and pinned:
        raise StoreError(f"turn {bare[0]} of thread {row.key!r} cannot be kept as text: only its picture is left")
    writer.pin([t.id for t in rows], pinned)
    return len(rows)


def weigh(writer: Writer, row: ThreadRow, path: Path, turns: int | Iterable[int], weight: float | None) -> int:
    """Set the host's own weight of these turns; how many there are. Raises StoreError for a turn that is not there."""
    arguments.weight(weight)
    rows = _turns(writer, row, path, turns)
    writer.weigh([t.id for t in rows], weight)
    return len(rows)


def _turns(reader: Reader, row: ThreadRow, path: Path, turns: int | Iterable[int]) -> list[TurnRow]:
    named = numbers(turns)
    rows = [t for first, last in ranges(sorted(named)) for t in reader.turns(path, first, last)]
    missing = named - {t.number for t in rows}
    if missing:
        raise StoreError(f"thread {row.key!r} has no turn {min(missing)}: it ends at turn {end(path)}")
    return rows


def chosen(reader: Reader, path: Path, turns: int | Iterable[int] | None, before: datetime | None) -> set[int] | None:
    """The numbers of the turns that are to be forgotten, those that are in both where both are given; None for all."""
    if before is None:
        return None if turns is None else numbers(turns)
    arguments.moment(before)
    early = set(reader.before(path, before))
    return early if turns is None else early & numbers(turns)
