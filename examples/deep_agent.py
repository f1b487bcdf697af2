"""deepagents with the memory in the place of its summarisation: nothing is summarised, nothing is lost.

python examples/deep_agent.py                                   # pip install deepagents
python examples/deep_agent.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepagents import create_deep_agent
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from scripted import call, chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Writes each note into a file of its own; looks up what it is asked for."""
    last = messages[-1]
    if last.type == "tool":
        return AIMessage(f"I looked it up: {last.content}" if last.name == "recall_memory" else "Written down.")
    if "which pump" in str(last.content):
        return call("recall_memory", query="pump seal replaced")
    day = str(last.content).split()[1].rstrip(":")
    return call("write_file", file_path=f"/notes/{day}.md", content=str(last.content))


def main() -> None:
    """Forty days of notes, then a question about the first."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=12_000)
        ours = OpticalMemoryMiddleware(memory, name="SummarizationMiddleware")  # takes the place of the one by default
        agent = create_deep_agent(model, middleware=[ours], checkpointer=InMemorySaver())
        thread: Any = {"configurable": {"thread_id": "pumps"}}
        agent.invoke({"messages": [("user", "Day 1: the seal of pump K7-31 was replaced.")]}, thread)
        for day in range(2, 42):
            told = f"Day {day}: all pumps run. " + f"Pressure {day % 7 + 3}.{day % 10} bar at station {day % 9}. " * 20
            agent.invoke({"messages": [("user", told)]}, thread)
        state = agent.invoke({"messages": [("user", "Day 42: which pump got a new seal?")]}, thread)
        print(str(state["messages"][-1].text).partition("\n")[0])
        print("Turns by tier:", memory.stats("pumps").tiers)
        memory.close()


if __name__ == "__main__":
    main()
