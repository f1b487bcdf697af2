"""The ends of runs: the last answer is remembered, and a run without a thread is forgotten.

A hook at a run's end would be a node of the graph, and each node costs a checkpoint with all messages in it. So an answer
is remembered as soon as the model gives it. Should other middleware rewrite it afterwards (personal data, a guardrail), the
thread's next call brings another text under the same id. Then the first text is erased from the database, the state's is
stored instead, and from then on every answer is remembered with the next call. The answer to compare is the thread's newest
message in the database, so it may have been given in another process, or in one that has ended. Where the next call goes
on from before that answer, it is on another branch: it is never shown again, but its bytes stay.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from langchain_core.messages import BaseMessage

from optical_memory.errors import ThreadNotFoundError
from optical_memory.langchain.pairs import unanswered
from optical_memory.langchain.where import Place
from optical_memory.memory import OpticalMemory
from optical_memory.messages import read
from optical_memory.storage import PlacedMessage

log = logging.getLogger("optical_memory")

IDLE = 3600.0
HELD = (
    "thread %r: what other middleware took out of an answer is forgotten, but another process still reads the old state: "
    "its bytes are overwritten with the next erasure, or when the database is next opened"
)


class Endings:
    """Remembers the last answer of each run, and forgets runs without a thread when they end. Safe for threads.

    With `at_once=False` answers are remembered with the next call, or by a hook at the run's end. A run without a thread
    that has made no call for `idle` seconds counts as broken off.
    """

    def __init__(self, memory: OpticalMemory, at_once: bool, idle: float = IDLE) -> None:
        self._memory, self._at_once, self._idle = memory, at_once, idle
        self._compares = at_once  # else no answer is stored before its run is over
        self._runs: dict[str, float] = {}  # runs without a thread that have not ended, and when they last called

    def began(self, where: Place, messages: Sequence[BaseMessage]) -> bool:
        """Called before each model call. True if other middleware has rewritten the newest answer, which is erased then."""
        if where.ephemeral:
            self._runs[where.thread] = time.monotonic()
            self._swept()
            return False
        return self._erased(where.thread, messages)

    def ended(self, where: Place, before: Sequence[BaseMessage], answers: Sequence[Any]) -> None:
        """Called after each model call, which was asked `before`; if the model calls no tool the run is over."""
        given = [m for m in answers if isinstance(m, BaseMessage)]
        if not given or unanswered(given):
            return
        if where.ephemeral:
            self.left(where.thread)
        elif self._at_once:
            self._remembered(where.thread, before, given)

    def left(self, thread: str) -> None:
        """Forget what was kept for a run that is over or broken off; a retry remembers it anew."""
        self._runs.pop(thread, None)
        with suppress(ThreadNotFoundError):
            self._memory.forget(thread)

    def _remembered(self, thread: str, before: Sequence[BaseMessage], given: Sequence[BaseMessage]) -> None:
        told = list(before[-1:] if before and before[-1].id else before)
        self._memory.remember(thread, [*told, *given])

    def _erased(self, thread: str, messages: Sequence[BaseMessage]) -> bool:
        """Forget the thread's newest answer if the state now has another text for it; True if it was forgotten."""
        known = self._newest(thread) if self._compares else None
        told = next((m for m in reversed(messages) if known is not None and m.id == known.external_id), None)
        if known is None or told is None or read(told).hash == known.hash:
            return False
        self._at_once = False  # the answers of other threads are still to be compared
        with suppress(ThreadNotFoundError):
            if self._memory.forget(thread, turns=[known.turn_number]).held:
                log.warning(HELD, thread)
        return True

    def _newest(self, thread: str) -> PlacedMessage | None:
        """The thread's newest message, if it is an answer with an id."""
        with self._memory.store.read() as reader:
            row = reader.thread(thread)
            last = reader.tail(reader.path(row), 1) if row else []
        return next((m for m in last if m.role == "assistant" and m.external_id and not m.open), None)

    def _swept(self) -> None:
        """Runs that nobody ended: an error outside of our sight, a recursion limit, a graph that was dropped."""
        late = time.monotonic() - self._idle
        for thread in [t for t, called in list(self._runs.items()) if called < late]:
            self.left(thread)
