"""How fast pages are drawn and how many bytes they are, beside Pillow and the nearest other package, all in one run.

Both sides draw without layout, which is timed apart. Times are wall clock of one thread; the best of n says what the code
can do, the median what a machine with other work gave it.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

from optical_memory.pages import Layout, Sheet, Style, TurnText, layout, render_page
from optical_memory.pages.render import pixels
from optical_memory.readers.blind import prose

if TYPE_CHECKING:
    from PIL import ImageFont

SIDE = 1024  # pixels of the page that is drawn
FONT = "DejaVuSans.ttf"  # the face that the shipped glyphs were made of
PEER, PEER_VERSION = "un-locc", "0.1.9"
PEER_SIDE = 864  # pixels: its default page
BARS = {"drawn": 20.0, "with PNG": 5.0, "peer, with PNG": 10.0}  # times as fast per character, at least


@dataclass(frozen=True, slots=True)
class Timing:
    """One way to draw `chars` characters, timed `times` (seconds); `size` is what comes out, in bytes, 0 where nothing does."""

    name: str
    chars: int
    times: tuple[float, ...]
    size: int = 0

    @property
    def best(self) -> float:
        """Microseconds for each character, fastest run."""
        return 1e6 * min(self.times) / self.chars

    @property
    def usual(self) -> float:
        """Microseconds for each character, median run."""
        return 1e6 * median(self.times) / self.chars


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast we are for each character, by the fastest and the median runs, and the bar (at least)."""

    name: str
    best: float
    usual: float
    bar: float

    @property
    def reached(self) -> bool:
        """Is the bar reached by the fastest runs?"""
        return self.best >= self.bar


@dataclass(frozen=True, slots=True)
class Report:
    """What was timed, the ratios that follow, and what could not be timed here."""

    timings: tuple[Timing, ...]
    ratios: tuple[Ratio, ...]
    skipped: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """JSON values, one for each thing timed and each ratio."""
        timed = [
            {
                "what": t.name, "chars": t.chars, "runs": len(t.times), "best_ms": 1e3 * min(t.times),
                "median_ms": 1e3 * median(t.times), "best_us_per_char": t.best, "bytes": t.size,
            }
            for t in self.timings
        ]  # fmt: skip
        told = [
            {"ratio": r.name, "best": r.best, "median": r.usual, "bar": r.bar, "reached": r.reached}
            for r in self.ratios
        ]
        return [*timed, *told, *({"skipped": reason} for reason in self.skipped)]

    def __str__(self) -> str:
        lines = [f"{'':34} {'chars':>7} {'runs':>4} {'best ms':>8} {'median':>8} {'us/char':>8} {'bytes':>8}"]
        lines += [
            f"{t.name:34} {t.chars:>7,} {len(t.times):>4} {1e3 * min(t.times):>8.2f} {1e3 * median(t.times):>8.2f} "
            f"{t.best:>8.3f} {t.size or '':>8}"
            for t in self.timings
        ]
        lines += [
            f"{r.name}: {r.best:.1f}x as fast (median {r.usual:.1f}x), bar {r.bar:.0f}x {'reached' if r.reached else 'MISSED'}"
            for r in self.ratios
        ]
        return "\n".join([*lines, *(f"not timed: {reason}" for reason in self.skipped)])


def render(size: int = 8, *, runs: int = 15, peer_runs: int = 3) -> Report:
    """Draw a full 1024 x 1024 page of prose at a line pitch of `size` pixels in every way there is here.

    Raises ConfigError for a size that is not drawn.
    """
    page = full_page(size)
    text = TurnText(1, "user", words(page.chars))
    ours = [
        _timed("layout", page.chars, runs, lambda: layout([text], page.style, Sheet(SIDE, SIDE))),
        _timed("drawn", page.chars, runs, lambda: pixels(page)),
        _timed("drawn, with PNG", page.chars, runs, lambda: render_page(page)),
    ]
    pillow, no_pillow = _pillow(page, runs)
    peer, no_peer = _peer(page, peer_runs)
    return Report((*ours, *pillow, *peer), _ratios(ours, pillow, peer), tuple(filter(None, (no_pillow, no_peer))))


def full_page(size: int) -> Layout:
    """A full page of prose."""
    return layout([TurnText(1, "user", words(3 * SIDE * SIDE // size**2))], Style(size), Sheet(SIDE, SIDE))[0]


def words(chars: int) -> str:
    """So many characters of prose that ships with Python: repeated lines would make files smaller than they are."""
    paragraphs = " ".join(prose())
    return (paragraphs * (chars // len(paragraphs) + 1))[:chars]


def _timed(name: str, chars: int, runs: int, act: Callable[[], Any]) -> Timing:
    """Timed after one run that is not counted, in which caches are filled."""
    made, times = act(), []
    for _ in range(runs):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return Timing(name, chars, tuple(times), _bytes(made))


def _bytes(made: Any) -> int:
    """Of one page."""
    if isinstance(made, bytes):
        return len(made)
    pages = [page for page in made if isinstance(page, bytes)] if isinstance(made, list) else []
    return round(sum(map(len, pages)) / len(pages)) if pages else 0


def _ratios(ours: Sequence[Timing], pillow: Sequence[Timing], peer: Sequence[Timing]) -> tuple[Ratio, ...]:
    pairs = [*zip(pillow, ours[1:], strict=False), *((other, ours[2]) for other in peer)]
    names = [*list(BARS)[: len(pillow)], *list(BARS)[2 : 2 + len(peer)]]
    return tuple(
        Ratio(f"{name} against {other.name}", other.best / mine.best, other.usual / mine.usual, BARS[name])
        for name, (other, mine) in zip(names, pairs, strict=True)
    )


def _pillow(page: Layout, runs: int) -> tuple[list[Timing], str]:
    """Pillow's ImageDraw.text on the lines of the page, in the same face with as many pixels for each character."""
    font = _font(page)
    if font is None:
        return [], f"Pillow: no {FONT} here (it comes with matplotlib or the system's package fonts-dejavu-core)"
    lines = page.lines()
    chars = sum(map(len, lines))
    return [
        _timed("Pillow ImageDraw.text", chars, runs, lambda: _drawn(lines, page, font)),
        _timed("Pillow ImageDraw.text, PNG", chars, runs, lambda: _saved(_drawn(lines, page, font))),
    ], ""


def _drawn(lines: Sequence[str], page: Layout, font: ImageFont.FreeTypeFont) -> Any:
    from PIL import Image, ImageDraw

    image = Image.new("L", (page.width, page.height), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((page.left, 1 + number * page.style.size), line, fill=0, font=font)
    return image


def _saved(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _font(page: Layout) -> ImageFont.FreeTypeFont | None:
    """The face at the size at which a line is as wide as ours."""
    from PIL import ImageFont

    line = max(page.lines(), key=len)
    with contextlib.suppress(OSError):
        large = ImageFont.truetype(_file(), 100)
        return ImageFont.truetype(_file(), 100 * (page.width - page.left) / large.getlength(line))
    return None


@cache
def _file() -> str:
    """The font file: matplotlib's, else the name, which Pillow looks for among the system's."""
    with contextlib.suppress(ImportError):
        return str(importlib.import_module("matplotlib").get_data_path()) + f"/fonts/ttf/{FONT}"
    return FONT


def _peer(page: Layout, runs: int) -> tuple[list[Timing], str]:
    text = words(2 * page.chars)
    if peer_pages("a word") is None:
        return [], f"{PEER}: not installed (pip install {PEER}=={PEER_VERSION})"
    return [_timed(f"{PEER}, PNG and base64", len(text), runs, lambda: peer_pages(text))], ""


def peer_pages(text: str, **settings: Any) -> list[bytes] | None:
    """The pages that `un-locc` draws of a text at its defaults, as PNG; None where it is not installed."""
    peer = _peer_package()
    if peer is None:
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        urls = peer._generate_images(text, **{**peer.default_compression, **settings})
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def peer_shown(text: str) -> tuple[int, int, int]:
    """Pages that `un-locc` draws of a text at its defaults, characters that stand on them, and those it had to place.

    It folds blanks, guesses how many words a page holds, and drops without a word the lines that then do not fit and the
    ends of lines that run over the page's edge. Without the package nothing is drawn.
    """
    peer = _peer_package()
    if peer is None:
        return 0, 0, 0
    wide = importlib.import_module("reportlab.pdfbase.pdfmetrics").stringWidth
    told = peer.default_compression
    size, padding = told["font_size"], told["padding"]
    room, rows = PEER_SIDE - padding, (PEER_SIDE - 2 * padding) // (size + 2)
    placed: list[list[str]] = []
    pages = len(_watched(peer, placed, text))
    lines = [line for page in placed for line in page[:rows]]
    shown = sum(_fitting(line, room, lambda part: wide(part, f"CustomFont_{size}", size)) for line in lines)
    return pages, shown, sum(len(line) for page in placed for line in page)


def _watched(peer: Any, placed: list[list[str]], text: str) -> list[str]:
    """The peer's pages; what it breaks into lines for each of them is put into `placed`."""
    watched = copy(peer)

    def split(*args: Any) -> list[str]:
        placed.append(peer._split_text_into_lines(*args))
        return placed[-1]

    watched._split_text_into_lines = split
    with contextlib.redirect_stdout(io.StringIO()):
        found: list[str] = watched._generate_images(text, **peer.default_compression)
    return found


def _fitting(line: str, room: float, width: Callable[[str], float]) -> int:
    """Characters of a line that stand on the page."""
    return bisect_right(range(1, len(line) + 1), room, key=lambda n: width(line[:n]))


@cache
def _peer_package() -> Any:
    try:
        return importlib.import_module("un_locc").UnLOCC(api_key="none")
    except ImportError:
        return None


def command(size: int = 8, runs: int = 15) -> Report:
    """`optical-memory bench render`: the report; printed as it is, or its rows as JSON."""
    return render(size, runs=runs)
