"""Placed spans to segments: preamble, pages, cards, handles, and the fact sheet with its share of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from optical_memory.planning.context import Segment, card_line, handle_line, handles_line, preamble
from optical_memory.planning.facts import sheet_line
from optical_memory.planning.spans import Placed, Settings

STRINGS_PER_SPAN = 24  # exact strings told of one span; the rest is one recall away


def segments_of(placed: Sequence[Placed], settings: Settings, facts_room: int) -> list[Segment]:
    """The segments in order: preamble, spans, neighbouring handles as one, and the fact sheet after the last page."""
    body: list[Segment] = []
    for item in placed:
        body.append(_segment(item, settings, body))
        body += _copies(item, settings)
    body = _gathered(body, settings)
    sheet = _facts(placed, settings, facts_room)
    if sheet:
        at = 1 + max(i for i, s in enumerate(body) if s.kind != "text")
        body.insert(at, Segment("facts", None, settings.text(sheet), text=sheet))
    drawn = any(s.look for s in body)
    whole = [Segment("preamble", None, 0, text=preamble(settings.budget)), *body] if drawn else body
    groups = sum(1 for i, s in enumerate(whole) if s.kind != "text" and (i == 0 or whole[i - 1].kind == "text"))
    return _with_overhead(whole, groups * settings.profile.message_overhead, settings)


MANY_HANDLES = 3  # more of them become one line that names all that is not shown


def _gathered(body: list[Segment], settings: Settings) -> list[Segment]:
    """The segments with one line in the place of many handles: between single turns they would cost more than turns."""
    handles = [s.turns for s in body if s.kind == "handle" and s.turns]
    if len(handles) <= MANY_HANDLES:
        return body
    at = next(i for i, s in enumerate(body) if s.kind == "handle")
    line = handles_line(handles)
    rest = [s for s in body if s.kind != "handle"]
    return [*rest[:at], Segment("handle", None, settings.text(line), text=line), *rest[at:]]


def _with_overhead(body: list[Segment], tokens: int, settings: Settings) -> list[Segment]:
    """The first segment of ours carries the preamble's tokens and those of the messages around ours."""
    for at, segment in enumerate(body):
        if segment.kind != "text":
            own = settings.text(segment.text or "") if segment.kind == "preamble" else segment.tokens
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
    if item.tier == "card" and not item.span.purged:
        line = card_line(first, last, item.span.card)
        return Segment("card", (first, last), settings.text(line), item.span.page, line)
    drawn = item.span.looks.get(item.tier)
    return Segment(item.tier, (first, last), item.tokens, item.span.page, look=drawn.name if drawn else None)


def _copies(item: Placed, settings: Settings) -> list[Segment]:
    """The pinned turns of a span that is not shown as text, word for word."""
    if item.tier == "text":
        return []
    return [Segment("recalled", (n, n), settings.text(text), text=text) for n, text in item.span.pinned]


def _facts(placed: Sequence[Placed], settings: Settings, room: int) -> str:
    """The fact sheet: exact strings of the spans that are not shown as text, newest spans and rarest shapes first."""
    wanted = [p.span for p in placed if p.tier != "text" and p.span.strings and not _exact(p, settings)]
    if not wanted or room <= 0:
        return ""
    chosen = _share([s.strings for s in reversed(wanted)], settings, room)[::-1]
    lines = [sheet_line(s.first, s.last, strings) for s, strings in zip(wanted, chosen, strict=True) if strings]
    while lines and settings.text(sheet := FACTS_HEAD + "\n".join(lines)) > room:
        lines.pop(0)
    return sheet if lines else ""


def _exact(item: Placed, settings: Settings) -> bool:
    """Are exact strings safe in the picture: all turns drawn, in type that the model reads exactly?"""
    look = item.span.looks.get(item.tier)
    return look is not None and not look.left and settings.exact(look.style)


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
