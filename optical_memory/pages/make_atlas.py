"""Makes the shipped atlas from outlines: `python -m optical_memory.pages.make_atlas REGULAR.ttf BOLD.ttf`.

Only this script, and `fonts.py` for what the atlas has not, need Pillow and FreeType. It writes one master per weight into
`data/`: every character once, as a 1-bit picture 160 rows high. All sizes and sub-pixel phases are derived from the
masters by integer arithmetic (`glyphs.py`), so the bytes of a page do not depend on the FreeType of the machine that
draws it.

The cell reaches from the ascender to the underscore. Whatever is higher (accents on capitals) or lower is
squeezed into it with the baseline kept; ink that overhangs its advance is moved inside, so that neighbours
never overlap. A capital I, which in the font is a bare stem as a small l is, gets serifs; and there is a second zero,
narrower than the first, for codes in which it stands beside capital letters.
"""

from __future__ import annotations

import argparse
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from optical_memory.pages.glyphs import CELL, DATA, MAGIC, ZERO

CORE = "bdfhklpqgyjA0_"  # what fills the cell exactly, top to bottom
BARE = "I\u0399\u0406\u2160"  # capitals that are no more than a stem, as a small l is: with or without an accent they get serifs
SERIF, SERIF_WIDTH, BESIDE = CELL // 10, CELL * 3 // 8, CELL // 24  # rows, columns, and columns of paper on each side
SLIM = 0.78  # of its width that a zero is wide beside capitals
LEAST = CELL // 4  # the least advance: two inked glyphs must not begin in the same pixel column at 5 pixels
BAR = slice(
    CELL * 7 // 8, CELL * 31 // 32
)  # an underscore's rows: nearly a pixel thick at 8 pixels, clear of the next line

RANGES = (
    (0x20, 0x7E), (0xA1, 0xAC), (0xAE, 0x377), (0x37A, 0x52F),  # Latin, IPA, accents, Greek, Cyrillic
    (0x531, 0x58A), (0x10A0, 0x10FF), (0x1E00, 0x1FFE),  # Armenian, Georgian, more Latin and Greek
    (0x2010, 0x2027), (0x2030, 0x205E), (0x2070, 0x209C), (0x20A0, 0x20C0),  # punctuation, raised, currency
    (0x2100, 0x23FF), (0x2400, 0x2426), (0x2460, 0x24FF),  # letterlike, arrows, maths, technical, enclosed
    (0x2500, 0x27BF), (0x27C0, 0x2BFF),  # boxes, blocks, shapes, symbols, dingbats, Braille, more arrows and maths
    (0x2C60, 0x2C7F), (0xA720, 0xA78C), (0xFB00, 0xFB06), (0xFFFD, 0xFFFD),
)  # fmt: skip
BOLD = (*RANGES[:9], (0x20A0, 0x20C0), (0x2190, 0x21FF))  # what words are made of

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Master:
    """One drawn character: bits of its ink, where they start in the cell, and the advance, in master pixels."""

    code: int
    advance: int
    left: int
    top: int
    bits: NDArray[np.bool_]


class Pen:
    """Draws single characters of one font so that `CORE` fills `CELL` rows."""

    def __init__(self, path: Path) -> None:
        reference = ImageFont.truetype(str(path), 1000, layout_engine=ImageFont.Layout.BASIC)
        _, top, _, bottom = reference.getbbox(CORE, anchor="ls")
        self.em = CELL * 1000 / (bottom - top)
        self.rise = round(-top * self.em / 1000)  # rows above the baseline
        self.font = ImageFont.truetype(str(path), self.em, layout_engine=ImageFont.Layout.BASIC)
        self.capital = -round(self.font.getbbox("H", anchor="ls")[1])  # rows that a capital is high
        self.none = self.ink("\U0010ffff")

    def ink(self, char: str) -> NDArray[np.bool_]:
        """A picture of `char`, origin at (CELL, 2 CELL), four cells wide and high."""
        image = Image.new("L", (4 * CELL, 4 * CELL))
        ImageDraw.Draw(image).text((CELL, 2 * CELL), char, fill=255, font=self.font, anchor="ls")
        return np.asarray(image) >= 128

    def master(self, code: int) -> Master | None:
        """The master of a character, or None where the font has none."""
        ink = self.ink(chr(code))
        advance = round(self.font.getlength(chr(code)))
        if code == ord(" "):
            return Master(code, advance, 0, 0, np.zeros((0, 0), bool))
        if np.array_equal(ink, self.none) or not ink.any():  # invisible characters get a visible code instead
            return None
        return self.fitted(code, advance, ink)

    def fitted(self, code: int, advance: int, ink: NDArray[np.bool_]) -> Master:
        """Squeezed into the cell's rows and moved inside its own advance."""
        columns = np.flatnonzero(ink.any(axis=0))
        ink = ink[:, columns[0] : columns[-1] + 1]
        above = squeezed(ink[: 2 * CELL][::-1], self.rise)[::-1]
        cell = np.concatenate((above, squeezed(ink[2 * CELL :], CELL - self.rise)))
        left = max(0, int(columns[0]) - CELL)
        if code == ord("_"):
            cell[:], cell[BAR] = False, True
        if unicodedata.normalize("NFD", chr(code))[0] in BARE and cell.shape[1] <= SERIF_WIDTH:
            cell, left, advance = self.serifed(cell), BESIDE, SERIF_WIDTH + 2 * BESIDE
        rows = np.flatnonzero(cell.any(axis=1))
        width = max(advance, left + cell.shape[1], LEAST)
        return Master(code, width, left, int(rows[0]), cell[rows[0] : rows[-1] + 1])

    def serifed(self, cell: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A stem with a bar at the height of capitals and one on the baseline, so that "I" is no "l" and no "|"."""
        more = SERIF_WIDTH - cell.shape[1]
        out = np.pad(cell, ((0, 0), (more // 2, more - more // 2)))
        out[self.rise - self.capital : self.rise - self.capital + SERIF] = True
        out[self.rise - SERIF : self.rise] = True
        return out


def slimmed(zero: Master) -> Master:
    """A zero of the same advance that is less easily read as an O."""
    width = zero.bits.shape[1]
    kept = round(SLIM * width)
    bits = zero.bits[:, ((np.arange(kept) + 0.5) * width / kept).astype(int)]
    return replace(zero, code=ZERO, left=zero.left + (width - kept) // 2, bits=bits)


def squeezed(half: NDArray[np.bool_], rows: int) -> NDArray[np.bool_]:
    """The rows from the baseline outwards, sampled down to `rows` if the ink reaches further."""
    inked = np.flatnonzero(half.any(axis=1))
    reach = int(inked[-1]) + 1 if inked.size else 0
    if reach <= rows:
        return half[:rows]
    return half[np.arange(rows) * reach // rows]


def masters(font: Path, ranges: Ranges) -> Iterator[Master]:
    """All characters of `ranges` that the font has."""
    pen = Pen(font)
    for first, last in ranges:
        for code in range(first, last + 1):
            found = pen.master(code)
            if found is not None:
                yield found
    if zero := pen.master(ord("0")):
        yield slimmed(zero)


def packed(glyphs: list[Master]) -> bytes:
    """The file: magic, count, the table by columns of uint16, each glyph's rows XORed with the row above."""
    table = np.array(
        [(g.code, g.advance, g.left, g.top, g.bits.shape[1], g.bits.shape[0]) for g in glyphs], dtype="<u2"
    )
    body = b"".join(delta(np.packbits(g.bits, axis=1)).tobytes() for g in glyphs if g.bits.size)
    return MAGIC + zlib.compress(struct.pack("<I", len(glyphs)) + table.T.tobytes() + body, 9)


def delta(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stems become zeros, which is what deflate likes."""
    return np.concatenate((rows[:1], rows[1:] ^ rows[:-1]))


def main() -> None:
    """Reads two font files and writes `data/sans.atlas` and `data/sans-bold.atlas`."""
    parser = argparse.ArgumentParser(description="Make the shipped glyph masters from two outline fonts.")
    parser.add_argument("regular", type=Path)
    parser.add_argument("bold", type=Path)
    chosen = parser.parse_args()
    for name, font, ranges in (("sans", chosen.regular, RANGES), ("sans-bold", chosen.bold, BOLD)):
        glyphs = list(masters(font, ranges))
        data = packed(glyphs)
        (DATA / f"{name}.atlas").write_bytes(data)
        print(f"{name}: {len(glyphs)} characters, {len(data):,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
