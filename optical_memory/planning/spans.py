"""What planning works on: stored turns, spans of them, a thread at one moment, and what all of it costs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from optical_memory.cost import Profile
from optical_memory.errors import ConfigError
from optical_memory.messages import RESULT
from optical_memory.pages import Sheet, Style, TurnText, renderer
from optical_memory.planning.context import LOWERED, READABLE, Plan, card_line, parse_ranges, told_ranges
from optical_memory.planning.decay import Age, Schedule
from optical_memory.planning.strength import strength
from optical_memory.planning.tiers import CARD, DRAWN, TIERS, Tier

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


FORGETTING = 0.15  # questions about long talks ask of all ages nearly alike; half a power dropped the oldest third
GIST = 50  # a card says what a text of at most so many times its length is about; of a longer one, as much less
UNKNOWN_IMAGE = 1_600  # tokens of an attached image or file whose size is unknown


@dataclass(frozen=True, slots=True)
class Look:
    """How a span is drawn at a tier: the style, the sheet, and the sizes of its images in pixels.

    `left` are the turns of the span that are not drawn, as ranges; `held` is the share (0 to 1) of its information that is.
    """

    style: Style
    sheet: Sheet
    sizes: tuple[Size, ...]
    left: tuple[tuple[int, int], ...] = ()
    held: float = 1.0

    @property
    def name(self) -> str:
        """Images of one span and one name are the same bytes: `sans9|1344x280/28|<renderer>`, and what is left out: `|3,5-9`."""
        left = [told_ranges(self.left)] if self.left else []
        return "|".join([self.style.key, self.sheet.key, renderer(self.style), *left])

    @staticmethod
    def from_name(name: str) -> Look:
        """The look of this name, but for sizes, which are not in it."""
        style, sheet, _, *left = name.split("|")
        return Look(parse_style(style), parse_sheet(sheet), (), parse_ranges(left[0]) if left else ())

    def drawn(self, turns: Iterable[TurnText]) -> list[TurnText]:
        """Those of a span's turns that this look draws."""
        return [t for t in turns if not any(first <= t.number <= last for first, last in self.left)]

    def to_json(self) -> list[Any]:
        """A JSON value from which `from_json` makes the same look."""
        sizes = [list(size) for size in self.sizes]
        return [self.style.key, self.sheet.key, sizes, told_ranges(self.left), self.held]

    @staticmethod
    def from_json(value: Sequence[Any]) -> Look:
        """The look that `to_json` gave."""
        style, sheet, sizes, left, held = value
        pixels = tuple((int(w), int(h)) for w, h in sizes)
        return Look(parse_style(style), parse_sheet(sheet), pixels, parse_ranges(left), float(held))


def parse_style(key: str) -> Style:
    """The style whose `key` this is."""
    return Style.of(key)


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

    def allowed(self, age: Age) -> Tier:
        """The sharpest tier that the schedule allows at this age. Raises ConfigError where a callable gives none."""
        tier = self.schedule(age)
        if tier not in TIERS:
            raise ConfigError(
                f"schedule: {self.schedule!r} gave {tier!r} for {age}; let it give one of {', '.join(TIERS)}"
            )
        return tier

    def due(self, known: Known, age: Age) -> Tier:
        """The same for a span of this age: it feels it as much less as it is strong."""
        return self.allowed(age.slowed(1 + strength(known.importance, known.recalls)))

    def readable(self, known: Known) -> dict[str, float]:
        """Share of a span's information that is still readable at each tier; a card has the gist of it (`GIST`)."""
        drawn: dict[str, float] = {tier: look.held * self.share(look.style) for tier, look in known.looks.items()}
        most = self.profile.shares.get("card", READABLE["card"])
        return {**READABLE, **drawn, "card": most * min(1.0, GIST * len(known.card) / max(1, known.chars))}

    def exact(self, style: Style) -> bool:
        """Are ids and numbers safe in this style? Never where other scripts are drawn."""
        told = self.profile.exact
        return style.scripts != "s" and any(
            told.get(t, False) for t in DRAWN if self.profile.tiers.get(t) == style.plain
        )

    def share(self, style: Style) -> float:
        """Share of the turns drawn in this style that the model reads, where other scripts have raised its pitch as well."""
        return next((self.profile.shares[t] for t in DRAWN if self.profile.tiers.get(t) == style.plain), 0.0)

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
    of its last turn; `recalled` whether the model or host has recalled a turn of it since the last step; `worth` how much
    its turns say (`information`).
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
    worth: float = 0.0
    told: tuple[int, ...] = ()  # instructions and pins of its page that were told beside it from the first
    pinned: tuple[tuple[int, str], ...] = ()  # turns to be told as text beside the picture: number and words
    blocked: bool = False  # no picture: the request would hold more images than the provider takes
    hidden: bool = False  # turns behind a handle for good: nothing but the handle is left to choose
    purged: bool = False  # the text is gone: there are the pictures in `looks`, "card" too, and the handle


@dataclass(frozen=True, slots=True)
class State:
    """A thread at one moment: the plan in force, the spans it shows, and the turns after it.

    `source(first, last)` reads turns that were sealed before; without it their pages can only stay as they are. `older` are
    such turns, oldest first: they can be drawn on new pages. `shown` has for each of them the tier at which it is shown and
    the one in whose type it is drawn, `worths` how much it and each fresh turn says among all of them (see `with_older`).
    """

    end: int
    anchor: int  # the newest user turn, 0 if there is none
    plan: Plan
    spans: tuple[Known, ...]
    fresh: tuple[StoredTurn, ...]
    reserved: int = 0
    now: datetime | None = None
    extra: int = 0  # tokens of turns recalled by themselves since the plan was made
    ladder: bool = True  # a span's tier may only fall; False for previews with another model or budget
    source: Callable[[int, int], Sequence[StoredTurn]] | None = field(default=None, repr=False, compare=False)
    older: tuple[StoredTurn, ...] = ()
    shown: Mapping[int, tuple[Tier, Tier]] = field(default_factory=dict)
    worths: Mapping[int, float] = field(default_factory=dict)
    apart: bool = False  # old turns of different tiers share no page, since at some tier their text goes (`retain`)

    @property
    def pending(self) -> bool:
        """Does the model owe an answer, so that the newest message and tool round may not yield?"""
        return bool(self.fresh) and (self.fresh[-1].role == "user" or self.fresh[-1].calls > 0)

    @property
    def bare(self) -> int:
        """The newest turn whose text is gone, so that it cannot be shown as text; 0 if there is none."""
        spans = (s.last for s in self.spans if s.purged)
        return max([0, *spans, *(t.number for t in self.fresh if t.purged)])

    def protected(self) -> set[int]:
        """Turns that never yield: the newest user message and the newest tool round of a run that goes on."""
        return {self.fresh[-1].number, self.anchor} - {0} if self.pending else set()


@dataclass(frozen=True, slots=True)
class Placed:
    """A span at the tier chosen for it."""

    span: Known
    tier: Tier
    tokens: int


def with_gaps(spans: Iterable[Known], through: int) -> list[Known]:
    """The spans, and before them or between them hidden ones for the turns up to `through` that are in none."""
    out: list[Known] = []
    at = 1
    for span in spans:
        if span.first > at and at <= through:
            out.append(Known(at, min(through, span.first - 1), 0, {}, "", (), "handle", hidden=True))
        out.append(span)
        at = span.last + 1
    if at <= through:
        out.append(Known(at, through, 0, {}, "", (), "handle", hidden=True))
    return out


def hours(since: datetime | None, now: datetime | None) -> float:
    """Hours between, never negative: a clock that jumped back makes nothing younger than it is."""
    return max(0.0, (now - since).total_seconds() / 3600) if since and now else 0.0


def recent(tokens: float, budget: int) -> float:
    """What age leaves of a weight: a power of the tokens since, as needs fall (Anderson and Schooler 1991); 0.9 a budget ago."""
    return float((1 + tokens / budget) ** -FORGETTING)


def importance_of(row: StoredTurn) -> float:
    """How much a turn matters: the host's weight, or what was found in its words."""
    return row.importance if row.weight is None else row.weight


def label(row: StoredTurn) -> str:
    """Number, speaker and date of a turn."""
    date = f", {row.created_at:%Y-%m-%d}" if row.created_at else ""
    return f"turn {row.number}, {row.name or row.role}{date}"


def copy_of(row: StoredTurn) -> str:
    """A turn word for word, as it is told beside pages."""
    return f"[{label(row)}] {row.text}"


def turn_to_draw(row: StoredTurn) -> TurnText:
    """What the renderer needs of a stored turn; where it says again what another said, a pointer to that one."""
    date = row.created_at.date().isoformat() if row.created_at else None
    return TurnText(row.number, row.role, _pointing(row) if row.duplicate_of else row.text, date, row.name)


def _pointing(row: StoredTurn) -> str:
    """A repeating turn's own words, which may differ where a tool said the same again, and the pointer in place of the rest."""
    own = row.text[: row.text.find(RESULT)] if RESULT in row.text else ""
    return min(row.text, f"{own}[the same as turn {row.duplicate_of}]", key=len)


def costs_of(known: Known, settings: Settings) -> dict[Tier, int]:
    """Tokens of the span at every tier that can be had and that is cheaper than the text."""
    if known.hidden:
        return {"handle": 0}
    costs: dict[Tier, int] = {} if known.purged else {"text": known.text}
    cheapest = math.inf if known.purged else known.text
    for tier in (*DRAWN, CARD) if known.purged else DRAWN:
        drawn = None if known.blocked else known.looks.get(tier)
        if drawn and (tokens := settings.drawn(drawn.sizes)) < cheapest:
            costs[tier] = cheapest = tokens
    if known.card and (tokens := settings.text(card_line(known.first, known.last, known.card))) < cheapest:
        costs["card"] = tokens
    return costs | {"handle": 0}
