"""The published rules written out step by step, slowly and without the tables: the package must agree."""

from __future__ import annotations

import math
from fractions import Fraction


def claude(width: int, height: int, edge: int, most: int) -> int:
    """Tries every size of the image's shape from the largest down until one fits both limits."""
    long, short = max(width, height), min(width, height)
    for n in range(min(long, edge), 0, -1):
        m = max(1, round(n * short / long))
        down, across = -(-n // 28), -(-m // 28)
        if down * 28 <= edge and across * 28 <= edge and down * across <= most:
            return down * across
    raise AssertionError("a size of one pixel always fits")


def patch(width: int, height: int, side: int, budget: int, tenths: int) -> int:
    """Patches of 32 px; `tenths` is the multiplier in hundredths, so that it is exact."""
    if max(width, height) > side:
        scale = side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    patches = math.ceil(width / 32) * math.ceil(height / 32)
    if budget and patches > budget:
        factor = math.sqrt(32 * 32 * budget / (width * height))
        columns, lines = width * factor / 32, height * factor / 32
        factor *= min(math.floor(columns) / columns, math.floor(lines) / lines)
        width, height = max(1, math.floor(width * factor)), max(1, math.floor(height * factor))
        patches = math.ceil(width / 32) * math.ceil(height / 32)
    return math.ceil(Fraction(patches * tenths, 100))


def tile(width: int, height: int, base: int, each: int) -> int:
    """Counts tiles by laying them out one by one."""
    if max(width, height) > 2048:
        long = max(width, height)
        width, height = max(1, width * 2048 // long), max(1, height * 2048 // long)
    if min(width, height) > 768:
        short = min(width, height)
        width, height = max(1, width * 768 // short), max(1, height * 768 // short)
    corners = [(x, y) for x in range(0, width, 512) for y in range(0, height, 512)]
    return base + each * len(corners)


def gemini3(width: int, height: int, budget: int) -> int:
    """The largest grid of 48 px cells in the image's shape under the budget."""
    factor = math.sqrt(budget * 2304 / (width * height))
    down, across = math.floor(factor * height / 48), math.floor(factor * width / 48)
    if down == 0:
        return min(width // height, budget)
    if across == 0:
        return min(height // width, budget)
    return down * across


def gemini2(width: int, height: int) -> int:
    """Crop units of two thirds of the short side, between 256 and 768 px."""
    if max(width, height) <= 384:
        return 258
    scale = min(1, 3072 / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    unit = sorted((256, math.floor(min(width, height) / 1.5), 768))[1]
    return 258 * len(range(0, width, unit)) * len(range(0, height, unit))


def smart(width: int, height: int, factor: int, low: int, high: int) -> int:
    """The processors' resize: whole factors, then the area brought within its limits."""
    columns, lines = round(width / factor), round(height / factor)
    if columns * lines * factor * factor > high:
        beta = math.sqrt(width * height / high)
        columns = max(1, math.floor(width / beta / factor))
        lines = max(1, math.floor(height / beta / factor))
    elif columns * lines * factor * factor < low:
        beta = math.sqrt(low / (width * height))
        columns, lines = math.ceil(width * beta / factor), math.ceil(height * beta / factor)
    return columns * lines


HIGH, STANDARD = {"edge": 2576, "most": 4784}, {"edge": 1568, "most": 1568}
FAMILIES = {  # model and level -> the slow rule
    ("claude-opus-5", None): lambda w, h: claude(w, h, **HIGH),
    ("claude-sonnet-4-5", None): lambda w, h: claude(w, h, **STANDARD),
    ("gpt-6-sol", "high"): lambda w, h: patch(w, h, 65535, 2500, 120),
    ("gpt-5.6-sol", "high"): lambda w, h: patch(w, h, 2048, 2500, 120),
    ("gpt-5.5", None): lambda w, h: patch(w, h, 6000, 10000, 120),
    ("gpt-5.4", "low"): lambda w, h: patch(w, h, 2048, 6144, 120),
    ("gpt-4.1-mini", None): lambda w, h: patch(w, h, 2048, 6144, 162),
    ("gpt-5-nano", None): lambda w, h: patch(w, h, 2048, 1536, 150),
    ("gpt-4o", None): lambda w, h: tile(w, h, 85, 170),
    ("gpt-5", None): lambda w, h: tile(w, h, 70, 140),
    ("o3", "high"): lambda w, h: tile(w, h, 75, 150),
    ("gemini-3-pro", None): lambda w, h: gemini3(w, h, 1120),
    ("gemini-3.6-flash", "low"): lambda w, h: gemini3(w, h, 280),
    ("gemini-3-pro", "ultra_high"): lambda w, h: gemini3(w, h, 2240),
    ("gemini-2.5-pro", None): gemini2,
    ("qwen2.5-vl-72b", None): lambda w, h: smart(w, h, 28, 3136, 12_845_056),
    ("qwen3-vl-235b", None): lambda w, h: smart(w, h, 32, 65_536, 16_777_216),
    ("glm-4.6v", None): lambda w, h: smart(w, h, 28, 6272, 5_880_000),
    ("minimax-m3", None): lambda w, h: smart(w, h, 28, 3136, 451_584),
}
