"""The demo from end to end: a conversation, what is measured of it, what is printed, and the files that stay."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.output as output
from optical_memory.errors import MissingExtraError
from optical_memory.inspection.demo.measure import Recalled, Shown, measure
from optical_memory.inspection.output import note, turn_range
from optical_memory.inspection.progress import progress
from optical_memory.inspection.saving import folder, name_images, save_context, write
from optical_memory.planning.tiers import DRAWN
from optical_memory.shown import one_line, safe
from optical_memory.transcripts import transcript

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory

THREAD = "demo"
DATABASE = "optical-memory-demo.db"


def run(out: Path, given: Path | None, model: str, budget: int) -> None:
    """Work through a conversation, print how it is held, and leave the database, the pages and report.html in `out`.

    Raises MissingExtraError without LangChain's agents, TranscriptError for a transcript that cannot be read.
    """
    from optical_memory.inspection.demo.report import page
    from optical_memory.memory import OpticalMemory

    started = time.monotonic()
    messages = transcript(given) if given else None
    folder(out)
    with OpticalMemory(_fresh(out / DATABASE), model=model, budget=budget) as memory:
        recalled, calls = _remembered(memory, messages) if messages else _worked(memory)
        source = f"the conversation in {given.name}" if given else "an agent at work on the Python of this machine"
        shown = measure(memory, THREAD, source, recalled, calls)
    _print(shown)
    _save(out, shown, page(shown))
    output.say(f"Made in {time.monotonic() - started:.0f} s. Look at {out / 'report.html'}")


def _fresh(database: Path) -> str:
    """The path of a database that does not exist: the demo begins anew each time."""
    for end in ("", "-wal", "-shm", ".lock"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    return str(database)


# --------------------------------------------------------------------------------------------- the conversation


def _worked(memory: OpticalMemory) -> tuple[Recalled, list[int]]:
    """The agent works through its tasks; the last one asks for what the first one found."""
    try:
        from langchain.agents import create_agent
        from langgraph.checkpoint.memory import InMemorySaver
    except ImportError as error:
        raise MissingExtraError("langchain", "agents") from error
    from optical_memory.inspection.demo import agent as scripted
    from optical_memory.inspection.demo.tools import TOOLS
    from optical_memory.langchain import OpticalMemoryMiddleware

    tasks, seen = scripted.script(), scripted.Seen(memory.config.model or "")
    agent: Any = create_agent(
        scripted.ScriptedModel(tasks=tasks, seen=seen),
        tools=list(TOOLS),
        middleware=[OpticalMemoryMiddleware(memory, strict=True, observe=False, automatic_recall=False)],
        checkpointer=InMemorySaver(),
    )
    place = {"configurable": {"thread_id": THREAD}, "recursion_limit": 200}
    before = ""
    with progress("the agent works", len(tasks)) as shown:
        for task in tasks:
            before = _held_as(memory, 3) if task is tasks[-1] else before
            agent.invoke({"messages": [("user", task.question)]}, place)
            shown.advance()
    return _closing(memory, tasks[-1], before), seen.tokens


def _held_as(memory: OpticalMemory, turn: int) -> str:
    return memory.turns(THREAD, first=turn, last=turn)[0].tier


def _closing(memory: OpticalMemory, task: Any, held: str) -> Recalled:
    """What the last question brought back, read from the memory, and whether the answer is true of this machine."""
    from optical_memory.inspection.demo.agent import recorded_hash

    asked, back, answer = memory.turns(THREAD)[-3:]
    query = task.rounds[0][0][1]["query"]
    hit = memory.search(THREAD, query, limit=20)
    turn = min((h.turn for h in hit if recorded_hash() in h.text), default=0)
    true = bool(recorded_hash()) and recorded_hash() in answer.text
    return Recalled(asked.text, query, turn, back.text, answer.text, held, true)


def _remembered(memory: OpticalMemory, messages: Sequence[dict[str, Any]]) -> tuple[Recalled | None, list[int]]:
    """A conversation of the user's own, remembered as a whole; an old exact string is looked up again."""
    memory.remember(THREAD, messages)
    memory.context(THREAD)
    return _looked_up(memory), []


def _looked_up(memory: OpticalMemory) -> Recalled | None:
    """The longest exact string of the oldest turns that are no longer text, and the turn that it brings back."""
    from optical_memory.planning.facts import exact_strings

    turns = memory.turns(THREAD)
    old = [t for t in turns[: len(turns) // 2] if t.tier != "text"] or turns[:1]
    strings = [(s, t) for t in old for s in exact_strings(t.text)]
    text, turn = max(strings, key=lambda found: len(found[0]), default=("", None))
    if turn is None:
        return None
    hits = memory.recall(THREAD, f'"{text}"', limit=1)
    if not hits:
        return None
    question = f"Where was {one_line(text, 80)} mentioned?"
    return Recalled(question, f'"{text}"', hits[0].turn, hits[0].text, f"In turn {hits[0].turn}.", turn.tier, None)


# --------------------------------------------------------------------------------------------- what is printed


def _print(shown: Shown) -> None:
    context, held = shown.context, shown.held
    out = output.console()
    out.print(f"\n{len(shown.turns)} turns of {safe(shown.source)}, as {safe(context.model)} reads and counts them.\n")
    out.print(_stretches(shown))
    out.print(f"\nThe next model call: {context.tokens:,} of {context.budget:,} tokens")
    out.print(output.bar([(s.kind, s.tokens) for s in context.segments], context.budget))
    out.print(_legend(shown))
    out.print(f"\nThe same {len(shown.turns)} turns as plain text: {held.text_tokens:,} tokens.")
    out.print(f"Dropping the oldest to fit {context.budget:,}: {shown.kept_by_dropping} turns are left.")
    words = ", ".join(f"{held.turns[kind]} {kind}" for kind in ("text", *DRAWN) if held.turns.get(kind))
    cards = held.turns.get("card", 0)
    headlines = f", {cards} more have a headline" if cards else ""
    out.print(f"With optical memory {shown.readable} turns can be read ({words}){headlines}; all can be recalled.")
    if shown.spent:
        spent = shown.spent
        out.print(f"Over {spent.calls} calls: {spent.total:,} input tokens, {spent.most:,} at most in one;")
        out.print(f"carrying everything as text: {spent.plain_total:,}, {spent.plain_most:,} at most.")
    if shown.recalled:
        _print_recalled(shown.recalled, out)


def _print_recalled(found: Recalled, out: Any) -> None:
    checked = {True: " (checked: this machine has it so)", False: " (checked: this machine has it NOT so)", None: ""}
    out.print(f"\nAsked at the end: {safe(found.question)}")
    out.print(f"recall_memory({safe(found.query)}) brought back turn {found.turn}, then held as {found.held_before}.")
    out.print(f"Answer: {safe(found.answer)}{checked[found.checked]}\n")


def _stretches(shown: Shown) -> Any:
    columns = {"turns": "left", "held as": "left", "tokens": "right", "as text": "right", "begins": "rest"}
    rows = [
        (
            turn_range(s.turns),
            output.tier(s.kind),
            f"{s.tokens:,}",
            f"{shown.text_tokens(*s.turns):,}" if s.turns else "",
            one_line(shown.turns[s.turns[0] - 1].text, 60) if s.turns else _what(s.kind),
        )
        for s in shown.context.segments
    ]
    return output.table(columns, rows)


def _what(kind: str) -> str:
    return {"preamble": "what pages are and how to recall", "facts": "exact strings of the pages, as text"}.get(
        kind, ""
    )


def _legend(shown: Shown) -> str:
    kinds = dict.fromkeys(s.kind for s in shown.context.segments)
    return " ".join(f"{output.letter(kind)}={kind}" for kind in kinds) + " .=free"


# --------------------------------------------------------------------------------------------- what stays


def _save(out: Path, shown: Shown, html: str) -> None:
    from optical_memory.inspection.looking import context_report

    report = context_report(shown.context, shown.held.text_tokens)
    pages = folder(out / "next-call")
    for old in (*pages.glob("*.png"), *pages.glob("*.json")):
        old.unlink()
    files = save_context(pages, shown.context, shown.parts, report)
    write(out / "report.html", html.encode())
    count = sum(len(names) for names in name_images(shown.parts))
    note(f"{pages}: {count} pages as PNG and {len(files) - count} JSON files")
    note(f"{out / DATABASE}: the memory itself")
