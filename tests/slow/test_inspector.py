"""The inspector at its bars: 1,000 schedules, 10,000 hostile strings, a large database, and a new user's first minutes."""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, staircase
from optical_memory.bench.big import LONG, make
from optical_memory.inspection import output, plots, tables
from optical_memory.inspection.archive import export, restore
from optical_memory.inspection.diffs import compare
from optical_memory.memory import Context, Hit, Page, ThreadInfo
from optical_memory.planning.context import Segment
from tests.data import data_dir
from tests.inspection.conftest import talk
from tests.inspection.shown import COLOURS, active, hostile, on_a_terminal, wrong_in
from tests.inspection.test_archive import everything
from tests.inspection.test_dry_run import check_one
from tests.slow.postgres import database
from tests.slow.test_readme import built, run

pytestmark = pytest.mark.slow
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_dry_run_names_what_happens_over_a_thousand_schedules(tmp_path: Path) -> None:
    """I4: not one of 1,000 random schedules and conversations does anything but what its dry run said."""
    changed = sum(check_one(tmp_path / "memory.db", seed) > 0 for seed in range(1_000))
    print(f"{changed} of 1,000 conversations changed tiers")
    assert changed > 500


# --------------------------------------------------------------------------------------------- 10,000 hostile strings


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@contextmanager
def terminal() -> Iterator[Terminal]:
    """What commands print meanwhile, as to a terminal."""
    out = Terminal()
    with redirect_stdout(out), redirect_stderr(out):
        yield out


def printed(texts: list[str]) -> str:
    """All that the tables print of these texts, at a terminal, without the colours that are rich's own."""
    turn = {"role": "user", "tier": "text", "tokens": 1, "pinned": False, "created_at": None}
    rows = [turn | {"turn": n, "name": text, "text": text} for n, text in enumerate(texts)]
    found = [{"thread": t, "turn": 1, "role": t, "tier": t, "score": 1.0, "text": t} for t in texts]
    threads = [
        {"thread": t, "turns": 1, "tokens": 1, "branch_count": 1, "created_at": None, "touched_at": None} for t in texts
    ]
    with terminal() as out:
        tables.turns(rows, len(rows))
        tables.whole_turns(rows)
        tables.hits(found)
        tables.threads(threads)
        for text in texts:
            tables.pairs({"name": text, "list": text})
            output.note(text)
            output.say(output.as_json({text: text}))
            tables.difference(difference(text))
    return COLOURS.sub("", out.getvalue())


def difference(text: str) -> dict[str, Any]:
    """A report of a diff of this text."""
    part = {"turn": 1, "role": text, "left_out": False, "diff": compare(text, text[::-1]).as_dict()}
    total = {
        "words": dict.fromkeys(("kept", "changed", "lost"), 0),
        "exact": dict.fromkeys(("right", "unread", "wrong"), 0),
    }
    return {"reader": text, "spans": [{"turns": [1, 1], "tier": text, "images": 1, "parts": [part]}], "sum": total}


def in_notebooks(text: str) -> str:
    """All HTML that shows this text."""
    context = Context(text, [], 10, (Segment(text, (1, 2), 10),), ((1, 2),), 100, 5, text)
    page = Page(1, (1, 2), text, 10, 10, 5, "00", b"\x89PNG")
    thread = ThreadInfo(text, 1, 1, NOW, NOW)
    svg = plots.BudgetBar(((text, 10),), 5).svg() + plots.Bars.money(1.0, {text: 2.0}).svg()
    return context._repr_html_() + page._repr_html_() + thread._repr_html_() + svg


def test_ten_thousand_hostile_strings_drive_neither_terminal_nor_notebook() -> None:
    """I6: tables, whole texts, JSON, notes, diffs, reprs and plots let nothing act that is stored."""
    dice = random.Random(0)
    texts = [hostile(dice) for _ in range(10_000)]
    for start in range(0, len(texts), 500):
        some = texts[start : start + 500]
        assert not set(active(printed(some)))
    for text in texts:
        assert wrong_in(in_notebooks(text)) == [], ascii(text)
        assert not active(repr(Hit(1, text, 1.0, text)))
        assert not active(on_a_terminal(ThreadInfo(text, 1, 1, NOW, NOW))), ascii(text)


# --------------------------------------------------------------------------------------------- a large database


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OPTICAL_MEMORY_BIG, a database that `optical_memory.bench.big` made; else a tenth of a million turns, made now."""
    given = os.environ.get("OPTICAL_MEMORY_BIG")
    if given:
        return Path(given)
    file = tmp_path_factory.mktemp("big") / "big.db"
    make(file, 100_000, data_dir())
    return file


def seconds(*arguments: str, times: int = 3) -> tuple[float, float]:
    """The quickest of some runs of the command, process and all: by the clock, and of a processor's time."""
    taken = []
    for _ in range(times):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "optical_memory", *arguments], capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append((time.perf_counter() - started, spent))
        assert done.returncode == 0, done.stderr
    return min(taken)


def test_commands_start_quickly_on_a_large_database(big: Path) -> None:
    """I5: --help under 0.25 s and threads under 1 s of a processor's time, which a busy machine does not change much."""
    db = ("--db", str(big))
    told = {
        "--help": seconds("--help"), "threads": seconds("threads", *db), "show": seconds("show", LONG, "--limit", "50", *db),
        "context": seconds("context", LONG, *db), "old turns": seconds("show", LONG, "--turns", "1-9", *db),
    }  # fmt: skip
    print({name: f"{clock:.2f} s, {spent:.2f} s of a processor" for name, (clock, spent) in told.items()})
    assert told["--help"][1] < 0.25
    assert told["threads"][1] < 1.0


def test_reprs_of_a_large_database_are_quick_and_write_nothing(big: Path) -> None:
    """I10: each in under 100 ms, warm; the file is as it was, to the byte."""
    with OpticalMemory(big, model="claude-opus-5") as memory:
        shown: dict[str, Any] = {
            "memory": memory, "context": memory.context(LONG, dry_run=True), "page": memory.pages("thread-0001", tier="clear")[0],
            "schedule": staircase(),
        }  # fmt: skip
        size, changed = big.stat().st_size, big.stat().st_mtime_ns
        for name, value in shown.items():
            for draw in (value._repr_html_, value.__rich__, value.__repr__):
                assert milliseconds(draw) < 100, (name, draw)
        assert (big.stat().st_size, big.stat().st_mtime_ns) == (size, changed)


def milliseconds(work: Callable[[], object]) -> float:
    """The quickest of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    print(f"{work.__qualname__}: {min(taken):.1f} ms")
    return min(taken)


# --------------------------------------------------------------------------------------------- a new user


def test_a_new_user_sees_a_page_of_their_own_in_three_commands(tmp_path: Path) -> None:
    """I1: install the built wheel, import a chat, write one decayed page: under five minutes with downloads."""
    wheel = built(tmp_path)
    chat = "\n".join(
        json.dumps(
            {
                "role": "user" if n % 2 == 0 else "assistant",
                "content": f"Note {n}: " + "the ferry to Oslo is late. " * 40,
            }
        )
        for n in range(120)
    )
    (tmp_path / "chat.jsonl").write_text(chat, encoding="utf-8")
    run(f"python3 -m venv {tmp_path}/user", tmp_path)
    there, started = f"{tmp_path}/user/bin", time.perf_counter()
    commands = (
        f"{there}/pip install -q {wheel}",
        f"{there}/optical-memory import chat.jsonl --model gpt-5 --budget 8000 --db memory.db",
        f"{there}/optical-memory context chat --save call --db memory.db",
    )
    for command in commands:
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    taken = time.perf_counter() - started
    pages = list((tmp_path / "call").glob("*.png"))
    print(f"{len(commands)} commands, {taken:.0f} s, {len(pages)} pages")
    assert pages
    assert re.match(rb"\x89PNG", pages[0].read_bytes())
    assert taken < 300


# --------------------------------------------------------------------------------------------- from one engine to the other


def test_an_exported_thread_goes_to_postgresql_and_back(tmp_path: Path, postgresql: str) -> None:
    """SQLite to PostgreSQL to SQLite: the same files, byte for byte, and the same next call on each."""
    settings: dict[str, Any] = {"model": "claude-opus-5", "budget": 3_000, "keep": ("turns", 2)}
    with database(postgresql) as url, OpticalMemory(url, **settings) as there:
        with OpticalMemory(tmp_path / "a.db", **settings) as memory:
            memory.remember("t", talk(40))
            memory.step("t")
            memory.remember("t", [*talk(30), {"role": "user", "content": "No, it was order 7."}])
            memory.forget("t", turns=[3])
            memory.pin("t", 5)
            memory.recall("t", "crate CR-001-03")
            memory.context("t")
            export(memory, "t", tmp_path / "out")
        restore(there, tmp_path / "out")
        export(there, "t", tmp_path / "there")
        with (
            OpticalMemory(tmp_path / "b.db", **settings) as back,
            OpticalMemory(tmp_path / "a.db", **settings) as first,
        ):
            restore(back, tmp_path / "there")
            export(back, "t", tmp_path / "again")
            calls = [m.context("t", dry_run=True).to_openai() for m in (first, there, back)]
        assert not there.store.check()
        assert [h.turn for h in there.search("t", "CR-001-03")] == [h.turn for h in first.search("t", "CR-001-03")]
    assert everything(tmp_path / "out") == everything(tmp_path / "there") == everything(tmp_path / "again")
    assert calls[0] == calls[1] == calls[2]
