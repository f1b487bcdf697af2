from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.storage import Store


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    """An empty store in a file; the slow suite runs the same tests on PostgreSQL by another fixture of this name."""
    made = Store(str(shutil.copy(empty, tmp_path / "memory.db")), lock_timeout=5)
    yield made
    made.close()
