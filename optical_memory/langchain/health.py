"""Failing open: what went wrong is said once per kind, and a store that fails is left alone for a while."""

from __future__ import annotations

import logging
import time

from optical_memory.errors import OpticalMemoryError, StoreError, ThreadNotFoundError

log = logging.getLogger("optical_memory")
PAUSE = 5.0  # seconds for which a store that failed is left alone


class RestingError(StoreError):
    """The store has failed a moment ago and is left alone."""


class Health:
    """Which kinds of trouble have been told, and until when the store rests.

    A locked database makes every call wait for its lock timeout; `pause` seconds (monotonic) without asking it again
    keep that from adding up over the calls of a run.
    """

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self._told: set[str] = set()
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Has the store failed less than `pause` seconds ago?"""
        return time.monotonic() < self._until

    def check(self) -> None:
        """Raises RestingError while the store rests."""
        if self.resting:
            raise RestingError(f"the store failed less than {self.pause:g} s ago and is not asked now")

    def once(self, kind: str, words: str, *args: object) -> None:
        """Log a warning, the first time for its kind only."""
        if kind not in self._told:
            self._told.add(kind)
            log.warning(words, *args)

    def failed(self, error: Exception, what: str) -> None:
        """Note an error of ours: the store rests after one of its errors, and each kind is logged once."""
        if isinstance(error, RestingError):
            return
        rest = isinstance(error, StoreError) and not isinstance(error, ThreadNotFoundError)
        if rest:
            self._until = time.monotonic() + self.pause
        after = f"; the store is left alone for {self.pause:g} s" if rest else ""
        kind = type(error).__name__
        if kind not in self._told:
            ours = isinstance(error, OpticalMemoryError)
            log.warning("%s: %s: %s%s (told once)", what, kind, error, after, exc_info=not ours)
            self._told.add(kind)

    def well(self) -> None:
        """The store answers again: the next failure is told again."""
        if self._until:
            log.warning("the store answers again; what was missed has been caught up")
            self._until = 0.0
            self._told.clear()
