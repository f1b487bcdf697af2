"""`OpticalMemory`: the only place that reads, plans, renders and writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path as FilePath
from typing import Any, Concatenate, ParamSpec, TypeVar

import optical_memory.memory.accounts as accounts
import optical_memory.memory.arguments as arguments
import optical_memory.memory.finding as finding
import optical_memory.memory.ingest as ingest
import optical_memory.memory.marking as marking
import optical_memory.memory.reading as reading
import optical_memory.memory.stepping as stepping
from optical_memory import config as configuration
from optical_memory.config import DEFAULT_BUDGET, MemoryConfig
from optical_memory.cost import UNNAMED, Profile, count_o200k, counter_name, profile
from optical_memory.cost import known as known_model
from optical_memory.cost.ledger import LEARNED
from optical_memory.errors import ConfigError, StoreError, ThreadNotFoundError
from optical_memory.memory.accounts import ThreadLedger
from optical_memory.memory.assemble import Context
from optical_memory.memory.books import Books, billed
from optical_memory.memory.making import Asked, Maker, Mine
from optical_memory.memory.meaning import Embedder, Meaning
from optical_memory.memory.restyle import restyled
from optical_memory.memory.summarise import summarizer as as_summarizer
from optical_memory.memory.values import Forgotten, Hit, Page, Remembered, Stats, Step, ThreadInfo
from optical_memory.messages import Turn, injected, read
from optical_memory.planning.decay import named
from optical_memory.planning.spans import Settings
from optical_memory.planning.tiers import Tier
from optical_memory.shown import Shown
from optical_memory.storage import NewUsage, Store

log = logging.getLogger("optical_memory")

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def twin(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """The same method for asyncio, with the same arguments: it runs in a worker thread."""

    async def run(self: S, /, *args: P.args, **options: P.kwargs) -> R:
        found: Callable[P, R] = getattr(self, method.__name__)  # a subclass may have its own
        return await asyncio.to_thread(found, *args, **options)

    wraps(method)(run)
    run.__name__, run.__doc__ = f"a{method.__name__}", f"`{method.__name__}` in a worker thread."
    return run


class OpticalMemory(Shown):
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
        arguments.made_of(url, config, count, clock, embeddings, lock_timeout)
        given, told = (profile, {}) if isinstance(profile, Profile) else (None, {"profile": profile})
        self.config = _configured(config, told | settings)
        self._given_profile, self._count, self._clock = given, count or count_o200k, clock
        self.store = Store(str(url), lock_timeout=lock_timeout, read_only=read_only)
        self._meaning = Meaning(embeddings, self._clock)
        self._books = Books(self._pairs)
        self._maker = Maker(self.store, clock, self._books, self._meaning, as_summarizer(summarizer))
        self._check_settings()

    def _check_settings(self) -> None:
        """Raise ConfigError now for what could not be used later: a schedule, a profile's file, tiers, an unknown model."""
        named(self.config.schedule)
        if self.config.tiers or self.config.profile:
            _ = self.profile
        told = self._given_profile is not None or self.config.profile is not None
        if self.config.strict and not told and not (self.config.model and known_model(self.config.model)):
            raise ConfigError(
                f"model {self.config.model!r} is not known: pass a known model, register it with "
                "optical_memory.cost.register_model(), or pass profile="
            )

    def __repr__(self) -> str:
        return f"OpticalMemory({self.store.url!r}, model={self.config.model!r}, budget={self.budget:,})"

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
            return self._given_profile or self._listed(self.config.model or UNNAMED)
        from optical_memory.readers import load_profile

        return load_profile(self.config.profile, self._listed(self.config.model) if self.config.model else None)

    def _listed(self, model: str) -> Profile:
        """What the tables hold of a model, at the prices of today."""
        return profile(model, on=self._clock().date().isoformat())

    def adopt(self, model: str | None = None, window: int | None = None) -> None:
        """Plan for this model from now on, if none was given, and for at most `window` tokens, if no budget was given.

        The middleware does so with the first model it sees.
        """
        found: dict[str, Any] = {}
        if model is not None and self.config.model is None and self._given_profile is None:
            found["model"] = model
        if window is not None and self.config.budget is None and window < DEFAULT_BUDGET:
            found["budget"] = window
        if found:
            self.config = self.config.model_copy(update=found)
            self.__dict__.pop("profile", None)
            self._maker.drop()

    @property
    def budget(self) -> int:
        """Tokens of a whole model call."""
        return self.config.budget or DEFAULT_BUDGET

    def settings(self, model: str | None = None, budget: int | None = None, vision: bool | None = None) -> Settings:
        """What a plan for this model and budget depends on; `vision=False` is a model that cannot see.

        Raises ConfigError for a budget below 1.
        """
        if budget is not None:
            arguments.whole("budget", budget, 1, "the tokens of a whole model call")
        if model is not None:
            arguments.words("model", model, "claude-opus-5")
        chosen = self.profile if model in (None, self.config.model) else self._listed(str(model))
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
        arguments.several(messages)
        given = list(messages)
        kept = [(i, read(m)) for i, m in enumerate(given) if not injected(m)]
        parsed = [m for _, m in kept]
        public = self.config.public()
        found = ingest.remember(self.store, thread, parsed, self._counted, self._books, public, self._clock())
        numbers: list[int | None] = [None] * len(given)
        for (index, _), number in zip(kept, found.numbers, strict=True):
            numbers[index] = number
        length, news = found.thread.length if found.thread else 0, found.written
        if news is None:
            return Remembered(thread, 0, 0, length, tuple(numbers))
        return Remembered(thread, news.turns, news.messages, length, tuple(numbers), news.forked_after)

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
        return self._maker.context(self._asked(thread, self.settings(model, budget), query, reserved, dry_run))

    def project(
        self, messages: Sequence[object], *, thread: str, query: str | None = None, model: str | None = None,
        budget: int | None = None, reserved: int = 0, vision: bool | None = None, upto: int | None = None,
    ) -> Context:  # fmt: skip
        """`context` for a list that the caller holds: it is remembered first, and its own message objects are used.

        With another model or budget the plan is kept too, beside the memory's own, so that the prefix of a run stays;
        no page is sealed and no step taken for it. `vision=False` is for a model that cannot see: text only. The thread is
        shown up to the list's newest turn, or up to turn `upto`. The call is noted for the `ledger`. With `mode="observe"`
        the context is the caller's own list, and its `would` what would have been sent; steps are taken as if it were.
        """
        remembered = self.remember(thread, messages)
        mine: dict[int, list[Any]] = {}
        for number, message in zip(remembered.turns, messages, strict=True):
            if number is not None and hasattr(message, "type"):
                mine.setdefault(number, []).append(message)
        newest = max((n for n in remembered.turns if n is not None), default=None)
        settings = self.settings(model, budget, vision)
        asked = self._asked(thread, settings, query, reserved, upto=newest if upto is None else upto, mine=mine)
        if self.config.mode == "observe":
            made = self._maker.unchanged(replace(asked, mine={}), messages, remembered)
        else:
            made = self._maker.context(asked)
        if self.store.read_only:
            return made
        if self._books.due(thread):
            self._write_books()
        return self._books.note(made, self._clock())

    def _asked(
        self, thread: str, settings: Settings, query: str | None = None, reserved: int = 0, dry_run: bool = False,
        upto: int | None = None, mine: Mine | None = None,
    ) -> Asked:  # fmt: skip
        arguments.words("thread", thread, "trip")
        arguments.whole("reserved", reserved, 0, "the tokens that are spent beside the memory")
        if query is not None:
            arguments.words("query", query, "Which berth was it?")
        own = settings.profile is self.profile and settings.budget == self.budget
        dry = dry_run or self.store.read_only
        return Asked(thread, settings, self.config, own, query, reserved, dry, upto, mine or {})

    def _pairs(self, model: str) -> Sequence[tuple[int, int]]:
        with self.store.read() as reader:
            return reader.learned(model, LEARNED)

    # ----------------------------------------------------------------------------------------- recall

    def recall(self, thread: str, query: str, *, limit: int = 5) -> list[Hit]:
        """The turns that match a query best, word for word; they grow stronger and are shown sharper from the next step on.

        Words are OR-ed; "a phrase" and a prefix* are understood. A turn number or a range such as "12-15" returns these
        turns; a number that no turn has is looked for in the text. Raises ThreadNotFoundError and ConfigError (limit below 1).
        """
        arguments.whole("limit", limit, 1, "how many turns are wanted")
        self._prepare_search(thread, query)
        with self.store.read() as reader:
            row, path = reading.place(reader, thread)
            hits = finding.hits(reader, path, self.settings(), self._meaning, query, limit)
        if hits and not self.store.read_only:
            with self.store.write() as writer:
                turns = [t for n in sorted(h.turn for h in hits) for t in writer.turns(path, n, n)]
                writer.strengthen([t.id for t in turns], row.length)
        return hits

    def search(self, thread: str, query: str, *, limit: int = 10) -> list[Hit]:
        """As `recall`, for people who look: nothing grows stronger, nothing is written but vectors, if there are embeddings."""
        arguments.whole("limit", limit, 0, "how many turns are wanted")
        self._prepare_search(thread, query)
        with self.store.read() as reader:
            _, path = reading.place(reader, thread)
            return finding.hits(reader, path, self.settings(), self._meaning, query, limit)

    def _prepare_search(self, thread: str, query: str) -> None:
        arguments.words("query", query, "Which berth was it?")
        if finding.turn_range(query) is None:
            self._meaning.prepare(self.store, thread, query)

    def embed(self, thread: str) -> int:
        """Embed all turns of a thread that are not yet, and return how many were; a search does so for a few hundred itself.

        Nothing happens without `embeddings`. Raises ThreadNotFoundError.
        """
        with self.store.read() as reader:
            reading.place(reader, thread)
        return self._meaning.catch_up(self.store, thread) if self._meaning.given else 0

    # ----------------------------------------------------------------------------------------- looking

    def threads(self, *, match: str | None = None, limit: int | None = None) -> list[ThreadInfo]:
        """The stored threads, the one used last first; only those whose name contains `match`."""
        if limit is not None:
            arguments.whole("limit", limit, 0, "how many threads are wanted")
        if match is not None:
            arguments.words("match", match, "trip")
        with self.store.read() as reader:
            return [reading.info(reader, row) for row in reader.threads(limit=limit, match=match)]

    def turns(self, thread: str, *, first: int = 1, last: int | None = None) -> list[Turn]:
        """The turns of a thread as they were given, and how each is shown now."""
        for name, value in (("first", first), ("last", 0 if last is None else last)):
            arguments.whole(name, value, 0, "the number of a turn")
        with self.store.read() as reader:
            _, path = reading.place(reader, thread)
            return reading.turns(reader, path, self.settings(), first, last)

    def pages(self, thread: str, *, tier: Tier | None = None) -> list[Page]:
        """The sealed pages as images: at the tier at which they are shown now, or as they would look at `tier`.

        Spans that are shown as text, card or handle are left out unless `tier` is given.
        """
        arguments.tier(tier)
        with self.store.read() as reader:
            _, path = reading.place(reader, thread)
            return reading.pages(reader, path, self.settings(), tier)

    def stats(self, thread: str | None = None) -> Stats:
        """What is stored, of one thread or of all, and how turns are shown now (turns per tier; one thread only)."""
        with self.store.read() as reader:
            row = reading.place(reader, thread)[0] if thread is not None else None
            counts = reader.counts(row.id if row else None)
            rows = [row] if row else reader.threads()
            tokens = sum(reader.turn_stats(reader.path(r)).tokens for r in rows)
            tiers = reading.tiers(reader, reader.path(row), self.settings(), row.length) if row else {}
            calls: list[NewUsage] = [u for r in rows for u in reader.usage(r.id)]
        return Stats(
            counts.threads, counts.turns, counts.pages, counts.images, counts.bytes, self.store.size(), tokens,
            counter_name() if self._count is count_o200k else "given", tiers,
            self._books.told([*calls, *self._books.waiting(thread)]), counts.purged,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------- steps

    def step(self, thread: str, *, dry_run: bool = False) -> Step:
        """Apply the changes of tier that are due now, whatever the provider's cache holds; `dry_run` only says which."""
        return stepping.take(self._maker, self._asked(thread, self.settings()), dry_run)

    def explain(self, thread: str, *, reserved: int = 0) -> str:
        """Why tiers change with the next user message, or why not yet, in words."""
        return stepping.explained(self._maker, self._asked(thread, self.settings(), reserved=reserved))

    def steps(self, thread: str) -> list[Step]:
        """The log of steps, oldest first."""
        with self.store.read() as reader:
            _, path = reading.place(reader, thread)
            return [stepping.taken(row) for row in reader.steps(path)]

    def undo(self, thread: str) -> Step:
        """Take the newest step back: the plan before it is in force again.

        Raises StoreError if there is none, or if the text of turns went with it.
        """
        with self.store.write() as writer:
            row, path = reading.place(writer, thread)
            return stepping.undo(writer, row, path, self.settings(), self.config.retain, self._clock())

    # ----------------------------------------------------------------------------------------- pins, forgetting

    def pin(self, thread: str, turns: int | Iterable[int]) -> int:
        """Keep these turns as text from the next step on, however old they grow. Returns how many there are."""
        with self.store.write() as writer:
            row, path = reading.place(writer, thread)
            return marking.pin(writer, row, path, turns, True)

    def unpin(self, thread: str, turns: int | Iterable[int]) -> int:
        """Let these turns fade again. Returns how many there are."""
        with self.store.write() as writer:
            row, path = reading.place(writer, thread)
            return marking.pin(writer, row, path, turns, False)

    def weigh(self, thread: str, turns: int | Iterable[int], weight: float | None) -> int:
        """Say how much these turns matter: 0 for small talk, about 1 for what matters; None leaves it to the rule again.

        What weighs more stays on its page where there is no room for all, and fades later. It counts from the time when a
        turn becomes part of a page. Returns how many turns there are. Raises ConfigError for a weight below 0.
        """
        with self.store.write() as writer:
            row, path = reading.place(writer, thread)
            return marking.weigh(writer, row, path, turns, weight)

    def forget(
        self, thread: str, *, turns: int | Iterable[int] | None = None, before: datetime | None = None,
        dry_run: bool = False,
    ) -> Forgotten:  # fmt: skip
        """Remove a thread, some of its turns, or those from before a time: text, images, index, and the file's free pages.

        With both `turns` and `before` only those turns go that are from before the time. With `dry_run` it is only counted
        what would go. What backups, LangGraph's checkpointer or traces hold is out of reach. Raises ThreadNotFoundError, and
        ConfigError for what are no numbers of turns or no time with a zone.
        """
        if dry_run:
            with self.store.read() as reader:
                row, path = reading.place(reader, thread)
                gone = reader.forgettable(row, path, marking.chosen(reader, path, turns, before))
            return Forgotten(gone.turns, gone.messages, gone.pages, gone.images, lost=gone.lost)
        with self.store.write() as writer:
            row, path = reading.place(writer, thread)
            numbers = marking.chosen(writer, path, turns, before)
            gone = writer.forget_thread(row.id) if numbers is None else writer.forget_turns(row, path, numbers)
        if numbers is None:
            self._maker.forgotten(thread)
        held = not self._maker.erase()
        return Forgotten(gone.turns, gone.messages, gone.pages, gone.images, held, gone.lost)

    def copy(self, thread: str, to: str) -> ThreadInfo:
        """The same turns and pages under another name, to go with LangGraph's `copy_thread`."""
        with self.store.write() as writer:
            row, _ = reading.place(writer, thread)
            return reading.info(writer, writer.copy_thread(row, to, self._clock()))

    # ----------------------------------------------------------------------------------------- what was paid

    def observe(self, usage: Mapping[str, Any], context: Context) -> None:
        """Note what the provider billed for a context (`usage_metadata` of the answer), beside what was predicted.

        Bills that are higher than predicted leave that much of the budget free from then on (`stats` shows the factor);
        more than 2 % of drift is logged once. Raises ConfigError for a usage that contradicts itself or the request (the
        call then counts as predicted), and ThreadNotFoundError.
        """
        if not isinstance(usage, Mapping):
            raise ConfigError(f"usage={usage!r}: pass the usage_metadata of the answer, a dict with input_tokens")
        if not isinstance(context, Context):
            raise ConfigError(f"context={context!r}: pass what `context` or `project` returned for this call")
        told = billed(usage, context.tokens + context.reserved)
        self._books.learn(context.model, context.tokens + context.reserved, told.tokens)
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
        with self.store.read() as reader:
            row, path = reading.place(reader, thread)
            noted: list[NewUsage] = [*reader.usage(row.id), *self._books.waiting(thread)]
            return accounts.of_thread(reader, path, noted, self.settings())

    # ----------------------------------------------------------------------------------------- asyncio

    aremember, acontext, aproject = twin(remember), twin(context), twin(project)
    arecall, asearch, aembed = twin(recall), twin(search), twin(embed)
    athreads, aturns, apages, astats = twin(threads), twin(turns), twin(pages), twin(stats)
    astep, asteps, aexplain, aundo = twin(step), twin(steps), twin(explain), twin(undo)
    apin, aunpin, aweigh = twin(pin), twin(unpin), twin(weigh)
    aforget, acopy = twin(forget), twin(copy)
    aobserve, aledger, aclose = twin(observe), twin(ledger), twin(close)


def _configured(config: MemoryConfig | str | FilePath | None, settings: Mapping[str, Any]) -> MemoryConfig:
    base = (
        config if isinstance(config, MemoryConfig) else configuration.from_toml(config) if config is not None else None
    )
    told = {k: v for k, v in settings.items() if v is not None}
    return configuration.make(**({} if base is None else dict(base)) | told)
