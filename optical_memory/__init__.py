"""Conversation memory for language-model agents: text while it is fresh, pictures of text as it ages.

remember -> seal -> decay -> plan -> render -> context; recall and forget beside them. See `OpticalMemory`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from optical_memory.errors import (
    BudgetError,
    ConfigError,
    DiskFullError,
    HashMismatchError,
    LockedError,
    MissingExtraError,
    OpticalMemoryError,
    ReadOnlyError,
    RenderError,
    SchemaError,
    StoreError,
    ThreadNotFoundError,
    TranscriptError,
)

if TYPE_CHECKING:
    from optical_memory.config import MemoryConfig
    from optical_memory.memory import Context, OpticalMemory
    from optical_memory.planning.decay import DecaySchedule, half_life, never, staircase

__version__ = "0.1.0"
__all__ = [
    "BudgetError", "ConfigError", "Context", "DecaySchedule", "DiskFullError", "HashMismatchError", "LockedError",
    "MemoryConfig", "MissingExtraError", "OpticalMemory", "OpticalMemoryError", "ReadOnlyError", "RenderError",
    "SchemaError", "StoreError", "ThreadNotFoundError", "TranscriptError", "half_life", "never", "staircase",
]  # fmt: skip

_LAZY = {
    "Context": "optical_memory.memory",
    "OpticalMemory": "optical_memory.memory",
    "MemoryConfig": "optical_memory.config",
    "DecaySchedule": "optical_memory.planning.decay",
    "half_life": "optical_memory.planning.decay",
    "never": "optical_memory.planning.decay",
    "staircase": "optical_memory.planning.decay",
}  # importing the package stays light: what is heavy loads where it is first used


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'optical_memory' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
