"""Anthropic's Messages API: which requests it refuses, what it bills, what it caches, and how it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from tests.langchain.servers.common import Bill, Image, Refused, chained, dumped, hashed, must, o200k, png_size

HIGH = ("claude-opus-5", "claude-sonnet-5", "claude-fable-5", "claude-haiku-5", "claude-opus-4-7", "claude-opus-4-8")
BODY = 32 * 2**20
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
LIVES = {"5m": 0, "1h": 1}
Block = dict[str, Any]


def limits(model: str) -> tuple[int, int, float]:
    """(longest edge in pixels, most tokens of an image, tokens per o200k token) of a model."""
    high = model.startswith(HIGH)
    return (2576, 4784, 1.68) if high else (1568, 1568, 1.25)


def image_tokens(width: int, height: int, model: str) -> tuple[int, bool]:
    """(tokens, must the image be made smaller?): cells of 28 pixels, the largest size that fits where it does not."""
    edge, most, _ = limits(model)

    def cells(w: int, h: int) -> int:
        return ceil(w / 28) * ceil(h / 28)

    def fits(w: int, h: int) -> bool:
        return max(ceil(w / 28), ceil(h / 28)) * 28 <= edge and cells(w, h) <= most

    if fits(width, height):
        return cells(width, height), False
    long, short = max(width, height), min(width, height)
    side = next(s for s in range(long, 0, -1) if fits(s, max(1, round(s * short / long))))
    return cells(side, max(1, round(side * short / long))), True


# --------------------------------------------------------------------------------------------- what is refused


def check(payload: Mapping[str, Any]) -> None:
    """Refuse what the API refuses, but for thinking, which only the server that issued it can judge."""
    must(payload.get("model") and payload.get("max_tokens", 0) > 0, "model and max_tokens are required")
    must(len(dumped(payload)) <= BODY, "request exceeds the maximum size")
    _tools(payload.get("tools") or [])
    _system(payload.get("system"))
    messages = payload["messages"]
    must(messages, "messages: at least one message is required")
    must(messages[0]["role"] == "user", "messages: first message must use the user role")
    must(messages[-1]["role"] == "user", "this model does not support assistant message prefill")
    for before, after in zip(messages, messages[1:], strict=False):
        must(before["role"] != after["role"], "messages: roles must alternate")
    _pairs(messages)
    images = [i for m in messages for i in _content(m)]
    most = 100 if payload["model"].startswith(("claude-opus-4", "claude-haiku-4", "claude-sonnet-4")) else 600
    must(len(images) <= most, f"at most {most} images in a request")
    side = 2000 if len(images) > 20 else 8000
    must(
        all(max(size) <= side for size in images), f"an image exceeds {side} pixels, the limit for {len(images)} images"
    )
    _breakpoints(payload)
    _shrunk(payload)


def _tools(tools: Sequence[Block]) -> None:
    must(len({t["name"] for t in tools}) == len(tools), "tools: names must be unique")
    for tool in tools:
        must(NAME.match(tool["name"]), f"tools: {tool['name']!r} is no name")
        must(tool["input_schema"].get("type") == "object", "tools: input_schema must be an object")


def _system(system: Any) -> None:
    for block in system if isinstance(system, list) else []:
        must(block["type"] == "text" and block["text"], "system: text blocks with text only")


def blocks(message: Block) -> list[Block]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _content(message: Block) -> Iterator[tuple[int, int]]:
    """The sizes of a message's images; refuses blocks that may not stand in it."""
    user = message["role"] == "user"
    must(blocks(message), "messages: content must not be empty")
    for block in blocks(message):
        kind = block["type"]
        allowed = ("text", "image", "tool_result") if user else ("text", "thinking", "redacted_thinking", "tool_use")
        must(kind in allowed, f"messages: {kind} may not stand in a message of the {message['role']}")
        if kind == "text":
            must(block["text"].strip(), "messages: text content blocks must contain non-whitespace text")
        elif kind == "image":
            yield _picture(block)
        elif kind == "tool_result" and isinstance(block.get("content"), list):
            yield from (_picture(b) for b in block["content"] if b["type"] == "image")
            must(all(b["type"] != "text" or b["text"] for b in block["content"]), "tool_result: text must not be empty")
        elif kind == "tool_use":
            must(NAME.match(block["id"]) and isinstance(block["input"], dict), "tool_use: id or input is wrong")


def _picture(block: Block) -> tuple[int, int]:
    extra = set(block) - {"type", "source", "cache_control", "transformations"}
    must(not extra, f"image: {extra} not permitted")
    source = block["source"]
    must(source["type"] == "base64" and source["media_type"] == "image/png", "image: source must be a base64 PNG here")
    return png_size(source["data"])


def _pairs(messages: Sequence[Block]) -> None:
    """Each tool_use has its result in the next message, at its beginning, and no result stands without its call."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        kinds = [b["type"] for b in blocks(message)]
        results = [b["tool_use_id"] for b in blocks(message) if b["type"] == "tool_result"]
        if message["role"] == "user":
            must(
                sorted(results) == sorted(waiting), f"tool_use ids {waiting} and tool_result ids {results} do not match"
            )
            must("tool_result" not in kinds[len(results) :], "tool_result blocks must come first")
            waiting = []
        else:
            waiting = [b["id"] for b in blocks(message) if b["type"] == "tool_use"]
            must(not seen & {*waiting} and len({*waiting}) == len(waiting), "tool_use ids must be unique")
            seen |= {*waiting}
    must(not waiting, "tool_use without tool_result")


def _breakpoints(payload: Mapping[str, Any]) -> None:
    marks = [c for c in controls(payload) if c]
    must(len(marks) <= 4, f"a maximum of 4 blocks with cache_control may be provided, found {len(marks)}")
    lives = [LIVES[c.get("ttl", "5m")] for c in marks]
    must(all(c["type"] == "ephemeral" for c in marks), "cache_control: type must be ephemeral")
    must(lives == sorted(lives, reverse=True), "cache_control: a ttl of 1h must not come after a ttl of 5m")
    for block in (b for m in payload["messages"] for b in blocks(m)):
        must(not (block.get("cache_control") and block["type"] == "thinking"), "cache_control on thinking")


def controls(payload: Mapping[str, Any]) -> list[Block | None]:
    """The breakpoint of each cacheable block in the order of the prompt, the automatic one at the end."""
    system = payload.get("system")
    found = [t.get("cache_control") for t in payload.get("tools") or []]
    found += [b.get("cache_control") for b in system] if isinstance(system, list) else [None] * bool(system)
    found += [b.get("cache_control") for m in payload["messages"] for b in blocks(m)]
    if payload.get("cache_control"):
        found[-1] = found[-1] or payload["cache_control"]
    return found


def _shrunk(payload: Mapping[str, Any]) -> None:
    for block in (b for m in payload["messages"] for b in blocks(m) if b["type"] == "image"):
        if block.get("transformations", {}).get("oversized_image") == "error":
            must(not image_tokens(*png_size(block["source"]["data"]), payload["model"])[1], "image is oversized")


def texts_before_images(payload: Mapping[str, Any]) -> int:
    """Texts of more than one sentence's label that stand before an image in the first message: advice, not a rule."""
    first = blocks(payload["messages"][0])
    last = max((i for i, b in enumerate(first) if b["type"] == "image"), default=-1)
    return sum(1 for b in first[:last] if b["type"] == "text")


# --------------------------------------------------------------------------------------------- what is billed


def bill(payload: Mapping[str, Any]) -> Bill:
    """Tokens of a request."""
    out = Bill()
    for part in parts(payload):
        _charge(out, part, payload["model"])
    out.around += 3 * len(payload["messages"])
    return out


def parts(payload: Mapping[str, Any]) -> list[Block]:
    """Every block in the order in which it is cached: tools, system, messages; without its breakpoint."""
    system = payload.get("system") or []
    told = [{"type": "tool", "text": dumped(_bare(t))} for t in payload.get("tools") or []]
    told += system if isinstance(system, list) else [{"type": "text", "text": system}]
    told += [{"role": m["role"]} | b for m in payload["messages"] for b in blocks(m)]
    return [_bare(b) for b in told]


def _bare(block: Block) -> Block:
    bare = {k: v for k, v in block.items() if k not in ("cache_control", "transformations")}
    inner = bare.get("content")
    inner = [{"type": "text", "text": inner}] if isinstance(inner, str) else inner  # which is short for the same
    return bare | {"content": [_bare(b) for b in inner]} if isinstance(inner, list) else bare


def _charge(out: Bill, block: Block, model: str) -> None:
    factor = limits(model)[2]
    kind = block["type"]
    if kind == "image":
        size = png_size(block["source"]["data"])
        out.images.append(Image(*size, image_tokens(*size, model)[0]))
    elif kind == "tool_result":
        inner = block["content"] if isinstance(block["content"], list) else [{"type": "text", "text": block["content"]}]
        out.around += 20
        for part in inner:
            _charge(out, part, model)
    elif kind == "tool_use":
        out.text += ceil(o200k(block["name"] + dumped(block["input"])) * factor)
        out.around += 20
    elif kind in ("text", "tool"):
        out.text += ceil(o200k(block["text"]) * factor)


# --------------------------------------------------------------------------------------------- the server's memory


@dataclass(slots=True)
class Memory:
    """What the server knows of earlier requests: the prefixes that it has cached and the thinking that it has signed."""

    cache: set[str] = field(default_factory=set)
    signed: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def cached(self, payload: Mapping[str, Any]) -> tuple[int, int]:
        """(tokens read, tokens written): read back from each breakpoint over at most 20 blocks, written at breakpoints."""
        told, marks = parts(payload), controls(payload)
        hashes = chained([*told])
        places = [i for i, mark in enumerate(marks) if mark]
        hits = [j for i in places for j in range(i, max(-1, i - 21), -1) if hashes[j] in self.cache]
        self.cache |= {hashes[i] for i in places}
        sizes = [_alone(part, payload["model"]) for part in told]
        read = sum(sizes[: max(hits) + 1]) if hits else 0
        return read, (sum(sizes[: max(places) + 1]) - read) if places else 0

    def judge(self, payload: Mapping[str, Any]) -> None:
        """Refuse thinking that stands after another prefix than the one it was signed for."""
        kind = (payload.get("thinking") or {}).get("type")
        chain: list[str] = []
        plain: list[Block] = []
        for block in (b for b in parts(payload) if b["type"] != "tool"):
            if block["type"] != "thinking":
                plain.append(block)
                continue
            bound = self.signed.get(block["signature"])
            must(bound, "Invalid signature in thinking block")
            assert bound is not None
            must(
                bound[0] == hashed(plain),
                "Invalid signature in thinking block. The block is bound to a different conversation",
            )
            must(
                bound[1][len(bound[1]) - len(chain) :] == chain if chain else True,
                "thinking was removed from the middle",
            )
            chain.append(block["signature"])
        if kind == "enabled":
            _begins_with_thinking(payload["messages"])

    def sign(self, payload: Mapping[str, Any]) -> str:
        """The signature of a thinking block that answers this request."""
        plain = [b for b in parts(payload) if b["type"] not in ("tool", "thinking")]
        chain = [b["signature"] for b in parts(payload) if b["type"] == "thinking"]
        signature = f"sig{len(self.signed)}{hashed(plain)}"
        self.signed[signature] = (hashed(plain), chain)
        return signature


def _alone(part: Block, model: str) -> int:
    out = Bill()
    _charge(out, part, model)
    return out.tokens


def _begins_with_thinking(messages: Sequence[Block]) -> None:
    """In an open tool round the assistant's newest message begins with its thinking."""
    if any(b["type"] == "tool_result" for b in blocks(messages[-1])):
        first = blocks(messages[-2])[0]["type"]
        must(
            first in ("thinking", "redacted_thinking"),
            f"Expected `thinking` or `redacted_thinking`, but found `{first}`",
        )


# --------------------------------------------------------------------------------------------- answers


def answer(
    payload: Mapping[str, Any], memory: Memory, said: str, calls: Sequence[tuple[str, Block]], number: int
) -> Block:
    """A message that says something and calls tools; `calls` are names and arguments."""
    made = bill(payload)
    read, written = memory.cached(payload)
    content: list[Block] = []
    if (payload.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        content.append({"type": "thinking", "thinking": f"thought {number}", "signature": memory.sign(payload)})
    content += [{"type": "text", "text": said}] if said else []
    content += [
        {"type": "tool_use", "id": f"toolu_{number}_{i}", "name": n, "input": a} for i, (n, a) in enumerate(calls)
    ]
    usage = {
        "input_tokens": max(0, made.tokens - read - written), "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written, "output_tokens": 20,
    }  # fmt: skip
    return {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": payload["model"], "content": content,
        "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def events(message: Block) -> Iterator[Block]:
    """The same as a stream of events."""
    yield {"type": "message_start", "message": message | {"content": [], "stop_reason": None}}
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": message["usage"],  # the sums, which clients take
    }
    yield {"type": "message_stop"}


def _block_events(index: int, block: Block) -> Iterator[Block]:
    kind = block["type"]
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[kind]
    deltas = {
        "text": [{"type": "text_delta", "text": block.get("text")}],
        "thinking": [
            {"type": "thinking_delta", "thinking": block.get("thinking")},
            {"type": "signature_delta", "signature": block.get("signature")},
        ],
        "tool_use": [{"type": "input_json_delta", "partial_json": dumped(block.get("input"))}],
    }[kind]
    yield {"type": "content_block_start", "index": index, "content_block": block | empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def asked(payload: Mapping[str, Any]) -> bool:
    """Does a person ask, rather than a tool answer?"""
    return not any(b["type"] == "tool_result" for b in blocks(payload["messages"][-1]))


__all__ = ["Memory", "Refused", "answer", "asked", "bill", "check", "events", "texts_before_images"]
