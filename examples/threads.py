"""Copying and deleting threads beside LangGraph's own: a checkpointer does not tell its middleware.

python examples/threads.py                                      # a scripted model, no key
python examples/threads.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from scripted import chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware


def on(thread: str) -> Any:
    """The configuration of a run on this thread."""
    return {"configurable": {"thread_id": thread}}


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Says how much it was told."""
    return AIMessage(f"Noted, {sum(m.type == 'human' for m in messages)} so far.")


def main() -> None:
    """A thread is tried another way under a new name; then the first one is removed everywhere."""
    model, name = chosen(__doc__, play)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(f"{folder}/c.db", check_same_thread=False)) as db,
    ):
        saver = SqliteSaver(db)
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=8_000)
        agent = create_agent(model, [], middleware=[OpticalMemoryMiddleware(memory)], checkpointer=saver)
        for n in range(3):
            agent.invoke({"messages": [("user", f"Stop {n} of the journey.")]}, on("draft"))

        state = agent.get_state(on("draft")).values
        agent.update_state(
            on("final"), {"messages": state["messages"]}
        )  # or saver.copy_thread(...), where there is one
        memory.copy("draft", "final")
        agent.invoke({"messages": [("user", "One more stop.")]}, on("final"))
        print([(t.thread, t.turns) for t in memory.threads()])

        saver.delete_thread("draft")
        gone = memory.forget("draft")
        print(f"{gone.turns} turns forgotten; left: {[(t.thread, t.turns) for t in memory.threads()]}")
        memory.close()


if __name__ == "__main__":
    main()
