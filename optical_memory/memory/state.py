"""What planning needs of a thread, read in one transaction."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from optical_memory.memory.kept import Kept
from optical_memory.memory.pictures import Picture
from optical_memory.pages import renderers
from optical_memory.planning.context import Plan
from optical_memory.planning.looks import looks, sheet_for
from optical_memory.planning.seal import olds_of
from optical_memory.planning.spans import Known, Look, Settings, State, copy_of, parse_sheet, parse_style, with_gaps
from optical_memory.planning.tiers import Tier, fainter
from optical_memory.storage import PageRow, Path, PlanRow, Reader, TurnRow, end

ASKED_FOR = 10  # times the weight that a recalled turn has among those of its page: it stays where others are left out


def plan_key(settings: Settings) -> str:
    """Plans of one key may follow one another: the same model's profile and budget."""
    return f"{settings.profile.name}|{settings.budget}"


def sealed_as(settings: Settings) -> str:
    """For which profile, geometry, renderer and fonts the looks that are stored with a page were measured."""
    sheet = sheet_for(settings.profile, settings.budget)
    styles = ",".join(f"{t}={s.key if s else ''}" for t, s in settings.profile.tiers.items())
    return f"{settings.profile.name}|{sheet.key if sheet else 'text'}|{styles}|{renderers()}"


def load(
    reader: Reader, path: Path, settings: Settings, reserved: int, now: datetime, ladder: bool, *, blank: bool = False,
    seen: Seen | None = None,
) -> tuple[State, PlanRow | None]:  # fmt: skip
    """The thread's state on this path, and the plan in force (None before the first, and where `blank` asks for it).

    `seen` keeps what was read for a plan: its pages stay as they are for as long as it is in force.
    """
    key = plan_key(settings)
    standing = None if blank else reader.plan(path, key)
    plan, spans = _in_force(reader, path, standing, settings, seen)
    fresh = reader.turns(path, plan.through + 1)
    anchor = next((t.number for t in reversed(fresh) if t.role == "user"), standing.anchor if standing else 0)
    # turns behind a handle, whose pages need not be looked at, are the gaps
    spans = with_gaps(_strengthened(reader, path, spans, plan, standing, anchor, settings), plan.through)
    recalled = reader.recalled(path, key, since=standing.head if standing else 0)
    extra = sum(r.tokens for r in recalled if r.anchor > plan.through)  # what a step has sealed took its own along
    state = State(end(path), anchor, plan, tuple(spans), tuple(fresh), reserved, now, extra, ladder)
    return state, standing


def _in_force(
    reader: Reader, path: Path, standing: PlanRow | None, settings: Settings, seen: Seen | None
) -> tuple[Plan, list[Known]]:  # fmt: skip
    """A plan, and the spans that it shows, with those that were sealed after it."""
    same = (standing.id if standing else 0, sealed_as(settings))
    held = seen.get(same) if seen and standing else None
    if held is None:
        plan = Plan.from_json(standing.body) if standing else Plan()
        pages = reader.pages_by_id(s.page for s in plan.segments if s.page is not None)
        shown = [_known(reader, path, page, tier, settings) for page, tier in _shown(pages, plan, standing)]
        held = (plan, tuple(shown))
        if seen and standing:
            seen.put(same, held)
    plan, known = held
    later = [page for page in reader.pages(path, from_number=plan.through + 1) if page.first > plan.through]
    fresh = [_known(reader, path, page, tier, settings) for page, tier in _shown(in_force(later, plan), plan, standing)]
    return plan, sorted([*known, *fresh], key=lambda s: s.first)


def sealed(reader: Reader, path: Path, settings: Settings) -> list[tuple[PageRow, Known]]:
    """Every page of the path, and how it is held by the plan in force."""
    standing = reader.plan(path, plan_key(settings))
    plan = Plan.from_json(standing.body) if standing else Plan()
    shown = _shown(in_force(reader.pages(path), plan), plan, standing)
    return [(page, _known(reader, path, page, tier, settings)) for page, tier in shown]


def held(reader: Reader, path: Path, number: int, settings: Settings) -> tuple[PageRow, Known] | None:
    """The page that holds turn `number`, and how the plan in force holds it; None where the turn is not sealed."""
    standing = reader.plan(path, plan_key(settings))
    plan = Plan.from_json(standing.body) if standing else Plan()
    page = next(iter(in_force(reader.pages_at(path, number), plan)), None)
    if page is None:
        return None
    _, tier = _shown([page], plan, standing)[0]
    return page, _known(reader, path, page, tier, settings)


def _shown(pages: Sequence[PageRow], plan: Plan, standing: PlanRow | None) -> list[tuple[PageRow, Tier]]:
    """Pages with the tier at which they are shown now: text where the plan does not reach them yet."""
    tiers: dict[int | None, Any] = {s.page: s.kind for s in plan.segments if s.page is not None}
    last = plan.through if standing else 0
    return [(page, tiers.get(page.id, "handle") if page.last <= last else "text") for page in pages]


def in_force(pages: Sequence[PageRow], plan: Plan) -> list[PageRow]:
    """Of pages that may share turns, those that hold: the plan's, and of others the newest; oldest turns first.

    A page shares turns with an older one in whose place it was drawn; where that step was undone, the older one holds again.
    """
    mine = {s.page for s in plan.segments if s.page is not None}
    firsts: list[int] = []
    chosen: list[PageRow] = []
    for page in sorted(pages, key=lambda p: (p.id not in mine, -p.number)):
        at = bisect_right(firsts, page.last)
        if (at == 0 or chosen[at - 1].last < page.first) and (page.id in mine or _beside(page, plan)):
            firsts.insert(at, page.first)
            chosen.insert(at, page)
    return chosen


def _beside(page: PageRow, plan: Plan) -> bool:
    """Does a page lie wholly in what the plan has sealed, or behind it?"""
    return page.last <= plan.through or page.first > plan.through


def tiers_of(pages: Sequence[PageRow], plan: Plan) -> list[tuple[PageRow, Tier]]:
    """The pages that a plan in force has sealed, with the tier at which it shows each."""
    tiers: dict[int | None, Any] = {s.page: s.kind for s in plan.segments if s.page is not None}
    return [(page, tiers.get(page.id, "handle")) for page in pages if page.last <= plan.through]


def _known(reader: Reader, path: Path, page: PageRow, tier: Tier, settings: Settings) -> Known:
    details: Mapping[str, Any] = page.facts or {}
    if page.purged:
        return _left_as_picture(page, tier, settings)
    if page.sealed_as == sealed_as(settings):
        found = {tier: Look.from_json(value) for tier, value in details.get("looks", {}).items()}
        text = int(details["text"])
    else:
        rows = reader.turns(path, page.first, page.last)
        sealed = [Look.from_json(value) for value in details.get("looks", {}).values()]
        found = _measured(rows, settings, sealed) if sealed else {}
        text = sum(settings.turn(row) for row in rows)
    return Known(
        page.first, page.last, text, found, page.card or "", tuple(details.get("strings", ())), tier, page.id,
        float(details.get("importance", 0)), guard=int(details.get("guard", 0)), since=_time(details.get("since")),
        chars=page.chars, raw=page.tokens, worth=float(details.get("worth", 0)),
        told=tuple(details.get("told", ())),
    )  # fmt: skip


def _left_as_picture(page: PageRow, tier: Tier, settings: Settings) -> Known:
    """A page whose text is gone: what its pictures can be made into, for a model that sees."""
    kept = page.facts
    found = (
        {t: _picture(t, value, settings) for t, value in kept["pictures"].items()} if settings.profile.vision else {}
    )
    shown = fainter(tier, fainter(page.tier, kept["record"]))  # type: ignore[arg-type]
    return Known(
        page.first, page.last, 0, found, "", (), shown, page.id, float(kept["importance"]), since=_time(kept["since"]),
        chars=page.chars, raw=page.tokens, worth=float(kept["worth"]), told=tuple(kept["told"]), purged=True,
    )  # fmt: skip


def picture_json(look: Picture) -> list[Any]:
    """A JSON value of which a picture of a page without text can be made again."""
    return [look.style.key, look.sheet.key, [list(size) for size in look.sizes], look.held, look.stored, look.origin]


def _picture(tier: Tier, value: Sequence[Any], settings: Settings) -> Picture:
    """A picture as it is stored; for what it is worth, it counts as drawn in the style that the tier has now."""
    style, sheet, sizes, held, stored, origin = value
    known = [s for s in settings.profile.tiers.values() if s is not None]
    worth = settings.profile.tiers.get(tier) or (known[0] if known else parse_style(style))
    pixels = tuple((int(w), int(h)) for w, h in sizes)
    return Picture(worth, parse_sheet(sheet), pixels, held=float(held), stored=stored, origin=origin)


def _measured(
    rows: Sequence[TurnRow], settings: Settings, sealed: Iterable[Look], more: Set[int] = frozenset()
) -> dict[Tier, Look]:  # fmt: skip
    """The looks measured anew; turns left out when the page was sealed stay left out, but for `more`, which all looks show."""
    sheet = sheet_for(settings.profile, settings.budget)
    if sheet is None:
        return {}
    olds = [replace(o, weight=o.weight * ASKED_FOR) if o.drawn.number in more else o for o in olds_of(rows, settings)]
    chosen = {t.number for t in next(iter(sealed)).drawn(o.drawn for o in olds)} | more
    return looks(settings.profile, sheet, olds, chosen)


def details(known: Known) -> dict[str, Any]:
    """What is stored with a page beside its card, so that planning need not read its text again."""
    return {
        "looks": {tier: drawn.to_json() for tier, drawn in known.looks.items()}, "text": known.text,
        "strings": list(known.strings), "importance": known.importance, "guard": known.guard if known.guard == 1 else 0,
        "worth": known.worth, "told": list(known.told), "since": known.since.isoformat() if known.since else None,
    }  # fmt: skip


def _strengthened(
    reader: Reader, path: Path, spans: Sequence[Known], plan: Plan, standing: PlanRow | None, anchor: int,
    settings: Settings,
) -> list[Known]:  # fmt: skip
    """The spans with their turns' pins and recalls as they are now; pages behind the handle come back for these."""
    since = standing.head if standing else 0
    ever = reader.marked(path, 1, max([plan.through, *(s.last for s in spans)]))
    marked = [t for t in ever if t.pinned or _again(t, since)]
    spans = sorted([*spans, *_reopened(reader, path, spans, marked, settings)], key=lambda s: s.first)
    out = []
    numbers = [t.number for t in ever]
    for known in spans:
        touched = bisect_left(numbers, known.first) < bisect_right(numbers, known.last)
        if not touched and not known.told and _guard(known, (), anchor) == known.guard:
            out.append(known)
            continue
        span = _with_recalled(reader, path, known, ever, settings)
        mine = [t for t in ever if span.first <= t.number <= span.last]
        pinned = _copies(reader, path, span, {t.number: copy_of(t) for t in mine if t.pinned and not t.purged}, plan)
        out.append(
            replace(
                span, recalls=max((t.recalls for t in mine), default=span.recalls), pinned=pinned,
                recalled=any(_again(t, since) for t in mine), guard=_guard(span, mine, anchor),
            )
        )  # fmt: skip
    return out


def _copies(
    reader: Reader, path: Path, span: Known, pinned: Mapping[int, str], plan: Plan
) -> tuple[tuple[int, str], ...]:  # fmt: skip
    """The turns of a span that are told as text beside its page: pins, and instructions since it was sealed."""
    told = {s.turns[0]: s.text for s in plan.segments if s.kind == "recalled" and s.turns and s.text}
    lacking = [n for n in span.told if n not in pinned and n not in told]
    read = {row.number: copy_of(row) for n in lacking for row in reader.turns(path, n, n)}
    mine = {n: told[n] for n in span.told if n in told} | read | dict(pinned)
    return tuple(sorted(mine.items()))


def _with_recalled(
    reader: Reader, path: Path, span: Known, marked: Sequence[TurnRow], settings: Settings
) -> Known:  # fmt: skip
    """The span with turns on its pages that were left out of them and have been recalled since."""
    wanted = {t.number for t in marked if t.recalls and any(f <= t.number <= last for f, last in _left(span))}
    if not wanted or span.purged:
        return span
    rows = reader.turns(path, span.first, span.last)
    return replace(span, looks=_measured(rows, settings, span.looks.values(), wanted))


def _left(span: Known) -> tuple[tuple[int, int], ...]:
    """The turns that at least one of the span's looks leaves out, as ranges that may overlap."""
    return tuple(gap for look in span.looks.values() for gap in look.left)


def _again(turn: TurnRow, since: int) -> bool:
    """Was this turn recalled after the plan was made?"""
    return turn.recalls > 0 and (turn.recalled_at or 0) >= since


def _reopened(
    reader: Reader, path: Path, spans: Sequence[Known], marked: Sequence[TurnRow], settings: Settings
) -> list[Known]:
    """The pages behind the handle that hold a pinned or recalled turn."""
    taken = [(s.first, s.last) for s in spans]
    found = []
    for turn in marked:
        if not any(first <= turn.number <= last for first, last in taken):
            page = next((p for p in reader.pages_at(path, turn.number) if not _touches(p, taken)), None)
            if page is not None:
                taken.append((page.first, page.last))
                found.append(_known(reader, path, page, "handle", settings))
    return found


def _touches(page: PageRow, taken: Iterable[tuple[int, int]]) -> bool:
    return any(page.first <= last and first <= page.last for first, last in taken)


def _guard(span: Known, marked: Sequence[TurnRow], anchor: int) -> int:
    """The newest user turn, a pin, an instruction; only a span of one turn can be guarded (see Span.guard)."""
    if span.first != span.last or span.purged:
        return 0
    return 3 if span.first == anchor else 2 if any(t.pinned for t in marked) else span.guard


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


Seen = Kept[tuple[int, str], tuple[Plan, tuple[Known, ...]]]

__all__ = ["details", "held", "in_force", "load", "picture_json", "plan_key", "sealed", "sealed_as", "tiers_of"]
