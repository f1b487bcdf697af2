"""A picture of text to its lines, for engines that would not find lines of six pixels without a gap between them.

Our pages have lines at one constant pitch: it is found from how the ink of the rows repeats. Other pictures are cut at
their blank rows.
"""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Ink = NDArray[np.float64]

PITCHES = range(5, 49)  # pixels that a line of text may take
REPEATS = 0.9  # of the best repetition: a shorter pitch that repeats as well is the pitch itself, not a multiple of it
RULE_SHARE = 0.95  # of a column's rows: a column with so much equal grey is a rule, not text


def grey(png: bytes) -> Grey:
    """The picture as height x width grey values, 255 is paper; dark pictures are turned to light."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        values = np.asarray(image.convert("L"))
    return values if np.median(values) > 127 else (255 - values).astype(np.uint8)


def served(image: Grey, size: tuple[int, int]) -> Grey:
    """The picture at the width and height (pixels) at which a model would see it."""
    from PIL import Image

    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def without_rules(image: Grey) -> Grey:
    """The picture without vertical rules: a line between gutter and text would tie all lines together."""
    usual = np.median(image, axis=0)
    ruled = (usual < 250) & ((np.abs(image - usual) < 8).mean(axis=0) >= RULE_SHARE)
    if not ruled.any():
        return image
    clean = image.copy()
    clean[:, ruled] = 255
    return clean


def lines(image: Grey) -> list[Grey]:
    """The lines of text from top to bottom, each as wide as the picture; blank ones are left out."""
    clean = without_rules(image)
    ink = (255.0 - clean).sum(axis=1)
    inked = np.flatnonzero(ink > 0)
    if not len(inked):
        return []
    top, bottom = int(inked[0]), int(inked[-1]) + 1
    cuts = _blank_cuts(ink, top, bottom)
    pitch = _pitch(ink[top:bottom])
    if pitch and max(np.diff(cuts)) > 1.5 * pitch:
        cuts = _even_cuts(ink, top, bottom, pitch)
    parts = (clean[a:b] for a, b in pairwise(cuts))
    return [part for part in parts if (part < 255).any()]


def _blank_cuts(ink: Ink, top: int, bottom: int) -> list[int]:
    """Rows at which text begins after a blank row; a dot or an underscore stays with the line it belongs to."""
    blank = ink[top:bottom] == 0
    starts = [top + i for i in range(1, bottom - top) if blank[i - 1] and not blank[i]]
    cuts = [top]
    for start in [*starts, bottom]:
        if start - cuts[-1] >= PITCHES[0]:
            cuts.append(start)
    cuts[-1] = bottom
    return cuts if len(cuts) > 1 else [top, bottom]


def _pitch(ink: Ink) -> int:
    """Rows after which the ink repeats; 0 where there are fewer than three lines or no pitch stands out."""
    around = ink - ink.mean()
    longest = min(PITCHES[-1], len(ink) // 3)
    lags = range(PITCHES[0], longest + 1)
    if not lags or not around.any():
        return 0
    fit = np.array([np.corrcoef(around[lag:], around[:-lag])[0, 1] for lag in lags])
    best = float(fit.max())
    return 0 if best < 0.3 else next(lag for lag, value in zip(lags, fit, strict=True) if value >= REPEATS * best)


def _even_cuts(ink: Ink, top: int, bottom: int, pitch: int) -> list[int]:
    """Cuts at a constant pitch, between the rows where the seams have least ink on either side."""
    padded = np.concatenate((np.zeros(pitch), ink[top:bottom], np.zeros(2 * pitch)))
    phases = [
        np.minimum(padded[p:-1:pitch], padded[p + 1 :: pitch][: len(padded[p:-1:pitch])]).sum() for p in range(pitch)
    ]
    best = int(np.argmin(phases)) + 1 - pitch
    return [max(0, min(len(ink), top + row)) for row in range(best, bottom - top + pitch, pitch)]
