"""Pages drawn anew: when a step is taken anyway, old pages may make room by becoming fewer, fuller ones.

A page holds what its own moment allowed. In a thread that grows, pages of many moments stand side by side: some with every
turn, some with few, some half empty, and the oldest would have to go whole. So the turns that are still shown on them are laid
out once more, together with the new ones: those that say most, in type that is no sharper than before. A turn that was left
out stays left out, and what has no text any more stays the picture that it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from optical_memory.cost import Profile
from optical_memory.planning.seal import LEFT, worths_of
from optical_memory.planning.spans import Known, Look, Placed, Settings, State, costs_of
from optical_memory.planning.tiers import DRAWN, RANK, Tier

SAME = 0.005  # of a span's readable share: less is not worth a line in the log
REACH = 3_000  # turns back that pages are drawn anew: reading and weighing more takes time, and hardly one is shown


def with_older(state: State, profile: Profile) -> State:
    """The state with the turns of its pages, read from its source; every page weighed by the same measure as the new ones.

    The same state where there is no source, or nothing to draw anew.
    """
    oldest = state.plan.through - REACH
    pages = [s for s in state.spans if s.first > oldest and _movable(s, state)]
    if state.source is None or not pages:
        return state
    older = tuple(state.source(pages[0].first, state.plan.through))
    if [t.number for t in older] != list(range(pages[0].first, state.plan.through + 1)):
        return state  # the thread has changed meanwhile
    shown = dict.fromkeys((t.number for t in older), LEFT)
    shown |= {number: how for span in pages for number, how in _shown(span, profile)}
    worths = worths_of([t for t in (*older, *state.fresh) if not t.purged])
    spans = tuple(_weighed(s, worths) for s in state.spans)
    return replace(state, spans=spans, older=older, shown=shown, worths=worths)


def layouts(state: State) -> Iterator[State]:
    """The thread with its pages as they are, and where their turns can be read, as if these were not on pages yet."""
    yield state
    if state.older:
        oldest = state.older[0].number
        yield replace(state, spans=tuple(s for s in state.spans if s.first < oldest or not _movable(s, state)))


def with_stored(placed: Iterable[Placed], spans: Iterable[Known]) -> tuple[Placed, ...]:
    """What is placed, with the stored page in the place of a new one that would show just the same."""
    stored = {(s.first, s.last): s for s in spans if s.page is not None}
    return tuple(_stored(p, stored.get((p.span.first, p.span.last))) for p in placed)


def _stored(new: Placed, old: Known | None) -> Placed:
    """What is placed, or the page that there is if it shows the same."""
    if old is None or new.span.page is not None or old.tier != new.tier:
        return new
    before, after = old.looks.get(old.tier), new.span.looks.get(new.tier)
    equal = before == after if before is None or after is None else before.name == after.name
    return replace(new, span=old) if equal and old.guard == new.span.guard and old.told == new.span.told else new


def _movable(span: Known, state: State) -> bool:
    """May the span's turns be put on other pages? Not where the text is gone, nor what was recalled since the last step."""
    sealed = span.page is not None and span.last <= state.plan.through
    if not sealed or span.purged or span.hidden or span.recalled:
        return False
    return span.tier in DRAWN or (span.tier == "text" and span.guard in (0, 1))


def _shown(span: Known, profile: Profile) -> Iterable[tuple[int, tuple[Tier, Tier]]]:
    """The turns of a span that are shown, at which tier, and in the type of which."""
    look = span.looks.get(span.tier)
    told = {n for n, _ in span.pinned}
    left = {n for first, last in (look.left if look else ()) for n in range(first, last + 1)}
    how = span.tier, _type(look, profile) if look else span.tier
    for number in range(span.first, span.last + 1):
        if number in told:
            yield number, ("text", "text")
        elif number not in left:
            yield number, how


def _type(look: Look, profile: Profile) -> Tier:
    """The sharpest tier that has the type of a look; the faintest where none has."""
    return next((t for t in DRAWN if profile.tiers.get(t) == look.style.plain), DRAWN[-1])


def _weighed(span: Known, worths: Mapping[int, float]) -> Known:
    """The span with what its turns say by these worths; the same where one of them is not among these."""
    numbers = range(span.first, span.last + 1)
    if span.hidden or span.first not in worths or any(n not in worths for n in numbers):
        return span
    whole = sum(worths[n] for n in numbers)
    return replace(
        span, worth=round(whole, 2), looks={t: _holding(look, whole, worths) for t, look in span.looks.items()}
    )


def _holding(look: Look, whole: float, worths: Mapping[int, float]) -> Look:
    gone = sum(worths[n] for first, last in look.left for n in range(first, last + 1))
    return replace(look, held=round(1 - gone / whole, 4)) if whole else look


# --------------------------------------------------------------------------------------------- what a step changes


@dataclass(frozen=True, slots=True)
class Changed:
    """What a step does to a run of turns: its tiers, tokens and readable shares before and after, and its page by id."""

    first: int
    last: int
    before: Tier
    after: Tier
    tokens_before: int
    tokens_after: int
    readable_before: float
    readable_after: float
    page: int | None


def changes(before: Sequence[Known], after: Sequence[Placed], settings: Settings) -> list[Changed]:
    """What a proposal changes, oldest first: pages at another tier, pages drawn anew, and turns sealed now."""
    new = [p for p in after if p.span.page is None and not p.span.hidden]
    gone = replaced(before, after)
    end = max((s.last for s in gone), default=0)
    found = [_fallen(p, settings) for p in after if p.span.page is not None and p.span.tier != p.tier]
    found += [c for s in gone if (c := _anew(s, new, settings))]
    found += [_sealed(p, max(p.span.first, end + 1), settings) for p in new if p.tier != "text" and p.span.last > end]
    return sorted(found, key=lambda c: c.first)


def replaced(before: Sequence[Known], after: Sequence[Placed]) -> list[Known]:
    """The pages in whose place a proposal puts new ones."""
    kept = {p.span.page for p in after}
    new = [p.span for p in after if p.span.page is None and not p.span.hidden]
    return [s for s in before if s.page is not None and s.page not in kept and any(_common(s, n) for n in new)]


def _common(one: Known, other: Known) -> int:
    """How many turns two spans share."""
    return max(0, min(one.last, other.last) - max(one.first, other.first) + 1)


def _shows(item: Placed, span: Known) -> bool:
    """Does a new page, card or text show any of the span's turns?"""
    if item.tier == "handle":
        return False
    look = item.span.looks.get(item.tier)
    common = range(max(item.span.first, span.first), min(item.span.last, span.last) + 1)
    return any(not any(first <= n <= last for first, last in (look.left if look else ())) for n in common)


def _fallen(item: Placed, settings: Settings) -> Changed:
    span, costs, readable = item.span, costs_of(item.span, settings), settings.readable(item.span)
    return Changed(
        span.first, span.last, span.tier, item.tier, costs.get(span.tier, span.text), costs.get(item.tier, 0),
        readable.get(span.tier, 0.0), readable.get(item.tier, 0.0), span.page,
    )  # fmt: skip


def _sealed(item: Placed, first: int, settings: Settings) -> Changed:
    """Turns from `first` on that are sealed on a page; on one with older turns they have their part of its tokens."""
    span = item.span
    part = (span.last - first + 1) / (span.last - span.first + 1)
    return Changed(
        first, span.last, "text", item.tier, round(part * span.text), round(part * item.tokens),
        1.0, settings.readable(span).get(item.tier, 0.0), None,
    )  # fmt: skip


def _anew(span: Known, new: Sequence[Placed], settings: Settings) -> Changed | None:
    """What becomes of a page whose turns are on new pages now; None where that is the same."""
    shares = [(p, _common(span, p.span)) for p in new if _common(span, p.span)]
    tokens = sum(p.tokens * n / (p.span.last - p.span.first + 1) for p, n in shares)
    readable = sum(settings.readable(p.span).get(p.tier, 0.0) * n for p, n in shares) / (span.last - span.first + 1)
    tier: Tier = max((p.tier for p, _ in shares if _shows(p, span)), key=RANK.__getitem__, default="handle")
    was = costs_of(span, settings).get(span.tier, span.text), settings.readable(span).get(span.tier, 0.0)
    if tier == span.tier and round(tokens) == was[0] and abs(readable - was[1]) < SAME:
        return None
    return Changed(span.first, span.last, span.tier, tier, was[0], round(tokens), was[1], round(readable, 4), span.page)
