"""Messages as they come in, and turns, the atoms of the memory.

A `Message` is read from a LangChain message, an OpenAI-style dict or a (role, text) tuple. It keeps what came in word
for word (`data`), and what the rest of the package works with: role, drawable text, tool calls, attachments and a hash of
the content. A turn is one contribution: a user or system message, or an assistant message with all results of its tool
calls. Whole turns move, so a tool call is never parted from its result.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from optical_memory.errors import TranscriptError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

Role = Literal["user", "assistant", "tool", "system"]
Form = Literal["langchain", "openai"]

ROLES: dict[str, Role] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "ai": "assistant", "model": "assistant",
    "tool": "tool", "function": "tool",
    "system": "system", "developer": "system",
}  # fmt: skip
REASONING = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_content"})
CALLS = frozenset({"tool_use", "tool_call", "function_call", "invalid_tool_call", "tool_call_chunk"})
RESULT = "→ "  # before a tool's result in a turn's text
SOURCE = "optical_memory"  # value of additional_kwargs["lc_source"] on every message that we add to a context


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool: the provider's id, the tool's name, the arguments as JSON text."""

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image or file inside a message; `payload` is its base64 text (None where the message only refers to it)."""

    kind: str
    mime: str
    reference: str
    payload: str | None = field(default=None, repr=False)

    @property
    def line(self) -> str:
        """The one line that stands for it where its bytes are not shown."""
        size = f", {len(self.payload) * 3 // 4:,} bytes" if self.payload else ""
        where = f", {self.reference}" if self.reference else ""
        return f"[{self.kind}: {self.mime}{size}{where}]"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `data` is what came in, JSON-safe, and `hash` covers role, name, text, calls and attachments."""

    role: Role
    text: str
    hash: str
    form: Form
    data: Mapping[str, Any] = field(repr=False)
    id: str | None = None
    name: str | None = None
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    attachments: tuple[Attachment, ...] = ()
    created_at: datetime | None = None


def read(message: object) -> Message:
    """Read one message: a LangChain message, an OpenAI-style dict or a (role, text) tuple.

    Raises TranscriptError if it is none of these.
    """
    if isinstance(message, Mapping):
        return _from_dict(message)
    if isinstance(message, tuple) and len(message) == 2 and isinstance(message[0], str):
        return _from_dict({"role": message[0], "content": message[1]})
    if hasattr(message, "type") and hasattr(message, "content"):
        return _from_langchain(cast("BaseMessage", message))
    raise TranscriptError(
        f"cannot read a message of type {type(message).__name__}: give a LangChain message, a dict with 'role' and "
        "'content', or a (role, text) tuple"
    )


def injected(message: object) -> bool:
    """Was this message put into a list by a memory or a summariser, so that it is no part of the conversation?"""
    extra = getattr(message, "additional_kwargs", None)
    return isinstance(extra, Mapping) and extra.get("lc_source") in (SOURCE, "summarization")


def as_given(message: Message) -> Any:
    """The message as it came in: a LangChain message or a dict."""
    return as_langchain(message) if message.form == "langchain" else dict(message.data)


def as_langchain(message: Message) -> BaseMessage:
    """The message as a LangChain message, word for word."""
    from langchain_core.messages import messages_from_dict

    if message.form == "langchain":
        return messages_from_dict([dict(message.data)])[0]
    return _dict_to_langchain(message)


def from_stored(form: str, data: Mapping[str, Any]) -> Message:
    """The message again, from what was stored of it."""
    return _from_dict(data) if form == "openai" else _parsed(data["data"], str(data["type"]), data)


# --------------------------------------------------------------------------------------------- reading


def _from_dict(given: Mapping[str, Any]) -> Message:
    role = ROLES.get(str(given.get("role")))
    if role is None:
        raise TranscriptError(
            f"message has role {given.get('role')!r}: use one of user, assistant, tool, system, developer"
        )
    data = json_safe(given)
    text, attachments = content_text(given.get("content"))
    calls = tuple(_openai_call(c) for c in _calls_in(given))
    if role == "tool" and not given.get("tool_call_id"):
        raise TranscriptError("a tool message has no 'tool_call_id': add the id of the call that it answers")
    return _message(
        role, text, attachments, calls, "openai", data, _text(given.get("id")), _text(given.get("name")),
        _text(given.get("tool_call_id")) if role == "tool" else None, _time(given.get("created_at")),
    )  # fmt: skip


def _calls_in(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = given.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(c, Mapping) for c in calls):
        raise TranscriptError(f"'tool_calls' is {calls!r:.60}: give a list of objects with 'id' and 'function'")
    return calls


def _from_langchain(given: BaseMessage) -> Message:
    from langchain_core.messages import message_to_dict

    data = json_safe(message_to_dict(given))
    return _parsed(data["data"], given.type, data, given.content)


def _parsed(fields: Mapping[str, Any], kind: str, data: Mapping[str, Any], content: Any = None) -> Message:
    """A LangChain message from its fields; `kind` is its type ("human", "ai", "AIMessageChunk", ...)."""
    name = str(fields.get("role")) if kind == "chat" else kind.removesuffix("MessageChunk").lower()
    role = ROLES.get(name)
    if role is None:
        raise TranscriptError(
            f"cannot remember a message of type {kind!r}: it is no user, assistant, tool or system message"
        )
    text, attachments = content_text(fields.get("content") if content is None else content)
    calls = [*(fields.get("tool_calls") or ()), *(fields.get("invalid_tool_calls") or ())]
    extra = fields.get("additional_kwargs") or {}
    return _message(
        role, text, attachments, tuple(map(_langchain_call, calls)), "langchain", data, _text(fields.get("id")),
        _text(fields.get("name")), _text(fields.get("tool_call_id")), _time(extra.get("created_at")),
    )  # fmt: skip


def _message(
    role: Role, text: str, attachments: tuple[Attachment, ...], calls: tuple[ToolCall, ...], form: Form,
    data: Mapping[str, Any], id: str | None, name: str | None, answers: str | None, created_at: datetime | None,
) -> Message:  # fmt: skip
    speaker = name if role in ("user", "assistant") else None
    digest = _hash(role, speaker, text, calls, answers, attachments)
    return Message(role, text, digest, form, data, id, name, calls, answers, attachments, created_at)


def _hash(
    role: str, name: str | None, text: str, calls: Iterable[ToolCall], answers: str | None, files: Iterable[Attachment]
) -> str:
    parts = [role, name or "", text, answers or ""]
    parts += [f"{c.id}\x00{c.name}\x00{_canonical(c.arguments)}" for c in calls]
    parts += [f"{a.kind}\x00{a.reference}" for a in files]
    return digest("\x01".join(parts))


def digest(text: str) -> str:
    """A 32-digit hash of any text, lone surrogates included."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def chain(parent: str, message_hash: str) -> str:
    """Hash of a place in a conversation: this message after that past."""
    return digest(parent + message_hash)


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def _openai_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function") or call
    arguments = function.get("arguments", "")
    return ToolCall(
        _text(call.get("id")),
        str(function.get("name") or ""),
        arguments if isinstance(arguments, str) else _dump(arguments),
    )


def _langchain_call(call: Mapping[str, Any]) -> ToolCall:
    arguments = call.get("args")
    return ToolCall(
        _text(call.get("id")),
        str(call.get("name") or ""),
        arguments if isinstance(arguments, str) else _dump(arguments),
    )


def content_text(content: Any) -> tuple[str, tuple[Attachment, ...]]:
    """The drawable text of a message's content, and what is attached. Reasoning is left out: it is never drawn."""
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    texts: list[str] = []
    files: list[Attachment] = []
    for block in content if isinstance(content, list | tuple) else [content]:
        _read_block(block, texts, files)
    return "\n".join(texts), tuple(files)


def unwrapped(block: Any) -> Any:
    """A block of a provider that LangChain has no standard form for, as it came; any other as it is."""
    wrapped = isinstance(block, Mapping) and block.get("type") == "non_standard"
    return block.get("value", block) if wrapped else block


def is_reasoning(block: Any) -> bool:
    """Is this block a model's reasoning, readable or not?"""
    bare = unwrapped(block)
    return isinstance(bare, Mapping) and str(bare.get("type")) in REASONING


def _read_block(block: Any, texts: list[str], files: list[Attachment]) -> None:
    if isinstance(block, str):
        texts.append(block)
        return
    block = unwrapped(block)
    if not isinstance(block, Mapping):
        texts.append(str(block))
        return
    kind = str(block.get("type") or next((k for k in _UNTYPED if isinstance(block.get(k), Mapping)), ""))
    if kind in REASONING or kind in CALLS:
        return
    if kind in ("text", "input_text", "output_text", "refusal") or (not kind and "text" in block):
        texts.append(str(block.get("text") or block.get("refusal") or ""))
    elif kind == "tool_result":
        inner, more = content_text(block.get("content"))
        texts.append(inner)
        files.extend(more)
    elif (written := _written(kind, block)) is not None:
        _read_block({"type": "tool_result", "content": written}, texts, files)
    elif (file := _attachment(kind, block)) is not None:
        files.append(file)
        texts.append(file.line)
    else:
        texts.append(_dump(block))


_FILES = {
    "image": "image", "image_url": "image", "input_image": "image", "media": "file", "file": "file", "input_file": "file",
    "document": "file", "audio": "audio", "input_audio": "audio", "video": "video", "text-plain": "file",
}  # fmt: skip
_UNTYPED = ("image", "document", "video")  # blocks that have no type but a key (Amazon Bedrock's Converse)
_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL)


def _written(kind: str, block: Mapping[str, Any]) -> Any:
    """The content of a file that came as text (LangChain's plain text, Anthropic's documents); None for any other."""
    source = block.get("source")
    if kind == "text-plain":
        return block.get("text")
    if kind != "document" or not isinstance(source, Mapping):
        return None
    return {"text": source.get("data"), "content": source.get("content")}.get(str(source.get("type")))


def _attachment(kind: str, block: Mapping[str, Any]) -> Attachment | None:
    if kind not in _FILES:
        return None
    source = block.get(kind) if isinstance(block.get(kind), Mapping) else block.get("source") or block
    source = source if isinstance(source, Mapping) else {"url": source}
    source = {**source, **source["source"]} if isinstance(source.get("source"), Mapping) else source
    url = source.get("url") or block.get(kind) if isinstance(block.get(kind), str) else source.get("url")
    mime = str(
        source.get("mime_type") or source.get("media_type") or source.get("format") or block.get("mime_type") or ""
    )
    payload = source.get("base64") or source.get("data") or source.get("file_data") or source.get("bytes")
    if isinstance(url, str) and (found := _DATA_URL.match(url)):
        mime, payload, url = found[1] or mime, found[2], None
    payload = base64.b64encode(payload).decode() if isinstance(payload, bytes) else payload
    given = (
        source.get("id") if source.get("source_type") == "id" else None
    )  # of a block itself, each making has its own
    name = source.get("file_id") or given or url or source.get("file_uri") or source.get("filename") or ""
    reference = f"#{digest(str(payload))[:8]}" if payload else str(name)[:200]
    return Attachment(_FILES[kind], mime or _FILES[kind], reference, str(payload) if payload else None)


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _time(value: Any) -> datetime | None:
    """A time from ISO text or epoch seconds, in UTC; None for anything else."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(found, datetime):
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _dump(value: Any) -> str:
    return json.dumps(json_safe(value), ensure_ascii=False)


def json_safe(value: Any) -> Any:
    """The same value made of dicts, lists, strings, numbers, booleans and None; bytes become base64, the rest its text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(k): json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _dict_to_langchain(message: Message) -> BaseMessage:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    common: dict[str, Any] = {
        "content": _as_content(message.data.get("content")), "id": message.id, "name": message.name,
    }  # fmt: skip
    if message.role == "assistant":
        good, bad = _parsed_calls(message.calls)
        return AIMessage(**common, tool_calls=good, invalid_tool_calls=bad)
    if message.role == "tool":
        return ToolMessage(**common, tool_call_id=message.answers or "")
    return (HumanMessage if message.role == "user" else SystemMessage)(**common)


def _as_content(content: Any) -> str | list[str | dict[Any, Any]]:
    """The content of a dict as LangChain takes it: a text, or a list of texts and blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    blocks = content if isinstance(content, list) else [content]
    return [block if isinstance(block, str | dict) else str(block) for block in blocks]


def _parsed_calls(calls: Iterable[ToolCall]) -> tuple[list[Any], list[Any]]:
    good: list[Any] = []
    bad: list[Any] = []
    for call in calls:
        try:
            arguments = json.loads(call.arguments or "{}")
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            good.append({"name": call.name, "args": arguments, "id": call.id, "type": "tool_call"})
        else:
            bad.append(
                {"name": call.name, "args": call.arguments, "id": call.id, "error": "arguments are no JSON object"}
            )
    return good, bad


# --------------------------------------------------------------------------------------------- turns


@dataclass(frozen=True, slots=True)
class Turn:
    """One contribution to a thread: `number` counts from 1 along the thread's path, `tokens` is its cost as shown now.

    Of a `purged` turn only its page's picture is left; `text` says so.
    """

    number: int
    role: str
    messages: tuple[Any, ...]
    text: str
    tier: str
    tokens: int
    created_at: datetime | None = None
    pinned: bool = False
    name: str | None = None
    purged: bool = False


def group(messages: Sequence[Message], awaiting: Iterable[str] = ()) -> tuple[list[Message], list[list[Message]]]:
    """Split messages into turns: (results for the turn that is still waiting for them, the turns that follow).

    `awaiting` holds the ids of the calls of the last turn known so far. Raises TranscriptError for a tool result
    whose call is neither among these nor in the turn before it.
    """
    known = set(awaiting)
    late: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role != "tool":
            turns.append([message])
            known = {c.id for c in message.calls if c.id}
        elif message.answers not in known:
            raise TranscriptError(
                f"the tool result for call {message.answers!r} has no such call right before it: remember the assistant "
                "message with the call first, together with all its results"
            )
        else:
            (turns[-1] if turns else late).append(message)
    return late, turns


def is_open(messages: Iterable[Message]) -> bool:
    """Does this turn still wait for results of its tool calls?"""
    called, answered = set(), set()
    for message in messages:
        called |= {c.id for c in message.calls if c.id}
        answered |= {message.answers} if message.answers else set()
    return bool(called - answered)


def turn_text(messages: Sequence[Message]) -> str:
    """The text of a turn: what was said, the calls as name(arguments), the results after an arrow."""
    lines: list[str] = []
    names = {c.id: c.name for m in messages for c in m.calls}
    for message in messages:
        if message.role == "tool":
            label = f"{names.get(message.answers, '')}: " if len(names) > 1 else ""
            lines.append(f"{RESULT}{label}{message.text}")
        else:
            lines += [message.text] if message.text else []
            lines += [f"{c.name}({c.arguments})" for c in message.calls]
    return "\n".join(lines)
