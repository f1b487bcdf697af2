"""Copying and deleting threads beside LangGraph's own: a checkpointer does not tell its middleware.

python examples/threads.py
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from scripted import Scripted

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware


def on(thread: str) -> Any:
    """The configuration of a run on this thread."""
    return {"configurable": {"thread_id": thread}}


def main() -> None:
    """A thread is tried another way under a new name; then the first one is removed everywhere."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(f"{folder}/c.db", check_same_thread=False)) as db,
    ):
        saver = SqliteSaver(db)
        memory = OpticalMemory(Path(folder) / "memory.db", model="claude-opus-4-5", budget=8_000)
        model = Scripted(play=lambda messages: AIMessage(f"Noted, {sum(m.type == 'human' for m in messages)} so far."))
        agent = create_agent(model, [], middleware=[OpticalMemoryMiddleware(memory)], checkpointer=saver)
        for n in range(3):
            agent.invoke({"messages": [("user", f"Stop {n} of the journey.")]}, on("draft"))

        state = agent.get_state(on("draft")).values
        agent.update_state(
            on("final"), {"messages": state["messages"]}
        )  # where the saver has it: saver.copy_thread(...)
        memory.copy("draft", "final")
        agent.invoke({"messages": [("user", "One more stop.")]}, on("final"))
        print([(t.thread, t.turns) for t in memory.threads()])

        saver.delete_thread("draft")
        gone = memory.forget("draft")
        print(f"{gone.turns} turns forgotten; left: {[(t.thread, t.turns) for t in memory.threads()]}")
        memory.close()


if __name__ == "__main__":
    main()
