"""Schedules: what age may lower, what strength slows, and what is refused."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory import ConfigError, DecaySchedule, half_life, never, staircase
from optical_memory.cost import profile, text_tokens
from optical_memory.planning.decay import Age, Stair, named
from optical_memory.planning.spans import Settings
from optical_memory.planning.strength import importance, is_instruction, strength
from optical_memory.planning.tiers import RANK

ages = st.builds(Age, st.floats(0, 1e6), st.floats(0, 1e9), st.floats(0, 1e5))
schedules = st.sampled_from(
    [staircase(), half_life(50), never(), staircase(clear=("hours", 24), card=[("turns", 40), ("tokens", 9_000)])]
)


@given(schedules, ages, st.floats(1, 10))
def test_an_older_span_is_never_allowed_a_sharper_tier(schedule, age, factor):
    """Growing age only lowers the tier."""
    older = Age(age.turns * factor, age.tokens * factor, age.hours * factor)
    assert RANK[schedule(older)] >= RANK[schedule(age)]


@given(schedules, ages, st.floats(0, 5), st.floats(0, 5))
def test_the_stronger_never_decays_faster(schedule, age, one, other):
    """Strength slows age."""
    weak, strong = sorted((one, other))
    assert RANK[schedule(age.slowed(1 + strong))] <= RANK[schedule(age.slowed(1 + weak))]


@given(st.floats(0, 1), st.integers(0, 20), st.integers(0, 20))
def test_a_recall_makes_stronger(base, fewer, more):
    """More recalls, more strength."""
    low, high = sorted((fewer, more))
    assert strength(base, high) >= strength(base, low)


def test_the_default_staircase_falls_at_60_200_and_1000_turns():
    """The default is written down here as a promise."""
    at = {n: staircase()(Age(n, 0, 0)) for n in (0, 59, 60, 199, 200, 999, 1_000)}
    assert list(at.values()) == ["vivid", "vivid", "clear", "clear", "dense", "dense", "card"]


def test_any_of_several_ages_lowers():
    """The first age that is reached counts."""
    schedule = staircase(dense=[("turns", 40), ("hours", 24)])
    assert [schedule(Age(*a)) for a in ((41, 0, 0), (0, 0, 25), (39, 10**9, 23))] == ["dense", "dense", "vivid"]


@pytest.mark.parametrize("clear", [[("turns", 60), ("turns", 30)], [("turns", 30), ("turns", 60)]])
def test_several_ages_of_a_tier_may_be_given_in_any_order(clear):
    """The tier begins at the first of them, and only that is held against the next tier's."""
    schedule = staircase(clear=clear, dense=("turns", 40))
    assert [schedule(Age(n, 0, 0)) for n in (29, 30, 40)] == ["vivid", "clear", "dense"]


@pytest.mark.parametrize("schedule", [staircase(), half_life(7, "hours"), never(), staircase(clear=("tokens", 5))])
def test_a_schedule_survives_json(schedule):
    """What is stored with a thread is the schedule that was given."""
    assert DecaySchedule.from_json(schedule.to_json()) == schedule
    assert named(schedule.to_json()) == schedule


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), "x", None])
def test_a_half_life_is_a_number_above_zero(amount):
    with pytest.raises(ConfigError, match=r"such as half_life\(100\)"):
        half_life(amount)


def test_units_and_stairs_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="the unit is one of turns, tokens, hours"):
        half_life(3, "days")
    for after in (3, None, "turns", ()):
        with pytest.raises(ConfigError, match="give"):
            staircase(clear=after)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: staircase(clear=("turns", 50), dense=("turns", 20)),
        lambda: staircase(blurry=("turns", 3)),
        lambda: staircase(clear=("days", 3)),
        lambda: staircase(clear=("turns", -1)),
        lambda: staircase(clear="soon"),
        lambda: staircase(clear=5),
        lambda: staircase(clear=("turns", 10**400)),
        lambda: staircase(clear=("turns", float("nan"))),
        lambda: Stair("blurry", 3, "turns"),
        lambda: Stair("text", 3, "turns"),
        lambda: Stair("clear", 3, "days"),
        lambda: Stair("clear", -3, "turns"),
        lambda: half_life(0),
        lambda: half_life(float("nan")),
        lambda: half_life(float("inf")),
        lambda: half_life(5, "days"),
        lambda: named("sometimes"),
        lambda: DecaySchedule.from_json('{"stairs": 1}'),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(wrong):
    """Falling ages, unknown tiers and units, negative amounts."""
    with pytest.raises(ConfigError):
        wrong()


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Always answer in French.", True),
        ("Please do not touch the migrations folder.", True),
        ("Requirements:\n1. no network\n2. under 5 ms\n3. pure Python", True),
        ("I never really liked that film, my sister always did though.", False),
        ("What is the weather in Oslo?", False),
        ("ok", False),
    ],
)
def test_standing_orders_and_requirement_lists_are_found_and_chatter_is_not(text, order):
    """What must not be left to a picture."""
    assert is_instruction("user", text) is order
    assert not is_instruction("assistant", text)


def test_a_message_of_blank_lines_is_judged_at_once():
    """Such a turn is judged in each try of each plan; ten times in well under half a second, wherever a list might begin."""
    began = perf_counter()
    assert not any(is_instruction("user", "must" + "\n" * 3_990) for _ in range(10))
    assert perf_counter() - began < 0.5


def test_decisions_and_corrections_weigh_more_than_chatter():
    """Importance without a model."""
    assert importance("user", "Actually no, we decided on PostgreSQL, not 3 SQLite files.") > importance(
        "user", "nice, thanks!"
    )


@pytest.mark.parametrize("nothing", ["blurry", None, 3])
def test_a_callable_that_gives_no_tier_is_told_which_there_are(nothing):
    """Whoever writes a schedule makes the mistake, so the message says what it gave, for what, and what it may give."""
    settings = Settings(profile("claude-opus-5"), 4_000, text_tokens, lambda age: nothing)
    with pytest.raises(ConfigError, match=rf"gave {nothing!r} for Age.*text, vivid, clear, dense, card, handle"):
        settings.allowed(Age(5, 50, 1))
