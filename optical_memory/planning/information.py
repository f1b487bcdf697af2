"""How much a turn says: what a page keeps when not all of its turns can be drawn. Found without a model.

A turn says much if its words are rare among its neighbours, if it tells of someone rather than asks, and if it holds a
time. What one turn can be asked about is bounded, so a long answer is not worth its length: the worth saturates.
The weights were set on conversations that no reported figure uses (LOG.md, "What a page keeps").
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from optical_memory.pages.card import CHATTER

WORD = re.compile(
    r"[^\W_぀-ヿ㐀-鿿]+(?:['’][^\W_]+)*|[぀-ヿ㐀-鿿]{1,2}"
)  # two characters where words have no blanks between
SENTENCE = re.compile(r"(?<=[.!?。！？])\s*|\n+")
TELLING = re.compile(r"\b(?:i|i'm|i've|me|my|mine|we|us|our|ours)\b", re.IGNORECASE)
TIME = re.compile(
    r"\b(?:yesterday|today|tomorrow|ago|last|next|week(?:end)?|month|year|just|recently|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"january|february|march|april|may|june|july|august|september|october|november|december|\d{4})\b",
    re.IGNORECASE,
)
COMMON = 1.0  # of a word's rarity ln(turns / turns with it) that says nothing
COMMON_SHARE = 0.3  # of the rarity of a word that one turn has, where there are few turns
ASKED, CHATTED, TOLD, TIMED = 0.5, 0.5, 1.5, 1.4  # factors for questions, small talk, telling of oneself, a time
ENOUGH = 200.0  # worth at which a turn is worth about two thirds of what any turn can be
LOOKED_AT = 20_000  # characters of a turn


@lru_cache(maxsize=8)
def information(texts: tuple[str, ...]) -> tuple[float, ...]:
    """What each of these turns says, in units of rare words, 0 to `ENOUGH`.

    Rarity is Spärck Jones's inverse document frequency (1972) over these turns, less what even common words have.
    """
    sentences = [[(s, _words(s)) for s in SENTENCE.split(text[:LOOKED_AT]) if s.strip()] for text in texts]
    turns_with = Counter(word for told in sentences for word in {w for _, words in told for w in words})
    common = min(COMMON, COMMON_SHARE * math.log(max(1, len(texts))))
    worth = []
    for text, told in zip(texts, sentences, strict=True):
        total, said = 0.0, set[str]()
        for sentence, words in told:
            new = words - said
            said |= words
            rare = math.fsum(max(0.0, math.log(len(texts) / turns_with[w]) - common) for w in new)  # in any order
            total += _manner(sentence) * rare
        worth.append(_saturated(total * (TIMED if TIME.search(text[:LOOKED_AT]) else 1.0)))
    return tuple(worth)


def _words(sentence: str) -> set[str]:
    if sentence.isascii():
        return set(WORD.findall(sentence.lower()))
    return {word.lower() for word in WORD.findall(sentence)}


def _manner(sentence: str) -> float:
    asked = ASKED if sentence.rstrip().endswith(("?", "？")) else 1.0
    return asked * (CHATTED if CHATTER.match(sentence) else 1.0) * (TOLD if TELLING.search(sentence) else 1.0)


def _saturated(worth: float) -> float:
    return ENOUGH * -math.expm1(-worth / ENOUGH)


MARK = 12  # characters that a turn costs beside its text: its mark, and what is left of a line


def best(worths: Sequence[float], chars: Sequence[int], room: float) -> set[int]:
    """Which turns (by index) to draw in room for so many characters: the most worth for each character first."""
    order = sorted(range(len(chars)), key=lambda i: (-worths[i] / (chars[i] + MARK), -i))
    chosen: set[int] = set()
    for i in order:
        if chars[i] + MARK <= room:
            room -= chars[i] + MARK
            chosen.add(i)
    return chosen
