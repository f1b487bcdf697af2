"""Drawn spans: taken from the store where they are, drawn where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optical_memory.errors import RenderError
from optical_memory.pages import TurnText, layout, render_page
from optical_memory.planning.context import Segment
from optical_memory.planning.spans import Known, Look, StoredTurn, turn_to_draw
from optical_memory.planning.tiers import DRAWN
from optical_memory.storage import Path, Reader

Key = tuple[int, int, int, str]  # branch, first turn, last turn, look
PNGs = tuple[bytes, ...]


def draw(turns: Sequence[TurnText], look: Look, check: bool = True) -> PNGs:
    """The images of these turns at this look. Raises RenderError if they are not of the sizes that were promised."""
    pages = layout(turns, look.style, look.sheet)
    sizes = tuple((page.width, page.height) for page in pages)
    if check and sizes != look.sizes:
        raise RenderError(
            f"turns {turns[0].number}-{turns[-1].number} were measured as {look.sizes} and drawn as {sizes}; plan again"
        )
    return tuple(render_page(page) for page in pages)


def stored(reader: Reader, segments: Iterable[Segment]) -> dict[tuple[int, str], PNGs]:
    """The images that the store has for these segments, by page and look; each was checked against its SHA-256."""
    by_look: dict[str, list[int]] = {}
    for segment in segments:
        if segment.kind in DRAWN and segment.page is not None and segment.look:
            by_look.setdefault(segment.look, []).append(segment.page)
    views = {(page, look): v for look, pages in by_look.items() for page, v in reader.views(pages, look).items()}
    images = reader.png([v.id for many in views.values() for v in many])
    return {key: tuple(images[v.id] for v in many) for key, many in views.items() if all(v.id in images for v in many)}


def stored_one(reader: Reader, page: int, look: str) -> PNGs | None:
    """The images that the store has of a page at a look."""
    return stored(reader, [Segment("vivid", None, 0, page, look=look)]).get((page, look))


def texts(rows: Iterable[StoredTurn], known: Known) -> list[TurnText]:
    """What is drawn of a span."""
    return [turn_to_draw(row) for row in rows if known.first <= row.number <= known.last]


def rows_of(reader: Reader, path: Path, known: Known, fresh: Sequence[StoredTurn]) -> Sequence[StoredTurn]:
    """The stored turns of a span."""
    if fresh and known.first >= fresh[0].number:
        return [row for row in fresh if known.first <= row.number <= known.last]
    return reader.turns(path, known.first, known.last)
