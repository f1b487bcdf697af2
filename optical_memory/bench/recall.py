"""A context builder in the form of a recall-at-budget benchmark: `build(messages, budget, cost) -> messages`.

`messages` are OpenAI-style dicts, `cost` tells what text and images cost: `text(str)`, `image(w, h)`, `served(w, h)`, `page` (a
size that wastes nothing), `by_area` (does a shorter page cost less?). Out come OpenAI-style messages, pages as data URLs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from os import environ
from typing import Any, Protocol

from optical_memory.cost import Profile, image_size, profile
from optical_memory.memory import Context, OpticalMemory
from optical_memory.memory.forms import to_openai
from optical_memory.pages import Sheet
from optical_memory.planning.decay import Age
from optical_memory.planning.tiers import Tier
from optical_memory.readers import load_profile

Row = Mapping[str, Any]
READER = environ.get("OPTICAL_MEMORY_READER", "ocr:tesseract")  # a model or a calibrated file (*.json)


class Cost(Protocol):
    """What the benchmark says of prices."""

    name: str
    image: Callable[[int, int], int]
    served: Callable[[int, int], tuple[int, int]]
    page: tuple[int, int]
    by_area: bool
    text: Callable[[str], int]


def build(messages: Sequence[Row], budget: int, cost: Cost) -> list[dict[str, Any]]:
    """The context of `messages` for `budget` tokens at these prices, pages only as dense as `READER` reads."""
    return _built(messages, budget, cost, reading(cost, READER))


def build_words(messages: Sequence[Row], budget: int, cost: Cost) -> list[dict[str, Any]]:
    """The same memory for a model that sees no images: what the pages are worth is the difference."""
    return _built(messages, budget, cost, replace(reading(cost, READER), vision=False))


def _built(messages: Sequence[Row], budget: int, cost: Cost, read: Profile) -> list[dict[str, Any]]:
    with _memory(budget, cost, read) as memory:
        memory.remember("talk", messages)
        return _fitted(memory, messages, budget, cost)[1]


def build_asked(messages: Sequence[Row], budget: int, cost: Cost, question: str) -> list[dict[str, Any]]:
    """The same where the question is known: a part of the budget is left for what it brings back by itself."""
    return _asked(messages, budget, cost, question, reading(cost, READER))


def build_words_asked(messages: Sequence[Row], budget: int, cost: Cost, question: str) -> list[dict[str, Any]]:
    """The same without images."""
    return _asked(messages, budget, cost, question, replace(reading(cost, READER), vision=False))


def _asked(messages: Sequence[Row], budget: int, cost: Cost, question: str, read: Profile) -> list[dict[str, Any]]:
    """Of the contexts with more or less of the budget left to the question, the one that should hold most of what it asks."""
    tried = [_split(messages, budget, cost, question, read, share) for share in UNASKED]
    return max(tried, key=lambda found: found[0])[1]


UNASKED = (1.0, 0.5, 0.3)  # of the budget that is filled without looking at the question
CHANCE = 0.3  # that what is wanted shares no words with the question


def _split(
    messages: Sequence[Row], budget: int, cost: Cost, question: str, read: Profile, share: float
) -> tuple[float, list[dict[str, Any]]]:
    with _memory(budget, cost, read, low_mark=share, recall=budget) as memory:
        memory.remember("talk", [*messages, {"role": "user", "content": question}])
        context, rows = _fitted(memory, messages, budget, cost, question)
        return _expected(memory, context, question), rows


def _expected(memory: OpticalMemory, context: Context, question: str) -> float:
    """The chance (0 to 1) that a turn that the question asks for can be read.

    What matches twice as well is taken to be four times as likely.
    """
    newest = context.end
    found = [hit for hit in memory.search("talk", question, limit=newest) if hit.turn < newest]
    scores = {hit.turn: hit.score**2 for hit in found}
    whole = sum(scores.values()) or 1.0
    seen = _readable(context, memory.profile)
    likely = sum(score * seen.get(turn, 0.0) for turn, score in scores.items()) / whole
    return (1 - CHANCE) * likely + CHANCE * sum(seen.values()) / max(1, newest - 1)


def _readable(context: Context, read: Profile) -> dict[int, float]:
    """The share (0 to 1) of each turn that can be read where it is shown best."""
    seen: dict[int, float] = {}
    for segment in context.segments:
        share = read.shares.get(segment.kind, 1.0)
        for turn in (n for first, last in segment.shown for n in range(first, last + 1)):
            seen[turn] = max(seen.get(turn, 0.0), share)
    return seen


def _memory(budget: int, cost: Cost, read: Profile, low_mark: float = 1.0, recall: int = 0) -> OpticalMemory:
    return OpticalMemory(
        "sqlite://", profile=read, count=cost.text, budget=budget, keep=("turns", 1),
        low_mark=low_mark, recall=("tokens", recall), schedule=_ageless, facts=0.0,
    )  # fmt: skip


def _ageless(age: Age) -> Tier:
    """Only the budget decides: what is left over shows old turns as text again."""
    return "text"


def reading(cost: Cost, reader: str) -> Profile:
    """The profile of a reader, a model or a file, at the benchmark's prices; a message's speaker costs three tokens at most.

    A card is worth next to nothing here: the benchmark counts turns that are held whole.
    """
    known = load_profile(reader) if reader.endswith(".json") else profile(reader)
    return replace(
        known, name=f"{reader} at {cost.name}", shares={**known.shares, "card": 0.02}, image=cost.image,
        served=cost.served, text_factor=1.0, message_overhead=4, call_overhead=1, sheet_steps=sheets(cost),
        max_images=10_000, max_side=100_000,
    )  # fmt: skip


def sheets(cost: Cost) -> tuple[Sheet, ...]:
    """The page sizes that waste nothing at these prices: cropped rows where area is what costs, else whole pages."""
    width, height = cost.page
    if not cost.by_area:
        return (Sheet(width, height, crop=False),)
    steps = sorted({cost.image(width, h): h for h in range(height, 0, -1)}.values())  # the tallest page of each price
    if len(steps) > 8:
        return (Sheet(width, height, step=_step(steps)),)
    highest = [max(h for h in range(1, height + 1) if cost.image(width, h) == cost.image(width, low)) for low in steps]
    return tuple(Sheet(width, h, crop=False) for h in sorted(set(highest)))


def _step(heights: Sequence[int]) -> int:
    return min(b - a for a, b in pairwise(heights))


def _fitted(
    memory: OpticalMemory, messages: Sequence[Row], budget: int, cost: Cost, question: str | None = None
) -> tuple[Context, list[dict[str, Any]]]:
    """The context, also in the benchmark's form; planned again with a little less where its own count comes out higher."""
    spare = -cost.text(f"user: {question}") if question else 0  # the benchmark asks by itself
    while True:
        context = memory.context("talk", query=question, budget=budget - spare, dry_run=True)
        made = as_rows(context, messages)
        made = made[:-1] if question else made
        over = tokens(made, cost) - budget
        if over <= 0:
            return context, made
        spare += over


def as_rows(context: Context, messages: Sequence[Row]) -> list[dict[str, Any]]:
    """OpenAI-style messages; those that were given come out as they were given."""
    given = {row["id"]: dict(row) for row in messages if row.get("id")}
    return [given.get(m.id or "") or to_openai([m])[0] for m in context.messages]


def tokens(rows: Sequence[Row], cost: Cost) -> int:
    """What the benchmark will count: a line of text for each message with words, and its images at their sizes."""
    return sum(_tokens(row, cost) for row in rows)


def _tokens(row: Row, cost: Cost) -> int:
    content = row.get("content")
    blocks: list[Any] = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    texts = [b["text"] for b in blocks if b["type"] == "text"]
    texts += [f"{c['function']['name']}({c['function']['arguments']})" for c in row.get("tool_calls") or ()]
    said = "\n".join(t for t in texts if t)
    words = cost.text(f"{row.get('name') or row['role']}: {said}") if said else 0
    urls = [str(b["image_url"]["url"]) for b in blocks if b["type"] == "image_url"]
    sizes = [image_size(base64.b64decode(url.split(",", 1)[1])) for url in urls]
    return words + sum(cost.image(*size) for size in sizes if size)
