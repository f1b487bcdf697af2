"""`OpticalMemory`: the only place that reads, plans, renders and writes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from math import ceil
from pathlib import Path as FilePath
from typing import Any, cast

import optical_memory.memory.books as books
import optical_memory.memory.ingest as ingest
import optical_memory.memory.keep as keep
import optical_memory.memory.pictures as pictures
import optical_memory.memory.recollect as recollect
import optical_memory.memory.retain as retain
import optical_memory.memory.summarise as summarise
from optical_memory import config as configuration
from optical_memory.config import DEFAULT_BUDGET, MemoryConfig
from optical_memory.cost import Profile, count_o200k, counter_name, profile
from optical_memory.cost import known as known_model
from optical_memory.cost.ledger import LEARNED
from optical_memory.errors import BudgetError, ConfigError, StoreError, ThreadNotFoundError
from optical_memory.memory.accounts import ThreadLedger, account, sizes
from optical_memory.memory.assemble import Context
from optical_memory.memory.kept import Kept
from optical_memory.memory.meaning import Embedder, Meaning
from optical_memory.memory.pictures import PNGs
from optical_memory.memory.restyle import restyled
from optical_memory.memory.show import Contexts, Shown
from optical_memory.memory.state import Seen, load, plan_key, sealed
from optical_memory.memory.values import Change, Forgotten, Hit, Page, Remembered, Stats, Step, ThreadInfo
from optical_memory.memory.view import View
from optical_memory.messages import Turn, as_given, from_stored, injected, read
from optical_memory.planning.context import Plan, Segment, ranges
from optical_memory.planning.decay import named
from optical_memory.planning.propose import Proposal, changes, current_tokens, propose
from optical_memory.planning.seal import undrawn
from optical_memory.planning.spans import Settings, State, costs_of
from optical_memory.planning.steps import decide
from optical_memory.planning.tiers import Tier
from optical_memory.storage import (
    NewUsage,
    PageRow,
    Path,
    PlanRow,
    Reader,
    StepRow,
    Store,
    ThreadRow,
    TurnRow,
    TurnSums,
    UsageRow,
)

log = logging.getLogger("optical_memory")

Clock = Callable[[], datetime]
RETRIES = 5  # a plan is made outside the transaction; this often it is made again because the thread has grown


def _now() -> datetime:
    return datetime.now(UTC)


class OpticalMemory:
    """A conversation memory in a database: `remember` messages, get the `context` for the next model call, `recall` turns.

    `url` is a database URL ("sqlite:///memory.db", "postgresql+psycopg://...") or the path of an SQLite file. The other
    arguments are those of `MemoryConfig`, or pass `config=` (a MemoryConfig or the path of a TOML file). `count` replaces
    the text counter (raw tokens of a text), `profile` the profile of the model (or the file of a calibration), `clock` the
    source of the time (UTC). With `embeddings` (any LangChain `Embeddings`) recall finds turns by their meaning too.
    `summarizer`, a function of (text, characters) or a LangChain chat model, writes the headline cards of new pages.
    Safe to use from several threads and processes at once; every method has a twin with an `a` in front for asyncio.
    Raises ConfigError for settings that cannot be used, StoreError and its kin for the database.
    """

    def __init__(
        self,
        url: str | FilePath = "sqlite:///memory.db",
        *,
        config: MemoryConfig | str | FilePath | None = None,
        profile: Profile | str | FilePath | None = None,
        count: Callable[[str], int] | None = None,
        clock: Clock = _now,
        embeddings: Embedder | None = None,
        summarizer: Any = None,
        lock_timeout: float = 30.0,
        read_only: bool = False,
        **settings: Any,
    ) -> None:
        given, told = (profile, {}) if isinstance(profile, Profile) else (None, {"profile": profile})
        self.config = _configured(config, told | settings)
        self._given_profile, self._count, self._clock = given, count or count_o200k, clock
        self.store = Store(str(url), lock_timeout=lock_timeout, read_only=read_only)
        self._meaning = Meaning(embeddings, self._clock)
        self._summarizer = summarise.summarizer(summarizer)
        self._show = Shown(self._meaning.search)
        self._contexts = Contexts()
        self._seen: Seen = Kept(32)  # plans in force, with their pages
        self._called: dict[str, datetime] = {}  # when a context of this process was last sent
        self._books = books.Books()
        named(self.config.schedule)  # what cannot be used is told of now
        _ = self.profile if self.config.tiers else None
        calibrated = self.config.profile is not None and bool(self.profile)  # a file that cannot be used is told of now
        told_of = calibrated or given is not None or bool(self.config.model and known_model(self.config.model))
        if self.config.strict and not told_of:
            raise ConfigError(
                f"model {self.config.model!r} is not known: pass a known model, register it with "
                "optical_memory.cost.register_model(), or pass profile="
            )

    def __repr__(self) -> str:
        return f"OpticalMemory({self.store.url!r}, model={self.config.model!r}, budget={self.budget:,})"

    def _repr_html_(self) -> str:
        from optical_memory.inspection.reprs import memory_html

        return memory_html(self)

    def __rich__(self) -> Any:
        from optical_memory.inspection.reprs import memory_rich

        return memory_rich(self)

    def __enter__(self) -> OpticalMemory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Store what was noted, and close the connections to the database; the memory can be used again afterwards."""
        try:
            self._write_books()
        finally:
            self.store.close()

    def _write_books(self) -> None:
        """Store the calls that no later write has taken along; one that cannot be stored is logged, never raised."""
        for thread in self._books.threads():
            calls = self._books.take(thread)
            try:
                with self.store.write() as writer:
                    row = writer.thread(thread)
                    if row is not None:
                        writer.put_usage(row.id, calls)
            except StoreError as error:
                log.warning("%d calls of thread %r are missing in the ledger: %s", len(calls), thread, error)

    # ----------------------------------------------------------------------------------------- settings

    @cached_property
    def profile(self) -> Profile:
        """What the memory's own model reads and costs, with the tiers of the memory's own where it was given some."""
        return restyled(self._told_profile(), self.config.tiers)

    def _told_profile(self) -> Profile:
        if self._given_profile is not None or self.config.profile is None:
            return self._given_profile or profile(self.config.model or "unknown")
        from optical_memory.readers import load_profile

        return load_profile(self.config.profile, profile(self.config.model) if self.config.model else None)

    def adopt(self, model: str) -> None:
        """Plan for this model from now on, if none was given; the middleware does so with the first one it sees."""
        if self.config.model is None and self._given_profile is None:
            self.config = self.config.model_copy(update={"model": model})
            self.__dict__.pop("profile", None)
            self._contexts.drop()

    @property
    def budget(self) -> int:
        """Tokens of a whole model call."""
        return self.config.budget or DEFAULT_BUDGET

    def settings(self, model: str | None = None, budget: int | None = None, vision: bool | None = None) -> Settings:
        """What a plan for this model and budget depends on; `vision=False` is a model that cannot see.

        Raises ConfigError for a budget below 1.
        """
        if budget is not None and budget < 1:
            raise ConfigError(f"budget={budget!r}: give the tokens of a whole model call, 1 or more")
        chosen = self.profile if model in (None, self.config.model) else profile(str(model))
        if vision is False and chosen.vision:
            chosen = replace(chosen, vision=False, name=f"{chosen.name} (text only)")
        c = self.config
        return Settings(
            chosen, budget or self.budget, self._count, named(c.schedule), c.keep, c.low_mark, c.facts, c.horizon
        )

    def _own(self, settings: Settings) -> bool:
        """Does this plan belong to the memory's own model and budget, so that its steps are kept?"""
        return settings.profile is self.profile and settings.budget == self.budget

    # ----------------------------------------------------------------------------------------- remember

    def remember(self, thread: str, messages: Iterable[object]) -> Remembered:
        """Store what is new among these messages (LangChain messages, OpenAI-style dicts, or (role, text) tuples).

        Hand over the whole history or only the news; doing it twice changes nothing. Raises TranscriptError for
        messages that cannot be read and for a tool result without its call; nothing is stored then.
        """
        given = list(messages)
        kept = [(i, read(m)) for i, m in enumerate(given) if not injected(m)]
        parsed = [m for _, m in kept]
        row, found, written = self._ingest(thread, parsed)
        numbers: list[int | None] = [None] * len(given)
        for (index, _), number in zip(kept, found, strict=True):
            numbers[index] = number
        length = row.length if row else 0
        if written is None:
            return Remembered(thread, 0, 0, length, tuple(numbers))
        return Remembered(thread, written.turns, written.messages, length, tuple(numbers), written.forked_after)

    def _ingest(
        self, thread: str, parsed: Sequence[Any]
    ) -> tuple[ThreadRow | None, list[int | None], ingest.Written | None]:
        news = 0
        with self.store.read() as reader:
            row = reader.thread(thread)
            if row is not None:
                found = ingest.align(reader, row, parsed)
                news = found.fresh
                if found.nothing_new:
                    return row, [p.turn_number if p else None for p in found.places], None
        if not parsed:
            return row, [], None
        counted = cache(self._counted)
        for message in parsed[news:]:  # counting long texts takes its time: it is done before the lock
            counted(message.text)
        calls = self._books.take(thread)
        try:
            return self._written(thread, parsed, counted, calls)
        except BaseException:
            self._books.back(thread, calls)
            raise

    def _written(
        self, thread: str, parsed: Sequence[Any], counted: Callable[[str], int], calls: Sequence[NewUsage]
    ) -> tuple[ThreadRow, list[int | None], ingest.Written | None]:
        """What is new among the messages, and the calls that were noted, in one transaction."""
        at = self._clock()
        with self.store.write() as writer:
            row = writer.thread(thread) or writer.new_thread(thread, at)
            writer.put_usage(row.id, calls)
            found = ingest.align(writer, row, parsed)
            if found.nothing_new:
                return row, [p.turn_number if p else None for p in found.places], None
            written = ingest.write(writer, row, parsed, found, counted, at)
            if written.thread.config is None:
                writer.set_config(written.thread.id, self.config.public())
            again = ingest.align(writer, written.thread, parsed)
        return written.thread, [p.turn_number if p else None for p in again.places], written

    def _counted(self, text: str) -> int:
        return self._count(text) if text else 0

    # ----------------------------------------------------------------------------------------- context

    def context(
        self, thread: str, *, query: str | None = None, budget: int | None = None, model: str | None = None,
        reserved: int = 0, dry_run: bool = False,
    ) -> Context:  # fmt: skip
        """The messages for the next model call, at most `budget` tokens together with what is `reserved` beside them.

        `query` lets relevant old turns come back as text before the newest user message (see `MemoryConfig.recall`). With
        another model or budget, or with `dry_run`, it is a preview: nothing is written. Raises ThreadNotFoundError, and
        BudgetError where the newest message and tool round alone do not fit.
        """
        return self._context(thread, self.settings(model, budget), query, reserved, dry_run, None, {})

    def project(
        self, messages: Sequence[object], *, thread: str, query: str | None = None, model: str | None = None,
        budget: int | None = None, reserved: int = 0, vision: bool | None = None,
    ) -> Context:  # fmt: skip
        """`context` for a list that the caller holds: it is remembered first, and its own message objects are used.

        With another model or budget the plan is kept too, beside the memory's own, so that the prefix of a run stays;
        no page is sealed and no step taken for it. `vision=False` is for a model that cannot see: text only. The call is
        noted for the `ledger`. With `mode="observe"` the context is the caller's own list, and its `would` what would
        have been sent; steps are taken as if it were.
        """
        remembered = self.remember(thread, messages)
        mine: dict[int, list[Any]] = {}
        for number, message in zip(remembered.turns, messages, strict=True):
            if number is not None and hasattr(message, "type"):
                mine.setdefault(number, []).append(message)
        upto = max((n for n in remembered.turns if n is not None), default=None)
        settings = self.settings(model, budget, vision)
        if self.config.mode == "observe":
            made = self._unchanged(thread, messages, remembered, settings, query, reserved, upto)
        else:
            made = self._context(thread, settings, query, reserved, False, upto, mine)
        if self.store.read_only:
            return made
        if self._books.due(thread):
            self._write_books()
        return self._books.note(made, self._clock())

    def _unchanged(
        self, thread: str, messages: Sequence[object], remembered: Remembered, settings: Settings, query: str | None,
        reserved: int, upto: int | None,
    ) -> Context:  # fmt: skip
        """The caller's own list as a context, with the one that would have been sent."""
        would, first = None, min((n for n in remembered.turns if n is not None), default=1)
        with suppress(BudgetError):
            would = self._context(thread, settings, query, reserved, False, upto, {})
        with self.store.read() as reader:
            row, path = self._path(reader, thread, upto)
            tokens = _as_text(reader.turn_stats(path, first), settings)
        end = upto or row.length
        shown = (Segment("text", (first, end), tokens),) if end else ()
        return Context(
            thread, cast(Any, list(messages)), tokens, shown, tuple(ranges(range(1, first))), settings.budget, reserved,
            settings.profile.name, None, "observe", end, None, would,
        )  # fmt: skip

    def _context(
        self, thread: str, settings: Settings, query: str | None, reserved: int, dry_run: bool, upto: int | None,
        mine: Mapping[int, Sequence[Any]],
    ) -> Context:  # fmt: skip
        dry_run = dry_run or self.store.read_only
        if self.config.recall_tokens(settings.budget) > 0:
            self._meaning.prepare(self.store, thread, query)
        again = self._again(thread, settings, query, reserved, dry_run, upto)
        if again is not None:
            return again
        for attempt in range(RETRIES):
            made = self._made(thread, settings, query, reserved, dry_run, upto, mine)
            if made is not None:
                return made
            if attempt == RETRIES - 2:
                dry_run = True  # the thread grows faster than we plan: show a plan without keeping it
        raise StoreError(f"thread {thread!r} changed while its context was made; call context() again")

    def _again(
        self, thread: str, settings: Settings, query: str | None, reserved: int, dry_run: bool, upto: int | None
    ) -> Context | None:
        """The context made last, if nothing has been written since and the provider's cache is still warm."""
        now, last = self._clock(), self._called.get(thread)
        warm = (
            settings.profile.price.ttl <= 0
            or last is None
            or (now - last).total_seconds() <= settings.profile.price.ttl
        )
        if not warm:
            return None
        with self.store.read() as reader:
            row = reader.thread(thread)
        if row is None:
            return None
        key = (thread, plan_key(settings), settings.profile.vision, query, reserved, dry_run, upto or row.length)
        found = self._contexts.get(key, row.version)
        if found is not None and found.tokens + reserved + self._margin(settings) > settings.budget:
            return None  # it was made before bills came in that are higher than predicted
        if found is not None and last is not None:
            self._called[thread] = now
        return found

    def _made(
        self, thread: str, settings: Settings, query: str | None, reserved: int, dry: bool, upto: int | None,
        mine: Mapping[int, Sequence[Any]],
    ) -> Context | None:  # fmt: skip
        """One attempt; None if the thread changed between planning and storing."""
        now, mine_to_keep = self._clock(), self._own(settings)
        with self.store.read() as reader:
            row, path = self._path(reader, thread, upto)
            kept_here = not dry and (upto == row.length or (mine_to_keep and upto is None))
            spoken_for = reserved + self._margin(settings)
            state, standing = load(reader, path, settings, spoken_for, now, mine_to_keep, seen=self._seen)
            if kept_here and not mine_to_keep and current_tokens(state, settings) + spoken_for > settings.budget:
                state, standing = load(reader, path, settings, spoken_for, now, False, blank=True)
        still = standing is not None and not mine_to_keep  # another model's plan stands until it no longer fits
        decided = None if still else decide(state, settings, standing is not None, self._idle(row, now))
        proposal, why = decided[:2] if decided else (None, "")
        settled: tuple[Plan, PlanRow | None] | None = (state.plan, standing)
        if proposal is not None:
            settled = (proposal.plan, None)
        if proposal is not None and kept_here:
            settled = self._settled(row, path, state, settings, proposal, why, now)
        if settled is None:
            return None
        if proposal is not None and kept_here and mine_to_keep and self._faded(row, path, settings, spoken_for, now):
            with self.store.read() as reader:
                row, path = self._path(reader, thread, upto)
                state, standing = load(reader, path, settings, spoken_for, now, True, seen=self._seen)
            settled, proposal = (state.plan, standing), None
        view = View(thread, row, path, state, settings, settled[0], proposal, settled[1], why, reserved)
        if kept_here and mine_to_keep:
            self._called[thread] = now
        made, written = self._shown(view, query, mine, not kept_here)
        if proposal is None and not written:
            key = (thread, plan_key(settings), settings.profile.vision, query, reserved, dry, upto or row.length)
            self._contexts.put(key, row.version, made)
        return made

    def _settled(
        self, row: ThreadRow, path: Path, state: State, settings: Settings, proposal: Proposal, why: str, now: datetime
    ) -> tuple[Plan, PlanRow] | None:
        """Put a proposal in force: with its pages and steps, or as a plan beside, for another model or budget."""
        if not self._own(settings):
            return keep.store_beside(self.store, row, path, state, settings, proposal, why, now)
        images = keep.render(self.store, path, state, proposal)
        proposal = summarise.with_cards(proposal, state.fresh, self._summarizer)
        return keep.store_proposal(
            self.store, row, path, state, settings, proposal, images, why, now, config=self.config.public()
        )

    def _faded(self, row: ThreadRow, path: Path, settings: Settings, reserved: int, now: datetime) -> int:
        """Take the text of what has fallen to the tier `retain` away; of how many turns. What fails is tried at the next step."""
        if self.config.retain == "forever" or self.config.mode == "observe":
            return 0
        try:
            gone = retain.sweep(self.store, row, path, settings, self.config.retain, reserved, now)
            if gone:
                self._erased()
        except StoreError as error:
            log.warning("thread %r keeps the text of faded pages for now: %s", row.key, error)
            return 0
        return gone

    def _erased(self) -> bool:
        """Let go of what this process keeps, and overwrite in the file what was deleted."""
        self._show.drop()
        self._contexts.drop()
        self._seen.drop()
        self._meaning.drop()
        return self.store.erase()

    def _margin(self, settings: Settings) -> int:
        """Tokens of the budget to leave free because this model's bills are higher than predicted; below 0: lower.

        A prediction times its factor fits into the budget just if the prediction and this margin do.
        """
        factor = books.factor(self._books.correction(settings.profile.name, self._pairs))
        return settings.budget - int(settings.budget / factor)

    def _pairs(self, model: str) -> Sequence[tuple[int, int]]:
        with self.store.read() as reader:
            return reader.learned(model, LEARNED)

    def _idle(self, row: ThreadRow, now: datetime) -> float | None:
        """Seconds since the last call whose bytes the provider may still have; None if there was none."""
        last = self._called.get(row.key) or row.touched_at
        return max(0.0, (now - last).total_seconds()) if last else None

    def _shown(
        self, view: View, query: str | None, mine: Mapping[int, Sequence[Any]], dry: bool
    ) -> tuple[Context, bool]:
        """The context of a view, and whether something was written for it."""
        with self.store.read() as reader:
            made, found = self._show.context(reader, view, query, self.config.recall_tokens(view.settings.budget), mine)
        if found is not None and not dry:
            self._keep_recollection(view, found)
        return made, found is not None

    def _keep_recollection(self, view: View, found: recollect.Recollection) -> None:
        """Store what came back by itself, so that it stands there in every later call of the run."""
        with self.store.write() as writer:
            writer.put_recalled(
                view.row, view.path, anchor=found.anchor, key=plan_key(view.settings), turns=found.to_json(),
                tokens=found.segment.tokens, at=self._clock(),
            )  # fmt: skip

    def _path(self, reader: Reader, thread: str, upto: int | None = None) -> tuple[ThreadRow, Path]:
        row = reader.thread(thread)
        if row is None:
            raise ThreadNotFoundError(thread, tuple(t.key for t in reader.threads(limit=3, match=thread[:3])))
        return row, reader.path(row, upto=upto) if upto else reader.path(row)

    # ----------------------------------------------------------------------------------------- recall

    def recall(self, thread: str, query: str, *, limit: int = 5) -> list[Hit]:
        """The turns that match a query best, word for word; they grow stronger and are shown sharper from the next step on.

        Words are OR-ed; "a phrase" and a prefix* are understood; a range such as "12-15" returns these turns. Raises
        ThreadNotFoundError and ConfigError (limit below 1).
        """
        if limit < 1:
            raise ConfigError(f"limit={limit!r}: give 1 or more")
        self._prepared(thread, query)
        with self.store.read() as reader:
            row, path = self._path(reader, thread)
            hits = self._hits(reader, path, query, limit)
        if hits and not self.store.read_only:
            with self.store.write() as writer:
                turns = [t for n in sorted(h.turn for h in hits) for t in writer.turns(path, n, n)]
                writer.strengthen([t.id for t in turns], row.length)
        return hits

    def search(self, thread: str, query: str, *, limit: int = 10) -> list[Hit]:
        """As `recall`, for people who look: nothing grows stronger, nothing is written but vectors, if there are embeddings."""
        self._prepared(thread, query)
        with self.store.read() as reader:
            _, path = self._path(reader, thread)
            return self._hits(reader, path, query, limit)

    def _hits(self, reader: Reader, path: Path, query: str, limit: int) -> list[Hit]:
        wanted = turn_range(query)
        if wanted:
            rows = reader.turns(path, *wanted, limit=limit)
            told = self._told(reader, path, rows)
            return [Hit(t.number, told[t.number], 1.0, t.role, t.created_at, purged=t.purged) for t in rows]
        found = self._meaning.search(reader, path, query, limit)
        turns = {f.number: reader.turns(path, f.number, f.number)[0] for f in found}
        return [
            Hit(f.number, turns[f.number].text, f.score, turns[f.number].role, turns[f.number].created_at)
            for f in found
        ]

    def _prepared(self, thread: str, query: str) -> None:
        if turn_range(query) is None:
            self._meaning.prepare(self.store, thread, query)

    def embed(self, thread: str) -> int:
        """Embed all turns of a thread that are not yet, and return how many were; a search does so for a few hundred itself.

        Nothing happens without `embeddings`. Raises ThreadNotFoundError.
        """
        with self.store.read() as reader:
            self._path(reader, thread)
        return self._meaning.catch_up(self.store, thread) if self._meaning.given else 0

    def _told(self, reader: Reader, path: Path, rows: Sequence[TurnRow]) -> dict[int, str]:
        """The text of each turn, and where only a picture is left, where that is."""
        bare = [t for t in rows if t.purged]
        shown = self._shown_at(reader, path) if bare else None
        pages = {t.number: reader.page_at(path, t.number) for t in bare}
        said = {t.number: retain.told(t, pages[t.number], shown(t.number)) for t in bare if shown}
        return {t.number: t.text for t in rows} | said

    # ----------------------------------------------------------------------------------------- looking

    def threads(self, *, match: str | None = None, limit: int | None = None) -> list[ThreadInfo]:
        """The stored threads, the one used last first; only those whose name contains `match`."""
        with self.store.read() as reader:
            return [self._info(reader, row) for row in reader.threads(limit=limit, match=match)]

    def _info(self, reader: Reader, row: ThreadRow) -> ThreadInfo:
        sums = reader.turn_stats(reader.path(row))
        return ThreadInfo(
            row.key, row.length, sums.tokens, row.created_at, row.touched_at, len(reader.branches(row.id))
        )

    def turns(self, thread: str, *, first: int = 1, last: int | None = None) -> list[Turn]:
        """The turns of a thread as they were given, and how each is shown now."""
        with self.store.read() as reader:
            _, path = self._path(reader, thread)
            rows = reader.turns(path, first, last)
            messages = reader.messages([t.id for t in rows])
            shown = self._shown_at(reader, path)
            told = self._told(reader, path, rows)
        settings = self.settings()
        return [
            Turn(
                t.number, t.role, tuple(as_given(from_stored(m.form, m.data)) for m in messages[t.id]), told[t.number],
                shown(t.number), settings.turn(t), t.created_at, t.pinned, t.name, t.purged,
            )
            for t in rows
        ]  # fmt: skip

    def _shown_at(self, reader: Reader, path: Path) -> Callable[[int], str]:
        """From a turn's number to the tier at which the plan in force shows it."""
        row = reader.plan(path, plan_key(self.settings()))
        plan = Plan.from_json(row.body) if row else Plan()
        spans = sorted((turns, s.kind) for s in plan.segments for turns in s.shown)
        starts = [first for (first, _), _ in spans]

        def tier(number: int) -> str:
            at = bisect_right(starts, number) - 1
            if number > plan.through:
                return "text"
            return spans[at][1] if at >= 0 and spans[at][0][1] >= number else "handle"

        return tier

    def pages(self, thread: str, *, tier: Tier | None = None) -> list[Page]:
        """The sealed pages as images: at the tier at which they are shown now, or as they would look at `tier`.

        Spans that are shown as text, card or handle are left out unless `tier` is given.
        """
        settings = self.settings()
        with self.store.read() as reader:
            _, path = self._path(reader, thread)
            found = []
            for page, span in sealed(reader, path, settings):
                look = span.looks.get(tier or span.tier)
                if look is None:
                    continue
                images = pictures.of_page(reader, path, page.id, span, look)
                found += _as_pages(page, tier or span.tier, look.sizes, images, settings)
        return found

    def stats(self, thread: str | None = None) -> Stats:
        """What is stored, of one thread or of all, and how turns are shown now (turns per tier; one thread only)."""
        with self.store.read() as reader:
            row = self._path(reader, thread)[0] if thread else None
            counts = reader.counts(row.id if row else None)
            rows = [row] if row else reader.threads()
            tokens = sum(reader.turn_stats(reader.path(r)).tokens for r in rows)
            tiers: dict[str, int] = {}
            if row:
                shown = self._shown_at(reader, reader.path(row))
                for number in range(1, row.length + 1):
                    tiers[shown(number)] = tiers.get(shown(number), 0) + 1
            used: list[NewUsage | UsageRow] = [u for r in rows for u in reader.usage(r.id)]
            used += [*self._books.waiting(thread)]
        return Stats(
            counts.threads, counts.turns, counts.pages, counts.images, counts.bytes, self.store.size(), tokens,
            counter_name() if self._count is count_o200k else "given", tiers,
            self._calls(used), counts.purged,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------- steps

    def step(self, thread: str, *, dry_run: bool = False) -> Step:
        """Apply the changes of tier that are due now, whatever the provider's cache holds; `dry_run` only says which."""
        settings, now = self.settings(), self._clock()
        for _ in range(RETRIES):
            with self.store.read() as reader:
                row, path = self._path(reader, thread)
                state, _standing = load(reader, path, settings, self._margin(settings), now, True)
            proposal = propose(state, settings)
            done = _step(state, settings, proposal, "asked", "a step was asked for")
            if dry_run:
                return done
            if not done.changes:
                return replace(done, purged=self._faded(row, path, settings, self._margin(settings), now))
            images = keep.render(self.store, path, state, proposal)
            proposal = summarise.with_cards(proposal, state.fresh, self._summarizer)
            if keep.store_proposal(self.store, row, path, state, settings, proposal, images, "asked", now):
                return replace(done, purged=self._faded(row, path, settings, self._margin(settings), now))
        raise StoreError(f"thread {thread!r} kept changing while a step was made; call step() again")

    def explain(self, thread: str, *, reserved: int = 0) -> str:
        """Why tiers change with the next user message, or why not yet, in words."""
        settings, now = self.settings(), self._clock()
        with self.store.read() as reader:
            row, path = self._path(reader, thread)
            state, standing = load(reader, path, settings, reserved + self._margin(settings), now, True)
            kept = retain.summary(reader.pages(path), state.plan, settings.profile, self.config)
            bare = [s for s in state.spans if not (s.looks or s.guard or s.purged) and settings.profile.vision]
            kept += undrawn(row for s in bare for row in reader.turns(path, s.first, s.last))
        _, reason, words = decide(state, settings, standing is not None, self._idle(row, now), asked=True)
        used = current_tokens(state, settings) + reserved
        return (
            f"{used:,} of {settings.budget:,} tokens are in use. "
            + (f"A step is due ({reason}): {words}." if reason else f"No step: {words}.")
            + kept
        )

    def steps(self, thread: str) -> list[Step]:
        """The log of steps, oldest first."""
        with self.store.read() as reader:
            _, path = self._path(reader, thread)
            return [_logged_step(row) for row in reader.steps(path)]

    def undo(self, thread: str) -> Step:
        """Take the newest step back: the plan before it is in force again.

        Raises StoreError if there is none, or if the text of turns went with it.
        """
        with self.store.write() as writer:
            row, path = self._path(writer, thread)
            done = next((s for s in reversed(writer.steps(path)) if not s.undone), None)
            if done is None:
                raise StoreError(f"thread {thread!r} has no step that could be undone")
            if done.purged:
                raise StoreError(
                    f"the newest step of thread {thread!r} cannot be undone: with it the text of {done.purged} turns went "
                    f"for good, as retain={self.config.retain!r} asks"
                )
            key = plan_key(self.settings())
            before, standing = writer.plan_before(path, key, done.plan_id or 0), writer.plan(path, key)
            body, tokens = (before.body, before.tokens) if before else (Plan().to_json(), 0)
            writer.put_plan(
                row,
                path,
                anchor=standing.anchor if standing else path[-1].last,  # a later step must be able to follow it
                key=key,
                body=body,
                reason="undo",
                tokens=tokens,
                at=self._clock(),
            )
            writer.set_tiers({c.page_id: c.before for c in done.changes if c.page_id is not None})
            writer.mark_undone(done.id)
        return _logged_step(done)

    # ----------------------------------------------------------------------------------------- pins, forgetting

    def pin(self, thread: str, turns: int | Iterable[int]) -> int:
        """Keep these turns as text from the next step on, however old they grow. Returns how many there are."""
        return self._pin(thread, turns, True)

    def unpin(self, thread: str, turns: int | Iterable[int]) -> int:
        """Let these turns fade again. Returns how many there are."""
        return self._pin(thread, turns, False)

    def _pin(self, thread: str, turns: int | Iterable[int], pinned: bool) -> int:
        numbers = sorted({turns} if isinstance(turns, int) else set(turns))
        with self.store.write() as writer:
            _, path = self._path(writer, thread)
            rows = [t for first, last in ranges(numbers) for t in writer.turns(path, first, last)]
            missing = set(numbers) - {t.number for t in rows}
            if missing:
                raise StoreError(
                    f"thread {thread!r} has no turn {min(missing)}: it ends at turn {path[-1].last if path else 0}"
                )
            bare = [t.number for t in rows if t.purged]
            if bare and pinned:
                raise StoreError(
                    f"turn {bare[0]} of thread {thread!r} cannot be kept as text: only its picture is left"
                )
            writer.pin([t.id for t in rows], pinned)
        return len(rows)

    def forget(
        self, thread: str, *, turns: Iterable[int] | None = None, before: datetime | None = None, dry_run: bool = False
    ) -> Forgotten:
        """Remove a thread, some of its turns, or the turns from before a time: text, images, index, and the file's free pages.

        With `dry_run` it is only counted what would go. What backups, LangGraph's checkpointer or traces hold is out of
        reach. Raises ThreadNotFoundError.
        """
        if dry_run:
            with self.store.read() as reader:
                row, path = self._path(reader, thread)
                gone = reader.forgettable(row, path, self._chosen(reader, path, turns, before))
            return Forgotten(gone.turns, gone.messages, gone.pages, gone.images, lost=gone.lost)
        with self.store.write() as writer:
            row, path = self._path(writer, thread)
            numbers = self._chosen(writer, path, turns, before)
            gone = writer.forget_thread(row.id) if numbers is None else writer.forget_turns(row, path, numbers)
        if numbers is None:
            self._books.drop(thread)
        held = not self._erased()
        return Forgotten(gone.turns, gone.messages, gone.pages, gone.images, held, gone.lost)

    def _chosen(
        self, reader: Reader, path: Path, turns: Iterable[int] | None, before: datetime | None
    ) -> set[int] | None:
        """The numbers of the turns that are to be forgotten; None for the whole thread."""
        if turns is None and before is None:
            return None
        return set(turns or ()) | set(reader.before(path, before) if before is not None else ())

    def copy(self, thread: str, to: str) -> ThreadInfo:
        """The same turns and pages under another name, to go with LangGraph's `copy_thread`."""
        with self.store.write() as writer:
            row, _ = self._path(writer, thread)
            made = writer.copy_thread(row, to, self._clock())
            return self._info(writer, made)

    # ----------------------------------------------------------------------------------------- what was paid

    def observe(self, usage: Mapping[str, Any], context: Context) -> None:
        """Note what the provider billed for a context (`usage_metadata` of the answer), beside what was predicted.

        Bills that are higher than predicted leave that much of the budget free from then on (`stats` shows the factor);
        more than 2 % of drift is logged once. Raises ConfigError for a usage that contradicts itself or the request (the
        call then counts as predicted), and ThreadNotFoundError.
        """
        told = books.billed(usage, context.tokens + context.reserved)
        self._books.learn(context.model, context.tokens + context.reserved, told.tokens, self._pairs)
        noted, calls = self._books.observed(context, told, self._clock()), self._books.take(context.thread)
        try:
            with self.store.write() as writer:
                row = writer.thread(context.thread)
                if row is None:
                    raise ThreadNotFoundError(context.thread)
                writer.put_usage(row.id, calls)
                writer.bill_usage(row.id, noted)
        except ThreadNotFoundError:  # it was forgotten meanwhile
            raise
        except StoreError:
            self._books.back(context.thread, [*calls, noted])
            raise

    def ledger(self, thread: str) -> ThreadLedger:
        """What the thread's calls cost, and what plain text, trimming, clearing or a summary would have cost instead.

        The calls are those of `project` (so the middleware's) and those told to `observe`; calls without a bill count as
        predicted. Raises ThreadNotFoundError.
        """
        settings = self.settings()
        with self.store.read() as reader:
            row, path = self._path(reader, thread)
            noted: list[NewUsage | UsageRow] = [*reader.usage(row.id), *self._books.waiting(thread)]
            turns = reader.turns(path)
            messages = reader.messages([t.id for t in turns if t.calls])
            shown = self._shown_at(reader, path)
        noted.sort(key=lambda call: call.created_at)
        return account(
            noted, sizes(turns, messages, settings), settings.profile.price, settings, [shown(t.number) for t in turns]
        )

    def _calls(self, used: Sequence[NewUsage | UsageRow]) -> dict[str, Any]:
        """Predicted and billed tokens of the calls that were observed, and the factors learned; empty if there are none."""
        seen = [u for u in used if u.billed is not None]
        if not seen:
            return {}
        found = {m: books.factor(self._books.correction(m, self._pairs)) for m in dict.fromkeys(u.model for u in seen)}
        factors = {model: round(factor, 4) for model, factor in found.items() if factor != 1}
        sums = {"predicted": sum(u.predicted for u in seen), "billed": sum(u.billed or 0 for u in seen)}
        return {"calls": len(seen)} | sums | ({"correction": factors} if factors else {})

    # ----------------------------------------------------------------------------------------- asyncio

    async def aledger(self, thread: str) -> ThreadLedger:
        """`ledger` in a worker thread."""
        return await asyncio.to_thread(self.ledger, thread)

    async def aremember(self, thread: str, messages: Iterable[object]) -> Remembered:
        """`remember` in a worker thread."""
        return await asyncio.to_thread(self.remember, thread, messages)

    async def acontext(self, thread: str, **options: Any) -> Context:
        """`context` in a worker thread."""
        return await asyncio.to_thread(partial(self.context, thread, **options))

    async def aproject(self, messages: Sequence[object], *, thread: str, **options: Any) -> Context:
        """`project` in a worker thread."""
        return await asyncio.to_thread(partial(self.project, messages, thread=thread, **options))

    async def aembed(self, thread: str) -> int:
        """`embed` in a worker thread."""
        return await asyncio.to_thread(self.embed, thread)

    async def arecall(self, thread: str, query: str, *, limit: int = 5) -> list[Hit]:
        """`recall` in a worker thread."""
        return await asyncio.to_thread(partial(self.recall, thread, query, limit=limit))

    async def aturns(self, thread: str, **options: Any) -> list[Turn]:
        """`turns` in a worker thread."""
        return await asyncio.to_thread(partial(self.turns, thread, **options))

    async def apages(self, thread: str, **options: Any) -> list[Page]:
        """`pages` in a worker thread."""
        return await asyncio.to_thread(partial(self.pages, thread, **options))

    async def athreads(self, **options: Any) -> list[ThreadInfo]:
        """`threads` in a worker thread."""
        return await asyncio.to_thread(partial(self.threads, **options))

    async def astep(self, thread: str, *, dry_run: bool = False) -> Step:
        """`step` in a worker thread."""
        return await asyncio.to_thread(partial(self.step, thread, dry_run=dry_run))

    async def aexplain(self, thread: str, *, reserved: int = 0) -> str:
        """`explain` in a worker thread."""
        return await asyncio.to_thread(partial(self.explain, thread, reserved=reserved))

    async def aundo(self, thread: str) -> Step:
        """`undo` in a worker thread."""
        return await asyncio.to_thread(self.undo, thread)

    async def apin(self, thread: str, turns: int | Iterable[int]) -> int:
        """`pin` in a worker thread."""
        return await asyncio.to_thread(self.pin, thread, turns)

    async def aunpin(self, thread: str, turns: int | Iterable[int]) -> int:
        """`unpin` in a worker thread."""
        return await asyncio.to_thread(self.unpin, thread, turns)

    async def aforget(self, thread: str, **options: Any) -> Forgotten:
        """`forget` in a worker thread."""
        return await asyncio.to_thread(partial(self.forget, thread, **options))

    async def acopy(self, thread: str, to: str) -> ThreadInfo:
        """`copy` in a worker thread."""
        return await asyncio.to_thread(self.copy, thread, to)

    async def aobserve(self, usage: Mapping[str, Any], context: Context) -> None:
        """`observe` in a worker thread."""
        await asyncio.to_thread(self.observe, usage, context)

    async def astats(self, thread: str | None = None) -> Stats:
        """`stats` in a worker thread."""
        return await asyncio.to_thread(self.stats, thread)


def _configured(config: MemoryConfig | str | FilePath | None, settings: Mapping[str, Any]) -> MemoryConfig:
    base = (
        config if isinstance(config, MemoryConfig) else configuration.from_toml(config) if config is not None else None
    )
    told = {k: v for k, v in settings.items() if v is not None}
    return configuration.make(**({} if base is None else dict(base)) | told)


def _as_text(sums: TurnSums, settings: Settings) -> int:
    """Tokens of turns sent as text, by their sums; attached files, which are sent as they are, are not in it."""
    of = settings.profile
    words = ceil(sums.tokens * of.text_factor) + sums.messages + sums.calls
    return words + sums.messages * of.message_overhead + sums.calls * of.call_overhead


def turn_range(query: str) -> tuple[int, int] | None:
    """A turn number or range, such as "12" or "12-15" or "turns 12 to 15"."""
    found = re.fullmatch(r"\s*(?:turns?\s*)?#?(\d{1,9})(?:\s*(?:-|\u2013|to|:)\s*(\d{1,9}))?\s*", query)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def _as_pages(
    page: PageRow, tier: str, sizes: Sequence[tuple[int, int]], images: PNGs, settings: Settings
) -> list[Page]:  # fmt: skip
    turns = (page.first, page.last)
    return [
        Page(
            page.number, turns, tier, w, h, settings.profile.image(w, h), hashlib.sha256(png).hexdigest(), png, part,
            page.purged,
        )
        for part, ((w, h), png) in enumerate(zip(sizes, images, strict=True))
    ]  # fmt: skip


def _step(state: State, settings: Settings, proposal: Proposal, reason: str, words: str) -> Step:
    changed = []
    for span, before, after in changes(state.spans, proposal.placed):
        costs, readable = costs_of(span, settings), settings.readable(span)
        changed.append(
            Change(
                (span.first, span.last), before, after, costs.get(before, span.text), costs.get(after, 0),
                readable.get(before, 0.0), readable.get(after, 0.0),
            )
        )  # fmt: skip
    return Step(
        tuple(changed), reason if changed else None, words, current_tokens(state, settings), proposal.tokens, state.end
    )


def _logged_step(row: StepRow) -> Step:
    made = tuple(
        Change(
            (c.first, c.last), c.before, c.after, c.tokens_before, c.tokens_after, c.readable_before, c.readable_after
        )
        for c in row.changes
    )
    before, after = sum(c.tokens_before for c in made), sum(c.tokens_after for c in made)
    return Step(made, row.reason, row.reason, before, after, row.at, row.created_at, row.undone, row.purged)
