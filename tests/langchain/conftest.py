"""Agents on a scripted model with a memory on a file, and a count of what a call costs that is not the memory's own."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from optical_memory import OpticalMemory
from optical_memory.cost import image_size, profile, text_tokens
from optical_memory.langchain import OpticalMemoryMiddleware
from tests.langchain.scripted import Scripted, calling

MODEL = "claude-opus-4-5"
WORDS = ("alpha", "beta", "gamma", "value", "return", "class", "import", "4711", "x9f3", "order", "route")


@tool
def look(path: str) -> str:
    """Read a file."""
    chance = random.Random(path)
    return "\n".join(f"{path}:{line} {' '.join(chance.choices(WORDS, k=12))}" for line in range(1, 13))


@tool
def boom(path: str) -> str:
    """Read a file that cannot be read."""
    return f"error: {path} is not a file"


def looks(rounds: int, parallel: int = 1) -> Callable[[Sequence[BaseMessage]], AIMessage]:
    """A model that looks `rounds` times, `parallel` files at once, then answers; it counts from the user's message on."""
    made, done = iter(range(1, 100_000)), 0

    def play(messages: Sequence[BaseMessage]) -> AIMessage:
        nonlocal done
        done = 0 if messages[-1].type == "human" else done + 1
        if done >= rounds:
            return AIMessage(f"That is all I found after {done} looks.")
        calls = [calling("look", next(made), path=f"src/part_{next(made)}.py") for _ in range(parallel)]
        return AIMessage("", tool_calls=[c for call in calls for c in call.tool_calls])

    return play


@pytest.fixture
def make(tmp_path: Path, placed: Callable[[Path], Path]) -> Iterator[Callable[..., OpticalMemory]]:
    """Makes memories on one file (or on `name`), and closes them."""
    made: list[OpticalMemory] = []

    def new(name: str | Path = "memory.db", **settings: Any) -> OpticalMemory:
        made.append(OpticalMemory(placed(tmp_path / name), **({"model": MODEL, "budget": 6_000} | settings)))
        return made[-1]

    yield new
    for memory in made:
        memory.close()


def agent(
    model: Scripted, memory: OpticalMemory, *, checkpointer: Any = None, tools: Any = (look,), **options: Any
) -> Any:
    """An agent with a system prompt and our middleware; errors of ours are raised unless `strict=False`."""
    middleware = OpticalMemoryMiddleware(memory, **({"strict": True} | options))
    return create_agent(
        model, list(tools), system_prompt="You read files and say what is in them. " * 8, middleware=[middleware],
        checkpointer=checkpointer,
    )  # fmt: skip


def on(thread: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}}


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} | more]}


def billed(messages: Sequence[BaseMessage], tools: Sequence[Any], model: str = MODEL) -> int:
    """Tokens of a call: system prompt, messages, images and tool schemas, each by its own rule."""
    rules = profile(model)
    total = sum(text_tokens(json.dumps(convert_to_openai_tool(t)), model) for t in tools)
    for message in messages:
        total += rules.message_overhead
        for block in message.content if isinstance(message.content, list) else [message.content]:
            text = block if isinstance(block, str) else block.get("text", "")
            total += text_tokens(text, model)
            if not isinstance(block, str) and block["type"] == "image":
                total += rules.image(*image_size(base64.b64decode(block["base64"])))
        for call in getattr(message, "tool_calls", []):
            total += text_tokens(call["name"] + json.dumps(call["args"]), model) + rules.call_overhead
    return total


def seen(messages: Sequence[BaseMessage]) -> list[tuple[str, str, str]]:
    """What a provider would get of each message: kind, content and calls, without ids that change from run to run."""
    return [(m.type, json.dumps(m.content), json.dumps(getattr(m, "tool_calls", []))) for m in messages]


def images(messages: Sequence[BaseMessage]) -> int:
    return sum(1 for m in messages if isinstance(m.content, list) for b in m.content if b["type"] == "image")


def assert_pairs_whole(messages: Sequence[BaseMessage]) -> None:
    """Each call has its result right after it, and no result stands without its call."""
    waiting: set[str] = set()
    for message in messages:
        if message.type == "tool":
            assert message.tool_call_id in waiting, "a result without its call"
            waiting.discard(message.tool_call_id)
        else:
            assert not waiting, "a call without its result"
            waiting = {c["id"] for c in getattr(message, "tool_calls", [])}
    assert not waiting
