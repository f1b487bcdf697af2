"""Making a context: the one made last if it still holds, else the plan in force, else a new plan.

Plans are made and pages drawn between transactions. A plan is stored only if the thread is then as it was when it was read;
if not, the context is made again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil
from typing import Any, cast

import optical_memory.memory.applying as applying
import optical_memory.memory.recollect as recollect
import optical_memory.memory.retain as retain
import optical_memory.memory.summarise as summarise
from optical_memory.config import MemoryConfig
from optical_memory.errors import BudgetError, StoreError
from optical_memory.memory.assemble import Context
from optical_memory.memory.books import Books
from optical_memory.memory.kept import Kept
from optical_memory.memory.meaning import Meaning
from optical_memory.memory.reading import place, sealed_turns
from optical_memory.memory.show import Contexts, Shown
from optical_memory.memory.state import Seen, load, plan_key
from optical_memory.memory.values import Remembered
from optical_memory.memory.view import View
from optical_memory.planning.context import Plan, Segment, ranges
from optical_memory.planning.propose import Proposal, current_tokens
from optical_memory.planning.spans import Settings, State
from optical_memory.planning.steps import decide
from optical_memory.storage import Path, PlanRow, Store, ThreadRow, TurnSums

log = logging.getLogger("optical_memory")

RETRIES = 5  # a plan is made outside the transaction; this often it is made again because the thread has grown
CALLED = 16_384  # threads of which it is known when a context was last sent

Mine = Mapping[int, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a context is asked for; `mine` are the caller's own message objects by turn number.

    `own` is set where the settings are those of the memory's own model and budget: only then pages are sealed and steps taken.
    With `dry` nothing is written. The context shows the thread up to turn `upto`.
    """

    thread: str
    settings: Settings
    config: MemoryConfig
    own: bool
    query: str | None = None
    reserved: int = 0
    dry: bool = False
    upto: int | None = None
    mine: Mine = field(default_factory=dict)

    def key(self, row: ThreadRow) -> tuple[Any, ...]:
        """Contexts with the same key are equal as long as the thread does not change; its name may come again, its id never."""
        how = (plan_key(self.settings), self.settings.profile.vision)
        return row.id, *how, self.query, self.reserved, self.dry, self.upto or row.length

    def kept(self, length: int) -> bool:
        """Is a plan that is made for it stored? Not for a preview, nor for a part of the thread."""
        return not self.dry and (self.upto == length or (self.own and self.upto is None))


class Maker:
    """Makes contexts, and keeps in this process what the next one can use again."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], books: Books, meaning: Meaning,
        summarizer: summarise.Summarizer | None,
    ) -> None:  # fmt: skip
        self.store, self.clock, self.books, self.summarizer = store, clock, books, summarizer
        self._meaning, self._show = meaning, Shown(meaning.search)
        self._contexts = Contexts()
        self._seen: Seen = Kept(32)  # plans in force, with their pages
        self._called: Kept[str, datetime] = Kept(CALLED)  # when a context of this process was last sent

    def context(self, asked: Asked) -> Context:
        """The context that is asked for. Raises ThreadNotFoundError, BudgetError and StoreError."""
        if asked.config.recall_tokens(asked.settings.budget) > 0:
            self._meaning.prepare(self.store, asked.thread, asked.query)
        again = self._again(asked)
        if again is not None:
            return again
        why = ""
        for attempt in range(RETRIES):
            made, why = self._made(asked if attempt < RETRIES - 1 else _preview(asked), why)
            if made is not None:
                return made
        raise StoreError(f"thread {asked.thread!r} changed while its context was made; call context() again")

    def forgotten(self, thread: str) -> None:
        """A thread is gone: so is what is known of its calls."""
        self.books.drop(thread)
        self._called.pop(thread)

    def drop(self) -> None:
        """Plan anew with the next call, since the settings have changed."""
        self._contexts.drop()

    def erase(self) -> bool:
        """Let go of what this process keeps, and overwrite in the file what was deleted; see `Store.erase`."""
        self._show.drop()
        self._contexts.drop()
        self._seen.drop()
        self._meaning.drop()
        return self.store.erase()

    def idle(self, row: ThreadRow, now: datetime) -> float | None:
        """Seconds since the last call whose bytes the provider may still have; None if there was none."""
        # the thread's row tells of calls of other processes
        known = [at for at in (self._called.get(row.key), row.touched_at) if at]
        return max(0.0, (now - max(known)).total_seconds()) if known else None

    # ----------------------------------------------------------------------------------------- one context

    def _again(self, asked: Asked) -> Context | None:
        """The context made last, if nothing has been written since and the provider's cache is still warm."""
        now, last, ttl = self.clock(), self._called.get(asked.thread), asked.settings.profile.price.ttl
        if last is not None and 0 < ttl < (now - last).total_seconds():
            return None
        with self.store.read() as reader:
            row = reader.thread(asked.thread)
        if row is None:
            return None
        found = self._contexts.get(asked.key(row), row.version, asked.mine)
        if found is None or found.tokens + asked.reserved + self.books.margin(asked.settings) > asked.settings.budget:
            return None  # too large is what was made before bills came in that are higher than predicted
        if last is not None:
            self._called.put(asked.thread, now)
        return found

    def _made(self, asked: Asked, before: str) -> tuple[Context | None, str]:
        """(one attempt, why a step was taken); None if the thread changed between planning and storing.

        `before` is why an earlier attempt took a step: that one is stored, and stands.
        """
        now, settings = self.clock(), asked.settings
        spoken_for = asked.reserved + self.books.margin(settings)
        with self.store.read() as reader:
            row, path = place(reader, asked.thread, asked.upto)
            kept = asked.kept(row.length)
            state, standing = load(reader, path, settings, spoken_for, now, asked.own, seen=self._seen)
            if kept and not asked.own and current_tokens(state, settings) + spoken_for > settings.budget:
                state, standing = load(reader, path, settings, spoken_for, now, False, blank=True)
        proposal, why = self._decided(asked, row, path, state, standing, now)
        why = why or before
        settled: tuple[Plan, PlanRow | None] | None = (proposal.plan if proposal else state.plan, standing)
        if proposal is not None:
            settled = self._settled(asked, row, path, state, proposal, why, now) if kept else (proposal.plan, None)
        if settled is None:
            return None, before
        first = self._called.get(asked.thread) is None  # of this process: another may have ended after its step
        owing = proposal is not None or first
        if owing and kept and asked.own and self.fade(asked, row, path, now):
            with self.store.read() as reader:
                row, path = place(reader, asked.thread, asked.upto)
                state, standing = load(reader, path, settings, spoken_for, now, True, seen=self._seen)
            settled, proposal = (state.plan, standing), None
        view = View(asked.thread, row, path, state, settings, settled[0], proposal, settled[1], why, asked.reserved)
        if kept and asked.own:
            self._called.put(asked.thread, now)
        return self._shown(asked, view, kept), why

    def _decided(
        self, asked: Asked, row: ThreadRow, path: Path, state: State, standing: PlanRow | None, now: datetime
    ) -> tuple[Proposal | None, str]:
        """A new plan and why, or none; another model's plan stands until it no longer fits."""
        if standing is not None and not asked.own:
            return None, ""
        if asked.own:
            state = steppable(self.store, path, state, asked.config)
        proposal, why, _ = decide(state, asked.settings, standing is not None, self.idle(row, now))
        return proposal, why

    def _settled(
        self, asked: Asked, row: ThreadRow, path: Path, state: State, proposal: Proposal, why: str, now: datetime
    ) -> tuple[Plan, PlanRow] | None:
        """Put a proposal in force: with its pages and steps, or as a plan beside, for another model or budget."""
        if not asked.own:
            return applying.store_beside(self.store, row, path, state, asked.settings, proposal, why, now)
        return self.put_in_force(row, path, state, asked.settings, proposal, why, now, asked.config)

    def put_in_force(
        self, row: ThreadRow, path: Path, state: State, settings: Settings, proposal: Proposal, why: str, now: datetime,
        config: MemoryConfig | None = None,
    ) -> tuple[Plan, PlanRow] | None:  # fmt: skip
        """Draw what a proposal needs and store it; None if the thread has changed. A `config` is kept with the thread."""
        images = applying.render(self.store, path, state, proposal)
        proposal = summarise.with_cards(proposal, state.fresh, self.summarizer)
        public = config.public() if config else None
        return applying.store_proposal(
            self.store, row, path, state, settings, proposal, images, why, now, config=public
        )

    def fade(self, asked: Asked, row: ThreadRow, path: Path, now: datetime) -> int:
        """Take the text of what has fallen to the tier `retain` away; of how many turns.

        What fails is tried at the next step, or by the next process.
        """
        if asked.config.retain == "forever" or asked.config.mode == "observe":
            return 0
        spoken_for = asked.reserved + self.books.margin(asked.settings)
        try:
            gone = retain.sweep(self.store, row, path, asked.settings, asked.config.retain, spoken_for, now)
            if gone:
                self.erase()
        except StoreError as error:
            log.warning("thread %r keeps the text of faded pages for now: %s", row.key, error)
            return 0
        return gone

    def _shown(self, asked: Asked, view: View, kept: bool) -> Context | None:
        """The context of a view; what the query brought back is stored, so that it stands there in every call of the run.

        None if the thread changed while that was looked for: another call may have brought something back before the same turn.
        """
        slice_ = asked.config.recall_tokens(asked.settings.budget)
        with self.store.read() as reader:
            made, found = self._show.context(reader, view, asked.query, slice_, asked.mine)
            looked_at = reader.thread(asked.thread) if found is not None else None
        if found is not None and kept and not self._keep_recollection(view, found, looked_at):
            return None
        if found is None and view.proposal is None:
            self._contexts.put(asked.key(view.row), view.row.version, made, asked.mine)
        return made

    def _keep_recollection(self, view: View, found: recollect.Recollection, looked_at: ThreadRow | None) -> bool:
        """Store what was brought back; False if the thread is not any more as it was when it was looked for."""
        with self.store.write() as writer:
            now = writer.thread(view.row.key)
            if now is None or looked_at is None or (now.id, now.version) != (looked_at.id, looked_at.version):
                return False
            writer.put_recalled(
                now, view.path, anchor=found.anchor, key=plan_key(view.settings), turns=found.to_json(),
                tokens=found.segment.tokens, at=self.clock(),
            )  # fmt: skip
        return True

    # ----------------------------------------------------------------------------------------- mode="observe"

    def unchanged(self, asked: Asked, messages: Sequence[object], remembered: Remembered) -> Context:
        """The caller's own list as a context, with the one that would have been sent in its place."""
        would, first = None, min((n for n in remembered.turns if n is not None), default=1)
        with suppress(BudgetError):
            would = self.context(asked)
        settings = asked.settings
        with self.store.read() as reader:
            row, path = place(reader, asked.thread, asked.upto)
            tokens = as_text(reader.turn_stats(path, first), settings)
        end = asked.upto or row.length
        shown = (Segment("text", (first, end), tokens),) if end else ()
        return Context(
            asked.thread, cast(Any, list(messages)), tokens, shown, tuple(ranges(range(1, first))), settings.budget,
            asked.reserved, settings.profile.name, None, "observe", end, None, would,
        )  # fmt: skip


def steppable(store: Store, path: Path, state: State, config: MemoryConfig) -> State:
    """The state with its sealed turns at hand, so that a step may lay them out anew; apart where their text is to go for good."""
    return replace(state, source=sealed_turns(store, path), apart=config.retain != "forever")


def _preview(asked: Asked) -> Asked:
    """The same, not to be stored: the thread grows faster than we plan."""
    return replace(asked, dry=True)


def as_text(sums: TurnSums, settings: Settings) -> int:
    """Tokens of turns sent as text, by their sums; attached files, which are sent as they are, are not in it."""
    of = settings.profile
    words = ceil(sums.tokens * of.text_factor) + sums.messages + sums.calls
    return words + sums.messages * of.message_overhead + sums.calls * of.call_overhead
