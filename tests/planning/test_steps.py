"""When a step is taken: forced, cold, when it pays, and otherwise not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optical_memory.cost import Price, profile, text_tokens
from optical_memory.planning.decay import never, staircase
from optical_memory.planning.propose import propose
from optical_memory.planning.spans import Settings, costs_of
from optical_memory.planning.steps import Situation, decide, verdict
from tests.planning.test_random import plain, state

CACHED = Price(base=4.0, read=0.2, write=5.0, ttl=300, min_prefix=512, steps=())
UNCACHED = Price(base=1.0, read=1.0, write=1.0, ttl=0, min_prefix=0, steps=())


def at(**changed) -> Situation:
    return Situation(
        **(
            {
                "needed": 28_000,
                "budget": 32_000,
                "old": 28_000,
                "new": 13_000,
                "suffix": 28_000,
                "idle": 10,
                "horizon": 5,
            }
            | changed
        )
    )


@pytest.mark.parametrize(
    ("now", "price", "reason"),
    [
        (at(needed=33_000), CACHED, "forced"),
        (at(idle=301), CACHED, "cold"),
        (at(idle=None), CACHED, "cold"),
        (at(), UNCACHED, "cold"),
        (at(), CACHED, None),
        (at(horizon=25), CACHED, "pays"),
        (at(horizon=25, growth=1_000), CACHED, "pays"),
        (at(horizon=25, growth=1_200), CACHED, None),
        (at(new=28_000, idle=None), CACHED, None),
        (at(new=29_000), UNCACHED, None),
        (at(new=27_000), UNCACHED, "cold"),
        (at(new=27_001), UNCACHED, None),
    ],
)
def test_the_reason_for_a_step(now, price, reason):
    """15,000 of 28,000 tokens saved on a warm cache at Opus 5.5 prices pay after 19.8 calls, not before.

    Where 1,200 more are queued with each call, as much again is after 12.5 of them, and the step waits until it saves more.
    Without a cache what counts is whether a thirty-second of the budget is saved.
    """
    found, words = verdict(now, price)
    assert found == reason
    assert words


def test_the_words_name_the_figures():
    """Why not now, in a sentence that can be checked."""
    assert "after 20 calls" in verdict(at(), CACHED)[1]
    assert "33000" in verdict(at(needed=33_000), CACHED)[1]
    assert "horizon 5" in verdict(at(), CACHED)[1]
    assert "more is queued" in verdict(at(horizon=25, growth=1_200), CACHED)[1]


def test_the_fall_of_a_page_that_has_no_card_is_queued_as_the_one_to_the_handle():
    """Its card would cost more than its faintest picture; where age asks for a card, the handle is what is left."""
    settings = Settings(profile("claude-opus-5"), 16_000, text_tokens, never(), ("turns", 2))
    turns = [plain(n) for n in range(1, 18)]
    before = propose(state(turns[:14], None, 0), settings)
    assert [(p.tier, "card" in costs_of(p.span, settings)) for p in before.placed] == [("vivid", False)]
    fading = replace(settings, schedule=staircase(card=("turns", 3)), keep=("turns", 9))
    found, reason, words = decide(state(turns, before, 0), fading, True, 1e6)
    assert found is not None, words
    assert (reason, [p.tier for p in found.placed]) == ("cold", ["handle"])
