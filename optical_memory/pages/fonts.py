"""Fonts of other scripts: which characters they have, and masters of what they draw.

The shipped atlas has no Chinese, Arabic or emoji. The extra `scripts` brings fonts for them as packages; the folders and
files of the environment variable OPTICAL_MEMORY_FONTS come before these, and no other place is ever looked at. Which
characters there are is read from the files' own tables. Pillow, with FreeType and Raqm, is loaded when the first master
is drawn: a run of characters, shaped as a whole, as a 1-bit picture on the same 160 rows as the atlas has.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.glyphs import CELL, Face, face

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # Noto fonts as they are published, SIL Open Font License 1.1
FONTS = "OPTICAL_MEMORY_FONTS"  # files and folders of fonts that are asked for, parted as in PATH
POINTS = 0x40000  # code points from here on are never drawn as themselves
LEAST = CELL // 4  # the least advance, as in the atlas
WIDEST = 7 * CELL  # a run that is wider is squeezed: a line must have room for one
GAP = CELL // 20  # rows of paper above and below the script's ordinary letters
UNSEEN = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Me"}  # categories of what is invisible by itself: drawn as codes
UNICODE = {(0, 3), (0, 4), (0, 6), (3, 1), (3, 10)}  # platform and encoding of the tables that are in Unicode
ORDER = 2  # raised where `scripts` orders a line otherwise than before
JOINER = "\u200d"  # at a run's end: the word goes on in the next run

Ranges = tuple[tuple[int, int], ...]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Script:
    """A script that can be drawn: the code points that are its own, letters that fill a line from top to bottom, the
    weight on the font's axis, and whether Raqm must shape it.

    What reaches further than these letters is squeezed: larger letters under squeezed marks were read better at the same
    cost than smaller ones with all marks in their places (Thai 0.977 at 13 pixels against 0.957 at 14, LOG.md).
    """

    name: str
    ranges: Ranges
    core: str
    weight: int = 500
    shaped: bool = True
    rtl: bool = False


HAN: Ranges = (
    (0x1100, 0x115E), (0x1161, 0x11FF), (0x2E80, 0x2FDF), (0x3001, 0x3130), (0x3131, 0x3163), (0x3165, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FB), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF01, 0xFF9F),
    (0xFFA1, 0xFFEF), (0x1AFF0, 0x1B16F), (0x1F200, 0x1F2FF), (0x20000, 0x3FFFD),
)  # fmt: skip
SCRIPTS = (
    Script("han", HAN, "国鬱한ぎ", shaped=False),
    Script(
        "arabic",
        ((0x600, 0x604), (0x606, 0x61B), (0x61D, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
        "كلير", rtl=True,
    ),
    Script("hebrew", ((0x591, 0x5F4), (0xFB1D, 0xFB4F)), "לךקשץ", rtl=True),
    Script("devanagari", ((0x900, 0x97F), (0xA8E0, 0xA8FF)), "कीह"),
    Script("thai", ((0xE01, 0xE5B),), "ป่ฎ"),
    Script("emoji", ((0x2000, 0x2BFF), (0x3030, 0x3030), (0x303D, 0x303D), (0x1F000, 0x1FAFF)), "😀🚀✅", 400),
)  # fmt: skip
NAMES = tuple(script.name for script in SCRIPTS)
LOCALES = {"zh": "SC", "ja": "JP", "ko": "KR"}  # of the faces of one collection, as their family names end


class Run(NamedTuple):
    """Characters that are drawn as one. `font` is a script's name, for Chinese characters a locale; "mirror" draws a
    bracket of the atlas the other way round."""

    text: str
    font: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A run's ink, on rows of the cell: where it starts, its advance in master pixels, rows of packed bits."""

    advance: int
    left: int
    top: int
    width: int
    rows: NDArray[np.uint8]

    def ink(self) -> NDArray[np.float32]:
        """Zeros and ones, height x width master pixels."""
        return np.unpackbits(self.rows, axis=1)[:, : self.width].astype(np.float32)


class Fonts:
    """The first of these files that has a script draws it; `raqm` tells whether Pillow can shape."""

    def __init__(self, files: Sequence[Path], raqm: bool) -> None:
        self.files: dict[str, Path] = {}
        self.which = np.full(POINTS, -1, np.int8)  # index of the script that draws a code point, -1: none
        for file in files:
            self._take(file, [s for s in SCRIPTS if s.name not in self.files and (raqm or not s.shaped)])
        points = np.flatnonzero(self.which >= 0)
        letters = ((points >= 0x3400) & (points <= 0xD7A3)) | (points >= 0x20000)  # Chinese and Hangul: nothing else
        for point in points[~letters].tolist():
            if unicodedata.category(chr(point)) in UNSEEN:
                self.which[point] = -1
        self.pens: dict[str, Pen] = {}
        self.lock = threading.Lock()

    def _take(self, file: Path, wanted: Sequence[Script]) -> None:
        try:
            first, last = characters(file) if wanted else (np.zeros(0), np.zeros(0))
        except (OSError, struct.error, ValueError, IndexError):  # not a font, or a broken one: nothing of it is drawn
            return
        found = [s for s in wanted if all(((first <= ord(c)) & (ord(c) <= last)).any() for c in s.core)]
        if found:
            edges = np.bincount(first, minlength=POINTS + 2) - np.bincount(last + 1, minlength=POINTS + 2)
            self._add(file, found, np.cumsum(edges) > 0)

    def _add(self, file: Path, found: Sequence[Script], has: NDArray[np.bool_]) -> None:
        for script in found:
            self.files[script.name] = file
            for first, last in script.ranges:
                part = self.which[first : last + 1]
                part[has[first : last + 1] & (part < 0)] = NAMES.index(script.name)

    @cached_property
    def version(self) -> str:
        """What decides the pixels: the fonts' bytes, and the libraries that draw them. "" where there are no fonts."""
        if not self.files:
            return ""
        told = hashlib.sha256()
        for name in sorted(self.files):
            with self.files[name].open("rb") as file:
                told.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
        return f"fonts{told.hexdigest()[:10]}-{_libraries()}"

    @cached_property
    def state(self) -> str:
        """Changes where `version` does, but for fonts of equal names and sizes: found without reading them."""
        named = " ".join(f"{n} {f.name} {f.stat().st_size}" for n, f in sorted(self.files.items()))
        return f"fonts{hashlib.sha256(named.encode()).hexdigest()[:10]}-{_libraries()}" if named else ""

    def picture(self, run: Run) -> Picture:
        """The run's ink on the cell's rows. Safe between threads."""
        with self.lock:
            return self._pen(run.font).picture(run)

    def _pen(self, font: str) -> Pen:
        """What draws a script, or Chinese characters as a locale writes them."""
        if font not in self.pens:
            script = next((s for s in SCRIPTS if s.name == font), SCRIPTS[0])
            self.pens[font] = Pen(self.files[script.name], script, LOCALES.get(font, "SC"))
        return self.pens[font]


class Pen:
    """Draws runs of one script so that its ordinary letters fill the cell's rows, a gap above and below."""

    def __init__(self, file: Path, script: Script, locale: str) -> None:
        from PIL import ImageFont, features

        self.script = script
        self.shaped = bool(features.check("raqm"))
        layout = ImageFont.Layout.RAQM if self.shaped else ImageFont.Layout.BASIC
        index = _face(file, locale)
        told = self._weighed(ImageFont.truetype(str(file), 1000, index, layout_engine=layout))
        _, top, _, bottom = told.getbbox(script.core, anchor="ls")
        self.em = (CELL - 2 * GAP) * 1000 / (bottom - top)
        self.rise = GAP + round(-top * self.em / 1000)  # rows above the baseline
        self.fonts = [ImageFont.truetype(str(file), self.em, index, layout_engine=layout) for _ in range(2)]
        self._weighed(self.fonts[0])

    def _weighed(self, font: FreeTypeFont) -> FreeTypeFont:
        try:
            axes = font.get_variation_axes()
        except OSError:  # a font of one weight
            return font
        weight = self.script.weight
        font.set_variation_by_axes([weight if a["name"] == b"Weight" else a["default"] or 0 for a in axes])
        return font

    def picture(self, run: Run) -> Picture:
        """The run, shaped as a whole and squeezed into the cell; its ink is moved inside its own advance."""
        try:
            return self._fitted(*self._ink(run.text, self.fonts[0]))
        except OSError:  # FreeType: raster overflow, in one ligature of a thousand letters, at this weight only
            return self._fitted(*self._ink(run.text, self.fonts[1]))

    def _ink(self, text: str, font: FreeTypeFont) -> tuple[NDArray[np.bool_], int, int, int]:
        """The ink, and in its pixels where it begins, the rows above the baseline, and the advance."""
        from PIL import Image, ImageDraw

        way = ("rtl" if self.script.rtl else "ltr") if self.shaped else None
        left, top, right, bottom = (round(side) for side in font.getbbox(text, direction=way, anchor="ls"))
        top, bottom = min(top, 0) - 1, max(bottom, 0) + 1
        image = Image.new("L", (max(1, right - left) + 2, bottom - top))
        ImageDraw.Draw(image).text((1 - left, -top), text, fill=255, font=font, anchor="ls", direction=way)
        return np.asarray(image) >= 128, left - 1, -top, round(font.getlength(text, direction=way))

    def _fitted(self, ink: NDArray[np.bool_], left: int, baseline: int, advance: int) -> Picture:
        """Rows from the baseline outwards are sampled down where the ink reaches out of the cell."""
        above = _squeezed(ink[:baseline][::-1], self.rise)[::-1]
        cell = np.concatenate((above, _squeezed(ink[baseline:], CELL - self.rise)))
        rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
        if not len(rows):
            return Picture(max(advance, LEAST), 0, 0, 0, np.zeros((0, 0), np.uint8))
        cell = cell[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        left = max(0, left + int(columns[0]))
        wide = max(advance, left + cell.shape[1], LEAST)
        if wide > WIDEST:
            left, wide = left * WIDEST // wide, WIDEST
            cell = cell[:, np.arange(WIDEST - left) * cell.shape[1] // (WIDEST - left)]
        return Picture(wide, left, int(rows[0]), cell.shape[1], np.packbits(cell, axis=1))


def _squeezed(half: NDArray[np.bool_], rows: int) -> NDArray[np.bool_]:
    """Exactly `rows` rows from the baseline outwards: padded, or sampled down if the ink reaches further."""
    inked = np.flatnonzero(half.any(axis=1))
    reach = int(inked[-1]) + 1 if inked.size else 0
    if reach > rows:
        return half[np.arange(rows) * reach // rows]  # evenly: squeezing the signs alone made them blots (LOG.md)
    return np.concatenate((half[:reach], np.zeros((rows - reach, half.shape[1]), bool)))


def _mirrored(run: Run) -> Picture:
    """A bracket of the atlas the other way round, as right-to-left text has it."""
    plain: Face = face("sans")
    master, index = plain.source(int(plain.glyph[ord(run.text)]))
    advance, left = int(master.advance[index]), int(master.left[index])
    ink = master.ink(index)[:, ::-1].astype(bool)
    right = max(0, advance - left - ink.shape[1])
    return Picture(advance, right, int(master.top[index]), ink.shape[1], np.packbits(ink, axis=1))


@lru_cache(maxsize=8192)
def picture(run: Run) -> Picture:
    """The master of a run, drawn once as long as it is in use."""
    return _mirrored(run) if run.font == "mirror" else fonts().picture(run)


@cache
def fonts() -> Fonts:
    """The fonts at hand in this process: those that are asked for, then those of the extra."""
    files = list(_files())
    return Fonts(files, bool(files) and _raqm())


def _files() -> Iterator[Path]:
    asked = [Path(part) for part in os.environ.get(FONTS, "").split(os.pathsep) if part]
    found = (find_spec(name) for name in PACKAGES)
    packed = [Path(folder) for spec in found if spec for folder in spec.submodule_search_locations or ()]
    for place in (*asked, *packed):
        yield from (
            sorted(p for p in place.rglob("*") if p.suffix in {".ttf", ".otf", ".ttc"}) if place.is_dir() else [place]
        )


def _raqm() -> bool:
    from PIL import features

    return bool(features.check("raqm"))


@cache
def _libraries() -> str:
    from PIL import features

    told = {name: features.version(name) for name in ("pil", "freetype2", "raqm", "harfbuzz")} | {"order": ORDER}
    return "-".join(f"{name}{version}" for name, version in told.items())


# ------------------------------------------------------------------- what a font file says of itself (OpenType 1.9)


def characters(file: Path) -> tuple[Ints, Ints]:
    """The code points below `POINTS` that the first face of a font file has, by its `cmap`: first and last ones of ranges.

    Raises ValueError, OSError, struct.error or IndexError for what is not a font.
    """
    with file.open("rb") as stream:
        table = _table(stream, _offsets(stream)[0], b"cmap")
    count = struct.unpack_from(">H", table, 2)[0]
    records = [struct.unpack_from(">HHI", table, 4 + 8 * n) for n in range(count)]
    starts = [start for platform, kind, start in records if (platform, kind) in UNICODE]
    parts = [found for start in starts if (found := _ranges(table, start))]
    first, last = (np.concatenate([part[side] for part in parts] or [np.zeros(0, np.int64)]) for side in (0, 1))
    return np.minimum(first, POINTS), np.minimum(last, POINTS)


def _ranges(table: bytes, start: int) -> tuple[Ints, Ints] | None:
    kind = struct.unpack_from(">H", table, start)[0]
    return _groups(table, start) if kind == 12 else _segments(table, start) if kind == 4 else None


def _offsets(stream: BinaryIO) -> list[int]:
    """Where the faces of a file begin: one, or those of a collection."""
    head = stream.read(12)
    if head[:4] != b"ttcf":
        return [0]
    return list(struct.unpack(f">{(count := struct.unpack('>I', head[8:])[0])}I", stream.read(4 * count)))


def _table(stream: BinaryIO, offset: int, tag: bytes) -> bytes:
    stream.seek(offset)
    (count,) = struct.unpack_from(">H", stream.read(12), 4)
    for name, _, start, length in struct.iter_unpack(">4sIII", stream.read(16 * count)):
        if name == tag:
            stream.seek(start)
            return stream.read(length)
    raise ValueError(f"no table {tag!r}")


def _groups(table: bytes, start: int) -> tuple[Ints, Ints]:
    """First and last code points of format 12."""
    (count,) = struct.unpack_from(">I", table, start + 12)
    groups = np.frombuffer(table, ">u4", 3 * count, start + 16).reshape(count, 3).astype(np.int64)
    return groups[:, 0], groups[:, 1]


def _segments(table: bytes, start: int) -> tuple[Ints, Ints]:
    """First and last code points of format 4, without the sentinel that ends it."""
    half = struct.unpack_from(">H", table, start + 6)[0]
    last = np.frombuffer(table, ">u2", half // 2, start + 14).astype(np.int64)
    first = np.frombuffer(table, ">u2", half // 2, start + 16 + half).astype(np.int64)
    return first[last < 0xFFFF], last[last < 0xFFFF]


def _face(file: Path, locale: str) -> int:
    """The face of a collection whose family name ends with the locale; the first where there is none."""
    from PIL import ImageFont

    with file.open("rb") as stream:
        count = len(_offsets(stream))
    names = [ImageFont.truetype(str(file), 10, index).getname()[0] or "" for index in range(count)]
    return next((i for i, name in enumerate(names) if name.endswith(locale)), 0)
