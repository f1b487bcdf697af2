"""An OCR engine is shown lines at the size that a model would be served, and no line twice if there is a cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from optical_memory.cost import profile
from optical_memory.errors import ConfigError
from optical_memory.pages import Sheet, Style, render_page
from optical_memory.readers import Reader, reader
from optical_memory.readers.blind import sheetful
from optical_memory.readers.ocr import OcrReader, PageReader, in_order, pieces
from optical_memory.readers.strips import Grey, grey, lines

PAGE = sheetful(1, 1, Style(9), Sheet(924, 1680, 28), chars=900).page
LINES = len(PAGE.lines())


class Counting:
    """An engine that tells each line's height and how many it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def __call__(self, strips: Sequence[Grey]) -> list[str]:
        self.shown.append(len(strips))
        return [f"{strip.shape[0]}" for strip in strips]


def test_a_page_is_read_line_by_line() -> None:
    engine = Counting()
    assert OcrReader("x", engine).read(render_page(PAGE)).splitlines() == ["9"] * LINES
    assert engine.shown == [LINES]


def test_a_line_in_the_cache_is_not_shown_again(tmp_path: Path) -> None:
    engine = Counting()
    first, second = (OcrReader("x", engine, cache=tmp_path / "c.db").read(render_page(PAGE)) for _ in range(2))
    assert first == second
    assert engine.shown == [LINES]


def test_readers_of_other_names_do_not_share_a_cache(tmp_path: Path) -> None:
    engine = Counting()
    for name in ("x", "y"):
        OcrReader(name, engine, cache=tmp_path / "c.db").read(render_page(PAGE))
    assert engine.shown == [LINES, LINES]


@pytest.mark.parametrize("share", [0.5, 0.62, 0.85])
def test_a_page_that_a_model_would_see_smaller_is_read_smaller(share: float) -> None:
    page = sheetful(1, 1, Style(20), Sheet(924, 1680, 28), chars=900).page
    read = OcrReader("x", Counting(), lambda w, h: (round(w * share), round(h * share))).read(render_page(page))
    heights = [int(height) for height in read.splitlines()]
    assert len(heights) == len(page.lines())
    assert all(abs(height - 20 * share) < 1.5 for height in heights)


def test_a_whole_page_is_shown_to_an_engine_at_the_size_at_which_a_model_is_served_it() -> None:
    read = PageReader("x", lambda page: str(page.shape), lambda w, h: (w // 2, h // 2)).read(render_page(PAGE))
    assert read == str((PAGE.height // 2, PAGE.width // 2))


def test_boxes_are_read_by_rows_from_the_left() -> None:
    """Those of a row stand a pixel higher or lower than each other; the next row begins nine pixels below."""
    at = {"four": (90, 30), "one": (0, 20), "three": (0, 29), "two": (100, 21)}
    found = [([(x, y), (x + 80, y), (x + 80, y + 12), (x, y + 12)], text) for text, (x, y) in at.items()]
    assert in_order(found) == "one two\nthree four"
    assert in_order([]) == ""


def test_a_blank_page_is_read_as_nothing_without_an_engine() -> None:
    engine = Counting()
    blank = sheetful(1, 1, Style(9), Sheet(924, 1680, 28), chars=200).page
    assert OcrReader("x", engine).read(_white(blank.width)) == ""
    assert engine.shown == []


def _white(width: int) -> bytes:
    from optical_memory.pages.render import png

    return png(np.full((28, width), 255, np.uint8))


def test_a_line_is_cut_at_spaces_and_loses_no_ink() -> None:
    for line in lines(grey(render_page(PAGE))):
        cut = pieces(line)
        assert len(cut) > 1
        assert all(piece.shape[1] <= 20 * line.shape[0] for piece in cut)
        assert sum(int((255 - piece.astype(int)).sum()) for piece in cut) == int((255 - line.astype(int)).sum())


def test_an_engine_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="'ocr:tesseract' or 'ocr:rapidocr'"):
        reader("ocr:nonesuch")


def test_any_engine_is_a_reader() -> None:
    assert isinstance(OcrReader("x", Counting(), profile("ocr:tesseract").served), Reader)
    assert isinstance(PageReader("x", str), Reader)
