"""An agent with the memory: within budget on every call, stable within a run, nothing of ours in its state."""

from __future__ import annotations

from itertools import pairwise

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from tests.langchain.conftest import agent, assert_pairs_whole, billed, images, looks, on, say, seen
from tests.langchain.scripted import Scripted, calling


def questions(count: int) -> list[str]:
    return [f"Question {n}: what do the parts of order {n} say?" for n in range(1, count + 1)]


SLACK = 0.98  # the memory rounds each turn up, and so counts a little more than the test


def kept_prefixes(model: Scripted, budget: int) -> int:
    """How many calls within a run begin with the bytes of the call before: all but those that the budget forbids."""
    kept = 0
    for before, after in pairwise(model.calls):
        if after[-1].type != "tool":
            continue
        same = seen(after)[: len(before)] == seen(before)
        news = after[max(i for i, m in enumerate(after) if m.type == "ai") :]
        assert same or billed([*before, *news], model.offered) > SLACK * budget, "the prefix changed without need"
        kept += same
    return kept


@pytest.mark.parametrize("turns", [16, pytest.param(40, marks=pytest.mark.slow)])
async def test_many_turns_keep_budget_prefix_and_state_and_async_does_the_same(make, turns):
    """User turns with tools: every call within budget, prefix kept in each run, no image in state, async the same.

    Without automatic recall, which takes a fourth of so small a budget here, and so more steps.
    """
    sync, other = Scripted(play=looks(1)), Scripted(play=looks(1))
    first = agent(sync, make("sync.db"), checkpointer=InMemorySaver(), automatic_recall=False)
    second = agent(other, make("async.db"), checkpointer=InMemorySaver(), automatic_recall=False)
    for turn, question in enumerate(questions(turns)):
        state = first.invoke(say(question), on("t"))
        if turn < 12:
            await second.ainvoke(say(question), on("t"))
    assert len(sync.calls) == 2 * turns
    assert max(billed(call, sync.offered) for call in sync.calls) <= 6_000
    assert sum(images(call) for call in sync.calls) > 10, "the test is too small to show a page"
    assert kept_prefixes(sync, 6_000) >= turns // 2
    for call in sync.calls:
        assert_pairs_whole(call)
    assert len(state["messages"]) == turns * 4
    assert images(state["messages"]) == 0
    assert not any(m.additional_kwargs for m in state["messages"])
    assert len(other.calls) == 24
    assert [seen(call) for call in sync.calls[:24]] == [seen(call) for call in other.calls]


@pytest.mark.slow
@pytest.mark.parametrize(("rounds", "budget", "most"), [(60, 6_000, 15), (300, 16_000, 60)])
def test_a_long_run_under_one_user_message_is_stepped_between_rounds(make, rounds, budget, most):
    """60 and 300 tool rounds after one message: within budget on every call, the question stays, and steps are rare."""
    model, memory = Scripted(play=looks(rounds)), make(budget=budget)
    agent(model, memory, checkpointer=InMemorySaver()).invoke(say("Read all the parts, mind the order 4711."), on("t"))
    assert len(model.calls) == rounds + 1
    assert max(billed(call, model.offered) for call in model.calls) <= budget
    for call in model.calls:
        assert_pairs_whole(call)
        assert any("mind the order 4711" in str(m.content) for m in call)
    pairs = pairwise(model.calls)
    steps = sum(1 for before, after in pairs if seen(after)[: len(before)] != seen(before))
    assert 1 <= steps <= most
    assert len(memory.turns("t")) == rounds + 2


def test_the_answer_is_remembered_when_the_run_ends(make):
    """After a run the memory holds all of it, the answer too, each message once."""
    memory, model = make(), Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=InMemorySaver())
    for question in questions(3):
        runner.invoke(say(question), on("t"))
    turns = memory.turns("t")
    assert [t.role for t in turns] == ["user", "assistant", "assistant"] * 3
    assert turns[-1].text == "That is all I found after 1 looks."


def test_the_graphs_own_message_objects_are_never_changed(make):
    """What the model is sent may differ, but the state's messages keep content and marks, reasoning included."""

    def play(messages):
        if len(messages) > 40:
            return AIMessage("done")
        thought = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I look. " * 60}]
        return AIMessage(thought)

    memory, saver = make(budget=1_500), InMemorySaver()
    runner = agent(Scripted(play=play), memory, checkpointer=saver)
    for question in questions(12):
        state = runner.invoke(say(question), on("t"))
    answers = [m for m in state["messages"] if m.type == "ai"]
    assert all(m.content[0]["type"] == "thinking" for m in answers)


def test_old_text_comes_back_by_itself_and_by_the_tool(make):
    """A fact from the first turn stands before a question that asks for it, and the tool returns it word for word."""

    def play(messages):
        last = messages[-1]
        if last.type == "tool" and last.name == "recall_memory":
            return AIMessage(f"It is in {last.content}")
        if "gate code" in str(last.content) and "what" in str(last.content):
            return calling("recall_memory", 1, query="gate code Bergen")
        return looks(1)(messages) if "Question" in str(last.content) else AIMessage("Noted.")

    memory, model = make(budget=2_000), Scripted(play=play)
    runner = agent(model, memory, checkpointer=InMemorySaver())
    runner.invoke(say("The gate code in Bergen is 8841-kestrel."), on("t"))
    for question in questions(12):
        runner.invoke(say(question), on("t"))
    state = runner.invoke(say("what was the gate code in Bergen?"), on("t"))
    asked = model.calls[-2]
    assert any("8841-kestrel" in str(m.content) and m.additional_kwargs.get("lc_source") for m in asked)
    assert "8841-kestrel" in state["messages"][-1].content
    assert "turn 1, user" in state["messages"][-2].content


def test_without_automatic_recall_and_tool_the_model_gets_neither(make):
    """Both can be switched off."""
    model = Scripted(play=looks(0))
    agent(model, make(), recall_tool=False, automatic_recall=False).invoke(say("Hello"), on("t"))
    assert [t.name for t in model.offered] == ["look"]
    assert seen(model.calls[0][1:]) == seen([HumanMessage("Hello")])
