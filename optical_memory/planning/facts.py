"""Exact strings: what dies first in a picture and must ride beside it as text.

Ids, codes, hashes, numbers with units, amounts, dates, times, mails, URLs, paths, flags. Found by shape, kept letter for
letter, each once per span, the rarest shapes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SHAPES = (
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # mail
    r"https?://[^\s<>\"'`)\]}]+",  # URL
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",  # UUID
    r"(?<![\w.~/\\-])(?:[A-Za-z]:|~|[\w.-]+)?(?:[/\\][\w.@+-]+){2,}/?",  # path
    r"(?<![\w.~/\\-])[\w.-]+/[\w@+-]+\.\w{1,5}\b",  # file in a folder
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?",  # date, time stamp
    r"\b(?:0x)?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b",  # hash
    r"\b[A-Za-z]+(?:_[A-Za-z]+)*_\d+\b",  # user_1234
    r"\b(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*\b",  # HX-4471, HAT170
    r"[$€£¥]\s?\d(?:[\d,.]*\d)?",  # amount
    r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]\.?m\.?)?",  # time of day
    r"\bv?\d+\.\d+(?:\.\d+)+(?:[-+.]\w+)*",  # version, address
    # number with unit
    r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?\s?(?:%|[kKMGT]i?B|ms|µs|km|cm|mm|kg|mg|GHz|MHz|Hz|px|°[CF]?|kWh|USD|EUR|GBP)(?!\w)",
    r"\b\d[\d,]{2,}(?:\.\d+)?\b",  # number of three digits or more
    r"(?<!\w)--[a-z][\w-]+",  # flag
)
_LONG = re.compile(r"\S{300,}")  # no string to be told, and without it every shape is looked for in bounded steps
# A word without any of these begins no shape. Such words are passed over as one match, many at once: that is nine tenths of
# a talk, and fifteen shapes tried at each letter of it took most of the time.
_PLAIN = r"(?<!\S)(?:[^\s\d@/\\$€£¥-]++(?:\s++|$))++"
_EXACT = re.compile("|".join((_PLAIN, f"({'|'.join(_SHAPES)})")))
_TRAILING = ".,;:!?"
MOST_CHARS = 200_000  # of one text that are looked through; what is beyond is left to recall


def exact_strings(text: str) -> list[str]:
    """The exact strings of a text, each once, in their order."""
    found: dict[str, None] = {}
    if len(text) > MOST_CHARS:
        text = (text[:MOST_CHARS].rsplit(None, 1) or [""])[0]  # a word cut in two would be told wrong
    for match in _EXACT.finditer(_LONG.sub(" ", text)):
        string = (match[1] or "").rstrip(_TRAILING)
        if 2 <= len(string) <= 120:
            found.setdefault(string)
    return list(found)


def rank(strings: Sequence[str], seen: Iterable[str] = ()) -> list[str]:
    """Most worth keeping first: long mixed shapes before plain numbers; what was already told comes last."""
    told = set(seen)
    return sorted(strings, key=lambda s: (s in told, _plainness(s), -len(s)))


def _plainness(string: str) -> int:
    """0 for ids, mails, paths, dates and amounts; 1 for times and numbers with units; 2 for bare numbers."""
    if string.replace(",", "").replace(".", "").isdigit():
        return 2
    return 1 if string[:1].isdigit() and len(string) < 8 else 0


def sheet_line(first: int, last: int, strings: Sequence[str]) -> str:
    """One line of the fact sheet: the turns of a page and the exact strings in them."""
    where = f"{first}" if first == last else f"{first}-{last}"
    return f"{where}: " + " · ".join(strings)
