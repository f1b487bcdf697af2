"""A chat model that needs no key: it plays a script, so that the examples run anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Scripted(BaseChatModel):
    """Answers with `play(messages)`."""

    play: Callable[[Sequence[BaseMessage]], AIMessage]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Scripted:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **o: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.play(messages))])


_numbers = count(1)


def call(tool: str, /, **arguments: Any) -> AIMessage:
    """An answer that calls a tool."""
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"call-{next(_numbers)}"}])
