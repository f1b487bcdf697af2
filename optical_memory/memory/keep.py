"""Putting a proposal in force: drawn outside the transaction, stored in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from optical_memory.memory.pictures import PNGs, draw, rows_of, texts
from optical_memory.memory.state import details, plan_key, sealed_as
from optical_memory.planning.context import Plan, Segment
from optical_memory.planning.propose import Proposal, changes
from optical_memory.planning.spans import Known, Look, Placed, Settings, State, costs_of
from optical_memory.planning.tiers import DRAWN, Tier
from optical_memory.storage import NewChange, NewPage, Path, PlanRow, Store, ThreadRow, Writer, owner


@dataclass(frozen=True, slots=True)
class Images:
    """What was drawn for a proposal, by the first turn of the span; None where the store has it already."""

    by_first: Mapping[int, PNGs | None]


def drawn_spans(proposal: Proposal) -> list[tuple[Known, Look]]:
    """The spans that the proposal shows as images, and how."""
    return [(p.span, p.span.looks[p.tier]) for p in proposal.placed if p.tier in DRAWN]


def render(store: Store, path: Path, state: State, proposal: Proposal) -> Images:
    """Draw what the proposal needs and the store lacks; no transaction is open while drawing."""
    with store.read() as reader:
        have = {}
        for span, look in drawn_spans(proposal):
            views = reader.views([span.page], look.name) if span.page is not None else {}
            have[span.first] = bool(views) and all(v.sha256 for v in views[span.page or 0])
        rows = {s.first: rows_of(reader, path, s, state.fresh) for s, _ in drawn_spans(proposal) if not have[s.first]}
    return Images(
        {s.first: None if have[s.first] else draw(texts(rows[s.first], s), look) for s, look in drawn_spans(proposal)}
    )


def store_proposal(
    store: Store, row: ThreadRow, path: Path, state: State, settings: Settings, proposal: Proposal, images: Images,
    reason: str, at: datetime,
) -> tuple[Plan, PlanRow] | None:  # fmt: skip
    """Store pages, images, tiers, plan and log in one transaction; None if the thread has changed meanwhile."""
    with store.write() as writer:
        now = writer.thread(row.key)
        if now is None or (now.branch_id, now.length, now.version) != (row.branch_id, row.length, row.version):
            return None
        placed = _stored_pages(writer, now, path, settings, proposal.placed, at)
        writer.set_tiers({p.span.page: p.tier for p in placed if p.span.page is not None and p.span.tier != p.tier})
        for item in placed:
            _put_images(writer, item, images)
        plan = _with_pages(proposal.plan, placed)
        plan_row = writer.put_plan(
            now, path, anchor=state.anchor or state.end, key=plan_key(settings), body=plan.to_json(), reason=reason,
            tokens=plan.tokens, at=at,
        )  # fmt: skip
        logged = [_logged(span, before, after, settings) for span, before, after in changes(state.spans, placed)]
        if logged:
            writer.log_step(now, path, reason=reason, changes=logged, at=at, plan_id=plan_row.id)
        writer.touch(now.id, at)
    return plan, plan_row


def store_beside(
    store: Store, row: ThreadRow, path: Path, state: State, settings: Settings, proposal: Proposal, reason: str,
    at: datetime,
) -> tuple[Plan, PlanRow] | None:  # fmt: skip
    """Store the plan of another model or budget, without pages, steps or log; None if the thread has changed."""
    plan = replace(proposal.plan, segments=tuple(replace(s, page=None) for s in proposal.plan.segments))
    with store.write() as writer:
        now = writer.thread(row.key)
        if now is None or (now.branch_id, now.length, now.version) != (row.branch_id, row.length, row.version):
            return None
        stored = writer.put_plan(
            now, path, anchor=state.anchor or state.end, key=plan_key(settings), body=plan.to_json(), reason=reason,
            tokens=plan.tokens, at=at,
        )  # fmt: skip
    return plan, stored


def _stored_pages(
    writer: Writer, row: ThreadRow, path: Path, settings: Settings, placed: tuple[Placed, ...], at: datetime
) -> list[Placed]:
    """The same spans, all of them with the id of their page."""
    new = [p for p in placed if p.span.page is None and not p.span.hidden]
    pages = writer.add_pages(row, [_new_page(p, path, settings) for p in new], at)
    ids = {p.span.first: page.id for p, page in zip(new, pages, strict=True)}
    return [
        replace(p, span=replace(p.span, page=ids[p.span.first])) if p.span.first in ids else p
        for p in placed
        if not p.span.hidden
    ]


def _new_page(item: Placed, path: Path, settings: Settings) -> NewPage:
    span = item.span
    return NewPage(
        owner(path, span.last), span.first, span.last, item.tier, span.chars, span.raw, span.card, details(span),
        sealed_as(settings),
    )  # fmt: skip


def _put_images(writer: Writer, item: Placed, images: Images) -> None:
    drawn = images.by_first.get(item.span.first) if item.tier in DRAWN else None
    if drawn and item.span.page is not None:
        look = item.span.looks[item.tier]
        writer.put_views(
            item.span.page, look.name, [(w, h, png) for (w, h), png in zip(look.sizes, drawn, strict=True)]
        )


def _with_pages(plan: Plan, placed: list[Placed]) -> Plan:
    ids = {p.span.first: p.span.page for p in placed}
    return replace(plan, segments=tuple(_with_page(s, ids) for s in plan.segments))


def _with_page(segment: Segment, ids: Mapping[int, int | None]) -> Segment:
    if segment.turns is None or segment.kind in ("handle", "excerpt", "recalled"):
        return segment
    return replace(segment, page=ids.get(segment.turns[0]))


def _logged(span: Known, before: Tier, after: Tier, settings: Settings) -> NewChange:
    costs = costs_of(span, settings)
    return NewChange(
        span.first, span.last, before, after, costs.get(before, span.text), costs.get(after, 0),
        settings.readable[before], settings.readable[after], span.page,
    )  # fmt: skip
