"""What two OCR engines read of other scripts at the pitch that a page of them has: where PITCH and READ come from.

`python -m pytest -n 0 -m slow -s tests/slow/test_scripts.py` prints the table for more pitches.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import unicodedata
from bisect import bisect
from math import ceil

import numpy as np
import pytest

from optical_memory.pages import Sheet, Style, TurnText, layout, scripts_at_hand
from optical_memory.pages.layout import TOP
from optical_memory.pages.render import pixels
from optical_memory.pages.scripts import PITCH, READ
from tests.data import data_dir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(scripts_at_hand()) < 6, reason="the extra scripts is not installed"),
]
CASES = [  # script, conversations, their letters, engine or Tesseract's model
    ("han", ("memorybank-zh-02", "mtbench-zh"), "\u4e00-\u9fff，。？！、：；（）《》", "rapidocr"),
    ("han", ("memorybank-zh-02", "mtbench-zh"), "\u4e00-\u9fff，。？！、：；（）《》", "chi_sim"),
    ("han", ("realpersona-ja", "mtbench-ja"), "\u3040-\u30ff\u4e00-\u9fff、。！？「」", "jpn"),
    ("han", ("xpersona-ko",), "\uac00-\ud7a3 .,?!", "kor"),
    ("arabic", ("dhakira-ar",), "\u0620-\u064a ،.؟!", "ara"),
]
HEIGHT, PAPER = 48, 16  # pixels of a line as Tesseract is given it, and of paper around it


def sample(files: tuple[str, ...], letters: str, seed: int, chars: int = 1_000) -> str:
    """Messages in a random order, reduced to the letters of one script."""
    folder = data_dir() / "multilingual"
    rows = [line for name in files for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
    random.Random(seed).shuffle(rows)
    text = " ".join("".join(re.findall(f"[{letters}]", str(json.loads(row).get("content") or ""))) for row in rows)
    return re.sub(" +", " " if " " in letters else "", text)[:chars]


def strips(text: str, pitch: int) -> list[tuple[np.ndarray, str]]:
    """The lines of a page as they were cut, and what stands in them; the first has a mark of ours and is left out."""
    style = Style(5, scripts="s", raised=pitch)
    page = layout([TurnText(1, "user", text)], style, Sheet(640, 4_000))[0]
    image = pixels(page)
    rows = [image[TOP + n * pitch : TOP + (n + 1) * pitch, page.left :] for n in range(len(page.lines()))]
    return list(zip(rows, page.lines(), strict=True))[1:]


def engine(name: str):
    """Reads strips. Skips where the engine, or Tesseract's model for the language, is not installed."""
    ocr = pytest.importorskip("optical_memory.readers.ocr")
    if name == "rapidocr":
        pytest.importorskip("rapidocr_onnxruntime")
        return ocr.rapidocr()
    pytest.importorskip("pytesseract")
    if not shutil.which("tesseract"):
        pytest.skip("the program tesseract is not installed: apt-get install tesseract-ocr")
    known = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True)
    if name not in known.stdout.split():
        pytest.skip(f"Tesseract has no model {name}: apt-get install tesseract-ocr-{name.replace('_', '-')}")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    return lambda rows: tesseract(rows, name)


def tesseract(rows: list[np.ndarray], language: str) -> list[str]:
    """All strips on one page; each word goes to the strip at whose height it was found."""
    import pytesseract
    from PIL import Image

    from optical_memory.readers.ocr import enlarged

    big = [enlarged(row, HEIGHT, PAPER) for row in rows]
    wide = max(row.shape[1] for row in big)
    image = np.vstack([np.pad(row, ((0, 0), (0, wide - row.shape[1])), constant_values=255) for row in big])
    told = pytesseract.image_to_data(
        Image.fromarray(image), lang=language, config="--psm 6 --oem 1", output_type=pytesseract.Output.DICT
    )
    texts, step = [""] * len(rows), HEIGHT + 2 * PAPER
    for top, height, word in zip(told["top"], told["height"], told["text"], strict=True):
        texts[bisect(range(0, len(image), step), top + height / 2) - 1] += word
    return texts


def accuracy(read, text: str, pitch: int) -> float:
    """Share of the characters, blanks apart, that come back."""
    distance = pytest.importorskip("rapidfuzz.distance").Levenshtein.distance
    lines, wrong, whole = strips(text, pitch), 0, 0
    for start in range(0, len(lines), 20):
        part = lines[start : start + 20]
        for (_, line), got in zip(part, read([row for row, _ in part]), strict=True):
            true, seen = (re.sub(r"[\s¬\u200b-\u200f]", "", unicodedata.normalize("NFKC", t)) for t in (line, got))
            wrong, whole = wrong + min(len(true), distance(true, seen)), whole + len(true)
    return 1 - wrong / whole


@pytest.mark.parametrize(("script", "files", "letters", "reader"), CASES)
def test_a_page_of_another_script_is_read_at_its_pitch(script, files, letters, reader):
    """At what the sharpest type of 9 pixels becomes at least 97 % of all characters, at the least that is drawn 90 %."""
    read, text = engine(reader), sample(files, letters, seed=3)
    sharp, least = ceil(9 * PITCH[script]), READ[script]
    found = {pitch: accuracy(read, text, pitch) for pitch in sorted({sharp, 12, 10, least}, reverse=True)}
    print(script, reader, {pitch: round(share, 3) for pitch, share in found.items()})
    assert found[sharp] >= 0.97
    assert found[least] >= 0.88  # two points for the sample
