"""What reads a page back, and how much of it: OCR engines, vision models, and the blind test that calibrates them.

page -> `Reader` -> text;  `Trial` (pages of a seed) -> `calibrate` -> `Calibration` -> `Profile`
"""

from __future__ import annotations

from optical_memory.readers.base import Reader, reader
from optical_memory.readers.calibrate import Estimate, Trial, calibrate, estimate, load, load_profile, styles_of
from optical_memory.readers.calibration import Calibration, Chosen, Row, choose, report
from optical_memory.readers.scoring import Score, Share, Strings, wilson

__all__ = [
    "Calibration", "Chosen", "Estimate", "Reader", "Row", "Score", "Share", "Strings", "Trial", "calibrate", "choose",
    "estimate", "load", "load_profile", "reader", "report", "styles_of", "wilson",
]  # fmt: skip
