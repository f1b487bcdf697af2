"""The page geometry that a budget asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.cost import profile
from optical_memory.planning.looks import AROUND, sheet_for

WHOLE = ["gpt-4o", "gpt-5", "gemini-3-pro"]  # pages have fixed prices


@pytest.mark.parametrize("model", WHOLE)
@given(budget=st.integers(300, 40_000))
def test_where_pages_have_prices_a_budget_buys_nearly_the_most_pixels(model, budget):
    """At least nine tenths of what the best page size gives, and one page fits beside what stands around it."""
    of = profile(model)
    room = budget - AROUND
    bought = {s: room // of.image(s.width, s.height) * s.width * s.height for s in of.sheet_steps}
    sheet = sheet_for(of, budget)
    if sheet is None:
        assert max(bought.values()) == 0
    else:
        assert of.image(sheet.width, sheet.height) <= room
        assert bought[sheet] >= 0.9 * max(bought.values())


@given(budget=st.integers(2_400, 400_000))
def test_where_area_is_priced_a_page_takes_a_sixteenth_of_the_budget_at_most(budget):
    """So that no step is a jump."""
    of = profile("claude-opus-5")
    sheet = sheet_for(of, budget)
    assert sheet is not None
    assert of.image(sheet.width, sheet.height) <= budget / 16
