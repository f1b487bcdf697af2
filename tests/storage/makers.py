"""Small things to store, for the tests of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from optical_memory.storage import NewMessage, NewTurn, Path, Store, ThreadRow

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def message(chain: str, external_id: str | None = None, *, role: str = "user", data: Any = None) -> NewMessage:
    return NewMessage(
        role, f"hash of {chain}", chain, {"content": chain} if data is None else data, "openai", external_id
    )


def turn(text: str, *, role: str = "user", ids: Sequence[str] = (), **fields: Any) -> NewTurn:
    """A turn of one message, or of one for each id."""
    chains = [f"{text[:40]}/{i}" for i in range(max(1, len(ids)))]
    messages = [message(c, i, role=role) for c, i in zip(chains, ids or [None], strict=True)]  # type: ignore[list-item]
    return NewTurn(role, text, len(text.split()), messages, **fields)


def begun(store: Store, *texts: str, key: str = "trip") -> ThreadRow:
    """A thread with a turn for each text."""
    with store.write() as writer:
        return writer.append(writer.new_thread(key, NOW), [turn(text) for text in texts], NOW)


def texts(store: Store, path: Path | None = None, *, key: str = "trip") -> list[str]:
    """The texts on the path, or on that to the head."""
    with store.read() as reader:
        if path is None:
            thread = reader.thread(key)
            assert thread is not None
            path = reader.path(thread)
        return [row.text for row in reader.turns(path)]
