"""Each provider's forms: how our images are sent, and where a provider is told what it may cache.

Applied to one request at projection time, never to what is stored. What is not named here gets LangChain's standard image
block, which the clients for Bedrock, Vertex, Mistral, Ollama and OpenAI-compatible servers translate themselves.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from optical_memory.cost import Profile, image_size
from optical_memory.langchain.pairs import says
from optical_memory.messages import SOURCE, digest
from optical_memory.planning.context import BRIEF, PREAMBLE

Block = dict[str, Any]
Cache = Literal["5m", "1h"] | None
Family = Literal["anthropic", "openai", "gemini", "plain"]

BREAKPOINTS = 4  # Anthropic takes no more in a request
LOOK_BACK = 20  # content blocks before a breakpoint in which Anthropic looks for what it has cached
WRITES = 3  # breakpoints of a request at which OpenAI writes its cache, beside the one that it sets itself
_HEADER = 64  # base64 characters that hold a PNG's width and height


def family(model: Any) -> Family:
    """Whose forms a chat model takes, by its type in LangChain."""
    kind = str(getattr(model, "_llm_type", ""))
    if kind.startswith("anthropic-"):
        return "anthropic"
    if kind in ("openai-chat", "azure-openai-chat"):
        return "openai"
    return "gemini" if kind == "chat-google-generative-ai" else "plain"


def model_name(model: Any) -> str:
    """The name by which a chat model calls its provider's; "" if it has none."""
    return str(getattr(model, "model_name", None) or getattr(model, "model", None) or "")


def wired(request: Any, messages: Sequence[BaseMessage], profile: Profile, cache: Cache, thread: str = "") -> Any:
    """The request with these messages in the form of its model's provider.

    `profile` is that of the pages. `thread` names the conversation where a provider wants to know what belongs together.
    """
    kind = family(request.model)
    if kind == "openai":
        formed = _imaged(messages, _openai_image, profile)
        marked = cache is not None and takes_breakpoints(request.model)
        return _marked_for_openai(request, formed, thread) if marked else request.override(messages=formed)
    messages = _alternating(messages)
    if kind == "anthropic":
        return _for_anthropic(request, messages, cache)
    if kind == "gemini":
        messages = [_with_calls_whole(m) for m in _imaged(messages, _gemini_image, profile)]
    return request.override(messages=messages)


def _alternating(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Answers in a row as one: what a person said between them may not be shown, and Gemini then refuses a call.

    Only OpenAI takes answers in a row; the other clients join what people and tools say, not what the assistant says.
    """
    out: list[BaseMessage] = []
    for message in messages:
        if out and isinstance(message, AIMessage) and isinstance(out[-1], AIMessage):
            out[-1] = _joined(out[-1], message)
        else:
            out.append(message)
    return out


def _joined(first: AIMessage, second: AIMessage) -> AIMessage:
    """Two answers as one, under the later one's id; the first has no open calls, or results would stand between them."""
    said = [block for block in (*_blocks(first), *_blocks(second)) if says(block)]
    return second.model_copy(update={"content": said, "tool_calls": [*first.tool_calls, *second.tool_calls]})


def ours(message: BaseMessage) -> bool:
    """Was this message put into the request by the memory?"""
    return message.additional_kwargs.get("lc_source") == SOURCE


def _is_page(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "image"


# --------------------------------------------------------------------------------------------- OpenAI, Gemini

Form = Callable[[Block, str], Block]  # an image block and its level of detail


def _imaged(messages: Sequence[BaseMessage], form: Form, profile: Profile) -> list[BaseMessage]:
    """The messages with our images in another form, where the profile names a level of detail for them."""

    def block(given: Any) -> Any:
        level = _level(given, profile) if _is_page(given) else None
        return form(given, level) if level else given

    return [m.model_copy(update={"content": [block(b) for b in _blocks(m)]}) if ours(m) else m for m in messages]


def _level(block: Block, profile: Profile) -> str | None:
    size = image_size(base64.b64decode(block["base64"][:_HEADER]))
    return profile.detail(*size) if size else None


def _openai_image(block: Block, level: str) -> Block:
    """The standard block loses `detail` on its way (langchain-openai 1.7); this one keeps it in both APIs."""
    url = f"data:{block['mime_type']};base64,{block['base64']}"
    return {"type": "image_url", "image_url": {"url": url, "detail": level}}


_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?!\d)")


def takes_breakpoints(model: Any) -> bool:
    """Does OpenAI cache this model's prompts at breakpoints only (GPT-5.6 and later)? By its name at OpenAI itself."""
    found = _VERSION.match(model_name(model)) if model._llm_type == "openai-chat" else None
    return found is not None and (int(found[1]), int(found[2] or 0)) >= (5, 6)


def _marked_for_openai(request: Any, messages: list[BaseMessage], thread: str) -> Any:
    """The request with breakpoints after the pages, where the call before ended, and after the system prompt.

    OpenAI sets one at the tail by itself. These models read what they have cached up to a breakpoint only, and find it
    reliably only under a key from the host: here one for each thread. (OpenAI's guide to prompt caching, November 2026;
    langchain-openai 1.7 passes both on.)
    """
    mark, changed = {"prompt_cache_breakpoint": {"mode": "explicit"}}, dict[str, Any]()
    room = WRITES - sum(isinstance(b, Mapping) and not mark.keys().isdisjoint(b) for b in _told(request, messages))
    for place in (_pages_end(messages), _end_before(messages)):
        if place is not None and room > 0:
            messages, room = _with_mark(messages, *place, mark), room - 1
    if room > 0 and (system := _marked_system(request.system_message, mark)) is not None:
        changed["system_message"] = system
    known = {**(getattr(request.model, "model_kwargs", None) or {}), **request.model_settings}
    if thread and "prompt_cache_key" not in known:
        changed["model_settings"] = {**request.model_settings, "prompt_cache_key": digest(thread)}
    return request.override(messages=messages, **changed)


def _told(request: Any, messages: Sequence[BaseMessage]) -> list[Any]:
    """The content blocks of the system prompt and of all messages."""
    return [b for m in [request.system_message, *messages] if m and isinstance(m.content, list) for b in m.content]


def _gemini_image(block: Block, level: str) -> Block:
    return {**block, "media_resolution": f"MEDIA_RESOLUTION_{level.upper()}"}


def _with_calls_whole(message: BaseMessage) -> BaseMessage:
    """Calls with broken arguments as calls without any: Gemini's client leaves them out, and their results with them."""
    if not isinstance(message, AIMessage) or not message.invalid_tool_calls:
        return message
    repaired: list[Block] = [
        {"name": c["name"] or "unknown", "args": {}, "id": c["id"]} for c in message.invalid_tool_calls
    ]
    return message.model_copy(update={"tool_calls": [*message.tool_calls, *repaired], "invalid_tool_calls": []})


# --------------------------------------------------------------------------------------------- Anthropic


def _for_anthropic(request: Any, messages: Sequence[BaseMessage], cache: Cache) -> Any:
    """Native image blocks, images before text, and breakpoints where the host has left room for them."""
    kind = str(request.model._llm_type)
    formed = [_anthropic_message(m, strict=kind == "anthropic-chat") if ours(m) else m for m in messages]
    if cache is None or kind not in ("anthropic-chat", "anthropic-bedrock-chat"):
        return request.override(messages=formed)
    return _marked(request, formed, cache)


def _anthropic_message(message: BaseMessage, strict: bool) -> BaseMessage:
    """One of our messages: the preamble that says what pages are, images, other text; `strict`: none is made smaller."""
    blocks = [_anthropic_block(b, strict) if _is_page(b) else b for b in _blocks(message)]
    return message.model_copy(update={"content": sorted(blocks, key=_rank)})


def _rank(block: Block) -> int:
    return 1 if block["type"] == "image" else 0 if block.get("text") in (BRIEF, PREAMBLE) else 2


def _anthropic_block(block: Any, strict: bool) -> Block:
    source = {"type": "base64", "media_type": block["mime_type"], "data": block["base64"]}
    silent = {"transformations": {"oversized_image": "error"}} if strict else {}
    return {"type": "image", "source": source} | silent


@dataclass(frozen=True, slots=True)
class Marks:
    """The host's own breakpoints: how many, how long they live, and whether tools and the tail have one."""

    lives: tuple[str, ...]
    tools: bool
    tail: bool

    @property
    def room(self) -> int:
        """How many are left for us; one stays free for the tools, which a layer below us may still mark."""
        return BREAKPOINTS - len(self.lives) - (not self.tools)

    def control(self, cache: str) -> Block:
        """Our breakpoints live as long as the host's shortest: a longer life may not come after a shorter one."""
        life = min(self.lives, key=("5m", "1h").index) if self.lives else cache
        return {"type": "ephemeral"} | ({"ttl": life} if life != "5m" else {})


def host_marks(request: Any, messages: Sequence[BaseMessage]) -> Marks:
    """The breakpoints that are in a request already."""
    tools = [_control(getattr(tool, "extras", tool)) for tool in request.tools]
    tail = _control(request.model_settings)
    found = [c for c in (*tools, *map(_control, _told(request, messages)), tail) if c]
    lives = tuple("1h" if c.get("ttl") == "1h" else "5m" for c in found)
    return Marks(lives, any(tools), bool(tail))


def _control(holder: Any) -> Mapping[str, Any] | None:
    found = holder.get("cache_control") if isinstance(holder, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _marked(request: Any, messages: list[BaseMessage], cache: str) -> Any:
    """The request with breakpoints at its tail, after the pages (see `_stable_end`) and after the system prompt."""
    marks = host_marks(request, messages)
    control, room, changed = marks.control(cache), marks.room, dict[str, Any]()
    if not marks.tail and room > 0:
        changed["model_settings"] = {**request.model_settings, "cache_control": control}
        room -= 1
    place = _stable_end(messages)
    if place is not None and room > 0:
        messages = _with_mark(messages, *place, {"cache_control": control})
        room -= 1
    if room > 0 and (system := _marked_system(request.system_message, {"cache_control": control})) is not None:
        changed["system_message"] = system
    return request.override(messages=messages, **changed)


Place = tuple[int, int]  # a message and a block in it


def _stable_end(messages: Sequence[BaseMessage]) -> Place | None:
    """Where the bytes that stay end: the last page; in a round too long for Anthropic to look back over, its beginning.

    At the tail, Anthropic finds the tail of the call before if that is at most 20 blocks back. A round of many parallel
    calls is longer: then the end of the call before is marked itself.
    """
    if sum(len(_blocks(m)) or 1 for m in messages[_newest_answer(messages) :]) > LOOK_BACK:
        return _end_before(messages)
    return _pages_end(messages)


def _end_before(messages: Sequence[BaseMessage]) -> Place | None:
    """Where the messages of the call before ended: what stood there before the newest answer."""
    return next(_markable(messages[: _newest_answer(messages)]), None)


def _newest_answer(messages: Sequence[BaseMessage]) -> int:
    return next((i for i in range(len(messages) - 1, -1, -1) if messages[i].type == "ai"), 0)


def _pages_end(messages: Sequence[BaseMessage]) -> Place | None:
    """The last page; where the memory shows none, the end of its messages before those of the talk."""
    mine = [i for i, m in enumerate(messages) if ours(m)]
    paged = [i for i in mine if any(map(_is_page, _blocks(messages[i])))]
    led = [i for i in mine if all(ours(m) for m in messages[: i + 1])]
    if not (paged or led):
        return None
    at = (paged or led)[-1]
    last = [j for j, b in enumerate(_blocks(messages[at])) if _is_page(b) or not paged]
    return at, last[-1]


def _markable(messages: Sequence[BaseMessage]) -> Iterator[Place]:
    """Blocks of people and tools that may carry a breakpoint, newest first; empty text may not."""
    for at in range(len(messages) - 1, -1, -1):
        blocks = _blocks(messages[at]) if messages[at].type in ("human", "tool") else []
        for index in range(len(blocks) - 1, -1, -1):
            kind = blocks[index].get("type")
            if kind in ("image", "image_url", "tool_result") or (kind == "text" and blocks[index].get("text")):
                yield at, index


def _blocks(message: BaseMessage) -> list[Block]:
    """The content blocks of a message, which may be one text."""
    content = message.content if isinstance(message.content, list) else [message.content]
    return [{"type": "text", "text": b} if isinstance(b, str) else b for b in content]


def _with_mark(messages: Sequence[BaseMessage], at: int, index: int, mark: Block) -> list[BaseMessage]:
    """Copies of the messages, one of them with a breakpoint at one of its blocks."""
    blocks = _blocks(messages[at])
    blocks[index] = {**blocks[index], **mark}
    return [*messages[:at], messages[at].model_copy(update={"content": blocks}), *messages[at + 1 :]]


def _marked_system(system: SystemMessage | None, mark: Block) -> SystemMessage | None:
    """The system prompt with a breakpoint at its end; None if there is nothing to mark, or the host has marked it."""
    blocks = _blocks(system) if system is not None else []
    last = blocks[-1] if blocks else {}
    if system is None or any(b.keys() & mark for b in blocks) or last.get("type") != "text" or not last.get("text"):
        return None
    return system.model_copy(update={"content": [*blocks[:-1], {**last, **mark}]})
