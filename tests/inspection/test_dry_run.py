"""What a dry run names is what then happens, whatever the schedule."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.inspection import looking
from optical_memory.planning.decay import UNITS, Stair, half_life, never, staircase
from optical_memory.planning.decay import DecaySchedule as Schedule
from optical_memory.planning.tiers import TIERS
from tests.inspection.conftest import MODEL, talk

NOW = datetime(2026, 3, 1, tzinfo=UTC)
numbers = itertools.count()


def some_schedule(dice: random.Random) -> Schedule:
    """Ready-made or with stairs at random ages in random units."""
    kind = dice.randrange(5)
    if kind < 2:
        return (staircase(), half_life(dice.randrange(1, 200)))[kind]
    if kind == 2:
        return never()
    most = {"turns": 60, "tokens": 20_000, "hours": 900}
    stairs: list[Stair] = []
    for tier in TIERS[1:]:
        for unit in UNITS:
            earlier = max((s.amount for s in stairs if s.unit == unit), default=0)
            if dice.random() < 0.5:
                stairs.append(Stair(tier, earlier + dice.randrange(most[unit] // 3), unit))
    return Schedule(tuple(stairs), "random")


def check_one(file: Path, seed: int) -> int:
    """Play a conversation in parts, and before each step ask what it would do; how many spans changed."""
    dice = random.Random(seed)
    clock = {"now": NOW}
    changed, thread = 0, f"t{next(numbers)}"
    options: dict[str, Any] = {
        "model": MODEL,
        "budget": dice.randrange(1_500, 6_000),
        "keep": ("turns", dice.randrange(8)),
    }
    with OpticalMemory(file, schedule=some_schedule(dice), clock=lambda: clock["now"], **options) as memory:
        length = dice.randrange(6, 30)
        said = talk(length)
        for end in sorted({dice.randrange(3, length), length}):
            memory.remember(thread, said[: end + sum(m["role"] == "tool" for m in said[:end])])
            if dice.random() < 0.3:
                memory.pin(thread, dice.randrange(1, 3))
            told = looking.step(memory.step(thread, dry_run=True))
            done = looking.step(memory.step(thread))
            assert done == told, seed
            held = {
                t.number: t.tier for t in memory.turns(thread) if not t.pinned
            }  # a pinned one is told as text besides
            for change in done["changes"]:
                first, last = change["turns"]
                found = {held[n] for n in range(first, last + 1) if n in held}
                assert change["after"] in found or len(found) < last - first + 1, seed
                assert found <= {change["after"], "handle"}, seed  # a page may leave out turns of little worth
            changed += len(done["changes"])
            clock["now"] += timedelta(hours=dice.randrange(100))
    return changed


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for all examples, each with a thread of its own: making a database takes longer than a step."""
    return tmp_path_factory.mktemp("dry") / "memory.db"


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**9))
def test_a_dry_run_names_exactly_what_the_step_does(file: Path, seed: int) -> None:
    """Spans, tiers, tokens and readable shares, and afterwards every turn is held as was said."""
    check_one(file, seed)


def test_the_random_schedules_do_fade_something(file: Path) -> None:
    """The property above is not empty: in most conversations spans change."""
    assert sum(check_one(file, seed) > 0 for seed in range(3)) >= 2
