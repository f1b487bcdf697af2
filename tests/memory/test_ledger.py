"""What calls cost and would have cost: noted without being asked, billed when somebody says so, learned from."""

from __future__ import annotations

import logging

import pytest

from optical_memory import ConfigError, StoreError, ThreadNotFoundError
from optical_memory.memory.books import AGREE, factor
from tests.memory.test_facade import talk

CLAUDE = {"model": "claude-opus-4-5", "budget": 6_000}


def long_talk(n: int) -> list[dict]:
    """n messages of some 150 tokens."""
    return [m | {"content": m["content"] + " and so on, as one does on a quay" * 14} for m in talk(n)]


def converse(memory, clock, n: int, *, bill: float | None = None, **options):
    """A call after each user message, a minute apart; with `bill` each is observed at that multiple of its prediction."""
    for end in range(1, n + 1, 2):
        context = memory.project(long_talk(end), thread="t", reserved=500, **options)
        if bill is not None:
            used = round((context.tokens + context.reserved) * bill)
            memory.observe({"input_tokens": used, "output_tokens": 40}, context)
        clock.move(minutes=1)
    return context


@pytest.mark.slow
def test_a_ledger_needs_no_bill(make, clock):
    """Calls made by `project` are noted; plain text, trim, clear and a summary are told for the same calls."""
    memory = make(**CLAUDE)
    converse(memory, clock, 121)
    found = memory.ledger("t")
    assert (found.calls, found.observed, found.spent.calls) == (61, 0, 61)
    assert set(found.instead) == {"plain text", "trim", "trim with hysteresis", "clear tool results", "summary"}
    assert found.ratio > 1.5
    assert 0 < found.spent.money < found.instead["plain text"].money
    assert found.spent.read > found.spent.written > 0
    assert sum(found.tiers.values()) == 121
    assert "61 of 61 calls have no bill" in " ".join(found.assumptions)
    assert found.to_json()["calls"] == 61


def test_the_ledger_is_the_same_in_the_next_process(make, clock):
    """What was noted is stored with later turns, or at the latest when the memory is closed."""
    memory = make(**CLAUDE)
    converse(memory, clock, 21)
    before = memory.ledger("t").to_json()
    memory.close()
    assert make(**CLAUDE).ledger("t").to_json() == before


def test_a_thread_that_was_only_remembered_has_an_empty_ledger(make):
    """No call, no money; an unknown thread is an error; a forgotten one takes its calls along."""
    memory = make(**CLAUDE)
    memory.remember("t", talk(4))
    assert memory.ledger("t").spent.calls == 0
    assert memory.ledger("t").ratio == 1.0
    with pytest.raises(ThreadNotFoundError):
        memory.ledger("u")
    memory.project(talk(5), thread="t")
    memory.forget("t")
    memory.remember("t", talk(4))
    assert memory.ledger("t").calls == 0


def test_a_bill_replaces_the_prediction_and_is_counted_once(make, clock):
    """Also where the answer was remembered before the bill came in, and for the provider's word on its cache."""
    memory = make(**CLAUDE)
    context = memory.project(long_talk(9), thread="t", reserved=500)
    memory.remember("t", long_talk(10))
    details = {"cache_read": 1_000, "cache_creation": 0, "ephemeral_5m_input_tokens": 700}
    memory.observe({"input_tokens": 2_000, "output_tokens": 50, "input_token_details": details}, context)
    spent = memory.ledger("t").spent
    assert (spent.calls, spent.read, spent.written, spent.fresh, spent.output) == (1, 1_000, 700, 300, 50)
    assert memory.stats("t").calls == {"calls": 1, "predicted": context.tokens + 500, "billed": 2_000}


def test_a_context_that_is_sent_twice_is_paid_twice(make):
    """Nothing has changed between two calls: the second reads all of the first."""
    memory = make(**CLAUDE)
    first = memory.project(long_talk(41), thread="t", reserved=500)
    second = memory.project(long_talk(41), thread="t", reserved=500)
    assert first.call != second.call
    spent = memory.ledger("t").spent
    assert (spent.calls, spent.read) == (2, second.tokens + 500)


@pytest.mark.slow
def test_automatic_recall_is_a_line_of_its_own(make, clock):
    """Tokens that came back by themselves are counted in the calls that sent them."""
    memory = make(**CLAUDE)
    converse(memory, clock, 121)
    told = [*long_talk(121), {"role": "user", "content": "What was ticket HX-1010 about?", "id": "q"}]
    context = memory.project(told, thread="t", query="ticket HX-1010", reserved=500)
    recalled = sum(s.tokens for s in context.segments if s.kind == "recalled")
    assert recalled > 0
    assert memory.ledger("t").spent.recalled == recalled


@pytest.mark.slow
def test_bills_above_the_prediction_leave_room_in_the_budget(make, clock, caplog):
    """10 % more than predicted: what is sent times 1.1 fits into the budget, `stats` says so, and one warning."""
    caplog.set_level(logging.WARNING, "optical_memory")
    memory = make(**CLAUDE)
    converse(memory, clock, 61, bill=1.1)
    assert memory.stats().calls["correction"] == pytest.approx({"claude-opus-4-5": 1.1}, abs=0.01)
    assert caplog.text.count("more input tokens than predicted") == 1
    again = make(**CLAUDE)  # another process starts from what is stored
    for each in (memory, again):
        context = each.project(long_talk(151), thread="t", reserved=500)
        assert (context.tokens + context.reserved) * 1.09 <= 6_000
        assert context.reserved == 500


def test_a_context_made_before_the_bills_came_in_is_not_sent_again(make):
    """Nothing was said since, but what fitted by the tables does not fit by the bills."""
    memory = make(model="claude-opus-4-5", budget=3_000, low_mark=1.0)
    for end in range(3, 60, 2):
        context = memory.project(long_talk(end), thread="t", reserved=200)
        if context.tokens > 2_300:
            break
    assert context.tokens > 2_300
    for _ in range(4):
        memory.observe({"input_tokens": 4_500, "output_tokens": 1}, context)
    after = memory.project(long_talk(context.end), thread="t", reserved=200)
    assert (after.tokens + 200) * 4_500 / (context.tokens + 200) <= 3_000


def test_lower_bills_widen_the_budget_only_when_twenty_agree(make):
    """And then no further than the highest of them."""
    memory = make(**CLAUDE)
    context = memory.project(long_talk(41), thread="t", reserved=500)
    predicted = context.tokens + 500
    for n in range(AGREE):
        learned = memory._books.correction("claude-opus-4-5")
        assert factor(learned) == 1.0, n
        memory.observe({"input_tokens": round(predicted * (0.9 if n else 0.95)), "output_tokens": 1}, context)
    learned = memory._books.correction("claude-opus-4-5")
    assert factor(learned) == pytest.approx(0.95, abs=0.001)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        ({"input_tokens": -3}, "input_tokens=-3"),
        ({"input_tokens": 12.5}, "input_tokens=12.5"),
        ({"input_tokens": 0, "output_tokens": 4}, "0 input tokens"),
        ({}, "0 input tokens"),
        ({"input_tokens": 10, "output_tokens": -1}, "output_tokens=-1"),
        ({"input_tokens": 5_000, "output_tokens": 2**31}, "output_tokens=2147483648"),
        ({"input_tokens": 50, "input_token_details": {"cache_read": 60}}, "60 of them read"),
        ({"input_tokens": 50, "input_token_details": {"cache_read": 30, "cache_creation": 30}}, "30 written"),
        ({"input_tokens": 900_000}, "900000 billed"),
    ],
)
def test_usage_that_contradicts_itself_or_the_request_is_refused(make, usage, words):
    """The error names the figures and what to pass; the call counts as predicted."""
    memory = make(**CLAUDE)
    context = memory.project(long_talk(21), thread="t", reserved=500)
    with pytest.raises(ConfigError, match=words) as caught:
        memory.observe(usage, context)
    assert "usage_metadata" in str(caught.value)
    assert (memory.ledger("t").calls, memory.ledger("t").observed) == (1, 0)


def test_the_bill_of_a_forgotten_thread_is_refused_and_leaves_nothing(make):
    """As any other question about it."""
    memory = make(**CLAUDE)
    context = memory.project(long_talk(5), thread="t")
    memory.forget("t")
    with pytest.raises(StoreError):
        memory.observe({"input_tokens": 800, "output_tokens": 1}, context)


def test_calls_of_an_edited_past_are_still_paid_for(make, clock):
    """The ledger goes on after a fork and says that some turns are gone."""
    memory = make(**CLAUDE)
    converse(memory, clock, 21)
    memory.project([*long_talk(3), {"role": "user", "content": "No, start again.", "id": "other"}], thread="t")
    found = memory.ledger("t")
    assert found.calls == 12
    assert "turns that were edited away" in " ".join(found.assumptions)


def test_tool_output_in_the_ledger_is_what_clearing_could_free(make):
    """The share of a tool round that is the tool's own words."""
    memory = make(model="claude-opus-4-5", budget=3_000)
    call = {"id": "c{}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = []
    for n in range(12):
        history += [
            {"role": "user", "content": f"Look at {n}.", "id": f"u{n}"},
            {"role": "assistant", "content": None, "tool_calls": [call | {"id": f"c{n}"}], "id": f"a{n}"},
            {"role": "tool", "tool_call_id": f"c{n}", "content": f"part {n} of the harbour " * 60, "id": f"r{n}"},
        ]
        memory.project(history, thread="t", reserved=100)
    instead = memory.ledger("t").instead
    assert instead["clear tool results"].input < 0.8 * instead["plain text"].input


# ------------------------------------------------------------------------------------------- observe only


@pytest.mark.slow
def test_observe_mode_sends_what_the_caller_has_and_prices_both(make, clock):
    """The caller's own objects go out; `would` is the context that the same memory makes in earnest."""
    from langchain_core.messages import AIMessage, HumanMessage

    given = [(HumanMessage, AIMessage)[i % 2](m["content"], id=m["id"]) for i, m in enumerate(long_talk(121))]
    watching, earnest = make("a.db", **CLAUDE, mode="observe"), make("b.db", **CLAUDE)
    for end in range(1, 122, 2):
        context = watching.project(given[:end], thread="t", reserved=500)
        other = earnest.project(given[:end], thread="t", reserved=500)
        assert all(a is b for a, b in zip(context.messages, given[:end], strict=True))
        assert [m.content for m in context.would.messages] == [m.content for m in other.messages]
        watching.observe({"input_tokens": context.tokens + 500, "output_tokens": 9}, context)
        clock.move(minutes=1)
    assert context.tokens > 2 * context.would.tokens
    mine, theirs = watching.ledger("t"), earnest.ledger("t")
    assert mine.spent.input == pytest.approx(mine.instead["plain text"].input, rel=0.005)  # rounded by turn there
    assert mine.ratio == pytest.approx(1.0, rel=0.005)
    assert mine.instead["optical memory"].input == theirs.spent.input
    assert mine.instead["optical memory"].read == theirs.spent.read
    assert (mine.tiers, mine.unreadable) == (theirs.tiers, theirs.unreadable)
    assert mine.unreadable


def test_observe_mode_goes_on_where_nothing_would_fit(make):
    """A newest message beyond the budget is the caller's business: it is sent, and `would` is None."""
    memory = make(budget=50, mode="observe")
    given = [{"role": "user", "content": "word " * 400, "id": "long"}]
    context = memory.project(given, thread="t")
    assert (context.messages, context.would) == (given, None)
    assert memory.ledger("t").calls == 1


def test_a_mode_that_does_not_exist_is_refused(make):
    """The error names what there is."""
    with pytest.raises(ConfigError, match="observe"):
        make(mode="watch")


async def test_the_ledger_has_a_twin(make):
    """`aledger` gives the same."""
    memory = make(**CLAUDE)
    await memory.aproject(talk(5), thread="t")
    assert (await memory.aledger("t")).to_json() == memory.ledger("t").to_json()
