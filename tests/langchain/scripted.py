"""A chat model that plays a script and keeps what it was sent; its calls can be looked at afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

Play = Callable[[Sequence[BaseMessage]], AIMessage]  # what it was sent -> what it answers


class Scripted(BaseChatModel):
    """Answers with `play(messages)`; `calls` has every list of messages that it was sent, `offered` the tools."""

    play: Play
    calls: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[Any] = Field(default_factory=list)
    model: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Scripted:
        self.offered[:] = tools
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.calls.append(list(messages))
        return ChatResult(generations=[ChatGeneration(message=self.play(messages))])


def calling(name: str, number: int, **arguments: Any) -> AIMessage:
    """An answer that calls one tool; `number` makes the id of the call."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{number}"}])
