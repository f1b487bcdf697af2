"""Source against what a reader recovers: the spans that hold some turns, read back as they are shown, word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.diffs as diffs
import optical_memory.inspection.looking as looking
from optical_memory.errors import MissingExtraError
from optical_memory.inspection.opening import NotFoundError
from optical_memory.planning.context import Plan
from optical_memory.planning.tiers import DRAWN

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory, Page
    from optical_memory.messages import Turn
    from optical_memory.readers import Reader

ENGINES = ("ocr:tesseract", "ocr:rapidocr")  # the first that is installed reads, where none is named
TO_INSTALL = 'pip install "optical-memory[ocr]" and apt-get install tesseract-ocr'


@dataclass(frozen=True, slots=True)
class Stretch:
    """Turns that are shown together: at which tier, their pictures, or the words that are left of them."""

    turns: tuple[Turn, ...]
    tier: str
    pages: tuple[Page, ...] = ()
    words: str = ""
    shown: tuple[int, ...] = ()  # the turns that can be read there: a page may leave out some
    scripts: str = ""  # of the pictures' style: what beside Latin, Greek and Cyrillic is drawn there


def engine(name: str | None, memory: OpticalMemory, engines: Sequence[str] = ENGINES) -> Reader | None:
    """The reader of this name, else the first of `engines` that is installed; None without any.

    It reads at the size at which the thread's model is served. Raises ConfigError and MissingExtraError for a name.
    """
    from optical_memory.readers import reader

    of = memory.settings().profile
    if name is not None:
        return reader(name, of=of, lines=True)
    for one in engines:
        try:
            return reader(one, of=of, lines=True)
        except MissingExtraError:
            continue
    return None


def stretches(memory: OpticalMemory, thread: str, first: int, last: int, tier: str | None) -> list[Stretch]:
    """The stretches that hold turns `first`..`last`, whole, as they are shown now or, where they are sealed, at `tier`.

    Raises NotFoundError where the thread has no such turn.
    """
    looking.drawn(tier)
    turns = {t.number: t for t in memory.turns(thread, first=first, last=last)}
    if not turns:
        raise NotFoundError(f"thread {thread!r} has no turn {first}: see `optical-memory show`")
    cards, found, number = _cards(memory, thread), list[Stretch](), min(turns)
    while number <= max(turns):
        pages = tuple(looking.page_of(memory, thread, number, tier))
        span = pages[0].turns if pages else _span(number, cards)
        rows = tuple(memory.turns(thread, first=span[0], last=span[1]))
        scripts = _scripts(memory, thread, number, tier) if pages else ""
        found.append(replace(_stretch(rows, span, pages, cards), scripts=scripts))
        number = span[1] + 1
    return found


def _cards(memory: OpticalMemory, thread: str) -> dict[tuple[int, int], str]:
    """What the cards of the plan in force say, by their turns; those of a step that is due are not shown yet."""
    from optical_memory.memory.state import plan_key

    with memory.store.read() as reader:
        row = reader.thread(thread)
        standing = reader.plan(reader.path(row), plan_key(memory.settings())) if row else None
    plan = Plan.from_json(standing.body) if standing else Plan()
    return {s.turns: s.text or "" for s in plan.segments if s.kind == "card" and s.turns}


def _scripts(memory: OpticalMemory, thread: str, number: int, tier: str | None) -> str:
    """What the page that holds a turn draws beside the shipped atlas, by its style."""
    from optical_memory.memory.state import held

    with memory.store.read() as reader:
        row = reader.thread(thread)
        found = held(reader, reader.path(row), number, memory.settings()) if row else None
    look = found[1].looks.get(tier or found[1].tier) if found else None  # type: ignore[call-overload]
    return look.style.scripts if look else ""


def _span(number: int, cards: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The card that holds a turn; else the turn alone."""
    return next(((first, last) for first, last in cards if first <= number <= last), (number, number))


def _stretch(
    rows: tuple[Turn, ...], span: tuple[int, int], pages: tuple[Page, ...], cards: Mapping[tuple[int, int], str]
) -> Stretch:
    every = tuple(t.number for t in rows)
    if pages:
        tier = pages[0].tier
        now = any(t.tier == tier for t in rows)  # else it is looked at as it would be
        return Stretch(rows, tier, pages, shown=tuple(t.number for t in rows if t.tier != "handle" or not now))
    if span in cards:
        return Stretch(rows, "card", words=cards[span], shown=every)
    tier = rows[0].tier if rows[0].tier not in DRAWN else "text"
    return Stretch(rows, tier, words=rows[0].text if tier != "handle" else "", shown=every)


def read(stretch: Stretch, reader: Reader | None, did: Callable[[], None] = lambda: None) -> str | None:
    """What is recovered of a stretch; None for pictures that nobody reads here."""
    if not stretch.pages:
        return stretch.words
    if reader is None:
        return None
    texts = []
    for page in stretch.pages:
        texts.append(reader.read(page.png))
        did()
    return "\n".join(texts)


def report(stretch: Stretch, text: str | None, first: int, last: int) -> dict[str, Any]:
    """A stretch's turns within `first`..`last` beside what was read of them; `diff` is None where nobody read."""
    parts = dict(zip(stretch.shown, _diffs(stretch, text), strict=True))
    return {
        "turns": [stretch.turns[0].number, stretch.turns[-1].number],
        "tier": stretch.tier,
        "images": len(stretch.pages),
        "read": text if stretch.pages else None,
        "parts": [_part(t, parts, stretch) for t in stretch.turns if first <= t.number <= last],
    }


def _diffs(stretch: Stretch, text: str | None) -> Sequence[diffs.Diff | None]:
    """One for each turn that is shown."""
    sources = [_source(t.text, stretch) for t in stretch.turns if t.number in stretch.shown]
    return diffs.by_part(sources, text) if text is not None else [None] * len(sources)


def _part(turn: Turn, parts: Mapping[int, diffs.Diff | None], stretch: Stretch) -> dict[str, Any]:
    """A turn and what was read of it; of one that its page leaves out nothing can be."""
    left_out = turn.number not in parts
    found = diffs.compare(_source(turn.text, stretch), "") if left_out else parts[turn.number]
    told = {"turn": turn.number, "role": turn.name or turn.role, "left_out": left_out}
    return told | {"diff": found.as_dict() if found else None}


def _source(text: str, stretch: Stretch) -> str:
    """What can be read of a turn: of a picture what is drawn there, else its text."""
    return diffs.drawn(text, stretch.scripts) if stretch.pages else text


def summed(spans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Words and exact strings over all parts that were read: how many, and what became of them."""
    read = [part["diff"] for span in spans for part in span["parts"] if part["diff"]]
    words = [word["state"] for diff in read for word in diff["words"]]
    strings = [string["state"] for diff in read for string in diff["exact"]]
    return {
        "words": {state: words.count(state) for state in ("kept", "changed", "lost")},
        "exact": {fate: strings.count(fate) for fate in ("right", "unread", "wrong")},
        "unread_turns": sum(part["diff"] is None for span in spans for part in span["parts"]),
    }


__all__ = ["TO_INSTALL", "Stretch", "engine", "read", "report", "stretches", "summed"]
