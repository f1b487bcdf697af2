"""What planning works on: stored turns, spans of them, a thread at one moment, and what all of it costs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from optical_memory.cost import Profile
from optical_memory.pages import RENDERER, Sheet, Style, TurnText
from optical_memory.planning.context import LOWERED, READABLE, Plan, card_line
from optical_memory.planning.decay import Schedule
from optical_memory.planning.tiers import DRAWN, Tier

Size = tuple[int, int]


class StoredTurn(Protocol):
    """A turn as the store has it; `tokens` are raw text tokens, `messages` and `calls` are counts."""

    @property
    def number(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def chars(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def attachments(self) -> Any: ...
    @property
    def importance(self) -> float: ...
    @property
    def weight(self) -> float | None: ...
    @property
    def pinned(self) -> bool: ...
    @property
    def recalls(self) -> int: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def stored_at(self) -> datetime: ...
    @property
    def duplicate_of(self) -> int | None: ...
    @property
    def purged(self) -> bool: ...


UNKNOWN_IMAGE = 1_600  # tokens of an attached image or file whose size is unknown


@dataclass(frozen=True, slots=True)
class Look:
    """How a span is drawn at a tier: the style, the sheet, and the sizes of its images in pixels."""

    style: Style
    sheet: Sheet
    sizes: tuple[Size, ...]

    @property
    def name(self) -> str:
        """Images of one span and one name are the same bytes: `sans9|1344x280/28|<renderer>`."""
        return f"{self.style.key}|{self.sheet.key}|{RENDERER}"

    def to_json(self) -> list[Any]:
        """A JSON value from which `from_json` makes the same look."""
        return [self.style.key, self.sheet.key, [list(size) for size in self.sizes]]

    @staticmethod
    def from_json(value: Sequence[Any]) -> Look:
        """The look that `to_json` gave."""
        style, sheet, sizes = value
        return Look(parse_style(style), parse_sheet(sheet), tuple((int(w), int(h)) for w, h in sizes))


def parse_style(key: str) -> Style:
    """The style whose `key` this is."""
    found = re.fullmatch(r"([a-z]+)(\d+)(b?)", key)
    assert found is not None, key
    return Style(int(found[2]), found[1], bool(found[3]))


def parse_sheet(key: str) -> Sheet:
    """The sheet whose `key` this is."""
    found = re.fullmatch(r"(\d+)x(\d+)(?:/(\d+)|!)", key)
    assert found is not None, key
    return Sheet(int(found[1]), int(found[2]), int(found[3] or 1), found[3] is not None)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a plan depends on besides the conversation; `count` gives raw text tokens, `budget` is the whole call's."""

    profile: Profile
    budget: int
    count: Callable[[str], int]
    schedule: Schedule
    keep: tuple[str, int] = ("tokens", 4_000)
    low_mark: float = 0.6
    facts: float = 0.08
    horizon: float = 20

    @property
    def readable(self) -> dict[str, float]:
        """Share of a span's turns that is still readable at each tier."""
        return {**READABLE, **self.profile.shares}

    def text(self, text: str) -> int:
        """Tokens of a text by this model."""
        return math.ceil(self.count(text) * self.profile.text_factor)

    def turn(self, row: StoredTurn) -> int:
        """Tokens of a turn shown as text: its messages, calls, attachments, their overhead, and rounding of each part."""
        words = math.ceil(row.tokens * self.profile.text_factor) + (row.messages + row.calls)
        around = row.messages * self.profile.message_overhead + row.calls * self.profile.call_overhead
        lowered = self.text(LOWERED) if row.role == "system" else 0
        return words + around + lowered + sum(self.attached(a) for a in row.attachments or ())

    def attached(self, file: Mapping[str, Any]) -> int:
        """Tokens of an attachment, from its size in pixels."""
        size = file.get("size")
        return self.profile.image(*size) if size and self.profile.vision else UNKNOWN_IMAGE

    def drawn(self, sizes: Sequence[Size]) -> int:
        """Tokens of images of these sizes."""
        return sum(self.profile.image(*size) for size in sizes)


@dataclass(frozen=True, slots=True)
class Known:
    """A span of turns that can be placed: stored as a page (`page` is its id) or just drafted (None).

    `text` are its tokens as text; `looks` how it is drawn per tier; `tier` how it is shown now; `since` the time
    of its last turn; `recalled` whether the model or host has recalled a turn of it since the last step.
    """

    first: int
    last: int
    text: int
    looks: Mapping[Tier, Look]
    card: str
    strings: tuple[str, ...]
    tier: Tier = "text"
    page: int | None = None
    importance: float = 0.0
    recalls: int = 0
    recalled: bool = False
    guard: int = 0
    since: datetime | None = None
    chars: int = 0
    raw: int = 0
    pinned: tuple[tuple[int, str], ...] = ()  # turns to be told as text beside the picture: number and words
    blocked: bool = False  # no picture: the request would hold more images than the provider takes
    hidden: bool = False  # turns behind a handle for good: nothing but the handle is left to choose


@dataclass(frozen=True, slots=True)
class State:
    """A thread at one moment: the plan in force, the spans it shows, and the turns after it."""

    end: int
    anchor: int  # the newest user turn, 0 if there is none
    plan: Plan
    spans: tuple[Known, ...]
    fresh: tuple[StoredTurn, ...]
    reserved: int = 0
    now: datetime | None = None
    extra: int = 0  # tokens of turns recalled by themselves since the plan was made
    ladder: bool = True  # a span's tier may only fall; False for previews with another model or budget

    @property
    def pending(self) -> bool:
        """Does the model owe an answer, so that the newest message and tool round may not yield?"""
        return bool(self.fresh) and (self.fresh[-1].role == "user" or self.fresh[-1].calls > 0)

    def protected(self) -> set[int]:
        """Turns that never yield: the newest user message and the newest tool round of a run that goes on."""
        return {self.fresh[-1].number, self.anchor} - {0} if self.pending else set()


@dataclass(frozen=True, slots=True)
class Placed:
    """A span at the tier chosen for it."""

    span: Known
    tier: Tier
    tokens: int


def hours(since: datetime | None, now: datetime | None) -> float:
    """Hours between, never negative: a clock that jumped back makes nothing younger than it is."""
    return max(0.0, (now - since).total_seconds() / 3600) if since and now else 0.0


def turn_to_draw(row: StoredTurn) -> TurnText:
    """What the renderer needs of a stored turn."""
    date = row.created_at.date().isoformat() if row.created_at else None
    return TurnText(row.number, row.role, row.text, date, row.name)


def costs_of(known: Known, settings: Settings) -> dict[Tier, int]:
    """Tokens of the span at every tier that can be had and that is cheaper than the text."""
    if known.hidden:
        return {"handle": 0}
    costs: dict[Tier, int] = {"text": known.text}
    cheapest = known.text
    for tier in DRAWN:
        drawn = None if known.blocked else known.looks.get(tier)
        if drawn and (tokens := settings.drawn(drawn.sizes)) < cheapest:
            costs[tier] = cheapest = tokens
    if known.card and (tokens := settings.text(card_line(known.first, known.last, known.card))) < cheapest:
        costs["card"] = tokens
    return costs | {"handle": 0}
