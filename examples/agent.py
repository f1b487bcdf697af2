"""An agent that reads modules of the standard library and is then asked about the first one: one line gives it a memory.

python examples/agent.py                                        # a scripted model, no key
python examples/agent.py --model anthropic:claude-opus-4-5      # a real one: pip install langchain-anthropic
"""

from __future__ import annotations

import sysconfig
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

LIBRARY = Path(sysconfig.get_path("stdlib"))
MODULES = [
    "textwrap", "bisect", "heapq", "shlex", "sched", "queue", "netrc", "cmd", "fnmatch", "glob", "stat", "keyword",
]  # fmt: skip
QUESTION = "What does textwrap.indent do with lines that hold only whitespace? Quote its docstring."


@tool
def read_module(name: str) -> str:
    """Read the source of a module of the standard library."""
    file = LIBRARY / f"{name}.py"
    return file.read_text(encoding="utf-8") if name.isidentifier() and file.is_file() else f"no module {name!r}"


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """What a careful reader would do: read, note, and look up what it can no longer see."""
    last = messages[-1]
    if last.type == "tool":
        _, found, after = str(last.content).partition("def indent(")
        return AIMessage(
            f"I looked it up:\n{found}{after[:500]}" if found and last.name == "recall_memory" else "Noted."
        )
    if QUESTION in str(last.content):
        return call("recall_memory", query="textwrap def indent prefix whitespace")
    return call("read_module", name=str(last.text).split()[-1].rstrip("."))


def main() -> None:
    """Read every module in a turn of its own, then ask; show how the memory holds it all."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=16_000)
        agent = create_agent(
            model, [read_module], system_prompt="You read Python modules and answer questions about them.",
            middleware=[OpticalMemoryMiddleware(memory)], checkpointer=InMemorySaver(),
        )  # fmt: skip
        thread: Any = {"configurable": {"thread_id": "reading"}}
        for module in MODULES:
            agent.invoke({"messages": [("user", f"Please read the module {module}.")]}, thread)
        state = agent.invoke({"messages": [("user", QUESTION)]}, thread)
        print(state["messages"][-1].text)
        stats, context = memory.stats("reading"), memory.context("reading")
        print(f"\n{stats.turns} turns, {stats.text_tokens:,} tokens of text; the next call takes {context.tokens:,}.")
        print("Turns by tier:", ", ".join(f"{tier} {count}" for tier, count in stats.tiers.items()))
        memory.close()


if __name__ == "__main__":
    main()
