"""What matters most in a text: strings to draw bold, and the extract of a span."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optical_memory.pages.found import ByText
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
# The same tokens; stretches of words in small letters, which are most of a talk, are passed over as one empty find.
WORDS = re.compile(rf"(?:[a-z]++(?![.\-@/+%#&'’]*+\w)[^\w$€£#@~/]*+)++|({TOKEN.pattern})")
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
    found = sorted([scored for index, turn in enumerate(turns) for scored in _sentences(turn, index)])
    kept: dict[str, tuple[int, int]] = {}
    room = chars + len(JOINT)
    for _, number, place, sentence in found:
        text = _clipped(sentence, room - len(JOINT))
        if text and text not in kept:
            kept[text] = number, place
            room -= len(text) + len(JOINT)
        if room < SHORTEST + len(JOINT):
            break
    return JOINT.join(sorted(kept, key=kept.__getitem__))


JOINT = " … "
SHORTEST = 24  # characters below which a piece of a sentence says nothing
LONGEST = 280  # of a sentence that is considered: a longer one is cut at a word
SPLIT = re.compile(r"(?<=[.!?])[ \t]+|(?<=[。！？])|\n+")
WIDE = 0x2E80  # from here on characters of scripts without blanks between their words
ROLE = {"system": 1.2, "user": 1.5, "assistant": 0.8}  # tools: 0.3
SIGNALS = (  # what makes a sentence worth keeping, and how much: parts of words, and what must end a word or be one
    (2.5, "actually|instead|correction|i mean|meant|sorry|wrong|mistake|no longer|change my|change to|change the|changed my"
     "|changed to|changed the|rather than", ()),
    (2.0, "decid|agree|let's|lets|we'll|we will|i'll|i will|go with|chose|choose|confirm|approv|final|prefer|plan", ()),
    (1.6, "please|can you|could you|i need|i want|i'd like|must|should|make sure|have to|remember|always|require", ()),
    (1.2, "never|cannot|without|only|except|unless|avoid|forbid", (r"\bnot", r"\bno", "n't")),
    (0.8, "i'm|my |our |name|born|live|work|because|result|error|fail|fix|found|cause|total|deadline", (r"\bi am",)),
)  # fmt: skip
WEIGHTED = tuple(  # a word is looked for as a part first: far quicker, and mostly it is not there
    (weight, tuple(parts.split("|")), tuple((word.removeprefix(r"\b"), re.compile(rf"{word}\b")) for word in words))
    for weight, parts, words in SIGNALS
)
FOLDED = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")  # letters that are an ASCII letter where case does not count
DATA = re.compile(r"\W*\d+\s*[:→]|[^A-Za-z\u00c0-\U0010ffff]*$|//")  # begins like code: numbered, no letters, a comment
BROKEN = re.compile(r"[{}<>;=]\W*$")  # ends like it
SIGNED = re.compile(r"(?:[{}()<>;=\[\]|\"'`\\][^{}()<>;=\[\]|\"'`\\]*){5}")
CHATTER = re.compile(r"(?:hi|hey|hello|thanks?|thank you|great|wow|awesome|sure|of course|bye|nice|cool|ok)\b", re.I)


Sentence = tuple[float, int, int, str]  # its place in the choice, lowest first; its turn, its place there, its words


def _sentences(turn: TurnText, index: int) -> list[Sentence]:
    """Sentences that are words rather than data, the first of a user's turn with a bonus."""
    role, early = ROLE.get(turn.role, 0.3), float(turn.role == "user")
    return [
        (-role * (weight + (early if place == 0 and len(text) >= 30 else 0.0)) / root, index, place, text)
        for place, (text, weight, root) in enumerate(_weighed(turn.text))
    ]


@ByText
def _weighed(text: str) -> tuple[tuple[str, float, float], ...]:
    """The sentences of a text, what they weigh, and the root of their length, by which this is divided."""
    parts = [_clipped(part.strip(), LONGEST) for part in SPLIT.split(text)]
    return tuple([(p, _weight(p), math.sqrt(len(p) + 40)) for p in parts if len(p) >= 8 and not _data(p)])


def _data(text: str) -> bool:
    """Is this code, or a row of a table, rather than words?"""
    return bool(text.endswith(":") or DATA.match(text) or BROKEN.search(text) or SIGNED.search(text))


def _weight(text: str) -> float:
    """What a sentence weighs by its words: signals, names and numbers, less for chatter."""
    low = (text if text.isascii() else text.translate(FOLDED)).lower()
    told = sum([weight for weight, parts, words in WEIGHTED if any(map(low.__contains__, parts)) or _word(low, words)])
    found = WORDS.findall(text)
    tokens: list[str] = [token for token in found if token]  # of the words in small letters nothing is asked
    exact = sum(map(_matters, tokens))
    names = sum(token[0].isupper() for token in (tokens[1:] if found and found[0] else tokens))
    return told + 0.6 * min(exact, 4) + 0.3 * min(names, 4) - (2.0 if CHATTER.match(text) else 0.0)


def _word(low: str, words: Sequence[tuple[str, re.Pattern[str]]]) -> bool:
    return any(part in low and whole.search(low) is not None for part, whole in words)


def _clipped(text: str, chars: int) -> str:
    """At most `chars` characters, cut between words, or between wide characters; nothing if too little would be left."""
    if len(text) <= chars:
        return text
    begun = text[: max(chars, 0)]
    cut = (begun if begun and ord(begun[-1]) >= WIDE else begun.rpartition(" ")[0]).rstrip(" ,;:、，；：")
    return cut if len(cut) >= SHORTEST else ""
