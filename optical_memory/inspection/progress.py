"""How far a long command is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optical_memory.inspection.output import console, note

PATIENCE = 0.5  # seconds before progress is shown
EVERY = 10.0  # seconds between lines of progress where nobody watches


class Progress:
    """How far a long command is, on stderr: a bar for a person, a line every 10 s for a log, nothing if it is quick."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._ended = threading.Event()
        self._drawn: Any = None

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        if self._drawn is not None:
            self._drawn.update(self._drawn.task_ids[0], completed=self._done)

    def watch(self) -> None:
        """Wait beside the work, and show it when it takes long."""
        if self._ended.wait(PATIENCE):
            return
        err = console(sys.stderr)
        if err.is_terminal:
            self._draw(err)
        while not self._ended.wait(EVERY):
            if self._drawn is None:
                note(f"{self._what}: {self._done} of {self._total}")

    def _draw(self, err: Any) -> None:
        from rich.progress import Progress as Bar

        self._drawn = Bar(console=err, transient=True)
        self._drawn.add_task(self._what, total=self._total, completed=self._done)
        self._drawn.start()

    def end(self) -> None:
        """No more is to come."""
        self._ended.set()
        if self._drawn is not None:
            self._drawn.stop()


@contextmanager
def progress(what: str, total: int) -> Iterator[Progress]:
    """Show the progress of what happens inside."""
    shown = Progress(what, total)
    watcher = threading.Thread(target=shown.watch, daemon=True)
    watcher.start()
    try:
        yield shown
    finally:
        shown.end()
        watcher.join()
