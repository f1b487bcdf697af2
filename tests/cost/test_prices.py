"""Prices and the rule that says when a change of a cached prompt pays."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.cost import Price, break_even, flush_tokens, price_of, profile, step_pays, tables
from optical_memory.errors import ConfigError
from optical_memory.memory import OpticalMemory

HOUR = Price(base=4.0, read=0.2, write=8.0, ttl=3600)
WORKED = {  # old, new, suffix: text into pages; a batch of old pages; one page
    "A": (20_000, 5_000, 8_000),
    "B": (22_400, 5_600, 30_400),
    "C": (1_560, 780, 8_000),
}
TURNS = {  # as published, in whole turns
    "claude-opus-5-5": {"A": 20, "B": 50, "C": 269},
    "claude-fable-5.1": {"A": 42, "B": 104, "C": 551},
    "claude-opus-5": {"A": 9, "B": 24, "C": 128},
    "claude-sonnet-5": {"A": 9, "B": 24, "C": 128},
    "gpt-6-sol": {"A": 9, "B": 24, "C": 128},
    "gpt-6.1-sol": {"A": 20, "B": 50, "C": 269},
    "gpt-5.4": {"A": 7, "B": 18, "C": 100},
    "gemini-3.8-flash": {"A": 7, "B": 18, "C": 100},
    "gemini-4-argon": {"A": 16, "B": 40, "C": 213},
    "gpt-4.1": {"A": 2, "B": 5, "C": 33},
    "gpt-4o": {"A": 0, "B": 1, "C": 10},
}


@pytest.mark.parametrize(("model", "turns"), TURNS.items())
def test_the_worked_examples_come_out_at_the_published_number_of_turns(model, turns):
    for name, expected in turns.items():
        assert break_even(*WORKED[name], price_of(model)) == pytest.approx(expected, abs=0.55)


def test_an_hour_of_cache_costs_more_to_write_and_so_needs_longer():
    assert [round(break_even(*WORKED[n], HOUR)) for n in "ABC"] == [33, 83, 438]


def test_an_example_in_dollars():
    """Opus 5.5: $0.0650 to write 13,000 tokens, $0.0056 to read the old prefix, $0.0030 saved a turn."""
    price = price_of("claude-opus-5-5")
    assert price.bill(0, written=13_000) == pytest.approx(0.0650)
    assert price.bill(0, read=28_000) == pytest.approx(0.0056)
    assert price.bill(0, read=15_000) == pytest.approx(0.0030)
    assert break_even(*WORKED["A"], price) == pytest.approx((0.0650 - 0.0056) / 0.0030)


@pytest.mark.parametrize(
    ("model", "base", "read"),
    [
        ("gemini-2.5-flash", 0.30, 0.03),
        ("gemini-3.6-flash", 1.5, 0.15),
        ("gemini-3-flash-preview", 0.5, 0.05),
        ("gpt-4o-mini", 0.15, 0.075),
        ("gpt-4.1-nano", 0.10, 0.025),
        ("gpt-5.5-pro", 30.0, 30.0),
        ("o3-mini", 1.1, 0.55),
        ("gpt-4-turbo-2024-04-09", 10.0, 10.0),
        ("gpt-4-0613", 30.0, 30.0),
        ("claude-3-opus-20240229", 15.0, 1.5),
        ("claude-3-haiku-20240307", 0.25, 0.03),
        ("claude-3-7-sonnet-20250219", 3.0, 0.3),
        ("deepseek-flash", 0.30, 0.006),
        ("x-ai/grok-4.6", 2.0, 0.5),
        ("grok-4-0709", 3.0, 0.75),
        ("claude-fable-5", 10.0, 1.0),
        ("claude-fable-5-1", 10.0, 0.25),
        ("claude-fable-5-2", 8.0, 0.20),
    ],
)
def test_a_model_is_not_priced_as_the_larger_or_smaller_one_that_its_name_begins_with(model, base, read):
    assert (price_of(model).base, price_of(model).read) == (base, read)


def test_a_profile_has_the_prices_of_the_day_that_it_is_asked_for():
    """An announced change comes into force on its day; without a day the tables' own holds."""
    for model, day, before, after in (
        ("gemini-4-argon", "2026-12-01", 2.0, 4.0),
        ("google:gemini-3.8-flash", "2027-01-01", 0.75, 1.5),
    ):
        assert profile(model).price.base == profile(model, on="2026-11-30").price.base == before
        assert profile(model, on=day).price.base == profile(model, on="2028-02-29").price.base == after
    with pytest.raises(ConfigError, match="2026-11-22"):
        profile("gemini-4-argon", on="22.11.2026")


def test_a_memory_reckons_with_the_prices_of_its_clock():
    """Its own model's and those of a model that it is asked about."""
    with OpticalMemory("sqlite://", model="gemini-4-argon", clock=lambda: datetime(2027, 1, 2, tzinfo=UTC)) as memory:
        assert memory.profile.price.base == 4.0
        assert memory.settings("gemini-3.8-flash").profile.price.base == 1.5


def test_no_row_of_prices_hides_another():
    """Each prefix stands once for each day on which its price began."""
    seen = [(prefix, row.get("since", "")) for row in tables.data()["price"] for prefix in row["models"]]
    assert len(seen) == len(set(seen))


tokens = st.integers(0, 200_000)
prices = st.builds(
    Price,
    base=st.floats(0.01, 20),
    read=st.floats(0.001, 20),
    write=st.floats(0.01, 40),
    ttl=st.sampled_from([0.0, 300.0]),
)


@given(tokens, tokens, tokens, st.floats(0, 10_000), prices)
def test_a_step_pays_exactly_when_the_two_bills_say_so(old, new, suffix, turns, price):
    """Keep: read the prefix now and in each later turn. Change: write it now, read the smaller one later."""
    behind, saved = old + suffix, old - new
    gained = turns * price.read * saved - (price.write * (behind - saved) - price.read * behind)
    if price.ttl == 0:
        assert step_pays(old, new, suffix, turns, price) == (saved > 0)
    elif abs(gained) > 1e-6 * (1 + turns * price.read * abs(saved) + price.write * behind):
        assert step_pays(old, new, suffix, turns, price) == (saved > 0 and gained > 0)


@given(tokens, tokens, tokens, tokens, prices)
def test_more_text_behind_a_change_never_makes_it_pay_sooner(old, new, suffix, more, price):
    dearer = price.write >= price.read
    assert not dearer or break_even(old, new, suffix, price) <= break_even(old, new, suffix + more, price)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("claude-opus-5-5", 20_000), ("claude-opus-5", 14_100), ("gpt-5.4", 12_600), ("gpt-4o", 5_700)],
)
def test_the_batch_of_text_worth_turning_into_pages_is_the_published_one(model, tokens):
    assert flush_tokens(1000, 6000, 4, price_of(model)) == pytest.approx(tokens, rel=0.01)
    assert flush_tokens(1000, 6000, 1, price_of(model)) == inf


def test_a_change_that_saves_nothing_never_pays():
    assert break_even(100, 100, 0, HOUR) == break_even(100, 900, 0, HOUR) == inf
    assert not step_pays(100, 100, 0, 1e9, HOUR)


def test_a_prompt_over_a_long_context_step_is_billed_at_its_factor_as_a_whole():
    haiku = price_of("claude-haiku-5.5")
    assert haiku.bill(100_000) == pytest.approx(0.01)
    assert haiku.bill(100_001) == pytest.approx(0.05, rel=1e-4)
    assert haiku.bill(60_000, read=60_000) == pytest.approx(5 * (0.006 + 0.0006))


def test_an_announced_price_holds_from_its_day_on():
    assert price_of("gemini-3.8-flash", on="2026-12-31").base == 0.75
    assert price_of("gemini-3.8-flash", on="2027-01-01").base == 1.50
    assert price_of("gemini-4-argon").base == 2.0


@pytest.mark.parametrize("field", ["base", "write"])
def test_a_price_of_zero_is_refused_and_says_what_to_type_for_a_free_model(field):
    with pytest.raises(ConfigError, match=r"Price\(base=1, read=1, write=1, ttl=0\)"):
        Price(**{"base": 1.0, "read": 0.1, "write": 1.0, "ttl": 300.0} | {field: 0.0})


@pytest.mark.parametrize("value", [-1.0, nan, inf])
@pytest.mark.parametrize("field", ["base", "read", "write", "ttl"])
def test_a_price_that_is_no_price_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"Price\\({field}="):
        Price(**{"base": 1.0, "read": 0.1, "write": 1.0, "ttl": 300.0} | {field: value})
