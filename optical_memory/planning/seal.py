"""Old turns to spans: which turns share a page, and what each tier of it would cost.

A page holds whole neighbouring turns and never reflows afterwards. Turns that must stay text (instructions, pins, the
anchor of a run) part the pages. A turn larger than a page becomes a span of its own with several images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optical_memory.cost import Profile
from optical_memory.pages import Sheet, Style, TurnText, drawable, headlines, measure
from optical_memory.planning.decay import Age
from optical_memory.planning.facts import exact_strings, rank
from optical_memory.planning.segments import STRINGS_PER_SPAN
from optical_memory.planning.spans import Known, Look, Settings, State, StoredTurn, hours, turn_to_draw
from optical_memory.planning.strength import is_instruction, strength
from optical_memory.planning.tiers import DRAWN, Tier

PAGE_SHARE = 16  # a page costs at most about this part of the budget, so that a step is never a jump
SMALLEST = 150  # tokens: a page is not made smaller than this for the sake of PAGE_SHARE
CARD_CHARS = (60, 160)  # a card's length: a twelfth of its span within these bounds
DRAWABLE = 0.98  # below this share of drawable characters a turn stays text


@dataclass(frozen=True, slots=True)
class Old:
    """A turn that may be sealed: what is drawn of it, its raw text tokens, and whether it must stay text (see Span.guard)."""

    drawn: TurnText
    tokens: int
    guard: int = 0
    drawable: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """A span not yet stored: its turns and how each tier that can be drawn looks."""

    first: int
    last: int
    looks: Mapping[Tier, Look] = field(default_factory=dict)
    guard: int = 0


def sheet_for(profile: Profile, budget: int) -> Sheet | None:
    """The page geometry for a budget in tokens: about a sixteenth of it, or the most pixels per token below a quarter."""
    if not profile.vision or not profile.sheet_steps:
        return None
    widest = profile.sheet_steps[-1]
    if widest.crop:
        return _cropped(profile, widest, max(budget // PAGE_SHARE, SMALLEST))
    for share in (PAGE_SHARE, 4, 1):
        fitting = [s for s in profile.sheet_steps if profile.image(s.width, s.height) <= budget // share]
        if fitting:
            return max(fitting, key=lambda s: (s.width * s.height / profile.image(s.width, s.height), s.height))
    return None


def _cropped(profile: Profile, sheet: Sheet, most: int) -> Sheet:
    height = sheet.height
    while height > sheet.step and profile.image(sheet.width, height) > most:
        height -= sheet.step
    return replace(sheet, height=height)


def smaller(profile: Profile, sheet: Sheet) -> list[Sheet]:
    """The geometries that a lower tier of a page may have, smallest first: only whole-page sheets come in steps."""
    if sheet.crop:
        return [sheet]
    return [s for s in profile.sheet_steps if s.width * s.height <= sheet.width * sheet.height]


def looks(profile: Profile, sheet: Sheet, turns: Sequence[TurnText]) -> dict[Tier, Look]:
    """How these turns would be drawn at each tier that the model reads, at the cheapest geometry."""
    found: dict[Tier, Look] = {}
    for tier in DRAWN:
        style = profile.tiers.get(tier)
        if style is not None:
            options = [_measured(turns, style, s) for s in smaller(profile, sheet)]
            found[tier] = min(options, key=lambda o: sum(profile.image(*size) for size in o.sizes))
    return found


def _measured(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> Look:
    return Look(style, sheet, tuple((w, h) for _, _, w, h in measure(turns, style, sheet)))


def seal(
    turns: Sequence[Old], profile: Profile, sheet: Sheet | None, tier_of: Callable[[int], Tier], *, partial: bool = True
) -> list[Draft]:
    """Spans for these turns, in order and without gaps.

    `tier_of(number)` is the tier that a turn's age asks for: a page is filled at the tier at which it is first shown. With
    `partial=False` the last page is left unsealed while it is not full (where a half-empty page costs as much).
    """
    drafts: list[Draft] = []
    for guard, run in _runs(turns, sheet is not None):
        if guard or sheet is None or not run[0].drawable:
            drafts += [Draft(t.drawn.number, t.drawn.number, guard=t.guard) for t in run]
        else:
            drafts += _pages([t.drawn for t in run], profile, sheet, tier_of)
    if not partial and drafts and sheet is not None and not sheet.crop:
        return drafts[: _full(drafts)]
    return drafts


def _full(drafts: Sequence[Draft]) -> int:
    """How many drafts to keep so that the newest page, which may still grow, is not among them."""
    last = max((i for i, d in enumerate(drafts) if d.looks), default=-1)
    return last if last == len(drafts) - 1 else len(drafts)


def _runs(turns: Sequence[Old], pages: bool) -> Iterator[tuple[bool, list[Old]]]:
    run: list[Old] = []
    for turn in turns:
        if run and (bool(run[0].guard), run[0].drawable) != (bool(turn.guard), turn.drawable):
            yield bool(run[0].guard), run
            run = []
        run.append(turn)
    if run:
        yield bool(run[0].guard), run


def _pages(turns: Sequence[TurnText], profile: Profile, sheet: Sheet, tier_of: Callable[[int], Tier]) -> list[Draft]:
    parts = _batches(turns, profile, sheet, tier_of)
    return [Draft(part[0].number, part[-1].number, looks(profile, sheet, part)) for part in parts]


def _batches(
    turns: Sequence[TurnText], profile: Profile, sheet: Sheet, tier_of: Callable[[int], Tier]
) -> Iterator[list[TurnText]]:
    """The turns in portions of a page each, as full as the tier at which they are first shown allows."""
    start = 0
    while start < len(turns):
        style = _style(profile, tier_of(turns[start].number))
        end = start
        while end < len(turns) and _style(profile, tier_of(turns[end].number)) == style:
            end += 1
        if style is None:
            style = next(s for s in profile.tiers.values() if s is not None)
        yield from _split(turns[start:end], style, sheet)
        start = end


def _style(profile: Profile, tier: Tier) -> Style | None:
    """The style of a tier; of the sharpest drawn one for text, of the faintest for cards and where the tier is not drawn."""
    drawn = [profile.tiers[t] for t in DRAWN if profile.tiers.get(t) is not None]
    wanted = profile.tiers.get(tier)
    return wanted or (drawn[0 if tier == "text" else -1] if drawn else None)


def _split(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> Iterator[list[TurnText]]:
    """Portions by what fits: pages that share a turn (one too large for a page) make one portion."""
    by_number = {t.number: t for t in turns}
    first = last = None
    for page_first, page_last, _, _ in measure(turns, style, sheet):
        if first is not None and last is not None and page_first > last:
            yield [by_number[n] for n in range(first, last + 1)]
            first = None
        first = page_first if first is None else first
        last = page_last
    if first is not None and last is not None:
        yield [by_number[n] for n in range(first, last + 1)]


# --------------------------------------------------------------------------------------------- as planning needs them


def draft(state: State, settings: Settings, sheet: Sheet | None, through: int, limit: int) -> list[Known]:
    """Spans for the fresh turns up to `through` that are in none yet; `limit` tokens are to be kept to."""
    sealed = state.spans[-1].last if state.spans else 0
    rows = [t for t in state.fresh if sealed < t.number <= through]
    protected = state.protected()
    olds = [_old(row, settings, protected) for row in rows]
    by_number = {row.number: row for row in rows}
    crowded = sum(settings.turn(t) for t in state.fresh) + state.plan.tokens > limit
    ages = _ages(state)
    drafts = seal(olds, settings.profile, sheet, lambda n: settings.schedule(ages[n]), partial=crowded)
    return [_known(d, [by_number[n] for n in range(d.first, d.last + 1)], settings) for d in drafts]


def _ages(state: State) -> dict[int, Age]:
    """Ages of fresh turns by number."""
    ages: dict[int, Age] = {}
    tokens = 0
    for row in reversed(state.fresh):
        ages[row.number] = Age(state.end - row.number, tokens, hours(row.created_at, state.now))
        tokens += row.tokens
    return ages


def _old(row: StoredTurn, settings: Settings, protected: set[int]) -> Old:
    guard = 3 if row.number in protected else 2 if row.pinned else int(is_instruction(row.role, row.text))
    return Old(turn_to_draw(row), row.tokens, guard, drawable(row.text[:20_000]) >= DRAWABLE)


def _known(draft: Draft, rows: Sequence[StoredTurn], settings: Settings) -> Known:
    texts = [turn_to_draw(row) for row in rows]
    chars = sum(row.chars for row in rows)
    low, high = CARD_CHARS
    strings = exact_strings("\n".join(row.text for row in rows))
    return Known(
        draft.first, draft.last, sum(settings.turn(row) for row in rows), draft.looks,
        headlines(texts, min(high, max(low, chars // 12))), tuple(rank(strings)[:STRINGS_PER_SPAN]),
        importance=_mean_strength(rows), guard=draft.guard,
        recalls=max((r.recalls for r in rows), default=0), since=rows[-1].created_at or rows[-1].stored_at, chars=chars,
        raw=sum(row.tokens for row in rows),
    )  # fmt: skip


def _mean_strength(rows: Sequence[StoredTurn]) -> float:
    """Strength of a span: its turns' by their tokens. The strongest turn alone would make all long spans alike."""
    whole = sum(max(1, r.tokens) for r in rows)
    return sum(strength(r.importance, r.recalls, r.weight) * max(1, r.tokens) for r in rows) / whole
