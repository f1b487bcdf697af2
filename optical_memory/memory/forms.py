"""A context's messages in the forms of other clients: OpenAI's chat completions and Anthropic's messages.

A host may have stored blocks of any provider. Each goes out as the client's own block for text, a picture, a file or a sound;
where there is none, as the words that the memory reads of it, so that no stored message makes a call fail. What says nothing
(empty text, a mark for a cache) and the reasoning of another provider are left out. (OpenAI's reference of chat completions
and Anthropic's of messages, November 2026.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optical_memory.memory.rounds import BEGINS, missing
from optical_memory.messages import content_text, unwrapped

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

Block = dict[str, Any]
Form = Callable[[Mapping[str, Any]], Block | None]  # a block in a client's form; None where it has none for it

PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # what both providers take
SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}  # as OpenAI calls them
PDF = "application/pdf"
_BEGINS = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp", "JVBE": PDF}  # fmt: skip
_KINDS = {
    "image": "image", "image_url": "image", "input_image": "image", "audio": "audio", "input_audio": "audio",
    "video": "video", "file": "application", "input_file": "application", "document": "application", "media": "application",
}  # fmt: skip
_BYTES = ("base64", "data", "file_data", "bytes")
_DATA = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL)
_MARKS = frozenset({"cachePoint", "cache_control"})  # blocks of these alone say only where a cache may end


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, file or sound: its base64 text, or the address or provider's id under which it is found."""

    kind: str  # the first half of a media type
    mime: str  # "" where nobody says
    data: str = ""
    url: str = ""
    id: str = ""
    name: str = ""

    @property
    def is_picture(self) -> bool:
        """Is it one that both providers take? Of an address the provider sees for itself."""
        return self.mime in PICTURES if self.data else self.kind == "image"


def to_openai(messages: Sequence[BaseMessage]) -> list[Block]:
    """The messages for OpenAI's chat completions, one for each, and a result for each call that never got one."""
    return [_openai(message) for message in _whole(messages)]


def to_anthropic(messages: Sequence[BaseMessage]) -> tuple[str, list[Block]]:
    """(system text, messages) for Anthropic, where those of one role in a row are one message, and a person's is the first."""
    out: list[Block] = []
    for message in (m for m in _whole(messages) if m.type != "system"):
        role, blocks = _anthropic(message)
        if blocks and not out and role == "assistant":
            out.append({"role": "user", "content": [{"type": "text", "text": BEGINS}]})
        if blocks and out and out[-1]["role"] == role:
            out[-1]["content"] += blocks
        elif blocks:
            out.append({"role": role, "content": blocks})
    return "\n\n".join(str(m.text) for m in messages if m.type == "system"), out


def _whole(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages with a result for each call; those of the newest message may be what the host waits for."""
    out: list[BaseMessage] = []
    group: list[BaseMessage] = []
    for message in messages:
        if group and message.type != "tool":
            out += [*group, *missing(group)]
            group = []
        group.append(message)
    return [*out, *group]


# --------------------------------------------------------------------------------------------- blocks


def _blocks(message: BaseMessage, form: Form) -> Iterator[Block]:
    """The content of a message in a client's form, else as words; blocks that say nothing are left out."""
    content: Any = message.content
    for block in map(unwrapped, content if isinstance(content, list) else [content]):
        made = form(block) if isinstance(block, Mapping) else None
        if made is not None:
            yield made
        elif not (isinstance(block, Mapping) and block.keys() <= _MARKS):
            words = content_text([block])[0]  # nothing of reasoning and calls
            yield from [{"type": "text", "text": words}] if words.strip() else []


def _media(block: Mapping[str, Any]) -> Media | None:
    """What a block shows, in whichever provider's form; None where that is words, or nothing tells where it is."""
    kind = _KINDS.get(str(block.get("type") or next((key for key in _KINDS if key in block), "")))
    if kind is None:
        return None
    said = dict(_strings(block))
    url, data = said.get("url", ""), next((said[key] for key in _BYTES if said.get(key)), "")
    mime = said.get("mime_type") or said.get("media_type") or _typed(kind, said.get("format", ""))
    if found := _DATA.fullmatch(data or url):
        mime, data = found[1] or mime, found[2]
    mime = mime or next((known for begin, known in _BEGINS.items() if data.startswith(begin)), "")
    kind = mime.partition("/")[0] or kind
    if data:
        return Media(kind, mime, data, name=said.get("filename", ""))
    if url.startswith(("https://", "http://")):
        return Media(kind, mime, url=url)
    return Media(kind, mime, id=said["file_id"]) if said.get("file_id") else None


def _strings(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a block says of its media, from the outside inwards: `image_url` may be the address, or hold it."""
    for key, value in block.items():
        if isinstance(value, str):
            yield ("url" if key in (*_KINDS, "file_uri") else key), value
        elif isinstance(value, Mapping) and key in (*_KINDS, "source"):
            yield from _strings(value)


def _typed(kind: str, name: str) -> str:
    """The media type of a bare format, such as "png" of an image; nothing of nothing."""
    return f"{kind}/{'jpeg' if name == 'jpg' else name}" if name else ""


# --------------------------------------------------------------------------------------------- OpenAI


def _openai(message: BaseMessage) -> Block:
    from langchain_core.messages import convert_to_openai_messages

    form = _openai_media if message.type in ("human", "tool") else _no_form
    content = message.content if isinstance(message.content, str) else list(_blocks(message, form)) or ""
    plain: Any = convert_to_openai_messages(message.model_copy(update={"content": ""}))
    broken: list[Block] = [
        {"type": "function", "id": c["id"], "function": {"name": c["name"], "arguments": c["args"] or ""}}
        for c in getattr(message, "invalid_tool_calls", ())
    ]
    calls = [*plain.get("tool_calls", ()), *broken]
    return {**plain, "content": content} | ({"tool_calls": calls} if calls else {})


def _no_form(block: Mapping[str, Any]) -> None:
    """An answer is words: OpenAI takes no media there."""


def _openai_media(block: Mapping[str, Any]) -> Block | None:
    media = _media(block)
    if media is None:
        return None
    url = media.url or f"data:{media.mime};base64,{media.data}"
    if media.is_picture and not media.id:
        return {"type": "image_url", "image_url": {"url": url} | _detail(block)}
    if media.data and media.mime in SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": SOUNDS[media.mime]}}
    if media.data and media.mime == PDF:
        return {"type": "file", "file": {"filename": media.name or "file.pdf", "file_data": url}}
    return {"type": "file", "file": {"file_id": media.id}} if media.id and media.kind == "application" else None


def _detail(block: Mapping[str, Any]) -> Block:
    """OpenAI's level of detail, where the host has given one."""
    held = block.get("image_url")
    level = held.get("detail") if isinstance(held, Mapping) else block.get("detail")
    return {"detail": level} if level else {}


# --------------------------------------------------------------------------------------------- Anthropic


def _anthropic(message: BaseMessage) -> tuple[str, list[Block]]:
    if message.type == "tool":
        blocks = list(_blocks(message, _anthropic_media))
        return "user", [{"type": "tool_result", "tool_use_id": getattr(message, "tool_call_id", ""), "content": blocks}]
    if message.type == "ai":
        return "assistant", [*_blocks(message, _anthropic_answer), *_anthropic_calls(message)]
    return "user", list(_blocks(message, _anthropic_asked))


def _anthropic_calls(message: Any) -> Iterator[Block]:
    """Calls as blocks; those with broken arguments without any, since their results stand behind them."""
    broken = [{**call, "args": {}} for call in message.invalid_tool_calls]
    for call in (*message.tool_calls, *broken):
        yield {"type": "tool_use", "id": call["id"], "name": call["name"] or "unknown", "input": call["args"]}


def _anthropic_answer(block: Mapping[str, Any]) -> Block | None:
    """What Anthropic's own tools and thinking left in an answer goes back as it came; media do not."""
    kind = str(block.get("type", ""))
    signed = kind == "redacted_thinking" or (kind == "thinking" and block.get("signature"))
    if signed or kind == "server_tool_use" or kind.endswith("_tool_result"):
        return dict(block)
    return _anthropic_text(block)


def _anthropic_asked(block: Mapping[str, Any]) -> Block | None:
    """Results may stand in a person's message, in Anthropic's own form."""
    return dict(block) if block.get("type") in ("tool_result", "search_result") else _anthropic_media(block)


def _anthropic_media(block: Mapping[str, Any]) -> Block | None:
    media = _media(block)
    if media is None:
        return _anthropic_text(block)
    kind = "image" if media.is_picture else "document" if media.kind == "application" else None
    if kind is None or (media.data and kind == "document" and media.mime != PDF):
        return None
    return {"type": kind, "source": _source(media)} | _control(block)


def _source(media: Media) -> Block:
    if media.data:
        return {"type": "base64", "media_type": media.mime, "data": media.data}
    return {"type": "url", "url": media.url} if media.url else {"type": "file", "file_id": media.id}


def _anthropic_text(block: Mapping[str, Any]) -> Block | None:
    """Text with the breakpoint of a cache that the host has set at it."""
    said = block.get("text")
    if block.get("type") != "text" or not isinstance(said, str) or not said.strip() or "cache_control" not in block:
        return None
    return {"type": "text", "text": said} | _control(block)


def _control(block: Mapping[str, Any]) -> Block:
    return {"cache_control": block["cache_control"]} if "cache_control" in block else {}
