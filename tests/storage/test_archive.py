"""A thread comes out as rows and goes in again, whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from optical_memory.errors import StoreError
from optical_memory.storage import Store
from optical_memory.storage.archive import put, rows

from .makers import begun


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("thread", {"created_at": 5}),
        ("thread", {"created_at": "yesterday"}),
        ("thread", {"length": 10**30}),
        ("branch", {"id": []}),
        ("turn", {"text": 5}),
        ("turn", {"role": "\ud800"}),
        ("message", {"turn_id": {}}),
    ],
)
def test_rows_that_nobody_exported_are_refused_whole(store: Store, table: str, values: dict[str, Any]) -> None:
    """In a sentence of ours, whatever they hold; nothing of them is stored."""
    begun(store, "a", "b")
    with store.read() as reader:
        thread = reader.thread("trip")
        assert thread is not None
        given = [(name, {**row, **values} if name == table else row) for name, row in rows(reader, thread)]
    with pytest.raises(StoreError), store.write() as writer:
        put(writer, "copy", given, {})
    with store.read() as reader:
        assert [row.key for row in reader.threads()] == ["trip"]
