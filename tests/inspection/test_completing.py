"""Names of threads are completed from the database, quickly, and without touching it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.inspection.completing import file_of, names


@pytest.fixture
def filled(database: Path) -> Path:
    with OpticalMemory(database) as memory:
        for name in ("harbour", "harvest", "100%_sure", "evil\x1bname", "it's"):
            memory.remember(name, [("user", "hello")])
    return database


def test_names_that_begin_so_the_newest_first(filled: Path) -> None:
    """Signs that mean something to SQL or LIKE are letters here; names that would drive a terminal are left out."""
    assert names(filled, "har") == ["harvest", "harbour"]
    assert names(filled, "100%_") == ["100%_sure"]
    assert names(filled, "%") == names(filled, "evil") == []
    assert names(filled, "it'") == ["it's"]


def test_no_file_is_made_or_harmed(tmp_path: Path) -> None:
    """A missing file, a folder, and a file that is no database complete to nothing and stay as they are."""
    (tmp_path / "text.db").write_text("no database")
    assert names(tmp_path / "text.db", "") == []
    assert file_of(str(tmp_path / "none.db")) is None
    assert file_of(str(tmp_path)) is None
    assert file_of("postgresql://localhost/memory") is None
    assert sorted(f.name for f in tmp_path.iterdir()) == ["text.db"]


def test_urls_and_paths_lead_to_the_file(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, a path is taken as SQLite."""
    monkeypatch.chdir(filled.parent)
    assert file_of(str(filled)) == file_of(f"sqlite:///{filled}") == filled
    assert file_of("sqlite:///memory.db") == Path("memory.db")


def test_a_locked_database_does_not_hold_the_shell_up(filled: Path) -> None:
    """Another process's lock costs no more than the limit."""
    import sqlite3

    connection = sqlite3.connect(filled, isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    started = time.perf_counter()
    names(filled, "h")
    assert time.perf_counter() - started < 0.5
    connection.close()


@pytest.mark.slow
def test_the_shell_gets_names_and_commands(filled: Path) -> None:
    """As bash asks for it: a command's beginning, then a thread's, with the database of --db or of the environment."""

    def ask(line: str, **more: str) -> list[str]:
        words = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_OPTICAL_MEMORY_COMPLETE": "complete_bash",
        }
        environ = {k: v for k, v in os.environ.items() if k != "OPTICAL_MEMORY_DB"} | words | more
        done = subprocess.run(
            [sys.executable, "-m", "optical_memory"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout.split()

    assert ask("optical-memory thr") == ["threads"]
    assert ask("optical-memory show har", OPTICAL_MEMORY_DB=str(filled)) == ["harvest", "harbour"]
    assert ask(f"optical-memory show --db {filled} harb") == ["harbour"]
