"""`bench render` times what it says it times."""

from __future__ import annotations

import pytest

from optical_memory.bench import render as bench
from optical_memory.errors import ConfigError


@pytest.fixture(scope="module")
def report():
    return bench.render(runs=2, peer_runs=1)


def test_the_page_is_full_and_as_dense_as_eight_pixels_allow():
    page = bench.full_page(8)
    assert (page.width, page.height) == (1024, 1018)  # cropped to 127 lines
    assert page.chars > 25_000
    assert page.line.max() == (1024 - 2) // 8 - 1


@pytest.mark.slow
def test_every_way_to_draw_is_timed_or_said_to_be_missing(report):
    names = " ".join(timing.name for timing in report.timings)
    told = " ".join(report.skipped)
    assert "layout drawn drawn, with PNG" in names
    assert "Pillow" in names + told
    assert "un-locc" in names + told
    assert all(len(timing.times) >= 1 and timing.best <= timing.usual for timing in report.timings)


def test_both_sides_of_a_ratio_draw_characters_of_the_same_width():
    page = bench.full_page(8)
    font = bench._font(page)
    if font is None:
        pytest.skip("no DejaVu Sans here")
    line = page.lines()[3]
    assert font.getlength(line) == pytest.approx(page.width - page.left, rel=0.06)


@pytest.mark.slow
def test_we_are_faster_by_a_wide_margin(report):
    """The bars are for a quiet machine and the best of many runs; a quarter of them holds anywhere."""
    assert all(ratio.best > ratio.bar / 4 for ratio in report.ratios)


@pytest.mark.slow
def test_rows_say_the_same_as_the_report(report):
    rows = report.rows()
    assert len(rows) == len(report.timings) + len(report.ratios) + len(report.skipped)
    assert sum("ratio" in row for row in rows) == len(report.ratios)
    assert str(report).count("\n") == len(rows)


def test_a_size_that_is_not_drawn_is_refused():
    with pytest.raises(ConfigError, match="pitch"):
        bench.command(size=3, runs=1)
