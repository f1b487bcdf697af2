"""What sort of text a block is, and how it is made compact for drawing without changing what it says.

The result is a function of the text alone. The source stays in the store; only the picture is compact.
"""

from __future__ import annotations

import re

from optical_memory.pages.marks import NEWLINE, PARAGRAPH, visible

REPEAT = re.compile(r"([^\s⟩])\1{23,}")
RULE = re.compile(r"([-=_*#~.+─━═])\1{5,}")


def normalise(text: str) -> str:
    """The text as it is drawn: one line, visible characters and marks only."""
    return flat(visible(text))


def flat(text: str) -> str:
    """Newlines as marks; runs of blanks, rules and repeated characters collapsed."""
    text = REPEAT.sub(lambda m: f"{m[1] * 3}⟨×{len(m[0])}⟩", text)
    text = RULE.sub(r"\1\1\1", text).replace("\t", "  ")
    text = re.sub(r" {2,}", "  ", text)
    text = re.sub(r" *\n *\n\s*", PARAGRAPH, text.strip())
    return re.sub(r" *\n *", NEWLINE, text)
