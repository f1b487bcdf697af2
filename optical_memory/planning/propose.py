"""From what is stored to the next plan: seal, decay, allocate. Pure: values in, a `Proposal` out, nothing written.

Between steps the plan stands and new turns follow it as text, so that every byte before them stays as it was.

What goes does not come back, so pages that stand are given up late: a plan in which none goes is better than one in which one
does (`_none_goes`), and a step that would leave little of what there is fills more (`propose`). Where their turns can be read,
these are tried on fewer, fuller pages as well (`layouts`), and a card in the place of such a page counts less (`_readable`). A
first plan has no pages to give up; what speaks against it is that stretches of the talk are missing (`SHOWN`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from optical_memory.cost import Profile
from optical_memory.pages import Sheet
from optical_memory.planning.context import Plan, Segment, Span, allocate, choices
from optical_memory.planning.decay import Age
from optical_memory.planning.excerpt import standing_excerpt, tightest, with_excerpt
from optical_memory.planning.looks import sheet_for
from optical_memory.planning.redraw import layouts, with_stored
from optical_memory.planning.seal import LEFT, draft, unsealed
from optical_memory.planning.segments import segments_of
from optical_memory.planning.spans import Known, Placed, Settings, State, costs_of, hours, recent, with_gaps
from optical_memory.planning.tiers import DRAWN, RANK, Tier, fainter

OLD_SHARE = 0.35  # of the budget for what is old, low mark or not: one huge result must not turn all pages into handles
TRIES = 4
CLOSE = 0.02  # so near to a share at which all pages can just be shown that another try is not worth its time
DENSEST = 8  # tokens of text that a token of a page may hold: more than that is not laid out, however long the thread
SHOWN = 0.9  # of the room that all pages need: with less than that, whole stretches of the talk would be missing
GAIN = 1.02  # times the worth for which old pages are drawn anew: what is redrawn is written to the cache again
KEPT = 0.8  # of what the pages are worth now: a step that leaves less may fill more, since a long result passes and loss stays
SPARED = 0.5  # of the budget for what is old in such a step
RELUCTANT = 0.25  # of a card's worth where a page can be laid out anew: what became a card does not come back
ALL = 0.98  # of all that could be shown: with so much shown nothing else is tried


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that could be put in force, the spans in it, and what it and the turns after it cost in all."""

    plan: Plan
    placed: tuple[Placed, ...]
    tokens: int
    sheet: Sheet | None
    yielded: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """How far the planner has yielded: turns kept as text, whether instructions and pins hold, share of the budget.

    At the `cheapest` ones nothing but these need be shown.
    """

    keep: int | None
    guards: int
    mark: float
    words: str = ""
    old: float = OLD_SHARE
    cheapest: bool = False


def current_tokens(state: State, settings: Settings) -> int:
    """What the next call costs if the plan stays as it is, without `reserved`."""
    return state.plan.tokens + state.extra + sum(settings.turn(t) for t in state.fresh)


def propose(state: State, settings: Settings) -> Proposal:
    """The best plan for the budget. Raises BudgetError where what never yields does not fit."""
    for level in _levels(settings):
        found = _best(state, settings, level)
        if found is not None and found.value < KEPT * _standing(state, settings):
            found = _best(state, settings, replace(level, old=SPARED)) or found
        if found is not None:
            return replace(found.proposal, placed=with_stored(found.proposal.placed, state.spans))
    return _excerpted(state, settings)


def _standing(state: State, settings: Settings) -> float:
    """What the plan in force is worth as it shows its pages; nothing where the fonts to draw them are gone."""
    mine = [s for s in state.spans if s.last <= state.plan.through]
    options = _options(mine, settings, state)
    return sum(span.worth(known.tier) for known, span in options if known.tier in span.readable)


def _best(state: State, settings: Settings, level: Level) -> Weighed | None:
    """The best plan of all layouts; pages are drawn anew where that is better by more than a little."""
    best: Weighed | None = None
    for layout in layouts(state):
        found = _at_level(layout, settings, level)
        if found is not None and (best is None or _merit(found) > (best.whole, GAIN * best.value)):
            best = found
    return best


def _levels(settings: Settings) -> Iterator[Level]:
    yield Level(None, 2, settings.low_mark)
    for keep in (6, 3, 1, 0):
        yield Level(keep, 2, settings.low_mark, "fewer recent turns stay text")
    yield Level(0, 2, 1.0, "fewer recent turns stay text", cheapest=True)
    yield Level(0, 1, 1.0, "instructions became cards", cheapest=True)
    yield Level(0, 0, 1.0, "pins became cards", cheapest=True)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A proposal and how good it is.

    `value` is what its spans are worth as they are shown, `most` what they would be worth word for word,
    `share` is the share of what is sealed now that it draws, `room` how much of the tokens for all its pages there is,
    `fresh` whether pages were drafted for it, and `whole` whether no stretch of the talk is missing: in a first plan, whether
    there is room for nearly all pages (`SHOWN`); after that, whether no page goes before its time.
    """

    proposal: Proposal
    value: float
    most: float
    share: float
    room: float
    fresh: bool
    whole: bool


def _at_level(state: State, settings: Settings, level: Level) -> Weighed | None:
    """The plan that is worth most at this level of yielding; None if nothing fits.

    New pages are filled at the sharpest type that is due, and where that leaves something out also at the next fainter
    ones, as long as the plan gains by it: smaller type holds more for the same tokens, and costs some words.
    """
    best: Weighed | None = None
    share = top = _densest(state, settings)
    for fill in _fills(settings.profile):
        found = _at_fill(state, settings, level, fill, share, top)
        if found is None or (best is not None and _merit(found) <= _merit(best)):
            break
        best, share = found, found.share
        if not found.fresh or found.value >= ALL * found.most or (share == top and found.room >= 1):
            break
    return best


def _densest(state: State, settings: Settings) -> float:
    """The largest share of what could be on new pages that is laid out at all."""
    able = [t for t in unsealed(state, state.end) if state.shown.get(t.number) != LEFT]
    return min(1.0, DENSEST * settings.budget / max(1, sum(t.tokens for t in able)))


def _fills(profile: Profile) -> list[Tier]:
    """The tiers with a style of their own, sharpest first; the first one stands for a model that sees no images too."""
    return [t for t in DRAWN if profile.tiers.get(t) is not None] or [DRAWN[0]]


def _at_fill(
    state: State, settings: Settings, level: Level, fill: Tier, share: float, top: float
) -> Weighed | None:  # fmt: skip
    """The best plan with new pages filled at this tier or a fainter one; None if nothing fits.

    What is sealed now can be drawn whole, so that other pages have to go, or only those of its turns that say most. The
    search begins with the given share of it and goes to the one at which all pages can just be shown.
    """
    best: Weighed | None = None
    low, high = 0.0, top
    for _ in range(TRIES):
        found = _weighed(state, settings, level, share, fill)
        if found is None:
            break
        best = max(best or found, found, key=_merit)
        wanted = min(top, share * found.room)
        if not found.fresh or found.value >= ALL * found.most or abs(wanted / share - 1) < CLOSE:
            break
        low, high = (share, high) if found.room >= 1 else (low, share)
        share = wanted if low < wanted < high else (low + high) / 2
    return best


def _merit(found: Weighed) -> tuple[bool, float]:
    """What speaks for a plan: that no stretch of the talk is missing, and then its worth."""
    return found.whole, found.value


def _weighed(state: State, settings: Settings, level: Level, share: float, fill: Tier) -> Weighed | None:
    """The plan that draws this share of what is sealed now; None if it does not fit."""
    boundary = _boundary(state, settings, level)
    sheet = sheet_for(settings.profile, settings.budget)
    limit = int(settings.budget * level.mark) - state.reserved
    known = [s for s in state.spans if s.last <= boundary]
    if len(known) < len(state.spans):  # a page behind the plan that reaches further: nothing is sealed beside it
        boundary = max([state.plan.through, *(s.last for s in known)])
    drafted = draft(state, settings, sheet, boundary, limit, share, fill)
    spans = sorted(known + drafted, key=lambda s: s.first)
    through = spans[-1].last if spans else state.plan.through
    tail = sum(settings.turn(t) for t in state.fresh if t.number > through)
    limit = max(limit, min(settings.budget - state.reserved, tail + int(level.old * settings.budget)))
    options = _options([_relax(s, level.guards) for s in spans], settings, state)
    excerpt = standing_excerpt(state)
    left = limit - tail - (excerpt.tokens if excerpt else 0)
    fitted = _fit(options, settings, left)
    if fitted is None and level.cheapest:
        fitted = _cheapest(options, settings, left)
    if fitted is None:
        return None
    placed, segments = fitted
    plan = Plan(through, max(state.plan.floor, _floor(state)), tuple(with_excerpt(segments, excerpt)))
    proposal = Proposal(plan, tuple(placed), plan.tokens + tail, sheet, level.words)
    value = sum(span.worth(p.tier) for (_, span), p in zip(options, placed, strict=True))
    around = plan.tokens - sum(p.tokens for p in placed)
    room = (limit - tail - around) / max(1, sum(_drawn_cost(span, fill) for _, span in options))
    most = sum(span.worth("text") for _, span in options)
    whole = _none_goes(options, placed) if state.plan.through else room >= SHOWN
    return Weighed(proposal, value, most, share, room, bool(drafted), whole)


def _none_goes(options: Sequence[tuple[Known, Span]], placed: Sequence[Placed]) -> bool:
    """Is every page still a picture that is one now, or new, and that age lets be one?"""
    pages = ((s.tier, o.most, p.tier) for (s, o), p in zip(options, placed, strict=True) if s.looks)
    return all(_worded(now) for before, most, now in pages if _worded(before) and _worded(most))


def _worded(tier: Tier) -> bool:
    """Are the words of a span there at this tier, as a picture or as text?"""
    return RANK[tier] < RANK["card"]


def _drawn_cost(span: Span, fill: Tier) -> int:
    """Tokens of a span as the picture that its page was filled for; of what must be text as text; else of nothing."""
    if span.guard > 0:
        return span.costs["text"]
    return next((span.costs[tier] for tier in DRAWN[DRAWN.index(fill) :] if tier in span.costs), 0)


def _floor(state: State) -> int:
    """Reasoning is stripped up to here: a changed prefix invalidates every block that was bound to the old one."""
    last = state.fresh[-1] if state.fresh else None
    return 0 if last is None else last.number - (1 if last.role == "user" else 0)


def _boundary(state: State, settings: Settings, level: Level) -> int:
    """The newest turn that may be sealed: what is kept as text takes at most a third of what a step fills."""
    protected = state.protected()
    most = (int(settings.budget * settings.low_mark) - state.reserved) // 3
    kept = tokens = 0
    for turn in reversed(state.fresh):
        cost = settings.turn(turn)
        if turn.number not in protected and (_enough(settings, level, kept, tokens) or tokens + cost > most):
            return max(turn.number, state.bare)
        kept, tokens = kept + (turn.number not in protected), tokens + cost
    return max(state.plan.through, state.bare)


def _enough(settings: Settings, level: Level, kept: int, tokens: int) -> bool:
    unit, amount = settings.keep
    return (kept if unit == "turns" else tokens) >= amount or (level.keep is not None and kept >= level.keep)


def _relax(span: Known, guards: int) -> Known:
    """An instruction or pin that has to yield; the anchor of a run that goes on never does."""
    if guards == 0:
        span = replace(span, pinned=())
    return span if span.guard in (0, 3) or span.guard > 2 - guards else replace(span, guard=-1)


# --------------------------------------------------------------------------------------------- fitting


def _options(spans: Sequence[Known], settings: Settings, state: State) -> list[tuple[Known, Span]]:
    """The spans with what the allocator needs of them."""
    spans = _within_images(spans, settings)
    ages = _span_ages(spans, state)
    return [(s, _span(s, age, settings, state)) for s, age in zip(spans, ages, strict=True)]


def _fit(
    options: Sequence[tuple[Known, Span]], settings: Settings, room: int
) -> tuple[list[Placed], list[Segment]] | None:
    """Tiers for all spans within `room` tokens, what stands around them included. None if it cannot be done."""
    around = min(int(settings.budget * settings.facts), room // 4)
    best: tuple[list[Placed], list[Segment]] | None = None
    for _ in range(6):
        tiers = allocate([o for _, o in options], room - around)
        if tiers is None:
            around = min(around, room) // 2
            continue
        placed = [Placed(s, t, o.costs.get(t, 0)) for (s, o), t in zip(options, tiers, strict=True)]
        segments = segments_of(placed, settings, min(int(settings.budget * settings.facts), room // 4))
        total = sum(s.tokens for s in segments)
        spent = total - sum(p.tokens for p in placed)
        if total <= room:
            if best is not None and total <= sum(s.tokens for s in best[1]):
                break
            best, around = (placed, segments), spent
        elif best is not None:
            break
        else:
            around = max(spent, around + total - room)
    return best


def _cheapest(
    options: Sequence[tuple[Known, Span]], settings: Settings, room: int
) -> tuple[list[Placed], list[Segment]] | None:
    """All spans at their cheapest, if need be without a fact sheet: this goes before an instruction or a pin does.

    None if that is too much.
    """
    tiers = [min(choices(span), key=lambda tier: (span.costs[tier], RANK[tier])) for _, span in options]
    placed = [Placed(s, t, o.costs[t]) for (s, o), t in zip(options, tiers, strict=True)]
    for facts in (min(int(settings.budget * settings.facts), room // 4), 0):
        segments = segments_of(placed, settings, facts)
        if sum(s.tokens for s in segments) <= room:
            return placed, segments
    return None


def _within_images(spans: Sequence[Known], settings: Settings) -> list[Known]:
    """The newest spans may be drawn, as many as the provider takes images in one request."""
    left, out = settings.profile.max_images, []
    for span in reversed(spans):
        left -= max((len(drawn.sizes) for drawn in span.looks.values()), default=0)
        out.append(span if left >= 0 or not span.looks else replace(span, blocked=True))
    return out[::-1]


def _span_ages(spans: Sequence[Known], state: State) -> list[Age]:
    after = sum(t.tokens for t in state.fresh if not spans or t.number > spans[-1].last)
    ages = []
    for span in reversed(spans):
        ages.append(Age(state.end - span.last, after, hours(span.since, state.now)))
        after += span.raw
    return ages[::-1]


def _span(known: Known, age: Age, settings: Settings, state: State) -> Span:
    """The span as the allocator sees it."""
    wanted = settings.due(known, age)
    most: Tier = wanted if known.recalled or not state.ladder else fainter(wanted, known.tier)
    if known.guard == -1 and RANK[most] < RANK["card"]:
        most = "card"
    costs = costs_of(known, settings)
    if known.page is None and known.tier != "text" and known.guard <= 0:
        costs.pop("text", None)  # drawn anew, not shown sharper
    recency = (1 + known.recalls) * recent(age.tokens, settings.budget)
    return Span(
        known.first, known.last, known.tier, most, costs, known.worth or 1, (1 + known.importance) * recency,
        _guard(known, state.ladder), _readable(known, settings, state),
    )  # fmt: skip


def _readable(known: Known, settings: Settings, state: State) -> Mapping[str, float]:
    """The span's readable share at each tier, as tiers are chosen: a page that can be laid out anew is made a card late."""
    told, movable = settings.readable(known), known.tier in DRAWN and known.first in state.shown
    return {**told, "card": RELUCTANT * told["card"]} if movable else told


def _guard(known: Known, ladder: bool) -> int:
    """Whether the span must be text now: an instruction that has yielded once does not come back by itself.

    What has no text any more, or stands behind a handle for good, cannot be.
    """
    fallen = ladder and known.page is not None and known.tier != "text"
    bare = known.hidden or known.purged
    return 0 if bare or known.guard < 0 or (known.guard == 1 and fallen) else known.guard


def _excerpted(state: State, settings: Settings) -> Proposal:
    """The newest message or tool round, and as much of what came before it as still fits. Raises BudgetError."""
    segments, needed = tightest(state, settings)
    through = state.end - 1 if state.pending else state.end
    plan = Plan(through, max(state.plan.floor, _floor(state)), tuple(segments))
    placed = tuple(
        Placed(span, "handle", 0) for span in with_gaps([s for s in state.spans if s.last <= through], through)
    )
    return Proposal(plan, placed, plan.tokens + needed, None, "only the newest message and tool round fit")
