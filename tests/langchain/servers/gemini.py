"""Google's generateContent: what it refuses, what it bills, how it answers."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, sqrt
from typing import Any

from tests.langchain.servers.common import Bill, Image, Refused, dumped, must, o200k, png_size
from tests.langchain.servers.openai import prefix_read

Block = dict[str, Any]
BUDGETS = {"LOW": 280, "MEDIUM": 560, "HIGH": 1120, "ULTRA_HIGH": 2240}
NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
BODY, IMAGES, FACTOR = 20 * 2**20, 3_000, 1.05
SKIP = "skip_thought_signature_validator"


def image_tokens(width: int, height: int, level: str = "HIGH") -> int:
    """Tokens of an image: whole cells of 48 pixels, as many as the level allows (Gemini 3)."""
    budget = BUDGETS[level]
    scale = sqrt(budget * 48 * 48 / (width * height))
    across, down = floor(scale * width / 48), floor(scale * height / 48)
    if down == 0:
        return min(width // height, budget)
    if across == 0:
        return min(height // width, budget)
    return across * down


def check(payload: Mapping[str, Any]) -> None:
    """Refuse what the API refuses."""
    contents = payload["contents"]
    must(contents, "contents is not specified")
    must(len(dumped(payload)) <= BODY, "Request payload size exceeds the limit: 20971520 bytes")
    must(contents[0]["role"] == "user", "contents must begin with a user turn")
    must(contents[-1]["role"] == "user", "contents must end with a user turn")
    for part in (payload.get("systemInstruction") or {}).get("parts", []):
        must(set(part) == {"text"}, "system_instruction: text only")
    for tool in payload.get("tools") or []:
        for function in tool["functionDeclarations"]:
            must(NAME.match(function["name"]), "function_declarations: name is wrong")
    images = [size for c in contents for size in _turn(c)]
    must(len(images) <= IMAGES, "too many images")
    _pairs(contents)


def _turn(content: Block) -> list[tuple[int, int]]:
    must(content["role"] in ("user", "model"), f"role {content['role']!r}")
    must(content.get("parts"), "contents.parts must not be empty")
    sizes = []
    for part in content["parts"]:
        data = set(part) & {"text", "inlineData", "functionCall", "functionResponse"}
        must(len(data) == 1, f"a part must have exactly one kind of data, not {sorted(part)}")
        if "inlineData" in part:
            must(content["role"] == "user", "images belong into the user's turns")
            blob = part["inlineData"]  # the SDK writes this one key the other way, which the API takes
            must(blob.get("mimeType", blob.get("mime_type")) == "image/png", "mimeType")
            sizes.append(png_size(_plain(part["inlineData"]["data"]), 20 * 2**20))
        must("mediaResolution" not in part or "inlineData" in part, "mediaResolution without media")
        must(_level(part) in BUDGETS, f"media_resolution {part.get('mediaResolution')}")
    return sizes


def _plain(data: str) -> str:
    """The SDK writes base64 with the letters for addresses."""
    return data.replace("-", "+").replace("_", "/")


def _level(part: Block) -> str:
    return str((part.get("mediaResolution") or {}).get("level", "MEDIA_RESOLUTION_HIGH")).removeprefix(
        "MEDIA_RESOLUTION_"
    )


def _named(content: Block, kind: str) -> list[str]:
    return [p[kind]["name"] for p in content["parts"] if kind in p]


def _pairs(contents: Sequence[Block]) -> None:
    """A turn with calls comes after a user's, and the next turn has a response for each of them."""
    waiting: list[str] = []
    before = ""
    for content in contents:
        calls, answers = _named(content, "functionCall"), _named(content, "functionResponse")
        must(
            sorted(answers) == sorted(waiting),
            f"function responses {answers} do not equal the function calls {waiting}",
        )
        must(
            not calls or before == "user",
            "a function call turn must come right after a user turn or a function response",
        )
        waiting, before = calls, content["role"]
    must(not waiting, "function calls without responses")


@dataclass(slots=True)
class Signatures:
    """The thought signatures that the server has issued, and what it has cached."""

    issued: set[str] = field(default_factory=set)
    cache: set[str] = field(default_factory=set)

    def judge(self, payload: Mapping[str, Any]) -> None:
        """In the current turn the first call of each step carries a signature of ours, or the word that skips the check."""
        contents = payload["contents"]
        texts = [i for i, c in enumerate(contents) if c["role"] == "user" and any("text" in p for p in c["parts"])]
        for content in contents[max(texts, default=-1) + 1 :]:
            first = next((p for p in content["parts"] if "functionCall" in p), None)
            told = str((first or {}).get("thoughtSignature", ""))
            must(
                first is None or told == SKIP or _plain(told) in self.issued,
                "Function call is missing a thought_signature in functionCall parts",
            )


def bill(payload: Mapping[str, Any]) -> Bill:
    """Tokens of a request."""
    out = Bill(text=ceil(o200k(dumped(payload.get("tools") or [])) * FACTOR))
    for content in [payload.get("systemInstruction") or {"parts": []}, *payload["contents"]]:
        for part in content["parts"]:
            _charge(out, part)
        out.around += 2
    return out


def _charge(out: Bill, part: Block) -> None:
    if "inlineData" in part:
        size = png_size(_plain(part["inlineData"]["data"]), 20 * 2**20)
        out.images.append(Image(*size, image_tokens(*size, _level(part)), _level(part)))
    elif "text" in part:
        out.text += ceil(o200k(part["text"]) * FACTOR)
    elif "functionCall" in part:
        out.text += ceil(o200k(part["functionCall"]["name"] + dumped(part["functionCall"].get("args", {}))) * FACTOR)
    else:
        said = part["functionResponse"]["response"]
        out.text += ceil(o200k(said.get("output") if isinstance(said.get("output"), str) else dumped(said)) * FACTOR)


def answer(payload: Mapping[str, Any], known: Signatures, said: str, calls: Sequence[Any], number: int) -> Block:
    """A response; calls carry a signature on the first of them."""
    sizes = [bill({"contents": [c]}).tokens for c in payload["contents"]]
    read = prefix_read(known.cache, payload["contents"], sizes)
    parts: list[Block] = [{"text": said}] if said else []
    for index, (name, arguments) in enumerate(calls):
        part: Block = {"functionCall": {"name": name, "args": arguments}}
        if index == 0:
            part["thoughtSignature"] = base64.b64encode(f"thought {number}".encode()).decode()
            known.issued.add(part["thoughtSignature"])
        parts.append(part)
    tokens = bill(payload).tokens
    usage = {
        "promptTokenCount": tokens, "candidatesTokenCount": 20, "totalTokenCount": tokens + 20,
        "cachedContentTokenCount": read,
    }  # fmt: skip
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini", "responseId": f"r{number}"}


def asked(payload: Mapping[str, Any]) -> bool:
    return not any("functionResponse" in p for p in payload["contents"][-1]["parts"])


__all__ = ["Refused", "Signatures"]
