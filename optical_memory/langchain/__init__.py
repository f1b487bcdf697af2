"""LangChain agents: `create_agent(..., middleware=[OpticalMemoryMiddleware(memory)])`, and the recall tool."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optical_memory.langchain.middleware import OpticalMemoryAtEndMiddleware, OpticalMemoryMiddleware
    from optical_memory.langchain.tools import pin_memory, recall_memory

__all__ = ["OpticalMemoryAtEndMiddleware", "OpticalMemoryMiddleware", "pin_memory", "recall_memory"]

_LAZY = {  # the tools need langchain-core only
    "OpticalMemoryAtEndMiddleware": "middleware",
    "OpticalMemoryMiddleware": "middleware",
    "pin_memory": "tools",
    "recall_memory": "tools",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'optical_memory.langchain' has no attribute {name!r}")
    return getattr(import_module(f"optical_memory.langchain.{_LAZY[name]}"), name)
