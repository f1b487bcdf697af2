"""What holds for every thread and every configuration: the budget, completeness, order, pairs, stability."""

from __future__ import annotations

import base64
import itertools
import json
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from optical_memory import BudgetError, OpticalMemory
from optical_memory.cost import image_size, profile, text_tokens
from optical_memory.planning.tiers import RANK
from tests.mixture import MODELS, WORDS

sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
run = st.tuples(sentence, st.lists(st.tuples(st.integers(1, 3), sentence), max_size=4), sentence | st.none())


def messages(runs: list) -> list[dict]:
    """Runs of (user text, tool rounds of (number of parallel calls, output), answer) as OpenAI-style messages."""
    out: list[dict] = []
    for said, rounds, answer in runs:
        out.append({"role": "user", "content": said})
        for calls, output in rounds:
            ids = [f"c{len(out)}_{n}" for n in range(calls)]
            out.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": i, "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": i})}} for i in ids
            ]})  # fmt: skip
            out += [{"role": "tool", "tool_call_id": i, "content": output * 3} for i in ids]
        if answer:
            out.append({"role": "assistant", "content": answer})
    return [m | {"id": f"m{n}"} for n, m in enumerate(out)]


threads = st.lists(run, min_size=1, max_size=14).map(messages)
EXAMPLES = int(os.environ.get("OPTICAL_MEMORY_EXAMPLES", "4"))  # the slow run takes many more
slow = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def counted(context, model: str) -> int:
    """Tokens of what is really in the messages, counted anew."""
    rules, used = profile(model), 0
    for message in context.messages:
        used += rules.message_overhead
        for block in message.content if isinstance(message.content, list) else [message.content]:
            if isinstance(block, str) or block["type"] == "text":
                used += text_tokens(block if isinstance(block, str) else block["text"], model)
            else:
                used += rules.image(*image_size(base64.b64decode(block["base64"])))
        for call in getattr(message, "tool_calls", []):
            used += (
                text_tokens(call["name"] + json.dumps(call["args"], ensure_ascii=False), model) + rules.call_overhead
            )
    return used


def assert_pairs_whole(found: list) -> None:
    waiting: list[str] = []
    for message in found:
        if message.type == "tool":
            assert message.tool_call_id in waiting
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting, "a call was parted from its results"
            waiting = [c["id"] for c in getattr(message, "tool_calls", [])]
    assert not waiting


def covered(context) -> list[int]:
    shown = [turns for s in context.segments if s.kind != "recalled" for turns in s.shown]
    return [n for first, last in sorted([*shown, *context.left_out]) for n in range(first, last + 1)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens memories on one database, each example with a thread of its own: making a database takes longer than a context."""
    file, names = tmp_path_factory.mktemp("properties") / "memory.db", itertools.count()
    return lambda **settings: (OpticalMemory(file, **settings), f"t{next(names)}")


@slow
@given(threads, st.sampled_from(MODELS), st.integers(60, 3_000), st.integers(0, 200), st.integers(0, 14))
def test_a_context_keeps_its_budget_and_accounts_for_every_turn(opened, rows, model, budget, reserved, keep):
    """At most `budget` with what is reserved, pairs whole, every turn shown once or left out, in order; or a BudgetError."""
    memory, t = opened(model=model, budget=budget, keep=("turns", keep))
    with memory:
        memory.remember(t, rows)
        try:
            context = memory.context(t, reserved=reserved)
        except BudgetError as error:
            assert error.needed + reserved > budget == error.budget
            return
        assert context.tokens + reserved <= budget
        assert counted(context, model) <= context.tokens
        assert_pairs_whole(context.messages)
        assert covered(context) == list(range(1, len(memory.turns(t)) + 1))
        numbers = [s.turns[0] for s in context.segments if s.turns and s.kind != "recalled"]
        assert numbers == sorted(numbers)
        if rows[-1]["role"] == "user":
            assert context.messages[-1].content == rows[-1]["content"]


@slow
@given(threads, st.sampled_from(MODELS), st.integers(200, 2_000))
def test_the_same_thread_and_settings_give_the_same_context(opened, rows, model, budget):
    """Two threads, filled in one go or message by message, show the same."""
    contexts = []
    for ends in ([len(rows)], range(1, len(rows) + 1)):
        memory, t = opened(model=model, budget=budget)
        with memory:
            for end in ends:
                memory.remember(t, rows[:end])
            try:
                contexts.append([m.content for m in memory.context(t).messages])
            except BudgetError as error:
                contexts.append(str(error))
    assert contexts[0] == contexts[1]


def tiers(context) -> dict[int, int]:
    """Turn number to the rank of the tier at which it is shown; what a page leaves out is no better off than on a card."""
    ranks = {"current": 0, "excerpt": RANK["card"], **RANK}
    out: dict[int, int] = {}
    for segment in context.segments:
        if segment.turns and segment.kind in ranks:
            shown = {n for first, last in segment.shown for n in range(first, last + 1)}
            whole = range(segment.turns[0], segment.turns[1] + 1)
            out |= {n: ranks[segment.kind] if n in shown else max(ranks[segment.kind], RANK["card"]) for n in whole}
    return out


@slow
@given(st.lists(run, min_size=6, max_size=16), st.sampled_from(MODELS), st.integers(600, 2_500))
def test_resolution_never_rises_with_age(opened, runs, model, budget):
    """As a thread grows, no turn is ever shown sharper than it was before, nor is one said to be."""
    seen: dict[int, int] = {}
    told: dict[int, int] = {}
    memory, t = opened(model=model, budget=budget, keep=("turns", 3))
    with memory:
        for n in range(1, len(runs) + 1):
            memory.remember(t, messages(runs[:n]))
            try:
                now = tiers(memory.context(t))
            except BudgetError:
                return
            said = {turn.number: RANK[turn.tier] for turn in memory.turns(t) if turn.tier in RANK}
            assert [(n, seen[n], rank) for n, rank in now.items() if rank < seen.get(n, 0)] == []
            # a card is of all turns of its page, those too that the page left out and that were behind the handle till then
            assert [(n, told[n], rank) for n, rank in said.items() if rank < min(told.get(n, 0), RANK["card"])] == []
            seen |= now
            told |= said


@pytest.mark.slow
@slow
@given(st.lists(run, min_size=3, max_size=7), st.sampled_from(MODELS), st.integers(800, 3_000))
def test_a_new_turn_leaves_what_stands_before_it_unless_a_step_is_due(opened, runs, model, budget):
    """Between steps the old context is a prefix of the new one, message by message."""
    memory, t = opened(model=model, budget=budget, keep=("turns", 3))
    with memory:
        before = None
        rows = messages(runs)
        for n in range(1, len(rows) + 1):
            if rows[n - 1]["role"] == "assistant" and rows[n - 1].get("tool_calls"):
                continue
            memory.remember(t, rows[:n])
            if n < len(rows) and rows[n]["role"] == "tool":
                continue
            try:
                after = memory.context(t)
            except BudgetError:
                return
            if before is not None and not after.reason:
                old = [m.content for m in before.messages]
                assert [m.content for m in after.messages][: len(old)] == old
            before = after


@pytest.mark.slow
@slow
@given(st.lists(run, min_size=3, max_size=6), st.integers(1_000, 3_000))
def test_within_a_run_only_the_budget_changes_a_tier(opened, runs, budget):
    """Between tool rounds a step has one reason only: that the next call would not fit."""
    memory, t = opened(model="ocr:tesseract", budget=budget)
    with memory:
        rows = messages(runs)
        for n in range(1, len(rows) + 1):
            memory.remember(t, rows[:n])
            if rows[n - 1]["role"] != "user":
                try:
                    assert memory.context(t).reason in ("", "forced", "first")
                except BudgetError:
                    return


@pytest.mark.parametrize("query", ['"', "NEAR(", "a* OR", "turns 1-2", "你好", "\x00", "(((", ""])
def test_no_query_is_an_error(opened, query):
    """Whatever a model asks for, recall answers."""
    memory, t = opened(model="ocr:tesseract")
    with memory:
        memory.remember(t, messages([("hello 你好", [], "hi")]))
        assert isinstance(memory.recall(t, query), list)
