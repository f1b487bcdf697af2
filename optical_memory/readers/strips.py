"""A picture of text to its lines, for engines that would not find lines of six pixels without a gap between them.

Our pages have lines at one constant pitch: it is found from how the ink of the rows repeats. Other pictures are cut at
their blank rows. Measured on test pages of 5 to 24 px: 477 of 480 cut where they were drawn (the others have three lines or
four), and all of 69 that were made smaller or larger, at pitches between two rows.
"""

from __future__ import annotations

import io
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Ink = NDArray[np.float64]

PITCHES = range(5, 49)  # pixels that a line of text may take
REPEATS = 0.7  # of the best repetition: a shorter pitch that repeats nearly as well is the pitch, not a part of it
LEAST = 0.3  # correlation of the rows with those a pitch further: below it nothing repeats
SURE = 0.6  # the same where there are only two lines, which a single line must not be taken for
SLIVER = 0.3  # of a pitch: less ink than this above the first seam or below the last is no line
FAINT = 225  # of 255: lighter than this is paper, or what is left of it where a picture was made smaller
DARK = 200  # of 255: a line of text has a pixel darker than this
FINER = 20  # parts of a row in which a pitch between two rows is looked for
BETTER = 0.75  # of the whole pitch's ink at the seams: a pitch between rows has to be better by so much
NEARLY = 1.5  # of the least ink at the seams, which a row may have and still be one
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
    ink = np.where(clean > FAINT, 0.0, 255.0 - clean).sum(axis=1)
    inked = np.flatnonzero(ink)
    if not len(inked):
        return []
    top, bottom = int(inked[0]), int(inked[-1]) + 1
    cuts = _blank_cuts(ink, top, bottom)
    pitch = _pitch(ink[top:bottom])
    if pitch and max(np.diff(cuts)) > 1.5 * pitch:
        cuts = _even_cuts(ink, top, bottom, pitch)
    parts = (clean[a:b] for a, b in pairwise(cuts))
    return [part for part in parts if (part < DARK).any()]


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


def _pitch(ink: Ink) -> float:
    """Rows after which the ink repeats; 0 where there is a single line or no pitch stands out.

    A picture that was made smaller has a pitch between two whole numbers of rows.
    """
    lags = range(PITCHES[0] - 1, min(PITCHES[-1], len(ink) * 3 // 5) + 2)
    if len(lags) < 3:
        return 0.0
    fit = [_correlation(ink[lag:], ink[:-lag]) for lag in lags]
    tops = {lags[i]: fit[i] for i in range(1, len(fit) - 1) if fit[i - 1] < fit[i] >= fit[i + 1]}
    peaks = {lag: value for lag, value in tops.items() if value > (SURE if 3 * lag > len(ink) else LEAST)}
    whole = next((lag for lag, value in peaks.items() if value >= REPEATS * max(peaks.values())), 0)
    finer = [whole + step / FINER for step in range(-FINER // 2, FINER // 2 + 1)] if whole else [0.0]
    seams = {pitch: min(_seams(ink, pitch)) for pitch in finer}
    best = min(seams, key=lambda pitch: seams[pitch])
    return best if seams[best] < BETTER * seams[whole] else whole


def _correlation(one: Ink, other: Ink) -> float:
    """Pearson's, 0 where one of them is constant."""
    one, other = one - one.mean(), other - other.mean()
    both = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / both) if both else 0.0


def _seams(ink: Ink, pitch: float) -> list[float]:
    """Mean ink at the seams between lines, for each row at which the first seam may be; the thinner side of each."""
    if not pitch:
        return [0.0]
    padded = np.concatenate(([0.0], ink, [0.0]))
    thinner = np.minimum(padded[:-1], padded[1:])  # item i: the seam above row i of the ink
    rows = (np.arange(first, len(thinner) - 1, pitch).round().astype(int) for first in range(ceil(pitch)))
    return [float(thinner[row].sum() / len(ink)) for row in rows]


def _even_cuts(ink: Ink, top: int, bottom: int, pitch: float) -> list[int]:
    """Cuts at a constant pitch where there is least ink; of nearly equal rows the lowest, below the descenders."""
    seams = _seams(ink[top:bottom], pitch)
    least, first = min(seams), int(np.argmin(seams))
    for _ in range(len(seams) // 3):
        after = (first + 1) % len(seams)
        first = after if seams[after] <= NEARLY * least else first
    cuts = top + first + pitch * np.arange(-1, (bottom - top) / pitch + 2)
    kept = cuts[(cuts > top + SLIVER * pitch) & (cuts < bottom - SLIVER * pitch)]
    ends = [kept[0] - pitch, *kept, kept[-1] + pitch] if len(kept) else [top, bottom]
    return [int(cut) for cut in np.round(ends).clip(0, len(ink))]
