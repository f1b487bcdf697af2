"""One moment of a thread as it is shown: the plan, the turns after it, and their segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optical_memory.errors import RenderError
from optical_memory.memory.pictures import Key, Picture, PNGs, draw, left_of, texts
from optical_memory.planning.context import Plan, Segment
from optical_memory.planning.propose import Proposal
from optical_memory.planning.spans import (
    Known,
    Look,
    Settings,
    State,
    StoredTurn,
    turn_to_draw,
)
from optical_memory.storage import Path, PlanRow, Reader, ThreadRow


@dataclass(frozen=True, slots=True)
class View:
    """What is needed to show a thread once; `proposal` is set where the plan was made just now."""

    thread: str
    row: ThreadRow
    path: Path
    state: State
    settings: Settings
    plan: Plan
    proposal: Proposal | None
    kept: PlanRow | None
    reason: str
    reserved: int  # as the caller says; the state's has the margin for bills above the prediction in it

    @property
    def since(self) -> int:
        """The turn at which the plan was made: what was recalled by itself before it is gone, also in the same run."""
        return self.kept.head if self.kept else self.state.end

    @property
    def at_anchor(self) -> bool:
        """Has a new user message just come, so that something may be put before it?"""
        return bool(self.state.fresh) and self.state.fresh[-1].number == self.state.anchor

    @property
    def tokens(self) -> int:
        """Tokens of the plan, of what was recalled since, and of the turns after it."""
        return (
            self.plan.tokens
            + self.state.extra * (self.proposal is None)
            + sum(self.settings.turn(t) for t in self.after())
        )

    def after(self) -> list[StoredTurn]:
        """The turns that follow the plan as text."""
        return [t for t in self.state.fresh if t.number > self.plan.through]

    def segments(self, recalled: Sequence[tuple[int, Segment]]) -> list[Segment]:
        """The plan's segments, then the text turns; what was recalled stands right before its anchor."""
        out = [s for s in self.plan.segments if s.tokens or s.text or s.turns]
        before = dict(recalled)
        for turn in self.after():
            if turn.number in before:
                out.append(before[turn.number])
            kind = "current" if self.state.pending and turn.number >= self.state.anchor else "text"
            cost = self.settings.turn(turn)
            if (
                out
                and out[-1].kind == kind
                and out[-1].turns
                and out[-1].turns[1] == turn.number - 1
                and out[-1].text is None
            ):
                out[-1] = replace(out[-1], turns=(out[-1].turns[0], turn.number), tokens=out[-1].tokens + cost)
            else:
                out.append(Segment(kind, (turn.number, turn.number), cost))
        return out

    def key(self, segment: Segment) -> Key:
        """Under which a segment's images are kept in this process: by the id of what they belong to, which is never used twice.

        Turns may be forgotten by another process: their page, their plan or at least the thread's version is then another.
        """
        if segment.page is not None:
            source = ("page", segment.page)
        else:
            source = ("plan", self.kept.id) if self.kept else ("version", self.row.version)
        return self.row.id, *source, segment.turns, segment.look

    def draw(self, reader: Reader, segment: Segment) -> PNGs:
        """A segment's images drawn from the text."""
        first, last = segment.turns or (0, 0)
        known = self._known(first, last)
        rows = [row for a, b in segment.shown for row in reader.turns(self.path, a, b)]
        if known is not None and known.purged:
            return self._left(reader, known, segment)
        look = known.looks.get(segment.kind) if known is not None else None  # type: ignore[call-overload]
        if known is not None and look is not None and look.name == segment.look:
            return draw(texts(rows, known), look)
        return draw([turn_to_draw(row) for row in rows], Look.from_name(segment.look or ""), check=False)

    def _left(self, reader: Reader, known: Known, segment: Segment) -> PNGs:
        """The images of a page whose text is gone."""
        look = known.looks.get(segment.kind)  # type: ignore[call-overload]
        if not isinstance(look, Picture) or known.page is None:
            raise RenderError(f"page {known.page} has no picture for the tier {segment.kind!r}")
        return left_of(reader, known.page, look)

    def _known(self, first: int, last: int) -> Known | None:
        spans = [p.span for p in self.proposal.placed] if self.proposal else list(self.state.spans)
        return next((s for s in spans if (s.first, s.last) == (first, last)), None)


def left_out(segments: Sequence[Segment], end: int) -> tuple[tuple[int, int], ...]:
    """The turns that no segment shows, as ranges: behind a handle, left out of a page, or without room even for a handle."""
    shown = sorted(turns for s in segments if s.kind != "recalled" for turns in s.shown)
    gaps, at = [], 1
    for first, last in shown:
        if first > at:
            gaps.append((at, first - 1))
        at = max(at, last + 1)
    return tuple([*gaps, (at, end)] if at <= end else gaps)
