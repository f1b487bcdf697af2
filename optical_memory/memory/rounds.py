"""Messages that stay together: calls with their results, as every provider wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage, ToolMessage

UNANSWERED = "[no result: the call was interrupted]"
BEGINS = "[the assistant begins]"  # in the place of a person, whose message comes first with every provider but OpenAI


def rounds(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Messages in groups that stay together: one message, or an AI message with the results of its calls.

    A result whose call does not stand right before it is left out: no provider takes it.
    """
    out: list[list[BaseMessage]] = []
    for message in messages:
        answers = getattr(message, "tool_call_id", None)
        if answers is None:
            out.append([message])
        elif out and answers in calls_of(out[-1][0]):
            out[-1].append(message)
    return out


def answered(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages, and a result for each call that never got one: a call without one is refused by every provider."""
    return [message for group in rounds(messages) for message in (*group, *missing(group))]


def missing(group: Sequence[BaseMessage]) -> list[ToolMessage]:
    """The results that a group of `rounds` lacks, as messages that say so."""
    from langchain_core.messages import ToolMessage

    have = {getattr(message, "tool_call_id", None) for message in group}
    return [
        ToolMessage(UNANSWERED, tool_call_id=call, name=name, status="error")
        for call, name in calls_of(group[0]).items()
        if call not in have
    ]


def calls_of(message: Any) -> dict[str, str]:
    """The ids and names of a message's calls, those with broken arguments included."""
    calls = (*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ()))
    return {str(c["id"]): str(c["name"]) for c in calls if c.get("id")}
