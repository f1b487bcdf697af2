"""How a thread is held from its first turn to its last, by the plan in force: a list of stretches, JSON-safe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.ageing as ageing
from optical_memory.memory.state import plan_key
from optical_memory.planning.context import Plan
from optical_memory.planning.spans import Look
from optical_memory.planning.tiers import DRAWN, TIERS

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory
    from optical_memory.planning.context import Segment
    from optical_memory.planning.spans import Settings


def stretches(memory: OpticalMemory, thread: str) -> list[dict[str, Any]]:
    """How the plan in force holds the thread, from its first turn to its last, without gaps."""
    with memory.store.read() as reader:
        row = reader.thread(thread)
        if row is None or not row.length:
            return []
        settings = memory.settings()
        standing = reader.plan(reader.path(row), plan_key(settings))
    plan = Plan.from_json(standing.body) if standing else Plan()
    segments = [s for s in plan.segments if s.turns and s.kind != "recalled"]
    told = sorted((s.turns, s.kind, s.left, _share(s, settings)) for s in segments if s.turns)
    out, at = [], 1
    for (first, last), kind, left, share in [*told, ((plan.through + 1, row.length), "text", (), 1.0)]:
        out += [_stretch(at, first - 1, "handle", 0.0)] if first > at else []
        out += [_stretch(first, last, kind, share, left)] if last >= first else []
        at = max(at, last + 1)
    return out


def _share(segment: Segment, settings: Settings) -> float:
    """The share of a segment's turns that the model reads, of a page by the type that it is drawn in, whatever its tier."""
    style = Look.from_name(segment.look).style if segment.look else None
    return (settings.share(style) if style else 0.0) or ageing.shares(settings).get(segment.kind, 1.0)


def in_use(memory: OpticalMemory, thread: str) -> list[dict[str, Any]]:
    """The segments of the plan in force, and the turns after it as text, counted by their sums: about what a call takes."""
    of = memory.settings().profile
    with memory.store.read() as reader:
        row = reader.thread(thread)
        path = reader.path(row) if row else ()
        standing = reader.plan(path, plan_key(memory.settings()))
        plan = Plan.from_json(standing.body) if standing else Plan()
        sums = reader.turn_stats(path, plan.through + 1)
    around = sums.messages * of.message_overhead + sums.calls * of.call_overhead
    text = math.ceil(sums.tokens * of.text_factor) + sums.messages + sums.calls + around
    shown = [(s.kind, s.turns, s.tokens) for s in plan.segments if s.tokens]
    rest = [("text", (plan.through + 1, row.length), text)] if row and row.length > plan.through else []
    return [{"kind": k, "turns": list(t) if t else None, "tokens": n} for k, t, n in [*shown, *rest]]


def _stretch(first: int, last: int, tier: str, share: float, left: Sequence[tuple[int, int]] = ()) -> dict[str, Any]:
    return {"turns": [first, last], "tier": tier, "readable": share, "left_out": [list(turns) for turns in left]}


def each(stretches: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int, str, float]]:
    """First and last turn, tier and readable share; what a page leaves out is as far away as what stands behind a handle."""
    for stretch in stretches:
        (first, last), tier, share = stretch["turns"], stretch["tier"], stretch["readable"]
        at = first
        for gap in stretch["left_out"]:
            if gap[0] > at:
                yield at, gap[0] - 1, tier, share
            yield max(first, gap[0]), min(last, gap[1]), "handle", 0.0
            at = gap[1] + 1
        if at <= last:
            yield at, last, tier, share


def behind(stretches: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The turns that a model has to recall, as ranges."""
    out: list[list[int]] = []
    for first, last, tier, _ in each(stretches):
        if tier == "handle" and out and out[-1][1] == first - 1:
            out[-1][1] = last
        elif tier == "handle":
            out.append([first, last])
    return out


def tier_of(stretches: Sequence[dict[str, Any]], turn: int) -> str:
    """How one turn is held."""
    return next((tier for first, last, tier, _ in each(stretches) if first <= turn <= last), "text")


def readable(stretches: Sequence[dict[str, Any]]) -> float:
    """The share of all turns that this thread's model can still read, by its profile."""
    whole = sum(last - first + 1 for first, last, _, _ in each(stretches))
    held = sum((last - first + 1) * share for first, last, _, share in each(stretches))
    return held / whole if whole else 1.0


def by_tier(stretches: Sequence[dict[str, Any]], memory: OpticalMemory) -> list[dict[str, Any]]:
    """Turns by how they are held, and the share of each that the profile says is readable."""
    settings = memory.settings()
    counts, held = dict[str, int](), dict[str, float]()
    for first, last, tier, share in each(stretches):
        counts[tier] = counts.get(tier, 0) + last - first + 1
        held[tier] = held.get(tier, 0.0) + share * (last - first + 1)
    kinds = [*TIERS, *(k for k in counts if k not in TIERS)]
    return [
        {
            "tier": k,
            "turns": counts[k],
            "readable": round(held[k] / counts[k], 4),
            "exact_strings_safe": _safe(k, settings.profile.exact),
        }
        for k in kinds
        if k in counts
    ]


def _safe(tier: str, exact: Mapping[str, bool]) -> bool:
    return bool(exact.get(tier, False)) if tier in DRAWN else tier not in ("card", "handle")


__all__ = ["behind", "by_tier", "each", "in_use", "readable", "stretches", "tier_of"]
