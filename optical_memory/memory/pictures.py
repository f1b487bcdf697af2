"""Drawn spans: taken from the store where they are, drawn where they are not; made smaller where their text is gone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optical_memory.errors import RenderError
from optical_memory.pages import TurnText, layout, render_page
from optical_memory.planning.context import Segment
from optical_memory.planning.spans import Known, Look, StoredTurn, turn_to_draw
from optical_memory.storage import Path, Reader

Key = tuple[int, str, int, tuple[int, int] | None, str | None]  # thread, kind and id of the owner, turns, look
PNGs = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Picture(Look):
    """A look of a page whose text is gone: a stored image, or one that is made of it (`origin` is then that one's name)."""

    stored: str = ""
    origin: str = ""

    @property
    def name(self) -> str:
        """The name under which it was stored, whatever the renderer is now."""
        return self.stored


def faded(images: Mapping[str, PNGs], look: Picture) -> PNGs:
    """A look of a page whose text is gone, from the stored images of the page by their names.

    Always in one step from what was drawn of the text: repeated steps lose up to ten points of the characters more.
    """
    if look.name in images:
        return images[look.name]
    return tuple(_smaller(png, size) for png, size in zip(images[look.origin], look.sizes, strict=True))


def _smaller(png: bytes, size: tuple[int, int]) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        reduced = image.convert("L").resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    reduced.save(out, "PNG", optimize=False, compress_level=6)
    return out.getvalue()


def left_of(reader: Reader, page: int, look: Picture) -> PNGs:
    """The images of a page whose text is gone. Raises RenderError where the one that they are made of is missing too."""
    names = {look.name, look.origin or look.name}
    have = {name: found for name in names if (found := stored_one(reader, page, name))}
    if not have:
        raise RenderError(
            f"the picture {look.origin or look.name!r} is missing, and it was all that was left of its turns"
        )
    return faded(have, look)


def of_page(reader: Reader, path: Path, page: int, span: Known, look: Look) -> PNGs:
    """The images of a sealed page at a look: stored, or drawn now."""
    if isinstance(look, Picture):
        return left_of(reader, page, look)
    return stored_one(reader, page, look.name) or draw(texts(reader.turns(path, span.first, span.last), span), look)


def draw(turns: Sequence[TurnText], look: Look, check: bool = True) -> PNGs:
    """The images of a span's turns at this look. Raises RenderError if they are not of the sizes that were promised."""
    pages = layout(look.drawn(turns), look.style, look.sheet)
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
        if segment.page is not None and segment.look:
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
