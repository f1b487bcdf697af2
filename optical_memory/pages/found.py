"""What was found out about texts, kept: planning looks at the same turns in several tries and on several pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

MOST = 12_000_000  # characters of text that one of these stands for at most: eighty thousand turns of a talk


class ByText(Generic[V]):
    """A function of a text that keeps what it found: of the texts asked for last at least half of `most` characters.

    The bound is on characters, since a count of texts says nothing of what they hold. There are two generations, of which
    the older one goes when the younger is full; a race of threads costs no more than finding something out again.
    A text larger than half of it all is not kept.
    """

    def __init__(self, find: Callable[[str], V], most: int = MOST) -> None:
        self._find, self._most = find, most
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}
        self._chars = 0

    def __call__(self, text: str) -> V:
        """What the function says of this text."""
        young, old = self._young, self._old
        if text in young:
            return young[text]
        found = old[text] if text in old else self._find(text)
        if len(text) > self._most // 2:
            return found
        self._chars += len(text)
        if self._chars > self._most // 2:
            self._old, self._young, self._chars = young, {}, len(text)
        self._young[text] = found
        return found
