"""What the examples share: `--model`, and without it a chat model that needs no key and plays a script."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

READER = "claude-opus-4-5"  # whose pages and prices the memory takes where a script plays the model

Play = Callable[[Sequence[BaseMessage]], AIMessage]


class Scripted(BaseChatModel):
    """Answers with `play(messages)`."""

    play: Play

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Scripted:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **o: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.play(messages))])


def chosen(about: str | None, play: Play) -> tuple[BaseChatModel, str]:
    """The chat model that the command line asks for, or a scripted one; and the name of the model that reads the memory."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="provider:name of a real model; without it a scripted one answers")
    name = parser.parse_args().model
    return (init_chat_model(name), name) if name else (Scripted(play=play), READER)


_numbers = count(1)


def call(tool: str, /, **arguments: Any) -> AIMessage:
    """An answer that calls a tool."""
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"call-{next(_numbers)}"}])
