"""What the middleware notes of its calls, and `mode="observe"`: everything is priced, nothing is changed."""

from __future__ import annotations

import logging

import pytest
from langchain.agents.middleware import AgentMiddleware
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from optical_memory.langchain.endings import Endings
from optical_memory.langchain.where import Place
from tests.langchain.conftest import agent, looks, on, say, seen
from tests.langchain.scripted import Scripted
from tests.langchain.test_failing import locked


def told(tokens: int):
    """An answer with a usage of so many input tokens."""
    return lambda _: AIMessage(
        "Hi.", usage_metadata={"input_tokens": tokens, "output_tokens": 3, "total_tokens": tokens + 3}
    )


class Below(AgentMiddleware):
    """Keeps the requests that it sees."""

    def __init__(self):
        super().__init__()
        self.requests = []

    def wrap_model_call(self, request, handler):
        self.requests.append(request)
        return handler(request)


class Above(Below):
    """The same, on the other side of the memory."""


@pytest.mark.slow
def test_observe_mode_hands_the_request_on_as_it_came(make):
    """The very object, no recall tool, and yet the ledger knows both prices."""
    from langchain.agents import create_agent

    from optical_memory.langchain import OpticalMemoryMiddleware
    from tests.langchain.conftest import look

    memory, model = make(mode="observe"), Scripted(play=looks(1))
    above, below = Above(), Below()
    middleware = [above, OpticalMemoryMiddleware(memory, strict=True), below]
    runner = create_agent(model, [look], middleware=middleware, checkpointer=InMemorySaver())
    for n in range(20):
        state = runner.invoke(say(f"Question {n}: what do the parts say?"), on("t"))
    assert len(below.requests) == 40
    assert all(a is b for a, b in zip(above.requests, below.requests, strict=True))
    assert [t.name for t in model.offered] == ["look"]
    assert seen(model.calls[-1]) == seen(state["messages"][:-1])
    found = memory.ledger("t")
    assert found.calls == 40
    assert found.instead["optical memory"].input < found.spent.input


def test_observe_mode_never_stands_in_the_way(make, caplog):
    """A database that is locked is logged, the request goes out as it came; an overflow is the model's own."""

    def play(messages):
        if len(messages) > 4:
            raise ContextOverflowError("too long")
        return AIMessage("Yes.")

    memory, model = make(mode="observe", lock_timeout=0.1), Scripted(play=play)
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False)
    with locked(memory.store.path):
        runner.invoke(say("first"), on("t"))
    assert "a call was not observed" in caplog.text
    runner.invoke(say("second"), on("t"))
    with pytest.raises(ContextOverflowError):
        runner.invoke(say("third"), on("t"))
    assert len(model.calls) == 3


def test_a_usage_that_cannot_be_is_logged_and_never_raised(make, caplog):
    """Strict or not: the figures are the provider's. It is told once, with what was wrong."""
    caplog.set_level(logging.WARNING)
    memory = make()
    runner = agent(Scripted(play=told(0)), memory, checkpointer=InMemorySaver(), strict=True)
    for question in ("first", "second"):
        runner.invoke(say(question), on("t"))
    assert caplog.text.count("the usage of a call was not noted") == 1
    assert (memory.ledger("t").calls, memory.ledger("t").observed) == (2, 0)


def test_calls_without_usage_are_in_the_ledger_all_the_same(make):
    """One entry for each model call; `observe=False` only leaves the bills out."""
    memory = make()
    runner = agent(Scripted(play=looks(2)), memory, checkpointer=InMemorySaver(), observe=False)
    for question in ("first", "second"):
        runner.invoke(say(question), on("t"))
    assert memory.ledger("t").calls == 6


@pytest.mark.filterwarnings("ignore:no costs are known")
def test_a_memory_without_a_model_takes_over_that_of_the_first_call(make):
    """If its costs are known; one that was given stays."""
    for own, called, then in (
        (None, "claude-opus-4-5-20251101", "claude-opus-4-5-20251101"),
        (None, "scripted", None),
        ("gpt-4o", "claude-opus-4-5-20251101", "gpt-4o"),
    ):
        memory = make(f"{own}-{called}.db", model=own)
        agent(Scripted(play=looks(0), model=called), memory).invoke(say("Hello"), on("t"))
        assert memory.config.model == then
        assert memory.profile.name == (then or "unknown")


def test_a_run_without_a_thread_that_fails_leaves_nothing(make):
    """Its memory lasts for the run, whether the model answers or not; a retry outside begins anew."""

    def play(messages):
        raise ConnectionError("no line")

    memory = make()
    with pytest.raises(ConnectionError):
        agent(Scripted(play=play), memory, strict=False).invoke(say("Hello"))
    assert memory.threads() == []


async def test_async_leaves_nothing_either(make):
    """The same in the asynchronous hook."""

    def play(messages):
        raise ConnectionError("no line")

    memory = make()
    with pytest.raises(ConnectionError):
        await agent(Scripted(play=play), memory, strict=False).ainvoke(say("Hello"))
    assert memory.threads() == []


class Redacting(AgentMiddleware):
    """Takes a number out of every answer, as PII middleware does."""

    def after_model(self, state, runtime):
        last = state["messages"][-1]
        return {"messages": [AIMessage(last.text.replace("4111 1111", "[card]"), id=last.id)]}


def telling(middleware, checkpointer):
    """An agent whose answers hold a number that other middleware takes out."""
    from langchain.agents import create_agent

    model = Scripted(play=lambda _: AIMessage("The number is 4111 1111."))
    return create_agent(model, [], middleware=[Redacting(), middleware], checkpointer=checkpointer)


def redacted(memory, middleware, runs=3):
    """Its runs in one thread; closes the memory."""
    runner = telling(middleware, InMemorySaver())
    for question in ("first", "second", "third")[:runs]:
        runner.invoke(say(question), on("t"))
    return left_of(memory)


def left_of(memory, thread="t"):
    """What is said in the thread, and whether the number is in any file of the database; closes the memory."""
    said = [t.text for t in memory.turns(thread) if t.text]
    memory.close()
    files = list(memory.store.path.parent.glob("memory.db*"))
    return said, any(b"4111 1111" in file.read_bytes() for file in files)


def test_what_other_middleware_takes_out_of_an_answer_is_erased_with_the_next_call(make, caplog):
    """The state's form wins: the first answer's is erased from the file, later ones are remembered from the state."""
    from optical_memory.langchain import OpticalMemoryMiddleware

    memory = make()
    said, there = redacted(memory, OpticalMemoryMiddleware(memory, strict=True))
    assert said == ["first", "The number is [card].", "second", "The number is [card].", "third"]
    assert not there
    assert caplog.text.count("other middleware rewrites") == 1
    assert memory.threads()[0].branches == 1


def test_what_was_taken_out_of_the_answers_of_many_threads_is_erased_in_each(make):
    """Each thread's first answer came before any was seen to be rewritten: each is erased with its thread's next call."""
    from optical_memory.langchain import OpticalMemoryMiddleware

    memory = make()
    runner = telling(OpticalMemoryMiddleware(memory, strict=True), InMemorySaver())
    for question in ("first", "second", "third"):
        for thread in ("a", "b", "c"):
            runner.invoke(say(question), on(thread))
    said, there = left_of(memory, "c")
    assert said == ["first", "The number is [card].", "second", "The number is [card].", "third"]
    assert not there


def test_what_was_taken_out_of_an_answer_is_erased_by_another_process_too(make, caplog):
    """The one that gave the answer is gone before the thread's next call: what it owed is done by the next one."""
    from optical_memory.langchain import OpticalMemoryMiddleware

    saver = InMemorySaver()
    for question in ("first", "second"):
        memory = make()
        telling(OpticalMemoryMiddleware(memory, strict=True), saver).invoke(say(question), on("t"))
    assert left_of(memory) == (["first", "The number is [card].", "second"], False)
    assert caplog.text.count("other middleware rewrites") == 1


def test_an_answer_that_nobody_rewrote_stays_as_it_is_in_every_process(make, caplog):
    """The next process finds it as it was stored, blocks of reasoning included."""
    saver, thought = InMemorySaver(), {"type": "thinking", "thinking": "hm", "signature": "s"}
    model = Scripted(play=lambda _: AIMessage([thought, {"type": "text", "text": "Done.\n"}]))
    for question in ("first", "second"):
        memory = make()
        agent(model, memory, checkpointer=saver).invoke(say(question), on("t"))
    assert [t.number for t in memory.turns("t") if t.text] == [1, 2, 3, 4]
    assert "other middleware rewrites" not in caplog.text


def test_a_rewritten_answer_takes_no_turn_of_another_branch_along(make):
    """The thread has gone on from an earlier point elsewhere: the turn that has the answer's number now stays."""
    memory = make()
    question, answer = HumanMessage("first", id="h1"), AIMessage("The number is 4111 1111.", id="a1")
    endings, where = Endings(memory, True), Place("t")
    memory.remember("t", [question])
    endings.ended(where, [question], [answer])
    memory.remember("t", [question, HumanMessage("asked anew", id="h2")])
    endings.began(where, [question, AIMessage("The number is [card].", id="a1"), HumanMessage("second", id="h3")])
    assert [t.text for t in memory.turns("t")] == ["first", "asked anew"]


@pytest.mark.slow
def test_a_rewritten_answer_whose_bytes_are_still_held_is_said_to_be(make, caplog):
    """Nobody asked for this erasure, so nobody else would hear that a reader keeps the old bytes in the file."""
    memory = make()
    question, answer = HumanMessage("first", id="h1"), AIMessage("The number is 4111 1111.", id="a1")
    endings, where = Endings(memory, True), Place("t")
    endings.ended(where, [question], [answer])
    with memory.store.read() as reader:
        reader.threads()
        assert endings.began(where, [question, AIMessage("The number is [card].", id="a1")])
    assert "still reads the old state" in caplog.text
    assert left_of(memory) == (["first"], False)


def test_at_end_never_stores_what_other_middleware_takes_out(make):
    """With the hook at the run's end the answer is remembered from the state only, and at once."""
    from optical_memory.langchain import OpticalMemoryAtEndMiddleware

    memory = make()
    said, there = redacted(memory, OpticalMemoryAtEndMiddleware(memory, strict=True), runs=1)
    assert (said, there) == (["first", "The number is [card]."], False)
