"""The tightest case: all old turns behind a handle, and the first message of a long run cut to its head and tail."""

from __future__ import annotations

from collections.abc import Sequence

from optical_memory.errors import BudgetError
from optical_memory.planning.context import Segment, handle_line
from optical_memory.planning.spans import Settings, State, StoredTurn

EXCERPT_CHARS = 400  # what is left of a run's first message where even that does not fit
SHARE = 4  # an excerpt takes a fourth of the call at most, or each tool round behind it would force a step


def tightest(state: State, settings: Settings) -> tuple[list[Segment], int]:
    """The segments before the newest message or tool round, and the tokens of that round (0 where no answer is owed).

    Raises BudgetError where not even that round fits.
    """
    limit = settings.budget - state.reserved
    newest = state.fresh[-1] if state.pending else None
    needed = settings.turn(newest) if newest else 0
    if needed > limit:
        raise BudgetError(needed, state.reserved, settings.budget)
    through = state.end - 1 if newest else state.end
    excerpt = _anchor_excerpt(state, settings, newest, limit - needed)
    return _last_segments(settings, through, excerpt, limit - needed), needed


def _anchor_excerpt(state: State, settings: Settings, newest: StoredTurn | None, room: int) -> Segment | None:
    """The run's first message, head and tail; the excerpt that the plan in force has, if it still fits."""
    if newest is None or newest.number == state.anchor:
        return None
    old = standing_excerpt(state)
    if old is not None and old.tokens <= room:
        return old
    anchor = next((t for t in state.fresh if t.number == state.anchor), None)
    most = min(room, (settings.budget - state.reserved) // SHARE)
    text, tokens = _excerpt(anchor, settings, most) if anchor else ("", 0)
    return Segment("excerpt", (state.anchor, state.anchor), tokens, text=text) if text else None


def standing_excerpt(state: State) -> Segment | None:
    """What the plan in force shows of the first message of a run that goes on, where it is cut; it stays while the run does."""
    if not state.pending:
        return None
    where = (state.anchor, state.anchor)
    return next((s for s in state.plan.segments if s.kind == "excerpt" and s.turns == where), None)


def with_excerpt(segments: Sequence[Segment], excerpt: Segment | None) -> list[Segment]:
    """The segments with an excerpt in its place: before what stands for later turns."""
    if excerpt is None or excerpt.turns is None:
        return list(segments)
    later = (i for i, s in enumerate(segments) if s.turns and s.turns[0] > excerpt.turns[0])
    at = next(later, len(segments))
    return [*segments[:at], excerpt, *segments[at:]]


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


def _excerpt(turn: StoredTurn, settings: Settings, room: int) -> tuple[str, int]:
    """Head and tail of a message that does not fit, as long as `room` tokens allow, and its tokens; empty if nothing fits."""
    chars = min(len(turn.text) - 1, max(EXCERPT_CHARS, room * 3))
    while chars > 20:
        text = head_and_tail(turn.text, chars, turn.number)
        tokens = settings.text(text) + settings.profile.message_overhead
        if tokens <= room:
            return text, tokens
        chars = chars * 3 // 4
    return "", 0


def head_and_tail(text: str, chars: int, number: int | None) -> str:
    """The first two thirds and the last third of `chars` characters of a text, and how to get the rest."""
    if len(text) <= chars:
        return text
    head = chars * 2 // 3
    how = f"recall_memory('{number}') returns them" if number else "ask recall_memory for words of it"
    tail = text[len(text) - (chars - head) :]
    return f"{text[:head]}\n[... {len(text) - chars} characters left out; {how} ...]\n{tail}"
