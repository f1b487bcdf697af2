"""Putting a proposal in force: drawn outside the transaction, stored in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from optical_memory.memory.pictures import Picture, PNGs, draw, faded, left_of, rows_of, texts
from optical_memory.memory.state import details, plan_key, sealed_as
from optical_memory.messages import from_stored
from optical_memory.planning.context import Plan, Segment
from optical_memory.planning.propose import Proposal
from optical_memory.planning.redraw import Changed, changes, replaced
from optical_memory.planning.spans import Known, Look, Placed, Settings, State
from optical_memory.planning.tiers import CARD, DRAWN
from optical_memory.storage import (
    MessageRow,
    NewChange,
    NewPage,
    PageRow,
    Path,
    PlanRow,
    PurgedPage,
    Reader,
    Store,
    ThreadRow,
    Writer,
    owner,
)


@dataclass(frozen=True, slots=True)
class Images:
    """What was drawn for a proposal, by the first turn of the span; None where the store has it already."""

    by_first: Mapping[int, PNGs | None]


@dataclass(frozen=True, slots=True)
class Fading:
    """A page whose text is to go: the stored page, what is to be known of it from then on, and its pictures by name."""

    page: PageRow
    span: Known
    pictures: Mapping[str, PNGs]
    facts: Mapping[str, Any]

    def looks(self) -> list[Picture]:
        """The looks that are stored with the purge; the others are made of these when they are needed."""
        return [look for look in self.span.looks.values() if isinstance(look, Picture) and look.name in self.pictures]

    def row(self) -> PurgedPage:
        """The same as the store takes it."""
        names, page = tuple(look.name for look in self.span.looks.values()), self.page
        return PurgedPage(page.id, page.branch_id, page.first, page.last, names, dict(self.facts), self.span.told)


def drawn_spans(proposal: Proposal) -> list[tuple[Known, Look]]:
    """The spans that the proposal shows as images, and how."""
    return [
        (p.span, p.span.looks[p.tier]) for p in proposal.placed if p.tier in DRAWN or (p.span.purged and p.tier == CARD)
    ]


def render(store: Store, path: Path, state: State, proposal: Proposal, fading: Sequence[Fading] = ()) -> Images:
    """Draw what the proposal needs and the store lacks; no transaction is open while drawing."""
    ready = {f.span.first: f.pictures for f in fading}
    with store.read() as reader:
        made = {s.first: _without_text(reader, s, look, ready) for s, look in drawn_spans(proposal) if s.purged}
        proposal = replace(proposal, placed=tuple(p for p in proposal.placed if not p.span.purged))
        have = {}
        for span, look in drawn_spans(proposal):
            views = reader.views([span.page], look.name) if span.page is not None else {}
            have[span.first] = bool(views) and all(v.sha256 for v in views[span.page or 0])
        rows = {s.first: rows_of(reader, path, s, state.fresh) for s, _ in drawn_spans(proposal) if not have[s.first]}
    drawn = drawn_spans(proposal)
    return Images(made | {s.first: None if have[s.first] else draw(texts(rows[s.first], s), look) for s, look in drawn})


def _without_text(reader: Reader, span: Known, look: Look, ready: Mapping[int, Mapping[str, PNGs]]) -> PNGs | None:
    """The images of a span whose text is gone, or is about to go."""
    assert isinstance(look, Picture)
    assert span.page is not None
    return faded(ready[span.first], look) if span.first in ready else left_of(reader, span.page, look)


def store_proposal(
    store: Store, row: ThreadRow, path: Path, state: State, settings: Settings, proposal: Proposal, images: Images,
    reason: str, at: datetime, fading: Sequence[Fading] = (), config: Any = None,
) -> tuple[Plan, PlanRow] | None:  # fmt: skip
    """Store pages, images, tiers, plan and log in one transaction; None if the thread has changed meanwhile.

    The text of what is `fading` goes in the same transaction; `config` is kept with the thread if it is another than before.
    """
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
        logged = _logged(changes(state.spans, proposal.placed, settings), placed)
        writer.drop_views(_views(writer, [*replaced(state.spans, proposal.placed), *_fallen_behind(proposal.placed)]))
        gone = _purge(writer, now, fading, plan_row.id) if fading else 0
        if logged or gone:
            writer.log_step(now, path, reason=reason, changes=logged, at=at, plan_id=plan_row.id, purged=gone)
        if config is not None and now.config != config:
            writer.set_config(now.id, config)
        writer.touch(now.id, at)
    return plan, plan_row


def _purge(writer: Writer, row: ThreadRow, fading: Sequence[Fading], plan_id: int) -> int:
    """Store the pictures that are to be the record, and take the text away; how many turns that were."""
    for one in fading:
        for look in one.looks():
            sized = zip(look.sizes, one.pictures[look.name], strict=True)
            writer.put_views(one.page.id, look.name, [(w, h, png) for (w, h), png in sized])
    return writer.purge(row, [one.row() for one in fading], bare, plan_id)


GONE = "[only the picture of this turn is left]"


def bare(row: MessageRow) -> dict[str, Any]:
    """What is kept of a message whose text goes: who spoke, and the ids that hold calls and results together."""
    message = from_stored(row.form, row.data)
    calls = [{"id": c.id, "type": "function", "function": {"name": "gone", "arguments": "{}"}} for c in message.calls]
    kept = {"role": message.role, "content": GONE, "id": message.id, "tool_call_id": message.answers}
    return {k: v for k, v in kept.items() if v} | ({"tool_calls": calls} if calls else {})


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
    drawn = images.by_first.get(item.span.first) if item.tier in item.span.looks else None
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


def _logged(changed: Sequence[Changed], placed: Sequence[Placed]) -> list[NewChange]:
    """The changes as they are logged, those of new pages with the ids that these have got."""
    ids = {p.span.last: p.span.page for p in placed}
    return [
        NewChange(
            c.first, c.last, c.before, c.after, c.tokens_before, c.tokens_after, c.readable_before, c.readable_after,
            ids.get(c.last) if c.page is None else c.page,
        )
        for c in changed
    ]  # fmt: skip


def _fallen_behind(placed: Sequence[Placed]) -> list[Known]:
    """The spans that come behind the handle now, but for those whose pictures are the record."""
    return [p.span for p in placed if p.tier == "handle" != p.span.tier and not p.span.purged]


def _views(reader: Reader, gone: Sequence[Known]) -> list[int]:
    """The stored images of pages that are shown no more: drawn again from the text where a step is undone or a turn recalled."""
    found = [reader.views([span.page], look.name) for span in gone for look in span.looks.values() if span.page]
    return [view.id for views in found for many in views.values() for view in many]
