"""When a change of tiers is worth it: forced, cold, or when it pays. Otherwise it waits.

Changing one old byte makes the provider bill everything after it again, so changes come in batches
(`notes` of the vendors on prompt caching, 2026; the rule itself is `cost.step_pays`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optical_memory.cost import Price, break_even

Reason = Literal["forced", "cold", "pays", "first"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a step is taken now (tokens, seconds, turns).

    `old` and `new` are the tokens before and after the queued changes, `suffix` the old tokens from the first changed
    byte to the end of what the provider has cached, `idle` the seconds since the last call (None: never called).
    """

    needed: int
    budget: int
    old: int
    new: int
    suffix: int
    idle: float | None
    horizon: float


def verdict(now: Situation, price: Price) -> tuple[Reason | None, str]:
    """(reason to take the step now, or None, and the same in words)."""
    if now.needed > now.budget:
        return "forced", f"the next call would need {now.needed} tokens and the budget is {now.budget}"
    saved = now.old - now.new
    if saved <= 0:
        return None, "nothing is queued that would save tokens"
    if price.ttl <= 0:
        return "cold", f"the provider has no prompt cache: {saved} tokens are saved on every call"
    if now.idle is None or now.idle > price.ttl:
        since = "was never filled" if now.idle is None else f"went cold {now.idle - price.ttl:.0f} s ago"
        return "cold", f"the provider's cache {since}, so a change costs nothing extra and saves {saved} tokens"
    turns = break_even(now.suffix, now.suffix - saved, 0, price)
    if turns <= now.horizon:
        return "pays", f"{saved} tokens a call are saved, which pays for the rewritten cache after {turns:.1f} calls"
    return (
        None,
        f"{saved} tokens a call would be saved, but the rewritten cache pays only after {turns:.0f} calls (horizon {now.horizon:g})",
    )
