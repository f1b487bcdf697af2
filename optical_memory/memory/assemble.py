"""Segments to messages: the context as LangChain messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optical_memory.memory.forms import to_anthropic, to_openai
from optical_memory.messages import SOURCE, is_reasoning, unwrapped
from optical_memory.planning.context import LOWERED, Segment
from optical_memory.shown import Shown, short

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

LOST = "[Turns {}-{}: their picture is damaged]"
Pictures = Callable[[Segment], Sequence[str]]  # a drawn segment's PNGs as base64
Texts = Callable[[int], Sequence[Any]]  # a turn's LangChain messages


@dataclass(frozen=True)
class Context(Shown):
    """What the model will see: `messages` (LangChain), `tokens` by the model's own price rules, and how it is made up.

    `segments` are in the order of the messages; `left_out` are the turns that stand behind a handle only. `end` is the
    number of turns that stood, `call` the number under which this process has noted the call (`project` only). With
    `mode="observe"` the context that `project` gives is the caller's own list, priced as text, and `would` is the one
    that would have been sent in its place (None where not even the newest turns fit).
    """

    thread: str
    messages: list[BaseMessage] = field(repr=False)
    tokens: int
    segments: tuple[Segment, ...]
    left_out: tuple[tuple[int, int], ...]
    budget: int
    reserved: int
    model: str
    plan: int | None = None
    reason: str = ""
    end: int = 0
    call: int | None = None
    would: Context | None = None

    def __repr__(self) -> str:
        filled = f"{self.tokens:,} of {self.budget:,} tokens"
        return short("Context", filled, f"{len(self.segments)} segments", self.model, text=self.thread)

    def to_openai(self) -> list[dict[str, Any]]:
        """The messages in OpenAI's chat form, images as image_url blocks with data URLs (see `memory/forms.py`)."""
        return to_openai(self.messages)

    def to_anthropic(self) -> tuple[str, list[dict[str, Any]]]:
        """(system text, messages) in Anthropic's form, images as base64 blocks before the text that follows them."""
        return to_anthropic(self.messages)


def assemble(segments: Sequence[Segment], pictures: Pictures, texts: Texts, floor: int) -> list[BaseMessage]:
    """Messages in the order of the segments; what is ours stands in human messages marked as added by us."""
    from langchain_core.messages import HumanMessage

    out: list[Any] = []
    blocks: list[dict[str, Any]] = []

    def flush() -> None:
        if blocks:
            out.append(HumanMessage(content=list(blocks), additional_kwargs={"lc_source": SOURCE}))
            blocks.clear()

    for segment in segments:
        if segment.kind in ("text", "current") and segment.turns and segment.text is None:
            flush()
            for number in range(segment.turns[0], segment.turns[1] + 1):
                out += [stripped(m) if number <= floor else m for m in texts(number)]
        else:
            blocks += _blocks(segment, pictures)
    flush()
    return _opened_by_user(out)


def _blocks(segment: Segment, pictures: Pictures) -> Iterator[dict[str, Any]]:
    """The content blocks of a segment that is not plain turns."""
    if segment.look:
        images = pictures(segment)
        yield from ({"type": "image", "base64": png, "mime_type": "image/png"} for png in images)
        if not images and segment.turns:
            yield {"type": "text", "text": LOST.format(*segment.turns)}
    if segment.text:
        yield {"type": "text", "text": segment.text}


def _opened_by_user(messages: list[Any]) -> list[Any]:
    """A system message in the middle of a talk becomes a marked human message: most providers drop or refuse it there."""
    out = []
    for index, message in enumerate(messages):
        if message.type == "system" and any(m.type != "system" for m in messages[:index]):
            out.append(_lowered(message))
        else:
            out.append(message)
    return out


def _lowered(message: Any) -> Any:
    from langchain_core.messages import HumanMessage

    content = message.content
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    return HumanMessage(content=[{"type": "text", "text": LOWERED}, *blocks], id=message.id)


def stripped(message: Any) -> Any:
    """The same message without reasoning blocks, which are bound to a prefix that is no longer there."""
    if message.type not in ("ai", "AIMessageChunk"):
        return message
    update: dict[str, Any] = {}
    if isinstance(message.content, list):
        kept = [b for b in message.content if not is_reasoning(b)]
        if len(kept) != len(message.content):
            update["content"] = [_without_item(b) for b in kept if not _of_its_tools(b)] or ""
    if not _THOUGHTS.isdisjoint(message.additional_kwargs):
        update["additional_kwargs"] = {k: v for k, v in message.additional_kwargs.items() if k not in _THOUGHTS}
    return message.model_copy(update=update) if update else message


def apart(message: Any) -> Any:
    """A copy whose content may be changed in place, as some clients do, without a change to the one that is kept."""
    content = message.content
    if isinstance(content, list):
        content = [dict(block) if isinstance(block, Mapping) else block for block in content]
    return message.model_copy(update={"content": content, "additional_kwargs": dict(message.additional_kwargs)})


_THOUGHTS = frozenset({"reasoning_content", "reasoning", "__openai_function_call_ids__"})


def _of_its_tools(block: Any) -> bool:
    """Is it a call of OpenAI's own tools (a search, code), or its result? These have no form without their id."""
    bare = unwrapped(block)
    item = (bare.get("id") or bare.get("tool_call_id")) if isinstance(bare, Mapping) else None
    return str(item or "").startswith(("ws_", "fs_", "ci_", "ig_", "mcp_", "mcpl_"))


def _without_item(block: Any) -> Any:
    """Without OpenAI's id of an item (`msg_`, `fc_`): the Responses API refuses one that lacks its reasoning."""
    if not isinstance(block, Mapping) or not str(block.get("id", "")).startswith(("msg_", "fc_")):
        return block
    return {k: v for k, v in block.items() if k != "id"}
