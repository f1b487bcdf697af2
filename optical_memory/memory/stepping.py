"""Steps: what is due now, why, what was done, and taking the newest back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import optical_memory.memory.retain as retain
from optical_memory.config import MemoryConfig
from optical_memory.errors import StoreError
from optical_memory.memory.making import RETRIES, Asked, Maker, steppable
from optical_memory.memory.reading import place
from optical_memory.memory.state import load, plan_key
from optical_memory.memory.values import Change, Step
from optical_memory.planning.context import Plan
from optical_memory.planning.propose import Proposal, current_tokens, propose
from optical_memory.planning.redraw import changes, with_older
from optical_memory.planning.seal import undrawn
from optical_memory.planning.spans import Settings, State
from optical_memory.planning.steps import decide
from optical_memory.storage import Path, Reader, StepRow, ThreadRow, Writer


def take(maker: Maker, asked: Asked, dry_run: bool) -> Step:
    """Apply what is due, or only say what it is. Raises StoreError where the thread keeps changing or cannot be written."""
    settings, now = asked.settings, maker.clock()
    for _ in range(RETRIES):
        with maker.store.read() as reader:
            row, path = place(reader, asked.thread)
            state, _standing = load(reader, path, settings, maker.books.margin(settings), now, True)
        state = with_older(steppable(maker.store, path, state, asked.config), settings.profile)
        proposal = propose(state, settings)
        due = _due(state, settings, proposal)
        if dry_run:
            return due
        if not due.changes or maker.put_in_force(row, path, state, settings, proposal, "asked", now):
            return replace(due, purged=maker.fade(asked, row, path, now))
    raise StoreError(f"thread {asked.thread!r} kept changing while a step was made; call step() again")


def _due(state: State, settings: Settings, proposal: Proposal) -> Step:
    """The changes of a proposal, as a step that was asked for."""
    changed = [
        Change(
            (c.first, c.last), c.before, c.after, c.tokens_before, c.tokens_after, c.readable_before, c.readable_after
        )
        for c in changes(state.spans, proposal.placed, settings)
    ]
    return Step(
        tuple(changed), "asked" if changed else None, "a step was asked for", current_tokens(state, settings),
        proposal.tokens, state.end,
    )  # fmt: skip


def explained(maker: Maker, asked: Asked) -> str:
    """Why tiers change with the next user message, or why not yet, in words."""
    settings, now = asked.settings, maker.clock()
    with maker.store.read() as reader:
        row, path = place(reader, asked.thread)
        spoken_for = asked.reserved + maker.books.margin(settings)
        state, standing = load(reader, path, settings, spoken_for, now, True)
        more = _kept_as_they_are(reader, path, state, settings, asked.config)
    _, reason, words = decide(state, settings, standing is not None, maker.idle(row, now), asked=True)
    used = current_tokens(state, settings) + asked.reserved
    if reason == "forced":
        too_much = (
            f"As turns are held now, the next call would take {used:,} tokens, and the budget is {settings.budget:,}."
        )
        return f"{too_much} A step is due (forced).{more}"
    verdict = f"A step is due ({reason}): {words}." if reason else f"No step: {words}."
    return f"{used:,} of {settings.budget:,} tokens are in use. {verdict}{more}"


def _kept_as_they_are(reader: Reader, path: Path, state: State, settings: Settings, config: MemoryConfig) -> str:
    """What is to be said of turns without text, and of turns that cannot be drawn."""
    said = retain.summary(reader, path, state.plan, settings.profile, config)
    bare = [s for s in state.spans if not (s.looks or s.guard or s.purged) and settings.profile.vision]
    return said + undrawn(row for s in bare for row in reader.turns(path, s.first, s.last))


def taken(row: StepRow) -> Step:
    """A step as it was logged."""
    made = tuple(
        Change(
            (c.first, c.last), c.before, c.after, c.tokens_before, c.tokens_after, c.readable_before, c.readable_after
        )
        for c in row.changes
    )
    before, after = sum(c.tokens_before for c in made), sum(c.tokens_after for c in made)
    return Step(made, row.reason, row.reason, before, after, row.at, row.created_at, row.undone, row.purged)


def undo(writer: Writer, row: ThreadRow, path: Path, settings: Settings, retained: str, at: datetime) -> Step:
    """Put the plan before the newest step in force again. Raises StoreError if there is none, or if text went with it."""
    done = next((s for s in reversed(writer.steps(path)) if not s.undone), None)
    if done is None:
        raise StoreError(f"thread {row.key!r} has no step that could be undone")
    if done.purged:
        raise StoreError(
            f"the newest step of thread {row.key!r} cannot be undone: with it the text of {done.purged} turns went "
            f"for good, as retain={retained!r} asks"
        )
    key = plan_key(settings)
    before, standing = writer.plan_before(path, key, done.plan_id or 0), writer.plan(path, key)
    body, tokens = (before.body, before.tokens) if before else (Plan().to_json(), 0)
    # a later step must be able to follow it, one before the same anchor too
    anchor = standing.anchor if standing else load(writer, path, settings, 0, at, True)[0].anchor
    writer.put_plan(row, path, anchor=anchor, key=key, body=body, reason="undo", tokens=tokens, at=at)
    writer.set_tiers({c.page_id: c.before for c in done.changes if c.page_id is not None})
    writer.mark_undone(done.id)
    return taken(done)
