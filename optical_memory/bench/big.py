"""A large database for measurements: `python -m optical_memory.bench.big FILE --turns 1000000 --data DIR`.

Real conversations over and over, in one long thread and many of usual length, put in through the store in large batches,
with times a minute apart; the long thread and a few others get a context, so that they have pages and a plan.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from optical_memory.cost import count_o200k
from optical_memory.memory import OpticalMemory
from optical_memory.memory.ingest import new_turn
from optical_memory.memory.state import plan_key
from optical_memory.messages import group, read
from optical_memory.planning.context import Plan, Segment, handle_line
from optical_memory.storage import NewPage, NewTurn, Store, owner
from optical_memory.transcripts import transcript

LONG = "long"  # the name of the long thread
USUAL = 3_000  # turns of each other thread
FRESH = 300  # turns of a thread with a plan that are not yet sealed when it is first asked for a context
ON_A_PAGE = 12  # turns of its older pages
BATCH = 5_000  # turns in a transaction
START = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def turns_of(files: Sequence[Path]) -> list[NewTurn]:
    """The turns of these transcripts as they are stored, without ids, which may not come twice in a thread."""
    count = cache(lambda text: count_o200k(text) if text else 0)
    found: list[NewTurn] = []
    for file in files:
        messages = [read(m) for m in transcript(file)]
        for turn in group(messages, set())[1]:
            made, _ = new_turn(turn, "", count)
            bare = [replace(m, external_id=None) for m in made.messages]
            found.append(replace(made, messages=bare, digest=None, open=False))
    return found


def fill(store: Store, turns: int, made: Sequence[NewTurn], did: Callable[[str], object] = lambda _: None) -> list[str]:
    """Store so many turns: a tenth of them in the thread `LONG`, the others in threads of usual length; the names."""
    endless = cycle(made)
    names = []
    for name, length in _lengths(turns):
        for start in range(0, length, BATCH):
            batch = [_timed(t, start + n) for n, t in enumerate(islice(endless, min(BATCH, length - start)))]
            with store.write() as writer:
                at = START + MINUTE * start
                writer.append(writer.thread(name) or writer.new_thread(name, at), batch, at)
        names.append(name)
        did(f"{name}: {length:,} turns")
    return names


def _lengths(turns: int) -> Iterator[tuple[str, int]]:
    yield LONG, max(1, turns // 10)
    rest, number = turns - max(1, turns // 10), 0
    while rest > 0:
        number += 1
        yield f"thread-{number:04d}", min(USUAL, rest)
        rest -= USUAL


def _timed(turn: NewTurn, number: int) -> NewTurn:
    return replace(turn, created_at=START + MINUTE * number)


def make(file: Path, turns: int, data: Path, model: str = "claude-opus-5", drawn: int = 3) -> dict[str, float]:
    """Make the database; the seconds that it took: `fill` for the turns, `pages` for the first contexts."""
    files = sorted(f for f in data.glob("*/*.jsonl") if not f.name.endswith(".qa.jsonl"))
    started = time.perf_counter()
    with OpticalMemory(file, model=model) as memory:
        names = fill(memory.store, turns, turns_of(files), _say)
        filled = time.perf_counter()
        for name in [LONG, *names[1 : 1 + drawn]]:
            _faded(memory, name)
            _say(f"{name}: a context of {memory.context(name).tokens:,} tokens")
    return {"fill": round(filled - started, 1), "pages": round(time.perf_counter() - filled, 1)}


def _faded(memory: OpticalMemory, name: str) -> None:
    """All but the newest turns behind a handle, on pages that are measured when they are looked at: planning every turn of
    a long thread at once would take minutes, and an agent's thread has got there step by step."""
    with memory.store.write() as writer:
        row = writer.thread(name)
        assert row is not None
        writer.set_config(row.id, memory.config.public())
        old = row.length - FRESH
        if old <= 0:
            return
        path = writer.path(row, upto=old)
        spans = [(first, min(first + ON_A_PAGE, old + 1) - 1) for first in range(1, old + 1, ON_A_PAGE)]
        told = {"looks": {"vivid": ["sans9", "672x960!", [], "", 1.0]}, "text": 0}  # in a form that is measured anew
        pages = [NewPage(owner(path, b), a, b, "handle", 1, 1, None, told, "") for a, b in spans]
        writer.add_pages(row, pages, START)
        line = handle_line(1, old)
        plan = Plan(old, old, (Segment("handle", (1, old), 20, text=line),))
        writer.put_plan(
            row,
            path,
            anchor=old,
            key=plan_key(memory.settings()),
            body=plan.to_json(),
            reason="first",
            tokens=20,
            at=START,
        )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a script's own words


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="a new SQLite file")
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, required=True, help="a folder of folders of JSON Lines transcripts")
    given = parser.parse_args()
    _say(str(make(given.file, given.turns, given.data)))


if __name__ == "__main__":
    main()
