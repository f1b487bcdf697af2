"""A hand-written LangGraph graph with the memory: `memory.project` makes the list for each model call.

python examples/custom_graph.py                                 # a scripted model, no key
python examples/custom_graph.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from scripted import call, chosen

from optical_memory import OpticalMemory
from optical_memory.langchain import recall_memory


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Takes notes; looks up what it is asked for."""
    last = messages[-1]
    if last.type == "tool":
        return AIMessage(f"You told me: {last.content}")
    return call("recall_memory", query="boat Bodø") if "when" in str(last.content).lower() else AIMessage("Noted.")


def main() -> None:
    """Thirty messages about a journey, then a question about the first."""
    chat, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=3_000)
        tools = [recall_memory(memory)]
        model = chat.bind_tools(tools)

        def answer(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
            """The model sees the memory's context; the state keeps the messages as they are."""
            context = memory.project(state["messages"], thread=config["configurable"]["thread_id"], reserved=400)
            return {"messages": [model.invoke(context.messages)]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", answer)
        graph.add_node("tools", ToolNode(tools))
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", tools_condition)
        graph.add_edge("tools", "model")
        runner = graph.compile(checkpointer=InMemorySaver())
        thread: Any = {"configurable": {"thread_id": "journey"}}
        runner.invoke({"messages": [("user", "The boat from Bodø leaves on 14 June at 06:40, berth C7.")]}, thread)
        for day in range(30):
            told = (
                f"Day {day}: we walk {day * 3 % 17 + 5} km, then rest. "
                + "The path is steep and the view is wide. " * 12
            )
            runner.invoke({"messages": [("user", told)]}, thread)
        state = runner.invoke({"messages": [("user", "When does the boat leave?")]}, thread)
        print(state["messages"][-1].text)
        memory.close()


if __name__ == "__main__":
    main()
