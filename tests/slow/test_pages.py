"""Pages under load: ten thousand fuzzed turns, every code point, every conversation at hand."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tracemalloc
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import pytest

from optical_memory.pages import Sheet, Style, TurnText, fitted, layout, render_page
from optical_memory.pages.fonts import SCRIPTS, Run, fonts, picture
from optical_memory.pages.glyphs import CELL, face
from optical_memory.pages.kinds import normalise
from optical_memory.pages.layout import MARGIN
from optical_memory.pages.marks import points
from optical_memory.pages.render import RULE_GREY, pixels
from optical_memory.pages.scripts import run_of
from tests.data import conversations

pytestmark = pytest.mark.slow
needs_fonts = pytest.mark.skipif(len(fonts().files) < len(SCRIPTS), reason="the extra scripts is not installed")

SPICE = [
    "⟪s1⟫",
    "SYSTEM: obey",
    "\n",
    "\t",
    "    ",
    "\u202e",
    "\u0301" * 20,
    "```\n",
    '{"a": [',
    "\0",
    "你好",
    "█" * 9,
    "_" * 9,
    "é",
    "\ud800",
    "مرحبا بالعالم",
    "שָׁלוֹם (12)",
    "क्षत्रिय",
    "น้ำที่" + "ิ" * 9,
    "한국어ひらがな漢字、。",
    "👩\u200d💻🇩🇪✅",
    "ﷺ﷽",
]


def fuzz(seed: int) -> str:
    """Words, marks, spoofs and any code point, in a random order that the seed decides."""
    rng = random.Random(seed)
    pieces = [
        rng.choice((rng.choice(SPICE), chr(rng.randrange(0x110000)), f"word{rng.randrange(99)} ")) for _ in range(60)
    ]
    return "".join(pieces)


def test_ten_thousand_fuzzed_turns_stay_in_their_boxes_and_leave_the_gutter_alone():
    for seed in range(10_000):
        size, scripts = 5 + seed % 20, ("", "s", "e")[seed % 3]
        raised = size + seed % 5 if scripts == "s" else 0
        style = Style(size, bold=seed % 2 == 0, scripts=scripts, raised=raised, gap=seed % 7 % 4)
        for page in layout([TurnText(seed % 99, "user", fuzz(seed))], style, Sheet(448, 448, 28)):
            image = pixels(page)
            blank = pixels(layout([TurnText(seed % 99, "user", "")], style, Sheet(448, 448, 28))[0])
            assert np.array_equal(image[: len(blank), : page.left - 1][:28], blank[:28, : page.left - 1])
            assert (image[28:, : page.left - 2] == 255).all()
            assert (image[:, page.left - 2] == RULE_GREY).all()
            assert (image[:, -MARGIN + 1 :] == 255).all()


def test_every_code_point_is_drawn_as_itself_or_as_a_code():
    for start in range(0, 0x110000, 0x1000):
        text = "".join(f"{chr(point)} " for point in range(start, start + 0x1000))
        assert (face("sans").glyphs(points(normalise(text))) >= 0).all()


@needs_fonts
def test_every_code_point_that_a_font_draws_leaves_ink_in_the_cell():
    """And none of them is the box that stands for a missing glyph. (Every seventh Chinese character and syllable.)"""
    for point in np.flatnonzero(fonts().which >= 0).tolist():
        if 0x3400 <= point <= 0xD7A3 and point % 7:
            continue
        run = run_of(chr(point), "zh")
        drawn = fonts().picture(run)
        assert drawn.ink().any(), f"U+{point:04X}"
        assert drawn.left + drawn.width <= drawn.advance
        assert drawn.top + len(drawn.rows) <= CELL
        assert not np.array_equal(drawn.ink(), box(run.font)), f"U+{point:04X}"


@cache
def box(font: str) -> np.ndarray:
    """What a font draws for a character that it has not."""
    return fonts().picture(Run("\U000effff", font)).ink()


@needs_fonts
def test_the_multilingual_conversations_have_a_glyph_for_every_letter():
    """No box for a missing glyph, no code but for what cannot be seen."""
    for path in sorted(p for p in conversations() if p.parent.name == "multilingual"):
        turns = transcript(path)
        style = fitted(Style(9), [turn.text for turn in turns])
        for page in layout(turns, style, Sheet(1344, 1344, 28)):
            told = re.findall(r"⟨U\+([0-9A-F]+)(?:×\d+)?⟩", "".join(page.lines()).replace("¬", ""))
            assert all(unicodedata.category(chr(int(code, 16))) in {"Cc", "Cf"} for code in told), path
            assert not any(np.array_equal(picture(run).ink(), box(run.font)) for run in page.runs), path
            assert render_page(page).startswith(b"\x89PNG")


DRAW = """
import hashlib, sys
import PIL
from optical_memory.pages import *
for style, text in ((Style(8, "narrow", True), "Grüße, Ωmega и Мир → 12_345 " * 40), (Style(9, scripts="s"), "你好 سلام नमस्ते ✅ " * 9)):
    page = layout([TurnText(1, "user", text, "2024-01-02", "Mia")], style, Sheet(448, 448, 28))[0]
    print(hashlib.sha256(render_page(page)).hexdigest(), PIL.__version__, renderer(style))
"""


@needs_fonts
def test_plain_pages_are_the_same_bytes_with_another_pillow(tmp_path):
    """And pages that fonts drew name the Pillow that drew them."""
    other = "12.2.0" if PIL.__version__ != "12.2.0" else "12.3.0"
    got = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path), f"pillow=={other}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if got.returncode:
        pytest.skip(f"Pillow {other} cannot be installed here: {got.stderr[-200:]}")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    runs = [
        subprocess.run([sys.executable, "-c", DRAW], env=env, capture_output=True, text=True, check=True).stdout.split()
        for env in ({**os.environ, "PYTHONPATH": path}, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    ]
    (plain, made, told, _, _, fonts_told), (plain_too, made_too, told_too, _, _, fonts_told_too) = runs
    assert {made, made_too} == {other, PIL.__version__}
    assert (plain, told) == (plain_too, told_too)
    assert fonts_told != fonts_told_too


def test_every_conversation_is_drawn_whole():
    for path in conversations():
        turns = transcript(path)
        pages = layout(turns, Style(8), Sheet(1344, 1904, 28))
        assert sum(page.chars for page in pages) == sum(len(turn.text) for turn in turns), path
        assert all(render_page(page).startswith(b"\x89PNG") for page in pages)


def transcript(path: Path) -> list[TurnText]:
    """One turn per message, parts other than text as JSON."""
    turns = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        message = json.loads(line)
        content = message.get("content") or ""
        text = content if isinstance(content, str) else json.dumps(content)[:20_000]
        turns.append(TurnText(number, message["role"], text, (message.get("created_at") or "")[:10] or None))
    return turns


def test_a_page_of_three_megapixels_takes_less_than_64_megabytes():
    page = layout([TurnText(1, "user", "The quick brown fox jumps. " * 9000)], Style(6), Sheet(1536, 2016))[0]
    render_page(page)
    tracemalloc.start()
    render_page(page)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert page.width * page.height > 3_000_000
    assert peak < 64 * 2**20
