"""Marks of ours on a page, and how what cannot be drawn becomes a visible code, which content cannot imitate."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.glyphs import face

NEWLINE = "↵"
PARAGRAPH = "¶"  # one or more empty lines
WRAP = "¬"  # a word goes on in the next line; a line that ends without it ends at a space
INDENT = "›"  # one level of indentation
TURN = "⟪⟫"  # opens and closes a turn's mark
CODE = "⟨⟩"  # opens and closes a code such as ⟨U+4F60⟩ or a count such as ⟨×40⟩
RESERVED = NEWLINE + PARAGRAPH + TURN + CODE  # drawn as codes where content has them
BLANK = {0x09: "\t", 0x0A: "\n", 0xA0: " ", 0x0D: "\n"}  # left to `kinds`; a no-break space is a space

REPEATED = re.compile(r"(⟨U\+[0-9A-F]+)⟩(?:\1⟩){2,}")
SELECTOR = re.compile("(?<=[\u2000-\u33ff\U0001f000-\U0001ffff])[\ufe0e\ufe0f]")  # how a symbol is coloured
COMBINING = re.compile("[\u0300-\u036f\u0483-\u0489]{4,}")


class _Codes(dict[int, str]):
    """What each code point is drawn as, found out once: itself, or its code."""

    def __missing__(self, point: int) -> str:
        self[point] = shown = chr(point) if bool(_mask()[min(point, 0xFFFF)]) else code(point)
        return shown


_codes = _Codes(BLANK | {ord(mark): f"⟨U+{ord(mark):04X}⟩" for mark in RESERVED})


def code(point: int) -> str:
    """The visible code of a character, such as ⟨U+202E⟩."""
    return f"⟨U+{point:04X}⟩"


@cache
def _mask() -> NDArray[np.bool_]:
    """Whether a code point below U+FFFF is drawn as itself; the last entry stands for all above."""
    mask = face("sans").glyph >= 0
    mask[list(BLANK)] = True
    mask[[ord(mark) for mark in RESERVED]] = False
    mask[0xFFFF] = False
    return mask


def points(text: str) -> NDArray[np.uint32]:
    """Code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def drawable(text: str) -> float:
    """Share (0 to 1) of the characters that the shipped atlas can draw as themselves; blanks count."""
    if not text or (text.isascii() and text.isprintable()):
        return 1.0
    return 1.0 - lacking(text) / len(text)


def lacking(text: str) -> int:
    """Number of characters that are drawn as codes."""
    if text.isascii() and text.isprintable():
        return 0
    return int(np.count_nonzero(~_mask()[np.minimum(points(composed(text)), 0xFFFF)]))


def composed(text: str) -> str:
    """Letters and their accents as one character where there is one; colour selectors after symbols go."""
    return text if text.isascii() else SELECTOR.sub("", unicodedata.normalize("NFC", text))


def visible(text: str) -> str:
    """The text with nothing in it but drawable characters, tabs and newlines: everything else as codes."""
    if text.isascii() and text.isprintable():
        return text
    shown = composed(text.replace("\r\n", "\n")).translate(_codes)
    return COMBINING.sub(_capped, REPEATED.sub(_counted, shown))


def _counted(match: re.Match[str]) -> str:
    return f"{match[1]}×{len(match[0]) // (len(match[1]) + 1)}⟩"


def _capped(match: re.Match[str]) -> str:
    return f"{match[0][:2]}⟨+{len(match[0]) - 2} marks⟩"
