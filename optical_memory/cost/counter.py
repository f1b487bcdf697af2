"""A token counter for LangChain's own tools that knows what images cost.

`count_tokens_approximately` says 85 for any image, and counts the base64 of some forms as if it were text.
This counter reads the size from the image's header and applies the model's own rule, in every form that
providers take.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import optical_memory.cost.images as images
from optical_memory.cost.profiles import Profile, profile
from optical_memory.cost.text import count_o200k
from optical_memory.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage, MessageLikeRepresentation

Block = Mapping[str, Any]
UNSEEN = (
    2048,
    2048,
)  # pixels: the size taken for an image that is only referred to by its address or file id
PDF_PAGE = (1240, 1754)  # pixels of an A4 page at 150 dpi; providers bill a picture and the text of each page
PDF_PAGE_TEXT = 3000  # tokens: the upper end of what Anthropic documents for the text of a page
_CALLS = frozenset({"tool_use", "tool_call", "function_call", "server_tool_use", "invalid_tool_call"})
_UNSAID = frozenset({"type", "id", "index", "signature", "cache_control", "extras", "call_id", "status"})
_PAYLOAD = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_=-]{1000,}")
_URL_SAFE = str.maketrans("-_", "+/")
_PDF_PAGE_MARK = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


def token_counter(model: str) -> Callable[[Iterable[MessageLikeRepresentation]], int]:
    """A counter of the input tokens of messages for `model`, to be given to LangChain as `token_counter`.

    Text by the model's vocabulary or dated factor, images by its own rule, additions for each message and
    tool call from its profile. Takes all that LangChain takes as a message; an image known only by its
    address counts as 2048 x 2048 pixels. The payload of audio and video is not counted.
    """
    of = profile(model)

    def count(messages: Iterable[MessageLikeRepresentation]) -> int:
        from langchain_core.messages import convert_to_messages

        return sum(_message(message, of) for message in convert_to_messages(_listed(messages)))

    return count


def _listed(messages: Iterable[Any]) -> Sequence[Any]:
    """A lone message stands for a list of one."""
    return [messages] if isinstance(messages, str | Mapping) or hasattr(messages, "content") else list(messages)


def _message(message: BaseMessage, of: Profile) -> int:
    calls = [*(getattr(message, "tool_calls", None) or ()), *(getattr(message, "invalid_tool_calls", None) or ())]
    content = [message.content] if isinstance(message.content, str) else message.content
    shown = [b for b in content if not (calls and isinstance(b, Mapping) and _kind(b) in _CALLS)]
    tokens = of.message_overhead + sum(_block(block, of) for block in shown)
    tokens += sum(_call(str(call["name"]), call["args"], of) for call in calls)
    named = _text(message.name, of) if message.name else 0
    return tokens + named + (of.call_overhead if message.type == "tool" else 0)


def _text(text: str, of: Profile) -> int:
    return ceil(round(count_o200k(text) * of.text_factor, 6))


def _call(name: str, arguments: object, of: Profile) -> int:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
    return of.call_overhead + _text(f"{name}{said}", of)


def _block(block: str | Block, of: Profile) -> int:
    if isinstance(block, str):
        return _text(block, of)
    kind = _kind(block)
    if kind in _CALLS:
        return _call(str(block.get("name")), block.get("input", block.get("args", block.get("arguments"))), of)
    if kind in ("tool_result", "function_call_output"):
        return _nested(block.get("content", block.get("output")), of)
    if _is_image(block):
        return _picture(_payload(block), _level(block), of)
    data = _payload(block)
    return _pdf(data, of) if data and data.startswith(b"%PDF") else _text(_words(block), of)


def _kind(block: Block) -> str:
    return str(block.get("type"))


def _nested(content: object, of: Profile) -> int:
    parts = content if isinstance(content, list) else [content]
    return of.call_overhead + sum(_block(p, of) for p in parts if isinstance(p, str | Mapping))


def _words(value: object) -> str:
    """All that a block says: its strings and numbers, without its own labels and without payloads."""
    if isinstance(value, Mapping):
        return " ".join(_words(v) for k, v in value.items() if k not in _UNSAID)
    if isinstance(value, list | tuple):
        return " ".join(map(_words, value))
    said = "" if value is None or isinstance(value, bytes) else str(value)
    return _PAYLOAD.sub("", said)


def _is_image(block: Block) -> bool:
    mime = str(block.get("mime_type") or "")
    typed = block.get("type") in ("image", "image_url", "input_image")
    return typed or mime.startswith("image/") or isinstance(block.get("image"), Mapping)


def _source(block: Block) -> object:
    """Where a block keeps its bytes: base64 text, an address, or bytes."""
    for key in ("base64", "data", "url", "image_url", "bytes", "file_data", "file", "source", "image"):
        value = block.get(key)
        if isinstance(value, str | bytes) and value not in ("base64", "url"):
            return value
        if isinstance(value, Mapping):
            return _source(value)
    return None


def _payload(block: Block) -> bytes | None:
    """The first bytes of what a block carries, enough for any header; all of a JPEG or PDF."""
    source = _source(block)
    if isinstance(source, bytes):
        return source
    if not isinstance(source, str) or source.startswith(("http:", "https:", "gs:", "file:")):
        return None
    text = source.partition(";base64,")[2] if source.startswith("data:") else source
    head = _decoded(text[:64])
    return _decoded(text) if head and head.startswith((b"\xff\xd8\xff", b"%PDF")) else head


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4].translate(_URL_SAFE))
    except (binascii.Error, ValueError):
        return None


def _level(block: Block) -> str | None:
    """The level of detail, wherever a provider's form keeps it."""
    places = (block, block.get("image_url"), block.get("extras"))
    for place in (p for p in places if isinstance(p, Mapping)):
        found = place.get("detail") or place.get("media_resolution")
        if found:
            return str(found.get("level") if isinstance(found, Mapping) else found)
    return None


def _picture(data: bytes | None, level: str | None, of: Profile) -> int:
    width, height = (images.image_size(data) if data else None) or UNSEEN
    try:
        return images.image_tokens(of.name, width, height, level) + of.marks
    except ConfigError:  # a level that the model lacks, an image that it refuses, a blind model: still a number
        return images.unknown(max(1, width), max(1, height))[2]


def _pdf(data: bytes, of: Profile) -> int:
    pages = max(1, len(_PDF_PAGE_MARK.findall(data)))
    page = images.unknown(*PDF_PAGE)[2] + PDF_PAGE_TEXT
    return pages * page
