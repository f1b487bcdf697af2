"""Arguments of the memory's methods: what cannot be meant is refused by name before anything is read or stored."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import isfinite
from os import PathLike
from typing import Any, SupportsIndex

from optical_memory.config import MemoryConfig
from optical_memory.errors import ConfigError, TranscriptError
from optical_memory.planning.tiers import TIERS


def whole(name: str, value: Any, least: int, meaning: str) -> int:
    """A whole number of at least `least`. Raises ConfigError."""
    if not isinstance(value, SupportsIndex) or operator.index(value) < least:
        raise ConfigError(f"{name}={value!r}: give {meaning}, {least} or more")
    return operator.index(value)


def words(name: str, value: Any, example: str) -> None:
    """Raise ConfigError unless it is a text."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}={value!r}: give a text, such as {example!r}")


def numbers(turns: int | Iterable[int]) -> set[int]:
    """The numbers of turns that a caller named. Raises ConfigError for what are no numbers, such as the text "3-7"."""
    try:
        return {operator.index(turns)} if isinstance(turns, SupportsIndex) else {operator.index(n) for n in turns}
    except TypeError:
        raise ConfigError(f"turns={turns!r}: give the number of a turn or several, such as 3 or range(3, 8)") from None


def moment(before: Any) -> None:
    """Raise ConfigError unless it is a time with a zone."""
    if not isinstance(before, datetime) or before.tzinfo is None:
        raise ConfigError(f"before={before!r}: give a datetime with a zone, such as datetime(2026, 1, 31, tzinfo=UTC)")


def weight(value: Any) -> None:
    """Raise ConfigError unless it is a weight, or None for that of the rule."""
    if value is not None and not (isinstance(value, int | float) and 0 <= value < 1e308 and isfinite(value)):
        raise ConfigError(
            f"weight={value!r}: give 0 (small talk) or more, about 1 for what matters, or None for the rule's"
        )


def tier(value: Any) -> None:
    """Raise ConfigError unless it is a tier, or None."""
    if value is not None and value not in TIERS:
        raise ConfigError(f"tier={value!r}: give one of {', '.join(TIERS)}")


def several(messages: Any) -> None:
    """Raise TranscriptError for what is no list of messages; a single one would be taken apart."""
    if isinstance(messages, str | bytes | Mapping) or hasattr(messages, "type") or not isinstance(messages, Iterable):
        raise TranscriptError(
            f"messages is a {type(messages).__name__}: give a list of messages, such as [('user', 'We land on the 14th.')]"
        )


def made_of(
    url: Any, config: Any, count: Callable[[str], int] | None, clock: Any, embeddings: Any, lock_timeout: Any
) -> None:
    """Raise ConfigError for what no memory can be made of: it would fail at the first call, and not say why."""
    if not isinstance(url, str | PathLike):
        raise ConfigError(f'url={url!r}: give a database URL or the path of a file, such as "sqlite:///memory.db"')
    if not isinstance(config, str | PathLike | MemoryConfig | None):
        raise ConfigError(f"config={config!r}: give a MemoryConfig or the path of a TOML file; settings go by keyword")
    if count is not None and not callable(count):
        raise ConfigError(f"count={count!r}: give a function from a text to its tokens, or None")
    if not callable(clock):
        raise ConfigError(f"clock={clock!r}: give a function that returns the time, such as lambda: datetime.now(UTC)")
    if embeddings is not None and not all(hasattr(embeddings, f"embed_{what}") for what in ("documents", "query")):
        raise ConfigError(f"embeddings={embeddings!r}: give LangChain Embeddings (embed_documents and embed_query)")
    if not isinstance(lock_timeout, int | float) or not 0 <= lock_timeout < 1e6:
        raise ConfigError(f"lock_timeout={lock_timeout!r}: give seconds, 0 or more")
