"""A support desk: personal data is never stored, and the model pins what a customer insists on.

python examples/support.py                                      # a scripted model, no key
python examples/support.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from scripted import call, chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryAtEndMiddleware, pin_memory

PROMPT = "You are a support desk. Pin what a customer insists on, and never write anybody's address."


@tool
def find_order(number: int) -> str:
    """Look up an order, with its history."""
    steps = [
        f"2026-03-{day:02} 1{day % 10}:05 order {number} scanned at depot {day * number % 40}" for day in range(1, 25)
    ]
    return "\n".join([*steps, f"order {number} delivered, signed by j.doe{number}@example.com"])


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Pins a wish, looks up orders, and answers."""
    last = messages[-1]
    if last.type == "tool":
        return AIMessage("I will keep to that." if last.name == "pin_memory" else f"It came: {str(last.text)[-60:]}")
    if "never call" in str(last.text):
        return call("pin_memory", turns="1")
    if "how may you reach me" in str(last.text):
        seen = " ".join(str(m.text) for m in messages[:-1])
        return AIMessage("By letter only, you asked us never to call." if "never call" in seen else "I do not know.")
    return call("find_order", number=int("".join(filter(str.isdigit, str(last.text)))))


def main() -> None:
    """A wish, forty questions about orders, and a question about the wish."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=6_000)
        guard = PIIMiddleware(
            "email", strategy="redact", apply_to_input=True, apply_to_output=True, apply_to_tool_results=True
        )
        agent = create_agent(
            model, [find_order, pin_memory(memory)], system_prompt=PROMPT,
            middleware=[guard, OpticalMemoryAtEndMiddleware(memory)], checkpointer=InMemorySaver(),
        )  # fmt: skip
        thread: Any = {"configurable": {"thread_id": "customer-7"}}
        agent.invoke({"messages": [("user", "Write letters, never call. I am ann@example.com.")]}, thread)
        for number in range(40):
            agent.invoke({"messages": [("user", f"Where is order {number + 100}?")]}, thread)
        state = agent.invoke({"messages": [("user", "By the way, how may you reach me?")]}, thread)
        print(state["messages"][-1].text)
        stats = memory.stats("customer-7")
        print("Pinned turns:", [t.number for t in memory.turns("customer-7") if t.pinned], "of", stats.turns)
        memory.close()
        print("Addresses in the database:", sum(f.read_bytes().count(b"@example.com") for f in Path(folder).iterdir()))


if __name__ == "__main__":
    main()
