"""A process that is killed after its agent's answer: what other middleware took out of it is erased by the next process."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware
from tests.langchain.conftest import MODEL, on, say
from tests.langchain.test_observing import left_of, telling
from tests.slow.test_storage_processes import FORK

REDACTED = "The number is [card]."


def answer(folder: Path, question: str, answered: Event | None = None) -> OpticalMemory:
    """One run of an agent whose checkpoints and memory are on files; with `answered`, until somebody ends it."""
    memory = OpticalMemory(folder / "memory.db", model=MODEL, budget=6_000)
    with closing(sqlite3.connect(folder / "checkpoints.db", check_same_thread=False)) as connection:
        runner = telling(OpticalMemoryMiddleware(memory, strict=True), SqliteSaver(connection))
        runner.invoke(say(question), on("t"))
        if answered is not None:
            answered.set()
            signal.pause()
    return memory


@pytest.mark.slow
def test_what_a_killed_process_owed_is_done_by_the_next_one(tmp_path: Path) -> None:
    """The number that was taken out of the answer is in the file when the process is killed, and in none after the next call."""
    answered = FORK.Event()
    process = FORK.Process(target=answer, args=(tmp_path, "first", answered))
    process.start()
    assert answered.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert any(b"4111 1111" in file.read_bytes() for file in tmp_path.glob("memory.db*"))
    memory = answer(tmp_path, "second")
    assert left_of(memory) == (["first", REDACTED, "second"], False)


@pytest.mark.slow
def test_a_process_that_ends_between_the_erasure_and_what_is_stored_instead_loses_neither(tmp_path: Path) -> None:
    """The next one stores the state's form; that answers are rewritten it learns from its own first answer, one call later."""
    with answer(tmp_path, "first") as memory:
        memory.forget("t", turns=[2])  # what a second call does first, in a process that goes no further
    assert not any(b"4111 1111" in file.read_bytes() for file in tmp_path.glob("memory.db*"))
    answer(tmp_path, "second").close()
    memory = answer(tmp_path, "third")
    assert left_of(memory) == (["first", REDACTED, "second", REDACTED, "third"], False)
