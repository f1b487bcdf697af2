"""OCR engines as readers, of whole pages or of lines. They know no bottleneck of tokens: what they read is still on the page,
which does not say that a vision model reads it too.

What an engine loses on a whole page of small type are lines more than letters: it joins some and skips others. So a page in
which it is to read by itself (`PageReader`) is one matter, and whether letters are still legible (`OcrReader`, which is told
where lines are, and loses none, as a vision model does not) is another.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from optical_memory.errors import MissingExtraError
from optical_memory.readers.strips import Grey, grey, lines, served

Engine = Callable[[Sequence[Grey]], list[str]]
PageEngine = Callable[[Grey], str]
Served = Callable[[int, int], tuple[int, int]]

TESSERACT_HEIGHT = 32  # pixels of an enlarged line: 40 and 48 read as well and take longer (16, 10 and 7 px pages)
PAPER = 8  # pixels of paper around an enlarged line
RAPID_HEIGHT = 48  # pixels: what the recogniser was made for
ENLARGED = 2  # times that Tesseract is shown a whole page larger: small type needs it
MARGIN = 20  # pixels of paper around it
ROW = 0.4  # of a box's height: boxes whose middles are nearer stand in one line
PIECE = 20  # line pitches that a piece of a line is wide: whole lines are read no better and take twice as long
SPACE = 0.2  # of a line pitch without ink is a space, at which a line may be cut


def _as_drawn(width: int, height: int) -> tuple[int, int]:
    return width, height


@dataclass(frozen=True)
class OcrReader:
    """Reads a page line by line with an engine, at the size at which a model would be `served` it (pixels).

    What a line was read as is kept in the SQLite file `cache`, if there is one, and not read again.
    """

    name: str
    engine: Engine
    served: Served = _as_drawn
    cache: Path | None = None

    def read(self, png: bytes) -> str:
        """The text of a page, one line each. Raises OSError for bytes that are no picture."""
        image = grey(png)
        strips = lines(served(image, self.served(image.shape[1], image.shape[0])))
        keys = [hashlib.sha256(f"{self.name} {s.shape}".encode() + s.tobytes()).hexdigest() for s in strips]
        known = _known(self.cache, keys)
        new = {key: strip for key, strip in zip(keys, strips, strict=True) if key not in known}
        if new:
            read = dict(zip(new, self.engine(list(new.values())), strict=True))
            _keep(self.cache, read)
            known |= read
        return "\n".join(known[key] for key in keys)


@dataclass(frozen=True)
class PageReader:
    """Has an engine read a whole page, lines found by itself, at the size at which a model would be `served` it (pixels)."""

    name: str
    engine: PageEngine
    served: Served = _as_drawn

    def read(self, png: bytes) -> str:
        """The text of a page. Raises OSError for bytes that are no picture."""
        image = grey(png)
        return self.engine(served(image, self.served(image.shape[1], image.shape[0])))


def _opened(cache: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(cache, timeout=60, isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS line (key TEXT PRIMARY KEY, text TEXT NOT NULL)")
    return connection


def _known(cache: Path | None, keys: Sequence[str]) -> dict[str, str]:
    """What the cache holds of these lines."""
    if cache is None:
        return {}
    with closing(_opened(cache)) as connection:
        found = ((key, connection.execute("SELECT text FROM line WHERE key = ?", (key,)).fetchone()) for key in keys)
        return {key: row[0] for key, row in found if row}


def _keep(cache: Path | None, read: dict[str, str]) -> None:
    if cache is not None:
        with closing(_opened(cache)) as connection:
            connection.executemany("INSERT OR REPLACE INTO line VALUES (?, ?)", read.items())


def enlarged(strip: Grey, height: int, paper: int = 0) -> Grey:
    """A line at a height in pixels that an engine likes, with paper around it."""
    from PIL import Image

    framed = np.pad(strip, ((1, 1), (4, 4)), constant_values=255)
    size = max(1, round(framed.shape[1] * height / framed.shape[0])), height
    big = np.asarray(Image.fromarray(framed).resize(size, Image.Resampling.LANCZOS))
    return np.pad(big, paper, constant_values=255)


def tesseract() -> Engine:
    """Tesseract 5 with its English model, for lines. Raises MissingExtraError without the package or the program."""
    _check_tesseract()
    return _tesseract


def tesseract_pages() -> PageEngine:
    """The same for whole pages."""
    _check_tesseract()
    return _tesseract_page


def _check_tesseract() -> None:
    try:
        import pytesseract

        pytesseract.get_tesseract_version()
    except (ImportError, OSError) as error:  # the package's own "not found" is an OSError
        what = "pytesseract" if isinstance(error, ImportError) else "the program tesseract"
        raise MissingExtraError(f"{what} (the program: apt-get install tesseract-ocr)", "ocr") from error
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # its threads wait by spinning: one is faster where cores are shared


def _tesseract_page(page: Grey) -> str:
    import pytesseract
    from PIL import Image

    size = page.shape[1] * ENLARGED, page.shape[0] * ENLARGED
    big = np.asarray(Image.fromarray(page).resize(size, Image.Resampling.LANCZOS))
    shown = Image.fromarray(np.pad(big, MARGIN, constant_values=255))
    return str(pytesseract.image_to_string(shown, lang="eng", config="--psm 6 --oem 1"))


def _tesseract(strips: Sequence[Grey]) -> list[str]:
    """All lines on one page with paper between them; each word goes to the line on whose height it was found."""
    import pytesseract
    from PIL import Image

    rows = _stacked([enlarged(strip, TESSERACT_HEIGHT, PAPER) for strip in strips])
    found = pytesseract.image_to_data(
        Image.fromarray(rows), lang="eng", config="--psm 6 --oem 1", output_type=pytesseract.Output.DICT
    )
    starts = list(range(0, len(rows), TESSERACT_HEIGHT + 2 * PAPER))
    texts: list[list[str]] = [[] for _ in strips]
    for top, height, word in zip(found["top"], found["height"], found["text"], strict=True):
        if word.strip():
            texts[bisect(starts, top + height / 2) - 1].append(word)
    return [" ".join(words) for words in texts]


def _stacked(strips: Sequence[Grey]) -> Grey:
    """Strips of one height below each other, on paper as wide as the widest."""
    width = max(strip.shape[1] for strip in strips)
    return np.vstack([np.pad(s, ((0, 0), (0, width - s.shape[1])), constant_values=255) for s in strips])


def rapidocr() -> Engine:
    """The PP-OCR recogniser that comes with rapidocr-onnxruntime, on one thread, for lines. Raises MissingExtraError."""
    recognise = _rapidocr().text_rec
    return lambda strips: _rapid(recognise, strips)


def rapidocr_pages() -> PageEngine:
    """The same for whole pages, with the detector that belongs to it."""
    detect = _rapidocr()
    return lambda page: _rapid_page(detect, page)


def _rapidocr() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise MissingExtraError("rapidocr-onnxruntime", "ocr") from error
    return RapidOCR(use_cls=False, max_side_len=4096, intra_op_num_threads=1, inter_op_num_threads=1)


def _rapid_page(detect: Any, page: Grey) -> str:
    shown = np.pad(page, MARGIN, constant_values=255)
    found, _ = detect(np.repeat(shown[:, :, None], 3, axis=2), use_cls=False)
    return in_order((box, text) for box, text, _ in found or ())


def in_order(found: Iterable[tuple[Sequence[Sequence[float]], str]]) -> str:
    """Texts in the order of reading, from boxes told by their corners (x, y): rows from top to bottom, each from the left."""
    boxes = []
    for box, text in found:
        left, heights = min(x for x, _ in box), [y for _, y in box]
        boxes.append(((min(heights) + max(heights)) / 2, max(heights) - min(heights), left, text))
    rows: list[list[tuple[float, str]]] = []
    last = -inf
    for middle, height, left, text in sorted(boxes):
        if middle - last > ROW * height:
            rows.append([])
        rows[-1].append((left, text))
        last = middle
    return "\n".join(" ".join(text for _, text in sorted(row)) for row in rows)


def _rapid(recognise: Any, strips: Sequence[Grey]) -> list[str]:
    cut = [(number, piece) for number, strip in enumerate(strips) for piece in pieces(strip)]
    read, _ = recognise([np.repeat(enlarged(piece, RAPID_HEIGHT)[:, :, None], 3, axis=2) for _, piece in cut])
    texts: list[list[str]] = [[] for _ in strips]
    for (number, _), (text, _) in zip(cut, read, strict=True):
        texts[number].append(text)
    return [" ".join(text) for text in texts]


def pieces(strip: Grey) -> list[Grey]:
    """A line cut at spaces into pieces about `PIECE` times as wide as high; where there is no space it is cut anyway."""
    pitch = strip.shape[0]
    blank = (strip == 255).all(axis=0)
    wide = max(2, round(SPACE * pitch))
    gap = np.convolve(blank, np.ones(wide), "same") >= wide
    found, start, most = [], 0, PIECE * pitch
    while start < strip.shape[1]:
        end = min(strip.shape[1], start + most)
        if end < strip.shape[1]:
            gaps = np.flatnonzero(gap[start + most // 2 : end])
            end = start + most // 2 + int(gaps[-1]) + 1 if len(gaps) else end
        if (strip[:, start:end] < 255).any():
            found.append(strip[:, start:end])
        start = end
    return found


ENGINES: dict[str, Callable[[], Engine]] = {"tesseract": tesseract, "rapidocr": rapidocr}
PAGE_ENGINES: dict[str, Callable[[], PageEngine]] = {"tesseract": tesseract_pages, "rapidocr": rapidocr_pages}
