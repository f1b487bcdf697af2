"""Trying the memory on production traffic: `mode="observe"` prices every call and changes none.

python examples/observe.py                                      # a scripted model, no key
python examples/observe.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from scripted import call, chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware


@tool
def orders(customer: int) -> str:
    """List the orders of a customer."""
    return "\n".join(f"order {customer * 100 + n}: {n % 5 + 1} pieces of part {n * 7}, sent" for n in range(40))


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """A support agent that looks up the customer's orders once for each question."""
    if messages[-1].type == "tool":
        return AIMessage("All of these have been sent.")
    return call("orders", customer=int(str(messages[-1].content).split()[1]))


def main() -> None:
    """Fifty questions; what was paid, and what the same calls would have cost with the memory in charge."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=16_000, mode="observe")
        agent = create_agent(
            model, [orders], middleware=[OpticalMemoryMiddleware(memory)], checkpointer=InMemorySaver()
        )
        thread: Any = {"configurable": {"thread_id": "support"}}
        for customer in range(50):
            agent.invoke({"messages": [("user", f"Customer {customer} asks where the parts are.")]}, thread)
        found = memory.ledger("support")
        print(f"{found.calls} calls, sent as they came: {found.spent.input:,} input tokens.")
        print(f"With the memory in charge: {found.instead['optical memory'].input:,}.")
        memory.close()


if __name__ == "__main__":
    main()
