"""LangChain agents: `create_agent(..., middleware=[OpticalMemoryMiddleware(memory)])`, and the recall tool."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optical_memory.langchain.middleware import OpticalMemoryMiddleware
    from optical_memory.langchain.tools import recall_memory

__all__ = ["OpticalMemoryMiddleware", "recall_memory"]

_LAZY = {"OpticalMemoryMiddleware": "middleware", "recall_memory": "tools"}  # the tool needs langchain-core only


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'optical_memory.langchain' has no attribute {name!r}")
    return getattr(import_module(f"optical_memory.langchain.{_LAZY[name]}"), name)
