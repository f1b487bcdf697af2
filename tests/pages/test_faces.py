"""Faces are the same letters at other widths; the tall one stands on a pixel's edge at six pixels, and nothing overlaps."""

from __future__ import annotations

import numpy as np
import pytest

from optical_memory.pages import Sheet, Style, TurnText, layout
from optical_memory.pages.glyphs import CELL, LEVELS, LOW, WHOLE, face, shades
from optical_memory.pages.sheets import FACES

FLAT = "abcdefhiklmnorstuvwxzABCDEFGHIKLMNOPRSTUVWXYZ0123456789"  # letters that reach no lower than the baseline


def glyph(name: str, char: str, bold: bool = False) -> int:
    font = face(name)
    return int(font.glyph[ord(char)]) + bold * font.count


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("bold", [False, True])
def test_no_letter_leaves_its_own_advance(name: str, bold: bool):
    """Else neighbours would be drawn over each other."""
    font = face(name)
    for char in FLAT + "gjpqy.,:;_|@#%":
        number = glyph(name, char, bold)
        ink, left, top = font.drawn(number)
        assert (left + ink.shape[1]) * font.twentieths // WHOLE <= font.advance[number] + 1, char
        assert 0 <= top <= top + len(ink) <= CELL, char


@pytest.mark.parametrize("bold", [False, True])
def test_tall_letters_stand_on_the_edge_of_a_pixel_at_six_pixels(bold: bool):
    """The lowest row holds descenders only, the row above it the feet of all others."""
    atlas = shades("tall", 6)
    for char in FLAT:
        shade = atlas.shade(glyph("tall", char, bold), 0)
        assert shade[5].max() <= LEVELS // 12, char
        assert shade[4].max() > LEVELS // 3, char
    assert all(atlas.shade(glyph("tall", char, bold), 0)[5].max() > LEVELS // 3 for char in "gpqy")


def test_tall_letters_are_taller_and_heavier_than_the_same_ones():
    plain, tall = face("sans"), face("tall")
    for char in "aeo0358BH":
        (ink, _, _), (other, _, below) = plain.drawn(glyph("sans", char)), tall.drawn(glyph("tall", char))
        assert len(other) > 1.05 * len(ink)
        assert other.shape[1] >= ink.shape[1]
        assert below + len(other) == pytest.approx(LOW, abs=4)
        assert other.mean() > ink.mean() - 0.01


def test_a_face_in_its_natural_proportions_is_drawn_as_the_masters_are():
    font = face("narrow")
    ink, left, top = font.drawn(glyph("narrow", "k"))
    index = glyph("narrow", "k")
    assert (left, top) == (font.regular.left[index], font.regular.top[index])
    assert np.array_equal(ink, font.regular.ink(index))


def test_styles_are_as_dense_as_their_area_says():
    """Of two styles the one with the smaller area holds more characters of the same text, in the same share."""
    text = [
        TurnText(1, "user", "We walked along the river for an hour, and nobody said a word about the house. " * 1_500)
    ]
    sheet = Sheet(924, 1932, 28)
    held = {
        key: layout(text, Style.of(key), sheet)[0].chars
        for key in ("sans9", "slim9", "narrow9", "wide6", "tall6", "sans6", "sans8g1", "narrow12g3")
    }
    base = held["sans9"] * Style.of("sans9").area
    assert all(held[key] * Style.of(key).area == pytest.approx(base, rel=0.03) for key in held)


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("bold", [False, True])
def test_a_capital_i_is_no_small_l_and_no_bar(name: str, bold: bool):
    """It has serifs, with an accent and in Cyrillic too: a bare stem was read as "l" or "|" by an OCR engine at most places."""
    font = face(name)
    stem = font.drawn(glyph(name, "l", bold))[0].shape[1]
    for char in "IÌÍÎІ":
        across = font.drawn(glyph(name, char, bold))[0].sum(axis=1)
        assert across[-1] > 1.6 * np.median(across), char
        assert np.median(across) < 1.4 * stem, char
    assert font.advance[glyph(name, "I", bold)] > font.advance[glyph(name, "l", bold)]


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("bold", [False, True])
def test_a_code_has_a_narrower_zero_in_the_same_place(name: str, bold: bool):
    """So that it is no O beside capitals; it takes as much room as any zero, so that no line ends elsewhere for it."""
    font = face(name)
    zero, code = glyph(name, "0", bold), font.zero + bold * font.count
    (plain, left, top), (slim, inside, above) = font.drawn(zero), font.drawn(code)
    assert 0.7 * plain.shape[1] < slim.shape[1] < 0.87 * plain.shape[1]
    assert font.advance[code] == font.advance[zero]
    assert (above, len(slim)) == (top, len(plain))
    assert inside + slim.shape[1] / 2 == pytest.approx(left + plain.shape[1] / 2, abs=1.5)


@pytest.mark.parametrize("style", ["sans9", "narrow9b", "sans9e"])
@pytest.mark.parametrize(
    ("text", "coded"),
    [
        ("HAT039", "HAT039"), ("from M05KNL, 300 of 0B", "M05KNL 0B"), ("$100.50 at 10:00 on 2024-05-20", ""), ("a0 007 x_A_0", ""),
        ("HX-4000-02 HX4000", "HX4000"), ("Ö0 → Z0", "Z0"),
    ],
)  # fmt: skip
def test_a_zero_is_narrower_in_words_with_a_capital_only(style: str, text: str, coded: str):
    """Numbers, amounts and dates keep theirs; what is said to stand there is the same zero."""
    page = layout([TurnText(1, "user", text)], Style.of(style), Sheet(924, 200, 28))[0]
    font = face(Style.of(style).face)
    assert int((page.glyphs % font.count == font.zero).sum()) == coded.count("0")
    assert "".join(page.lines()).count("0") == text.count("0")


def test_a_character_of_that_number_is_not_drawn_as_a_zero():
    assert face("sans").glyphs(np.array([0xFFFF, 0x1FFFF], np.uint32)).tolist() == [-1, -1]
