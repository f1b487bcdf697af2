"""Other scripts: which characters are drawn as one, in what order they stand on a line, how large they must be.

text -> `units` (characters, clusters, words) -> `levels` (left to right or right to left) -> `visual` (pens)

A unit is what a font must draw as a whole: an Arabic word, since its letters join; a cluster of Devanagari or Thai; a
Hebrew letter with its points; a Chinese character, a syllable of Hangul, an emoji with its parts. Lines end before or
behind Chinese, Japanese and Korean characters anywhere, elsewhere at blanks, or else between units with the wrap mark.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

import optical_memory.pages.marks as marks
from optical_memory.pages.fonts import JOINER, NAMES, Run, fonts
from optical_memory.pages.found import ByText
from optical_memory.pages.sheets import LARGEST, Style

LETTERS = 10  # of an Arabic word that are drawn as one; a longer word is parted, its letters still joined
STRAY = 0.02  # of a page's characters: up to this share other scripts do not make all of it larger
PITCH = {"han": 1.4, "arabic": 1.4, "hebrew": 1.1, "devanagari": 1.4, "thai": 1.4}  # of what Latin needs, as measured
READ = {"han": 9, "arabic": 8, "hebrew": 8, "devanagari": 9, "thai": 10}  # pixels from which 90 % are read
AR, AR_MARKS, HE_MARKS, TH_MARKS = marks.ARABIC, marks.ARABIC_MARKS, marks.HEBREW_MARKS, marks.THAI_MARKS
DEV, DEV_MARKS, TONE = marks.DEVANAGARI, marks.DEVANAGARI_MARKS, "[\U0001f3fb-\U0001f3ff]"
UNIT = re.compile(
    rf"(?:[{AR}][{AR_MARKS}\u200c]*){{1,{LETTERS}}}"
    rf"|[{DEV}](?:[{DEV_MARKS}]*\u094d[\u200c\u200d]?[{DEV}]){{0,4}}[{DEV_MARKS}\u200c\u200d]*"
    rf"|[{marks.THAI}][{TH_MARKS}]*\u0e33?|[\u05d0-\u05f2][{HE_MARKS}]*"
    r"|[\u1100-\u115e\ua960-\ua97c]{1,3}[\u1161-\u11a7\ud7b0-\ud7c6]{0,3}[\u11a8-\u11ff\ud7cb-\ud7fb]{0,3}"
    rf"|[\u3041-\u30ff][\u3099\u309a]+|[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f\u20e3"
    rf"|{marks.EMOJI}{TONE}?(?:\u200d[{marks.EMOJI[1:-1]}\u2190-\u2bff]{TONE}?)*"
    rf"|[{AR_MARKS}{DEV_MARKS}{TH_MARKS}{HE_MARKS}]+[\u200c\u200d]?|.",
    re.DOTALL,
)
STRANGE = re.compile(
    r"[\x00-\x7f]?[^\x00-\x7f]+"
)  # all else is a unit a character: only keys such as 1\ufe0f\u20e3 begin in ASCII
KANA, HANGUL = re.compile("[\u3041-\u30fa\u30fc-\u30ff]"), re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
CLOSING = "、。，．：；？！）］｝》〉」』】〕〗…ー々”’,.:;?!)]}"  # does not begin a line behind a Chinese character
OPENING = "（［｛《〈「『【〔〖“‘([{"  # does not end a line before one
RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # letters and digits of Hebrew and Arabic
MIRRORED = set("()[]{}<>«»≤≥")
MIRROR = "\u200f"  # before a unit: the other way round
KEY = "\u20e3"  # a square round a digit
NONE = np.zeros(len(NAMES), np.int64)  # characters of each script
NESTED = 63  # brackets that may be open at once


def units(text: str) -> list[str]:
    """The text in units; joined, they are the text."""
    found, at = list[str](), 0
    for strange in STRANGE.finditer(text):
        found += text[at : strange.start()]
        found += UNIT.findall(strange[0])
        at = strange.end()
    return [*found, *text[at:]]


def run_of(unit: str, locale: str) -> Run:
    """What draws a unit that the atlas has not, or that `turned` has marked."""
    if unit[0] == MIRROR:
        return Run(unit[1:], "mirror")
    name = "emoji" if unit[-1] == KEY else NAMES[fonts().which[ord(unit.lstrip(JOINER)[0])]]
    return Run(unit, locale if name == "han" else name)


def locale_of(text: str) -> str:
    """How Chinese characters are written in a text: as in Japan beside kana, in Korea beside Hangul, else in China."""
    return "ja" if KANA.search(text) else "ko" if HANGUL.search(text) else "zh"


def free(heads: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether a line may end before and behind units with these first characters, though there is no blank."""
    which: NDArray[np.int8] = fonts().which
    return np.asarray(which[np.minimum(heads, len(which) - 1)] == NAMES.index("han"))


def turned(parts: Sequence[str], level: NDArray[np.int8]) -> list[str]:
    """The units of a text with right-to-left stretches, as they are drawn: brackets the other way round there, and a
    joiner where an Arabic word goes on in the next unit."""
    found = [MIRROR + part if odd and part in MIRRORED else part for part, odd in zip(parts, level % 2, strict=True)]
    for i in range(1, len(parts)):
        if _word(parts[i - 1]) and _word(parts[i]) and parts[i - 1][-1] != "\u200c":
            found[i - 1], found[i] = found[i - 1] + JOINER, JOINER + parts[i]
    return found


def _word(unit: str) -> bool:
    return unicodedata.bidirectional(unit[0]) == "AL" and unit[0].isalpha()


def fitted(style: Style, texts: Iterable[str]) -> Style:
    """The style in which a page of these texts is drawn; a page has one pitch.

    It stays as it is for what the atlas has, gets emoji where there are any, and a larger pitch (`PITCH`) where more than a
    stray word (`STRAY`) is in another script that the fonts at hand draw. A stray word is drawn at the pitch that there
    is, if it can be read there (`READ`), else as codes.
    """
    if style.scripts == "s":
        return style
    held, chars = NONE.copy(), 0
    for text in texts:
        chars += len(text)
        if not text.isascii():
            held += _held(text)
    if not held.any():
        return style
    names = {name for name, count in zip(NAMES, held, strict=True) if count and name in PITCH}
    if sum(held[NAMES.index(name)] for name in names) > STRAY * chars:
        pitch = math.ceil(style.size * max(PITCH[name] for name in names))
        return replace(style, scripts="s", raised=min(pitch, LARGEST) if pitch > style.size else 0)
    if names and all(style.size >= READ[name] for name in names):
        return replace(style, scripts="s")
    return replace(style, scripts="e") if held[NAMES.index("emoji")] else style


def scripts_at_hand() -> tuple[str, ...]:
    """The scripts beside the atlas's that fonts here draw, by name; none without the extra `scripts`."""
    return tuple(sorted(fonts().files))


@ByText
def _held(text: str) -> NDArray[np.int64]:
    """Characters of each script that the atlas has not and a font has."""
    strange = marks.unlike(marks.points(marks.composed(text)))
    if not len(strange):
        return NONE
    which = fonts().which
    found = which[np.minimum(strange, len(which) - 1)]
    return np.bincount(found[found >= 0], minlength=len(NAMES))


# ------------------------------------------------------------------------- the order of a line, after Unicode's UAX #9


def levels(parts: Sequence[str], base: int | None = None) -> NDArray[np.int8] | None:
    """Embedding levels of units, odd ones right to left; None where nothing is.

    Unicode's algorithm without explicit controls, which are codes on a page. Each paragraph is ordered by itself: right to
    left if most of its letters are (not by the first, which in a chat is often a name); `base` 0 or 1 says so instead.
    A code such as ⟨U+202E⟩ is one left-to-right word.
    """
    if not RIGHT.search("".join(parts)):
        return None
    kinds = _kinds(parts)
    found: list[int] = []
    start = 0
    for end in [i + 1 for i, part in enumerate(parts) if part in marks.NEWLINE + marks.PARAGRAPH] + [len(parts)]:
        found += _paragraph(kinds[start:end], parts[start:end], base)
        start = end
    return np.array(found, np.int8)


@lru_cache(maxsize=4096)
def _kind(unit: str) -> str:
    return unicodedata.bidirectional(unit[0]) or "L"


def _kinds(parts: Sequence[str]) -> list[str]:
    kinds, inside = [], False
    for part in parts:
        inside = inside or part == marks.CODE[0]
        kinds.append("code" if inside else _kind(part))
        inside = inside and part != marks.CODE[1]
    return kinds


def _paragraph(kinds: list[str], parts: Sequence[str], base: int | None) -> list[int]:
    if base is None:
        right = sum(len(part) for part, kind in zip(parts, kinds, strict=True) if kind in {"R", "AL"})
        base = int(right > sum(len(part) for part, kind in zip(parts, kinds, strict=True) if kind == "L"))
    side = "LR"[base]
    level = {"L": 2 * base, "R": 1, "EN": 2, "AN": 2}
    return [level[kind] for kind in _neutral(_bracketed(_numbers(kinds, side), parts, side), side)]


def _numbers(kinds: list[str], side: str) -> list[str]:
    """Rules W2 to W7: numbers with their signs; what is left over is neutral."""
    found: list[str] = []
    strong = side
    for i, kind in enumerate(kinds):
        if kind in {"L", "R", "AL", "code"}:
            strong = "L" if kind == "code" else kind
            found.append("L" if strong == "L" else "R")
        elif kind == "AN" or (_number(kinds, i) and (strong != "AL" or kind in {"EN", "CS"})):
            arabic = kind == "AN" or strong == "AL" or (kind == "CS" and kinds[i - 1] == "AN")
            found.append("AN" if arabic else "L" if strong == "L" else "EN")
        else:
            found.append("ON")
    return found


def _number(kinds: list[str], i: int) -> bool:
    """Whether this belongs to a number: a digit, a sign beside digits, a separator between them."""
    before, after = kinds[i - 1] if i else "", kinds[i + 1] if i + 1 < len(kinds) else ""
    if kinds[i] in {"CS", "ES"}:
        return before == after and (before == "EN" or (before == "AN" and kinds[i] == "CS"))
    return kinds[i] == "EN" or (kinds[i] == "ET" and "EN" in {before, after})


def _bracketed(kinds: list[str], parts: Sequence[str], side: str) -> list[str]:
    """Rule N0: a pair of brackets goes along with what it holds, or with what stands before it."""
    found = list(kinds)
    upto = {way: [0, *accumulate(kind != "ON" and (kind == "L") == (way == "L") for kind in kinds)] for way in "LR"}
    for start, end in sorted(_pairs(kinds, parts)):
        inside = {way for way in "LR" if upto[way][end] > upto[way][start + 1]}
        if inside:
            found[start] = found[end] = side if side in inside else _before(found, start, side)
    return found


def _pairs(kinds: list[str], parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Brackets that belong together. Where more than `NESTED` are open Unicode looks for no more of them, which also keeps
    the work linear, whatever a text holds."""
    open_ = list[int]()
    for i, part in enumerate(parts):
        if kinds[i] == "ON" and part in "([{":
            if len(open_) == NESTED:
                return
            open_.append(i)
        elif kinds[i] == "ON" and part in ")]}":
            start = next((o for o in reversed(open_) if parts[o] == "([{"[")]}".index(part)]), None)
            if start is not None:
                del open_[open_.index(start) :]
                yield start, i


def _before(kinds: list[str], at: int, side: str) -> str:
    """The direction of the last text before a place, numbers counting as right to left; `side` where there is none."""
    found = next((kinds[i] for i in range(at - 1, -1, -1) if kinds[i] != "ON"), side)
    return "L" if found == "L" else "R"


def _neutral(kinds: list[str], side: str) -> list[str]:
    """Rules N1 and N2: between two of one direction neutrals go along, else with the paragraph."""
    found = list(kinds)
    before, start = side, 0
    for i, kind in enumerate([*kinds, side]):
        if kind != "ON":
            after = kind if kind == "L" else "R"
            if i == len(kinds):
                after = side
            found[start:i] = [before if before == after else side] * (i - start)
            before, start = after, i + 1
    return found


def visual(advances: NDArray[np.int64], level: NDArray[np.int8]) -> NDArray[np.int64]:
    """Pens of a line's glyphs, from 0 on: from the highest level down, each stretch at it or above is turned round."""
    order = np.arange(len(level))
    for depth in range(int(level.max(initial=0)), 0, -1):
        high = np.flatnonzero(np.diff((level[order] >= depth).astype(np.int8), prepend=0, append=0))
        for start, end in zip(high[::2], high[1::2], strict=True):
            order[start:end] = order[start:end][::-1]
    pens = np.zeros(len(level), np.int64)
    pens[order] = np.cumsum(advances[order]) - advances[order]
    return pens
