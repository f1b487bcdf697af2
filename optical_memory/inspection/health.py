"""What `doctor` says: versions, the database and its engine, the machine's room. Small, and without network."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_memory.errors import OpticalMemoryError
from optical_memory.inspection.looking import moment

if TYPE_CHECKING:
    from optical_memory.storage import Store

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
EXTRAS = {
    "agents": "langchain", "web": "starlette", "ocr": "pytesseract", "postgres": "psycopg", "plot": "matplotlib",
    "scripts": "manimgx_fonts_cjk",
}  # fmt: skip
SKEW = 300  # seconds that the newest turn may be ahead of this clock before it is worth a word


def report(url: str) -> dict[str, Any]:
    """Names and values; asks the database only where it exists already."""
    from optical_memory import __version__
    from optical_memory.cost import counter_name
    from optical_memory.storage import Store
    from optical_memory.storage.engine import has_wal_reset_bug

    store = Store(url, read_only=True, lock_timeout=1.0)
    try:
        return {
            "optical_memory": __version__,
            "python": sys.version.split()[0],
            "system": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "extras": {name: find_spec(module) is not None for name, module in EXTRAS.items()},
            "text_counter": counter_name(),
            "fonts": _fonts(),
            "readers": {
                "tesseract": shutil.which("tesseract") is not None,
                "rapidocr": find_spec("rapidocr_onnxruntime") is not None,
            },
            "encoding": f"{sys.stdout.encoding}, file names {sys.getfilesystemencoding()}",
            "clock": moment(datetime.now(UTC)),
            "sqlite": sqlite3.sqlite_version,
            "sqlite_search": _search(),
            "sqlite_wal_reset_bug": f"{'present, guarded by a lock file' if has_wal_reset_bug() else 'fixed'}",
        } | _database(store)
    finally:
        store.close()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _fonts() -> str:
    """What the shipped atlas draws, what fonts add to it, and whether Pillow can shape these."""
    from PIL import features

    from optical_memory.pages import scripts_at_hand
    from optical_memory.pages.glyphs import face
    from optical_memory.pages.sheets import FACES

    drawn = face("sans").count
    raqm = features.version("raqm") or "missing"
    added = ", ".join(scripts_at_hand()) or 'no other scripts: pip install "optical-memory[scripts]"'
    return f"{len(FACES)} faces of {drawn:,} glyphs; {added}; FreeType {features.version('freetype2')}, Raqm {raqm}"


def _search() -> str:
    """Whether this SQLite has full-text search."""
    with closing(sqlite3.connect(":memory:")) as connection:
        found = connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0]
    return "FTS5" if found else "no FTS5: this SQLite cannot search, install Python with a newer one"


def _database(store: Store) -> dict[str, Any]:
    told: dict[str, Any] = {"database": store.url}
    if store.path is not None:
        folder = _nearest(store.path.parent)
        told |= {"exists": store.path.exists(), "disk_free_bytes": shutil.disk_usage(folder).free}
        if not store.path.exists():
            return told
    try:
        current, head = store.revision()
        told |= {"bytes": store.size(), "schema": current, "schema_needed": head}
        return told | (_state(store) if current == head else {})
    except OpticalMemoryError as error:
        return told | {"problem": str(error)}


def _state(store: Store) -> dict[str, Any]:
    """How a database that can be read is doing: how it writes, what could be given back, what its clock says."""
    from optical_memory.storage import care

    with store.read() as reader:
        newest = reader.threads(limit=1)
        found = care.file_state(reader)
    last = newest[0].touched_at or newest[0].created_at if newest else None
    ahead = (last - datetime.now(UTC)).total_seconds() if last else 0
    said = {"newest_use": moment(last)}
    return (
        found
        | said
        | ({"clock_problem": f"the newest use lies {ahead:,.0f} s ahead of this clock"} if ahead > SKEW else {})
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
