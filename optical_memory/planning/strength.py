"""How strong a memory is: importance found without a model, pins, recalls, and weights that the host gives.

Strength slows age: a span of strength s feels its age divided by 1 + s, so a stronger span never fades sooner.
"""

from __future__ import annotations

import re

_INSTRUCTION = re.compile(
    r"\b(?:always|never|must(?:n't| not)?|do not|don't|make sure|be sure to|remember (?:to|that)|from now on|only ever|"
    r"under no circumstances|prefer(?:red)?|instead of|in future)\b|\b(?:requirements?|rules?|important|note):",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:actually|correction|i meant|not (?:what|that)|that's wrong|no, |wrong|rather than|scratch that|sorry, )",
    re.IGNORECASE,
)
_DECISION = re.compile(
    r"\b(?:decided|we(?:'ll| will) (?:go|use)|let's (?:go|use)|agreed|final(?:ly|ised|ized)?|chose|settled|approved|"
    r"confirmed)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:not|never|no longer|cannot|can't|won't|without|except|unless)\b", re.IGNORECASE)
_LISTED = re.compile(r"^[^\S\n]*(?:\d+[.)]|[-*•])\s+\S", re.MULTILINE)
_NUMBER = re.compile(r"\d")
_ORDER = re.compile(
    r"(?:^|[.!?;:,]\s+|\bplease\s+|\byou (?:must|should)\s+)"
    r"(?:always|never|do not|don't|make sure|from now on|you must)\b",
    re.IGNORECASE,
)
LONGEST_ORDER = 4_000  # characters: what is longer is material, not an order
SHORT = 400  # characters: in a longer text such a word is mostly part of a story
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}")


def is_instruction(role: str, text: str) -> bool:
    """Is this a turn that must not be left to a picture: a user's standing order, or a list of requirements?

    The rule is strict on purpose: in a chat every second turn is a user's, and most of them order nothing.
    """
    if role != "user" or len(text) > LONGEST_ORDER or not _INSTRUCTION.search(text):
        return False
    return bool(_LISTED.search(text)) or (len(text) <= SHORT and bool(_ORDER.search(text)))


def importance(role: str, text: str) -> float:
    """Importance of a turn between 0 (chatter) and 1, from its words alone: no model is asked."""
    head = text[:8_000]
    score = 0.1 if role == "user" else 0.0
    score += 0.3 * bool(_INSTRUCTION.search(head)) * (role in ("user", "system"))
    score += 0.2 * bool(_DECISION.search(head)) + 0.15 * bool(_CORRECTION.search(head))
    score += 0.1 * bool(_NEGATION.search(head)) + 0.1 * ("?" in head)
    score += 0.1 * bool(_NUMBER.search(head)) + 0.1 * bool(_NAME.search(head))
    return round(min(1.0, score), 3)


def strength(importance: float, recalls: int = 0) -> float:
    """Strength of a span, 0 or more: its importance, and one half for each recall."""
    return max(0.0, importance) + 0.5 * recalls
