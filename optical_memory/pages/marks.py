"""Marks of ours on a page, and how what cannot be drawn becomes a visible code, which content cannot imitate."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.fonts import NAMES, POINTS, fonts
from optical_memory.pages.glyphs import face

NEWLINE = "↵"
PARAGRAPH = "¶"  # one or more empty lines
WRAP = "¬"  # a word goes on in the next line; a line that ends without it ends at a space
INDENT = "›"  # one level of indentation
TURN = "⟪⟫"  # opens and closes a turn's mark
CODE = "⟨⟩"  # opens and closes a code such as ⟨U+4F60⟩ or a count such as ⟨×40⟩
RESERVED = NEWLINE + PARAGRAPH + TURN + CODE  # drawn as codes where content has them
SPACES = (0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F)  # that do not break, or have a width of their own: spaces
BLANK = {0x09: "\t", 0x0A: "\n", 0x0D: "\n"} | dict.fromkeys(SPACES, " ")  # left to `kinds`
WIDE_BLANK = 0x3000  # of Chinese and Japanese type: a space where these are drawn

# Letters and marks of the scripts whose letters are drawn together, as character classes
ARABIC = (
    "\u0620-\u064a\u066e\u066f\u0671-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06fc\u06ff\u0750-\u077f\u08a0-\u08c9"
    "\ufb50-\ufbb1\ufbd3-\ufd3d\ufd50-\ufdc7\ufdf0-\ufdfb\ufe70-\ufefc"
)
ARABIC_MARKS = (
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08ca-\u08e1\u08e3-\u08ff"
)
JOINING = (  # Arabic letters that join the next one, so that a non-joiner behind them is seen
    "\u0620\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf"
    "\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1\u06fa-\u06fc\u06ff"
)
HEBREW_MARKS = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
DEVANAGARI = "\u0904-\u0939\u0958-\u0961\u0972-\u097f"
DEVANAGARI_MARKS = "\u0900-\u0903\u093a-\u093c\u093e-\u094f\u0951-\u0957\u0962\u0963"
THAI = "\u0e01-\u0e30\u0e32\u0e40-\u0e46"
THAI_MARKS = "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
EMOJI = "[\u231a-\u23ff\u25fd-\u27bf\u2b1b-\u2b55\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"  # no flags
KEPT = re.compile(  # characters that have no ink of their own where they change their neighbours', and are drawn with them
    f"((?<=\u094d)[\u200c\u200d](?=[{DEVANAGARI}])|(?<=[{JOINING}])\u200c(?=[{ARABIC}])"
    f"|(?:(?<={EMOJI})|(?<={EMOJI}[\U0001f3fb-\U0001f3ff]))\u200d(?=[{EMOJI[1:-1]}\u2190-\u2bff])|(?<=[0-9#*])\ufe0f\u20e3)"
)

REPEATED = re.compile(r"(⟨U\+[0-9A-F]+)⟩(?:\1⟩){2,}")
SELECTOR = re.compile("(?<=[\u00a9\u00ae\u2000-\u33ff\U0001f000-\U0001ffff])[\ufe0e\ufe0f]")  # how a symbol is coloured
COMBINING = re.compile("[\u0300-\u036f\u0483-\u0489]{4,}")
CHAIN = 5  # joiners in one emoji: those in use have three
OTHER_MARKS = f"{ARABIC_MARKS}{HEBREW_MARKS}{DEVANAGARI_MARKS}{THAI_MARKS}\u3099\u309a"
STACKED = re.compile(f"[{OTHER_MARKS}]{{5,}}")
JOINED = f"[\u0300-\u036f\u200c\u200d\ufe0f\U0001f3fb-\U0001f3ff{OTHER_MARKS}]"  # drawn with the character before it


class _Codes(dict[int, str]):
    """What each code point is drawn as, found out once: itself, or its code."""

    def __init__(self, scripts: str) -> None:
        super().__init__(BLANK | {ord(mark): code(ord(mark)) for mark in RESERVED})
        self.mask = _mask(scripts)
        if scripts == "s":
            self[WIDE_BLANK] = " "

    def __missing__(self, point: int) -> str:
        self[point] = shown = chr(point) if self.mask[min(point, len(self.mask) - 1)] else code(point)
        return shown


@cache
def _codes(scripts: str) -> _Codes:
    return _Codes(scripts)


def code(point: int) -> str:
    """The visible code of a character, such as ⟨U+202E⟩."""
    return f"⟨U+{point:04X}⟩"


@cache
def _mask(scripts: str) -> NDArray[np.bool_]:
    """Whether a code point is drawn as itself in such a style; the last entry stands for all above."""
    mask = face("sans").glyph >= 0
    mask[list(BLANK)] = True
    mask[[ord(mark) for mark in RESERVED]] = False
    mask[0xFFFF] = False
    return np.append(mask, np.zeros(POINTS - len(mask), bool)) | _drawn(scripts) if scripts else mask


def _drawn(scripts: str) -> NDArray[np.bool_]:
    """What the fonts add: emoji, or all that they have."""
    which = fonts().which
    drawn = which >= 0 if scripts == "s" else which == NAMES.index("emoji")
    drawn[[ord(mark) for mark in RESERVED]] = False
    if scripts == "s" and len(fonts().files):
        drawn[WIDE_BLANK] = True
    return drawn


def points(text: str) -> NDArray[np.uint32]:
    """Code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def unlike(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Those of some code points that the shipped atlas does not draw."""
    return codes[~_mask("")[np.minimum(codes, 0xFFFF)]]


def drawable(text: str, scripts: str = "") -> float:
    """Share (0 to 1) of the characters that are drawn as themselves by a style with these scripts; blanks count."""
    if not text or (text.isascii() and text.isprintable()):
        return 1.0
    return 1.0 - lacking(text, scripts) / len(text)


def lacking(text: str, scripts: str = "") -> int:
    """Number of characters that are drawn as codes by a style with these scripts."""
    if text.isascii() and text.isprintable():
        return 0
    plain = composed(text)
    missing, kept = unlike(points(plain)), 0
    if scripts and len(missing):
        mask = _mask(scripts)
        missing = missing[~mask[np.minimum(missing, len(mask) - 1)]]
        kept = sum(len(found[0]) for found in KEPT.finditer(plain) if mask[ord(plain[found.start() - 1])])
    return min(max(0, len(missing) - kept), len(text))  # composing makes two of some letters


def composed(text: str) -> str:
    """Letters and their accents as one character where there is one; colour selectors after symbols go."""
    return text if text.isascii() else SELECTOR.sub("", unicodedata.normalize("NFC", text))


def visible(text: str, scripts: str = "") -> str:
    """The text with nothing in it but drawable characters, tabs and newlines: everything else as codes."""
    if text.isascii() and text.isprintable():
        return text
    shown = composed(text)
    shown = _kept(shown, _codes(scripts)) if scripts else shown.translate(_codes(""))
    return COMBINING.sub(_capped, REPEATED.sub(_counted, shown))


def _kept(text: str, codes: _Codes) -> str:
    """Everything as codes or itself, but for what is drawn with its neighbours; stacks of marks are cut short."""
    parts = KEPT.split(text)
    parts[::2] = [STACKED.sub(_capped, part.translate(codes)) for part in parts[::2]]
    chain = 0  # of joined emoji, which are drawn as one
    for i in range(1, len(parts), 2):
        chain = chain + 1 if len(parts[i - 1]) <= 2 else 1
        if chain > CHAIN or not _joins(parts[i - 1][-1:], parts[i], parts[i + 1][:1]):
            parts[i], chain = parts[i].translate(codes), 0
    return "".join(parts)


def _joins(before: str, kept: str, after: str) -> bool:
    """Whether a font draws the neighbours, which are no codes, so that the joiner or the key round a digit is seen."""
    if len(kept) > 1:
        return "emoji" in fonts().files
    return all(fonts().which[ord(char)] >= 0 for char in before + after)


def _counted(match: re.Match[str]) -> str:
    return f"{match[1]}×{len(match[0]) // (len(match[1]) + 1)}⟩"


def _capped(match: re.Match[str]) -> str:
    return f"{match[0][:2]}⟨+{len(match[0]) - 2} marks⟩"
