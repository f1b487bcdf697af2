"""The database is looked after by commands that say what they did."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from optical_memory.storage.schema import HEAD
from tests.inspection.conftest import Command

Told = Callable[..., Any]


def tables(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_going_back_to_no_schema_asks_first(harbour: str, run: Command, told: Told, database: Path) -> None:
    """It takes every thread away, so it says so and needs a yes."""
    refused = run("db", "downgrade", "base")
    assert refused.exit_code == 6
    assert "remove every thread" in refused.stderr
    assert "turn" in tables(database)
    assert told("db", "downgrade", "base", "--yes")["to"] is None
    assert "turn" not in tables(database)
    assert run("db", "upgrade").exit_code == 0
    assert told("threads") == []


def test_only_an_older_schema_can_be_gone_back_to(harbour: str, run: Command) -> None:
    """The present one and unknown ones are refused, with those that there are."""
    for wanted in (HEAD, "9999"):
        done = run("db", "downgrade", wanted, "--yes")
        assert done.exit_code == 2
        assert "base" in done.stderr


def test_vacuum_gives_space_back(harbour: str, run: Command, told: Told) -> None:
    """After forgetting, the file becomes smaller."""
    run("forget", harbour, "--yes")
    done = told("db", "vacuum")
    assert done["bytes"] < done["bytes_before"]


def test_stats_count_rows_and_free_pages(harbour: str, told: Told) -> None:
    """Every table is counted."""
    found = told("db", "stats")
    assert found["rows"]["turn"] == 60
    assert found["rows"]["thread"] == 1
    assert found["journal_mode"] == "wal"
    assert found["page_count"] * found["page_size"] <= found["bytes"]


def test_no_command_for_the_database_makes_one(run: Command, tmp_path: Path) -> None:
    """But `upgrade`, which says so."""
    for arguments in (["downgrade", "base", "--yes"], ["current"], ["check"], ["vacuum"], ["stats"]):
        assert run("db", *arguments).exit_code == 3
    assert list(tmp_path.iterdir()) == []
