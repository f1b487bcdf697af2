"""What an image costs and at which size a model sees it: one small function for each way of counting.

Each rule takes a size in pixels and the level of detail, and returns the size that the model sees and the
tokens billed. The numbers of each model are rows of models.toml.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import pairwise
from math import ceil, floor, sqrt
from typing import Any

import optical_memory.cost.tables as tables
from optical_memory.errors import ConfigError

Seen = tuple[int, int, int]  # width, height in pixels as the model sees it; tokens
Rule = Callable[[int, int, str | None], Seen]
LARGEST_PATCHES = 30_000  # OpenAI refuses an image with more, after resizing


def image_tokens(model: str, width: int, height: int, detail: str | None = None) -> int:
    """Input tokens of one image of `width` x `height` pixels.

    `detail` is OpenAI's level (low, high, original, auto) or Gemini's media resolution (low, medium, high,
    ultra_high); models without levels ignore it. An unknown model is counted high, with one warning. Raises
    ConfigError for a size below one pixel, a level that the model does not have, an image that its provider
    refuses, and a model that cannot see.
    """
    return _seen(model, width, height, detail)[2]


def served_size(model: str, width: int, height: int, detail: str | None = None) -> tuple[int, int]:
    """Width and height in pixels at which the model sees the image; raises as `image_tokens`."""
    return _seen(model, width, height, detail)[:2]


def _seen(model: str, width: int, height: int, detail: str | None) -> Seen:
    if width < 1 or height < 1:
        raise ConfigError(f"an image of {width}x{height} pixels has no area: pass sides of at least 1")
    mine = tables.registered(model) or {}
    if "image" in mine:
        served = mine["served"](width, height) if "served" in mine else (width, height)
        return *served, mine["image"](width, height)
    return rule(mine.get("like", model))(width, height, detail)


@lru_cache(1024)
def _rule_of(model: str) -> Rule | None:
    row = tables.row("image", model)
    if row is None or tables.blind(model):
        return None
    own = {k: v for k, v in row.items() if k not in ("models", "rule", "sheets", "marks", "source", "date")}
    return lru_cache(4096)(partial(RULES[row["rule"]], **own))


def rule(model: str) -> Rule:
    """The way this model counts images; for an unknown one the highest of the ways in use."""
    found = _rule_of(model)
    if found is None and tables.blind(model):
        raise ConfigError(f"the model {model!r} cannot see images: keep its memory as text, or name another")
    if found is None and tables.registered(model) is None:
        tables.warn_once(model)
    return found or unknown


def _level(levels: dict[str, Any], detail: str | None, default: str) -> Any:
    """The entry for a level, written as any provider writes it (high, HIGH, MEDIA_RESOLUTION_HIGH)."""
    name = (detail or "auto").lower().removeprefix("media_resolution_")
    name = default if name in ("auto", "unspecified") else name
    if name not in levels:
        raise ConfigError(f"no level of detail {detail!r} here: pass one of {', '.join(levels)}, or none")
    return levels[name]


def fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Made smaller, never larger, until no side is over `side` pixels."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def cells(width: float, height: float, cell: int) -> int:
    """Squares of `cell` pixels that cover the image."""
    return ceil(width / cell) * ceil(height / cell)


def cells28(width: int, height: int, detail: str | None = None, *, edge: int, most: int) -> Seen:
    """Claude: cells of 28 px; what is too long or too large is shown at the largest size that fits."""

    def at(long: int) -> tuple[int, int]:
        short = max(1, round(long * min(width, height) / max(width, height)))
        return (long, short) if width >= height else (short, long)

    def fits(long: int) -> bool:
        return ceil(long / 28) * 28 <= edge and cells(*at(long), 28) <= most

    low, high = 1, max(width, height)
    if fits(high):
        return width, height, cells(width, height, 28)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return *at(low), cells(*at(low), 28)


def patch32(
    width: int, height: int, detail: str | None = None, *,
    multiplier: float, levels: dict[str, Any], default: str,
) -> Seen:  # fmt: skip
    """OpenAI since 2025: patches of 32 px under a budget for each level, times the model's multiplier."""
    side, budget = _level(levels, detail, default)
    w, h = fit(width, height, side)
    if budget and cells(w, h, 32) > budget:
        w, h = _within_patches(w, h, budget)
    patches = cells(w, h, 32)
    if patches > LARGEST_PATCHES:
        raise ConfigError(
            f"an image of {width}x{height} pixels has {patches} patches and the provider refuses more than "
            f'{LARGEST_PATCHES}: send a smaller one, or pass detail="high"'
        )
    return w, h, ceil(round(patches * multiplier, 6))


def _within_patches(width: int, height: int, budget: int) -> tuple[int, int]:
    """The published shrink: to the budget's area, then to whole patches on the tighter side."""
    scale = sqrt(1024 * budget / (width * height))
    across, down = width * scale / 32, height * scale / 32
    scale *= min(floor(across) / across, floor(down) / down)
    return max(1, floor(width * scale)), max(1, floor(height * scale))


def tile512(width: int, height: int, detail: str | None = None, *, base: int, tile: int) -> Seen:
    """OpenAI until 2025: tiles of 512 px once the long side is within 2048 and the short within 768."""
    if _level({"low": 1, "high": 0}, detail, "high"):
        return *fit(width, height, 512), base
    w, h = width, height
    for side, most in ((max, 2048), (min, 768)):
        now = side(w, h)
        if now > most:
            w, h = max(1, w * most // now), max(1, h * most // now)
    return w, h, base + tile * cells(w, h, 512)


def grid48(width: int, height: int, detail: str | None = None, *, levels: dict[str, int], default: str) -> Seen:
    """Gemini 3 and Gemma 4: made smaller or larger to whole cells of 48 px, as many as the level allows."""
    budget = _level(levels, detail, default)
    scale = sqrt(budget * 48 * 48 / (width * height))
    across, down = floor(width * scale / 48), floor(height * scale / 48)
    if down == 0:
        across, down = min(width // height, budget), 1
    elif across == 0:
        across, down = 1, min(height // width, budget)
    return 48 * across, 48 * down, across * down


def tile258(width: int, height: int, detail: str | None = None) -> Seen:
    """Gemini 1.5 to 2.5: 258 tokens a tile, whose side follows the short side; small images are one tile."""
    if width <= 384 and height <= 384:
        return width, height, 258
    w, h = fit(width, height, 3072)
    side = min(768, max(256, floor(min(w, h) / 1.5)))
    return w, h, 258 * cells(w, h, side)


def smart(width: int, height: int, detail: str | None = None, *, factor: int, low: int, high: int) -> Seen:
    """Qwen, GLM, MiniMax: sides rounded to the factor, the area kept from `low` to `high` square pixels."""
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > high:
        by = sqrt(width * height / high)
        w, h = (max(factor, floor(side / by / factor) * factor) for side in (width, height))
    elif w * h < low:
        by = sqrt(low / (width * height))
        w, h = (ceil(side * by / factor) * factor for side in (width, height))
    return w, h, (w // factor) * (h // factor)


def kimi(width: int, height: int, detail: str | None = None) -> Seen:
    """Kimi K2.5: at most 16,384 patches of 14 px and 512 to a side, merged two by two."""
    patches = max(1, width // 14) * max(1, height // 14)
    scale = min(1.0, sqrt(16384 / patches), 512 * 14 / width, 512 * 14 / height)
    w, h = max(1, int(width * scale)), max(1, int(height * scale))
    return w, h, cells(w, h, 28)


def rows(width: int, height: int, detail: str | None = None, *, cell: int, edge: int) -> Seen:
    """Mistral: cells, and one token that ends each row, so that wide pages are cheaper."""
    by = max(width, height) / edge
    w, h = (width, height) if by <= 1 else (max(1, round(width / by)), max(1, round(height / by)))
    return w, h, (ceil(w / cell) + 1) * ceil(h / cell)


def mosaic(
    width: int,
    height: int,
    detail: str | None = None,
    *,
    side: int,
    tiles: int,
    each: int,
    overview: int,
    base: int = 0,
) -> Seen:
    """InternVL, Llama 4: stretched to the nearest grid of tiles, `base` tokens beside them, an overview if many."""
    across, down = _mosaic_grid(width, height, side, tiles)
    extra = overview if across * down > 1 else 0
    return side * across, side * down, base + each * across * down + extra


def _mosaic_grid(width: int, height: int, side: int, tiles: int) -> tuple[int, int]:
    """The grid nearest in shape; of equally near ones the larger, if the image fills half of it."""
    best, shape = (1, 1), width / height
    grids = [(a, b) for a in range(1, tiles + 1) for b in range(1, tiles // a + 1)]
    for a, b in sorted(grids, key=lambda g: g[0] * g[1]):
        nearer = abs(shape - a / b) - abs(shape - best[0] / best[1])
        if nearer < 0 or (nearer == 0 and width * height > 0.5 * side * side * a * b):
            best = (a, b)
    return best


def phi4(width: int, height: int, detail: str | None = None) -> Seen:
    """Phi-4-multimodal: crops of 448 px, 16 x 16 tokens each with a mark for each row, and an overview."""
    across, down = ceil(width / 448), ceil(height / 448)
    if across * down > 36:
        across, down = _mosaic_grid(width, height, 448, 36)
    return 448 * across, 448 * down, 16 * down * (16 * across + 1) + 273


def flat(width: int, height: int, detail: str | None = None, *, side: int, tokens: int) -> Seen:
    """Gemma 3: every image is stretched to one square and costs the same."""
    return side, side, tokens


def squares(width: int, height: int, detail: str | None = None, *, levels: dict[str, Any], default: str) -> Seen:
    """DeepSeek-OCR: each mode has one square size and one price; the image is fitted into it."""
    side, tokens = _level(levels, detail, default)
    return *fit(width, height, side), tokens


def area(width: int, height: int, detail: str | None = None, *, pixels: int, least: int, most: int) -> Seen:
    """No published grid: so many pixels a token, from `least` to `most` tokens (0: no most)."""
    tokens = max(least, ceil(width * height / pixels))
    if not most or tokens <= most:
        return width, height, tokens
    by = sqrt(most * pixels / (width * height))
    return max(1, floor(width * by)), max(1, floor(height * by)), most


def curve(width: int, height: int, detail: str | None = None, *, points: list[list[int]]) -> Seen:
    """Nova: straight lines between published sizes (square pixels, tokens); beyond the last in proportion."""
    size = width * height
    for (x0, y0), (x1, y1) in pairwise(points):
        if size <= x1:
            return width, height, ceil(y0 + (y1 - y0) * (size - x0) / (x1 - x0))
    x, y = points[-1]
    return width, height, ceil(y * size / x)


def unknown(width: int, height: int, detail: str | None = None) -> Seen:
    """The highest of Claude without limits, OpenAI's two ways and Gemini 3, seen at their smallest size."""
    tiles, gemini = tile512(width, height, base=85, tile=170), 1120
    standard = cells28(width, height, edge=1568, most=1568)
    seen = min(tiles, standard, key=lambda s: s[0] * s[1])
    return *seen[:2], max(cells(width, height, 28), ceil(cells(width, height, 32) * 1.2), tiles[2], gemini)


RULES: dict[str, Callable[..., Seen]] = {
    f.__name__: f
    for f in (
        cells28,
        patch32,
        tile512,
        grid48,
        tile258,
        smart,
        kimi,
        rows,
        mosaic,
        phi4,
        flat,
        squares,
        area,
        curve,
    )
}


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, read from the header of a PNG, JPEG, GIF or WebP; else None."""
    for magic, read in _HEADERS.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError):
                return None
    return None


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        bare = marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01
        at += (1 if marker == 0xFF else 2) if bare else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


_HEADERS: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8\xff": _jpeg,
    b"GIF8": _gif,
    b"RIFF": _webp,
}
