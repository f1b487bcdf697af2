"""How what `looking` found is drawn for a person in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optical_memory.inspection.output as output
from optical_memory.inspection.output import console, number, size, turn_range
from optical_memory.shown import one_line, safe

Row = Mapping[str, Any]
RANGES = 24  # stretches of turns that are named


def day(at: str | None) -> str:
    """An ISO time to the minute."""
    return (at or "")[:16].replace("T", " ")


def threads(rows: Sequence[Row]) -> None:
    """A line for each thread (tokens as text, the day on which it was made), and for its branches where they were asked for."""
    out = console()
    columns = {
        "thread": "rest",
        "turns": "right",
        "tokens": "right",
        "branches": "right",
        "made": "left",
        "last used": "left",
    }
    lines = (
        (
            one_line(r["thread"]),
            number(r["turns"]),
            number(r["tokens"]) if r["tokens"] is not None else "-",
            r["branch_count"],
            day(r["created_at"])[:10],
            day(r["touched_at"]),
        )
        for r in rows
    )
    out.print(output.table(columns, lines))
    if any(r["tokens"] is None for r in rows):
        output.note("note: too many turns to sum up all their tokens: `optical-memory stats THREAD`, or --sort tokens")
    for row in rows:
        if row.get("branches"):
            out.print()
            out.print(_branches(row))


def _branches(row: Row) -> Any:
    columns = {"branch": "right", "from": "right", "departs after turn": "right", "last turn": "right", "": "left"}
    lines = (
        (b["branch"], b["parent"] or "", b["departs_after_turn"], b["last_turn"], "head" if b["head"] else "abandoned")
        for b in row["branches"]
    )
    return output.table(columns, lines, f"branches of {safe(row['thread'])}")


def turns(rows: Sequence[Row], newest: int) -> None:
    """A line for each turn: number, age in turns (`newest` has none), speaker, how it is shown, tokens as text, beginning."""
    columns = {
        "turn": "right",
        "age": "right",
        "time": "left",
        "role": "left",
        "shown as": "left",
        "tokens": "right",
        "": "left",
        "begins": "rest",
    }
    lines = (
        (
            r["turn"],
            newest - r["turn"],
            day(r["created_at"]),
            r["name"] or r["role"],
            output.tier(r["tier"] or "not sent"),
            number(r["tokens"]),
            "pin" if r["pinned"] else "",
            one_line(r["text"]),
        )
        for r in rows
    )
    console().print(output.table(columns, lines))


def whole_turns(rows: Iterable[Row]) -> None:
    """The turns word for word, each under a line of its own."""
    for row in rows:
        pinned = ", pinned" if row["pinned"] else ""
        who, held = safe(row["name"] or row["role"]), (row["tier"] or "not sent") + pinned
        output.say(f"--- turn {row['turn']}, {who}, shown as {held}, {number(row['tokens'])} tokens")
        output.say(safe(row["text"]))


def hits(rows: Sequence[Row]) -> None:
    """A line for each turn found."""
    columns = {"thread": "rest", "turn": "right", "role": "left", "shown as": "left", "score": "right", "text": "rest"}
    lines = (
        (
            one_line(r["thread"], 40),
            r["turn"],
            r["role"],
            output.tier(r["tier"]),
            f"{r['score']:.2f}",
            one_line(r["text"], 200),
        )
        for r in rows
    )
    console().print(output.table(columns, lines))


# --------------------------------------------------------------------------------------------- context


def context(report: Row) -> None:
    """The next call: its budget as a bar, and a line for each segment."""
    out = console()
    budget, held = report["budget"], report["reserved"]
    _head(report, out)
    kinds = [("reserved", held)] if held else []
    out.print(output.bar([*kinds, *((s["kind"], s["tokens"]) for s in report["segments"])], budget))
    columns = {"segment": "left", "turns": "left", "tokens": "right", "share": "right"}
    lines = (
        (
            output.tier(s["kind"]),
            turn_range(s["turns"]),
            number(s["tokens"]),
            f"{100 * s['tokens'] / max(budget, 1):.1f} %",
        )
        for s in report["segments"]
    )
    out.print(output.table(columns, lines))
    _not_shown(report, out)


def _head(report: Row, out: Any) -> None:
    """How full the budget is, and for whom it is counted."""
    budget, used, held = report["budget"], report["tokens"], report["reserved"]
    share = 100 * (used + held) / max(budget, 1)
    filled = f"{used:,} of {budget:,} tokens ({share:.0f} % with {held:,} reserved)"
    out.print(f"{safe(report['thread'])}: {filled}; as plain text {report['text_tokens']:,}")
    out.print(f"as {safe(report['model'])} reads and counts")


def _not_shown(report: Row, out: Any) -> None:
    if report["left_out"]:
        gone = [turn_range(r) for r in report["left_out"]]
        turns = sum(last - first + 1 for first, last in report["left_out"])
        more = f" and {len(gone) - RANGES} more stretches" if len(gone) > RANGES else ""
        out.print(f"Not shown, one recall away: {output.many(turns, 'turn')} ({', '.join(gone[:RANGES])}{more})")


def grid(report: Row) -> None:
    """The next call as a hundred squares, and beside them what they stand for."""
    from rich.columns import Columns
    from rich.text import Text

    out = console()
    _head(report, out)
    kinds = _by_kind(report)
    squares = output.squares(kinds, report["budget"])
    names = Text("\n").join(
        Text.assemble(
            (f"{output.letter(kind)} ", output.COLOURS.get(kind, "")), f"{safe(kind):<10}{number(tokens):>9} tokens"
        )
        for kind, tokens in [*kinds, ("free", max(0, report["free"]))]
    )
    out.print(Columns([squares, names], padding=(0, 4)))
    _not_shown(report, out)


def _by_kind(report: Row) -> list[tuple[str, int]]:
    """Tokens of each kind, in the order of the call."""
    sums: dict[str, int] = {"reserved": report["reserved"]} if report["reserved"] else {}
    for segment in report["segments"]:
        sums[segment["kind"]] = sums.get(segment["kind"], 0) + segment["tokens"]
    return list(sums.items())


def pages(rows: Sequence[Row]) -> None:
    """What is to be said about the images of a page."""
    columns = {
        "page": "right",
        "part": "right",
        "turns": "left",
        "shown as": "left",
        "pixels": "left",
        "tokens": "right",
        "size": "right",
        "sha-256": "rest",
    }
    lines = (
        (
            r["page"],
            r["part"] + 1,
            turn_range(r["turns"]),
            output.tier(r["tier"]),
            f"{r['width']} x {r['height']}",
            number(r["tokens"]),
            size(r["bytes"]),
            r["sha256"],
        )
        for r in rows
    )
    console().print(output.table(columns, lines))


def later(report: Row) -> None:
    """What a page will be, and beside it every tier that it can have."""
    out = console()
    shown, where = report["shown"], turn_range(report["turns"])
    out.print(
        f"Page {report['page']}, turns {where}, in {report['in_turns']:,} turns: {shown['tier']} "
        f"({number(shown['tokens'] or 0)} tokens; as text {number(report['text_tokens'])}); now {report['tier_now']}"
    )
    out.print(f"because {safe(report['why'])}")
    if shown["words"]:
        out.print(safe(shown["words"]))
    columns = {"tier": "left", "tokens": "right", "readable": "right", "type": "left", "pixels": "left", "": "rest"}
    lines = (
        (
            output.tier(t["tier"]),
            number(t["tokens"]) if t["tokens"] is not None else "",
            f"{100 * t['readable']:.0f} %",
            t["type"] or "",
            ", ".join(f"{w} x {h}" for w, h in t["sizes"]),
            t["why_not"] or "",
        )
        for t in report["tiers"]
    )
    out.print(output.table(columns, lines))


# --------------------------------------------------------------------------------------------- steps, stats


def step(row: Row) -> None:
    """A step and its changes."""
    out = console()
    done = "taken back" if row["taken_back"] else row["explanation"]
    out.print(f"{safe(done)}: {number(row['tokens_before'])} tokens before, {number(row['tokens_after'])} after")
    changes(row["changes"], out)
    if row["purged"]:
        out.print(f"The text of {output.many(row['purged'], 'turn')} is gone for good; their pictures are kept.")


def changes(rows: Sequence[Row], out: Any) -> None:
    """A line for each span that changes its tier; the readable share is an estimate from the model's profile."""
    if not rows:
        return
    columns = {
        "turns": "left",
        "from": "left",
        "to": "left",
        "tokens": "right",
        "after": "right",
        "readable": "right",
        "then": "right",
    }
    lines = (
        (
            turn_range(c["turns"]),
            output.tier(c["before"]),
            output.tier(c["after"]),
            number(c["tokens_before"]),
            number(c["tokens_after"]),
            f"{100 * c['readable_before']:.0f} %",
            f"{100 * c['readable_after']:.0f} %",
        )
        for c in rows
    )
    out.print(output.table(columns, lines))


def explanation(report: Row) -> None:
    """Why tiers change next, or why not; what a step asked for now would do; what was done so far."""
    out = console()
    out.print(safe(report["explanation"]))
    due = report["if_asked_now"]
    out.print(f"A step asked for now (`optical-memory decay`) would change {output.many(len(due['changes']), 'span')}.")
    changes(due["changes"], out)
    if report["log"]:
        out.print(_log(report["log"], "Steps taken"))


def steps(rows: Sequence[Row]) -> None:
    """A line for each step, and below it what it changed."""
    out = console()
    if not rows:
        out.print("No step was taken yet: everything is shown as it was first placed.")
        return
    out.print(_log(rows))
    newest = next((r for r in reversed(rows) if not r["undone"]), None)
    if newest is not None:
        out.print(f"\nStep {newest['step']}, the newest (`optical-memory undo` takes it back):")
        changes(newest["changes"], out)


def _log(rows: Sequence[Row], title: str | None = None) -> Any:
    columns = {
        "step": "right",
        "at turn": "right",
        "when": "left",
        "reason": "left",
        "changes": "right",
        "tokens": "right",
        "after": "right",
        "": "left",
    }
    lines = (
        (
            r.get("step", number_),
            r["at_turn"] or "",
            day(r["created_at"]),
            r["reason"] or "",
            len(r["changes"]),
            number(r["tokens_before"]),
            number(r["tokens_after"]),
            "undone" if r["undone"] else "",
        )
        for number_, r in enumerate(rows, 1)
    )
    return output.table(columns, lines, title)


def ledgers(rows: Sequence[Row]) -> None:
    """For each thread what was spent and what other ways would have cost, then what that stands on."""
    out = console()
    for row in rows:
        calls = f"{output.many(row['calls'], 'call')}, {row['observed']:,} with a bill"
        out.print(output.table(_LEDGER, map(_ledger_line, row["rows"]), f"{one_line(row['thread'], 60)}: {calls}"))
        out.print()
    for line in dict.fromkeys(a for row in rows for a in row["assumptions"]):
        output.say(safe(f"- {line}"))


_LEDGER = {
    "way": "rest", "calls": "right", "input": "right", "from cache": "right", "to cache": "right", "output": "right",
    "usd": "right", "of spent": "right",
}  # fmt: skip


def _ledger_line(row: Row) -> tuple[str, ...]:
    counts = (number(row[name]) if row[name] != "" else "" for name in ("calls", "input", "read", "written", "output"))
    return safe(row["policy"]), *counts, f"{row['usd']:.4f}", f"{row['of spent']:.2f}"


# --------------------------------------------------------------------------------------------- what a reader recovers


def difference(report: Row) -> None:
    """Each turn with what was lost of it in [-brackets-] and what was read instead in {+braces+}, then the exact strings."""
    out = console()
    for span in report["spans"]:
        for part in span["parts"]:
            _part(part, span, out)
    told = report["sum"]
    words, exact = told["words"], told["exact"]
    by = f"read by {safe(report['reader'])}" if report["reader"] else "without a reader"
    out.print(
        f"In all, {by}: {words['kept']:,} words kept, {words['changed']:,} changed, {words['lost']:,} lost; exact strings "
        f"{exact['right']:,} right, {exact['unread']:,} unread, {exact['wrong']:,} wrong"
    )


def _part(part: Row, span: Row, out: Any) -> None:
    from rich.text import Text

    found = part["diff"]
    gone = part["left_out"] or span["tier"] == "handle"
    share = f"{100 * found['share']:.0f} % of {len(found['words']):,} words kept" if found else "not read"
    if gone:
        share = ("left out of its page" if part["left_out"] else "not shown") + ", one recall away"
    whole = f" (page of turns {turn_range(span['turns'])})" if span["images"] else ""
    line = Text.assemble(
        f"--- turn {part['turn']}, {safe(part['role'])}, ", output.tier(span["tier"]), f"{whole}: {share}"
    )
    out.print(line)
    if found and not gone:
        out.print(Text(" ").join(_word(w) for w in found["words"]))
        missed = [f"{s['state']} {s['string']}" for s in found["exact"] if s["state"] != "right"]
        if missed:
            out.print(Text(safe(f"exact strings: {', '.join(missed)}"), style="yellow"))
    out.print()


def _word(word: Row) -> Any:
    from rich.text import Text

    if word["state"] == "kept":
        return Text(safe(word["word"]))
    lost = Text(f"[-{safe(word['word'])}-]", style="red")
    return lost if word["state"] == "lost" else lost + Text(f"{{+{safe(word['read'])}+}}", style="yellow")


# --------------------------------------------------------------------------------------------- measurements


def simulation(report: Row) -> None:
    """A line for each policy, what equal money buys, and what all of it stands on."""
    out = console()
    columns = {
        "policy": "rest",
        "usd": "right",
        "of text": "right",
        "tokens a call": "right",
        "peak": "right",
        "readable": "right",
        "at least": "right",
        "steps": "right",
    }
    lines = (
        (
            r["policy"],
            f"{r['usd']:.2f}",
            f"{r['of plain text']:.2f}",
            number(r["tokens"]),
            number(r["peak"]),
            r["readable"],
            r["at least"],
            number(r["steps"]),
        )
        for r in report["policies"]
    )
    out.print(output.table(columns, lines))
    output.say(safe(f"At equal money: {report['words']}."))
    output.say("\nAssumed:")
    for line in report["assumptions"]:
        output.say(safe(f"- {line}"))


def kept(report: Row) -> None:
    """What a context keeps, in a sentence and by how turns are shown."""
    output.say(
        safe(
            f"{report['file']}: {report['turns']:,} turns, {report['text_tokens']:,} tokens as text; "
            f"a context of {report['tokens']:,} of {report['budget']:,} tokens as {report['model']} counts"
        )
    )
    output.say(f"{report['as_text']:,} as text, {report['as_pages']:,} as pages, {report['left_out']:,} not shown")
    columns = {"shown as": "left", "turns": "right", "tokens": "right"}
    lines = ((output.tier(r["shown_as"]), number(r["turns"]), number(r["tokens"])) for r in report["shown"])
    console().print(output.table(columns, lines))


def times(rows: Sequence[Row]) -> None:
    """Milliseconds (p50) by size of the thread."""
    columns = {
        "turns": "right",
        "first": "right",
        "warm": "right",
        "ratio": "right",
        "after a new turn": "right",
        "ratio ": "right",
    }
    lines = (
        (
            number(r["turns"]),
            f"{r['first_ms']:.0f} ms",
            f"{r['warm_ms']:.3f} ms",
            f"{r['warm_ratio']:.2f}",
            f"{r['new_turn_ms']:.2f} ms",
            f"{r['new_turn_ratio']:.2f}",
        )
        for r in rows
    )
    console().print(output.table(columns, lines))


def pairs(report: Row) -> None:
    """A name and a value on each line."""
    wide = max(len(name) for name in report)
    for name, value in report.items():
        output.say(f"{name.replace('_', ' '):<{wide}}  {_value(value)}")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{safe(k)} {_value(v)}" for k, v in value.items()) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(value)
    return safe(value) if value is not None else "-"
