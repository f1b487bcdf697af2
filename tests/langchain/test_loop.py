"""In asyncio nothing of ours blocks the loop, many agents share one memory, and cancelling one harms none."""

from __future__ import annotations

import asyncio

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from optical_memory.langchain import recall_memory
from tests.langchain.conftest import agent, assert_pairs_whole, looks, on, say
from tests.langchain.scripted import Scripted


async def test_no_call_of_ours_blocks_the_loop(make):
    """Under blockbuster, which raises where a file, a socket or SQLite is used on the loop: runs, recall, steps, streaming."""
    blockbuster = pytest.importorskip("blockbuster", reason="pip install blockbuster")
    memory, model = make(budget=2_500), Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=InMemorySaver())
    await runner.ainvoke(say("Warm up: what is imported late is read from files."), on("t"))
    with blockbuster.blockbuster_ctx():
        for n in range(8):
            await runner.ainvoke(say(f"Question {n}: what do the parts say?"), on("t"))
        async for _ in runner.astream(say("And streamed?"), on("t"), stream_mode="messages"):
            pass
        found = await recall_memory(memory, thread="t").ainvoke({"query": "parts"})
        await memory.astats("t")
    assert "turn" in found
    assert len(memory.steps("t")) > 0


async def many(make, count: int, turns: int) -> None:
    memory = make(budget=3_000)
    models = [Scripted(play=looks(1)) for _ in range(count)]
    runners = [agent(model, memory, checkpointer=InMemorySaver()) for model in models]

    async def talk(number: int) -> None:
        for turn in range(turns):
            await runners[number].ainvoke(say(f"agent {number} asks {turn}"), on(f"t{number}"))

    await asyncio.gather(*map(talk, range(count)))
    assert len(memory.threads()) == count
    for number in range(count):
        said = [t.text for t in memory.turns(f"t{number}")]
        assert [t for t in said if t.startswith("agent")] == [f"agent {number} asks {turn}" for turn in range(turns)]
        assert len(said) == 3 * turns


async def test_many_agents_share_a_memory(make):
    """Eight at once: every answer comes, every thread is whole, none has another's turns."""
    await many(make, 8, 2)


@pytest.mark.slow
async def test_two_hundred_agents_share_a_memory(make):
    """The same with two hundred."""
    await many(make, 200, 3)


async def cancelled(make, count: int) -> None:
    memory, saver = make(budget=2_500), InMemorySaver()
    model = Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=saver)
    for n in range(count):
        run = asyncio.create_task(runner.ainvoke(say(f"Question {n}", id=f"h{n}"), on("t")))
        await asyncio.sleep(0.002 * (n % 12))
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    state = await runner.ainvoke(say("And now?"), on("t"))
    told = [t for t in memory.turns("t") if t.role == "user"]
    assert [t.text for t in told] == [m.text for m in state["messages"] if m.type == "human"]
    assert_pairs_whole(model.calls[-1])


async def test_a_run_that_is_cancelled_anywhere_leaves_the_memory_whole(make):
    """Cancelled at twelve different moments: the next run finds each message once, in the order of the state."""
    await cancelled(make, 12)


@pytest.mark.slow
async def test_three_hundred_cancelled_runs(make):
    """The same, for long."""
    await cancelled(make, 300)
