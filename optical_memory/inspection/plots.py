"""Pictures of a memory as small SVG without a script, a style sheet or an address. Pure: figures in, a string out.

Each picture is a value with `svg()`, and `plot(ax=None)` for those who use matplotlib (the extra `plot`). Text and lines take
the colour of their surroundings and the tiers colours that stand out on white and on black; `as_file` adds what a file that
stands alone needs for that. Every colour has its name beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from math import ceil, floor, log10
from typing import Any

from optical_memory.cost.profiles import SHARES
from optical_memory.errors import MissingExtraError
from optical_memory.inspection.output import many
from optical_memory.planning.context import READABLE
from optical_memory.planning.decay import Age, Schedule, Unit
from optical_memory.planning.tiers import TIERS
from optical_memory.shown import safe

WIDTH = 720  # pixels of every picture
LEFT, RIGHT = 64, 16  # pixels beside a plot
POINTS = 300  # of a line or a band at most
SMALL = 11  # pixels of the small type
CHAR = 6.3  # pixels that a character of it is wide, about
COLOURS = {
    "text": "#3f9a63",
    "current": "#2b8052",
    "excerpt": "#3f9a63",
    "vivid": "#1f86b5",
    "clear": "#5aa3cd",
    "dense": "#8fb6d0",
    "card": "#a884c4",
    "handle": "#98948c",
    "facts": "#c99237",
    "recalled": "#c8694a",
    "preamble": "#7f8794",
    "reserved": "#6f6b66",
}
PALE = ("dense", "handle", "facts", "clear")  # dark letters are read better on these
OVER = "#d0342c"
SHOWN: Mapping[str, float] = {**READABLE, **SHARES}  # readable share of each tier where nothing was measured
FILE_STYLE = "<style>svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#d8dee4}}</style>"


def as_file(svg: str) -> str:
    """A picture that stands alone: dark letters on light ground, light ones on dark. Not for a page with a strict policy."""
    start = svg.index(">") + 1
    return f"{svg[:start]}{FILE_STYLE}{svg[start:]}\n"


# --------------------------------------------------------------------------------------------- the decay curve


@dataclass(frozen=True, slots=True)
class Stage:
    """From the age `since` on, a span is shown at this tier at best."""

    tier: str
    since: float


def stages(schedule: Schedule, unit: Unit = "turns", upto: float = 2_000) -> tuple[Stage, ...]:
    """What a schedule allows from age 0 to `upto` in one unit, while the others stay 0. Works for any callable."""
    found = [Stage(schedule(_age(unit, 0)), 0.0)]
    ages = [0.0, *(upto * 1.07 ** (n - 200) for n in range(201))]
    for before, after in pairwise(ages):
        if schedule(_age(unit, after)) != found[-1].tier:
            since = _turning(lambda age: schedule(_age(unit, age)) == found[-1].tier, before, after)
            found.append(Stage(schedule(_age(unit, since)), since))
    return tuple(found)


def _age(unit: Unit, amount: float) -> Age:
    return Age(**{"turns": 0.0, "tokens": 0.0, "hours": 0.0, unit: amount})


def _turning(still: Callable[[float], bool], low: float, high: float) -> float:
    """The age between two at which something ends, to a thousandth; a whole number where one is as good."""
    while high - low > 0.001 * max(1.0, low):
        middle = (low + high) / 2
        low, high = (middle, high) if still(middle) else (low, middle)
    return float(round(high)) if not still(round(high)) and abs(high - round(high)) < 0.01 * max(1, high) else high


@dataclass(frozen=True, slots=True)
class DecayCurve:
    """How much of a span stays readable as it ages, by the tiers that a schedule allows; `readable` is 0 to 1 for each tier."""

    stages: tuple[Stage, ...]
    unit: str = "turns"
    upto: float = 2_000
    readable: Mapping[str, float] | None = None
    name: str = ""

    @staticmethod
    def of(
        schedule: Schedule,
        *,
        unit: Unit = "turns",
        upto: float | None = None,
        readable: Mapping[str, float] | None = None,
    ) -> DecayCurve:
        """The curve of a schedule; up to a little beyond its last stage where `upto` (in `unit`) is not given."""
        found = stages(schedule, unit, upto or 1e6)
        end = upto or max(100.0, found[-1].since * 1.4)
        name = str(getattr(schedule, "name", getattr(schedule, "__name__", "schedule")))
        return DecayCurve(tuple(s for s in found if s.since <= end), unit, end, readable, name)

    def share(self, tier: str) -> float:
        """Readable share of a tier, 0 to 1."""
        return (self.readable or SHOWN).get(tier, SHOWN.get(tier, 0.0))

    def svg(self) -> str:
        """The curve: age to the right, readable share upwards, each stage under its name."""
        frame = Frame(LEFT, 40, WIDTH - LEFT - RIGHT, 150, 0.0, self.upto, 1.0)
        ends = [s.since for s in self.stages[1:]] + [self.upto]
        bands = "".join(self._band(frame, s, end) for s, end in zip(self.stages, ends, strict=True))
        grid = frame.grid([(v, f"{100 * v:.0f} %") for v in (0, 0.25, 0.5, 0.75, 1.0)])
        ages = frame.foot(
            [(s.since, _short(s.since)) for s in self.stages] + [(self.upto, f"{_short(self.upto)} {self.unit}")]
        )
        title = f"Readable share by age in {self.unit}, schedule {self.name}"
        return _picture(226, title, _text(LEFT, 20, title, weight=600) + grid + bands + ages)

    def _band(self, frame: Frame, stage: Stage, end: float) -> str:
        x, right, y = frame.x(stage.since), frame.x(end), frame.y(self.share(stage.tier))
        return (
            _rect(
                x, y, right - x, frame.bottom - y, COLOURS[stage.tier], f"{stage.tier} from {_short(stage.since)}", 0.35
            )
            + _line(x, y, right, y, COLOURS[stage.tier], 2.5)
            + self._label(frame, stage.tier, x, y, right - x)
        )

    def _label(self, frame: Frame, tier: str, x: float, y: float, width: float) -> str:
        """A band's name on its upper edge; along its side where it is too narrow for that."""
        if _fitting(tier, width - 8):
            return _text(x + 5, y - 6 if y > frame.top + 14 else y + 15, tier, weight=600)
        place = f'transform="translate({x + width / 2 + 4:.1f},{frame.bottom - 8:.1f}) rotate(-90)"'
        return f"<g {place}>{_text(0, 0, tier, weight=600)}</g>" if width > 12 else ""

    def plot(self, ax: Any = None) -> Any:
        """The same with matplotlib, on `ax` or on a new figure; returns the axes. Raises MissingExtraError."""
        ax = _axes(ax)
        for stage, end in zip(self.stages, [s.since for s in self.stages[1:]] + [self.upto], strict=True):
            share = self.share(stage.tier)
            ax.fill_between([stage.since, end], [share, share], color=COLOURS[stage.tier], alpha=0.4, label=stage.tier)
            ax.plot([stage.since, end], [share, share], color=COLOURS[stage.tier])
        return _labelled(ax, f"age in {self.unit}", "readable share", 1.05)


# --------------------------------------------------------------------------------------------- tokens over turns


@dataclass(frozen=True, slots=True)
class TokensByTier:
    """What a thread's context held at each turn: `rows` are (turn, tokens by tier), oldest first."""

    rows: tuple[tuple[int, Mapping[str, int]], ...]
    budget: int | None = None

    @staticmethod
    def of(turns: Sequence[int], steps: Iterable[Mapping[str, Any]], budget: int | None = None) -> TokensByTier:
        """From each turn's tokens as text and the log of steps (`looking.steps`), of which those taken back are left out.

        What stands around the pages (preamble, facts) is not in it.
        """
        due: dict[int, list[Mapping[str, Any]]] = {}
        for step in steps:
            if not step["undone"]:
                due.setdefault(step["at_turn"] or 0, []).extend(step["changes"])
        held: dict[str, int] = {}
        rows = []
        for number, tokens in enumerate(turns, 1):
            held["text"] = held.get("text", 0) + tokens
            for change in due.get(number, ()):
                _moved(held, change)
            rows.append((number, dict(held)))
        return TokensByTier(tuple(rows), budget)

    @property
    def kinds(self) -> list[str]:
        """The tiers that occur, the faintest first: they lie at the bottom, as old turns do."""
        return [t for t in reversed(TIERS) if any(held.get(t) for _, held in self.rows)]

    def svg(self) -> str:
        """Bands of tokens over turns, the budget as a line."""
        rows = _thinned(self.rows)
        most = max([sum(held.values()) for _, held in rows] + [self.budget or 0, 1])
        first, last = (rows[0][0], rows[-1][0]) if rows else (0, 1)
        frame = Frame(LEFT, 40, WIDTH - LEFT - RIGHT, 170, first, max(last, first + 1), _nice(most))
        grid = frame.grid([(frame.most * n / 4, _short(frame.most * n / 4)) for n in range(5)])
        foot = frame.foot([(first, f"turn {first}"), (last, f"{last:,}")])
        limit = _limit(frame, self.budget) if self.budget else ""
        body = grid + self._bands(frame, rows) + limit + foot + _key(self.kinds, 256)
        return _picture(
            276, "Tokens by tier over turns", _text(LEFT, 20, "Tokens by tier over turns", weight=600) + body
        )

    def _bands(self, frame: Frame, rows: Sequence[tuple[int, Mapping[str, int]]]) -> str:
        below = [0.0] * len(rows)
        drawn = []
        for kind in self.kinds:
            above = [low + held.get(kind, 0) for low, (_, held) in zip(below, rows, strict=True)]
            numbers = [number for number, _ in rows]
            there = [frame.point(n, v) for n, v in zip(numbers, above, strict=True)]
            back = [frame.point(n, v) for n, v in zip(numbers, below, strict=True)]
            points = " ".join([*there, *reversed(back)])
            drawn.append(f'<polygon points="{points}" fill="{COLOURS[kind]}"><title>{kind}</title></polygon>')
            below = above
        return "".join(drawn)

    def plot(self, ax: Any = None) -> Any:
        """The same with matplotlib; returns the axes. Raises MissingExtraError."""
        ax, kinds = _axes(ax), self.kinds
        values = [[held.get(kind, 0) for _, held in self.rows] for kind in kinds]
        if values:
            colours = [COLOURS[k] for k in kinds]
            ax.stackplot([number for number, _ in self.rows], *values, labels=kinds, colors=colours)
        if self.budget:
            ax.axhline(self.budget, linestyle="--", color="grey", label="budget")
        return _labelled(ax, "turn", "tokens")


def _moved(held: dict[str, int], change: Mapping[str, Any]) -> None:
    """A span's tokens leave one tier and what it costs now enters another."""
    before, after = change["before"], change["after"]
    held[before] = max(0, held.get(before, 0) - change["tokens_before"])
    held[after] = held.get(after, 0) + change["tokens_after"]


def _thinned(rows: Sequence[tuple[int, Mapping[str, int]]]) -> Sequence[tuple[int, Mapping[str, int]]]:
    step = max(1, ceil(len(rows) / POINTS))
    return rows if step == 1 else [*rows[::step], *rows[-1:]]


# --------------------------------------------------------------------------------------------- the budget


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """A call's budget and what fills it: `parts` are (kind, tokens) in the order of the call."""

    parts: tuple[tuple[str, int], ...]
    budget: int

    @staticmethod
    def of(report: Mapping[str, Any]) -> BudgetBar:
        """From what `looking.context_report` says."""
        held = [("reserved", report["reserved"])] if report["reserved"] else []
        return BudgetBar((*held, *((s["kind"], s["tokens"]) for s in report["segments"])), report["budget"])

    @property
    def merged(self) -> list[tuple[str, int]]:
        """The parts, neighbours of one kind as one."""
        out: list[tuple[str, int]] = []
        for kind, tokens in self.parts:
            if out and out[-1][0] == kind:
                out[-1] = kind, out[-1][1] + tokens
            else:
                out.append((kind, tokens))
        return out

    @property
    def used(self) -> int:
        """Tokens of all parts."""
        return sum(tokens for _, tokens in self.parts)

    def svg(self) -> str:
        """The bar; what goes beyond the budget is red behind its end."""
        whole = max(self.budget, self.used, 1)
        scale = (WIDTH - 2 * RIGHT) / whole
        words = f"{self.used:,} of {self.budget:,} tokens"
        words += f", {self.used - self.budget:,} too many" if self.used > self.budget else ""
        bar = _rect(RIGHT, 30, self.budget * scale, 30, "none", f"budget {self.budget:,}", line="currentColor")
        at = accumulate((tokens for _, tokens in self.merged), initial=0)
        parts = [
            _part(kind, tokens, RIGHT + start * scale, tokens * scale)
            for (kind, tokens), start in zip(self.merged, at, strict=False)
        ]
        end = RIGHT + self.budget * scale
        over = (
            _rect(end, 28, (whole - self.budget) * scale, 34, OVER, "over the budget", 0.55)
            if self.used > self.budget
            else ""
        )
        key = _key(list(dict.fromkeys(kind for kind, _ in self.parts)), 80)
        return _picture(
            94 + 16 * key.count("<!---->"),
            words,
            _text(RIGHT, 20, words, weight=600) + bar + "".join(parts) + over + key,
        )

    def plot(self, ax: Any = None) -> Any:
        """The same with matplotlib; returns the axes. Raises MissingExtraError."""
        ax, at, named = _axes(ax), 0, set[str]()
        for kind, tokens in self.merged:
            ax.barh([0], [tokens], left=[at], color=COLOURS.get(kind, "grey"), label=None if kind in named else kind)
            named.add(kind)
            at += tokens
        ax.axvline(self.budget, linestyle="--", color="grey", label="budget")
        ax.set_yticks([])
        return _labelled(ax, "tokens", "")


def _part(kind: str, tokens: int, x: float, width: float) -> str:
    ink = "#1b1b1b" if kind in PALE else "#fff"
    label = _fitting(f"{kind} {tokens:,}", width - 10) or _fitting(kind, width - 10)
    words = _text(x + 5, 49, label, fill=ink) if label else ""
    return _rect(x, 30, width, 30, COLOURS.get(kind, "#888"), f"{kind}: {tokens:,} tokens") + words


# --------------------------------------------------------------------------------------------- money, readable turns


@dataclass(frozen=True, slots=True)
class Bars:
    """Named amounts as horizontal bars: (name, amount, what is said beside it, colour)."""

    title: str
    rows: tuple[tuple[str, float, str, str], ...]

    @staticmethod
    def money(spent: float, instead: Mapping[str, float], ours: str = "spent") -> Bars:
        """What was spent (USD) and what the same calls would have cost in other ways, plain text the measure of all."""
        plain = instead.get("plain text", 0.0)
        of = [(ours, spent, COLOURS["vivid"]), *((name, usd, COLOURS["handle"]) for name, usd in instead.items())]
        rows = ((n, usd, f"${usd:,.2f}" + (f", {usd / plain:.2f}x" if plain else ""), c) for n, usd, c in of)
        return Bars("USD, and times the price of plain text", tuple(rows))

    @staticmethod
    def readable(turns: Mapping[str, int], shares: Mapping[str, float]) -> Bars:
        """Turns by the tier that shows them, and the share of each tier that is still readable (0 to 1)."""
        shown = [t for t in TIERS if turns.get(t)]
        said = {t: f"{100 * shares.get(t, 0):.0f} % of {many(turns[t], 'turn')}" for t in shown}
        return Bars("Readable share by tier", tuple((t, shares.get(t, 0.0), said[t], COLOURS[t]) for t in shown))

    def svg(self) -> str:
        """A line for each bar."""
        most = max([amount for _, amount, _, _ in self.rows], default=0.0) or 1.0
        lines = "".join(self._row(n, most) for n in range(len(self.rows)))
        return _picture(40 + 26 * len(self.rows), self.title, _text(RIGHT, 20, self.title, weight=600) + lines)

    def _row(self, number: int, most: float) -> str:
        name, amount, said, colour = self.rows[number]
        top, left = 34 + 26 * number, 200
        width = (WIDTH - left - 180) * amount / most
        return (
            _text(left - 10, top + 14, _fitting(name, left - 24), anchor="end")
            + _rect(left, top, max(1.0, width), 18, colour, f"{name}: {said}")
            + _text(left + max(1.0, width) + 8, top + 14, said)
        )

    def plot(self, ax: Any = None) -> Any:
        """The same with matplotlib; returns the axes. Raises MissingExtraError."""
        ax = _axes(ax)
        names = [safe(name) for name, *_ in self.rows]
        ax.barh(names, [row[1] for row in self.rows], color=[row[3] for row in self.rows])
        ax.invert_yaxis()
        ax.set_title(self.title)
        return ax


# --------------------------------------------------------------------------------------------- drawing


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot's place in pixels and its scales: `low`..`high` to the right, 0..`most` upwards."""

    left: float
    top: float
    width: float
    height: float
    low: float
    high: float
    most: float

    @property
    def bottom(self) -> float:
        """Pixels from above to the axis."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return self.left + self.width * (value - self.low) / (self.high - self.low)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return self.bottom - self.height * min(value / self.most, 1.0)

    def point(self, x: float, y: float) -> str:
        """A corner of a polygon."""
        return f"{self.x(x):.1f},{self.y(y):.1f}"

    def grid(self, ticks: Iterable[tuple[float, str]]) -> str:
        """Faint lines, each with its value at the left."""
        right = self.left + self.width
        return "".join(
            _line(self.left, self.y(value), right, self.y(value), "currentColor", 1, 0.15)
            + _text(self.left - 8, self.y(value) + 4, said, anchor="end", faint=True)
            for value, said in ticks
        )

    def foot(self, ticks: Iterable[tuple[float, str]]) -> str:
        """Values below the axis; those that would touch one before are left out, the last one stays."""
        return "".join(_spread([(self.x(value), said) for value, said in ticks], self.bottom + 18))


def _spread(places: Sequence[tuple[float, str]], y: float) -> Iterator[str]:
    last_x, last_said = places[-1]
    free = last_x - CHAR * len(last_said) - 12
    at = -1.0
    for x, said in places[:-1]:
        if x >= at and x + CHAR * len(said) < free:
            yield _text(x, y, said, faint=True)
            at = x + CHAR * len(said) + 12
    yield _text(last_x, y, last_said, anchor="end", faint=True)


def _picture(height: float, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="{SMALL}" fill="currentColor">'
        f"<title>{_escaped(title)}</title>{body}</svg>"
    )


def _escaped(text: object) -> str:
    return escape(safe(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd"))  # no XML may hold these


def _text(
    x: float, y: float, text: str, *, weight: int = 400, anchor: str = "start", fill: str = "", faint: bool = False
) -> str:
    more = (f' fill="{fill}"' if fill else "") + (' opacity="0.75"' if faint else "")
    more += (f' font-weight="{weight}"' if weight != 400 else "") + (
        f' text-anchor="{anchor}"' if anchor != "start" else ""
    )
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{_escaped(text)}</text>' if text else ""


def _rect(
    x: float, y: float, width: float, height: float, fill: str, title: str, opacity: float = 1.0, line: str = ""
) -> str:
    more = (f' fill-opacity="{opacity}"' if opacity != 1 else "") + (
        f' stroke="{line}" stroke-opacity="0.4"' if line else ""
    )
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" height="{max(0, height):.1f}" fill="{fill}"{more}>'
        f"<title>{_escaped(title)}</title></rect>"
    )


def _line(x: float, y: float, xx: float, yy: float, colour: str, width: float, opacity: float = 1.0) -> str:
    more = f' stroke-opacity="{opacity}"' if opacity != 1 else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{xx:.1f}" y2="{yy:.1f}" stroke="{colour}" stroke-width="{width}"{more}/>'
    )


def _limit(frame: Frame, budget: int) -> str:
    y, right = frame.y(budget), frame.left + frame.width
    words = _text(right, y - 5, f"budget {budget:,}", anchor="end")
    return f'<g stroke-dasharray="5 4">{_line(frame.left, y, right, y, "currentColor", 1.5, 0.7)}</g>{words}'


def _key(kinds: Sequence[str], y: float) -> str:
    """Names beside their colours, in as many lines as they need; `<!---->` stands at the end of each line but the last."""
    out, x = [], float(RIGHT)
    for kind in kinds:
        wide = 24 + CHAR * len(kind) + 12
        if x + wide > WIDTH:
            out.append("<!---->")
            x, y = float(RIGHT), y + 16
        out.append(_rect(x, y - 9, 10, 10, COLOURS.get(kind, "#888"), kind) + _text(x + 15, y, kind))
        x += wide
    return "".join(out)


def _fitting(text: str, pixels: float) -> str:
    """The text if it is not wider than so many pixels, else nothing."""
    return text if CHAR * len(text) <= pixels else ""


def _short(value: float) -> str:
    """12,000 as 12k; whole numbers without a point."""
    if value >= 10_000:
        return f"{value / 1_000:,.0f}k"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _nice(value: float) -> float:
    """The next round number at or above, so that a quarter of it is round too."""
    unit = 10.0 ** floor(log10(value))
    return next(step * unit for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * unit >= value * 0.999)


# --------------------------------------------------------------------------------------------- matplotlib


def _axes(ax: Any) -> Any:
    """These axes, or new ones."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    return Figure(figsize=(8, 3.2), layout="constrained").subplots()


def _labelled(ax: Any, x: str, y: str, most: float | None = None) -> Any:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if most:
        ax.set_ylim(0, most)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small")
    return ax
