"""The blind test is the same for one seed, and its codes cannot be guessed."""

from __future__ import annotations

import pytest

from optical_memory.errors import ConfigError
from optical_memory.pages import Sheet, Style, render_page
from optical_memory.readers.blind import prose, sheetful, sheetfuls, turns
from optical_memory.readers.scoring import ALPHABET

SHEET = Sheet(924, 1680, 28)


def test_one_seed_gives_the_same_bytes() -> None:
    first, second = (render_page(sheetful(7, 2, Style(8), SHEET).page) for _ in range(2))
    assert first == second


def test_seeds_and_pages_differ() -> None:
    made = {sheetful(seed, number, Style(8), SHEET).truth.text for seed in (1, 2) for number in (1, 2)}
    assert len(made) == 4


def test_a_page_has_the_same_text_at_every_size() -> None:
    small, large = (sheetful(1, 1, Style(size), SHEET) for size in (6, 20))
    assert small.page.chars == large.page.chars
    assert set(small.truth.asked()) & set(large.truth.asked())


def test_what_is_asked_stands_in_the_truth_where_it_is_said_to() -> None:
    _, planted = turns(3, 1, 2_500)
    page = sheetful(3, 1, Style(9), SHEET)
    assert len(page.truth.strings) > 30
    assert set(page.truth.asked()) <= set(planted)


def test_codes_leave_out_letters_that_look_alike() -> None:
    assert len(ALPHABET) == 32
    assert not set("IO01") & set(ALPHABET)


def test_the_prose_is_prose() -> None:
    assert sum(map(len, prose())) > 20_000
    assert all(text.isascii() for text in prose())


def test_pages_are_numbered_from_one() -> None:
    assert [page.number for page in sheetfuls(1, 3, Style(10), SHEET, 400)] == [1, 2, 3]


@pytest.mark.parametrize("chars", [0, 8_001])
def test_a_page_that_cannot_be_scored_is_refused(chars: int) -> None:
    with pytest.raises(ConfigError, match="give 200 to 8,000"):
        sheetful(1, 1, Style(9), SHEET, chars)
