"""What a reader recovers of a text, word by word: kept, changed or lost; and the exact strings apart. Pure.

words of both -> the longest common run of words -> between two common words letter by letter, without blanks

Blanks are not compared, since engines join and split words in tight type; nor are the signs around a word. An exact string
(an id, a number, a date, a mail) has to be there letter for letter: one that was read as something else is `wrong`, which is
worse than `unread`, because nobody notices it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optical_memory.planning.facts import exact_strings

Kind = Literal["kept", "changed", "lost"]
Fate = Literal["right", "unread", "wrong"]

LETTERS = r"[\w\ufffd]+(?:(?:[.@/'+-]+|,(?=\d))[\w\ufffd]+)*"
INNER = re.compile(LETTERS)  # of a word what is compared
WORD = re.compile(rf"[^\w\s\ufffd]*{LETTERS}[^\w\s\ufffd]*")  # with the signs around it
BREAK = re.compile(r"¬\s*\n?\s*")  # a word that goes on in the next line of a page
COUNT = re.compile(r"⟨×(\d+)⟩")  # how often a line or a sign stands there: drawn once
SURE = 6  # letters: an exact string of so many that stands anywhere in what was read was read
OFFERED = 0.5  # of an exact string's letters: who reads fewer offers nothing
LARGEST = 4_000_000  # letters times letters that are compared between two common words
PIECE = 6_000  # words that are compared at once: memory grows with their square


@dataclass(frozen=True, slots=True)
class Diff:
    """A text beside what was read of it.

    `words` has each word of the source, what became of it, and what was read in its place (None: nothing); `share` is the
    share of kept words, 0 to 1 (1 for a text without words); `exact` has each exact string of the source and its fate.
    """

    words: tuple[tuple[str, Kind, str | None], ...]
    share: float
    exact: tuple[tuple[str, Fate], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-safe values."""
        return {
            "share": round(self.share, 4),
            "words": [{"word": word, "state": kind, "read": read} for word, kind, read in self.words],
            "exact": [{"string": string, "state": fate} for string, fate in self.exact],
        }


def compare(source: str, read: str) -> Diff:
    """What became of each word and each exact string of `source` in what a reader `read`."""
    truth, found = clean(source), clean(read)
    matches = list(WORD.finditer(truth))
    asked, got = [m[0] for m in matches], WORD.findall(found)
    readings = _readings(asked, got)
    words = tuple(_word(word, reading) for word, reading in zip(asked, readings, strict=True))
    kept = sum(kind == "kept" for _, kind, _ in words)
    starts, ends, solid = [m.start() for m in matches], [m.end() for m in matches], _solid(found)
    offers = {s: list(_offers(s, truth, starts, ends, readings)) for s in exact_strings(truth)}
    fates = tuple((string, _fate(_solid(string), offered, solid)) for string, offered in offers.items())
    return Diff(words, kept / len(words) if words else 1.0, fates)


def by_part(sources: Sequence[str], read: str) -> list[Diff]:
    """The same for texts that stand one after another in what was read, such as the turns of a page: one for each."""
    whole, at, out = compare("\n".join(sources), read), 0, []
    fates = dict(whole.exact)
    for source in sources:
        truth = clean(source)
        count = len(WORD.findall(truth))
        words, at = whole.words[at : at + count], at + count
        exact = tuple((string, fates[string]) for string in exact_strings(truth) if string in fates)
        kept = sum(kind == "kept" for _, kind, _ in words)
        out.append(Diff(words, kept / len(words) if words else 1.0, exact))
    return out


def clean(text: str) -> str:
    """A text without our marks, its quotes and dashes plain, and what a reader owns not to read as U+FFFD."""
    from optical_memory.readers.scoring import PLAIN, SAYS_UNREAD, UNREAD

    text = BREAK.sub("", SAYS_UNREAD.sub(UNREAD, text))
    text = re.sub("[↵¶]", "\n", COUNT.sub("", re.sub("⟪[^⟫]*⟫", " ", text)))
    return re.sub("[›¬⟪⟫⟨⟩]", "", text).translate(PLAIN)


def drawn(text: str, scripts: str = "") -> str:
    """A turn's text as its page shows it (JSON as tables, repeated lines once), without marks: what can be read there.

    `scripts` are those of the page's style; characters that it does not draw stand there as codes.
    """
    from optical_memory.pages.kinds import normalise

    return clean(normalise(text, scripts))


def _word(word: str, reading: str | None) -> tuple[str, Kind, str | None]:
    if reading is None or not _key(reading) or "\ufffd" in reading:
        return word, "lost", None
    return word, "kept" if _key(reading) == _key(word) else "changed", reading


def _key(word: str) -> str:
    """What is compared of a word."""
    found = INNER.search(word)
    return found[0] if found else ""


# --------------------------------------------------------------------------------------------- word by word


def _readings(asked: Sequence[str], got: Sequence[str]) -> list[str | None]:
    """What was read in place of each word; a long text is compared in pieces at the same place of both."""
    if len(asked) <= PIECE:
        return _compared(asked, got)
    step = len(got) / len(asked)
    cuts = range(0, len(asked), PIECE)
    parts = ((asked[a : a + PIECE], got[round(a * step) : round((a + PIECE) * step)]) for a in cuts)
    return [reading for words, readings in parts for reading in _compared(words, readings)]


def _compared(asked: Sequence[str], got: Sequence[str]) -> list[str | None]:
    """The readings: common words as they are, what stands between two of them letter by letter."""
    same = _common([_key(w) for w in asked], [_key(w) for w in got])
    readings: list[str | None] = [None] * len(asked)
    for i, j in same:
        readings[i] = got[j]
    for (i, j), (ii, jj) in zip([(-1, -1), *same], [*same, (len(asked), len(got))], strict=True):
        readings[i + 1 : ii] = _between(asked[i + 1 : ii], got[j + 1 : jj])
    return readings


def _common(asked: Sequence[str], got: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the same word in both, in the alignment with the fewest changed words."""
    from optical_memory.readers.scoring import align

    codes: dict[str, str] = {}
    one, other = ("".join(codes.setdefault(w, chr(0x10000 + len(codes))) for w in words) for words in (asked, got))
    found = align(one, other)
    places = enumerate(zip(found.start, found.end, strict=True))
    return [(i, start) for i, (start, end) in places if end > start and other[start] == one[i]]


def _between(asked: Sequence[str], got: Sequence[str]) -> list[str | None]:
    """What was read for each of these words, none of which was read as it stands; blanks do not count."""
    one, other = "".join(asked), "".join(got)
    if not one or not other:
        return [None] * len(asked)
    if len(one) * len(other) > LARGEST:
        return [*got[: len(asked)], *[None] * (len(asked) - len(got))]
    from optical_memory.readers.scoring import align

    found, readings, at = align(one, other), list[str | None](), 0
    for word in asked:
        reading = other[found.start[at] : found.end[at + len(word) - 1]]
        readings.append(reading or None)
        at += len(word)
    return readings


# --------------------------------------------------------------------------------------------- exact strings


def _fate(asked: str, offered: Sequence[str], found: str) -> Fate:
    """What became of an exact string at the place where it was read best; all of it without blanks."""
    if len(asked) >= SURE and asked in found:
        return "right"
    if any(asked in offer for offer in offered):
        return "right"
    silent = all("\ufffd" in offer or len(offer) < OFFERED * len(asked) for offer in offered)
    return "unread" if silent else "wrong"


def _offers(
    string: str, truth: str, starts: Sequence[int], ends: Sequence[int], readings: Sequence[str | None]
) -> Iterator[str]:
    """What was read, without blanks, wherever the string stands in the source; words there are found by their places."""
    at = truth.find(string)
    while at >= 0:
        over = readings[bisect_right(ends, at) : bisect_left(starts, at + len(string))]
        yield _solid("".join(reading or "" for reading in over))
        at = truth.find(string, at + len(string))


def _solid(text: str) -> str:
    return "".join(text.split())
