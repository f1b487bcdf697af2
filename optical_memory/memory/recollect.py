"""Automatic recall: old turns that the newest message asks for come back right before it.

As text, word for word; or, where that holds more of what is asked for, as one page drawn for the purpose, in the smallest type
that the model reads well, with their exact strings beside it. They stay there until the next step, so that the prefix stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Any

from optical_memory.cost import Profile
from optical_memory.memory.view import View
from optical_memory.pages import Sheet, Style, fitted, measure
from optical_memory.planning.context import Segment, preamble
from optical_memory.planning.facts import exact_strings, rank
from optical_memory.planning.information import MARK
from optical_memory.planning.looks import smaller
from optical_memory.planning.seal import may_draw
from optical_memory.planning.spans import Look, Settings, copy_of, turn_to_draw
from optical_memory.planning.tiers import DRAWN
from optical_memory.storage import Found, Path, Reader, TurnRow

Search = Callable[[Reader, Path, str, int, Container[int]], list[Found]]

THRESHOLD = 1.0  # BM25 below this is chance: one common word
CANDIDATES = 12  # matches that are looked at, and one more for each
TOKENS_EACH = 20  # tokens of room: a larger slice looks at more
BESIDE = 0.5  # what the turns before and after a match are worth beside it: the answer is often in the next one
GAIN = 1.5  # how much more a turn counts word for word, which is exact, than on a page
STRINGS_SHARE = 0.1  # of the room for the exact strings of turns that come back as a picture
READ_WELL = 0.95  # share of a recalled page that is to be read
LEGIBLE = 0.9  # share of a page that is read from which its turns need not come back as a picture
AGAIN = 0.3  # what such a turn is worth as words, beside one that is on no legible page
ROWS = 8  # of the widest page in the room of a recalled one, up to which narrower pages are tried
SMALLER = 8  # turns that are tried for the rest of a recalled page
HEAD = "[Recalled from earlier in this conversation]"
STRINGS = "[Recalled from earlier in this conversation, above as a page. Exact strings in it:] "


@dataclass(frozen=True, slots=True)
class Recollection:
    """What comes back before an anchor: its turns, and which of them are told word for word."""

    anchor: int
    segment: Segment
    turns: tuple[int, ...]
    told: frozenset[int]

    def to_json(self) -> dict[str, Any]:
        """The JSON value from which `standing` makes the same segment."""
        return {"turns": list(self.turns), "look": self.segment.look, "text": self.segment.look and self.segment.text}


def standing(reader: Reader, view: View, key: str, since: int) -> list[tuple[int, Segment]]:
    """What was recalled for the anchors since the plan was made, as (anchor, segment)."""
    out = []
    for row in reader.recalled(view.path, key, since=since):
        turns = [t for t in reader.turns_at(view.path, row.turns["turns"]) if not t.purged]
        if turns:
            where = (turns[0].number, turns[-1].number)
            text = row.turns["text"] if row.turns["look"] else told(turns)
            out.append((row.anchor, Segment("recalled", where, row.tokens, text=text, look=row.turns["look"])))
    return out


def find(reader: Reader, view: View, query: str, room: int, search: Search) -> Recollection | None:
    """What a query brings back within `room` tokens, of turns not shown as text; None if nothing is relevant."""
    shown = {t.number for t in view.after()}
    shown |= {n for s in view.plan.segments if s.kind == "text" and s.turns for n in range(s.turns[0], s.turns[1] + 1)}
    limit = max(CANDIDATES, room // TOKENS_EACH)
    hits = [h for h in search(reader, view.path, query, limit, shown) if h.score >= THRESHOLD]
    if not hits:
        return None
    legible = _legible(view)
    found = _with_neighbours({h.number: h.score for h in hits}, shown, view.plan.through)
    scores = {n: score * (AGAIN if n in legible else 1.0) for n, score in found.items()}
    turns = {t.number: t for t in reader.turns_at(view.path, scores) if not t.purged}
    ranked = sorted(turns, key=lambda n: (-scores[n] / sqrt(len(turns[n].text) + MARK), -n))
    words = _as_text([turns[n] for n in ranked], view, room)
    drawn = _as_page([turns[n] for n in ranked if n not in legible], view, room)
    if drawn is None or (words and _worth(drawn, scores, view) <= _worth(words, scores, view)):
        return words
    return drawn


def _with_neighbours(scores: Mapping[int, float], shown: set[int], last: int) -> dict[int, float]:
    """Scores of the matches and of the turns beside them, of which those shown as text are no part."""
    out: defaultdict[int, float] = defaultdict(float, scores)
    for number, score in scores.items():
        for beside in (number - 1, number + 1):
            if 0 < beside <= last and beside not in shown:
                out[beside] += BESIDE * score
    return dict(out)


def _worth(found: Recollection, scores: Mapping[int, float], view: View) -> float:
    """The scores of its turns: of those word for word all, of those on the page alone what is read, by `GAIN` less."""
    style = _type(view.settings.profile) if found.segment.look else None
    pictured = view.settings.share(style) / GAIN if style else 0.0
    return sum(scores[n] * (1.0 if n in found.told else pictured) for n in found.turns)


def _as_text(ranked: Sequence[TurnRow], view: View, room: int) -> Recollection | None:
    """The best turns word for word, as many as fit."""
    chosen: list[TurnRow] = []
    for turn in ranked:
        if _tokens(view.settings, [*chosen, turn]) <= room:
            chosen.append(turn)
    chosen.sort(key=lambda t: t.number)
    if not chosen:
        return None
    return _recollection(view, chosen, _tokens(view.settings, chosen), told(chosen), None)


def _tokens(settings: Settings, turns: Sequence[TurnRow]) -> int:
    return settings.text(told(sorted(turns, key=lambda t: t.number))) + settings.profile.message_overhead


def told(turns: Sequence[TurnRow]) -> str:
    """Turns word for word, each with its number, speaker and date."""
    return "\n".join([HEAD, *map(copy_of, turns)])


# --------------------------------------------------------------------------------------------- as a page


def _as_page(ranked: Sequence[TurnRow], view: View, room: int) -> Recollection | None:
    """The best turns as one page with their exact strings, the very best word for word beside it; None if none fits."""
    most, least = len(ranked), 0
    found: Recollection | None = None
    while least < most:  # as many of the best as there is room for
        middle = (least + most + 1) // 2
        tried = _page(sorted(ranked[:middle], key=lambda t: t.number), view, room)
        if tried is None:
            most = middle - 1
        else:
            least, found = middle, tried
    chosen = list(ranked[:least])
    for turn in ranked[least + 1 : least + 1 + SMALLER]:  # the next one did not fit; shorter ones may
        tried = _page(sorted([*chosen, turn], key=lambda t: t.number), view, room)
        if tried is not None:
            chosen, found = [*chosen, turn], tried
    return _with_words(found, chosen, view, room) if found else None


def _with_words(page: Recollection, ranked: Sequence[TurnRow], view: View, room: int) -> Recollection:
    """The page, and what room it leaves filled with its best turns word for word."""
    words = _as_text(ranked, view, room - page.segment.tokens)
    if words is None:
        return page
    text, tokens = f"{page.segment.text}\n{words.segment.text}", page.segment.tokens + words.segment.tokens
    return replace(page, segment=replace(page.segment, text=text, tokens=tokens), told=words.told)


def _legible(view: View) -> set[int]:
    """The turns that the plan shows on pages that the model reads well."""
    styles = [view.settings.profile.tiers.get(s.kind) for s in view.plan.segments]
    pages = [
        s
        for s, style in zip(view.plan.segments, styles, strict=True)
        if style and view.settings.share(style) >= LEGIBLE
    ]
    return {n for s in pages for first, last in s.shown for n in range(first, last + 1)}


def _page(turns: Sequence[TurnRow], view: View, room: int) -> Recollection | None:
    """These turns as a page; None where the model reads none, or where it does not fit."""
    settings = view.settings
    style = _type(settings.profile)
    if style is None or not settings.profile.vision or not settings.profile.sheet_steps:
        return None
    text = _strings(turns, style, settings, int(STRINGS_SHARE * room))
    if not any(s.kind == "preamble" for s in view.plan.segments):
        said = preamble(settings.budget)  # which also says that these are earlier turns
        text = said if text == HEAD else f"{said}\n{text}"
    gaps = _gaps([t.number for t in turns])
    texts = [turn_to_draw(t) for t in turns]
    if not all(may_draw(t.text) for t in texts):
        return None
    style = fitted(style, [t.text for t in texts])
    looks = []
    for sheet in _sheets(settings.profile, room):
        sizes = tuple((w, h) for _, _, w, h in measure(texts, style, sheet))
        looks.append(Look(style, sheet, sizes, gaps))
    look = min(looks, key=lambda k: settings.drawn(k.sizes))
    tokens = settings.drawn(look.sizes) + settings.text(text) + settings.profile.message_overhead
    return _recollection(view, turns, tokens, text, look.name) if tokens <= room else None


def _sheets(profile: Profile, room: int) -> list[Sheet]:
    """The geometries of a recalled page; where a row of the widest is much of the room, narrower ones waste less of it."""
    widest = profile.sheet_steps[-1]
    if not widest.crop or room > ROWS * profile.image(widest.width, widest.step):
        return smaller(profile, widest)
    widths = {widest.width * part // 4 // widest.step * widest.step for part in (2, 3)}
    return [*(replace(widest, width=width) for width in sorted(widths) if width), widest]


def _type(profile: Profile) -> Style | None:
    """The smallest type that the model reads nearly all of, else the sharpest that it reads; None if it reads none."""
    drawn = [(profile.shares[tier], style) for tier in DRAWN if (style := profile.tiers.get(tier)) is not None]
    well = [style for share, style in drawn if share >= READ_WELL]
    return well[-1] if well else drawn[0][1] if drawn else None


def _strings(turns: Sequence[TurnRow], style: Style, settings: Settings, room: int) -> str:
    """What stands beside the page: that it was recalled, and exact strings of it that fit, the rarest shapes first."""
    if settings.exact(style):
        return HEAD
    chosen: list[str] = []
    left = room - settings.text(STRINGS)
    for string in rank(exact_strings("\n".join(t.text for t in turns))):
        left -= settings.text(" · " + string)
        if left < 0:
            break
        chosen.append(string)
    return STRINGS + " · ".join(chosen) if chosen else HEAD


def _gaps(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The ranges between ascending numbers."""
    return tuple((a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1)


def _recollection(
    view: View, turns: Sequence[TurnRow], tokens: int, text: str, look: str | None
) -> Recollection:  # fmt: skip
    where = (turns[0].number, turns[-1].number)
    numbers = tuple(t.number for t in turns)
    segment = Segment("recalled", where, tokens, text=text, look=look)
    return Recollection(view.state.anchor, segment, numbers, frozenset() if look else frozenset(numbers))
