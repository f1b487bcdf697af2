from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.storage import Store


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was migrated once, to be copied: it is closed, so no lock is lost."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    made = Store(str(file))
    made.upgrade()
    made.close()
    return file


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    """An empty store in a file; the slow suite runs the same tests on PostgreSQL by another fixture of this name."""
    made = Store(str(shutil.copy(empty, tmp_path / "memory.db")), lock_timeout=5)
    yield made
    made.close()
