"""Whether what is shown is harmless, and hostile text to show."""

from __future__ import annotations

import io
import random
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

from rich.console import Console

TAGS = {
    "div", "p", "b", "table", "tr", "th", "td", "figure", "figcaption", "img", "ul", "li",
    "svg", "title", "rect", "line", "text", "g", "polygon",
}  # fmt: skip
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # what rich itself sends to a terminal
PIECES = (
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://evil.example\x1b\\", "\x9b31m", "\r", "\x08", "\x7f", "\x00", "\u202e", "\u2066",
    "\u200b", "\ufeff", "\U000e0041", "\ud800", "\u2028", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'--",
    "<svg onload=alert(1)>", "javascript:alert(1)", "</td></table>", "&lt;", "[red]markup[/]", "[link=http://evil]x[/link]", ":smile:",
    "\n", "\t", "normal words", "日本語", "é", "😀",
)  # fmt: skip


def hostile(dice: random.Random) -> str:
    """A text of pieces that mean harm, and any characters between them."""
    pieces = [
        dice.choice(PIECES) if dice.random() < 0.7 else chr(dice.randrange(0x110000))
        for _ in range(dice.randrange(1, 9))
    ]
    return "".join(pieces)


def active(text: str) -> list[str]:
    """The characters that could drive a terminal, or hide; line breaks and tabs are harmless."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in kinds and c not in "\n\t\u06dd\u070f\u08e2"]


def on_a_terminal(value: Any) -> str:
    """What rich prints of a value to a terminal, without the colours that are its own."""
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=120, color_system="truecolor").print(value)
    return COLOURS.sub("", out.getvalue())


class _Page(HTMLParser):
    """Collects what must not be in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            told = (value or "").lower()
            if name.startswith("on") or "url(" in told or ("javascript:" in told and name != "alt"):
                self.wrong.append(f"{name}={value}")
            if name in ("href", "xlink:href", "srcset", "action") or (
                name == "src" and not told.startswith("data:image/png")
            ):
                self.wrong.append(f"{name}={value}")

    def handle_comment(self, data: str) -> None:
        if data:
            self.wrong.append(f"<!--{data}-->")


def wrong_in(html: str) -> list[str]:
    """Tags, attributes and addresses that stored text could only have brought in, and active characters."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.wrong + active(html)
