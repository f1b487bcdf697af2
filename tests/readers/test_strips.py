"""Lines are found where the renderer put them, though there is no gap between them."""

from __future__ import annotations

import numpy as np
import pytest

from optical_memory.pages import Sheet, Style, render_page
from optical_memory.pages.render import png
from optical_memory.readers.blind import sheetful
from optical_memory.readers.strips import grey, lines, served

SHEET = Sheet(924, 1680, 28)


@pytest.mark.parametrize("gap", [0, 1, 2])
@pytest.mark.parametrize("size", range(5, 25))
def test_every_line_of_a_page_is_found_at_its_pitch(size: int, gap: int) -> None:
    page = sheetful(2, 1, Style(size, gap=gap), SHEET)
    found = lines(grey(render_page(page.page)))
    assert len(found) == len(page.page.lines())
    assert {line.shape[0] for line in found} <= set(range(size - 1, size + gap + 2))


def test_lines_between_blank_rows_are_cut_there() -> None:
    image = np.full((60, 100), 255, np.uint8)
    image[5:12, 10:60] = image[30:44, 10:80] = 0
    assert len(lines(image)) == 2


def test_the_rule_between_gutter_and_text_is_not_text() -> None:
    image = np.full((60, 100), 255, np.uint8)
    image[:, 20] = 170
    assert lines(image) == []


def test_light_text_on_dark_is_turned_over() -> None:
    image = np.full((30, 60), 10, np.uint8)
    image[10:18, 5:40] = 240
    assert len(lines(grey(png(image)))) == 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3)])
def test_blank_pictures_of_any_shape_have_no_lines(shape: tuple[int, int]) -> None:
    assert lines(np.full(shape, 255, np.uint8)) == []


def test_noise_of_any_shape_is_taken_without_complaint() -> None:
    rng = np.random.default_rng(1)
    for height in (1, 4, 9, 40, 300):
        image = rng.integers(0, 256, (height, 50)).astype(np.uint8)
        assert sum(line.shape[0] for line in lines(image)) <= height


def test_a_picture_is_made_as_small_as_it_is_served() -> None:
    image = np.full((100, 200), 255, np.uint8)
    assert served(image, (100, 50)).shape == (50, 100)
    assert served(image, (200, 100)) is image
