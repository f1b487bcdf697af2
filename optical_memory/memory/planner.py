"""From what is stored to the next plan: seal, decay, allocate. Pure: values in, a `Proposal` out, nothing written.

Between steps the plan stands and new turns follow it as text, so that every byte before them stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from optical_memory.cost import Profile
from optical_memory.errors import BudgetError
from optical_memory.pages import Sheet, TurnText, drawable, headlines
from optical_memory.planning.context import LOWERED, PREAMBLE, Plan, Segment, Span, allocate, card_line, handle_line
from optical_memory.planning.decay import Age, Schedule
from optical_memory.planning.facts import exact_strings, rank, sheet_line
from optical_memory.planning.seal import Draft, Look, Old, Size, seal, sheet_for
from optical_memory.planning.strength import is_instruction, strength
from optical_memory.planning.tiers import DRAWN, RANK, Tier, fainter
from optical_memory.storage import TurnRow

CARD_CHARS = (80, 280)  # a card's length: a twelfth of its span within these bounds
STRINGS_PER_SPAN = 24  # exact strings told of one span; the rest is one recall away
DRAWABLE = 0.98  # below this share of drawable characters a turn stays text
UNKNOWN_IMAGE = 1_600  # tokens of an attached image or file whose size is unknown
EXCERPT_CHARS = 400  # what is left of a run's first message where even that does not fit


@dataclass(frozen=True, slots=True)
class Settings:
    """What a plan depends on besides the conversation; `count` gives raw text tokens, `budget` is the whole call's."""

    profile: Profile
    budget: int
    count: Callable[[str], int]
    schedule: Schedule
    keep: tuple[str, int] = ("turns", 12)
    low_mark: float = 0.8
    facts: float = 0.08
    horizon: float = 20

    def text(self, text: str) -> int:
        """Tokens of a text by this model."""
        return math.ceil(self.count(text) * self.profile.text_factor)

    def turn(self, row: TurnRow) -> int:
        """Tokens of a turn shown as text: its messages, calls, attachments, their overhead, and rounding of each part."""
        words = math.ceil(row.tokens * self.profile.text_factor) + (row.messages + row.calls)
        around = row.messages * self.profile.message_overhead + row.calls * self.profile.call_overhead
        lowered = self.text(LOWERED) if row.role == "system" else 0
        return words + around + lowered + sum(self.attached(a) for a in row.attachments or ())

    def attached(self, file: Mapping[str, Any]) -> int:
        """Tokens of an attachment, from its size in pixels."""
        size = file.get("size")
        return self.profile.image(*size) if size and self.profile.vision else UNKNOWN_IMAGE

    def drawn(self, sizes: Sequence[Size]) -> int:
        """Tokens of images of these sizes."""
        return sum(self.profile.image(*size) for size in sizes)


@dataclass(frozen=True, slots=True)
class Known:
    """A span of turns that can be placed: stored as a page (`page` is its id) or just drafted (None).

    `text` are its tokens as text; `looks` how it is drawn per tier; `tier` how it is shown now; `since` the time
    of its last turn; `recalled` whether the model or host has recalled a turn of it since the last step.
    """

    first: int
    last: int
    text: int
    looks: Mapping[Tier, Look]
    card: str
    strings: tuple[str, ...]
    tier: Tier = "text"
    page: int | None = None
    importance: float = 0.0
    recalls: int = 0
    recalled: bool = False
    guard: int = 0
    since: datetime | None = None
    chars: int = 0
    raw: int = 0
    hidden: bool = False  # turns behind a handle for good: nothing but the handle is left to choose


@dataclass(frozen=True, slots=True)
class State:
    """A thread at one moment: the plan in force, the spans it shows, and the turns after it."""

    end: int
    anchor: int  # the newest user turn, 0 if there is none
    plan: Plan
    spans: tuple[Known, ...]
    fresh: tuple[TurnRow, ...]
    reserved: int = 0
    now: datetime | None = None
    extra: int = 0  # tokens of turns recalled by themselves since the plan was made
    ladder: bool = True  # a span's tier may only fall; False for previews with another model or budget

    @property
    def pending(self) -> bool:
        """Does the model owe an answer, so that the newest message and tool round may not yield?"""
        return bool(self.fresh) and (self.fresh[-1].role == "user" or self.fresh[-1].calls > 0)

    def protected(self) -> set[int]:
        """Turns that never yield: the newest user message and the newest tool round of a run that goes on."""
        return {self.fresh[-1].number, self.anchor} - {0} if self.pending else set()


@dataclass(frozen=True, slots=True)
class Placed:
    """A span at the tier chosen for it."""

    span: Known
    tier: Tier
    tokens: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that could be put in force, the spans in it, and what it and the turns after it cost in all."""

    plan: Plan
    placed: tuple[Placed, ...]
    tokens: int
    sheet: Sheet | None
    yielded: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """How far the planner has yielded: turns kept as text, whether instructions and pins hold, share of the budget."""

    keep: int | None
    guards: int
    mark: float
    words: str = ""


def current_tokens(state: State, settings: Settings) -> int:
    """What the next call costs if the plan stays as it is, without `reserved`."""
    return state.plan.tokens + state.extra + sum(settings.turn(t) for t in state.fresh)


def propose(state: State, settings: Settings) -> Proposal:
    """The best plan for the budget. Raises BudgetError where what never yields does not fit."""
    for level in _levels(settings):
        found = _at_level(state, settings, level)
        if found is not None:
            return found
    return _excerpted(state, settings)


def _levels(settings: Settings) -> Iterator[Level]:
    yield Level(None, 2, settings.low_mark)
    for keep in (6, 3, 1, 0):
        yield Level(keep, 2, settings.low_mark, "fewer recent turns stay text")
    yield Level(0, 2, 1.0, "fewer recent turns stay text")
    yield Level(0, 1, 1.0, "instructions became cards")
    yield Level(0, 0, 1.0, "pins became cards")


def _at_level(state: State, settings: Settings, level: Level) -> Proposal | None:
    boundary = _boundary(state, settings, level)
    sheet = sheet_for(settings.profile, settings.budget)
    limit = int(settings.budget * level.mark) - state.reserved
    known = [s for s in state.spans if s.last <= boundary]
    spans = known + (_draft(state, settings, sheet, boundary, limit) if len(known) == len(state.spans) else [])
    through = spans[-1].last if spans else state.plan.through
    tail = sum(settings.turn(t) for t in state.fresh if t.number > through)
    fitted = _fit([_relax(s, level.guards) for s in spans], settings, state, limit - tail)
    if fitted is None:
        return None
    placed, segments = fitted
    plan = Plan(through, max(state.plan.floor, _floor(state)), tuple(segments))
    return Proposal(plan, tuple(placed), plan.tokens + tail, sheet, level.words)


def _floor(state: State) -> int:
    """Reasoning is stripped up to here: a changed prefix invalidates every block that was bound to the old one."""
    last = state.fresh[-1] if state.fresh else None
    return 0 if last is None else last.number - (1 if last.role == "user" else 0)


def _boundary(state: State, settings: Settings, level: Level) -> int:
    """The newest turn that may be sealed: what is kept as text takes at most half of the budget."""
    protected = state.protected()
    half = (settings.budget - state.reserved) // 2
    kept = tokens = 0
    for turn in reversed(state.fresh):
        cost = settings.turn(turn)
        if turn.number not in protected and (_enough(settings, level, kept, tokens) or tokens + cost > half):
            return turn.number
        kept, tokens = kept + (turn.number not in protected), tokens + cost
    return state.plan.through


def _enough(settings: Settings, level: Level, kept: int, tokens: int) -> bool:
    unit, amount = settings.keep
    if unit == "turns":
        return kept >= (amount if level.keep is None else min(amount, level.keep))
    return tokens >= amount if level.keep is None else kept >= level.keep


def _relax(span: Known, guards: int) -> Known:
    """An instruction or pin that has to yield; the anchor of a run that goes on never does."""
    return span if span.guard in (0, 3) or span.guard > 2 - guards else replace(span, guard=-1)


# --------------------------------------------------------------------------------------------- sealing


def turn_to_draw(row: TurnRow) -> TurnText:
    """What the renderer needs of a stored turn."""
    date = row.created_at.date().isoformat() if row.created_at else None
    return TurnText(row.number, row.role, row.text, date, row.name)


def _draft(state: State, settings: Settings, sheet: Sheet | None, through: int, limit: int) -> list[Known]:
    sealed = state.spans[-1].last if state.spans else 0
    rows = [t for t in state.fresh if sealed < t.number <= through]
    protected = state.protected()
    olds = [_old(row, settings, protected) for row in rows]
    by_number = {row.number: row for row in rows}
    crowded = sum(settings.turn(t) for t in state.fresh) + state.plan.tokens > limit
    ages = _ages(rows, state)
    drafts = seal(olds, settings.profile, sheet, lambda n: settings.schedule(ages[n]), partial=crowded)
    return [_known(d, [by_number[n] for n in range(d.first, d.last + 1)], settings) for d in drafts]


def _ages(rows: Sequence[TurnRow], state: State) -> dict[int, Age]:
    """Ages of fresh turns by number."""
    ages: dict[int, Age] = {}
    tokens = 0
    for row in reversed(state.fresh):
        ages[row.number] = Age(state.end - row.number, tokens, _hours(row.created_at, state.now))
        tokens += row.tokens
    return ages


def _hours(since: datetime | None, now: datetime | None) -> float:
    """Hours between, never negative: a clock that jumped back makes nothing younger than it is."""
    return max(0.0, (now - since).total_seconds() / 3600) if since and now else 0.0


def _old(row: TurnRow, settings: Settings, protected: set[int]) -> Old:
    guard = 3 if row.number in protected else 2 if row.pinned else int(is_instruction(row.role, row.text))
    return Old(turn_to_draw(row), row.tokens, guard, drawable(row.text[:20_000]) >= DRAWABLE)


def _known(draft: Draft, rows: Sequence[TurnRow], settings: Settings) -> Known:
    texts = [turn_to_draw(row) for row in rows]
    chars = sum(row.chars for row in rows)
    low, high = CARD_CHARS
    strings = exact_strings("\n".join(row.text for row in rows))
    return Known(
        draft.first, draft.last, sum(settings.turn(row) for row in rows), draft.looks,
        headlines(texts, min(high, max(low, chars // 12))), tuple(rank(strings)[:STRINGS_PER_SPAN]),
        importance=max((strength(r.importance, r.recalls, r.weight) for r in rows), default=0.0), guard=draft.guard,
        recalls=max((r.recalls for r in rows), default=0), since=rows[-1].created_at or rows[-1].stored_at, chars=chars,
        raw=sum(row.tokens for row in rows),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- fitting


def _fit(
    spans: Sequence[Known], settings: Settings, state: State, room: int
) -> tuple[list[Placed], list[Segment]] | None:
    """Tiers for all spans within `room` tokens, what stands around them included. None if it cannot be done."""
    spans = _within_images(spans, settings)
    options = [_span(s, ages, settings, state.ladder) for s, ages in zip(spans, _span_ages(spans, state), strict=True)]
    around = min(int(settings.budget * settings.facts), room // 4)
    best: tuple[list[Placed], list[Segment]] | None = None
    for _ in range(6):
        tiers = allocate(options, room - around)
        if tiers is None:
            around = min(around, room) // 2
            continue
        placed = [Placed(s, t, o.costs.get(t, 0)) for s, t, o in zip(spans, tiers, options, strict=True)]
        segments = segments_of(placed, settings, min(int(settings.budget * settings.facts), room // 4))
        total = sum(s.tokens for s in segments)
        spent = total - sum(p.tokens for p in placed)
        if total <= room:
            if best is not None and total <= sum(s.tokens for s in best[1]):
                break
            best, around = (placed, segments), spent
        elif best is not None:
            break
        else:
            around = max(spent, around + total - room)
    return best


def _within_images(spans: Sequence[Known], settings: Settings) -> list[Known]:
    """The newest spans may be drawn, as many as the provider takes images in one request."""
    left, out = settings.profile.max_images, []
    for span in reversed(spans):
        left -= max((len(drawn.sizes) for drawn in span.looks.values()), default=0)
        out.append(span if left >= 0 or not span.looks else replace(span, looks={}))
    return out[::-1]


def _span_ages(spans: Sequence[Known], state: State) -> list[Age]:
    after = sum(t.tokens for t in state.fresh if not spans or t.number > spans[-1].last)
    ages = []
    for span in reversed(spans):
        ages.append(Age(state.end - span.last, after, _hours(span.since, state.now)))
        after += span.raw
    return ages[::-1]


def _span(known: Known, age: Age, settings: Settings, ladder: bool) -> Span:
    """The span as the allocator sees it."""
    wanted = settings.schedule(age.slowed(1 + known.importance + 0.5 * known.recalls))
    most: Tier = wanted if known.recalled or known.page is None or not ladder else fainter(wanted, known.tier)
    if known.guard == -1 and RANK[most] < RANK["card"]:
        most = "card"
    costs = costs_of(known, settings)
    recency = 1 / (1 + age.turns / 400)
    return Span(
        known.first, known.last, known.tier, most, costs, known.raw or 1, (0.5 + known.importance) * recency,
        max(0, known.guard),
    )  # fmt: skip


def costs_of(known: Known, settings: Settings) -> dict[Tier, int]:
    """Tokens of the span at every tier that can be had and that is cheaper than the text."""
    if known.hidden:
        return {"handle": 0}
    costs: dict[Tier, int] = {"text": known.text}
    cheapest = known.text
    for tier in DRAWN:
        drawn = known.looks.get(tier)
        if drawn and (tokens := settings.drawn(drawn.sizes)) < cheapest:
            costs[tier] = cheapest = tokens
    if known.card and (tokens := settings.text(card_line(known.first, known.last, known.card))) < cheapest:
        costs["card"] = tokens
    return costs | {"handle": 0}


def segments_of(placed: Sequence[Placed], settings: Settings, facts_room: int) -> list[Segment]:
    """The segments in order: preamble, spans, neighbouring handles as one, and the fact sheet after the last page."""
    body: list[Segment] = []
    for item in placed:
        body.append(_segment(item, settings, body))
    sheet = _facts(placed, settings, facts_room)
    if sheet:
        at = 1 + max(i for i, s in enumerate(body) if s.kind != "text")
        body.insert(at, Segment("facts", None, settings.text(sheet), text=sheet))
    drawn = any(s.kind in DRAWN for s in body)
    whole = [Segment("preamble", None, 0, text=PREAMBLE), *body] if drawn else body
    groups = sum(1 for i, s in enumerate(whole) if s.kind != "text" and (i == 0 or whole[i - 1].kind == "text"))
    return _with_overhead(whole, groups * settings.profile.message_overhead, settings)


def _with_overhead(body: list[Segment], tokens: int, settings: Settings) -> list[Segment]:
    """The first segment of ours carries the preamble's tokens and those of the messages around ours."""
    for at, segment in enumerate(body):
        if segment.kind != "text":
            own = settings.text(PREAMBLE) if segment.kind == "preamble" else segment.tokens
            return [*body[:at], replace(segment, tokens=own + tokens), *body[at + 1 :]]
    return body


def _segment(item: Placed, settings: Settings, body: list[Segment]) -> Segment:
    """One span's segment; a handle takes in the handle before it."""
    first, last = item.span.first, item.span.last
    if item.tier == "handle":
        if body and body[-1].kind == "handle" and body[-1].turns:
            first = body.pop().turns[0]  # type: ignore[index]
        line = handle_line(first, last)
        return Segment("handle", (first, last), settings.text(line), text=line)
    if item.tier == "card":
        line = card_line(first, last, item.span.card)
        return Segment("card", (first, last), settings.text(line), item.span.page, line)
    drawn = item.span.looks.get(item.tier)
    return Segment(item.tier, (first, last), item.tokens, item.span.page, look=drawn.name if drawn else None)


def _facts(placed: Sequence[Placed], settings: Settings, room: int) -> str:
    """The fact sheet: exact strings of the spans that are not shown as text, newest spans and rarest shapes first."""
    wanted = [
        p.span for p in placed if p.tier != "text" and p.span.strings and not settings.profile.exact.get(p.tier, False)
    ]
    if not wanted or room <= 0:
        return ""
    chosen = _share([s.strings for s in reversed(wanted)], settings, room)[::-1]
    lines = [sheet_line(s.first, s.last, strings) for s, strings in zip(wanted, chosen, strict=True) if strings]
    while lines and settings.text(sheet := FACTS_HEAD + "\n".join(lines)) > room:
        lines.pop(0)
    return sheet if lines else ""


FACTS_HEAD = "Exact strings in these turns, letter for letter:\n"


def _share(groups: Sequence[Sequence[str]], settings: Settings, room: int) -> list[list[str]]:
    """Strings taken in rounds, one of each span in turn, until the room is full; each string once in all."""
    chosen: list[list[str]] = [[] for _ in groups]
    told: set[str] = set()
    left = room - settings.text(FACTS_HEAD)
    for rank_ in range(STRINGS_PER_SPAN):
        for group, mine in zip(groups, chosen, strict=True):
            if rank_ >= len(group) or group[rank_] in told:
                continue
            cost = settings.text(" · " + group[rank_]) + (0 if mine else 6)
            if cost > left:
                return chosen
            told.add(group[rank_])
            mine.append(group[rank_])
            left -= cost
    return chosen


# --------------------------------------------------------------------------------------------- the tightest case


def _excerpted(state: State, settings: Settings) -> Proposal:
    """All old turns behind a handle, and the first message of a long run cut to its head and tail."""
    limit = settings.budget - state.reserved
    newest = state.fresh[-1] if state.pending else None
    needed = settings.turn(newest) if newest else 0
    if needed > limit:
        raise BudgetError(needed, state.reserved, settings.budget)
    through = state.end - 1 if newest else state.end
    excerpt = _anchor_excerpt(state, settings, newest, limit - needed)
    segments = _last_segments(settings, through, excerpt, limit - needed)
    plan = Plan(through, max(state.plan.floor, _floor(state)), tuple(segments))
    hidden = Known(1, through, 0, {}, "", (), "handle", hidden=True)
    placed = (Placed(hidden, "handle", 0),) if through else ()
    return Proposal(plan, placed, plan.tokens + needed, None, "only the newest message and tool round fit")


def _anchor_excerpt(state: State, settings: Settings, newest: TurnRow | None, room: int) -> Segment | None:
    """The run's first message, head and tail; the excerpt that the plan in force has, if it still fits."""
    if newest is None or newest.number == state.anchor:
        return None
    old = next(
        (s for s in state.plan.segments if s.kind == "excerpt" and s.turns == (state.anchor, state.anchor)), None
    )
    if old is not None and old.tokens <= room:
        return old
    anchor = next((t for t in state.fresh if t.number == state.anchor), None)
    text, tokens = _excerpt(anchor, settings, room) if anchor else ("", 0)
    return Segment("excerpt", (state.anchor, state.anchor), tokens, text=text) if text else None


def _last_segments(settings: Settings, through: int, excerpt: Segment | None, room: int) -> list[Segment]:
    """A handle for everything beside the excerpt, as far as there is room."""
    segments = [excerpt] if excerpt else []
    room -= excerpt.tokens if excerpt else 0
    at = excerpt.turns[0] if excerpt and excerpt.turns else through + 1
    for first, last in ((1, min(at - 1, through)), (at + 1, through)):
        line = handle_line(first, last)
        cost = settings.text(line) + settings.profile.message_overhead
        if first <= last and cost <= room:
            room -= cost
            segments.append(Segment("handle", (first, last), cost, text=line))
    return sorted(segments, key=lambda s: s.turns or (0, 0))


def _excerpt(turn: TurnRow, settings: Settings, room: int) -> tuple[str, int]:
    """Head and tail of a message that does not fit, as long as `room` tokens allow, and its tokens; empty if nothing fits."""
    chars = min(len(turn.text) - 1, max(EXCERPT_CHARS, room * 3))
    while chars > 20:
        text = cut(turn.text, chars, turn.number)
        tokens = settings.text(text) + settings.profile.message_overhead
        if tokens <= room:
            return text, tokens
        chars = chars * 3 // 4
    return "", 0


def cut(text: str, chars: int, number: int) -> str:
    """The first and last of a text, about `chars` characters, and how to get the rest."""
    head = chars * 2 // 3
    left_out = len(text) - chars
    return f"{text[:head]}\n[... {left_out} characters left out; recall_memory('{number}') returns them ...]\n{text[len(text) - (chars - head) :]}"


def changes(before: Sequence[Known], after: Sequence[Placed]) -> list[tuple[Known, Tier, Tier]]:
    """The spans whose tier a proposal changes: (span, from, to)."""
    return [(p.span, p.span.tier, p.tier) for p in after if p.span.tier != p.tier]


__all__ = ["Known", "Placed", "Proposal", "Settings", "State", "changes", "current_tokens", "cut", "propose"]
