"""The order of turns and their fading go by numbers: a clock that jumps changes neither."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import BudgetError, OpticalMemory
from optical_memory.cost import Price
from optical_memory.planning.decay import staircase
from tests.memory.test_properties import EXAMPLES, slow, threads
from tests.memory.test_retain import READS, SOON, assert_sound_while_it_grows, whole

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 24 * 365 * 10
jumps = st.lists(st.integers(-HOURS, HOURS), min_size=8, max_size=8)  # hours, at every look at the clock
numbers = itertools.count()
few = settings(slow, max_examples=max(3, EXAMPLES // 2))  # each grows two threads turn by turn


class Jumping:
    """A clock that stands wherever it likes, each time that somebody looks."""

    def __init__(self, hours: list[int]) -> None:
        self._hours = itertools.cycle(hours)

    def __call__(self) -> datetime:
        return START + timedelta(hours=next(self._hours))


def told(memory: OpticalMemory, rows: list[dict]) -> list[object]:
    """What a thread looks like as it grows: contexts, numbers, tiers and steps."""
    thread, seen = f"t{next(numbers)}", []
    with memory:
        for end in range(3, len(rows) + 1, 3):
            memory.remember(thread, whole(rows[:end]))
            try:
                context = memory.context(thread)
            except BudgetError as error:
                seen.append(str(error))
                continue
            seen.append([m.content for m in context.messages])
            seen.append([(t.number, t.text, t.tier) for t in memory.turns(thread)])
        if not seen:  # nothing was remembered yet
            return seen
        seen.append([(s.reason, s.at, s.changes) for s in memory.steps(thread)])
    return seen


@pytest.mark.slow
@few
@given(threads, jumps, st.integers(400, 2_000))
def test_a_clock_that_jumps_changes_nothing_that_numbers_do_not(tmp_path_factory, rows, hours, budget):
    """Ten years ahead or back between any two looks: the same contexts, tiers and steps as with a clock that stands.

    For a provider without a cache: whether one has gone cold is a matter of time, and decides when a step is cheap.
    """
    file = tmp_path_factory.getbasetemp() / "clock.db"
    options = {
        "profile": replace(READS, price=Price(base=1, read=1, write=1, ttl=0)),
        "budget": budget,
        "keep": ("turns", 3),
        "schedule": SOON,
    }
    still = told(OpticalMemory(file, **options, clock=lambda: START), rows)
    assert told(OpticalMemory(file, **options, clock=Jumping(hours)), rows) == still


@pytest.mark.slow
@few
@given(threads, jumps, st.integers(400, 2_000))
def test_ages_in_hours_stand_a_clock_that_jumps(tmp_path_factory, rows, hours, budget):
    """They may fade early, but in order, within the budget, and with every turn accounted for."""
    file, t = tmp_path_factory.getbasetemp() / "hours.db", f"h{next(numbers)}"
    schedule = staircase(clear=("hours", 1), dense=("hours", 24), card=("hours", 1_000))
    options = {"profile": READS, "budget": budget, "keep": ("turns", 3), "schedule": schedule}
    with OpticalMemory(file, **options, clock=Jumping(hours)) as memory:
        assert_sound_while_it_grows(memory, t, rows, range(3, len(rows) + 1, 3))
