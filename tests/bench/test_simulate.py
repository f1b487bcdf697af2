"""What a conversation costs call by call.

Assumed where nothing else is said: 200 turns of 4,000 characters, 3,000 tokens before every call, 2.9 characters per token,
Opus 5.5 prices with a cache of 5 minutes that is always warm, and a budget of 32,000 tokens for ours.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.bench.simulate import (
    Comparison,
    Density,
    Falling,
    Frozen,
    Ours,
    PlainText,
    Trim,
    compare,
    density,
    made,
    policies,
    readable,
    real,
    simulate,
    uncached,
)
from optical_memory.config import MemoryConfig
from optical_memory.cost import price_of, profile
from optical_memory.cost.ledger import SYSTEM, TurnSize
from optical_memory.errors import ConfigError
from optical_memory.planning.decay import staircase

OPUS = price_of("claude-opus-5-5")
PROSE = "The ferry leaves at noon, and nobody on the quay has seen the harbour master since Monday. " * 400


@cache
def warm() -> Comparison:
    return compare(made(), OPUS)


# ------------------------------------------------------------------------------------------- the ranking


def test_ours_costs_at_most_six_tenths_of_cached_plain_text():
    ours, plain = warm().ours.money, warm().named("plain text").money
    assert plain == pytest.approx(7.00, abs=0.01)
    assert ours <= 0.6 * plain
    assert ours == pytest.approx(3.37, rel=0.1)


def test_ours_costs_no_more_than_frozen_pages_and_fifteen_percent():
    """Frozen pages have no budget: 88,000 tokens at their peak, where ours keeps to 32,000."""
    frozen = warm().named("frozen pages")
    assert frozen.money == pytest.approx(3.58, abs=0.02)
    assert warm().ours.money <= 1.15 * frozen.money
    assert warm().ours.peak <= 32_000 < frozen.peak


def test_a_resolution_that_falls_every_turn_is_several_times_dearer_than_plain_text():
    falling = warm().named("falls every turn").money
    assert falling == pytest.approx(41.9, rel=0.02)
    assert falling > 5 * warm().named("plain text").money


def test_at_equal_money_pages_keep_more_turns_readable_than_the_best_trim():
    equal = warm().equal_money
    assert equal.money == pytest.approx(warm().ours.money, rel=0.03)
    assert warm().better == "pages"
    assert warm().ours.readable > equal.readable
    assert warm().ours.least > 1.5 * equal.least
    assert "pages keep more for the money" in warm().words


def test_at_equal_tokens_pages_keep_twice_as_many_turns_readable():
    equal = warm().equal_tokens
    assert equal.tokens == pytest.approx(warm().ours.tokens, rel=0.03)
    assert warm().ours.readable > 2 * equal.readable


def test_at_a_compression_of_1_4_text_is_the_better_choice_and_is_said_to_be():
    found = compare(made(), OPUS, Ours(density=Density(1.4 * 2.9, None, None)))
    assert found.better == "text"
    assert found.words.endswith("text is the better choice")


def test_much_kept_text_and_a_high_low_mark_cost_nearly_as_much_as_plain_text():
    """A negative example: twelve long turns kept and steps that free little are forced at every fifth call."""
    eager = Ours(keep=("turns", 12), low_mark=0.8, schedule=staircase())
    found = compare(made(), OPUS, eager)
    assert found.ours.money > 0.7 * found.named("plain text").money
    assert found.better == "text"


def test_with_a_cache_cold_at_every_tenth_call_ours_costs_less_than_a_quarter_of_plain_text():
    found = compare(made(), OPUS, cold=10)
    assert found.named("plain text").money == pytest.approx(19.86, abs=0.02)
    assert found.ours.money < 0.25 * found.named("plain text").money
    assert found.ours.money < found.named("frozen pages").money < found.named("plain text").money
    assert found.ours.readable > 1.5 * found.equal_money.readable


def test_where_no_cache_is_ever_warm_ours_sends_few_tokens_and_keeps_most_readable():
    cold, none = compare(made(), OPUS, cold=1), compare(made(), uncached(OPUS))
    assert cold.named("plain text").money == pytest.approx(141.6, abs=0.1)
    for found in (cold, none):
        assert found.ours.money < 0.2 * found.named("plain text").money
        assert found.ours.readable > 2 * found.equal_money.readable


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "chars_per_token", "pages", "share"),
    [
        ("claude-sonnet-5", 2.9, Density(), 0.45),
        ("gpt-6-sol", 4.2, Density(6.3, None, None), 0.5),
        ("gemini-3.8-flash", 4.0, Density(13.4, 17.9, None), 0.45),
    ],
)
def test_other_prices_keep_the_order(model, chars_per_token, pages, share):
    ours = Ours(density=pages, chars_per_token=chars_per_token)
    found = compare(made(chars_per_token=chars_per_token), price_of(model), ours)
    assert found.ours.money < share * found.named("plain text").money < found.named("falls every turn").money


# ------------------------------------------------------------------------------------------- what holds for any conversation

sizes = st.lists(
    st.builds(
        lambda tokens, role: TurnSize(tokens, 3 * tokens, role, tokens // 2 if role == "assistant" else 0, 60.0),
        st.integers(2, 9_000), st.sampled_from(["user", "assistant"]),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(12_000, 40_000), st.sampled_from([0, 300]))
def test_ours_keeps_its_budget_and_shows_every_turn_somewhere(turns, budget, recall):
    for call in simulate(turns, Ours(budget=budget, recall=recall), OPUS).turns:
        assert call.tokens <= budget
        assert sum(call.shown.values()) == call.at


@settings(max_examples=20, deadline=None)
@given(sizes)
def test_the_same_conversation_gives_the_same_figures(turns):
    assert simulate(turns, Ours(), OPUS).to_json() == simulate(turns, Ours(), OPUS).to_json()


@settings(max_examples=20, deadline=None)
@given(sizes)
def test_no_policy_takes_more_for_its_prefix_than_the_call_before_sent(turns):
    for policy in policies(Ours()):
        calls = simulate(turns, policy, OPUS).turns
        assert all(now.prefix <= before.tokens for before, now in pairwise(calls))


def test_a_turn_longer_than_the_budget_is_cut_and_the_talk_goes_on():
    turns = [TurnSize(1_000, 3_000), TurnSize(50_000, 150_000, "assistant", 49_000), TurnSize(1_000, 3_000)]
    calls = simulate(turns, Ours(budget=16_000), OPUS).turns
    assert [call.reason for call in calls] == ["", "cut", "forced"]
    assert max(call.tokens for call in calls) == 16_000


def test_between_steps_ours_only_appends():
    calls = warm().ours.turns
    pairs = list(pairwise(calls))
    assert all(now.prefix == before.tokens for before, now in pairs if not now.reason)
    assert warm().ours.steps == sum(now.prefix < before.tokens for before, now in pairs) < 25


def test_a_short_conversation_is_plain_text_in_every_way():
    turns = made(5)
    plain = simulate(turns, PlainText(), OPUS).money
    for policy in (Ours(), Trim(32_000), Frozen()):
        assert simulate(turns, policy, OPUS).money == pytest.approx(plain)
    assert compare(turns, OPUS).equal_money.name == "plain text"


def test_automatic_recall_is_counted_in_the_tokens_and_billed_on_its_own_line():
    plain, more = simulate(made(), Ours(), OPUS), simulate(made(), Ours(recall=500), OPUS)
    assert plain.bill.recalled == 0
    assert more.bill.recalled > 10_000
    assert 0 < more.bill.recalled_money < more.money


def test_pauses_of_a_real_conversation_make_the_cache_cold():
    turns = [replace(turn, idle=400.0) if n % 10 == 0 else turn for n, turn in enumerate(made(60))]
    assert simulate(turns, PlainText(), OPUS).money == simulate(made(60), PlainText(), OPUS, cold=10).money


def test_roles_and_sizes_are_all_that_a_real_conversation_needs():
    rows = [("user", 400, 120), ("assistant", 900, 260), ("tool", 4_000, 1_300), ("user", 90, 30)]
    simulation = simulate(real(rows), Ours(), OPUS, system=0)
    assert [(row["turn"], row["tokens"]) for row in simulation.rows()] == [(1, 120), (3, 1_680), (4, 1_710)]


# ------------------------------------------------------------------------------------------- densities, settings, tables


def test_measured_densities_of_opus_are_near_those_assumed():
    found = density(profile("claude-opus-5-5"), 32_000, PROSE)
    assert found.vivid == pytest.approx(Density().vivid, rel=0.2)
    assert found.clear == pytest.approx(Density().clear, rel=0.2)
    assert found.dense is None


def test_a_tier_that_is_not_read_lends_its_density_from_the_nearest():
    assert Density(5.0, None, None).at("dense") == 5.0
    assert Density(None, 9.0, 14.0).at("vivid") == 9.0


def test_a_model_that_cannot_see_is_refused_by_name():
    with pytest.raises(ConfigError, match="cannot read pages"):
        density(profile("gpt-3.5-turbo"), 32_000, PROSE)


def test_a_sample_that_fills_no_page_is_refused():
    with pytest.raises(ConfigError, match="pass 1000 or more"):
        density(profile("claude-opus-5-5"), 32_000, "short")


@pytest.mark.parametrize("wrong", [{"vivid": 0.0}, {"vivid": None, "clear": None, "dense": None}])
def test_densities_that_draw_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="characters per image token"):
        Density(**wrong)


def test_the_settings_of_a_memory_are_simulated_as_they_are():
    config = MemoryConfig(budget=20_000, keep=("turns", 3), low_mark=0.5, horizon=7, facts=0.1, schedule="never")
    ours = Ours.of(config)
    assert (ours.budget, ours.keep, ours.low_mark, ours.horizon, ours.facts) == (20_000, ("turns", 3), 0.5, 7, 0.1)
    assert simulate(made(40), ours, OPUS).peak <= 20_000


@pytest.mark.parametrize("wrong", [{"turns": []}, {"cold": 0}, {"system": -1}])
def test_a_simulation_of_nothing_is_refused(wrong):
    with pytest.raises(ConfigError, match="give turns"):
        simulate(**{"turns": made(3), "policy": PlainText(), "price": OPUS} | wrong)


def test_tables_say_what_each_call_sent_and_are_safe_as_json():
    ours = warm().ours
    row = ours.rows()[-1]
    assert row["turn"] == 200
    assert row["read"] + row["written"] + row["fresh"] == row["tokens"]
    assert row["usd"] == pytest.approx(ours.money, abs=1e-5)
    assert row["readable"] == pytest.approx(readable(ours.turns[-1]), abs=0.01)
    assert sum(row["shown"].values()) == 200
    told = json.loads(json.dumps(warm().to_json()))
    assert [p["policy"] for p in told["policies"]][:2] == ["optical memory", "plain text"]
    assert len(told["ours"]["calls"]) == 200


def test_the_system_prompt_is_part_of_every_call():
    assert simulate(made(3), Ours(), OPUS).turns[0].tokens == SYSTEM + made(1)[0].tokens


def test_all_policies_over_200_turns_take_less_than_a_second():
    started = time.perf_counter()
    compare(made(), OPUS)
    assert time.perf_counter() - started < 1.0


def test_falling_pages_are_the_only_ones_that_change_every_call():
    steps = {policy.name: simulate(made(50), policy, OPUS).steps for policy in (Falling(), Frozen(), Ours())}
    assert steps["falls every turn"] >= 40 > 4 * max(steps["frozen pages"], steps["optical memory"])
