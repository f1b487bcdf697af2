"""What a model call asks of the store takes as long at 100,000 turns as at 1,000."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from optical_memory.storage import NewPage, Store, owner
from tests.storage.makers import NOW, turn

pytestmark = pytest.mark.slow
WORDS = [f"word{i}" for i in range(20_000)] + ["the", "and", "of", "error", "file"] * 400


def filled(path: Path, turns: int) -> Store:
    """A store of so many turns, half of them in the thread that is measured."""
    dice, store = random.Random(1), Store(str(path))
    for key, count in [("long", turns // 2), *((f"other {i}", turns // 20) for i in range(10))]:
        for start in range(0, count, 5000):
            texts = [" ".join(dice.choices(WORDS, k=60)) for _ in range(min(5000, count - start))]
            with store.write() as writer:
                new = [turn(text, ids=[f"{key} {start + i}"]) for i, text in enumerate(texts)]
                thread = writer.append(writer.new_thread(key, NOW), new, NOW)
                way, first = writer.path(thread), thread.length - len(texts) + 1
                spans = range(first, thread.length - 8, 10)
                pages = [NewPage(owner(way, f + 9), f, f + 9, "vivid", 1, 1, "card", []) for f in spans]
                writer.add_pages(thread, pages, NOW)
    return store


def milliseconds(work: Callable[[], object], times: int = 60) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken)


def measured(store: Store) -> dict[str, float]:
    with store.read() as reader:
        thread = reader.thread("long")
        assert thread is not None
        path = reader.path(thread)
        asked = {
            "thread and path": lambda: reader.path(reader.thread("long") or thread),
            "newest 20 turns": lambda: reader.turns(path, limit=20, newest=True),
            "sums of 200 turns": lambda: reader.turn_stats(path, thread.length - 199),
            "newest 20 messages": lambda: reader.tail(path, 20),
            "20 pages": lambda: reader.pages(path, from_number=thread.length - 199),
            "plan": lambda: reader.plan(path, "k"),
            "search, rare words": lambda: reader.search(path, "word17 word18", limit=5),
            "search, common words": lambda: reader.search(path, "the error of the file", limit=5),
        }
        return {name: milliseconds(work) for name, work in asked.items()}


def test_answers_do_not_slow_down_with_the_database(tmp_path: Path) -> None:
    """Window, tail, pages and plan within 1.5 times and under 1 ms; any search under 50 ms."""
    figures = []
    for turns in (1_000, 100_000):
        store = filled(tmp_path / f"{turns}.db", turns)
        figures.append(measured(store))
        store.close()
    small, large = figures
    for name in small:
        print(f"{name:22} {small[name]:8.3f} ms at 1,000 {large[name]:8.3f} ms at 100,000")
    for name in small:
        if name.startswith("search"):
            assert large[name] < 50, name
        else:
            assert large[name] < max(1.5 * small[name], small[name] + 0.1), name
            assert large[name] < 1, name
