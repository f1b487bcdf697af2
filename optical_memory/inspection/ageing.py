"""A span of turns as it is held, at every tier, and what it will be when so many more turns have come.

The answer is that of the schedule and the profit gate, at the pace of the thread's newest turns. The budget may lower a span
sooner, and changes come in steps: the pages that show these values say so. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import optical_memory.memory.pictures as pictures
from optical_memory.errors import HashMismatchError
from optical_memory.memory.state import held as held_page
from optical_memory.memory.state import plan_key
from optical_memory.pages import Sheet, TurnText, fitted, headlines, measure
from optical_memory.planning.context import READABLE, Span, card_line, choices, handle_line
from optical_memory.planning.decay import Age, DecaySchedule
from optical_memory.planning.looks import sheet_for
from optical_memory.planning.seal import CARD_CHARS, may_draw
from optical_memory.planning.spans import Known, Look, Settings, costs_of, hours, importance_of, turn_to_draw
from optical_memory.planning.strength import is_instruction
from optical_memory.planning.tiers import DRAWN, RANK, TIERS, Tier, fainter

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory
    from optical_memory.storage import Path, Reader, TurnRow

RECENT = 50  # turns from which the thread's pace is taken


@dataclass(frozen=True, slots=True)
class Held:
    """The span that holds a turn: a sealed page (`page` is its number) or, not sealed yet, the turn alone.

    `age` is its age now; `pace` what one more turn adds to it.
    """

    known: Known
    rows: tuple[TurnRow, ...]
    page: int | None
    length: int
    age: Age
    pace: Age

    @property
    def tier(self) -> Tier:
        """How it is shown now."""
        return self.known.tier

    def later(self, turns: int) -> Age:
        """Its age when so many more turns have come."""
        p = self.pace
        return Age(self.age.turns + turns, self.age.tokens + turns * p.tokens, self.age.hours + turns * p.hours)


def held(memory: OpticalMemory, thread: str, number: int, now: datetime) -> Held | None:
    """The span that holds turn `number`; None if the thread has no such turn. The thread must exist."""
    settings = memory.settings()
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        if row is None or not 1 <= number <= row.length:
            return None
        found = held_page(reader, path, number, settings)
        page, known = (found[0].number, found[1]) if found else (None, None)
        first, last = (known.first, known.last) if known else (number, number)
        rows = tuple(reader.turns(path, first, last))
        known = _strengthened(reader, path, known or _alone(rows[0], settings), rows, settings)
        pace = _pace(reader.turns(path, limit=RECENT, newest=True))
        after = _tokens_after(reader, path, last, settings)
    age = Age(row.length - last, after, hours(known.since, now))
    return Held(known, rows, page, row.length, age, pace)


def _alone(row: TurnRow, settings: Settings) -> Known:
    """A turn that no page holds yet, as if it had a page of its own."""
    sheet = sheet_for(settings.profile, settings.budget)
    drawn = turn_to_draw(row)
    low, high = CARD_CHARS
    return Known(
        row.number, row.number, settings.turn(row), _looks(drawn, sheet, settings) if sheet else {},
        headlines([drawn], min(high, max(low, row.chars // 12))), (),
        importance=importance_of(row), guard=int(is_instruction(row.role, row.text)),
        since=row.created_at or row.stored_at, chars=row.chars, raw=row.tokens,
    )  # fmt: skip


def _looks(turn: TurnText, sheet: Sheet, settings: Settings) -> dict[Tier, Look]:
    """A single turn at every tier that this model reads."""
    seen = settings.profile.vision and may_draw(turn.text)
    styles = {
        tier: fitted(style, [turn.text]) for tier in DRAWN if seen and (style := settings.profile.tiers.get(tier))
    }
    return {
        tier: Look(style, sheet, tuple((width, height) for _, _, width, height in measure([turn], style, sheet)))
        for tier, style in styles.items()
    }


def _strengthened(reader: Reader, path: Path, known: Known, rows: Sequence[TurnRow], settings: Settings) -> Known:
    """With the pins and recalls of its turns as they are now."""
    standing = reader.plan(path, plan_key(settings))
    since = standing.head if standing else 0
    return replace(
        known,
        recalls=max((r.recalls for r in rows), default=0),
        recalled=any(r.recalls > 0 and (r.recalled_at or 0) >= since for r in rows),
        pinned=tuple((r.number, r.text) for r in rows if r.pinned),
    )


def _pace(newest: Sequence[TurnRow]) -> Age:
    """Raw tokens and hours that a turn of this thread takes on average."""
    if not newest:
        return Age(1, 0, 0)
    times = [r.created_at for r in newest if r.created_at]
    spent = hours(times[0], times[-1]) / (len(times) - 1) if len(times) > 1 else 0.0
    return Age(1, sum(r.tokens for r in newest) / len(newest), spent)


def _tokens_after(reader: Reader, path: Path, last: int, settings: Settings) -> int:
    """Raw tokens that came after a turn; summed only where the schedule asks, since a thread may be very long."""
    schedule = settings.schedule
    if isinstance(schedule, DecaySchedule) and all(stair.unit != "tokens" for stair in schedule.stairs):
        return reader.turn_stats(path, max(last + 1, path[-1].last - 5_000)).tokens
    return reader.turn_stats(path, last + 1).tokens


# --------------------------------------------------------------------------------------------- the tier to come


def tier_in(span: Held, turns: int, settings: Settings) -> tuple[Tier, str]:
    """The tier that the span will have in so many turns, and why in words; 0 is how it is shown now."""
    if turns == 0:
        return span.tier, "as it is shown now"
    age, known = span.later(turns), span.known
    if any(number == known.first == known.last for number, _ in known.pinned):
        return "text", "it is pinned: it stays text, however old it grows"
    if known.guard > 0 and known.tier == "text":
        return "text", "it is an instruction: it stays text as long as there is room"
    if span.page is None and _within_keep(age, settings):
        return "text", "it is still among the newest turns, which stay text"
    wanted = settings.due(known, age)
    most = fainter(wanted, known.tier) if span.page is not None and not known.recalled else wanted
    got = choices(_as_span(known, most, settings))[0]
    return got, _why(got, wanted, most, span, settings)


def _as_span(known: Known, most: Tier, settings: Settings) -> Span:
    return Span(known.first, known.last, known.tier, most, costs_of(known, settings), known.raw or 1)


def _within_keep(age: Age, settings: Settings) -> bool:
    unit, amount = settings.keep
    return (age.turns if unit == "turns" else age.tokens) < amount


def _why(got: Tier, wanted: Tier, most: Tier, span: Held, settings: Settings) -> str:
    if got == "text" and most != "text":
        return _undrawn(span, settings) or "no picture of it is cheaper than the text"
    if got == wanted:
        return f"the schedule asks for {wanted} at that age"
    if RANK[most] > RANK[wanted]:
        return f"the budget has already lowered it to {span.tier}"
    return f"the schedule asks for {wanted}, and {got} is the nearest that this model reads and that saves tokens"


def _undrawn(span: Held, settings: Settings) -> str | None:
    """Why the span has no picture at any tier, whatever it would cost; None where it could have one."""
    if not settings.profile.vision:
        return "this model cannot see images"
    if not all(may_draw(row.text) for row in span.rows):
        return "no font here draws its script, so it stays text"
    return None


# --------------------------------------------------------------------------------------------- how it looks


def at_tier(span: Held, tier: Tier, settings: Settings) -> dict[str, Any]:
    """The span at a tier: tokens, the share of its turns that stays readable, sizes in pixels, or the words that are left."""
    known = span.known
    look = known.looks.get(tier)
    return {
        "tier": tier,
        "available": look is not None or not (tier in DRAWN or (known.purged and tier != "handle")),
        "why_not": "its text was let go: only the picture is left"
        if known.purged
        else _why_not(tier, look, span, settings),
        "tokens": _tokens(known, tier, look, settings),
        "readable": round(settings.readable(known).get(tier, 0.0), 4),
        "exact_strings_safe": tier == "text" or (look is not None and not look.left and settings.exact(look.style)),
        "left_out": [list(turns) for turns in look.left] if look else [],
        "sizes": [list(size) for size in look.sizes] if look else [],
        "type": look.style.key if look else None,
        "words": left_in_words(known, tier),
    }


def shares(settings: Settings) -> dict[str, float]:
    """Share of the turns that this model can still read, by tier."""
    return {**READABLE, **settings.profile.shares}


def left_in_words(known: Known, tier: Tier) -> str | None:
    """What is left of the span where it is neither text nor picture: its headline, or the handle's line."""
    if tier == "card" and not known.purged:
        return card_line(known.first, known.last, known.card) if known.card else None
    return handle_line(known.first, known.last) if tier == "handle" else None


def _tokens(known: Known, tier: Tier, look: Look | None, settings: Settings) -> int | None:
    if tier == "text":
        return known.text
    if tier in DRAWN or (known.purged and tier != "handle"):
        return settings.drawn(look.sizes) if look else None
    return settings.text(left_in_words(known, tier) or "")


def _why_not(tier: Tier, look: Look | None, span: Held, settings: Settings) -> str | None:
    if tier not in DRAWN or look is not None:
        return None
    if found := _undrawn(span, settings):
        return found
    if settings.profile.tiers.get(tier) is None:
        return "nobody has published that this model reads type of this size"
    return "the page has no such look"


def all_tiers(span: Held, settings: Settings) -> list[dict[str, Any]]:
    """The span at every tier, from the sharpest to the faintest."""
    return [at_tier(span, tier, settings) for tier in TIERS]


def images(memory: OpticalMemory, thread: str, span: Held, tier: Tier) -> tuple[bytes, ...]:
    """The span's images at a drawn tier: the stored ones, else drawn now from the text."""
    look = span.known.looks.get(tier)
    if look is None:
        return ()
    if span.known.purged and span.known.page is not None:
        with memory.store.read() as reader:
            row = reader.thread(thread)
            return pictures.of_page(reader, reader.path(row) if row else (), span.known.page, span.known, look)
    stored = _stored(memory, span.known.page, look) if span.known.page is not None else None
    return stored or pictures.draw(pictures.texts(span.rows, span.known), look, check=False)


def _stored(memory: OpticalMemory, page: int, look: Look) -> tuple[bytes, ...] | None:
    """The images that the store has; none where they are damaged, so that they are drawn again."""
    try:
        with memory.store.read() as reader:
            return pictures.stored_one(reader, page, look.name)
    except HashMismatchError:
        return None


def report(span: Held, settings: Settings, tier: Tier, turns: int, why: str) -> dict[str, Any]:
    """What is to be said about the span, at a tier, in so many turns."""
    known = span.known
    chosen: Mapping[str, Any] = at_tier(span, tier, settings)
    return {
        "page": span.page,
        "turns": [known.first, known.last],
        "tier_now": span.tier,
        "in_turns": turns,
        "age_turns": round(span.later(turns).turns),
        "why": why,
        "text_tokens": known.text,
        "pace": {"tokens_per_turn": round(span.pace.tokens), "hours_per_turn": round(span.pace.hours, 3)},
        "shown": dict(chosen),
        "tiers": all_tiers(span, settings),
    }


__all__ = ["Held", "all_tiers", "at_tier", "held", "images", "left_in_words", "report", "shares", "tier_in"]
