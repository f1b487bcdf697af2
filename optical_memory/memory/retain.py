"""Retention: where a memory is to fade for good, the text of a page goes and its stored picture is the record.

A page whose tier has fallen to the chosen one or below is drawn once more from its text: at the chosen tier, and its headline
as a picture. Then text, index, embeddings, headline and exact strings go, in one transaction with the pictures that stay.
Fainter pictures are made of the kept one, each time in one step. Pinned turns and instructions keep their text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

import optical_memory.memory.applying as applying
from optical_memory.config import MemoryConfig
from optical_memory.cost import Profile
from optical_memory.errors import BudgetError
from optical_memory.memory.applying import Fading
from optical_memory.memory.pictures import Picture, PNGs, draw
from optical_memory.memory.state import in_force, load, picture_json, tiers_of
from optical_memory.pages import Sheet, Style, TurnText, fitted, measure
from optical_memory.planning.context import READABLE, Plan, card_line
from optical_memory.planning.looks import sheet_for, smaller
from optical_memory.planning.propose import propose
from optical_memory.planning.seal import may_draw
from optical_memory.planning.spans import Known, Look, Settings, State, turn_to_draw
from optical_memory.planning.tiers import CARD, DRAWN, RANK, Tier
from optical_memory.storage import PageRow, Path, Reader, Store, ThreadRow, TurnRow

log = logging.getLogger("optical_memory")

ROUNDS = 4  # a plan without the texts may lower other pages to the tier: these follow at once
RESAMPLED = 0.7  # of what is readable when drawn from text: a vision model on pages made smaller (prose 0.49 to 0.68)
HELD_CARD = READABLE[CARD]


def sweep(
    store: Store, row: ThreadRow, path: Path, settings: Settings, retain: str, reserved: int, now: datetime
) -> int:  # fmt: skip
    """Take the text of every page away that has fallen to the tier `retain`; how many turns lost it."""
    gone = 0
    for _ in range(ROUNDS):
        with store.read() as reader:
            current = reader.thread(row.key)
            if current is None or (current.branch_id, current.length) != (row.branch_id, row.length):
                return gone
            state, standing = load(reader, path, settings, reserved, now, True)
            fading = _due(reader, path, state, settings, retain) if standing is not None else []
        if not fading or not _fade(store, current, path, state, settings, fading, now):
            return gone
        gone += sum(len(due.going) for due in fading)
    return gone


def _fade(
    store: Store, row: ThreadRow, path: Path, state: State, settings: Settings, due: Sequence[Due], now: datetime
) -> bool:  # fmt: skip
    """Draw what is to stay, plan without the texts, and store both; False if that could not be done now."""
    fading = [_fading(one, settings) for one in due]
    spans = {f.span.first: f.span for f in fading}
    left = replace(state, spans=tuple(spans.get(s.first, s) if not s.hidden else s for s in state.spans))
    try:
        proposal = propose(left, settings)
    except BudgetError as error:
        log.warning("thread %r keeps the text of %d pages for now: %s", row.key, len(fading), error)
        return False
    images = applying.render(store, path, left, proposal, fading)
    return (
        applying.store_proposal(store, row, path, left, settings, proposal, images, "retain", now, fading) is not None
    )


# --------------------------------------------------------------------------------------------- which


@dataclass(frozen=True, slots=True)
class Due:
    """A page whose text is to go: its turns, its span as it is known, and the tier of the picture that stays."""

    page: PageRow
    span: Known
    rows: tuple[TurnRow, ...]
    tier: Tier

    @property
    def going(self) -> list[TurnRow]:
        """The turns whose text goes: not those that stay told beside the picture, nor what is forgotten already."""
        return [row for row in self.rows if row.role != "forgotten" and row.number not in self.span.told]


def _due(reader: Reader, path: Path, state: State, settings: Settings, retain: str) -> list[Due]:
    """The pages that have fallen to the tier or below, still have their text, and can be drawn."""
    kept = record_tier(settings.profile, retain)
    if kept is None or sheet_for(settings.profile, settings.budget) is None:
        return []
    known = {s.page: s for s in state.spans if s.page is not None}
    fallen = [
        (page, known.get(page.id) or _behind(page))
        for page, tier in tiers_of(in_force(reader.pages(path), state.plan), state.plan)
        if not page.purged and RANK[tier] >= RANK[retain]
    ]
    found = (
        Due(
            page, span, tuple(reader.turns(path, page.first, page.last)), CARD if retain == CARD and span.card else kept
        )
        for page, span in fallen
    )
    return [due for due in found if _may_go(due.rows)]


def _behind(page: PageRow) -> Known:
    """A page behind the handle, as far as it matters here."""
    facts = page.facts or {}
    told = tuple(facts.get("told", ()))
    return Known(
        page.first, page.last, 0, {}, page.card or "", (), "handle", page.id, float(facts.get("importance", 0)),
        chars=page.chars, raw=page.tokens, worth=float(facts.get("worth", 0)), told=told,
    )  # fmt: skip


def _may_go(rows: Sequence[TurnRow]) -> bool:
    """Can all of it be drawn, and is nothing pinned? What is forgotten is gone already."""
    if any(t.pinned or t.open for t in rows) or all(t.role == "forgotten" for t in rows):
        return False
    return all(may_draw(t.text) for t in rows)


def record_tier(profile: Profile, retain: str) -> Tier | None:
    """The tier of the picture of a page that stays: `retain`, or the nearest that this model reads, a sharper one if need be.

    None where the model reads no picture: there, nothing can stand in for the text.
    """
    drawn = [t for t in DRAWN if profile.tiers.get(t) is not None] if profile.vision else []
    fainter = [t for t in drawn if RANK[t] >= RANK[retain]]
    return next(iter(fainter), drawn[-1] if drawn else None)


# --------------------------------------------------------------------------------------------- what stays


def _fading(due: Due, settings: Settings) -> Fading:
    """The page with the pictures that stay of it: of all its turns, of its headline, or of that alone."""
    images: dict[str, PNGs] = {}
    looks: dict[Tier, Picture] = {}
    if due.tier != CARD:
        # a repetition is drawn whole: around what it repeats it may have words of its own
        turns = [turn_to_draw(replace(row, duplicate_of=None)) for row in due.rows if row.role != "forgotten"]
        record = _drawn(turns, settings, due.tier, 1.0)
        images[record.name] = draw(turns, record)
        looks = {due.tier: record} | _smaller(record, due.tier, settings)
    if due.span.card:
        card = [TurnText(due.page.first, due.rows[0].role, card_line(due.page.first, due.page.last, due.span.card))]
        looks[CARD] = _drawn(card, settings, _sharpest(settings.profile), HELD_CARD, "card ")
        images[looks[CARD].name] = draw(card, looks[CARD])
    since = due.span.since or due.rows[-1].created_at or due.rows[-1].stored_at
    facts = {
        "pictures": {tier: picture_json(look) for tier, look in looks.items()}, "record": due.tier,
        "importance": due.span.importance, "worth": due.span.worth, "told": list(due.span.told),
        "since": since.isoformat(),
    }  # fmt: skip
    span = replace(
        due.span, looks=looks, card="", strings=(), text=0, guard=0, since=since, pinned=due.span.pinned, purged=True
    )
    return Fading(due.page, span, images, facts)


def _sharpest(profile: Profile) -> Tier:
    return next(t for t in DRAWN if profile.tiers.get(t) is not None)


def _drawn(turns: Sequence[TurnText], settings: Settings, tier: Tier, held: float, kind: str = "") -> Picture:
    """All of these turns at a tier, at the cheapest geometry."""
    profile, style = settings.profile, settings.profile.tiers[tier]
    sheet = sheet_for(profile, settings.budget)
    assert style is not None
    assert sheet is not None
    options = [_measured(turns, style, one) for one in smaller(profile, sheet)]
    best = min(options, key=lambda look: settings.drawn(look.sizes))
    return Picture(best.style, best.sheet, best.sizes, held=held, stored=kind + best.name)


def _measured(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> Look:
    style = fitted(style.plain, [t.text for t in turns])
    return Look(style, sheet, tuple((w, h) for _, _, w, h in measure(turns, style, sheet)))


def _smaller(record: Picture, tier: Tier, settings: Settings) -> dict[Tier, Picture]:
    """The fainter tiers, made of the picture that stays, where that costs less."""
    found: dict[Tier, Picture] = {}
    cheapest = settings.drawn(record.sizes)
    for lower in DRAWN[DRAWN.index(tier) + 1 :]:
        style = settings.profile.tiers.get(lower)
        sizes = tuple(_reduced(size, record, style) for size in record.sizes) if style else ()
        if style and not any(settings.profile.shrinks(*size) for size in sizes) and settings.drawn(sizes) < cheapest:
            cheapest = settings.drawn(sizes)
            name = f"{style.key}<{record.name}"
            found[lower] = Picture(style, record.sheet, sizes, held=RESAMPLED, stored=name, origin=record.name)
    return found


def _reduced(size: tuple[int, int], record: Picture, style: Style) -> tuple[int, int]:
    """As much smaller as the type of the tier is, on the grid by which the provider counts."""
    factor = style.size / record.style.plain.size
    step = record.sheet.step if record.sheet.crop else 1
    width, height = (max(step, step * ceil(side * factor / step - 0.25)) for side in size)
    return min(size[0], width), min(size[1], height)


# --------------------------------------------------------------------------------------------- in words


def told(row: TurnRow, page: PageRow | None, shown: str) -> str:
    """What is said in place of a turn's text where only its picture is left."""
    if page is None:
        return (
            "[Only a picture of this turn was kept, and it shows turns that are not on this branch. Its text is gone.]"
        )
    which = f"turn {page.first}" if page.first == page.last else f"turns {page.first}-{page.last}"
    now = "It is not in front of you now" if shown == "handle" else f"It is shown as {shown!r} now"
    return (
        f"[Only a picture of turn {row.number} is left: page {page.number}, {which}, kept as {page.facts['record']!r}. {now}. "
        f"Its text was removed when it faded, as this memory was set up to do, and cannot be called back.]"
    )


def summary(reader: Reader, path: Path, plan: Plan, profile: Profile, config: MemoryConfig) -> str:
    """What `explain` says about retention, after a blank; empty where all text is kept."""
    retain, pages = config.retain, in_force(reader.pages(path), plan)
    gone = reader.without_text(path) if any(page.purged for page in pages) else 0
    said = [f"Of {gone} turns only pictures are left; their text is gone for good."] if gone else []
    if retain != "forever":
        said.append(f"Turns that fall to {retain!r} lose their text, and their picture is kept (retain={retain!r}).")
        waiting = sum(1 for page, tier in tiers_of(pages, plan) if not page.purged and RANK[tier] >= RANK[retain])
        if config.mode == "observe":
            said.append("As long as mode='observe', none does.")
        elif record_tier(profile, retain) is None:
            said.append("This model reads no pages, so no text goes.")
        elif waiting:
            said.append(
                f"Pages that have fallen but keep their text, since a turn of them is pinned or cannot be drawn: {waiting}."
            )
    return "".join(f" {sentence}" for sentence in said)
