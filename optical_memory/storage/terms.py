"""What a query asks for, as terms of the index, and the words that the index needs beside a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MOST_TERMS = 40
"""Terms of a query beyond this many are left out, other forms of words first: each costs a walk through its postings."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul: spaced, but with particles glued on
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_MARKS = "".join(
    mark
    for mark in map(chr, (*range(0x300, 0x1E00), *range(0xA800, 0xAC00)))
    if unicodedata.category(mark) in {"Mn", "Mc"} and not _RUN.match(mark)
)
"""Accents, and the vowel signs of Hindi, Tamil, Arabic, Hebrew and others, which PostgreSQL takes for parts of a word."""
WORD = re.compile(f"(?:[^\\W_][{_MARKS}]*)+")  # marks follow their letter
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a an the of to in on at for and or is was were are be been has have had do does did what which who whom whose when "
        "where why how with from by it its his her their he she they i you we my your our this that these those as not would "
        "could should will can about"
    )
)
"""English words that hold sentences together; of other languages their frequency tells."""
ENDINGS = ("ingly", "edly", "ings", "ing", "ies", "ied", "ers", "es", "ed", "er", "ly", "s", "e")
"""What an English word loses before its other forms are looked for: the first that leaves `LEAST_STEM` letters."""
LEAST_STEM = 4
"""Letters that must be left: shorter beginnings are those of too many words."""

_NAME = re.compile(f"[\\w{_MARKS}]+")
_DIGIT = re.compile(r"\d")
_PIECES = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Adjacent words to be found; `prefix` lets the last go on."""

    words: tuple[str, ...]
    prefix: bool = False


def extra_words(text: str, *, fold: bool = False) -> str | None:
    """What the index needs beside the text: character pairs of unspaced scripts, and the words glued to them.

    `fold` adds words as `folded` tells them, for an engine that cannot do that by itself.
    """
    if text.isascii():
        return None
    words = [word for token in WORD.findall(text) for word in _token_extras(token, fold)]
    return " ".join(words) or None


def _token_extras(token: str, fold: bool) -> Iterator[str]:
    if _RUN.search(token):
        for piece in _split(token):
            # the last character too, so that every one begins a word of the index
            yield from (*_pairs(piece), piece[-1]) if _RUN.match(piece) and len(piece) > 1 else (piece,)
    elif fold and not token.isascii() and (plain := folded(token)) != token:
        yield plain


def _split(token: str) -> list[str]:
    return [piece for piece in re.split(f"([{_UNSPACED}]+)", token) if piece]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def folded(word: str) -> str:
    """The word without its accents and in small letters, of which a server in the locale "C" knows the English ones only.

    One of an unspaced script is as it was: the sound marks of kana are not accents.
    """
    if word.isascii() or _RUN.search(word):
        return word
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain.lower())


def terms(query: str) -> list[Term]:
    """What a query asks for, without repetition: phrases, words, other forms of words; empty when it holds no letter or digit.

    Words that a question is made of (`FUNCTION_WORDS`) are left out where it has others. A word of `LEAST_STEM` letters or
    more counts as it stands, and again in any of its forms: `painted` also asks for `paint*`, so a turn that says `painted`
    counts twice, one that says `painting` once.
    """
    pieces = _PIECES.findall(query)
    said = [(phrase, bare) for phrase, bare in pieces if phrase or not _says_nothing(bare)] or pieces
    quoted = [term for phrase, _ in said for term in _phrase(phrase)]
    words = [term for _, bare in said for term in _bare(bare)]
    forms = [form for term in words if (form := _forms(term))]
    return list(dict.fromkeys([*quoted, *words, *forms]))[:MOST_TERMS]


def _says_nothing(bare: str) -> bool:
    words = WORD.findall(bare)
    return not words or (not bare.endswith("*") and all(word.lower() in FUNCTION_WORDS for word in words))


def _forms(term: Term) -> Term | None:
    """A word's beginning without its ending, as a prefix; None for a prefix, several words, what has digits, or a short word."""
    word = term.words[0].lower()
    if term.prefix or len(term.words) > 1 or not word.isalpha():
        return None
    stem = next((word[: -len(e)] for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= LEAST_STEM), word)
    return Term((stem,), prefix=True) if len(stem) >= LEAST_STEM else None


def _phrase(text: str) -> Iterator[Term]:
    words: list[str] = []
    for token in WORD.findall(text):
        for piece in _split(token):
            words += _pairs(piece) if _RUN.match(piece) else [piece]
    if words:
        yield Term(tuple(words))


def _bare(text: str) -> Iterator[Term]:
    if not _RUN.search(text):
        if words := tuple(WORD.findall(text)):
            yield Term(words, prefix=text.endswith("*"))
            if len(words) > 1 and not _DIGIT.search(text):  # an id with digits is looked for as a whole
                yield from _parts(text)
        return
    for piece in (p for token in WORD.findall(text) for p in _split(token)):
        yield from _unspaced(piece) if _RUN.match(piece) else (Term((piece,)),)


def _parts(compound: str) -> Iterator[Term]:
    """The names in something like `flights[].flight_number`, and their words: elsewhere a name may stand alone or be spaced."""
    names = [tuple(WORD.findall(name)) for name in _NAME.findall(compound)]
    yield from (Term(words) for words in names if words)
    yield from (Term((word,)) for words in names for word in words if len(word) > 2)


def _unspaced(run: str) -> Iterator[Term]:
    """The whole run, then its pairs: a sentence of such a script is rarely repeated whole."""
    pairs = tuple(_pairs(run))
    yield Term(pairs, prefix=len(run) == 1)
    if len(pairs) > 1:
        yield from (Term((pair,)) for pair in pairs)
