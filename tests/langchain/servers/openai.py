"""OpenAI's two APIs, Chat Completions and Responses: what they refuse, what they bill, how they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, sqrt
from typing import Any

from tests.langchain.servers.common import Bill, Image, Refused, chained, dumped, must, o200k, png_size

Block = dict[str, Any]
Charge = Callable[[Bill, Block, str], None]  # adds an item's tokens by a model to a bill
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
LEVELS = {"auto", "low", "high", "original"}
IMAGES, BODY = 1_500, 512 * 2**20
# the models in use here: patches of 32 px, their multiplier, and (longest side, most patches) for each level
PATCHES = {
    "gpt-5.2": {"low": (2048, 6144), "high": (2048, 6144), "auto": (2048, 6144)},
    "gpt-5.4": {"low": (2048, 6144), "high": (2048, 2500), "original": (6000, 10_000), "auto": (2048, 2500)},
    "gpt-5.6-sol": {"high": (2048, 2500), "original": (65_535, 30_000), "auto": (65_535, 30_000)},
}
BREAKPOINTS = ("gpt-5.6-sol",)  # whose prompts are cached at breakpoints, not wherever two are alike
MARK = "prompt_cache_breakpoint"
TILES = {"gpt-4o": (85, 170), "gpt-5": (70, 140), "gpt-5.1": (70, 140)}


def image_tokens(width: int, height: int, model: str, level: str) -> int:
    """Tokens of an image at a level of detail."""
    if model in TILES:
        return _tiles(width, height, *TILES[model], level)
    side, budget = PATCHES[model][level]
    scale = min(1.0, side / max(width, height))
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    patches = ceil(w / 32) * ceil(h / 32)
    if patches > budget:
        shrink = sqrt(1024 * budget / (w * h))
        across, down = w * shrink / 32, h * shrink / 32
        shrink *= min(floor(across) / across, floor(down) / down)
        patches = ceil(max(1, floor(w * shrink)) / 32) * ceil(max(1, floor(h * shrink)) / 32)
    return ceil(round(patches * 1.2, 6))


def _tiles(width: int, height: int, base: int, tile: int, level: str) -> int:
    if level == "low":
        return base
    scale = min(1.0, 2048 / max(width, height))
    w, h = int(width * scale), int(height * scale)
    if min(w, h) > 768:
        w, h = (768, h * 768 // w) if w < h else (w * 768 // h, 768)
    return base + tile * ceil(w / 512) * ceil(h / 512)


def _picture(url: str, level: str | None, model: str) -> Image:
    must(url.startswith("data:image/png;base64,"), "image_url: only data URLs of PNGs are sent here")
    must(level is None or level in LEVELS, f"detail: {level!r} is not one of {sorted(LEVELS)}")
    size = png_size(url.partition(",")[2], 50 * 2**20)
    return Image(*size, image_tokens(*size, model, level or "auto"), level)


def _tools(tools: Sequence[Block]) -> None:
    for tool in tools:
        function = tool.get("function", tool)
        must(tool["type"] == "function" and NAME.match(function["name"]), "tools: name is wrong")
        must(function["parameters"]["type"] == "object", "tools: parameters must be an object")


def prefix_read(memory: set[str], told: Sequence[object], sizes: Sequence[int]) -> int:
    """Tokens that earlier requests have cached, in steps of 128 from 1,024 on; this one is cached too."""
    hashes = chained(told)
    shared = next((i + 1 for i in range(len(hashes) - 1, -1, -1) if hashes[i] in memory), 0)
    memory.update(hashes)
    read = sum(sizes[:shared])
    return read // 128 * 128 if read >= 1024 else 0


def cached(payload: Mapping[str, Any], memory: set[str], items: Sequence[Block], charge: Charge) -> int:
    """Tokens that earlier requests have cached: of the longest common prefix, or up to a breakpoint; this one is cached too."""
    if payload["model"] not in BREAKPOINTS:
        return prefix_read(memory, items, [_alone(i, payload["model"], charge) for i in items])
    told = [single for item in items for single in _singles(item)]
    marks = [i for i, single in enumerate(told) if any(MARK in b for b in _parts(single))]
    bare = [[payload.get("tools"), payload.get("prompt_cache_key")], *map(_unmarked, told)]
    hashes = chained(bare)[1:]
    hits = [i for i in {*marks, len(told) - 1} if hashes[i] in memory]
    memory.update(hashes[i] for i in [*marks[-3:], len(told) - 1])
    if not hits:
        return 0
    read = _tools_cost(payload) + sum(_alone(i, payload["model"], charge) for i in told[: max(hits) + 1])
    return read if read >= 1024 else 0


def _tools_cost(payload: Mapping[str, Any]) -> int:
    return sum(o200k(dumped(tool)) for tool in payload.get("tools") or [])


def _alone(item: Block, model: str, charge: Charge) -> int:
    out = Bill()
    charge(out, item, model)
    return out.tokens


def _key(item: Block) -> str:
    return "content" if "content" in item else "output"


def _singles(item: Block) -> list[Block]:
    """An item for each of its parts; content that is one text is short for one part."""
    whole = item.get(_key(item))
    parts = [{"type": "text", "text": whole}] if isinstance(whole, str) else _parts(item)
    return [item | {_key(item): [part]} for part in parts] or [item]


def _unmarked(item: Block) -> Block:
    parts = [{k: v for k, v in part.items() if k not in (MARK, "type")} for part in _parts(item)]
    return item | {_key(item): parts} if parts else item


def _parts(item: Block) -> list[Block]:
    content = item.get(_key(item))
    return content if isinstance(content, list) else []


def _breakpoints(payload: Mapping[str, Any], items: Sequence[Block]) -> None:
    """Only newer models know breakpoints, and only in one form."""
    found = [b[MARK] for item in items for b in _parts(item) if MARK in b]
    must(not found or payload["model"] in BREAKPOINTS, f"unknown parameter: {MARK}")
    must(all(mark == {"mode": "explicit"} for mark in found), f"{MARK}: mode must be explicit")
    must(len(payload.get("prompt_cache_key", "")) <= 64, "prompt_cache_key: longer than 64")


# --------------------------------------------------------------------------------------------- Chat Completions


def check_chat(payload: Mapping[str, Any]) -> None:
    """Refuse what Chat Completions refuses."""
    must(payload["messages"], "messages: at least one is required")
    must(len(dumped(payload)) <= BODY, "request too large")
    _tools(payload.get("tools") or [])
    waiting: list[str] = []
    for message in payload["messages"]:
        waiting = _chat_message(message, waiting)
    must(not waiting, f"tool_call_ids did not have response messages: {waiting}")
    must(payload["messages"][-1]["role"] in ("user", "tool"), "nothing is asked")
    must(len(bill_chat(payload).images) <= IMAGES, "too many images")
    _breakpoints(payload, payload["messages"])


def _chat_message(message: Block, waiting: list[str]) -> list[str]:
    """Check one message; the ids of the calls that still wait for their result."""
    role = message["role"]
    must(role in ("system", "developer", "user", "assistant", "tool"), f"role {role!r}")
    must(
        set(message) <= {"role", "content", "name", "tool_calls", "tool_call_id", "refusal"},
        f"unknown key in {set(message)}",
    )
    if role == "tool":
        must(message["tool_call_id"] in waiting, "a tool message must follow the message with its tool_call")
        _chat_parts(message["content"], ("text",))
        return [i for i in waiting if i != message["tool_call_id"]]
    must(not waiting, f"tool_call_ids did not have response messages: {waiting}")
    calls = message.get("tool_calls") or []
    if role == "assistant":
        must(message.get("content") or calls, "assistant: content or tool_calls is required")
        for call in calls:
            must(NAME.match(call["function"]["name"]) and isinstance(call["function"]["arguments"], str), "tool_calls")
            must(len(call["id"]) <= 40, "tool_calls: id is longer than 40")
    _chat_parts(message.get("content"), ("text", "image_url") if role == "user" else ("text", "refusal"))
    return [c["id"] for c in calls]


def _chat_parts(content: Any, kinds: Sequence[str]) -> None:
    if not isinstance(content, list):
        must(content is None or isinstance(content, str), "content: neither text nor a list")
        return
    must(content, "content: the list is empty")
    for part in content:
        must(part["type"] in kinds, f"content: {part['type']} may not stand here, only {kinds}")
        extra = set(part) - {"type", part["type"], "prompt_cache_breakpoint"}
        must(not extra, f"content: unknown key {extra}")


def bill_chat(payload: Mapping[str, Any]) -> Bill:
    """Tokens of a request."""
    out = Bill(text=_tools_cost(payload))
    for message in payload["messages"]:
        _charge_chat(out, message, payload["model"])
    return out


def _charge_chat(out: Bill, message: Block, model: str) -> None:
    content = message.get("content") or ""
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if part["type"] == "image_url":
            out.images.append(_picture(part["image_url"]["url"], part["image_url"].get("detail"), model))
        else:
            out.text += o200k(part.get("text") or part.get("refusal") or "")
    for call in message.get("tool_calls") or []:
        out.text += o200k(call["function"]["name"] + call["function"]["arguments"])
        out.around += 8
    out.around += 3


def answer_chat(payload: Mapping[str, Any], cache: set[str], said: str, calls: Sequence[Any], number: int) -> Block:
    """A completion."""
    read = cached(payload, cache, payload["messages"], _charge_chat)
    made = [
        {"id": f"call_{number}_{i}", "type": "function", "function": {"name": n, "arguments": dumped(a)}}
        for i, (n, a) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": said or None} | ({"tool_calls": made} if made else {})
    tokens = bill_chat(payload).tokens
    usage = {
        "prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20,
        "prompt_tokens_details": {"cached_tokens": read},
    }  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": payload["model"]}
    return head | {"choices": [choice], "usage": usage}


def chunks(completion: Block) -> Iterator[Block]:
    """The same as a stream."""
    head = {k: completion[k] for k in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    message = completion["choices"][0]["message"]
    calls = [c | {"index": i} for i, c in enumerate(message.get("tool_calls") or [])]
    deltas = [{"role": "assistant", "content": ""}, {"content": message["content"]} if message["content"] else {}]
    deltas += [{"tool_calls": [call]} for call in calls]
    for delta in deltas:
        yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None}
    end = {"index": 0, "delta": {}, "finish_reason": completion["choices"][0]["finish_reason"]}
    yield head | {"choices": [end], "usage": None}
    yield head | {"choices": [], "usage": completion["usage"]}


def asked_chat(payload: Mapping[str, Any]) -> bool:
    return bool(payload["messages"][-1]["role"] == "user")


# --------------------------------------------------------------------------------------------- Responses


@dataclass(slots=True)
class Items:
    """What the server has issued: which reasoning belongs to which item, and what it has cached."""

    thought: dict[str, str] = field(default_factory=dict)  # id of an item -> id of the reasoning before it
    cache: set[str] = field(default_factory=set)

    def judge(self, payload: Mapping[str, Any]) -> None:
        """Refuse an item by its id without its reasoning, and reasoning without the item that followed it."""
        told = payload["input"]
        for at, item in enumerate(told):
            needed = self.thought.get(item.get("id", ""))
            before = [i.get("id") for i in told[:at]]
            must(
                not needed or needed in before,
                f"Item {item.get('id')!r} was provided without its required 'reasoning' item",
            )
            if item["type"] == "reasoning":
                following = told[at + 1]["type"] if at + 1 < len(told) else ""
                must(
                    following in ("message", "function_call"),
                    "reasoning was provided without its required following item",
                )


def check_responses(payload: Mapping[str, Any]) -> None:
    """Refuse what the Responses API refuses."""
    told = payload["input"]
    must(told, "input: at least one item is required")
    must(len(dumped(payload)) <= BODY, "request too large")
    _tools(payload.get("tools") or [])
    called: set[str] = set()
    answered: set[str] = set()
    for item in told:
        kind = item.get("type", "message")
        if kind == "message":
            _response_message(item)
        elif kind == "function_call":
            must(isinstance(item["arguments"], str) and item["call_id"] not in called, "function_call: wrong")
            called.add(item["call_id"])
        elif kind == "function_call_output":
            must(item["call_id"] in called - answered, f"No tool call found for function call output {item['call_id']}")
            answered.add(item["call_id"])
        else:
            must(kind == "reasoning" and isinstance(item.get("summary"), list), f"input: {kind} with {set(item)}")
    must(called == answered, f"No tool output found for function call {called - answered}")
    must(told[-1].get("role") == "user" or told[-1]["type"] == "function_call_output", "nothing is asked")
    must(len(bill_responses(payload).images) <= IMAGES, "too many images")
    _breakpoints(payload, told)


def _response_message(item: Block) -> None:
    role, content = item["role"], item["content"]
    kinds = {"user": ("input_text", "input_image"), "assistant": ("output_text", "refusal")}.get(role, ("input_text",))
    must(isinstance(content, str) or content, "message: content is empty")
    for part in content if isinstance(content, list) else []:
        must(part["type"] in kinds, f"message of the {role}: {part['type']} may not stand here")
        must("cache_control" not in part, "unknown parameter: cache_control")


def bill_responses(payload: Mapping[str, Any]) -> Bill:
    """Tokens of a request."""
    out = Bill(text=_tools_cost(payload))
    for item in payload["input"]:
        _charge_item(out, item, payload["model"])
    return out


def _charge_item(out: Bill, item: Block, model: str) -> None:
    content = item.get("content", item.get("output")) or ""
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if part["type"] == "input_image":
            out.images.append(_picture(part["image_url"], part.get("detail"), model))
        else:
            out.text += o200k(part.get("text") or "")
    out.text += o200k(item.get("name", "") + item["arguments"]) if item.get("type") == "function_call" else 0
    out.around += 3


def answer_responses(payload: Mapping[str, Any], items: Items, said: str, calls: Sequence[Any], number: int) -> Block:
    """A response: reasoning, then a message or function calls."""
    read = cached(payload, items.cache, payload["input"], _charge_item)
    output: list[Block] = (
        [{"type": "reasoning", "id": f"rs_{number}", "summary": []}] if payload.get("reasoning") else []
    )
    if said:
        text = {"type": "output_text", "text": said, "annotations": []}
        output.append(
            {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text]}
        )
    for index, (name, arguments) in enumerate(calls):
        output.append(
            {
                "type": "function_call", "id": f"fc_{number}_{index}", "call_id": f"call_{number}_{index}", "name": name,
                "arguments": dumped(arguments), "status": "completed",
            }
        )  # fmt: skip
    if payload.get("reasoning"):
        items.thought |= {i["id"]: f"rs_{number}" for i in output[1:]}
    tokens = bill_responses(payload).tokens
    usage = {
        "input_tokens": tokens, "input_tokens_details": {"cached_tokens": read}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 20,
    }  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": 1, "status": "completed", "model": payload["model"],
        "output": output, "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def response_events(response: Block) -> Iterator[Block]:
    """The same as a stream of events."""
    open_ = response | {"status": "in_progress", "output": [], "usage": None}
    told: list[Block] = [{"type": "response.created", "response": open_}]
    for index, item in enumerate(response["output"]):
        told += _item_events(index, item)
    told.append({"type": "response.completed", "response": response})
    for number, event in enumerate(told):
        yield event | {"sequence_number": number}


def _item_events(index: int, item: Block) -> list[Block]:
    at = {"output_index": index, "item_id": item["id"]}
    bare = item | ({"content": []} if item["type"] == "message" else {"arguments": ""} if "arguments" in item else {})
    out = [{"type": "response.output_item.added", "output_index": index, "item": bare}]
    if item["type"] == "message":
        text, at = item["content"][0]["text"], at | {"content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": []}
        out.append({"type": "response.content_part.added", "part": part} | at)
        out.append({"type": "response.output_text.delta", "delta": text, "logprobs": []} | at)
        out.append({"type": "response.output_text.done", "text": text, "logprobs": []} | at)
    elif item["type"] == "function_call":
        out.append({"type": "response.function_call_arguments.delta", "delta": item["arguments"]} | at)
        out.append(
            {"type": "response.function_call_arguments.done", "arguments": item["arguments"], "name": item["name"]} | at
        )
    return [*out, {"type": "response.output_item.done", "output_index": index, "item": item}]


def asked_responses(payload: Mapping[str, Any]) -> bool:
    return payload["input"][-1].get("type") != "function_call_output"


__all__ = ["Items", "Refused"]
