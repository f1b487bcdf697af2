"""How a memory and what it hands back show themselves: in notebooks as HTML, in terminals through rich, short in logs.

Stored text is data: it is escaped, cut, and drives neither a page nor a terminal. The HTML has no script, no address outside
of itself and no style but its own elements'; images stand in it up to `INLINE` bytes. Nothing here writes, makes a file or
walks through a long thread, so that a value can be left alone at the end of a cell.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import singledispatch
from html import escape
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.output as output
from optical_memory.errors import OpticalMemoryError
from optical_memory.inspection.output import many, number, size, turn_range
from optical_memory.memory import Context, OpticalMemory, Page, ThreadInfo, ThreadLedger
from optical_memory.planning.decay import DecaySchedule
from optical_memory.shown import one_line, safe

if TYPE_CHECKING:
    from rich.console import RenderableType

    from optical_memory.storage import ThreadRow

INLINE = 2 * 2**20  # bytes of images in one piece of HTML
NAMED = 10  # threads that a memory names
LISTED = 40  # segments that a context lists
PATIENCE = 0.05  # seconds to wait for a locked database: a repr holds nobody up
CELL = "padding:2px 12px 2px 0;text-align:left;border:0"
FRAME = "font:13px/1.5 system-ui,sans-serif;max-width:760px"

Rows = Iterable[Sequence[object]]


@singledispatch
def html(value: object) -> str:
    """A value as a notebook shows it. Raises TypeError for what no function here draws."""
    raise TypeError(f"{type(value).__name__} is not drawn here: use print()")


@singledispatch
def rich(value: object) -> RenderableType:
    """The same for a terminal; a terminal shows no pages."""
    raise TypeError(f"{type(value).__name__} is not drawn here: use print()")


# --------------------------------------------------------------------------------------------- pieces


def _box(*parts: str) -> str:
    return f'<div style="{FRAME}">{"".join(parts)}</div>'


def _title(strong: object, soft: object = "") -> str:
    return f'<p style="margin:4px 0"><b>{_escaped(strong)}</b> {_escaped(soft)}</p>'


def _escaped(text: object) -> str:
    return escape(safe(text))


def _table(heads: Sequence[str], rows: Rows) -> str:
    top = "".join(f'<th style="{CELL};font-weight:500;opacity:.7">{_escaped(h)}</th>' for h in heads)
    cells = ("".join(map(_cell, row)) for row in rows)
    lines = "".join(f'<tr style="background:none">{row}</tr>' for row in cells)
    return f'<table style="border-collapse:collapse;margin:4px 0">{"<tr>" + top + "</tr>" if any(heads) else ""}{lines}</table>'


def _cell(value: object) -> str:
    """A cell; figures stand below each other."""
    right = ";text-align:right" if re.fullmatch(r"\d[\d,.]*", str(value)) else ""
    return f'<td style="{CELL}{right}">{_escaped(value)}</td>'


def _plot(svg: str) -> str:
    """A plot that becomes smaller where there is less room than its own width."""
    return svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)


def _picture(png: bytes, caption: str, width: int, height: int) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure style="margin:8px 0"><figcaption style="opacity:.75">{_escaped(caption)}</figcaption>'
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{_escaped(caption)}" '
        'style="max-width:100%;height:auto;background:#fff;border:1px solid #8884"></figure>'
    )


def _pictures(found: Iterable[tuple[bytes, str]]) -> Iterator[str]:
    """Images until there are `INLINE` bytes of them, then a line that says how many more there are."""
    from optical_memory.inspection.looking import pixels

    spent = left = 0
    for png, caption in found:
        if left or spent + len(png) > INLINE:
            left += 1
            continue
        spent += len(png)
        yield _picture(png, caption, *pixels(png))
    if left:
        yield _title(
            "", f"{left} more images are not shown here: `optical-memory context THREAD --save DIR` writes them"
        )


def _rich(title: str, *parts: RenderableType) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    return Group(Text(safe(title), style="bold"), *parts)


def _lines(heads: Mapping[str, str], rows: Rows) -> RenderableType:
    return output.table(heads, [tuple(str(c) for c in row) for row in rows])


# --------------------------------------------------------------------------------------------- the memory


@html.register(OpticalMemory)
def _memory_html(memory: OpticalMemory) -> str:
    """Where it is, how it is set, and the threads that were used last."""
    threads, why = _newest(memory)
    rows = ((one_line(t.key, 60), number(t.length), _day(t.touched_at or t.created_at)) for t in threads)
    named = _table(("thread", "turns", "last used"), rows) if threads else _title("", why)
    return _box(_title("optical memory", memory.store.url), _table(("", ""), _settings(memory)), named)


@rich.register(OpticalMemory)
def _memory_rich(memory: OpticalMemory) -> RenderableType:
    """The same for a terminal."""
    threads, why = _newest(memory)
    rows = [(one_line(t.key, 60), number(t.length), _day(t.touched_at or t.created_at)) for t in threads]
    parts = [_lines({"thread": "rest", "turns": "right", "last used": "left"}, rows)] if rows else [safe(why)]
    told = ", ".join(f"{name} {value}" for name, value in _settings(memory))
    return _rich(f"optical memory {memory.store.url}", safe(told), *parts)


def _settings(memory: OpticalMemory) -> list[tuple[str, str]]:
    told = memory.config.public()
    name = getattr(memory.config.schedule, "name", told["schedule"])
    return [
        ("model", one_line(str(told["model"] or "none yet"))), ("budget", f"{memory.budget:,} tokens"),
        ("schedule", one_line(str(name), 60)),
    ]  # fmt: skip


def _newest(memory: OpticalMemory) -> tuple[list[ThreadRow], str]:
    """The threads that were used last, or why none can be named; a database that is not there is not made."""
    from optical_memory.storage import Store

    path = memory.store.path
    if path is None:
        return [], "its threads: memory.threads()"
    if not path.exists():
        return [], "no database is there yet: the first remember() makes it"
    store = Store(str(path), lock_timeout=PATIENCE, read_only=True)
    try:
        with store.read() as reader:
            return reader.threads(limit=NAMED), "no threads yet"
    except OpticalMemoryError as error:
        return [], str(error)
    finally:
        store.close()


def _day(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


@html.register(ThreadInfo)
def _thread_html(thread: ThreadInfo) -> str:
    """A thread in a line."""
    return _box(_title(one_line(thread.thread, 60), _thread(thread)))


@rich.register(ThreadInfo)
def _thread_rich(thread: ThreadInfo) -> RenderableType:
    """The same for a terminal."""
    return _rich(one_line(thread.thread, 60), safe(_thread(thread)))


def _thread(thread: ThreadInfo) -> str:
    branches = f", {thread.branches} branches" if thread.branches > 1 else ""
    used = f", last used {_day(thread.touched_at)}" if thread.touched_at else ""
    return f"{many(thread.turns, 'turn')}, {many(thread.tokens, 'token')} as text{branches}, made {_day(thread.created_at)}{used}"


# --------------------------------------------------------------------------------------------- a page, a context


@html.register(Page)
def _page_html(page: Page) -> str:
    """The picture, and what it is."""
    if len(page.png) > INLINE:
        return _box(_title(_page(page), f"{size(len(page.png))}, too large to be shown here: write page.png to a file"))
    return _box(_picture(page.png, _page(page), page.width, page.height))


@rich.register(Page)
def _page_rich(page: Page) -> RenderableType:
    """What the picture is; a terminal cannot show it."""
    return _rich(_page(page), f"sha-256 {page.sha256[:16]}…, {size(len(page.png))}: write .png to a file to see it")


def _page(page: Page) -> str:
    part = f", part {page.part + 1}" if page.part else ""
    return (
        f"page {page.number}{part}, turns {turn_range(page.turns)}, {page.tier}: {page.width} x {page.height} pixels, "
        f"{page.tokens:,} tokens"
    )


@html.register(Context)
def _context_html(context: Context) -> str:
    """The budget as a bar, what fills it, and the pages."""
    from optical_memory.inspection.plots import BudgetBar

    bar = _plot(BudgetBar(tuple(_parts(context)), context.budget).svg())
    listed = _table(("segment", "turns", "tokens"), _segments(context))
    title = _title(one_line(context.thread, 60), f"as {context.model} reads and counts")
    return _box(title, bar, listed, _title("", _left_out(context)), *_pictures(_images(context)))


@rich.register(Context)
def _context_rich(context: Context) -> RenderableType:
    """The same for a terminal, without the pages."""
    filled = f"{context.tokens:,} of {context.budget:,} tokens as {context.model} counts"
    heads = {"segment": "left", "turns": "left", "tokens": "right"}
    parts = (
        output.bar(list(_parts(context)), context.budget),
        _lines(heads, _segments(context)),
        safe(_left_out(context)),
    )
    return _rich(f"{one_line(context.thread, 60)}: {filled}", *parts)


def _parts(context: Context) -> Iterator[tuple[str, int]]:
    if context.reserved:
        yield "reserved", context.reserved
    yield from ((s.kind, s.tokens) for s in context.segments)


def _segments(context: Context) -> list[tuple[str, str, str]]:
    found = [(s.kind, turn_range(s.turns), number(s.tokens)) for s in context.segments]
    if len(found) <= LISTED:
        return found
    rest = sum(s.tokens for s in context.segments[LISTED // 2 : -LISTED // 2])
    return [*found[: LISTED // 2], (f"… {len(found) - LISTED} more", "", number(rest)), *found[-LISTED // 2 :]]


def _left_out(context: Context) -> str:
    gone = [turn_range(r) for r in context.left_out]
    more = f" and {len(gone) - LISTED} more ranges" if len(gone) > LISTED else ""
    return f"Not shown, one recall away: turns {', '.join(gone[:LISTED])}{more}" if gone else ""


def _images(context: Context) -> Iterator[tuple[bytes, str]]:
    from optical_memory.inspection.looking import ours

    yield from ((png, f"image {place} of the call") for place, png in enumerate(ours(context), 1))


# --------------------------------------------------------------------------------------------- a schedule, a ledger


@html.register(DecaySchedule)
def _schedule_html(schedule: DecaySchedule) -> str:
    """The curve, for each unit in which it counts, and its stairs."""
    from optical_memory.inspection.plots import DecayCurve

    units = list(dict.fromkeys(s.unit for s in schedule.stairs)) or ["turns"]
    curves = "".join(_plot(DecayCurve.of(schedule, unit=unit).svg()) for unit in units)
    return _box(
        _title("decay schedule", one_line(schedule.name, 60)), curves, _table(("tier", "after"), _stairs(schedule))
    )


@rich.register(DecaySchedule)
def _schedule_rich(schedule: DecaySchedule) -> RenderableType:
    """The stairs."""
    return _rich(
        f"decay schedule {one_line(schedule.name, 60)}", _lines({"tier": "left", "after": "left"}, _stairs(schedule))
    )


def _stairs(schedule: DecaySchedule) -> list[tuple[str, str]]:
    return [("vivid", "at first"), *((s.tier, f"{s.amount:,g} {s.unit}") for s in schedule.stairs)]


@html.register(ThreadLedger)
def _ledger_html(ledger: ThreadLedger) -> str:
    """What was spent beside what other ways would have cost, and what that stands on."""
    from optical_memory.inspection.plots import Bars

    bars = Bars.money(ledger.spent.money, {name: bill.money for name, bill in ledger.instead.items()})
    said = "".join(f"<li>{_escaped(line)}</li>" for line in ledger.assumptions)
    notes = f'<ul style="margin:4px 0;opacity:.75">{said}</ul>'
    return _box(_title("ledger", _calls(ledger)), _plot(bars.svg()), notes)


@rich.register(ThreadLedger)
def _ledger_rich(ledger: ThreadLedger) -> RenderableType:
    """The same for a terminal."""
    rows = [(r["policy"], f"{r['input']:,}", f"{r['usd']:.4f}", f"{r['of spent']:.2f}") for r in ledger.rows()]
    heads = {"way": "left", "input": "right", "usd": "right", "of spent": "right"}
    return _rich(f"ledger: {_calls(ledger)}", _lines(heads, rows))


def _calls(ledger: ThreadLedger) -> str:
    return f"{many(ledger.calls, 'call')}, {ledger.observed:,} of them with a bill; ${ledger.spent.money:,.4f} spent"


__all__ = ["html", "rich"]
