"""The command `optical-memory`: see what a memory holds and what a model is about to see, and take it back.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 the database
needs an upgrade, 5 damage found, 6 refused, 130 interrupted. What is heavy loads inside the commands, so that `--help`
stays quick.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import optical_memory.inspection.measuring as measuring
import optical_memory.inspection.opening as opening
import optical_memory.inspection.output as output
from optical_memory.errors import ConfigError, OpticalMemoryError, StoreError, TranscriptError
from optical_memory.inspection.database import db_app
from optical_memory.inspection.options import (
    Db,
    Json,
    Jsonl,
    Match,
    OneThread,
    OnlyThread,
    ProfileFile,
    Thread,
    Turns,
    Yes,
    turn_numbers,
    turn_span,
)
from optical_memory.shown import one_line, safe

if TYPE_CHECKING:
    from optical_memory.memory import Context, OpticalMemory, Page


LISTED = 20  # matching turns that are shown before it is asked


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning is a line on stderr, without the place in our source where it arose."""
    output.note(f"warning: {message}")


class Commands(TyperGroup):
    """The commands; every error of ours ends in one line on stderr and its own exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        output.forgiving()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warned
                return super().invoke(ctx)
        except (OpticalMemoryError, KeyboardInterrupt) as error:
            output.note("interrupted" if isinstance(error, KeyboardInterrupt) else f"error: {error}")
            raise typer.Exit(opening.exit_code(error)) from None


app = typer.Typer(
    name="optical-memory",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Conversation memory that fades from text to pictures: look at it, search it, forget it.",
)
app.add_typer(db_app, name="db")
app.command()(measuring.calibrate)
app.command()(measuring.simulate)
app.add_typer(measuring.bench_app, name="bench")


def main() -> None:
    """Run the command line."""
    app(prog_name="optical-memory")


def _version(wanted: bool) -> None:
    if wanted:
        from optical_memory import __version__

        output.say(f"optical-memory {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Conversation memory that fades from text to pictures: look at it, search it, forget it."""


# --------------------------------------------------------------------------------------------- bringing in


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="JSON Lines of OpenAI-style chat messages, or exported folders."),
    ],
    thread: Annotated[str | None, typer.Option("--thread", help="Name of the thread; else the file's.")] = None,
    model: Annotated[str | None, typer.Option(help="The model that will read it; stored with a new thread.")] = None,
    budget: Annotated[int | None, typer.Option(help="Tokens of a whole model call; stored with a new thread.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; stored with a new thread.")] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Remember transcripts, or take exported threads back. Each becomes a thread, all of it or nothing."""
    from optical_memory.inspection.progress import progress

    done: list[dict[str, Any]] = []
    with (
        opening.changing(db, create=True, model=model, budget=budget, config=config) as memory,
        progress("importing", len(files)) as shown,
    ):
        for file in files:
            done.append(_imported(memory, file, thread))
            shown.advance()
    for item in done:
        if item["error"]:
            output.note(f"error: {item['error']}")
    output.show(done, json, _say_imported)
    if not all(item["error"] for item in done):
        output.note(f"{memory.store.url}: {output.size(memory.store.size())}")
    if any(item["error"] for item in done):
        raise typer.Exit(opening.FAILED)


def _imported(memory: OpticalMemory, file: Path, thread: str | None) -> dict[str, Any]:
    from optical_memory.inspection.archive import is_archive

    told: dict[str, Any] = {"file": str(file), "thread": thread or file.stem, "turns": 0, "new_turns": 0, "messages": 0}
    try:
        return told | (_restored if is_archive(file) else _remembered)(memory, file, thread) | {"error": None}
    except TranscriptError as error:
        known = error if error.file else TranscriptError(error.reason, file=str(file))
        return told | {"error": str(known)}
    except StoreError as error:
        if type(error) is not StoreError:  # locked, full, old: the next file would fare no better
            raise
        return told | {"error": str(error)}


def _remembered(memory: OpticalMemory, file: Path, thread: str | None) -> dict[str, Any]:
    from optical_memory.transcripts import transcript

    messages = transcript(file)
    done = memory.remember(thread or file.stem, messages)
    return {"turns": done.length, "new_turns": done.added, "messages": len(messages)}


def _restored(memory: OpticalMemory, file: Path, thread: str | None) -> dict[str, Any]:
    from optical_memory.inspection.archive import restore

    done = restore(memory, file, thread)
    return {"thread": done["thread"], "turns": done["turns"], "new_turns": done["turns"], "messages": done["messages"]}


def _say_imported(done: Sequence[dict[str, Any]]) -> None:
    for item in done:
        if not item["error"]:
            output.say(
                f"{safe(item['file'])}: {output.many(item['messages'], 'message')}, "
                f"{output.many(item['new_turns'], 'new turn')} "
                f"in thread {safe(item['thread'])} ({item['turns']:,} in all)"
            )


@app.command()
def export(
    thread: Thread,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    db: Db = None,
    json: Json = False,
) -> None:
    """Write a thread to a folder, from which `import` makes it again. It holds JSON Lines, images as PNG, a manifest."""
    from optical_memory.inspection import looking, tables
    from optical_memory.inspection.archive import export as exported

    with opening.reading(db, thread) as memory:
        told = exported(memory, thread, folder)
        length = looking.length(memory, thread)
    size = sum((folder / name).stat().st_size for name in told["files"])
    images = sum(name.endswith(".png") for name in told["files"])
    said = {"thread": thread, "folder": str(folder), "turns": length, "images": images, "bytes": size}
    output.show(said, json, tables.pairs)


# --------------------------------------------------------------------------------------------- looking


@app.command()
def threads(
    match: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    sort: Annotated[str, typer.Option(help="used, made, name, turns or tokens.")] = "used",
    branches: Annotated[bool, typer.Option("--branches", help="With the branches of each.")] = False,
    db: Db = None,
    json: Json = False,
    jsonl: Jsonl = False,
) -> None:
    """List the threads, the one used last first or as --sort says."""
    from optical_memory.inspection import looking, tables

    opening.existing(db)
    with opening.store(db, read_only=True) as store:
        found = looking.threads(opening.Bare(store), match, limit, branches, sort)
    output.show_rows(found, json, jsonl, tables.threads)


@app.command()
def show(
    thread: Thread,
    turns: Annotated[str | None, typer.Option("--turns", metavar="A-B", help="Only these turns.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The whole text of each turn.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many of the newest; 0 for all.")] = 200,
    branch: Annotated[
        int | None, typer.Option(metavar="ID", help="Another branch: `optical-memory threads --branches` lists them.")
    ] = None,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
    jsonl: Jsonl = False,
) -> None:
    """Show the turns of a thread and how each is held now."""
    from optical_memory.inspection import looking, tables

    first, last = turn_span(turns)
    with opening.reading(db, thread, profile=profile) as memory:
        newest = looking.length(memory, thread, branch)
        end = min(last or newest, newest)
        start = max(first, end - limit + 1) if limit else first
        if branch is not None:
            found: Iterable[dict[str, Any]] = looking.branch(memory, thread, branch, start, end)
        else:
            found = looking.each_turn(memory, thread, start, end)
        draw = tables.whole_turns if full else lambda rows: tables.turns(rows, newest)
        output.show_rows(found, json, jsonl, draw)
    if start > first:
        output.note(f"note: turns {first} to {start - 1} are not listed: pass --limit 0 or --turns")
    if first > newest:
        output.note(f"note: the thread ends at turn {newest}")


@app.command()
def context(
    thread: Thread,
    budget: Annotated[int | None, typer.Option(min=1, help="Tokens of a whole call, if not the thread's own.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model than the thread's own.")] = None,
    reserved: Annotated[int, typer.Option(min=0, help="Tokens that the caller spends beside the memory.")] = 0,
    query: Annotated[str | None, typer.Option(help="With what automatic recall would bring back for this.")] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="The budget as a hundred squares, one for each percent.")
    ] = False,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the messages, images and a report.")] = None,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show the next model call as it would be sent. Looking changes nothing."""
    from optical_memory.inspection import looking, tables

    own, model = (model, None) if profile else (None, model)  # a profile is that of the memory's own model
    with opening.reading(db, thread, profile=profile, model=own) as memory:
        made = memory.context(thread, query=query, budget=budget, model=model, reserved=reserved, dry_run=True)
        report = looking.context_report(made, looking.plain_tokens(memory, thread, model))
        parts = looking.parts(made, memory.settings(model).profile.image)
    output.show(report, json, tables.grid if grid else tables.context)
    if save is not None:
        _save(save, made, parts, report)


def _save(to: Path, made: Context, parts: Any, report: dict[str, Any]) -> None:
    from optical_memory.inspection.saving import save_context

    files = save_context(to, made, parts, report)
    total = sum(f.stat().st_size for f in files)
    output.note(f"{to}: {len(files)} files, {output.size(total)}")


@app.command()
def page(
    thread: Thread,
    number: Annotated[int, typer.Argument(min=1, help="Number of the page.")],
    tier: Annotated[str | None, typer.Option(help="At another tier: vivid, clear or dense.")] = None,
    out: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the PNG; - for stdout.")
    ] = None,
    after: Annotated[int | None, typer.Option(min=0, metavar="TURNS", help="As it will be in so many turns.")] = None,
    part: Annotated[int, typer.Option(min=1, help="Which image, where a page has several.")] = 1,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show one page: size, tier, tokens; write it as PNG with -o."""
    from optical_memory.inspection import looking, tables

    if json and out == "-":
        raise ConfigError("--json and -o - do not go together: stdout holds the document or the picture")
    if tier and after is not None:
        raise ConfigError("--tier and --after do not go together: in so many turns the schedule says which tier it is")
    looking.drawn(tier)
    report: Any
    with opening.reading(db, thread, profile=profile) as memory:
        if after is not None:
            report, found = looking.later(memory, thread, number, after, datetime.now(UTC))
        else:
            found = looking.page(memory, thread, number, tier)
            report = looking.page_report(found)
    if out is not None and part > len(found):
        what = f"--part 1 to {len(found)}" if found else "a smaller --after: what is left then are words"
        raise opening.NotFoundError(f"page {number} has no image {part}: pass {what}")
    if out is not None:
        _write_page(out, found[part - 1])
    if out is None or json:
        output.show(report, json, tables.pages if after is None else tables.later)


def _write_page(out: str, page: Page) -> None:
    from optical_memory.inspection.saving import write

    if out != "-":
        write(Path(out), page.png)
        output.note(f"{out}: {page.width} x {page.height} pixels, {output.size(len(page.png))}")
        return
    if sys.stdout.isatty():
        raise opening.RefusedError("a terminal cannot show a PNG: write it to a file with -o FILE")
    sys.stdout.buffer.write(page.png)


@app.command()
def search(
    text: Annotated[
        str, typer.Argument(help='Words; "a phrase", a prefix* and, with --thread, turns such as 3-7 work too.')
    ],
    thread: OnlyThread = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10,
    readable: Annotated[
        bool, typer.Option("--readable", help="Only what the thread's model can still read without a recall.")
    ] = False,
    db: Db = None,
    json: Json = False,
    jsonl: Jsonl = False,
) -> None:
    """Find turns by their words, and how each is shown now. Looking makes nothing stronger."""
    from optical_memory.inspection import looking, tables

    with opening.reading(db) as memory:
        names = [thread] if thread is not None else looking.found_in(memory, text, limit * looking.WIDER**readable)
    found = []
    for name in names:
        with opening.reading(db, name) as memory:  # each as its own agent sends it
            found += looking.hits(memory, text, name, limit, readable)
    found = looking.best(found, limit)
    output.show_rows(found, json, jsonl, tables.hits)
    if not found:
        output.note("nothing found")


@app.command()
def stats(
    thread: OneThread = None,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Count what is stored: turns, pages, images, bytes, tokens."""
    from dataclasses import asdict

    from optical_memory.inspection import tables

    with opening.reading(db, thread, profile=profile) as memory:
        found = memory.stats(thread)
        told = {"database": memory.store.url, "thread": thread} | asdict(found)
    output.show(told, json, tables.pairs)


@app.command()
def explain(
    thread: Thread,
    reserved: Annotated[int, typer.Option(min=0, help="Tokens that the caller spends beside the memory.")] = 0,
    db: Db = None,
    json: Json = False,
) -> None:
    """Say what fades next and why, and what has faded so far."""
    from optical_memory.inspection import looking, tables

    with opening.reading(db, thread) as memory:
        told = {
            "thread": thread,
            "explanation": memory.explain(thread, reserved=reserved),
            "if_asked_now": looking.step(memory.step(thread, dry_run=True)),
            "log": [looking.step(s) for s in memory.steps(thread)],
        }
    output.show(told, json, tables.explanation)


@app.command()
def diff(
    thread: Thread,
    turns: Annotated[str, typer.Argument(metavar="A-B", help="Turns such as 3 or 3-7.")],
    reader: Annotated[
        str | None, typer.Option(help="ocr:tesseract, ocr:rapidocr or a chat model; else the OCR engine that is here.")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="Pages as they would be at vivid, clear or dense.")] = None,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Set the source beside what a reader recovers of it now. Lost words are marked, exact strings stand apart."""
    from optical_memory.inspection import reread, tables
    from optical_memory.inspection.progress import progress

    first, last = turn_span(turns)
    with opening.reading(db, thread, profile=profile) as memory:
        found = reread.stretches(memory, thread, first, last or sys.maxsize, tier)
        asked = reread.engine(reader, memory) if any(s.pages for s in found) else None
        with progress("reading pages", sum(len(s.pages) for s in found)) as shown:
            read = [reread.read(s, asked, shown.advance) for s in found]
    spans = [reread.report(s, r, first, last or sys.maxsize) for s, r in zip(found, read, strict=True)]
    told = {"thread": thread, "reader": asked.name if asked else None, "spans": spans, "sum": reread.summed(spans)}
    output.show(told, json, tables.difference)
    if None in read:
        output.note(f"note: nobody reads pictures here, so nothing is said of them: {reread.TO_INSTALL}")


@app.command()
def steps(thread: Thread, db: Db = None, json: Json = False, jsonl: Jsonl = False) -> None:
    """List the steps in which turns faded. Each has its time, its reason, and the tokens that it saved."""
    from optical_memory.inspection import looking, tables

    with opening.reading(db, thread) as memory:
        found = looking.steps(memory, thread)
    output.show_rows(found, json, jsonl, tables.steps)


@app.command()
def ledger(thread: OneThread = None, profile: ProfileFile = None, db: Db = None, json: Json = False) -> None:
    """Say what calls cost, of one thread or of all. Beside it stands what plain text or trimming would have cost."""
    from optical_memory.inspection import looking, tables

    with opening.reading(db) as memory:
        names = [thread] if thread is not None else looking.called(memory)
    found = []
    for name in names:
        with opening.reading(db, name, profile=profile) as memory:  # each as its own model counts
            found.append(looking.ledger(memory, name))
    output.show(found, json, tables.ledgers)
    if not found:
        output.note("no calls are noted: the middleware notes them, and `project` and `observe` do")


@app.command()
def view(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where to listen; else 8642 or any free one.")
    ] = None,
    host: Annotated[str, typer.Option(help="Another address than this machine's own loopback.")] = "127.0.0.1",
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the link.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Hide and refuse every change.")] = False,
    db: Db = None,
) -> None:
    """Look at the memory in a browser, on this machine only. The link is good once."""
    from optical_memory.inspection.web import serve

    with opening.store(db, read_only=True):  # what can be no database is refused here, not in the browser
        serve(db, host=host, port=port, read_only=read_only, open_browser=not no_open, say=output.say, note=output.note)


# --------------------------------------------------------------------------------------------- changing


@app.command()
def decay(
    thread: Thread,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest step back instead.")] = False,
    yes: Yes = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Let what is due fade now, or take the last step back."""
    from optical_memory.inspection import looking, tables

    if undo and dry_run:
        raise ConfigError("--undo and --dry-run do not go together: `optical-memory explain` lists the steps")
    with (opening.reading if dry_run else opening.changing)(db, thread) as memory:
        if memory.config.retain != "forever" and not (dry_run or undo):
            what = f"let thread {thread!r} fade, and remove the text of what falls to {memory.config.retain} for good"
            opening.confirmed(what, yes, lambda question: typer.confirm(question, err=True))
        done = memory.undo(thread) if undo else memory.step(thread, dry_run=dry_run)
    output.show(looking.step(done) | {"dry_run": dry_run, "taken_back": undo}, json, tables.step)


@app.command()
def undo(thread: Thread, db: Db = None, json: Json = False) -> None:
    """Take the newest step back. What it made smaller is shown as before."""
    decay(thread, undo=True, db=db, json=json)


@app.command()
def pin(
    thread: Thread, turns: Turns = None, match: Match = None, yes: Yes = False, db: Db = None, json: Json = False
) -> None:
    """Keep turns as text however old they grow."""
    _pin(thread, turns, match, True, yes, db, json)


@app.command()
def unpin(
    thread: Thread, turns: Turns = None, match: Match = None, yes: Yes = False, db: Db = None, json: Json = False
) -> None:
    """Let pinned turns fade again."""
    _pin(thread, turns, match, False, yes, db, json)


def _pin(
    thread: str, turns: str | None, match: str | None, pinned: bool, yes: bool, db: str | None, json: bool
) -> None:
    from optical_memory.inspection import looking, tables

    if turns is None and match is None:
        raise ConfigError("no turns were named: give turns such as 3-7, or --match TEXT")
    with opening.changing(db, thread) as memory:
        numbers = turn_numbers(turns, looking.length(memory, thread)) if turns else None
        if match is not None:
            numbers = _matched(memory, thread, match, numbers)
            what = f"{'pin' if pinned else 'unpin'} {_many(numbers)} of thread {thread!r}"
            opening.confirmed(what, yes, lambda question: typer.confirm(question, err=True))
        count = (memory.pin if pinned else memory.unpin)(thread, numbers or ())
    output.show({"thread": thread, "pinned" if pinned else "unpinned": count}, json, tables.pairs)
    output.note("shown from the next step on")


def _matched(memory: OpticalMemory, thread: str, text: str, among: Sequence[int] | None) -> list[int]:
    """The turns that hold a text, of these or of all; each is listed on stderr. Raises NotFoundError where none does."""
    from optical_memory.inspection.looking import matching

    if not text.strip():
        raise ConfigError("--match is empty, and would match every turn: give a text")
    allowed = set(among) if among is not None else None
    found = {n: place for n, place in matching(memory, thread, text).items() if allowed is None or n in allowed}
    if not found:
        where = "none of these turns" if among is not None else "no turn"
        raise opening.NotFoundError(f"{where} of thread {thread!r} holds {text!r}: see `optical-memory show`")
    _say_matched(found)
    return list(found)


def _say_matched(found: Mapping[int, str]) -> None:
    for number, place in list(found.items())[:LISTED]:
        output.note(f"turn {number}: … {one_line(place)} …")
    if len(found) > LISTED:
        output.note(f"and {len(found) - LISTED:,} more turns")


@app.command()
def forget(
    thread: Thread,
    turns: Annotated[str | None, typer.Option("--turns", metavar="A-B", help="Only these turns.")] = None,
    before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only turns from before this ISO date (UTC).")
    ] = None,
    match: Match = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Remove a thread, or some of its turns, for good. Text, images and index go."""
    from dataclasses import asdict

    from optical_memory.inspection import tables

    moment = _moment(before)
    with opening.reading(db, thread) as memory:
        chosen = _doomed(memory, thread, turns, moment)
        if match is not None:
            chosen = _matched(memory, thread, match, chosen)
        what = _in_words(memory, thread, chosen)
    if dry_run:
        output.show({"thread": thread, "would_go": what, "dry_run": True}, json, tables.pairs)
        return
    opening.confirmed(f"forget {what} for good", yes, lambda question: typer.confirm(question, err=True))
    with opening.changing(db, thread) as memory:
        gone = memory.forget(thread, turns=chosen)
        where = f"{memory.store.url}: {output.size(memory.store.size())}"
    told = {"thread": thread} | asdict(gone)
    output.show(told, json, tables.pairs)
    output.note(f"{where}; backups, LangGraph's checkpoints and traces are out of reach")
    if gone.held:
        output.note(
            "warning: another process still reads the old state; what is gone is overwritten when the database is next opened"
        )


def _doomed(memory: OpticalMemory, thread: str, turns: str | None, before: datetime | None) -> list[int] | None:
    """The turns that would go, None for the whole thread. Raises NotFoundError where nothing is to go."""
    if turns is None and before is None:
        return None
    from optical_memory.inspection.looking import doomed, length

    numbers = turn_numbers(turns, length(memory, thread)) if turns is not None else None
    chosen = doomed(memory, thread, numbers, before)
    if not chosen:
        raise opening.NotFoundError(f"thread {thread!r} holds no such turns: see `optical-memory show`")
    return chosen


def _in_words(memory: OpticalMemory, thread: str, chosen: list[int] | None) -> str:
    """What would go, in words."""
    from optical_memory.inspection.looking import length, words_of

    if chosen is None:
        return f"thread {thread!r} with all of it, {output.many(length(memory, thread), 'turn')}, and every branch"
    words, lost = words_of(memory, thread, chosen), memory.forget(thread, turns=chosen, dry_run=True).lost
    along = f", and {lost} more that only the same pictures show" if lost else ""
    return f"{_many(chosen, f'; {words:,} words')} of thread {thread!r}{along}"


def _many(numbers: Sequence[int], more: str = "") -> str:
    """How many turns, and which: "4 turns (1, 4-6)"."""
    from optical_memory.planning.context import ranges

    where = ", ".join(output.turn_range(r) for r in ranges(numbers))
    return f"{output.many(len(numbers), 'turn')} ({where}{more})"


def _moment(text: str | None) -> datetime | None:
    """A time from ISO text, in UTC where it has no zone. Raises ConfigError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--before {text!r} is no date: give 2026-01-31 or 2026-01-31T12:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# --------------------------------------------------------------------------------------------- the machine


@app.command()
def doctor(db: Db = None, json: Json = False) -> None:
    """Describe this installation and its database for an issue."""
    from optical_memory.inspection import tables
    from optical_memory.inspection.health import report

    output.show(report(opening.database(db)), json, tables.pairs)


# --------------------------------------------------------------------------------------------- the demo


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for what is made.")] = Path(
        "optical-memory-demo"
    ),
    transcript: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A conversation of yours instead, in JSON Lines.")
    ] = None,
    model: Annotated[str, typer.Option(help="Whose reading and counting is shown.")] = "claude-opus-5",
    budget: Annotated[int, typer.Option(min=1_000, help="Tokens of a whole model call.")] = 16_000,
) -> None:
    """Let an agent work on this machine, and look at its memory. It needs no network and no key."""
    from optical_memory.inspection.demo import run

    run(out, transcript, model, budget)


if __name__ == "__main__":
    main()
