"""A thread as a folder and back, with nothing left out: for moving it, keeping it, or reading it with other programs.

manifest.json    which format and schema, which thread, and the SHA-256 of every file; written last
messages.jsonl   the conversation as OpenAI-style chat messages, oldest first: for people, and `optical-memory import`
rows.jsonl       every row of the thread, one a line: branches, turns, messages, pages, plans, the log, the calls
pages/           every stored image; the number of its row is in the file's name

The same thread gives the same files. Reading them back makes the same thread: its next context has the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_memory.errors import ConfigError, HashMismatchError, SchemaError, TranscriptError
from optical_memory.inspection.saving import SaveError, folder, write

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory
    from optical_memory.storage import Reader

FORMAT = "optical-memory thread"
VERSION = 1
MANIFEST, MESSAGES, ROWS, PAGES = "manifest.json", "messages.jsonl", "rows.jsonl", "pages"
VIEW = re.compile(r"view-(\d+)\.png$")


def is_archive(path: Path) -> bool:
    """Is this a folder that `export` has written?"""
    return (path / MANIFEST).is_file()


# --------------------------------------------------------------------------------------------- out


def export(memory: OpticalMemory, thread: str, to: Path) -> dict[str, Any]:
    """Write a thread to a new folder; the manifest is what is returned. Raises ConfigError where something is there."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConfigError(f"{to} is there already and not empty: give a new folder")
    folder(to / PAGES)
    with memory.store.read() as reader:
        files = dict(_written(reader, thread, to))
    told = {"format": FORMAT, "version": VERSION, "schema": _schema(), "thread": thread, "files": files}
    write(to / MANIFEST, json.dumps(told, indent=1, ensure_ascii=True).encode())
    return told


def _schema() -> str:
    from optical_memory.storage.schema import HEAD

    return HEAD


def _written(reader: Reader, thread: str, to: Path) -> Iterator[tuple[str, str]]:
    """Write all but the manifest; the name and SHA-256 of each file."""
    import optical_memory.storage.archive as archive
    from optical_memory.errors import ThreadNotFoundError

    row = reader.thread(thread)
    if row is None:
        raise ThreadNotFoundError(thread)
    kept: dict[str, dict[int, Any]] = {"page": {}, "view": {}}
    lines = (_kept(kept, name, values) for name, values in archive.rows(reader, row))
    yield ROWS, _write_lines(to / ROWS, lines)
    yield MESSAGES, _write_lines(to / MESSAGES, _messages(reader, thread))
    for number, png in archive.images(reader, row):
        name = _name(kept, number)
        write(to / name, png)
        yield name, hashlib.sha256(png).hexdigest()


def _kept(kept: dict[str, dict[int, Any]], name: str, values: dict[str, Any]) -> dict[str, Any]:
    """A row as it is written; pages and views are kept for the names of the images."""
    if name in kept:
        kept[name][values["id"]] = values
    return {"table": name} | values


def _name(kept: Mapping[str, Mapping[int, Any]], number: int) -> str:
    view = kept["view"][number]
    page = kept["page"][view["page_id"]]["number"]
    return f"{PAGES}/page-{page:05d}-{view['width']}x{view['height']}-view-{number:06d}.png"


def _write_lines(file: Path, lines: Iterator[dict[str, Any]]) -> str:
    """Write JSON Lines as they come; the file's SHA-256."""
    digest = hashlib.sha256()
    write(file, b"")  # for its owner only, from the first byte on
    try:
        with file.open("r+b") as out:
            for line in lines:
                raw = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
                digest.update(raw)
                out.write(raw)
    except OSError as error:
        raise SaveError(f"cannot write {file} ({error.strerror}): give another folder") from None
    return digest.hexdigest()


def _messages(reader: Reader, thread: str) -> Iterator[dict[str, Any]]:
    """The conversation as it stands, in OpenAI's chat form; of what was forgotten nothing."""
    from optical_memory.memory.forms import to_openai
    from optical_memory.messages import as_langchain, from_stored

    row = reader.thread(thread)
    path = reader.path(row) if row else ()
    for start in range(1, (row.length if row else 0) + 1, 500):
        turns = reader.turns(path, start, start + 499)
        stored = reader.messages([t.id for t in turns])
        for turn in turns:
            more = {"created_at": turn.created_at.isoformat()} if turn.created_at else {}
            for message in stored[turn.id]:
                (given,) = to_openai([as_langchain(from_stored(message.form, message.data))])
                yield given | ({"id": message.external_id} if message.external_id else {}) | more


# --------------------------------------------------------------------------------------------- in


def restore(memory: OpticalMemory, place: Path, name: str | None = None) -> dict[str, Any]:
    """Store the thread in a folder, under its own name or another, whole or not at all; what was stored, in numbers.

    Raises TranscriptError for a folder that cannot be read, HashMismatchError for a file that is not as it was written,
    SchemaError for one of a newer version, and StoreError where a thread of this name is there already.
    """
    import optical_memory.storage.archive as archive

    told = _manifest(place)
    pngs = {int(found[1]): _sound(place, file, told) for file in told["files"] if (found := VIEW.search(file))}
    rows = list(_rows(place, _sound(place, ROWS, told)))
    thread = name or str(told["thread"])
    with memory.store.write() as writer:
        row = archive.put(writer, thread, rows, pngs)
    counts = {table: sum(1 for found, _ in rows if found == table) for table in ("turn", "message", "page")}
    return {"thread": thread, "turns": row.length, "messages": counts["message"], "images": len(pngs)}


def _manifest(place: Path) -> dict[str, Any]:
    from optical_memory.storage.schema import HEAD, REVISIONS

    try:
        told = json.loads((place / MANIFEST).read_bytes())
        known = told["format"] == FORMAT and isinstance(told["files"], dict) and told["thread"]
        newer = told["version"] != VERSION or told["schema"] not in REVISIONS
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise TranscriptError(
            "is no exported thread: give a folder that `optical-memory export` wrote", file=str(place)
        )
    if newer:
        raise SchemaError(str(told["schema"]), HEAD, "pip install --upgrade optical-memory")
    return dict(told)


def _sound(place: Path, name: str, told: Mapping[str, Any]) -> bytes:
    """The bytes of a file of the archive. Raises HashMismatchError, also for a name that leads out of the folder."""
    file = place / name
    if not file.resolve().is_relative_to(place.resolve()):
        raise HashMismatchError(f"{place}: the manifest names {name!r}, which is not in the folder: export it again")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TranscriptError(f"cannot be read: {error.strerror}", file=str(file)) from None
    if hashlib.sha256(data).hexdigest() != told["files"].get(name):
        raise HashMismatchError(f"{file} is not what was exported: copy the folder again, or import {MESSAGES} alone")
    return data


def _rows(place: Path, data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(data.splitlines(), 1):
        try:
            values = json.loads(line)
            yield values.pop("table"), values
        except (ValueError, KeyError, AttributeError):
            raise TranscriptError("is no row of a thread", file=str(place / ROWS), line=number) from None


__all__ = ["export", "is_archive", "restore"]
