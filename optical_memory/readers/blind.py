"""The blind test: pages of real prose and records with random strings planted in them, the same for one seed.

seed, page number -> turns (prose that ships with Python, JSON records) with planted strings -> a `Layout` of ours
-> `Sheetful`: the picture, what stands on it, and where the planted strings stand in that

A reader that knows English can guess prose; it cannot guess six random characters.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from optical_memory.errors import ConfigError
from optical_memory.pages import Layout, Sheet, Style, TurnText, layout
from optical_memory.readers.scoring import ALPHABET, CODE_LENGTH, Truth, truth

CHARS = 2_500  # characters on a page, unless told otherwise: about 24 codes and 45 exact strings that no line end cuts
MOST_CHARS = 8_000  # aligning takes memory with the square of this: 8,000 take 130 MB
PER_CODE = 80  # characters of prose for each planted code
NAMES = ("adams", "berg", "chandra", "diaz", "evans", "garcia", "hughes", "ito", "kaya", "lindqvist", "moreau", "park")
PROSE = re.compile(r"[A-Z][ -~]{150,600}[.]")


@dataclass(frozen=True, slots=True)
class Sheetful:
    """One page of the test: how it is drawn and what a perfect reader would find on it."""

    number: int
    page: Layout
    truth: Truth


@cache
def prose() -> tuple[str, ...]:
    """Paragraphs of the language reference that ships with Python, in its own order. Raises ConfigError without it."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ConfigError("this Python has no pydoc_data.topics, from which the test takes its prose: "
                          "install the full standard library") from None  # fmt: skip
    paragraphs = (" ".join(part.split()) for topic in topics.values() for part in topic.split("\n\n"))
    return tuple(dict.fromkeys(p for p in paragraphs if PROSE.fullmatch(p) and _letters(p) > 0.95))


def _letters(text: str) -> float:
    return sum(c.isalpha() or c in " .,'()" for c in text) / len(text)


def code(rng: random.Random) -> str:
    """Six letters and digits, so that one of 2**30 is drawn."""
    return "".join(rng.choice(ALPHABET) for _ in range(CODE_LENGTH))


def _told(rng: random.Random, texts: Sequence[str]) -> tuple[str, list[str]]:
    """A paragraph with a code planted for every `PER_CODE` characters, between words."""
    words = rng.choice(texts).split(" ")
    codes = [code(rng) for _ in range(max(1, sum(map(len, words)) // PER_CODE))]
    for one in codes:
        words.insert(rng.randrange(1, len(words)), one)
    return " ".join(words), codes


def _record(rng: random.Random) -> tuple[str, list[str]]:
    """A tool's answer as JSON, and its exact strings: an id, a mail, a day, an amount and a code."""
    name = rng.choice(NAMES)
    record = {
        "id": str(rng.randrange(10**6, 10**8)),
        "email": f"{name}{rng.randrange(10, 10**4)}@{rng.choice(NAMES)}.example.com",
        "date": f"20{rng.randrange(10, 40)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        "total": f"{rng.randrange(10**4, 10**6) / 100:.2f}",
        "ref": code(rng),
    }
    return json.dumps(record), list(record.values())


def turns(seed: int, number: int, chars: int) -> tuple[list[TurnText], tuple[str, ...]]:
    """Turns of about `chars` characters for one page of a test, and what was planted in them."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - the test has to be made again from its seed
    told: list[TurnText] = []
    planted: list[str] = []
    texts = prose()
    start, length = rng.randrange(10, 80), 0
    while length < chars:
        role = ("user", "tool", "assistant")[len(told) % 3]
        text, strings = _records(rng) if role == "tool" else _told(rng, texts)
        told.append(TurnText(start + len(told), role, text))
        planted += strings
        length += len(text)
    return told, tuple(planted)


def _records(rng: random.Random) -> tuple[str, list[str]]:
    """Two records, one below the other."""
    made = [_record(rng) for _ in range(2)]
    return "\n".join(text for text, _ in made), [s for _, strings in made for s in strings]


def sheetful(seed: int, number: int, style: Style, sheet: Sheet, chars: int = CHARS) -> Sheetful:
    """Page `number` of the test with this seed, drawn in `style` on at most `sheet`; about `chars` characters of text.

    The text of a page is the same in every style, so that styles are compared on equal terms; what does not fit on one
    sheet is left away. Raises ConfigError for a number of characters that cannot be aligned.
    """
    if not 200 <= chars <= MOST_CHARS:
        raise ConfigError(f"chars={chars}: give 200 to {MOST_CHARS:,} characters for each page of the test")
    told, planted = turns(seed, number, chars)
    page = layout(told, style, sheet)[0]
    return Sheetful(number, page, truth(page, planted))


def sheetfuls(seed: int, pages: int, style: Style, sheet: Sheet, chars: int = CHARS) -> Iterator[Sheetful]:
    """All pages of the test in one style."""
    for number in range(1, pages + 1):
        yield sheetful(seed, number, style, sheet, chars)
