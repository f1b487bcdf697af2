"""Glyphs of the shipped atlas: masters of 160 rows, from which any size is made by exact integer averaging.

A `Face` knows which characters there are and how far each moves the pen, in master pixels, whatever the size.
A `Shades` holds one size's columns, four quarter-pixel phases of each glyph, made when a glyph is first drawn.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.sheets import FACES, TALL

DATA = Path(__file__).parent / "data"
MAGIC = b"OMATLAS1"
CELL = 160  # rows of a master from ascender to underscore; a multiple of 4 for the phases
PHASES = 4  # quarter pixels
WHOLE = FACES["sans"]  # the natural width, in the parts that faces are told in
LOW = CELL * 5 // 6  # rows above the baseline in a tall face
STROKE = 4  # master pixels that its strokes are wider: a stem has 15
ZERO = 0xFFFF  # what the masters call the zero of codes: no character has this number
LEVELS = 85  # full ink; times 3 is 255, so three overlapping edges in one pixel cannot overflow a byte

Ints = NDArray[np.int64]


class Master:
    """The characters of one weight: columns of a table, and bits."""

    def __init__(self, raw: bytes) -> None:
        data = zlib.decompress(raw[len(MAGIC) :])
        (count,) = struct.unpack_from("<I", data)
        table = np.frombuffer(data, "<u2", 6 * count, 4).reshape(6, count).astype(np.int64)
        self.codes, self.advance, self.left, self.top, self.width, self.height = table
        self.bits = np.frombuffer(data, np.uint8, offset=4 + 12 * count)
        sizes = (self.width + 7) // 8 * self.height
        self.start = np.cumsum(sizes) - sizes

    @cached_property
    def baseline(self) -> int:
        """Rows of a cell above the line that letters stand on."""
        index = int(np.flatnonzero(self.codes == ord("H"))[0])
        return int(self.top[index] + self.height[index])

    def ink(self, index: int) -> NDArray[np.float32]:
        """The glyph's ink as zeros and ones, height x width master pixels."""
        width, height, start = int(self.width[index]), int(self.height[index]), int(self.start[index])
        stride = (width + 7) // 8
        rows = self.bits[start : start + stride * height].reshape(height, stride)
        return np.unpackbits(np.bitwise_xor.accumulate(rows, axis=0), axis=1)[:, :width].astype(np.float32)


def _read(name: str) -> bytes:
    return (DATA / f"{name}.atlas").read_bytes()


ATLAS = hashlib.sha256(_read("sans") + _read("sans-bold")).hexdigest()[:10] if DATA.is_dir() else ""


class Face:
    """A regular and a bold master as one list of glyphs: `n` is regular, `n + count` the same in bold.

    All faces are made of the same masters; `twentieths` is the share of its natural width that a letter is given, `tall`
    says whether it is `raised`. `zero` is a narrower zero, for codes in which it stands beside capitals.
    """

    def __init__(self, twentieths: int, tall: bool = False) -> None:
        self.twentieths, self.tall = twentieths, tall
        self.regular, self.bold = masters()
        self.count = len(self.regular.codes)
        self.glyph = np.full(0x10000, -1, np.int32)  # by code point; -1 where there is none
        self.glyph[self.regular.codes] = np.arange(self.count, dtype=np.int32)
        self.twin = np.full(self.count, -1)  # index in the bold master
        known = np.isin(self.bold.codes, self.regular.codes)
        self.twin[self.glyph[self.bold.codes[known]]] = np.flatnonzero(known)
        self.zero = int(self.glyph[ZERO])
        self.glyph[ZERO] = -1
        self.codes = np.where(self.regular.codes == ZERO, ord("0"), self.regular.codes).astype("<u4")
        strong = np.where(self.twin >= 0, self.bold.advance[self.twin], self.regular.advance)
        self.advance: Ints = np.concatenate((self.regular.advance, strong)) * twentieths // WHOLE

    def glyphs(self, codes: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Glyph numbers of code points, -1 where the atlas has none."""
        return self.glyph[np.minimum(codes, 0xFFFF)]

    def source(self, glyph: int) -> tuple[Master, int]:
        """The master and the index in it that draw a glyph; a bold one that is missing is drawn regular."""
        if glyph < self.count:
            return self.regular, glyph
        twin = int(self.twin[glyph - self.count])
        return (self.bold, twin) if twin >= 0 else (self.regular, glyph - self.count)

    def drawn(self, glyph: int) -> tuple[NDArray[np.float32], int, int]:
        """A glyph's ink, and the master pixels that it begins from the left and from the top of its cell."""
        master, index = self.source(glyph)
        ink, left, top = master.ink(index), int(master.left[index]), int(master.top[index])
        if not self.tall or not ink.size:
            return ink, left, top
        ink, top = raised(ink, top, master.baseline)
        return *heavier(ink, left, int(master.advance[index])), top


def raised(ink: NDArray[np.float32], top: int, baseline: int) -> tuple[NDArray[np.float32], int]:
    """The ink with its baseline a sixth of the cell above the bottom, and where it begins from the top of the cell.

    At six pixels letters stand on the edge of a pixel, and what tells them apart gets nine per cent more of them.
    """
    rows = np.interp(np.arange(CELL) + 0.5, (0, LOW, CELL), (0, baseline, CELL)).astype(int) - top
    used = np.flatnonzero((rows >= 0) & (rows < len(ink)))
    return ink[rows[used]], int(used[0]) if used.size else top


def heavier(ink: NDArray[np.float32], left: int, advance: int) -> tuple[NDArray[np.float32], int]:
    """The ink with strokes `STROKE` master pixels wider, as far as its advance has room, and where it begins."""
    width, start = ink.shape[1], max(0, left - STROKE // 2)
    wide = np.zeros((len(ink), width + STROKE), np.float32)
    for shift in range(STROKE + 1):
        wide[:, shift : shift + width] = np.maximum(wide[:, shift : shift + width], ink)
    return wide[:, : max(width, min(width + STROKE, advance - start))], start


@cache
def masters() -> tuple[Master, Master]:
    """The regular and the bold master, read once."""
    return Master(_read("sans")), Master(_read("sans-bold"))


@cache
def face(name: str) -> Face:
    """The face of this name, made once."""
    return Face(FACES[name], name in TALL)


class Shades:
    """One face at one height of its letters: columns of pixels as 64-bit words, eight rows a word, for `glyph * 4 + phase`.

    Columns begin at the pen's pixel and end at the last that holds ink. Glyphs are added when first needed.
    """

    def __init__(self, face: Face, size: int) -> None:
        self.face, self.size, self.words = face, size, -(-size // 8)
        self.lock = threading.Lock()
        self.start: NDArray[np.int64] = np.full(2 * face.count * PHASES, -1)
        self.count: NDArray[np.uint8] = np.zeros(2 * face.count * PHASES, np.uint8)
        self.columns: NDArray[np.uint64] = np.zeros((self.words, 0), np.uint64)

    def need(self, glyphs: NDArray[np.int32]) -> None:
        """Make the columns of these glyphs, if they are not there yet. Safe between threads."""
        used = np.flatnonzero(np.bincount(glyphs, minlength=2 * self.face.count))
        if (self.start[used * PHASES] >= 0).all():
            return
        with self.lock:
            fresh = used[self.start[used * PHASES] < 0]
            self._add([(int(g), q, self.shade(int(g), q)) for g in fresh for q in range(PHASES)])

    def _add(self, made: list[tuple[int, int, NDArray[np.uint8]]]) -> None:
        pieces, at = [self.columns], self.columns.shape[1]
        starts = []
        for glyph, phase, shade in made:
            pieces.append(as_words(shade, self.words))
            starts.append((glyph * PHASES + phase, at, shade.shape[1]))
            at += shade.shape[1]
        self.columns = np.concatenate(pieces, axis=1)
        for key, start, count in starts:  # last, so that no other thread looks for columns that are not there
            self.count[key], self.start[key] = count, start

    def shade(self, glyph: int, phase: int) -> NDArray[np.uint8]:
        """One glyph's ink, 0..LEVELS: `size` rows, columns from the pen's pixel on."""
        ink, left, top = self.face.drawn(glyph)
        if not ink.size:
            return np.zeros((self.size, 0), np.uint8)
        return shaded(ink, left, top, self.size, phase, self.face.twentieths)


def shaded(
    ink: NDArray[np.float32], left: int, top: int, size: int, phase: int, twentieths: int = WHOLE
) -> NDArray[np.uint8]:
    """A master's ink, letters `size` pixels high, 0..LEVELS: `size` rows, columns from the pen's pixel on."""
    height, width = ink.shape
    down = overlap(top * size, height, size, size)
    step, cell = size * twentieths, WHOLE * CELL  # a master pixel and a page pixel, in the same unit
    begin = left * step + phase * cell // PHASES
    across = overlap(begin, width, step, -(-(begin + width * step) // cell), cell)
    # Integers below 2**24 are exact in float32 in any order of summation: the same pixels on any machine.
    area = (down.T @ ink @ across).astype(np.int64)
    return (area * LEVELS // (CELL * cell)).astype(np.uint8)


def overlap(begin: int, count: int, size: int, pixels: int, cell: int = CELL) -> NDArray[np.float32]:
    """How much of each master pixel (`size` wide, from `begin` on) lies in each page pixel (`cell` wide)."""
    left = begin + size * np.arange(count)[:, None]
    edge = cell * np.arange(pixels)[None, :]
    shared = np.minimum(left + size, edge + cell) - np.maximum(left, edge)
    inside: NDArray[np.float32] = np.maximum(shared, 0).astype(np.float32)
    return inside


def as_words(shade: NDArray[np.uint8], words: int) -> NDArray[np.uint64]:
    """Columns as little-endian words: row r of a column is byte r % 8 of word r // 8."""
    column = np.zeros((shade.shape[1], 8 * words), np.uint8)
    column[:, : shade.shape[0]] = shade.T
    return np.ascontiguousarray(column.view("<u8").T.astype(np.uint64))


@cache
def shades(name: str, size: int) -> Shades:
    """The columns of a face with letters `size` pixels high, kept for the life of the process."""
    return Shades(face(name), size)
