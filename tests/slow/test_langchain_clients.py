"""Real clients against strict servers, for long: 60 turns, forced steps, calls that failed open; nothing is refused."""

# ruff: noqa: F811

from __future__ import annotations

import sqlite3
import time
from statistics import median
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from tests.langchain.conftest import agent, look, make, on, say  # noqa: F401
from tests.langchain.servers.common import Refused
from tests.langchain.servers.serving import Script, Server, serving
from tests.langchain.test_clients import CLIENTS, MODELS, assert_images_as_predicted, server, talk  # noqa: F401

pytestmark = pytest.mark.slow


def test_within_a_run_anthropic_reads_what_it_has_cached(make, server):
    """In a run of many rounds each call but those after a step reads all that the call before was sent."""
    memory = make(model=MODELS["anthropic"], budget=12_000)
    server.script = Script(rounds=20)
    runner = agent(CLIENTS["anthropic"](server), memory, checkpointer=InMemorySaver(), observe=True)
    runner.invoke(say("Look at all."), on("t"))
    used = memory.stats("t").calls
    with memory.store.read() as reader:
        calls = reader.usage(reader.thread("t").id)
    read = sum(c.cache_read or 0 for c in calls)
    assert server.refused == []
    assert read > 0.7 * used["billed"]


@pytest.mark.parametrize("name", ["anthropic", "anthropic-adaptive"])
def test_thinking_stays_bound_through_forced_steps(make, server, name):
    """Forty rounds under one message, with steps in the middle: no thinking block stands after another prefix."""
    memory = make(model=MODELS[name], budget=6_000)
    server.script = Script(rounds=40)
    agent(CLIENTS[name](server), memory, checkpointer=InMemorySaver()).invoke(say("Look at all."), on("t"))
    assert server.refused == []
    assert len(memory.steps("t")) >= 2
    assert max(request.bill.tokens for request in server.seen) <= 6_000


@pytest.mark.parametrize("name", ["anthropic", "anthropic-adaptive", "openai-responses", "gemini"])
def test_thinking_stays_bound_after_calls_that_failed_open(make, server, name):
    """The database is locked for two calls in the middle of a run: their thinking does not go with the memory's context."""
    memory = make(model=MODELS[name], budget=9_000, lock_timeout=0.05)
    connection = sqlite3.connect(memory.store.path, isolation_level=None, check_same_thread=False)

    @tool
    def read(path: str) -> str:
        """Read a file; the database is locked from the second reading to the fourth."""
        readings.append(path)
        if len(readings) == 2 and talked:
            connection.execute("BEGIN EXCLUSIVE")
        if len(readings) == 4 and connection.in_transaction:
            connection.execute("ROLLBACK")
        return look.invoke({"path": path})

    readings: list[str] = []
    talked: list[bool] = []
    read.name = "look"
    runner = agent(CLIENTS[name](server), memory, tools=[read], checkpointer=InMemorySaver(), strict=False, pause=0)
    talk(runner, 12)
    server.script = Script(rounds=5, made=50)
    readings.clear()
    talked.append(True)
    talk(runner, 2, first=12)
    assert server.refused == []
    assert len(readings) == 10


@pytest.mark.parametrize("name", ["anthropic", "anthropic-adaptive"])
def test_thinking_stays_bound_after_an_overflow(make, server, name):
    """The model said that its input was too long and answered to a smaller one: the next call goes on without a refusal."""

    def too_long(payload) -> None:
        if len(server.seen) == 12 and not tried:
            tried.append(1)
            raise Refused("prompt is too long: 200001 tokens > 200000 maximum")

    tried: list[int] = []
    server.before, server.script = too_long, Script(rounds=6)
    memory = make(model=MODELS[name], budget=5_000)
    talk(agent(CLIENTS[name](server), memory, checkpointer=InMemorySaver()), 4)
    assert tried
    assert server.refused == ["prompt is too long: 200001 tokens > 200000 maximum"]


@pytest.mark.parametrize("name", ["anthropic", "anthropic-adaptive", "openai-responses", "gemini"])
@pytest.mark.parametrize("long", ["a result", "a question"])
def test_thinking_stays_bound_where_a_message_is_cut(make, server, name, long):
    """Each third result, or a question, is longer than the budget: nothing is refused, and thinking goes on afterwards."""

    @tool
    def read(path: str) -> str:
        """Read a file; each third one is long."""
        readings.append(path)
        return listing if long == "a result" and len(readings) % 3 == 0 else look.invoke({"path": path})

    read.name, readings = "look", list[str]()
    listing = "\n".join(f"line {n} of the listing" for n in range(4_000))
    memory = make(model=MODELS[name], budget=6_000)
    server.script = Script(rounds=7)
    runner = agent(CLIENTS[name](server), memory, tools=[read], checkpointer=InMemorySaver())
    talk(runner, 2)
    runner.invoke(say(listing if long == "a question" else "Look at all."), on("t"))
    talk(runner, 2, first=2)
    assert server.refused == []
    assert len(server.seen) == 5 * 8
    assert max(request.bill.tokens for request in server.seen) <= 6_000
    cut = sum("characters left out" in str(request.payload) for request in server.seen)
    assert cut >= (10 if long == "a result" else 1)
    if name == "anthropic-adaptive":
        assert "'type': 'thinking'" in str(server.seen[-1].payload["messages"])


def test_what_a_forced_step_has_stripped_never_comes_back(make, server):
    """Plain messages while the database is locked, then a step, then a run in another process: nothing is refused."""
    name = "anthropic-adaptive"
    memory, saver = make(model=MODELS[name], budget=4_000), InMemorySaver()
    server.script = Script(rounds=7)
    talk(agent(CLIENTS[name](server), memory, checkpointer=saver), 3)
    memory.close()
    talk(agent(CLIENTS[name](server), make(model=MODELS[name], budget=4_000), checkpointer=saver), 3, first=3)
    assert server.refused == []


BUDGET = 16_000
MARGIN = (0.85, 1.0)  # what is billed, over what was predicted, of a single call of 1,000 tokens or more: never above


async def sixty(runner: Any) -> list[float]:
    """Sixty turns with tools: invoked, streamed, and both in asyncio; milliseconds to the first byte of the streamed ones."""
    waited = []
    for n in range(60):
        told, started = say(f"Question {n}: what do the parts of order {n} say?"), time.perf_counter()
        if n % 4 == 0:
            runner.invoke(told, on("t"))
        elif n % 4 == 1:
            stream = runner.stream(told, on("t"), stream_mode="messages")
            next(stream)
            waited.append((time.perf_counter() - started) * 1000)
            list(stream)
        elif n % 4 == 2:
            await runner.ainvoke(told, on("t"))
        else:
            async for _ in runner.astream(told, on("t"), stream_mode="messages"):
                waited += [] if started is None else [(time.perf_counter() - started) * 1000]
                started = None
    return waited


@pytest.mark.parametrize("name", CLIENTS)
async def test_sixty_turns_with_tools_streaming_and_asyncio(make, name):
    """Nothing is refused, images cost what was predicted to the token, text within the margin, every call in the budget."""
    memory, plain = make(model=MODELS[name], budget=BUDGET), Server(script=Script(parallel=2))
    with serving(Server(script=Script(parallel=2))) as ours, serving(plain):
        waited = await sixty(agent(CLIENTS[name](ours), memory, checkpointer=InMemorySaver()))
        without = await sixty(create_agent(CLIENTS[name](plain), [look], checkpointer=InMemorySaver()))
    assert (ours.refused, plain.refused) == ([], [])
    assert len(ours.seen) == len(plain.seen) == 120
    assert_images_as_predicted(ours, MODELS[name])
    assert max(request.bill.tokens for request in ours.seen) <= BUDGET
    with memory.store.read() as reader:
        calls = [c for c in reader.usage(reader.thread("t").id) if c.predicted >= 1_000]
    ratios = [c.billed / c.predicted for c in calls]
    told = f"{name}: billed/predicted {min(ratios):.3f}-{max(ratios):.3f} ({len(ratios)} calls)"
    for label, server_, ms in (("with", ours, waited), ("without", plain, without)):
        sizes, tokens = [r.size for r in server_.seen], [r.bill.tokens for r in server_.seen]
        told += (
            f"; {label}: {median(sizes) / 1000:.0f} kB a call (last {sizes[-1] / 1000:.0f}), {sum(tokens):,} tokens, "
        )
        told += f"first byte {median(ms):.0f} ms (last {ms[-1]:.0f})"
    print(told)
    assert MARGIN[0] <= min(ratios) <= max(ratios) <= MARGIN[1]
