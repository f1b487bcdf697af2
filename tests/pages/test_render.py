"""A page is the same bytes in any process, and content cannot leave its box."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from optical_memory.pages import RENDERER, Sheet, Style, TurnText, layout, render_page
from optical_memory.pages.layout import MARGIN, TOP
from optical_memory.pages.render import RULE_GREY, pixels
from optical_memory.pages.sheets import FACES

SHEET = Sheet(448, 448, 28)
FACE = st.sampled_from(tuple(FACES))
SHADES = " .:*#"  # paper to full ink

GOLDEN_12 = """
| .:    :.
| .#    *.
| .#    *.  .:: :
| .#    *. .#:.*#
| .######. *:  .#
| .#    *. *.   #
| .#    *. *.   #
| .#    *. :*  :#
| .#    *.  ***:#
|  .           .#
|           :..*: .:::::.
|           :::.  ::::::.
"""
GOLDEN_7 = """
|..  :
|.:  : .::
|.*:::.: *
|.:  :.. :
|.:  : *.*
| .  . ..*
|      :::.***.
"""


def letters(image: np.ndarray) -> list[str]:
    """A picture as rows of characters: five shades."""
    return ["".join(SHADES[round((255 - int(value)) / 255 * 4)] for value in row).rstrip() for row in image]


def drawn(text: str, size: int, width: int) -> list[str]:
    """The first line of a page with this text, after the turn's mark, as letters."""
    page = layout([TurnText(1, "user", text)], Style(size), SHEET)[0]
    at = int(page.x[2]) // 4
    return letters(pixels(page)[TOP : TOP + size, at : at + width])


def same(got: list[str], wanted: str) -> None:
    """Compare pictures; a difference prints both."""
    want = [row[1:].rstrip() for row in wanted.strip("\n").split("\n")]
    assert got == want, "\n".join(["got:", *(f"|{row}" for row in got), "wanted:", *(f"|{row}" for row in want)])


def test_letters_at_twelve_pixels_look_like_this():
    same(drawn("Hg_", 12, 26), GOLDEN_12)


def test_letters_at_seven_pixels_look_like_this():
    same(drawn("Hg_", 7, 16), GOLDEN_7)


@pytest.mark.parametrize("gap", [1, 2, 3])
@pytest.mark.parametrize("crop", [True, False])
def test_a_gap_moves_lines_apart_and_changes_nothing_else(gap, crop):
    """Same letters on the same lines; between them only paper and the rule; a full page still ends in its sheet."""
    turns = [TurnText(1, "user", "Hjgpqy_ÅÊ|" * 90)]
    close = layout(turns, Style(9), SHEET)[0]
    apart = layout(turns, Style(9, gap=gap), Sheet(448, 448, 1, crop=crop))[0]
    rows = int(close.line.max()) + 1
    assert rows > 5
    assert apart.lines() == close.lines()
    tight, open_ = pixels(close), pixels(apart)
    assert not crop or len(open_) == 2 * TOP + rows * 9 + (rows - 1) * gap
    for line in range(rows):
        top = TOP + line * (9 + gap)
        assert (open_[top : top + 9] == tight[TOP + line * 9 : TOP + (line + 1) * 9]).all()
        assert (np.delete(open_[top + 9 : top + 9 + gap], apart.left - 2, axis=1) == 255).all()


def test_a_page_with_gaps_is_filled_to_its_last_line():
    sheet = Sheet(448, 2 * TOP + 10 * 9 + 9, crop=False)  # ten lines of nine pixels, nine gaps of one
    page = layout([TurnText(1, "user", "word " * 2000)], Style(9, gap=1), sheet)[0]
    assert int(page.line.max()) == 9
    assert (pixels(page)[-1 - TOP - 8 : -TOP] < 255).any(axis=1).all()


def test_narrow_letters_are_the_same_at_nine_tenths_of_their_width():
    wide, narrow = (
        layout([TurnText(1, "user", "minimum " * 2)], Style(20, face), SHEET)[0] for face in ("sans", "narrow")
    )
    assert np.ptp(narrow.x) / np.ptp(wide.x) == pytest.approx(0.9, abs=0.01)
    ink = [(255 - pixels(page)[:, page.left :].astype(int)).sum() for page in (wide, narrow)]
    assert ink[1] / ink[0] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("size", range(5, 25))
def test_underscores_and_descenders_survive_at_every_size(size):
    page = layout([TurnText(1, "user", "____ gpqy")], Style(size), SHEET)[0]
    image = 255 - pixels(page)[TOP : TOP + size].astype(int)
    start, stop = int(page.x[2]) // 4 + 1, int(page.x[6]) // 4 - 2
    bar = image[-2:, start:stop].sum(axis=0)
    assert bar.min() >= 100  # an even bar, well over a third of full ink
    below = image[-(size // 5 + 1) :, int(page.x[7]) // 4 :]
    assert below.max() >= 80


def test_bytes_are_the_same_in_another_process():
    code = (
        "import hashlib; from optical_memory.pages import *\n"
        "page = layout([TurnText(1, 'user', 'Grüße, Ωmega и Мир ↵ \\u202e 12_345', '2024-01-02', 'Mia')] * 30,"
        " Style(8, bold=True), Sheet(448, 448, 28))[0]\n"
        "print(hashlib.sha256(render_page(page)).hexdigest(), RENDERER)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert RENDERER in runs.pop()


def test_the_order_in_which_glyphs_were_first_drawn_changes_nothing():
    texts = ["zyx 987 Ω", "abc 123 Я", "zyx abc Ω Я 1"]
    sizes = {
        n: hashlib.sha256(render_page(layout([TurnText(1, "user", texts[2])], Style(n), SHEET)[0])).digest()
        for n in (13, 17)
    }
    render_page(layout([TurnText(1, "user", texts[0])], Style(13), SHEET)[0])
    again = render_page(layout([TurnText(1, "user", texts[2])], Style(13), SHEET)[0])
    assert hashlib.sha256(again).digest() == sizes[13]


def test_threads_may_draw_at_once():
    pages = [
        layout([TurnText(1, "user", chr(0x391 + n) * 20 + chr(0x410 + n))], Style(19), SHEET)[0] for n in range(16)
    ]
    results: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: render_page(pages[n])})) for n in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == {n: render_page(page) for n, page in enumerate(pages)}


def test_a_png_reader_gets_back_the_pixels():
    page = layout([TurnText(1, "user", "Hello, world. " * 99)], Style(9), SHEET)[0]
    with Image.open(io.BytesIO(render_page(page))) as image:
        assert (image.mode, image.size, image.format) == ("L", (page.width, page.height), "PNG")
        assert np.array_equal(np.asarray(image), pixels(page))


@pytest.mark.parametrize("width", [448, 449])
def test_four_bits_are_smaller_and_two_readers_get_back_the_nearest_of_sixteen_shades(width):
    page = layout([TurnText(1, "user", "Hello, world. " * 99)], Style(9), Sheet(width, 448))[0]
    small = render_page(page, bits=4)
    assert len(small) < 0.9 * len(render_page(page))
    wanted = (pixels(page).astype(int) + 8) // 17 * 17
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (page.width, page.height)
        assert np.array_equal(np.asarray(image.convert("L")), wanted)
    libpng = pytest.importorskip("cv2", reason="OpenCV, which reads with libpng, comes with the extra ocr")
    assert np.array_equal(libpng.imdecode(np.frombuffer(small, np.uint8), libpng.IMREAD_GRAYSCALE), wanted)


@settings(max_examples=120, deadline=None)
@given(
    st.text(st.characters(exclude_categories=()), max_size=600),
    st.builds(Style, st.integers(5, 24), FACE, st.booleans()),
)
def test_content_never_leaves_its_box_and_never_touches_the_gutter(text, style):
    image = pixels(page := layout([TurnText(7, "user", text)], style, SHEET)[0])
    blank = pixels(layout([TurnText(7, "user", "")], style, SHEET)[0])
    gutter, rows = image[:, : page.left - 1], min(len(image), len(blank))
    assert np.array_equal(gutter[:rows], blank[:rows, : page.left - 1])
    assert (gutter[rows:, : page.left - 2] == 255).all()
    assert (gutter[:, page.left - 2] == RULE_GREY).all()
    assert (image[:TOP, page.left :] == 255).all()
    assert (image[-TOP:, page.left :] == 255).all()
    assert (image[:, -MARGIN + 1 :] == 255).all()


@settings(max_examples=60, deadline=None)
@given(st.characters(exclude_categories=()))
@example("|")
def test_every_character_leaves_ink(char):
    """Nothing is invisible but blanks: each character is drawn as itself or as a code."""
    page = layout([TurnText(1, "user", f"|{char}|")], Style(12), SHEET)[0]
    bare = layout([TurnText(1, "user", "||")], Style(12), SHEET)[0]
    if not char.isspace():
        assert (255 - pixels(page).astype(int)).sum() > (255 - pixels(bare).astype(int)).sum()


def test_bold_is_darker_and_marks_what_matters():
    plain, bold = (
        layout([TurnText(1, "user", "code HAT-136 it is")], Style(9, bold=b), SHEET)[0] for b in (False, True)
    )
    assert bold.lines() == plain.lines()
    assert pixels(bold).sum() < pixels(plain).sum()
    assert (bold.glyphs != plain.glyphs).sum() == len("HAT-136")
