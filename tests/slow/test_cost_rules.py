"""The fast image counts against the slow rules on many sizes, and our pages against many geometries."""

from __future__ import annotations

import random

import pytest

from optical_memory.cost import image_tokens, profile
from tests.cost.reference import FAMILIES

SIZES = 100_000


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_a_hundred_thousand_sizes_count_as_the_published_rule_says(family):
    model, detail = family
    rule, dice = FAMILIES[family], random.Random(str(family))
    for _ in range(SIZES):
        largest = dice.choice((64, 600, 2600, 9000))
        width, height = dice.randint(1, largest), dice.randint(1, largest)
        assert image_tokens(model, width, height, detail) == rule(width, height), (width, height)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["claude-opus-5", "claude-sonnet-4-5", "gpt-5.4", "gpt-6-sol", "gpt-4o", "gpt-5", "gemini-3-pro"]
)
@pytest.mark.parametrize("chars", [400, 3_000, 20_000, 120_000])
def test_our_pages_of_a_text_cost_no_more_than_pages_of_two_hundred_random_geometries(model, chars):
    """A text is `chars` cells of 9 x 16 px; all pages are full but the last, which is cropped to its lines.

    The comparison allows 3 % and one row of cells, which is what a fixed width rounds up.
    """
    p, dice = profile(model), random.Random(chars)

    def cost(width: int, height: int, crop: bool, step: int) -> float:
        columns, lines = width // 9, height // 16
        full, rest = divmod(chars, columns * lines)
        needed = -(-rest // columns) * 16
        last = min(height, -(-needed // step) * step) if crop else height
        return full * p.image(width, height) + (p.image(width, last) if rest else 0)

    ours = min(cost(s.width, s.height, s.crop, s.step) for s in p.sheet_steps)
    row = max(p.image(s.width, s.step) if s.crop else 0 for s in p.sheet_steps)
    for _ in range(200):
        width, height = dice.randint(200, 2000), dice.randint(100, 2000)
        if not p.shrinks(width, height):
            assert ours <= cost(width, height, True, 1) * 1.03 + row, (width, height)
