"""What the memory hands back: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optical_memory.shown import Shown, short


@dataclass(frozen=True, slots=True)
class Remembered:
    """What `remember` stored: `added` turns and `messages` that were new; the thread has `length` turns now.

    `turns` has the turn number of each message that was given, None for one that is not part of the conversation.
    `forked_after` is the turn after which a new branch begins, None where the thread simply went on.
    """

    thread: str
    added: int
    messages: int
    length: int
    turns: tuple[int | None, ...] = field(repr=False)
    forked_after: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Shown):
    """One image of a span of turns; `turns` are the first and last, sizes are pixels, `tokens` by the memory's model.

    With `record` it is what is left of these turns: their text is gone.
    """

    number: int
    turns: tuple[int, int]
    tier: str
    width: int
    height: int
    tokens: int
    sha256: str
    png: bytes = field(repr=False)
    part: int = 0
    record: bool = False

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True, slots=True)
class Hit:
    """A recalled turn: its number, its text word for word, and a score (higher is better, comparable in one call).

    Of a `purged` turn only a picture is left; the text then says so, and where.
    """

    turn: int
    text: str
    score: float
    role: str
    created_at: datetime | None = None
    tier: str = "text"
    purged: bool = False

    def __repr__(self) -> str:
        return short("Hit", f"turn {self.turn}", self.role, f"score {self.score:.2f}", text=self.text)


@dataclass(frozen=True, slots=True)
class Change:
    """A span's change of tier within a step; tokens of the span before and after, readable share 0 to 1."""

    turns: tuple[int, int]
    before: str
    after: str
    tokens_before: int
    tokens_after: int
    readable_before: float
    readable_after: float


@dataclass(frozen=True, slots=True)
class Step:
    """One batch of tier changes: taken (or, with dry_run, what would be), or none, and why in words.

    With it the text of `purged` turns went for good (see `MemoryConfig.retain`), so that it cannot be undone.
    """

    changes: tuple[Change, ...]
    reason: str | None
    explanation: str
    tokens_before: int
    tokens_after: int
    at: int = 0
    created_at: datetime | None = None
    undone: bool = False
    purged: int = 0

    def __repr__(self) -> str:
        changed = f"{len(self.changes)} changes, {self.tokens_before:,} to {self.tokens_after:,} tokens"
        return short("Step", f"at turn {self.at}", self.reason or "no reason", changed, *["undone"] * self.undone)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `forget` removed.

    `held` is True while another process still keeps the old bytes in the database's log: they are overwritten when the
    database is next opened. Of the turns, `lost` were not named: a picture that shows a forgotten one was all that was
    left of them.
    """

    turns: int
    messages: int
    pages: int
    images: int
    held: bool = False
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """What is stored and what it costs. Token figures are by the memory's own model; of `purged` turns the text is gone."""

    threads: int
    turns: int
    pages: int
    images: int
    image_bytes: int
    bytes: int
    text_tokens: int
    counter: str
    tiers: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, Any] = field(default_factory=dict)
    purged: int = 0


@dataclass(frozen=True, slots=True)
class ThreadInfo(Shown):
    """A thread in a list: its name, turns, raw text tokens, and when it was made and last shown."""

    thread: str
    turns: int
    tokens: int
    created_at: datetime
    touched_at: datetime | None
    branches: int = 1
