"""What matters most in a text: strings to draw bold, and the extract of a span."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.sheets import TurnText

TURNING = re.compile(  # what turns a meaning round
    r"\b(?:not|never|no|none|nothing|without|cannot|don't|can't|won't|isn't|didn't|doesn't|wasn't|instead)\b",
    re.IGNORECASE,
)
INSIDE = "_.-@:/+%$€£#&'’"  # what may stand inside a token besides letters and digits
ENDING = ".!?:;↵¶⟫›•*–—\"'([{|"  # a capital after one of these says nothing


def salient(text: str) -> NDArray[np.bool_]:
    """Which characters belong to what must survive: ids, numbers, dates, mails, codes, names, negations.

    A token is a run of letters, digits and `INSIDE`; it counts if it holds a digit, an inner @ or _, is all capitals,
    or is capitalised inside a sentence. Linear in the text, whatever it holds.
    """
    strong = np.zeros(len(text), bool)
    for match in TURNING.finditer(text):
        strong[match.start() : match.end()] = True
    for match in TOKEN.finditer(text):
        if _matters(match[0]) or _named(text, match.start(), match[0]):
            strong[match.start() : match.end()] = True
    return strong


TOKEN = re.compile(rf"[^\W_](?:[\w{re.escape(INSIDE)}]*\w)?|[$€£#@_/~]\w[\w{re.escape(INSIDE)}]*")
DIGIT = re.compile(r"\d")


def _matters(token: str) -> bool:
    return bool(DIGIT.search(token)) or "_" in token or "@" in token or (len(token) > 1 and token.isupper())


def _named(text: str, start: int, token: str) -> bool:
    """A capitalised word that does not begin a sentence."""
    before = text[max(0, start - 2) : start]
    return token[0].isupper() and len(token) > 2 and before[-1:] == " " and before[0] not in ENDING


def headlines(turns: Sequence[TurnText], chars: int) -> str:
    """The readable extract of a span: sentences of the source, joined by ` … `, at most `chars` characters."""
    kept: list[str] = []
    room = chars
    for turn in turns:
        sentence = re.split(r"(?<=[.!?])\s+|\n+", turn.text.strip(), maxsplit=1)[0]
        if sentence and len(sentence) + 3 <= room:
            kept.append(sentence)
            room -= len(sentence) + 3
    return " … ".join(kept)
