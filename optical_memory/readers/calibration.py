"""What a reader was found to read, and which tiers follow from it. Pure: readings in, a profile out.

rows (one for each style) -> `choose` (tiers, exact) -> `Calibration` -> JSON, and the `Profile` that a memory uses
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile
from math import inf
from typing import Any

from optical_memory.cost import Profile, capped
from optical_memory.errors import ConfigError
from optical_memory.pages import RENDERER, Style
from optical_memory.planning.tiers import DRAWN
from optical_memory.readers.scoring import Score, Share, Strings

VERSION = (
    3  # of the JSON form; before, turns were not counted, and in version 1 styles were told by their line pitch alone
)
READ = (1, 2, VERSION)  # versions that can be read
CHARS: Mapping[str, float] = {"vivid": 0.99, "clear": 0.96, "dense": 0.88}  # characters that a tier has to keep
CODES = 0.85  # of random codes that the vivid tier has to keep
CODES_LOW = 0.75  # and the lower end of that share's interval: with 20 codes, 19 have to be right
UNSTABLE = 0.25  # wrong strings beyond the unread ones, of all: from here on a reader makes things up
EXACT_WRONG = 0.02  # of strings read wrong where ids and numbers count as safe
EXACT_WRONG_HIGH = 0.06  # and the upper end of that share's interval: none wrong of 61, two of 120
EXACT_RIGHT = 0.95  # of strings read right there: one that is not read is of no use either


@dataclass(frozen=True, slots=True)
class Row:
    """What was read in one style: `pages` pages of `drawn` characters for `tokens` image tokens."""

    style: Style
    pages: int
    drawn: int
    tokens: int
    score: Score

    @property
    def chars_per_token(self) -> float:
        """Characters of source text for each image token."""
        return self.drawn / self.tokens if self.tokens else 0.0

    @property
    def made_up(self) -> float:
        """Share of the exact strings (-1 to 1) that were read wrong beyond those that were owned to be unread."""
        strings = self.score.strings
        return (strings.wrong - strings.unread) / strings.of if strings.of else 0.0

    @property
    def readable(self) -> float:
        """Share of what may be asked of a turn that was read: the mean of its gist (characters), a string, and all of it."""
        asked = [self.score.chars, self.score.strings.share("right"), self.score.turns]
        counted = [share.value for share in asked if share.of]
        return sum(counted) / max(1, len(counted))

    def to_json(self) -> dict[str, Any]:
        """A JSON value from which `from_json` makes the same row; shares as [hits, of], strings as right, unread, wrong."""
        s = self.score
        counts = {
            name: [one.right, one.unread, one.wrong] for name, one in (("codes", s.codes), ("strings", s.strings))
        }
        sizes = {"style": self.style.key, "pages": self.pages, "drawn": self.drawn, "tokens": self.tokens}
        shares = {name: [one.hits, one.of] for name, one in (("chars", s.chars), ("turns", s.turns))}
        return sizes | shares | counts

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Row:
        """The row that `to_json` gave, in this version or one before."""
        chars, turns = Share(*value["chars"]), Share(*value.get("turns", (0, 0)))
        score = Score(chars, Strings(*value["codes"]), Strings(*value["strings"]), turns)
        style = Style.of(value["style"] if "style" in value else value["size"])
        return Row(style, value["pages"], value["drawn"], value["tokens"], score)


def monotone(shares: Sequence[Share]) -> list[Share]:
    """Shares that never rise from the first to the last: neighbours that do are pooled (Ayer and others, 1955).

    From the largest type to the smallest, what is read better in smaller type is chance, and both count as one.
    """
    pools: list[tuple[Share, int]] = []
    for share in shares:
        pool, members = share, 1
        while pools and pool.value > pools[-1][0].value:
            before, count = pools.pop()
            pool, members = before + pool, members + count
        pools.append((pool, members))
    return [pool for pool, members in pools for _ in range(members)]


def _passes(tier: str, chars: Share, codes: Share) -> bool:
    enough = chars.value >= CHARS[tier]
    return enough and (tier != "vivid" or (codes.value >= CODES and codes.interval[0] >= CODES_LOW))


def _is_exact(row: Row) -> bool:
    wrong, right = (row.score.strings.share(which) for which in ("wrong", "right"))
    return wrong.value <= EXACT_WRONG and wrong.interval[1] <= EXACT_WRONG_HIGH and right.value >= EXACT_RIGHT


@dataclass(frozen=True, slots=True)
class Chosen:
    """The smallest type of each tier, None where there is none, and whether exact strings are safe in it."""

    tiers: Mapping[str, Style | None]
    exact: Mapping[str, bool]

    def keys(self) -> dict[str, str | None]:
        """The tiers' styles by their keys."""
        return {tier: style.key if style else None for tier, style in self.tiers.items()}


def choose(rows: Sequence[Row]) -> Chosen:
    """The tiers that these readings allow.

    A tier is the smallest type (by `Style.area`) that keeps its share of characters (`CHARS`), and of codes for `vivid`.
    From the style on in which a reader makes strings up (`UNSTABLE`) nothing smaller is used, whatever was read there. Type
    with paper between its lines and type without are judged apart, and of the two the one is taken of which more is read for
    its pixels. The clear tier lies between the other two, and more is read of it than of the dense one; where the smallest
    type is sharp enough for it and there is none between, it is the clear tier and there is no dense one.
    """
    kinds = groupby(sorted(rows, key=lambda row: (row.style.gap, -row.style.area)), key=lambda row: row.style.gap)
    families = [_stable(list(family)) for _, family in kinds]

    def best(tier: str, high: float, above: Row | None = None) -> Row | None:
        smallest = (_smallest(family, tier, high, above) for family in families)
        return max(filter(None, smallest), default=None, key=lambda row: row.readable / row.style.area)

    vivid = best("vivid", inf)
    top = vivid.style.area if vivid else inf
    dense = best("dense", top)
    clear = best("clear", top, dense) if dense else None
    if clear is None and best("clear", top) == dense:
        clear, dense = dense, None
    found = {"vivid": vivid, "clear": clear, "dense": dense}
    tiers = {tier: row.style if row else None for tier, row in found.items()}
    return Chosen(tiers, _exact(tiers, {row.style: row for row in rows}))


Judged = tuple[Row, Share, Share]  # with its shares of characters and codes, as `monotone` has them


def _stable(falling: Sequence[Row]) -> list[Judged]:
    """The rows down to where a reader begins to make strings up."""
    stable = list(takewhile(lambda row: row.made_up <= UNSTABLE, falling))
    chars = monotone([row.score.chars for row in stable])
    codes = monotone([row.score.codes.share("right") for row in stable])
    return list(zip(stable, chars, codes, strict=True))


def _smallest(family: Sequence[Judged], tier: str, high: float, above: Row | None) -> Row | None:
    """The smallest type of a tier below an area; with `above`, larger than that one and read better."""
    passing = [row for row, c, k in family if row.style.area < high and _passes(tier, c, k)]
    if above is not None:
        passing = [r for r in passing if r.style.area > above.style.area and r.readable > above.readable]
    return min(passing, default=None, key=lambda row: row.style.area)


def _exact(tiers: Mapping[str, Style | None], rows: Mapping[Style, Row]) -> dict[str, bool]:
    """Exact as far down as every tier above is exact too."""
    safe, found = True, {}
    for tier, style in tiers.items():
        safe = safe and (style is None or _is_exact(rows[style]))
        found[tier] = safe and style is not None
    return found


@dataclass(frozen=True)
class Calibration:
    """A blind test's outcome: who read, what was drawn how, the rows, and the tiers chosen from them."""

    model: str  # the reader's name, by which its costs are found
    seed: int
    rows: tuple[Row, ...]
    chosen: Chosen
    date: str = ""  # ISO day
    sheet: str = ""  # the geometry of the pages
    renderer: str = field(default=RENDERER)

    def profile(self, base: Profile) -> Profile:
        """`base` with these tiers instead of its own; a reader that reads no page at all counts as blind.

        Tiers that an OCR engine read say little of a vision model: such a base keeps its cap of characters per token, and
        what would be denser is drawn larger.
        """
        rows = {row.style: row for row in self.rows}
        used = {tier: rows[style] for tier, style in self.chosen.tiers.items() if style in rows}
        densest = max((row.chars_per_token for row in used.values()), default=None)
        borrowed = self.model.startswith("ocr:") and not base.name.startswith("ocr:")
        note = f"tiers as {self.model} reads them, which is no model's eye" if borrowed else ""
        tiers = capped(base, self.chosen.tiers) if borrowed else dict(self.chosen.tiers)
        return replace(
            base,
            vision=any(tiers.values()),
            tiers=tiers,
            exact={tier: tiers[tier] is not None and self.chosen.exact.get(tier, False) for tier in tiers},
            shares={**base.shares, **{tier: row.readable for tier, row in used.items()}},
            chars_per_token=base.chars_per_token if borrowed else densest,
            source=f"{base.source.partition('; reading:')[0]}; reading: calibrated on {self.model}, seed {self.seed}",
            date=self.date or base.date,
            note=note if any(tiers.values()) else "calibrate found no size at which pages are read",
        )

    def to_json(self) -> str:
        """The calibration as JSON, for people too: the tiers may be edited by hand."""
        return json.dumps(
            {
                "version": VERSION, "model": self.model, "date": self.date, "seed": self.seed, "sheet": self.sheet,
                "renderer": self.renderer, "tiers": self.chosen.keys(), "exact": dict(self.chosen.exact),
                "rows": [row.to_json() for row in self.rows],
            }, indent=1,
        ) + "\n"  # fmt: skip

    @staticmethod
    def from_json(text: str) -> Calibration:
        """The calibration that `to_json` wrote. Raises ConfigError for anything else."""
        try:
            told = json.loads(text)
            if told["version"] not in READ:
                raise ConfigError(f"this calibration is of version {told['version']!r}, not {VERSION}: calibrate again")
            chosen = Chosen(
                {t: _style(told["tiers"].get(t)) for t in DRAWN}, {t: bool(told["exact"].get(t)) for t in DRAWN}
            )
            _check(chosen)
            rows = tuple(Row.from_json(row) for row in told["rows"])
            return Calibration(told["model"], told["seed"], rows, chosen, told["date"], told["sheet"], told["renderer"])
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ConfigError(f"this is not a calibration ({type(error).__name__}: {error}): make one with "
                              "optical-memory calibrate") from error  # fmt: skip


def _style(told: int | str | None) -> Style | None:
    return None if told is None else Style.of(told)


def _check(chosen: Chosen) -> None:
    """Raises ConfigError for styles that do not fall from tier to tier."""
    areas = [style.area for style in chosen.tiers.values() if style is not None]
    if sorted(set(areas), reverse=True) != areas:
        raise ConfigError(f"tiers {chosen.keys()}: give each tier smaller type than the one above it")


def report(calibration: Calibration) -> str:
    """The table of a calibration as plain text, 95 % intervals in brackets."""
    lines = [f"{'style':>9} {'pages':>5} {'characters':>21} {'n':>6} {'turns':>7} {'codes right':>21} {'n':>4} "
             f"{'strings right':>21} {'unread':>6} {'wrong':>6} {'n':>4} {'chars/token':>11}  tier"]  # fmt: skip
    names = {style: tier for tier, style in calibration.chosen.tiers.items() if style is not None}
    for row in calibration.rows:
        tier = names.get(row.style, "")
        lines.append(_line(row, tier + (", exact" if calibration.chosen.exact.get(tier) else "")))
    return "\n".join(lines)


def _line(row: Row, tier: str) -> str:
    s = row.score
    strings = s.strings
    return (
        f"{row.style.key:>9} {row.pages:>5} {_share(s.chars):>21} {s.chars.of:>6} "
        f"{f'{s.turns.hits}/{s.turns.of}':>7} {_share(s.codes.share('right')):>21} "
        f"{s.codes.of:>4} {_share(strings.share('right')):>21} {strings.unread:>6} {strings.wrong:>6} {strings.of:>4} "
        f"{row.chars_per_token:>11.1f}  {tier}"
    ).rstrip()


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:6.1%} [{low:5.1%}-{high:6.1%}]"
