"""What was read against what stands on a page: characters, and exact strings right, unread or wrong.

A wrong string is worse than an unread one: nobody notices it. So the two are never added up, and the characters of exact
strings are not counted as text: a reader that owns what it cannot read would look worse than one that guesses.
Blanks do not count, since engines lose them in tight type and language models restore them; nor do our own marks
(turn numbers, ↵, ¬), which are not content.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages import Layout

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # 32 letters of a code: without I, O, 0 and 1, which faces draw alike
CODE_LENGTH = 6
UNREAD = "\ufffd"  # what a reader's ⟨?⟩ becomes before texts are compared
SAYS_UNREAD = re.compile(r"[⟨<\[(]\s*(?:\?+|illegible|unreadable)\s*[⟩>\])]", re.IGNORECASE)
MARKED = re.compile(r"⟪[^⟫]*⟫|[↵¶¬›⟪⟫⟨⟩]")  # what the renderer adds to a text
PLAIN = str.maketrans("‘’“”–—", "''\"\"--")
Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval
WORD = re.compile(r"(⟪)[^⟫]*⟫|\w+")  # a word, or the mark at which a turn begins
WHOLE = 0.9  # of its words: a turn of which so many are read can be read
OFFERED = 0.5  # a reading of less than this share of a string's length offers nothing: unread, not wrong

Span = tuple[int, int]


def wilson(hits: float, of: int) -> tuple[float, float]:
    """95 % interval of a share, 0 to 1 (Wilson, "Probable inference", 1927); (0, 1) where nothing was asked."""
    if of <= 0:
        return 0.0, 1.0
    share, z2 = hits / of, Z95 * Z95
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z95 * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Share:
    """Hits of a number asked, with the interval that belongs to it."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; 0 where nothing was asked."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Wilson. Errors come in clusters, so that for characters it is narrower than the truth."""
        return wilson(self.hits, self.of)

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.of + other.of)


@dataclass(frozen=True, slots=True)
class Strings:
    """Exact strings: read right, not read, or read as something else without a word of doubt."""

    right: int = 0
    unread: int = 0
    wrong: int = 0

    def __add__(self, other: Strings) -> Strings:
        return Strings(self.right + other.right, self.unread + other.unread, self.wrong + other.wrong)

    @property
    def of(self) -> int:
        """How many were asked."""
        return self.right + self.unread + self.wrong

    def share(self, which: str) -> Share:
        """One of "right", "unread" and "wrong" as a share."""
        return Share(int(getattr(self, which)), self.of)


@dataclass(frozen=True, slots=True)
class Score:
    """What one reading was worth: characters right, random codes, all exact strings (codes among them), and turns of which nine
    words in ten were read."""

    chars: Share = Share(0, 0)
    codes: Strings = Strings()
    strings: Strings = Strings()
    turns: Share = Share(0, 0)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.chars + other.chars,
            self.codes + other.codes,
            self.strings + other.strings,
            self.turns + other.turns,
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """A page's text without blanks, which of its characters are text to be counted, and where the planted strings stand and
    the words of each turn."""

    text: str
    content: tuple[bool, ...]
    strings: tuple[Span, ...]
    turns: tuple[tuple[Span, ...], ...] = ()

    def asked(self) -> list[str]:
        """The planted strings that stand whole on one line."""
        return [self.text[a:b] for a, b in self.strings]


def plain(text: str) -> str:
    """The text without blanks, typographic variants made equal, and each "cannot read" as one character."""
    text = SAYS_UNREAD.sub(UNREAD, text)
    return "".join(unicodedata.normalize("NFKC", text).translate(PLAIN).split())


def truth(page: Layout, planted: Iterable[str]) -> Truth:
    """What stands on a page line by line, gutter included. A planted string that a line's end cuts is not asked."""
    text = ""
    content: list[bool] = []
    spans: list[Span] = []
    turns: list[list[Span]] = [[]]
    for number, line in enumerate(page.lines()):
        label = page.gutter.get(number, "")
        start = len(text) + len(label)
        forms = [plain(c) for c in line]  # a dash is read as any other dash, as it is in the reading
        before = [0, *np.cumsum([len(form) for form in forms]).tolist()]
        at = [(place, place + len(string)) for string in planted if (place := line.find(string)) >= 0]
        spans += [(start + before[a], start + before[b]) for a, b in at]
        for found in WORD.finditer(line):
            if found[1]:
                turns.append([])
            else:
                turns[-1].append((start + before[found.start()], start + before[found.end()]))
        text += label + "".join(forms)
        content += [False] * len(label)
        content += [mine for mine, form in zip(_content(line, at), forms, strict=True) for _ in form]
    return Truth(text, tuple(content), tuple(spans), tuple(tuple(words) for words in turns if words))


def _content(line: str, strings: Iterable[Span]) -> list[bool]:
    """Which characters of a drawn line are neither marks of ours nor of an exact string."""
    mine = [True] * len(line)
    for start, end in (*(mark.span() for mark in MARKED.finditer(line)), *strings):
        mine[start:end] = [False] * (end - start)
    return mine


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a reading stands beside the truth, with the fewest edits: character i was read as `read[start[i]:end[i]]`."""

    start: tuple[int, ...]
    end: tuple[int, ...]


def align(text: str, read: str) -> Alignment:
    """The alignment with the least Levenshtein distance. Takes time and memory with the product of the lengths."""
    table, start, end = _distances(text, read), [0] * len(text), [0] * len(text)
    i, j = len(text), len(read)
    while i:
        here = int(table[i, j])
        changed = here - (j > 0 and text[i - 1] != read[j - 1])
        if j and int(table[i - 1, j - 1]) == changed:
            i, j = i - 1, j - 1
            start[i], end[i] = j, j + 1
        elif int(table[i - 1, j]) == here - 1:
            i -= 1
            start[i] = end[i] = j
        else:
            j -= 1
    return Alignment(tuple(start), tuple(end))


def _distances(text: str, read: str) -> NDArray[np.int16]:
    """Levenshtein distances of all beginnings of both texts, row by row; insertions as a running minimum."""
    seen = np.array([ord(c) for c in read], np.int32)
    steps = np.arange(len(read) + 1, dtype=np.int32)
    table = np.empty((len(text) + 1, len(read) + 1), np.int16)
    row = steps
    table[0] = row
    for i, character in enumerate(text, 1):
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (seen != ord(character)))
        row = np.minimum.accumulate(best - steps) + steps
        table[i] = row
    return table


def judge(truth: Truth, reading: str) -> Score:
    """The score of one reading of a page. What goes on beyond twice the page's length is not looked at."""
    read = plain(reading)[: 2 * len(truth.text)]
    found = align(truth.text, read)
    strings = [_string(truth.text[a:b], read[found.start[a] : found.end[b - 1]], read) for a, b in truth.strings]
    codes = [one for one, (a, b) in zip(strings, truth.strings, strict=True) if _is_code(truth.text[a:b])]
    turns = Share(sum(_is_whole(words, truth, read, found) for words in truth.turns), len(truth.turns))
    return Score(_chars(truth, read, found), sum(codes, Strings()), sum(strings, Strings()), turns)


def _is_whole(words: Sequence[Span], truth: Truth, read: str, found: Alignment) -> bool:
    right = sum(read[found.start[a] : found.end[b - 1]] == truth.text[a:b] for a, b in words)
    return right >= WHOLE * len(words)


def _is_code(string: str) -> bool:
    return len(string) == CODE_LENGTH and set(string) <= set(ALPHABET)


def _string(asked: str, read: str, page: str) -> Strings:
    if read == asked or (len(asked) >= CODE_LENGTH and asked in page):
        return Strings(right=1)
    silent = UNREAD in read or len(read) < OFFERED * len(asked)
    return Strings(unread=1) if silent else Strings(wrong=1)


def _chars(truth: Truth, read: str, found: Alignment) -> Share:
    """Content characters read as themselves, less what was read between two of them that is not there."""
    content, total = truth.content, sum(truth.content)
    right = sum(
        mine and read[a:b] == c for c, mine, a, b in zip(truth.text, content, found.start, found.end, strict=True)
    )
    between = zip(content, content[1:], found.end, found.start[1:], strict=False)
    extra = sum(later - earlier for mine, next_mine, earlier, later in between if mine and next_mine)
    return Share(max(0, right - extra), total)
