"""Turns that match a query, or that were asked for by their numbers."""

from __future__ import annotations

import re

from optical_memory.memory.meaning import Meaning
from optical_memory.memory.reading import texts
from optical_memory.memory.values import Hit
from optical_memory.planning.spans import Settings
from optical_memory.storage import Path, Reader


def turn_range(query: str) -> tuple[int, int] | None:
    """A turn number or range, such as "12" or "12-15" or "turns 12 to 15"; None for any other query."""
    found = re.fullmatch(r"\s*(?:turns?\s*)?#?(\d{1,9})(?:\s*(?:-|\u2013|to|:)\s*(\d{1,9}))?\s*", query)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def hits(reader: Reader, path: Path, settings: Settings, meaning: Meaning, query: str, limit: int) -> list[Hit]:
    """The turns of a range, or the best matches of a query. A number that no turn has is looked for in the text."""
    wanted = turn_range(query)
    rows = reader.turns(path, *wanted, limit=limit) if wanted else []
    if rows:
        said = texts(reader, path, settings, rows)
        return [Hit(t.number, said[t.number], 1.0, t.role, t.created_at, purged=t.purged) for t in rows]
    found = meaning.search(reader, path, f'"{query.strip()}"' if wanted else query, limit)
    turns = {f.number: reader.turns(path, f.number, f.number)[0] for f in found}
    return [
        Hit(f.number, turns[f.number].text, f.score, turns[f.number].role, turns[f.number].created_at) for f in found
    ]
