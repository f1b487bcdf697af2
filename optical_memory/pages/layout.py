"""Turns to pages: every glyph has its place before anything is drawn.

turns -> `shape` (glyphs and pen positions) -> `broken` (lines, greedy) -> `Draft` (a page being filled)
-> `Layout` (a page with every glyph in its place)

Lengths along a line are in master pixels (`CELL` of them are the height of the letters), so that breaking lines is
integer arithmetic; places on a finished page are in quarter pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from string import ascii_letters, ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from optical_memory.errors import ConfigError
from optical_memory.pages.card import salient
from optical_memory.pages.fonts import JOINER, WIDEST, Run, picture
from optical_memory.pages.found import ByText
from optical_memory.pages.glyphs import CELL, PHASES, Face, face
from optical_memory.pages.kinds import normalise
from optical_memory.pages.marks import NEWLINE, PARAGRAPH, TURN, WRAP, lacking, points
from optical_memory.pages.scripts import CLOSING, OPENING, free, levels, locale_of, run_of, turned, units, visual
from optical_memory.pages.sheets import SIZES, Sheet, Style, TurnText

MARGIN = 2  # pixels of paper on the left and right
TOP = 1  # above the first line and below the last: on a low page each pixel counts
RULE = 1  # pixels of the rule between gutter and text, with a pixel of paper on either side
LEAST_DIGITS = 12  # a box narrower than this many digits is refused; half as many again where words are drawn as one
SLACK = 0.05  # a line may end early by this share of its width to keep a word whole: 97.5 % stay in use
SEAMS = ",;:/|)]}>-=&\\"  # where a word is cut rather than elsewhere
STUB = 3  # letters: less of a turn is not begun at a line's end, right behind its mark
SIGNS = ",;:.[]{}()`'\"=|→<>"  # bold in a bold style: at 9 pixels one engine took a third fewer of them for another
WORD = f"{ascii_letters}0123456789"  # what a code is made of
NAME = 24  # characters of a speaker's name that are shown

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One page, ready to be drawn. `chars` is how many characters of source text it shows, `missing` how many of
    them as codes such as ⟨U+4F60⟩; `first` and `last` are turn numbers; sides are pixels."""

    first: int
    last: int
    width: int
    height: int
    style: Style
    chars: int
    missing: int
    left: int  # first pixel column of the text box; the rule stands two before it
    gutter: dict[int, str]  # line -> label of the first turn that starts there
    glyphs: NDArray[np.int32]
    x: NDArray[np.int32]  # pen positions in quarter pixels from the page's left
    line: NDArray[np.int32]
    runs: tuple[Run, ...] = ()  # what fonts draw: run n is glyph 2 * count + n of the page's face

    @property
    def key(self) -> str:
        """SHA-256 of everything that decides the pixels."""
        head = f"{self.style.key} {self.width}x{self.height} {self.left} {self.gutter}"
        head += str([tuple(run) for run in self.runs]) if self.runs else ""
        arrays = (self.glyphs, self.x, self.line)
        parts = (head.encode(), *(array.astype("<i4").tobytes() for array in arrays))
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.key == other.key

    def lines(self) -> list[str]:
        """What is drawn in the text box, line by line, in the order of reading: what a reader should read."""
        font = face(self.style.face)
        codes = font.codes[self.glyphs % font.count]
        ends = np.searchsorted(self.line, np.arange(1, self.line.max(initial=-1) + 2))
        if self.runs:
            told = [run.text.strip(JOINER) for run in self.runs]
            chars = [
                chr(c) if g < 2 * font.count else told[g - 2 * font.count]
                for c, g in zip(codes, self.glyphs, strict=True)
            ]
            return ["".join(chars[a:b]) for a, b in pairwise([0, *ends])]
        return [part.tobytes().decode("utf-32-le") for part in np.split(codes, ends)[:-1]]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A text as glyphs. `edge[i]` is the pen before glyph i; `ends` says before which glyphs a line may end.

    `told` has a character for each glyph: its own, or where a unit of several is drawn as one, its first.
    """

    glyphs: NDArray[np.int32]
    edge: Ints
    told: str
    runs: tuple[Run, ...] = ()  # what fonts draw: run n is glyph 2 * count + n
    level: NDArray[np.int8] | None = None  # embedding levels where anything stands right to left
    ends: bytes = b""  # a byte for each glyph, 1 where a line may end before it; empty: at blanks and behind newlines

    def pens(self, start: int, end: int) -> Ints:
        """Pens of the glyphs of a line, from its first pixel on, as they stand to be seen."""
        if self.level is not None:
            return visual(self.edge[start + 1 : end + 1] - self.edge[start:end], self.level[start:end])
        pens: Ints = self.edge[start:end] - self.edge[start]
        return pens

    @property
    def rightward(self) -> bool:
        """Whether all of it is read from the left."""
        return self.level is None or int(self.level.min()) == 0

    @property
    def width(self) -> int:
        """Length in master pixels."""
        return int(self.edge[-1])

    def soft(self, start: int, at: int) -> int:
        """The last glyph behind `start`, up to `at`, before which a line may end; `start` if there is none."""
        if self.ends:
            return max(self.ends.rfind(1, start + 1, at + 1), start)
        blank = self.told.rfind(" ", start + 1, at + 1)
        line = max(self.told.rfind(NEWLINE, start, at), self.told.rfind(PARAGRAPH, start, at)) + 1
        return max(blank, line, start)

    def seam(self, start: int, at: int, least: int) -> int:
        """The last glyph behind `start`, up to `at` and not before the pen `least`, before which a word is best cut; `at` if
        there is none."""
        place = at
        while place > start and self.edge[place] >= least:
            if self.told[place - 1] in SEAMS:
                return place
            place -= 1
        return at

    def past_blanks(self, at: int) -> int:
        """The next glyph that is no blank: blanks vanish at a line's end."""
        while at < len(self.told) and self.told[at] == " ":
            at += 1
        return at


def shape(text: str, style: Style, base: int | None = None) -> Shape:
    """Glyphs, pen positions and line ends of a text of drawable characters and marks; `base` as in `levels`."""
    font, codes = face(style.face), points(text)
    glyphs = font.glyphs(codes)
    if style.scripts and int(glyphs.min(initial=0)) < 0:
        return _shaped(text, style, base)
    glyphs[zeros(codes)] = font.zero
    if style.bold:
        glyphs = glyphs + np.int32(font.count) * (salient(text) | _of(SIGNS)[np.minimum(codes, LAST)])
    return Shape(glyphs, _edges(font.advance[glyphs]), text)


def zeros(codes: NDArray[np.uint32]) -> Ints:
    """Where a zero stands in a word with a capital letter (HAT056, M05KNL), in which it is easily read as an O."""
    found = np.flatnonzero(codes == ord("0"))
    if not found.size:
        return found
    known = np.minimum(codes, LAST)
    word = np.cumsum(~_of(WORD)[known])
    coded = np.zeros(int(word[-1]) + 1, bool)
    coded[word[_of(ascii_uppercase)[known]]] = True
    return found[coded[word[found]]]


def _edges(advances: Ints) -> Ints:
    """The pens before and behind glyphs with these advances."""
    edge = np.zeros(len(advances) + 1, np.int64)
    np.cumsum(advances, out=edge[1:])
    return edge


LAST = 0xFFFF  # code points up to here are told apart by `_of`


@lru_cache
def _of(chars: str) -> NDArray[np.bool_]:
    """By code point, whether it is one of these characters."""
    found = np.zeros(LAST + 1, bool)
    found[points(chars)] = True
    return found


def _shaped(text: str, style: Style, base: int | None) -> Shape:
    """A text with units that a font draws: the same by units instead of characters."""
    font, parts = face(style.face), units(text)
    level = levels(parts, base)
    glyphs, runs = _numbered(parts if level is None else turned(parts, level), font, locale_of(text))
    told = "".join([part[0] for part in parts])
    heads, sizes = points(told), np.fromiter(map(len, parts), np.int64, len(parts))
    known, single = np.minimum(heads, LAST), sizes == 1
    glyphs[zeros(np.where(single, heads, 0))] = font.zero
    if style.bold:
        strong = (salient(text)[np.cumsum(sizes) - sizes] | (_of(SIGNS)[known] & single)) & (glyphs < font.count)
        glyphs = glyphs + np.int32(font.count) * strong
    wide = np.array([picture(run).advance for run in runs], np.int64)
    alone = free(heads)
    ends = np.append(alone, False)
    ends[1:] |= alone & ~(_of(OPENING)[known] & single)
    ends[:-1] &= ~(_of(CLOSING)[known] & single)
    ends[:-1] |= (heads == ord(" ")) & single
    ends[1:] |= _of(NEWLINE + PARAGRAPH)[known] & single
    return Shape(glyphs, _edges(np.concatenate((font.advance, wide))[glyphs]), told, runs, level, ends.tobytes())


def _numbered(parts: Sequence[str], font: Face, locale: str) -> tuple[NDArray[np.int32], tuple[Run, ...]]:
    """Glyphs of units: of the atlas where it has them, else the runs in the order in which they come."""
    known: dict[str, int] = {}
    runs: list[Run] = []
    for part in dict.fromkeys(parts):
        known[part] = int(font.glyph[min(ord(part), 0xFFFF)]) if len(part) == 1 else -1
        if known[part] < 0:
            known[part] = 2 * font.count + len(runs)
            runs.append(run_of(part, locale))
    return np.fromiter(map(known.__getitem__, parts), np.int32, len(parts)), tuple(runs)


def broken(text: Shape, start: int, room: int, slack: int, wrap: int) -> tuple[int, int, bool]:
    """The glyphs `start` to `end` that fit into `room`, the glyph to go on with, and whether a word was cut.

    A line ends between words if that wastes at most `slack`, else inside a word, leaving `wrap` for the mark.
    """
    limit = int(text.edge[start]) + room
    end = int(text.edge.searchsorted(limit, "right")) - 1
    if end >= len(text.told):
        return end, end, False
    soft = text.soft(start, end)
    if soft > start and limit - int(text.edge[soft]) <= slack:
        return soft, text.past_blanks(soft), False
    hard = int(text.edge.searchsorted(limit - wrap, "right")) - 1
    if text.runs and (near := text.soft(start, hard)) > start and near >= hard - 1:
        return near, text.past_blanks(near), False  # the word that has no place is one glyph: it is not cut
    if hard - start < (1 if text.runs else STUB):
        return start, start, False
    cut = text.seam(start, hard, limit - slack // 3)
    return cut, cut, True


@dataclass(frozen=True, slots=True)
class Box:
    """Where text stands on a sheet: first pixel column, lines, and the width of a line in master pixels."""

    left: int
    rows: int
    room: int

    @classmethod
    def of(cls, style: Style, sheet: Sheet, digits: int) -> Box:
        """The box beside a gutter for numbers of `digits` digits. `ConfigError` if the sheet is too small."""
        font = face(style.face)
        digit = int(font.advance[font.glyph[ord("0")]])
        left = MARGIN + -(-digit * (digits + 1) * style.cell // CELL) + 1 + RULE + 1
        room = (sheet.width - MARGIN - left) * CELL // style.cell
        rows = (sheet.height - 2 * TOP + style.gap) // style.pitch
        if rows < 1 or room < (LEAST_DIGITS * 3 // 2 if style.scripts else LEAST_DIGITS) * digit:
            raise ConfigError(f"Sheet {sheet.key} is too small for text of {style.pitch} pixels: use a larger one")
        return cls(left, rows, room)


def _digits(turns: Sequence[TurnText]) -> int:
    """Of the longest number: all pages of these turns have a gutter of one width, so that none ends where a digit is added."""
    return max([2, *(len(turn.label) - 1 for turn in turns)])


@dataclass(slots=True)
class Draft:
    """A page being filled: pieces are (shape, start, end, line, pen in master pixels)."""

    style: Style
    letters: Style  # see `_letters`
    sheet: Sheet
    box: Box
    pieces: list[tuple[Shape, int, int, int, int]] = field(default_factory=list)
    gutter: dict[int, str] = field(default_factory=dict)
    line: int = 0
    pen: int = 0
    day: str | None = None
    names: dict[str, str | None] = field(default_factory=dict)  # role -> the speaker's name that was shown last
    whole: int = 0  # turns that end here
    set: list[tuple[TurnText, int, int, int]] = field(default_factory=list)  # turn, glyphs from and to, all its glyphs

    @property
    def height(self) -> int:
        """Pixels: the lines in use, rounded up to the sheet's step; the full height where it is not cropped."""
        if not self.sheet.crop:
            return self.sheet.height
        used = 2 * TOP + (self.line + 1) * self.style.pitch - self.style.gap
        return min(self.sheet.height, -(-used // self.sheet.step) * self.sheet.step)

    def put(self, turn: TurnText, text: Shape, start: int) -> int:
        """Set a turn from glyph `start` on; the first glyph without a place (-1: not even the mark has one)."""
        if not self._begin(turn, start > 0):
            return -1
        self.day = turn.date or self.day
        if self.names.get(turn.role, "") != turn.name:
            self.names = {**self.names, turn.role: turn.name}
        end = self._set(text, start)
        self.whole += end == len(text.told)
        self.set.append((turn, start, end, len(text.told)))
        return end

    def holds(self, turn: TurnText, text: Shape) -> bool:
        """Set a whole turn if there is place for it, else leave the page as it was."""
        pieces, labels, turns = len(self.pieces), len(self.gutter), len(self.set)
        before = (self.line, self.pen, self.day, self.names)
        if self.put(turn, text, 0) == len(text.told):
            return True
        self.line, self.pen, self.day, self.names = before
        del self.pieces[pieces:], self.set[turns:]
        for line in list(self.gutter)[labels:]:
            del self.gutter[line]
        return False

    def _begin(self, turn: TurnText, continued: bool) -> bool:
        """Set the turn's mark: label in the gutter if the line has none yet, else inline."""
        mark = self._mark(turn, continued)
        if self.pen and self.pen + mark.width + CELL > self.box.room:
            self._feed()
            mark = self._mark(turn, continued)
        if self.line >= self.box.rows:
            return False
        self.gutter.setdefault(self.line, turn.label)
        self._place(mark, 0, len(mark.glyphs))
        return True

    def _mark(self, turn: TurnText, continued: bool) -> Shape:
        """The longest of the mark's forms that leaves a quarter of a line to the text.

        Date and speaker stand there where they change: a page names each role's speaker once.
        """
        label = turn.label if self.line in self.gutter else ""
        date = turn.date[:10] if turn.date and turn.date != self.day else ""
        known = turn.role in self.names and self.names[turn.role] == turn.name
        name = turn.name[:NAME] if turn.name and not known else ""
        more = "…" if continued else ""
        if date or name:
            date, name = _said(date, self.style.scripts), _said(name, self.style.scripts)
            most = min(self.box.room * 3 // 4, self.box.room - WIDEST - CELL if self.style.scripts else self.box.room)
            for form in ((label, date, name, more), (label, date, more)):
                mark = mark_of(self.letters, *form)
                if mark.width <= most:
                    return mark
        return mark_of(self.letters, label, more)

    def _feed(self) -> None:
        self.line, self.pen = self.line + 1, 0

    def _set(self, text: Shape, start: int) -> int:
        """Line by line until the text or the page ends."""
        wrap = _wrap(self.letters)
        slack = int(self.box.room * SLACK)
        while start < len(text.told):
            end, after, cut = broken(text, start, self.box.room - self.pen, slack, wrap.width)
            pieces = [(text, start, end), (wrap, 0, int(cut))]
            for piece in pieces if text.rightward else reversed(pieces):
                self._place(*piece)
            start = after
            if start < len(text.told):
                if self.line + 1 >= self.box.rows:
                    return start
                self._feed()
        return start

    def _place(self, text: Shape, start: int, end: int) -> None:
        self.pieces.append((text, start, end, self.line, self.pen))
        self.pen += int(text.edge[end] - text.edge[start])

    @property
    def turns(self) -> tuple[int, int]:
        """The first and the last turn on the page."""
        return self.set[0][0].number, self.set[-1][0].number

    def _counted(self) -> tuple[int, int]:
        """Characters of source, and those that are codes, shared out by glyphs where a turn is cut over pages."""
        chars = missing = 0
        for turn, start, end, glyphs in self.set:
            chars += _part(len(turn.text), start, end, glyphs)
            missing += _part(_missing(turn.text, self.style.scripts), start, end, glyphs)
        return chars, missing

    def finished(self) -> Layout:
        """The page with every glyph in its place."""
        sizes = [end - start for _, start, end, _, _ in self.pieces]
        glyphs, runs = self._glyphs()
        pens = [pen + s.pens(start, end) for s, start, end, _, pen in self.pieces]
        place = self.box.left * PHASES + _quarters(np.concatenate(pens), self.style.cell)
        return Layout(
            *self.turns, self.sheet.width, self.height, self.style, *self._counted(), self.box.left, self.gutter, glyphs, place,
            np.repeat(np.array([piece[3] for piece in self.pieces], np.int32), sizes), runs,
        )  # fmt: skip

    def _glyphs(self) -> tuple[NDArray[np.int32], tuple[Run, ...]]:
        """All glyphs of the page; runs are numbered in the order in which the page needs them."""
        parts = [s.glyphs[start:end] for s, start, end, _, _ in self.pieces]
        known: dict[Run, int] = {}
        first = 2 * face(self.style.face).count
        for i, (s, *_) in enumerate(self.pieces):
            if s.runs:
                number = np.arange(first + len(s.runs), dtype=np.int32)
                for run in np.unique(parts[i][parts[i] >= first]):
                    number[run] = first + known.setdefault(s.runs[run - first], len(known))
                parts[i] = number[parts[i]]
        return np.concatenate(parts), tuple(known)


def _part(total: int, start: int, end: int, glyphs: int) -> int:
    return total * end // glyphs - total * start // glyphs if glyphs else total


_missing = lru_cache(maxsize=8)(lacking)  # a turn that is cut over pages asks on each


def _quarters(pens: Ints, size: int) -> NDArray[np.int32]:
    """Master pixels to the nearest quarter of a page pixel, for letters `size` pixels high."""
    return ((pens * (size * PHASES) + CELL // 2) // CELL).astype(np.int32)


def with_labels(page: Layout) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """All glyphs of a page with x and line, those of the gutter's labels included."""
    plain = replace(page.style, bold=False)
    shapes = [(shape(label, plain), line) for line, label in page.gutter.items()]
    glyphs = [page.glyphs, *(s.glyphs for s, _ in shapes)]
    x = [page.x, *(MARGIN * PHASES + _quarters(s.edge[:-1], page.style.cell) for s, _ in shapes)]
    line = [page.line, *(np.full(len(s.glyphs), at, np.int32) for s, at in shapes)]
    return np.concatenate(glyphs), np.concatenate(x), np.concatenate(line)


@lru_cache(maxsize=16_384)
def mark_of(style: Style, *parts: str) -> Shape:
    """A turn's mark such as ⟪a18 2024-05-20⟫."""
    return shape(" ".join(part for part in parts if part).join(TURN), style, 0)


@lru_cache(maxsize=256)
def _wrap(style: Style) -> Shape:
    return shape(WRAP, style)


@lru_cache(maxsize=1024)
def _said(text: str, scripts: str) -> str:
    """A date or a name as it is drawn: both come again and again."""
    return normalise(text, scripts)


@lru_cache(maxsize=256)
def _letters(style: Style) -> Style:
    """What shapes depend on, and no more: those of one text are the same at every size, so that they are made once."""
    return replace(style, size=SIZES[0], raised=0, gap=0)


SHAPED = 1_500_000  # characters of text whose shapes are kept, for each kind of letters: 13 bytes for each


@lru_cache(maxsize=4)
def _shapes(letters: Style) -> ByText[Shape]:
    """The shapes of turns in such letters: planning looks at the same turns on several pages."""
    return ByText(lambda text: shape(normalise(text, letters.scripts), letters), SHAPED)


def _drafts(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> Iterator[Draft]:
    """Pages in order, each filled with as many whole turns as fit; only a turn larger than a page is cut."""
    page: Draft | None = None
    box, letters = Box.of(style, sheet, _digits(turns)), _letters(style)
    shape_of = _shapes(letters)
    for turn in turns:
        text = shape_of(turn.text)
        if page is not None:
            if page.holds(turn, text):
                continue
            yield page
        page, start = Draft(style, letters, sheet, box), 0
        while (start := page.put(turn, text, start)) < len(text.told):
            yield page
            page = Draft(style, letters, sheet, box)
    if page is not None:
        yield page


def layout(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> list[Layout]:
    """Whole turns packed into as many pages as needed, in order.

    A turn spans two pages only if it alone is larger than a page: then it is cut over consecutive pages and
    nothing is lost. Raises `ConfigError` if the sheet is too small for the style; never for what the text holds.
    """
    return [draft.finished() for draft in _drafts(turns, style, sheet)]


def measure(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> list[tuple[int, int, int, int]]:
    """First turn, last turn, width and height (pixels) of each page that `layout` would return."""
    return [(*d.turns, sheet.width, d.height) for d in _drafts(turns, style, sheet)]


def fit(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> int:
    """How many leading turns fit on one page: 0 if the first alone does not."""
    first = next(_drafts(turns, style, sheet), None)
    return first.whole if first else 0
