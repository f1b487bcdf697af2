"""What planning needs of a thread, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import optical_memory.memory.recollect as recollect
from optical_memory.pages import RENDERER
from optical_memory.planning.context import Plan
from optical_memory.planning.seal import looks, sheet_for
from optical_memory.planning.spans import Known, Look, Settings, State, turn_to_draw
from optical_memory.planning.tiers import Tier
from optical_memory.storage import PageRow, Path, PlanRow, Reader, TurnRow, end


def plan_key(settings: Settings) -> str:
    """Plans of one key may follow one another: the same model's profile and budget."""
    return f"{settings.profile.name}|{settings.budget}"


def sealed_as(settings: Settings) -> str:
    """For which profile, geometry and renderer the looks that are stored with a page were measured."""
    sheet = sheet_for(settings.profile, settings.budget)
    styles = ",".join(f"{t}={s.key if s else ''}" for t, s in settings.profile.tiers.items())
    return f"{settings.profile.name}|{sheet.key if sheet else 'text'}|{styles}|{RENDERER}"


def load(
    reader: Reader, path: Path, settings: Settings, reserved: int, now: datetime, ladder: bool, *, blank: bool = False
) -> tuple[State, PlanRow | None]:
    """The thread's state on this path, and the plan in force (None before the first, and where `blank` asks for it)."""
    key = plan_key(settings)
    standing = None if blank else reader.plan(path, key)
    plan = Plan.from_json(standing.body) if standing else Plan()
    pages = _pages(reader, path, plan, standing)
    spans = [_known(reader, path, page, tier, settings) for page, tier in _shown(pages, plan, standing)]
    fresh = reader.turns(path, plan.through + 1)
    anchor = next((t.number for t in reversed(fresh) if t.role == "user"), standing.anchor if standing else 0)
    spans = _with_gaps(plan, _strengthened(reader, path, spans, plan, standing, anchor, settings))
    recalled = reader.recalled(path, key, since=standing.anchor if standing else 0)
    extra = sum(r.tokens for r in recalled if r.anchor > plan.through)  # what a step has sealed took its own along
    state = State(end(path), anchor, plan, tuple(spans), tuple(fresh), reserved, now, extra, ladder)
    return state, standing


def sealed(reader: Reader, path: Path, settings: Settings) -> list[tuple[PageRow, Known]]:
    """Every page of the path, and how it is held by the plan in force."""
    standing = reader.plan(path, plan_key(settings))
    plan = Plan.from_json(standing.body) if standing else Plan()
    shown = _shown(reader.pages(path), plan, standing)
    return [(page, _known(reader, path, page, tier, settings)) for page, tier in shown]


def held(reader: Reader, path: Path, number: int, settings: Settings) -> tuple[PageRow, Known] | None:
    """The page that holds turn `number`, and how the plan in force holds it; None where the turn is not sealed."""
    page = reader.page_at(path, number)
    if page is None:
        return None
    standing = reader.plan(path, plan_key(settings))
    plan = Plan.from_json(standing.body) if standing else Plan()
    _, tier = _shown([page], plan, standing)[0]
    return page, _known(reader, path, page, tier, settings)


def _pages(reader: Reader, path: Path, plan: Plan, standing: PlanRow | None) -> list[PageRow]:
    """The pages that the plan shows; all of them where there is no plan yet."""
    if standing is None:
        return reader.pages(path)
    shown = reader.pages_by_id(s.page for s in plan.segments if s.page is not None)
    later = reader.pages(path, from_number=plan.through + 1)
    return sorted({p.id: p for p in (*shown, *later)}.values(), key=lambda p: p.first)


def _shown(pages: Sequence[PageRow], plan: Plan, standing: PlanRow | None) -> list[tuple[PageRow, Tier]]:
    """Pages with the tier at which they are shown now: text where the plan does not reach them yet."""
    tiers: dict[int | None, Any] = {s.page: s.kind for s in plan.segments if s.page is not None}
    last = plan.through if standing else 0
    return [(page, tiers.get(page.id, "handle") if page.last <= last else "text") for page in pages]


def _with_gaps(plan: Plan, spans: Sequence[Known]) -> list[Known]:
    """The spans, and before them or between them the turns behind a handle whose pages need not be looked at."""
    out: list[Known] = []
    at = 1
    for span in spans:
        if span.first > at and at <= plan.through:
            out.append(Known(at, min(plan.through, span.first - 1), 0, {}, "", (), "handle", hidden=True))
        out.append(span)
        at = span.last + 1
    if at <= plan.through:
        out.append(Known(at, plan.through, 0, {}, "", (), "handle", hidden=True))
    return out


def _known(reader: Reader, path: Path, page: PageRow, tier: Tier, settings: Settings) -> Known:
    details: Mapping[str, Any] = page.facts or {}
    if page.sealed_as == sealed_as(settings):
        found = {tier: Look.from_json(value) for tier, value in details.get("looks", {}).items()}
        text = int(details["text"])
    else:
        rows = reader.turns(path, page.first, page.last)
        found = _measured(rows, settings) if details.get("looks") else {}
        text = sum(settings.turn(row) for row in rows)
    return Known(
        page.first, page.last, text, found, page.card or "", tuple(details.get("strings", ())), tier, page.id,
        float(details.get("importance", 0)), guard=int(details.get("guard", 0)), since=_time(details.get("since")),
        chars=page.chars, raw=page.tokens,
    )  # fmt: skip


def _measured(rows: Sequence[TurnRow], settings: Settings) -> dict[Tier, Look]:
    sheet = sheet_for(settings.profile, settings.budget)
    return looks(settings.profile, sheet, [turn_to_draw(row) for row in rows]) if sheet else {}


def details(known: Known) -> dict[str, Any]:
    """What is stored with a page beside its card, so that planning need not read its text again."""
    return {
        "looks": {tier: drawn.to_json() for tier, drawn in known.looks.items()}, "text": known.text,
        "strings": list(known.strings), "importance": known.importance, "guard": known.guard if known.guard == 1 else 0,
        "since": known.since.isoformat() if known.since else None,
    }  # fmt: skip


def _strengthened(
    reader: Reader, path: Path, spans: Sequence[Known], plan: Plan, standing: PlanRow | None, anchor: int,
    settings: Settings,
) -> list[Known]:  # fmt: skip
    """The spans with their turns' pins and recalls as they are now; pages behind the handle come back for these."""
    since = standing.head if standing else 0
    marked = [
        t for t in reader.marked(path, 1, max([plan.through, *(s.last for s in spans)])) if t.pinned or _again(t, since)
    ]
    spans = sorted([*spans, *_reopened(reader, path, spans, marked, settings)], key=lambda s: s.first)
    out = []
    for span in spans:
        mine = [t for t in marked if span.first <= t.number <= span.last]
        pinned = tuple((t.number, f"[{recollect.label(t)}] {t.text}") for t in mine if t.pinned)
        out.append(
            replace(
                span, recalls=max((t.recalls for t in mine), default=span.recalls), pinned=pinned,
                recalled=any(_again(t, since) for t in mine), guard=_guard(span, mine, anchor),
            )
        )  # fmt: skip
    return out


def _again(turn: TurnRow, since: int) -> bool:
    """Was this turn recalled after the plan was made?"""
    return turn.recalls > 0 and (turn.recalled_at or 0) >= since


def _reopened(
    reader: Reader, path: Path, spans: Sequence[Known], marked: Sequence[TurnRow], settings: Settings
) -> list[Known]:
    """The pages behind the handle that hold a pinned or recalled turn."""
    pages: dict[int, PageRow] = {}
    for turn in marked:
        if not any(s.first <= turn.number <= s.last for s in spans):
            page = reader.page_at(path, turn.number)
            pages |= {page.id: page} if page else {}
    return [_known(reader, path, page, "handle", settings) for page in pages.values()]


def _guard(span: Known, marked: Sequence[TurnRow], anchor: int) -> int:
    """The newest user turn, a pin, an instruction; only a span of one turn can be guarded (see Span.guard)."""
    if span.first != span.last:
        return 0
    return 3 if span.first == anchor else 2 if any(t.pinned for t in marked) else span.guard


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


__all__ = ["details", "held", "load", "plan_key", "sealed", "sealed_as"]
