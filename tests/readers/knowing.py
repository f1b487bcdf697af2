"""A reader that knows the pages of a trial and reads as well as it is told to: no engine, no chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from optical_memory.cost import profile
from optical_memory.pages import render_page
from optical_memory.readers import Trial
from optical_memory.readers.blind import Sheetful
from optical_memory.readers.calibrate import page_sheet

Sight = Callable[[Sheetful], str]


def perfectly(page: Sheetful) -> str:
    """All that stands on the page, with its blanks."""
    return "\n".join(page.page.lines())


def with_strings(page: Sheetful, change: Callable[[str], str], every: int = 1) -> str:
    """The page's text with every so manieth planted string changed."""
    text, at, parts = page.truth.text, 0, []
    for number, (start, end) in enumerate(sorted(page.truth.strings)):
        parts += [text[at:start], change(text[start:end]) if number % every == 0 else text[start:end]]
        at = end
    return "".join([*parts, text[at:]])


def silently_wrong(page: Sheetful) -> str:
    """Every string with its first character taken for another."""
    return with_strings(page, lambda s: ("Q" if s[0] != "Q" else "O") + s[1:])


def honestly_unread(page: Sheetful) -> str:
    """Every string as one that cannot be read."""
    return with_strings(page, lambda _: "⟨?⟩")


@dataclass
class Knowing:
    """Reads each size with its own sight, `perfectly` where none is told; `seen` has the pages it was shown."""

    trial: Trial
    sights: dict[int, Sight] = field(default_factory=dict)
    name: str = "ocr:tesseract"
    breaks_after: int | None = None
    seen: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        drawn = self.trial.drawn(page_sheet(profile(self.name)))
        self._pages = {render_page(page.page): page for pages in drawn.values() for page in pages}

    def read(self, png: bytes) -> str:
        """The page's text as its size is seen; KeyError for a page of another trial."""
        if self.breaks_after is not None and len(self.seen) >= self.breaks_after:
            raise ConnectionError("the line is dead")
        page = self._pages[png]
        self.seen.append((page.page.style.size, page.number))
        return self.sights.get(page.page.style.size, perfectly)(page)
