"""What the demo shows of a conversation: how it is held, what the next call costs, and what else would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import optical_memory.inspection.looking as looking
from optical_memory.cost import profile
from optical_memory.inspection.looking import Part
from optical_memory.planning.tiers import DRAWN

if TYPE_CHECKING:
    from optical_memory.memory import Context, OpticalMemory, Page
    from optical_memory.messages import Turn

OTHERS = ("claude-opus-5", "claude-fable-5", "gpt-5.6-sol", "gpt-5.1", "gemini-3-pro", "gpt-4o-mini")
HELD = ("text", "vivid", "clear", "dense", "card", "handle")


@dataclass(frozen=True, slots=True)
class Recalled:
    """A question about something old, what came back word for word, and the answer; `checked` against the source."""

    question: str
    query: str
    turn: int
    text: str = field(repr=False)
    answer: str
    held_before: str
    checked: bool | None


@dataclass(frozen=True, slots=True)
class Spent:
    """Input tokens of all model calls: as sent, and had each call carried the whole conversation as text."""

    calls: int
    total: int
    most: int
    plain_total: int
    plain_most: int


@dataclass(frozen=True, slots=True)
class Held:
    """One model's view of the conversation: turns by tier, and the tokens of the next call."""

    model: str
    text_tokens: int
    tokens: int
    turns: Mapping[str, int]
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the demo shows."""

    source: str
    turns: Sequence[Turn] = field(repr=False)
    context: Context
    parts: Sequence[Part] = field(repr=False)
    held: Held
    kept_by_dropping: int
    recalled: Recalled | None
    spent: Spent | None
    others: Sequence[Held]
    samples: Mapping[str, Page] = field(repr=False)
    card: str

    @property
    def readable(self) -> int:
        """Turns that the next call shows as text or as a page."""
        return sum(self.held.turns.get(kind, 0) for kind in ("text", *DRAWN))

    def text_tokens(self, first: int, last: int) -> int:
        """Tokens of these turns as plain text."""
        return sum(t.tokens for t in self.turns[first - 1 : last])


def measure(memory: OpticalMemory, thread: str, source: str, recalled: Recalled | None, calls: Sequence[int]) -> Shown:
    """Look at a thread from all sides; nothing is changed by it."""
    context = memory.context(thread, dry_run=True)
    turns = memory.turns(thread)
    samples = _samples(memory, thread)
    first = min((p.turns[0] for p in samples.values()), default=0)
    return Shown(
        source,
        turns,
        context,
        looking.parts(context, memory.profile.image),
        _held(memory, thread, context, None),
        kept_by_dropping([t.tokens for t in turns], memory.budget),
        recalled,
        _spent(turns, calls),
        [_held(memory, thread, memory.context(thread, model=m, dry_run=True), m) for m in OTHERS],
        samples,
        _card(memory, thread, first),
    )


def by_tier(context: Context, length: int) -> dict[str, int]:
    """How many of a thread's `length` turns a context shows at each tier; what it does not show stands behind a handle.

    Turns that a page leaves out are not shown by it.
    """
    found: Counter[str] = Counter()
    for segment in context.segments:
        if segment.turns and segment.kind != "recalled":
            kind = "text" if segment.kind in ("current", "excerpt") else segment.kind
            found[kind] += sum(last - first + 1 for first, last in segment.shown)
    found["handle"] = length - sum(n for kind, n in found.items() if kind != "handle")
    return dict(found)


def _held(memory: OpticalMemory, thread: str, context: Context, model: str | None) -> Held:
    reads = profile(context.model)
    turns = by_tier(context, looking.length(memory, thread))
    return Held(context.model, looking.plain_tokens(memory, thread, model), context.tokens, turns, reads.note)


def kept_by_dropping(tokens: Sequence[int], budget: int) -> int:
    """How many of the newest turns fit into a budget as text, when the oldest are dropped."""
    left = budget
    for count, cost in enumerate(reversed(tokens)):
        left -= cost
        if left < 0:
            return count
    return len(tokens)


def _spent(turns: Sequence[Turn], calls: Sequence[int]) -> Spent | None:
    plain = list(_plain_calls(turns))
    if not calls or not plain:
        return None
    return Spent(len(calls), sum(calls), max(calls), sum(plain), max(plain))


def _plain_calls(turns: Sequence[Turn]) -> Iterator[int]:
    """The input of the call behind each assistant turn, had it been all turns before as text."""
    before = 0
    for turn in turns:
        if turn.role == "assistant":
            yield before
        before += turn.tokens


def _samples(memory: OpticalMemory, thread: str) -> dict[str, Page]:
    """One page at every tier that the model reads: of those drawn at most tiers, the one with most turns."""
    looks: dict[int, dict[str, Page]] = {}
    for tier in DRAWN:
        for page in memory.pages(thread, tier=tier):
            looks.setdefault(page.number, {}).setdefault(tier, page)
    return max(looks.values(), key=lambda of: (len(of), _turns_of(of)), default={})


def _turns_of(looks: Mapping[str, Page]) -> int:
    return max(p.turns[1] - p.turns[0] for p in looks.values())


def _card(memory: OpticalMemory, thread: str, first: int) -> str:
    """The headline that stands for the page that begins with this turn."""
    from optical_memory.memory.state import sealed

    with memory.store.read() as reader:
        row = reader.thread(thread)
        pages = [page for page, _ in sealed(reader, reader.path(row), memory.settings())] if row else []
    return next((p.card for p in pages if p.first == first and p.card), "")
