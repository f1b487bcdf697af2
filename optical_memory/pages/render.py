"""A laid-out page to PNG bytes: gathers of glyph columns, 8-bit grey, the same bytes in any process.

Each line of text is a row of 64-bit words, one word per pixel column and eight pixel rows. Drawing a glyph adds
its columns to the words; the k-th columns of all glyphs are added at once.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.fonts import Run, fonts, picture
from optical_memory.pages.glyphs import ATLAS, LEVELS, PHASES, Shades, as_words, shaded, shades
from optical_memory.pages.layout import TOP, Layout, with_labels
from optical_memory.pages.sheets import Style

RENDERER = f"9-{ATLAS}-zlib{zlib.ZLIB_RUNTIME_VERSION}"  # deflate's output differs between releases of zlib

RULE_GREY = 210  # of 255: seen as an edge, too pale to be read as a letter
COMPRESSION = 3  # of 9, on a page of 8 pixel text: 1 is 3 ms faster and 11 % larger, 6 is 18 ms slower and 11 % smaller


def renderer(style: Style) -> str:
    """What decides the bytes of a page besides its layout: `RENDERER`, and where fonts may draw on it, they and the
    libraries that shape and draw (FreeType, Raqm, HarfBuzz). Plain pages stay the same whatever Pillow there is."""
    return f"{RENDERER}-{fonts().version}" if style.scripts else RENDERER


def renderers() -> str:
    """All that `renderer` may say in this process, found without reading the fonts: where it changes, a page may be laid
    out in another way than before, and what was measured is measured anew."""
    return RENDERER + fonts().state


def render_page(page: Layout, *, bits: Literal[8, 4] = 8) -> bytes:
    """The page as a grey PNG, dark on light. Deterministic for one `RENDERER`.

    Eight bits a pixel are what every provider is known to take. Four make a page a fifth smaller in the same time, with
    sixteen shades; nobody has measured yet what models make of it, so no plan asks for them.
    """
    return png(pixels(page), bits)


def pixels(page: Layout) -> NDArray[np.uint8]:
    """The page as height x width grey values, 255 is paper."""
    size, pitch, width = page.style.cell, page.style.pitch, page.width
    rows = int(page.line.max(initial=0)) + 1
    words = _inked(page, shades(page.style.face, size), rows * width)
    image = np.full((page.height, width), 255, np.uint8)
    for row in range(size):
        ink = words[row // 8].view(np.uint8).reshape(rows, width, 8)[:, :, row % 8]
        image[TOP + row : TOP + row + (rows - 1) * pitch + 1 : pitch] -= 3 * np.minimum(ink, LEVELS)
    image[:, page.left - 2] = RULE_GREY
    return image


def _inked(page: Layout, atlas: Shades, columns: int) -> list[NDArray[np.uint64]]:
    """Ink of the pixel columns of all lines, one array per eight pixel rows, little-endian in memory."""
    glyphs, x, line = with_labels(page)
    starts, counts, sources = _columns(page, atlas, glyphs, x & (PHASES - 1))
    order = np.argsort(counts, kind="stable")[::-1]  # widest first: the k-th columns are of the first n glyphs
    target = (line.astype(np.int64) * page.width + (x >> 2))[order]
    start = starts[order]
    ink: list[NDArray[np.uint64]] = [np.zeros(columns, "<u8") for _ in range(atlas.words)]
    for k, reach in enumerate(len(glyphs) - np.cumsum(np.bincount(counts))[:-1]):
        here, there = target[:reach] + k, start[:reach] + k
        for word, column in zip(ink, sources, strict=True):
            word[here] += column[there]  # no two glyphs of a line begin in the same pixel column
    return ink


def _columns(
    page: Layout, atlas: Shades, glyphs: NDArray[np.int32], phase: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint64]]:
    """Where each glyph's columns start, how many there are, and the columns: the atlas's, then those of runs."""
    runs = glyphs - 2 * atlas.face.count if page.runs else None
    plain = glyphs if runs is None else np.where(runs < 0, glyphs, 0)
    atlas.need(plain)
    key = plain * PHASES + phase
    starts, counts, columns = atlas.start[key], atlas.count[key], atlas.columns
    if runs is None:
        return starts, counts, columns
    there = runs >= 0
    used, index = np.unique(runs[there] * PHASES + phase[there], return_inverse=True)
    pieces = [run_columns(page.runs[n // PHASES], page.style.cell, n % PHASES) for n in used.tolist()]
    widths = np.array([piece.shape[1] for piece in pieces], np.int64)
    starts[there] = (columns.shape[1] + np.cumsum(widths) - widths)[index]
    counts[there] = widths[index]
    return starts, counts, np.concatenate([columns, *pieces], axis=1)


@lru_cache(maxsize=16384)
def run_columns(run: Run, size: int, phase: int) -> NDArray[np.uint64]:
    """The columns of what fonts draw, kept as long as they are in use: Arabic words have no end."""
    master = picture(run)
    return as_words(shaded(master.ink(), master.left, master.top, size, phase), -(-size // 8))


def png(image: NDArray[np.uint8], bits: Literal[8, 4] = 8) -> bytes:
    """A grey PNG of height x width values; unfiltered, since small type does not profit from filters."""
    height, width = image.shape
    packed = image if bits == 8 else _halved(image)
    lines = np.zeros((height, packed.shape[1] + 1), np.uint8)
    lines[:, 1:] = packed
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = zlib.compress(lines.tobytes(), COMPRESSION)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two pixels a byte, each the nearest of sixteen shades, the left one in the upper half."""
    shades16 = np.pad((image.astype(np.uint16) + 8) // 17, ((0, 0), (0, image.shape[1] % 2))).astype(np.uint8)
    return np.asarray(shades16[:, ::2] * 16 + shades16[:, 1::2], np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
