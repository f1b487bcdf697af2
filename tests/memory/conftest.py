"""A memory on a file, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from optical_memory import OpticalMemory


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock, placed: Callable[[Path], Path]) -> Iterator[Callable[..., OpticalMemory]]:
    """Makes memories on one file (or on `name`), and closes them."""
    made: list[OpticalMemory] = []

    def new(name: str = "memory.db", **settings: object) -> OpticalMemory:
        options = {"model": "ocr:tesseract", "budget": 4_000, "clock": clock} | settings
        made.append(OpticalMemory(placed(tmp_path / name), **options))
        return made[-1]

    yield new
    for memory in made:
        memory.close()
