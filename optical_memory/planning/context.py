"""Budget to segments: which span is shown at which tier, in what order, and what was left out.

The unit is a span: a run of whole turns that share a page, or a turn that stays text. Choosing tiers is rate-distortion
allocation: maximise the sum of weight x readable(tier) x information under a number of tokens. The choice is exact for
small cases, and above them greedy on the upper convex hull of each span's (tokens, value) points, which is optimal but for
the last step that does not fit (Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optical_memory.cost.profiles import SHARES
from optical_memory.planning.tiers import DRAWN, RANK, TIERS, Tier

READABLE: Mapping[str, float] = {"text": 1.0, "card": 0.2, "handle": 0.0}  # the drawn tiers' are the profile's
PREAMBLE = (
    "Pages follow, pictures of earlier turns, oldest first. u17, a18 in the margin or in ⟪ ⟫: here begins turn 17, the user's; "
    "18, the assistant's. ↵ newline, ¶ blank line, ¬ word goes on, › indent, ; next cell, ⟨×3⟩ three times, ⟨U+…⟩ not drawn. "
    "Numbers that are skipped were left out. Listed exact strings are right where a picture differs. Unreadable or missing: "
    "use recall_memory, do not guess."
)
BRIEF = (
    "Pages are pictures of earlier turns; u17 begins turn 17, the user's; ↵ newline, ¬ word goes on. "
    "Unreadable or missing: recall_memory, do not guess."
)
BRIEF_BELOW = 4_000  # tokens of budget under which the long preamble would take more than a fortieth of it
DRAWABLE = frozenset(DRAWN)
EXACT = 6_000  # tokens up to which the choice among at most 64 spans is exact: a few milliseconds
NEWER = 1e-9  # decides between equals: a newer span rather than an older one
LOWERED = "[system message of this conversation]"  # before a system message in the middle of a talk, shown as a user's


@dataclass(frozen=True, slots=True)
class Span:
    """Turns `first`..`last` as the planner sees them.

    `costs` has the tokens of every tier that can be had; `most` is the sharpest tier that age and strength allow;
    `information` is how much its turns say; `guard` is 0, or 1 for an instruction, 2 for a pin and 3 for the message
    that a run answers, which stay text.
    """

    first: int
    last: int
    tier: Tier
    most: Tier
    costs: Mapping[Tier, int]
    information: float
    weight: float = 1.0
    guard: int = 0
    readable: Mapping[str, float] = field(default_factory=lambda: {**READABLE, **SHARES})

    def worth(self, tier: Tier) -> float:
        """What the span is worth when it is shown at this tier."""
        return self.weight * self.information * self.readable[tier]


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of the assembled context: `kind` is a tier, `preamble`, `facts`, `recalled`, `excerpt` or `current`."""

    kind: str
    turns: tuple[int, int] | None
    tokens: int
    page: int | None = None
    text: str | None = field(default=None, repr=False)
    look: str | None = field(default=None, repr=False)

    @property
    def left(self) -> tuple[tuple[int, int], ...]:
        """The turns in its range that its page does not draw, as ranges."""
        parts = (self.look or "").split("|")
        return parse_ranges(parts[3]) if len(parts) > 3 else ()

    @property
    def shown(self) -> tuple[tuple[int, int], ...]:
        """The turns that can be read in it, as ranges; none for a handle."""
        if self.turns is None or self.kind == "handle":
            return ()
        first, end = self.turns
        out: list[tuple[int, int]] = []
        for gap in sorted(self.left):  # by its gaps, not by its turns: a card may stand for ten thousand of them
            out.append((first, min(end, gap[0] - 1)))
            first = max(first, gap[1] + 1)
        return tuple((a, b) for a, b in (*out, (first, end)) if a <= b)


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands before the text turns: segments for turns up to `through`; reasoning up to turn `floor` is stripped."""

    through: int = 0
    floor: int = 0
    segments: tuple[Segment, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all its segments."""
        return sum(s.tokens for s in self.segments)

    def to_json(self) -> str:
        """A JSON text from which `from_json` makes the same plan."""
        return json.dumps(
            {"through": self.through, "floor": self.floor, "segments": [asdict(s) for s in self.segments]}
        )

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote."""
        given: dict[str, Any] = json.loads(text)
        segments = tuple(
            Segment(**{**s, "turns": tuple(s["turns"]) if s["turns"] else None}) for s in given["segments"]
        )
        return Plan(given["through"], given["floor"], segments)


def choices(span: Span) -> list[Tier]:
    """The tiers that this span may be shown at.

    Not sharper than `most`; but where that is a picture and there is none so faint, the cheapest sharper one stands in, or the
    text where it has no picture (the profit gate: `costs` has those alone that are cheaper). For a card nothing stands in.
    """
    if span.guard:
        return ["text"]
    costs, most = span.costs, RANK[span.most]
    if not most:
        return [t for t in TIERS if t in costs]
    allowed: list[Tier] = [t for t in TIERS[most:] if t in costs]
    if span.most in DRAWN and DRAWABLE.isdisjoint(allowed):
        allowed[:0] = [t for t in ("text", *DRAWN) if t in costs][-1:]
    return allowed


def allocate(spans: Sequence[Span], room: int) -> list[Tier] | None:
    """A tier for each span, at most `room` tokens in all; None if not even the cheapest choices fit.

    Exact, by dynamic programming over tokens, for small cases; greedy on convex hulls above that.
    """
    if room <= EXACT and len(spans) <= 64:
        points = [_points(span) for span in spans]
        return _exact(points, room) if sum([options[0][0] for options in points]) <= room else None
    return _greedy(spans, room)


def _exact(points: Sequence[Sequence[Point]], room: int) -> list[Tier]:
    """The best choice: `best[t]` is the most value for at most t tokens, `taken` which point of each span gave it."""
    import numpy as np

    best, taken = np.zeros(room + 1), list[Any]()
    for options in points:
        tried = np.full((len(options), room + 1), -np.inf)
        for row, (cost, loss, _) in enumerate(options):
            if cost <= room:
                tried[row, cost:] = best[: room + 1 - cost] - loss * (1 + len(taken) * NEWER)
        taken.append(tried.argmax(axis=0))
        best = tried.max(axis=0)
    chosen: list[Tier] = []
    for options, choice in zip(reversed(points), reversed(taken), strict=True):
        cost, _, tier = options[int(choice[room])]
        chosen.append(tier)
        room -= cost
    return chosen[::-1]


def _greedy(spans: Sequence[Span], room: int) -> list[Tier] | None:
    """Up all hulls at once, the steepest step first, newer spans first where equal; a step that does not fit ends its hull.

    The hulls stand in one list, end to end: ten thousand small lists would be looked through by the garbage collector.
    """
    starts, costs, losses, tiers = list[int](), list[int](), list[float](), list[Tier]()
    for span in spans:
        starts.append(len(costs))
        for cost, loss, tier in _hull(span):
            costs.append(cost)
            losses.append(loss)
            tiers.append(tier)
    left = room - sum([costs[start] for start in starts])
    if left < 0:
        return None
    chosen = list(starts)
    for index, place in _steps(starts, costs, losses):
        extra = costs[place] - costs[place - 1]
        if extra <= left and chosen[index] == place - 1:
            chosen[index], left = place, left - extra
    return [tiers[place] for place in chosen]


Point = tuple[int, float, Tier]
"""Tokens, minus the value, tier: so that points sort as they are, the best of equals first."""


def _steps(starts: Sequence[int], costs: Sequence[int], losses: Sequence[float]) -> Iterator[tuple[int, int]]:
    """All steps up all hulls, (span, place of the point that it leads to), in the order in which they are taken."""
    import numpy as np

    spans = np.repeat(np.arange(len(starts)), np.diff([*starts, len(costs)]))
    places = np.setdiff1d(np.arange(1, len(costs)), starts, assume_unique=True)
    slopes = np.diff(losses)[places - 1] / np.diff(costs)[places - 1]
    order = places[np.lexsort((places, -spans[places], slopes))]
    return zip(spans[order].tolist(), order.tolist(), strict=True)


def _points(span: Span) -> list[Point]:
    """What the span can be shown at: cheapest first, of equals the most worth."""
    costs, readable, value = span.costs, span.readable, span.weight * span.information
    return sorted([(costs.get(t, 0), -(value * readable[t]), t) for t in choices(span)])


def _hull(span: Span) -> list[Point]:
    """The lower convex hull of a span's points, cheapest first."""
    hull: list[Point] = []
    for point in _points(span):
        cost, loss, _ = point
        if hull and loss >= hull[-1][1]:
            continue
        while len(hull) > 1:
            (c, v, _), (before, most, _) = hull[-1], hull[-2]
            if (most - v) * (cost - before) > (most - loss) * (c - before):
                break  # the last point stands out from the line between its neighbours
            hull.pop()
        hull.append(point)
    return hull


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges (first, last)."""
    out: list[tuple[int, int]] = []
    for n in numbers:
        if out and n == out[-1][1] + 1:
            out[-1] = (out[-1][0], n)
        else:
            out.append((n, n))
    return out


def told_ranges(many: Iterable[tuple[int, int]]) -> str:
    """Ranges as words: `3,5-9`."""
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in many)


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """The ranges that `told_ranges` wrote."""
    ends = [part.split("-") for part in text.split(",") if part]
    return tuple((int(part[0]), int(part[-1])) for part in ends)


def preamble(budget: int) -> str:
    """What is said before the first page, as long as the budget (tokens) allows."""
    return BRIEF if budget < BRIEF_BELOW else PREAMBLE


def handle_line(first: int, last: int) -> str:
    """What stands for turns that are not shown: which they are and how to get them back."""
    which = f"{first}" if first == last else f"{first}-{last}"
    return f"[Turns {which} not shown: recall_memory('{which}')]"


def handles_line(many: Sequence[tuple[int, int]]) -> str:
    """The same for several ranges."""
    return f"[Turns {told_ranges(many)} not shown: recall_memory('{told_ranges(many[:1])}')]"


def card_line(first: int, last: int, card: str) -> str:
    """A card as text: the turns that it stands for and their readable extract."""
    return f"[Turns {first}-{last}, extract] {card}"
