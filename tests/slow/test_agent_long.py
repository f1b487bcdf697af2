"""Long runs and many agents at once."""

from __future__ import annotations

import asyncio

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from tests.langchain.conftest import agent, assert_pairs_whole, billed, looks, make, on, say, seen  # noqa: F401
from tests.langchain.scripted import Scripted


@pytest.mark.slow
def test_three_hundred_rounds_under_one_message(make):  # noqa: F811
    """Within budget on every call, the question always there, and the prefix kept in four calls of five."""
    model, memory = Scripted(play=looks(300)), make(budget=16_000)
    agent(model, memory, checkpointer=InMemorySaver()).invoke(say("Read it all, mind order 4711."), on("t"))
    assert len(model.calls) == 301
    kept = 0
    for before, after in zip(model.calls, model.calls[1:], strict=False):
        kept += seen(after)[: len(before)] == seen(before)
        assert_pairs_whole(after)
        assert billed(after, model.offered) <= 16_000
        assert any("mind order 4711" in str(m.content) for m in after)
    assert kept >= 240
    assert len(memory.turns("t")) == 302


@pytest.mark.slow
async def test_fifty_agents_at_once_on_one_memory(make):  # noqa: F811
    """Fifty threads in one event loop: every answer comes, every thread is whole, and none has another's turns."""
    memory = make(budget=4_000)
    models = [Scripted(play=looks(2)) for _ in range(50)]
    runners = [agent(model, memory, checkpointer=InMemorySaver()) for model in models]

    async def talk(number: int) -> None:
        for turn in range(4):
            await runners[number].ainvoke(say(f"agent {number} asks {turn}"), on(f"t{number}"))

    await asyncio.gather(*map(talk, range(50)))
    for number in range(50):
        turns = memory.turns(f"t{number}")
        assert len(turns) == 16
        assert [t.text for t in turns if t.role == "user"] == [f"agent {number} asks {turn}" for turn in range(4)]
