"""The blind test, done: pages are drawn, read, kept in a file as they come, and scored.

An interrupted run goes on where it was: a page that the file of readings holds is not read again.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from optical_memory.config import DEFAULT_BUDGET
from optical_memory.cost import Profile, count_o200k, profile, tables
from optical_memory.errors import ConfigError
from optical_memory.pages import RENDERER, Sheet, Style, render_page
from optical_memory.planning.looks import sheet_for
from optical_memory.readers.base import Reader
from optical_memory.readers.blind import CHARS, Sheetful, sheetfuls
from optical_memory.readers.calibration import Calibration, Row, choose
from optical_memory.readers.scoring import Score, judge

LADDER = (  # from the largest type to the smallest, in the face that did best there; bold costs one engine codes in large type
    "sans20", "sans18", "sans16", "sans14", "sans12", "sans11", "sans10", "sans9", "narrow9b", "sans8b", "narrow8b", "sans7b",
    "tall6b",
    "sans12g1", "sans10g1", "narrow9g1", "sans8g1",  # with paper between lines, for readers that lose lines sooner than letters
)  # fmt: skip
PAGES = 4  # of each style: about 95 codes and 180 exact strings
HOPELESS = 0.85  # of characters: below the least that a tier may keep, smaller type is not tried
ASKED = 120  # tokens of the question beside a page, rounded up
OUTPUT_RATIO = 5  # an answered token costs about so many asked ones where its price is not known

Progress = Callable[[int, int, str], None]  # pages done, pages in all, what was just read
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One blind test: what is drawn, and how much of it. A style is told by itself, its key or its line pitch in pixels."""

    seed: int = 0
    styles: tuple[Style | str | int, ...] = LADDER
    pages: int = PAGES
    chars: int = CHARS

    def __post_init__(self) -> None:
        if self.pages < 1 or not self.styles:
            raise ConfigError(f"pages={self.pages}, styles={self.styles}: give at least one page and one style")
        self.falling()

    def falling(self) -> list[Style]:
        """The styles from the largest type to the smallest. Raises ConfigError for one that cannot be drawn."""
        made = {one if isinstance(one, Style) else Style.of(one) for one in self.styles}
        return sorted(made, key=lambda style: (-style.area, style.key))

    def drawn(self, sheet: Sheet) -> dict[Style, list[Sheetful]]:
        """The pages of each style, from the largest type to the smallest."""
        return {s: list(sheetfuls(self.seed, self.pages, s, sheet, self.chars)) for s in self.falling()}


def page_sheet(of: Profile) -> Sheet:
    """The geometry that a memory of the usual budget would use. Raises ConfigError for a model that cannot see."""
    found = None if tables.blind(of.name) else sheet_for(replace(of, vision=True), DEFAULT_BUDGET)
    if found is None:
        raise ConfigError(f"{of.name!r} cannot see images: there is nothing to calibrate, its memory stays text")
    of.check(found.width, found.height)
    return found


class Readings:
    """What was read of each page, in a JSON Lines file that grows page by page; without a path, in memory only."""

    def __init__(self, path: Path | None, model: str) -> None:
        self._path, self._model = path, model
        self._read: dict[Key, str] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                self._load(line)

    def _load(self, line: str) -> None:
        """A line that was cut off when a run was stopped is passed over, and its page read again."""
        try:
            told = json.loads(line)
            self._read[tuple(told[name] for name in ("model", "renderer", "seed", "size", "page", "sha256"))] = told[
                "text"
            ]
        except (json.JSONDecodeError, KeyError, TypeError):
            return

    def _key(self, seed: int, sheetful: Sheetful, png: bytes) -> dict[str, object]:
        return {
            "model": self._model, "renderer": RENDERER, "seed": seed, "size": sheetful.page.style.size,
            "page": sheetful.number, "sha256": hashlib.sha256(png).hexdigest(),
        }  # fmt: skip

    def known(self, seed: int, sheetful: Sheetful) -> bool:
        """Was this page read already?"""
        return tuple(self._key(seed, sheetful, render_page(sheetful.page)).values()) in self._read

    def of(self, reader: Reader, seed: int, sheetful: Sheetful) -> str:
        """The reading of this page: what is known, else the reader's, which is kept before it is returned."""
        png = render_page(sheetful.page)
        key = self._key(seed, sheetful, png)
        found = self._read.get(tuple(key.values()))
        return self._new(key, reader.read(png)) if found is None else found

    def _new(self, key: Mapping[str, object], text: str) -> str:
        self._read[tuple(key.values())] = text
        if self._path is not None:
            torn = _torn(self._path)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * torn + json.dumps({**key, "text": text}) + "\n")
        return text


def _torn(path: Path) -> bool:
    """Does the file end inside a line?"""
    return path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")


def calibrate(
    reader: Reader,
    *,
    trial: Trial | None = None,
    of: Profile | None = None,
    readings: Path | None = None,
    progress: Progress | None = None,
    date: str = "",
) -> Calibration:
    """Let a reader read the blind test, and choose its tiers.

    `of` is the profile whose page geometry and prices are used (by the reader's name, if not given), `readings` the file
    that an interrupted run goes on from, `date` the ISO day that the calibration is to carry. Type smaller than the first of
    which fewer than `HOPELESS` of the characters are read is not tried; type with paper between its lines is judged apart.
    Raises ConfigError for a model that cannot see; what a reader raises passes through, and what was read until then is kept.
    """
    trial, of = trial or Trial(), of or profile(reader.name)
    sheet = page_sheet(of)
    known, rows, done = Readings(readings, reader.name), [], 0
    lost: set[int] = set()  # gaps between lines at which smaller type is not tried any more
    total = trial.pages * len(trial.falling())
    for style, pages in trial.drawn(sheet).items():
        if style.gap in lost:
            continue
        score = Score()
        for sheetful in pages:
            score += judge(sheetful.truth, known.of(reader, trial.seed, sheetful))
            done += 1
            if progress:
                progress(done, total, f"{style.key}, page {sheetful.number}")
        rows.append(_row(style, pages, score, of))
        if score.chars.value < HOPELESS:
            lost.add(style.gap)
    return Calibration(reader.name, trial.seed, tuple(rows), choose(rows), date, sheet.key)


def _row(style: Style, pages: Sequence[Sheetful], score: Score, of: Profile) -> Row:
    tokens = sum(of.image(s.page.width, s.page.height) for s in pages)
    return Row(style, len(pages), sum(s.page.chars for s in pages), tokens, score)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the pages that are still to be read would cost at most: calls, tokens asked and answered, USD."""

    calls: int
    asked: int
    answered: int
    usd: float


def estimate(
    of: Profile, trial: Trial | None = None, readings: Path | None = None, model: str | None = None
) -> Estimate:
    """The cost of a run before it is paid for, without the pages that `readings` holds; thinking is not foreseen.

    Answers are the whole text again, at the model's price for them or at `OUTPUT_RATIO` times its input price.
    """
    trial, known = trial or Trial(), Readings(readings, model or of.name)
    pages = [s for group in trial.drawn(page_sheet(of)).values() for s in group if not known.known(trial.seed, s)]
    asked = sum(of.image(s.page.width, s.page.height) + ASKED for s in pages)
    answered = ceil(sum(count_o200k(s.truth.text) for s in pages) * of.text_factor)
    price = replace(of.price, output=of.price.output or OUTPUT_RATIO * of.price.base)
    return Estimate(len(pages), asked, answered, price.bill(asked, answer=answered))


def load(path: Path | str) -> Calibration:
    """The calibration in a file. Raises ConfigError if there is none, or if it was made with other glyphs."""
    try:
        found = Calibration.from_json(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the calibration {str(path)!r} ({error}): make it with "
                          f"optical-memory calibrate --model MODEL --out {path}") from error  # fmt: skip
    except ConfigError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from error
    if _glyphs(found.renderer) != _glyphs(RENDERER):
        warnings.warn(
            f"{str(path)!r} was calibrated on pages that another renderer drew: calibrate again", stacklevel=2
        )
    return found


def _glyphs(renderer: str) -> str:
    """A renderer without the release of zlib, which changes bytes but no pixel."""
    return renderer.partition("-zlib")[0]


def load_profile(path: Path | str, base: Profile | None = None) -> Profile:
    """The profile of a calibrated model, for `OpticalMemory(profile=...)`; costs come from `base` or the tables.

    Raises ConfigError for a file that is not a calibration.
    """
    found = load(path)
    return found.profile(base or profile(found.model))


def styles_of(text: str) -> tuple[Style, ...]:
    """The styles that "20,16,narrow9b" or "20-6" name, from the largest type to the smallest. Raises ConfigError.

    A line pitch stands for the faces that `LADDER` has there without paper between lines, or for the plain one.
    """
    found: list[Style] = []
    for part in (part.strip() for part in text.split(",")):
        ends = re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", part)
        if ends is None and not re.fullmatch(r"[a-z]+[0-9]{1,2}b?(g[0-9])?", part):
            raise ConfigError(f"sizes {text!r} cannot be read: give line pitches in pixels such as 20,16,12 or 6-20, "
                              "or styles such as narrow9b or sans8g1")  # fmt: skip
        low, high = sorted((int(ends[1]), int(ends[2] or ends[1]))) if ends else (0, -1)
        found += [Style.of(part)] if ends is None else []
        found += [style for size in range(low, high + 1) for style in _at(size)]
    return tuple(Trial(styles=tuple(found)).falling())


def _at(size: int) -> list[Style]:
    """The styles that are tried at a line pitch in pixels."""
    return [style for style in map(Style.of, LADDER) if (style.size, style.gap) == (size, 0)] or [Style(size)]
