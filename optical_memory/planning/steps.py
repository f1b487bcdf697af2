"""When a change of tiers is worth it: forced, cold, or when it pays. Otherwise it waits.

Changing one old byte makes the provider bill everything after it again, so changes come in batches
(`notes` of the vendors on prompt caching, 2026; the rule itself is `cost.step_pays`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optical_memory.cost import Price, break_even
from optical_memory.planning.context import Plan, Span, choices
from optical_memory.planning.decay import Age
from optical_memory.planning.propose import Proposal, current_tokens, propose
from optical_memory.planning.redraw import with_older
from optical_memory.planning.spans import Known, Settings, State, costs_of, hours
from optical_memory.planning.tiers import RANK

Reason = Literal["forced", "cold", "pays", "first", "pinned"]
PATIENCE = 1.5  # times the calls in which as much again is queued: a step that pays later waits


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a step is taken now (tokens, seconds, turns).

    `old` and `new` are the tokens before and after the queued changes, `suffix` the old tokens from the first changed
    byte to the end of what the provider has cached, `idle` the seconds since the last call (None: never called), `growth` the
    tokens by which what a step would save grows with each call (0: not known).
    """

    needed: int
    budget: int
    old: int
    new: int
    suffix: int
    idle: float | None
    horizon: float
    growth: float = 0.0

    @property
    def patience(self) -> float:
        """Calls in which a step has to pay: the horizon, and not much more than those in which as much again is queued.

        Else one would come with nearly every message where rewriting is cheap. Where all grows evenly, the cheapest interval
        is reached at half of these calls (it is that of `cost.flush_tokens`), but who waits so long comes to forced steps more
        often, which rewrite more: with 1 in the place of `PATIENCE` Gemini's bill rose by 8 %.
        """
        return min(self.horizon, PATIENCE * (self.old - self.new) / self.growth) if self.growth > 0 else self.horizon


def verdict(now: Situation, price: Price) -> tuple[Reason | None, str]:
    """(reason to take the step now, or None, and the same in words)."""
    if now.needed > now.budget:
        return "forced", f"the next call would need {now.needed} tokens and the budget is {now.budget}"
    saved = now.old - now.new
    if saved <= 0:
        return None, "nothing is queued that would save tokens"
    if price.ttl <= 0:
        return _uncached(saved, now.budget)
    if now.idle is None or now.idle > price.ttl:
        since = "was never filled" if now.idle is None else f"went cold {_lasted(now.idle - price.ttl)} ago"
        return "cold", f"the provider's cache {since}, so a change costs nothing extra and saves {saved} tokens"
    turns = break_even(now.suffix, now.suffix - saved, 0, price)
    if turns <= now.patience:
        return "pays", f"{saved} tokens a call are saved, which pays for the rewritten cache after {turns:.1f} calls"
    words = f"{saved} tokens a call would be saved, but the rewritten cache pays only after {turns:.0f} calls"
    why = f"horizon {now.horizon:g}" if turns > now.horizon else "by then more is queued"
    return None, f"{words} ({why})"


WORTHWHILE = 1 / 32  # of the budget, about half of a page: a step that saves less waits, even where it is free


def _uncached(saved: int, budget: int) -> tuple[Reason | None, str]:
    """The same without a prompt cache, where a step costs nothing and yet waits until it saves something to speak of.

    Else it would come with nearly every message, seal two turns at a time and lay old pages out anew for these; and what a page
    leaves out does not come back.
    """
    if saved < WORTHWHILE * budget:
        return None, f"only {saved} tokens a call would be saved, too few to lay pages out for"
    return "cold", f"the provider has no prompt cache: {saved} tokens are saved on every call"


HOPE = 0.85  # of the old text's tokens that pages may save at best: a cheap look before the real one


def _lasted(seconds: float) -> str:
    """A time as a person says it: 40 s, 5 min, 3 h, 12 days; from two of a unit on."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def decide(
    state: State, settings: Settings, standing: bool, idle: float | None, *, asked: bool = False
) -> tuple[Proposal | None, str, str]:
    """(the plan to put in force or None, the reason for it, the same in words); `asked` looks as if a user message had come."""
    needed = current_tokens(state, settings) + state.reserved
    forced = needed > settings.budget
    untold = _untold(state, state.plan)
    bare = state.bare > state.plan.through
    going_on = standing or state.pending  # a run that has begun without a plan goes on without one
    if not forced and not bare and going_on and not asked and not (state.fresh and state.fresh[-1].role == "user"):
        return None, "", "tiers change when a new user message comes"
    if not forced and not untold and not bare:
        hoped, words = verdict(
            Situation(needed, settings.budget, needed, needed - _hope(state, settings), needed, idle, settings.horizon),
            settings.profile.price,
        )
        if hoped is None:
            return None, "", words
    if forced or _cold(idle, settings.profile.price):
        state = with_older(state, settings.profile)
    proposal = propose(state, settings)
    after = proposal.tokens + state.reserved
    suffix = needed - _shared_prefix(state, proposal)
    growth = _growth(state, settings, proposal.plan.through, needed - after)
    now = Situation(needed, settings.budget, needed, after, suffix, idle, settings.horizon, growth)
    reason, words = verdict(now, settings.profile.price)
    told = [n for n in untold if n not in _untold(state, proposal.plan)]
    if told and reason is None:
        reason, words = "pinned", f"turn {told[0]} was pinned and is not shown as text yet"
    if bare and reason is None:
        reason, words = "first", f"of turns up to {state.bare} only pictures are left, and they are not shown yet"
    if reason is None or (proposal.plan.through, proposal.plan.segments) == (state.plan.through, state.plan.segments):
        return None, "", words
    return proposal, _named(reason, standing), words


def _cold(idle: float | None, price: Price) -> bool:
    """Is the prefix written again with this call anyway, so that old pages may be drawn anew for nothing?

    Always without a cache. Steps are rare there, too (see `_uncached`), and rarely forced: pages that were drawn anew at forced
    ones only would never be.
    """
    return price.ttl <= 0 or idle is None or idle > price.ttl


def _untold(state: State, plan: Plan) -> list[int]:
    """Pinned turns that a plan does not show as text, of the spans that are not text now."""
    told = [s.turns for s in plan.segments if s.kind in ("recalled", "text") and s.turns]
    pinned = [n for span in state.spans if span.tier != "text" for n, _ in span.pinned]
    return [n for n in pinned if not any(first <= n <= last for first, last in told)]


def _named(reason: Reason, standing: bool) -> str:
    return reason if standing or reason == "forced" else "first"


def _growth(state: State, settings: Settings, through: int, saved: int) -> float:
    """Tokens by which what a step saves grows with a call, if new turns go on coming and save as those up to `through` do."""
    calls = sum(t.role != "assistant" or t.calls > 0 for t in state.fresh)
    drawn = sum(settings.turn(t) for t in state.fresh if t.number <= through)
    if not calls or not drawn:
        return 0.0
    return min(1.0, max(0, saved) / drawn) * sum(map(settings.turn, state.fresh)) / calls


def _hope(state: State, settings: Settings) -> int:
    """Tokens that a step would save at best: old text turned into pages, and queued falls of pages."""
    unit, amount = settings.keep
    old = state.fresh[: max(0, len(state.fresh) - 1 - (amount if unit == "turns" else 0))]
    text = sum(settings.turn(t) for t in old) if settings.profile.vision else 0
    since = sum(t.tokens for t in state.fresh)
    return int(HOPE * text) + sum(_queued(span, state, settings, since) for span in state.spans)


def _queued(span: Known, state: State, settings: Settings, since: int) -> int:
    """What the fall that a span's age asks for would save; of its age in tokens only those `since` the plan are known."""
    wanted = settings.due(span, Age(state.end - span.last, since, hours(span.since, state.now)))
    if span.guard or RANK[wanted] <= RANK[span.tier]:
        return 0
    costs = costs_of(span, settings)
    fallen = choices(Span(span.first, span.last, span.tier, wanted, costs, span.worth))[0]
    return max(0, costs.get(span.tier, 0) - costs[fallen])


def _shared_prefix(state: State, proposal: Proposal) -> int:
    """Tokens of the segments that both plans begin with."""
    shared = 0
    for old, new in zip(state.plan.segments, proposal.plan.segments, strict=False):
        if (old.kind, old.turns, old.text, old.look) != (new.kind, new.turns, new.text, new.look):
            break
        shared += old.tokens
    return shared
