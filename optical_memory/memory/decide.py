"""Whether to step now: forced, cold, or when it pays; at a new user message, else only where the budget forces it."""

from __future__ import annotations

from optical_memory.memory.planner import Proposal, Settings, State, costs_of, current_tokens, propose
from optical_memory.planning.decay import Age
from optical_memory.planning.steps import Reason, Situation, verdict
from optical_memory.planning.tiers import RANK

HOPE = 0.85  # of the old text's tokens that pages may save at best: a cheap look before the real one


def decide(
    state: State, settings: Settings, standing: bool, idle: float | None, *, asked: bool = False
) -> tuple[Proposal | None, str, str]:
    """(the plan to put in force or None, the reason for it, the same in words); `asked` looks as if a user message had come."""
    needed = current_tokens(state, settings) + state.reserved
    forced = needed > settings.budget
    if not forced and standing and not asked and not (state.fresh and state.fresh[-1].role == "user"):
        return None, "", "tiers change when a new user message comes"
    if not forced:
        hoped, words = verdict(
            _situation(state, settings, needed, needed - _hope(state, settings), needed, idle), settings.profile.price
        )
        if hoped is None:
            return None, "", words
    proposal = propose(state, settings)
    after = proposal.tokens + state.reserved
    suffix = needed - _shared_prefix(state, proposal)
    reason, words = verdict(_situation(state, settings, needed, after, suffix, idle), settings.profile.price)
    if reason is None or (proposal.plan.through, proposal.plan.segments) == (state.plan.through, state.plan.segments):
        return None, "", words
    return proposal, _named(reason, standing), words


def _named(reason: Reason, standing: bool) -> str:
    return reason if standing or reason == "forced" else "first"


def _situation(state: State, settings: Settings, needed: int, after: int, suffix: int, idle: float | None) -> Situation:
    return Situation(needed, settings.budget, needed, after, suffix, idle, settings.horizon)


def _hope(state: State, settings: Settings) -> int:
    """Tokens that a step would save at best: old text turned into pages, and queued falls of pages."""
    unit, amount = settings.keep
    old = state.fresh[: max(0, len(state.fresh) - 1 - (amount if unit == "turns" else 0))]
    text = sum(settings.turn(t) for t in old) if settings.profile.vision else 0
    return int(HOPE * text) + sum(_queued(state, settings, i) for i in range(len(state.spans)))


def _queued(state: State, settings: Settings, index: int) -> int:
    """What the fall that a span's age asks for would save; ages in tokens are left to the real look."""
    span = state.spans[index]
    hours = max(0.0, (state.now - span.since).total_seconds() / 3600) if state.now and span.since else 0.0
    slow = 1 + span.importance + 0.5 * span.recalls
    wanted = settings.schedule(Age(state.end - span.last, sum(t.tokens for t in state.fresh), hours).slowed(slow))
    costs = costs_of(span, settings)
    if span.guard or RANK[wanted] <= RANK[span.tier]:
        return 0
    return max(0, costs.get(span.tier, 0) - costs.get(wanted, costs.get(span.tier, 0)))


def _shared_prefix(state: State, proposal: Proposal) -> int:
    """Tokens of the segments that both plans begin with."""
    shared = 0
    for old, new in zip(state.plan.segments, proposal.plan.segments, strict=False):
        if (old.kind, old.turns, old.text, old.look) != (new.kind, new.turns, new.text, new.look):
            break
        shared += old.tokens
    return shared
