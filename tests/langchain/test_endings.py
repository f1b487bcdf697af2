"""The ends of runs: nothing is left behind, whatever ends them; nothing is added to a checkpoint."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from contextvars import ContextVar

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphRecursionError

from optical_memory.langchain import OpticalMemoryMiddleware
from optical_memory.langchain.endings import Endings
from optical_memory.langchain.where import Place
from tests.langchain.conftest import agent, look, looks, on, say
from tests.langchain.scripted import Scripted, calling


@tool
def broken(path: str) -> str:
    """Fail."""
    raise OSError("the disk is gone")


def once(_):
    """A model that calls the broken tool."""
    return calling("broken", 1, path="x")


def test_a_tool_that_ends_a_run_without_a_thread_leaves_nothing(make):
    """The tool's error is the host's to see; what was remembered for the run is gone."""
    memory = make()
    with pytest.raises(OSError, match="the disk is gone"):
        agent(Scripted(play=once), memory, tools=[broken]).invoke(say("Go."))
    assert memory.threads() == []


async def test_async_leaves_nothing_either(make):
    """The same under `ainvoke`."""
    memory = make()
    with pytest.raises(OSError, match="the disk is gone"):
        await agent(Scripted(play=once), memory, tools=[broken]).ainvoke(say("Go."))
    assert memory.threads() == []


async def test_a_failed_run_finds_its_thread_by_a_context_variable(make, caplog):
    """What is done in a worker thread after an error has the task's context, in which hosts keep who is asking."""
    asking = ContextVar("asking")
    asking.set("ann")
    memory = make()
    with pytest.raises(OSError, match="the disk is gone"):
        await agent(Scripted(play=once), memory, tools=[broken], thread=lambda _: asking.get()).ainvoke(say("Go."))
    assert [t.thread for t in memory.threads()] == ["ann"]
    assert "not removed" not in caplog.text


def test_a_tool_that_ends_a_run_with_a_thread_takes_nothing_along(make):
    """A named thread stays, and the next run goes on from it."""
    memory, model = make(), Scripted(play=once)
    runner = agent(model, memory, tools=[broken], checkpointer=InMemorySaver())
    with pytest.raises(OSError, match="the disk is gone"):
        runner.invoke(say("Go."), on("t"))
    model.play = lambda _: AIMessage("I stopped.")
    runner.invoke(say("What now?"), on("t"))
    assert [t.text.split("(")[0] for t in memory.turns("t")] == ["Go.", "broken", "What now?", "I stopped."]


async def test_a_cancelled_run_without_a_thread_leaves_nothing(make):
    """Cancelled while a tool works: the run's memory goes, in a thread that nobody waits for."""

    working = asyncio.Event()

    @tool
    async def slow(path: str) -> str:
        """Take its time."""
        working.set()
        await asyncio.sleep(60)
        return ""

    memory = make()
    model = Scripted(play=lambda _: calling("slow", 1, path="x"))
    run = asyncio.create_task(agent(model, memory, tools=[slow]).ainvoke(say("Go.")))
    await working.wait()
    assert len(memory.threads()) == 1
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    for _ in range(100):
        if not memory.threads():
            break
        await asyncio.sleep(0.02)
    assert memory.threads() == []


def test_a_run_that_ends_out_of_our_sight_is_swept_up_later(make):
    """A recursion limit ends the graph between two nodes: what is left goes when another run comes after its time."""
    memory = make()
    with pytest.raises(GraphRecursionError):
        agent(Scripted(play=looks(50)), memory).invoke(say("Look."), {"recursion_limit": 6})
    left = Place(memory.threads()[0].thread, ephemeral=True)
    endings = Endings(memory, True, idle=0.05)
    endings.began(left, [])
    endings.began(Place("run-new", ephemeral=True), [])
    assert len(memory.threads()) == 1, "it may still go on"
    time.sleep(0.06)
    endings.began(Place("run-newer", ephemeral=True), [])
    assert memory.threads() == []


def test_the_answer_of_a_run_without_a_checkpointer_is_remembered(make):
    """The host sends only its new message each time: the thread's name is enough to keep both sides of the talk."""
    memory = make()
    for question in ("first", "second"):
        agent(Scripted(play=looks(0)), memory).invoke(say(question), on("t"))
    assert [t.role for t in memory.turns("t")] == ["user", "assistant"] * 2


class Plain(AgentMiddleware):
    """Does nothing."""


def checkpointed(path, middleware, turns: int) -> int:
    """Bytes of a SQLite checkpointer's database after an agent's runs, one tool round in each."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        runner = create_agent(
            Scripted(play=looks(1)), [look], system_prompt="You read files.", middleware=[middleware],
            checkpointer=SqliteSaver(connection),
        )  # fmt: skip
        for n in range(turns):
            runner.invoke(say(f"Question {n}: what do the parts of order {n} say?"), on("t"))
        connection.commit()
        connection.execute("vacuum")
        return path.stat().st_size


def test_the_memory_adds_no_checkpoint_to_a_run(make, tmp_path):
    """The checkpointer's file is as large as without the memory, to a few bytes of bookkeeping: no picture is in it."""
    memory = make(budget=2_000)
    with_memory = checkpointed(tmp_path / "with.db", OpticalMemoryMiddleware(memory, strict=True), 10)
    assert memory.stats("t").images > 0
    assert with_memory <= 1.02 * checkpointed(tmp_path / "without.db", Plain(), 10)
