"""Pages under load: ten thousand fuzzed turns, every code point, every conversation at hand."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from optical_memory.pages import Sheet, Style, TurnText, layout, render_page
from optical_memory.pages.glyphs import face
from optical_memory.pages.kinds import normalise
from optical_memory.pages.layout import MARGIN
from optical_memory.pages.marks import points
from optical_memory.pages.render import RULE_GREY, pixels
from tests.data import conversations

pytestmark = pytest.mark.slow

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
        style = Style(5 + seed % 20, bold=seed % 2 == 0)
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
