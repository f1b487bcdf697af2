"""What the viewer's pages show, as plain values: what `inspection.looking` has, put together page by page.

Each method is one page; what it returns is the page's `.json` twin, word for word.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.ageing as ageing
import optical_memory.inspection.looking as looking
import optical_memory.inspection.reread as reread
import optical_memory.inspection.web.stretches as held
from optical_memory.errors import ConfigError
from optical_memory.inspection.opening import NotFoundError
from optical_memory.inspection.web.desk import Desk
from optical_memory.memory import Page
from optical_memory.memory.kept import Kept
from optical_memory.memory.state import plan_key
from optical_memory.planning.context import Plan, ranges
from optical_memory.planning.facts import exact_strings
from optical_memory.planning.tiers import DRAWN, TIERS, Tier

if TYPE_CHECKING:
    from optical_memory.memory import Context, OpticalMemory
    from optical_memory.planning.spans import Settings
    from optical_memory.readers import Reader as PageReader
    from optical_memory.storage import PlanRow, ThreadRow

ROWS = 200  # turns on a page of the timeline
LISTED = 100  # threads in the list
FARTHEST = 1 << 20  # turns ahead in which the next tier is looked for
FRESH = 30.0  # seconds that a context may be shown again while its thread does not change
ASKED = 20  # turns from which on a person types how many are to go
COPIES = (
    "backups and exports of this database",
    "the checkpoints of LangGraph, if the agent has a checkpointer",
    "traces and logs of other tools (LangSmith, Langfuse, your own)",
    "what the model's provider keeps",
)


class Lookout:
    """Looks at what a desk opens; keeps what takes long to make, in this process and never on disk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._contexts: Kept[tuple[Any, ...], tuple[float, Context]] = Kept(8)
        self._plain: Kept[tuple[Any, ...], int] = Kept(64)
        self._images: Kept[tuple[Any, ...], tuple[bytes, ...]] = Kept(64)
        self._read: Kept[tuple[str, ...], str] = Kept(64)

    def drop(self) -> None:
        """Let go of everything that was kept, after a change."""
        for kept in (self._contexts, self._plain, self._images, self._read):
            kept.drop()

    # ----------------------------------------------------------------------------------------- all threads

    def threads(self, match: str | None) -> dict[str, Any]:
        """The threads, the one used last first, and how each of their turns is held."""
        memory = self.desk.memory()
        found = looking.threads(memory, match or None, LISTED + 1, False)
        for item in found[:LISTED]:
            item["stretches"] = held.stretches(self.desk.memory(item["thread"]), item["thread"])
        return {
            "database": memory.store.url, "bytes": memory.store.size(), "match": match or "", "more": len(found) > LISTED,
            "threads": found[:LISTED], "read_only": self.desk.read_only,
        }  # fmt: skip

    def search(self, query: str, thread: str | None, limit: int = 30) -> dict[str, Any]:
        """The turns that match, best first, and how each is held now."""
        memory, asked = self.desk.memory(), query.strip()
        names = [thread] if thread else looking.found_in(memory, query, limit) if asked else []
        found = [h for n in names for h in looking.hits(self.desk.memory(n), query, n, limit)] if asked else []
        hits = looking.best(found, limit)
        known = {name: held.stretches(self.desk.memory(name), name) for name in {h["thread"] for h in hits}}
        for hit in hits:
            hit["tier"] = held.tier_of(known[hit["thread"]], hit["turn"])
        return {"query": query, "thread": thread, "hits": hits}

    # ----------------------------------------------------------------------------------------- one thread

    def head(self, thread: str) -> dict[str, Any]:
        """What stands above every page of a thread."""
        memory = self.desk.memory(thread)
        row = self._row(memory, thread)
        stretches = held.stretches(memory, thread)
        profile = memory.settings().profile
        return {
            "thread": thread, "model": memory.config.model, "budget": memory.budget, "length": row.length,
            "touched_at": looking.moment(row.touched_at), "stretches": stretches,
            "in_use": held.in_use(memory, thread), "readable": round(held.readable(stretches), 4),
            "read_only": self.desk.read_only, "vision": profile.vision, "mode": memory.config.mode,
        }  # fmt: skip

    def timeline(self, thread: str, upto: int | None = None) -> dict[str, Any]:
        """A window of turns, oldest first; by number, so that the millionth opens as fast as the first."""
        head = self.head(thread)
        last = min(upto or head["length"], head["length"])
        first = max(1, last - ROWS + 1)
        turns = looking.turns(self.desk.memory(thread), thread, first, last) if last else []
        newer = min(last + ROWS, head["length"]) if last < head["length"] else None
        older = first - 1 if first > 1 else None
        return head | {"first": first, "last": last, "turns": turns, "older": older, "newer": newer}

    def turn(self, thread: str, number: int, tier: str | None = None, after: int = 0) -> dict[str, Any]:
        """A turn, the span that holds it, and how that looks at a tier or in `after` turns."""
        memory = self.desk.memory(thread)
        span = self._held(memory, thread, number)
        rows = looking.turns(memory, thread, number, number)
        if after < 0:
            raise ConfigError(f"after={after}: give 0 or more turns")
        if tier is not None and tier not in TIERS:
            raise ConfigError(f"tier {tier!r} is not known: use one of {', '.join(TIERS)}")
        settings = memory.settings()
        chosen, why = ageing.tier_in(span, after, settings)
        if tier is not None:
            chosen, why = _named(tier), f"as it would look as {tier}"
        told = ageing.report(span, settings, chosen, after, why)
        pictures = self.pictures(thread, number, chosen)
        told["images"] = [_image(png, settings) for png in pictures]
        told["horizon"] = _horizon(settings, after)
        told["next"] = _next(span, settings)
        exact = self._exact(memory, thread, rows[0])
        return rows[0] | {"thread": thread, "model": memory.config.model, "span": told, "exact": exact}

    def _exact(self, memory: OpticalMemory, thread: str, turn: dict[str, Any]) -> list[dict[str, Any]]:
        """The exact strings of a turn and what carries them now: text, the fact sheet, a picture, or nothing."""
        with memory.store.read() as reader:
            row = reader.thread(thread)
            standing = reader.plan(reader.path(row), plan_key(memory.settings())) if row else None
        told = _told(standing)
        settings = memory.settings()
        found: dict[str, str] = {}
        for string in exact_strings(turn["text"])[:200]:
            found[string] = _carrier(string, turn["tier"], told, settings.profile.exact)
        return [{"string": s, "carried_by": c} for s, c in found.items()]

    def pictures(self, thread: str, number: int, tier: str) -> tuple[bytes, ...]:
        """The images of the span that holds a turn, at a tier; none where it is not drawn there."""
        memory = self.desk.memory(thread)
        span = self._held(memory, thread, number)
        look = span.known.looks.get(_named(tier)) if tier in TIERS else None
        if look is None:
            return ()
        row = self._row(memory, thread)
        key = (row.id, span.known.page or row.version, span.known.first, look.name)
        have = self._images.get(key)
        return have if have is not None else self._images.put(key, ageing.images(memory, thread, span, _named(tier)))

    def difference(self, thread: str, number: int, tier: str) -> dict[str, Any]:
        """The turns of a span beside what is left of them at a tier: read by an OCR engine where that is a picture."""
        memory = self.desk.memory(thread)
        span = self._held(memory, thread, number)
        stretch = self._stretch(memory, thread, number, span, tier)
        reader = reread.engine(None, memory) if stretch.pages else None
        told = reread.report(stretch, self._reading(stretch, reader), span.known.first, span.known.last)
        name = reader.name if reader else None
        return {"thread": thread, "reader": name, "spans": [told], "sum": reread.summed([told])}

    def _stretch(self, memory: OpticalMemory, thread: str, number: int, span: ageing.Held, tier: str) -> reread.Stretch:
        """The span as it would be read back at a tier."""
        known = span.known
        turns = tuple(memory.turns(thread, first=known.first, last=known.last))
        pages = tuple(
            Page(span.page or 0, (known.first, known.last), tier, *looking.pixels(png), 0, "", png, part)
            for part, png in enumerate(self.pictures(thread, number, tier))
        )
        left = {"text": "\n".join(t.text for t in turns), "card": known.card}
        look = known.looks.get(_named(tier)) if tier in DRAWN else None
        gone = {n for first, last in (look.left if look else ()) for n in range(first, last + 1)}
        shown = tuple(t.number for t in turns if t.number not in gone)
        return reread.Stretch(turns, tier, pages, left.get(tier, ""), shown, look.style.scripts if look else "")

    def _reading(self, stretch: reread.Stretch, reader: PageReader | None) -> str | None:
        """What is read of it; pictures that were read once are not read again."""
        if reader is None:
            return reread.read(stretch, None)
        key = (reader.name, *(hashlib.sha256(page.png).hexdigest() for page in stretch.pages))
        have = self._read.get(key)
        return have if have is not None else self._read.put(key, reread.read(stretch, reader) or "")

    # ----------------------------------------------------------------------------------------- the next call

    def context(
        self, thread: str, *, budget: int | None = None, model: str | None = None, reserved: int = 0
    ) -> Context:
        """The next call as the agent would send it, made by the same function; nothing is written."""
        memory = self.desk.memory(thread)
        row = self._row(memory, thread)
        key = (row.id, row.version, budget, model, reserved)  # a name may come again, an id never does
        kept = self._contexts.get(key)
        if kept is not None and time.monotonic() - kept[0] < FRESH:
            return kept[1]
        made = memory.context(thread, budget=budget, model=model, reserved=reserved, dry_run=True)
        return self._contexts.put(key, (time.monotonic(), made))[1]

    def call(
        self, thread: str, *, budget: int | None = None, model: str | None = None, reserved: int = 0
    ) -> dict[str, Any]:
        """How the next call is made up, and its messages as they would be sent."""
        memory = self.desk.memory(thread)
        made = self.context(thread, budget=budget, model=model, reserved=reserved)
        report = looking.context_report(made, self._as_text(memory, thread, model))
        images = [_image(png, memory.settings(model)) for png in looking.ours(made)]
        sent = {"own_budget": memory.budget, "images": images, "messages": made.to_openai()}
        return self.head(thread) | report | sent

    def image(self, made: Context, sha: str) -> bytes | None:
        """The image of a context that has this SHA-256."""
        return next((png for png in looking.ours(made) if hashlib.sha256(png).hexdigest() == sha), None)

    def _as_text(self, memory: OpticalMemory, thread: str, model: str | None) -> int:
        """Tokens of the whole thread as text."""
        row = self._row(memory, thread)
        key = (row.id, row.version, model)
        kept = self._plain.get(key)
        return kept if kept is not None else self._plain.put(key, looking.plain_tokens(memory, thread, model))

    # ----------------------------------------------------------------------------------------- fading

    def fading(self, thread: str) -> dict[str, Any]:
        """What fades next and why, and what this thread's model cannot read now."""
        memory = self.desk.memory(thread)
        head = self.head(thread)
        return head | {
            "explanation": memory.explain(thread),
            "if_asked_now": looking.step(memory.step(thread, dry_run=True)),
            "by_tier": held.by_tier(head["stretches"], memory),
            "unreadable": held.behind(head["stretches"]),
            "at_risk": self._at_risk(memory, thread, head["stretches"]),
            "profile": _profile(memory),
            "schedule": _schedule(memory),
        }  # fmt: skip

    def _at_risk(self, memory: OpticalMemory, thread: str, stretches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Exact strings that only a picture carries, by page."""
        safe = memory.settings().profile.exact
        with memory.store.read() as reader:
            row = reader.thread(thread)
            path = reader.path(row) if row else ()
            standing = reader.plan(path, plan_key(memory.settings()))
            told, out = _told(standing), []
            for stretch in stretches:
                if stretch["tier"] in DRAWN and not safe.get(stretch["tier"], False):
                    drawn = [(a, b) for a, b, tier, _ in held.each([stretch]) if tier != "handle"]
                    texts = "\n".join(t.text for a, b in drawn for t in reader.turns(path, a, b))
                    alone = [s for s in exact_strings(texts) if s not in told]
                    out += [{"turns": stretch["turns"], "tier": stretch["tier"], "strings": alone}] if alone else []
        return out

    def log(self, thread: str) -> dict[str, Any]:
        """The steps that were taken, the newest first."""
        steps = [looking.step(s) for s in self.desk.memory(thread).steps(thread)][::-1]
        undoable = next((i for i, s in enumerate(steps) if not s["undone"]), None)
        return self.head(thread) | {"steps": steps, "undoable": undoable}

    def ledger(self, thread: str) -> dict[str, Any]:
        """What the thread's calls cost, and what other ways would have cost."""
        return self.head(thread) | {"ledger": self.desk.memory(thread).ledger(thread).to_json()}

    # ----------------------------------------------------------------------------------------- forgetting

    def doomed(self, thread: str, numbers: Iterable[int] | None) -> dict[str, Any]:
        """What would go, and where copies of it may live; None is the whole thread."""
        memory = self.desk.memory(thread)
        turns = looking.doomed(memory, thread, numbers, None)
        if not turns:
            raise NotFoundError(f"thread {thread!r} holds no such turns")
        going = memory.forget(thread, turns=None if numbers is None else turns, dry_run=True)
        return {
            "thread": thread, "whole": numbers is None, "turns": [list(r) for r in ranges(turns)], "count": len(turns),
            "words": looking.words_of(memory, thread, turns), "lost": going.lost, "pages": going.pages,
            "asked_to_type": len(turns) > ASKED, "copies": list(COPIES),
        }  # fmt: skip

    # ----------------------------------------------------------------------------------------- inside

    def _row(self, memory: OpticalMemory, thread: str) -> ThreadRow:
        with memory.store.read() as reader:
            row = reader.thread(thread)
        if row is None:
            raise NotFoundError(f"thread {thread!r} is no longer stored")
        return row

    def _held(self, memory: OpticalMemory, thread: str, number: int) -> ageing.Held:
        span = ageing.held(memory, thread, number, datetime.now(UTC))
        if span is None:
            raise NotFoundError(f"thread {thread!r} has no turn {number}")
        return span


def _horizon(settings: Settings, least: int) -> int:
    """How many turns ahead the slider goes: a little beyond the schedule's last stair."""
    stairs = getattr(settings.schedule, "stairs", ())
    last = max((stair.amount for stair in stairs if stair.unit == "turns"), default=0)
    return max(200, least, int(min(last * 1.2, 5_000)))


def _next(span: ageing.Held, settings: Settings) -> dict[str, Any] | None:
    """The tier that the span falls to next, and in how many turns; None where the schedule asks for no other."""
    near, far = 0, 1
    while far < FARTHEST and ageing.tier_in(span, far, settings)[0] == span.tier:
        near, far = far, far * 2
    if (tier := ageing.tier_in(span, far, settings)[0]) == span.tier:
        return None
    while far - near > 1:
        middle = (near + far) // 2
        found = ageing.tier_in(span, middle, settings)[0]
        near, far, tier = (middle, far, tier) if found == span.tier else (near, middle, found)
    return {"tier": tier, "in_turns": far}


def _named(tier: str) -> Tier:
    return next(t for t in TIERS if t == tier)


def _image(png: bytes, settings: Any) -> dict[str, Any]:
    width, height = looking.pixels(png)
    return {
        "width": width, "height": height, "tokens": settings.profile.image(width, height), "bytes": len(png),
        "sha256": hashlib.sha256(png).hexdigest(),
    }  # fmt: skip


def _told(standing: PlanRow | None) -> str:
    """All that the plan in force says in words beside its pictures."""
    plan = Plan.from_json(standing.body) if standing else Plan()
    return "\n".join(s.text for s in plan.segments if s.text)


def _carrier(string: str, tier: str, told: str, exact: Any) -> str:
    if tier == "text":
        return "text"
    if string in told:
        return "facts"
    if tier in DRAWN:
        return "picture" if not exact.get(tier, False) else "safe picture"
    return "recall only"


def _profile(memory: OpticalMemory) -> dict[str, Any]:
    """What is known of the model's reading, and from where."""
    p = memory.settings().profile
    styles = {tier: style.key if style else None for tier, style in p.tiers.items()}
    return {
        "name": p.name, "vision": p.vision, "styles": styles, "shares": dict(p.shares), "note": p.note, "source": p.source,
        "date": str(p.date),
    }  # fmt: skip


def _schedule(memory: OpticalMemory) -> dict[str, Any]:
    """The decay schedule by its name and stairs (none for a callable)."""
    schedule = memory.settings().schedule
    stairs = getattr(schedule, "stairs", None)
    told = None if stairs is None else [[stair.tier, stair.unit, stair.amount] for stair in stairs]
    return {"name": getattr(schedule, "name", "callable"), "stairs": told}


__all__ = ["Lookout"]
