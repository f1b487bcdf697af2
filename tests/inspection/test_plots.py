"""Pictures of figures: well-formed, harmless, inside their frame, and true to the numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.inspection.plots import WIDTH, Bars, BudgetBar, DecayCurve, TokensByTier, as_file, stages
from optical_memory.planning.decay import Age, half_life, never, staircase
from optical_memory.planning.tiers import TIERS

SVG = "{http://www.w3.org/2000/svg}"
CHANGE = {"before": "text", "after": "vivid", "tokens_before": 900, "tokens_after": 300}
STEP = {"undone": False, "at_turn": 3, "changes": [CHANGE]}
PICTURES = {
    "decay": DecayCurve.of(staircase()),
    "tokens": TokensByTier.of([400, 500, 300, 200], [STEP], 1_000),
    "budget": BudgetBar((("preamble", 90), ("vivid", 2_000), ("text", 700)), 4_000),
    "money": Bars.money(3.0, {"plain text": 7.0, "trim": 26.0}),
    "readable": Bars.readable({"text": 4, "dense": 9}, {"text": 1.0, "dense": 0.6}),
}


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def boxes(root: ET.Element) -> list[tuple[str, float, float]]:
    """Of every rectangle its title, left side and width."""
    return [
        (r.findtext(f"{SVG}title") or "", float(r.attrib["x"]), float(r.attrib["width"]))
        for r in root.iter(f"{SVG}rect")
    ]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_svg_that_a_strict_page_accepts(name: str) -> None:
    """No script, style, event, link or address: it works where a policy forbids them all."""
    svg = PICTURES[name].svg()
    root = drawn(svg)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {"svg", "title", "rect", "line", "text", "polygon", "g"}
    assert not re.search(r"\son\w+=|style=|href|url\(|javascript:", svg)
    assert svg.count("http") == 1  # the name space


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_drawn_outside_of_the_picture(name: str) -> None:
    """Whatever the numbers are, every rectangle lies within the width."""
    assert all(x >= 0 and x + width <= WIDTH for _, x, width in boxes(drawn(PICTURES[name].svg())))


def test_a_schedule_shows_its_own_stairs() -> None:
    """The stages are those of the schedule, found by asking it."""
    assert [(s.tier, s.since) for s in stages(staircase())] == [
        ("vivid", 0),
        ("clear", 60),
        ("dense", 200),
        ("card", 1_000),
    ]
    assert [s.since for s in stages(half_life(100))] == [0, 100, 200, 400]
    assert [s.tier for s in stages(never())] == ["vivid"]


def test_a_callable_in_hours_is_drawn_too() -> None:
    """A schedule need not be one of ours."""

    def daily(age: Age) -> str:
        return "vivid" if age.hours < 24 else "card"

    found = stages(daily, "hours")  # type: ignore[arg-type]
    assert [(s.tier, s.since) for s in found] == [("vivid", 0), ("card", 24)]
    assert "daily" in DecayCurve.of(daily, unit="hours").svg()  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from(TIERS[1:]), st.integers(0, 5_000)), unique_by=lambda s: s[0], max_size=5))
def test_the_curve_never_rises(stairs: list[tuple[str, int]]) -> None:
    """Older is never sharper, in the picture as in the schedule."""
    ages = sorted(amount for _, amount in stairs)
    kinds = sorted((tier for tier, _ in stairs), key=TIERS.index)
    schedule = staircase(**{t: ("turns", a) for t, a in zip(kinds, ages, strict=True)}) if stairs else never()
    curve = DecayCurve.of(schedule)
    shares = [curve.share(s.tier) for s in curve.stages]
    assert shares == sorted(shares, reverse=True)
    drawn(curve.svg())


def test_tokens_follow_the_log_of_steps() -> None:
    """What a step moved has left its tier and entered the other, at that turn; a step taken back did nothing."""
    rows = dict(TokensByTier.of([400, 500, 300, 200], [STEP]).rows)
    assert rows[2] == {"text": 900}
    assert rows[3] == {"text": 300, "vivid": 300}
    assert rows[4] == {"text": 500, "vivid": 300}
    assert dict(TokensByTier.of([400, 500, 300, 200], [STEP | {"undone": True}]).rows)[4] == {"text": 1_400}


def test_a_long_thread_makes_no_long_picture() -> None:
    """A picture is small however many turns it shows, and ends with the last."""
    svg = TokensByTier.of([10] * 100_000, []).svg()
    assert len(svg) < 20_000
    assert "100,000" in svg


def test_what_is_over_the_budget_is_marked() -> None:
    """The part behind the end of the budget has a name of its own."""
    root = drawn(BudgetBar((("text", 3_000),), 2_000).svg())
    assert "1,000 too many" in (root.findtext(f"{SVG}title") or "")
    over = [(x, width) for title, x, width in boxes(root) if title == "over the budget"]
    assert over
    assert over[0][1] == pytest.approx(688 / 3, abs=0.2)


@given(st.lists(st.tuples(st.text(max_size=12), st.integers(0, 10**7)), max_size=12), st.integers(1, 10**7))
def test_any_budget_bar_is_well_formed(parts: list[tuple[str, int]], budget: int) -> None:
    """Kinds of any name and tokens of any number are drawn within the picture."""
    root = drawn(BudgetBar(tuple(parts), budget).svg())
    assert all(x >= -0.1 and x + width <= WIDTH + 0.1 for _, x, width in boxes(root))


@given(st.text(max_size=40))
def test_names_are_data(name: str) -> None:
    """A policy or schedule of any name drives no page."""
    root = drawn(Bars.money(1.0, {"plain text": 2.0, f"<script>{name}": 3.0}).svg())
    assert not list(root.iter(f"{SVG}script"))


def test_a_file_of_its_own_follows_the_readers_theme() -> None:
    """Alone, it brings dark letters for light ground and light ones for dark."""
    made = as_file(PICTURES["budget"].svg())
    assert "prefers-color-scheme:dark" in made
    drawn(made)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_a_twin_for_matplotlib(name: str) -> None:
    """It draws on the axes given, or on new ones."""
    figure = pytest.importorskip("matplotlib.figure")
    axes = figure.Figure().subplots()
    assert PICTURES[name].plot(axes) is axes
    fresh = PICTURES[name].plot()
    assert len(_artists(fresh)) == len(_artists(axes)) > 0


def _artists(axes: object) -> Sequence[object]:
    return [*axes.collections, *axes.patches, *axes.lines]  # type: ignore[attr-defined]
