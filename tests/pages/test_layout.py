"""Layout decides everything: which turns share a page, where lines end, what the gutter says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.errors import ConfigError
from optical_memory.pages import Sheet, Style, TurnText, fit, layout, measure
from optical_memory.pages.glyphs import PHASES, face
from optical_memory.pages.layout import MARGIN
from optical_memory.pages.sheets import FACES

SHEET = Sheet(448, 448, 28)
PROSE = "We decided to move the launch to the fourteenth, because the hall in Oslo is only free from then on. "

anything = st.text(st.characters(exclude_categories=()), max_size=400)
turns = st.lists(anything, min_size=1, max_size=12).map(
    lambda texts: [TurnText(n, "user" if n % 2 else "assistant", text) for n, text in enumerate(texts, 1)]
)
styles = st.builds(Style, st.integers(5, 24), st.sampled_from(tuple(FACES)), st.booleans(), gap=st.integers(0, 3))
sheets = st.builds(Sheet, st.integers(448, 900), st.integers(60, 500), st.sampled_from((1, 28, 32)), st.booleans())


@settings(max_examples=80, deadline=None)
@given(turns, styles, sheets)
def test_every_character_of_every_turn_is_on_some_page(turns, style, sheet):
    pages = layout(turns, style, sheet)
    assert sum(page.chars for page in pages) == sum(len(turn.text) for turn in turns)
    shown = [number for page in pages for number in range(page.first, page.last + 1)]
    assert sorted(set(shown)) == [turn.number for turn in turns]


@settings(max_examples=80, deadline=None)
@given(turns, styles, sheets)
def test_glyphs_stay_in_the_box_and_never_share_a_place(turns, style, sheet):
    font = face(style.face)
    for page in layout(turns, style, sheet):
        assert page.width == sheet.width
        assert page.height <= sheet.height
        assert page.height == sheet.height or page.height % sheet.step == 0
        ends = page.x + font.advance[page.glyphs] * style.size * PHASES // 160
        assert page.x.min() >= page.left * PHASES
        assert ends.max() <= (page.width - MARGIN) * PHASES + 1
        assert MARGIN + (page.line.max() + 1) * (style.size + style.gap) - style.gap <= page.height
        inked = font.regular.codes[page.glyphs % font.count] != ord(" ")
        places = page.line[inked].astype(np.int64) * page.width + (page.x[inked] >> 2)
        assert len(np.unique(places)) == len(places)


@settings(max_examples=40, deadline=None)
@given(turns, styles, sheets)
def test_measuring_and_fitting_agree_with_laying_out(turns, style, sheet):
    pages = layout(turns, style, sheet)
    assert measure(turns, style, sheet) == [(p.first, p.last, p.width, p.height) for p in pages]
    whole = fit(turns, style, sheet)
    assert (layout(turns[:whole], style, sheet) == pages[:1]) if whole else pages[0].chars < len(turns[0].text)


def test_whole_turns_share_pages_and_the_next_page_begins_with_a_whole_turn():
    pages = layout([TurnText(n, "user", PROSE * 8) for n in range(1, 30)], Style(10), SHEET)
    assert len(pages) > 3
    assert [page.first for page in pages[1:]] == [page.last + 1 for page in pages[:-1]]
    assert all(page.chars == 8 * len(PROSE) * (page.last - page.first + 1) for page in pages)


def test_only_a_turn_larger_than_a_page_is_cut_and_each_part_says_that_it_goes_on():
    giant = TurnText(2, "tool", "".join(f"row {n} of the report; " for n in range(3000)))
    pages = layout([TurnText(1, "user", "Go on."), giant, TurnText(3, "user", "Thanks.")], Style(10), SHEET)
    assert [(p.first, p.last) for p in pages[:2]] == [(1, 1), (2, 2)]
    assert (pages[-1].first, pages[-1].last) == (2, 3)
    assert all(page.lines()[0].startswith("⟪…⟫") for page in pages[2:])
    drawn = " ".join(line for page in pages for line in page.lines()).replace("¬ ", "").replace("⟪…⟫", "")
    assert all(f"row {n} of the report;" in drawn for n in range(3000))


def test_the_gutter_names_the_first_turn_of_a_line_and_later_ones_are_marked_inline():
    page = layout([TurnText(1, "user", "Hi."), TurnText(2, "assistant", "Hello.")], Style(10), SHEET)[0]
    assert page.gutter == {0: "u1"}
    assert page.lines() == ["⟪⟫Hi.⟪a2⟫Hello."]


def test_a_mark_shows_the_day_and_the_speaker_where_they_change():
    spoken = [
        TurnText(1, "user", "Hi.", "2024-05-20", "Mia"),
        TurnText(2, "user", "So.", "2024-05-20", "Tom"),
        TurnText(3, "user", "Yes.", "2024-05-21"),
    ]
    assert layout(spoken, Style(10), SHEET)[0].lines() == ["⟪2024-05-20 Mia⟫Hi.⟪u2 Tom⟫So.⟪u3 2024-05-21⟫Yes."]


def test_newlines_are_marks_and_empty_lines_are_one_mark():
    page = layout([TurnText(1, "user", "one\ntwo\n\n\nthree")], Style(10), SHEET)[0]
    assert page.lines() == ["⟪⟫one↵two¶three"]


@pytest.mark.parametrize("size", [7, 8, 10])
@pytest.mark.parametrize(
    "text",
    [
        PROSE * 60,
        "".join(f'{{"id": {n}, "name": "x"}}\n' for n in range(600)),
        "/usr/lib/python3.11/site-packages/" * 300,
    ],
)
def test_at_least_97_percent_of_the_width_is_used(text, size):
    pages = layout([TurnText(1, "tool", text)], Style(size), Sheet(1024, 1024))
    used = []
    for page in pages:
        ends = page.x + face("sans").advance[page.glyphs] * size * PHASES // 160
        last = np.flatnonzero(np.diff(page.line, append=page.line[-1] + 1))[:-1]
        used += list((ends[last] / PHASES - page.left) / (page.width - MARGIN - page.left))
    assert np.mean(used) >= 0.97


def test_words_that_are_cut_carry_a_wrap_mark_and_lines_joined_by_it_are_the_text():
    text = "x" * 20 + "abcdefghij" * 60
    lines = layout([TurnText(1, "user", text)], Style(10), SHEET)[0].lines()
    assert all(line.endswith("¬") for line in lines[:-1])
    assert "".join(line.removesuffix("¬") for line in lines) == "⟪⟫" + text


def test_a_line_that_ends_without_a_mark_ends_at_a_blank():
    lines = layout([TurnText(1, "user", PROSE * 20)], Style(9), SHEET)[0].lines()
    joined = "".join(line.removesuffix("¬") if line.endswith("¬") else line + " " for line in lines)
    assert joined.strip() == "⟪⟫" + (PROSE * 20).strip()


def test_a_million_characters_are_laid_out_in_linear_time():
    times = []
    for count in (100_000, 1_000_000):
        start = time.perf_counter()
        layout([TurnText(1, "tool", (PROSE * (count // len(PROSE) + 1))[:count])], Style(8), Sheet(1344, 1904, 28))
        times.append(time.perf_counter() - start)
    assert times[1] < 30 * max(times[0], 0.02)  # wide, for a busy machine; alone it takes 0.3 seconds


def test_a_message_of_blanks_costs_one_page():
    pages = layout([TurnText(1, "assistant", "a diagram:" + " " * 349_000 + "end")], Style(8), SHEET)
    assert len(pages) == 1
    assert pages[0].lines() == ["⟪⟫a diagram:  end"]
    assert pages[0].chars == 349_013


def test_a_page_goes_on_where_turn_numbers_get_another_digit():
    """The gutter has place for the longest number of all the turns."""
    (page,) = layout([TurnText(n, "user", "Yes.") for n in range(97, 103)], Style(10), SHEET)
    (short,) = layout([TurnText(n, "user", "Yes.") for n in range(91, 97)], Style(10), SHEET)
    assert (page.first, page.last) == (97, 102)
    assert page.left > short.left


def test_a_sheet_too_small_for_the_style_is_refused_with_advice():
    with pytest.raises(ConfigError, match=r"60x448.*use a larger"):
        layout([TurnText(1, "user", "Hi.")], Style(24), Sheet(60, 448))
    with pytest.raises(ConfigError, match="5 to 24"):
        Style(4)


def test_nothing_to_show_is_no_page():
    assert layout([], Style(8), SHEET) == []
    assert fit([], Style(8), SHEET) == 0


def test_equal_layouts_have_equal_keys_and_any_change_changes_them():
    one, two = (layout([TurnText(1, "user", "Hi.")], Style(8), SHEET)[0] for _ in range(2))
    other = layout([TurnText(2, "user", "Hi.")], Style(8), SHEET)[0]
    assert one == two
    assert len({one, two, other}) == 2


def test_a_turn_is_not_begun_with_a_letter_or_two_at_the_end_of_a_line():
    """At whatever place of the line its mark ends, three letters stand there or the turn goes on with the next line."""
    for filler in range(80, 220):
        turns = [TurnText(1, "user", ("illicit little " * 16)[:filler]), TurnText(2, "assistant", "They were stoked")]
        lines = layout(turns, Style(9), Sheet(336, 280, 28))[0].lines()
        stubs = [line for line in lines if line.endswith(("⟫T¬", "⟫Th¬"))]
        assert not stubs, lines
