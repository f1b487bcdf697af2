"""A simulation as a picture: tokens, money and readable turns by turn, as SVG without a script. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from math import ceil, floor, log10

from optical_memory.bench.simulate import Comparison, Simulation, Trim, readable

WIDTH, PANEL = 760, 210  # pixels: the picture, and each of its panels
LEFT, RIGHT, TOP, BOTTOM = 64, 168, 34, 30  # pixels of a panel around its plot
POINTS = 400  # of a line at most
COLOURS = ("#0b63c5", "#6b6b6b", "#c2410c", "#15803d")  # ours, plain text, the trims; 4.5:1 and more on white
DASHES = ("", "5 3", "", "2 2")


@dataclass(frozen=True, slots=True)
class Line:
    """Values by number of the call, and the name and look of the line."""

    name: str
    values: tuple[float, ...]
    look: int


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one scale from 0 to `top`; what is higher leaves the panel, and its label says how high it gets."""

    title: str
    lines: tuple[Line, ...]
    top: float
    say: Callable[[float], str]


def svg(comparison: Comparison, budget: int, title: str) -> str:
    """Ours, plain text and trims over the calls of a conversation; tokens are cut at three budgets."""
    trim = comparison.named(Trim(budget, 0.5).name)
    mine, plain, equal = comparison.ours, comparison.named("plain text"), comparison.equal_money
    shown = [(mine, 0), (plain, 1), (trim, 2)]
    tokens = _lines(shown, lambda s: [c.tokens for c in s.turns])
    money = _lines(shown, _money)
    last = _lines([(mine, 0), (trim, 2), (equal, 3)], lambda s: [readable(c) for c in s.turns])
    last = (
        *last[:2],
        Line("trim, equal money" if equal.name != "plain text" else "plain text, cheaper", *_of(last[2])),
    )
    panels = [
        Panel("Tokens of each call", tokens, min(_highest(tokens), 3.0 * budget), lambda v: f"{v:,.0f}"),
        Panel("USD in all until then", money, _highest(money), lambda v: f"${v:,.2f}"),
        Panel("Turns that can be read in each call", last, _highest(last), lambda v: f"{v:,.0f}"),
    ]  # fmt: skip
    words = comparison.words
    return _document(panels, title, f"{words[0].upper()}{words[1:]}.")


def _of(line: Line) -> tuple[tuple[float, ...], int]:
    return line.values, line.look


def _money(of: Simulation) -> list[float]:
    return list(accumulate(bill.money for bill in of.bills))


def _lines(
    shown: Sequence[tuple[Simulation, int]], values: Callable[[Simulation], Sequence[float]]
) -> tuple[Line, ...]:
    names = ("optical memory", "plain text", "trim to half", "")
    return tuple(Line(names[look], tuple(values(s)), look) for s, look in shown)


def _highest(lines: Sequence[Line]) -> float:
    return max((max(line.values, default=0.0) for line in lines), default=0.0) or 1.0


# --------------------------------------------------------------------------------------------- drawing


def _document(panels: Sequence[Panel], title: str, words: str) -> str:
    height = 34 + PANEL * len(panels) + 14 * ceil(len(words) / 110) + 14
    drawn = "".join(
        f'<g transform="translate(0,{34 + PANEL * n})">{_panel(panel)}</g>' for n, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="#222">'
        f"<title>{escape(title)}</title><desc>{escape(words)}</desc>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="16" y="24" font-size="15" font-weight="600">{escape(title)}</text>'
        f"{drawn}{_foot(words, 34 + PANEL * len(panels) + 14)}</svg>\n"
    )


def _foot(words: str, top: int) -> str:
    """A sentence in lines of at most 110 characters."""
    lines = [""]
    for word in words.split():
        lines = [*lines, word] if len(lines[-1]) + len(word) >= 110 else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return "".join(f'<text x="16" y="{top + 14 * n}">{escape(line)}</text>' for n, line in enumerate(lines))


def _panel(panel: Panel) -> str:
    top = _nice(panel.top)
    right, bottom = WIDTH - RIGHT, PANEL - BOTTOM
    grid = "".join(_tick(panel, top * n / 4, top) for n in range(5))
    calls = max(len(line.values) for line in panel.lines)
    return (
        f'<text x="{LEFT}" y="{TOP - 12}" font-weight="600">{escape(panel.title)}</text>{grid}'
        f'<text x="{LEFT}" y="{bottom + 16}" fill="#555">call 1</text>'
        f'<text x="{right}" y="{bottom + 16}" fill="#555" text-anchor="end">{calls:,}</text>'
        f"{''.join(_path(line, top) for line in panel.lines)}{_names(panel, top)}"
    )


def _nice(value: float) -> float:
    """The next round number at or above, so that a quarter of it is round too."""
    unit = 10.0 ** floor(log10(value))
    return next(step * unit for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * unit >= value * 0.999)


def _y(value: float, top: float) -> float:
    bottom = PANEL - BOTTOM
    return bottom - (bottom - TOP) * min(value / top, 1.0)


def _tick(panel: Panel, value: float, top: float) -> str:
    y = _y(value, top)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" fill="#555" text-anchor="end">{panel.say(value)}</text>'
    )


def _path(line: Line, top: float) -> str:
    """The line until it leaves the panel, at most `POINTS` points of it."""
    count = len(line.values)
    inside = next((n + 1 for n, v in enumerate(line.values) if v > top), count)
    step = max(1, ceil(count / POINTS))
    chosen = sorted({*range(0, inside, step), inside - 1}) if inside else []
    scale = (WIDTH - RIGHT - LEFT) / max(count - 1, 1)
    points = " ".join(f"{LEFT + n * scale:.1f},{_y(line.values[n], top):.1f}" for n in chosen)
    dash = f' stroke-dasharray="{DASHES[line.look]}"' if DASHES[line.look] else ""
    return f'<polyline points="{points}" fill="none" stroke="{COLOURS[line.look]}" stroke-width="1.8"{dash}/>'


def _names(panel: Panel, top: float) -> str:
    """The names at the right, at the height where each line ends, never one on another."""
    found, last = [], PANEL - BOTTOM + 18.0
    for line in sorted(panel.lines, key=lambda each: each.values[-1] if each.values else 0.0):
        end = line.values[-1] if line.values else 0.0
        last = min(_y(end, top) + 4, last - 28)
        found.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{last - 6:.1f}" fill="{COLOURS[line.look]}" font-weight="600">'
            f'{escape(line.name)}<tspan x="{WIDTH - RIGHT + 8}" dy="13" font-weight="400">{panel.say(end)}</tspan></text>'
        )
    return "".join(found)
