"""Conversations in other scripts: pages where fonts are at hand, else text, and the reason in words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from optical_memory import OpticalMemory
from optical_memory.pages import Style, TurnText, scripts_at_hand
from optical_memory.planning.looks import Old
from optical_memory.planning.seal import seal
from optical_memory.planning.spans import Look, parse_style
from tests.planning.test_seal import READER, SHEET

needs_fonts = pytest.mark.skipif(len(scripts_at_hand()) < 6, reason="the extra scripts is not installed")
ZH = "我们决定把发布会改到十四号，因为奥斯陆的大厅从那天起才有空。小明负责联系供应商，预算不能超过三千二百欧元。"


def drafts(*texts: str):
    turns = [Old(TurnText(number, "user", text), tokens=len(text), worth=1.0) for number, text in enumerate(texts, 1)]
    return seal(turns, READER, SHEET, lambda _: "vivid")


@needs_fonts
def test_pages_of_another_script_are_measured_at_the_pitch_that_it_needs():
    plain, chinese = (drafts(*[text] * 6)[0].looks["vivid"].style for text in ("An English sentence. " * 9, ZH * 4))
    assert chinese.plain == plain
    assert chinese.pitch > plain.pitch


@needs_fonts
def test_a_look_with_other_scripts_has_a_name_that_tells_what_drew_it_and_comes_back_from_it():
    look = drafts(*[ZH * 4] * 6)[0].looks["vivid"]
    assert "-fonts" in look.name
    assert Look.from_name(look.name).style == look.style
    assert Look.from_json(look.to_json()) == look
    assert parse_style("narrow9bs14") == Style(9, "narrow", True, "s", 14)


TALK = f"""
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # as if the package were not installed
from optical_memory import OpticalMemory
memory = OpticalMemory(sys.argv[1], model="gpt-4o", budget=4_000, keep=("turns", 2))
rows = [{{"role": ("user", "assistant")[n % 2], "content": f"{{n}} {ZH * 6}"}} for n in range(24)]
memory.remember("t", rows)
memory.context("t")
memory.step("t")
print(" ".join(s.kind for s in memory.context("t").segments), memory.explain("t"), sep="|")
"""


def talked(path, *without: str) -> tuple[list[str], str]:
    """The kinds of a context's segments and the explanation, in a process where these packages are not installed."""
    run = subprocess.run(
        [sys.executable, "-c", TALK, str(path), *without], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    kinds, told = run.stdout.strip().split("|")
    return kinds.split(), told


@needs_fonts
def test_a_chinese_conversation_becomes_pages_that_cost_less_than_its_text(tmp_path):
    kinds, told = talked(tmp_path / "memory.db")
    assert {"vivid", "clear", "dense"} & set(kinds)
    assert "No font here" not in told


@pytest.mark.slow
def test_without_fonts_it_stays_text_and_the_explanation_names_the_extra(tmp_path):
    kinds, told = talked(tmp_path / "memory.db", "manimgx_fonts", "manimgx_fonts_cjk")
    assert not {"vivid", "clear", "dense"} & set(kinds)
    assert 'so they stay text: pip install "optical-memory[scripts]".' in told


@pytest.mark.slow
@needs_fonts
def test_fonts_that_go_leave_text_not_codes_and_fonts_that_come_leave_the_thread_whole(tmp_path):
    file = tmp_path / "memory.db"
    assert {"vivid", "clear", "dense"} & set(talked(file)[0])
    kinds, _ = talked(file, "manimgx_fonts", "manimgx_fonts_cjk")
    assert not {"vivid", "clear", "dense"} & set(kinds)
    assert {"vivid", "clear", "dense"} & set(talked(file)[0])
    with OpticalMemory(file) as memory:
        assert len(memory.turns("t")) == 24
