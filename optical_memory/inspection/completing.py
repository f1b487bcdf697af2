"""The shell completes names of threads from the database: read only, within 200 ms, and without ever making a file.

It speaks to SQLite itself, since loading SQLAlchemy alone would take longer than a person waits for a key; names in a
PostgreSQL database are not completed.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from optical_memory.inspection.opening import database

MOST = 50  # names that are offered
LIMIT = 0.2  # seconds
STEPS = 1_000  # of SQLite's machine between two looks at the clock
NAMES = (
    "SELECT key FROM thread WHERE substr(key, 1, ?) = ? ORDER BY coalesce(touched_at, created_at) DESC, id DESC LIMIT ?"
)


def threads(ctx: Any, incomplete: str) -> list[str]:
    """Names of threads that begin so, the one used last first; none where they cannot be had in time."""
    given = getattr(ctx, "params", {}).get("db")
    file = file_of(database(given))
    return names(file, incomplete) if file is not None else []


def file_of(url: str) -> Path | None:
    """The SQLite file of a URL or path, if it is there."""
    if "://" in url and not url.startswith("sqlite"):
        return None
    path = Path(url.split("://", 1)[1].removeprefix("/") if "://" in url else url)
    try:
        return path if path.is_file() else None
    except OSError:
        return None


def names(file: Path, beginning: str) -> list[str]:
    """Names of threads in this file that begin so."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=LIMIT / 2)) as connection:
            end = time.monotonic() + LIMIT * 0.9
            connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
            found = connection.execute(NAMES, (len(beginning), beginning, MOST)).fetchall()
    except sqlite3.Error:
        return []
    return [str(key) for (key,) in found if str(key).isprintable()]


__all__ = ["threads"]
