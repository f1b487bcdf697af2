"""Many conversations at once on one memory, as on a server; on PostgreSQL several servers may share it.

python examples/server.py                                       # a scripted model, no key, SQLite
OPTICAL_MEMORY_DB=postgresql+psycopg://user@host/base python examples/server.py     # pip install "optical-memory[postgres]"
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from scripted import call, chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware

GUESTS, REMARKS = 12, 10


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Takes notes; looks up what it is asked for."""
    last = messages[-1]
    if last.type == "tool":
        return AIMessage(str(last.text))
    return call("recall_memory", query="room number") if "Which room" in str(last.text) else AIMessage("Noted.")


async def main() -> None:
    """Twelve guests talk at the same time, and each asks for the room that only he was told."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("OPTICAL_MEMORY_DB", f"sqlite:///{folder}/memory.db")
        memory = OpticalMemory(url, model=name, budget=2_000)
        agent = create_agent(model, [], middleware=[OpticalMemoryMiddleware(memory)], checkpointer=InMemorySaver())

        async def say(guest: int, text: str) -> str:
            thread: Any = {"configurable": {"thread_id": f"guest-{guest}"}}
            state = await agent.ainvoke({"messages": [("user", text)]}, thread)
            return str(state["messages"][-1].text)

        async def stay(guest: int) -> bool:
            await say(guest, f"My room has the number {guest + 400}.")
            for day in range(REMARKS):
                await say(guest, f"Day {day}: " + "breakfast was good and the sea was calm. " * 12)
            return f"number {guest + 400}." in await say(guest, "Which room is mine?")

        found = await asyncio.gather(*map(stay, range(GUESTS)))
        print(f"{sum(found)} of {GUESTS} guests got their own room back.")
        print(f"{len(memory.threads())} threads on {url.partition(':')[0]}.")
        memory.close()


if __name__ == "__main__":
    asyncio.run(main())
