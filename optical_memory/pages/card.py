"""What matters most in a text: strings to draw bold, and the extract of a span."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.sheets import TurnText

SALIENT = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # mails
    r"|[$€£¥]?\w*\d[\w.,:/_%+-]*"  # whatever holds a digit: numbers, dates, times, amounts, ids, versions
    r"|\b\w+_\w+\b|\b[A-Z][A-Z0-9_-]+\b"  # snake_case names, CODES
    r"|\b(?:[Nn]ot|[Nn]ever|[Nn]o|NOT|[Dd]on't|[Cc]an't|[Ww]on't)\b"  # what turns a meaning round
)


def salient(text: str) -> NDArray[np.bool_]:
    """Which characters belong to strings that must survive: ids, numbers, dates, mails, codes, negations."""
    strong = np.zeros(len(text), bool)
    for match in SALIENT.finditer(text):
        strong[match.start() : match.end()] = True
    return strong


def headlines(turns: Sequence[TurnText], chars: int) -> str:
    """The readable extract of a span, at most `chars` characters: whole sentences of the source, joined by ` … `."""
    kept: list[str] = []
    room = chars
    for turn in turns:
        sentence = re.split(r"(?<=[.!?])\s+|\n+", turn.text.strip(), maxsplit=1)[0]
        if sentence and len(sentence) + 3 <= room:
            kept.append(sentence)
            room -= len(sentence) + 3
    return " … ".join(kept)
