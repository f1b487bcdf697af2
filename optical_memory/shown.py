"""How a value shows itself: in a line of a log, and drawn in notebooks and terminals by a room that it need not know.

Stored text is data: what could drive a terminal or turn a line around is made visible.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

DRAWN_BY = "optical_memory.inspection.reprs"  # loaded when a value is drawn for the first time
_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


class Shown:
    """A value that a notebook shows as HTML and a terminal through rich."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(import_module(DRAWN_BY).html(self))

    def __rich__(self) -> Any:
        return import_module(DRAWN_BY).rich(self)


def short(kind: str, *facts: object, text: str | None = None) -> str:
    """`Hit(turn 3, 'how it begins…')`: a value in a line, with at most 60 characters of its text."""
    told = [safe(f) for f in facts]
    return f"{kind}({', '.join([*told, repr(one_line(text, 60))] if text is not None else told)})"


def one_line(text: str, most: int = 120) -> str:
    """The first words of a text on one line, at most `most` characters, harmless."""
    line = " ".join(text[: most * 8].split())
    return safe(line if len(line) <= most else line[: most - 1] + "…")


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def safe(text: object, instead: Callable[[re.Match[str]], str] = _visible) -> str:
    """Text of any origin with every control, bidi and invisible character shown instead of sent: ESC becomes ␛."""
    return _ACTIVE.sub(instead, str(text))


__all__ = ["Shown", "one_line", "safe", "short"]
