"""Retention, embeddings and calls at the same time on PostgreSQL: the same promises as on a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from optical_memory import OpticalMemory
from tests.memory.conftest import Clock
from tests.memory.test_making import (  # noqa: F401
    test_calls_at_the_same_time_store_one_recall,
    test_what_another_call_recalled_meanwhile_is_used_here_too,
)
from tests.memory.test_meaning import *  # noqa: F403
from tests.memory.test_retain import *  # noqa: F403
from tests.slow.postgres import database

pytestmark = pytest.mark.slow

# what these promise is about a file
del test_text_that_has_faded_is_nowhere_in_the_file  # noqa: F821
del test_vectors_go_where_the_text_goes  # noqa: F821
del test_every_context_keeps_its_budget_and_every_turn_has_text_or_a_picture  # noqa: F821


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(postgresql: str, migrated: str, clock: Clock) -> Iterator[Callable[..., OpticalMemory]]:
    """Makes memories on one new database, and closes them."""
    made: list[OpticalMemory] = []
    with database(postgresql, migrated) as url:

        def new(**settings: object) -> OpticalMemory:
            options = {"model": "ocr:tesseract", "budget": 4_000, "clock": clock} | settings
            made.append(OpticalMemory(url, **options))
            return made[-1]

        yield new
        for memory in made:
            memory.close()


def test_faded_text_is_in_no_row(make):
    """Neither in a column of text, nor among the words of the index, nor in JSON."""
    memory = grown(make, 110, retain="clear")  # noqa: F405
    gone = [t.number for t in memory.turns("t") if t.purged]
    assert gone
    with memory.store.read() as reader:
        dump = ""
        for table in ("thread", "turn", "message", "page", "plan", "recalled", "step", "change", "usage"):
            dump += str(reader._connection.exec_driver_sql(f"SELECT to_jsonb(x)::text FROM {table} x").scalars().all())
    assert [n for n in gone if word(n - 1) in dump.lower()] == []  # noqa: F405
