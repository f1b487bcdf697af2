"""One PostgreSQL for all; and the longest tests come first, so that no worker waits long for another at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optical_memory.storage import Store
from tests.slow.postgres import cluster, database

LONGEST = (
    "test_langchain_histories.py", "test_same.py", "test_properties.py", "test_langchain_clients.py", "test_inspector.py",
    "test_agent_versions.py", "test_meaning.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests of these files before all others, and otherwise in their order."""
    items.sort(key=lambda item: item.path.name not in LONGEST or "slow" not in item.keywords)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server that was started for these tests."""
    with cluster() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgresql: str) -> Iterator[str]:
    """The name of a database on that server that has the tables, to be copied: nobody is connected to it."""
    with database(postgresql) as url:
        made = Store(url)
        made.upgrade()
        made.close()
        yield url.split("?")[0].rpartition("/")[2]
