"""Bills by the provider's cache rules, other ways to tell the same conversation, and what usage teaches."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.cost import Price, price_of, tables
from optical_memory.cost.ledger import (
    Call,
    Correction,
    Moment,
    Talk,
    TurnSize,
    bill,
    bills,
    clear,
    ledger,
    made,
    moments,
    plain_text,
    real,
    summarise,
    trim,
)
from optical_memory.errors import ConfigError

OPUS = price_of("claude-opus-5-5")
PLAIN = Price(base=1.0, read=0.1, write=1.25, ttl=300, min_prefix=1_000, steps=((10_000, 2.0),), output=5.0)


def told(turns: list[TurnSize], system: int = 3_000) -> Talk:
    return Talk(tuple(turns), moments(turns), system)


# ------------------------------------------------------------------------------------------- bills


def test_a_warm_call_reads_what_it_shares_and_writes_the_rest():
    first, second = bills([Call(4_000), Call(5_000, prefix=4_000, idle=60)], PLAIN)
    assert (first.read, first.written, first.fresh) == (0, 4_000, 0)
    assert (second.read, second.written) == (4_000, 1_000)
    assert second.money == pytest.approx((4_000 * 0.1 + 1_000 * 1.25) / 1e6)


@pytest.mark.parametrize(("idle", "read"), [(299, 4_000), (300, 4_000), (300.1, 0), (None, 0)])
def test_the_cache_is_read_only_within_its_life(idle, read):
    assert bill([Call(4_000), Call(5_000, prefix=4_000, idle=idle)], PLAIN).read == read


def test_prompts_and_prefixes_below_the_minimum_are_not_cached():
    short = bill([Call(900), Call(950, prefix=900, idle=1)], PLAIN)
    assert (short.fresh, short.read, short.written) == (1_850, 0, 0)
    assert bill([Call(4_000), Call(5_000, prefix=999, idle=1)], PLAIN).read == 0


def test_a_prefix_that_was_never_cached_is_not_read():
    """The call before was too short to be cached, so there is nothing to read although the prompt begins alike."""
    assert bill([Call(900), Call(2_000, prefix=900, idle=1)], PLAIN).read == 0


def test_without_a_cache_everything_is_fresh():
    none = Price(base=2.0, read=2.0, write=2.0, ttl=0)
    total = bill([Call(4_000), Call(5_000, prefix=4_000, idle=1)], none)
    assert (total.fresh, total.money) == (9_000, pytest.approx(9_000 * 2e-6))


def test_a_call_above_a_price_step_costs_its_factor_and_is_counted():
    under, over = bills([Call(10_000), Call(10_001)], PLAIN)
    assert (under.over, over.over) == (0, 1)
    assert over.money == pytest.approx(2 * under.money, rel=1e-3)


def test_answers_cost_their_own_price_or_five_times_the_base():
    assert bill([Call(0, output=1_000)], PLAIN).money == pytest.approx(0.005)
    assert bill([Call(0, output=1_000)], OPUS).money == pytest.approx(0.02)


def test_what_the_provider_reports_is_billed_instead_of_a_simulation():
    told = bill([Call(5_000), Call(6_000, prefix=5_000, idle=1, read=0, written=2_000)], PLAIN)
    assert (told.read, told.written, told.fresh) == (0, 7_000, 4_000)


def test_automatic_recall_is_a_line_of_its_own_within_the_bill():
    total = bill([Call(4_000, recalled=1_000)], PLAIN)
    assert (total.recalled, total.recalled_money) == (1_000, pytest.approx(total.money / 4))


def test_a_call_aside_leaves_the_conversations_cache_alone():
    calls = [Call(4_000), Call(9_000, idle=1, aside=True), Call(5_000, prefix=4_000, idle=1)]
    total = bill(calls, PLAIN)
    assert (total.read, total.fresh, total.calls) == (4_000, 9_000, 3)


@pytest.mark.parametrize("wrong", [{"prefix": 5}, {"read": 3, "written": 3}, {"recalled": 5}, {"output": -1}])
def test_usage_that_contradicts_the_request_is_refused_and_says_what_to_pass(wrong):
    with pytest.raises(ConfigError, match="cached tokens included"):
        Call(4, **wrong)


steps = st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 1), st.floats(0, 600)), min_size=1, max_size=20)


@given(steps)
def test_every_token_is_billed_once(drawn):
    calls = [Call(tokens, int(share * tokens), idle) for tokens, share, idle in drawn]
    total = bill(calls, PLAIN)
    assert total.input == sum(c.tokens for c in calls)
    assert min(total.read, total.written, total.fresh) >= 0


@given(steps)
def test_a_longer_shared_prefix_never_costs_more(drawn):
    longer = [Call(tokens, tokens, idle) for tokens, _, idle in drawn]
    shorter = [Call(tokens, int(share * tokens), idle) for tokens, share, idle in drawn]
    assert bill(longer, PLAIN).money <= bill(shorter, PLAIN).money + 1e-12


# ------------------------------------------------------------------------------------------- other ways


@pytest.mark.parametrize(
    ("model", "chars_per_token", "usd"),
    [("claude-opus-5-5", 2.9, 7.00), ("claude-sonnet-5", 2.9, 6.31), ("gpt-6-sol", 4.2, 4.39), ("gemini-3.8-flash", 4.0, 1.69)],
)  # fmt: skip
def test_cached_plain_text_over_200_turns_costs_the_published_sum(model, chars_per_token, usd):
    talk = told(made(200, 4_000, chars_per_token=chars_per_token))
    assert bill(plain_text(talk), price_of(model)).money == pytest.approx(usd, abs=0.011)


def test_plain_text_only_ever_appends():
    calls = plain_text(told(made(20)))
    assert [c.prefix for c in calls[1:]] == [c.tokens for c in calls[:-1]]


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.sampled_from([1.0, 0.75, 0.5, 0.25]))
def test_trim_keeps_to_its_window_or_to_one_turn(sizes, low):
    talk = told([TurnSize(size) for size in sizes], system=1_000)
    for call in trim(talk, 8_000, low):
        assert call.tokens <= 8_000 or call.shown["text"] == 1
        assert call.shown["text"] + call.shown["gone"] == call.at
        assert call.prefix <= call.tokens


def test_hysteresis_changes_the_prefix_seldom_and_costs_a_fraction():
    talk = told(made())
    hard, soft = trim(talk, 32_000), trim(talk, 32_000, 0.5)
    assert sum(bool(c.reason) for c in soft) * 10 < sum(bool(c.reason) for c in hard)
    assert bill(soft, OPUS).money * 5 < bill(hard, OPUS).money


def test_clearing_takes_old_tool_results_only_and_only_when_it_frees_enough():
    talk = told([TurnSize(1_000, role="user"), *[TurnSize(1_000, role="assistant", results=800)] * 9], system=0)
    calls = clear(talk, trigger=6_000, keep=3, least=2_000)
    cleared = [c for c in calls if c.reason]
    assert cleared[0].at == 7
    assert cleared[0].tokens == 7_000 - 3 * 790
    assert cleared[0].prefix == 1_000
    assert calls[-1].shown["text"] == pytest.approx(10 - 0.8 * 6)
    assert not any(c.reason for c in clear(talk, trigger=6_000, keep=3, least=50_000))


def test_a_summary_is_paid_for_as_a_call_of_its_own():
    talk = told([TurnSize(1_000)] * 10, system=0)
    calls = summarise(talk, 5_000, keep=0.5, length=200)
    aside = next(c for c in calls if c.aside)
    after = calls[calls.index(aside) + 1]
    assert (aside.tokens, aside.output, after.tokens) == (300 + 4_000, 200, 200 + 2_000)
    assert after.shown == {"text": 2, "summary": 4}


def test_a_call_is_made_after_each_turn_that_is_answered():
    turns = [
        TurnSize(10),
        TurnSize(20, role="assistant", results=5),
        TurnSize(5, role="assistant"),
        TurnSize(10, idle=500),
    ]
    assert moments(turns) == (Moment(1), Moment(2, 60.0), Moment(4, 560.0))


def test_real_rows_take_the_role_tool_as_a_tool_round():
    assert real([("user", 40, 10), ("tool", 80, 20)]) == [TurnSize(10, 40), TurnSize(20, 80, "tool", 20)]


@pytest.mark.parametrize("wrong", [{"tokens": -1}, {"tokens": 1, "results": 2}, {"tokens": 1, "idle": -1.0}])
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="sizes of 0 or more"):
        TurnSize(**wrong)


@pytest.mark.parametrize("wrong", [{"turns": 0}, {"chars": 0}, {"asks": 0}, {"results": 2.0}, {"chars_per_token": 0}])
def test_a_conversation_that_cannot_be_made_is_refused(wrong):
    with pytest.raises(ConfigError, match="give at least one turn"):
        made(**wrong)


# ------------------------------------------------------------------------------------------- the ledger


def test_the_ledger_sets_what_was_spent_beside_every_other_way():
    turns = made(60)
    sent = trim(told(turns), 20_000, 0.4)
    book = ledger(sent, turns, OPUS, 32_000)
    assert list(book.instead) == ["plain text", "trim", "trim with hysteresis", "clear tool results", "summary"]
    assert book.spent == bill(sent, OPUS)
    assert book.saved() == pytest.approx(1 - book.spent.money / book.instead["plain text"].money)
    assert [row["policy"] for row in book.rows()][:3] == ["spent", "of it recalled", "plain text"]
    assert json.loads(json.dumps(book.to_json()))["ratio"] == round(book.ratio, 4)


def test_the_form_of_a_ledger_for_other_programs_is_this():
    """Tokens by what they cost, money, cache reads and writes, and automatic recall within them, for each way."""
    told_of = ledger(trim(told(made(20)), 20_000), made(20), OPUS, 32_000).to_json()
    assert set(told_of) == {"spent", "instead", "ratio", "saved", "assumptions"}
    bill_keys = {"calls", "fresh", "read", "written", "output", "recalled", "over", "money", "recalled_money", "input"}
    assert all(set(one) == bill_keys for one in (told_of["spent"], *told_of["instead"].values()))
    assert set(told_of["saved"]) == set(told_of["instead"])


def test_the_ratio_counts_everything_that_was_sent():
    """Recalled text and labels are in a call's tokens, so they lower the ratio; there is no other ratio."""
    turns = [TurnSize(1_000)] * 4
    lean = [Call(2_000, at=n) for n in (1, 2, 3, 4)]
    fat = [Call(2_500, at=n, recalled=500) for n in (1, 2, 3, 4)]
    plain = 1_000 + 2_000 + 3_000 + 4_000
    assert ledger(lean, turns, OPUS, 9_000, system=0).ratio == pytest.approx(plain / 8_000)
    assert ledger(fat, turns, OPUS, 9_000, system=0).ratio == pytest.approx(plain / 10_000)


def test_other_ways_pause_and_answer_as_the_real_calls_did():
    """A retry is a call of its own, a break makes the cache cold, and long answers are paid for in every way."""
    turns = [TurnSize(2_000)] * 2
    sent = [
        Call(5_000, at=1, output=7),
        Call(5_000, 5_000, 1, at=1, output=9),
        Call(7_000, 5_000, 9_999, at=2, output=1),
    ]
    plain = ledger(sent, turns, OPUS, 9_000).instead["plain text"]
    assert (plain.calls, plain.output, plain.read, plain.written) == (3, 17, 5_000, 12_000)


def test_nothing_sent_makes_an_empty_ledger():
    book = ledger([], [], OPUS, 32_000)
    assert (book.ratio, book.saved(), book.spent.money) == (1.0, 0.0, 0.0)


def test_a_call_beyond_the_turns_given_is_refused():
    with pytest.raises(ConfigError, match="pass all turns"):
        ledger([Call(10, at=2)], [TurnSize(5)], OPUS, 1_000)


def test_every_assumption_is_a_sentence_with_its_figure():
    said = " ".join(ledger([], [], OPUS, 32_000).assumptions)
    for figure in ("300 s", "512 tokens", "32000", "3200", "1000 tokens", "price of answers is the table's"):
        assert figure in said
    assert "five times" in " ".join(ledger([], [], replace(OPUS, output=None), 32_000).assumptions)


def test_a_ledger_says_at_which_prices_and_whether_they_are_guessed():
    """Money at a price that no table holds must not look like money at a known one."""
    known, guessed = (" ".join(ledger([], [], price, 32_000).assumptions) for price in (OPUS, price_of("acme-7")))
    assert "$4 for a million tokens, $0.2 from the cache, $5 written to it" in known
    assert "guess" not in known
    assert "$5 for a million tokens, $0.5 from the cache, $6.25 written to it: a guess" in guessed


def test_every_price_in_the_tables_says_what_an_answered_token_costs():
    """The ledger's money is the whole call's; answers are dearer than what is asked everywhere."""
    for row in tables.data()["price"]:
        assert row["output"] > row["base"], row["models"]


# ------------------------------------------------------------------------------------------- learning from usage


def learned(*pairs: tuple[int, int]) -> Correction:
    correction = Correction()
    for predicted, billed in pairs:
        correction = correction.learn(predicted, billed)
    return correction


def test_a_correction_is_the_median_so_that_one_odd_call_does_not_move_it():
    assert learned(*[(1_000, 1_050)] * 9, (1_000, 9_000)).factor == 1.05


def test_two_calls_teach_nothing_yet():
    assert learned((1_000, 1_500), (1_000, 1_500)).factor == 1.0


def test_only_the_newest_pairs_count():
    correction = learned(*[(1_000, 1_900)] * 30, *[(1_000, 1_000)] * 25)
    assert (len(correction.pairs), correction.factor) == (25, 1.0)


@given(st.lists(st.tuples(st.integers(1_000, 2_000), st.integers(201, 9_999)), max_size=40))
def test_a_correction_stays_within_its_bounds(pairs):
    assert 0.5 <= learned(*pairs).factor <= 2.0


@pytest.mark.parametrize(("billed", "said"), [(1_021, "2.1% more"), (979, "2.1% less"), (3_000, "the most allowed")])
def test_drift_above_two_percent_is_told_with_what_to_type(billed, said):
    warning = learned(*[(1_000, billed)] * 5).drift("claude-x")
    assert said in warning
    assert "register_model('claude-x'" in warning


@pytest.mark.parametrize("billed", [981, 1_000, 1_020])
def test_drift_up_to_two_percent_is_not_told(billed):
    assert learned(*[(1_000, billed)] * 5).drift("claude-x") is None


@pytest.mark.parametrize(("predicted", "billed"), [(0, 10), (10, 0), (10, -1), (1_000, 99), (1_000, 10_001)])
def test_usage_of_another_request_is_refused_and_says_what_to_pass(predicted, billed):
    with pytest.raises(ConfigError, match="pass the usage_metadata of the answer"):
        Correction().learn(predicted, billed)
