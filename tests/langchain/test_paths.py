"""The awkward paths: interrupts, edits, retries, parallel calls, subagents, other models, no thread."""

from __future__ import annotations

from itertools import pairwise

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from optical_memory.langchain import OpticalMemoryMiddleware
from tests.langchain.conftest import agent, assert_pairs_whole, billed, images, look, looks, on, say, seen
from tests.langchain.scripted import Scripted, calling


def test_parallel_calls_stay_with_all_their_results(make):
    """Three calls in one message, over many rounds: pairs whole in every call to the model, all within budget."""
    model = Scripted(play=looks(12, parallel=3))
    agent(model, make(), checkpointer=InMemorySaver()).invoke(say("Look everywhere."), on("t"))
    for call in model.calls:
        assert_pairs_whole(call)
        assert billed(call, model.offered) <= 6_000


def approving(model, memory, saver):
    ours = OpticalMemoryMiddleware(memory, strict=True)
    return create_agent(model, [look], middleware=[HumanInTheLoopMiddleware({"look": True}), ours], checkpointer=saver)


def test_a_run_resumed_after_an_interrupt_goes_on_with_the_same_prefix(make):
    """A call waits for a person; after the approval the model sees the bytes it saw before, and the result."""
    memory, model = make(), Scripted(play=looks(1))
    runner = approving(model, memory, InMemorySaver())
    runner.invoke(say("Read it."), on("t"))
    runner.invoke(Command(resume={"decisions": [{"type": "approve"}]}), on("t"))
    before, after = model.calls
    assert seen(after)[: len(before)] == seen(before)
    assert after[-1].type == "tool"
    assert [t.role for t in memory.turns("t")] == ["user", "assistant", "assistant"]


def test_a_call_that_was_never_answered_gets_a_result_for_the_model_only(make):
    """A new message instead of the approval: the model sees a result that says so, the state is left as it is."""
    memory, saver, model = make(), InMemorySaver(), Scripted(play=looks(1))
    runner = approving(model, memory, saver)
    runner.invoke(say("Read it."), on("t"))
    runner.invoke(say("Never mind. Hello?"), on("t"))
    asked = model.calls[-1]
    assert_pairs_whole(asked)
    assert "interrupted" in asked[-2].content
    state = runner.get_state(on("t")).values["messages"]
    assert not any("interrupted" in str(m.content) for m in state)


def test_hundreds_of_calls_that_were_never_answered_leave_room_for_the_memory(make, caplog):
    """Results are made up only for those that are shown as text: the old ones take nothing from the budget."""
    memory, model, told = make(budget=4_000), Scripted(play=looks(0)), []
    for n in range(150):
        told += [HumanMessage(f"Question {n}: what does the file say?"), calling("look", n, path=f"src/part_{n}.py")]
    agent(model, memory).invoke({"messages": [*told, HumanMessage("And now?")]}, on("t"))
    assert billed(model.calls[0], model.offered) <= 4_000
    assert images(model.calls[0]) > 0
    assert_pairs_whole(model.calls[0])
    assert "plain messages" not in caplog.text


def test_an_edited_past_is_what_the_model_sees(make):
    """After a message in the state is replaced by its id, the model and the memory follow the edit."""
    memory, model = make(), Scripted(play=looks(0))
    runner = agent(model, memory, checkpointer=InMemorySaver())
    runner.invoke(say("We land in Oslo.", id="h1"), on("t"))
    runner.invoke(say("Book a hotel.", id="h2"), on("t"))
    runner.update_state(on("t"), {"messages": [HumanMessage("We land in Bergen.", id="h1")]})
    runner.invoke(say("Where do we land?", id="h3"), on("t"))
    shown = [m.content for m in model.calls[-1] if m.type == "human"]
    assert shown == ["We land in Bergen.", "Book a hotel.", "Where do we land?"]
    assert memory.turns("t")[0].text == "We land in Bergen."


def test_a_run_from_an_earlier_checkpoint_is_a_branch(make):
    """Going back in time and asking something else: neither the model nor the memory's head know of the other branch."""
    memory, model = make(), Scripted(play=looks(0))
    runner = agent(model, memory, checkpointer=InMemorySaver())
    runner.invoke(say("one"), on("t"))
    back = runner.get_state(on("t")).config
    runner.invoke(say("two"), on("t"))
    runner.invoke(say("three"), back)
    assert [m.content for m in model.calls[-1] if m.type == "human"] == ["one", "three"]
    assert [t.text for t in memory.turns("t") if t.role == "user"] == ["one", "three"]
    assert memory.threads()[0].branches == 2


def test_messages_that_the_host_removes_are_not_lost(make):
    """What the host takes out of its state stays in the memory, in its place, and can be recalled."""
    memory, model = make(), Scripted(play=looks(0))
    runner = agent(model, memory, checkpointer=InMemorySaver())
    runner.invoke(say("The code is 4411-owl.", id="h1"), on("t"))
    runner.invoke(say("Thank you.", id="h2"), on("t"))
    runner.update_state(on("t"), {"messages": [RemoveMessage(id="h1")]})
    runner.invoke(say("Go on.", id="h3"), on("t"))
    assert memory.recall("t", "4411-owl")[0].turn == 1


def test_a_call_that_the_model_fails_is_tried_again_with_the_same_bytes(make):
    """A retry sends what was sent before."""
    failed = []

    def play(messages):
        if not failed:
            failed.append(1)
            raise TimeoutError
        return AIMessage("Here.")

    memory, model = make(), Scripted(play=play)
    runner = agent(model, memory, checkpointer=InMemorySaver())
    with pytest.raises(TimeoutError):
        runner.invoke(say("Hello"), on("t"))
    runner.invoke(None, on("t"))
    assert seen(model.calls[0]) == seen(model.calls[1])
    assert len(memory.turns("t")) == 2


@pytest.mark.slow
def test_a_model_that_says_its_input_is_too_long_gets_a_smaller_one_once(make):
    """One retry at 0.7 of the budget; a second refusal is the host's to see."""
    limit = [4_000]

    def play(messages):
        if billed(messages, model.offered) > limit[0]:
            raise ContextOverflowError("too long")
        return AIMessage("Fine. " * 150)

    memory, model = make(), Scripted(play=play)
    runner = agent(model, memory, checkpointer=InMemorySaver())
    for n in range(24):
        runner.invoke(say(f"{n} " + "words and words " * 80), on("t"))
    sizes = [billed(call, model.offered) for call in model.calls]
    assert len(sizes) > 24, "nothing was ever too long"
    assert all(after <= 0.7 * 6_000 for before, after in pairwise(sizes) if before > 4_000)
    limit[0] = 100
    with pytest.raises(ContextOverflowError):
        runner.invoke(say("once more"), on("t"))


@pytest.mark.parametrize("options", [{}, {"thread": lambda _: 1 / 0}], ids=["a subagent", "an error of ours"])
def test_a_request_without_the_memory_is_not_sent_twice(make, options):
    """There is no smaller one: the same would be refused again."""
    memory = make()

    def play(messages):
        raise ContextOverflowError("too long")

    inner = Scripted(play=play)
    helper = agent(inner, memory, strict=False, **options)

    @tool
    def ask(path: str) -> str:
        """Ask a helper."""
        with pytest.raises(ContextOverflowError):
            helper.invoke(say(f"errand for {path}"))
        return "no answer"

    def told(messages):
        return calling("ask", 1, path="x") if messages[-1].type == "human" else AIMessage("Done.")

    agent(Scripted(play=told), memory, tools=[ask]).invoke(say("Send the helper."), on("t"))
    assert len(inner.calls) == 1


def long_talk(runner, turns=24):
    for n in range(turns):
        runner.invoke(say(f"Question {n}"), on("t"))


@pytest.mark.slow
def test_a_model_that_cannot_see_gets_no_image(make):
    """profile["image_inputs"] is False: the memory comes as text, within budget, and stands within a run."""
    model = Scripted(play=looks(2), profile={"image_inputs": False})
    long_talk(agent(model, make(), checkpointer=InMemorySaver()), 12)
    assert sum(images(call) for call in model.calls) == 0
    assert max(billed(call, model.offered) for call in model.calls) <= 6_000
    assert any("Exact strings" in str(m.content) for m in model.calls[-1])


def test_a_model_with_a_small_window_gets_what_fits_into_it(make):
    """profile["max_input_tokens"] below the budget is the budget."""
    model = Scripted(play=looks(1), profile={"max_input_tokens": 3_000})
    long_talk(agent(model, make(), checkpointer=InMemorySaver()), 10)
    assert max(billed(call, model.offered) for call in model.calls) <= 0.95 * 3_000


@pytest.mark.slow
def test_a_window_below_the_default_budget_is_the_budget(make):
    """Where no budget was given the memory plans for what the model takes: its pages are sealed, and others are told the same."""
    memory = make(budget=None)
    model = Scripted(play=looks(8), profile={"max_input_tokens": 8_000})
    long_talk(agent(model, memory, checkpointer=InMemorySaver()), 4)
    assert memory.budget == 7_600
    assert max(billed(call, model.offered) for call in model.calls) <= 7_600
    assert memory.stats("t").pages > 0
    assert memory.steps("t")


@pytest.mark.parametrize("profile", [{"max_input_tokens": 200_000}, {}])
def test_a_larger_or_unknown_window_leaves_the_default_budget(make, profile):
    """More would only cost more."""
    memory = make(budget=None)
    agent(Scripted(play=looks(0), profile=profile), memory).invoke(say("Hello"), on("t"))
    assert memory.budget == 32_000


@pytest.mark.slow
def test_a_known_model_in_the_others_place_gets_pages_that_it_can_read(make):
    """Another model answers one run: its context is planned for it, and the memory's own plan is as it was."""
    memory, saver = make(), InMemorySaver()
    own, other = Scripted(play=looks(1)), Scripted(play=looks(1), model="gpt-5.2")
    long_talk(agent(own, memory, checkpointer=saver), 20)
    steps = len(memory.steps("t"))
    agent(other, memory, checkpointer=saver).invoke(say("And you?"), on("t"))
    assert max(billed(call, other.offered, "gpt-5.2") for call in other.calls) <= 6_000
    assert seen(other.calls[1])[: len(other.calls[0])] == seen(other.calls[0])
    assert len(memory.steps("t")) == steps


def test_without_a_thread_id_the_memory_lasts_for_the_run(make, caplog):
    """A long run without a thread keeps its budget, can recall, and leaves nothing behind; a warning says so once."""

    def play(messages):
        if len(model.calls) == 20:
            return calling("recall_memory", 99, query="1")
        return files(messages)

    files = looks(25)
    memory, model = make(), Scripted(play=play)
    state = agent(model, memory).invoke(say("The word is heron. Look at all."))
    assert max(billed(call, model.offered) for call in model.calls) <= 6_000
    assert any(m.type == "tool" and "The word is heron" in m.content for m in state["messages"])
    assert memory.threads() == []
    assert caplog.text.count("no thread id") == 1


@pytest.mark.parametrize("subagents", ["skip", "isolate"])
def test_a_subagent_does_not_write_into_its_parents_thread(make, subagents):
    """An agent inside a tool, with the same memory: skipped by default, apart with "isolate"; the parent stays clean."""
    memory, inner = make(), Scripted(play=looks(1))
    helper = agent(inner, memory, subagents=subagents)

    @tool
    def ask(path: str) -> str:
        """Ask a helper."""
        return helper.invoke(say(f"secret errand for {path}"))["messages"][-1].content

    def play(messages):
        return calling("ask", 1, path="x") if messages[-1].type == "human" else AIMessage("Done.")

    runner = agent(Scripted(play=play), memory, checkpointer=InMemorySaver(), tools=[ask])
    runner.invoke(say("Send the helper."), on("t"))
    assert [t.text for t in memory.turns("t") if t.role == "user"] == ["Send the helper."]
    assert [t.thread for t in memory.threads()] == ["t"]
    assert len(inner.calls) == 2


def test_a_subagent_that_is_apart_in_a_named_thread_is_not_told_that_a_name_is_missing(make, caplog):
    """Its memory lasts for its run because the host asked for that."""
    memory, inner = make(), Scripted(play=looks(1))
    helper = agent(inner, memory, subagents="isolate")

    @tool
    def ask(path: str) -> str:
        """Ask a helper."""
        return helper.invoke(say(f"errand for {path}"))["messages"][-1].content

    def play(messages):
        return calling("ask", 1, path="x") if messages[-1].type == "human" else AIMessage("Done.")

    agent(Scripted(play=play), memory, tools=[ask]).invoke(say("Send the helper."), on("t"))
    assert len(inner.calls) == 2
    assert "no thread id" not in caplog.text


def test_the_host_may_name_the_thread(make):
    """A callable from the runtime, or a fixed name."""
    memory = make()
    model = Scripted(play=looks(0))
    agent(model, memory, thread=lambda runtime: f"user-{runtime.execution_info.thread_id}").invoke(say("Hi"), on("7"))
    agent(model, memory, thread="fixed").invoke(say("Hi"))
    assert {t.thread for t in memory.threads()} == {"user-7", "fixed"}


def test_summaries_of_others_are_not_remembered_and_warned_of(make, caplog):
    """A message that SummarizationMiddleware put there is no part of the talk."""
    memory, model = make(), Scripted(play=looks(0))
    summary = HumanMessage("Here is a summary", additional_kwargs={"lc_source": "summarization"})
    agent(model, memory).invoke({"messages": [summary, HumanMessage("Go on.")]}, on("t"))
    assert [t.text for t in memory.turns("t") if t.role == "user"] == ["Go on."]
    assert "SummarizationMiddleware" in caplog.text


def test_a_result_without_its_call_is_left_out(make):
    """A host that trimmed its state to begin with a tool result: the model gets a list that providers take."""
    memory, model = make(), Scripted(play=looks(0))
    orphan = ToolMessage("left over", tool_call_id="gone")
    agent(model, memory).invoke({"messages": [orphan, HumanMessage("Go on.")]}, on("t"))
    assert [m.type for m in model.calls[0]] == ["system", "human"]


def test_history_sent_anew_with_fresh_ids_is_stored_once(make):
    """Without a checkpointer the host sends everything each time, and each message gets a new id: no turn twice."""
    memory, model, history = make(), Scripted(play=looks(0)), []
    for n in range(5):
        history.append({"role": "user", "content": f"message {n}"})
        state = agent(model, memory).invoke({"messages": history}, on("t"))
        history.append({"role": "assistant", "content": state["messages"][-1].content})
    assert len(memory.turns("t")) == 10


def test_what_the_provider_billed_is_noted(make):
    """usage_metadata of the answers goes to memory.observe."""

    def play(messages):
        return AIMessage("Hi.", usage_metadata={"input_tokens": 812, "output_tokens": 3, "total_tokens": 815})

    memory = make()
    agent(Scripted(play=play), memory).invoke(say("Hello"), on("t"))
    assert memory.stats("t").calls["billed"] == 812
