"""Automatic recall: old turns that the newest message asks for come back as text right before it.

They stay there until the next step, so that the prefix stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optical_memory.memory.view import View
from optical_memory.planning.context import Segment
from optical_memory.planning.spans import copy_of
from optical_memory.storage import Reader, TurnRow

THRESHOLD = 1.0  # BM25 below this is chance: one common word
CANDIDATES = 12
HEAD = "[Recalled from earlier in this conversation]"


@dataclass(frozen=True, slots=True)
class Recollection:
    """What comes back before an anchor."""

    anchor: int
    segment: Segment
    turns: tuple[int, ...]


def standing(reader: Reader, view: View, key: str, since: int) -> list[tuple[int, Segment]]:
    """What was recalled for the anchors since the plan was made, as (anchor, segment)."""
    out = []
    for row in reader.recalled(view.path, key, since=since):
        numbers = [int(n) for n in row.turns]
        turns = [t for n in numbers for t in reader.turns(view.path, n, n) if not t.purged]
        if turns:
            text = told(turns)
            out.append((row.anchor, Segment("recalled", (numbers[0], numbers[-1]), row.tokens, text=text)))
    return out


def find(reader: Reader, view: View, query: str, room: int) -> Recollection | None:
    """The turns that match a query best and are not shown as text, within `room` tokens; None if none is relevant."""
    shown = {n for s in view.plan.segments if s.kind == "text" and s.turns for n in range(s.turns[0], s.turns[1] + 1)}
    shown |= {t.number for t in view.after()}
    chosen: list[TurnRow] = []
    for hit in reader.search(view.path, query, limit=CANDIDATES, exclude=shown):
        if hit.score < THRESHOLD:
            continue
        turn = reader.turns(view.path, hit.number, hit.number)[0]
        if _tokens(view, [*chosen, turn]) <= room:
            chosen.append(turn)
    if not chosen:
        return None
    chosen.sort(key=lambda t: t.number)
    segment = Segment("recalled", (chosen[0].number, chosen[-1].number), _tokens(view, chosen), text=told(chosen))
    return Recollection(view.state.anchor, segment, tuple(t.number for t in chosen))


def _tokens(view: View, turns: Sequence[TurnRow]) -> int:
    return view.settings.text(told(sorted(turns, key=lambda t: t.number))) + view.settings.profile.message_overhead


def told(turns: Sequence[TurnRow]) -> str:
    """Turns word for word, each with its number, speaker and date."""
    return "\n".join([HEAD, *map(copy_of, turns)])
