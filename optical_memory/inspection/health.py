"""What `doctor` says: versions, the database and its engine, the machine's room. Small, and without network."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = (
    "langchain-core",
    "langchain",
    "langgraph",
    "pillow",
    "sqlalchemy",
    "alembic",
    "pydantic",
    "tiktoken",
    "typer",
    "rich",
)
EXTRAS = {"agents": "langchain", "web": "starlette", "ocr": "pytesseract", "postgres": "psycopg", "plot": "matplotlib"}


def report(url: str) -> dict[str, Any]:
    """Names and values; asks the database only where it exists already."""
    from optical_memory import __version__
    from optical_memory.cost import counter_name
    from optical_memory.storage import Store
    from optical_memory.storage.engine import has_wal_reset_bug

    store = Store(url, read_only=True)
    try:
        return {
            "optical_memory": __version__,
            "python": sys.version.split()[0],
            "system": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "extras": {name: find_spec(module) is not None for name, module in EXTRAS.items()},
            "text_counter": counter_name(),
            "sqlite": sqlite3.sqlite_version,
            "sqlite_wal_reset_bug": f"{'present, guarded by a lock file' if has_wal_reset_bug() else 'fixed'}",
        } | _database(store)
    finally:
        store.close()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _database(store: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"database": store.url}
    if store.path is None:
        return told
    folder = _nearest(store.path.parent)
    told |= {"exists": store.path.exists(), "disk_free_bytes": shutil.disk_usage(folder).free}
    if store.path.exists():
        current, head = store.revision()
        told |= {"bytes": store.size(), "schema": current, "schema_needed": head}
    return told


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
