"""The memories that the viewer looks through: one for each set of settings that threads were stored with."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optical_memory.inspection.opening as opening

if TYPE_CHECKING:
    from optical_memory.memory import OpticalMemory
    from optical_memory.storage import ThreadRow

PATIENCE = 5.0  # seconds that a change waits for a database that another process holds
MOST = 16  # memories with settings of their own that are kept open


class Desk:
    """Opens what is asked for. Looking is done by memories that cannot write; a change opens one for its moment.

    `db` is a URL or path as everywhere in the command line; `patience` is in seconds. Safe to use from several threads.
    """

    def __init__(self, db: str | None, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        self.db, self.read_only, self.patience = db, read_only, patience
        self._lock = threading.Lock()
        self._plain: OpticalMemory | None = None
        self._settled: dict[str, OpticalMemory] = {}
        self._rows: dict[str, tuple[str, Mapping[str, Any]]] = {}

    @property
    def url(self) -> str:
        """Where the database is, without its password."""
        from optical_memory.storage import Store

        return Store(opening.database(self.db), read_only=True).url

    def memory(self, thread: str | None = None) -> OpticalMemory:
        """A memory that cannot write, with the settings that are stored with the thread.

        Raises NotFoundError without a database, SchemaError where it is old, ThreadNotFoundError.
        """
        with self._lock:
            if self._plain is None:
                opening.existing(self.db)
                self._plain = self._opened({})
            plain = self._plain
        if thread is None:
            return plain
        settings = self._settings(plain, thread)
        key = repr(sorted(settings.items()))
        with self._lock:
            if key not in self._settled:
                self._make_room()
                self._settled[key] = self._opened(settings)
            return self._settled[key]

    @contextmanager
    def changing(self, thread: str) -> Iterator[OpticalMemory]:
        """A memory that may write, for one change. Raises as `memory`, and LockedError."""
        with opening.changing(self.db, thread, lock_timeout=self.patience) as memory:
            yield memory

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            for memory in (*self._settled.values(), *([self._plain] if self._plain else [])):
                memory.close()
            self._settled.clear()
            self._plain = None

    def _opened(self, settings: Mapping[str, Any]) -> OpticalMemory:
        from optical_memory.memory import OpticalMemory

        return OpticalMemory(opening.database(self.db), read_only=True, lock_timeout=self.patience, **settings)

    def _make_room(self) -> None:
        if len(self._settled) >= MOST:
            self._settled.pop(next(iter(self._settled))).close()

    def _settings(self, plain: OpticalMemory, thread: str) -> Mapping[str, Any]:
        """The thread's stored settings, read again only where they have changed."""
        with plain.store.read() as reader:
            row: ThreadRow | None = reader.thread(thread)
        told = repr(row and row.config)
        known = self._rows.get(thread)
        if row is None or known is None or known[0] != told:
            known = self._rows[thread] = told, opening.stored_settings(plain, thread)
        return known[1]


__all__ = ["PATIENCE", "Desk"]
