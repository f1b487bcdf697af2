"""Old turns to spans: which turns share a page, and what each tier of it would cost.

A page holds whole neighbouring turns; only a step may lay them out anew (see `redraw`). Turns that must stay text
(instructions, pins, the anchor of a run) part the pages. A turn larger than a page becomes a span of its own with several
images.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from optical_memory.cost import Profile
from optical_memory.pages import ByText, Sheet, Style, TurnText, drawable, fitted, headlines, measure, scripts_at_hand
from optical_memory.planning.context import ranges
from optical_memory.planning.decay import Age
from optical_memory.planning.facts import exact_strings, rank
from optical_memory.planning.information import best, information
from optical_memory.planning.looks import Old, characters, faintest, looks
from optical_memory.planning.segments import STRINGS_PER_SPAN
from optical_memory.planning.spans import (
    Known,
    Look,
    Settings,
    State,
    StoredTurn,
    copy_of,
    hours,
    importance_of,
    recent,
    turn_to_draw,
)
from optical_memory.planning.strength import is_instruction
from optical_memory.planning.tiers import DRAWN, RANK, Tier, fainter

CARD_CHARS = (60, 160)  # a card's length: a twelfth of its span within these bounds
ORDERS = 0.1  # of the budget for old instructions as text; those beyond are drawn, and left out of a page last
DRAWN_ORDER = 3.0  # how much more than another turn such an instruction weighs
DRAWABLE = 0.98  # below this share of drawable characters a turn stays text
GONE: Tier = "handle"  # how a sealed turn is shown that its page leaves out
LEFT = (GONE, GONE)  # the same in `State.shown`


@dataclass(frozen=True, slots=True)
class Draft:
    """A span not yet stored: its turns, how each tier that can be drawn looks, and the turns told as text beside the page."""

    first: int
    last: int
    looks: Mapping[Tier, Look] = field(default_factory=dict)
    guard: int = 0
    told: tuple[int, ...] = ()
    tier: Tier = "text"  # the faintest at which one of its turns is shown until now


def seal(
    turns: Sequence[Old], profile: Profile, sheet: Sheet | None, tier_of: Callable[[int], Tier], *,
    growing: int | None = None, share: float = 1.0, apart: bool = False,
) -> list[Draft]:  # fmt: skip
    """Spans for these turns, in order and without gaps.

    `tier_of(number)` is the tier that a turn's age asks for: a page is filled at the tier at which it is first shown. Where a
    half-empty page costs as much, the newest may be left unsealed so that it grows: if all its turns come after `growing`.
    With a `share` below 1, only turns with that share of the characters are drawn, those that say most: so a page spans more.
    Where pages are drawn anew, turns of different tiers may share one, at the faintest of these, unless they are to be `apart`.
    """
    chosen = None if share >= 1 else _worthiest(turns, share)
    drafts: list[Draft] = []
    if not any(profile.readable(tier) for tier in DRAWN):
        sheet = None
    for run in _runs(turns, sheet is None or sheet.crop):
        if sheet is None or not any(t.drawable for t in run) or all(t.guard for t in run):
            drafts += [Draft(t.drawn.number, t.drawn.number, guard=t.guard, tier=t.shown) for t in run]
        else:
            drafts += _pages(run, profile, sheet, tier_of, chosen, apart)
    if growing is None or sheet is None or sheet.crop or not drafts:
        return drafts
    return drafts[:-1] if drafts[-1].looks and drafts[-1].first > growing else drafts


def _runs(turns: Sequence[Old], parted: bool) -> Iterator[list[Old]]:
    """Neighbours that may share a page. What must stay text parts them where pages are cropped; a page that costs the same
    half empty goes on, and such a turn is told as text beside it."""
    run: list[Old] = []
    for turn in turns:
        if run and _part(run[-1], parted) != _part(turn, parted):
            yield run
            run = []
        run.append(turn)
    if run:
        yield run


def _part(turn: Old, parted: bool) -> tuple[bool, bool]:
    return turn.guard > 2 or (parted and turn.guard > 0), turn.drawable or turn.shown == GONE


def _worthiest(turns: Sequence[Old], share: float) -> set[int]:
    """The numbers of the turns that a share of the characters that can be drawn is best spent on."""
    able = [t for t in turns if t.drawable and not t.guard and t.shown != GONE]
    kept = best([t.worth * t.weight for t in able], [len(t.drawn.text) for t in able], share * characters(able))
    return {t.drawn.number for i, t in enumerate(able) if i in kept}


def _pages(
    run: Sequence[Old], profile: Profile, sheet: Sheet, tier_of: Callable[[int], Tier], chosen: set[int] | None, apart: bool
) -> list[Draft]:  # fmt: skip
    """Pages of the chosen turns; a turn that is not drawn belongs to the page after it, at the end to the last."""
    able = [t for t in run if not t.guard and t.shown != GONE]
    chosen = {t.drawn.number for t in able if chosen is None or t.drawn.number in chosen}
    shown = [t for t in run if t.drawn.number in chosen]
    told = [t.drawn.number for t in run if t.guard]
    if not shown:
        return [Draft(run[0].drawn.number, run[-1].drawn.number, told=tuple(told), tier=faintest(t.shown for t in run))]
    drafts, at = [], 0
    alike = groupby(shown, lambda t: fainter(t.shown, "vivid") if apart else None)
    parts = [part for _, some in alike for part in _batches([t.drawn for t in some], profile, sheet, tier_of)]
    for index, part in enumerate(parts):
        last = run[-1].drawn.number if index == len(parts) - 1 else part[-1].number
        mine = [t for t in run[at:] if t.drawn.number <= last]
        at += len(mine)
        first = mine[0].drawn.number
        said = tuple(n for n in told if first <= n <= last)
        drafts.append(Draft(first, last, looks(profile, sheet, mine, chosen), told=said, tier=_tier(mine, chosen)))
    return drafts


def _tier(turns: Sequence[Old], chosen: set[int]) -> Tier:
    """The faintest tier at which a chosen turn is shown; not text where that would show another turn that is not text now."""
    top = faintest(t.shown for t in turns if t.drawn.number in chosen)
    return top if all(t.shown == "text" for t in turns if not t.guard) else fainter(top, "vivid")


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
        yield from _split(turns[start:end], style, sheet)
        start = end


def _style(profile: Profile, tier: Tier) -> Style:
    """The style of a tier; of the sharpest drawn one for text, of the faintest for cards and where the tier is not drawn."""
    drawn = [style for t in DRAWN if (style := profile.tiers.get(t)) is not None]
    return profile.tiers.get(tier) or drawn[0 if tier == "text" else -1]


def _split(turns: Sequence[TurnText], style: Style, sheet: Sheet) -> Iterator[list[TurnText]]:
    """Portions by what fits: pages that share a turn (one too large for a page) make one portion."""
    by_number = {t.number: t for t in turns}
    first = last = None
    for page_first, page_last, _, _ in measure(turns, fitted(style, [t.text for t in turns]), sheet):
        if first is not None and last is not None and page_first > last:
            yield [t for n, t in by_number.items() if first <= n <= last]
            first = None
        first = page_first if first is None else first
        last = page_last
    if first is not None and last is not None:
        yield [t for n, t in by_number.items() if first <= n <= last]


# --------------------------------------------------------------------------------------------- as planning needs them


def draft(
    state: State, settings: Settings, sheet: Sheet | None, through: int, limit: int, share: float = 1.0,
    fill: Tier = "vivid",
) -> list[Known]:  # fmt: skip
    """Spans for the fresh turns up to `through` that are in none yet; `limit` tokens are to be kept to (see `seal`).

    Pages are filled at the tier that a turn's age asks for, at `fill` at the sharpest.

    Turns whose text is gone, and whose page is not on this path, stand behind a handle.
    """
    free = unsealed(state, through)
    rows = [t for t in free if not t.purged]
    ages = _ages(state)
    standing = sum(s.text for s in state.spans if s.guard == 1 and s.tier == "text")
    olds = _orders(_olds(rows, state, settings, ages), ORDERS * settings.budget - standing)
    crowded = sum(settings.turn(t) for t in state.fresh) + state.plan.tokens > limit
    drafts: list[Draft] = []
    how = {old.drawn.number: (old.shown, old.type) for old in olds}

    def tier_of(number: int) -> Tier:
        due, (shown, drawn) = settings.allowed(ages[number]), how[number]
        return fainter(fill, drawn if RANK[due] <= RANK[shown] else fainter(due, drawn))

    for first, last in ranges(t.number for t in rows):
        run, growing = [o for o in olds if first <= o.drawn.number <= last], not crowded and last >= through
        drafts += seal(
            run, settings.profile, sheet, tier_of, growing=state.plan.through if growing else None, share=share,
            apart=state.apart,
        )  # fmt: skip
    bare = ranges(t.number for t in free if t.purged)
    hidden = [Known(first, last, 0, {}, "", (), "handle", hidden=True) for first, last in bare]
    numbers = [t.number for t in rows]
    parts = [slice(bisect_left(numbers, d.first), bisect_right(numbers, d.last)) for d in drafts]
    return hidden + [_known(d, rows[part], olds[part], settings) for d, part in zip(drafts, parts, strict=True)]


def unsealed(state: State, through: int) -> list[StoredTurn]:
    """Turns up to `through` that no span holds: after the last span, where a page was forgotten or is to be drawn anew."""
    rows = (*state.older, *state.fresh)
    oldest = rows[0].number if rows else 0
    held = {n for s in state.spans for n in range(max(oldest, s.first), s.last + 1)}
    return [t for t in rows if t.number <= through and t.number not in held]


def _again(old: Old, shown: Tier, drawn: Tier) -> Old:
    """A turn that is on a page, as it is shown: an instruction that is not told as text now is not told again."""
    return replace(old, shown=shown, type=drawn, guard=0 if old.guard == 1 and shown != "text" else old.guard)


def _orders(olds: Sequence[Old], room: float) -> list[Old]:
    """The same turns; of the instructions that were found by their words, the newest stay text, as many as there is room for."""
    out = []
    for old in reversed(olds):
        if old.guard == 1:
            room -= old.tokens
        out.append(replace(old, guard=0, weight=old.weight * DRAWN_ORDER) if old.guard == 1 and room < 0 else old)
    return out[::-1]


def olds_of(rows: Sequence[StoredTurn], settings: Settings) -> list[Old]:
    """Stored turns as sealing sees them by themselves: what they say weighed among each other, and of no age."""
    worths = worths_of(rows)
    return [_old(row, worths[row.number], None, settings, set()) for row in rows]


def _olds(rows: Sequence[StoredTurn], state: State, settings: Settings, ages: Mapping[int, Age]) -> list[Old]:
    """Turns as sealing sees them in a thread: weighed among all where that has been done, else among each other."""
    worths, protected = state.worths or worths_of(rows), state.protected()
    olds = [_old(row, worths[row.number], ages.get(row.number), settings, protected) for row in rows]
    return [_again(old, *state.shown[old.drawn.number]) if old.drawn.number in state.shown else old for old in olds]


def worths_of(rows: Sequence[StoredTurn]) -> dict[int, float]:
    """How much each of these turns says among them, by number."""
    told = information(tuple(turn_to_draw(row).text for row in rows))
    return {row.number: worth for row, worth in zip(rows, told, strict=True)}


def _ages(state: State) -> dict[int, Age]:
    """Ages of turns by number."""
    ages: dict[int, Age] = {}
    tokens = 0
    for row in reversed((*state.older, *state.fresh)):
        ages[row.number] = Age(state.end - row.number, tokens, hours(row.created_at or row.stored_at, state.now))
        tokens += row.tokens
    return ages


def _old(row: StoredTurn, worth: float, age: Age | None, settings: Settings, protected: set[int]) -> Old:
    guard = 3 if row.number in protected else 2 if row.pinned else int(is_instruction(row.role, row.text))
    weight = (1 + (row.weight or 0) + row.recalls) * (recent(age.tokens, settings.budget) if age else 1.0)
    return Old(turn_to_draw(row), row.tokens, guard, may_draw(row.text), worth, weight)


def may_draw(text: str) -> bool:
    """Is nearly all of it in scripts that the atlas or a font at hand draws? Else it stays text."""
    return _may_draw(text[:20_000])


@ByText
def _may_draw(text: str) -> bool:
    return drawable(text, "s") >= DRAWABLE


def undrawn(rows: Iterable[StoredTurn]) -> str:
    """In words, which of these turns stay text because no font at hand draws their script, and what to install."""
    numbers = [row.number for row in rows if not may_draw(row.text)]
    if not numbers:
        return ""
    told = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges(numbers))
    advice = "" if scripts_at_hand() else ': pip install "optical-memory[scripts]"'
    return f" No font here draws what is said in turns {told}, so they stay text{advice}."


def _known(draft: Draft, rows: Sequence[StoredTurn], olds: Sequence[Old], settings: Settings) -> Known:
    texts = [old.drawn for old in olds]
    chars = sum(row.chars for row in rows)
    low, high = CARD_CHARS
    strings = list(dict.fromkeys(string for row in rows for string in _strings_of(row.text)))
    return Known(
        draft.first, draft.last, sum(settings.turn(row) for row in rows), draft.looks,
        headlines(texts, min(high, max(low, chars // 12))), tuple(rank(strings)[:STRINGS_PER_SPAN]), draft.tier,
        importance=_mean_importance(rows), guard=draft.guard,
        recalls=max((r.recalls for r in rows), default=0), since=rows[-1].created_at or rows[-1].stored_at, chars=chars,
        raw=sum(row.tokens for row in rows), told=draft.told,
        pinned=tuple((row.number, copy_of(row)) for row in rows if row.number in draft.told),
        worth=round(sum(old.worth for old in olds), 2),
    )  # fmt: skip


@ByText
def _strings_of(text: str) -> tuple[str, ...]:
    """A turn's exact strings."""
    return tuple(exact_strings(text))


def _mean_importance(rows: Sequence[StoredTurn]) -> float:
    """Importance of a span: its turns' by their tokens. The strongest turn alone would make all long spans alike."""
    whole = sum(max(1, r.tokens) for r in rows)
    return sum(importance_of(r) * max(1, r.tokens) for r in rows) / whole
