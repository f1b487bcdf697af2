"""Reasoning, and what stood before it when the model thought it.

Newer Claude models bind each thinking block to everything before it, and answer 400 if any of that has changed. Blocks may
be left out from the oldest on, but not from the middle, and one that was left out may not come back. Where a new plan
changes what the model sees, the memory itself leaves out the reasoning before it. This module finds the other cases: the
model has answered to plain messages (the memory failed), to a smaller context (the first was too long), to one in which the
newest message was cut, or another model has answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from optical_memory.memory.assemble import stripped
from optical_memory.memory.kept import Kept
from optical_memory.messages import digest, is_reasoning

KEPT = 16_384  # answers whose prefix is known in this process


@dataclass(frozen=True, slots=True)
class Bond:
    """What an answer's reasoning is bound to."""

    prefix: str  # hash of all that stood before it, without reasoning
    first: str  # id of the first message whose reasoning stood before it, or its own


class Bonds:
    """What the reasoning of each answer is bound to that came in this process. Safe for threads."""

    def __init__(self) -> None:
        self._known: Kept[str, Bond] = Kept(KEPT)

    def note(self, base: str, sent: Sequence[BaseMessage], answers: Sequence[BaseMessage]) -> None:
        """Keep what the first of these answers with reasoning is bound to: `base`, the system prompt, and `sent`."""
        answer = next((a for a in answers if a.id and reasons(a)), None)
        if answer is None:
            return
        prefix = [base, *prefixes(base, sent)][-1]
        first = next((str(m.id) for m in sent if reasons(m)), str(answer.id))
        self._known.put(str(answer.id), Bond(prefix, first))

    def loosened(self, base: str, messages: Sequence[BaseMessage], trusting: bool = True) -> list[BaseMessage]:
        """The messages without reasoning that is bound to something else.

        What answers of other processes are bound to is not known here: their reasoning stays if `trusting`, else it goes.
        """
        thought = [i for i, m in enumerate(messages) if reasons(m)]
        known = {i: bond for i in thought if (bond := self._known.get(str(messages[i].id))) is not None}
        if trusting and not known:
            return list(messages)
        before = [base, *prefixes(base, messages)]
        broken = [i for i, bond in known.items() if bond.prefix != before[i]]
        broken += [] if trusting else [i for i in thought if i not in known]
        places = {str(m.id): i for i, m in enumerate(messages) if m.id}
        start = max(broken, default=-1) + 1
        start = max([start, *(places.get(known[i].first, 0) for i in known if i >= start)])
        return [stripped(m) if i < start else m for i, m in enumerate(messages)]


def reasons(message: BaseMessage) -> bool:
    """Does this message carry reasoning?"""
    return message.type == "ai" and any(map(is_reasoning, _listed(message)))


def prefixes(base: str, messages: Sequence[BaseMessage]) -> Iterator[str]:
    """For each message, a hash of everything up to its end, reasoning left out."""
    for message in messages:
        base = digest(base + _said(message))
        yield base


def _said(message: BaseMessage) -> str:
    """What a provider is told by a message, without reasoning and without marks that change no word."""
    blocks = [_bare(b) for b in _listed(message) if not is_reasoning(b)]
    calls = [(c["id"], c["name"], c["args"]) for c in getattr(message, "tool_calls", ())]
    return repr((message.type, blocks, calls, getattr(message, "tool_call_id", None)))


def _bare(block: Any) -> Any:
    """A block without marks that change no word; of a picture its length and its end, in which its checksum stands."""
    if not isinstance(block, Mapping):
        return block
    told = {k: v for k, v in block.items() if k != "cache_control"}
    data = told.get("base64")
    return told | {"base64": (len(data), data[-96:])} if isinstance(data, str) else told


def _listed(message: BaseMessage) -> Sequence[Any]:
    return message.content if isinstance(message.content, list) else [message.content]


def without_thinking(request: Any, messages: Sequence[BaseMessage]) -> Any:
    """The request's model with thinking switched off, where it would be refused; else the model itself.

    With `thinking={"type": "enabled"}` Claude wants the newest answer of an open tool round to begin with its thinking,
    and answers 400 where that had to be left out. Adaptive thinking has no such rule.
    """
    model = request.model
    if _asked(model, request.model_settings) != "enabled" or not messages or messages[-1].type != "tool":
        return model
    called = next((m for m in reversed(messages) if m.type != "tool"), None)
    if called is None or (_listed(called) and is_reasoning(_listed(called)[0])):
        return model
    return model.model_copy(update={"thinking": {"type": "disabled"}})


def _asked(model: Any, settings: Mapping[str, Any]) -> str:
    thinking = getattr(model, "thinking", None) or settings.get("thinking")
    return str(thinking.get("type", "")) if isinstance(thinking, Mapping) else ""
