"""What matters most in a text: strings to draw bold, and the extract of a span."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.sheets import TurnText

TURNING = re.compile(  # what turns a meaning round
    r"\b(?:not|never|no|none|nothing|without|cannot|don't|can't|won't|isn't|didn't|doesn't|wasn't|instead)\b",
    re.IGNORECASE,
)
ENDING = ".!?:;↵¶⟫›•*–—\"'([{|"  # a capital after one of these says nothing


def salient(text: str) -> NDArray[np.bool_]:
    """Which characters belong to what must survive: ids, numbers, dates, mails, codes, names, negations.

    A token counts if it holds a digit or an @, is all capitals, or is capitalised inside a sentence. Linear in the
    text, whatever it holds.
    """
    strong = np.zeros(len(text), bool)
    for match in TURNING.finditer(text):
        strong[match.start() : match.end()] = True
    for match in TOKEN.finditer(text):
        if _matters(match[0]) or _named(text, match.start(), match[0]):
            strong[match.start() : match.end()] = True
    return strong


TOKEN = re.compile(r"(?:[^\W_]|[$€£#@_~/](?=\w))(?:[\w.\-@/+%#&'’]|(?<=\d)[,:](?=\d))*(?<=\w)")
DIGIT = re.compile(r"\d")


def _matters(token: str) -> bool:
    return bool(DIGIT.search(token)) or "@" in token or (len(token) > 1 and token.isupper())


def _named(text: str, start: int, token: str) -> bool:
    """A capitalised word that does not begin a sentence."""
    before = text[max(0, start - 2) : start]
    return token[0].isupper() and len(token) > 2 and before[-1:] == " " and before[0] not in ENDING


def headlines(turns: Sequence[TurnText], chars: int) -> str:
    """The readable extract of a span: sentences of the source, joined by ` … `, at most `chars` characters.

    Sentences are verbatim and in the order of the conversation. Those that decide, correct, ask, forbid or hold
    names and numbers come first; the choice is made by weights alone, without a model.
    """
    found = [sentence for index, turn in enumerate(turns) for sentence in _sentences(turn, index)]
    best = sorted(found, key=lambda s: (-s.weight / (len(s.text) + 40) ** 0.5, s.turn, s.place))
    kept: dict[str, Sentence] = {}
    room = chars + len(JOINT)
    for sentence in best:
        text = _clipped(sentence.text, room - len(JOINT))
        if text and text not in kept:
            kept[text] = sentence
            room -= len(text) + len(JOINT)
        if room < SHORTEST + len(JOINT):
            break
    return JOINT.join(sorted(kept, key=lambda text: (kept[text].turn, kept[text].place)))


JOINT = " … "
SHORTEST = 24  # characters below which a piece of a sentence says nothing
LONGEST = 280  # of a sentence that is considered: a longer one is cut at a word
SPLIT = re.compile(r"(?<=[.!?])[ \t]+|\n+")
ROLE = {"system": 1.2, "user": 1.5, "assistant": 0.8}  # tools: 0.3
SIGNALS = (  # what makes a sentence worth keeping, and how much
    (2.5, r"actually|instead|correction|i mean|meant|sorry|wrong|mistake|no longer|changed? (?:my|to|the)|rather than"),
    (2.0, r"decid|agree|let'?s|we(?:'ll| will)|i(?:'ll| will)|go with|chose|choose|confirm|approv|final|prefer|plan"),
    (1.6, r"please|can you|could you|i need|i want|i'd like|must|should|make sure|have to|remember|always|require"),
    (1.2, r"\bnot\b|never|n't\b|\bno\b|cannot|without|only|except|unless|avoid|forbid"),
    (0.8, r"\bi am\b|i'm|my |our |name|born|live|work|because|result|error|fail|fix|found|cause|total|deadline"),
)
WEIGHTED = tuple((weight, re.compile(words, re.IGNORECASE)) for weight, words in SIGNALS)
DATA = re.compile(
    r"^\W*\d+\s*[:→]|^[^A-Za-z\u00c0-\U0010ffff]*$|[{}<>;=][^\w]*$|(?:[{}()<>;=\[\]|\"'`\\].*?){5}|^//|:$"
)  # code
CHATTER = re.compile(r"(?:hi|hey|hello|thanks?|thank you|great|wow|awesome|sure|of course|bye|nice|cool|ok)\b", re.I)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the source, where it stands, and what it weighs."""

    turn: int
    place: int
    text: str
    weight: float


def _sentences(turn: TurnText, index: int) -> Iterator[Sentence]:
    """Sentences that are words rather than data, the first of a user's turn with a bonus."""
    for place, (text, weight) in enumerate(_weighed(turn.text)):
        early = 1.0 if place == 0 and turn.role == "user" and len(text) >= 30 else 0.0
        yield Sentence(index, place, text, ROLE.get(turn.role, 0.3) * (early + weight))


@lru_cache(maxsize=16_384)
def _weighed(text: str) -> tuple[tuple[str, float], ...]:
    """The sentences of a text and what they weigh; kept, since planning looks at the same turns on several pages."""
    parts = [_clipped(part.strip(), LONGEST) for part in SPLIT.split(text)]
    return tuple((part, _weight(part)) for part in parts if len(part) >= 8 and not DATA.search(part))


def _weight(text: str) -> float:
    """What a sentence weighs by its words: signals, names and numbers, less for chatter."""
    told = sum(weight for weight, words in WEIGHTED if words.search(text))
    tokens = [match[0] for match in TOKEN.finditer(text)]
    exact = sum(map(_matters, tokens))
    names = sum(token[0].isupper() for token in tokens[1:])
    return told + 0.6 * min(exact, 4) + 0.3 * min(names, 4) - (2.0 if CHATTER.match(text) else 0.0)


def _clipped(text: str, chars: int) -> str:
    """At most `chars` characters, cut between words; nothing if too little would be left."""
    if len(text) <= chars:
        return text
    cut = text[: max(chars, 0)].rpartition(" ")[0].rstrip(" ,;:")
    return cut if len(cut) >= SHORTEST else ""
