"""Real engines on pages of the tiers, and the render bars where nobody else is at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from optical_memory.bench import legibility as bench
from optical_memory.bench.legibility import BARS, STYLES, Plan, measure
from optical_memory.bench.render import render
from optical_memory.errors import MissingExtraError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engine", bench.READERS)
def test_tiers_fall_in_what_is_read_and_rise_in_density(engine: str, tmp_path: Path):
    pages = dict.fromkeys(bench.KINDS, 1)
    plan = Plan(STYLES, readers=(engine,), seeds=(5,), chars=1_500, pages=pages, mixed=False, cache=tmp_path / "lines")
    try:
        report = measure(plan, peer=False)
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert report.chars("vivid") > 0.96
    assert report.chars("vivid") > report.chars("dense") > 0.7
    assert report.hard("vivid") > report.hard("dense")
    assert report.density("vivid") < report.density("clear") < report.density("dense")
    assert all(report.density(tier) >= BARS[tier][0] for tier in ("vivid", "clear"))
    assert report.density("dense") >= 0.99 * BARS["dense"][0]  # 49.8 on the text that ships with Python


def test_drawing_is_as_many_times_faster_as_we_say():
    """By the best of many runs, since others may be at work on the machine."""
    report = render(runs=15, peer_runs=2)
    assert report.ratios or report.skipped
    assert all(ratio.reached for ratio in report.ratios), str(report)
