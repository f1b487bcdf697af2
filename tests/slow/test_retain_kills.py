"""Text that is to go for good, and a process that is killed while it goes: every turn has its words or its picture."""

from __future__ import annotations

import os
import random
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from tests.memory.test_retain import READS, SOON, talk, word
from tests.slow.test_storage_processes import FORK

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("OPTICAL_MEMORY_KILLS", "60"))
OPTIONS = {"profile": READS, "budget": 1_500, "keep": ("turns", 4), "schedule": SOON, "retain": "clear"}


def keep_on(file: str, begun: Event) -> None:
    """Talk, fade and forget the text, until somebody ends it."""
    with OpticalMemory(file, **OPTIONS) as memory:
        memory.remember("t", talk(2))
        begun.set()
        while True:
            count = len(memory.turns("t"))
            memory.remember("t", talk(count + 6))
            memory.context("t")
            memory.step("t")


def test_whoever_is_killed_leaves_each_turn_with_words_or_a_picture(tmp_path: Path) -> None:
    """Nothing is half gone, no picture is unsound, no number is missing, and what has faded is in no index."""
    file, chance, purged = str(tmp_path / "memory.db"), random.Random(7), 0
    with OpticalMemory(tmp_path / "warm.db", **OPTIONS) as memory:  # what is loaded once is loaded before the forks
        memory.remember("t", talk(60))
        memory.step("t")
    for _ in range(KILLS):
        begun = FORK.Event()
        process = FORK.Process(target=keep_on, args=(file, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0.1, 1.2))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with OpticalMemory(file, **OPTIONS) as memory:
        turns = memory.turns("t")
        assert memory.store.check() == []
        pictured = {
            n for tier in ("vivid", "clear", "dense", "card") for p in memory.pages("t", tier=tier) if p.record
            for n in range(p.turns[0], p.turns[1] + 1)
        }  # fmt: skip
        for turn in turns:
            assert word(turn.number - 1) in turn.text or (turn.purged and turn.number in pictured)
        purged = sum(t.purged for t in turns)
        assert [t.number for t in turns] == list(range(1, len(turns) + 1))
        assert not any(memory.search("t", word(t.number - 1)) for t in turns if t.purged)
        assert memory.remember("t", talk(len(turns))).added == 0
        memory.context("t")
    print(f"{KILLS} kills, {len(turns)} turns, {purged} of them as pictures only")
    assert purged
