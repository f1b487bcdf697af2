"""Which database a command works with, with which settings, and which exit code an error gets."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_memory import errors
from optical_memory.inspection.output import note

if TYPE_CHECKING:
    from optical_memory.cost import Profile
    from optical_memory.memory import OpticalMemory
    from optical_memory.storage import Reader, Store

COMPARED = 500  # newest threads whose names are compared with one that is not stored
DONE, FAILED, USAGE, NOT_FOUND, OLD_SCHEMA, DAMAGED, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130


class NotFoundError(errors.OpticalMemoryError, LookupError):
    """What a command was asked about does not exist."""


class DamageError(errors.OpticalMemoryError):
    """The database is not whole."""


class RefusedError(errors.OpticalMemoryError):
    """The command needs a yes that nobody gave."""


_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (NotFoundError, NOT_FOUND),
    (errors.ThreadNotFoundError, NOT_FOUND),
    (errors.SchemaError, OLD_SCHEMA),
    (errors.HashMismatchError, DAMAGED),
    (DamageError, DAMAGED),
    (RefusedError, REFUSED),
    (errors.ConfigError, USAGE),
    (KeyboardInterrupt, INTERRUPTED),
)


def exit_code(error: BaseException) -> int:
    """The exit code of an error; 1 where it has none of its own."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


# --------------------------------------------------------------------------------------------- where


def data_folder(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """Where programs of this platform keep a user's data; ours is a folder of our name in it."""
    home = Path.home()
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "optical-memory"


def database(given: str | None) -> str:
    """The URL or path of the database: what was given (--db or OPTICAL_MEMORY_DB), else a file in the data folder."""
    return given or str(data_folder() / "memory.db")


# --------------------------------------------------------------------------------------------- opening


@contextmanager
def reading(
    db: str | None, thread: str | None = None, *, profile: Path | None = None, **settings: Any
) -> Iterator[OpticalMemory]:
    """A memory that cannot write, with the settings that are stored with the thread; `settings` stand above them.

    `profile` is the file of a calibration, whose tiers stand above those of the tables.

    Raises NotFoundError where there is no database, SchemaError where it needs an upgrade first.
    """
    existing(db)
    given = {k: v for k, v in settings.items() if v is not None}
    with _opened(db, read_only=True, **given) as memory:
        kept = stored_settings(memory, thread) if thread is not None else {}
        if not kept and profile is None:
            yield memory
            return
    merged = kept | given
    if profile is not None:
        merged["profile"] = calibrated(profile, merged.get("model"))
    with _opened(db, read_only=True, **merged) as memory:
        yield memory


@contextmanager
def changing(
    db: str | None, thread: str | None = None, *, create: bool = False, **settings: Any
) -> Iterator[OpticalMemory]:
    """A memory that may write; only with `create` is a missing database made."""
    if create:
        _make_folder(db)
    else:
        existing(db)
    with _opened(db, **settings) as memory:
        kept = stored_settings(memory, thread) if thread is not None else {}
        if not kept:
            yield memory
            return
    with _opened(db, **(kept | settings)) as memory:
        yield memory


def calibrated(file: Path | None, model: str | None) -> Profile | None:
    """The profile in the file of a calibration, with the costs of `model`; by the name in the file where there is none.

    None without a file. Raises ConfigError for a file that is no calibration.
    """
    if file is None:
        return None
    from optical_memory.cost import profile
    from optical_memory.readers import load_profile

    found = load_profile(file, profile(model) if model else None)
    if found.note:
        note(f"note: {found.note}")
    return found


def existing(db: str | None) -> None:
    """Raises NotFoundError where the SQLite file is missing: a command that looks must not make one."""
    from optical_memory.storage import Store

    store = Store(database(db), read_only=True)
    path = store.path
    if path is None and store.url.startswith("sqlite"):
        raise NotFoundError(
            f"{store.url} names no file, so there is nothing in it: pass --db with the path of a database"
        )
    if path is not None and not path.exists():
        raise NotFoundError(f"there is no database at {path}: make one with `optical-memory import FILE`, or pass --db")


@contextmanager
def passing(profile: Path | None = None, **settings: Any) -> Iterator[OpticalMemory]:
    """A memory of the process alone, for what is not to be stored."""
    with _opened("sqlite://", profile=calibrated(profile, settings.get("model")), **settings) as memory:
        yield memory


@contextmanager
def _opened(db: str | None, **options: Any) -> Iterator[OpticalMemory]:
    from optical_memory.memory import OpticalMemory

    memory = OpticalMemory(database(db), **{k: v for k, v in options.items() if v is not None})
    try:
        yield memory
    finally:
        memory.close()


def _make_folder(db: str | None) -> None:
    if db is None:
        data_folder().mkdir(parents=True, exist_ok=True, mode=0o700)


def stored_settings(memory: OpticalMemory, thread: str) -> dict[str, Any]:
    """The settings that the agent's process stored with a thread: with them a command shows what the agent sends.

    Raises ThreadNotFoundError.
    """
    with memory.store.read() as reader:
        row = reader.thread(thread)
        near = () if row else _near(reader, thread)
    if row is None:
        raise errors.ThreadNotFoundError(thread, near)
    given = row.config if isinstance(row.config, Mapping) else {}
    kept = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None and k != "strict"}
    if str(kept.get("schedule", "")).startswith("callable "):
        note(f"note: the schedule of this thread is a {kept.pop('schedule')} and not stored: the default stands in")
    if "profile" in kept:
        _without_a_useless_profile(kept)
    return kept


def _near(reader: Reader, thread: str) -> tuple[str, ...]:
    """Names that may have been meant: those spelt much alike, else those with the same beginning in them."""
    alike = get_close_matches(thread, [t.key for t in reader.threads(limit=COMPARED)])
    return tuple(alike or (t.key for t in reader.threads(limit=3, match=thread[:3])))


def _without_a_useless_profile(kept: dict[str, Any]) -> None:
    """Takes a profile away that is not here or cannot be read: one thread's file must not hide the thread, nor the others."""
    from optical_memory.readers import load

    try:
        load(str(kept["profile"]))
    except errors.ConfigError as error:
        note(f"note: the tables stand in for the profile of this thread: {error}")
        del kept["profile"]


def confirmed(what: str, yes: bool, ask: Callable[[str], bool]) -> None:
    """Raises RefusedError unless the person agrees to `what`; where nobody can be asked only `yes` counts."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"this would {what}, and nobody is here to be asked: pass --yes to agree beforehand")
    if not ask(f"{what[0].upper()}{what[1:]}?"):
        raise RefusedError("nothing was changed")


@dataclass(frozen=True, slots=True)
class Bare:
    """A store where a memory is not needed."""

    store: Store


@contextmanager
def store(db: str | None, *, read_only: bool = False) -> Iterator[Store]:
    """The database alone, without settings; it is neither made nor upgraded by opening it."""
    from optical_memory.storage import Store

    opened = Store(database(db), read_only=read_only)
    try:
        yield opened
    finally:
        opened.close()
