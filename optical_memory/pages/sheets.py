"""The words of this folder: how text is drawn (`Style`), on what (`Sheet`), and what (`TurnText`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from optical_memory.errors import ConfigError

SIZES = range(5, 25)  # pixels that letters may be high: below 5 nothing is readable, above 24 text is cheaper
GAPS = range(4)  # pixels of paper that may be left between lines
LARGEST = 28  # of a page with other scripts, some of which need half as many pixels again
# name -> twentieths of its natural width that a letter is given
FACES = {"sans": 20, "slim": 19, "narrow": 18, "wide": 23, "tall": 21}
TALL = {"tall"}  # faces whose letters stand on the lowest sixth of the line: descenders squeezed, strokes heavier
CHARACTER = 0.53  # of the letters' height squared: up to 0.59 on full pages of chat and tool output, gutter included


@dataclass(frozen=True, slots=True)
class Style:
    """How a tier is drawn. `size` is the height of the letters in pixels (ascender to descender), 5 to 24; `face` is
    "sans", "slim", "narrow" or "wide": the same letters at 19, 18 or 23 twentieths of their width; or "tall", for the
    smallest type: there everything above the baseline is larger, at the cost of the descenders. `gap` is the paper
    between two lines in pixels, 0 to 3: without any, descenders touch the capitals below, and a reader that has to
    find the lines by itself joins or skips some.

    Raises `ConfigError` for a size, face or gap that there is not.
    """

    size: int
    face: str = "sans"
    bold: bool = False  # draw salient strings (ids, numbers, dates, mails, names, negations) and small signs bold
    scripts: str = ""  # what the fonts of the extra `scripts` draw: "e" emoji, "s" all; else codes stand there
    raised: int = 0  # the height of the letters where other scripts need more than `size`; 0: as `size`
    gap: int = 0  # pixels of paper between two lines

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ConfigError(f"Style(size={self.size!r}): use a line pitch of {SIZES[0]} to {SIZES[-1]} pixels")
        if self.face not in FACES:
            raise ConfigError(f"Style(face={self.face!r}): use one of {', '.join(map(repr, FACES))}")
        if self.scripts not in {"", "e", "s"}:
            raise ConfigError(f"Style(scripts={self.scripts!r}): use 'e' for emoji, 's' for all scripts or '' for none")
        if self.gap not in GAPS:
            raise ConfigError(f"Style(gap={self.gap!r}): use {GAPS[0]} to {GAPS[-1]} pixels between lines")
        if self.raised and (self.scripts != "s" or not self.size <= self.raised <= LARGEST):
            raise ConfigError(f"Style(raised={self.raised!r}): with scripts='s', from size= up to {LARGEST} pixels")

    @property
    def cell(self) -> int:
        """The height in pixels, ascender to descender, at which letters are drawn on the page."""
        return self.raised or self.size

    @property
    def pitch(self) -> int:
        """The pixels from one line of the page to the next."""
        return self.cell + self.gap

    @property
    def plain(self) -> Style:
        """The style of a page with nothing but what the atlas has: what a profile names."""
        return Style(self.size, self.face, self.bold, gap=self.gap)

    @property
    def key(self) -> str:
        """A short stable name such as `sans9`, `sans6b`, `sans8g1` (a pixel between lines) or, with other scripts at
        14 pixels, `sans9s14`."""
        gap = f"g{self.gap}" if self.gap else ""
        return f"{self.face}{self.size}{'b' if self.bold else ''}{gap}{self.scripts}{self.raised or ''}"

    @property
    def area(self) -> float:
        """Pixels of a page for each character drawn on it, where a page is densest: by this styles are compared."""
        return CHARACTER * self.size * (self.size + self.gap) * FACES[self.face] / FACES["sans"]

    @staticmethod
    def of(told: int | str) -> Style:
        """The style with this key, or the plain face at this line pitch in pixels. Raises `ConfigError`."""
        if isinstance(told, int) and not isinstance(told, bool):
            return Style(told)
        found = re.fullmatch(r"([a-z]+)([0-9]{1,2})(b?)(?:g([0-9]))?(?:([es])([0-9]{1,2})?)?", str(told))
        if found is None:
            raise ConfigError(
                f"style {told!r}: give a line pitch in pixels such as 9, or a face with one such as sans9b or sans8g1"
            )
        size, face, bold, gap, scripts, raised = int(found[2]), found[1], bool(found[3]), *found.group(4, 5, 6)
        return Style(size, face, bold, scripts or "", int(raised or 0), int(gap or 0))


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a page may be on a model's grid, in pixels. `width` is fixed, `height` the most a page may have.

    Raises `ConfigError` for sides or steps that are not positive.
    """

    width: int
    height: int
    step: int = 1  # a cropped height is rounded up to a multiple of this
    crop: bool = True  # False: always the full height, where a half-empty page costs the same

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.step) < 1:
            raise ConfigError(f"Sheet(width={self.width}, height={self.height}, step={self.step}): use positive pixels")

    @property
    def key(self) -> str:
        """A short stable name such as `1344x1904/28`, where 28 is the crop step; `!` where it is not cropped."""
        return f"{self.width}x{self.height}" + (f"/{self.step}" if self.crop else "!")


@dataclass(frozen=True, slots=True)
class TurnText:
    """What the renderer needs of a turn; `text` may hold anything, lone surrogates and NUL included."""

    number: int
    role: str  # "user", "assistant", "system" or "tool"
    text: str
    date: str | None = None  # ISO day (YYYY-MM-DD): drawn at a page's first turn and at each change of day
    name: str | None = None  # the speaker's name: drawn in the turn's mark

    @property
    def label(self) -> str:
        """Role letter and number, such as `u17`."""
        letter = self.role[:1].lower()
        return f"{letter if letter in 'uast' and letter else 'o'}{self.number}"
